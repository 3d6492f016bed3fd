package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/mailproof/mailproof"
)

// Hasher makes fingerprints, one after the other, and keeps its buffers for
// the next. It must not be used by two goroutines at a time.
type Hasher struct {
	t0   hash.Hash
	sum  mailproof.Hash // of t0: what Sum is given escapes
	t1   *digest
	top  stream
	head header
	dkim dkimWitness

	anomalies mailproof.Anomaly
	parts     int
	text      []byte // decoded octets of the text leaf
	utf8      []byte // its characters
	visible   []byte
	in        input
	types     typeCache

	messages []message // the message, and embedded ones that are open
	leaves   []mailproof.LeafDigest
	count    int
	seq      *digest
	extra    *digest
	hasExtra bool
	signed   *digest // of the sums of signedOne
	signing  bool
	// signedOne hashes the first part of the multipart/signed that is open; of
	// one within another's first part, the outer.
	signedOne *digest
	hasSigned bool
	stubs     int

	fields []mailproof.FieldDigest
	date   string
}

// message gathers what makes the hash of a message.
type message struct {
	id     string
	head   mailproof.Hash
	fields int
	set    []element
	size   int64 // canonical content of all leaves
	leaf   int   // place in Hasher.leaves; -1: none
}

// element is a leaf's hash in the set of a message.
type element struct{ whole, visible mailproof.Hash }

// New returns a Hasher.
func New() *Hasher {
	return &Hasher{
		types: make(typeCache), t0: sha256.New(), t1: newDigest(), seq: newDigest(), extra: newDigest(), signed: newDigest(),
	}
}

var pool = sync.Pool{New: func() any { return New() }}

// Compute reads body to its end and returns its fingerprint. The only error is
// the reader's own, as it is (io.ErrUnexpectedEOF for a literal that is cut
// short): then there is no fingerprint.
func Compute(body io.Reader) (mailproof.Fingerprint, error) {
	h := pool.Get().(*Hasher)
	defer pool.Put(h)
	return h.Compute(body)
}

// Octets reads body to its end and returns tier T0 and the number of octets,
// for reading a message again to see that it is still the same.
func Octets(body io.Reader) (mailproof.Hash, int64, error) {
	h := pool.Get().(*Hasher)
	defer pool.Put(h)
	h.t0.Reset()
	h.top.init(h, 0, 0)
	n, err := io.CopyBuffer(h.t0, struct{ io.Reader }{body}, h.top.space()) // in this buffer, whatever body is
	if err != nil {
		return mailproof.Hash{}, 0, err
	}
	h.t0.Sum(h.sum[:0])
	return h.sum, n, nil
}

// Compute is as the function of that name.
func (h *Hasher) Compute(body io.Reader) (mailproof.Fingerprint, error) {
	h.reset()
	for empty := 0; ; {
		p := h.top.space()
		n, err := body.Read(p)
		h.t0.Write(p[:n])
		h.top.commit(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return mailproof.Fingerprint{}, err
		}
		if empty++; n > 0 {
			empty = 0
		} else if empty == 100 {
			return mailproof.Fingerprint{}, io.ErrNoProgress
		}
	}
	h.top.close()
	return h.result(), nil
}

func (h *Hasher) reset() {
	h.t0.Reset()
	h.t1.reset()
	h.seq.reset()
	h.extra.reset()
	h.signed.reset()
	h.t1.write(h.in.start("T1"))
	h.anomalies, h.parts, h.count, h.stubs = 0, 0, 0, 0
	h.text, h.leaves, h.fields = h.text[:0], nil, nil
	h.hasExtra, h.signing, h.hasSigned, h.date = false, false, false, ""
	h.dkim.active = false
	h.messages = append(h.messages[:0], message{leaf: -1, set: h.set()})
	h.top.t1, h.top.dkim = h.t1, &h.dkim
	h.top.init(h, 0, 0)
}

// set returns the storage of the first message's set, for use again.
func (h *Hasher) set() []element {
	if cap(h.messages) == 0 {
		return nil
	}
	return h.messages[:1][0].set[:0]
}

func (h *Hasher) result() mailproof.Fingerprint {
	fp := mailproof.Fingerprint{Octets: h.top.octets}
	h.t0.Sum(h.sum[:0])
	fp.SetHash(mailproof.T0, h.sum)
	m := &h.messages[0]
	fp.Detail = mailproof.Detail{
		MessageID: strings.Clone(cut(m.id, 998)), Fields: h.fields, Leaves: h.leaves, LeafCount: h.count,
		DKIM: h.dkim.end(), Anomalies: h.anomalies, Stub: h.stub(m),
	}
	if h.anomalies&mailproof.AnomalyUnaccounted != 0 {
		return fp
	}
	h.tiers(&fp, m)
	h.besides(&fp.Detail)
	return fp
}

func (h *Hasher) tiers(fp *mailproof.Fingerprint, m *message) {
	fp.SetHash(mailproof.T1, h.t1.sum())
	body, visible := h.sets(m)
	fp.SetHash(mailproof.T2, h.in.start("T2").str(m.id).bytes(m.head[:]).bytes(body[:]).sum())
	fp.SetHash(mailproof.T2v, h.in.start("T2v").str(m.id).bytes(m.head[:]).bytes(visible[:]).sum())
	fp.SetHash(mailproof.T2c, h.in.start("T2c").bytes(m.head[:]).bytes(body[:]).sum())
	if m.id != "" {
		fp.SetHash(mailproof.T3, h.in.start("T3").str(m.id).sum())
		fp.SetHash(mailproof.T3b, h.in.start("T3b").str(localPart(m.id)).sum())
	}
	if m.size >= minBody {
		fp.SetHash(mailproof.T4, h.in.start("T4").bytes(body[:]).sum())
	}
}

// minBody is the least canonical content of which tier T4 is made: shorter
// bodies are alike without being the same message.
const minBody = 64

func (h *Hasher) besides(d *mailproof.Detail) {
	d.BodySeq = short(h.seq.sum())
	if h.hasExtra {
		d.Extra = short(h.extra.sum())
	}
	if h.hasSigned {
		d.SignedOctets = short(h.signed.sum())
	}
}

// sets returns BodySet, and the same with HTML as its visible text.
func (h *Hasher) sets(m *message) (whole, visible mailproof.Hash) {
	slices.SortFunc(m.set, func(a, b element) int { return bytes.Compare(a.whole[:], b.whole[:]) })
	h.in = h.in.start("bodyset").num(len(m.set))
	for i := range m.set {
		h.in = append(h.in, m.set[i].whole[:]...)
	}
	whole = h.in.sum()
	if !slices.ContainsFunc(m.set, func(e element) bool { return e.visible != e.whole }) {
		return whole, whole
	}
	slices.SortFunc(m.set, func(a, b element) int { return bytes.Compare(a.visible[:], b.visible[:]) })
	h.in = h.in.start("bodyset").num(len(m.set))
	for i := range m.set {
		h.in = append(h.in, m.set[i].visible[:]...)
	}
	return whole, h.in.sum()
}

// leafHash is the hash of a leaf in a set.
func (h *Hasher) leafHash(kind string, content mailproof.Hash) mailproof.Hash {
	h.in = h.in.start("leaf").str(kind).bytes(content[:])
	return h.in.sum()
}

func (h *Hasher) addLeaf(k kind, c canonical, d mailproof.LeafDigest) {
	if c.size == 0 {
		d.Content = mailproof.Short{}
	}
	h.note(d)
	if c.size == 0 {
		return
	}
	e := element{whole: h.leafHash(kindNames[k], c.content)}
	e.visible = e.whole
	if c.visible != (mailproof.Hash{}) {
		e.visible = h.leafHash("visible", c.visible)
	}
	h.add(e, c.size)
}

// addJunk takes the lines of a part's header that are no fields: they may be
// text that lacks its blank line.
func (h *Hasher) addJunk(sum mailproof.Hash) {
	e := element{whole: h.leafHash("junk", sum)}
	e.visible = e.whole
	h.add(e, 0)
}

// add puts a leaf into the set of the innermost open message.
func (h *Hasher) add(e element, size int64) {
	m := &h.messages[len(h.messages)-1]
	m.set = append(m.set, e)
	m.size += size
	h.seq.writeHash(e.whole)
}

// note lists a leaf in the detail and returns its place; -1 if the list is
// full.
func (h *Hasher) note(d mailproof.LeafDigest) int {
	h.count++
	if len(h.leaves) == mailproof.MaxLeaves {
		return -1
	}
	h.leaves = append(h.leaves, d)
	return len(h.leaves) - 1
}

func (h *Hasher) openMessage(mediaType string) {
	h.parts++
	at := h.note(mailproof.LeafDigest{Type: typeName(mediaType)})
	h.messages = append(h.messages, message{leaf: at})
}

// closeMessage makes the embedded message a leaf of the one around it.
func (h *Hasher) closeMessage() {
	last := len(h.messages) - 1
	m := h.messages[last]
	h.messages = h.messages[:last]
	whole, visible := h.sets(&m)
	if m.leaf >= 0 {
		h.leaves[m.leaf].Size = m.size
		h.leaves[m.leaf].Octets = short(m.head)
		h.leaves[m.leaf].Content = short(m.head)
	}
	if m.fields == 0 && len(m.set) == 0 {
		return
	}
	h.in = h.in.start("message").str(m.id).bytes(m.head[:]).bytes(whole[:])
	e := element{whole: h.in.sum()}
	h.in = h.in.start("message").str(m.id).bytes(m.head[:]).bytes(visible[:])
	e.visible = h.in.sum()
	h.add(e, m.size)
}

// endMessageHeader makes the head of the innermost open message; top says that
// it is the message itself.
func (h *Hasher) endMessageHeader(top bool) {
	m := &h.messages[len(h.messages)-1]
	c := readCore(&h.head)
	m.id, m.fields = c.id, h.head.fields
	m.head = c.hash(&h.in)
	if !top {
		return
	}
	h.anomalies |= c.anomalies
	h.fields = c.digests(&h.head)
	h.dkim.begin(h.head.all(fieldDKIM))
}

// stub reports whether the message looks like a server's notice: it has
// nothing but the text of one.
func (h *Hasher) stub(m *message) bool {
	if h.count > 2 || m.size > 2*maxStub {
		return false
	}
	for i := range h.fields {
		if f := &h.fields[i]; f.Name == "subject" && stubSubject(f.Value) {
			return true
		}
	}
	return h.stubs > 0
}
