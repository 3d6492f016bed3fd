package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"slices"

	"golang.org/x/text/unicode/norm"

	"github.com/mailproof/mailproof"
)

var bom = []byte("\ufeff")

// textContent makes the canonical text of the leaf with these decoded octets.
func (l *leaf) textContent(octets []byte) canonical {
	m := l.m
	utf := l.characters(octets)
	text := canonicalLines(m.utf8, utf)
	c := canonical{content: sha256.Sum256(text), size: int64(len(text))}
	if l.kind == kindHTML && len(text) > 0 {
		m.visible = visibleText(m.visible[:0], text)
		c.visible = sha256.Sum256(m.visible)
	}
	if stubText(text) {
		m.stubs++
	}
	m.utf8 = bounded(m.utf8)
	return c
}

// characters makes UTF-8 in NFC of the decoded octets, and the marks of both. It
// leaves in Hasher.utf8 room for as many octets as it returns, which may be
// these or still the decoded ones.
func (l *leaf) characters(octets []byte) []byte {
	m := l.m
	if isASCII(octets) && isASCIICharset(l.charset) {
		l.squeezeAndCount(octets)
		m.utf8 = slices.Grow(m.utf8[:0], len(octets))[:len(octets)]
		return octets
	}
	l.squeeze(octets)
	utf, clean := toUTF8(m.utf8[:0], l.charset, octets)
	if !clean {
		m.anomalies |= mailproof.AnomalyBadCharset
	}
	utf = bytes.TrimPrefix(utf, bom)
	l.countLetters(utf)
	n, highest := nonASCII(utf)
	l.nonASCII = int64(n)
	if highest >= firstCombining && !norm.NFC.IsNormal(utf) {
		utf = norm.NFC.Bytes(utf)
	}
	m.utf8 = utf
	return utf
}

// bounded keeps a buffer for the next message unless it grew beyond reason.
func bounded(b []byte) []byte {
	if cap(b) > 4*maxText {
		return nil
	}
	return b[:0]
}

// firstCombining is the first octet of U+0300 in UTF-8. No character below it is
// changed by NFC, nor does it become one with another below it: text in most
// European languages needs no closer look.
const firstCombining = 0xcc

// nonASCII returns the number of characters above U+007F in UTF-8, and the
// greatest octet.
func nonASCII(utf []byte) (n int, highest byte) {
	for _, c := range utf {
		n += int(c >> 7 & (c >> 6)) // the two top bits: the first octet of one
		highest = max(highest, c)
	}
	return n, highest
}

// canonicalLines writes to dst, which has room for as much and may be src: line
// ends (CR* LF) as LF, white space at the end of each line, blank lines at the
// end and the quoting of "From " removed.
func canonicalLines(dst, src []byte) []byte {
	n, end := 0, 0 // written, and written up to the last line that is not blank
	for at := 0; at < len(src); {
		line, lf := src[at:], false
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line, lf = line[:i], true
			at++
		}
		at += len(line)
		if len(line) > 0 && line[0] == '>' {
			line = line[fromQuote(line):]
		}
		if line = trimLine(line); len(line) > 0 {
			n += copy(dst[n:], line)
			end = n
		}
		if lf {
			dst[n] = '\n'
			n++
		}
	}
	return dst[:end]
}

// trimLine removes the white space and the CRs at the end.
func trimLine(line []byte) []byte {
	n := len(line)
	for n > 0 && (line[n-1] == ' ' || line[n-1] == '\t' || line[n-1] == '\r') {
		n--
	}
	return line[:n]
}
