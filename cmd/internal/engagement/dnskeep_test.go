package engagement

import (
	"fmt"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit"
)

// lookAt is one round over some domains, each with two servers of its MX; see
// says what server n of domain i shows, "" for an error.
func lookAt(n, domains int, at time.Time, see func(i, n int) string) WatchRound {
	r := WatchRound{Number: n, At: at}
	for i := range domains {
		name := fmt.Sprintf("d%d.test", i)
		s := dnsaudit.RecordState{SafeTime: dnsaudit.SafeTime{Domain: name, Name: name, Type: "MX"}, Stage: dnsaudit.StageUnchanged}
		outcome := mailproof.OutcomePass
		for k := range 2 {
			server := dnsaudit.ServerState{Server: fmt.Sprintf("ns%d", k), TTL: 300, Content: see(i, k)}
			if server.Content == "" {
				server.Error, s.Stage, outcome = "timeout", dnsaudit.StageChanging, mailproof.OutcomeUnknown
			}
			s.Servers = append(s.Servers, server)
			r.Observations = append(r.Observations,
				mailproof.Observation{Domain: name, Question: name, Type: "MX", Role: "authoritative", AA: true, Server: server.Server, Records: []string{server.Content}, Error: server.Error, Time: at},
				mailproof.Observation{Domain: name, Question: "_dmarc." + name, Type: "TXT", Role: "authoritative", AA: true, Server: server.Server, Time: at})
		}
		r.States = append(r.States, s)
		r.Findings = append(r.Findings, mailproof.Finding{Check: "ns.lame", Domain: name, Outcome: outcome}, mailproof.Finding{Check: "mx.expected", Domain: name, Outcome: mailproof.OutcomeFail})
	}
	return r
}

// Two days of looks every minute at many domains: the ledger grows with what
// changes. Every change is there, at the minute in which it was first seen.
func TestWatchKeepsChanges(t *testing.T) {
	const domains, rounds = 40, 2 * 24 * 60
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var k keeper
	rows, lastOf := 0, map[string]time.Time{}
	seen := map[string]time.Time{} // domain and content → first kept
	for n := 1; n <= rounds; n++ {
		at := start.Add(time.Duration(n) * time.Minute)
		r := lookAt(n, domains, at, func(i, server int) string {
			if n >= 600+i+server { // domain i moves on its first server, a minute later on the second
				return "MX 10 new."
			}
			return "MX 10 old."
		})
		findings, observations := k.pick(r, n == rounds)
		rows += len(findings) + len(observations)
		for _, o := range observations {
			if o.Type == "MX" {
				key := o.Domain + " " + o.Server + " " + o.Records[0]
				if _, there := seen[key]; !there {
					seen[key] = o.Time
				}
				if gap := at.Sub(lastOf[o.Domain]); !lastOf[o.Domain].IsZero() && gap > lastBeat+time.Minute {
					t.Fatalf("nothing of %s for %s", o.Domain, gap)
				}
				lastOf[o.Domain] = at
			}
		}
	}
	for i := range domains {
		for server := range 2 {
			key := fmt.Sprintf("d%d.test ns%d MX 10 new.", i, server)
			if want := start.Add(time.Duration(600+i+server) * time.Minute); !seen[key].Equal(want) {
				t.Fatalf("%s kept at %v, seen at %v", key, seen[key], want)
			}
		}
	}
	// four times in full (first, two changes, last) with 6 rows, and beats of 2
	if most := domains * (4*6 + 2*16); rows > most {
		t.Errorf("%d rows for %d rounds, want at most %d", rows, rounds, most)
	}
	t.Logf("%d rounds over %d domains: %d rows, of %d looked at", rounds, domains, rows, rounds*domains*6)
}

// A server that answers every other minute does not fill the ledger, and what
// it shows when it comes back changed is kept at once.
func TestWatchFlapping(t *testing.T) {
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	var k keeper
	full := 0
	for n := 1; n <= 600; n++ {
		r := lookAt(n, 1, start.Add(time.Duration(n)*time.Minute), func(_, server int) string {
			switch {
			case server == 1 && n%2 == 0 && n != 500:
				return ""
			case server == 1 && n >= 500:
				return "MX 10 new."
			}
			return "MX 10 old."
		})
		findings, _ := k.pick(r, false)
		if len(findings) > 0 {
			full++
		}
		if n == 500 && len(findings) == 0 {
			t.Error("the change is not kept in the round that saw it")
		}
	}
	if full > 600/10+3 {
		t.Errorf("%d of 600 rounds are kept in full", full)
	}
	if full < 3 {
		t.Errorf("%d rounds are kept: that it came and went is lost", full)
	}
}

// A server that is asked no more is a change; the last round is kept once.
func TestWatchServerLeavesAndEnd(t *testing.T) {
	at := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	same := func(_, _ int) string { return "MX 10 old." }
	var k keeper
	k.pick(lookAt(1, 1, at, same), false)
	r := lookAt(2, 1, at.Add(time.Minute), same)
	if f, o := k.pick(r, false); len(f)+len(o) != 0 {
		t.Errorf("%d and %d of an unchanged round", len(f), len(o))
	}
	r = lookAt(3, 1, at.Add(2*time.Minute), same)
	r.States[0].Servers = r.States[0].Servers[:1]
	if f, _ := k.pick(r, false); len(f) == 0 {
		t.Error("a server left, and nothing is kept")
	}
	r = lookAt(4, 1, at.Add(3*time.Minute), same)
	r.States[0].Servers = r.States[0].Servers[:1]
	if f, _ := k.pick(r, true); len(f) == 0 {
		t.Error("the last round is not kept")
	}
	if f, o := k.pick(r, true); len(f)+len(o) != 0 {
		t.Error("the last round is kept twice")
	}
}
