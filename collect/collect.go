// Package collect runs an inventory pass over one account: it lists every
// mailbox, reads every message that the ledger does not know yet, and records
// what it found. It decides nothing about completeness; it makes sure that
// what the ledger says was true of the server at the time.
//
// # What a pass does to one mailbox
//
//  1. EXAMINE it, which gives the state before.
//  2. One FETCH without bodies of every message lists what is there. Merged
//     with what the ledger knows of this UIDVALIDITY, both in the order of
//     UIDs, it tells what is new, what changed its flags and what vanished.
//  3. The bodies that are new, that an earlier pass could not read, or whose UID
//     is listed with another size or date than it had, are fetched and
//     fingerprinted as they stream by. With Reverify all are. At
//     the depth of a sample only those that [Sample] chooses are fetched; the
//     others are recorded as unread. At that of a preview it is the whole
//     header of every message; [CalibrationSample] messages of the account are
//     read as well, to see what the sizes are worth that the server states, and
//     are forgotten.
//  4. EXAMINE it again, which gives the state after. Where the contents moved
//     meanwhile, steps 2 to 4 are done again for the difference, up to
//     [MaxRounds] times; a mailbox that does not settle is recorded as
//     drifted.
//
// A mailbox in which nothing has happened since an earlier pass read all of it is
// recorded as read without any of that, where the server proves it: by the same
// UIDVALIDITY, UIDNEXT, EXISTS and HIGHESTMODSEQ (RFC 7162), told when it is opened
// or, with the names of all mailboxes, by LIST-STATUS (RFC 5819), if one of them is
// found so when it is opened.
//
// A message that cannot be read is recorded as unreadable, with the reason,
// and the pass goes on; so is a mailbox that cannot be opened. Only a
// connection that cannot be had again ends the account's part of the pass,
// and the ledger then says so: a scan that failed is never a complete reading.
//
// # What this room may not touch
//
// It speaks IMAP only through [Source] and stores only through [Recorder].
// Neither has a method that writes to a mailbox.
package collect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
	"github.com/mailproof/mailproof/collect/spool"
)

// MaxRounds bounds how often a mailbox that changes while it is read is read
// again before it is recorded as drifted.
const MaxRounds = 4

// bodiesPerFetch bounds how many messages are asked of [Source.Bodies] at
// once, and with it the memory that their metadata takes.
const bodiesPerFetch = 5000

// ErrStopped ends a pass that was asked to stop. The ledger holds everything
// up to a message boundary, and the next pass goes on from there.
var ErrStopped = errors.New("stopped on request")

// ReasonExpunged is how a [Source] says that a message was expunged between
// its listing and its reading: it is not unreadable, it is gone.
const ReasonExpunged = "expunged while it was read"

// Source is what an inventory pass needs of a signed-in account. It has no
// method that writes.
type Source interface {
	// Server tells what the server said of itself.
	Server() mailproof.ServerInfo
	// Mailboxes lists every mailbox of the account.
	Mailboxes(ctx context.Context) ([]mailproof.Mailbox, error)
	// Examine opens a mailbox read-only and returns its state (RFC 9051 §6.3.3).
	Examine(ctx context.Context, mailbox string) (mailproof.MailboxState, error)
	// Metadata yields every message of the examined mailbox once, in ascending
	// order of UIDs.
	Metadata(ctx context.Context, yield func(mailproof.Metadata) error) error
	// Bodies reads the octets of the given messages of the examined mailbox
	// (BODY.PEEK[]) and hands each to read, one at a time. An error of the
	// body's reader must be returned by read: the message is then tried again.
	// Messages that could not be read are returned with the reason; an error
	// means that the mailbox could not be read to its end.
	Bodies(ctx context.Context, want []mailproof.Metadata, read func(uid mailproof.UID, size int64, body io.Reader) error) (unread map[mailproof.UID]string, err error)
	// Headers is as Bodies, of the whole header of each message
	// (BODY.PEEK[HEADER]).
	Headers(ctx context.Context, want []mailproof.Metadata, read func(uid mailproof.UID, size int64, header io.Reader) error) (unread map[mailproof.UID]string, err error)
}

// Recorder is what an inventory pass needs of the ledger.
type Recorder interface {
	BeginScan(ctx context.Context, s mailproof.Scan) error
	EndScan(ctx context.Context, s mailproof.Scan) error
	BeginMailbox(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side, mb mailproof.Mailbox, before mailproof.MailboxState) (MailboxRecorder, error)
	ExcludeMailbox(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side, mb mailproof.Mailbox, state mailproof.MailboxState, rule string) error
}

// MailboxRecorder records one mailbox of a pass.
type MailboxRecorder interface {
	// Known yields what earlier passes recorded under this UIDVALIDITY and
	// what is still present by their word, in ascending order of UIDs.
	Known(ctx context.Context) iter.Seq2[mailproof.Extant, error]
	// Add records a message that is not known yet.
	Add(ctx context.Context, m mailproof.Message) error
	// AddTwin is Add of a message that has all the octets of another one on record,
	// by the number of its [mailproof.Row], and so its fingerprint: that of m has
	// T0 and the number of octets alone.
	AddTwin(ctx context.Context, m mailproof.Message, twin int64) error
	// Reread records a further reading of a known message, and reports whether
	// it differs from the last one.
	Reread(ctx context.Context, m mailproof.Message) (changed bool, err error)
	// Headed yields the UIDs of which an earlier pass has read the header, in
	// ascending order.
	Headed(ctx context.Context) iter.Seq2[mailproof.UID, error]
	// AddHeaders records the headers of messages that were added unread.
	AddHeaders(ctx context.Context, uids []mailproof.UID, headers []mailproof.Header) error
	ChangeFlags(ctx context.Context, changes []mailproof.FlagChange) error
	Vanish(ctx context.Context, uids []mailproof.UID) error
	// End flushes all of it to disk and records how the scan of the mailbox ended.
	End(ctx context.Context, after mailproof.MailboxState, s mailproof.MailboxScan) error
}

// Options says how to take an inventory.
type Options struct {
	Pass     mailproof.PassID
	Account  string
	Side     mailproof.Side
	Depth    mailproof.Depth // the zero value means DepthFull
	Sample   Sample          // what DepthSample reads; by the zero value, DefaultSample messages
	Reverify bool            // read every message again, known or not
	// Exclude names the rule that leaves a mailbox out, if one does; nil
	// leaves out nothing.
	Exclude func(mailproof.Mailbox) (rule string, excluded bool)
	// Omit reports whether a rule leaves out a single message: it is listed, and
	// not read. Nil leaves out none.
	Omit func(mailproof.Metadata) bool
	// Started is when what the source tells may have been found out first; zero means
	// when the pass takes up the account.
	Started  time.Time
	Progress mailproof.Progress
	// Written reports whether something was sent to a mailbox since it was read
	// last: that its server says nothing of it is no reason to leave it unread. Nil:
	// nothing was, to any.
	Written func(mailbox string) bool
	// Twins are asked for the fingerprint of a message before it is made, where
	// there is much to read; nil, or with Reverify: all are made.
	Twins Twins
	// Tap is offered what is read for the first time; nil: nobody is.
	Tap Tap
	// More gives another connection to the same account, or none for now. It
	// is asked when there is much to read. done gives it back.
	More func(ctx context.Context) (src Source, done func(), ok bool)
	// Spool holds bodies until they were worked on; nil means one of the
	// package's own.
	Spool *spool.Pool
	// Stop asks the pass to end at the next message boundary, when closed.
	Stop <-chan struct{}
	Now  func() time.Time // nil means time.Now
}

// Summary is what a pass over one account came to.
type Summary struct {
	Mailboxes   int                   // selectable and not excluded
	Messages    int64                 // present in them
	Read        int64                 // bodies read by this pass
	Bytes       int64                 // octets of those
	Sizes       mailproof.Calibration // of a preview: what RFC822.SIZE is worth
	Headers     int64                 // headers read by a preview
	HeaderBytes int64                 // octets of those
	Headless    int64                 // of those it tried, the headers that could not be read
	New         int64
	Vanished    int64
	Flagged     int64 // messages whose flags changed
	Unreadable  int64 // of those this pass tried
	Changed     int64 // known messages whose octets were not the same when read again
	Drifted     int   // mailboxes that did not settle
	Failed      int   // mailboxes that could not be read
}

// Add adds another account's summary.
func (s *Summary) Add(t Summary) {
	s.Mailboxes += t.Mailboxes
	s.Messages += t.Messages
	s.Read += t.Read
	s.Bytes += t.Bytes
	s.Sizes.Add(t.Sizes)
	s.Headers += t.Headers
	s.HeaderBytes += t.HeaderBytes
	s.Headless += t.Headless
	s.New += t.New
	s.Vanished += t.Vanished
	s.Flagged += t.Flagged
	s.Unreadable += t.Unreadable
	s.Changed += t.Changed
	s.Drifted += t.Drifted
	s.Failed += t.Failed
}

// Inventory takes the inventory of one account. The error says why the account
// could not be read to its end; it is in the ledger too.
func Inventory(ctx context.Context, src Source, rec Recorder, o Options) (Summary, error) {
	p := newPass(src, rec, o)
	scan := mailproof.Scan{Pass: o.Pass, Account: o.Account, Side: o.Side, Started: o.Started, Server: src.Server()}
	if scan.Started.IsZero() {
		scan.Started = p.now()
	}
	if err := rec.BeginScan(ctx, scan); err != nil {
		return p.sum, err
	}
	err := p.account(ctx)
	return p.sum, endScan(ctx, rec, scan, p.now(), err)
}

// Failed records that an account could not be read at all: the sign-in was
// refused, or nobody answered.
func Failed(ctx context.Context, rec Recorder, o Options, server mailproof.ServerInfo, cause error) error {
	now := time.Now().UTC()
	scan := mailproof.Scan{Pass: o.Pass, Account: o.Account, Side: o.Side, Started: now, Server: server}
	if err := rec.BeginScan(ctx, scan); err != nil {
		return errors.Join(cause, err)
	}
	return endScan(ctx, rec, scan, now, cause)
}

func endScan(ctx context.Context, rec Recorder, scan mailproof.Scan, now time.Time, cause error) error {
	scan.Finished, scan.State = now, mailproof.PassDone
	switch {
	case cause == nil:
	case errors.Is(cause, ErrStopped) || errors.Is(cause, context.Canceled):
		scan.State, scan.Error = mailproof.PassCancelled, ErrStopped.Error()
	default:
		scan.State, scan.Error = mailproof.PassFailed, cause.Error()
	}
	// The end of a cancelled scan is evidence too: write it all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(cause, rec.EndScan(ctx, scan))
}

// pass is one account's part of a pass while it runs.
type pass struct {
	Options
	src Source
	rec Recorder
	sum Summary
	fp  *fingerprint.Hasher
	now func() time.Time
	// limit is the highest rank that a sample by number reads.
	limit uint64
	crew  *crew
	// states are what the server said of mailboxes with their names; nil where
	// it said nothing.
	states map[string]mailproof.MailboxState
}

func newPass(src Source, rec Recorder, o Options) *pass {
	p := &pass{Options: o, src: src, rec: rec, fp: fingerprint.New(), now: func() time.Time { return time.Now().UTC() }}
	if o.Now != nil {
		p.now = o.Now
	}
	if p.Depth == 0 {
		p.Depth = mailproof.DepthFull
	}
	if p.Depth == mailproof.DepthPreview {
		p.Sample = calibration
	}
	if p.Sample.IsZero() {
		p.Sample.Number = DefaultSample
	}
	if p.Spool == nil {
		p.Spool = sharedSpool()
	}
	return p
}

func (p *pass) account(ctx context.Context) error {
	mailboxes, err := p.survey(ctx)
	if err != nil {
		return fmt.Errorf("list the folders: %w", err)
	}
	if !slices.ContainsFunc(mailboxes, func(mb mailproof.Mailbox) bool { return !mb.NoSelect }) {
		// Every account has an INBOX (RFC 9051 §5.1). An empty list is a
		// server's mistake or an access right, and no empty account.
		return errors.New("the server lists no folder that can be opened, not even INBOX")
	}
	if err := p.drawSample(ctx, mailboxes); err != nil {
		return err
	}
	p.begin(ctx, mailboxes)
	if mailboxes, err = p.skipUnchanged(ctx, mailboxes); err != nil {
		return err
	}
	return p.readAll(ctx, mailboxes)
}

// oneMailbox records one mailbox, whatever becomes of it. Its error is one
// that ends the account.
func (p *pass) oneMailbox(ctx context.Context, mb mailproof.Mailbox) error {
	if mb.NoSelect {
		w, err := p.rec.BeginMailbox(ctx, p.Pass, p.Account, p.Side, mb, mailproof.MailboxState{})
		if err != nil {
			return err
		}
		return w.End(ctx, mailproof.MailboxState{}, mailproof.MailboxScan{Mailbox: mb, Complete: true})
	}
	rule, excluded := "", false
	if p.Exclude != nil {
		rule, excluded = p.Exclude(mb)
	}
	before, told := p.states[mb.Name]
	var err error
	switch {
	case !excluded:
		before, err = p.open(ctx, mb.Name)
	case !told:
		before, err = p.src.Examine(ctx, mb.Name)
	}
	if excluded && err == nil {
		return p.rec.ExcludeMailbox(ctx, p.Pass, p.Account, p.Side, mb, before, rule)
	}
	if err != nil {
		return p.unopened(ctx, mb, err)
	}
	w, err := p.rec.BeginMailbox(ctx, p.Pass, p.Account, p.Side, mb, before)
	if err != nil {
		return err
	}
	p.sum.Mailboxes++
	if scan, ok, err := p.unchanged(ctx, w, mb, before); err != nil || ok {
		p.sum.Messages += scan.Present
		if err == nil {
			err = w.End(ctx, before, scan)
		}
		return err
	}
	s := scanner{pass: p, w: w, mb: mb}
	scan, fatal := s.settle(ctx, before)
	p.sum.Messages += scan.Present
	if scan.Drifted {
		p.sum.Drifted++
	}
	if scan.Error != "" {
		p.sum.Failed++
	}
	endCtx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(fatal, w.End(endCtx, scan.After, scan))
}

// unopened records a mailbox that could not be opened. A server that answered
// NO will answer for the others; a connection that is gone ends the account.
func (p *pass) unopened(ctx context.Context, mb mailproof.Mailbox, cause error) error {
	if ctx.Err() != nil {
		return cause
	}
	p.sum.Failed++
	w, err := p.rec.BeginMailbox(ctx, p.Pass, p.Account, p.Side, mb, mailproof.MailboxState{})
	if err != nil {
		return errors.Join(cause, err)
	}
	scan := mailproof.MailboxScan{Mailbox: mb, Error: cause.Error()}
	if err := w.End(ctx, mailproof.MailboxState{}, scan); err != nil {
		return errors.Join(cause, err)
	}
	if endsAccount(cause) {
		return cause
	}
	return nil
}

// endsAccount tells an error that only one folder has from one that every
// folder after it would have.
func endsAccount(err error) bool {
	switch mailproof.KindOf(err) {
	case mailproof.ErrRefused, mailproof.ErrNoMailbox, mailproof.ErrProtocol:
		return false
	}
	return true
}

func (p *pass) stopped() bool {
	select {
	case <-p.Stop:
		return true
	default:
		return false
	}
}

func (p *pass) tick(mailbox string, t mailproof.Tick) {
	t.Kind, t.Side, t.Account, t.Mailbox = mailproof.InventoryPass, p.Side, p.Account, mailbox
	p.Progress.Add(t)
}
