package dnsaudit

import (
	"strings"
	"testing"
)

// The sweep names every place of the old provider, and none of the new one's.
func TestSweepNamesAll(t *testing.T) {
	w := newWorld(t, p3, zoneFile(t, "moved.zone")+forgotten)
	f := expect(t, w.audit(), "old.sweep", warn)
	for _, want := range []string{
		"mail.example.test A: 192.0.2.130, the address of mx.oldhost.test", "webmail.example.test CNAME", "example.test TXT: oldhost-verification=", "_smtp._tls.example.test TXT",
		"old1._domainkey.example.test CNAME", "(stays until the cut-over is known to be safe)", "_caldavs._tcp.example.test SRV", "example.test NS: ns.oldhost.test",
	} {
		if !strings.Contains(f.Observed, want) {
			t.Errorf("%q is not in\n%s", want, f.Observed)
		}
	}
	if strings.Contains(f.Observed, "9999") {
		t.Errorf("a date that nobody knows: %s", f.Observed)
	}
	for _, not := range []string{"imap.example.test", "newhost"} {
		if strings.Contains(f.Observed, not) {
			t.Errorf("%q is in\n%s", not, f.Observed)
		}
	}
	for _, want := range []string{"delete mail.example.test. 300 IN A 192.0.2.130", "delete webmail.example.test. 300 IN CNAME autodiscover.oldhost.test.", "move the zone"} {
		if !strings.Contains(f.Remedy, want) {
			t.Errorf("%q is not in\n%s", want, f.Remedy)
		}
	}
	if strings.Contains(f.Remedy, "old1._domainkey") {
		t.Errorf("the old key must stay for mail under way:\n%s", f.Remedy)
	}
}

func TestHostTokens(t *testing.T) {
	got := strings.Join(hostTokens(`v=spf1 include:_spf.a.test a:b.test/24 mailto:x@c.test!10m zoho=zb1.zmverify.d.test; (e.test.) plain`), " ")
	if want := "_spf.a.test b.test c.test zb1.zmverify.d.test e.test"; got != want {
		t.Errorf("%s", got)
	}
}
