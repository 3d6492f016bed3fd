package imapconn

import (
	"context"
	"slices"
)

// request is one of the commands of a flight.
type request struct {
	op       string
	untagged func(response) // gets the untagged data of the whole flight
	args     []argument
}

// flight sends commands together and waits for all of them, which takes one
// round trip instead of one for each. They must be such that the server may
// carry them out in any order, and their untagged data such that each finds its
// own by name (RFC 9051 §5.5). An error means that the connection is gone;
// refusals are among the completions, which are in the order of the requests.
func (s *session) flight(ctx context.Context, requests []request) ([]status, error) {
	return s.flyWatched(ctx, requests, false)
}

// inOrder is as flight, of commands that the server has to carry out one after
// the other, as each changes what the next one is about: untagged data are for
// the first that was not answered.
func (s *session) inOrder(ctx context.Context, requests []request) ([]status, error) {
	return s.flyWatched(ctx, requests, true)
}

func (s *session) flyWatched(ctx context.Context, requests []request, ordered bool) ([]status, error) {
	if len(requests) == 0 {
		return nil, nil
	}
	if !s.alive() {
		return nil, s.broken(requests[0].op)
	}
	release := s.guard(ctx)
	done, err := s.fly(requests, ordered)
	s.idle()
	return done, release(err)
}

func (s *session) fly(requests []request, ordered bool) (done []status, err error) {
	if slices.ContainsFunc(requests, request.literal) {
		return s.oneByOne(requests)
	}
	var lines []byte
	var cmds []*command
	for _, r := range requests {
		cmd := s.begin(r.untagged)
		cmds = append(cmds, cmd)
		lines = append(lines, cmd.tag...)
		for _, a := range r.args {
			lines = append(append(lines, ' '), a.s...)
		}
		lines = append(lines, "\r\n"...)
	}
	s.mu.Lock()
	s.together, s.ordered = cmds, ordered
	s.clean.listening.Store(true)
	s.mu.Unlock()
	sent := s.send(lines)
	for i, cmd := range cmds {
		var st status
		if sent != nil {
			st, err = s.writeFailed(requests[i].op, cmd)
		} else {
			st, err = s.await(requests[i].op, cmd)
		}
		if err != nil {
			return nil, err
		}
		done = append(done, st)
	}
	return done, nil
}

// oneByOne is for what cannot be sent together: a literal has to be asked for.
func (s *session) oneByOne(requests []request) (done []status, err error) {
	for _, r := range requests {
		st, err := s.run(r.op, r.untagged, r.args)
		if err != nil {
			return nil, err
		}
		done = append(done, st)
	}
	return done, nil
}

// literal reports whether the command holds one, which may have to be asked for.
func (r request) literal() bool {
	return slices.ContainsFunc(r.args, func(a argument) bool { return a.literal })
}

// landed takes an answered command out of its flight. The session is locked.
func (s *session) landed(cmd *command) {
	if s.together == nil {
		return
	}
	var left []*command
	for _, other := range s.together {
		if other != cmd {
			left = append(left, other)
		}
	}
	s.together = left
	if left != nil && s.current == cmd {
		s.current = left[len(left)-1] // it goes on listening for the others
	}
}
