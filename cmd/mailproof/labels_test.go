package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/report"
)

// Labels through a whole run: one whose folder the source hides from IMAP goes
// with no copy, and is named; whoever puts the message there sees it gone.
func TestLabelsThroughARun(t *testing.T) {
	t.Parallel()
	plain := imapmem.Options{Name: "Dovecot", Folders: []imapmem.Folder{{Name: "Sent", Use: mailproof.UseSent}}}
	for _, tt := range []struct {
		name     string
		from, to imapmem.Options
		warned   bool
	}{
		{"Gmail to Gmail", imapmem.GmailLike(), imapmem.GmailLike(), true},
		{"Gmail to a plain server", imapmem.GmailLike(), plain, true},
		{"a plain server to Gmail", plain, imapmem.GmailLike(), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBetween(t, tt.from, tt.to)
			src, dst := b.source.Account("anna"), b.destination.Account("anna")
			if tt.from.Gmail {
				gmailAccount(t, src)
				must(t, src.HideLabel("INBOX", 2, "Steuer & Übriges"))
			} else {
				src.Append("INBOX", letter("number 1", 3), nil, sentOn)
				src.Append("Work", letter("number 1", 3), nil, sentOn)
			}
			r := b.run()
			if r.Verdict != mailproof.Complete || labelsFinding(r) != tt.warned {
				t.Fatalf("%s, %+v, findings %+v", r.Verdict, r.Accounts[0].Counts, r.Accounts[0].Findings)
			}
			lines, errOut, code := b.offline("diff", "--format", "lines")
			if code != 0 {
				t.Fatal(code, errOut)
			}
			named := 0
			for line := range strings.Lines(lines) {
				if strings.Contains(line, "label-missing") {
					named++
					if !strings.HasPrefix(line, "=") || !strings.Contains(line, " uid 2 ") || !strings.Contains(line, " identical ") || !strings.Contains(line, "“Steuer & Übriges”") {
						t.Errorf("%q", line)
					}
				}
			}
			if want := map[bool]int{true: 1}[tt.warned]; named != want {
				t.Errorf("%d lines name a label, want %d\n%s", named, want, lines)
			}
			if !tt.warned {
				return
			}

			// Explained, with the labels of the source.
			out, errOut, code := b.offline("explain", "anna", "INBOX", "2")
			if code != 0 || !strings.Contains(out, "Steuer & Übriges") || !strings.Contains(out, "label-missing") || !strings.Contains(out, "Show") && !strings.Contains(out, "let IMAP show it") {
				t.Errorf("exit code %d\n%s%s", code, out, errOut)
			}

			// Put where it belongs, as a folder or as a label that is hidden too.
			if tt.to.Gmail {
				must(t, dst.HideLabel("INBOX", 2, "Steuer & Übriges"))
			} else {
				dst.Create("Steuer & Übriges")
				dst.Append("Steuer & Übriges", dst.Messages("INBOX")[1].Raw, nil, sentOn)
			}
			if _, errOut, code := b.mailproof("inventory", "--side", "destination"); code != 0 {
				t.Fatal(code, errOut)
			}
			out, _, code = b.offline("diff", "--json")
			must(t, json.Unmarshal([]byte(out), &r))
			if code != 0 || labelsFinding(r) {
				t.Errorf("exit code %d, %+v", code, r.Accounts[0].Findings)
			}
		})
	}
}

// offline runs a command that needs the ledger alone.
func (b *between) offline(args ...string) (stdout, stderr string, code int) {
	var out, errOut bytes.Buffer
	code = run(b.Context(), append(args, "--dir", b.dir), strings.NewReader(""), &out, &errOut)
	return out.String(), errOut.String(), code
}

func labelsFinding(r report.JSON) bool {
	return slices.ContainsFunc(r.Accounts[0].Findings, func(f report.JSONCheck) bool { return f.Check == "messages.labels" })
}

// A label that changes between two passes is seen by the second.
func TestLabelsChange(t *testing.T) {
	t.Parallel()
	b := newBetween(t, imapmem.GmailLike(), imapmem.GmailLike())
	a := b.source.Account("anna")
	for i := range 3 {
		a.Append("INBOX", letter(fmt.Sprintf("number %d", i), 3), nil, sentOn)
	}
	if labelsFinding(b.run()) {
		t.Fatal("a label is missing before there is one")
	}
	must(t, a.HideLabel("INBOX", 3, "New"))
	if r := b.run(); !labelsFinding(r) {
		t.Errorf("%+v", r.Accounts[0].Findings)
	}
}
