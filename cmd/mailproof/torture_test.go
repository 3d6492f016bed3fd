package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/oracle"
	"github.com/mailproof/mailproof/report"
)

// An account of everything odd that a real server keeps: names with quotes,
// wildcards and blanks, eight levels, true duplicates, one Message-ID over
// different mail, broken headers. All of it arrives, once and unaltered.
func TestTortureAccount(t *testing.T) {
	t.Parallel()
	m := newMove(t, "DOVECOT", "DOVECOT2")
	m.destination.User += "@sdbox"
	m.destURL = strings.Replace(m.destURL, "@127.", "%40sdbox@127.", 1)
	m.torture()
	r := m.run()
	want := m.compare()
	if !want.Equal() {
		t.Errorf("the checker finds: %s", want)
	}
	if r.ExitCode != 0 || r.Accounts[0].Counts.Identical != int64(want.Source) {
		t.Errorf("mailproof says %s: %+v of %d", r.Verdict, r.Accounts[0].Counts, want.Source)
	}
	// Once more: nothing is left to do.
	again := m.run()
	if copies := passesOf(again, "copy"); copies != passesOf(r, "copy") {
		t.Errorf("a second run found something to copy: %d passes, then %d", passesOf(r, "copy"), copies)
	}
}

// torture fills the source: in the storage without Maildir's own ideas about
// names.
func (m *move) torture() {
	t := m.T
	m.source.User += "@sdbox"
	m.sourceURL = strings.Replace(m.sourceURL, "@127.", "%40sdbox@127.", 1)
	c := m.dial(m.source)
	folders := []string{
		`quo"te`, `back\slash`, `paren(th)esis`, `per%cent`, `st*ar`, "emoji 😀 📁", "dots.in.name", "a/b/c/d/e/f/g/h", "trailing ", "ünïcödé", "R&D &- &amp;",
		"日本語/受信", "[Gmail]", "{braces}", "~tilde", "#hash", "semi;colon", "comma,name", "it's", "new\u0301 nfd", "INBOX/below",
		// What other servers may make of some of these.
		"below", "dots_in_name", "per_cent", "quo_te", "ST_AR",
	}
	for _, f := range folders {
		if err := c.CreateFolder(f); err != nil {
			t.Logf("the source itself refuses %q: %v", f, err)
			continue
		}
		must(t, c.Append(f, arrival("in "+fmt.Sprintf("%q", f))))
	}
	date := time.Date(1996, 2, 29, 23, 59, 59, 0, time.FixedZone("", -9*3600-30*60))
	raw := func(s string) oracle.Outgoing {
		return oracle.Outgoing{Raw: []byte(s), Date: date, Flags: []string{`\Seen`, "$Label1", "odd-Key.word"}}
	}
	twin := raw("Message-ID: <twin@example.com>\r\nSubject: twin\r\n\r\nthe same\r\n")
	must(t, c.Append("INBOX",
		twin, twin, twin,
		raw("Message-ID: <twin@example.com>\r\nSubject: twin\r\n\r\nnot the same\r\n"),
		raw("Subject: no id\r\n\r\n"),
		raw("\r\nno header at all\r\n"),
		raw("a line without a colon\r\nSubject: x\r\n\r\nbody\r\n"),
		raw("Subject: no final newline\r\n\r\nbody"),
		raw("Subject: lone\r\n\r\nCR \r here\r\n"),
		raw("Subject: =?utf-8?q?broken=?=\r\nContent-Type: multipart/mixed; boundary=never\r\n\r\nnothing\r\n"),
		raw("Subject: \xff\xfe\x80\r\n\r\n8-bit \xe4\xf6\xfc\r\n"),
		raw("From x Thu Jan  1 00:00:00 1970\r\nSubject: mbox\r\n\r\n>From y\r\n"),
		raw("Status: RO\r\nX-UID: 7\r\nSubject: bookkeeping\r\n\r\nx\r\n"),
		raw("Subject: long line\r\n\r\n"+strings.Repeat("x", 300_000)+"\r\n"),
		raw("Subject: "+strings.Repeat("long ", 15_000)+"\r\n\r\nx\r\n"),
		raw("Subject: many\r\n"+strings.Repeat("X-Header: y\r\n", 3_000)+"\r\nx\r\n"),
		raw("Subject: literal-like {12}\r\n\r\n* 1 FETCH (FLAGS ())\r\nA1 OK done {5}\r\n)\r\n"),
		raw(string(bytes.Repeat([]byte("\r\n"), 50))),
	))
	c.Close()
}

// To servers that do not take everything: what they take is there, unaltered but
// for what they do to it themselves, and each message of the rest is an exception
// with the server's own words. No two folders become one, and nothing is there
// twice, however often it is run.
func TestTortureElsewhere(t *testing.T) {
	for _, server := range []string{"CYRUS", "COURIER"} {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			m := newMove(t, "DOVECOT", server)
			m.torture()
			before := m.read(m.source)
			r := m.run()
			m.tortured(r, before)
			// Once more: what was refused is refused again, and nothing else is sent.
			again := m.run()
			if got, want := again.Accounts[0].Counts, r.Accounts[0].Counts; got != want {
				t.Errorf("a second run makes something else of it:\n%+v, then\n%+v", want, got)
			}
			if r := oracle.Compare(before, m.read(m.source), nil); !r.Equal() {
				t.Errorf("the source was changed: %s", r)
			}
		})
	}
}

// tortured holds a report against what is there.
func (m *move) tortured(r report.JSON, src *oracle.Account) {
	t, dst := m.T, m.read(m.destination)
	have := map[string]int{}
	for name, f := range dst.Folders {
		have[name] = len(f.Messages)
	}
	named := map[string]string{} // destination folder: source folder
	for _, f := range r.Accounts[0].Folders {
		if f.Source == "" {
			continue
		}
		if other := named[f.Destination]; other != "" {
			t.Errorf("%q and %q both became %q", other, f.Source, f.Destination)
		}
		named[f.Destination] = f.Source
		if sent, came := len(src.Folders[f.Source].Messages), have[f.Destination]; came > sent {
			t.Errorf("%q has %d messages, %q has %d: something was sent twice", f.Destination, came, f.Source, sent)
		}
	}
	words := map[string]bool{}
	missing := int64(0)
	for _, x := range r.Exceptions {
		if x.Side != "source" {
			continue
		}
		if x.Verdict == mailproof.Missing {
			missing++
		}
		reasons := strings.Join(x.Reasons, "; ")
		told := false
		for _, code := range []string{"append-refused: destination: ", "unrecognised-after-append: ", "white-space: ", "header-8bit: "} {
			if strings.Contains(reasons, code) {
				told, words[code] = true, true
			}
		}
		if !told {
			t.Errorf("%q uid %d is %s, and nothing says why: %s", x.Folder, x.UID, x.Verdict, reasons)
		}
		if strings.Contains(reasons, "append-refused: ") && !strings.Contains(reasons, "Invalid mailbox name") &&
			!strings.Contains(reasons, "Message contains invalid header") && !strings.Contains(reasons, "Error in IMAP command received by server") {
			t.Errorf("%q uid %d: these are not the server's words: %s", x.Folder, x.UID, reasons)
		}
	}
	counts := r.Accounts[0].Counts
	if r.Verdict != mailproof.Incomplete || missing != counts.Missing || !words["append-refused: destination: "] {
		t.Errorf("%s, %d exceptions of %d missing", r.Verdict, missing, counts.Missing)
	}
	if there := counts.Identical + counts.IdenticalNormalised + counts.AllEquivalent(); there < 25 || counts.SourceMessages-there-counts.Altered != missing {
		t.Errorf("%+v", counts)
	}
}

func passesOf(r report.JSON, kind string) int {
	n := 0
	for _, p := range r.Passes {
		if p.Kind == kind {
			n++
		}
	}
	return n
}
