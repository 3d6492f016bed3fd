package evidence

import (
	"bufio"
	"bytes"
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
	arena []byte
	refs  []ref
	runs  []*os.File
}

// ref is a record in the arena.
type ref struct{ at, key, end int } // key and value are arena[at:key] and arena[key:end]

// defaultRun is the memory of one sorter's run in octets.
const defaultRun = 48 << 20

// refSize is what a reference costs beside its record.
const refSize = 24

func newSorter(dir string, limit int) *sorter {
	if limit <= 0 {
		limit = defaultRun
	}
	return &sorter{dir: dir, limit: limit}
}

// add takes a record; both slices are copied.
func (s *sorter) add(key, value []byte) error {
	at := len(s.arena)
	s.arena = append(s.arena, key...)
	s.arena = append(s.arena, value...)
	s.refs = append(s.refs, ref{at, at + len(key), len(s.arena)})
	if len(s.arena)+len(s.refs)*refSize < s.limit {
		return nil
	}
	return s.spill()
}

func (s *sorter) sortRun() {
	slices.SortStableFunc(s.refs, func(a, b ref) int { return bytes.Compare(s.arena[a.at:a.key], s.arena[b.at:b.key]) })
}

func (s *sorter) spill() (err error) {
	s.sortRun()
	f, err := os.CreateTemp(s.dir, "run-*")
	if err != nil {
		return fmt.Errorf("sort: %w", err)
	}
	s.runs = append(s.runs, f)
	w := bufio.NewWriterSize(f, 256<<10)
	var head [2 * binary.MaxVarintLen64]byte
	for _, r := range s.refs {
		n := binary.PutUvarint(head[:], uint64(r.key-r.at))
		n += binary.PutUvarint(head[n:], uint64(r.end-r.key))
		if _, err := w.Write(head[:n]); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
		if _, err := w.Write(s.arena[r.at:r.end]); err != nil {
			return fmt.Errorf("sort: %w", err)
		}
	}
	s.arena, s.refs = s.arena[:0], s.refs[:0]
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
			if err := f(s.arena[r.at:r.key], s.arena[r.key:r.end]); err != nil {
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
		r := &run{index: i, in: bufio.NewReaderSize(file, 256<<10)}
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
