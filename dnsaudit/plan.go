package dnsaudit

import (
	"fmt"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/spf"
)

// The steps of a plan, in their order.
const (
	StepLowerTTLs   = "lower-ttls"
	StepPrepare     = "prepare"
	StepCutOver     = "cut-over"
	StepRemoveSPF   = "remove-spf"
	StepRestoreTTLs = "restore-ttls"
	StepRemoveDKIM  = "remove-dkim"
)

// The actions of a change.
const (
	ActionAdd    = "add"
	ActionDelete = "delete"
	ActionTTL    = "ttl" // the record stays and gets another TTL
)

// PlanOptions say where a domain moves from and to, and when.
type PlanOptions struct {
	Domains             []string
	Profile, OldProfile Profile
	CutOver             time.Time // planned; zero: the times are told in words only
	Coexistence         bool      // the old exchanges stay beside the new ones
}

// Plan is what has to change in the zone of one domain, step by step, and what
// was there before.
type Plan struct {
	Domain   string     `json:"domain"`
	Observed time.Time  `json:"observed,omitzero"` // latest of the answers it rests on
	CutOver  time.Time  `json:"cut_over,omitzero"`
	From     string     `json:"from,omitempty"` // title of the old provider
	To       string     `json:"to"`
	Steps    []PlanStep `json:"steps"`
	Rollback []string   `json:"rollback"` // the records as observed, as zone lines
	Warnings []string   `json:"warnings"`
	// Unknown is what could not be observed, or not from all servers alike: as
	// long as there is any, the plan may lack a change.
	Unknown []string `json:"unknown"`
}

// PlanStep is a group of changes made at one time.
type PlanStep struct {
	ID        string         `json:"id"`
	Title     string         `json:"title"`
	When      string         `json:"when"`                // in words
	NotBefore time.Time      `json:"not_before,omitzero"` // where the cut-over is fixed
	By        time.Time      `json:"by,omitzero"`         // at the latest
	Changes   []RecordChange `json:"changes"`
	Notes     []string       `json:"notes"`
}

// RecordChange is one line of the zone to add or delete, or to give another
// TTL.
type RecordChange struct {
	Action string `json:"action"`
	Record string `json:"record"`            // zone line, with the TTL as it is to be, or is when the step begins
	WasTTL uint32 `json:"was_ttl,omitempty"` // of a change of TTL
	FillIn bool   `json:"fill_in,omitempty"` // the provider shows what stands in the place of the pattern
	Hint   string `json:"hint,omitempty"`    // which that is
}

// Plans makes the change list of every domain from what an audit observed. It
// asks nothing.
func Plans(observations []mailproof.Observation, o PlanOptions) ([]Plan, error) {
	cfg := Config{Domains: o.Domains, Phase: mailproof.Planning, Profile: o.Profile, OldProfile: o.OldProfile, CutOver: o.CutOver, Coexistence: o.Coexistence}
	domains, err := cfg.complete()
	if err != nil {
		return nil, err
	}
	plans := make([]Plan, 0, len(domains))
	for _, domain := range domains {
		plans = append(plans, newPlanner(recall(observations, domain, &cfg)).plan())
	}
	return plans, nil
}

// line is one record without its TTL.
type line struct {
	owner   string
	rtype   uint16
	content string
	hint    string // what is to be filled in
}

func lineOf(rr dns.RR) line {
	return line{owner: dns.CanonicalName(rr.Header().Name), rtype: rr.Header().Rrtype, content: oneLine(strings.TrimPrefix(rr.String(), rr.Header().String()))}
}

// newLine is a line to add; content may end in "; what is to be filled in".
func newLine(owner string, rtype uint16, content string) line {
	text, hint := content, ""
	if rtype != dns.TypeTXT {
		text, hint, _ = strings.Cut(content, " ; ")
	}
	return line{owner: owner, rtype: rtype, content: text, hint: hint}
}

func (l line) text(ttl uint32) string {
	return fmt.Sprintf("%s %d IN %s %s", l.owner, ttl, typeName(l.rtype), l.content)
}

// rrset is the records of one name and type as they are, as they are to be
// while both providers may send or get mail, and as they are in the end.
type rrset struct {
	step          string // in which before becomes during
	ttl           uint32 // as observed; 0 where there was nothing
	before        []line
	during, after []line
	finalStep     string // in which during becomes after
}

// changed reports whether the set changes at all.
func (s rrset) changed() bool {
	return !slices.Equal(s.before, s.during) || !slices.Equal(s.during, s.after)
}

// low is the TTL of the set while it changes.
func (s rrset) low() uint32 {
	if s.ttl == 0 || s.ttl > newTTL {
		return newTTL
	}
	return s.ttl
}

type planner struct {
	d    *dossier
	p    Plan
	sets []rrset
	note map[string][]string // by step
}

func newPlanner(d *dossier) *planner {
	p := &planner{d: d, note: map[string][]string{}}
	p.p = Plan{Domain: display(d.domain), Observed: d.now, CutOver: d.cfg.CutOver, To: d.cfg.Profile.Title(), Steps: []PlanStep{}, Rollback: []string{}, Warnings: []string{}, Unknown: []string{}}
	if !d.cfg.OldProfile.IsZero() {
		p.p.From = d.cfg.OldProfile.Title()
	} else {
		p.warn("the old provider is not named: only what contradicts the new one is taken out")
	}
	return p
}

func (p *planner) warn(format string, args ...any) {
	p.p.Warnings = union(p.p.Warnings, []string{fmt.Sprintf(format, args...)})
}

func (p *planner) unknown(format string, args ...any) {
	p.p.Unknown = union(p.p.Unknown, []string{fmt.Sprintf(format, args...)})
}

func (p *planner) plan() Plan {
	p.planMX()
	p.planSPF()
	p.planDKIM()
	p.planAutodiscover()
	p.planClients()
	p.planPolicies()
	p.rollback()
	p.steps()
	return p.p
}

// observed returns what most servers have, and notes what is not sure.
func (p *planner) observed(name string, qtype uint16) (*View, variant, bool) {
	v := p.d.view(name, qtype)
	what := display(name) + " " + typeName(qtype)
	x, ok := v.first()
	switch {
	case !ok:
		p.unknown("%s: %s", what, v.observed())
		return v, x, false
	case len(v.variants()) > 1:
		p.unknown("%s: the servers differ: %s", what, v.observed())
	case len(v.unasked()) > 0:
		p.unknown("%s: not every server answered: %s", what, v.observed())
	}
	return v, x, true
}

// add plans a set that changes.
func (p *planner) add(s rrset) {
	if s.changed() {
		p.sets = append(p.sets, s)
	}
}

func linesOf(records []dns.RR) []line {
	var out []line
	for _, rr := range records {
		if l := lineOf(rr); !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b line) int { return strings.Compare(a.text(0), b.text(0)) })
	return out
}

func maxTTLOf(records []dns.RR) uint32 {
	var ttl uint32
	for _, rr := range records {
		ttl = max(ttl, rr.Header().Ttl)
	}
	return ttl
}

func (p *planner) planMX() {
	d := p.d
	profile := d.cfg.Profile
	filter := profile.MXOwner == "filter"
	keeper := profile.keepsMX()
	v, x, ok := p.observed(d.domain, dns.TypeMX)
	if filter {
		p.note[StepCutOver] = append(p.note[StepCutOver], "the MX stays with "+keeper.Title()+": the switch is its delivery route, in its console, which DNS cannot show")
	}
	if len(keeper.MX) == 0 {
		p.unknown("MX: the profile of %s names no exchange", keeper.Title())
		return
	}
	if !ok {
		return
	}
	s := rrset{step: StepCutOver, ttl: v.maxTTL(), before: linesOf(x.records)}
	if filter {
		s.step = StepPrepare // beside the filter's, other exchanges let mail go round it
	}
	s.during = p.wantedMX(x, keeper)
	s.after = s.during
	p.add(s)
}

// wantedMX is the exchange set of the profile that the records come nearest
// to, with what of them fits it.
func (p *planner) wantedMX(x variant, keeper Profile) []line {
	d := p.d
	got := x.exchanges()
	if d.cfg.Coexistence {
		got = without(got, func(e exchange) bool { return d.cfg.OldProfile.isMX(e.host, d.domain) })
	}
	for _, set := range keeper.MX {
		if equal, ordered := fits(set, got, d.domain); equal && ordered {
			return linesOf(x.records)
		}
	}
	set := keeper.MX[d.alternative(keeper)]
	var out []line
	have := map[int]bool{}
	for _, rr := range x.records {
		mx, ok := rr.(*dns.MX)
		if !ok {
			continue
		}
		keep := d.cfg.Coexistence && d.cfg.OldProfile.isMX(mx.Mx, d.domain) && !keeper.isMX(mx.Mx, d.domain)
		for i, entry := range set {
			e, err := parseMXEntry(entry)
			if err == nil && !have[i] && !keep && matchHost(e.pattern, mx.Mx, d.domain) && (e.pref < 0 || e.pref == int(mx.Preference)) {
				have[i], keep = true, true
			}
		}
		if keep {
			out = append(out, lineOf(rr))
		}
	}
	for i, entry := range set {
		if e, err := parseMXEntry(entry); err == nil && !have[i] {
			out = append(out, newLine(d.domain, dns.TypeMX, fmt.Sprintf("%d %s", max(e.pref, 0), hostContent(e.pattern, d.domain, keeper))))
		}
	}
	return out
}

func (p *planner) planSPF() {
	d := p.d
	v, x, ok := p.observed(d.domain, dns.TypeTXT)
	if !ok {
		return
	}
	if len(d.cfg.Profile.SPF) == 0 {
		p.warn("the profile of %s does not say what it needs in the SPF policy", d.cfg.Profile.Title())
	}
	var others []line
	var policies []string
	for _, rr := range x.records {
		if !isSPF(rr) {
			others = append(others, lineOf(rr))
			continue
		}
		policies = append(policies, unescape(rr.(*dns.TXT).Txt))
	}
	during, after := p.policies(x, policies)
	s := rrset{step: StepPrepare, finalStep: StepRemoveSPF, ttl: v.maxTTL(), before: linesOf(x.records)}
	s.during, s.after = withPolicy(others, d.domain, during), withPolicy(others, d.domain, after)
	p.add(s)
}

// withPolicy is the other TXT records and an SPF policy.
func withPolicy(others []line, owner, policy string) []line {
	out := slices.Clone(others)
	if policy != "" {
		out = append(out, line{owner: owner, rtype: dns.TypeTXT, content: txtContent(policy)})
	}
	slices.SortFunc(out, func(a, b line) int { return strings.Compare(a.text(0), b.text(0)) })
	return out
}

// policies are the SPF policy while both providers may send, and in the end.
func (p *planner) policies(x variant, have []string) (during, after string) {
	d, old := p.d, p.d.cfg.OldProfile
	var foreign []string
	for _, e := range old.SPF {
		if len(missing([]string{e}, d.cfg.Profile.SPF)) > 0 {
			foreign = append(foreign, e)
		}
	}
	var terms []string
	switch len(have) {
	case 0:
		if len(d.cfg.Profile.SPF) == 0 {
			return "", ""
		}
		if len(foreign) > 0 {
			terms = append(terms, ownTerm(Profile{SPF: foreign}, d.domain))
		} else {
			p.warn("there is no SPF policy: add to it whatever sends for the domain now")
		}
		terms = append(terms, "~all")
	case 1:
		terms = strings.Fields(have[0][len(spf.Version):])
	default:
		p.warn("%d SPF records become one", len(have))
		for _, h := range have {
			terms = union(terms, senderTerms(h))
		}
		terms = append(terms, "~all")
	}
	tree, analysed := d.policyOf(x)
	for _, sender := range p.senders() {
		term := ownTerm(sender, d.domain)
		switch {
		case len(have) == 1 && analysed && namesAny(tree, ownTerms(sender), d.domain):
			continue
		case len(have) > 1 && len(missing([]string{term}, terms)) == 0:
			continue
		case len(have) == 1 && (!analysed || hasUnanswered(tree)):
			p.unknown("SPF: a branch of the policy was not observed; it may name %s already", sender.Title())
		case len(have) == 1 && len(hidden(tree)) > 0:
			p.warn("SPF: what %s lets in depends on the message; see in the console of that service whether it lists %s already", strings.Join(hidden(tree), ", "), sender.Title())
		}
		terms = insertTerm(terms, term)
	}
	drop := func(t string) bool {
		return slices.ContainsFunc(foreign, func(e string) bool { return isEntry(t, e, d.domain) })
	}
	kept := dropTerms(terms, drop)
	if len(kept) == len(terms) && analysed && len(have) == 1 && namesAny(tree, foreign, d.domain) {
		p.warn("SPF: %s is in the policy by way of another include or a redirect: see where with mailproof dns", old.Title())
	}
	join := func(terms []string) string { return strings.Join(append([]string{spf.Version}, terms...), " ") }
	return join(terms), join(kept)
}

// senders are the profiles whose hosts send for the domain after the move.
func (p *planner) senders() []Profile {
	var out []Profile
	profile := p.d.cfg.Profile
	if len(profile.SPF) > 0 {
		out = append(out, profile)
	}
	if f := profile.filter; profile.MXOwner == "filter" && profile.FilterOutbound && f != nil && len(f.SPF) > 0 {
		out = append(out, *f)
	}
	return out
}

func (p *planner) planDKIM() {
	d := p.d
	if len(d.cfg.Profile.DKIM) == 0 {
		p.warn("the profile of %s names no DKIM selector: publish those that it shows", d.cfg.Profile.Title())
	}
	for _, s := range d.cfg.Profile.DKIM {
		name := d.selectorName(s.Selector)
		x, current, ok := p.explicit(name, dns.TypeTXT)
		if !ok {
			continue
		}
		switch {
		case len(s.CNAME) == 0 && len(current) > 0:
			continue // which key is right, only the provider knows
		case len(s.CNAME) > 0 && x.alias != "" && matchAny(s.CNAME, []string{x.alias}, d.domain):
			continue
		}
		set := rrset{step: StepPrepare, ttl: maxTTLOf(current), before: linesOf(current)}
		add := line{owner: name, rtype: dns.TypeTXT, content: `"v=DKIM1; k=rsa; p=<key>"`, hint: "the key that " + d.cfg.Profile.Title() + " shows"}
		if len(s.CNAME) > 0 {
			add = newLine(name, dns.TypeCNAME, hostContent(s.CNAME[0], d.domain, d.cfg.Profile))
		}
		set.during, set.after = []line{add}, []line{add}
		p.add(set)
	}
	for _, s := range d.cfg.OldProfile.DKIM {
		if hasSelector(d.cfg.Profile, s.Selector) {
			continue
		}
		_, current, ok := p.explicit(d.selectorName(s.Selector), dns.TypeTXT)
		if !ok {
			continue
		}
		p.add(rrset{finalStep: StepRemoveDKIM, ttl: maxTTLOf(current), before: linesOf(current), during: linesOf(current)})
	}
}

// explicit returns the records at a name, unless a wildcard stands in for them.
func (p *planner) explicit(name string, qtype uint16) (variant, []dns.RR, bool) {
	v, x, ok := p.observed(name, qtype)
	if !ok {
		return x, nil, false
	}
	current := append(slices.Clone(x.records), aliasOf(v, x)...)
	if len(current) > 0 && p.byWildcard(x) {
		p.warn("*.%s answers for %s; the wildcard itself is not part of the plan", display(p.d.domain), display(name))
		current = nil
	}
	return x, current, true
}

// byWildcard reports whether an answer is that of the wildcard beside which
// the name has no record of its own.
func (p *planner) byWildcard(x variant) bool {
	wild, seen := p.d.view(wildcardProbe+p.d.domain, dns.TypeA).first()
	return seen && (len(wild.records) > 0 || wild.alias != "") && rrsetKey(wild.records, wild.alias) == rrsetKey(x.records, x.alias)
}

func (p *planner) planAutodiscover() {
	d, want := p.d, p.d.cfg.Profile.Autodiscover
	name, service := "autodiscover."+d.domain, "_autodiscover._tcp."+d.domain
	host, four, ok := p.explicit(name, dns.TypeA)
	_, six, ok6 := p.explicit(name, dns.TypeAAAA)
	srv, services, okSRV := p.explicit(service, dns.TypeSRV)
	if !ok || !ok6 || !okSRV {
		return
	}
	hosts := append(four, six...)
	set := rrset{step: StepCutOver, ttl: maxTTLOf(hosts), before: linesOf(hosts)}
	set.during = set.before
	tail := rrset{step: StepCutOver, ttl: maxTTLOf(services), before: linesOf(services)}
	tail.during = tail.before
	hostRight := d.leadsTo(d.cfg.Profile, host, name)
	targets := srv.targets()
	patterns := append(slices.Clone(want.SRV), want.CNAME...)
	srvRight := len(targets) > 0 && matchAny(patterns, targets, d.domain)
	switch {
	case !want.stated():
		if d.belongsToOld(host, name) || d.ownedByOld(targets) {
			p.warn("the profile of %s does not say where Autodiscover leads: its records stay at %s", d.cfg.Profile.Title(), d.cfg.OldProfile.Title())
		}
		return
	case want.None:
		if d.belongsToOld(host, name) {
			set.during = nil
		}
		if d.ownedByOld(targets) {
			tail.during = nil
		}
	case len(hosts) == 0 && host.alias == "" && len(host.records) == 0 && srvRight:
	case len(want.CNAME)+len(want.Address) > 0:
		if !hostRight {
			set.during = []line{p.autodiscoverLine(name)}
		}
		if !srvRight {
			tail.during = nil
		}
	default:
		set.during = nil // it would precede the SRV record
		if !srvRight {
			tail.during = []line{newLine(service, dns.TypeSRV, "0 0 443 "+hostContent(want.SRV[0], d.domain, d.cfg.Profile))}
		}
	}
	set.after, tail.after = set.during, tail.during
	p.add(set)
	p.add(tail)
}

func (p *planner) autodiscoverLine(name string) line {
	want := p.d.cfg.Profile.Autodiscover
	if len(want.CNAME) > 0 {
		return newLine(name, dns.TypeCNAME, hostContent(want.CNAME[0], p.d.domain, p.d.cfg.Profile))
	}
	rtype := dns.TypeA
	if strings.Contains(want.Address[0], ":") {
		rtype = dns.TypeAAAA
	}
	return newLine(name, rtype, want.Address[0])
}

// planClients takes out what leads mail clients to the old provider.
func (p *planner) planClients() {
	d := p.d
	for _, service := range clientServices {
		x, current, ok := p.explicit(service+"."+d.domain, dns.TypeSRV)
		if !ok {
			continue
		}
		set := rrset{step: StepCutOver, ttl: maxTTLOf(current), before: linesOf(current)}
		var keep []dns.RR
		for _, s := range x.services() {
			if target := dns.CanonicalName(s.Target); target == "." || !d.ownedByOld([]string{target}) || d.cfg.Profile.owns(target, d.domain) {
				keep = append(keep, s)
			}
		}
		set.during = linesOf(keep)
		set.after = set.during
		p.add(set)
	}
	name := "autoconfig." + d.domain
	x, current, ok := p.explicit(name, dns.TypeA)
	if ok && d.belongsToOld(x, name) {
		p.add(rrset{step: StepCutOver, ttl: maxTTLOf(current), before: linesOf(current)})
	}
}

// planPolicies says what else has to be ready, where its content is not in
// DNS.
func (p *planner) planPolicies() {
	d := p.d
	if x, ok := d.view("_mta-sts."+d.domain, dns.TypeTXT).first(); ok && (len(x.records) > 0 || x.alias != "") && !p.byWildcard(x) {
		p.note[StepPrepare] = append(p.note[StepPrepare], "MTA-STS: let the policy file name the new exchanges beside the old ones, then change id= in the record (RFC 8461 §8.1); in mode enforce mail is refused otherwise")
	}
	for _, name := range []string{"_dmarc." + d.domain, "_mta-sts." + d.domain, "_smtp._tls." + d.domain} {
		if x, ok := d.view(name, dns.TypeTXT).first(); ok && x.alias != "" && !p.byWildcard(x) && d.ownedByOld([]string{x.alias}) {
			p.warn("%s is an alias of %s: publish a record of your own before that provider takes it away", display(name), display(x.alias))
		}
	}
}

// fixed are the types that a plan does not change, and does not save.
var fixed = []uint16{dns.TypeSOA, dns.TypeNS, dns.TypeDNSKEY, dns.TypeDS, dns.TypeRRSIG}

// rollback lists the records of the domain as they were observed.
func (p *planner) rollback() {
	d := p.d
	var keys []lookupKey
	for k := range d.views {
		if dns.IsSubDomain(d.domain, k.name) && !slices.Contains(fixed, k.qtype) && k.name != wildcardProbe+d.domain {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		a, b := keys[i], keys[j]
		if (a.name == d.domain) != (b.name == d.domain) {
			return a.name == d.domain
		}
		if a.name != b.name {
			return a.name < b.name
		}
		return a.qtype < b.qtype
	})
	for _, k := range keys {
		v := d.view(k.name, k.qtype)
		x, ok := v.first()
		what := display(k.name) + " " + typeName(k.qtype)
		if !ok {
			p.save("; not observed: " + what + ": " + oneLine(v.observed()))
			continue
		}
		if len(v.variants()) > 1 {
			p.save("; the servers differ on " + what + ": " + oneLine(v.observed()))
		}
		if p.byWildcard(x) {
			p.save("; answered by *." + display(d.domain) + ": " + display(k.name))
			continue
		}
		var lines []string
		for _, rr := range append(slices.Clone(x.records), aliasOf(v, x)...) {
			lines = append(lines, record(rr))
		}
		sort.Strings(lines)
		for _, l := range lines {
			p.save(l)
		}
	}
}

// save adds a line to the rollback list, once: an alias answers for several
// types.
func (p *planner) save(l string) {
	if !slices.Contains(p.p.Rollback, l) {
		p.p.Rollback = append(p.p.Rollback, l)
	}
}

// negative is how long resolvers may keep that a name does not exist.
func (p *planner) negative() (uint32, *dns.SOA) {
	for k, v := range p.d.views {
		if k.qtype != dns.TypeSOA || !dns.IsSubDomain(k.name, p.d.domain) {
			continue
		}
		if x, ok := v.first(); ok && x.soa() != nil {
			return min(x.soa().Hdr.Ttl, x.soa().Minttl), x.soa()
		}
	}
	return 0, nil
}
