package evidence

import (
	"context"
	"encoding/json"
	"fmt"
	"html"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// fake is an engagement of any size that takes no memory: its messages are made
// when they are asked for.
type fake struct {
	accounts   []string
	folders    []string // of every account
	perFolder  int
	noVerdicts int    // so many verdicts are kept back
	onReport   func() // called when the report is asked for
	counts     map[string]*mailproof.Counts
	folderNo   map[folderKey]*mailproof.Counts
	exceptions []mailproof.Exception
	total      mailproof.Counts
}

func newFake(accounts, perFolder int) *fake {
	f := &fake{folders: []string{"INBOX", "Sent", "Ärger/2019", "Kunden Nörd"}, perFolder: perFolder}
	for i := range accounts {
		f.accounts = append(f.accounts, fmt.Sprintf("anna%02d@northgate.example", i))
	}
	return f
}

func (f *fake) Accounts(context.Context) ([]string, error) { return f.accounts, nil }

type fakeInventory struct {
	f       *fake
	account string
	side    mailproof.Side
}

func (f *fake) Inventory(_ context.Context, account string, side mailproof.Side) (Inventory, error) {
	return fakeInventory{f, account, side}, nil
}

func (i fakeInventory) Folders() []string { return i.f.folders }
func (i fakeInventory) Close() error      { return nil }

// fate says what became of the n-th message of a folder.
func fate(n int) mailproof.MessageVerdict {
	switch n % 50 {
	case 7:
		return mailproof.Missing
	case 11:
		return mailproof.Altered
	case 13:
		return mailproof.Equivalent
	case 17:
		return mailproof.Extra
	}
	return mailproof.Identical
}

func (i fakeInventory) Messages(_ context.Context, folder int) iter.Seq2[mailproof.Message, error] {
	return func(yield func(mailproof.Message, error) bool) {
		for n := range i.f.perFolder {
			if v := fate(n); i.side == mailproof.Source && v == mailproof.Extra || i.side == mailproof.Destination && v == mailproof.Missing {
				continue
			}
			if !yield(message(i.account, i.f.folders[folder], i.side, n), nil) {
				return
			}
		}
	}
}

func key(account, folder string, side mailproof.Side, n int) mailproof.MessageKey {
	uid := mailproof.UID(n + 1)
	if side == mailproof.Destination {
		uid += 1000
	}
	return mailproof.MessageKey{Side: side, Account: account, Mailbox: folder, UIDValidity: 7, UID: uid}
}

func message(account, folder string, side mailproof.Side, n int) mailproof.Message {
	k := key(account, folder, side, n)
	m := mailproof.Message{MessageKey: k, State: mailproof.Read}
	m.Metadata = mailproof.Metadata{UID: k.UID, Flags: mailproof.NewFlags(`\Seen`, "$Northgate"), InternalDate: time.Unix(1_700_000_000+int64(n), 0).UTC(), Size: int64(1000 + n)}
	id := fmt.Sprintf("<secret-%d.%s.%s>", n, strings.ReplaceAll(folder, " ", ""), account)
	r := rand.New(rand.NewPCG(uint64(n), uint64(len(folder)*1000+len(account))))
	for _, t := range mailproof.Tiers() {
		var h mailproof.Hash
		for j := range h {
			h[j] = byte(r.Uint32())
		}
		different := side == mailproof.Destination && (fate(n) == mailproof.Altered && t != mailproof.T3 || fate(n) == mailproof.Equivalent && (t == mailproof.T0 || t == mailproof.T1))
		if different {
			h[0] ^= 1
		}
		m.Fingerprint.SetHash(t, h)
	}
	m.Fingerprint.Octets = m.Size
	m.Fingerprint.Detail = mailproof.Detail{MessageID: id, Fields: []mailproof.FieldDigest{{Name: "subject", Value: fmt.Sprintf("Geheime \"Sache\" %d\t✓", n)}}}
	return m
}

func (f *fake) Verdicts(_ context.Context, emit func(*Verdict) error) error {
	f.counts, f.folderNo, f.total, f.exceptions = map[string]*mailproof.Counts{}, map[folderKey]*mailproof.Counts{}, mailproof.Counts{}, nil
	left := f.noVerdicts
	for _, a := range f.accounts {
		for _, folder := range f.folders {
			for n := f.perFolder - 1; n >= 0; n-- { // in an order of its own
				v := f.verdict(a, folder, n)
				if left--; left >= 0 {
					continue
				}
				if err := emit(v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (f *fake) verdict(a, folder string, n int) *Verdict {
	v := &Verdict{Verdict: fate(n), Source: key(a, folder, mailproof.Source, n), Destination: key(a, folder, mailproof.Destination, n)}
	switch v.Verdict {
	case mailproof.Identical:
		v.Tier = mailproof.T0
	case mailproof.Equivalent:
		v.Tier = mailproof.T2
	case mailproof.Altered:
		v.Tier, v.Reasons = mailproof.T3, []mailproof.Reason{{Code: "line-wrapped", Evidence: "part 2 \"x.pdf\": 12 → 9 octets"}}
	case mailproof.Missing:
		v.Destination = mailproof.MessageKey{}
	case mailproof.Extra:
		v.Source = mailproof.MessageKey{}
	}
	f.count(a, folder, v)
	return v
}

func (f *fake) count(a, folder string, v *Verdict) {
	k := folderKey{"", a, folder}
	if f.counts[a] == nil {
		f.counts[a] = &mailproof.Counts{}
	}
	if f.folderNo[k] == nil {
		f.folderNo[k] = &mailproof.Counts{}
	}
	for _, c := range []*mailproof.Counts{&f.total, f.counts[a], f.folderNo[k]} {
		c.Count(v.Verdict)
		if v.Source.Side != 0 {
			c.SourceMessages++
		}
		if v.Destination.Side != 0 {
			c.DestinationMessages++
		}
		if v.Verdict.Paired() {
			c.CountPaired()
		}
	}
	if v.Verdict == mailproof.Missing && len(f.exceptions) < 5 {
		f.exceptions = append(f.exceptions, mailproof.Exception{ID: fmt.Sprintf("E-%03d", len(f.exceptions)+1), Key: v.Source, Verdict: v.Verdict})
	}
}

func (f *fake) Exception(k mailproof.MessageKey) string {
	for _, e := range f.exceptions {
		if e.Key == k {
			return e.ID
		}
	}
	return ""
}

func (f *fake) Records(context.Context) (Records, error) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 5e8, time.UTC)
	return Records{
		Verdict:   mailproof.Incomplete,
		Decisions: []Decision{{"E-001", mailproof.Missing, mailproof.Accepted, "Anna Northgate", "spam of anna00@northgate.example", at, 3}},
		Findings:  []mailproof.Finding{{Domain: "northgate.example", Check: "mx.expected", Phase: mailproof.Confirmation, Outcome: mailproof.OutcomePass, Observed: "mx.northgate.example", Time: at}},
		Observations: []mailproof.Observation{{Time: at, Domain: "northgate.example", Question: "northgate.example.", Type: "MX", Server: "ns1.northgate.example 192.0.2.1:53",
			Role: "authoritative", Network: "udp", RCode: "NOERROR", AA: true, Records: []string{"10 mx.northgate.example."}, MinTTL: 300, MaxTTL: 300}},
		Passes: []Pass{
			{Pass: mailproof.Pass{ID: 1, Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull, State: mailproof.PassDone, Started: at, Finished: at, Tool: "mailproof test", Command: "mailproof run --source imaps://anna@imap.northgate.example"}},
			{Pass: mailproof.Pass{ID: 2, Kind: mailproof.DiffPass, Depth: mailproof.DepthFull, State: mailproof.PassDone, Started: at, Finished: at}},
		},
		FindingDecisions: []FindingDecision{{"inventory.complete", "anna00@northgate.example", FieldAccount, mailproof.OutcomeUnknown, "2 folders of anna00@northgate.example", mailproof.Accepted,
			"Anna Northgate", "empty since 2019", at}},
		Attestations: []mailproof.Attestation{
			{Step: "terms", By: "Bruno Northgate", Note: "a first word of anna00@northgate.example", When: at},
			{Step: "terms", By: "Anna Northgate", Note: "plan of 12 November", When: at},
			{Step: "webmail", By: "Anna Northgate", Note: "too early", When: at},
			{Step: "webmail", By: "Anna Northgate", Note: "taken back", When: at, Withdrawn: true},
			{Step: "add-ons", By: "Anna Northgate", Note: "none", When: at, NotApplicable: true},
		},
		Deletions: []Deletion{{Pass: 2, CopiedBy: 1, Destination: key("anna00@northgate.example", "Sent", mailproof.Destination, 1), Source: key("anna00@northgate.example", "Sent", mailproof.Source, 1),
			T0: mailproof.Hash{1, 2, 3}, Octets: 1001, State: "kept", Reason: "not what anna00@northgate.example had", Finished: at}},
	}, nil
}

// Report writes a report.json of the schema, and the HTML as far as a
// verification looks at it.
func (f *fake) Report(_ context.Context, dir string, c Citation) error {
	if f.onReport != nil {
		f.onReport()
	}
	name := func(field, s string) string {
		if c.Pseudonyms == nil {
			return s
		}
		return c.Pseudonyms.Of(field, s)
	}
	type object = map[string]any
	var accounts, exceptions []object
	for _, a := range f.accounts {
		var folders []object
		for _, folder := range f.folders {
			n := f.folderNo[folderKey{"", a, folder}]
			if n == nil {
				n = &mailproof.Counts{}
			}
			folders = append(folders, object{"source": name(FieldFolder, folder), "destination": name(FieldFolder, folder), "counts": n})
		}
		n := f.counts[a]
		if n == nil {
			n = &mailproof.Counts{}
		}
		accounts = append(accounts, object{"name": name(FieldAccount, a), "counts": n, "folders": folders})
	}
	records, err := f.Records(context.Background())
	if err != nil {
		return err
	}
	text := func(s string) string { // a text that a redacted report withholds
		if c.Pseudonyms == nil || s == "" {
			return s
		}
		return "withheld"
	}
	for _, e := range f.exceptions {
		x := object{"id": e.ID, "account": name(FieldAccount, e.Key.Account), "folder": name(FieldFolder, e.Key.Mailbox),
			"uidvalidity": e.Key.UIDValidity, "uid": e.Key.UID, "verdict": e.Verdict, "tier": e.Tier, "reasons": []string{}, "disposition": "open", "decision": nil}
		for _, d := range records.Decisions {
			if d.Exception == e.ID {
				x["disposition"], x["decision"] = d.Disposition, object{"by": name(FieldPerson, d.By), "why": text(d.Why), "when": d.At}
			}
		}
		exceptions = append(exceptions, x)
	}
	var dns, passes, observations, deletions []object
	for _, d := range records.Findings {
		dns = append(dns, object{"domain": name(FieldDomain, d.Domain), "phase": d.Phase, "check": d.Check, "outcome": d.Outcome, "expected": d.Expected, "observed": text(d.Observed),
			"remedy": d.Remedy, "reference": d.Reference, "time": d.Time})
	}
	for _, p := range records.Passes {
		x := object{"id": p.ID, "kind": p.Kind, "depth": p.Depth.String(), "state": p.State, "started": p.Started, "finished": p.Finished, "messages": p.Messages, "bytes": p.Bytes}
		if p.Side != 0 {
			x["side"] = p.Side
		}
		passes = append(passes, x)
	}
	if c.Pseudonyms == nil {
		for _, o := range records.Observations {
			observations = append(observations, object{"time": o.Time, "domain": o.Domain, "question": o.Question, "type": o.Type, "server": o.Server, "role": o.Role, "network": o.Network,
				"rcode": o.RCode, "aa": o.AA, "ad": o.AD, "records": o.Records, "min_ttl": o.MinTTL, "max_ttl": o.MaxTTL})
		}
	}
	for _, d := range records.Deletions {
		deletions = append(deletions, object{"pass": d.Pass, "account": name(FieldAccount, d.Destination.Account), "folder": name(FieldFolder, d.Destination.Mailbox),
			"uidvalidity": d.Destination.UIDValidity, "uid": d.Destination.UID, "sha256": name(FieldT0, d.T0.String()), "bytes": d.Octets, "copied_by": d.CopiedBy,
			"state": d.State, "reason": text(d.Reason), "finished": d.Finished, "source_folder": name(FieldFolder, d.Source.Mailbox), "source_uid": d.Source.UID})
	}
	if c.Profile == Summary {
		exceptions = nil
	}
	f0 := records.FindingDecisions[0]
	anna := name(FieldPerson, "Anna Northgate")
	at := records.Attestations[0].When
	step := func(id string, evidence mailproof.StepEvidence, state mailproof.RunbookState, by, note string) mailproof.RunbookStep {
		s := mailproof.RunbookStep{ID: id, Phase: 1, Evidence: evidence, State: state, By: by, Note: text(note)}
		if by != "" {
			s.When = at
		}
		return s
	}
	runbook := []mailproof.RunbookStep{
		step("terms", mailproof.Attested, mailproof.RunbookDone, anna, "plan of 12 November"),
		step("source-signin", mailproof.Measured, mailproof.RunbookDone, "", ""),
		step("add-ons", mailproof.Attested, mailproof.RunbookNotApplicable, anna, "none"),
		step("webmail", mailproof.Attested, mailproof.RunbookOpen, "", ""),
	}
	roots := []VerifiedRoot{}
	page := c.Bundle + " " + c.Fingerprint
	for _, r := range c.Roots {
		roots = append(roots, VerifiedRoot{r.File(), r.Size, r.String()})
		page += " " + r.String()
	}
	// As VerifiedRoot is written; the order is that of the bundle's id.
	order := []VerifiedRoot{}
	for _, t := range treeNames {
		for _, r := range roots {
			if r.Tree == linesFile(t) {
				order = append(order, r)
			}
		}
	}
	data, err := json.MarshalIndent(object{
		"schema": reportSchema, "verdict": mailproof.Incomplete, "exit_code": 1, "ledger": object{"balanced": true, "source": f.total.SourceMessages, "destination": f.total.DestinationMessages},
		"totals": f.total, "accounts": accounts, "exceptions": exceptions,
		"findings": []object{{"check": mailproof.CheckInventory, "outcome": "pass"}, {"check": "messages.missing", "outcome": "fail"},
			{"check": f0.Check, "account": name(f0.Field, f0.Subject), "outcome": "accepted", "observed": text(f0.Observed + "; accepted by Anna Northgate on 2026-11-20: " + f0.Why)}},
		"dns": dns, "passes": passes, "observations": observations, "deletions": deletions, "runbook": runbook,
		"evidence": object{"bundle": c.Bundle, "key_fingerprint": c.Fingerprint, "roots": order},
	}, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "report.html"), []byte("<!doctype html><p>"+html.EscapeString(page)+"</p>"), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "report.pdf"), []byte("%PDF-1.7 of the test\n"), 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "report.json"), data, 0o600)
}

var testTime = time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)

func testKey(tb testing.TB) Key {
	tb.Helper()
	k, err := NewKey()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func testPseudonyms(tb testing.TB) []byte {
	tb.Helper()
	k, err := NewPseudonymKey()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

// seal builds a bundle of the fake in a directory of the test.
func seal(tb testing.TB, f *fake, o Options) Sealed {
	tb.Helper()
	if o.Dir == "" {
		o.Dir = filepath.Join(tb.TempDir(), "bundle")
	}
	if o.Profile == 0 {
		o.Profile = Full
	}
	if o.Key.IsZero() {
		o.Key = testKey(tb)
	}
	if o.Profile != Full && o.PseudonymKey == nil {
		o.PseudonymKey = testPseudonyms(tb)
	}
	o.Tool, o.Now = "mailproof test", testTime
	s, err := Build(context.Background(), f, o)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// verified runs a verification that trusts the sealing key.
func verified(tb testing.TB, path string, s Sealed) *Verification {
	tb.Helper()
	v, err := Verify(context.Background(), path, VerifyOptions{Trust: Trust{Fingerprints: []string{s.Fingerprint}}, TempDir: tb.TempDir()})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}
