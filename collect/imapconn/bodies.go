package imapconn

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/cenkalti/backoff/v5"
	"github.com/emersion/go-imap/v2"

	"github.com/mailproof/mailproof"
)

// How bodies are asked for: commands large enough for a round trip not to
// count, two in flight so that the line never falls silent.
const (
	batchMessages = 500
	batchOctets   = 32 << 20
	batchCommand  = 6000 // octets of a UID set; servers bound the length of a line
	pipelineDepth = 2
	retryMessages = 50 // of one FETCH when bodies are asked for again
)

// maxLosses is how many connections in a row may be lost without a single body
// before the mailbox is given up.
const maxLosses = 5

// Bodies reads the octets of messages of the examined mailbox with
// BODY.PEEK[], so that no \Seen is set. read is called once for every message
// that arrives, in any order, by one goroutine at a time; size is the number
// of octets that the server announced. body fails with
// [io.ErrUnexpectedEOF] or another error where the octets do not all arrive,
// or where what the server says around them shows that they are not the
// message; read must return such an error, or one that wraps it, and will be
// called again for the same message if another attempt is made. A message
// counts as read only if read returned nil and every octet arrived; what read
// leaves unread is drained.
//
// unread names the messages that could not be read, in the server's words or
// ours, or [ReasonExpunged]. Every wanted message was either read or is in
// unread, unless err is not nil: err is for what ends the mailbox (the
// connection cannot be had again, the context ended, UIDVALIDITY changed) and
// for an error of read that did not come from body, which is returned as it is.
//
// What is wanted is held in memory: for a large mailbox, call it for some
// thousands at a time. read must not call the Reader.
func (r *Reader) Bodies(ctx context.Context, want []mailproof.Metadata, read func(uid mailproof.UID, size int64, body io.Reader) error) (unread map[mailproof.UID]string, err error) {
	return r.parts(ctx, want, wholeBody, read)
}

// parts reads one part of each message: all of it, or its header.
func (r *Reader) parts(ctx context.Context, want []mailproof.Metadata, part *imap.FetchOptions, read func(uid mailproof.UID, size int64, body io.Reader) error) (unread map[mailproof.UID]string, err error) {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	b := &bodies{r: r, part: part, read: read, pending: make(map[mailproof.UID]*pendingBody, len(want))}
	for _, m := range want {
		if m.UID != 0 {
			b.pending[m.UID] = &pendingBody{size: m.Size}
		}
	}
	if err := b.run(ctx); err != nil {
		return nil, err
	}
	if len(b.pending) == 0 {
		return nil, nil
	}
	unread = make(map[mailproof.UID]string, len(b.pending))
	for uid, p := range b.pending {
		if unread[uid] = p.reason; p.reason == "" {
			unread[uid] = "the server answers OK and does not send the message"
		}
	}
	return unread, nil
}

// pendingBody is a message that was not read yet.
type pendingBody struct {
	size     int64  // RFC822.SIZE, to plan with
	reason   string // why the last attempt failed
	setAside bool   // the connection was lost over it: not in a batch again
	gone     bool   // expunged
}

// bodies is one call of Reader.Bodies.
type bodies struct {
	r    *Reader
	part *imap.FetchOptions
	read func(uid mailproof.UID, size int64, body io.Reader) error

	mu      sync.Mutex // held while a body is read: read is called by one goroutine at a time
	pending map[mailproof.UID]*pendingBody
	got     int   // bodies read so far
	stop    error // an error of read itself
}

// run makes three attempts, each with smaller commands than the one before.
func (b *bodies) run(ctx context.Context) error {
	if err := b.attempt(ctx, batchMessages, batchOctets, fetchByUID); err != nil || len(b.pending) == 0 {
		return err
	}
	if err := b.forgetExpunged(ctx); err != nil {
		return err
	}
	// What did not come may have been lost on the way: new connection, other
	// way of asking.
	if len(b.extant()) > 0 {
		b.r.link.drop()
	}
	if err := b.attempt(ctx, retryMessages, batchOctets/4, fetchBySequence); err != nil {
		return err
	}
	for _, how := range []fetchBy{fetchByUID, fetchBySequence} {
		if err := b.attempt(ctx, 1, batchOctets, how); err != nil {
			return err
		}
	}
	return b.forgetExpunged(ctx)
}

// extant returns what is still to be read, ascending.
func (b *bodies) extant() []mailproof.UID {
	var uids []mailproof.UID
	for uid, p := range b.pending {
		if !p.gone && !p.setAside {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// batches parts what is to be read into commands.
func (b *bodies) batches(messages int, octets int64) [][]mailproof.UID {
	var out [][]mailproof.UID
	var batch []mailproof.UID
	var size int64
	var last mailproof.UID
	text := 0
	for _, uid := range b.extant() {
		more := max(b.pending[uid].size, 0)
		width := 0
		if uid != last+1 {
			width = 22 // ",4294967295:4294967295"
		}
		if len(batch) > 0 && (len(batch) == messages || size+more > octets || text+width > batchCommand) {
			out = append(out, batch)
			batch, size, text = nil, 0, 0
		}
		batch, size, text, last = append(batch, uid), size+more, text+width, uid
	}
	if len(batch) > 0 {
		out = append(out, batch)
	}
	return out
}

// forgetExpunged marks what the mailbox no longer lists.
func (b *bodies) forgetExpunged(ctx context.Context) error {
	var uids []mailproof.UID
	for uid, p := range b.pending {
		if !p.gone {
			uids = append(uids, uid)
		}
	}
	if len(uids) == 0 {
		return nil
	}
	slices.Sort(uids)
	gone, err := b.r.expunged(ctx, uids)
	for _, uid := range gone {
		b.pending[uid].gone, b.pending[uid].reason = true, ReasonExpunged
	}
	return err
}

// fetchBy is a way of asking for bodies. begin sends the command for a batch
// and returns nil where nothing of it is there any more.
type fetchBy struct {
	begin func(ctx context.Context, s *session, batch []mailproof.UID, part *imap.FetchOptions) (*bodyFetch, error)
	depth int // commands in flight
}

var (
	fetchByUID      = fetchBy{beginByUID, pipelineDepth}
	fetchBySequence = fetchBy{beginBySequence, 1}
)

// attempt asks for every batch once, over as many connections as it takes.
// Where a connection is lost, the first message of each batch in flight that
// had not arrived is set aside: a server that dies of a message must not be
// asked for it for ever.
func (b *bodies) attempt(ctx context.Context, messages int, octets int64, how fetchBy) error {
	for _, p := range b.pending {
		p.setAside = false
	}
	batches := b.batches(messages, octets)
	pace := b.r.link.config.backoff()
	pace.Reset()
	losses, bear := 0, maxLosses
	if messages == 1 {
		bear *= 4 // each loss is the doing of one message at most
	}
	for len(batches) > 0 {
		before := b.got
		var left [][]mailproof.UID
		err := b.r.reading(ctx, func(s *session) error {
			var err error
			if left, err = b.pipeline(ctx, s, batches, how); err != nil && retryable(err) {
				// Retrying is done here and not by reading.
				return &interrupted{err}
			}
			return err
		})
		var lost *interrupted
		switch {
		case b.stop != nil:
			return b.stop
		case err == nil:
			return nil
		case !errors.As(err, &lost):
			return err
		}
		b.r.link.drop()
		if losses++; b.got > before {
			losses = 0
			pace.Reset()
		}
		if batches = b.remaining(left); len(batches) == 0 {
			return nil
		}
		if losses >= bear {
			return lost.error
		}
		if err := b.pause(ctx, pace, lost.error); err != nil {
			return err
		}
	}
	return nil
}

// interrupted keeps an error of the connection from being retried further down.
type interrupted struct{ error }

// Unwrap is not there on purpose: what is beneath must not be seen.

func (b *bodies) pause(ctx context.Context, pace backoff.BackOff, cause error) error {
	return b.r.link.wait(ctx, pace.NextBackOff(), cause)
}

// remaining takes out of the batches what was read or set aside.
func (b *bodies) remaining(batches [][]mailproof.UID) [][]mailproof.UID {
	var out [][]mailproof.UID
	for _, batch := range batches {
		batch = slices.DeleteFunc(slices.Clone(batch), func(uid mailproof.UID) bool {
			p, ok := b.pending[uid]
			return !ok || p.setAside || p.gone
		})
		if len(batch) > 0 {
			out = append(out, batch)
		}
	}
	return out
}

// pipeline has some commands in flight and one goroutine for
// each of them: the server may send the data of two and then both completions,
// which one goroutine reading them in turn would wait for in vain. It returns
// the batches that were not answered.
func (b *bodies) pipeline(ctx context.Context, s *session, batches [][]mailproof.UID, how fetchBy) (left [][]mailproof.UID, err error) {
	release := s.guard(ctx)
	s.clean.mode.Store(uint32(fetchBodies))
	defer func() {
		s.clean.mode.Store(uint32(fetchNone))
		s.conn.disarm()
		err = release(err)
	}()
	var (
		wg    sync.WaitGroup
		slots = make(chan struct{}, how.depth)
		mu    sync.Mutex
	)
	for i, batch := range batches {
		slots <- struct{}{}
		mu.Lock()
		failed := err != nil
		mu.Unlock()
		if failed {
			left = append(left, batches[i:]...)
			break
		}
		f, ferr := how.begin(ctx, s, batch, b.part)
		if ferr == nil && f == nil { // nothing of it is there any more
			<-slots
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer func() { <-slots }()
			berr := ferr
			if berr == nil {
				berr = b.receive(s, f)
			}
			mu.Lock()
			defer mu.Unlock()
			if berr = b.settle(batch, berr); berr != nil {
				left = append(left, batch)
				err = cmp.Or(err, berr)
			}
		}()
	}
	wg.Wait()
	return left, err
}

// settle records how a batch ended. It returns an error only if the connection
// is of no more use.
func (b *bodies) settle(batch []mailproof.UID, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil || b.stop != nil {
		return b.stop
	}
	reason := reasonOf(err)
	first := true
	for _, uid := range batch {
		p, ok := b.pending[uid]
		if !ok {
			continue
		}
		if refused(err) {
			p.reason = reason
		} else if first {
			p.setAside = true
			if p.reason == "" { // else message knew better
				p.reason = reason
			}
		}
		first = false
	}
	if refused(err) {
		return nil
	}
	return err
}

// reasonOf is the server's own words, or the cause, without what was done and
// where.
func reasonOf(err error) string {
	var se *mailproof.ServerError
	if !errors.As(err, &se) {
		return err.Error()
	}
	if words := se.Words(); words != "" || se.Err == nil {
		return words
	}
	return se.Err.Error()
}
