package engagement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/collect/probe"
)

// ProbeOptions say what is sent and how long it is looked for.
type ProbeOptions struct {
	Account  string
	From, To string // To may be empty where the account is named by its address
	Route    probe.Route
	Wait     time.Duration // until it is given up; default 5 min
	Settle   time.Duration // how long the other side is looked at after one has it; default 30 s
	Interval time.Duration // between two looks; default 5 s
	// Told, where it is not nil, is called when the message was taken, and when
	// a side has it.
	Told func(text string)
}

// Probe sends one message to an account, by the mail exchanges of its domain,
// looks for it on both sides, and records what became of it. The sides are only
// read. A side that cannot be watched is recorded as such; nothing is sent
// where neither can.
func (e *Engagement) Probe(ctx context.Context, o ProbeOptions) (ledger.Probe, error) {
	o.Wait, o.Settle, o.Interval = cmp.Or(o.Wait, 5*time.Minute), cmp.Or(o.Settle, 30*time.Second), cmp.Or(o.Interval, 5*time.Second)
	if o.Told == nil {
		o.Told = func(string) {}
	}
	account, err := e.probed(&o)
	if err != nil {
		return ledger.Probe{}, err
	}
	message, err := probe.New(o.From, o.To)
	if err != nil {
		return ledger.Probe{}, err
	}
	p := ledger.Probe{Account: account.Name, Recipient: o.To, Domain: message.Domain(), MessageID: message.ID}
	watches := map[mailproof.Side]*watch{}
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		w := e.openWatch(ctx, account, side)
		watches[side] = w
		defer w.close()
	}
	src, dst := watches[mailproof.Source], watches[mailproof.Destination]
	if src.err != nil && dst.err != nil {
		return p, errors.Join(fmt.Errorf("neither side can be watched, nothing was sent: %w", src.err), dst.err)
	}
	receipt, err := probe.Send(ctx, message, o.Route)
	if err != nil {
		p.Reply, p.Ended = err.Error(), time.Now()
		return p, errors.Join(err, e.ledger.RecordProbe(ctx, p))
	}
	p.Exchange, p.TLS, p.Reply, p.Sent = receipt.Exchange, receipt.TLS, receipt.Reply, receipt.Sent
	o.Told(fmt.Sprintf("sent to %s by %s: %s", o.To, receipt.Exchange, receipt.Reply))
	e.watchBoth(ctx, &o, message, src, dst)
	p.Ended = time.Now()
	p.SourceFolder, p.SourceSeen, p.SourceError = src.result()
	p.DestinationFolder, p.DestinationSeen, p.DestinationError = dst.result()
	if p.SourceFolder == "" && p.DestinationFolder == "" && (ctx.Err() != nil || e.stopped()) {
		return p, cmp.Or(ctx.Err(), ErrStopped) // cut off: it may still arrive
	}
	return p, e.ledger.RecordProbe(context.WithoutCancel(ctx), p)
}

// probed is the account to be probed, and fills in its address.
func (e *Engagement) probed(o *ProbeOptions) (Account, error) {
	for _, a := range e.Accounts {
		if !strings.EqualFold(a.Name, o.Account) {
			continue
		}
		for _, address := range []string{a.Name, a.Destination.User, a.Source.User} {
			if o.To == "" && strings.Contains(address, "@") {
				o.To = address
			}
		}
		if o.To == "" {
			return a, fmt.Errorf("the address of account %s is not known: give it with --to", a.Name)
		}
		return a, nil
	}
	return Account{}, fmt.Errorf("account %q is not among the accounts", o.Account)
}

// watch is one side that is being looked at.
type watch struct {
	side   mailproof.Side
	reader *imapconn.Reader
	done   func()
	mark   *probe.Mark
	err    error

	mu     sync.Mutex
	folder string
	seen   time.Time
}

// openWatch signs in to a side and notes what it holds.
func (e *Engagement) openWatch(ctx context.Context, a Account, side mailproof.Side) *watch {
	w := &watch{side: side}
	if w.reader, w.done, w.err = e.dialReader(ctx, a, side); w.err == nil {
		w.mark, w.err = probe.NewMark(ctx, w.reader)
	}
	return w
}

func (w *watch) close() {
	if w.done != nil {
		w.done()
	}
}

func (w *watch) result() (folder string, seen time.Time, why string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil && w.folder == "" {
		why = w.err.Error()
	}
	return w.folder, w.seen, why
}

func (w *watch) has() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.folder != ""
}

// watchBoth looks at both sides until both have the message, or one has it and
// the other did not get it for a while, or the time is up.
func (e *Engagement) watchBoth(ctx context.Context, o *ProbeOptions, m probe.Message, src, dst *watch) {
	ctx, cancel := context.WithTimeout(ctx, o.Wait)
	defer cancel()
	settled := make(chan struct{})
	var once sync.Once
	found := func(w *watch) {
		o.Told(fmt.Sprintf("seen on the %s in %s", w.side, w.folder))
		once.Do(func() { time.AfterFunc(o.Settle, func() { close(settled) }) })
	}
	var group sync.WaitGroup
	for _, w := range []*watch{src, dst} {
		if w.err != nil {
			continue
		}
		group.Go(func() { e.look(ctx, o, m, w, settled, found) })
	}
	group.Wait()
}

// look looks at one side again and again, and everywhere at the end.
func (e *Engagement) look(ctx context.Context, o *ProbeOptions, m probe.Message, w *watch, settled <-chan struct{}, found func(*watch)) {
	end := false
	for !w.has() {
		// The last look is not cut off by the end of the time.
		once, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		folder, err := w.mark.Look(once, w.reader, m, end)
		cancel()
		w.mu.Lock()
		w.err = err // a look that fails is made up for by one that does not
		if folder != "" {
			w.folder, w.seen = folder, time.Now()
		}
		w.mu.Unlock()
		if folder != "" {
			found(w)
			return
		}
		if end {
			return
		}
		timer := time.NewTimer(o.Interval)
		select {
		case <-timer.C:
		case <-settled:
			end = true
		case <-e.Stop:
			end = true
		case <-ctx.Done():
			end = true
		}
		timer.Stop()
	}
}
