package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

// disposeFlags are those of dispose.
type disposeFlags struct {
	as, by, why                        string
	verdicts, accounts, folders, codes []string
	findings                           []string
	dryRun, json                       bool
}

func (a *app) disposeCommand() *cobra.Command {
	var f disposeFlags
	cmd := &cobra.Command{
		Use:   "dispose [EXCEPTION…] --as DECISION --by NAME --why TEXT",
		Short: "decide on exceptions: accepted, waived, fixed, or open again",
		Long: `dispose records a person's decision on exceptions, by name and with the reason.
Exceptions are named by their numbers, as diff prints them, also as a range,
E-001..E-050; or chosen by what they are, with --verdict, --account, --folder and
--reason, which narrow each other. What somebody decided on before is overruled
by its number only, and not by a filter.

  accepted  the customer knows of it and agrees
  waived    it does not matter, and somebody with the right to say so does
  fixed     somebody put it right: the next inventory and diff have to confirm it,
            and until then it stays open
  open      the earlier decision is taken back

An accepted or waived exception turns INCOMPLETE into COMPLETE WITH ACCEPTED
EXCEPTIONS, never into COMPLETE. A decision holds for the evidence that it was
made on: if a later diff finds the message missing that was accepted as altered,
or altered in another way, it is open again. Decisions are only ever added to the
ledger; the latest one on an exception holds.

--finding decides on a finding that is not about single messages, named as
CHECK@DOMAIN or CHECK@ACCOUNT: of DNS after the cut-over, or of folders that could
not be read. Nobody can accept a sum that does not balance, or an account that
was never read.

--dry-run shows what would be decided, and records nothing.

Exit codes: 0 decided, 1 nothing matches, 2 could not run.`,
		Example: `  mailproof dispose E-001 E-004 --as accepted --by "A. Lindgren" --why "too large, kept as files"
  mailproof dispose --verdict missing --folder "Trash*" --as waived --by "A. Lindgren" \
      --why "trash" --dry-run
  mailproof dispose E-003 --as fixed --by "B. Person" --why "copied by hand"
  mailproof dispose --finding spf.lookups@example.com --as accepted --by "A. Lindgren" \
      --why "flattened in January"`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o, err := f.options(args)
			if err != nil {
				return err
			}
			return a.dispose(cmd, o, f.json)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&f.as, "as", "", "the `decision`: accepted, waived, fixed or open")
	fs.StringVar(&f.by, "by", "", "`name` of the person who decides")
	fs.StringVar(&f.why, "why", "", "the reason, `text` for the report")
	fs.StringSliceVar(&f.verdicts, "verdict", nil, "of this `verdict`: missing, altered, unverifiable, duplicate-collapsed, relocated (may be repeated)")
	fs.StringSliceVar(&f.accounts, "account", nil, "of this `account` (may be repeated)")
	fs.StringArrayVar(&f.folders, "folder", nil, "in this folder, a `pattern` such as \"Archive/*\" (may be repeated)")
	fs.StringSliceVar(&f.codes, "reason", nil, "with this reason `code`, as append-refused (may be repeated)")
	fs.StringArrayVar(&f.findings, "finding", nil, "the finding `CHECK@SUBJECT` (may be repeated)")
	fs.BoolVar(&f.dryRun, "dry-run", false, "show what would be decided, record nothing")
	fs.BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/dispose/1")
	return cmd
}

func (f *disposeFlags) options(ids []string) (engagement.DisposeOptions, error) {
	o := engagement.DisposeOptions{IDs: ids, Findings: f.findings, Accounts: f.accounts, Folders: f.folders, Reasons: f.codes, By: strings.TrimSpace(f.by), Why: strings.TrimSpace(f.why), DryRun: f.dryRun}
	if f.as == "" {
		return o, hinted{errors.New("--as is missing"), "write --as accepted, waived, fixed or open"}
	}
	if err := o.As.UnmarshalText([]byte(f.as)); err != nil || o.As == mailproof.Noted {
		return o, hinted{fmt.Errorf("--as %s is not known", f.as), "write accepted, waived, fixed or open"}
	}
	for _, v := range f.verdicts {
		var verdict mailproof.MessageVerdict
		if err := verdict.UnmarshalText([]byte(v)); err != nil {
			return o, hinted{fmt.Errorf("--verdict %s is not known", v), "write missing, altered, unverifiable, duplicate-collapsed or relocated"}
		}
		o.Verdicts = append(o.Verdicts, verdict)
	}
	if !f.dryRun && o.By == "" {
		return o, hinted{errors.New("--by is missing: a decision names who made it"), "write --by \"First Last\""}
	}
	if !f.dryRun && o.Why == "" {
		return o, hinted{errors.New("--why is missing: a decision gives its reason"), "write --why TEXT; it stands in the report"}
	}
	if len(ids)+len(f.findings)+len(f.verdicts)+len(f.accounts)+len(f.folders)+len(f.codes) == 0 {
		return o, hinted{errors.New("no exception is named, and no filter given"), "mailproof diff lists the exceptions; name them, or choose with --verdict, --account, --folder or --reason"}
	}
	return o, nil
}

func (a *app) dispose(cmd *cobra.Command, o engagement.DisposeOptions, asJSON bool) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	options, err := a.options(cmd, &workFlags{}, cfg)
	if err != nil {
		return err
	}
	work := func(ctx context.Context, e *engagement.Engagement) error {
		d, err := e.Dispose(ctx, o)
		var unknown *engagement.UnknownExceptions
		if errors.As(err, &unknown) {
			return hinted{err, "mailproof diff lists the exceptions as they stand"}
		}
		if err != nil {
			return err
		}
		return a.printDisposed(ctx, e, o, d, asJSON)
	}
	if o.DryRun {
		return a.withLedger(cmd, &workFlags{}, work)
	}
	if err := a.ledgerMustExist(); err != nil {
		return err
	}
	return a.withEngagement(cmd.Context(), cfg, options, work)
}

// disposeJSON is what dispose prints, schema mailproof/dispose/1.
type disposeJSON struct {
	Schema    string             `json:"schema"`
	DryRun    bool               `json:"dry_run"`
	As        string             `json:"as"`
	By        string             `json:"by"`
	Why       string             `json:"why"`
	Pass      mailproof.PassID   `json:"pass,omitempty"` // the diff that was decided on
	Decided   []decidedJSON      `json:"decided"`
	Findings  []findingRef       `json:"findings"`
	Unchanged int                `json:"unchanged"` // that match and were decided on before
	Verdict   *mailproof.Verdict `json:"verdict"`   // null with dry_run
	Open      int64              `json:"open"`      // exceptions without a decision, afterwards
	ExitCode  int                `json:"exit_code"`
}

type decidedJSON struct {
	ID      string                   `json:"id"`
	Account string                   `json:"account"`
	Folder  string                   `json:"folder"`
	UID     mailproof.UID            `json:"uid"`
	Verdict mailproof.MessageVerdict `json:"verdict"`
	Was     mailproof.Disposition    `json:"was"`
}

type findingRef struct {
	Check    string            `json:"check"`
	Subject  string            `json:"subject"`
	Outcome  mailproof.Outcome `json:"outcome"`
	Observed string            `json:"observed"`
}

func (a *app) printDisposed(ctx context.Context, e *engagement.Engagement, o engagement.DisposeOptions, d engagement.Disposed, asJSON bool) error {
	var result error
	if len(d.Exceptions)+len(d.Findings)+d.Same == 0 {
		result = exit{mailproof.Incomplete.ExitCode()}
	}
	recorded := !o.DryRun && len(d.Exceptions)+len(d.Findings) > 0
	out := disposeJSON{Schema: "mailproof/dispose/1", DryRun: o.DryRun, As: o.As.String(), By: o.By, Why: o.Why, Pass: d.Pass,
		Decided: []decidedJSON{}, Findings: []findingRef{}, Unchanged: d.Same, ExitCode: exitOf(result)}
	for _, x := range d.Exceptions {
		out.Decided = append(out.Decided, decidedJSON{x.ID, x.Account, x.Mailbox, x.Key.UID, x.Verdict, x.Disposition})
	}
	for _, f := range d.Findings {
		out.Findings = append(out.Findings, findingRef{f.Check, f.Domain + f.Account, f.Outcome, f.Observed})
	}
	lead := ""
	if recorded {
		doc, err := e.Document(ctx, d.After)
		if err != nil {
			return err
		}
		out.Verdict, lead = &doc.Verdict, doc.Lead()
		for _, x := range doc.Exceptions {
			if x.NeedsDecision() {
				out.Open++
			}
		}
		out.Open += doc.ExceptionsOmitted
	}
	if asJSON {
		return errors.Join(writeJSON(a.out, out), result)
	}
	if result != nil {
		fmt.Fprintln(a.out, "no exception matches: nothing was decided")
		a.hintf("mailproof diff lists the exceptions as they stand")
		return result
	}
	a.printChosen(o, d)
	if !recorded {
		return a.printNotRecorded(o, d)
	}
	fmt.Fprintf(a.out, "\nrecorded     %s\n", decidedLine(d, out.Pass))
	fmt.Fprintln(a.out)
	a.answer(out.Verdict.String(), lead)
	switch {
	case o.As == mailproof.Fixed:
		a.hintf("mailproof inventory reads both sides anew, and mailproof diff then says whether it is fixed")
	case out.Open > 0:
		a.hintf("%s still without a decision: mailproof diff", countOf(out.Open, "exception"))
	default:
		a.hintf("mailproof report writes the report with these decisions")
	}
	return nil
}

func decidedLine(d engagement.Disposed, pass mailproof.PassID) string {
	var parts []string
	if n := len(d.Exceptions); n > 0 {
		parts = append(parts, fmt.Sprintf("%s, on what diff pass %d found", countOf(int64(n), "decision"), pass))
	}
	if n := len(d.Findings); n > 0 {
		parts = append(parts, countOf(int64(n), "decision")+" on findings")
	}
	return strings.Join(parts, "; ")
}

func (a *app) printNotRecorded(o engagement.DisposeOptions, d engagement.Disposed) error {
	if len(d.Exceptions)+len(d.Findings) == 0 {
		fmt.Fprintf(a.out, "nothing to record: decided on already; name an exception by its number to decide again\n")
		return nil
	}
	fmt.Fprintln(a.out, "\nnothing was recorded (--dry-run)")
	a.hintf("the same command without --dry-run, with --by NAME and --why TEXT, records it")
	return nil
}

// printChosen prints what the decision covers: what it is in all, and the first
// of it by name.
func (a *app) printChosen(o engagement.DisposeOptions, d engagement.Disposed) {
	const most = 15
	if len(d.Exceptions) > 0 {
		kinds, accounts := map[string]int64{}, map[string]bool{}
		for _, x := range d.Exceptions {
			kinds[x.Verdict.String()]++
			accounts[x.Account] = true
		}
		var parts []string
		for kind, n := range kinds {
			parts = append(parts, count(n)+" "+kind)
		}
		slices.Sort(parts)
		a.fold(13, fmt.Sprintf("%-13s%s of %s: %s", o.As.String(), countOf(int64(len(d.Exceptions)), "exception"), countOf(int64(len(accounts)), "account"), strings.Join(parts, ", ")))
		fmt.Fprintln(a.out)
	}
	t := a.table("", "", "", "", "", "")
	for i, x := range d.Exceptions {
		if i == most {
			break
		}
		t.row("  "+x.ID, x.Account, x.Mailbox, fmt.Sprintf("uid %d", x.Key.UID), x.Verdict.String(), "was "+x.Disposition.String())
	}
	t.print()
	if n := len(d.Exceptions); n > most {
		fmt.Fprintf(a.out, "  … %s more\n", count(int64(n-most)))
	}
	for _, f := range d.Findings {
		a.printFinding(f)
	}
	if d.Same > 0 {
		fmt.Fprintf(a.out, "  %s decided on already\n", countOf(int64(d.Same), "matching exception"))
	}
}
