package imapconn

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/mailproof/mailproof"
)

// labelAnswers are values of X-GM-LABELS as a server may write them; nil says
// that nothing is told.
var labelAnswers = []struct {
	item string
	want []string
}{
	{`X-GM-LABELS ()`, []string{}},
	{`X-GM-LABELS ("\\Inbox" "\\Sent" \Starred Work)`, []string{"Work", `\Inbox`, `\Sent`, `\Starred`}},
	{`x-gm-labels (Work Work "Work")`, []string{"Work"}},
	{`X-GM-LABELS   (  "a b"   c)`, []string{"a b", "c"}},
	{`X-GM-LABELS ("Entw&APw-rfe" &-)`, []string{"&", "Entwürfe"}},
	{`X-GM-LABELS ("&AP" "&&" "&2D3-")`, []string{"&&", "&2D3-", "&AP"}}, // no modified UTF-7
	{"X-GM-LABELS (caf\xe9 caf\xc3\xa9)", []string{"café"}},
	{`X-GM-LABELS ("say \"x\"" "back\\slash")`, []string{`back\slash`, `say "x"`}},
	{"X-GM-LABELS ({4}\r\nWork \"b\" {5}\r\na)(\"\n)", []string{"Work", "a)(\"\n", "b"}},
	{"X-GM-LABELS ({0}\r\n)", []string{}},
	{"X-GM-LABELS (~{4}\r\nWork)", []string{"Work"}},
	{`X-GM-LABELS (NIL "NIL" "")`, []string{"NIL"}},
	{`X-GM-LABELS NIL`, nil},
	{`X-GM-LABELS Work`, nil},
	{`X-GM-LABELS "(Work)"`, nil},
	{"X-GM-LABELS {4}\r\nWork", nil},
	{`X-GM-LABELS (a (b c) d)`, nil},
	{"X-GM-LABELS (a ({1}\r\nb))", nil},
	{`X-GM-LABELS (a) X-GM-LABELS (b)`, nil},
	{`X-GM-LABELS (a) X-GM-THRID (b "c") X-GM-MSGID 7`, []string{"a"}},
	{`X-GM-THRID (b "c") X-GM-LABELS (a)`, []string{"a"}},
	{`X-GM-LABELS ("` + strings.Repeat("x", maxLabel+1) + `")`, nil},
	{fmt.Sprintf("X-GM-LABELS (a {%d}\r\n%s)", maxLabel+1, strings.Repeat("x", maxLabel+1)), nil},
	{`X-GM-LABELS (` + strings.Repeat(strings.Repeat("x", 4000)+" ", 17) + `)`, nil},
	{`FLAGS (X-GM-LABELS (a))`, nil},
}

// heardOf gives a response to the sanitizer and returns what the command of
// ours is told and what go-imap's client sees.
func heardOf(wire io.Reader, mode fetchMode) (heard []gmailRecord, out []byte, err error) {
	s := newSanitizer(bufio.NewReaderSize(wire, readBuffer),
		hooks{untagged: func(r response) { heard = append(heard, r.gmail) }, tagged: func(string, status) bool { return false }})
	s.mode.Store(uint32(mode))
	s.listening.Store(true)
	out, err = io.ReadAll(s)
	return heard, out, err
}

// However a server writes labels, they are read or they are not told; the
// connection stays in step, and go-imap's client sees nothing of them.
func TestLabelsOnTheWire(t *testing.T) {
	for _, tt := range labelAnswers {
		for _, line := range []string{"* 1 FETCH (UID 5 " + tt.item + ")\r\n", "* 1 FETCH (" + tt.item + " UID 5)\r\n"} {
			for _, mode := range []fetchMode{fetchNone, fetchData, fetchBodies, fetchGmail} {
				heard, out, err := heardOf(iotest.OneByteReader(strings.NewReader(line+"T1 OK done\r\n")), mode)
				if strings.HasPrefix(tt.item, "FLAGS") {
					if len(heard) > 0 {
						t.Errorf("%q: heard %v", line, heard)
					}
					continue // go-imap's client is not to see this, or an error is to end it
				}
				if err != nil || !strings.HasSuffix(string(out), "T1 OK done\r\n") || strings.Contains(string(out), "GM-") {
					t.Fatalf("%q: %v; the client sees %q", line, err, out)
				}
				var got []string
				for _, g := range heard {
					got = g.labels
				}
				if mode != fetchGmail && len(heard) > 0 || mode == fetchGmail && (!slices.Equal(got, tt.want) || (got == nil) != (tt.want == nil)) {
					t.Errorf("mode %d: %.200q: told %q, want %q", mode, line, got, tt.want)
				}
			}
		}
	}
}

// What Metadata yields of labels, and of a server that knows the number alone.
func TestMetadataLabels(t *testing.T) {
	for _, known := range []bool{true, false} {
		r := newFake(t, gmail("IMAP4rev1 X-GM-EXT-1", 1, func(c *fakeConn, cmd commandLine, _ []int) bool {
			asked := strings.Contains(cmd.args, "X-GM-LABELS")
			switch {
			case asked && !known:
				c.line("%s BAD unknown item", cmd.tag)
				return true
			case asked:
				c.say("* 1 FETCH (UID 101 X-GM-LABELS (\"\\\\Inbox\" {4}\r\nWork))\r\n")
			}
			c.line("* 1 FETCH (UID 101 X-GM-MSGID 77)") // two responses for one message
			c.line("%s OK done", cmd.tag)
			return true
		})).reader()
		mustExamine(t, r)
		list, err := listed(t, r)
		if err != nil || len(list) != 1 || list[0].GmailID != 77 {
			t.Fatalf("%+v, error %v", list, err)
		}
		if got := list[0].Labels; known && !slices.Equal(got, []string{"Work", `\Inbox`}) || !known && got != nil {
			t.Errorf("labels known %v: %q", known, got)
		}
	}
}

// Labels that were told are sorted, each once, valid UTF-8 and bounded.
func FuzzLabels(f *testing.F) {
	for _, tt := range labelAnswers {
		f.Add(tt.item)
	}
	f.Fuzz(func(t *testing.T, item string) {
		heard, _, _ := heardOf(strings.NewReader("* 1 FETCH (UID 5 "+item+")\r\nT1 OK done\r\n"), fetchGmail)
		for _, g := range heard {
			size := 0
			for i, label := range g.labels {
				if label == "" || !utf8.ValidString(label) || i > 0 && g.labels[i-1] >= label {
					t.Fatalf("labels %q", g.labels)
				}
				size += len(label)
			}
			if size > 4*maxLabels {
				t.Fatalf("%d octets of labels", size)
			}
			if g.uid != mailproof.UID(5) && !strings.Contains(strings.ToUpper(item), "UID") && !strings.Contains(item, "\n") {
				t.Fatalf("uid %d", g.uid)
			}
		}
	})
}
