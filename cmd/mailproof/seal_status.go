package main

import (
	"fmt"

	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/ledger"
)

// printSeals prints the bundles that were made, the latest last.
func (a *app) printSeals(seals []ledger.Seal) {
	if len(seals) == 0 {
		return
	}
	fmt.Fprintln(a.out)
	t := a.table("bundle", "sealed", "privacy", "verdict")
	for _, s := range seals {
		t.row(s.Bundle, terminal.Time(s.Sealed), s.Privacy, s.Verdict)
	}
	t.print()
}
