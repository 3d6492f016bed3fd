package terminal

import (
	"math"
	"time"
)

// The meter looks back over window; samples are at least spacing apart.
const (
	window  = 30 * time.Second
	spacing = 500 * time.Millisecond
)

// meter keeps the sums of the last half minute.
type meter struct {
	samples []sample // oldest first; the first one may be just older than the window
	grew    time.Time
	planned figures // when it last grew
}

type sample struct {
	at  time.Time
	sum figures
}

func (m *meter) add(now time.Time, sum figures) {
	if sum.planned > m.planned.planned || sum.plannedBytes > m.planned.plannedBytes {
		m.grew, m.planned = now, sum
	}
	if n := len(m.samples); n > 0 && now.Sub(m.samples[n-1].at) < spacing {
		return
	}
	m.samples = append(m.samples, sample{now, sum})
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= window {
		m.samples = m.samples[1:]
	}
}

// estimate is what the meter says of speed and of what is left.
type estimate struct {
	known                             bool // there is a speed
	messagesPerSecond, bytesPerSecond float64
	hasETA                            bool
	eta                               time.Duration
	growing                           bool  // the work still grew of late: it is at least that long
	perDay                            int64 // octets a day that it is bound by; 0: by the speed
}

// String is "eta 8 min", "eta > 8 min" while the work grows, or nothing.
func (e estimate) String() string {
	switch {
	case !e.hasETA:
		return ""
	case e.growing:
		return "eta > " + Remaining(e.eta) + e.because()
	}
	return "eta " + Remaining(e.eta) + e.because()
}

// because says what an estimate is bound by, where that is not the speed.
func (e estimate) because() string {
	if e.perDay == 0 {
		return ""
	}
	return ": " + Size(e.perDay) + " a day"
}

// warmUp is how long a speed must have been seen before it is believed.
const warmUp = 3 * time.Second

// settled is how long the work must not have grown before the estimate is more
// than a lower bound.
const settled = 10 * time.Second

// estimate judges by the speed of the window. Many small messages are bound by
// their number and few large ones by their octets, so both are reckoned and
// the longer time is believed.
func (m *meter) estimate(now time.Time, sum figures) estimate {
	if len(m.samples) == 0 {
		return estimate{}
	}
	first := m.samples[0]
	span := now.Sub(first.at)
	if span < warmUp {
		return estimate{}
	}
	e := estimate{
		known:             true,
		messagesPerSecond: float64(sum.done-first.sum.done) / span.Seconds(),
		bytesPerSecond:    float64(sum.doneBytes-first.sum.doneBytes) / span.Seconds(),
		growing:           now.Sub(m.grew) < settled,
	}
	seconds := math.Max(timeLeft(sum.planned-sum.done, e.messagesPerSecond), timeLeft(sum.plannedBytes-sum.doneBytes, e.bytesPerSecond))
	if sum.planned == 0 || math.IsInf(seconds, 0) || seconds > 1e8 {
		return e
	}
	e.hasETA, e.eta = true, time.Duration(seconds*float64(time.Second))
	return e
}

// timeLeft is infinite where there is work and no speed.
func timeLeft(left int64, perSecond float64) float64 {
	if left <= 0 {
		return 0
	}
	if perSecond <= 0 {
		return math.Inf(1)
	}
	return float64(left) / perSecond
}
