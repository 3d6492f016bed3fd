package ledger

import (
	"cmp"
	"errors"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/mailproof/mailproof"
)

// The property: whatever the length of a run, a sorter yields what a stable
// sort in memory yields, and leaves no file behind.
func TestSorter(t *testing.T) {
	for _, length := range []int{1, 2, 7, 100, 5000} {
		dir := t.TempDir()
		t.Setenv("TMPDIR", dir)
		rng := rand.New(rand.NewPCG(1, uint64(length)))
		s := newSorter(mailproof.T2)
		s.length = length
		var want []record
		for i := range 1000 {
			r := record{id: rng.Int64N(1 << 50), packed: packed{rng.Int64(), int64(rng.Uint64())}, size: int64(i), octets: rng.Int64(), base: rng.Int64N(1 << 31), gmail: int64(rng.Uint64()), mailbox: rng.Int32N(1 << 30), dated: rng.IntN(2) == 0}
			r.hashes[0][31] = byte(i)
			r.hashes[mailproof.T2-1][31-8*rng.IntN(4)] = byte(rng.IntN(3)) // many equal ones, some zero
			if i%3 == 0 {
				r.packed.date, r.mailbox = int64(rng.IntN(2))<<20, 1
			}
			if !r.hashes[mailproof.T2-1].IsZero() {
				want = append(want, r)
			}
			if err := s.add(&r); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortFunc(want, func(a, b record) int {
			return cmp.Or(cmp.Compare(a.hashes[mailproof.T2-1].String(), b.hashes[mailproof.T2-1].String()), cmp.Compare(a.mailbox, b.mailbox), cmp.Compare(a.instant(), b.instant()), cmp.Compare(a.id, b.id))
		})
		var got []record
		if err := s.each(func(r *record) error { got = append(got, *r); return nil }); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("runs of %d: %d records in another order than %d", length, len(got), len(want))
		}
		if err := s.each(func(*record) error { return errEnough }); !errors.Is(err, errEnough) {
			t.Errorf("an early end: %v", err)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// A temporary file that was cut or cannot be made is an error, never a shorter
// list.
func TestSorterBrokenFile(t *testing.T) {
	for _, size := range []int{0, 5, 25 * recordSize, 25*recordSize + 5, 30*recordSize - 1} {
		s := newSorter(mailproof.T0)
		s.length = 10
		for i := range 35 {
			var r record
			r.hashes[0][0] = byte(i + 1)
			if err := s.add(&r); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.wait(); err != nil {
			t.Fatal(err)
		}
		if err := s.file.Truncate(int64(size)); err != nil {
			t.Fatal(err)
		}
		n := 0
		if err := s.each(func(*record) error { n++; return nil }); err == nil {
			t.Errorf("%d records of a file cut to %d octets, and no error", n, size)
		}
		if err := s.close(); err != nil {
			t.Fatal(err)
		}
	}

	t.Setenv("TMPDIR", t.TempDir()+"/none")
	s := newSorter(mailproof.T0)
	s.length = 1
	var r record
	r.hashes[0][0] = 1
	if err := s.add(&r); err != nil {
		t.Fatal(err)
	}
	if err := s.add(&r); err == nil {
		t.Error("no temporary folder, and no error")
	}
}
