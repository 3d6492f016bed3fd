package transfer

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// yard is a fakeDestination with several connections to it.
type yard struct {
	t    *testing.T
	most int // connections beside the first at once
	// begin is asked before a share is begun, lose when it was stored and before
	// it is answered, by the number of the connection. Either may be nil.
	begin, lose func(lane int) error

	mu    sync.Mutex
	sent  map[int]int // messages by connection
	given int
	back  int
}

// lane is one connection.
type lane struct {
	*fakeDestination
	yard   *yard
	number int
}

func (l lane) StartAppend(ctx context.Context, mailbox string, batch []mailproof.Outgoing, singly bool) (func(context.Context) ([]mailproof.Receipt, error), error) {
	if l.yard.begin != nil {
		if err := l.yard.begin(l.number); err != nil {
			return nil, err
		}
	}
	wait, err := l.fakeDestination.StartAppend(ctx, mailbox, batch, singly)
	l.yard.mu.Lock()
	defer l.yard.mu.Unlock()
	l.yard.sent[l.number] += len(batch)
	return func(ctx context.Context) ([]mailproof.Receipt, error) {
		receipts, err := wait(ctx)
		if l.yard.lose != nil && err == nil {
			if err = l.yard.lose(l.number); err != nil {
				clear(receipts)
			}
		}
		return receipts, err
	}, err
}

// run copies messages, and all of them must arrive.
func (y *yard) run(messages int, waiting func(error, time.Duration)) {
	y.t.Helper()
	src, dst, steps := world(messages)
	y.sent = map[int]int{}
	o := options()
	o.WorthMore, o.Waiting = 1, waiting
	o.More = func(context.Context) (Destination, func(), bool) {
		y.mu.Lock()
		defer y.mu.Unlock()
		if y.given-y.back >= y.most {
			return nil, nil, false
		}
		y.given++
		return lane{dst, y, y.given}, func() {
			y.mu.Lock()
			defer y.mu.Unlock()
			y.back++
		}, true
	}
	sum, err := Run(y.t.Context(), src, lane{dst, y, 0}, &journal{t: y.t}, each(steps), o)
	if err != nil || int(sum.Appended) != messages || sum.Failed+sum.Refused != 0 {
		y.t.Errorf("%+v, %v", sum, err)
	}
	checkIntact(y.t, src, dst, messages)
	if y.given != y.back {
		y.t.Errorf("%d connections were taken, %d given back", y.given, y.back)
	}
}

// Every connection that is to be had takes part, within their number.
func TestSeveral(t *testing.T) {
	var all sync.WaitGroup
	all.Add(3)
	begun := [4]bool{}
	y := &yard{t: t, most: 3}
	y.begin = func(lane int) error {
		if lane > 0 && !begun[lane] {
			begun[lane] = true
			all.Done()
			all.Wait() // until each of the three has something to send
		}
		return nil
	}
	y.run(1000, nil)
	if len(y.sent) != 4 || y.given != 3 {
		t.Errorf("messages by connection: %v; %d connections beside the first", y.sent, y.given)
	}
}

// A connection that cannot be had any more: what it had taken on goes over
// another one, who counts the connections is told, and nothing is waited for.
func TestSeveralTooMany(t *testing.T) {
	tooMany := &mailproof.ServerError{Kind: mailproof.ErrThrottled, Text: "Too many simultaneous connections. (Failure)"}
	y := &yard{t: t, most: 3, begin: func(lane int) error {
		if lane > 0 {
			return tooMany
		}
		return nil
	}}
	var mu sync.Mutex
	told := 0
	y.run(600, func(cause error, pause time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		if told++; !errors.Is(cause, tooMany) || pause != 0 {
			t.Errorf("%v, %s", cause, pause)
		}
	})
	if told == 0 || told >= maxLanes || y.given != told || y.sent[0] != 600 {
		t.Errorf("told %d times of %d connections; messages by connection: %v", told, y.given, y.sent)
	}
}

// Connections that are lost, the first among them, before their answers: nothing
// is sent twice, and after some losses one connection has to do.
func TestSeveralLost(t *testing.T) {
	for name, lose := range map[string]func(lane, n int) bool{
		"every further one": func(lane, n int) bool { return lane > 0 && n > 2 },
		"the first":         func(lane, n int) bool { return lane == 0 && n%9 == 8 },
		"each now and then": func(lane, n int) bool { return n%7 == 6 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			n := map[int]int{}
			y := &yard{t: t, most: 3, lose: func(lane int) error {
				mu.Lock()
				defer mu.Unlock()
				if n[lane]++; lose(lane, n[lane]) {
					return errGone
				}
				return nil
			}}
			y.run(600, nil)
			if name != "the first" && (y.given == 0 || y.given > maxLost+maxLanes) {
				t.Errorf("%d connections were taken", y.given)
			}
		})
	}
}
