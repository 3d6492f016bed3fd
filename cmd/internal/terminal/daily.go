package terminal

import (
	"time"

	"github.com/mailproof/mailproof"
)

// daily is what an account may transfer in a day, as it was when its part of a
// stage began.
type daily struct {
	perDay, left int64
	done         int64 // octets done by then
}

// limit takes note of an account's limit of the day.
func (a *account) limit(t mailproof.Tick) {
	if t.PerDay > 0 {
		a.daily = daily{perDay: t.PerDay, left: t.LeftToday, done: a.sum.doneBytes}
	}
}

// bound is how long an account has to wait at least for other days, and how many
// octets are left for the last of them; 0 where today is enough. A day is one of
// UTC.
func (a *account) bound(now time.Time) (wait time.Duration, last int64) {
	if a.daily.perDay <= 0 {
		return 0, 0
	}
	s := a.sum.settle()
	today := max(a.daily.left-(s.doneBytes-a.daily.done), 0)
	rest := s.plannedBytes - s.doneBytes - today
	if rest <= 0 {
		return 0, 0
	}
	const day = 24 * time.Hour
	midnight := now.UTC().Truncate(day).Add(day).Sub(now)
	days := (rest - 1) / a.daily.perDay // whole ones that lie between
	if days > 10_000 {
		return 0, 0 // nobody waits for that: better no figure
	}
	return midnight + time.Duration(days)*day, rest - days*a.daily.perDay
}

// within extends an estimate by the limits of the day: the account that takes
// longest tells when all is done.
func (s *stage) within(e estimate, now time.Time) estimate {
	for _, a := range s.limited {
		wait, last := a.bound(now)
		if wait == 0 {
			continue
		}
		if seconds := timeLeft(last, e.bytesPerSecond); seconds < 86_400 {
			wait += time.Duration(seconds * float64(time.Second))
		}
		if wait > e.eta {
			e.hasETA, e.eta, e.perDay = true, wait, a.daily.perDay
		}
	}
	return e
}
