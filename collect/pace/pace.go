// Package pace keeps what is read and sent within limits: so many octets and
// messages a second, and so many octets a day. Providers meter both, and an
// account that is over the day's limit is locked for hours, for its owner too.
//
// A day is one of UTC. What was used is kept by whoever lends a [Book], over all
// runs: the room itself stores nothing, touches no network and decides nothing
// about mail.
//
// # The day's budget
//
// Whoever is about to transfer a message asks for its octets first ([Budget.Take])
// and says afterwards what passed in truth ([Budget.Settle]). Where the day has
// no room for the next message, nothing of it is asked for: work ends at a
// message boundary, with an [ExhaustedError] that says when to go on. One message
// that is larger than a whole day's budget goes when the day is fresh, as it would
// else never go.
package pace

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Direction says which way octets go.
type Direction uint8

// The directions, as seen from here.
const (
	Down Direction = iota // read from the server
	Up                    // sent to it
)

func (d Direction) String() string {
	if d == Up {
		return "sent"
	}
	return "read"
}

// Book keeps what was used over all runs.
type Book interface {
	// Used returns the octets of a day, one of UTC at midnight.
	Used(ctx context.Context, day time.Time, d Direction) (int64, error)
	// Note adds octets to a day. It returns when that is kept.
	Note(ctx context.Context, day time.Time, d Direction, octets int64) error
}

// ExhaustedError says that a day's budget is used up.
type ExhaustedError struct {
	What        string // whose: "source anna@example.com"
	Direction   Direction
	Used, Limit int64
	Resume      time.Time // when there is room again
}

// Error says what was used, of what, and when to go on.
func (e *ExhaustedError) Error() string {
	return fmt.Sprintf("the day's budget of %s is used up: %d of %d octets %s today; goes on from %s", e.What, e.Used, e.Limit, e.Direction, e.Resume.UTC().Format("2006-01-02 15:04 MST"))
}

// Day is the beginning of the day of UTC that a moment lies in.
func Day(t time.Time) time.Time { return t.UTC().Truncate(24 * time.Hour) }

// Budget is the account of one login on one side, in one direction. It is safe
// for concurrent use: all connections of the login share it.
type Budget struct {
	What      string
	Direction Direction
	Limit     int64 // octets a day; 0: none, and then they are only counted
	Book      Book
	Now       func() time.Time // nil: time.Now

	mu       sync.Mutex
	day      time.Time
	used     int64 // kept in the book
	reserved int64 // taken and not settled
}

func (b *Budget) now() time.Time {
	if b.Now != nil {
		return b.Now()
	}
	return time.Now()
}

// today looks the day's use up where a new day has begun.
func (b *Budget) today(ctx context.Context) error {
	day := Day(b.now())
	if day.Equal(b.day) {
		return nil
	}
	used, err := b.Book.Used(ctx, day, b.Direction)
	if err != nil {
		return err
	}
	b.day, b.used = day, used
	return nil
}

// Take asks for leave to transfer octets, of several messages in a row: it
// returns how many of the messages may go, and an [*ExhaustedError] beside it
// where that is not all of them. The first message goes where the day is fresh,
// whatever its size.
func (b *Budget) Take(ctx context.Context, sizes []int64) (n int, octets int64, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Limit <= 0 {
		for _, size := range sizes {
			octets += size
		}
		b.reserved += octets
		return len(sizes), octets, nil
	}
	if err := b.today(ctx); err != nil {
		return 0, 0, err
	}
	for ; n < len(sizes); n++ {
		taken := b.used + b.reserved + octets
		if taken > 0 && taken+sizes[n] > b.Limit {
			err = &ExhaustedError{What: b.What, Direction: b.Direction, Used: b.used, Limit: b.Limit, Resume: b.day.Add(24 * time.Hour)}
			break
		}
		octets += sizes[n]
	}
	b.reserved += octets
	return n, octets, err
}

// Settle gives back what was taken and notes what passed.
func (b *Budget) Settle(ctx context.Context, taken, passed int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reserved -= taken
	if passed <= 0 {
		return nil
	}
	day := Day(b.now())
	if day.Equal(b.day) {
		b.used += passed
	}
	return b.Book.Note(ctx, day, b.Direction, passed)
}

// Left is what the day still has room for; ok is false where there is no limit.
func (b *Budget) Left(ctx context.Context) (octets int64, ok bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.Limit <= 0 {
		return 0, false, nil
	}
	if err := b.today(ctx); err != nil {
		return 0, true, err
	}
	return max(b.Limit-b.used-b.reserved, 0), true, nil
}

// Rate bounds messages and octets a second. The nil Rate bounds nothing. It is
// safe for concurrent use.
type Rate struct{ octets, messages *rate.Limiter }

// burst is the share of a second that may pass at once: little enough for the
// flow to be even, enough for the clock not to matter.
const burst = 4

// NewRate returns a bound of octets and messages a second; 0 is none. It is nil
// where neither is bounded.
func NewRate(octets, messages float64) *Rate {
	if octets <= 0 && messages <= 0 {
		return nil
	}
	limiter := func(perSecond float64) *rate.Limiter {
		if perSecond <= 0 {
			return nil
		}
		return rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/burst)))
	}
	return &Rate{limiter(octets), limiter(messages)}
}

// Octets waits until so many octets may pass.
func (r *Rate) Octets(ctx context.Context, n int) error {
	if r == nil {
		return nil
	}
	return wait(ctx, r.octets, n)
}

// Messages waits until so many messages may pass.
func (r *Rate) Messages(ctx context.Context, n int) error {
	if r == nil {
		return nil
	}
	return wait(ctx, r.messages, n)
}

// wait asks in pieces: a limiter refuses outright what exceeds its burst.
func wait(ctx context.Context, l *rate.Limiter, n int) error {
	if l == nil {
		return nil
	}
	for n > 0 {
		piece := min(n, l.Burst())
		if err := l.WaitN(ctx, piece); err != nil {
			return err
		}
		n -= piece
	}
	return nil
}
