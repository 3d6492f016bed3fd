package dnsaudit

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

var update = flag.Bool("update", false, "write the golden files anew")

// A scenario is a zone at a phase, and what single checks must say of it.
type scenario struct {
	name  string
	phase mailproof.Phase
	zone  string   // file; default moved.zone
	edits []string // pairs
	add   string   // lines at the end of the zone
	setup func(*world)
	want  map[string]mailproof.Outcome
}

func wants(o mailproof.Outcome, ids ...string) map[string]mailproof.Outcome {
	out := map[string]mailproof.Outcome{}
	for _, id := range ids {
		out[id] = o
	}
	return out
}

const (
	p1 = mailproof.Planning
	p2 = mailproof.Readiness
	p3 = mailproof.Confirmation
)

func useFilter(w *world) { w.cfg.Profile = w.cfg.Profile.WithFilter(testProfile(w.t, "filter"), true) }

// include10 is a policy of eleven lookups.
const include11 = `@ TXT "v=spf1 a:a.newhost.test a:b.newhost.test a:c.newhost.test mx include:spf.newhost.test include:spf.oldhost.test a mx:newhost.test a:mx1.newhost.test a:mx2.newhost.test exists:imap.newhost.test -all"`

// forgotten is what stays behind where nobody looks: host names that people
// typed into their programs, verification records, report addresses, keys, a
// delegated name server.
const forgotten = `mail A 192.0.2.130
webmail CNAME autodiscover.oldhost.test.
imap A 192.0.2.21
@ TXT "oldhost-verification=zb1.verify.oldhost.test"
_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@oldhost.test"
old1._domainkey CNAME old1._domainkey.oldhost.test.
_caldavs._tcp SRV 0 1 443 dav.oldhost.test.
@ NS ns.oldhost.test.
`

const (
	spfLine  = `@ TXT "v=spf1 include:spf.newhost.test -all"`
	mxLines  = "@ MX 10 mx1.newhost.test.\n@ MX 20 mx2.newhost.test.\n"
	adLine   = "autodiscover CNAME autodiscover.newhost.test."
	keyLine  = "key1._domainkey CNAME key1._domainkey.newhost.test."
	dmarcOld = `_dmarc TXT "v=DMARC1; p=none; rua=mailto:dmarc@example.test"`
)

var scenarios = []scenario{
	{name: "clean", phase: p3, want: wants(pass,
		"ns.lame", "ns.parent", "ns.rrset", "soa.negative", "soa.timers", "udp.tc", "dnssec.bogus", "dnssec.window", "dnssec.ds", "ttl.mixed",
		"mx.expected", "mx.leftover", "mx.mixed", "mx.resolvers", "mx.cname", "mx.noaddr", "mx.ip", "mx.private", "mx.null", "mx.none", "mx.dup", "mx.invalid", "mx.fcrdns",
		"spf.multi", "spf.syntax", "spf.lookups", "spf.void", "spf.mx10", "spf.all", "spf.redirect", "spf.include", "spf.ptr", "spf.macro", "spf.size", "spf.type99",
		"spf.new", "spf.old", "spf.resolvers", "ad.target", "ad.conflict", "ad.srv", "ad.wildcard", "ad.resolvers", "cl.srv",
		"dkim.new", "dkim.key", "dmarc.record", "dmarc.tags", "dmarc.rua", "sts.fetch", "sts.mx", "sts.id", "tlsrpt", "dane.match", "dane.cutover", "old.sweep")},
	{name: "ready", phase: p2, want: wants(pass, "ttl.ready", "dmarc.risk")},
	{name: "planned", phase: p1, want: wants(pass, "ttl.plan", "sts.age")},
	{name: "every server fails", phase: p3, setup: func(w *world) { w.behave(dnsmem.ServFail) }, want: with(wants(unknown,
		"ns.parent", "soa.negative", "soa.timers", "dnssec.bogus", "dnssec.window", "udp.tc", "ttl.mixed",
		"mx.expected", "mx.leftover", "mx.mixed", "mx.resolvers", "mx.cname", "mx.noaddr", "mx.ip", "mx.private", "mx.null", "mx.none", "mx.dup", "mx.invalid", "mx.fcrdns",
		"spf.multi", "spf.syntax", "spf.lookups", "spf.void", "spf.mx10", "spf.all", "spf.redirect", "spf.include", "spf.ptr", "spf.macro", "spf.size", "spf.type99",
		"spf.new", "spf.old", "spf.resolvers", "ad.target", "ad.conflict", "ad.srv", "ad.wildcard", "ad.resolvers", "cl.srv", "cl.autoconfig",
		"dkim.new", "dmarc.record", "dmarc.rua", "sts.fetch", "sts.mx", "sts.id", "tlsrpt", "dane.match", "dane.cutover", "dkim.old", "old.sweep"), "ns.lame", fail)},
	{name: "every server fails at planning", phase: p1, setup: func(w *world) { w.behave(dnsmem.ServFail) }, want: wants(unknown, "ttl.plan", "sts.age")},
	{name: "every server fails at readiness", phase: p2, setup: func(w *world) { w.behave(dnsmem.ServFail) }, want: wants(unknown, "ttl.ready", "dmarc.risk")},
	{name: "one server is silent", phase: p3, setup: func(w *world) { w.ns2.Behave(dnsmem.Silent); w.hushed() },
		want: wants(unknown, "ns.lame", "ns.rrset", "mx.expected", "spf.new", "ad.target", "dkim.new")},
	{name: "every server is silent", phase: p3, setup: func(w *world) { w.behave(dnsmem.Silent); w.hushed() }, want: with(wants(unknown, "mx.expected", "mx.none"), "ns.lame", fail)},
	{name: "lame", phase: p3, setup: func(w *world) { w.ns2.Behave(dnsmem.Refuse) }, want: with(wants(pass, "mx.expected"), "ns.lame", fail)},
	{name: "no authority", phase: p3, setup: func(w *world) { w.ns2.Behave(dnsmem.NotAA) }, want: with(wants(pass, "mx.expected"), "ns.lame", fail)},
	{name: "no DNS at all", phase: p3, setup: func(w *world) { w.ns2.Behave(dnsmem.Garbage) }, want: wants(unknown, "ns.lame", "mx.expected")},
	{name: "answers to other questions", phase: p3, setup: func(w *world) { w.ns2.Behave(dnsmem.WrongID); w.hushed() }, want: wants(unknown, "ns.lame", "mx.expected")},
	{name: "server without EDNS", phase: p3, setup: func(w *world) { w.behave(dnsmem.FormErrEDNS) }, want: wants(pass, "ns.lame", "mx.expected")},
	{name: "stale secondary", phase: p3, setup: func(w *world) { w.stale() }, want: wants(fail, "ns.rrset", "mx.expected", "mx.leftover", "spf.new", "ad.target", "dkim.new")},
	{name: "stale secondary beforehand", phase: p2, setup: func(w *world) { w.stale() }, want: with(wants(warn, "ns.rrset"), "spf.new", fail)},
	{name: "parent and zone differ", phase: p3, edits: []string{"@ NS ns2\n", "@ NS ns2\n@ NS ns3\nns3 A 127.0.0.1\n"}, setup: func(w *world) {
		w.cfg.Servers["ns3.example.test"] = w.ns1.Addr()
	}, want: wants(warn, "ns.parent")},
	{name: "other operators", phase: p3, edits: []string{"@ NS ns1\n@ NS ns2\n", "@ NS ns.provider.test.\n"}, setup: func(w *world) {
		if err := w.providers.SetZone(edit(w.t, zoneFile(w.t, "moved.zone"), "@ NS ns1\n@ NS ns2\n", "@ NS ns.provider.test.\n")); err != nil {
			w.t.Fatal(err)
		}
	}, want: wants(fail, "ns.parent")},
	{name: "slow zone", phase: p1, zone: "before.zone", edits: []string{"14400 3600 604800", "3600 600 86400"}, setup: func(w *world) {
		w.cfg.CutOver = testNow.Add(72 * time.Hour)
	}, want: with(wants(warn, "soa.negative", "ttl.plan"), "soa.timers", info)},
	{name: "TTLs not lowered", phase: p2, zone: "before.zone", want: wants(fail, "ttl.ready", "spf.new", "dkim.new")},
	{name: "TTLs half lowered", phase: p2, edits: []string{"$TTL 300", "$TTL 1800"}, want: wants(warn, "ttl.ready")},
	{name: "mixed TTLs", phase: p3, edits: []string{"@ MX 20", "@ 600 MX 20"}, want: wants(warn, "ttl.mixed")},
	{name: "TCP blocked", phase: p3, add: bigTXT(), setup: func(w *world) { w.behave(dnsmem.NoTCP) }, want: with(wants(unknown, "spf.new"), "udp.tc", fail)},
	{name: "TCP needed", phase: p3, add: bigTXT(), want: with(wants(pass, "udp.tc", "spf.new"), "spf.size", warn)},

	{name: "not moved", phase: p3, zone: "before.zone", want: wants(fail, "mx.expected", "mx.leftover", "spf.new", "ad.target", "cl.srv", "dkim.new")},
	{name: "leftovers nobody looks for", phase: p3, add: forgotten, want: wants(warn, "old.sweep")},
	{name: "leftovers before the cut-over", phase: p2, add: forgotten, want: wants(info, "old.sweep")},
	{name: "leftovers in coexistence", phase: p3, add: forgotten, setup: func(w *world) { w.cfg.Coexistence = true }, want: wants(info, "old.sweep")},
	{name: "leftovers by a wildcard", phase: p3, add: "* A 192.0.2.130\n", want: wants(warn, "old.sweep")},
	{name: "only senders are left, and not safe yet", phase: p3, edits: []string{spfLine, `@ TXT "v=spf1 include:spf.newhost.test include:other.example.test -all"`},
		add: `other TXT "v=spf1 include:spf.oldhost.test -all"` + "\n", want: wants(info, "old.sweep")},
	{name: "one server is silent to the sweep", phase: p3, setup: func(w *world) { w.ns2.BehaveFor("webmail.example.test", dnsmem.Silent); w.hushed() }, want: wants(unknown, "old.sweep")},
	{name: "not moved yet", phase: p1, zone: "before.zone", want: wants(info, "mx.expected", "mx.leftover", "ad.target", "cl.srv", "spf.old", "dkim.new")},
	{name: "old exchange left", phase: p3, edits: []string{mxLines, mxLines + "@ MX 90 MX.oldhost.test.\n"}, want: wants(fail, "mx.expected", "mx.leftover", "mx.mixed")},
	{name: "coexistence", phase: p3, edits: []string{mxLines, mxLines + "@ MX 90 mx.oldhost.test.\n"}, setup: func(w *world) { w.cfg.Coexistence = true },
		want: with(wants(info, "mx.leftover", "mx.mixed"), "mx.expected", pass)},
	{name: "order turned round", phase: p3, edits: []string{mxLines, "@ MX 20 mx1.newhost.test.\n@ MX 10 mx2.newhost.test.\n"}, want: wants(warn, "mx.expected")},
	{name: "other preferences in the same order", phase: p3, edits: []string{mxLines, "@ MX 5 MX1.NEWHOST.test.\n@ MX 7 mx2.newhost.test.\n"}, want: wants(pass, "mx.expected")},
	{name: "bad exchanges", phase: p3, edits: []string{mxLines,
		"@ MX 1 alias\nalias CNAME mx1.newhost.test.\n@ MX 2 nowhere\n@ MX 3 192.0.2.1.\n@ MX 4 inside\ninside A 10.0.0.1\n@ MX 5 ms1.msv1.invalid.\n@ MX 6 inside\n"},
		want: with(wants(fail, "mx.cname", "mx.noaddr", "mx.ip", "mx.private", "mx.invalid"), "mx.dup", warn, "mx.fcrdns", warn)},
	{name: "IPv6 only", phase: p3, edits: []string{mxLines, "@ MX 1 six\nsix AAAA 2001:4860::1\n"}, want: wants(warn, "mx.noaddr")},
	{name: "exchange unknown", phase: p3, setup: func(w *world) { w.providers.BehaveFor("mx1.newhost.test", dnsmem.ServFail) }, want: wants(unknown, "mx.noaddr", "mx.cname", "mx.private")},
	{name: "null MX", phase: p3, edits: []string{mxLines, "@ MX 0 .\n"}, want: wants(fail, "mx.null", "mx.expected")},
	{name: "no MX", phase: p3, edits: []string{mxLines, "@ A 192.0.2.200\n"}, want: wants(fail, "mx.none", "mx.expected")},
	{name: "filter keeps the MX", phase: p2, setup: useFilter, edits: []string{mxLines, "@ MX 10 in1.filter.test.\n@ MX 20 in2.filter.test.\n", spfLine, `@ TXT "v=spf1 include:spf.newhost.test include:spf.filter.test -all"`},
		want: with(wants(pass, "mx.expected", "mx.leftover", "spf.new", "ad.target"), "mx.route", info)},
	{name: "round the filter", phase: p1, setup: useFilter, edits: []string{mxLines, "@ MX 10 in1.filter.test.\n@ MX 20 in2.filter.test.\n@ MX 30 mx1.newhost.test.\n"}, want: wants(fail, "mx.expected", "mx.leftover")},
	{name: "filter without its senders", phase: p3, setup: useFilter, want: wants(fail, "mx.expected", "spf.new")},

	{name: "two policies", phase: p3, edits: []string{spfLine, spfLine + "\n" + `@ TXT "v=spf1 ip4:192.0.2.77 -all"`}, want: wants(fail, "spf.multi")},
	{name: "syntax behind a match", phase: p3, edits: []string{spfLine, `@ TXT "v=spf1 include:spf.newhost.test ip4:1.2.3 -all"`}, want: wants(fail, "spf.syntax", "spf.new")},
	{name: "eleven lookups", phase: p3, edits: []string{spfLine, include11}, want: wants(fail, "spf.lookups", "spf.void")},
	{name: "nine lookups", phase: p3, edits: []string{spfLine, strings.NewReplacer(" a:a.newhost.test", "", " a:b.newhost.test", "", "a:c.", "a:imap.").Replace(include11)}, want: wants(warn, "spf.lookups", "spf.void")},
	{name: "a branch is unknown", phase: p3, setup: func(w *world) { w.providers.BehaveFor("spf.newhost.test", dnsmem.ServFail) }, want: wants(unknown, "spf.syntax", "spf.lookups", "spf.void", "spf.include")},
	{name: "loose policy", phase: p3, edits: []string{spfLine, `@ TXT "v=spf1 include:spf.newhost.test ptr exists:%{i}.example.test redirect=spf.oldhost.test +all"`},
		want: with(wants(warn, "spf.ptr", "spf.redirect"), "spf.all", fail, "spf.macro", info)},
	{name: "no end", phase: p3, edits: []string{spfLine, `@ TXT "v=spf1 include:spf.newhost.test include:spf.newhost.test"`}, want: wants(warn, "spf.all", "spf.include")},
	{name: "include leads nowhere", phase: p3, edits: []string{spfLine, `@ TXT "v=spf1 include:spf.newhost.test include:nothing.newhost.test -all"`}, want: wants(fail, "spf.include")},
	{name: "include loops", phase: p3, edits: []string{spfLine, `@ TXT "v=spf1 include:spf.newhost.test include:Example.test -all"`}, want: wants(fail, "spf.include")},
	{name: "many exchanges under mx", phase: p3, edits: []string{spfLine, `@ TXT "v=spf1 include:spf.newhost.test mx:many.example.test -all"` + "\n" + manyMX()}, want: wants(fail, "spf.mx10")},
	{name: "type 99", phase: p3, add: `@ SPF "v=spf1 -all"` + "\n", want: wants(warn, "spf.type99")},
	{name: "old provider in the policy", phase: p3, edits: []string{spfLine, `@ TXT "v=spf1 include:spf.oldhost.test include:spf.newhost.test -all"`}, want: wants(info, "spf.old")},
	{name: "no policy", phase: p2, edits: []string{spfLine, "; none"}, want: wants(fail, "spf.new")},

	{name: "conflict", phase: p3, edits: []string{adLine, "autodiscover CNAME autodiscover.oldhost.test.\n_autodiscover._tcp SRV 0 0 443 autodiscover.newhost.test."}, want: wants(fail, "ad.target", "ad.conflict")},
	{name: "flattened alias", phase: p3, edits: []string{adLine, "autodiscover A 192.0.2.20"}, want: wants(pass, "ad.target")},
	{name: "SRV only", phase: p3, edits: []string{adLine, "_autodiscover._tcp SRV 0 0 443 autodiscover.newhost.test."}, want: wants(pass, "ad.target", "ad.srv", "ad.conflict")},
	{name: "SRV to an odd port", phase: p3, edits: []string{adLine, "_autodiscover._tcp SRV 0 0 8443 autodiscover.newhost.test."}, want: wants(fail, "ad.srv")},
	{name: "SRV to nobody", phase: p3, edits: []string{adLine, "_autodiscover._tcp SRV 0 0 443 none.oldhost.test."}, want: wants(fail, "ad.srv", "ad.target")},
	{name: "no Autodiscover", phase: p3, edits: []string{adLine, "; none"}, want: wants(fail, "ad.target")},
	{name: "wildcard", phase: p3, edits: []string{adLine, "* A 192.0.2.20"}, want: wants(warn, "ad.wildcard")},
	{name: "client records", phase: p3, add: "_imaps._tcp SRV 0 1 993 mx.oldhost.test.\n_pop3s._tcp SRV 0 0 0 .\nautoconfig CNAME autodiscover.oldhost.test.\n", want: with(wants(fail, "cl.srv"), "cl.autoconfig", warn)},

	{name: "revoked key", phase: p3, edits: []string{keyLine, `key1._domainkey TXT "v=DKIM1; p="`}, want: wants(fail, "dkim.key")},
	{name: "short key", phase: p3, edits: []string{keyLine, "key1._domainkey CNAME short._domainkey.newhost.test."}, setup: func(w *world) {
		w.cfg.Profile.DKIM[0].CNAME = []string{"short._domainkey.newhost.test"}
	}, want: wants(warn, "dkim.key")},
	{name: "two keys", phase: p3, edits: []string{keyLine, `key1._domainkey TXT "v=DKIM1; p=AA=="` + "\n" + `key1._domainkey TXT "v=DKIM1; p=BB=="`}, want: wants(fail, "dkim.key")},
	{name: "key unknown", phase: p3, setup: func(w *world) { w.providers.BehaveFor("key1._domainkey.newhost.test", dnsmem.ServFail) }, want: wants(unknown, "dkim.key", "dkim.new")},
	{name: "key not switched on", phase: p3, edits: []string{keyLine, "key1._domainkey CNAME none._domainkey.newhost.test."}, want: wants(fail, "dkim.new")},
	{name: "reject without the destination", phase: p2, zone: "before.zone", add: `_dmarc TXT "v=DMARC1; p=reject; pct=50; rua=mailto:dmarc@oldhost.test"` + "\n", want: with(wants(fail, "dmarc.risk"), "dmarc.tags", info, "dmarc.rua", warn)},
	{name: "no DMARC", phase: p3, edits: []string{dmarcOld, "; none"}, want: wants(warn, "dmarc.record")},
	{name: "two DMARC records", phase: p3, edits: []string{dmarcOld, dmarcOld + "\n" + `_dmarc TXT "v=DMARC1; p=reject"`}, want: wants(fail, "dmarc.record")},
	{name: "DMARC at the old provider", phase: p3, edits: []string{dmarcOld, "_dmarc CNAME _dmarc.oldhost.test."}, want: wants(fail, "dmarc.rua")},
	{name: "reports not agreed", phase: p3, edits: []string{dmarcOld, `_dmarc TXT "v=DMARC1; p=none; rua=mailto:a@newhost.test!10m"`}, want: wants(warn, "dmarc.rua")},
	{name: "MTA-STS not fetched", phase: p3, add: `_mta-sts TXT "v=STSv1; id=1;"` + "\nmta-sts CNAME autodiscover.oldhost.test.\n", want: with(wants(unknown, "sts.mx", "sts.id"), "sts.fetch", fail)},
	{name: "TLS reports missing", phase: p3, edits: []string{"_smtp._tls", "_other._tls"}, add: `_mta-sts TXT "v=STSv1; id=1;"` + "\n", want: with(wants(warn, "tlsrpt"), "sts.fetch", unknown)},
	{name: "TLSA without DNSSEC", phase: p3, edits: []string{mxLines, "@ MX 10 own\nown A 192.0.2.200\n_25._tcp.own TLSA 3 1 1 " + strings.Repeat("ab", 32) + "\n"}, want: with(wants(info, "dane.match"), "dane.cutover", warn)},
	{name: "TLSA unknown", phase: p3, setup: func(w *world) { w.providers.BehaveFor("_25._tcp.mx1.newhost.test", dnsmem.ServFail) }, want: wants(fail, "dane.cutover")},
	{name: "resolver unreachable", phase: p3, setup: func(w *world) { w.rs.Behave(dnsmem.Silent); w.hushed() }, want: wants(unknown, "mx.resolvers", "spf.resolvers", "ad.resolvers", "dnssec.bogus")},
}

// with adds pairs of id and outcome.
func with(m map[string]mailproof.Outcome, pairs ...any) map[string]mailproof.Outcome {
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1].(mailproof.Outcome)
	}
	return m
}

func bigTXT() string {
	var b strings.Builder
	for i := range 8 {
		fmt.Fprintf(&b, "@ TXT \"verification-%d=%s\"\n", i, strings.Repeat("x", 220))
	}
	return b.String()
}

func manyMX() string {
	var b strings.Builder
	for i := range 11 {
		fmt.Fprintf(&b, "many MX %d mx%d.newhost.test.\n", i, i%2+1)
	}
	return strings.ReplaceAll(b.String(), "mx1.newhost", "a.newhost") + "many MX 99 b.newhost.test.\n" + func() string {
		var c strings.Builder
		for i := range 12 {
			fmt.Fprintf(&c, "many MX 50 h%d.newhost.test.\n", i)
		}
		return c.String()
	}()
}

// stale leaves the zone before the cut-over on the second server.
func (w *world) stale() {
	w.t.Helper()
	if err := w.ns2.SetZone(zoneFile(w.t, "before.zone")); err != nil {
		w.t.Fatal(err)
	}
}

func (s scenario) run(t *testing.T) Report {
	t.Helper()
	file := s.zone
	if file == "" {
		file = "moved.zone"
	}
	w := newWorld(t, s.phase, edit(t, zoneFile(t, file), s.edits...)+s.add)
	if s.setup != nil {
		s.setup(w)
	}
	return w.audit()
}

func TestScenarios(t *testing.T) {
	var mu sync.Mutex
	remedies := map[string]string{}
	seen := map[string]map[mailproof.Outcome]bool{}
	t.Run("group", func(t *testing.T) {
		for _, s := range scenarios {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				r := s.run(t)
				withinSeverity(t, r, strings.Contains(s.name, "filter"))
				for id, want := range s.want {
					f := expect(t, r, id, want)
					mu.Lock()
					if seen[id] == nil {
						seen[id] = map[mailproof.Outcome]bool{}
					}
					seen[id][want] = true
					if want == fail || want == warn {
						remedies[id+" · "+s.name] = f.Outcome.String() + "\n" + f.Remedy
						if f.Remedy == "" {
							t.Errorf("%s: no remedy", id)
						}
					}
					mu.Unlock()
				}
				for _, f := range r.Findings {
					if f.Outcome == pass && f.Remedy != "" {
						t.Errorf("%s passes with a remedy", f.Check)
					}
				}
			})
		}
	})
	t.Run("coverage", func(t *testing.T) { checkCoverage(t, seen) })
	t.Run("golden", func(t *testing.T) { golden(t, "remedies.golden", remedies) })
}

// elsewhere are outcomes that other tests of the package show, or that a check
// cannot have: "always info".
var elsewhere = map[string]string{
	"ad.scp": "always info", "mx.route": "info, where a filter keeps the MX", "dkim.unknown": "always info",
	"cl.autoconfig": "autoconfig_test.go",
	"ad.root":       "web_test.go", "ad.cert": "web_test.go", "ad.http": "web_test.go", "sts.mx": "web_test.go", "sts.id": "web_test.go", "sts.age": "web_test.go",
	"sts.fetch": "web_test.go", "dnssec.bogus": "lab_test.go", "dnssec.window": "signed_test.go", "dnssec.ds": "signed_test.go", "dane.match": "web_test.go", "mx.cert": "mxcert_test.go",
	"ttl.safe": "clock_test.go", "dkim.old": "clock_test.go", "mx.resolvers": "clock_test.go", "spf.resolvers": "clock_test.go", "ad.resolvers": "clock_test.go",
	"dmarc.tags": "needs the record that dmarc.record found",
}

// checkCoverage: every check is shown to pass, to complain, and to be unknown.
func checkCoverage(t *testing.T, seen map[string]map[mailproof.Outcome]bool) {
	for _, c := range Checks() {
		if elsewhere[c.ID] != "" {
			continue
		}
		got := seen[c.ID]
		bad := got[fail] || got[warn] || got[info]
		if !got[pass] || !bad || !got[unknown] {
			t.Errorf("%s: scenarios show %v only", c.ID, got)
		}
	}
}

func golden(t *testing.T, name string, entries map[string]string) {
	t.Helper()
	keys := make([]string, 0, len(entries))
	for k := range entries {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "== %s\n%s\n\n", k, entries[k])
	}
	path := filepath.Join("..", "testdata", "dns", name)
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, old := strings.Split(b.String(), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(got), len(old)) {
		if i >= len(got) || i >= len(old) || got[i] != old[i] {
			t.Fatalf("%s differs from line %d on (run with -update and look):\n got %q\nwant %q", name, i+1, slices.Concat(got, []string{""})[min(i, len(got))], slices.Concat(old, []string{""})[min(i, len(old))])
		}
	}
}
