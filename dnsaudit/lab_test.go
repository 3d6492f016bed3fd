package dnsaudit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// lab is the laboratory of real servers of testdata/dns/lab.sh.
type lab struct {
	t      *testing.T
	script string
	dir    string
	port   int
}

func startLab(t *testing.T) *lab {
	t.Helper()
	for _, name := range []string{"bash", "python3", "named", "dnssec-keygen", "dnssec-signzone", "dnssec-dsfromkey", "nsd", "unbound"} {
		if _, err := exec.LookPath(name); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("the lab of real name servers is needed in CI: %v", err)
			}
			t.Skipf("the lab of real name servers needs %s: %v", name, err)
		}
	}
	script, err := filepath.Abs(filepath.Join("..", "testdata", "dns", "lab.sh"))
	if err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, script: script, dir: filepath.Join(t.TempDir(), "lab"), port: freePorts(t)}
	t.Cleanup(func() { l.run("down"); l.gone() })
	l.run("up")
	r := NewResolver(200*time.Millisecond, 4, time.Now)
	for _, n := range []int{1, 2, 3, 5, 6} {
		l.wait(r, n)
	}
	return l
}

// freePorts finds ten ports in a row that nobody listens on.
func freePorts(t *testing.T) int {
	t.Helper()
	for range 200 {
		// below the range from which the system takes ports for clients
		if base := 12000 + rand.IntN(18000); allFree(base) {
			return base
		}
	}
	t.Fatal("no ten free ports in a row")
	return 0
}

func allFree(base int) bool {
	free := true
	for i := range 10 {
		addr := fmt.Sprintf("127.0.0.1:%d", base+i)
		if c, err := net.Listen("tcp", addr); err == nil {
			free = c.Close() == nil && free
		} else {
			free = false
		}
		if c, err := net.ListenPacket("udp", addr); err == nil {
			free = c.Close() == nil && free
		} else {
			free = false
		}
	}
	return free
}

func (l *lab) run(command string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, l.script, command, l.dir, fmt.Sprint(l.port))
	log, err := os.Create(filepath.Join(l.t.TempDir(), command+".log"))
	if err != nil {
		l.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log // no pipe: the servers keep it open
	err = cmd.Run()
	if closeErr := log.Close(); closeErr != nil {
		l.t.Error(closeErr)
	}
	if err != nil {
		raw, _ := os.ReadFile(log.Name())
		l.t.Fatalf("lab.sh %s: %v\n%s", command, err, raw)
	}
}

func (l *lab) addr(n int) string { return fmt.Sprintf("127.0.0.1:%d", l.port+n) }

// wait asks a server until it says anything.
func (l *lab) wait(r *Resolver, n int) {
	l.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	server := Server{Addr: netip.MustParseAddrPort(l.addr(n))}
	for time.Now().Before(deadline) {
		r.deaf = map[netip.AddrPort]deafness{}
		reply := r.Ask(context.Background(), question{domain: "example.test.", name: "signed.test.", qtype: 6, recurse: true}, server)
		if reply.Err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond) // a refused port answers at once
	}
	l.t.Fatalf("server %d does not answer", n)
}

// gone waits until the servers have let go of their ports, so that the folder
// can be removed.
func (l *lab) gone() {
	deadline := time.Now().Add(20 * time.Second)
	for !allFree(l.port) {
		if time.Now().After(deadline) {
			l.t.Error("the servers of the lab are still there")
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (l *lab) config(domain string, phase mailproof.Phase, third int) Config {
	profile, err := ParseProfile(fmt.Sprintf(`[[provider]]
id = "new"
mx = [["mx-new.%[1]s 10"]]
spf = ["_spf.%[1]s"]
autodiscover = { cname = ["ad-new.%[1]s"] }
`, domain))
	if err != nil {
		l.t.Fatal(err)
	}
	old, err := ParseProfile(fmt.Sprintf("[[provider]]\nid = \"old\"\nmx = [[\"mx-old.%[1]s 10\"]]\nautodiscover = { cname = [\"ad-old.%[1]s\"] }\n", domain))
	if err != nil {
		l.t.Fatal(err)
	}
	return Config{
		Domains: []string{domain}, Phase: phase, Profile: profile, OldProfile: old, Timeout: 400 * time.Millisecond,
		Servers:   map[string]string{"ns1." + domain: l.addr(1), "ns2." + domain: l.addr(2), "ns3." + domain: l.addr(third)},
		Resolvers: []string{l.addr(5), l.addr(6)}, Public: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}
}

func (l *lab) audit(c Config) Report {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := Audit(ctx, c)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func TestLab(t *testing.T) {
	l := startLab(t)
	t.Run("stale secondary and dead primary", func(t *testing.T) {
		for phase, rrset := range map[mailproof.Phase]mailproof.Outcome{p1: warn, p2: warn, p3: fail} {
			r := l.audit(l.config("example.test", phase, 3))
			f := expect(t, r, "ns.lame", fail)
			if !strings.Contains(f.Observed, "SERVFAIL") || !strings.Contains(f.Observed, l.addr(3)) {
				t.Errorf("ns.lame observed %q", f.Observed)
			}
			expect(t, r, "ns.rrset", rrset)
			if phase != p3 {
				continue
			}
			f = expect(t, r, "mx.expected", fail)
			for _, want := range []string{l.addr(2) + ": 10 mx-old", l.addr(1) + ": 10 mx-new"} {
				if !strings.Contains(f.Observed, want) {
					t.Errorf("mx.expected does not say %q: %q", want, f.Observed)
				}
			}
		}
	})
	t.Run("oversize answer over TCP", func(t *testing.T) {
		r := l.audit(l.config("signed.test", p3, 1))
		f := expect(t, r, "udp.tc", pass)
		if !strings.Contains(f.Observed, "over TCP") {
			t.Errorf("udp.tc observed %q", f.Observed)
		}
		expect(t, r, "dmarc.record", pass)
	})
	t.Run("lame server", func(t *testing.T) { // the secondaries refuse other zones
		r := l.audit(l.config("signed.test", p3, 1))
		f := expect(t, r, "ns.lame", fail)
		if !strings.Contains(f.Observed, "REFUSED") {
			t.Errorf("ns.lame observed %q", f.Observed)
		}
	})
	t.Run("black hole", func(t *testing.T) {
		c := l.config("signed.test", p3, 4)
		c.Servers["ns2.signed.test"] = l.addr(1)
		r := l.audit(c)
		f := expect(t, r, "ns.lame", unknown)
		if !strings.Contains(f.Observed, "timeout") {
			t.Errorf("ns.lame observed %q", f.Observed)
		}
		expect(t, r, "mx.expected", unknown)
	})
	t.Run("DNSSEC", func(t *testing.T) {
		for domain, want := range map[string]struct{ bogus, window mailproof.Outcome }{
			"signed.test": {pass, pass}, "bogus.test": {fail, pass}, "expired.test": {fail, fail},
		} {
			c := l.config(domain, p3, 1)
			c.Servers["ns2."+domain] = l.addr(1)
			r := l.audit(c)
			expect(t, r, "ns.lame", pass)
			expect(t, r, "dnssec.bogus", want.bogus)
			expect(t, r, "dnssec.window", want.window)
			validated := 0
			for _, o := range r.Observations {
				if o.Role == roleResolver && o.AD {
					validated++
				}
			}
			if (validated > 0) != (domain == "signed.test") {
				t.Errorf("%s: %d validated answers", domain, validated)
			}
		}
	})
	t.Run("flip", func(t *testing.T) {
		l.run("flip")
		r := NewResolver(200*time.Millisecond, 4, time.Now)
		deadline := time.Now().Add(30 * time.Second)
		for { // until the secondary has read its zone
			reply := r.Ask(context.Background(), question{domain: "example.test.", name: "example.test.", qtype: 15}, Server{Addr: netip.MustParseAddrPort(l.addr(2))})
			if len(reply.Answer) == 1 && strings.Contains(reply.Answer[0].String(), "mx-new") {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("the secondary does not read its zone")
			}
			time.Sleep(20 * time.Millisecond)
		}
		c := l.config("example.test", p3, 1)
		report := l.audit(c)
		expect(t, report, "ns.rrset", pass)
		expect(t, report, "mx.expected", pass)
		expect(t, report, "spf.new", pass)
		// one resolver asked the secondary while it was stale
		f := expect(t, report, "mx.resolvers", fail)
		if !strings.Contains(f.Observed, l.addr(6)) || strings.Contains(f.Observed, l.addr(5)) || !strings.Contains(f.Observed, "mx-old") {
			t.Errorf("mx.resolvers observed %q", f.Observed)
		}
	})
}
