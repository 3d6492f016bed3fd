package dnsaudit

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// everything is what a zone may hold beside the records of moved.zone: each
// line gives some check something to look up.
const everything = `@ A 192.0.2.200
mta-sts CNAME policy.newhost.test.
_mta-sts CNAME _mta-sts.newhost.test.
autoconfig CNAME imap.newhost.test.
_autodiscover._tcp SRV 0 0 443 autodiscover.newhost.test.
_imaps._tcp SRV 0 1 993 imap.newhost.test.
`

// troubled is the same with something for nearly every check to complain of.
const troubled = `@ A 192.0.2.200
@ MX 30 alias
alias CNAME mx1.newhost.test.
@ MX 31 inside
inside A 10.0.0.1
@ MX 32 nowhere.newhost.test.
@ MX 33 mx.oldhost.test.
mta-sts CNAME autodiscover.oldhost.test.
_mta-sts CNAME _mta-sts.newhost.test.
autoconfig A 192.0.2.140
mail A 192.0.2.130
_autodiscover._tcp SRV 0 0 443 nowhere.oldhost.test.
_imaps._tcp SRV 0 1 993 mx.oldhost.test.
other TXT "v=spf1 include:spf.oldhost.test ptr mx:many.newhost.test redirect=spf.newhost.test ?all"
`

// providerLines are what the zone of the new provider holds for these tests.
func providerLines() string {
	return `policy A 192.0.2.22
_mta-sts TXT "v=STSv1; id=7;"
_25._tcp.mx2 TLSA 3 1 1 ` + strings.Repeat("ab", 32) + "\n" + strings.ReplaceAll(manyMX(), "oldhost", "newhost")
}

// brokenWorld has a web server behind every address, and a profile with a host
// behind the alias of Autodiscover.
func brokenWorld(t *testing.T, ca *authority, zone string) *world {
	t.Helper()
	cert := ca.issue(testNow.Add(time.Hour), "example.test", "*.example.test", "*.newhost.test")
	w := webWorld(t, p3, zone, cert, ca.pool, func(rw http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.Host, "mta-sts."):
			rw.Header().Set("Content-Type", "text/plain")
			fmt.Fprint(rw, policyFile)
		case strings.HasPrefix(r.Host, "autodiscover.") && strings.Contains(zone, "nowhere"):
			http.Redirect(rw, r, "http://autodiscover.oldhost.test/", http.StatusFound)
		case strings.Contains(zone, "nowhere"):
			rw.Header().Set("Content-Type", "text/xml")
			fmt.Fprint(rw, configurationFor("imap.oldhost.test"))
		default:
			http.NotFound(rw, r)
		}
	})
	w.rs.Validate(true)
	if err := w.providers.SetZone(zoneFile(t, "newhost.zone") + providerLines()); err != nil {
		t.Fatal(err)
	}
	return w
}

// mayFail are the checks that the failure of an authoritative server is itself
// a failure of: the spec has no other way to see it.
var mayFail = []string{"ns.lame", "dane.cutover"}

// A look-up that fails never makes a finding better, and never a failure of
// the customer's domain. Each name that an audit asks for is made to fail in
// turn, and the findings are held against those of the audit in which nothing
// fails.
func TestFailedLookups(t *testing.T) {
	ca := newAuthority(t)
	troubledZone := edit(t, zoneFile(t, "moved.zone"), spfLine, `@ TXT "v=spf1 include:other.example.test mx:many.newhost.test ?all"`,
		dmarcOld, `_dmarc TXT "v=DMARC1; p=none; pct=5; rua=mailto:a@newhost.test"`) + troubled
	for name, zone := range map[string]string{"clean": zoneFile(t, "moved.zone") + everything, "troubled": troubledZone} {
		behaviours := []dnsmem.Behaviour{dnsmem.ServFail}
		if os.Getenv("MAILPROOF_LONG") != "" {
			behaviours = append(behaviours, dnsmem.Refuse, dnsmem.NotAA)
		}
		w := brokenWorld(t, ca, zone)
		whole := worstOfEach(w.audit())
		var asked []string
		for _, s := range []*dnsmem.Server{w.ns1, w.providers} {
			for _, q := range s.Queries() {
				asked = union(asked, []string{q.Name})
			}
		}
		if len(asked) < 30 {
			t.Fatalf("%s: only %d names are asked for", name, len(asked))
		}
		for _, behaviour := range behaviours {
			t.Run(fmt.Sprint(name, behaviour), func(t *testing.T) {
				t.Parallel()
				w := brokenWorld(t, ca, zone)
				for _, q := range asked {
					for _, s := range []*dnsmem.Server{w.ns1, w.ns2, w.providers} {
						s.BehaveFor(q, behaviour)
					}
					compareFindings(t, q, whole, worstOfEach(w.audit()))
					for _, s := range []*dnsmem.Server{w.ns1, w.ns2, w.providers} {
						s.BehaveFor(q, dnsmem.Answer)
					}
				}
			})
		}
	}
}

func worstOfEach(r Report) map[string]mailproof.Finding {
	out := map[string]mailproof.Finding{}
	for _, f := range r.Findings {
		if have, seen := out[f.Check]; !seen || worse(f.Outcome, have.Outcome) {
			out[f.Check] = f
		}
	}
	return out
}

func compareFindings(t *testing.T, name string, whole, got map[string]mailproof.Finding) {
	t.Helper()
	for id, before := range whole {
		after := got[id]
		switch {
		case slices.Contains(mayFail, id) && after.Outcome == fail:
		case after.Outcome == unknown, after.Outcome == before.Outcome, before.Outcome == pass && (after.Check == "" || after.Outcome == info):
		case before.Outcome == fail && after.Outcome == warn, before.Outcome == warn && after.Outcome == fail && before.Remedy == after.Remedy:
		case worse(before.Outcome, after.Outcome):
			t.Errorf("%s fails: %s is %s, and was %s\n before: %s\n after: %s", name, id, after.Outcome, before.Outcome, before.Observed, after.Observed)
		default:
			t.Errorf("%s fails: %s is %s, a false alarm, and was %s\n before: %s\n after: %s", name, id, after.Outcome, before.Outcome, before.Observed, after.Observed)
		}
	}
}

// The three probes whose host is looked up: only DNS may say that nothing is
// there.
func TestProbedHostUnknown(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(testNow.Add(time.Hour), "example.test", "*.example.test")
	for _, host := range []struct {
		check, name string
		lines       []string // pairs of an edit of moved.zone: the host leads to what fails
		none, empty []string // there is no such name; there is, but it has no address
	}{
		{"ad.root", "example.test", nil, nil, nil},
		{"ad.http", "web.newhost.test", []string{adLine, "autodiscover CNAME web.newhost.test."}, []string{adLine, "; none"}, []string{adLine, `autodiscover TXT "x"`}},
		{"cl.autoconfig", "web.newhost.test", []string{adLine, adLine + "\nautoconfig CNAME web.newhost.test."}, []string{adLine, adLine + "\nautoconfig CNAME gone.newhost.test."}, []string{adLine, adLine + "\n" + `autoconfig TXT "x"`}},
	} {
		for _, tt := range []struct {
			name      string
			behaviour dnsmem.Behaviour
			lines     []string
			want      mailproof.Outcome
		}{
			{"SERVFAIL", dnsmem.ServFail, host.lines, unknown},
			{"REFUSED", dnsmem.Refuse, host.lines, unknown},
			{"no authority", dnsmem.NotAA, host.lines, unknown},
			{"timeout", dnsmem.Silent, host.lines, unknown},
			{"NXDOMAIN", dnsmem.Answer, host.none, pass},
			{"NODATA", dnsmem.Answer, host.empty, pass},
		} {
			t.Run(host.check+" "+tt.name, func(t *testing.T) {
				t.Parallel()
				w := webWorld(t, p3, edit(t, zoneFile(t, "moved.zone"), tt.lines...), cert, ca.pool, http.NotFound)
				for _, s := range []*dnsmem.Server{w.ns1, w.ns2, w.providers} {
					s.BehaveForType(host.name, dns.TypeA, tt.behaviour)
					s.BehaveForType(host.name, dns.TypeAAAA, tt.behaviour)
				}
				if tt.behaviour == dnsmem.Silent {
					w.cfg.Timeout = 200 * time.Millisecond // somebody else who is late makes nothing better
				}
				r := w.audit()
				withinSeverity(t, r, false)
				if f := expect(t, r, host.check, tt.want); f.Outcome == unknown && f.Remedy == "" {
					t.Error("no remedy")
				}
			})
		}
	}
}

// Half of a host's addresses are not known, or cannot be reached from here: a
// refusal at the other half does not show that nothing is there.
func TestProbedHostHalfKnown(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(testNow.Add(time.Hour), "example.test", "*.example.test")
	refused := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	noRoute := &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
	for _, tt := range []struct {
		name      string
		behaviour dnsmem.Behaviour // of the question for IPv6 addresses
		dial      map[bool]error   // by: is IPv4
		want      mailproof.Outcome
	}{
		{"refused", dnsmem.Answer, map[bool]error{true: refused, false: refused}, pass},
		{"refused, the rest unknown", dnsmem.ServFail, map[bool]error{true: refused}, unknown},
		{"refused, no IPv6 here", dnsmem.Answer, map[bool]error{true: refused, false: noRoute}, pass},
		{"no IPv4 here, refused", dnsmem.Answer, map[bool]error{true: noRoute, false: refused}, pass},
		{"no way there", dnsmem.Answer, map[bool]error{true: noRoute, false: noRoute}, unknown},
		{"answered, the rest unknown", dnsmem.ServFail, map[bool]error{}, pass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			zone := zoneFile(t, "moved.zone") + "@ A 192.0.2.200\n@ AAAA 2001:4860::200\n"
			w := webWorld(t, p3, zone, cert, ca.pool, http.NotFound)
			dial := w.cfg.Dial
			w.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				if err := tt.dial[netip.MustParseAddrPort(addr).Addr().Is4()]; err != nil {
					return nil, err
				}
				return dial(ctx, network, addr)
			}
			for _, s := range []*dnsmem.Server{w.ns1, w.ns2} {
				s.BehaveForType("example.test", dns.TypeAAAA, tt.behaviour)
			}
			expect(t, w.audit(), "ad.root", tt.want)
		})
	}
}

// thirdServer edits a zone so that its name servers include one of the new
// provider.
var thirdServer = []string{"@ NS ns2\n", "@ NS ns2\n@ NS ns3.newhost.test.\n"}

// fails makes all servers answer a question with an error.
func fails(b dnsmem.Behaviour, name string, types ...uint16) func(*world) {
	return func(w *world) {
		for _, s := range []*dnsmem.Server{w.root, w.ns1, w.ns2, w.providers} {
			if len(types) == 0 {
				s.BehaveFor(name, b)
			}
			for _, qtype := range types {
				s.BehaveForType(name, qtype, b)
			}
		}
	}
}

// secondFails does so for one server of the zone.
func secondFails(b dnsmem.Behaviour, name string) func(*world) {
	return func(w *world) { w.ns2.BehaveFor(name, b) }
}

// What one failed question may and may not do to the findings.
func TestHalfAnswered(t *testing.T) {
	const sts = `_mta-sts TXT "v=STSv1; id=7;"` + "\n"
	tlsa := func(w *world, lines string) {
		if err := w.providers.SetZone(zoneFile(w.t, "newhost.zone") + lines); err != nil {
			w.t.Fatal(err)
		}
	}
	oldTLSA := func(w *world) {
		if err := w.providers.SetZone(zoneFile(w.t, "oldhost.zone") + "_25._tcp.mx TLSA 3 1 1 " + strings.Repeat("ab", 32) + "\n"); err != nil {
			w.t.Fatal(err)
		}
	}
	for _, s := range []scenario{
		{name: "name server not looked up", phase: p3, edits: thirdServer, setup: fails(dnsmem.ServFail, "ns3.newhost.test"), want: wants(unknown, "ns.lame")},
		{name: "name server that is not there", phase: p3, edits: thirdServer, want: wants(fail, "ns.lame")},
		{name: "name server without a zone", phase: p3, edits: []string{"@ NS ns2\n", "@ NS ns2\n@ NS ns.example.test.\n"}, want: wants(fail, "ns.lame")},

		{name: "one server withholds a name", phase: p3, setup: secondFails(dnsmem.ServFail, "autodiscover.example.test"),
			want: with(wants(unknown, "ad.target", "ad.conflict", "ns.rrset", "old.sweep"), "ns.lame", pass, "mx.expected", pass)},
		{name: "one server refuses a name", phase: p3, setup: secondFails(dnsmem.Refuse, "_dmarc.example.test"), want: with(wants(unknown, "dmarc.record", "ns.rrset"), "ns.lame", pass)},
		{name: "one server has no authority for a name", phase: p3, setup: secondFails(dnsmem.NotAA, "key1._domainkey.example.test"), want: with(wants(unknown, "dkim.new", "ns.rrset"), "ns.lame", pass)},
		{name: "one server withholds the SRV record", phase: p3, setup: secondFails(dnsmem.ServFail, "_autodiscover._tcp.example.test"), want: with(wants(unknown, "ad.conflict", "ad.srv"), "ad.target", pass)},
		{name: "one server does not know a type", phase: p3, setup: func(w *world) { w.ns2.BehaveForType("example.test", dns.TypeSPF, dnsmem.NotImp) }, want: wants(pass, "spf.type99", "ns.rrset", "ns.lame")},
		{name: "no server knows a type", phase: p3, setup: fails(dnsmem.NotImp, "example.test", dns.TypeSPF), want: wants(pass, "spf.type99", "ns.rrset", "ns.lame")},
		{name: "type 99 unknown", phase: p3, setup: fails(dnsmem.ServFail, "example.test", dns.TypeSPF), want: wants(unknown, "spf.type99", "ns.rrset")},
		{name: "records to change, half answered", phase: p1, setup: secondFails(dnsmem.ServFail, "_autodiscover._tcp.example.test"), want: wants(unknown, "ttl.plan", "ttl.mixed")},

		{name: "MX not answered beside a policy", phase: p3, add: sts, setup: fails(dnsmem.ServFail, "example.test", dns.TypeMX), want: wants(unknown, "mx.expected", "sts.fetch", "sts.mx", "dane.match", "dane.cutover")},
		{name: "TLSA refused", phase: p3, setup: fails(dnsmem.Refuse, "_25._tcp.mx1.newhost.test"), want: wants(unknown, "dane.match", "dane.cutover")},
		{name: "TLSA is a type that the server does not know", phase: p3, setup: fails(dnsmem.NotImp, "_25._tcp.mx1.newhost.test"), want: wants(pass, "dane.match", "dane.cutover")},
		{name: "TLSA not known, TLS reports missing", phase: p3, edits: []string{"_smtp._tls", "_other._tls"}, setup: fails(dnsmem.Refuse, "_25._tcp.mx1.newhost.test"), want: wants(unknown, "tlsrpt")},
		{name: "no TLSA, TLS reports missing", phase: p3, edits: []string{"_smtp._tls", "_other._tls"}, want: wants(info, "tlsrpt")},
		{name: "MTA-STS not known, TLS reports missing", phase: p3, edits: []string{"_smtp._tls", "_other._tls"}, setup: fails(dnsmem.ServFail, "_mta-sts.example.test"), want: wants(unknown, "tlsrpt", "sts.fetch")},
		{name: "TLSA and no resolver", phase: p3, setup: func(w *world) {
			tlsa(w, "_25._tcp.mx1 TLSA 3 1 1 "+strings.Repeat("ab", 32)+"\n")
			w.rs.Behave(dnsmem.ServFail)
		}, want: wants(unknown, "dane.match")},
		{name: "TLSA at both providers, while it is planned", phase: p1, zone: "before.zone", setup: func(w *world) {
			tlsa(w, "_25._tcp.mx1 TLSA 3 1 1 "+strings.Repeat("ab", 32)+"\n")
			oldTLSA(w)
		}, want: wants(pass, "dane.cutover")},
		{name: "TLSA at the old provider only, while it is planned", phase: p1, zone: "before.zone", setup: oldTLSA, want: wants(warn, "dane.cutover")},

		{name: "TLS reports behind an alias", phase: p3, edits: []string{`_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@example.test"`, "_smtp._tls CNAME reports.newhost.test."}, setup: func(w *world) {
			tlsa(w, `reports TXT "v=TLSRPTv1; rua=mailto:a@newhost.test"`+"\n")
		}, want: wants(pass, "tlsrpt")},
		{name: "TLS reports behind an alias not answered", phase: p3, edits: []string{`_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@example.test"`, "_smtp._tls CNAME reports.newhost.test."},
			setup: fails(dnsmem.ServFail, "reports.newhost.test"), want: wants(unknown, "tlsrpt")},
		{name: "MTA-STS behind an alias not answered", phase: p3, add: "_mta-sts CNAME sts.newhost.test.\n", setup: fails(dnsmem.Refuse, "sts.newhost.test"), want: wants(unknown, "sts.fetch", "sts.mx", "sts.id")},
		{name: "MTA-STS behind an alias", phase: p3, add: "_mta-sts CNAME sts.newhost.test.\n", setup: func(w *world) { tlsa(w, `sts TXT "v=STSv1; id=1;"`+"\n") }, want: wants(unknown, "sts.fetch")}, // not probed

		{name: "Autodiscover behind two aliases", phase: p3, edits: []string{adLine, "autodiscover CNAME alias.newhost.test."}, setup: func(w *world) { tlsa(w, "alias CNAME autodiscover\n") }, want: wants(pass, "ad.target")},
		{name: "Autodiscover behind an alias not answered", phase: p3, edits: []string{adLine, "autodiscover CNAME alias.newhost.test."}, setup: fails(dnsmem.ServFail, "alias.newhost.test"), want: wants(unknown, "ad.target")},
		{name: "Autodiscover behind aliases in a circle", phase: p3, edits: []string{adLine, "autodiscover CNAME round.example.test.\nround CNAME autodiscover"}, want: wants(fail, "ad.target")},
		{name: "flattened alias, the destination's host not answered", phase: p3, edits: []string{adLine, "autodiscover A 192.0.2.20"}, setup: fails(dnsmem.ServFail, "autodiscover.newhost.test"), want: wants(unknown, "ad.target")},
		{name: "the old provider's addresses not answered", phase: p3, add: "autoconfig A 192.0.2.140\n", setup: fails(dnsmem.ServFail, "autodiscover.oldhost.test"), want: wants(unknown, "cl.autoconfig", "old.sweep")},
		{name: "exchange half looked up", phase: p3, setup: fails(dnsmem.ServFail, "mx1.newhost.test", dns.TypeAAAA), want: with(wants(unknown, "mx.private"), "mx.noaddr", pass)},
		{name: "report addresses not known", phase: p3, edits: []string{dmarcOld, "; none"}, setup: fails(dnsmem.ServFail, "_dmarc.test"), want: wants(unknown, "dmarc.record", "dmarc.rua")},
	} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			r := s.run(t)
			withinSeverity(t, r, false)
			for id, want := range s.want {
				if f := expect(t, r, id, want); f.Outcome == unknown && f.Remedy == "" {
					t.Errorf("%s: no remedy", id)
				}
			}
		})
	}
}

// The policy of MTA-STS is judged where its record is an alias, as hosters have
// it.
func TestPolicyBehindAlias(t *testing.T) {
	ca := newAuthority(t)
	zone := zoneFile(t, "moved.zone") + "mta-sts A 192.0.2.201\n_mta-sts CNAME sts.newhost.test.\n"
	policy := "version: STSv1\nmode: enforce\nmx: mx.oldhost.test\nmax_age: 86400\n"
	w := webWorld(t, p3, zone, ca.issue(testNow.Add(time.Hour), "*.example.test"), ca.pool, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/plain")
		fmt.Fprint(rw, policy)
	})
	record := func(id string) {
		if err := w.providers.SetZone(zoneFile(t, "newhost.zone") + `sts TXT "v=STSv1; id=` + id + `;"` + "\n"); err != nil {
			t.Fatal(err)
		}
	}
	record("7")
	first := w.audit()
	expect(t, first, "sts.fetch", pass)
	expect(t, first, "sts.mx", fail)
	w.cfg.History = ForHistory(first.Observations)
	policy = policyFile
	second := w.audit()
	expect(t, second, "sts.mx", pass)
	expect(t, second, "sts.id", fail)
	record("8")
	expect(t, w.audit(), "sts.id", pass)
	fails(dnsmem.ServFail, "example.test", dns.TypeMX)(w)
	expect(t, w.audit(), "sts.mx", unknown) // no exchange is known that the policy would have to allow
}

// A server that says SERVFAIL has not changed the record: neither while the
// others do, nor in the audits before.
func TestClockBesideErrors(t *testing.T) {
	s := newStory(t, zoneFile(t, "before.zone"))
	s.at(0, p1)
	s.set(zoneFile(t, "moved.zone"))
	s.ns2.Behave(dnsmem.ServFail)
	if got := safeOf(t, s.at(time.Hour, p3), "MX"); !got.At.IsZero() || got.Why != "not every server answered" {
		t.Errorf("safe at %s: %q", got.At, got.Why)
	}
	s.ns2.Behave(dnsmem.Answer)
	if got := safeOf(t, s.at(2*time.Hour, p3), "MX"); got.At.IsZero() || !got.Flipped.Equal(testNow.Add(2*time.Hour)) {
		t.Errorf("flipped at %s, safe at %s: %q", got.Flipped, got.At, got.Why)
	}

	w := newWorld(t, p3, zoneFile(t, "moved.zone"))
	for _, o := range w.audit().Observations {
		if o.Role == roleAuthoritative && o.Question == "example.test" && o.Type == "MX" {
			o.Time, o.RCode, o.Records, o.MinTTL, o.MaxTTL = testNow.Add(-time.Hour), "SERVFAIL", []string{}, 0, 0 // with AA, as some servers have it
			w.cfg.History = append(w.cfg.History, o)
		}
	}
	if got := safeOf(t, w.audit(), "MX"); !got.At.IsZero() || len(w.cfg.History) == 0 {
		t.Errorf("safe at %s, by errors alone", got.At)
	}
}
