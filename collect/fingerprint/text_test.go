package fingerprint

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// No character below U+0300 is touched by NFC, alone or with another one before
// it: the table of x/text is asked about all of them.
func TestBelowCombining(t *testing.T) {
	first := utf8.AppendRune(nil, 0x300)[0]
	if first != firstCombining {
		t.Errorf("U+0300 begins with %#x", first)
	}
	for r := rune(0); r < 0x300; r++ {
		p := norm.NFC.PropertiesString(string(r))
		if !norm.NFC.IsNormalString(string(r)) || !p.BoundaryBefore() || p.CCC() != 0 {
			t.Errorf("%U is touched by NFC", r)
		}
	}
	if norm.NFC.IsNormalString("e\u0301") {
		t.Error("U+0301 is not touched by NFC")
	}
}

// The characters that are counted are those of the language's own loop.
func TestNonASCII(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	for range 5000 {
		var b []byte
		for range r.IntN(30) {
			b = utf8.AppendRune(b, rune(r.IntN([]int{0x80, 0x300, 0x3000, 0x20000}[r.IntN(4)])))
		}
		want, highest := 0, byte(0)
		for _, c := range string(b) {
			if c > 0x7f {
				want++
			}
		}
		for _, c := range b {
			highest = max(highest, c)
		}
		if n, h := nonASCII(b); n != want || h != highest {
			t.Fatalf("%q: %d, %#x, want %d, %#x", b, n, h, want, highest)
		}
		if isASCII(b) != (want == 0) || isASCII(string(b)) != (want == 0) {
			t.Fatalf("%q: isASCII", b)
		}
	}
}

// Octets are sifted as one by one, in place too, and in any number.
func TestSift(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	for range 500 {
		b := make([]byte, r.IntN(3*len(sieve{})))
		for i := range b {
			b[i] = byte(r.IntN([]int{256, 128, 64}[i/100%3]))
		}
		var squeezed, counted []byte
		for _, c := range b {
			if bytes.IndexByte([]byte(" \t\r\n"), c) < 0 {
				squeezed = append(squeezed, c)
			}
			if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' {
				counted = append(counted, c)
			}
		}
		var one, both leaf
		one.squeeze(b)
		one.countLetters(b)
		both.squeezeAndCount(b)
		wantS, wantL := crc32c(squeezed), crc32c(counted)
		for _, l := range []*leaf{&one, &both} {
			if l.squeezed != wantS || l.letters != wantL {
				t.Fatalf("%d octets: %08x %08x, want %08x %08x", len(b), l.squeezed, l.letters, wantS, wantL)
			}
		}
	}
}

func crc32c(b []byte) uint32 {
	crc := ^uint32(0)
	for _, c := range b {
		crc ^= uint32(c)
		for range 8 {
			crc = crc>>1 ^ 0x82f63b78*(crc&1)
		}
	}
	return ^crc
}

// canonicalLines does what the norm says of a text, line by line.
func TestCanonicalLines(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	words := []string{"a", " ", "\t", "\r", "\n", "\n", "\r\n", ">", ">>From x", "From ", ">From ", "text", "\u00fc"}
	for range 20_000 {
		var b []byte
		for range r.IntN(20) {
			b = append(b, words[r.IntN(len(words))]...)
		}
		var want []byte
		for _, line := range bytes.Split(b, []byte("\n")) {
			want = append(append(want, bytes.TrimRight(line[fromQuote(line):], " \t\r")...), '\n')
		}
		want = bytes.TrimRight(want, "\n")
		apart := canonicalLines(make([]byte, len(b)), b)
		in := bytes.Clone(b)
		inPlace := canonicalLines(in, in)
		if !bytes.Equal(apart, want) || !bytes.Equal(inPlace, want) {
			t.Fatalf("%q becomes %q, in place %q, want %q", b, apart, inPlace, want)
		}
	}
}
