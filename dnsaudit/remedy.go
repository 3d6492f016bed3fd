package dnsaudit

import (
	"fmt"
	"sort"
	"strings"

	"github.com/miekg/dns"
)

// newTTL is the TTL in the lines that a remedy adds: short, so that a mistake
// can be taken back.
const newTTL = 300

// change collects the zone lines of a remedy. Lines to delete come first, as
// they stand in the zone.
type change struct {
	del, add []string
	note     []string
}

func (c *change) remove(rr dns.RR) { c.del = append(c.del, "delete "+record(rr)) }

func (c *change) removeAll(records []dns.RR) {
	for _, rr := range records {
		c.remove(rr)
	}
}

// create adds a line; content is what stands behind the type.
func (c *change) create(owner string, rtype uint16, content string) {
	c.add = append(c.add, fmt.Sprintf("add %s %d IN %s %s", dns.Fqdn(owner), newTTL, typeName(rtype), content))
}

func (c *change) say(format string, args ...any) {
	c.note = append(c.note, fmt.Sprintf(format, args...))
}

// String prints one line for each change.
func (c *change) String() string {
	sort.Strings(c.del)
	lines := append(append(append([]string(nil), c.del...), c.add...), c.note...)
	return strings.Join(lines, "\n")
}

// txtContent writes text as the content of a TXT record, in strings of at most
// 255 octets (RFC 1035 §3.3.14).
func txtContent(text string) string {
	var parts []string
	for len(text) > 255 {
		parts = append(parts, quote(text[:255]))
		text = text[255:]
	}
	return strings.Join(append(parts, quote(text)), " ")
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// hostContent is a host name as it stands in a zone. A pattern names no host:
// the provider tells the customer which it is.
func hostContent(pattern, domain string, p Profile) string {
	host := expand(pattern, domain)
	if strings.Contains(host, "*") {
		return fmt.Sprintf("%s. ; the host that %s shows for %s in place of *", strings.TrimSuffix(host, "."), p.Title(), display(domain))
	}
	return dns.Fqdn(host)
}
