package chart

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// TimelineRow is one pass.
type TimelineRow struct {
	No, Name, Messages string
	Start, End         time.Time // End is zero where the pass never ended
	Wrote              bool      // solid: it wrote to the destination; open: it only read
	Bad                bool      // it failed, was cancelled or was killed
	Bold               bool
}

const (
	timeLeft, timeRight = 176.0, 492.0
	rowHeight           = 23.0
	headHeight          = 34.0
)

// Timeline draws passes over time, one row each, with the same facts in words
// beside the bars.
func Timeline(words Words, rows []TimelineRow) Drawing {
	d := Drawing{W: Width, H: headHeight + rowHeight*float64(len(rows)) + 2, words: words}
	d.Title = d.say("Timeline of passes")
	from, to := span(rows)
	d.Description = d.say("%s passes between %s and %s; the columns beside the bars give the same facts in words.",
		strconv.Itoa(len(rows)), d.date(from, "2 Jan 2006 15:04:05"), d.date(to, "2 Jan 2006 15:04:05 MST"))
	scale := (timeRight - timeLeft) / math.Max(1, to.Sub(from).Seconds())
	x := func(t time.Time) float64 { return timeLeft + t.Sub(from).Seconds()*scale }

	d.ticks(from, to, x)
	d.text(0, 22, d.say("Pass"), Ink3, Start)
	d.text(516, 22, d.say("Started, UTC"), Ink3, Start)
	d.text(634, 22, d.say("Duration"), Ink3, Start)
	d.text(736, 22, d.say("Messages"), Ink3, Start)
	d.line(Ink, 1, 0, headHeight, Width, headHeight)
	for i, r := range rows {
		y := headHeight + rowHeight*float64(i)
		d.line(Hair, 1, 0, y+rowHeight, Width, y+rowHeight)
		d.text(0, y+15.8, r.No, Ink3, Start)
		d.bar(r, x(r.Start), endOf(r, to, x), y+5)
		write := d.text
		if r.Bold || r.Bad {
			write = d.bold
		}
		write(22, y+15.8, r.Name, Ink, Start)
		d.text(516, y+15.8, d.date(r.Start, "2 Jan 15:04:05"), Ink2, Start)
		d.text(634, y+15.8, d.duration(r), Ink2, Start)
		write(736, y+15.8, r.Messages, Ink, Start)
	}
	return d
}

func endOf(r TimelineRow, last time.Time, x func(time.Time) float64) float64 {
	if r.End.IsZero() {
		return x(last)
	}
	return x(r.End)
}

func (d *Drawing) bar(r TimelineRow, from, to, y float64) {
	w := math.Max(3.2, to-from)
	from = math.Min(from, timeRight-3.2)
	switch {
	case r.Bad || r.End.IsZero():
		w = math.Max(6, w)
		d.frame(from, y+0.7, w, 11.6, Unread, 1.2, 2.27, 1.38)
	case r.Wrote:
		d.rect(from, y, w, 13, Identical)
	default:
		d.rect(from, y, w+1.4, 13, Paper)
		d.frame(from+0.7, y+0.7, w, 11.6, Identical, 1.4)
	}
}

func span(rows []TimelineRow) (from, to time.Time) {
	for _, r := range rows {
		if from.IsZero() || r.Start.Before(from) {
			from = r.Start
		}
		for _, t := range []time.Time{r.Start, r.End} {
			if t.After(to) {
				to = t
			}
		}
	}
	return from, to
}

var tickSteps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	24 * time.Hour, 48 * time.Hour, 7 * 24 * time.Hour, 14 * 24 * time.Hour, 28 * 24 * time.Hour, 91 * 24 * time.Hour, 365 * 24 * time.Hour,
}

// ticks marks round times: few enough that their labels stand apart.
func (d *Drawing) ticks(from, to time.Time, x func(time.Time) float64) {
	const day, mostDays, mostTimes = 24 * time.Hour, 9, 5
	step := tickSteps[len(tickSteps)-1]
	for _, s := range tickSteps {
		most := time.Duration(mostTimes)
		if s >= day {
			most = mostDays // their labels are shorter
		}
		if to.Sub(from) <= most*s {
			step = s
			break
		}
	}
	layout := "2 Jan"
	switch {
	case step < time.Minute:
		layout = "15:04:05"
	case step < 24*time.Hour:
		layout = "15:04"
	}
	for t := from.Truncate(step); !t.After(to) && t.Sub(from) < 100*step; t = t.Add(step) {
		if t.Before(from) {
			continue
		}
		d.line(Line, 1, x(t), 28, x(t), headHeight)
		d.text(math.Min(x(t), timeRight-14), 22, d.date(t, layout), Ink3, Middle)
	}
}

// dayOfLanguage names the layout of a day, where the report's language has one of
// its own.
const dayOfLanguage = "@day"

// date writes a time as the report's language has it.
func (d *Drawing) date(t time.Time, layout string) string {
	if d.words != nil {
		if day := d.words(dayOfLanguage); day != dayOfLanguage {
			layout = strings.Replace(layout, "2 Jan", day, 1)
		}
	}
	text := t.Format(layout)
	if month := t.Format("Jan"); d.words != nil && strings.Contains(layout, "Jan") {
		text = strings.Replace(text, month, d.words(month), 1)
	}
	return text
}

func (d *Drawing) duration(r TimelineRow) string {
	if r.End.IsZero() {
		return d.say("did not end")
	}
	return Duration(r.End.Sub(r.Start))
}

// Duration writes a length of time with at most two units: "2 h 36 min".
func Duration(t time.Duration) string {
	switch {
	case t < 0:
		return "0 s"
	case t < time.Second:
		return fmt.Sprintf("%d ms", t.Milliseconds())
	case t < time.Minute:
		return fmt.Sprintf("%.1f s", t.Seconds())
	case t < time.Hour:
		return units(int(t.Minutes()), "min", int(t.Seconds())%60, "s")
	case t < 48*time.Hour:
		return units(int(t.Hours()), "h", int(t.Minutes())%60, "min")
	default:
		return units(int(t.Hours())/24, "d", int(t.Hours())%24, "h")
	}
}

func units(n int, unit string, rest int, smaller string) string {
	if rest == 0 {
		return fmt.Sprintf("%d %s", n, unit)
	}
	return fmt.Sprintf("%d %s %d %s", n, unit, rest, smaller)
}

// Histogram draws two rows of counts mirrored at an axis that carries the
// class limits, and the differences below: those are the finding. There is one
// label less than there are classes.
func Histogram(words Words, source, destination []int64, limits []string, sourceTitle, destinationTitle string) Drawing {
	const up, down, tall = 112.0, 138.0, 84.0
	d := Drawing{W: Width, H: 282, words: words}
	d.Title = d.say("Messages by size, source and destination")
	d.Description = d.say("%s size classes; each bar carries its count, the last row the difference, destination minus source.", strconv.Itoa(len(source)))
	var max int64 = 1
	for i := range source {
		max = maxOf(max, source[i], destination[i])
	}
	step := Width / float64(len(source))
	size := TextSize
	if len(count(max)) > 7 {
		size = 9.6
	}
	label := func(x, y float64, n int64, s string, bold bool) {
		paint := Ink
		if n == 0 {
			paint = Ink3
		}
		d.add(Shape{Kind: Label, P: Point{x, y}, Text: s, Fill: paint, Align: Middle, Bold: bold && n != 0, Letters: size})
	}
	d.line(Line, 1, 0, up, Width, up)
	d.line(Line, 1, 0, down, Width, down)
	for i := range source {
		x, middle := step*float64(i)+5, step*(float64(i)+0.5)
		if h := height(source[i], max, tall); h > 0 {
			d.rect(x, up-h, step-10, h, Identical)
			label(middle, up-h-6, source[i], count(source[i]), false)
		} else {
			label(middle, up-6, 0, "0", false)
		}
		h := height(destination[i], max, tall)
		if h > 0 {
			d.line(Identical, 1.4, x+0.7, down, x+0.7, down+h, x+step-10.7, down+h, x+step-10.7, down)
		}
		label(middle, down+h+15, destination[i], count(destination[i]), false)
		if i < len(limits) {
			d.text(step*float64(i+1), 129.2, limits[i], Ink2, Middle)
		}
		difference := destination[i] - source[i]
		label(middle, 272, difference, signed(difference), true)
	}
	d.bold(Width, 14, sourceTitle, Ink, End)
	d.bold(Width, 236, destinationTitle, Ink, End)
	d.line(Ink, 1, 0, 254, Width, 254)
	return d
}

func height(n, max int64, tall float64) float64 {
	if n <= 0 {
		return 0
	}
	return math.Max(1, tall*float64(n)/float64(max))
}

func maxOf(a, b, c int64) int64 { return max(a, b, c) }

func signed(n int64) string {
	if n > 0 {
		return "+" + count(n)
	}
	return count(n)
}
