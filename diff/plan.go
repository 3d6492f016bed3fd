package diff

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// ErrNotRead is why there is no plan: what lies on a side is not known.
var ErrNotRead = errors.New("the inventory is no complete listing")

// Plan yields the steps of the next copy pass, in the order in which they are
// to be carried out: mailboxes, parents first; subscriptions; messages by
// destination mailbox, INTERNALDATE and UID; flags by destination mailbox and
// UID. It is a pure function of the inventories, and against a destination
// that holds the result of its steps it yields none.
//
// A message is appended where Compare finds no counterpart of it, and nothing
// unread in the mapped mailbox may be one. That an unread message lies in
// another mailbox does not hold it back: should it be the counterpart after
// all, the copy is a surplus one, and Compare will say so. A source message
// that was never read is appended where the destination mailbox holds nothing
// that it may be. Altered and relocated messages are not sent again.
//
// Flags and keywords are compared three ways. Where the source's flags at the
// time of the last copy are known, what was set or cleared on the source since
// is set or cleared on the destination; otherwise flags are only added, and
// \Deleted is not touched.
//
// A destination that was never scanned is taken to be empty; the caller vouches
// for that. One whose scan did not end is refused with ErrNotRead.
func Plan(ctx context.Context, source, destination Inventory, o Options) iter.Seq2[mailproof.Step, error] {
	return func(yield func(mailproof.Step, error) bool) {
		err := plan(ctx, source, destination, o, func(s mailproof.Step) error {
			if !yield(s, nil) {
				return errStop
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStop) {
			yield(mailproof.Step{}, fmt.Errorf("plan: %w", err))
		}
	}
}

var errStop = errors.New("stop")

func plan(ctx context.Context, source, destination Inventory, o Options, emit func(mailproof.Step) error) error {
	e := newEngine(ctx, source, destination, o)
	if gap := scanGap(e.src); gap != "" {
		return fmt.Errorf("the source %s: %w", gap, ErrNotRead)
	}
	if gap := scanGap(e.dst); gap != "" && e.dst.inv != nil && e.dst.scan.Pass != 0 {
		return fmt.Errorf("the destination %s: %w", gap, ErrNotRead)
	}
	p := &planner{e: e, emit: emit, free: make([]int64, len(e.dst.boxes))}
	if err := e.run(p); err != nil {
		return err
	}
	for _, step := range []func() error{p.mailboxes, p.subscriptions, p.messages, p.stores} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// planner is the sink that remembers what is to be done.
type planner struct {
	e     *engine
	emit  func(mailproof.Step) error
	send  bitset  // source messages without counterpart, by dense number
	free  []int64 // by destination mailbox: messages that have no counterpart
	flags []flagStep
}

// flagStep is a StoreFlags step in short.
type flagStep struct {
	dst         int32
	src         int32
	uid, srcUID mailproof.UID
	add, remove mailproof.Flags
	now         mailproof.Flags
}

func (p *planner) unread(s *side, r *mailproof.Row) error {
	if s == p.e.dst {
		p.free[r.Mailbox]++
	}
	return nil
}

func (p *planner) leftover(s *side, r *mailproof.Row, _ bool) error {
	if s == p.e.dst {
		p.free[r.Mailbox]++
		return nil
	}
	if t := p.e.target[r.Mailbox]; t >= 0 && p.e.dstReading.mayHold(t, unixDate(r.InternalDate)) {
		return nil
	}
	i, err := s.dense(r)
	if err != nil {
		return err
	}
	if p.send == nil {
		p.send = newBitset(s.ids.n)
	}
	p.send.set(i)
	return nil
}

func (p *planner) paired(x *pair) error {
	add, remove := mergeFlags(x.src, x.dst)
	if len(add)+len(remove) == 0 {
		return nil
	}
	p.flags = append(p.flags, flagStep{
		dst: int32(x.dst.Mailbox), uid: x.dst.UID, src: int32(x.src.Mailbox), srcUID: x.src.UID,
		add: add, remove: remove, now: mailproof.NewFlags(x.src.Flags...),
	})
	return nil
}

// mergeFlags compares the source's flags now, those at the last copy and the
// destination's.
func mergeFlags(src, dst *mailproof.Row) (add, remove mailproof.Flags) {
	if !src.HasBase && src.Flags.Equal(dst.Flags) {
		return nil, nil
	}
	now, there := mailproof.NewFlags(src.Flags...), mailproof.NewFlags(dst.Flags...)
	if !src.HasBase {
		return now.Without(append(there, `\Deleted`)), nil
	}
	base := mailproof.NewFlags(src.BaseFlags...)
	add = now.Without(base).Without(there)
	for _, f := range base.Without(now) {
		if there.Has(f) {
			remove = append(remove, f)
		}
	}
	return add, remove
}

// mailboxes creates what is missing. A source mailbox that holds no messages of
// its own is no reason to create one: a server creates the superior names of
// a mailbox itself (RFC 9051 §6.3.4).
func (p *planner) mailboxes() error {
	taken := map[mailproof.SpecialUse]bool{}
	for _, d := range p.e.dst.boxes {
		taken[d.SpecialUse] = true
	}
	var steps []mailproof.Step
	for i, target := range p.targets() {
		box := &p.e.src.boxes[i]
		if target == "" || box.NoSelect || target == "INBOX" {
			continue
		}
		if t := p.e.target[i]; t >= 0 && !p.e.dst.boxes[t].NoSelect {
			continue
		}
		step := mailproof.Step{Kind: mailproof.CreateMailbox, Account: p.e.src.scan.Account, Target: target}
		switch use := p.e.folders.Use(box.Name); use {
		case "", mailproof.UseAll, mailproof.UseFlagged: // views of other mailboxes cannot be asked for
		default:
			if !taken[use] {
				step.SpecialUse = use
			}
		}
		if k := slices.IndexFunc(steps, func(s mailproof.Step) bool { return s.Target == target }); k >= 0 {
			steps[k].SpecialUse = cmp.Or(steps[k].SpecialUse, step.SpecialUse)
			continue
		}
		taken[step.SpecialUse] = true
		steps = append(steps, step)
	}
	// A name is longer than those of its superiors and begins with them.
	slices.SortFunc(steps, func(a, b mailproof.Step) int { return strings.Compare(a.Target, b.Target) })
	return p.emitAll(steps)
}

// targets returns the destination name of each source mailbox; empty for those
// that are left out.
func (p *planner) targets() []string {
	out := make([]string, len(p.e.src.boxes))
	for i := range p.e.src.boxes {
		if !p.e.src.out[i] {
			out[i], _ = p.e.folders.Target(p.e.src.boxes[i].Name)
		}
	}
	return out
}

func (p *planner) emitAll(steps []mailproof.Step) error {
	for _, s := range steps {
		if err := p.emit(s); err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) subscriptions() error {
	var names []string
	for i, target := range p.targets() {
		box := &p.e.src.boxes[i]
		if target == "" || box.NoSelect || !box.Subscribed {
			continue
		}
		if t := p.e.target[i]; t < 0 || !p.e.dst.boxes[t].Subscribed {
			names = append(names, target)
		}
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		err := p.emit(mailproof.Step{Kind: mailproof.SubscribeMailbox, Account: p.e.src.scan.Account, Target: name})
		if err != nil {
			return err
		}
	}
	return nil
}

// messages appends what is to be sent. The source is read once, by mailbox; a
// destination's messages are kept until its last source mailbox is past.
func (p *planner) messages() error {
	targets := p.targets()
	last := map[string]int{}
	for i, target := range targets {
		if target != "" {
			last[target] = i
		}
	}
	waiting := map[string][]outgoing{}
	flush := func(upTo int) error {
		for i := range upTo {
			if target := targets[i]; target != "" && last[target] == i {
				if err := p.appendTo(target, waiting[target]); err != nil {
					return err
				}
				delete(waiting, target)
				last[target] = -1
			}
		}
		return nil
	}
	box := 0
	for row, err := range p.e.src.rows(p.e.ctx, mailproof.TierNone) {
		if err != nil {
			return err
		}
		if row.Mailbox != box {
			if err := flush(row.Mailbox); err != nil {
				return err
			}
			box = row.Mailbox
		}
		wanted, err := p.wanted(row)
		if err != nil {
			return err
		}
		if wanted && targets[row.Mailbox] != "" {
			waiting[targets[row.Mailbox]] = append(waiting[targets[row.Mailbox]], newOutgoing(row))
		}
	}
	return flush(len(targets))
}

// wanted reports whether a source message is to be sent.
func (p *planner) wanted(r *mailproof.Row) (bool, error) {
	if p.e.src.omits(r) {
		return false, nil
	}
	switch r.State {
	case mailproof.Read:
		if p.send == nil {
			return false, nil
		}
		i, err := p.e.src.dense(r)
		return err == nil && p.send.has(i), err
	case mailproof.Unread:
		t := p.e.target[r.Mailbox]
		return t < 0 || p.free[t] == 0 && p.e.dstReading.latest[t] == noDate, nil
	default:
		return false, nil // tried, and failed
	}
}

// outgoing is a message to be sent, in short: a folder may hold a million.
type outgoing struct {
	date    time.Time
	flags   mailproof.Flags
	size    int64
	t0      mailproof.Hash
	mailbox int32
	uid     mailproof.UID
}

func newOutgoing(r *mailproof.Row) outgoing {
	out := outgoing{date: r.InternalDate, flags: r.Flags, size: r.Size, mailbox: int32(r.Mailbox), uid: r.UID}
	if r.State == mailproof.Read {
		out.size, out.t0 = r.Octets, r.Hash(mailproof.T0)
	}
	return out
}

func (p *planner) appendTo(target string, messages []outgoing) error {
	slices.SortFunc(messages, func(a, b outgoing) int {
		return cmp.Or(cmp.Compare(unixDate(a.date), unixDate(b.date)), cmp.Compare(a.mailbox, b.mailbox), cmp.Compare(a.uid, b.uid))
	})
	for _, m := range messages {
		err := p.emit(mailproof.Step{
			Kind: mailproof.AppendMessage, Account: p.e.src.scan.Account, Target: target,
			Source:       p.e.src.key(&mailproof.Row{Mailbox: int(m.mailbox), UID: m.uid}),
			InternalDate: m.date, Flags: mailproof.NewFlags(m.flags...), Size: m.size, T0: m.t0,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *planner) stores() error {
	slices.SortFunc(p.flags, func(a, b flagStep) int { return cmp.Or(cmp.Compare(a.dst, b.dst), cmp.Compare(a.uid, b.uid)) })
	for _, f := range p.flags {
		err := p.emit(mailproof.Step{
			Kind: mailproof.StoreFlags, Account: p.e.src.scan.Account, Target: p.e.dst.boxes[f.dst].Name,
			Source:      p.e.src.key(&mailproof.Row{Mailbox: int(f.src), UID: f.srcUID}),
			Destination: p.e.dst.key(&mailproof.Row{Mailbox: int(f.dst), UID: f.uid}),
			Flags:       f.now, AddFlags: f.add, RemoveFlags: f.remove,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
