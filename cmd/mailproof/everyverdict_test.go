package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/diff"
)

// everyVerdict is one message for each verdict, and what its line says.
var everyVerdict = []struct {
	verdict     mailproof.MessageVerdict
	tier        mailproof.Tier
	reason      string // a code; empty: none is needed
	source      string // the message, of so many copies; empty: the destination has it alone
	destination string // empty: the source has it alone
	copies      [2]int // where not one each
	folder      string // of the destination; empty: the same
	sigil       string
}{
	{verdict: mailproof.Identical, tier: mailproof.T0, sigil: "=", source: "Subject: a\n\nsame\n", destination: "Subject: a\n\nsame\n"},
	{verdict: mailproof.IdenticalNormalised, tier: mailproof.T1, sigil: "=", source: "Subject: b\n\nsame\n", destination: "Subject: b\nX-UID: 17\n\nsame\n"},
	{verdict: mailproof.Equivalent, tier: mailproof.T2, sigil: "=", source: "Subject: c\n\nsame\n", destination: "Received: by x\nSubject: c\n\nsame\n"},
	{verdict: mailproof.EquivalentWithNotes, tier: mailproof.T2, reason: "bcc", sigil: "=", source: "Subject: d\nBcc: z@example.com\n\nsame\n", destination: "Subject: d\n\nsame\n"},
	{verdict: mailproof.EquivalentText, tier: mailproof.T2v, reason: diff.ReasonMarkup, sigil: "=",
		source:      "Subject: e\nContent-Type: text/html\n\n<p>visible text</p>\n",
		destination: "Subject: e\nContent-Type: text/html\n\n<!-- added --><p>visible text</p>\n"},
	{verdict: mailproof.Altered, tier: mailproof.T3, sigil: "*", reason: diff.ReasonPartChanged, source: "Subject: f\n\nthe sum is 1,000\n", destination: "Subject: f\n\nthe sum is 9,000\n"},
	{verdict: mailproof.Missing, sigil: "-", source: "Subject: g\n\nlost\n"},
	{verdict: mailproof.Extra, sigil: "+", destination: "Subject: h\n\nnew\n"},
	{verdict: mailproof.DuplicateSurplus, tier: mailproof.T2, sigil: "+", source: "Subject: i\n\nsame\n", destination: "Subject: i\n\nsame\n", copies: [2]int{1, 2}},
	{verdict: mailproof.DuplicateCollapsed, tier: mailproof.T2, sigil: "-", source: "Subject: j\n\nsame\n", destination: "Subject: j\n\nsame\n", copies: [2]int{2, 1}},
	{verdict: mailproof.Relocated, tier: mailproof.T0, reason: diff.ReasonRelocated, sigil: "=", source: "Subject: k\n\nsame\n", destination: "Subject: k\n\nsame\n", folder: "Elsewhere"},
	{verdict: mailproof.Unverifiable, reason: diff.ReasonUnreadable, sigil: "!", source: "Subject: unreadable\n\nx\n"},
	{verdict: mailproof.Excluded, reason: diff.ReasonExcluded, sigil: "!"},
	{verdict: mailproof.NotChecked, sigil: "!"}, // bob's, of whom a preview was taken
}

// An engagement in which every verdict occurs, in every form that mailproof
// gives of it: each verdict is named, with its tier, its reasons and in plain
// words what it proves.
func TestEveryVerdictInEveryForm(t *testing.T) {
	unreadable := func(_, _ string, _ mailproof.UID, raw []byte) ([]byte, error) {
		if bytes.Contains(raw, []byte("Subject: unreadable")) {
			return nil, errors.New("the disk has a bad sector")
		}
		return raw, nil
	}
	b := newBetween(t, imapmem.Options{Name: "Dovecot", OnFetch: unreadable}, imapmem.Options{Name: "Dovecot"})
	sides := [2]*imapmem.Server{b.source, b.destination}
	for n, e := range everyVerdict {
		for i, text := range []string{e.source, e.destination} {
			if text == "" {
				continue
			}
			folder := "INBOX"
			if i == 1 && e.folder != "" {
				folder = e.folder
			}
			raw := strings.ReplaceAll(fmt.Sprintf("From: a@example.com\nTo: anna@example.com\nDate: Fri, 20 Nov 2026 10:00:00 +0000\nMessage-ID: <%d@example.com>\n%s", n, text), "\n", "\r\n")
			for range max(1, e.copies[i]) {
				sides[i].Account("anna").Append(folder, []byte(raw), nil, sentOn)
			}
		}
	}
	b.source.Account("anna").Append("Left behind", letter("excluded", 3), nil, sentOn)
	for _, s := range sides {
		s.AddAccount("bob", "pw").Append("INBOX", letter("listed", 3), nil, sentOn)
	}
	list := filepath.Join(b.dir, "list.csv")
	row := func(user string) string {
		return fmt.Sprintf("%s,imap://%[1]s@%[2]s?tls=none,env:MP_PW,imap://%[1]s@%[3]s?tls=none,env:MP_PW\n", user, b.source.Addr(), b.destination.Addr())
	}
	must(t, os.WriteFile(list, []byte("name,source,source_password,destination,destination_password\n"+row("anna")+row("bob")), 0o600))
	for _, args := range [][]string{{"--account", "anna"}, {"--account", "bob", "--depth", "preview"}} {
		if out, errOut, code := b.offline(append([]string{"inventory", "--progress", "off", "--accounts", list}, args...)...); code != 0 && code != 3 {
			t.Fatalf("exit code %d\n%s%s", code, out, errOut)
		}
	}

	lines, errOut, _ := b.offline("diff", "--format", "lines", "--exclude", "Left behind")
	for _, e := range everyVerdict {
		tier := ""
		if e.tier != mailproof.TierNone {
			tier = e.tier.String()
		}
		line := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(e.sigil) + ` .* ` + e.verdict.String() + ` *` + tier + `.*` + e.reason)
		if !line.MatchString(lines) {
			t.Errorf("lines: no %q\n%s%s", line, lines, errOut)
		}
	}

	out, _, _ := b.offline("diff", "--json", "--exclude", "Left behind")
	var r struct {
		Accounts []struct {
			Counts map[string]any `json:"counts"`
		} `json:"accounts"`
		Exceptions []struct {
			Verdict, Tier, Meaning string
			Reasons                []string
		} `json:"exceptions"`
	}
	must(t, json.Unmarshal([]byte(out), &r))
	for _, e := range everyVerdict {
		found := false
		for _, a := range r.Accounts {
			n, _ := a.Counts[strings.ReplaceAll(e.verdict.String(), "-", "_")].(float64)
			found = found || n > 0
		}
		if !found {
			t.Errorf("JSON: no count of %v: %+v", e.verdict, r.Accounts)
		}
	}
	for _, x := range r.Exceptions {
		if e := everyVerdict[index(x.Verdict)]; e.tier != mailproof.TierNone && x.Tier != e.tier.String() || e.reason != "" && !strings.Contains(strings.Join(x.Reasons, " "), e.reason) {
			t.Errorf("JSON: exception %+v, want %v, %v", x, e.tier, e.reason)
		}
	}

	if out, errOut, code := b.offline("report"); code == 2 {
		t.Fatal(out, errOut)
	}
	page, err := os.ReadFile(filepath.Join(b.dir, "report.html"))
	must(t, err)
	inPlainWords(t, "HTML", html.UnescapeString(regexp.MustCompile(`(?s)<(script|style).*?</(script|style)>|<[^>]*>`).ReplaceAllString(string(page), " ")))
	totext, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Log("pdftotext is not installed: the PDF is not looked at; see testdata/install.sh")
		return
	}
	text, err := exec.CommandContext(t.Context(), totext, filepath.Join(b.dir, "report.pdf"), "-").Output()
	must(t, err)
	inPlainWords(t, "PDF", string(text))
}

func index(verdict string) int {
	for i, e := range everyVerdict {
		if e.verdict.String() == verdict {
			return i
		}
	}
	return len(everyVerdict) - 1
}

// customerWords are what the report calls a verdict where that is not its name.
var customerWords = map[mailproof.MessageVerdict]string{
	mailproof.DuplicateSurplus: "surplus duplicate", mailproof.DuplicateCollapsed: "collapsed duplicate",
	mailproof.IdenticalNormalised: "identical, normalised", mailproof.EquivalentWithNotes: "equivalent, with notes",
}

// inPlainWords holds that a document names each verdict and, of those on source
// messages, which its table of tiers is about, says what it proves.
func inPlainWords(t *testing.T, form, text string) {
	t.Helper()
	plain := func(s string) string {
		return strings.ToLower(regexp.MustCompile(`[\s\p{Zs}\x{00AD}-]+`).ReplaceAllString(s, ""))
	}
	text = plain(text)
	for _, e := range everyVerdict {
		if !strings.Contains(text, plain(cmp.Or(customerWords[e.verdict], e.verdict.String()))) {
			t.Errorf("%s: %v is not named", form, e.verdict)
		}
		if !strings.Contains(text, plain(e.verdict.Meaning())) {
			t.Errorf("%s: it is not said what %v means: %s", form, e.verdict, e.verdict.Meaning())
		}
	}
}
