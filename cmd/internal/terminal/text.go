package terminal

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Joiners are format characters that some scripts are written with; they do
// nothing but shape their neighbours.
const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
	ideographicSpace   = '\u3000'
)

// maxMarks is how many combining marks may stand on one character: more of
// them reach into other lines.
const maxMarks = 4

// Escape makes foreign text safe to print on one line. Control characters,
// bidirectional controls, other invisible characters and octets that are no
// UTF-8 are written as \n, \x1b, \u202e and so on; the rest stays as it is.
func Escape(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	marks := 0
	for i := 0; i < len(s); {
		c, n := utf8.DecodeRuneInString(s[i:])
		if unicode.Is(unicode.M, c) {
			marks++
		} else if c != zeroWidthJoiner && c != zeroWidthNonJoiner {
			marks = 0
		}
		switch {
		case c == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, s[i])
		case marks > maxMarks:
			escapeRune(&b, c)
		case unicode.IsPrint(c), c == zeroWidthNonJoiner, c == zeroWidthJoiner, c == ideographicSpace:
			b.WriteString(s[i : i+n])
		default:
			escapeRune(&b, c)
		}
		i += n
	}
	return b.String()
}

func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func escapeRune(b *strings.Builder, c rune) {
	switch {
	case c == '\n':
		b.WriteString(`\n`)
	case c == '\r':
		b.WriteString(`\r`)
	case c == '\t':
		b.WriteString(`\t`)
	case c < 0x80:
		fmt.Fprintf(b, `\x%02x`, c)
	case c < 0x10000:
		fmt.Fprintf(b, `\u%04x`, c)
	default:
		fmt.Fprintf(b, `\U%08x`, c)
	}
}

// Width is the number of columns that text takes on the screen: two for wide
// East Asian characters, none for combining marks.
func Width(s string) int {
	if isPlain(s) {
		return len(s)
	}
	return uniseg.StringWidth(s)
}

// Ellipsis stands where text was cut.
const Ellipsis = "…"

// Middle cuts text in the middle so that it takes at most width columns: the
// ends of folder names and addresses say more than their middles.
func Middle(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	tail := (width - 1) / 2
	head, used := prefix(s, width-1-tail)
	return head + Ellipsis + suffix(s[len(head):], width-1-used)
}

// End cuts text at its end so that it takes at most width columns.
func End(s string, width int) string {
	if Width(s) <= width {
		return s
	}
	if width < 1 {
		return ""
	}
	head, _ := prefix(s, width-1)
	return head + Ellipsis
}

// prefix is the longest run of whole characters that fits, and its width.
func prefix(s string, width int) (string, int) {
	end, used, state := 0, 0, -1
	for rest := s; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > width {
			break
		}
		used += w
		end += len(cluster)
	}
	return s[:end], used
}

// suffix is the longest run of whole characters at the end that fits.
func suffix(s string, width int) string {
	type cluster struct{ start, width int }
	var all []cluster
	start, state := 0, -1
	for rest := s; rest != ""; {
		var c string
		var w int
		c, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		all = append(all, cluster{start, w})
		start += len(c)
	}
	from, used := len(s), 0
	for i := len(all) - 1; i >= 0 && used+all[i].width <= width; i-- {
		used += all[i].width
		from = all[i].start
	}
	return s[from:]
}

// pad fills text up to width columns.
func pad(s string, width int, right bool) string {
	blank := strings.Repeat(" ", max(0, width-Width(s)))
	if right {
		return blank + s
	}
	return s + blank
}

// Style is what a piece of text is, for colour. Colour is never alone: the
// text says it too.
type Style uint8

// The styles.
const (
	Normal Style = iota
	Good
	Caution
	Bad
	Faint
	Strong
)

var styleCodes = map[Style]string{Good: "32", Caution: "33", Bad: "31", Faint: "2", Strong: "1"}

// Paint colours text, if colour is wanted.
func Paint(text string, style Style, color bool) string {
	code := styleCodes[style]
	if !color || code == "" || text == "" {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
