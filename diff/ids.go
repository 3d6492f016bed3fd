package diff

import (
	"cmp"
	"fmt"
	"slices"
)

// idIndex numbers message ids densely from 0. A ledger gives neighbouring
// messages neighbouring ids, so runs of ids are all that is kept.
type idIndex struct {
	runs []idRun
	n    int
}

type idRun struct {
	first int64
	count int
	base  int // dense number of first
}

// add takes up one id, in any order; seal must follow.
func (x *idIndex) add(id int64) {
	x.n++
	if k := len(x.runs) - 1; k >= 0 && x.runs[k].first+int64(x.runs[k].count) == id {
		x.runs[k].count++
		return
	}
	x.runs = append(x.runs, idRun{first: id, count: 1})
}

// seal sorts the runs. It fails where an id was added twice.
func (x *idIndex) seal() error {
	slices.SortFunc(x.runs, func(a, b idRun) int { return cmp.Compare(a.first, b.first) })
	merged := x.runs[:0]
	base := 0
	for _, r := range x.runs {
		if k := len(merged) - 1; k >= 0 {
			end := merged[k].first + int64(merged[k].count)
			if r.first < end {
				return fmt.Errorf("message %d is listed twice", r.first)
			}
			if r.first == end {
				merged[k].count += r.count
				base += r.count
				continue
			}
		}
		r.base = base
		base += r.count
		merged = append(merged, r)
	}
	x.runs = slices.Clip(merged)
	return nil
}

// of returns the dense number of an id.
func (x *idIndex) of(id int64) (int, bool) {
	k, found := slices.BinarySearchFunc(x.runs, id, func(r idRun, id int64) int { return cmp.Compare(r.first, id) })
	if !found {
		k--
	}
	if k < 0 || id >= x.runs[k].first+int64(x.runs[k].count) {
		return 0, false
	}
	return x.runs[k].base + int(id-x.runs[k].first), true
}

// bitset holds one bit per message of a side.
type bitset []uint64

func newBitset(n int) bitset    { return make(bitset, (n+63)/64) }
func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitset) set(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) testSet(i int) bool {
	was := b.has(i)
	b.set(i)
	return was
}
