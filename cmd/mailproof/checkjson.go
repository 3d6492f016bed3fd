package main

import (
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/collect/provider"
)

// What check prints with --json, schema mailproof/check/1. The names are
// stable, new ones may appear.

type checkSideJSON struct {
	Error      string                 `json:"error,omitempty"`
	Server     mailproof.ServerInfo   `json:"server"`
	Provider   string                 `json:"provider,omitempty"` // name of the preset that holds
	Folders    int                    `json:"folders"`
	Messages   int64                  `json:"messages"`
	Bytes      int64                  `json:"bytes"` // of a destination: 0 where it states no quota
	Largest    int64                  `json:"largest"`
	TooLarge   int64                  `json:"too_large,omitempty"` // messages over the destination's limit
	QuotaUsed  int64                  `json:"quota_used,omitempty"`
	QuotaLimit int64                  `json:"quota_limit,omitempty"`
	Rate       int64                  `json:"bytes_per_second,omitempty"` // of a sample
	Sampled    int                    `json:"sampled,omitempty"`          // messages looked at for traits
	Traits     map[provider.Trait]int `json:"traits,omitempty"`
}

type checkAccountJSON struct {
	Name        string                  `json:"name"`
	Ready       bool                    `json:"ready"`
	Problems    []string                `json:"problems"`
	Warnings    []string                `json:"warnings"`
	Troubles    []engagement.Trouble    `json:"troubles"` // problems and warnings again, with what they mean and what to do
	FolderNotes []string                `json:"folder_notes"`
	FolderPlan  []engagement.FolderPlan `json:"folder_plan"`
	Source      checkSideJSON           `json:"source"`
	Destination checkSideJSON           `json:"destination"`
}

type checkServerJSON struct {
	Side     mailproof.Side `json:"side"`
	Address  string         `json:"address"`
	Accounts int            `json:"accounts"`
	SignedIn int            `json:"signed_in"`
	Provider string         `json:"provider,omitempty"`
	Limits   string         `json:"limits,omitempty"`
	Error    string         `json:"error,omitempty"` // where nobody gets in
}

type estimateJSON struct {
	Messages int64  `json:"messages"`
	Bytes    int64  `json:"bytes"`
	Rate     int64  `json:"bytes_per_second,omitempty"`
	Seconds  int64  `json:"seconds,omitempty"` // 0: nothing can be said
	Days     int    `json:"days_by_quota,omitempty"`
	Quota    string `json:"quota,omitempty"`
	Text     string `json:"text"`
}

func checkSideToJSON(s engagement.SideCheck) checkSideJSON {
	out := checkSideJSON{
		Server: s.Server, Provider: s.Provider, Folders: len(s.Mailboxes), Messages: s.Messages, Bytes: s.Octets, Largest: s.Largest,
		TooLarge: s.TooLarge, QuotaUsed: s.QuotaUsed, QuotaLimit: s.QuotaLimit, Rate: int64(s.Rate), Sampled: s.Sampled, Traits: s.Traits,
	}
	if s.Err != nil {
		out.Error = s.Err.Error()
	}
	return out
}

func checkServerToJSON(s engagement.ServerCheck) checkServerJSON {
	out := checkServerJSON{Side: s.Side, Address: s.Address, Accounts: s.Accounts, SignedIn: s.SignedIn}
	if s.Provider != nil {
		out.Provider, out.Limits = s.Provider.Name, engagement.Limits(s.Info, s.Provider)
	}
	if s.SignedIn == 0 && s.Err != nil {
		out.Error = s.Err.Error()
	}
	return out
}

func (a *app) printCheckJSON(r checkResult) error {
	list := []checkAccountJSON{}
	for _, c := range r.checks {
		list = append(list, checkAccountJSON{
			c.Account, c.Ready(), orEmpty(c.Problems), orEmpty(c.Warnings), orEmpty(c.Troubles), orEmpty(c.FolderNotes), orEmpty(c.Folders),
			checkSideToJSON(c.Source), checkSideToJSON(c.Destination),
		})
	}
	servers := []checkServerJSON{}
	for _, s := range r.servers {
		servers = append(servers, checkServerToJSON(s))
	}
	code := 0
	if !r.ready() {
		code = mailproof.Incomplete.ExitCode()
	}
	f := r.forecast
	return writeJSON(a.out, struct {
		Schema     string              `json:"schema"`
		Ready      bool                `json:"ready"`
		ExitCode   int                 `json:"exit_code"`
		Taken      time.Time           `json:"taken"`
		Seconds    float64             `json:"seconds"`
		Servers    []checkServerJSON   `json:"servers"`
		Accounts   []checkAccountJSON  `json:"accounts"`
		Causes     []engagement.Cause  `json:"causes"`
		Estimate   estimateJSON        `json:"estimate"`
		DNS        []mailproof.Finding `json:"dns"`
		Recipients []mailproof.Finding `json:"recipients"`
		Findings   []mailproof.Finding `json:"findings"` // about the servers
	}{
		"mailproof/check/1", r.ready(), code, r.taken.UTC(), r.took.Seconds(), servers, list, orEmpty(engagement.Causes(r.checks)),
		estimateJSON{f.Messages, f.Octets, int64(f.Rate), int64(f.Took.Seconds()), f.Days, f.Bound, f.String()},
		orEmpty(r.dns), orEmpty(r.recipients), orEmpty(engagement.ServerFindings(r.servers)),
	})
}
