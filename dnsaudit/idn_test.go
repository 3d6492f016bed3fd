package dnsaudit

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

const (
	unicodeDomain = "müller-köln.test"
	asciiDomain   = "xn--mller-kln-67a3d.test"
)

// idnWorld is example.test under an internationalised name.
func idnWorld(t *testing.T, phase mailproof.Phase, extra string) *world {
	t.Helper()
	ascii, err := CanonicalDomain(unicodeDomain)
	if err != nil {
		t.Fatal(err)
	}
	if ascii != asciiDomain {
		t.Fatalf("%s is %s", unicodeDomain, ascii)
	}
	zone := strings.ReplaceAll(zoneFile(t, "moved.zone"), "example.test", ascii) + extra
	w := newWorld(t, phase, zone)
	label := strings.TrimSuffix(ascii, ".test")
	if err := w.root.SetZone(edit(t, zoneFile(t, "test.zone"), "example NS ns1.example", label+" NS ns1."+label, "example NS ns2.example", label+" NS ns2."+label,
		"ns1.example A", "ns1."+label+" A", "ns2.example A", "ns2."+label+" A")); err != nil {
		t.Fatal(err)
	}
	w.cfg.Domains = []string{"Müller-Köln.TEST."}
	w.cfg.Servers["ns1."+ascii], w.cfg.Servers["ns2."+ascii] = w.ns1.Addr(), w.ns2.Addr()
	return w
}

// A name with letters beyond ASCII is asked for in its A-labels.
func TestInternationalised(t *testing.T) {
	w := idnWorld(t, p3, "")
	r := w.audit()
	for _, f := range r.Findings {
		if f.Outcome != pass && f.Outcome != info {
			t.Errorf("%s: %s: %s", f.Check, f.Outcome, f.Observed)
		}
		if f.Domain != asciiDomain {
			t.Errorf("%s is about %q", f.Check, f.Domain)
		}
	}
	for _, q := range append(w.ns1.Queries(), w.root.Queries()...) {
		for _, c := range q.Name {
			if c > 0x7e {
				t.Errorf("asked for %q", q.Name)
			}
		}
	}
	// written as A-labels, or as both, it is the same one domain
	w.cfg.Domains = []string{asciiDomain, unicodeDomain, strings.ToUpper(asciiDomain)}
	if again := w.audit(); len(again.Findings) != len(r.Findings) {
		t.Errorf("%d findings, then %d", len(r.Findings), len(again.Findings))
	}
	if got := UnicodeDomain(asciiDomain); got != unicodeDomain {
		t.Errorf("%s for people is %q", asciiDomain, got)
	}
}

// A profile may name hosts with letters beyond ASCII too; the records have
// A-labels, and so do the remedies.
func TestInternationalisedHosts(t *testing.T) {
	w := idnWorld(t, p3, "@ MX 30 xn--bcher-kva.oldhost.test.\n")
	old, err := ParseProfile("[[provider]]\nid = \"bücher\"\nmx = [[\"bücher.oldhost.test 30\"]]\n")
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.OldProfile = old
	f := expect(t, w.audit(), "mx.leftover", fail)
	if f.Remedy != "delete "+asciiDomain+". 300 IN MX 30 xn--bcher-kva.oldhost.test." {
		t.Errorf("remedy %q", f.Remedy)
	}
	fresh, err := ParseProfile("[[provider]]\nid = \"neu\"\nmx = [[\"grün.newhost.test 10\"]]\nautodiscover = { cname = [\"grün.newhost.test\"] }\nspf = [\"grün.newhost.test\"]\n")
	if err != nil {
		t.Fatal(err)
	}
	w.cfg.Profile = fresh
	r := w.audit()
	for check, want := range map[string]string{
		"mx.expected": "add " + asciiDomain + ". 300 IN MX 10 xn--grn-ioa.newhost.test.",
		"ad.target":   "add autodiscover." + asciiDomain + ". 300 IN CNAME xn--grn-ioa.newhost.test.",
		"spf.new":     "include:xn--grn-ioa.newhost.test",
	} {
		if f := expect(t, r, check, fail); !strings.Contains(f.Remedy, want) {
			t.Errorf("%s: remedy %q, want %q", check, f.Remedy, want)
		}
	}
	for _, f := range r.Findings {
		for _, c := range f.Remedy {
			if strings.Contains(f.Remedy, " IN ") && c > 0x7e && strings.Contains(f.Remedy, "grün") {
				t.Errorf("%s: a zone line with letters beyond ASCII: %q", f.Check, f.Remedy)
				break
			}
		}
	}
}

// The probes over HTTP use the A-labels in URL, Host header and certificate.
func TestInternationalisedWeb(t *testing.T) {
	ca := newAuthority(t)
	cert := ca.issue(testNow.Add(time.Hour), asciiDomain, "*."+asciiDomain)
	var hosts []string
	handler := func(rw http.ResponseWriter, r *http.Request) { hosts = append(hosts, r.Host); http.NotFound(rw, r) }
	seed := webWorld(t, p3, zoneFile(t, "moved.zone"), cert, ca.pool, handler)
	w := idnWorld(t, p3, "@ A 192.0.2.200\n")
	w.cfg.HTTP, w.cfg.Roots, w.cfg.HTTPTimeout, w.cfg.Dial = true, seed.cfg.Roots, seed.cfg.HTTPTimeout, seed.cfg.Dial
	r := w.audit()
	expect(t, r, "ad.cert", pass)
	if !slices.Contains(hosts, "autodiscover."+asciiDomain) {
		t.Errorf("asked %v", hosts)
	}
}

// A domain below another, whether it is a zone of its own or not.
func TestSubdomains(t *testing.T) {
	zone := zoneFile(t, "moved.zone") + `inside MX 10 mx1.newhost.test.
inside MX 20 mx2.newhost.test.
inside TXT "v=spf1 include:spf.newhost.test -all"
autodiscover.inside CNAME autodiscover.newhost.test.
key1._domainkey.inside CNAME key1._domainkey.newhost.test.
own NS ns.own
ns.own A 127.0.0.1
`
	own := `$ORIGIN own.example.test.
$TTL 300
@ SOA ns hostmaster 1 14400 3600 604800 300
@ NS ns
ns A 127.0.0.1
@ MX 10 mx.oldhost.test.
`
	w := newWorld(t, p3, zone)
	delegated := startServer(t, own)
	w.cfg.Servers["ns.own.example.test"] = delegated.Addr()
	w.cfg.Domains = []string{"example.test", "inside.example.test", "own.example.test"}
	r := w.audit()
	want := map[string]map[string]mailproof.Outcome{
		"example.test":        {"mx.expected": pass, "ns.lame": pass, "spf.new": pass, "dmarc.record": pass},
		"inside.example.test": {"mx.expected": pass, "ns.lame": pass, "spf.new": pass, "dmarc.record": pass, "ad.target": pass, "mx.leftover": pass},
		"own.example.test":    {"mx.expected": fail, "ns.lame": pass, "spf.new": fail, "dmarc.record": pass, "ad.target": fail, "mx.leftover": fail},
	}
	for _, f := range r.Findings {
		if o, ok := want[f.Domain][f.Check]; ok && f.Outcome != o {
			t.Errorf("%s %s: %s, want %s: %s", f.Domain, f.Check, f.Outcome, o, f.Observed)
		}
	}
	for _, f := range r.Findings {
		if f.Domain == "own.example.test" && f.Check == "mx.expected" && !strings.Contains(f.Observed, "mx.oldhost.test") {
			t.Errorf("own.example.test was not asked of its own server: %s", f.Observed)
		}
	}
	if len(delegated.Queries()) == 0 {
		t.Error("the server of the delegated zone was not asked")
	}
}

// A label is shown decoded where it can be taken for nothing else.
func TestUnicodeDomain(t *testing.T) {
	for shown, want := range map[string]bool{
		"bücher.example": true, "straße.example": true, "日本語.example": true, "ひらがなカタカナ漢字abc.example": true,
		"пример.example": true, "παράδειγμα.example": true, "example.рф": true, "mail.bücher.example": true, "한국어abc.example": true,
		"pаypal.example":     false, // a Cyrillic а among Latin letters
		"аррӏе.example":      false, // all Cyrillic, all of them look Latin
		"хуж.example":        true,
		"оса.рф":             true, // a Cyrillic word under a Cyrillic top
		"googlе.example":     false,
		"αβγlatin.example":   false,
		"пример日本.example":   false,
		"mail.аррӏе.example": false,
	} {
		ascii, err := CanonicalDomain(shown)
		if err != nil {
			t.Errorf("%s: %v", shown, err)
			continue
		}
		got := UnicodeDomain(ascii)
		if (got == shown) != want || !want && got != ascii {
			t.Errorf("%s (%s) is shown as %s", shown, ascii, got)
		}
	}
	// Only the label that misleads stays as it is.
	if ascii, err := CanonicalDomain("pаypal.bücher.example"); err != nil || UnicodeDomain(ascii) != strings.Replace(ascii, "xn--bcher-kva", "bücher", 1) {
		t.Errorf("%s: %v", UnicodeDomain(ascii), err)
	}
}
