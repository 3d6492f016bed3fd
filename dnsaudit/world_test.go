package dnsaudit

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// A world is a small internet on loopback: a root that holds "test." too, a
// server for the providers and reverse names, two servers of example.test, and
// a resolver.
type world struct {
	t                             *testing.T
	root, providers, ns1, ns2, rs *dnsmem.Server
	cfg                           Config
}

func zoneFile(t testing.TB, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", "testdata", "dns", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func testProfile(t testing.TB, id string) Profile {
	t.Helper()
	p, err := LoadProfile(filepath.Join("..", "testdata", "dns", "profiles.toml") + "#" + id)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func startServer(t testing.TB, zones ...string) *dnsmem.Server {
	t.Helper()
	s, err := dnsmem.Start(zones...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

var testNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// patience is how long a try waits in a world in which everybody answers: as
// long as a busy machine may take. Where somebody is silent, each wait is in vain
// and short.
const patience = 20 * time.Second

// hushed says that somebody in the world does not answer.
func (w *world) hushed() { w.cfg.Timeout = time.Second }

func newWorld(t *testing.T, phase mailproof.Phase, zone string) *world {
	t.Helper()
	w := &world{t: t}
	w.root = startServer(t, zoneFile(t, "root.zone"), zoneFile(t, "test.zone"))
	w.providers = startServer(t, zoneFile(t, "newhost.zone"), zoneFile(t, "oldhost.zone"), zoneFile(t, "filter.zone"), zoneFile(t, "arpa.zone"))
	w.ns1, w.ns2 = startServer(t, zone), startServer(t, zone)
	rs, err := dnsmem.StartResolver(w.root, w.providers, w.ns1)
	if err != nil {
		t.Fatal(err)
	}
	w.rs = rs
	t.Cleanup(func() {
		if err := rs.Close(); err != nil {
			t.Error(err)
		}
	})
	w.cfg = Config{
		Domains: []string{"example.test"}, Phase: phase, Profile: testProfile(t, "newhost"), OldProfile: testProfile(t, "oldhost"),
		Servers: map[string]string{
			".": w.root.Addr(), "ns.root.test": w.root.Addr(), "ns.provider.test": w.providers.Addr(),
			"ns1.example.test": w.ns1.Addr(), "ns2.example.test": w.ns2.Addr(),
		},
		Resolvers: []string{w.rs.Addr()}, Timeout: patience,
		Now: func() time.Time { return testNow }, Public: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}
	return w
}

// set puts the zone on both servers.
func (w *world) set(zone string) {
	w.t.Helper()
	for _, s := range []*dnsmem.Server{w.ns1, w.ns2} {
		if err := s.SetZone(zone); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) audit() Report {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	r, err := Audit(ctx, w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// worst returns the worst finding of one check.
func worst(t testing.TB, r Report, id string) mailproof.Finding {
	t.Helper()
	var out mailproof.Finding
	found := false
	for _, f := range r.Findings {
		if f.Check == id && (!found || worse(f.Outcome, out.Outcome)) {
			out, found = f, true
		}
	}
	if !found {
		t.Fatalf("no finding of %s", id)
	}
	return out
}

// expect holds the outcome of one check.
func expect(t testing.TB, r Report, id string, want mailproof.Outcome) mailproof.Finding {
	t.Helper()
	f := worst(t, r, id)
	if f.Outcome != want {
		t.Errorf("%s: %s, want %s\n expected: %s\n observed: %s\n remedy: %s", id, f.Outcome, want, f.Expected, f.Observed, f.Remedy)
	}
	return f
}

func (w *world) behave(b dnsmem.Behaviour) {
	for _, s := range []*dnsmem.Server{w.ns1, w.ns2} {
		s.Behave(b)
	}
}

// edit replaces lines in a zone: pairs of old and new text.
func edit(t testing.TB, zone string, pairs ...string) string {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if !strings.Contains(zone, pairs[i]) {
			t.Fatalf("the zone has no %q", pairs[i])
		}
		zone = strings.ReplaceAll(zone, pairs[i], pairs[i+1])
	}
	return zone
}
