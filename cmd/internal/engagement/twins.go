package engagement

import (
	"context"
	"sync"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
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
	return &twins{open: func() (*ledger.Twins, error) { return e.ledger.Twins(ctx, account, side, collect.LeastTwin) }}
}

// Fingerprint implements [collect.Twins].
func (t *twins) Fingerprint(ctx context.Context, t0 mailproof.Hash, octets int64) (mailproof.Fingerprint, bool, error) {
	t.once.Do(func() { t.of, t.err = t.open() })
	if t.err != nil {
		return mailproof.Fingerprint{}, false, t.err
	}
	return t.of.Fingerprint(ctx, t0, octets)
}

func (t *twins) close() {
	if t.of != nil {
		_ = t.of.Close() // nothing was written by it
	}
}
