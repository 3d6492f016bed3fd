package imapconn

import (
	"encoding/base64"
	"strings"
	"sync"
	"unicode/utf16"
	"unicode/utf8"
)

// The base64 of modified UTF-7 has a comma where the usual one has a slash
// and no padding (RFC 3501 §5.1.3).
var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding).Strict()

// encodeUTF7 turns UTF-8 into modified UTF-7 (RFC 3501 §5.1.3).
func encodeUTF7(s string) string {
	var b strings.Builder
	var run []uint16
	flush := func() {
		if len(run) == 0 {
			return
		}
		raw := make([]byte, 0, 2*len(run))
		for _, u := range run {
			raw = append(raw, byte(u>>8), byte(u))
		}
		b.WriteByte('&')
		b.WriteString(utf7Base64.EncodeToString(raw))
		b.WriteByte('-')
		run = run[:0]
	}
	for _, r := range s {
		switch {
		case r == '&':
			flush()
			b.WriteString("&-")
		case r >= 0x20 && r <= 0x7e:
			flush()
			b.WriteByte(byte(r))
		default:
			run = utf16.AppendRune(run, r)
		}
	}
	flush()
	return b.String()
}

// decodeUTF7 is the inverse of encodeUTF7. ok is false where the text is not
// what encodeUTF7 makes, so that encoding the result would not give the name
// back that the server knows.
func decodeUTF7(s string) (decoded string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); {
		c := s[i]
		if c < 0x20 || c > 0x7e {
			return "", false
		}
		if c != '&' {
			b.WriteByte(c)
			i++
			continue
		}
		end := strings.IndexByte(s[i:], '-')
		if end < 0 {
			return "", false
		}
		shifted := s[i+1 : i+end]
		i += end + 1
		if shifted == "" {
			b.WriteByte('&')
			continue
		}
		raw, err := utf7Base64.DecodeString(shifted)
		if err != nil || len(raw)%2 != 0 {
			return "", false
		}
		units := make([]uint16, 0, len(raw)/2)
		for j := 0; j < len(raw); j += 2 {
			units = append(units, uint16(raw[j])<<8|uint16(raw[j+1]))
		}
		for _, r := range utf16.Decode(units) {
			b.WriteRune(r)
		}
	}
	// One comparison catches it all: lone surrogates, printable characters in
	// base64, adjacent shifts.
	decoded = b.String()
	return decoded, encodeUTF7(decoded) == s
}

// nameTable knows how a server writes the mailbox names that are not plain
// modified UTF-7, so that it is asked for them in its own octets. It outlives
// the connections of one Reader or Writer.
type nameTable struct {
	mu      sync.Mutex
	raw     map[string]string // name → octets as listed
	decoded map[string]string // octets as listed → name
	utf8    bool              // IMAP4rev2 only: names are UTF-8 (RFC 9051 §5.1)
}

// decode returns the name of what LIST gave. Two different names of the server
// never become one.
func (t *nameTable) decode(raw string) string {
	if strings.EqualFold(raw, "INBOX") {
		return "INBOX"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if name, ok := t.decoded[raw]; ok {
		return name
	}
	name, plain := decodeUTF7(raw)
	switch {
	case t.utf8 && utf8.ValidString(raw):
		name = raw
	case plain:
	case utf8.ValidString(raw):
		name = raw
	default:
		name = latin1(raw)
	}
	for other, taken := t.raw[name]; taken && other != raw; other, taken = t.raw[name] {
		name += "\uFFFD"
	}
	if t.raw == nil {
		t.raw, t.decoded = map[string]string{}, map[string]string{}
	}
	t.raw[name], t.decoded[raw] = raw, name
	return name
}

// encode returns the octets by which the server knows the name.
func (t *nameTable) encode(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if raw, ok := t.raw[name]; ok {
		return raw
	}
	if t.utf8 {
		return name
	}
	return encodeUTF7(name)
}

// encodePattern encodes a namespace's prefix for LIST. Prefixes are not in the
// table: they end in a separator.
func (t *nameTable) encodePattern(prefix string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.utf8 {
		return prefix
	}
	return encodeUTF7(prefix)
}

func (t *nameTable) decodePrefix(raw string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if name, ok := decodeUTF7(raw); ok && !t.utf8 {
		return name
	}
	return raw
}

func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}
