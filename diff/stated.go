package diff

import (
	"fmt"

	"github.com/mailproof/mailproof"
)

// statedSizes holds RFC822.SIZE of the source against the octets that came. A server
// that cuts a message off, and says so nowhere else, gives the same half to the
// copy and to the comparison, and both agree on it.
type statedSizes struct {
	exact, short int64
	first        []string
}

func (z *statedSizes) add(s *side, r *mailproof.Row) {
	switch {
	case r.Octets == r.Size:
		z.exact++
	case r.Octets < r.Size:
		z.short++
		if len(z.first) < firstFew {
			z.first = append(z.first, fmt.Sprintf("%s uid %d: %s of %s octets", quote(s.boxes[r.Mailbox].Name), r.UID, number(r.Octets), number(r.Size)))
		}
	}
}

// telling is how many sizes must be exact for each that is not: some servers
// estimate them, and then none is evidence.
const telling = 20

// finding names what came shorter than a server says that is right otherwise.
// It changes no verdict, as a size is a statement of the server beside the
// message and may itself be what is wrong.
func (z *statedSizes) finding() []mailproof.Finding {
	if z.short == 0 || z.exact < telling*z.short {
		return nil
	}
	return []mailproof.Finding{{
		Check: CheckSizes, Outcome: mailproof.OutcomeWarn, Expected: "the source sends as many octets as it states",
		Observed:  fmt.Sprintf("%s shorter than stated, where %s as long: %s", were(z.short), were(z.exact), more(z.first, z.short)),
		Reference: "RFC 9051 §6.4.5", Remedy: "look at them on the source: what it sends of them may not be all",
	}}
}

// were is "1 message was" or "3 messages were".
func were(n int64) string {
	if n == 1 {
		return "1 message was"
	}
	return plural(n, "message") + " were"
}

// more lists the first of n.
func more(first []string, n int64) string {
	text := some(first)
	if rest := n - int64(len(first)); rest > 0 {
		text += fmt.Sprintf(" and %s more", number(rest))
	}
	return text
}
