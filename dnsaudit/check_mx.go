package dnsaudit

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

var mxChecks = []check{
	{CheckInfo{"mx.expected", "the exchanges are those of the destination, or of the filter that keeps the MX", "RFC 5321 §5.1", always}, mxExpected},
	{CheckInfo{"mx.leftover", "no exchange of the old provider is left, even at a low priority", "RFC 5321 §5.1", always}, mxLeftover},
	{CheckInfo{"mx.mixed", "old and new exchanges do not stand side by side, unless coexistence is declared", "RFC 5321 §5.1", always}, mxMixed},
	{CheckInfo{"mx.resolvers", "the listed resolvers hold the same MX as the authoritative servers", "RFC 1034 §4.3.4", always}, mxResolvers},
	{CheckInfo{"mx.cname", "no exchange is an alias", "RFC 2181 §10.3", always}, mxAlias},
	{CheckInfo{"mx.noaddr", "every exchange has an IPv4 address", "RFC 5321 §5.1", always}, mxNoAddress},
	{CheckInfo{"mx.ip", "no exchange is an IP address", "RFC 1035 §3.3.9", always}, mxIsAddress},
	{CheckInfo{"mx.private", "no exchange has a special-purpose address", "RFC 6890", always}, mxPrivate},
	{CheckInfo{"mx.null", "there is no null MX on a domain that gets mail", "RFC 7505 §3", always}, mxNull},
	{CheckInfo{"mx.none", "the domain has MX records, not only an address", "RFC 5321 §5.1", always}, mxNone},
	{CheckInfo{"mx.dup", "no exchange is listed twice, and there are at most ten", "RFC 5321 §5.1", always}, mxDuplicate},
	{CheckInfo{"mx.invalid", "no old verification MX (*.msv1.invalid) is left", "RFC 6761 §6.4", always}, mxInvalid},
	{CheckInfo{"mx.fcrdns", "the addresses of the exchanges have reverse names that lead back", "RFC 1912 §2.1", always}, mxReverse},
	{CheckInfo{"mx.route", "where a filter keeps the MX, its delivery route cannot be seen in DNS", "", always}, mxRoute},
}

func (d *dossier) mx() *View { return d.view(d.domain, dns.TypeMX) }

// inSet reports whether a host fits an entry of an exchange set.
func inSet(set []string, host, domain string) bool {
	for _, entry := range set {
		if e, err := parseMXEntry(entry); err == nil && matchHost(e.pattern, host, domain) {
			return true
		}
	}
	return false
}

// fits reports whether the exchanges are the set, no more and no less, and
// whether they stand in its order of preference.
func fits(set []string, got []exchange, domain string) (equal, ordered bool) {
	ordered = true
	var want []mxEntry
	for _, entry := range set {
		e, err := parseMXEntry(entry)
		if err != nil {
			return false, false
		}
		want = append(want, e)
	}
	used := make([]bool, len(want))
	pref := make([]int, len(got)) // preference that the profile gives each
	for i, g := range got {
		found := false
		for j, w := range want {
			if matchHost(w.pattern, g.host, domain) {
				used[j], found, pref[i] = true, true, w.pref
				break
			}
		}
		if !found {
			return false, false
		}
	}
	for _, u := range used {
		if !u {
			return false, false
		}
	}
	for i := 1; i < len(got); i++ { // got is sorted by preference
		ordered = ordered && pref[i-1] <= pref[i] && (got[i-1].pref == got[i].pref || pref[i-1] < pref[i] || pref[i] < 0)
	}
	return len(got) > 0, ordered
}

// wanted writes the exchanges of a profile for people.
func wanted(p Profile, domain string) string {
	sets := make([]string, 0, len(p.MX))
	for _, set := range p.MX {
		sets = append(sets, expand(strings.Join(set, ", "), domain))
	}
	return strings.Join(sets, "; or ")
}

func mxExpected(d *dossier) []mailproof.Finding {
	p := d.cfg.Profile.keepsMX()
	if len(p.MX) == 0 {
		return one(info, "", d.mx().observed(), "state the exchanges of "+p.Title()+" in a profile to have them checked")
	}
	filter := d.cfg.Profile.MXOwner == "filter"
	f := d.mx().judge(func(x variant) ruling {
		got := x.exchanges()
		if d.cfg.Coexistence {
			got = without(got, func(e exchange) bool { return d.cfg.OldProfile.isMX(e.host, d.domain) })
		}
		for _, set := range p.MX {
			equal, ordered := fits(set, got, d.domain)
			switch {
			case equal && ordered:
				return ruling{outcome: pass}
			case equal:
				return ruling{outcome: warn, remedy: d.mxRemedy(x, p)}
			}
		}
		outcome := d.byPhase(info, info, fail)
		if filter {
			outcome = fail
		}
		return ruling{outcome: outcome, remedy: d.mxRemedy(x, p)}
	})
	return expecting(f, wanted(p, d.domain))
}

func without(list []exchange, drop func(exchange) bool) []exchange {
	var out []exchange
	for _, e := range list {
		if !drop(e) {
			out = append(out, e)
		}
	}
	return out
}

// mxRemedy prints the lines that turn the records of a variant into the set
// of the profile.
func (d *dossier) mxRemedy(x variant, p Profile) string {
	set := p.MX[d.alternative(p)]
	var c change
	kept := map[int]bool{}
	for _, rr := range x.records {
		mx, ok := rr.(*dns.MX)
		if !ok {
			continue
		}
		fit := false
		for i, entry := range set {
			e, err := parseMXEntry(entry)
			if err == nil && matchHost(e.pattern, mx.Mx, d.domain) && (e.pref < 0 || e.pref == int(mx.Preference)) && !fit {
				fit, kept[i] = true, true
			}
		}
		if !fit {
			c.remove(rr)
		}
	}
	for i, entry := range set {
		if kept[i] {
			continue
		}
		e, err := parseMXEntry(entry)
		if err != nil {
			continue // profiles are checked when they are read
		}
		c.create(d.domain, dns.TypeMX, fmt.Sprintf("%d %s", max(e.pref, 0), hostContent(e.pattern, d.domain, p)))
	}
	return c.String()
}

// eachExchange judges the exchanges of every variant; a variant without any
// passes.
func (d *dossier) eachExchange(rule func(exchange) ruling) mailproof.Finding {
	return d.mx().judge(func(x variant) ruling {
		worst := ruling{outcome: pass}
		var seen []string
		for _, e := range x.exchanges() {
			r := rule(e)
			if r.outcome != pass && r.observed != "" {
				seen = append(seen, r.observed)
			}
			if worse(r.outcome, worst.outcome) {
				worst.outcome = r.outcome
			}
			if r.remedy != "" && !strings.Contains(worst.remedy, r.remedy) {
				worst.remedy = strings.TrimPrefix(worst.remedy+"\n"+r.remedy, "\n")
			}
		}
		worst.observed = strings.Join(seen, "; ")
		return worst
	})
}

// dropMX is the remedy that deletes the records of one exchange.
func (d *dossier) dropMX(host string) string {
	var c change
	for _, x := range d.mx().variants() {
		for _, rr := range x.records {
			if mx, ok := rr.(*dns.MX); ok && dns.CanonicalName(mx.Mx) == host && len(missing([]string{"delete " + record(rr)}, c.del)) > 0 {
				c.remove(rr)
			}
		}
	}
	return c.String()
}

func mxLeftover(d *dossier) []mailproof.Finding {
	old, p := d.cfg.OldProfile, d.cfg.Profile
	filter := p.MXOwner == "filter"
	if old.IsZero() && !filter {
		return one(info, "", d.mx().observed(), "name the old provider to have its leftovers found")
	}
	outcome := d.byPhase(info, info, fail)
	if d.cfg.Coexistence {
		outcome = info
	}
	if filter {
		outcome = fail // mail would go round the filter
	}
	f := d.eachExchange(func(e exchange) ruling {
		isOld := !old.IsZero() && old.isMX(e.host, d.domain) && !p.keepsMX().isMX(e.host, d.domain)
		bypass := filter && p.isMX(e.host, d.domain)
		if !isOld && !bypass {
			return ruling{outcome: pass}
		}
		owner := old.Title()
		if bypass {
			owner = p.Title() + ", which goes round the filter"
		}
		return ruling{outcome, fmt.Sprintf("%d %s belongs to %s", e.pref, display(e.host), owner), d.dropMX(e.host)}
	})
	return expecting(f, "no exchange of "+old.Title())
}

func mxMixed(d *dossier) []mailproof.Finding {
	old, p := d.cfg.OldProfile, d.cfg.Profile.keepsMX()
	if old.IsZero() {
		return nil // mx.expected finds foreign exchanges, mx.leftover says what is missing
	}
	f := d.mx().judge(func(x variant) ruling {
		var olds, news []string
		for _, e := range x.exchanges() {
			switch {
			case p.isMX(e.host, d.domain):
				news = append(news, display(e.host))
			case old.isMX(e.host, d.domain):
				olds = append(olds, display(e.host))
			}
		}
		if len(olds) == 0 || len(news) == 0 {
			return ruling{outcome: pass}
		}
		outcome := fail
		if d.cfg.Coexistence {
			outcome = info
		}
		var lines []string
		for _, h := range olds {
			lines = append(lines, d.dropMX(dns.Fqdn(h)))
		}
		return ruling{outcome, strings.Join(olds, ", ") + " beside " + strings.Join(news, ", "), strings.Join(lines, "\n")}
	})
	return expecting(f, "exchanges of one provider only")
}

func mxResolvers(d *dossier) []mailproof.Finding {
	return d.propagation(d.mx(), d.byPhase(info, info, fail))
}

func mxAlias(d *dossier) []mailproof.Finding {
	f := d.eachExchange(func(e exchange) ruling {
		h := d.host(e.host)
		switch {
		case e.host == "." || isIPName(e.host):
			return ruling{outcome: pass}
		case h.alias() != "":
			return ruling{fail, display(e.host) + " is an alias of " + display(h.alias()), d.replaceMX(e, h.alias())}
		case h.four.Err != nil && h.six.Err != nil:
			return ruling{unknown, display(e.host) + ": " + h.four.Err.Error(), askAgain}
		}
		return ruling{outcome: pass}
	})
	return expecting(f, "exchanges with addresses of their own")
}

// replaceMX points a record at another host.
func (d *dossier) replaceMX(e exchange, host string) string {
	var c change
	c.create(d.domain, dns.TypeMX, fmt.Sprintf("%d %s", e.pref, host))
	return d.dropMX(e.host) + "\n" + c.String()
}

func mxNoAddress(d *dossier) []mailproof.Finding {
	rule := func(host string) ruling {
		h := d.host(host)
		switch {
		case host == "." || isIPName(host):
			return ruling{outcome: pass}
		case len(h.four.Records) > 0:
			return ruling{outcome: pass}
		case h.four.Err != nil:
			return ruling{unknown, display(host) + ": " + h.four.Err.Error(), askAgain}
		case len(h.six.Records) > 0:
			return ruling{warn, display(host) + " has an IPv6 address only: hosts without IPv6 cannot deliver to it", addressLine(host)}
		case h.six.Err != nil:
			return ruling{unknown, display(host) + ": " + h.six.Err.Error(), askAgain}
		case h.four.RCode == dns.RcodeNameError:
			return ruling{fail, display(host) + " does not exist", addressLine(host)}
		}
		return ruling{fail, display(host) + " has no address", addressLine(host)}
	}
	f := d.eachExchange(func(e exchange) ruling { return rule(e.host) })
	out := expecting(f, "an address for every exchange")
	if d.cfg.Phase != mailproof.Readiness {
		return out
	}
	for _, host := range d.expectedHosts() { // tomorrow's exchanges
		if r := rule(host); r.outcome != pass {
			out = append(out, mailproof.Finding{Outcome: r.outcome, Expected: "an address for the exchange that the cut-over brings", Observed: r.observed, Remedy: r.remedy})
		}
	}
	return out
}

func addressLine(host string) string {
	var c change
	c.create(host, dns.TypeA, "<IPv4 address of the host>")
	return c.String()
}

// isIPName reports whether a host name is the text of an IP address.
func isIPName(host string) bool {
	_, err := netip.ParseAddr(display(host))
	return err == nil
}

func mxIsAddress(d *dossier) []mailproof.Finding {
	f := d.eachExchange(func(e exchange) ruling {
		if !isIPName(e.host) {
			return ruling{outcome: pass}
		}
		return ruling{fail, display(e.host) + " is an address: senders look it up as a name and find nothing", d.replaceMX(e, "<name of the host>.")}
	})
	return expecting(f, "host names")
}

func mxPrivate(d *dossier) []mailproof.Finding {
	f := d.eachExchange(func(e exchange) ruling {
		h := d.host(e.host)
		for _, a := range h.addresses() {
			if why := specialPurpose(a); why != "" && !d.cfg.isPublic(a) {
				return ruling{fail, fmt.Sprintf("%s has %s, %s", display(e.host), a, why), addressLine(e.host)}
			}
		}
		if err := h.missed(); err != nil && e.host != "." && !isIPName(e.host) {
			return ruling{unknown, display(e.host) + ": " + err.Error(), askAgain}
		}
		return ruling{outcome: pass}
	})
	return expecting(f, "addresses that the world can reach")
}

// special are the special-purpose blocks of RFC 6890 and its registries that
// no public exchange can have.
var special = []struct{ prefix, why string }{
	{"0.0.0.0/8", "this network"}, {"10.0.0.0/8", "private use"}, {"100.64.0.0/10", "shared address space"}, {"127.0.0.0/8", "loopback"},
	{"169.254.0.0/16", "link-local"}, {"172.16.0.0/12", "private use"}, {"192.0.0.0/24", "IETF protocol assignments"}, {"192.0.2.0/24", "documentation"},
	{"192.168.0.0/16", "private use"}, {"198.18.0.0/15", "benchmarking"}, {"198.51.100.0/24", "documentation"}, {"203.0.113.0/24", "documentation"},
	{"224.0.0.0/4", "multicast"}, {"240.0.0.0/4", "reserved"}, {"::/128", "unspecified"}, {"::1/128", "loopback"}, {"::ffff:0:0/96", "IPv4-mapped"},
	{"100::/64", "discard-only"}, {"2001:db8::/32", "documentation"}, {"3fff::/20", "documentation"}, {"fc00::/7", "unique local"},
	{"fe80::/10", "link-local"}, {"ff00::/8", "multicast"},
}

func specialPurpose(a netip.Addr) string {
	for _, s := range special {
		if netip.MustParsePrefix(s.prefix).Contains(a) {
			return s.why
		}
	}
	return ""
}

func mxNull(d *dossier) []mailproof.Finding {
	f := d.mx().judge(func(x variant) ruling {
		all := x.exchanges()
		for _, e := range all {
			if e.host != "." {
				continue
			}
			why := "the domain says that it takes no mail"
			switch {
			case len(all) > 1:
				why = "a null MX stands beside others"
			case e.pref != 0:
				why = "a null MX with a preference other than 0"
			}
			return ruling{fail, why, d.dropMX(".")}
		}
		return ruling{outcome: pass}
	})
	return expecting(f, "no null MX")
}

func mxNone(d *dossier) []mailproof.Finding {
	f := d.mx().judge(func(x variant) ruling {
		if len(x.records) > 0 {
			return ruling{outcome: pass}
		}
		why := "no MX and no address: the domain gets no mail"
		if d.view(d.domain, dns.TypeA).exists() || d.view(d.domain, dns.TypeAAAA).exists() {
			why = "no MX: mail goes to the address of the domain itself, which is often the web server"
		}
		p := d.cfg.Profile.keepsMX()
		remedy := ""
		if len(p.MX) > 0 {
			remedy = d.mxRemedy(x, p)
		}
		return ruling{fail, why, remedy}
	})
	return expecting(f, "MX records")
}

func mxDuplicate(d *dossier) []mailproof.Finding {
	f := d.mx().judge(func(x variant) ruling {
		seen := map[string]bool{}
		all := x.exchanges()
		for _, e := range all {
			if seen[e.host] {
				return ruling{warn, display(e.host) + " is listed twice", "keep one of:\n" + d.dropMX(e.host)}
			}
			seen[e.host] = true
		}
		if len(all) > 10 {
			return ruling{warn, fmt.Sprintf("%d exchanges", len(all)), "delete exchanges that are not needed: senders try only some of them"}
		}
		return ruling{outcome: pass}
	})
	return expecting(f, "at most ten exchanges, each once")
}

func mxInvalid(d *dossier) []mailproof.Finding {
	f := d.eachExchange(func(e exchange) ruling {
		if !strings.HasSuffix(e.host, ".invalid.") {
			return ruling{outcome: pass}
		}
		return ruling{fail, display(e.host) + " is left from a verification", d.dropMX(e.host)}
	})
	return expecting(f, "no exchange under .invalid")
}

func mxReverse(d *dossier) []mailproof.Finding {
	f := d.eachExchange(func(e exchange) ruling {
		h := d.host(e.host)
		outcome := warn
		if d.cfg.Profile.owns(e.host, d.domain) && !dns.IsSubDomain(d.domain, e.host) || d.cfg.OldProfile.owns(e.host, d.domain) && !dns.IsSubDomain(d.domain, e.host) {
			outcome = info // the provider's business
		}
		for _, a := range h.addresses() {
			names, looked := h.names[a]
			switch {
			case !looked:
			case len(names) == 0:
				return ruling{outcome, fmt.Sprintf("%s has no reverse name", a), reverseLine(a, e.host)}
			case !h.back[a] && !h.lost:
				return ruling{outcome, fmt.Sprintf("%s is called %s, which does not lead back to it", a, strings.Join(names, ", ")), reverseLine(a, e.host)}
			}
		}
		if err := h.missed(); h.lost || err != nil && e.host != "." && !isIPName(e.host) {
			if outcome == info {
				return ruling{info, "the reverse names of " + display(e.host) + " could not be looked up", ""}
			}
			return ruling{unknown, "the reverse names of " + display(e.host) + " could not be looked up", askAgain}
		}
		return ruling{outcome: pass}
	})
	return expecting(f, "reverse names that lead back")
}

func reverseLine(a netip.Addr, host string) string {
	name, err := dns.ReverseAddr(a.String())
	if err != nil {
		return ""
	}
	var c change
	c.create(name, dns.TypePTR, host)
	return c.String()
}

func mxRoute(d *dossier) []mailproof.Finding {
	if d.cfg.Profile.MXOwner != "filter" {
		return nil
	}
	return one(info, "the filter delivers to "+d.cfg.Profile.Title(), "not verifiable from DNS",
		"look at the delivery route in the filter's console, and send a message through it")
}
