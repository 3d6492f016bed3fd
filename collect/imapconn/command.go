package imapconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// command is one of our own in flight.
type command struct {
	tag      string
	untagged func(response) // called on the reading goroutine; may be nil
	goOn     chan struct{}  // a continuation request came
	done     chan status    // the completion
}

func (s *session) continuation() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		select {
		case s.current.goOn <- struct{}{}:
		default: // more of them than were asked for
		}
	}
}

func (s *session) untagged(r response) {
	s.mu.Lock()
	cmd, together := s.current, s.together
	if s.ordered && len(together) > 1 {
		together = together[:1]
	}
	s.mu.Unlock()
	if together == nil {
		if cmd != nil && cmd.untagged != nil {
			cmd.untagged(r)
		}
		return
	}
	for _, cmd := range together {
		if cmd.untagged != nil {
			cmd.untagged(r)
		}
	}
}

func (s *session) unilateral(st status) {
	if st.typ == "BYE" {
		s.mu.Lock()
		s.bye = &st
		s.tokenOver(st)
		s.mu.Unlock()
	}
}

func (s *session) tagged(tag string, st status) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokenOver(st) {
		_ = s.conn.Conn.Close() // the farewell in s.bye is the reason
		return true
	}
	cmd, ours := s.flying[tag]
	if !ours {
		return false
	}
	delete(s.flying, tag)
	cmd.done <- st
	s.landed(cmd)
	if s.current == cmd {
		s.current = nil
		s.clean.listening.Store(false)
	}
	return true
}

// idle ends the wait for answers where none is due any more.
func (s *session) idle() {
	s.mu.Lock() // a command that begins meanwhile writes, and so arms, behind this
	defer s.mu.Unlock()
	if len(s.flying) == 0 {
		s.conn.disarm()
	}
}

// argument of a command. A string argument that does not go into quotes is
// sent as a literal.
type argument struct {
	s       string
	literal bool
	body    io.Reader // of an APPEND: size octets
	size    int64
}

func atomArg(s string) argument { return argument{s: s} }

func stringArg(s string) argument {
	if quotable(s) {
		return argument{s: quote(s)}
	}
	return argument{s: s, literal: true}
}

func (s *session) mailboxArg(name string) argument { return stringArg(s.names.encode(name)) }

// nonSynchronizing reports whether a literal may be sent without asking (RFC
// 7888: LITERAL+ for any size, LITERAL- up to 4096 octets).
func (s *session) nonSynchronizing(size int64) bool {
	return s.caps.has("LITERAL+") || size <= 4096 && (s.caps.has("LITERAL-") || s.caps.has("IMAP4rev2"))
}

// begin registers a command, so that answers find it.
func (s *session) begin(untagged func(response)) *command {
	s.tags++
	s.surveyed = nil // what was listed before is from before
	cmd := &command{tag: fmt.Sprintf("M%d", s.tags), untagged: untagged, goOn: make(chan struct{}, 1), done: make(chan status, 1)}
	s.mu.Lock()
	s.current = cmd
	s.flying[cmd.tag] = cmd
	s.clean.listening.Store(untagged != nil)
	s.mu.Unlock()
	return cmd
}

// exec carries out one command and returns its completion, which may be a
// refusal. An error means that the connection is gone.
func (s *session) exec(ctx context.Context, op string, untagged func(response), args ...argument) (status, error) {
	if !s.alive() {
		return status{}, s.broken(op)
	}
	release := s.guard(ctx)
	st, err := s.run(op, untagged, args)
	s.idle()
	return st, release(err)
}

// require is exec for commands that have to succeed.
func (s *session) require(ctx context.Context, op string, untagged func(response), args ...argument) (status, error) {
	st, err := s.exec(ctx, op, untagged, args...)
	if err == nil && !st.ok() {
		return st, s.masker.refusal(s.info.Address, op, st)
	}
	return st, err
}

// run carries out one command without watching over the context.
func (s *session) run(op string, untagged func(response), args []argument) (status, error) {
	cmd := s.begin(untagged)
	line := []byte(cmd.tag)
	for _, a := range args {
		line = append(line, ' ')
		if !a.literal {
			line = append(line, a.s...)
			continue
		}
		size := a.size
		if a.body == nil {
			size = int64(len(a.s))
		}
		free := s.nonSynchronizing(size)
		if free {
			line = fmt.Appendf(line, "{%d+}\r\n", size)
		} else {
			line = fmt.Appendf(line, "{%d}\r\n", size)
		}
		if a.body != nil || !free {
			if err := s.send(line); err != nil {
				return s.writeFailed(op, cmd)
			}
			line = line[:0]
		}
		if !free {
			select {
			case <-cmd.goOn:
			case st := <-cmd.done: // refused before the literal: nothing more to send
				if st.ok() {
					s.abort(errEarly)
					return status{}, serverFailure(s.masker, s.info.Address, op, errEarly)
				}
				return st, nil
			case <-s.done:
				return s.last(op, cmd)
			}
		}
		if a.body == nil {
			line = append(line, a.s...)
			continue
		}
		if err := s.sendBody(a.body, size); err != nil {
			if isWrite(err) {
				return s.writeFailed(op, cmd)
			}
			// The command is incomplete, and can be neither completed nor taken back.
			s.abort(err)
			return status{}, &bodyError{err}
		}
	}
	if err := s.send(append(line, "\r\n"...)); err != nil {
		return s.writeFailed(op, cmd)
	}
	return s.await(op, cmd)
}

// await waits for the completion of a command that was sent.
func (s *session) await(op string, cmd *command) (status, error) {
	select {
	case st := <-cmd.done:
		return st, nil
	case <-s.done:
		return s.last(op, cmd)
	}
}

// writeError marks an error of the connection, as against one of the body.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

func isWrite(err error) bool {
	_, ok := err.(writeError)
	return ok
}

func (s *session) send(p []byte) error {
	if _, err := s.conn.Write(p); err != nil {
		return writeError{err}
	}
	return nil
}

// last returns the completion of a command where it came just before the
// connection ended, else why it ended.
func (s *session) last(op string, cmd *command) (status, error) {
	select {
	case st := <-cmd.done:
		return st, nil
	default:
		return status{}, s.broken(op)
	}
}

// writeFailed waits for what the server may have said before it hung up.
func (s *session) writeFailed(op string, cmd *command) (status, error) {
	grace := time.NewTimer(2 * time.Second)
	defer grace.Stop()
	select {
	case <-s.done:
	case <-grace.C:
		s.abort(io.ErrClosedPipe)
	}
	st, err := s.last(op, cmd)
	s.abort(io.ErrClosedPipe)
	return st, err
}

// bodyError says that the octets to be sent could not be had, so that the
// command was never completed.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// sizeError says that a body was not as long as its caller said.
type sizeError struct{ want, got int64 }

func (e *sizeError) Error() string {
	if e.got > e.want {
		return fmt.Sprintf("the message has more than the %d octets announced", e.want)
	}
	return fmt.Sprintf("the message has %d octets and not the %d announced", e.got, e.want)
}

// sendBody sends exactly size octets of body, and sees that there are no more.
func (s *session) sendBody(body io.Reader, size int64) error {
	buf := make([]byte, min(size+1, sendChunk))
	var sent int64
	for {
		// One octet more than is left is asked for, to see that it is not there.
		n, err := fill(body, buf[:min(int64(len(buf)), size-sent+1)])
		if sent+int64(n) > size {
			return &sizeError{size, sent + int64(n)}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the message: %w", err)
		}
		if n > 0 {
			if werr := s.send(buf[:n]); werr != nil {
				return werr
			}
			sent += int64(n)
		}
		if err != nil {
			if sent < size {
				return &sizeError{size, sent}
			}
			return nil
		}
	}
}

// fill is io.ReadFull that keeps the reader's own error: a body that ends with
// io.ErrUnexpectedEOF was cut short, whatever its length.
func fill(r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = r.Read(p[n:])
		n += m
	}
	return n, err
}

// only calls f for untagged responses of one name.
func only(name string, f func(response)) func(response) {
	return func(r response) {
		if strings.EqualFold(r.name, name) {
			f(r)
		}
	}
}
