package engagement

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// mangled is a destination that makes something of some messages by which nobody
// knows them.
func mangled(hide ...string) imapmem.Options {
	n := 0
	return imapmem.Options{Hide: hide, OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
		if !strings.Contains(string(raw), "number 1") { // and number 10, number 11 …
			return raw, nil
		}
		n++
		return fmt.Appendf(nil, "X: %d\r\n\r\nwhat is left\r\n", n), nil
	}}
}

func (w *between) wantsThere(when string, missing int64, there int) {
	w.Helper()
	c := w.run(nil)
	if v := w.verdictOf(c); v != mailproof.Incomplete || c.Totals.Missing != missing {
		w.Errorf("%s: %v, %d missing, want %d", when, v, c.Totals.Missing, missing)
	}
	if n := len(w.destination.Account("anna").Messages("INBOX")); n != there {
		w.Errorf("%s: %d messages on the destination, want %d", when, n, there)
	}
}

// What a destination made unrecognisable is sent once, whether or not it tells the
// UIDs of what it takes (RFC 4315); and again when its copy is gone, or is another
// message by now. What was not sent yet, under whatever UID, is sent.
func TestUnrecognisableIsSentOnce(t *testing.T) {
	for _, hide := range [][]string{nil, {"UIDPLUS"}, {"UIDPLUS", "CONDSTORE", "MULTIAPPEND"}} {
		t.Run(fmt.Sprint(hide), func(t *testing.T) {
			w := newBetween(t, imapmem.Options{Hide: []string{"CONDSTORE"}}, mangled(hide...))
			src, dst := w.source.Account("anna"), w.destination.Account("anna")
			at := time.Unix(1_700_000_000, 0)
			for i, n := range []int{0, 1, 10, 11, 2} {
				src.Append("INBOX", messageOf(n), nil, at.Add(time.Duration(i/3)*time.Hour)) // three of one moment
			}
			w.wantsThere("at first", 3, 5)
			w.wantsThere("again", 3, 5)
			src.Append("INBOX", messageOf(3), nil, at)
			w.wantsThere("another one of that moment", 3, 6)
			for _, m := range dst.Messages("INBOX") {
				if strings.Contains(string(m.Raw), "X: 2") {
					if err := dst.Remove("INBOX", m.UID); err != nil {
						t.Fatal(err)
					}
				}
			}
			w.wantsThere("a copy was removed", 3, 6)
			src.Append("INBOX", messageOf(12), nil, at)
			w.wantsThere("one more", 4, 7)
			w.wantsThere("in the end", 4, 7)
		})
	}
}

// An append says nothing of another message that is found under the UID of the one
// that was sent.
func TestAppendIsOfAMessage(t *testing.T) {
	w := newBetween(t, imapmem.Options{Hide: []string{"CONDSTORE"}}, mangled())
	at := time.Unix(1_700_000_000, 0)
	w.source.Account("anna").Append("INBOX", messageOf(1), nil, at)
	w.wantsThere("at first", 1, 1)
	restored := imapmem.New(imapmem.Options{Hide: []string{"CONDSTORE"}})
	restored.AddAccount("anna", "pw")
	restored.Account("anna").Append("INBOX", messageOf(5), nil, at.Add(time.Hour))
	if err := restored.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { restored.Close() })
	w.options.Accounts[0].Source = restored.Endpoint("anna")
	if v := w.verdictOf(w.run(nil)); v != mailproof.Complete {
		t.Errorf("another message under the UID: %v", v)
	}
}

// Nor does it stand for what the destination has under the UID since.
func TestPlaceWasTaken(t *testing.T) {
	w := newBetween(t, imapmem.Options{}, mangled("CONDSTORE"))
	at := time.Unix(1_700_000_000, 0)
	w.source.Account("anna").Append("INBOX", messageOf(0), nil, at)
	w.source.Account("anna").Append("INBOX", messageOf(1), nil, at)
	w.wantsThere("at first", 1, 2)
	restored := imapmem.New(mangled("CONDSTORE"))
	restored.AddAccount("anna", "pw")
	restored.Account("anna").Append("INBOX", messageOf(0), nil, at)
	restored.Account("anna").Append("INBOX", messageOf(5), nil, at.Add(time.Hour)) // came there since
	if err := restored.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { restored.Close() })
	w.destination, w.options.Accounts[0].Destination = restored, restored.Endpoint("anna")
	w.wantsThere("another message under the UID", 1, 3)
	w.wantsThere("again", 1, 3)
}
