package engagement

import (
	"context"
	"fmt"
	"strings"

	"github.com/mailproof/mailproof"
)

// CheckGone is the check that the source still lists the folders in which it
// had mail.
const CheckGone = "folders.gone"

// goneFolders says which folders with mail in them an earlier pass over the
// source has listed and the latest does not. Users delete folders and rename
// them, so that it changes no verdict; but a server that leaves one out of its
// list, or a right that was taken away, looks the same from here, and then its
// mail is no longer compared.
func (e *Engagement) goneFolders(ctx context.Context, scan mailproof.Scan) ([]mailproof.Finding, error) {
	if scan.Pass == 0 || scan.State != mailproof.PassDone {
		return nil, nil
	}
	gone, err := e.ledger.GoneMailboxes(ctx, scan.Account, mailproof.Source, scan.Pass)
	if err != nil || len(gone) == 0 {
		return nil, err
	}
	const few = 5
	var names []string
	for i, g := range gone {
		if i == few {
			names = append(names, fmt.Sprintf("and %d more", len(gone)-few))
			break
		}
		names = append(names, fmt.Sprintf("%q, %d messages in pass %d", g.Name, g.Present, g.Pass))
	}
	return []mailproof.Finding{{
		Check: CheckGone, Account: scan.Account, Outcome: mailproof.OutcomeWarn, Time: scan.Finished,
		Expected: "the source lists every folder in which mail was found",
		Observed: fmt.Sprintf("no longer listed, and not compared: %s", strings.Join(names, "; ")),
		Remedy:   "see with the user that the folders were deleted or renamed; where they were not, ask the old provider, and run mailproof inventory --side source",
	}}, nil
}
