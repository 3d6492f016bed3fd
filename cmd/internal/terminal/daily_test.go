package terminal

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// The limit of the day counts: what has to wait for other days makes the
// estimate, in every form of the display; where today is enough the speed does.
func TestEstimateWithinDays(t *testing.T) {
	now := time.Date(2026, 3, 1, 20, 0, 0, 0, time.UTC)
	var out bytes.Buffer
	p := newProgress(&Terminal{Err: &out, Out: &out, screen: &screen{}}, ModeJSON, func() time.Time { return now })
	tick := p.Sink()
	const gb = 1_000_000_000
	tick(mailproof.Tick{Kind: mailproof.CopyPass, Account: "anna", Planned: 10_000, PlannedBytes: 8 * gb, PerDay: 25 * gb / 10, LeftToday: gb})
	for range 20 {
		now = now.Add(time.Second)
		tick(mailproof.Tick{Kind: mailproof.CopyPass, Account: "anna", Done: 100, DoneBytes: gb / 100})
	}
	s := p.current(false)[0]
	// 7 GB are for other days: 2.5 + 2.5 + 2. It is 4 h to midnight, then two days and a part.
	t.Log(s.estimate)
	if text := s.estimate.String(); !strings.Contains(text, ": 2.50 GB a day") || s.estimate.eta < 52*time.Hour || s.estimate.eta > 76*time.Hour {
		t.Errorf("%q, %v", text, s.estimate.eta)
	}
	if line := p.wholeLine(s, 200); !strings.Contains(line, "a day") {
		t.Error(line)
	}
	if err := p.writeJSON(); err != nil || !strings.Contains(out.String(), `"bytes_per_day":2500000000`) {
		t.Error(err, out.String())
	}
	// Another account without a limit changes nothing; done means done.
	tick(mailproof.Tick{Kind: mailproof.CopyPass, Account: "anna", Done: 8000, DoneBytes: 78 * gb / 10})
	if e := p.current(false)[0].estimate; e.perDay != 0 {
		t.Errorf("%+v", e)
	}
}

// The bound grows with what is left and shrinks with what is allowed.
func TestDailyBoundIsMonotone(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(left, perDay, today int64) time.Duration {
		a := account{sum: figures{plannedBytes: left}}
		a.limit(mailproof.Tick{PerDay: perDay, LeftToday: today})
		wait, _ := a.bound(now)
		return wait
	}
	last := time.Duration(0)
	for left := int64(0); left < 5000; left += 37 {
		d := at(left, 500, 200)
		if d < last {
			t.Errorf("%d octets left: %v, before that %v", left, d, last)
		}
		if (left <= 200) != (d == 0) {
			t.Errorf("%d octets left: %v", left, d)
		}
		last = d
	}
	if at(1<<60, 1, 0) != 0 {
		t.Error("an estimate of millions of years")
	}
}
