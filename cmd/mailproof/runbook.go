package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
)

func (a *app) runbookCommand() *cobra.Command {
	var phase int
	var asJSON, markdown bool
	cmd := &cobra.Command{
		Use:   "runbook",
		Short: "show every step of the migration: what holds, on what evidence, what to do next",
		Long: `runbook shows the steps of a migration, from the terms to the day on which the old
server is switched off. Measured steps take their state from the ledger and
cannot be ticked by hand; the others rest on a person's word, which mailproof
attest records with name, time and note. No server is asked, and nothing is
written.

  done             measured so, or attested
  open             nothing says that it was done
  failed           it was measured, and does not hold
  not applicable   the engagement does not have it

The exit code is 0 whatever stands: mailproof check --gate cutover and
mailproof check --gate decommission say whether the steps before a gate hold.`,
		Example: `  mailproof runbook --dir northgate
  mailproof runbook --phase 3
  mailproof runbook --markdown > runbook.md
  mailproof runbook --json | jq -r '.steps[] | select(.state=="open") | .next'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withLedger(cmd, &workFlags{}, func(ctx context.Context, e *engagement.Engagement) error {
				r, err := a.makeRunbook(ctx, e)
				if err != nil {
					return err
				}
				if err := narrow(r, phase); err != nil {
					return err
				}
				switch {
				case asJSON:
					return writeJSON(a.out, runbookJSON{Schema: "mailproof/runbook/1", Runbook: r})
				case markdown:
					return writeRunbookMarkdown(a.out, r)
				}
				a.printRunbook(r)
				return nil
			})
		},
	}
	fs := cmd.Flags()
	fs.IntVar(&phase, "phase", 0, "this phase only, `1` to 4")
	fs.BoolVar(&asJSON, "json", false, "print as JSON, schema mailproof/runbook/1")
	fs.BoolVar(&markdown, "markdown", false, "print as a Markdown checklist")
	cmd.MarkFlagsMutuallyExclusive("json", "markdown")
	return cmd
}

// runbookJSON is what runbook prints: the steps as the report has them, each
// with what to do next where it does not hold.
type runbookJSON struct {
	Schema string `json:"schema"`
	*engagement.Runbook
}

func (a *app) makeRunbook(ctx context.Context, e *engagement.Engagement) (*engagement.Runbook, error) {
	c, err := e.Compare(ctx, nil)
	if err != nil {
		return nil, err
	}
	return e.Runbook(ctx, c)
}

// narrow leaves one phase; 0 leaves all.
func narrow(r *engagement.Runbook, phase int) error {
	if phase == 0 {
		return nil
	}
	var phases []engagement.RunbookPhase
	for _, p := range r.Phases {
		if p.Number == phase {
			phases = append(phases, p)
		}
	}
	if len(phases) == 0 {
		return hinted{fmt.Errorf("phase %d is not in the runbook", phase), fmt.Sprintf("write --phase 1 to %d", len(r.Phases))}
	}
	var steps []engagement.RunbookItem
	for _, s := range r.Steps {
		if s.Phase == phase {
			steps = append(steps, s)
		}
	}
	r.Phases, r.Steps = phases, steps
	return nil
}

var runbookStyles = map[mailproof.RunbookState]terminal.Style{
	mailproof.RunbookDone: terminal.Good, mailproof.RunbookOpen: terminal.Caution, mailproof.RunbookFailed: terminal.Bad, mailproof.RunbookNotApplicable: terminal.Faint,
}

func (a *app) printRunbook(r *engagement.Runbook) {
	counts := map[mailproof.RunbookState]int64{}
	for i, p := range r.Phases {
		var steps []engagement.RunbookItem
		hold := 0
		for _, s := range r.Steps {
			if s.Phase == p.Number {
				steps = append(steps, s)
				counts[s.State]++
				if s.Holds() {
					hold++
				}
			}
		}
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "%s  %d of %s\n", a.bold(fmt.Sprintf("phase %d  %s", p.Number, p.Title)), hold, countOf(int64(len(steps)), "step"))
		a.printSteps(steps)
	}
	a.printRunbookSum(r, counts)
}

// printSteps prints steps, each with what it rests on and what to do about it.
func (a *app) printSteps(steps []engagement.RunbookItem) {
	t := &table{Table: terminal.Table{Indent: 2, Color: a.term.OutColor, Columns: []terminal.Column{{Min: 6}, {}, {Min: 24}, {Min: 8}}}, app: a}
	for _, s := range steps {
		state := s.State.String()
		if s.State == mailproof.RunbookNotApplicable {
			state = "n/a"
		}
		t.Cells(terminal.Cell{Text: state, Style: runbookStyles[s.State]}, terminal.Cell{Text: s.ID}, terminal.Cell{Text: s.Title}, terminal.Cell{Text: s.Owner})
	}
	for i, line := range t.Lines(a.term.Width()) {
		fmt.Fprintln(a.out, line)
		s := steps[i]
		for _, text := range basisOf(&s) {
			a.fold(12, "          "+text) // evidence is folded and not cut
		}
		if s.Next != "" {
			a.fold(14, "          do: "+s.Next)
		}
	}
}

// basisOf is what a step rests on: what was measured, and what was said.
func basisOf(s *engagement.RunbookItem) []string {
	var out []string
	if s.Basis != "" {
		out = append(out, s.Basis)
	}
	if s.By != "" {
		said := s.By + ", " + terminal.Time(s.When)
		if s.Note != "" {
			said += ": " + s.Note
		}
		out = append(out, said)
	}
	return out
}

func (a *app) printRunbookSum(r *engagement.Runbook, counts map[mailproof.RunbookState]int64) {
	line := fmt.Sprintf("%d of %s hold", counts[mailproof.RunbookDone]+counts[mailproof.RunbookNotApplicable], countOf(int64(len(r.Steps)), "step"))
	if n := counts[mailproof.RunbookOpen]; n > 0 {
		line += fmt.Sprintf(", %d open", n)
	}
	if n := counts[mailproof.RunbookFailed]; n > 0 {
		line += fmt.Sprintf(", %d failed", n)
	}
	if !r.CutOver.IsZero() {
		fmt.Fprintln(a.out)
		a.fold(13, fmt.Sprintf("cut-over     %s: %s", terminal.Time(r.CutOver), r.CutOverBasis))
	}
	fmt.Fprintf(a.out, "\n%s\n", line)
	if counts[mailproof.RunbookOpen]+counts[mailproof.RunbookFailed] > 0 {
		a.hintf("mailproof check --gate cutover, or --gate decommission, says what is missing before that")
	}
}

// writeRunbookMarkdown writes a checklist that people can paste where they
// work.
func writeRunbookMarkdown(w io.Writer, r *engagement.Runbook) error {
	var b strings.Builder
	b.WriteString("# Runbook\n")
	for _, p := range r.Phases {
		fmt.Fprintf(&b, "\n## Phase %d: %s\n\n", p.Number, p.Title)
		for i := range r.Steps {
			s := &r.Steps[i]
			if s.Phase != p.Number {
				continue
			}
			box := " "
			if s.Holds() {
				box = "x"
			}
			fmt.Fprintf(&b, "- [%s] **%s** (`%s`, %s, %s): %s\n", box, markdown(s.Title), s.ID, s.Owner, s.Evidence, s.State)
			for _, text := range basisOf(s) {
				fmt.Fprintf(&b, "  - %s\n", markdown(text))
			}
			if s.Next != "" {
				fmt.Fprintf(&b, "  - next: `%s`\n", strings.ReplaceAll(s.Next, "`", "'"))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// markdown escapes what Markdown would read as more than text.
func markdown(s string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", "[", `\[`, "|", `\|`, "#", `\#`).Replace(clean(s))
}
