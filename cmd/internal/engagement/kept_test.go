package engagement

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// Connections that lie ready never keep anybody waiting: with one place at each
// server, and with both sides on one server, everybody's turn comes.
func TestKeptConnectionsGiveWay(t *testing.T) {
	for name, one := range map[string]bool{"two servers": false, "one server": true} {
		t.Run(name, func(t *testing.T) {
			j := newJob(t, imapmem.Options{}, imapmem.Options{})
			destination := j.destination
			if one {
				destination = j.source
			}
			secret := func(context.Context) (mailproof.Secret, error) { return mailproof.NewSecret("pw"), nil }
			o := Options{Tool: "mailproof test", MaxConnections: 1, Parallel: 4}
			for i := range 3 {
				from, to := fmt.Sprintf("from%d", i), fmt.Sprintf("to%d", i)
				a := j.source.AddAccount(from, "pw")
				for n := range 5 {
					a.Append("INBOX", fmt.Appendf(nil, "Subject: %d\r\nMessage-ID: <%d.%d@a.example>\r\n\r\nHello.\r\n", n, i, n), nil, time.Unix(1_700_000_000, 0))
				}
				destination.AddAccount(to, "pw")
				o.Accounts = append(o.Accounts, Account{
					Account:        mailproof.Account{Name: from, Source: j.source.Endpoint(from), Destination: destination.Endpoint(to)},
					SourcePassword: secret, DestinationPassword: secret,
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			e, err := Open(ctx, j.dir, nil, o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			}()
			c, err := e.Run(ctx, Observer{})
			if err != nil {
				t.Fatal(err)
			}
			if c.Totals.Identical != 15 || !e.keeps() {
				t.Errorf("%+v, kept %v", c.Totals, e.keeps())
			}
		})
	}
}

// A wrong password is tried once, also where the sign-in was begun ahead.
func TestSignInAheadTriesOnce(t *testing.T) {
	var tried atomic.Int32
	j := newJob(t, imapmem.Options{}, imapmem.Options{})
	wrong := func(context.Context) (mailproof.Secret, error) {
		tried.Add(1)
		return mailproof.NewSecret("wrong"), nil
	}
	c, err := j.run(func(o *Options) { o.Accounts[0].SourcePassword = wrong })
	if err != nil {
		t.Fatal(err)
	}
	if c.Accounts[0].Verdict != mailproof.Inconclusive || tried.Load() != 1 {
		t.Errorf("%v, the password was asked for %d times", c.Accounts[0].Verdict, tried.Load())
	}
}
