package engagement

import (
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// labelsOf tells which mailboxes of a destination are labels and no more: at
// Gmail those that are not of its own making. To put a message into Trash or Spam
// there takes it out of everywhere else, so that Gmail's own are left alone.
func labelsOf(server mailproof.ServerInfo) func(mailbox string) bool {
	if !slices.Contains(server.Capabilities, "X-GM-EXT-1") || !slices.Contains(server.Capabilities, "UIDPLUS") {
		return nil
	}
	return func(mailbox string) bool {
		top, _, _ := strings.Cut(mailbox, "/")
		return top != "[Gmail]" && top != "[Google Mail]"
	}
}
