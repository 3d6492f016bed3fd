package fingerprint

import "encoding/binary"

// isTidy reports whether b has no HTAB and no two SP beside each other: then the
// runs of white space in it are what they are to become, but for the ends.
func isTidy(b []byte) bool {
	var before uint64 // 0x80 if the last octet was SP
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		spaces := octetsEqual(w, ' ')
		if spaces&(spaces<<8|before)|octetsEqual(w, '\t') != 0 {
			return false
		}
		before = spaces >> 56
		b = b[8:]
	}
	space := before != 0
	for _, c := range b {
		if c == '\t' || c == ' ' && space {
			return false
		}
		space = c == ' '
	}
	return true
}

// octetsEqual returns 0x80 in the place of each of the eight octets of w that
// is c, and zero in the others.
func octetsEqual(w uint64, c byte) uint64 {
	const low = 0x7f7f7f7f7f7f7f7f
	x := w ^ uint64(c)*0x0101010101010101 // zero where they are equal
	return ^((x&low + low) | x | low)     // no carry leaves its octet
}
