package dnsaudit

import (
	"fmt"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/spf"
)

var leftoverChecks = []check{
	{CheckInfo{"old.sweep", "no record of the domain, policy or configuration names the old provider any more", "RFC 5321 §5.1, RFC 7208 §5.2, RFC 6376 §6.1.2", always}, leftovers},
}

// serverNames are the host names that people type into their mail programs,
// and which often stay behind at the old server: no protocol leads to them, so
// that no other check looks.
var serverNames = []string{"mail", "webmail", "imap", "smtp", "pop", "pop3"}

// leftover is one place that still names the old provider.
type leftover struct {
	where string
	what  string
	due   time.Time // not to be complained of before; zero: at once
	lines []string  // of the remedy
}

// leftovers sweeps over everything that was gathered of the domain. Other
// checks judge some of it by rules of their own; here nothing is overlooked,
// name servers, verification records and forgotten host names included.
func leftovers(d *dossier) []mailproof.Finding {
	const expected = "nothing that names the old provider"
	if d.cfg.OldProfile.IsZero() {
		return one(info, expected, "the old provider is not known", "name the old provider to have its leftovers found")
	}
	if d.zoneErr != nil {
		return one(unknown, expected, d.zoneErr.Error(), askAgain)
	}
	found := d.sweep()
	silent := append(d.silentViews(), d.silentElsewhere()...)
	if len(found) == 0 {
		if len(silent) > 0 {
			return one(unknown, expected, "not answered: "+shorten(strings.Join(silent, "; ")), askAgain)
		}
		return one(pass, expected, fmt.Sprintf("nothing of %s in %d record sets", d.cfg.OldProfile.Title(), d.sweptSets()), "")
	}
	outcome := info
	var seen, lines []string
	for _, l := range found {
		text := l.where + ": " + l.what
		switch {
		case d.cfg.Phase != mailproof.Confirmation, d.cfg.Coexistence:
		case l.due.Equal(never):
			text += " (stays until the cut-over is known to be safe)"
		case l.due.After(d.now):
			text += " (stays until " + stamp(l.due) + ")"
		default:
			outcome = warn
			lines = union(lines, l.lines)
		}
		seen = union(seen, []string{text})
	}
	observed := strings.Join(seen, "\n")
	if len(silent) > 0 && outcome == info && d.cfg.Phase == mailproof.Confirmation && !d.cfg.Coexistence {
		return one(unknown, expected, shorten(observed+"\nnot answered: "+strings.Join(silent, "; ")), askAgain)
	}
	return one(outcome, expected, shorten(observed), strings.Join(lines, "\n"))
}

// never is a time that does not come: what is due then is not complained of,
// since it is not known when the cut-over was.
var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// sweep returns the leftovers in the order of their places.
func (d *dossier) sweep() []leftover {
	var out []leftover
	for _, k := range d.sweptKeys() {
		v := d.view(k.name, k.qtype)
		for _, x := range v.variants() {
			out = append(out, d.sweepSet(v, x)...)
		}
	}
	out = append(out, d.sweepPolicies()...)
	out = append(out, d.sweepWeb()...)
	sort.SliceStable(out, func(i, j int) bool { return out[i].where < out[j].where })
	return out
}

// sweptKeys are the record sets of the domain. What the parent's servers hold
// is no part of it, nor is the probe for a wildcard, which has its own place.
func (d *dossier) sweptKeys() []lookupKey {
	d.mu.Lock()
	defer d.mu.Unlock()
	var keys []lookupKey
	for k := range d.views {
		if k.qtype != dns.TypeDS && k.qtype != dns.TypeDNSKEY && k.qtype != dns.TypeSOA {
			keys = append(keys, k)
		}
	}
	sort.Slice(keys, func(i, j int) bool {
		if keys[i].name != keys[j].name {
			return keys[i].name < keys[j].name
		}
		return keys[i].qtype < keys[j].qtype
	})
	return keys
}

func (d *dossier) sweptSets() int { return len(d.sweptKeys()) }

func (d *dossier) silentViews() []string {
	var out []string
	for _, k := range d.sweptKeys() {
		v := d.view(k.name, k.qtype)
		if len(v.unasked()) > 0 || len(v.variants()) == 0 {
			out = append(out, display(k.name)+" "+typeName(k.qtype))
		}
	}
	return out
}

// silentElsewhere is what else could not be told: included policies, what web
// servers answer, and the addresses by which the old provider is known.
func (d *dossier) silentElsewhere() []string {
	var out []string
	for _, p := range d.policies {
		for n := range p.tree.Nodes {
			if n.Problem == spf.Unanswered {
				out = union(out, []string{"the SPF policy of " + display(n.Domain)})
			}
		}
	}
	probes := []*fetched{&d.web.sts}
	for i := range d.web.autoconfig {
		probes = append(probes, &d.web.autoconfig[i])
	}
	for _, f := range probes {
		if f.unanswered() {
			out = append(out, f.url)
		}
	}
	for _, name := range d.cfg.OldProfile.namedHosts(d.domain) {
		if d.host(name).missed() != nil {
			out = append(out, "the addresses of "+display(name)+" at "+d.cfg.OldProfile.Title())
		}
	}
	return out
}

// sweepSet looks at one record set as some of the servers have it.
func (d *dossier) sweepSet(v *View, x variant) []leftover {
	name := display(v.Name)
	if v.Name != wildcardProbe+d.domain && d.isWildcardAnswer(v, x) {
		return nil // told once, at the wildcard
	}
	if v.Name == wildcardProbe+d.domain {
		name = "*." + display(d.domain)
	}
	var out []leftover
	for _, rr := range append(append([]dns.RR(nil), x.records...), aliasOf(v, x)...) {
		what := d.namedIn(rr)
		if what == "" {
			continue
		}
		shown := dns.Copy(rr)
		if v.Name == wildcardProbe+d.domain {
			shown.Header().Name = "*." + d.domain // its owner, not the name that was asked for
		}
		l := leftover{where: name + " " + typeName(rr.Header().Rrtype), what: what, lines: []string{"delete " + record(shown)}}
		switch {
		case isSPF(rr):
			l.due, l.lines = d.spfDue(), []string{"; spf.old prints the policy without it"}
		case strings.Contains(v.Name, "._domainkey."):
			l.due = d.dkimDue()
		case slices.Contains(serverNames, strings.TrimSuffix(display(v.Name), "."+display(d.domain))):
			l.lines = append(l.lines, "; or let "+name+" lead to "+d.cfg.Profile.Title()+": people may have typed it into their mail programs")
		case rr.Header().Rrtype == dns.TypeNS:
			l.lines = []string{"; move the zone to name servers of your own or of the new provider before the contract with " + d.cfg.OldProfile.Title() + " ends"}
		case rr.Header().Rrtype == dns.TypeTXT && isDMARC(joined(rr)), strings.HasPrefix(v.Name, "_smtp._tls."):
			l.lines = []string{"change rua= in the record at " + name}
		}
		out = append(out, l)
	}
	return out
}

func joined(rr dns.RR) string { return strings.Join(variant{records: []dns.RR{rr}}.texts(), "") }

// isWildcardAnswer reports whether a set is what the wildcard answers.
func (d *dossier) isWildcardAnswer(v *View, x variant) bool {
	w, ok := d.view(wildcardProbe+d.domain, v.Type).first()
	return ok && (len(w.records) > 0 || w.alias != "") && rrsetKey(w.records, w.alias) == rrsetKey(x.records, x.alias)
}

// namedIn returns what in a record belongs to the old provider, or "".
func (d *dossier) namedIn(rr dns.RR) string {
	if a, ok := addressOf(rr); ok {
		if owner := d.oldHostAt(a.String()); owner != "" {
			return a.String() + ", the address of " + owner
		}
		return ""
	}
	text := data(rr)
	if t := joined(rr); t != "" {
		text = t
	}
	for _, token := range hostTokens(text) {
		if d.atOld(token) {
			return shorten(text)
		}
	}
	return ""
}

// hostTokens returns what in a text looks like a host name: policies, aliases
// and verification records all name hosts in some way.
func hostTokens(text string) []string {
	var out []string
	for _, t := range strings.FieldsFunc(text, func(r rune) bool {
		return r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		if t = strings.Trim(t, "."); strings.Contains(t, ".") {
			out = append(out, t)
		}
	}
	return out
}

// oldHostAt returns the host of the old provider that has an address, where
// the new provider does not have it as well.
func (d *dossier) oldHostAt(addr string) string {
	at := func(p Profile) string {
		for _, name := range p.namedHosts(d.domain) {
			for _, a := range d.host(name).addresses() {
				if a.String() == addr {
					return display(name)
				}
			}
		}
		return ""
	}
	if at(d.cfg.Profile) != "" {
		return ""
	}
	return at(d.cfg.OldProfile)
}

// namedHosts are the exchanges and Autodiscover hosts that a profile names
// exactly, and that are not names within the audited domain itself.
func (p Profile) namedHosts(domain string) []string {
	var patterns, out []string
	for _, set := range p.MX {
		for _, entry := range set {
			if e, err := parseMXEntry(entry); err == nil {
				patterns = append(patterns, e.pattern)
			}
		}
	}
	patterns = append(append(patterns, p.Autodiscover.CNAME...), p.Autodiscover.SRV...)
	for _, pattern := range patterns {
		name := dns.CanonicalName(expand(pattern, domain))
		if !strings.Contains(name, "*") && !dns.IsSubDomain(domain, name) {
			out = union(out, []string{name})
		}
	}
	return out
}

// spfDue is when the old provider's senders may leave the policy.
func (d *dossier) spfDue() time.Time {
	if s, ok := d.safeTime(lookupKey{d.domain, dns.TypeMX}); ok && !s.At.IsZero() {
		return s.At
	}
	return never
}

// dkimDue is when the old selectors may go.
func (d *dossier) dkimDue() time.Time {
	if s, ok := d.safeTime(lookupKey{d.domain, dns.TypeMX}); ok && !s.Flipped.IsZero() {
		return s.Flipped.Add(keepSelectors)
	}
	return never
}

// sweepPolicies looks below the policy of the domain itself: the old provider
// may be let in by what somebody else's policy includes.
func (d *dossier) sweepPolicies() []leftover {
	var out []leftover
	for _, p := range d.policies {
		for n := range p.tree.Nodes {
			if n == p.tree.Root || n.Record == nil || d.atOld(n.Domain) {
				continue
			}
			for _, t := range n.Terms {
				if t.Domain != "" && d.atOld(t.Domain) {
					out = append(out, leftover{where: "SPF policy of " + display(n.Domain), what: t.Text + ", by way of " + n.Term, due: d.spfDue(), lines: []string{"drop " + n.Term + ", or ask its owner about " + t.Text}})
				}
			}
		}
	}
	return out
}

// sweepWeb looks at what the web servers of the domain said, where they were
// asked.
func (d *dossier) sweepWeb() []leftover {
	var out []leftover
	if f := &d.web.sts; f.asked && f.err == nil && f.status == http.StatusOK {
		if p, err := parseSTS(f.body); err == nil {
			for _, mx := range p.mx {
				if d.atOld(strings.TrimPrefix(mx, "*.")) {
					out = append(out, leftover{where: f.url, what: "mx: " + mx, due: d.spfDue(), lines: []string{"take mx: " + mx + " out of the policy file, and change the id in the record at _mta-sts." + display(d.domain)}})
				}
			}
		}
	}
	for i := range d.web.autoconfig {
		f := &d.web.autoconfig[i]
		if hosts, err := configuredHosts(f.body); err == nil && f.isConfiguration() {
			for _, h := range hosts {
				if d.atOld(h) {
					out = append(out, leftover{where: f.url, what: "names " + h, lines: []string{"name the servers of " + d.cfg.Profile.Title() + " in " + f.url}})
				}
			}
		}
	}
	return out
}
