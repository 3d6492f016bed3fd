package terminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// clock is a time that moves only when told.
type clock struct{ at time.Time }

func newClock() *clock                   { return &clock{time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)} }
func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

// emulator is as much of a terminal as the display uses: what was written above
// it stays for ever in lines, of which the screen shows the last.
type emulator struct {
	t             *testing.T
	width, height int
	lines         [][]rune
	row, col      int // row is an index into lines
}

func (e *emulator) at(row int) {
	for len(e.lines) <= row {
		e.lines = append(e.lines, nil)
	}
}

func (e *emulator) Write(p []byte) (int, error) {
	rs := []rune(string(p))
	for i := 0; i < len(rs); i++ {
		switch c := rs[i]; c {
		case '\r':
			e.col = 0
		case '\n':
			e.row, e.col = e.row+1, 0
			e.at(e.row)
		case 0x1b:
			j := i + 2
			for j < len(rs) && rs[j] >= '0' && rs[j] <= '9' {
				j++
			}
			n, _ := strconv.Atoi(string(rs[i+2 : j]))
			e.control(rs[j], n)
			i = j
		default:
			if e.col == e.width {
				e.row, e.col = e.row+1, 0
			}
			e.at(e.row)
			for len(e.lines[e.row]) <= e.col {
				e.lines[e.row] = append(e.lines[e.row], ' ')
			}
			e.lines[e.row][e.col] = c
			e.col++
		}
	}
	return len(p), nil
}

func (e *emulator) control(final rune, n int) {
	e.at(e.row)
	switch final {
	case 'A':
		top := max(0, len(e.lines)-e.height)
		if e.row-n < top {
			e.t.Errorf("the cursor moves %d lines up from line %d, beyond the top of the screen at %d", n, e.row, top)
		}
		e.row = max(top, e.row-n)
	case 'J':
		e.lines = e.lines[:e.row+1]
		e.lines[e.row] = e.lines[e.row][:min(e.col, len(e.lines[e.row]))]
	case 'K':
		e.lines[e.row] = e.lines[e.row][:min(e.col, len(e.lines[e.row]))]
	case 'm':
	default:
		e.t.Errorf("unknown control %c", final)
	}
}

func (e *emulator) text() string {
	var b strings.Builder
	for _, l := range e.lines {
		b.WriteString(strings.TrimRight(string(l), " ") + "\n")
	}
	return strings.TrimRight(b.String(), "\n")
}

func onScreen(t *testing.T, width, height int) (*Terminal, *emulator) {
	e := &emulator{t: t, width: width, height: height}
	term := newTerminal(e, e, true, true)
	term.size = func() (int, int) { return e.width, e.height }
	return term, e
}

func copyTick(account, folder string, planned, done, size int64) mailproof.Tick {
	return mailproof.Tick{Kind: mailproof.CopyPass, Account: account, Mailbox: folder, Planned: planned, PlannedBytes: planned * size, Done: done, DoneBytes: done * size}
}

// The display as the specification of the terminal has it.
func TestDisplay(t *testing.T) {
	c := newClock()
	term, screen := onScreen(t, 130, 24)
	p := newProgress(term, ModeAuto, c.now)
	tick := p.Sink()
	tick(copyTick("dave@example.com", "INBOX", 103_213, 0, 100_000))
	tick(copyTick("carol@example.com", "INBOX", 41_990, 0, 100_000))
	tick(copyTick("erin@example.com", "INBOX", 3_020, 0, 100_000))
	tick(copyTick("dave@example.com", "INBOX", 0, 75_231, 100_000))
	for range 40 {
		c.advance(time.Second)
		tick(copyTick("carol@example.com", "Archive/2023", 0, 305, 100_000))
		tick(copyTick("erin@example.com", "Sent", 0, 49, 100_000))
	}
	p.show()
	want := `copy        ████████████░░░░░░░░   60%   89,391 of 148,223 messages   8.9 of 14.8 GB   35.6 MB/s   eta 3 min
  dave@example.com   INBOX         75,231 of 103,213
  carol@example.com  Archive/2023  12,200 of  41,990
  erin@example.com   Sent           1,960 of   3,020`
	if got := screen.text(); got != want {
		t.Errorf("the screen shows\n%s, want\n%s", got, want)
	}
	term.Stage("inventory", "source", "done", time.Second)
	term.Warn("something")
	if got := screen.text(); got != strings.TrimRight(StageLine("inventory", "source", "done", time.Second, 130), " ")+"\nwarning: something" {
		t.Errorf("the screen shows\n%s", got)
	}
	p.show()
	if got := screen.text(); !strings.HasSuffix(got, "warning: something\n"+want) {
		t.Errorf("the screen shows\n%s", got)
	}
	close(p.stopped)
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if got := screen.text(); !strings.HasSuffix(got, "warning: something") {
		t.Errorf("after the stop the screen shows\n%s", got)
	}
}

// At any width each line fits, figures are whole or absent, and names cannot
// steer the terminal.
func TestDisplayFits(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for width := range 140 {
		width++
		c := newClock()
		term, _ := onScreen(t, width, 24)
		p := newProgress(term, ModeBar, c.now)
		for range 60 {
			c.advance(time.Second)
			tick := copyTick(randomText(rng), randomText(rng), rng.Int64N(2000), rng.Int64N(2000), rng.Int64N(1e6))
			tick.Refused, tick.Unreadable = rng.Int64N(2), rng.Int64N(2)
			tick.Kind, tick.Side = mailproof.PassKind(1+rng.IntN(4)), mailproof.Side(rng.IntN(3))
			p.tick(tick)
		}
		lines := p.frame(width, 100)
		if len(lines) == 0 {
			t.Fatal("nothing to show")
		}
		for _, l := range lines {
			safe(t, l)
			if Width(l) > max(0, width-1) {
				t.Fatalf("width %d: %q takes %d", width, l, Width(l))
			}
		}
		if short := p.frame(width, 5); len(short) > 4 {
			t.Errorf("%d lines on a screen of 5", len(short))
		}
	}
}

// Whatever is written while the display is up, and whenever the screen changes
// its width (this one cuts, as xterm does): all of it stays on the screen, whole and in order, and the display
// is below it once.
func TestNothingIsLostBesideTheDisplay(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 200 {
		c := newClock()
		term, screen := onScreen(t, 60+rng.IntN(60), 10+rng.IntN(10))
		p := newProgress(term, ModeBar, c.now)
		var want []string
		for n := range 100 {
			switch rng.IntN(7) {
			case 0:
				text := fmt.Sprintf("line %d", n)
				term.Note(text)
				want = append(want, text)
			case 1:
				text := fmt.Sprintf("result %d", n)
				_, _ = fmt.Fprint(term.Out, text[:3])
				p.show() // must wait for the rest of the line
				_, _ = fmt.Fprintln(term.Out, text[3:])
				want = append(want, text)
			case 2:
				p.tick(copyTick(fmt.Sprint("account", rng.IntN(9)), "INBOX", 10, 5, 1000))
			case 3:
				p.End(mailproof.CopyPass, 0)
			case 4:
				screen.width = 60 + rng.IntN(60)
			default:
				c.advance(time.Second)
				p.show()
			}
		}
		p.tick(copyTick("the last", "INBOX", 10, 5, 1000))
		p.show()
		lines := strings.Split(screen.text(), "\n")
		if !slices.Equal(lines[:min(len(want), len(lines))], want) {
			t.Fatalf("above the display\n%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
		}
		if n := strings.Count(screen.text(), "\ncopy "); n != 1 {
			t.Fatalf("%d displays:\n%s", n, screen.text())
		}
	}
}

func TestAtMostSixAccountsWithoutJumping(t *testing.T) {
	c := newClock()
	term, _ := onScreen(t, 120, 24)
	p := newProgress(term, ModeBar, c.now)
	names := func() []string {
		var out []string
		for _, a := range p.current(false)[0].accounts {
			out = append(out, a.name)
		}
		return out
	}
	for i := range 9 {
		p.tick(copyTick(fmt.Sprint("a", i), "INBOX", 10, 1, 1))
		c.advance(100 * time.Millisecond)
	}
	first := names()
	if len(first) != maxAccounts {
		t.Fatalf("shown %q", first)
	}
	for i := range 9 {
		p.tick(copyTick(fmt.Sprint("a", i), "INBOX", 0, 1, 1))
		c.advance(100 * time.Millisecond)
		if got := names(); !slices.Equal(got, first) {
			t.Fatalf("shown %q, before %q", got, first)
		}
	}
	p.tick(copyTick(first[0], "INBOX", 0, 8, 1)) // done
	c.advance(2 * time.Second)
	if got := names(); len(got) != maxAccounts || slices.Contains(got, first[0]) || !slices.Contains(got, first[1]) {
		t.Errorf("after %s was done: %q", first[0], got)
	}
}

// The estimate of steady work comes true, and is a lower bound while the work
// grows.
func TestEstimate(t *testing.T) {
	c := newClock()
	term, _ := onScreen(t, 120, 24)
	p := newProgress(term, ModeBar, c.now)
	p.tick(copyTick("a", "", 10_000, 0, 1000))
	if e := p.current(false)[0].estimate; e.known || e.String() != "" {
		t.Errorf("at once: %+v", e)
	}
	for second := 1; second < 1000; second++ {
		c.advance(time.Second)
		p.tick(copyTick("a", "", 0, 10, 1000))
		e := p.current(false)[0].estimate
		left := time.Duration(1000-second) * time.Second
		if second >= 3 && (e.eta < left*98/100 || e.eta > left*102/100 || e.growing != (second < 10)) {
			t.Fatalf("after %d s: %+v, true %s", second, e, left)
		}
		if second >= 3 && (e.bytesPerSecond < 9_800 || e.bytesPerSecond > 10_200) {
			t.Fatalf("after %d s: %f octets a second", second, e.bytesPerSecond)
		}
	}
	// More work turns up.
	p.tick(copyTick("b", "", 5_000, 0, 1000))
	if e := p.current(false)[0].estimate; !e.growing || e.String() != "eta > 8 min" {
		t.Errorf("while it grows: %s", e)
	}
	// Silence: the speed goes to nothing, and so does the estimate.
	c.advance(2 * window)
	p.tick(copyTick("b", "", 0, 0, 0))
	c.advance(window)
	if e := p.current(false)[0].estimate; e.hasETA || e.bytesPerSecond != 0 {
		t.Errorf("after a minute of silence: %+v", e)
	}
}

// Few large messages are bound by their octets, many small ones by their
// number: what takes longer is believed.
func TestEstimateBelievesTheSlower(t *testing.T) {
	for _, tt := range []struct {
		messages, octets int64 // done each second, of 1,000 and 1,000,000
		want             string
	}{{100, 1000, "eta > 17 min"}, {1, 100_000, "eta > 17 min"}} {
		c := newClock()
		term, _ := onScreen(t, 120, 24)
		p := newProgress(term, ModeBar, c.now)
		p.tick(mailproof.Tick{Kind: mailproof.CopyPass, Planned: 1000, PlannedBytes: 1_000_000})
		for range 5 {
			c.advance(time.Second)
			p.tick(mailproof.Tick{Kind: mailproof.CopyPass, Done: tt.messages, DoneBytes: tt.octets})
		}
		if e := p.current(false)[0].estimate; e.String() != tt.want {
			t.Errorf("%+v: %s", tt, e)
		}
	}
}

func TestLogLines(t *testing.T) {
	c := newClock()
	var out, err bytes.Buffer
	p := newProgress(Plain(&out, &err), ModeAuto, c.now)
	p.show()
	p.tick(copyTick("a\x1b", "INBOX", 1000, 0, 1_000_000))
	c.advance(linesEvery)
	tick := copyTick("a\x1b", "INBOX", 0, 600, 1_000_000)
	tick.Refused = 3
	p.tick(tick)
	p.show()
	p.show() // nothing new
	want := "2026-11-21 12:00:30 UTC  copy  60%  600 of 1,000 messages  600 of 1000 MB  20.0 MB/s  3 refused  eta 20 s\n"
	want = strings.Replace(want, "600 of 1000 MB", "0.60 of 1.00 GB", 1)
	if err.String() != want || out.Len() > 0 {
		t.Errorf("got\n%s, want\n%s", err.String(), want)
	}
}

func TestJSON(t *testing.T) {
	c := newClock()
	var out, err bytes.Buffer
	p := newProgress(Plain(&out, &err), ModeJSON, c.now)
	p.Begin(mailproof.InventoryPass, mailproof.Source)
	for range 5 {
		c.advance(time.Second)
		p.tick(mailproof.Tick{Kind: mailproof.InventoryPass, Side: mailproof.Source, Account: "a\"\x1b", Mailbox: "INBOX", Planned: 10, PlannedBytes: 1000, Done: 5, DoneBytes: 500})
		p.show()
	}
	p.show()
	p.End(mailproof.InventoryPass, mailproof.Source)
	lines := strings.Split(strings.TrimSpace(err.String()), "\n")
	if len(lines) != 6 {
		t.Fatalf("%d lines:\n%s", len(lines), err.String())
	}
	for i, l := range lines {
		safe(t, l)
		var o Object
		if e := json.Unmarshal([]byte(l), &o); e != nil {
			t.Fatal(e)
		}
		if o.Schema != ProgressSchema || o.Pass != mailproof.InventoryPass.String() || o.Side != "source" || o.Messages != int64(5*min(i+1, 5)) || o.State != map[bool]string{true: "ended", false: "running"}[i == 5] {
			t.Errorf("line %d: %+v", i, o)
		}
		if len(o.Accounts) != 1 || o.Accounts[0].Account != "a\"\x1b" {
			t.Errorf("line %d: accounts %+v", i, o.Accounts)
		}
		if i == 4 && (o.ETASeconds == nil || *o.ETASeconds != 5 || !o.ETAAtLeast || o.BytesPerSecond != 500) {
			t.Errorf("line %d: %s", i, l)
		}
	}
	p = newProgress(Plain(&out, &err), ModeOff, c.now)
	before := err.Len()
	p.tick(copyTick("a", "", 1, 1, 1))
	p.show()
	if err.Len() != before {
		t.Error("--progress=off writes")
	}
}

// Rooms tick from many goroutines while the display is drawn.
func TestConcurrentTicks(t *testing.T) {
	var out, err bytes.Buffer
	term := newTerminal(&out, &err, true, true)
	term.size = func() (int, int) { return 80, 24 }
	p := NewProgress(term, ModeAuto)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 2000 {
				p.Sink()(copyTick(fmt.Sprint(w), fmt.Sprint(i), 1, 1, 100))
				if i%500 == 0 {
					term.Note("note")
					p.show()
				}
			}
		})
	}
	wg.Wait()
	if s := p.current(false)[0]; s.sum.done != 16_000 || s.sum.planned != 16_000 {
		t.Errorf("sums %+v", s.sum)
	}
	if e := p.Stop(); e != nil {
		t.Error(e)
	}
}

func TestBar(t *testing.T) {
	for part := range int64(102) {
		b := Bar(part, 101, 20)
		if Width(b) != 20 || strings.Contains(b, "░") == (part >= 101) {
			t.Errorf("%d of 101: %s", part, b)
		}
	}
	if Bar(0, 0, 3) != "░░░" || Bar(9, 3, 3) != "███" {
		t.Error("edges")
	}
}

func TestParseMode(t *testing.T) {
	for s, want := range map[string]Mode{"": ModeAuto, "auto": ModeAuto, "json": ModeJSON, "off": ModeOff, "lines": ModeLines, "bar": ModeBar} {
		if got, err := ParseMode(s); err != nil || got != want {
			t.Errorf("%q: %s, %v", s, got, err)
		}
	}
	if _, err := ParseMode("fancy"); err == nil {
		t.Error("fancy was accepted")
	}
}
