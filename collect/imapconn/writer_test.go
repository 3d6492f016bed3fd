package imapconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mailproof/mailproof"
)

// appended is an APPEND as the fake received it.
type appended struct{ args, body string }

// readAppend reads the literal of an APPEND; ok is false when the client hung
// up before its end.
func (c *fakeConn) readAppend(cmd commandLine) (a appended, ok bool) {
	m := literalSize.FindStringSubmatch(cmd.args)
	if m == nil {
		c.t.Errorf("APPEND without a literal: %v", cmd)
		return a, false
	}
	var size int
	fmt.Sscan(m[1], &size)
	if m[2] == "" {
		c.line("+ go on")
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(c.br, body); err != nil {
		return a, false
	}
	line, ok := c.readLine()
	if line != "" {
		c.t.Errorf("after the literal: %q", line)
	}
	return appended{cmd.args, string(body)}, ok
}

func TestAppend(t *testing.T) {
	long := strings.Repeat("0123456789\r\n", 10_000)
	date := time.Date(2020, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for _, tt := range []struct {
		name  string
		caps  string
		flags mailproof.Flags
		date  time.Time
		body  string
		want  string
	}{
		{"LITERAL+", "IMAP4rev1 LITERAL+", mailproof.NewFlags(`\Seen`, "$Forwarded"), date, long, `"Sent" ($Forwarded \Seen) " 2-Jan-2020 03:04:05 +0100" {120000+}`},
		{"synchronising", "IMAP4rev1", nil, date, long, `"Sent" " 2-Jan-2020 03:04:05 +0100" {120000}`},
		{"LITERAL- and long", "IMAP4rev1 LITERAL-", nil, date, long, `"Sent" " 2-Jan-2020 03:04:05 +0100" {120000}`},
		{"LITERAL- and short", "IMAP4rev1 LITERAL-", nil, date, "abc", `"Sent" " 2-Jan-2020 03:04:05 +0100" {3+}`},
		{"flags that cannot be written", "IMAP4rev1 LITERAL+", mailproof.Flags{`\Recent`, "a]b", "c d", "", "é", `\Seen`}, time.Time{}, "abc", `"Sent" (\Seen) {3+}`},
		{"empty", "IMAP4rev1 LITERAL+", nil, time.Time{}, "", `"Sent" {0+}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var mu sync.Mutex
			var got []appended
			f := newFake(t, func(c *fakeConn) {
				if !c.preamble(tt.caps) {
					return
				}
				c.serve(func(cmd commandLine) bool {
					a, ok := c.readAppend(cmd)
					mu.Lock()
					got = append(got, a)
					mu.Unlock()
					c.line("* 3 EXISTS")
					c.line("%s OK [APPENDUID 7 42] done", cmd.tag)
					return ok
				})
			})
			w := f.writer()
			for range 2 {
				validity, uid, err := w.Append(context.Background(), "Sent", tt.flags, tt.date, int64(len(tt.body)), iotest.HalfReader(strings.NewReader(tt.body)))
				if validity != 7 || uid != 42 || err != nil {
					t.Fatalf("%d %d %v", validity, uid, err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if len(got) != 2 || got[0] != got[1] || got[0].args != tt.want || got[0].body != tt.body {
				t.Errorf("%d appends, %s, %d octets; want %s", len(got), got[0].args, len(got[0].body), tt.want)
			}
			if f.dialled() != 1 {
				t.Errorf("dialled %d times", f.dialled())
			}
		})
	}
}

// A refusal keeps the connection, whenever it comes, and its words.
func TestAppendRefused(t *testing.T) {
	for _, tt := range []struct {
		caps, answer string
		early        bool // before the literal
		kind         mailproof.ErrorKind
		words        string
	}{
		{"IMAP4rev1", "NO [TRYCREATE] no such folder", true, mailproof.ErrNoMailbox, "[TRYCREATE] no such folder"},
		{"IMAP4rev1", "NO [OVERQUOTA] full", true, mailproof.ErrQuota, "[OVERQUOTA] full"},
		{"IMAP4rev1", "BAD Command Argument Error. 11", true, mailproof.ErrRefused, "Command Argument Error. 11"},
		{"IMAP4rev1 LITERAL+", "NO [TOOBIG] too big", false, mailproof.ErrTooLarge, "[TOOBIG] too big"},
		{"IMAP4rev1 LITERAL+", "NO Maximum size of appendable message has been exceeded", false, mailproof.ErrTooLarge, "Maximum size of appendable message has been exceeded"},
		{"IMAP4rev1", "NO [LIMIT] slow down", false, mailproof.ErrThrottled, "[LIMIT] slow down"},
		{"IMAP4rev1", "NO Message contains bare newlines", false, mailproof.ErrRefused, "Message contains bare newlines"},
		{"IMAP4rev1", "NO", true, mailproof.ErrRefused, "NO"},
	} {
		t.Run(tt.answer, func(t *testing.T) {
			f := newFake(t, func(c *fakeConn) {
				if !c.preamble(tt.caps) {
					return
				}
				refused := false
				c.serve(func(cmd commandLine) bool {
					if !refused && tt.early {
						refused = true
						c.line("%s %s", cmd.tag, tt.answer)
						return true
					}
					_, ok := c.readAppend(cmd)
					if !refused {
						refused = true
						c.line("%s %s", cmd.tag, tt.answer)
						return ok
					}
					c.line("%s OK done", cmd.tag)
					return ok
				})
			})
			w := f.writer()
			_, _, err := w.Append(context.Background(), "Sent", nil, time.Time{}, 9000, strings.NewReader(strings.Repeat("x", 9000)))
			var se *mailproof.ServerError
			if !errors.As(err, &se) || se.Kind != tt.kind || se.Words() != tt.words {
				t.Errorf("error %v (%v), want %v %q", err, mailproof.KindOf(err), tt.kind, tt.words)
			}
			if _, _, err := w.Append(context.Background(), "Sent", nil, time.Time{}, 9000, strings.NewReader(strings.Repeat("x", 9000))); err != nil || f.dialled() != 1 {
				t.Errorf("afterwards: %v, dialled %d times", err, f.dialled())
			}
		})
	}
}

// A body that is not what it was said to be is never added.
func TestAppendWrongBody(t *testing.T) {
	broken := errors.New("the source is gone")
	for _, tt := range []struct {
		name string
		size int64
		body io.Reader
		want error
		text string
	}{
		{"too short", 100, strings.NewReader("abc"), nil, "3 octets and not the 100"},
		{"too long", 2, strings.NewReader("abc"), nil, "more than the 2 octets"},
		{"fails half way", 100_000, io.MultiReader(strings.NewReader(strings.Repeat("x", 50_000)), iotest.ErrReader(broken)), broken, "reading the message"},
		{"fails at its end", 3, io.MultiReader(strings.NewReader("abc"), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF, "reading the message"},
	} {
		for _, caps := range []string{"IMAP4rev1", "IMAP4rev1 LITERAL+"} {
			t.Run(tt.name+" "+caps, func(t *testing.T) {
				var mu sync.Mutex
				added := 0
				f := newFake(t, func(c *fakeConn) {
					if !c.preamble(caps) {
						return
					}
					c.serve(func(cmd commandLine) bool {
						if cmd.name != "APPEND" {
							c.line("%s OK done", cmd.tag)
							return true
						}
						if _, ok := c.readAppend(cmd); !ok {
							return false
						}
						mu.Lock()
						added++
						mu.Unlock()
						c.line("%s OK done", cmd.tag)
						return true
					})
				})
				w := f.writer()
				_, _, err := w.Append(context.Background(), "Sent", nil, time.Time{}, tt.size, tt.body)
				if err == nil || !strings.Contains(err.Error(), tt.text) || tt.want != nil && !errors.Is(err, tt.want) {
					t.Errorf("error %v, want %q", err, tt.text)
				}
				if err := w.Subscribe(context.Background(), "Sent"); err != nil { // the next call works
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if added > 0 {
					t.Error("the message was added")
				}
			})
			if _, again := tt.body.(*strings.Reader); !again {
				break // it was used up
			}
			tt.body.(*strings.Reader).Reset("abc")
		}
	}
}

// When the answer is lost, nobody knows: Append says so, and sends nothing twice.
func TestAppendIsNeverRepeated(t *testing.T) {
	var mu sync.Mutex
	sent := 0
	f := newFake(t, func(c *fakeConn) {
		if !c.preamble("IMAP4rev1 LITERAL+") {
			return
		}
		c.serve(func(cmd commandLine) bool {
			_, ok := c.readAppend(cmd)
			mu.Lock()
			defer mu.Unlock()
			if sent++; sent == 1 {
				return false
			}
			c.line("%s OK done", cmd.tag)
			return ok
		})
	})
	w := f.writer()
	_, _, err := w.Append(context.Background(), "Sent", nil, time.Time{}, 3, strings.NewReader("abc"))
	if mailproof.KindOf(err) != mailproof.ErrConnection {
		t.Errorf("error %v, want a lost connection", err)
	}
	if _, _, err := w.Append(context.Background(), "Sent", nil, time.Time{}, 3, strings.NewReader("abc")); err != nil {
		t.Errorf("on the next connection: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	if sent != 2 {
		t.Errorf("%d messages were sent for 2 calls", sent)
	}
}

func TestAppendUID(t *testing.T) {
	for _, tt := range []struct {
		args     string
		validity uint32
		uid      mailproof.UID
	}{
		{"7 42", 7, 42}, {"7 42:42", 7, 42}, {"7 42:43", 7, 0}, {"7 1,2", 7, 0}, {"x 1", 0, 0}, {"7", 7, 0}, {"", 0, 0}, {"99999999999 1", 0, 0},
	} {
		if v, u := appendUID(status{code: "APPENDUID", args: tt.args}); v != tt.validity || u != tt.uid {
			t.Errorf("%q: %d %d, want %d %d", tt.args, v, u, tt.validity, tt.uid)
		}
	}
}

func TestCreate(t *testing.T) {
	for _, tt := range []struct {
		name    string
		caps    string
		use     mailproof.SpecialUse
		answers map[string]string // by command and arguments
		want    mailproof.ErrorKind
		ok      bool
	}{
		{name: "new", caps: "IMAP4rev1", answers: map[string]string{`CREATE "Entw&APw-rfe"`: "OK"}, ok: true},
		{name: "with a use", caps: "IMAP4rev1 CREATE-SPECIAL-USE", use: mailproof.UseDrafts, answers: map[string]string{`CREATE "Entw&APw-rfe" (USE (\Drafts))`: "OK"}, ok: true},
		{name: "the use is taken", caps: "IMAP4rev1 CREATE-SPECIAL-USE", use: mailproof.UseDrafts,
			answers: map[string]string{`CREATE "Entw&APw-rfe" (USE (\Drafts))`: "NO [USEATTR] taken", `CREATE "Entw&APw-rfe"`: "OK"}, ok: true},
		{name: "exists, with a code", caps: "IMAP4rev1", answers: map[string]string{`CREATE "Entw&APw-rfe"`: "NO [ALREADYEXISTS] there"}, ok: true},
		{name: "exists, without a code", caps: "IMAP4rev1", answers: map[string]string{`CREATE "Entw&APw-rfe"`: "NO Mailbox exists",
			`LIST "" "Entw&APw-rfe"`: "* LIST () \"/\" Entw&APw-rfe\r\nT OK"}, ok: true},
		{name: "exists as a name only", caps: "IMAP4rev1", answers: map[string]string{`CREATE "Entw&APw-rfe"`: "NO Folder name is reserved",
			`LIST "" "Entw&APw-rfe"`: "* LIST (\\NoSelect) \"/\" Entw&APw-rfe\r\nT OK"}, want: mailproof.ErrRefused},
		{name: "refused", caps: "IMAP4rev1", answers: map[string]string{`CREATE "Entw&APw-rfe"`: "NO Folder name is reserved", `LIST "" "Entw&APw-rfe"`: "OK"}, want: mailproof.ErrRefused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, func(c *fakeConn) {
				if !c.preamble(tt.caps) {
					return
				}
				c.serve(func(cmd commandLine) bool {
					answer, ok := tt.answers[cmd.name+" "+cmd.args]
					if !ok {
						t.Errorf("unexpected: %s %s", cmd.name, cmd.args)
						return false
					}
					if before, last, found := strings.Cut(answer, "\r\nT "); found {
						c.line("%s", before)
						answer = last
					}
					c.line("%s %s", cmd.tag, answer)
					return true
				})
			})
			err := f.writer().Create(context.Background(), "Entwürfe", tt.use)
			if tt.ok != (err == nil) || mailproof.KindOf(err) != tt.want {
				t.Errorf("error %v (%v)", err, mailproof.KindOf(err))
			}
		})
	}
}

func TestStoreFlags(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	f := newFake(t, func(c *fakeConn) {
		if !c.preamble("IMAP4rev1") {
			return
		}
		c.serve(func(cmd commandLine) bool {
			mu.Lock()
			seen = append(seen, cmd.name+" "+cmd.args)
			mu.Unlock()
			if cmd.name == "SELECT" {
				c.examined(cmd, 3)
				return true
			}
			c.line("* 1 FETCH (FLAGS (\\Seen))")
			c.line("%s OK done", cmd.tag)
			return true
		})
	})
	w := f.writer()
	if err := w.StoreFlags(context.Background(), "Sent", 7, 5, mailproof.NewFlags(`\Seen`, "a]b"), mailproof.NewFlags("$Junk")); err != nil {
		t.Error(err)
	}
	if err := w.StoreFlags(context.Background(), "Sent", 8, 5, mailproof.NewFlags(`\Seen`), nil); !errors.Is(err, ErrUIDValidityChanged) {
		t.Errorf("with another UIDVALIDITY: %v", err)
	}
	mu.Lock()
	defer mu.Unlock()
	want := []string{`SELECT "Sent"`, `UID STORE 5 +FLAGS.SILENT (\Seen)`, `UID STORE 5 -FLAGS.SILENT ($Junk)`}
	if !slices.Equal(seen, want) {
		t.Errorf("sent %q, want %q", seen, want)
	}
}
