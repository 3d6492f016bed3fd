package collect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
	"github.com/mailproof/mailproof/collect/spool"
)

// sharedSpool is for passes that were given none.
var sharedSpool = sync.OnceValue(func() *spool.Pool { return spool.New(spool.Options{}) })

// readers is how many goroutines fingerprint beside one connection.
var readers = min(runtime.GOMAXPROCS(0), 4)

// pipeline fingerprints the bodies of one call of [Source.Bodies] beside the
// connection: what came is held until it was worked on, so that the server is
// never kept waiting by the arithmetic. How much is held is bounded by the
// spool, which all accounts share. A body that is too large for it is worked
// on as it streams by, unless a tap wants it whole.
type pipeline struct {
	*scanner
	batch []mailproof.Metadata
	queue chan readBody
	wait  sync.WaitGroup

	mu    sync.Mutex // guards the scanner
	turns *sync.Cond
	turn  int   // whose body is recorded next: in the order in which they came
	came  int   // of the connection's goroutine: bodies that came
	err   error // why nothing more is worked on
}

// readBody is a message that came whole.
type readBody struct {
	turn int
	md   mailproof.Metadata
	body *spool.Body
}

// readBodies reads the bodies of a batch and records each.
func (s *scanner) readBodies(ctx context.Context, batch []mailproof.Metadata) (unread map[mailproof.UID]string, err error) {
	l := &pipeline{scanner: s, batch: batch, queue: make(chan readBody, 2*readers)}
	l.turns = sync.NewCond(&l.mu)
	for range readers {
		l.wait.Add(1)
		go l.work(ctx)
	}
	unread, err = s.src.Bodies(ctx, batch, func(uid mailproof.UID, size int64, body io.Reader) error {
		return l.take(ctx, uid, size, body)
	})
	close(l.queue)
	l.wait.Wait()
	if l.err != nil {
		return nil, l.err // err, if there is one, is its echo
	}
	return unread, err
}

// take brings one body in, on the connection's goroutine.
func (l *pipeline) take(ctx context.Context, uid mailproof.UID, size int64, body io.Reader) error {
	if l.stopped() {
		return ErrStopped
	}
	i, ok := slices.BinarySearchFunc(l.batch, uid, func(md mailproof.Metadata, uid mailproof.UID) int { return cmp.Compare(md.UID, uid) })
	if !ok {
		return nil // not asked for
	}
	if wanted, err := l.wants(uid); err != nil || !wanted {
		return err
	}
	if l.Tap == nil && !l.Spool.Small(size) {
		return l.stream(ctx, l.batch[i], size, body)
	}
	b, err := l.Spool.Take(ctx, size, body)
	if err != nil {
		return fmt.Errorf("uid %d: %w", uid, err)
	}
	l.mu.Lock()
	l.find(uid).taken = true
	l.mu.Unlock()
	l.queue <- readBody{l.came, l.batch[i], b}
	l.came++
	return nil
}

// wants reports whether a body is not in hand yet: of one that is delivered
// twice the first reading stands.
func (l *pipeline) wants(uid mailproof.UID) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.find(uid)
	return !e.taken && e.state != readNow, l.err
}

// stream works on a large body as it comes.
func (l *pipeline) stream(ctx context.Context, md mailproof.Metadata, size int64, body io.Reader) error {
	fp, err := l.fp.Compute(body)
	if err != nil {
		return err
	}
	if fp.Octets != size {
		return fmt.Errorf("uid %d: %d of %d octets: %w", md.UID, fp.Octets, size, io.ErrUnexpectedEOF)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err = l.keep(ctx, md, fp)
	return err
}

func (l *pipeline) work(ctx context.Context) {
	defer l.wait.Done()
	h := hashers.Get().(*fingerprint.Hasher)
	defer hashers.Put(h)
	for r := range l.queue {
		l.finish(ctx, h, r)
	}
}

var hashers = sync.Pool{New: func() any { return fingerprint.New() }}

// finish fingerprints a body and then, in the order in which the bodies came,
// records it and offers it to the tap.
func (l *pipeline) finish(ctx context.Context, h *fingerprint.Hasher, r readBody) {
	fp, err := l.fingerprint(ctx, h, r.body)
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.turn != r.turn {
		l.turns.Wait()
	}
	defer func() {
		l.turn++
		l.turns.Broadcast()
	}()
	var m *mailproof.Message
	known := l.find(r.md.UID).known
	if err == nil && l.err == nil {
		m, err = l.keep(ctx, r.md, fp)
	}
	if err == nil && m != nil && l.Tap != nil && !known && fp.Octets == r.md.Size {
		l.mu.Unlock() // it may wait: what comes meanwhile is taken in
		l.Tap.Offer(ctx, *m, r.body)
		l.mu.Lock()
		return
	}
	if err := errors.Join(err, r.body.Release()); err != nil && l.err == nil {
		l.err = err
	}
}

// keep records what was read of a message; nil where it proves nothing.
func (l *pipeline) keep(ctx context.Context, md mailproof.Metadata, fp mailproof.Fingerprint) (*mailproof.Message, error) {
	if fp.Detail.Stub {
		// Whole as it came, and yet not the message: it proves nothing, and
		// the next pass asks for it again.
		return nil, l.failed(ctx, md, reasonStub)
	}
	m := mailproof.Message{State: mailproof.Read, Fingerprint: fp}
	m.Metadata = md
	m.MessageKey = mailproof.MessageKey{Side: l.Side, Account: l.Account, Mailbox: l.mb.Name, UIDValidity: l.state.UIDValidity, UID: md.UID}
	if err := l.record(ctx, md, m); err != nil {
		return nil, err
	}
	l.sum.Read++
	l.sum.Bytes += fp.Octets
	l.tick(l.mb.Name, mailproof.Tick{Done: 1, DoneBytes: fp.Octets})
	return &m, nil
}
