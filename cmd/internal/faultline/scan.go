package faultline

import (
	"bytes"
	"strconv"
)

// lines follows lines and literals; it knows no more of either direction.
type lines struct {
	line    []byte // of the line that is being read, at most maxLine octets
	literal int64  // octets of the literal that are still to come
	mark    int64  // the mark strikes when so many are left; -1 for none
}

// maxLine is enough to see a command's name and a literal's length; what lies
// between is not kept.
const maxLine = 8 << 10

// step consumes octets of p up to the next thing that happens: the mark within
// a literal, or the end of a line.
func (s *lines) step(p []byte) (n int, marked, ended bool) {
	if s.literal > 0 {
		n = int(min(int64(len(p)), s.literal))
		if s.mark >= 0 && s.literal-int64(n) <= s.mark {
			n = int(s.literal - s.mark)
			s.literal, s.mark = s.mark, -1
			return n, true, false
		}
		s.literal -= int64(n)
		return n, false, false
	}
	i := bytes.IndexByte(p, '\n')
	if i < 0 {
		s.keep(p)
		return len(p), false, false
	}
	s.keep(p[:i+1])
	return i + 1, false, true
}

func (s *lines) keep(p []byte) {
	if room := maxLine - len(s.line); len(p) > room {
		// The end of a line says whether a literal follows.
		s.line = append(s.line[:min(len(s.line), maxLine/2)], p[max(0, len(p)-maxLine/2):]...)
		return
	}
	s.line = append(s.line, p...)
}

// announced is the length of the literal that the line ends in, or -1.
func (s *lines) announced() int64 {
	line := bytes.TrimRight(s.line, "\r\n")
	open := bytes.LastIndexByte(line, '{')
	if open < 0 || !bytes.HasSuffix(line, []byte("}")) {
		return -1
	}
	digits := bytes.TrimRight(line[open+1:len(line)-1], "+-")
	n, err := strconv.ParseInt(string(digits), 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// begin enters a literal with a mark at its middle.
func (s *lines) begin(n int64) {
	s.literal, s.mark = n, n/2
	if n == 0 {
		s.mark = -1
	}
}

// serverScan follows what a server sends.
type serverScan struct {
	lines
	octets  int
	greeted bool
	within  bool // of a response that continues after a literal
}

func newServerScan() *serverScan { return &serverScan{lines: lines{mark: -1}} }

// greetingOctets is where the greeting is broken.
const greetingOctets = 5

func (s *serverScan) next(p []byte) (int, Stage) {
	if !s.greeted {
		n := min(len(p), greetingOctets-s.octets)
		s.octets += n
		s.keep(p[:n])
		if s.octets < greetingOctets {
			return n, ""
		}
		s.greeted = true
		return n, Greeting
	}
	for done := 0; done < len(p); {
		n, marked, ended := s.step(p[done:])
		done += n
		if marked {
			return done, MidFetch
		}
		if !ended {
			continue
		}
		size := s.announced()
		s.line = s.line[:0]
		s.within = size >= 0
		if s.within {
			s.begin(size)
			continue
		}
		return done, AnyServer
	}
	return len(p), ""
}

// clientScan follows what a client sends.
type clientScan struct {
	lines
	verb     string // of the command that is being sent
	literals int    // of that command
}

func newClientScan() *clientScan { return &clientScan{lines: lines{mark: -1}} }

func (s *clientScan) next(p []byte) (int, Stage) {
	for done := 0; done < len(p); {
		n, marked, ended := s.step(p[done:])
		done += n
		if marked && s.verb == "APPEND" {
			if s.literals > 1 {
				return done, MidBatch
			}
			return done, MidAppend
		}
		if !ended {
			continue
		}
		if s.verb == "" {
			s.verb = verb(s.line)
		}
		size := s.announced()
		s.line = s.line[:0]
		if size >= 0 {
			s.literals++
			s.begin(size)
			continue
		}
		command := s.verb
		s.verb, s.literals = "", 0
		switch command {
		case "LOGIN", "AUTHENTICATE":
			return done, SignIn
		case "EXAMINE", "SELECT":
			return done, Examine
		case "APPEND":
			return done, Unanswered
		}
	}
	return len(p), ""
}

// verb is the name of a command: its second word, in capitals.
func verb(line []byte) string {
	fields := bytes.Fields(line)
	if len(fields) < 2 {
		return "-"
	}
	return string(bytes.ToUpper(fields[1]))
}
