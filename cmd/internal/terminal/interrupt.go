package terminal

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// ErrInterrupted is the cause of both contexts of [Interrupts] when a signal
// ended them.
var ErrInterrupted = errors.New("interrupted")

// What is said at the first and at the second signal.
const (
	sayDraining = "stopping when the messages in flight are done; once more stops at once"
	sayStopped  = "stopping at once; what is in the ledger stays, and the same command goes on from there"
)

// Interrupts makes the two stages of a stop. The first interrupt or
// termination signal ends drain: whoever works ends at the next message
// boundary. The second one ends hard: whoever waits gives up. Drain ends with
// hard, and hard with ctx. A third signal has its usual effect. Each stage is
// said once, on Err. Call stop at the end to give the signals back.
func Interrupts(ctx context.Context, t *Terminal) (drain, hard context.Context, stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	return interrupts(ctx, signals, t.Note, func() { signal.Stop(signals) })
}

func interrupts(ctx context.Context, signals <-chan os.Signal, say func(string), release func()) (drain, hard context.Context, stop func()) {
	hard, cancelHard := context.WithCancelCause(ctx)
	drain, cancelDrain := context.WithCancelCause(hard)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, stage := range []struct {
			cancel context.CancelCauseFunc
			text   string
		}{{cancelDrain, sayDraining}, {cancelHard, sayStopped}} {
			select {
			case <-signals:
				// Said before the work is told, so that it comes first.
				say(stage.text)
				stage.cancel(ErrInterrupted)
			case <-hard.Done():
				return
			}
		}
		release()
	}()
	return drain, hard, func() {
		cancelHard(nil)
		<-done
		release()
	}
}

// Interrupted reports whether a signal ended ctx.
func Interrupted(ctx context.Context) bool {
	return errors.Is(context.Cause(ctx), ErrInterrupted)
}
