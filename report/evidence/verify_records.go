package evidence

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// reportException is an exception as report.json lists it.
type reportException struct {
	ID          string          `json:"id"`
	Account     string          `json:"account"`
	Folder      string          `json:"folder"`
	UIDValidity int64           `json:"uidvalidity"`
	UID         int64           `json:"uid"`
	Verdict     string          `json:"verdict"`
	Tier        string          `json:"tier"`
	Reasons     []string        `json:"reasons"`
	Disposition string          `json:"disposition"`
	Decision    *reportDecision `json:"decision"`
}

type reportDecision struct {
	By   string    `json:"by"`
	Why  string    `json:"why"`
	When time.Time `json:"when"`
}

// reportFinding is a finding of the comparison or of DNS.
type reportFinding struct {
	Check     string            `json:"check"`
	Account   string            `json:"account"`
	Domain    string            `json:"domain"`
	Phase     string            `json:"phase"`
	Outcome   mailproof.Outcome `json:"outcome"`
	Expected  string            `json:"expected"`
	Observed  string            `json:"observed"`
	Remedy    string            `json:"remedy"`
	Reference string            `json:"reference"`
	Time      time.Time         `json:"time"`
}

type reportPass struct {
	ID       int64     `json:"id"`
	Kind     string    `json:"kind"`
	Side     string    `json:"side"`
	Depth    string    `json:"depth"`
	State    string    `json:"state"`
	Started  time.Time `json:"started"`
	Finished time.Time `json:"finished"`
	Messages int64     `json:"messages"`
	Bytes    int64     `json:"bytes"`
	Error    string    `json:"error"`
}

type reportDeletion struct {
	Pass         int64     `json:"pass"`
	Account      string    `json:"account"`
	Folder       string    `json:"folder"`
	UIDValidity  int64     `json:"uidvalidity"`
	UID          int64     `json:"uid"`
	SHA256       string    `json:"sha256"`
	Bytes        int64     `json:"bytes"`
	SourceFolder string    `json:"source_folder"`
	SourceUID    int64     `json:"source_uid"`
	CopiedBy     int64     `json:"copied_by"`
	State        string    `json:"state"`
	Reason       string    `json:"reason"`
	Finished     time.Time `json:"finished"`
}

// The reasons with which an exception stays open in spite of a decision on it,
// as the report writes them before a colon.
const (
	reasonLapsed      = "decision-lapsed"
	reasonUnconfirmed = "fix-to-be-confirmed"
)

// checkRecords holds what the report repeats of data against data: what people
// decided and attested, DNS, the passes, and what was deleted. A file in which a
// line could not be read is left out, as its lines were named already.
func (v *verifier) checkRecords(r *reportJSON) {
	v.checkDecisions(r)
	v.checkFindingDecisions(r)
	v.checkAttestations(r)
	v.checkRepeated(r)
	v.done(CheckRecords, "what the report repeats of decisions, DNS and passes is as in data")
}

// differs records that the report and a line of data do not say the same.
func (v *verifier) differs(format string, args ...any) {
	v.problem(CheckRecords, fileReportJSON, 0, format, args...)
}

// full says that texts stand in data and report alike; elsewhere they are
// withheld, in the one and in the other.
func (v *verifier) full() bool { return v.profile == Full }

// checkDecisions holds the dispositions of exceptions against the latest
// decision on each.
func (v *verifier) checkDecisions(r *reportJSON) {
	lines, ok := v.records[fileDispositions]
	if !ok || !v.profile.HasLines() {
		return
	}
	type decided struct {
		n int64
		*dispositionLine
	}
	latest := map[string]decided{}
	for _, l := range lines {
		if d, ok := l.line.(*dispositionLine); ok {
			latest[d.Exception] = decided{l.n, d}
		}
	}
	for i := range r.Exceptions {
		e := &r.Exceptions[i]
		if _, known := v.tally.exceptions[e.ID]; !known {
			continue // said by the check of the report
		}
		d := latest[e.ID]
		if d.dispositionLine != nil && d.Disposition == mailproof.Open.String() {
			d.dispositionLine = nil // taken back
		}
		v.checkDecision(e, d.dispositionLine, d.n)
	}
}

// checkDecision compares one exception with the decision on it; d is nil where
// nobody decided, or took it back. n is the line, 0 where there is none.
func (v *verifier) checkDecision(e *reportException, d *dispositionLine, n int64) {
	id := cutText(e.ID)
	switch {
	case e.Disposition == mailproof.Noted.String():
		if e.Decision != nil {
			v.differs("%s is noted and needs no decision, and a decision stands beside it", id)
		}
		return
	case d == nil && (e.Disposition != mailproof.Open.String() || e.Decision != nil):
		if n == 0 {
			v.differs("%s is %s, and no line of %s decides on it", id, cutText(e.Disposition), fileDispositions)
		} else {
			v.differs("%s is %s, and line %d of %s takes the decision on it back", id, cutText(e.Disposition), n, fileDispositions)
		}
		return
	case d == nil:
		return
	}
	// A decision holds for the verdict that it was made on, and a fix until it
	// is looked at: the report then says why the exception is open.
	open := e.Disposition == mailproof.Open.String() && (d.Verdict != e.Verdict || hasReason(e.Reasons, reasonLapsed) || hasReason(e.Reasons, reasonUnconfirmed))
	if !open && (e.Disposition != d.Disposition || d.Verdict != e.Verdict) {
		v.differs("%s is %s as %s, and line %d of %s has it %s as %s", id, cutText(e.Disposition), cutText(e.Verdict), n, fileDispositions, cutText(d.Disposition), cutText(d.Verdict))
	}
	switch c := e.Decision; {
	case c == nil:
		v.differs("%s has no decision beside it, and line %d of %s is one by %s", id, n, fileDispositions, cutText(d.By))
	case c.By != d.By || timeText(c.When) != d.At || v.full() && c.Why != d.Why:
		v.differs("%s was decided on by %s at %s, and line %d of %s says by %s at %s, or gives another reason", id, cutText(c.By), timeText(c.When), n, fileDispositions, cutText(d.By), cutText(d.At))
	}
}

func hasReason(reasons []string, code string) bool {
	return slices.ContainsFunc(reasons, func(r string) bool { return r == code || strings.HasPrefix(r, code+":") })
}

// checkAccepted looks whether the verdict goes with the dispositions that the
// report itself lists.
func (v *verifier) checkAccepted(r *reportJSON) {
	if !v.profile.HasLines() || r.Verdict != mailproof.Complete && r.Verdict != mailproof.CompleteWithAcceptedExceptions {
		return
	}
	accepted := map[string]int64{}
	for _, e := range r.Exceptions {
		switch e.Disposition {
		case mailproof.Accepted.String(), mailproof.Waived.String():
			accepted[e.Verdict]++
		case mailproof.Noted.String():
		default:
			v.problem(CheckReport, fileReportJSON, 0, "says %s, and %s is %s", r.Verdict, cutText(e.ID), cutText(e.Disposition))
		}
	}
	if r.ExceptionsOmitted > 0 {
		return
	}
	for _, c := range []struct {
		verdict mailproof.MessageVerdict
		n       int64
	}{{mailproof.Missing, r.Totals.Missing}, {mailproof.Altered, r.Totals.Altered}} {
		if have := accepted[c.verdict.String()]; have != c.n {
			v.problem(CheckReport, fileReportJSON, 0, "says %s, and %d messages are %s, of which %d were accepted or waived", r.Verdict, c.n, c.verdict, have)
		}
	}
}

// ofMessages begins the names of the findings that stand for single messages:
// those are decided on one by one.
const ofMessages = "messages."

// checkFindingDecisions looks for the decision on every finding that the report
// calls accepted.
func (v *verifier) checkFindingDecisions(r *reportJSON) {
	lines, ok := v.records[fileDispositions]
	if !ok {
		return
	}
	for _, f := range r.Findings {
		if f.Outcome != mailproof.OutcomeAccepted || strings.HasPrefix(f.Check, ofMessages) {
			continue
		}
		subject := f.Domain
		if subject == "" {
			subject = f.Account
		}
		// What was observed tells findings of one check apart, where it is not
		// withheld; the latest decision on each holds.
		var last *findingDecisionLine
		for _, l := range lines {
			d, ok := l.line.(*findingDecisionLine)
			if ok && d.Check == f.Check && d.Subject == subject && (!v.full() || strings.HasPrefix(f.Observed, d.Observed+"; ")) {
				last = d
			}
		}
		switch {
		case last == nil:
			v.differs("calls %s@%s accepted, and no line of %s decides on it", cutText(f.Check), cutText(subject), fileDispositions)
		case last.Disposition != mailproof.Accepted.String() && last.Disposition != mailproof.Waived.String():
			if v.full() {
				v.differs("calls %s@%s accepted, and the last line of %s on it says %s", cutText(f.Check), cutText(subject), fileDispositions, cutText(last.Disposition))
			}
		case v.full() && !strings.HasPrefix(f.Observed, last.Observed+"; "+last.Disposition+" by "+last.By+" on "+last.At[:min(len(last.At), len(time.DateOnly))]+": "+last.Why):
			v.differs("calls %s@%s accepted by somebody else or for another reason than %s says", cutText(f.Check), cutText(subject), fileDispositions)
		}
	}
}

// checkAttestations holds the words that the runbook rests on against those
// that were given.
func (v *verifier) checkAttestations(r *reportJSON) {
	lines, ok := v.records[fileAttestations]
	if !ok || len(r.Runbook) == 0 {
		return
	}
	type word struct {
		n int64
		*attestationLine
	}
	latest := map[string]word{}
	for _, l := range lines {
		a, ok := l.line.(*attestationLine)
		if !ok {
			continue
		}
		if latest[a.Step] = (word{l.n, a}); a.Withdrawn {
			delete(latest, a.Step)
		}
	}
	for _, s := range r.Runbook {
		id, a := cutText(s.ID), latest[s.ID]
		delete(latest, s.ID)
		switch {
		case a.attestationLine == nil:
			if s.By != "" || s.Note != "" || s.Evidence == mailproof.Attested && s.State != mailproof.RunbookOpen {
				v.differs("the step %s is %s by the word of %s, and no line of %s gives it", id, s.State, cutText(or(s.By, "nobody")), fileAttestations)
			}
		case s.By != a.By || timeText(s.When) != a.At || v.full() && s.Note != a.Note:
			v.differs("the step %s rests on the word of %s at %s, and line %d of %s says of %s at %s, or has another note", id, cutText(or(s.By, "nobody")), or(timeText(s.When), "no time"),
				a.n, fileAttestations, cutText(a.By), cutText(a.At))
		case s.Evidence == mailproof.Attested && s.State != mailproof.RunbookDone && !a.NotApplicable, s.State == mailproof.RunbookDone && a.NotApplicable && s.Evidence == mailproof.Attested:
			v.differs("the step %s is %s, and line %d of %s says otherwise", id, s.State, a.n, fileAttestations)
		}
	}
	for _, step := range sortedNames(latest) {
		v.differs("does not know the step %s, which line %d of %s attests", cutText(step), latest[step].n, fileAttestations)
	}
}

func or(s, t string) string {
	if s == "" {
		return t
	}
	return s
}

// checkRepeated compares the lists that the report repeats line by line.
func (v *verifier) checkRepeated(r *reportJSON) {
	var passes, findings, observations, deletions []line
	for i := range r.Passes {
		passes = append(passes, r.Passes[i].line())
	}
	for i := range r.DNS {
		findings = append(findings, r.DNS[i].line())
	}
	for i := range r.Observations {
		observations = append(observations, observationLineOf(&r.Observations[i]))
	}
	for i := range r.Deletions {
		deletions = append(deletions, r.Deletions[i].line())
	}
	v.compareLines("pass", filePasses, passes, isOf[*passLine], v.alignPass)
	v.compareLines("finding of DNS", fileDNS, findings, isOf[*findingLine], v.alignFinding)
	if v.full() { // in the others the report has none of the exchanges
		v.compareLines("exchange with a name server", fileDNS, observations, isOf[*observationLine], nil)
	}
	v.compareLines("deletion", fileDeletions, deletions, isOf[*deletionLine], v.alignDeletion)
}

func isOf[T line](l line) bool { _, ok := l.(T); return ok }

// compareLines compares a list of the report with lines of a file, which are the
// same when they are written the same. Align takes over from the line what the
// report does not repeat, or what is withheld.
func (v *verifier) compareLines(what, file string, said []line, kind func(line) bool, align func(said, have line)) {
	all, ok := v.records[file]
	if !ok {
		return
	}
	var have []numbered
	for _, l := range all {
		if kind(l.line) {
			have = append(have, l)
		}
	}
	if len(said) != len(have) {
		v.differs("lists each %s, %d of them, and %s has %d lines of that kind", what, len(said), file, len(have))
	}
	for i := range min(len(said), len(have)) {
		if align != nil {
			align(said[i], have[i].line)
		}
		if !bytes.Equal(encode(nil, said[i]), encode(nil, have[i].line)) {
			v.differs("the %s number %d of the report is not that of line %d of %s", what, i+1, have[i].n, file)
		}
	}
}

func (p *reportPass) line() line {
	return &passLine{ID: p.ID, Kind: p.Kind, Side: p.Side, Depth: p.Depth, State: p.State, Started: timeText(p.Started), Finished: timeText(p.Finished),
		Err: p.Error, Messages: p.Messages, Bytes: p.Bytes}
}

func (v *verifier) alignPass(said, have line) {
	s, h := said.(*passLine), have.(*passLine)
	s.Tool, s.Command, s.Root, s.Previous = h.Tool, h.Command, h.Root, h.Previous
	if !v.full() {
		s.Err = h.Err
	}
}

func (f *reportFinding) line() line {
	return &findingLine{Kind: kindFinding, Domain: f.Domain, Phase: f.Phase, Check: f.Check, Outcome: f.Outcome.String(), Expected: f.Expected, Observed: f.Observed,
		Reference: f.Reference, Remedy: f.Remedy, Time: timeText(f.Time)}
}

func (v *verifier) alignFinding(said, have line) {
	if !v.full() {
		s, h := said.(*findingLine), have.(*findingLine)
		s.Expected, s.Observed, s.Remedy = h.Expected, h.Observed, h.Remedy
	}
}

func observationLineOf(o *mailproof.Observation) line {
	return &observationLine{
		Kind: kindObservation, Domain: o.Domain, Time: timeText(o.Time), Question: o.Question, Type: o.Type, Server: o.Server, Role: o.Role, Network: o.Network,
		RCode: o.RCode, AA: o.AA, AD: o.AD, Records: o.Records, MinTTL: int64(o.MinTTL), MaxTTL: int64(o.MaxTTL), Error: o.Error, Millis: max(o.Millis, 0),
	}
}

func (d *reportDeletion) line() line {
	return &deletionLine{Pass: d.Pass, Account: d.Account, Folder: d.Folder, UIDValidity: d.UIDValidity, UID: d.UID, T0: d.SHA256, Octets: d.Bytes,
		SourceFolder: d.SourceFolder, SourceUID: d.SourceUID, CopiedBy: d.CopiedBy, State: d.State, Reason: d.Reason, Finished: timeText(d.Finished)}
}

func (v *verifier) alignDeletion(said, have line) {
	s, h := said.(*deletionLine), have.(*deletionLine)
	s.SourceValidity = h.SourceValidity
	if !v.full() {
		s.Reason = h.Reason
	}
}
