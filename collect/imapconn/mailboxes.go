package imapconn

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// namespace is one of NAMESPACE (RFC 2342).
type namespace struct{ prefix, separator string }

// spaces are the personal namespaces, at least one, and the prefixes of what
// belongs to others.
type spaces struct {
	personal []namespace
	foreign  []string
}

// add takes what NAMESPACE says.
func (n *spaces) add(s *session, r response) {
	for i, class := range r.values {
		for _, descr := range class.list {
			if len(descr.list) < 2 || descr.kind != list {
				continue
			}
			one := namespace{s.names.decodePrefix(descr.list[0].nstring()), separatorOf(descr.list[1])}
			if i == 0 {
				n.personal = append(n.personal, one)
			} else if one.prefix != "" {
				n.foreign = append(n.foreign, one.prefix)
			}
		}
	}
}

// whole sees to it that there is a personal namespace.
func (n *spaces) whole() *spaces {
	if len(n.personal) == 0 {
		n.personal = []namespace{{}}
	}
	return n
}

func (c capabilities) namespaces() bool { return c.has("NAMESPACE") || c.has("IMAP4rev2") }

// namespaces returns the namespaces, asking for them once in a session.
func (s *session) namespaces(ctx context.Context) (*spaces, error) {
	if s.spaces != nil {
		return s.spaces, nil
	}
	var found spaces
	if s.caps.namespaces() {
		_, err := s.require(ctx, "ask for namespaces", only("NAMESPACE", func(r response) { found.add(s, r) }), atomArg("NAMESPACE"))
		if err != nil && !refused(err) {
			return nil, err
		}
	}
	s.spaces = found.whole()
	return s.spaces, nil
}

// separatorOf reads a hierarchy delimiter: a quoted character, NIL, and what
// servers make of it: "", nil, an unquoted character.
func separatorOf(v value) string { return v.nstring() }

// The special uses that are recorded, by attribute in lower case.
var specialUses = map[string]mailproof.SpecialUse{
	`\all`: mailproof.UseAll, `\archive`: mailproof.UseArchive, `\drafts`: mailproof.UseDrafts, `\flagged`: mailproof.UseFlagged,
	`\junk`: mailproof.UseJunk, `\sent`: mailproof.UseSent, `\trash`: mailproof.UseTrash,
}

// list lists the personal mailboxes, with their states where they are wanted and
// the server tells them along (RFC 5819).
func (s *session) list(ctx context.Context, states bool) (*survey, error) {
	if fresh := s.surveyed; fresh != nil && states && time.Since(fresh.at) < SurveyAge {
		s.surveyed = nil
		return fresh, nil
	}
	spaces, err := s.namespaces(ctx)
	if err != nil {
		return nil, err
	}
	l := &lister{s: s, spaces: spaces, survey: newSurvey(), states: states && s.caps.listStatus()}
	for _, n := range spaces.personal {
		if err := l.list(ctx, s.names.encodePattern(n.prefix)+"*"); err != nil {
			return nil, err
		}
	}
	// INBOX need not lie in a personal namespace that has a prefix.
	if l.found["INBOX"] == nil {
		if err := l.list(ctx, "INBOX"); err != nil {
			return nil, err
		}
	}
	// Every account has an INBOX (RFC 9051 §5.1). Where a server lists others and
	// not that one, whether it can be opened is seen when it is: its mail must not
	// be left out without a word.
	if first := spaces.personal[0]; l.found["INBOX"] == nil && len(l.found) > 0 {
		l.found["INBOX"] = &mailproof.Mailbox{Name: "INBOX", Separator: first.separator, Prefix: first.prefix}
	}
	return l.survey, nil
}

// lister gathers what LIST and LSUB say.
type lister struct {
	*survey
	s      *session
	spaces *spaces
	states bool // STATUS is asked for along
	bad    error
}

// list asks for the mailboxes of one pattern, in one command where the server
// is able to (RFC 5258, RFC 6154), else with LSUB for the subscriptions.
func (l *lister) list(ctx context.Context, pattern string) error {
	const op = "list folders"
	if l.s.caps.has("LIST-EXTENDED") || l.s.caps.has("IMAP4rev2") {
		_, err := l.s.require(ctx, op, l.listed, atomArg("LIST"), stringArg(""), stringArg(pattern), atomArg(l.s.caps.listReturn(l.states)))
		if err != nil && refused(err) && l.states {
			l.states = false // it offers what it does not know
			_, err = l.s.require(ctx, op, l.listed, atomArg("LIST"), stringArg(""), stringArg(pattern), atomArg(l.s.caps.listReturn(false)))
		}
		if err == nil || !refused(err) {
			return l.outcome(err)
		}
	}
	_, err := l.s.require(ctx, op, only("LIST", l.add), atomArg("LIST"), stringArg(""), stringArg(pattern))
	if err := l.outcome(err); err != nil {
		return err
	}
	_, err = l.s.require(ctx, "list subscriptions", only("LSUB", l.subscribed), atomArg("LSUB"), stringArg(""), stringArg(pattern))
	if err != nil && refused(err) {
		err = nil // a server without subscriptions
	}
	return l.outcome(err)
}

func (l *lister) outcome(err error) error {
	if err == nil {
		return l.bad
	}
	return err
}

// parse reads "(attributes) delimiter name". An answer that cannot be read is
// an error: the mailbox would be missing without a word.
func (l *lister) parse(r response) (attrs []value, separator, name string, ok bool) {
	if len(r.values) < 3 || r.values[0].kind != list || r.values[1].kind == list || r.values[2].kind == list {
		if l.bad == nil {
			l.bad = serverFailure(l.s.masker, l.s.info.Address, "list folders", malformed("a %s response with %d values", r.name, len(r.values)))
		}
		return nil, "", "", false
	}
	name = r.values[2].str
	if extra := r.values[3:]; r.values[2].kind == atom && len(extra) > 0 && !slices.ContainsFunc(extra, func(v value) bool { return v.kind != atom }) {
		for _, v := range extra { // a name with blanks and no quotes
			name += " " + v.str
		}
	}
	return r.values[0].list, separatorOf(r.values[1]), l.s.names.decode(name), true
}

// listed takes what LIST says, and STATUS along with it.
func (l *lister) listed(r response) {
	switch strings.ToUpper(r.name) {
	case "LIST":
		l.add(r)
	case "STATUS":
		l.told(r)
	}
}

// told takes the state of a mailbox, unless it is the open one: of that, STATUS
// may tell what it was when it was opened (RFC 9051 §6.3.11).
func (l *lister) told(r response) {
	if name, state, ok := l.s.stateOf(r); ok && l.states && name != canonicalInbox(l.s.mailbox) {
		l.state[name] = state
	}
}

func (l *lister) add(r response) {
	attrs, separator, name, ok := l.parse(r)
	if !ok {
		return
	}
	prefix, mine := l.owner(name)
	if !mine {
		return
	}
	m := l.found[name]
	if m == nil {
		m = &mailproof.Mailbox{Name: name, Separator: separator, Prefix: prefix}
		l.found[name] = m
	}
	for _, a := range attrs {
		attr := strings.ToLower(a.str)
		switch attr {
		case `\noselect`, `\nonexistent`:
			m.NoSelect = true
		case `\subscribed`:
			m.Subscribed = true
		}
		if use, known := specialUses[attr]; known && m.SpecialUse == "" {
			m.SpecialUse = use
		}
	}
}

func (l *lister) subscribed(r response) {
	attrs, _, name, ok := l.parse(r)
	if !ok {
		return
	}
	// \Noselect in LSUB: only something below is subscribed (RFC 3501 §6.3.9).
	if slices.ContainsFunc(attrs, func(a value) bool { return strings.EqualFold(a.str, `\Noselect`) }) {
		return
	}
	if m := l.found[name]; m != nil {
		m.Subscribed = true
	}
}

// owner returns the personal namespace that a name belongs to: the longest
// prefix decides between ours and those of others.
func (l *lister) owner(name string) (prefix string, mine bool) {
	if name == "INBOX" {
		return l.spaces.personal[0].prefix, true
	}
	for _, n := range l.spaces.personal {
		if strings.HasPrefix(name, n.prefix) && (!mine || len(n.prefix) > len(prefix)) {
			prefix, mine = n.prefix, true
		}
	}
	for _, f := range l.spaces.foreign {
		if len(f) > len(prefix) && (strings.HasPrefix(name, f) || name == f[:len(f)-1]) {
			return "", false
		}
	}
	return prefix, mine
}
