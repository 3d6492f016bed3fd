package imapconn

import (
	"context"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// namespace is one of NAMESPACE (RFC 2342).
type namespace struct{ prefix, separator string }

// namespaces returns the personal namespaces, at least one, and the prefixes
// of what belongs to others.
func (s *session) namespaces(ctx context.Context) (personal []namespace, foreign []string, err error) {
	if s.caps.has("NAMESPACE") || s.caps.has("IMAP4rev2") {
		_, err = s.require(ctx, "ask for namespaces", only("NAMESPACE", func(r response) {
			for i, class := range r.values {
				for _, descr := range class.list {
					if len(descr.list) < 2 || descr.kind != list {
						continue
					}
					n := namespace{s.names.decodePrefix(descr.list[0].nstring()), separatorOf(descr.list[1])}
					if i == 0 {
						personal = append(personal, n)
					} else if n.prefix != "" {
						foreign = append(foreign, n.prefix)
					}
				}
			}
		}), atomArg("NAMESPACE"))
		if err != nil && !refused(err) {
			return nil, nil, err
		}
	}
	if len(personal) == 0 {
		personal = []namespace{{}}
	}
	return personal, foreign, nil
}

// separatorOf reads a hierarchy delimiter: a quoted character, NIL, and what
// servers make of it: "", nil, an unquoted character.
func separatorOf(v value) string { return v.nstring() }

// The special uses that are recorded, by attribute in lower case.
var specialUses = map[string]mailproof.SpecialUse{
	`\all`: mailproof.UseAll, `\archive`: mailproof.UseArchive, `\drafts`: mailproof.UseDrafts, `\flagged`: mailproof.UseFlagged,
	`\junk`: mailproof.UseJunk, `\sent`: mailproof.UseSent, `\trash`: mailproof.UseTrash,
}

// mailboxes lists the personal mailboxes, INBOX first, then by name.
func (s *session) mailboxes(ctx context.Context) ([]mailproof.Mailbox, error) {
	personal, foreign, err := s.namespaces(ctx)
	if err != nil {
		return nil, err
	}
	l := &lister{s: s, personal: personal, foreign: foreign, found: map[string]*mailproof.Mailbox{}}
	for _, n := range personal {
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
	out := make([]mailproof.Mailbox, 0, len(l.found))
	for _, m := range l.found {
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
	return out, nil
}

// lister gathers what LIST and LSUB say.
type lister struct {
	s        *session
	personal []namespace
	foreign  []string
	found    map[string]*mailproof.Mailbox
	bad      error
}

// list asks for the mailboxes of one pattern, in one command where the server
// is able to (RFC 5258, RFC 6154), else with LSUB for the subscriptions.
func (l *lister) list(ctx context.Context, pattern string) error {
	const op = "list folders"
	if l.s.caps.has("LIST-EXTENDED") || l.s.caps.has("IMAP4rev2") {
		want := "RETURN (SUBSCRIBED)"
		if l.s.caps.has("SPECIAL-USE") {
			want = "RETURN (SUBSCRIBED SPECIAL-USE)"
		}
		_, err := l.s.require(ctx, op, only("LIST", l.add), atomArg("LIST"), stringArg(""), stringArg(pattern), atomArg(want))
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
		return l.personal[0].prefix, true
	}
	for _, n := range l.personal {
		if strings.HasPrefix(name, n.prefix) && (!mine || len(n.prefix) > len(prefix)) {
			prefix, mine = n.prefix, true
		}
	}
	for _, f := range l.foreign {
		if len(f) > len(prefix) && (strings.HasPrefix(name, f) || name == f[:len(f)-1]) {
			return "", false
		}
	}
	return prefix, mine
}
