package engagement

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/mailproof/mailproof"
)

// The roster is the list of accounts that the engagement is about. It is kept
// in the ledger, so that a diff or report that names no accounts covers all of
// them, those that were never read included: an account that nobody looked at
// must not be left out of a sum that says COMPLETE.

const rosterKey = "roster"

// keepRoster records the accounts that are worked on. A list replaces the
// roster; an account given by itself is added to it.
func (e *Engagement) keepRoster(ctx context.Context) error {
	if len(e.Roster) == 0 {
		return nil
	}
	roster := slices.Clone(e.Roster)
	if !e.RosterWhole {
		kept, err := e.keptRoster(ctx)
		if err != nil {
			return err
		}
		roster = append(kept, roster...)
	}
	slices.Sort(roster)
	text, err := json.Marshal(slices.Compact(roster))
	if err != nil {
		return err
	}
	return e.ledger.SetEngagement(ctx, rosterKey, string(text))
}

func (e *Engagement) keptRoster(ctx context.Context) (roster []string, err error) {
	kept, err := e.ledger.Engagement(ctx)
	if err != nil || kept[rosterKey] == "" {
		return nil, err
	}
	if err := json.Unmarshal([]byte(kept[rosterKey]), &roster); err != nil {
		return nil, fmt.Errorf("roster in the ledger: %w", err)
	}
	return roster, nil
}

// everybody is the roster, and whoever else the ledger knows.
func (e *Engagement) everybody(ctx context.Context) ([]string, error) {
	roster, err := e.keptRoster(ctx)
	if err != nil {
		return nil, err
	}
	known, err := e.ledger.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	all := append(roster, known...)
	slices.Sort(all)
	return slices.Compact(all), nil
}

// The checks of an engagement's scope: that all its accounts were compared, and
// that not everything was left out by rule.
const (
	CheckScope   = "accounts.compared"
	CheckInScope = "messages.in-scope"
)

// scope is the finding that accounts were left out of a comparison, by
// --account: what is said of some is not said of all. There is none where all
// were compared.
func (e *Engagement) scope(ctx context.Context, c Comparison) (listed int, findings []mailproof.Finding, err error) {
	all, err := e.everybody(ctx)
	if err != nil {
		return 0, nil, err
	}
	f := mailproof.Finding{Check: CheckInScope, Outcome: mailproof.OutcomeUnknown, Expected: "some message is in scope"}
	switch t := c.Totals; {
	case t.SourceMessages > 0 && t.Excluded == t.SourceMessages:
		f.Observed, f.Remedy = fmt.Sprintf("all %d source messages are left out by rule", t.Excluded), "see the patterns of --exclude"
		findings = append(findings, f)
	case t.SourceMessages == 0 && t.DestinationMessages > 0:
		// Nothing is missing of nothing: that proves no migration.
		f.Observed = fmt.Sprintf("the source holds no message at all, the destination %d", t.DestinationMessages)
		f.Remedy = "see whether source and destination are the wrong way round, or the source's login is that of another account"
		findings = append(findings, f)
	}
	compared := len(c.Accounts)
	if len(all) <= compared || e.Partial {
		return len(all), findings, nil
	}
	return len(all), append(findings, mailproof.Finding{
		Check: CheckScope, Outcome: mailproof.OutcomeUnknown,
		Expected: fmt.Sprintf("all %d accounts of the engagement are compared", len(all)),
		Observed: fmt.Sprintf("%d of %d accounts were compared; the others were left out by --account, or are no longer in the list", compared, len(all)),
		Remedy:   "run the same command without --account; an account that is no part of the migration needs an engagement without it, in a directory of its own",
	}), nil
}
