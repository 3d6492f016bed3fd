package mailproof

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
)

// FingerprintAlgorithm names the rules by which every hash of a [Fingerprint]
// is made. It is part of each hash input, so that hashes of two versions never
// meet by accident. The package comment of collect/fingerprint is its norm.
const FingerprintAlgorithm = "mpfp-1"

// Hash is a SHA-256 value. The zero Hash means "not computed".
type Hash [32]byte

// IsZero reports whether the hash was never computed.
func (h Hash) IsZero() bool { return h == Hash{} }

// String returns the hash in lower-case hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Tier is a level of likeness, the finest first. A verdict always names the
// tier it rests on.
type Tier uint8

// The tiers. TierNone is the zero value: no tier was reached.
const (
	TierNone Tier = iota
	T0            // the octets of the literal
	T1            // the octets but for line ends, folding and the store's own bookkeeping headers
	T2            // meaning: Message-ID, core headers and every decoded part
	T2v           // as T2 with HTML reduced to its visible text
	T2c           // as T2 without the Message-ID
	T3            // the Message-ID alone: identity, never proof of content
	T3b           // the local part of the Message-ID alone
	T4            // decoded parts alone: a suggestion
	tierEnd
)

// NumTiers is the number of tiers a fingerprint holds a hash for.
const NumTiers = int(tierEnd) - 1

var tierNames = map[Tier]string{TierNone: "none", T0: "T0", T1: "T1", T2: "T2", T2v: "T2v", T2c: "T2c", T3: "T3", T3b: "T3b", T4: "T4"}

func (t Tier) String() string { return tierNames[t] }

// MarshalText implements [encoding.TextMarshaler].
func (t Tier) MarshalText() ([]byte, error) { return marshalName(tierNames, "tier", t) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (t *Tier) UnmarshalText(text []byte) (err error) {
	*t, err = parseName(tierNames, "tier", string(text))
	return err
}

// Tiers lists every tier with a hash, finest first.
func Tiers() []Tier { return []Tier{T0, T1, T2, T2v, T2c, T3, T3b, T4} }

// Fingerprint is what mailproof remembers of one message's octets. It is a
// pure function of them.
type Fingerprint struct {
	// Hashes holds one hash per tier; read it with Hash. A zero hash means
	// that the tier does not exist for this message (no Message-ID: no T3) or
	// was not computed.
	Hashes [NumTiers]Hash
	// Octets is the number of octets that were hashed: the length of the
	// literal.
	Octets int64
	// Detail names what the hashes cannot: which header, which part.
	Detail Detail
}

// Hash returns the hash of one tier.
func (f *Fingerprint) Hash(t Tier) Hash {
	if t == TierNone || t >= tierEnd {
		return Hash{}
	}
	return f.Hashes[t-1]
}

// SetHash sets the hash of one tier.
func (f *Fingerprint) SetHash(t Tier, h Hash) { f.Hashes[t-1] = h }

// Detail is the small description beside the hashes: enough to say which
// header or part differs between two messages, and from what size to what
// size, without having the body again. It is bounded whatever the message.
type Detail struct {
	// MessageID is the Message-ID with its angle brackets, as written, cut at
	// 998 octets; empty where the message has none.
	MessageID string
	// Fields are the header fields that tier T2 and the notes look at, in
	// canonical order.
	Fields []FieldDigest
	// Leaves are the non-container parts in order, at most MaxLeaves of them.
	Leaves []LeafDigest
	// LeafCount is the number of leaves, including those beyond MaxLeaves.
	LeafCount int
	// BodySeq hashes the leaves' hashes in order: the order of parts.
	BodySeq Short
	// Extra hashes the non-blank preambles and epilogues; zero if none.
	Extra Short
	// SignedOctets hashes the exact octets of the first part of every
	// multipart/signed; zero if there is none.
	SignedOctets Short
	// DKIM says whether a body hash of a DKIM-Signature was recomputed, and
	// whether it agreed (RFC 6376 §3.7).
	DKIM DKIMWitness
	// Anomalies are the oddities that the splitter met.
	Anomalies Anomaly
	// Stub says that the text looks like a notice that a server puts in the
	// place of a message which it cannot produce: such a message proves
	// nothing.
	Stub bool
}

// MaxLeaves bounds Detail.Leaves, and with it the size of a ledger row.
const MaxLeaves = 64

// Short is the first half of a SHA-256 value: 128 bits, for comparing details
// of two messages that are already paired.
type Short [16]byte

// IsZero reports whether the value was never computed.
func (s Short) IsZero() bool { return s == Short{} }

// FieldDigest is one header field in canonical form.
type FieldDigest struct {
	Name  string // lower case: "date", "from", "subject"
	Value string // the canonical value for people to read, cut at MaxFieldValue octets on a rune boundary
	Hash  Short  // of the whole canonical value, as FieldHash makes it
}

// FieldHash is the hash of a whole canonical field value. A FieldDigest whose
// value was not cut is stored without its hash, as it can be made again.
func FieldHash(name, value string) (s Short) {
	b := make([]byte, 0, 256)
	for _, part := range []string{FingerprintAlgorithm, "field", name, value} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(part)))
		b = append(b, part...)
	}
	sum := sha256.Sum256(b)
	copy(s[:], sum[:])
	return s
}

// MaxFieldValue bounds FieldDigest.Value.
const MaxFieldValue = 160

// LeafDigest is one part that is no container.
type LeafDigest struct {
	Type     string // media type in lower case, "text/plain"; cut at 64 octets
	FileName string // cut at 96 octets on a rune boundary
	Size     int64  // decoded octets
	Octets   Short  // exact decoded octets
	Content  Short  // canonical content, as tier T2 uses it; equal to Octets where nothing had to be normalised
	Visible  Short  // of text/html: the visible text; else zero

	// What follows explains a difference and never proves that there is none:
	// CRC-32C checksums and a count, of decoded octets. NonASCII, Squeezed and
	// Letters are kept of text only.

	NonASCII int64  // characters outside ASCII
	Squeezed uint32 // without SP, HTAB, CR and LF: equal where only line breaks or white space were changed
	Letters  uint32 // A-Z, a-z and 0-9 alone: equal where only other characters were changed
	Prefixes string // four octets (big-endian) for the first 16, 64, 256, … octets, as far as Size goes
}

// CommonPrefix returns the greatest length at which both parts have a prefix
// checksum and all checksums up to there agree; 0 where there is none.
func (l *LeafDigest) CommonPrefix(m *LeafDigest) int64 {
	length := int64(0)
	for i, size := 0, int64(FirstPrefix); i+4 <= min(len(l.Prefixes), len(m.Prefixes)); i, size = i+4, size*4 {
		if l.Prefixes[i:i+4] != m.Prefixes[i:i+4] {
			break
		}
		length = size
	}
	return length
}

// MayTruncate reports whether l looks like the beginning of m: it is shorter
// and every prefix checksum that it has agrees.
func (l *LeafDigest) MayTruncate(m *LeafDigest) bool {
	return l.Size < m.Size && len(l.Prefixes) <= len(m.Prefixes) && m.Prefixes[:len(l.Prefixes)] == l.Prefixes
}

// FirstPrefix is the first length in LeafDigest.Prefixes; each further one is
// four times the one before.
const FirstPrefix = 16

// DKIMWitness is the outcome of recomputing the body hash of DKIM signatures.
type DKIMWitness uint8

// The outcomes. A good one corroborates that the body is as it was signed; it
// is no proof, as the signature itself is not verified.
const (
	DKIMAbsent   DKIMWitness = iota // no signature that can be recomputed
	DKIMBodyGood                    // at least one body hash agrees
	DKIMBodyBad                     // none agrees
)

// Anomaly is a set of oddities, one bit each.
type Anomaly uint32

// The anomalies. None of them is an error: every message has a fingerprint.
const (
	AnomalyBareLF          Anomaly = 1 << iota // a line ends in LF alone
	AnomalyBareCR                              // a CR stands without LF
	AnomalyNUL                                 // a NUL octet
	AnomalyNoHeader                            // no header field at all
	AnomalyBadHeader                           // a header line without a colon
	AnomalyEightBitHeader                      // octets above 127 in the header
	AnomalyEnvelopeFrom                        // leading "From " lines
	AnomalyNoMessageID                         // no Message-ID
	AnomalyManyMessageIDs                      // more than one Message-ID
	AnomalyBadDate                             // Date cannot be read
	AnomalyBadEncoding                         // garbage in base64 or quoted-printable
	AnomalyBadCharset                          // text does not decode in its declared charset
	AnomalyMissingBoundary                     // multipart without boundary, or whose boundary never occurs
	AnomalyUnterminated                        // multipart without its closing delimiter
	AnomalyDepthLimit                          // nested deeper than the limit: taken as an opaque leaf
	AnomalyPartLimit                           // more parts than the limit
	AnomalyTextLimit                           // a text part beyond the limit: hashed by its octets
	AnomalyHeaderLimit                         // a header beyond the limit
	AnomalyUnaccounted                         // the splitter did not account for every octet: no tier below T0 was computed
	anomalyEnd
)

var anomalyNames = []string{
	"bare-lf", "bare-cr", "nul", "no-header", "bad-header", "eight-bit-header", "envelope-from", "no-message-id",
	"many-message-ids", "bad-date", "bad-encoding", "bad-charset", "missing-boundary", "unterminated", "depth-limit",
	"part-limit", "text-limit", "header-limit", "unaccounted",
}

// Names lists the anomalies of the set by name.
func (a Anomaly) Names() []string {
	var names []string
	for i, n := range anomalyNames {
		if a&(1<<i) != 0 {
			names = append(names, n)
		}
	}
	return names
}

// Digest returns the field with the given lower-case name.
func (d *Detail) Digest(name string) (FieldDigest, bool) {
	for _, f := range d.Fields {
		if f.Name == name {
			return f, true
		}
	}
	return FieldDigest{}, false
}

const detailVersion = 1

// AppendBinary appends the compact form that the ledger stores.
func (d *Detail) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, detailVersion)
	b = appendString(b, d.MessageID)
	b = binary.AppendUvarint(b, uint64(len(d.Fields)))
	for _, f := range d.Fields {
		b = appendField(b, f)
	}
	b = binary.AppendUvarint(b, uint64(len(d.Leaves)))
	for _, l := range d.Leaves {
		b = appendLeaf(b, l)
	}
	b = binary.AppendUvarint(b, uint64(d.LeafCount))
	b = append(b, d.BodySeq[:]...)
	b = appendShort(b, d.Extra)
	b = appendShort(b, d.SignedOctets)
	b = append(b, byte(d.DKIM))
	b = binary.AppendUvarint(b, uint64(d.Anomalies))
	if d.Stub {
		return append(b, 1), nil
	}
	return append(b, 0), nil
}

// MarshalBinary implements [encoding.BinaryMarshaler].
func (d *Detail) MarshalBinary() ([]byte, error) { return d.AppendBinary(nil) }

// UnmarshalBinary reads what AppendBinary wrote. It refuses anything else,
// trailing octets included.
func (d *Detail) UnmarshalBinary(b []byte) error {
	r, err := openDetail(b)
	if err != nil {
		return err
	}
	*d = Detail{MessageID: r.string()}
	for n := r.count(minField); n > 0 && r.err == nil; n-- {
		d.Fields = append(d.Fields, r.field())
	}
	for n := r.count(minLeaf); n > 0 && r.err == nil; n-- {
		d.Leaves = append(d.Leaves, r.leaf())
	}
	d.LeafCount = int(r.uvarint())
	d.BodySeq, d.Extra, d.SignedOctets = r.short(), r.optionalShort(), r.optionalShort()
	d.DKIM, d.Anomalies, d.Stub = DKIMWitness(r.byte()), Anomaly(r.uvarint()), r.byte() == 1
	return r.end()
}

// UnmarshalCaption reads what a list shows of a message: its Message-ID and its
// subject, which becomes the only field, without its hash. Everything else of d
// is zero. It costs a tenth of UnmarshalBinary and refuses the same octets. The
// list of fields is used again, so it is valid until the next call.
func (d *Detail) UnmarshalCaption(b []byte) error {
	r, err := openDetail(b)
	if err != nil {
		return err
	}
	*d = Detail{MessageID: r.string(), Fields: d.Fields[:0]}
	for n := r.count(minField); n > 0 && r.err == nil; n-- {
		if value, subject := r.skipField(); subject && len(d.Fields) == 0 {
			d.Fields = append(d.Fields, FieldDigest{Name: fieldSubject, Value: string(value)})
		}
	}
	for n := r.count(minLeaf); n > 0 && r.err == nil; n-- {
		r.skipLeaf()
	}
	r.uvarint()
	r.short()
	r.optionalShort()
	r.optionalShort()
	r.byte()
	r.uvarint()
	r.byte()
	return r.end()
}

// What a field and a leaf take at least, in octets.
const (
	minField = 3
	minLeaf  = 21
)

const fieldSubject = "subject"

// openDetail reads the version before a detail.
func openDetail(b []byte) (reader, error) {
	r := reader{b: b}
	if v := r.byte(); v != detailVersion && r.err == nil {
		return r, fmt.Errorf("mailproof: message detail has version %d, this program reads %d", v, detailVersion)
	}
	return r, nil
}

// end says what was wrong with a detail, octets behind it included.
func (r *reader) end() error {
	if r.err == nil && len(r.b) != 0 {
		r.err = errors.New("octets after the end")
	}
	if r.err != nil {
		return fmt.Errorf("mailproof: message detail: %w", r.err)
	}
	return nil
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// appendShort writes a value that is often absent: one octet then.
func appendShort(b []byte, s Short) []byte {
	if s.IsZero() {
		return append(b, 0)
	}
	return append(append(b, 1), s[:]...)
}

// fieldCodes are the names that nearly every message has: one octet each.
// Codes are written to ledgers: append only.
var fieldCodes = [...]string{"", "date", "from", "to", "cc", "subject", "sender", "reply-to", "bcc", "in-reply-to", "references", "names"}

// appendField writes one field: a code for the name (0 and the name where it
// has none), with the top bit set where the hash follows because the value was
// cut, and the value.
func appendField(b []byte, f FieldDigest) []byte {
	code := byte(0)
	for i, n := range fieldCodes {
		if i > 0 && n == f.Name {
			code = byte(i)
		}
	}
	derived := FieldHash(f.Name, f.Value) == f.Hash
	if !derived {
		code |= fieldHasHash
	}
	b = append(b, code)
	if code&^fieldHasHash == 0 {
		b = appendString(b, f.Name)
	}
	b = appendString(b, f.Value)
	if !derived {
		b = append(b, f.Hash[:]...)
	}
	return b
}

const fieldHasHash = 0x80

// The bits that say what follows in a leaf.
const (
	leafHasContent = 1 << iota // Content differs from Octets
	leafHasVisible
	leafHasMarks // NonASCII, Squeezed and Letters
	leafBitsEnd
)

func appendLeaf(b []byte, l LeafDigest) []byte {
	var has byte
	if l.Content != l.Octets {
		has |= leafHasContent
	}
	if !l.Visible.IsZero() {
		has |= leafHasVisible
	}
	if l.NonASCII != 0 || l.Squeezed != 0 || l.Letters != 0 {
		has |= leafHasMarks
	}
	b = append(b, has)
	b = appendString(b, l.Type)
	b = appendString(b, l.FileName)
	b = binary.AppendUvarint(b, uint64(l.Size))
	b = append(b, l.Octets[:]...)
	if has&leafHasContent != 0 {
		b = append(b, l.Content[:]...)
	}
	if has&leafHasVisible != 0 {
		b = append(b, l.Visible[:]...)
	}
	if has&leafHasMarks != 0 {
		b = binary.AppendUvarint(b, uint64(l.NonASCII))
		b = binary.BigEndian.AppendUint32(b, l.Squeezed)
		b = binary.BigEndian.AppendUint32(b, l.Letters)
	}
	return appendString(b, l.Prefixes)
}

// reader takes values off a byte slice; after the first error everything it
// returns is zero.
type reader struct {
	b   []byte
	err error
}

var errShort = errors.New("cut short")

func (r *reader) take(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.b)) {
		if r.err == nil {
			r.err = errShort
		}
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

func (r *reader) byte() byte {
	if p := r.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.err = errShort
		return 0
	}
	r.b = r.b[n:]
	return v
}

// count reads a number of elements that each take at least size octets, so
// that a forged count cannot make us allocate.
func (r *reader) count(size int) uint64 {
	n := r.uvarint()
	if r.err == nil && n > uint64(len(r.b)/size) {
		r.err = errShort
		return 0
	}
	return n
}

func (r *reader) string() string { return string(r.take(r.uvarint())) }

func (r *reader) short() (s Short) {
	copy(s[:], r.take(uint64(len(s))))
	return s
}

func (r *reader) uint32() uint32 {
	if p := r.take(4); p != nil {
		return binary.BigEndian.Uint32(p)
	}
	return 0
}

func (r *reader) field() (f FieldDigest) {
	code, name := r.fieldName()
	if f.Name = fieldCodes[code&^fieldHasHash]; f.Name == "" {
		f.Name = string(name)
	}
	f.Value = r.string()
	if code&fieldHasHash != 0 {
		f.Hash = r.short()
	} else {
		f.Hash = FieldHash(f.Name, f.Value)
	}
	return f
}

// fieldName reads the code of a field's name, and the name where it has none.
func (r *reader) fieldName() (code byte, name []byte) {
	code = r.byte()
	switch n := code &^ fieldHasHash; {
	case int(n) >= len(fieldCodes):
		r.fail(fmt.Errorf("unknown field %d", n))
		return 0, nil
	case n == 0:
		name = r.take(r.uvarint())
	}
	return code, name
}

// skipField goes past a field and returns its value, and whether it is the
// subject.
func (r *reader) skipField() (value []byte, subject bool) {
	code, name := r.fieldName()
	value = r.take(r.uvarint())
	if code&fieldHasHash != 0 {
		r.short()
	}
	return value, fieldCodes[code&^fieldHasHash] == fieldSubject || string(name) == fieldSubject
}

// skipLeaf goes past a leaf.
func (r *reader) skipLeaf() {
	has := r.byte()
	if has >= leafBitsEnd {
		r.fail(fmt.Errorf("unknown part bits %#x", has))
	}
	r.take(r.uvarint())
	r.take(r.uvarint())
	r.uvarint()
	r.short()
	for _, bit := range [...]byte{leafHasContent, leafHasVisible} {
		if has&bit != 0 {
			r.short()
		}
	}
	if has&leafHasMarks != 0 {
		r.uvarint()
		r.uint32()
		r.uint32()
	}
	r.take(r.uvarint())
}

func (r *reader) leaf() (l LeafDigest) {
	has := r.byte()
	if has >= leafBitsEnd {
		r.fail(fmt.Errorf("unknown part bits %#x", has))
	}
	l.Type, l.FileName, l.Size, l.Octets = r.string(), r.string(), int64(r.uvarint()), r.short()
	l.Content = l.Octets
	if has&leafHasContent != 0 {
		l.Content = r.short()
	}
	if has&leafHasVisible != 0 {
		l.Visible = r.short()
	}
	if has&leafHasMarks != 0 {
		l.NonASCII, l.Squeezed, l.Letters = int64(r.uvarint()), r.uint32(), r.uint32()
	}
	l.Prefixes = r.string()
	return l
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

func (r *reader) optionalShort() Short {
	if r.byte() == 0 {
		return Short{}
	}
	return r.short()
}
