package engagement

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
)

// SignIn is how one account fared at one server.
type SignIn struct {
	Account string
	Side    mailproof.Side
	Server  mailproof.ServerInfo
	Took    time.Duration
	Err     error
	rules   Rules
}

// Hint says why the sign-in failed and what to do, with what is known of the
// provider of its side.
func (s SignIn) Hint() string { return Failure{s.Account, s.Side, s.Err, s.rules}.Hint() }

// SignIns signs in to every account on the sides that are given, Parallel at a
// time, and out again. It reads no mail and writes nothing. The result is in the
// order of the accounts.
func (o Options) SignIns(ctx context.Context, sides ...mailproof.Side) ([]SignIn, error) {
	e := &Engagement{Options: o}
	if e.Parallel <= 0 {
		e.Parallel = 4
	}
	out := make([]SignIn, 0, len(o.Accounts)*len(sides))
	index := map[string]int{}
	for _, a := range o.Accounts {
		index[a.Name] = len(out)
		for _, side := range sides {
			out = append(out, SignIn{Account: a.Name, Side: side, rules: o.Rules})
		}
	}
	progress, done := o.watched(len(out))
	defer done()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(e.Parallel)
	for _, a := range o.Accounts {
		g.Go(func() error {
			for i := range sides {
				s := &out[index[a.Name]+i]
				progress.Add(mailproof.Tick{Account: a.Name, Mailbox: s.Side.String()})
				e.signIn(ctx, a, s)
				t := mailproof.Tick{Account: a.Name, Done: 1}
				if s.Err != nil {
					t.Refused = 1
				}
				progress.Add(t)
			}
			return ctx.Err()
		})
	}
	return out, g.Wait()
}

func (e *Engagement) signIn(ctx context.Context, a Account, s *SignIn) {
	s.Err = e.patiently(ctx, a, s.Side, func() error {
		started := time.Now()
		c, err := e.connection(ctx, a, s.Side)
		if err != nil {
			return err
		}
		r, leave, err := signedIn(ctx, e, a, s.Side, c, true, imapconn.DialReader)
		if s.Took = time.Since(started); err != nil {
			return err
		}
		defer leave()
		s.Server = r.Server()
		_ = r.Close() // signed in is signed in, however the goodbye went
		return nil
	})
}
