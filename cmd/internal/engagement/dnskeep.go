package engagement

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit"
)

// A watch may look at hundreds of domains every minute for days. Its ledger
// grows with what changes, not with the looks:
//
//   - A record that shows something new, or another TTL, on any server goes to
//     the ledger at once, with all findings and observations of its domain: the
//     clock rests on these.
//   - Findings and errors that come and go while the records stay are kept at
//     most every quietGap for a domain.
//   - Where nothing changes, what the servers say of the watched records is
//     kept after firstBeat, and then after twice as long each time, up to
//     lastBeat: evidence that somebody looked.
//   - The last round is kept whole.
const (
	quietGap  = 10 * time.Minute
	firstBeat = 10 * time.Minute
	lastBeat  = 6 * time.Hour
)

// keeper records the rounds of a watch that say anything new.
type keeper struct {
	e       *Engagement
	profile string
	domains map[string]*keptDomain
	last    *WatchRound
}

// keptDomain is what was last recorded of a domain.
type keptDomain struct {
	shown map[string]string // record and server → what it showed, "" where it said nothing
	rest  string            // outcomes, errors and stages
	full  time.Time
	beat  time.Time
	wait  time.Duration // to the next beat
	round int           // the last round that was recorded in full
}

// changed reports whether a server shows something else than it last did, is
// new, or is asked no more. One that says nothing shows nothing new.
func (d *keptDomain) changed(now map[string]string) bool {
	for key, content := range now {
		if last, known := d.shown[key]; !known || content != "" && content != last {
			return true
		}
	}
	for key := range d.shown {
		if _, still := now[key]; !still {
			return true
		}
	}
	return d.full.IsZero()
}

// take remembers what was recorded, and of a silent server what it said last.
func (d *keptDomain) take(now keptDomain, r WatchRound) {
	for key, content := range now.shown {
		if content == "" {
			now.shown[key] = d.shown[key]
		}
	}
	*d = keptDomain{shown: now.shown, rest: now.rest, full: r.At, beat: r.At, wait: firstBeat, round: r.Number}
}

// keep records what a round says anew, and returns the observations that it
// recorded.
func (k *keeper) keep(ctx context.Context, r WatchRound) ([]mailproof.Observation, error) {
	k.last = &r
	findings, observations := k.pick(r, r.done)
	if len(findings)+len(observations) == 0 {
		return nil, nil
	}
	return observations, k.record(ctx, r, findings, observations)
}

// finish records the last round, as far as it was not.
func (k *keeper) finish(ctx context.Context) error {
	if k.last == nil {
		return nil
	}
	r := *k.last
	findings, observations := k.pick(r, true)
	if len(findings)+len(observations) == 0 {
		return nil
	}
	return k.record(ctx, r, findings, observations)
}

// pick chooses what of a round goes to the ledger. A final round goes whole.
func (k *keeper) pick(r WatchRound, final bool) (findings []mailproof.Finding, observations []mailproof.Observation) {
	if k.domains == nil {
		k.domains = map[string]*keptDomain{}
	}
	shown := r.byDomain()
	whole, beats := map[string]bool{}, map[string]bool{}
	for domain, now := range shown {
		d := k.domains[domain]
		if d == nil {
			d = &keptDomain{}
			k.domains[domain] = d
		}
		switch {
		case d.round == r.Number && d.round > 0: // already
		case final, d.changed(now.shown), d.rest != now.rest && r.At.Sub(d.full) >= quietGap:
			whole[domain] = true
			d.take(now, r)
		case r.At.Sub(d.beat) >= d.wait:
			beats[domain] = true
			d.beat, d.wait = r.At, min(2*d.wait, lastBeat)
		}
	}
	for _, f := range r.Findings {
		if whole[f.Domain] {
			findings = append(findings, f)
		}
	}
	for _, o := range r.Observations {
		if whole[o.Domain] || beats[o.Domain] && len(dnsaudit.ForHistory([]mailproof.Observation{o})) > 0 {
			observations = append(observations, o)
		}
	}
	return findings, observations
}

func (k *keeper) record(ctx context.Context, r WatchRound, findings []mailproof.Finding, observations []mailproof.Observation) error {
	id, err := k.e.ledger.BeginPass(ctx, mailproof.Pass{Kind: mailproof.DNSPass, Tool: k.e.Tool, Command: k.e.Command, Started: r.At.UTC()})
	if err != nil {
		return err
	}
	state, text := mailproof.PassDone, ""
	err = k.e.ledger.RecordDNS(ctx, id, findings, observations)
	if err == nil {
		err = k.e.keepDNS(ctx, k.profile, r.Safe)
	}
	if err != nil {
		state, text = mailproof.PassFailed, err.Error()
	}
	return errors.Join(err, k.e.ledger.EndPass(context.WithoutCancel(ctx), id, state, text, 0, 0))
}

// byDomain is what a round shows of each domain.
func (r WatchRound) byDomain() map[string]keptDomain {
	shown, rest := map[string]map[string]string{}, map[string]*strings.Builder{}
	of := func(domain string) (map[string]string, *strings.Builder) {
		if shown[domain] == nil {
			shown[domain], rest[domain] = map[string]string{}, &strings.Builder{}
		}
		return shown[domain], rest[domain]
	}
	for _, s := range r.States {
		content, b := of(s.Domain)
		fmt.Fprintf(b, "%s %s %s\n", s.Name, s.Type, s.Stage)
		for _, v := range s.Servers {
			key := s.Name + " " + s.Type + " " + v.Server
			if v.Error != "" {
				content[key] = ""
				fmt.Fprintf(b, "%s %q\n", key, v.Error)
				continue
			}
			content[key] = fmt.Sprintf("%d %q", v.TTL, v.Content)
		}
	}
	for _, f := range r.Findings {
		_, b := of(f.Domain)
		fmt.Fprintf(b, "%s %s\n", f.Check, f.Outcome)
	}
	out := map[string]keptDomain{}
	for domain, content := range shown {
		out[domain] = keptDomain{shown: content, rest: rest[domain].String()}
	}
	return out
}
