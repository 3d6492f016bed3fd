package engagement

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
	"github.com/mailproof/mailproof/dnsaudit"
)

// measurement is what evidence says of a step. Its zero value is that nothing
// was measured.
type measurement struct {
	state mailproof.RunbookState
	basis string
	next  string // what to do, where that is not what the runbook says
}

// measures decide the measured steps of the runbook, by name. None of them asks
// a server: a step rests on what is in the ledger.
var measures = map[string]func(*facts) measurement{
	"source-signin":      func(f *facts) measurement { return f.signedIn(mailproof.Source) },
	"destination-signin": func(f *facts) measurement { return f.signedIn(mailproof.Destination) },
	"recipients":         (*facts).recipients,
	"probe-source":       (*facts).routedToOld,
	"dns-planned":        (*facts).dnsPlanned,
	"copied":             (*facts).copied,
	"mx-confirmed":       func(f *facts) measurement { return f.confirmed("mx.") },
	"probe-destination":  (*facts).routedToNew,
	"spf-confirmed":      func(f *facts) measurement { return f.confirmed("spf.") },
	"final-pass":         (*facts).finalPass,
	"verdict":            (*facts).complete,
	"late-arrivals":      (*facts).lateArrivals,
}

// facts are what the measurements rest on.
type facts struct {
	accounts     []string
	scans        map[mailproof.Side]map[string]mailproof.Scan
	passes       []mailproof.Pass
	copyPasses   map[string]mailproof.PassID
	c            Comparison
	verdict      mailproof.Verdict
	dns          []ledger.DNSResult
	decided      said
	domains      []string
	probes       []ledger.Probe
	asked        []mailproof.Finding // what the new server said of addresses when it was asked last, by check --recipients
	askedAt      time.Time
	safe         time.Time // from then on no cache holds the old MX; zero: not known
	cutOver      time.Time // when mail went to the new server; zero: not known, or not yet
	cutOverBasis string
	planned      time.Time // when it is to be
	lastDecision time.Time
	late         int64 // messages of the source first seen after the cut-over
	latePass     mailproof.PassID
	now          time.Time
}

func (e *Engagement) facts(ctx context.Context, c Comparison) (*facts, error) {
	f := &facts{c: c, now: time.Now(), scans: map[mailproof.Side]map[string]mailproof.Scan{mailproof.Source: {}, mailproof.Destination: {}}}
	var err error
	if f.accounts, err = e.everybody(ctx); err != nil {
		return nil, err
	}
	if err := e.latestScans(ctx, f); err != nil {
		return nil, err
	}
	if f.passes, err = e.ledger.Passes(ctx); err != nil {
		return nil, err
	}
	if f.copyPasses, err = e.ledger.CopiedAccounts(ctx); err != nil {
		return nil, err
	}
	if f.dns, err = e.ledger.LatestDNS(ctx); err != nil {
		return nil, err
	}
	if f.probes, err = e.ledger.Probes(ctx); err != nil {
		return nil, err
	}
	if f.asked, f.askedAt, err = e.ledger.ReadinessFindings(ctx, dnsaudit.CheckRecipients, dnsaudit.CheckControl); err != nil {
		return nil, err
	}
	if f.decided, err = e.said(ctx); err != nil {
		return nil, err
	}
	if err := e.factsOfVerdict(ctx, f); err != nil {
		return nil, err
	}
	if e.Config != nil {
		f.planned = e.Config.Engagement.CutOver
		f.domains = e.Config.Domains()
	}
	for _, d := range f.dns {
		if !slices.Contains(f.domains, d.Domain) {
			f.domains = append(f.domains, d.Domain)
		}
	}
	if err := e.factsOfCutOver(ctx, f); err != nil {
		return nil, err
	}
	return f, nil
}

// latestScans are those that the comparison rests on; only accounts that it left
// out are looked up.
func (e *Engagement) latestScans(ctx context.Context, f *facts) error {
	compared := map[string]bool{}
	for i := range f.c.Accounts {
		a := &f.c.Accounts[i]
		compared[a.Account] = true
		for side, s := range map[mailproof.Side]mailproof.Scan{mailproof.Source: a.SourceScan, mailproof.Destination: a.DestinationScan} {
			if s.Pass != 0 {
				f.scans[side][a.Account] = s
			}
		}
	}
	for _, name := range f.accounts {
		if compared[name] {
			continue
		}
		for side, scans := range f.scans {
			s, _, ok, err := e.ledger.LatestScan(ctx, name, side)
			if err != nil {
				return err
			}
			if ok {
				scans[name] = s
			}
		}
	}
	return nil
}

// factsOfVerdict rolls the verdict as the report does.
func (e *Engagement) factsOfVerdict(ctx context.Context, f *facts) error {
	_, findings, err := e.scope(ctx, f.c)
	if err != nil {
		return err
	}
	for _, a := range f.c.Accounts {
		findings = append(findings, a.Findings...)
	}
	for _, d := range f.dns {
		findings = append(findings, f.decided.accept(ofPhase(d.Findings, mailproof.Confirmation))...)
	}
	f.verdict = mailproof.Roll(findings)
	for _, d := range f.decided.exceptions {
		if d.At.After(f.lastDecision) {
			f.lastDecision = d.At
		}
	}
	for _, d := range f.decided.findings {
		if d.At.After(f.lastDecision) {
			f.lastDecision = d.At
		}
	}
	return nil
}

// factsOfCutOver finds the moment at which mail went to the new server: by the
// probe message that arrived there only, else by the MX as it was first seen
// changed on every name server, else by what was planned, once that is past.
func (e *Engagement) factsOfCutOver(ctx context.Context, f *facts) error {
	kept, err := e.ledger.Engagement(ctx)
	if err != nil {
		return err
	}
	safe, err := safeTimes(kept)
	if err != nil {
		return err
	}
	var flipped time.Time
	for _, s := range safe {
		if s.Type != "MX" {
			continue
		}
		if s.Flipped.After(flipped) {
			flipped = s.Flipped
		}
		if s.At.After(f.safe) {
			f.safe = s.At
		}
	}
	arrived := f.firstOnNew()
	switch {
	case arrived != nil:
		f.cutOver, f.cutOverBasis = arrived.Sent, "a probe message reached the new server only"
	case !flipped.IsZero():
		f.cutOver, f.cutOverBasis = flipped, "the MX records were first seen changed on every name server"
	case !f.planned.IsZero() && f.planned.Before(f.now):
		f.cutOver, f.cutOverBasis = f.planned, "the date of mailproof.toml; no probe and no DNS audit tells it"
	default:
		return nil
	}
	for _, p := range f.passes {
		if p.Kind == mailproof.InventoryPass && p.Side == mailproof.Source && p.Started.After(f.cutOver) {
			f.latePass = p.ID
			f.late, err = e.ledger.FirstSeenSince(ctx, mailproof.Source, p.ID)
			return err
		}
	}
	return nil
}

func onSource(p *ledger.Probe) bool      { return p.SourceFolder != "" }
func onDestination(p *ledger.Probe) bool { return p.DestinationFolder != "" }

// newOnly reports whether a probe shows that mail reaches the new server and
// not the old one: an old server that could not be watched shows nothing.
func newOnly(p *ledger.Probe) bool { return onDestination(p) && !onSource(p) && p.SourceError == "" }

// routing is what the probes of one account say, one after the other.
type routing struct {
	onNew  *ledger.Probe // the first of the latest ones that all reached the new server only; nil: they did not
	before *ledger.Probe // the last one before that; nil: none
	last   *ledger.Probe
	wasOld bool // mail reached the old server once
}

// routings are those of every account that was probed, in the order in which
// they were probed first. Where mail for one of them arrives says nothing of
// another: redirections and filters are set for each. Probes that reached nobody
// say nothing of the new server.
func (f *facts) routings() []routing {
	var list []routing
	of := map[string]int{}
	for i := range f.probes {
		p := &f.probes[i]
		n, ok := of[p.Account]
		if !ok {
			n = len(list)
			of[p.Account], list = n, append(list, routing{})
		}
		r := &list[n]
		switch {
		case newOnly(p) && r.onNew == nil:
			r.onNew = p
		case onSource(p):
			r.onNew, r.wasOld = nil, true
		}
		if r.onNew == nil {
			r.before = p
		}
		r.last = p
	}
	return list
}

// firstOnNew is the probe that tells when mail went to the new server: the first
// that reached it only, or, where accounts had been seen to get theirs on the
// old one, the first that shows it of the last of these. It is nil where the
// latest probe of any account that could tell reached the old server.
func (f *facts) firstOnNew() *ledger.Probe {
	var first, moved *ledger.Probe
	for _, r := range f.routings() {
		switch {
		case r.onNew == nil && r.wasOld:
			return nil
		case r.onNew == nil:
			continue
		}
		if first == nil || r.onNew.Sent.Before(first.Sent) {
			first = r.onNew
		}
		if r.wasOld && (moved == nil || r.onNew.Sent.After(moved.Sent)) {
			moved = r.onNew
		}
	}
	return cmp.Or(moved, first)
}

func basisOfProbe(p *ledger.Probe) string {
	where := "nowhere within " + terminal.Duration(p.Ended.Sub(p.Sent))
	switch {
	case p.Exchange == "":
		return fmt.Sprintf("probe to %s: not sent: %s", p.Recipient, p.Reply)
	case onSource(p) && onDestination(p):
		where = "on both servers"
	case onSource(p):
		where = "on the old server"
	case onDestination(p) && p.SourceError != "":
		where = "on the new server; the old one could not be watched: " + p.SourceError
	case onDestination(p):
		where = "on the new server only"
	}
	return fmt.Sprintf("probe to %s at %s: %s", p.Recipient, terminal.Time(p.Sent), where)
}

// routedToOld looks at the last probe of every account before its mail went to
// the new server.
func (f *facts) routedToOld() measurement {
	arrived := false
	var m measurement
	for _, r := range f.routings() {
		arrived = arrived || r.onNew != nil
		switch {
		case r.before == nil:
		case !onSource(r.before):
			return measurement{state: mailproof.RunbookFailed, basis: basisOfProbe(r.before)}
		default:
			m = measurement{state: mailproof.RunbookDone, basis: basisOfProbe(r.before)}
		}
	}
	if m.basis == "" && arrived {
		return measurement{basis: "no probe was sent before the cut-over; it can no longer be measured",
			next: "mailproof attest routing-old --by NAME --note TEXT --not-applicable"}
	}
	return m
}

// routedToNew looks at the latest probe of every account.
func (f *facts) routedToNew() measurement {
	var m measurement
	for _, r := range f.routings() {
		if newOnly(r.last) {
			m = measurement{state: mailproof.RunbookDone, basis: basisOfProbe(r.last)}
			continue
		}
		m = measurement{basis: basisOfProbe(r.last)}
		if r.last.Account != "" {
			m.next = "mailproof probe --from ADDRESS --account " + r.last.Account + " --expect destination"
		}
		if !f.cutOver.IsZero() { // before it mail is meant to reach the old server
			m.state = mailproof.RunbookFailed
		}
		return m
	}
	return m
}

// signedIn looks at the latest reading of every account.
func (f *facts) signedIn(side mailproof.Side) measurement {
	scans := f.scans[side]
	if len(f.accounts) == 0 || len(scans) == 0 {
		return measurement{}
	}
	var bad []string
	var never int
	var last mailproof.PassID
	for _, name := range f.accounts {
		s, ok := scans[name]
		last = max(last, s.Pass)
		switch {
		case !ok:
			never++
		case s.Server.Mechanism == "" && len(s.Server.Capabilities) == 0:
			bad = append(bad, name)
		}
	}
	in := len(f.accounts) - len(bad) - never
	m := measurement{basis: fmt.Sprintf("pass %d: %d of %s signed in", last, in, terminal.Of(int64(len(f.accounts)), "account", "accounts"))}
	switch {
	case len(bad) > 0:
		m.state = mailproof.RunbookFailed
		m.basis += ", not " + someNames(bad)
		m.next = "mailproof check --account " + bad[0] + " shows what the server said"
	case never > 0:
		m.basis += fmt.Sprintf(", %d never tried", never)
	default:
		m.state = mailproof.RunbookDone
	}
	return m
}

func someNames(names []string) string {
	const few = 3
	if len(names) > few {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", len(names)-few)
	}
	return strings.Join(names, ", ")
}

// recipients looks at what the new server said of addresses.
func (f *facts) recipients() measurement {
	if len(f.asked) > 0 {
		return ofFindings(f.asked, "check of "+terminal.Time(f.askedAt))
	}
	var found []mailproof.Finding
	var pass mailproof.PassID
	for _, d := range f.dns {
		for _, x := range d.Findings {
			if x.Check == dnsaudit.CheckRecipients || x.Check == dnsaudit.CheckControl {
				found = append(found, x)
				pass = max(pass, d.Pass.ID)
			}
		}
	}
	return ofFindings(found, passName(pass))
}

// ofFindings is what checks say of a step: done where none stands in the way.
func ofFindings(found []mailproof.Finding, when string) measurement {
	if len(found) == 0 {
		return measurement{}
	}
	var failed, unknown []string
	accepted := 0
	for _, x := range found {
		switch x.Outcome {
		case mailproof.OutcomeFail:
			failed = append(failed, x.Check)
		case mailproof.OutcomeUnknown:
			unknown = append(unknown, x.Check)
		case mailproof.OutcomeAccepted:
			accepted++
		}
	}
	slices.Sort(failed)
	slices.Sort(unknown)
	switch {
	case len(failed) > 0:
		return measurement{state: mailproof.RunbookFailed, basis: fmt.Sprintf("%s: %s failed", when, someNames(slices.Compact(failed)))}
	case len(unknown) > 0:
		return measurement{basis: fmt.Sprintf("%s: %s could not be told", when, someNames(slices.Compact(unknown)))}
	}
	basis := fmt.Sprintf("%s: %s, none failed", when, terminal.Of(int64(len(found)), "check", "checks"))
	if accepted > 0 {
		basis = fmt.Sprintf("%s: %s, %d failed and accepted", when, terminal.Of(int64(len(found)), "check", "checks"), accepted)
	}
	return measurement{state: mailproof.RunbookDone, basis: basis}
}

func passName(pass mailproof.PassID) string { return fmt.Sprintf("pass %d", pass) }

// confirmed looks at the checks of one kind after the cut-over, of every
// domain.
func (f *facts) confirmed(prefix string) measurement {
	if len(f.domains) == 0 {
		return measurement{state: mailproof.RunbookNotApplicable, basis: "the engagement names no domain"}
	}
	var found []mailproof.Finding
	var pass mailproof.PassID
	var without []string
	for _, domain := range f.domains {
		n := len(found)
		for _, d := range f.dns {
			if !strings.EqualFold(d.Domain, domain) || d.Phase != mailproof.Confirmation {
				continue
			}
			pass = max(pass, d.Pass.ID)
			for _, x := range f.decided.accept(d.Findings) {
				if strings.HasPrefix(x.Check, prefix) {
					found = append(found, x)
				}
			}
		}
		if len(found) == n {
			without = append(without, domain)
		}
	}
	if len(without) > 0 {
		return measurement{basis: "not audited since the cut-over: " + someNames(without)}
	}
	return ofFindings(found, passName(pass))
}

// dnsPlanned holds where every domain was audited for the plan, or shows the
// change already.
func (f *facts) dnsPlanned() measurement {
	if len(f.domains) == 0 {
		return measurement{state: mailproof.RunbookNotApplicable, basis: "the engagement names no domain"}
	}
	var without []string
	var pass mailproof.PassID
	how := "planned"
	for _, domain := range f.domains {
		ok := false
		for _, d := range f.dns {
			if !strings.EqualFold(d.Domain, domain) {
				continue
			}
			expected := slices.ContainsFunc(d.Findings, func(x mailproof.Finding) bool {
				return x.Check == "mx.expected" && x.Outcome == mailproof.OutcomePass
			})
			switch {
			case expected:
				how, ok, pass = "changed", true, max(pass, d.Pass.ID)
			case d.Phase == mailproof.Planning || d.Phase == mailproof.Readiness:
				ok, pass = true, max(pass, d.Pass.ID)
			}
		}
		if !ok {
			without = append(without, domain)
		}
	}
	if len(without) > 0 {
		return measurement{basis: "not planned: " + someNames(without)}
	}
	return measurement{state: mailproof.RunbookDone, basis: fmt.Sprintf("pass %d: %s %s", pass, terminal.Of(int64(len(f.domains)), "domain", "domains"), how)}
}

// copied holds where a copy was carried out for every account, or where nothing
// is missing: another tool may have copied.
func (f *facts) copied() measurement {
	if len(f.accounts) == 0 {
		return measurement{}
	}
	results := map[string]*mailproof.AccountResult{}
	for i := range f.c.Accounts {
		results[f.c.Accounts[i].Account] = &f.c.Accounts[i]
	}
	byUs, byOthers := 0, 0
	var not []string
	var last mailproof.PassID
	for _, name := range f.accounts {
		a := results[name]
		pass, ok := f.copyPasses[name]
		switch {
		case ok:
			byUs++
			last = max(last, pass)
		case a != nil && nothingMissing(a):
			byOthers++
		default:
			not = append(not, name)
		}
	}
	of := terminal.Of(int64(len(f.accounts)), "account", "accounts")
	switch {
	case len(not) == len(f.accounts):
		return measurement{}
	case len(not) > 0:
		return measurement{basis: fmt.Sprintf("%d of %s copied, not %s", byUs+byOthers, of, someNames(not))}
	case byOthers > 0 && byUs == 0:
		return measurement{state: mailproof.RunbookDone, basis: fmt.Sprintf("nothing of %s is missing; mailproof did not copy it", of)}
	}
	return measurement{state: mailproof.RunbookDone, basis: fmt.Sprintf("pass %d: %s copied", last, of)}
}

func nothingMissing(a *mailproof.AccountResult) bool {
	return a.SourceScan.State == mailproof.PassDone && a.DestinationScan.State == mailproof.PassDone &&
		a.Counts.SourceMessages > 0 && a.Counts.Missing+a.Counts.DuplicateCollapsed+a.Counts.Unverifiable+a.Counts.NotChecked == 0
}

// gaps are the accounts of which a folder was not read to its end, or did not
// stand still, and nobody accepted that: their scan as a whole ended well.
func (f *facts) gaps() map[string]bool {
	out := map[string]bool{}
	for i := range f.c.Accounts {
		for _, x := range f.c.Accounts[i].Findings {
			if x.Outcome == mailproof.OutcomeUnknown && (x.Check == mailproof.CheckInventory || x.Check == diff.CheckDrift) {
				out[f.c.Accounts[i].Account] = true
			}
		}
	}
	return out
}

const noCutOver = "when mail went to the new server is not known"

// finalPass holds where both sides of every account were read to their end
// after the cut-over.
func (f *facts) finalPass() measurement {
	if f.cutOver.IsZero() {
		return measurement{basis: noCutOver, next: "mailproof probe --expect destination, or cutover in mailproof.toml; then mailproof run"}
	}
	var early []string
	var last mailproof.PassID
	gaps := f.gaps()
	for _, name := range f.accounts {
		for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
			s, ok := f.scans[side][name]
			last = max(last, s.Pass)
			if !ok || s.State != mailproof.PassDone || !s.Started.After(f.cutOver) || gaps[name] {
				early = append(early, name)
				break
			}
		}
	}
	switch {
	case len(f.accounts) == 0 || len(early) == len(f.accounts):
		return measurement{basis: "nothing was read to its end since the cut-over at " + terminal.Time(f.cutOver)}
	case len(early) > 0:
		return measurement{basis: fmt.Sprintf("not read to the end on both sides since the cut-over at %s: %s", terminal.Time(f.cutOver), someNames(early))}
	}
	return measurement{state: mailproof.RunbookDone, basis: fmt.Sprintf("pass %d: both sides of %s read after the cut-over at %s", last, terminal.Of(int64(len(f.accounts)), "account", "accounts"), terminal.Time(f.cutOver))}
}

// complete is the measured half of the agreement.
func (f *facts) complete() measurement {
	t := f.c.Totals
	m := measurement{basis: f.verdict.String()}
	switch f.verdict {
	case mailproof.Complete, mailproof.CompleteWithAcceptedExceptions:
		m.state = mailproof.RunbookDone
		m.basis += fmt.Sprintf(": %s of %s found intact", terminal.Count(t.Found()), terminal.Of(t.SourceMessages-t.Excluded, "message", "messages"))
	case mailproof.Incomplete:
		m.state = mailproof.RunbookFailed
		m.basis += fmt.Sprintf(": %d missing, %d altered of %s", t.Missing, t.Altered, terminal.Of(t.SourceMessages, "message", "messages"))
	default:
		if len(f.passes) == 0 {
			return measurement{}
		}
		m.next = "mailproof diff says what could not be told"
	}
	return m
}

// lateArrivals looks for what reached the old server after the cut-over: it
// must have been read late enough, and what was found must be on the new server.
func (f *facts) lateArrivals() measurement {
	if f.cutOver.IsZero() {
		return measurement{basis: noCutOver}
	}
	since, why := f.cutOver, "the cut-over"
	if f.safe.After(since) {
		since, why = f.safe, "the last cache gave up the old MX"
	}
	var early []string
	var latest time.Time
	gaps := f.gaps()
	for _, name := range f.accounts {
		s, ok := f.scans[mailproof.Source][name]
		if !ok || s.State != mailproof.PassDone || !s.Started.After(since) || gaps[name] {
			early = append(early, name)
		} else if s.Started.After(latest) {
			latest = s.Started
		}
	}
	if len(early) > 0 || len(f.accounts) == 0 {
		return measurement{basis: fmt.Sprintf("the old server was not read to its end since %s, at %s: %s", why, terminal.Time(since), someNames(early))}
	}
	m := measurement{state: mailproof.RunbookDone, basis: fmt.Sprintf("read %s after %s: nothing new", terminal.Duration(latest.Sub(since)), why)}
	switch t := f.c.Totals; {
	case f.late == 0:
	case t.NotChecked > 0:
		return measurement{basis: fmt.Sprintf("%s arrived late on the old server; the last comparison does not tell whether they are on the new one", terminal.Of(f.late, "message", "messages"))}
	default:
		all := "all"
		if t.Excluded > 0 {
			all = "all that no rule leaves out"
		}
		m.basis = fmt.Sprintf("read %s after %s: %s arrived late, %s on the new server", terminal.Duration(latest.Sub(since)), why, terminal.Of(f.late, "message", "messages"), all)
		if t.Missing+t.Unverifiable > 0 && f.verdict != mailproof.CompleteWithAcceptedExceptions {
			m.state = mailproof.RunbookFailed
			m.basis = fmt.Sprintf("%s arrived late on the old server, and not everything is on the new one", terminal.Of(f.late, "message", "messages"))
		}
	}
	return m
}
