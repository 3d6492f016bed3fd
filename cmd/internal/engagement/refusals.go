package engagement

import (
	"context"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
)

// fewMissing is up to how many missing messages are looked up one by one in
// the copy journal; beyond it, reading the account's journal once is less work.
const fewMissing = 100

// latestStep looks up how the last append of a message ended.
type latestStep func(ctx context.Context, key mailproof.MessageKey) (ledger.JournalEntry, bool, error)

// latestSteps returns the look-up for the missing messages of an account.
func (e *Engagement) latestSteps(ctx context.Context, r *mailproof.AccountResult) (latestStep, error) {
	missing := map[mailproof.MessageKey]bool{}
	for i := range r.Exceptions {
		if r.Exceptions[i].Verdict == mailproof.Missing {
			missing[r.Exceptions[i].Key] = true
		}
	}
	if len(missing) <= fewMissing {
		return e.ledger.LatestStep, nil
	}
	last := map[mailproof.MessageKey]ledger.JournalEntry{}
	filter := ledger.StepFilter{Account: r.Account, Kinds: []mailproof.StepKind{mailproof.AppendMessage},
		States: []mailproof.StepState{mailproof.StepDone, mailproof.StepRefused, mailproof.StepFailed}}
	for entry, err := range e.ledger.Steps(ctx, filter) {
		if err != nil {
			return nil, err
		}
		if missing[entry.Step.Source] {
			last[entry.Step.Source] = entry // in the order in which they were tried
		}
	}
	return func(_ context.Context, key mailproof.MessageKey) (ledger.JournalEntry, bool, error) {
		entry, ok := last[key]
		return entry, ok, nil
	}, nil
}
