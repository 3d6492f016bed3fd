package fingerprint

import (
	"bytes"

	"github.com/mailproof/mailproof"
)

// lineBuffer is the longest line that is handled in one piece. A longer one
// is handled in pieces, and nothing that is hashed depends on where they
// begin; a line that long is never a delimiter.
const lineBuffer = 64 << 10

// maxQuote is the longest run of ">" before "From " that counts as quoting.
const maxQuote = 64

// stream takes octets, of the message or of a transfer-encoded embedded
// message, and gives canonical lines to its splitter: without their line ends
// (CR* LF), NUL as 0x80, ">From " unquoted, trailing blank lines left off.
//
// Everything from tier T1 down is made of these lines and of nothing else.
// That is why equal T1 implies equal T2, whatever the message.
type stream struct {
	m     *Hasher
	split splitter
	t1    *digest      // of the message itself; nil in an embedded one
	dkim  *dkimWitness // likewise

	buf        []byte
	r, w, scan int // buf[r:w] is not yet handled, buf[r:scan] has no LF

	raw    int64 // octets taken since a line was last given to the splitter
	octets int64 // octets taken in all
	crs    int64 // CRs held back: part of a line end, if LF follows
	blanks int64 // blank lines held back: left off, if nothing follows
	open   bool  // inside a line
	nul    bool  // a NUL was met

	singly int           // lines that were looked at and are no run
	ends   [maxRun]int32 // of the lines of a run
}

func (s *stream) init(m *Hasher, depth, encoded int) {
	if s.buf == nil {
		s.buf = make([]byte, lineBuffer)
	}
	s.m = m
	s.r, s.w, s.scan, s.raw, s.octets, s.crs, s.blanks, s.open, s.nul, s.singly = 0, 0, 0, 0, 0, 0, 0, false, false, 0
	s.split.init(m, depth, encoded)
}

// space returns the free part of the buffer, never empty.
func (s *stream) space() []byte {
	if s.r > 0 {
		copy(s.buf, s.buf[s.r:s.w])
		s.w, s.scan, s.r = s.w-s.r, s.scan-s.r, 0
	}
	return s.buf[s.w:]
}

// commit says that n octets were put into space.
func (s *stream) commit(n int) {
	if !s.nul && bytes.IndexByte(s.buf[s.w:s.w+n], 0) >= 0 {
		s.nul = true
		s.m.anomalies |= mailproof.AnomalyNUL
	}
	s.w += n
	s.octets += int64(n)
	for {
		if r := s.run(); len(r.ends) > 0 {
			s.lines(r)
			continue
		}
		i := bytes.IndexByte(s.buf[s.scan:s.w], '\n')
		if i < 0 {
			break
		}
		end := s.scan + i
		s.piece(s.buf[s.r:end], endOfLine)
		s.r, s.scan = end+1, end+1
	}
	s.scan = s.w
	if s.r == 0 && s.w == len(s.buf) {
		s.piece(s.buf, notTheEnd)
		s.w, s.scan = 0, 0
	}
}

// write takes octets that are in some other buffer.
func (s *stream) write(b []byte) {
	for len(b) > 0 {
		n := copy(s.space(), b)
		s.commit(n)
		b = b[n:]
	}
}

// close ends the last line, which may lack its LF, and the splitter.
func (s *stream) close() {
	if s.r < s.w || s.open {
		s.piece(s.buf[s.r:s.w], endOfInput)
		s.r = s.w
	}
	s.split.close(s.raw)
	if s.split.accounted() != s.octets {
		s.m.anomalies |= mailproof.AnomalyUnaccounted
	}
}

// pieceEnd says what follows a piece of a line.
type pieceEnd uint8

const (
	notTheEnd pieceEnd = iota
	endOfLine          // LF
	endOfInput
)

// piece takes a line, or a part of a line that does not fit the buffer. CRs at
// the end of the input are a line end that was cut short.
func (s *stream) piece(b []byte, end pieceEnd) {
	s.raw += int64(len(b))
	if end == endOfLine {
		s.raw++
	}
	if s.dkim != nil && s.dkim.active && !s.split.topHeader {
		s.dkim.piece(b, end == endOfLine)
	}
	if s.nul {
		for i, c := range b {
			if c == 0 {
				b[i] = 0x80
			}
		}
	}
	n := len(b)
	for n > 0 && b[n-1] == '\r' {
		n--
	}
	trailing := int64(len(b) - n)
	b = b[:n]
	if n > 0 && s.crs > 0 {
		s.heldCRs()
	}
	if end == notTheEnd {
		s.crs += trailing
		if n > 0 {
			s.line(b, false)
		}
		return
	}
	if end == endOfLine && trailing == 0 && s.crs == 0 {
		s.m.anomalies |= mailproof.AnomalyBareLF
	}
	s.crs = 0
	s.line(b, true)
}

// heldCRs gives CRs that turned out to be no line end.
func (s *stream) heldCRs() {
	for s.crs > 0 {
		n := min(s.crs, int64(len(manyCRs)))
		s.crs -= n
		s.line(manyCRs[:n], false)
	}
}

var manyCRs = bytes.Repeat([]byte{'\r'}, 512)

// line takes a canonical line or a part of one; last says that it ends here.
func (s *stream) line(b []byte, last bool) {
	first := !s.open
	s.open = !last
	if first && last && len(b) == 0 && !s.split.topHeader {
		s.blanks++
		return
	}
	for ; s.blanks > 0; s.blanks-- {
		s.give(nil, true, true, 0)
	}
	quoted := 0
	if first && len(b) > 5 && b[0] == '>' {
		quoted = fromQuote(b)
		b = b[quoted:]
	}
	if bytes.IndexByte(b, '\r') >= 0 {
		s.m.anomalies |= mailproof.AnomalyBareCR
	}
	s.give(b, first, last, quoted)
}

func (s *stream) give(b []byte, first, last bool, quoted int) {
	// A header writes its own lines to T1, in their canonical form; whether
	// this line belongs to it, only the splitter can say.
	body := s.split.line(b, first, last, quoted, s.raw)
	s.raw = 0
	if s.t1 == nil || !body {
		return
	}
	s.t1.write(b)
	if last {
		s.t1.writeByte('\n')
	}
}

// fromQuote returns the length of the run of ">" that quotes a "From ".
func fromQuote(b []byte) int {
	n := 0
	for n < len(b) && n <= maxQuote && b[n] == '>' {
		n++
	}
	if n > 0 && n <= maxQuote && bytes.HasPrefix(b[n:], []byte("From ")) {
		return n
	}
	return 0
}
