package imapconn

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/mailproof/mailproof"
)

// told is what LIST-STATUS says of a mailbox of n messages of [fakeConn.examined].
func told(n int) mailproof.MailboxState {
	return mailproof.MailboxState{UIDValidity: 7, UIDNext: 1000, Exists: uint32(n)}
}

// metadataLine is the FETCH response of a message of the fake's.
func metadataLine(uid int) string {
	return fmt.Sprintf(`* %d FETCH (UID %d FLAGS (\Seen) INTERNALDATE "02-Nov-2026 10:00:00 +0000" RFC822.SIZE %d)`, uid-100, uid, 2*uid)
}

// However a server answers to commands that come together, Metadata yields each
// message once, whole, as it does where they come one after the other.
func TestOpenAgrees(t *testing.T) {
	const n = 5
	all := func(c *fakeConn) {
		for uid := 101; uid <= 100+n; uid++ {
			c.line("%s", metadataLine(uid))
		}
	}
	// What the first of each command is answered, with its tag.
	scripts := map[string]func(c *fakeConn, examine, search, fetch string){
		"as they came": func(c *fakeConn, examine, search, fetch string) {
			c.examined(commandLine{tag: examine}, n)
			c.line(`* ESEARCH (TAG "%s") UID ALL 101:105`, search)
			c.line("%s OK", search)
			all(c)
			c.line("%s OK", fetch)
		},
		"FETCH before SEARCH": func(c *fakeConn, examine, search, fetch string) {
			c.examined(commandLine{tag: examine}, n)
			all(c)
			c.line("%s OK", fetch)
			c.line(`* ESEARCH (TAG "%s") UID ALL 101:105`, search)
			c.line("%s OK", search)
		},
		"a message is missing": func(c *fakeConn, examine, search, fetch string) {
			c.examined(commandLine{tag: examine}, n)
			c.line(`* ESEARCH (TAG "%s") UID ALL 101:105`, search)
			c.line("%s OK", search)
			c.line("%s", metadataLine(101))
			c.line("%s", metadataLine(104))
			c.line("%s OK", fetch)
		},
		"one is not whole": func(c *fakeConn, examine, search, fetch string) {
			c.examined(commandLine{tag: examine}, n)
			c.line(`* ESEARCH (TAG "%s") UID ALL 101:105`, search)
			c.line("%s OK", search)
			for uid := 101; uid < 105; uid++ {
				c.line("%s", metadataLine(uid))
			}
			c.line(`* 5 FETCH (UID 105 FLAGS ())`)
			c.line("%s OK", fetch)
		},
		"SEARCH finds another number": func(c *fakeConn, examine, search, fetch string) {
			c.examined(commandLine{tag: examine}, n)
			c.line(`* ESEARCH (TAG "%s") UID ALL 101:103`, search)
			c.line("%s OK", search)
			all(c)
			c.line("%s OK", fetch)
		},
		"SEARCH says nothing": func(c *fakeConn, examine, search, fetch string) {
			c.examined(commandLine{tag: examine}, n)
			c.line("%s OK", search)
			all(c)
			c.line("%s OK", fetch)
		},
		"FETCH is refused": func(c *fakeConn, examine, search, fetch string) {
			c.examined(commandLine{tag: examine}, n)
			c.line(`* ESEARCH (TAG "%s") UID ALL 101:105`, search)
			c.line("%s OK", search)
			c.line("%s NO not now", fetch)
		},
		"another message than SEARCH found": func(c *fakeConn, examine, search, fetch string) {
			c.examined(commandLine{tag: examine}, n)
			c.line(`* ESEARCH (TAG "%s") UID ALL 101:104,106`, search)
			c.line("%s OK", search)
			all(c)
			c.line("%s OK", fetch)
		},
		"the connection ends": func(c *fakeConn, examine, search, fetch string) {
			c.examined(commandLine{tag: examine}, n)
			c.line(`* ESEARCH (TAG "%s") UID ALL 101:105`, search)
			c.line("%s OK", search)
			c.say("%.20s", metadataLine(101))
			_ = c.Close()
		},
	}
	for _, name := range slices.Sorted(maps.Keys(scripts)) {
		t.Run(name, func(t *testing.T) {
			answered := false
			f := newFake(t, func(c *fakeConn) {
				if !c.preamble("IMAP4rev1 ESEARCH") {
					return
				}
				var tags []string
				c.serve(func(cmd commandLine) bool {
					if !answered {
						if tags = append(tags, cmd.tag); len(tags) == 3 {
							answered = true
							scripts[name](c, tags[0], tags[1], tags[2])
						}
						return true
					}
					switch cmd.name {
					case "EXAMINE":
						c.examined(cmd, n)
						return true
					case "UID SEARCH":
						c.line(`* ESEARCH (TAG "%s") UID ALL 101:105`, cmd.tag)
					case "UID FETCH":
						all(c)
					}
					c.line("%s OK done", cmd.tag)
					return true
				})
			})
			r := f.reader()
			state, err := r.Open(t.Context(), "INBOX", told(n))
			if err != nil || state.Exists != n {
				t.Fatalf("%+v, %v", state, err)
			}
			for range 2 { // the second time nothing is left of what came along
				var got []string
				err = r.Metadata(t.Context(), func(m mailproof.Metadata) error {
					got = append(got, fmt.Sprint(m.UID, m.Flags, m.InternalDate.UTC().Hour(), m.Size))
					return nil
				})
				if want := []string{"101 (\\Seen) 10 202", "102 (\\Seen) 10 204", "103 (\\Seen) 10 206", "104 (\\Seen) 10 208", "105 (\\Seen) 10 210"}; err != nil || !slices.Equal(got, want) {
					t.Fatalf("%q, %v", got, err)
				}
			}
		})
	}
}

// A mailbox that cannot be opened is refused with the server's words, whatever
// becomes of the commands behind it.
func TestOpenRefused(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if c.preamble("IMAP4rev1 ESEARCH") {
			c.serve(func(cmd commandLine) bool {
				if cmd.name == "EXAMINE" {
					c.line("%s NO [NOPERM] not yours", cmd.tag)
				} else {
					c.line("%s BAD nothing is selected", cmd.tag)
				}
				return true
			})
		}
	})
	r := f.reader()
	for _, n := range []int{0, 5} {
		_, err := r.Open(t.Context(), "INBOX", told(n))
		if se := (*mailproof.ServerError)(nil); !refused(err) || !asServerError(err, &se) || se.Text != "not yours" {
			t.Errorf("%d messages: %v", n, err)
		}
	}
	if f.dialled() != 1 {
		t.Errorf("dialled %d times", f.dialled())
	}
}

func asServerError(err error, se **mailproof.ServerError) (ok bool) {
	*se, ok = err.(*mailproof.ServerError)
	return ok
}

// A mailbox without messages is opened twice at once, and the second answer is its
// state afterwards; where a message has arrived by then, it is listed.
func TestOpenEmpty(t *testing.T) {
	for _, tt := range []struct{ first, arrives, want int }{{0, 0, 2}, {0, 1, 4}, {1, 1, 3}} {
		examined := 0
		f := newFake(t, func(c *fakeConn) {
			if !c.preamble("IMAP4rev1 ESEARCH") {
				return
			}
			c.serve(func(cmd commandLine) bool {
				switch cmd.name {
				case "EXAMINE":
					if examined++; examined > 1 {
						c.examined(cmd, tt.arrives)
					} else {
						c.examined(cmd, tt.first)
					}
					return true
				case "UID SEARCH":
					c.line(`* ESEARCH (TAG "%s") UID ALL 101`, cmd.tag)
				case "UID FETCH":
					c.line("%s", metadataLine(101))
				}
				c.line("%s OK done", cmd.tag)
				return true
			})
		})
		r := f.reader()
		before, err := r.Open(t.Context(), "INBOX", told(0))
		if err != nil || int(before.Exists) != tt.first {
			t.Fatal(before, err)
		}
		n := 0
		if err := r.Metadata(t.Context(), func(mailproof.Metadata) error { n++; return nil }); err != nil {
			t.Fatal(err)
		}
		after, err := r.Examine(t.Context(), "INBOX")
		if err != nil || int(after.Exists) != tt.arrives || n != tt.arrives {
			t.Errorf("%d messages listed, %+v, %v; want %d", n, after, err, tt.arrives)
		}
		if examined != tt.want {
			t.Errorf("examined %d times, want %d", examined, tt.want)
		}
	}
}

// What is listed behind the sign-in is used once, if nothing was asked since, and
// only where there is one namespace without a prefix.
func TestSurvey(t *testing.T) {
	for _, tt := range []struct {
		namespace   string
		refuses     bool // STATUS within LIST
		first       func(r *Reader)
		lists, told int
	}{
		{namespace: `(("" "/")) NIL NIL`, lists: 1, told: 2},
		{namespace: `(("" "/")) NIL NIL`, first: func(r *Reader) { _, _ = r.Examine(context.Background(), "INBOX") }, lists: 2, told: 1}, // not of the open one
		{namespace: `(("" "/")) NIL NIL`, first: func(r *Reader) { _, _, _ = r.Survey(context.Background()) }, lists: 2, told: 2},
		{namespace: `(("" "/")) NIL NIL`, refuses: true, lists: 3},
		{namespace: `(("INBOX/" "/")) NIL NIL`, lists: 2, told: 2},
	} {
		lists := 0
		f := newFake(t, func(c *fakeConn) {
			if !c.preamble("IMAP4rev1 ID NAMESPACE LIST-EXTENDED LIST-STATUS CONDSTORE") {
				return
			}
			c.serve(func(cmd commandLine) bool {
				switch cmd.name {
				case "ID":
					c.line(`* ID ("name" "fake" "version" "1")`)
				case "NAMESPACE":
					c.line("* NAMESPACE %s", tt.namespace)
				case "EXAMINE":
					c.examined(cmd, 0)
					return true
				case "LIST":
					lists++
					states := len(cmd.args) > 60
					if states && tt.refuses {
						c.line("%s BAD STATUS is unknown", cmd.tag)
						return true
					}
					for _, name := range []string{"INBOX", "INBOX/Sent"} {
						c.line(`* LIST () "/" %s`, name)
						if states {
							c.line(`* STATUS %s (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 7 HIGHESTMODSEQ 9)`, name)
						}
					}
				}
				c.line("%s OK done", cmd.tag)
				return true
			})
		})
		config := f.config()
		config.Survey = true
		r, err := DialReader(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.link.drop() })
		if id := r.Server().ID; id != "fake 1" {
			t.Errorf("the server is %q", id)
		}
		if tt.first != nil {
			tt.first(r)
		}
		boxes, states, err := r.Survey(t.Context())
		if err != nil || len(boxes) != 2 || len(states) != tt.told || lists != tt.lists {
			t.Errorf("%+v: %d mailboxes, %d states, %d LISTs, %v", tt, len(boxes), len(states), lists, err)
		}
		for name, s := range states {
			if s != (mailproof.MailboxState{UIDValidity: 7, UIDNext: 4, Exists: 3, HighestModSeq: 9}) {
				t.Errorf("%s: %+v", name, s)
			}
		}
	}
}
