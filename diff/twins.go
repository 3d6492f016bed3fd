package diff

import (
	"context"
	"iter"

	"github.com/mailproof/mailproof"
)

// markTwins finds the leftovers whose content is not lost or new but a matter
// of number: on the source, where another message of the same content was
// found intact; on the destination, where the source has that content.
func (e *engine) markTwins() error {
	if e.src.unpaired() == 0 && e.dst.unpaired() == 0 || e.src.read == 0 || e.src.pairs == 0 {
		return nil
	}
	if e.src.unpaired()+e.dst.unpaired() <= 2*e.src.limit || e.src.whole && e.dst.whole {
		return e.markByTable()
	}
	return e.markByMerge()
}

// contentKey is the hash that says "the same content": T2, or the next finer
// one where there is no T2.
func contentKey(r *mailproof.Row) (mailproof.Tier, mailproof.Hash) {
	for _, t := range []mailproof.Tier{mailproof.T2, mailproof.T1, mailproof.T0} {
		if h := r.Hash(t); !h.IsZero() {
			return t, h
		}
	}
	return mailproof.TierNone, mailproof.Hash{}
}

type content struct {
	tier mailproof.Tier
	hash mailproof.Hash
}

func contentOf(r *mailproof.Row) content {
	t, h := contentKey(r)
	return content{t, h}
}

// markByTable keeps the contents of the leftovers and reads the source once.
func (e *engine) markByTable() error {
	const intact, exists = 1, 2
	found := map[content]uint8{}
	for _, s := range []*side{e.src, e.dst} {
		for row, err := range s.remaining(e.ctx) {
			if err != nil {
				return err
			}
			found[contentOf(row)] = 0
		}
	}
	delete(found, content{})
	for row, err := range e.src.readable(e.ctx, mailproof.TierNone, false) {
		if err != nil {
			return err
		}
		c := contentOf(row)
		bits, wanted := found[c]
		if !wanted {
			continue
		}
		i, err := e.src.dense(row)
		if err != nil {
			return err
		}
		bits |= exists
		if e.src.good.has(i) {
			bits |= intact
		}
		found[c] = bits
	}
	for s, bit := range map[*side]uint8{e.src: intact, e.dst: exists} {
		for row, err := range s.remaining(e.ctx) {
			if err != nil {
				return err
			}
			if found[contentOf(row)]&bit == 0 {
				continue
			}
			i, err := s.dense(row)
			if err != nil {
				return err
			}
			s.marked.set(i)
		}
	}
	return nil
}

// markByMerge does the same in the order of the hashes, without a table.
func (e *engine) markByMerge() error {
	tiers := []mailproof.Tier{mailproof.T2}
	if e.src.coarse || e.dst.coarse {
		tiers = append(tiers, mailproof.T1, mailproof.T0)
	}
	for _, t := range tiers {
		err := merge(ofContent(e.src.readable(e.ctx, t, false), t), ofContent(e.dst.free(e.ctx, t), t), t, e.markSet)
		if err != nil {
			return err
		}
	}
	return nil
}

// ofContent keeps the rows whose content is named by the tier.
func ofContent(rows iter.Seq2[*mailproof.Row, error], t mailproof.Tier) iter.Seq2[*mailproof.Row, error] {
	return func(yield func(*mailproof.Row, error) bool) {
		for row, err := range rows {
			if err == nil {
				if named, _ := contentKey(row); named != t {
					continue
				}
			}
			if !yield(row, err) {
				return
			}
		}
	}
}

// markSet marks a set of equal contents; only the marks of leftovers count.
func (e *engine) markSet(src, dst *rowSet) error {
	if src.len() == 0 {
		return nil
	}
	intact := false
	for i := range src.len() {
		n, err := e.src.dense(src.at(i))
		if err != nil {
			return err
		}
		intact = intact || e.src.good.has(n)
	}
	for _, x := range []struct {
		s    *side
		rows *rowSet
		mark bool
	}{{e.src, src, intact}, {e.dst, dst, true}} {
		for i := range x.rows.len() {
			n, err := x.s.dense(x.rows.at(i))
			if err != nil {
				return err
			}
			if x.mark {
				x.s.marked.set(n)
			}
		}
	}
	return nil
}

// remaining yields the messages without counterpart, by mailbox and UID.
func (s *side) remaining(ctx context.Context) iter.Seq2[*mailproof.Row, error] {
	if s.unpaired() == 0 {
		return func(func(*mailproof.Row, error) bool) {}
	}
	return s.free(ctx, mailproof.TierNone)
}

// free yields every message without counterpart. Memory may hold only those
// of them that could still be paired; then the inventory is asked.
func (s *side) free(ctx context.Context, by mailproof.Tier) iter.Seq2[*mailproof.Row, error] {
	if s.inMem && s.complete {
		return s.remembered(by, true)
	}
	return s.streamed(ctx, by, true)
}
