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
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mailproof/mailproof/dnsaudit/spf"
)

// secondOpinion evaluates cases with Debian's python3-spf, which shares no
// line with this package: a JSON array in, one status a case out.
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
    out.append(spf.query(i=case['ip'], s=case['from'], h='helo.test', strict=True).check()[0])
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

// Two implementations that share nothing come to the same result on random
// policies. On ten times as many four differ, by design: the other counts every
// empty answer as a void lookup, those for the hosts of one mx term included,
// where §4.6.4 limits the terms.
func TestAgreesWithSecondImplementation(t *testing.T) {
	const python = "/usr/bin/python3" // Debian's own, whose packages python3-spf is one of
	if err := exec.Command(python, "-c", "import spf").Run(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the second implementation is needed in CI: %v (Debian package python3-spf)", err)
		}
		t.Skipf("no second implementation: %v (Debian package python3-spf)", err)
	}
	n := 4000
	if testing.Short() {
		n = 400
	}
	rng := rand.New(rand.NewPCG(7208, 203))
	cases := make([]agreeCase, n)
	for i := range cases {
		cases[i] = randomCase(rng)
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
	var theirs []string
	if err := json.Unmarshal(out, &theirs); err != nil || len(theirs) != n {
		t.Fatalf("%d results: %v", len(theirs), err)
	}
	count, differ := map[spf.Status]int{}, 0
	for i, c := range cases {
		ours := spf.CheckHost(context.Background(), c.dns(t), spf.Sender{IP: netip.MustParseAddr(c.IP), MailFrom: c.From, HELO: "helo.test"})
		count[ours.Status]++
		if string(ours.Status) != theirs[i] {
			if differ++; differ <= 5 {
				zone, _ := json.Marshal(c.Zone)
				t.Errorf("%s from %s: %s (%v), the other says %s\n%s", c.From, c.IP, ours.Status, ours.Err, theirs[i], zone)
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d of %d differ", differ, n)
	}
	for _, s := range []spf.Status{spf.None, spf.Neutral, spf.Pass, spf.Fail, spf.SoftFail, spf.PermError} {
		if count[s] < n/100 {
			t.Errorf("%d of %d cases are %s: the cases show too little", count[s], n, s)
		}
	}
	t.Logf("%d cases: %v", n, count)
}
