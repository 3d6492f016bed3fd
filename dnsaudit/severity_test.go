package dnsaudit

import (
	"slices"
	"testing"

	"github.com/mailproof/mailproof"
)

// Every check has a severity at exactly the moments at which it is made.
func TestSeverities(t *testing.T) {
	all := append(Checks(), RecipientChecks()...)
	if len(all) != len(severities) {
		t.Errorf("%d checks, %d severities", len(all), len(severities))
	}
	for _, c := range all {
		for _, p := range always {
			if made := slices.Contains(c.Phases, p); made != (c.Severity(p) != "") {
				t.Errorf("%s at %s: made %v, severity %q", c.ID, p, made, c.Severity(p))
			}
		}
	}
}

// withinSeverity holds what an audit found against the table: what is
// published of a check is the worst that it says.
func withinSeverity(t *testing.T, r Report, filter bool) {
	t.Helper()
	for _, f := range r.Findings {
		if f.Outcome == unknown || filter && slices.Contains(withFilter, f.Check) {
			continue
		}
		var most mailproof.Outcome
		if err := most.UnmarshalText([]byte((CheckInfo{ID: f.Check}).Severity(f.Phase))); err != nil {
			t.Errorf("%s at %s: %v", f.Check, f.Phase, err)
		} else if worse(f.Outcome, most) {
			t.Errorf("%s at %s: %s, but its severity is %s", f.Check, f.Phase, f.Outcome, most)
		}
	}
}
