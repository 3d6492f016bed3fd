package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
)

func (a *app) checkCommand() *cobra.Command {
	var f workFlags
	var r recipientFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "is everything ready? every login, folders, limits, quota, DNS",
		Long: `check signs in to every account on both sides and looks for what would spoil the
night: passwords that do not work, mailboxes that do not exist yet, certificates
about to end, messages larger than the destination takes, a quota too small,
folders that cannot keep their names, and DNS that is not ready. It writes
nothing, not even to the ledger.

--recipients asks the new mail server about every address of a file, as a sender
would, and goes no further than that: no mail is sent. An address that nobody has
is asked about too; where that is accepted, the answers mean nothing and are
unknown.

Exit codes: 0 ready, 1 not ready, 2 could not run, 130 cancelled.`,
		Example: `  mailproof check --dir northgate
  mailproof check --account dave@example.com
  mailproof check --dir northgate --recipients addresses.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			o, err := a.options(cmd, &f, cfg, mailproof.Source, mailproof.Destination)
			if err != nil {
				return err
			}
			recipients, err := r.options()
			if err != nil {
				return err
			}
			if o.DNS.Phase == mailproof.PhaseNone {
				o.DNS.Phase = mailproof.Readiness
			}
			_, hard, stop := terminal.Interrupts(cmd.Context(), a.term)
			defer stop()
			o.Progress = a.newProgress
			return a.check(hard, o, recipients, len(f.only) > 0, f.json)
		},
	}
	f.addAccounts(cmd)
	f.addRules(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/check/1")
	f.dns.add(cmd)
	r.add(cmd)
	return cmd
}

func (a *app) check(ctx context.Context, o engagement.Options, r engagement.RecipientOptions, detail, asJSON bool) error {
	checks, err := o.Check(ctx)
	if err != nil {
		return err
	}
	var dns engagement.DNSResult
	if o.DNS.Wanted() {
		if dns, err = engagement.AuditDNS(ctx, o.DNS); err != nil {
			return err
		}
	}
	var recipients []mailproof.Finding
	if r.File != "" {
		if recipients, err = engagement.CheckRecipients(ctx, o.DNS, r); err != nil {
			return err
		}
	}
	notReady, dnsFailed, unanswered := 0, notGood(dns.Findings), notGood(recipients)
	for _, c := range checks {
		if !c.Ready() {
			notReady++
		}
	}
	var result error
	if notReady+dnsFailed+unanswered > 0 {
		result = exit{mailproof.Incomplete.ExitCode()}
	}
	if asJSON {
		return errors.Join(a.printCheckJSON(checks, dns.Findings, recipients, result == nil), result)
	}
	a.printServers(checks)
	a.printCheckTable(checks, detail || len(checks) <= 20)
	for _, f := range dns.Findings {
		if f.Outcome != mailproof.OutcomePass && f.Outcome != mailproof.OutcomeInfo {
			a.printFinding(f)
		}
	}
	a.printRecipients(recipients)
	a.printEstimate(checks, o.Parallel)
	if result == nil {
		fmt.Fprintf(a.out, "\nready: %s\n", countOf(int64(len(checks)), "account"))
		return nil
	}
	var parts []string
	if notReady > 0 {
		parts = append(parts, fmt.Sprintf("%d of %s", notReady, countOf(int64(len(checks)), "account")))
	}
	if dnsFailed > 0 {
		parts = append(parts, countOf(int64(dnsFailed), "DNS check"))
	}
	if unanswered > 0 {
		parts = append(parts, countOf(int64(unanswered), "finding")+" about recipients")
	}
	fmt.Fprintf(a.out, "\nnot ready: %s\n", strings.Join(parts, ", "))
	a.hintForCheck(checks)
	return result
}

func (a *app) hintForCheck(checks []engagement.AccountCheck) {
	for _, c := range checks {
		for _, err := range []error{c.Source.Err, c.Destination.Err} {
			if h := engagement.KindHint(mailproof.KindOf(err)); err != nil && h != "" {
				a.hintf("%s: %s", c.Account, h)
				return
			}
		}
	}
}

// printServers prints each server once, with how many accounts signed in.
func (a *app) printServers(checks []engagement.AccountCheck) {
	type key struct{ side, address string }
	var order []key
	info, in := map[key]mailproof.ServerInfo{}, map[key]int{}
	for _, c := range checks {
		for side, s := range map[string]engagement.SideCheck{"source": c.Source, "destination": c.Destination} {
			if s.Server.Address == "" {
				continue // refused before the sign-in: the table says so
			}
			k := key{side, s.Server.Address}
			if _, seen := info[k]; !seen {
				order = append(order, k)
			}
			info[k] = s.Server
			in[k]++
		}
	}
	t := a.table("", "", "", "", "")
	for _, side := range []string{"source", "destination"} {
		for _, k := range order {
			if k.side != side {
				continue
			}
			s := info[k]
			secure := "no TLS"
			if s.TLS != "" {
				secure = s.TLS
				if !s.CertNotAfter.IsZero() {
					secure += fmt.Sprintf(", certificate %s", countOf(int64(time.Until(s.CertNotAfter).Hours()/24), "day"))
				}
				if !s.CertVerified {
					secure += ", NOT VERIFIED"
				}
			}
			t.row(k.side, k.address, secure, s.ID, fmt.Sprintf("%d of %d signed in", in[k], len(checks)))
		}
	}
	t.print()
	fmt.Fprintln(a.out)
}

func (a *app) printCheckTable(checks []engagement.AccountCheck, all bool) {
	t := a.table("account", ">folders", ">messages", ">size", "result")
	t.Indent = 2
	hidden := 0
	for _, c := range checks {
		if c.Ready() && len(c.Warnings) == 0 && !all {
			hidden++
			continue
		}
		folders, messages, octets := "–", "–", "–"
		if c.Source.Err == nil {
			folders, messages, octets = count(int64(len(c.Source.Mailboxes))), count(c.Source.Messages), size(c.Source.Octets)
		}
		lines := append(append([]string{}, c.Problems...), c.Warnings...)
		if len(lines) == 0 {
			lines = []string{"ready"}
		}
		t.row(c.Account, folders, messages, octets, lines[0])
		for _, l := range lines[1:] {
			t.row("", "", "", "", l)
		}
		if all {
			for _, n := range c.FolderNotes {
				t.row("", "", "", "", "folders: "+n)
			}
		}
	}
	t.print()
	if hidden > 0 {
		fmt.Fprintf(a.out, "  … %s more, all ready\n", count(int64(hidden)))
	}
}

func (a *app) printEstimate(checks []engagement.AccountCheck, parallel int) {
	if parallel <= 0 {
		parallel = 4
	}
	messages, octets, rate, d := engagement.Estimate(checks, parallel)
	line := fmt.Sprintf("%s, %s", countOf(messages, "message"), size(octets))
	if d > 0 {
		line += fmt.Sprintf(": about %s, at the measured %s and with %d accounts at once", terminal.Remaining(d), terminal.Rate(rate), parallel)
	}
	fmt.Fprintln(a.out)
	a.stage("estimate", "", line, 0)
}

func (a *app) printCheckJSON(checks []engagement.AccountCheck, dns, recipients []mailproof.Finding, ready bool) error {
	type side struct {
		Error      string               `json:"error,omitempty"`
		Server     mailproof.ServerInfo `json:"server"`
		Folders    int                  `json:"folders"`
		Messages   int64                `json:"messages"`
		Bytes      int64                `json:"bytes"`
		Largest    int64                `json:"largest"`
		QuotaUsed  int64                `json:"quota_used,omitempty"`
		QuotaLimit int64                `json:"quota_limit,omitempty"`
	}
	type account struct {
		Name        string   `json:"name"`
		Ready       bool     `json:"ready"`
		Problems    []string `json:"problems"`
		Warnings    []string `json:"warnings"`
		FolderNotes []string `json:"folder_notes"`
		Source      side     `json:"source"`
		Destination side     `json:"destination"`
	}
	of := func(s engagement.SideCheck) side {
		out := side{Server: s.Server, Folders: len(s.Mailboxes), Messages: s.Messages, Bytes: s.Octets, Largest: s.Largest, QuotaUsed: s.QuotaUsed, QuotaLimit: s.QuotaLimit}
		if s.Err != nil {
			out.Error = s.Err.Error()
		}
		return out
	}
	list := []account{}
	for _, c := range checks {
		list = append(list, account{c.Account, c.Ready(), orEmpty(c.Problems), orEmpty(c.Warnings), orEmpty(c.FolderNotes), of(c.Source), of(c.Destination)})
	}
	code := 0
	if !ready {
		code = mailproof.Incomplete.ExitCode()
	}
	return writeJSON(a.out, struct {
		Schema     string              `json:"schema"`
		Ready      bool                `json:"ready"`
		ExitCode   int                 `json:"exit_code"`
		Accounts   []account           `json:"accounts"`
		DNS        []mailproof.Finding `json:"dns"`
		Recipients []mailproof.Finding `json:"recipients"`
	}{"mailproof/check/1", ready, code, list, orEmpty(dns), orEmpty(recipients)})
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
