package dnsaudit

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"github.com/mailproof/mailproof"
)

// maxBody bounds what is read of an HTTP answer (RFC 8461 §3.3 suggests 64
// KiB for a policy).
const maxBody = 64 << 10

// maxHeader bounds the header of an HTTP answer.
const maxHeader = 32 << 10

// fetched is the answer to one GET. No redirect is followed.
type fetched struct {
	url      string
	asked    bool
	addr     netip.Addr
	status   int
	location string
	kind     string // Content-Type
	body     string
	tooLong  bool
	err      error
	badCert  bool
	lost     bool // addresses of the host could not be looked up
}

// web is what the HTTP probes found.
type web struct {
	root, host, plain fetched   // Autodiscover: https://DOMAIN, https://autodiscover.DOMAIN, http://autodiscover.DOMAIN
	services          []fetched // Autodiscover at the hosts that its SRV records name
	sts               fetched   // the MTA-STS policy
	autoconfig        []fetched // in the order in which clients look
}

var (
	errNoAddress = errors.New("the host has no address")
	errTooLong   = fmt.Errorf("the answer is longer than %d octets", maxBody)
)

const autodiscoverPath = "/autodiscover/autodiscover.xml"

// gatherWeb makes the HTTP probes where they are asked for. They are GET
// only and carry no credentials. A public suffix is never probed:
// autodiscover.TLD belongs to somebody else.
func (d *dossier) gatherWeb(ctx context.Context) {
	name := display(d.domain)
	if !d.cfg.HTTP || d.zoneErr != nil || isPublicSuffix(name) {
		return
	}
	d.web.root = d.fetch(ctx, "https://"+name+autodiscoverPath)
	d.web.host = d.fetch(ctx, "https://autodiscover."+name+autodiscoverPath)
	d.web.plain = d.fetch(ctx, "http://autodiscover."+name+autodiscoverPath)
	d.gatherServices(ctx)
	d.gatherAutoconfig(ctx)
	if d.stsRecord() != "" {
		d.web.sts = d.fetch(ctx, "https://mta-sts."+name+"/.well-known/mta-sts.txt")
	}
}

// gatherServices asks the hosts that the SRV records name, as Outlook does
// after all else failed. A host that was asked already is not asked again.
func (d *dossier) gatherServices(ctx context.Context) {
	targets := d.serviceTargets()
	for _, target := range targets[:min(len(targets), maxTries)] {
		address := serviceURL(target)
		switch {
		case address == d.web.root.url:
			d.web.services = append(d.web.services, d.web.root)
		case address == d.web.host.url:
			d.web.services = append(d.web.services, d.web.host)
		case !isForeignAutodiscover(target):
			d.web.services = append(d.web.services, d.fetch(ctx, address))
		}
	}
}

func serviceURL(target string) string { return "https://" + display(target) + autodiscoverPath }

// serviceTargets are the hosts, in canonical form, that the Autodiscover SRV
// records of any server name. Another port than 443 fails in ad.srv, and is
// not asked.
func (d *dossier) serviceTargets() []string {
	var out []string
	for _, x := range d.autodiscoverSRV().variants() {
		for _, s := range x.services() {
			if target := dns.CanonicalName(s.Target); target != "." && s.Port == 443 {
				out = union(out, []string{target})
			}
		}
	}
	sort.Strings(out)
	return out
}

// isForeignAutodiscover reports whether a host is autodiscover.TLD.
func isForeignAutodiscover(host string) bool {
	parent, found := strings.CutPrefix(display(host), "autodiscover.")
	return found && isPublicSuffix(parent)
}

// isPublicSuffix reports whether a name is one below which anybody may have a
// domain.
func isPublicSuffix(name string) bool {
	suffix, icann := publicsuffix.PublicSuffix(name)
	return icann && suffix == name
}

// fetch makes one GET and keeps it as an observation.
func (d *dossier) fetch(ctx context.Context, address string) fetched {
	began := time.Now()
	f := fetched{url: address, asked: true}
	u, err := url.Parse(address)
	if err != nil {
		f.err = err
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, d.cfg.HTTPTimeout)
	defer cancel()
	f.get(ctx, d, u)
	o := mailproof.Observation{
		Time: d.now, Domain: display(d.domain), Question: address, Type: "GET", Server: u.Hostname(), Role: roleHTTP, Network: "tcp",
		Records: f.evidence(), Millis: time.Since(began).Milliseconds(),
	}
	if f.addr.IsValid() {
		o.Server += " " + f.addr.String()
	}
	if f.err != nil {
		o.Error = f.err.Error()
	}
	d.net.dns.keep(o)
	return f
}

func (f *fetched) get(ctx context.Context, d *dossier, u *url.URL) {
	way, err := d.routeTo(ctx, u.Hostname(), portOf(u))
	if err != nil {
		f.err, f.lost = err, !errors.Is(err, errNoAddress)
		return
	}
	transport := &http.Transport{
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig: &tls.Config{RootCAs: d.cfg.Roots, Time: d.cfg.Now, MinVersion: tls.VersionTLS12},
		DialContext: func(ctx context.Context, network, target string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(target)
			if err != nil {
				return nil, err
			}
			return d.dialRoute(ctx, network, way, port, &f.addr)
		},
	}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		f.err = err
		return
	}
	req.Header.Set("User-Agent", "mailproof")
	resp, err := client.Do(req)
	if err != nil {
		f.err, f.badCert = webError(err)
		if way.missed != nil && !f.badCert {
			f.err, f.lost = fmt.Errorf("%w; further addresses: %w", f.err, way.missed), true
		}
		return
	}
	f.status, f.location, f.kind = resp.StatusCode, resp.Header.Get("Location"), resp.Header.Get("Content-Type")
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		f.err, _ = webError(err)
	}
	if len(body) > maxBody {
		body, f.tooLong = body[:maxBody], true
	}
	f.body = string(bytes.ToValidUTF8(body, []byte("�")))
}

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	}
	return "443"
}

// dialAny tries the addresses in turn, IPv4 first. What a host said counts more
// than that no way leads to another of its addresses: one without IPv6 here
// shows nothing of the host.
func (d *dossier) dialAny(ctx context.Context, network string, addrs []netip.Addr, port string, used *netip.Addr) (net.Conn, error) {
	last := errNoAddress
	for _, a := range addrs[:min(len(addrs), maxTries)] {
		*used = a
		conn, err := d.cfg.Dial(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		if errors.Is(last, errNoAddress) || isUnreachable(last) || !isUnreachable(err) {
			last = err
		}
	}
	return nil, last
}

// noWay are the errors of a system that has no route to an address; those of
// Windows (WSAENETUNREACH, WSAEHOSTUNREACH) package syscall does not name.
var noWay = []error{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.Errno(10051), syscall.Errno(10065)}

func isUnreachable(err error) bool {
	return slices.ContainsFunc(noWay, func(e error) bool { return errors.Is(err, e) })
}

// addressesOf asks for the addresses of a host the same way as for all else.
// The error is errNoAddress only where DNS says that there is none.
func (d *dossier) addressesOf(ctx context.Context, host string) (route, error) {
	h := d.lookHost(ctx, dns.CanonicalName(host), false)
	addrs, missed := h.addresses(), h.missed()
	if len(addrs) == 0 {
		if missed != nil {
			return route{}, missed
		}
		return route{}, errNoAddress
	}
	sort.SliceStable(addrs, func(i, j int) bool { return addrs[i].Is4() && !addrs[j].Is4() })
	return route{addrs: addrs, missed: missed}, nil
}

// webError cuts the URL that net/http puts before its errors, and tells
// certificates from the rest.
func webError(err error) (error, bool) {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var bad *tls.CertificateVerificationError
	var host x509.HostnameError
	switch {
	case errors.As(err, &bad), errors.As(err, &host):
		return err, true
	case errors.Is(err, context.DeadlineExceeded):
		return errTimeout, false
	}
	return plainError(err), false
}

// evidence is what an observation keeps of the answer.
func (f *fetched) evidence() []string {
	out := []string{}
	if f.status != 0 {
		out = append(out, fmt.Sprintf("status %d", f.status))
	}
	if f.location != "" {
		out = append(out, "location "+shorten(f.location))
	}
	for i, line := range strings.Split(strings.TrimSpace(f.body), "\n") {
		if i >= 64 || line == "" {
			break
		}
		out = append(out, "body "+shorten(strings.TrimRight(line, "\r")))
	}
	return out
}

// unanswered reports whether nobody can tell what the host would have said: it
// took too long, its addresses could not be looked up, or no way leads there
// from here. A host without an address, and one that refuses the connection,
// have said that nothing is there.
func (f *fetched) unanswered() bool {
	return f.lost || errors.Is(f.err, errTimeout) || isUnreachable(f.err)
}

// text says what came back, for people.
func (f *fetched) text() string {
	switch {
	case !f.asked:
		return "not probed"
	case f.err != nil:
		return f.url + ": " + f.err.Error()
	case f.location != "":
		return fmt.Sprintf("%s: status %d, to %s", f.url, f.status, shorten(f.location))
	}
	return fmt.Sprintf("%s: status %d", f.url, f.status)
}

// isRedirect reports whether the answer sends the client elsewhere.
func (f *fetched) isRedirect() bool { return f.status >= 300 && f.status < 400 && f.location != "" }

// looksLikeAutodiscover reports whether Outlook would take the answer for
// Autodiscover: it asks for a password, or gives XML.
func (f *fetched) looksLikeAutodiscover() bool {
	return f.status == http.StatusUnauthorized || f.status == http.StatusOK &&
		(strings.Contains(strings.ToLower(f.kind), "xml") || strings.Contains(f.body, "<Autodiscover"))
}
