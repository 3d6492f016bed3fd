package diff

import (
	"cmp"
	"hash/fnv"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// key is what pairing within one set of equal messages looks at.
type key struct {
	date   int64  // INTERNALDATE in Unix seconds; noDate where there is none
	flags  uint32 // a hash of the flags
	class  int32  // only members of one class are paired; negative: none
	folder int32  // destination mailbox; negative: none
	uid    mailproof.UID
	box    int32 // mailbox: with the UID it tells apart what the rest does not
	pos    int32 // in the set
}

const noDate = math.MinInt64

func unixDate(t time.Time) int64 {
	if t.IsZero() {
		return noDate
	}
	return t.Unix()
}

// flagsKey hashes a set of flags without regard to case.
func flagsKey(flags mailproof.Flags) uint32 {
	h := fnv.New32a()
	for _, f := range flags {
		// A hash.Hash never returns an error.
		_, _ = h.Write([]byte(strings.ToLower(f)))
		_, _ = h.Write([]byte{0})
	}
	return h.Sum32()
}

func compareKeys(a, b key) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.folder, b.folder), cmp.Compare(a.date, b.date),
		cmp.Compare(a.uid, b.uid), cmp.Compare(a.box, b.box))
}

// match pairs the members of two sets, class by class and folder by folder,
// as many as the smaller side has. Within a folder those of equal INTERNALDATE
// and flags are paired first, then those of equal INTERNALDATE, and the rest
// n-th with n-th in the order of (INTERNALDATE, UID): where a side has fewer
// copies, it is the copy with a date of its own that is left over. The result does not depend on the order of the arguments'
// elements; both slices are sorted.
func match(src, dst []key, emit func(src, dst int32) error) error {
	slices.SortFunc(src, compareKeys)
	slices.SortFunc(dst, compareKeys)
	for len(src) > 0 && len(dst) > 0 {
		s, d := src[0], dst[0]
		switch c := cmp.Or(cmp.Compare(s.class, d.class), cmp.Compare(s.folder, d.folder)); {
		case c < 0 || s.class < 0 || s.folder < 0:
			src = src[1:]
		case c > 0:
			dst = dst[1:]
		default:
			ns, nd := bucket(src), bucket(dst)
			if err := matchBucket(src[:ns], dst[:nd], emit); err != nil {
				return err
			}
			src, dst = src[ns:], dst[nd:]
		}
	}
	return nil
}

// bucket is the number of leading keys of one class and folder.
func bucket(keys []key) int {
	n := 1
	for n < len(keys) && keys[n].class == keys[0].class && keys[n].folder == keys[0].folder {
		n++
	}
	return n
}

// likeness is a level of agreement beside the content, the closest first.
var likeness = []func(a, b key) int{
	func(a, b key) int { return cmp.Or(cmp.Compare(a.date, b.date), cmp.Compare(a.flags, b.flags)) },
	func(a, b key) int { return cmp.Compare(a.date, b.date) },
}

func matchBucket(src, dst []key, emit func(src, dst int32) error) error {
	if len(src) == 1 && len(dst) == 1 {
		return emit(src[0].pos, dst[0].pos)
	}
	for _, like := range likeness {
		order := func(a, b key) int { return cmp.Or(like(a, b), compareKeys(a, b)) }
		slices.SortFunc(src, order)
		slices.SortFunc(dst, order)
		var err error
		if src, dst, err = matchEqual(src, dst, like, emit); err != nil {
			return err
		}
	}
	for k := range min(len(src), len(dst)) {
		if err := emit(src[k].pos, dst[k].pos); err != nil {
			return err
		}
	}
	return nil
}

// matchEqual pairs what is alike, n-th with n-th, and returns the rest.
func matchEqual(src, dst []key, like func(a, b key) int, emit func(src, dst int32) error) (restSrc, restDst []key, err error) {
	restSrc, restDst = src[:0], dst[:0]
	i, j := 0, 0
	for i < len(src) && j < len(dst) {
		switch c := like(src[i], dst[j]); {
		case c < 0:
			restSrc = append(restSrc, src[i])
			i++
		case c > 0:
			restDst = append(restDst, dst[j])
			j++
		default:
			if err := emit(src[i].pos, dst[j].pos); err != nil {
				return nil, nil, err
			}
			i, j = i+1, j+1
		}
	}
	return append(restSrc, src[i:]...), append(restDst, dst[j:]...), nil
}
