package engagement

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
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

// exclusionsOf are those that hold for an account: its own come after the
// engagement's.
func (r Rules) exclusionsOf(account string) []string {
	return append(r.exclusions(), Rules{Exclude: r.Accounts[account].Exclude}.exclusions()...)
}

// scopeKey names what a pass left out, of everybody, or beside that of an
// account with rules of its own.
func scopeKey(pass mailproof.PassID, account string) string {
	key := fmt.Sprintf("rules of pass %d", pass)
	if account != "" {
		key += " for " + account
	}
	return key
}

// recordScope keeps what a pass over the source leaves out.
func (e *Engagement) recordScope(ctx context.Context, pass mailproof.PassID, side mailproof.Side) error {
	if side != mailproof.Source {
		return nil
	}
	if err := e.keepScope(ctx, scopeKey(pass, ""), e.Rules.exclusions()); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(e.Rules.Accounts)) {
		if err := e.keepScope(ctx, scopeKey(pass, name), Rules{Exclude: e.Rules.Accounts[name].Exclude}.exclusions()); err != nil {
			return err
		}
	}
	return nil
}

func (e *Engagement) keepScope(ctx context.Context, key string, list []string) error {
	if len(list) == 0 {
		return nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return e.ledger.SetEngagement(ctx, key, string(text))
}

// keptScope is what a pass left out of an account.
func (e *Engagement) keptScope(ctx context.Context, scan mailproof.Scan) (list []string, err error) {
	kept, err := e.ledger.Engagement(ctx)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{scopeKey(scan.Pass, ""), scopeKey(scan.Pass, scan.Account)} {
		var more []string
		if text := kept[key]; text != "" {
			if err := json.Unmarshal([]byte(text), &more); err != nil {
				return nil, fmt.Errorf("%s in the ledger: %w", key, err)
			}
		}
		list = append(list, more...)
	}
	return list, nil
}

// scopeChanged says so where the source of an account was read under other
// rules than those that hold now. Where folders with mail in them were left out
// that no rule leaves out any more, nothing is known of that mail.
func (e *Engagement) scopeChanged(ctx context.Context, r *mailproof.AccountResult) ([]mailproof.Finding, error) {
	scan := r.SourceScan
	if scan.Pass == 0 {
		return nil, nil
	}
	then, err := e.keptScope(ctx, scan)
	if err != nil {
		return nil, err
	}
	now := e.Rules.exclusionsOf(scan.Account)
	if slices.Equal(then, now) {
		return nil, nil
	}
	say := func(list []string) string {
		if len(list) == 0 {
			return "nothing was left out"
		}
		return strings.Join(list, "; ")
	}
	f := mailproof.Finding{
		Check: CheckRules, Account: scan.Account, Outcome: mailproof.OutcomeWarn, Time: scan.Finished,
		Expected: "the source was read under the rules that hold now: " + say(now),
		Observed: fmt.Sprintf("pass %d read it under others: %s", scan.Pass, say(then)),
		Remedy:   "run mailproof inventory --side source, or mailproof run",
	}
	if lifted := e.lifted(r, then); len(lifted) > 0 {
		f.Outcome = mailproof.OutcomeUnknown
		f.Observed = fmt.Sprintf("not read by pass %d, and left out by no rule that holds now: %s; then it was %s", scan.Pass, strings.Join(lifted, ", "), say(then))
	}
	return []mailproof.Finding{f}, nil
}

// lifted are the folders with mail in them that a rule of then left out and
// none of now does. What a provider's preset leaves out is none of the user's
// rules.
func (e *Engagement) lifted(r *mailproof.AccountResult, then []string) (names []string) {
	rules := e.rulesOf(r.Account)
	for i := range r.Folders {
		box := &r.Folders[i].SourceScan
		if box.Before.Exists == 0 || !slices.Contains(then, "exclude "+box.Excluded) && !slices.Contains(then, "folder "+strings.TrimPrefix(box.Excluded, diff.OtherFolders)) {
			continue
		}
		if _, still := rules.Excluded(box.Mailbox); !still {
			names = append(names, fmt.Sprintf("%q (%d)", box.Name, box.Before.Exists))
		}
	}
	return names
}
