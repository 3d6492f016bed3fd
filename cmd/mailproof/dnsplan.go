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
	"github.com/mailproof/mailproof/dnsaudit"
)

func (a *app) dnsPlanCommand() *cobra.Command {
	var f dnsFlags
	var asJSON, replace bool
	var cutOver string
	cmd := &cobra.Command{
		Use:   "plan",
		Short: "the change list as zone lines, with times, and the rollback list",
		Long: `plan asks the authoritative servers of the domains what is in the zones now, and
prints what has to change, domain by domain and in the right order: TTLs to
lower, senders and keys to add before the cut-over, exchanges and Autodiscover
at the cut-over, the old provider's senders to take out when it is safe, TTLs to
restore.

The list is kept as dns-plan.txt in the engagement's directory, and the records
as they are now in dns-rollback.zone, domain by domain. The part of a domain is
written once, when all of it could be observed: a later plan leaves it alone, since
by then the zone may have changed, and adds the domains that are not in it yet.

Exit codes: 0 the plan is whole, 3 something could not be observed or the name
servers differ, 2 could not run.`,
		Example: `  mailproof dns plan --domain northgate.example --profile meridian.toml --old-profile oldhost.toml --cut-over 2026-11-28T20:00:00Z`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
			if cutOver != "" {
				if o.DNS.CutOver, err = time.Parse(time.RFC3339, cutOver); err != nil {
					return hinted{fmt.Errorf("--cut-over %s is no time", cutOver), "write it as 2026-11-28T20:00:00Z, or with an offset as in 2026-11-28T21:00:00+01:00"}
				}
			}
			return a.withEngagement(cmd.Context(), cfg, o, func(ctx context.Context, e *engagement.Engagement) error {
				p, err := e.PlanDNS(ctx, replace)
				if err != nil {
					return err
				}
				return a.printPlan(p, asJSON)
			})
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&cutOver, "cut-over", "", "planned `time` of the cut-over, as 2026-11-28T20:00:00Z (default: cutover of mailproof.toml)")
	cmd.Flags().BoolVar(&replace, "replace-rollback", false, "write the rollback list of these domains anew, from the records as they are now; other domains in it stay")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print as JSON, schema mailproof/dns-plan/1")
	return cmd
}

var errNoDomain = hinted{errors.New("no domain or no profile given"), "give --domain example.com --profile NAME, or fill in [dns] of mailproof.toml; --list-profiles shows the names"}

func (a *app) printPlan(p engagement.DNSPlan, asJSON bool) error {
	var result error
	if p.Unknown() > 0 {
		result = exit{mailproof.Inconclusive.ExitCode()}
	}
	if len(p.NoRollback) > 0 {
		a.notef("no rollback list is written of %s while something is unknown", strings.Join(p.NoRollback, ", "))
	}
	if len(p.KeptRollback) > 0 {
		a.notef("%s is kept as it is for %s; --replace-rollback writes it anew", p.RollbackPath, strings.Join(p.KeptRollback, ", "))
	}
	if asJSON {
		return errors.Join(writeJSON(a.out, struct {
			Schema       string          `json:"schema"`
			ExitCode     int             `json:"exit_code"`
			Plans        []dnsaudit.Plan `json:"plans"`
			PlanFile     string          `json:"plan_file"`
			RollbackFile string          `json:"rollback_file"`
			KeptRollback bool            `json:"rollback_kept"`
			KeptDomains  []string        `json:"rollback_kept_domains"`
			NoRollback   []string        `json:"rollback_missing"`
		}{"mailproof/dns-plan/1", exitOf(result), p.Plans, p.PlanPath, p.RollbackPath, len(p.KeptRollback) > 0, orEmpty(p.KeptRollback), orEmpty(p.NoRollback)}), result)
	}
	for i, plan := range p.Plans {
		if i > 0 {
			a.say("")
		}
		a.printLines(plan.String())
	}
	text := fmt.Sprintf("%s  %s", p.PlanPath, p.RollbackPath)
	if n := p.Unknown(); n > 0 {
		text = fmt.Sprintf("not whole: %d unknown; %s", n, p.PlanPath)
	}
	a.say("")
	a.stage("dns plan", "", text, 0)
	return result
}
