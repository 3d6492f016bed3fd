package report

import (
	"bufio"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/mailproof/mailproof/report/chart"
	"github.com/mailproof/mailproof/templates"
)

// WriteHTML writes the report as one self-contained page that asks nothing of
// anybody: its policy allows no request, and no style and no script but its own,
// whose hashes it names. It works from a file. Without JavaScript it lacks the
// list of single messages and nothing else; where that list is not in it, it
// has no script.
func (d *Document) WriteHTML(w io.Writer) error {
	buffered := bufio.NewWriterSize(w, 64<<10)
	doc, err := d.spoken()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := doc.outline().writeHTML(buffered, d.Brand); err != nil {
		return fmt.Errorf("report: HTML: %w", err)
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("report: HTML: %w", err)
	}
	return nil
}

// htmlPage is what the template sees.
type htmlPage struct {
	outline
	Policy      template.HTMLAttr
	Style       template.CSS
	Script      template.JS
	Logo        template.URL
	Definitions template.HTML
}

func (o outline) writeHTML(w io.Writer, brand Brand) error {
	css, err := o.style()
	if err != nil {
		return err
	}
	css += accentStyles(brand.Accent)
	page := htmlPage{
		outline:     o,
		Style:       template.CSS(css), // ours, but for the footer, which cssString escapes
		Definitions: template.HTML(`<svg class="defs" aria-hidden="true" focusable="false"><defs>` + chart.Definitions() + `</defs></svg>`),
	}
	scripts := ""
	if o.hasMessages() {
		text, err := templates.FS.ReadFile("list.js")
		if err != nil {
			return err
		}
		page.Script, scripts = template.JS(text), fmt.Sprintf(" script-src '%s';", sourceHash(string(text))) // ours
	}
	page.Policy = template.HTMLAttr(fmt.Sprintf(`content="default-src 'none'; style-src '%s';%s img-src data:; base-uri 'none'; form-action 'none'"`, sourceHash(css), scripts))
	logo, err := brand.logo()
	if err != nil {
		return fmt.Errorf("logo: %w", err)
	}
	if logo != nil {
		page.Logo = template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(logo.png)) // decoded and encoded by us
	}
	funcs := template.FuncMap{"t": o.T, "mark": func(m chart.Mark) (template.HTML, error) { return markSVG(m, o.T) }, "rows": func(l *messageList) (template.HTML, error) {
		// The list goes to the writer as it comes, where the template stands:
		// it would not fit into memory as text.
		return "", l.writeRows(w)
	}}
	tmpl, err := template.New("report.html").Funcs(htmlFuncs).Funcs(funcs).ParseFS(templates.FS, "report.html")
	if err != nil {
		return err
	}
	return tmpl.Execute(w, page)
}

// sourceHash names a text in a Content-Security-Policy.
func sourceHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

func (o outline) hasMessages() bool {
	for _, s := range o.Sections {
		for _, b := range s.Blocks {
			if b.Messages != nil {
				return true
			}
		}
	}
	return false
}

// style returns the style sheet with what depends on the document: widths of
// columns and the footer of printed pages.
func (o outline) style() (string, error) {
	base, err := templates.FS.ReadFile("report.css")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.Write(base)
	layouts := map[string][]column{}
	for _, s := range o.Sections {
		for _, k := range s.Blocks {
			if k.Table != nil {
				layouts[k.Table.Class] = k.Table.Columns
			}
		}
	}
	for _, class := range sortedKeys(layouts) {
		for i, c := range layouts[class] {
			fmt.Fprintf(&b, ".%s .c%d{width:%.2f%%}", class, i, c.Width)
		}
		b.WriteByte('\n')
	}
	for i, w := range ledgerWidths(o.Page) {
		fmt.Fprintf(&b, ".led .c%d{width:%.2f%%}", i, w)
	}
	const font = `font:6.5pt system-ui,"Segoe UI","DejaVu Sans",sans-serif;color:#5f6770`
	fmt.Fprintf(&b, "\n@page{size:A4;margin:15mm 17mm 16mm;@bottom-left{content:%s;%s}@bottom-right{content:%s;%s}}\n",
		cssString(o.Footer), font, o.pageOfPages(), font)
	return b.String(), nil
}

// pageOfPages is the number of a printed page in CSS.
func (o outline) pageOfPages() string {
	var parts []string
	for i, text := range strings.Split(o.T("%[1]s of %[2]s", "\x00", "\x00"), "\x00") {
		if text != "" {
			parts = append(parts, cssString(text))
		}
		if i < 2 {
			parts = append(parts, [...]string{"counter(page)", "counter(pages)"}[i])
		}
	}
	return strings.Join(parts, " ")
}

// cssString writes a text as a CSS string in which nothing but letters and
// digits of ASCII stands for itself.
func cssString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range visible(s) {
		if r < 128 && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\%06x`, r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// visible makes foreign text fit to be shown: characters that control the
// device or the direction of what follows are written out, so that no subject
// can pass for another one, and what is not UTF-8 is replaced.
func visible(s string) string {
	if isPlain(s) {
		return s
	}
	if !strings.ContainsFunc(s, controls) {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(s, "\uFFFD") {
		if controls(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// isPlain reports whether a text is of printable ASCII.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// controls reports what visible writes out. Zero width joiners stay: Indic
// scripts and emoji need them.
func controls(r rune) bool {
	switch r {
	case 0x200C, 0x200D, 0x00AD:
		return false
	case 0x2028, 0x2029:
		return true
	}
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r)
}

var htmlFuncs = template.FuncMap{
	"t":            func(text string, args ...any) string { return text }, // of the language, when it is known
	"show":         visible,
	"comma":        comma,
	"split":        func(s string) []string { return strings.Split(s, "\n") },
	"svg":          svg,
	"mark":         func(chart.Mark) string { return "" }, // of the language, too
	"last":         func(t []term) int { return len(t) - 1 },
	"under":        func(e executive, i int) *term { return underOf(e, i) },
	"ledgerWidths": ledgerWidths,
	"ledgerSize":   func(e executive) string { return [...]string{"", "n2", "n3", "n4"}[ledgerStep(e)] },
	"groupCells":   groupCells,
	"rowOf":        rowOf,
}

func svg(d any, class string) (template.HTML, error) {
	switch d := d.(type) {
	case chart.Drawing:
		return template.HTML(d.SVG(class)), nil // chart escapes every text
	case *chart.Drawing:
		return template.HTML(d.SVG(class)), nil // chart escapes every text
	}
	return "", fmt.Errorf("%T is no drawing", d)
}

// markSVG refers to a mark's symbol. Words stand beside nearly every mark; the
// verdict's in tables has none and says its own name.
func markSVG(m chart.Mark, say func(string, ...any) string) (template.HTML, error) {
	if !slices.Contains(chart.Marks(), m) {
		return "", fmt.Errorf("%q is no mark", m)
	}
	size := chart.Mark(m).Drawing().W
	class, label := "sw", `aria-hidden="true"`
	if name, ok := markNames[m]; ok {
		class, label = "vm", `role="img" aria-label="`+template.HTMLEscapeString(say(name))+`"`
	}
	return template.HTML(fmt.Sprintf(`<svg class="%s" viewBox="0 0 %g %g" %s><use href="#%s" width="%g" height="%g"/></svg>`, // a mark's name
		class, size, size, label, m, size, size)), nil
}

func underOf(e executive, i int) *term {
	if t, ok := e.Under[i]; ok {
		return &t
	}
	return nil
}

// ledgerWidths are the columns of the equation in percent: the total, then an
// operator and a number for each term.
func ledgerWidths(e executive) []float64 {
	if usual := []int{7, 6, 5, 4, 5, 5, 5}; len(e.Terms) == len(usual) && ledgerStep(e) == 0 {
		fits := true
		for i, most := range usual {
			fits = fits && termLetters(e, i) <= most
		}
		if fits {
			return []float64{13.6, 2.8, 12.6, 2.6, 10.6, 2.6, 9.8, 2.6, 7.6, 2.6, 8.4, 2.6, 9.8, 2.6, 9.2}
		}
	}
	const total, equals, plus = 13.6, 2.8, 2.4
	room := 100 - total - equals - plus*float64(len(e.Terms)-1)
	need := make([]float64, len(e.Terms))
	sum := 0.0
	for i, t := range e.Terms {
		n := termLetters(e, i)
		letters := 0
		for _, l := range t.Label {
			letters = max(letters, displayWidth(l))
		}
		per := 1.3
		if t.Hot && n > 3 {
			per = 1.5 // it is set in bold
		}
		need[i] = max(float64(n)*per, float64(letters)*0.76, 5)
		sum += need[i]
	}
	widths := []float64{total}
	for i := range e.Terms {
		operator := plus
		if i == 0 {
			operator = equals
		}
		widths = append(widths, operator, room*need[i]/sum)
	}
	return widths
}

// displayWidth is the length of a text in Latin letters: ideographs and kana
// are as wide as two.
func displayWidth(s string) int {
	n := 0
	for _, r := range s {
		if n++; r >= 0x2E80 {
			n++
		}
	}
	return n
}

// termLetters is the length of the longer of the two numbers that stand in the
// column of a term.
func termLetters(e executive, i int) int {
	n := len(comma(e.Terms[i].N))
	if under := underOf(e, i); under != nil {
		n = max(n, len(comma(under.N)))
	}
	return n
}

// ledgerStep is how far the type of the equation must step down for its
// numbers to fit: they are never abbreviated.
func ledgerStep(e executive) int {
	letters := len(comma(e.Source))
	for i := range e.Terms {
		letters += max(termLetters(e, i), 4)
	}
	switch {
	case letters <= 44 && len(comma(e.Source)) <= 9:
		return 0
	case letters <= 54:
		return 1
	case letters <= 66:
		return 2
	}
	return 3
}

// Bold and Class are the styles of a span in markup.
func (s span) Bold() bool { return s.Style&bold != 0 }

// Class names the classes of a span's style.
func (s span) Class() string {
	var c []string
	if s.Style&mono != 0 {
		c = append(c, "m")
	}
	if s.Style&small != 0 {
		c = append(c, "s")
	}
	if s.Style&faint != 0 {
		c = append(c, "z")
	}
	if s.Style&nowrap != 0 && s.Link == "" {
		c = append(c, "w")
	}
	return strings.Join(c, " ")
}

// IsAddress reports whether the text is a name with an @ in it.
func (s span) IsAddress() bool { return s.Style&name != 0 && strings.Contains(s.Text, "@") }

// Parts are those of an address between which a line may end.
func (s span) Parts() []string { return strings.SplitAfter(s.Text, "@") }

// Class names the classes of a column's cells.
func (c column) Class() string {
	var names []string
	if c.Right {
		names = append(names, "r")
	}
	if c.Pad {
		names = append(names, "pad")
	}
	return strings.Join(names, " ")
}

// Body are the rows before the totals.
func (t *table) Body() []row { return t.Rows[:t.total()] }

// Totals are the rows of the sum.
func (t *table) Totals() []row {
	from := t.total()
	to := from
	for to < len(t.Rows) && t.Rows[to].Kind == totalRow {
		to++
	}
	return t.Rows[from:to]
}

// After are the rows behind the totals, which are no part of the sum.
func (t *table) After() []row { return t.Rows[t.total()+len(t.Totals()):] }

// total is where the totals begin.
func (t *table) total() int {
	if i := slices.IndexFunc(t.Rows, func(r row) bool { return r.Kind == totalRow }); i >= 0 {
		return i
	}
	return len(t.Rows)
}

// groupCells are the cells of the row over the heads; one without a title is a
// gap.
func groupCells(t *table) []columnGroup {
	var out []columnGroup
	at := 0
	for _, g := range t.Groups {
		if g.First > at {
			out = append(out, columnGroup{Span: g.First - at})
		}
		out = append(out, g)
		at = g.First + g.Span
	}
	return out
}

type classedCell struct {
	Class string
	Cell  cell
}

func rowOf(t *table, r row) []classedCell {
	out := make([]classedCell, len(t.Columns))
	for i, c := range t.Columns {
		out[i].Class = c.Class()
		if i < len(r.Cells) {
			out[i].Cell = r.Cells[i]
		}
	}
	return out
}
