// Package spool holds whole messages for a moment, on their way from a
// connection to whoever works on them: small ones in memory, within a budget
// that everybody shares, larger ones in a file that has no name. It knows
// nothing of IMAP and looks into no message.
//
// A body is given out only when every announced octet is there; one that is
// cut short leaves nothing behind. Whoever holds a body must be able to finish
// with it without taking another one: else two holders of half the budget each
// would wait for one another.
package spool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"os"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/mailproof/mailproof"
)

// What applies where [Options] say nothing.
const (
	DefaultBudget     = 24 << 20
	DefaultPerMessage = 8 << 20
)

// Options bound what a [Pool] takes.
type Options struct {
	Budget     int64  // octets in memory at once; 0: DefaultBudget
	PerMessage int64  // a larger message goes to a file; 0: DefaultPerMessage
	Dir        string // of the files; empty: the system's directory for temporary files
}

// Pool gives out bodies. It is safe for concurrent use.
type Pool struct {
	o      Options
	budget *semaphore.Weighted
}

// New returns an empty pool.
func New(o Options) *Pool {
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
	if o.PerMessage <= 0 {
		o.PerMessage = DefaultPerMessage
	}
	o.PerMessage = min(o.PerMessage, o.Budget)
	return &Pool{o: o, budget: semaphore.NewWeighted(o.Budget)}
}

// Body is one whole message.
type Body struct {
	size   int64
	t0     mailproof.Hash
	memory []byte
	file   *os.File
	pool   *Pool
	weight int64
}

// smallest is what a message counts for at least, as it costs more than its
// octets.
const smallest = 4 << 10

// Small reports whether a message of a size is held in memory.
func (p *Pool) Small(size int64) bool { return size <= p.o.PerMessage }

// Take reads body to its end, which must come after exactly size octets, and
// waits until there is room for it.
func (p *Pool) Take(ctx context.Context, size int64, body io.Reader) (_ *Body, err error) {
	if size < 0 {
		return nil, fmt.Errorf("a message of %d octets", size)
	}
	b := &Body{size: size, pool: p}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Release())
		}
	}()
	if !p.Small(size) {
		return b, b.toFile(body)
	}
	weight := min(int64(capacity(size)), p.o.Budget)
	if err := p.budget.Acquire(ctx, weight); err != nil {
		return b, err
	}
	b.weight = weight
	b.memory = buffer(size)
	return b, b.toMemory(body)
}

func (b *Body) toMemory(body io.Reader) error {
	n, err := io.ReadFull(body, b.memory)
	if err != nil {
		return b.short(int64(n), err)
	}
	// The end must be seen: only then the reader has vouched for the octets.
	var more [1]byte
	switch n, err := io.ReadFull(body, more[:]); {
	case n > 0:
		return fmt.Errorf("more than the %d octets announced", b.size)
	case !errors.Is(err, io.EOF):
		return err
	}
	b.t0 = sha256.Sum256(b.memory)
	return nil
}

// short keeps a reader's own error; the end of a body before its time is
// io.ErrUnexpectedEOF.
func (b *Body) short(n int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.ErrUnexpectedEOF
	}
	return fmt.Errorf("%d of %d octets: %w", n, b.size, err)
}

func (b *Body) toFile(body io.Reader) (err error) {
	if b.file, err = os.CreateTemp(b.pool.o.Dir, "mailproof-spool-*.eml"); err != nil {
		return fmt.Errorf("spool a message of %d octets: %w", b.size, err)
	}
	// Unlinked while open, where the system allows it: whatever becomes of us,
	// no copy of anybody's mail stays in a directory for temporary files.
	_ = os.Remove(b.file.Name())
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(b.file, h), body)
	switch {
	case err != nil:
		return err
	case n < b.size:
		return b.short(n, io.EOF)
	case n > b.size:
		return fmt.Errorf("%d octets, %d were announced", n, b.size)
	}
	h.Sum(b.t0[:0])
	return nil
}

// Size returns the number of octets.
func (b *Body) Size() int64 { return b.size }

// T0 returns their SHA-256.
func (b *Body) T0() mailproof.Hash { return b.t0 }

// Reader reads the octets from their start. It is valid until Release, and one
// at a time.
func (b *Body) Reader() io.ReadSeeker {
	if b.file != nil {
		return io.NewSectionReader(b.file, 0, b.size)
	}
	return bytes.NewReader(b.memory)
}

// Release gives the memory or the file back. Calling it again does nothing.
func (b *Body) Release() error {
	var err error
	if b.file != nil {
		err = b.file.Close()
		_ = os.Remove(b.file.Name()) // gone already, but for systems that keep what is open
		b.file = nil
	}
	if b.memory != nil {
		giveBack(b.memory)
		b.memory = nil
	}
	if b.weight > 0 {
		b.pool.budget.Release(b.weight)
		b.weight = 0
	}
	return err
}

// Buffers are kept by powers of two up to a size beyond which the garbage
// collector has them: what is kept counts against nobody's budget.
const largestKept = 256 << 10

var kept [19]sync.Pool

// capacity is the size of the buffer that a message of a size gets.
func capacity(size int64) int {
	n := max(int(size), smallest)
	if n > largestKept {
		return n
	}
	return 1 << bits.Len(uint(n-1))
}

func buffer(size int64) []byte {
	n := capacity(size)
	if n <= largestKept {
		if p, ok := kept[bits.Len(uint(n))-1].Get().(*[]byte); ok {
			return (*p)[:size]
		}
	}
	return make([]byte, size, n)
}

func giveBack(b []byte) {
	if n := cap(b); n <= largestKept && n&(n-1) == 0 {
		b = b[:0]
		kept[bits.Len(uint(n))-1].Put(&b)
	}
}
