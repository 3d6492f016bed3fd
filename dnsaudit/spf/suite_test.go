package spf_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/mailproof/mailproof/dnsaudit/spf"
)

// The public test suite of RFC 7208, as Debian's python3-spf ships it.
const suitePath = "/usr/share/doc/python3-spf/rfc7208-tests.yml.gz"

const (
	suiteGroups = 16
	suiteCases  = 203
)

type suiteCase struct {
	HELO        string    `yaml:"helo"`
	Host        string    `yaml:"host"`
	MailFrom    string    `yaml:"mailfrom"`
	Result      yaml.Node `yaml:"result"`
	Explanation string    `yaml:"explanation"`
}

type suiteGroup struct {
	Description string                 `yaml:"description"`
	Tests       map[string]suiteCase   `yaml:"tests"`
	Zone        map[string][]yaml.Node `yaml:"zonedata"`
}

func (c suiteCase) allows(status spf.Status) bool {
	if c.Result.Kind == yaml.SequenceNode {
		for _, n := range c.Result.Content {
			if n.Value == string(status) {
				return true
			}
		}
		return false
	}
	return c.Result.Value == string(status)
}

// readSuite skips where the suite is not installed, but not in CI.
func readSuite(t *testing.T) []suiteGroup {
	t.Helper()
	path := suitePath
	if p := os.Getenv("MAILPROOF_SPF_SUITE"); p != "" {
		path = p
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("the RFC 7208 suite is needed in CI: %v (Debian package python3-spf)", err)
		}
		t.Skipf("the RFC 7208 suite is not installed: %v (Debian package python3-spf, or MAILPROOF_SPF_SUITE)", err)
	}
	if strings.HasSuffix(path, ".gz") {
		zr, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if raw, err = io.ReadAll(zr); err != nil {
			t.Fatal(err)
		}
	}
	runes := make([]rune, len(raw)) // the file is latin-1
	for i, b := range raw {
		runes[i] = rune(b)
	}
	dec := yaml.NewDecoder(strings.NewReader(string(runes)))
	var groups []suiteGroup
	for {
		var g suiteGroup
		err := dec.Decode(&g)
		if errors.Is(err, io.EOF) {
			return groups
		}
		if err != nil {
			t.Fatal(err)
		}
		groups = append(groups, g)
	}
}

// suiteDNS answers from the zone data of a group.
type suiteDNS struct {
	records map[string]map[string][][]string // name → type → records, each a list of strings
	timeout map[string]bool
}

func latin1(s string) string {
	out := make([]byte, 0, len(s))
	for _, r := range s {
		out = append(out, byte(r))
	}
	return string(out)
}

func newSuiteDNS(t *testing.T, zone map[string][]yaml.Node) *suiteDNS {
	t.Helper()
	d := &suiteDNS{records: map[string]map[string][][]string{}, timeout: map[string]bool{}}
	for name, entries := range zone {
		name = strings.ToLower(name)
		sets := map[string][][]string{}
		txtGiven := false
		for _, n := range entries {
			if n.Kind == yaml.ScalarNode {
				if n.Value != "TIMEOUT" {
					t.Fatalf("%s: %q", name, n.Value)
				}
				d.timeout[name] = true
				continue
			}
			rtype, value := n.Content[0].Value, n.Content[1]
			txtGiven = txtGiven || rtype == "TXT"
			if value.Kind == yaml.ScalarNode && value.Value == "NONE" {
				continue
			}
			var fields []string
			if value.Kind == yaml.SequenceNode {
				for _, c := range value.Content {
					fields = append(fields, latin1(c.Value))
				}
			} else {
				fields = []string{latin1(value.Value)}
			}
			sets[rtype] = append(sets[rtype], fields)
		}
		// an SPF-type record stands for a TXT record too, unless the name has
		// one of its own
		if !txtGiven {
			sets["TXT"] = append(sets["TXT"], sets["SPF"]...)
		}
		d.records[name] = sets
	}
	return d
}

func (d *suiteDNS) get(name, rtype string) ([][]string, error) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	for range 10 {
		sets := d.records[name]
		if got := sets[rtype]; len(got) > 0 {
			return got, nil
		}
		if d.timeout[name] {
			return nil, errors.New("timeout")
		}
		alias := sets["CNAME"]
		if len(alias) == 0 {
			return nil, nil
		}
		name = strings.ToLower(alias[0][0])
	}
	return nil, errors.New("alias loop")
}

func (d *suiteDNS) TXT(_ context.Context, name string) ([]string, error) {
	got, err := d.get(name, "TXT")
	var out []string
	for _, fields := range got {
		out = append(out, strings.Join(fields, ""))
	}
	return out, err
}

func (d *suiteDNS) Addresses(_ context.Context, name string, six bool) ([]netip.Addr, error) {
	rtype := "A"
	if six {
		rtype = "AAAA"
	}
	got, err := d.get(name, rtype)
	var out []netip.Addr
	for _, fields := range got {
		out = append(out, netip.MustParseAddr(fields[0]))
	}
	return out, err
}

func (d *suiteDNS) MX(_ context.Context, name string) ([]string, error) {
	got, err := d.get(name, "MX")
	var out []string
	for _, fields := range got {
		out = append(out, fields[1])
	}
	return out, err
}

func (d *suiteDNS) PTR(_ context.Context, addr netip.Addr) ([]string, error) {
	got, err := d.get(reverseName(addr), "PTR")
	var out []string
	for _, fields := range got {
		out = append(out, fields[0])
	}
	return out, err
}

func reverseName(addr netip.Addr) string {
	if addr.Is4() {
		a := addr.As4()
		return fmt.Sprintf("%d.%d.%d.%d.in-addr.arpa", a[3], a[2], a[1], a[0])
	}
	var b strings.Builder
	raw := addr.As16()
	for i := len(raw) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "%x.%x.", raw[i]&15, raw[i]>>4)
	}
	return b.String() + "ip6.arpa"
}

func TestRFC7208Suite(t *testing.T) {
	groups := readSuite(t)
	cases, passed := 0, 0
	for _, g := range groups {
		dns := newSuiteDNS(t, g.Zone)
		for name, c := range g.Tests {
			cases++
			res := spf.CheckHost(context.Background(), dns, spf.Sender{IP: netip.MustParseAddr(c.Host), MailFrom: c.MailFrom, HELO: c.HELO})
			ok := c.allows(res.Status)
			if c.Explanation != "" && res.Status == spf.Fail {
				ok = ok && res.Explanation == c.Explanation
			}
			if !ok {
				t.Errorf("%s/%s: got %s %q (%v), want %v %q", g.Description, name, res.Status, res.Explanation, res.Err, c.Result.Value, c.Explanation)
				continue
			}
			passed++
		}
	}
	if len(groups) != suiteGroups || cases != suiteCases {
		t.Errorf("%d groups with %d cases, want %d with %d", len(groups), cases, suiteGroups, suiteCases)
	}
	t.Logf("%d of %d cases", passed, cases)
}
