package diff

import (
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// A message under three labels of which one did not arrive lacks a label. Equal
// messages with numbers of their own are copies, and one of them is too few.
func TestLabels(t *testing.T) {
	for _, c := range []struct {
		name    string
		numbers [3]uint64
		label   bool
	}{{"labels", [3]uint64{7, 7, 7}, true}, {"copies", [3]uint64{7, 8, 9}, false}, {"no Gmail", [3]uint64{}, false}} {
		for _, limit := range []int{1, 100} {
			src, dst := standard()
			for i, box := range []string{"INBOX", "Archive", "Sent"} {
				src.add(box, letter(1)).GmailID = c.numbers[i]
				if box != "Sent" {
					dst.add(box, letter(1))
				}
			}
			res, all := compare(t, src, dst, Options{Limit: limit})
			if res.Counts.Identical != 2 || res.Counts.DuplicateCollapsed != 1 || !res.Counts.Balanced() {
				t.Errorf("%s: %+v", c.name, res.Counts)
			}
			named := false
			for _, r := range all {
				if r.Verdict == mailproof.DuplicateCollapsed {
					named = len(r.Reasons) == 1 && r.Reasons[0].Code == ReasonLabel && strings.Contains(r.Reasons[0].Evidence, "“Sent”")
				}
			}
			if named != c.label {
				t.Errorf("%s, limit %d: label named %v", c.name, limit, named)
			}
		}
	}
}
