package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/diff"
)

func (a *app) diffCommand() *cobra.Command {
	var f workFlags
	var format string
	cmd := &cobra.Command{
		Use:   "diff",
		Short: "compare the latest inventories, message by message",
		Long: `diff compares the latest inventories of both sides and says what became of every
message. It reads the ledger and nothing else: no server is asked, and nothing
is written.

--format lines prints one line a message, with a sigil as of rclone check:
  =  the same, at the tier named     *  a counterpart exists and differs
  -  missing on the destination      +  on the destination only
  !  nothing can be said

Exit codes: 0 complete, 1 differences, 3 inconclusive, 2 could not run.`,
		Example: `  mailproof diff --dir northgate
  mailproof diff --format lines | grep '^[^=]'
  mailproof diff --json | jq .accounts`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.json && format != "" {
				return errors.New("--json goes without --format")
			}
			if format != "" && format != "summary" && lineFormats[format] == nil {
				return hinted{fmt.Errorf("--format %s is not known", format), "write summary, lines or tsv"}
			}
			return a.withLedger(cmd, &f, func(ctx context.Context, e *engagement.Engagement) error {
				e.Partial = true // who asks for one account gets an answer about that one
				return a.diff(ctx, e, f.json, lineFormats[format])
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "summary (the default), lines (one line a message) or tsv (the same, parted by tabs)")
	f.addSelection(cmd)
	f.addRules(cmd)
	f.addJSON(cmd)
	return cmd
}

func (a *app) diff(ctx context.Context, e *engagement.Engagement, asJSON bool, lines lineFormat) error {
	var onResult func(diff.Result) error
	out := bufio.NewWriterSize(a.out, 64<<10)
	if lines != nil {
		onResult = func(r diff.Result) error { return writeLine(out, lines, r) }
	}
	c, err := e.Compare(ctx, onResult)
	if err := errors.Join(err, out.Flush()); err != nil {
		return err
	}
	d, err := e.Document(ctx, c)
	if err != nil {
		return err
	}
	if asJSON {
		return errors.Join(d.WriteJSON(a.out), verdict(d.Verdict))
	}
	if lines != nil {
		if c.Sample != nil {
			a.notef("sample: %s", c.Sample.Sentence())
		}
		a.notef("%s", d.Verdict)
		return verdict(d.Verdict)
	}
	a.printCompareLine(c)
	a.printVerdict(d)
	a.printDepth(c)
	return verdict(d.Verdict)
}

// printCompareLine prints the one line of a finished comparison.
func (a *app) printCompareLine(c engagement.Comparison) {
	t := c.Totals
	text := count(t.AllIdentical()) + " identical"
	for _, term := range []struct {
		n    int64
		word string
	}{
		{t.AllEquivalent(), "equivalent"}, {t.Relocated, "relocated"}, {t.Altered, "altered"}, {t.Missing, "missing"},
		{t.DuplicateCollapsed, "collapsed"}, {t.Excluded, "excluded"}, {t.Unverifiable, "unverifiable"}, {t.NotChecked, "not checked"},
		{t.Extra, "extra"}, {t.DuplicateSurplus, "surplus"},
	} {
		if term.n > 0 {
			text += ", " + count(term.n) + " " + term.word
		}
	}
	a.stage("diff", "", text, c.Took)
}

// printExceptions prints those that need a decision, the first of them by
// name: where the message is, and below it why. Exceptions of one account that
// have verdict and reasons in common are one line from the fourth on: what one
// cause has done to a thousand messages is one thing to know.
func (a *app) printExceptions(list []mailproof.Exception, omitted int64) {
	const most = 25
	var noted, rest int64
	t := a.table("", "", "", "", "")
	var why []string
	groups := groupExceptions(openFirst(list))
	for _, g := range groups {
		switch x := g[0]; {
		case x.Disposition == mailproof.Noted:
			noted += int64(len(g))
		case t.Len() == most:
			rest += int64(len(g))
		case len(g) == 1:
			t.row("  "+x.ID, x.Account, x.Mailbox, fmt.Sprintf("uid %d", x.Key.UID), verdictAndDecision(x))
			why = append(why, reasonsOf(x))
		default:
			t.row("  "+x.ID+" …", x.Account, countOf(foldersOf(g), "folder"), countOf(int64(len(g)), "message"), verdictAndDecision(x))
			why = append(why, reasonsOf(x))
		}
	}
	if t.Len() > 0 {
		fmt.Fprintln(a.out)
	}
	for i, line := range t.Lines(a.term.Width()) {
		fmt.Fprintln(a.out, line)
		if why[i] != "" {
			// The server's own words are not cut for the sake of a width.
			fmt.Fprintln(a.out, "         "+clean(why[i]))
		}
	}
	if id := firstOpen(groups); id != "" {
		a.hintf("mailproof explain %s shows both sides of one, what differs and what to do", id)
		a.hintf("mailproof dispose %s --as accepted --by NAME --why TEXT records a decision on it", id)
	}
	if rest += omitted; rest > 0 {
		fmt.Fprintf(a.out, "  … %s more; mailproof diff --format lines names all\n", count(rest))
	}
	if noted > 0 {
		fmt.Fprintf(a.out, "\n%s for the record, relocated or surplus: section 9 of the report, and diff --format lines\n", countOf(noted, "message"))
	}
}

// openFirst puts those that nobody has decided on before the others.
func openFirst(list []mailproof.Exception) []mailproof.Exception {
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(x, y mailproof.Exception) int {
		return cmp.Compare(min(1, x.Disposition), min(1, y.Disposition))
	})
	return out
}

// verdictAndDecision is "missing", or "missing, accepted".
func verdictAndDecision(x mailproof.Exception) string {
	if x.Disposition == mailproof.Open {
		return x.Verdict.String()
	}
	return x.Verdict.String() + ", " + x.Disposition.String()
}

// firstOpen is the number of the first exception that awaits a decision.
func firstOpen(groups [][]mailproof.Exception) string {
	for _, g := range groups {
		if g[0].NeedsDecision() {
			return g[0].ID
		}
	}
	return ""
}

// groupExceptions puts together the exceptions of an account that have verdict,
// disposition and reasons in common, if there are more than three of them.
// Order is kept by the first of each group.
func groupExceptions(list []mailproof.Exception) [][]mailproof.Exception {
	type key struct {
		account     string
		verdict     mailproof.MessageVerdict
		disposition mailproof.Disposition
		reasons     string
	}
	of := func(x mailproof.Exception) key {
		var reasons strings.Builder
		for _, r := range x.Reasons {
			reasons.WriteString(r.String() + "\n")
		}
		return key{x.Account, x.Verdict, x.Disposition, reasons.String()}
	}
	members := map[key][]mailproof.Exception{}
	for _, x := range list {
		members[of(x)] = append(members[of(x)], x)
	}
	var groups [][]mailproof.Exception
	for _, x := range list {
		k := of(x)
		switch g := members[k]; {
		case len(g) > 3:
			groups = append(groups, g)
			members[k] = nil
		case len(g) > 0:
			groups = append(groups, []mailproof.Exception{x})
		}
	}
	return groups
}

func foldersOf(g []mailproof.Exception) int64 {
	seen := map[string]bool{}
	for _, x := range g {
		seen[x.Mailbox] = true
	}
	return int64(len(seen))
}

func reasonsOf(x mailproof.Exception) string {
	if len(x.Reasons) == 0 {
		return ""
	}
	text := x.Reasons[0].String()
	if len(x.Reasons) > 1 {
		text += fmt.Sprintf(" (and %d more)", len(x.Reasons)-1)
	}
	return text
}
