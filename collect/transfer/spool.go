package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"slices"
	"sync"

	"github.com/mailproof/mailproof"
)

// spooled is one message, whole, on its way from the source to the
// destination: in memory, or in a file that nobody else can open.
type spooled struct {
	step mailproof.Step
	size int64
	t0   mailproof.Hash
	mem  *bytes.Buffer
	file *os.File
	free func()
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// spool takes one message off the source. It returns only when every octet is
// there; a body that is cut short is an error and leaves nothing behind.
func (e *engine) spool(ctx context.Context, step mailproof.Step, size int64, body io.Reader) (_ spooled, err error) {
	m := spooled{step: step, size: size}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.release())
		}
	}()
	h := newHash()
	if size <= e.MemoryPerMessage && size <= e.MemoryInFlight {
		// A weight of at least 4 KiB stands for what a message costs beside
		// its octets.
		weight := min(max(size, 4<<10), e.MemoryInFlight)
		if err := e.budget.Acquire(ctx, weight); err != nil {
			return m, err
		}
		m.free = func() { e.budget.Release(weight) }
		m.mem = buffers.Get().(*bytes.Buffer)
		m.mem.Reset()
		err = m.fill(m.mem, h, body)
	} else {
		if m.file, err = os.CreateTemp(e.SpoolDir, "mailproof-spool-*.eml"); err != nil {
			return m, fmt.Errorf("spool a message of %d octets: %w", size, err)
		}
		// Unlinked while open: whatever becomes of us, no copy of anybody's
		// mail stays in a directory for temporary files.
		if err = os.Remove(m.file.Name()); err == nil {
			err = m.fill(m.file, h, body)
		}
		if err == nil {
			_, err = m.file.Seek(0, io.SeekStart)
		}
	}
	if err != nil {
		return m, err
	}
	m.t0 = hashOf(h.Sum(nil))
	e.sum.SourceRead++
	e.sum.SourceBytes += size
	return m, nil
}

func (m *spooled) fill(w io.Writer, h hash.Hash, body io.Reader) error {
	n, err := io.Copy(io.MultiWriter(w, h), body)
	if err == nil && n != m.size {
		err = fmt.Errorf("uid %d: %d of %d octets: %w", m.step.Source.UID, n, m.size, io.ErrUnexpectedEOF)
	}
	return err
}

func (m *spooled) reader() io.Reader {
	if m.file != nil {
		return m.file
	}
	return bytes.NewReader(m.mem.Bytes())
}

// release gives back the memory or the file. It may be called on a message
// that was never filled.
func (m *spooled) release() error {
	var err error
	if m.file != nil {
		err = m.file.Close()
		m.file = nil
	}
	if m.mem != nil {
		if m.mem.Cap() <= 1<<20 { // let the garbage collector have large ones
			buffers.Put(m.mem)
		}
		m.mem = nil
	}
	if m.free != nil {
		m.free()
		m.free = nil
	}
	return err
}

func sortByUID(mds []mailproof.Metadata) {
	slices.SortFunc(mds, func(a, b mailproof.Metadata) int { return int(int64(a.UID) - int64(b.UID)) })
}
