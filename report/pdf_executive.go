package report

import (
	"github.com/mailproof/mailproof/report/chart"
	"github.com/mailproof/mailproof/report/pdf"
)

// executive sets page one, which is one page whatever the document holds: what
// varies in length is measured first and cut to the room that is left.
func (l *layout) executive() {
	e := l.o.Page
	l.page()
	l.s.Open(pdf.Part)
	defer l.s.Close()
	l.s.Bookmark("1  "+e.Verdict, 0, 0)
	l.runningHead(e)
	l.draw(e.Band, left, l.y, chart.Unit)
	l.y += e.Band.H*chart.Unit + 1.7*rem
	l.verdict(e)
	l.lead(e)
	l.ledger(e)
	l.y += 1.6 * rem
	l.draw(e.Bar, left, l.y, chart.Unit)
	l.y += e.Bar.H*chart.Unit + 1.6*rem
	below := l.belowPanels(e)
	l.panels(e, bottom-3-l.y-below)
	l.accountsLine(e)
	l.identity(e)
	l.signers(e)
}

func (l *layout) runningHead(e executive) {
	if l.logo != nil {
		w, h := l.logo.size()
		l.s.Artifact(func() { l.s.Image(l.logo.png, left+width-w, top-2.5-h, w, h) })
	}
	st := style7(6.7, chart.Ink2)
	l.s.Text(left, l.y+2.6, st, e.Left)
	right := l.s.Fit(st, e.Right, width*0.7)
	l.s.Text(left+width-l.s.Width(st, right), l.y+2.6, st, right)
	t := setting{size: 8.4, leading: 1.5, paint: chart.Ink2, most: 2}
	text := cell{{Text: e.Name, Style: bold, Foreign: true}, {Text: " " + e.Of, Foreign: true}}
	lines := l.wrap(text, width, t)
	if len(lines) > 1 {
		t.size = 7.8
		lines = l.wrap(text, width, t)
	}
	for i := range lines {
		for j := range lines[i].frags {
			if lines[i].frags[j].style.Bold {
				lines[i].frags[j].style.Colour = colour(chart.Ink)
			}
		}
	}
	l.tagged(pdf.Paragraph, func() { l.y = l.print(lines, left, l.y+5.0, 0, t, false) + 4.3 })
}

func (l *layout) verdict(e executive) {
	const size, leading, mark = 24.0, 9.6, 13.8
	st := pdf.Style{Size: size, Bold: true, Colour: colour(chart.Ink)}
	h := max(mark, float64(len(e.Lines))*leading)
	l.mark(e.Mark, left, l.y+(h-mark)/2, mark)
	y := l.y + (h-float64(len(e.Lines))*leading)/2 + leading*0.5 + size*point*0.36
	l.tagged(pdf.Heading1, func() {
		for i, text := range e.Lines {
			x := left + 6.5*rem + l.s.Text(left+6.5*rem, y, st, text+" ")
			if i == 0 && e.Gloss != "" {
				small := pdf.Style{Size: 11, Colour: colour(chart.Ink2)}
				l.s.Text(x, y, small, l.s.Fit(small, e.Gloss, left+width-x)+" ")
			}
			y += leading
		}
	})
	l.y += h + 1.4*rem
}

func (l *layout) lead(e executive) {
	t := setting{size: 10.5, leading: 1.5, paint: chart.Ink, most: 5}
	lines := l.wrap(words(e.Lead), width, t)
	if len(lines) > 4 {
		t.size, t.most = 9, 6
		lines = l.wrap(words(e.Lead), width, t)
	}
	l.tagged(pdf.Paragraph, func() { l.y = l.print(lines, left, l.y, 0, t, false) + 1.9*rem })
}

// ledger sets the equation: the source above, the destination below, and a
// bracket from the four terms that are paired to their sum.
func (l *layout) ledger(e executive) {
	l.y = l.panelHead(pdf.Heading2, l.o.T("The ledger: every message counted once"), e.LedgerNote, left, l.y, width)
	size := [...]float64{14, 12, 10.4, 8.4}[ledgerStep(e)]
	edges := []float64{left}
	for _, w := range ledgerWidths(e) {
		edges = append(edges, edges[len(edges)-1]+w/100*width)
	}
	label, number := setting{size: 6.6, leading: 1.25, paint: chart.Ink2}, pdf.Style{Size: size, Colour: colour(chart.Ink)}
	numberAt := l.y + 14.2
	last := len(e.Terms) - 1
	middle := func(i int) (from, to float64) { return edges[2*i+2], edges[2*i+3] }

	heading := label
	heading.bold, heading.paint = true, chart.Ink
	total := number
	total.Bold = true
	l.tagged(pdf.Paragraph, func() {
		l.print(l.wrap(words(l.o.T("Source")+" "+l.o.T("inventory")), 15, heading), left, l.y+3.3, 0, heading, false)
		l.s.Text(left, numberAt, total, comma(e.Source))
	})
	for i, t := range e.Terms {
		l.s.Open(pdf.Paragraph) // a term is read as label, sign, number
		from, to := middle(i)
		l.termLabel(t.Label, from, to, l.y+5.6, i == last, label, true)
		x := (from+to)/2 - 1.2
		if i == last {
			x = to - 2.4
		}
		l.mark(t.Mark, x, l.y+6.2, 2.4)
		l.operator(edges[2*i+1], edges[2*i+2], numberAt, i == 0)
		l.termNumber(t, from, to, numberAt, i == last, number)
		l.s.Close()
	}
	from, _ := middle(0)
	_, to := middle(3)
	l.bracket(from, to, numberAt+2.2)

	second := numberAt + 10.3
	l.tagged(pdf.Paragraph, func() {
		l.print(l.wrap(words(l.o.T("Destination")+" "+l.o.T("inventory")), 17, heading), left, second+1.7, 0, heading, false)
		l.s.Text(left, second, total, comma(e.Destination))
	})
	l.tagged(pdf.Paragraph, func() {
		l.termLabel([]string{l.o.T("paired with a source message")}, from, to, second+1.7, false, label, false)
		l.operator(edges[1], edges[2], second, true)
		l.centred(comma(e.Paired), from, to, second, number)
	})
	for i := range e.Terms {
		t := underOf(e, i)
		if t == nil {
			continue
		}
		from, to := middle(i)
		l.tagged(pdf.Paragraph, func() {
			l.termLabel(t.Label, from, to, second+1.7, i == last, label, false)
			l.operator(edges[2*i+1], edges[2*i+2], second, false)
			l.termNumber(*t, from, to, second, i == last, number)
		})
	}
	l.y = second + 8.2
}

func (l *layout) termNumber(t term, from, to, y float64, right bool, st pdf.Style) {
	switch {
	case t.N == 0:
		st.Colour = colour(chart.Ink3)
	case t.Hot:
		st.Bold = true
	}
	if right {
		l.s.Text(to-l.s.Width(st, comma(t.N)), y, st, comma(t.N))
		return
	}
	l.centred(comma(t.N), from, to, y, st)
}

func (l *layout) centred(text string, from, to, y float64, st pdf.Style) {
	l.s.Text((from+to-l.s.Width(st, text))/2, y, st, text)
}

func (l *layout) operator(from, to, y float64, equals bool) {
	sign := "+"
	if equals {
		sign = "="
	}
	l.centred(sign, from, to, y, style7(9.6, chart.Ink3))
}

// termLabel sets a label of one or two lines, above (its last line at y) or
// below (its first line from y).
func (l *layout) termLabel(lines []string, from, to, y float64, right bool, t setting, above bool) {
	h := t.height()
	if above {
		y -= float64(len(lines)) * h
	}
	st := t.style(0)
	for i, text := range lines {
		base := y + h*(float64(i)+0.5) + t.size*point*0.36
		x := (from + to - l.s.Width(st, text)) / 2
		if right {
			x = to - l.s.Width(st, text)
		}
		l.s.Text(x, base, st, text+" ")
	}
}

func (l *layout) bracket(from, to, y float64) {
	c := colour(chart.Ink3)
	l.s.Line([]pdf.Point{{X: from, Y: y}, {X: from, Y: y + 1.4}, {X: to, Y: y + 1.4}, {X: to, Y: y}}, c, 0.22, nil)
	l.s.Line([]pdf.Point{{X: (from + to) / 2, Y: y + 1.4}, {X: (from + to) / 2, Y: y + 3}}, c, 0.22, nil)
}

var panelSetting = setting{size: 7.6, leading: 1.4, paint: chart.Ink}

// panels sets the two columns, in at most the given height.
func (l *layout) panels(e executive, room float64) {
	end := l.y
	for i, p := range []panel{e.Found, e.Closes} {
		x := left + float64(i)*(half+gutter)
		y := l.panelHead(pdf.Heading2, p.Title, words(p.Note), x, l.y, half)
		limit := l.y + room
		for j, c := range p.Paragraphs {
			lines := l.wrap(c, half, panelSetting)
			fit := int((limit - y) / panelSetting.height())
			if fit <= 0 {
				break
			}
			if len(lines) > fit || (len(lines) == fit && j+1 < len(p.Paragraphs) && fit == 1) {
				lines = lines[:fit]
				tail := words(l.o.T("… continued in section 8"))
				lines[fit-1] = l.wrap(tail, half, panelSetting)[0]
				l.tagged(pdf.Paragraph, func() { y = l.print(lines, x, y, half, panelSetting, false) })
				break
			}
			l.tagged(pdf.Paragraph, func() { y = l.print(lines, x, y, half, panelSetting, false) + 0.45*rem })
		}
		end = max(end, y)
	}
	l.y = end + 1.5*rem
}

var accountSetting = setting{size: 7.2, leading: 1.5, paint: chart.Ink}

// accountFlow breaks the line of accounts.
func (l *layout) accountFlow(e executive) [][]cell {
	var rows [][]cell
	x := 0.0
	for _, c := range e.Accounts {
		w := l.cellWidth(c)
		if len(rows) == 0 || x+w > width {
			rows, x = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], c)
		x += w + 2.2*rem
	}
	return rows
}

func (l *layout) cellWidth(c cell) float64 {
	lines := l.wrap(c, width, accountSetting)
	if len(lines) == 0 {
		return 0
	}
	return lines[0].width
}

const (
	signersHeight = 14.0
	afterPanel    = 1.5 * rem
)

// belowPanels is the height of what stands below the two panels.
func (l *layout) belowPanels(e executive) float64 {
	h := afterPanel + 6.8 + 2*4.4 + 8 + signersHeight
	if len(e.Accounts) > 0 {
		h += 6.8 + float64(len(l.accountFlow(e)))*accountSetting.height() + afterPanel
	}
	return h
}

func (l *layout) accountsLine(e executive) {
	if len(e.Accounts) == 0 {
		return
	}
	y := l.panelHead(pdf.Heading2, l.o.T("Accounts"), words(l.o.T("section 7.1")), left, l.y, width)
	for _, r := range l.accountFlow(e) {
		x := left
		for _, c := range r {
			lines := l.wrap(c, width, accountSetting)
			if len(lines) > 0 {
				l.tagged(pdf.Paragraph, func() { l.print(lines[:1], x, y, 0, accountSetting, false) })
				x += lines[0].width + 2.2*rem
			}
		}
		y += accountSetting.height()
	}
	l.y = y + afterPanel
}

func (l *layout) identity(e executive) {
	y := l.panelHead(pdf.Heading2, l.o.T("Identity of this report"), words(l.o.T("section 13")), left, l.y, width)
	t := setting{size: 6.9, leading: 1.7, paint: chart.Ink, most: 1}
	for _, d := range e.Identity {
		label := t
		label.paint = chart.Ink2
		l.tagged(pdf.Paragraph, func() {
			l.print(l.wrap(words(d.Term), 9*rem, label), left, y, 0, label, false)
			l.print(l.wrap(d.Text, width-9.2*rem, t), left+9.2*rem, y, 0, t, false)
		})
		y += 4.2
	}
	l.y = y
}

// signers stand at the foot of the page, with room above the lines to sign.
func (l *layout) signers(e executive) {
	y := max(l.y+10, 246.5)
	y = min(y, bottom-signersHeight+3)
	const w = (width - 2*gutter) / 3
	for i, s := range e.Signers {
		x := left + float64(i)*(w+gutter)
		l.s.Rule(x, y, w, colour(chart.Ink), 0.35)
		st := pdf.Style{Size: 6.7, Bold: true, Colour: colour(chart.Ink)}
		l.s.Open(pdf.Paragraph)
		l.s.Text(x, y+3.5, st, l.s.Fit(st, s.Name, w))
		t := setting{size: 6.7, leading: 1.4, paint: chart.Ink2, most: 1}
		l.print(l.wrap(s.Line, w, t), x, y+4.3, w, t, false)
		l.s.Text(x, y+10.1, t.style(0), l.s.Fit(t.style(0), s.Act, w))
		l.s.Close()
	}
}
