package diff

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// quote shows foreign text: without control and format characters, which could
// move a cursor or turn the direction of writing, and not longer than a line.
func quote(s string) string {
	const longest = 60
	var b strings.Builder
	b.WriteString("“")
	n := 0
	for _, r := range s {
		if n++; n > longest {
			b.WriteString("…")
			break
		}
		if unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			r = unicode.ReplacementChar
		}
		b.WriteRune(r)
	}
	b.WriteString("”")
	return b.String()
}

// number writes 182044 as 182,044.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

func plural(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return number(n) + " " + noun + "s"
}

// sizes writes 182,044 → 90,112 octets.
func sizes(from, to int64) string {
	if from == to {
		return number(from) + " octets"
	}
	return number(from) + " → " + number(to) + " octets"
}

// change writes “a” → “b”, and (none) for nothing.
func change(from, to string) string {
	show := func(s string) string {
		if s == "" {
			return "(none)"
		}
		return quote(s)
	}
	return show(from) + " → " + show(to)
}

// shift writes a difference of time: +1 h, −30 min, +2 d 3 h 0 s.
func shift(d time.Duration) string {
	sign := "+"
	if d < 0 {
		sign, d = "−", -d
	}
	var parts []string
	for _, u := range []struct {
		unit time.Duration
		name string
	}{{24 * time.Hour, "d"}, {time.Hour, "h"}, {time.Minute, "min"}, {time.Second, "s"}} {
		if n := d / u.unit; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, u.name))
			d -= n * u.unit
		}
	}
	if len(parts) == 0 {
		return sign + "0 s"
	}
	return sign + strings.Join(parts, " ")
}

// reliable reports whether an INTERNALDATE can be compared: outside of these
// years servers do not keep it.
func reliable(t time.Time) bool {
	year := t.UTC().Year()
	return year >= 1970 && year <= 2037
}
