package imapmem

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	mailproof "github.com/mailproof/mailproof"
)

// criterion tells whether the message at an index of the view matches.
type criterion func(v *view, i int) bool

func (c *conn) search(p *parser, uid bool) *status {
	var results []string
	extended := false
	if p.take(" RETURN ") {
		if !c.server.offers("ESEARCH") {
			return bad("ESEARCH is not supported")
		}
		extended = true
		results = p.words()
		if len(results) == 0 {
			results = []string{"ALL"}
		}
	}
	if p.take(" CHARSET ") {
		p.astring()
	}
	p.space()
	match := p.criteria(c.server.opts.Location)
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	var found []mailproof.UID
	for i, m := range c.box.messages {
		if m.expunged && uid || !match(c.box, i) {
			continue
		}
		if uid {
			found = append(found, m.uid)
		} else {
			found = append(found, mailproof.UID(i+1))
		}
	}
	if extended {
		return c.esearch(results, found, uid)
	}
	var line strings.Builder
	line.WriteString("SEARCH")
	for _, n := range found {
		fmt.Fprintf(&line, " %d", n)
	}
	c.untagged("%s", line.String())
	return ok("SEARCH completed")
}

// esearch replies to SEARCH RETURN (RFC 4731 §3.1).
func (c *conn) esearch(results []string, found []mailproof.UID, uid bool) *status {
	line := fmt.Sprintf("ESEARCH (TAG %s)", quote(c.tag))
	if uid {
		line += " UID"
	}
	for _, r := range results {
		switch r {
		case "COUNT":
			line += fmt.Sprintf(" COUNT %d", len(found))
		case "MIN", "MAX", "ALL":
			if len(found) == 0 {
				continue
			}
			value := uidSet(found)
			if r == "MIN" {
				value = fmt.Sprint(found[0])
			} else if r == "MAX" {
				value = fmt.Sprint(found[len(found)-1])
			}
			line += " " + r + " " + value
		default:
			return bad("unknown SEARCH result option")
		}
	}
	c.untagged("%s", line)
	return ok("SEARCH completed")
}

// criteria reads search keys up to the end or a parenthesis: all must match.
func (p *parser) criteria(zone *time.Location) criterion {
	all := []criterion{p.criterion(zone)}
	for p.err == nil && p.take(" ") {
		all = append(all, p.criterion(zone))
	}
	return func(v *view, i int) bool {
		for _, c := range all {
			if !c(v, i) {
				return false
			}
		}
		return true
	}
}

var searchFlags = map[string]string{
	"SEEN": `\Seen`, "ANSWERED": `\Answered`, "FLAGGED": `\Flagged`, "DELETED": `\Deleted`, "DRAFT": `\Draft`,
}

func (p *parser) criterion(zone *time.Location) criterion {
	if p.take("(") {
		inner := p.criteria(zone)
		p.expect(")")
		return inner
	}
	if p.rest != "" && (p.rest[0] == '*' || p.rest[0] >= '0' && p.rest[0] <= '9') {
		return p.inSet(false)
	}
	key := p.word()
	if f, ok := searchFlags[strings.TrimPrefix(key, "UN")]; ok {
		return flagged(f, !strings.HasPrefix(key, "UN"))
	}
	argument := func() string { p.space(); return p.astring() }
	switch key {
	case "ALL", "OLD":
		return func(*view, int) bool { return true }
	case "NEW", "RECENT":
		return func(*view, int) bool { return false }
	case "UID":
		p.space()
		return p.inSet(true)
	case "KEYWORD", "UNKEYWORD":
		return flagged(argument(), key == "KEYWORD")
	case "LARGER", "SMALLER":
		p.space()
		n := p.number()
		return func(v *view, i int) bool {
			size := uint64(len(v.messages[i].raw))
			return size > n && key == "LARGER" || size < n && key == "SMALLER"
		}
	case "MODSEQ":
		p.space()
		n := p.number()
		return func(v *view, i int) bool { return v.messages[i].modseq >= n }
	case "SINCE", "BEFORE", "ON":
		return p.dated(key, argument(), zone)
	case "FROM", "TO", "CC", "BCC", "SUBJECT":
		return inField(key, argument())
	case "HEADER":
		field := argument()
		return inField(field, argument())
	case "TEXT":
		text := []byte(argument())
		return func(v *view, i int) bool { return containsFold(v.messages[i].raw, text) }
	case "NOT":
		p.space()
		not := p.criterion(zone)
		return func(v *view, i int) bool { return !not(v, i) }
	case "OR":
		p.space()
		a := p.criterion(zone)
		p.space()
		b := p.criterion(zone)
		return func(v *view, i int) bool { return a(v, i) || b(v, i) }
	}
	p.fail("SEARCH key %s is not supported", oneLine(key))
	return func(*view, int) bool { return false }
}

func (p *parser) inSet(uid bool) criterion {
	set := p.set()
	var chosen map[int]bool
	return func(v *view, i int) bool {
		if chosen == nil {
			chosen = map[int]bool{}
			indexes, _ := v.pick(set, uid)
			for _, n := range indexes {
				chosen[n] = true
			}
		}
		return chosen[i]
	}
}

func flagged(flag string, want bool) criterion {
	return func(v *view, i int) bool { return v.messages[i].flags.Has(flag) == want }
}

// dated compares the date of INTERNALDATE, without time and zone (RFC 9051
// §6.4.4).
func (p *parser) dated(key, value string, zone *time.Location) criterion {
	day, err := time.Parse("2-Jan-2006", value)
	if err != nil {
		p.fail("invalid date")
	}
	return func(v *view, i int) bool {
		y, m, d := v.messages[i].date.In(zone).Date()
		switch c := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).Compare(day); key {
		case "SINCE":
			return c >= 0
		case "BEFORE":
			return c < 0
		default:
			return c == 0
		}
	}
}

func inField(name, text string) criterion {
	return func(v *view, i int) bool {
		header, _ := splitHeader(v.messages[i].raw)
		field := selectFields(header, []string{name}, true)
		return len(field) > 2 && containsFold(field, []byte(text))
	}
}

func containsFold(in, text []byte) bool {
	return bytes.Contains(bytes.ToLower(in), bytes.ToLower(text))
}
