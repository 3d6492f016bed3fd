package engagement

import (
	"context"
	"errors"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/collect/imapconn"
)

// take takes the inventory of an account over a connection, and over more of
// them if need be, with a copy beside it if there is one.
func (e *Engagement) take(ctx context.Context, a Account, r collect.Source, o collect.Options) (collect.Summary, error) {
	o.Spool, o.More = e.spool, e.more(a, o.Side)
	known := e.twins(ctx, a.Name, o.Side.Other())
	defer known.close()
	o.Twins = known
	if o.Side != mailproof.Source {
		return collect.Inventory(ctx, r, recorder{e.ledger}, o)
	}
	tap, copied, err := e.beside.account(ctx, a)
	if err != nil {
		return collect.Summary{}, err
	}
	o.Tap = tap
	sum, err := collect.Inventory(ctx, r, recorder{e.ledger}, o)
	copied(ctx, err)
	return sum, err
}

// more gives an account that has much to read a further connection: as long as
// fewer are at work than accounts may be at once, and the server, whose
// connections all accounts share, has one left. Nobody waits for one.
func (e *Engagement) more(a Account, side mailproof.Side) func(context.Context) (collect.Source, func(), bool) {
	return func(ctx context.Context) (collect.Source, func(), bool) {
		if !e.hands.TryAcquire(1) {
			return nil, nil, false
		}
		r, done, ok := e.tryReader(ctx, a, side)
		if !ok {
			e.hands.Release(1)
			return nil, nil, false
		}
		paced, done := e.pacedReader(ctx, a, side, &conn{reader: r, leave: done}, done)
		return paced, func() {
			done()
			e.hands.Release(1)
		}, true
	}
}

// tryReader signs in to read if the server has a place for one more right now.
// An error is none of the account's, which is read over the connection that it
// has.
func (e *Engagement) tryReader(ctx context.Context, a Account, side mailproof.Side) (r *imapconn.Reader, done func(), ok bool) {
	c, err := e.connection(ctx, a, side)
	if err != nil {
		return nil, nil, false
	}
	r, leave, err := oneMore(ctx, e, a, side, c, imapconn.DialReader)
	if errors.Is(err, errNoPlace) && e.kept.drop() {
		r, leave, err = oneMore(ctx, e, a, side, c, imapconn.DialReader)
	}
	if err != nil {
		return nil, nil, false
	}
	return r, func() {
		_ = r.Close() // as in dialReader
		leave()
	}, true
}
