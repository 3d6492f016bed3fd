package fingerprint

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/emersion/go-message/charset"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// toUTF8 decodes octets in a declared charset. clean is false where the
// charset is unknown or the octets do not decode in it; then they are taken as
// UTF-8 if they are valid UTF-8, and as windows-1252 otherwise, which decodes
// anything. The result is appended to dst.
func toUTF8(dst []byte, name string, b []byte) (out []byte, clean bool) {
	name = charsetName(name)
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit", "x-unknown", "default_charset":
		declared := name == "utf-8" || name == "utf8"
		ascii := isASCII(b)
		if ascii || utf8.Valid(b) {
			return append(dst, b...), ascii || declared
		}
		return windows1252(dst, b), false
	case "iso-8859-1", "latin1":
		for _, c := range b {
			dst = utf8.AppendRune(dst, rune(c))
		}
		return dst, true
	case "windows-1252", "cp1252":
		return windows1252(dst, b), true
	}
	decode := decodeNamed
	if name == "utf-7" || name == "unicode-1-1-utf-7" {
		decode = func(dst []byte, _ string, b []byte) ([]byte, bool) { return decodeUTF7(dst, b) }
	}
	if out, ok := decode(dst, name, b); ok {
		return out, true
	}
	if utf8.Valid(b) {
		return append(dst, b...), false
	}
	return windows1252(dst, b), false
}

func charsetName(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// isASCIICharset reports whether octets below 0x80 are ASCII in a charset, so that
// toUTF8 has nothing to do but to say that they are clean.
func isASCIICharset(name string) bool {
	switch charsetName(name) {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown-8bit", "x-unknown", "default_charset", "iso-8859-1", "latin1", "windows-1252", "cp1252":
		return true
	}
	return false
}

// decodeNamed decodes in a charset that go-message knows, and fails where an
// octet sequence has no character in it.
func decodeNamed(dst []byte, name string, b []byte) ([]byte, bool) {
	r, err := charset.Reader(name, bytes.NewReader(b))
	if err != nil {
		return dst, false
	}
	start := len(dst)
	for {
		if cap(dst)-len(dst) < 512 {
			dst = append(dst, make([]byte, max(512, len(b)))...)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if err == io.EOF {
			break
		}
		if err != nil {
			return dst[:start], false
		}
	}
	if bytes.ContainsRune(dst[start:], utf8.RuneError) || !utf8.Valid(dst[start:]) {
		return dst[:start], false
	}
	return dst, true
}

var windows1252High = func() (table [128]rune) {
	for i := range table {
		table[i] = charmap.Windows1252.DecodeByte(byte(0x80 + i))
		if table[i] == utf8.RuneError {
			table[i] = rune(0x80 + i) // as the WHATWG Encoding Standard has it
		}
	}
	return table
}()

func windows1252(dst, b []byte) []byte {
	for _, c := range b {
		if c < 0x80 {
			dst = append(dst, c)
		} else {
			dst = utf8.AppendRune(dst, windows1252High[c-0x80])
		}
	}
	return dst
}

func isASCII[T string | []byte](b T) bool {
	for len(b) >= 8 { // eight at a time: the compiler makes one load of this
		c := b[:8]
		if (uint64(c[0])|uint64(c[1])<<8|uint64(c[2])<<16|uint64(c[3])<<24|
			uint64(c[4])<<32|uint64(c[5])<<40|uint64(c[6])<<48|uint64(c[7])<<56)&0x8080808080808080 != 0 {
			return false
		}
		b = b[8:]
	}
	for i := 0; i < len(b); i++ {
		if b[i] >= 0x80 {
			return false
		}
	}
	return true
}

func nfc(s string) string {
	if isASCII(s) {
		return s
	}
	return norm.NFC.String(s)
}
