package imapconn

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Bounds on what a server may make us hold in memory, outside of bodies.
const (
	maxLine     = 1 << 20 // one line of a response
	maxLiteral  = 64 << 10
	maxResponse = 4 << 20 // a response with all its literals
	maxDepth    = 32      // nested lists
)

// kind of a value in a response.
type valueKind uint8

const (
	atom valueKind = iota
	text           // quoted or literal
	list
)

// value is a datum of a response (RFC 9051 §4). NIL is an atom.
type value struct {
	kind valueKind
	str  string
	list []value
}

func (v value) isNIL() bool { return v.kind == atom && strings.EqualFold(v.str, "NIL") }

// nstring returns the text of a string or atom, and "" for NIL.
func (v value) nstring() string {
	if v.isNIL() || v.kind == list {
		return ""
	}
	return v.str
}

func (v value) number() (uint64, bool) {
	if v.kind == list {
		return 0, false
	}
	n, err := strconv.ParseUint(v.str, 10, 64)
	return n, err == nil
}

// part is a piece of a response: text up to a literal, and the literal.
type part struct {
	text    string
	literal string
	has     bool // a literal follows the text
}

// response is an untagged response that a command of our own asked for.
type response struct {
	name   string      // LIST, STATUS, EXISTS …
	number uint32      // of EXISTS and the like
	values []value     // what follows the name
	status *status     // of OK, NO, BAD, BYE
	gmail  gmailRecord // of a FETCH that a command of our own asked for
}

var errNesting = errors.New("lists are nested too deep")

// parseValues reads the data of a response leniently: any number of blanks, an
// atom is whatever is neither blank, quote nor parenthesis. Unbalanced lists
// and quotes are errors, as something is missing there.
func parseValues(parts []part) ([]value, error) {
	stack := [][]value{nil}
	add := func(v value) { stack[len(stack)-1] = append(stack[len(stack)-1], v) }
	for _, p := range parts {
		s := p.text
		for i := 0; i < len(s); {
			switch c := s[i]; c {
			case ' ', '\t':
				i++
			case '(':
				if len(stack) > maxDepth {
					return nil, errNesting
				}
				stack = append(stack, nil)
				i++
			case ')':
				if len(stack) == 1 {
					return nil, errors.New("closing parenthesis without an opening one")
				}
				inner := stack[len(stack)-1]
				stack = stack[:len(stack)-1]
				add(value{kind: list, list: inner})
				i++
			case '"':
				str, n, ok := unquote(s[i:])
				if !ok {
					return nil, errors.New("quoted string without an end")
				}
				add(value{kind: text, str: str})
				i += n
			default:
				n := strings.IndexAny(s[i:], " \t()\"")
				if n < 0 {
					n = len(s) - i
				}
				add(value{str: s[i : i+n]})
				i += n
			}
		}
		if p.has {
			add(value{kind: text, str: p.literal})
		}
	}
	if len(stack) != 1 {
		return nil, errors.New("list without an end")
	}
	return stack[0], nil
}

// unquote reads the quoted string that s begins with and returns how long it
// was with its quotes.
func unquote(s string) (str string, n int, ok bool) {
	if end := strings.IndexAny(s[1:], `"\`); end >= 0 && s[1+end] == '"' {
		return s[1 : 1+end], end + 2, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return b.String(), i + 1, true
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return "", 0, false
}

// literalAtEnd returns the size of the literal that a line announces at its
// end, and the line without the announcement. A brace within a quoted string
// announces nothing. big says that the size is beyond any number.
func literalAtEnd(line string) (before string, size int64, found bool, err error) {
	if !strings.HasSuffix(line, "}") {
		return line, 0, false, nil
	}
	open := strings.LastIndexByte(line, '{')
	if open < 0 || inQuotes(line[:open]) {
		return line, 0, false, nil
	}
	digits := strings.TrimSuffix(line[open+1:len(line)-1], "+")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return line, 0, false, nil
	}
	before = strings.TrimSuffix(line[:open], "~") // of a literal8, RFC 3516
	if before != "" && !strings.HasSuffix(before, " ") && !strings.HasSuffix(before, "(") && !strings.HasSuffix(before, "\t") {
		return line, 0, false, nil // the tail of an atom
	}
	size, perr := strconv.ParseInt(digits, 10, 64)
	if perr != nil {
		return "", 0, false, fmt.Errorf("literal of %s octets announced", printable(digits))
	}
	return before, size, true, nil
}

func inQuotes(s string) bool {
	in := false
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			in = !in
		case '\\':
			if in {
				i++
			}
		}
	}
	return in
}

// parseStatus reads what follows the tag of a status response: "NO
// [TRYCREATE] no such mailbox". ok is false where it is none.
func parseStatus(s string) (st status, ok bool) {
	s = strings.TrimLeft(s, " \t")
	typ, rest, _ := strings.Cut(s, " ")
	switch st.typ = strings.ToUpper(typ); st.typ {
	case "OK", "NO", "BAD", "BYE", "PREAUTH":
	default:
		return st, false
	}
	rest = strings.TrimSpace(rest)
	if !strings.HasPrefix(rest, "[") {
		st.text = rest
		return st, true
	}
	body, after := rest[1:], ""
	if end := closingBracket(body); end >= 0 {
		body, after = body[:end], strings.TrimSpace(body[end+1:])
		code, args, _ := strings.Cut(body, " ")
		st.code, st.args, st.text = strings.ToUpper(code), strings.TrimSpace(args), after
		return st, true
	}
	// Without a closing bracket the first word is the code, as far as it looks
	// like one.
	code, text, _ := strings.Cut(body, " ")
	if code == "" || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789") != "" {
		st.text = rest
		return st, true
	}
	st.code, st.text = code, strings.TrimSpace(text)
	return st, true
}

// closingBracket finds the end of a response code. Within a list of flags a
// bracket is part of a flag: Cyrus lists a keyword "a]b".
func closingBracket(s string) int {
	depth, end := 0, -1
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '(':
			depth++
		case ')':
			depth--
		case ']':
			if depth <= 0 {
				return i
			}
			if end < 0 {
				end = i
			}
		}
	}
	return end
}
