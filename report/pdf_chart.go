package report

import (
	"math"
	"strings"

	"github.com/mailproof/mailproof/report/chart"
	"github.com/mailproof/mailproof/report/pdf"
)

// paints are the colours on paper; report.css has them, and those of the dark
// screen.
var paints = map[chart.Paint]pdf.Colour{
	chart.Ink: {R: 0x14, G: 0x18, B: 0x1c}, chart.Ink2: {R: 0x43, G: 0x4a, B: 0x52}, chart.Ink3: {R: 0x5f, G: 0x67, B: 0x70},
	chart.Paper: {R: 0xff, G: 0xff, B: 0xff}, chart.Inverse: {R: 0xff, G: 0xff, B: 0xff},
	chart.Line: {R: 0xc3, G: 0xc8, B: 0xce}, chart.Hair: {R: 0xe1, G: 0xe4, B: 0xe8},
	chart.Identical: {R: 0x1d, G: 0x4a, B: 0x5a}, chart.Equivalent: {R: 0x6a, G: 0x96, B: 0xa5}, chart.RelocLight: {R: 0xc3, G: 0xd7, B: 0xdd},
	chart.Altered: {R: 0xb0, G: 0x6f, B: 0x12}, chart.Missing: {R: 0x9c, G: 0x1c, B: 0x14}, chart.Unread: {R: 0x56, G: 0x5d, B: 0x66},
	chart.Excluded: {R: 0x7c, G: 0x84, B: 0x8d},
}

var wash = pdf.Colour{R: 0xf3, G: 0xf4, B: 0xf6}

func colour(p chart.Paint) pdf.Colour { return paints[p] }

// draw puts a drawing on the page with its upper left corner at (x, y); scale
// is in millimetres per unit.
func (l *layout) draw(d chart.Drawing, x, y, scale float64) {
	if d.Title == "" {
		l.s.Artifact(func() { l.shapes(d, x, y, scale) }) // the words beside it say the same
		return
	}
	l.s.OpenPicture(strings.TrimSpace(d.Title+". "+d.Description), x, y, d.W*scale, d.H*scale)
	l.shapes(d, x, y, scale)
	l.s.Close()
}

func (l *layout) shapes(d chart.Drawing, x, y, scale float64) {
	for _, s := range d.Shapes {
		switch s.Kind {
		case chart.Rectangle:
			l.rectangle(s, x+s.P.X*scale, y+s.P.Y*scale, s.Size.X*scale, s.Size.Y*scale, scale)
		case chart.Disc:
			l.disc(s, x+s.P.X*scale, y+s.P.Y*scale, s.Size.X*scale, scale)
		case chart.Path:
			l.path(s, x, y, scale)
		case chart.Label:
			l.label(s, x, y, scale)
		}
	}
}

func scaled(list []float64, by float64) []float64 {
	out := make([]float64, len(list))
	for i, v := range list {
		out[i] = v * by
	}
	return out
}

func (l *layout) rectangle(s chart.Shape, x, y, w, h, scale float64) {
	switch {
	case s.Fill.IsPattern():
		l.hatch(s.Fill, x, y, w, h)
	case s.Fill != chart.None:
		l.s.Area(x, y, w, h, colour(s.Fill))
	}
	if s.Stroke != chart.None {
		l.s.Frame(x, y, w, h, colour(s.Stroke), s.Weight*scale, scaled(s.Dash, scale))
	}
}

// hatch fills a rectangle with lines, as the patterns of the SVG do.
func (l *layout) hatch(p chart.Paint, x, y, w, h float64) {
	u := chart.Unit
	l.s.Clip(x, y, w, h, func() {
		switch p {
		case chart.PatternRelocated:
			l.s.Area(x, y, w, h, colour(chart.RelocLight))
			for at := 0.0; at < h; at += 4 * u {
				l.s.Area(x, y+at, w, u, colour(chart.Identical))
			}
		case chart.PatternAltered:
			l.s.Area(x, y, w, h, colour(chart.Paper))
			l.diagonals(x, y, w, h, 4.4*u, 2.4*u, colour(chart.Altered), false)
		case chart.PatternUnread:
			l.s.Area(x, y, w, h, colour(chart.Paper))
			l.diagonals(x, y, w, h, 4*u, 1.3*u, colour(chart.Unread), false)
			l.diagonals(x, y, w, h, 4*u, 1.3*u, colour(chart.Unread), true)
		default:
			l.s.Area(x, y, w, h, colour(chart.Paper))
			l.diagonals(x, y, w, h, 9*u, 4*u, colour(chart.Unread), false)
		}
	})
}

// diagonals draws parallel lines at 45°, pitch apart.
func (l *layout) diagonals(x, y, w, h, pitch, weight float64, c pdf.Colour, falling bool) {
	step := pitch * math.Sqrt2
	for at := -h; at < w+step; at += step {
		from, to := pdf.Point{X: x + at, Y: y + h}, pdf.Point{X: x + at + h, Y: y}
		if falling {
			from, to = pdf.Point{X: x + at, Y: y}, pdf.Point{X: x + at + h, Y: y + h}
		}
		// A little longer than the rectangle, for the ends to be clipped.
		dx, dy := (to.X-from.X)*0.2, (to.Y-from.Y)*0.2
		l.s.Line([]pdf.Point{{X: from.X - dx, Y: from.Y - dy}, {X: to.X + dx, Y: to.Y + dy}}, c, weight, nil)
	}
}

func (l *layout) disc(s chart.Shape, x, y, r, scale float64) {
	if s.Fill != chart.None {
		l.s.Disc(x, y, r, colour(s.Fill))
	}
	if s.Stroke != chart.None {
		l.s.Ring(x, y, r, colour(s.Stroke), s.Weight*scale, scaled(s.Dash, scale))
	}
}

func (l *layout) path(s chart.Shape, x, y, scale float64) {
	points := make([]pdf.Point, len(s.Points))
	for i, p := range s.Points {
		points[i] = pdf.Point{X: x + p.X*scale, Y: y + p.Y*scale}
	}
	if s.Fill != chart.None {
		l.s.Polygon(points, colour(s.Fill))
	}
	if s.Stroke != chart.None {
		l.s.Line(points, colour(s.Stroke), s.Weight*scale, scaled(s.Dash, scale))
	}
}

func (l *layout) label(s chart.Shape, x, y, scale float64) {
	letters := s.Letters
	if letters == 0 {
		letters = chart.TextSize
	}
	st := pdf.Style{Size: letters * scale * 72 / 25.4, Bold: s.Bold, Colour: colour(s.Fill)}
	at := x + s.P.X*scale
	switch s.Align {
	case chart.Middle:
		at -= l.s.Width(st, s.Text) / 2
	case chart.End:
		at -= l.s.Width(st, s.Text)
	}
	l.s.Text(at, y+s.P.Y*scale, st, s.Text)
}

// namedMark draws a mark beside text. The verdict's stand for a word in tables,
// and are read as that; the others say nothing that the text does not.
func (l *layout) namedMark(m chart.Mark, x, y, size float64) {
	if name, ok := markNames[m]; ok {
		l.s.OpenPicture(l.o.T(name), x, y, size, size)
		l.shapes(m.Drawing(), x, y, size/m.Drawing().H)
		l.s.Close()
		return
	}
	l.mark(m, x, y, size)
}

var markNames = map[chart.Mark]string{
	chart.MarkComplete: "complete", chart.MarkAccepted: "complete with accepted exceptions", chart.MarkIncomplete: "incomplete", chart.MarkInconclusive: "inconclusive",
}

// mark draws a mark of the given height with its upper left corner at (x, y).
func (l *layout) mark(m chart.Mark, x, y, size float64) {
	d := m.Drawing()
	l.draw(d, x, y, size/d.H)
}
