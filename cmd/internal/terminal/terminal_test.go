package terminal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestFigures(t *testing.T) {
	check := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 7: "7", 999: "999", 1000: "1,000", 148213: "148,213", -1234567: "-1,234,567", -12: "-12", 1 << 62: "4,611,686,018,427,387,904"} {
		check(Count(n), want)
	}
	for n, want := range map[int64]string{
		0: "0 B", 999: "999 B", 1000: "1.00 kB", 9994: "9.99 kB", 9995: "10.0 kB", 99949: "99.9 kB", 99950: "100 kB", 999499: "999 kB", 999500: "1.00 MB",
		3_110_000_000: "3.11 GB", 14_200_000_000: "14.2 GB", 35_000_000: "35.0 MB", 1 << 62: "4.61 EB", -1500: "-1.50 kB",
	} {
		check(Size(n), want)
	}
	check(SizeOf(8_790_000_000, 14_200_000_000), "8.7 of 14.2 GB")
	check(SizeOf(14_199_999_999, 14_200_000_000), "14.1 of 14.2 GB")
	check(SizeOf(14_200_000_000, 14_200_000_000), "14.2 of 14.2 GB")
	check(SizeOf(0, 0), "0 of 0 B")
	check(SizeOf(5, 3), "5 of 5 B")
	check(Rate(11_240_000.7), "11.2 MB/s")
	for d, want := range map[time.Duration]string{
		0: "< 0.1 s", 900 * time.Millisecond: "0.9 s", 9940 * time.Millisecond: "9.9 s", 9960 * time.Millisecond: "10 s", 59400 * time.Millisecond: "59 s",
		59600 * time.Millisecond: "1 min 00 s", 4*time.Minute + 5*time.Second: "4 min 05 s", 21*time.Minute + 40*time.Second: "21 min 40 s",
		time.Hour - 1: "1 h 00 min", 3*time.Hour + 10*time.Minute: "3 h 10 min", 24*time.Hour - 1: "1 d 00 h", 52 * time.Hour: "2 d 04 h", -time.Second: "-1.0 s",
	} {
		check(Duration(d), want)
	}
	for d, want := range map[time.Duration]string{
		0: "0 s", 300 * time.Millisecond: "1 s", 19 * time.Second: "19 s", 21 * time.Second: "25 s", 8*time.Minute + 20*time.Second: "8 min",
		3*time.Hour + 11*time.Minute: "3 h 10 min", 30 * time.Hour: "1 d 06 h", 5000 * time.Hour: "weeks",
	} {
		check(Remaining(d), want)
	}
	check(Time(time.Date(2026, 11, 30, 19, 0, 0, 0, time.FixedZone("CET", 3600))), "2026-11-30 18:00 UTC")
	check(Percent(61, 100), "61%")
	check(Percent(999_999, 1_000_000), "99%")
	check(Percent(3, 3), "100%")
	check(Percent(0, 0), "0%")
	check(Percent(5, 3), "100%")
	check(Of(1, "message", "messages")+Of(1000, "message", "messages"), "1 message1,000 messages")
}

// The lines of a finished run, as the specification of the terminal has them.
func TestStageLine(t *testing.T) {
	got := []string{
		StageLine("inventory", "source", "148,213 messages in 274 folders, 14.2 GB", 4*time.Minute+12*time.Second, 100),
		StageLine("copy", "", "148,210 appended, 3 refused", 21*time.Minute+40*time.Second, 100),
		StageLine("inventory", "destination", "148,210 messages in 274 folders", 4*time.Minute+5*time.Second, 100),
		StageLine("diff", "", "148,198 identical, 12 equivalent, 3 missing", 900*time.Millisecond, 100),
	}
	want := []string{
		"inventory    source       148,213 messages in 274 folders, 14.2 GB       4 min 12 s",
		"copy         148,210 appended, 3 refused                                21 min 40 s",
		"inventory    destination  148,210 messages in 274 folders                4 min 05 s",
		"diff         148,198 identical, 12 equivalent, 3 missing                      0.9 s",
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got\n%s, want\n%s", got[i], want[i])
		}
	}
	for width := range 120 {
		if l := StageLine("inventory", "destination", strings.Repeat("日本\x1b[2J ", 30), time.Hour, width); Width(l) > width || strings.ContainsRune(l, 0x1b) {
			t.Errorf("width %d: %q", width, l)
		}
	}
}

func TestEscape(t *testing.T) {
	for in, want := range map[string]string{
		"":             "",
		"Archive/2019": "Archive/2019",
		"Entwürfe 日本語 Отправленные": "Entwürfe 日本語 Отправленные",
		"\\Seen":                          "\\Seen",
		"a\nb\r\tc":                       `a\nb\r\tc`,
		"\x1b]0;owned\x07":                `\x1b]0;owned\x07`,
		"\u009b2J":                        `\u009b2J`,
		"\u202egnp.exe":                   `\u202egnp.exe`,
		"\u2066a\u2069":                   `\u2066a\u2069`,
		"a\u00a0b\u200b":                  `a\u00a0b\u200b`,
		"bad \xff\xfe":                    `bad \xff\xfe`,
		"\u2028":                          `\u2028`,
		"\ufeff":                          `\ufeff`,
		"می\u200cخواهم":                   "می\u200cخواهم",
		"全角\u3000空白":                      "全角\u3000空白",
		"e\u0301":                         "e\u0301",
		"e\u0301\u0301\u0301\u0301\u0301": "e\u0301\u0301\u0301\u0301" + `\u0301`,
		"\U000e0041":                      `\U000e0041`,
	} {
		if got := Escape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// safe fails if text could do anything to a terminal but show characters.
func safe(t *testing.T, s string) {
	t.Helper()
	if !utf8.ValidString(s) {
		t.Fatalf("%q is no UTF-8", s)
	}
	for _, c := range s {
		if c == zeroWidthJoiner || c == zeroWidthNonJoiner {
			continue
		}
		if unicode.Is(unicode.C, c) || c == '\u2028' || c == '\u2029' {
			t.Fatalf("%q holds %U", s, c)
		}
	}
}

func TestMiddle(t *testing.T) {
	for _, tt := range []struct {
		in    string
		width int
		want  string
	}{
		{"Archive/2019", 12, "Archive/2019"}, {"Archive/2019", 11, "Archi…/2019"}, {"Archive/2019", 3, "A…9"}, {"Archive/2019", 2, "A…"}, {"Archive/2019", 1, "…"}, {"Archive/2019", 0, ""},
		{"日本語日本語", 12, "日本語日本語"}, {"日本語日本語", 11, "日本…日本語"}, {"日本語日本語", 4, "日…"}, {"日本語日本語", 5, "日…語"},
		{"e\u0301e\u0301e\u0301e\u0301", 3, "e\u0301…e\u0301"},
	} {
		if got := Middle(tt.in, tt.width); got != tt.want {
			t.Errorf("%q at %d: %q, want %q", tt.in, tt.width, got, tt.want)
		}
	}
}

func FuzzText(f *testing.F) {
	for _, s := range []string{"Archive/2019", "日本語", "\x1b[2J\u202e", "\xff", "👩\u200d👩\u200d👧", "🇩🇪🇩", "e\u0301\u0301\u0301\u0301\u0301\u0301", "\u0301", "각\u1100\u1161", "\u200d"} {
		f.Add(s, 10)
	}
	f.Fuzz(func(t *testing.T, s string, width int) {
		width = max(0, min(width, 200))
		e := Escape(s)
		safe(t, e)
		if again := Escape(e); again != e {
			t.Fatalf("%q escapes to %q and that to %q", s, e, again)
		}
		for _, cut := range []string{Middle(e, width), End(e, width)} {
			safe(t, cut)
			if Width(cut) > width {
				t.Fatalf("%q at %d: %q takes %d", s, width, cut, Width(cut))
			}
			if Width(e) <= width && cut != e {
				t.Fatalf("%q fits in %d and was cut to %q", s, width, cut)
			}
		}
	})
}

func FuzzTable(f *testing.F) {
	f.Add("anna@example.com", "日本語\x1b[2J/Archive", "18,204", 40, 2)
	f.Add("\u202e", "\n", "\xff", 3, 9)
	f.Fuzz(func(t *testing.T, a, b, c string, width, indent int) {
		width, indent = max(0, min(width, 150)), max(0, min(indent, 20))
		for _, min := range []int{0, 1, 8} {
			table := Table{Indent: indent, Columns: []Column{{Title: "account", Min: min}, {Title: c, Min: min}, {Right: true, Title: "size"}, {}}}
			table.Row(a, b, c, a+b)
			table.Row(b, c, a)
			table.Row(c, a, b, "", "surplus")
			lines := table.Lines(width)
			if len(lines) != 4 {
				t.Fatalf("%d lines", len(lines))
			}
			for _, l := range lines {
				safe(t, l)
				if Width(l) > width || strings.TrimRight(l, " ") != l {
					t.Fatalf("width %d: %q takes %d", width, l, Width(l))
				}
			}
		}
	})
}

// The table of the readiness check, as the specification of the terminal has
// it.
func TestTable(t *testing.T) {
	table := Table{Indent: 2, Columns: []Column{{Title: "account", Min: 16}, {Title: "folders", Right: true}, {Title: "messages", Right: true}, {Title: "size", Right: true}, {Title: "result", Min: 20}}}
	table.Row("anna@example.com", "23", "18,204", "3.11 GB", "ready")
	table.Row("carol@example.com", "31", "41,990", "9.80 GB", "3 messages exceed the destination's limit of 35.0 MB")
	table.Row("dave@example.com", "–", "–", "–", "destination refused the sign-in: AUTHENTICATIONFAILED")
	want := `  account            folders  messages     size  result
  anna@example.com        23    18,204  3.11 GB  ready
  carol@example.com       31    41,990  9.80 GB  3 messages exceed the destination's limit of 35.0 MB
  dave@example.com         –         –        –  destination refused the sign-in: AUTHENTICATIONFAILED`
	if got := strings.Join(table.Lines(104), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	want = `  account            folders  messages     size  result
  anna@example.com        23    18,204  3.11 GB  ready
  carol@example.com       31    41,990  9.80 GB  3 messages e… of 35.0 MB
  dave@example.com         –         –        –  destination …ATIONFAILED`
	if got := strings.Join(table.Lines(73), "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	table.Color = true
	table.Cells(Cell{Text: "e"}, Cell{}, Cell{}, Cell{}, Cell{"refused\x1b[0m", Bad})
	last := table.Lines(100)[4]
	if !strings.HasSuffix(last, "\x1b[31mrefused\\x1b[0m\x1b[0m") || Width(stripStyles(last)) > 100 {
		t.Errorf("coloured %q", last)
	}
}

// Half a figure is a wrong one: as long as a name can give way, figures stay
// whole.
func TestFiguresAreNotCut(t *testing.T) {
	table := Table{Columns: []Column{{}, {Right: true}, {Min: 8}}}
	table.Row("anna@example.com", "148,213,000,000 of 148,213,000,000", "Archive/2019")
	for width := 40; width < 70; width++ {
		if l := table.Lines(width)[0]; !strings.Contains(l, "148,213,000,000 of 148,213,000,000") {
			t.Errorf("at %d: %q", width, l)
		}
	}
}

type listError struct{}

func (listError) Error() string     { return "a\nb" }
func (listError) Details() []string { return []string{"list:1: a", "list:2: b\x1b"} }
func (listError) Summary() string   { return "2 bad rows of 50, nothing was run" }
func (listError) Hints() []string {
	return []string{"export OLD_PW", "put the missing comma in line 2"}
}

type hintError struct{ error }

func (hintError) Hints() []string { return []string{"do this"} }

func TestError(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want string
	}{
		{"nil", nil, ""},
		{"plain", errors.New("server said\n\x1b[31mhint: trust me"), "error: server said\\n\\x1b[31mhint: trust me\n"},
		{"list", fmt.Errorf("reading: %w", listError{}),
			"error: list:1: a\nerror: list:2: b\\x1b\n2 bad rows of 50, nothing was run\nhint: export OLD_PW, and put the missing comma in line 2\n"},
		{"joined", errors.Join(hintError{errors.New("one")}, fmt.Errorf("two: %w", hintError{fs.ErrExist})), "error: one\nerror: two: file already exists\nhint: do this\n"},
		{"worded join", fmt.Errorf("%w, and then %w", errors.New("one"), errors.New("two")), "error: one, and then two\n"},
	} {
		var out, err bytes.Buffer
		Plain(&out, &err).Error(tt.err)
		if err.String() != tt.want || out.Len() > 0 {
			t.Errorf("%s: got\n%s, want\n%s", tt.name, err.String(), tt.want)
		}
	}
	var out, err bytes.Buffer
	term := Plain(&out, &err)
	term.ErrColor = true
	term.Warn("w")
	term.Hint("a", "b", "c", "d", "e", "f")
	term.Hint()
	term.Println("r\x1b")
	if err.String() != "\x1b[33mwarning:\x1b[0m w\n\x1b[2mhint:\x1b[0m a; b; c; d; and so on for 2 more\n" || out.String() != "r\\x1b\n" {
		t.Errorf("%q %q", err.String(), out.String())
	}
}

func TestNew(t *testing.T) {
	f, err := os.Create(t.TempDir() + "/f")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}()
	for color, want := range map[string]bool{"auto": false, "always": true, "never": false} {
		term, err := New(f, f, color)
		if err != nil || term.OutColor != want || term.ErrColor != want || term.OutIsTTY || term.ErrIsTTY {
			t.Errorf("%s: %+v, %v", color, term, err)
		}
	}
	if _, err := New(f, f, "sometimes"); err == nil {
		t.Error("--color=sometimes was accepted")
	}
	for columns, want := range map[string]int{"72": 72, "": DefaultWidth, "x": DefaultWidth, "1": DefaultWidth} {
		t.Setenv("COLUMNS", columns)
		if got := Plain(f, f).Width(); got != want {
			t.Errorf("COLUMNS=%s: %d", columns, got)
		}
	}
}

func TestInterrupts(t *testing.T) {
	signals := make(chan os.Signal)
	var said []string
	released := 0
	drain, hard, stop := interrupts(t.Context(), signals, func(s string) { said = append(said, s) }, func() { released++ })
	if drain.Err() != nil || hard.Err() != nil {
		t.Fatal("stopped before anything happened")
	}
	signals <- os.Interrupt
	<-drain.Done()
	if hard.Err() != nil || !Interrupted(drain) || Interrupted(hard) {
		t.Errorf("after the first signal: hard %v, cause %v", hard.Err(), context.Cause(drain))
	}
	signals <- os.Interrupt
	<-hard.Done()
	if !Interrupted(hard) {
		t.Errorf("after the second signal: %v", context.Cause(hard))
	}
	stop()
	stop()
	if !slices.Equal(said, []string{sayDraining, sayStopped}) || released == 0 {
		t.Errorf("said %q, released %d", said, released)
	}
}

func TestInterruptsWithoutSignal(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	said := 0
	drain, hard, stop := interrupts(parent, nil, func(string) { said++ }, func() {})
	cancel()
	<-drain.Done()
	<-hard.Done()
	stop()
	if said > 0 || Interrupted(drain) || Interrupted(hard) {
		t.Errorf("said %d, causes %v and %v", said, context.Cause(drain), context.Cause(hard))
	}
	drain, _, stop = interrupts(t.Context(), nil, func(string) { said++ }, func() {})
	stop()
	if Interrupted(drain) || drain.Err() == nil {
		t.Errorf("after stop: %v, %v", drain.Err(), context.Cause(drain))
	}
}

func TestInterruptsTakesSignals(t *testing.T) {
	var out, err bytes.Buffer
	drain, _, stop := Interrupts(t.Context(), Plain(&out, &err))
	defer stop()
	self, e := os.FindProcess(os.Getpid())
	if e != nil {
		t.Fatal(e)
	}
	if e := self.Signal(os.Interrupt); e != nil {
		t.Skip(e)
	}
	<-drain.Done()
	if err.String() != sayDraining+"\n" {
		t.Errorf("said %q", err.String())
	}
}

func randomText(rng *rand.Rand) string {
	pieces := []string{"a", "Archive/2019", "日本", "é", "\x1b[2J", "\u202e", "\n", "👍", "\xff", "x@example.com"}
	var b strings.Builder
	for range rng.IntN(6) {
		b.WriteString(pieces[rng.IntN(len(pieces))])
	}
	return b.String()
}

var stylePattern = regexp.MustCompile("\x1b\\[[0-9]+m")

// stripStyles takes out what Paint put in.
func stripStyles(s string) string { return stylePattern.ReplaceAllString(s, "") }
