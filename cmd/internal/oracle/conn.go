package oracle

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Login says where an account is. A nil TLS means no TLS.
type Login struct {
	Addr, User, Password string
	TLS                  *tls.Config
}

// patience is how long one command may take.
const patience = 2 * time.Minute

// Conn is a signed-in connection. It may not be used by two goroutines.
type Conn struct {
	nc   net.Conn
	r    *bufio.Reader
	tag  int
	stop func() bool // of the context

	// Separator and Prefix are what LIST and NAMESPACE told of the personal
	// namespace.
	Separator, Prefix string
	caps              string
}

// response is one untagged response: its text, in which each literal is
// written as \x00 and a number, and the literals.
type response struct {
	text     string
	literals [][]byte
}

// Dial connects and signs in. The end of ctx cuts the connection.
func Dial(ctx context.Context, l Login) (*Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "tcp", l.Addr)
	if err != nil {
		return nil, fmt.Errorf("oracle: %w", err)
	}
	if l.TLS != nil {
		nc = tls.Client(nc, l.TLS)
	}
	c := &Conn{nc: nc, r: bufio.NewReaderSize(nc, 1<<16), stop: context.AfterFunc(ctx, func() { _ = nc.Close() })}
	if err := c.begin(l); err != nil {
		c.Close()
		return nil, fmt.Errorf("oracle: %s at %s: %w", l.User, l.Addr, err)
	}
	return c, nil
}

func (c *Conn) begin(l Login) error {
	if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	greeting, err := c.read()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(greeting.text, "* OK") {
		return fmt.Errorf("greeting %q", greeting.text)
	}
	if _, err := c.do("LOGIN %s %s", quoted(l.User), quoted(l.Password)); err != nil {
		return err
	}
	caps, err := c.do("CAPABILITY")
	if err != nil {
		return err
	}
	for _, r := range caps {
		if list, ok := strings.CutPrefix(r.text, "* CAPABILITY "); ok {
			c.caps = " " + strings.ToUpper(list) + " "
		}
	}
	return c.namespace()
}

func (c *Conn) namespace() error {
	list, err := c.do(`LIST "" ""`)
	if err != nil {
		return err
	}
	for _, r := range list {
		if p := (&tokens{r: r}).after("* LIST"); p != nil {
			p.list()
			c.Separator = p.text()
		}
	}
	if !c.offers("NAMESPACE") {
		return nil
	}
	spaces, err := c.do("NAMESPACE")
	if err != nil {
		return err
	}
	for _, r := range spaces {
		if p := (&tokens{r: r}).after("* NAMESPACE (("); p != nil {
			c.Prefix, c.Separator = p.text(), p.text()
		}
	}
	return nil
}

func (c *Conn) offers(capability string) bool { return strings.Contains(c.caps, " "+capability+" ") }

// Name joins the levels of a folder name as this server writes it.
func (c *Conn) Name(path ...string) string {
	if len(path) == 1 && strings.EqualFold(path[0], "INBOX") {
		return "INBOX"
	}
	return c.Prefix + strings.Join(path, c.Separator)
}

// Close cuts the connection.
func (c *Conn) Close() {
	c.stop()
	_ = c.nc.Close()
}

// do carries out one command and returns the untagged responses. NO and BAD
// are errors.
func (c *Conn) do(format string, args ...any) ([]response, error) {
	tag, err := c.send(format, args...)
	if err != nil {
		return nil, err
	}
	return c.until(tag)
}

func (c *Conn) send(format string, args ...any) (tag string, err error) {
	c.tag++
	tag = "o" + strconv.Itoa(c.tag)
	if err := c.nc.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	_, err = io.WriteString(c.nc, tag+" "+fmt.Sprintf(format, args...)+"\r\n")
	return tag, err
}

func (c *Conn) until(tag string) ([]response, error) {
	var out []response
	for {
		r, err := c.read()
		if err != nil {
			return nil, err
		}
		result, tagged := strings.CutPrefix(r.text, tag+" ")
		switch {
		case !tagged:
			out = append(out, r)
		case strings.HasPrefix(result, "OK"):
			return out, nil
		default:
			return nil, fmt.Errorf("server said %s", result)
		}
	}
}

// read takes one response with its literals.
func (c *Conn) read() (response, error) {
	var r response
	for {
		line, err := c.r.ReadString('\n')
		if err != nil {
			return r, err
		}
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		open := strings.LastIndexByte(line, '{')
		if open < 0 || line[len(line)-1] != '}' {
			r.text += line
			return r, nil
		}
		n, err := strconv.Atoi(line[open+1 : len(line)-1])
		if err != nil || n < 0 || n > 1<<30 {
			r.text += line
			return r, nil
		}
		literal := make([]byte, n)
		if _, err := io.ReadFull(c.r, literal); err != nil {
			return r, err
		}
		r.text += line[:open] + "\x00" + strconv.Itoa(len(r.literals))
		r.literals = append(r.literals, literal)
	}
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// tokens reads a response piece by piece.
type tokens struct {
	r   response
	pos int
}

// after skips a beginning, without regard to case; nil if it is another.
func (t *tokens) after(prefix string) *tokens {
	if len(t.r.text) < len(prefix) || !strings.EqualFold(t.r.text[:len(prefix)], prefix) {
		return nil
	}
	t.pos = len(prefix)
	return t
}

func (t *tokens) rest() string { return t.r.text[t.pos:] }

func (t *tokens) skip() {
	for t.pos < len(t.r.text) && t.r.text[t.pos] == ' ' {
		t.pos++
	}
}

// octets reads an atom, a quoted string or a literal; brackets belong to an
// atom, so that BODY[] is one.
func (t *tokens) octets() []byte {
	t.skip()
	rest := t.rest()
	switch {
	case rest == "":
		return nil
	case rest[0] == 0:
		end := 1
		for end < len(rest) && rest[end] >= '0' && rest[end] <= '9' {
			end++
		}
		n, err := strconv.Atoi(rest[1:end])
		t.pos += end
		if err != nil || n >= len(t.r.literals) {
			return nil
		}
		return t.r.literals[n]
	case rest[0] == '"':
		return t.quoted(rest)
	}
	end := strings.IndexAny(rest, " ()")
	if end < 0 {
		end = len(rest)
	}
	t.pos += max(end, 1)
	return []byte(rest[:max(end, 1)])
}

func (t *tokens) quoted(rest string) []byte {
	out := []byte{}
	for i := 1; i < len(rest); i++ {
		switch {
		case rest[i] == '"':
			t.pos += i + 1
			return out
		case rest[i] == '\\' && i+1 < len(rest):
			i++
		}
		out = append(out, rest[i])
	}
	t.pos = len(t.r.text)
	return out
}

func (t *tokens) text() string { return string(t.octets()) }

// list reads a flat list in parentheses.
func (t *tokens) list() []string {
	t.skip()
	if !strings.HasPrefix(t.rest(), "(") {
		return nil
	}
	end := strings.IndexByte(t.rest(), ')')
	if end < 0 {
		return nil
	}
	fields := strings.Fields(t.rest()[1:end])
	t.pos += end + 1
	return fields
}
