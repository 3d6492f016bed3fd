package fingerprint

import (
	"bytes"
	"html"
	"unicode"
	"unicode/utf8"
)

// visibleText appends what a reader sees of HTML: the text, without comments,
// tags and the content of script, style and head, entities decoded, all white
// space removed; then a zero octet and the names of the tags that follow the
// last visible character.
//
// Where it is in doubt it takes markup for text: a comment or tag that does not
// end, an element that is not closed. The tags at the end are there because
// of messages that were cut off behind their last word: the tail of the markup
// is then not the same.
func visibleText(dst, src []byte) []byte {
	v := visible{out: dst, src: src}
	for len(v.src) > 0 {
		i := bytes.IndexByte(v.src, '<')
		if i < 0 {
			v.text(v.src)
			break
		}
		if i > 0 {
			v.text(v.src[:i])
			v.src = v.src[i:]
		}
		if n := v.markup(); n > 0 {
			v.src = v.src[n:]
			continue
		}
		v.text(v.src[:1])
		v.src = v.src[1:]
	}
	v.out = append(v.out, 0)
	return append(v.out, v.tail...)
}

type visible struct {
	out, src, tail []byte
	// Ends that were looked for and are not in the rest of the source, so that
	// none is looked for twice.
	noComment, noTag bool
	noClose          [len(hidden)]bool
}

// hidden are the elements whose content is not visible.
var hidden = [...]string{"script", "style", "head"}

// markup returns the length of the comment, declaration, tag or hidden element
// at the beginning of src; 0 if it is text.
func (v *visible) markup() int {
	s := v.src
	if bytes.HasPrefix(s, []byte("<!--")) {
		if v.noComment {
			return 0
		}
		// "<!-->" and "<!--->" are comments too (HTML §13.2.5.43).
		n := bytes.Index(s[2:], []byte("-->"))
		if n < 0 {
			v.noComment = true
			return 0
		}
		return 2 + n + 3
	}
	if len(s) < 2 || !(isLetter(s[1]) || s[1] == '/' || s[1] == '!' || s[1] == '?') || v.noTag {
		return 0
	}
	end := bytes.IndexByte(s, '>')
	if end < 0 {
		v.noTag = true
		return 0
	}
	// The name goes to the tail, and from there again if it does not count.
	before := len(v.tail)
	v.tail = appendTagName(v.tail, s[1:end])
	name := v.tail[before:]
	for i, h := range hidden {
		if string(name) == h && !v.noClose[i] {
			if n := closing(s[end+1:], h); n >= 0 {
				v.tail = v.tail[:before]
				return end + 1 + n
			}
			v.noClose[i] = true
		}
	}
	if len(name) > 0 && string(name) != "meta" && before < maxTail {
		v.tail = append(v.tail, ' ')
	} else {
		v.tail = v.tail[:before]
	}
	return end + 1
}

// maxTail is the length from which no more names of tags are kept.
const maxTail = 4096

// appendTagName appends the lower-case name of a tag, "/p" for an end tag;
// nothing for a declaration.
func appendTagName(dst, s []byte) []byte {
	n := 0
	if len(s) > 0 && s[0] == '/' {
		n = 1
	}
	for n < len(s) && (isLetter(s[n]) || s[n] >= '0' && s[n] <= '9' || s[n] == ':' || s[n] == '-') {
		n++
	}
	for _, c := range s[:n] {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// closing returns the length of s up to and with the end tag of the element;
// -1 if there is none.
func closing(s []byte, name string) int {
	for at := 0; ; {
		i := bytes.Index(s[at:], []byte("</"))
		if i < 0 {
			return -1
		}
		at += i + 2
		if len(s) >= at+len(name) && bytes.EqualFold(s[at:at+len(name)], []byte(name)) {
			end := bytes.IndexByte(s[at:], '>')
			if end < 0 {
				return -1
			}
			return at + end + 1
		}
	}
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// text appends text without its white space.
func (v *visible) text(s []byte) {
	if bytes.IndexByte(s, '&') >= 0 {
		s = []byte(html.UnescapeString(string(s)))
	}
	before := len(v.out)
	for len(s) > 0 {
		if c := s[0]; c < utf8.RuneSelf {
			if !isSpace(c) {
				v.out = append(v.out, c)
			}
			s = s[1:]
			continue
		}
		r, n := utf8.DecodeRune(s)
		if !unicode.IsSpace(r) {
			v.out = append(v.out, s[:n]...)
		}
		s = s[n:]
	}
	if len(v.out) > before {
		v.tail = v.tail[:0]
	}
}
