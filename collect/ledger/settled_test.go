package ledger

import (
	"testing"

	"github.com/mailproof/mailproof"
)

// looked records a scan of one side of an account as a pass of its own, of
// mailboxes that were found in the given states and held still.
func looked(t *testing.T, l *Ledger, account string, side mailproof.Side, boxes ...mailproof.MailboxScan) mailproof.PassID {
	t.Helper()
	ctx := t.Context()
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: side, Depth: mailproof.DepthFull}))
	scan := mailproof.Scan{Pass: pass, Account: account, Side: side}
	ok(t, l.BeginScan(ctx, scan))
	for _, b := range boxes {
		w := must[*MailboxWriter](t)(l.BeginMailbox(ctx, pass, account, side, b.Mailbox, b.Before))
		ok(t, w.End(ctx, b.After, b))
	}
	scan.State = mailproof.PassDone
	ok(t, l.EndScan(ctx, scan))
	ok(t, l.EndPass(ctx, pass, mailproof.PassDone, "", 0, 0))
	return pass
}

// still is a mailbox of two messages that held still.
func still(name string, modseq uint64) mailproof.MailboxScan {
	state := mailproof.MailboxState{UIDValidity: 1, UIDNext: 3, Exists: 2, HighestModSeq: modseq}
	return mailproof.MailboxScan{Mailbox: mailproof.Mailbox{Name: name}, Before: state, After: state, Complete: true, Present: 2}
}

// settle notes an empty plan for an account whose two sides are in such states.
func settle(t *testing.T, l *Ledger, account string) {
	t.Helper()
	source := looked(t, l, account, mailproof.Source, still("INBOX", 9), still("Sent", 4))
	destination := looked(t, l, account, mailproof.Destination, still("INBOX", 7))
	ok(t, l.NoteSettled(t.Context(), account, source, destination, "rules"))
}

// A plan is known to be empty only as long as nothing that it rests on has changed.
func TestSettled(t *testing.T) {
	source, destination := []mailproof.MailboxScan{still("INBOX", 9), still("Sent", 4)}, []mailproof.MailboxScan{still("INBOX", 7)}
	with := func(change func(*mailproof.MailboxScan)) []mailproof.MailboxScan {
		s := still("Sent", 4)
		change(&s)
		return []mailproof.MailboxScan{still("INBOX", 9), s}
	}
	for name, tt := range map[string]struct {
		source, destination []mailproof.MailboxScan
		rules               string
		between             func(l *Ledger)
		want                bool
	}{
		"nothing":            {want: true},
		"other rules":        {rules: "others"},
		"a flag":             {destination: []mailproof.MailboxScan{still("INBOX", 8)}},
		"a folder more":      {destination: []mailproof.MailboxScan{still("INBOX", 7), still("New", 1)}},
		"a folder less":      {source: source[:1]},
		"a folder renamed":   {source: []mailproof.MailboxScan{source[0], still("Sent Items", 4)}},
		"subscribed":         {source: with(func(s *mailproof.MailboxScan) { s.Subscribed = true })},
		"a special use":      {source: with(func(s *mailproof.MailboxScan) { s.SpecialUse = mailproof.UseSent })},
		"another mailbox":    {source: with(func(s *mailproof.MailboxScan) { s.Before.UIDValidity, s.After.UIDValidity = 2, 2 })},
		"a message":          {source: with(func(s *mailproof.MailboxScan) { s.After.UIDNext, s.After.Exists, s.Present = 4, 3, 3 })},
		"drifted":            {source: with(func(s *mailproof.MailboxScan) { s.Drifted = true })},
		"a change meanwhile": {source: with(func(s *mailproof.MailboxScan) { s.Before.HighestModSeq = 3 })},
		"not read whole":     {source: with(func(s *mailproof.MailboxScan) { s.Complete = false })},
		"could not be read":  {source: with(func(s *mailproof.MailboxScan) { s.Error = "refused" })},
		"no CONDSTORE":       {source: with(func(s *mailproof.MailboxScan) { s.Before.HighestModSeq, s.After.HighestModSeq = 0, 0 })},
		"a base that is older": {between: func(l *Ledger) {
			// A copy that began before the plan was made ends behind it.
			ok(t, l.EndCopy(t.Context(), 2, "anna"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l := openBench(t)
			looked(t, l, "anna", mailproof.Source, source...)
			begin(t, l, mailproof.CopyPass)
			settle(t, l, "anna")
			settle(t, l, "otto") // of whom nothing is asked
			if tt.between != nil {
				tt.between(l)
			}
			if tt.source == nil {
				tt.source = source
			}
			if tt.destination == nil {
				tt.destination = destination
			}
			if tt.rules == "" {
				tt.rules = "rules"
			}
			s, d := looked(t, l, "anna", mailproof.Source, tt.source...), looked(t, l, "anna", mailproof.Destination, tt.destination...)
			if got := must[bool](t)(l.Settled(t.Context(), "anna", s, d, tt.rules)); got != tt.want {
				t.Errorf("%v", got)
			}
		})
	}
}
