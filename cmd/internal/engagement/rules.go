package engagement

import (
	"fmt"
	"maps"
	"slices"

	"github.com/mailproof/mailproof/diff"
)

// AccountRules are the decisions about one account: they come before those of
// the engagement, and are added to them.
type AccountRules struct {
	Map                 []string          `json:"map,omitempty"`
	Exclude             []string          `json:"exclude,omitempty"`
	Aliases             map[string]string `json:"aliases,omitempty"`
	SourceProvider      string            `json:"source_provider,omitempty"`
	DestinationProvider string            `json:"destination_provider,omitempty"`
}

// parseRules reads the rules of the engagement and of each account.
func (e *Engagement) parseRules() error {
	if err := e.Rules.CheckProviders(); err != nil {
		return err
	}
	var err error
	if e.rules, err = diff.ParseRules(e.Rules.Map, e.Rules.Exclude); err != nil {
		return err
	}
	if e.rules, err = e.inScope(e.rules); err != nil {
		return err
	}
	e.accountRules = map[string]diff.Rules{}
	for _, name := range slices.Sorted(maps.Keys(e.Rules.Accounts)) {
		own := e.Rules.Accounts[name]
		all, err := diff.ParseRules(joinMaps(own.Map, e.Rules.Map), append(slices.Clone(own.Exclude), e.Rules.Exclude...))
		if err != nil {
			return fmt.Errorf("account %s: %w", name, err)
		}
		if all, err = e.inScope(all); err != nil {
			return err
		}
		e.accountRules[name] = all
	}
	return nil
}

// joinMaps adds the engagement's maps to an account's own, but for those about
// the same folder.
func joinMaps(own, common []string) []string {
	out := slices.Clone(own)
	for _, m := range common {
		if !slices.ContainsFunc(own, func(o string) bool { return oldOf(o) == oldOf(m) }) {
			out = append(out, m)
		}
	}
	return out
}

// rulesOf are the rules that hold for an account.
func (e *Engagement) rulesOf(account string) diff.Rules {
	if r, ok := e.accountRules[account]; ok {
		return r
	}
	return e.rules
}

// aliasesOf are the aliases that hold for an account.
func (r Rules) aliasesOf(account string) map[string]string {
	own := r.Accounts[account].Aliases
	if len(own) == 0 {
		return r.Aliases
	}
	all := maps.Clone(r.Aliases)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, own)
	return all
}
