package terminal

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"
)

// Detailed is an error about several things, each with a line of its own.
type Detailed interface {
	error
	Details() []string
}

// summarised is an error that adds them up.
type summarised interface{ Summary() string }

// hinted is an error that says what to do next.
type hinted interface{ Hints() []string }

// Error writes what went wrong to Err: one line for each thing, then what it
// comes to, then what to do next, as far as the error says.
func (t *Terminal) Error(err error) {
	if err == nil {
		return
	}
	var summary string
	for _, e := range branches(err) {
		var d Detailed
		if !errors.As(e, &d) {
			t.say("error", Bad, e.Error())
			continue
		}
		for _, line := range d.Details() {
			t.say("error", Bad, line)
		}
		if s, ok := d.(summarised); ok && s.Summary() != "" {
			summary = s.Summary()
		}
	}
	if summary != "" {
		t.print(t.Err, Escape(summary))
	}
	if hints := Hints(err); len(hints) > 0 {
		t.say("hint", Faint, hintLine(hints))
	}
}

// branches are the errors that [errors.Join] put side by side.
func branches(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range j.Unwrap() {
			all = append(all, branches(e)...)
		}
		// A wrapper that words its causes in one sentence keeps the sentence.
		if texts := make([]string, len(all)); len(all) > 0 {
			for i, e := range all {
				texts[i] = e.Error()
			}
			if strings.Join(texts, "\n") == err.Error() {
				return all
			}
		}
	}
	return []error{err}
}

// Hints collects what the errors of a tree say to do next, each thing once.
func Hints(err error) []string {
	var all []string
	var walk func(error)
	walk = func(err error) {
		if err == nil {
			return
		}
		if h, ok := err.(hinted); ok {
			for _, text := range h.Hints() {
				if !slices.Contains(all, text) {
					all = append(all, text)
				}
			}
		}
		switch u := err.(type) {
		case interface{ Unwrap() error }:
			walk(u.Unwrap())
		case interface{ Unwrap() []error }:
			for _, e := range u.Unwrap() {
				walk(e)
			}
		}
	}
	walk(err)
	return all
}

// Warn writes a warning to Err.
func (t *Terminal) Warn(text string) { t.say("warning", Caution, text) }

// Hint writes what to do next to Err, folded where it is too long. Without texts
// it writes nothing.
func (t *Terminal) Hint(texts ...string) {
	if len(texts) > 0 {
		t.sayIn(t.Width(), "hint", Faint, hintLine(texts))
	}
}

// hintLine puts several things to do into one line.
func hintLine(texts []string) string {
	const most = 4
	if more := len(texts) - most; more > 0 {
		texts = append(slices.Clone(texts[:most]), "so on for "+Of(int64(more), "more", "more"))
	}
	line := strings.Join(texts, ", and ")
	if n := len(texts); n > 2 {
		line = strings.Join(texts[:n-1], "; ") + "; and " + texts[n-1]
	}
	return line
}

// Note writes a line without a prefix to Err.
func (t *Terminal) Note(text string) {
	for _, line := range Fold(Escape(text), t.logWidth(), foldIndent) {
		t.print(t.Err, line)
	}
}

// foldIndent is how far the further lines of what was folded stand in.
const foldIndent = 2

// logWidth is that of the screen where Err is one. What goes to a log stays in
// one line, as a log is searched by line.
func (t *Terminal) logWidth() int {
	if t.ErrIsTTY {
		return t.Width()
	}
	return math.MaxInt
}

// say writes a word and what there is to say.
func (t *Terminal) say(word string, style Style, text string) {
	t.sayIn(t.logWidth(), word, style, text)
}

// sayIn does so in a width, folded below the text.
func (t *Terminal) sayIn(width int, word string, style Style, text string) {
	head := word + ": "
	for i, line := range Fold(head+Escape(text), width, len(head)) {
		if i == 0 {
			line = Paint(word+":", style, t.ErrColor) + strings.TrimPrefix(line, word+":")
		}
		t.print(t.Err, line)
	}
}

// Columns of a stage line.
const (
	nameColumn  = 13
	sideColumn  = 13
	stageColumn = 83 // where the time taken ends
)

// StageLine says in one line what a stage of the work came to and how long it
// took:
//
//	inventory    source       148,213 messages in 274 folders, 14.2 GB       4 min 12 s
//
// Side is empty for stages that have none. The line is at most width columns
// wide.
func StageLine(name, side, text string, took time.Duration, width int) string {
	head := pad(Escape(name), nameColumn-1, false) + " "
	if side != "" {
		head += pad(Escape(side), sideColumn-1, false) + " "
	}
	end := Duration(took)
	room := min(stageColumn, width)
	body := head + Escape(text)
	if need := Width(body) + gap + Width(end); need > room {
		room = min(need, width)
	}
	body = End(body, room-gap-Width(end))
	return End(pad(body, room-Width(end), false)+end, width)
}

// Stage writes a [StageLine] to Out.
func (t *Terminal) Stage(name, side, text string, took time.Duration) {
	t.print(t.Out, StageLine(name, side, text, took, t.Width()))
}
