package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/ledger"
)

// checkFlags are those of check alone.
type checkFlags struct {
	recipients recipientFlags
	folders    bool
	record     bool
	noRecord   bool
}

func (a *app) checkCommand() *cobra.Command {
	var f workFlags
	var cf checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "is everything ready? every login, folders, limits, quota, DNS",
		Long: `check signs in to every account on both sides and looks for what would spoil the
night: names that do not resolve, ports that do not answer, certificates about to
end, passwords that do not work, mailboxes that do not exist yet, messages larger
than the destination takes, messages that it refuses, a quota too small, folders
that cannot keep their names, and DNS that is not ready. What a server says is
explained, with what to do about it. It changes nothing on either server.

--folders shows where every folder goes, and what stays behind and why.

In a directory with mailproof.toml or a ledger the outcome is kept in the ledger,
and the report has a page of it; elsewhere with --record.

--recipients asks the new mail server about every address of a file, as a sender
would, and goes no further than that: no mail is sent. An address that nobody has
is asked about too; where that is accepted, the answers mean nothing and are
unknown.

Exit codes: 0 ready, 1 not ready, 2 could not run, 130 cancelled.`,
		Example: `  mailproof check --dir northgate
  mailproof check --account dave@example.com
  mailproof check --dir northgate --folders
  mailproof check --dir northgate --recipients addresses.txt`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runCheck(cmd, &f, &cf) },
	}
	f.addAccounts(cmd)
	f.addRules(cmd)
	fs := cmd.Flags()
	fs.Lookup("parallel").Usage = "accounts checked at once (default 32)"
	fs.BoolVar(&f.json, "json", false, "print as JSON, schema mailproof/check/1, or with --gate mailproof/gate/1")
	fs.BoolVar(&cf.folders, "folders", false, "show where every folder goes, what stays behind, and which names the destination will refuse")
	fs.BoolVar(&cf.record, "record", false, "keep the outcome in the ledger also where there is no engagement yet")
	fs.BoolVar(&cf.noRecord, "no-record", false, "keep nothing")
	f.dns.add(cmd)
	cf.recipients.add(cmd)
	return cmd
}

// runCheck gathers what check is given.
func (a *app) runCheck(cmd *cobra.Command, f *workFlags, cf *checkFlags) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	o, err := a.options(cmd, f, cfg, mailproof.Source, mailproof.Destination)
	if err != nil {
		return err
	}
	recipients, err := cf.recipients.options()
	if err != nil {
		return err
	}
	if o.DNS.Phase == mailproof.PhaseNone {
		o.DNS.Phase = mailproof.Readiness
	}
	if f.parallel == 0 && cfg.Limits.Accounts == 0 {
		o.Parallel = 0 // check's own default
	}
	_, hard, stop := terminal.Interrupts(cmd.Context(), a.term)
	defer stop()
	o.Progress = a.counting(terminal.Work{Label: "check", Unit: "accounts", Bad: "not ready"})
	r, err := a.readiness(hard, o, recipients)
	if err != nil {
		return err
	}
	if err := a.recordCheck(hard, cfg, o, r, cf, len(f.only) > 0); err != nil {
		return err
	}
	var result error
	if !r.ready() {
		result = exit{mailproof.Incomplete.ExitCode()}
	}
	if f.json {
		return errors.Join(a.printCheckJSON(r), result)
	}
	a.printCheck(r, len(f.only) > 0, cf.folders)
	return result
}

// checkResult is all that a check found.
type checkResult struct {
	taken      time.Time
	took       time.Duration
	checks     []engagement.AccountCheck
	servers    []engagement.ServerCheck
	dns        []mailproof.Finding
	recipients []mailproof.Finding
	forecast   engagement.Forecast
}

func (r checkResult) notReady() int {
	n := 0
	for _, c := range r.checks {
		if !c.Ready() {
			n++
		}
	}
	return n
}

func (r checkResult) ready() bool { return r.notReady()+notGood(r.dns)+notGood(r.recipients) == 0 }

// readiness asks everybody.
func (a *app) readiness(ctx context.Context, o engagement.Options, recipients engagement.RecipientOptions) (r checkResult, err error) {
	r.taken = time.Now()
	if r.checks, err = o.Check(ctx); err != nil {
		return r, err
	}
	if o.DNS.Wanted() {
		dns, err := engagement.AuditDNS(ctx, o.DNS)
		if err != nil {
			return r, err
		}
		r.dns = dns.Findings
	}
	if recipients.File != "" {
		if r.recipients, err = engagement.CheckRecipients(ctx, o.DNS, recipients); err != nil {
			return r, err
		}
	}
	r.servers, r.forecast, r.took = o.Servers(r.checks), o.Estimate(r.checks), time.Since(r.taken)
	return r, nil
}

// recordCheck keeps the outcome in the ledger of an engagement. A check of some
// accounts only is kept nowhere: it would stand for all.
func (a *app) recordCheck(ctx context.Context, cfg *config.Config, o engagement.Options, r checkResult, cf *checkFlags, some bool) error {
	engaged := o.RosterWhole && (cfg.Path != "" || engagement.HasLedger(a.dir))
	if cf.noRecord || some || !cf.record && !engaged {
		return nil
	}
	err := engagement.RecordReadiness(ctx, a.dir, o, engagement.ReadinessRecord{
		Taken: r.taken, Ready: r.ready(), Checks: r.checks, Servers: r.servers, Findings: append(slices.Clone(r.dns), r.recipients...), Forecast: r.forecast,
	})
	if errors.Is(err, ledger.ErrLocked) {
		a.warnf("another mailproof works on this directory: the outcome of the check is not kept")
		return nil
	}
	return err
}

// printCheck prints one screen.
func (a *app) printCheck(r checkResult, detail, folders bool) {
	a.printServers(r.servers)
	causes := engagement.Causes(r.checks)
	a.printCheckTable(r.checks, causes, detail || len(r.checks) <= 20)
	if folders {
		a.printFolderPlans(r.checks)
	}
	a.printCauses(causes)
	for _, f := range r.dns {
		if f.Outcome != mailproof.OutcomePass && f.Outcome != mailproof.OutcomeInfo {
			a.printFinding(f)
		}
	}
	a.printRecipients(r.recipients)
	if detail {
		a.printWords(r.checks)
	}
	fmt.Fprintln(a.out)
	a.stage("estimate", "", r.forecast.String(), 0)
	if r.ready() {
		fmt.Fprintf(a.out, "\nready: %s\n", countOf(int64(len(r.checks)), "account"))
		return
	}
	var parts []string
	if n := r.notReady(); n > 0 {
		parts = append(parts, fmt.Sprintf("%s of %s", count(int64(n)), countOf(int64(len(r.checks)), "account")))
	}
	if n := notGood(r.dns); n > 0 {
		parts = append(parts, countOf(int64(n), "DNS check"))
	}
	if n := notGood(r.recipients); n > 0 {
		parts = append(parts, countOf(int64(n), "finding")+" about recipients")
	}
	fmt.Fprintf(a.out, "\nnot ready: %s\n", strings.Join(parts, ", "))
	if detail {
		return
	}
	for _, c := range r.checks {
		if !c.Ready() {
			a.hintf("mailproof check --account %s shows what the server said", c.Account)
			return
		}
	}
}

// providerRule begins a rule that comes from a preset.
var providerRule = regexp.MustCompile(`^provider [a-z0-9]+: `)

// versionTail is what distributions add to a version.
var versionTail = regexp.MustCompile(`(\d\.\d[0-9.]*)[-+~].*$`)

// printServers prints each server once, with how many accounts signed in.
func (a *app) printServers(servers []engagement.ServerCheck) {
	t := a.table("", "", "", "", "")
	hidden := 0
	for _, s := range servers {
		if s.SignedIn == 0 {
			hidden++ // the table says why
			continue
		}
		secure := "no TLS"
		if s.Info.TLS != "" {
			secure = s.Info.TLS
			if !s.Info.CertNotAfter.IsZero() {
				secure += fmt.Sprintf(", certificate %s", countOf(int64(time.Until(s.Info.CertNotAfter).Hours()/24), "day"))
			}
			if !s.Info.CertVerified {
				secure += ", NOT VERIFIED"
			}
		}
		name := versionTail.ReplaceAllString(s.Info.ID, "$1")
		if s.Provider != nil && name == "" {
			name = s.Provider.Title
		}
		t.row(s.Side.String(), s.Address, secure, name, fmt.Sprintf("%s of %s signed in", count(int64(s.SignedIn)), count(int64(s.Accounts))))
	}
	t.print()
	if hidden > 0 {
		fmt.Fprintf(a.out, "%s that nobody signed in to\n", countOf(int64(hidden), "further server"))
	}
	for _, s := range servers {
		if limits := engagement.Limits(s.Info, s.Provider); s.SignedIn > 0 && s.Provider != nil && s.Provider.Metered(s.Info) {
			a.stage("limits", s.Side.String(), s.Provider.Title+": "+limits, 0)
		}
	}
	fmt.Fprintln(a.out)
}

func (a *app) printCheckTable(checks []engagement.AccountCheck, causes []engagement.Cause, all bool) {
	t := a.table("account", ">folders", ">messages", ">size", "result")
	t.Indent = 2
	room := a.roomForResult(checks)
	t.Columns[len(t.Columns)-1].Min = room // a name gives way to what is wrong with the account
	hidden := 0
	for _, c := range checks {
		if c.Ready() && len(c.Warnings) == 0 && !all {
			hidden++
			continue
		}
		folders, messages, octets := "–", "–", "–"
		if c.Source.Err == nil {
			folders, messages, octets = count(int64(len(c.Source.Mailboxes))), count(c.Source.Messages), size(c.Source.Octets)
		}
		var lines []string
		if c.Ready() {
			lines = []string{"ready"}
		}
		for _, x := range c.Troubles {
			lines = append(lines, x.Text+mark(x, causes))
		}
		lines = unfold(lines, room)
		t.row(c.Account, folders, messages, octets, lines[0])
		for _, l := range lines[1:] {
			t.row("", "", "", "", l)
		}
		if all {
			for _, n := range c.FolderNotes {
				for _, l := range unfold([]string{"folders: " + n}, room) {
					t.row("", "", "", "", l)
				}
			}
		}
	}
	t.print()
	if hidden > 0 {
		fmt.Fprintf(a.out, "  … %s more, all ready\n", count(int64(hidden)))
	}
}

// roomForResult is how many columns of the screen the result of an account has,
// beside a name that is cut where it is long.
func (a *app) roomForResult(checks []engagement.AccountCheck) int {
	const between, most = 2 + 4*2, 24 // the indent and the gaps; columns of a name
	name, folders, messages, octets := len("account"), len("folders"), len("messages"), len("size")
	for _, c := range checks {
		name = max(name, min(terminal.Width(clean(c.Account)), most))
		folders = max(folders, len(count(int64(len(c.Source.Mailboxes)))))
		messages, octets = max(messages, len(count(c.Source.Messages))), max(octets, len(size(c.Source.Octets)))
	}
	return max(a.term.Width()-between-name-folders-messages-octets, 36)
}

// unfold parts sentences that are too long for one line of the table: what is
// wrong with an account is not cut in its middle.
func unfold(sentences []string, room int) []string {
	var out []string
	for _, s := range sentences {
		if terminal.Width(s) <= room {
			out = append(out, s)
			continue
		}
		head := ""
		for _, part := range fitWords(s, room-2) {
			out = append(out, head+strings.TrimSpace(part))
			head = "  "
		}
	}
	return out
}

// mark points from a row of the table to what is to be done about it.
func mark(t engagement.Trouble, causes []engagement.Cause) string {
	for i, c := range causes {
		if c.Remedy == t.Remedy() {
			return fmt.Sprintf(" [%d]", i+1)
		}
	}
	return ""
}

// printCauses says once for each kind of trouble what it means and what to do.
func (a *app) printCauses(causes []engagement.Cause) {
	if len(causes) == 0 {
		return
	}
	fmt.Fprintf(a.out, "\n%s\n", a.bold("what to do"))
	for i, c := range causes {
		head := fmt.Sprintf("%4s ", fmt.Sprintf("[%d]", i+1))
		for _, part := range fitWords(c.Remedy, a.term.Width()-6) {
			fmt.Fprintf(a.out, "%s %s\n", head, clean(part))
			head = "     "
		}
	}
}

// printWords shows what the servers said, in full.
func (a *app) printWords(checks []engagement.AccountCheck) {
	for _, c := range checks {
		for _, x := range c.Troubles {
			if x.Words != "" {
				fmt.Fprintf(a.out, "\n%s, %s said: %s\n", clean(c.Account), x.Side, clean(x.Words))
			}
		}
		for _, s := range []struct {
			side mailproof.Side
			engagement.SideCheck
		}{{mailproof.Source, c.Source}, {mailproof.Destination, c.Destination}} {
			if s.Err != nil {
				a.notef("%s, %s: %v", c.Account, s.side, s.Err)
			}
		}
	}
}

// printFolderPlans shows where every folder goes, account by account.
func (a *app) printFolderPlans(checks []engagement.AccountCheck) {
	for _, c := range checks {
		if len(c.Folders) == 0 {
			continue
		}
		fmt.Fprintf(a.out, "\n%s\n", clean(c.Account))
		t := a.table("source folder", ">messages", "destination folder", "")
		t.Indent = 2
		for _, f := range c.Folders {
			note := "to be made"
			switch {
			case f.LeftOut != "":
				note = "stays behind: " + providerRule.ReplaceAllString(f.LeftOut, "")
			case f.Problem != "":
				note = "will be refused: " + f.Problem
			case f.Exists:
				note = "is there"
			}
			t.row(f.Source, count(f.Messages), f.Destination, note)
		}
		t.print()
	}
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}
