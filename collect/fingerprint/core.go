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
	over, junk    []byte // digests; empty if there is none
	anomalies     mailproof.Anomaly
}

func readCore(h *header) core {
	c := core{from: addresses(h.all(fieldFrom)), to: addresses(h.all(fieldTo)), cc: addresses(h.all(fieldCc))}
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
	*in = in.start("head").str(c.date).list(addrSpecs(c.from)).list(addrSpecs(c.to)).list(addrSpecs(c.cc)).
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
	joined := func(values []string) string {
		return strings.Join(addrSpecs(addresses(values)), ", ")
	}
	add("date", c.date)
	add("from", strings.Join(addrSpecs(c.from), ", "))
	add("to", strings.Join(addrSpecs(c.to), ", "))
	add("cc", strings.Join(addrSpecs(c.cc), ", "))
	add("subject", c.subject)
	add("sender", joined(h.all(fieldSender)))
	add("reply-to", joined(h.all(fieldReplyTo)))
	add("bcc", joined(h.all(fieldBcc)))
	add("in-reply-to", strings.Join(messageIDs(strings.Join(h.all(fieldInReplyTo), " ")), " "))
	add("references", strings.Join(messageIDs(strings.Join(h.all(fieldReferences), " ")), " "))
	add("names", names(c.from, c.to, c.cc))
	if len(c.over) > 0 || len(c.junk) > 0 {
		add("unparsed", pad(c.over).String()+pad(c.junk).String())
	}
	return list
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
