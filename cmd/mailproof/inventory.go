package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

func (a *app) inventoryCommand() *cobra.Command {
	var f workFlags
	var side, name string
	cmd := &cobra.Command{
		Use:   "inventory",
		Short: "read one or both sides into the ledger",
		Long: `inventory reads every folder of every account and records a fingerprint of each
message in the ledger. It writes to no mailbox: folders are opened with EXAMINE,
messages fetched with BODY.PEEK.

Messages that an earlier pass has read are not read again, unless --reverify is
given; what could not be read is tried again. Together with diff this audits a
migration that another tool has performed.

Exit codes: 0 everything was read, 3 something could not be read, 2 could not
run, 130 cancelled.`,
		Example: `  mailproof inventory
  mailproof inventory --side destination --reverify
  mailproof inventory --side source --source imaps://anna@old.example --source-password env:OLD`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sides, err := sidesOf(side, f)
			if err != nil {
				return err
			}
			cfg, err := a.config()
			if err != nil {
				return err
			}
			o, err := a.options(cmd, &f, cfg, sides...)
			if err != nil {
				return err
			}
			return a.withEngagement(cmd.Context(), cfg, o, func(ctx context.Context, e *engagement.Engagement) error {
				if f.source != "" || f.destination != "" {
					if err := a.nameSingle(ctx, e, name, sides); err != nil {
						return err
					}
				}
				unread := false
				out := passesJSON{Schema: "mailproof/inventory/1"}
				a.stagesOnErr = f.json
				for _, s := range sides {
					res, err := e.Inventory(ctx, s)
					a.printInventory(res)
					if err != nil {
						return err
					}
					out.Inventories = append(out.Inventories, inventoryToJSON(res))
					unread = unread || len(res.Failures) > 0 || res.Summary.Failed > 0 || res.Summary.Unreadable > 0 || res.Summary.Drifted > 0
				}
				var result error
				if unread {
					a.hintf("mailproof status shows what could not be read; the same command tries it again")
					result = exit{mailproof.Inconclusive.ExitCode()}
				}
				if f.json {
					out.ExitCode = exitOf(result)
					return errors.Join(writeJSON(a.out, out), result)
				}
				return result
			})
		},
	}
	f.addAccounts(cmd)
	f.pace.add(cmd)
	f.scope.add(cmd)
	cmd.Flags().StringVar(&side, "side", "", "source or destination; both if not given")
	cmd.Flags().StringVar(&name, "name", "", "`name` of the account that --source or --destination gives; its login if not given")
	cmd.Flags().StringArrayVar(&f.exclude, "exclude", nil, "leave out source folders: a `pattern` or a special use such as '\\Junk' (may be repeated)")
	f.addDepth(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/inventory/1")
	return cmd
}

// sidesOf are the sides to read: the one named, else those that were given,
// else both.
func sidesOf(name string, f workFlags) ([]mailproof.Side, error) {
	if name != "" {
		s, err := mailproof.ParseSide(name)
		if err != nil {
			return nil, hinted{fmt.Errorf("--side %s is not known", name), "write source or destination"}
		}
		return []mailproof.Side{s}, nil
	}
	switch {
	case f.source != "" && f.destination == "":
		return []mailproof.Side{mailproof.Source}, nil
	case f.source == "" && f.destination != "":
		return []mailproof.Side{mailproof.Destination}, nil
	}
	return []mailproof.Side{mailproof.Source, mailproof.Destination}, nil
}

// nameSingle names the one account that flags gave. Where one side is read
// after the other, with two commands and two logins, both must be one account:
// the one that the ledger knows from the other side alone.
func (a *app) nameSingle(ctx context.Context, e *engagement.Engagement, name string, sides []mailproof.Side) error {
	if len(e.Accounts) != 1 {
		return errors.New("exactly one account is expected beside --source and --destination")
	}
	if name == "" && len(sides) == 1 {
		half, err := e.HalfRead(ctx, sides[0])
		if err != nil {
			return err
		}
		if half != "" && half != e.Accounts[0].Name {
			a.notef("recorded as the %s of account %s, whose %s is in the ledger already; --name gives it another name", sides[0], half, sides[0].Other())
		}
		name = half
	}
	if name != "" {
		e.Accounts[0].Name, e.Roster = name, []string{name}
	}
	return nil
}

// printInventory prints the line of a finished inventory pass, and what went
// wrong.
func (a *app) printInventory(res engagement.InventoryResult) {
	s := res.Summary
	a.stage("inventory", res.Side.String(), fmt.Sprintf("%s in %s%s", countOf(s.Messages, "message"), countOf(int64(s.Mailboxes), "folder"), sizeOf(s.Bytes, " read")), res.Took)
	a.printFailures(res.Failures)
	if s.Unreadable > 0 {
		a.warnf("%s on the %s could not be read; recorded as unreadable, never as absent", countOf(s.Unreadable, "message"), res.Side)
	}
	if s.Failed > 0 {
		a.warnf("%s on the %s could not be read", countOf(int64(s.Failed), "folder"), res.Side)
	}
	if s.Drifted > 0 {
		a.warnf("%s on the %s changed while being read, and did not settle", countOf(int64(s.Drifted), "folder"), res.Side)
	}
	if s.Changed > 0 {
		a.warnf("%s on the %s: the server gave other octets than before under the same uid", countOf(s.Changed, "message"), res.Side)
	}
}

// printFailures prints what went wrong with whole accounts, each thing once
// however often it is met again, and one hint for each kind of trouble.
func (a *app) printFailures(list []engagement.Failure) {
	const most = 20
	printed := 0
	for _, f := range list {
		text := fmt.Sprintf("account %s, %s: %v", f.Account, f.Side, f.Err)
		if a.said[text] {
			continue
		}
		if a.said == nil {
			a.said = map[string]bool{}
		}
		a.said[text] = true
		if printed++; printed <= most {
			a.errorf("%s", text)
		}
	}
	if printed > most {
		a.errorf("%s more; mailproof status shows all", countOf(int64(printed-most), "account"))
	}
	if printed == 0 {
		return
	}
	hinted := map[string]bool{}
	for _, f := range list {
		kind := mailproof.KindOf(f.Err)
		if h := f.Hint(); h != "" && !hinted[h] {
			hinted[h] = true
			a.hintf("%s: %s", kind, h)
		}
	}
}
