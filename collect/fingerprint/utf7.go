package fingerprint

import (
	"unicode/utf16"
	"unicode/utf8"
)

// decodeUTF7 decodes UTF-7 (RFC 2152), which old mail has and no library here
// knows. It fails where the octets are not UTF-7; the direct characters are
// all of ASCII but "+".
func decodeUTF7(dst, b []byte) ([]byte, bool) {
	start := len(dst)
	for i := 0; i < len(b); {
		c := b[i]
		i++
		if c >= 0x80 {
			return dst[:start], false
		}
		if c != '+' {
			dst = append(dst, c)
			continue
		}
		if i < len(b) && b[i] == '-' {
			dst = append(dst, '+')
			i++
			continue
		}
		var n int
		var ok bool
		if dst, n, ok = decodeShifted(dst, b[i:]); !ok {
			return dst[:start], false
		}
		i += n
	}
	return dst, true
}

// decodeShifted decodes a run of base64 as UTF-16 and returns its length with
// the "-" that may end it.
func decodeShifted(dst, b []byte) (out []byte, n int, ok bool) {
	var acc uint32
	var bits uint
	var high rune // a high surrogate that waits for its low one
	for n < len(b) && b64Value[b[n]] < 64 {
		acc = acc<<6 | uint32(b64Value[b[n]])
		bits += 6
		n++
		if bits < 16 {
			continue
		}
		bits -= 16
		unit := rune(acc >> bits & 0xffff)
		acc &= 1<<bits - 1
		switch {
		case high != 0:
			r := utf16.DecodeRune(high, unit)
			if r == utf8.RuneError {
				return dst, n, false
			}
			dst, high = utf8.AppendRune(dst, r), 0
		case unit >= 0xd800 && unit < 0xdc00:
			high = unit
		case unit >= 0xdc00 && unit < 0xe000 || unit == utf8.RuneError:
			return dst, n, false
		default:
			dst = utf8.AppendRune(dst, unit)
		}
	}
	if n == 0 || high != 0 || bits >= 6 || acc != 0 {
		return dst, n, false
	}
	if n < len(b) && b[n] == '-' {
		n++
	}
	return dst, n, true
}
