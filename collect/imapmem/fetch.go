package imapmem

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	mailproof "github.com/mailproof/mailproof"
)

// bodyItem is one BODY[…] of a FETCH.
type bodyItem struct {
	label   string // as the response names it
	section string // "", HEADER, TEXT, HEADER.FIELDS, HEADER.FIELDS.NOT
	fields  []string
	peek    bool
	partial bool
	offset  uint64
	length  uint64
}

// fetchItems is what one FETCH asks for.
type fetchItems struct {
	uid, flags, date, size, modseq bool
	gmailID, labels                bool
	bodies                         []bodyItem
	changedSince                   uint64
}

// target is one message of a FETCH, as it was while the account was locked.
type target struct {
	seq    int
	m      *message
	flags  mailproof.Flags
	modseq uint64
	labels []string // as X-GM-LABELS writes them
}

func (c *conn) fetch(p *parser, uid bool) *status {
	p.space()
	set := p.set()
	p.space()
	items := fetchItems{uid: uid}
	if strings.HasPrefix(p.rest, "(") {
		p.list(func() { items.read(p) })
	} else {
		items.read(p)
	}
	if p.take(" (CHANGEDSINCE ") {
		items.changedSince, items.modseq, items.uid = p.number(), true, true
		p.expect(")")
	}
	if err := p.end(); err != nil {
		return bad("%v", err)
	}
	if items.modseq {
		if !c.server.offers("CONDSTORE") {
			return bad("CONDSTORE is not supported")
		}
		c.condstore = true
	}
	if (items.gmailID || items.labels) && !c.server.offers(gmailExtension) {
		return bad("%s is not supported", gmailExtension)
	}
	targets, refusal := c.targets(set, uid, &items)
	if refusal != nil {
		return refusal
	}
	result := ok("FETCH completed")
	for _, t := range targets {
		if err := c.send(t, &items); errors.Is(err, ErrCut) {
			return result
		} else if c.bye = farewell(err); c.bye != "" {
			return bad("%s", err.Error())
		} else if err != nil {
			result = no("%s", err.Error())
		}
	}
	return result
}

// read takes one fetch attribute or macro.
func (f *fetchItems) read(p *parser) {
	switch name := p.run(" ()[<"); strings.ToUpper(name) {
	case "UID":
		f.uid = true
	case "FLAGS":
		f.flags = true
	case "INTERNALDATE":
		f.date = true
	case "RFC822.SIZE":
		f.size = true
	case "MODSEQ":
		f.modseq = true
	case "X-GM-MSGID":
		f.gmailID = true
	case "X-GM-LABELS":
		f.labels = true
	case "FAST":
		f.flags, f.date, f.size = true, true, true
	case "RFC822":
		f.bodies = append(f.bodies, bodyItem{label: "RFC822"})
	case "RFC822.HEADER":
		f.bodies = append(f.bodies, bodyItem{label: "RFC822.HEADER", section: "HEADER", peek: true})
	case "RFC822.TEXT":
		f.bodies = append(f.bodies, bodyItem{label: "RFC822.TEXT", section: "TEXT"})
	case "BODY", "BODY.PEEK":
		f.body(p, len(name) > len("BODY"))
	default:
		p.fail("FETCH item %s is not supported", oneLine(name))
	}
}

func (f *fetchItems) body(p *parser, peek bool) {
	p.expect("[")
	b := bodyItem{peek: peek}
	if !strings.HasPrefix(p.rest, "]") {
		b.section = strings.ToUpper(p.run(" ]"))
	}
	b.label = "BODY[" + b.section
	switch b.section {
	case "", "HEADER", "TEXT":
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		p.space()
		p.list(func() { b.fields = append(b.fields, p.astring()) })
		b.label += " (" + strings.Join(b.fields, " ") + ")"
	default:
		p.fail("FETCH section %s is not supported", oneLine(b.section))
	}
	p.expect("]")
	b.label += "]"
	if p.take("<") {
		b.partial = true
		var err error
		b.offset, b.length, err = parsePartial(p.run(">"))
		if err != nil {
			p.fail("%w", err)
		}
		p.expect(">")
		b.label += fmt.Sprintf("<%d>", b.offset)
	}
	f.bodies = append(f.bodies, b)
}

func parsePartial(s string) (offset, length uint64, err error) {
	if n, err := fmt.Sscanf(s, "%d.%d", &offset, &length); n != 2 || err != nil || length == 0 {
		return 0, 0, errors.New("invalid partial range")
	}
	return offset, length, nil
}

// targets picks the messages and sets \Seen where a body is asked for without
// PEEK.
func (c *conn) targets(set []span, uid bool, items *fetchItems) ([]target, *status) {
	a := c.account
	a.mu.Lock()
	defer a.mu.Unlock()
	v := c.box
	indexes, valid := v.pick(set, uid)
	if !valid {
		return nil, bad("invalid sequence number")
	}
	sees := !v.readOnly && slices.ContainsFunc(items.bodies, func(b bodyItem) bool { return !b.peek })
	touched := false
	var labels map[uint64][]string
	if items.labels {
		labels = a.labels(v.box)
	}
	out := make([]target, 0, len(indexes))
	for _, i := range indexes {
		m := v.messages[i]
		if m.expunged && uid || m.modseq <= items.changedSince && items.changedSince > 0 {
			continue
		}
		if sees && !m.flags.Has(`\Seen`) {
			a.setFlags(v.box, m, slices.Concat(m.flags, []string{`\Seen`}))
			touched = true
		}
		out = append(out, target{seq: i + 1, m: m, flags: m.flags, modseq: m.modseq, labels: labels[m.gmail]})
	}
	if touched {
		a.wrote()
	}
	return out, nil
}

// labels are the other mailboxes that hold a message, by its X-GM-MSGID, in
// the order of their names: the label of the mailbox itself is not among them.
func (a *Account) labels(box *mailbox) map[uint64][]string {
	labels := map[uint64][]string{}
	for _, name := range slices.Sorted(maps.Keys(a.boxes)) {
		b := a.boxes[name]
		if b == box {
			continue
		}
		if b.use == mailproof.UseAll {
			continue // which is no label
		}
		label := quote(cmp.Or(systemLabel(b), encodeUTF7(name)))
		for _, m := range b.messages {
			if all := labels[m.gmail]; len(all) == 0 || all[len(all)-1] != label {
				labels[m.gmail] = append(all, label)
			}
		}
	}
	for _, m := range box.messages {
		for _, name := range a.hidden[m.gmail] {
			if label := quote(encodeUTF7(name)); !slices.Contains(labels[m.gmail], label) {
				labels[m.gmail] = append(labels[m.gmail], label)
			}
		}
	}
	return labels
}

// send writes one FETCH response. Bodies come last, after the UID. An error of
// the hook leaves the message out.
func (c *conn) send(t target, items *fetchItems) error {
	bodies := make([][]byte, len(items.bodies))
	for i, b := range items.bodies {
		raw := t.m.raw
		if hook := c.server.opts.OnFetch; hook != nil {
			var err error
			if raw, err = hook(c.account.user, c.box.box.name, t.m.uid, raw); errors.Is(err, ErrCut) {
				c.cutShort(t, b)
				return ErrCut
			} else if err != nil {
				return err
			}
		}
		bodies[i] = b.of(raw)
	}
	fmt.Fprintf(c.w, "* %d FETCH (", t.seq)
	_, _ = c.w.WriteString(strings.Join(c.attributes(t, items), " "))
	blank := items.uid || items.flags || items.date || items.size || items.modseq || items.gmailID || items.labels
	for i, b := range items.bodies {
		if blank || i > 0 {
			_ = c.w.WriteByte(' ')
		}
		fmt.Fprintf(c.w, "%s {%d}\r\n", b.label, len(bodies[i]))
		_, _ = c.w.Write(bodies[i])
	}
	_, _ = c.w.WriteString(")\r\n")
	c.sent(bodies)
	return nil
}

func (c *conn) attributes(t target, items *fetchItems) []string {
	var out []string
	if items.uid {
		out = append(out, fmt.Sprintf("UID %d", t.m.uid))
	}
	if items.flags {
		out = append(out, "FLAGS "+t.flags.String())
	}
	if items.date {
		out = append(out, "INTERNALDATE "+quote(t.m.date.In(c.server.opts.Location).Format(internalDate)))
	}
	if items.size {
		out = append(out, fmt.Sprintf("RFC822.SIZE %d", len(t.m.raw)))
	}
	if items.modseq {
		out = append(out, fmt.Sprintf("MODSEQ (%d)", t.modseq))
	}
	if items.gmailID {
		out = append(out, fmt.Sprintf("X-GM-MSGID %d", t.m.gmail))
	}
	if items.labels {
		out = append(out, "X-GM-LABELS ("+strings.Join(t.labels, " ")+")")
	}
	return out
}

// cutShort announces the whole literal, sends half of it and cuts the
// connection.
func (c *conn) cutShort(t target, b bodyItem) {
	body := b.of(t.m.raw)
	fmt.Fprintf(c.w, "* %d FETCH (UID %d %s {%d}\r\n", t.seq, t.m.uid, b.label, len(body))
	_, _ = c.w.Write(body[:len(body)/2])
	c.cut = true
}

func (c *conn) sent(bodies [][]byte) {
	if len(bodies) == 0 {
		return
	}
	c.account.mu.Lock()
	defer c.account.mu.Unlock()
	for _, b := range bodies {
		c.account.activity.Bodies++
		c.account.activity.BodyOctets += int64(len(b))
	}
}

// of cuts the item out of a message.
func (b *bodyItem) of(raw []byte) []byte {
	header, text := splitHeader(raw)
	switch b.section {
	case "HEADER":
		raw = header
	case "TEXT":
		raw = text
	case "HEADER.FIELDS", "HEADER.FIELDS.NOT":
		raw = selectFields(header, b.fields, b.section == "HEADER.FIELDS")
	}
	if b.partial {
		start := min(b.offset, uint64(len(raw)))
		raw = raw[start : start+min(b.length, uint64(len(raw))-start)]
	}
	return raw
}

// splitHeader parts a message behind its first blank line, which belongs to
// the header (RFC 9051 §6.4.5.1).
func splitHeader(raw []byte) (header, text []byte) {
	for rest := raw; ; {
		line, after, found := bytes.Cut(rest, []byte("\n"))
		if !found {
			return raw, nil
		}
		rest = after
		if len(bytes.TrimRight(line, "\r")) == 0 {
			return raw[:len(raw)-len(rest)], rest
		}
	}
}

// selectFields keeps the named header fields, or the others.
func selectFields(header []byte, names []string, keep bool) []byte {
	var out []byte
	take := false
	for len(header) > 0 {
		line := header
		if i := bytes.IndexByte(header, '\n'); i >= 0 {
			line = header[:i+1]
		}
		header = header[len(line):]
		if line[0] != ' ' && line[0] != '\t' {
			name, _, _ := bytes.Cut(line, []byte(":"))
			name = bytes.TrimRight(name, " \t")
			take = keep == slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, string(name)) })
			if len(bytes.TrimRight(line, "\r\n")) == 0 {
				take = false
			}
		}
		if take {
			out = append(out, line...)
		}
	}
	return append(out, "\r\n"...)
}
