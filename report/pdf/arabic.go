package pdf

// Arabic letters take one of four forms by their neighbours. A font shapes
// them by itself where the writer asks it to; the PDF library does not, so the
// letters are replaced by the compatibility characters for their forms
// (Unicode block Arabic Presentation Forms), which DejaVu Sans has.

// forms holds the isolated form; final, initial and medial follow it in the
// code chart. Letters with two forms join to the right only.
type forms struct {
	isolated rune
	count    int
}

var arabicForms = map[rune]forms{
	0x0621: {0xFE80, 1}, 0x0622: {0xFE81, 2}, 0x0623: {0xFE83, 2}, 0x0624: {0xFE85, 2}, 0x0625: {0xFE87, 2}, 0x0626: {0xFE89, 4},
	0x0627: {0xFE8D, 2}, 0x0628: {0xFE8F, 4}, 0x0629: {0xFE93, 2}, 0x062A: {0xFE95, 4}, 0x062B: {0xFE99, 4}, 0x062C: {0xFE9D, 4},
	0x062D: {0xFEA1, 4}, 0x062E: {0xFEA5, 4}, 0x062F: {0xFEA9, 2}, 0x0630: {0xFEAB, 2}, 0x0631: {0xFEAD, 2}, 0x0632: {0xFEAF, 2},
	0x0633: {0xFEB1, 4}, 0x0634: {0xFEB5, 4}, 0x0635: {0xFEB9, 4}, 0x0636: {0xFEBD, 4}, 0x0637: {0xFEC1, 4}, 0x0638: {0xFEC5, 4},
	0x0639: {0xFEC9, 4}, 0x063A: {0xFECD, 4}, 0x0641: {0xFED1, 4}, 0x0642: {0xFED5, 4}, 0x0643: {0xFED9, 4}, 0x0644: {0xFEDD, 4},
	0x0645: {0xFEE1, 4}, 0x0646: {0xFEE5, 4}, 0x0647: {0xFEE9, 4}, 0x0648: {0xFEED, 2}, 0x0649: {0xFEEF, 2}, 0x064A: {0xFEF1, 4},
	0x067E: {0xFB56, 4}, 0x0686: {0xFB7A, 4}, 0x0698: {0xFB8A, 2}, 0x06A9: {0xFB8E, 4}, 0x06AF: {0xFB92, 4}, 0x06CC: {0xFBFC, 4},
}

// lamAlef holds the isolated form of the ligature of lam with an alef; the
// final form follows it.
var lamAlef = map[rune]rune{0x0622: 0xFEF5, 0x0623: 0xFEF7, 0x0625: 0xFEF9, 0x0627: 0xFEFB}

const (
	tatweel = 0x0640
	lam     = 0x0644
)

// join replaces Arabic letters by their joined forms, in logical order. A form
// that is not covered leaves the letter as it is.
func join(s string, covered func(rune) bool) string {
	arabic := false
	for _, r := range s {
		arabic = arabic || r >= 0x0621 && r <= 0x06FF
	}
	if !arabic {
		return s
	}
	in := []rune(s)
	out := make([]rune, 0, len(in))
	for i := 0; i < len(in); i++ {
		r := in[i]
		f, ok := arabicForms[r]
		if !ok {
			out = append(out, r)
			continue
		}
		before, after := joinsForward(in, i), false
		if next, at := neighbour(in, i); r == lam && at == i+1 && lamAlef[next] != 0 {
			ligature := lamAlef[next]
			if before {
				ligature++
			}
			if covered(ligature) {
				out = append(out, ligature)
				i++
				continue
			}
		} else if at >= 0 {
			_, joins := arabicForms[next]
			after = f.count == 4 && (joins && next != 0x0621 || next == tatweel)
		}
		form := f.isolated
		switch {
		case before && after:
			form += 3
		case after:
			form += 2
		case before && f.count > 1:
			form++
		}
		if !covered(form) {
			form = r
		}
		out = append(out, form)
	}
	return string(out)
}

// joinsForward reports whether the letter before joins to the one at i.
func joinsForward(in []rune, i int) bool {
	for j := i - 1; j >= 0; j-- {
		if isMark(in[j]) {
			continue
		}
		return in[j] == tatweel || arabicForms[in[j]].count == 4
	}
	return false
}

// neighbour returns the next letter that is no vowel sign, and its place.
func neighbour(in []rune, i int) (rune, int) {
	for j := i + 1; j < len(in); j++ {
		if !isMark(in[j]) {
			return in[j], j
		}
	}
	return 0, -1
}

func isMark(r rune) bool { return r >= 0x064B && r <= 0x065F || r == 0x0670 }
