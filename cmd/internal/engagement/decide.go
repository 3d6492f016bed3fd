package engagement

import (
	"context"
	"fmt"
	"slices"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
	"github.com/mailproof/mailproof/report"
)

// The reason codes that decisions add to those of diff.
const (
	reasonUnconfirmed = "fix-to-be-confirmed" // said to be fixed, and not read again since
	reasonLapsed      = "decision-lapsed"     // what was decided on was something else
)

// said is what people decided, as the ledger has it when a comparison begins.
type said struct {
	exceptions map[mailproof.MessageKey]ledger.Decided
	findings   []ledger.FindingDecision
}

func (e *Engagement) said(ctx context.Context) (s said, err error) {
	if s.exceptions, err = e.ledger.Decided(ctx); err != nil {
		return s, err
	}
	s.findings, err = e.ledger.FindingDecisions(ctx)
	return s, err
}

// readings are the passes that a comparison of one account rests on.
type readings struct{ source, destination mailproof.PassID }

func readingsOf(src, dst diff.Inventory) readings {
	return readings{src.Scan().Pass, dst.Scan().Pass}
}

// confirms reports whether these readings can tell if something was fixed
// since a decision: the destination was read again, or the source where it was
// the source that could not be read.
func (r readings) confirms(d *ledger.Decided) bool {
	if r.destination > d.DestinationPass {
		return true
	}
	return r.source > d.SourcePass && d.Verdict == mailproof.Unverifiable
}

// on is the decision on each exception of one account.
func (s said) on(r readings) func(*mailproof.Exception) mailproof.Disposition {
	return func(x *mailproof.Exception) mailproof.Disposition {
		d, ok := s.exceptions[x.Key]
		switch {
		case !ok:
			return mailproof.Open
		case d.Disposition == mailproof.Fixed && r.confirms(&d):
			return mailproof.Fixed // and still found: diff says so
		case d.Disposition == mailproof.Fixed || !d.Holds(x.Verdict, x.Reasons):
			return mailproof.Open
		}
		return d.Disposition
	}
}

// explain puts beside an open exception what was said of it, and why that does
// not close it.
func (s said) explain(result *mailproof.AccountResult, r readings) {
	for i := range result.Exceptions {
		x := &result.Exceptions[i]
		d, ok := s.exceptions[x.Key]
		if !ok || x.Disposition != mailproof.Open {
			continue
		}
		who := fmt.Sprintf("%s on %s", d.By, d.At.UTC().Format("2006-01-02"))
		switch {
		case d.Disposition == mailproof.Fixed && !r.confirms(&d):
			x.Reasons = append(slices.Clone(x.Reasons), mailproof.Reason{Code: reasonUnconfirmed, Evidence: "said to be fixed by " + who + "; the next inventory and diff have to confirm it"})
		case d.Disposition == mailproof.Accepted || d.Disposition == mailproof.Waived:
			x.Reasons = append(slices.Clone(x.Reasons), mailproof.Reason{Code: reasonLapsed, Evidence: fmt.Sprintf("%s by %s as %s, on other evidence than there is now", d.Disposition, who, d.Verdict)})
		}
	}
}

// decidable reports whether a person may accept a finding: what DNS says after
// the cut-over, and folders that could not be read or did not stand still. A
// sum that does not balance, an account that nobody read or compared, and what
// is decided message by message are not for anybody to accept in one word.
func decidable(f *mailproof.Finding) bool {
	if f.Outcome != mailproof.OutcomeFail && f.Outcome != mailproof.OutcomeUnknown {
		return false
	}
	switch {
	case f.Domain != "" && f.Phase == mailproof.Confirmation:
		return true
	case f.Check == mailproof.CheckInventory:
		return f.Mailbox != "" // single folders; the account itself was read
	case f.Check == diff.CheckDrift, f.Check == diff.CheckExists:
		return true
	}
	return false
}

// accept turns findings that somebody accepted into accepted ones. The list is
// a new one where anything changed.
func (s said) accept(findings []mailproof.Finding) []mailproof.Finding {
	out := findings
	for i := range findings {
		f := &findings[i]
		if !decidable(f) {
			continue
		}
		d := s.onFinding(f)
		if d == nil || d.Disposition != mailproof.Accepted && d.Disposition != mailproof.Waived {
			continue
		}
		if &out[0] == &findings[0] {
			out = slices.Clone(findings)
		}
		out[i].Outcome = mailproof.OutcomeAccepted
		out[i].Observed += fmt.Sprintf("; %s by %s on %s: %s", d.Disposition, d.By, d.At.UTC().Format("2006-01-02"), d.Why)
	}
	return out
}

// onFinding is the latest decision that speaks of a finding as it is now.
func (s said) onFinding(f *mailproof.Finding) *ledger.FindingDecision {
	for i := len(s.findings) - 1; i >= 0; i-- {
		if s.findings[i].Speaks(f) {
			return &s.findings[i]
		}
	}
	return nil
}

// decisions are those for the report, by the number of the exception.
func (s said) decisions(exceptions []mailproof.Exception) map[string]report.Decision {
	out := map[string]report.Decision{}
	for i := range exceptions {
		x := &exceptions[i]
		d, ok := s.exceptions[x.Key]
		if ok && x.Disposition != mailproof.Noted && d.Disposition != mailproof.Open {
			out[x.ID] = report.Decision{By: d.By, Why: d.Why, When: d.At}
		}
	}
	return out
}
