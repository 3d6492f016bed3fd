package report

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/report/chart"
	"github.com/mailproof/mailproof/report/pdf"
)

func TestCutMiddle(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
		want string
	}{
		{"anna@northgate.example", 22, "anna@northgate.example"},
		{"anna@northgate.example", 13, "anna@n…xample"},
		{"anna@northgate.example", 12, "anna@n…ample"},
		{"Zoe\u0308 Mu\u0308ller cafe\u0301", 14, "Zoe\u0308 M… cafe\u0301"}, // no letter without its mark
		{"Zoe\u0308 Mu\u0308ller cafe\u0301", 3, "Z…"},                       // and the other way round
		{"abcdef", 2, "a…"},
		{"", 5, ""},
		{"漢字漢字漢字漢字", 5, "漢字…漢字"},
	} {
		if got := cutMiddle(tt.name, tt.n); got != tt.want {
			t.Errorf("cutMiddle(%q, %d) = %q, want %q", tt.name, tt.n, got, tt.want)
		}
	}
	for _, text := range hostileTexts {
		for n := 1; n < 60; n++ {
			if got := cutMiddle(text, n); utf8.RuneCountInString(got) > max(n, 1) {
				t.Errorf("cutMiddle(%q, %d) has %d runes", text, n, utf8.RuneCountInString(got))
			}
		}
	}
}

// Names as long as RFC 5321 allows leave a table its rows: two lines for a name,
// with how it begins and how it ends.
func TestLongNames(t *testing.T) {
	totext := tool(t, "pdftotext")
	d := longNames(sample{accounts: 60, exceptions: 20, verdict: mailproof.Incomplete})
	text := run(t, totext, "-layout", pdfFile(t, d), "-")
	from := strings.Index(text, "7.1 ")
	if from < 0 {
		t.Fatal("there is no section 7.1")
	}
	from += strings.Index(text[from:], "Verdict per account, worst first")
	part := text[from:]
	if end := strings.Index(part, "Timeline of passes"); end > 0 {
		part = part[:end]
	}
	lines, ends := 0, 0
	for l := range strings.Lines(part) {
		if strings.TrimSpace(l) != "" {
			lines++
		}
		if strings.Contains(l, "example") {
			ends++
		}
	}
	// Of 60 accounts 20 are not complete and stand in the table one by one.
	if ends < 20 || lines > 20*3+20 {
		t.Errorf("7.1 has %d lines, and %d names end as they should:\n%s", lines, ends, part)
	}
	for _, name := range []string{"archive.00", "g.oneill"} {
		if !strings.Contains(part, name) {
			t.Errorf("%s does not begin so:\n%s", name, part)
		}
	}
}

// longName is an address with 64 octets before its @.
func longName(i int, a string) string {
	local := fmt.Sprintf("%s.%03d.", a, i)
	return local + strings.Repeat("department-of-surveys.", 4)[:64-len(local)] + "@mail.northgate-surveyors-limited.example"
}

// longNames is a document in which accounts and folders have long names.
func longNames(s sample) *Document {
	d := s.document()
	rename := map[string]string{}
	long := func(n string) string {
		if n == "" {
			return ""
		}
		if rename[n] == "" {
			rename[n] = longName(len(rename), n)
		}
		return rename[n]
	}
	folder := func(n string) string {
		if n == "" || n == "INBOX" {
			return n
		}
		return "Clients/Harbour and Docks Authority (2009–2019)/Correspondence with the engineers/Drawings and specifications/" + n
	}
	fix := func(list []mailproof.Exception) {
		for i := range list {
			list[i].Account, list[i].Mailbox = long(list[i].Account), folder(list[i].Mailbox)
			list[i].Key.Account, list[i].Key.Mailbox = list[i].Account, list[i].Mailbox
			list[i].Counterpart.Mailbox = folder(list[i].Counterpart.Mailbox)
		}
	}
	for i := range d.Accounts {
		a := &d.Accounts[i]
		a.Account = long(a.Account)
		a.SourceScan.Account, a.DestinationScan.Account = a.Account, a.Account
		for j := range a.Folders {
			f := &a.Folders[j]
			f.Source, f.Destination = folder(f.Source), folder(f.Destination)
		}
		for j := range a.Findings {
			a.Findings[j].Account, a.Findings[j].Mailbox = long(a.Findings[j].Account), folder(a.Findings[j].Mailbox)
		}
		fix(a.Exceptions)
	}
	fix(d.Exceptions)
	for i := range d.Findings {
		d.Findings[i].Account, d.Findings[i].Mailbox = long(d.Findings[i].Account), folder(d.Findings[i].Mailbox)
	}
	if d.Readiness != nil {
		for i := range d.Readiness.Accounts {
			d.Readiness.Accounts[i].Account = long(d.Readiness.Accounts[i].Account)
		}
	}
	d.Deletions = []Deletion{{Pass: 3, Account: long("archive"), Folder: folder("Sent Items"), UID: 44, SourceFolder: folder("Sent Items"), SourceUID: 41, State: "done"}}
	return d
}

// An address is parted behind its @ or a dot, and elsewhere only where that does
// not do: what stands between is read as a whole.
func TestNamesAreParted(t *testing.T) {
	sheet, err := pdf.New(pdf.Options{})
	if err != nil {
		t.Fatal(err)
	}
	l := &layout{s: sheet}
	st := setting{size: 6.8, leading: 1.38, paint: chart.Ink}
	room := l.s.Width(st.style(name), "northgate.example") + 0.5 // a column of 7.1
	for _, tt := range []struct {
		name, want string // lines, with a | between
	}{
		{"anna@northgate.example", "anna@|northgate.example"},
		{"erin@northgate.example", "erin@|northgate.example"}, // with a dot that would fit
		{"a.lindgren@a.example", "a.lindgren@|a.example"},
		{"anna@surveyors.mail.example", "anna@surveyors.|mail.example"},
		{"anna@a.example", "anna@a.example"},
		{"INBOX.Projects.Warehouse", "INBOX.Projects.|Warehouse"},
		{"Clients/Harbour Docks", "Clients/Harbour|Docks"},
		{"anna@northgatesurveyors.example", "anna@northgatesu|rveyors.example"},        // no line holds the part
		{"department-of-surveys@northgate.example", "department-of-|s…thgate.example"}, // nor do two hold the whole
	} {
		var got []string
		for _, line := range l.wrap(cell{{Text: tt.name, Style: name}}, room, st) {
			text := ""
			for _, f := range line.frags {
				text += f.text
			}
			if line.width > room {
				t.Errorf("%s: %q is wider than its column", tt.name, text)
			}
			got = append(got, text)
		}
		if text := strings.Join(got, "|"); text != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, text, tt.want)
		}
	}
}
