package imapconn

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"
)

// The bounds of what is kept of one message's labels. Gmail allows 225
// characters in a name and 10,000 labels in an account; what is beyond counts
// as not told.
const (
	maxLabel  = 4096
	maxLabels = 64 << 10 // octets of one message's labels together
)

// labelList reads the value of X-GM-LABELS while the rewriter leaves it out of
// the response: a list of atoms, quoted strings and literals in modified UTF-7.
// Whatever else stands there is no error. Labels explain and prove nothing, and
// a list that cannot be read is none.
type labelList struct {
	wanted bool // the command asked for them
	open   bool // the value that is being left out is the list
	bad    bool
	list   []string // nil: not told
	octets int
}

// begin is told the value's first octets.
func (l *labelList) begin(value []byte) {
	if l.list != nil {
		l.bad = true // twice in one response
	}
	if l.open = l.wanted && bytes.HasPrefix(value, []byte("(")); l.open {
		l.list = []string{}
	}
}

// end is the value's end.
func (l *labelList) end() { l.open = false }

// takes reports whether a literal of n octets is a label that is to be told.
func (l *labelList) takes(n int64, depth int) bool {
	if !l.open {
		return false
	}
	if depth != 1 || n > maxLabel {
		l.bad = true
	}
	return !l.bad
}

// atom is add of what is no string: NIL is none.
func (l *labelList) atom(raw string, depth int) {
	if !strings.EqualFold(raw, "NIL") {
		l.add(raw, depth)
	}
}

// add takes a label as the server wrote it.
func (l *labelList) add(raw string, depth int) {
	if !l.open {
		return
	}
	l.octets += len(raw)
	if depth != 1 || len(raw) > maxLabel || l.octets > maxLabels {
		l.bad = true
	}
	if l.bad || raw == "" {
		return
	}
	l.list = append(l.list, labelName(raw))
}

// labelName is the name that LIST would give to the label's folder.
func labelName(raw string) string {
	name, plain := decodeUTF7(raw)
	switch {
	case plain:
	case utf8.ValidString(raw):
		name = raw
	default:
		name = latin1(raw)
	}
	return name
}

// told returns the labels, sorted and each once; nil where there was no list
// that can be read.
func (l *labelList) told() []string {
	if l.bad || l.list == nil {
		return nil
	}
	slices.Sort(l.list)
	return slices.Compact(l.list)
}
