package imapconn

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// appendOne appends one message and returns what became of it.
func appendOne(t *testing.T, w *Writer, body io.ReadSeeker, size int) (mailproof.Receipt, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	wait, err := w.StartAppend(ctx, "INBOX", []mailproof.Outgoing{{Size: int64(size), Body: body}}, true)
	if err != nil {
		t.Fatal(err)
	}
	receipts, err := wait(ctx)
	return receipts[0], err
}

// A server that talks and talks before the sign-in is done is hung up on, whatever
// it says: no silence tells that it never comes to an end.
func TestEndlessSignIn(t *testing.T) {
	const greeting = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN ID] ready\r\n"
	for name, x := range map[string]struct{ before, endless string }{
		"blank greeting": {"", "\r\n"},
		"still here":     {greeting, "* OK still here\r\n"},
		"challenges":     {greeting, "+ \r\n"},
		"capabilities":   {"* OK ready\r\n", "* CAPABILITY IMAP4rev1\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t, func(c *fakeConn) {
				c.say("%s", x.before)
				go func() { _, _ = io.Copy(io.Discard, c.br) }()
				many := strings.Repeat(x.endless, 500)
				for { // until nobody listens any more
					if _, err := c.Write([]byte(many)); err != nil {
						return
					}
				}
			})
			_, err := DialReader(t.Context(), f.config())
			if mailproof.KindOf(err) != mailproof.ErrProtocol {
				t.Error(err)
			}
		})
	}
}

// A server that answers an APPEND in a way that no server should: never is a
// message called added that it was not given, never not sent what it may have,
// and nothing hangs.
func TestHostileAppend(t *testing.T) {
	const plus, wait = "IMAP4rev1 LITERAL+", "IMAP4rev1"
	body := strings.Repeat("x", 5000)
	for _, tt := range []struct {
		name, caps string
		answer     func(c *fakeConn, cmd commandLine)
		fate       mailproof.Fate
		kind       mailproof.ErrorKind // 0: the connection stays
		uid        mailproof.UID
	}{
		{"OK instead of the go-ahead", wait, func(c *fakeConn, cmd commandLine) {
			c.line("%s OK [APPENDUID 7 42] done", cmd.tag)
		}, mailproof.FateUnknown, mailproof.ErrProtocol, 0},
		{"NO instead of the go-ahead", wait, func(c *fakeConn, cmd commandLine) {
			c.line("%s NO not today", cmd.tag)
		}, mailproof.FateRefused, 0, 0},
		{"many go-aheads", wait, func(c *fakeConn, cmd commandLine) {
			c.say("%s", strings.Repeat("+ go\r\n", 1000))
			_, _ = c.readAppend(cmd)
			c.say("%s", strings.Repeat("+ go\r\n", 1000))
			c.line("%s OK [APPENDUID 7 42] done", cmd.tag)
		}, mailproof.FateAdded, 0, 42},
		{"no go-ahead, and an end", wait, func(c *fakeConn, _ commandLine) { _ = c.Close() }, mailproof.FateNotSent, mailproof.ErrConnection, 0},
		{"BYE instead of the go-ahead", wait, func(c *fakeConn, _ commandLine) {
			c.line("* BYE Request is throttled. Suggested Backoff Time: 40 milliseconds")
			_ = c.Close()
		}, mailproof.FateNotSent, mailproof.ErrThrottled, 0},
		{"another tag", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.line("X%s OK [APPENDUID 7 42] done", cmd.tag)
		}, mailproof.FateUnknown, mailproof.ErrProtocol, 0},
		{"the tag of the next command", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.line("%s9 OK done", cmd.tag)
		}, mailproof.FateUnknown, mailproof.ErrProtocol, 0},
		{"BYE between", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.line("* BYE going down")
			_ = c.Close()
		}, mailproof.FateUnknown, mailproof.ErrConnection, 0},
		{"BYE, and OK all the same", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.line("* BYE going down")
			c.line("%s OK [APPENDUID 7 42] done", cmd.tag)
			_ = c.Close()
		}, mailproof.FateAdded, 0, 42},
		{"half of an OK", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.say("%s OK [APPENDUID 7 42] done", cmd.tag)
			_ = c.Close()
		}, mailproof.FateUnknown, mailproof.ErrConnection, 0},
		{"a flood of EXISTS", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.say("%s", strings.Repeat("* 4294967295 EXISTS\r\n* 12 RECENT\r\n", 2400))
			c.line("%s OK [APPENDUID 7 42] done", cmd.tag)
		}, mailproof.FateAdded, 0, 42},
		{"responses without end", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			for {
				if _, err := io.WriteString(c, strings.Repeat("* 1 EXISTS\r\n", 100)); err != nil {
					return
				}
			}
		}, mailproof.FateUnknown, mailproof.ErrProtocol, 0},
		{"patience without end", wait, func(c *fakeConn, _ commandLine) {
			for {
				if _, err := io.WriteString(c, strings.Repeat("* OK still here\r\n", 100)); err != nil {
					return
				}
			}
		}, mailproof.FateNotSent, mailproof.ErrProtocol, 0},
		{"a line without end", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			for {
				if _, err := io.WriteString(c, "* OK "+strings.Repeat("and on", 10_000)); err != nil {
					return
				}
			}
		}, mailproof.FateUnknown, mailproof.ErrProtocol, 0},
		{"a literal in the answer", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.line("* STATUS {4294967295}")
		}, mailproof.FateUnknown, mailproof.ErrProtocol, 0},
		{"APPENDUID beyond a number", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.line("%s OK [APPENDUID 7 99999999999] done", cmd.tag)
		}, mailproof.FateAdded, 0, 0},
		{"APPENDUID of a set", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.line("%s OK [APPENDUID 7 1:4294967295] done", cmd.tag)
		}, mailproof.FateAdded, 0, 0},
		{"OK twice", plus, func(c *fakeConn, cmd commandLine) {
			_, _ = c.readAppend(cmd)
			c.line("%s OK [APPENDUID 7 42] done", cmd.tag)
			c.line("%s OK [APPENDUID 7 43] done", cmd.tag)
		}, mailproof.FateAdded, 0, 42},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t, func(c *fakeConn) {
				if c.preamble(tt.caps) {
					c.serve(func(cmd commandLine) bool {
						tt.answer(c, cmd)
						return true
					})
				}
			})
			w := f.writer()
			w.link.s.clean.most = 5000
			r, err := appendOne(t, w, strings.NewReader(body), len(body))
			if r.Fate != tt.fate || r.UID != tt.uid {
				t.Errorf("fate %d, UID %d, want %d, %d; %v", r.Fate, r.UID, tt.fate, tt.uid, err)
			}
			if tt.kind != mailproof.KindOf(err) {
				t.Errorf("error %v (%v), want %v", err, mailproof.KindOf(err), tt.kind)
			}
		})
	}
}

// latecomer is a body whose second half is not there before the server has given
// its answer.
type latecomer struct {
	*strings.Reader
	session *session
	give    chan struct{} // closed when the server may answer
	waited  bool
}

func (l *latecomer) Read(p []byte) (int, error) {
	if !l.waited && l.Len() <= int(l.Size())/2 {
		l.waited = true
		close(l.give)
		for {
			l.session.mu.Lock()
			answered := len(l.session.flying) == 0
			l.session.mu.Unlock()
			if answered || !l.session.alive() {
				break
			}
			time.Sleep(time.Millisecond) // waits for a state, not for a time
		}
	}
	return l.Reader.Read(p[:min(len(p), 1000)])
}

// A server that answers in the middle of a literal: a NO is a refusal, an OK is
// not believed.
func TestAnsweredWithinLiteral(t *testing.T) {
	for _, tt := range []struct {
		answer string
		fate   mailproof.Fate
	}{{"OK [APPENDUID 7 42] done", mailproof.FateUnknown}, {"NO too large", mailproof.FateRefused}} {
		for _, caps := range []string{"IMAP4rev1", "IMAP4rev1 LITERAL+"} {
			give := make(chan struct{})
			f := newFake(t, func(c *fakeConn) {
				if !c.preamble(caps) {
					return
				}
				c.serve(func(cmd commandLine) bool {
					if !strings.Contains(caps, "LITERAL+") {
						c.line("+ go on")
					}
					<-give
					c.line("%s %s", cmd.tag, tt.answer)
					_, err := io.Copy(io.Discard, c)
					return err == nil
				})
			})
			w := f.writer()
			r, err := appendOne(t, w, &latecomer{Reader: strings.NewReader(strings.Repeat("x", 100_000)), session: w.link.s, give: give}, 100_000)
			if r.Fate != tt.fate || (err == nil) != (tt.fate == mailproof.FateRefused) {
				t.Errorf("%s, %s: fate %d, %v", caps, tt.answer, r.Fate, err)
			}
		}
	}
}

// cutConn ends after so many octets in either direction, counted from when it is
// armed; less than 0: never.
type cutConn struct {
	net.Conn
	mu          sync.Mutex
	armed       bool
	read, write int
}

var errCut = errors.New("cut")

// let counts octets and returns how many of them may pass.
func (c *cutConn) let(left *int, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.armed || *left < 0 {
		return n
	}
	n = min(n, *left)
	*left -= n
	return n
}

func (c *cutConn) arm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = true
}

// Read may have been waiting since before the line was armed, so that what it
// brings is cut, and not what it asks for.
func (c *cutConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if most := c.let(&c.read, n); most < n {
		return most, errors.Join(errCut, c.Close())
	}
	return n, err
}

func (c *cutConn) Write(p []byte) (int, error) {
	most := c.let(&c.write, len(p))
	n, err := c.Conn.Write(p[:most])
	if most < len(p) {
		err = errors.Join(errCut, err, c.Close())
	}
	return n, err
}

// The connection ends after any octet of a batch or of its answers: what the
// server has is never called not sent or refused, and what it has not is never
// called added.
func TestCutAtEveryOctet(t *testing.T) {
	for name, hide := range map[string][]string{"MULTIAPPEND": nil, "pipelined": {"MULTIAPPEND"}, "one by one": {"MULTIAPPEND", "LITERAL+"}, "waiting": {"LITERAL+"}} {
		for _, upwards := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, upwards %v", name, upwards), func(t *testing.T) {
				t.Parallel()
				for at, whole := 0, false; !whole && at < 5000; at++ {
					whole = cutAt(t, hide, at, upwards)
				}
			})
		}
	}
}

// cutAt reports whether everything was through before the cut.
func cutAt(t *testing.T, hide []string, at int, upwards bool) (whole bool) {
	s := imapmem.New(imapmem.Options{Hide: hide})
	a := s.AddAccount("anna", "pw")
	if err := s.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	var cut *cutConn
	c := Config{Endpoint: s.Endpoint("anna"), Password: mailproof.NewSecret("pw"), Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		cut = &cutConn{Conn: conn, read: -1, write: -1}
		if upwards {
			cut.write = at
		} else {
			cut.read = at
		}
		return cut, err
	}}
	w, err := DialWriter(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	cut.arm()
	batch := make([]mailproof.Outgoing, 3)
	for i := range batch {
		raw := fmt.Appendf(nil, "Subject: %d\r\n\r\n", i)
		batch[i] = mailproof.Outgoing{Size: int64(len(raw)), Body: bytes.NewReader(raw)}
	}
	wait, err := w.StartAppend(t.Context(), "INBOX", batch, false)
	if err != nil {
		t.Fatal(err)
	}
	receipts, lost := wait(t.Context())
	w.link.drop()
	if err := s.Close(); err != nil { // when every session has come to its end
		t.Fatal(err)
	}
	for i, r := range receipts {
		raw := make([]byte, batch[i].Size)
		if _, err := batch[i].Body.Seek(0, io.SeekStart); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(batch[i].Body, raw); err != nil {
			t.Fatal(err)
		}
		there := false
		for _, m := range a.Messages("INBOX") {
			there = there || bytes.Equal(m.Raw, raw)
		}
		if there && r.Fate != mailproof.FateAdded && r.Fate != mailproof.FateUnknown || !there && r.Fate == mailproof.FateAdded {
			t.Errorf("cut after %d octets: message %d: fate %d, there: %v; %v", at, i, r.Fate, there, lost)
		}
	}
	for _, m := range a.Messages("INBOX") {
		if n := bytes.Count(m.Raw, []byte("Subject: ")); n != 1 {
			t.Errorf("cut after %d octets: a message of %d octets came to be", at, len(m.Raw))
		}
	}
	return lost == nil
}
