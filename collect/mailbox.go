package collect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

// scanner reads one mailbox until its contents hold still.
type scanner struct {
	*pass
	w        MailboxRecorder
	mb       mailproof.Mailbox
	state    mailproof.MailboxState
	flags    flagTable
	present  []entry         // what the last listing showed, in ascending order of UIDs
	lookUp   bool            // twins are asked for before a fingerprint is made
	weighed  bool            // the calibration of a preview has had its part of the mailbox
	gone     []mailproof.UID // messages expunged between a listing and their reading
	headGone int             // the same, of headers
}

// entry is a listed message in 48 octets, so that a million of them stay
// affordable.
type entry struct {
	uid    mailproof.UID
	flags  uint32 // index into the flag table
	date   int64  // INTERNALDATE in Unix seconds
	zone   int32  // its offset from UTC in seconds
	dated  bool
	known  bool                // the ledger has the message
	other  bool                // its UID was that of another message when it was read
	tried  bool                // this round found that it cannot be read
	headed bool                // this pass has recorded its header
	state  mailproof.ReadState // of the last reading
	listed int64               // RFC822.SIZE
	gmail  uint64              // X-GM-MSGID
}

// settle reads the mailbox, again where it changed meanwhile. The error is one
// that ends the account; what ends only the mailbox is in the scan.
func (s *scanner) settle(ctx context.Context, before mailproof.MailboxState) (mailproof.MailboxScan, error) {
	scan := mailproof.MailboxScan{Mailbox: s.mb}
	known, stop := iter.Pull2(s.w.Known(ctx))
	defer stop()
	next := known
	for round := 1; ; round++ {
		s.state, s.gone, s.headGone = before, s.gone[:0], 0
		scan.Before, scan.After = before, mailproof.MailboxState{}
		err := s.round(ctx, next)
		scan.Present = int64(len(s.present))
		if err != nil {
			return s.broken(ctx, scan, err)
		}
		after, err := s.src.Examine(ctx, s.mb.Name)
		if err != nil {
			return s.broken(ctx, scan, err)
		}
		scan.After = after
		if after.UIDValidity != before.UIDValidity {
			scan.Error = fmt.Sprintf("UIDVALIDITY changed from %d to %d while the folder was read", before.UIDValidity, after.UIDValidity)
			return scan, nil
		}
		still := before.SameContents(after) && uint32(len(s.present)) == after.Exists
		if round == MaxRounds && still {
			if err := s.denied(ctx); err != nil {
				return s.broken(ctx, scan, err)
			}
		}
		if len(s.gone)+s.headGone == 0 && still {
			scan.Complete = true
			return scan, nil
		}
		if round == MaxRounds {
			scan.Complete, scan.Drifted = true, true
			return scan, nil
		}
		before, next = after, pullEntries(s.present)
	}
}

// broken turns an error into the scan's end. Stopping and losing the server
// end the account as well.
func (s *scanner) broken(ctx context.Context, scan mailproof.MailboxScan, err error) (mailproof.MailboxScan, error) {
	scan.Error = err.Error()
	if ctx.Err() != nil || errors.Is(err, ErrStopped) {
		scan.Error = ErrStopped.Error()
		return scan, err
	}
	if errors.Is(err, errRecorder) || endsAccount(err) {
		return scan, fmt.Errorf("folder %q: %w", s.mb.Name, err)
	}
	return scan, nil
}

// errRecorder marks an error of the ledger, which no other folder would be
// spared.
var errRecorder = errors.New("ledger")

// IsLedger reports whether an error of a pass came from the ledger, so that it
// concerns every account and not only this one.
func IsLedger(err error) bool { return errors.Is(err, errRecorder) }

func recorded(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errRecorder, err)
}

type pullExtant = func() (mailproof.Extant, error, bool)

// pullEntries presents what the last round listed and recorded as what is known
// now. What was gone before it could be read was not recorded.
func pullEntries(present []entry) pullExtant {
	i := 0
	return func() (mailproof.Extant, error, bool) {
		for i < len(present) && !present[i].known {
			i++
		}
		if i == len(present) {
			return mailproof.Extant{}, nil, false
		}
		e := &present[i]
		i++
		x := mailproof.Extant{UID: e.uid, State: e.state, Size: e.listed}
		if e.state == readNow {
			x.State = mailproof.Read
		}
		if e.dated {
			x.InternalDate = time.Unix(e.date, 0)
		}
		return x, nil, true
	}
}

// round lists the mailbox, records the difference to what is known and reads
// what has to be read.
func (s *scanner) round(ctx context.Context, known pullExtant) error {
	previous := s.present
	m := merger{scanner: s, known: known, previous: previous}
	s.present = make([]entry, 0, max(len(previous), int(min(s.state.Exists, 1<<20))))
	if err := m.advance(); err != nil {
		return err
	}
	if err := s.src.Metadata(ctx, func(md mailproof.Metadata) error { return m.listed(ctx, md) }); err != nil {
		return err
	}
	if err := m.finish(ctx); err != nil {
		return err
	}
	if err := s.read(ctx); err != nil || s.Depth != mailproof.DepthPreview {
		return err
	}
	if err := s.headers(ctx); err != nil {
		return err
	}
	return s.calibrate(ctx)
}

// merger walks the server's listing and the ledger's side by side.
type merger struct {
	*scanner
	known    pullExtant
	previous []entry // of an earlier round: carries flags and state
	prev     int
	at       mailproof.Extant
	more     bool
	last     mailproof.UID
	changes  []mailproof.FlagChange
	vanished []mailproof.UID
	labels   []mailproof.Labelled
}

func (m *merger) advance() error {
	var err error
	m.at, err, m.more = m.known()
	return recorded(err)
}

func (m *merger) listed(ctx context.Context, md mailproof.Metadata) error {
	if m.stopped() {
		return ErrStopped
	}
	if md.UID <= m.last {
		return &mailproof.ServerError{Kind: mailproof.ErrProtocol, Server: m.src.Server().Address, Op: fmt.Sprintf("list folder %q", m.mb.Name),
			Text: fmt.Sprintf("uid %d listed after uid %d", md.UID, m.last)}
	}
	m.last = md.UID
	for m.more && m.at.UID < md.UID {
		if err := m.vanish(ctx); err != nil {
			return err
		}
	}
	e := entry{uid: md.UID, flags: m.flags.index(md.Flags), listed: md.Size, gmail: md.GmailID, dated: !md.InternalDate.IsZero()}
	if e.dated {
		_, zone := md.InternalDate.Zone()
		e.date, e.zone = md.InternalDate.Unix(), int32(zone)
	}
	if m.more && m.at.UID == md.UID {
		e.other = m.at.State == mailproof.Read && !m.at.Is(&md)
		if err := m.again(ctx, &e); err != nil {
			return err
		}
	}
	m.present = append(m.present, e)
	return m.label(ctx, md)
}

// again handles a listed message that is known already.
func (m *merger) again(ctx context.Context, e *entry) error {
	e.known, e.state = true, m.at.State
	before := m.at.Flags
	if p := m.earlier(e.uid); p != nil {
		e.state, e.headed, before = p.state, p.headed, m.flags.at(p.flags)
		e.other = e.other || p.other // not read yet
	}
	if now := m.flags.at(e.flags); !now.Equal(before) {
		m.sum.Flagged++
		m.changes = append(m.changes, mailproof.FlagChange{UID: e.uid, Flags: now})
		if len(m.changes) >= 1000 {
			if err := m.flushChanges(ctx); err != nil {
				return err
			}
		}
	}
	return m.advance()
}

// earlier finds the message in the listing of the round before.
func (m *merger) earlier(uid mailproof.UID) *entry {
	for m.prev < len(m.previous) && m.previous[m.prev].uid < uid {
		m.prev++
	}
	if m.prev < len(m.previous) && m.previous[m.prev].uid == uid {
		return &m.previous[m.prev]
	}
	return nil
}

func (m *merger) vanish(ctx context.Context) error {
	// A message that an earlier round of this pass listed, but that was gone
	// before it could be read, was never recorded: nothing vanishes then.
	if p := m.earlier(m.at.UID); m.previous == nil || p != nil && p.known {
		m.sum.Vanished++
		m.vanished = append(m.vanished, m.at.UID)
	}
	if len(m.vanished) >= 1000 {
		if err := m.flushChanges(ctx); err != nil {
			return err
		}
	}
	return m.advance()
}

func (m *merger) finish(ctx context.Context) error {
	for m.more {
		if err := m.vanish(ctx); err != nil {
			return err
		}
	}
	if err := m.flushLabels(ctx); err != nil {
		return err
	}
	return m.flushChanges(ctx)
}

func (m *merger) flushChanges(ctx context.Context) error {
	if len(m.changes) > 0 {
		if err := m.w.ChangeFlags(ctx, m.changes); err != nil {
			return recorded(err)
		}
		m.changes = m.changes[:0]
	}
	if len(m.vanished) > 0 {
		if err := m.w.Vanish(ctx, m.vanished); err != nil {
			return recorded(err)
		}
		m.vanished = m.vanished[:0]
	}
	return nil
}

// reads reports whether the depth of the pass takes in a message's body.
func (s *scanner) reads(uid mailproof.UID) bool {
	if s.Omit != nil && s.Omit(s.metadata(s.find(uid))) {
		return false
	}
	switch s.Depth {
	case mailproof.DepthPreview:
		return false
	case mailproof.DepthSample:
		return s.sampled(uid)
	}
	return true
}

// wanted reports whether a listed message must be recorded or read in this
// round.
func (s *scanner) wanted(e *entry) bool {
	if !e.known || e.other {
		return true
	}
	if e.state == mailproof.Read && !s.Reverify || !s.reads(e.uid) {
		return false
	}
	return e.state != readNow
}

// readNow marks a message that this very pass has read, so that a further
// round does not read it once more. It never reaches the ledger.
const readNow mailproof.ReadState = 255

// read fetches what is wanted, a bounded number of messages at a time.
func (s *scanner) read(ctx context.Context) error {
	var planned, plannedBytes int64
	for i := range s.present {
		if e := &s.present[i]; s.wanted(e) && s.reads(e.uid) {
			planned++
			plannedBytes += e.listed
		}
	}
	s.tick(s.mb.Name, mailproof.Tick{Planned: planned, PlannedBytes: plannedBytes})
	var err error
	if s.lookUp, err = s.looksUp(ctx, planned, plannedBytes); err != nil {
		return err
	}
	if planned >= worthHelpMessages || plannedBytes >= worthHelpOctets {
		s.crew.help(ctx)
	}
	batch := make([]mailproof.Metadata, 0, min(planned, bodiesPerFetch))
	for i := range s.present {
		if s.wanted(&s.present[i]) {
			batch = append(batch, s.metadata(&s.present[i]))
		}
		if len(batch) == bodiesPerFetch || len(batch) > 0 && i == len(s.present)-1 {
			if err := s.readBatch(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return nil
}

func (s *scanner) metadata(e *entry) mailproof.Metadata {
	md := mailproof.Metadata{UID: e.uid, Flags: s.flags.at(e.flags), Size: e.listed, GmailID: e.gmail}
	if e.dated {
		md.InternalDate = time.Unix(e.date, 0).In(time.FixedZone("", int(e.zone)))
	}
	return md
}

func (s *scanner) readBatch(ctx context.Context, batch []mailproof.Metadata) error {
	bodies := batch[:0] // the caller is done with the batch
	for _, md := range batch {
		if s.reads(md.UID) {
			bodies = append(bodies, md)
			continue
		}
		if err := s.record(ctx, md, mailproof.Message{State: mailproof.Unread}); err != nil {
			return err
		}
	}
	if batch = bodies; len(batch) == 0 {
		return nil
	}
	unread, err := s.readBodies(ctx, batch)
	if err != nil {
		return err
	}
	return s.unreadable(ctx, batch, unread)
}

// unreadable records what could not be read: as unreadable, never as absent.
func (s *scanner) unreadable(ctx context.Context, batch []mailproof.Metadata, unread map[mailproof.UID]string) error {
	for _, md := range batch {
		reason, failed := unread[md.UID]
		e := s.find(md.UID)
		switch {
		case e.state == readNow || e.tried:
			continue
		case failed && reason == ReasonExpunged:
			s.gone = append(s.gone, md.UID)
			continue
		case !failed:
			// Neither delivered nor refused: the source broke its word. That
			// must not pass as "not there".
			reason = "the server sent no body and no error"
		}
		if err := s.failed(ctx, md, reason); err != nil {
			return err
		}
	}
	return nil
}

// denied records what a server lists and counts, round after round, and says is
// not there when it is asked for it: it may be there, and was not read.
func (s *scanner) denied(ctx context.Context) error {
	for _, uid := range s.gone {
		if err := s.failed(ctx, s.metadata(s.find(uid)), reasonDenied); err != nil {
			return err
		}
	}
	s.gone = s.gone[:0]
	return nil
}

const reasonDenied = "the server lists and counts it, and says that it is not there when it is asked for it"

// reasonStub says that a server sent a notice of its own in place of a message
// that it could not produce, as Exchange does.
const reasonStub = "server-stub: the server sent a notice of its own in place of the message"

// failed records one message as unreadable.
func (s *scanner) failed(ctx context.Context, md mailproof.Metadata, reason string) error {
	if err := s.record(ctx, md, mailproof.Message{State: mailproof.Unreadable, Reason: reason}); err != nil {
		return err
	}
	s.find(md.UID).tried = true
	s.sum.Unreadable++
	s.tick(s.mb.Name, mailproof.Tick{Done: 1, Unreadable: 1})
	return nil
}

// record writes one reading to the ledger, as a new message or as a further
// reading of a known one.
func (s *scanner) record(ctx context.Context, md mailproof.Metadata, m mailproof.Message) error {
	return s.recordTwin(ctx, md, m, 0)
}

// recordTwin is record of a message that has the fingerprint of another one on
// record, if twin is not 0.
func (s *scanner) recordTwin(ctx context.Context, md mailproof.Metadata, m mailproof.Message, twin int64) (err error) {
	m.Metadata = md
	m.MessageKey = mailproof.MessageKey{Side: s.Side, Account: s.Account, Mailbox: s.mb.Name, UIDValidity: s.state.UIDValidity, UID: md.UID}
	e := s.find(md.UID)
	switch {
	case e.known:
		if twin != 0 {
			if m.Fingerprint, err = s.whole(ctx, m.Fingerprint, twin); err != nil {
				return err
			}
		}
		changed, err := s.w.Reread(ctx, m)
		if err != nil {
			return recorded(err)
		}
		if changed && e.state == mailproof.Read {
			s.sum.Changed++
		}
	case twin != 0:
		err = s.w.AddTwin(ctx, m, twin)
	default:
		err = s.w.Add(ctx, m)
	}
	if err != nil {
		return recorded(err)
	}
	if !e.known {
		s.sum.New++
	}
	e.known, e.other, e.state = true, false, m.State
	if m.State == mailproof.Read {
		e.state = readNow
	}
	return nil
}

func (s *scanner) find(uid mailproof.UID) *entry {
	i, ok := slices.BinarySearchFunc(s.present, uid, func(e entry, uid mailproof.UID) int { return int(int64(e.uid) - int64(uid)) })
	if !ok {
		return &entry{}
	}
	return &s.present[i]
}

// flagTable keeps each set of flags once: a mailbox has few different ones.
type flagTable struct {
	sets   []mailproof.Flags
	byText map[string]uint32
}

func (t *flagTable) index(f mailproof.Flags) uint32 {
	key := f.String()
	if i, ok := t.byText[key]; ok {
		return i
	}
	if t.byText == nil {
		t.byText = map[string]uint32{}
	}
	i := uint32(len(t.sets))
	t.sets = append(t.sets, f)
	t.byText[key] = i
	return i
}

func (t *flagTable) at(i uint32) mailproof.Flags { return t.sets[i] }
