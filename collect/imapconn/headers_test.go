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

// Headers gives the header of each message and nothing else, sets no \Seen,
// and keeps nothing of it in memory, however long it is.
func TestHeaders(t *testing.T) {
	s := imapmem.New(imapmem.Options{})
	if err := s.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	a := s.AddAccount("anna", "pw")
	long := "X-Long: " + strings.Repeat("y", 5<<20)
	want := map[mailproof.UID]string{}
	for i, head := range []string{"Subject: a\r\n\r\n", "\r\n", "Subject: no body", long + "\r\nSubject: long\r\n\r\n", "Subject: 8bit \xe9\x00\r\n\r\n"} {
		body := ""
		if strings.HasSuffix(head, "\r\n\r\n") || head == "\r\n" {
			body = "Subject: not a header\r\n\r\nbody"
		}
		a.Append("INBOX", []byte(head+body), nil, time.Unix(1e9, 0))
		want[mailproof.UID(i+1)] = head
	}
	r, err := DialReader(t.Context(), Config{Endpoint: s.Endpoint("anna"), Password: mailproof.NewSecret("pw")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if _, err := r.Examine(t.Context(), "INBOX"); err != nil {
		t.Fatal(err)
	}
	list := func() (all []mailproof.Metadata) {
		if err := r.Metadata(t.Context(), func(m mailproof.Metadata) error { all = append(all, m); return nil }); err != nil {
			t.Fatal(err)
		}
		return all
	}
	got := map[mailproof.UID]string{}
	unread, err := r.Headers(t.Context(), append(list(), mailproof.Metadata{UID: 99}), func(uid mailproof.UID, size int64, header io.Reader) error {
		b, err := io.ReadAll(header)
		if err == nil && int64(len(b)) != size {
			return fmt.Errorf("%d of %d octets", len(b), size)
		}
		got[uid] = string(b)
		return err
	})
	if err != nil || len(unread) != 1 || unread[99] != ReasonExpunged {
		t.Fatal(unread, err)
	}
	for uid, head := range want {
		if got[uid] != head {
			t.Errorf("uid %d: %d octets, want %d", uid, len(got[uid]), len(head))
		}
	}
	for _, m := range list() {
		if m.Flags.Has(`\Seen`) {
			t.Errorf("uid %d is seen", m.UID)
		}
	}
}

// A header that is cut short by a lost connection is asked for again, and is
// never taken for a whole one.
func TestHeadersCutShort(t *testing.T) {
	cuts := 0
	s := imapmem.New(imapmem.Options{OnFetch: func(_, _ string, uid mailproof.UID, raw []byte) ([]byte, error) {
		if uid == 2 && cuts < 2 {
			cuts++
			return raw, imapmem.ErrCut
		}
		return raw, nil
	}})
	if err := s.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	a := s.AddAccount("anna", "pw")
	head := "Subject: " + strings.Repeat("z", 3000) + "\r\n\r\n"
	for range 3 {
		a.Append("INBOX", []byte(head+"body"), nil, time.Unix(1e9, 0))
	}
	r, err := DialReader(t.Context(), Config{Endpoint: s.Endpoint("anna"), Password: mailproof.NewSecret("pw")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if _, err := r.Examine(t.Context(), "INBOX"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	got := map[mailproof.UID]int{}
	unread, err := r.Headers(ctx, []mailproof.Metadata{{UID: 1}, {UID: 2}, {UID: 3}}, func(uid mailproof.UID, _ int64, header io.Reader) error {
		b, err := io.ReadAll(header)
		if err == nil && !bytes.Equal(b, []byte(head)) {
			t.Errorf("uid %d: %d octets passed as whole", uid, len(b))
		}
		if err == nil {
			got[uid]++
		}
		return err
	})
	if err != nil || len(unread) != 0 || len(got) != 3 || got[2] != 1 || cuts != 2 {
		t.Errorf("%v, %v, %v, %d cuts", got, unread, err, cuts)
	}
}
