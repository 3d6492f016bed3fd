package evidence

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// sorter sorts any number of records by their keys with a bounded amount of
// memory: runs are sorted there, and written to files where there is more than
// one. It is used for what has to be looked at in another order than that in
// which it comes.
type sorter struct {
	dir   string
	limit int // octets of one run
	// arena holds the records of a run, in pieces: one that grew would be there
	// twice while it moves. Pieces before filled are full, those behind it are
	// kept for the next run.
	arena  [][]byte
	filled int
	size   int // octets of the records in the arena
	refs   []ref
	runs   []*os.File
}

// ref is a record in the arena: key and value are [at:key] and [key:end] of its
// piece.
type ref struct{ piece, at, key, end uint32 }

const (
	// defaultRun is the memory of one sorter's run in octets. Of many millions of
	// records there would be so many runs that their files, which are read side by
	// side, were too many: with each manyRuns of them a run is twice as large, up to
	// eight times.
	defaultRun = 8 << 20
	manyRuns   = 64
	// pieceSize is the size of a piece of the arena; a record that is longer has
	// a piece of its own.
	pieceSize = 256 << 10
	// refSize is what a reference costs beside its record.
	refSize = 16
)

func newSorter(dir string, limit int) *sorter {
	if limit <= 0 {
		limit = defaultRun
	}
	return &sorter{dir: dir, limit: limit}
}

// add takes a record; both slices are copied.
func (s *sorter) add(key, value []byte) error {
	p := s.room(len(key) + len(value))
	at := len(*p)
	*p = append(append(*p, key...), value...)
	s.refs = append(s.refs, ref{uint32(s.filled), uint32(at), uint32(at + len(key)), uint32(len(*p))})
	s.size += len(key) + len(value)
	if s.size+len(s.refs)*refSize < s.limit<<min(len(s.runs)/manyRuns, 3) {
		return nil
	}
	return s.spill()
}

// room returns the piece in which so many octets have room.
func (s *sorter) room(n int) *[]byte {
	if s.filled < len(s.arena) && len(s.arena[s.filled]) > 0 && cap(s.arena[s.filled])-len(s.arena[s.filled]) < n {
		s.filled++
	}
	if s.filled == len(s.arena) {
		s.arena = append(s.arena, make([]byte, 0, max(pieceSize, n)))
	}
	p := &s.arena[s.filled]
	if cap(*p) < n { // an empty one of before
		*p = make([]byte, 0, n)
	}
	return p
}

func (s *sorter) sortRun() {
	slices.SortFunc(s.refs, func(a, b ref) int {
		return cmp.Or(bytes.Compare(s.key(a), s.key(b)), cmp.Compare(a.piece, b.piece), cmp.Compare(a.at, b.at)) // as they came
	})
}

func (s *sorter) key(r ref) []byte   { return s.arena[r.piece][r.at:r.key] }
func (s *sorter) value(r ref) []byte { return s.arena[r.piece][r.key:r.end] }

func (s *sorter) spill() (err error) {
	s.sortRun()
	f, err := os.CreateTemp(s.dir, "run-*")
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, 64<<10)
	var head [2 * binary.MaxVarintLen64]byte
	for _, r := range s.refs {
		n := binary.PutUvarint(head[:], uint64(r.key-r.at))
		n += binary.PutUvarint(head[n:], uint64(r.end-r.key))
		if _, err := w.Write(head[:n]); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		if _, err := w.Write(s.arena[r.piece][r.at:r.end]); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
	}
	for i := range s.arena {
		s.arena[i] = s.arena[i][:0]
	}
	s.filled, s.size, s.refs = 0, 0, s.refs[:0]
	if err := w.Flush(); err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	return nil
}

// each hands over the records in the order of their keys, and those of one key
// in the order in which they came. The slices are valid during the call.
func (s *sorter) each(f func(key, value []byte) error) error {
	if len(s.runs) == 0 {
		s.sortRun()
		for _, r := range s.refs {
			if err := f(s.key(r), s.value(r)); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	s.arena, s.refs = nil, nil
	var heads runHeap
	for i, file := range s.runs {
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		r := &run{index: i, in: bufio.NewReaderSize(file, 64<<10)}
		more, err := r.next()
		if err != nil {
			return err
		}
		if more {
			heads = append(heads, r)
		}
	}
	heap.Init(&heads)
	for len(heads) > 0 {
		r := heads[0]
		if err := f(r.record[:r.key], r.record[r.key:]); err != nil {
			return err
		}
		more, err := r.next()
		switch {
		case err != nil:
			return err
		case more:
			heap.Fix(&heads, 0)
		default:
			heap.Pop(&heads)
		}
	}
	return nil
}

// close removes the runs.
func (s *sorter) close() error {
	var errs []error
	for _, f := range s.runs {
		errs = append(errs, f.Close(), os.Remove(f.Name()))
	}
	s.runs, s.arena, s.refs = nil, nil, nil
	return errors.Join(errs...)
}

// run is one sorted run, at its next record.
type run struct {
	index  int
	in     *bufio.Reader
	record []byte
	key    int
}

func (r *run) next() (more bool, err error) {
	key, err := binary.ReadUvarint(r.in)
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("sort: %w", err)
	}
	value, err := binary.ReadUvarint(r.in)
	if err != nil {
		return false, fmt.Errorf("sort: %w", err)
	}
	r.key = int(key)
	r.record = slices.Grow(r.record[:0], int(key+value))[:key+value]
	if _, err := io.ReadFull(r.in, r.record); err != nil {
		return false, fmt.Errorf("sort: %w", err)
	}
	return true, nil
}

type runHeap []*run

func (h runHeap) Len() int { return len(h) }
func (h runHeap) Less(i, j int) bool {
	if c := bytes.Compare(h[i].record[:h[i].key], h[j].record[:h[j].key]); c != 0 {
		return c < 0
	}
	return h[i].index < h[j].index
}
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(x any)   { *h = append(*h, x.(*run)) }
func (h *runHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
