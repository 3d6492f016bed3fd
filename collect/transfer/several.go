package transfer

import (
	"context"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
)

// Where neither MULTIAPPEND nor a literal without go-ahead is offered, each
// message costs a round trip; and where a server takes its time over every
// command, it does not help to send the next one early. What helps then is more
// connections, to one and the same mailbox too.
//
// The messages of a batch are handed out in their order, a few at a time, to
// whichever connection is free. So their UIDs follow the order of the source but
// for neighbours; INTERNALDATE, by which clients sort, is what it was. What
// recovery rests on does not need an order: see [floor].

const (
	// maxLanes bounds the connections of one account.
	maxLanes = 8
	// aloneDepth and laneDepth are how many messages one connection has in flight,
	// where the server takes them without go-ahead: by itself, and beside others,
	// that none is left with many at the end.
	aloneDepth = 64
	laneDepth  = 16
	// shares is into how many a batch is cut for each connection: enough that none
	// is left with the rest while the others have nothing to do.
	shares = 8
	// worthMore is how long a batch may be under way before another connection is
	// asked for: to dial costs some round trips.
	worthMore = 200 * time.Millisecond
	// askAgain is how long nobody asks after there was none to be had.
	askAgain = 5 * time.Second
	// maxLost is how many may be lost before the first has to do.
	maxLost = 3
)

// several is a [Destination] over several connections. The first does everything,
// the others only append. It begins with the first alone.
type several struct {
	Destination
	o    Options
	wg   sync.WaitGroup  // of the connections
	life context.Context // ends when no more of them are wanted
	end  context.CancelFunc

	mu      sync.Mutex
	wake    chan struct{} // closed when there is work, or an end
	back    []share       // that were handed out in vain: nothing of them was sent
	queue   []*shared     // batches of which some messages are not handed out, the oldest first
	lanes   int           // connections beside the first, those that are being dialled among them
	surplus int           // of them, how many are to end
	asked   time.Time     // when there was none to be had
	lost    int           // connections beside the first that were lost
	closed  bool
}

// shared is a batch that several connections send.
type shared struct {
	ctx      context.Context
	mailbox  string
	batch    []mailproof.Outgoing
	began    time.Time
	next     int // the first message that is not handed out
	open     int // messages whose fate is not told
	receipts []mailproof.Receipt
	err      error         // why a connection was lost
	end      chan struct{} // closed when open is 0
}

// settled says that the receipts of so many messages are final.
func (b *shared) settled(n int) {
	if b.open -= n; n > 0 && b.open == 0 {
		close(b.end)
	}
}

// share is the messages first to first+n-1 of a batch.
type share struct {
	*shared
	first, n int
}

func newSeveral(ctx context.Context, dst Destination, o Options) *several {
	s := &several{Destination: dst, o: o, wake: make(chan struct{})}
	s.life, s.end = context.WithCancel(ctx)
	s.wg.Go(func() { s.work(dst, true) })
	return s
}

// StartAppend implements [Destination]. It returns at once, and each message has
// an answer of its own.
func (s *several) StartAppend(ctx context.Context, mailbox string, batch []mailproof.Outgoing, _ bool) (func(context.Context) ([]mailproof.Receipt, error), error) {
	b := &shared{ctx: ctx, mailbox: mailbox, batch: batch, began: time.Now(), open: len(batch), receipts: make([]mailproof.Receipt, len(batch)), end: make(chan struct{})}
	for i := range b.receipts {
		b.receipts[i].Fate = mailproof.FateNotSent
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, b)
	s.stir()
	return func(context.Context) ([]mailproof.Receipt, error) {
		<-b.end // comes with the end of the context, too: every connection heeds it
		return b.receipts, b.err
	}, nil
}

// close ends the connections beside the first. Every batch must have its answer.
func (s *several) close() {
	s.mu.Lock()
	s.closed = true
	s.stir()
	s.mu.Unlock()
	s.end() // who is being dialled is not waited for
	s.wg.Wait()
}

// stir lets the connections look again. mu is held.
func (s *several) stir() {
	close(s.wake)
	s.wake = make(chan struct{})
}

// fewer ends one of the connections beside the first: the server has too many.
func (s *several) fewer() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = time.Now()
	if s.surplus < s.lanes {
		s.surplus++
		s.stir()
	}
}

// posted is a share on its way.
type posted struct {
	share
	wait func(context.Context) ([]mailproof.Receipt, error)
}

// work sends shares over one connection until there is an end, or the connection
// is lost: the first, which dials anew by itself, then goes on, and any other is
// given up.
func (s *several) work(dst Destination, first bool) {
	var out []posted
	for {
		next, wake, ok := s.take(inFlight(out), !first && len(out) == 0)
		alive := true
		switch {
		case ok:
			wait, err := dst.StartAppend(next.ctx, next.mailbox, next.batch[next.first:next.first+next.n], true)
			if err != nil {
				s.notSent(next, err, first)
				alive = false
				break
			}
			out = append(out, posted{next, wait})
		case len(out) > 0:
			out, alive = s.collect(out, len(out)-1, first)
		case wake != nil:
			<-wake
		default:
			return
		}
		if alive {
			continue
		}
		out, _ = s.collect(out, 0, first)
		if !first {
			return
		}
	}
}

func inFlight(out []posted) (messages int) {
	for _, p := range out {
		messages += p.n
	}
	return messages
}

// collect waits for the oldest answers until no more than some are due. alive is
// false when the connection was lost.
func (s *several) collect(out []posted, leave int, first bool) (rest []posted, alive bool) {
	alive = true
	for ; len(out) > leave; out = out[1:] {
		receipts, err := out[0].wait(out[0].ctx)
		s.answered(out[0].share, receipts, err, first)
		alive = alive && err == nil
	}
	return out, alive
}

// take hands out the next few messages, to a connection with so many in flight.
// Where there are none, wake is closed when it is worth another look; it is nil
// where the connection is to end, as a spare one may.
func (s *several) take(flying int, spare bool) (next share, wake <-chan struct{}, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if spare && s.surplus > 0 {
		s.surplus--
		return share{}, nil, false
	}
	if flying >= aloneDepth || s.lanes > 0 && flying >= laneDepth {
		return share{}, s.wake, false
	}
	if len(s.back) > 0 {
		next, s.back = s.back[0], s.back[1:]
		return next, nil, true
	}
	if len(s.queue) == 0 {
		if s.closed {
			return share{}, nil, false
		}
		return share{}, s.wake, false
	}
	b := s.queue[0]
	left := len(b.batch) - b.next
	next = share{b, b.next, max(left/(shares*(1+s.lanes)), 1)}
	if b.next += next.n; b.next == len(b.batch) {
		s.queue = s.queue[1:]
	}
	if left > next.n && time.Since(b.began) >= s.o.WorthMore {
		s.recruit()
	}
	return next, nil, true
}

// recruit asks for another connection. mu is held.
func (s *several) recruit() {
	if s.lanes+1 >= maxLanes || !s.wanted() {
		return
	}
	s.lanes++
	s.wg.Go(func() {
		s.mu.Lock()
		still := s.wanted() // others that were asked for at the same time may have had no luck
		s.mu.Unlock()
		var given bool
		if still {
			var dst Destination
			var done func()
			if dst, done, given = s.o.More(s.life); given {
				s.work(dst, false)
				done()
			}
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lanes--
		s.surplus = min(s.surplus, s.lanes)
		if still && !given {
			s.asked = time.Now()
		}
	})
}

// wanted reports whether one more connection is worth asking for. mu is held.
func (s *several) wanted() bool {
	return !s.closed && s.lost < maxLost && time.Since(s.asked) >= askAgain
}

// answered takes the receipts of a share. When a connection was lost, nothing
// more is handed out: first it must be found out what became of what was on its
// way.
func (s *several) answered(sh share, receipts []mailproof.Receipt, lost error, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(sh.receipts[sh.first:sh.first+sh.n], receipts)
	if lost != nil {
		s.gone(first)
		if sh.err == nil {
			sh.err = lost
		}
		for _, b := range s.queue {
			b.settled(len(b.batch) - b.next)
		}
		for _, b := range s.back {
			b.settled(b.n)
		}
		s.queue, s.back = nil, nil
	}
	sh.settled(sh.n)
}

// notSent takes back a share that could not be begun, as there is no connection
// any more. Where it was not the first, another one sends it.
func (s *several) notSent(sh share, err error, first bool) {
	if first || sh.ctx.Err() != nil {
		s.answered(sh, nil, err, first)
		return
	}
	if mailproof.ThrottleOf(err).Kind == mailproof.ThrottleConnections && s.o.Waiting != nil {
		s.o.Waiting(err, 0)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone(first)
	if sh.err != nil {
		sh.settled(sh.n) // the batch is being given up
		return
	}
	s.back = append(s.back, sh)
	s.stir()
}

// gone takes note that a connection was lost. mu is held.
func (s *several) gone(first bool) {
	if !first {
		s.lost, s.asked = s.lost+1, time.Now()
	}
}
