package engagement

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/collect/ledger"
)

// InventoryResult is what an inventory pass over all accounts came to.
type InventoryResult struct {
	Pass     mailproof.PassID
	Side     mailproof.Side
	Accounts int
	Summary  collect.Summary
	Failures []Failure // accounts that could not be read to their end
	Took     time.Duration
}

// Inventory takes the inventory of one side of every account. An account that
// cannot be read is among the failures, and in the ledger as such.
func (e *Engagement) Inventory(ctx context.Context, side mailproof.Side) (InventoryResult, error) {
	res := InventoryResult{Side: side, Accounts: len(e.Accounts)}
	started := time.Now()
	if err := e.keepRoster(ctx); err != nil {
		return res, err
	}
	depth := e.depthOf(side)
	pass, end, err := e.beginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: side, Depth: depth, Reverify: e.Reverify})
	if err != nil {
		return res, err
	}
	if depth == mailproof.DepthSample {
		if err := e.recordSample(ctx, pass); err != nil {
			return res, end(err, 0, 0)
		}
	}
	if err := e.recordScope(ctx, pass, side); err != nil {
		return res, end(err, 0, 0)
	}
	res.Pass = pass
	progress, done := e.Progress(mailproof.InventoryPass, side)
	var mu sync.Mutex
	var failed failures
	err = e.each(ctx, func(ctx context.Context, a Account) error {
		sum, err := e.inventoryOne(ctx, a, collect.Options{
			Pass: pass, Account: a.Name, Side: side, Depth: depth, Sample: e.Sample, Reverify: e.Reverify, Exclude: e.excluded(side, a.Name), Omit: e.omitted(side), Progress: progress, Stop: e.Stop,
		})
		if err := e.keepCalibration(ctx, pass, a.Name, depth, sum); err != nil {
			return err
		}
		mu.Lock()
		res.Summary.Add(sum)
		mu.Unlock()
		if err != nil && !IsStop(err) {
			failed.add(a.Name, side, e.whenToResume(err))
		}
		if isLedger(err) || ctx.Err() != nil {
			return err
		}
		return nil
	})
	done()
	e.tidy(res.Summary.Read > 0)
	res.Failures, res.Took = failed.sorted(e.Rules), time.Since(started)
	return res, end(err, res.Summary.Messages, res.Summary.Bytes)
}

// depthOf is how much of one side is read: of the destination, all of it
// where the source is sampled.
func (e *Engagement) depthOf(side mailproof.Side) mailproof.Depth {
	if e.Depth == mailproof.DepthSample && side == mailproof.Destination {
		return mailproof.DepthFull
	}
	return e.Depth
}

// excluded is the rule that leaves out a mailbox. Rules speak of the source;
// the destination is always read whole.
func (e *Engagement) excluded(side mailproof.Side, account string) func(mailproof.Mailbox) (string, bool) {
	if side != mailproof.Source {
		return nil
	}
	return e.rulesOf(account).Excluded
}

func (e *Engagement) inventoryOne(ctx context.Context, a Account, o collect.Options) (collect.Summary, error) {
	rec := recorder{e.ledger}
	r, done, err := e.signInOnce(ctx, a, o.Side)
	if err != nil {
		if ctx.Err() != nil {
			return collect.Summary{}, err
		}
		return collect.Summary{}, collect.Failed(ctx, rec, o, mailproof.ServerInfo{Address: a.Endpoint(o.Side).Address()}, err)
	}
	defer done()
	o.Started = r.conn.since(time.Now()).UTC()
	o.Progress.Add(r.limits(ctx, mailproof.Tick{Kind: mailproof.InventoryPass, Side: o.Side, Account: a.Name}))
	if o.Side == mailproof.Destination {
		if o.Written, err = e.sentTo(ctx, a.Name); err != nil {
			return collect.Summary{}, err
		}
	}
	if o.Side == mailproof.Source {
		omitted, err := e.omit(ctx, a.Name, r)
		if err != nil {
			if ctx.Err() != nil {
				return collect.Summary{}, err
			}
			return collect.Summary{}, collect.Failed(ctx, rec, o, r.Server(), err)
		}
		o.Exclude = omitted.excluded(o.Exclude)
	}
	return e.take(ctx, a, r, o)
}

// signInOnce dials, but never again where the server refused the password
// before: servers lock accounts after a few wrong ones.
func (e *Engagement) signInOnce(ctx context.Context, a Account, side mailproof.Side) (*pacedReader, func(), error) {
	key := login{a.Name, side}
	if err := e.wrong.get(key); err != nil {
		return nil, nil, err
	}
	r, done, err := e.reader(ctx, a, side)
	if mailproof.KindOf(err) == mailproof.ErrAuth {
		e.wrong.set(key, err)
	}
	return r, done, err
}

type login struct {
	account string
	side    mailproof.Side
}

// wrongLogins remembers which sign-ins were refused.
type wrongLogins struct {
	mu   sync.Mutex
	errs map[login]error
}

func (w *wrongLogins) get(k login) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.errs[k]
}

func (w *wrongLogins) set(k login, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.errs == nil {
		w.errs = map[login]error{}
	}
	w.errs[k] = err
}

// isLedger reports whether an error is one of the ledger, which no other
// account would be spared.
func isLedger(err error) bool {
	for _, of := range []error{ledger.ErrDiskFull, ledger.ErrDamaged, ledger.ErrClosed, ledger.ErrReadOnly, ledger.ErrOrder} {
		if errors.Is(err, of) {
			return true
		}
	}
	return collect.IsLedger(err)
}

// recorder lends the ledger to the collect room, which knows it only by its
// interface.
type recorder struct{ *ledger.Ledger }

func (r recorder) BeginMailbox(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side, mb mailproof.Mailbox, before mailproof.MailboxState) (collect.MailboxRecorder, error) {
	w, err := r.Ledger.BeginMailbox(ctx, pass, account, side, mb, before)
	if err != nil {
		return nil, err
	}
	return w, nil
}

// HalfRead finds the one account that the ledger knows from the other side
// only; empty where there is none, or more than one.
func (e *Engagement) HalfRead(ctx context.Context, side mailproof.Side) (string, error) {
	names, err := e.ledger.Accounts(ctx)
	if err != nil {
		return "", err
	}
	half := ""
	for _, name := range names {
		_, _, here, err := e.ledger.LatestScan(ctx, name, side)
		if err != nil {
			return "", err
		}
		_, _, there, err := e.ledger.LatestScan(ctx, name, side.Other())
		if err != nil {
			return "", err
		}
		if there && !here {
			if half != "" {
				return "", nil
			}
			half = name
		}
	}
	return half, nil
}
