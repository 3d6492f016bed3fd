package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

// addSignOff adds the commands that lead from the last diff to the signatures.
func (a *app) addSignOff(root *cobra.Command) {
	root.AddCommand(a.runbookCommand(), a.attestCommand(), a.probeCommand(), a.disposeCommand(), a.serveCommand())
	for _, c := range root.Commands() {
		if c.Name() == "check" {
			a.addGate(c)
		}
	}
}

// ledgerMustExist refuses to make a ledger where a person's word is to be
// recorded: in the wrong directory that would be about nothing.
func (a *app) ledgerMustExist() error {
	path := a.within(engagement.LedgerFile)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s does not exist", engagement.ErrNoLedger, path)
	}
	return nil
}
