package engagement

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/collect/pace"
	"github.com/mailproof/mailproof/collect/transfer"
	"github.com/mailproof/mailproof/diff"
)

// CopyResult is what a copy pass over all accounts came to.
type CopyResult struct {
	Pass     mailproof.PassID
	Accounts int // accounts that had anything to do
	Summary  transfer.Summary
	Failures []Failure
	Took     time.Duration
	// Rest says, of a copy beside the inventory of the source, that there may
	// be more to do, which only a new inventory of the destination tells.
	Rest bool
}

// progressed reports whether the pass changed anything on the destination.
func (r CopyResult) progressed() bool {
	s := r.Summary
	return s.Appended > 0 || s.Flagged > 0 || s.Created > 0 || s.Subscribed > 0
}

// steps is a stream of planned steps.
type steps = func(yield func(mailproof.Step, error) bool)

// Plan is what a copy pass would do, counted.
type Plan struct {
	Account                     string
	Create, Subscribe, Flags    int64
	Append, AppendBytes         int64
	RefusedBefore               int64 // of the appends, those that the destination refused in an earlier pass
	FirstAppends                []mailproof.Step
	NotPlanned                  error // why nothing can be planned for the account
	CreateNames, SubscribeNames []string
	Folders                     []TargetPlan // by name
}

// DryRun plans the next copy pass and carries out none of it.
func (e *Engagement) DryRun(ctx context.Context) ([]Plan, error) {
	var plans []Plan
	for _, a := range e.Accounts {
		p := Plan{Account: a.Name}
		err := e.plan(ctx, a.Name, func(steps steps) error {
			var stepErr error
			steps(func(s mailproof.Step, err error) bool {
				stepErr = err
				p.count(s)
				return err == nil
			})
			return stepErr
		})
		if err != nil && ctx.Err() != nil {
			return plans, err
		}
		p.NotPlanned = err
		plans = append(plans, p)
	}
	return plans, nil
}

func (p *Plan) count(s mailproof.Step) {
	p.countFolder(&s)
	switch s.Kind {
	case mailproof.CreateMailbox:
		p.Create++
		p.CreateNames = append(p.CreateNames, s.Target)
	case mailproof.SubscribeMailbox:
		p.Subscribe++
		p.SubscribeNames = append(p.SubscribeNames, s.Target)
	case mailproof.StoreFlags:
		p.Flags++
	case mailproof.AppendMessage:
		p.Append++
		p.AppendBytes += s.Size
	}
}

// ErrNotRead says that an account cannot be copied because one of its sides
// was not read: sending on a guess would lose mail or send it twice.
var ErrNotRead = errors.New("was not read to the end")

// ErrWritten says that an account's destination was written to since it was
// read: what it lacks is not known before it is read again.
var ErrWritten = errors.New("the destination was written to since it was read")

// plan opens both inventories of an account and hands over the steps that they
// call for.
func (e *Engagement) plan(ctx context.Context, account string, use func(steps) error) (err error) {
	src, dst, done, err := e.inventoriesOf(ctx, account)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	for _, side := range []diff.Inventory{src, dst} {
		if s := side.Scan(); s.State != mailproof.PassDone {
			return fmt.Errorf("the %s %w: %s", s.Side, ErrNotRead, s.Error)
		}
	}
	written, err := e.ledger.LastCopy(ctx, account)
	if err != nil {
		return err
	}
	if written > dst.Scan().Pass {
		return ErrWritten
	}
	o, err := e.compareOptions(ctx, account, dst)
	if err != nil {
		return err
	}
	return e.planOnce(ctx, account, src, dst, o, func(plan steps) error {
		if written != 0 {
			plan = e.notSentBefore(ctx, account, dst, plan)
		}
		return use(plan)
	})
}

// Copy carries out what the two latest inventories call for, but for messages
// that the destination has refused since the engagement was opened: it would
// refuse them again.
func (e *Engagement) Copy(ctx context.Context) (CopyResult, error) {
	var res CopyResult
	started := time.Now()
	pass, end, err := e.beginPass(ctx, mailproof.Pass{Kind: mailproof.CopyPass, Depth: e.Depth})
	if err != nil {
		return res, err
	}
	res.Pass = pass
	progress, done := e.Progress(mailproof.CopyPass, 0)
	var mu sync.Mutex
	var failed failures
	err = e.each(ctx, func(ctx context.Context, a Account) error {
		sum, err := e.copyOne(ctx, a, pass, progress)
		mu.Lock()
		res.Summary.Add(sum)
		if sum != (transfer.Summary{}) {
			res.Accounts++
		}
		mu.Unlock()
		if err != nil && !IsStop(err) {
			failed.add(a.Name, mailproof.Destination, e.whenToResume(err))
		}
		if isLedger(err) || ctx.Err() != nil {
			return err
		}
		return nil
	})
	done()
	e.tidy(res.Summary.Appended > 0)
	res.Failures, res.Took = failed.sorted(e.Rules), time.Since(started)
	if err == nil && (len(res.Failures) > 0 || res.Summary.Failed > 0) {
		return res, e.endPartly(ctx, pass, res)
	}
	return res, end(err, res.Summary.Appended, res.Summary.AppendedBytes)
}

// endPartly records a pass that some accounts did not come to the end of. The
// pass is failed; the accounts that were done are recorded as such by name.
func (e *Engagement) endPartly(ctx context.Context, pass mailproof.PassID, res CopyResult) error {
	text := fmt.Sprintf("%d accounts could not be copied to their end, %d steps failed", len(res.Failures), res.Summary.Failed)
	return e.ledger.EndPass(ctx, pass, mailproof.PassFailed, text, res.Summary.Appended, res.Summary.AppendedBytes)
}

// copyOne plans and copies one account. The connections are made when the
// first step needs them: an account with nothing to do is left alone.
func (e *Engagement) copyOne(ctx context.Context, a Account, pass mailproof.PassID, progress mailproof.Progress) (transfer.Summary, error) {
	var sum transfer.Summary
	some, err := e.announce(ctx, a.Name, progress)
	if err != nil {
		return sum, err
	}
	if !some {
		return sum, e.ledger.EndCopy(ctx, pass, a.Name)
	}
	err = e.plan(ctx, a.Name, func(steps steps) error {
		wanted := e.notRefused(steps)
		src, closeSource, err := e.reader(ctx, a, mailproof.Source)
		if err != nil {
			return err
		}
		defer closeSource()
		dst, closeDestination, err := e.writer(ctx, a)
		if err != nil {
			return err
		}
		defer closeDestination()
		progress.Add(e.copyLimits(ctx, a.Name, src, dst))
		o, err := e.sending(ctx, a, pass, dst, progress)
		if err != nil {
			return err
		}
		sum, err = transfer.Run(ctx, src, dst, journal{e.ledger, &e.refused, &e.sent}, wanted, o)
		return err
	})
	// Only a copy that carried out its whole plan is a base that later changes
	// of flags are measured against.
	if err == nil && sum.Failed == 0 && sum.FailedMailboxes == 0 {
		err = e.ledger.EndCopy(ctx, pass, a.Name)
	}
	return sum, err
}

// announce tells the progress display how much there is to copy, and reports
// whether there is anything.
func (e *Engagement) announce(ctx context.Context, account string, progress mailproof.Progress) (some bool, err error) {
	var t mailproof.Tick
	err = e.plan(ctx, account, func(steps steps) error {
		var stepErr error
		e.notRefused(steps)(func(s mailproof.Step, err error) bool {
			some, stepErr = true, err
			switch s.Kind {
			case mailproof.AppendMessage:
				t.Planned++
				t.PlannedBytes += s.Size
			case mailproof.StoreFlags:
				t.Planned++
			}
			return err == nil && progress != nil
		})
		return stepErr
	})
	t.Kind, t.Account = mailproof.CopyPass, account
	progress.Add(t)
	return some, err
}

// notRefused leaves out the appends that were refused in this run.
func (e *Engagement) notRefused(all steps) steps {
	return func(yield func(mailproof.Step, error) bool) {
		all(func(s mailproof.Step, err error) bool {
			if err == nil && s.Kind == mailproof.AppendMessage && e.refused.has(s.Source) {
				return true
			}
			return yield(s, err)
		})
	}
}

// refusals remembers what the destination refused in this run.
type refusals struct {
	mu   sync.Mutex
	keys map[mailproof.MessageKey]bool
}

func (r *refusals) has(k mailproof.MessageKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys[k]
}

func (r *refusals) note(results []mailproof.StepResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, res := range results {
		if res.State == mailproof.StepRefused && res.Step.Kind == mailproof.AppendMessage {
			if r.keys == nil {
				r.keys = map[mailproof.MessageKey]bool{}
			}
			r.keys[res.Step.Source] = true
		}
	}
}

// sending is how messages are handed to the destination.
func (e *Engagement) sending(ctx context.Context, a Account, pass mailproof.PassID, dst *imapconn.Writer, progress mailproof.Progress) (transfer.Options, error) {
	account := a.Name
	states, err := e.destinationStates(ctx, account)
	return transfer.Options{
		Pass: pass, Account: account, More: e.moreWriters(a, dst), AppendLimit: dst.Server().AppendLimit, Labels: labelsOf(dst.Server()), State: states, Progress: progress, Stop: e.Stop,
		Limiter: sendLimiter{e.rate(mailproof.Destination), e.budget(account, mailproof.Destination, dst.Server(), pace.Up)},
		Waiting: e.waiting(account, mailproof.Destination), Silence: e.ProgressTimeout,
		Spool: func(ctx context.Context, size int64, body io.Reader) (transfer.Body, error) {
			return e.spool.Take(ctx, size, body)
		},
	}, err
}

// targets remembers the destination mailboxes that were written to: by this run, or
// perhaps by one before it that did not come to the reading of them.
type targets struct {
	mu     sync.Mutex
	sent   map[string]map[string]bool // by account
	before map[string]bool            // accounts of which any mailbox may be one; nil: not looked up
}

func (t *targets) note(account, mailbox string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.sent[account]
	if of == nil {
		if of = map[string]bool{}; t.sent == nil {
			t.sent = map[string]map[string]bool{}
		}
		t.sent[account] = of
	}
	of[mailbox] = true
}

// sentTo reports which mailboxes of an account were, or may have been, sent to.
func (e *Engagement) sentTo(ctx context.Context, account string) (func(mailbox string) bool, error) {
	t := &e.sent
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.before == nil {
		names := make([]string, len(e.Accounts))
		for i, a := range e.Accounts {
			names[i] = a.Name
		}
		var err error
		if t.before, err = e.ledger.WrittenUnread(ctx, names); err != nil {
			return nil, err
		}
	}
	return func(mailbox string) bool {
		t.mu.Lock()
		defer t.mu.Unlock()
		return t.before[account] || t.sent[account][mailbox]
	}, nil
}

// journal lends the ledger to the transfer room.
type journal struct {
	ledger  *ledger.Ledger
	refused *refusals
	sent    *targets
}

func (j journal) Intend(ctx context.Context, pass mailproof.PassID, steps []mailproof.Step) ([]int64, error) {
	for i := range steps {
		if i == 0 || steps[i].Target != steps[i-1].Target {
			j.sent.note(steps[i].Account, steps[i].Target)
		}
	}
	return j.ledger.IntendAll(ctx, pass, steps)
}

func (j journal) Record(ctx context.Context, pass mailproof.PassID, tickets []int64, results []mailproof.StepResult) error {
	j.refused.note(results)
	for i := range results {
		if s := &results[i].Step; s.Kind == mailproof.StoreFlags {
			j.sent.note(s.Account, s.Target)
		}
	}
	return j.ledger.RecordAll(ctx, pass, tickets, results)
}
