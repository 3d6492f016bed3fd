package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

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

// progressEvery is how often a command that works on lines says how far it is.
const progressEvery = 30 * time.Second

// lineProgress says now and then how many lines are done.
func (a *app) lineProgress(what string) func(lines int64) {
	if a.mode == terminal.ModeOff || a.mode == terminal.ModeJSON {
		return nil
	}
	last := time.Now()
	return func(lines int64) {
		if now := time.Now(); now.Sub(last) >= progressEvery {
			last = now
			a.notef("%s: %s lines", what, count(lines))
		}
	}
}

// interruptible ends with Ctrl-C. What reads bundles has nothing to drain, and
// removes what it wrote for sorting.
func interruptible(ctx context.Context) (context.Context, func()) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
