package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"
	"strings"

	"github.com/mailproof/mailproof"
)

// kind is the rule by which the content of a leaf becomes canonical. It is
// part of the leaf's hash.
type kind uint8

const (
	kindData kind = iota // octets
	kindText             // text/* but HTML
	kindHTML             // text/html
)

var kindNames = [...]string{kindData: "data", kindText: "text", kindHTML: "html"}

const (
	// maxText is the longest text, in decoded octets, that is taken as
	// characters. A longer one is hashed by the rule for octets.
	maxText = 1 << 20
	// decodeBuffer is how much decoded content is gathered before it is looked
	// at.
	decodeBuffer = 32 << 10
	// maxPrefixes is the number of lengths at which a checksum is kept: enough
	// for any literal.
	maxPrefixes = 24
)

var (
	crlf       = []byte("\r\n")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// leaf takes the lines of one part that is no container, decodes them and
// makes its digests. It also takes preambles and epilogues.
type leaf struct {
	m    *Hasher
	kind kind
	enc  transferEncoding

	mediaType, fileName, charset string

	b64 base64Decoder
	qp  qpDecoder
	out []byte // decoded, not yet looked at

	begun bool // a line was begun
	eol   bool // the line end of the last line is due, if another line follows

	size     int64
	octets   *digest
	eols     eolRule // text-like data, and text beyond maxText
	eolsOn   bool
	long     bool // text beyond maxText
	blank    bool // white space only
	crc      uint32
	prefixes [maxPrefixes * 4]byte
	nPrefix  int
	prefixAt int64
	squeezed uint32
	letters  uint32
	nonASCII int64
	sieve    sieve
}

func (l *leaf) begin(m *Hasher, k kind, enc transferEncoding) {
	l.m, l.kind, l.enc = m, k, enc
	l.mediaType, l.fileName, l.charset = "", "", ""
	l.b64, l.qp.nEsc, l.qp.long, l.qp.spaces = base64Decoder{}, 0, false, l.qp.spaces[:0]
	l.begun, l.eol, l.size, l.long, l.blank = false, false, 0, false, true
	l.crc, l.nPrefix, l.prefixAt, l.squeezed, l.letters, l.nonASCII = 0, 0, mailproof.FirstPrefix, 0, 0, 0
	if l.out == nil {
		l.out = make([]byte, 0, decodeBuffer+lineBuffer+maxPadding+16)
	}
	l.out = l.out[:0]
	l.octets = resetDigest(l.octets)
	l.eols.reset()
	l.eolsOn = k == kindData
	if k != kindData {
		m.text = m.text[:0]
	}
}

func (l *leaf) line(b []byte, first, last bool) {
	l.decode(b, first, last)
	if len(l.out) >= decodeBuffer {
		l.flush()
	}
}

// decode takes a line or a part of one and leaves what it stands for in out.
// The line end before a delimiter belongs to the delimiter, so one is added
// only when another line follows.
func (l *leaf) decode(b []byte, first, last bool) {
	if l.enc == base64Encoding {
		var bad bool
		if l.out, bad = l.b64.decode(l.out, b); bad {
			l.m.anomalies |= mailproof.AnomalyBadEncoding
		}
	} else {
		if first && l.eol {
			l.out = append(l.out, crlf...)
			l.eol = false
		}
		l.eol = last
		if l.enc == quotedPrintable {
			var soft, bad bool
			l.out, soft, bad = l.qp.line(l.out, b, first, last)
			l.eol = last && !soft
			if bad {
				l.m.anomalies |= mailproof.AnomalyBadEncoding
			}
		} else {
			l.out = append(l.out, b...)
		}
	}
}

// flush looks at the decoded octets.
func (l *leaf) flush() {
	b := l.out
	if len(b) == 0 {
		return
	}
	l.out = b[:0]
	l.octets.write(b)
	l.prefix(b)
	if l.kind != kindData && !l.long {
		if len(l.m.text)+len(b) <= maxText {
			l.m.text = append(l.m.text, b...)
			return
		}
		l.beyond()
	}
	if l.long {
		l.marks(b)
	}
	if l.eolsOn && l.kind == kindData && !textLike(b) {
		l.eolsOn = false
	}
	if l.eolsOn {
		l.eols.write(b)
	}
}

// beyond turns to the rule for octets: the text has become too long.
func (l *leaf) beyond() {
	l.m.anomalies |= mailproof.AnomalyTextLimit
	l.long, l.eolsOn = true, true
	l.eols.write(l.m.text)
	l.marks(l.m.text)
	l.m.text = l.m.text[:0]
}

// prefix keeps the checksums at 16, 64, 256, … octets, counts the octets and
// says whether there was one that is not white space.
func (l *leaf) prefix(b []byte) {
	if l.blank {
		l.blank = len(bytes.TrimLeft(b, " \t\r\n")) == 0
	}
	at := l.size
	l.size += int64(len(b))
	for l.nPrefix < maxPrefixes && at+int64(len(b)) >= l.prefixAt {
		n := int(l.prefixAt - at)
		l.crc = crc32.Update(l.crc, castagnoli, b[:n])
		binary.BigEndian.PutUint32(l.prefixes[4*l.nPrefix:], l.crc)
		l.nPrefix++
		l.prefixAt *= 4
		b, at = b[n:], at+int64(n)
	}
	if l.nPrefix < maxPrefixes {
		l.crc = crc32.Update(l.crc, castagnoli, b)
	}
}

// flush, textContent and beyond look at octets by means of tables: 1 stands for
// what counts.
var (
	controlTable = tableOf(func(c byte) bool { // which text has not, but for old text files (FF) and ISO-2022 (ESC)
		return c < 0x20 && !isLineSpace(c) && c != '\f' && c != 0x1b || c == 0x7f
	})
	inkTable    = tableOf(func(c byte) bool { return !isLineSpace(c) })
	letterTable = tableOf(func(c byte) bool { return isLetter(c) || c >= '0' && c <= '9' })
)

func isLineSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }

func tableOf(is func(byte) bool) *[256]byte {
	var t [256]byte
	for c := range t {
		if is(byte(c)) {
			t[c] = 1
		}
	}
	return &t
}

// textLike reports whether b has none of the control characters that text has
// not.
func textLike(b []byte) bool {
	for _, c := range b {
		if controlTable[c] != 0 {
			return false
		}
	}
	return true
}

// marks updates the checksums that explain a difference, by octets.
func (l *leaf) marks(b []byte) {
	l.squeeze(b)
	for _, c := range b {
		if c >= 0x80 {
			l.nonASCII++
		}
	}
	l.countLetters(b)
}

func (l *leaf) squeeze(b []byte) {
	for len(b) > 0 {
		n := min(len(b), len(l.sieve))
		l.squeezed = crc32.Update(l.squeezed, castagnoli, l.sieve[:sift(&l.sieve, b[:n], inkTable)])
		b = b[n:]
	}
}

func (l *leaf) countLetters(b []byte) {
	for len(b) > 0 {
		n := min(len(b), len(l.sieve))
		l.letters = crc32.Update(l.letters, castagnoli, l.sieve[:sift(&l.sieve, b[:n], letterTable)])
		b = b[n:]
	}
}

// squeezeAndCount does both of octets that are characters: what was squeezed
// out is no letter.
func (l *leaf) squeezeAndCount(b []byte) {
	for len(b) > 0 {
		n := min(len(b), len(l.sieve))
		rest := l.sieve[:sift(&l.sieve, b[:n], inkTable)]
		l.squeezed = crc32.Update(l.squeezed, castagnoli, rest)
		rest = l.sieve[:sift(&l.sieve, rest, letterTable)]
		l.letters = crc32.Update(l.letters, castagnoli, rest)
		b = b[n:]
	}
}

// sieve is where octets are sifted: a power of two of them.
type sieve [4 << 10]byte

// sift copies the octets of src, as many as a sieve has at most, that are 1 in
// the table, and returns their number. src may be the beginning of dst. Every
// octet is copied and only then counted or not: words are so short that a
// branch at each of their ends would cost more than all the copying.
func sift(dst *sieve, src []byte, table *[256]byte) int {
	const mask = len(dst) - 1 // changes no index, but spares its check
	n := 0
	for len(src) >= 8 {
		s := src[:8]
		c0, c1, c2, c3 := s[0], s[1], s[2], s[3]
		c4, c5, c6, c7 := s[4], s[5], s[6], s[7]
		n1 := n + int(table[c0])
		n2 := n1 + int(table[c1])
		n3 := n2 + int(table[c2])
		n4 := n3 + int(table[c3])
		n5 := n4 + int(table[c4])
		n6 := n5 + int(table[c5])
		n7 := n6 + int(table[c6])
		dst[n&mask], dst[n1&mask], dst[n2&mask], dst[n3&mask] = c0, c1, c2, c3
		dst[n4&mask], dst[n5&mask], dst[n6&mask], dst[n7&mask] = c4, c5, c6, c7
		n = n7 + int(table[c7])
		src = src[8:]
	}
	for _, c := range src {
		dst[n&mask] = c
		n += int(table[c])
	}
	return n
}

// eolRule is the rule for octets: line ends (CR* LF) as LF, those at the end
// left off.
type eolRule struct {
	sum      *digest
	crs, lfs int64
	size     int64 // of the canonical content
}

func (e *eolRule) reset() {
	e.sum = resetDigest(e.sum)
	e.crs, e.lfs, e.size = 0, 0, 0
}

func (e *eolRule) write(b []byte) {
	for len(b) > 0 {
		if b[0] == '\n' {
			e.crs = 0
			e.lfs++
			b = b[1:]
			continue
		}
		n := bytes.IndexByte(b, '\n')
		if n < 0 {
			n = len(b)
		}
		text := b[:n]
		for len(text) > 0 && text[len(text)-1] == '\r' {
			text = text[:len(text)-1]
		}
		if len(text) > 0 {
			e.held()
			e.sum.write(text)
			e.size += int64(len(text))
		}
		e.crs += int64(n - len(text))
		b = b[n:]
	}
}

// held writes line ends and CRs that turned out not to be at the end.
func (e *eolRule) held() {
	e.size += e.lfs + e.crs
	for ; e.lfs > 0; e.lfs-- {
		e.sum.writeByte('\n')
	}
	for ; e.crs > 0; e.crs-- {
		e.sum.writeByte('\r')
	}
}

// canonical is what a leaf contributes to the tiers.
type canonical struct {
	content mailproof.Hash // SHA-256 of the canonical content
	visible mailproof.Hash // of HTML; else zero
	size    int64          // of the canonical content
}

// end ends the content and returns its digests.
func (l *leaf) end() (canonical, mailproof.LeafDigest) {
	if l.enc == base64Encoding {
		var odd bool
		if l.out, odd = l.b64.end(l.out); odd {
			l.m.anomalies |= mailproof.AnomalyBadEncoding
		}
	}
	octets, text := l.endOctets()
	c := canonical{content: octets, size: l.size}
	switch {
	case l.kind != kindData && !l.long:
		c = l.textContent(text)
	case l.eolsOn:
		c = canonical{content: l.eols.sum.sum(), size: l.eols.size}
	}
	d := mailproof.LeafDigest{
		Type: typeName(l.mediaType), FileName: strings.Clone(cut(l.fileName, 96)), Size: l.size,
		Octets: short(octets), Content: short(c.content), Visible: short(c.visible),
		Prefixes: string(l.prefixes[:4*l.nPrefix]),
		NonASCII: l.nonASCII, Squeezed: l.squeezed, Letters: l.letters,
	}
	return c, d
}

// endOctets looks at the last of the decoded octets. It returns the hash of all,
// and, of a text, all. Most texts are not longer than what is still to be looked
// at: they are taken from where they lie.
func (l *leaf) endOctets() (octets mailproof.Hash, text []byte) {
	if l.kind == kindData || l.size > 0 {
		l.flush()
		return l.octets.sum(), l.m.text
	}
	text = l.out
	l.prefix(text)
	return sha256.Sum256(text), text
}

// typeName is a media type as the detail has it. It is a string of its own, not a
// part of a header; the usual ones are there already.
func typeName(mediaType string) string {
	if known, ok := usualTypes[mediaType]; ok {
		return known
	}
	return strings.Clone(cut(mediaType, 64))
}

var usualTypes = func() map[string]string {
	known := make(map[string]string)
	for _, t := range []string{"", "text/plain", "text/html", "text/calendar", "message/rfc822", "image/png", "image/jpeg", "image/gif",
		"application/pdf", "application/octet-stream", "application/pkcs7-signature", "application/pgp-signature"} {
		known[t] = t
	}
	return known
}()

// cut shortens s to at most n octets of valid UTF-8, on a rune boundary.
func cut(s string, n int) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}
