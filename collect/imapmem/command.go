package imapmem

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits on what a client may send outside of APPEND.
const (
	maxLine     = 1 << 20
	maxArgument = 64 << 10 // a literal that is no message
	maxLiterals = 10000
)

var (
	errLineTooLong = errors.New("command line too long")
	errBadLiteral  = errors.New("literal not understood")
)

// chunk is a piece of a command: text, or the octets of a literal.
type chunk struct {
	text    string
	literal []byte
	is      bool // a literal
}

// command is one whole command as it was received.
type command struct {
	chunks []chunk
	// refused is the reply to a literal that was not taken; what followed it
	// was read and thrown away.
	refused *status
}

// readCommand reads one command with its literals. admit is asked before the
// octets of a literal are taken, with what was read of the command so far; a
// refusal of a synchronising literal ends the command at once (RFC 9051
// §4.3), one of a non-synchronising literal when all of it was skipped.
func readCommand(r *bufio.Reader, goAhead func() error, admit func(so *command, size int64) *status) (*command, error) {
	cmd := &command{}
	for {
		line, err := readLine(r)
		if err != nil {
			return nil, err
		}
		text, size, wait, ok, err := cutLiteral(line)
		if err != nil {
			return nil, err
		}
		cmd.chunks = append(cmd.chunks, chunk{text: text})
		if !ok {
			return cmd, nil
		}
		if len(cmd.chunks) > 2*maxLiterals {
			return nil, errLineTooLong
		}
		if cmd.refused == nil {
			cmd.refused = admit(cmd, size)
		}
		if cmd.refused != nil {
			if wait {
				return cmd, nil
			}
			if _, err := io.CopyN(io.Discard, r, size); err != nil {
				return nil, err
			}
			continue
		}
		if wait {
			if err := goAhead(); err != nil {
				return nil, err
			}
		}
		literal := make([]byte, size)
		if _, err := io.ReadFull(r, literal); err != nil {
			return nil, err
		}
		cmd.chunks = append(cmd.chunks, chunk{literal: literal, is: true})
	}
}

func readLine(r *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return "", errLineTooLong
		}
		line = append(line, part...)
		if err == nil {
			return strings.TrimRight(string(line), "\r\n"), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}

// cutLiteral finds the announcement of a literal at the end of a line: {n},
// after which the client waits, or {n+}.
func cutLiteral(line string) (text string, size int64, wait, ok bool, err error) {
	open := strings.LastIndexByte(line, '{')
	if open < 0 || !strings.HasSuffix(line, "}") {
		return line, 0, false, false, nil
	}
	digits, plus := strings.CutSuffix(line[open+1:len(line)-1], "+")
	size, err = strconv.ParseInt(digits, 10, 63)
	if err != nil || size < 0 {
		return "", 0, false, false, errBadLiteral
	}
	return line[:open], size, !plus, true, nil
}

// parser reads the arguments of a command. Its first error stays.
type parser struct {
	chunks []chunk
	rest   string // of the text at hand
	err    error
}

func newParser(cmd *command) *parser {
	p := &parser{chunks: cmd.chunks}
	p.next()
	return p
}

func (p *parser) next() {
	if len(p.chunks) > 0 && !p.chunks[0].is {
		p.rest = p.chunks[0].text
		p.chunks = p.chunks[1:]
	}
}

func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
}

// take consumes a prefix, without regard to case.
func (p *parser) take(prefix string) bool {
	if p.err == nil && len(p.rest) >= len(prefix) && strings.EqualFold(p.rest[:len(prefix)], prefix) {
		p.rest = p.rest[len(prefix):]
		return true
	}
	return false
}

func (p *parser) expect(prefix string) {
	if !p.take(prefix) {
		p.fail("expected %q", prefix)
	}
}

func (p *parser) space() { p.expect(" ") }

// end asks that nothing is left.
func (p *parser) end() error {
	if p.err == nil && (p.rest != "" || len(p.chunks) > 0) {
		p.fail("too many arguments")
	}
	return p.err
}

// run consumes what stands before any of the delimiters.
func (p *parser) run(delimiters string) string {
	i := strings.IndexAny(p.rest, delimiters)
	if i < 0 {
		i = len(p.rest)
	}
	s := p.rest[:i]
	p.rest = p.rest[i:]
	if s == "" {
		p.fail("argument missing")
	}
	return s
}

func (p *parser) atom() string { return p.run(" ()\"{") }

func (p *parser) word() string { return strings.ToUpper(p.atom()) }

// atLiteral reports whether a literal comes next.
func (p *parser) atLiteral() bool {
	return p.err == nil && p.rest == "" && len(p.chunks) > 0 && p.chunks[0].is
}

func (p *parser) literal() []byte {
	if !p.atLiteral() {
		p.fail("literal expected")
		return nil
	}
	octets := p.chunks[0].literal
	p.chunks = p.chunks[1:]
	p.next()
	return octets
}

// astring is an atom, a quoted string or a literal (RFC 9051 §4).
func (p *parser) astring() string {
	if p.atLiteral() {
		return string(p.literal())
	}
	if !p.take(`"`) {
		return p.atom()
	}
	var out strings.Builder
	for i := 0; i < len(p.rest); i++ {
		switch c := p.rest[i]; {
		case c == '"':
			p.rest = p.rest[i+1:]
			return out.String()
		case c == '\\' && i+1 < len(p.rest):
			i++
			out.WriteByte(p.rest[i])
		default:
			out.WriteByte(c)
		}
	}
	p.fail("quoted string without end")
	return ""
}

// mailbox is a mailbox name, decoded.
func (p *parser) mailbox() string {
	name, err := decodeUTF7(p.astring())
	if err != nil {
		p.fail("%w", err)
	}
	return canonical(name)
}

// list reads ( item item … ).
func (p *parser) list(item func()) {
	p.expect("(")
	for p.err == nil && !p.take(")") {
		item()
		if !strings.HasPrefix(p.rest, ")") {
			p.space()
		}
	}
}

func (p *parser) words() []string {
	var out []string
	p.list(func() { out = append(out, p.word()) })
	return out
}

// flags reads a list of flags, or flags without parentheses.
func (p *parser) flags() []string {
	var out []string
	one := func() {
		f := p.atom()
		if strings.ContainsAny(f, "%*]") || strings.HasPrefix(f, `\\`) || !isASCII(f) {
			p.fail("invalid flag")
		}
		out = append(out, f)
	}
	if strings.HasPrefix(p.rest, "(") {
		p.list(one)
		return out
	}
	for p.err == nil {
		one()
		if p.rest == "" || !p.take(" ") {
			break
		}
	}
	return out
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}

func (p *parser) number() uint64 {
	n, err := strconv.ParseUint(p.run(" )"), 10, 63)
	if err != nil {
		p.fail("number expected")
	}
	return n
}

// quote writes a string as a quoted string.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// span is a range of numbers in a sequence set; star stands for "*".
type span struct{ low, high uint32 }

const star = 1<<32 - 1

// set reads a sequence set (RFC 9051 §9).
func (p *parser) set() []span {
	var out []span
	for _, part := range strings.Split(p.run(" )"), ",") {
		a, b, isRange := strings.Cut(part, ":")
		if !isRange {
			b = a
		}
		low, high := p.setNumber(a), p.setNumber(b)
		out = append(out, span{min(low, high), max(low, high)})
	}
	return out
}

func (p *parser) setNumber(s string) uint32 {
	if s == "*" {
		return star
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 0 || n == star {
		p.fail("invalid sequence set")
	}
	return uint32(n)
}
