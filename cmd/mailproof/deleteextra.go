package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

// deleteFlags ask for the deletion of what an earlier pass copied and the source
// has no more. The number stands for having looked.
type deleteFlags struct {
	wanted bool
	count  int64
}

func (f *deleteFlags) add(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.wanted, "delete-extra", false, "delete on the destination what an earlier pass of mailproof put there and whose source is gone;\nonly with --dry-run, which lists it, or with --yes-delete")
	cmd.Flags().Int64Var(&f.count, "yes-delete", 0, "of --delete-extra: the `NUMBER` of messages that --dry-run --delete-extra has listed; where it is another one\nby now, nothing is deleted")
}

func (f *deleteFlags) check(dryRun bool) error {
	const look = "look first: --dry-run --delete-extra lists them and says their number"
	switch {
	case f.count < 0:
		return hinted{fmt.Errorf("--yes-delete %d is no number of messages", f.count), look}
	case f.count > 0 && !f.wanted:
		return hinted{errors.New("--yes-delete goes with --delete-extra"), look}
	case f.wanted && !dryRun && f.count == 0:
		return hinted{errors.New("--delete-extra deletes nothing without --yes-delete NUMBER"), look}
	}
	return nil
}

func addDryRun(cmd *cobra.Command, dryRun *bool) {
	cmd.Flags().BoolVar(dryRun, "dry-run", false, "read both sides and say what would be done to each folder; write nothing to the destination")
}

// dryRun says what copy or run would do to the destination, and does none of it.
func (a *app) dryRun(ctx context.Context, e *engagement.Engagement, deleting, asJSON bool) error {
	a.stagesOnErr = asJSON
	out := passesJSON{Schema: "mailproof/copy/1"}
	unread := false
	err := a.readBoth(ctx, e, func(res engagement.InventoryResult) {
		a.printInventory(res)
		unread = unread || len(res.Failures) > 0 || res.Summary.Failed > 0
		out.Inventories = append(out.Inventories, inventoryToJSON(res))
	})
	if err != nil {
		return err
	}
	plans, err := e.DryRun(ctx)
	if err != nil {
		return err
	}
	var gone []engagement.DeletionPlan
	if deleting {
		if gone, err = e.DeletionPlans(ctx); err != nil {
			return err
		}
		engagement.CountDeletions(plans, gone)
	}
	var result error
	if unread {
		result = exit{mailproof.Inconclusive.ExitCode()}
	}
	if asJSON {
		out.Plan, out.Deletions, out.ExitCode = plansToJSON(plans), deletionsToJSON(gone), exitOf(result)
		return errors.Join(writeJSON(a.out, out), result)
	}
	a.printPlans(plans)
	if deleting {
		a.printDeletions(gone)
	}
	return result
}

// printTargetPlans says what would be done to each folder.
func (a *app) printTargetPlans(plans []engagement.Plan) {
	t := a.table("account", "folder", "", ">messages", ">size", ">flags", ">delete")
	any := false
	for _, p := range plans {
		for _, f := range p.Folders {
			var do []string
			if f.Create {
				do = append(do, "create")
			}
			if f.Subscribe {
				do = append(do, "subscribe")
			}
			t.row(p.Account, f.Folder, strings.Join(do, ", "), count(f.Append), size(f.AppendBytes), count(f.Flags), count(f.Delete))
			any = true
		}
	}
	if any {
		fmt.Fprintln(a.out)
		t.print()
	}
}

// printDeletions lists what would be deleted.
func (a *app) printDeletions(plans []engagement.DeletionPlan) {
	messages, octets := engagement.DeletionCount(plans)
	t := a.table("account", "folder", ">uid", ">size", "source", "copied by")
	for _, p := range plans {
		for _, m := range p.Messages {
			t.row(p.Account, m.Destination.Mailbox, fmt.Sprint(m.Destination.UID), size(m.Octets), fmt.Sprintf("%s, uid %d", m.Source.Mailbox, m.Source.UID), fmt.Sprintf("pass %d", m.AppendedBy))
		}
	}
	if messages > 0 {
		fmt.Fprintln(a.out)
		t.print()
	}
	for _, p := range plans {
		if p.Because != "" {
			fmt.Fprintf(a.out, "\n%s: nothing can be deleted: %s\n", clean(p.Account), clean(p.Because))
		}
	}
	fmt.Fprintf(a.out, "\nwould delete %s, %s; nothing was deleted\n", countOf(messages, "message"), size(octets))
	if messages > 0 {
		a.hintf("the same command with --delete-extra --yes-delete %d and without --dry-run deletes them", messages)
	}
}

// deleteExtra deletes behind a copy, on fresh inventories.
func (a *app) deleteExtra(ctx context.Context, e *engagement.Engagement, f deleteFlags, see func(engagement.InventoryResult)) (*deletedJSON, error) {
	if !f.wanted {
		return nil, nil
	}
	read, err := e.Inventory(ctx, mailproof.Destination)
	if err != nil {
		return nil, err
	}
	see(read)
	res, err := e.Delete(ctx, f.count)
	if err != nil {
		if errors.Is(err, engagement.ErrDeletionCount) {
			err = hinted{err, "look again: --dry-run --delete-extra lists them"}
		}
		return nil, err
	}
	a.printDeleted(res)
	if res.Pass != 0 {
		// A diff that follows speaks of what is there now.
		if read, err = e.Inventory(ctx, mailproof.Destination); err != nil {
			return nil, err
		}
		see(read)
	}
	return &deletedJSON{int64(res.Pass), res.Deleted, res.Kept, res.Failed, res.Bytes}, nil
}

func (a *app) printDeleted(res engagement.DeletionResult) {
	text := countOf(res.Deleted, "message") + " deleted on the destination" + sizeOf(res.Bytes, "")
	if res.Kept > 0 {
		text += fmt.Sprintf(", %s kept", count(res.Kept))
	}
	if res.Failed > 0 {
		text += fmt.Sprintf(", %s failed", count(res.Failed))
	}
	a.stage("delete", "", text, res.Took)
	a.printFailures(res.Failures)
}

// folderPlanJSON is what would be done to one folder.
type folderPlanJSON struct {
	Folder      string `json:"folder"`
	Create      bool   `json:"create"`
	Subscribe   bool   `json:"subscribe"`
	Append      int64  `json:"append"`
	Bytes       int64  `json:"bytes"`
	Flags       int64  `json:"flags_set"`
	Delete      int64  `json:"delete"`
	DeleteBytes int64  `json:"delete_bytes"`
}

func foldersToJSON(list []engagement.TargetPlan) []folderPlanJSON {
	out := make([]folderPlanJSON, len(list))
	for i, f := range list {
		out[i] = folderPlanJSON{f.Folder, f.Create, f.Subscribe, f.Append, f.AppendBytes, f.Flags, f.Delete, f.DeleteBytes}
	}
	return out
}

// deletionJSON is a message that would be deleted.
type deletionJSON struct {
	Account      string `json:"account"`
	Folder       string `json:"folder"`
	UIDValidity  uint32 `json:"uidvalidity"`
	UID          uint32 `json:"uid"`
	SHA256       string `json:"sha256"`
	Bytes        int64  `json:"bytes"`
	SourceFolder string `json:"source_folder"`
	SourceUID    uint32 `json:"source_uid"`
	CopiedBy     int64  `json:"copied_by"` // pass
}

func deletionsToJSON(plans []engagement.DeletionPlan) []deletionJSON {
	var out []deletionJSON
	for _, p := range plans {
		for _, m := range p.Messages {
			out = append(out, deletionJSON{p.Account, m.Destination.Mailbox, m.Destination.UIDValidity, uint32(m.Destination.UID), fmt.Sprintf("%x", m.T0[:]), m.Octets,
				m.Source.Mailbox, uint32(m.Source.UID), int64(m.AppendedBy)})
		}
	}
	return out
}

// deletedJSON is what a deletion came to.
type deletedJSON struct {
	Pass    int64 `json:"pass"`
	Deleted int64 `json:"deleted"`
	Kept    int64 `json:"kept"`
	Failed  int64 `json:"failed"`
	Bytes   int64 `json:"bytes"`
}
