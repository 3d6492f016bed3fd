// Package transfer carries out the steps of a copy pass on the destination:
// it creates and subscribes mailboxes, appends messages and stores flags. The
// steps are planned by diff from the ledger; transfer plans nothing, compares
// nothing, and what it reports done is a claim that only the next inventory of
// the destination turns into evidence.
//
// # How a message travels
//
// The source hands over the octets of BODY.PEEK[] as a stream. They are
// spooled, in memory up to [Options.MemoryPerMessage], else to a file, until
// every announced octet is there and, where the inventory has read the message
// before, its SHA-256 is the one in the ledger. Only then the APPEND begins: a
// cut connection to the source can never put half a message on the
// destination. Not an octet of the message is touched.
//
// # Never twice
//
// Intended appends are journalled before the first octet is sent. An append
// whose answer was lost is not sent again by this package: its fate is
// unknown, the step is reported as failed, and the caller takes a new
// inventory of the destination before it plans again.
//
// # What a server refuses
//
// A NO to one message concerns that message: the step is recorded as refused
// with the server's own words and the pass goes on. A full mailbox, a refused
// sign-in or a server that has gone ends the account's part of the pass.
package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/semaphore"

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
	// Append adds one message of exactly size octets, and returns what
	// APPENDUID claimed. A refusal is a [mailproof.ServerError].
	Append(ctx context.Context, mailbox string, flags mailproof.Flags, date time.Time, size int64, body io.Reader) (uidvalidity uint32, uid mailproof.UID, err error)
	StoreFlags(ctx context.Context, mailbox string, uidvalidity uint32, uid mailproof.UID, add, remove mailproof.Flags) error
}

// Journal is the part of the ledger that remembers what was intended and what
// was claimed. Both methods return only when the entry is on disk.
type Journal interface {
	Intend(ctx context.Context, pass mailproof.PassID, steps []mailproof.Step) error
	Record(ctx context.Context, pass mailproof.PassID, results []mailproof.StepResult) error
}

// Options says how to copy.
type Options struct {
	Pass    mailproof.PassID
	Account string
	// MemoryPerMessage is the size up to which a message is spooled in memory;
	// larger ones go to a file in SpoolDir. 0 means 8 MiB.
	MemoryPerMessage int64
	// MemoryInFlight bounds the octets of messages held in memory at once, for
	// this account. 0 means 32 MiB.
	MemoryInFlight int64
	SpoolDir       string // empty means the system's directory for temporary files
	// AppendLimit is the largest message that the destination takes
	// (RFC 7889); 0 means that it stated none. Larger messages are refused
	// here, before a single octet of them is fetched.
	AppendLimit int64
	Progress    mailproof.Progress
	Stop        <-chan struct{} // asks to end at the next message boundary, when closed
}

// Summary is what a copy pass over one account came to.
type Summary struct {
	Created, Subscribed     int
	Appended                int64
	AppendedBytes           int64
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
	s.Flagged += t.Flagged
	s.Refused += t.Refused
	s.Failed += t.Failed
	s.FailedMailboxes += t.FailedMailboxes
	s.SourceBytes += t.SourceBytes
	s.SourceRead += t.SourceRead
}

const (
	batchMessages = 500
	batchOctets   = 32 << 20
)

// Run carries out steps in their order. The error says why it could not go on;
// refusals and failures of single steps are in the journal and the summary.
func Run(ctx context.Context, src Source, dst Destination, j Journal, steps func(yield func(mailproof.Step, error) bool), o Options) (Summary, error) {
	e := &engine{Options: o, src: src, dst: dst, journal: j}
	if e.MemoryPerMessage == 0 {
		e.MemoryPerMessage = 8 << 20
	}
	if e.MemoryInFlight == 0 {
		e.MemoryInFlight = 32 << 20
	}
	e.budget = semaphore.NewWeighted(e.MemoryInFlight)
	err := e.run(ctx, steps)
	return e.sum, err
}

type engine struct {
	Options
	src     Source
	dst     Destination
	journal Journal
	budget  *semaphore.Weighted
	sum     Summary
	// noMailbox holds the targets that could not be created: what should go
	// there fails with the reason instead of being refused one by one.
	noMailbox map[string]string
}

func (e *engine) run(ctx context.Context, steps func(yield func(mailproof.Step, error) bool)) (err error) {
	var batch []mailproof.Step
	var octets int64
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		err := e.appendBatch(ctx, batch)
		batch, octets = batch[:0], 0
		return err
	}
	steps(func(s mailproof.Step, stepErr error) bool {
		if stepErr != nil {
			err = stepErr
			return false
		}
		if e.stopped() {
			err = ErrStopped
			return false
		}
		if s.Kind != mailproof.AppendMessage {
			if err = flush(); err == nil {
				err = e.simple(ctx, s)
			}
			return err == nil
		}
		full := len(batch) == batchMessages || octets > 0 && octets+s.Size > batchOctets
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

// simple carries out a step that moves no message.
func (e *engine) simple(ctx context.Context, s mailproof.Step) error {
	var err error
	switch s.Kind {
	case mailproof.CreateMailbox:
		err = e.dst.Create(ctx, s.Target, s.SpecialUse)
	case mailproof.SubscribeMailbox:
		err = e.dst.Subscribe(ctx, s.Target)
	case mailproof.StoreFlags:
		err = e.dst.StoreFlags(ctx, s.Destination.Mailbox, s.Destination.UIDValidity, s.Destination.UID, s.AddFlags, s.RemoveFlags)
	default:
		return fmt.Errorf("transfer: step kind %d is not known", s.Kind)
	}
	r := e.result(s, err)
	switch {
	case err == nil:
		e.countSimple(s.Kind)
	case s.Kind == mailproof.CreateMailbox && r.State != mailproof.StepDone:
		if e.noMailbox == nil {
			e.noMailbox = map[string]string{}
		}
		e.noMailbox[s.Target] = r.Reason
		e.sum.FailedMailboxes++
	}
	if jerr := e.journal.Record(ctx, e.Pass, []mailproof.StepResult{r}); jerr != nil {
		return errors.Join(err, jerr)
	}
	if err != nil && endsAccount(err) {
		return err
	}
	return ctx.Err()
}

func (e *engine) countSimple(k mailproof.StepKind) {
	switch k {
	case mailproof.CreateMailbox:
		e.sum.Created++
	case mailproof.SubscribeMailbox:
		e.sum.Subscribed++
	case mailproof.StoreFlags:
		e.sum.Flagged++
		e.Progress.Add(mailproof.Tick{Kind: mailproof.CopyPass, Account: e.Account, Mailbox: "", Done: 1})
	}
}

// result classes the end of a step: refused is the server's answer to this
// step, failed is anything that a later pass may find otherwise.
func (e *engine) result(s mailproof.Step, err error) mailproof.StepResult {
	r := mailproof.StepResult{Step: s, State: mailproof.StepDone, Finished: time.Now().UTC()}
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
		e.sum.Refused++
	default:
		e.sum.Failed++
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

func (e *engine) stopped() bool {
	select {
	case <-e.Stop:
		return true
	default:
		return false
	}
}

// appendBatch copies messages of one source mailbox.
func (e *engine) appendBatch(ctx context.Context, steps []mailproof.Step) error {
	steps, err := e.withoutHopeless(ctx, steps)
	if err != nil || len(steps) == 0 {
		return err
	}
	mailbox := steps[0].Source.Mailbox
	state, err := e.src.Examine(ctx, mailbox)
	switch {
	case err != nil && endsAccount(err):
		return fmt.Errorf("source folder %q: %w", mailbox, err)
	case err != nil:
		return e.failAll(ctx, steps, "source folder cannot be opened: "+err.Error())
	case state.UIDValidity != steps[0].Source.UIDValidity:
		return e.failAll(ctx, steps, fmt.Sprintf("UIDVALIDITY of the source folder is %d now and was %d when the copy was planned: take a new inventory", state.UIDValidity, steps[0].Source.UIDValidity))
	}
	if err := e.journal.Intend(ctx, e.Pass, steps); err != nil {
		return err
	}
	return e.pump(ctx, steps)
}

// withoutHopeless settles the steps whose end is known before anything is
// fetched: the destination folder could not be created, or the message is
// larger than the destination takes.
func (e *engine) withoutHopeless(ctx context.Context, steps []mailproof.Step) ([]mailproof.Step, error) {
	var settled []mailproof.StepResult
	rest := make([]mailproof.Step, 0, len(steps))
	for _, s := range steps {
		r := mailproof.StepResult{Step: s, State: mailproof.StepRefused, Finished: time.Now().UTC()}
		if reason, ok := e.noMailbox[s.Target]; ok {
			r.Reason = fmt.Sprintf("destination folder %q could not be created: %s", s.Target, reason)
		} else if e.AppendLimit > 0 && s.Size > e.AppendLimit {
			r.Reason = fmt.Sprintf("message of %d octets exceeds the destination's APPENDLIMIT of %d", s.Size, e.AppendLimit)
		} else {
			rest = append(rest, s)
			continue
		}
		e.sum.Refused++
		settled = append(settled, r)
		e.Progress.Add(mailproof.Tick{Kind: mailproof.CopyPass, Account: e.Account, Mailbox: s.Source.Mailbox, Done: 1, DoneBytes: s.Size, Refused: 1})
	}
	if len(settled) == 0 {
		return rest, nil
	}
	return rest, e.journal.Record(ctx, e.Pass, settled)
}

func (e *engine) failAll(ctx context.Context, steps []mailproof.Step, reason string) error {
	results := make([]mailproof.StepResult, len(steps))
	for i, s := range steps {
		results[i] = mailproof.StepResult{Step: s, State: mailproof.StepFailed, Reason: reason, Finished: time.Now().UTC()}
	}
	e.sum.Failed += int64(len(steps))
	return e.journal.Record(ctx, e.Pass, results)
}

// pump reads the messages of a batch and appends them, side by side: while one
// message is on its way to the destination, the next comes from the source.
func (e *engine) pump(ctx context.Context, steps []mailproof.Step) error {
	byUID := make(map[mailproof.UID]mailproof.Step, len(steps))
	want := make([]mailproof.Metadata, len(steps))
	for i, s := range steps {
		byUID[s.Source.UID] = s
		want[i] = mailproof.Metadata{UID: s.Source.UID, Size: s.Size, InternalDate: s.InternalDate, Flags: s.Flags}
	}
	sortByUID(want)

	// The appender is never cut off by trouble at the source: an APPEND whose
	// answer is not awaited has an unknown fate. Trouble at the destination
	// ends the fetching.
	fetchCtx, stopFetching := context.WithCancel(ctx)
	defer stopFetching()
	ready := make(chan spooled, 16)
	appended := make(chan error, 1)
	go func() {
		err := e.appendAll(ctx, ready)
		if err != nil {
			stopFetching()
		}
		appended <- err
	}()
	fetched := map[mailproof.UID]bool{}
	unread, fetchErr := e.src.Bodies(fetchCtx, want, func(uid mailproof.UID, size int64, body io.Reader) error {
		step, ok := byUID[uid]
		if !ok || fetched[uid] {
			return nil // not asked for, or delivered twice
		}
		if e.stopped() {
			return ErrStopped
		}
		m, err := e.spool(fetchCtx, step, size, body)
		if err != nil {
			return err
		}
		select {
		case ready <- m:
			fetched[uid] = true
			return nil
		case <-fetchCtx.Done():
			return errors.Join(fetchCtx.Err(), m.release())
		}
	})
	close(ready)
	err := <-appended
	if err == nil || ctx.Err() != nil {
		err = errors.Join(err, fetchErr)
	}
	for m := range ready { // what the appender left behind
		fetched[m.step.Source.UID] = false
		err = errors.Join(err, m.release())
	}
	var lost []mailproof.StepResult
	for _, s := range steps {
		reason, failed := unread[s.Source.UID]
		switch {
		case fetched[s.Source.UID]:
			continue
		case err != nil:
			reason = "not reached: " + err.Error()
		case !failed:
			reason = "the source sent no body and no error"
		default:
			reason = "source: " + reason
		}
		lost = append(lost, mailproof.StepResult{Step: s, State: mailproof.StepFailed, Reason: reason, Finished: time.Now().UTC()})
	}
	if len(lost) == 0 {
		return err
	}
	e.sum.Failed += int64(len(lost))
	recordCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(err, e.journal.Record(recordCtx, e.Pass, lost))
}

// appendAll sends what is ready until there is no more. It ends early only for
// an error that ends the account.
func (e *engine) appendAll(ctx context.Context, ready <-chan spooled) error {
	for m := range ready {
		if err := e.appendOne(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

func (e *engine) appendOne(ctx context.Context, m spooled) error {
	r := mailproof.StepResult{Step: m.step, Finished: time.Now().UTC()}
	var err error
	if want := m.step.T0; !want.IsZero() && want != m.t0 {
		r.State = mailproof.StepFailed
		r.Reason = "the source gave other octets than at its inventory: read it again with inventory --side source --reverify"
		e.sum.Failed++
	} else {
		var uidvalidity uint32
		var uid mailproof.UID
		uidvalidity, uid, err = e.dst.Append(ctx, m.step.Target, m.step.Flags, m.step.InternalDate, m.size, m.reader())
		r = e.result(m.step, err)
		r.UIDValidity, r.UID, r.Octets = uidvalidity, uid, m.size
	}
	tick := mailproof.Tick{Kind: mailproof.CopyPass, Account: e.Account, Mailbox: m.step.Source.Mailbox, Done: 1, DoneBytes: m.size}
	if r.State == mailproof.StepDone {
		e.sum.Appended++
		e.sum.AppendedBytes += m.size
	} else {
		tick.Refused = 1
	}
	e.Progress.Add(tick)
	// An answer that came is recorded even when the pass is being cancelled.
	recordCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	jerr := e.journal.Record(recordCtx, e.Pass, []mailproof.StepResult{r})
	relErr := m.release()
	if err != nil && !endsAccount(err) {
		err = nil
	}
	return errors.Join(err, jerr, relErr)
}

// hashOf returns the SHA-256 that a running hash has come to.
func hashOf(sum []byte) (h mailproof.Hash) {
	copy(h[:], sum)
	return h
}

var newHash = sha256.New
