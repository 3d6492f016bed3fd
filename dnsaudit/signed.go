package dnsaudit

import (
	"context"

	"github.com/miekg/dns"
)

// validation is how one resolver answers with and without validating.
type validation struct {
	checked   Reply // CD=0
	unchecked Reply // CD=1; zero where it was not needed
	retried   bool
}

// gatherSigned asks for the signatures over the records that a cut-over
// touches, where the zone has keys.
func (d *dossier) gatherSigned(ctx context.Context) {
	if !d.view(d.zone.apex, dns.TypeDNSKEY).exists() {
		return
	}
	d.signed = map[lookupKey]*View{}
	for _, k := range []lookupKey{{d.zone.apex, dns.TypeSOA}, {d.zone.apex, dns.TypeDNSKEY}, {d.domain, dns.TypeMX}, {d.domain, dns.TypeTXT}} {
		q := question{domain: d.domain, name: k.name, qtype: k.qtype, role: roleAuthoritative, dnssec: true}
		d.signed[k] = d.askAll(ctx, q)
	}
}

// gatherValidation asks each listed resolver for the zone's SOA record, which
// exists, and once more without validation where it fails.
func (d *dossier) gatherValidation(ctx context.Context) {
	for _, s := range d.net.resolvers {
		q := question{domain: d.domain, name: d.zone.apex, qtype: dns.TypeSOA, role: roleResolver, recurse: true}
		v := validation{checked: d.net.dns.Ask(ctx, q, s)}
		if v.checked.Err == nil && v.checked.RCode == dns.RcodeServerFailure {
			q.nocheck = true
			v.unchecked, v.retried = d.net.dns.Ask(ctx, q, s), true
		}
		d.checking = append(d.checking, v)
	}
}
