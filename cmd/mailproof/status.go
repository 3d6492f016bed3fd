package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
)

func (a *app) statusCommand() *cobra.Command {
	var f workFlags
	var h historyFlags
	cmd := &cobra.Command{
		Use:   "status",
		Short: "show how the engagement stands: passes, accounts, what could not be read",
		Long: `status shows the passes of the engagement, what changed from diff to diff, and the
latest reading of every account, from the ledger alone. No server is asked and no
verdict is given: mailproof diff does that.

Every pass has a root: a hash over all that it recorded, over what people said
since the pass before it, and over the root before. --verify re-computes all of
them from the rows of the ledger, and names the first pass that was tampered with.
The last root is what to write down, or to sign with mailproof seal: with --root
it is looked for, so that a history that was cut short, or made anew, is noticed
too.

Exit codes: 0; with --verify or --root 1 if the history does not hold, or if a
decision or an attestation stands outside of it; 2 could not run.`,
		Example: `  mailproof status --dir northgate
  mailproof status --verify --root 3f2a9c0d51be7a44`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withLedger(cmd, &f, func(ctx context.Context, e *engagement.Engagement) error {
				if h.wanted() {
					return a.verifyHistory(ctx, e, h, f.json)
				}
				st, err := e.Status(ctx)
				if err != nil {
					return err
				}
				history, err := e.History(ctx)
				if err != nil {
					return err
				}
				if f.json {
					return a.printStatusJSON(st, history)
				}
				a.printPasses(st.Passes, history)
				a.printChanges(history)
				a.printAccounts(st.Accounts)
				a.printSeals(st.Seals)
				return nil
			})
		},
	}
	f.addSelection(cmd)
	h.add(cmd)
	cmd.Flags().BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/status/1, or with --verify mailproof/history/1")
	return cmd
}

// passJSON is a pass as status and report print it.
type passJSON struct {
	ID       mailproof.PassID    `json:"id"`
	Kind     mailproof.PassKind  `json:"kind"`
	Side     string              `json:"side,omitempty"`
	State    mailproof.PassState `json:"state"`
	Started  time.Time           `json:"started"`
	Finished time.Time           `json:"finished,omitzero"`
	Messages int64               `json:"messages"`
	Bytes    int64               `json:"bytes"`
	Error    string              `json:"error,omitempty"`
	Root     string              `json:"root,omitempty"` // of the chain, in hexadecimal digits
}

func (a *app) printStatusJSON(st engagement.Status, h *engagement.History) error {
	passes := make([]passJSON, len(st.Passes))
	for i, p := range st.Passes {
		passes[i] = passJSON{p.ID, p.Kind, sideName(p.Side), p.State, p.Started, p.Finished, p.Messages, p.Bytes, p.Error, h.Roots[p.ID]}
	}
	return writeJSON(a.out, struct {
		Schema string `json:"schema"`
		engagement.Status
		Passes  []passJSON   `json:"passes"`
		Changes []changeJSON `json:"changes"`
		Head    string       `json:"head"` // root of the last link of the chain
	}{"mailproof/status/1", st, passes, changesJSON(h), h.Head})
}

func sideName(s mailproof.Side) string {
	if s == 0 {
		return ""
	}
	return s.String()
}

func (a *app) printPasses(passes []mailproof.Pass, h *engagement.History) {
	const most = 12
	if len(passes) > most {
		fmt.Fprintf(a.out, "%s before these\n", countOf(int64(len(passes)-most), "pass"))
		passes = passes[len(passes)-most:]
	}
	t := a.table(">pass", "what", "side", "began", ">took", ">messages", ">octets", "root", "state")
	for _, p := range passes {
		took, state := "–", p.State.String()
		if !p.Finished.IsZero() {
			took = terminal.Duration(p.Finished.Sub(p.Started))
		}
		if p.Error != "" {
			state += ": " + p.Error
		}
		t.row(count(int64(p.ID)), p.Kind.String(), sideName(p.Side), terminal.Time(p.Started), took, count(p.Messages), size(p.Bytes), shortRoot(h.Roots[p.ID]), state)
	}
	t.print()
}

func (a *app) printAccounts(accounts []engagement.AccountStatus) {
	fmt.Fprintln(a.out)
	t := a.table("account", ">source", ">destination", "trouble")
	for _, s := range accounts {
		troubles := append(sideTroubles("source", s.Source), sideTroubles("destination", s.Destination)...)
		first := ""
		if len(troubles) > 0 {
			first = troubles[0]
			if len(troubles) > 1 {
				first += fmt.Sprintf(" (and %d more)", len(troubles)-1)
			}
		}
		t.row(s.Account, sideCount(s.Source), sideCount(s.Destination), first)
	}
	t.print()
}

func sideCount(s engagement.SideStatus) string {
	if !s.Read {
		return "–"
	}
	return count(s.Messages)
}

func sideTroubles(name string, s engagement.SideStatus) []string {
	var out []string
	switch {
	case !s.Read:
		out = append(out, name+": never read")
	case s.State != mailproof.PassDone:
		out = append(out, fmt.Sprintf("%s: %s %s", name, s.State, s.Error))
	}
	for _, t := range s.Troubles {
		out = append(out, name+": "+t)
	}
	return out
}
