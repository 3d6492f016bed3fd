package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/mailproof/mailproof"
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

// lineBar shows how far a command is that works on lines, as the others show
// their messages. A plan that turns out too small grows.
func (a *app) lineBar(what string) (planned, done func(lines int64), stop func()) {
	p := terminal.NewProgress(a.term, a.mode)
	p.Count(terminal.Work{Label: what, Unit: "lines"})
	sink := p.Sink()
	var plan, have int64
	planned = func(lines int64) {
		sink(mailproof.Tick{Planned: lines - plan})
		plan = lines
	}
	done = func(lines int64) {
		planned(max(plan, lines))
		sink(mailproof.Tick{Done: lines - have})
		have = lines
	}
	// A display that could not be drawn takes nothing from the work.
	return planned, done, func() { _ = p.Stop() }
}

// interruptible ends with Ctrl-C. What reads bundles has nothing to drain, and
// removes what it wrote for sorting.
func interruptible(ctx context.Context) (context.Context, func()) {
	return signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
}
