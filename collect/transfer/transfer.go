// Package transfer carries out the steps of a copy pass on the destination:
// it creates and subscribes mailboxes, appends messages and stores flags. The
// steps are planned by diff from the ledger, or offered by an inventory pass
// that reads the source for the first time; transfer plans nothing, compares
// nothing, and what it reports done is a claim that only the next inventory of
// the destination turns into evidence.
//
// # How a message travels
//
// The source hands over the octets of BODY.PEEK[] as a stream. They are
// spooled, in memory or in a file, until every announced octet is there and,
// where an inventory has read the message before, its SHA-256 is the one in
// the ledger. Only then the APPEND begins: a cut connection to the source can
// never put half a message on the destination. Not an octet of the message is
// touched.
//
// [Run] fetches what a plan names. A [Sender] takes whole messages from
// whoever has them and appends them, a batch at a time: MULTIAPPEND (RFC 3502)
// where it is offered, else many commands in flight (RFC 7888), else, and where
// the server is slow over each of them, over several connections. A batch that
// is refused as a whole is sent again message by message, so that only what
// the server minds stays behind.
//
// # Never twice, never lost
//
// A batch is journalled, on disk, before its first octet is sent. Where the
// answer to it is lost, nothing is sent again before the destination was
// looked at: what its mailbox got since it was last known, by UID, is read and
// held against the batch by SHA-256. A message that is there is done. One that
// is not is sent again, but only if nothing lies there that nobody accounts
// for, as a server that stores other octets than it was given may have made
// that of it: then the step is reported as failed, and the next inventory,
// which has all the tiers of the fingerprint, decides. So does it after the
// process itself was killed.
//
// # What a server refuses
//
// A NO to one message concerns that message: the step is recorded as refused
// with the server's own words and the pass goes on. So is one that exceeds the
// server's APPENDLIMIT (RFC 7889) or what its quota leaves (RFC 9208), which is
// never sent. A full mailbox, a refused sign-in or a server that has gone ends
// the account's part of the pass.
package transfer

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

// ErrStopped ends a pass that was asked to stop.
var ErrStopped = errors.New("stopped on request")

// Source is what a copy pass needs of the source. It has no method that
// writes.
type Source interface {
	Examine(ctx context.Context, mailbox string) (mailproof.MailboxState, error)
	Bodies(ctx context.Context, want []mailproof.Metadata, read func(uid mailproof.UID, size int64, body io.Reader) error) (unread map[mailproof.UID]string, err error)
}

// Destination is what a copy pass needs of the destination.
type Destination interface {
	// Create makes a mailbox; one that exists already is no error.
	Create(ctx context.Context, mailbox string, use mailproof.SpecialUse) error
	Subscribe(ctx context.Context, mailbox string) error
	// StartAppend sends a batch and returns when its last octet is on its way;
	// wait, called once, returns what became of each message. Batches are
	// answered in the order in which they were started. With singly each
	// message has an answer of its own. Nothing is sent twice by itself.
	StartAppend(ctx context.Context, mailbox string, batch []mailproof.Outgoing, singly bool) (wait func(context.Context) ([]mailproof.Receipt, error), err error)
	// State tells where a mailbox ends.
	State(ctx context.Context, mailbox string) (mailproof.MailboxState, error)
	// ReadSince hands over the messages of a mailbox from a UID on, those that
	// cannot be read with a nil body.
	ReadSince(ctx context.Context, mailbox string, from mailproof.UID, read func(uid mailproof.UID, size int64, body io.Reader) error) (mailproof.MailboxState, error)
	// Quota returns the octets used and allowed; ok is false where there is none.
	Quota(ctx context.Context) (used, limit int64, ok bool, err error)
	StoreFlags(ctx context.Context, mailbox string, uidvalidity uint32, uid mailproof.UID, add, remove mailproof.Flags) error
}

// Journal is the part of the ledger that remembers what was intended and what
// was claimed.
type Journal interface {
	// Intend returns when the steps are on disk, with a ticket for each.
	Intend(ctx context.Context, pass mailproof.PassID, steps []mailproof.Step) (tickets []int64, err error)
	// Record takes the results of steps by their tickets; 0 is a step that was
	// not intended. They may reach the disk later.
	Record(ctx context.Context, pass mailproof.PassID, tickets []int64, results []mailproof.StepResult) error
}

// Limiter paces what is sent. Wait returns when so many messages and octets may
// go, or with the error that ends the account's part of the pass.
type Limiter interface {
	Wait(ctx context.Context, messages int, octets int64) error
}

// Spool reads a body to its end, which must come after exactly size octets, and
// holds it.
type Spool func(ctx context.Context, size int64, body io.Reader) (Body, error)

// Options says how to copy.
type Options struct {
	Pass    mailproof.PassID
	Account string
	Spool   Spool // of Run
	// AppendLimit is the largest message that the destination takes
	// (RFC 7889); 0 means that it stated none. Larger messages are refused
	// here, before a single octet of them is fetched.
	AppendLimit int64
	// Labels says which mailboxes of the destination are labels and no more, as at
	// Gmail: if it is a [Copier], a message that goes into several of them is sent
	// once. Nil: none is.
	Labels func(mailbox string) bool
	// State is what is known of a destination mailbox from an inventory that
	// is younger than anything that was sent; nil, or false: it is asked for.
	State func(mailbox string) (mailproof.MailboxState, bool)
	// More gives a further connection to the destination, or none for now, where
	// several of them take messages faster than one; done gives it back. Nil: one is
	// as fast as any number. WorthMore is how long a batch may be under way before
	// another one is asked for; 0 means a fifth of a second.
	More      func(ctx context.Context) (dst Destination, done func(), ok bool)
	WorthMore time.Duration
	Limiter   Limiter // nil: none
	Progress  mailproof.Progress
	Stop      <-chan struct{} // asks to end at the next message boundary, when closed
	// Pause is how long is waited after a lost connection, the first time; it
	// doubles from loss to loss. Settle is how long a server is given to finish
	// what it had received. 0 means half a second and two seconds.
	Pause, Settle time.Duration
	// Silence is how long a server may be silent before the connection is given up,
	// and how long it is given after that to finish what it had received. 0 means
	// thirty times Settle.
	Silence time.Duration
	// Waiting is told of every pause that a server caused; may be nil.
	Waiting func(cause error, pause time.Duration)
}

func (o Options) withDefaults() Options {
	if o.Pause <= 0 {
		o.Pause = 500 * time.Millisecond
	}
	if o.Settle <= 0 {
		o.Settle = 2 * time.Second
	}
	if o.Silence <= 0 {
		o.Silence = 30 * o.Settle
	}
	if o.WorthMore <= 0 {
		o.WorthMore = worthMore
	}
	return o
}

// Summary is what a copy pass over one account came to.
type Summary struct {
	Created, Subscribed     int
	Appended                int64
	AppendedBytes           int64
	Labelled                int64 // of those appended, put there by a copy on the server
	Flagged                 int64
	Refused, Failed         int64
	FailedMailboxes         int
	SourceBytes, SourceRead int64 // read from the source for it
}

// Add adds another account's summary.
func (s *Summary) Add(t Summary) {
	s.Created += t.Created
	s.Subscribed += t.Subscribed
	s.Appended += t.Appended
	s.AppendedBytes += t.AppendedBytes
	s.Labelled += t.Labelled
	s.Flagged += t.Flagged
	s.Refused += t.Refused
	s.Failed += t.Failed
	s.FailedMailboxes += t.FailedMailboxes
	s.SourceBytes += t.SourceBytes
	s.SourceRead += t.SourceRead
}

// What is asked of the source at once.
const (
	fetchMessages = 500
	fetchOctets   = 32 << 20
)

// Run carries out steps in their order. The error says why it could not go on;
// refusals and failures of single steps are in the journal and the summary.
func Run(ctx context.Context, src Source, dst Destination, j Journal, steps func(yield func(mailproof.Step, error) bool), o Options) (Summary, error) {
	r := &run{Options: o, src: src, journal: j, sender: NewSender(ctx, dst, j, o)}
	err := r.all(ctx, steps)
	sum, sendErr := r.sender.Close()
	if sendErr != nil && !errors.Is(err, sendErr) {
		err = errors.Join(sendErr, err)
	}
	sum.Add(r.sum)
	return sum, err
}

// run fetches what steps name and hands it to a sender.
type run struct {
	Options
	src     Source
	journal Journal
	sender  *Sender
	sum     Summary
}

func (r *run) all(ctx context.Context, steps func(yield func(mailproof.Step, error) bool)) (err error) {
	var batch []mailproof.Step
	var octets int64
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := r.fetch(ctx, batch)
		batch, octets = batch[:0], 0
		return err
	}
	steps(func(s mailproof.Step, stepErr error) bool {
		if stepErr != nil {
			err = stepErr
			return false
		}
		if r.stopped() {
			err = ErrStopped
			return false
		}
		if s.Kind != mailproof.AppendMessage {
			if err = flush(); err == nil {
				err = r.sender.Do(ctx, s)
			}
			return err == nil
		}
		full := len(batch) == fetchMessages || octets > 0 && octets+s.Size > fetchOctets
		if full || len(batch) > 0 && batch[0].Source.Mailbox != s.Source.Mailbox {
			if err = flush(); err != nil {
				return false
			}
		}
		batch, octets = append(batch, s), octets+s.Size
		return true
	})
	if err == nil {
		err = flush()
	}
	return err
}

func (r *run) stopped() bool {
	select {
	case <-r.Stop:
		return true
	default:
		return false
	}
}

// fetch copies messages of one source mailbox.
func (r *run) fetch(ctx context.Context, steps []mailproof.Step) error {
	steps, err := r.withoutTooLarge(ctx, steps)
	if err != nil || len(steps) == 0 {
		return err
	}
	mailbox := steps[0].Source.Mailbox
	state, err := r.src.Examine(ctx, mailbox)
	switch {
	case err != nil && endsAccount(err):
		return fmt.Errorf("source folder %q: %w", mailbox, err)
	case err != nil:
		return r.fail(ctx, steps, func(mailproof.Step) string { return "source folder cannot be opened: " + err.Error() })
	case state.UIDValidity != steps[0].Source.UIDValidity:
		return r.fail(ctx, steps, func(s mailproof.Step) string {
			return fmt.Sprintf("UIDVALIDITY of the source folder is %d now and was %d when the copy was planned: take a new inventory", state.UIDValidity, s.Source.UIDValidity)
		})
	}
	return r.bodies(ctx, steps)
}

// withoutTooLarge settles the steps that need not even be fetched.
func (r *run) withoutTooLarge(ctx context.Context, steps []mailproof.Step) ([]mailproof.Step, error) {
	var results []mailproof.StepResult
	rest := make([]mailproof.Step, 0, len(steps))
	for _, s := range steps {
		reason := tooLarge(s.Size, r.AppendLimit)
		if reason == "" {
			rest = append(rest, s)
			continue
		}
		results = append(results, mailproof.StepResult{Step: s, State: mailproof.StepRefused, Reason: reason, Finished: now()})
		r.sum.Refused++
		r.Progress.Add(mailproof.Tick{Kind: mailproof.CopyPass, Account: r.Account, Mailbox: s.Source.Mailbox, Done: 1, DoneBytes: s.Size, Refused: 1})
	}
	if len(results) == 0 {
		return rest, nil
	}
	return rest, r.journal.Record(ctx, r.Pass, make([]int64, len(results)), results)
}

// fail records steps of which nothing can be sent.
func (r *run) fail(ctx context.Context, steps []mailproof.Step, reason func(mailproof.Step) string) error {
	if len(steps) == 0 {
		return nil
	}
	results := make([]mailproof.StepResult, len(steps))
	for i, s := range steps {
		results[i] = mailproof.StepResult{Step: s, State: mailproof.StepFailed, Reason: reason(s), Finished: now()}
	}
	r.sum.Failed += int64(len(steps))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return r.journal.Record(ctx, r.Pass, make([]int64, len(results)), results)
}

const otherOctets = "the source gave other octets than at its inventory: read it again with inventory --side source --reverify"

// bodies reads the messages of a batch and hands them over, side by side with
// the sending: while one is on its way to the destination, the next comes from
// the source.
func (r *run) bodies(ctx context.Context, steps []mailproof.Step) error {
	byUID := make(map[mailproof.UID]mailproof.Step, len(steps))
	want := make([]mailproof.Metadata, len(steps))
	for i, s := range steps {
		byUID[s.Source.UID] = s
		want[i] = mailproof.Metadata{UID: s.Source.UID, Size: s.Size, InternalDate: s.InternalDate, Flags: s.Flags}
	}
	slices.SortFunc(want, func(a, b mailproof.Metadata) int { return cmp.Compare(a.UID, b.UID) })
	taken := map[mailproof.UID]bool{}
	var altered []mailproof.Step
	unread, err := r.src.Bodies(ctx, want, func(uid mailproof.UID, size int64, body io.Reader) error {
		step, ok := byUID[uid]
		if !ok || taken[uid] {
			return nil // not asked for, or delivered twice
		}
		if r.stopped() {
			return ErrStopped
		}
		b, err := r.Spool(ctx, size, body)
		if err != nil {
			return fmt.Errorf("uid %d: %w", uid, err)
		}
		r.sum.SourceRead++
		r.sum.SourceBytes += size
		taken[uid] = true
		t0, err := b.T0()
		if err != nil {
			return errors.Join(err, b.Release())
		}
		if !step.T0.IsZero() && step.T0 != t0 {
			altered = append(altered, step)
			return b.Release()
		}
		step.Size, step.T0 = size, t0
		return r.sender.Send(ctx, Message{Step: step, Body: b})
	})
	if len(altered) > 0 {
		err = errors.Join(err, r.fail(ctx, altered, func(mailproof.Step) string { return otherOctets }))
	}
	var lost []mailproof.Step
	for _, s := range steps {
		if !taken[s.Source.UID] {
			lost = append(lost, s)
		}
	}
	return errors.Join(err, r.fail(ctx, lost, func(s mailproof.Step) string {
		switch reason, failed := unread[s.Source.UID]; {
		case err != nil:
			return "not reached: " + err.Error()
		case !failed:
			return "the source sent no body and no error"
		default:
			return "source: " + reason
		}
	}))
}

// simple carries out a step that moves no message.
func (s *Sender) simple(ctx context.Context, step mailproof.Step) error {
	var err error
	switch step.Kind {
	case mailproof.CreateMailbox:
		err = s.dst.Create(ctx, step.Target, step.SpecialUse)
	case mailproof.SubscribeMailbox:
		err = s.dst.Subscribe(ctx, step.Target)
	case mailproof.StoreFlags:
		err = s.dst.StoreFlags(ctx, step.Destination.Mailbox, step.Destination.UIDValidity, step.Destination.UID, step.AddFlags, step.RemoveFlags)
	default:
		return fmt.Errorf("transfer: step kind %d is not known", step.Kind)
	}
	r := resultOf(step, err)
	switch {
	case err == nil:
		s.countSimple(step)
	case r.State == mailproof.StepRefused:
		s.sum.Refused++
	default:
		s.sum.Failed++
	}
	if err != nil && step.Kind == mailproof.CreateMailbox {
		// What should go there is refused with the reason, and not one by one.
		s.box(step.Target).refused = r.Reason
		s.sum.FailedMailboxes++
	}
	if jerr := s.journal.Record(ctx, s.o.Pass, []int64{0}, []mailproof.StepResult{r}); jerr != nil {
		return errors.Join(err, jerr)
	}
	if err != nil && endsAccount(err) {
		return err
	}
	return ctx.Err()
}

func (s *Sender) countSimple(step mailproof.Step) {
	switch step.Kind {
	case mailproof.CreateMailbox:
		s.box(step.Target).created = true
		s.sum.Created++
	case mailproof.SubscribeMailbox:
		s.sum.Subscribed++
	case mailproof.StoreFlags:
		s.sum.Flagged++
		s.o.Progress.Add(mailproof.Tick{Kind: mailproof.CopyPass, Account: s.o.Account, Done: 1})
	}
}

// resultOf classes the end of a step: refused is the server's answer to this
// step, failed is anything that a later pass may find otherwise.
func resultOf(step mailproof.Step, err error) mailproof.StepResult {
	r := mailproof.StepResult{Step: step, State: mailproof.StepDone, Finished: now()}
	if err == nil {
		return r
	}
	r.State, r.Reason = mailproof.StepFailed, err.Error()
	switch mailproof.KindOf(err) {
	case mailproof.ErrRefused, mailproof.ErrTooLarge, mailproof.ErrQuota, mailproof.ErrNoMailbox:
		r.State = mailproof.StepRefused
		if se := (*mailproof.ServerError)(nil); errors.As(err, &se) && se.Words() != "" {
			r.Reason = se.Words()
		}
	}
	return r
}

// endsAccount tells an error that concerns one step from one that all the
// others would have too.
func endsAccount(err error) bool {
	switch mailproof.KindOf(err) {
	case mailproof.ErrRefused, mailproof.ErrTooLarge, mailproof.ErrNoMailbox, mailproof.ErrProtocol:
		return false
	}
	return true
}

// hashOf returns the SHA-256 that a running hash has come to.
func hashOf(sum []byte) (h mailproof.Hash) {
	copy(h[:], sum)
	return h
}

var newHash = sha256.New
