package fingerprint

import "bytes"

// maxRun is the greatest number of lines of a run: as many of the usual length
// as the nearest cache holds beside what is made of them.
const maxRun = 256

// run is a number of lines of a body that may be taken together, as nothing in
// them asks for a closer look: all end in CR LF, no CR stands elsewhere, none
// is a delimiter, none is quoted ("^>+From "), and the last is not blank. So
// what is made of them one by one can be made of them at once. Nearly all lines
// of nearly all messages are in runs.
type run struct {
	octets []byte  // the lines with their line ends
	ends   []int32 // of the content of each line in octets, CR LF left off
}

// run finds the run with which the octets that are not yet handled begin; it is
// empty where the next line must be handled by itself, or is not there yet.
func (s *stream) run() (r run) {
	if s.singly > 0 {
		s.singly--
		return r
	}
	if s.open || s.blanks > 0 || s.nul || !s.split.takesRuns() {
		return r
	}
	b, from := s.buf[s.r:s.w], s.scan-s.r
	start, n, filled := 0, 0, 0
	for n < maxRun {
		i := bytes.IndexByte(b[from:], '\n')
		end := from + i - 1 // where the CR must be
		if i < 0 || end < start || b[end] != '\r' || special(b[start:end]) {
			break
		}
		s.ends[n] = int32(end)
		n++
		if end > start {
			filled = n
		}
		start = end + len(crlf)
		from = start
	}
	if filled == 0 {
		return r
	}
	r = run{octets: b[:int(s.ends[filled-1])+len(crlf)], ends: s.ends[:filled]}
	if bytes.Count(r.octets, oneCR) != filled { // one stands elsewhere
		s.singly = filled - 1
		return run{}
	}
	return r
}

var oneCR = []byte{'\r'}

// special reports whether a line may be a delimiter or is quoted.
func special(line []byte) bool {
	if len(line) < 2 {
		return false
	}
	return line[0] == '-' && line[1] == '-' || line[0] == '>' && fromQuote(line) > 0
}

// lines takes a run; what piece, line and give do with each line, this does
// with all.
func (s *stream) lines(r run) {
	if s.dkim != nil && s.dkim.active {
		s.dkim.lines(r)
	}
	s.r += len(r.octets)
	s.scan = max(s.scan, s.r)
	s.split.lines(r, s.raw+int64(len(r.octets)))
	s.raw = 0
	if s.t1 != nil {
		s.t1.writeLines(r)
	}
}

// takesRuns reports whether lines go where a run may go as a whole.
func (s *splitter) takesRuns() bool {
	return s.sink == sinkLeaf || s.sink == sinkPreamble || s.sink == sinkEpilogue
}

// lines takes a run, which raw octets were of.
func (s *splitter) lines(r run, raw int64) {
	s.count(raw)
	if s.signing >= 0 {
		s.sign(r.joined(), true, 0)
	}
	s.leaf.lines(r)
}

// joined returns the lines joined by CR LF.
func (r run) joined() []byte { return r.octets[:len(r.octets)-len(crlf)] }

// lines takes a run.
func (l *leaf) lines(r run) {
	if l.enc == identity {
		l.decode(r.joined(), true, true)
	} else {
		start := 0
		for _, end := range r.ends {
			l.decode(r.octets[start:end], true, true)
			start = int(end) + len(crlf)
		}
	}
	if len(l.out) >= decodeBuffer {
		l.flush()
	}
}

// lines takes a run.
func (w *dkimWitness) lines(r run) {
	start := 0
	for _, end := range r.ends {
		w.piece(r.octets[start:end+1], true)
		start = int(end) + len(crlf)
	}
}
