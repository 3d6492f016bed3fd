package dnsaudit

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// Config says what to audit, against what, and whom to ask. Domains, Phase and
// Profile are required; the rest has defaults.
type Config struct {
	Domains    []string // as people write them, internationalised names included
	Phase      mailproof.Phase
	Profile    Profile // where the mail moves to
	OldProfile Profile // where it comes from; zero: leftovers cannot be told

	// Servers gives name servers by hand, since glue carries no port: host
	// name → "IP:PORT", several separated by commas. "." is the root. The name
	// may also be a domain to audit, whose servers those then are.
	Servers   map[string]string
	Resolvers []string // "IP" or "IP:PORT" of resolvers to sample

	Timeout     time.Duration // of each try; default 2 s
	Sockets     int           // open at once; default 64
	Parallel    int           // domains at once; default 16
	Samples     int           // of each resolver and record; default 3
	Coexistence bool          // old and new provider share the domain on purpose
	CutOver     time.Time     // planned, for the latest moment to lower TTLs; zero: not known
	Now         func() time.Time
	History     []mailproof.Observation // of earlier audits, for the safe-time clock

	// Public are special-purpose addresses that this audit takes for public
	// ones: those of a laboratory, a demo, or a network of its own.
	Public []netip.Prefix

	HTTP bool // probe Autodiscover and fetch the MTA-STS policy over HTTP
	SMTP bool // ask the exchanges for their certificates with STARTTLS
	// HTTPTimeout bounds each HTTP and SMTP probe; default 10 s.
	HTTPTimeout time.Duration
	Roots       *x509.CertPool
	// Endpoints are where the HTTP and SMTP probes reach a host in place of its
	// address in DNS: HOST:PORT, as [ParseEndpoint] reads it → IP:PORT.
	Endpoints map[string]string
	// Dial opens the connections of the HTTP and SMTP probes; addr is IP:PORT.
	// Default: a net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	Progress func(done, total int) // called after each domain, by one goroutine at a time

	known []Profile // the built-in table
}

// Report is what an audit found, and the evidence.
type Report struct {
	Findings     []mailproof.Finding
	Observations []mailproof.Observation
	Detected     map[string][]string // domain → ids of the providers that its records point to
	Safe         []SafeTime
	Lost         int // observations beyond the limit, which were not kept
}

// ParseServer reads "NAME=IP[:PORT]", as given on a command line. The name is
// canonical; "resolver" stands for a resolver.
func ParseServer(s string) (name, addr string, err error) {
	name, addr, ok := strings.Cut(s, "=")
	name, addr = strings.TrimSpace(name), strings.TrimSpace(addr)
	if !ok || name == "" {
		return "", "", fmt.Errorf("name server %q: write NAME=IP:PORT or resolver=IP:PORT", s)
	}
	if _, err := parseAddr(addr); err != nil {
		return "", "", fmt.Errorf("name server %q: %w", s, err)
	}
	if strings.EqualFold(name, "resolver") {
		return "resolver", addr, nil
	}
	if _, valid := dns.IsDomainName(name); !valid {
		return "", "", fmt.Errorf("name server %q: %q is no host name", s, name)
	}
	return dns.CanonicalName(name), addr, nil
}

// parseAddr reads IP or IP:PORT; the port defaults to 53.
func parseAddr(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return netip.AddrPortFrom(a, 53), nil
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("%q is not IP or IP:PORT", s)
	}
	a, err := netip.ParseAddr(host)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is not IP or IP:PORT", s)
	}
	return netip.AddrPortFrom(a, uint16(n)), nil
}

// Audit asks, judges and returns. The error is about the configuration or the
// end of the context; what DNS does wrong is in the findings.
func Audit(ctx context.Context, c Config) (Report, error) {
	domains, err := c.complete()
	if err != nil {
		return Report{}, err
	}
	n, err := c.network()
	if err != nil {
		return Report{}, err
	}
	results := make([]result, len(domains))
	c.each(ctx, len(domains), func(i int) {
		d := &dossier{domain: domains[i], cfg: &c, net: n, now: c.Now()}
		results[i] = d.audit(ctx)
	})
	report := Report{Observations: n.dns.Observations(), Detected: map[string][]string{}, Lost: n.dns.lost}
	for i, r := range results {
		report.Findings = append(report.Findings, r.findings...)
		report.Safe = append(report.Safe, r.safe...)
		report.Detected[display(domains[i])] = r.detected
	}
	if err := ctx.Err(); err != nil {
		return report, fmt.Errorf("dns audit: %w", err)
	}
	return report, nil
}

type result struct {
	findings []mailproof.Finding
	detected []string
	safe     []SafeTime
}

// each runs work for every index, a few at a time.
func (c *Config) each(ctx context.Context, total int, work func(int)) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	next, done := 0, 0
	for range min(c.Parallel, total) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= total || ctx.Err() != nil {
					return
				}
				work(i)
				mu.Lock()
				done++
				if c.Progress != nil {
					c.Progress(done, total)
				}
				mu.Unlock()
			}
		}()
	}
	wg.Wait()
}

// complete sets the defaults and returns the domains as DNS names.
func (c *Config) complete() ([]string, error) {
	if len(c.Domains) == 0 {
		return nil, errors.New("dns audit: no domain")
	}
	if c.Phase == mailproof.PhaseNone {
		return nil, errors.New("dns audit: no phase")
	}
	if c.Profile.IsZero() {
		return nil, errors.New("dns audit: no profile of the destination")
	}
	setDefault(&c.Timeout, 2*time.Second)
	setDefault(&c.HTTPTimeout, 10*time.Second)
	setDefault(&c.Sockets, 64)
	setDefault(&c.Parallel, 16)
	setDefault(&c.Samples, 3)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Dial == nil {
		c.Dial = (&net.Dialer{}).DialContext
	}
	var err error
	if c.known, err = Profiles(); err != nil {
		return nil, fmt.Errorf("dns audit: %w", err)
	}
	var out []string
	for _, d := range c.Domains {
		name, err := asciiName(d)
		if err != nil {
			return nil, fmt.Errorf("dns audit: %w", err)
		}
		out = union(out, []string{name})
	}
	return out, nil
}

// isPublic reports whether the configuration calls an address public.
func (c *Config) isPublic(a netip.Addr) bool {
	for _, p := range c.Public {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func setDefault[T time.Duration | int](v *T, value T) {
	if *v <= 0 {
		*v = value
	}
}

func (c *Config) network() (*network, error) {
	n := &network{
		dns: NewResolver(c.Timeout, c.Sockets, c.Now), overrides: map[string][]netip.AddrPort{},
		zones: map[string]*zone{}, six: hasIPv6(),
	}
	for name, list := range c.Servers {
		key := dns.CanonicalName(name)
		for addr := range strings.SplitSeq(list, ",") {
			a, err := parseAddr(strings.TrimSpace(addr))
			if err != nil {
				return nil, fmt.Errorf("dns audit: name server %s: %w", name, err)
			}
			n.overrides[key] = append(n.overrides[key], a)
		}
	}
	for _, r := range c.Resolvers {
		a, err := parseAddr(strings.TrimSpace(r))
		if err != nil {
			return nil, fmt.Errorf("dns audit: resolver: %w", err)
		}
		n.resolvers = append(n.resolvers, Server{Addr: a})
	}
	return n, nil
}

// audit gathers and judges one domain.
func (d *dossier) audit(ctx context.Context) result {
	d.gather(ctx)
	var out result
	for _, c := range registry {
		if !c.at(d.cfg.Phase) {
			continue
		}
		for _, f := range c.run(d) {
			f.Check, f.Domain, f.Phase, f.Time = c.ID, display(d.domain), d.cfg.Phase, d.now
			if f.Reference == "" {
				f.Reference = c.Reference
			}
			if f.Outcome == mailproof.OutcomePass {
				f.Remedy = ""
			}
			out.findings = append(out.findings, f)
		}
	}
	out.detected = d.detect()
	out.safe = d.safe
	return out
}

// detect returns the ids of the providers that the records point to.
func (d *dossier) detect() []string {
	found := map[string]bool{}
	all := append(d.cfg.known[:len(d.cfg.known):len(d.cfg.known)], d.cfg.Profile)
	if !d.cfg.OldProfile.IsZero() {
		all = append(all, d.cfg.OldProfile)
	}
	hosts := d.pointers()
	for _, p := range all {
		for _, h := range hosts {
			if p.owns(h, d.domain) {
				found[p.ID] = true
			}
		}
	}
	var out []string
	for id := range found {
		out = append(out, id)
	}
	sort.Strings(out)
	return out
}

// pointers returns the hosts that the MX and Autodiscover records and the
// SPF policy name.
func (d *dossier) pointers() []string {
	var hosts []string
	for _, x := range d.view(d.domain, dns.TypeMX).variants() {
		for _, e := range x.exchanges() {
			hosts = append(hosts, e.host)
		}
	}
	for _, x := range d.view("autodiscover."+d.domain, dns.TypeA).variants() {
		if x.alias != "" {
			hosts = append(hosts, x.alias)
		}
	}
	for _, p := range d.policies {
		for _, t := range p.tree.Root.Terms {
			if t.Domain != "" {
				hosts = append(hosts, t.Domain)
			}
		}
	}
	return hosts
}
