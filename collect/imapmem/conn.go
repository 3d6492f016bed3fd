package imapmem

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"
)

// Time limits of a connection: for the next command, and for the client to
// take a reply.
const (
	idleTimeout  = 30 * time.Minute
	writeTimeout = 2 * time.Minute
)

// status is a tagged reply.
type status struct{ kind, text string }

func ok(format string, args ...any) *status  { return &status{"OK", fmt.Sprintf(format, args...)} }
func no(format string, args ...any) *status  { return &status{"NO", fmt.Sprintf(format, args...)} }
func bad(format string, args ...any) *status { return &status{"BAD", fmt.Sprintf(format, args...)} }

// conn is one connection. Only its own goroutine touches it, but for nc, which
// Server.Close may close.
type conn struct {
	server  *Server
	nc      net.Conn
	r       *bufio.Reader
	w       *bufio.Writer
	config  *tls.Config
	needTLS bool // before sign-in
	secure  bool

	account *Account
	box     *view // the selected mailbox
	// condstore: the client asked for MODSEQ in unsolicited responses.
	condstore bool
	tag       string // of the command at hand
	deflated  bool   // COMPRESS=DEFLATE is active
	cut       bool   // end the connection without a reply
	bye       string // end it with this farewell after the reply
}

func newConn(s *Server, nc net.Conn, config *tls.Config) *conn {
	c := &conn{server: s, config: config}
	c.attach(nc)
	c.secure = false
	return c
}

// attach makes nc the connection, with nothing read from it yet.
func (c *conn) attach(nc net.Conn) {
	c.nc = nc
	c.r = bufio.NewReaderSize(deadlineReader{nc}, 64<<10)
	c.w = bufio.NewWriterSize(deadlineWriter{nc}, 64<<10)
	c.secure = true
}

type deadlineReader struct{ nc net.Conn }

func (r deadlineReader) Read(b []byte) (int, error) {
	if err := r.nc.SetReadDeadline(time.Now().Add(idleTimeout)); err != nil {
		return 0, err
	}
	return r.nc.Read(b)
}

type deadlineWriter struct{ nc net.Conn }

func (w deadlineWriter) Write(b []byte) (int, error) {
	if err := w.nc.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return w.nc.Write(b)
}

// untagged writes one untagged response. Errors of the writer stay in it and
// end the connection at the next flush.
func (c *conn) untagged(format string, args ...any) {
	_, _ = c.w.WriteString("* ")
	_, _ = fmt.Fprintf(c.w, format, args...)
	_, _ = c.w.WriteString("\r\n")
}

func (c *conn) reply(tag string, s *status) {
	_, _ = fmt.Fprintf(c.w, "%s %s %s\r\n", tag, s.kind, oneLine(s.text))
}

// oneLine keeps a hook's words from being taken for protocol.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// serve talks to the client until one of the two ends it.
func (c *conn) serve() {
	defer c.signOut()
	c.untagged("OK [CAPABILITY %s] %s ready", c.capabilities(), c.server.opts.Name)
	for {
		// Replies to pipelined commands leave together.
		if c.r.Buffered() == 0 {
			if c.w.Flush() != nil {
				return
			}
		}
		cmd, err := readCommand(c.r, c.goAhead, c.admit)
		switch {
		case err == nil:
		case errors.Is(err, errLineTooLong), errors.Is(err, errBadLiteral):
			c.untagged("BYE %v", err)
			_ = c.w.Flush()
			return
		default:
			return
		}
		if c.server.opts.Latency > 0 {
			if c.w.Flush() != nil {
				return
			}
			if !c.server.pause(c.server.opts.Latency) {
				return
			}
		}
		if !c.execute(cmd) {
			_ = c.w.Flush()
			return
		}
	}
}

func (c *conn) goAhead() error {
	if _, err := c.w.WriteString("+ OK\r\n"); err != nil {
		return err
	}
	return c.w.Flush()
}

func (c *conn) capabilities() string {
	return c.server.capabilities(c.needTLS && !c.secure, c.needTLS && !c.secure)
}

// execute carries out one command and reports whether the connection goes on.
func (c *conn) execute(cmd *command) bool {
	p := newParser(cmd)
	tag := p.atom()
	if p.err != nil || tag == "+" || tag == "*" {
		c.untagged("BAD no tag")
		return true
	}
	c.tag = tag
	p.space()
	name := p.word()
	if name == "UID" {
		p.space()
		name += " " + p.word()
	}
	result := cmd.refused
	if p.err != nil {
		result = bad("no command")
	}
	if result == nil {
		result = c.permit(name)
	} else if c.account != nil {
		c.count(name)
	}
	if result == nil {
		result = commands[name].run(c, p)
	}
	if c.cut {
		return false
	}
	if result.kind != "BAD" && !noSync[name] {
		c.sync()
	}
	c.reply(tag, result)
	if c.bye != "" {
		c.untagged("BYE %s", oneLine(c.bye))
		return false
	}
	switch {
	case name == "STARTTLS" && result.kind == "OK":
		return c.startTLS()
	case name == "COMPRESS" && result.kind == "OK":
		return c.startCompress()
	}
	return name != "LOGOUT"
}

// permit checks a command against the state of the connection (RFC 9051 §3)
// and the hook.
func (c *conn) permit(name string) *status {
	spec, known := commands[name]
	switch {
	case !known || spec.capability != "" && !c.server.offers(spec.capability):
		return bad("unknown command %s", name)
	case spec.state == anyState:
		return nil
	case spec.state == signedOut && c.account != nil:
		return bad("already signed in")
	case spec.state == signedOut:
		return nil
	case c.account == nil:
		return bad("sign in first")
	}
	c.count(name)
	if hook := c.server.opts.OnCommand; hook != nil {
		if err := hook(c.account.user, name); errors.Is(err, ErrCut) {
			c.cut = true
			return bad("cut")
		} else if c.bye = farewell(err); c.bye != "" {
			return bad("%s", err.Error())
		} else if err != nil {
			return no("%s", err.Error())
		}
	}
	if spec.state == selected && c.box == nil {
		return bad("select a mailbox first")
	}
	return nil
}

func (c *conn) count(name string) {
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	c.account.activity.Commands[name]++
}

func (c *conn) startTLS() bool {
	// What came in the clear behind STARTTLS is an attack or a mistake: RFC
	// 9051 §6.2.1.
	if c.r.Buffered() > 0 || c.w.Flush() != nil {
		return false
	}
	c.attach(tls.Server(c.nc, c.config))
	return true
}

func (c *conn) signOut() {
	if c.account != nil {
		c.account.mu.Lock()
		c.account.connections--
		c.account.mu.Unlock()
		c.account = nil
	}
}

// admit decides on a literal before it is taken.
func (c *conn) admit(so *command, size int64) *status {
	p := newParser(&command{chunks: so.chunks})
	p.atom()
	p.space()
	if name := p.word(); name != "APPEND" || p.err != nil || c.account == nil {
		if size > maxArgument {
			return bad("literal too large")
		}
		return nil
	}
	p.space()
	if p.rest == "" && len(p.chunks) == 0 { // the literal is the mailbox name
		if size > maxArgument {
			return bad("literal too large")
		}
		return nil
	}
	mailbox := p.mailbox()
	if p.err != nil {
		return bad("%v", p.err)
	}
	pending := size
	for _, ch := range so.chunks {
		pending += int64(len(ch.literal))
	}
	return c.account.admits(mailbox, size, pending)
}
