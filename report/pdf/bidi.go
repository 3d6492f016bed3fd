package pdf

import (
	"slices"
	"unicode"

	"golang.org/x/text/unicode/bidi"
)

// visual brings a cleaned text from logical into visual order after UAX #9.
// Format characters were written out before, so there are neither embeddings
// nor isolates, and the rules for them are left out. The direction of the
// whole is that of its first strong character (P2, P3).
func visual(s string) string {
	if !needsOrder(s) {
		return s
	}
	runes := []rune(s)
	classes := make([]bidi.Class, len(runes))
	base := uint8(0)
	decided := false
	for i, r := range runes {
		p, _ := bidi.LookupRune(r)
		classes[i] = p.Class()
		if !decided && (classes[i] == bidi.L || isRTL(classes[i])) {
			decided = true
			if isRTL(classes[i]) {
				base = 1
			}
		}
	}
	levels := resolve(classes, base)
	return reorder(runes, levels)
}

func isRTL(c bidi.Class) bool { return c == bidi.R || c == bidi.AL }

func needsOrder(s string) bool {
	for _, r := range s {
		if r < 0x590 {
			continue
		}
		p, _ := bidi.LookupRune(r)
		if c := p.Class(); isRTL(c) || c == bidi.AN {
			return true
		}
	}
	return false
}

// resolve gives every character its level: rules W1 to W7, N1, N2, I1, I2.
func resolve(classes []bidi.Class, base uint8) []uint8 {
	edge := bidi.L
	if base == 1 {
		edge = bidi.R
	}
	c := append([]bidi.Class(nil), classes...)
	weak(c, edge)
	neutral(c, edge)
	levels := make([]uint8, len(c))
	for i := range c {
		levels[i] = base
		switch {
		case base == 0 && c[i] == bidi.R:
			levels[i] = 1
		case base == 0 && (c[i] == bidi.AN || c[i] == bidi.EN):
			levels[i] = 2
		case base == 1 && (c[i] == bidi.L || c[i] == bidi.AN || c[i] == bidi.EN):
			levels[i] = 2
		}
	}
	return levels
}

func weak(c []bidi.Class, edge bidi.Class) {
	previous, strong := edge, edge
	for i := range c { // W1, W2, W3
		if c[i] == bidi.NSM {
			c[i] = previous
		}
		previous = c[i]
		switch c[i] {
		case bidi.L, bidi.R, bidi.AL:
			strong = c[i]
		case bidi.EN:
			if strong == bidi.AL {
				c[i] = bidi.AN
			}
		}
	}
	for i := range c {
		if c[i] == bidi.AL {
			c[i] = bidi.R
		}
	}
	for i := 1; i+1 < len(c); i++ { // W4
		before, after := c[i-1], c[i+1]
		if before == after && (c[i] == bidi.ES && before == bidi.EN || c[i] == bidi.CS && (before == bidi.EN || before == bidi.AN)) {
			c[i] = before
		}
	}
	for i := 0; i < len(c); { // W5, W6
		if c[i] != bidi.ET {
			if c[i] == bidi.ES || c[i] == bidi.CS {
				c[i] = bidi.ON
			}
			i++
			continue
		}
		end := i
		for end < len(c) && c[end] == bidi.ET {
			end++
		}
		to := bidi.ON
		if i > 0 && c[i-1] == bidi.EN || end < len(c) && c[end] == bidi.EN {
			to = bidi.EN
		}
		for ; i < end; i++ {
			c[i] = to
		}
	}
	strong = edge
	for i := range c { // W7
		switch c[i] {
		case bidi.L, bidi.R:
			strong = c[i]
		case bidi.EN:
			if strong == bidi.L {
				c[i] = bidi.L
			}
		}
	}
}

// neutral gives whatever is neither letter nor number the direction of its
// neighbours where they agree, else that of the whole.
func neutral(c []bidi.Class, edge bidi.Class) {
	strong := func(k bidi.Class) (bidi.Class, bool) {
		switch k {
		case bidi.L:
			return bidi.L, true
		case bidi.R, bidi.EN, bidi.AN:
			return bidi.R, true
		}
		return bidi.ON, false
	}
	before := edge
	for i := 0; i < len(c); {
		if k, ok := strong(c[i]); ok {
			before = k
			i++
			continue
		}
		end := i
		after := edge
		for end < len(c) {
			if k, ok := strong(c[end]); ok {
				after = k
				break
			}
			end++
		}
		to := edge
		if before == after {
			to = before
		}
		for ; i < end; i++ {
			c[i] = to
		}
	}
}

// reorder turns around what runs from right to left: rules L1 (at the end of
// the line), L2 and L4.
func reorder(runes []rune, levels []uint8) string {
	out := append([]rune(nil), runes...)
	lv := append([]uint8(nil), levels...)
	for i := range out {
		if lv[i]&1 == 1 {
			out[i] = mirror(out[i])
		}
	}
	for level := uint8(2); level >= 1; level-- {
		for i := 0; i < len(out); {
			if lv[i] < level {
				i++
				continue
			}
			end := i
			for end < len(out) && lv[end] >= level {
				end++
			}
			for a, b := i, end-1; a < b; a, b = a+1, b-1 {
				out[a], out[b] = out[b], out[a]
				lv[a], lv[b] = lv[b], lv[a]
			}
			i = end
		}
	}
	return string(marksLast(out, lv))
}

// marksLast puts combining marks of text that was turned around behind their
// letter again, where the font expects them: rule L3.
func marksLast(out []rune, levels []uint8) []rune {
	for i := 0; i < len(out); i++ {
		if levels[i]&1 == 0 || !unicode.Is(unicode.Mn, out[i]) {
			continue
		}
		end := i
		for end < len(out) && levels[end]&1 == 1 && unicode.Is(unicode.Mn, out[end]) {
			end++
		}
		if end < len(out) && levels[end]&1 == 1 {
			letter := out[end]
			copy(out[i+1:end+1], out[i:end])
			out[i] = letter
			slices.Reverse(out[i+1 : end+1]) // nearest mark first, as they were
		}
		i = end
	}
	return out
}

var mirrors = map[rune]rune{
	'(': ')', ')': '(', '[': ']', ']': '[', '{': '}', '}': '{', '<': '>', '>': '<', '«': '»', '»': '«', '⟨': '⟩', '⟩': '⟨',
	'‹': '›', '›': '‹', '≤': '≥', '≥': '≤',
}

func mirror(r rune) rune {
	if m, ok := mirrors[r]; ok {
		return m
	}
	return r
}
