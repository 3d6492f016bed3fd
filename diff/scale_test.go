package diff

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"math/bits"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// generated is an inventory that makes its rows as they are asked for, so that
// what a benchmark measures is the comparison's own memory.
type generated struct {
	side  mailproof.Side
	n     int
	lost  int  // every lost-th message is not here; 0: none
	same  bool // all are copies of one message
	fresh bool // rebuilt: T0 and T1 are others than on the other side
	order map[mailproof.Tier][]uint32
}

func mix(tier mailproof.Tier, n uint64) uint64 {
	x := (n + 1) * 0x9e3779b97f4a7c15
	x ^= uint64(tier) * 0xbf58476d1ce4e5b9
	hi, lo := bits.Mul64(x, 0x94d049bb133111eb)
	return hi ^ lo
}

func (g *generated) value(tier mailproof.Tier, i uint32) uint64 {
	v := mix(tier, uint64(i))
	if g.fresh && tier < mailproof.T2 {
		v ^= 0xdeadbeef00000000
	}
	return v
}

func (g *generated) row(i uint32) mailproof.Row {
	r := mailproof.Row{
		ID: int64(i) + 1, Mailbox: int(uint64(i) * 20 / uint64(g.n)), UID: mailproof.UID(i + 1), FirstPass: 1,
		InternalDate: day.Add(time.Duration(i) * time.Second), Size: 5000, Octets: 5000, State: mailproof.Read,
	}
	for _, t := range mailproof.Tiers() {
		h := &r.Hashes[t-1]
		if g.same {
			h[0] = byte(t)
			continue
		}
		binary.BigEndian.PutUint64(h[:], g.value(t, i))
		binary.BigEndian.PutUint64(h[8:], uint64(i)|1<<63)
	}
	return r
}

func (g *generated) has(i uint32) bool { return g.lost == 0 || int(i)%g.lost != g.lost-1 }

// prepare sorts by a tier ahead of time, as an index of the ledger does.
func (g *generated) prepare(tiers ...mailproof.Tier) {
	g.order = map[mailproof.Tier][]uint32{}
	for _, t := range tiers {
		order := make([]uint32, g.n)
		for i := range order {
			order[i] = uint32(i)
		}
		slices.SortFunc(order, func(a, b uint32) int {
			x, y := g.row(a).Hashes[t-1], g.row(b).Hashes[t-1]
			return bytes.Compare(x[:], y[:])
		})
		g.order[t] = order
	}
}

func (g *generated) Scan() mailproof.Scan {
	return mailproof.Scan{Pass: mailproof.PassID(g.side), Account: "big", Side: g.side, State: mailproof.PassDone}
}

func (g *generated) Mailboxes() []mailproof.MailboxScan {
	out := make([]mailproof.MailboxScan, 20)
	for i := range out {
		out[i] = mailproof.MailboxScan{Mailbox: mailproof.Mailbox{Name: fmt.Sprintf("folder %02d", i), Separator: "/"}, Complete: true}
	}
	for i := range uint32(g.n) {
		if g.has(i) {
			out[uint64(i)*20/uint64(g.n)].Present++
		}
	}
	return out
}

func (g *generated) Rows(ctx context.Context, by mailproof.Tier) iter.Seq2[mailproof.Row, error] {
	return func(yield func(mailproof.Row, error) bool) {
		order := g.order[by]
		if by != mailproof.TierNone && order == nil {
			yield(mailproof.Row{}, fmt.Errorf("not prepared for %v", by))
			return
		}
		for i := range uint32(g.n) {
			if order != nil {
				i = order[i]
			}
			if g.has(i) && !yield(g.row(i), nil) {
				return
			}
		}
	}
}

func (g *generated) Message(ctx context.Context, id int64) (mailproof.Message, error) {
	r := g.row(uint32(id - 1))
	return mailproof.Message{State: mailproof.Read, Fingerprint: mailproof.Fingerprint{
		Hashes: r.Hashes, Octets: r.Octets, Detail: mailproof.Detail{MessageID: fmt.Sprintf("<%d@x>", id), LeafCount: 1},
	}}, nil
}

// pairBig compares two large inventories and reports time and memory.
func pairBig(b *testing.B, n int, fresh bool) {
	src, dst := &generated{side: mailproof.Source, n: n}, &generated{side: mailproof.Destination, n: n, lost: 100_000, fresh: fresh}
	tiers := []mailproof.Tier{mailproof.T0}
	if fresh {
		tiers = append(tiers, mailproof.T1, mailproof.T2)
	}
	src.prepare(tiers...)
	dst.prepare(tiers...)
	// The harness's own cost: what it takes to make the rows.
	began := time.Now()
	for _, g := range []*generated{src, dst} {
		for _, t := range append([]mailproof.Tier{mailproof.TierNone}, tiers...) {
			for range g.Rows(b.Context(), t) {
			}
		}
	}
	rows := time.Since(began)
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for b.Loop() {
		var peak uint64
		seen := 0
		res, err := Compare(b.Context(), src, dst, Options{OnResult: func(Result) error {
			if seen++; seen%(n/10) == 0 {
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
			return nil
		}})
		if err != nil {
			b.Fatal(err)
		}
		if c := res.Counts; c.Missing != int64(n/100_000) || !c.Balanced() || c.Found() != int64(n-n/100_000) {
			b.Fatalf("%+v", c)
		}
		b.ReportMetric(float64(peak-min(peak, before.HeapAlloc))/(1<<20), "peak-MiB")
	}
	b.ReportMetric(rows.Seconds(), "rows-s")
	b.ReportMetric(float64(2*n)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

// A million copies of one message are one set on each side.
func BenchmarkPairCopies(b *testing.B) {
	const n = 1_000_000
	src, dst := &generated{side: mailproof.Source, n: n, same: true}, &generated{side: mailproof.Destination, n: n, same: true}
	src.prepare(mailproof.T0)
	dst.prepare(mailproof.T0)
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	for b.Loop() {
		var peak uint64
		seen := 0
		res, err := Compare(b.Context(), src, dst, Options{OnResult: func(Result) error {
			if seen++; seen%(n/10) == 1 {
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapAlloc)
			}
			return nil
		}})
		if err != nil || res.Counts.Identical != n {
			b.Fatalf("%+v, %v", res.Counts, err)
		}
		b.ReportMetric(float64(peak-min(peak, before.HeapAlloc))/(1<<20), "peak-MiB")
	}
	b.ReportMetric(float64(2*n)*float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func BenchmarkPairIdentical(b *testing.B) { pairBig(b, 1_000_000, false) }
func BenchmarkPairRebuilt(b *testing.B)   { pairBig(b, 1_000_000, true) }
