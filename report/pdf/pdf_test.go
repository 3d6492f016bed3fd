package pdf

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func newSheet(t testing.TB) *Sheet {
	t.Helper()
	s, err := New(Options{Title: "title", Time: time.Unix(1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	s.AddPage()
	return s
}

func TestClean(t *testing.T) {
	latin := func(r rune) bool { return r < 0x250 || r == '⟨' || r == '⟩' || r == 0xFFFD }
	for in, want := range map[string]string{
		"plain {nb} text":   "plain {nb} text",
		"smile 😀":           "smile ⟨U+1F600⟩",
		"a\u202eb":          "a⟨U+202E⟩b",
		"nul\x00":           "nul⟨U+0000⟩",
		"Zoe\u0308":         "Zoë",
		"soft\u00adhyphen":  "soft⟨U+00AD⟩hyphen",
		"\ue000":            "⟨U+E000⟩",
		"bad \xff":          "bad \uFFFD",
		"漢":                 "⟨U+6F22⟩",
		"line\u2028and\nLF": "line⟨U+2028⟩and⟨U+000A⟩LF",
	} {
		if got := Clean(in, latin); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// Visual order, as the examples of UAX #9 have it: capitals stand for Hebrew.
func TestVisual(t *testing.T) {
	hebrew := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r >= 'A' && r <= 'Z' {
				return 0x05D0 + r - 'A'
			}
			return r
		}, s)
	}
	for in, want := range map[string]string{
		"car means CAR.":       "car means RAC.",
		"CAR":                  "RAC",
		"CAR 123 BUS":          "SUB 123 RAC",
		"abc DEF 123 GHI jkl":  "abc IHG 123 FED jkl",
		"ABC (DEF)":            "(FED) CBA",
		"abc (DEF) ghi":        "abc (FED) ghi",
		"DEF abc":              "abc FED",
		"plain":                "plain",
		"A 12,345.6 B":         "B 12,345.6 A",
		"A 50% B":              "B 50% A",
		"“ABC”":                "“CBA”",
		"ABC ⟨u+202e⟩ DEF":     "FED ⟨u+202e⟩ CBA",
		"x ABC-DEF, GHI y 1":   "x IHG ,FED-CBA y 1",
		"ABC, DEF; mail x@y.z": "mail x@y.z ;FED ,CBA",
	} {
		in, want = hebrew(in), hebrew(want)
		if in == hebrew("“ABC”") { // quotation marks do not mirror; they change places
			want = hebrew("”CBA“")
		}
		if got := visual(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

func TestMarksStayBehindTheirLetter(t *testing.T) {
	in := "\u05d1\u05b0\u05bc\u05e8" // bet, sheva, dagesh, resh
	if got, want := visual(in), "\u05e8\u05d1\u05b0\u05bc"; got != want {
		t.Errorf("%+q, want %+q", got, want)
	}
}

func TestArabicJoins(t *testing.T) {
	all := func(rune) bool { return true }
	for in, want := range map[string]string{
		"سلام": "\uFEB3\uFEFC\uFEE1", // seen initial, lam-alef final, meem isolated
		"باب":  "\uFE91\uFE8E\uFE8F",
		"ب":    "\uFE8F",
		"abc":  "abc",
		"بًب":  "\uFE91\u064b\uFE90",
	} {
		if got := join(in, all); got != want {
			t.Errorf("%q is %+q, want %+q", in, got, want)
		}
	}
	none := func(rune) bool { return false }
	if got := join("سلام", none); got != "سلام" {
		t.Errorf("letters without forms became %+q", got)
	}
}

var awkward = []string{"", " ", "a", "a b", strings.Repeat("word ", 50), strings.Repeat("x", 500), "😀😀😀", "漢字漢字", "مرحبا بالعالم", "שלום", "e\u0301\u0301\u0301\u0301", "\x00\xff", "a/b/c-d-e@f", "{nb}"}

// A fitted text is never wider than asked for, and the pieces of a split text
// make up the text.
func TestFitAndSplit(t *testing.T) {
	s := newSheet(t)
	for _, text := range awkward {
		for _, width := range []float64{5, 12, 40} {
			checkFit(t, s, text, width)
		}
	}
}

func checkFit(t *testing.T, s *Sheet, text string, width float64) {
	t.Helper()
	st := Style{Size: 8}
	if got := s.Fit(st, text, width); s.Width(st, got) > width+0.01 && got != "…" {
		t.Errorf("%q fitted into %g is %g wide: %q", text, width, s.Width(st, got), got)
	}
	rest, joined := text, ""
	for i := 0; rest != ""; i++ {
		if i > 2*len(text)+2 {
			t.Fatalf("%q does not come to an end in %g", text, width)
		}
		var head string
		head, rest = s.Split(st, rest, width, true)
		if w := s.Width(st, head); w > width+0.01 && utf8.RuneCountInString(head) > 1 && !strings.ContainsFunc(head, func(r rune) bool { return unicode.Is(unicode.Mn, r) }) {
			t.Errorf("%q: a line is %g wide, not %g: %q", text, w, width, head)
		}
		joined += head
	}
	strip := func(s string) string { return strings.ReplaceAll(string([]rune(s)), " ", "") }
	if strip(joined) != strip(text) {
		t.Errorf("%q came out as %q", text, joined)
	}
}

func FuzzText(f *testing.F) {
	for _, s := range awkward {
		f.Add(s)
	}
	sheet := newSheet(f)
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 300 {
			s = s[:300]
		}
		cleaned := sheet.clean(Style{}, s)
		if !utf8.ValidString(cleaned) {
			t.Errorf("%q is no UTF-8: %q", s, cleaned)
		}
		for _, r := range cleaned {
			if r > 0xFFFF || hidden(r) || sheet.pick(regular, r) < 0 {
				t.Errorf("%q kept %U", s, r)
			}
		}
		if got := visual(cleaned); utf8.RuneCountInString(got) != utf8.RuneCountInString(cleaned) {
			t.Errorf("%q lost characters when it was put in order: %q", cleaned, got)
		}
		checkFit(t, sheet, s, 20)
		sheet.Text(10, 10, Style{Size: 8}, s)
	})
}

// Every awkward text reaches a file that is a PDF, and the same one twice.
func TestOutput(t *testing.T) {
	write := func() []byte {
		s := newSheet(t)
		for i, text := range awkward {
			s.Text(10, 10+float64(i)*5, Style{Size: 8, Bold: i%2 == 0, Mono: i%3 == 0}, text)
			s.Bookmark(text, 0, float64(i))
		}
		s.Anchor("a", 10)
		s.Link(1, 1, 10, 10, "a")
		s.AddPage()
		s.Text(10, 10, Style{Size: 8}, "two")
		s.SetPage(1)
		s.Text(10, 280, Style{Size: 8}, "footer")
		var b bytes.Buffer
		if err := s.Output(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	one, two := write(), write()
	if !bytes.HasPrefix(one, []byte("%PDF-")) || !bytes.Contains(one[len(one)-10:], []byte("%%EOF")) {
		t.Error("no PDF")
	}
	if !bytes.Equal(one, two) {
		t.Error("two runs differ")
	}
}

func TestDanglingLink(t *testing.T) {
	s := newSheet(t)
	s.Link(1, 1, 1, 1, "nowhere")
	if err := s.Output(new(bytes.Buffer)); err == nil {
		t.Error("a link to nowhere was written")
	}
}

func TestRefusesWhatIsNoFont(t *testing.T) {
	for _, font := range [][]byte{nil, []byte("no font"), []byte("ttcf\x00\x01\x00\x00"), []byte("OTTO\x00\x01")} {
		if _, err := New(Options{Fonts: [][]byte{font}}); err == nil {
			t.Errorf("%q was taken for a font", font)
		}
	}
}
