package terminal

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// What is no pass is shown in its own words, in every mode.
func TestCount(t *testing.T) {
	work := Work{Label: "check", Unit: "accounts", Bad: "not ready"}
	begin := func(p *Progress) {
		p.Count(work)
		p.tick(mailproof.Tick{Planned: 2000})
		p.tick(mailproof.Tick{Account: "anna", Mailbox: "source: INBOX"})
		p.tick(mailproof.Tick{Account: "bob", Mailbox: "not ready", Done: 1, Refused: 1})
	}
	t.Run("display", func(t *testing.T) {
		term, screen := onScreen(t, 100, 24)
		c := newClock()
		p := newProgress(term, ModeBar, c.now)
		begin(p)
		p.show()
		want := "check       ░░░░░░░░░░░░░░░░░░░░    0%   1 of 2,000 accounts   1 not ready\n  anna  source: INBOX\n  bob   not ready"
		if got := screen.text(); got != want {
			t.Errorf("got\n%s\nwant\n%s", got, want)
		}
		c.advance(2 * time.Second)
		p.tick(mailproof.Tick{Account: "anna", Mailbox: "source: Sent"})
		p.show()
		if got := screen.text(); strings.Contains(got, "bob") || !strings.Contains(got, "source: Sent") {
			t.Errorf("who is through goes: got\n%s", got)
		}
	})
	t.Run("lines", func(t *testing.T) {
		var out, err bytes.Buffer
		c := newClock()
		p := newProgress(Plain(&out, &err), ModeLines, c.now)
		begin(p)
		p.show()
		if got := err.String(); !strings.Contains(got, "check  0%  1 of 2,000 accounts  1 not ready") || out.Len() > 0 {
			t.Errorf("got %s", got)
		}
	})
	t.Run("json", func(t *testing.T) {
		var out, err bytes.Buffer
		c := newClock()
		p := newProgress(Plain(&out, &err), ModeJSON, c.now)
		begin(p)
		p.show()
		var o Object
		if e := json.Unmarshal(err.Bytes(), &o); e != nil {
			t.Fatal(e)
		}
		if o.Pass != "check" || o.Unit != "accounts" || o.Done != 1 || o.Planned != 2000 || o.Bad != 1 || o.Messages+o.MessagesPlanned+o.Refused != 0 {
			t.Errorf("%+v", o)
		}
	})
}
