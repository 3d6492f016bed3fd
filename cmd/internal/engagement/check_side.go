package engagement

import (
	"context"
	"fmt"
	"io"
	"net/mail"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/provider"
)

// gate lets one account find out whether a server can be reached at all, and
// spares the others the wait where it cannot.
type gate struct {
	done chan struct{}
	err  error // why nobody can get in
}

// signIn signs in, patiently: a server that takes fewer connections than we
// make says nothing about the account.
func (c *checking) signIn(ctx context.Context, a Account, side mailproof.Side) (r *imapconn.Reader, done func(), err error) {
	err = c.patiently(ctx, a, side, func() (err error) {
		r, done, err = c.dialReader(ctx, a, side)
		return err
	})
	return r, done, err
}

// through signs in, by way of the server's gate.
func (c *checking) through(ctx context.Context, a Account, side mailproof.Side) (*imapconn.Reader, func(), error) {
	ep := a.Endpoint(side)
	ep.User, ep.Authz = "", ""
	key := fmt.Sprintf("%+v", ep)
	c.mu.Lock()
	g, known := c.gates[key]
	if !known {
		g = &gate{done: make(chan struct{})}
		c.gates[key] = g
	}
	c.mu.Unlock()
	if !known {
		r, done, err := c.signIn(ctx, a, side)
		switch mailproof.KindOf(err) {
		case mailproof.ErrUnknownHost, mailproof.ErrUnreachable, mailproof.ErrTLS:
			g.err = err
		}
		close(g.done)
		return r, done, err
	}
	select {
	case <-g.done:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	if g.err != nil {
		return nil, nil, g.err
	}
	return c.signIn(ctx, a, side)
}

// destination signs in there and looks at what it has, with as little work as
// will do: sizes count only where there is a quota to hold them against.
func (c *checking) destination(ctx context.Context, a Account) (s SideCheck) {
	s.counts = map[string]int64{}
	c.doing(a, "destination: signs in")
	r, done, err := c.through(ctx, a, mailproof.Destination)
	if err != nil {
		s.Err = err
		return s
	}
	defer done()
	c.describe(&s, a, mailproof.Destination, r.Server())
	if s.Mailboxes, s.Err = r.Mailboxes(ctx); s.Err != nil {
		return s
	}
	// The mailbox exists when its INBOX opens: some servers take a sign-in
	// for an account that has none.
	inbox, err := r.Examine(ctx, "INBOX")
	if s.Err = err; err != nil {
		return s
	}
	if used, limit, ok, err := r.Quota(ctx); err == nil && ok {
		s.QuotaUsed, s.QuotaLimit = used, limit
	}
	for _, mb := range s.Mailboxes {
		if mb.NoSelect {
			continue
		}
		c.doing(a, "destination: "+mb.Name)
		state := inbox
		if !mb.IsInbox() || s.QuotaLimit > 0 {
			if state, err = r.Examine(ctx, mb.Name); err != nil {
				s.Err = fmt.Errorf("folder %q: %w", mb.Name, err)
				return s
			}
		}
		s.counts[mb.Name] = int64(state.Exists)
		if s.QuotaLimit <= 0 {
			s.Messages += int64(state.Exists)
			continue
		}
		if s.Err = r.Metadata(ctx, func(md mailproof.Metadata) error { s.hold(md, 0); return nil }); s.Err != nil {
			return s
		}
	}
	return s
}

func (c *checking) describe(s *SideCheck, a Account, side mailproof.Side, info mailproof.ServerInfo) {
	s.Server = info
	if p := c.Rules.providerOf(a.Name, side, info); p != nil {
		s.Provider = p.Name
	}
}

// These bound the samples that throughput is measured with and traits are
// looked for in.
const (
	measureOctets   = 4 << 20
	measureMessages = 50
	measureAccounts = 8 // of one server
	traitMessages   = 20
	traitOctets     = 64 << 10 // of one message
	perFolder       = 2
)

// source reads the list of every message, and a few bodies.
func (c *checking) source(ctx context.Context, a Account, dst *SideCheck) (s SideCheck, left omissions) {
	s.counts = map[string]int64{}
	c.doing(a, "source: signs in")
	r, done, err := c.through(ctx, a, mailproof.Source)
	if err != nil {
		s.Err = err
		return s, left
	}
	defer done()
	c.describe(&s, a, mailproof.Source, r.Server())
	if s.Mailboxes, s.Err = r.Mailboxes(ctx); s.Err != nil {
		return s, left
	}
	if left, s.Err = c.omit(ctx, a.Name, r); s.Err != nil {
		return s, left
	}
	excluded := left.excluded(c.rulesOf(a.Name).Excluded)
	to := c.Rules.providerOf(a.Name, mailproof.Destination, dst.Server)
	limit := provider.MessageLimit(dst.Server, to)
	var measured sample
	var looked []sample
	for _, mb := range s.Mailboxes {
		if mb.NoSelect {
			continue
		}
		c.doing(a, "source: "+mb.Name)
		state, err := r.Examine(ctx, mb.Name)
		if err != nil {
			s.Err = fmt.Errorf("folder %q: %w", mb.Name, err)
			return s, left
		}
		s.counts[mb.Name] = int64(state.Exists)
		if _, out := excluded(mb); out {
			continue
		}
		if state.Exists == 0 {
			continue
		}
		here, few := sample{folder: mb.Name}, sample{folder: mb.Name}
		s.Err = r.Metadata(ctx, func(md mailproof.Metadata) error {
			s.hold(md, limit)
			if len(here.messages) < measureMessages {
				here.messages = append(here.messages, md)
			}
			if len(few.messages) < perFolder && md.Size <= traitOctets {
				few.messages = append(few.messages, md)
			}
			return nil
		})
		if s.Err != nil {
			return s, left
		}
		if len(here.messages) > len(measured.messages) {
			measured = here
		}
		if len(few.messages) > 0 && len(looked)*perFolder < traitMessages {
			looked = append(looked, few)
		}
	}
	if used, limit, ok, err := r.Quota(ctx); err == nil && ok {
		s.QuotaUsed, s.QuotaLimit = used, limit
	}
	if to != nil && len(to.Refuses)+len(to.Changes) > 0 {
		c.doing(a, "source: reads a few messages")
		s.look(ctx, r, looked)
	}
	if c.mayMeasure(s.Server.Address) {
		c.doing(a, "source: measures the throughput")
		s.Rate = measure(ctx, r, measured)
	}
	return s, left
}

// sample is some messages of one folder.
type sample struct {
	folder   string
	messages []mailproof.Metadata
}

// mayMeasure says whether one more account of a server is to be measured: what
// a few tell, many would not tell better, and each costs a download.
func (c *checking) mayMeasure(address string) bool {
	c.mu.Lock()
	n := c.measured[address]
	if n == nil {
		n = new(atomic.Int32)
		c.measured[address] = n
	}
	c.mu.Unlock()
	return n.Add(1) <= measureAccounts
}

// look counts the traits of a few messages. What cannot be read here is the
// inventory's to record.
func (s *SideCheck) look(ctx context.Context, r *imapconn.Reader, samples []sample) {
	s.Traits = map[provider.Trait]int{}
	for _, x := range samples {
		if _, err := r.Examine(ctx, x.folder); err != nil {
			continue
		}
		_, _ = r.Bodies(ctx, x.messages, func(_ mailproof.UID, _ int64, body io.Reader) error {
			var found provider.Inspector
			if _, err := io.Copy(&found, body); err != nil {
				return err
			}
			s.Sampled++
			for _, t := range found.Traits() {
				s.Traits[t]++
			}
			return nil
		})
	}
}

// measure reads a few messages and returns the octets per second that they
// came with; 0 where there was nothing to measure with.
func measure(ctx context.Context, r *imapconn.Reader, x sample) float64 {
	var want []mailproof.Metadata
	var octets int64
	for _, md := range x.messages {
		if octets += md.Size; octets > measureOctets && len(want) > 0 {
			break
		}
		want = append(want, md)
	}
	if len(want) == 0 {
		return 0
	}
	if _, err := r.Examine(ctx, x.folder); err != nil {
		return 0
	}
	started, read := time.Now(), int64(0)
	_, err := r.Bodies(ctx, want, func(_ mailproof.UID, _ int64, body io.Reader) error {
		n, err := io.Copy(io.Discard, body)
		read += n
		return err
	})
	took := time.Since(started)
	if err != nil || took <= 0 || read < 64<<10 {
		return 0 // too little to say anything by
	}
	return float64(read) / took.Seconds()
}

// greetingDate finds the date that some servers put into their greeting.
var greetingDate = regexp.MustCompile(`(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), )?\d{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4} \d{2}:\d{2}:\d{2} (?:[+-]\d{4}|GMT|UTC)`)

// ClockOffset is how far a server's clock is ahead of ours, where its greeting
// tells the time. IMAP has no other way to ask without writing.
func ClockOffset(greeting string, now time.Time) (time.Duration, bool) {
	text := greetingDate.FindString(greeting)
	if text == "" {
		return 0, false
	}
	t, err := mail.ParseDate(text)
	if err != nil {
		return 0, false
	}
	return t.Sub(now).Round(time.Second), true
}
