package dnsaudit

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// The servers are found from overrides alone, by host or by zone.
func TestOverrides(t *testing.T) {
	for _, byZone := range []bool{false, true} {
		w := newWorld(t, p3, zoneFile(t, "moved.zone"))
		w.cfg.Servers = map[string]string{"ns1.example.test": w.ns1.Addr(), "ns2.example.test": w.ns2.Addr()}
		if byZone {
			w.cfg.Servers = map[string]string{"Example.test": w.ns1.Addr() + ", " + w.ns2.Addr()}
		}
		r := w.audit()
		expect(t, r, "ns.lame", pass)
		expect(t, r, "ns.parent", info)
		expect(t, r, "mx.expected", pass)
		expect(t, r, "spf.include", pass) // foreign names, by the listed resolver
		if w.root.Queries() != nil {
			t.Error("the root was asked")
		}
	}
}

// A zone delegated inside the domain is followed.
func TestDelegationInside(t *testing.T) {
	inner := "$ORIGIN autodiscover.example.test.\n$TTL 300\n@ SOA ns hostmaster 1 14400 3600 604800 300\n@ NS ns1.example.test.\n@ A 192.0.2.20\n"
	w := newWorld(t, p3, edit(t, zoneFile(t, "moved.zone"), adLine, "autodiscover NS ns.provider.test."))
	if err := w.providers.SetZone(inner); err != nil {
		t.Fatal(err)
	}
	expect(t, w.audit(), "ad.target", pass)
}

// A subdomain is judged in the zone that holds it; the two servers hold the
// parent and the child.
func TestSubdomain(t *testing.T) {
	zone := zoneFile(t, "moved.zone") + "@ A 192.0.2.1\nmail MX 10 mx1.newhost.test.\nmail MX 20 mx2.newhost.test.\nmail TXT \"v=spf1 include:spf.newhost.test -all\"\nautodiscover.mail CNAME autodiscover.newhost.test.\nkey1._domainkey.mail CNAME key1._domainkey.newhost.test.\n"
	w := newWorld(t, p3, zone)
	w.cfg.Domains = []string{"mail.example.test", "EXAMPLE.test.", "example.test"}
	r := w.audit()
	domains := map[string]bool{}
	for _, f := range r.Findings {
		domains[f.Domain] = true
		if f.Outcome != pass && f.Outcome != info {
			t.Errorf("%s %s: %s: %s", f.Domain, f.Check, f.Outcome, f.Observed)
		}
	}
	if len(domains) != 2 {
		t.Errorf("domains %v", domains)
	}
}

func TestDetect(t *testing.T) {
	w := newWorld(t, p1, zoneFile(t, "before.zone"))
	w.cfg.OldProfile = Profile{}
	if err := w.root.SetZone(zoneFile(t, "test.zone")); err != nil {
		t.Fatal(err)
	}
	w.set(edit(t, zoneFile(t, "before.zone"), "mx.oldhost.test.", "x.mail.protection.outlook.com.", "include:spf.oldhost.test", "include:spf.messagingengine.com"))
	got := strings.Join(w.audit().Detected["example.test"], " ")
	if got != "fastmail microsoft365" {
		t.Errorf("detected %q", got)
	}
}

func TestConfigErrors(t *testing.T) {
	good := Config{Domains: []string{"example.test"}, Phase: p1, Profile: testProfile(t, "newhost")}
	for name, change := range map[string]func(*Config){
		"no domain":    func(c *Config) { c.Domains = nil },
		"bad domain":   func(c *Config) { c.Domains = []string{"test"} },
		"no phase":     func(c *Config) { c.Phase = mailproof.PhaseNone },
		"no profile":   func(c *Config) { c.Profile = Profile{} },
		"bad server":   func(c *Config) { c.Servers = map[string]string{"ns1.example.test": "localhost"} },
		"bad resolver": func(c *Config) { c.Resolvers = []string{"dns.example"} },
	} {
		c := good
		change(&c)
		if _, err := Audit(context.Background(), c); err == nil || !strings.HasPrefix(err.Error(), "dns audit: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The end of the context ends the audit, and says so.
func TestCancel(t *testing.T) {
	w := newWorld(t, p3, zoneFile(t, "moved.zone"))
	w.behave(dnsmem.Silent)
	w.cfg.Timeout = time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	w.cfg.Progress = func(int, int) {}
	go func() {
		for len(w.ns1.Queries())+len(w.ns2.Queries()) == 0 {
			runtime.Gosched()
		}
		cancel()
	}()
	if _, err := Audit(ctx, w.cfg); err == nil {
		t.Error("no error")
	}
}

// Many domains at once: the sockets stay under the cap, and the queries for
// each domain are bounded.
func TestManyDomains(t *testing.T) {
	domains, sockets := 100, 32
	if n, err := strconv.Atoi(os.Getenv("MAILPROOF_DNS_DOMAINS")); err == nil {
		domains = n
	}
	w := newWorld(t, p3, zoneFile(t, "moved.zone"))
	test := zoneFile(t, "test.zone")
	body := edit(t, zoneFile(t, "moved.zone"), "$ORIGIN example.test.", "$ORIGIN NAME.", "@ NS ns1\n@ NS ns2\n", "@ NS ns1.example.test.\n@ NS ns2.example.test.\n")
	w.cfg.Domains = nil
	for i := range domains {
		name := fmt.Sprintf("d%d.test", i)
		test += fmt.Sprintf("d%d NS ns1.example.test.\nd%d NS ns2.example.test.\n", i, i)
		zone := strings.ReplaceAll(body, "$ORIGIN NAME.", "$ORIGIN "+name+".")
		w.set(zone)
		w.cfg.Domains = append(w.cfg.Domains, name)
	}
	if err := w.root.SetZone(test); err != nil {
		t.Fatal(err)
	}
	w.cfg.Sockets, w.cfg.Timeout, w.cfg.Resolvers = sockets, patience, nil
	var done atomic.Int64
	w.cfg.Progress = func(n, total int) { done.Store(int64(n)); _ = total }
	began := time.Now()
	r := w.audit()
	took := time.Since(began)
	bad := 0
	for _, f := range r.Findings {
		if f.Outcome == fail || f.Outcome == unknown {
			if bad++; bad < 4 {
				t.Errorf("%s %s: %s: %s", f.Domain, f.Check, f.Outcome, f.Observed)
			}
		}
	}
	if bad > 0 || done.Load() != int64(domains) {
		t.Errorf("%d bad findings, %d domains done", bad, done.Load())
	}
	each := len(r.Observations) / domains
	if each > 120 {
		t.Errorf("%d queries for each domain", each)
	}
	t.Logf("%d domains in %v, %d queries each", domains, took, each)
}

// The cap on sockets holds, whatever is asked at once.
func TestSocketCap(t *testing.T) {
	const sockets = 3
	s := startServer(t, zoneFile(t, "moved.zone"))
	s.Behave(dnsmem.Silent)
	r := NewResolver(time.Hour, sockets, time.Now)
	ctx, cancel := context.WithCancel(context.Background())
	addr, err := parseAddr(s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	const asked = 50
	done := make(chan struct{})
	for range asked {
		go func() {
			r.Ask(ctx, question{domain: "example.test.", name: "example.test.", qtype: dns.TypeMX}, Server{Addr: addr})
			done <- struct{}{}
		}()
	}
	for len(s.Queries()) < sockets {
		runtime.Gosched()
	}
	if n := len(r.sockets); n != sockets {
		t.Errorf("%d sockets in use", n)
	}
	if n := len(s.Queries()); n > sockets {
		t.Errorf("%d questions at once", n)
	}
	cancel()
	for range asked {
		<-done
	}
}

// hostile sends whatever it is given as the answer.
func hostile(t testing.TB, answer func(ask []byte) []byte) Server {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(answer(buf[:n]), from)
		}
	}()
	addr, err := parseAddr(conn.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	return Server{Name: "ns.example.test.", Addr: addr}
}

// An answer to another question is no answer.
func TestWrongQuestion(t *testing.T) {
	s := hostile(t, func(ask []byte) []byte {
		var m dns.Msg
		if err := m.Unpack(ask); err != nil {
			return nil
		}
		reply := new(dns.Msg).SetReply(&m)
		reply.Authoritative = true
		reply.Question[0].Name = "other.test."
		reply.Answer = []dns.RR{&dns.MX{Hdr: dns.RR_Header{Name: "example.test.", Rrtype: dns.TypeMX, Class: dns.ClassINET}, Mx: "evil.test."}}
		out, err := reply.Pack()
		if err != nil {
			return nil
		}
		return out
	})
	r := NewResolver(100*time.Millisecond, 4, time.Now)
	reply := r.Ask(context.Background(), question{domain: "example.test.", name: "example.test.", qtype: dns.TypeMX}, s)
	if reply.Err == nil {
		t.Errorf("taken for an answer: %v", reply.Answer)
	}
}

// Whatever a server sends, the audit's readers of it do not fail, and what is
// kept is bounded and printable.
func FuzzReply(f *testing.F) {
	for _, zone := range []string{`x.test. 1 IN TXT "\255\000" "v=spf1"`, "x.test. 1 IN MX 0 .", "x.test. 4294967295 IN CNAME x.test.", "x.test. 1 IN SRV 0 0 0 a.b.", "x.test. 5 IN SOA a. b. 1 2 3 4 5"} {
		rr, err := dns.NewRR(zone)
		if err != nil {
			f.Fatal(err)
		}
		m := new(dns.Msg).SetQuestion("x.test.", rr.Header().Rrtype)
		m.Response, m.Authoritative, m.Answer, m.Ns = true, true, []dns.RR{rr}, []dns.RR{rr}
		raw, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var m dns.Msg
		if m.Unpack(raw) != nil || len(m.Question) != 1 {
			return
		}
		name, qtype := dns.CanonicalName(m.Question[0].Name), m.Question[0].Qtype
		r := Reply{Server: Server{Name: "ns."}, Time: testNow}
		r.fill(&m)
		o := observation(question{domain: "x.test.", name: name, qtype: qtype}, r, 0)
		for _, line := range o.Records {
			for _, c := range line {
				if c < ' ' || c == 0x7f {
					t.Fatalf("control character in %q", line)
				}
			}
		}
		sightingOf(o)
		v := &View{Name: name, Type: qtype, Replies: []Reply{r, {Server: r.Server, Err: errTimeout}}}
		for _, x := range v.variants() {
			x.texts()
			x.exchanges()
			x.services()
			if len(x.text()) > maxText+8 {
				t.Fatal("a text without bound")
			}
		}
		_ = v.observed()
		_ = v.maxTTL()
		referral(r, ".", name)
		glue(r, ".")
	})
}

func FuzzPolicies(f *testing.F) {
	f.Add(policyFile)
	f.Add("v=DMARC1; p=reject; rua=mailto:a@b.c!10m,https://x")
	f.Add("v=DKIM1; k=rsa; p=AAAA; t=y:s")
	f.Fuzz(func(t *testing.T, text string) {
		if p, err := parseSTS(text); err == nil && p.mode != "none" && len(p.mx) == 0 {
			t.Fatalf("%q has no exchange", text)
		}
		isDMARC(text)
		mailAddresses(tags(text)["rua"])
		if outcome, why := dkimFault(text); outcome == pass && why != "" || outcome == unknown {
			t.Fatalf("%q: %v %q", text, outcome, why)
		}
		hostOfURI(text)
		txtContent(text)
	})
}
