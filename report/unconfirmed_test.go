package report

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// A domain that nobody audited after the cut-over is told on page one and among
// the limitations, and holds back no verdict. Before the cut-over only the
// limitations speak of it, and without a domain nothing does.
func TestUnconfirmedDomain(t *testing.T) {
	const said = "where new mail goes takes no part in the verdict"
	for _, tt := range []struct {
		name        string
		unconfirmed []string
		over        bool
		pageOne     int // times that it is said there
		all         int
	}{
		{"no domain", nil, true, 0, 0},
		{"before the cut-over", []string{"northgate.example"}, false, 0, 1},
		{"after it", []string{"northgate.example"}, true, 1, 2},
		{"several", []string{"a.example", "xn--bcher-kva.example", "c.example", "d.example", "e.example"}, true, 1, 2},
	} {
		d := sample{accounts: 12, verdict: mailproof.Complete, whole: true}.document()
		d.DomainNames = map[string]string{"xn--bcher-kva.example": "bücher.example"}
		d.Unconfirmed = tt.unconfirmed
		if tt.over {
			d.CutOver = sampleTime
		}
		page := html(t, d)
		from, to := strings.Index(page, `<section class="exec"`), strings.Index(page, "</section>")
		first := htmlText(page[from:to])
		if n := strings.Count(first, said); n != tt.pageOne {
			t.Errorf("%s: page one says it %d times: %s", tt.name, n, first)
		}
		if n := strings.Count(htmlText(page), said); n != tt.all {
			t.Errorf("%s: the report says it %d times", tt.name, n)
		}
		if len(tt.unconfirmed) > 3 && (!strings.Contains(first, "2 further domains") || !strings.Contains(first, "bücher.example") || !strings.Contains(htmlText(page), "d.example and e.example")) {
			t.Errorf("%s: %s", tt.name, first)
		}
		if d.Verdict != mailproof.Complete || !strings.Contains(first, "COMPLETE") || strings.Contains(first, "INCOMPLETE") {
			t.Errorf("%s: the verdict is another", tt.name)
		}
		raw, err := json.Marshal(d.JSON())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(raw, []byte("dns_unconfirmed")) != (tt.unconfirmed != nil) {
			t.Errorf("%s: report.json and the report differ", tt.name)
		}
	}
}

// Whether the destination was read after the last append follows from the order of
// the passes, also where the clock was set between them.
func TestReadAfterTheCopyWhateverTheClock(t *testing.T) {
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	read := mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Destination, State: mailproof.PassDone}
	sent := mailproof.Pass{Kind: mailproof.CopyPass, State: mailproof.PassDone}
	for _, shift := range []time.Duration{-time.Hour, 0, time.Hour} {
		for _, after := range []bool{false, true} {
			first, second := read, sent
			if after {
				first, second = sent, read
			}
			first.ID, first.Started, second.ID, second.Started = 1, at, 2, at.Add(shift)
			d := Document{Passes: []mailproof.Pass{first, second}}
			if got := strings.HasPrefix(d.afterCopyText(), "After the last append"); got != after {
				t.Errorf("read after the copy %v, clock moved by %v: %s", after, shift, d.afterCopyText())
			}
		}
	}
}
