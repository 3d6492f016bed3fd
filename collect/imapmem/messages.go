package imapmem

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	mailproof "github.com/mailproof/mailproof"
)

// internalDate is the layout of date-time (RFC 9051 §9). Reading takes a day
// below ten with a space, with a zero or with nothing before it.
const internalDate = "_2-Jan-2006 15:04:05 -0700"

// incoming is one message of an APPEND.
type incoming struct {
	flags []string
	date  time.Time
	raw   []byte
}

func (c *conn) append(p *parser) *status {
	p.space()
	name := p.mailbox()
	var batch []incoming
	for p.err == nil && (len(batch) == 0 || p.rest != "" || len(p.chunks) > 0) {
		batch = append(batch, c.incoming(p))
	}
	switch err := p.end(); {
	case err != nil:
		return bad("%v", err)
	case len(batch) > 1 && !c.server.offers("MULTIAPPEND"):
		return bad("MULTIAPPEND is not supported")
	}
	for i := range batch {
		raw, err := c.filter(name, batch[i].raw)
		if errors.Is(err, ErrCut) {
			c.cut = true
			return bad("cut")
		} else if err != nil {
			return no("%s", err.Error())
		}
		batch[i].raw = raw
	}
	result := c.deliver(name, batch)
	if hook := c.server.opts.OnStored; hook != nil && result.kind == "OK" {
		c.cut = errors.Is(hook(c.account.user, name, len(batch)), ErrCut)
	}
	return result
}

// incoming reads [flags] [date] literal.
func (c *conn) incoming(p *parser) incoming {
	p.space()
	m := incoming{date: c.server.opts.Now()}
	if strings.HasPrefix(p.rest, "(") {
		m.flags = p.flags()
		p.space()
	}
	if strings.HasPrefix(p.rest, `"`) {
		date, err := time.Parse(internalDate, p.astring())
		if err != nil {
			p.fail("invalid date-time")
		}
		m.date = date
		p.space()
	}
	m.raw = p.literal()
	if p.err == nil && len(m.raw) == 0 {
		p.fail("message is empty")
	}
	return m
}

// filter lets the hook see a message.
func (c *conn) filter(mailbox string, raw []byte) ([]byte, error) {
	if hook := c.server.opts.OnAppend; hook != nil {
		return hook(c.account.user, mailbox, raw)
	}
	return raw, nil
}

// deliver stores a batch as a whole (RFC 3502 §2).
func (c *conn) deliver(name string, batch []incoming) *status {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	b := a.boxes[name]
	if b == nil { // deleted since it was admitted
		return no("[TRYCREATE] no such mailbox")
	}
	a.wrote()
	first := b.uidNext
	for _, m := range batch {
		a.store(b, m.raw, m.flags, m.date, a.newGmail())
		a.activity.Appended++
		a.activity.AppendedOctets += int64(len(m.raw))
	}
	if !c.server.offers("UIDPLUS") {
		return ok("APPEND completed")
	}
	uids := uidRange(first, b.uidNext-1)
	return ok("[APPENDUID %d %s] APPEND completed", b.validity, uids)
}

func uidRange(first, last mailproof.UID) string {
	if first == last {
		return strconv.FormatUint(uint64(first), 10)
	}
	return fmt.Sprintf("%d:%d", first, last)
}

// uidSet writes ascending UIDs as a set.
func uidSet(uids []mailproof.UID) string {
	var out []string
	for i := 0; i < len(uids); {
		j := i
		for j+1 < len(uids) && uids[j+1] == uids[j]+1 {
			j++
		}
		out = append(out, uidRange(uids[i], uids[j]))
		i = j + 1
	}
	return strings.Join(out, ",")
}

// mayWrite refuses a change of an examined mailbox and records the attempt.
// The account is locked.
func (c *conn) mayWrite(command string) *status {
	if !c.box.readOnly {
		return nil
	}
	c.account.violation(fmt.Sprintf("%s on examined mailbox %q", command, c.box.box.name))
	return no("[READ-ONLY] mailbox is examined, not selected")
}

func (c *conn) expunge(p *parser, uid bool) *status {
	var set []span
	if uid {
		p.space()
		set = p.set()
	}
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if refusal := c.mayWrite("EXPUNGE"); refusal != nil {
		return refusal
	}
	chosen := map[*message]bool{}
	if uid {
		indexes, _ := c.box.pick(set, true)
		for _, i := range indexes {
			chosen[c.box.messages[i]] = true
		}
	}
	n := a.expunge(c.box.box, func(m *message) bool { return m.flags.Has(`\Deleted`) && (!uid || chosen[m]) })
	if n > 0 {
		a.wrote()
	}
	return ok("EXPUNGE completed") // the EXPUNGE responses go out with the next sync
}

func (c *conn) store(p *parser, uid bool) *status {
	p.space()
	set := p.set()
	p.space()
	unchangedSince := uint64(1<<64 - 1)
	if p.take("(UNCHANGEDSINCE ") {
		unchangedSince = p.number()
		p.expect(") ")
	}
	action := p.word()
	p.space()
	flags := []string{}
	if !p.take("()") {
		flags = p.flags()
	}
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	item, silent := strings.CutSuffix(action, ".SILENT")
	if item != "FLAGS" && item != "+FLAGS" && item != "-FLAGS" {
		return bad("unknown STORE item")
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if refusal := c.mayWrite("STORE"); refusal != nil {
		return refusal
	}
	v := c.box
	for _, u := range v.flagUpdates(c.condstore) { // what others did comes first
		c.untagged("%s", u)
	}
	indexes, valid := v.pick(set, uid)
	if !valid {
		return bad("invalid sequence number")
	}
	var modified []mailproof.UID
	for _, i := range indexes {
		m := v.messages[i]
		if m.expunged {
			continue
		}
		if m.modseq > unchangedSince {
			modified = append(modified, m.uid)
			continue
		}
		a.setFlags(v.box, m, apply(item, m.flags, flags))
		if !silent || c.condstore {
			c.untagged("%s", v.stored(i, uid, silent, c.condstore))
		}
	}
	// The client knows of these changes; arrivals and expunges it still has to
	// be told of, and those have counters of their own.
	v.changes, v.modseq = v.box.changes, v.box.modseq
	if len(indexes) > len(modified) {
		a.wrote()
	}
	if len(modified) > 0 {
		return ok("[MODIFIED %s] conditional STORE failed for some", uidSet(modified))
	}
	return ok("STORE completed")
}

// stored is the FETCH response to a STORE.
func (v *view) stored(i int, uid, silent, condstore bool) string {
	m := v.messages[i]
	var items []string
	if uid || condstore {
		items = append(items, fmt.Sprintf("UID %d", m.uid))
	}
	if !silent {
		items = append(items, "FLAGS "+m.flags.String())
	}
	if condstore {
		items = append(items, fmt.Sprintf("MODSEQ (%d)", m.modseq))
	}
	return fmt.Sprintf("%d FETCH (%s)", i+1, strings.Join(items, " "))
}

func apply(action string, old mailproof.Flags, flags []string) []string {
	switch action {
	case "+FLAGS":
		return slices.Concat(old, flags)
	case "-FLAGS":
		return old.Without(mailproof.NewFlags(flags...))
	default:
		return flags
	}
}

func (c *conn) copy(p *parser, uid, move bool) *status {
	p.space()
	set := p.set()
	p.space()
	name := p.mailbox()
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	if move {
		if refusal := c.mayWrite("MOVE"); refusal != nil {
			return refusal
		}
	}
	to := a.boxes[name]
	if to == nil {
		return no("[TRYCREATE] no such mailbox")
	}
	indexes, valid := c.box.pick(set, uid)
	if !valid {
		return bad("invalid sequence number")
	}
	chosen := map[*message]bool{}
	var from, into []mailproof.UID
	for _, i := range indexes {
		m := c.box.messages[i]
		if m.expunged {
			continue
		}
		chosen[m] = true
		from = append(from, m.uid)
		into = append(into, a.store(to, m.raw, m.flags, m.date, m.gmail))
	}
	if len(from) == 0 {
		return ok("nothing to do")
	}
	a.wrote()
	code := ""
	if c.server.offers("UIDPLUS") {
		code = fmt.Sprintf("[COPYUID %d %s %s] ", to.validity, uidSet(from), uidSet(into))
	}
	if move {
		if code != "" {
			c.untagged("OK %smoved", code)
		}
		a.expunge(c.box.box, func(m *message) bool { return chosen[m] })
		return ok("MOVE completed")
	}
	return ok("%sCOPY completed", code)
}
