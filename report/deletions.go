package report

import (
	"fmt"
	"time"

	"github.com/mailproof/mailproof"
)

// Deletion is a message of the destination that was deleted because the user
// asked for it: an earlier pass had copied it, and its source was gone.
type Deletion struct {
	Pass        mailproof.PassID     `json:"pass"`
	Account     string               `json:"account"`
	Folder      string               `json:"folder"` // of the destination
	UIDValidity uint32               `json:"uidvalidity"`
	UID         mailproof.UID        `json:"uid"`
	SHA256      string               `json:"sha256"` // of its octets, as they were read right before
	Bytes       int64                `json:"bytes"`
	Source      mailproof.MessageKey `json:"-"` // that it was copied from
	CopiedBy    mailproof.PassID     `json:"copied_by"`
	// State is done, kept (it was no more what it was) or failed; empty where the
	// process ended before it was known.
	State    string    `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Finished time.Time `json:"finished,omitzero"`

	SourceFolder string        `json:"source_folder"`
	SourceUID    mailproof.UID `json:"source_uid"`
}

// mostDeletions is how many of them section 9 lists; report.json has all.
const mostDeletions = 200

// deletions are the blocks of section 9 about what was deleted; none where
// nothing was.
func (d *Document) deletions() []block {
	if len(d.Deletions) == 0 {
		return nil
	}
	t := &table{Class: "exs", Caption: words(d.t("Deleted on the destination, as was asked for: copied by an earlier pass, and gone on the source")), Columns: []column{
		{Head: d.t("Account"), Width: 30}, {Head: d.t("Folder, UID"), Width: 30}, {Head: d.t("Source"), Width: 20}, {Head: d.t("Result"), Width: 20}}}
	for _, x := range d.Deletions[:min(len(d.Deletions), mostDeletions)] {
		result := x.State
		if x.Reason != "" {
			result += ": " + cut(x.Reason, 80)
		}
		t.Rows = append(t.Rows, row{Cells: []cell{nameOf(x.Account), nameOf(x.Folder).and(span{Text: fmt.Sprintf(", %d", x.UID)}),
			nameOf(x.SourceFolder).and(span{Text: fmt.Sprintf(", %d", x.SourceUID)}), foreign(result)}})
	}
	t.Rows = append(t.Rows, row{Kind: totalRow, Cells: []cell{words(d.count(int64(len(d.Deletions)), "message")), nil, nil, nil}})
	return []block{{Table: t}}
}
