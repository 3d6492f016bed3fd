package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// A message with three labels is sent to Gmail once: the others are given to it
// there. What lands in folders of Gmail's own is sent for each. Where the server
// takes no copy, all are sent, and the outcome is the same.
func TestLabelsAreGivenOnTheServer(t *testing.T) {
	t.Parallel()
	const total = 20
	for _, tt := range []struct {
		name     string
		hide     []string
		appended int
	}{
		{"copied", nil, total + 1 + 1},
		{"sent", []string{"UIDPLUS"}, 3*total + 1 + 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			to := imapmem.GmailLike()
			to.Hide = append(slices.Clone(to.Hide), tt.hide...)
			b := newBetween(t, imapmem.GmailLike(), to)
			src, dst := b.source.Account("anna"), b.destination.Account("anna")
			for i := range total {
				uid := src.Append("INBOX", letter(fmt.Sprintf("number %d", i), 3+i), mailproof.NewFlags(`\Seen`), sentOn)
				must(t, src.Label("INBOX", uid, "Work/Projects", "Anna & Bob"))
			}
			uid := src.Append("[Gmail]/Sent Mail", letter("sent", 3), mailproof.NewFlags(`\Seen`), sentOn)
			must(t, src.Label("[Gmail]/Sent Mail", uid, "Work/Projects"))
			r := b.run()
			c := r.Accounts[0].Counts
			if r.Verdict != mailproof.Complete || c.Identical != 3*total+2 || c.SourceMessages != 3*total+2 {
				t.Fatalf("%s, %+v, %+v", r.Verdict, c, r.Accounts[0].Findings)
			}
			if got := dst.Activity().Appended; got != tt.appended {
				t.Errorf("%d messages were sent, want %d", got, tt.appended)
			}
			if tt.hide != nil {
				return
			}
			inbox := dst.Messages("INBOX")
			for _, folder := range []string{"Work/Projects", "Anna & Bob"} {
				for _, m := range dst.Messages(folder) {
					if !m.Date.Equal(sentOn) || !m.Flags.Has(`\Seen`) {
						t.Errorf("%s uid %d: %s, %s", folder, m.UID, m.Date, m.Flags)
					}
				}
			}
			if got := dst.Messages("Anna & Bob"); got[0].GmailID != inbox[0].GmailID {
				t.Errorf("two messages, %d and %d, where one has two labels", got[0].GmailID, inbox[0].GmailID)
			}
			// A second run has nothing to do.
			if r := b.run(); r.Verdict != mailproof.Complete || dst.Activity().Appended != tt.appended {
				t.Errorf("a second run: %s, %d sent", r.Verdict, dst.Activity().Appended)
			}
		})
	}
}
