package fingerprint

import (
	"sort"
	"strings"

	"github.com/mailproof/mailproof"
)

// core is what tier T2 takes of a message's header.
type core struct {
	id            string
	date, subject string
	from, to, cc  []mailbox
	specs         [3][]string // of from, to and cc
	over, junk    []byte      // digests; empty if there is none
	anomalies     mailproof.Anomaly
}

func readCore(h *header) core {
	var c core
	c.from, c.specs[0] = h.addresses(fieldFrom)
	c.to, c.specs[1] = h.addresses(fieldTo)
	c.cc, c.specs[2] = h.addresses(fieldCc)
	if v, ok := h.first(fieldDate); ok {
		c.date = canonicalDate(v)
		if strings.HasPrefix(c.date, "?") {
			c.anomalies |= mailproof.AnomalyBadDate
		}
	}
	if v, ok := h.first(fieldSubject); ok {
		c.subject = decodeText(v)
	}
	ids := h.all(fieldMessageID)
	for _, v := range ids {
		if c.id = messageID(v); c.id != "" {
			break
		}
	}
	if c.id == "" {
		c.anomalies |= mailproof.AnomalyNoMessageID
	}
	if len(ids) > 1 {
		c.anomalies |= mailproof.AnomalyManyMessageIDs
	}
	if h.fields == 0 {
		c.anomalies |= mailproof.AnomalyNoHeader
	}
	if h.hasOver {
		sum := h.over.sum()
		c.over = sum[:]
	}
	if h.hasJunk {
		sum := h.junk.sum()
		c.junk = sum[:]
	}
	return c
}

// hash is the HeadCore of the sheet.
func (c *core) hash(in *input) mailproof.Hash {
	*in = in.start("head").str(c.date).list(c.specs[0]).list(c.specs[1]).list(c.specs[2]).
		str(c.subject).bytes(c.over).bytes(c.junk)
	return in.sum()
}

// digests lists the fields in canonical form; those without a value are left
// out.
func (c *core) digests(h *header) []mailproof.FieldDigest {
	list := make([]mailproof.FieldDigest, 0, 8)
	add := func(name, value string) {
		if value != "" {
			list = append(list, mailproof.FieldDigest{
				Name: name, Value: cut(value, mailproof.MaxFieldValue), Hash: mailproof.FieldHash(name, value),
			})
		}
	}
	joined := func(f field) string {
		_, specs := h.addresses(f)
		return strings.Join(specs, ", ")
	}
	ids := func(f field) string {
		values := h.all(f)
		if len(values) == 0 {
			return ""
		}
		return strings.Join(messageIDs(strings.Join(values, " ")), " ")
	}
	add("date", c.date)
	for i, name := range []string{"from", "to", "cc"} {
		add(name, strings.Join(c.specs[i], ", "))
	}
	add("subject", c.subject)
	add("sender", joined(fieldSender))
	add("reply-to", joined(fieldReplyTo))
	add("bcc", joined(fieldBcc))
	add("in-reply-to", ids(fieldInReplyTo))
	add("references", ids(fieldReferences))
	add("names", names(c.from, c.to, c.cc))
	if len(c.over) > 0 || len(c.junk) > 0 {
		add("unparsed", pad(c.over).String()+pad(c.junk).String())
	}
	ownValues(list)
	return list
}

// ownValues copies the values, all into one string: what they were cut from may
// be a header of a megabyte.
func ownValues(list []mailproof.FieldDigest) {
	var all strings.Builder
	n := 0
	for i := range list {
		n += len(list[i].Value)
	}
	all.Grow(n)
	for i := range list {
		all.WriteString(list[i].Value)
	}
	rest := all.String()
	for i := range list {
		n := len(list[i].Value)
		list[i].Value, rest = rest[:n], rest[n:]
	}
}

func pad(b []byte) (h mailproof.Hash) {
	copy(h[:], b)
	return h
}

// names lists the display names with their addresses, sorted.
func names(lists ...[]mailbox) string {
	var out []string
	for _, l := range lists {
		for _, m := range l {
			if m.name != "" {
				out = append(out, m.name+" <"+m.addr+">")
			}
		}
	}
	sort.Strings(out)
	return strings.Join(out, ", ")
}
