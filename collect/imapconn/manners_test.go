package imapconn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

func embedded(t *testing.T, o imapmem.Options) (*imapmem.Account, Config) {
	t.Helper()
	s := imapmem.New(o)
	a := s.AddAccount("anna", "pw")
	if err := s.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	e, err := mailproof.ParseEndpoint("imap://anna@" + s.Addr() + "?tls=none")
	if err != nil {
		t.Fatal(err)
	}
	return a, Config{Endpoint: e, Password: mailproof.NewSecret("pw")}
}

func uidsOf(a *imapmem.Account, folder string) (uids []mailproof.UID) {
	for _, m := range a.Messages(folder) {
		uids = append(uids, m.UID)
	}
	return uids
}

// Exactly the given messages go, whatever else is marked as deleted; under
// another UIDVALIDITY or without UIDPLUS none does.
func TestExpunge(t *testing.T) {
	a, c := embedded(t, imapmem.Options{})
	for i := range 6 {
		a.Append("INBOX", fmt.Appendf(nil, "Subject: %d\r\n\r\n", i), mailproof.NewFlags(`\Deleted`), time.Unix(1e9, 0))
	}
	w, err := DialWriter(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	state, err := w.State(t.Context(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Expunge(t.Context(), "INBOX", state.UIDValidity+1, []mailproof.UID{1}); !errors.Is(err, ErrUIDValidityChanged) {
		t.Errorf("another UIDVALIDITY: %v", err)
	}
	if err := w.Expunge(t.Context(), "INBOX", state.UIDValidity, []mailproof.UID{2, 5}); err != nil {
		t.Fatal(err)
	}
	if err := w.Expunge(t.Context(), "INBOX", state.UIDValidity, nil); err != nil {
		t.Error(err)
	}
	if got := uidsOf(a, "INBOX"); !slices.Equal(got, []mailproof.UID{1, 3, 4, 6}) {
		t.Errorf("%v are left", got)
	}
	for _, command := range []string{"EXPUNGE", "CLOSE"} {
		if n := a.Activity().Commands[command]; n != 0 {
			t.Errorf("%d times %s", n, command)
		}
	}

	b, c := embedded(t, imapmem.Options{Hide: []string{"UIDPLUS"}})
	b.Append("INBOX", []byte("Subject: x\r\n\r\n"), nil, time.Unix(1e9, 0))
	w2, err := DialWriter(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer w2.Close()
	if err := w2.Expunge(t.Context(), "INBOX", 1, []mailproof.UID{1}); !errors.Is(err, ErrNoUIDPlus) || b.Activity().Writes != 0 {
		t.Errorf("without UIDPLUS: %v, %d writes", err, b.Activity().Writes)
	}
}

// An idle connection is kept with NOOP: it goes on talking by itself.
func TestKeepAlive(t *testing.T) {
	_, c := embedded(t, imapmem.Options{})
	c.KeepAlive = 10 * time.Millisecond
	w, err := DialWriter(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	_, last := w.Traffic()
	for grown := 0; grown < 3; {
		if t.Context().Err() != nil {
			t.Fatal("nothing is sent")
		}
		time.Sleep(time.Millisecond) // a poll: the loop ends when it was seen, not by the clock
		if _, now := w.Traffic(); now > last {
			grown, last = grown+1, now
		}
	}
}

// A server that asks for patience gets as long as it names, and not less; whoever
// watches is told. The limit of a day is not asked about twice.
func TestRetryIsPatient(t *testing.T) {
	n := 0
	_, c := embedded(t, imapmem.Options{OnCommand: func(_, command string) error {
		if command == "LIST" {
			if n++; n <= 6 {
				return &imapmem.ByeError{Reply: "Request is throttled. Suggested Backoff Time: 70 milliseconds"}
			}
		}
		return nil
	}})
	var told []time.Duration
	c.Waiting = func(_ error, d time.Duration) { told = append(told, d) }
	r, err := DialReader(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Mailboxes(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(told) != 6 || slices.ContainsFunc(told, func(d time.Duration) bool { return d < 70*time.Millisecond }) {
		t.Errorf("waited %v", told)
	}

	asked := 0
	_, c = embedded(t, imapmem.Options{OnCommand: func(_, command string) error {
		if command == "EXAMINE" {
			asked++
			return errors.New("[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)")
		}
		return nil
	}})
	r2, err := DialReader(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer r2.Close()
	if _, err := r2.Examine(context.Background(), "INBOX"); mailproof.ThrottleOf(err).Kind != mailproof.ThrottleDaily || asked != 1 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}
