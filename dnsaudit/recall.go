package dnsaudit

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/spf"
)

// recall builds a dossier from what an audit observed, asking nothing: the
// observations that the ledger keeps are enough to plan by.
func recall(observations []mailproof.Observation, domain string, cfg *Config) *dossier {
	d := &dossier{domain: domain, cfg: cfg, views: map[lookupKey]*View{}, hosts: map[string]*host{}}
	said := map[lookupKey][]Reply{}
	for _, o := range observations {
		k, r, ok := replyOf(o)
		if !ok {
			continue
		}
		said[k] = latest(said[k], r)
		if dns.IsSubDomain(domain, k.name) && r.Time.After(d.now) {
			d.now = r.Time
		}
	}
	for k, replies := range said {
		slices.SortFunc(replies, func(a, b Reply) int { return strings.Compare(a.Server.String(), b.Server.String()) })
		d.views[k] = &View{Name: k.name, Type: k.qtype, Replies: replies}
	}
	d.zoneErr = errors.New("not observed")
	for _, name := range cfg.Profile.Autodiscover.CNAME {
		if name = expand(name, domain); !strings.Contains(name, "*") {
			name = dns.CanonicalName(name)
			d.hosts[name] = &host{name: name, four: d.recalled(name, dns.TypeA), six: d.recalled(name, dns.TypeAAAA)}
		}
	}
	for _, x := range d.txt().variants() {
		resolver := memory{d: d, root: domain, texts: x.texts()}
		d.policies = append(d.policies, policy{rrsetKey(x.records, x.alias), spf.Analyse(context.Background(), resolver, display(domain))})
	}
	return d
}

// replyOf reads a reply back from its observation. It reports false for what
// is no question to an authoritative server.
func replyOf(o mailproof.Observation) (lookupKey, Reply, bool) {
	qtype, known := dns.StringToType[o.Type]
	if o.Role != roleAuthoritative || !known {
		return lookupKey{}, Reply{}, false
	}
	k := lookupKey{dns.CanonicalName(o.Question), qtype}
	r := Reply{Server: serverOf(o.Server), Role: o.Role, Time: o.Time, Network: o.Network, AA: o.AA, AD: o.AD}
	if o.Error != "" {
		r.Err = errors.New(o.Error)
		return k, r, true
	}
	r.RCode = dns.StringToRcode[o.RCode]
	own := false
	var records []dns.RR
	for _, line := range o.Records {
		rr, err := dns.NewRR(line)
		if err != nil || rr == nil {
			continue // a pseudo-record, or one that cannot be written in a zone
		}
		records = append(records, rr)
		t := rr.Header().Rrtype
		own = own || dns.CanonicalName(rr.Header().Name) == k.name && (t == qtype || t == dns.TypeCNAME)
	}
	if own {
		r.Answer = records
	} else {
		r.Ns = records
	}
	return k, r, true
}

// serverOf reads the text of a server back: "ns1.example.net 192.0.2.53:53".
func serverOf(text string) Server {
	name, addr, found := strings.Cut(text, " ")
	if !found {
		name, addr = "", text
	}
	s := Server{}
	if name != "" {
		s.Name = dns.CanonicalName(name)
	}
	s.Addr, _ = netip.ParseAddrPort(addr) // an address that cannot be read is the zero one
	return s
}

// latest adds a reply in the place of an earlier one of the same server. What a
// server said counts more than that it said nothing another time.
func latest(list []Reply, r Reply) []Reply {
	for i, have := range list {
		if have.Server != r.Server {
			continue
		}
		if conclusive(r) == conclusive(have) && !r.Time.Before(have.Time) || conclusive(r) && !conclusive(have) {
			list[i] = r
		}
		return list
	}
	return append(list, r)
}

// recalled is a look-up among the observations, aliases followed.
func (d *dossier) recalled(name string, qtype uint16) Lookup {
	var out Lookup
	for range maxAliases {
		x, ok := d.view(name, qtype).first()
		if !ok {
			out.Err = errors.New("not observed")
			return out
		}
		if len(x.records) > 0 || x.alias == "" {
			out.Records = x.records
			return out
		}
		out.Aliases = append(out.Aliases, x.alias)
		name = x.alias
	}
	out.Err = errAliases
	return out
}

// memory answers the SPF room from observations.
type memory struct {
	d     *dossier
	root  string
	texts []string
}

// TXT implements [spf.Resolver].
func (m memory) TXT(_ context.Context, name string) ([]string, error) {
	if name = dns.CanonicalName(name); name == m.root {
		return m.texts, nil
	}
	got := m.d.recalled(name, dns.TypeTXT)
	return variant{records: got.Records}.texts(), got.Err
}

// Addresses implements [spf.Resolver].
func (m memory) Addresses(_ context.Context, name string, six bool) ([]netip.Addr, error) {
	qtype := dns.TypeA
	if six {
		qtype = dns.TypeAAAA
	}
	got := m.d.recalled(dns.CanonicalName(name), qtype)
	var out []netip.Addr
	for _, rr := range got.Records {
		if a, ok := addressOf(rr); ok {
			out = append(out, a)
		}
	}
	return out, got.Err
}

// MX implements [spf.Resolver].
func (m memory) MX(_ context.Context, name string) ([]string, error) {
	got := m.d.recalled(dns.CanonicalName(name), dns.TypeMX)
	var out []string
	for _, e := range (variant{records: got.Records}).exchanges() {
		out = append(out, display(e.host))
	}
	return out, got.Err
}

// PTR implements [spf.Resolver].
func (m memory) PTR(context.Context, netip.Addr) ([]string, error) {
	return nil, errors.New("not observed")
}
