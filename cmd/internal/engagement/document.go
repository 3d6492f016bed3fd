package engagement

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/dnsaudit"
	"github.com/mailproof/mailproof/report"
)

// Document puts together everything that the report says. It only reads the
// ledger.
func (e *Engagement) Document(ctx context.Context, c Comparison) (*report.Document, error) {
	d := &report.Document{
		Generated: time.Now().UTC().Truncate(time.Second), Tool: e.Tool, Command: e.Command, Depth: e.Depth,
		Histogram: report.NewHistogram(),
	}
	if e.Config != nil {
		d.Engagement = engagementOf(e.Config)
	}
	var figures errgroup.Group // what is counted over all messages and steps, beside the rest
	figures.Go(func() error {
		return cmp.Or(e.histogram(ctx, d, mailproof.Source), e.histogram(ctx, d, mailproof.Destination))
	})
	figures.Go(func() (err error) {
		d.Steps, err = e.steps(ctx)
		return err
	})
	err := e.document(ctx, c, d)
	if err := cmp.Or(err, figures.Wait()); err != nil {
		return nil, err
	}
	return d, nil
}

// document puts together what is no figure.
func (e *Engagement) document(ctx context.Context, c Comparison, d *report.Document) error {
	audits, err := e.ledger.LatestDNS(ctx)
	if err != nil {
		return err
	}
	var dns []mailproof.Finding
	var observations []mailproof.Observation
	for _, a := range audits {
		dns, observations = append(dns, a.Findings...), append(observations, a.Observations...)
	}
	// Only what was judged after the cut-over is part of the verdict: before
	// it, DNS is meant to point to the old server.
	listed, scope, err := e.scope(ctx, c)
	if err != nil {
		return err
	}
	d.AccountsListed = listed
	decided, err := e.said(ctx)
	if err != nil {
		return err
	}
	d.FromAccounts(c.Accounts, append(scope, decided.accept(ofPhase(dns, mailproof.Confirmation))...))
	d.Decisions = decided.decisions(d.Exceptions)
	// Section 10 shows what was accepted as accepted, by whom and why.
	d.DNS, d.Observations = decided.accept(dns), observations
	kept, err := e.ledger.Engagement(ctx)
	if err != nil {
		return err
	}
	d.Profile = kept[dnsProfileKey]
	if d.SafeTimes, err = safeTimes(kept); err != nil {
		return err
	}
	if d.Readiness, err = e.readiness(ctx); err != nil {
		return err
	}
	if d.Deletions, err = e.deletions(ctx); err != nil {
		return err
	}
	if d.Passes, err = e.ledger.Passes(ctx); err != nil {
		return err
	}
	d.Depth, d.Sample, d.Previews = cmp.Or(c.Depth, e.Depth), c.Sample, c.Previews
	runbook, err := e.Runbook(ctx, c)
	if err != nil {
		return err
	}
	d.Runbook = runbook.ForReport()
	d.CutOver, d.Unconfirmed = runbook.CutOver, e.unconfirmed(audits)
	d.DomainNames = domainNames(d)
	return e.details(ctx, c, d)
}

// unconfirmed are the domains that the engagement names, or that were audited
// before, and that no audit looked at after the cut-over.
func (e *Engagement) unconfirmed(audits []ledger.DNSResult) []string {
	var named, confirmed []string
	if e.Config != nil {
		named = e.Config.Domains()
	}
	for _, a := range audits {
		named = append(named, a.Domain)
		if a.Phase == mailproof.Confirmation {
			confirmed = append(confirmed, canonical(a.Domain))
		}
	}
	var out []string
	for _, name := range named {
		if name = canonical(name); !slices.Contains(confirmed, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// canonical is a domain as DNS holds it; one that cannot be stays as it is.
func canonical(domain string) string {
	if name, err := dnsaudit.CanonicalDomain(domain); err == nil {
		return name
	}
	return domain
}

// domainNames are the internationalised domains of a report as people write
// them.
func domainNames(d *report.Document) map[string]string {
	names := map[string]string{}
	add := func(domain string) {
		if shown := dnsaudit.UnicodeDomain(domain); shown != strings.TrimSuffix(domain, ".") {
			names[domain] = shown
		}
	}
	for _, domain := range slices.Concat(d.Engagement.Domains, d.Unconfirmed) {
		add(domain)
	}
	for _, f := range d.DNS {
		add(f.Domain)
	}
	return names
}

func ofPhase(findings []mailproof.Finding, phase mailproof.Phase) []mailproof.Finding {
	var out []mailproof.Finding
	for _, f := range findings {
		if f.Phase == phase {
			out = append(out, f)
		}
	}
	return out
}

func (e *Engagement) histogram(ctx context.Context, d *report.Document, side mailproof.Side) error {
	counts, err := e.ledger.SizeHistogram(ctx, side, d.Histogram.Limits)
	if err != nil {
		return err
	}
	if side == mailproof.Source {
		d.Histogram.Source = counts
	} else {
		d.Histogram.Destination = counts
	}
	return nil
}

func engagementOf(c *config.Config) report.Engagement {
	name := c.Engagement.Name
	if name == "" {
		name = c.Engagement.Customer
	}
	return report.Engagement{
		ID: c.Engagement.ID, Name: name, Purpose: c.Engagement.Purpose, Domains: c.Domains(), IntendedUsers: c.Report.IntendedUsers,
		Customers: parties(c.Customers()), Providers: parties(c.Providers()), Reviewers: parties(c.Reviewers()),
	}
}

func parties(list []config.Party) []report.Party {
	out := make([]report.Party, len(list))
	for i, p := range list {
		out[i] = report.Party{Organisation: p.Organisation, Name: p.Name, Role: p.Role}
	}
	return out
}

// Path is the path of a file of the engagement.
func (e *Engagement) Path(name string) string { return filepath.Join(e.Dir, name) }

// steps counts what the copy passes claim to have done, as things stand.
func (e *Engagement) steps(ctx context.Context) (report.StepSummary, error) {
	var s report.StepSummary
	counts, err := e.ledger.StepCounts(ctx, ledger.StepFilter{Latest: true})
	for _, c := range counts {
		switch {
		case c.State == mailproof.StepRefused && c.Kind == mailproof.AppendMessage:
			s.Refused += c.Steps
		case c.State == mailproof.StepFailed || c.State == mailproof.StepPending:
			s.Failed += c.Steps
		case c.Kind == mailproof.AppendMessage:
			s.Appended += c.Steps
		case c.Kind == mailproof.StoreFlags:
			s.Flags += c.Steps
		case c.Kind == mailproof.CreateMailbox:
			s.Created += c.Steps
		}
	}
	return s, err
}

// WriteReports writes the three files of the report, each whole or not at all.
func (e *Engagement) WriteReports(d *report.Document) error {
	return d.WriteFiles(e.Dir, report.PDFOptions{Fonts: e.Fonts})
}
