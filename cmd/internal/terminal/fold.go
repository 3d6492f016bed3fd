package terminal

import "strings"

// Fold breaks text into lines of at most width columns; the second and every
// further one begins with so many blanks as indent says. It breaks between
// words, and rather behind a colon, a semicolon or a comma than in the midst of
// a phrase or a command. Nothing is lost and no word is cut: one that is wider
// than a line, as a root or a long path, stands on a line of its own.
func Fold(text string, width, indent int) []string {
	if Width(text) <= width {
		return []string{text}
	}
	indent = max(0, min(indent, width/2))
	var lines []string
	lead := ""
	for {
		head, rest := foldOnce(text, width-len(lead))
		lines = append(lines, lead+head)
		if rest == "" {
			return lines
		}
		text, lead = rest, strings.Repeat(" ", indent)
	}
}

// foldOnce takes one line off the text.
func foldOnce(text string, room int) (line, rest string) {
	if Width(text) <= room {
		return text, ""
	}
	lead := len(text) - len(strings.TrimLeft(text, " ")) // an indent of the text's own is no place to break
	last, phrase := -1, -1
	for i := lead; i < len(text); i++ {
		if text[i] != ' ' {
			continue
		}
		used := Width(strings.TrimRight(text[:i], " "))
		if used > room && last >= 0 {
			break
		}
		last = i
		if used > room {
			break // one word that is too wide for any line
		}
		if used > room/2 && strings.IndexByte(":;,", text[i-1]) >= 0 {
			phrase = i
		}
	}
	if last < 0 {
		return text, ""
	}
	if phrase > 0 {
		last = phrase
	}
	return strings.TrimRight(text[:last], " "), strings.TrimLeft(text[last:], " ")
}
