package spool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/mailproof/mailproof"
)

func octets(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// Whatever the size, in memory or in a file, what goes in comes out, again and
// again, under its SHA-256.
func TestKeeps(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	p := New(Options{Budget: 64 << 10, PerMessage: 20_000, Dir: dir})
	for _, n := range []int{0, 1, 4095, 4096, 4097, 8192, 19_999, 20_000, 20_001, 100_000} {
		raw := octets(r, n)
		b, err := p.Take(t.Context(), int64(n), iotest.OneByteReader(bytes.NewReader(raw)))
		if err != nil {
			t.Fatalf("%d octets: %v", n, err)
		}
		if (b.file == nil) != p.Small(int64(n)) {
			t.Errorf("%d octets: in a file: %v", n, b.file != nil)
		}
		for range 2 {
			if err := iotest.TestReader(b.Reader(), raw); err != nil {
				t.Errorf("%d octets: %v", n, err)
			}
		}
		if t0, err := b.T0(); err != nil || b.Size() != int64(n) || t0 != mailproof.Hash(sha256.Sum256(raw)) {
			t.Errorf("%d octets: size %d, T0 %v, %v", n, b.Size(), t0, err)
		}
		if err := errors.Join(b.Release(), b.Release()); err != nil {
			t.Error(err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A body that is cut short, or too long, or whose reader will not say that it
// is complete, is none.
func TestRefuses(t *testing.T) {
	lie := errors.New("the response was not whole")
	for _, perMessage := range []int64{1, 1 << 20} {
		dir := t.TempDir()
		p := New(Options{Budget: 64 << 10, PerMessage: perMessage, Dir: dir})
		for _, tt := range []struct {
			name string
			body io.Reader
			want error
		}{
			{"short", bytes.NewReader(make([]byte, 9_999)), io.ErrUnexpectedEOF},
			{"cut", io.MultiReader(bytes.NewReader(make([]byte, 5_000)), iotest.ErrReader(io.ErrUnexpectedEOF)), io.ErrUnexpectedEOF},
			{"all octets and no end", io.MultiReader(bytes.NewReader(make([]byte, 10_000)), iotest.ErrReader(lie)), lie},
			{"long", bytes.NewReader(make([]byte, 10_001)), nil},
		} {
			b, err := p.Take(t.Context(), 10_000, tt.body)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("%s, in memory up to %d: %v, %v", tt.name, perMessage, b, err)
			}
		}
		if !p.budget.TryAcquire(16) {
			t.Error("what was refused keeps its memory")
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	}
}

// The budget holds, whoever takes and however many at once.
func TestBudget(t *testing.T) {
	const budget = 32 << 10
	p := New(Options{Budget: budget})
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			r := rand.New(rand.NewPCG(3, uint64(i)))
			for range 200 {
				raw := octets(r, r.IntN(12_000))
				b, err := p.Take(t.Context(), int64(len(raw)), bytes.NewReader(raw))
				if err != nil {
					t.Error(err)
					return
				}
				if got, err := io.ReadAll(b.Reader()); err != nil || !bytes.Equal(got, raw) {
					t.Errorf("other octets, %v", err)
				}
				if err := b.Release(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	// What a slab has beyond the budget is never given out.
	if n := len(p.free); n*piece > budget+slab*piece || !p.budget.TryAcquire(budget/piece) {
		t.Errorf("%d pieces made", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := p.Take(ctx, 1, bytes.NewReader([]byte("x"))); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("given beyond the budget: %v", err)
	}
}

// Shrink gives up memory when nobody has any of it, and only then; the pool goes
// on as before.
func TestShrink(t *testing.T) {
	p := New(Options{Budget: 1 << 20})
	raw := bytes.Repeat([]byte("0123456789"), 5000)
	b, err := p.Take(t.Context(), int64(len(raw)), bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	p.Shrink()
	if got, err := io.ReadAll(b.Reader()); err != nil || !bytes.Equal(got, raw) || len(p.free) == 0 {
		t.Fatalf("after Shrink with a body out: %d octets, %v, %d pieces free", len(got), err, len(p.free))
	}
	if err := b.Release(); err != nil {
		t.Fatal(err)
	}
	p.Shrink()
	if len(p.free) != 0 {
		t.Errorf("%d pieces kept", len(p.free))
	}
	for range 40 { // of the whole budget, many times over
		b, err := p.Take(t.Context(), int64(len(raw)), bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.free); n == 0 || n > 1<<20/piece {
		t.Errorf("%d pieces", n)
	}
}
