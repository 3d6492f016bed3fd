package engagement

import (
	"context"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
)

// kept are connections that lie ready between the stages of an engagement: what
// a stage has signed in to, the next one goes on with. A sign-in takes several
// round trips, and a server that counts them sees fewer.
//
// They hold their place among the connections to the server. So nobody waits for
// a place while one of them lies idle, and none is kept while anybody waits.
type kept struct {
	mu     sync.Mutex
	closed bool
	idle   map[login]*conn
	coming map[login]chan struct{} // sign-ins under way; closed at their end
	cancel []context.CancelFunc    // of those
	wait   sync.WaitGroup
}

// conn is a signed-in connection and what was noted of its traffic.
type conn struct {
	reader *imapconn.Reader
	writer *imapconn.Writer // of the destination: reader reads over the same connection
	leave  func()           // makes room for the next one

	dialled, ready time.Time // when the sign-in began and ended
	read, written  int64     // octets that are in the book already
}

// since is when what the connection tells next may have been found out: what came
// along with the sign-in is used for a moment.
func (c *conn) since(now time.Time) time.Time {
	if c.dialled.IsZero() || now.Sub(c.ready) > imapconn.SurveyAge {
		return now
	}
	return c.dialled
}

// end signs out, and waits for the answer or not.
func (c *conn) end(wait bool) {
	// What was read is recorded by now, and every append has had its answer: a
	// server that will not say goodbye takes nothing from it.
	if wait {
		_ = c.reader.Close()
	} else {
		_ = c.reader.Leave()
	}
	c.leave()
}

// keeps reports whether connections are kept: where each account at work has one
// anyway. Of many accounts they would only fill the server's places.
func (e *Engagement) keeps() bool { return e.ledger != nil && len(e.Accounts) <= e.Parallel }

// signedInTo takes the connection that lies ready for a login, or makes one. done
// gives it back.
func (e *Engagement) signedInTo(ctx context.Context, a Account, side mailproof.Side, toWrite bool) (c *conn, done func(), err error) {
	key := login{a.Name, side}
	back := func() { e.giveBack(key, c) }
	if c = e.kept.take(ctx, key); c != nil {
		if !toWrite || c.writer.Unselect() {
			return c, back, nil
		}
		c.end(true)
	}
	if err := e.wrong.get(key); err != nil {
		return nil, nil, err // by the sign-in that was awaited
	}
	config, err := e.connection(ctx, a, side)
	if err != nil {
		return nil, nil, err
	}
	if c, err = e.dial(ctx, a, side, config, true); err != nil {
		return nil, nil, err
	}
	return c, back, nil
}

// dial signs in to read, on the destination to write as well. Where it may not
// wait for a place, there may be none.
func (e *Engagement) dial(ctx context.Context, a Account, side mailproof.Side, config imapconn.Config, mayWait bool) (c *conn, err error) {
	config.Survey = true
	c = &conn{dialled: time.Now()}
	defer func() {
		if err == nil {
			c.ready = time.Now()
		}
	}()
	if side == mailproof.Source {
		c.reader, c.leave, err = signedIn(ctx, e, a, side, config, mayWait, imapconn.DialReader)
		return c, err
	}
	if c.writer, c.leave, err = signedIn(ctx, e, a, side, config, mayWait, imapconn.DialWriter); err == nil {
		c.reader = c.writer.Reader()
	}
	return c, err
}

// signInAhead begins to sign in, if there is a place right now: by the time that
// the connection is asked for, it may be there. A password is asked for before it
// returns. A refusal is remembered, and never tried twice; any other failure is
// left to whoever asks for the connection.
func (e *Engagement) signInAhead(ctx context.Context, a Account, side mailproof.Side) {
	key := login{a.Name, side}
	if !e.keeps() || e.wrong.get(key) != nil {
		return
	}
	config, err := e.connection(ctx, a, side)
	if err != nil {
		return
	}
	ctx, came, ok := e.kept.begin(ctx, key)
	if !ok {
		return
	}
	go func() {
		c, err := e.dial(ctx, a, side, config, false)
		if mailproof.KindOf(err) == mailproof.ErrAuth {
			e.wrong.set(key, err)
		}
		if err != nil {
			c = nil
		}
		came(c)
		e.makeRoom()
	}()
}

// giveBack keeps a connection for the next stage, or ends it.
func (e *Engagement) giveBack(key login, c *conn) {
	if !e.keeps() || !c.reader.Settled() || !e.kept.put(key, c) {
		c.end(true)
	}
	e.makeRoom()
}

// makeRoom gives up what lies idle where somebody waits for a place. Who waits
// says so before he looks for what is idle, so that one of both sees the other.
func (e *Engagement) makeRoom() {
	if e.lines.wanted() {
		e.kept.drop()
	}
}

// take takes the connection that lies ready, and waits for one on its way.
func (k *kept) take(ctx context.Context, key login) *conn {
	k.mu.Lock()
	coming := k.coming[key]
	k.mu.Unlock()
	if coming != nil {
		select {
		case <-coming:
		case <-ctx.Done():
			return nil
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.idle[key]
	delete(k.idle, key)
	return c
}

// put keeps a connection; false where there is one already, or no more use.
func (k *kept) put(key login, c *conn) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.idle[key] != nil {
		return false
	}
	if k.idle == nil {
		k.idle = map[login]*conn{}
	}
	k.idle[key] = c
	return true
}

// begin takes note of a sign-in under way; ok is false where there is one, or a
// connection, already. came is its end, with nil where it failed.
func (k *kept) begin(ctx context.Context, key login) (_ context.Context, came func(*conn), ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || k.idle[key] != nil || k.coming[key] != nil {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancel(ctx)
	if k.coming == nil {
		k.coming = map[login]chan struct{}{}
	}
	there := make(chan struct{})
	k.coming[key] = there
	k.cancel = append(k.cancel, cancel)
	k.wait.Add(1)
	return ctx, func(c *conn) {
		defer k.wait.Done()
		if c != nil && !k.put(key, c) {
			c.end(true)
		}
		k.mu.Lock()
		delete(k.coming, key)
		k.mu.Unlock()
		close(there)
	}, true
}

// drop ends what lies idle, to make room. It reports whether there was anything.
func (k *kept) drop() bool {
	k.mu.Lock()
	idle := k.idle
	k.idle = nil
	k.mu.Unlock()
	for _, c := range idle {
		c.end(true)
	}
	return len(idle) > 0
}

// close ends all of them, without waiting for anybody's goodbye.
func (k *kept) close() {
	k.mu.Lock()
	k.closed = true
	for _, cancel := range k.cancel {
		cancel()
	}
	k.mu.Unlock()
	k.wait.Wait()
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, c := range k.idle {
		c.end(false)
	}
	k.idle = nil
}
