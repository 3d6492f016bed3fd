package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/report"
)

func (a *app) runCommand() *cobra.Command {
	var f workFlags
	var dryRun bool
	var gone deleteFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "the whole job: inventory, copy, differential passes, diff, DNS, report",
		Long: `run does the whole job, and does it again just as well: it reads both sides,
copies what the destination lacks, reads both sides again, compares every
message and writes report.html, report.pdf and report.json. A run that was cut
off, by Ctrl-C or a power failure, goes on where it was.

The first Ctrl-C finishes the messages that are on their way and stops; a second
one stops at once.

A server that asks for patience gets it, and what is waited for is said. Where
the limit of a day is used up, the run ends at a message boundary with exit code
3 and says when to go on.

Exit codes: 0 complete, 1 differences or failed checks, 3 something could not be
read, 2 could not run, 130 cancelled.`,
		Example: `  mailproof run --source imaps://anna@old.example --destination imaps://anna@new.example \
      --source-password env:OLD --destination-password env:NEW
  mailproof run --dir northgate --accounts mailboxes.csv --domain northgate.example --profile meridian.toml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			if err := gone.check(dryRun); err != nil {
				return err
			}
			o, err := a.options(cmd, &f, cfg, mailproof.Source, mailproof.Destination)
			if err != nil {
				return err
			}
			o.DeleteExtra = gone.count
			return a.withEngagement(cmd.Context(), cfg, o, func(ctx context.Context, e *engagement.Engagement) error {
				if dryRun {
					return a.dryRun(ctx, e, gone.wanted, f.json)
				}
				return a.runAll(ctx, e, f.json)
			})
		},
	}
	f.addAccounts(cmd)
	f.addRules(cmd)
	f.pace.add(cmd)
	gone.add(cmd)
	addDryRun(cmd, &dryRun)
	f.addDepth(cmd)
	f.addJSON(cmd)
	f.dns.add(cmd)
	return cmd
}

func (a *app) runAll(ctx context.Context, e *engagement.Engagement, asJSON bool) error {
	if asJSON {
		// The result on stdout is the JSON and nothing else.
		a.stagesOnErr = true
	}
	c, err := e.Run(ctx, engagement.Observer{Inventory: a.printInventory, Copy: a.printCopy, Delete: a.printDeleted, DNS: a.printDNSLine, Compare: a.printCompareLine})
	if err != nil {
		return err
	}
	d, err := e.Document(ctx, c)
	if err != nil {
		return err
	}
	if err := e.WriteReports(d); err != nil {
		return err
	}
	if asJSON {
		return errors.Join(d.WriteJSON(a.out), verdict(d.Verdict))
	}
	a.printVerdict(d)
	a.printDepth(c)
	a.stage("report", "", e.Path(engagement.HTMLFile)+"  "+e.Path(engagement.PDFFile)+"  "+e.Path(engagement.JSONFile), 0)
	return verdict(d.Verdict)
}

// printVerdict prints the answer, the exceptions that need a decision, and the
// other checks that stand between the engagement and COMPLETE.
func (a *app) printVerdict(d *report.Document) {
	fmt.Fprintln(a.out)
	a.answer(d.Verdict.String(), d.Lead())
	a.printExceptions(d.Exceptions, d.ExceptionsOmitted)
	first := true
	for _, f := range d.Findings {
		bad := f.Outcome == mailproof.OutcomeFail || f.Outcome == mailproof.OutcomeUnknown
		// What concerns single messages stands above, by name.
		if !bad || strings.HasPrefix(f.Check, "messages.") {
			continue
		}
		if first {
			fmt.Fprintln(a.out)
			first = false
		}
		a.printFinding(f)
	}
	fmt.Fprintln(a.out)
}
