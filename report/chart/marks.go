package chart

// Mark names a small sign that stands before a word or for one message.
type Mark string

// The marks. Those of one row are never told apart by colour alone.
const (
	// What became of a message.
	MarkIdentical  Mark = "m-identical"
	MarkEquivalent Mark = "m-equivalent"
	MarkRelocated  Mark = "m-relocated"
	MarkAltered    Mark = "m-altered"
	MarkMissing    Mark = "m-missing"
	MarkUnread     Mark = "m-unread"
	MarkExcluded   Mark = "m-excluded"
	MarkCollapsed  Mark = "m-collapsed"
	MarkUnchecked  Mark = "m-unchecked"

	// What is said of an account or of the whole.
	MarkComplete     Mark = "v-complete"
	MarkAccepted     Mark = "v-accepted"
	MarkIncomplete   Mark = "v-incomplete"
	MarkInconclusive Mark = "v-inconclusive"

	// What was decided.
	MarkOpen           Mark = "d-open"
	MarkAcceptedByName Mark = "d-accepted"
	MarkFixed          Mark = "d-fixed"
	MarkWaived         Mark = "d-waived"

	// How a check ended.
	MarkPass    Mark = "o-pass"
	MarkWarn    Mark = "o-warn"
	MarkFail    Mark = "o-fail"
	MarkInfo    Mark = "o-info"
	MarkUnknown Mark = "o-unknown"

	// What a step of the runbook rests on.
	MarkMeasured   Mark = "r-measured"
	MarkAttested   Mark = "r-attested"
	MarkEitherKind Mark = "r-either"

	MarkTickBox Mark = "box" // to be ticked by hand
)

// Marks lists all of them, for a medium that defines each once.
func Marks() []Mark {
	return []Mark{
		MarkIdentical, MarkEquivalent, MarkRelocated, MarkAltered, MarkMissing, MarkUnread, MarkExcluded, MarkCollapsed, MarkUnchecked,
		MarkComplete, MarkAccepted, MarkIncomplete, MarkInconclusive,
		MarkOpen, MarkAcceptedByName, MarkFixed, MarkWaived,
		MarkPass, MarkWarn, MarkFail, MarkInfo, MarkUnknown, MarkMeasured, MarkAttested, MarkEitherKind, MarkTickBox,
	}
}

// Drawing returns the picture of the mark: 12 units square for messages, 40
// for verdicts, 16 for decisions and outcomes.
func (m Mark) Drawing() Drawing {
	if draw, ok := markDrawings[m]; ok {
		return draw()
	}
	return Drawing{W: 12, H: 12}
}

var markDrawings = map[Mark]func() Drawing{
	MarkIdentical:  func() Drawing { return solid(Identical) },
	MarkEquivalent: func() Drawing { return solid(Equivalent) },
	MarkRelocated:  drawRelocated,
	MarkAltered:    drawAltered,
	MarkMissing:    drawMissing,
	MarkUnread:     drawUnread,
	MarkExcluded:   func() Drawing { return box(Excluded, 1.2) },
	MarkCollapsed:  drawCollapsed,
	MarkUnchecked:  drawUnchecked,

	MarkComplete:     drawComplete,
	MarkAccepted:     drawAcceptedVerdict,
	MarkIncomplete:   drawIncomplete,
	MarkInconclusive: drawInconclusive,

	MarkOpen:           drawOpen,
	MarkAcceptedByName: drawAcceptedByName,
	MarkFixed:          drawTick,
	MarkWaived:         drawWaived,

	MarkPass:    drawTick,
	MarkWarn:    drawWarn,
	MarkFail:    drawFail,
	MarkInfo:    drawInfo,
	MarkUnknown: drawUnknown,

	MarkMeasured:   func() Drawing { return solid(Ink) },
	MarkAttested:   func() Drawing { return box(Ink, 1.6) },
	MarkEitherKind: drawEither,
	MarkTickBox:    func() Drawing { return box(Ink, 1.2) },
}

func square(size float64) Drawing { return Drawing{W: size, H: size} }

func solid(p Paint) Drawing {
	d := square(12)
	d.rect(0, 0, 12, 12, p)
	return d
}

func box(p Paint, weight float64) Drawing {
	d := square(12)
	d.frame(weight/2, weight/2, 12-weight, 12-weight, p, weight)
	return d
}

// drawEither is half of measured and half of attested.
func drawEither() Drawing {
	d := box(Ink, 1.6)
	d.rect(0, 0, 6, 12, Ink)
	return d
}

func drawRelocated() Drawing {
	d := square(12)
	d.rect(0, 0, 12, 12, RelocLight)
	for y := 0.0; y < 12; y += 4 {
		d.rect(0, y, 12, 1, Identical)
	}
	return d
}

func drawAltered() Drawing {
	d := square(12)
	d.rect(0.6, 0.6, 10.8, 10.8, Paper)
	d.area(Altered, 0.6, 0.6, 0.6, 11.4, 11.4, 11.4)
	d.frame(0.7, 0.7, 10.6, 10.6, Altered, 1.4)
	return d
}

func drawMissing() Drawing {
	d := square(12)
	d.frame(1, 1, 10, 10, Missing, 2)
	d.line(Missing, 1.6, 3.6, 3.6, 8.4, 8.4)
	d.line(Missing, 1.6, 8.4, 3.6, 3.6, 8.4)
	return d
}

func drawUnread() Drawing {
	d := square(12)
	d.frame(0.8, 0.8, 10.4, 10.4, Unread, 1.2, 2.27, 1.38)
	question(&d, Unread, 6, 4.7, 1.8, 1.15)
	return d
}

// question draws a question mark whose bowl lies around (x, y).
func question(d *Drawing, p Paint, x, y, r, weight float64) {
	bowl := arc(x, y, r, 180, 410)
	bowl = append(bowl, x+0.12*r, y+1.15*r, x, y+1.75*r)
	d.line(p, weight, bowl...)
	d.rect(x-weight*0.6, y+2.1*r, weight*1.2, weight*1.2, p)
}

func drawCollapsed() Drawing {
	d := square(12)
	d.frame(0.6, 0.6, 7.8, 7.8, Ink3, 1.2, 1.8, 1.2)
	d.rect(3.6, 3.6, 8.4, 8.4, Equivalent)
	return d
}

func drawUnchecked() Drawing {
	d := square(12)
	d.frame(0.8, 0.8, 10.4, 10.4, Unread, 1.2, 2.27, 1.38)
	return d
}

func drawComplete() Drawing {
	d := square(40)
	d.disc(20, 20, 18, Identical)
	d.line(Inverse, 3.6, 11.5, 20.5, 17.5, 26.5, 29, 13.5)
	return d
}

func drawAcceptedVerdict() Drawing {
	d := square(40)
	d.ring(20, 20, 18.6, Identical, 2.2)
	d.disc(20, 20, 14.6, Identical)
	d.line(Inverse, 3.2, 13, 20.3, 18, 25.3, 27.2, 14.9)
	return d
}

func drawIncomplete() Drawing {
	d := square(40)
	d.rect(2.5, 2.5, 35, 35, Missing)
	d.line(Paper, 4.2, 12, 12, 28, 28)
	d.line(Paper, 4.2, 28, 12, 12, 28)
	return d
}

func drawInconclusive() Drawing {
	d := square(40)
	d.ring(20, 20, 17.4, Unread, 2.8, 7.2, 3.75)
	question(&d, Unread, 20, 15.8, 5.4, 3.4)
	return d
}

func drawOpen() Drawing {
	d := square(16)
	d.frame(2, 2, 12, 12, Missing, 2.4)
	return d
}

func drawAcceptedByName() Drawing {
	d := square(16)
	d.disc(8, 8, 7, Ink)
	d.line(Paper, 1.7, 4.6, 8.2, 7.1, 10.7, 11.5, 5.7)
	return d
}

func drawTick() Drawing {
	d := square(16)
	d.line(Ink, 2, 2.4, 8.6, 6.2, 12.4, 13.6, 3.8)
	return d
}

func drawWaived() Drawing {
	d := square(16)
	d.ring(8, 8, 6.4, Ink, 1.4)
	d.line(Ink, 1.4, 3.6, 12.4, 12.4, 3.6)
	return d
}

func drawWarn() Drawing {
	d := square(16)
	d.line(Altered, 1.6, 8, 1.6, 15, 14, 1, 14, 8, 1.6, 8.6, 2.7)
	d.line(Altered, 1.8, 8, 6, 8, 10)
	d.rect(7.1, 11, 1.8, 1.8, Altered)
	return d
}

func drawFail() Drawing {
	d := square(16)
	d.rect(1.5, 1.5, 13, 13, Missing)
	d.line(Paper, 1.7, 5, 5, 11, 11)
	d.line(Paper, 1.7, 11, 5, 5, 11)
	return d
}

func drawInfo() Drawing {
	d := square(16)
	d.ring(8, 8, 6.4, Ink3, 1.3)
	d.line(Ink3, 1.7, 8, 7, 8, 11.6)
	d.rect(7.1, 3.9, 1.8, 1.8, Ink3)
	return d
}

func drawUnknown() Drawing {
	d := square(16)
	d.ring(8, 8, 6.4, Unread, 1.5, 2.6, 1.7)
	return d
}
