package transfer

import (
	"context"
	"errors"
	"time"

	"github.com/mailproof/mailproof"
)

// Copier is a Destination that is able to put a message that it has into a
// further mailbox, without its octets being sent again. The receipts are in the
// order of the UIDs; Fate says what became of each, and the error why the
// connection was lost over it.
type Copier interface {
	CopyMessages(ctx context.Context, mailbox string, uidvalidity uint32, uids []mailproof.UID, target string) ([]mailproof.Receipt, error)
}

// labelling is what the sender knows of messages that go into several mailboxes
// of a destination whose mailboxes are labels: a message is sent once, and the
// further labels are given to it there. A copy is journalled as the append that it
// stands for, and is a claim like any other: only the next inventory tells.
type labelling struct {
	copier Copier // nil: every message is sent for each of its mailboxes
	sent   map[mailproof.Hash]*sent
	copies []Message // that wait for the first one to be there
}

// sent is a message that was handed over to be sent, and where it came to lie.
type sent struct {
	date     time.Time
	flags    mailproof.Flags
	mailbox  string
	validity uint32
	uid      mailproof.UID // 0: it is not known to be there
	targets  []string
}

// These bound what is remembered of an account, and how many bodies wait.
const (
	maxSent   = 100_000
	maxCopies = batchMessages
)

// byLabel reports whether a message needs only a further label: the same octets
// with the same date and flags went to another mailbox, and not to this one. What
// is the first of its kind it takes note of.
func (s *Sender) byLabel(step *mailproof.Step) bool {
	if s.copier == nil || step.T0.IsZero() || !s.o.Labels(step.Target) {
		return false
	}
	first := s.sent[step.T0]
	if first == nil {
		if s.sent == nil {
			s.sent = map[mailproof.Hash]*sent{}
		}
		if len(s.sent) < maxSent {
			s.sent[step.T0] = &sent{date: step.InternalDate, flags: step.Flags, mailbox: step.Target, targets: []string{step.Target}}
		}
		return false
	}
	for _, target := range first.targets {
		if target == step.Target {
			return false // twins in one mailbox are two messages
		}
	}
	if !first.date.Equal(step.InternalDate) || !first.flags.Equal(step.Flags) {
		return false
	}
	first.targets = append(first.targets, step.Target)
	return true
}

// arrived takes note of where the first of a kind came to lie.
func (s *Sender) arrived(step *mailproof.Step, validity uint32, uid mailproof.UID) {
	if first := s.sent[step.T0]; first != nil && first.uid == 0 && first.mailbox == step.Target && validity != 0 {
		first.validity, first.uid = validity, uid
	}
}

// label gives labels to the messages at hand that wait for one, as many as have
// the same two mailboxes. What cannot be done so is sent as any other message.
// Nothing may be in flight.
func (s *Sender) label(ctx context.Context) error {
	var now, rest []Message
	var uids []mailproof.UID
	var from *sent
	for _, m := range s.copies {
		first := s.sent[m.Step.T0]
		switch {
		case s.copier == nil || first.uid == 0:
			s.enqueue(m)
		case from == nil || first.mailbox == from.mailbox && first.validity == from.validity && m.Step.Target == now[0].Step.Target:
			from = first
			now, uids = append(now, m), append(uids, first.uid)
		default:
			rest = append(rest, m)
		}
	}
	s.copies = rest
	if len(now) == 0 {
		return nil
	}
	f := &flight{messages: now, end: make(chan struct{})} // without octets: none is sent
	if err := s.prepare(ctx, f); err != nil {
		return errors.Join(err, releaseAll(now))
	}
	f.floor = s.box(now[0].Step.Target).top
	f.receipts, f.err = s.copier.CopyMessages(ctx, from.mailbox, from.validity, uids, now[0].Step.Target)
	for i, r := range f.receipts {
		switch r.Fate {
		case mailproof.FateAdded:
			s.sum.Labelled++
			continue
		case mailproof.FateRefused:
			// Nothing was copied: it is sent after all.
			f.receipts[i] = mailproof.Receipt{Fate: mailproof.FateNotSent}
		}
		s.copier = nil // once bitten
	}
	close(f.end)
	s.flights = append(s.flights, f)
	return s.land(ctx, 0)
}
