package fingerprint

import (
	"strings"
)

// decodeText returns the text of an unstructured header value: encoded-words
// decoded (RFC 2047), NFC, white space as one space.
//
// Adjacent encoded-words in the same charset are joined as octets before they
// are decoded, as many writers cut a multibyte character in two. Anything that
// looks like an encoded-word is one, also inside a word and with white space
// in it.
func decodeText(value string) string {
	if isASCII(value) && !strings.Contains(value, "=?") {
		return collapse(value)
	}
	var (
		out     []byte
		octets  []byte // of the encoded-words read since the last flush
		charset string
		pending bool // octets is in use
	)
	flush := func() {
		if pending {
			out, _ = toUTF8(out, charset, octets)
		}
		octets, pending = octets[:0], false
	}
	for rest := value; rest != ""; {
		i := strings.Index(rest, "=?")
		if i < 0 {
			flush()
			out, _ = toUTF8(out, "", []byte(rest))
			rest = ""
			continue
		}
		word, n, ok := encodedWord(rest[i:])
		if !ok {
			n = 2 // not a word: take its "=?" as text
		}
		// White space between two encoded-words is no part of the text.
		if !ok || !pending || strings.TrimFunc(rest[:i], isSpaceRune) != "" {
			flush()
			text := rest[:i]
			if !ok {
				text = rest[:i+n]
			}
			out, _ = toUTF8(out, "", []byte(text))
		}
		rest = rest[i+n:]
		if !ok {
			continue
		}
		if pending && !strings.EqualFold(charset, word.charset) {
			flush()
		}
		charset, pending = word.charset, true
		octets = word.decode(octets)
	}
	flush()
	return collapse(nfc(string(out)))
}

func isSpaceRune(r rune) bool { return r < 0x80 && isSpace(byte(r)) }

type word struct {
	charset, text string
	base64        bool
}

// maxWord bounds the distance at which the end of an encoded-word is looked
// for, so that a value full of beginnings takes no quadratic time.
const maxWord = 4096

// encodedWord reads "=?charset[*language]?encoding?text?=" at the beginning of
// s and returns its length.
func encodedWord(s string) (w word, n int, ok bool) {
	s = s[:min(len(s), maxWord)]
	mark := strings.IndexByte(s[2:], '?')
	if mark < 1 || mark > 80 {
		return w, 0, false
	}
	w.charset, _, _ = strings.Cut(s[2:2+mark], "*")
	rest := s[2+mark+1:]
	if strings.ContainsAny(w.charset, " \t<>@,;\"=") || len(rest) < 2 || rest[1] != '?' {
		return w, 0, false
	}
	switch rest[0] {
	case 'B', 'b':
		w.base64 = true
	case 'Q', 'q':
	default:
		return w, 0, false
	}
	end := strings.Index(rest[2:], "?=")
	if end < 0 {
		return w, 0, false
	}
	w.text = rest[2 : 2+end]
	return w, 2 + mark + 1 + 2 + end + 2, true
}

// decode appends the octets of the word.
func (w word) decode(dst []byte) []byte {
	if w.base64 {
		var d base64Decoder
		dst, _ = d.decode(dst, []byte(w.text))
		dst, _ = d.end(dst)
		return dst
	}
	for i := 0; i < len(w.text); i++ {
		c := w.text[i]
		switch {
		case c == '_':
			c = ' '
		case c == '=' && i+2 < len(w.text) && hexValue[w.text[i+1]] < 16 && hexValue[w.text[i+2]] < 16:
			c = hexValue[w.text[i+1]]<<4 | hexValue[w.text[i+2]]
			i += 2
		}
		dst = append(dst, c)
	}
	return dst
}
