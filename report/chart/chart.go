// Package chart draws the pictures of the report: the ledger bar with its
// squares, the account bars, the timeline, the size histogram, and the marks
// that stand beside words. A chart is a [Drawing], a list of plain shapes in
// named colours; the SVG in the HTML report and the pages of the PDF are made
// of the same list, so that both show the same picture.
//
// Every mark means messages, and no meaning rests on colour alone: each class
// has a shape or a hatching of its own. Whatever is drawn is to scale, or the
// caption says that it is not; nothing that counts is ever too thin to see.
//
// The package knows nothing of mail, of documents or of files. It imports the
// standard library only.
package chart

import (
	"fmt"
	"math"
)

// Unit is the length in millimetres of one unit of a drawing: a chart 936
// units wide fills the text width of 176 mm.
const Unit = 176.0 / 936

// Width is the width of a chart that fills the text width.
const Width = 936.0

// TextSize is the size of lettering in drawings, in units.
const TextSize = 12.2

// Paint names a colour of the report, or a hatching. The media know what
// stands behind a name in light and in dark.
type Paint string

// The paints. Pattern paints are areas; the others serve as fill and stroke.
const (
	None    Paint = ""
	Ink     Paint = "ink"
	Ink2    Paint = "ink2"
	Ink3    Paint = "ink3"
	Paper   Paint = "bg"
	Inverse Paint = "inv" // on Identical
	Line    Paint = "line"
	Hair    Paint = "hair"

	Identical  Paint = "k1"
	Equivalent Paint = "k2"
	RelocLight Paint = "k3"
	Altered    Paint = "alt"
	Missing    Paint = "mis"
	Unread     Paint = "unr"
	Excluded   Paint = "exc"

	PatternRelocated Paint = "rel"  // horizontal lines
	PatternAltered   Paint = "halt" // hatched at 45°
	PatternUnread    Paint = "hunr" // cross-hatched
	PatternBand      Paint = "band" // broad stripes
)

// IsPattern reports whether the paint is a hatching.
func (p Paint) IsPattern() bool {
	switch p {
	case PatternRelocated, PatternAltered, PatternUnread, PatternBand:
		return true
	}
	return false
}

// Align says where a text stands in relation to its point.
type Align uint8

// The alignments.
const (
	Start Align = iota
	Middle
	End
)

// Point is a place in a drawing, from its upper left corner.
type Point struct{ X, Y float64 }

// Kind is the kind of a shape.
type Kind uint8

// The kinds.
const (
	Rectangle Kind = iota + 1 // from P to P+Size
	Path                      // through Points; closed where Closed
	Disc                      // around P with radius Size.X
	Label                     // Text with its baseline at P
)

// Shape is one thing drawn.
type Shape struct {
	Kind    Kind
	P, Size Point
	Points  []Point
	Closed  bool
	Fill    Paint
	Stroke  Paint
	Weight  float64   // of the stroke
	Dash    []float64 // of the stroke; nil: solid
	Text    string
	Align   Align
	Bold    bool
	Letters float64 // size of the lettering; 0: TextSize
}

// Words gives a fixed text in the language of the report, with the verbs of
// package fmt; nil leaves it in English.
type Words func(text string, args ...any) string

// Drawing is a picture. Title and Description say in words what it shows.
type Drawing struct {
	W, H               float64
	Title, Description string
	Shapes             []Shape
	words              Words
}

// say is a fixed text of the drawing.
func (d *Drawing) say(text string, args ...any) string {
	switch {
	case d.words != nil:
		return d.words(text, args...)
	case len(args) == 0:
		return text
	}
	return fmt.Sprintf(text, args...)
}

func (d *Drawing) add(s Shape) { d.Shapes = append(d.Shapes, s) }

func (d *Drawing) rect(x, y, w, h float64, fill Paint) {
	d.add(Shape{Kind: Rectangle, P: Point{x, y}, Size: Point{w, h}, Fill: fill})
}

func (d *Drawing) frame(x, y, w, h float64, stroke Paint, weight float64, dash ...float64) {
	d.add(Shape{Kind: Rectangle, P: Point{x, y}, Size: Point{w, h}, Stroke: stroke, Weight: weight, Dash: dash})
}

func (d *Drawing) line(stroke Paint, weight float64, xy ...float64) {
	d.add(Shape{Kind: Path, Points: points(xy), Stroke: stroke, Weight: weight})
}

func (d *Drawing) area(fill Paint, xy ...float64) {
	d.add(Shape{Kind: Path, Points: points(xy), Closed: true, Fill: fill})
}

func (d *Drawing) disc(x, y, r float64, fill Paint) {
	d.add(Shape{Kind: Disc, P: Point{x, y}, Size: Point{r, r}, Fill: fill})
}

func (d *Drawing) ring(x, y, r float64, stroke Paint, weight float64, dash ...float64) {
	d.add(Shape{Kind: Disc, P: Point{x, y}, Size: Point{r, r}, Stroke: stroke, Weight: weight, Dash: dash})
}

func (d *Drawing) text(x, y float64, s string, fill Paint, align Align) {
	d.add(Shape{Kind: Label, P: Point{x, y}, Text: s, Fill: fill, Align: align})
}

func (d *Drawing) bold(x, y float64, s string, fill Paint, align Align) {
	d.add(Shape{Kind: Label, P: Point{x, y}, Text: s, Fill: fill, Align: align, Bold: true})
}

// place adds the shapes of another drawing, moved and scaled.
func (d *Drawing) place(m Drawing, x, y, scale float64) {
	at := func(p Point) Point { return Point{x + p.X*scale, y + p.Y*scale} }
	for _, s := range m.Shapes {
		s.P, s.Size, s.Weight = at(s.P), Point{s.Size.X * scale, s.Size.Y * scale}, s.Weight*scale
		s.Points = transform(s.Points, at)
		dash := make([]float64, len(s.Dash))
		for i, n := range s.Dash {
			dash[i] = n * scale
		}
		s.Dash = dash
		d.add(s)
	}
}

func transform(list []Point, f func(Point) Point) []Point {
	out := make([]Point, len(list))
	for i, p := range list {
		out[i] = f(p)
	}
	return out
}

func points(xy []float64) []Point {
	out := make([]Point, len(xy)/2)
	for i := range out {
		out[i] = Point{xy[2*i], xy[2*i+1]}
	}
	return out
}

// arc returns coordinates along a circle, from one angle to another in
// degrees, clockwise from three o'clock as y grows downwards.
func arc(cx, cy, r, from, to float64) []float64 {
	const step = 7.5
	n := int(math.Ceil(math.Abs(to-from) / step))
	xy := make([]float64, 0, 2*n+2)
	for i := 0; i <= n; i++ {
		a := (from + (to-from)*float64(i)/float64(n)) * math.Pi / 180
		xy = append(xy, cx+r*math.Cos(a), cy+r*math.Sin(a))
	}
	return xy
}
