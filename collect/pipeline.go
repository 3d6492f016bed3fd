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
	"sync/atomic"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
	"github.com/mailproof/mailproof/collect/spool"
)

// sharedSpool is for passes that were given none.
var sharedSpool = sync.OnceValue(func() *spool.Pool { return spool.New(spool.Options{}) })

// readers is how many goroutines fingerprint beside one connection.
var readers = min(runtime.GOMAXPROCS(0), 4)

// ahead is how many bodies may have come and not be recorded yet. What they take
// is bounded by the spool.
const ahead = 64

// pipeline fingerprints the bodies of one call of [Source.Bodies] beside the
// connection: what came is held until it was worked on, so that the server is
// never kept waiting by the arithmetic. How much is held is bounded by the
// spool, which all accounts share. A body that is too large for it is worked
// on as it streams by, unless a tap wants it whole.
//
// Three kinds of goroutines take part. The connection's takes bodies in, some
// fingerprint them side by side, and one records them in the order in which
// they came: only that one touches the scanner.
type pipeline struct {
	*scanner
	batch []mailproof.Metadata
	came  []bool         // of the connection's goroutine: what of the batch is in hand
	work  chan *readBody // to be fingerprinted
	order chan *readBody // to be recorded
	wait  sync.WaitGroup
	err   atomic.Pointer[error] // why nothing more is worked on
}

// readBody is a message that came whole.
type readBody struct {
	md   mailproof.Metadata
	body *spool.Body // nil: it was worked on as it streamed by

	done chan struct{} // closed when the following are there
	fp   mailproof.Fingerprint
	twin int64 // a message on record with the same fingerprint; 0: fp is whole
	err  error
}

// readBodies reads the bodies of a batch and records each.
func (s *scanner) readBodies(ctx context.Context, batch []mailproof.Metadata) (unread map[mailproof.UID]string, err error) {
	l := &pipeline{scanner: s, batch: batch, came: make([]bool, len(batch)), work: make(chan *readBody, ahead), order: make(chan *readBody, ahead)}
	l.wait.Go(func() { l.recordAll(ctx) })
	for range readers {
		l.wait.Go(func() { l.fingerprintAll(ctx) })
	}
	unread, err = s.src.Bodies(ctx, batch, func(uid mailproof.UID, size int64, body io.Reader) error {
		return l.take(ctx, uid, size, body)
	})
	close(l.work)
	close(l.order)
	l.wait.Wait()
	if err := l.failure(); err != nil {
		return nil, err // that of Bodies, if there is one, is its echo
	}
	return unread, err
}

func (l *pipeline) failure() error {
	if err := l.err.Load(); err != nil {
		return *err
	}
	return nil
}

// take brings one body in, on the connection's goroutine. Of one that is
// delivered twice the first reading stands.
func (l *pipeline) take(ctx context.Context, uid mailproof.UID, size int64, body io.Reader) error {
	if l.stopped() {
		return ErrStopped
	}
	if err := l.failure(); err != nil {
		return err
	}
	i, ok := slices.BinarySearchFunc(l.batch, uid, func(md mailproof.Metadata, uid mailproof.UID) int { return cmp.Compare(md.UID, uid) })
	if !ok || l.came[i] {
		return nil // not asked for
	}
	r := &readBody{md: l.batch[i], done: make(chan struct{})}
	if l.Tap == nil && !l.Spool.Small(size) {
		if err := l.stream(r, size, body); err != nil {
			return err
		}
	} else {
		var err error
		if r.body, err = l.Spool.Take(ctx, size, body); err != nil {
			return fmt.Errorf("uid %d: %w", uid, err)
		}
		l.work <- r
	}
	l.came[i] = true
	l.order <- r
	return nil
}

// stream works on a large body as it comes.
func (l *pipeline) stream(r *readBody, size int64, body io.Reader) (err error) {
	if r.fp, err = l.fp.Compute(body); err != nil {
		return err
	}
	if r.fp.Octets != size {
		return fmt.Errorf("uid %d: %d of %d octets: %w", r.md.UID, r.fp.Octets, size, io.ErrUnexpectedEOF)
	}
	close(r.done)
	return nil
}

var hashers = sync.Pool{New: func() any { return fingerprint.New() }}

// fingerprintAll works on the bodies that came, one after another.
func (l *pipeline) fingerprintAll(ctx context.Context) {
	h := hashers.Get().(*fingerprint.Hasher)
	defer hashers.Put(h)
	for r := range l.work {
		if l.failure() == nil {
			r.fp, r.twin, r.err = l.fingerprint(ctx, h, r.body)
		}
		close(r.done)
	}
}

// recordAll takes the bodies in the order in which they came. A failure does not
// end it: what comes behind is released.
func (l *pipeline) recordAll(ctx context.Context) {
	for r := range l.order {
		<-r.done
		if err := l.finish(ctx, r); err != nil {
			l.err.CompareAndSwap(nil, &err)
		}
	}
}

// finish records one body and hands it to the tap, or releases it.
func (l *pipeline) finish(ctx context.Context, r *readBody) error {
	err := r.err
	known := l.find(r.md.UID).known
	var m *mailproof.Message
	if err == nil && l.failure() == nil {
		m, err = l.keep(ctx, r.md, r.fp, r.twin)
	}
	switch {
	case r.body == nil:
		return err
	case err == nil && m != nil && l.Tap != nil && !known && r.fp.Octets == r.md.Size:
		l.Tap.Offer(ctx, *m, r.body) // it may wait: what comes meanwhile is taken in
		return nil
	}
	return errors.Join(err, r.body.Release())
}

// keep records what was read of a message; nil where it proves nothing.
func (l *pipeline) keep(ctx context.Context, md mailproof.Metadata, fp mailproof.Fingerprint, twin int64) (*mailproof.Message, error) {
	if fp.Detail.Stub {
		// Whole as it came, and yet not the message: it proves nothing, and
		// the next pass asks for it again.
		return nil, l.failed(ctx, md, reasonStub)
	}
	if fp.Octets == 0 && md.Size > 0 {
		return nil, l.failed(ctx, md, fmt.Sprintf("the server sends nothing in place of a message of %d octets", md.Size))
	}
	m := mailproof.Message{State: mailproof.Read, Fingerprint: fp}
	m.Metadata = md
	m.MessageKey = mailproof.MessageKey{Side: l.Side, Account: l.Account, Mailbox: l.mb.Name, UIDValidity: l.state.UIDValidity, UID: md.UID}
	if err := l.recordTwin(ctx, md, m, twin); err != nil {
		return nil, err
	}
	l.sum.Read++
	l.sum.Bytes += fp.Octets
	l.tick(l.mb.Name, mailproof.Tick{Done: 1, DoneBytes: fp.Octets})
	return &m, nil
}
