package spf

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// part is a literal, or a macro to be expanded (RFC 7208 §7.1).
type part struct {
	literal string
	letter  byte // 0 for a literal, else in lower case
	escape  bool // the letter was a capital: URL-escape the value (§7.3)
	digits  int  // number of right-hand parts kept; 0: all
	reverse bool
	delims  string
}

// HasMacro reports whether a domain-spec holds a macro whose value depends on
// the message, so that it names no one domain.
func HasMacro(domainSpec string) bool {
	parts, reason := parseMacros(domainSpec, true)
	if reason != "" {
		return true
	}
	for _, p := range parts {
		if p.letter != 0 && (p.letter != 'd' || p.escape) {
			return true
		}
	}
	return false
}

// StaticDomain expands a domain-spec that holds no macro but %{d}, whose value
// is the current domain. It reports false where the value depends on the
// message.
func StaticDomain(domainSpec, current string) (string, bool) {
	if domainSpec == "" {
		return current, true
	}
	if HasMacro(domainSpec) {
		return "", false
	}
	parts, _ := parseMacros(domainSpec, false)
	var b strings.Builder
	for _, p := range parts {
		if p.letter == 0 {
			b.WriteString(p.literal)
			continue
		}
		b.WriteString(p.transform(current))
	}
	return strings.TrimSuffix(b.String(), "."), true
}

// parseMacros reads a macro-string. The letters c, r and t are allowed in an
// explanation only. It returns why the string is wrong, or "".
func parseMacros(s string, explanation bool) ([]part, string) {
	var parts []part
	literal := func(text string) {
		if n := len(parts); n > 0 && parts[n-1].letter == 0 {
			parts[n-1].literal += text
			return
		}
		parts = append(parts, part{literal: text})
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c != '%' {
			if c < 0x21 && !(explanation && c == ' ') || c > 0x7e {
				return nil, "it holds a character that is not visible ASCII"
			}
			literal(s[i : i+1])
			continue
		}
		i++
		if i == len(s) {
			return nil, "a % stands alone at the end"
		}
		switch s[i] {
		case '%':
			literal("%")
		case '_':
			literal(" ")
		case '-':
			literal("%20")
		case '{':
			end := strings.IndexByte(s[i:], '}')
			if end < 0 {
				return nil, "a macro is not closed"
			}
			p, reason := parseMacro(s[i+1:i+end], explanation)
			if reason != "" {
				return nil, reason
			}
			parts = append(parts, p)
			i += end
		default:
			return nil, "%" + s[i:i+1] + " is no macro"
		}
	}
	return parts, ""
}

// parseMacro reads what stands between the braces.
func parseMacro(s string, explanation bool) (part, string) {
	if s == "" {
		return part{}, "a macro is empty"
	}
	p := part{letter: s[0] | 0x20, escape: s[0] >= 'A' && s[0] <= 'Z', delims: "."}
	letters := "slodiphv"
	if explanation {
		letters += "crt"
	}
	if !isAlpha(s[0]) || strings.IndexByte(letters, p.letter) < 0 {
		return p, "there is no macro letter " + strconv.Quote(s[:1]) + " here"
	}
	rest := s[1:]
	n := 0
	for n < len(rest) && isDigit(rest[n]) {
		n++
	}
	if n > 0 {
		v, err := strconv.Atoi(rest[:n])
		if err != nil {
			v = 1 << 20 // more parts than any name has
		}
		if v == 0 {
			return p, "a macro keeps zero parts"
		}
		p.digits, rest = v, rest[n:]
	}
	if rest != "" && rest[0]|0x20 == 'r' {
		p.reverse, rest = true, rest[1:]
	}
	for i := range len(rest) {
		if strings.IndexByte(".-+,/_=", rest[i]) < 0 {
			return p, strconv.Quote(rest[i:i+1]) + " is no macro delimiter"
		}
	}
	if rest != "" {
		p.delims = rest
	}
	return p, ""
}

// checkDomainSpec returns why a domain-spec is wrong, or "": it is a
// macro-string that ends in a macro or in a top label (RFC 7208 §7.1).
func checkDomainSpec(s string) string {
	if s == "" {
		return "the domain is missing"
	}
	if _, reason := parseMacros(s, false); reason != "" {
		return reason
	}
	if strings.HasSuffix(s, "}") && strings.Contains(s, "%{") {
		return ""
	}
	if strings.HasSuffix(s, "%%") || strings.HasSuffix(s, "%_") || strings.HasSuffix(s, "%-") {
		return ""
	}
	t := strings.TrimSuffix(s, ".")
	i := strings.LastIndexByte(t, '.')
	if i < 0 || !isTopLabel(t[i+1:]) {
		return "the domain does not end in a dot and a top-level label"
	}
	return ""
}

func isTopLabel(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' {
		return false
	}
	numeric := true
	for i := range len(s) {
		c := s[i]
		if !isAlpha(c) && !isDigit(c) && c != '-' {
			return false
		}
		numeric = numeric && isDigit(c)
	}
	return !numeric
}

// transform splits a value at the delimiters, reverses it, keeps the
// right-hand parts and joins them with dots (RFC 7208 §7.3).
func (p part) transform(value string) string {
	if p.digits == 0 && !p.reverse && p.delims == "." {
		return p.escaped(value)
	}
	fields := splitAny(value, p.delims)
	if p.reverse {
		for i, j := 0, len(fields)-1; i < j; i, j = i+1, j-1 {
			fields[i], fields[j] = fields[j], fields[i]
		}
	}
	if p.digits > 0 && p.digits < len(fields) {
		fields = fields[len(fields)-p.digits:]
	}
	return p.escaped(strings.Join(fields, "."))
}

// splitAny splits at each delimiter and keeps empty parts.
func splitAny(s, delims string) []string {
	var out []string
	start := 0
	for i := range len(s) {
		if strings.IndexByte(delims, s[i]) >= 0 {
			out, start = append(out, s[start:i]), i+1
		}
	}
	return append(out, s[start:])
}

// escaped applies URL escaping to all but the unreserved characters of RFC
// 3986 §2.3, where the macro letter was a capital.
func (p part) escaped(value string) string {
	if !p.escape {
		return value
	}
	var b strings.Builder
	for i := range len(value) {
		c := value[i]
		if isAlpha(c) || isDigit(c) || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

// dotted is the value of %{i}: an IPv4 address as usual, an IPv6 address as
// nibbles with dots, in capitals as the public test suite has them (DNS does
// not tell the case).
func dotted(ip netip.Addr) string {
	if ip.Is4() {
		return ip.String()
	}
	raw := ip.As16()
	var b strings.Builder
	for i, octet := range raw {
		if i > 0 {
			b.WriteByte('.')
		}
		b.WriteByte(hexDigits[octet>>4])
		b.WriteByte('.')
		b.WriteByte(hexDigits[octet&15])
	}
	return b.String()
}

const hexDigits = "0123456789ABCDEF"

// timestamp is the value of %{t}.
func timestamp(t time.Time) string { return strconv.FormatInt(t.Unix(), 10) }
