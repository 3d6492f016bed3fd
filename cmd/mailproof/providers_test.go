package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/report"
)

// between runs mailproof between two embedded servers.
type between struct {
	*testing.T
	dir                 string
	source, destination *imapmem.Server
	options             string // of the destination's address
}

func newBetween(t *testing.T, source, destination imapmem.Options) *between {
	b := &between{T: t, dir: t.TempDir(), source: imapmem.New(source), destination: imapmem.New(destination)}
	for _, s := range []*imapmem.Server{b.source, b.destination} {
		must(t, s.Start(t.Context(), mailproof.Plaintext))
		t.Cleanup(func() { _ = s.Close() })
		s.AddAccount("anna", "pw")
	}
	return b
}

func (b *between) mailproof(args ...string) (stdout, stderr string, code int) {
	b.Helper()
	var out, errOut bytes.Buffer
	args = append(args, "--dir", b.dir, "--progress", "off",
		"--source", "imap://anna@"+b.source.Addr()+"?tls=none", "--source-password", "env:MP_PW",
		"--destination", "imap://anna@"+b.destination.Addr()+"?tls=none"+b.options, "--destination-password", "env:MP_PW")
	code = run(b.Context(), args, strings.NewReader(""), &out, &errOut)
	return out.String(), errOut.String(), code
}

func (b *between) run(args ...string) report.JSON {
	b.Helper()
	out, errOut, code := b.mailproof(append([]string{"run", "--json"}, args...)...)
	var r report.JSON
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		b.Fatalf("exit code %d, %v in %.200q\n%s", code, err, out, errOut)
	}
	if code != r.ExitCode || !r.Ledger.Balanced || len(r.Accounts) != 1 {
		b.Fatalf("exit code %d, %+v\n%s", code, r.Ledger, errOut)
	}
	return r
}

// letter is a plain message, with a body of so many lines.
func letter(subject string, lines int) []byte {
	return fmt.Appendf(nil, "From: a@example.com\r\nTo: anna@example.com\r\nSubject: %s\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@example.com>\r\n\r\n%s",
		subject, strings.ReplaceAll(subject, " ", "."), strings.Repeat("a line of text\r\n", lines))
}

var sentOn = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// gmailAccount fills an account at Gmail: three messages in the inbox, the
// first under a label and starred, one sent, and whatever All Mail has beside.
func gmailAccount(t *testing.T, a *imapmem.Account) {
	for i := range 3 {
		uid := a.Append("INBOX", letter(fmt.Sprintf("number %d", i), 3), nil, sentOn)
		must(t, a.Label("INBOX", uid, "[Gmail]/All Mail"))
		if i == 0 {
			must(t, a.Label("INBOX", uid, "Work/Projects", "[Gmail]/Starred", "[Gmail]/Important"))
		}
	}
	uid := a.Append("[Gmail]/Sent Mail", letter("sent", 3), mailproof.NewFlags(`\Seen`), sentOn)
	must(t, a.Label("[Gmail]/Sent Mail", uid, "[Gmail]/All Mail"))
}

// Views of Gmail stay behind, counted, where each of their messages was seen in
// another folder; special folders lose the container.
func TestGmailViewsStayBehind(t *testing.T) {
	t.Parallel()
	b := newBetween(t, imapmem.GmailLike(), imapmem.Options{Name: "Dovecot", Folders: []imapmem.Folder{{Name: "Sent", Use: mailproof.UseSent}}})
	gmailAccount(t, b.source.Account("anna"))
	r := b.run()
	c := r.Accounts[0].Counts
	if r.Verdict != mailproof.Complete || c.Identical != 5 || c.Excluded != 6 || c.SourceMessages != 11 {
		t.Errorf("%s, %+v", r.Verdict, c)
	}
	names := b.destination.Account("anna").Mailboxes()
	if slices.ContainsFunc(names, func(n string) bool {
		return strings.Contains(n, "Gmail") || strings.Contains(n, "All Mail") || strings.Contains(n, "Starred")
	}) {
		t.Errorf("folders of the destination: %q", names)
	}
	if n := len(b.destination.Account("anna").Messages("Sent")); n != 1 {
		t.Errorf("%d messages in Sent", n)
	}
	// What somebody asks for in so many words goes along.
	if r := b.run("--source-provider", "none"); r.Accounts[0].Counts.Excluded != 0 {
		t.Errorf("%+v", r.Accounts[0].Counts)
	}
}

// A message that is archived without a label is in All Mail alone: then it is
// not left out.
func TestGmailArchivedMailIsNotLost(t *testing.T) {
	t.Parallel()
	b := newBetween(t, imapmem.GmailLike(), imapmem.Options{Name: "Dovecot"})
	a := b.source.Account("anna")
	gmailAccount(t, a)
	a.Append("[Gmail]/All Mail", letter("archived", 3), nil, sentOn)
	out, _, code := b.mailproof("check")
	if code != 0 || !strings.Contains(out, `"[Gmail]/All Mail" has 1 message of its own: copied whole`) {
		t.Errorf("exit code %d\n%s", code, out)
	}
	r := b.run()
	c := r.Accounts[0].Counts
	if r.Verdict != mailproof.Complete || c.Identical != 10 || c.Excluded != 2 {
		t.Errorf("%s, %+v", r.Verdict, c)
	}
	if n := len(b.destination.Account("anna").Messages("All Mail")); n != 5 {
		t.Errorf("%d messages in All Mail of %q", n, b.destination.Account("anna").Mailboxes())
	}
}

// To a server in the manner of Microsoft 365: tokens only, throttled with BYE,
// German folder names, rebuilt messages, a limit that is not announced.
func TestToExchangeLike(t *testing.T) {
	t.Parallel()
	o := imapmem.ExchangeLike(8 << 10)
	o.Hide = append(o.Hide, "AUTH=PLAIN", "LOGIN")
	o.Tokens = func(_, token string) error {
		if token != "pw" {
			return errors.New("invalid token")
		}
		return nil
	}
	var appends, throttles atomic.Int32
	o.OnCommand = func(_, command string) error {
		if command == "APPEND" && appends.Add(1)%4 == 2 && throttles.Add(1) <= 3 {
			return &imapmem.ByeError{Reply: "Request is throttled. Suggested Backoff Time: 20 milliseconds"}
		}
		return nil
	}
	b := newBetween(t, imapmem.Options{Name: "Dovecot", Folders: []imapmem.Folder{{Name: "Sent", Use: mailproof.UseSent}}}, o)
	b.options = "&auth=XOAUTH2"
	a := b.source.Account("anna")
	for i := range 12 {
		a.Append("INBOX", letter(fmt.Sprintf("number %d", i), 3), nil, sentOn)
	}
	a.Append("Sent", letter("sent", 3), nil, sentOn)
	a.Append("INBOX", letter("large", 1000), nil, sentOn)
	r := b.run("--destination-provider", "microsoft365")
	c := r.Accounts[0].Counts
	if r.Verdict != mailproof.Incomplete || c.Missing != 1 || c.Equivalent != 13 || c.DuplicateSurplus != 0 {
		t.Errorf("%s, %+v", r.Verdict, c)
	}
	if throttles.Load() == 0 {
		t.Error("nothing was throttled")
	}
	if len(r.Exceptions) != 1 || !strings.Contains(fmt.Sprint(r.Exceptions[0].Reasons), "Maximum size of appendable message") {
		t.Errorf("%+v", r.Exceptions)
	}
	if n := len(b.destination.Account("anna").Messages("Gesendete Elemente")); n != 1 {
		t.Errorf("%d messages in Gesendete Elemente; folders %q", n, b.destination.Account("anna").Mailboxes())
	}
	// A password instead of the token: what it means, and what to do.
	b.options = ""
	out, _, code := b.mailproof("check", "--destination-provider", "microsoft365")
	if code != 1 || !strings.Contains(out, "OAuth 2") {
		t.Errorf("exit code %d\n%s", code, out)
	}
}

// From one: folders that hold no mail stay behind, and special folders are
// found under their German names.
func TestFromExchangeLike(t *testing.T) {
	t.Parallel()
	b := newBetween(t, imapmem.ExchangeLike(0), imapmem.Options{Name: "Dovecot", Folders: []imapmem.Folder{{Name: "Sent", Use: mailproof.UseSent}, {Name: "Trash", Use: mailproof.UseTrash}}})
	a := b.source.Account("anna")
	a.Append("Gesendete Elemente", letter("sent", 3), nil, sentOn)
	a.Append("Gelöschte Elemente", letter("gone", 3), nil, sentOn)
	a.Append("Kalender", letter("an appointment", 3), nil, sentOn)
	a.Append("Kunden/Kalender", letter("mail about calendars", 3), nil, sentOn)
	out, errOut, code := b.mailproof("check", "--folders")
	if code != 0 {
		t.Errorf("exit code %d\n%s%s", code, out, errOut)
	}
	for _, want := range []string{"Kalender +1 +stays behind: a calendar", "Gesendete Elemente +1 +Sent +is there", "Gelöschte Elemente +1 +Trash +is there", "Kunden/Kalender +1 +Kunden/Kalender +to be made"} {
		if !matches(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	r := b.run()
	if c := r.Accounts[0].Counts; r.Verdict != mailproof.Complete || c.Excluded != 1 || c.Identical != 3 {
		t.Errorf("%s, %+v", r.Verdict, c)
	}
	names := b.destination.Account("anna").Mailboxes()
	if slices.Contains(names, "Kalender") || slices.Contains(names, "Gesendete Elemente") {
		t.Errorf("folders of the destination: %q", names)
	}
}
