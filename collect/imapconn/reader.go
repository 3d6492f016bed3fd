package imapconn

import (
	"context"
	"errors"

	"github.com/mailproof/mailproof"
)

// Reader reads one account. It has no method that writes, and opens mailboxes
// with EXAMINE and bodies with BODY.PEEK[], so that no flag changes. A
// connection that was lost is dialled anew; what only reads is tried again.
//
// It serves one call at a time: calls from several goroutines wait for each
// other. Dial several Readers to read in parallel.
type Reader struct {
	link *link

	mailbox string                 // the one that Examine opened
	state   mailproof.MailboxState // as Examine found it
	ahead   *ahead                 // what came along with that; nil: nothing
}

// DialReader connects and signs in. Errors are a [*mailproof.ServerError], or
// the context's.
func DialReader(ctx context.Context, c Config) (*Reader, error) {
	l, err := newLink(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Reader{link: l}, nil
}

// Server returns what the server said of itself at the last sign-in.
func (r *Reader) Server() mailproof.ServerInfo { return r.link.server() }

// Traffic returns the octets of IMAP that were received and sent, over all
// connections.
func (r *Reader) Traffic() (read, written int64) { return r.link.traffic() }

// Close signs out.
func (r *Reader) Close() error { return r.link.close(true) }

// Settled reports whether no answer is due: what was begun came to its end, or the
// connection did.
func (r *Reader) Settled() bool { return r.link.settled() }

// Leave signs out without waiting for the server's answer.
func (r *Reader) Leave() error { return r.link.close(false) }

// Mailboxes returns the mailboxes of the personal namespace, INBOX first, the
// others by name, those that cannot be opened among them. INBOX carries the
// prefix of the first personal namespace, which is where new mailboxes go; it is
// among them also where the server lists others and not that one.
func (r *Reader) Mailboxes(ctx context.Context) ([]mailproof.Mailbox, error) {
	found, err := r.link.mailboxes(ctx, false)
	if err != nil {
		return nil, err
	}
	return found.mailboxes(), nil
}

// Survey is as Mailboxes, and tells the state of those mailboxes of which the
// server says it along with their names (RFC 5819), without opening any. A state
// that is not known of all it consists of has zeros.
func (r *Reader) Survey(ctx context.Context) ([]mailproof.Mailbox, map[string]mailproof.MailboxState, error) {
	found, err := r.link.mailboxes(ctx, true)
	if err != nil {
		return nil, nil, err
	}
	return found.mailboxes(), found.state, nil
}

// Quota returns the storage used and allowed, in octets; ok is false where the
// server tells of no quota.
func (r *Reader) Quota(ctx context.Context) (used, limit int64, ok bool, err error) {
	return r.link.quota(ctx)
}

// Examine opens a mailbox read-only and returns its state. Called again it
// returns the state of now.
func (r *Reader) Examine(ctx context.Context, mailbox string) (mailproof.MailboxState, error) {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	if state, ok := r.examinedAhead(mailbox); ok {
		r.state = state
		return state, nil
	}
	var state mailproof.MailboxState
	err := r.link.retry(ctx, func(s *session) (err error) {
		state, err = s.open(ctx, "EXAMINE", mailbox)
		return err
	})
	return r.opened(mailbox, state, nil, err)
}

var errNotExamined = errors.New("imapconn: no mailbox was examined")

// reopen sees to it that the session has the Reader's mailbox open, as it was.
func (r *Reader) reopen(ctx context.Context, s *session) error {
	if s.mailbox == r.mailbox {
		return nil
	}
	state, err := s.open(ctx, "EXAMINE", r.mailbox)
	if err != nil {
		return err
	}
	if state.UIDValidity != r.state.UIDValidity {
		return s.uidValidityError(r.mailbox, r.state.UIDValidity, state.UIDValidity)
	}
	return nil
}

// reading is retry with the mailbox open.
func (r *Reader) reading(ctx context.Context, f func(*session) error) error {
	if r.mailbox == "" {
		return errNotExamined
	}
	return r.link.retry(ctx, func(s *session) error {
		if err := r.reopen(ctx, s); err != nil {
			return err
		}
		return f(s)
	})
}
