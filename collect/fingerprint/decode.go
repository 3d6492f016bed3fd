package fingerprint

import (
	"bytes"
	"encoding/binary"
)

// base64Decoder decodes RFC 2045 §6.8 from anything: what is not in the
// alphabet is left out, and after padding it goes on.
type base64Decoder struct {
	acc uint32
	n   uint8 // sextets in acc
}

const (
	b64Skip = 0x40 // white space
	b64Pad  = 0x41
	b64Bad  = 0x42
)

var (
	b64Value = func() (t [256]byte) {
		for i := range t {
			t[i] = b64Bad
		}
		for i, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
			t[c] = byte(i)
		}
		t['='] = b64Pad
		for _, c := range []byte(" \t\r\n") {
			t[c] = b64Skip
		}
		return t
	}()
	// b64Place has the value of each character at each of four places; the top
	// bits are set where it is none, so that one test serves four.
	b64Place = func() (t [4][256]uint32) {
		for place := range t {
			for c, v := range b64Value {
				if v < 64 {
					t[place][c] = uint32(v) << (18 - 6*place)
				} else {
					t[place][c] = 1 << 31
				}
			}
		}
		return t
	}()
)

// decode appends the octets that b stands for. bad says that b had octets
// outside the alphabet.
func (d *base64Decoder) decode(dst, b []byte) (out []byte, bad bool) {
	for len(b) > 0 {
		if d.n == 0 {
			var taken int
			dst, taken = decodeQuads(dst, b)
			b = b[taken:]
			if len(b) == 0 {
				break
			}
		}
		v := b64Value[b[0]]
		b = b[1:]
		switch {
		case v < 64:
			d.acc = d.acc<<6 | uint32(v)
			if d.n++; d.n == 4 {
				dst = append(dst, byte(d.acc>>16), byte(d.acc>>8), byte(d.acc))
				d.acc, d.n = 0, 0
			}
		case v == b64Pad:
			var odd bool
			dst, odd = d.end(dst)
			bad = bad || odd
		case v == b64Bad:
			bad = true
		}
	}
	return dst, bad
}

// decodeQuads decodes whole groups of four as far as they are clean, two at a
// time as long as there are two.
func decodeQuads(dst, b []byte) (out []byte, taken int) {
	need := len(b)/4*3 + 8 // the last store is of eight octets, six of which count
	if cap(dst)-len(dst) < need {
		dst = append(dst, make([]byte, need)...)[:len(dst)]
	}
	p := dst[len(dst):cap(dst)]
	n, i := 0, 0
	for i <= len(b)-8 && n <= len(p)-8 {
		q := b[i : i+8]
		v := uint64(b64Place[0][q[0]] | b64Place[1][q[1]] | b64Place[2][q[2]] | b64Place[3][q[3]])
		w := uint64(b64Place[0][q[4]] | b64Place[1][q[5]] | b64Place[2][q[6]] | b64Place[3][q[7]])
		if (v|w)>>31 != 0 {
			break
		}
		binary.BigEndian.PutUint64(p[n:n+8], v<<40|w<<16)
		n += 6
		i += 8
	}
	for ; i <= len(b)-4; i += 4 {
		q := b[i : i+4]
		v := b64Place[0][q[0]] | b64Place[1][q[1]] | b64Place[2][q[2]] | b64Place[3][q[3]]
		if v>>31 != 0 {
			break
		}
		p[n], p[n+1], p[n+2] = byte(v>>16), byte(v>>8), byte(v)
		n += 3
	}
	return dst[:len(dst)+n], i
}

// end appends the octets of a group that is not full: at padding, or at the
// end of the content where the padding is missing. A single character stands
// for nothing.
func (d *base64Decoder) end(dst []byte) (out []byte, odd bool) {
	switch d.n {
	case 1:
		odd = true
	case 2:
		dst = append(dst, byte(d.acc>>4))
	case 3:
		dst = append(dst, byte(d.acc>>10), byte(d.acc>>2))
	}
	d.acc, d.n = 0, 0
	return dst, odd
}

var hexValue = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range 10 {
		t['0'+i] = byte(i)
	}
	for i := range 6 {
		t['a'+i], t['A'+i] = byte(10+i), byte(10+i)
	}
	return t
}()

// qpDecoder decodes quoted-printable (RFC 2045 §6.7) line by line. A bad =XX
// stays as it is.
type qpDecoder struct {
	spaces []byte // white space that is left off if the line ends here
	long   bool   // in a run of white space longer than maxPadding
	esc    [2]byte
	nEsc   int // octets of an unfinished escape in esc
}

// maxPadding bounds the white space at the end of an encoded line that is
// taken as padding from transport (RFC 2045 §6.7 rule 3).
const maxPadding = 1000

// line takes a line or a part of one. soft, when last, says that the line
// ended in a soft break: then no line end belongs to the content.
func (d *qpDecoder) line(dst, b []byte, first, last bool) (out []byte, soft, bad bool) {
	if first && last {
		return qpLine(dst, b)
	}
	if first {
		*d = qpDecoder{spaces: d.spaces[:0]}
	}
	for _, c := range b {
		var bd bool
		dst, bd = d.octet(dst, c)
		bad = bad || bd
	}
	if !last {
		return dst, false, bad
	}
	switch {
	case d.nEsc == 1: // "=" and padding
		soft = true
	case d.nEsc == 2:
		dst = append(dst, d.esc[:2]...)
		bad = true
	}
	*d = qpDecoder{spaces: d.spaces[:0]}
	return dst, soft, bad
}

func (d *qpDecoder) octet(dst []byte, c byte) (out []byte, bad bool) {
	if c == ' ' || c == '\t' {
		if d.nEsc == 2 {
			dst = append(dst, d.esc[:2]...)
			d.nEsc, bad = 0, true
		}
		switch {
		case d.long:
			return append(dst, c), bad
		case len(d.spaces) == maxPadding:
			dst = d.flushEscape(dst)
			dst = append(append(dst, d.spaces...), c)
			d.spaces, d.long = d.spaces[:0], true
			return dst, bad
		}
		d.spaces = append(d.spaces, c)
		return dst, bad
	}
	d.long = false
	if len(d.spaces) > 0 {
		bad = bad || d.nEsc > 0
		dst = d.flushEscape(dst)
		dst = append(dst, d.spaces...)
		d.spaces = d.spaces[:0]
	}
	switch {
	case d.nEsc == 0 && c == '=':
		d.esc[0], d.nEsc = c, 1
	case d.nEsc == 0:
		dst = append(dst, c)
	case d.nEsc == 1 && hexValue[c] < 16:
		d.esc[1], d.nEsc = c, 2
	case d.nEsc == 2 && hexValue[c] < 16:
		dst = append(dst, hexValue[d.esc[1]]<<4|hexValue[c])
		d.nEsc = 0
	default:
		dst = d.flushEscape(dst)
		dst, _ = d.octet(dst, c)
		bad = true
	}
	return dst, bad
}

func (d *qpDecoder) flushEscape(dst []byte) []byte {
	dst = append(dst, d.esc[:d.nEsc]...)
	d.nEsc = 0
	return dst
}

// qpLine decodes a whole line.
func qpLine(dst, b []byte) (out []byte, soft, bad bool) {
	n := len(b)
	for n > 0 && (b[n-1] == ' ' || b[n-1] == '\t') {
		n--
	}
	if len(b)-n <= maxPadding {
		b = b[:n]
		if n > 0 && b[n-1] == '=' {
			soft = true
			b = b[:n-1]
		}
	}
	for {
		i := bytes.IndexByte(b, '=')
		if i < 0 {
			return append(dst, b...), soft, bad
		}
		dst = append(dst, b[:i]...)
		b = b[i:]
		if len(b) >= 3 && hexValue[b[1]] < 16 && hexValue[b[2]] < 16 {
			dst = append(dst, hexValue[b[1]]<<4|hexValue[b[2]])
			b = b[3:]
		} else {
			dst = append(dst, '=')
			b = b[1:]
			bad = true
		}
	}
}
