package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/oracle"
	"github.com/mailproof/mailproof/collect/mailgen"
	"github.com/mailproof/mailproof/report"
)

// The whole job on real servers, held against a checker that shares no code
// with it: a first run, changes on the source, a second run, and then
// disagreements planted by hand on the destination, each of which must be
// found and named.
func TestRealServers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		from, to string
		rewrites bool // the destination changes 8-bit header octets (Cyrus)
	}{
		{from: "DOVECOT", to: "DOVECOT2"},
		{from: "DOVECOT", to: "CYRUS", rewrites: true},
		{from: "COURIER", to: "DOVECOT"},
		{from: "DOVECOT", to: "COURIER"},
	} {
		t.Run(tt.from+" to "+tt.to, func(t *testing.T) {
			t.Parallel()
			newMove(t, tt.from, tt.to).play(tt.rewrites)
		})
	}
}

// move is one account on its way from one real server to another.
type move struct {
	*testing.T
	dir                 string
	source, destination oracle.Login
	sourceURL, destURL  string
}

func newMove(t *testing.T, from, to string) *move {
	user := oracle.NewUser()
	m := &move{T: t, dir: t.TempDir(), source: oracle.RealTLS(t, from, user), destination: oracle.RealTLS(t, to, user)}
	ca := os.Getenv("MAILPROOF_TEST_CA")
	m.sourceURL = fmt.Sprintf("imaps://%s@%s?ca=%s", user, m.source.Addr, ca)
	m.destURL = fmt.Sprintf("imaps://%s@%s?ca=%s", user, m.destination.Addr, ca)
	return m
}

func (m *move) play(rewrites bool) {
	profile := mailgen.Profile{Messages: 2000, Folders: 20, EmptyFolder: true}
	must(m.T, oracle.FillAccount(m.Context(), m.source, mailgen.New(11).Account(profile)))
	before := m.read(m.source)

	first := m.run()
	m.agree(first, rewrites)
	if n := first.Accounts[0].Counts.SourceMessages; n != 2000 {
		m.Errorf("%d source messages, want 2,000", n)
	}
	m.subscribed()

	// The source is as it was, to the last flag: it was only read.
	if r := oracle.Compare(before, m.read(m.source), nil); !r.Equal() {
		m.Fatalf("the source was changed: %s", r)
	}

	// Differential: two arrive, one is deleted, one is flagged, one unflagged.
	c := m.dial(m.source)
	inbox := before.Folders["INBOX"].Messages
	seen := slices.IndexFunc(inbox, func(x oracle.Message) bool { return slices.Contains(x.Flags, `\seen`) })
	unflagged := slices.IndexFunc(inbox, func(x oracle.Message) bool { return !slices.Contains(x.Flags, `\flagged`) })
	deleted := inbox[len(inbox)-1].UID
	must(m.T, c.Append("INBOX", arrival("late one"), arrival("late two")))
	must(m.T, c.SetFlags("INBOX", "+FLAGS", []string{`\Flagged`}, inbox[unflagged].UID))
	must(m.T, c.SetFlags("INBOX", "-FLAGS", []string{`\Seen`}, inbox[seen].UID))
	must(m.T, c.Remove("INBOX", deleted))
	c.Close()
	second := m.run()
	m.agree(second, rewrites)
	if got := second.Accounts[0].Counts; got.Extra+got.DuplicateSurplus != 1 || got.SourceMessages != 2001 || got.DestinationMessages != 2002 {
		m.Errorf("after two arrivals and a deletion: %+v", got)
	}
	if n := second.Accounts[0].FlagsDiffer; n != 0 {
		m.Errorf("the flags of %d messages differ after the differential pass", n)
	}
	m.onlyAppended(first, second, 2)

	m.plant(second)
}

// arrival is a message that comes in between two runs.
func arrival(subject string) oracle.Outgoing {
	raw := fmt.Sprintf("From: late@example.com\r\nTo: anna@example.com\r\nSubject: %s\r\nDate: Sat, 21 Nov 2026 08:00:00 +0000\r\nMessage-ID: <%s@example.com>\r\n\r\nHello.\r\n",
		subject, strings.ReplaceAll(subject, " ", "."))
	return oracle.Outgoing{Raw: []byte(raw), Date: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)}
}

// run is mailproof run, as a person types it.
func (m *move) run() report.JSON {
	m.Helper()
	out, errOut, code := m.mailproof("run", "--json", "--progress", "off", "--source", m.sourceURL, "--destination", m.destURL, "--source-password", "env:MP_PW", "--destination-password", "env:MP_PW")
	r := m.parse(out)
	if code != r.ExitCode {
		m.Errorf("exit code %d, the report says %d\n%s", code, r.ExitCode, errOut)
	}
	return r
}

func (m *move) mailproof(args ...string) (stdout, stderr string, code int) {
	m.Helper()
	var out, errOut bytes.Buffer
	code = run(m.Context(), append(args, "--dir", m.dir), strings.NewReader(""), &out, &errOut)
	return out.String(), errOut.String(), code
}

func (m *move) parse(text string) (r report.JSON) {
	m.Helper()
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		m.Fatalf("%v in %.200q", err, text)
	}
	if !r.Ledger.Balanced || len(r.Accounts) != 1 {
		m.Fatalf("balanced %v, %d accounts", r.Ledger.Balanced, len(r.Accounts))
	}
	return r
}

func (m *move) read(l oracle.Login) *oracle.Account {
	m.Helper()
	a, err := oracle.Read(m.Context(), l, oracle.Options{Normalise: true})
	must(m.T, err)
	return a
}

func (m *move) dial(l oracle.Login) *oracle.Conn {
	m.Helper()
	c, err := oracle.Dial(m.Context(), l)
	must(m.T, err)
	return c
}

// compare asks the checker.
func (m *move) compare() *oracle.Report {
	m.Helper()
	src, dst := m.read(m.source), m.read(m.destination)
	return oracle.Compare(src, dst, oracle.MapNames(src, dst, nil))
}

// agree holds mailproof's counts and verdict against the checker's.
func (m *move) agree(r report.JSON, rewrites bool) {
	m.Helper()
	want, got := m.compare(), r.Accounts[0].Counts
	if len(want.MissingFolders) > 0 {
		m.Errorf("folders are missing: %q", want.MissingFolders)
	}
	if int64(want.Source) != got.SourceMessages || int64(want.Destination) != got.DestinationMessages || int64(want.Missing) != got.Missing || int64(want.Moved) != got.Relocated {
		m.Errorf("mailproof: %+v\nchecker: %s", got, want)
	}
	identical := got.Identical + got.IdenticalNormalised
	if rewrites {
		// What the destination changed of a header the checker calls altered
		// or missing, by its body hash; mailproof calls it altered, or
		// equivalent where only the transport trace is concerned.
		identical += got.Altered + got.AllEquivalent()
		want.Identical += want.Altered
	}
	if int64(want.Identical) != identical {
		m.Errorf("identical: mailproof %d, checker %d\n%s", identical, want.Identical, want)
	}
	complete := want.Missing+want.Altered+want.Collapsed == 0
	if complete != (r.Verdict == mailproof.Complete) {
		m.Errorf("mailproof says %s, the checker %+v", r.Verdict, want.Counts)
	}
	if int64(want.Flags) != r.Accounts[0].FlagsDiffer || int64(want.Dates) != r.Accounts[0].DatesDiffer {
		m.Errorf("flags %d, dates %d; the checker finds %d, %d", r.Accounts[0].FlagsDiffer, r.Accounts[0].DatesDiffer, want.Flags, want.Dates)
	}
}

// subscribed checks that every folder that is subscribed on the source is so
// on the destination.
func (m *move) subscribed() {
	m.Helper()
	list := func(l oracle.Login) ([]string, *oracle.Conn) {
		c := m.dial(l)
		defer c.Close()
		names, err := c.Subscribed()
		must(m.T, err)
		return names, c
	}
	src, from := list(m.source)
	dst, to := list(m.destination)
	name := oracle.MapNames(&oracle.Account{Separator: from.Separator, Prefix: from.Prefix}, &oracle.Account{Separator: to.Separator, Prefix: to.Prefix}, nil)
	for _, s := range src {
		if !slices.Contains(dst, name(s)) {
			m.Errorf("%q is subscribed on the source, %q not on the destination (%q)", s, name(s), dst)
		}
	}
}

// onlyAppended checks how many messages were sent between two reports.
func (m *move) onlyAppended(before, after report.JSON, want int64) {
	m.Helper()
	sent := func(r report.JSON) (n int64) {
		for _, p := range r.Passes {
			if p.Kind == mailproof.CopyPass.String() {
				n += p.Messages
			}
		}
		return n
	}
	if n := sent(after) - sent(before); n != want {
		m.Errorf("the differential pass appended %d messages, want %d", n, want)
	}
}

// plant spoils the destination in four ways, takes a new inventory of it alone
// and looks for each of them in the answer.
func (m *move) plant(before report.JSON) {
	c := m.dial(m.destination)
	dst, err := oracle.Read(m.Context(), m.destination, oracle.Options{Normalise: true, KeepBodies: true})
	must(m.T, err)
	name := func(path ...string) string { return c.Name(path...) }
	pick := func(folder string, n int, like func(raw []byte) bool) oracle.Message {
		f := dst.Folders[folder]
		if f == nil {
			m.Fatalf("no folder %q on the destination: %v", folder, dst.Folders)
		}
		// One with an identity of its own, so that the checker can tell an
		// altered message from a lost and an extra one.
		for _, x := range f.Messages[n:] {
			if x.MessageID != "" && unique(dst, x) && like(x.Raw) {
				return x
			}
		}
		m.Fatalf("no message with an identity of its own in %q", folder)
		return oracle.Message{}
	}
	sent, drafts, archive, projects := name("Sent"), name("Drafts"), name("Archive"), name("R&D")
	removed, altered, doubled, moved := pick(sent, 3, anything), pick(drafts, 5, isText), pick(archive, 7, anything), pick(projects, 9, anything)
	must(m.T, c.Remove(sent, removed.UID))
	must(m.T, c.Alter(drafts, altered.UID, func(raw []byte) []byte {
		return append(bytes.TrimRight(raw, "\r\n"), "\r\nand one line more\r\n"...)
	}))
	must(m.T, c.Duplicate(archive, doubled.UID))
	must(m.T, c.Move(projects, moved.UID, sent))
	c.Close()

	if _, errOut, code := m.mailproof("inventory", "--progress", "off", "--side", "destination", "--destination", m.destURL, "--destination-password", "env:MP_PW"); code != 0 {
		m.Fatalf("inventory: exit code %d\n%s", code, errOut)
	}
	out, errOut, code := m.mailproof("diff", "--json")
	if code != 1 {
		m.Errorf("diff: exit code %d, want 1\n%s", code, errOut)
	}
	r := m.parse(out)
	was, is := before.Accounts[0].Counts, r.Accounts[0].Counts
	if is.Missing-was.Missing != 1 || is.Altered-was.Altered != 1 || is.DuplicateSurplus-was.DuplicateSurplus != 1 || is.Relocated-was.Relocated != 1 {
		m.Errorf("planted one of each:\nbefore %+v\nafter  %+v", was, is)
	}
	for _, want := range []struct {
		what    string
		message oracle.Message
		verdict mailproof.MessageVerdict
	}{
		{"removed", removed, mailproof.Missing}, {"altered", altered, mailproof.Altered},
		{"duplicated", doubled, mailproof.DuplicateSurplus}, {"moved", moved, mailproof.Relocated},
	} {
		named := slices.ContainsFunc(r.Exceptions, func(x report.JSONException) bool {
			return x.Verdict == want.verdict && strings.Contains(want.message.MessageID, strings.Trim(x.MessageID, "<>"))
		})
		if !named {
			m.Errorf("the message that was %s, %s, is not named as %s", want.what, want.message.MessageID, want.verdict)
		}
	}
	if lines, _, _ := m.mailproof("diff", "--format", "lines"); strings.Count(lines, "\n") != int(is.SourceSum()+is.Extra+is.DuplicateSurplus) {
		m.Errorf("diff --format lines has %d lines for %d messages", strings.Count(lines, "\n"), is.SourceSum()+is.Extra+is.DuplicateSurplus)
	}
}

func anything([]byte) bool { return true }

// isText reports whether a line more at the end is a line of text more, and
// not one behind the last part or within base64.
func isText(raw []byte) bool {
	return !bytes.Contains(raw, []byte("multipart/")) && !bytes.Contains(raw, []byte("base64"))
}

// unique reports whether no other message of the account has the Message-ID or
// the body.
func unique(a *oracle.Account, x oracle.Message) bool {
	n := 0
	for _, f := range a.Folders {
		for _, y := range f.Messages {
			if y.MessageID == x.MessageID || y.Body == x.Body {
				n++
			}
		}
	}
	return n == 1
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
