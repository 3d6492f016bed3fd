package imapconn

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
)

// link is a login that survives its connections: it dials again when the last
// one was lost. It serves one call at a time.
type link struct {
	config Config
	octets traffic
	names  nameTable

	mu     sync.Mutex // held by the one call that is served
	s      *session   // nil, or lost, between connections
	closed bool
	stop   func() // ends the keep-alive

	infoMu sync.Mutex
	info   mailproof.ServerInfo // of the last connection
}

// tries is how often a call that only reads is attempted in all.
const tries = 4

func (l *link) server() mailproof.ServerInfo {
	l.infoMu.Lock()
	defer l.infoMu.Unlock()
	return l.info
}

func (l *link) traffic() (read, written int64) {
	return l.octets.read.Load(), l.octets.written.Load()
}

// session returns a live session, dialling one if need be.
func (l *link) session(ctx context.Context) (*session, error) {
	if l.closed {
		return nil, errClosed
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if l.s != nil && l.s.alive() {
		return l.s, nil
	}
	l.drop()
	s, err := dial(ctx, l.config, &l.names, &l.octets)
	if err != nil {
		return nil, err
	}
	l.infoMu.Lock()
	l.info = s.info
	l.infoMu.Unlock()
	l.s = s
	return s, nil
}

// drop forgets the session without ceremony.
func (l *link) drop() {
	if l.s != nil {
		l.s.abort(errClosed)
		l.s = nil
	}
}

// retryable reports whether a new connection may do better.
func retryable(err error) bool {
	switch mailproof.KindOf(err) {
	case mailproof.ErrConnection, mailproof.ErrProtocol, mailproof.ErrThrottled, mailproof.ErrUnreachable:
		// What a day's limit cut off is not had again by asking.
		return !errors.Is(err, ErrUIDValidityChanged) && mailproof.ThrottleOf(err).Kind != mailproof.ThrottleDaily
	}
	return false
}

// retry carries out something that only reads, up to tries times, on a new
// connection after each failure. A server that asks for patience gets it, and
// that counts apart: see [link.wait].
func (l *link) retry(ctx context.Context, f func(*session) error) error {
	pace := l.config.backoff()
	pace.Reset()
	failed, asked := 0, 0
	for {
		s, err := l.session(ctx)
		if err == nil {
			err = f(s)
		}
		if err == nil || ctx.Err() != nil || !retryable(err) {
			return err
		}
		l.drop()
		if mailproof.ThrottleOf(err).Kind != mailproof.NoThrottle {
			asked++
		} else {
			failed++
		}
		if failed >= tries || asked >= maxThrottles {
			return err
		}
		if err := l.wait(ctx, pace.NextBackOff(), err); err != nil {
			return err
		}
	}
}

// maxThrottles is how often in a row a server may ask for patience over one
// call.
const maxThrottles = 8

// wait is the pause before a new connection: ours, or the one that the server
// asked for. Who watches is told of it.
func (l *link) wait(ctx context.Context, pause time.Duration, cause error) error {
	pause = mailproof.ThrottleOf(cause).Pause(pause)
	l.config.Log.DebugContext(ctx, "imap connection lost, trying again", "server", l.config.Endpoint.Address(), "pause", pause, "error", cause)
	if l.config.Waiting != nil {
		l.config.Waiting(cause, pause)
	}
	return sleep(ctx, pause)
}

// close signs out, waiting for the server's word or not.
func (l *link) close(wait bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.s != nil {
		if wait {
			l.s.close()
		} else {
			l.s.leave()
		}
		l.s = nil
	}
	l.closed = true
	if l.stop != nil {
		l.stop()
	}
	return nil
}

func (l *link) settled() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.s == nil || !l.s.alive() || !l.s.busy()
}

// newLink dials the first connection. A refusal is not tried again: wrong
// passwords count, and a name that is wrong stays wrong.
func newLink(ctx context.Context, c Config) (*link, error) {
	l := &link{config: c.withDefaults()}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.session(ctx); err != nil {
		return nil, err
	}
	l.config.Survey = false // of a connection that is made anew nobody knows what comes next
	l.stop = l.keepAlive()
	return l, nil
}

func (l *link) mailboxes(ctx context.Context, states bool) (found *survey, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err = l.retry(ctx, func(s *session) error {
		found, err = s.list(ctx, states)
		return err
	})
	return found, err
}

func (l *link) quota(ctx context.Context) (used, limit int64, ok bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	err = l.retry(ctx, func(s *session) error {
		used, limit, ok, err = s.quota(ctx)
		return err
	})
	return used, limit, ok, err
}

// uidValidityError says what changed.
func (s *session) uidValidityError(mailbox string, before, after uint32) error {
	return &mailproof.ServerError{Kind: mailproof.ErrProtocol, Server: s.info.Address, Op: fmt.Sprintf("open folder %q", mailbox),
		Err: fmt.Errorf("%w: %d became %d", ErrUIDValidityChanged, before, after)}
}

// sleep waits, or until the context ends.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
