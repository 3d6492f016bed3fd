package evidence

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// coder writes or reads one line of JSON. One list of calls describes a line in
// both directions, so that what is written is exactly what is read: keys in
// fixed order, no white space, strings as RFC 8785 §3.2.2.2 writes them, whole
// numbers without sign or leading zero, optional values left out where they are
// empty. There is one line for one value and one value for one line; whatever
// else JSON allows is refused.
type coder struct {
	buf     []byte // written so far; when reading: what is left
	size    int    // of the line that is read
	line    string // the line that is read: its strings are parts of it
	reading bool
	some    bool // a field came before
	err     error
}

// encode appends the line of v to buf, without a line feed.
func encode(buf []byte, v line) []byte {
	var c coder
	return c.encode(buf, v)
}

// encode is as the function of that name, for many lines one after the other.
func (c *coder) encode(buf []byte, v line) []byte {
	*c = coder{buf: buf}
	v.fields(c)
	return append(c.buf, '}')
}

// decode reads a line into v, which must be zero.
func decode(text []byte, v line) error {
	var c coder
	return c.decode(text, v)
}

// decode is as the function of that name, for many lines one after the other.
func (c *coder) decode(text []byte, v line) error {
	*c = coder{buf: text, size: len(text), line: string(text), reading: true}
	v.fields(c)
	c.expect("}")
	if c.err == nil && len(c.buf) > 0 {
		c.fail("text after the end of the object")
	}
	return c.err
}

// line is one kind of line.
type line interface{ fields(c *coder) }

func (c *coder) fail(format string, args ...any) {
	if c.err == nil {
		c.err = fmt.Errorf("octet %d: %s", c.size-len(c.buf)+1, fmt.Sprintf(format, args...))
	}
}

func (c *coder) expect(text string) {
	if c.err != nil {
		return
	}
	if len(c.buf) < len(text) || string(c.buf[:len(text)]) != text {
		c.fail("want %s", text)
		return
	}
	c.buf = c.buf[len(text):]
}

// key opens a field.
func (c *coder) key(name string) {
	open := byte(',')
	if !c.some {
		open = '{'
	}
	c.some = true
	if !c.reading {
		c.buf = append(c.buf, open, '"')
		c.buf = append(c.buf, name...)
		c.buf = append(c.buf, '"', ':')
		return
	}
	if c.err == nil && !c.at(open, name) {
		c.fail("want the key %q", name)
		return
	}
	if c.err == nil {
		c.buf = c.buf[len(name)+4:]
	}
}

func (c *coder) at(open byte, name string) bool {
	b := c.buf
	n := len(name)
	return len(b) >= n+4 && b[0] == open && b[1] == '"' && string(b[2:2+n]) == name && b[2+n] == '"' && b[3+n] == ':'
}

// optional opens a field that is there only where its value is not empty.
func (c *coder) optional(name string, some bool) bool {
	if c.reading {
		open := byte(',')
		if !c.some {
			open = '{'
		}
		some = c.err == nil && c.at(open, name)
	}
	if some {
		c.key(name)
	}
	return some
}

func (c *coder) str(name string, v *string) {
	c.key(name)
	c.stringValue(v)
}

func (c *coder) optStr(name string, v *string) {
	if c.optional(name, *v != "") {
		c.stringValue(v)
		if c.reading && c.err == nil && *v == "" {
			c.fail("%q is empty and should be left out", name)
		}
	}
}

func (c *coder) num(name string, v *int64) {
	c.key(name)
	c.numberValue(v)
}

func (c *coder) optNum(name string, v *int64) {
	if c.optional(name, *v != 0) {
		c.numberValue(v)
		if c.reading && c.err == nil && *v == 0 {
			c.fail("%q is 0 and should be left out", name)
		}
	}
}

func (c *coder) optTrue(name string, v *bool) {
	if c.optional(name, *v) {
		if c.reading {
			c.expect("true")
		} else {
			c.buf = append(c.buf, "true"...)
		}
		*v = c.err == nil
	}
}

func (c *coder) strs(name string, v *[]string) {
	c.key(name)
	c.listValue(v)
}

func (c *coder) optStrs(name string, v *[]string) {
	if c.optional(name, len(*v) > 0) {
		c.listValue(v)
		if c.reading && c.err == nil && len(*v) == 0 {
			c.fail("%q is empty and should be left out", name)
		}
	}
}

func (c *coder) listValue(v *[]string) {
	if !c.reading {
		c.buf = append(c.buf, '[')
		for i := range *v {
			if i > 0 {
				c.buf = append(c.buf, ',')
			}
			c.buf = appendString(c.buf, (*v)[i])
		}
		c.buf = append(c.buf, ']')
		return
	}
	c.expect("[")
	for c.err == nil && !bytes.HasPrefix(c.buf, []byte("]")) {
		if len(*v) > 0 {
			c.expect(",")
		}
		var s string
		c.stringValue(&s)
		*v = append(*v, s)
	}
	c.expect("]")
}

func (c *coder) stringValue(v *string) {
	if !c.reading {
		c.buf = appendString(c.buf, *v)
		return
	}
	if c.err != nil {
		return
	}
	n, plain, err := scanString(c.buf)
	if err != nil {
		c.fail("%v", err)
		return
	}
	if at := c.size - len(c.buf) + 1; plain {
		*v = c.line[at : at+n]
	} else if *v, err = unescape(c.buf[1 : 1+n]); err != nil {
		c.fail("%v", err)
		return
	}
	c.buf = c.buf[n+2:]
}

func (c *coder) numberValue(v *int64) {
	if !c.reading {
		c.buf = strconv.AppendInt(c.buf, *v, 10)
		return
	}
	if c.err != nil {
		return
	}
	n := 0
	for n < len(c.buf) && c.buf[n] >= '0' && c.buf[n] <= '9' {
		n++
	}
	x, err := strconv.ParseInt(string(c.buf[:n]), 10, 64)
	if err != nil || n > 1 && c.buf[0] == '0' {
		c.fail("want a whole number")
		return
	}
	*v, c.buf = x, c.buf[n:]
}

const hexDigits = "0123456789abcdef"

// shortEscapes are the characters with an escape of two octets.
var shortEscapes = [256]byte{'"': '"', '\\': '\\', '\b': 'b', '\t': 't', '\n': 'n', '\f': 'f', '\r': 'r'}

// appendString writes a string. What is not UTF-8 becomes U+FFFD: JSON has no
// other octets.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	plain := 0 // from here on s stands as it is
	for i := 0; i < len(s); {
		ch := s[i]
		if ch >= ' ' && ch < utf8.RuneSelf && ch != '"' && ch != '\\' {
			i++
			continue
		}
		b = append(b, s[plain:i]...)
		n := 1
		switch {
		case ch >= utf8.RuneSelf:
			var r rune
			r, n = utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
		case shortEscapes[ch] != 0:
			b = append(b, '\\', shortEscapes[ch])
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[ch>>4], hexDigits[ch&15])
		}
		i += n
		plain = i
	}
	b = append(b, s[plain:]...)
	return append(b, '"')
}

var errString = errors.New("want a string as RFC 8785 writes it")

// scanString finds the end of what appendString wrote: of so many octets between
// its quotes, which are plain where no escape is among them.
func scanString(b []byte) (n int, plain bool, err error) {
	if len(b) == 0 || b[0] != '"' {
		return 0, false, errString
	}
	b = b[1:]
	plain, ascii := true, true
	for i := 0; i < len(b); i++ {
		switch ch := b[i]; {
		case ch == '"':
			if !ascii && !utf8.Valid(b[:i]) {
				return 0, false, errors.New("the text is not UTF-8")
			}
			return i, plain, nil
		case ch < ' ':
			return 0, false, errors.New("a control character stands in a string")
		case ch == '\\':
			plain = false
			if i++; i < len(b) && b[i] >= utf8.RuneSelf {
				ascii = false
			}
		case ch >= utf8.RuneSelf:
			ascii = false
		}
	}
	return 0, false, errors.New("a string has no end")
}

func unescape(text []byte) (string, error) {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			out = append(out, text[i])
			continue
		}
		i++ // readString has seen that an octet follows
		if text[i] == 'u' {
			if i+4 >= len(text) || text[i+1] != '0' || text[i+2] != '0' {
				return "", errString
			}
			hi, lo := bytes.IndexByte([]byte(hexDigits), text[i+3]), bytes.IndexByte([]byte(hexDigits), text[i+4])
			if hi < 0 || hi > 1 || lo < 0 || shortEscapes[hi<<4|lo] != 0 {
				return "", errString
			}
			out = append(out, byte(hi<<4|lo))
			i += 4
			continue
		}
		found := false
		for ch, e := range shortEscapes {
			if e != 0 && e == text[i] {
				out, found = append(out, byte(ch)), true
				break
			}
		}
		if !found {
			return "", errString
		}
	}
	return string(out), nil
}
