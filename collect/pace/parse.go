package pace

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

var units = []struct {
	name string
	size float64
}{
	{"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}, {"tib", 1 << 40},
	{"kb", 1e3}, {"mb", 1e6}, {"gb", 1e9}, {"tb", 1e12},
	{"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"t", 1e12}, {"b", 1}, {"", 1},
}

// ParseSize reads a number of octets: 35000000, 35 MB, 2.5GB, 512MiB. Units
// without "i" are decimal ones.
func ParseSize(text string) (int64, error) {
	number := strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(text, " ", ""), ",", ""))
	for _, u := range units {
		digits, ok := strings.CutSuffix(number, u.name)
		if !ok {
			continue
		}
		if digits == "" || strings.Trim(digits, "0123456789.") != "" {
			break
		}
		n, err := strconv.ParseFloat(digits, 64)
		if err != nil || n*u.size >= math.MaxInt64 {
			break
		}
		return int64(n * u.size), nil
	}
	return 0, fmt.Errorf("%q is no size: write 500MB, 2.5GB or a number of octets", text)
}

// ParseRate reads octets a second, 5MB/s, or where messages is set, messages a
// second, 50/s.
func ParseRate(text string, messages bool) (float64, error) {
	what := "5MB/s"
	if messages {
		what = "50/s"
	}
	number, ok := strings.CutSuffix(strings.ToLower(strings.TrimSpace(text)), "/s")
	if ok && messages {
		n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
		if err == nil && n > 0 && !math.IsInf(n, 0) {
			return n, nil
		}
	} else if ok {
		n, err := ParseSize(number)
		if err == nil && n > 0 {
			return float64(n), nil
		}
	}
	return 0, fmt.Errorf("%q is no rate: write %s", text, what)
}
