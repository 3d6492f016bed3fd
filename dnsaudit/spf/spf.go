// Package spf reads and judges SPF records: the sender policies that a domain
// publishes in DNS. One parser serves two quite different questions:
//
//   - [CheckHost] evaluates: may this host send this message? It stops at the
//     first mechanism that matches (RFC 7208 §4).
//   - [Analyse] walks every branch of a record and of what it includes, and
//     counts what an evaluation costs at worst, so that a person sees which
//     include to drop (RFC 7208 §4.6.4).
//
// Both ask DNS through the small [Resolver] interface and touch nothing else.
package spf

import (
	"context"
	"net/netip"
)

// Limits of RFC 7208 §4.6.4.
const (
	MaxLookups = 10 // terms that cause DNS lookups
	MaxVoid    = 2  // lookups that find nothing
	MaxMX      = 10 // address lookups under one mx
	MaxPTR     = 10 // names of one reverse lookup
)

// Resolver asks DNS. An answer without records, be it NODATA or NXDOMAIN, is
// an empty slice and no error: a void lookup. An error means that DNS could
// not tell (timeout, SERVFAIL). Names are given and returned without the final
// dot.
type Resolver interface {
	TXT(ctx context.Context, name string) ([]string, error) // the strings of each record joined
	Addresses(ctx context.Context, name string, six bool) ([]netip.Addr, error)
	MX(ctx context.Context, name string) ([]string, error) // exchanges, lowest preference first
	PTR(ctx context.Context, addr netip.Addr) ([]string, error)
}
