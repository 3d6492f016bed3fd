package evidence

import (
	"bytes"
	"errors"
	"io"
)

// numbered is a line of a file of data with its number.
type numbered struct {
	n    int64
	line line
}

// records are the lines of the files of data that are no trees, by file. A file
// in which a line could not be read is not among them: what it lacks is not
// known.
type records map[string][]numbered

// recordFiles are the files of data that are no trees, and what their lines are.
var recordFiles = []struct {
	name string
	of   func(text []byte) line
}{
	{fileDispositions, func(text []byte) line {
		if bytes.HasPrefix(text, []byte(`{"check":"`)) {
			return new(findingDecisionLine)
		}
		return new(dispositionLine)
	}},
	{fileDNS, func(text []byte) line {
		if bytes.HasPrefix(text, []byte(`{"kind":"`+kindObservation+`"`)) {
			return new(observationLine)
		}
		return new(findingLine)
	}},
	{filePasses, func([]byte) line { return new(passLine) }},
	{fileAttestations, func([]byte) line { return new(attestationLine) }},
	{fileDeletions, func([]byte) line { return new(deletionLine) }},
}

// readRecords reads the lines of the files that are no trees.
func (v *verifier) readRecords() {
	v.records = records{}
	for _, f := range recordFiles {
		if lines, ok := v.readRecordFile(f.name, f.of); ok {
			v.records[f.name] = lines
		}
	}
}

// readRecordFile reads one file; false where not all of it could be read.
func (v *verifier) readRecordFile(name string, of func(text []byte) line) (lines []numbered, ok bool) {
	f, err := v.store.open(name)
	if err != nil {
		v.problem(CheckLines, name, 0, "%s", readError(err))
		return nil, false
	}
	in := newLineReader(f)
	ok = true
	wrong := func(format string, args ...any) {
		v.problem(CheckLines, name, in.n, format, args...)
		ok = false
	}
	lastPass := int64(0)
	for {
		text, err := in.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			wrong("%v", err)
			break
		}
		l := of(text)
		if err := decode(text, l); err != nil {
			wrong("%v", err)
			continue
		}
		if p, isPass := l.(*passLine); isPass {
			if p.ID <= lastPass {
				wrong("does not come after the line before it, or repeats it")
			}
			lastPass = p.ID
		}
		lines = append(lines, numbered{in.n, l})
	}
	if _, err := in.finish(); err != nil {
		v.problem(CheckManifest, name, 0, "%s", readError(err))
		ok = false
	}
	return lines, ok
}
