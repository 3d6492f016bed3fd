package report

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/mailproof/mailproof"
)

// Schema names the form of [JSON]. Field names never change their meaning; new
// ones may appear.
const Schema = "mailproof/report/1"

// JSON is report.json: what `run --json`, `diff --json` and the file hold.
// Lists are never null.
type JSON struct {
	Schema    string            `json:"schema"`
	Verdict   mailproof.Verdict `json:"verdict"`
	ExitCode  int               `json:"exit_code"`
	Generated time.Time         `json:"generated"`
	Issue     int               `json:"issue"`
	Tool      string            `json:"tool"`
	Command   string            `json:"command"`
	Depth     string            `json:"depth"`
	Sample    *Sample           `json:"sample"` // null where no sample was taken
	// Previews is what listings and headers show of each account whose latest
	// inventory was a preview.
	Previews          []mailproof.Preview `json:"previews"`
	Engagement        JSONEngagement      `json:"engagement"`
	Ledger            JSONLedger          `json:"ledger"`
	Totals            mailproof.Counts    `json:"totals"`
	SourceWindow      *JSONWindow         `json:"source_window"`
	DestinationWindow *JSONWindow         `json:"destination_window"`
	Accounts          []JSONAccount       `json:"accounts"`
	Exceptions        []JSONException     `json:"exceptions"`
	ExceptionsOmitted int64               `json:"exceptions_omitted"`
	Findings          []JSONCheck         `json:"findings"`
	DNS               []JSONDNS           `json:"dns"`
	Passes            []JSONPass          `json:"passes"`
	Exclusions        []JSONExclusion     `json:"exclusions"`
	SizeClasses       []JSONSizeClass     `json:"size_classes"`
	Copy              JSONCopy            `json:"copy"`
	Servers           JSONServers         `json:"servers"`
	Observations      []JSONObservations  `json:"observations"`
	SafeTimes         []SafeTime          `json:"safe_times"`
	Evidence          JSONEvidence        `json:"evidence"`
	// Runbook is the checklist of section 6, Readiness the latest readiness
	// check (null where none was recorded), History what each pass changed.
	Runbook   []mailproof.RunbookStep `json:"runbook"`
	Readiness *JSONReadiness          `json:"readiness"`
	History   []PassChange            `json:"history"`
	// Deletions are what --delete-extra deleted on the destination, over all runs.
	Deletions []Deletion `json:"deletions,omitempty"`
	// DNSUnconfirmed are the domains that no audit of DNS looked at after the
	// cut-over: they take no part in the verdict.
	DNSUnconfirmed []string `json:"dns_unconfirmed,omitempty"`
}

// JSONReadiness is a readiness check.
type JSONReadiness struct {
	Taken    time.Time          `json:"taken"`
	Ready    bool               `json:"ready"`
	Estimate string             `json:"estimate"`
	Accounts []ReadinessAccount `json:"accounts"`
	Findings []JSONCheck        `json:"findings"`
}

// JSONEngagement is what the parties agreed.
type JSONEngagement struct {
	ID            string      `json:"id"`
	Name          string      `json:"name"`
	Purpose       string      `json:"purpose"`
	IntendedUsers string      `json:"intended_users"`
	Domains       []string    `json:"domains"`
	Customers     []JSONParty `json:"customers"`
	Providers     []JSONParty `json:"providers"`
	Reviewers     []JSONParty `json:"reviewers"`
}

// JSONParty is one who signs.
type JSONParty struct {
	Organisation string `json:"organisation"`
	Name         string `json:"name"`
	Role         string `json:"role"`
}

// JSONLedger is the equation. Source and Destination are the numbers of
// messages that the inventories counted; the terms add up to them where
// Balanced is true.
type JSONLedger struct {
	Balanced         bool                 `json:"balanced"`
	Source           int64                `json:"source"`
	Destination      int64                `json:"destination"`
	SourceTerms      JSONSourceTerms      `json:"source_terms"`
	DestinationTerms JSONDestinationTerms `json:"destination_terms"`
}

// JSONSourceTerms are the terms of the source line.
type JSONSourceTerms struct {
	Identical          int64 `json:"identical"`
	Equivalent         int64 `json:"equivalent"`
	Relocated          int64 `json:"relocated"`
	Altered            int64 `json:"altered"`
	Missing            int64 `json:"missing"`
	DuplicateCollapsed int64 `json:"duplicate_collapsed"`
	Excluded           int64 `json:"excluded"`
	Unreadable         int64 `json:"unreadable"`
	NotChecked         int64 `json:"not_checked"`
}

// JSONDestinationTerms are the terms of the destination line.
type JSONDestinationTerms struct {
	Paired           int64 `json:"paired"`
	Extra            int64 `json:"extra"`
	DuplicateSurplus int64 `json:"duplicate_surplus"`
	Unreadable       int64 `json:"unreadable"`
	NotChecked       int64 `json:"not_checked"`
	Excluded         int64 `json:"excluded"`
}

// JSONWindow is the time an inventory took.
type JSONWindow struct {
	From time.Time `json:"from"`
	To   time.Time `json:"to"`
}

// JSONAccount is the comparison of one account.
type JSONAccount struct {
	Name              string            `json:"name"`
	Verdict           mailproof.Verdict `json:"verdict"`
	Balanced          bool              `json:"balanced"`
	Counts            mailproof.Counts  `json:"counts"`
	FlagsDiffer       int64             `json:"flags_differ"`
	DatesDiffer       int64             `json:"dates_differ"`
	SignaturesChanged int64             `json:"signatures_changed"`
	SourceBytes       int64             `json:"source_bytes"`
	DestinationBytes  int64             `json:"destination_bytes"`
	SourceError       string            `json:"source_error,omitempty"`
	DestinationError  string            `json:"destination_error,omitempty"`
	Folders           []JSONFolder      `json:"folders"`
	Findings          []JSONCheck       `json:"findings"`
}

// JSONFolder is the comparison of one folder.
type JSONFolder struct {
	Source              string           `json:"source"`
	Destination         string           `json:"destination"`
	SourceMessages      int64            `json:"source_messages"`
	DestinationMessages int64            `json:"destination_messages"`
	Counts              mailproof.Counts `json:"counts"`
	FlagsDiffer         int64            `json:"flags_differ"`
	DatesDiffer         int64            `json:"dates_differ"`
	SourceState         *JSONState       `json:"source_state"`
	DestinationState    *JSONState       `json:"destination_state"`
}

// JSONState is the evidence that a folder was read whole, and did not change
// meanwhile.
type JSONState struct {
	Before   mailproof.MailboxState `json:"before"`
	After    mailproof.MailboxState `json:"after"`
	Complete bool                   `json:"complete"`
	Drifted  bool                   `json:"drifted"`
	Excluded string                 `json:"excluded,omitempty"`
	Error    string                 `json:"error,omitempty"`
}

// JSONException is one message that needs a decision, or is noted.
type JSONException struct {
	ID          string                   `json:"id"`
	Account     string                   `json:"account"`
	Folder      string                   `json:"folder"`
	Side        string                   `json:"side"`
	UIDValidity uint32                   `json:"uidvalidity"`
	UID         mailproof.UID            `json:"uid"`
	MessageID   string                   `json:"message_id"`
	Subject     string                   `json:"subject"`
	Size        int64                    `json:"size"`
	Verdict     mailproof.MessageVerdict `json:"verdict"`
	Tier        mailproof.Tier           `json:"tier"`
	Reasons     []string                 `json:"reasons"` // "code: evidence"
	Disposition mailproof.Disposition    `json:"disposition"`
	Decision    *JSONDecision            `json:"decision"`
	Counterpart *JSONKey                 `json:"counterpart"`
}

// JSONDecision is who decided, and why.
type JSONDecision struct {
	By   string    `json:"by"`
	Why  string    `json:"why"`
	When time.Time `json:"when"`
}

// JSONKey names a message.
type JSONKey struct {
	Folder      string        `json:"folder"`
	UIDValidity uint32        `json:"uidvalidity"`
	UID         mailproof.UID `json:"uid"`
}

// JSONCheck is one finding of a comparison.
type JSONCheck struct {
	Check    string            `json:"check"`
	Account  string            `json:"account"`
	Folder   string            `json:"folder"`
	Domain   string            `json:"domain"`
	Outcome  mailproof.Outcome `json:"outcome"`
	Expected string            `json:"expected"`
	Observed string            `json:"observed"`
	Remedy   string            `json:"remedy"`
}

// JSONDNS is one finding of the DNS audit.
type JSONDNS struct {
	Domain    string            `json:"domain"`
	Phase     string            `json:"phase"`
	Check     string            `json:"check"`
	Outcome   mailproof.Outcome `json:"outcome"`
	Expected  string            `json:"expected"`
	Observed  string            `json:"observed"`
	Remedy    string            `json:"remedy"`
	Reference string            `json:"reference"`
	Time      *time.Time        `json:"time"`
}

// JSONPass is one pass. Finished is null while it runs, and for ever where it
// was killed.
type JSONPass struct {
	ID       mailproof.PassID `json:"id"`
	Kind     string           `json:"kind"`
	Side     string           `json:"side"` // empty where the pass has none
	Depth    string           `json:"depth"`
	State    string           `json:"state"`
	Started  time.Time        `json:"started"`
	Finished *time.Time       `json:"finished"`
	Messages int64            `json:"messages"`
	Bytes    int64            `json:"bytes"`
	Error    string           `json:"error,omitempty"`
}

// JSONExclusion is a rule and what it left out.
type JSONExclusion struct {
	Rule     string `json:"rule"`
	Messages int64  `json:"messages"`
	Accounts int    `json:"accounts"`
}

// JSONSizeClass is a class of the histogram; Below is null for the open one.
type JSONSizeClass struct {
	Below       *int64 `json:"below"`
	Source      int64  `json:"source"`
	Destination int64  `json:"destination"`
}

// JSONCopy is what the copy passes report of themselves.
type JSONCopy struct {
	Appended int64 `json:"appended"`
	Refused  int64 `json:"refused"`
	Failed   int64 `json:"failed"`
	Flags    int64 `json:"flags"`
	Created  int64 `json:"created"`
}

// JSONServers are the servers of both sides.
type JSONServers struct {
	Source      []mailproof.ServerInfo `json:"source"`
	Destination []mailproof.ServerInfo `json:"destination"`
}

// JSONObservations is one exchange with a name server.
type JSONObservations = mailproof.Observation

// JSONEvidence is what sealing added; empty where the report is not sealed.
type JSONEvidence struct {
	Roots          []Root `json:"roots"`
	KeyFingerprint string `json:"key_fingerprint"`
	Bundle         string `json:"bundle"`
}

// WriteJSON writes the document in the form of [JSON], indented, with a final
// line feed.
func (d *Document) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d.JSON()); err != nil {
		return fmt.Errorf("report: JSON: %w", err)
	}
	return nil
}

// ReadJSON reads what WriteJSON wrote. It refuses another schema; fields that
// it does not know are passed over, as newer versions may have them.
func ReadJSON(r io.Reader) (*JSON, error) {
	var j JSON
	if err := json.NewDecoder(r).Decode(&j); err != nil {
		return nil, fmt.Errorf("report: JSON: %w", err)
	}
	if j.Schema != Schema {
		return nil, fmt.Errorf("report: JSON has schema %q, this program reads %q", j.Schema, Schema)
	}
	return &j, nil
}

// JSON returns the document in the form in which it is written.
func (d *Document) JSON() *JSON {
	return &JSON{
		Schema: Schema, Verdict: d.Verdict, ExitCode: d.Verdict.ExitCode(), Generated: d.Generated.UTC(), Issue: d.Issue,
		Tool: d.Tool, Command: d.Command, Depth: depthName(d.Depth), Sample: d.Sample, Previews: convert(d.Previews, same[mailproof.Preview]), Engagement: d.Engagement.json(), Ledger: d.ledgerJSON(), Totals: d.Totals,
		SourceWindow: d.SourceWindow.json(), DestinationWindow: d.DestinationWindow.json(),
		Accounts: convert(d.Accounts, accountJSON), Exceptions: convert(d.Exceptions, d.exceptionJSON), ExceptionsOmitted: d.ExceptionsOmitted,
		Findings: convert(d.Findings, checkJSON), DNS: convert(d.DNS, dnsJSON), Passes: convert(d.Passes, passJSON),
		Exclusions:  convert(d.Exclusions, func(e Exclusion) JSONExclusion { return JSONExclusion(e) }),
		SizeClasses: d.Histogram.json(), Copy: JSONCopy(d.Steps),
		Servers:      JSONServers{Source: convert(d.SourceServers, serverJSON), Destination: convert(d.DestinationServers, serverJSON)},
		Observations: convert(d.Observations, observationJSON),
		SafeTimes:    convert(d.SafeTimes, safeJSON),
		Evidence:     JSONEvidence{Roots: convert(d.Evidence.Roots, same[Root]), KeyFingerprint: d.Evidence.KeyFingerprint, Bundle: d.Evidence.Bundle},
		Runbook:      convert(d.Runbook, stepJSON), Readiness: d.Readiness.json(), History: convert(d.History, same[PassChange]), Deletions: d.Deletions, DNSUnconfirmed: d.Unconfirmed,
	}
}

func stepJSON(s mailproof.RunbookStep) mailproof.RunbookStep {
	s.When = s.When.UTC()
	return s
}

func (r *Readiness) json() *JSONReadiness {
	if r == nil {
		return nil
	}
	return &JSONReadiness{Taken: r.Taken.UTC(), Ready: r.Ready, Estimate: r.Estimate, Accounts: convert(r.Accounts, same[ReadinessAccount]), Findings: convert(r.Findings, checkJSON)}
}

// convert maps a list and never returns nil: an empty list is [] in JSON.
func convert[A, B any](list []A, f func(A) B) []B {
	out := make([]B, 0, len(list))
	for _, a := range list {
		out = append(out, f(a))
	}
	return out
}

func same[T any](v T) T { return v }

func depthName(d mailproof.Depth) string { return d.String() }

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func (e Engagement) json() JSONEngagement {
	party := func(p Party) JSONParty { return JSONParty(p) }
	return JSONEngagement{
		ID: e.ID, Name: e.Name, Purpose: e.Purpose, IntendedUsers: e.IntendedUsers, Domains: convert(e.Domains, same[string]),
		Customers: convert(e.Customers, party), Providers: convert(e.Providers, party), Reviewers: convert(e.Reviewers, party),
	}
}

func (d *Document) ledgerJSON() JSONLedger {
	c := d.Totals
	return JSONLedger{
		Balanced: d.Balanced(), Source: c.SourceMessages, Destination: c.DestinationMessages,
		SourceTerms: JSONSourceTerms{
			Identical: c.AllIdentical(), Equivalent: c.AllEquivalent(), Relocated: c.Relocated, Altered: c.Altered, Missing: c.Missing,
			DuplicateCollapsed: c.DuplicateCollapsed, Excluded: c.Excluded, Unreadable: c.Unverifiable, NotChecked: c.NotChecked,
		},
		DestinationTerms: JSONDestinationTerms{
			Paired: c.DestinationPairedHere, Extra: c.Extra, DuplicateSurplus: c.DuplicateSurplus,
			Unreadable: c.DestinationUnreadable, NotChecked: c.DestinationNotChecked, Excluded: c.DestinationExcluded,
		},
	}
}

// Balanced reports whether the ledger equation holds in total, for every
// account and for every folder.
func (d *Document) Balanced() bool {
	if !d.Totals.Balanced() {
		return false
	}
	var sum mailproof.Counts
	for _, a := range d.Accounts {
		if !a.Counts.Balanced() {
			return false
		}
		for _, f := range a.Folders {
			if !f.Counts.FolderBalanced() {
				return false
			}
		}
		sum.Add(a.Counts)
	}
	return sum == d.Totals
}

func (w Window) json() *JSONWindow {
	if w.IsZero() {
		return nil
	}
	return &JSONWindow{From: w.From.UTC(), To: w.To.UTC()}
}

func accountJSON(a mailproof.AccountResult) JSONAccount {
	return JSONAccount{
		Name: a.Account, Verdict: a.Verdict, Balanced: a.Counts.Balanced(), Counts: a.Counts,
		FlagsDiffer: a.FlagsDiffer, DatesDiffer: a.DatesDiffer, SignaturesChanged: a.SignaturesChanged,
		SourceBytes: a.SourceBytes, DestinationBytes: a.DestinationBytes,
		SourceError: a.SourceScan.Error, DestinationError: a.DestinationScan.Error,
		Folders: convert(a.Folders, folderJSON), Findings: convert(a.Findings, checkJSON),
	}
}

func folderJSON(f mailproof.FolderResult) JSONFolder {
	return JSONFolder{
		Source: f.Source, Destination: f.Destination, SourceMessages: f.Counts.SourceMessages, DestinationMessages: f.Counts.DestinationMessages,
		Counts: f.Counts, FlagsDiffer: f.FlagsDiffer, DatesDiffer: f.DatesDiffer,
		SourceState: stateJSON(f.Source, f.SourceScan), DestinationState: stateJSON(f.Destination, f.DestinationScan),
	}
}

func stateJSON(name string, s mailproof.MailboxScan) *JSONState {
	if name == "" {
		return nil
	}
	return &JSONState{Before: s.Before, After: s.After, Complete: s.Complete, Drifted: s.Drifted, Excluded: s.Excluded, Error: s.Error}
}

func (d *Document) exceptionJSON(e mailproof.Exception) JSONException {
	j := JSONException{
		ID: e.ID, Account: e.Account, Folder: e.Mailbox, UIDValidity: e.Key.UIDValidity, UID: e.Key.UID, MessageID: e.MessageID,
		Subject: e.Subject, Size: e.Size, Verdict: e.Verdict, Tier: e.Tier, Disposition: e.Disposition,
		Reasons: convert(e.Reasons, mailproof.Reason.String),
	}
	if e.Key.Side != 0 {
		j.Side = e.Key.Side.String()
	}
	if c := e.Counterpart; c.UID != 0 {
		j.Counterpart = &JSONKey{Folder: c.Mailbox, UIDValidity: c.UIDValidity, UID: c.UID}
	}
	if dec, ok := d.Decisions[e.ID]; ok {
		j.Decision = &JSONDecision{By: dec.By, Why: dec.Why, When: dec.When.UTC()}
	}
	return j
}

func checkJSON(f mailproof.Finding) JSONCheck {
	return JSONCheck{Check: f.Check, Account: f.Account, Folder: f.Mailbox, Domain: f.Domain, Outcome: f.Outcome,
		Expected: f.Expected, Observed: f.Observed, Remedy: f.Remedy}
}

func dnsJSON(f mailproof.Finding) JSONDNS {
	return JSONDNS{Domain: f.Domain, Phase: f.Phase.String(), Check: f.Check, Outcome: f.Outcome, Expected: f.Expected,
		Observed: f.Observed, Remedy: f.Remedy, Reference: f.Reference, Time: timeOrNil(f.Time)}
}

func passJSON(p mailproof.Pass) JSONPass {
	j := JSONPass{ID: p.ID, Kind: p.Kind.String(), Depth: p.Depth.String(), State: p.State.String(), Started: p.Started.UTC(),
		Finished: timeOrNil(p.Finished), Messages: p.Messages, Bytes: p.Bytes, Error: p.Error}
	if p.Side != 0 {
		j.Side = p.Side.String()
	}
	return j
}

func serverJSON(s mailproof.ServerInfo) mailproof.ServerInfo {
	s.CertNotAfter = s.CertNotAfter.UTC()
	return s
}

func observationJSON(o mailproof.Observation) JSONObservations {
	o.Time, o.Records = o.Time.UTC(), convert(o.Records, same[string])
	return o
}

func safeJSON(s SafeTime) SafeTime {
	s.Flipped, s.At = s.Flipped.UTC(), s.At.UTC()
	return s
}

func (h Histogram) json() []JSONSizeClass {
	out := []JSONSizeClass{}
	if h.IsEmpty() {
		return out
	}
	for i := range h.Source {
		class := JSONSizeClass{Source: h.Source[i], Destination: h.Destination[i]}
		if i < len(h.Limits) {
			class.Below = &h.Limits[i]
		}
		out = append(out, class)
	}
	return out
}
