package imapconn

import (
	"bufio"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/mailproof/mailproof"
)

// gmailAnswers are values of X-GM-MSGID as a server may write them, and what is
// read of them.
var gmailAnswers = []struct {
	item string
	want uint64
}{
	{"X-GM-MSGID 1278455344230334865", 1278455344230334865},
	{"x-gm-msgid 7", 7},
	{"X-GM-MSGID   7", 7},
	{"X-GM-MSGID 18446744073709551615", 18446744073709551615},
	{"X-GM-MSGID 18446744073709551616", 0},
	{"X-GM-MSGID 99999999999999999999999999999999999999", 0},
	{"X-GM-MSGID 0", 0},
	{"X-GM-MSGID -1", 0},
	{"X-GM-MSGID +5", 0},
	{"X-GM-MSGID 0x10", 0},
	{"X-GM-MSGID 1_0", 0},
	{"X-GM-MSGID 12.5", 0},
	{"X-GM-MSGID NIL", 0},
	{"X-GM-MSGID (12)", 0},
	{"X-GM-MSGID ()", 0},
	{"X-GM-MSGID \"12\"", 0},
	{"X-GM-MSGID {2}\r\n12", 0},
	{"X-GM-MSGID caf\xe9", 0},
	{"X-GM-THRID 12", 0},
	{"X-GM-LABELS (\"\\\\Inbox\" X-GM-MSGID 12)", 0},
	{"FLAGS (X-GM-MSGID 12)", 0},
	{"BODY[] {13}\r\nX-GM-MSGID 12", 0},
}

// X-GM-MSGID never reaches go-imap's client, nor does anything of a FETCH that
// it did not ask for; the command of ours that did is told.
func TestSanitizerGmail(t *testing.T) {
	for _, tt := range gmailAnswers {
		for _, line := range []string{"* 1 FETCH (UID 5 " + tt.item + ")\r\n", "* 1 FETCH (" + tt.item + " UID 5)\r\n"} {
			for _, mode := range []fetchMode{fetchNone, fetchData, fetchBodies, fetchGmail} {
				var heard []gmailRecord
				s := newSanitizer(bufio.NewReaderSize(iotest.OneByteReader(strings.NewReader(line+"T1 OK done\r\n")), readBuffer),
					hooks{untagged: func(r response) {
						if r.gmail.id != 0 {
							heard = append(heard, r.gmail)
						}
					}, tagged: func(string, status) bool { return false }})
				s.mode.Store(uint32(mode))
				s.listening.Store(true)
				out, err := io.ReadAll(s)
				if err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				if strings.Contains(string(out), "GM-") && !strings.Contains(tt.item, "FLAGS") && !strings.Contains(tt.item, "BODY[]") {
					t.Errorf("%q reaches the client: %q", line, out)
				}
				if !mode.forClient() && string(out) != "T1 OK done\r\n" {
					t.Errorf("mode %d: %q reaches the client: %q", mode, line, out)
				}
				var want []gmailRecord
				if mode == fetchGmail && tt.want != 0 {
					want = []gmailRecord{{uid: 5, id: tt.want}}
				}
				if !reflect.DeepEqual(heard, want) {
					t.Errorf("mode %d: %q: heard %v, want %v", mode, line, heard, want)
				}
			}
		}
	}
}

// gmail serves n messages of a server that announces X-GM-EXT-1; answer says
// what the FETCH of X-GM-MSGID gets.
func gmail(caps string, n int, answer func(c *fakeConn, cmd commandLine, uids []int) bool) func(*fakeConn) {
	return func(c *fakeConn) {
		c.mailboxWith(caps, n, func(cmd commandLine, uids []int, byUID bool) bool {
			if strings.Contains(cmd.args, "X-GM") {
				if !byUID || !strings.HasSuffix(cmd.args, " (UID X-GM-MSGID X-GM-LABELS)") && !strings.HasSuffix(cmd.args, " (UID X-GM-MSGID)") {
					c.t.Errorf("asked by %v", cmd)
				}
				return answer(c, cmd, uids)
			}
			for _, u := range uids {
				c.metadata(u)
			}
			c.line("%s OK done", cmd.tag)
			return true
		})
	}
}

// Whatever a server says of X-GM-MSGID, the rest of the metadata is whole.
func TestMetadataGmail(t *testing.T) {
	const n = 20
	id := func(u int) uint64 { return uint64(u) << 50 }
	give := func(c *fakeConn, uids []int) {
		for _, u := range uids {
			c.line("* %d FETCH (X-GM-MSGID %d UID %d)", u-100, id(u), u)
		}
	}
	every := func(mailproof.UID) bool { return true }
	none := func(mailproof.UID) bool { return false }
	for _, tt := range []struct {
		name   string
		answer func(c *fakeConn, cmd commandLine, uids []int) bool
		has    func(mailproof.UID) bool
	}{
		{"well behaved", func(c *fakeConn, cmd commandLine, uids []int) bool {
			give(c, uids)
			c.line("%s OK done", cmd.tag)
			return true
		}, every},
		{"backwards, with others, and unasked data", func(c *fakeConn, cmd commandLine, uids []int) bool {
			slices.Reverse(uids)
			c.line("* 21 EXISTS")
			give(c, append(uids, 177))
			c.line("* 3 FETCH (UID 103 FLAGS (other) RFC822.SIZE 1)")
			c.line("* 9 FETCH (X-GM-MSGID 5)")
			c.line("* 4 FETCH (BODY[] {3}\r\nabc UID 104)")
			c.line("%s OK done", cmd.tag)
			return true
		}, every},
		{"refused", func(c *fakeConn, cmd commandLine, _ []int) bool {
			c.line("%s NO not today", cmd.tag)
			return true
		}, none},
		{"unknown", func(c *fakeConn, cmd commandLine, _ []int) bool {
			c.line("%s BAD what is that", cmd.tag)
			return true
		}, none},
		{"OK and nothing else", func(c *fakeConn, cmd commandLine, _ []int) bool {
			c.line("%s OK done", cmd.tag)
			return true
		}, none},
		{"every second one", func(c *fakeConn, cmd commandLine, uids []int) bool {
			for _, u := range uids {
				if u%2 == 0 {
					give(c, []int{u})
				}
			}
			c.line("%s OK done", cmd.tag)
			return true
		}, func(u mailproof.UID) bool { return u%2 == 0 }},
		{"refused half way", func(c *fakeConn, cmd commandLine, uids []int) bool {
			give(c, uids[:len(uids)/2])
			c.line("%s NO [SERVERBUG] enough", cmd.tag)
			return true
		}, func(u mailproof.UID) bool { return u <= 110 }},
		{"lost once", func(c *fakeConn, cmd commandLine, uids []int) bool {
			if c.n == 1 {
				give(c, uids[:3])
				return false
			}
			give(c, uids)
			c.line("%s OK done", cmd.tag)
			return true
		}, every},
		{"throttled once", func(c *fakeConn, cmd commandLine, uids []int) bool {
			if c.n == 1 {
				c.line("%s NO [OVERQUOTA] slow down", cmd.tag)
				return true
			}
			give(c, uids)
			c.line("%s OK done", cmd.tag)
			return true
		}, every},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newFake(t, gmail("IMAP4rev1 x-gm-ext-1", n, tt.answer)).reader()
			mustExamine(t, r)
			list, err := listed(t, r)
			if err != nil || len(list) != n {
				t.Fatalf("%d messages, error %v", len(list), err)
			}
			for _, m := range list {
				want := uint64(0)
				if tt.has(m.UID) {
					want = id(int(m.UID))
				}
				if m.GmailID != want || m.Size != int64(m.UID) || !m.Flags.Equal(mailproof.NewFlags(fmt.Sprintf("k%d", m.UID))) {
					t.Errorf("%+v, want X-GM-MSGID %d", m, want)
				}
			}
		})
	}
}

// What is no number of 64 bits is none, and harms nothing.
func TestMetadataGmailOddValues(t *testing.T) {
	for _, tt := range gmailAnswers {
		r := newFake(t, gmail("IMAP4rev1 X-GM-EXT-1", 1, func(c *fakeConn, cmd commandLine, _ []int) bool {
			c.say("* 1 FETCH (UID 101 %s)\r\n", tt.item)
			c.line("%s OK done", cmd.tag)
			return true
		})).reader()
		mustExamine(t, r)
		list, err := listed(t, r)
		if err != nil || len(list) != 1 || list[0].GmailID != tt.want || list[0].Size != 101 {
			t.Errorf("%q: %+v, error %v, want %d", tt.item, list, err, tt.want)
		}
	}
}

// A server that does not announce it is not asked.
func TestMetadataWithoutGmail(t *testing.T) {
	r := newFake(t, gmail("IMAP4rev1 X-GM-EXT-10", 3, func(c *fakeConn, cmd commandLine, _ []int) bool {
		t.Errorf("asked: %v", cmd)
		return false
	})).reader()
	mustExamine(t, r)
	if list, err := listed(t, r); err != nil || len(list) != 3 || list[0].GmailID != 0 {
		t.Errorf("%+v, error %v", list, err)
	}
}
