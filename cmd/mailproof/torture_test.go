package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof/cmd/internal/oracle"
	"github.com/mailproof/mailproof/report"
)

// An account of everything odd that a real server keeps: names with quotes,
// wildcards and blanks, eight levels, true duplicates, one Message-ID over
// different mail, broken headers. All of it arrives, once and unaltered.
func TestTortureAccount(t *testing.T) {
	m := newMove(t, "DOVECOT", "DOVECOT2")
	// The storage without Maildir's own ideas about names.
	m.source.User += "@sdbox"
	m.destination.User += "@sdbox"
	for _, url := range []*string{&m.sourceURL, &m.destURL} {
		*url = strings.Replace(*url, "@127.", "%40sdbox@127.", 1)
	}
	c := m.dial(m.source)
	folders := []string{
		`quo"te`, `back\slash`, `paren(th)esis`, `per%cent`, `st*ar`, "emoji 😀 📁", "dots.in.name", "a/b/c/d/e/f/g/h", "trailing ", "ünïcödé", "R&D &- &amp;",
		"日本語/受信", "[Gmail]", "{braces}", "~tilde", "#hash", "semi;colon", "comma,name", "it's", "new\u0301 nfd", "INBOX/below",
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

func passesOf(r report.JSON, kind string) int {
	n := 0
	for _, p := range r.Passes {
		if p.Kind == kind {
			n++
		}
	}
	return n
}
