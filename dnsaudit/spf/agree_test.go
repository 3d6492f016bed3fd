package spf_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mailproof/mailproof/dnsaudit/spf"
)

// secondOpinion evaluates cases with Debian's python3-spf, which shares no
// line with this package: a JSON array in, one status and its text a case out.
const secondOpinion = `
import json, socket, sys, spf
zone = {}
def lookup(name, qtype, strict=True, timeout=None, level=0):
    for t, v in zone.get(name.lower().rstrip('.'), []):
        if t == 'AAAA': w = socket.inet_pton(socket.AF_INET6, v)
        elif t == 'TXT': w = (v.encode('utf-8'),)
        elif t == 'MX': w = (10, v)
        else: w = v
        if t == qtype or t == 'CNAME': yield ((name, t), w)
        if t == 'CNAME' and not level:
            for j in lookup(v, qtype, strict, timeout, 1): yield j
spf.DNSLookup = lookup
out = []
for case in json.load(sys.stdin):
    zone = case['zone']
    result, _, text = spf.query(i=case['ip'], s=case['from'], h='helo.test', strict=True).check()
    out.append([result, text])
json.dump(out, sys.stdout)
`

type agreeCase struct {
	Zone map[string][][2]string `json:"zone"` // name → type, value
	IP   string                 `json:"ip"`
	From string                 `json:"from"`
}

// randomCase is a small world of domains with policies of all kinds, some of
// them wrong, and a sender.
func randomCase(r *rand.Rand) agreeCase {
	c := agreeCase{Zone: map[string][][2]string{}, From: "user@d0.test"}
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	four := func() string { return fmt.Sprintf("192.0.2.%d", r.IntN(8)) }
	six := func() string { return fmt.Sprintf("2001:db8::%d", r.IntN(8)) }
	domain := func() string { return fmt.Sprintf("d%d.test", r.IntN(7)) }
	host := func() string { return fmt.Sprintf("h%d.test", r.IntN(6)) }
	if c.IP = four(); r.IntN(3) == 0 {
		c.IP = six()
	}
	add := func(name, rtype, value string) { c.Zone[name] = append(c.Zone[name], [2]string{rtype, value}) }
	for i := range 5 { // h5 does not exist
		for range r.IntN(3) {
			add(fmt.Sprintf("h%d.test", i), "A", four())
		}
		if r.IntN(3) == 0 {
			add(fmt.Sprintf("h%d.test", i), "AAAA", six())
		}
	}
	cidr := func() string { return pick("", "", "/24", "/31", "//64", "/30//127") }
	// The other refuses a record that includes itself before it evaluates
	// anything; the RFC leaves that to the limit of lookups (§4.6.4).
	another := func(than int) string { return fmt.Sprintf("d%d.test", (than+1+r.IntN(6))%7) }
	// It also refuses an unknown modifier that stands twice, which §6 forbids
	// for redirect and exp only.
	modifiers := 0
	modifier := func() string { modifiers++; return fmt.Sprintf("unknown%d=x", modifiers) }
	term := func(i int) string {
		q := pick("", "", "", "+", "-", "~", "?")
		switch r.IntN(11) {
		case 0, 1:
			return q + "ip4:" + four() + pick("", "/24", "/31", "/0")
		case 2:
			return q + "ip6:" + six() + pick("", "/64", "/127")
		case 3:
			return q + "a" + pick("", ":"+host(), ":"+domain()) + cidr()
		case 4:
			return q + "mx" + pick("", ":"+domain()) + cidr()
		case 5, 6, 7:
			return q + "include:" + another(i)
		case 8:
			return q + "exists:" + pick(host(), "%{l}.test", "%{ir}.x.test", "%{d}", "h%{i1r}.test")
		case 9:
			return pick("redirect="+domain(), "exp="+host(), modifier(), q+"all")
		default:
			if r.IntN(6) > 0 {
				return q + "all"
			}
			return pick("ip4:1.2.3", "a:", "include", "foo:bar", "ip4:192.0.2.1/33", "all:x", "a/99", "include:%{x}.test", "redirect=")
		}
	}
	for i := range 6 { // d6 does not exist
		name := fmt.Sprintf("d%d.test", i)
		for range r.IntN(2) {
			add(name, "A", four())
		}
		for range r.IntN(3) {
			add(name, "MX", host())
		}
		if r.IntN(8) == 0 {
			add(name, "TXT", "some other text")
		}
		records := 1
		switch r.IntN(12) {
		case 0:
			records = 0
		case 1:
			records = 2
		}
		for range records {
			terms := []string{"v=spf1"}
			for range r.IntN(5) {
				terms = append(terms, term(i))
			}
			if r.IntN(2) == 0 {
				terms = append(terms, pick("-", "~", "?", "")+"all")
			}
			add(name, "TXT", strings.Join(terms, " "))
		}
	}
	return c
}

func (c agreeCase) dns(t *testing.T) *suiteDNS {
	t.Helper()
	zone := map[string][]yaml.Node{}
	d := newSuiteDNS(t, zone)
	for name, list := range c.Zone {
		sets := map[string][][]string{}
		for _, e := range list {
			fields := []string{e[1]}
			if e[0] == "MX" {
				fields = []string{"10", e[1]}
			}
			sets[e[0]] = append(sets[e[0]], fields)
		}
		d.records[name] = sets
	}
	return d
}

// askSecond has the other implementation evaluate the cases.
func askSecond(t *testing.T, cases []agreeCase) [][2]string {
	t.Helper()
	const python = "/usr/bin/python3" // Debian's own, whose packages python3-spf is one of
	if err := exec.Command(python, "-c", "import spf").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the second implementation is needed in CI: %v (Debian package python3-spf)", err)
		}
		t.Skipf("no second implementation: %v (Debian package python3-spf)", err)
	}
	in, err := json.Marshal(cases)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", secondOpinion)
	var errText bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &errText
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errText.String())
	}
	var theirs [][2]string
	if err := json.Unmarshal(out, &theirs); err != nil || len(theirs) != len(cases) {
		t.Fatalf("%d results: %v", len(theirs), err)
	}
	return theirs
}

func (c agreeCase) check(t *testing.T) spf.Result {
	t.Helper()
	return spf.CheckHost(context.Background(), c.dns(t), spf.Sender{IP: netip.MustParseAddr(c.IP), MailFrom: c.From, HELO: "helo.test"})
}

// knownDifference names the class of a disagreement. There are two, and in
// both the other says permerror where this package goes on:
//
// "eager mx": the other looks up all hosts of an mx term before it compares,
// and so meets void lookups behind the host that matches. §5.4 has the term
// match on any address and §4.6.4 counts the lookups that were made, so that
// an evaluation may stop at the match; the limit itself is a SHOULD. Which
// hosts come before the match depends on the order of the answer. The static
// analysis therefore counts them all, and spf.void complains of such a policy:
// that it does is asked here.
//
// "idle redirect": the other counts a redirect among the ten lookups when it
// reads the record, though a mechanism then matches. §6.1 evaluates a redirect
// only where none does and ignores it beside all; §4.6.4 counts the terms that
// are evaluated. Without the redirects that are ignored the other agrees: that
// is asked as well.
func (c agreeCase) knownDifference(t *testing.T, ours spf.Result, theirs [2]string) string {
	t.Helper()
	switch {
	case theirs[0] != "permerror" || ours.Status == spf.PermError:
		return ""
	case strings.Contains(theirs[1], "Void lookup limit"):
		tree := spf.Analyse(context.Background(), c.dns(t), "d0.test")
		voids := tree.Root.Voids
		if netip.MustParseAddr(c.IP).Is6() {
			voids = tree.Root.Voids6
		}
		for n := range tree.Nodes {
			for _, term := range n.Terms {
				if term.Problem == spf.DependsOnMsg {
					voids++ // a name made of the message, which may well not exist
				}
			}
		}
		if voids > spf.MaxVoid && ours.Voids <= spf.MaxVoid {
			return "eager mx"
		}
	case strings.Contains(theirs[1], "Too many DNS lookups"):
		if ours.Lookups <= spf.MaxLookups && askSecond(t, []agreeCase{c.withoutIdleRedirects()})[0][0] == string(ours.Status) {
			return "idle redirect"
		}
	}
	return ""
}

// withoutIdleRedirects drops redirect= from the records that have all.
func (c agreeCase) withoutIdleRedirects() agreeCase {
	out := agreeCase{Zone: map[string][][2]string{}, IP: c.IP, From: c.From}
	for name, list := range c.Zone {
		for _, e := range list {
			terms := strings.Fields(e[1])
			if e[0] == "TXT" && slices.ContainsFunc(terms, func(s string) bool { return strings.TrimLeft(s, "+-~?") == "all" }) {
				terms = slices.DeleteFunc(terms, func(s string) bool { return strings.HasPrefix(s, "redirect=") })
			}
			if e[0] == "TXT" {
				e[1] = strings.Join(terms, " ")
			}
			out.Zone[name] = append(out.Zone[name], e)
		}
	}
	return out
}

// Two implementations that share nothing come to the same result on random
// policies, but for the two classes of knownDifference, which are rare.
func TestAgreesWithSecondImplementation(t *testing.T) {
	n := 4000
	if os.Getenv("MAILPROOF_LONG") != "" {
		n = 200_000
	}
	if testing.Short() {
		n = 400
	}
	rng := rand.New(rand.NewPCG(7208, 203))
	cases := make([]agreeCase, n)
	for i := range cases {
		cases[i] = randomCase(rng)
	}
	theirs := askSecond(t, cases)
	count, known, differ := map[spf.Status]int{}, map[string]int{}, 0
	for i, c := range cases {
		ours := c.check(t)
		count[ours.Status]++
		if string(ours.Status) == theirs[i][0] {
			continue
		}
		if class := c.knownDifference(t, ours, theirs[i]); class != "" {
			known[class]++
			continue
		}
		if differ++; differ <= 5 {
			zone, _ := json.Marshal(c.Zone)
			t.Errorf("%s from %s: %s (%v), the other says %s\n%s", c.From, c.IP, ours.Status, ours.Err, theirs[i], zone)
		}
	}
	if differ > 0 {
		t.Errorf("%d of %d differ", differ, n)
	}
	for class, m := range known {
		if m > 1+n/2000 {
			t.Errorf("%d of %d differ as %q: too many for a class that was rare", m, n, class)
		}
	}
	for _, s := range []spf.Status{spf.None, spf.Neutral, spf.Pass, spf.Fail, spf.SoftFail, spf.PermError} {
		if count[s] < n/100 {
			t.Errorf("%d of %d cases are %s: the cases show too little", count[s], n, s)
		}
	}
	t.Logf("%d cases: %v; known differences: %v", n, count, known)
}

// The two classes, each by its smallest example, decided by the RFC's text.
func TestKnownDifferences(t *testing.T) {
	for _, tt := range []struct {
		class string
		zone  map[string][][2]string
		ours  spf.Status
	}{
		{"eager mx", map[string][][2]string{
			"d0.test": {{"TXT", "v=spf1 a:v1.test a:v2.test mx:d1.test -all"}},
			"d1.test": {{"MX", "h1.test"}, {"MX", "none.test"}}, "h1.test": {{"A", "192.0.2.1"}},
		}, spf.Pass},
		{"idle redirect", map[string][][2]string{
			"d0.test": {{"TXT", "v=spf1 redirect=d1.test" + strings.Repeat(" a:h2.test", 10) + " ?all"}},
			"d1.test": {{"TXT", "v=spf1 -all"}}, "h2.test": {{"A", "192.0.2.2"}},
		}, spf.Neutral},
	} {
		c := agreeCase{Zone: tt.zone, IP: "192.0.2.1", From: "user@d0.test"}
		ours, theirs := c.check(t), askSecond(t, []agreeCase{c})[0]
		if ours.Status != tt.ours || theirs[0] != "permerror" {
			t.Errorf("%s: %s (%v), the other says %s", tt.class, ours.Status, ours.Err, theirs)
		}
		if got := c.knownDifference(t, ours, theirs); got != tt.class {
			t.Errorf("%s is classed as %q", tt.class, got)
		}
	}
}
