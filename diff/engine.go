package diff

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"

	"github.com/mailproof/mailproof"
)

// engine pairs two inventories. What comes of it is told to a sink: the one of
// Compare makes verdicts, the one of Plan makes steps, and both see the same
// pairs.
type engine struct {
	ctx      context.Context
	src, dst *side
	target   []int // source mailbox → destination mailbox; -1: there is none
	folders  FolderMap
	warnings []Warning
	aliases  map[string]string
	sink     sink
	// reading says, once the rounds are over, what of each side was not read.
	srcReading, dstReading reading
	labelRules             *Rules         // nil: labels are of no interest
	book                   *labelBook     // nil: no label is hidden
	labels                 map[label]bool // of leftovers: whether the message was found intact under another label
	tried                  [2]int         // size of the other side when load was last tried in vain
	sizes                  statedSizes
}

// pair is a source message with its counterpart.
type pair struct {
	src, dst *mailproof.Row
	tier     mailproof.Tier
	folder   bool // the counterpart lies in the mapped folder
}

// good reports whether the pair's content is equal as far as its tier says.
// At T2c that holds only where an id was added to a message without one.
func (p *pair) good() bool {
	switch p.tier {
	case mailproof.T0, mailproof.T1, mailproof.T2, mailproof.T2v:
		return true
	case mailproof.T2c:
		return p.src.Hash(mailproof.T3).IsZero() && !p.dst.Hash(mailproof.T3).IsZero()
	}
	return false
}

// sink is told of every message once.
type sink interface {
	// unread takes a message that was not read, or is left out, on either side.
	unread(s *side, r *mailproof.Row) error
	paired(p *pair) error
	// leftover takes a message without counterpart. With twin, its content is
	// found in a pair of other messages.
	leftover(s *side, r *mailproof.Row, twin bool) error
}

func newEngine(ctx context.Context, source, destination Inventory, o Options) *engine {
	e := &engine{
		ctx: ctx, aliases: o.Aliases,
		src: newSide(mailproof.Source, source, o.limit()),
		dst: newSide(mailproof.Destination, destination, o.limit()),
	}
	e.src.scope = o.Rules.Scope
	rules := o.Rules
	rules.Refused += RefusedBy(e.dst.scan.Server)
	sources := make([]mailproof.Mailbox, 0, len(e.src.boxes))
	for i, box := range e.src.boxes {
		if _, excluded := rules.Excluded(box.Mailbox); excluded || box.Excluded != "" {
			e.src.out[i] = true
			continue
		}
		sources = append(sources, box.Mailbox)
	}
	byName := make(map[string]int, len(e.dst.boxes))
	destinations := make([]mailproof.Mailbox, 0, len(e.dst.boxes))
	for i, box := range e.dst.boxes {
		e.dst.out[i] = box.Excluded != ""
		byName[box.Name] = i
		destinations = append(destinations, box.Mailbox)
	}
	e.folders, e.warnings = NewFolderMap(sources, destinations, rules)
	e.target = make([]int, len(e.src.boxes))
	for i, box := range e.src.boxes {
		e.target[i] = -1
		if name, ok := e.folders.Target(box.Name); ok && !e.src.out[i] {
			if j, exists := byName[name]; exists {
				e.target[i] = j
			}
		}
	}
	return e
}

// run tells the sink of every message of both inventories.
func (e *engine) run(s sink) error {
	e.sink = s
	for _, side := range []*side{e.src, e.dst} {
		if err := e.index(side); err != nil {
			return err
		}
	}
	if e.labelRules != nil {
		if err := e.readLabels(); err != nil {
			return err
		}
	}
	if err := e.pairByGmailID(); err != nil {
		return err
	}
	for _, r := range order {
		if e.src.unpaired() == 0 || e.dst.unpaired() == 0 {
			break
		}
		if err := e.compact(); err != nil {
			return err
		}
		if err := e.round(r); err != nil {
			return err
		}
	}
	if e.src.unpaired() > 0 && e.dst.unpaired() > 0 {
		if err := e.pairByHead(); err != nil {
			return err
		}
	}
	if err := e.markTwins(); err != nil {
		return err
	}
	if err := e.markLabels(); err != nil {
		return err
	}
	for _, side := range []*side{e.src, e.dst} {
		for row, err := range side.remaining(e.ctx) {
			if err != nil {
				return err
			}
			i, err := side.dense(row)
			if err != nil {
				return err
			}
			if err := e.sink.leftover(side, row, side.marked.has(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *engine) index(s *side) error {
	r := newReading(s)
	err := s.index(e.ctx, func(row *mailproof.Row) error {
		if s.out[row.Mailbox] || s.omits(row) {
			return e.sink.unread(s, row)
		}
		if row.State == mailproof.Read {
			if s == e.src {
				e.sizes.add(s, row)
			}
			if row.GmailID != 0 && (s == e.src || len(e.src.gmail) > 0) {
				s.gmail = append(s.gmail, row.GmailID)
			}
			return nil
		}
		r.add(row)
		return e.sink.unread(s, row)
	})
	if s == e.src {
		e.srcReading = r
	} else {
		e.dstReading = r
	}
	return err
}

// round is one comparison of all that is unpaired, by one tier.
type round struct {
	tier   mailproof.Tier
	folder bool // in the mapped folder only
}

// order is the order of pairing. The tiers from T0 to T3 are nested, so
// that finest first pairs as many of each class as there can be; the others
// are not, and come last. What shares a Message-ID is settled in one round, the
// whole account in view: see pairByIdentity. The rounds of T0 to T2v behind it
// are for messages without one.
var order = []round{
	{mailproof.T0, true}, {mailproof.T1, true}, {mailproof.T2, true}, {mailproof.T2v, true},
	{mailproof.T3, false},
	{mailproof.T0, false}, {mailproof.T1, false}, {mailproof.T2, false}, {mailproof.T2v, false},
	{mailproof.T2c, true}, {mailproof.T2c, false},
	{mailproof.T3b, true}, {mailproof.T3b, false},
	{mailproof.T4, true}, {mailproof.T4, false},
}

// schedule is the order in which messages of one X-GM-MSGID are paired: they
// are copies of one message, so that a damaged one in the mapped folder comes
// before an intact one elsewhere.
var schedule = []round{
	{mailproof.T0, true}, {mailproof.T1, true}, {mailproof.T2, true}, {mailproof.T2v, true}, {mailproof.T3, true},
	{mailproof.T0, false}, {mailproof.T1, false}, {mailproof.T2, false}, {mailproof.T2v, false}, {mailproof.T3, false},
	{mailproof.T2c, true}, {mailproof.T2c, false},
	{mailproof.T3b, true}, {mailproof.T3b, false},
	{mailproof.T4, true}, {mailproof.T4, false},
}

func (e *engine) round(r round) error {
	src, dst := e.src.readable(e.ctx, r.tier, true), e.dst.readable(e.ctx, r.tier, true)
	return merge(src, dst, r.tier, func(s, d *rowSet) error {
		if s.len() == 0 || d.len() == 0 {
			return nil
		}
		return e.pairSet(r, s, d)
	})
}

// merge walks two streams in the order of a hash and hands over each set of
// equal ones. The sets are used again for the next hash.
func merge(a, b iter.Seq2[*mailproof.Row, error], by mailproof.Tier, visit func(a, b *rowSet) error) error {
	nextA, stopA := iter.Pull2(a)
	defer stopA()
	nextB, stopB := iter.Pull2(b)
	defer stopB()
	left, right := cursor{next: nextA, by: by}, cursor{next: nextB, by: by}
	left.advance()
	right.advance()
	for left.err == nil && right.err == nil && (left.row != nil || right.row != nil) {
		hash := left.hash
		if left.row == nil || right.row != nil && bytes.Compare(right.hash[:], hash[:]) < 0 {
			hash = right.hash
		}
		if err := visit(left.take(hash), right.take(hash)); err != nil {
			return err
		}
	}
	if left.err != nil {
		return left.err
	}
	return right.err
}

type cursor struct {
	next func() (*mailproof.Row, error, bool)
	by   mailproof.Tier
	row  *mailproof.Row // nil at the end
	hash mailproof.Hash
	err  error
	set  rowSet
}

func (c *cursor) advance() {
	row, err, ok := c.next()
	if !ok || err != nil {
		c.row, c.err = nil, err
		return
	}
	c.row, c.hash = row, row.Hash(c.by)
}

// take collects the rows of one hash.
func (c *cursor) take(hash mailproof.Hash) *rowSet {
	c.set.reset()
	for c.row != nil && c.hash == hash {
		c.set.add(c.row)
		c.advance()
	}
	return &c.set
}

// compact brings what is unpaired into memory as soon as it is little. Where
// one side is little and the other is not, of the other only those messages
// are taken that share a hash with it: no other can be paired any more.
func (e *engine) compact() error {
	for _, s := range []*side{e.src, e.dst} {
		if !s.inMem && s.unpaired() <= s.limit {
			if err := s.load(e.ctx, func(*mailproof.Row) bool { return true }); err != nil {
				return err
			}
		}
	}
	for i, p := range [][2]*side{{e.src, e.dst}, {e.dst, e.src}} {
		few, many := p[0], p[1]
		if !few.inMem || many.inMem || e.tried[i] != 0 && few.unpaired() > e.tried[i]/2 {
			continue
		}
		e.tried[i] = few.unpaired()
		hashes, err := hashesOf(e.ctx, few)
		if err != nil {
			return err
		}
		if err := many.load(e.ctx, hashes.hasAny); err != nil {
			return err
		}
	}
	return nil
}

// hashSet holds the beginnings of hashes: enough to tell what cannot match.
type hashSet map[uint64]struct{}

func hashesOf(ctx context.Context, s *side) (hashSet, error) {
	set := hashSet{}
	for row, err := range s.readable(ctx, mailproof.TierNone, true) {
		if err != nil {
			return nil, err
		}
		for t := range row.Hashes {
			if !row.Hashes[t].IsZero() {
				set[set.key(row, t)] = struct{}{}
			}
		}
	}
	return set, nil
}

func (hashSet) key(r *mailproof.Row, tier int) uint64 {
	return binary.LittleEndian.Uint64(r.Hashes[tier][:]) + uint64(tier)
}

func (h hashSet) hasAny(r *mailproof.Row) bool {
	for t := range r.Hashes {
		if _, ok := h[h.key(r, t)]; ok && !r.Hashes[t].IsZero() {
			return true
		}
	}
	return false
}

// pairUp records a pair and tells the sink.
func (e *engine) pairUp(p *pair) error {
	i, err := e.src.dense(p.src)
	if err != nil {
		return err
	}
	j, err := e.dst.dense(p.dst)
	if err != nil {
		return err
	}
	if e.src.paired.testSet(i) || e.dst.paired.testSet(j) {
		return fmt.Errorf("%v and %v: a message was listed twice by %v", e.src.key(p.src), e.dst.key(p.dst), p.tier)
	}
	e.src.pairs++
	e.dst.pairs++
	if p.good() {
		e.src.good.set(i)
	}
	return e.sink.paired(p)
}
