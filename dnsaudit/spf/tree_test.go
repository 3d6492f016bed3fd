package spf_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/mailproof/mailproof/dnsaudit/spf"
)

// memDNS answers from maps; names in lost give an error.
type memDNS struct {
	txt  map[string][]string
	a    map[string][]netip.Addr
	mx   map[string][]string
	lost map[string]bool
	asks int
}

func (m *memDNS) ask(name string) error {
	m.asks++
	if m.lost[strings.ToLower(name)] {
		return errors.New("timeout")
	}
	return nil
}

func (m *memDNS) TXT(_ context.Context, name string) ([]string, error) {
	return m.txt[strings.ToLower(name)], m.ask(name)
}

func (m *memDNS) Addresses(_ context.Context, name string, six bool) ([]netip.Addr, error) {
	var out []netip.Addr
	for _, a := range m.a[strings.ToLower(name)] {
		if a.Is6() == six {
			out = append(out, a)
		}
	}
	return out, m.ask(name)
}

func (m *memDNS) MX(_ context.Context, name string) ([]string, error) {
	return m.mx[strings.ToLower(name)], m.ask(name)
}

func (m *memDNS) PTR(_ context.Context, addr netip.Addr) ([]string, error) {
	return nil, m.ask(addr.String())
}

func analyse(t *testing.T, records map[string]string) *spf.Tree {
	t.Helper()
	return spf.Analyse(context.Background(), newDNS(records), "example.com")
}

func newDNS(records map[string]string) *memDNS {
	m := &memDNS{txt: map[string][]string{}, a: map[string][]netip.Addr{}, mx: map[string][]string{}, lost: map[string]bool{}}
	for name, record := range records {
		m.txt[name] = strings.Split(record, "\n")
	}
	for i := range 12 {
		m.a[fmt.Sprintf("h%d.example.com", i)] = []netip.Addr{netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), netip.MustParseAddr("2001:db8::1")}
	}
	return m
}

func TestAnalyse(t *testing.T) {
	for _, tt := range []struct {
		name     string
		records  map[string]string
		lookups  int
		voids    int
		complete bool
	}{
		{"no lookups", map[string]string{"example.com": "v=spf1 ip4:192.0.2.0/24 -all"}, 0, 0, true},
		{"nested", map[string]string{"example.com": "v=spf1 include:a.com include:b.com -all", "a.com": "v=spf1 include:c.com a:h1.example.com -all", "b.com": "v=spf1 -all", "c.com": "v=spf1 a:h2.example.com -all"}, 5, 0, true},
		{"behind all", map[string]string{"example.com": "v=spf1 a:h1.example.com -all include:a.com redirect=b.com"}, 1, 0, true},
		{"redirect", map[string]string{"example.com": "v=spf1 redirect=a.com", "a.com": "v=spf1 a:h1.example.com mx:none.com -all"}, 3, 1, true},
		{"void addresses", map[string]string{"example.com": "v=spf1 a:none.com exists:none.com mx:none.com -all"}, 3, 3, true},
		{"macro", map[string]string{"example.com": "v=spf1 exists:%{i}.example.com include:%{d}.x.com -all", "example.com.x.com": "v=spf1 -all"}, 2, 0, true},
		{"unknown include", map[string]string{"example.com": "v=spf1 include:%{i}.x.com -all"}, 1, 0, false},
		{"loop", map[string]string{"example.com": "v=spf1 include:a.com -all", "a.com": "v=spf1 include:EXAMPLE.com -all"}, 2, 0, true},
		{"counted twice", map[string]string{"example.com": "v=spf1 include:a.com include:a.com -all", "a.com": "v=spf1 a:h1.example.com -all"}, 4, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tree := analyse(t, tt.records)
			if tree.Root.Lookups != tt.lookups || tree.Root.Voids != tt.voids || tree.Complete != tt.complete {
				t.Errorf("%d lookups, %d void, complete %v; want %d, %d, %v\n%s", tree.Root.Lookups, tree.Root.Voids, tree.Complete, tt.lookups, tt.voids, tt.complete, tree)
			}
		})
	}
}

func TestTreePrints(t *testing.T) {
	tree := analyse(t, map[string]string{"example.com": "v=spf1 include:a.com a:none.com ip4:192.0.2.1 -all", "a.com": "v=spf1 include:b.com -all"})
	want := `example.com: 3 lookups, 1 void
  include:a.com: 2
    a.com: 1 lookup
      include:b.com: 1
        b.com: 0 lookups (no SPF record)
  a:none.com: 1, 1 void
`
	if got := tree.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// A tree that grows without end is cut, and says so; DNS is asked a bounded
// number of questions.
func TestHostileTree(t *testing.T) {
	wide := "v=spf1"
	for i := range 5000 {
		wide += fmt.Sprintf(" a:h%d.example.net", i)
	}
	deep := map[string]string{"example.com": "v=spf1 include:d0.com include:e0.com -all"}
	for i := range 400 {
		deep[fmt.Sprintf("d%d.com", i)] = fmt.Sprintf("v=spf1 include:d%d.com include:e%d.com -all", i+1, i+1)
		deep[fmt.Sprintf("e%d.com", i)] = fmt.Sprintf("v=spf1 include:d%d.com include:e%d.com -all", i+1, i+1)
	}
	for name, records := range map[string]map[string]string{"wide": {"example.com": wide}, "deep": deep} {
		dns := newDNS(records)
		tree := spf.Analyse(context.Background(), dns, "example.com")
		if tree.Complete || tree.Root.Lookups <= spf.MaxLookups {
			t.Errorf("%s: complete %v, %d lookups", name, tree.Complete, tree.Root.Lookups)
		}
		if dns.asks > 2000 {
			t.Errorf("%s: %d questions", name, dns.asks)
		}
	}
}

// What DNS cannot tell is unknown, and never counted as found.
func TestAnalyseUnanswered(t *testing.T) {
	dns := newDNS(map[string]string{"example.com": "v=spf1 include:a.com a:h1.example.com -all", "a.com": "v=spf1 -all"})
	dns.lost["a.com"] = true
	tree := spf.Analyse(context.Background(), dns, "example.com")
	if tree.Complete || tree.Root.Terms[0].Child.Problem != spf.Unanswered {
		t.Errorf("%s", tree)
	}
	if res := spf.CheckHost(context.Background(), dns, spf.Sender{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "a@example.com"}); res.Status != spf.TempError {
		t.Errorf("check_host: %s", res.Status)
	}
}

// An evaluation never costs more than the analysis says, and never fails for
// its lookups where the analysis counts ten at most.
func TestAnalysisBoundsEvaluation(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	names := []string{"example.com", "a.com", "b.com", "c.com", "d.com", "e.com"}
	terms := []string{"a:h1.example.com", "a:none.com", "mx", "exists:h3.example.com", "ip4:198.51.100.0/24", "include:NAME", "?include:NAME", "-a:h2.example.com", "ip6:2001:db8::/32"}
	over := 0
	for range 3000 {
		records := map[string]string{}
		for i, name := range names {
			record := "v=spf1"
			for range rng.IntN(6) {
				term := terms[rng.IntN(len(terms))]
				if strings.Contains(term, "NAME") {
					if i+1 == len(names) {
						continue // no loops
					}
					term = strings.Replace(term, "NAME", names[i+1+rng.IntN(len(names)-i-1)], 1)
				}
				record += " " + term
			}
			records[name] = record + " -all"
		}
		dns := newDNS(records)
		tree := spf.Analyse(context.Background(), dns, "example.com")
		for _, ip := range []string{"203.0.113.9", "192.0.2.1", "2001:db8::5"} {
			res := spf.CheckHost(context.Background(), dns, spf.Sender{IP: netip.MustParseAddr(ip), MailFrom: "x@example.com"})
			if res.Lookups > tree.Root.Lookups {
				t.Fatalf("%d lookups, the analysis says %d\n%s", res.Lookups, tree.Root.Lookups, tree)
			}
			if tree.Root.Lookups <= spf.MaxLookups && tree.Root.Voids <= spf.MaxVoid && tree.Root.Voids6 <= spf.MaxVoid && res.Status == spf.PermError {
				t.Fatalf("%v\n%s", res.Err, tree)
			}
			if tree.Root.Lookups > spf.MaxLookups {
				over++
			}
		}
	}
	if over == 0 {
		t.Error("no policy went over the limit: the test shows nothing")
	}
}

func TestParseSyntax(t *testing.T) {
	for record, ok := range map[string]bool{
		"v=spf1": true, "V=SPF1 -ALL": true, "v=spf1  -all ": true, "v=spf1 a/24//64 mx//0 a:x.com/0": true, "v=spf1 ip4:192.0.2.1/32 ip6:::/0": true,
		"v=spf1 redirect=x.com exp=%{d}.x.com moo=%{s}": true, "v=spf1 exists:%{i}._spf.%{d2}": true, "v=spf1 include:_spf.x.com.": true,
		"v=spf10 -all": false, "v=spf1\t-all": false, "v=spf1 -all:x": false, "v=spf1 a:": false, "v=spf1 a:x.com/33": false, "v=spf1 a/024": false, "v=spf1 include": false,
		"v=spf1 ip4:192.0.2": false, "v=spf1 ip4:::1": false, "v=spf1 ip6:1.2.3.4": false, "v=spf1 ip4:192.0.2.1/": false, "v=spf1 redirect=x.com redirect=y.com": false,
		"v=spf1 exists:%{z}": false, "v=spf1 exists:%{d0}": false, "v=spf1 exists:%{d": false, "v=spf1 a:x.123": false, "v=spf1 a:x.com:80": false, "v=spf1 =x": false,
		"v=spf1 include:x.com//64": false, "v=spf1 a//129": false, "v=spf1 %": false, "v=spf1 a:é.com": false, "v=spf1 ipv4:1.2.3.4": false,
	} {
		r, err := spf.Parse(record)
		if (err == nil) != ok {
			t.Errorf("%q: %v", record, err)
		}
		var syntax *spf.SyntaxError
		if err != nil && !errors.As(err, &syntax) {
			t.Errorf("%q: %T", record, err)
		}
		if err == nil && r.Text != record {
			t.Errorf("%q became %q", record, r.Text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"v=spf1 a mx -all", "v=spf1 a:x.com/24//64 redirect=%{d}", "v=spf1 exists:%{ir}.%{v}._spf.%{d2r-} exp=e.%{o}", "v=spf1 ip6:::ffff:1.2.3.4/96", "v=spf1 \xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, record string) {
		r, err := spf.Parse(record)
		if err != nil {
			return
		}
		// what parses, parses again from its own terms, to the same
		text := spf.Version
		for _, d := range r.Directives {
			text += " " + d.Text
		}
		again, err := spf.Parse(text)
		if err != nil || len(again.Directives) != len(r.Directives) {
			t.Fatalf("%q → %q: %v", record, text, err)
		}
		for i := range r.Directives {
			if r.Directives[i] != again.Directives[i] {
				t.Fatalf("%+v became %+v", r.Directives[i], again.Directives[i])
			}
		}
		dns := newDNS(map[string]string{"example.com": record})
		tree := spf.Analyse(context.Background(), dns, "example.com")
		_ = tree.String()
		res := spf.CheckHost(context.Background(), dns, spf.Sender{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "a.b+c@example.com", HELO: "h.example.com"})
		if res.Lookups > spf.MaxLookups+1 || dns.asks > 5000 {
			t.Fatalf("%d lookups, %d questions", res.Lookups, dns.asks)
		}
	})
}
