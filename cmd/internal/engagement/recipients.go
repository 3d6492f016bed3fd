package engagement

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit"
)

// RecipientOptions say which addresses the destination is asked about.
type RecipientOptions struct {
	File  string            // one address a line; empty: nothing is asked
	From  string            // envelope sender; empty: the null reverse-path
	Hosts map[string]string // exchange → IP:PORT
}

// AddHost adds "HOST=IP[:PORT]", as given on a command line; the port is 25.
func (o *RecipientOptions) AddHost(text string) error {
	host, addr, ok := strings.Cut(text, "=")
	if !ok || host == "" {
		return fmt.Errorf("mail server %q: write HOST=IP:PORT", text)
	}
	if ip, err := netip.ParseAddr(strings.Trim(addr, "[]")); err == nil {
		addr = netip.AddrPortFrom(ip, 25).String()
	} else if _, err := netip.ParseAddrPort(addr); err != nil {
		return fmt.Errorf("mail server %q: %q is not IP or IP:PORT", text, addr)
	}
	if _, err := dnsaudit.CanonicalDomain(host); err != nil {
		return fmt.Errorf("mail server %q: %w", text, err)
	}
	if o.Hosts == nil {
		o.Hosts = map[string]string{}
	}
	o.Hosts[host] = addr
	return nil
}

// CheckRecipients asks the destination's mail server about every address of
// the file. No mail is sent.
func CheckRecipients(ctx context.Context, o DNSOptions, r RecipientOptions) (findings []mailproof.Finding, err error) {
	f, err := os.Open(r.File)
	if err != nil {
		return nil, fmt.Errorf("recipients: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	addresses, err := dnsaudit.ParseRecipients(f)
	if err != nil {
		return nil, fmt.Errorf("recipients: %s: %w", r.File, err)
	}
	if o.Profile == "" && len(r.Hosts) == 0 {
		return nil, errors.New("recipients: which mail server is the destination's? name its profile, or the server with --smtp HOST=IP:PORT")
	}
	cfg := dnsaudit.Config{Profile: dnsaudit.Profile{ID: "destination"}, Servers: o.Servers, Resolvers: o.Resolvers, Timeout: o.Timeout}
	if o.Profile != "" {
		if cfg, err = o.config(); err != nil {
			return nil, err
		}
	}
	findings, _, err = dnsaudit.Recipients(ctx, cfg, dnsaudit.RecipientConfig{Recipients: addresses, From: r.From, Hosts: r.Hosts})
	return findings, err
}
