package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// Whatever counts is seen, nothing else is drawn, and a bar is never longer
// than its frame.
func TestWidths(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 5000 {
		n := make([]int64, 1+r.IntN(9))
		for i := range n {
			if r.IntN(2) == 0 {
				n[i] = r.Int64N(1 << uint(1+r.IntN(40)))
			}
		}
		sum, shown := 0.0, 0
		for i, w := range widths(n, Width) {
			if (w > 0) != (n[i] > 0) {
				t.Fatalf("%v: segment %d is %g wide", n, i, w)
			}
			if n[i] > 0 && w < minSegment {
				t.Fatalf("%v: segment %d is too thin: %g", n, i, w)
			}
			if w > 0 {
				shown++
			}
			sum += w
		}
		if shown > 0 {
			sum += gap * float64(shown-1)
			if math.Abs(sum-Width) > 0.01 {
				t.Fatalf("%v: the bar is %g long", n, sum)
			}
		}
	}
}

func squaresOf(n int) []Square {
	list := make([]Square, n)
	for i := range list {
		list[i] = Square{MarkMissing, "E-1"}
	}
	return list
}

// No shape lies outside its drawing: what does would run over its neighbours.
func TestDrawingsKeepInside(t *testing.T) {
	segments := []Segment{{Name: "identical", N: 10_000_000, Fill: Identical}, {Name: "altered", N: 2, Fill: PatternAltered, Lens: true}, {Name: "excluded", N: 5, Fill: Excluded, Lines: true}}
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	rows := func(n int, step time.Duration) (list []TimelineRow) {
		for i := range n {
			list = append(list, TimelineRow{No: "1", Name: "Copy", Messages: "1 appended", Start: base.Add(time.Duration(i) * step), End: base.Add(time.Duration(i)*step + step/2), Wrote: i%2 == 0, Bad: i%3 == 0})
		}
		return list
	}
	drawings := map[string]Drawing{
		"no squares": LedgerBar(nil, segments, nil, nil, "10,000,007"), "one": LedgerBar(nil, segments, squaresOf(1), nil, "1"), "20": LedgerBar(nil, segments, squaresOf(20), nil, "1"),
		"21": LedgerBar(nil, segments, squaresOf(21), nil, "1"), "400": LedgerBar(nil, segments, squaresOf(400), nil, "1"),
		"groups": LedgerBar(nil, segments, nil, []Group{{"missing", 4000, Missing}, {"altered", 1, PatternAltered}}, "9"), "empty": LedgerBar(nil, nil, nil, nil, "0"),
		"account": AccountBar(segments, []Mark{MarkMissing, MarkMissing, MarkMissing, MarkMissing, MarkMissing, MarkMissing}, 10_000_007),
		"seconds": Timeline(nil, rows(9, 200*time.Millisecond)), "one pass": Timeline(nil, rows(1, time.Second)), "years": Timeline(nil, rows(30, 300*time.Hour)),
		"histogram": Histogram(nil, []int64{0, 1, 9_999_999}, []int64{5, 0, 10_000_000}, []string{"2 kB", "4"}, "Source", "Destination"),
	}
	for _, m := range []Mark{MarkComplete, MarkAccepted, MarkIncomplete, MarkInconclusive} {
		drawings["band "+string(m)] = Band(m)
	}
	for _, m := range Marks() {
		drawings[string(m)] = m.Drawing()
	}
	for name, d := range drawings {
		if len(d.Shapes) == 0 {
			t.Errorf("%s: nothing is drawn", name)
		}
		for _, s := range d.Shapes {
			list := []Point{s.P}
			switch s.Kind {
			case Rectangle:
				list = append(list, Point{s.P.X + s.Size.X, s.P.Y + s.Size.Y})
			case Path:
				list = s.Points
			}
			for _, p := range list {
				if p.X < -0.5 || p.Y < -0.5 || p.X > d.W+0.5 || p.Y > d.H+0.5 || math.IsNaN(p.X+p.Y) {
					t.Errorf("%s (%g × %g): a shape reaches %+v: %+v", name, d.W, d.H, p, s)
				}
			}
		}
	}
}

// The SVG is well-formed and carries no style, whatever the texts.
func TestSVG(t *testing.T) {
	d := LedgerBar(nil, []Segment{{Name: `</text><script>"&`, N: 900, Fill: Identical}}, []Square{{MarkAltered, "<img src=x onerror=1>\x00\x1b"}}, nil, `1"><script>`)
	text := d.SVG(`a"b`)
	for _, bad := range []string{"<script", "<img", "style=", "\x00", "\x1b"} {
		if strings.Contains(text, bad) {
			t.Errorf("SVG contains %q", bad)
		}
	}
	for _, s := range []string{text, "<x>" + Definitions() + "</x>"} {
		dec := xml.NewDecoder(strings.NewReader(s))
		for {
			if _, err := dec.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Fatalf("not well-formed: %v", err)
			}
		}
	}
	for _, m := range Marks() {
		if !strings.Contains(Definitions(), `id="`+string(m)+`"`) {
			t.Errorf("%s is not defined", m)
		}
	}
}

// The verdicts are told apart without colour: no two bands and no two marks
// have the same shapes.
func TestVerdictsDifferInShape(t *testing.T) {
	shape := func(d Drawing) string {
		var b strings.Builder
		for _, s := range d.Shapes {
			b.WriteString(number(float64(s.Kind)) + number(s.P.X) + "," + number(s.Size.X) + "," + number(float64(len(s.Points))) + number(float64(len(s.Dash))))
			if s.Fill.IsPattern() {
				b.WriteString(string(s.Fill))
			}
			b.WriteByte(';')
		}
		return b.String()
	}
	seen := map[string]Mark{}
	for _, m := range []Mark{MarkComplete, MarkAccepted, MarkIncomplete, MarkInconclusive} {
		for _, s := range []string{"band " + shape(Band(m)), "mark " + shape(m.Drawing())} {
			if other, ok := seen[s]; ok {
				t.Errorf("%s and %s look alike in grey", m, other)
			}
			seen[s] = m
		}
	}
}

func TestDuration(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "0 ms", 1500 * time.Millisecond: "1.5 s", 90 * time.Second: "1 min 30 s", 156 * time.Minute: "2 h 36 min", 50 * time.Hour: "2 d 2 h", -1: "0 s"} {
		if got := Duration(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

// Ticks are few enough to be read, and there is at least one where the span
// allows.
func TestTicks(t *testing.T) {
	base := time.Date(2026, 3, 1, 7, 13, 29, 0, time.UTC)
	for span := time.Second; span < 3*365*24*time.Hour; span = span*7/5 + 1 {
		d := Timeline(nil, []TimelineRow{{Start: base, End: base.Add(span)}})
		ticks := 0
		for _, s := range d.Shapes {
			if s.Kind == Path && s.Stroke == Line {
				ticks++
			}
		}
		if ticks > 10 {
			t.Errorf("%v: %d ticks", span, ticks)
		}
	}
}
