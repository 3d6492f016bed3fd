package pdf

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"codeberg.org/go-fonts/dejavu/dejavusans"
	"golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"golang.org/x/text/unicode/norm"
)

// face is a font and what it covers.
type face struct {
	name   string
	font   *sfnt.Font
	glyphs map[rune]glyph
	buf    sfnt.Buffer
}

// glyph is what is known of a character in a font.
type glyph struct {
	covered bool
	advance float64 // in em
}

func newFace(name string, ttf []byte) (*face, error) {
	parsed, err := sfnt.Parse(ttf)
	if err != nil {
		return nil, err
	}
	return &face{name: name, font: parsed, glyphs: map[rune]glyph{}}, nil
}

// glyph looks a character up. One beyond U+FFFF is never covered, as the
// library cannot write it.
func (f *face) glyph(r rune) glyph {
	if r > 0xFFFF {
		return glyph{}
	}
	g, ok := f.glyphs[r]
	if !ok {
		g = f.lookUp(r)
		f.glyphs[r] = g
	}
	return g
}

func (f *face) lookUp(r rune) glyph {
	index, err := f.font.GlyphIndex(&f.buf, r)
	if err != nil || index == 0 {
		return glyph{}
	}
	em := f.font.UnitsPerEm()
	advance, err := f.font.GlyphAdvance(&f.buf, index, fixed.I(int(em)), font.HintingNone)
	if err != nil {
		return glyph{}
	}
	// The library rounds advances to a thousandth of an em; so does this.
	return glyph{covered: true, advance: math.Round(float64(advance)/64/float64(em)*1000) / 1000}
}

func (f *face) covers(r rune) bool { return f.glyph(r).covered }

// Clean brings a text into a form that can be printed: composed (NFC), with
// control and format characters, private use, and whatever is not covered
// written out as ⟨U+XXXX⟩. Octets that are no UTF-8 become U+FFFD.
func Clean(s string, covered func(rune) bool) string {
	simple := true
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			simple = false
			break
		}
	}
	if simple {
		return s
	}
	var b strings.Builder
	for _, r := range norm.NFC.String(strings.ToValidUTF8(s, "\uFFFD")) {
		if hidden(r) || !covered(r) {
			fmt.Fprintf(&b, "⟨U+%04X⟩", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func hidden(r rune) bool {
	return unicode.Is(unicode.Cc, r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r) || r == 0x2028 || r == 0x2029
}

// text is a cleaned text in the order in which it is drawn.
type text struct {
	pieces []piece
	width  float64 // in points at size 1
}

type piece struct {
	face  int
	s     string
	width float64
}

func faceOf(st Style) int {
	switch {
	case st.Mono:
		return monoFace
	case st.Bold:
		return boldFace
	}
	return regular
}

// pick returns the face that covers a character, beginning with the wanted
// one; -1 where none does.
func (s *Sheet) pick(want int, r rune) int {
	if s.faces[want].covers(r) {
		return want
	}
	if s.faces[regular].covers(r) {
		return regular
	}
	for i := fallbacks; i < len(s.faces); i++ {
		if s.faces[i].covers(r) {
			return i
		}
	}
	return -1
}

func (s *Sheet) clean(st Style, str string) string {
	want := faceOf(st)
	return Clean(str, func(r rune) bool { return s.pick(want, r) >= 0 })
}

const maxCache = 20_000

// shape cleans, orders and measures a text.
func (s *Sheet) shape(st Style, str string) *text {
	want := faceOf(st)
	key := string(rune('0'+want)) + str
	if t, ok := s.cache[key]; ok {
		return t
	}
	t := s.measure(want, visual(join(s.clean(st, str), func(r rune) bool { return s.faces[want].covers(r) || s.faces[regular].covers(r) })))
	if len(s.cache) >= maxCache {
		clear(s.cache)
	}
	s.cache[key] = t
	return t
}

func (s *Sheet) measure(want int, ordered string) *text {
	t := &text{}
	var b strings.Builder
	current := want
	flush := func() {
		if b.Len() == 0 {
			return
		}
		p := piece{face: current, s: b.String()}
		for _, r := range p.s {
			p.width += s.faces[current].glyph(r).advance
		}
		t.pieces = append(t.pieces, p)
		t.width += p.width
		b.Reset()
	}
	for _, r := range ordered {
		i := s.pick(want, r)
		if i < 0 {
			i, r = regular, '?' // cannot be: the text was cleaned
		}
		if i != current {
			flush()
			current = i
		}
		b.WriteRune(r)
	}
	flush()
	return t
}

const pointsPerMillimetre = 72 / 25.4

// Width is the width of a text in millimetres.
func (s *Sheet) Width(st Style, str string) float64 {
	return s.shape(st, str).width * st.Size / pointsPerMillimetre
}

// Text draws a text with its baseline beginning at (x, y), and returns its
// width.
func (s *Sheet) Text(x, y float64, st Style, str string) float64 {
	t := s.shape(st, str)
	if len(t.pieces) == 0 {
		return 0
	}
	s.markText()
	s.f.SetTextColor(int(st.Colour.R), int(st.Colour.G), int(st.Colour.B))
	at := x
	for _, p := range t.pieces {
		if face := fmt.Sprintf("%d %g", p.face, st.Size); face != s.now {
			s.f.SetFont(s.faces[p.face].name, "", st.Size)
			s.now = face
		}
		s.f.Text(at, y, p.s)
		at += p.width * st.Size / pointsPerMillimetre
	}
	return at - x
}

// Fit cuts a text with an ellipsis so that it is no wider than max.
func (s *Sheet) Fit(st Style, str string, max float64) string {
	if s.Width(st, str) <= max {
		return str
	}
	low, high := 0, utf8.RuneCountInString(str)
	runes := []rune(str)
	for low < high {
		middle := (low + high + 1) / 2
		if s.Width(st, string(runes[:middle])+"…") <= max {
			low = middle
		} else {
			high = middle - 1
		}
	}
	return strings.TrimRight(string(runes[:low]), " ") + "…"
}

// Split cuts a text after as much as fits into room: at a space where there is
// one, then after a slash, hyphen, comma or at sign, else between characters.
// At least one character is taken if must is set. What is returned first may
// be empty otherwise.
func (s *Sheet) Split(st Style, str string, room float64, must bool) (head, rest string) {
	if s.Width(st, str) <= room {
		return str, ""
	}
	runes := []rune(str)
	low, high := 0, len(runes)
	for low < high {
		middle := (low + high + 1) / 2
		if s.Width(st, strings.TrimRight(string(runes[:middle]), " ")) <= room {
			low = middle
		} else {
			high = middle - 1
		}
	}
	if n := breakAt(runes, low); n > 0 {
		return strings.TrimRight(string(runes[:n]), " "), strings.TrimLeft(string(runes[n:]), " ")
	}
	if !must {
		return "", str
	}
	low = min(max(low, 1), len(runes))
	for n := low; n > 0 && n < len(runes); n-- {
		if !unicode.Is(unicode.Mn, runes[n]) {
			low = n // do not part a letter from its marks
			break
		}
	}
	return string(runes[:low]), string(runes[low:])
}

// wideBreak reports whether a line may end between two characters of which one
// is an ideograph or kana: these are set without spaces and part anywhere, but
// that no line begins with a mark that closes and none ends with one that opens
// (JIS X 4051).
func wideBreak(a, b rune) bool {
	const (
		closing = "、。，．・：；？！）］｝」』】〉》〕ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ)],.:;%…"
		opening = "（［｛「『【〈《〔(["
	)
	return (wide(a) || wide(b)) && !strings.ContainsRune(closing, b) && !strings.ContainsRune(opening, a) && !unicode.Is(unicode.M, b)
}

func wide(r rune) bool {
	return r >= 0x3000 && r <= 0x303F || r >= 0xFF00 && r <= 0xFFEF || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana)
}

// Uncovered returns the characters of a text that neither the document's own
// faces nor one of the given TrueType files has a glyph for, each once, in the
// order of the text.
func Uncovered(fonts [][]byte, text string) ([]rune, error) {
	var faces []*face
	for i, ttf := range append([][]byte{dejavusans.TTF}, fonts...) {
		f, err := newFace("", ttf)
		if err != nil {
			return nil, fmt.Errorf("pdf: font %d: %w", i, err)
		}
		faces = append(faces, f)
	}
	var out []rune
	for _, r := range norm.NFC.String(text) {
		if hidden(r) || slices.Contains(out, r) || slices.ContainsFunc(faces, func(f *face) bool { return f.covers(r) }) {
			continue
		}
		out = append(out, r)
	}
	return out, nil
}

// breakAt finds the last place up to n where a line may end; 0 if none.
func breakAt(runes []rune, n int) int {
	if n >= len(runes) {
		return n
	}
	if runes[n] == ' ' {
		return n
	}
	for i := n; i > 0; i-- {
		if runes[i-1] == ' ' || wideBreak(runes[i-1], runes[i]) {
			return i
		}
	}
	for i := n; i > n/2 && i > 1; i-- {
		switch runes[i-1] {
		case '/', '-', ',', ';', '@', '_', '=', ':':
			return i
		}
	}
	return 0
}
