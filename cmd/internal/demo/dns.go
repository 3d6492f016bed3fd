package demo

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// zone is the domain of the company, whose mail is with one provider.
func zone(serial int, provider string) string {
	return fmt.Sprintf(`$ORIGIN northgate.example.
$TTL 300
@ SOA ns1.northgate.example. hostmaster.northgate.example. %d 14400 3600 604800 300
@ NS ns1.northgate.example.
ns1 A 192.0.2.53
@ MX 10 mx1.%[2]s.
@ TXT "v=spf1 include:spf.%[2]s -all"
autodiscover CNAME autodiscover.%[2]s.
_dmarc TXT "v=DMARC1; p=none; rua=mailto:dmarc@northgate.example"
`, serial, provider)
}

// provider is the zone of a mail provider.
func provider(name string, net int) string {
	return fmt.Sprintf(`$ORIGIN %[1]s.
$TTL 3600
@ SOA ns1.%[1]s. hostmaster.%[1]s. 1 14400 3600 604800 300
@ NS ns1.%[1]s.
ns1 A 192.0.2.53
mx1 A 20.30.%[2]d.25
spf TXT "v=spf1 ip4:20.30.%[2]d.0/24 -all"
autodiscover A 20.30.%[2]d.80
`, name, net)
}

const profile = `[[provider]]
id = "%[1]s"
name = "%[2]s"
mx = [["mx1.%[3]s 10"]]
spf = ["spf.%[3]s"]
domains = ["%[3]s"]
autodiscover = { cname = ["autodiscover.%[3]s"], redirect = true }
source = "made up for the demo"
date = "2026-11-21"
`

func (w *World) openDNS() (err error) {
	if w.names, err = dnsmem.Start(zone(1, "oldhost.example"), provider("oldhost.example", 10), provider("meridian.example", 20)); err != nil {
		return err
	}
	for _, p := range [][3]string{{"oldhost", "OldHost", "oldhost.example"}, {"meridian", "Meridian Hosting", "meridian.example"}} {
		text := fmt.Sprintf(profile, p[0], p[1], p[2])
		if err := os.WriteFile(filepath.Join(w.dir, p[0]+".toml"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// CutOver moves the domain's records to the new provider.
func (w *World) CutOver() error { return w.names.SetZone(zone(2, "meridian.example")) }

// DNS says how to audit the demo's domain.
func (w *World) DNS(phase mailproof.Phase) engagement.DNSOptions {
	addr := w.names.Addr()
	return engagement.DNSOptions{
		Domains: []string{Domain}, Phase: phase,
		Profile: filepath.Join(w.dir, "meridian.toml"), OldProfile: filepath.Join(w.dir, "oldhost.toml"),
		Servers: map[string]string{Domain: addr, "oldhost.example": addr, "meridian.example": addr},
	}
}
