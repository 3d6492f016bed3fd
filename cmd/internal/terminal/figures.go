package terminal

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Count writes a number with its thousands grouped by commas, whatever the
// locale: 148,213.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	var b strings.Builder
	for i, c := range s {
		if i > 0 && (len(s)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return sign + b.String()
}

// Of writes a number with its noun: "1 message", "3 messages".
func Of(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return Count(n) + " " + many
}

var sizeUnits = []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"}

// Size writes octets in SI units with three significant digits: 14.2 GB.
func Size(n int64) string {
	value, decimals, unit := scale(n)
	return fmt.Sprintf("%.*f %s", decimals, value, unit)
}

// SizeOf writes a part and the whole in the whole's unit: "8.7 of 14.2 GB".
func SizeOf(part, whole int64) string {
	if whole < part {
		whole = part
	}
	value, decimals, unit := scale(whole)
	factor := float64(whole) / value
	if whole == 0 {
		factor = 1
	}
	// The part is cut and not rounded, so that it is the whole only when it is.
	step := math.Pow10(decimals)
	return fmt.Sprintf("%.*f of %.*f %s", decimals, math.Floor(float64(part)/factor*step)/step, decimals, value, unit)
}

// scale finds the unit, and how many decimals make three digits in it.
func scale(n int64) (value float64, decimals int, unit string) {
	value = float64(n)
	if math.Abs(value) < 1000 {
		return value, 0, sizeUnits[0]
	}
	for _, unit = range sizeUnits[1:] {
		value /= 1000
		// What would round up to 1000 belongs to the next unit.
		if math.Abs(value) < 999.5 {
			break
		}
	}
	switch {
	case math.Abs(value) < 9.995:
		decimals = 2
	case math.Abs(value) < 99.95:
		decimals = 1
	}
	return value, decimals, unit
}

// Rate writes octets per second: 11.2 MB/s.
func Rate(perSecond float64) string { return Size(int64(perSecond)) + "/s" }

// Duration writes a time span as people say it: 3 h 10 min, 4 min 05 s, 0.9 s.
func Duration(d time.Duration) string {
	switch {
	case d < 0:
		return "-" + Duration(-d)
	case d < 50*time.Millisecond:
		return "< 0.1 s"
	case d < 9950*time.Millisecond:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min %02d s", s/60, s%60)
	}
	m := int64(d.Round(time.Minute) / time.Minute)
	if m < 24*60 {
		return fmt.Sprintf("%d h %02d min", m/60, m%60)
	}
	h := int64(d.Round(time.Hour) / time.Hour)
	return fmt.Sprintf("%d d %02d h", h/24, h%24)
}

// Remaining writes an estimate no finer than it deserves: 40 s, 8 min,
// 3 h 10 min.
func Remaining(d time.Duration) string {
	switch {
	case d <= 0:
		return "0 s"
	case d < 20*time.Second:
		return fmt.Sprintf("%d s", int64(math.Ceil(d.Seconds())))
	case d < 95*time.Second:
		return fmt.Sprintf("%d s", int64(math.Ceil(d.Seconds()/5)*5))
	case d < 55*time.Minute:
		return fmt.Sprintf("%d min", int64(math.Round(d.Minutes())))
	case d < 10*time.Hour:
		return Duration(d.Round(5 * time.Minute))
	case d < 1000*time.Hour:
		return Duration(d.Round(time.Hour))
	}
	return "weeks"
}

// Time writes a moment with its zone: 2026-11-30 18:00 UTC.
func Time(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

// Percent writes a share as whole percent. It is 100 only when all is done.
func Percent(part, whole int64) string {
	if whole <= 0 {
		return "0%"
	}
	return fmt.Sprintf("%d%%", int64(float64(min(part, whole))/float64(whole)*100))
}
