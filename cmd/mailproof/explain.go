package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
)

func (a *app) explainCommand() *cobra.Command {
	var f workFlags
	var side, save string
	var fetch bool
	cmd := &cobra.Command{
		Use:   "explain EXCEPTION | ACCOUNT FOLDER UID",
		Short: "show what is known of one message, on both sides",
		Long: `explain shows all that the ledger knows of one message and of its counterpart:
header fields and parts side by side, what differs, what that means and what
there is to do, and what the destination said when the message was copied. The
message is named by the number of its exception, as diff prints it, or by
account, folder and uid. No server is asked.

With --fetch both servers are asked for the message, as inventory asks them:
EXAMINE and BODY.PEEK, so that nothing changes. explain then says whether they
still deliver what the ledger has, and prints how headers and texts differ.
--save DIR writes both messages to files as well, readable by you alone.

Exit codes: 0; with --fetch 1 if a server delivers something else than the
ledger has, and 3 if a message could not be fetched; 2 could not run.`,
		Example: `  mailproof explain E-003
  mailproof explain anna@example.com "Sent Items" 4711 --json
  mailproof explain E-003 --fetch --save evidence`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 && len(args) != 3 {
				return hinted{fmt.Errorf("explain takes one argument or three, not %d", len(args)), "write mailproof explain E-003, or mailproof explain ACCOUNT FOLDER UID"}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			target, err := targetOf(args, side)
			if err != nil {
				return err
			}
			return a.explain(cmd, &f, target, fetch || save != "", save)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&side, "side", "", "source or destination, where both have the folder and uid (default: source)")
	fs.BoolVar(&fetch, "fetch", false, "fetch the message from both servers and compare it anew")
	fs.StringVar(&save, "save", "", "fetch it, and write it to `directory` as .eml")
	fs.BoolVar(&f.json, "json", false, "print as JSON, schema "+engagement.ExplainSchema)
	f.addAccounts(cmd)
	for _, name := range []string{"parallel", "account"} {
		_ = fs.MarkHidden(name)
	}
	f.addRules(cmd)
	_ = cmd.MarkFlagDirname("save")
	return cmd
}

// targetOf reads the arguments.
func targetOf(args []string, side string) (engagement.Target, error) {
	var t engagement.Target
	var err error
	if side != "" {
		if t.Side, err = mailproof.ParseSide(side); err != nil {
			return t, hinted{fmt.Errorf("--side %s is not known", side), "write source or destination"}
		}
	}
	if len(args) == 1 {
		if side != "" {
			return t, errors.New("--side goes with ACCOUNT FOLDER UID; an exception has its own")
		}
		t.Exception = args[0]
		return t, nil
	}
	uid, err := strconv.ParseUint(strings.TrimPrefix(args[2], "uid "), 10, 32)
	if err != nil || uid == 0 {
		return t, fmt.Errorf("%q is no uid: it is a number from 1 to 4294967295", args[2])
	}
	t.Account, t.Mailbox, t.UID = args[0], args[1], mailproof.UID(uid)
	return t, nil
}

func (a *app) explain(cmd *cobra.Command, f *workFlags, target engagement.Target, fetch bool, save string) (err error) {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	var sides []mailproof.Side
	if fetch {
		if sides, err = sidesOf("", *f); err != nil {
			return err
		}
	}
	o, err := a.options(cmd, f, cfg, sides...)
	if err != nil {
		return err
	}
	logins := o.Accounts
	o.Accounts = nil // exceptions are numbered over all accounts of the ledger
	drain, hard, stop := terminal.Interrupts(cmd.Context(), a.term)
	defer stop()
	o.Stop = drain.Done()
	e, err := engagement.OpenReadOnly(hard, a.dir, cfg, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	x, err := e.Explain(hard, target)
	if errors.Is(err, engagement.ErrNoSuchMessage) {
		return hinted{err, "mailproof diff names the exceptions, and diff --format lines every message"}
	}
	if err != nil {
		return err
	}
	if fetch {
		if err := a.fetch(hard, e, x, logins, save); err != nil {
			return err
		}
	}
	if err := a.printExplanation(x, f.json); err != nil {
		return err
	}
	switch {
	case x.Fetched == nil:
		return nil
	case !x.Fetched.AsRecorded():
		return exit{mailproof.Incomplete.ExitCode()}
	case x.Fetched.Failed():
		return exit{mailproof.Inconclusive.ExitCode()}
	}
	return nil
}

func (a *app) fetch(ctx context.Context, e *engagement.Engagement, x *engagement.Explanation, logins []engagement.Account, save string) error {
	if err := e.Fetch(ctx, x, logins, save); err != nil {
		return err
	}
	if a.resolver != nil {
		for _, w := range a.resolver.Warnings() {
			a.warnOnce(w, "%s", w)
		}
	}
	return nil
}

func (a *app) printExplanation(x *engagement.Explanation, asJSON bool) error {
	if asJSON {
		return writeJSON(a.out, x)
	}
	head := x.Account
	if x.Exception != "" {
		head = x.Exception + "  " + head
	}
	fmt.Fprintf(a.out, "%s  %s\n", clean(head), a.bold(x.Verdict.String()))
	a.term.Println("  " + x.Meaning)
	if x.TierMeaning != "" {
		a.term.Println(fmt.Sprintf("  paired by tier %s: %s", x.Tier, x.TierMeaning))
	}
	if x.Disposition != nil {
		a.term.Println(fmt.Sprintf("  decision: %s", x.Disposition))
	}
	a.printPlaces(x)
	a.printReasons(x)
	a.printFields(x)
	a.printParts(x)
	a.printHistory(x)
	if x.Fetched != nil {
		a.printFetched(x.Fetched)
	}
	return nil
}

// heading parts the sections.
func (a *app) heading(text string) { fmt.Fprintf(a.out, "\n%s\n", a.bold(text)) }

// printPlaces prints where the message is on both sides, and what is known of
// it as a whole.
func (a *app) printPlaces(x *engagement.Explanation) {
	a.heading("message")
	t := a.table("", "source", "destination", "")
	t.Indent = 2
	both := [2]*engagement.ExplainedMessage{x.Source, x.Destination}
	row := func(name string, show func(m *engagement.ExplainedMessage) string, compared bool) {
		var cells [2]string
		for i, m := range both {
			cells[i] = "none"
			if m != nil {
				cells[i] = show(m)
			}
		}
		mark := ""
		if compared && both[0] != nil && both[1] != nil {
			mark = map[bool]string{true: "same", false: "differs"}[cells[0] == cells[1]]
		}
		if cells[0]+cells[1] != "" {
			t.row(name, cells[0], cells[1], mark)
		}
	}
	read := x.Source != nil && x.Source.State == "read" || x.Destination != nil && x.Destination.State == "read"
	row("folder", func(m *engagement.ExplainedMessage) string { return m.Folder }, false)
	row("uid", func(m *engagement.ExplainedMessage) string {
		return fmt.Sprintf("%d (uidvalidity %d)", m.UID, m.UIDValidity)
	}, false)
	row("reading", func(m *engagement.ExplainedMessage) string {
		return strings.TrimSuffix(m.State+": "+m.Reason, ": ")
	}, false)
	row("octets", func(m *engagement.ExplainedMessage) string {
		if m.State != "read" {
			return fmt.Sprintf("%s by RFC822.SIZE", count(m.Size))
		}
		return count(m.Octets)
	}, read)
	row("received", func(m *engagement.ExplainedMessage) string {
		if m.InternalDate == nil {
			return "no date"
		}
		return m.InternalDate.UTC().Format("2006-01-02 15:04:05 UTC")
	}, true)
	row("flags", func(m *engagement.ExplainedMessage) string { return "(" + strings.Join(m.Flags, " ") + ")" }, true)
	if x.Source != nil && len(x.Source.Labels) > 0 || x.Destination != nil && len(x.Destination.Labels) > 0 {
		row("labels", func(m *engagement.ExplainedMessage) string { return strings.Join(m.Labels, ", ") }, true)
	}
	if read {
		row("MIH", func(m *engagement.ExplainedMessage) string { return m.MIH }, true)
		row("DKIM body hash", func(m *engagement.ExplainedMessage) string {
			return map[string]string{"absent": "not signed", "body-agrees": "agrees", "body-differs": "does not agree"}[m.DKIM]
		}, false)
		row("oddities", func(m *engagement.ExplainedMessage) string { return strings.Join(m.Anomalies, ", ") }, false)
		row("octets, SHA-256", func(m *engagement.ExplainedMessage) string { return m.Hashes["T0"] }, true)
	}
	t.print()
}

func (a *app) printReasons(x *engagement.Explanation) {
	if len(x.Reasons) == 0 {
		return
	}
	a.heading("reasons")
	for _, r := range x.Reasons {
		text := "  " + r.Code
		if r.Evidence != "" {
			text += ": " + r.Evidence
		}
		a.term.Println(text)
		if r.Meaning != "" {
			a.term.Println("      " + r.Meaning)
		}
		if r.Remedy != "" {
			a.term.Println("      do: " + r.Remedy)
		}
	}
}

func (a *app) printFields(x *engagement.Explanation) {
	if len(x.Fields) == 0 {
		return
	}
	a.heading("header")
	t := a.table("", "source", "destination", "")
	t.Indent = 2
	for _, f := range x.Fields {
		t.row(f.Name, f.Source, f.Destination, f.State)
	}
	t.print()
}

func (a *app) printParts(x *engagement.Explanation) {
	if len(x.Parts) == 0 {
		return
	}
	a.heading("parts")
	t := a.table("source", ">octets", "destination", ">octets", "")
	t.Indent = 2
	name := func(p *engagement.PartDigest) (string, string) {
		if p == nil {
			return "none", ""
		}
		text := fmt.Sprintf("%d %s", p.Number, p.Type)
		if p.FileName != "" {
			text += " “" + p.FileName + "”"
		}
		return text, count(p.Octets)
	}
	for _, p := range x.Parts {
		left, leftSize := name(p.Source)
		right, rightSize := name(p.Destination)
		t.row(left, leftSize, right, rightSize, p.State)
	}
	t.print()
	for _, m := range []*engagement.ExplainedMessage{x.Source, x.Destination} {
		if m != nil && m.Parts > mailproof.MaxLeaves {
			a.term.Println(fmt.Sprintf("  %s in all; the ledger has the details of the first %d", countOf(int64(m.Parts), "part"), mailproof.MaxLeaves))
		}
	}
}

// printHistory prints what the copy passes tried, and other messages that may
// be taken for this one.
func (a *app) printHistory(x *engagement.Explanation) {
	if len(x.Copies) > 0 {
		a.heading("copies")
		for _, c := range x.Copies {
			text := fmt.Sprintf("  pass %d, into %s: %s", c.Pass, c.Folder, c.State)
			if c.UID != 0 {
				text += fmt.Sprintf(", announced as uid %d", c.UID)
			}
			if c.Words != "" {
				text += ", in the destination's words: " + c.Words
			}
			a.term.Println(text)
		}
	}
	if len(x.Relatives) > 0 {
		a.heading("other messages")
		for _, r := range x.Relatives {
			a.term.Println(fmt.Sprintf("  %s, %s, uid %d: %s", r.Side, r.Folder, r.UID, r.How))
		}
		if x.RelativesOmitted > 0 {
			a.term.Println(fmt.Sprintf("  and %s more", count(int64(x.RelativesOmitted))))
		}
	}
}

func (a *app) printFetched(f *engagement.Fetched) {
	a.heading("fetched")
	for _, s := range []struct {
		side mailproof.Side
		body *engagement.FetchedBody
	}{{mailproof.Source, f.Source}, {mailproof.Destination, f.Destination}} {
		b := s.body
		if b == nil {
			continue
		}
		text := fmt.Sprintf("  %s: %s octets, ", s.side, count(b.Octets))
		switch {
		case b.Error != "":
			text = fmt.Sprintf("  %s: could not be fetched: %s", s.side, b.Error)
		case !b.Recorded:
			text += "of which the ledger has no fingerprint"
		case b.AsRecorded:
			text += "as the ledger has it"
		default:
			text += "NOT as the ledger has it: other at " + strings.Join(b.Changed, ", ")
		}
		a.term.Println(text)
		if b.File != "" {
			a.term.Println("      written to " + b.File)
		}
	}
	if f.Note != "" {
		a.term.Println("  " + f.Note)
	}
	if f.Headers != "" {
		a.heading("header, as it stands")
		a.printDiff(f.Headers)
	}
	for _, t := range f.Texts {
		a.heading(clean(t.Part))
		a.printDiff(t.Diff)
	}
}

// printDiff prints a unified difference of foreign text, line by line.
func (a *app) printDiff(text string) {
	const widest = 400
	for line := range strings.Lines(text) {
		a.term.Println(terminal.End(clean(strings.TrimSuffix(line, "\n")), widest))
	}
}
