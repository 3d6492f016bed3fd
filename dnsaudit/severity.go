package dnsaudit

import "github.com/mailproof/mailproof"

// severities is the worst that each check says at planning, readiness and
// confirmation of what it looks for; "unknown" is possible at all of them, for
// what cannot be asked. A check that is not made at a moment has "" there.
var severities = map[string][3]string{
	"ns.lame": {"fail", "fail", "fail"}, "ns.parent": {"fail", "fail", "fail"}, "ns.rrset": {"warn", "warn", "fail"},
	"soa.negative": {"warn", "warn", "info"}, "soa.timers": {"info", "info", "info"}, "udp.tc": {"fail", "fail", "fail"},
	"dnssec.bogus": {"fail", "fail", "fail"}, "dnssec.window": {"fail", "fail", "fail"}, "dnssec.ds": {"fail", "fail", "fail"},
	"ttl.plan": {"warn", "", ""}, "ttl.ready": {"", "fail", ""}, "ttl.mixed": {"warn", "warn", "warn"}, "ttl.safe": {"", "", "unknown"},
	"mx.expected": {"warn", "warn", "fail"}, "mx.leftover": {"info", "info", "fail"}, "mx.mixed": {"fail", "fail", "fail"}, "mx.resolvers": {"info", "info", "fail"},
	"mx.cname": {"fail", "fail", "fail"}, "mx.noaddr": {"fail", "fail", "fail"}, "mx.ip": {"fail", "fail", "fail"}, "mx.private": {"fail", "fail", "fail"},
	"mx.null": {"fail", "fail", "fail"}, "mx.none": {"fail", "fail", "fail"}, "mx.dup": {"warn", "warn", "warn"}, "mx.invalid": {"fail", "fail", "fail"},
	"mx.fcrdns": {"warn", "warn", "warn"}, "mx.route": {"info", "info", "info"}, "mx.cert": {"fail", "fail", "fail"},
	"spf.multi": {"fail", "fail", "fail"}, "spf.syntax": {"fail", "fail", "fail"}, "spf.lookups": {"fail", "fail", "fail"}, "spf.void": {"fail", "fail", "fail"},
	"spf.mx10": {"fail", "fail", "fail"}, "spf.all": {"fail", "fail", "fail"}, "spf.redirect": {"warn", "warn", "warn"}, "spf.include": {"fail", "fail", "fail"},
	"spf.ptr": {"warn", "warn", "warn"}, "spf.macro": {"info", "info", "info"}, "spf.size": {"fail", "fail", "fail"}, "spf.type99": {"warn", "warn", "warn"},
	"spf.new": {"info", "fail", "fail"}, "spf.old": {"info", "info", "warn"}, "spf.resolvers": {"info", "info", "warn"},
	"ad.target": {"info", "info", "fail"}, "ad.conflict": {"fail", "fail", "fail"}, "ad.srv": {"fail", "fail", "fail"}, "ad.wildcard": {"warn", "warn", "warn"},
	"ad.resolvers": {"info", "info", "warn"}, "ad.root": {"warn", "warn", "fail"}, "ad.cert": {"warn", "warn", "fail"}, "ad.http": {"warn", "warn", "fail"}, "ad.scp": {"info", "info", "info"},
	"cl.srv": {"info", "info", "fail"}, "cl.autoconfig": {"info", "info", "warn"},
	"dkim.new": {"info", "fail", "fail"}, "dkim.key": {"fail", "fail", "fail"}, "dkim.old": {"", "", "warn"}, "dkim.unknown": {"info", "info", "info"},
	"dmarc.record": {"fail", "fail", "fail"}, "dmarc.risk": {"", "fail", ""}, "dmarc.tags": {"info", "info", "info"}, "dmarc.rua": {"fail", "fail", "fail"},
	"sts.fetch": {"fail", "fail", "fail"}, "sts.mx": {"warn", "fail", "fail"}, "sts.id": {"fail", "fail", "fail"}, "sts.age": {"warn", "", ""},
	"tlsrpt": {"warn", "warn", "warn"}, "dane.match": {"fail", "fail", "fail"}, "dane.cutover": {"fail", "fail", "fail"},
	"old.sweep":  {"info", "info", "warn"},
	CheckControl: {"", "unknown", ""}, CheckRecipients: {"", "fail", ""},
}

// withFilter are the checks that fail at every moment where a filter keeps the
// MX: there is no moment at which another exchange is right.
var withFilter = []string{"mx.expected", "mx.leftover"}

// Severity returns the worst that the check says at a moment, "" where it is
// not made then.
func (c CheckInfo) Severity(p mailproof.Phase) string {
	at := severities[c.ID]
	switch p {
	case mailproof.Planning:
		return at[0]
	case mailproof.Readiness:
		return at[1]
	case mailproof.Confirmation:
		return at[2]
	}
	return ""
}
