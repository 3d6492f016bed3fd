package dnsaudit

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// SafeTime says from when on no cache can hold a record's old content: every
// server has shown the new content, and the largest TTL with which any server
// last showed other content has run out since.
//
//	T_safe = max(t_low_all + TTL_old, t_flip_all + TTL_low)
//
// where *_all is the first observation at which every authoritative server
// showed it. Resolvers that stretch small TTLs, and those that serve stale
// answers while the servers are out of reach (RFC 8767), may take longer.
type SafeTime struct {
	Domain  string    `json:"domain"`
	Name    string    `json:"name"`
	Type    string    `json:"type"`
	Flipped time.Time `json:"flipped,omitzero"` // first seen on every server; zero: the servers differ, or nothing else was ever seen
	At      time.Time `json:"at,omitzero"`      // T_safe; zero: not known
	Why     string    `json:"why,omitempty"`    // why it is not known
}

// sighting is what one server showed at one time.
type sighting struct {
	at    time.Time
	value string
	ttl   uint32
}

// isSighting reports whether an observation shows what an authoritative server
// holds. An error code does not, whatever bits stand beside it: a server that
// says SERVFAIL with authority has not changed the record.
func isSighting(o mailproof.Observation) bool {
	return o.Role == roleAuthoritative && o.Error == "" && o.AA && (o.RCode == "NOERROR" || o.RCode == "NXDOMAIN")
}

// runGap parts the observations of one audit from those of the next.
const runGap = 10 * time.Second

// timeline returns what each authoritative server showed of a record, oldest
// first, in earlier audits and in this one. Servers are told by their text.
func (d *dossier) timeline(k lookupKey) map[string][]sighting {
	out := map[string][]sighting{}
	domain, name, qtype := display(d.domain), display(k.name), typeName(k.qtype)
	for _, o := range d.cfg.History {
		if !isSighting(o) || !strings.EqualFold(o.Domain, domain) ||
			!strings.EqualFold(o.Question, name) || o.Type != qtype || !o.Time.Before(d.now) {
			continue
		}
		out[o.Server] = append(out[o.Server], sightingOf(o))
	}
	for _, r := range d.view(k.name, k.qtype).Replies {
		if conclusive(r) {
			q := question{domain: d.domain, name: k.name, qtype: k.qtype, role: roleAuthoritative}
			out[r.Server.String()] = append(out[r.Server.String()], sightingOf(observation(q, r, 0)))
		}
	}
	for _, list := range out {
		sort.SliceStable(list, func(i, j int) bool { return list[i].at.Before(list[j].at) })
	}
	return out
}

// sightingOf reads the RRset back from an observation: "OWNER TTL CLASS TYPE
// DATA". A negative answer lives as long as its SOA record says (RFC 2308 §5).
func sightingOf(o mailproof.Observation) sighting {
	s := sighting{at: o.Time}
	var values []string
	for _, line := range o.Records {
		fields := strings.SplitN(line, " ", 5)
		if len(fields) != 5 {
			continue
		}
		n, err := strconv.ParseUint(fields[1], 10, 32)
		if err != nil {
			continue
		}
		ttl := uint32(n)
		owner := strings.EqualFold(display(dns.CanonicalName(fields[0])), o.Question)
		switch {
		case owner && (fields[3] == o.Type || fields[3] == "CNAME"):
			content := fields[4]
			if fields[3] != "TXT" {
				content = strings.ToLower(content)
			}
			values = append(values, fields[3]+" "+content)
			s.ttl = max(s.ttl, ttl)
		case fields[3] == "SOA" && len(values) == 0:
			s.ttl = min(ttl, lastNumber(fields[4], ttl))
		}
	}
	sort.Strings(values)
	s.value = strings.Join(values, "\n")
	return s
}

func lastNumber(s string, otherwise uint32) uint32 {
	fields := strings.Fields(s)
	if len(fields) == 0 {
		return otherwise
	}
	n, err := strconv.ParseUint(fields[len(fields)-1], 10, 32)
	if err != nil {
		return otherwise
	}
	return uint32(n)
}

// gone returns when a server that showed lines[i] was first seen to show
// something else, or to be asked no more.
func gone(line []sighting, i int, same func(sighting) bool, later []time.Time) (time.Time, bool) {
	for _, s := range line[i+1:] {
		if !same(s) {
			return s.at, true
		}
	}
	last := line[len(line)-1].at
	for _, t := range later {
		if t.After(last.Add(runGap)) {
			return t, true // the server has left the set
		}
	}
	return time.Time{}, false
}

// expiry returns when the last cache lets go of everything that is not wanted,
// and when it was last served. It reports false where a server still serves
// it.
func expiry(lines map[string][]sighting, wanted func(sighting) bool) (flipped, until time.Time, done bool) {
	var times []time.Time
	for _, line := range lines {
		for _, s := range line {
			times = append(times, s.at)
		}
	}
	sort.Slice(times, func(i, j int) bool { return times[i].Before(times[j]) })
	for _, line := range lines {
		for i, s := range line {
			if wanted(s) {
				continue
			}
			same := func(o sighting) bool { return o.value == s.value && o.ttl == s.ttl }
			end, ok := gone(line, i, same, times)
			if !ok {
				return time.Time{}, time.Time{}, false
			}
			if t := end.Add(seconds(s.ttl)); t.After(until) {
				until = t
			}
			if back, ok := gone(line, i, func(o sighting) bool { return !wanted(o) }, times); ok && back.After(flipped) {
				flipped = back
			}
		}
	}
	return flipped, until, true
}

// clock computes the safe time of every watched record.
func (d *dossier) clock() []SafeTime {
	var out []SafeTime
	for _, k := range d.watched() {
		v := d.view(k.name, k.qtype)
		s := SafeTime{Domain: display(d.domain), Name: display(k.name), Type: typeName(k.qtype)}
		lines := d.timeline(k)
		value, why := d.settled(v)
		if why == "" {
			flipped, until, done := expiry(lines, func(x sighting) bool { return x.value == value })
			switch {
			case !done:
				why = "a server still shows other content"
			case until.IsZero():
				why = "no earlier audit saw other content"
			default:
				s.Flipped, s.At = flipped, until
			}
		}
		s.Why = why
		if v.exists() || !s.At.IsZero() {
			out = append(out, s)
		}
	}
	return out
}

// settled returns the content that all servers show, or why there is none.
func (d *dossier) settled(v *View) (value, why string) {
	variants := v.variants()
	switch {
	case len(variants) == 0:
		return "", "no server answered"
	case len(variants) > 1:
		return "", "the servers differ"
	case slices.ContainsFunc(v.Replies, func(r Reply) bool { return !conclusive(r) }):
		return "", "not every server answered"
	}
	for _, r := range v.Replies {
		if conclusive(r) {
			q := question{domain: d.domain, name: v.Name, qtype: v.Type, role: roleAuthoritative}
			return sightingOf(observation(q, r, 0)).value, ""
		}
	}
	return "", "no server answered"
}

// safeTime returns the clock of one record.
func (d *dossier) safeTime(k lookupKey) (SafeTime, bool) {
	for _, s := range d.safe {
		if s.Name == display(k.name) && s.Type == typeName(k.qtype) {
			return s, true
		}
	}
	return SafeTime{}, false
}

// isSafe reports whether it is known that no cache holds old content of a
// record.
func (d *dossier) isSafe(k lookupKey) bool {
	s, ok := d.safeTime(k)
	return ok && !s.At.IsZero() && !d.now.Before(s.At)
}

// cachedUntil returns until when caches may hold a record with a larger TTL
// than it has now.
func (d *dossier) cachedUntil(v *View, ttl uint32) time.Time {
	_, until, done := expiry(d.timeline(lookupKey{v.Name, v.Type}), func(s sighting) bool { return s.ttl <= ttl })
	if !done {
		return time.Time{}
	}
	return until
}

const clockCaveat = "resolvers with a minimum TTL, and those that serve stale answers (RFC 8767), may take longer"

// ttlSafe: before the safe time it cannot be said that no mail goes to the old
// server.
func ttlSafe(d *dossier) []mailproof.Finding {
	var out []mailproof.Finding
	for _, s := range d.safe {
		name := s.Name + " " + s.Type
		f := mailproof.Finding{Expected: "old records are in no cache any more"}
		switch {
		case s.At.IsZero():
			f.Outcome, f.Observed = info, fmt.Sprintf("%s: not known: %s", name, s.Why)
			f.Remedy = "audit before the cut-over too, so that the old records and their TTLs are on record"
		case d.now.Before(s.At):
			f.Outcome = info
			if s.Type == "MX" {
				f.Outcome = unknown
			}
			f.Observed = fmt.Sprintf("%s: safe from %s on; %s", name, s.At.UTC().Format(time.RFC3339), clockCaveat)
			f.Remedy = "; no record to change: run the final pass and this check after " + s.At.UTC().Format(time.RFC3339)
		default:
			f.Outcome, f.Observed = pass, fmt.Sprintf("%s: safe since %s; %s", name, s.At.UTC().Format(time.RFC3339), clockCaveat)
		}
		out = append(out, f)
	}
	return out
}
