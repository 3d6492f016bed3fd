package imapconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// metadataScript serves a mailbox of n messages; answer may change what FETCH
// for metadata says.
func metadataScript(n int, answer func(c *fakeConn, cmd commandLine, uids []int) bool) func(*fakeConn) {
	return func(c *fakeConn) {
		c.mailbox(n, func(cmd commandLine, uids []int, _ bool) bool { return answer(c, cmd, uids) })
	}
}

func (c *fakeConn) metadata(u int) {
	c.line("* %d FETCH (UID %d FLAGS (k%d) INTERNALDATE \"17-Jul-1996 02:44:25 +0000\" RFC822.SIZE %d)", u-100, u, u, u)
}

func listed(t *testing.T, r *Reader) (list []mailproof.Metadata, err error) {
	t.Helper()
	err = r.Metadata(context.Background(), func(m mailproof.Metadata) error {
		if len(list) > 0 && list[len(list)-1].UID >= m.UID {
			t.Errorf("uid %d after %d", m.UID, list[len(list)-1].UID)
		}
		list = append(list, m)
		return nil
	})
	return list, err
}

func TestMetadata(t *testing.T) {
	const n = 20
	for _, tt := range []struct {
		name   string
		answer func(c *fakeConn, cmd commandLine, uids []int) bool
		bare   []mailproof.UID // of which only the UID is known
	}{
		{"well behaved", func(c *fakeConn, cmd commandLine, uids []int) bool {
			for _, u := range uids {
				c.metadata(u)
			}
			c.line("%s OK done", cmd.tag)
			return true
		}, nil},
		{"backwards, twice, with others", func(c *fakeConn, cmd commandLine, uids []int) bool {
			for range 2 {
				for _, u := range slices.Backward(uids) {
					c.metadata(u)
				}
			}
			c.metadata(900)
			c.line("%s OK done", cmd.tag)
			return true
		}, nil},
		{"a change of flags comes first", func(c *fakeConn, cmd commandLine, uids []int) bool {
			if len(uids) == n {
				c.line("* 5 FETCH (UID 105 FLAGS (\\Seen))")
			}
			for _, u := range uids {
				c.metadata(u)
			}
			c.line("%s OK done", cmd.tag)
			return true
		}, nil},
		{"ends early with NO", func(c *fakeConn, cmd commandLine, uids []int) bool {
			for _, u := range uids {
				if u == 107 && strings.Contains(cmd.args, "RFC822.SIZE") {
					c.line("%s NO [SERVERBUG] cannot read it", cmd.tag)
					return true
				}
				if u == 107 {
					c.line("* 7 FETCH (UID 107 FLAGS (k107))")
					continue
				}
				c.metadata(u)
			}
			c.line("%s OK done", cmd.tag)
			return true
		}, []mailproof.UID{107}},
		{"leaves some out", func(c *fakeConn, cmd commandLine, uids []int) bool {
			for _, u := range uids {
				if u != 107 && u != 120 {
					c.metadata(u)
				}
			}
			c.line("%s OK done", cmd.tag)
			return true
		}, []mailproof.UID{107, 120}},
		{"the connection is lost", func(c *fakeConn, cmd commandLine, uids []int) bool {
			c.metadata(uids[0])
			if c.n < 3 {
				return false
			}
			for _, u := range uids {
				c.metadata(u)
			}
			c.line("%s OK done", cmd.tag)
			return true
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newFake(t, metadataScript(n, tt.answer)).reader()
			mustExamine(t, r)
			list, err := listed(t, r)
			if err != nil || len(list) != n {
				t.Fatalf("%d messages, error %v", len(list), err)
			}
			for _, m := range list {
				want := mailproof.Metadata{UID: m.UID, Flags: mailproof.NewFlags(fmt.Sprintf("k%d", m.UID)),
					InternalDate: time.Date(1996, 7, 17, 2, 44, 25, 0, time.UTC), Size: int64(m.UID)}
				if slices.Contains(tt.bare, m.UID) {
					want.Size, want.InternalDate = 0, time.Time{}
					m.Flags, want.Flags = nil, nil
				}
				if !m.Flags.Equal(want.Flags) || !m.InternalDate.Equal(want.InternalDate) || m.Size != want.Size {
					t.Errorf("%+v, want %+v", m, want)
				}
			}
		})
	}
}

func TestMetadataOddValues(t *testing.T) {
	r := newFake(t, metadataScript(1, func(c *fakeConn, cmd commandLine, uids []int) bool {
		c.line("* 1 FETCH (UID 101 FLAGS (a]b 100% \"x\" caf\xe9 =41 \\SEEN) INTERNALDATE NIL RFC822.SIZE -1)")
		c.line("%s OK done", cmd.tag)
		return true
	})).reader()
	mustExamine(t, r)
	list, err := listed(t, r)
	want := []mailproof.Metadata{{UID: 101, Flags: mailproof.NewFlags("a]b", "100%", "x", "caf\xe9", "=41", `\Seen`)}}
	if err != nil || !reflect.DeepEqual(list, want) {
		t.Errorf("%+v, error %v, want %+v", list, err, want)
	}
}

// A list that is shorter than EXISTS is never taken for the mailbox.
func TestMetadataIncompleteList(t *testing.T) {
	for _, tt := range []struct {
		name   string
		search string // T stands for the tag
		bySeq  bool   // FETCH 1:n (UID) tells all of them
	}{
		{"too few", "* SEARCH 101 102\r\nT OK done", false},
		{"none", "* SEARCH\r\nT OK done", false},
		{"too many", "* SEARCH 101 102 103 104\r\nT OK done", false},
		{"OK without an answer", "T OK done", false},
		{"NO", "T NO [SERVERBUG] no search", false},
		{"too few, but by sequence number", "* SEARCH 101\r\nT OK done", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, func(c *fakeConn) {
				if !c.preamble("IMAP4rev1") {
					return
				}
				c.serve(func(cmd commandLine) bool {
					switch {
					case cmd.name == "EXAMINE":
						c.examined(cmd, 3)
						return true
					case cmd.name == "UID SEARCH":
						c.line("%s", strings.NewReplacer("T OK", cmd.tag+" OK", "T NO", cmd.tag+" NO").Replace(tt.search))
						return true
					case tt.bySeq || cmd.name == "UID FETCH":
						for u := 101; u <= 103; u++ {
							c.metadata(u)
						}
					}
					c.line("%s OK done", cmd.tag)
					return true
				})
			})
			r := f.reader()
			mustExamine(t, r)
			list, err := listed(t, r)
			if tt.bySeq != (err == nil) || tt.bySeq != (len(list) == 3) {
				t.Errorf("%d messages, error %v", len(list), err)
			}
		})
	}
}

func TestMetadataEmpty(t *testing.T) {
	r := newFake(t, metadataScript(0, func(c *fakeConn, cmd commandLine, _ []int) bool { return false })).reader()
	mustExamine(t, r)
	if list, err := listed(t, r); err != nil || len(list) != 0 {
		t.Errorf("%v, error %v", list, err)
	}
}

func TestNothingExamined(t *testing.T) {
	r := newFake(t, metadataScript(0, func(*fakeConn, commandLine, []int) bool { return false })).reader()
	if _, err := listed(t, r); !errors.Is(err, errNotExamined) {
		t.Error(err)
	}
	if _, err := r.Bodies(context.Background(), []mailproof.Metadata{{UID: 1}}, nil); !errors.Is(err, errNotExamined) {
		t.Error(err)
	}
}

func TestExamineRefused(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if c.preamble("IMAP4rev1") {
			c.serve(func(cmd commandLine) bool {
				if strings.Contains(cmd.args, "half") {
					c.line("%s OK [READ-ONLY] but no state", cmd.tag)
				} else {
					c.line("%s NO no such thing", cmd.tag)
				}
				return true
			})
		}
	})
	r := f.reader()
	if _, err := r.Examine(context.Background(), "x"); mailproof.KindOf(err) != mailproof.ErrNoMailbox || f.dialled() != 1 {
		t.Errorf("%v, dialled %d times", err, f.dialled())
	}
	if _, err := r.Examine(context.Background(), "half"); mailproof.KindOf(err) != mailproof.ErrProtocol {
		t.Errorf("a mailbox without a state: %v", err)
	}
}

// A server that is silent is given up, one that sends an octet now and then too,
// one that is slow is not, and one that nobody asked for anything may be silent
// for as long as it likes.
func TestProgress(t *testing.T) {
	const timeout = 300 * time.Millisecond
	f := newFake(t, func(c *fakeConn) {
		c.mailbox(1, func(cmd commandLine, uids []int, _ bool) bool {
			if c.n == 1 {
				return c.pause(10 * timeout) // silence
			}
			b := bodyOf(101)
			c.say("* 1 FETCH (UID 101 BODY[] {%d}\r\n", len(b))
			for i := 0; c.n == 2 && i < 20; i++ { // a trickle, which ends too late
				c.say("%s", b[:1])
				b = b[1:]
				c.pause(timeout / 5)
			}
			for _, piece := range []string{b[:70], b[70:140], b[140:210], b[210:]} {
				c.say("%s", piece)
				c.pause(timeout * 2 / 3)
			}
			c.line(")\r\n%s OK done", cmd.tag)
			return true
		})
	})
	config := f.config()
	config.ProgressTimeout = timeout
	r, err := DialReader(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer r.link.drop()
	mustExamine(t, r)
	<-time.After(timeout * 2) // idle
	if !r.link.s.alive() {
		t.Error("an idle connection was given up")
	}
	if _, got, err := readAll(t, r, 1); err != nil || len(got) != 1 {
		t.Errorf("read %v, error %v", got, err)
	}
	if f.dialled() != 3 {
		t.Errorf("dialled %d times, want 3", f.dialled())
	}
}

// pause waits, or until the client hangs up.
func (c *fakeConn) pause(d time.Duration) bool {
	_ = c.SetReadDeadline(time.Now().Add(d))
	_, err := c.br.Peek(1)
	_ = c.SetReadDeadline(time.Now().Add(20 * time.Second))
	return err == nil
}

// Every call returns when its context ends, with the context's own cause.
func TestCancel(t *testing.T) {
	mine := errors.New("mine")
	calls := map[string]func(context.Context, *Reader, *Writer) error{
		"EXAMINE": func(ctx context.Context, r *Reader, _ *Writer) error { _, err := r.Examine(ctx, "x"); return err },
		"LIST":    func(ctx context.Context, r *Reader, _ *Writer) error { _, err := r.Mailboxes(ctx); return err },
		"STATUS":  func(ctx context.Context, _ *Reader, w *Writer) error { _, err := w.State(ctx, "x"); return err },
		"CREATE":  func(ctx context.Context, _ *Reader, w *Writer) error { return w.Create(ctx, "x", "") },
		"APPEND": func(ctx context.Context, _ *Reader, w *Writer) error {
			_, _, err := w.Append(ctx, "x", nil, time.Time{}, 1, strings.NewReader("x"))
			return err
		},
		"UID SEARCH": func(ctx context.Context, r *Reader, _ *Writer) error {
			if _, err := r.Examine(context.Background(), "ok"); err != nil {
				return err
			}
			return r.Metadata(ctx, func(mailproof.Metadata) error { return nil })
		},
		"UID FETCH": func(ctx context.Context, r *Reader, _ *Writer) error {
			if _, err := r.Examine(context.Background(), "ok"); err != nil {
				return err
			}
			_, err := r.Bodies(ctx, []mailproof.Metadata{{UID: 101}}, func(_ mailproof.UID, _ int64, body io.Reader) error {
				_, err := io.Copy(io.Discard, body)
				return err
			})
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{})
			var once sync.Once
			f := newFake(t, func(c *fakeConn) {
				if !c.preamble("IMAP4rev1") {
					return
				}
				c.serve(func(cmd commandLine) bool {
					if strings.Contains(cmd.args, `"ok"`) {
						c.examined(cmd, 3)
						return true
					}
					if cmd.name == "UID FETCH" {
						c.say("* 1 FETCH (UID 101 BODY[] {5}\r\nab")
					}
					once.Do(func() { close(asked) })
					return true // no answer
				})
			})
			r, w := f.reader(), f.writer()
			ctx, cancel := context.WithCancelCause(context.Background())
			go func() {
				<-asked
				cancel(mine)
			}()
			if err := call(ctx, r, w); !errors.Is(err, mine) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A pause that the server asks for is kept, but not for ever.
func TestSuggestedBackoff(t *testing.T) {
	err := masker{}.refusal("x", "y", status{typ: "NO", text: "Request is throttled. Suggested Backoff Time: 1500 milliseconds"})
	if got := mailproof.ThrottleOf(fmt.Errorf("wrapped: %w", err)).Wait; got != 1500*time.Millisecond || err.Kind != mailproof.ErrThrottled {
		t.Errorf("%v, %v", got, err.Kind)
	}
	if got := mailproof.ThrottleOf(errors.New("Suggested Backoff Time: 5 milliseconds")).Wait; got != 0 {
		t.Errorf("%v of an error that no server made", got)
	}
}

func TestMailboxes(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if !c.preamble("IMAP4rev1 NAMESPACE") {
			return
		}
		c.serve(func(cmd commandLine) bool {
			switch cmd.name + " " + cmd.args {
			case "NAMESPACE ":
				c.line(`* NAMESPACE (("" "/")) (("Other Users/" "/")) (("Shared/" "/") ("" "/"))`)
			case `LIST "" "INBOX"`:
				c.line(`* LIST () "/" inbox`)
			case `LIST "" "*"`:
				for _, line := range []string{
					`() "/" INBOX`, `(\HasNoChildren \Sent) "/" "Sent"`, `(\Noselect) "/" Archive`, `(\NonExistent \Archive) "/" gone`,
					`() nil R&D`, `() "" "R&-D"`, `() / Entw&APw-rfe`, `() "/" "tab	name"`, `() "/" "caf` + "\xe9" + `"`, "() \"/\" {9}\r\nlit\"\\eral", `() "/" a b c`,
					`() "/" a]b`, `() "/" {3}` + "\r\na\r\n", `() "/" "Other Users/bob"`, `(\Noselect) "/" Shared`, `() "/" Shared/x`, `() "/" Sent`, `() "\\" "q\"uote"`,
				} {
					c.line("* LIST %s", line)
				}
			case `LSUB "" "*"`:
				c.line(`* LSUB () "/" Sent`)
				c.line(`* LSUB (\Noselect) "/" Archive`)
				c.line(`* LSUB () "/" missing`)
			case `EXAMINE "R&D"`, `EXAMINE "R&-D"`, `EXAMINE "Entw&APw-rfe"`:
				c.examined(cmd, 1)
				return true
			case `EXAMINE {8}`:
				c.line("+ go on")
				if line, _ := c.readLine(); line != "tab\tname" {
					t.Errorf("literal %q", line)
				}
				c.examined(cmd, 1)
				return true
			}
			c.line("%s OK done", cmd.tag)
			return true
		})
	})
	r := f.reader()
	got, err := r.Mailboxes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	box := func(name, sep string) mailproof.Mailbox { return mailproof.Mailbox{Name: name, Separator: sep} }
	want := []mailproof.Mailbox{
		box("INBOX", "/"), {Name: "Archive", Separator: "/", NoSelect: true}, box("Entwürfe", "/"), box("R&D", ""), box("R&D\uFFFD", ""),
		{Name: "Sent", Separator: "/", SpecialUse: mailproof.UseSent, Subscribed: true}, box("a\r\n", "/"), box("a b c", "/"), box("a]b", "/"), box("café", "/"),
		{Name: "gone", Separator: "/", SpecialUse: mailproof.UseArchive, NoSelect: true}, box("lit\"\\eral", "/"), box("q\"uote", "\\"), box("tab\tname", "/"),
	}
	slices.SortFunc(want[1:], func(a, b mailproof.Mailbox) int { return strings.Compare(a.Name, b.Name) })
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for _, name := range []string{"R&D", "R&D\uFFFD", "Entwürfe", "tab\tname"} {
		if _, err := r.Examine(context.Background(), name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

// What LIST says and cannot be read is an error: the folder would be missing.
func TestMailboxesUnreadable(t *testing.T) {
	for _, line := range []string{`(\Noselect "/" x`, `() "/"`, `"/" x`, `() "/" ("x")`, `() "/" "x`} {
		f := newFake(t, func(c *fakeConn) {
			if c.preamble("IMAP4rev1") {
				c.serve(func(cmd commandLine) bool {
					c.line("* LIST %s", line)
					c.line("%s OK done", cmd.tag)
					return true
				})
			}
		})
		if got, err := f.reader().Mailboxes(context.Background()); mailproof.KindOf(err) != mailproof.ErrProtocol {
			t.Errorf("%s: %v, error %v", line, got, err)
		}
	}
}

func TestMailboxesExtended(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if !c.preamble("IMAP4rev1 LIST-EXTENDED SPECIAL-USE NAMESPACE") {
			return
		}
		c.serve(func(cmd commandLine) bool {
			switch cmd.name + " " + cmd.args {
			case "NAMESPACE ":
				c.line(`* NAMESPACE (("INBOX." ".")) NIL (("shared." "."))`)
			case `LIST "" "INBOX" RETURN (SUBSCRIBED SPECIAL-USE)`:
				c.line(`* LIST (\Subscribed) "." INBOX`)
			case `LIST "" "INBOX.*" RETURN (SUBSCRIBED SPECIAL-USE)`:
				c.line(`* LIST (\Subscribed \Sent) "." INBOX.Sent ("CHILDINFO" ("SUBSCRIBED"))`)
				c.line(`* LIST (\HasNoChildren) "." "INBOX.2019"`)
			default:
				t.Errorf("unexpected: %v", cmd)
			}
			c.line("%s OK done", cmd.tag)
			return true
		})
	})
	got, err := f.reader().Mailboxes(context.Background())
	want := []mailproof.Mailbox{
		{Name: "INBOX", Separator: ".", Prefix: "INBOX.", Subscribed: true},
		{Name: "INBOX.2019", Separator: ".", Prefix: "INBOX."},
		{Name: "INBOX.Sent", Separator: ".", Prefix: "INBOX.", Subscribed: true, SpecialUse: mailproof.UseSent},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, error %v\nwant %+v", got, err, want)
	}
}

func TestQuota(t *testing.T) {
	f := newFake(t, func(c *fakeConn) {
		if c.preamble("IMAP4rev1 QUOTA") {
			c.serve(func(cmd commandLine) bool {
				c.line(`* QUOTAROOT INBOX "a" b`)
				c.line(`* QUOTA "a" (MESSAGE 1 2 STORAGE 10 100)`)
				c.line(`* QUOTA b (STORAGE 20 30)`)
				c.line("%s OK done", cmd.tag)
				return true
			})
		}
	})
	if used, limit, ok, err := f.reader().Quota(context.Background()); used != 20*1024 || limit != 30*1024 || !ok || err != nil {
		t.Errorf("%d %d %v %v", used, limit, ok, err)
	}
}
