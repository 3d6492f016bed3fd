package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

func (a *app) copyCommand() *cobra.Command {
	var f workFlags
	var dryRun bool
	var gone deleteFlags
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "copy what is missing on the destination, for the first time or again",
		Long: `copy takes an inventory of both sides and then carries over what the destination
lacks: folders, subscriptions, messages with their flags, keywords and dates,
and later changes of flags. The first copy and every differential copy are the
same command. The source is only read.

Nothing on the destination is overwritten, and nothing is deleted unless
--delete-extra asks for it. A message that the destination refuses becomes an
exception with the server's own words.

--delete-extra deletes on the destination what an earlier pass of mailproof put
there and whose source is gone since: never a message that was there before, nor
one whose content or identity is anywhere on the source, and only if every
message of the source was read. Look first: --dry-run --delete-extra lists them
and says their number, which --yes-delete must then give.

A server that asks for patience gets it: what is waited for is said. A connection
that brings nothing for a minute ([limits] stall_timeout) is given up and made
anew, up to a bounded number of times.

Exit codes: 0 everything was carried over, 1 something was refused, 3 something
could not be read, 2 could not run, 130 cancelled.`,
		Example: `  mailproof copy --dry-run
  mailproof copy --exclude '\Junk' --map 'Sent Items=Sent'
  mailproof copy --since 2020-01-01 --max-size 35MB --rate 5MB/s
  mailproof copy --dry-run --delete-extra
  mailproof copy --delete-extra --yes-delete 12`,
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
			return a.withEngagement(cmd.Context(), cfg, o, func(ctx context.Context, e *engagement.Engagement) error {
				if dryRun {
					return a.dryRun(ctx, e, gone.wanted, f.json)
				}
				return a.copy(ctx, e, gone, f.json)
			})
		},
	}
	f.addAccounts(cmd)
	f.addRules(cmd)
	f.pace.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/copy/1")
	gone.add(cmd)
	addDryRun(cmd, &dryRun)
	return cmd
}

func (a *app) copy(ctx context.Context, e *engagement.Engagement, gone deleteFlags, asJSON bool) error {
	a.stagesOnErr = asJSON
	out := passesJSON{Schema: "mailproof/copy/1"}
	unread := false
	see := func(res engagement.InventoryResult) {
		a.printInventory(res)
		unread = unread || len(res.Failures) > 0 || res.Summary.Failed > 0 || res.Summary.Unreadable > 0
		out.Inventories = append(out.Inventories, inventoryToJSON(res))
	}
	_, first, err := e.ReadAndCopy(ctx, engagement.Observer{Inventory: see, Copy: a.printCopy})
	if err != nil {
		return err
	}
	res, err := a.copyRest(ctx, e, first, see)
	if err != nil {
		return err
	}
	if out.Deleted, err = a.deleteExtra(ctx, e, gone, see); err != nil {
		return err
	}
	out.Copy = copyToJSON(res)
	result := a.copyResult(res, unread)
	if asJSON {
		out.ExitCode = exitOf(result)
		return errors.Join(writeJSON(a.out, out), result)
	}
	return result
}

// readBoth takes the inventory of both sides.
func (a *app) readBoth(ctx context.Context, e *engagement.Engagement, see func(engagement.InventoryResult)) error {
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		res, err := e.Inventory(ctx, side)
		if err != nil {
			return err
		}
		see(res)
	}
	return nil
}

// copyRest copies by plan what the reading of the source left to be done, and
// returns the sum of both.
func (a *app) copyRest(ctx context.Context, e *engagement.Engagement, first engagement.CopyResult, see func(engagement.InventoryResult)) (engagement.CopyResult, error) {
	if first.Pass != 0 && !first.Rest {
		return first, nil
	}
	if first.Pass != 0 {
		res, err := e.Inventory(ctx, mailproof.Destination)
		if err != nil {
			return first, err
		}
		see(res)
	}
	res, err := e.Copy(ctx)
	a.printCopy(res)
	err = errors.Join(err, e.SettleCopy(ctx, err == nil && len(res.Failures) == 0 && res.Summary.Failed == 0))
	if first.Pass != 0 {
		res.Summary.Add(first.Summary)
		res.Accounts = max(res.Accounts, first.Accounts)
		res.Took += first.Took
	}
	return res, err
}

// copyResult says what a copy pass means for the exit code, and what is next.
func (a *app) copyResult(res engagement.CopyResult, unread bool) error {
	switch {
	case res.Summary.Refused > 0:
		a.hintf("mailproof diff after a new inventory names every message that is missing, with the server's words")
		return exit{mailproof.Incomplete.ExitCode()}
	case unread || len(res.Failures) > 0 || res.Summary.Failed > 0:
		a.resumeHint(res.Failures)
		return exit{mailproof.Inconclusive.ExitCode()}
	}
	a.hintf("what was appended is the destination's word; mailproof run or inventory and diff read it back")
	return nil
}

func (a *app) printCopy(res engagement.CopyResult) {
	s := res.Summary
	text := countOf(s.Appended, "message") + " appended" + sizeOf(s.AppendedBytes, "")
	if s.Refused > 0 {
		text += fmt.Sprintf(", %s refused", count(s.Refused))
	}
	if s.Failed > 0 {
		text += fmt.Sprintf(", %s failed", count(s.Failed))
	}
	if s.Flagged > 0 {
		text += ", flags of " + count(s.Flagged)
	}
	if s.Created > 0 {
		text += ", " + countOf(int64(s.Created), "folder") + " created"
	}
	a.stage("copy", "", text, res.Took)
	var real []engagement.Failure
	for _, f := range res.Failures {
		// Already said by the inventory of the account.
		if !errors.Is(f.Err, engagement.ErrNotRead) {
			real = append(real, f)
		}
	}
	a.printFailures(real)
}

func (a *app) printPlans(plans []engagement.Plan) {
	t := a.table("account", ">folders", ">messages", ">size", ">flags", "")
	var messages, octets int64
	for _, p := range plans {
		note := ""
		if p.NotPlanned != nil {
			note = p.NotPlanned.Error()
		}
		t.row(p.Account, count(p.Create), count(p.Append), size(p.AppendBytes), count(p.Flags), note)
		messages += p.Append
		octets += p.AppendBytes
	}
	t.print()
	a.printTargetPlans(plans)
	fmt.Fprintf(a.out, "\nwould append %s, %s; nothing was written\n", countOf(messages, "message"), size(octets))
}
