package dnsaudit

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

func planOf(t *testing.T, w *world, change func(*PlanOptions)) Plan {
	t.Helper()
	o := PlanOptions{Domains: w.cfg.Domains, Profile: w.cfg.Profile, OldProfile: w.cfg.OldProfile, CutOver: testNow.Add(72 * time.Hour)}
	if change != nil {
		change(&o)
	}
	plans, err := Plans(w.audit().Observations, o)
	if err != nil {
		t.Fatal(err)
	}
	return plans[0]
}

func TestPlanGolden(t *testing.T) {
	before := zoneFile(t, "before.zone")
	out := map[string]string{}
	for _, tt := range []struct {
		name, zone string
		setup      func(*world)
		change     func(*PlanOptions)
	}{
		{name: "move", zone: before},
		{name: "cut-over not fixed", zone: before, change: func(o *PlanOptions) { o.CutOver = time.Time{} }},
		{name: "cut-over too early", zone: before, change: func(o *PlanOptions) { o.CutOver = testNow.Add(time.Hour) }},
		{name: "coexistence", zone: before, change: func(o *PlanOptions) { o.Coexistence = true }},
		{name: "old provider not named", zone: before, change: func(o *PlanOptions) { o.OldProfile = Profile{} }},
		{name: "moved already", zone: zoneFile(t, "moved.zone")},
		{name: "filter keeps the MX", zone: edit(t, before, "MX 10 mx.oldhost.test.", "MX 10 in1.filter.test.\n@ MX 20 in2.filter.test.\n@ MX 30 mx.oldhost.test."),
			change: func(o *PlanOptions) { o.Profile = o.Profile.WithFilter(testProfile(t, "filter"), true) }},
		{name: "no SPF, other TXT, old selector, MTA-STS", zone: edit(t, before, `@ TXT "v=spf1 include:spf.oldhost.test -all"`, `@ TXT "site-verification=Ab c;\"d\""`) +
			"old1._domainkey TXT \"v=DKIM1; p=AAAA\"\n_mta-sts TXT \"v=STSv1; id=1;\"\n_dmarc CNAME _dmarc.oldhost.test.\n"},
		{name: "two SPF records, addresses for Autodiscover", zone: edit(t, before, "autodiscover CNAME autodiscover.oldhost.test.", "autodiscover 900 A 192.0.2.140\n_autodiscover._tcp SRV 0 0 443 autodiscover.oldhost.test.") +
			"@ TXT \"v=spf1 ip4:192.0.2.200 ~all\"\n"},
		{name: "wildcard", zone: edit(t, before, "autodiscover CNAME", "* CNAME")},
		{name: "pattern", zone: before, change: func(o *PlanOptions) {
			p, err := LoadProfile("microsoft365")
			if err != nil {
				t.Fatal(err)
			}
			o.Profile = p
		}},
		{name: "servers differ", zone: before, setup: func(w *world) {
			if err := w.ns2.SetZone(edit(t, before, "MX 10 mx.oldhost.test.", "MX 20 mx.oldhost.test.")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "no answer", zone: before, setup: func(w *world) { w.behave(dnsmem.ServFail) }},
	} {
		w := newWorld(t, p1, tt.zone)
		if tt.setup != nil {
			tt.setup(w)
		}
		if tt.name == "pattern" {
			var err error
			if w.cfg.Profile, err = LoadProfile("microsoft365"); err != nil {
				t.Fatal(err)
			}
		}
		p := planOf(t, w, tt.change)
		// ports of the tests' servers differ each time
		text := strings.NewReplacer(w.ns1.Addr(), "127.0.0.1:1", w.ns2.Addr(), "127.0.0.1:2").Replace(p.String() + "== rollback\n" + RollbackZone([]Plan{p}))
		out[tt.name] = text
	}
	golden(t, "plans.golden", out)
}

// carryOut makes the changes of one step in a zone, held as its records.
func carryOut(t *testing.T, zone []string, step PlanStep) []string {
	t.Helper()
	key := func(l string) (string, string) {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		return dns.CanonicalName(rr.Header().Name) + " " + typeName(rr.Header().Rrtype) + " " + data(rr), record(rr)
	}
	zone = slices.Clone(zone)
	for _, c := range step.Changes {
		want, text := key(c.Record)
		at := slices.IndexFunc(zone, func(l string) bool { got, _ := key(l); return got == want })
		switch {
		case c.Action == ActionAdd && at < 0:
			zone = append(zone, text)
		case c.Action == ActionDelete && at >= 0:
			if zone[at] != text {
				t.Errorf("%s: to delete %q, but it stands as %q", step.ID, text, zone[at])
			}
			zone = slices.Delete(zone, at, at+1)
		case c.Action == ActionTTL && at >= 0:
			zone[at] = text
		default:
			t.Errorf("%s: %s does not fit the zone:\n%s", step.ID, c, strings.Join(zone, "\n"))
		}
	}
	return zone
}

func records(t *testing.T, zone string) []string {
	t.Helper()
	var out []string
	parser := dns.NewZoneParser(strings.NewReader(zone), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		out = append(out, record(rr))
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// Whoever carries the plan out, step by step, passes the checks of each moment;
// and the rollback list holds the zone as it was.
func TestPlanCarriedOut(t *testing.T) {
	const h = time.Hour
	before := zoneFile(t, "before.zone") + "old1._domainkey TXT \"v=DKIM1; p=AAAA\"\nautoconfig CNAME autodiscover.oldhost.test.\n@ TXT \"other=1\"\n"
	s := newStory(t, before)
	s.at(0, p1)
	plan := planOf(t, s.world, nil)
	if len(plan.Unknown) > 0 {
		t.Fatalf("unknown: %v", plan.Unknown)
	}
	zone := records(t, before)
	took := map[string]bool{}
	do := func(id string) {
		t.Helper()
		for _, step := range plan.Steps {
			if step.ID == id {
				zone = carryOut(t, zone, step)
				took[id] = true
			}
		}
		s.set(strings.Join(zone, "\n") + "\n")
	}
	do(StepLowerTTLs)
	s.at(1*h, p1)
	do(StepPrepare)
	s.at(2*h, p2)
	r := s.at(26*h, p2)
	for _, id := range []string{"ttl.ready", "spf.new", "dkim.new", "spf.multi", "spf.all"} {
		expect(t, r, id, pass)
	}
	do(StepCutOver)
	s.at(72*h, p3)
	r = s.at(73*h, p3)
	for _, f := range r.Findings {
		if f.Outcome == fail || f.Outcome == unknown {
			t.Errorf("after the cut-over: %s %s: %s", f.Check, f.Outcome, f.Observed)
		}
	}
	expect(t, r, "ttl.safe", pass)
	expect(t, r, "spf.old", warn)
	do(StepRemoveSPF)
	do(StepRestoreTTLs)
	r = s.at(74*h, p3)
	expect(t, r, "spf.old", pass)
	expect(t, r, "ttl.mixed", pass)
	do(StepRemoveDKIM)
	r = s.at(74*h+keepSelectors, p3)
	expect(t, r, "dkim.old", pass)
	for _, id := range []string{StepLowerTTLs, StepPrepare, StepCutOver, StepRemoveSPF, StepRestoreTTLs, StepRemoveDKIM} {
		if !took[id] {
			t.Errorf("no step %s", id)
		}
	}
	// nothing is left to do
	if again := planOf(t, s.world, nil); len(again.Steps) > 0 {
		t.Errorf("the plan after it was carried out:\n%s", again)
	}
	// every record but those of the zone itself is on the rollback list
	saved := records(t, RollbackZone([]Plan{plan}))
	for _, l := range records(t, before) {
		kept := !strings.Contains(l, " SOA ") && !strings.Contains(l, " NS ") && !strings.HasPrefix(l, "ns")
		if kept != slices.Contains(saved, l) {
			t.Errorf("%q saved: %v, want %v", l, !kept, kept)
		}
	}
}

// The plan is a function of the observations: their order does not matter, and
// those of other domains and roles change nothing.
func TestPlanPure(t *testing.T) {
	w := newWorld(t, p1, zoneFile(t, "before.zone"))
	observations := w.audit().Observations
	o := PlanOptions{Domains: w.cfg.Domains, Profile: w.cfg.Profile, OldProfile: w.cfg.OldProfile}
	plan := func(list []mailproof.Observation) string {
		plans, err := Plans(list, o)
		if err != nil {
			t.Fatal(err)
		}
		return plans[0].String() + RollbackZone(plans)
	}
	want := plan(observations)
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		list := slices.Clone(observations)
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		list = append(list, mailproof.Observation{Time: testNow.Add(time.Hour), Question: "example.test", Type: "MX", Role: roleResolver, RCode: "NOERROR", Records: []string{"example.test. 5 IN MX 1 cached.test."}})
		if got := plan(list); got != want {
			t.Fatalf("another plan:\n%s\nwant:\n%s", got, want)
		}
	}
	if got := plan(observations); strings.Contains(got, "unknown") || !strings.Contains(got, "MX 10 mx1.newhost.test.") {
		t.Error(got)
	}
}

// Whatever the ledger holds, planning neither fails nor prints a line that is
// none.
func FuzzPlan(f *testing.F) {
	f.Add("MX", "example.test. 300 IN MX 10 mx.oldhost.test.", "NOERROR", "")
	f.Add("TXT", `example.test. 300 IN TXT "v=spf1 include:x -all" "\255"`, "NOERROR", "")
	f.Add("A", "example.test. 300 IN CNAME x.", "NXDOMAIN", "")
	f.Add("SOA", "example.test. 300 IN SOA a. b. 1 2 3 4 5", "", "timeout\nx")
	o := PlanOptions{Domains: []string{"example.test"}, Profile: testProfile(f, "newhost"), OldProfile: testProfile(f, "oldhost"), CutOver: testNow}
	f.Fuzz(func(t *testing.T, qtype, record, rcode, text string) {
		var list []mailproof.Observation
		for _, name := range []string{"example.test", "autodiscover.example.test", "key1._domainkey.example.test"} {
			list = append(list, mailproof.Observation{Time: testNow, Domain: "example.test", Question: name, Type: qtype, Server: "ns1.example.test 127.0.0.1:53",
				Role: roleAuthoritative, RCode: rcode, AA: true, Records: []string{record}, Error: text})
		}
		plans, err := Plans(list, o)
		if err != nil {
			t.Fatal(err)
		}
		for l := range strings.SplitSeq(strings.TrimSpace(RollbackZone(plans)), "\n") {
			if strings.HasPrefix(l, ";") {
				continue
			}
			if rr, err := dns.NewRR(l); err != nil || rr == nil {
				t.Fatalf("no zone line: %q: %v", l, err)
			}
		}
	})
}
