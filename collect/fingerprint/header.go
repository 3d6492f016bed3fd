package fingerprint

import (
	"bytes"
	"strings"

	"github.com/mailproof/mailproof"
)

// Bounds of a header. They keep memory constant; nothing is lost beyond them,
// as what does not fit is hashed as it stands.
const (
	maxFieldName = 998     // octets of a field name
	maxKept      = 1 << 20 // octets of the fields that are kept, in a message's header
	maxKeptPart  = 64 << 10
	entryCost    = 32 // octets that keeping a field costs beside its value
)

// field is one of the header fields that are looked at.
type field uint8

const (
	fieldNone field = iota
	fieldDate
	fieldFrom
	fieldTo
	fieldCc
	fieldSubject
	fieldSender
	fieldReplyTo
	fieldBcc
	fieldInReplyTo
	fieldReferences
	fieldMessageID
	fieldContentType
	fieldTransferEncoding
	fieldDisposition
	fieldDKIM
)

var fieldsByName = map[string]field{
	"date": fieldDate, "from": fieldFrom, "to": fieldTo, "cc": fieldCc, "subject": fieldSubject,
	"sender": fieldSender, "reply-to": fieldReplyTo, "bcc": fieldBcc, "in-reply-to": fieldInReplyTo,
	"references": fieldReferences, "message-id": fieldMessageID, "content-type": fieldContentType,
	"content-transfer-encoding": fieldTransferEncoding, "content-disposition": fieldDisposition,
	"dkim-signature": fieldDKIM,
}

// forPart lists the fields that matter in the header of a body part.
func (f field) forPart() bool {
	return f == fieldContentType || f == fieldTransferEncoding || f == fieldDisposition
}

// bookkeeping lists the fields by which stores keep their own state in a
// message: they come and go with the store and are no part of tier T1.
var bookkeeping = map[string]bool{
	"status": true, "x-status": true, "x-keywords": true, "x-uid": true, "x-uidl": true, "x-imap": true, "x-imapbase": true,
	"content-length": true, "lines": true, "x-tuid": true, "x-offlineimap": true, "x-gmail-labels": true,
	"x-delivery-id": true, "x-message-flag": true,
}

func isBookkeeping(name []byte) bool {
	return bookkeeping[string(name)] ||
		len(name) > 1 && name[0] == 'x' && name[1] == '-' &&
			(bytes.HasPrefix(name, []byte("x-mozilla-")) || bytes.HasPrefix(name, []byte("x-gm-")))
}

// header reads the fields of one header: of the message, of an embedded one or
// of a part. One is enough for all of them, as no two are open at a time.
type header struct {
	m    *Hasher
	t1   *digest // canonical fields go here; nil but for the message's own
	part bool    // the header of a body part

	fields int // fields met
	bad    bool
	name   []byte
	cur    field
	state  lineState
	spill  bool // the current field goes to over
	skip   bool // bookkeeping: not in t1
	space  bool // white space is due before the next octet
	empty  bool // the value has no octet yet
	start  int  // of the current value in arena

	arena   []byte
	entries []entry
	kept    int
	values  string   // the arena, once the header has ended
	found   []string // what all returned last
	parser  addressParser
	boxes   []mailbox
	specs   []string

	over, junk       *digest // fields beyond the bound; lines that are no field
	hasOver, hasJunk bool
}

type entry struct {
	field      field
	start, end int
}

// lineState says what the line that is being read is.
type lineState uint8

const (
	lineNone     lineState = iota // no field yet
	lineField                     // a field, or its continuation
	lineJunk                      // not a field
	lineEnvelope                  // "From " before the first field
)

// verdict of header.line on a line.
type headerStep uint8

const (
	headerMore headerStep = iota // the line is part of the header
	headerEnd                    // it is the blank line that ends it
	headerNone                   // it is the first line of the body: there is no header
)

func (h *header) begin(m *Hasher, t1 *digest, part bool) {
	h.m, h.t1, h.part = m, t1, part
	h.fields, h.bad, h.state, h.cur = 0, false, lineNone, fieldNone
	h.arena, h.entries, h.kept = h.arena[:0], h.entries[:0], 0
	h.hasOver, h.hasJunk = false, false
	h.boxes, h.specs = emptied(h.boxes), emptied(h.specs)
}

// emptied keeps a list for the next header unless it grew beyond reason.
func emptied[T any](list []T) []T {
	if cap(list) > 1024 {
		return nil
	}
	return list[:0]
}

// line takes a line or a part of one, without its line end.
func (h *header) line(b []byte, first, last bool) headerStep {
	if !first {
		h.value(b)
		return headerMore
	}
	if last && len(b) == 0 {
		h.endLine()
		return headerEnd
	}
	if (b[0] == ' ' || b[0] == '\t') && (h.state == lineField || h.state == lineJunk) {
		h.value(b)
		return headerMore
	}
	h.endLine()
	if colon, nameLen := fieldName(b); colon >= 0 {
		h.beginField(b[:nameLen])
		h.value(b[colon+1:])
		return headerMore
	}
	if h.fields == 0 && !h.part && isEnvelopeFrom(b) {
		h.state = lineEnvelope
		h.m.anomalies |= mailproof.AnomalyEnvelopeFrom
		return headerMore
	}
	if h.fields == 0 {
		return headerNone
	}
	h.m.anomalies |= mailproof.AnomalyBadHeader
	h.state, h.space, h.empty = lineJunk, false, true
	if !h.hasJunk {
		h.hasJunk = true
		h.junk = resetDigest(h.junk)
	}
	if h.t1 != nil {
		h.t1.writeByte(':')
	}
	h.value(b)
	return headerMore
}

// fieldName returns the place of the colon that ends the name of a header
// field and the length of the name; -1 if the line is no field (RFC 5322
// §2.2, with the white space before the colon of §4.5).
func fieldName(b []byte) (colon, length int) {
	i := 0
	for i < len(b) && i <= maxFieldName && b[i] > ' ' && b[i] < 0x7f && b[i] != ':' {
		i++
	}
	length = i
	for i < len(b) && i <= maxFieldName && (b[i] == ' ' || b[i] == '\t') {
		i++
	}
	if length == 0 || i >= len(b) || i > maxFieldName || b[i] != ':' {
		return -1, 0
	}
	return i, length
}

// isEnvelopeFrom reports whether the line, which is no field, is the separator
// of an mbox file.
func isEnvelopeFrom(b []byte) bool {
	return bytes.HasPrefix(b, []byte("From ")) || bytes.HasPrefix(b, []byte(">From "))
}

func (h *header) beginField(name []byte) {
	h.fields++
	h.name = h.name[:0]
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		h.name = append(h.name, c)
	}
	h.state, h.space, h.empty = lineField, false, true
	h.cur = fieldsByName[string(h.name)]
	if h.part && !h.cur.forPart() {
		h.cur = fieldNone
	}
	h.start, h.spill = len(h.arena), false
	if h.cur != fieldNone {
		h.keep(entryCost)
	}
	h.skip = h.t1 == nil || h.cur == fieldNone && isBookkeeping(h.name)
	if !h.skip {
		h.t1.write(h.name)
		h.t1.writeByte(':')
	}
}

// keep charges n octets to the bound. Beyond it the current field and every
// later one is hashed as it stands.
func (h *header) keep(n int) {
	h.kept += n
	limit := maxKept
	if h.part {
		limit = maxKeptPart
	}
	if h.kept <= limit || h.spill {
		return
	}
	h.spill = true
	h.m.anomalies |= mailproof.AnomalyHeaderLimit
	if !h.hasOver {
		h.hasOver = true
		h.over = resetDigest(h.over)
	}
	h.over.write(h.name)
	h.over.writeByte(':')
	h.over.write(h.arena[h.start:])
	h.arena = h.arena[:h.start]
}

// value takes a part of the value of the current line: white space becomes one
// space, at both ends none (RFC 6376 §3.4.2, "relaxed").
func (h *header) value(b []byte) {
	if h.state == lineEnvelope || h.state == lineNone {
		return
	}
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') { // of a fold, often
		h.space = true
		b = b[1:]
	}
	if isTidy(b) {
		h.tidyValue(b)
		return
	}
	for len(b) > 0 {
		n := 0
		for n < len(b) && b[n] != ' ' && b[n] != '\t' {
			n++
		}
		if n > 0 {
			if h.space && !h.empty {
				h.put(oneSpace)
			}
			h.put(b[:n])
			h.space, h.empty = false, false
		}
		for n < len(b) && (b[n] == ' ' || b[n] == '\t') {
			h.space = true
			n++
		}
		b = b[n:]
	}
}

// tidyValue is value for what is tidy, as nearly all lines are, and does not
// begin with white space.
func (h *header) tidyValue(b []byte) {
	if len(b) == 0 {
		return
	}
	if h.space && !h.empty {
		h.put(oneSpace)
	}
	h.space, h.empty = b[len(b)-1] == ' ', false
	if h.space {
		b = b[:len(b)-1]
	}
	h.put(b)
}

var oneSpace = []byte{' '}

func (h *header) put(b []byte) {
	if !isASCII(b) {
		h.m.anomalies |= mailproof.AnomalyEightBitHeader
	}
	if h.t1 != nil && !(h.state == lineField && h.skip) {
		h.t1.write(b)
	}
	switch {
	case h.state == lineJunk:
		h.junk.write(b)
	case h.cur == fieldNone:
	case h.spill:
		h.over.write(b)
	default:
		h.keep(len(b))
		if h.spill {
			h.over.write(b)
		} else {
			h.arena = append(h.arena, b...)
		}
	}
}

// endLine ends the current field with all its continuations.
func (h *header) endLine() {
	switch h.state {
	case lineField:
		if !h.skip {
			h.t1.writeByte('\n')
		}
		if h.cur != fieldNone {
			if h.spill {
				h.over.writeByte('\n')
			} else {
				h.entries = append(h.entries, entry{h.cur, h.start, len(h.arena)})
			}
		}
	case lineJunk:
		if h.t1 != nil {
			h.t1.writeByte('\n')
		}
		h.junk.writeByte('\n')
	}
	h.state, h.cur = lineNone, fieldNone
}

// end ends the header. Its values are parts of one string, and whoever keeps one
// longer than until the next header begins must copy it.
func (h *header) end() {
	h.endLine()
	h.values = string(h.arena)
}

// first returns the value of the first field of that kind.
func (h *header) first(f field) (string, bool) {
	for _, e := range h.entries {
		if e.field == f {
			return h.values[e.start:e.end], true
		}
	}
	return "", false
}

// all returns the values of every field of that kind. They are valid until it is
// called again.
func (h *header) all(f field) []string {
	h.found = h.found[:0]
	for _, e := range h.entries {
		if e.field == f {
			h.found = append(h.found, h.values[e.start:e.end])
		}
	}
	return h.found
}

func resetDigest(d *digest) *digest {
	if d == nil {
		return newDigest()
	}
	d.reset()
	return d
}

// isSpace is the white space of canonical header values: of RFC 5322, and what
// bad software puts there instead.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// collapse makes every run of white space one space and trims both ends.
func collapse(s string) string {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	for i := 0; i < len(s); i++ {
		if isSpace(s[i]) && (s[i] != ' ' || isSpace(s[i+1])) {
			return strings.Join(strings.FieldsFunc(s, isSpaceRune), " ")
		}
	}
	return s
}
