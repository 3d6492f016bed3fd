package engagement

import (
	"context"
	"sync"
	"sync/atomic"
)

// lines counts the connections to each server, over all accounts. How many it
// takes is known beforehand, or learnt: a server that says that there are too
// many gets fewer from then on.
type lines struct {
	// spare gives up connections that nobody uses, and reports whether there were
	// any; nil: there are none.
	spare   func() bool
	waiting atomic.Int32 // how many wait for a place

	mu      sync.Mutex
	servers map[string]*serverLine
}

// wanted reports whether anybody waits for a place.
func (l *lines) wanted() bool { return l.waiting.Load() > 0 }

// serverLine is the connections to one server.
type serverLine struct {
	most  int // 0: any number
	open  int
	freed chan struct{} // closed when a place came free, or the number rose
}

// enter waits for a place at a server that takes most connections at once; 0
// is any number. Sides are counted apart: a copy holds one connection of each,
// and on one and the same server would wait for itself.
func (l *lines) enter(ctx context.Context, server string, most int) (leave func(), err error) {
	for {
		leave, wait := l.take(server, most)
		if leave != nil {
			return leave, nil
		}
		if err := l.await(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// await waits until another try is worth it: at once where something could be
// spared.
func (l *lines) await(ctx context.Context, freed <-chan struct{}) error {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	if l.spare != nil && l.spare() {
		return ctx.Err()
	}
	select {
	case <-freed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tryEnter is as enter, and does not wait.
func (l *lines) tryEnter(server string, most int) (leave func(), ok bool) {
	leave, _ = l.take(server, most)
	return leave, leave != nil
}

// take takes a place if there is one; else wait is closed when it is worth
// another try.
func (l *lines) take(server string, most int) (leave func(), wait <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(server, most)
	if s.most > 0 && s.open >= s.most {
		return nil, s.freed
	}
	s.open++
	var once sync.Once
	return func() {
		once.Do(func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			s.open--
			close(s.freed)
			s.freed = make(chan struct{})
		})
	}, nil
}

func (l *lines) at(server string, most int) *serverLine {
	if l.servers == nil {
		l.servers = map[string]*serverLine{}
	}
	s := l.servers[server]
	if s == nil {
		s = &serverLine{most: most, freed: make(chan struct{})}
		l.servers[server] = s
	}
	return s
}

// lower takes a server at its word that there are too many connections: one
// less than are open now are asked for from now on, but never less than one. It
// returns the number, and whether it is lower than it was.
func (l *lines) lower(server string) (most int, lowered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.at(server, 0)
	most = max(s.open-1, 1)
	if s.most > 0 && s.most <= most {
		return s.most, false
	}
	s.most = most
	return most, true
}
