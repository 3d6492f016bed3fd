package imapconn

import (
	"context"
	"time"
)

// keepAlive sends a NOOP when the connection has lain idle: a writer waits for a
// source that is slow or asked for patience, and would find its own connection
// closed. It never makes a new one, and stays away while anything is under way.
// The function that it returns ends it.
func (l *link) keepAlive() (stop func()) {
	idle := l.config.KeepAlive
	if idle <= 0 {
		return func() {}
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		ticker := time.NewTicker(idle)
		defer ticker.Stop()
		var seen int64
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				read, written := l.traffic()
				if read+written == seen {
					l.noop(ctx)
				}
				read, written = l.traffic()
				seen = read + written
			}
		}
	}()
	return cancel
}

// noop asks a connection on which nothing is under way whether it is there. Its
// failure shows in the next call, which makes a new one.
func (l *link) noop(ctx context.Context) {
	if !l.mu.TryLock() {
		return // a call is being served
	}
	defer l.mu.Unlock()
	if l.closed || l.s == nil || !l.s.alive() || l.s.busy() {
		return
	}
	_, _ = l.s.exec(ctx, "keep the connection", nil, atomArg("NOOP"))
}

// busy reports whether an answer is still due.
func (s *session) busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.flying) > 0
}
