package report

import (
	"github.com/mailproof/mailproof/report/chart"
)

// The outline is the report between Document and page: which words, numbers,
// tables and pictures stand where. It is made once, from the Document alone,
// and laid out by html.go and by pdf.go; neither adds a number of its own.

// outline is the whole report.
type outline struct {
	Title    string
	Language string
	Footer   string
	// T is a fixed text in the report's language, for what a medium adds.
	T        func(text string, args ...any) string
	Page     executive
	Sections []section
}

// section is one numbered section.
type section struct {
	ID, No, Title string
	NewPage       bool
	Blocks        []block
}

// block is one of the things that a section consists of; exactly one field is
// set.
type block struct {
	Heading    *heading
	Note       cell // small print over the measure
	Definition []definition
	Procedure  []cell // numbered
	Table      *table
	Figure     *figure
	Legend     []cell
	Listing    []string // fixed-width lines
	Signatures []signature
	Annex      *annex
	Messages   *messageList
}

type heading struct{ ID, No, Title string }

type definition struct {
	Term string
	Text cell
}

// style says how a span is set. Styles add up.
type style uint8

const (
	bold   style = 1 << iota
	mono         // hashes, records, replies
	small        // second line of a cell
	faint        // a zero, which must be seen to have been counted
	nowrap       // not to be parted
	name         // of an account or a folder: in the PDF two lines at most, cut in the middle
)

// span is a piece of text in one style.
type span struct {
	Text    string
	Style   style
	Foreign bool       // comes from mail, servers or people: isolate it
	Mark    chart.Mark // stands before the text
	Link    string     // anchor inside the report
	Break   bool       // begins a new line
	Picture *chart.Drawing
}

// cell is a line or paragraph of spans.
type cell []span

// longestPath is how much of a name of an account or a folder a page shows, in
// runes; the attached tables have all of it.
const longestPath = 160

func words(s string) cell   { return cell{{Text: s}} }
func foreign(s string) cell { return cell{{Text: s, Foreign: true}} }
func nameOf(s string) cell {
	return cell{{Text: cutMiddle(s, longestPath), Style: name, Foreign: true}}
}
func fixed(s string) cell                { return cell{{Text: s, Style: mono, Foreign: true}} }
func marked(m chart.Mark, s string) cell { return cell{{Text: s, Mark: m}} }

func (c cell) and(s ...span) cell { return append(c[:len(c):len(c)], s...) }

// number prints a count: a zero faintly, and what needs eyes in bold.
func number(n int64, hot bool) cell {
	switch {
	case n == 0:
		return cell{{Text: "0", Style: faint | nowrap}}
	case hot:
		return cell{{Text: comma(n), Style: bold | nowrap}}
	}
	return cell{{Text: comma(n), Style: nowrap}}
}

// column is a column of a table; widths are in percent of the text width.
type column struct {
	Head  string
	Width float64
	Right bool
	Pad   bool // space before it, to part two groups
}

// columnGroup stands over several columns.
type columnGroup struct {
	Title       string
	First, Span int
}

type table struct {
	Class   string // names the layout in the style sheet
	Caption cell
	Columns []column
	Groups  []columnGroup
	Rows    []row
	Middle  bool // cells stand in the middle of their row
	Dense   bool // smaller type and lower rows
	Wide    bool // rather scrolls on a narrow screen than breaks
}

type rowKind uint8

const (
	plainRow rowKind = iota
	groupRow         // one bold cell over all columns
	totalRow
)

type row struct {
	Kind   rowKind
	Anchor string
	Cells  []cell
}

type figure struct {
	Drawing chart.Drawing
	Caption cell
}

// signature is a block to be signed in section 12.
type signature struct {
	Role, Of, Name string
	Items          []definition // with a box to tick
}

// annex is the statement to fill in by hand; in a paragraph, a blank stands
// between two texts.
type annex struct {
	Title      string
	Paragraphs [][]string
	Note       string
}

// executive is page one.
type executive struct {
	Left, Right string // running head
	Name, Of    string
	Mark        chart.Mark
	Verdict     string
	Lines       []string
	Gloss       string // the verdict in the report's language; empty in English
	Band        chart.Drawing
	Lead        string

	LedgerNote  cell
	Source      int64
	Terms       []term
	Destination int64
	Paired      int64
	// Under are the terms of the destination line, by the index of the term
	// of the source line under which they stand.
	Under map[int]term

	Bar chart.Drawing

	Found, Closes panel
	Accounts      []cell
	Identity      []definition
	Signers       []signer
}

// term is one number of the ledger equation.
type term struct {
	Label []string
	Mark  chart.Mark
	N     int64
	Hot   bool // bold where it is not zero
}

type panel struct {
	Title, Note string
	Paragraphs  []cell
}

type signer struct {
	Name string
	Line cell
	Act  string
}

// outline makes the report of the document.
func (d *Document) outline() outline {
	sections := []section{
		d.parties(), d.scope(), d.method(), d.environment(), d.checklist(), d.figures(), d.exceptionsSection(), d.extras(),
		d.dnsSection(), d.limitations(), d.attestation(), d.appendix(),
	}
	if d.Messages != nil {
		sections = append(sections, d.messagesSection())
	}
	return outline{
		Title:    d.t("%s: e-mail migration sign-off report%s", or(d.customerName(), d.Engagement.Name, d.Engagement.ID, d.t("Engagement")), d.issueSuffix()),
		Language: or(d.Brand.Language, "en"), Footer: d.footer(), Page: d.executive(), Sections: sections, T: d.t,
	}
}
