package credential

import (
	"errors"
	"strings"
)

// splitWords splits a command line as a POSIX shell does (XCU §2.2, quoting)
// but expands nothing: no variables, no globs, no pipes. So an argument is
// what is written, whatever it holds.
func splitWords(s string) ([]string, error) {
	var (
		words  []string
		word   strings.Builder
		inWord bool
		quote  byte
		escape bool
	)
	for i := range len(s) { // octets: the marks are ASCII, and the rest need not be UTF-8
		c := s[i]
		switch {
		case escape:
			// Within double quotes a backslash is kept unless it escapes something.
			if quote == '"' && strings.IndexByte("$`\"\\", c) < 0 {
				word.WriteByte('\\')
			}
			word.WriteByte(c)
			escape = false
		case c == '\\' && quote != '\'':
			escape, inWord = true, true
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			word.WriteByte(c)
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == ' ' || c == '\t':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
		default:
			inWord = true
			word.WriteByte(c)
		}
	}
	if quote != 0 {
		return nil, errors.New("has a quote that is not closed")
	}
	if escape {
		return nil, errors.New("ends in a backslash")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}
