package engagement

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
)

// benchRows is how many messages each side has: MAILPROOF_BENCH_ROWS, else
// 20,000.
func benchRows(b testing.TB) int {
	n := 20_000
	if v := os.Getenv("MAILPROOF_BENCH_ROWS"); v != "" {
		if _, err := fmt.Sscan(v, &n); err != nil {
			b.Fatal(err)
		}
	}
	return n
}

// fillLedger records an inventory of both sides in dir: four accounts with n
// messages in all, of which one in a hundred is missing on the destination.
func fillLedger(b testing.TB, dir string, n int) {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	ctx := b.Context()
	l, err := ledger.Open(ctx, filepath.Join(dir, LedgerFile))
	must(err)
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		pass, err := l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: side, Depth: mailproof.DepthFull, Started: time.Now()})
		must(err)
		for a := range 4 {
			name := fmt.Sprintf("user%d@example.com", a)
			scan := mailproof.Scan{Pass: pass, Account: name, Side: side, Started: time.Now(), Server: mailproof.ServerInfo{Address: "localhost:993"}}
			must(l.BeginScan(ctx, scan))
			state := mailproof.MailboxState{UIDValidity: 1, UIDNext: mailproof.UID(n + 1), Exists: uint32(n / 4)}
			w, err := l.BeginMailbox(ctx, pass, name, side, mailproof.Mailbox{Name: "INBOX", Separator: "/"}, state)
			must(err)
			present := int64(0)
			for i := range n / 4 {
				if side == mailproof.Destination && i%100 == 7 {
					continue
				}
				must(w.Add(ctx, fillMessage(mailproof.MessageKey{Side: side, Account: name, Mailbox: "INBOX", UIDValidity: 1, UID: mailproof.UID(i + 1)}, a*n+i)))
				present++
			}
			state.Exists = uint32(present)
			must(w.End(ctx, state, mailproof.MailboxScan{Complete: true, Present: present}))
			scan.State, scan.Finished = mailproof.PassDone, time.Now()
			must(l.EndScan(ctx, scan))
		}
		must(l.EndPass(ctx, pass, mailproof.PassDone, "", int64(n), 0))
	}
	must(l.Close())
}

func fillMessage(key mailproof.MessageKey, n int) mailproof.Message {
	m := mailproof.Message{MessageKey: key, State: mailproof.Read,
		Metadata: mailproof.Metadata{UID: key.UID, InternalDate: time.Unix(1_500_000_000+int64(n)*60, 0).UTC(), Size: int64(2000 + n%10000)}}
	m.Fingerprint.Octets = m.Size
	for i := range m.Fingerprint.Hashes {
		x := uint64(n+1)*0x9E3779B97F4A7C15 + uint64(i)
		for j := 0; j+8 <= len(m.Fingerprint.Hashes[i]); j += 8 {
			x ^= x >> 29
			x *= 0xBF58476D1CE4E5B9
			x ^= x >> 32
			binary.LittleEndian.PutUint64(m.Fingerprint.Hashes[i][j:], x|1)
		}
	}
	d := &m.Fingerprint.Detail
	d.MessageID = fmt.Sprintf("<20260102030405.%d.ABCDEF@mail.example.com>", n)
	for _, f := range [][2]string{{"date", "2026-01-02T03:04:05Z"}, {"from", "anna.beispiel@example.com"}, {"subject", fmt.Sprintf("Re: the quarterly figures of plot %d", n)}} {
		d.Fields = append(d.Fields, mailproof.FieldDigest{Name: f[0], Value: f[1]})
	}
	return m
}

// The list has every message of the ledger once, in the order of folders and
// UIDs, with its words.
func TestMessagesOfLedger(t *testing.T) {
	dir := t.TempDir()
	fillLedger(t, dir, 2000)
	e, err := OpenReadOnly(t.Context(), dir, nil, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	c, err := e.Compare(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	d, err := e.Document(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // twice: it yields the same each time
		var counts mailproof.Counts
		numbered, last := 0, mailproof.MessageKey{}
		for m, err := range d.Messages() {
			if err != nil {
				t.Fatal(err)
			}
			counts.Count(m.Verdict)
			if m.Key.Account == last.Account && m.Key.UID <= last.UID {
				t.Fatalf("%v comes after %v", m.Key, last)
			}
			last = m.Key
			if m.Subject == "" || m.MessageID == "" || m.Size == 0 || m.Date.IsZero() {
				t.Fatalf("no words of %+v", m)
			}
			if (m.Verdict == mailproof.Missing) != (m.Exception != "") || (m.Verdict == mailproof.Missing) != (m.Counterpart.UID == 0) {
				t.Fatalf("%+v", m)
			}
			if m.Exception != "" {
				numbered++
			}
		}
		if counts.Missing != c.Totals.Missing || counts.Identical != c.Totals.Identical || counts.Missing == 0 || numbered != len(d.Exceptions) {
			t.Errorf("the list has %+v, the ledger %+v; %d numbered", counts, c.Totals, numbered)
		}
	}
	if len(d.History) != 2 || d.History[0].New != 2000 || d.History[1].Present != c.Totals.DestinationMessages || d.History[1].Root == "" {
		t.Errorf("history %+v", d.History)
	}
}

// BenchmarkReport prints what a report costs, from the ledger to the files: the
// comparison, the three files, and the CSV export with every message.
func BenchmarkReport(b *testing.B) {
	n := benchRows(b)
	dir := b.TempDir()
	fillLedger(b, dir, n)
	runtime.GC()
	for b.Loop() {
		e, err := OpenReadOnly(b.Context(), dir, nil, Options{})
		if err != nil {
			b.Fatal(err)
		}
		stop, peak := make(chan struct{}), make(chan uint64)
		go func() {
			var most uint64
			for {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
				select {
				case <-stop:
					peak <- most
					return
				case <-time.After(50 * time.Millisecond):
				}
			}
		}()
		step := func(name string, f func() error) {
			started := time.Now()
			if err := f(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(time.Since(started).Seconds(), name+"-s")
		}
		var c Comparison
		step("compare", func() (err error) { c, err = e.Compare(b.Context(), nil); return err })
		d, err := e.Document(b.Context(), c)
		if err != nil {
			b.Fatal(err)
		}
		step("files", func() error { return e.WriteReports(d) })
		step("csv", func() error { _, err := d.WriteCSV(filepath.Join(dir, "csv")); return err })
		close(stop)
		b.ReportMetric(float64(<-peak)/1e6, "heap-MB")
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
