package ledger

import (
	"errors"
	"iter"
	"reflect"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

func collected[T any](t *testing.T, seq iter.Seq2[T, error]) []T {
	t.Helper()
	var all []T
	for v, err := range seq {
		ok(t, err)
		all = append(all, v)
	}
	return all
}

func appendStep(uid mailproof.UID, target string) mailproof.Step {
	return mailproof.Step{Kind: mailproof.AppendMessage, Account: "anna", Target: target, Source: keyOf(mailproof.Source, uid),
		InternalDate: time.Unix(1e9, 0).In(time.FixedZone("", 7200)), Flags: mailproof.NewFlags(`\Seen`, "$Forwarded"), Size: 7, T0: mailproof.Hash{1, 2}}
}

func TestJournalRoundTrip(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	pass := begin(t, l, mailproof.CopyPass)
	steps := []mailproof.Step{
		{Kind: mailproof.CreateMailbox, Account: "anna", Target: "Gesendet/ü", SpecialUse: mailproof.UseSent},
		{Kind: mailproof.SubscribeMailbox, Account: "anna", Target: "Gesendet/ü"},
		appendStep(5, "INBOX"),
		{Kind: mailproof.StoreFlags, Account: "anna", Target: "INBOX", Destination: keyOf(mailproof.Destination, 1<<32-1), AddFlags: mailproof.NewFlags(`\Flagged`), RemoveFlags: mailproof.NewFlags(`\Seen`)},
	}
	ok(t, l.Intend(ctx, pass, steps))
	finished := time.Unix(5, 6).UTC()
	results := []mailproof.StepResult{
		{Step: steps[0], State: mailproof.StepDone, Finished: finished},
		{Step: steps[2], State: mailproof.StepRefused, Reason: "[TOOBIG] no \x00", Octets: 9, Finished: finished},
		{Step: steps[3], State: mailproof.StepDone, UIDValidity: 1<<32 - 1, UID: 1<<32 - 2, Finished: finished},
	}
	ok(t, l.Record(ctx, pass, results))
	got := collected(t, l.Steps(ctx, StepFilter{}))
	want := []mailproof.StepResult{results[0], {Step: steps[1]}, results[1], results[2]}
	for i := range got {
		if got[i].Pass != pass || got[i].Intended.IsZero() {
			t.Errorf("entry %+v", got[i])
		}
		if !got[i].Step.InternalDate.Equal(want[i].Step.InternalDate) || got[i].Step.InternalDate.Format(time.RFC3339) != want[i].Step.InternalDate.Format(time.RFC3339) {
			t.Errorf("date %v, want %v", got[i].Step.InternalDate, want[i].Step.InternalDate)
		}
		for _, s := range []*mailproof.StepResult{&got[i].StepResult, &want[i]} {
			s.Step.InternalDate = time.Time{}
			if s.Step.Flags == nil {
				s.Step.Flags = mailproof.Flags{}
			}
		}
	}
	for i := range want {
		if w, g := want[i], got[i].StepResult; !g.Step.Flags.Equal(w.Step.Flags) || !g.Step.AddFlags.Equal(w.Step.AddFlags) || !g.Step.RemoveFlags.Equal(w.Step.RemoveFlags) {
			t.Errorf("flags of %+v, want %+v", g, w)
		} else {
			g.Step.Flags, g.Step.AddFlags, g.Step.RemoveFlags = nil, nil, nil
			w.Step.Flags, w.Step.AddFlags, w.Step.RemoveFlags = nil, nil, nil
			if !reflect.DeepEqual(g, w) {
				t.Errorf("step %d:\n%+v, want\n%+v", i, g, w)
			}
		}
	}
}

// states tells the state of each entry by the UID of its source message.
func states(entries []JournalEntry) map[mailproof.UID]mailproof.StepState {
	m := map[mailproof.UID]mailproof.StepState{}
	for _, e := range entries {
		m[e.Step.Source.UID] = e.State
	}
	return m
}

// A crash leaves intentions without a result; what was tried again since is no
// longer open.
func TestIntendedAfterACrash(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	first := begin(t, l, mailproof.CopyPass)
	var steps []mailproof.Step
	for uid := range mailproof.UID(5) {
		steps = append(steps, appendStep(uid+1, "INBOX"))
	}
	other := appendStep(1, "INBOX")
	other.Account = "bert"
	ok(t, l.Intend(ctx, first, append(steps, other)))
	ok(t, l.RecordStep(ctx, first, mailproof.StepResult{Step: steps[0], State: mailproof.StepDone}))
	if got := states(collected(t, l.Intended(ctx, "anna"))); len(got) != 4 {
		t.Errorf("open after the crash: %v", got)
	}
	second := begin(t, l, mailproof.CopyPass)
	ok(t, l.Intend(ctx, second, steps[1:3]))
	ok(t, l.Record(ctx, second, []mailproof.StepResult{{Step: steps[1], State: mailproof.StepDone}, {Step: steps[3], State: mailproof.StepFailed}})) // steps[3] was not intended again
	want := map[mailproof.UID]mailproof.StepState{3: mailproof.StepPending, 5: mailproof.StepPending}
	if got := states(collected(t, l.Intended(ctx, "anna"))); !reflect.DeepEqual(got, want) {
		t.Errorf("open after the second pass: %v, want %v", got, want)
	}
	if got := states(collected(t, l.Intended(ctx, "bert"))); len(got) != 1 {
		t.Errorf("open for another account: %v", got)
	}
	want = map[mailproof.UID]mailproof.StepState{1: mailproof.StepDone, 2: mailproof.StepDone, 3: mailproof.StepPending, 4: mailproof.StepFailed, 5: mailproof.StepPending}
	if got := states(collected(t, l.Steps(ctx, StepFilter{Account: "anna", Latest: true}))); !reflect.DeepEqual(got, want) {
		t.Errorf("as things stand: %v, want %v", got, want)
	}
	checkCounts(t, l, StepFilter{Account: "anna", Latest: true})
	checkCounts(t, l, StepFilter{Latest: true})
}

// checkCounts holds the counts of steps against the steps.
func checkCounts(t *testing.T, l *Ledger, f StepFilter) {
	t.Helper()
	want, got := map[StepCount]int64{}, map[StepCount]int64{}
	for _, e := range collected(t, l.Steps(t.Context(), f)) {
		want[StepCount{Kind: e.Step.Kind, State: e.State}]++
	}
	for _, c := range must[[]StepCount](t)(l.StepCounts(t.Context(), f)) {
		got[StepCount{Kind: c.Kind, State: c.State}] += c.Steps
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v: counted %v, want %v", f, got, want)
	}
}

func TestStepFilter(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	first, second := begin(t, l, mailproof.CopyPass), begin(t, l, mailproof.CopyPass)
	refused := mailproof.StepResult{Step: appendStep(1, "INBOX"), State: mailproof.StepRefused, Reason: "too big"}
	done := mailproof.StepResult{Step: appendStep(2, "INBOX"), State: mailproof.StepDone}
	flags := mailproof.StepResult{Step: mailproof.Step{Kind: mailproof.StoreFlags, Account: "anna", Target: "INBOX", Destination: keyOf(mailproof.Destination, 1)}, State: mailproof.StepFailed}
	ok(t, l.Record(ctx, first, []mailproof.StepResult{refused, done, flags}))
	again := refused
	again.State, again.Reason = mailproof.StepDone, ""
	ok(t, l.RecordStep(ctx, second, again))
	for _, tt := range []struct {
		name   string
		filter StepFilter
		want   int
	}{
		{"all", StepFilter{}, 4},
		{"pass", StepFilter{Pass: first}, 3},
		{"account", StepFilter{Account: "bert"}, 0},
		{"kind", StepFilter{Kinds: []mailproof.StepKind{mailproof.StoreFlags, mailproof.CreateMailbox}}, 1},
		{"states", StepFilter{States: []mailproof.StepState{mailproof.StepRefused, mailproof.StepFailed}}, 2},
		{"states as things stand", StepFilter{States: []mailproof.StepState{mailproof.StepRefused, mailproof.StepFailed}, Latest: true}, 1},
		{"source", StepFilter{Source: keyOf(mailproof.Source, 1)}, 2},
		{"a source never heard of", StepFilter{Source: mailproof.MessageKey{Side: mailproof.Source, Account: "x", UID: 1}}, 0},
	} {
		if got := collected(t, l.Steps(ctx, tt.filter)); len(got) != tt.want {
			t.Errorf("%s: %d entries, want %d: %+v", tt.name, len(got), tt.want, got)
		}
		checkCounts(t, l, tt.filter)
	}
	last, found, err := l.LatestStep(ctx, keyOf(mailproof.Source, 1))
	if err != nil || !found || last.State != mailproof.StepDone || last.Pass != second {
		t.Errorf("latest: %+v, %v, %v", last, found, err)
	}
	if _, found, err := l.LatestStep(ctx, keyOf(mailproof.Source, 3)); err != nil || found {
		t.Errorf("latest of a message that was never appended: %v, %v", found, err)
	}
	if err := l.RecordStep(ctx, second, mailproof.StepResult{Step: refused.Step}); err == nil {
		t.Error("a pending result was taken")
	}
	for range l.Steps(ctx, StepFilter{}) {
		break // an early end gives the connection back
	}
	if n := l.readers.Stats().InUse; n != 0 {
		t.Errorf("%d connections still in use", n)
	}
	if err := l.Intend(ctx, 99, []mailproof.Step{refused.Step}); err == nil || errors.Is(err, ErrDamaged) {
		t.Errorf("a pass that never was: %v", err)
	}
	ok(t, l.EndPass(ctx, second, mailproof.PassDone, "", 0, 0)) // a refused job leaves the ledger in working order
}

// Folders have no message: the same target in two accounts, or created and
// subscribed to, are different things.
func TestLatestStepsOfFolders(t *testing.T) {
	l := openBench(t)
	pass := begin(t, l, mailproof.CopyPass)
	for _, account := range []string{"anna", "bert"} {
		for _, kind := range []mailproof.StepKind{mailproof.CreateMailbox, mailproof.SubscribeMailbox} {
			for range 2 {
				ok(t, l.RecordStep(t.Context(), pass, mailproof.StepResult{Step: mailproof.Step{Kind: kind, Account: account, Target: "Sent"}, State: mailproof.StepDone}))
			}
		}
	}
	if got := collected(t, l.Steps(t.Context(), StepFilter{Latest: true})); len(got) != 4 {
		t.Errorf("%d entries, want 4: %+v", len(got), got)
	}
}

// A job that is refused half-way leaves nothing behind, and nothing that it
// gave a number to is taken for known afterwards.
func TestRefusedJobLeavesNothing(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	pass := begin(t, l, mailproof.CopyPass)
	good := mailproof.StepResult{Step: appendStep(1, "INBOX"), State: mailproof.StepDone}
	good.Step.Account, good.Step.Source.Account, good.Step.Flags = "carl", "carl", mailproof.NewFlags("$Never")
	if err := l.Record(ctx, pass, []mailproof.StepResult{good, {Step: good.Step}}); err == nil {
		t.Fatal("a pending result was taken")
	}
	if got := collected(t, l.Steps(ctx, StepFilter{})); len(got) != 0 {
		t.Errorf("left behind: %+v", got)
	}
	ok(t, l.Record(ctx, pass, []mailproof.StepResult{good}))
	got := collected(t, l.Steps(ctx, StepFilter{Account: "carl"}))
	if len(got) != 1 || got[0].Step.Source != good.Step.Source || !got[0].Step.Flags.Equal(good.Step.Flags) {
		t.Errorf("after it: %+v", got)
	}
}
