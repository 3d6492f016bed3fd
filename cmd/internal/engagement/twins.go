package engagement

import (
	"context"
	"sync"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
)

// twins is what was read of the other side of an account, looked up when the
// first message asks for it: a pass with nothing to read never does.
type twins struct {
	open func() (*ledger.Twins, error)
	once sync.Once
	of   *ledger.Twins
	err  error
}

func (e *Engagement) twins(ctx context.Context, account string, side mailproof.Side) *twins {
	return &twins{open: func() (*ledger.Twins, error) { return e.ledger.Twins(ctx, account, side) }}
}

// Count implements [collect.Twins].
func (t *twins) Count(context.Context) (int, error) {
	t.once.Do(func() { t.of, t.err = t.open() })
	if t.err != nil {
		return 0, t.err
	}
	return t.of.Len(), nil
}

// Find implements [collect.Twins].
func (t *twins) Find(t0 mailproof.Hash) int64 { return t.of.Find(t0) }

// Fingerprint implements [collect.Twins].
func (t *twins) Fingerprint(ctx context.Context, id int64) (mailproof.Fingerprint, error) {
	return t.of.Fingerprint(ctx, id)
}

func (t *twins) close() {
	if t.of != nil {
		_ = t.of.Close() // nothing was written by it
	}
}
