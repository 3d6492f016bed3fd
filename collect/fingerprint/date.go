package fingerprint

import (
	"strconv"
	"strings"
	"time"
)

// canonicalDate returns the instant of a Date field (RFC 5322 §3.3, §4.3) as
// "2006-01-02T15:04:05Z", or "?" and the value where it cannot be read.
func canonicalDate(value string) string {
	t, ok := parseDate(value)
	if !ok {
		return "?" + value
	}
	return t.Format(time.RFC3339) // parseDate's is UTC: "2006-01-02T15:04:05Z"
}

var months = map[string]time.Month{
	"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10, "nov": 11, "dec": 12,
}

// zones are the names that RFC 5322 §4.3 gives a meaning; every other one
// stands for +0000, as it says there.
var zones = map[string]int{
	"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7,
}

// parseDate reads [day-name ,] day month year hh:mm[:ss] [zone], whatever
// stands between the words: white space, commas, hyphens, comments.
func parseDate(value string) (time.Time, bool) {
	words := dateWords(make([]string, 0, 9), value)
	if len(words) > 0 && isWeekday(words[0]) {
		words = words[1:]
	}
	if len(words) < 4 {
		return time.Time{}, false
	}
	// asctime has the year at the end: "Nov 21 10:00:00 2026".
	if _, ok := monthOf(words[0]); ok && strings.Contains(words[2], ":") {
		words[0], words[1] = words[1], words[0]
		words[2], words[3] = words[3], words[2]
	}
	day, dayOK := number(words[0], 1, 2)
	month, monthOK := monthOf(words[1])
	year, yearOK := number(words[2], 2, 4)
	if !dayOK || !monthOK || !yearOK {
		return time.Time{}, false
	}
	switch { // RFC 5322 §4.3
	case len(words[2]) == 2 && year < 50:
		year += 2000
	case len(words[2]) < 4:
		year += 1900
	}
	hour, minute, second, ok := clock(words[3])
	if !ok {
		return time.Time{}, false
	}
	offset := 0
	if len(words) > 4 {
		if offset, ok = zone(words[4]); !ok {
			return time.Time{}, false
		}
	}
	if day == 0 || time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Day() != day {
		return time.Time{}, false // the 31st of February
	}
	return time.Date(year, month, day, hour, minute-offset, second, 0, time.UTC), true
}

// dateWords splits at white space and commas and leaves comments out. The
// hyphens of "21-Nov-2026" split too, the sign of a zone does not. There are 9
// words at most.
func dateWords(words []string, value string) []string {
	depth, start := 0, -1
	flush := func(end int) {
		if start >= 0 {
			words = append(words, value[start:end])
		}
		start = -1
	}
	for i := 0; i < len(value) && len(words) < 8; i++ {
		c := value[i]
		switch {
		case c == '(':
			flush(i)
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
		case isSpace(c) || c == ',' || c == '-' && start >= 0 && len(words) < 4:
			flush(i)
		case (c == '+' || c == '-') && start >= 0 && strings.Contains(value[start:i], ":"):
			flush(i) // "10:00:00+0100"
			start = i
		case start < 0:
			start = i
		}
	}
	flush(len(value))
	return words
}

func monthOf(w string) (m time.Month, ok bool) {
	w3 := lower3(w)
	m, ok = months[string(w3[:])]
	return m, ok
}

// lower3 returns the first three letters in lower case; zeros if there are not
// three octets.
func lower3(w string) (out [3]byte) {
	if len(w) < 3 {
		return out
	}
	for i := range out {
		out[i] = w[i]
		if w[i] >= 'A' && w[i] <= 'Z' {
			out[i] += 'a' - 'A'
		}
	}
	return out
}

func isWeekday(w string) bool {
	w = strings.TrimSuffix(w, ".")
	w3 := lower3(w)
	switch string(w3[:]) {
	case "mon", "tue", "wed", "thu", "fri", "sat", "sun":
		return true
	}
	return false
}

func number(s string, least, most int) (int, bool) {
	if len(s) < least || len(s) > most {
		return 0, false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil
}

func clock(s string) (hour, minute, second int, ok bool) {
	hh, rest, _ := strings.Cut(s, ":")
	mm, ss, seconds := strings.Cut(rest, ":")
	hour, ok1 := number(hh, 1, 2)
	minute, ok2 := number(mm, 1, 2)
	ok3 := true
	if seconds {
		second, ok3 = number(ss, 1, 2)
	}
	return hour, minute, second, ok1 && ok2 && ok3 && hour < 24 && minute < 60 && second <= 60
}

// zone returns the offset from UTC in minutes.
func zone(s string) (int, bool) {
	if s[0] != '+' && s[0] != '-' {
		return zones[strings.ToLower(s)] * 60, s[0] > '9' || s[0] < '0'
	}
	n, ok := number(strings.Replace(s[1:], ":", "", 1), 4, 4)
	if !ok || n%100 > 59 {
		return 0, false
	}
	minutes := n/100*60 + n%100
	if s[0] == '-' {
		minutes = -minutes
	}
	return minutes, true
}
