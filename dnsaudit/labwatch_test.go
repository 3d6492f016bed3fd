package dnsaudit

import (
	"strings"
	"testing"
	"time"
)

// The stale secondary of the lab is brought up to date during a watch, with
// real servers: the record is changing, then waits for the TTL that the
// secondary had, and one resolver still holds the old records.
func TestLabWatch(t *testing.T) {
	l := startLab(t)
	c := l.config("example.test", p3, 1)
	round := func() (RecordState, WatchState, Report) {
		t.Helper()
		r := l.audit(c)
		states := States(c.History, r, time.Now())
		w := Judge(states, r.Findings, c.Profile)
		c.History = append(c.History, ForHistory(r.Observations)...)
		for _, s := range states {
			if s.Name == "example.test" && s.Type == "MX" {
				return s, w, r
			}
		}
		t.Fatal("no clock for the MX")
		return RecordState{}, w, r
	}
	before, w, _ := round()
	if before.Stage != StageChanging || w.Done || w.Outcome != fail {
		t.Errorf("while the secondary is stale: %s, %+v", before.Stage, w)
	}
	l.run("flip")
	deadline := time.Now().Add(30 * time.Second)
	var after RecordState
	var r Report
	for {
		began := time.Now()
		if after, w, r = round(); after.Stage == StageWaiting {
			// flipped when this round first saw it, with the TTL of an hour before
			if least := began.Add(time.Hour - 2*time.Second); after.At.Before(least) || after.At.After(time.Now().Add(time.Hour)) {
				t.Errorf("safe at %v, want an hour after %v", after.At, began)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the secondary does not read its zone: %+v", after)
		}
	}
	for _, s := range after.Servers {
		if !strings.Contains(s.Content, "mx-new") {
			t.Errorf("%+v", s)
		}
	}
	f := expect(t, r, "mx.resolvers", fail) // for it asked the secondary while that was stale
	if w.Done || w.Outcome != fail || !strings.Contains(strings.Join(w.Waiting, "\n"), "mx.resolvers") {
		t.Errorf("%+v; %s", w, f.Observed)
	}
}
