package engagement

import (
	"context"
	"sync/atomic"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/transfer"
)

// moreWriters gives an account that has much to send a further connection to its
// destination, where several are faster than the one that it has: as long as
// fewer are at work than accounts may be at once, and the server, whose
// connections all accounts share, has one left. Nobody waits for one. It is nil
// where one connection is as fast as any number.
func (e *Engagement) moreWriters(a Account, first *imapconn.Writer) func(context.Context) (transfer.Destination, func(), bool) {
	if !first.Several() {
		return nil
	}
	var refused atomic.Bool
	return func(ctx context.Context) (transfer.Destination, func(), bool) {
		if refused.Load() || !e.pens.TryAcquire(1) {
			return nil, nil, false
		}
		w, done, err := e.tryWriter(ctx, a)
		if err != nil {
			e.pens.Release(1)
			// Servers lock accounts after a few sign-ins that they refused.
			if mailproof.KindOf(err) == mailproof.ErrAuth {
				refused.Store(true)
			}
			return nil, nil, false
		}
		return w, func() {
			done()
			e.pens.Release(1)
		}, true
	}
}

// tryWriter is [Engagement.tryReader] for a connection that writes.
func (e *Engagement) tryWriter(ctx context.Context, a Account) (w *imapconn.Writer, done func(), err error) {
	const side = mailproof.Destination
	c, err := e.connection(ctx, a, side)
	if err != nil {
		return nil, nil, err
	}
	w, leave, err := oneMore(ctx, e, a, side, c, imapconn.DialWriter)
	if err != nil {
		return nil, nil, err
	}
	return w, e.countWriter(a, &conn{writer: w}, func() {
		_ = w.Close() // as in conn.end
		leave()
	}), nil
}
