package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/dnsaudit"
)

func (a *app) dnsCommand() *cobra.Command {
	var f dnsFlags
	var w watchFlags
	var asJSON, listChecks, listProfiles, noRecord bool
	cmd := &cobra.Command{
		Use:   "dns",
		Short: "audit MX, SPF and Autodiscover against the new provider's profile",
		Long: `dns asks every address of every authoritative name server of the domains, and the
resolvers listed, and compares the answers with what the new provider asks its
customers to publish. What cannot be asked is unknown, never a pass.

The phase says what is right at the moment: in planning and readiness the old
records are still in place, at confirmation they must be gone. Findings and
every single answer go to the ledger as evidence.

--watch confirms a cut-over: it audits again and again until every changed record
is safe, that is until no cache can hold the old one, and no check fails. It
needs an audit from before the cut-over in the ledger, and goes on where it was
after a restart.

Exit codes: 0 no check failed, 1 a check failed, 3 something is unknown, 2 could
not run.`,
		Example: `  mailproof dns --domain northgate.example --profile microsoft365 --phase readiness
  mailproof dns --domain northgate.example --profile meridian.toml --resolver 9.9.9.9
  mailproof dns plan --domain northgate.example --profile meridian.toml --old-profile oldhost.toml
  mailproof dns --watch --dir northgate
  mailproof dns --domain northgate.example --profile meridian.toml --http --starttls
  mailproof dns --list-checks
  mailproof dns --list-profiles`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case listChecks:
				return a.printChecks(asJSON)
			case listProfiles:
				return a.printProfiles(asJSON)
			}
			cfg, err := a.config()
			if err != nil {
				return err
			}
			o, err := a.options(cmd, &workFlags{dns: f}, cfg)
			if err != nil {
				return err
			}
			if !o.DNS.Wanted() {
				return errNoDomain
			}
			if err := w.check(cmd, noRecord, o.DNS.Phase); err != nil {
				return err
			}
			if w.watch {
				return a.watchDNS(cmd.Context(), cfg, o, w, asJSON)
			}
			var res engagement.DNSResult
			if noRecord {
				res, err = engagement.AuditDNS(cmd.Context(), o.DNS)
			} else {
				err = a.withEngagement(cmd.Context(), cfg, o, func(ctx context.Context, e *engagement.Engagement) (err error) {
					res, err = e.DNS(ctx)
					return err
				})
			}
			if err != nil {
				return err
			}
			return a.printDNS(res, asJSON)
		},
	}
	f.add(cmd)
	w.add(cmd)
	cmd.AddCommand(a.dnsPlanCommand())
	cmd.Flags().BoolVar(&asJSON, "json", false, "print findings and observations as JSON, schema mailproof/dns/1; with --watch dns-watch/1, with --list-checks dns-checks/1, with --list-profiles dns-profiles/1")
	cmd.Flags().BoolVar(&listChecks, "list-checks", false, "list the checks with their references and their severity at each phase, and stop")
	cmd.Flags().BoolVar(&listProfiles, "list-profiles", false, "list the known providers, and stop")
	cmd.Flags().BoolVar(&noRecord, "no-record", false, "keep nothing: neither make nor touch a ledger")
	return cmd
}

func (a *app) printDNS(res engagement.DNSResult, asJSON bool) error {
	worst := mailproof.WorstOutcome(res.Findings)
	var result error
	switch worst {
	case mailproof.OutcomeFail:
		result = exit{mailproof.Incomplete.ExitCode()}
	case mailproof.OutcomeUnknown:
		result = exit{mailproof.Inconclusive.ExitCode()}
	}
	if asJSON {
		return errors.Join(writeJSON(a.out, struct {
			Schema       string                  `json:"schema"`
			ExitCode     int                     `json:"exit_code"`
			Profile      string                  `json:"profile"`
			Detected     map[string][]string     `json:"detected"`
			DNS          []mailproof.Finding     `json:"dns"`
			Observations []mailproof.Observation `json:"observations"`
		}{"mailproof/dns/1", exitOf(result), res.Profile, res.Detected, res.Findings, res.Observations}), result)
	}
	for _, f := range res.Findings {
		a.printFinding(f)
	}
	for _, domain := range slices.Sorted(maps.Keys(res.Detected)) {
		if ids := res.Detected[domain]; len(ids) > 0 {
			fmt.Fprintf(a.out, "%s points to %s now\n", clean(dnsaudit.BothNames(domain)), clean(strings.Join(ids, ", ")))
		}
	}
	a.printDNSLine(res)
	return result
}

func (a *app) printDNSLine(res engagement.DNSResult) {
	n := map[mailproof.Outcome]int{}
	for _, f := range res.Findings {
		n[f.Outcome]++
	}
	var parts []string
	for _, o := range []mailproof.Outcome{mailproof.OutcomeFail, mailproof.OutcomeUnknown, mailproof.OutcomeWarn, mailproof.OutcomeInfo, mailproof.OutcomePass} {
		if n[o] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[o], o))
		}
	}
	a.stage("dns", "", strings.Join(parts, ", "), res.Took)
}

// printFinding prints one finding: what, where, what was seen, what to do.
func (a *app) printFinding(f mailproof.Finding) {
	where := dnsaudit.BothNames(f.Domain)
	if where == "" {
		where = strings.TrimSpace(f.Account + " " + f.Mailbox)
	}
	fmt.Fprintf(a.out, "  %-8s %-22s %s\n", f.Outcome, f.Check, clean(where))
	a.printField("observed", f.Observed)
	if f.Outcome == mailproof.OutcomePass || f.Outcome == mailproof.OutcomeInfo {
		return
	}
	a.printField("expected", f.Expected)
	a.printField("remedy", f.Remedy)
	a.printField("see", f.Reference)
}

// printField prints a named text that may have several lines.
func (a *app) printField(name, text string) {
	label := name
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if line != "" {
			fmt.Fprintf(a.out, "           %-9s %s\n", label, clean(line))
			label = ""
		}
	}
}
