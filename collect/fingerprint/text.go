package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/mailproof/mailproof"
)

var bom = []byte("\ufeff")

// textContent makes the canonical text of the leaf whose decoded octets are in
// Hasher.text.
func (l *leaf) textContent() canonical {
	m := l.m
	l.squeeze(m.text)
	utf, clean := toUTF8(m.utf8[:0], l.charset, m.text)
	if !clean {
		m.anomalies |= mailproof.AnomalyBadCharset
	}
	utf = bytes.TrimPrefix(utf, bom)
	l.countLetters(utf)
	if !isASCII(utf) {
		l.nonASCII = int64(countNonASCII(utf))
		if !norm.NFC.IsNormal(utf) {
			utf = norm.NFC.Bytes(utf)
		}
	}
	text := canonicalLines(utf)
	c := canonical{content: sha256.Sum256(text), size: int64(len(text))}
	if l.kind == kindHTML && len(text) > 0 {
		m.visible = visibleText(m.visible[:0], text)
		c.visible = sha256.Sum256(m.visible)
	}
	if stubText(text) {
		m.stubs++
	}
	m.utf8 = bounded(utf)
	return c
}

// bounded keeps a buffer for the next message unless it grew beyond reason.
func bounded(b []byte) []byte {
	if cap(b) > 4*maxText {
		return nil
	}
	return b[:0]
}

func countNonASCII(b []byte) int {
	n := 0
	for _, c := range b {
		if c >= utf8.RuneSelf && c&0xc0 != 0x80 {
			n++
		}
	}
	return n
}

// canonicalLines works in place: line ends (CR* LF) as LF, white space at the
// end of each line, blank lines at the end and the quoting of "From " removed.
func canonicalLines(b []byte) []byte {
	out, end := b[:0], 0
	for len(b) > 0 {
		line, rest, found := bytes.Cut(b, []byte{'\n'})
		if q := fromQuote(line); q > 0 {
			line = line[q:]
		}
		n := len(line)
		for n > 0 && (line[n-1] == ' ' || line[n-1] == '\t' || line[n-1] == '\r') {
			n--
		}
		out = append(out, line[:n]...)
		if n > 0 {
			end = len(out)
		}
		if found {
			out = append(out, '\n')
		}
		b = rest
	}
	return out[:end]
}
