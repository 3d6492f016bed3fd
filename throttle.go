package mailproof

import (
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// ThrottleKind says what a server that asks for patience wants.
type ThrottleKind uint8

// The kinds of throttle. The zero kind is none.
const (
	NoThrottle          ThrottleKind = iota
	ThrottlePause                    // be silent for a while, then go on
	ThrottleConnections              // fewer connections, then go on
	ThrottleDaily                    // the account has used up what it may transfer in a day
)

// Throttle is what a server asks for in a reply. Wait is the time that it named
// itself; 0 where it named none.
type Throttle struct {
	Kind ThrottleKind
	Wait time.Duration
}

// MaxThrottleWait bounds how long a server's own number is believed: a larger
// one is a fault, or means a day, and an hour shows which.
const MaxThrottleWait = time.Hour

// Pause is how long is waited where ours would be the given time: as long as the
// server named, or ours where it named none. Ours is heard a little all the same,
// so that a server that names next to nothing time and again is not beset.
func (t Throttle) Pause(ours time.Duration) time.Duration {
	if t.Wait > 0 {
		return max(t.Wait, ours/8)
	}
	return ours
}

var suggestedWait = regexp.MustCompile(`(?i)suggested backoff time: *(\d{1,12}) *milliseconds`)

// The texts by which servers say it, in lower case: they have no common
// response code.
var (
	dailyTexts      = []string{"exceeded command or bandwidth limits", "bandwidth limit"}
	connectionTexts = []string{"too many simultaneous connections", "maximum number of connections", "too many connections", "connection limit", "too many concurrent", "too many sessions"}
)

// ThrottleOf reads from an error of a server whether it asks for patience, and
// for which. An error that is none, or whose server has gone without a word, asks
// for nothing.
func ThrottleOf(err error) Throttle {
	var se *ServerError
	if !errors.As(err, &se) || se.Kind != ErrThrottled {
		return Throttle{}
	}
	text := strings.ToLower(se.Text)
	has := func(words []string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	t := Throttle{Kind: ThrottlePause}
	switch {
	case has(dailyTexts):
		t.Kind = ThrottleDaily
	case has(connectionTexts), se.Code == "LIMIT" && strings.Contains(text, "connection"), se.Code == "INUSE" && strings.Contains(text, "connection"):
		t.Kind = ThrottleConnections
	}
	if m := suggestedWait.FindStringSubmatch(se.Text); m != nil {
		if ms, err := strconv.ParseInt(m[1], 10, 64); err == nil {
			t.Wait = min(time.Duration(ms)*time.Millisecond, MaxThrottleWait)
		}
	}
	return t
}
