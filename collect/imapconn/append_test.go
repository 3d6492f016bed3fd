package imapconn

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

func memWriter(t *testing.T, o imapmem.Options, compress bool) (*Writer, *imapmem.Account) {
	t.Helper()
	s := imapmem.New(o)
	a := s.AddAccount("anna", "pw")
	if err := s.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	c := Config{Endpoint: s.Endpoint("anna"), Password: mailproof.NewSecret("pw")}
	c.Endpoint.Compress = compress
	w, err := DialWriter(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w, a
}

func outgoing(n int) []mailproof.Outgoing {
	out := make([]mailproof.Outgoing, n)
	for i := range out {
		raw := fmt.Appendf(nil, "Subject: %d\r\n\r\n%s\r\n", i, strings.Repeat("as before ", i*50))
		out[i] = mailproof.Outgoing{Size: int64(len(raw)), Body: bytes.NewReader(raw), Flags: mailproof.NewFlags(`\Seen`, "$Label1", "(bad"), InternalDate: time.Unix(1e9+int64(i), 0)}
	}
	return out
}

// Two batches at once, on every rung of the ladder, with and without
// compression: every message arrives as it was, with the receipts in order.
func TestStartAppend(t *testing.T) {
	for name, hide := range map[string][]string{
		"MULTIAPPEND": nil, "pipelined": {"MULTIAPPEND"}, "one by one": {"MULTIAPPEND", "LITERAL+"}, "waiting": {"LITERAL+"}, "no UIDPLUS": {"UIDPLUS"},
	} {
		for _, compress := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, compressed %v", name, compress), func(t *testing.T) {
				w, a := memWriter(t, imapmem.Options{Hide: hide}, compress)
				all := outgoing(150)
				first, err := w.StartAppend(t.Context(), "INBOX", all[:70], false)
				if err != nil {
					t.Fatal(err)
				}
				second, err := w.StartAppend(t.Context(), "INBOX", all[70:], false)
				if err != nil {
					t.Fatal(err)
				}
				var receipts []mailproof.Receipt
				for _, wait := range []func(context.Context) ([]mailproof.Receipt, error){first, second} {
					r, err := wait(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					receipts = append(receipts, r...)
				}
				stored := a.Messages("INBOX")
				if len(stored) != 150 || len(receipts) != 150 {
					t.Fatalf("%d stored, %d receipts", len(stored), len(receipts))
				}
				for i, m := range stored {
					raw := make([]byte, all[i].Size)
					if _, err := all[i].Body.Seek(0, io.SeekStart); err != nil {
						t.Fatal(err)
					}
					if _, err := io.ReadFull(all[i].Body, raw); err != nil || !bytes.Equal(raw, m.Raw) || m.Flags.String() != `($Label1 \Seen)` || !m.Date.Equal(all[i].InternalDate) {
						t.Fatalf("message %d: %v %s %v", i, err, m.Flags, m.Date)
					}
					if r := receipts[i]; r.Fate != mailproof.FateAdded || name != "no UIDPLUS" && r.UID != m.UID {
						t.Fatalf("message %d: %+v", i, r)
					}
				}
				// What is new can be read over the same connection.
				n := 0
				state, err := w.ReadSince(t.Context(), "INBOX", stored[140].UID, func(uid mailproof.UID, size int64, body io.Reader) error {
					n++
					_, err := io.Copy(io.Discard, body)
					return err
				})
				if err != nil || n != 10 || state.Exists != 150 {
					t.Errorf("%d read, %+v, %v", n, state, err)
				}
				if read, written := w.Traffic(); compress && written > 100_000 || !compress && written < 500_000 {
					t.Errorf("%d octets read, %d written", read, written)
				}
			})
		}
	}
}

// A refused batch is refused as a whole and says so; one by one the answer is
// each message's own, and the connection stays.
func TestStartAppendRefused(t *testing.T) {
	w, a := memWriter(t, imapmem.Options{OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
		if bytes.HasPrefix(raw, []byte("Subject: 7\r\n")) {
			return nil, fmt.Errorf("[LIMIT] message content refused")
		}
		return raw, nil
	}}, false)
	for _, singly := range []bool{false, true} {
		wait, err := w.StartAppend(t.Context(), "INBOX", outgoing(20), singly)
		if err != nil {
			t.Fatal(err)
		}
		receipts, err := wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range receipts {
			refused := !singly || i == 7
			if (r.Fate == mailproof.FateRefused) != refused || r.Whole != !singly || refused && !strings.Contains(r.Err.Error(), "[LIMIT] message content refused") {
				t.Errorf("singly %v, message %d: %+v", singly, i, r)
			}
		}
	}
	if n := len(a.Messages("INBOX")); n != 19 {
		t.Errorf("%d messages", n)
	}
}

// A body that is not as long as was said is never added, and what comes after it
// in the batch was not sent.
func TestStartAppendShortBody(t *testing.T) {
	for _, hide := range [][]string{nil, {"MULTIAPPEND"}} {
		w, a := memWriter(t, imapmem.Options{Hide: hide}, false)
		batch := outgoing(5)
		batch[2].Size++
		wait, err := w.StartAppend(t.Context(), "INBOX", batch, false)
		if err != nil {
			t.Fatal(err)
		}
		receipts, err := wait(t.Context())
		if err == nil {
			t.Fatal("no error")
		}
		for i, r := range receipts[2:] {
			if r.Fate != mailproof.FateNotSent {
				t.Errorf("message %d: %+v", i+2, r)
			}
		}
		if n := len(a.Messages("INBOX")); n > 2 || hide == nil && n > 0 {
			t.Errorf("%d messages", n)
		}
	}
}

func TestAppendUIDs(t *testing.T) {
	for _, tt := range []struct {
		args string
		n    int
		want string
	}{
		{"7 3", 1, "[3]"}, {"7 3:5", 3, "[3 4 5]"}, {"7 3:4,9", 3, "[3 4 9]"}, {"7 3:5", 2, "[]"}, {"7 3", 2, "[]"},
		{"7 5:3", 3, "[]"}, {"7 0", 1, "[]"}, {"7 1:4294967295", 3, "[]"}, {"7 x", 1, "[]"}, {"7", 1, "[]"}, {"", 1, "[]"},
	} {
		if _, got := appendUIDs(status{code: "APPENDUID", args: tt.args}, tt.n); fmt.Sprint(got) != tt.want {
			t.Errorf("%q for %d: %v, want %s", tt.args, tt.n, got, tt.want)
		}
	}
}
