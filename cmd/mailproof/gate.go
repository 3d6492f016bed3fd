package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

// addGate gives check the flag --gate: with it, check asks no server and says
// whether every step of the runbook before a gate holds.
func (a *app) addGate(check *cobra.Command) {
	var gate string
	check.Flags().StringVar(&gate, "gate", "", "no server is asked: does every step of the runbook before this `gate` hold? cutover or decommission")
	check.Long += `

--gate cutover and --gate decommission look at the runbook instead, from the
ledger alone: the exit code is 0 only when every step before the gate holds, and
what is missing is named with what to do about it.`
	check.Example += `
  mailproof check --gate cutover && echo "go"`
	run := check.RunE
	check.RunE = func(cmd *cobra.Command, args []string) error {
		if gate == "" {
			return run(cmd, args)
		}
		asJSON, err := cmd.Flags().GetBool("json")
		if err != nil {
			return err
		}
		return a.gate(cmd, gate, asJSON)
	}
}

// gateJSON is what check --gate prints, schema mailproof/gate/1.
type gateJSON struct {
	Schema   string                   `json:"schema"`
	Gate     string                   `json:"gate"`
	Open     bool                     `json:"open"` // every step before it holds
	Steps    int                      `json:"steps"`
	Missing  []engagement.RunbookItem `json:"missing"`
	ExitCode int                      `json:"exit_code"`
}

func (a *app) gate(cmd *cobra.Command, name string, asJSON bool) error {
	return a.withLedger(cmd, &workFlags{}, func(ctx context.Context, e *engagement.Engagement) error {
		r, err := a.makeRunbook(ctx, e)
		if err != nil {
			return err
		}
		missing, title, err := r.Missing(name)
		if err != nil {
			return hinted{err, "write --gate cutover or --gate decommission"}
		}
		var result error
		if len(missing) > 0 {
			result = exit{mailproof.Incomplete.ExitCode()}
		}
		steps := r.Before(name)
		if asJSON {
			return errors.Join(writeJSON(a.out, gateJSON{"mailproof/gate/1", name, result == nil, steps, orEmpty(missing), exitOf(result)}), result)
		}
		if result == nil {
			fmt.Fprintf(a.out, "gate %s: open, all %s before it hold; %s\n", name, countOf(int64(steps), "step"), title)
			return nil
		}
		a.printSteps(missing)
		fmt.Fprintf(a.out, "\ngate %s: closed, %d of %s before it do not hold\n", name, len(missing), countOf(int64(steps), "step"))
		a.hintf("%s", missing[0].Next)
		return result
	})
}
