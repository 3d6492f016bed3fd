package imapconn

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// Each case is a way in which a server loses bodies, or seems to. Whatever it
// does, every message is read exactly once.
func TestBodiesLosses(t *testing.T) {
	const n = 7
	all := func(c *fakeConn, uids []int) {
		for _, u := range uids {
			c.body(u)
		}
	}
	for _, tt := range []struct {
		name  string
		fetch func(c *fakeConn, cmd commandLine, uids []int, byUID bool) bool
	}{
		{"well behaved", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			all(c, uids)
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"literal cut short, once", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			if c.n == 1 {
				c.body(uids[0])
				c.say("* 2 FETCH (UID %d BODY[] {%d}\r\nSubject", uids[1], len(bodyOf(uids[1])))
				return false
			}
			all(c, uids)
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"cut right behind the last octet", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			if c.n == 1 {
				c.say("* 1 FETCH (UID %d BODY[] {%d}\r\n%s", uids[0], len(bodyOf(uids[0])), bodyOf(uids[0]))
				return false
			}
			all(c, uids)
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"UID behind the body, always", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			for _, u := range uids {
				c.say("* %d FETCH (BODY[] {%d}\r\n%s UID %d)\r\n", u-100, len(bodyOf(u)), bodyOf(u), u)
			}
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"unsolicited FETCH first", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			for _, u := range uids {
				c.line("* %d FETCH (UID %d FLAGS (\\Seen))", u-100, u)
			}
			all(c, uids)
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"response split in two", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			for _, u := range uids {
				c.line("* %d FETCH (UID %d)", u-100, u)
				c.say("* %d FETCH (BODY[] {%d}\r\n%s)\r\n", u-100, len(bodyOf(u)), bodyOf(u))
			}
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"one left out of large answers", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			for _, u := range uids {
				if u != 103 || len(uids) == 1 {
					c.body(u)
				}
			}
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"NO half way, but for single messages", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			for _, u := range uids {
				if u == 104 && len(uids) > 1 {
					c.line("%s NO [SERVERBUG] internal error", cmd.tag)
					return true
				}
				c.body(u)
			}
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"bodies twice, and others unasked", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			all(c, uids)
			all(c, uids)
			c.say("* 77 FETCH (UID 177 BODY[] {3}\r\nabc)\r\n")
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"BYE mid-way", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			if c.n <= 2 {
				c.body(uids[0])
				c.line("* BYE going down")
				return false
			}
			all(c, uids)
			c.line("%s OK done", cmd.tag)
			return true
		}},
		{"odd lines all over", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			for _, u := range uids {
				c.line("")
				c.line("* VANISHED (EARLIER) 9,10")
				c.line("* XFOO bar {3}\r\nbaz quux")
				c.line("* LIST (\\HasNoChildren) nil R&D")
				c.line("* OK [ALERT disk is getting full")
				c.line("+ stray")
				c.say("*  %d   FETCH  (X-GM-MSGID 12 UID  %d FLAGS (\\Seen \"quoted\" a]b 50%% NIL caf\xe9) X-GM-LABELS ({4}\r\na\\b) \"c\") INTERNALDATE NIL RFC822.SIZE -1 BODY[] ~{%d}\r\n%s MODSEQ (12))\r\n",
					u-100, u, len(bodyOf(u)), bodyOf(u))
			}
			c.line("%s OK", cmd.tag)
			return true
		}},
		{"body as a quoted string is taken as it is", func(c *fakeConn, cmd commandLine, uids []int, _ bool) bool {
			all(c, uids)
			c.line("%s OK [XCODE (a]b) c] done", cmd.tag)
			return true
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, func(c *fakeConn) {
				c.mailbox(n, func(cmd commandLine, uids []int, byUID bool) bool { return tt.fetch(c, cmd, uids, byUID) })
			})
			r := f.reader()
			mustExamine(t, r)
			unread, got, err := readAll(t, r, n)
			if err != nil || len(unread) > 0 || len(got) != n {
				t.Errorf("read %d of %d, unread %v, error %v", len(got), n, unread, err)
			}
		})
	}
}

// What a server will not give is named, with its reason; the rest is read.
func TestBodiesUnread(t *testing.T) {
	const n = 7
	for _, tt := range []struct {
		name   string
		reason string
		give   func(c *fakeConn, cmd commandLine, u int) (more bool, ok bool)
	}{
		{"NO", "[SERVERBUG] broken", func(c *fakeConn, cmd commandLine, u int) (bool, bool) {
			c.line("%s NO [SERVERBUG] broken", cmd.tag)
			return false, true
		}},
		{"NIL", "NIL", func(c *fakeConn, cmd commandLine, u int) (bool, bool) {
			c.line("* %d FETCH (UID %d BODY[] NIL)", u-100, u)
			return true, true
		}},
		{"silently left out", "does not send", func(c *fakeConn, cmd commandLine, u int) (bool, bool) { return true, true }},
		{"the connection dies of it", "closed the connection", func(c *fakeConn, cmd commandLine, u int) (bool, bool) { return false, false }},
		{"cut short", "after 3 of", func(c *fakeConn, cmd commandLine, u int) (bool, bool) {
			c.say("* %d FETCH (UID %d BODY[] {%d}\r\nSub", u-100, u, len(bodyOf(u)))
			return false, false
		}},
		{"announced too long", "cannot be understood", func(c *fakeConn, cmd commandLine, u int) (bool, bool) {
			b := bodyOf(u)
			c.say("* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n* 50 FETCH (UID 150 FLAGS ())\r\n", u-100, u, len(b)+10, b)
			return false, false
		}},
		{"announced too short", "cannot be understood", func(c *fakeConn, cmd commandLine, u int) (bool, bool) {
			b := bodyOf(u)
			c.say("* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n", u-100, u, len(b)-5, b)
			return true, true
		}},
		{"more octets than there are numbers for", "announced", func(c *fakeConn, cmd commandLine, u int) (bool, bool) {
			c.say("* %d FETCH (UID %d BODY[] {99999999999999999999}\r\n", u-100, u)
			return false, false
		}},
		{"wrong UID by sequence number", "place", func(c *fakeConn, cmd commandLine, u int) (bool, bool) {
			b := bodyOf(u)
			c.say("* %d FETCH (BODY[] {%d}\r\n%s UID %d)\r\n", u-100, len(b), b, u+1000)
			return true, true
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, func(c *fakeConn) {
				c.mailbox(n, func(cmd commandLine, uids []int, _ bool) bool {
					for _, u := range uids {
						if u != 103 && u != 104 {
							c.body(u)
							continue
						}
						if more, ok := tt.give(c, cmd, u); !more {
							return ok
						}
					}
					c.line("%s OK done", cmd.tag)
					return true
				})
			})
			r := f.reader()
			mustExamine(t, r)
			unread, got, err := readAll(t, r, n)
			if err != nil || len(unread) != 2 || len(got) != n-2 || got[103] || got[104] {
				t.Fatalf("read %v, unread %v, error %v", got, unread, err)
			}
			for uid, reason := range unread {
				if !strings.Contains(reason, tt.reason) {
					t.Errorf("uid %d: reason %q, want %q", uid, reason, tt.reason)
				}
			}
		})
	}
}

func TestBodiesExpunged(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		c.mailbox(3, func(cmd commandLine, uids []int, _ bool) bool {
			for _, u := range uids {
				c.body(u)
			}
			c.line("%s OK done", cmd.tag)
			return true
		})
	})
	r := f.reader()
	mustExamine(t, r)
	unread, got, err := readAll(t, r, 5)
	if err != nil || len(got) != 3 || len(unread) != 2 || unread[104] != ReasonExpunged || unread[105] != ReasonExpunged {
		t.Errorf("read %v, unread %v, error %v", got, unread, err)
	}
	if f.dialled() != 1 {
		t.Errorf("dialled %d times for messages that are gone", f.dialled())
	}
}

func TestBodiesCallerStops(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		c.mailbox(5, func(cmd commandLine, uids []int, _ bool) bool {
			for _, u := range uids {
				c.body(u)
			}
			c.line("%s OK done", cmd.tag)
			return true
		})
	})
	r := f.reader()
	mustExamine(t, r)
	full := errors.New("the disk is full")
	calls := 0
	_, err := r.Bodies(context.Background(), []mailproof.Metadata{{UID: 101}, {UID: 102}, {UID: 103}}, func(mailproof.UID, int64, io.Reader) error {
		if calls++; calls == 2 {
			return full
		}
		return nil
	})
	if err != full || calls != 2 {
		t.Errorf("%d calls, error %v; want 2 and the caller's own", calls, err)
	}
	if _, got, err := readAll(t, r, 5); err != nil || len(got) != 5 {
		t.Errorf("afterwards: read %v, error %v", got, err)
	}
}

// UIDs that mean other messages after a reconnection must not be read.
func TestBodiesUIDValidityChanges(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if !c.preamble("IMAP4rev1") {
			return
		}
		c.serve(func(cmd commandLine) bool {
			if cmd.name != "EXAMINE" {
				return false
			}
			c.line("* 3 EXISTS")
			c.line("* OK [UIDVALIDITY %d]", c.n)
			c.line("%s OK done", cmd.tag)
			return true
		})
	})
	r := f.reader()
	mustExamine(t, r)
	unread, got, err := readAll(t, r, 3)
	if !errors.Is(err, ErrUIDValidityChanged) || len(got) > 0 || unread != nil {
		t.Errorf("read %v, unread %v, error %v", got, unread, err)
	}
}

func TestBodiesServerIsGone(t *testing.T) {
	var f *fakeServer
	f = newFake(t, func(c *fakeConn) {
		c.mailbox(3, func(commandLine, []int, bool) bool {
			_ = f.listener.Close()
			return false
		})
	})
	r := f.reader()
	mustExamine(t, r)
	unread, got, err := readAll(t, r, 3)
	if mailproof.KindOf(err) != mailproof.ErrUnreachable || len(got) > 0 || unread != nil {
		t.Errorf("read %v, unread %v, error %v", got, unread, err)
	}
}

// "OK" without a SEARCH response does not say that a message is gone.
func TestBodiesExpungedOrNot(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if !c.preamble("IMAP4rev1") {
			return
		}
		c.serve(func(cmd commandLine) bool {
			if cmd.name == "EXAMINE" {
				c.examined(cmd, 3)
				return true
			}
			c.line("%s OK done", cmd.tag)
			return true
		})
	})
	r := f.reader()
	mustExamine(t, r)
	unread, got, err := readAll(t, r, 3)
	if err != nil || len(got) > 0 || len(unread) != 3 || unread[101] == ReasonExpunged {
		t.Errorf("read %v, unread %v, error %v", got, unread, err)
	}
}

// A literal may be announced as large as one likes: it streams, and the caller
// may stop at any time.
func TestBodiesHugeLiteral(t *testing.T) {
	piece := strings.Repeat("x", 1<<16)
	f := newFake(t, func(c *fakeConn) {
		c.mailbox(1, func(cmd commandLine, uids []int, _ bool) bool {
			c.say("* 1 FETCH (UID 101 BODY[] {9223372036854775807}\r\n")
			for {
				if _, err := io.WriteString(c.Conn, piece); err != nil {
					return false
				}
			}
		})
	})
	r := f.reader()
	mustExamine(t, r)
	enough := errors.New("enough")
	_, err := r.Bodies(context.Background(), []mailproof.Metadata{{UID: 101}}, func(_ mailproof.UID, size int64, body io.Reader) error {
		if size != 1<<63-1 {
			t.Errorf("size %d", size)
		}
		if n, err := io.CopyN(io.Discard, body, 8<<20); n != 8<<20 || err != nil {
			t.Errorf("%d octets, %v", n, err)
		}
		return enough
	})
	if err != enough {
		t.Errorf("error %v", err)
	}
}
