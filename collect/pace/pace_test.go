package pace

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"
)

type notes struct {
	mu   sync.Mutex
	days map[time.Time]int64
}

func (n *notes) Used(_ context.Context, day time.Time, _ Direction) (int64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.days[day], nil
}

func (n *notes) Note(_ context.Context, day time.Time, _ Direction, octets int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.days == nil {
		n.days = map[time.Time]int64{}
	}
	n.days[day] += octets
	return nil
}

// Whatever the messages and however many connections share the budget: no day's
// sum exceeds the limit but for a single message larger than it, the boundary is
// one of messages, and over the days everything goes.
func TestBudget(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		limit := int64(1000 + r.IntN(5000))
		sizes := make([]int64, 200)
		for i := range sizes {
			sizes[i] = int64(1 + r.IntN(600))
		}
		sizes[r.IntN(200)] = limit + 7 // larger than a day
		now := time.Date(2026, 3, 1, 23, 59, 0, 0, time.UTC)
		book := &notes{}
		b := &Budget{What: "x", Limit: limit, Book: book, Now: func() time.Time { return now }}
		for days := 0; len(sizes) > 0; days++ {
			if days > 500 {
				t.Fatal("does not come to an end")
			}
			// Each day is a process of its own: nothing but the book is carried on.
			b = &Budget{What: "x", Limit: limit, Book: book, Now: b.Now}
			for len(sizes) > 0 {
				n, octets, err := b.Take(t.Context(), sizes[:min(len(sizes), 1+r.IntN(20))])
				if serr := b.Settle(t.Context(), octets, octets); serr != nil {
					t.Fatal(serr)
				}
				sizes = sizes[n:]
				if err != nil {
					var x *ExhaustedError
					if !errors.As(err, &x) || !x.Resume.After(now) || x.Resume.Sub(now) > 24*time.Hour || x.Resume.Hour() != 0 {
						t.Fatalf("%v, resume %v", err, x.Resume)
					}
					now = x.Resume
					break
				}
			}
		}
		over := 0
		for _, used := range book.days {
			if used > limit+7 {
				t.Fatalf("seed %d: %d of %d octets on one day", seed, used, limit)
			}
			if used > limit {
				over++
			}
		}
		if over != 1 {
			t.Errorf("seed %d: %d days over the limit, want the one of the large message", seed, over)
		}
	}
}

// What several connections have taken and not settled counts.
func TestBudgetShared(t *testing.T) {
	b := &Budget{What: "x", Limit: 1000, Book: &notes{}}
	var mu sync.Mutex
	var taken int64
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			_, octets, _ := b.Take(t.Context(), []int64{90, 90})
			mu.Lock()
			defer mu.Unlock()
			taken += octets
		})
	}
	wait.Wait()
	if taken > 1000 || taken < 900 {
		t.Errorf("%d octets were granted of 1000", taken)
	}
	if err := b.Settle(t.Context(), taken, 10); err != nil {
		t.Fatal(err)
	}
	if left, ok, err := b.Left(t.Context()); left != 990 || !ok || err != nil {
		t.Error(left, ok, err)
	}
}

func TestParse(t *testing.T) {
	for text, want := range map[string]int64{"500": 500, "35 MB": 35e6, "2.5GB": 25e8, "1MiB": 1 << 20, "10k": 1e4, "1,000 B": 1000, "2TB": 2e12} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("%s: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "MB", "-5", "1e9", "5 parsec", "99999999999TB", "NaN"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%s: %d", text, got)
		}
	}
	if got, err := ParseRate("5MB/s", false); got != 5e6 || err != nil {
		t.Error(got, err)
	}
	if got, err := ParseRate("0.5/s", true); got != 0.5 || err != nil {
		t.Error(got, err)
	}
	for _, text := range []string{"5MB", "0/s", "/s", "-1/s", "inf/s"} {
		if _, err := ParseRate(text, true); err == nil {
			t.Error(text)
		}
	}
}

// A rate lets pass what exceeds its burst, and a nil one everything.
func TestRate(t *testing.T) {
	var none *Rate
	if err := errors.Join(none.Octets(t.Context(), 1<<30), none.Messages(t.Context(), 1<<30), NewRate(0, 5).Octets(t.Context(), 1<<30)); err != nil {
		t.Error(err)
	}
	if err := NewRate(1e9, 0).Octets(t.Context(), 1e9/2); err != nil {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := NewRate(1, 0).Octets(ctx, 10); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func FuzzParseSize(f *testing.F) {
	f.Add("2.5GB")
	f.Fuzz(func(t *testing.T, s string) {
		if n, err := ParseSize(s); err == nil && n < 0 {
			t.Errorf("%q: %d", s, n)
		}
	})
}
