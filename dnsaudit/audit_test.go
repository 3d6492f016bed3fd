package dnsaudit

import (
	"testing"

	"github.com/mailproof/mailproof"
)

// After a clean cut-over nothing fails and nothing is unknown.
func TestCleanConfirmation(t *testing.T) {
	w := newWorld(t, mailproof.Confirmation, zoneFile(t, "moved.zone"))
	r := w.audit()
	for _, f := range r.Findings {
		if f.Outcome != pass && f.Outcome != info {
			t.Errorf("%s %s: %s: expected %q, observed %q, remedy %q", f.Domain, f.Check, f.Outcome, f.Expected, f.Observed, f.Remedy)
		}
	}
	if len(r.Findings) < len(Checks())/2 {
		t.Errorf("%d findings of %d checks", len(r.Findings), len(Checks()))
	}
	if len(r.Observations) == 0 {
		t.Error("no observations")
	}
	for _, o := range r.Observations {
		if o.Server == "" || o.Question == "" || o.Time.IsZero() {
			t.Errorf("observation without its evidence: %+v", o)
		}
	}
}

// The zone before the cut-over fails at confirmation in all that matters.
func TestNotMoved(t *testing.T) {
	w := newWorld(t, mailproof.Confirmation, zoneFile(t, "before.zone"))
	r := w.audit()
	for _, id := range []string{"mx.expected", "mx.leftover", "spf.new", "ad.target", "cl.srv"} {
		expect(t, r, id, fail)
	}
}
