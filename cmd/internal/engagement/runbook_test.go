package engagement

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
	"github.com/mailproof/mailproof/dnsaudit"
	"github.com/mailproof/mailproof/templates"
)

// Every step of the runbook is whole, measured by something that there is, and
// comes before a gate; every measurement is of some step.
func TestRunbookData(t *testing.T) {
	d, err := parseRunbook(templates.Runbook)
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for _, s := range d.Steps {
		used[s.Measure] = true
		if len(s.Title) > 56 || strings.HasSuffix(s.Title, ".") {
			t.Errorf("%s: title %q is no line of a table", s.ID, s.Title)
		}
		for _, gate := range d.Gates {
			if gate.Name == "decommission" && !slices.Contains(gate.Phases, s.Phase) {
				t.Errorf("%s comes before no gate", s.ID)
			}
		}
	}
	for name := range measures {
		if !used[name] {
			t.Errorf("measure %s is of no step", name)
		}
	}
	if len(d.Steps) != 22 || len(d.Phases) != 4 || len(d.Gates) != 2 {
		t.Errorf("%d steps, %d phases, %d gates", len(d.Steps), len(d.Phases), len(d.Gates))
	}
}

// What would not work is refused by name.
func TestRunbookRefuses(t *testing.T) {
	const head = "[[phase]]\nnumber = 1\ntitle = \"one\"\n[[phase]]\nnumber = 2\ntitle = \"two\"\n"
	step := func(lines string) string {
		return "[[step]]\nid = \"x\"\nphase = 2\ntitle = \"t\"\nowner = \"o\"\nnext = \"n\"\n" + lines + "\n"
	}
	for text, want := range map[string]string{
		head + step("evidence = \"attested\"") + step("evidence = \"attested\""):             "is there twice",
		head + step("evidence = \"measured\""):                                               "do not go together",
		head + step("evidence = \"attested\"\nmeasure = \"copied\""):                         "do not go together",
		head + step("evidence = \"measured\"\nmeasure = \"luck\""):                           `measure "luck" is not known`,
		head + step("evidence = \"sworn\""):                                                  "evidence of a step",
		head + step("evidence = \"attested\"\ncolour = \"red\""):                             "step.colour is not known",
		head + strings.ReplaceAll(step("evidence = \"attested\""), "phase = 2", "phase = 3"): "phase 3 is not there",
		head + strings.ReplaceAll(step("evidence = \"attested\""), "\"o\"", "\"\""):          "lacks a value",
		head + step("evidence = \"attested\"") + strings.NewReplacer("phase = 2", "phase = 1", "\"x\"", "\"y\"").Replace(step("evidence = \"attested\"")): "behind a later phase",
		head + "[[gate]]\nname = \"g\"\n": "lacks a value",
	} {
		if _, err := parseRunbook(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s of\n%s", err, want, text)
		}
	}
}

// The property: no word makes a measured step hold, whatever was measured; and
// where evidence says that something failed, no word makes it less.
func TestNoTickByHand(t *testing.T) {
	defer func(kept func(*facts) measurement) { measures["copied"] = kept }(measures["copied"])
	words := []*mailproof.Attestation{nil, {By: "A", Note: "n", When: time.Now()}, {By: "A", Note: "n", When: time.Now(), NotApplicable: true}}
	for _, evidence := range []mailproof.StepEvidence{mailproof.Measured, mailproof.MeasuredOrAttested, mailproof.MeasuredAndAttested} {
		for _, state := range []mailproof.RunbookState{mailproof.RunbookOpen, mailproof.RunbookDone, mailproof.RunbookFailed, mailproof.RunbookNotApplicable} {
			for _, word := range words {
				for _, optional := range []bool{false, true} {
					measures["copied"] = func(*facts) measurement { return measurement{state: state, basis: "b"} }
					f := &facts{}
					s := stepData{ID: "x", Evidence: evidence, Measure: "copied", Optional: optional, Next: "n"}
					item := f.judge(s, word)
					said := word != nil && !word.NotApplicable
					switch {
					case state == mailproof.RunbookFailed && item.State != mailproof.RunbookFailed:
						t.Errorf("%v, %v, %+v: a failure became %v", evidence, state, word, item.State)
					case item.State == mailproof.RunbookDone && evidence == mailproof.Measured && state != mailproof.RunbookDone:
						t.Errorf("%v, %v: done by hand", evidence, state)
					case item.State == mailproof.RunbookDone && evidence == mailproof.MeasuredAndAttested && (state != mailproof.RunbookDone || !said):
						t.Errorf("%v, %v, %+v: done by half", evidence, state, word)
					case item.Holds() != (item.Next == ""):
						t.Errorf("holds %v, next %q", item.Holds(), item.Next)
					}
					if word == nil {
						continue
					}
					err := f.mayAttest(s, *word)
					var refused *NotForHands
					if err != nil && !errors.As(err, &refused) {
						t.Errorf("%v", err)
					}
					allowed := word.NotApplicable && optional && state != mailproof.RunbookDone && state != mailproof.RunbookFailed ||
						!word.NotApplicable && (evidence == mailproof.MeasuredOrAttested && state != mailproof.RunbookFailed || evidence == mailproof.MeasuredAndAttested && state == mailproof.RunbookDone)
					if (err == nil) != allowed {
						t.Errorf("%v, %v, optional %v, not applicable %v: %v", evidence, state, optional, word.NotApplicable, err)
					}
					if err := f.mayAttest(s, mailproof.Attestation{Withdrawn: true}); err != nil {
						t.Errorf("a word cannot be taken back: %v", err)
					}
				}
			}
		}
	}
}

func probeOf(minute int, source, destination bool, sourceError string) ledger.Probe {
	at := time.Date(2026, 11, 21, 10, minute, 0, 0, time.UTC)
	p := ledger.Probe{Recipient: "anna@example.com", Exchange: "mx", Sent: at, Ended: at.Add(30 * time.Second), SourceError: sourceError}
	if source {
		p.SourceFolder = "INBOX"
	}
	if destination {
		p.DestinationFolder = "INBOX"
	}
	return p
}

// of is a probe to another account.
func of(account string, p ledger.Probe) ledger.Probe {
	p.Account = account
	return p
}

// What probes say of the routing, and when the cut-over was.
func TestProbesTellTheCutOver(t *testing.T) {
	old, both, fresh := probeOf(1, true, false, ""), probeOf(2, true, true, ""), probeOf(3, false, true, "")
	blind, lost, later := probeOf(4, false, true, "connection refused"), probeOf(5, false, false, ""), probeOf(6, false, true, "")
	open, done, failed := mailproof.RunbookOpen, mailproof.RunbookDone, mailproof.RunbookFailed
	for _, tt := range []struct {
		name     string
		probes   []ledger.Probe
		old, new mailproof.RunbookState
		cut      int // minute; 0: none
	}{
		{"none", nil, open, open, 0},
		{"old", []ledger.Probe{old}, done, open, 0},
		{"both", []ledger.Probe{both}, done, open, 0},
		{"old, new", []ledger.Probe{old, fresh}, done, done, 3},
		{"new only", []ledger.Probe{fresh}, open, done, 3},
		{"old, new, new", []ledger.Probe{old, fresh, later}, done, done, 3},
		{"new, then old again", []ledger.Probe{fresh, old}, done, open, 0},
		{"new, old, new", []ledger.Probe{fresh, old, later}, done, done, 6},
		{"new, then lost", []ledger.Probe{old, fresh, lost}, done, failed, 3},
		{"the old server could not be watched", []ledger.Probe{old, blind}, failed, open, 0},
		{"lost", []ledger.Probe{lost}, failed, open, 0},
		// Of several accounts each is judged by its own probes.
		{"one new, the other still old", []ledger.Probe{of("bob", old), of("anna", fresh)}, done, open, 0},
		{"both moved, one after the other", []ledger.Probe{of("bob", old), of("anna", fresh), of("bob", later)}, done, done, 6},
		{"one moved, the other lost", []ledger.Probe{of("bob", lost), of("anna", later)}, failed, failed, 6},
		{"one probed later, and new as well", []ledger.Probe{of("anna", old), of("anna", fresh), of("bob", later)}, done, done, 3},
		{"the one old, the other lost before", []ledger.Probe{of("bob", lost), of("anna", both)}, failed, open, 0},
	} {
		f := &facts{probes: tt.probes}
		cut := 0
		if p := f.firstOnNew(); p != nil {
			f.cutOver, cut = p.Sent, p.Sent.Minute()
		}
		if got := f.routedToOld(); got.state != tt.old {
			t.Errorf("%s: old server: %v (%s), want %v", tt.name, got.state, got.basis, tt.old)
		}
		if got := f.routedToNew(); got.state != tt.new {
			t.Errorf("%s: new server: %v (%s), want %v", tt.name, got.state, got.basis, tt.new)
		}
		if cut != tt.cut {
			t.Errorf("%s: cut over at minute %d, want %d", tt.name, cut, tt.cut)
		}
	}
}

// The property of decisions: whatever was said of an exception, in whatever
// order, and whatever is found now, the finding is never better than accepted,
// and it is accepted only where the latest word is an acceptance of just this.
func TestDecisionsNeverImprove(t *testing.T) {
	key := mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: "INBOX", UIDValidity: 1, UID: 1}
	reasons := [][]mailproof.Reason{nil, {{Code: "a", Evidence: "1"}}, {{Code: "a", Evidence: "2"}}, {{Code: "a", Evidence: "1"}, {Code: "b", Evidence: "1"}}}
	verdicts := []mailproof.MessageVerdict{mailproof.Missing, mailproof.Altered, mailproof.Unverifiable}
	for _, d := range []mailproof.Disposition{mailproof.Open, mailproof.Accepted, mailproof.Waived, mailproof.Fixed} {
		for _, was := range verdicts {
			for _, on := range reasons {
				s := said{exceptions: map[mailproof.MessageKey]ledger.Decided{key: {Key: key, Reasons: on, SourcePass: 1, DestinationPass: 2, Decision: ledger.Decision{Disposition: d, Verdict: was, By: "A"}}}}
				for _, is := range verdicts {
					for _, now := range reasons {
						for _, r := range []readings{{1, 2}, {3, 2}, {1, 4}, {3, 4}} {
							x := &mailproof.Exception{Key: key, Verdict: is, Reasons: now}
							got := s.on(r)(x)
							worse := was != is || slices.ContainsFunc(now, func(n mailproof.Reason) bool {
								return !slices.ContainsFunc(on, func(o mailproof.Reason) bool {
									return o.Code == n.Code && (is != mailproof.Altered || o.Evidence == n.Evidence)
								})
							})
							want := mailproof.Open
							switch {
							case d == mailproof.Fixed && (r.destination > 2 || r.source > 1 && was == mailproof.Unverifiable):
								want = mailproof.Fixed
							case d == mailproof.Accepted && !worse, d == mailproof.Waived && !worse:
								want = d
							}
							if got != want {
								t.Errorf("%v on %v %v, now %v %v at %v: %v, want %v", d, was, on, is, now, r, got, want)
							}
						}
					}
				}
			}
		}
	}
}

// The same of findings: what nobody may accept stays, and what was accepted
// rolls up to accepted and to nothing better.
func TestFindingsNeverImprove(t *testing.T) {
	checks := []mailproof.Finding{
		{Check: "mx.leftover", Domain: "example.com", Phase: mailproof.Confirmation}, {Check: "mx.leftover", Domain: "example.com", Phase: mailproof.Readiness},
		{Check: mailproof.CheckInventory, Account: "anna"}, {Check: mailproof.CheckInventory, Account: "anna", Mailbox: "Old"},
		{Check: diff.CheckDrift, Account: "anna"}, {Check: diff.CheckBalance, Account: "anna"}, {Check: diff.CheckMissing, Account: "anna"}, {Check: CheckScope}, {Check: CheckInScope},
		{Check: diff.CheckNotChecked, Account: "anna"},
	}
	may := map[int]bool{0: true, 3: true, 4: true}
	for i, f := range checks {
		for _, outcome := range []mailproof.Outcome{mailproof.OutcomeUnknown, mailproof.OutcomeFail, mailproof.OutcomePass, mailproof.OutcomeWarn} {
			f.Outcome, f.Observed = outcome, "seen"
			for _, d := range []mailproof.Disposition{mailproof.Open, mailproof.Accepted, mailproof.Waived, mailproof.Fixed} {
				for _, observed := range []string{"seen", "something else"} {
					s := said{findings: []ledger.FindingDecision{{Check: f.Check, Subject: ledger.Subject(&f), Outcome: outcome, Observed: observed, Disposition: d, By: "A", Why: "w"}}}
					list := []mailproof.Finding{f}
					got := s.accept(list)[0]
					want := outcome
					if may[i] && observed == "seen" && (d == mailproof.Accepted || d == mailproof.Waived) && (outcome == mailproof.OutcomeFail || outcome == mailproof.OutcomeUnknown) {
						want = mailproof.OutcomeAccepted
					}
					if got.Outcome != want || list[0].Outcome != outcome {
						t.Errorf("%s %v, %v of %q: %v, want %v", f.Check, outcome, d, observed, got.Outcome, want)
					}
					if back := undecided(got); want == mailproof.OutcomeAccepted && outcome == mailproof.OutcomeUnknown && (back.Observed != "seen" || back.Outcome != outcome) {
						t.Errorf("taken back: %+v", back)
					}
				}
			}
		}
	}
}

// Numbers and ranges of exceptions, as people write them.
func TestExpandIDs(t *testing.T) {
	for text, want := range map[string]string{"E-001": "E1", "e3": "E3", "E-010..E-012": "E10 E11 E12", "N-2": "N2", "E-5..E-5": "E5"} {
		got, err := expandIDs([]string{text})
		var names []string
		for id := range got {
			names = append(names, id)
		}
		slices.Sort(names)
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%s: %v, %v", text, names, err)
		}
	}
	for _, text := range []string{"", "E", "12", "X-1", "E-0", "E-3..E-1", "E-1..N-3", "E-1..", "E-1..E-99999999"} {
		if got, err := expandIDs([]string{text}); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// What the new server said of addresses when it was asked weighs more than a
// word that they are there.
func TestRecipientsWereAsked(t *testing.T) {
	step := stepData{ID: "objects", Evidence: mailproof.MeasuredOrAttested, Measure: "recipients", Next: "n"}
	word := &mailproof.Attestation{Step: "objects", By: "A. Lindgren", Note: "all there"}
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	asked := func(o mailproof.Outcome) *facts {
		return &facts{asked: []mailproof.Finding{{Check: dnsaudit.CheckControl, Outcome: mailproof.OutcomePass}, {Check: dnsaudit.CheckRecipients, Outcome: o}}, askedAt: at}
	}
	for _, tt := range []struct {
		name string
		f    *facts
		said *mailproof.Attestation
		want mailproof.RunbookState
	}{
		{"not asked, not said", &facts{}, nil, mailproof.RunbookOpen},
		{"not asked, said", &facts{}, word, mailproof.RunbookDone},
		{"refused", asked(mailproof.OutcomeFail), nil, mailproof.RunbookFailed},
		{"refused, and said to be there", asked(mailproof.OutcomeFail), word, mailproof.RunbookFailed},
		{"taken", asked(mailproof.OutcomePass), nil, mailproof.RunbookDone},
		{"could not be told, and said", asked(mailproof.OutcomeUnknown), word, mailproof.RunbookDone},
	} {
		if got := tt.f.judge(step, tt.said); got.State != tt.want {
			t.Errorf("%s: %v (%s), want %v", tt.name, got.State, got.Basis, tt.want)
		}
	}
}

// A domain counts as confirmed by an audit after the cut-over alone, however it
// is written.
func TestUnconfirmedDomains(t *testing.T) {
	audit := func(domain string, phase mailproof.Phase) ledger.DNSResult {
		return ledger.DNSResult{Domain: domain, Phase: phase}
	}
	for name, tt := range map[string]struct {
		dns, engagement []string
		audits          []ledger.DNSResult
		want            string
	}{
		"nobody asks for DNS":          {nil, nil, nil, ""},
		"never audited":                {nil, []string{"a.example", "b.example"}, nil, "a.example b.example"},
		"the list of [dns] goes first": {[]string{"b.example"}, []string{"a.example"}, nil, "b.example"},
		"audited before only":          {nil, []string{"a.example"}, []ledger.DNSResult{audit("a.example", mailproof.Planning), audit("a.example", mailproof.Readiness)}, "a.example"},
		"audited after it":             {nil, []string{"a.example"}, []ledger.DNSResult{audit("a.example", mailproof.Readiness), audit("a.example", mailproof.Confirmation)}, ""},
		"one of two":                   {nil, []string{"a.example", "b.example"}, []ledger.DNSResult{audit("b.example", mailproof.Confirmation)}, "a.example"},
		"in other letters":             {nil, []string{"A.example.", "bücher.example"}, []ledger.DNSResult{audit("a.example", mailproof.Confirmation), audit("xn--bcher-kva.example", mailproof.Confirmation)}, ""},
		"audited, and not named":       {nil, nil, []ledger.DNSResult{audit("c.example", mailproof.Readiness)}, "c.example"},
	} {
		c := &config.Config{}
		c.DNS.Domains, c.Engagement.Domains = tt.dns, tt.engagement
		if got := strings.Join((&Engagement{Config: c}).unconfirmed(tt.audits), " "); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
	if got := (&Engagement{}).unconfirmed(nil); got != nil {
		t.Errorf("without a file: %q", got)
	}
}
