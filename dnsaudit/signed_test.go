package dnsaudit

import (
	"crypto"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// signZone adds a key and signatures over every RRset of a zone, and returns
// the DS record for the parent.
func signZone(t *testing.T, zone, apex string, expires time.Time) (signed, ds string) {
	t.Helper()
	key := &dns.DNSKEY{Hdr: dns.RR_Header{Name: apex, Rrtype: dns.TypeDNSKEY, Class: dns.ClassINET, Ttl: 300}, Flags: 257, Protocol: 3, Algorithm: dns.ECDSAP256SHA256}
	private, err := key.Generate(256)
	if err != nil {
		t.Fatal(err)
	}
	sets := map[lookupKey][]dns.RR{{apex, dns.TypeDNSKEY}: {key}}
	lines := []string{zone, key.String()}
	parser := dns.NewZoneParser(strings.NewReader(zone), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		k := lookupKey{rr.Header().Name, rr.Header().Rrtype}
		sets[k] = append(sets[k], rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	for _, set := range sets {
		sig := &dns.RRSIG{Hdr: dns.RR_Header{Ttl: 300}, Algorithm: key.Algorithm, SignerName: apex, KeyTag: key.KeyTag(),
			Inception: uint32(testNow.Add(-30 * 24 * time.Hour).Unix()), Expiration: uint32(expires.Unix())}
		if err := sig.Sign(private.(crypto.Signer), set); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, sig.String())
	}
	return strings.Join(lines, "\n") + "\n", key.ToDS(dns.SHA256).String()
}

func TestSigned(t *testing.T) {
	const day = 24 * time.Hour
	for _, tt := range []struct {
		name    string
		expires time.Duration
		ds      func(string) string
		cutOver time.Duration
		servers func(*world)
		want    map[string]mailproof.Outcome
	}{
		{"good", 14 * day, nil, 0, nil, wants(pass, "dnssec.ds", "dnssec.window")},
		{"expires soon", 2 * day, nil, 0, nil, wants(warn, "dnssec.window")},
		{"expires at the cut-over", 11 * day, nil, 10 * day, nil, wants(warn, "dnssec.window")},
		{"expired", -day, nil, 0, nil, wants(fail, "dnssec.window")},
		{"DS of another key", 14 * day, func(string) string {
			return "example.test. 300 IN DS 12345 13 2 " + strings.Repeat("AB", 32)
		}, 0, nil, wants(fail, "dnssec.ds")},
		{"no DS", 14 * day, func(string) string { return "" }, 0, nil, wants(info, "dnssec.ds")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			zone, ds := signZone(t, zoneFile(t, "moved.zone"), "example.test.", testNow.Add(tt.expires))
			w := newWorld(t, p3, zone)
			if tt.ds != nil {
				ds = tt.ds(ds)
			}
			if err := w.root.SetZone(zoneFile(t, "test.zone") + ds + "\n"); err != nil {
				t.Fatal(err)
			}
			if tt.cutOver != 0 {
				w.cfg.CutOver = testNow.Add(tt.cutOver)
			}
			r := w.audit()
			for id, want := range tt.want {
				f := expect(t, r, id, want)
				if (want == fail || want == warn) && f.Remedy == "" {
					t.Errorf("%s: no remedy", id)
				}
			}
			expect(t, r, "mx.expected", pass)
		})
	}
}
