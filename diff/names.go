package diff

import (
	"strings"

	"github.com/mailproof/mailproof"
)

// wellKnown are the names under which mailboxes of a special use are found on
// servers that do not announce it. The list is short on purpose: a folder that
// is not recognised keeps its own name, and nothing is lost by that.
var wellKnown = map[string]mailproof.SpecialUse{
	"sent": mailproof.UseSent, "sent items": mailproof.UseSent, "sent messages": mailproof.UseSent,
	"drafts": mailproof.UseDrafts,
	"trash":  mailproof.UseTrash, "deleted items": mailproof.UseTrash, "deleted messages": mailproof.UseTrash,
	"junk": mailproof.UseJunk, "spam": mailproof.UseJunk, "junk e-mail": mailproof.UseJunk, "junk email": mailproof.UseJunk,
	"archive": mailproof.UseArchive,
}

var knownUses = []mailproof.SpecialUse{
	mailproof.UseAll, mailproof.UseArchive, mailproof.UseDrafts, mailproof.UseFlagged,
	mailproof.UseJunk, mailproof.UseSent, mailproof.UseTrash,
}

// knownUse returns the special use of the given name, without regard to case.
func knownUse(name string) (mailproof.SpecialUse, bool) {
	for _, u := range knownUses {
		if strings.EqualFold(string(u), name) {
			return u, true
		}
	}
	return "", false
}

// roleOf returns the special use that a mailbox announces or, where it
// announces none and lies on the top level, that its name stands for.
func roleOf(m mailproof.Mailbox) mailproof.SpecialUse {
	if m.SpecialUse != "" {
		if u, ok := knownUse(string(m.SpecialUse)); ok {
			return u
		}
		return m.SpecialUse
	}
	if m.IsInbox() {
		return ""
	}
	if path := m.Path(); len(path) == 1 {
		return wellKnown[strings.ToLower(path[0])]
	}
	return ""
}

// purged reports whether servers delete what lies in the mailbox after a while.
func purged(m mailproof.Mailbox) bool {
	role := roleOf(m)
	return role == mailproof.UseTrash || role == mailproof.UseJunk
}

// RefusedBy returns the characters that a server of this kind refuses in
// mailbox names, as far as that is known: for [Rules].Refused.
func RefusedBy(server mailproof.ServerInfo) string {
	if strings.Contains(strings.ToLower(server.ID+" "+server.Greeting), "cyrus") {
		return `\"%*`
	}
	return ""
}
