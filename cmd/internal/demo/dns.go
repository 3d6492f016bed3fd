package demo

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/dnsaudit/dnsmem"
)

// root delegates the three domains of the demo, each to a server of its own
// name, all of which answer at one address.
const root = `$ORIGIN .
$TTL 86400
@ SOA a.root.example. hostmaster.example. 1 14400 3600 604800 300
@ NS a.root.example.
a.root.example. A 192.0.2.1
northgate.example. NS ns1.northgate.example.
ns1.northgate.example. A 192.0.2.53
oldhost.example. NS ns1.oldhost.example.
ns1.oldhost.example. A 192.0.2.54
meridian.example. NS ns1.meridian.example.
ns1.meridian.example. A 198.51.100.54
`

// SafeAfter is how long caches may hold the old records after the cut-over:
// their TTL, which has been lowered for it.
const SafeAfter = time.Second

// zone is the domain of the company, whose mail is with one provider. Before
// the cut-over its SPF policy allows both.
func zone(serial int, provider, spf string) string {
	return fmt.Sprintf(`$ORIGIN northgate.example.
$TTL 3600
@ SOA ns1.northgate.example. hostmaster.northgate.example. %d 14400 3600 604800 300
@ NS ns1.northgate.example.
ns1 A 192.0.2.53
@ 1 MX 10 mx1.%[2]s.
@ 1 TXT "v=spf1 %[3]s -all"
autodiscover 1 CNAME autodiscover.%[2]s.
_dmarc TXT "v=DMARC1; p=none; rua=mailto:dmarc@northgate.example"
`, serial, provider, spf)
}

// provider is the zone of a mail provider.
func provider(name, net string) string {
	return fmt.Sprintf(`$ORIGIN %[1]s.
$TTL 3600
@ SOA ns1.%[1]s. hostmaster.%[1]s. 1 14400 3600 604800 300
@ NS ns1.%[1]s.
ns1 A %[2]s.54
mx1 A %[2]s.25
spf TXT "v=spf1 ip4:%[2]s.0/26 -all"
autodiscover A %[2]s.80
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
	if w.root, err = dnsmem.Start(root); err != nil {
		return err
	}
	if w.names, err = dnsmem.Start(zone(1, "oldhost.example", "include:spf.oldhost.example include:spf.meridian.example"), provider("oldhost.example", "192.0.2"), provider("meridian.example", "198.51.100")); err != nil {
		return err
	}
	var errs []error
	for _, p := range [][3]string{{"oldhost", "OldHost", "oldhost.example"}, {"meridian", "Meridian Hosting", "meridian.example"}} {
		text := fmt.Sprintf(profile, p[0], p[1], p[2])
		errs = append(errs, os.WriteFile(filepath.Join(w.dir, p[0]+".toml"), []byte(text), 0o644))
	}
	return errors.Join(errs...)
}

// CutOver moves the domain's records to the new provider.
func (w *World) CutOver() error {
	return w.names.SetZone(zone(2, "meridian.example", "include:spf.meridian.example"))
}

// DNS says how to audit the demo's domain.
func (w *World) DNS(phase mailproof.Phase) engagement.DNSOptions {
	names := w.names.Addr()
	return engagement.DNSOptions{
		Domains: []string{Domain}, Phase: phase,
		Profile: filepath.Join(w.dir, "meridian.toml"), OldProfile: filepath.Join(w.dir, "oldhost.toml"),
		Servers: map[string]string{
			".": w.root.Addr(), "a.root.example": w.root.Addr(),
			"ns1.northgate.example": names, "ns1.oldhost.example": names, "ns1.meridian.example": names,
		},
		// The addresses kept for documentation (RFC 5737) play public ones.
		Public: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24")},
	}
}
