package diff

import (
	"context"
	"iter"
	"slices"

	"github.com/mailproof/mailproof"
)

// pairByGmailID pairs messages of equal X-GM-MSGID before all others, in the
// whole account. The number only says which of the messages that share a hash
// belong together: it is asked about within the sets of the ordinary rounds, so
// that each pair still rests on a tier and the verdict on what that tier says. A
// number means something within one account only, and two accounts may use one
// by accident: without a hash in common it pairs nothing.
//
// Eight octets are kept for each message that has a number until it is known
// which numbers both sides have, and then for each of those. Where there are
// none nothing is done.
func (e *engine) pairByGmailID() error {
	common := commonIDs(e.src.gmail, e.dst.gmail)
	e.src.gmail, e.dst.gmail = nil, nil
	if len(common) == 0 {
		return nil
	}
	shared := func(r *mailproof.Row) bool {
		_, found := slices.BinarySearch(common, r.GmailID)
		return found
	}
	// Views of the two sides: they share what is paired, but hold in memory
	// what has such a number only.
	src, dst := *e.src, *e.dst
	for _, r := range schedule {
		if e.src.unpaired() == 0 || e.dst.unpaired() == 0 {
			return nil
		}
		for _, s := range []*side{&src, &dst} {
			if s.inMem {
				continue
			}
			if err := s.load(e.ctx, shared); err != nil {
				return err
			}
		}
		err := merge(src.wanted(e.ctx, r.tier, shared), dst.wanted(e.ctx, r.tier, shared), r.tier, func(a, b *rowSet) error {
			if a.len() == 0 || b.len() == 0 {
				return nil
			}
			ids := classes[uint64]{}
			byID := func(r *mailproof.Row) int32 { return ids.of(r.GmailID) }
			return (&set{e: e, r: r, src: a, dst: b}).pairBy(byID, byID)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// wanted yields what has no counterpart yet and is admitted.
func (s *side) wanted(ctx context.Context, by mailproof.Tier, admit func(*mailproof.Row) bool) iter.Seq2[*mailproof.Row, error] {
	return func(yield func(*mailproof.Row, error) bool) {
		for row, err := range s.readable(ctx, by, true) {
			if err == nil && !admit(row) {
				continue
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// commonIDs returns, in order, the numbers that occur on both sides. One that
// more than maxCloser messages of a side have in common names none of them. Both
// slices are sorted.
func commonIDs(a, b []uint64) (common []uint64) {
	slices.Sort(a)
	slices.Sort(b)
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			a = a[1:]
		case a[0] > b[0]:
			b = b[1:]
		default:
			id, n, m := a[0], leading(a), leading(b)
			if n <= maxCloser && m <= maxCloser {
				common = append(common, id)
			}
			a, b = a[n:], b[m:]
		}
	}
	return common
}

// leading is the number of leading elements that are equal.
func leading(ids []uint64) int {
	n := 1
	for n < len(ids) && ids[n] == ids[0] {
		n++
	}
	return n
}
