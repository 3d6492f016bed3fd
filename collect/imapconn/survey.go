package imapconn

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// survey is what LIST told of an account, and STATUS along with it.
type survey struct {
	found map[string]*mailproof.Mailbox
	state map[string]mailproof.MailboxState
	at    time.Time
}

// SurveyAge is how long a survey that came with the sign-in may be used for one
// that is asked for.
const SurveyAge = 3 * time.Second

func newSurvey() *survey {
	return &survey{found: map[string]*mailproof.Mailbox{}, state: map[string]mailproof.MailboxState{}, at: time.Now()}
}

// mailboxes returns INBOX first, then the others by name.
func (v *survey) mailboxes() []mailproof.Mailbox {
	out := make([]mailproof.Mailbox, 0, len(v.found))
	for m := range maps.Values(v.found) {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b mailproof.Mailbox) int {
		if a.IsInbox() != b.IsInbox() {
			if a.IsInbox() {
				return -1
			}
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	})
	return out
}

// listStatus reports whether LIST tells states along (RFC 5819, RFC 9051
// §6.3.9.2).
func (c capabilities) listStatus() bool {
	return c.has("IMAP4rev2") || c.has("LIST-STATUS") && c.has("LIST-EXTENDED")
}

// listReturn is what an extended LIST is asked to return.
func (c capabilities) listReturn(states bool) string {
	want := "SUBSCRIBED"
	if c.has("SPECIAL-USE") {
		want += " SPECIAL-USE"
	}
	if states {
		want += " STATUS (" + c.statusItems() + ")"
	}
	return "RETURN (" + want + ")"
}

// introduce says who we are, asks for the namespaces and lists the mailboxes, all
// at once. The list is one of everything: where the personal namespace turns out
// to have a prefix, or to be one of several, it is not used. Nothing that the
// server refuses matters here: what was not told is asked for when it is needed.
func (s *session) introduce(ctx context.Context, c Config) error {
	var flight []request
	if s.caps.has("ID") {
		flight = append(flight, request{op: "identify", args: []argument{atomArg(identification(c.ClientName, c.ClientVersion))},
			untagged: only("ID", func(r response) {
				if len(r.values) == 1 {
					s.info.ID = s.masker.printable(serverID(r.values[0].list))
				}
			})})
	}
	var spaces spaces
	if s.caps.namespaces() {
		flight = append(flight, request{op: "ask for namespaces", args: []argument{atomArg("NAMESPACE")},
			untagged: only("NAMESPACE", func(r response) { spaces.add(s, r) })})
	}
	var told []response
	found := newSurvey()
	if s.caps.listStatus() {
		flight = append(flight, request{op: "list folders", args: []argument{atomArg("LIST"), stringArg(""), stringArg("*"), atomArg(s.caps.listReturn(true))},
			untagged: func(r response) {
				if name := strings.ToUpper(r.name); name == "LIST" || name == "STATUS" {
					told = append(told, r)
				}
			}})
	}
	done, err := s.flight(ctx, flight)
	if err != nil {
		return err
	}
	s.spaces = spaces.whole()
	plain := len(s.spaces.personal) == 1 && s.spaces.personal[0].prefix == ""
	if len(told) == 0 || !plain || !done[len(done)-1].ok() {
		return nil
	}
	l := &lister{s: s, spaces: s.spaces, survey: found, states: true}
	for _, r := range told {
		l.listed(r)
	}
	if l.bad == nil && l.found["INBOX"] != nil {
		s.surveyed = found
	}
	return nil
}
