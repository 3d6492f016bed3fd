package imapconn

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"math/big"
	"net"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/mailproof/mailproof"
)

// fakeServer is a scripted IMAP server: what it says is whatever a test
// wants, down to the last octet.
type fakeServer struct {
	t        testing.TB
	listener net.Listener
	script   func(*fakeConn)
	tls      *tls.Config // for implicit TLS

	mu    sync.Mutex
	conns int
	wg    sync.WaitGroup
}

// fakeConn is one connection of a fakeServer.
type fakeConn struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
	n  int // the number of the connection, from 1
}

// newFake starts a server that runs script for each connection.
func newFake(t testing.TB, script func(*fakeConn)) *fakeServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeServer{t: t, listener: l, script: script}
	f.wg.Add(1)
	go f.serve()
	t.Cleanup(func() {
		_ = l.Close()
		f.wg.Wait()
	})
	return f
}

func (f *fakeServer) serve() {
	defer f.wg.Done()
	for {
		conn, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.mu.Lock()
		f.conns++
		c := &fakeConn{Conn: conn, t: f.t, n: f.conns}
		if f.tls != nil {
			c.Conn = tls.Server(conn, f.tls)
		}
		f.mu.Unlock()
		c.br = bufio.NewReader(c.Conn)
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // a stuck test fails, and does not hang
			f.script(c)
		}()
	}
}

func (f *fakeServer) dialled() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conns
}

// config signs in to the fake without TLS.
func (f *fakeServer) config() Config {
	host, port, err := net.SplitHostPort(f.listener.Addr().String())
	if err != nil {
		f.t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		f.t.Fatal(err)
	}
	return Config{
		Endpoint:        mailproof.Endpoint{User: "anna", Host: host, Port: n, Security: mailproof.Plaintext},
		Password:        mailproof.NewSecret("s3cret"),
		ConnectTimeout:  5 * time.Second,
		ProgressTimeout: 10 * time.Second,
		backoff:         func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) },
	}
}

func (f *fakeServer) reader() *Reader {
	f.t.Helper()
	r, err := DialReader(context.Background(), f.config())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { r.link.drop() })
	return r
}

func (f *fakeServer) writer() *Writer {
	f.t.Helper()
	w, err := DialWriter(context.Background(), f.config())
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { w.link.drop() })
	return w
}

// say sends octets as they are; lines of a test end in CRLF by itself.
func (c *fakeConn) say(format string, args ...any) {
	text := format
	if len(args) > 0 {
		text = fmt.Sprintf(format, args...)
	}
	_, _ = io.WriteString(c.Conn, text) // the client may have hung up, as it should
}

func (c *fakeConn) line(format string, args ...any) { c.say(format+"\r\n", args...) }

// readLine reads a line from the client; ok is false when it hung up.
func (c *fakeConn) readLine() (string, bool) {
	line, err := c.br.ReadString('\n')
	return strings.TrimRight(line, "\r\n"), err == nil
}

// commandLine is a command as the fake sees it.
type commandLine struct{ tag, name, args string }

var literalSize = regexp.MustCompile(`\{(\d+)(\+?)\}$`)

// command reads the next command; ok is false when the client hung up. Literals
// of arguments are put in quotes.
func (c *fakeConn) command() (cmd commandLine, ok bool) {
	line, ok := c.readLine()
	if !ok {
		return cmd, false
	}
	cmd.tag, line, _ = strings.Cut(line, " ")
	cmd.name, cmd.args, _ = strings.Cut(line, " ")
	if strings.EqualFold(cmd.name, "UID") {
		second, rest, _ := strings.Cut(cmd.args, " ")
		cmd.name, cmd.args = "UID "+second, rest
	}
	return cmd, true
}

// preamble greets and takes LOGIN.
func (c *fakeConn) preamble(caps string) bool {
	c.line("* OK [CAPABILITY %s] fake ready", caps)
	cmd, ok := c.command()
	if !ok {
		return false
	}
	if cmd.name != "LOGIN" {
		c.t.Errorf("first command: %v, want LOGIN", cmd)
		return false
	}
	c.line("%s OK [CAPABILITY %s] welcome", cmd.tag, caps)
	return true
}

// serve answers commands with handle until the client hangs up; handle returns
// false to hang up itself.
func (c *fakeConn) serve(handle func(commandLine) bool) {
	for {
		cmd, ok := c.command()
		if !ok {
			return
		}
		if cmd.name == "LOGOUT" {
			c.line("* BYE")
			c.line("%s OK bye", cmd.tag)
			return
		}
		if !handle(cmd) {
			return
		}
	}
}

// examined answers EXAMINE for a mailbox of n messages.
func (c *fakeConn) examined(cmd commandLine, n int) {
	c.line("* FLAGS (\\Seen)")
	c.line("* %d EXISTS", n)
	c.line("* OK [UIDVALIDITY 7] ok")
	c.line("* OK [UIDNEXT %d] ok", 1000)
	c.line("%s OK [READ-ONLY] done", cmd.tag)
}

// mailbox is a script for a mailbox whose message with UID u has the body
// bodyOf(u) and the sequence number u-100.
func (c *fakeConn) mailbox(n int, fetch func(cmd commandLine, uids []int, byUID bool) bool) {
	c.mailboxWith("IMAP4rev1", n, fetch)
}

func (c *fakeConn) mailboxWith(caps string, n int, fetch func(cmd commandLine, uids []int, byUID bool) bool) {
	if !c.preamble(caps) {
		return
	}
	c.serve(func(cmd commandLine) bool {
		switch cmd.name {
		case "EXAMINE":
			c.examined(cmd, n)
		case "UID SEARCH":
			c.say("* SEARCH")
			for _, uid := range searchedUIDs(cmd.args, n) {
				c.say(" %d", uid)
			}
			c.line("")
			c.line("%s OK done", cmd.tag)
		case "UID FETCH", "FETCH":
			byUID := cmd.name == "UID FETCH"
			set, _, _ := strings.Cut(cmd.args, " ")
			var uids []int
			for _, u := range numbers(set) {
				if !byUID {
					u += 100
				}
				if u > 100 && u <= 100+n {
					uids = append(uids, u)
				}
			}
			if strings.HasSuffix(cmd.args, "(UID)") {
				for _, u := range uids {
					c.line("* %d FETCH (UID %d)", u-100, u)
				}
				c.line("%s OK done", cmd.tag)
				return true
			}
			return fetch(cmd, uids, byUID)
		default:
			c.line("%s BAD what is %s?", cmd.tag, cmd.name)
		}
		return true
	})
}

func searchedUIDs(args string, n int) (uids []int) {
	if set, ok := strings.CutPrefix(args, "UID "); ok {
		for _, u := range numbers(set) {
			if u > 100 && u <= 100+n {
				uids = append(uids, u)
			}
		}
		return uids
	}
	for u := 101; u <= 100+n; u++ {
		uids = append(uids, u)
	}
	return uids
}

// numbers spells out a set of numbers.
func numbers(set string) (out []int) {
	for _, r := range strings.Split(set, ",") {
		a, b, isRange := strings.Cut(r, ":")
		first, _ := strconv.Atoi(a)
		last := first
		if isRange {
			last, _ = strconv.Atoi(b)
		}
		for i := first; i <= last && len(out) < 100000; i++ {
			out = append(out, i)
		}
	}
	return out
}

func bodyOf(uid int) string {
	return fmt.Sprintf("Subject: %d\r\n\r\n%s\r\n", uid, strings.Repeat("body ", 60+uid%50))
}

// body sends the usual response with a body.
func (c *fakeConn) body(uid int) {
	b := bodyOf(uid)
	c.say("* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n", uid-100, uid, len(b), b)
}

// readAll reads bodies and checks each against bodyOf, each once.
func readAll(t *testing.T, r *Reader, n int) (unread map[mailproof.UID]string, got map[mailproof.UID]bool, err error) {
	t.Helper()
	var want []mailproof.Metadata
	for u := 101; u <= 100+n; u++ {
		want = append(want, mailproof.Metadata{UID: mailproof.UID(u), Size: int64(len(bodyOf(u)))})
	}
	got = map[mailproof.UID]bool{}
	unread, err = r.Bodies(context.Background(), want, func(uid mailproof.UID, size int64, body io.Reader) error {
		raw, err := io.ReadAll(body)
		if err != nil {
			return fmt.Errorf("reading: %w", err)
		}
		if got[uid] {
			t.Errorf("uid %d was read twice", uid)
		}
		got[uid] = true
		if string(raw) != bodyOf(int(uid)) || size != int64(len(raw)) {
			t.Errorf("uid %d: %d octets announced as %d: %q", uid, len(raw), size, raw)
		}
		return nil
	})
	return unread, got, err
}

func mustExamine(t *testing.T, r *Reader) mailproof.MailboxState {
	t.Helper()
	state, err := r.Examine(context.Background(), "INBOX")
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// certificate makes a self-signed one for 127.0.0.1.
func certificate(t testing.TB, edit func(*x509.Certificate)) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "fake"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
