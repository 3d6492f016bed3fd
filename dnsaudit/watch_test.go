package dnsaudit

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// watched is a story told as a watch tells it: what each round shows.
func (s *story) watched(d time.Duration) (map[string]RecordState, WatchState) {
	s.t.Helper()
	earlier := slices.Clone(s.cfg.History)
	r := s.at(d, p3)
	states := map[string]RecordState{}
	list := States(earlier, r, testNow.Add(d))
	for _, st := range list {
		states[st.Name+" "+st.Type] = st
	}
	return states, Judge(list, r.Findings, s.cfg.Profile)
}

const theMX = "example.test MX"

func on(st RecordState) (lowered, changed int) {
	for _, v := range st.Servers {
		if v.Lowered {
			lowered++
		}
		if v.Changed {
			changed++
		}
	}
	return lowered, changed
}

// A watch from before the TTLs were lowered to the safe time.
func TestWatchStory(t *testing.T) {
	const h = time.Hour
	before := edit(t, zoneFile(t, "before.zone"), "include:spf.oldhost.test -all", "include:spf.oldhost.test include:spf.newhost.test -all") +
		"key1._domainkey CNAME key1._domainkey.newhost.test.\n"
	lowered := edit(t, before, "$TTL 86400", "$TTL 300")
	moved := zoneFile(t, "moved.zone")
	s := newStory(t, before)
	look := func(d time.Duration, stage string, low, changed int, done bool, outcome mailproof.Outcome) RecordState {
		t.Helper()
		states, w := s.watched(d)
		st := states[theMX]
		l, c := on(st)
		if st.Stage != stage || l != low || c != changed || w.Done != done || w.Outcome != outcome || done == (len(w.Waiting) > 0) {
			t.Errorf("at %v: %s, lowered on %d, changed on %d, done %v, %s, waiting for %q; want %s %d %d %v %s", d, st.Stage, l, c, w.Done, w.Outcome, w.Waiting, stage, low, changed, done, outcome)
		}
		return st
	}
	look(0, StageUnchanged, 0, 0, false, fail)
	s.hushed()
	s.ns2.Behave(dnsmem.Silent) // it may have changed: nobody can say
	look(h/2, StageChanging, 0, 0, false, fail)
	s.ns2.Behave(dnsmem.Answer)
	s.cfg.Timeout = patience
	if err := s.ns1.SetZone(lowered); err != nil {
		t.Fatal(err)
	}
	look(1*h, StageUnchanged, 1, 0, false, fail)
	s.set(lowered)
	look(2*h, StageUnchanged, 2, 0, false, fail)
	look(26*h, StageUnchanged, 2, 0, false, fail)
	if err := s.ns1.SetZone(moved); err != nil {
		t.Fatal(err)
	}
	st := look(27*h, StageChanging, 2, 1, false, fail)
	for _, v := range st.Servers {
		if v.Changed != strings.HasPrefix(v.Server, "ns1.") || !strings.HasPrefix(v.Content, "MX ") {
			t.Errorf("%+v", v)
		}
	}
	// a server that says nothing is neither changed nor forgotten
	s.hushed()
	s.ns2.Behave(dnsmem.Silent)
	st = look(28*h, StageChanging, 1, 1, false, unknown)
	if len(st.Servers) != 2 || st.Servers[1].Error == "" {
		t.Errorf("%+v", st.Servers)
	}
	s.ns2.Behave(dnsmem.Answer)
	s.cfg.Timeout = patience
	s.set(moved)
	st = look(29*h, StageWaiting, 2, 2, false, unknown)
	if want := testNow.Add(29*h + 5*time.Minute); !st.At.Equal(want) {
		t.Errorf("safe at %v, want %v", st.At, want)
	}
	look(29*h+5*time.Minute-time.Second, StageWaiting, 2, 2, false, unknown)
	look(29*h+5*time.Minute, StageSafe, 2, 2, true, pass)
	// taken back: it is not safe any more
	s.set(lowered)
	look(30*h, StageWaiting, 2, 2, false, fail)
}

// A clock that never saw the old records is never safe, however well all looks.
func TestWatchWithoutHistory(t *testing.T) {
	s := newStory(t, zoneFile(t, "moved.zone"))
	_, w := s.watched(0)
	if !w.Done || w.Outcome != unknown || len(w.Waiting) != 1 || !strings.Contains(w.Waiting[0], "no audit saw the old records") {
		t.Errorf("%+v", w)
	}
	// but where a filter keeps the MX, nothing of it has to change
	s = newStory(t, edit(t, zoneFile(t, "moved.zone"), "@ MX 10 mx1.newhost.test.\n@ MX 20 mx2.newhost.test.\n", "@ MX 10 in1.filter.test.\n@ MX 20 in2.filter.test.\n",
		"include:spf.newhost.test", "include:spf.newhost.test include:spf.filter.test"))
	useFilter(s.world)
	if _, w = s.watched(0); !w.Done || w.Outcome != pass {
		t.Errorf("%+v", w)
	}
}

// Nobody answers: that is nothing to be done with.
func TestWatchNobodyAnswers(t *testing.T) {
	s := newStory(t, zoneFile(t, "moved.zone"))
	s.behave(dnsmem.ServFail)
	if _, w := s.watched(0); w.Done || w.Outcome != fail {
		t.Errorf("%+v", w)
	}
	if w := Judge(nil, nil, s.cfg.Profile); w.Done && w.Outcome == pass {
		t.Errorf("nothing at all is safe: %+v", w)
	}
}

// Rounds that show what the round before showed may be left out of the
// history, and of each round what the clock does not read: it says the same.
func TestClockNeedsChangesOnly(t *testing.T) {
	const h = time.Hour
	before, moved := zoneFile(t, "before.zone"), zoneFile(t, "moved.zone")
	lowered := edit(t, before, "$TTL 86400", "$TTL 300")
	full, sparse := newStory(t, before), newStory(t, before)
	for i, change := range []string{"", "", "low", "", "", "one", "", "", "both", "", ""} {
		for _, s := range []*story{full, sparse} {
			switch change {
			case "low":
				s.set(lowered)
			case "one":
				if err := s.ns1.SetZone(moved); err != nil {
					t.Fatal(err)
				}
			case "both":
				s.set(moved)
			}
		}
		kept := slices.Clone(sparse.cfg.History)
		a, b := full.at(time.Duration(i)*h, p3), sparse.at(time.Duration(i)*h, p3)
		sparse.cfg.History = ForHistory(sparse.cfg.History)
		if i > 0 && change == "" {
			sparse.cfg.History = kept
		}
		x, y := safeOf(t, a, "MX"), safeOf(t, b, "MX")
		if x != y {
			t.Errorf("round %d: %+v with every round, %+v with the changes only", i, x, y)
		}
	}
	if len(sparse.cfg.History)*10 > len(full.cfg.History) {
		t.Errorf("%d observations of %d kept", len(sparse.cfg.History), len(full.cfg.History))
	}
	// lowered in round 2, moved in round 8: the old TTL counts to the end
	if got := safeOf(t, full.at(11*h, p3), "MX"); !got.At.Equal(testNow.Add(26 * h)) {
		t.Errorf("safe at %v", got.At)
	}
}

// What is left out of a history changes no finding: neither of the clock nor of
// the id of an MTA-STS policy, which may not stay the same when the policy does
// not.
func TestForHistory(t *testing.T) {
	ca := newAuthority(t)
	policy := policyFile
	zone := zoneFile(t, "moved.zone") + "mta-sts A 192.0.2.201\n_mta-sts TXT \"v=STSv1; id=7;\"\n"
	w := webWorld(t, p3, zone, ca.issue(testNow.Add(time.Hour), "*.example.test"), ca.pool, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(rw, policy)
	})
	w.cfg.History = ForHistory(w.audit().Observations)
	expect(t, w.audit(), "sts.id", pass)
	policy = strings.Replace(policyFile, "max_age: 86400", "max_age: 3600", 1)
	expect(t, w.audit(), "sts.id", fail)
}
