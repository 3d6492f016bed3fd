package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/mailproof/mailproof"
)

// box is what the sender knows of a destination mailbox: where what it adds
// begins.
type box struct {
	known    bool
	refused  string // why it could not be created
	created  bool   // by this pass
	validity uint32
	next     mailproof.UID // every message added and not acknowledged yet gets this UID or a higher one
	// unnumbered are messages that were acknowledged without a UID since next:
	// they are found among the new ones and are nobody's doubt.
	unnumbered map[mailproof.Hash]int
	count      int
	exists     int // messages in it
}

// batch is how many messages are sent to it at once.
func (b *box) batch() int { return min(max(b.exists/batchShare, batchMessages), batchMost) }

// maxUnnumbered bounds how many acknowledged messages without a UID are
// remembered before the mailbox is asked for its UIDNEXT again.
const maxUnnumbered = 2000

// know records where a mailbox ends before anything is added to it.
func (s *Sender) know(ctx context.Context, target string) error {
	b := s.box(target)
	if b.known && (b.count < maxUnnumbered || len(s.flights) > 0) {
		return nil
	}
	if !b.known && s.o.State != nil {
		if state, ok := s.o.State(target); ok {
			b.set(state)
			return nil
		}
	}
	if !b.known && b.created {
		b.set(mailproof.MailboxState{UIDNext: 1})
		return nil
	}
	state, err := s.dst.State(ctx, target)
	switch {
	case err == nil:
		b.set(state)
	case endsAccount(err):
		return fmt.Errorf("destination folder %q: %w", target, err)
	default:
		// It is not there, or will not say. The append will tell.
		b.set(mailproof.MailboxState{UIDNext: 1})
	}
	return nil
}

func (s *Sender) box(target string) *box {
	b := s.boxes[target]
	if b == nil {
		b = &box{}
		s.boxes[target] = b
	}
	return b
}

func (b *box) set(state mailproof.MailboxState) {
	b.known, b.validity, b.next = true, state.UIDValidity, max(state.UIDNext, 1)
	b.unnumbered, b.count, b.exists = nil, 0, int(state.Exists)
}

// added takes note of an acknowledged message. The server carries out what is
// on one connection in order, so that everything that is answered later has a
// higher UID.
func (b *box) added(t0 mailproof.Hash, r mailproof.Receipt) {
	b.exists++
	if r.UID != 0 && (b.validity == 0 || b.validity == r.UIDValidity) {
		b.validity = r.UIDValidity
		b.upTo(r.UID)
		return
	}
	b.note(t0)
}

// note takes note of a message that is there at or above next.
func (b *box) note(t0 mailproof.Hash) {
	if b.unnumbered == nil {
		b.unnumbered = map[mailproof.Hash]int{}
	}
	b.unnumbered[t0]++
	b.count++
}

// upTo says that everything up to a UID is accounted for, and with it all that
// was noted: it was there before.
func (b *box) upTo(uid mailproof.UID) {
	if uid >= b.next {
		b.next, b.unnumbered, b.count = uid+1, nil, 0
	}
}

// maxLosses is how often in a row the connection may be lost without a message
// getting through before the account is given up.
const maxLosses = 6

// recover finds out what became of messages without an answer, and puts those
// that are certainly not there on the list of what is sent again. Nothing is
// in flight.
func (s *Sender) recover(ctx context.Context, doubt []pending, lost error) error {
	if lost := s.heed(lost); lost != nil {
		s.losses++
		if ctx.Err() != nil || endsForGood(lost) || s.losses >= mostLosses(lost) {
			return errors.Join(lost, s.giveUp(ctx, doubt, lost))
		}
		if err := s.pause(ctx, lost); err != nil {
			return errors.Join(err, s.giveUp(ctx, doubt, lost))
		}
	}
	byTarget := map[string][]pending{}
	var order []string
	for _, p := range doubt {
		if byTarget[p.Step.Target] == nil {
			order = append(order, p.Step.Target)
		}
		byTarget[p.Step.Target] = append(byTarget[p.Step.Target], p)
	}
	for i, target := range order {
		if err := s.reconcile(ctx, target, byTarget[target], lost); err != nil {
			var rest []pending
			for _, t := range order[i:] {
				rest = append(rest, byTarget[t]...)
			}
			return errors.Join(err, s.giveUp(ctx, rest, err))
		}
	}
	return nil
}

// maxBlame is how often the connection may be lost over one message.
const maxBlame = 2

// endsForGood tells an error that a new connection does not mend.
func endsForGood(err error) bool {
	switch mailproof.KindOf(err) {
	case mailproof.ErrConnection, mailproof.ErrProtocol, mailproof.ErrUnreachable:
		return false
	case mailproof.ErrThrottled:
		return mailproof.ThrottleOf(err).Kind == mailproof.ThrottleDaily
	}
	return true
}

// pause waits longer after each loss, and tells of it.
func (s *Sender) pause(ctx context.Context, cause error) error {
	d := s.pauseOf(cause)
	if s.o.Waiting != nil {
		s.o.Waiting(cause, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-s.o.Stop:
		return ErrStopped
	}
}

// reconcile holds the messages of unknown fate against what the mailbox got
// since it was last known, by content. A message that is there is done; one
// that is not there is sent again, but only where nothing new lies there that
// nobody can account for: a server that stores other octets than it was given
// may have made that of it.
//
// A message over which alone the connection was lost several times is left to
// the next pass, so that the others get through.
func (s *Sender) reconcile(ctx context.Context, target string, doubt []pending, lost error) error {
	found, highest, strangers, err := s.lookFor(ctx, target, doubt)
	if err != nil {
		return err
	}
	var there, undecided []pending
	var uids []mailproof.UID
	var again []pending
	for i, p := range doubt {
		switch {
		case found[i] != 0:
			there, uids = append(there, p), append(uids, found[i])
		case p.blamed >= maxBlame:
			undecided = append(undecided, p)
			s.losses = 0
		case strangers == "" || p.fate == mailproof.FateNotSent:
			again = append(again, p)
		default:
			undecided = append(undecided, p)
		}
	}
	if err := s.confirmed(ctx, there, uids); err != nil {
		return errors.Join(err, s.giveUp(ctx, append(again, undecided...), err))
	}
	if strangers == "" {
		s.box(target).upTo(highest)
	}
	s.again = append(s.again, messagesOf(again)...)
	s.tickets(again)
	if len(undecided) == 0 {
		return nil
	}
	if strangers != "" {
		lost = fmt.Errorf("%s: %w", strangers, lost)
	}
	return s.giveUp(ctx, undecided, lost)
}

func messagesOf(list []pending) []Message {
	out := make([]Message, len(list))
	for i, p := range list {
		out[i] = p.Message
	}
	return out
}

// confirmed records what was found by its content.
func (s *Sender) confirmed(ctx context.Context, there []pending, uids []mailproof.UID) error {
	if len(there) == 0 {
		return nil
	}
	s.losses = 0
	b := s.box(there[0].Step.Target)
	results := make([]mailproof.StepResult, len(there))
	tickets := make([]int64, len(there))
	for i, p := range there {
		b.note(p.Step.T0)
		tickets[i] = p.ticket
		results[i] = mailproof.StepResult{Step: p.Step, State: mailproof.StepDone, UIDValidity: b.validity, UID: uids[i], Octets: p.Step.Size, Finished: now()}
	}
	return s.settle(ctx, messagesOf(there), tickets, results)
}

// arrival is a message that the mailbox got since it was last known.
type arrival struct {
	uid mailproof.UID
	t0  mailproof.Hash // zero: it cannot be read
}

// lookFor reads what is new in a mailbox. found has the UID of each message of
// doubt that is there, else 0; strangers says what is there beside them and
// highest is the last UID, where all are accounted for.
func (s *Sender) lookFor(ctx context.Context, target string, doubt []pending) (found []mailproof.UID, highest mailproof.UID, strangers string, err error) {
	open := false
	for _, p := range doubt {
		open = open || p.fate != mailproof.FateNotSent
	}
	found = make([]mailproof.UID, len(doubt))
	if !open {
		return found, highest, "", nil
	}
	b := s.box(target)
	var last []arrival
	for look := 0; ; look++ {
		now, why, err := s.arrivals(ctx, target, b)
		if err != nil || why != "" {
			return found, 0, why, err
		}
		var strange int
		found, strange = match(doubt, now, b.unnumbered)
		for _, a := range now {
			highest = max(highest, a.uid)
		}
		missing := 0
		for _, uid := range found {
			if uid == 0 {
				missing++
			}
		}
		if strange > 0 {
			return found, 0, fmt.Sprintf("%d messages are new in %q whose octets are nobody's", strange, target), nil
		}
		// The server may still be at work on what it had received when the
		// connection ended: what is missing must be missing twice.
		if missing == 0 || doubt[0].refused > 0 || look > 0 && len(now) == len(last) {
			return found, highest, "", nil
		}
		if look == 10 {
			return found, 0, fmt.Sprintf("%q does not hold still", target), nil
		}
		last = now
		if err := s.settleDown(ctx); err != nil {
			return found, 0, "", err
		}
	}
}

// settleDown waits for a server to finish what it has received.
func (s *Sender) settleDown(ctx context.Context) error {
	timer := time.NewTimer(s.o.Settle)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// arrivals reads what is new in a mailbox. why says that nothing can be
// concluded from it.
func (s *Sender) arrivals(ctx context.Context, target string, b *box) (list []arrival, why string, err error) {
	state, err := s.dst.ReadSince(ctx, target, b.next, func(uid mailproof.UID, size int64, body io.Reader) error {
		if body == nil {
			list = append(list, arrival{uid: uid})
			return nil
		}
		h := newHash()
		n, err := io.Copy(h, body)
		if err != nil {
			return err
		}
		if n != size {
			return fmt.Errorf("uid %d: %d of %d octets: %w", uid, n, size, io.ErrUnexpectedEOF)
		}
		list = append(list, arrival{uid, hashOf(h.Sum(nil))})
		return nil
	})
	switch {
	case mailproof.KindOf(err) == mailproof.ErrNoMailbox:
		return nil, "", nil // deleted under us: nothing of it is there
	case err != nil && endsAccount(err):
		return nil, "", fmt.Errorf("destination folder %q: %w", target, err)
	case err != nil:
		return nil, fmt.Sprintf("%q cannot be read: %v", target, err), nil
	case b.validity != 0 && state.UIDValidity != b.validity:
		return nil, fmt.Sprintf("UIDVALIDITY of %q changed from %d to %d", target, b.validity, state.UIDValidity), nil
	}
	b.validity = state.UIDValidity
	return list, "", nil
}

// match assigns arrivals to messages by content, each once, and counts those
// that nobody accounts for.
func match(doubt []pending, arrivals []arrival, unnumbered map[mailproof.Hash]int) (found []mailproof.UID, strangers int) {
	found = make([]mailproof.UID, len(doubt))
	waiting := map[mailproof.Hash][]int{}
	for i, p := range doubt {
		if p.fate != mailproof.FateNotSent {
			waiting[p.Step.T0] = append(waiting[p.Step.T0], i)
		}
	}
	explained := map[mailproof.Hash]int{}
	for _, a := range arrivals {
		// Acknowledged ones came first.
		if explained[a.t0] < unnumbered[a.t0] {
			explained[a.t0]++
			continue
		}
		list := waiting[a.t0]
		if len(list) == 0 {
			strangers++
			continue
		}
		found[list[0]], waiting[a.t0] = a.uid, list[1:]
	}
	return found, strangers
}

// tickets keeps the journal's numbers of what is sent again.
func (s *Sender) tickets(list []pending) {
	if s.ticketOf == nil {
		s.ticketOf = map[mailproof.MessageKey]ticket{}
	}
	for _, p := range list {
		s.ticketOf[p.Step.Source] = ticket{p.ticket, p.refused}
	}
}

// ticket is the journal's number of a message that is sent again, and how
// large the batch was that was refused with it.
type ticket struct {
	number  int64
	refused int
}

// repeat sends again what certainly is not there: in smaller batches, and at
// last in one command each where a batch was refused or broke the connection
// more than once, so that the message at fault shows.
func (s *Sender) repeat(ctx context.Context) error {
	target := s.again[0].Step.Target
	first := s.ticketOf[s.again[0].Step.Source]
	singly := first.refused > 0 && first.refused <= batchMessages || s.losses > 1
	f := &flight{end: make(chan struct{})}
	most := batchMessages
	switch {
	case s.losses > 2:
		most = 1
	case first.refused > batchMessages:
		most = max(first.refused/10, batchMessages/4)
	}
	for len(s.again) > 0 && len(f.messages) < most && s.again[0].Step.Target == target {
		m := s.again[0]
		s.again = s.again[1:]
		f.messages = append(f.messages, m)
		f.tickets = append(f.tickets, s.ticketOf[m.Step.Source].number)
		delete(s.ticketOf, m.Step.Source)
	}
	s.launch(ctx, f, singly)
	return s.land(ctx, 0)
}
