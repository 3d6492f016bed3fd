package dnsaudit

import (
	"errors"
	"fmt"
	"net/netip"
	"sort"
	"strings"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

var autodiscoverChecks = []check{
	{CheckInfo{"ad.target", "Autodiscover leads to the destination", "MS-OXDISCO §3.1.5", always}, adTarget},
	{CheckInfo{"ad.conflict", "alias and SRV record of Autodiscover lead to the same provider", "MS-OXDISCO §3.1.5", always}, adConflict},
	{CheckInfo{"ad.srv", "the Autodiscover SRV record has port 443 and a target with an address", "RFC 2782", always}, adService},
	{CheckInfo{"ad.wildcard", "no wildcard answers in place of an Autodiscover record", "RFC 4592 §2", always}, adWildcard},
	{CheckInfo{"ad.resolvers", "the listed resolvers hold the same Autodiscover record as the authoritative servers", "RFC 1034 §4.3.4", always}, adResolvers},
	{CheckInfo{"ad.root", "the domain's own web server does not answer as Autodiscover", "MS-OXDISCO §3.1.5", always}, adRoot},
	{CheckInfo{"ad.cert", "the Autodiscover certificate is valid for its name", "RFC 9525 §6", always}, adCertificate},
	{CheckInfo{"ad.http", "the Autodiscover redirect leads over HTTPS to the destination", "MS-OXDISCO §3.1.5", always}, adRedirect},
	{CheckInfo{"ad.scp", "service connection points and Microsoft's caches lie outside DNS", "MS-OXDISCO §3.1.5", always}, adBeyond},
}

var clientChecks = []check{
	{CheckInfo{"cl.srv", "the SRV records of mail clients do not point to the old provider", "RFC 6186 §3, RFC 8314 §5.1", always}, clientServicesCheck},
	{CheckInfo{"cl.autoconfig", "autoconfig does not lead to the old provider, by DNS or by what its web servers answer", "draft-ietf-mailmaint-autoconfig", always}, clientAutoconfig},
}

func (d *dossier) autodiscover() *View { return d.view("autodiscover."+d.domain, dns.TypeA) }

func (d *dossier) autodiscoverSRV() *View { return d.view("_autodiscover._tcp."+d.domain, dns.TypeSRV) }

// chain is the aliases of a variant, the whole of it where our own look-up
// followed it further.
func (d *dossier) chain(x variant, name string) []string {
	if x.alias == "" {
		return nil
	}
	out := []string{x.alias}
	for _, l := range []Lookup{d.host(name).four, d.host(name).six} {
		if len(l.Aliases) > 0 && l.Aliases[0] == x.alias {
			out = union(out, l.Aliases)
		}
	}
	return out
}

func matchAny(patterns, hosts []string, domain string) bool {
	for _, p := range patterns {
		for _, h := range hosts {
			if matchHost(p, h, domain) {
				return true
			}
		}
	}
	return false
}

// leadsTo reports whether an alias chain or addresses are those that a profile
// expects.
func (d *dossier) leadsTo(p Profile, x variant, name string) bool {
	if matchAny(p.Autodiscover.CNAME, d.chain(x, name), d.domain) {
		return true
	}
	for _, rr := range x.records {
		if a, ok := addressOf(rr); ok && d.isAddressOf(p, a) {
			return true
		}
	}
	return false
}

// isAddressOf reports whether a is an Autodiscover address of the profile, or
// that of the host which the profile wants as the target of an alias: some
// name servers flatten aliases.
func (d *dossier) isAddressOf(p Profile, a netip.Addr) bool {
	for _, s := range p.Autodiscover.Address {
		if want, err := netip.ParseAddr(s); err == nil && want == a {
			return true
		}
	}
	for _, name := range p.Autodiscover.CNAME {
		name = expand(name, d.domain)
		if strings.Contains(name, "*") {
			continue
		}
		for _, have := range d.host(dns.CanonicalName(name)).addresses() {
			if have == a {
				return true
			}
		}
	}
	return false
}

// blind is why it cannot be told whether a variant leads to a provider: its
// aliases, or the addresses of the hosts that the profile names, could not be
// looked up. It is nil where that is known; of aliases that lead in a circle it
// is known that they lead nowhere.
func (d *dossier) blind(p Profile, x variant, name string) error {
	if h := d.host(name); x.alias != "" && h.four.Err != nil && h.six.Err != nil && !errors.Is(h.four.Err, errAliases) {
		return h.missed()
	}
	if len(x.records) == 0 {
		return nil
	}
	for _, target := range p.Autodiscover.CNAME {
		h := d.host(dns.CanonicalName(expand(target, d.domain)))
		if err := h.four.Err; err != nil && !errors.Is(err, errNotAsked) {
			return fmt.Errorf("%s: %w", display(h.name), err)
		}
	}
	return nil
}

// adWanted writes what the profile expects, for people.
func adWanted(p Profile, domain string) string {
	var parts []string
	for _, c := range p.Autodiscover.CNAME {
		parts = append(parts, "alias of "+expand(c, domain))
	}
	for _, s := range p.Autodiscover.SRV {
		parts = append(parts, "SRV to "+expand(s, domain)+" port 443")
	}
	parts = append(parts, p.Autodiscover.Address...)
	if len(parts) == 0 {
		return "no Autodiscover"
	}
	return strings.Join(parts, ", or ")
}

// adRemedy prints the lines that lead Autodiscover to the destination.
func (d *dossier) adRemedy() string {
	p := d.cfg.Profile
	var c change
	name := "autodiscover." + d.domain
	there := false // some servers have the right alias already
	for _, v := range []*View{d.autodiscover(), d.view(name, dns.TypeAAAA), d.autodiscoverSRV()} {
		for _, r := range v.Replies {
			for _, rr := range r.Answer {
				line := "delete " + record(rr)
				if alias, ok := rr.(*dns.CNAME); ok && matchAny(p.Autodiscover.CNAME, []string{alias.Target}, d.domain) {
					there = true
					continue
				}
				if dns.CanonicalName(rr.Header().Name) == v.Name && len(missing([]string{line}, c.del)) > 0 {
					c.del = append(c.del, line)
				}
			}
		}
	}
	switch {
	case there:
		c.say("; and let every server hold %s IN CNAME %s", name, dns.Fqdn(expand(p.Autodiscover.CNAME[0], d.domain)))
	case len(p.Autodiscover.CNAME) > 0:
		c.create(name, dns.TypeCNAME, hostContent(p.Autodiscover.CNAME[0], d.domain, p))
	case len(p.Autodiscover.SRV) > 0:
		c.create("_autodiscover._tcp."+d.domain, dns.TypeSRV, "0 0 443 "+hostContent(p.Autodiscover.SRV[0], d.domain, p))
	case len(p.Autodiscover.Address) > 0:
		c.create(name, dns.TypeA, p.Autodiscover.Address[0])
	}
	return c.String()
}

func adTarget(d *dossier) []mailproof.Finding {
	p := d.cfg.Profile
	host, srv := d.autodiscover(), d.autodiscoverSRV()
	wrong := d.byPhase(info, info, fail)
	f := host.judge(func(x variant) ruling {
		if len(x.records) == 0 && x.alias == "" {
			return d.adByService(srv, wrong)
		}
		switch {
		case d.leadsTo(p, x, host.Name):
			return ruling{outcome: pass}
		case d.belongsToOld(x, host.Name):
			return ruling{wrong, "", d.adRemedy()}
		case p.Autodiscover.stated() && d.blind(p, x, host.Name) != nil:
			return ruling{unknown, x.text() + ": " + d.blind(p, x, host.Name).Error(), askAgain}
		case !p.Autodiscover.stated():
			return ruling{info, x.text(), "state where Autodiscover of " + p.Title() + " should lead in a profile to have it checked"}
		}
		return ruling{wrong, "", d.adRemedy()}
	})
	return expecting(f, adWanted(p, d.domain))
}

func (d *dossier) belongsToOld(x variant, name string) bool {
	old := d.cfg.OldProfile
	if old.IsZero() {
		return false
	}
	if d.leadsTo(old, x, name) {
		return true
	}
	for _, h := range d.chain(x, name) {
		if old.owns(h, d.domain) && !d.cfg.Profile.owns(h, d.domain) {
			return true
		}
	}
	return false
}

// adByService judges the SRV record, which counts where there is no host.
func (d *dossier) adByService(srv *View, wrong mailproof.Outcome) ruling {
	p := d.cfg.Profile
	f := srv.judge(func(x variant) ruling {
		targets := x.targets()
		switch {
		case len(targets) == 0 && (p.Autodiscover.None || !p.Autodiscover.stated()):
			return ruling{pass, "no Autodiscover record", ""}
		case len(targets) == 0:
			return ruling{wrong, "neither an address, an alias nor an SRV record", d.adRemedy()}
		case matchAny(p.Autodiscover.SRV, targets, d.domain), matchAny(p.Autodiscover.CNAME, targets, d.domain):
			return ruling{pass, "SRV to " + strings.Join(targets, ", "), ""}
		case !p.Autodiscover.stated() && !d.ownedByOld(targets):
			return ruling{info, "SRV to " + strings.Join(targets, ", "), "state where Autodiscover of " + p.Title() + " should lead in a profile to have it checked"}
		}
		return ruling{wrong, "SRV to " + strings.Join(targets, ", "), d.adRemedy()}
	})
	return ruling{f.Outcome, f.Observed, f.Remedy}
}

func (d *dossier) ownedByOld(hosts []string) bool {
	for _, h := range hosts {
		if !d.cfg.OldProfile.IsZero() && d.cfg.OldProfile.owns(h, d.domain) {
			return true
		}
	}
	return false
}

// targets are the hosts of the SRV records, without the final dot.
func (x variant) targets() []string {
	var out []string
	for _, s := range x.services() {
		out = append(out, display(dns.CanonicalName(s.Target)))
	}
	sort.Strings(out)
	return out
}

// adConflict: Outlook takes the host before the SRV record, so that a right
// SRV record beside a wrong host is of no use.
func adConflict(d *dossier) []mailproof.Finding {
	p := d.cfg.Profile
	host, srv := d.autodiscover(), d.autodiscoverSRV()
	beside := func(x, services variant) ruling {
		targets := services.targets()
		if len(targets) == 0 || len(x.records) == 0 && x.alias == "" {
			return ruling{outcome: pass}
		}
		byHost := d.leadsTo(p, x, host.Name)
		bySRV := matchAny(append(append([]string(nil), p.Autodiscover.SRV...), p.Autodiscover.CNAME...), targets, d.domain)
		same := matchAny(targets, d.chain(x, host.Name), d.domain)
		if byHost == bySRV && (byHost || same) {
			return ruling{outcome: pass}
		}
		if err := d.blind(p, x, host.Name); err != nil && !byHost {
			return ruling{unknown, x.text() + ": " + err.Error(), askAgain}
		}
		var c change
		if bySRV {
			c.removeAll(append(append([]dns.RR(nil), x.records...), aliasOf(host, x)...))
		} else {
			c.removeAll(services.records)
		}
		return ruling{fail, fmt.Sprintf("%s is %s, but the SRV record leads to %s: the earlier step wins", display(host.Name), x.text(), strings.Join(targets, ", ")), c.String()}
	}
	f := host.judge(func(x variant) ruling {
		f := srv.judge(func(services variant) ruling { return beside(x, services) })
		if f.Outcome == pass {
			return ruling{outcome: pass}
		}
		return ruling{f.Outcome, f.Observed, f.Remedy}
	})
	return expecting(f, "one way to Autodiscover")
}

// aliasOf returns the CNAME record of a variant.
func aliasOf(v *View, x variant) []dns.RR {
	for _, r := range v.Replies {
		for _, rr := range r.Answer {
			if c, ok := rr.(*dns.CNAME); ok && dns.CanonicalName(c.Hdr.Name) == v.Name && dns.CanonicalName(c.Target) == x.alias {
				return []dns.RR{rr}
			}
		}
	}
	return nil
}

func adService(d *dossier) []mailproof.Finding {
	f := d.autodiscoverSRV().judge(func(x variant) ruling {
		for _, s := range x.services() {
			target := dns.CanonicalName(s.Target)
			if target == "." {
				continue
			}
			var c change
			c.remove(s)
			c.create("_autodiscover._tcp."+d.domain, dns.TypeSRV, fmt.Sprintf("%d %d 443 %s", s.Priority, s.Weight, target))
			h := d.host(target)
			switch {
			case s.Port != 443:
				return ruling{fail, fmt.Sprintf("port %d at %s", s.Port, display(target)), c.String()}
			case h.alias() != "":
				return ruling{fail, fmt.Sprintf("%s is an alias of %s", display(target), display(h.alias())), ""}
			case h.err() != nil:
				return ruling{unknown, fmt.Sprintf("%s: %s", display(target), h.err()), askAgain}
			case len(h.addresses()) == 0:
				return ruling{fail, display(target) + " has no address", addressLine(target)}
			}
		}
		return ruling{outcome: pass}
	})
	return expecting(f, "port 443 and a target with an address of its own")
}

func adWildcard(d *dossier) []mailproof.Finding {
	probe := d.view(wildcardProbe+d.domain, dns.TypeA)
	f := probe.judge(func(x variant) ruling {
		if len(x.records) == 0 && x.alias == "" {
			return ruling{outcome: pass}
		}
		host, ok := d.autodiscover().first()
		if !ok {
			return ruling{unknown, d.autodiscover().observed(), askAgain}
		}
		if rrsetKey(host.records, host.alias) != rrsetKey(x.records, x.alias) {
			return ruling{pass, "a wildcard answers, but autodiscover has a record of its own", ""}
		}
		return ruling{warn, "*." + display(d.domain) + " answers for autodiscover: " + x.text(), d.adRemedyExplicit()}
	})
	return expecting(f, "no wildcard, or an explicit Autodiscover record")
}

// adRemedyExplicit adds the record that the wildcard stands in for; there is
// nothing to delete.
func (d *dossier) adRemedyExplicit() string {
	var lines []string
	for line := range strings.SplitSeq(d.adRemedy(), "\n") {
		if !strings.HasPrefix(line, "delete ") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 || lines[0] == "" {
		return "publish autodiscover." + display(d.domain) + " explicitly, or delete the wildcard"
	}
	return strings.Join(lines, "\n")
}

func adResolvers(d *dossier) []mailproof.Finding {
	if !d.autodiscover().exists() && len(d.autodiscover().unasked()) == 0 {
		return d.propagation(d.autodiscoverSRV(), d.byPhase(info, info, warn))
	}
	return d.propagation(d.autodiscover(), d.byPhase(info, info, warn))
}

func adBeyond(d *dossier) []mailproof.Finding {
	return one(info, "", "not verifiable from DNS",
		"where the domain has an Active Directory, clear or point its service connection point; Outlook keeps the last settings that worked, and Microsoft's own detection keeps a cache of its own")
}

func clientServicesCheck(d *dossier) []mailproof.Finding {
	var out []mailproof.Finding
	for _, service := range clientServices {
		v := d.view(service+"."+d.domain, dns.TypeSRV)
		f := v.judge(func(x variant) ruling {
			for _, s := range x.services() {
				if target := dns.CanonicalName(s.Target); target != "." && d.ownedByOld([]string{target}) && !d.cfg.Profile.owns(target, d.domain) {
					var c change
					c.remove(s)
					return ruling{d.byPhase(info, info, fail), service + " leads to " + display(target), c.String()}
				}
			}
			return ruling{outcome: pass}
		})
		if f.Outcome == pass && !v.exists() {
			continue
		}
		f.Expected = service + " not at the old provider"
		out = append(out, f)
	}
	if len(out) == 0 {
		return one(pass, "no SRV record at the old provider", "no SRV records of mail clients", "")
	}
	return out
}
