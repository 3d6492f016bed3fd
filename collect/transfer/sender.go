package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

// Message is a message on its way to the destination, whole: every octet of it
// is in Body. Step.Size and Step.T0 are what Body holds.
type Message struct {
	Step mailproof.Step
	Body Body
}

// Body is held in memory or in a file until it is released.
type Body interface {
	Size() int64
	// T0 reads it and returns its SHA-256.
	T0() (mailproof.Hash, error)
	// Reader reads it from its start, again at each call.
	Reader() io.ReadSeeker
	Release() error
}

// What one batch holds at most. To take in a batch costs a server a time that
// grows with the mailbox: a batch is as large as its mailbox, divided by
// batchShare, so that the cost of a message does not grow with it.
const (
	batchMessages = 100
	batchMost     = 2000
	batchShare    = 8
	batchOctets   = 2 << 20
)

// How many batches are on their way at once: two, so that the next one is being
// sent while the server answers, and more where they are small, so that a far
// server is not waited for between them.
const (
	flightDepth  = 2
	flightMost   = 8
	flightOctets = 3 << 20 // of them all, from which there are no more than two
)

// linger is how long a message waits for others to go with, while the line is
// idle.
const linger = 3 * time.Millisecond

// Sender appends messages to one account, in the order in which they come, many
// at a time, over one connection or, with [Options.More], over several. One
// goroutine decides what is sent; Send may be called by many.
//
// A batch is journalled, as a whole and on disk, before its first octet is
// sent. Its results are journalled behind: a result that a crash takes away
// leaves an intention without result, and a message whose fate only the
// destination knows, which is what an intention is for.
type Sender struct {
	o       Options
	dst     Destination
	several *several // dst, where it may be several connections; else nil
	journal Journal
	in      chan work
	ended   chan struct{}

	// Of the sending goroutine.
	batches  []*batch // being filled, the oldest first
	waiting  int      // messages in them
	flights  []*flight
	boxes    map[string]*box
	again    []Message                       // to be sent once more, before anything else
	ticketOf map[mailproof.MessageKey]ticket // of again
	losses   int                             // of the connection, since the last message got through
	room     int64                           // octets that the quota leaves; -1: there is none
	asked    bool                            // for the quota
	blamed   map[mailproof.MessageKey]int    // see blame
	sum      Summary
	err      error // why nothing is sent any more
	patience
	labelling
}

// work is a message, or something to be done when all that came before it is.
type work struct {
	Message
	do   func() error
	done chan error
}

// batch is messages for one mailbox.
type batch struct {
	messages []Message
	octets   int64
	most     int  // messages
	closed   bool // the next message for its mailbox did not fit
}

func (b *batch) full() bool {
	return b.closed || len(b.messages) >= b.most || b.octets >= batchOctets
}

// maxWaiting bounds the messages in batches that are being filled: a source
// that reads several mailboxes at once fills several batches.
const maxWaiting = 2 * batchMost

// flight is a batch on its way.
type flight struct {
	messages []Message
	octets   int64 // that are sent for it
	tickets  []int64
	floor    floor
	end      chan struct{}
	receipts []mailproof.Receipt
	err      error
}

// NewSender begins to send. Close must be called. The context ends everything
// at once: what is on its way then has an unknown fate.
func NewSender(ctx context.Context, dst Destination, j Journal, o Options) *Sender {
	s := &Sender{o: o.withDefaults(), dst: dst, journal: j, in: make(chan work, batchMessages), ended: make(chan struct{}), boxes: map[string]*box{}, room: -1}
	if o.Labels != nil {
		s.copier, _ = dst.(Copier)
	}
	if o.More != nil {
		s.several = newSeveral(ctx, dst, s.o)
		s.dst = s.several
	}
	go s.loop(ctx)
	return s
}

// Send hands over a message, whose body is released when it is done with,
// whatever happens. It waits while the destination is slower than the source.
// Its error is why nothing is sent any more.
func (s *Sender) Send(ctx context.Context, m Message) error {
	select {
	case s.in <- work{Message: m}:
		return nil
	case <-s.ended:
		return errors.Join(s.err, m.Body.Release())
	case <-ctx.Done():
		return errors.Join(ctx.Err(), m.Body.Release())
	}
}

// Do carries out a step that moves no message, after everything that was sent
// before it. Its error is one that ends the account.
func (s *Sender) Do(ctx context.Context, step mailproof.Step) error {
	w := work{done: make(chan error, 1)}
	w.do = func() error { return s.simple(ctx, step) }
	select {
	case s.in <- w:
	case <-s.ended:
		return s.err
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-w.done:
		return err
	case <-s.ended:
		return s.err
	}
}

// Close waits until everything is sent and answered, and says what it came to.
// Nothing may be handed over behind it.
func (s *Sender) Close() (Summary, error) {
	close(s.in)
	<-s.ended
	return s.sum, s.err
}

func (s *Sender) loop(ctx context.Context) {
	defer close(s.ended)
	for s.err == nil {
		more, err := s.turn(ctx)
		if err != nil {
			s.err = err
		}
		if !more {
			break
		}
	}
	s.abandon(ctx)
	if s.several != nil {
		s.several.close()
	}
}

// turn does the next thing there is to do. more is false at the end.
func (s *Sender) turn(ctx context.Context) (more bool, err error) {
	switch {
	case ctx.Err() != nil:
		return false, ctx.Err()
	case s.stopped():
		return false, errors.Join(s.land(ctx, 0), ErrStopped)
	case len(s.again) > 0 && len(s.flights) == 0:
		return true, s.repeat(ctx)
	case s.crowded():
		return true, s.land(ctx, len(s.flights)-1)
	case s.ready() != nil:
		return true, s.dispatch(ctx, s.ready())
	case len(s.copies) >= maxCopies:
		return true, s.flush(ctx)
	}
	var answered <-chan struct{}
	var idle <-chan time.Time
	if len(s.flights) > 0 {
		answered = s.flights[0].end
	} else if s.waiting > 0 || len(s.copies) > 0 {
		timer := time.NewTimer(linger)
		defer timer.Stop()
		idle = timer.C
	}
	select {
	case w, ok := <-s.in:
		switch {
		case !ok:
			return false, errors.Join(s.flush(ctx), s.land(ctx, 0))
		case w.do != nil:
			err := s.flush(ctx)
			if err == nil {
				err = w.do()
			}
			w.done <- err
			return err == nil, err
		}
		return true, s.take(ctx, w.Message)
	case <-answered:
		return true, s.land(ctx, len(s.flights)-1)
	case <-idle:
		if s.waiting == 0 {
			return true, s.label(ctx)
		}
		return true, s.dispatch(ctx, s.batches[0])
	case <-s.o.Stop:
		return true, nil
	case <-ctx.Done():
		return true, nil
	}
}

func (s *Sender) stopped() bool {
	select {
	case <-s.o.Stop:
		return true
	default:
		return false
	}
}

// flush sends what there is and waits for every answer.
func (s *Sender) flush(ctx context.Context) error {
	for s.waiting > 0 || len(s.flights) > 0 || len(s.again) > 0 || len(s.copies) > 0 {
		switch {
		case s.stopped():
			return errors.Join(s.land(ctx, 0), ErrStopped)
		case s.crowded() || len(s.flights) > 0 && (s.waiting == 0 || len(s.again) > 0):
			if err := s.land(ctx, len(s.flights)-1); err != nil {
				return err
			}
		case len(s.again) > 0 && len(s.flights) == 0:
			if err := s.repeat(ctx); err != nil {
				return err
			}
		case s.waiting == 0 && len(s.flights) == 0:
			if err := s.label(ctx); err != nil {
				return err
			}
		default:
			if err := s.dispatch(ctx, s.batches[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// crowded reports whether an answer must come before another batch goes.
func (s *Sender) crowded() bool {
	if len(s.flights) < flightDepth || len(s.flights) >= flightMost {
		return len(s.flights) >= flightMost
	}
	var octets int64
	for _, f := range s.flights {
		octets += f.octets
	}
	return octets >= flightOctets
}

// ready is a batch that waits for nothing more, or nil. Batches that are being
// filled hold memory that what is yet to come may need: together they take no
// more than one full one.
func (s *Sender) ready() *batch {
	for _, b := range s.batches {
		if b.full() {
			return b
		}
	}
	if s.waiting >= maxWaiting || s.octets() >= batchOctets {
		return slices.MaxFunc(s.batches, func(a, b *batch) int { return cmp.Compare(a.octets, b.octets) })
	}
	return nil
}

// take puts a message into the batch, or settles it where its end is known
// before it is sent.
func (s *Sender) take(ctx context.Context, m Message) error {
	if reason, err := s.hopeless(ctx, &m.Step); err != nil {
		return errors.Join(err, m.Body.Release())
	} else if reason != "" {
		return errors.Join(s.settle(ctx, []Message{m}, []int64{0}, []mailproof.StepResult{s.refuse(m.Step, reason)}), nil)
	}
	if s.byLabel(&m.Step) {
		s.copies = append(s.copies, m)
		return nil
	}
	s.enqueue(m)
	return nil
}

// enqueue puts a message into the batch of its mailbox.
func (s *Sender) enqueue(m Message) {
	s.waiting++
	for _, b := range s.batches {
		if b.closed || b.messages[0].Step.Target != m.Step.Target {
			continue
		}
		if !b.full() && b.octets+m.Step.Size <= batchOctets {
			b.messages, b.octets = append(b.messages, m), b.octets+m.Step.Size
			return
		}
		b.closed = true
	}
	s.batches = append(s.batches, &batch{messages: []Message{m}, octets: m.Step.Size, most: s.box(m.Step.Target).batch()})
}

// hopeless says why a message is not sent at all: what is refused here was not
// even tried.
func (s *Sender) hopeless(ctx context.Context, step *mailproof.Step) (reason string, err error) {
	if b := s.boxes[step.Target]; b != nil && b.refused != "" {
		return fmt.Sprintf("destination folder %q could not be created: %s", step.Target, b.refused), nil
	}
	if reason := tooLarge(step.Size, s.o.AppendLimit); reason != "" {
		return reason, nil
	}
	return s.overQuota(ctx, step.Size)
}

func tooLarge(size, limit int64) string {
	if limit > 0 && size > limit {
		return fmt.Sprintf("message of %d octets exceeds the destination's APPENDLIMIT of %d", size, limit)
	}
	return ""
}

// overQuota asks for the quota once, counts along, and asks again before it
// says no: what was counted is not what the server counts.
func (s *Sender) overQuota(ctx context.Context, size int64) (reason string, err error) {
	if s.asked && (s.room < 0 || size <= s.room) {
		if s.room >= 0 {
			s.room -= size
		}
		return "", nil
	}
	if s.asked {
		if err := s.land(ctx, 0); err != nil { // what is on its way counts
			return "", err
		}
	}
	s.asked = true
	used, limit, ok, err := s.dst.Quota(ctx)
	if err != nil {
		return "", err
	}
	if !ok {
		s.room = -1
		return "", nil
	}
	s.room = max(limit-used-s.octets(), 0)
	if size > s.room {
		return fmt.Sprintf("message of %d octets exceeds what the destination's quota leaves: %d of %d octets are used", size, used, limit), nil
	}
	s.room -= size
	return "", nil
}

// refuse is the result of a message that is not sent.
func (s *Sender) refuse(step mailproof.Step, reason string) mailproof.StepResult {
	return mailproof.StepResult{Step: step, State: mailproof.StepRefused, Reason: reason, Finished: now()}
}

func now() time.Time { return time.Now().UTC() }

// octets are those that wait to be sent.
func (s *Sender) octets() (n int64) {
	for _, b := range s.batches {
		n += b.octets
	}
	return n
}

// dispatch journals a batch and puts it on its way.
func (s *Sender) dispatch(ctx context.Context, b *batch) error {
	s.batches = slices.DeleteFunc(s.batches, func(x *batch) bool { return x == b })
	s.waiting -= len(b.messages)
	f := &flight{messages: b.messages, octets: b.octets, end: make(chan struct{})}
	if err := s.prepare(ctx, f); err != nil {
		return errors.Join(err, releaseAll(b.messages))
	}
	s.launch(ctx, f, false)
	return nil
}

// prepare does what must have happened before the first octet of a batch is
// sent.
func (s *Sender) prepare(ctx context.Context, f *flight) error {
	steps := make([]mailproof.Step, len(f.messages))
	for i, m := range f.messages {
		steps[i] = m.Step
	}
	if s.o.Limiter != nil {
		if err := s.o.Limiter.Wait(ctx, len(steps), f.octets); err != nil {
			return err
		}
	}
	if err := s.know(ctx, steps[0].Target); err != nil {
		return err
	}
	var err error
	f.tickets, err = s.journal.Intend(ctx, s.o.Pass, steps)
	return err
}

// launch sends a batch that was journalled. A failure shows when it lands.
func (s *Sender) launch(ctx context.Context, f *flight, singly bool) {
	out := make([]mailproof.Outgoing, len(f.messages))
	for i, m := range f.messages {
		out[i] = mailproof.Outgoing{Flags: m.Step.Flags, InternalDate: m.Step.InternalDate, Size: m.Step.Size, Body: m.Body.Reader()}
	}
	f.floor = s.box(f.messages[0].Step.Target).top
	s.flights = append(s.flights, f)
	wait, err := s.dst.StartAppend(ctx, f.messages[0].Step.Target, out, singly)
	if err != nil {
		f.err = err
		f.receipts = make([]mailproof.Receipt, len(f.messages))
		for i := range f.receipts {
			f.receipts[i].Fate = mailproof.FateNotSent
		}
		close(f.end)
		return
	}
	go func() {
		f.receipts, f.err = wait(ctx)
		close(f.end)
	}()
}

// land waits for the oldest batches until no more than some are in the air,
// and settles them. When the connection was lost it brings all of them down
// and finds out what became of them.
func (s *Sender) land(ctx context.Context, leave int) error {
	var lost error
	var doubt []pending
	for len(s.flights) > leave || len(s.flights) > 0 && (lost != nil || len(doubt) > 0) {
		f := s.flights[0]
		s.flights = s.flights[1:]
		<-f.end
		open, err := s.landed(ctx, f)
		doubt = append(doubt, open...)
		if err != nil {
			return errors.Join(err, s.giveUp(ctx, doubt, err))
		}
		if f.err != nil && lost == nil {
			lost = f.err
		}
	}
	if len(doubt) == 0 && lost == nil {
		s.forget()
		return nil
	}
	return s.recover(ctx, doubt, lost)
}

// pending is a journalled message without result.
type pending struct {
	Message
	ticket  int64
	floor   floor // of the flight that it was in
	fate    mailproof.Fate
	refused int // messages of the batch that was refused as a whole; 0: it was not
	blamed  int // how often the connection was lost over it alone
}

// landed records what was answered and returns the rest. Its error ends the
// account.
func (s *Sender) landed(ctx context.Context, f *flight) (open []pending, err error) {
	messages := make([]Message, 0, len(f.messages))
	tickets := make([]int64, 0, len(f.messages))
	results := make([]mailproof.StepResult, 0, len(f.messages))
	for i, r := range f.receipts {
		m := f.messages[i]
		if r.Fate == mailproof.FateRefused {
			if p, again := s.bear(ctx, m, f.tickets[i], r.Err); again {
				p.floor = f.floor
				open = append(open, p)
				continue
			}
		}
		switch {
		case r.Fate == mailproof.FateAdded:
			s.losses = 0
			s.box(m.Step.Target).added(m.Step.T0, r, f.floor)
			s.arrived(&m.Step, r.UIDValidity, r.UID)
			results = append(results, mailproof.StepResult{Step: m.Step, State: mailproof.StepDone, UIDValidity: r.UIDValidity, UID: r.UID, Octets: m.Step.Size, Finished: now()})
		case r.Fate == mailproof.FateRefused && r.Whole && worthSingly(r.Err):
			open = append(open, pending{Message: m, ticket: f.tickets[i], floor: f.floor, fate: r.Fate, refused: len(f.messages)})
			continue
		case r.Fate == mailproof.FateRefused:
			results = append(results, resultOf(m.Step, r.Err))
			if endsAccount(r.Err) && err == nil {
				err = r.Err
			}
		default:
			open = append(open, pending{Message: m, ticket: f.tickets[i], floor: f.floor, fate: r.Fate})
			continue
		}
		messages, tickets = append(messages, m), append(tickets, f.tickets[i])
	}
	if f.err != nil && len(open) == 1 && len(f.messages) == 1 {
		open[0].blamed = s.blame(open[0].Step.Source)
	}
	return open, errors.Join(err, s.settle(ctx, messages, tickets, results))
}

// blame counts how often the connection was lost over a message that was
// under way by itself.
func (s *Sender) blame(k mailproof.MessageKey) int {
	if s.blamed == nil {
		s.blamed = map[mailproof.MessageKey]int{}
	}
	s.blamed[k]++
	return s.blamed[k]
}

// worthSingly reports whether the refusal of a batch may concern only some of
// its messages.
func worthSingly(err error) bool {
	switch mailproof.KindOf(err) {
	case mailproof.ErrRefused, mailproof.ErrTooLarge, mailproof.ErrQuota, mailproof.ErrProtocol, mailproof.ErrNoMailbox:
		return true
	}
	return false
}

// settle journals results, counts them and releases the messages. An answer
// that came is recorded even when the pass is being cancelled.
func (s *Sender) settle(ctx context.Context, messages []Message, tickets []int64, results []mailproof.StepResult) error {
	if len(results) == 0 {
		return nil
	}
	for i := range results {
		r := &results[i]
		tick := mailproof.Tick{Kind: mailproof.CopyPass, Account: s.o.Account, Mailbox: r.Step.Source.Mailbox, Done: 1, DoneBytes: r.Step.Size}
		switch r.State {
		case mailproof.StepDone:
			s.sum.Appended++
			s.sum.AppendedBytes += r.Octets
		case mailproof.StepRefused:
			s.sum.Refused++
			tick.Refused = 1
		default:
			s.sum.Failed++
			tick.Refused = 1
		}
		s.o.Progress.Add(tick)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(s.journal.Record(ctx, s.o.Pass, tickets, results), releaseAll(messages))
}

// giveUp records messages as failed that will not be sent in this pass.
func (s *Sender) giveUp(ctx context.Context, list []pending, cause error) error {
	var messages []Message
	var tickets []int64
	var results []mailproof.StepResult
	for _, p := range list {
		reason := "not reached: " + cause.Error()
		if p.fate == mailproof.FateUnknown {
			reason = "the destination did not acknowledge it, and its next inventory tells whether it is there: " + cause.Error()
		}
		messages, tickets = append(messages, p.Message), append(tickets, p.ticket)
		results = append(results, mailproof.StepResult{Step: p.Step, State: mailproof.StepFailed, Reason: reason, Finished: now()})
	}
	return s.settle(ctx, messages, tickets, results)
}

// abandon ends what is left when nothing is sent any more. What was never
// journalled was never tried, and is only released.
func (s *Sender) abandon(ctx context.Context) {
	var open []pending
	for _, f := range s.flights {
		<-f.end
		left, err := s.landed(ctx, f)
		open = append(open, left...)
		s.err = errors.Join(s.err, err)
	}
	s.flights = nil
	if s.err != nil {
		s.err = errors.Join(s.err, s.giveUp(ctx, open, s.err))
	}
	left := append(s.again, s.copies...)
	for _, b := range s.batches {
		left = append(left, b.messages...)
	}
	for draining := true; draining; {
		select {
		case w, ok := <-s.in:
			switch {
			case !ok:
				draining = false
			case w.do == nil:
				left = append(left, w.Message)
			}
		default:
			draining = false
		}
	}
	s.batches, s.waiting, s.again, s.copies = nil, 0, nil, nil
	s.err = errors.Join(s.err, releaseAll(left))
}

func releaseAll(messages []Message) error {
	var errs []error
	for _, m := range messages {
		errs = append(errs, m.Body.Release())
	}
	return errors.Join(errs...)
}
