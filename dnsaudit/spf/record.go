package spf

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Version is what an SPF record starts with (RFC 7208 §4.5).
const Version = "v=spf1"

// Qualifier is the result that a matching mechanism gives (RFC 7208 §4.6.2).
type Qualifier byte

// The qualifiers.
const (
	Plus  Qualifier = '+' // pass
	Minus Qualifier = '-' // fail
	Tilde Qualifier = '~' // softfail
	Query Qualifier = '?' // neutral
)

// Kind is the name of a mechanism (RFC 7208 §5).
type Kind uint8

// The mechanisms.
const (
	All Kind = iota
	Include
	A
	MX
	PTR
	IP4
	IP6
	Exists
)

var kindNames = map[string]Kind{"all": All, "include": Include, "a": A, "mx": MX, "ptr": PTR, "ip4": IP4, "ip6": IP6, "exists": Exists}

func (k Kind) String() string {
	for name, kind := range kindNames {
		if kind == k {
			return name
		}
	}
	return "kind " + strconv.Itoa(int(k))
}

// Looks reports whether the mechanism costs one of the ten DNS lookups of RFC
// 7208 §4.6.4.
func (k Kind) Looks() bool { return k != All && k != IP4 && k != IP6 }

// Directive is one mechanism with its qualifier.
type Directive struct {
	Qualifier Qualifier
	Kind      Kind
	Domain    string       // domain-spec with its macros; empty: the current domain
	Prefix    netip.Prefix // of ip4 and ip6
	Bits4     int          // prefix length for IPv4 addresses, of a and mx; 32 where not given
	Bits6     int          // for IPv6 addresses; 128 where not given
	Text      string       // the term as it stands in the record
}

// Modifier is a name=value term (RFC 7208 §6).
type Modifier struct {
	Name  string // in lower case
	Value string
	Text  string
}

// Record is a parsed SPF record. Every term of it was checked, those after a
// match and after "all" too (RFC 7208 §4.6).
type Record struct {
	Text       string
	Directives []Directive
	Redirect   string // domain-spec; empty: none
	Exp        string // domain-spec; empty: none
	Unknown    []Modifier
}

// SyntaxError says which term of a record is wrong, and why.
type SyntaxError struct {
	Term   string // as it stands in the record
	Reason string
}

func (e *SyntaxError) Error() string {
	if e.Term == "" {
		return "spf: " + e.Reason
	}
	return fmt.Sprintf("spf: term %q: %s", e.Term, e.Reason)
}

// IsRecord reports whether a TXT record is an SPF record: "v=spf1" in any
// case, followed by a blank or the end (RFC 7208 §4.5).
func IsRecord(txt string) bool {
	return len(txt) >= len(Version) && strings.EqualFold(txt[:len(Version)], Version) &&
		(len(txt) == len(Version) || txt[len(Version)] == ' ')
}

// Parse reads an SPF record, the strings of its TXT record already joined
// (RFC 7208 §3.3). The error is a *SyntaxError.
func Parse(txt string) (*Record, error) {
	if !IsRecord(txt) {
		return nil, &SyntaxError{Reason: "the record does not start with v=spf1"}
	}
	r := &Record{Text: txt}
	redirects, exps := 0, 0
	for term := range strings.SplitSeq(txt[len(Version):], " ") {
		if term == "" {
			continue
		}
		if m, ok := cutModifier(term); ok {
			if reason := r.addModifier(m, &redirects, &exps); reason != "" {
				return nil, &SyntaxError{Term: term, Reason: reason}
			}
			continue
		}
		d, reason := parseDirective(term)
		if reason != "" {
			return nil, &SyntaxError{Term: term, Reason: reason}
		}
		r.Directives = append(r.Directives, d)
	}
	return r, nil
}

// AllAt returns the index of the first "all" among the directives, or -1. No
// directive after it is ever evaluated (RFC 7208 §5.1).
func (r *Record) AllAt() int {
	for i, d := range r.Directives {
		if d.Kind == All {
			return i
		}
	}
	return -1
}

// cutModifier parses name "=" value. A term whose name is no modifier name is
// taken for a mechanism.
func cutModifier(term string) (Modifier, bool) {
	i := strings.IndexAny(term, "=:/")
	if i <= 0 || term[i] != '=' {
		return Modifier{}, false
	}
	name := term[:i]
	if !isAlpha(name[0]) {
		return Modifier{}, false
	}
	for j := 1; j < len(name); j++ {
		if c := name[j]; !isAlpha(c) && !isDigit(c) && c != '-' && c != '_' && c != '.' {
			return Modifier{}, false
		}
	}
	return Modifier{Name: strings.ToLower(name), Value: term[i+1:], Text: term}, true
}

// addModifier returns why the modifier is wrong, or "".
func (r *Record) addModifier(m Modifier, redirects, exps *int) string {
	switch m.Name {
	case "redirect":
		*redirects++
		if *redirects > 1 {
			return "redirect appears twice (RFC 7208 §6)"
		}
		r.Redirect = m.Value
		return checkDomainSpec(m.Value)
	case "exp":
		*exps++
		if *exps > 1 {
			return "exp appears twice (RFC 7208 §6)"
		}
		r.Exp = m.Value
		return checkDomainSpec(m.Value)
	default:
		r.Unknown = append(r.Unknown, m)
		_, reason := parseMacros(m.Value, false)
		return reason
	}
}

func parseDirective(term string) (Directive, string) {
	d := Directive{Qualifier: Plus, Bits4: 32, Bits6: 128, Text: term}
	rest := term
	if strings.IndexByte("+-~?", rest[0]) >= 0 {
		d.Qualifier, rest = Qualifier(rest[0]), rest[1:]
	}
	name, arg, hasArg := rest, "", false
	cidr := ""
	if i := strings.IndexAny(rest, ":/"); i >= 0 {
		name = rest[:i]
		if rest[i] == ':' {
			arg, hasArg = rest[i+1:], true
		} else {
			cidr = rest[i:]
		}
	}
	kind, ok := kindNames[strings.ToLower(name)]
	if !ok {
		return d, "no mechanism is called " + strconv.Quote(name)
	}
	d.Kind = kind
	switch {
	case kind == A || kind == MX:
		return d, d.parseAddress(arg, cidr, hasArg)
	case cidr != "":
		return d, "a prefix length does not belong here"
	case kind == All && hasArg:
		return d, "all takes no argument"
	case kind == All:
		return d, ""
	case kind == IP4 || kind == IP6:
		return d, d.parseNetwork(arg)
	case kind == PTR && !hasArg:
		return d, ""
	default:
		d.Domain = arg
		return d, checkDomainSpec(arg)
	}
}

// parseAddress reads the argument of a and mx: [":" domain-spec]
// [dual-cidr-length] (RFC 7208 §5.3).
func (d *Directive) parseAddress(arg, cidr string, hasArg bool) string {
	if hasArg {
		arg, cidr = cutCIDR(arg)
		d.Domain = arg
		if reason := checkDomainSpec(arg); reason != "" {
			return reason
		}
	}
	if cidr == "" {
		return ""
	}
	four, six, has6 := strings.Cut(cidr, "//")
	if !has6 {
		four, six = cidr, ""
	}
	if four != "" {
		n, ok := parseBits(strings.TrimPrefix(four, "/"), 32)
		if !ok || four[0] != '/' {
			return "the IPv4 prefix length is not a number from 0 to 32"
		}
		d.Bits4 = n
	}
	if has6 {
		n, ok := parseBits(six, 128)
		if !ok {
			return "the IPv6 prefix length is not a number from 0 to 128"
		}
		d.Bits6 = n
	}
	return ""
}

// cutCIDR parts a domain-spec from the dual-cidr-length after it. A slash may
// be part of a domain-spec; what ends in a slash and digits is read as a
// length.
func cutCIDR(arg string) (domain, cidr string) {
	end := len(arg)
	for i := end; i > 0; {
		j := i
		for j > 0 && isDigit(arg[j-1]) {
			j--
		}
		if j == 0 || arg[j-1] != '/' {
			break
		}
		for j > 0 && arg[j-1] == '/' {
			j--
		}
		end, i = j, j
	}
	return arg[:end], arg[end:]
}

// parseBits reads "0" or a number without leading zeros.
func parseBits(s string, limit int) (int, bool) {
	if s == "" || len(s) > 3 || s[0] == '0' && s != "0" {
		return 0, false
	}
	for i := range len(s) {
		if !isDigit(s[i]) {
			return 0, false
		}
	}
	n, err := strconv.Atoi(s)
	return n, err == nil && n <= limit
}

// parseNetwork reads the argument of ip4 and ip6 (RFC 7208 §5.6).
func (d *Directive) parseNetwork(arg string) string {
	host, bits, hasBits := strings.Cut(arg, "/")
	addr, err := netip.ParseAddr(host)
	limit, family := 32, "IPv4"
	if d.Kind == IP6 {
		limit, family = 128, "IPv6"
	}
	if err != nil || addr.Zone() != "" || addr.Is4() != (d.Kind == IP4) {
		return strconv.Quote(host) + " is not an " + family + " address"
	}
	n := limit
	if hasBits {
		var ok bool
		if n, ok = parseBits(bits, limit); !ok {
			return fmt.Sprintf("the prefix length is not a number from 0 to %d", limit)
		}
	}
	d.Prefix = netip.PrefixFrom(addr, n).Masked()
	return ""
}

func isAlpha(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool { return c >= '0' && c <= '9' }
