package dnsaudit

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/spf"
)

const (
	parallelQuestions = 8  // of one domain
	maxHosts          = 40 // exchanges looked into
	maxVariants       = 4  // differing SPF policies looked into
	maxReverse        = 4  // addresses of one exchange whose reverse names are looked up
)

var errNotAsked = errors.New("not asked")

// dossier is all that was gathered of one domain. The checks read it and ask
// nothing.
type dossier struct {
	domain string // canonical
	cfg    *Config
	net    *network
	now    time.Time

	zone     *zone
	zoneErr  error
	mu       sync.Mutex
	views    map[lookupKey]*View
	hosts    map[string]*host
	policies []policy
	keys     map[string]Lookup // DKIM keys by name, behind aliases
	behind   map[string]Lookup // TXT records behind the aliases of MTA-STS and TLS reports, by name
	dmarc    dmarcPolicy
	reports  []reportAddress
	signed   map[lookupKey]*View // with signatures
	checking []validation        // of the listed resolvers
	web      web
	tls      map[string]certificate // of the exchanges
	safe     []SafeTime
}

// host is what an exchange or a target resolves to.
type host struct {
	name  string
	four  Lookup
	six   Lookup
	tlsa  Lookup
	names map[netip.Addr][]string // reverse names
	back  map[netip.Addr]bool     // whether one of them leads back
	lost  bool                    // a reverse look-up failed
}

// addresses returns what the host resolves to.
func (h *host) addresses() []netip.Addr {
	var out []netip.Addr
	for _, l := range []Lookup{h.four, h.six} {
		for _, rr := range l.Records {
			if a, ok := addressOf(rr); ok {
				out = append(out, a)
			}
		}
	}
	return out
}

func (h *host) alias() string {
	for _, l := range []Lookup{h.four, h.six} {
		if len(l.Aliases) > 0 {
			return l.Aliases[0]
		}
	}
	return ""
}

// missed is why there may be addresses that are not known: a look-up failed. It
// is nil where DNS told all there are, none included.
func (h *host) missed() error {
	four, six := h.four.Err, h.six.Err
	switch {
	case six == nil, four != nil && four.Error() == six.Error():
		return four
	case four == nil:
		return six
	}
	return fmt.Errorf("%w; %w", four, six)
}

// err is why no address is known; nil where one is, or where DNS says that
// there is none.
func (h *host) err() error {
	if len(h.four.Records)+len(h.six.Records) > 0 {
		return nil
	}
	return h.missed()
}

// policy is the SPF policy as some of the servers have it.
type policy struct {
	key  string // of the TXT variant
	tree *spf.Tree
}

// view returns the view of a question; one that was not asked says so.
func (d *dossier) view(name string, qtype uint16) *View {
	d.mu.Lock()
	defer d.mu.Unlock()
	if v := d.views[lookupKey{name, qtype}]; v != nil {
		return v
	}
	err := d.zoneErr
	if err == nil {
		err = errNotAsked
	}
	return &View{Name: name, Type: qtype, Err: err}
}

func (d *dossier) host(name string) *host {
	d.mu.Lock()
	defer d.mu.Unlock()
	if h := d.hosts[name]; h != nil {
		return h
	}
	return &host{name: name, four: Lookup{Err: errNotAsked}, six: Lookup{Err: errNotAsked}, tlsa: Lookup{Err: errNotAsked}}
}

// gather asks everything that the checks want to know.
func (d *dossier) gather(ctx context.Context) {
	d.views, d.hosts = map[lookupKey]*View{}, map[string]*host{}
	d.zone, d.zoneErr = d.net.find(ctx, d.domain)
	if d.zoneErr == nil && len(d.zone.servers) == 0 {
		d.zoneErr = errNoServers
	}
	if d.zoneErr == nil {
		d.gatherViews(ctx, d.questions())
		d.markWithheld()
		d.gatherDS(ctx)
		d.gatherSigned(ctx)
	}
	d.gatherHosts(ctx)
	d.gatherPolicies(ctx)
	if d.zoneErr == nil {
		d.sample(ctx)
	}
	d.gatherReports(ctx)
	d.gatherBehind(ctx)
	d.gatherWeb(ctx)
	d.gatherTLS(ctx)
	d.safe = d.clock()
}

// clientServices are the SRV records by which clients find their servers (RFC
// 6186, RFC 8314 §5.1, RFC 6764).
var clientServices = []string{"_imaps._tcp", "_submissions._tcp", "_submission._tcp", "_imap._tcp", "_pop3s._tcp", "_caldavs._tcp", "_carddavs._tcp"}

// wildcardProbe is a name that nobody has: what answers for it is a wildcard.
const wildcardProbe = "mailproof-wildcard-probe."

// questions lists what is asked of every authoritative server.
func (d *dossier) questions() []lookupKey {
	at := func(prefix string) string { return prefix + d.domain }
	qs := []lookupKey{
		{d.domain, dns.TypeMX}, {d.domain, dns.TypeTXT}, {d.domain, dns.TypeSPF}, {d.domain, dns.TypeA}, {d.domain, dns.TypeAAAA},
		{d.zone.apex, dns.TypeSOA}, {d.zone.apex, dns.TypeNS}, {d.zone.apex, dns.TypeDNSKEY},
		{at("autodiscover."), dns.TypeA}, {at("autodiscover."), dns.TypeAAAA}, {at("_autodiscover._tcp."), dns.TypeSRV},
		{at("autoconfig."), dns.TypeA}, {at(wildcardProbe), dns.TypeA},
		{at("_dmarc."), dns.TypeTXT}, {at("_mta-sts."), dns.TypeTXT}, {at("mta-sts."), dns.TypeA}, {at("_smtp._tls."), dns.TypeTXT},
	}
	for _, s := range clientServices {
		qs = append(qs, lookupKey{at(s + "."), dns.TypeSRV})
	}
	if !d.cfg.OldProfile.IsZero() {
		for _, s := range serverNames {
			qs = append(qs, lookupKey{at(s + "."), dns.TypeA})
		}
	}
	for _, s := range d.selectors() {
		qs = append(qs, lookupKey{at(s + "._domainkey."), dns.TypeTXT})
	}
	return qs
}

// selectors are the DKIM selectors of both profiles.
func (d *dossier) selectors() []string {
	var out []string
	for _, p := range []Profile{d.cfg.Profile, d.cfg.OldProfile} {
		for _, s := range p.DKIM {
			out = union(out, []string{strings.ToLower(s.Selector)})
		}
	}
	return out
}

func (d *dossier) gatherViews(ctx context.Context, qs []lookupKey) {
	var g errgroup.Group
	g.SetLimit(parallelQuestions)
	for _, k := range qs {
		g.Go(func() error {
			v := d.askAll(ctx, question{domain: d.domain, name: k.name, qtype: k.qtype, role: roleAuthoritative})
			d.mu.Lock()
			d.views[k] = v
			d.mu.Unlock()
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}

// askAll asks every address of every authoritative server of the zone that the
// name is in, following delegations inside the domain.
func (d *dossier) askAll(ctx context.Context, q question) *View {
	z := d.zone
	for range maxReferrals {
		v := &View{Name: q.name, Type: q.qtype, Replies: d.askServers(ctx, q, z.servers)}
		child := (*zone)(nil)
		for _, r := range v.Replies {
			if apex := referral(r, z.apex, q.name); apex != "" {
				child = &zone{apex: apex, above: z, nsParent: nsNames(r.Ns, apex)}
				d.net.addServers(ctx, d.domain, child, child.nsParent, glue(r, z.apex), 1)
				break
			}
		}
		if child == nil || len(child.servers) == 0 {
			return v
		}
		z = d.net.remember(child)
	}
	return &View{Name: q.name, Type: q.qtype, Err: errors.New("too many referrals")}
}

// markWithheld marks the errors of servers that serve the zone: those may hold
// what they did not tell. A server that gives nothing else than errors holds
// nothing, and is the business of ns.lame. NOTIMP and FORMERR are answers of a
// kind: the server does not know the type, and so has no such record.
func (d *dossier) markWithheld() {
	serves := map[Server]bool{}
	for k, v := range d.views {
		for _, r := range v.Replies {
			serves[r.Server] = serves[r.Server] || conclusive(r) && dns.IsSubDomain(d.domain, k.name)
		}
	}
	for k, v := range d.views {
		for i := range v.Replies {
			r := &v.Replies[i]
			known := r.RCode != dns.RcodeNotImplemented && r.RCode != dns.RcodeFormatError
			r.Withheld = r.Err == nil && known && !conclusive(*r) && serves[r.Server] && dns.IsSubDomain(d.domain, k.name)
		}
	}
}

// askServers asks all of them at once; the resolver bounds the sockets.
func (d *dossier) askServers(ctx context.Context, q question, list []Server) []Reply {
	replies := make([]Reply, len(list))
	var wg sync.WaitGroup
	for i, s := range list {
		wg.Add(1)
		go func() {
			defer wg.Done()
			replies[i] = d.net.dns.Ask(ctx, q, s)
		}()
	}
	wg.Wait()
	return replies
}

// gatherDS asks the servers of the zone above for the DS records (RFC 4035
// §3.1.4.1).
func (d *dossier) gatherDS(ctx context.Context) {
	if d.zone.above == nil {
		return
	}
	q := question{domain: d.domain, name: d.zone.apex, qtype: dns.TypeDS, role: roleParent}
	reply := d.net.askSome(ctx, q, d.zone.above)
	d.mu.Lock()
	d.views[lookupKey{d.zone.apex, dns.TypeDS}] = &View{Name: d.zone.apex, Type: dns.TypeDS, Replies: []Reply{reply}}
	d.mu.Unlock()
}

// expectedHosts are the exchanges that the profile names exactly.
func (d *dossier) expectedHosts() []string {
	var out []string
	keeper := d.cfg.Profile.keepsMX()
	if len(keeper.MX) == 0 {
		return nil
	}
	for _, entry := range keeper.MX[d.alternative(keeper)] {
		e, err := parseMXEntry(entry)
		if host := expand(e.pattern, d.domain); err == nil && !strings.Contains(host, "*") {
			out = append(out, dns.CanonicalName(host))
		}
	}
	return out
}

// alternative is the index of the exchange set that the domain comes nearest
// to.
func (d *dossier) alternative(p Profile) int {
	best, most := 0, 0
	for i, set := range p.MX {
		hits := 0
		for _, x := range d.view(d.domain, dns.TypeMX).variants() {
			for _, e := range x.exchanges() {
				if inSet(set, e.host, d.domain) {
					hits++
				}
			}
		}
		if hits > most {
			best, most = i, hits
		}
	}
	return best
}

func (d *dossier) gatherHosts(ctx context.Context) {
	var names []string
	for _, x := range d.view(d.domain, dns.TypeMX).variants() {
		for _, e := range x.exchanges() {
			if e.host != "." {
				names = union(names, []string{e.host})
			}
		}
	}
	names = union(names, d.expectedHosts())
	for _, service := range append([]string{"_autodiscover._tcp"}, clientServices...) {
		for _, x := range d.view(service+"."+d.domain, dns.TypeSRV).variants() {
			for _, s := range x.services() {
				if s.Target != "." {
					names = union(names, []string{dns.CanonicalName(s.Target)})
				}
			}
		}
	}
	for _, name := range d.cfg.Profile.Autodiscover.CNAME {
		if name = expand(name, d.domain); !strings.Contains(name, "*") {
			names = union(names, []string{dns.CanonicalName(name)})
		}
	}
	names = union(names, []string{"autodiscover." + d.domain, "mta-sts." + d.domain, "autoconfig." + d.domain})
	if !d.cfg.OldProfile.IsZero() {
		names = union(names, d.cfg.OldProfile.namedHosts(d.domain)) // their addresses, for the sweep
	}
	names = names[:min(len(names), maxHosts)]
	mx, expected := d.mxHosts(), d.expectedHosts()
	var g errgroup.Group
	g.SetLimit(parallelQuestions)
	for _, name := range names {
		g.Go(func() error {
			h := d.lookHost(ctx, name, slices.Contains(mx, name))
			if !slices.Contains(mx, name) && slices.Contains(expected, name) {
				h.tlsa = d.tlsaOf(ctx, name)
			}
			d.mu.Lock()
			d.hosts[name] = h
			d.mu.Unlock()
			return nil
		})
	}
	_ = g.Wait() // none returns an error
}

// mxHosts are the exchanges that are, and at readiness those that will be.
func (d *dossier) mxHosts() []string {
	var out []string
	for _, x := range d.view(d.domain, dns.TypeMX).variants() {
		for _, e := range x.exchanges() {
			if e.host != "." {
				out = union(out, []string{e.host})
			}
		}
	}
	if d.cfg.Phase == mailproof.Readiness {
		out = union(out, d.expectedHosts())
	}
	sort.Strings(out)
	return out
}

func (d *dossier) lookHost(ctx context.Context, name string, exchange bool) *host {
	ask := func(name string, t uint16) Lookup {
		return d.net.lookup(ctx, question{domain: d.domain, name: name, qtype: t, role: roleAuthoritative}, 0)
	}
	h := &host{name: name, names: map[netip.Addr][]string{}, back: map[netip.Addr]bool{}}
	h.four, h.six = ask(name, dns.TypeA), ask(name, dns.TypeAAAA)
	if !exchange {
		return h
	}
	h.tlsa = d.tlsaOf(ctx, name)
	addrs := h.addresses()
	for _, a := range addrs[:min(len(addrs), maxReverse)] {
		d.reverse(ctx, h, a)
	}
	return h
}

// tlsaOf asks for the TLSA records of an exchange (RFC 7672 §2.2).
func (d *dossier) tlsaOf(ctx context.Context, host string) Lookup {
	return d.net.lookup(ctx, question{domain: d.domain, name: "_25._tcp." + host, qtype: dns.TypeTLSA, role: roleAuthoritative}, 0)
}

// reverse looks up the names of an address and whether one leads back to it.
func (d *dossier) reverse(ctx context.Context, h *host, a netip.Addr) {
	resolver := spfDNS{net: d.net, domain: d.domain}
	names, err := resolver.PTR(ctx, a)
	if err != nil {
		h.lost = true
		return
	}
	h.names[a] = names
	for _, name := range names[:min(len(names), maxReverse)] {
		addrs, err := resolver.Addresses(ctx, name, a.Is6())
		h.lost = h.lost || err != nil
		for _, back := range addrs {
			h.back[a] = h.back[a] || back == a
		}
	}
}

// gatherPolicies analyses each SPF policy that some server has.
func (d *dossier) gatherPolicies(ctx context.Context) {
	variants := d.view(d.domain, dns.TypeTXT).variants()
	for _, x := range variants[:min(len(variants), maxVariants)] {
		resolver := spfDNS{net: d.net, domain: d.domain, root: d.domain, texts: x.texts()}
		d.policies = append(d.policies, policy{rrsetKey(x.records, x.alias), spf.Analyse(ctx, resolver, display(d.domain))})
	}
}

// policyOf returns the analysis of the policy in a variant of the TXT records.
func (d *dossier) policyOf(x variant) (*spf.Tree, bool) {
	key := rrsetKey(x.records, x.alias)
	for _, p := range d.policies {
		if p.key == key {
			return p.tree, true
		}
	}
	return nil, false
}

// spfDNS lets the SPF room ask through the network of the audit. The records
// of the root name are those of one authoritative server.
type spfDNS struct {
	net    *network
	domain string
	root   string
	texts  []string
}

func (s spfDNS) ask(ctx context.Context, name string, qtype uint16) ([]dns.RR, error) {
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, nil // no such name can exist
	}
	got := s.net.lookup(ctx, question{domain: s.domain, name: dns.CanonicalName(name), qtype: qtype, role: roleAuthoritative}, 0)
	return got.Records, got.Err
}

// TXT implements [spf.Resolver].
func (s spfDNS) TXT(ctx context.Context, name string) ([]string, error) {
	if s.root != "" && dns.CanonicalName(name) == s.root {
		return s.texts, nil
	}
	records, err := s.ask(ctx, name, dns.TypeTXT)
	return variant{records: records}.texts(), err
}

// Addresses implements [spf.Resolver].
func (s spfDNS) Addresses(ctx context.Context, name string, six bool) ([]netip.Addr, error) {
	qtype := dns.TypeA
	if six {
		qtype = dns.TypeAAAA
	}
	records, err := s.ask(ctx, name, qtype)
	var out []netip.Addr
	for _, rr := range records {
		if a, ok := addressOf(rr); ok {
			out = append(out, a)
		}
	}
	return out, err
}

// MX implements [spf.Resolver].
func (s spfDNS) MX(ctx context.Context, name string) ([]string, error) {
	records, err := s.ask(ctx, name, dns.TypeMX)
	var out []string
	for _, e := range (variant{records: records}).exchanges() {
		out = append(out, display(e.host))
	}
	return out, err
}

// PTR implements [spf.Resolver].
func (s spfDNS) PTR(ctx context.Context, addr netip.Addr) ([]string, error) {
	name, err := dns.ReverseAddr(addr.String())
	if err != nil {
		return nil, err
	}
	records, err := s.ask(ctx, name, dns.TypePTR)
	var out []string
	for _, rr := range records {
		if p, ok := rr.(*dns.PTR); ok {
			out = append(out, display(p.Ptr))
		}
	}
	return out, err
}

func (x variant) services() []*dns.SRV {
	var out []*dns.SRV
	for _, rr := range x.records {
		if s, ok := rr.(*dns.SRV); ok {
			out = append(out, s)
		}
	}
	return out
}

// watched are the records that a cut-over changes, or whose caching matters.
func (d *dossier) watched() []lookupKey {
	return []lookupKey{
		{d.domain, dns.TypeMX}, {d.domain, dns.TypeTXT}, {"autodiscover." + d.domain, dns.TypeA}, {"_autodiscover._tcp." + d.domain, dns.TypeSRV},
	}
}

// sample asks the listed resolvers, several times each, for the records that
// exist. Names that do not exist are not asked for: the question would plant
// a negative answer in the resolver's cache (RFC 2308 §5).
func (d *dossier) sample(ctx context.Context) {
	for _, k := range d.watched() {
		v := d.view(k.name, k.qtype)
		if !v.exists() {
			continue
		}
		q := question{domain: d.domain, name: k.name, qtype: k.qtype, role: roleResolver, recurse: true}
		for range d.cfg.Samples {
			v.Samples = append(v.Samples, d.askServers(ctx, q, d.net.resolvers)...)
		}
	}
	d.gatherValidation(ctx)
}
