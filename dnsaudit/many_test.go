package dnsaudit

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// crowd is many domains on one pair of name servers, each with the records of
// a domain that has moved.
func crowd(t testing.TB, domains int) Config {
	t.Helper()
	root := startServer(t, zoneFile(t, "root.zone"), zoneFile(t, "test.zone"))
	providers := startServer(t, zoneFile(t, "newhost.zone"), zoneFile(t, "oldhost.zone"), zoneFile(t, "filter.zone"), zoneFile(t, "arpa.zone"))
	moved := zoneFile(t, "moved.zone")
	ns1, ns2 := startServer(t, moved), startServer(t, moved)
	body := edit(t, moved, "$ORIGIN example.test.", "$ORIGIN NAME.", "@ NS ns1\n@ NS ns2\n", "@ NS ns1.example.test.\n@ NS ns2.example.test.\n")
	test := zoneFile(t, "test.zone")
	c := Config{
		Phase: p3, Profile: testProfile(t, "newhost"), OldProfile: testProfile(t, "oldhost"), Timeout: 10 * time.Second, Sockets: 32,
		Servers: map[string]string{
			".": root.Addr(), "ns.root.test": root.Addr(), "ns.provider.test": providers.Addr(), "ns1.example.test": ns1.Addr(), "ns2.example.test": ns2.Addr(),
		},
		Public: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	}
	for i := range domains {
		name := fmt.Sprintf("d%d.test", i)
		test += fmt.Sprintf("d%[1]d NS ns1.example.test.\nd%[1]d NS ns2.example.test.\n", i)
		for _, s := range []*dnsmem.Server{ns1, ns2} {
			if err := s.SetZone(strings.ReplaceAll(body, "$ORIGIN NAME.", "$ORIGIN "+name+".")); err != nil {
				t.Fatal(err)
			}
		}
		c.Domains = append(c.Domains, name)
	}
	if err := root.SetZone(test); err != nil {
		t.Fatal(err)
	}
	return c
}

// openFiles counts what this process holds open, where the system tells.
func openFiles() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(list)
}

// peak runs work and returns how many files were open beyond those before it,
// at most.
func peak(work func()) int {
	before, most := openFiles(), 0
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			select {
			case <-done:
				return
			default:
				most = max(most, openFiles()-before)
				runtime.Gosched()
			}
		}
	}()
	work()
	close(done)
	wg.Wait()
	return most
}

// The process never holds more sockets than it may, and asks a bounded number
// of questions for each domain: those about the providers' hosts are shared.
func TestCrowd(t *testing.T) {
	const domains = 60
	c := crowd(t, domains)
	var r Report
	var err error
	most := peak(func() { r, err = Audit(context.Background(), c) })
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Findings {
		if f.Outcome == fail || f.Outcome == unknown {
			t.Errorf("%s %s: %s: %s", f.Domain, f.Check, f.Outcome, f.Observed)
		}
	}
	if limit := c.Sockets + 8; most > limit {
		t.Errorf("%d files open at once, want at most %d", most, limit)
	}
	each := float64(len(r.Observations)) / domains
	if each > 85 {
		t.Errorf("%.1f queries for each domain", each)
	}
	t.Logf("%d domains: %.1f queries each, %d files open at most", domains, each, most)
}

// BenchmarkAudit500 audits 500 domains on servers of this process.
func BenchmarkAudit500(b *testing.B) {
	const domains = 500
	c := crowd(b, domains)
	queries, most := 0, 0
	for b.Loop() {
		most = max(most, peak(func() {
			r, err := Audit(context.Background(), c)
			if err != nil {
				b.Fatal(err)
			}
			if queries = len(r.Observations); len(r.Safe) < domains {
				b.Fatalf("%d clocks", len(r.Safe))
			}
		}))
	}
	b.ReportMetric(float64(queries)/domains, "queries/domain")
	b.ReportMetric(float64(most), "files-open-max")
	b.ReportMetric(float64(domains)*float64(b.N)/b.Elapsed().Seconds(), "domains/s")
}
