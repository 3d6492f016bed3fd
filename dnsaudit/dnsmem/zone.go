package dnsmem

import (
	"errors"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// maxChain bounds the aliases that are followed inside one answer.
const maxChain = 16

type key struct {
	name  string // canonical
	rtype uint16
}

// zone is the content of one zone; it is never changed after it was parsed.
type zone struct {
	apex  string
	sets  map[key][]dns.RR
	sigs  map[key][]dns.RR // RRSIGs by the type that they cover
	names map[string]bool  // owner names and the empty non-terminals above them
	cuts  map[string]bool  // delegations
}

// parseZone reads a master file (RFC 1035 §5). The apex is the owner of its
// SOA record.
func parseZone(text string) (*zone, error) {
	z := &zone{sets: map[key][]dns.RR{}, sigs: map[key][]dns.RR{}, names: map[string]bool{}, cuts: map[string]bool{}}
	parser := dns.NewZoneParser(strings.NewReader(text), "", "zone")
	var all []dns.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		if rr.Header().Rrtype == dns.TypeSOA {
			z.apex = dns.CanonicalName(rr.Header().Name)
		}
		all = append(all, rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("zone: %w", err)
	}
	if z.apex == "" {
		return nil, errors.New("zone: no SOA record")
	}
	for _, rr := range all {
		if err := z.add(rr); err != nil {
			return nil, err
		}
	}
	return z, nil
}

func (z *zone) add(rr dns.RR) error {
	owner := dns.CanonicalName(rr.Header().Name)
	if !dns.IsSubDomain(z.apex, owner) {
		return fmt.Errorf("zone %s: %s is out of the zone", z.apex, owner)
	}
	if sig, ok := rr.(*dns.RRSIG); ok {
		k := key{owner, sig.TypeCovered}
		z.sigs[k] = append(z.sigs[k], rr)
	} else {
		k := key{owner, rr.Header().Rrtype}
		z.sets[k] = append(z.sets[k], rr)
	}
	if rr.Header().Rrtype == dns.TypeNS && owner != z.apex {
		z.cuts[owner] = true
	}
	for name := owner; !z.names[name] && name != z.apex; name = parent(name) {
		z.names[name] = true
	}
	z.names[z.apex] = true
	return nil
}

func parent(name string) string {
	if i, end := dns.NextLabel(name, 0); !end {
		return name[i:]
	}
	return "."
}

// answer fills in reply for one question (RFC 1034 §4.3.2, wildcards as in
// RFC 4592).
func (z *zone) answer(reply *dns.Msg, q dns.Question, signed bool) {
	name := dns.CanonicalName(q.Name)
	for range maxChain {
		if cut := z.cutAbove(name, q.Qtype); cut != "" {
			z.refer(reply, cut, signed)
			return
		}
		reply.Authoritative = true
		source := z.source(name)
		if source == "" {
			if len(reply.Answer) == 0 {
				reply.Rcode = dns.RcodeNameError
			}
			reply.Ns = z.soa(signed)
			return
		}
		if set := z.sets[key{source, q.Qtype}]; len(set) > 0 {
			reply.Answer = append(reply.Answer, z.records(source, q.Qtype, name, signed)...)
			return
		}
		alias := z.sets[key{source, dns.TypeCNAME}]
		if len(alias) == 0 {
			reply.Ns = z.soa(signed)
			return
		}
		reply.Answer = append(reply.Answer, z.records(source, dns.TypeCNAME, name, signed)...)
		name = dns.CanonicalName(alias[0].(*dns.CNAME).Target)
		if !dns.IsSubDomain(z.apex, name) {
			return
		}
	}
}

// source returns the owner whose records answer for name: name itself, a
// wildcard, or "" where there is nothing.
func (z *zone) source(name string) string {
	if z.names[name] {
		return name
	}
	for up := parent(name); dns.IsSubDomain(z.apex, up); up = parent(up) {
		if z.names[up] {
			if wild := "*." + strings.TrimPrefix(up, "."); z.names[wild] {
				return wild
			}
			return ""
		}
		if up == "." {
			break
		}
	}
	return ""
}

// cutAbove returns the delegation that name falls under, if any. The DS
// record of a cut belongs to this side of it (RFC 4035 §3.1.4.1).
func (z *zone) cutAbove(name string, qtype uint16) string {
	found := ""
	for up := name; up != z.apex && dns.IsSubDomain(z.apex, up); up = parent(up) {
		if z.cuts[up] && (up != name || qtype != dns.TypeDS) {
			found = up
		}
	}
	return found
}

func (z *zone) refer(reply *dns.Msg, cut string, signed bool) {
	reply.Authoritative = false
	reply.Ns = append(reply.Ns, z.records(cut, dns.TypeNS, cut, false)...)
	if signed {
		reply.Ns = append(reply.Ns, z.records(cut, dns.TypeDS, cut, true)...)
	}
	for _, rr := range z.sets[key{cut, dns.TypeNS}] {
		host := dns.CanonicalName(rr.(*dns.NS).Ns)
		for _, t := range []uint16{dns.TypeA, dns.TypeAAAA} {
			reply.Extra = append(reply.Extra, z.records(host, t, host, false)...)
		}
	}
}

func (z *zone) soa(signed bool) []dns.RR { return z.records(z.apex, dns.TypeSOA, z.apex, signed) }

// records returns copies of an RRset with the owner asked for, which differs
// from the stored one where a wildcard answers.
func (z *zone) records(source string, rtype uint16, owner string, signed bool) []dns.RR {
	set := z.sets[key{source, rtype}]
	if signed {
		set = append(set[:len(set):len(set)], z.sigs[key{source, rtype}]...)
	}
	out := make([]dns.RR, 0, len(set))
	for _, rr := range set {
		c := dns.Copy(rr)
		c.Header().Name = owner
		out = append(out, c)
	}
	return out
}
