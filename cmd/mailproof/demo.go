package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/demo"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/report"
	"github.com/mailproof/mailproof/report/evidence"
)

func (a *app) demoCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "the whole job on embedded servers, in a few seconds",
		Long: `demo plays a whole migration on this machine: two IMAP servers and a name server on
loopback, five accounts with the things that real mail has. It reads, copies,
lets mail arrive in between, copies again, cuts over, compares, writes the
report, and seals the evidence bundle and verifies it.

Without --dir it works in a new directory mailproof-demo beside you.

The verdict is the true one, and it is not COMPLETE: the new server refuses a
message. The exit code is 0 all the same when the demo itself worked.`,
		Example: `  mailproof demo
  mailproof demo --dir /tmp/demo`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !cmd.Flags().Changed("dir") {
				a.dir = freeDirectory("mailproof-demo")
			}
			return a.demo(cmd.Context(), asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON, schema mailproof/report/1")
	return cmd
}

func (a *app) demo(ctx context.Context, asJSON bool) (err error) {
	a.stagesOnErr = asJSON
	if err := refuseEngagement(a.dir); err != nil {
		return err
	}
	started := time.Now()
	world, err := demo.New(ctx, a.dir)
	if err != nil {
		return fmt.Errorf("set up the demo: %w", err)
	}
	defer func() {
		if cerr := world.Close(); err == nil {
			err = cerr
		}
	}()
	cfg := config.Default()
	cfg.Dir = a.dir
	cfg.Engagement = config.Engagement{
		ID: "NG-DEMO", Name: "Northgate Surveyors Ltd", Customer: "Northgate Surveyors Ltd", Provider: "Meridian Hosting",
		Reviewer: "Ellery & Pryce LLP", Domains: []string{demo.Domain},
	}
	o := engagement.Options{
		Tool: "mailproof " + version, Command: commandLine(os.Args), Accounts: world.Accounts(), DNS: world.DNS(mailproof.Readiness),
	}
	var d *report.Document
	err = a.withEngagement(ctx, cfg, o, func(ctx context.Context, e *engagement.Engagement) error {
		d, err = a.playDemo(ctx, e, world)
		return err
	})
	if err != nil {
		return err
	}
	if asJSON {
		if err := d.WriteJSON(a.out); err != nil {
			return err
		}
	}
	a.say("")
	a.say("open these:")
	for _, name := range []string{engagement.HTMLFile, engagement.PDFFile, engagement.JSONFile, engagement.LedgerFile, filepath.Join(engagement.BundleDir, "VERIFY.md")} {
		a.say("  " + a.within(name))
	}
	if n := world.SourceWrites(); n != 0 {
		return fmt.Errorf("demo: the source was written to %d times", n)
	}
	a.say(fmt.Sprintf("demo done in %.1f s; the source was only read, and nothing left this machine", time.Since(started).Seconds()))
	return demoCameOut(d)
}

// freeDirectory is a name that nothing has yet: NAME, NAME-2, NAME-3.
func freeDirectory(name string) string {
	for n := 1; ; n++ {
		dir := name
		if n > 1 {
			dir = fmt.Sprintf("%s-%d", name, n)
		}
		if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) || n == 1000 {
			return dir
		}
	}
}

// refuseEngagement keeps the demo out of a directory where real work is kept.
func refuseEngagement(dir string) error {
	for _, name := range []string{engagement.LedgerFile, config.FileName} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return hinted{fmt.Errorf("%s holds an engagement already", dir), "give the demo an empty directory with --dir DIR, or remove this one"}
		}
	}
	return nil
}

// playDemo tells the story as it goes.
func (a *app) playDemo(ctx context.Context, e *engagement.Engagement, world *demo.World) (*report.Document, error) {
	say := func(format string, args ...any) { a.say(fmt.Sprintf(format, args...)) }
	say("Northgate Surveyors moves %s from OldHost to Meridian", countOf(int64(len(e.Accounts)), "account"))
	say("  source       %s   folders under INBOX., separator .", world.Source.Addr())
	say("  destination  %s   separator /, refuses executables, and rebuilds the mail of %s as Exchange does", world.Destination.Addr(), demo.Rewritten)
	say("")
	say("1  read both sides, then copy for the first time")
	if err := a.inventories(ctx, e); err != nil {
		return nil, err
	}
	copied, err := e.Copy(ctx)
	a.printCopy(copied)
	if err != nil {
		return nil, err
	}
	say("")
	say("2  is DNS ready for the cut-over?")
	ready, err := e.DNS(ctx)
	if err != nil {
		return nil, err
	}
	a.printDNSLine(ready)
	arrived, deleted, flagged, err := world.Meanwhile()
	if err != nil {
		return nil, err
	}
	say("")
	say("3  meanwhile on the old server: %d messages arrive, %d is deleted, %d are flagged", arrived, deleted, flagged)
	if err := world.CutOver(); err != nil {
		return nil, err
	}
	say("")
	say("4  cut-over: MX, SPF and Autodiscover point to Meridian now; wait until no cache can hold the old records")
	e.Options.DNS = world.DNS(mailproof.Confirmation)
	seen, err := e.DNS(ctx)
	if err != nil {
		return nil, err
	}
	a.printDNSLine(seen)
	select {
	case <-time.After(demo.SafeAfter + 200*time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	say("")
	say("5  final differential pass, reading both sides back, DNS, and the comparison")
	c, err := e.Run(ctx, engagement.Observer{Inventory: a.printInventory, Copy: a.printCopy, DNS: a.printDNSLine, Compare: a.printCompareLine})
	if err != nil {
		return nil, err
	}
	d, err := e.Document(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := e.WriteReports(d); err != nil {
		return nil, err
	}
	if !a.stagesOnErr {
		a.printVerdict(d)
	}
	say("6  the evidence, sealed with a key that was made for the demo, and checked as an auditor would")
	return a.sealDemo(ctx, e)
}

// sealDemo seals the engagement, verifies the bundle, and returns the report
// that cites it. The key is thrown away: the fingerprint that the bundle is held
// against is what another party would have been told.
func (a *app) sealDemo(ctx context.Context, e *engagement.Engagement) (*report.Document, error) {
	key, err := evidence.NewKey()
	if err != nil {
		return nil, err
	}
	started := time.Now()
	s, d, err := e.Seal(ctx, engagement.SealOptions{Key: key, Profile: evidence.Full, Out: a.within(engagement.BundleDir)})
	if err != nil {
		return nil, err
	}
	if err := e.TakeReport(s.Dir); err != nil {
		return nil, err
	}
	a.printSealedLine(s, time.Since(started))
	started = time.Now()
	v, err := evidence.Verify(ctx, s.Dir, evidence.VerifyOptions{Trust: evidence.Trust{Fingerprints: []string{key.Public().Fingerprint()}}})
	if err != nil {
		return nil, err
	}
	if v.Outcome() != mailproof.OutcomePass {
		return nil, fmt.Errorf("demo: the bundle does not verify: %v", v.Problems)
	}
	a.stage("verify", "", fmt.Sprintf("%s of %s hold, %s", countOf(int64(len(v.Checks)), "check"), s.Bundle, countOf(int64(s.Files), "file")), time.Since(started))
	a.hintf("mailproof verify --fingerprint %s %s", s.Fingerprint, s.Dir)
	return d, nil
}

func (a *app) inventories(ctx context.Context, e *engagement.Engagement) error {
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		res, err := e.Inventory(ctx, side)
		a.printInventory(res)
		if err != nil {
			return err
		}
	}
	return nil
}

// demoCameOut checks that the demo showed what it is there to show: one
// message refused, and so the verdict INCOMPLETE; the rewritten mail not
// called altered.
func demoCameOut(d *report.Document) error {
	t := d.Totals
	if d.Verdict != mailproof.Incomplete || t.Missing != 1 || t.Altered != 0 || t.Unverifiable != 0 || t.AllEquivalent() == 0 || !t.Balanced() {
		return fmt.Errorf("demo: it did not come out as planned: %s, %d missing, %d altered, %d equivalent, %d unverifiable",
			d.Verdict, t.Missing, t.Altered, t.AllEquivalent(), t.Unverifiable)
	}
	return nil
}
