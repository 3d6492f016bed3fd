package report

import (
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mailproof/mailproof/report/chart"
	"github.com/mailproof/mailproof/report/pdf"
)

// PDFOptions are what WritePDF can be told.
type PDFOptions struct {
	// Fonts are TrueType files for the characters that DejaVu Sans lacks. What
	// no font covers is printed as ⟨U+XXXX⟩.
	Fonts [][]byte
}

// WritePDF writes the report as a PDF. Equal documents give equal octets.
func (d *Document) WritePDF(w io.Writer, opts PDFOptions) error {
	doc, err := d.spoken()
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if err := d.Brand.CheckFonts(opts.Fonts); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	o := doc.outline()
	logo, err := d.Brand.logo()
	if err != nil {
		return fmt.Errorf("report: logo: %w", err)
	}
	sheet, err := pdf.New(pdf.Options{
		Title: o.Title, Language: o.Language, LinkText: o.T("to another section"), Author: or(partyName(d.Engagement.Providers), "mailproof"), Subject: d.Verdict.String(), Creator: or(d.Tool, "mailproof"),
		Time: stableTime(d.Generated), Fonts: slices.Concat(opts.Fonts, d.Brand.Fonts),
	})
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	l := &layout{s: sheet, o: o, accent: accentColour(d.Brand.Accent)}
	l.logo = logo
	if err := d.attach(sheet); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	l.all()
	if err := sheet.Output(w); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// CheckFont reports why a font cannot serve PDFOptions.Fonts.
func CheckFont(ttf []byte) error {
	_, err := pdf.New(pdf.Options{Fonts: [][]byte{ttf}})
	return err
}

func partyName(list []Party) string {
	if len(list) == 0 {
		return ""
	}
	return list[0].Organisation
}

// stableTime is never the moment of writing: a document that does not say when
// it was made gets the beginning of the epoch.
func stableTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Unix(0, 0).UTC()
	}
	return t.UTC()
}

// Measures of the page in millimetres: A4, twelve columns.
const (
	left   = 17.0
	top    = 15.0
	width  = 176.0
	bottom = pdf.PageHeight - 16
	rem    = 8 * 25.4 / 72 // 8 points
	point  = 25.4 / 72
	gutter = 2.84 * rem
	half   = (width - gutter) / 2
)

// layout sets an outline page by page.
type layout struct {
	s      *pdf.Sheet
	o      outline
	y      float64    // upper edge of what comes next
	accent pdf.Colour // of headings and their rules
	logo   *picture   // nil: none
}

func style7(size float64, p chart.Paint) pdf.Style { return pdf.Style{Size: size, Colour: colour(p)} }

func (l *layout) all() {
	l.executive()
	l.page()
	l.contents()
	for i, s := range l.o.Sections {
		l.section(s, i == 0)
	}
	l.footers()
}

func (l *layout) page() {
	l.s.AddPage()
	l.y = top
}

// need begins a new page unless h millimetres are left on this one.
func (l *layout) need(h float64) bool {
	if l.y+h <= bottom || l.y <= top {
		return false
	}
	l.page()
	return true
}

func (l *layout) footers() {
	st := style7(6.5, chart.Ink3)
	n := l.s.Pages()
	l.s.Artifact(func() {
		for i := 1; i <= n; i++ {
			l.s.SetPage(i)
			text := l.o.T("%[1]s of %[2]s", fmt.Sprint(i), fmt.Sprint(n))
			l.s.Text(left, 289.3, st, l.s.Fit(st, l.o.Footer, width-25))
			l.s.Text(left+width-l.s.Width(st, text), 289.3, st, text)
		}
	})
}

// frag is a piece of a line.
type frag struct {
	x     float64
	text  string
	style pdf.Style
	link  string
	mark  chart.Mark
	pic   *chart.Drawing
	unit  float64 // of the picture, in millimetres
}

// line is a line of text, set.
type line struct {
	frags []frag
	width float64
}

// setting is how a cell is set.
type setting struct {
	size    float64 // points
	leading float64 // times size
	paint   chart.Paint
	bold    bool
	most    int // lines; 0: no bound but that of the page
}

const mostLines = 16 // of a cell in a table; report.json has the whole

func (t setting) height() float64 { return t.size * t.leading * point }

func (t setting) style(s style) pdf.Style {
	st := pdf.Style{Size: t.size, Colour: colour(t.paint), Bold: t.bold || s&bold != 0, Mono: s&mono != 0}
	if st.Mono {
		st.Size = t.size * 0.93
	}
	if s&small != 0 {
		st.Size = min(st.Size, 6.6)
		st.Colour = colour(chart.Ink2)
	}
	if s&faint != 0 {
		st.Colour = colour(chart.Ink3)
	}
	return st
}

// markSize is the height of a mark beside text, and markGap the space after.
func markSize(m chart.Mark) float64 {
	if strings.HasPrefix(string(m), "v-") {
		return 1.02 * rem
	}
	return 0.74 * rem
}

const markGap = 0.4 * rem

// wrap breaks a cell into lines no wider than w.
func (l *layout) wrap(c cell, w float64, t setting) []line {
	b := &breaker{l: l, max: w}
	for _, sp := range c {
		b.add(sp, t.style(sp.Style))
	}
	b.flush()
	most := t.most
	if most == 0 {
		most = 70
	}
	if len(b.lines) > most {
		b.lines = b.lines[:most]
		last := &b.lines[most-1]
		if n := len(last.frags); n > 0 && last.frags[n-1].text != "" {
			f := &last.frags[n-1]
			f.text = l.s.Fit(f.style, f.text, max(w-f.x-3, 4)) + " …"
		}
	}
	return b.lines
}

// nameLines is how many lines of a table a name may take.
const nameLines = 2

// splitter parts a text so that its head is no wider than room.
type splitter func(st pdf.Style, text string, room float64, must bool) (head, rest string)

// fitName cuts a name in its middle, so that it takes two lines at most of what
// is left in the column, and says how it is parted: between its parts where that
// is enough, else anywhere.
func (b *breaker) fitName(st pdf.Style, text string, mark chart.Mark) (string, splitter) {
	room := b.max
	if mark != "" {
		room -= markSize(mark) + markGap
	}
	fits := func(n int, split splitter) bool {
		rest, w := cutMiddle(text, n), room-b.now.width
		for range nameLines {
			_, rest = split(st, rest, w, true)
			w = b.max
		}
		return rest == ""
	}
	most := utf8.RuneCountInString(text)
	if fits(most, b.splitName) {
		return text, b.splitName
	}
	if fits(most, b.l.s.Split) {
		return text, b.l.s.Split
	}
	// The search looks for the first length that does not fit.
	n := sort.Search(most, func(n int) bool { return n >= 3 && !fits(n, b.l.s.Split) })
	return cutMiddle(text, max(n-1, 3)), b.l.s.Split
}

// splitName is a splitter for addresses and paths: it parts them behind an @, a
// dot, a slash or a blank, and not within what stands between these: behind the @
// where the domain has a line of its own. Where there is no such place, the head is
// empty.
func (b *breaker) splitName(st pdf.Style, text string, room float64, _ bool) (head, rest string) {
	if b.l.s.Width(st, text) <= room {
		return text, ""
	}
	if at := strings.LastIndexByte(text, '@') + 1; at > 0 && b.l.s.Width(st, text[:at]) <= room && b.l.s.Width(st, text[at:]) <= b.max {
		return text[:at], text[at:]
	}
	for i := strings.LastIndexAny(text, "@./ "); i >= 0; i = strings.LastIndexAny(text[:i], "@./ ") {
		if head = strings.TrimRight(text[:i+1], " "); b.l.s.Width(st, head) <= room {
			return head, strings.TrimLeft(text[i+1:], " ")
		}
	}
	return "", text
}

type breaker struct {
	l     *layout
	max   float64
	lines []line
	now   line
}

func (b *breaker) flush() {
	if len(b.now.frags) > 0 {
		b.lines = append(b.lines, b.now)
	}
	b.now = line{}
}

func (b *breaker) put(f frag, w float64) {
	f.x = b.now.width
	b.now.frags = append(b.now.frags, f)
	b.now.width += w
}

func (b *breaker) add(sp span, st pdf.Style) {
	if sp.Break {
		b.flush()
	}
	if sp.Picture != nil {
		unit := min(chart.Unit, b.max/sp.Picture.W)
		b.put(frag{pic: sp.Picture, unit: unit}, sp.Picture.W*unit)
	}
	text, split := sp.Text, splitter(b.l.s.Split)
	if sp.Style&name != 0 {
		text, split = b.fitName(st, text, sp.Mark)
	}
	if wide := b.l.s.Width(st, text); sp.Style&nowrap != 0 && sp.Mark == "" && wide > b.max {
		st.Size *= max(b.max/wide, 0.35) // a number is never parted and never abbreviated
	}
	if sp.Mark != "" {
		size := markSize(sp.Mark)
		if b.now.width > 0 && b.now.width+size+markGap+min(b.l.s.Width(st, text), b.max/2) > b.max {
			b.flush()
		}
		b.put(frag{mark: sp.Mark}, size+markGap)
	}
	if sp.Style&nowrap != 0 && b.now.width > 0 && b.now.width+b.l.s.Width(st, text) > b.max {
		b.flush()
	}
	for text != "" {
		if b.now.width == 0 {
			text = strings.TrimLeft(text, " ")
		}
		onlyMark := len(b.now.frags) == 1 && b.now.frags[0].mark != ""
		head, rest := split(st, text, b.max-b.now.width, b.now.width == 0 || onlyMark)
		if head != "" {
			b.put(frag{text: head, style: st, link: sp.Link}, b.l.s.Width(st, head))
		}
		text = rest
		if text != "" {
			b.flush()
		}
	}
}

// print draws lines from y downwards and returns the edge below.
func (l *layout) print(lines []line, x, y, w float64, t setting, right bool) float64 {
	h := t.height()
	for i, ln := range lines {
		base := y + h/2 + t.size*point*0.36
		at := x
		if right {
			at = x + w - ln.width
		}
		for j, f := range ln.frags {
			if j == len(ln.frags)-1 && i < len(lines)-1 && f.text != "" {
				f.text += " " // for who listens, or copies: lines are one text
			}
			switch {
			case f.mark != "":
				size := markSize(f.mark)
				l.namedMark(f.mark, at+f.x, base-t.size*point*0.36-size/2, size)
			case f.pic != nil:
				l.draw(*f.pic, at+f.x, y+(h-f.pic.H*f.unit)/2, f.unit)
			case f.link != "":
				l.s.Open(pdf.Reference)
				wide := l.s.Width(f.style, strings.TrimRight(f.text, " "))
				l.s.Text(at+f.x, base, f.style, f.text)
				l.s.Link(at+f.x, y, wide, h, f.link)
				l.s.Close()
			default:
				l.s.Text(at+f.x, base, f.style, f.text)
			}
		}
		y += h
	}
	return y
}

func (l *layout) contents() {
	l.s.Rule(left, l.y+6.5, width, colour(chart.Ink), 0.35)
	l.s.Open(pdf.Part)
	l.tagged(pdf.Heading2, func() {
		l.s.Text(left, l.y+13, pdf.Style{Size: 12, Bold: true, Colour: l.accent}, l.o.T("Contents"))
	})
	l.s.Bookmark(l.o.T("Contents"), 0, l.y+6)
	l.s.Open(pdf.Contents)
	y := l.y + 17
	const row = 5.45
	st := style7(7.6, chart.Ink)
	n := (len(l.o.Sections) + 1) / 2
	for i, s := range l.o.Sections {
		x, at := left, y+float64(i%n)*row
		if i >= n {
			x = left + half + gutter
		}
		l.s.Open(pdf.Entry)
		l.s.Open(pdf.Reference)
		l.s.Text(x, at+3.7, style7(7.6, chart.Ink3), s.No)
		fit := st
		fit.Size *= min(1, (half-2.4*rem)/max(l.s.Width(st, s.Title), 1)) // some languages say it at length
		l.s.Text(x+2.4*rem, at+3.7, fit, s.Title)
		l.s.Link(x, at, half, row, s.ID)
		l.s.Close()
		l.s.Close()
		l.s.Rule(x, at+row, half, colour(chart.Hair), 0.2)
	}
	l.s.Close()
	l.s.Close()
	l.y = y + float64(n)*row
}

func (l *layout) section(s section, first bool) {
	switch {
	case s.NewPage && l.y > top:
		l.page()
	case !l.need(2.2*rem+11+l.least(s.Blocks)) && l.y > top:
		l.y += 2.2 * rem
	}
	l.s.Anchor(s.ID, max(l.y-2, 0))
	l.s.Bookmark(s.No+"  "+s.Title, 0, max(l.y-1, 0))
	l.s.Rule(left, l.y, width, l.accent, 0.35)
	l.s.Open(pdf.Part)
	l.tagged(pdf.Heading2, func() {
		l.s.Text(left, l.y+6.6, style7(12, chart.Ink3), s.No)
		l.s.Text(left+3.2*rem, l.y+6.6, pdf.Style{Size: 12, Bold: true, Colour: l.accent}, s.Title)
	})
	l.y += 10.6
	for i, b := range s.Blocks {
		l.block(b, s.Blocks[i+1:], i == 0)
	}
	l.s.Close()
}

// least is the room that a section must find below its heading: that of a few
// lines, but for one that has no more than a note.
func (l *layout) least(blocks []block) float64 {
	for _, b := range blocks {
		if b.Note == nil && b.Messages == nil {
			return max(l.keep(blocks), 24)
		}
	}
	return l.keep(blocks)
}

// keep measures what should not be parted from the heading above it: the
// blocks up to the first that matters, whole if it is small.
func (l *layout) keep(blocks []block) float64 {
	h := 0.0
	for _, b := range blocks {
		switch {
		case b.Heading != nil:
			h += 1.7*rem + 6
		case b.Note != nil:
			h += float64(len(l.wrap(b.Note, 54*rem, noteSetting)))*noteSetting.height() + 2.2
		case b.Legend != nil:
			h += 8
		case b.Messages != nil: // nothing on paper
		case b.Table != nil:
			return h + l.newGrid(b.Table).together()
		case b.Figure != nil:
			return h + b.Figure.Drawing.H*chart.Unit + 14
		case b.Definition != nil:
			return h + 20
		case b.Signatures != nil:
			return h + min(float64((len(b.Signatures)+1)/2), 5)*l.signatureHeight(b.Signatures) + 4
		default:
			return h + 16
		}
	}
	return h
}

func (l *layout) block(b block, rest []block, first bool) {
	switch {
	case b.Heading != nil:
		l.heading(b.Heading, rest, first)
	case b.Note != nil:
		l.note(b.Note)
	case b.Definition != nil:
		l.definitions(b.Definition)
	case b.Procedure != nil:
		l.procedure(b.Procedure)
	case b.Table != nil:
		l.table(b.Table)
	case b.Figure != nil:
		l.figure(b.Figure)
	case b.Legend != nil:
		l.legend(b.Legend)
	case b.Listing != nil:
		l.listing(b.Listing)
	case b.Signatures != nil:
		l.signatures(b.Signatures)
	case b.Annex != nil:
		l.annex(b.Annex)
	case b.Messages != nil: // the page of the browser has it, and the attachment
	}
}

func (l *layout) heading(h *heading, rest []block, first bool) {
	room := l.keep(rest) + 6
	if !first {
		room += 1.7 * rem
	}
	if !l.need(room) && !first {
		l.y += 1.7 * rem
	}
	if h.ID != "" {
		l.s.Anchor(h.ID, max(l.y-2, 0))
		l.s.Bookmark(h.No+"  "+h.Title, 1, max(l.y-1, 0))
	}
	st := pdf.Style{Size: 8.5, Bold: true, Colour: l.accent}
	l.tagged(pdf.Heading3, func() {
		if h.No != "" {
			l.s.Text(left, l.y+3.2, style7(8.5, chart.Ink3), h.No)
		}
		l.s.Text(left+3.2*rem, l.y+3.2, st, l.s.Fit(st, h.Title, width-3.2*rem))
	})
	l.y += 6
}

var noteSetting = setting{size: 6.7, leading: 1.45, paint: chart.Ink2}

func (l *layout) note(c cell) {
	lines := l.wrap(c, 54*rem, noteSetting)
	l.need(float64(len(lines))*noteSetting.height() + 2)
	l.tagged(pdf.Paragraph, func() { l.y = l.print(lines, left, l.y+1, 0, noteSetting, false) + 1.2 })
}

var textSetting = setting{size: 7.6, leading: 1.5, paint: chart.Ink}

func (l *layout) definitions(defs []definition) {
	const term = 14.6 * rem
	l.s.Open(pdf.List)
	defer l.s.Close()
	for _, d := range defs {
		t := textSetting
		head := t
		head.paint = chart.Ink2
		names := l.wrap(words(d.Term), term-3, head)
		lines := l.wrap(d.Text, width-term, t)
		h := float64(max(len(lines), len(names), 1))*t.height() + 0.74*rem
		l.need(h)
		l.item(func() { l.print(names, left, l.y+0.37*rem, 0, head, false) }, func() { l.print(lines, left+term, l.y+0.37*rem, 0, t, false) })
		l.y += h
		l.s.Rule(left, l.y, width, colour(chart.Hair), 0.2)
	}
}

func (l *layout) procedure(items []cell) {
	const indent = 3.2 * rem
	l.s.Open(pdf.List)
	defer l.s.Close()
	for i, c := range items {
		lines := l.wrap(c, width-indent, textSetting)
		h := float64(len(lines))*textSetting.height() + 0.74*rem
		l.need(h)
		number := textSetting
		number.paint = chart.Ink3
		l.item(func() { l.print(l.wrap(words(fmt.Sprint(i+1)), indent, number), left, l.y+0.37*rem, 0, number, false) },
			func() { l.print(lines, left+indent, l.y+0.37*rem, 0, textSetting, false) })
		l.y += h
		l.s.Rule(left, l.y, width, colour(chart.Hair), 0.2)
	}
	l.y += rem
}

func (l *layout) figure(f *figure) {
	caption := l.wrap(f.Caption, 54*rem, noteSetting)
	h := f.Drawing.H*chart.Unit + 0.7*rem + float64(len(caption))*noteSetting.height()
	l.need(h)
	l.draw(f.Drawing, left, l.y, chart.Unit)
	l.y += f.Drawing.H*chart.Unit + 0.7*rem
	l.tagged(pdf.Paragraph, func() { l.y = l.print(caption, left, l.y, 0, noteSetting, false) + 1 })
}

func (l *layout) legend(items []cell) {
	l.need(8)
	l.s.Open(pdf.Paragraph)
	defer l.s.Close()
	x, h := left, noteSetting.height()
	for _, c := range items {
		lines := l.wrap(c, width, noteSetting)
		if len(lines) == 0 {
			continue
		}
		if x > left && x+lines[0].width > left+width {
			x, l.y = left, l.y+h
		}
		l.print(lines[:1], x, l.y, 0, noteSetting, false)
		x += lines[0].width + 1.5*rem
	}
	l.y += h + 0.9*rem
}

func (l *layout) listing(lines []string) {
	st := pdf.Style{Size: 6.7, Mono: true, Colour: colour(chart.Ink)}
	h := 6.7 * 1.55 * point
	total := float64(len(lines))*h + 1.6*rem
	l.need(total)
	l.s.Area(left, l.y, width, total, wash)
	y := l.y + 0.8*rem
	l.s.Open(pdf.Paragraph)
	defer l.s.Close()
	for _, text := range lines {
		l.s.Text(left+rem, y+h*0.7, st, l.s.Fit(st, text, width-2*rem))
		y += h
	}
	l.y += total + 0.9*rem
}

const signatureLeast = 39.0 // where each of its items takes one line

var (
	signed     = setting{size: 6.7, leading: 1.5, paint: chart.Ink}
	signedTerm = setting{size: 6.7, leading: 1.5, paint: chart.Ink2}
)

const tickBox = 1.9 + markGap + 0.6 // the room that a box to tick takes

// signatureRow is an item of a signature, set.
type signatureRow struct {
	term, text []line
	box        bool
}

func (r signatureRow) height() float64 {
	return 4.05 + float64(max(len(r.term), len(r.text), 1)-1)*signed.height()
}

// signatureRows sets the items of a signature; what they say begins at at.
func (l *layout) signatureRows(s signature) (rows []signatureRow, at float64) {
	at = 8 * rem
	for _, d := range s.Items {
		at = max(at, min(l.s.Width(signedTerm.style(0), d.Term)+0.8*rem, 10.8*rem))
	}
	set := func(term string, c cell, box bool) {
		room := half - at
		if box {
			room -= tickBox
		}
		text := l.wrap(c, room, signed)
		rows = append(rows, signatureRow{l.wrap(words(term), at-0.6*rem, signedTerm), text[:min(len(text), 2)], box})
	}
	set(l.o.T("Name"), foreign(s.Name), false)
	for _, d := range s.Items {
		set(d.Term, d.Text, true)
	}
	return rows, at
}

// signatureHeight is what each of the signatures takes.
func (l *layout) signatureHeight(list []signature) float64 {
	most := 0.0
	for _, s := range list {
		rows, _ := l.signatureRows(s)
		h := signatureLeast
		for _, r := range rows {
			h += r.height() - 4.05
		}
		most = max(most, h)
	}
	return most
}

func (l *layout) signatures(list []signature) {
	h := l.signatureHeight(list)
	for i := 0; i < len(list); i += 2 {
		l.need(h)
		if i == 0 {
			l.y += 3
		}
		for j, s := range list[i:min(i+2, len(list))] {
			l.signature(s, left+float64(j)*(half+gutter), l.y)
		}
		l.y += h
	}
}

func (l *layout) signature(s signature, x, y float64) {
	l.s.Open(pdf.Part)
	defer l.s.Close()
	l.panelHead(pdf.Heading3, s.Role, foreign(s.Of), x, y, half)
	y += 7.2
	rows, indent := l.signatureRows(s)
	for _, r := range rows {
		l.s.Open(pdf.Paragraph)
		l.print(r.term, x, y, 0, signedTerm, false)
		at := x + indent
		if r.box {
			l.mark(chart.MarkTickBox, at, y+0.75, 1.9)
			at += tickBox
		}
		l.print(r.text, at, y, 0, signed, false)
		l.s.Close()
		y += r.height()
	}
	y += 8.5
	each := (half - gutter) / 2
	for i, name := range []string{l.o.T("Place, date"), l.o.T("Signature")} {
		at := x + float64(i)*(each+gutter)
		l.s.Rule(at, y, each, colour(chart.Ink), 0.3)
		l.s.Text(at, y+3.4, style7(6.7, chart.Ink2), name)
	}
}

// panelHead draws the rule and the head of a panel: bold on the left, a note
// on the right.
func (l *layout) panelHead(role pdf.Role, title string, note cell, x, y, w float64) float64 {
	l.s.Rule(x, y, w, colour(chart.Line), 0.3)
	t := setting{size: 6.7, leading: 1.4, paint: chart.Ink2}
	st := pdf.Style{Size: 6.7, Bold: true, Colour: colour(chart.Ink)}
	l.tagged(role, func() { l.s.Text(x, y+4.05, st, title) })
	lines := l.wrap(note, w-l.s.Width(st, title)-4, t)
	if len(lines) > 0 {
		l.tagged(pdf.Paragraph, func() { l.print(lines[:1], x, y+1.45, w, t, true) })
	}
	return y + 6.8
}

// annex sets a form: text with blanks to fill in by hand, in a frame.
func (l *layout) annex(a *annex) {
	const leading, blank = 6.4, 33.0
	h := l.annexHeight(a, leading, blank)
	l.need(h + 6)
	l.y += 4
	l.s.Frame(left, l.y, width, h, colour(chart.Ink), 0.3, nil)
	l.s.Open(pdf.Part)
	defer l.s.Close()
	x, y := left+4, l.y+5.4
	l.tagged(pdf.Heading3, func() {
		l.s.Text(x, y, pdf.Style{Size: 8.5, Bold: true, Colour: l.accent}, a.Title)
	})
	y += 6.6
	for _, p := range a.Paragraphs {
		l.tagged(pdf.Paragraph, func() { y = l.form(p, x, y, leading, blank, true) })
		y += leading + 0.6
	}
	note := l.wrap(words(a.Note), width-8, setting{size: 6.6, leading: 1.4, paint: chart.Ink2})
	l.tagged(pdf.Paragraph, func() {
		l.print(note, x, y-3.4, 0, setting{size: 6.6, leading: 1.4, paint: chart.Ink2}, false)
	})
	l.y += h
}

func (l *layout) annexHeight(a *annex, leading, blank float64) float64 {
	y := 12.0
	for _, p := range a.Paragraphs {
		y = l.form(p, left+4, y, leading, blank, false) + leading + 0.6
	}
	note := l.wrap(words(a.Note), width-8, setting{size: 6.6, leading: 1.4, paint: chart.Ink2})
	return y + float64(len(note))*6.6*1.4*point - 1
}

// form sets one paragraph with its blanks, and returns its last baseline;
// without draw it only measures.
func (l *layout) form(parts []string, x, y, leading, blank float64, draw bool) float64 {
	st := style7(8, chart.Ink)
	at := x
	for i, part := range parts {
		if i > 0 {
			if at+blank > left+width-4 {
				at, y = x, y+leading
			}
			if draw {
				l.s.Rule(at, y+0.6, blank, colour(chart.Ink3), 0.25)
			}
			at += blank
		}
		for rest := part; rest != ""; {
			var head string
			head, rest = l.s.Split(st, rest, left+width-4-at, at == x)
			if draw {
				l.s.Text(at, y, st, head)
			}
			at += l.s.Width(st, head)
			if rest != "" {
				at, y = x, y+leading
			}
		}
	}
	return y
}

// tagged draws something as an element of the structure.
func (l *layout) tagged(role pdf.Role, draw func()) {
	l.s.Open(role)
	draw()
	l.s.Close()
}

// item draws an item of a list.
func (l *layout) item(label, body func()) {
	l.s.Open(pdf.ListItem)
	l.tagged(pdf.Label, label)
	l.tagged(pdf.ItemBody, body)
	l.s.Close()
}
