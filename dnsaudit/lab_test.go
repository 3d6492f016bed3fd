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
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
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
		Domains: []string{domain}, Phase: phase, Profile: profile, OldProfile: old, Timeout: patience,
		Servers:   map[string]string{"ns1." + domain: l.addr(1), "ns2." + domain: l.addr(2), "ns3." + domain: l.addr(third)},
		Resolvers: []string{l.addr(5), l.addr(6)}, Public: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}
}

func (l *lab) audit(c Config) Report {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	r, err := Audit(ctx, c)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

// situation is one of the lab, and what single checks say of it at planning,
// readiness and confirmation.
type situation struct {
	name   string
	config func(mailproof.Phase) Config
	want   map[string][3]mailproof.Outcome
	says   map[string][]string // check → what its finding must tell
}

func alike(o mailproof.Outcome) [3]mailproof.Outcome { return [3]mailproof.Outcome{o, o, o} }

// at audits the situation at every phase: at once beside the other subtests of
// t, or one after the other.
func (s situation) at(t *testing.T, l *lab, atOnce bool) {
	t.Helper()
	for i, phase := range always {
		t.Run(s.name+" at "+phase.String(), func(t *testing.T) {
			if atOnce {
				t.Parallel()
			}
			r := l.audit(s.config(phase))
			withinSeverity(t, r, false)
			for id, want := range s.want {
				if (CheckInfo{ID: id}).Severity(phase) == "" {
					continue // not made then
				}
				f := expect(t, r, id, want[i])
				for _, text := range s.says[id] {
					if !strings.Contains(f.Observed, text) {
						t.Errorf("%s does not say %q: %q", id, text, f.Observed)
					}
				}
				if (want[i] == fail || want[i] == warn) && f.Remedy == "" {
					t.Errorf("%s: no remedy", id)
				}
			}
		})
	}
}

// Every situation of the lab at every phase: what is wrong with a zone's
// servers is wrong at any time; what is wrong with its content depends on it.
func TestLab(t *testing.T) {
	l := startLab(t)
	of := func(domain string, third int) func(mailproof.Phase) Config {
		return func(p mailproof.Phase) Config { return l.config(domain, p, third) }
	}
	// the black hole costs a time limit for each try
	brief := func(config func(mailproof.Phase) Config) func(mailproof.Phase) Config {
		return func(p mailproof.Phase) Config {
			c := config(p)
			c.Timeout = time.Second
			return c
		}
	}
	// all three names lead to the primary, so that only the third server differs
	sound := func(domain string, third int) func(mailproof.Phase) Config {
		return func(p mailproof.Phase) Config {
			c := l.config(domain, p, third)
			c.Servers["ns2."+domain] = l.addr(1)
			return c
		}
	}
	later := [3]mailproof.Outcome{info, info, fail}
	situations := []situation{
		{name: "stale secondary and dead primary", config: of("example.test", 3), want: map[string][3]mailproof.Outcome{
			"ns.lame": alike(fail), "ns.rrset": {warn, warn, fail}, "mx.expected": later, "mx.leftover": later, "ad.target": later, "old.sweep": {info, info, warn}, "mx.mixed": alike(pass),
			"ttl.plan": {pass}, "ttl.ready": {0, warn}, // the stale secondary has an hour
		}, says: map[string][]string{
			"ns.lame": {"SERVFAIL", l.addr(3)}, "mx.expected": {l.addr(2) + ": 10 mx-old", l.addr(1) + ": 10 mx-new"}, "ns.rrset": {"serial 2026112101", "serial 2026112102"},
		}},
		{name: "dead primary alone", config: func(p mailproof.Phase) Config {
			c := l.config("example.test", p, 3)
			c.Servers["ns2.example.test"] = l.addr(1)
			return c
		}, want: map[string][3]mailproof.Outcome{
			"ns.lame": alike(fail), "ns.rrset": alike(pass), "mx.expected": alike(pass), "ns.parent": alike(info),
		}, says: map[string][]string{"ns.lame": {"SERVFAIL", l.addr(3)}}},
		{name: "oversize answer over TCP", config: sound("signed.test", 1), want: map[string][3]mailproof.Outcome{
			"udp.tc": alike(pass), "dmarc.record": alike(pass), "ns.lame": alike(pass),
		}, says: map[string][]string{"udp.tc": {"over TCP"}}},
		{name: "lame server that refuses", config: of("signed.test", 1), want: map[string][3]mailproof.Outcome{
			"ns.lame": alike(fail), "ns.rrset": alike(pass), "mx.expected": alike(pass),
		}, says: map[string][]string{"ns.lame": {"REFUSED", l.addr(2)}}},
		{name: "black hole", config: brief(sound("signed.test", 4)), want: map[string][3]mailproof.Outcome{
			"ns.lame": alike(unknown), "ns.rrset": alike(unknown), "mx.expected": alike(unknown), "spf.new": alike(unknown), "ad.target": alike(unknown), "old.sweep": alike(unknown),
			"ttl.plan": {unknown}, "ttl.ready": {0, unknown}, "udp.tc": alike(pass),
		}, says: map[string][]string{"ns.lame": {"timeout", l.addr(4)}}},
		{name: "nothing but black holes", config: brief(func(p mailproof.Phase) Config {
			c := l.config("signed.test", p, 4)
			c.Servers = map[string]string{"signed.test": l.addr(4)}
			return c
		}), want: map[string][3]mailproof.Outcome{"ns.lame": alike(fail), "mx.expected": alike(unknown)}},
		{name: "resolvers that do not answer", config: brief(func(p mailproof.Phase) Config {
			c := sound("signed.test", 1)(p)
			c.Resolvers = []string{l.addr(4)}
			return c
		}), want: map[string][3]mailproof.Outcome{"mx.resolvers": alike(unknown), "dnssec.bogus": alike(unknown), "mx.expected": alike(pass)}},
	}
	for domain, want := range map[string]struct{ bogus, window mailproof.Outcome }{
		"signed.test": {pass, pass}, "bogus.test": {fail, pass}, "expired.test": {fail, fail},
	} {
		s := situation{name: domain, config: sound(domain, 1), want: map[string][3]mailproof.Outcome{
			"ns.lame": alike(pass), "dnssec.bogus": alike(want.bogus), "dnssec.window": alike(want.window), "mx.expected": alike(pass),
		}, says: map[string][]string{}}
		s.want["mx.resolvers"] = alike(pass)
		if want.bogus == fail {
			s.want["mx.resolvers"] = alike(unknown) // they refuse to say
			s.says["dnssec.bogus"] = []string{"SERVFAIL, but NOERROR without validation", l.addr(5), l.addr(6)}
		}
		situations = append(situations, s)
	}
	t.Run("situations", func(t *testing.T) { // at once: what they wait for is each other's time
		for _, s := range situations {
			s.at(t, l, true)
		}
	})
	t.Run("validated answers", func(t *testing.T) {
		for _, domain := range []string{"signed.test", "bogus.test", "expired.test"} {
			validated := 0
			for _, o := range l.audit(sound(domain, 1)(p3)).Observations {
				if o.Role == roleResolver && o.AD {
					validated++
				}
			}
			if (validated > 0) != (domain == "signed.test") {
				t.Errorf("%s: %d validated answers", domain, validated)
			}
		}
	})
	l.flip()
	// one resolver asked the secondary while it was stale
	situation{name: "flip", config: of("example.test", 1), want: map[string][3]mailproof.Outcome{
		"ns.lame": alike(pass), "ns.rrset": alike(pass), "mx.expected": alike(pass), "mx.leftover": alike(pass), "spf.new": alike(pass), "ad.target": alike(pass),
		"mx.resolvers": later,
	}, says: map[string][]string{"mx.resolvers": {l.addr(6), "mx-old"}}}.at(t, l, false)
	if f := worst(t, l.audit(l.config("example.test", p3, 1)), "mx.resolvers"); strings.Contains(f.Observed, l.addr(5)) {
		t.Errorf("the resolver that asked the primary is blamed: %q", f.Observed)
	}
}

// flip brings the stale secondary up to date, and waits until it has read its
// zone.
func (l *lab) flip() {
	l.t.Helper()
	l.run("flip")
	r := NewResolver(200*time.Millisecond, 4, time.Now)
	deadline := time.Now().Add(30 * time.Second)
	for {
		reply := r.Ask(context.Background(), question{domain: "example.test.", name: "example.test.", qtype: 15}, Server{Addr: netip.MustParseAddrPort(l.addr(2))})
		if len(reply.Answer) == 1 && strings.Contains(reply.Answer[0].String(), "mx-new") {
			return
		}
		if time.Now().After(deadline) {
			l.t.Fatal("the secondary does not read its zone")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// An answer that does not fit into UDP, and TCP blocked: no server of the lab
// can be made to do that, so that the test has one of its own.
func TestTCPBlocked(t *testing.T) {
	for i, phase := range always {
		w := newWorld(t, phase, zoneFile(t, "moved.zone")+bigTXT())
		w.behave(dnsmem.NoTCP)
		r := w.audit()
		for id, want := range map[string][3]mailproof.Outcome{
			"udp.tc": alike(fail), "spf.new": alike(unknown), "mx.expected": alike(pass), "ns.lame": alike(pass), "ttl.ready": {0, unknown},
		} {
			if (CheckInfo{ID: id}).Severity(phase) != "" {
				f := expect(t, r, id, want[i])
				if id == "udp.tc" && (!strings.Contains(f.Observed, "example.test TXT") || f.Remedy != "open TCP port 53 of the name server") {
					t.Errorf("observed %q, remedy %q", f.Observed, f.Remedy)
				}
			}
		}
	}
}
