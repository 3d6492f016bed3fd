package terminal

import "fmt"

// Work is what a stage counts that is no pass and counts no messages: the
// accounts of a check, the logins of a test of credentials. Its ticks have
// neither kind nor side: Planned, without an account, is how many there are;
// Done is 1 for each that is through, and Refused for each that is not well;
// Mailbox is what is being done.
type Work struct {
	Label string // at the head of the line
	Unit  string // in the plural: accounts
	Bad   string // what the refused ones are: "not ready"
}

func (w Work) counts() bool { return w.Unit != "" }

// Count begins to show such a stage, as Begin does a pass.
func (p *Progress) Count(w Work) {
	p.Begin(0, 0)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stage(stageKey{}, p.now()).work = w
}

func (w Work) figures(f figures) string {
	unit := "messages"
	if w.counts() {
		unit = w.Unit
	}
	return fmt.Sprintf("%s of %s %s", Count(f.done), Count(f.planned), unit)
}

func (w Work) trouble(f figures) string {
	switch {
	case !w.counts():
		return f.trouble()
	case f.refused > 0:
		return Count(f.refused) + " " + w.Bad
	}
	return ""
}

// inFlight says of each account what is being done with it.
func inFlight(accounts []account, width int) []string {
	table := Table{Indent: 2, Columns: []Column{{Min: 12}, {Min: 8}}}
	for _, a := range accounts {
		table.Row(a.name, a.mailbox)
	}
	return table.Lines(width)
}

// tell puts the figures where a reader of JSON does not take them for messages.
func (w Work) tell(o *Object, f figures) {
	if !w.counts() {
		return
	}
	o.Pass, o.Unit, o.Done, o.Planned, o.Bad = w.Label, w.Unit, f.done, f.planned, f.refused
	o.Messages, o.MessagesPlanned, o.Refused = 0, 0, 0
	for i := range o.Accounts {
		o.Accounts[i].Messages, o.Accounts[i].MessagesPlanned = 0, 0
	}
}
