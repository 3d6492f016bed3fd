package imapconn

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// A copy on the server is what was appended, with its date; the receipts go by
// the UIDs that were asked for, whatever the order of the server. What is not
// there any more is told from what was copied.
func TestCopyMessages(t *testing.T) {
	servers := map[string]Config{}
	s := imapmem.New(imapmem.GmailLike())
	s.AddAccount("anna", "pw")
	if err := s.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	e, err := mailproof.ParseEndpoint("imap://anna@" + s.Addr() + "?tls=none")
	if err != nil {
		t.Fatal(err)
	}
	servers["embedded"] = Config{Endpoint: e, Password: mailproof.NewSecret("pw")}
	t.Run("embedded", func(t *testing.T) { copies(t, servers["embedded"]) })
	t.Run("real", func(t *testing.T) {
		for name, config := range realServers(t) {
			t.Run(name, func(t *testing.T) { copies(t, config) })
		}
	})
}

func copies(t *testing.T, c Config) {
	ctx := t.Context()
	w, err := DialWriter(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	boxes, err := w.Mailboxes(ctx)
	if err != nil {
		t.Fatal(err)
	}
	target := boxes[0].Prefix + "Über & mehr"
	if err := w.Create(ctx, target, ""); err != nil {
		t.Fatal(err)
	}
	date := time.Date(2019, 2, 28, 23, 59, 58, 0, time.UTC)
	bodies := map[mailproof.UID][]byte{}
	var uids []mailproof.UID
	var validity uint32
	for i := range 4 {
		body := fmt.Appendf(nil, "From: a@example.com\r\nSubject: message %d\r\n\r\ntext\r\n", i)
		v, uid, err := w.Append(ctx, "INBOX", mailproof.NewFlags(`\Seen`), date, int64(len(body)), bytes.NewReader(body))
		if err != nil || uid == 0 {
			t.Fatal(uid, err)
		}
		validity, bodies[uid], uids = v, body, append([]mailproof.UID{uid}, uids...)
	}
	gone := uids[0] + 1000
	asked := append(uids, gone)
	receipts, err := w.CopyMessages(ctx, "INBOX", validity, asked, target)
	if err != nil || len(receipts) != len(asked) {
		t.Fatal(receipts, err)
	}
	want := map[mailproof.UID][]byte{}
	for i, r := range receipts {
		switch {
		case asked[i] == gone:
			if r.Fate == mailproof.FateAdded {
				t.Errorf("a message that is not there: %+v", r)
			}
		case r.Fate != mailproof.FateAdded || r.UID == 0 || r.UIDValidity == 0:
			t.Errorf("uid %d: %+v", asked[i], r)
		default:
			want[r.UID] = bodies[asked[i]]
		}
	}
	_, err = w.ReadSince(ctx, target, 1, func(uid mailproof.UID, _ int64, body io.Reader) error {
		got, err := io.ReadAll(body)
		if !bytes.Equal(got, want[uid]) {
			t.Errorf("uid %d is %q, want %q", uid, got, want[uid])
		}
		delete(want, uid)
		return err
	})
	if err != nil || len(want) > 0 {
		t.Errorf("%d are missing, %v", len(want), err)
	}
	r, err := DialReader(ctx, c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Examine(ctx, target); err != nil {
		t.Fatal(err)
	}
	if err := r.Metadata(ctx, func(md mailproof.Metadata) error {
		if !md.InternalDate.Equal(date) || !md.Flags.Has(`\Seen`) {
			t.Errorf("uid %d: %s, %s", md.UID, md.InternalDate, md.Flags)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
	// What cannot be done is refused, and the connection goes on.
	for name, tt := range map[string]struct {
		validity uint32
		target   string
		is       error
	}{
		"UIDVALIDITY": {validity + 1, target, ErrUIDValidityChanged},
		"no mailbox":  {validity, boxes[0].Prefix + "Nowhere", nil},
	} {
		receipts, err := w.CopyMessages(ctx, "INBOX", tt.validity, uids, tt.target)
		if err != nil || receipts[0].Fate != mailproof.FateRefused || receipts[0].Err == nil || tt.is != nil && !errors.Is(receipts[0].Err, tt.is) {
			t.Errorf("%s: %+v, %v", name, receipts, err)
		}
	}
}

func TestCopyUIDs(t *testing.T) {
	for _, tt := range []struct {
		args string
		most int
		want map[mailproof.UID]mailproof.UID
	}{
		{"7 3,1 10:11", 2, map[mailproof.UID]mailproof.UID{3: 10, 1: 11}},
		{"7 5:3 8,9,4", 3, map[mailproof.UID]mailproof.UID{3: 8, 4: 9, 5: 4}},
		{"7 1 2", 5, map[mailproof.UID]mailproof.UID{1: 2}},
		{"7 1:4294967295 1:4294967295", 3, nil},
		{"7 1,2 3", 2, nil},
		{"7 1,2,3 3,4,5", 2, nil},
		{"0 1 2", 1, nil},
		{"7 0 2", 1, nil},
		{"7 * 2", 1, nil},
		{"7 1", 1, nil},
		{"", 1, nil},
	} {
		_, got := copyUIDs(status{code: "COPYUID", args: tt.args}, tt.most)
		if fmt.Sprint(got) != fmt.Sprint(tt.want) || (got == nil) != (tt.want == nil) {
			t.Errorf("%q: %v, want %v", tt.args, got, tt.want)
		}
	}
	if _, got := copyUIDs(status{}, 1); got != nil {
		t.Error(got)
	}
}

func FuzzCopyUIDs(f *testing.F) {
	f.Add("7 1:3 4:6")
	f.Fuzz(func(t *testing.T, args string) {
		if _, got := copyUIDs(status{code: "COPYUID", args: args}, 100); len(got) > 100 {
			t.Errorf("%d of 100", len(got))
		}
	})
}
