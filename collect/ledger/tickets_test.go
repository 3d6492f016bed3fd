package ledger

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

func numberedStep(uid mailproof.UID) mailproof.Step {
	return mailproof.Step{Kind: mailproof.AppendMessage, Account: "anna", Target: "Sent", Size: int64(uid), T0: mailproof.Hash{1, byte(uid)},
		Flags: mailproof.NewFlags(`\Seen`), InternalDate: time.Unix(1e9+int64(uid), 0).UTC(),
		Source: mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: "Sent", UIDValidity: 5, UID: uid}}
}

// Steps that were intended together are the same entries as those intended one
// by one; results find them by ticket, and what has none stays pending.
func TestTickets(t *testing.T) {
	ctx := t.Context()
	l := must[*Ledger](t)(Open(ctx, filepath.Join(t.TempDir(), "l.db")))
	defer l.Close()
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.CopyPass, Started: time.Now()}))
	var steps []mailproof.Step
	for uid := range mailproof.UID(137) { // two statements of fifty rows, and then row by row
		steps = append(steps, numberedStep(uid+1))
	}
	tickets := must[[]int64](t)(l.IntendAll(ctx, pass, steps))
	if len(tickets) != len(steps) {
		t.Fatalf("%d tickets", len(tickets))
	}
	results := make([]mailproof.StepResult, len(steps))
	for i, s := range steps {
		results[i] = mailproof.StepResult{Step: s, State: mailproof.StepDone, UIDValidity: 9, UID: mailproof.UID(1000 + i), Octets: s.Size}
	}
	results[3].State, results[3].Reason = mailproof.StepRefused, "[LIMIT] no"
	// The last ten were never answered, one was never intended.
	if err := l.RecordAll(ctx, pass, append(slices.Clone(tickets[:127]), 0), append(slices.Clone(results[:127]), mailproof.StepResult{Step: numberedStep(500), State: mailproof.StepRefused, Reason: "too large"})); err != nil {
		t.Fatal(err)
	}
	if err := l.EndPass(ctx, pass, mailproof.PassFailed, "cut off", 127, 0); err != nil {
		t.Fatal(err)
	}
	n := 0
	for e, err := range l.Steps(ctx, StepFilter{Pass: pass}) {
		if err != nil {
			t.Fatal(err)
		}
		want := mailproof.StepResult{Step: numberedStep(500), State: mailproof.StepRefused, Reason: "too large"}
		if n < len(steps) {
			want = mailproof.StepResult{Step: steps[n]}
		}
		if n < 127 {
			want = results[n]
		}
		if got := e.StepResult; got.State != want.State || got.Reason != want.Reason || got.UID != want.UID || got.Step.Source != want.Step.Source || got.Step.T0 != want.Step.T0 || !got.Step.InternalDate.Equal(want.Step.InternalDate) || !got.Step.Flags.Equal(want.Step.Flags) {
			t.Fatalf("entry %d: %+v, want %+v", n, got, want)
		}
		n++
	}
	pending := 0
	for _, err := range l.Intended(ctx, "anna") {
		if err != nil {
			t.Fatal(err)
		}
		pending++
	}
	if n != 138 || pending != 10 {
		t.Errorf("%d entries, %d pending", n, pending)
	}
	if last := must[mailproof.PassID](t)(l.LastCopy(ctx, "anna")); last != pass {
		t.Errorf("last copy %d, want %d", last, pass)
	}
	if last := must[mailproof.PassID](t)(l.LastCopy(ctx, "nobody")); last != 0 {
		t.Errorf("last copy of nobody: %d", last)
	}
}

// A mailbox is unchanged only in the very state in which a pass that knew all
// of it left it.
func TestUnchanged(t *testing.T) {
	box := mailproof.Mailbox{Name: "INBOX", Separator: "/"}
	state := mailproof.MailboxState{UIDValidity: 7, UIDNext: 4, Exists: 2, HighestModSeq: 30}
	for _, tt := range []struct {
		name string
		// change spoils what is otherwise unchanged.
		change func(scan *mailproof.MailboxScan, messages []mailproof.Message, now *mailproof.MailboxState)
		want   bool
	}{
		{"unchanged", func(*mailproof.MailboxScan, []mailproof.Message, *mailproof.MailboxState) {}, true},
		{"a flag changed", func(_ *mailproof.MailboxScan, _ []mailproof.Message, now *mailproof.MailboxState) {
			now.HighestModSeq++
		}, false},
		{"one arrived and one went", func(_ *mailproof.MailboxScan, _ []mailproof.Message, now *mailproof.MailboxState) { now.UIDNext++ }, false},
		{"one went", func(_ *mailproof.MailboxScan, _ []mailproof.Message, now *mailproof.MailboxState) { now.Exists-- }, false},
		{"no CONDSTORE", func(s *mailproof.MailboxScan, _ []mailproof.Message, now *mailproof.MailboxState) {
			s.Before.HighestModSeq, s.After.HighestModSeq, now.HighestModSeq = 0, 0, 0
		}, false},
		{"new UIDVALIDITY", func(_ *mailproof.MailboxScan, _ []mailproof.Message, now *mailproof.MailboxState) { now.UIDValidity++ }, false},
		{"not complete", func(s *mailproof.MailboxScan, _ []mailproof.Message, _ *mailproof.MailboxState) { s.Complete = false }, false},
		{"drifted", func(s *mailproof.MailboxScan, _ []mailproof.Message, _ *mailproof.MailboxState) { s.Drifted = true }, false},
		{"failed", func(s *mailproof.MailboxScan, _ []mailproof.Message, _ *mailproof.MailboxState) { s.Error = "cut off" }, false},
		{"a flag changed while it was read", func(s *mailproof.MailboxScan, _ []mailproof.Message, _ *mailproof.MailboxState) {
			s.Before.HighestModSeq--
		}, false},
		{"fewer listed than there are", func(s *mailproof.MailboxScan, _ []mailproof.Message, _ *mailproof.MailboxState) { s.Present = 1 }, false},
		{"one could not be read", func(_ *mailproof.MailboxScan, m []mailproof.Message, _ *mailproof.MailboxState) {
			m[1] = mailproof.Message{MessageKey: m[1].MessageKey, Metadata: m[1].Metadata, State: mailproof.Unreadable, Reason: "NO"}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ctx := t.Context()
			l := must[*Ledger](t)(Open(ctx, filepath.Join(t.TempDir(), "l.db")))
			defer l.Close()
			scan := mailproof.MailboxScan{Mailbox: box, Before: state, After: state, Complete: true, Present: 2}
			var messages []mailproof.Message
			for _, uid := range []mailproof.UID{1, 3} {
				key := mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: "INBOX", UIDValidity: 7, UID: uid}
				messages = append(messages, mailproof.Message{MessageKey: key, Metadata: mailproof.Metadata{UID: uid, Size: 1}, State: mailproof.Read,
					Fingerprint: mailproof.Fingerprint{Octets: 1, Hashes: [mailproof.NumTiers]mailproof.Hash{{byte(uid)}}}})
			}
			current := state
			tt.change(&scan, messages, &current)
			begin := func(before mailproof.MailboxState) (*MailboxWriter, func()) {
				pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull, Started: time.Now()}))
				s := mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source, Started: time.Now()}
				if err := l.BeginScan(ctx, s); err != nil {
					t.Fatal(err)
				}
				w := must[*MailboxWriter](t)(l.BeginMailbox(ctx, pass, "anna", mailproof.Source, box, before))
				return w, func() {
					s.State, s.Finished = mailproof.PassDone, time.Now()
					if err := l.EndScan(ctx, s); err != nil {
						t.Fatal(err)
					}
				}
			}
			w, end := begin(scan.Before)
			for _, m := range messages {
				if err := w.Add(ctx, m); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.End(ctx, scan.After, scan); err != nil {
				t.Fatal(err)
			}
			end()
			w, _ = begin(current)
			if present, ok, err := w.Unchanged(ctx); err != nil || ok != tt.want || ok && present != 2 {
				t.Errorf("%d, %v, %v; want %v", present, ok, err, tt.want)
			}
		})
	}
}

// An account was written to and not read where a pass sent something since the
// last reading of its destination, and not where one had nothing to send.
func TestWrittenUnread(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	want := func(when string, names ...string) {
		t.Helper()
		got := must[map[string]bool](t)(l.WrittenUnread(ctx, []string{"anna", "bob", "carl"}))
		if g := slices.Sorted(maps.Keys(got)); !slices.Equal(g, names) {
			t.Errorf("%s: %q, want %q", when, g, names)
		}
	}
	copied := func(pass mailproof.PassID, account string) {
		step := mailproof.Step{Kind: mailproof.AppendMessage, Account: account, Target: "INBOX", Source: mailproof.MessageKey{Side: mailproof.Source, Account: account, Mailbox: "INBOX", UIDValidity: 1, UID: 1}}
		must[[]int64](t)(l.IntendAll(ctx, pass, []mailproof.Step{step}))
	}
	for _, account := range []string{"anna", "bob", "dora"} {
		load(t, l, account, mailproof.Source, 1)
		load(t, l, account, mailproof.Destination, 1)
	}
	load(t, l, "carl", mailproof.Source, 1) // whose destination nobody has read
	want("read")
	pass := begin(t, l, mailproof.CopyPass)
	for _, account := range []string{"anna", "bob", "carl", "dora"} {
		ok(t, l.BeginCopy(ctx, pass, account))
	}
	want("nothing was sent")
	for _, account := range []string{"anna", "carl", "dora"} {
		copied(pass, account)
	}
	want("about to be sent", "anna")
	copied(begin(t, l, mailproof.CopyPass), "bob")
	want("and another", "anna", "bob")
	load(t, l, "anna", mailproof.Source, 1)
	want("the source was read", "anna", "bob")
	load(t, l, "anna", mailproof.Destination, 1)
	want("read again", "bob")
	ok(t, l.BeginCopy(ctx, begin(t, l, mailproof.CopyPass), "anna"))
	want("nothing was sent since", "bob")
}
