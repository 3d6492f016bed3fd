// Package spool holds whole messages for a moment, on their way from a
// connection to whoever works on them: small ones in memory, within a budget
// that everybody shares, larger ones in a file that has no name. The memory is
// cut into pieces that are used again and again, so that the budget is what is
// really taken, whatever the sizes and the garbage collector. The room knows
// nothing of IMAP and looks into no message.
//
// A body is given out only when every announced octet is there; one that is
// cut short leaves nothing behind. Whoever holds a body must be able to finish
// with it without taking another one: else two holders of half the budget each
// would wait for one another.
package spool

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sync/semaphore"

	"github.com/mailproof/mailproof"
)

// What applies where [Options] say nothing.
const (
	DefaultBudget     = 16 << 20
	DefaultPerMessage = 8 << 20
)

// Options bound what a [Pool] takes.
type Options struct {
	Budget     int64  // octets in memory at once; 0: DefaultBudget
	PerMessage int64  // a larger message goes to a file; 0: DefaultPerMessage
	Dir        string // of the files; empty: the system's directory for temporary files
}

// Memory is given out in pieces, which are made a slab at a time.
const (
	piece = 2 << 10
	slab  = 128 // pieces
)

// Pool gives out bodies. It is safe for concurrent use.
type Pool struct {
	o      Options
	most   int64               // pieces
	budget *semaphore.Weighted // of them

	mu   sync.Mutex
	free [][]byte // pieces
}

// New returns an empty pool.
func New(o Options) *Pool {
	if o.Budget <= 0 {
		o.Budget = DefaultBudget
	}
	if o.PerMessage <= 0 {
		o.PerMessage = DefaultPerMessage
	}
	n := max(o.Budget/piece, 1)
	o.PerMessage = min(o.PerMessage, n*piece)
	return &Pool{o: o, most: n, budget: semaphore.NewWeighted(n)}
}

// Shrink gives up the memory that is kept for the next message, if no body is
// out: a program that goes on to something else has it for that.
func (p *Pool) Shrink() {
	if !p.budget.TryAcquire(p.most) {
		return
	}
	p.mu.Lock()
	p.free = nil
	p.mu.Unlock()
	p.budget.Release(p.most)
}

// Body is one whole message.
type Body struct {
	size   int64
	pieces [][]byte
	file   *os.File
	pool   *Pool
}

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
	if b.pieces, err = p.pieces(ctx, max((size+piece-1)/piece, 1)); err != nil {
		return b, err
	}
	return b, b.toMemory(body)
}

// pieces waits for so many of them.
func (p *Pool) pieces(ctx context.Context, n int64) ([][]byte, error) {
	if err := p.budget.Acquire(ctx, n); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for int64(len(p.free)) < n {
		// Never more than the budget, as what is out was acquired.
		memory := make([]byte, slab*piece)
		for at := 0; at < len(memory); at += piece {
			p.free = append(p.free, memory[at:at+piece:at+piece])
		}
	}
	rest := len(p.free) - int(n)
	out := append([][]byte(nil), p.free[rest:]...)
	p.free = p.free[:rest]
	return out, nil
}

func (p *Pool) giveBack(pieces [][]byte) {
	p.mu.Lock()
	p.free = append(p.free, pieces...)
	p.mu.Unlock()
	p.budget.Release(int64(len(pieces)))
}

func (b *Body) toMemory(body io.Reader) error {
	for at := int64(0); at < b.size; {
		n, err := io.ReadFull(body, b.pieces[at/piece][:min(b.size-at, piece)])
		if at += int64(n); err != nil {
			return b.short(at, err)
		}
	}
	// The end must be seen: only then the reader has vouched for the octets.
	var more [1]byte
	switch n, err := io.ReadFull(body, more[:]); {
	case n > 0:
		return fmt.Errorf("more than the %d octets announced", b.size)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// short keeps a reader's own error; the end of a body before its time is
// io.ErrUnexpectedEOF.
func (b *Body) short(n int64, err error) error {
	if errors.Is(err, io.EOF) {
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
	n, err := io.Copy(b.file, body)
	switch {
	case err != nil:
		return err
	case n < b.size:
		return b.short(n, io.EOF)
	case n > b.size:
		return fmt.Errorf("%d octets, %d were announced", n, b.size)
	}
	return nil
}

// Size returns the number of octets.
func (b *Body) Size() int64 { return b.size }

// T0 reads the octets once more and returns their SHA-256.
func (b *Body) T0() (t0 mailproof.Hash, err error) {
	h := sha256.New()
	if err := b.writeTo(h); err != nil {
		return t0, fmt.Errorf("read a spooled message: %w", err)
	}
	h.Sum(t0[:0])
	return t0, nil
}

// writeTo writes the octets, what is in memory from where it lies.
func (b *Body) writeTo(w io.Writer) error {
	if b.pieces == nil {
		_, err := io.Copy(w, b.Reader())
		return err
	}
	rest := b.size
	for _, p := range b.pieces {
		n := min(rest, piece)
		if _, err := w.Write(p[:n]); err != nil {
			return err
		}
		rest -= n
	}
	return nil
}

// Reader reads the octets from their start. It is valid until Release, and one
// at a time.
func (b *Body) Reader() io.ReadSeeker { return io.NewSectionReader(b, 0, b.size) }

// ReadAt implements [io.ReaderAt].
func (b *Body) ReadAt(p []byte, at int64) (n int, err error) {
	switch {
	case b.file != nil:
		return b.file.ReadAt(p, at)
	case b.pieces == nil:
		return 0, os.ErrClosed
	case at < 0:
		return 0, os.ErrInvalid
	}
	for n < len(p) && at < b.size {
		k := copy(p[n:], b.pieces[at/piece][at%piece:min(at-at%piece+piece, b.size)-(at-at%piece)])
		n, at = n+k, at+int64(k)
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Release gives the memory or the file back. Calling it again does nothing.
func (b *Body) Release() error {
	var err error
	if b.file != nil {
		err = b.file.Close()
		_ = os.Remove(b.file.Name()) // gone already, but for systems that keep what is open
		b.file = nil
	}
	if b.pieces != nil {
		b.pool.giveBack(b.pieces)
		b.pieces = nil
	}
	return err
}
