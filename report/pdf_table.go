package report

import (
	"strings"

	"github.com/mailproof/mailproof/report/chart"
	"github.com/mailproof/mailproof/report/pdf"
)

// grid is a table being set.
type grid struct {
	l       *layout
	t       *table
	x, w    []float64 // of each column's text
	text    setting
	padding float64
}

func (l *layout) newGrid(t *table) *grid {
	g := &grid{l: l, t: t, text: setting{size: 7.2, leading: 1.38, paint: chart.Ink, most: mostLines}, padding: 0.36 * rem}
	if t.Dense {
		g.text.size, g.padding = 6.8, 0.3*rem
	}
	g.columns()
	return g
}

const (
	smallTable = 30   // rows that may be kept together
	smallPart  = 95.0 // millimetres that may be kept together
)

// together is the height that should stand on one page: the whole of a small
// table, else the heads and a few rows.
func (g *grid) together() float64 {
	rows := g.t.Rows
	head := float64(len(g.l.wrap(g.t.Caption, width, noteSetting)))*noteSetting.height() + 2 + g.headHeight() + 1
	part := rows[:min(len(rows), 3)]
	if len(rows) <= smallTable {
		if whole := g.height(rows); head+whole <= smallPart {
			return head + whole
		}
	}
	return head + min(g.height(part), 60)
}

func (g *grid) height(rows []row) (h float64) {
	for _, r := range g.set(rows) {
		h += r.height
	}
	return h
}

func (l *layout) table(t *table) {
	g := l.newGrid(t)
	l.need(g.together())
	rows := g.set(t.Rows)
	caption := l.wrap(t.Caption, width, noteSetting)
	l.s.Open(pdf.TableRole)
	defer l.s.Close()
	l.tagged(pdf.Caption, func() { l.y = l.print(caption, left, l.y+0.6, 0, noteSetting, false) })
	if len(caption) > 0 {
		l.y += 0.9
	}
	l.tagged(pdf.TableHead, g.head)
	l.s.Open(pdf.TableBody)
	defer l.s.Close()
	for i, r := range rows {
		h := r.height
		if r.kind == groupRow && i+1 < len(rows) {
			h += min(rows[i+1].height, 60) // a group head never ends a page
		}
		if i+1 < len(rows) && rows[i+1].kind == totalRow {
			h += rows[i+1].height // nor does the total stand alone on one
		}
		if l.y+h > bottom {
			l.page()
			l.s.Artifact(g.head) // repeated, and read once
		}
		g.row(r, i == 0, i+1 == len(rows) || rows[i+1].kind == totalRow)
	}
	l.y += 0.6
}

func (g *grid) columns() {
	right := 0.5 * rem
	switch {
	case g.t.Dense && g.t.Middle:
		right = 0.2 * rem // a column of bars follows
	case g.t.Dense:
		right = 0.4 * rem
	}
	at := left
	for i, c := range g.t.Columns {
		w := c.Width / 100 * width
		x := at
		if c.Pad {
			x += 1.2 * rem
		}
		end := at + w
		if i+1 < len(g.t.Columns) && !(c.Right && g.t.Dense) {
			end -= right
		}
		g.x, g.w = append(g.x, x), append(g.w, end-x)
		at += w
	}
}

type setRow struct {
	kind   rowKind
	anchor string
	cells  [][]line
	height float64
}

func (g *grid) set(from []row) []setRow {
	rows := make([]setRow, 0, len(from))
	for _, r := range from {
		sr := setRow{kind: r.Kind, anchor: r.Anchor}
		t, lines := g.text, 1
		t.bold = r.Kind != plainRow
		for i, c := range r.Cells {
			w := g.w[i]
			if r.Kind == groupRow {
				w = width
			}
			if r.Kind == totalRow && i == 0 && len(r.Cells) > 1 && len(r.Cells[1]) == 0 {
				w = g.x[1] + g.w[1] - g.x[0]
			}
			set := g.l.wrap(c, w, t)
			sr.cells = append(sr.cells, set)
			lines = max(lines, len(set))
		}
		sr.height = float64(lines)*t.height() + 2*g.padding
		if r.Kind == groupRow {
			sr.height += 0.8 * rem
		}
		rows = append(rows, sr)
	}
	return rows
}

var headSetting = setting{size: 6.6, leading: 1.25, paint: chart.Ink2}

func (g *grid) headLines() ([][]line, int) {
	lines, most := make([][]line, len(g.t.Columns)), 0
	for i, c := range g.t.Columns {
		for _, part := range strings.Split(c.Head, "\n") {
			if part != "" {
				lines[i] = append(lines[i], g.headPart(part, i)...)
			}
		}
		most = max(most, len(lines[i]))
	}
	return lines, most
}

// headPart sets a part of the head of a column. It may stand out by a millimetre,
// but neither over the margin nor over the head beside it: where numbers stand close
// together, the head of a language that says it at length is set smaller.
func (g *grid) headPart(part string, column int) []line {
	t, room := headSetting, g.w[column]
	switch right := g.t.Columns[column].Right; {
	case right && g.t.Dense:
		const gap = 0.6
		if wide := g.l.s.Width(t.style(0), part); wide > room-gap {
			t.size *= max((room-gap)/wide, 0.8)
		}
		room++
	case right || column+1 < len(g.t.Columns):
		room++
	}
	return g.l.wrap(words(part), room, t)
}

func (g *grid) headHeight() float64 {
	_, most := g.headLines()
	h := float64(most)*headSetting.height() + 2*g.padding
	if len(g.t.Groups) > 0 {
		h += 5.2
	}
	return h
}

// head prints the heads of the columns, at the top of the table and again on
// every page.
func (g *grid) head() {
	l := g.l
	lines, most := g.headLines()
	if len(g.t.Groups) > 0 {
		l.s.Open(pdf.TableRow)
	}
	for _, group := range g.t.Groups {
		// Over numbers that stand right: begin where the first column's
		// widest number may begin.
		x := g.x[group.First] + 2.4
		end := g.x[group.First+group.Span-1] + g.w[group.First+group.Span-1]
		l.s.OpenCell("Column", group.Span)
		l.s.Text(x, l.y+3.2, pdf.Style{Size: 6.6, Bold: true, Colour: colour(chart.Ink)}, group.Title)
		l.s.Close()
		l.s.Rule(x, l.y+4.6, end-x, colour(chart.Line), 0.2)
	}
	if len(g.t.Groups) > 0 {
		l.s.Close()
		l.y += 5.2
	}
	l.s.Open(pdf.TableRow)
	h := float64(most)*headSetting.height() + 2*g.padding
	for i, set := range lines {
		y := l.y + h - g.padding - float64(len(set))*headSetting.height()
		scope := "Column"
		if len(set) == 0 {
			scope = "" // a head without words is none
		}
		l.s.OpenCell(scope, 1)
		l.print(set, g.x[i], y, g.w[i], headSetting, g.t.Columns[i].Right)
		l.s.Close()
	}
	l.s.Close()
	l.y += h
	l.s.Rule(left, l.y, width, colour(chart.Ink), 0.35)
}

func (g *grid) row(r setRow, first, last bool) {
	l, t := g.l, g.text
	t.bold = r.kind != plainRow
	if r.anchor != "" {
		l.s.Anchor(r.anchor, max(l.y-1, 0))
	}
	y := l.y + g.padding
	if r.kind == groupRow {
		y += 0.8 * rem
	}
	l.s.Open(pdf.TableRow)
	for i, set := range r.cells {
		at := y
		if g.t.Middle {
			at = l.y + (r.height-float64(len(set))*t.height())/2
		}
		scope, span := "", 1
		if i == 0 {
			scope = "Row"
		}
		if r.kind == groupRow {
			span = len(g.t.Columns)
		}
		l.s.OpenCell(scope, span)
		l.print(set, g.x[i], at, g.w[i], t, g.t.Columns[i].Right && r.kind != groupRow)
		l.s.Close()
	}
	l.s.Close()
	l.y += r.height
	switch {
	case r.kind == totalRow:
		l.s.Rule(left, l.y, width, colour(chart.Ink), 0.5)
	case r.kind == groupRow:
		l.s.Rule(left, l.y, width, colour(chart.Ink), 0.3)
	case last:
		l.s.Rule(left, l.y, width, colour(chart.Line), 0.35)
	default:
		l.s.Rule(left, l.y, width, colour(chart.Hair), 0.2)
	}
}
