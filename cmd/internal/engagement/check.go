package engagement

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/diff"
)

// SideCheck is what one server says of one account.
type SideCheck struct {
	Err        error // why the account could not be signed in to, or read
	Server     mailproof.ServerInfo
	Mailboxes  []mailproof.Mailbox
	Messages   int64
	Octets     int64 // sum of RFC822.SIZE; -1 where it was not asked
	Largest    int64
	TooLarge   int64 // messages over the destination's limit
	QuotaUsed  int64
	QuotaLimit int64 // 0: none stated
	Rate       float64
}

// AccountCheck is the readiness of one account.
type AccountCheck struct {
	Account     string
	Source      SideCheck
	Destination SideCheck
	FolderNotes []string // what the folder map had to decide
	Problems    []string // what stands in the way; none means ready
	Warnings    []string
}

// Ready reports whether nothing stands in the way.
func (c AccountCheck) Ready() bool { return len(c.Problems) == 0 }

// Check signs in to every account on both sides, lists what is there and says
// what would go wrong. It writes nothing: not to a mailbox, and not to the
// ledger.
func (o Options) Check(ctx context.Context) ([]AccountCheck, error) {
	e := &Engagement{Options: o}
	if e.Parallel <= 0 {
		e.Parallel = 4
	}
	var err error
	if e.rules, err = diff.ParseRules(o.Rules.Map, o.Rules.Exclude); err != nil {
		return nil, err
	}
	out := make([]AccountCheck, len(o.Accounts))
	index := map[string]int{}
	for i, a := range o.Accounts {
		index[a.Name] = i
	}
	err = e.each(ctx, func(ctx context.Context, a Account) error {
		out[index[a.Name]] = e.checkOne(ctx, a)
		return ctx.Err()
	})
	return out, err
}

func (e *Engagement) checkOne(ctx context.Context, a Account) AccountCheck {
	c := AccountCheck{Account: a.Name}
	var wg sync.WaitGroup
	wg.Add(2)
	go func() {
		defer wg.Done()
		c.Source = e.checkSide(ctx, a, mailproof.Source)
	}()
	go func() {
		defer wg.Done()
		c.Destination = e.checkSide(ctx, a, mailproof.Destination)
	}()
	wg.Wait()
	for _, s := range []struct {
		name string
		side *SideCheck
	}{{"source", &c.Source}, {"destination", &c.Destination}} {
		if s.side.Err != nil {
			c.Problems = append(c.Problems, s.name+" "+brief(s.side.Err))
		}
	}
	if len(c.Problems) == 0 {
		e.judgeReadiness(&c)
	}
	return c
}

// brief is an error in the space of a table: the kind of trouble and the
// server's own words, without address and user, which the row has.
func brief(err error) string {
	var se *mailproof.ServerError
	switch {
	case !errors.As(err, &se):
		return "cannot be reached: " + err.Error()
	case se.Kind == mailproof.ErrAuth && se.Code != "":
		return "refused the sign-in: " + se.Code
	case se.Words() != "":
		return se.Kind.String() + ": " + se.Words()
	case se.Err != nil:
		return se.Kind.String() + ": " + se.Err.Error()
	}
	return se.Kind.String()
}

// These bound the sample that the throughput is measured with.
const (
	measureOctets   = 4 << 20
	measureMessages = 50
)

func (e *Engagement) checkSide(ctx context.Context, a Account, side mailproof.Side) (s SideCheck) {
	r, done, err := e.dialReader(ctx, a, side)
	if err != nil {
		s.Err = err
		return s
	}
	defer done()
	s.Server = r.Server()
	if s.Mailboxes, s.Err = r.Mailboxes(ctx); s.Err != nil {
		return s
	}
	var sample []mailproof.Metadata
	var sampleIn string
	for _, mb := range s.Mailboxes {
		if mb.NoSelect {
			continue
		}
		if _, out := e.rules.Excluded(mb); out && side == mailproof.Source {
			continue
		}
		if _, err := r.Examine(ctx, mb.Name); err != nil {
			s.Err = fmt.Errorf("folder %q: %w", mb.Name, err)
			return s
		}
		var here []mailproof.Metadata
		s.Err = r.Metadata(ctx, func(md mailproof.Metadata) error {
			s.Messages++
			s.Octets += md.Size
			s.Largest = max(s.Largest, md.Size)
			if len(here) < measureMessages {
				here = append(here, md)
			}
			return nil
		})
		if s.Err != nil {
			return s
		}
		if len(here) > len(sample) {
			sample, sampleIn = here, mb.Name
		}
	}
	if used, limit, ok, err := r.Quota(ctx); err == nil && ok {
		s.QuotaUsed, s.QuotaLimit = used, limit
	}
	if side == mailproof.Source {
		s.Rate = measure(ctx, r, sampleIn, sample)
	}
	return s
}

// measure reads a few messages and returns the octets per second that they
// came with; 0 where there was nothing to measure with.
func measure(ctx context.Context, r *imapconn.Reader, mailbox string, sample []mailproof.Metadata) float64 {
	var want []mailproof.Metadata
	var octets int64
	for _, md := range sample {
		if octets += md.Size; octets > measureOctets && len(want) > 0 {
			break
		}
		want = append(want, md)
	}
	if len(want) == 0 {
		return 0
	}
	if _, err := r.Examine(ctx, mailbox); err != nil {
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

// judgeReadiness looks at both sides together: limits, quota and folder map.
func (e *Engagement) judgeReadiness(c *AccountCheck) {
	if limit := c.Destination.Server.AppendLimit; limit > 0 && c.Source.Largest > limit {
		c.Problems = append(c.Problems, fmt.Sprintf("the largest message has %d octets, the destination takes %d at most (APPENDLIMIT)", c.Source.Largest, limit))
	}
	if limit := c.Destination.QuotaLimit; limit > 0 && c.Destination.QuotaUsed+c.Source.Octets-c.Destination.Octets > limit {
		c.Problems = append(c.Problems, fmt.Sprintf("the mail of %d octets does not fit into the destination's quota of %d, of which %d are used", c.Source.Octets, limit, c.Destination.QuotaUsed))
	}
	rules := e.rules
	rules.Refused = diff.RefusedBy(c.Destination.Server)
	_, notes := diff.NewFolderMap(c.Source.Mailboxes, c.Destination.Mailboxes, rules)
	for _, n := range notes {
		c.FolderNotes = append(c.FolderNotes, n.String())
	}
	if len(c.Source.Mailboxes) == 0 {
		c.Problems = append(c.Problems, "the source lists no folder at all, not even INBOX")
	}
	for _, s := range []struct {
		name string
		info mailproof.ServerInfo
	}{{"source", c.Source.Server}, {"destination", c.Destination.Server}} {
		if left := time.Until(s.info.CertNotAfter); !s.info.CertNotAfter.IsZero() && left < 14*24*time.Hour {
			c.Warnings = append(c.Warnings, fmt.Sprintf("the certificate of the %s ends on %s", s.name, s.info.CertNotAfter.UTC().Format("2006-01-02")))
		}
	}
}

// Estimate is how long the first copy may take: every octet is read for the
// source's inventory, read again for the copy, and read back from the
// destination, by so many accounts at once. It rests on a small sample and is
// an order of magnitude, not a promise.
func Estimate(checks []AccountCheck, parallel int) (messages, octets int64, rate float64, d time.Duration) {
	var measured int
	for _, c := range checks {
		messages += c.Source.Messages
		octets += c.Source.Octets
		if c.Source.Rate > 0 {
			rate += c.Source.Rate
			measured++
		}
	}
	if measured == 0 || octets == 0 {
		return messages, octets, 0, 0
	}
	rate /= float64(measured)
	lanes := float64(max(1, min(parallel, len(checks))))
	return messages, octets, rate, time.Duration(3 * float64(octets) / (rate * lanes) * float64(time.Second))
}
