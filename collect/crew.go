package collect

import (
	"context"
	"errors"
	"sync"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
)

// worthHelp is how much there must be to read in a mailbox for another
// connection to be asked for: dialling costs some round trips.
const (
	worthHelpMessages = 500
	worthHelpOctets   = 8 << 20
)

// crew reads the mailboxes of an account, over one connection until there is
// much to read, and then over as many as [Options.More] gives.
type crew struct {
	p    pass // as it was before the reading began
	wait sync.WaitGroup

	mu        sync.Mutex
	mailboxes []mailproof.Mailbox // not begun
	helped    Summary             // of the others than the first
	err       error               // the first that ends the account
}

// readAll reads every mailbox.
func (p *pass) readAll(ctx context.Context, mailboxes []mailproof.Mailbox) error {
	c := &crew{p: *p, mailboxes: mailboxes}
	p.crew = c
	c.work(ctx, p)
	c.wait.Wait()
	p.crew = nil
	p.sum.Add(c.helped)
	return c.err
}

func (c *crew) next() (mb mailproof.Mailbox, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || len(c.mailboxes) == 0 {
		return mb, false
	}
	if c.p.stopped() {
		c.err = ErrStopped
		return mb, false
	}
	mb, c.mailboxes = c.mailboxes[0], c.mailboxes[1:]
	return mb, true
}

func (c *crew) work(ctx context.Context, p *pass) {
	for mb, ok := c.next(); ok; mb, ok = c.next() {
		if err := p.oneMailbox(ctx, mb); err != nil {
			c.fail(err)
		}
	}
}

func (c *crew) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil || errors.Is(c.err, ErrStopped) {
		c.err = err
	}
}

// help takes on another connection, if there is one to be had and a mailbox
// that it could read.
func (c *crew) help(ctx context.Context) {
	if c == nil || c.p.More == nil {
		return
	}
	c.mu.Lock()
	waiting := len(c.mailboxes) > 0 && c.err == nil
	c.mu.Unlock()
	if !waiting {
		return
	}
	c.wait.Add(1)
	go func() {
		defer c.wait.Done()
		src, done, ok := c.p.More(ctx)
		if !ok {
			return
		}
		defer done()
		// A pass of its own, that only the sum is taken from.
		p := c.p
		p.src, p.fp, p.sum, p.crew = src, fingerprint.New(), Summary{}, c
		c.work(ctx, &p)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.helped.Add(p.sum)
	}()
}
