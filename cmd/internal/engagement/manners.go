package engagement

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/pace"
)

// How often a sign-in is tried: after the connection was lost over it, and after
// a server asked for patience.
const (
	maxSignIns     = 4
	maxPatientTime = 12
)

// patiently signs in with dial, and again where the server hung up or asked for
// patience: it gets the time that it names, and one connection less where it has
// too many. Anything else is the answer at once: wrong passwords count.
func (e *Engagement) patiently(ctx context.Context, a Account, side mailproof.Side, dial func() error) error {
	server := a.Endpoint(side).Address()
	pause := backoff.NewExponentialBackOff() // with jitter: many accounts wait at once
	pause.InitialInterval, pause.MaxInterval = 500*time.Millisecond, 30*time.Second
	lost, asked := 0, 0
	for {
		err := dial()
		if err == nil || ctx.Err() != nil || e.stopped() {
			return err
		}
		t := mailproof.ThrottleOf(err)
		switch t.Kind {
		case mailproof.NoThrottle:
			if lost++; lost >= maxSignIns || mailproof.KindOf(err) != mailproof.ErrConnection {
				return err
			}
		case mailproof.ThrottleDaily:
			return err
		default:
			if asked++; asked >= maxPatientTime {
				return err
			}
			if t.Kind == mailproof.ThrottleConnections {
				e.lowered(side, server)
			}
		}
		wait := t.Pause(pause.NextBackOff())
		e.waiting(a.Name, side)(err, wait)
		if err := e.rest(ctx, wait); err != nil {
			return err
		}
	}
}

// lowered takes a server at its word that there are too many connections.
func (e *Engagement) lowered(side mailproof.Side, server string) {
	defer e.kept.drop()
	if most, lowered := e.lines.lower(side.String() + " " + server); lowered {
		e.say("%s %s takes no more connections: at most %d from now on", side, server, most)
	}
}

// rest waits, or until the user wants an end.
func (e *Engagement) rest(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-e.Stop:
		return ErrStopped
	case <-ctx.Done():
		return ctx.Err()
	}
}

// say tells whoever watches; it may be nobody.
func (e *Engagement) say(format string, args ...any) {
	if e.Say != nil {
		e.Say(format, args...)
	}
}

// worthSaying is the length from which on a pause is told of: shorter ones are
// over before they are read.
const worthSaying = 2 * time.Second

// waiting says what is being waited for.
func (e *Engagement) waiting(account string, side mailproof.Side) func(cause error, pause time.Duration) {
	return func(cause error, pause time.Duration) {
		var se *mailproof.ServerError
		words := cause.Error()
		if errors.As(cause, &se) && se.Words() != "" {
			words = se.Words()
		}
		switch t := mailproof.ThrottleOf(cause); {
		case t.Kind == mailproof.ThrottleConnections && se != nil:
			e.lowered(side, se.Server)
		case pause < worthSaying:
			return
		}
		if pause >= worthSaying {
			e.say("%s, %s: waits %s: %s", account, side, terminal.Duration(pause), words)
		}
	}
}

// DailyLimitError says that a provider has shut an account for the day.
type DailyLimitError struct {
	Err    error
	Resume time.Time // by when it is open again, by what providers say of it
}

func (e *DailyLimitError) Error() string {
	return fmt.Sprintf("%v; the provider's limit of the day is used up: goes on by %s at the latest", e.Err, e.Resume.UTC().Format("2006-01-02 15:04 MST"))
}

func (e *DailyLimitError) Unwrap() error { return e.Err }

// whenToResume adds to a provider's limit of the day when it ends.
func (e *Engagement) whenToResume(err error) error {
	if mailproof.ThrottleOf(err).Kind != mailproof.ThrottleDaily {
		return err
	}
	return &DailyLimitError{err, e.now().Add(24 * time.Hour)}
}

// ResumeAt is when work goes on that a limit of the day has cut off; zero where
// none has.
func ResumeAt(failures []Failure) (at time.Time) {
	for _, f := range failures {
		var budget *pace.ExhaustedError
		var daily *DailyLimitError
		switch {
		case errors.As(f.Err, &budget) && budget.Resume.After(at):
			at = budget.Resume
		case errors.As(f.Err, &daily) && daily.Resume.After(at):
			at = daily.Resume
		}
	}
	return at
}

func (e *Engagement) now() time.Time {
	if e.Now != nil {
		return e.Now()
	}
	return time.Now()
}

// reader signs in to read, patiently, or takes the connection that lies ready.
func (e *Engagement) reader(ctx context.Context, a Account, side mailproof.Side) (r *pacedReader, done func(), err error) {
	var c *conn
	err = e.patiently(ctx, a, side, func() (err error) {
		c, done, err = e.signedInTo(ctx, a, side, false)
		return err
	})
	if err != nil {
		return nil, nil, e.whenToResume(err)
	}
	r, done = e.pacedReader(ctx, a, side, c, done)
	return r, done, nil
}

// writer signs in to write, patiently, or takes the connection that lies ready.
func (e *Engagement) writer(ctx context.Context, a Account) (w *imapconn.Writer, done func(), err error) {
	var c *conn
	err = e.patiently(ctx, a, mailproof.Destination, func() (err error) {
		c, done, err = e.signedInTo(ctx, a, mailproof.Destination, true)
		return err
	})
	if err != nil {
		return nil, nil, e.whenToResume(err)
	}
	return c.writer, e.countWriter(a, c, done), nil
}
