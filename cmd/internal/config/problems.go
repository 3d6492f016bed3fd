package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mailproof/mailproof/cmd/internal/credential"
)

// Problem is one thing that is wrong with a file, and where. It repeats no
// cell of a list: the cell may be a password in the wrong column.
type Problem struct {
	File   string // as it was named to us
	Line   int    // from 1; 0 where it is about the whole file
	Place  string // `column "password"`, `key "source.host"`; empty for the whole line
	Reason string
	Hints  []string // what to do about it
}

// Error returns FILE:LINE: PLACE: REASON.
func (p *Problem) Error() string {
	s := p.File
	if p.Line > 0 {
		s += ":" + strconv.Itoa(p.Line)
	}
	if p.Place != "" {
		s += ": " + p.Place
	}
	return s + ": " + p.Reason
}

// Error lists all that is wrong with a file, so that it is mended in one go.
// Nothing of the file was used.
type Error struct {
	Problems []*Problem // in the order of the lines
	Rows     int        // accounts in the list; 0 where the file is no list
	header   int        // line of the list's header; 0 where there is none
}

// printed bounds what Error and Details print; the Problems have all.
const printed = 200

// Details returns one text for each problem.
func (e *Error) Details() []string {
	var lines []string
	for i, p := range e.Problems {
		if i == printed {
			lines = append(lines, fmt.Sprintf("%s: %d more like these", p.File, len(e.Problems)-printed))
			break
		}
		lines = append(lines, p.Error())
	}
	return lines
}

// Error returns the problems, one a line.
func (e *Error) Error() string { return strings.Join(e.Details(), "\n") }

// Summary is the line after the problems of a list: "2 bad rows of 50, nothing
// was run". It is empty for files that are no list, and where no row is bad.
func (e *Error) Summary() string {
	bad := map[int]bool{}
	for _, p := range e.Problems {
		if p.Line > 0 && p.Line != e.header {
			bad[p.Line] = true
		}
	}
	switch {
	case e.Rows == 0 || len(bad) == 0:
		return ""
	case len(bad) == 1:
		return fmt.Sprintf("1 bad row of %d, nothing was run", e.Rows)
	}
	return fmt.Sprintf("%d bad rows of %d, nothing was run", len(bad), e.Rows)
}

// Hints returns what to do, each thing once.
func (e *Error) Hints() []string {
	var all []string
	for _, p := range e.Problems {
		for _, h := range p.Hints {
			if !slices.Contains(all, h) {
				all = append(all, h)
			}
		}
		if len(all) >= 100 {
			break
		}
	}
	return all
}

// problems collects what is wrong with one file.
type problems struct {
	file   string
	header int // line of the list's header
	list   []*Problem
	// cells says that a cell of a row is bad once: what follows from that is
	// not another problem.
	cells bool
}

func (ps *problems) add(line int, place, reason string, hints ...string) {
	for i := len(ps.list) - 1; ps.cells && place != "" && line > 0 && i >= 0 && ps.list[i].Line == line; i-- {
		if ps.list[i].Place == place {
			return
		}
	}
	hints = slices.DeleteFunc(hints, func(h string) bool { return h == "" })
	ps.list = append(ps.list, &Problem{File: ps.file, Line: line, Place: place, Reason: reason, Hints: hints})
}

// addError adds an error with the hints that it carries.
func (ps *problems) addError(line int, place string, err error) {
	var hints []string
	if h, ok := err.(interface{ Hints() []string }); ok {
		hints = h.Hints()
	}
	ps.add(line, place, err.Error(), hints...)
}

// err returns the problems as an error, or nil where there is none.
func (ps *problems) err(rows int) error {
	if len(ps.list) == 0 {
		return nil
	}
	slices.SortStableFunc(ps.list, func(a, b *Problem) int { return a.Line - b.Line })
	return &Error{Problems: ps.list, Rows: rows, header: ps.header}
}

func column(name string) string { return fmt.Sprintf("column %q", name) }

func key(name string) string { return fmt.Sprintf("key %q", name) }

// credentialHint is added where a password is missing.
const credentialHint = "write a password as " + credential.Forms
