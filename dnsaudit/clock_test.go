package dnsaudit

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// story replays a cut-over with a clock of its own; each audit adds to the
// history, as the ledger does.
type story struct {
	*world
	now atomic.Pointer[time.Time]
}

func newStory(t *testing.T, zone string) *story {
	s := &story{}
	now := testNow
	s.now.Store(&now)
	s.world = newWorld(t, p1, zone)
	s.cfg.Now = func() time.Time { return *s.now.Load() }
	s.rs.SetClock(s.cfg.Now)
	return s
}

func (s *story) at(d time.Duration, phase mailproof.Phase) Report {
	s.t.Helper()
	now := testNow.Add(d)
	s.now.Store(&now)
	s.cfg.Phase = phase
	r := s.audit()
	s.cfg.History = append(s.cfg.History, r.Observations...)
	return r
}

func safeOf(t *testing.T, r Report, rtype string) SafeTime {
	t.Helper()
	for _, s := range r.Safe {
		if s.Type == rtype && !strings.HasPrefix(s.Name, "_") {
			return s
		}
	}
	t.Fatalf("no clock for %s", rtype)
	return SafeTime{}
}

// The story of a cut-over. Times are hours after the first audit; the TTL is a
// day at first and five minutes from hour 1 (first server) and 2 (second) on.
func TestCutOver(t *testing.T) {
	const h = time.Hour
	before := zoneFile(t, "before.zone")
	lowered := edit(t, before, "$TTL 86400", "$TTL 300")
	prepared := edit(t, lowered, "include:spf.oldhost.test -all", "include:spf.oldhost.test include:spf.newhost.test -all") +
		"key1._domainkey CNAME key1._domainkey.newhost.test.\nold1._domainkey TXT \"v=DKIM1; p=AAAA\"\n"
	moved := zoneFile(t, "moved.zone") + "old1._domainkey TXT \"v=DKIM1; p=AAAA\"\n"

	s := newStory(t, before)
	r := s.at(0, p1)
	expect(t, r, "ttl.plan", warn)
	expect(t, r, "mx.expected", info)
	if err := s.ns1.SetZone(lowered); err != nil {
		t.Fatal(err)
	}
	r = s.at(1*h, p1)
	expect(t, r, "ttl.plan", warn) // the second server still has the old TTL
	s.set(prepared)
	r = s.at(2*h, p2)
	// lowered everywhere, but seen so only now: caches hold it for a day more
	if f := expect(t, r, "ttl.ready", fail); !strings.Contains(f.Remedy, testNow.Add(26*h).Format(time.RFC3339)) {
		t.Errorf("ttl.ready says %q", f.Remedy)
	}
	expect(t, r, "spf.new", pass)
	expect(t, r, "dkim.new", pass)
	r = s.at(26*h, p2)
	expect(t, r, "ttl.ready", pass)

	if err := s.ns1.SetZone(moved); err != nil {
		t.Fatal(err)
	}
	r = s.at(27*h, p3)
	expect(t, r, "mx.expected", fail) // one server only
	expect(t, r, "ns.rrset", fail)
	if got := safeOf(t, r, "MX"); !got.At.IsZero() {
		t.Errorf("safe time %v while the servers differ", got.At)
	}
	if err := s.ns2.SetZone(moved); err != nil {
		t.Fatal(err)
	}
	r = s.at(28*h, p3)
	expect(t, r, "mx.expected", pass)
	expect(t, r, "spf.old", pass)
	expect(t, r, "ttl.safe", unknown)
	expect(t, r, "dkim.old", pass)
	// T_safe = max(t_low_all + TTL_old, t_flip_all + TTL_low)
	//        = max(2 h + 24 h, 28 h + 5 min)
	want := testNow.Add(28*h + 5*time.Minute)
	if got := safeOf(t, r, "MX"); !got.At.Equal(want) || !got.Flipped.Equal(testNow.Add(28*h)) {
		t.Errorf("safe from %v on, flipped %v; want %v", got.At, got.Flipped, want)
	}
	r = s.at(28*h+5*time.Minute-time.Second, p3)
	expect(t, r, "ttl.safe", unknown)
	r = s.at(28*h+5*time.Minute, p3)
	expect(t, r, "ttl.safe", pass)
	for _, f := range r.Findings {
		if f.Outcome == fail || f.Outcome == unknown {
			t.Errorf("after the safe time: %s %s: %s", f.Check, f.Outcome, f.Observed)
		}
	}
	r = s.at(28*h+7*24*h, p3)
	expect(t, r, "dkim.old", warn) // now they may go
}

// The other half of the formula: the TTL was lowered, and the cut-over made,
// before the old TTL had run out.
func TestCutOverTooEarly(t *testing.T) {
	const h = time.Hour
	before := zoneFile(t, "before.zone")
	s := newStory(t, before)
	s.at(0, p1)
	s.set(edit(t, before, "$TTL 86400", "$TTL 300"))
	s.at(1*h, p1)
	s.set(zoneFile(t, "moved.zone"))
	r := s.at(2*h, p3)
	if got, want := safeOf(t, r, "MX"), testNow.Add(25*h); !got.At.Equal(want) {
		t.Errorf("safe from %v on, want %v", got.At, want)
	}
	expect(t, r, "ttl.safe", unknown)
}

// Without an audit from before the cut-over nothing can be said.
func TestNoHistory(t *testing.T) {
	s := newStory(t, zoneFile(t, "moved.zone"))
	r := s.at(0, p3)
	expect(t, r, "ttl.safe", info)
	if got := safeOf(t, r, "MX"); !got.At.IsZero() || got.Why == "" {
		t.Errorf("%+v", got)
	}
}

// A server that left the zone with the old records on it counts until it was
// first missing.
func TestServerLeaves(t *testing.T) {
	const h = time.Hour
	s := newStory(t, zoneFile(t, "before.zone"))
	s.at(0, p1)
	only1 := edit(t, zoneFile(t, "moved.zone"), "@ NS ns2\n", "")
	s.set(only1)
	if err := s.root.SetZone(edit(t, zoneFile(t, "test.zone"), "example NS ns2.example\n", "")); err != nil {
		t.Fatal(err)
	}
	r := s.at(3*h, p3)
	if got, want := safeOf(t, r, "MX"), testNow.Add(27*h); !got.At.Equal(want) {
		t.Errorf("safe from %v on, want %v (%s)", got.At, want, got.Why)
	}
}

// A resolver that cached the old records is found, with what remains.
func TestResolverHoldsOld(t *testing.T) {
	s := newStory(t, zoneFile(t, "before.zone"))
	s.at(0, p1) // the resolver caches the records for a day
	s.set(zoneFile(t, "moved.zone"))
	r := s.at(time.Hour, p3)
	f := expect(t, r, "mx.resolvers", fail)
	if !strings.Contains(f.Observed, "82800 s more") || !strings.Contains(f.Remedy, testNow.Add(24*time.Hour).Format(time.RFC3339)) {
		t.Errorf("observed %q, remedy %q", f.Observed, f.Remedy)
	}
	expect(t, r, "spf.resolvers", warn)
	expect(t, r, "ad.resolvers", warn)
	r = s.at(24*time.Hour, p3)
	expect(t, r, "mx.resolvers", pass)
}

// What does not exist yet is asked of no resolver.
func TestNoNegativeCaching(t *testing.T) {
	w := newWorld(t, p2, edit(t, zoneFile(t, "moved.zone"), adLine, "; none", keyLine, "; none"))
	w.audit()
	for _, q := range w.rs.Queries() {
		if q.Name != "example.test." {
			t.Errorf("the resolver was asked for %s %s", q.Name, q.Type)
		}
	}
	if len(w.rs.Queries()) == 0 {
		t.Error("the resolver was not asked at all")
	}
}
