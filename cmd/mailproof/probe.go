package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/ledger"
)

// probeFlags are those of probe alone.
type probeFlags struct {
	from, to, resolver, expect string
	hosts                      []string
	wait, settle, interval     time.Duration
}

func (a *app) probeCommand() *cobra.Command {
	var f workFlags
	var p probeFlags
	cmd := &cobra.Command{
		Use:   "probe --from ADDRESS [--account ACCOUNT]",
		Short: "send one message to an account, and see which server it reaches",
		Long: `probe sends one message, "mailproof probe, please ignore", to an account's address:
by the mail exchanges that DNS names, as any sender would. Then it looks for the
message on both servers, by EXAMINE and BODY.PEEK, and says where it arrived.
That is what two steps of the runbook rest on: that mail still reaches the old
server, and, after the cut-over, that it reaches the new one only.

This is the only command that sends mail, and it sends to that address alone. The
message stays in the mailbox: on the old server an inventory finds it like any
other, and copies it. Connections to port 25 must be allowed from here; many
networks forbid them.

Once one server has the message, the other is looked at for --settle longer,
as a redirection takes a while.

Exit codes: 0 it arrived, with --expect there and nowhere else; 1 it arrived
elsewhere; 3 it was not seen in time, or a server could not be watched; 2 could
not run, or no mail exchange took it.`,
		Example: `  mailproof probe --from migration@provider.example --account anna@example.com --expect source
  mailproof probe --dir northgate --from migration@provider.example --account anna@example.com --expect destination --wait 10m`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.probe(cmd, &f, &p) },
	}
	f.addAccounts(cmd)
	fs := cmd.Flags()
	_ = fs.MarkHidden("parallel")
	fs.StringVar(&p.from, "from", "", "`address` to send from; it must be allowed to send from this machine, or SPF has the message refused")
	fs.StringVar(&p.to, "to", "", "`address` to send to (default: the account's, where it is named by one)")
	fs.StringVar(&p.expect, "expect", "", "source or destination: the `side` that the message must reach, and only that one")
	fs.DurationVar(&p.wait, "wait", 5*time.Minute, "how long to look for the message")
	fs.DurationVar(&p.settle, "settle", 30*time.Second, "how long to look at the other server once one has the message")
	fs.DurationVar(&p.interval, "interval", 5*time.Second, "how long to wait between two looks")
	fs.StringVar(&p.resolver, "resolver", "", "name server to ask for mail exchanges, `IP[:PORT]` (default: the system's)")
	fs.StringArrayVar(&p.hosts, "smtp", nil, "where a mail exchange answers, `HOST=IP[:PORT]` (may be repeated)")
	fs.BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/probe/1")
	return cmd
}

func (p *probeFlags) options(f *workFlags) (engagement.ProbeOptions, error) {
	o := engagement.ProbeOptions{From: p.from, To: p.to, Wait: p.wait, Settle: p.settle, Interval: p.interval}
	switch {
	case p.from == "":
		return o, hinted{errors.New("--from is missing: mail has a sender"), "write --from ADDRESS, one that may send from this machine"}
	case p.expect != "" && p.expect != "source" && p.expect != "destination":
		return o, hinted{fmt.Errorf("--expect %s is not known", p.expect), "write source or destination"}
	case p.wait < time.Second || p.settle < 0 || p.interval < 10*time.Millisecond:
		return o, errors.New("--wait, --settle and --interval are durations as 10m or 30s")
	case len(f.only) > 1:
		return o, errors.New("probe takes one --account")
	}
	if p.resolver != "" {
		var err error
		if o.Route.Resolver, err = config.ResolverAddress(p.resolver); err != nil {
			return o, fmt.Errorf("--resolver: %w", err)
		}
	}
	var hosts engagement.RecipientOptions
	for _, h := range p.hosts {
		if err := hosts.AddHost(h); err != nil {
			return o, fmt.Errorf("--smtp: %w", err)
		}
	}
	o.Route.Hosts = hosts.Hosts
	return o, nil
}

func (a *app) probe(cmd *cobra.Command, f *workFlags, p *probeFlags) error {
	po, err := p.options(f)
	if err != nil {
		return err
	}
	cfg, err := a.config()
	if err != nil {
		return err
	}
	o, err := a.options(cmd, f, cfg, mailproof.Source, mailproof.Destination)
	if err != nil {
		return err
	}
	if len(o.Accounts) != 1 {
		return hinted{fmt.Errorf("there are %d accounts, and probe sends to one", len(o.Accounts)), "choose one with --account"}
	}
	po.Account = o.Accounts[0].Name
	if !f.json {
		po.Told = func(text string) { a.notef("%s", clean(text)) }
	}
	return a.withEngagement(cmd.Context(), cfg, o, func(ctx context.Context, e *engagement.Engagement) error {
		found, err := e.Probe(ctx, po)
		if err != nil {
			return err
		}
		result := probeResult(&found, p.expect)
		if f.json {
			return errors.Join(writeJSON(a.out, struct {
				Schema   string `json:"schema"`
				ExitCode int    `json:"exit_code"`
				ledger.Probe
			}{"mailproof/probe/1", exitOf(result), found}), result)
		}
		a.printProbe(&found, p.expect, result)
		return result
	})
}

// probeResult is the exit code that a probe stands for.
func probeResult(p *ledger.Probe, expect string) error {
	old, fresh := p.SourceFolder != "", p.DestinationFolder != ""
	blind := expect == "source" && !fresh && p.DestinationError != "" || expect == "destination" && !old && p.SourceError != ""
	switch {
	case !old && !fresh:
		return exit{mailproof.Inconclusive.ExitCode()}
	case expect == "source" && (!old || fresh), expect == "destination" && (!fresh || old):
		return exit{mailproof.Incomplete.ExitCode()}
	case blind:
		return exit{mailproof.Inconclusive.ExitCode()}
	}
	return nil
}

func (a *app) printProbe(p *ledger.Probe, expect string, result error) {
	side := func(name, folder string, seen time.Time, why string) {
		text := "not seen within " + terminal.Duration(p.Ended.Sub(p.Sent))
		switch {
		case folder != "":
			text = fmt.Sprintf("in %s after %s", folder, terminal.Duration(seen.Sub(p.Sent)))
		case why != "":
			text = "could not be watched: " + why
		}
		a.stage("probe", name, clean(text), 0)
	}
	a.stage("probe", "sent", clean(fmt.Sprintf("to %s by %s, %s: %s", p.Recipient, p.Exchange, cmp.Or(p.TLS, "no TLS"), p.Reply)), 0)
	side("source", p.SourceFolder, p.SourceSeen, p.SourceError)
	side("destination", p.DestinationFolder, p.DestinationSeen, p.DestinationError)
	where := "the message was not seen on either server"
	switch old, fresh := p.SourceFolder != "", p.DestinationFolder != ""; {
	case old && fresh:
		where = "mail reaches both servers"
	case old && p.DestinationError != "":
		where = "mail reaches the old server; whether it reaches the new one as well is not known"
	case old:
		where = "mail reaches the old server"
	case fresh && p.SourceError != "":
		where = "mail reaches the new server; whether it reaches the old one as well is not known"
	case fresh:
		where = "mail reaches the new server, and not the old one"
	}
	if expect != "" && result != nil {
		where += fmt.Sprintf("; expected: the %s only", expect)
	}
	fmt.Fprintf(a.out, "\n%s\n", where)
	if p.SourceFolder == "" && p.DestinationFolder == "" {
		a.hintf("greylisting and filters hold mail back: try again with a longer --wait; look for it in quarantine")
	} else {
		a.hintf("mailproof runbook shows what this settles")
	}
}
