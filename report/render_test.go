package report

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// matrix is what is rendered: few and many accounts, none to thousands of
// exceptions, every verdict, hostile texts.
var matrix = []sample{
	{bare: true},
	{accounts: 1, verdict: mailproof.Complete},
	{accounts: 1, exceptions: 7, verdict: mailproof.Inconclusive, hostile: true},
	{accounts: 12, verdict: mailproof.Complete},
	{accounts: 12, exceptions: 7, verdict: mailproof.CompleteWithAcceptedExceptions},
	{accounts: 12, exceptions: 300, verdict: mailproof.CompleteWithAcceptedExceptions, hostile: true},
	{accounts: 12, exceptions: 8, verdict: mailproof.Incomplete},
	{accounts: 12, exceptions: 20, verdict: mailproof.Inconclusive},
	{accounts: 12, exceptions: 5000, verdict: mailproof.Incomplete},
	{accounts: 300, exceptions: 300, verdict: mailproof.Incomplete, whole: true},
	{accounts: 12, exceptions: 12, verdict: mailproof.CompleteWithAcceptedExceptions, whole: true},
}

// tool finds a program that a test needs as a witness. In CI it must be there.
func tool(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing: %v", name, err)
		}
		t.Skipf("%s is missing: %v", name, err)
	}
	return path
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", filepath.Base(name), err, out.String(), errs.String())
	}
	return out.String()
}

func html(t testing.TB, d *Document) string {
	t.Helper()
	var b bytes.Buffer
	if err := d.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func pdfFile(t testing.TB, d *Document) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), PDFName)
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.WritePDF(f, PDFOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

var styleElement = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

// The page asks nothing of anybody, and its own policy lets through nothing
// but its own style sheet.
func TestHTMLPolicy(t *testing.T) {
	for _, s := range matrix {
		text := html(t, s.document())
		styles := styleElement.FindAllStringSubmatch(text, -1)
		if len(styles) != 1 {
			t.Fatalf("%v: %d style sheets", s, len(styles))
		}
		sum := sha256.Sum256([]byte(styles[0][1]))
		policy := `content="default-src 'none'; style-src 'sha256-` + base64.StdEncoding.EncodeToString(sum[:]) + `'; img-src data:; base-uri 'none'; form-action 'none'"`
		if !strings.Contains(text, policy) {
			t.Errorf("%v: the policy does not name the hash of the style sheet", s)
		}
		if strings.Index(text, "Content-Security-Policy") > strings.Index(text, "<style>") {
			t.Errorf("%v: the policy comes after the style sheet", s)
		}
		for _, bad := range []string{" style=", "<script", "<link", "<img", "<iframe", "http://", "https://", "url(h", "@import", "onerror=alert(1)>\"", "ZgotmplZ", "\x00", "\u202e"} {
			if strings.Contains(text, bad) {
				t.Errorf("%v: the page contains %q", s, bad)
			}
		}
	}
}

// What a reader who does not see needs: a language, a caption for tables,
// scopes for heads, words for pictures, and no id twice.
func TestHTMLAccessible(t *testing.T) {
	text := html(t, sample{accounts: 12, exceptions: 8, verdict: mailproof.Incomplete}.document())
	if !strings.Contains(text, `<html lang="en">`) {
		t.Error("no language")
	}
	for _, th := range regexp.MustCompile(`<th[^>]*>`).FindAllString(text, -1) {
		if th != "<thead>" && !strings.Contains(th, "scope=") && !strings.Contains(th, `colspan="7"`) && !strings.Contains(th, "<th>") && !strings.Contains(th, `class="last"`) {
			t.Errorf("a head without scope: %s", th)
		}
	}
	for _, svg := range regexp.MustCompile(`<svg[^>]*>(<title>)?`).FindAllString(text, -1) {
		if !strings.Contains(svg, "aria-hidden") && !strings.Contains(svg, "aria-label") && !strings.Contains(svg, "<title>") {
			t.Errorf("a picture without words: %s", svg)
		}
	}
	ids := regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(text, -1)
	seen := map[string]bool{}
	for _, m := range ids {
		if seen[m[1]] {
			t.Errorf("id %q twice", m[1])
		}
		seen[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(text, -1) {
		if !seen[m[1]] {
			t.Errorf("a link to %q, which is nowhere", m[1])
		}
	}
}

// A layout's class stands for one set of columns.
func TestTableLayouts(t *testing.T) {
	for _, s := range matrix {
		layouts := map[string][]column{}
		for _, sec := range s.document().outline().Sections {
			for _, b := range sec.Blocks {
				if b.Table == nil {
					continue
				}
				sum := 0.0
				for _, c := range b.Table.Columns {
					sum += c.Width
				}
				if sum < 99.5 || sum > 100.5 {
					t.Errorf("%v: the columns of %s are %g %% wide", s, b.Table.Class, sum)
				}
				for _, r := range b.Table.Rows {
					if r.Kind != groupRow && len(r.Cells) != len(b.Table.Columns) {
						t.Errorf("%v: a row of %s has %d cells, not %d", s, b.Table.Class, len(r.Cells), len(b.Table.Columns))
					}
				}
				if was, ok := layouts[b.Table.Class]; ok && !slices.EqualFunc(was, b.Table.Columns, func(a, b column) bool { return a.Width == b.Width }) {
					t.Errorf("%v: two layouts are called %s", s, b.Table.Class)
				}
				layouts[b.Table.Class] = b.Table.Columns
			}
		}
	}
}

// Foreign text arrives as text.
func TestHTMLHostile(t *testing.T) {
	text := html(t, sample{accounts: 17, exceptions: 34, verdict: mailproof.Incomplete, hostile: true}.document())
	for _, must := range []string{"&lt;/script&gt;&lt;script&gt;alert(1)", "&lt;img src=x onerror=alert(1)&gt;", "invoice⟨U&#43;202E⟩gpj.exe", "{nb} pages of {nb}", "<bdi>שלום"} {
		if !strings.Contains(text, must) {
			t.Errorf("%q is not there", must)
		}
	}
}

// qpdf, pdffonts and pdftotext are independent of what wrote the file.
func TestPDFMatrix(t *testing.T) {
	qpdf, fonts, totext := tool(t, "qpdf"), tool(t, "pdffonts"), tool(t, "pdftotext")
	for _, s := range matrix {
		t.Run(s.String(), func(t *testing.T) {
			d := s.document()
			name := pdfFile(t, d)
			if out := run(t, qpdf, "--check", name); !strings.Contains(out, "No syntax or stream encoding errors") {
				t.Errorf("qpdf: %s", out)
			}
			lines := strings.Split(strings.TrimSpace(run(t, fonts, name)), "\n")[2:]
			if len(lines) == 0 {
				t.Error("no fonts")
			}
			for _, line := range lines {
				if f := strings.Fields(line); !slices.Equal(f[len(f)-5:len(f)-2], []string{"yes", "no", "yes"}) && f[len(f)-5] != "yes" {
					t.Errorf("a font is not embedded: %s", line)
				}
			}
			pages := strings.Split(strings.TrimSuffix(run(t, totext, "-layout", name, "-"), "\f"), "\f")
			checkExecutive(t, d, pages)
			checkNumbers(t, d, pages)
			if s.whole && s.accounts < 20 {
				checkEveryNumber(t, d, strings.Join(pages, " "))
			}
			for i, p := range pages {
				if want := fmt.Sprintf("%d of %d", i+1, len(pages)); !strings.Contains(p, want) {
					t.Errorf("page %d does not say %q", i+1, want)
				}
			}
		})
	}
}

// checkExecutive looks for page one on page one, and for nothing of it on
// another.
func checkExecutive(t *testing.T, d *Document, pages []string) {
	t.Helper()
	page := pages[0]
	for _, must := range append(verdictLines(d.Verdict), "What was found", "Identity of this report", or(d.Evidence.Bundle, "not sealed"), "Date,", "The ledger") {
		if !strings.Contains(page, must) {
			t.Errorf("page 1 does not say %q", must)
		}
	}
	for i, p := range pages[1:] {
		if strings.Contains(p, "What was found") || strings.Contains(p, "Date, signature") {
			t.Errorf("page one runs over to page %d", i+2)
		}
	}
	if !strings.Contains(pages[1], "Contents") {
		t.Error("page 2 does not begin with the contents")
	}
	for _, want := range equationLines(d) {
		if !slices.ContainsFunc(strings.Split(page, "\n"), func(line string) bool { return slices.Equal(numbersOf(line), want) }) {
			t.Errorf("page 1 has no line with %v", want)
		}
	}
}

// equationLines are the numbers of the two lines of the ledger equation, as
// report.json has them.
func equationLines(d *Document) [][]string {
	l := d.JSON().Ledger
	s, r := l.SourceTerms, l.DestinationTerms
	source := []int64{l.Source, s.Identical, s.Equivalent, s.Relocated, s.Altered, s.Missing}
	destination := []int64{l.Destination, r.Paired, r.Extra, r.DuplicateSurplus}
	if s.DuplicateCollapsed > 0 {
		source = append(source, s.DuplicateCollapsed)
	}
	source = append(source, s.Excluded)
	if s.NotChecked+r.NotChecked > 0 {
		source, destination = append(source, s.NotChecked), append(destination, r.NotChecked)
	}
	var lines [][]string
	for _, numbers := range [][]int64{append(source, s.Unreadable), append(destination, r.Unreadable)} {
		lines = append(lines, convert(numbers, comma))
	}
	return lines
}

// numbersOf are the numbers of a line, without the signs between them.
func numbersOf(line string) []string {
	return strings.Fields(strings.NewReplacer("+", " ", "=", " ").Replace(line))
}

// The page of the browser has the equation of report.json too, in its order.
func TestHTMLEquation(t *testing.T) {
	rows := regexp.MustCompile(`(?s)<tr class="num">(.*?)</tr>`)
	tag := regexp.MustCompile(`<[^>]*>`)
	for _, s := range matrix {
		d := s.document()
		var got [][]string
		for _, m := range rows.FindAllStringSubmatch(html(t, d), -1) {
			got = append(got, numbersOf(strings.ReplaceAll(tag.ReplaceAllString(m[1], " "), "&#43;", "+")))
		}
		if want := equationLines(d); !slices.EqualFunc(got, want, slices.Equal[[]string]) {
			t.Errorf("%v: the page has %v, report.json %v", s, got, want)
		}
	}
}

// checkNumbers looks for every count of report.json in its row: of accounts in
// 7.1 (or its annex), of folders in 7.4.
func checkNumbers(t *testing.T, d *Document, pages []string) {
	t.Helper()
	if len(d.Accounts) < 2 || strings.ContainsAny(d.Accounts[0].Account, "م") {
		return // hostile names are not to be found by a plain search
	}
	rows := map[string]bool{}
	for _, p := range pages {
		for _, line := range strings.Split(p, "\n") {
			fields := slices.DeleteFunc(strings.Fields(line), func(f string) bool { return strings.HasPrefix(f, "+") }) // written beside the bar
			rows[strings.Join(fields, " ")] = true
		}
	}
	find := func(what string, fields ...string) {
		want := strings.Join(fields, " ")
		if !rows[want] {
			t.Errorf("no row for %s: %s", what, want)
		}
	}
	for _, a := range d.JSON().Accounts {
		c := a.Counts
		find(a.Name, a.Name, comma(c.SourceMessages), comma(c.AllIdentical()), comma(c.AllEquivalent()), comma(c.Relocated), comma(c.Altered), comma(c.Missing), comma(c.Excluded), comma(c.Unverifiable),
			comma(c.DestinationMessages), comma(c.DestinationPairedHere), comma(c.Extra), comma(c.DuplicateSurplus))
		for _, f := range a.Folders {
			c := f.Counts
			destination := or(f.Destination, "none")
			state := f.SourceState.Before
			find(a.Name+", "+f.Source, f.Source, destination, fmt.Sprint(state.UIDValidity), comma(int64(state.UIDNext)), comma(c.SourceMessages), comma(c.AllIdentical()), comma(c.AllEquivalent()),
				comma(c.Relocated), comma(c.Altered), comma(c.Missing), comma(c.Unverifiable), comma(c.DestinationMessages))
		}
	}
	all := strings.Join(pages, " ")
	if len(d.listed()) <= wholeList {
		for _, e := range d.listed() {
			if !strings.Contains(all, e.ID) {
				t.Errorf("exception %s is not there", e.ID)
			}
		}
	}
}

// checkEveryNumber looks for every number of report.json on the pages, with
// commas or without, but for what the pages say in another unit: octets of
// accounts and passes, and the state of folders after reading where it is the
// same as before.
func checkEveryNumber(t *testing.T, d *Document, text string) {
	t.Helper()
	var b bytes.Buffer
	if err := d.WriteJSON(&b); err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(&b)
	dec.UseNumber()
	var tree map[string]any
	if err := dec.Decode(&tree); err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, word := range regexp.MustCompile(`[−+]?\d[\d,]*`).FindAllString(text, -1) {
		there[strings.ReplaceAll(strings.TrimRight(word, ","), ",", "")] = true
	}
	seen := 0
	var walk func(path string, v any)
	walk = func(path string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, key := range sortedKeys(v) {
				switch key {
				case "counts": // added up in their rows, which checkNumbers looks for
				case "bytes", "source_bytes", "destination_bytes", "octets", "exists", "size_classes.below", "exit_code", "below", "max_ttl", "min_ttl":
				default:
					walk(path+"."+key, v[key])
				}
			}
		case []any:
			for i, e := range v {
				walk(fmt.Sprintf("%s[%d]", path, i), e)
			}
		case json.Number:
			seen++
			if !there[v.String()] {
				t.Errorf("%s %s is on no page", path, v)
			}
		}
	}
	walk("", tree)
	if seen < 1000 {
		t.Errorf("looked for %d numbers only", seen)
	}
}

// The same document gives the same octets, in every medium.
func TestDeterministic(t *testing.T) {
	for _, s := range []sample{matrix[0], matrix[2], matrix[4], matrix[8]} {
		d := s.document()
		for name, write := range map[string]func(io.Writer) error{
			"HTML": d.WriteHTML, "JSON": d.WriteJSON, "PDF": func(w io.Writer) error { return d.WritePDF(w, PDFOptions{}) },
		} {
			var one, two bytes.Buffer
			if err := errors.Join(write(&one), write(&two)); err != nil {
				t.Fatal(err)
			}
			if one.Len() == 0 || !bytes.Equal(one.Bytes(), two.Bytes()) {
				t.Errorf("%v: two runs of %s differ", s, name)
			}
		}
	}
}

// A subject that looks like the library's page count stays what it is.
func TestPageCountAliasIsText(t *testing.T) {
	totext := tool(t, "pdftotext")
	d := sample{accounts: 7, exceptions: 14, verdict: mailproof.Incomplete}.document()
	for i := range d.Exceptions {
		d.Exceptions[i].Subject = "{nb} pages of {nb}"
	}
	text := run(t, totext, pdfFile(t, d), "-")
	if n := strings.Count(text, "{nb} pages of {nb}"); n < 14 {
		t.Errorf("found %d of 14", n)
	}
}

// Numbers up to thousands of millions are printed whole and stand apart.
func TestHugeNumbers(t *testing.T) {
	totext := tool(t, "pdftotext")
	for _, factor := range []int64{100, 10_000} {
		d := sample{accounts: 2, exceptions: 3, verdict: mailproof.Incomplete}.document()
		for i := range d.Accounts {
			a := &d.Accounts[i]
			a.Counts = mailproof.Counts{}
			for j := range a.Folders {
				c := &a.Folders[j].Counts
				c.Identical, c.Missing, c.Extra, c.DuplicateCollapsed, c.NotChecked = c.Identical*factor, factor*3, factor*7, factor, factor
				c.DestinationPairedHere = c.Paired()
				c.SourceMessages, c.DestinationMessages = c.SourceSum(), c.DestinationSum()
				a.Counts.Add(*c)
			}
		}
		exceptions := d.Exceptions
		d.FromAccounts(d.Accounts, d.DNS)
		d.Exceptions = exceptions
		page := run(t, totext, "-layout", "-l", "1", pdfFile(t, d), "-")
		for _, want := range equationLines(d) {
			if !slices.ContainsFunc(strings.Split(page, "\n"), func(line string) bool { return slices.Equal(numbersOf(line), want) }) {
				t.Errorf("factor %d: page 1 has no line with %v", factor, want)
			}
		}
	}
}

// An error leaves the files of before and no rest.
func TestWriteFiles(t *testing.T) {
	dir := t.TempDir()
	d := sample{accounts: 1, verdict: mailproof.Complete}.document()
	if err := d.WriteFiles(dir, PDFOptions{}); err != nil {
		t.Fatal(err)
	}
	before := read(t, dir)
	if len(before) != 3 {
		t.Fatalf("%d files", len(before))
	}
	d.Issue = 9
	if err := d.WriteFiles(dir, PDFOptions{Fonts: [][]byte{[]byte("no font")}}); err == nil {
		t.Fatal("a font that is none was taken")
	}
	after := read(t, dir)
	if len(after) != len(before) {
		t.Errorf("%d files after an error, %d before", len(after), len(before))
	}
	for name, data := range before {
		if !bytes.Equal(after[name], data) {
			t.Errorf("%s was changed by a run that failed", name)
		}
	}
	if err := d.WriteFiles(dir, PDFOptions{}); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(read(t, dir)[JSONName], before[JSONName]) {
		t.Error("the new issue was not written")
	}
	if err := d.WriteFiles(filepath.Join(dir, "nowhere"), PDFOptions{}); err == nil {
		t.Error("files were written into a folder that is not there")
	}
}

func read(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]byte{}
	for _, e := range entries {
		if out[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// Whatever text stands wherever, all three are written.
func FuzzDocument(f *testing.F) {
	for _, s := range hostileTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1000 {
			text = text[:1000]
		}
		d := sample{accounts: 1, exceptions: 2, verdict: mailproof.Incomplete}.document()
		d.Engagement = Engagement{ID: text, Name: text, Customers: []Party{{text, text, text}}, Domains: []string{text}, Purpose: text}
		d.Accounts[0].Account, d.Accounts[0].Folders[0].Source, d.Command, d.Tool = text, text, text, text
		d.Accounts[0].SourceScan.Error = text
		for i := range d.Exceptions {
			e := &d.Exceptions[i]
			e.ID, e.Account, e.Mailbox, e.Subject, e.MessageID, e.Reasons = fmt.Sprint(i, text), text, text, text, text, []mailproof.Reason{{Code: text, Evidence: text}}
		}
		d.DNS[0].Observed, d.DNS[0].Remedy, d.Observations[0].Records = text, text, []string{text}
		d.SourceServers[0].ID, d.SourceServers[0].Capabilities = text, []string{text}
		page := html(t, d)
		if strings.Contains(page, "<script") || strings.Contains(page, "<img") || strings.Count(page, "</style>") != 1 {
			t.Errorf("%q became markup", text)
		}
		var b bytes.Buffer
		if err := d.WritePDF(&b, PDFOptions{}); err != nil || b.Len() < 1000 {
			t.Errorf("%q: %d octets, %v", text, b.Len(), err)
		}
		if err := d.WriteJSON(io.Discard); err != nil {
			t.Error(err)
		}
	})
}
