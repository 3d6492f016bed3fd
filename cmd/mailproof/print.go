package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
)

// openTerminal finds out what the two streams are.
func (a *app) openTerminal() (err error) {
	if a.mode, err = terminal.ParseMode(a.progress); err != nil {
		return err
	}
	out, isFile := a.out.(*os.File)
	errFile, errIsFile := a.err.(*os.File)
	if isFile && errIsFile {
		if a.term, err = terminal.New(out, errFile, a.color); err != nil {
			return err
		}
	} else {
		a.term = terminal.Plain(a.out, a.err)
	}
	// From here on everything goes through the terminal, so that a progress
	// display steps aside for it.
	a.out, a.err = a.term.Out, a.term.Err
	return nil
}

func count(n int64) string { return terminal.Count(n) }
func size(n int64) string  { return terminal.Size(n) }
func clean(s string) string {
	return terminal.Escape(s)
}

// countOf is "1 message" or "2 messages".
func countOf(n int64, word string) string { return terminal.Of(n, word, word+"s") }

// sizeOf is ", 14.2 GB read", or nothing for no octets.
func sizeOf(n int64, after string) string {
	if n == 0 {
		return ""
	}
	return ", " + size(n) + after
}

func (a *app) bold(s string) string {
	return terminal.Paint(s, terminal.Strong, a.term.OutColor)
}

// stage prints the line of a finished stage. Stages without a duration of
// their own are printed without one.
func (a *app) stage(name, side, text string, took time.Duration) {
	switch {
	case took == 0:
		line := fmt.Sprintf("%-13s%s", name, text)
		if side != "" {
			line = fmt.Sprintf("%-13s%-13s%s", name, side, text)
		}
		a.say(line)
	case a.stagesOnErr:
		a.term.Note(terminal.StageLine(name, side, text, took, a.term.Width()))
	default:
		a.term.Stage(name, side, text, took)
	}
}

func (a *app) say(line string) {
	if a.stagesOnErr {
		a.term.Note(line)
		return
	}
	a.term.Println(line)
}

// fold prints a line of a result, folded where it is too long for the screen;
// the further lines stand indent columns in.
func (a *app) fold(indent int, line string) {
	for _, l := range terminal.Fold(clean(line), a.term.Width(), indent) {
		fmt.Fprintln(a.out, l)
	}
}

// remark writes a line beside the results, folded as they are.
func (a *app) remark(text string) {
	for _, l := range terminal.Fold(clean(text), a.term.Width(), 2) {
		fmt.Fprintln(a.err, l)
	}
}

// answer prints the last line of a result, "INCOMPLETE: 3 of 148,213 messages
// are missing", with its first words in bold.
func (a *app) answer(verdict, text string) {
	for i, l := range terminal.Fold(clean(verdict+": "+text), a.term.Width(), 2) {
		if i == 0 {
			l = a.bold(verdict) + strings.TrimPrefix(l, verdict)
		}
		fmt.Fprintln(a.out, l)
	}
}

func (a *app) errorf(format string, args ...any) { a.term.Error(fmt.Errorf(format, args...)) }
func (a *app) warnf(format string, args ...any)  { a.term.Warn(fmt.Sprintf(format, args...)) }
func (a *app) hintf(format string, args ...any)  { a.term.Hint(fmt.Sprintf(format, args...)) }
func (a *app) notef(format string, args ...any)  { a.term.Note(fmt.Sprintf(format, args...)) }

func (a *app) warnOnce(key, format string, args ...any) {
	if a.warned == nil {
		a.warned = map[string]bool{}
	}
	if !a.warned[key] {
		a.warned[key] = true
		a.warnf(format, args...)
	}
}

// table is a table with its way out.
type table struct {
	terminal.Table
	app *app
}

// table makes a table; a title that begins with > heads a column of figures.
func (a *app) table(titles ...string) *table {
	t := &table{app: a}
	for i, title := range titles {
		right := len(title) > 0 && title[0] == '>'
		if right {
			title = title[1:]
		}
		c := terminal.Column{Title: title, Right: right}
		switch last := i == len(titles)-1; {
		case last && !right:
			c.Min = 36 // what was found gives way last
		case !right:
			c.Min = 10
		}
		t.Columns = append(t.Columns, c)
	}
	t.Color = a.term.OutColor
	return t
}

func (t *table) row(cells ...string) { t.Row(cells...) }

func (t *table) print() {
	// A stream that takes no more is noticed where it matters, at the end.
	_ = t.app.term.Lines(t.Lines(t.app.term.Width()))
}

// withEngagement opens the engagement for writing, with both stages of Ctrl-C
// and the progress display, and closes it whatever happens.
func (a *app) withEngagement(ctx context.Context, cfg *config.Config, o engagement.Options, f func(context.Context, *engagement.Engagement) error) (err error) {
	drain, hard, stop := terminal.Interrupts(ctx, a.term)
	defer stop()
	o.Stop, o.Progress = drain.Done(), a.newProgress
	e, err := engagement.Open(hard, a.dir, cfg, o)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := e.Close(); err == nil {
			err = cerr
		}
	}()
	defer func() {
		if a.resolver == nil {
			return
		}
		for _, w := range a.resolver.Warnings() {
			a.warnOnce(w, "%s", w)
		}
	}()
	return f(hard, e)
}

// withLedger opens the engagement for reading.
func (a *app) withLedger(cmd *cobra.Command, f *workFlags, run func(context.Context, *engagement.Engagement) error) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	o, err := a.options(cmd, f, cfg)
	if err != nil {
		return err
	}
	for _, name := range f.only {
		o.Accounts = append(o.Accounts, engagement.Account{Account: mailproof.Account{Name: name}})
	}
	e, err := engagement.OpenReadOnly(cmd.Context(), a.dir, cfg, o)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := e.Close(); err == nil {
			err = cerr
		}
	}()
	return run(cmd.Context(), e)
}

// newProgress opens the display of one stage.
func (a *app) newProgress(kind mailproof.PassKind, side mailproof.Side) (mailproof.Progress, func()) {
	p := terminal.NewProgress(a.term, a.mode)
	p.Begin(kind, side)
	return p.Sink(), func() {
		p.End(kind, side)
		// A display that could not be drawn takes nothing from the work.
		_ = p.Stop()
	}
}

// counting opens the display of something that is no pass.
func (a *app) counting(w terminal.Work) func(mailproof.PassKind, mailproof.Side) (mailproof.Progress, func()) {
	return func(mailproof.PassKind, mailproof.Side) (mailproof.Progress, func()) {
		p := terminal.NewProgress(a.term, a.mode)
		p.Count(w)
		return p.Sink(), func() { _ = p.Stop() } // as in newProgress
	}
}

// addSelection adds the flag that narrows a command to some accounts.
func (f *workFlags) addSelection(cmd *cobra.Command) {
	cmd.Flags().StringSliceVar(&f.only, "account", nil, "this `account` only (may be repeated)")
}

// within joins a path of the engagement for messages.
func (a *app) within(name string) string { return filepath.Join(a.dir, name) }
