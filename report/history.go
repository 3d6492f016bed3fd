package report

import (
	"strings"

	"github.com/mailproof/mailproof"
)

// PassChange is what one pass found changed since the one before it.
type PassChange struct {
	Pass     mailproof.PassID `json:"pass"`
	Accounts int64            `json:"accounts"` // that an inventory read
	Folders  int64            `json:"folders"`
	Present  int64            `json:"present"` // messages that it found
	New      int64            `json:"new"`     // of them, never seen before
	Gone     int64            `json:"gone"`    // seen before, and no more
	// Root is the pass's link in the chain of the history, in hexadecimal
	// digits; empty where the ledger keeps none.
	Root string `json:"root,omitempty"`
}

// mostChanges bounds the table of 7.2; report.json has every pass.
const mostChanges = 36

// changes is the table below the timeline: what each pass found changed, and
// the root that fixes the history up to it.
func (d *Document) changes() []block {
	if len(d.History) == 0 {
		return nil
	}
	of := map[mailproof.PassID]mailproof.Pass{}
	for _, p := range d.Passes {
		of[p.ID] = p
	}
	list := d.History[max(0, len(d.History)-mostChanges):]
	rooted := false
	for _, c := range list {
		rooted = rooted || c.Root != ""
	}
	t := &table{Class: "ch", Dense: true, Wide: true, Caption: words(d.t("What changed from pass to pass")), Columns: []column{
		{Head: d.t("Pass"), Width: 6}, {Head: d.t("What"), Width: 25}, {Head: d.t("Accounts"), Width: 9, Right: true}, {Head: d.t("Folders"), Width: 8, Right: true},
		{Head: d.t("Present"), Width: 10, Right: true}, {Head: d.t("New"), Width: 9, Right: true}, {Head: d.t("Gone"), Width: 9, Right: true}, {Head: d.t("Root of the history"), Width: 24, Pad: true}}}
	if !rooted {
		t.Columns[7].Head = ""
	}
	for _, c := range list {
		p := of[c.Pass]
		cells := []cell{words(comma(int64(c.Pass))), words(d.passName(p))}
		if p.Kind == mailproof.InventoryPass {
			cells = append(cells, number(c.Accounts, false), number(c.Folders, false), number(c.Present, false), number(c.New, false), number(c.Gone, true))
		} else {
			cells = append(cells, nil, nil, nil, nil, nil)
		}
		root := cell(nil)
		if c.Root != "" {
			root = fixed(cut(c.Root, 17))
		}
		t.Rows = append(t.Rows, row{Cells: append(cells, root)})
	}
	blocks := []block{{Table: t}}
	if rooted {
		last := ""
		for _, c := range d.History {
			last = or(c.Root, last)
		}
		blocks = append(blocks, note(cell{{Text: d.t("Each root covers what its pass recorded and the root before it, so that the last one fixes the whole history: ")}, {Text: last, Style: mono, Foreign: true}}))
	}
	return blocks
}

func (d *Document) passName(p mailproof.Pass) string {
	name := d.t("pass")
	switch p.Kind {
	case mailproof.InventoryPass:
		name = d.t("inventory")
		if p.Side != 0 {
			name += ", " + d.t(p.Side.String())
		}
		if p.Reverify {
			name = d.t("re-reading, %s", d.t(p.Side.String()))
		}
	case mailproof.CopyPass:
		name = d.t("copy, %s appended", comma(p.Messages))
	case mailproof.DiffPass:
		name = d.t("comparison")
	case mailproof.DNSPass:
		name = d.t("DNS audit")
	}
	if p.State != mailproof.PassDone && p.State.String() != "" {
		name += ", " + d.t(p.State.String())
	}
	return strings.TrimSpace(name)
}
