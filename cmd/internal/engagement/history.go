package engagement

import (
	"context"
	"encoding/hex"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
)

// History is the timeline of an engagement: its passes with the roots of the
// chain that they form, and what changed from diff to diff.
type History struct {
	Roots   map[mailproof.PassID]string // in hexadecimal digits; none for a pass that is not in the chain yet
	Changes []ledger.DiffChange         // the oldest first
	Head    string                      // root of the last link; empty where there is none
	Links   int
}

// recentChanges is how many diffs the timeline tells about.
const recentChanges = 12

// History reads the timeline. It re-computes nothing: [Engagement.VerifyHistory]
// does.
func (e *Engagement) History(ctx context.Context) (*History, error) {
	links, err := e.ledger.Chain(ctx)
	if err != nil {
		return nil, err
	}
	h := &History{Roots: map[mailproof.PassID]string{}, Links: len(links)}
	for _, k := range links {
		h.Head = hex.EncodeToString(k.Root[:])
		if k.Pass != 0 {
			h.Roots[k.Pass] = h.Head
		}
	}
	h.Changes, err = e.ledger.DiffChanges(ctx, recentChanges)
	return h, err
}

// VerifyHistory re-computes the whole history from the rows of the ledger.
func (e *Engagement) VerifyHistory(ctx context.Context, progress func(done, total int)) (*ledger.Verification, error) {
	return e.ledger.VerifyChain(ctx, progress)
}
