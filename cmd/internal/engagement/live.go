package engagement

import (
	"context"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
)

// Live is how far the latest pass is, by what it has recorded.
type Live struct {
	ledger.Live
	inUse bool
}

// Running reports whether the pass is being worked on.
func (l *Live) Running() bool {
	return l.Pass.State == mailproof.PassRunning && l.Pass.ID != 0 && l.inUse
}

// Cut reports whether the pass never came to its end, and never will.
func (l *Live) Cut() bool { return l.Pass.State == mailproof.PassRunning && l.Pass.ID != 0 && !l.inUse }

// Live reads how far the latest pass is.
func (e *Engagement) Live(ctx context.Context) (Live, error) {
	v, err := e.ledger.Live(ctx)
	return Live{v, e.ledger.InUse()}, err
}

// Version changes whenever something was recorded that a page shows.
func (e *Engagement) Version(ctx context.Context) (string, error) { return e.ledger.Version(ctx) }
