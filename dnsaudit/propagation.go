package dnsaudit

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// propagation compares what the listed resolvers hold with what the
// authoritative servers say. Of several samples the largest remaining TTL
// counts: a resolver is often many machines with a cache each.
func (d *dossier) propagation(v *View, stale mailproof.Outcome) []mailproof.Finding {
	const expected = "what the authoritative servers say"
	switch {
	case len(d.net.resolvers) == 0:
		return one(info, expected, "no resolver is listed", "list resolvers to see what the world still believes")
	case len(v.variants()) == 0:
		return one(unknown, expected, v.observed(), askAgain)
	case !v.exists():
		return one(info, expected, "no such record yet: resolvers were not asked, since the question would plant a negative answer in their caches", "")
	}
	right := map[string]bool{}
	for _, x := range v.variants() {
		right[rrsetKey(x.records, x.alias)] = true
	}
	sum := sampled{v: v, right: right, said: map[string]string{}, left: map[string]uint32{}}
	for _, r := range v.Samples {
		sum.add(r)
	}
	return []mailproof.Finding{sum.finding(d.now, stale, expected)}
}

// sampled folds the samples of all resolvers.
type sampled struct {
	v       *View
	right   map[string]bool
	said    map[string]string // resolver → what it holds that differs
	left    map[string]uint32 // resolver → largest remaining TTL of that
	silent  []string
	maxLeft uint32
	asked   []string
}

func (s *sampled) add(r Reply) {
	name := r.Server.String()
	s.asked = union(s.asked, []string{name})
	if !usable(r) {
		s.silent = union(s.silent, []string{name + ": " + state(r)})
		return
	}
	records, alias := extract(r.Answer, s.v.Name, s.v.Type)
	if s.right[rrsetKey(records, alias)] {
		return
	}
	x := variant{records: records, alias: alias, nx: r.RCode == dns.RcodeNameError}
	ttl := ttlOf(r, s.v.Name)
	if len(records) == 0 && alias == "" {
		ttl = negativeTTL(r)
	}
	s.said[name] = x.text()
	s.left[name] = max(s.left[name], ttl)
	s.maxLeft = max(s.maxLeft, ttl)
}

// negativeTTL is how long a negative answer may still be cached.
func negativeTTL(r Reply) uint32 {
	for _, rr := range r.Ns {
		if soa, ok := rr.(*dns.SOA); ok {
			return min(soa.Hdr.Ttl, soa.Minttl)
		}
	}
	return 0
}

func (s *sampled) finding(now time.Time, stale mailproof.Outcome, expected string) mailproof.Finding {
	f := mailproof.Finding{Outcome: pass, Expected: expected}
	var parts []string
	for name, text := range s.said {
		parts = append(parts, fmt.Sprintf("%s: %s, for %d s more", name, text, s.left[name]))
	}
	sort.Strings(parts)
	sort.Strings(s.silent)
	switch {
	case len(parts) > 0:
		f.Outcome = stale
		until := now.Add(seconds(s.maxLeft)).UTC().Format(time.RFC3339)
		f.Remedy = fmt.Sprintf("; no record to change: wait until %s, then ask again", until)
	case len(s.silent) > 0:
		f.Outcome, f.Remedy = unknown, "make sure that the resolvers can be reached, then run the check again"
	default:
		parts = []string{fmt.Sprintf("%d resolvers agree", len(s.asked))}
	}
	f.Observed = strings.Join(append(parts, s.silent...), "; ")
	if len(s.silent) > 0 && worse(unknown, f.Outcome) {
		f.Outcome = unknown
	}
	return f
}
