package fingerprint

import (
	"sort"
	"strconv"
	"strings"
)

// mediaType is what a Content-Type or Content-Disposition says (RFC 2045 §5,
// RFC 2183, RFC 2231).
type mediaType struct {
	value   string // "text/plain", "attachment": lower case
	params  map[string]string
	starred bool // a name of a parameter has a "*": RFC 2231
}

// maxParams bounds the parameters that are looked at.
const maxParams = 256

// parseMediaType reads anything; what it cannot read is left out.
func parseMediaType(s string) mediaType {
	s = stripComments(s)
	value, rest, _ := strings.Cut(s, ";")
	value = strings.ReplaceAll(strings.ReplaceAll(collapse(value), " /", "/"), "/ ", "/")
	value, more, found := strings.Cut(value, " ")
	if found { // the semicolon is missing
		rest = more + ";" + rest
	}
	m := mediaType{value: strings.ToLower(value), params: parseParams(rest)}
	for name := range m.params {
		m.starred = m.starred || strings.Contains(name, "*")
	}
	return m
}

// typeCache remembers how the usual Content-Type fields of text were read: they
// are the same in most messages. It has a bounded number of short values.
type typeCache map[string]mediaType

func (c typeCache) parse(s string) mediaType {
	if len(s) > 64 || !strings.HasPrefix(s, "text/") {
		return parseMediaType(s)
	}
	m, known := c[s]
	if !known {
		if len(c) == 64 {
			clear(c)
		}
		s = strings.Clone(s) // it may be part of a large header
		m = parseMediaType(s)
		c[s] = m
	}
	return m
}

func parseParams(rest string) (params map[string]string) {
	for n := 0; rest != "" && n < maxParams; n++ {
		var name, val string
		name, val, rest = nextParam(rest)
		if name == "" {
			continue
		}
		if params == nil {
			params = make(map[string]string)
		}
		if _, twice := params[name]; !twice {
			params[name] = val
		}
	}
	return params
}

// nextParam takes one "name=value" off s, up to the next semicolon.
func nextParam(s string) (name, value, rest string) {
	i := strings.IndexAny(s, "=;")
	if i < 0 {
		return "", "", ""
	}
	if s[i] == ';' {
		return "", "", s[i+1:]
	}
	name = strings.ToLower(removeSpace(s[:i]))
	s = strings.TrimLeftFunc(s[i+1:], isSpaceRune)
	if strings.HasPrefix(s, `"`) {
		if text, n, ok := quotedString(s); ok {
			_, rest, _ = strings.Cut(s[n:], ";")
			return name, text, rest
		}
		s = s[1:]
	}
	value, rest, _ = strings.Cut(s, ";")
	return name, strings.TrimFunc(value, isSpaceRune), rest
}

// text returns a parameter as UTF-8: as RFC 2231 writes it, or as RFC 2047
// does where it should not.
func (m mediaType) text(name string) string {
	if m.starred {
		if v, ok := m.params[name+"*"]; ok {
			return nfc(extended(v))
		}
		if v, ok := m.continued(name); ok {
			return nfc(v)
		}
	}
	return decodeText(m.params[name])
}

// octets returns a parameter as it stands, its sections joined.
func (m mediaType) octets(name string) string {
	if v, ok := m.params[name]; ok {
		return v
	}
	if !m.starred {
		return ""
	}
	v, _ := m.continued(name)
	return v
}

// continued joins the sections "name*0", "name*1*", … (RFC 2231 §3).
func (m mediaType) continued(name string) (string, bool) {
	type section struct {
		n       int
		value   string
		encoded bool
	}
	var sections []section
	for key, v := range m.params {
		index, ok := strings.CutPrefix(key, name+"*")
		if !ok {
			continue
		}
		index, encoded := strings.CutSuffix(index, "*")
		if n, err := strconv.Atoi(index); err == nil {
			sections = append(sections, section{n, v, encoded})
		}
	}
	sort.Slice(sections, func(i, j int) bool {
		a, b := sections[i], sections[j]
		return a.n < b.n || a.n == b.n && a.value < b.value
	})
	if len(sections) == 0 || sections[0].n != 0 {
		return "", false
	}
	charset, octets := "", []byte(nil)
	for i, s := range sections {
		v := s.value
		if s.encoded && i == 0 {
			charset, v = splitExtended(v)
		}
		if s.encoded {
			v = string(percentDecode(v))
		}
		octets = append(octets, v...)
	}
	out, _ := toUTF8(nil, charset, octets)
	return string(out), true
}

// extended decodes "charset'language'percent-encoded" (RFC 2231 §4).
func extended(v string) string {
	charset, v := splitExtended(v)
	out, _ := toUTF8(nil, charset, percentDecode(v))
	return string(out)
}

func splitExtended(v string) (charset, rest string) {
	parts := strings.SplitN(v, "'", 3)
	if len(parts) < 3 {
		return "", v
	}
	return parts[0], parts[2]
}

func percentDecode(s string) []byte {
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && hexValue[s[i+1]] < 16 && hexValue[s[i+2]] < 16 {
			out = append(out, hexValue[s[i+1]]<<4|hexValue[s[i+2]])
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return out
}

// transferEncoding is a Content-Transfer-Encoding (RFC 2045 §6); every unknown
// one is taken as the identity.
type transferEncoding uint8

const (
	identity transferEncoding = iota
	base64Encoding
	quotedPrintable
)

func parseTransferEncoding(s string) transferEncoding {
	s = strings.ToLower(removeSpace(stripComments(s)))
	s = strings.Trim(s, `"'`)
	s, _, _ = strings.Cut(s, ";")
	switch s {
	case "base64":
		return base64Encoding
	case "quoted-printable":
		return quotedPrintable
	}
	return identity
}
