package report

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/templates"
)

// What a report of agreed procedures may not say.
var forbidden = regexp.MustCompile(`(?i)certif(y|ied|ies)\b|guarantee|tamper-?\s?proof|proves?\s+(that\s+)?nothing|nothing\s+(was|is|has\s+been)\s+lost|legally\s+admissible|admissib|` +
	`\b(GDPR|SEC|HIPAA)[- ]compliant|compliant\s+with|\ball\s+data\b|every\s+e-?mail\s+was|successfully\s+migrated|100\s*%\s+complete|zero\s+loss|fully\s+migrated|lossless`)

func TestForbiddenCatches(t *testing.T) {
	for _, s := range []string{"This is certified.", "guaranteed", "tamper-proof", "proves nothing was lost", "legally admissible", "GDPR compliant", "GDPR-compliant", "all data", "100 % complete"} {
		if !forbidden.MatchString(s) {
			t.Errorf("%q is not caught", s)
		}
	}
	for _, s := range []string{"certificate valid to 2 Mar 2027", "tamper-evident", "could not be read; proves nothing"} {
		if s != "could not be read; proves nothing" && forbidden.MatchString(s) {
			t.Errorf("%q is caught", s)
		}
	}
}

// The fixed texts are the string literals of this package and the templates.
func TestFixedTexts(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	more, err := filepath.Glob("chart/*.go")
	if err != nil {
		t.Fatal(err)
	}
	literals := 0
	for _, file := range append(files, more...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
				literals++
				text, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				if m := forbidden.FindString(text); m != "" {
					t.Errorf("%s: %q in %q", file, m, text)
				}
			}
			return true
		})
	}
	if literals < 300 {
		t.Fatalf("read %d literals only", literals)
	}
	for _, name := range []string{"report.html", "report.css", "list.js"} {
		text, err := templates.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if m := forbidden.Find(text); m != nil {
			t.Errorf("%s: %q", name, m)
		}
	}
}

// Words may also come together from pieces, or from the root package: look at
// whole reports.
func TestRenderedTexts(t *testing.T) {
	tag := regexp.MustCompile(`<[^>]*>`)
	for _, v := range allVerdicts {
		n := 7
		if v == mailproof.Complete {
			n = 0
		}
		var b bytes.Buffer
		if err := (sample{accounts: 3, exceptions: n, verdict: v}).document().WriteHTML(&b); err != nil {
			t.Fatal(err)
		}
		text := tag.ReplaceAllString(b.String(), " ")
		// The root package's meaning of unverifiable, which is the opposite
		// of a claim.
		text = strings.ReplaceAll(text, "could not be read; proves nothing", "")
		if m := forbidden.FindString(text); m != "" {
			t.Errorf("%v: the report says %q", v, m)
		}
		for _, must := range []string{"Contacts, calendars, rules, delegates and local PST files lie outside IMAP", "not sealed", "as reported by the IMAP servers"} {
			if !strings.Contains(strings.ToLower(text), strings.ToLower(must)) {
				t.Errorf("%v: the report does not say %q", v, must)
			}
		}
	}
}

// randomCounts are counts that add up, most terms zero.
func randomCounts(r *rand.Rand) mailproof.Counts {
	var c mailproof.Counts
	for _, term := range []*int64{&c.Identical, &c.IdenticalNormalised, &c.Equivalent, &c.EquivalentWithNotes, &c.Altered, &c.Missing, &c.DuplicateCollapsed, &c.Relocated,
		&c.Unverifiable, &c.Excluded, &c.NotChecked, &c.Extra, &c.DuplicateSurplus, &c.DestinationUnreadable, &c.DestinationNotChecked} {
		if r.IntN(3) == 0 {
			*term = r.Int64N(200_000)
		}
	}
	c.DestinationPairedHere = c.Paired()
	c.SourceMessages, c.DestinationMessages = c.SourceSum(), c.DestinationSum()
	return c
}

var wholly = regexp.MustCompile(`(^|[^.\d])100 %`)

// "100 %" and "All … were found" may stand only where nothing is missing,
// unread or unchecked; whatever the counts, the text has no empty place.
func TestNothingShortOfTheWholeIsTheWhole(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	whole := 0
	for range 20_000 {
		c := randomCounts(r)
		d := &Document{Totals: c, Accounts: []mailproof.AccountResult{{Counts: c, Folders: []mailproof.FolderResult{{Source: "INBOX", Counts: c}}}}, Verdict: allVerdicts[r.IntN(4)], Depth: mailproof.DepthFull}
		d.SourceWindow.Span(sampleTime)
		d.DestinationWindow.Span(sampleTime)
		text := d.Share() + " " + d.Scope()
		if wholly.MatchString(text) {
			whole++
			if c.Missing+c.Unverifiable+c.NotChecked+c.DestinationUnreadable+c.DestinationNotChecked+c.DuplicateCollapsed != 0 || d.Verdict == mailproof.Inconclusive {
				t.Fatalf("%q of %+v", text, c)
			}
		}
		for _, s := range []string{text, d.Lead()} {
			if strings.Contains(s, "%!") || strings.Contains(s, "  ") && s != text || strings.Contains(s, " .") || strings.Contains(s, ": .") {
				t.Fatalf("%q of %+v", s, c)
			}
		}
		if lead := d.Lead(); strings.HasPrefix(lead, "All ") && strings.Contains(lead, "found") && c.Missing+c.Altered+c.Unverifiable+c.NotChecked > 0 {
			t.Fatalf("%v: %q of %+v", d.Verdict, lead, c)
		}
		if c.Missing > 0 && d.Verdict != mailproof.Complete && !strings.Contains(d.Lead(), comma(c.Missing)) {
			t.Fatalf("%v: %q does not say that %s are missing", d.Verdict, d.Lead(), comma(c.Missing))
		}
	}
	if whole == 0 {
		t.Error("nothing was ever the whole: the test shows nothing")
	}
}

// The lead agrees with the verdict it stands under.
func TestLead(t *testing.T) {
	for v, begins := range map[mailproof.Verdict]string{
		mailproof.Complete:                       "All 292,429 messages in scope were found on the new server: 277,741 identical, 14,676 equivalent and 12 equal in another folder.",
		mailproof.CompleteWithAcceptedExceptions: "Of 313,830 source messages, 7 did not arrive intact: 5 were altered and 2 are missing.",
		mailproof.Incomplete:                     "2 of 313,830 source messages are missing: no counterpart was found on the new server. 5 more arrived altered. 7 exceptions await a decision.",
		mailproof.Inconclusive:                   "No conclusion can be drawn: nothing can be said of 7 of 313,830 source messages.",
	} {
		s := sample{accounts: 12, exceptions: 7, verdict: v}
		if v == mailproof.Complete {
			s.exceptions = 0
		}
		if got := s.document().Lead(); !strings.HasPrefix(got, begins) {
			t.Errorf("%v: %s", v, got)
		}
	}
}

// A ledger that does not balance is said on page one.
func TestImbalanceIsSaid(t *testing.T) {
	d := sample{accounts: 2, verdict: mailproof.Complete}.document()
	d.Totals.SourceMessages += 3
	d.Verdict = mailproof.Inconclusive
	if got := d.executive().LedgerNote[0].Text; !strings.Contains(got, "source differs by 3") {
		t.Errorf("note %q", got)
	}
	if got := d.Lead(); !strings.Contains(got, "does not balance") {
		t.Errorf("lead %q", got)
	}
	if got := d.Share(); got != "" {
		t.Errorf("share %q of a ledger that does not balance", got)
	}
}
