package dnsaudit

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// authority makes certificates for the tests.
type authority struct {
	t    *testing.T
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, pool: x509.NewCertPool()}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"}, NotBefore: testNow.Add(-time.Hour),
		NotAfter: testNow.Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.key = key
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) issue(until time.Time, names ...string) tls.Certificate {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names, NotBefore: testNow.Add(-2 * time.Hour), NotAfter: until}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// webWorld has an HTTPS and an HTTP server behind every address.
func webWorld(t *testing.T, phase mailproof.Phase, zone string, cert tls.Certificate, pool *x509.CertPool, handler http.HandlerFunc) *world {
	t.Helper()
	w := newWorld(t, phase, zone)
	secure := httptest.NewUnstartedServer(handler)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	plain := httptest.NewServer(handler)
	t.Cleanup(plain.Close)
	w.cfg.HTTP, w.cfg.Roots, w.cfg.HTTPTimeout = true, pool, patience
	w.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		target := secure.Listener.Addr().String()
		if strings.HasSuffix(addr, ":80") {
			target = plain.Listener.Addr().String()
		}
		return (&net.Dialer{}).DialContext(ctx, network, target)
	}
	return w
}

const policyFile = "version: STSv1\r\nmode: enforce\r\nmx: mx1.newhost.test\r\nmx: *.newhost.test\r\nmax_age: 86400\r\n"

// endless writes for as long as somebody reads.
func endless(rw http.ResponseWriter, _ *http.Request) {
	for {
		if _, err := rw.Write(make([]byte, 4096)); err != nil {
			return
		}
	}
}

func endlessXML(rw http.ResponseWriter, r *http.Request) {
	fmt.Fprint(rw, "<?xml?><Autodiscover>")
	endless(rw, r)
}

func TestWeb(t *testing.T) {
	ca := newAuthority(t)
	good := ca.issue(testNow.Add(time.Hour), "example.test", "*.example.test")
	expired := ca.issue(testNow.Add(-time.Minute), "example.test", "*.example.test")
	wrong := ca.issue(testNow.Add(time.Hour), "www.example.test")
	zone := zoneFile(t, "moved.zone") + "@ A 192.0.2.200\nmta-sts A 192.0.2.201\n_mta-sts TXT \"v=STSv1; id=7;\"\n"
	serve := func(policy string, auto http.HandlerFunc) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.Header.Get("Authorization") != "" || r.Header.Get("Cookie") != "" {
				t.Errorf("%s with %v", r.Method, r.Header)
			}
			if strings.HasPrefix(r.Host, "mta-sts.") {
				rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
				fmt.Fprint(rw, policy)
				return
			}
			auto(rw, r)
		}
	}
	nothing := func(rw http.ResponseWriter, r *http.Request) { http.NotFound(rw, r) }
	to := func(location string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Location", location)
			rw.WriteHeader(302)
		}
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	slow := func(rw http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}
	for _, tt := range []struct {
		name    string
		phase   mailproof.Phase
		cert    tls.Certificate
		handler http.HandlerFunc
		setup   func(*world)
		want    map[string]mailproof.Outcome
	}{
		{"good", p3, good, serve(policyFile, nothing), nil, with(wants(pass, "ad.root", "ad.cert", "ad.http", "sts.fetch", "sts.mx"), "sts.id", info)},
		{"planned", p1, good, serve(policyFile, nothing), nil, wants(pass, "sts.age")},
		{"long age", p1, good, serve(strings.Replace(policyFile, "86400", "604800", 1), nothing), nil, wants(warn, "sts.age")},
		{"expired", p3, expired, serve(policyFile, nothing), nil, with(wants(fail, "ad.cert", "sts.fetch"), "sts.mx", unknown, "sts.id", unknown)},
		{"wrong name", p3, wrong, serve(policyFile, nothing), nil, wants(fail, "ad.cert", "sts.fetch")},
		{"wrong name where a redirect is expected", p3, wrong, serve(policyFile, nothing), func(w *world) { w.cfg.Profile.Autodiscover.Redirect = true }, wants(pass, "ad.cert")},
		{"web host answers", p3, good, serve(policyFile, func(rw http.ResponseWriter, r *http.Request) { rw.WriteHeader(401) }), nil, wants(fail, "ad.root")},
		{"web host gives XML", p3, good, serve(policyFile, func(rw http.ResponseWriter, r *http.Request) { fmt.Fprint(rw, "<?xml?><Autodiscover/>") }), nil, wants(fail, "ad.root")},
		{"redirect to http", p3, good, serve(policyFile, to("http://autodiscover.newhost.test/x")), nil, wants(fail, "ad.http")},
		{"redirect to the old host", p3, good, serve(policyFile, to("https://autodiscover.oldhost.test/x")), nil, wants(fail, "ad.http")},
		{"redirect to the destination", p3, good, serve(policyFile, to("https://autodiscover.newhost.test/x")), nil, wants(pass, "ad.http")},
		{"endless body", p3, good, endless, nil, with(wants(pass, "ad.root", "ad.cert", "ad.http"), "sts.fetch", fail, "sts.mx", unknown)},
		{"endless XML", p3, good, endlessXML, nil, with(wants(pass, "ad.cert", "ad.http"), "ad.root", fail, "sts.fetch", fail)},
		{"slow", p1, good, slow, func(w *world) { w.cfg.HTTPTimeout = 200 * time.Millisecond }, wants(unknown, "ad.root", "ad.cert", "ad.http", "sts.fetch", "sts.mx", "sts.age", "sts.id")},
		{"policy redirected", p3, good, to("https://mta-sts.example.test/other"), nil, wants(fail, "sts.fetch")},
		{"policy without the exchanges", p2, good, serve("version: STSv1\nmode: enforce\nmx: mx.oldhost.test\nmax_age: 86400\n", nothing), nil, wants(fail, "sts.mx")},
		{"policy in testing without the exchanges", p2, good, serve("version: STSv1\nmode: testing\nmx: *.oldhost.test\nmax_age: 86400\n", nothing), nil, wants(warn, "sts.mx")},
		{"no policy in the file", p3, good, serve("<html>", nothing), nil, wants(fail, "sts.fetch")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := webWorld(t, tt.phase, zone, tt.cert, ca.pool, tt.handler)
			if tt.setup != nil {
				tt.setup(w)
			}
			r := w.audit()
			withinSeverity(t, r, false)
			for id, want := range tt.want {
				expect(t, r, id, want)
			}
			found, whole := false, 0
			for _, o := range r.Observations {
				found = found || o.Role == roleHTTP
				if o.Role == roleHTTP && strings.HasPrefix(tt.name, "endless") && strings.HasSuffix(o.Question, autodiscoverPath) {
					whole++
					if o.Error != "" || len(o.Records) == 0 || o.Records[0] != "status 200" {
						t.Errorf("%s is not cut off: %q %q", o.Question, o.Error, o.Records)
					}
				}
				for _, line := range o.Records {
					if len(line) > maxText+64 {
						t.Errorf("an observation of %d octets", len(line))
					}
				}
			}
			if !found {
				t.Error("no HTTP exchange among the observations")
			}
			if strings.HasPrefix(tt.name, "endless") && whole != 3 {
				t.Errorf("%d of the three Autodiscover probes read", whole)
			}
		})
	}
}

// closedPort is an address at which nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// The host that an SRV record names is asked as the others are, at an endpoint
// of its own.
func TestWebService(t *testing.T) {
	ca := newAuthority(t)
	own := ca.issue(testNow.Add(time.Hour), "example.test", "*.example.test")
	const target = "autodiscover.newhost.test"
	good := ca.issue(testNow.Add(time.Hour), target)
	expired := ca.issue(testNow.Add(-time.Minute), target)
	wrong := ca.issue(testNow.Add(time.Hour), "www.newhost.test")
	const srv = "_autodiscover._tcp SRV 0 0 443 "
	to := func(location string) http.HandlerFunc {
		return func(rw http.ResponseWriter, r *http.Request) {
			rw.Header().Set("Location", location)
			rw.WriteHeader(http.StatusFound)
		}
	}
	challenge := func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusUnauthorized) }
	slow := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	impatient := func(w *world) { w.cfg.HTTPTimeout = 200 * time.Millisecond }
	for _, tt := range []struct {
		name    string
		phase   mailproof.Phase
		cert    *tls.Certificate // nil is a closed port
		handler http.HandlerFunc
		records string
		setup   func(*world)
		want    map[string]mailproof.Outcome
		asked   bool
	}{
		{"good", p3, &good, challenge, srv + target + ".", nil, wants(pass, "ad.cert", "ad.srv", "ad.http", "ad.root"), true},
		{"good, in other letters", p3, &good, challenge, srv + "AutoDiscover.NewHost.test.", nil, wants(pass, "ad.cert"), true},
		{"expired", p3, &expired, challenge, srv + target + ".", nil, wants(fail, "ad.cert"), true},
		{"expired before the cut-over", p2, &expired, challenge, srv + target + ".", nil, wants(warn, "ad.cert"), true},
		{"wrong name", p3, &wrong, challenge, srv + target + ".", nil, wants(fail, "ad.cert"), true},
		{"wrong name where the host redirects", p3, &wrong, challenge, srv + target + ".", func(w *world) { w.cfg.Profile.Autodiscover.Redirect = true }, wants(fail, "ad.cert"), true},
		{"refused", p3, nil, nil, srv + target + ".", nil, wants(unknown, "ad.cert"), true},
		{"slow", p3, &good, slow, srv + target + ".", impatient, wants(unknown, "ad.cert", "ad.http"), true},
		{"endless", p3, &good, endless, srv + target + ".", nil, wants(pass, "ad.cert", "ad.http"), true},
		{"redirect to http", p3, &good, to("http://autodiscover.newhost.test/x"), srv + target + ".", nil, wants(fail, "ad.http"), true},
		{"redirect to the old host", p3, &good, to("https://autodiscover.oldhost.test/x"), srv + target + ".", nil, wants(fail, "ad.http"), true},
		{"redirect to the destination", p3, &good, to("https://imap.newhost.test/x"), srv + target + ".", nil, wants(pass, "ad.http", "ad.cert"), true},
		{"odd port", p3, &expired, challenge, "_autodiscover._tcp SRV 0 0 8443 " + target + ".", nil, with(wants(pass, "ad.cert"), "ad.srv", fail), false},
		{"absent on purpose", p3, &expired, challenge, "_autodiscover._tcp SRV 0 0 443 .", nil, wants(pass, "ad.cert"), false},
		{"the domain itself", p3, &good, challenge, srv + "example.test.", nil, wants(pass, "ad.cert"), false},
		{"below a public suffix", p3, &good, challenge, srv + "autodiscover.com.", nil, wants(unknown, "ad.cert"), false},
		{"too many", p3, &good, challenge, srv + "a.newhost.test.\n" + srv + target + ".\n" + srv + "c.newhost.test.\n" + srv + "d.newhost.test.\n" + srv + "e.newhost.test.", nil, wants(unknown, "ad.cert"), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			zone := zoneFile(t, "moved.zone") + "@ A 192.0.2.200\n" + tt.records + "\n"
			w := webWorld(t, tt.phase, zone, own, ca.pool, http.NotFound)
			at := ""
			if tt.cert == nil {
				at = closedPort(t)
			} else {
				s := httptest.NewUnstartedServer(tt.handler)
				s.TLS = &tls.Config{Certificates: []tls.Certificate{*tt.cert}}
				s.StartTLS()
				t.Cleanup(s.Close)
				at = s.Listener.Addr().String()
			}
			w.cfg.Endpoints = map[string]string{target + ":443": at}
			dial := w.cfg.Dial
			w.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if addr == at {
					return (&net.Dialer{}).DialContext(ctx, network, addr)
				}
				return dial(ctx, network, addr)
			}
			if tt.setup != nil {
				tt.setup(w)
			}
			r := w.audit()
			withinSeverity(t, r, false)
			for id, want := range tt.want {
				if f := expect(t, r, id, want); want != pass && f.Remedy == "" {
					t.Errorf("%s: no remedy", id)
				}
			}
			asked := map[string]int{}
			for _, o := range r.Observations {
				if o.Role == roleHTTP && strings.HasSuffix(o.Question, autodiscoverPath) {
					asked[o.Question]++
				}
				if o.Role == roleHTTP && tt.name == "endless" && strings.Contains(o.Question, target) && o.Error != "" {
					t.Errorf("%s: %s", o.Question, o.Error)
				}
			}
			if got := asked["https://"+target+autodiscoverPath] > 0; got != tt.asked {
				t.Errorf("asked %v", asked)
			}
			if asked["https://autodiscover.com"+autodiscoverPath] > 0 || len(asked) > 3+maxTries {
				t.Errorf("asked %v", asked)
			}
			told := slices.ContainsFunc(r.Findings, func(f mailproof.Finding) bool {
				return f.Outcome == unknown && strings.HasSuffix(f.Observed, "was not asked")
			})
			if want := tt.name == "too many" || tt.name == "below a public suffix"; told != want {
				t.Errorf("a host that was not asked is told: %v", told)
			}
			for address, n := range asked {
				if n > 1 {
					t.Errorf("%s was asked %d times", address, n)
				}
			}
		})
	}
}

// Whoever gives no answer over HTTPS has shown no certificate: that is unknown,
// and a pass only where no certificate is needed.
func TestWebUnanswered(t *testing.T) {
	ca := newAuthority(t)
	good := ca.issue(testNow.Add(time.Hour), "*.example.test")
	refused := func() string { return closedPort(t) }
	talking := func(text string) func() string {
		return func() string { return listening(t, func(c net.Conn) { fmt.Fprint(c, text) }) }
	}
	redirect := func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, "https://autodiscover.newhost.test/autodiscover/autodiscover.xml", http.StatusFound)
	}
	for _, tt := range []struct {
		name     string
		secure   func() string // what stands at port 443; nil is a server with a good certificate
		handler  http.HandlerFunc
		zone     []string
		setup    func(*world)
		want     mailproof.Outcome
		observed string
	}{
		{"refused", refused, http.NotFound, nil, nil, unknown, "connection refused"},
		{"closes", talking(""), http.NotFound, nil, nil, unknown, "autodiscover.example.test"},
		{"speaks no TLS", talking("HTTP/1.1 400 Bad Request\r\n\r\n"), http.NotFound, nil, nil, unknown, "HTTP"},
		{"refused, and a redirect is expected and there", refused, redirect, nil, func(w *world) { w.cfg.Profile.Autodiscover.Redirect = true }, pass, "status 302"},
		{"refused, and a redirect is expected", refused, http.NotFound, nil, func(w *world) { w.cfg.Profile.Autodiscover.Redirect = true }, unknown, "connection refused"},
		{"refused, and a redirect is there", refused, redirect, nil, nil, unknown, "connection refused"},
		{"no such host", nil, http.NotFound, []string{adLine, "; none"}, nil, pass, "does not exist"},
		{"alias of nobody", nil, http.NotFound, []string{adLine, "autodiscover CNAME gone.newhost.test."}, nil, unknown, "no address"},
		{"address unknown", nil, http.NotFound, nil, func(w *world) { w.providers.BehaveFor("autodiscover.newhost.test", dnsmem.ServFail) }, unknown, "autodiscover.example.test"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := webWorld(t, p3, edit(t, zoneFile(t, "moved.zone"), tt.zone...), good, ca.pool, tt.handler)
			if tt.secure != nil {
				dial, at := w.cfg.Dial, tt.secure()
				w.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					if strings.HasSuffix(addr, ":443") {
						return (&net.Dialer{}).DialContext(ctx, network, at)
					}
					return dial(ctx, network, addr)
				}
			}
			if tt.setup != nil {
				tt.setup(w)
			}
			f := expect(t, w.audit(), "ad.cert", tt.want)
			if !strings.Contains(f.Observed, tt.observed) {
				t.Errorf("observed %q", f.Observed)
			}
			if (f.Outcome == unknown) != strings.Contains(f.Remedy, "port 443") {
				t.Errorf("remedy %q", f.Remedy)
			}
		})
	}
}

// The id must change with the policy.
func TestPolicyID(t *testing.T) {
	ca := newAuthority(t)
	policy := policyFile
	zone := zoneFile(t, "moved.zone") + "mta-sts A 192.0.2.201\n_mta-sts TXT \"v=STSv1; id=7;\"\n"
	w := webWorld(t, p3, zone, ca.issue(testNow.Add(time.Hour), "*.example.test"), ca.pool, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(rw, policy)
	})
	w.cfg.History = w.audit().Observations
	expect(t, w.audit(), "sts.id", pass)
	policy = strings.Replace(policyFile, "max_age: 86400", "max_age: 3600", 1)
	f := expect(t, w.audit(), "sts.id", fail)
	if !strings.Contains(f.Remedy, `add _mta-sts.example.test. 300 IN TXT "v=STSv1; id=20261121120000;"`) {
		t.Errorf("remedy %q", f.Remedy)
	}
	w.set(edit(t, zone, "id=7", "id=8"))
	expect(t, w.audit(), "sts.id", pass)
}

// listening is the address of a server that does the same with each connection,
// which is closed behind it.
func listening(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				talk(conn)
			}()
		}
	}()
	return l.Addr().String()
}

// smtpServer speaks just enough SMTP for STARTTLS.
func smtpServer(t *testing.T, cert tls.Certificate) string {
	t.Helper()
	return listening(t, func(conn net.Conn) {
		in := bufio.NewReader(conn)
		fmt.Fprint(conn, "220 mx ESMTP\r\n")
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			switch {
			case strings.HasPrefix(line, "EHLO"):
				fmt.Fprint(conn, "250-mx\r\n250 STARTTLS\r\n")
			case strings.HasPrefix(line, "STARTTLS"):
				fmt.Fprint(conn, "220 go\r\n")
				_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
				return
			default:
				t.Errorf("unexpected command %q", line)
				return
			}
		}
	})
}

func TestDANE(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(testNow.Add(time.Hour), "own.example.test")
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	right := hex.EncodeToString(sum[:])
	addr := smtpServer(t, cert)
	for _, tt := range []struct {
		name, tlsa string
		probe      bool
		want       mailproof.Outcome
	}{
		{"fits", "3 1 1 " + right, true, pass},
		{"one of two fits", "3 1 1 " + strings.Repeat("00", 32) + "\n_25._tcp.own TLSA 3 1 1 " + right, true, pass},
		{"fits not", "3 1 1 " + strings.Repeat("00", 32), true, fail},
		{"usage does not count", "1 1 1 " + right, true, fail},
		{"not probed", "3 1 1 " + right, false, unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone := edit(t, zoneFile(t, "moved.zone"), mxLines, "@ MX 10 own\nown A 192.0.2.200\n_25._tcp.own TLSA "+tt.tlsa+"\n")
			w := newWorld(t, p3, zone)
			w.rs.Validate(true)
			w.cfg.SMTP, w.cfg.HTTPTimeout = tt.probe, patience
			w.cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, addr)
			}
			f := expect(t, w.audit(), "dane.match", tt.want)
			if tt.want == fail && !strings.Contains(f.Remedy, "add _25._tcp.own.example.test. 300 IN TLSA 3 1 1 "+right) {
				t.Errorf("remedy %q", f.Remedy)
			}
		})
	}
}

// No host, no STARTTLS and an endless greeting are unknown, not a failure.
func TestSMTPUnknown(t *testing.T) {
	zone := edit(t, zoneFile(t, "moved.zone"), mxLines, "@ MX 10 own\nown A 192.0.2.200\n_25._tcp.own TLSA 3 1 1 "+strings.Repeat("00", 32)+"\n")
	for name, talk := range map[string]func(net.Conn){
		"closes":    func(net.Conn) {},
		"refuses":   func(c net.Conn) { fmt.Fprint(c, "554 no\r\n") },
		"babbles":   func(c net.Conn) { fmt.Fprint(c, strings.Repeat("220-x", 100_000)) },
		"is silent": func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := listening(t, talk)
			w := newWorld(t, p3, zone)
			w.rs.Validate(true)
			w.cfg.SMTP, w.cfg.HTTPTimeout = true, 300*time.Millisecond
			w.cfg.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, network, address)
			}
			expect(t, w.audit(), "dane.match", unknown)
		})
	}
}

func TestMatchTLSAKinds(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(testNow.Add(time.Hour), "x.test")
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	chain := []*x509.Certificate{leaf, ca.cert}
	for selector := range 2 {
		for matching := range 3 {
			for usage, c := range map[int]*x509.Certificate{2: ca.cert, 3: leaf} {
				var rr dns.TLSA
				if err := rr.Sign(usage, selector, matching, c); err != nil {
					t.Fatal(err)
				}
				if err := matchTLSA([]dns.RR{&rr}, chain); err != nil {
					t.Errorf("%d %d %d: %v", usage, selector, matching, err)
				}
				rr.Usage = 3
				if err := matchTLSA([]dns.RR{&rr}, chain); (err == nil) != (c == leaf) {
					t.Errorf("usage 3 with %v: %v", c.Subject, err)
				}
			}
		}
	}
}
