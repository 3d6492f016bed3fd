package fingerprint

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// mailbox is an address and the name beside it.
type mailbox struct{ name, addr string }

// addresses reads the values of an address field (RFC 5322 §3.4, §4.4). It
// takes anything: what has no structure is an address as a whole.
func addresses(values []string) []mailbox { return new(addressParser).read(nil, values) }

// addresses reads all fields of that kind; the second list is in canonical form
// and order, see addrSpecs. Both are valid until the next header begins.
func (h *header) addresses(f field) (boxes []mailbox, specs []string) {
	values := h.all(f)
	if len(values) == 0 {
		return nil, nil
	}
	n, m := len(h.boxes), len(h.specs)
	h.boxes = h.parser.read(h.boxes, values)
	boxes = h.boxes[n:]
	h.specs = addrSpecs(h.specs, boxes)
	return boxes, h.specs[m:]
}

// read appends the addresses of the values.
func (p *addressParser) read(list []mailbox, values []string) []mailbox {
	for _, v := range values {
		*p = addressParser{s: v, phrase: emptied(p.phrase), plain: emptied(p.plain)}
		list = p.list(list)
	}
	return list
}

// addrSpecs appends the addresses in canonical form and order; every one
// counts, also where it occurs twice.
func addrSpecs(out []string, list []mailbox) []string {
	n := len(out)
	for _, m := range list {
		if m.addr != "" {
			out = append(out, m.addr)
		}
	}
	slices.Sort(out[n:])
	return out
}

type addressParser struct {
	s string
	i int
	// Once a quote, comment or bracket was found to have no end, further ones
	// of its kind are plain text: so that no value takes quadratic time.
	openQuote, openComment, openAngle bool

	phrase  []byte // outside angle brackets: words, unquoted
	plain   []byte // the same as written, for an address without brackets
	comment string
	angle   string
	inAngle bool // angle was found
}

func (p *addressParser) list(out []mailbox) []mailbox {
	for p.i < len(p.s) {
		c := p.s[p.i]
		switch {
		case c == '"' && p.quoted():
		case c == '(' && p.commented():
		case c == '<' && p.angled():
		case c == '[' && p.literal():
		case c == ',' || c == ';':
			p.i++
			out = p.end(out)
		case c == ':' && !p.inAngle && bytes.IndexByte(p.plain, '@') < 0:
			p.i++ // the name of a group
			p.reset()
		default:
			n := 1 // c itself is plain, whatever it is
			for p.i+n < len(p.s) && !addressSpecials[p.s[p.i+n]] {
				n++
			}
			p.phrase = append(p.phrase, p.s[p.i:p.i+n]...)
			p.plain = append(p.plain, p.s[p.i:p.i+n]...)
			p.i += n
		}
	}
	return p.end(out)
}

// addressSpecials are the octets that list looks at.
var addressSpecials = [256]bool{'"': true, '(': true, '<': true, '[': true, ',': true, ';': true, ':': true}

func (p *addressParser) reset() {
	p.phrase, p.plain = p.phrase[:0], p.plain[:0]
	p.comment, p.angle, p.inAngle = "", "", false
}

func (p *addressParser) end(out []mailbox) []mailbox {
	var m mailbox
	if p.inAngle {
		m.name = decodeText(string(p.phrase))
		m.addr = canonicalAddress(p.angle)
	} else {
		m.name = decodeText(p.comment)
		m.addr = canonicalAddress(string(p.plain))
	}
	p.reset()
	if m.addr == "" && m.name == "" {
		return out
	}
	return append(out, m)
}

// quoted reads a quoted-string.
func (p *addressParser) quoted() bool {
	if p.openQuote {
		return false
	}
	text, n, ok := quotedString(p.s[p.i:])
	if !ok {
		p.openQuote = true
		return false
	}
	p.phrase = append(p.phrase, text...)
	p.plain = append(p.plain, p.s[p.i:p.i+n]...)
	p.i += n
	return true
}

// quotedString reads a quoted-string at the beginning of s and returns its
// content and its length.
func quotedString(s string) (text string, n int, ok bool) {
	if n := strings.IndexAny(s[1:], `"\`); n < 0 {
		return "", 0, false
	} else if s[1+n] == '"' { // nothing is escaped
		return s[1 : 1+n], n + 2, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			if i++; i < len(s) {
				b.WriteByte(s[i])
			}
		case '"':
			return b.String(), i + 1, true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", 0, false
}

// commented reads a comment, which may hold others.
func (p *addressParser) commented() bool {
	if p.openComment {
		return false
	}
	text, n, ok := commentAt(p.s[p.i:])
	if !ok {
		p.openComment = true
		return false
	}
	if p.comment == "" {
		p.comment = text
	}
	p.phrase = append(p.phrase, ' ')
	p.plain = append(p.plain, ' ')
	p.i += n
	return true
}

// commentAt reads a comment at the beginning of s and returns its content and
// its length.
func commentAt(s string) (text string, n int, ok bool) {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return s[1:i], i + 1, true
			}
		}
	}
	return "", 0, false
}

// angled reads the address in angle brackets. Of several, the first counts.
func (p *addressParser) angled() bool {
	if p.openAngle {
		return false
	}
	for i := p.i + 1; i < len(p.s); i++ {
		switch p.s[i] {
		case '"':
			if !p.openQuote {
				if _, n, ok := quotedString(p.s[i:]); ok {
					i += n - 1
				} else {
					p.openQuote = true
				}
			}
		case '>':
			if !p.inAngle {
				p.angle, p.inAngle = p.s[p.i+1:i], true
			}
			p.i = i + 1
			return true
		}
	}
	p.openAngle = true
	return false
}

// literal reads a domain literal, whose colons and commas are its own.
func (p *addressParser) literal() bool {
	n := strings.IndexByte(p.s[p.i:min(len(p.s), p.i+256)], ']')
	if n < 0 {
		return false
	}
	p.phrase = append(p.phrase, p.s[p.i:p.i+n+1]...)
	p.plain = append(p.plain, p.s[p.i:p.i+n+1]...)
	p.i += n + 1
	return true
}

// canonicalAddress returns an addr-spec without comments, route and needless
// quotes, in lower case, its domain as A-labels (RFC 5890). What is no
// addr-spec is returned as text in lower case.
func canonicalAddress(s string) string {
	s = stripComments(s)
	s = collapse(s)
	if strings.HasPrefix(s, "@") { // a route: <@a,@b:user@c>
		if colon := strings.IndexByte(s, ':'); colon >= 0 {
			s = s[colon+1:]
		}
	}
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return lower(decodeText(s))
	}
	local, domain := tightDots(s[:at]), tightDots(s[at+1:])
	if strings.HasPrefix(local, `"`) {
		if text, n, ok := quotedString(local); ok && n == len(local) && isDotAtom(text) {
			local = text
		}
	}
	local, domain = lower(text8(local)), canonicalDomain(domain)
	if s[:at] == local && s[at+1:] == domain {
		return s // as most are
	}
	return local + "@" + domain
}

// stripComments removes comments, not those inside quoted-strings.
func stripComments(s string) string {
	if !strings.Contains(s, "(") {
		return s
	}
	var b strings.Builder
	openQuote, openComment := false, false
	for i := 0; i < len(s); {
		if s[i] == '"' && !openQuote {
			if _, n, ok := quotedString(s[i:]); ok {
				b.WriteString(s[i : i+n])
				i += n
				continue
			}
			openQuote = true
		}
		if s[i] == '(' && !openComment {
			if _, n, ok := commentAt(s[i:]); ok {
				i += n
				continue
			}
			openComment = true
		}
		b.WriteByte(s[i])
		i++
	}
	return b.String()
}

// tightDots removes the white space of the obsolete syntax around dots and at
// both ends. Other white space stays: it belongs to no address.
func tightDots(s string) string {
	s = strings.Trim(s, " ")
	if !strings.Contains(s, " ") || strings.HasPrefix(s, `"`) {
		return s
	}
	s = strings.ReplaceAll(s, " .", ".")
	return strings.ReplaceAll(s, ". ", ".")
}

func isDotAtom(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] <= ' ' || s[i] == 0x7f || strings.IndexByte(`()<>[]:;@\,"`, s[i]) >= 0 {
			return false
		}
	}
	return true
}

func canonicalDomain(s string) string {
	s = strings.TrimSuffix(lower(text8(s)), ".")
	if isASCII(s) {
		return s
	}
	if a, err := idna.Punycode.ToASCII(s); err == nil {
		return a
	}
	return s
}

// text8 returns header octets as UTF-8 in NFC.
func text8(s string) string {
	if isASCII(s) {
		return s
	}
	out, _ := toUTF8(nil, "", []byte(s))
	return nfc(string(out))
}

func lower(s string) string {
	if utf8.ValidString(s) {
		return strings.ToLower(s)
	}
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
