package imapmem

import (
	"bytes"
	"net"
	"strings"
	"testing"
	"testing/quick"
	"time"
	"unicode/utf8"

	mailproof "github.com/mailproof/mailproof"
)

// said is a connection to a client that says what it has to say and goes.
type said struct {
	*bytes.Reader
	heard bytes.Buffer
	net.Conn
}

func (c *said) Read(b []byte) (int, error)       { return c.Reader.Read(b) }
func (c *said) Write(b []byte) (int, error)      { return c.heard.Write(b) }
func (c *said) SetReadDeadline(time.Time) error  { return nil }
func (c *said) SetWriteDeadline(time.Time) error { return nil }

// Whatever a client sends, the session ends when the client does, and its
// books balance.
func FuzzSession(f *testing.F) {
	for _, commands := range []string{
		"a SELECT INBOX\r\nb UID FETCH 1:* (UID FLAGS BODY.PEEK[]<1.3>)\r\nc STORE 1 +FLAGS.SILENT (x)\r\nd EXPUNGE\r\n",
		"a APPEND INBOX (\\Seen) \"05-Mar-2019 14:30:59 +0200\" {3+}\r\nabc {2+}\r\nde\r\n",
		"a APPEND {5+}\r\nINBOX {3}\r\nabc\r\n",
		"a LIST (SUBSCRIBED) \"\" (* %) RETURN (STATUS (MESSAGES))\r\nb LSUB \"\" *\r\n",
		"a EXAMINE INBOX (CONDSTORE)\r\nb UID SEARCH RETURN (ALL) OR (SEEN) NOT UID 1:*\r\nc SEARCH SINCE 1-Jan-2020 HEADER a b\r\n",
		"a CREATE x/y (USE (\\Sent))\r\nb RENAME x/y z\r\nc SUBSCRIBE z\r\nd DELETE z\r\n",
		"a FETCH 1 BODY[HEADER.FIELDS (a \"b\" {1+}\r\nc)]\r\n",
		"a UID MOVE 1:* &AMQ-\r\nb COPY * INBOX\r\nc STATUS INBOX (SIZE)\r\n",
		"a ENABLE CONDSTORE\r\nb GETQUOTAROOT INBOX\r\nc ID NIL\r\nd NAMESPACE\r\ne LOGOUT\r\n",
	} {
		f.Add([]byte(commands))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		s := New(Options{AppendLimit: 1 << 16})
		a := s.AddAccount("anna", "pw")
		a.Append("INBOX", []byte("a: b\r\nc: d\r\n\r\nbody\r\n"), mailproof.NewFlags("k"), time.Unix(1, 0))
		a.Append("INBOX", []byte("x"), nil, time.Unix(1, 0))
		client := &said{Reader: bytes.NewReader(sent)}
		c := newConn(s, client, nil)
		c.account = a
		a.connections++
		c.serve()
		received := client.heard.Bytes()
		if !bytes.HasPrefix(received, []byte("* OK [CAPABILITY ")) {
			t.Errorf("%q", received)
		}
		if a.used < 0 || a.connections != 0 {
			t.Errorf("%d octets used, %d connections", a.used, a.connections)
		}
	})
}

func FuzzUTF7(f *testing.F) {
	for _, name := range []string{"INBOX", "&AMQ-", "a&-b", "&ZeVnLIqe-", "&", "&AA", "R&D", "&2D3eAA-"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, wire string) {
		name, err := decodeUTF7(wire)
		if err == nil && encodeUTF7(name) != wire {
			t.Errorf("%q is %q is %q", wire, name, encodeUTF7(name))
		}
	})
}

func TestUTF7KeepsEveryName(t *testing.T) {
	keeps := func(name string) bool {
		got, err := decodeUTF7(encodeUTF7(name))
		return !utf8.ValidString(name) || err == nil && got == name
	}
	if err := quick.Check(keeps, nil); err != nil {
		t.Error(err)
	}
}

// The matcher against one that tries everything.
func TestPatterns(t *testing.T) {
	letters := []string{"a", "b", "/", "*", "%"}
	var all []string
	for i := range 5 * 5 * 5 * 5 {
		all = append(all, letters[i%5]+letters[i/5%5]+letters[i/25%5]+letters[i/125%5])
	}
	matched := 0
	for _, pattern := range all {
		for _, name := range all {
			if strings.ContainsAny(name, "*%") {
				continue
			}
			want := slow(pattern, name)
			if got := matches(pattern, name, "/"); got != want {
				t.Fatalf("%q and %q: %v", pattern, name, got)
			} else if got {
				matched++
			}
		}
	}
	if matched == 0 || matches("x", "INBOX", "/") || !matches("inBox", "INBOX", "/") {
		t.Error("nothing matched, or INBOX did wrongly")
	}
}

func slow(pattern, name string) bool {
	if pattern == "" {
		return name == ""
	}
	if pattern[0] != '*' && pattern[0] != '%' {
		return name != "" && name[0] == pattern[0] && slow(pattern[1:], name[1:])
	}
	return slow(pattern[1:], name) || name != "" && (pattern[0] == '*' || name[0] != '/') && slow(pattern, name[1:])
}
