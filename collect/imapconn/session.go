package imapconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailproof/mailproof"
)

// session is one signed-in connection. go-imap's client reads from it all the
// time; commands of our own get their answers from the sanitizer through
// hooks. Of the commands of our own only APPENDs are in flight beside others,
// and none is begun while the client has one. It is not safe for concurrent
// use.
type session struct {
	info   mailproof.ServerInfo
	caps   capabilities
	masker masker
	tokens *tokenState // nil where a password signs in
	names  *nameTable

	conn   *progressConn
	clean  *sanitizer
	client *imapclient.Client

	spaces   *spaces // nil: not asked for
	surveyed *survey // as of the sign-in, as long as no command was sent since

	mailbox     string // the one that is open; empty: none
	uidvalidity uint32 // of mailbox
	writable    bool   // opened with SELECT
	tags        int

	mu      sync.Mutex
	current *command            // the latest, which continuation requests and untagged data are for
	flying  map[string]*command // by tag: all that were not answered
	// together are those of a flight that were not answered: untagged data are
	// for all of them. Nil outside of one. The slice is never changed in place.
	together []*command
	ordered  bool    // untagged data are for the first of them only
	bye      *status // the server's farewell
	failure  error   // why the connection ended
	done     chan struct{}
}

// errGaveUp says that go-imap's client closed the connection; its own error
// takes the place of this one as soon as it is known.
var errGaveUp = errors.New("imapconn: the client closed the connection")

// topConn is what go-imap's client takes for the network.
type topConn struct {
	net.Conn
	s *session
}

func (t topConn) Read(p []byte) (int, error) {
	n, err := t.s.clean.Read(p)
	if err != nil {
		t.s.fail(err)
		// An end between responses is an ordinary end for the client; any
		// other error is one too.
		if !errors.Is(err, io.EOF) {
			err = t.s.ended()
		}
	}
	return n, err
}

func (t topConn) Close() error {
	t.s.fail(errGaveUp)
	return t.Conn.Close()
}

// dial opens a session.
func dial(ctx context.Context, c Config, names *nameTable, octets *traffic) (*session, error) {
	w, info, err := connect(ctx, c, octets)
	if err != nil {
		return nil, err
	}
	s := &session{info: info, caps: w.caps, masker: w.masker, tokens: c.tokens, names: names, conn: w.conn, flying: map[string]*command{}, done: make(chan struct{})}
	s.clean = newSanitizer(w.br, hooks{continuation: s.continuation, untagged: s.untagged, unilateral: s.unilateral, tagged: s.tagged})
	// The client has missed greeting and sign-in: this is how it learns of them.
	s.clean.out = []byte("* PREAUTH [CAPABILITY " + w.caps.forClient() + "] ready\r\n")
	s.client = imapclient.New(topConn{w.conn, s}, nil)
	if err := s.client.WaitGreeting(); err != nil {
		s.abort(err)
		return nil, s.broken("connect")
	}
	names.mu.Lock()
	names.utf8 = w.caps.utf8Names()
	names.mu.Unlock()
	if c.Survey {
		if err := s.introduce(ctx, c); err != nil {
			s.abort(err)
			return nil, err
		}
	}
	return s, nil
}

// fail records why the connection ended; the first reason counts.
func (s *session) fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure == nil {
		s.failure = err
		close(s.done)
	}
}

// abort ends the connection at once.
func (s *session) abort(err error) {
	s.fail(err)
	_ = s.conn.Conn.Close() // the reason is recorded
}

// alive reports whether the connection is not known to have ended.
func (s *session) alive() bool {
	select {
	case <-s.done:
		return false
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.bye == nil
	}
}

func (s *session) ended() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// broken is the error of whatever was under way when the connection ended.
func (s *session) broken(op string) error {
	s.mu.Lock()
	err, bye := s.failure, s.bye
	s.mu.Unlock()
	switch {
	case err == nil:
		err = io.ErrUnexpectedEOF
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, errClosed), errors.Is(err, errStopped):
		return err
	}
	if bye != nil && isEnd(err) {
		return s.masker.refusal(s.info.Address, op, *bye)
	}
	return serverFailure(s.masker, s.info.Address, op, err)
}

// guard ends the connection when the context ends. The function that it
// returns must be called, and gives the context's error the precedence.
func (s *session) guard(ctx context.Context) func(error) error {
	stop := context.AfterFunc(ctx, func() { s.abort(context.Cause(ctx)) })
	return func(err error) error {
		if !stop() {
			return context.Cause(ctx)
		}
		return err
	}
}

// clientError turns an error of go-imap's client into one of ours.
func (s *session) clientError(op string, err error) error {
	if err == nil {
		return nil
	}
	var no *imap.Error
	if errors.As(err, &no) {
		return s.masker.refusal(s.info.Address, op, status{typ: string(no.Type), code: string(no.Code), text: no.Text})
	}
	// The client closes the connection after any other error. It had to find
	// the fault itself if the sanitizer did not.
	s.mu.Lock()
	if errors.Is(s.failure, errGaveUp) {
		s.failure = &protocolError{err.Error()}
	}
	s.mu.Unlock()
	s.abort(&protocolError{err.Error()})
	return s.broken(op)
}

// leave says goodbye and does not wait for the answer: nothing is under way any
// more that it could tell of. A server that has the command before the end of
// the connection has signed the client out.
func (s *session) leave() {
	if s.alive() && !s.busy() {
		s.tags++
		_ = s.send(fmt.Appendf(nil, "M%d LOGOUT\r\n", s.tags)) // the connection is closed next
	}
	s.abort(errClosed)
}

// close says goodbye, within reason.
func (s *session) close() {
	if s.alive() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		// Whatever the answer, the connection is closed next.
		_, _ = s.exec(ctx, "sign out", nil, atomArg("LOGOUT"))
	}
	s.abort(errClosed)
}
