package dnsaudit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sort"
	"strings"
	"sync"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"
)

const (
	maxReferrals = 16 // zones between the root and a name
	maxServers   = 32 // addresses of one zone that are asked
	maxNesting   = 4  // name servers whose names lie in zones whose name servers …
	maxAliases   = 8
	maxTries     = 4 // servers tried for an answer that one server can give
)

// rootHints are the IPv4 addresses of the root servers (IANA, as of 2026).
var rootHints = map[string]string{
	"a": "198.41.0.4", "b": "170.247.170.2", "c": "192.33.4.12", "d": "199.7.91.13", "e": "192.203.230.10", "f": "192.5.5.241", "g": "192.112.36.4",
	"h": "198.97.190.53", "i": "192.36.148.17", "j": "192.58.128.30", "k": "193.0.14.129", "l": "199.7.83.42", "m": "202.12.27.33",
}

// zone is one zone and its servers.
type zone struct {
	apex      string
	above     *zone    // the zone that refers to it; nil where that is not known
	nsParent  []string // as the parent refers to them; nil where the parent was not seen
	nsChild   []string // as the zone itself lists them
	servers   []Server
	noAddress []string // name servers that have no address
	unlooked  []string // name servers of which an address could not be looked up, and why
	skipped   []string // IPv6 addresses not asked, for want of IPv6 here
	given     bool     // the servers were given by hand; the parent was not asked
	viaCache  bool     // found by way of a resolver, since the root could not be reached
}

// network finds zones and asks their servers. It is shared by all domains of
// an audit.
type network struct {
	dns       *Resolver
	overrides map[string][]netip.AddrPort // canonical host name → addresses
	resolvers []Server
	six       bool // this machine has IPv6

	mu      sync.Mutex
	zones   map[string]*zone
	noRoot  bool
	lookups memo[lookupKey, Lookup]
	finds   memo[string, zoneResult]
}

type lookupKey struct {
	name  string
	qtype uint16
}

type zoneResult struct {
	zone *zone
	err  error
}

// memo computes each value once, though several ask for it at once.
type memo[K comparable, V any] struct {
	mu sync.Mutex
	m  map[K]*memoEntry[V]
}

type memoEntry[V any] struct {
	done  chan struct{}
	value V
}

func (m *memo[K, V]) get(ctx context.Context, key K, compute func() V) (V, bool) {
	m.mu.Lock()
	if m.m == nil {
		m.m = map[K]*memoEntry[V]{}
	}
	e, found := m.m[key]
	if !found {
		e = &memoEntry[V]{done: make(chan struct{})}
		m.m[key] = e
	}
	m.mu.Unlock()
	if !found {
		e.value = compute()
		close(e.done)
		return e.value, true
	}
	select {
	case <-e.done:
		return e.value, true
	case <-ctx.Done():
		var zero V
		return zero, false
	}
}

// hasIPv6 asks the system whether it has a route for IPv6. Nothing is sent.
func hasIPv6() bool {
	conn, err := net.Dial("udp6", "[2001:500:2::c]:53")
	if err != nil {
		return false
	}
	_ = conn.Close()
	return true
}

var (
	errNoServers = errors.New("no name server of the zone could be found")
	errNested    = errors.New("name servers depend on each other too deeply")
	errAliases   = errors.New("too many aliases")
	errUnlooked  = errors.New("the addresses of its name servers could not be looked up")
)

// root returns the root zone, by override or by hints.
func (n *network) root() *zone {
	z := &zone{apex: "."}
	if addrs := n.overrides["."]; len(addrs) > 0 {
		for _, a := range addrs {
			z.servers = append(z.servers, Server{Name: ".", Addr: a})
		}
		return z
	}
	for letter, ip := range rootHints {
		z.servers = append(z.servers, Server{Name: letter + ".root-servers.net.", Addr: netip.AddrPortFrom(netip.MustParseAddr(ip), 53)})
	}
	sort.Slice(z.servers, func(i, j int) bool { return z.servers[i].Name < z.servers[j].Name })
	return z
}

// deepest returns the deepest known zone around a name.
func (n *network) deepest(name string) *zone {
	n.mu.Lock()
	defer n.mu.Unlock()
	for up := name; ; up = parentOf(up) {
		if z := n.zones[up]; z != nil {
			return z
		}
		if up == "." {
			z := n.root()
			n.zones["."] = z
			return z
		}
	}
}

func (n *network) remember(z *zone) *zone {
	n.mu.Lock()
	defer n.mu.Unlock()
	if known := n.zones[z.apex]; known != nil {
		return known
	}
	n.zones[z.apex] = z
	return z
}

// rootIsLost reports whether the root need not be tried: it did not answer
// before, or the servers and resolvers were all given by hand, which makes a
// closed world.
func (n *network) rootIsLost() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	closed := len(n.overrides) > 0 && len(n.overrides["."]) == 0 && len(n.resolvers) > 0
	return n.noRoot || closed
}

func parentOf(name string) string {
	if i, end := dns.NextLabel(name, 0); !end {
		return name[i:]
	}
	return "."
}

// find returns the zone of an audited domain: from the overrides, else from
// the root down, else, where the root cannot be reached, by way of a resolver.
func (n *network) find(ctx context.Context, domain string) (*zone, error) {
	res, ok := n.finds.get(ctx, domain, func() zoneResult {
		z, err := n.findOnce(ctx, domain)
		return zoneResult{z, err}
	})
	if !ok {
		return nil, ctx.Err()
	}
	return res.zone, res.err
}

func (n *network) findOnce(ctx context.Context, domain string) (*zone, error) {
	if len(n.overrides["."]) == 0 && len(n.overrides) > 0 {
		if z := n.fromOverrides(ctx, domain); z != nil {
			return n.remember(z), nil
		}
	}
	z, reply, err := n.descend(ctx, question{domain: domain, name: domain, qtype: dns.TypeNS, role: roleParent}, 0)
	if err == nil {
		return n.apexOf(ctx, domain, z, reply)
	}
	if z != nil && delegated(z.apex, domain) {
		return z, nil // the servers are known, though none of them answers
	}
	if z := n.fromResolvers(ctx, domain); z != nil {
		return n.remember(z), nil
	}
	return nil, err
}

// delegated reports whether apex can be the zone of the domain, and is not
// merely a registry's zone above it.
func delegated(apex, domain string) bool {
	registered, err := publicsuffix.EffectiveTLDPlusOne(display(domain))
	if err != nil {
		return apex == domain
	}
	return dns.IsSubDomain(apex, domain) && dns.IsSubDomain(dns.Fqdn(registered), apex)
}

// fromOverrides asks the servers given by hand for the NS set of the domain or
// of a zone above it.
func (n *network) fromOverrides(ctx context.Context, domain string) *zone {
	var given []Server
	for name, addrs := range n.overrides {
		for _, a := range addrs {
			given = append(given, Server{Name: name, Addr: a})
		}
	}
	sort.Slice(given, func(i, j int) bool { return given[i].String() < given[j].String() })
	for apex := domain; apex != "."; apex = parentOf(apex) {
		z := &zone{apex: apex, given: true}
		for _, s := range given {
			reply := n.dns.Ask(ctx, question{domain: domain, name: apex, qtype: dns.TypeNS, role: roleAuthoritative}, s)
			z.nsChild = union(z.nsChild, nsNames(reply.Answer, apex))
			if dns.CanonicalName(s.Name) == apex {
				z.servers = append(z.servers, s) // the override names the zone itself
			}
		}
		if len(z.nsChild) == 0 && len(z.servers) == 0 {
			continue
		}
		if len(z.servers) == 0 {
			n.addServers(ctx, domain, z, z.nsChild, nil, 0)
		}
		return z
	}
	return nil
}

// fromResolvers finds the zone's servers where the root is out of reach.
func (n *network) fromResolvers(ctx context.Context, domain string) *zone {
	for apex := domain; apex != "."; apex = parentOf(apex) {
		for _, s := range n.resolvers {
			reply := n.dns.Ask(ctx, question{domain: domain, name: apex, qtype: dns.TypeNS, role: roleResolver, recurse: true}, s)
			names := nsNames(reply.Answer, apex)
			if len(names) == 0 {
				continue
			}
			z := &zone{apex: apex, nsChild: names, viaCache: true}
			n.addServers(ctx, domain, z, names, nil, 0)
			return z
		}
	}
	return nil
}

// apexOf turns the end of a descent into the zone of the domain: the answer
// may come from a server that is authoritative for the child as well as for
// the zone it was asked as, or may show that the domain is no zone of its own.
func (n *network) apexOf(ctx context.Context, domain string, z *zone, reply Reply) (*zone, error) {
	apex := domain
	names := nsNames(reply.Answer, domain)
	if len(names) == 0 {
		apex = z.apex
		if soa := soaOwner(reply.Ns); soa != "" && dns.IsSubDomain(soa, domain) {
			apex = soa
		}
		own := n.askSome(ctx, question{domain: domain, name: apex, qtype: dns.TypeNS, role: roleParent}, z)
		names = nsNames(own.Answer, apex)
	}
	if apex != z.apex {
		z = &zone{apex: apex, above: z}
	}
	if z.apex == "." {
		return nil, fmt.Errorf("%s: %w", display(domain), errNoServers)
	}
	full := &zone{apex: z.apex, above: z.above, nsParent: z.nsParent, nsChild: names, noAddress: z.noAddress, unlooked: z.unlooked, skipped: z.skipped}
	full.servers = append([]Server(nil), z.servers...)
	n.addServers(ctx, domain, full, missing(names, z.nsParent), nil, 0)
	n.mu.Lock()
	n.zones[full.apex] = full
	n.mu.Unlock()
	if len(full.servers) == 0 {
		return full, fmt.Errorf("%s: %w", display(domain), errNoServers)
	}
	return full, nil
}

// descend follows referrals from the deepest known zone until a server answers
// for the name (RFC 1034 §5.3.3).
func (n *network) descend(ctx context.Context, q question, nesting int) (*zone, Reply, error) {
	if nesting > maxNesting {
		return nil, Reply{}, errNested
	}
	z := n.deepest(q.name)
	for range maxReferrals {
		if z.apex == "." && n.rootIsLost() {
			return nil, Reply{}, errors.New("no root server answers")
		}
		reply := n.askSome(ctx, q, z)
		if reply.Err != nil {
			n.lostRoot(ctx, z)
			return z, reply, fmt.Errorf("servers of %s: %w", z.apex, reply.Err)
		}
		child := referral(reply, z.apex, q.name)
		if child == "" {
			if !conclusive(reply) {
				return z, reply, fmt.Errorf("servers of %s: %s", z.apex, state(reply))
			}
			return z, reply, nil
		}
		next := &zone{apex: child, above: z, nsParent: nsNames(reply.Ns, child)}
		n.addServers(ctx, q.domain, next, next.nsParent, glue(reply, z.apex), nesting+1)
		z = n.remember(next)
	}
	return z, Reply{}, errors.New("too many referrals")
}

// lostRoot remembers that the root cannot be reached, so that it is waited for
// once.
func (n *network) lostRoot(ctx context.Context, z *zone) {
	if z.apex != "." || ctx.Err() != nil {
		return
	}
	n.mu.Lock()
	n.noRoot = true
	n.mu.Unlock()
}

// askSome asks the servers of a zone one after the other until one answers or
// refers.
func (n *network) askSome(ctx context.Context, q question, z *zone) Reply {
	last := Reply{Err: errNoServers}
	if len(z.unlooked) > 0 {
		last.Err = errUnlooked
	}
	for i, s := range z.servers {
		if i >= maxTries || ctx.Err() != nil {
			break
		}
		reply := n.dns.Ask(ctx, q, s)
		if conclusive(reply) || referral(reply, z.apex, q.name) != "" {
			return reply
		}
		if last.Err != nil {
			last = reply
		}
	}
	return last
}

// referral returns the zone that a reply refers to: one below apex that
// encloses the name.
func referral(r Reply, apex, name string) string {
	if r.Err != nil || r.RCode != dns.RcodeSuccess || r.AA || len(r.Answer) > 0 {
		return ""
	}
	for _, rr := range r.Ns {
		owner := dns.CanonicalName(rr.Header().Name)
		if rr.Header().Rrtype == dns.TypeNS && owner != apex && dns.IsSubDomain(apex, owner) && dns.IsSubDomain(owner, name) {
			return owner
		}
	}
	return ""
}

// glue returns the addresses in a referral that its sender may speak for:
// those of names within its own zone.
func glue(r Reply, apex string) map[string][]netip.Addr {
	out := map[string][]netip.Addr{}
	for _, rr := range r.Extra {
		name := dns.CanonicalName(rr.Header().Name)
		if addr, ok := addressOf(rr); ok && dns.IsSubDomain(apex, name) {
			out[name] = append(out[name], addr)
		}
	}
	return out
}

// addServers adds every address of the named servers to the zone: from the
// overrides, else from the glue, else looked up.
func (n *network) addServers(ctx context.Context, domain string, z *zone, names []string, known map[string][]netip.Addr, nesting int) {
	for _, name := range names {
		if len(z.servers) >= maxServers {
			return
		}
		if given := n.overrides[name]; len(given) > 0 {
			for _, a := range given {
				z.addServer(Server{name, a})
			}
			continue
		}
		addrs := known[name]
		var missed error
		if len(addrs) == 0 {
			addrs, missed = n.hostAddresses(ctx, domain, name, nesting)
		}
		switch {
		case missed != nil:
			z.unlooked = union(z.unlooked, []string{display(name) + ": " + missed.Error()})
		case len(addrs) == 0:
			z.noAddress = append(z.noAddress, name)
		}
		for _, a := range addrs {
			if a.Is6() && !n.six {
				z.skipped = append(z.skipped, a.String())
				continue
			}
			z.addServer(Server{name, netip.AddrPortFrom(a, 53)})
		}
	}
}

func (z *zone) addServer(s Server) {
	for _, have := range z.servers {
		if have == s {
			return
		}
	}
	if len(z.servers) < maxServers {
		z.servers = append(z.servers, s)
	}
}

// hostAddresses looks up the addresses of a name server. The error says why
// there may be more. Name servers that are found in nobody's zone, or only by
// way of themselves, have none: that is how the zones stand.
func (n *network) hostAddresses(ctx context.Context, domain, name string, nesting int) ([]netip.Addr, error) {
	ask := func(t uint16) Lookup {
		got := n.lookup(ctx, question{domain: domain, name: name, qtype: t, role: roleParent}, nesting+1)
		if errors.Is(got.Err, errNoServers) || errors.Is(got.Err, errNested) {
			got.Err = nil
		}
		return got
	}
	h := host{name: name, four: ask(dns.TypeA), six: ask(dns.TypeAAAA)}
	return h.addresses(), h.missed()
}

// Lookup is the answer to a question that one server may answer for all.
type Lookup struct {
	Records []dns.RR // of the type that was asked for, behind any aliases
	Aliases []string // names that the aliases led through, the last one owns the records
	RCode   int
	AD      bool
	Err     error
}

// lookup asks the authoritative servers of whatever zone the name is in, and
// follows aliases. Where the root is out of reach the listed resolvers are
// asked instead.
func (n *network) lookup(ctx context.Context, q question, nesting int) Lookup {
	if nesting > 0 {
		return n.lookupOnce(ctx, q, nesting) // nested look-ups could wait for each other in a circle
	}
	res, ok := n.lookups.get(ctx, lookupKey{q.name, q.qtype}, func() Lookup { return n.lookupOnce(ctx, q, nesting) })
	if !ok {
		return Lookup{Err: ctx.Err()}
	}
	return res
}

func (n *network) lookupOnce(ctx context.Context, q question, nesting int) Lookup {
	var out Lookup
	for range maxAliases {
		z, reply, err := n.descend(ctx, q, nesting)
		if err != nil {
			out.Err, out.RCode = err, reply.RCode
			if z != nil && z.apex != "." {
				return out // a resolver would know no better
			}
			if reply = n.askResolvers(ctx, q, reply, err); reply.Err != nil {
				return out
			}
			out.Err = nil
		}
		out.RCode, out.AD = reply.RCode, reply.AD
		records, alias := extract(reply.Answer, q.name, q.qtype)
		if len(records) > 0 || alias == "" {
			out.Records = records
			return out
		}
		out.Aliases = append(out.Aliases, alias)
		q.name = alias
	}
	out.Err = errAliases
	return out
}

// askResolvers stands in where the authoritative servers cannot be found.
func (n *network) askResolvers(ctx context.Context, q question, failed Reply, err error) Reply {
	q.role, q.recurse = roleResolver, true
	for _, s := range n.resolvers {
		if reply := n.dns.Ask(ctx, q, s); usable(reply) {
			return reply
		}
	}
	failed.Err = err
	return failed
}

// usable reports whether a resolver's reply says anything about the name.
func usable(r Reply) bool {
	return r.Err == nil && (r.RCode == dns.RcodeSuccess || r.RCode == dns.RcodeNameError)
}

// conclusive reports whether a reply says, with authority, what there is.
func conclusive(r Reply) bool { return usable(r) && r.AA }

// state says in words why a reply is not conclusive.
func state(r Reply) string {
	switch {
	case r.Err != nil:
		return r.Err.Error()
	case !usable(r):
		return dns.RcodeToString[r.RCode]
	case !r.AA:
		return "no authority (AA=0)"
	default:
		return "answered"
	}
}

// extract returns the records of the type that name owns, or the alias that
// stands in their place.
func extract(answer []dns.RR, name string, qtype uint16) (records []dns.RR, alias string) {
	for _, rr := range answer {
		if dns.CanonicalName(rr.Header().Name) != name {
			continue
		}
		if rr.Header().Rrtype == qtype {
			records = append(records, rr)
		} else if c, ok := rr.(*dns.CNAME); ok {
			alias = dns.CanonicalName(c.Target)
		}
	}
	return records, alias
}

func addressOf(rr dns.RR) (netip.Addr, bool) {
	var ip net.IP
	switch rr := rr.(type) {
	case *dns.A:
		ip = rr.A
	case *dns.AAAA:
		ip = rr.AAAA
	default:
		return netip.Addr{}, false
	}
	addr, ok := netip.AddrFromSlice(ip)
	if _, isA := rr.(*dns.A); isA {
		addr = addr.Unmap()
	}
	return addr, ok
}

func nsNames(records []dns.RR, owner string) []string {
	var out []string
	for _, rr := range records {
		if ns, ok := rr.(*dns.NS); ok && dns.CanonicalName(ns.Hdr.Name) == owner {
			out = union(out, []string{dns.CanonicalName(ns.Ns)})
		}
	}
	sort.Strings(out)
	return out
}

func soaOwner(records []dns.RR) string {
	for _, rr := range records {
		if rr.Header().Rrtype == dns.TypeSOA {
			return dns.CanonicalName(rr.Header().Name)
		}
	}
	return ""
}

// union returns a with what of b it lacks.
func union(a, b []string) []string { return append(a, missing(b, a)...) }

// missing returns what of want is not in have.
func missing(want, have []string) []string {
	var out []string
	for _, w := range want {
		found := false
		for _, h := range have {
			found = found || strings.EqualFold(h, w)
		}
		if !found {
			out = append(out, w)
		}
	}
	return out
}
