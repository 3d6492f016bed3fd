package imapconn

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/mailproof/mailproof"
)

// protocolError says that the server sent what cannot be understood, so that
// nothing that follows can be trusted.
type protocolError struct{ text string }

func (e *protocolError) Error() string { return "the server's answer cannot be understood: " + e.text }

func malformed(format string, args ...any) error {
	return &protocolError{fmt.Sprintf(format, args...)}
}

// fetchMode says what the sanitizer does with FETCH responses.
type fetchMode uint32

const (
	fetchNone   fetchMode = iota // none is awaited: drop them
	fetchData                    // metadata is awaited
	fetchBodies                  // bodies are awaited: drop responses without one
	fetchGmail                   // X-GM-MSGID is awaited, by a command of our own: nothing is for go-imap's client
)

// forClient reports whether FETCH responses go on to go-imap's client.
func (m fetchMode) forClient() bool { return m == fetchData || m == fetchBodies }

// sanitizer reads what a server says and yields what go-imap's client
// understands: only FETCH, SEARCH and ESEARCH responses and the completion of
// the client's own commands, in canonical form, with the octets of body
// literals untouched. Everything else goes to hooks. Its output depends on
// the octets that come in and not on how they were cut into packets.
//
// It reports an end within a line or a literal as [io.ErrUnexpectedEOF]: the
// client takes a plain EOF within a literal for the end of the literal.
//
// It is used by one goroutine; the atomics are for others to look at.
type sanitizer struct {
	br    *bufio.Reader
	hooks hooks

	out  []byte // waits to be read
	pass int64  // octets of a literal that follow out
	err  error  // sticky

	line     []byte         // scratch
	fetch    *fetchRewriter // of the response under way; nil: none
	rewriter fetchRewriter
	search   searchRewriter
	row      int // lines that came in a row, but for FETCH responses to the client
	most     int // how many may
	heard    int // octets of the responses that a command of our own was told of
	mayHear  int // how many it may be told

	mode      atomic.Uint32 // fetchMode
	opened    atomic.Int64  // FETCH responses of which a body literal began
	closed    atomic.Int64  // … and which came to their end
	expunged  atomic.Int64  // EXPUNGE and VANISHED responses
	searched  atomic.Int64  // SEARCH and ESEARCH responses
	listening atomic.Bool   // a command of our own wants untagged data
}

// hooks receive what is not for go-imap's client.
type hooks struct {
	// continuation is called for "+".
	continuation func()
	// untagged is called for untagged data while listening; it must not block.
	untagged func(response)
	// unilateral is called for untagged status responses, always.
	unilateral func(status)
	// tagged is called for completions; it reports whether the tag was its own.
	tagged func(tag string, st status) bool
}

func newSanitizer(br *bufio.Reader, h hooks) *sanitizer {
	return &sanitizer{br: br, hooks: h, most: maxUntagged, mayHear: maxHeard}
}

func (s *sanitizer) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if len(s.out) > 0 {
			n := copy(p, s.out)
			s.out = s.out[n:]
			return n, nil
		}
		if s.err != nil {
			return 0, s.err
		}
		if s.pass > 0 {
			n, err := s.br.Read(p[:min(int64(len(p)), s.pass)])
			s.pass -= int64(n)
			if n > 0 {
				return n, nil
			}
			s.err = unexpected(err)
			continue
		}
		s.out = s.out[:0]
		s.err = s.next()
	}
}

// unexpected turns the end of the stream into an error where it may not end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next handles one line, or a piece of a SEARCH response.
func (s *sanitizer) next() error {
	if s.search.active {
		return s.nextSearch()
	}
	line, err := s.readLine()
	if err != nil {
		return err
	}
	if s.search.active || line == nil {
		return nil
	}
	if s.fetch != nil {
		return s.feedFetch(line)
	}
	line = bytes.TrimSpace(line)
	switch {
	case len(line) == 0: // a blank line
		return s.another()
	case line[0] == '+':
		s.hooks.continuation()
		return s.another()
	case line[0] == '*':
		return s.untagged(bytes.TrimLeft(line[1:], " \t"))
	default:
		return s.completion(line)
	}
}

// readLine returns the next line without its end. A SEARCH response may be as
// long as the mailbox is large, so that its beginning switches to searchRewriter
// instead.
func (s *sanitizer) readLine() ([]byte, error) {
	s.line = s.line[:0]
	for {
		piece, err := s.br.ReadSlice('\n')
		if len(s.line) == 0 && s.fetch == nil && isSearch(piece) && (err == nil || errors.Is(err, bufio.ErrBufferFull)) {
			s.search = searchRewriter{active: true}
			return nil, s.feedSearch(piece)
		}
		if err == nil && len(s.line) == 0 {
			return chomp(piece), nil
		}
		if len(s.line)+len(piece) > maxLine {
			return nil, malformed("a line of more than %d octets", maxLine)
		}
		s.line = append(s.line, piece...)
		switch {
		case err == nil:
			return chomp(s.line), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case len(s.line) > 0 || s.fetch != nil:
			return nil, unexpected(err)
		default:
			return nil, err
		}
	}
}

func chomp(line []byte) []byte {
	line = bytes.TrimSuffix(line, []byte("\n"))
	return bytes.TrimSuffix(line, []byte("\r"))
}

// maxUntagged is how many untagged responses may come in a row, but for those that
// a FETCH brings. Servers list mailboxes, tell of other clients' doings, and that they are
// still at work; one that never comes to an end would hold the line for ever.
const maxUntagged = 1 << 20

// maxHeard is how many octets of them a command of our own is told of: some hold
// them until they are whole. A LIST of three hundred thousand mailboxes has as many.
const maxHeard = 64 << 20

// completion handles a tagged response.
func (s *sanitizer) completion(line []byte) error {
	s.row, s.heard = 0, 0
	tag, rest, _ := strings.Cut(string(line), " ")
	st, ok := parseStatus(rest)
	if !ok {
		return malformed("%q", excerpt(line))
	}
	if s.hooks.tagged(tag, st) {
		return nil
	}
	if len(tag) < 2 || tag[0] != 'T' || strings.Trim(tag[1:], "0123456789") != "" {
		return malformed("%q", excerpt(line))
	}
	if st.typ == "BYE" || st.typ == "PREAUTH" {
		return malformed("%q", excerpt(line))
	}
	// The client understands a code without arguments that is an atom; that is
	// all that is needed of it here.
	s.out = append(s.out, tag...)
	s.out = append(s.out, ' ')
	s.out = append(s.out, st.typ...)
	if st.typ != "OK" && st.code != "" && strings.Trim(st.code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ-0123456789") == "" {
		s.out = append(append(append(s.out, " ["...), st.code...), ']')
	} else if strings.HasPrefix(st.text, "[") {
		s.out = append(s.out, " -"...) // not to be taken for a code
	}
	text := printable(st.text)
	if text == "" {
		text = "-"
	}
	s.out = append(append(s.out, ' '), text...)
	s.out = append(s.out, "\r\n"...)
	return nil
}

// excerpt is as much of a line as an error shows.
func excerpt(line []byte) string {
	const most = 60
	if len(line) > most {
		return printable(string(line[:most])) + "…"
	}
	return printable(string(line))
}

// untagged handles what follows "* ".
func (s *sanitizer) untagged(rest []byte) error {
	if err := s.another(); err != nil {
		return err
	}
	word, after := cutWord(rest)
	if len(word) > 0 && word[0] >= '0' && word[0] <= '9' {
		return s.numbered(rest, word, after)
	}
	if st, ok := parseStatus(string(rest)); ok {
		s.hooks.unilateral(st)
		if s.listening.Load() {
			s.hooks.untagged(response{name: st.typ, status: &st})
		}
		return nil
	}
	return s.named(strings.ToUpper(string(word)), 0, rest, after)
}

// another counts a line that ends nothing and brings nothing that was asked for.
func (s *sanitizer) another() error {
	if s.row++; s.row > s.most {
		return malformed("%d responses in a row and no end", s.most)
	}
	return nil
}

// numbered handles "* 12 FETCH" and the like.
func (s *sanitizer) numbered(rest, word, after []byte) error {
	number, err := strconv.ParseUint(string(word), 10, 32)
	if err != nil {
		return malformed("%q", excerpt(rest))
	}
	word, after = cutWord(after)
	if bytes.EqualFold(word, []byte("FETCH")) {
		return s.beginFetch(uint32(number), after)
	}
	return s.named(strings.ToUpper(string(word)), uint32(number), rest, after)
}

func (s *sanitizer) named(name string, number uint32, rest, after []byte) error {
	switch name {
	case "EXPUNGE", "VANISHED":
		s.expunged.Add(1)
	case "FETCH", "SEARCH", "ESEARCH", "":
		return malformed("%q", excerpt(rest))
	}
	return s.collect(response{name: name, number: number}, after)
}

// cutWord splits after an atom, which a blank or a parenthesis ends.
func cutWord(b []byte) (word, rest []byte) {
	end := bytes.IndexAny(b, " \t(")
	if end < 0 {
		return b, nil
	}
	return b[:end], bytes.TrimLeft(b[end:], " \t")
}

// collect reads the literals of an untagged response and hands it to the
// command of our own that listens, if one does. An answer that cannot be read
// is an error then: a mailbox that LIST names in an odd way must not vanish.
func (s *sanitizer) collect(r response, line []byte) error {
	listening := s.listening.Load()
	var parts []part
	size := 0
	for {
		before, n, found, err := literalAtEnd(string(line))
		if err != nil {
			return malformed("%v", err)
		}
		if size += len(line); size > maxResponse {
			return malformed("a response of more than %d octets", maxResponse)
		}
		if !found {
			parts = append(parts, part{text: string(line)})
			break
		}
		if n > maxLiteral {
			return malformed("a literal of %d octets in a %s response", n, printable(r.name))
		}
		literal := make([]byte, n)
		if _, err := io.ReadFull(s.br, literal); err != nil {
			return unexpected(err)
		}
		if size += int(n); size > maxResponse {
			return malformed("a response of more than %d octets", maxResponse)
		}
		parts = append(parts, part{text: before, literal: string(literal), has: true})
		if line, err = s.readWholeLine(); err != nil {
			return err
		}
	}
	if !listening {
		return nil
	}
	if s.heard += size; s.heard > s.mayHear {
		return malformed("responses of more than %d octets and no end", s.mayHear)
	}
	values, err := parseValues(parts)
	if err != nil {
		if !known(r.name) {
			return nil
		}
		return malformed("%v in %q", err, excerpt([]byte(r.name+" "+parts[0].text)))
	}
	r.values = values
	s.hooks.untagged(r)
	return nil
}

// known reports whether a response carries what a command of ours asks for.
func known(name string) bool {
	switch name {
	case "LIST", "LSUB", "STATUS", "NAMESPACE", "QUOTA", "QUOTAROOT", "EXISTS", "CAPABILITY":
		return true
	}
	return false
}

// readWholeLine reads a line in the middle of a response.
func (s *sanitizer) readWholeLine() ([]byte, error) {
	var line []byte
	for {
		piece, err := s.br.ReadSlice('\n')
		if len(line)+len(piece) > maxLine {
			return nil, malformed("a line of more than %d octets", maxLine)
		}
		line = append(line, piece...)
		if err == nil {
			return chomp(line), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, unexpected(err)
		}
	}
}

func (s *sanitizer) beginFetch(number uint32, after []byte) error {
	if number == 0 || len(after) == 0 || after[0] != '(' {
		return malformed("%q", excerpt(append([]byte("FETCH "), after...)))
	}
	s.fetch = &s.rewriter
	s.fetch.reset(number, fetchMode(s.mode.Load()))
	return s.feedFetch(after[1:])
}

// feedFetch hands a line of a FETCH response to the rewriter and does what it
// says with the literal that follows.
func (s *sanitizer) feedFetch(line []byte) error {
	f := s.fetch
	size, what, err := f.feed(line)
	if err != nil {
		return err
	}
	if len(f.out) > maxResponse {
		return malformed("a response of more than %d octets", maxResponse)
	}
	switch what {
	case fetchDone:
		s.fetch = nil
		labels := f.labels.told()
		if f.mode == fetchGmail && f.uid != 0 && (f.gmailID != 0 || labels != nil) && s.listening.Load() {
			s.hooks.untagged(response{name: "FETCH", gmail: gmailRecord{mailproof.UID(f.uid), f.gmailID, labels}})
		}
		if !f.mode.forClient() || f.mode == fetchBodies && !f.body {
			return nil
		}
		s.out, s.row = append(s.out, f.out...), 0
		if f.streaming {
			s.closed.Add(1)
		}
	case literalPass:
		if !f.mode.forClient() {
			return s.discard(size)
		}
		if !f.streaming {
			f.streaming = true
			s.opened.Add(1)
		}
		s.out = append(s.out, f.out...)
		f.out = f.out[:0]
		s.pass = size
	case literalDrop:
		return s.discard(size)
	case literalTell:
		label := make([]byte, size)
		if _, err := io.ReadFull(s.br, label); err != nil {
			return unexpected(err)
		}
		f.labels.add(string(label), 1)
	}
	return nil
}

func (s *sanitizer) discard(n int64) error {
	_, err := io.CopyN(io.Discard, s.br, n)
	return unexpected(err)
}

func isSearch(line []byte) bool {
	line = bytes.TrimLeft(line, " \t")
	if len(line) == 0 || line[0] != '*' {
		return false
	}
	word, _ := cutWord(bytes.TrimLeft(line[1:], " \t"))
	word = bytes.TrimRight(word, "\r\n")
	return bytes.EqualFold(word, []byte("SEARCH")) || bytes.EqualFold(word, []byte("ESEARCH"))
}

func (s *sanitizer) nextSearch() error {
	piece, err := s.br.ReadSlice('\n')
	if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
		return unexpected(err)
	}
	return s.feedSearch(piece)
}

func (s *sanitizer) feedSearch(piece []byte) error {
	s.out = s.search.feed(s.out, piece)
	if !s.search.active {
		s.searched.Add(1)
	}
	return s.search.err
}

// maxSearch bounds what one SEARCH response has of octets, and with them the set
// that is made of it: nine million UIDs of eight digits, one by one.
const maxSearch = 80 << 20

// searchRewriter makes SEARCH and ESEARCH responses canonical as they stream
// by: single blanks, none at the end, keywords in capitals.
type searchRewriter struct {
	active bool // a line is under way
	begun  bool
	blank  bool // a blank is owed
	quoted bool
	depth  int // open parentheses
	octets int
	err    error
}

func (r *searchRewriter) feed(out, piece []byte) []byte {
	if r.octets += len(piece); r.octets > maxSearch {
		r.err = malformed("a SEARCH response of more than %d octets", maxSearch)
		return out
	}
	for _, c := range piece {
		switch {
		case c == '\n':
			if r.quoted {
				r.err = malformed("quoted string without an end in a SEARCH response")
				return out
			}
			*r = searchRewriter{}
			return append(out, "\r\n"...)
		case c == '"':
			r.quoted = !r.quoted
		case r.quoted && c != '\\' && c >= ' ' && c < 0x7f:
		case c == '(':
			r.depth++
		case c == ')':
			if r.depth--; r.depth < 0 {
				r.err = malformed("parenthesis without its counterpart in a SEARCH response")
				return out
			}
		case c == ' ', c == '\t', c == '\r':
			r.blank = r.begun
			continue
		case c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == ':', c == ',', c == '*' && !r.begun, c == '.', c == '-':
		default:
			r.err = malformed("octet %#x in a SEARCH response", c)
			return out
		}
		if r.blank && c != ')' {
			out = append(out, ' ')
		} else if !r.begun && c == '*' {
			r.blank, r.begun = true, true
			out = append(out, c)
			continue
		}
		r.blank = false
		r.begun = true
		out = append(out, c)
	}
	return out
}

var _ error = (*protocolError)(nil)

// kindOfFailure classes what ended a connection from within.
func kindOfFailure(err error) mailproof.ErrorKind {
	var p *protocolError
	if errors.As(err, &p) {
		return mailproof.ErrProtocol
	}
	return mailproof.ErrConnection
}
