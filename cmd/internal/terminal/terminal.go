// Package terminal is how mailproof talks: results on one stream, everything
// else on the other, tables that fit, figures of one form, and the one display
// of progress. It formats and writes; it decides nothing about mail.
//
// Names of folders, subjects and the words of servers are foreign text and
// hostile until shown otherwise. Whatever goes through this package reaches the
// terminal without control characters, escape sequences and bidirectional
// overrides (see [Escape]); what is written to Out or Err directly does not go
// through it.
package terminal

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/term"
)

// DefaultWidth is the width of output that is not a terminal, in columns.
const DefaultWidth = 100

// Terminal is the two streams of the process. Both may be written to at any
// time and by several goroutines: a progress display on the screen steps aside
// for what is written, whole lines at best.
type Terminal struct {
	Out, Err           io.Writer // results; everything else
	OutIsTTY, ErrIsTTY bool
	OutColor, ErrColor bool

	screen *screen
	size   func() (width, height int) // of the screen; nil where there is none
}

// New returns the terminal of a process. Color is "auto", "always" or "never":
// auto colours what goes to a terminal, unless NO_COLOR is set or TERM is dumb.
func New(out, err *os.File, color string) (*Terminal, error) {
	t := newTerminal(out, err, isScreen(out), isScreen(err))
	switch {
	case t.ErrIsTTY:
		t.size = sizeOf(err)
	case t.OutIsTTY:
		t.size = sizeOf(out)
	}
	switch color {
	case "auto", "":
		wanted := os.Getenv("NO_COLOR") == ""
		t.OutColor, t.ErrColor = wanted && t.OutIsTTY, wanted && t.ErrIsTTY
	case "always":
		t.OutColor, t.ErrColor = true, true
	case "never":
	default:
		return nil, fmt.Errorf("--color=%s: write auto, always or never", color)
	}
	return t, nil
}

// Plain returns a terminal that is none: two writers, no colour.
func Plain(out, err io.Writer) *Terminal { return newTerminal(out, err, false, false) }

func newTerminal(out, err io.Writer, outTTY, errTTY bool) *Terminal {
	s := &screen{}
	return &Terminal{Out: &guarded{s, out, outTTY}, Err: &guarded{s, err, errTTY}, OutIsTTY: outTTY, ErrIsTTY: errTTY, screen: s}
}

// isScreen reports whether a file is a terminal that understands the movements
// of the cursor.
func isScreen(f *os.File) bool {
	return os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())) && enableEscapes(f.Fd())
}

func sizeOf(f *os.File) func() (int, int) {
	return func() (int, int) {
		width, height, err := term.GetSize(int(f.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			return 80, 24
		}
		return width, height
	}
}

// Width is how many columns a line may take: those of the screen, or of the
// variable COLUMNS, or else [DefaultWidth].
func (t *Terminal) Width() int {
	if t.size != nil && t.OutIsTTY {
		w, _ := t.size()
		return w
	}
	if n, err := strconv.Atoi(os.Getenv("COLUMNS")); err == nil && n >= 20 {
		return n
	}
	return DefaultWidth
}

// screen is what Out and Err share if both are the same terminal: the lines of
// the progress display at its foot.
type screen struct {
	mu    sync.Mutex
	w     io.Writer // where the display is; nil while there is none
	drawn int       // lines of it on the screen
	open  bool      // the last text above the display did not end its line
}

// guarded is a stream whose writes make the display step aside.
type guarded struct {
	s   *screen
	w   io.Writer
	tty bool // else the display is not in its way, but writes still take turns
}

func (g *guarded) Write(p []byte) (int, error) {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if g.tty && len(p) > 0 {
		if err := g.s.erase(); err != nil {
			return 0, err
		}
		g.s.open = p[len(p)-1] != '\n'
	}
	return g.w.Write(p)
}

// erase takes the display off the screen and leaves the cursor where it began.
func (s *screen) erase() error {
	if s.w == nil || s.drawn == 0 {
		return nil
	}
	_, err := io.WriteString(s.w, s.up()+"\x1b[J")
	s.drawn = 0
	return err
}

// up moves to the first line of the display. Where the screen became narrower
// in the meantime some terminals wrap the old lines and others cut them; which
// cannot be told, and to move up too far would take away what stands above. So
// what wrapped may leave a remnant behind, once.
func (s *screen) up() string {
	if s.drawn == 0 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", s.drawn)
}

// draw puts lines in the place of those of the last draw, in one write.
func (s *screen) draw(lines []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil || s.open {
		return nil // somebody is in the midst of a line
	}
	var b strings.Builder
	b.WriteString(s.up())
	for _, l := range lines {
		b.WriteString(l)
		b.WriteString("\x1b[K\n")
	}
	s.drawn = len(lines)
	b.WriteString("\x1b[J")
	_, err := io.WriteString(s.w, b.String())
	return err
}

// Println writes a line of foreign or own text to Out.
func (t *Terminal) Println(text string) { t.print(t.Out, Escape(text)) }

// print writes a line. What cannot be written to the terminal cannot be
// reported there either; a closed pipe ends the process by its signal.
func (t *Terminal) print(w io.Writer, line string) { _, _ = io.WriteString(w, line+"\n") }

// Lines writes lines that were formatted here, such as those of a [Table], to
// Out.
func (t *Terminal) Lines(lines []string) error {
	if len(lines) == 0 {
		return nil
	}
	_, err := io.WriteString(t.Out, strings.Join(lines, "\n")+"\n")
	return err
}
