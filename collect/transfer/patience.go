package transfer

import (
	"context"
	"time"

	"github.com/mailproof/mailproof"
)

// patience is what the sender knows of a server that asks for some.
type patience struct {
	begged  error                         // the reply that asked, until it was heeded
	remade  map[string]bool               // mailboxes that were to be created once more, and were
	retried map[mailproof.MessageKey]bool // messages that were sent once more for it
}

// maxThrottles is how often in a row a server may ask for patience without a
// message getting through before the account is given up.
const maxThrottles = 12

// bear takes a refusal that is not one of the message: the server asks to be
// left alone for a while, or for fewer connections, or has lost the mailbox. It
// said no, so that the message is certainly not there, and is sent again.
func (s *Sender) bear(ctx context.Context, m Message, number int64, cause error) (p pending, ok bool) {
	p = pending{Message: m, ticket: number, fate: mailproof.FateNotSent}
	switch mailproof.ThrottleOf(cause).Kind {
	case mailproof.ThrottlePause, mailproof.ThrottleConnections:
		if s.begged == nil || mailproof.ThrottleOf(cause).Wait > mailproof.ThrottleOf(s.begged).Wait {
			s.begged = cause
		}
		return p, true
	case mailproof.ThrottleDaily:
		return p, false
	}
	return p, mailproof.KindOf(cause) == mailproof.ErrNoMailbox && s.remake(ctx, &m.Step)
}

// remake creates a mailbox that the server says is not there (TRYCREATE, RFC
// 9051 §7.1), once: it may have been deleted under us. Each message is sent once
// more then; a server that says so again of a message is taken at its word.
func (s *Sender) remake(ctx context.Context, m *mailproof.Step) bool {
	remade, tried := s.remade[m.Target]
	if !tried {
		if s.remade == nil {
			s.remade, s.retried = map[string]bool{}, map[mailproof.MessageKey]bool{}
		}
		remade = s.dst.Create(ctx, m.Target, "") == nil
		if s.remade[m.Target] = remade; remade {
			state, err := s.dst.State(ctx, m.Target)
			if err != nil {
				state = mailproof.MailboxState{UIDNext: 1}
			}
			s.box(m.Target).set(state)
		}
	}
	if !remade || s.retried[m.Source] {
		return false
	}
	s.retried[m.Source] = true
	return true
}

// heed returns why a pause is due: the connection was lost, or the server asked.
func (s *Sender) heed(lost error) error {
	asked := s.begged
	s.begged = nil
	if lost != nil && mailproof.ThrottleOf(lost).Wait >= mailproof.ThrottleOf(asked).Wait {
		return lost
	}
	if asked != nil {
		return asked
	}
	return lost
}

// mostLosses is how many pauses in a row a cause is worth.
func mostLosses(cause error) int {
	if mailproof.ThrottleOf(cause).Kind != mailproof.NoThrottle {
		return maxThrottles
	}
	return maxLosses
}

// pauseOf is how long is waited after the losses so far: as long as the server
// asked for, where it did.
func (s *Sender) pauseOf(cause error) time.Duration {
	return mailproof.ThrottleOf(cause).Pause(s.o.Pause << min(s.losses-1, 6))
}
