package engagement

import (
	"context"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/ledger"
)

// shelf is an inventory in memory.
type shelf struct {
	scan  mailproof.Scan
	boxes []mailproof.MailboxScan
	rows  []mailproof.Row
}

func (s *shelf) Scan() mailproof.Scan               { return s.scan }
func (s *shelf) Mailboxes() []mailproof.MailboxScan { return s.boxes }
func (s *shelf) Rows(context.Context, mailproof.Tier) iter.Seq2[mailproof.Row, error] {
	return func(yield func(mailproof.Row, error) bool) {
		for _, r := range s.rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}
func (s *shelf) Message(context.Context, int64) (mailproof.Message, error) {
	return mailproof.Message{}, fmt.Errorf("not asked for")
}

// Each of the conditions by itself keeps a message: the one that meets all of
// them is deleted, and as soon as one does not hold nothing is.
func TestDeletable(t *testing.T) {
	state := mailproof.MailboxState{UIDValidity: 7, UIDNext: 10, Exists: 1}
	box := func(name string) mailproof.MailboxScan {
		return mailproof.MailboxScan{Mailbox: mailproof.Mailbox{Name: name}, Before: state, After: state, Complete: true, Present: 1}
	}
	hashes := func(n byte) (h [mailproof.NumTiers]mailproof.Hash) {
		for i := range h {
			h[i] = mailproof.Hash{n, byte(i)}
		}
		return h
	}
	type stage struct {
		src, dst *shelf
		step     ledger.JournalEntry
		more     []ledger.JournalEntry
	}
	for name, change := range map[string]func(*stage){
		"":                              func(*stage) {},
		"never appended by us":          func(s *stage) { s.step.UID = 4 },
		"a claim without UID":           func(s *stage) { s.step.UID = 0 },
		"another UIDVALIDITY":           func(s *stage) { s.step.UIDValidity = 8 },
		"claimed twice":                 func(s *stage) { s.more = append(s.more, s.step) },
		"claimed twice, once in vain":   func(s *stage) { x := s.step; x.Step.T0 = mailproof.Hash{}; s.more = append(s.more, x) },
		"refused":                       func(s *stage) { s.step.State = mailproof.StepRefused },
		"other octets":                  func(s *stage) { s.step.Step.T0 = mailproof.Hash{99} },
		"seen before we copied":         func(s *stage) { s.dst.rows[0].FirstPass = 2 },
		"not read on the destination":   func(s *stage) { s.dst.rows[0].State = mailproof.Unread },
		"destination not read":          func(s *stage) { s.dst.scan.State = mailproof.PassFailed },
		"source not read":               func(s *stage) { s.src.scan.State = mailproof.PassFailed },
		"source read before the copy":   func(s *stage) { s.src.scan.Pass = 3 },
		"a source folder not read":      func(s *stage) { s.src.boxes[1].Complete = false },
		"a source folder drifted":       func(s *stage) { s.src.boxes[0].Drifted = true },
		"a source folder left out":      func(s *stage) { s.src.boxes[1].Excluded = "Junk" },
		"source folder gone":            func(s *stage) { s.src.boxes[0].Name = "Renamed" },
		"source folder renumbered":      func(s *stage) { s.step.Step.Source.UIDValidity = 6 },
		"still there":                   func(s *stage) { s.src.rows[0].UID = 5; s.src.rows[0].Mailbox = 0 },
		"same content elsewhere":        func(s *stage) { s.src.rows[0].Hashes[0] = hashes(1)[0] },
		"same Message-ID elsewhere":     func(s *stage) { s.src.rows[0].Hashes[mailproof.T3-1] = hashes(1)[mailproof.T3-1] },
		"a source message not read":     func(s *stage) { s.src.rows[0].State = mailproof.Unread },
		"a source message unreadable":   func(s *stage) { s.src.rows[0].State = mailproof.Unreadable },
		"an empty source":               func(s *stage) { s.src.rows = nil },
		"no message of the destination": func(s *stage) { s.dst.rows = nil },
	} {
		s := &stage{
			src: &shelf{scan: mailproof.Scan{Pass: 5, State: mailproof.PassDone, Side: mailproof.Source}, boxes: []mailproof.MailboxScan{box("INBOX"), box("Work")},
				rows: []mailproof.Row{{ID: 1, Mailbox: 1, UID: 3, State: mailproof.Read, Hashes: hashes(2), FirstPass: 1}}},
			dst: &shelf{scan: mailproof.Scan{Pass: 6, State: mailproof.PassDone, Side: mailproof.Destination}, boxes: []mailproof.MailboxScan{box("INBOX")},
				rows: []mailproof.Row{{ID: 2, UID: 9, State: mailproof.Read, Hashes: hashes(1), FirstPass: 4, Octets: 12}}},
		}
		s.step = ledger.JournalEntry{Pass: 3, StepResult: mailproof.StepResult{State: mailproof.StepDone, UIDValidity: 7, UID: 9, Step: mailproof.Step{
			Kind: mailproof.AppendMessage, Account: "anna", Target: "INBOX", T0: hashes(1)[0], Source: mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: "INBOX", UIDValidity: 7, UID: 5},
		}}}
		change(s)
		list, because, err := deletable(t.Context(), s.src, s.dst, append([]ledger.JournalEntry{s.step}, s.more...))
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		if name == "" {
			want = 1
		}
		if len(list) != want {
			t.Errorf("%q: %d messages would be deleted, want %d (%s)", name, len(list), want, because)
		}
	}
}

// Of two accounts that go into one mailbox of the destination, what the one deleted
// on its source stays where the other one has it.
func TestSharedIsNotDeleted(t *testing.T) {
	w := newBetween(t, imapmem.Options{}, imapmem.Options{})
	w.source.AddAccount("bob", "pw")
	anna := w.options.Accounts[0]
	bob := anna
	bob.Name, bob.Source = "bob", w.source.Endpoint("bob")
	at := time.Unix(1_700_000_000, 0)
	for i := range 3 {
		w.source.Account("anna").Append("INBOX", messageOf(i), nil, at)
	}
	w.source.Account("bob").Append("INBOX", messageOf(0), nil, at)
	run := func(a Account) {
		w.options.Accounts, w.options.Roster = []Account{a}, []string{a.Name}
		w.run(nil)
	}
	run(anna)
	w.destination.Account("anna").Append("INBOX", messageOf(9), nil, at)
	run(bob)
	if n := len(w.destination.Account("anna").Messages("INBOX")); n != 4 {
		t.Fatalf("%d messages on the destination, want 4", n)
	}
	w.source.Account("anna").Append("INBOX", messageOf(7), nil, at) // bob does not have it
	run(anna)
	for _, uid := range []mailproof.UID{1, 4} {
		if err := w.source.Account("anna").Remove("INBOX", uid); err != nil {
			t.Fatal(err)
		}
	}
	run(anna)
	w.with(nil, func(e *Engagement) {
		plans, err := e.DeletionPlans(t.Context())
		if err != nil || len(plans) != 1 {
			t.Fatal(plans, err)
		}
		if list := plans[0].Messages; len(list) != 1 || list[0].Source.UID != 4 {
			t.Errorf("%+v would be deleted, want the copy of uid 4 alone", list)
		}
	})
}
