package engagement

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/collect/transfer"
	"github.com/mailproof/mailproof/diff"
)

// The first copy reads the source once. Providers meter what is downloaded, and
// an inventory has every octet of a message in its hands: so while the source
// is being read, what the destination certainly lacks is handed on to it. The
// proof does not rest on that. The destination is read back in full, and what
// is compared are the two inventories.
//
// A message is handed on only if the destination was read to its end a moment
// ago and holds nothing, by any tier of the fingerprint nor by INTERNALDATE,
// that the comparison might take for its counterpart. Everything else, flags
// among it, is left to the plan that follows, which knows both sides.

// maxHoldSet is the number of destination messages up to which it is known of
// each whether it may be a counterpart; an account with more of them is copied
// by plan.
const maxHoldSet = 20_000

// copying is the copy pass that goes along with an inventory of the source. The
// nil copying copies nothing.
type copying struct {
	e       *Engagement
	fresh   mailproof.PassID // the inventory of the destination that it rests on
	started time.Time

	mu     sync.Mutex
	res    CopyResult
	end    func(err error, messages, bytes int64) error
	failed failures
}

// ReadAndCopy takes the inventories of both sides, the destination first, and
// copies from the one reading of the source what the destination certainly
// lacks. The copy's pass is 0 if there was no such thing. What else there is to
// do is to be planned when the destination was read again.
func (e *Engagement) ReadAndCopy(ctx context.Context, o Observer) (read [2]InventoryResult, copied CopyResult, err error) {
	see := func(res InventoryResult, err error) error {
		read[res.Side-1] = res
		if o.Inventory != nil && err == nil {
			o.Inventory(res)
		}
		return err
	}
	for _, a := range e.Accounts {
		e.signInAhead(ctx, a, mailproof.Source) // while the destination is read
	}
	dst, err := e.Inventory(ctx, mailproof.Destination)
	if err := see(dst, err); err != nil {
		return read, copied, err
	}
	if e.depthOf(mailproof.Source) != mailproof.DepthFull {
		return read, copied, see(e.Inventory(ctx, mailproof.Source))
	}
	c := &copying{e: e, fresh: dst.Pass, started: time.Now()}
	e.beside = c
	src, err := e.Inventory(ctx, mailproof.Source)
	e.beside = nil
	copied, endErr := c.finish(ctx, err)
	err = see(src, errors.Join(err, endErr))
	if err == nil && copied.Pass != 0 && o.Copy != nil {
		o.Copy(copied)
	}
	return read, copied, err
}

// finish records the end of the pass, if one began. Where something is left to
// the plan, its end waits for that: a copy that ended as done is the base that
// changes of flags are measured against, and the plan has not seen them yet.
func (c *copying) finish(ctx context.Context, cause error) (CopyResult, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end == nil {
		return c.res, nil
	}
	c.res.Failures, c.res.Took = c.failed.sorted(c.e.Rules), time.Since(c.started)
	switch {
	case cause != nil:
		// The cause is reported by the inventory.
		_ = c.end(cause, c.res.Summary.Appended, c.res.Summary.AppendedBytes)
		return c.res, nil
	case c.res.Rest:
		c.e.unsettled = c
		return c.res, nil
	}
	return c.res, c.end(nil, c.res.Summary.Appended, c.res.Summary.AppendedBytes)
}

// SettleCopy records the end of a copy that went along with the inventory of the
// source, where it had left something to the plan. carriedOut says that the
// plan was carried out since.
func (e *Engagement) SettleCopy(ctx context.Context, carriedOut bool) error {
	c := e.unsettled
	if c == nil {
		return nil
	}
	e.unsettled = nil
	if carriedOut && len(c.res.Failures) == 0 && c.res.Summary.Failed == 0 {
		return c.end(nil, c.res.Summary.Appended, c.res.Summary.AppendedBytes)
	}
	return e.endPartly(ctx, c.res.Pass, c.res)
}

// begin makes the copy pass when the first message is to be sent: its number is
// higher than that of the inventory, which it rests on.
func (c *copying) begin(ctx context.Context) (mailproof.PassID, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.end != nil {
		return c.res.Pass, nil
	}
	pass, end, err := c.e.beginPass(ctx, mailproof.Pass{Kind: mailproof.CopyPass, Depth: c.e.Depth})
	if err == nil {
		c.res.Pass, c.end = pass, end
	}
	return pass, err
}

// account prepares the copy of one account beside its inventory. done ends it.
func (c *copying) account(ctx context.Context, a Account) (tap collect.Tap, done func(ctx context.Context, readErr error), err error) {
	nothing := func(context.Context, error) {}
	if c == nil {
		return nil, nothing, nil
	}
	// What was sent before is not to be sent again because it was changed.
	sent, err := c.e.ledger.LastCopy(ctx, a.Name)
	if err != nil {
		return nil, nothing, err
	}
	known, err := c.knowsDestination(ctx, a.Name)
	if err != nil || !known {
		c.rest()
		return nil, nothing, err
	}
	t := &sourceTap{copying: c, a: a, sent: sent != 0}
	return t, t.done, nil
}

// rest takes note that an account is left to the plan.
func (c *copying) rest() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.res.Rest = true
}

// knowsDestination reports whether the destination was read to its end by the
// inventory that the copy rests on, and is small enough for [copying.holdSet].
func (c *copying) knowsDestination(ctx context.Context, account string) (known bool, err error) {
	_, dst, done, err := c.e.inventoriesOf(ctx, account)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, done()) }()
	if s := dst.Scan(); s.Pass != c.fresh || s.State != mailproof.PassDone {
		return false, nil
	}
	var messages int64
	for _, box := range dst.Mailboxes() {
		if !box.Complete || box.Drifted || box.Error != "" || box.Excluded != "" {
			return false, nil
		}
		messages += box.Present
	}
	return messages <= maxHoldSet, nil
}

// holdSet reads what the destination has. ok is false where that is not known
// of every message of it.
func (c *copying) holdSet(ctx context.Context, account string) (hold holdSet, ok bool, err error) {
	_, dst, done, err := c.e.inventoriesOf(ctx, account)
	if err != nil {
		return nil, false, err
	}
	defer func() { err = errors.Join(err, done()) }()
	n := 0
	for row, err := range dst.Rows(ctx, mailproof.TierNone) {
		if err != nil {
			return nil, false, err
		}
		if n++; n > maxHoldSet || row.State != mailproof.Read {
			return nil, false, nil
		}
		hold = hold.add(row.Hashes, row.InternalDate)
	}
	slices.Sort(hold)
	return slices.Compact(hold), true, nil
}

// holdSet is what the messages of a destination have that a counterpart of
// theirs would share: eight octets of each, in order.
type holdSet []uint64

func (h holdSet) add(hashes [mailproof.NumTiers]mailproof.Hash, date time.Time) holdSet {
	for i, hash := range hashes {
		if !hash.IsZero() {
			h = append(h, holdKey(i, hash))
		}
	}
	return append(h, holdDate(date))
}

func holdKey(tier int, hash mailproof.Hash) uint64 {
	return binary.BigEndian.Uint64(hash[:])&^0xf | uint64(tier)
}

func holdDate(date time.Time) uint64 { return uint64(date.Unix())<<4 | 0xf }

// has reports whether a message may have its counterpart among them.
func (h holdSet) has(m *mailproof.Message) bool {
	for _, key := range holdSet(nil).add(m.Fingerprint.Hashes, m.InternalDate) {
		if _, found := slices.BinarySearch(h, key); found {
			return true
		}
	}
	return false
}

// sourceTap hands what an inventory reads of one account on to its destination.
type sourceTap struct {
	*copying
	a         Account
	sent      bool // some of its messages were sent before
	server    mailproof.ServerInfo
	mailboxes []mailproof.Mailbox

	look  sync.Once // when the first message is offered: often none is
	hold  holdSet
	known bool // hold says it of every message

	start   sync.Once
	sender  *transfer.Sender
	close   func()
	folders diff.FolderMap
	pass    mailproof.PassID
	err     error // why nothing is sent

	mu   sync.Mutex
	held int // messages that may be there already
}

// Begin implements [collect.Tap]. Nothing is dialled before there is something
// to send.
func (t *sourceTap) Begin(_ context.Context, server mailproof.ServerInfo, mailboxes []mailproof.Mailbox) {
	t.server, t.mailboxes = server, mailboxes
}

// Offer implements [collect.Tap].
func (t *sourceTap) Offer(ctx context.Context, m mailproof.Message, body collect.Body) {
	target, wanted := "", false
	t.look.Do(func() { t.hold, t.known, t.err = t.holdSet(ctx, t.a.Name) })
	if t.known && !t.hold.has(&m) && !t.wasSent(ctx, &m) {
		t.start.Do(func() { t.err = t.open(ctx) })
		if t.err == nil {
			target, wanted = t.folders.Target(m.Mailbox)
		}
	}
	if !wanted {
		t.mu.Lock()
		t.held++
		t.mu.Unlock()
		// A body that cannot be given back is one that nobody has any more.
		_ = body.Release()
		return
	}
	// What keeps it from being sent ends the sender, which says so at its end.
	_ = t.sender.Send(ctx, transfer.Message{Body: body, Step: mailproof.Step{
		Kind: mailproof.AppendMessage, Account: t.a.Name, Target: target, Source: m.MessageKey,
		InternalDate: m.InternalDate, Flags: mailproof.NewFlags(m.Flags...), Size: body.Size(), T0: m.Fingerprint.Hash(mailproof.T0),
	}})
}

// wasSent reports whether a message was acknowledged before, or that cannot be
// told: then the plan sees to it, which knows what became of it.
func (t *sourceTap) wasSent(ctx context.Context, m *mailproof.Message) bool {
	if !t.sent {
		return false
	}
	last, ok, err := t.e.ledger.LatestStep(ctx, m.MessageKey)
	return err != nil || ok && last.State == mailproof.StepDone
}

// open signs in to the destination and makes its folders.
func (t *sourceTap) open(ctx context.Context) error {
	steps, err := t.plan(ctx)
	if err != nil {
		return err
	}
	if t.pass, err = t.begin(ctx); err != nil {
		return err
	}
	dst, done, err := t.e.writer(ctx, t.a)
	if err != nil {
		return err
	}
	o, err := t.e.sending(ctx, t.a, t.pass, dst, nil)
	if err != nil {
		done()
		return err
	}
	t.close = done
	t.sender = transfer.NewSender(ctx, dst, journal{t.e.ledger, &t.e.refused, &t.e.sent}, o)
	for _, s := range steps {
		if err := t.sender.Do(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// plan maps the folders, and finds what is to be made of them before the first
// message goes there.
func (t *sourceTap) plan(ctx context.Context) (steps []mailproof.Step, err error) {
	_, dst, done, err := t.e.inventoriesOf(ctx, t.a.Name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, done()) }()
	o, err := t.e.compareOptions(ctx, t.a.Name, dst)
	if err != nil {
		return nil, err
	}
	src := t.e.annotate(listing{scan: mailproof.Scan{Pass: t.fresh, Account: t.a.Name, Side: mailproof.Source, State: mailproof.PassDone, Server: t.server}, boxes: t.mailboxes})
	t.folders = diff.Targets(src, dst, o)
	for s, err := range diff.Plan(ctx, src, dst, o) {
		if err != nil {
			return nil, err
		}
		if s.Kind == mailproof.CreateMailbox || s.Kind == mailproof.SubscribeMailbox {
			steps = append(steps, s)
		}
	}
	return steps, nil
}

// done waits until everything is sent and answered. Only a copy that left
// nothing to a later plan is a base that changes of flags are measured against.
func (t *sourceTap) done(ctx context.Context, readErr error) {
	if t.sender == nil && t.err == nil {
		t.rest()
		return
	}
	var sum transfer.Summary
	err := t.err
	if t.sender != nil {
		var sendErr error
		sum, sendErr = t.sender.Close()
		err = errors.Join(err, sendErr)
		t.close()
	}
	if err == nil && readErr == nil && sum.Failed == 0 && sum.FailedMailboxes == 0 && t.held == 0 && len(t.hold) == 0 {
		err = t.e.ledger.EndCopy(ctx, t.pass, t.a.Name)
	}
	t.copying.mu.Lock()
	defer t.copying.mu.Unlock()
	t.res.Summary.Add(sum)
	t.res.Accounts++
	t.res.Rest = t.res.Rest || err != nil || sum.Failed > 0 || t.held > 0 || len(t.hold) > 0
	if err != nil && !IsStop(err) {
		t.failed.add(t.a.Name, mailproof.Destination, t.e.whenToResume(err))
	}
}

// listing is the inventory of an account of which nothing is known but its
// mailboxes.
type listing struct {
	scan  mailproof.Scan
	boxes []mailproof.Mailbox
}

func (l listing) Scan() mailproof.Scan { return l.scan }

func (l listing) Mailboxes() []mailproof.MailboxScan {
	out := make([]mailproof.MailboxScan, len(l.boxes))
	for i, mb := range l.boxes {
		out[i] = mailproof.MailboxScan{Mailbox: mb, Complete: true}
	}
	return out
}

func (listing) Rows(context.Context, mailproof.Tier) iter.Seq2[mailproof.Row, error] {
	return func(func(mailproof.Row, error) bool) {}
}

func (l listing) Message(context.Context, int64) (mailproof.Message, error) {
	return mailproof.Message{}, fmt.Errorf("%s %s was not read yet", l.scan.Side, l.scan.Account)
}

// destinationStates are the ends of an account's destination mailboxes as its
// latest inventory found them.
func (e *Engagement) destinationStates(ctx context.Context, account string) (func(mailbox string) (mailproof.MailboxState, bool), error) {
	_, dst, done, err := e.inventoriesOf(ctx, account)
	if err != nil {
		return nil, err
	}
	states := map[string]mailproof.MailboxState{}
	for _, box := range dst.Mailboxes() {
		if box.After.UIDNext != 0 {
			states[box.Name] = box.After
		}
	}
	return func(mailbox string) (mailproof.MailboxState, bool) {
		state, ok := states[mailbox]
		return state, ok
	}, done()
}
