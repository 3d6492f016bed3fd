// Mailproof proves that an e-mail migration is complete: it fingerprints every
// message on the source and the destination account, performs the copy and the
// differential passes, compares both sides message by message, audits the
// domain's DNS and writes the sign-off report.
//
// This package is the roof of the house: it reads flags, joins the rooms
// through the engagement, prints and exits. There is one file per subcommand.
// Results go to stdout, everything else to stderr, and the exit code is, after
// diff(1):
//
//	0    complete
//	1    differences, or failed checks
//	2    could not run: usage, configuration, the ledger; a panic lands here too
//	3    inconclusive: something could not be read
//	130  cancelled
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/credential"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
)

// version is set at release with -ldflags "-X main.version=1.2.3".
var version = "0.1.0-dev"

// The exit codes that no verdict stands for.
const (
	exitUsage     = 2
	exitCancelled = 130
)

func main() {
	keepFromDumps()
	ballast := saveMemory()
	code := run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	runtime.KeepAlive(ballast)
	os.Exit(code)
}

// run is main without the process, so that tests can call it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) (code int) {
	a := &app{stdin: stdin, out: stdout, err: stderr}
	defer func() {
		if r := recover(); r != nil {
			text := fmt.Sprintf("error: internal error: %v\n%s\nhint: this is a bug in mailproof; the ledger is as the last commit left it\n", r, debug.Stack())
			_, _ = io.WriteString(stderr, a.resolver.Mask(text))
			code = exitUsage
		}
	}()
	root := a.root()
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return a.exitCode(root.ExecuteContext(ctx))
}

// app is what the subcommands share: the flags that all have, and the
// terminal.
type app struct {
	stdin    io.Reader
	out, err io.Writer
	dir      string
	color    string
	progress string
	mode     terminal.Mode
	term     *terminal.Terminal
	// stagesOnErr sends the lines of finished stages to stderr, where stdout
	// carries JSON.
	stagesOnErr bool
	resolver    *credential.Resolver // of the passwords in use; nil where there are none
	used        map[login]string     // what signs in where, to be shown
	warned      map[string]bool
	said        map[string]bool
}

// exit is a result that is no error and yet not 0: a verdict.
type exit struct{ code int }

func (e exit) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// verdict turns a verdict into the command's result.
func verdict(v mailproof.Verdict) error {
	if code := v.ExitCode(); code != 0 {
		return exit{code}
	}
	return nil
}

// hinted is an error with what to do next; terminal.Error prints both.
type hinted struct {
	err  error
	hint string
}

func (h hinted) Error() string   { return h.err.Error() }
func (h hinted) Unwrap() error   { return h.err }
func (h hinted) Hints() []string { return []string{h.hint} }

// exitCode prints what must be printed of a command's end, and chooses the
// exit code.
func (a *app) exitCode(err error) int {
	var e exit
	switch {
	case err == nil:
		return 0
	case errors.As(err, &e):
		return e.code
	}
	if a.term == nil { // the flags could not be read
		a.term = terminal.Plain(a.out, a.err)
	}
	if engagement.IsStop(err) {
		a.notef("cancelled: the ledger holds everything up to here, and the same command goes on from it")
		return exitCancelled
	}
	a.term.Error(err)
	if len(terminal.Hints(err)) == 0 {
		if h := engagement.Hint(err); h != "" {
			a.hintf("%s", h)
		}
	}
	return exitUsage
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "mailproof",
		Short: "prove that an e-mail migration is complete",
		Long: `mailproof proves that an e-mail migration is complete.

It fingerprints every message on the source and the destination IMAP account
into a ledger, copies what is missing, compares both sides message by message,
audits the domain's MX, SPF and Autodiscover records, and writes the sign-off
report as HTML, PDF and JSON. The source is only ever read.

One directory holds one engagement: mailproof.toml, the list of accounts, the
ledger mailproof.db and the reports.`,
		Example: `  mailproof demo
  mailproof run --source imaps://anna@old.example --destination imaps://anna@new.example \
      --source-password env:OLD --destination-password env:NEW
  mailproof init --dir northgate && mailproof check --dir northgate && mailproof run --dir northgate`,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			return a.openTerminal()
		},
	}
	root.PersistentFlags().StringVar(&a.dir, "dir", ".", "`directory` of the engagement")
	root.PersistentFlags().StringVar(&a.color, "color", "auto", "colours: auto, always or never; NO_COLOR is honoured")
	root.PersistentFlags().StringVar(&a.progress, "progress", "auto", "progress on stderr: auto (a bar on a terminal, a line every 30 s elsewhere), bar, lines, json or off")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return hinted{err, "mailproof " + strings.TrimPrefix(cmd.CommandPath(), "mailproof ") + " --help shows the flags"}
	})
	// The flags are folded as what the commands print is.
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages ", fmt.Sprintf(".FlagUsagesWrapped %d ", terminal.DefaultWidth)))
	root.AddCommand(
		a.demoCommand(), a.initCommand(), a.checkCommand(), a.inventoryCommand(), a.copyCommand(), a.diffCommand(),
		a.explainCommand(), a.dnsCommand(), a.reportCommand(), a.runCommand(), a.statusCommand(), a.credentialsCommand(), a.versionCommand(), a.providersCommand(),
	)
	root.AddCommand(a.listCommand())
	a.addSignOff(root)
	root.AddCommand(a.evidenceCommands()...)
	return root
}
