package engagement

import (
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/diff"
)

// No step that is measured after the cut-over is done on a reading with a gap
// in it, nor on messages whose content nobody looked at.
func TestMeasuredAfterTheCutOver(t *testing.T) {
	cutOver := time.Date(2026, 11, 20, 20, 0, 0, 0, time.UTC)
	scan := mailproof.Scan{Pass: 7, State: mailproof.PassDone, Started: cutOver.Add(time.Hour)}
	plain := func() *facts {
		return &facts{
			accounts: []string{"anna"}, cutOver: cutOver, verdict: mailproof.Complete, late: 2,
			scans: map[mailproof.Side]map[string]mailproof.Scan{mailproof.Source: {"anna": scan}, mailproof.Destination: {"anna": scan}},
			c:     Comparison{Accounts: []mailproof.AccountResult{{Account: "anna"}}},
		}
	}
	finding := func(check string, outcome mailproof.Outcome) func(*facts) {
		return func(f *facts) {
			f.c.Accounts[0].Findings = []mailproof.Finding{{Check: check, Outcome: outcome}}
		}
	}
	for name, x := range map[string]struct {
		change      func(*facts)
		final, late bool
	}{
		"whole":            {func(*facts) {}, true, true},
		"a folder unread":  {finding(mailproof.CheckInventory, mailproof.OutcomeUnknown), false, false},
		"accepted":         {finding(mailproof.CheckInventory, mailproof.OutcomeAccepted), true, true},
		"a folder drifted": {finding(diff.CheckDrift, mailproof.OutcomeUnknown), false, false},
		"not looked at":    {func(f *facts) { f.c.Totals.NotChecked = 1 }, true, false},
		"too early":        {func(f *facts) { f.cutOver = cutOver.Add(2 * time.Hour) }, false, false},
	} {
		f := plain()
		x.change(f)
		if m := f.finalPass(); (m.state == mailproof.RunbookDone) != x.final {
			t.Errorf("%s: final pass %v: %s", name, m.state, m.basis)
		}
		if m := f.lateArrivals(); (m.state == mailproof.RunbookDone) != x.late {
			t.Errorf("%s: late arrivals %v: %s", name, m.state, m.basis)
		}
	}
	a := mailproof.AccountResult{SourceScan: scan, DestinationScan: scan, Counts: mailproof.Counts{SourceMessages: 3, NotChecked: 3}}
	if nothingMissing(&a) {
		t.Error("nothing is missing of what was not looked at")
	}
}
