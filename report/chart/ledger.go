package chart

import (
	"math"
	"slices"
	"strconv"
)

// Segment is one class of messages in a bar.
type Segment struct {
	Name  string
	N     int64
	Fill  Paint
	Lines bool // outlined in Fill, empty inside
	Lens  bool // what the squares below are pulled out of
}

// Square is one message, pulled out of the bar.
type Square struct {
	Mark  Mark
	Label string // its number in section 8
}

// Group is a number of messages in the second bar, for lists too long for
// squares.
type Group struct {
	Name string
	N    int64
	Fill Paint
}

// Limits of the squares: up to LabelledSquares carry their number, up to
// PlainSquares are drawn at all.
const (
	LabelledSquares = 20
	PlainSquares    = 400
	captionBeside   = 10
	perRow          = 60
)

const (
	barHeight  = 30.0
	minSegment = 2.4 // 0.45 mm
	gap        = 1.6 // 0.3 mm of paper between segments
	pitch      = 46.0
	bigSquare  = 18.0
)

// Band returns the band over the headline: solid for complete, with a second
// line for accepted exceptions, with a gap for incomplete, hatched for
// inconclusive.
func Band(m Mark) Drawing {
	d := Drawing{W: Width, H: 14}
	switch m {
	case MarkComplete:
		d.rect(0, 0, Width, 14, Identical)
	case MarkAccepted:
		d.rect(0, 0, Width, 9, Identical)
		d.rect(0, 12, Width, 2, Identical)
	case MarkIncomplete:
		d.rect(0, 0, 781, 14, Missing)
		d.rect(861, 0, 75, 14, Missing)
	default:
		d.rect(0, 0, Width, 14, PatternBand)
	}
	return d
}

// widths returns the width of every segment in a bar of the given width: to
// scale, but anything that is not zero is wide enough to see; what that takes
// is taken from the widest.
func widths(n []int64, width float64) []float64 {
	var sum int64
	shown := 0
	for _, v := range n {
		sum += v
		if v > 0 {
			shown++
		}
	}
	out := make([]float64, len(n))
	if sum <= 0 || shown == 0 {
		return out
	}
	room := width - gap*float64(shown-1)
	over, widest := 0.0, 0
	for i, v := range n {
		if v <= 0 {
			continue
		}
		out[i] = room * float64(v) / float64(sum)
		if out[i] < minSegment {
			over += minSegment - out[i]
			out[i] = minSegment
		}
		if out[i] > out[widest] {
			widest = i
		}
	}
	out[widest] = math.Max(minSegment, out[widest]-over)
	return out
}

func (d *Drawing) segments(list []Segment, y, width, height float64) (lensFrom, lensTo float64) {
	n := make([]int64, len(list))
	for i, s := range list {
		n[i] = s.N
	}
	x, lensFrom, lensTo := 0.0, -1.0, -1.0
	for i, w := range widths(n, width) {
		if w == 0 {
			continue
		}
		s := list[i]
		if s.Lines {
			d.frame(x+0.6, y+0.6, math.Max(w-1.2, 0.8), height-1.2, s.Fill, 1.2)
		} else {
			d.rect(x, y, w, height, thin(s.Fill, w))
		}
		if s.Lens {
			if lensFrom < 0 {
				lensFrom = x
			}
			lensTo = x + w
		}
		x += w + gap
	}
	return lensFrom, lensTo
}

// thin replaces a hatching by its colour where the segment is too narrow to
// show it.
func thin(p Paint, w float64) Paint {
	if w >= 9 {
		return p
	}
	switch p {
	case PatternRelocated:
		return RelocLight
	case PatternAltered:
		return Altered
	case PatternUnread:
		return Unread
	}
	return p
}

// LedgerBar draws all messages of the source to scale, and below, pulled out
// of the bar, what did not arrive intact: one square each, or a second bar
// with a scale of its own where there are too many.
func LedgerBar(words Words, segments []Segment, squares []Square, groups []Group, total string) Drawing {
	d := Drawing{W: Width, H: barHeight, words: words}
	d.Title = d.say("All %s source messages by verdict", total)
	for i, s := range segments {
		if i > 0 {
			d.Description += ", "
		}
		d.Description += s.Name + " " + count(s.N)
	}
	from, to := d.segments(segments, 0, Width, barHeight)
	if len(segments) > 0 && segments[0].N > 0 && barLabelFits(segments) {
		d.bold(10, 20, segments[0].Name+" "+count(segments[0].N), Inverse, Start)
	}
	var pulled int64
	for _, g := range groups {
		pulled += g.N
	}
	switch {
	case len(squares) == 0 && pulled == 0:
		d.text(0, 56, d.say("Bar: all %s source messages, to scale; slivers too thin to see are widened.", total), Ink2, Start)
		d.H = 60
	case pulled > 0:
		d.secondBar(groups, pulled, from, to, total)
	case len(squares) <= LabelledSquares:
		d.labelledSquares(squares, from, to, total)
	default:
		d.plainSquares(squares, from, to, total)
	}
	return d
}

func barLabelFits(segments []Segment) bool {
	n := make([]int64, len(segments))
	for i, s := range segments {
		n[i] = s.N
	}
	return widths(n, Width)[0] > 9*float64(len(segments[0].Name)+len(count(segments[0].N)))
}

// lens draws the two lines from the segments to what is pulled out of them.
func (d *Drawing) lens(from, to, left float64) {
	if from < 0 {
		return
	}
	d.line(Ink3, 0.8, from, barHeight+2, left, 58)
	d.line(Ink3, 0.8, to, barHeight+2, Width, 58)
	d.line(Ink3, 0.8, left, 58, Width, 58)
}

func (d *Drawing) labelledSquares(squares []Square, from, to float64, total string) {
	left := Width - pitch*float64(len(squares))
	d.lens(from, to, left)
	for i, s := range squares {
		x := left + pitch*(float64(i)+0.5)
		d.place(s.Mark.Drawing(), x-bigSquare/2, 68, bigSquare/12)
		d.text(x, 102, s.Label, Ink2, Middle)
	}
	d.H = 108
	noun := d.say("Squares: the %s messages", strconv.Itoa(len(squares)))
	rest := d.say("not shown to be intact, one square each, with their number in section 8.")
	if len(squares) == 1 {
		noun, rest = d.say("Square: the one message"), d.say("not shown to be intact, with its number in section 8.")
	}
	if len(squares) <= captionBeside {
		d.text(0, 65, d.say("Bar: all %s source messages, to scale.", total), Ink2, Start)
		d.text(0, 82.5, d.say("Slivers too thin to see are widened.")+" "+noun, Ink2, Start)
		d.text(0, 100, rest, Ink2, Start)
		return
	}
	d.H = 132
	d.text(Width, 127, d.say("Bar to scale, slivers widened.")+" "+noun+" "+rest, Ink2, End)
}

func (d *Drawing) plainSquares(squares []Square, from, to float64, total string) {
	const small, step = 9.57, Width / perRow
	d.lens(from, to, 0)
	for i, s := range squares {
		x := float64(i%perRow)*step + (step-small)/2
		y := 66 + float64(i/perRow)*step
		d.place(s.Mark.Drawing(), x, y, small/12)
	}
	bottom := 66 + math.Ceil(float64(len(squares))/perRow)*step
	d.text(0, bottom+14, d.say("Bar: all %s source messages, to scale, slivers widened. Squares: the %s messages not shown to be intact,", total, count(int64(len(squares)))), Ink2, Start)
	d.text(0, bottom+31, d.say("one square each; section 8 lists them."), Ink2, Start)
	d.H = bottom + 37
}

func (d *Drawing) secondBar(groups []Group, pulled int64, from, to float64, total string) {
	d.lens(from, to, 0)
	groups = slices.Clone(groups)
	segments := make([]Segment, len(groups))
	for i, g := range groups {
		segments[i] = Segment{Name: g.Name, N: g.N, Fill: g.Fill}
	}
	d.segments(segments, 64, Width, 22)
	n := make([]int64, len(groups))
	for i, g := range groups {
		n[i] = g.N
	}
	x, end := 0.0, -10.0
	for i, w := range widths(n, Width) {
		label := groups[i].Name + " " + count(groups[i].N)
		if w > 0 && x > end && x+letters(label) < Width {
			d.text(x, 103, label, Ink, Start)
			end = x + letters(label) + 12
		}
		if w > 0 {
			x += w + gap
		}
	}
	d.text(0, 124, d.say("Upper bar: all %s source messages, to scale, slivers widened. Lower bar, with a scale of its own: the %s messages", total, count(pulled)), Ink2, Start)
	d.text(0, 141, d.say("not shown to be intact, by reason; section 8 has every number."), Ink2, Start)
	d.H = 147
}

// letters estimates the width of a text in units.
func letters(s string) float64 {
	n := 0
	for _, r := range s {
		if n++; r >= 0x2E80 { // ideographs and kana are twice as wide
			n++
		}
	}
	return 7.2 * float64(n)
}

// AccountBar draws one account to a common scale: max is the largest account.
// What is not shown to be intact stands behind the bar, one square each while
// there is room, then a number.
func AccountBar(segments []Segment, squares []Mark, max int64) Drawing {
	const width, height, step = 138.0, 12.0, 13.0
	d := Drawing{W: width, H: height}
	const shown = 4
	room := width - 3
	if len(squares) > 0 {
		room -= step*float64(min(len(squares), shown)) + 3
	}
	var sum int64
	for _, s := range segments {
		sum += s.N
	}
	if max <= 0 || sum <= 0 {
		return d
	}
	// Leave the same room in every row: the scale is common.
	scale := (width - 3 - step*shown - 3) / float64(max)
	x := 0.0
	for _, s := range segments {
		if s.N <= 0 {
			continue
		}
		w := math.Max(1.4, float64(s.N)*scale-0.8)
		w = math.Min(w, math.Max(1.4, room-x))
		if s.Lines {
			d.frame(x+0.5, 0.5, math.Max(w-1, 0.6), height-1, s.Fill, 1)
		} else {
			d.rect(x, 0, w, height, thin(s.Fill, w))
		}
		x += w + 0.8
	}
	x += 3.6
	for i, m := range squares {
		if i == shown-1 && len(squares) > shown {
			d.add(Shape{Kind: Label, P: Point{x, 10}, Text: "+" + strconv.Itoa(len(squares)-i), Fill: Ink, Letters: 9})
			break
		}
		d.place(m.Drawing(), x, 0.6, 0.9)
		x += step
	}
	return d
}

// count writes a number with commas.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	neg := n < 0
	if neg {
		s = s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	if neg {
		return "−" + s
	}
	return s
}
