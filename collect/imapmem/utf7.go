package imapmem

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

var errUTF7 = errors.New("mailbox name is not modified UTF-7")

var utf7Base64 = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").WithPadding(base64.NoPadding)

// encodeUTF7 writes a mailbox name in modified UTF-7 (RFC 3501 §5.1.3).
func encodeUTF7(name string) string {
	var out strings.Builder
	for len(name) > 0 {
		plain := strings.IndexFunc(name, func(r rune) bool { return r < ' ' || r > '~' || r == '&' })
		if plain < 0 {
			plain = len(name)
		}
		out.WriteString(name[:plain])
		name = name[plain:]
		if strings.HasPrefix(name, "&") {
			out.WriteString("&-")
			name = name[1:]
			continue
		}
		run := strings.IndexFunc(name, func(r rune) bool { return r >= ' ' && r <= '~' })
		if run < 0 {
			run = len(name)
		}
		if run > 0 {
			var octets []byte
			for _, u := range utf16.Encode([]rune(name[:run])) {
				octets = append(octets, byte(u>>8), byte(u))
			}
			out.WriteString("&" + utf7Base64.EncodeToString(octets) + "-")
			name = name[run:]
		}
	}
	return out.String()
}

// decodeUTF7 is the inverse of encodeUTF7. It refuses what encodeUTF7 would
// not have written, so that one mailbox has one name.
func decodeUTF7(name string) (string, error) {
	var out strings.Builder
	for rest := name; rest != ""; {
		plain, after, shifted := strings.Cut(rest, "&")
		out.WriteString(plain)
		if !shifted {
			break
		}
		code, next, ok := strings.Cut(after, "-")
		if !ok {
			return "", errUTF7
		}
		rest = next
		if code == "" {
			out.WriteByte('&')
			continue
		}
		octets, err := utf7Base64.DecodeString(code)
		if err != nil || len(octets)%2 != 0 {
			return "", errUTF7
		}
		units := make([]uint16, len(octets)/2)
		for i := range units {
			units[i] = uint16(octets[2*i])<<8 | uint16(octets[2*i+1])
		}
		out.WriteString(string(utf16.Decode(units)))
	}
	decoded := out.String()
	if !utf8.ValidString(decoded) || encodeUTF7(decoded) != name {
		return "", errUTF7
	}
	return decoded, nil
}
