package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/mailproof/mailproof"
)

// floor is a place in a mailbox: whatever was sent since it was known gets this
// UID or a higher one, as a server gives them in ascending order (RFC 9051
// §2.3.1.1), over whichever connection it comes and in whichever order the
// answers do. So each batch has the floor that was known when it was begun, and
// after a lost answer is looked for from there on.
//
// A floor rests on what the server told of the mailbox, or on an APPENDUID: then
// the message below it is read too, and must be there, and be none of those that
// are looked for. A server whose UIDs are not true would else hide a message that
// has arrived, and it would be sent twice.
type floor struct {
	uid mailproof.UID
	t0  mailproof.Hash // of the message uid-1, where an APPENDUID said so
}

// box is what the sender knows of a destination mailbox.
type box struct {
	known    bool
	refused  string // why it could not be created
	created  bool   // by this pass
	validity uint32
	top      floor // of what is sent from now on
	// numbered are the messages that were acknowledged and may lie above the floor
	// of what is in the air, by the UIDs that were named; unnumbered are messages that were
	// acknowledged without a UID since top was known, count of them. Both are
	// found among the new ones and are nobody's doubt.
	numbered   map[mailproof.UID]mailproof.Hash // T0
	unnumbered map[mailproof.Hash]int
	count      int
	raised     bool   // top rests on an APPENDUID
	untrue     string // why the numbers of the server prove nothing
	base       int    // messages in it when the server told where it ends
	exists     int    // messages in it
}

// batch is how many messages are sent to it at once.
func (b *box) batch() int { return min(max(b.exists/batchShare, batchMessages), batchMost) }

// maxUnnumbered bounds how many acknowledged messages without a UID are
// remembered before the mailbox is asked for its UIDNEXT again.
const maxUnnumbered = 2000

// know records where a mailbox ends before anything is added to it.
func (s *Sender) know(ctx context.Context, target string) error {
	b := s.box(target)
	if b.known && b.count < maxUnnumbered {
		return nil
	}
	if b.known {
		// What is in the air may lie on either side of what it says.
		if err := s.land(ctx, 0); err != nil {
			return err
		}
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

// set takes over what the server says of a mailbox.
func (b *box) set(state mailproof.MailboxState) {
	b.known, b.validity, b.exists, b.base = true, state.UIDValidity, int(state.Exists), int(state.Exists)
	b.settle(max(state.UIDNext, 1))
}

// settle says that everything below a UID is accounted for, and nothing above it
// was added by us.
func (b *box) settle(next mailproof.UID) {
	b.top, b.raised, b.untrue = floor{uid: next}, false, ""
	b.numbered, b.unnumbered, b.count = nil, nil, 0
}

// added takes note of a message that was acknowledged, of a batch with a floor.
func (b *box) added(t0 mailproof.Hash, r mailproof.Receipt, from floor) {
	b.exists++
	if r.UID == 0 || b.validity != 0 && b.validity != r.UIDValidity {
		b.note(t0)
		return
	}
	b.validity = r.UIDValidity
	switch {
	case r.UID == math.MaxUint32: // there is none above it
		b.untrue = fmt.Sprintf("APPENDUID names UID %d", r.UID)
		return
	case r.UID < from.uid:
		b.untrue = fmt.Sprintf("APPENDUID names UID %d, below one that was given before", r.UID)
	case b.isNumbered(r.UID):
		b.untrue = fmt.Sprintf("APPENDUID names UID %d twice", r.UID)
	case b.count > 0:
		b.untrue = "APPENDUID names some of the messages and others not"
	}
	b.number(r.UID, t0)
	if r.UID >= b.top.uid {
		b.top, b.raised = floor{r.UID + 1, t0}, true
	}
}

// note takes note of a message that is there, under a UID that nobody said.
func (b *box) note(t0 mailproof.Hash) {
	if b.unnumbered == nil {
		b.unnumbered = map[mailproof.Hash]int{}
	}
	b.unnumbered[t0]++
	b.count++
	if b.raised {
		b.untrue = "APPENDUID names some of the messages and others not"
	}
}

func (b *box) number(uid mailproof.UID, t0 mailproof.Hash) {
	if b.numbered == nil {
		b.numbered = map[mailproof.UID]mailproof.Hash{}
	}
	b.numbered[uid] = t0
}

func (b *box) isNumbered(uid mailproof.UID) bool {
	_, ok := b.numbered[uid]
	return ok
}

// forget drops the UIDs below everything that is in the air.
func (s *Sender) forget() {
	for target, b := range s.boxes {
		if len(b.numbered) == 0 {
			continue
		}
		low := b.top.uid
		for _, f := range s.flights {
			if f.messages[0].Step.Target == target {
				low = min(low, f.floor.uid)
			}
		}
		for uid := range b.numbered {
			if uid < low {
				delete(b.numbered, uid)
			}
		}
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
		if s.several != nil && mailproof.ThrottleOf(lost).Kind == mailproof.ThrottleConnections {
			s.several.fewer()
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
	found, next, strangers, err := s.lookFor(ctx, target, doubt, lost)
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
	if next != 0 {
		s.box(target).settle(next)
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
		b.exists++
		b.number(uids[i], p.Step.T0)
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
// doubt that is there, else 0; strangers says what is there beside them. next is
// where the mailbox ends when all are accounted for, else 0.
func (s *Sender) lookFor(ctx context.Context, target string, doubt []pending, lost error) (found []mailproof.UID, next mailproof.UID, strangers string, err error) {
	found = make([]mailproof.UID, len(doubt))
	var from floor
	for _, p := range doubt {
		if p.fate != mailproof.FateNotSent && (from.uid == 0 || p.floor.uid < from.uid) {
			from = p.floor
		}
	}
	if from.uid == 0 {
		return found, 0, "", nil
	}
	b := s.box(target)
	last, still, patience := 0, 0, s.looks(lost)
	for look := 0; ; look++ {
		now, err := s.arrivals(ctx, target, b, from)
		if err != nil || now.why != "" {
			return found, 0, now.why, err
		}
		for _, p := range doubt {
			if now.below.uid != 0 && now.below.t0 == p.Step.T0 && p.Step.T0 != from.t0 {
				return found, 0, fmt.Sprintf("UID %d of %q is not the message that APPENDUID said it is", now.below.uid, target), nil
			}
		}
		if why := b.elsewhere(target, doubt, now.list); why != "" {
			return found, 0, why, nil
		}
		var strange int
		found, strange = match(doubt, now.list, b)
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
		// connection ended: what is missing must be missing twice, and for as long
		// again where we hung up on a server that only was slow.
		if still++; len(now.list) != last {
			last, still = len(now.list), 1
		}
		if missing == 0 || doubt[0].refused > 0 || still == patience {
			b.base = now.exists
			return found, now.next, "", nil
		}
		if look == patience+10 {
			return found, 0, fmt.Sprintf("%q does not hold still", target), nil
		}
		if err := s.settleDown(ctx); err != nil {
			return found, 0, "", err
		}
	}
}

// looks is how many of them in a row must find the same: two, and as many as fit
// into the time that a silent server was given.
func (s *Sender) looks(lost error) int {
	if !timedOut(lost) {
		return 2
	}
	return 1 + int(max((s.o.Silence+s.o.Settle-1)/s.o.Settle, 1))
}

// timedOut reports whether it was we who hung up, on a server that was silent for
// too long. It may come to the end of what it had received yet.
func timedOut(lost error) bool {
	var silent interface{ Timeout() bool }
	return errors.As(lost, &silent) && silent.Timeout()
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

// arrivals is what is new in a mailbox.
type arrivals struct {
	list   []arrival
	below  arrival       // the message under the floor, where the floor rests on one
	next   mailproof.UID // where the mailbox ends
	exists int           // messages in it
	why    string        // why nothing can be concluded
}

// arrivals reads what is new in a mailbox since a floor was known.
func (s *Sender) arrivals(ctx context.Context, target string, b *box, from floor) (now arrivals, err error) {
	now.next = from.uid
	if b.untrue != "" {
		now.why = fmt.Sprintf("%q: %s", target, b.untrue)
		return now, nil
	}
	first := from.uid
	if !from.t0.IsZero() {
		first--
	}
	state, err := s.dst.ReadSince(ctx, target, first, func(uid mailproof.UID, size int64, body io.Reader) error {
		a := arrival{uid: uid}
		if body != nil {
			h := newHash()
			n, err := io.Copy(h, body)
			if err != nil {
				return err
			}
			if n != size {
				return fmt.Errorf("uid %d: %d of %d octets: %w", uid, n, size, io.ErrUnexpectedEOF)
			}
			a.t0 = hashOf(h.Sum(nil))
		}
		if uid < from.uid {
			now.below = a
			return nil
		}
		now.next = max(now.next, uid+1)
		now.list = append(now.list, a)
		return nil
	})
	now.exists = int(state.Exists)
	switch {
	case mailproof.KindOf(err) == mailproof.ErrNoMailbox:
		return arrivals{next: from.uid}, nil // deleted under us: nothing of it is there
	case err != nil && endsAccount(err):
		return now, fmt.Errorf("destination folder %q: %w", target, err)
	case err != nil:
		now.why = fmt.Sprintf("%q cannot be read: %v", target, err)
	case b.validity != 0 && state.UIDValidity != b.validity:
		now.why = fmt.Sprintf("UIDVALIDITY of %q changed from %d to %d", target, b.validity, state.UIDValidity)
	case first < from.uid && now.below.uid == 0:
		now.why = fmt.Sprintf("there is no UID %d in %q, of which APPENDUID spoke", first, target)
	case first == from.uid && now.exists > b.base+len(now.list):
		now.why = fmt.Sprintf("%q has messages below its UIDNEXT of %d that were not there", target, from.uid)
	default:
		b.validity = state.UIDValidity
		now.why = b.unfound(target, from, now.list)
	}
	return now, nil
}

// unfound says which message is not where APPENDUID said it is.
func (b *box) unfound(target string, from floor, list []arrival) (why string) {
	there := make(map[mailproof.UID]bool, len(list))
	for _, a := range list {
		there[a.uid] = true
	}
	for uid := range b.numbered {
		if uid >= from.uid && !there[uid] {
			return fmt.Sprintf("there is no UID %d in %q, of which APPENDUID spoke", uid, target)
		}
	}
	return ""
}

// elsewhere says which UID has not the message that APPENDUID said it has, but one
// that is looked for, or that is said to be under another. A server that stores
// other octets than it was given has none of them there, and tells no untruth.
func (b *box) elsewhere(target string, doubt []pending, list []arrival) (why string) {
	ours := make(map[mailproof.Hash]bool, len(doubt)+len(b.numbered))
	for i := range doubt {
		ours[doubt[i].Step.T0] = true
	}
	for _, t0 := range b.numbered {
		ours[t0] = true
	}
	for _, a := range list {
		if t0, ok := b.numbered[a.uid]; ok && a.t0 != t0 && ours[a.t0] {
			return fmt.Sprintf("UID %d of %q is not the message that APPENDUID said it is", a.uid, target)
		}
	}
	return ""
}

// match assigns arrivals to messages by content, each once, and counts those
// that nobody accounts for.
func match(doubt []pending, arrivals []arrival, b *box) (found []mailproof.UID, strangers int) {
	found = make([]mailproof.UID, len(doubt))
	waiting := map[mailproof.Hash][]int{}
	for i, p := range doubt {
		if p.fate != mailproof.FateNotSent {
			waiting[p.Step.T0] = append(waiting[p.Step.T0], i)
		}
	}
	explained := map[mailproof.Hash]int{}
	for _, a := range arrivals {
		// Acknowledged ones are nobody's doubt.
		if b.isNumbered(a.uid) {
			continue
		}
		if explained[a.t0] < b.unnumbered[a.t0] {
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
