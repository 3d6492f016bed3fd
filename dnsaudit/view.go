package dnsaudit

import (
	"fmt"
	"sort"
	"strings"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// View is one question as every authoritative server answered it and, where
// the name exists, as the listed resolvers do.
type View struct {
	Name    string
	Type    uint16
	Replies []Reply // one for each address of each authoritative server
	Samples []Reply // several for each resolver
	Err     error   // no server could be asked at all
}

// variant is one answer that at least one server gave with authority.
type variant struct {
	records []dns.RR
	alias   string
	nx      bool // NXDOMAIN
	servers []Server
}

// variants returns the distinct answers: the same RRset whatever the order and
// the TTL, is one (RFC 2181 §5).
func (v *View) variants() []variant {
	var out []variant
	index := map[string]int{}
	for _, r := range v.Replies {
		if !conclusive(r) {
			continue
		}
		records, alias := extract(r.Answer, v.Name, v.Type)
		key := rrsetKey(records, alias)
		if i, ok := index[key]; ok {
			out[i].servers = append(out[i].servers, r.Server)
			continue
		}
		index[key] = len(out)
		out = append(out, variant{records, alias, r.RCode == dns.RcodeNameError, []Server{r.Server}})
	}
	return out
}

// rrsetKey is the same for equal RRsets.
func rrsetKey(records []dns.RR, alias string) string {
	lines := make([]string, 0, len(records)+1)
	for _, rr := range records {
		lines = append(lines, data(rr))
	}
	sort.Strings(lines)
	return strings.Join(append(lines, "alias "+alias), "\n")
}

// data is the content of a record without owner, TTL and class, names in lower
// case.
func data(rr dns.RR) string {
	s := oneLine(strings.TrimPrefix(rr.String(), rr.Header().String()))
	switch rr.(type) {
	case *dns.TXT, *dns.SPF, *dns.RRSIG, *dns.DNSKEY:
		return s // case matters
	default:
		return strings.ToLower(s)
	}
}

// unasked returns the replies of servers that said nothing, or not what they
// hold: that is unknown.
func (v *View) unasked() []Reply {
	var out []Reply
	for _, r := range v.Replies {
		if r.Err != nil || r.Withheld {
			out = append(out, r)
		}
	}
	return out
}

// unknownType reports whether no server knows the type that was asked for: then
// none has a record of it.
func (v *View) unknownType() bool {
	for _, r := range v.Replies {
		if r.Err != nil || r.RCode != dns.RcodeNotImplemented {
			return false
		}
	}
	return len(v.Replies) > 0
}

// exists reports whether any server has a record or an alias there.
func (v *View) exists() bool {
	for _, x := range v.variants() {
		if len(x.records) > 0 || x.alias != "" {
			return true
		}
	}
	return false
}

// first returns the answer that most servers gave, or false where none
// answered.
func (v *View) first() (variant, bool) {
	all := v.variants()
	if len(all) == 0 {
		return variant{}, false
	}
	best := all[0]
	for _, x := range all[1:] {
		if len(x.servers) > len(best.servers) {
			best = x
		}
	}
	return best, true
}

// maxTTL is the largest TTL that an authoritative server gave for the records
// or the alias in their place.
func (v *View) maxTTL() uint32 {
	var ttl uint32
	for _, r := range v.Replies {
		if conclusive(r) {
			ttl = max(ttl, ttlOf(r, v.Name))
		}
	}
	return ttl
}

// ttlOf is the largest TTL of the records that name owns in a reply.
func ttlOf(r Reply, name string) uint32 {
	var ttl uint32
	for _, rr := range r.Answer {
		if dns.CanonicalName(rr.Header().Name) == name {
			ttl = max(ttl, rr.Header().Ttl)
		}
	}
	return ttl
}

// text is what the variant holds, for people.
func (x variant) text() string {
	switch {
	case x.alias != "" && len(x.records) == 0:
		return "alias of " + display(x.alias)
	case x.nx:
		return "no such name"
	case len(x.records) == 0:
		return "no record"
	}
	lines := make([]string, 0, len(x.records))
	for _, rr := range x.records {
		lines = append(lines, strings.TrimSuffix(data(rr), "."))
	}
	sort.Strings(lines)
	return shorten(strings.Join(lines, ", "))
}

// maxText bounds one value inside a finding; observations hold the rest.
const maxText = 2000

func shorten(s string) string {
	if len(s) <= maxText {
		return s
	}
	return strings.ToValidUTF8(s[:maxText], "") + "…"
}

// observed says what each server answered; servers that agree are told
// together.
func (v *View) observed() string {
	if v.Err != nil {
		return v.Err.Error()
	}
	if len(v.Replies) == 0 {
		return "not asked"
	}
	values := map[string][]string{}
	var order []string
	add := func(value string, s Server) {
		if values[value] == nil {
			order = append(order, value)
		}
		values[value] = append(values[value], s.String())
	}
	for _, x := range v.variants() {
		for _, s := range x.servers {
			add(x.text(), s)
		}
	}
	for _, r := range v.Replies {
		if !conclusive(r) {
			add(state(r), r.Server)
		}
	}
	if len(order) == 1 && len(v.Replies) > 1 {
		return fmt.Sprintf("%s (all %d servers)", order[0], len(v.Replies))
	}
	parts := make([]string, 0, len(order))
	for _, value := range order {
		parts = append(parts, strings.Join(values[value], ", ")+": "+value)
	}
	return strings.Join(parts, "; ")
}

// ruling is what a rule says of one variant.
type ruling struct {
	outcome  mailproof.Outcome
	observed string // overrides what the servers said
	remedy   string
}

// judge applies a rule to every answer that a server gave; the worst counts.
// Where a server did not answer, nothing better than unknown can be said: it
// may hold something else. A server that answers everything with errors holds
// nothing and is the business of ns.lame.
func (v *View) judge(rule func(variant) ruling) mailproof.Finding {
	f := mailproof.Finding{Outcome: mailproof.OutcomePass, Observed: v.observed()}
	variants := v.variants()
	for i, x := range variants {
		r := rule(x)
		if i == 0 || worse(r.outcome, f.Outcome) {
			f.Outcome, f.Remedy = r.outcome, r.remedy
			if r.observed != "" {
				f.Observed = r.observed
				if len(variants) > 1 {
					f.Observed = servers(x.servers) + ": " + r.observed
				}
			}
		}
	}
	switch {
	case len(variants) == 0:
		f.Outcome, f.Remedy = mailproof.OutcomeUnknown, askAgain
	case len(v.unasked()) > 0 && worse(mailproof.OutcomeUnknown, f.Outcome):
		f.Outcome, f.Remedy, f.Observed = mailproof.OutcomeUnknown, askAgain, v.observed()
	}
	return f
}

const askAgain = "make sure that the name servers answer, then run the check again"

// worse orders outcomes as verdicts do: fail, unknown, then warn, info, pass.
func worse(a, b mailproof.Outcome) bool { return rank(a) > rank(b) }

func rank(o mailproof.Outcome) int {
	switch o {
	case mailproof.OutcomeFail:
		return 5
	case mailproof.OutcomeUnknown:
		return 4
	case mailproof.OutcomeWarn:
		return 3
	case mailproof.OutcomeInfo:
		return 2
	default:
		return 1
	}
}

func servers(list []Server) string {
	out := make([]string, 0, len(list))
	for _, s := range list {
		out = append(out, s.String())
	}
	return strings.Join(out, ", ")
}

// texts returns the TXT records of a variant, the strings of each joined.
func (x variant) texts() []string {
	var out []string
	for _, rr := range x.records {
		switch rr := rr.(type) {
		case *dns.TXT:
			out = append(out, unescape(rr.Txt))
		case *dns.SPF:
			out = append(out, unescape(rr.Txt))
		}
	}
	return out
}

// unescape joins the strings of a TXT record and undoes the presentation
// escapes that miekg/dns keeps in them.
func unescape(parts []string) string {
	var b strings.Builder
	for _, s := range parts {
		for i := 0; i < len(s); i++ {
			switch {
			case s[i] != '\\':
				b.WriteByte(s[i])
			case i+3 < len(s) && digits(s[i+1:i+4]):
				b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + (s[i+3] - '0'))
				i += 3
			case i+1 < len(s):
				i++
				b.WriteByte(s[i])
			}
		}
	}
	return b.String()
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// exchange is one MX record.
type exchange struct {
	host string // canonical
	pref uint16
	ttl  uint32
}

func (x variant) exchanges() []exchange {
	var out []exchange
	for _, rr := range x.records {
		if mx, ok := rr.(*dns.MX); ok {
			out = append(out, exchange{dns.CanonicalName(mx.Mx), mx.Preference, mx.Hdr.Ttl})
		}
	}
	sort.Slice(out, func(i, j int) bool {
		if out[i].pref != out[j].pref {
			return out[i].pref < out[j].pref
		}
		return out[i].host < out[j].host
	})
	return out
}
