package ledger

import (
	"bufio"
	"bytes"
	"cmp"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"

	"github.com/mailproof/mailproof"
)

// sorter puts records in the order of one tier's hash, then of mailbox,
// INTERNALDATE and UID. It holds a bounded number of them; beyond that, sorted
// runs go to a temporary file and are merged as they are read. SQLite could sort
// as well, at three times the cost: its rows have many columns and no fixed size.
type sorter struct {
	tier    mailproof.Tier
	length  int // of a run
	held    []record
	other   []record   // the buffer that is written, or was, while held fills up
	writing chan error // has room for one; receives the outcome of the writing, nil where there is none
	file    *os.File
	runs    []int // number of records in each run of the file
}

const (
	// runLength is the number of records in a run. A sorter holds twice as
	// many: about 6 MB of them.
	runLength = 10 << 10
	// runBuffer is what is read ahead of each run while they are merged.
	runBuffer  = 32 << 10
	recordSize = 7*8 + mailproof.NumTiers*hashSize
)

func newSorter(tier mailproof.Tier) *sorter { return &sorter{tier: tier, length: runLength} }

// grow makes room for about n records at once, as far as a run goes: room that
// doubles leaves as much behind.
func (s *sorter) grow(n int64) {
	s.held = slices.Grow(s.held, int(min(max(n, 0), int64(s.length))))
}

// add takes a copy of a record that has a hash of the tier; others it passes
// over.
func (s *sorter) add(r *record) error {
	if r.hashes[s.tier-1].IsZero() {
		return nil
	}
	if len(s.held) == s.length {
		if err := s.spill(); err != nil {
			return err
		}
	}
	s.held = append(s.held, *r)
	return nil
}

func (s *sorter) compare(a, b *record) int {
	x, y := &a.hashes[s.tier-1], &b.hashes[s.tier-1]
	if c := cmp.Compare(binary.BigEndian.Uint64(x[:8]), binary.BigEndian.Uint64(y[:8])); c != 0 {
		return c
	}
	return cmp.Or(bytes.Compare(x[:], y[:]), cmp.Compare(a.mailbox, b.mailbox), cmp.Compare(a.instant(), b.instant()), cmp.Compare(a.id, b.id))
}

// instant orders records by INTERNALDATE, those without one first.
func (r *record) instant() int64 {
	if !r.dated {
		return math.MinInt64
	}
	seconds, _ := r.packed.internalDate()
	return seconds
}

// sorted returns records in order, without moving them: they are large.
func (s *sorter) sorted(records []record) []*record {
	order := make([]*record, len(records))
	for i := range records {
		order[i] = &records[i]
	}
	slices.SortFunc(order, s.compare)
	return order
}

// spill has the records that are held sorted and written behind the scenes,
// once those before them are.
func (s *sorter) spill() error {
	if err := s.wait(); err != nil {
		return err
	}
	if s.file == nil {
		f, err := os.CreateTemp("", "mailproof-sort-*")
		if err != nil {
			return fmt.Errorf("sort messages: %w", err)
		}
		s.file = f
	}
	full := s.held
	s.held, s.other = s.other[:0], full
	if s.held == nil {
		s.held = make([]record, 0, s.length)
	}
	s.runs = append(s.runs, len(full))
	s.writing = make(chan error, 1)
	go func() { s.writing <- s.write(full) }()
	return nil
}

// wait waits for the writing to end.
func (s *sorter) wait() error {
	if s.writing == nil {
		return nil
	}
	err := <-s.writing
	s.writing = nil
	if err != nil {
		return fmt.Errorf("sort messages: temporary file: %w", err)
	}
	return nil
}

// write appends a sorted run to the file.
func (s *sorter) write(records []record) error {
	w := bufio.NewWriterSize(s.file, 256<<10)
	for _, r := range s.sorted(records) {
		if _, err := w.Write(r.append(w.AvailableBuffer())); err != nil {
			return err
		}
	}
	return w.Flush()
}

// each hands over every record in order. One is valid until the next.
func (s *sorter) each(f func(*record) error) error {
	if err := s.wait(); err != nil {
		return err
	}
	last := s.sorted(s.held)
	if s.file == nil {
		for _, r := range last {
			if err := f(r); err != nil {
				return err
			}
		}
		return nil
	}
	m := &merge{less: s.compare}
	offset := int64(0)
	for _, n := range s.runs {
		length := int64(n * recordSize)
		m.add(&run{left: n, file: bufio.NewReaderSize(io.NewSectionReader(s.file, offset, length), runBuffer)})
		offset += length
	}
	m.add(&run{held: last})
	return m.each(f)
}

// close removes the temporary file, if there is one.
func (s *sorter) close() error {
	if s.file == nil {
		return nil
	}
	_ = s.wait() // an error of the writing was returned before, or the records are not wanted
	return errors.Join(s.file.Close(), os.Remove(s.file.Name()))
}

// run is one sorted sequence: from the file, or from memory.
type run struct {
	file    *bufio.Reader
	left    int // records still in the file
	held    []*record
	current record
}

// next reads the run's next record; io.EOF ends it.
func (r *run) next() error {
	if r.file == nil {
		if len(r.held) == 0 {
			return io.EOF
		}
		r.current, r.held = *r.held[0], r.held[1:]
		return nil
	}
	if r.left == 0 {
		return io.EOF
	}
	b, err := r.file.Peek(recordSize)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF // an io.EOF would be taken for the end of the run
	}
	if err != nil {
		return fmt.Errorf("sort messages: temporary file: %w", err)
	}
	r.current.read(b)
	r.left--
	_, err = r.file.Discard(recordSize)
	return err
}

// merge is a heap of runs by their current record.
type merge struct {
	runs []*run
	less func(a, b *record) int
	err  error
}

func (m *merge) add(r *run) {
	switch err := r.next(); {
	case err == nil:
		m.runs = append(m.runs, r)
	case !errors.Is(err, io.EOF):
		m.err = errors.Join(m.err, err)
	}
}

func (m *merge) each(f func(*record) error) error {
	heap.Init(m)
	for m.err == nil && len(m.runs) > 0 {
		first := m.runs[0]
		if err := f(&first.current); err != nil {
			return err
		}
		switch err := first.next(); {
		case err == nil:
			heap.Fix(m, 0)
		case errors.Is(err, io.EOF):
			heap.Pop(m)
		default:
			return err
		}
	}
	return m.err
}

// Len, Less, Swap, Push and Pop are those of [heap.Interface].
func (m *merge) Len() int           { return len(m.runs) }
func (m *merge) Less(i, j int) bool { return m.less(&m.runs[i].current, &m.runs[j].current) < 0 }
func (m *merge) Swap(i, j int)      { m.runs[i], m.runs[j] = m.runs[j], m.runs[i] }
func (m *merge) Push(x any)         { m.runs = append(m.runs, x.(*run)) }
func (m *merge) Pop() any {
	last := m.runs[len(m.runs)-1]
	m.runs = m.runs[:len(m.runs)-1]
	return last
}

// append writes the record in its fixed size; read is the inverse.
func (r *record) append(b []byte) []byte {
	mailbox := int64(r.mailbox) << 1
	if r.dated {
		mailbox |= 1
	}
	for _, v := range [...]int64{r.id, r.packed.numbers, r.packed.date, r.size, r.octets, r.base<<32 | mailbox, r.gmail} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	for i := range r.hashes {
		b = append(b, r.hashes[i][:]...)
	}
	return b
}

func (r *record) read(b []byte) {
	var v [7]int64
	for i := range v {
		v[i] = int64(binary.LittleEndian.Uint64(b[i*8:]))
	}
	r.id, r.packed.numbers, r.packed.date, r.size, r.octets = v[0], v[1], v[2], v[3], v[4]
	r.base, r.mailbox, r.dated = v[5]>>32, int32(uint32(v[5])>>1), v[5]&1 == 1
	r.gmail = v[6]
	for i := range r.hashes {
		copy(r.hashes[i][:], b[len(v)*8+i*hashSize:])
	}
}
