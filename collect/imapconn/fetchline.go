package imapconn

import (
	"bytes"
	"strconv"
	"strings"
	"time"
)

// unreadableDate stands for an INTERNALDATE that cannot be read, such as NIL
// or the 31st of February: go-imap's client closes the connection on those. It
// is no date that a message can have, and is read back as the zero time.
var unreadableDate = time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)

const dateTimeLayout = "_2-Jan-2006 15:04:05 -0700" // RFC 9051 §9, date-time

// fetchRewriter rewrites one FETCH response (RFC 9051 §7.5.2) for go-imap's
// client: known items in canonical form, unknown ones left out, their literals
// too. It is fed line by line; literals part the lines.
type fetchRewriter struct {
	mode      fetchMode
	out       []byte // canonical response, as far as it may be sent
	items     int    // items in the response
	body      bool   // it has a body section
	streaming bool   // a body literal was passed on
	uid       uint32 // that the response names; 0: none
	gmailID   uint64 // X-GM-MSGID; 0: none that can be read
	labels    labelList

	after    bool // the line follows a literal
	dropping bool // a value is being left out
	depth    int  // lists that are open within it
}

// What feed says about the end of a line.
type fetchEnd uint8

const (
	fetchDone   fetchEnd = iota // the response is complete
	literalPass                 // a body literal of size octets follows out
	literalDrop                 // a literal follows that is to be left out
	literalTell                 // a literal follows that is to be left out of the response, and handed to tell
)

// reset begins a response, with the memory of the last one.
func (f *fetchRewriter) reset(number uint32, mode fetchMode) {
	*f = fetchRewriter{mode: mode, out: f.out[:0]}
	f.labels.wanted = mode == fetchGmail
	f.out = append(f.out, "* "...)
	f.out = strconv.AppendUint(f.out, uint64(number), 10)
	f.out = append(f.out, " FETCH ("...)
}

func (f *fetchRewriter) feed(line []byte) (size int64, what fetchEnd, err error) {
	if f.after {
		// Only a blank or the end may follow a literal. Anything else shows
		// that the literal was longer or shorter than announced.
		f.after = false
		if len(line) == 0 || line[0] != ' ' && line[0] != ')' && line[0] != '\t' && !f.dropping {
			return 0, 0, malformed("%q after a literal", excerpt(line))
		}
	}
	rest := line
	for {
		if f.dropping {
			var n int64
			var literal bool
			if rest, n, literal, err = f.drop(rest); err != nil {
				return 0, 0, err
			} else if literal {
				f.after = true
				if f.labels.takes(n, f.depth) {
					return n, literalTell, nil
				}
				return n, literalDrop, nil
			}
		}
		rest = bytes.TrimLeft(rest, " \t")
		if len(rest) == 0 {
			return 0, 0, malformed("a FETCH response without an end: %q", excerpt(line))
		}
		if rest[0] == ')' {
			if len(bytes.TrimLeft(rest[1:], " \t")) > 0 {
				return 0, 0, malformed("%q after a FETCH response", excerpt(rest[1:]))
			}
			f.out = append(f.out, ")\r\n"...)
			return 0, fetchDone, nil
		}
		var literal bool
		if rest, size, literal, err = f.item(rest); err != nil {
			return 0, 0, err
		} else if literal {
			f.after = true
			return size, literalPass, nil
		}
	}
}

// item rewrites the item that rest begins with and returns what follows it.
func (f *fetchRewriter) item(rest []byte) (after []byte, size int64, literal bool, err error) {
	name, section, after, err := itemName(rest)
	if err != nil {
		return nil, 0, false, err
	}
	after = bytes.TrimLeft(after, " \t")
	switch {
	case name == "UID":
		after, err = f.number("UID", after, false)
	case name == "RFC822.SIZE":
		after, err = f.number("RFC822.SIZE", after, true)
	case name == "FLAGS":
		after, err = f.flags(after)
	case name == "INTERNALDATE":
		after, err = f.date(after)
	case name == "MODSEQ":
		after, err = f.modseq(after)
	case (name == "BODY" || name == "BODY.PEEK") && section == "[]":
		return f.section("BODY[]", after)
	case (name == "BODY" || name == "BODY.PEEK") && strings.EqualFold(section, "[HEADER]"):
		return f.section("BODY[HEADER]", after)
	default:
		switch name {
		case "X-GM-MSGID":
			f.gmailID = gmailID(after)
		case "X-GM-LABELS":
			f.labels.begin(after)
		}
		f.dropping, f.depth = true, 0
	}
	return after, 0, false, err
}

// gmailID reads the value of X-GM-MSGID, a number of 64 bits. It is left out of
// the response all the same: go-imap's client does not know it. What is no
// such number is no error, as a message without one is as well off.
func gmailID(rest []byte) uint64 {
	tok, _ := token(rest)
	n, err := strconv.ParseUint(string(tok), 10, 64)
	if err != nil {
		return 0 // ParseUint gives its greatest value for what is beyond it
	}
	return n
}

// itemName reads the name of an item with its section, "BODY[1.2]<0>".
func itemName(rest []byte) (name, section string, after []byte, err error) {
	end := bytes.IndexAny(rest, " \t([)")
	if end <= 0 || rest[end] == ')' {
		return "", "", nil, malformed("FETCH item %q", excerpt(rest))
	}
	name, after = upper(rest[:end]), rest[end:]
	if after[0] != '[' {
		return name, "", after, nil
	}
	if bytes.HasPrefix(after, []byte("[] ")) {
		return name, "[]", after[2:], nil
	}
	close := bytes.IndexByte(after, ']')
	if close < 0 {
		return "", "", nil, malformed("FETCH item %q", excerpt(rest))
	}
	close++
	if close < len(after) && after[close] == '<' {
		end := bytes.IndexByte(after[close:], '>')
		if end < 0 {
			return "", "", nil, malformed("FETCH item %q", excerpt(rest))
		}
		close += end + 1
	}
	return name, string(after[:close]), after[close:], nil
}

// upper is the name in capitals, without an allocation for the usual ones.
func upper(name []byte) string {
	for _, known := range [...]string{"UID", "BODY", "FLAGS", "INTERNALDATE", "RFC822.SIZE", "X-GM-MSGID", "X-GM-LABELS"} {
		if string(name) == known {
			return known
		}
	}
	return strings.ToUpper(string(name))
}

// begin writes the name of the next item.
func (f *fetchRewriter) begin(name string) {
	if f.items > 0 {
		f.out = append(f.out, ' ')
	}
	f.items++
	f.out = append(f.out, name...)
	f.out = append(f.out, ' ')
}

// token reads an atom.
func token(rest []byte) (tok, after []byte) {
	end := bytes.IndexAny(rest, " \t()")
	if end < 0 {
		return rest, nil
	}
	return rest[:end], rest[end:]
}

// number rewrites a number. A size that is none, as -1, becomes 0, which is
// what an unknown size is; a UID has to be one.
func (f *fetchRewriter) number(name string, rest []byte, lenient bool) ([]byte, error) {
	tok, after := token(rest)
	bits := 32
	if lenient {
		bits = 63
	}
	n, err := strconv.ParseUint(string(bytes.Trim(tok, `"`)), 10, bits)
	if err != nil || n == 0 && !lenient {
		if !lenient || len(tok) == 0 || tok[0] == '{' {
			return nil, malformed("%s %q", name, excerpt(rest))
		}
		n = 0
	}
	if !lenient {
		f.uid = uint32(n)
	}
	f.begin(name)
	f.out = strconv.AppendUint(f.out, n, 10)
	return after, nil
}

func (f *fetchRewriter) modseq(rest []byte) ([]byte, error) {
	end := bytes.IndexByte(rest, ')')
	if end < 0 || rest[0] != '(' {
		f.dropping, f.depth = true, 0
		return rest, nil
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(string(rest[1:end])), 10, 63); err == nil {
		f.begin("MODSEQ")
		f.out = append(f.out, '(')
		f.out = strconv.AppendUint(f.out, n, 10)
		f.out = append(f.out, ')')
	}
	return rest[end+1:], nil
}

func (f *fetchRewriter) date(rest []byte) ([]byte, error) {
	var raw string
	if len(rest) > 0 && rest[0] == '"' {
		str, n, ok := unquote(string(rest))
		if !ok {
			return nil, malformed("INTERNALDATE %q", excerpt(rest))
		}
		raw, rest = str, rest[n:]
	} else {
		tok, after := token(rest)
		if len(tok) == 0 || tok[0] == '{' {
			f.dropping, f.depth = true, 0
			after = rest
		}
		raw, rest = string(tok), after
	}
	t, ok := parseDateTime(raw)
	if !ok {
		t = unreadableDate
	}
	f.begin("INTERNALDATE")
	f.out = append(f.out, '"')
	f.out = t.AppendFormat(f.out, dateTimeLayout)
	f.out = append(f.out, '"')
	return rest, nil
}

// zones are the names that servers write where an offset belongs (RFC 5322
// §4.3).
var zones = strings.NewReplacer(
	" GMT", " +0000", " UTC", " +0000", " UT", " +0000", " Z", " +0000",
	" EST", " -0500", " EDT", " -0400", " CST", " -0600", " CDT", " -0500",
	" MST", " -0700", " MDT", " -0600", " PST", " -0800", " PDT", " -0700")

// parseDateTime reads a date-time, with or without leading zero, and with the
// zones that are in use. ok is false for what is no moment in time.
func parseDateTime(s string) (t time.Time, ok bool) {
	s = strings.Join(strings.Fields(s), " ")
	t, err := time.Parse("2-Jan-2006 15:04:05 -0700", s)
	if err != nil {
		t, err = time.Parse("2-Jan-2006 15:04:05 -0700", zones.Replace(strings.ToUpper(s)))
	}
	if err != nil {
		t, err = time.Parse("2-Jan-2006 15:04:05", s) // no zone at all: UTC
	}
	if err != nil || t.UTC().Year() <= 1 || t.Year() <= 1 || t.Year() > 9999 {
		return time.Time{}, false
	}
	if _, offset := t.Zone(); offset%60 != 0 {
		return time.Time{}, false
	}
	return t, true
}

// flags rewrites a list of flags. What go-imap's client does not take in a
// flag is escaped, and unescaped in Metadata, so that the keyword "a]b"
// arrives as it is.
func (f *fetchRewriter) flags(rest []byte) ([]byte, error) {
	if tok, after := token(rest); strings.EqualFold(string(tok), "NIL") {
		f.begin("FLAGS")
		f.out = append(f.out, "()"...)
		return after, nil
	}
	if len(rest) == 0 || rest[0] != '(' {
		return nil, malformed("FLAGS %q", excerpt(rest))
	}
	f.begin("FLAGS")
	f.out = append(f.out, '(')
	first := true
	for rest = rest[1:]; ; {
		rest = bytes.TrimLeft(rest, " \t")
		if len(rest) == 0 {
			return nil, malformed("FLAGS without an end")
		}
		if rest[0] == ')' {
			f.out = append(f.out, ')')
			return rest[1:], nil
		}
		var flag string
		if rest[0] == '"' {
			str, n, ok := unquote(string(rest))
			if !ok {
				return nil, malformed("FLAGS with a quoted string without an end")
			}
			flag, rest = str, rest[n:]
		} else {
			end := bytes.IndexAny(rest, " \t)")
			if end < 0 {
				return nil, malformed("FLAGS without an end")
			}
			flag, rest = string(rest[:end]), rest[end:]
		}
		if flag == "" || flag == `\` || strings.EqualFold(flag, "NIL") {
			continue
		}
		if !first {
			f.out = append(f.out, ' ')
		}
		first = false
		f.out = escapeFlag(f.out, flag)
	}
}

const hexDigits = "0123456789ABCDEF"

// escapeFlag appends a flag in letters that every atom may have; others become
// "=" and two hexadecimal digits.
func escapeFlag(out []byte, flag string) []byte {
	for i := 0; i < len(flag); i++ {
		c := flag[i]
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("$_.+-:/!#&',;<>?@^`|~", c) >= 0, c == '\\' && i == 0:
			out = append(out, c)
		default:
			out = append(out, '=', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return out
}

// unescapeFlag undoes escapeFlag.
func unescapeFlag(s string) string {
	if strings.IndexByte(s, '=') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '=' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				out = append(out, byte(n))
				i += 2
				continue
			}
		}
		out = append(out, s[i])
	}
	return string(out)
}

// section rewrites the whole body or the whole header: a literal, also where the server writes it
// as literal8, a quoted string, or NIL where it has nothing.
func (f *fetchRewriter) section(name string, rest []byte) (after []byte, size int64, literal bool, err error) {
	f.body = true
	if len(rest) > 0 && rest[0] == '"' {
		str, n, ok := unquote(string(rest))
		if !ok {
			return nil, 0, false, malformed("%s with a quoted string without an end", name)
		}
		f.begin(name)
		f.out = append(f.out, '{')
		f.out = strconv.AppendInt(f.out, int64(len(str)), 10)
		f.out = append(f.out, "}\r\n"...)
		f.out = append(f.out, str...)
		return rest[n:], 0, false, nil
	}
	if tok, after := token(rest); strings.EqualFold(string(tok), "NIL") {
		f.begin(name)
		f.out = append(f.out, "NIL"...)
		return after, 0, false, nil
	}
	before, size, found, err := literalAtEnd(string(bytes.TrimRight(rest, " \t")))
	if err != nil {
		return nil, 0, false, malformed("%v", err)
	}
	if !found || before != "" {
		return nil, 0, false, malformed("%s %q", name, excerpt(rest))
	}
	f.begin(name)
	f.out = append(f.out, '{')
	f.out = strconv.AppendInt(f.out, size, 10)
	f.out = append(f.out, "}\r\n"...)
	return nil, size, true, nil
}

// drop leaves a value out. It returns what follows the value; literal says
// that the value goes on after a literal of n octets.
func (f *fetchRewriter) drop(rest []byte) (after []byte, n int64, literal bool, err error) {
	for i := 0; i < len(rest); {
		switch c := rest[i]; c {
		case ' ', '\t':
			i++
			continue
		case '(':
			if f.depth++; f.depth > maxDepth*8 {
				return nil, 0, false, malformed("%v", errNesting)
			}
			i++
			continue
		case ')':
			if f.depth == 0 { // the item had no value, or a literal was its end
				f.dropping = false
				f.labels.end()
				return rest[i:], 0, false, nil
			}
			f.depth--
			i++
		case '"':
			str, n, ok := unquote(string(rest[i:]))
			if !ok {
				return nil, 0, false, malformed("quoted string without an end in a FETCH response")
			}
			f.labels.add(str, f.depth)
			i += n
		default:
			tok, _ := token(rest[i:])
			if size, ok := literalToken(tok); ok && len(bytes.TrimRight(rest[i+len(tok):], " \t")) == 0 {
				if size < 0 {
					return nil, 0, false, malformed("literal %q", excerpt(tok))
				}
				// At depth 0 the literal is the whole value.
				f.dropping = f.depth > 0
				return nil, size, true, nil
			}
			f.labels.atom(string(tok), f.depth)
			i += len(tok)
		}
		if f.depth == 0 {
			f.dropping = false
			f.labels.end()
			return rest[i:], 0, false, nil
		}
	}
	return nil, 0, false, malformed("a FETCH response without an end")
}

// literalToken returns the size that "{n}" announces, -1 where it is beyond
// any number.
func literalToken(tok []byte) (int64, bool) {
	if len(tok) < 3 || tok[0] != '{' && !bytes.HasPrefix(tok, []byte("~{")) {
		return 0, false
	}
	_, size, found, err := literalAtEnd(string(tok))
	if err != nil {
		return -1, true
	}
	return size, found
}
