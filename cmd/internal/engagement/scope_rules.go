package engagement

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/diff"
)

// CheckRules says whether the source was read under the rules that hold now.
const CheckRules = "rules.changed"

// inScope adds what the engagement leaves out, for all accounts, to rules.
func (e *Engagement) inScope(rules diff.Rules) (diff.Rules, error) {
	rules.Scope = e.Rules.scope()
	return rules.Only(e.Rules.Folders)
}

// omitted reports which messages of a side are listed and not read. The
// destination is always read whole: its dates may be other ones, and what
// belongs to a message in scope must be seen.
func (e *Engagement) omitted(side mailproof.Side) func(mailproof.Metadata) bool {
	scope := e.Rules.scope()
	if side != mailproof.Source || scope.IsZero() {
		return nil
	}
	return func(m mailproof.Metadata) bool {
		_, ok := scope.Omits(m.InternalDate, m.Size)
		return ok
	}
}

// exclusions are the rules that leave something out, in words.
func (r Rules) exclusions() []string {
	var out []string
	for _, x := range r.Exclude {
		out = append(out, "exclude "+x)
	}
	if len(r.Folders) > 0 {
		out = append(out, "folder "+strings.Join(r.Folders, ", "))
	}
	if !r.Since.IsZero() {
		out = append(out, "since "+r.Since.Format("2006-01-02T15:04:05Z07:00"))
	}
	if !r.Before.IsZero() {
		out = append(out, "before "+r.Before.Format("2006-01-02T15:04:05Z07:00"))
	}
	if r.MaxSize > 0 {
		out = append(out, fmt.Sprintf("max-size %d", r.MaxSize))
	}
	return out
}

func scopeKey(pass mailproof.PassID) string { return fmt.Sprintf("rules of pass %d", pass) }

// recordScope keeps what a pass over the source leaves out.
func (e *Engagement) recordScope(ctx context.Context, pass mailproof.PassID, side mailproof.Side) error {
	list := e.Rules.exclusions()
	if side != mailproof.Source || len(list) == 0 {
		return nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return e.ledger.SetEngagement(ctx, scopeKey(pass), string(text))
}

// scopeChanged says so where the source was read under other rules than those
// that hold now. It changes no verdict: what was left out then is counted as
// left out, or as not checked.
func (e *Engagement) scopeChanged(ctx context.Context, scan mailproof.Scan) ([]mailproof.Finding, error) {
	if scan.Pass == 0 {
		return nil, nil
	}
	kept, err := e.ledger.Engagement(ctx)
	if err != nil {
		return nil, err
	}
	var then []string
	if text := kept[scopeKey(scan.Pass)]; text != "" {
		if err := json.Unmarshal([]byte(text), &then); err != nil {
			return nil, fmt.Errorf("%s in the ledger: %w", scopeKey(scan.Pass), err)
		}
	}
	now := e.Rules.exclusions()
	if slices.Equal(then, now) {
		return nil, nil
	}
	say := func(list []string) string {
		if len(list) == 0 {
			return "nothing was left out"
		}
		return strings.Join(list, "; ")
	}
	return []mailproof.Finding{{
		Check: CheckRules, Account: scan.Account, Outcome: mailproof.OutcomeWarn, Time: scan.Finished,
		Expected: "the source was read under the rules that hold now: " + say(now),
		Observed: fmt.Sprintf("pass %d read it under others: %s", scan.Pass, say(then)),
		Remedy:   "run mailproof inventory --side source, or mailproof run",
	}}, nil
}
