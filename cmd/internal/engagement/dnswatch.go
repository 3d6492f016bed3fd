package engagement

import (
	"context"
	"errors"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit"
)

// WatchOptions says how long and how often to look.
type WatchOptions struct {
	Interval time.Duration
	Timeout  time.Duration // 0: until it is safe
	Round    func(WatchRound)
}

// WatchRound is one look at the domains.
type WatchRound struct {
	DNSResult
	Number  int
	At      time.Time
	Next    time.Time // of the next round; zero after the last one
	States  []dnsaudit.RecordState
	Outcome mailproof.Outcome // pass: every changed record is safe, and no check fails
	Waiting []string          // for what, in words
	done    bool
}

// WatchDNS audits the domains again and again until every changed record is
// safe and no check of the confirmation fails, or the time is up. What it sees
// goes to the ledger whenever it changes, so that the clock goes on where it
// was after a restart.
func (e *Engagement) WatchDNS(ctx context.Context, w WatchOptions) (WatchRound, error) {
	o := e.Options.DNS
	o.Phase = mailproof.Confirmation
	cfg, err := o.config()
	if err != nil {
		return WatchRound{}, err
	}
	if cfg.History, err = e.dnsHistory(ctx, cfg.Domains); err != nil {
		return WatchRound{}, err
	}
	began := time.Now()
	k := keeper{e: e, profile: cfg.Profile.Title()}
	for n := 1; ; n++ {
		round, err := look(ctx, cfg)
		if err != nil {
			return round, err
		}
		round.Number = n
		recorded, err := k.keep(ctx, round)
		if err != nil {
			return round, err
		}
		cfg.History = append(cfg.History, dnsaudit.ForHistory(recorded)...)
		wait := pause(round, w.Interval, time.Now())
		if w.Timeout > 0 {
			wait = min(wait, time.Until(began.Add(w.Timeout)))
		}
		if !round.done && wait > 0 {
			round.Next = time.Now().Add(wait)
		}
		if w.Round != nil {
			w.Round(round)
		}
		if round.Next.IsZero() {
			return round, k.finish(ctx)
		}
		if err := e.rest(ctx, wait); err != nil {
			return round, errors.Join(err, k.finish(context.WithoutCancel(ctx)))
		}
	}
}

// look audits once.
func look(ctx context.Context, cfg dnsaudit.Config) (WatchRound, error) {
	started := time.Now()
	found, err := dnsaudit.Audit(ctx, cfg)
	if err != nil {
		return WatchRound{}, err
	}
	now := started
	if len(found.Findings) > 0 {
		now = found.Findings[0].Time // by the clock of the audit
	}
	r := WatchRound{DNSResult: DNSResult{Report: found, Profile: cfg.Profile.Title(), Took: time.Since(started)}, At: started}
	r.States = dnsaudit.States(cfg.History, found, now)
	state := dnsaudit.Judge(r.States, found.Findings, cfg.Profile)
	r.Outcome, r.Waiting, r.done = state.Outcome, state.Waiting, state.Done
	return r, nil
}

// pause is how long to wait: to the next round, or to the moment at which a
// record becomes safe, if that is sooner.
func pause(r WatchRound, interval time.Duration, now time.Time) time.Duration {
	wait := interval
	for _, s := range r.States {
		if s.Stage == dnsaudit.StageWaiting {
			// a little later, so that clocks that round do not cost a round
			wait = min(wait, s.At.Sub(now)+100*time.Millisecond)
		}
	}
	return max(wait, 100*time.Millisecond)
}

// dnsHistory is what earlier passes observed of the domains, as far as a
// later audit reads it.
func (e *Engagement) dnsHistory(ctx context.Context, domains []string) ([]mailproof.Observation, error) {
	var out []mailproof.Observation
	for _, d := range domains {
		name, err := dnsaudit.CanonicalDomain(d)
		if err != nil {
			return nil, err
		}
		passes, err := e.ledger.DNSHistory(ctx, name)
		if err != nil {
			return nil, err
		}
		for _, p := range passes {
			out = append(out, dnsaudit.ForHistory(p.Observations)...)
		}
	}
	return out, nil
}
