package config

import (
	"errors"
	"strings"
)

// line is one line of a list that holds something.
type line struct {
	number int // from 1
	text   string
}

// contentLines returns the lines that are neither blank nor a comment. A record
// is one line: no field of a list can hold a line break, so one quote that is
// not closed spoils its own row and no other.
func contentLines(text string) []line {
	var lines []line
	number := 0
	for text := range strings.Lines(text) {
		number++
		text = strings.TrimSuffix(text, "\n")
		trimmed := strings.TrimLeft(text, " \t")
		if trimmed == "" || trimmed[0] == '#' {
			continue
		}
		if strings.Trim(trimmed, ",; \t") == "" {
			continue // an empty row of a spreadsheet
		}
		lines = append(lines, line{number, text})
	}
	return lines
}

var (
	errOpenQuote  = errors.New("a quote is opened and not closed")
	errAfterQuote = errors.New("something follows a closing quote")
)

// splitFields parts a line as RFC 4180 §2 says: a field that begins with a
// quote ends at its closing quote, and "" within it is a quote. Blanks around
// fields are cut unless they are within quotes. A quote in the midst of a field
// is an ordinary character.
func splitFields(s string, sep byte) ([]string, error) {
	fields := make([]string, 0, 8)
	for {
		s = strings.TrimLeft(s, blanks(sep))
		if strings.HasPrefix(s, `"`) {
			field, rest, err := quotedField(s[1:])
			if err != nil {
				return nil, err
			}
			fields = append(fields, field)
			rest = strings.TrimLeft(rest, blanks(sep))
			if rest == "" {
				return fields, nil
			}
			if rest[0] != sep {
				return nil, errAfterQuote
			}
			s = rest[1:]
			continue
		}
		end := strings.IndexByte(s, sep)
		if end < 0 {
			return append(fields, strings.TrimRight(s, blanks(sep))), nil
		}
		fields = append(fields, strings.TrimRight(s[:end], blanks(sep)))
		s = s[end+1:]
	}
}

// quotedField reads up to the closing quote and returns what follows it.
func quotedField(s string) (field, rest string, err error) {
	var b strings.Builder
	for {
		end := strings.IndexByte(s, '"')
		if end < 0 {
			return "", "", errOpenQuote
		}
		b.WriteString(s[:end])
		s = s[end+1:]
		if !strings.HasPrefix(s, `"`) {
			return b.String(), s, nil
		}
		b.WriteByte('"')
		s = s[1:]
	}
}

// blanks are the characters around a field that do not belong to it.
func blanks(sep byte) string {
	if sep == '\t' {
		return " "
	}
	return " \t"
}

var separators = []byte{',', ';', '\t'}

var separatorNames = map[byte]string{',': "comma", ';': "semicolon", '\t': "tab"}
