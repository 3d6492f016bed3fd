package imapmem

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	mailproof "github.com/mailproof/mailproof"
)

// listing is what one LIST command asks for (RFC 5258 §3).
type listing struct {
	patterns   []string
	subscribed bool // list subscribed names only, be they mailboxes or not
	specialUse bool // list mailboxes with a special use only
	status     []string
	returnSub  bool
}

func (c *conn) list(p *parser) *status {
	var l listing
	extended := c.server.offers("LIST-EXTENDED")
	p.space()
	if strings.HasPrefix(p.rest, "(") {
		if !extended {
			return bad("LIST-EXTENDED is not supported")
		}
		for _, w := range p.words() {
			switch w {
			case "SUBSCRIBED":
				l.subscribed, l.returnSub = true, true
			case "SPECIAL-USE":
				l.specialUse = true
			case "REMOTE", "RECURSIVEMATCH":
			default:
				p.fail("unknown selection option")
			}
		}
		p.space()
	}
	reference := p.astring()
	p.space()
	if strings.HasPrefix(p.rest, "(") {
		p.list(func() { l.patterns = append(l.patterns, p.pattern()) })
	} else {
		l.patterns = []string{p.pattern()}
	}
	if p.take(" RETURN ") {
		if !extended && !c.server.offers("LIST-STATUS") {
			return bad("LIST-EXTENDED is not supported")
		}
		p.list(func() { l.returnOption(p) })
	}
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	if len(l.patterns) == 1 && l.patterns[0] == "" {
		c.untagged(`LIST (\Noselect) %s ""`, quote(c.server.opts.Separator))
		return ok("LIST completed")
	}
	for i := range l.patterns {
		l.patterns[i] = reference + l.patterns[i]
	}
	for _, line := range c.listed(&l) {
		c.untagged("%s", line)
	}
	return ok("LIST completed")
}

func (l *listing) returnOption(p *parser) {
	switch p.word() {
	case "SUBSCRIBED":
		l.returnSub = true
	case "CHILDREN", "SPECIAL-USE":
	case "STATUS":
		p.space()
		l.status = p.words()
	default:
		p.fail("unknown return option")
	}
}

// pattern is a mailbox name with wildcards, decoded.
func (p *parser) pattern() string {
	name, err := decodeUTF7(p.astring())
	if err != nil {
		p.fail("%w", err)
	}
	return name
}

// listed returns the LIST and STATUS responses.
func (c *conn) listed(l *listing) []string {
	a, separator := c.account, c.server.opts.Separator
	a.mu.Lock()
	defer a.mu.Unlock()
	names := a.names(separator)
	if l.subscribed {
		for name := range a.subscribed {
			names[name] = true
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(names)) {
		b := a.boxes[name]
		switch {
		case !slices.ContainsFunc(l.patterns, func(p string) bool { return matches(p, name, separator) }),
			l.subscribed && !a.subscribed[name],
			l.specialUse && (b == nil || b.use == ""):
			continue
		}
		out = append(out, fmt.Sprintf("LIST (%s) %s %s", strings.Join(a.attributes(name, l), " "), quote(separator), quote(encodeUTF7(name))))
		if len(l.status) > 0 && b != nil {
			out = append(out, fmt.Sprintf("STATUS %s (%s)", quote(encodeUTF7(name)), strings.Join(a.statusItems(b, l.status), " ")))
		}
	}
	return out
}

// names returns every mailbox and every level above one.
func (a *Account) names(separator string) map[string]bool {
	names := map[string]bool{}
	for name := range a.boxes {
		names[name] = true
		for i := strings.LastIndex(name, separator); i > 0; i = strings.LastIndex(name[:i], separator) {
			names[canonical(name[:i])] = true
		}
	}
	return names
}

func (a *Account) attributes(name string, l *listing) []string {
	var out []string
	b := a.boxes[name]
	if b == nil {
		out = append(out, `\NonExistent`, `\Noselect`)
	}
	prefix, child := name+a.server.opts.Separator, `\HasNoChildren`
	for other := range a.boxes {
		if strings.HasPrefix(other, prefix) {
			child = `\HasChildren`
			break
		}
	}
	if a.server.offers("CHILDREN") {
		out = append(out, child)
	}
	if l.returnSub && a.subscribed[name] {
		out = append(out, `\Subscribed`)
	}
	if b != nil && b.use != "" && a.server.offers("SPECIAL-USE") {
		out = append(out, string(b.use))
	}
	return out
}

// matches applies a LIST pattern (RFC 9051 §6.3.9): "*" is anything, "%"
// anything within one level; INBOX has no case.
func matches(pattern, name, separator string) bool {
	if name == "INBOX" && strings.EqualFold(pattern, "INBOX") {
		return true
	}
	// reach[j] says whether the pattern so far matches name[:j].
	reach := make([]bool, len(name)+1)
	reach[0] = true
	for i := 0; i < len(pattern); i++ {
		next := make([]bool, len(name)+1)
		wild := pattern[i] == '*' || pattern[i] == '%'
		for j := range reach {
			switch {
			case wild && (reach[j] || j > 0 && next[j-1] && (pattern[i] == '*' || !strings.HasPrefix(name[j-1:], separator))):
				next[j] = true
			case !wild && j > 0 && reach[j-1] && name[j-1] == pattern[i]:
				next[j] = true
			}
		}
		reach = next
	}
	return reach[len(name)]
}

func (c *conn) lsub(p *parser) *status {
	p.space()
	reference := p.astring()
	p.space()
	pattern := reference + p.pattern()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	separator := c.server.opts.Separator
	for _, name := range c.account.Subscribed() {
		if matches(pattern, name, separator) {
			c.untagged("LSUB () %s %s", quote(separator), quote(encodeUTF7(name)))
		}
	}
	return ok("LSUB completed")
}

func (c *conn) status(p *parser) *status {
	p.space()
	name := p.mailbox()
	p.space()
	items := p.words()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.boxes[name]
	if b == nil {
		return no("[NONEXISTENT] no such mailbox")
	}
	values := a.statusItems(b, items)
	if len(values) != len(items) {
		return bad("unknown STATUS item")
	}
	c.untagged("STATUS %s (%s)", quote(encodeUTF7(name)), strings.Join(values, " "))
	return ok("STATUS completed")
}

// statusItems passes over an item that it does not know.
func (a *Account) statusItems(b *mailbox, items []string) []string {
	var out []string
	count := func(match func(*message) bool) (n int) {
		for _, m := range b.messages {
			if match(m) {
				n++
			}
		}
		return n
	}
	state := mailproof.MailboxState{UIDValidity: b.validity, UIDNext: b.uidNext, Exists: uint32(len(b.messages)), HighestModSeq: b.modseq}
	if hook := a.server.opts.OnState; hook != nil {
		state = hook(a.user, b.name, state)
	}
	for _, item := range items {
		var value any
		switch item {
		case "MESSAGES":
			value = state.Exists
		case "RECENT":
			value = 0
		case "UIDNEXT":
			value = state.UIDNext
		case "UIDVALIDITY":
			value = state.UIDValidity
		case "UNSEEN":
			value = count(func(m *message) bool { return !m.flags.Has(`\Seen`) })
		case "DELETED":
			value = count(func(m *message) bool { return m.flags.Has(`\Deleted`) })
		case "SIZE":
			var size int64
			for _, m := range b.messages {
				size += int64(len(m.raw))
			}
			value = size
		case "HIGHESTMODSEQ":
			value = state.HighestModSeq
		case "APPENDLIMIT":
			value = a.server.appendLimit()
		default:
			continue
		}
		out = append(out, fmt.Sprintf("%s %v", item, value))
	}
	return out
}

func (c *conn) selectMailbox(p *parser, readOnly bool) *status {
	p.space()
	name := p.mailbox()
	if p.take(" ") {
		for _, w := range p.words() {
			if w != "CONDSTORE" || !c.server.offers("CONDSTORE") {
				return bad("unknown SELECT parameter")
			}
			c.condstore = true
		}
	}
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	c.box = nil
	b := a.boxes[name]
	if b == nil {
		return no("[NONEXISTENT] no such mailbox")
	}
	c.box = newView(b, readOnly)
	c.announce(b, readOnly)
	if readOnly {
		return ok("[READ-ONLY] EXAMINE completed")
	}
	return ok("[READ-WRITE] SELECT completed")
}

// announce writes the responses that SELECT requires (RFC 9051 §6.3.2).
func (c *conn) announce(b *mailbox, readOnly bool) {
	flags := mailproof.NewFlags(`\Seen`, `\Answered`, `\Flagged`, `\Deleted`, `\Draft`)
	seen := map[string]bool{}
	for _, m := range b.messages {
		for _, f := range m.flags {
			if !strings.HasPrefix(f, `\`) {
				seen[f] = true
			}
		}
	}
	all := append(slices.Clone(flags), slices.Sorted(maps.Keys(seen))...)
	c.untagged("FLAGS %s", all)
	if readOnly {
		c.untagged("OK [PERMANENTFLAGS ()] read-only")
	} else {
		c.untagged(`OK [PERMANENTFLAGS %s \*)] kept`, strings.TrimSuffix(all.String(), ")"))
	}
	c.untagged("%d EXISTS", len(b.messages))
	c.untagged("0 RECENT")
	c.untagged("OK [UIDVALIDITY %d] valid", b.validity)
	c.untagged("OK [UIDNEXT %d] next", b.uidNext)
	if c.server.offers("CONDSTORE") {
		c.untagged("OK [HIGHESTMODSEQ %d] highest", b.modseq)
	}
}

func (c *conn) create(p *parser) *status {
	p.space()
	name := p.mailbox()
	use := mailproof.SpecialUse("")
	if p.take(" (USE ") && c.server.offers("CREATE-SPECIAL-USE") {
		p.list(func() { use = mailproof.SpecialUse(p.run(" )")) })
		p.expect(")")
	}
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	// A trailing separator says that levels are to follow (RFC 9051 §6.3.4).
	name = strings.TrimSuffix(name, c.server.opts.Separator)
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if refusal := a.mayCreate(name); refusal != nil {
		return refusal
	}
	if use != "" {
		for _, b := range a.boxes {
			if b.use == use {
				return no("[USEATTR] another mailbox has that special use")
			}
		}
	}
	a.wrote()
	a.create(name, use)
	return ok("CREATE completed")
}

func (a *Account) mayCreate(name string) *status {
	o := a.server.opts
	switch {
	case a.boxes[name] != nil:
		return no("[ALREADYEXISTS] mailbox exists")
	case !strings.HasPrefix(name, o.Prefix) || name == o.Prefix || slices.Contains(strings.Split(name, o.Separator), ""):
		return no("[CANNOT] invalid mailbox name")
	}
	return nil
}

func (c *conn) delete(p *parser) *status {
	p.space()
	name := p.mailbox()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.boxes[name]
	switch {
	case name == "INBOX":
		return no("[CANNOT] INBOX cannot be deleted")
	case b == nil:
		return no("[NONEXISTENT] no such mailbox")
	}
	a.wrote()
	a.drop(b)
	return ok("DELETE completed")
}

// rename moves a mailbox and those below it. Renaming INBOX, which would move
// its messages and leave it (RFC 9051 §6.3.6), is refused.
func (c *conn) rename(p *parser) *status {
	p.space()
	from := p.mailbox()
	p.space()
	to := p.mailbox()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	switch refusal := a.mayCreate(to); {
	case from == "INBOX":
		return no("[CANNOT] INBOX cannot be renamed")
	case a.boxes[from] == nil:
		return no("[NONEXISTENT] no such mailbox")
	case refusal != nil:
		return refusal
	}
	a.wrote()
	below := from + a.server.opts.Separator
	for name, b := range maps.Clone(a.boxes) {
		if name == from || strings.HasPrefix(name, below) {
			delete(a.boxes, name)
			b.name = to + strings.TrimPrefix(name, from)
			a.boxes[b.name] = b
		}
	}
	return ok("RENAME completed")
}

func (c *conn) subscribe(p *parser, on bool) *status {
	p.space()
	name := p.mailbox()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if on && !a.names(a.server.opts.Separator)[name] {
		return no("[NONEXISTENT] no such mailbox")
	}
	a.wrote()
	a.subscribe(name, on)
	return ok("completed")
}

func (c *conn) unselect(p *parser) *status {
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	c.box = nil
	return ok("UNSELECT completed")
}

func (c *conn) close(p *parser) *status {
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	// CLOSE of an examined mailbox removes nothing and is no error (RFC 9051
	// §6.4.1).
	if !c.box.readOnly && a.expunge(c.box.box, func(m *message) bool { return m.flags.Has(`\Deleted`) }) > 0 {
		a.wrote()
	}
	c.box = nil
	return ok("CLOSE completed")
}
