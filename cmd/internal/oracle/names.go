package oracle

import (
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf16"
)

var alphabet = base64.RawStdEncoding

// toWire writes a folder name in modified UTF-7.
func toWire(name string) string {
	var out strings.Builder
	var run []rune
	flush := func() {
		if len(run) == 0 {
			return
		}
		var b []byte
		for _, u := range utf16.Encode(run) {
			b = append(b, byte(u>>8), byte(u))
		}
		out.WriteString("&" + strings.ReplaceAll(alphabet.EncodeToString(b), "/", ",") + "-")
		run = nil
	}
	for _, r := range name {
		if r < 0x20 || r > 0x7e {
			run = append(run, r)
			continue
		}
		flush()
		out.WriteRune(r)
		if r == '&' {
			out.WriteByte('-')
		}
	}
	flush()
	return out.String()
}

// fromWire is the inverse of toWire.
func fromWire(wire string) (string, error) {
	var out strings.Builder
	for i := 0; i < len(wire); i++ {
		if wire[i] != '&' {
			out.WriteByte(wire[i])
			continue
		}
		end := strings.IndexByte(wire[i:], '-')
		if end < 0 {
			return "", fmt.Errorf("folder name %q is not modified UTF-7", wire)
		}
		code := wire[i+1 : i+end]
		i += end
		if code == "" {
			out.WriteByte('&')
			continue
		}
		b, err := alphabet.DecodeString(strings.ReplaceAll(code, ",", "/"))
		if err != nil || len(b)%2 != 0 {
			return "", fmt.Errorf("folder name %q is not modified UTF-7", wire)
		}
		var units []uint16
		for j := 0; j < len(b); j += 2 {
			units = append(units, uint16(b[j])<<8|uint16(b[j+1]))
		}
		out.WriteString(string(utf16.Decode(units)))
	}
	return out.String(), nil
}
