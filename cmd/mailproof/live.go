package main

import (
	"fmt"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
)

// liveText says how far a pass is, by what it has recorded.
func liveText(v *engagement.Live) string {
	p := v.Pass
	switch {
	case v.Cut():
		return "cut off: nobody works on the ledger"
	case p.State == mailproof.PassRunning && p.Kind == mailproof.CopyPass:
		return fmt.Sprintf("%s of %s carried out", count(v.Results), countOf(v.Steps, "step"))
	case p.State == mailproof.PassRunning && p.Kind == mailproof.InventoryPass:
		return fmt.Sprintf("%s new so far, %d of %s read", countOf(v.Messages, "message"), v.Ended, countOf(v.Begun, "account"))
	case p.State == mailproof.PassRunning:
		return "running"
	case p.Error != "":
		return p.State.String() + ": " + p.Error
	}
	return fmt.Sprintf("%s, %s", p.State, countOf(p.Messages, "message"))
}
