// Package pdf is a thin layer over the PDF library and the only package that
// calls it, so that another library is one package's work. It knows pages,
// text in three faces, lines and areas, links and bookmarks, and nothing of
// reports.
//
// The library has edges that mail would hit, and each is guarded here:
//
//   - a character above U+FFFF makes it panic or write nothing, so it is printed
//     as ⟨U+1F600⟩, as is whatever no font covers;
//   - control and format characters would pass through, U+202E among them: they
//     are written out in the same way;
//   - it writes text in logical order: Hebrew and Arabic are brought into
//     visual order (UAX #9) and Arabic letters into their joined forms;
//   - cells never clip: Fit and Wrap measure, and cut with an ellipsis;
//   - no page count alias is ever set, so that {nb} in a subject stays {nb};
//   - Output recovers from a panic and returns an error instead.
//
// What it writes is then made a document of PDF/A-3B, tagged for assistive
// technology (see archive.go and tags.go): text belongs to the element that Open
// has begun, lines and areas are part of a picture or of nothing.
//
// The same calls give the same octets: times come from Options alone.
package pdf

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"time"

	"codeberg.org/go-fonts/dejavu/dejavusans"
	"codeberg.org/go-fonts/dejavu/dejavusansbold"
	"codeberg.org/go-fonts/dejavu/dejavusansmono"
	"github.com/jung-kurt/gofpdf"
)

// Millimetres of A4.
const (
	PageWidth  = 210.0
	PageHeight = 297.0
)

// Options describe the file.
type Options struct {
	Title, Author, Subject, Creator string
	// Language is the BCP 47 tag of the text; empty: en.
	Language string
	// LinkText is what an assistant says of a link that leads to another place
	// in the document; empty: "to another section".
	LinkText string
	// Time is the creation and modification date.
	Time time.Time
	// Fonts are TrueType files for characters that DejaVu Sans lacks, in order
	// of preference. Collections and CFF outlines are refused.
	Fonts [][]byte
}

// Style is how a text is set.
type Style struct {
	Size   float64 // points
	Bold   bool
	Mono   bool
	Colour Colour
}

// Colour is a colour of RGB.
type Colour struct{ R, G, B uint8 }

// Point is a place on a page, in millimetres from its upper left corner.
type Point struct{ X, Y float64 }

// Sheet is a PDF in the making. After the first error every call does nothing;
// Output returns it.
type Sheet struct {
	f     *gofpdf.Fpdf
	faces []*face // regular, bold, mono, then fallbacks
	err   error
	links map[string]int
	known map[string]bool // anchors that were set
	now   string          // the face and size in force
	cache map[string]*text
	o     Options

	tags        tags
	attachments []Attachment
	images      int
}

const (
	regular = iota
	boldFace
	monoFace
	fallbacks
)

// New begins a document without a page.
func New(o Options) (*Sheet, error) {
	o.Title, o.Author, o.Subject, o.Creator = plain(o.Title), plain(o.Author), plain(o.Subject), plain(o.Creator)
	o.Language, o.LinkText = cmp.Or(o.Language, "en"), cmp.Or(o.LinkText, "to another section")
	f := gofpdf.New("P", "mm", "A4", "")
	f.SetCatalogSort(true)
	f.SetCreationDate(o.Time.UTC())
	f.SetModificationDate(o.Time.UTC())
	f.SetAutoPageBreak(false, 0)
	f.SetMargins(0, 0, 0)
	s := &Sheet{f: f, o: o, links: map[string]int{}, known: map[string]bool{}, cache: map[string]*text{}, tags: newTags()}
	data := [][]byte{dejavusans.TTF, dejavusansbold.TTF, dejavusansmono.TTF}
	for i, ttf := range append(data, o.Fonts...) {
		face, err := newFace(fmt.Sprintf("f%d", i), ttf)
		if err != nil {
			return nil, fmt.Errorf("pdf: font %d: %w", i, err)
		}
		if err := add(f, face.name, ttf); err != nil {
			return nil, fmt.Errorf("pdf: font %d: %w", i, err)
		}
		s.faces = append(s.faces, face)
	}
	return s, nil
}

// add gives a font to the library, which panics on some that it cannot read.
func add(f *gofpdf.Fpdf, name string, ttf []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("cannot be used: %v", r)
		}
	}()
	f.AddUTF8FontFromBytes(name, "", bytes.Clone(ttf))
	return f.Error()
}

// plain makes text fit for the document's properties and bookmarks.
func plain(s string) string { return Clean(s, func(r rune) bool { return r <= 0xFFFF }) }

// AddPage begins a page.
func (s *Sheet) AddPage() {
	s.unmark()
	s.f.AddPage()
	s.now = ""
}

// Attach puts a file into the document.
func (s *Sheet) Attach(a Attachment) { s.attachments = append(s.attachments, a) }

// Pages is the number of pages so far.
func (s *Sheet) Pages() int { return s.f.PageCount() }

// SetPage goes back to a page, counted from 1, to add to it.
func (s *Sheet) SetPage(n int) {
	s.unmark()
	s.f.SetPage(n)
	s.now = ""
	// The library writes a state only when it changes, and does not know that
	// the page has another one: force both.
	s.f.SetFont(s.faces[monoFace].name, "", 1)
	s.f.SetLineWidth(0.2)
	s.f.SetDashPattern(nil, 0)
}

// Output writes the document.
func (s *Sheet) Output(w io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pdf: the library failed: %v", r)
		}
	}()
	if s.err != nil {
		return s.err
	}
	for name := range s.links {
		if !s.known[name] {
			return fmt.Errorf("pdf: a link leads to %q, which is nowhere", name)
		}
	}
	if s.tags.now != s.tags.root || s.tags.artifacts != 0 {
		return fmt.Errorf("pdf: the element %s is not closed", s.tags.now.role)
	}
	s.unmark()
	s.f.SetPage(s.Pages()) // the library writes no page beyond the one at hand
	var b bytes.Buffer
	if err := s.f.Output(&b); err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	if b.Len() == 0 {
		return errors.New("pdf: the library wrote nothing")
	}
	if err := s.archive(b.Bytes(), w); err != nil {
		return fmt.Errorf("pdf: %w", err)
	}
	return nil
}

func (s *Sheet) fill(c Colour)   { s.f.SetFillColor(int(c.R), int(c.G), int(c.B)) }
func (s *Sheet) stroke(c Colour) { s.f.SetDrawColor(int(c.R), int(c.G), int(c.B)) }

// Area fills a rectangle.
func (s *Sheet) Area(x, y, w, h float64, c Colour) {
	s.markDrawing()
	s.fill(c)
	s.f.Rect(x, y, w, h, "F")
}

// Frame strokes a rectangle.
func (s *Sheet) Frame(x, y, w, h float64, c Colour, weight float64, dash []float64) {
	s.markDrawing()
	s.pen(c, weight, dash)
	s.f.Rect(x, y, w, h, "D")
	s.f.SetDashPattern(nil, 0)
}

func (s *Sheet) pen(c Colour, weight float64, dash []float64) {
	s.stroke(c)
	s.f.SetLineWidth(weight)
	s.f.SetDashPattern(dash, 0)
}

// Line strokes a line through points.
func (s *Sheet) Line(points []Point, c Colour, weight float64, dash []float64) {
	if len(points) < 2 {
		return
	}
	s.markDrawing()
	s.pen(c, weight, dash)
	s.f.MoveTo(points[0].X, points[0].Y)
	for _, p := range points[1:] {
		s.f.LineTo(p.X, p.Y)
	}
	s.f.DrawPath("D")
	s.f.SetDashPattern(nil, 0)
}

// Rule strokes a horizontal line.
func (s *Sheet) Rule(x, y, w float64, c Colour, weight float64) {
	s.Line([]Point{{x, y}, {x + w, y}}, c, weight, nil)
}

// Polygon fills an area.
func (s *Sheet) Polygon(points []Point, c Colour) {
	s.markDrawing()
	list := make([]gofpdf.PointType, len(points))
	for i, p := range points {
		list[i] = gofpdf.PointType{X: p.X, Y: p.Y}
	}
	s.fill(c)
	s.f.Polygon(list, "F")
}

// Disc fills a circle.
func (s *Sheet) Disc(x, y, r float64, c Colour) {
	s.markDrawing()
	s.fill(c)
	s.f.Circle(x, y, r, "F")
}

// Ring strokes a circle.
func (s *Sheet) Ring(x, y, r float64, c Colour, weight float64, dash []float64) {
	s.markDrawing()
	s.pen(c, weight, dash)
	s.f.Circle(x, y, r, "D")
	s.f.SetDashPattern(nil, 0)
}

// Clip draws inside a rectangle only.
func (s *Sheet) Clip(x, y, w, h float64, draw func()) {
	s.markDrawing()
	s.f.ClipRect(x, y, w, h, false)
	draw()
	s.f.ClipEnd()
}

// Bookmark adds an entry to the outline that leads to y on this page; the
// uppermost level is 0.
func (s *Sheet) Bookmark(title string, level int, y float64) { s.f.Bookmark(plain(title), level, y) }

func (s *Sheet) link(name string) int {
	id, ok := s.links[name]
	if !ok {
		id = s.f.AddLink()
		s.links[name] = id
	}
	return id
}

// Anchor makes y on this page the goal of links to name.
func (s *Sheet) Anchor(name string, y float64) {
	s.known[name] = true
	s.f.SetLink(s.link(name), y, s.f.PageNo())
}

// Link makes an area lead to an anchor, which may still come.
func (s *Sheet) Link(x, y, w, h float64, name string) {
	s.noteLink()
	s.f.Link(x, y, w, h, s.link(name))
}

// Image draws a picture of the PNG format, without transparency and of eight
// bits a channel, into a rectangle.
func (s *Sheet) Image(png []byte, x, y, w, h float64) {
	s.markDrawing()
	s.images++
	name := fmt.Sprintf("i%d", s.images)
	o := gofpdf.ImageOptions{ImageType: "PNG"}
	s.f.RegisterImageOptionsReader(name, o, bytes.NewReader(png))
	s.f.ImageOptions(name, x, y, w, h, false, o, 0, "")
}
