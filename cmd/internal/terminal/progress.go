package terminal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
)

// Mode is how progress is shown.
type Mode string

// The modes. Auto is a display on a terminal and log lines elsewhere.
const (
	ModeAuto  Mode = "auto"
	ModeBar   Mode = "bar"   // a display that is drawn anew in place
	ModeLines Mode = "lines" // a log line every 30 s
	ModeJSON  Mode = "json"  // an object a line, each second in which something was done
	ModeOff   Mode = "off"
)

// ParseMode reads the value of --progress.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case "":
		return ModeAuto, nil
	case ModeAuto, ModeBar, ModeLines, ModeJSON, ModeOff:
		return m, nil
	}
	return "", fmt.Errorf("--progress=%s: write auto, bar, lines, json or off", s)
}

// How often each mode writes.
const (
	barEvery   = 200 * time.Millisecond
	linesEvery = 30 * time.Second
	jsonEvery  = time.Second
)

// maxAccounts is how many accounts the display shows at once.
const maxAccounts = 6

// Progress adds up the ticks of the rooms and shows them on Err. The display
// is drawn here and not by mpb: its lines are one table whose columns are
// common to all accounts, accounts come and go by the thousand, and what else
// is written, on either stream, has to go above it.
type Progress struct {
	t    *Terminal
	mode Mode
	now  func() time.Time

	mu     sync.Mutex
	stages []*stage

	stop    chan struct{}
	stopped chan struct{}
	once    sync.Once
}

// stageKey tells passes apart.
type stageKey struct {
	kind mailproof.PassKind
	side mailproof.Side
}

// figures are sums of ticks.
type figures struct {
	planned, plannedBytes, done, doneBytes, refused, unreadable int64
}

func (f *figures) add(t mailproof.Tick) {
	f.planned += t.Planned
	f.plannedBytes += t.PlannedBytes
	f.done += t.Done
	f.doneBytes += t.DoneBytes
	f.refused += t.Refused
	f.unreadable += t.Unreadable
}

// settle makes the whole at least as large as its part: what was not planned
// is planned when it is done.
func (f figures) settle() figures {
	f.planned = max(f.planned, f.done)
	f.plannedBytes = max(f.plannedBytes, f.doneBytes)
	return f
}

// stage is one pass that is going on.
type stage struct {
	key      stageKey
	sum      figures
	began    time.Time
	last     time.Time // of the last tick
	ended    bool
	reported figures // when it was last written, in the modes that write lines
	work     Work    // zero: messages are counted
	accounts map[string]*account
	active   map[string]*account // those that may be shown
	shown    []string            // those that are
	limited  []*account          // those with a limit of the day
	meter    meter
}

// account is one account's part of a stage.
type account struct {
	name, mailbox string
	sum           figures
	last          time.Time
	order         int
	daily         daily
}

// idle is how long an account that has nothing left to do stays in sight.
const idle = 1500 * time.Millisecond

func (a *account) finished() bool { return a.sum.planned > 0 && a.sum.done >= a.sum.planned }

// NewProgress begins to show progress. Stop it before the answer is printed.
func NewProgress(t *Terminal, mode Mode) *Progress {
	p := newProgress(t, mode, time.Now)
	if every := p.every(); every > 0 {
		go p.run(every)
	} else {
		close(p.stopped)
	}
	return p
}

func newProgress(t *Terminal, mode Mode, now func() time.Time) *Progress {
	if mode == ModeAuto {
		mode = ModeLines
		if t.ErrIsTTY {
			mode = ModeBar
		}
	}
	if mode == ModeBar && !t.ErrIsTTY {
		mode = ModeLines
	}
	p := &Progress{t: t, mode: mode, now: now, stop: make(chan struct{}), stopped: make(chan struct{})}
	if mode == ModeBar {
		t.screen.mu.Lock()
		t.screen.w = rawWriter(t.Err)
		t.screen.mu.Unlock()
	}
	return p
}

// rawWriter is the stream below the guard: the display is not in its own way.
func rawWriter(w io.Writer) io.Writer {
	if g, ok := w.(*guarded); ok {
		return g.w
	}
	return w
}

func (t *Terminal) screenSize() (width, height int) {
	if t.size == nil {
		return DefaultWidth, 24
	}
	return t.size()
}

func (p *Progress) every() time.Duration {
	return map[Mode]time.Duration{ModeBar: barEvery, ModeLines: linesEvery, ModeJSON: jsonEvery}[p.mode]
}

func (p *Progress) run(every time.Duration) {
	defer close(p.stopped)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			p.show()
		case <-p.stop:
			return
		}
	}
}

// Sink is where the rooms report to. It takes a lock for as long as a few
// additions need, and never waits for the screen.
func (p *Progress) Sink() mailproof.Progress { return p.tick }

func (p *Progress) tick(t mailproof.Tick) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	s := p.stage(stageKey{t.Kind, t.Side}, now)
	s.last, s.ended = now, false
	s.sum.add(t)
	s.meter.add(now, s.sum)
	if t.Account == "" {
		return
	}
	a := s.accounts[t.Account]
	if a == nil {
		a = &account{name: t.Account, order: len(s.accounts)}
		s.accounts[t.Account] = a
	}
	a.sum.add(t)
	if t.PerDay > 0 {
		if a.daily.perDay == 0 {
			s.limited = append(s.limited, a)
		}
		a.limit(t)
	}
	a.last = now
	if t.Mailbox != "" {
		a.mailbox = t.Mailbox
	}
	s.active[t.Account] = a
}

func (p *Progress) stage(key stageKey, now time.Time) *stage {
	for _, s := range p.stages {
		if s.key == key {
			return s
		}
	}
	s := &stage{key: key, began: now, accounts: map[string]*account{}, active: map[string]*account{}}
	s.meter.add(now, figures{})
	p.stages = append(p.stages, s)
	return s
}

// Begin says that a pass begins, before its first tick: its line appears. A
// pass of the same kind and side that ended is begun afresh.
func (p *Progress) Begin(kind mailproof.PassKind, side mailproof.Side) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forget(stageKey{kind, side})
	p.stage(stageKey{kind, side}, p.now()).last = p.now()
}

// End says that a pass is over: its line goes. Later ticks would bring it
// back.
func (p *Progress) End(kind mailproof.PassKind, side mailproof.Side) {
	p.mu.Lock()
	for _, s := range p.stages {
		s.ended = s.ended || s.key == stageKey{kind, side}
	}
	p.mu.Unlock()
	if p.mode != ModeLines { // where a line is for those who wait, and the wait is over
		p.show()
	}
	p.mu.Lock()
	p.forget(stageKey{kind, side})
	p.mu.Unlock()
}

func (p *Progress) forget(key stageKey) {
	p.stages = slices.DeleteFunc(p.stages, func(s *stage) bool { return s.key == key })
}

// Stop takes the display away and ends it. It may be called twice.
func (p *Progress) Stop() error {
	var err error
	p.once.Do(func() {
		close(p.stop)
		<-p.stopped
		switch p.mode {
		case ModeJSON:
			err = p.writeJSON()
		case ModeBar:
			s := p.t.screen
			s.mu.Lock()
			err = s.erase()
			s.w = nil
			s.mu.Unlock()
		}
	})
	return err
}

// show writes what the mode writes. A stream that takes nothing any more is no
// reason to stop the work.
func (p *Progress) show() {
	switch p.mode {
	case ModeBar:
		width, height := p.t.screenSize()
		_ = p.t.screen.draw(p.frame(width, height))
	case ModeLines:
		for _, line := range p.logLines() {
			p.t.print(p.t.Err, line)
		}
	case ModeJSON:
		_ = p.writeJSON()
	}
}

// snapshot is a stage as it is shown.
type snapshot struct {
	key      stageKey
	label    string
	work     Work
	sum      figures
	estimate estimate
	accounts []account
	ended    bool
}

// current returns the passes that are going on. A pass that was not ended in
// so many words gives way to a later one when it falls silent.
func (p *Progress) current(onlyChanged bool) []snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var out []snapshot
	for i, s := range p.stages {
		silent := now.Sub(s.last) > 5*time.Second && slices.ContainsFunc(p.stages[i+1:], func(later *stage) bool { return !later.ended })
		if s.ended && p.mode == ModeBar || silent || onlyChanged && s.sum == s.reported && !s.ended {
			continue
		}
		if onlyChanged {
			s.reported = s.sum
		}
		s.meter.add(now, s.sum)
		out = append(out, snapshot{key: s.key, label: s.label(), work: s.work, sum: s.sum.settle(), estimate: s.within(s.meter.estimate(now, s.sum.settle()), now), accounts: s.choose(now), ended: s.ended})
	}
	return out
}

func (s *stage) label() string {
	if s.work.Label != "" {
		return s.work.Label
	}
	label := s.key.kind.String()
	if s.key.side != 0 {
		label += " " + s.key.side.String()
	}
	return label
}

// choose returns the accounts to show, at most six. One that is shown stays
// until it is done or another one is busier than it has been for a while, so
// that lines do not jump.
func (s *stage) choose(now time.Time) []account {
	for name, a := range s.active {
		if (a.finished() || s.work.counts() && a.sum.done > 0) && now.Sub(a.last) > idle {
			delete(s.active, name)
		}
	}
	s.shown = slices.DeleteFunc(s.shown, func(name string) bool {
		a := s.active[name]
		return a == nil || len(s.active) > maxAccounts && now.Sub(a.last) > 10*time.Second
	})
	if len(s.shown) < maxAccounts {
		waiting := make([]*account, 0, len(s.active))
		for name, a := range s.active {
			if !slices.Contains(s.shown, name) {
				waiting = append(waiting, a)
			}
		}
		slices.SortFunc(waiting, func(a, b *account) int { return cmp.Or(b.last.Compare(a.last), a.order-b.order) })
		for _, a := range waiting[:min(len(waiting), maxAccounts-len(s.shown))] {
			s.shown = append(s.shown, a.name)
		}
	}
	chosen := make([]account, len(s.shown))
	for i, name := range s.shown {
		chosen[i] = *s.active[name]
		chosen[i].sum = chosen[i].sum.settle()
	}
	slices.SortFunc(chosen, func(a, b account) int { return a.order - b.order })
	return chosen
}

// frame is the display: a line for each pass, and below it its accounts.
func (p *Progress) frame(width, height int) []string {
	width-- // a terminal may wrap a line that fills its last column
	var lines []string
	for _, s := range p.current(false) {
		lines = append(lines, p.wholeLine(s, width))
		if s.work.counts() {
			lines = append(lines, inFlight(s.accounts, width)...)
			continue
		}
		lines = append(lines, accountLines(s.accounts, width)...)
	}
	if len(lines) >= height {
		lines = lines[:max(0, height-1)]
	}
	return lines
}

// wholeLine is the line of a pass in the fullest form that fits.
func (p *Progress) wholeLine(s snapshot, width int) string {
	label := pad(s.label, 11, false)
	percent := fmt.Sprintf("%4s", Percent(s.sum.done, s.sum.planned))
	messages := s.work.figures(s.sum)
	var bytes, rate, eta, trouble string
	if s.sum.plannedBytes > 0 {
		bytes = SizeOf(s.sum.doneBytes, s.sum.plannedBytes)
	}
	if s.estimate.known {
		rate = Rate(s.estimate.bytesPerSecond)
		if s.work.counts() {
			rate = ""
		} else if s.sum.plannedBytes == 0 {
			rate = fmt.Sprintf("%s/s", Count(int64(s.estimate.messagesPerSecond)))
		}
	}
	eta = s.estimate.String()
	trouble = s.work.trouble(s.sum)
	color := p.t.ErrColor
	bar := func(n int) string { return Bar(s.sum.done, s.sum.planned, n) + "  " + percent }
	for _, parts := range [][]string{
		{label, bar(20), messages, bytes, rate, trouble, eta},
		{label, bar(10), messages, bytes, rate, trouble, eta},
		{label, bar(10), messages, bytes, trouble, eta},
		{label, bar(10), messages, trouble, eta},
		{s.label, strings.TrimSpace(percent), messages, trouble, eta},
		{s.label, strings.TrimSpace(percent), messages, eta},
		{s.label, strings.TrimSpace(percent), eta},
	} {
		line := joinParts(parts)
		if Width(line) > width {
			continue
		}
		if trouble != "" {
			line = strings.Replace(line, trouble, Paint(trouble, Caution, color), 1)
		}
		return line
	}
	return End(joinParts([]string{s.label, strings.TrimSpace(percent)}), width)
}

// trouble says what did not go through, if anything.
func (f figures) trouble() string {
	var parts []string
	if f.refused > 0 {
		parts = append(parts, Count(f.refused)+" refused")
	}
	if f.unreadable > 0 {
		parts = append(parts, Count(f.unreadable)+" unreadable")
	}
	return strings.Join(parts, ", ")
}

func joinParts(parts []string) string {
	parts = slices.DeleteFunc(slices.Clone(parts), func(s string) bool { return s == "" })
	if len(parts) < 3 {
		return strings.Join(parts, "   ")
	}
	return strings.Join(append([]string{parts[0] + " " + parts[1]}, parts[2:]...), "   ")
}

// Bar draws a share as a bar of n columns. It is full only when all is done.
func Bar(part, whole int64, n int) string {
	full := 0
	if whole > 0 {
		full = int(float64(min(part, whole)) / float64(whole) * float64(n))
	}
	return strings.Repeat("█", full) + strings.Repeat("░", n-full)
}

func accountLines(accounts []account, width int) []string {
	doneWidth, plannedWidth := 0, 0
	for _, a := range accounts {
		doneWidth, plannedWidth = max(doneWidth, len(Count(a.sum.done))), max(plannedWidth, len(Count(a.sum.planned)))
	}
	table := Table{Indent: 2, Columns: []Column{{Min: 12}, {Min: 8}, {Right: true}}}
	for _, a := range accounts {
		table.Row(a.name, a.mailbox, fmt.Sprintf("%*s of %*s", doneWidth, Count(a.sum.done), plannedWidth, Count(a.sum.planned)))
	}
	return table.Lines(width)
}

// logLines are the lines of a pipe: nothing is written where nothing was done.
func (p *Progress) logLines() []string {
	var lines []string
	for _, s := range p.current(true) {
		parts := []string{p.now().UTC().Format("2006-01-02 15:04:05 MST"), s.label, Percent(s.sum.done, s.sum.planned),
			s.work.figures(s.sum)}
		if s.sum.plannedBytes > 0 {
			parts = append(parts, SizeOf(s.sum.doneBytes, s.sum.plannedBytes))
		}
		if s.estimate.known && !s.work.counts() {
			parts = append(parts, Rate(s.estimate.bytesPerSecond))
		}
		parts = slices.DeleteFunc(append(parts, s.work.trouble(s.sum), s.estimate.String()), func(s string) bool { return s == "" })
		lines = append(lines, strings.Join(parts, "  "))
	}
	return lines
}

// ProgressSchema names the form of the objects of --progress=json. Fields keep
// their meaning; new ones may appear.
const ProgressSchema = "mailproof/progress/1"

// Object is one line of --progress=json.
type Object struct {
	Schema string    `json:"schema"`
	Time   time.Time `json:"time"`
	Pass   string    `json:"pass"`           // inventory, copy, diff, dns; check and sign-in, which are none
	Side   string    `json:"side,omitempty"` // of an inventory
	State  string    `json:"state"`          // running, ended
	// Unit is what a check or a test of credentials counts, accounts or logins,
	// and Done, Planned and Bad are how many; the other figures are 0 then.
	Unit    string `json:"unit,omitempty"`
	Done    int64  `json:"done,omitempty"`
	Planned int64  `json:"planned,omitempty"`
	Bad     int64  `json:"bad,omitempty"`

	Messages        int64   `json:"messages"` // done, of
	MessagesPlanned int64   `json:"messages_planned"`
	Bytes           int64   `json:"bytes"` // done, of
	BytesPlanned    int64   `json:"bytes_planned"`
	Refused         int64   `json:"refused"`
	Unreadable      int64   `json:"unreadable"`
	BytesPerSecond  float64 `json:"bytes_per_second"`
	// ETASeconds is what is left, by the speed of the last half minute; absent
	// where nothing can be said. With ETAAtLeast the work was still growing.
	ETASeconds *float64 `json:"eta_seconds,omitempty"`
	ETAAtLeast bool     `json:"eta_at_least,omitempty"`
	// BytesPerDay is the limit of the day that the estimate is bound by; absent
	// where it is bound by the speed.
	BytesPerDay int64           `json:"bytes_per_day,omitempty"`
	Accounts    []AccountObject `json:"accounts,omitempty"` // in flight, at most six
}

// AccountObject is one account in flight.
type AccountObject struct {
	Account         string `json:"account"`
	Folder          string `json:"folder,omitempty"`
	Messages        int64  `json:"messages"`
	MessagesPlanned int64  `json:"messages_planned"`
}

func (p *Progress) writeJSON() error {
	var errs []error
	for _, s := range p.current(true) {
		o := Object{Schema: ProgressSchema, Time: p.now().UTC().Truncate(time.Millisecond), Pass: s.key.kind.String(), State: "running",
			Messages: s.sum.done, MessagesPlanned: s.sum.planned, Bytes: s.sum.doneBytes, BytesPlanned: s.sum.plannedBytes,
			Refused: s.sum.refused, Unreadable: s.sum.unreadable, BytesPerSecond: float64(int64(s.estimate.bytesPerSecond))}
		if s.key.side != 0 {
			o.Side = s.key.side.String()
		}
		if s.ended {
			o.State = "ended"
		}
		if s.estimate.hasETA {
			seconds := s.estimate.eta.Round(time.Second).Seconds()
			o.ETASeconds, o.ETAAtLeast, o.BytesPerDay = &seconds, s.estimate.growing, s.estimate.perDay
		}
		for _, a := range s.accounts {
			o.Accounts = append(o.Accounts, AccountObject{Account: a.name, Folder: a.mailbox, Messages: a.sum.done, MessagesPlanned: a.sum.planned})
		}
		s.work.tell(&o, s.sum)
		line, err := json.Marshal(o)
		if err == nil {
			_, err = p.t.Err.Write(append(line, '\n'))
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
