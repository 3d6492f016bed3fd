package dnsaudit

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// The stages of a record on its way to the safe time.
const (
	StageUnchanged = "unchanged" // every server answers, and no other content was ever seen
	StageChanging  = "changing"  // a server shows other content, or says nothing
	StageWaiting   = "waiting"   // changed everywhere; caches may still hold the old content
	StageSafe      = "safe"
)

// RecordState is how far the change of one record has come.
type RecordState struct {
	SafeTime
	Stage   string        `json:"stage"`
	Servers []ServerState `json:"servers"`
}

// ServerState is what one authoritative server shows of a record.
type ServerState struct {
	Server  string `json:"server"`
	TTL     uint32 `json:"ttl"`
	Lowered bool   `json:"lowered"`           // a larger TTL was seen before
	Changed bool   `json:"changed"`           // it has the newest content, and there was other content before
	Content string `json:"content,omitempty"` // "MX 10 mx.example.net."
	Error   string `json:"error,omitempty"`   // why it is not known
}

// States returns how far each watched record of an audit has come. The history
// is what the audit was given; now is the time of the audit.
func States(history []mailproof.Observation, r Report, now time.Time) []RecordState {
	type subject struct{ domain, name, rtype string }
	of := func(o mailproof.Observation) subject {
		return subject{strings.ToLower(o.Domain), strings.ToLower(o.Question), o.Type}
	}
	wanted := map[subject]*sightings{}
	for _, s := range r.Safe {
		wanted[subject{strings.ToLower(s.Domain), strings.ToLower(s.Name), s.Type}] = &sightings{lines: map[string][]sighting{}, now: map[string]ServerState{}}
	}
	for _, o := range history {
		if at := wanted[of(o)]; at != nil {
			at.earlier(o)
		}
	}
	for _, o := range r.Observations {
		if at := wanted[of(o)]; at != nil {
			at.current(o)
		}
	}
	out := make([]RecordState, 0, len(r.Safe))
	for _, s := range r.Safe {
		at := wanted[subject{strings.ToLower(s.Domain), strings.ToLower(s.Name), s.Type}]
		state := RecordState{SafeTime: s, Servers: at.servers()}
		switch {
		case !s.At.IsZero() && !now.Before(s.At):
			state.Stage = StageSafe
		case !s.At.IsZero():
			state.Stage = StageWaiting
		case len(at.contents()) == 1 && at.silent == 0:
			state.Stage = StageUnchanged
		default:
			state.Stage = StageChanging
		}
		out = append(out, state)
	}
	return out
}

// sightings is what was ever seen of one record.
type sightings struct {
	lines  map[string][]sighting // by server
	ttl    uint32                // largest ever seen
	now    map[string]ServerState
	silent int
}

func (s *sightings) earlier(o mailproof.Observation) {
	if isSighting(o) {
		s.see(o.Server, sightingOf(o))
	}
}

func (s *sightings) see(server string, x sighting) {
	s.lines[server] = append(s.lines[server], x)
	s.ttl = max(s.ttl, x.ttl)
}

// contents returns every content that was ever seen, and when it last
// appeared: on a server that showed something else before, or anywhere at all.
func (s *sightings) contents() map[string]time.Time {
	out := map[string]time.Time{}
	first := map[string]time.Time{}
	for _, line := range s.lines {
		sort.SliceStable(line, func(i, j int) bool { return line[i].at.Before(line[j].at) })
		for i, x := range line {
			if at, ok := first[x.value]; !ok || x.at.Before(at) {
				first[x.value] = x.at
			}
			if i > 0 && line[i-1].value != x.value && x.at.After(out[x.value]) {
				out[x.value] = x.at
			}
		}
	}
	for value, at := range first {
		if at.After(out[value]) {
			out[value] = at
		}
	}
	return out
}

func (s *sightings) current(o mailproof.Observation) {
	if o.Role != roleAuthoritative {
		return
	}
	have, seen := s.now[o.Server]
	switch {
	case isSighting(o):
		x := sightingOf(o)
		s.see(o.Server, x)
		if seen && have.Error != "" {
			s.silent--
		}
		s.now[o.Server] = ServerState{Server: o.Server, TTL: x.ttl, Content: x.value}
	case !seen:
		s.silent++
		text := o.Error
		if text == "" {
			text = o.RCode + " without authority"
		}
		s.now[o.Server] = ServerState{Server: o.Server, Error: text}
	}
}

// servers completes the states of the servers, in the order of their names.
func (s *sightings) servers() []ServerState {
	newest, at := "", time.Time{}
	contents := s.contents()
	for value, appeared := range contents {
		if appeared.After(at) || appeared.Equal(at) && value > newest {
			newest, at = value, appeared
		}
	}
	out := make([]ServerState, 0, len(s.now))
	for _, state := range s.now {
		if state.Error == "" {
			state.Lowered = state.TTL < s.ttl
			state.Changed = len(contents) > 1 && state.Content == newest
		}
		out = append(out, state)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Server < out[j].Server })
	return out
}

// WatchState is what a round of watching came to.
type WatchState struct {
	// Done: waiting longer changes nothing. Every record is safe and no check
	// fails or is unknown, or the safe time can never be known.
	Done    bool
	Outcome mailproof.Outcome // pass: it is safe
	Waiting []string          // what is waited for, for people
}

// Judge folds the states of the records and the findings of a confirmation.
// The MX must have been seen to change, unless a filter keeps it: a clock that
// never saw the old records cannot say when they have left the caches.
func Judge(states []RecordState, findings []mailproof.Finding, p Profile) WatchState {
	w := WatchState{Outcome: mailproof.WorstOutcome(findings)}
	moved := map[string]bool{}
	for _, s := range states {
		switch s.Stage {
		case StageWaiting:
			w.Waiting = append(w.Waiting, fmt.Sprintf("%s %s is safe from %s on", s.Name, s.Type, stamp(s.At)))
		case StageChanging:
			w.Waiting = append(w.Waiting, fmt.Sprintf("%s %s: %s", s.Name, s.Type, s.Why))
		case StageSafe:
			moved[s.Domain] = moved[s.Domain] || s.Type == "MX"
		}
	}
	still := map[mailproof.Outcome][]string{}
	domains := map[string]bool{}
	for _, f := range findings {
		domains[f.Domain] = true
		if f.Check != "ttl.safe" { // which the states tell better
			still[f.Outcome] = union(still[f.Outcome], []string{f.Check})
		}
	}
	for _, o := range []mailproof.Outcome{fail, unknown} {
		if len(still[o]) > 0 {
			w.Waiting = append(w.Waiting, fmt.Sprintf("%s: %s", o, strings.Join(still[o], ", ")))
		}
	}
	if len(w.Waiting) > 0 || w.Outcome == fail || w.Outcome == unknown {
		if w.Outcome != fail {
			w.Outcome = unknown
		}
		return w
	}
	w.Done, w.Outcome = true, pass
	if p.MXOwner == "filter" {
		return w
	}
	for domain := range domains {
		if !moved[domain] {
			w.Outcome = unknown
			w.Waiting = append(w.Waiting, domain+" MX: no audit saw the old records, so that nobody can say when they have left the caches")
		}
	}
	sort.Strings(w.Waiting)
	return w
}

// CanonicalDomain returns a domain as findings and observations name it:
// lower case, internationalised labels encoded, without the final dot.
func CanonicalDomain(domain string) (string, error) {
	name, err := asciiName(domain)
	if err != nil {
		return "", err
	}
	return display(name), nil
}

// ForHistory returns the observations that a later audit reads as its history:
// what the authoritative servers said of the watched records, for the clock,
// and the MTA-STS policies with their ids. A history of many passes over many
// domains becomes small enough to keep at hand.
func ForHistory(observations []mailproof.Observation) []mailproof.Observation {
	var out []mailproof.Observation
	for _, o := range observations {
		if o.Error == "" && (o.Role == roleHTTP || o.Role == roleAuthoritative && isHistory(o)) {
			out = append(out, o)
		}
	}
	return out
}

func isHistory(o mailproof.Observation) bool {
	d := dossier{domain: dns.CanonicalName(o.Domain)}
	k := lookupKey{dns.CanonicalName(o.Question), dns.StringToType[o.Type]}
	policy := func(line string) bool { return strings.Contains(line, ` IN TXT "v=STSv1`) } // it may stand behind an alias
	return slices.Contains(d.watched(), k) || k == lookupKey{"_mta-sts." + d.domain, dns.TypeTXT} || slices.ContainsFunc(o.Records, policy)
}
