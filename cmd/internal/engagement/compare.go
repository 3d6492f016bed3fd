package engagement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
	"github.com/mailproof/mailproof/report"
)

// Comparison is what the comparison of all accounts came to.
type Comparison struct {
	Accounts []mailproof.AccountResult
	Totals   mailproof.Counts
	Sample   *report.Sample      // what a sample says of all; nil where none was taken
	Previews []mailproof.Preview // of the accounts whose latest inventory was a preview
	Depth    mailproof.Depth     // how much was read, of the side of which the least was
	Took     time.Duration

	lines map[string]*verdictLines // by account: verdicts that were kept for the list of messages
}

// maxExceptions bounds how many exceptions of one account are listed by name;
// the rest is counted.
const maxExceptions = 20_000

// Compare compares the latest inventories of every account. It only reads the
// ledger. onResult, where it is not nil, receives the verdict of every single
// message, account by account.
func (e *Engagement) Compare(ctx context.Context, onResult func(diff.Result) error) (Comparison, error) {
	started := time.Now()
	var c Comparison
	names, err := e.names(ctx)
	if err != nil {
		return c, err
	}
	c.Accounts = make([]mailproof.AccountResult, len(names))
	samples, err := e.samples(ctx)
	if err != nil {
		return c, err
	}
	decided, err := e.said(ctx)
	if err != nil {
		return c, err
	}
	listings := make([]*mailproof.Preview, len(names))
	var mu sync.Mutex // results are streamed one account at a time
	sampled := map[string]*sampling{}
	c.lines = map[string]*verdictLines{}
	kept := 0
	err = e.eachName(ctx, names, onResult != nil, func(ctx context.Context, i int, name string) error {
		one, err := e.compareOne(ctx, name, samples, decided, onResult)
		if err != nil {
			return fmt.Errorf("compare account %s: %w", name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		c.Accounts[i] = one.result
		if one.lines != nil && kept+one.lines.len() <= mostLines {
			c.lines[name] = one.lines
			kept += one.lines.len()
		}
		if one.listed != nil {
			listings[i] = &one.listed.Preview
		}
		if one.sampled != nil {
			sampled[name] = one.sampled
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	if err := e.ledger.Number(ctx, c.Accounts); err != nil {
		return c, err
	}
	for _, a := range c.Accounts {
		c.Totals.Add(a.Counts)
	}
	for _, p := range listings {
		if p != nil {
			c.Previews = append(c.Previews, *p)
		}
	}
	c.Sample = sampleResult(sampled)
	if c.Depth, err = e.comparedDepth(ctx, c); err != nil {
		return c, err
	}
	c.Took = time.Since(started)
	return c, nil
}

// compared is what the comparison of one account came to.
type compared struct {
	result  mailproof.AccountResult
	lines   *verdictLines // nil where there are too many
	sampled *sampling     // nil where the source was not sampled
	listed  *previewed    // nil where no preview was taken
}

// keep has the lines of a comparison kept, as long as there are few.
func (c *compared) keep(next func(diff.Result) error) func(diff.Result) error {
	return func(r diff.Result) error {
		switch {
		case c.lines == nil:
		case c.lines.len() == mostLines:
			c.lines = nil
		default:
			c.lines.add(r)
		}
		if next == nil {
			return nil
		}
		return next(r)
	}
}

// compareOne compares one account, counts its sample where the source was
// sampled, and what its listings show where a preview was taken.
func (e *Engagement) compareOne(ctx context.Context, name string, samples map[mailproof.PassID]collect.Sample, decided said, onResult func(diff.Result) error) (c compared, err error) {
	src, dst, done, err := e.inventoriesOf(ctx, name)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, done()) }()
	o, err := e.compareOptions(ctx, name, dst)
	if err != nil {
		return c, err
	}
	if c.listed, err = e.previewOf(ctx, src, dst, o, onResult != nil); err != nil {
		return c, err
	}
	if c.listed != nil && onResult != nil {
		onResult = c.listed.beside(onResult)
	}
	o.Dispositions = decided.on(readingsOf(src, dst))
	if s, ok := samples[src.Scan().Pass]; ok {
		c.sampled = newSampling(s)
		onResult = c.sampled.beside(onResult)
	}
	c.lines = newVerdictLines(src, dst)
	o.OnResult = c.keep(onResult)
	if c.result, err = diff.Compare(ctx, src, dst, o); err != nil {
		return c, err
	}
	if c.lines != nil {
		c.lines.sort()
	}
	r := &c.result
	if c.sampled != nil {
		c.sampled.unread = !readToEnd(r)
	}
	changed, err := e.scopeChanged(ctx, r)
	if err != nil {
		return c, err
	}
	gone, err := e.goneFolders(ctx, src.Scan())
	if err != nil {
		return c, err
	}
	r.Findings = decided.accept(slices.Concat(r.Findings, changed, gone))
	if c.listed != nil {
		r.Findings = append(r.Findings, c.listed.shallow(name)) // nobody can accept that
	}
	r.Verdict = mailproof.Roll(r.Findings)
	if err := e.explainRefusals(ctx, r); err != nil {
		return c, err
	}
	decided.explain(r, readingsOf(src, dst))
	return c, nil
}

// readToEnd reports whether every message of the source is listed.
func readToEnd(r *mailproof.AccountResult) bool {
	if r.SourceScan.State != mailproof.PassDone {
		return false
	}
	for i := range r.Folders {
		s := &r.Folders[i].SourceScan
		if r.Folders[i].Source != "" && !s.NoSelect && s.Excluded == "" && (!s.Complete || s.Drifted || s.Error != "") {
			return false
		}
	}
	return true
}

// comparedDepth is the least depth of the inventories that a comparison rests
// on; full where no message of them was left unread, as earlier passes may
// have read what the last one did not.
func (e *Engagement) comparedDepth(ctx context.Context, c Comparison) (mailproof.Depth, error) {
	passes, err := e.ledger.Passes(ctx)
	if err != nil {
		return 0, err
	}
	of := map[mailproof.PassID]mailproof.Depth{}
	for _, p := range passes {
		of[p.ID] = p.Depth
	}
	var least mailproof.Depth
	for _, a := range c.Accounts {
		for _, scan := range []mailproof.Scan{a.SourceScan, a.DestinationScan} {
			if d := of[scan.Pass]; d != 0 && (least == 0 || d < least) {
				least = d
			}
		}
	}
	t := c.Totals
	if least != 0 && t.NotChecked+t.DestinationNotChecked == 0 && t.SourceMessages+t.DestinationMessages > 0 {
		least = mailproof.DepthFull
	}
	return least, nil
}

// inventoriesOf opens the latest inventories of an account. A side that was
// never read is one of which nothing is known, not an empty one.
func (e *Engagement) inventoriesOf(ctx context.Context, name string) (src, dst diff.Inventory, done func() error, err error) {
	var opened []*ledger.Inventory
	done = func() error {
		var errs []error
		for _, inv := range opened {
			errs = append(errs, inv.Close())
		}
		return errors.Join(errs...)
	}
	open := func(side mailproof.Side) (diff.Inventory, error) {
		inv, err := e.ledger.Inventory(ctx, name, side)
		switch {
		case errors.Is(err, ledger.ErrUnknown):
			return neverRead{name, side}, nil
		case err != nil:
			return nil, err
		}
		opened = append(opened, inv)
		return e.annotate(inv), nil
	}
	if src, err = open(mailproof.Source); err == nil {
		dst, err = open(mailproof.Destination)
	}
	if err != nil {
		err = errors.Join(err, done())
	}
	return src, dst, done, err
}

// compareOptions are those of every comparison and plan of an account.
func (e *Engagement) compareOptions(ctx context.Context, name string, dst diff.Inventory) (diff.Options, error) {
	o := diff.Options{Rules: e.rules, Aliases: e.Rules.Aliases, MaxExceptions: cmp.Or(int(e.most), maxExceptions)}
	o.Rules, o.Aliases = e.rulesOf(name), e.Rules.aliasesOf(name)
	o.Rules.Refused = e.refusedCharacters(name, dst.Scan().Server)
	passes, err := e.ledger.Passes(ctx)
	o.Baseline = baseline(passes)
	return o, err
}

// baseline is the last inventory of the destination before anything was
// copied: what was there by then is pre-existing. Where nothing was ever
// copied by us, nobody can say.
func baseline(passes []mailproof.Pass) mailproof.PassID {
	var last mailproof.PassID
	for _, p := range passes {
		switch {
		case p.Kind == mailproof.CopyPass:
			return last
		case p.Kind == mailproof.InventoryPass && p.Side == mailproof.Destination:
			last = p.ID
		}
	}
	return 0
}

// neverRead is the inventory of a side that no pass has read: its zero scan
// says so, and nothing can be concluded from its being empty.
type neverRead struct {
	account string
	side    mailproof.Side
}

func (n neverRead) Scan() mailproof.Scan {
	return mailproof.Scan{Account: n.account, Side: n.side, Error: "was never read"}
}
func (neverRead) Mailboxes() []mailproof.MailboxScan { return nil }
func (neverRead) Rows(context.Context, mailproof.Tier) iter.Seq2[mailproof.Row, error] {
	return func(func(mailproof.Row, error) bool) {}
}
func (n neverRead) Message(context.Context, int64) (mailproof.Message, error) {
	return mailproof.Message{}, fmt.Errorf("%s %s was never read", n.side, n.account)
}

// explainRefusals puts the destination's own words beside what is missing. The
// words come from the copy journal; the verdict does not.
func (e *Engagement) explainRefusals(ctx context.Context, r *mailproof.AccountResult) error {
	latest, err := e.latestSteps(ctx, r)
	if err != nil {
		return err
	}
	var acknowledged []ledger.JournalEntry
	for i := range r.Exceptions {
		x := &r.Exceptions[i]
		if x.Verdict != mailproof.Missing {
			continue
		}
		last, ok, err := latest(ctx, x.Key)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		switch last.State {
		case mailproof.StepRefused:
			x.Reasons = append([]mailproof.Reason{{Code: reasonRefused, Evidence: "destination: " + last.Reason}}, x.Reasons...)
		case mailproof.StepFailed:
			x.Reasons = append([]mailproof.Reason{{Code: reasonFailed, Evidence: last.Reason}}, x.Reasons...)
		case mailproof.StepDone:
			acknowledged = append(acknowledged, last)
		}
	}
	return e.explainAcknowledged(ctx, r, acknowledged)
}

// explainAcknowledged says of missing messages that the destination acknowledged
// whether it has anything in their place.
func (e *Engagement) explainAcknowledged(ctx context.Context, r *mailproof.AccountResult, acknowledged []ledger.JournalEntry) (err error) {
	if len(acknowledged) == 0 {
		return nil
	}
	_, dst, done, err := e.inventoriesOf(ctx, r.Account)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	st := standing{Engagement: e, account: r.Account, dst: dst}
	stands, err := st.stands(ctx, acknowledged)
	if err != nil {
		return err
	}
	under := map[mailproof.MessageKey]string{}
	for _, s := range acknowledged {
		under[s.Step.Source] = "without a uid"
		if s.UID != 0 {
			under[s.Step.Source] = fmt.Sprintf("with uid %d", s.UID)
		}
	}
	for i := range r.Exceptions {
		x := &r.Exceptions[i]
		how, ok := under[x.Key]
		if !ok || x.Verdict != mailproof.Missing {
			continue
		}
		reason := mailproof.Reason{Code: reasonNotFound, Evidence: "the destination acknowledged the append " + how + ", and does not show it"}
		if stands[x.Key] {
			reason = mailproof.Reason{Code: reasonUnrecognised, Evidence: "the destination acknowledged the append " + how + ", and what it has there is not recognisable as this message"}
		}
		x.Reasons = append([]mailproof.Reason{reason}, x.Reasons...)
	}
	return nil
}

// names are the accounts to compare: those given, else everybody.
func (e *Engagement) names(ctx context.Context) ([]string, error) {
	if len(e.Accounts) == 0 {
		return e.everybody(ctx)
	}
	names := make([]string, len(e.Accounts))
	for i, a := range e.Accounts {
		names[i] = a.Name
	}
	return names, nil
}

func (e *Engagement) eachName(ctx context.Context, names []string, serial bool, f func(ctx context.Context, i int, name string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(2)
	if serial {
		g.SetLimit(1) // in the order of the names
	}
	for i, name := range names {
		g.Go(func() error { return f(ctx, i, name) })
	}
	return g.Wait()
}

// RecordDiff keeps a comparison in the ledger as a diff pass, with the numbers
// of its exceptions.
func (e *Engagement) RecordDiff(ctx context.Context, c Comparison) error {
	_, err := e.recordDiff(ctx, c)
	return err
}

func (e *Engagement) recordDiff(ctx context.Context, c Comparison) (mailproof.PassID, error) {
	pass, end, err := e.beginPass(ctx, mailproof.Pass{Kind: mailproof.DiffPass, Depth: e.Depth})
	if err != nil {
		return 0, err
	}
	for i := range c.Accounts {
		r, err := e.ledger.RecordDiff(ctx, pass, c.Accounts[i])
		if err != nil {
			return 0, end(err, 0, 0)
		}
		c.Accounts[i] = r
	}
	return pass, end(nil, c.Totals.SourceMessages+c.Totals.DestinationMessages, 0)
}
