package engagement

import (
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/report"
	"github.com/mailproof/mailproof/report/evidence"
)

// withheld stands where a text was that may name somebody and whose being there
// says something.
const (
	withheld     = "withheld in this redacted edition"
	withheldHost = "a host (withheld)"
)

// redact makes the edition of a report that names no account, folder, server,
// domain and message. It is made anew of what may stay, so that whatever comes
// to the document later stays out until somebody puts it here. Who signs stays:
// a report is from somebody to somebody.
func redact(d *report.Document, p *evidence.Pseudonyms, profile evidence.Profile) *report.Document {
	r := redactor{p, profile == evidence.Summary}
	out := &report.Document{
		Engagement: r.engagement(d.Engagement), Issue: d.Issue, Generated: d.Generated, Tool: d.Tool, Command: "mailproof seal --privacy " + profile.String(),
		Depth: d.Depth, Verdict: d.Verdict, Findings: r.findings(d.Findings), Totals: d.Totals, AccountsListed: d.AccountsListed,
		Passes: r.passes(d.Passes), History: d.History, SourceWindow: d.SourceWindow, DestinationWindow: d.DestinationWindow,
		SourceServers: r.servers(d.SourceServers), DestinationServers: r.servers(d.DestinationServers),
		ExceptionsOmitted: d.ExceptionsOmitted, DNS: r.findings(d.DNS), Histogram: d.Histogram, Steps: d.Steps, Evidence: d.Evidence,
		Runbook: r.runbook(d.Runbook), Deletions: r.deletions(d.Deletions), Brand: d.Brand,
	}
	if d.Sample != nil {
		s := *d.Sample
		s.Seeds, s.NoBound = nil, r.text(s.NoBound)
		out.Sample = &s
	}
	for i, e := range d.Exclusions {
		e.Rule = "rule " + string(rune('A'+i%26))
		out.Exclusions = append(out.Exclusions, e)
	}
	for i := range d.Accounts {
		out.Accounts = append(out.Accounts, r.account(&d.Accounts[i]))
	}
	if r.summary {
		out.ExceptionsOmitted += int64(len(d.Exceptions))
		return out
	}
	out.Exceptions = r.exceptions(d.Exceptions)
	if d.Decisions != nil {
		out.Decisions = map[string]report.Decision{}
		for id, c := range d.Decisions {
			out.Decisions[id] = report.Decision{By: r.Of(evidence.FieldPerson, c.By), Why: r.text(c.Why), When: c.When}
		}
	}
	return out
}

type redactor struct {
	*evidence.Pseudonyms
	summary bool
}

// text is a text that may name somebody.
func (r redactor) text(s string) string {
	if s == "" {
		return ""
	}
	return withheld
}

func (r redactor) engagement(e report.Engagement) report.Engagement {
	return report.Engagement{Customers: r.parties(e.Customers), Providers: r.parties(e.Providers), Reviewers: r.parties(e.Reviewers), Name: r.noAddress(e.Name)}
}

// noAddress keeps the name of a party and withholds what holds an address.
func (r redactor) noAddress(s string) string {
	if strings.ContainsRune(s, '@') {
		return withheld
	}
	return s
}

func (r redactor) parties(list []report.Party) []report.Party {
	out := make([]report.Party, len(list))
	for i, p := range list {
		out[i] = report.Party{Organisation: r.noAddress(p.Organisation), Name: r.noAddress(p.Name), Role: r.noAddress(p.Role)}
	}
	return out
}

func (r redactor) findings(list []mailproof.Finding) []mailproof.Finding {
	out := make([]mailproof.Finding, len(list))
	for i, f := range list {
		out[i] = mailproof.Finding{
			Check: f.Check, Domain: r.Of(evidence.FieldDomain, f.Domain), Account: r.Of(evidence.FieldAccount, f.Account), Mailbox: r.Of(evidence.FieldFolder, f.Mailbox),
			Phase: f.Phase, Outcome: f.Outcome, Reference: f.Reference, Time: f.Time, Observed: r.text(f.Observed),
		}
	}
	return out
}

func (r redactor) passes(list []mailproof.Pass) []mailproof.Pass {
	out := make([]mailproof.Pass, len(list))
	for i, p := range list {
		out[i] = p
		out[i].Command, out[i].Error = "", r.text(p.Error)
	}
	return out
}

// server keeps what tells of the connection and not of the server.
func (r redactor) server(s mailproof.ServerInfo) mailproof.ServerInfo {
	if s.Address == "" {
		return mailproof.ServerInfo{}
	}
	return mailproof.ServerInfo{Address: withheldHost, Mechanism: s.Mechanism, TLS: s.TLS, CertNotAfter: s.CertNotAfter, CertVerified: s.CertVerified, AppendLimit: s.AppendLimit}
}

func (r redactor) servers(list []mailproof.ServerInfo) []mailproof.ServerInfo {
	out := make([]mailproof.ServerInfo, len(list))
	for i, s := range list {
		out[i] = r.server(s)
	}
	return out
}

func (r redactor) runbook(list []mailproof.RunbookStep) []mailproof.RunbookStep {
	out := make([]mailproof.RunbookStep, len(list))
	for i, s := range list {
		out[i] = mailproof.RunbookStep{ID: s.ID, Phase: s.Phase, Title: s.Title, Owner: s.Owner, Evidence: s.Evidence, State: s.State,
			Basis: r.text(s.Basis), By: r.Of(evidence.FieldPerson, s.By), When: s.When, Note: r.text(s.Note)}
	}
	return out
}

// deletions are told of one by one, as everything that was destroyed should be,
// with pseudonyms for what names somebody.
func (r redactor) deletions(list []report.Deletion) []report.Deletion {
	var out []report.Deletion
	for _, d := range list {
		out = append(out, report.Deletion{
			Pass: d.Pass, Account: r.Of(evidence.FieldAccount, d.Account), Folder: r.Of(evidence.FieldFolder, d.Folder), UIDValidity: d.UIDValidity, UID: d.UID,
			SHA256: r.Of(evidence.FieldT0, d.SHA256), Bytes: d.Bytes, CopiedBy: d.CopiedBy, State: deletionState(d.State), Reason: r.text(d.Reason), Finished: d.Finished,
			SourceFolder: r.Of(evidence.FieldFolder, d.SourceFolder), SourceUID: d.SourceUID,
		})
	}
	return out
}

// deletionState passes the states that there are, and no other text.
func deletionState(s string) string {
	switch state := ledger.DeletionState(s); state {
	case ledger.Deleted, ledger.DeletionKept, ledger.DeletionFailed:
		return s
	}
	return ""
}

func (r redactor) account(a *mailproof.AccountResult) mailproof.AccountResult {
	out := mailproof.AccountResult{
		Account: r.Of(evidence.FieldAccount, a.Account), Verdict: a.Verdict, Counts: a.Counts, FlagsDiffer: a.FlagsDiffer, DatesDiffer: a.DatesDiffer,
		SignaturesChanged: a.SignaturesChanged, ExceptionsOmitted: a.ExceptionsOmitted, Findings: r.findings(a.Findings),
		SourceScan: r.scan(a.SourceScan), DestinationScan: r.scan(a.DestinationScan), SourceBytes: a.SourceBytes, DestinationBytes: a.DestinationBytes,
	}
	for _, f := range a.Folders {
		out.Folders = append(out.Folders, mailproof.FolderResult{
			Source: r.Of(evidence.FieldFolder, f.Source), Destination: r.Of(evidence.FieldFolder, f.Destination),
			SourceScan: r.mailbox(f.SourceScan), DestinationScan: r.mailbox(f.DestinationScan),
			Counts: f.Counts, FlagsDiffer: f.FlagsDiffer, DatesDiffer: f.DatesDiffer, SignaturesChanged: f.SignaturesChanged,
		})
	}
	if r.summary {
		out.ExceptionsOmitted += int64(len(a.Exceptions))
		return out
	}
	out.Exceptions = r.exceptions(a.Exceptions)
	return out
}

func (r redactor) scan(s mailproof.Scan) mailproof.Scan {
	return mailproof.Scan{Pass: s.Pass, Account: r.Of(evidence.FieldAccount, s.Account), Side: s.Side, Started: s.Started, Finished: s.Finished, State: s.State,
		Error: r.text(s.Error), Server: r.server(s.Server)}
}

func (r redactor) mailbox(m mailproof.MailboxScan) mailproof.MailboxScan {
	return mailproof.MailboxScan{
		Mailbox: mailproof.Mailbox{Name: r.Of(evidence.FieldFolder, m.Name), SpecialUse: m.SpecialUse, Subscribed: m.Subscribed, NoSelect: m.NoSelect},
		Before:  m.Before, After: m.After, Complete: m.Complete, Drifted: m.Drifted, Excluded: r.text(m.Excluded), Error: r.text(m.Error), Present: m.Present,
	}
}

func (r redactor) key(k mailproof.MessageKey) mailproof.MessageKey {
	k.Account, k.Mailbox = r.Of(evidence.FieldAccount, k.Account), r.Of(evidence.FieldFolder, k.Mailbox)
	return k
}

func (r redactor) exceptions(list []mailproof.Exception) []mailproof.Exception {
	out := make([]mailproof.Exception, len(list))
	for i, e := range list {
		out[i] = mailproof.Exception{
			ID: e.ID, Account: r.Of(evidence.FieldAccount, e.Account), Mailbox: r.Of(evidence.FieldFolder, e.Mailbox), Key: r.key(e.Key), Counterpart: r.key(e.Counterpart),
			Size: e.Size, Verdict: e.Verdict, Tier: e.Tier, Disposition: e.Disposition,
		}
		for _, why := range e.Reasons {
			out[i].Reasons = append(out[i].Reasons, mailproof.Reason{Code: why.Code})
		}
	}
	return out
}
