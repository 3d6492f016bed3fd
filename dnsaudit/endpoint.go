package dnsaudit

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ParseEndpoint reads "HOST:PORT=IP:PORT", as given on a command line: where a
// probe reaches a host. HOST is returned as DNS holds it.
func ParseEndpoint(text string) (from, to string, err error) {
	left, right, ok := strings.Cut(text, "=")
	host, port, splitErr := net.SplitHostPort(left)
	if !ok || splitErr != nil {
		return "", "", fmt.Errorf("endpoint %q: write HOST:PORT=IP:PORT", text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return "", "", fmt.Errorf("endpoint %q: %q is no port", text, port)
	}
	if host, err = CanonicalDomain(host); err != nil {
		return "", "", fmt.Errorf("endpoint %q: %w", text, err)
	}
	addr, err := netip.ParseAddrPort(right)
	if err != nil || addr.Port() == 0 {
		return "", "", fmt.Errorf("endpoint %q: %q is not IP:PORT", text, right)
	}
	return net.JoinHostPort(host, port), addr.String(), nil
}

// route is how a probe reaches a host: at an endpoint given by hand, or at the
// addresses that DNS has for it.
type route struct {
	endpoint netip.AddrPort
	addrs    []netip.Addr
	missed   error // why there may be further addresses; nil where DNS told all
}

func (d *dossier) routeTo(ctx context.Context, host, port string) (route, error) {
	if given := d.cfg.Endpoints[net.JoinHostPort(foldName(host), port)]; given != "" {
		at, err := netip.ParseAddrPort(given)
		if err != nil {
			return route{}, fmt.Errorf("endpoint of %s: %q is not IP:PORT", host, given)
		}
		return route{endpoint: at}, nil
	}
	return d.addressesOf(ctx, host)
}

// dialRoute opens a connection, and says which address was used.
func (d *dossier) dialRoute(ctx context.Context, network string, r route, port string, used *netip.Addr) (net.Conn, error) {
	if r.endpoint.IsValid() {
		*used = r.endpoint.Addr()
		return d.cfg.Dial(ctx, network, r.endpoint.String())
	}
	return d.dialAny(ctx, network, r.addrs, port, used)
}
