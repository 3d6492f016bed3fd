package ledger

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// benchMessage makes the n-th message: hashes in no order, and a detail of the
// size that a mail with a text, an HTML part and an attachment has.
func benchMessage(key mailproof.MessageKey, n int) mailproof.Message {
	key.UID = mailproof.UID(n + 1)
	m := mailproof.Message{MessageKey: key, State: mailproof.Read,
		Metadata: mailproof.Metadata{UID: key.UID, Flags: someFlags[n%3], InternalDate: time.Unix(1_500_000_000+int64(n)*60, 0).UTC(), Size: int64(2000 + n%10000)}}
	m.Fingerprint.Octets = m.Size
	for i := range m.Fingerprint.Hashes {
		x := uint64(n)*0x9E3779B97F4A7C15 + uint64(i)
		for j := 0; j < hashSize; j += 8 {
			x ^= x >> 29
			x *= 0xBF58476D1CE4E5B9
			x ^= x >> 32
			binary.LittleEndian.PutUint64(m.Fingerprint.Hashes[i][j:], x|1)
		}
	}
	d := &m.Fingerprint.Detail
	d.MessageID = fmt.Sprintf("<20260102030405.%d.ABCDEF@mail.example.com>", n)
	for _, f := range [][2]string{{"date", "2026-01-02T03:04:05Z"}, {"from", "anna.beispiel@example.com"}, {"to", "bert@example.net carla@example.org"},
		{"subject", "Re: the quarterly figures and what they mean for us"}, {"in-reply-to", "<20260101.123@mail.example.com>"}, {"references", "<a@example.com> <b@example.com>"}} {
		d.Fields = append(d.Fields, mailproof.FieldDigest{Name: f[0], Value: f[1]})
	}
	for _, l := range []string{"text/plain", "text/html", "application/pdf"} {
		d.Leaves = append(d.Leaves, mailproof.LeafDigest{Type: l, FileName: "", Size: 12345, Visible: mailproof.Short{1}})
	}
	d.LeafCount = len(d.Leaves)
	return m
}

// load fills one mailbox of an account with n messages and ends the scan.
func load(b testing.TB, l *Ledger, account string, side mailproof.Side, n int) time.Duration {
	b.Helper()
	must := func(err error) {
		if err != nil {
			b.Helper()
			b.Fatal(err)
		}
	}
	ctx := b.Context()
	started := time.Now()
	pass, err := l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: side, Depth: mailproof.DepthFull})
	must(err)
	scan := mailproof.Scan{Pass: pass, Account: account, Side: side, Started: time.Now(), Server: mailproof.ServerInfo{Address: "localhost:993"}}
	must(l.BeginScan(ctx, scan))
	state := mailproof.MailboxState{UIDValidity: 1, UIDNext: mailproof.UID(n + 1), Exists: uint32(n)}
	w, err := l.BeginMailbox(ctx, pass, account, side, mailproof.Mailbox{Name: "INBOX"}, state)
	must(err)
	key := mailproof.MessageKey{Side: side, Account: account, Mailbox: "INBOX", UIDValidity: 1}
	for i := range n {
		must(w.Add(ctx, benchMessage(key, i)))
	}
	must(w.End(ctx, state, mailproof.MailboxScan{Complete: true, Present: int64(n)}))
	scan.State, scan.Finished = mailproof.PassDone, time.Now()
	must(l.EndScan(ctx, scan))
	must(l.EndPass(ctx, pass, mailproof.PassDone, "", int64(n), 0))
	return time.Since(started)
}

func benchRows(b testing.TB) int {
	if v := os.Getenv("MAILPROOF_BENCH_ROWS"); v != "" {
		n := 0
		if _, err := fmt.Sscan(v, &n); err != nil {
			b.Fatal(err)
		}
		return n
	}
	return 100_000
}

func openBench(b testing.TB) *Ledger {
	b.Helper()
	l, err := Open(b.Context(), filepath.Join(b.TempDir(), "bench.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := l.Close(); err != nil {
			b.Error(err)
		}
	})
	return l
}

// BenchmarkLedger prints what the ledger costs, each step over the same rows.
// MAILPROOF_BENCH_ROWS says how many; the default is 100,000.
func BenchmarkLedger(b *testing.B) {
	n := benchRows(b)
	for b.Loop() {
		l := openBench(b)
		loading := load(b, l, "anna", mailproof.Source, n)
		b.ReportMetric(float64(n)/loading.Seconds(), "loaded/s")

		same := passAgain(b, l, n)
		b.ReportMetric(same.Seconds()*1e4/float64(n), "s/nothing-new-10k")

		for _, by := range []mailproof.Tier{mailproof.TierNone, mailproof.T0, mailproof.T2} {
			inv, err := l.Inventory(b.Context(), "anna", mailproof.Source)
			if err != nil {
				b.Fatal(err)
			}
			started := time.Now()
			count := 0
			for _, err := range inv.Rows(b.Context(), by) {
				if err != nil {
					b.Fatal(err)
				}
				count++
			}
			if count != n {
				b.Fatalf("%d rows", count)
			}
			b.ReportMetric(float64(n)/time.Since(started).Seconds(), "rows-by-"+by.String()+"/s")
			if err := inv.Close(); err != nil {
				b.Fatal(err)
			}
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(l.Path())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/float64(n), "octets/message")
		b.ReportMetric(peakRSS(b), "peak-RSS-MB")
		runtime.GC()
	}
}

// passAgain takes an inventory in which nothing is new.
func passAgain(b testing.TB, l *Ledger, n int) time.Duration {
	b.Helper()
	ctx := b.Context()
	started := time.Now()
	pass, err := l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull})
	if err != nil {
		b.Fatal(err)
	}
	scan := mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source, Started: time.Now()}
	if err := l.BeginScan(ctx, scan); err != nil {
		b.Fatal(err)
	}
	state := mailproof.MailboxState{UIDValidity: 1, UIDNext: mailproof.UID(n + 1), Exists: uint32(n)}
	w, err := l.BeginMailbox(ctx, pass, "anna", mailproof.Source, mailproof.Mailbox{Name: "INBOX"}, state)
	if err != nil {
		b.Fatal(err)
	}
	count := 0
	for _, err := range w.Known(ctx) {
		if err != nil {
			b.Fatal(err)
		}
		count++
	}
	if count != n {
		b.Fatalf("%d known", count)
	}
	if err := w.End(ctx, state, mailproof.MailboxScan{Complete: true, Present: int64(n)}); err != nil {
		b.Fatal(err)
	}
	scan.State, scan.Finished = mailproof.PassDone, time.Now()
	if err := l.EndScan(ctx, scan); err != nil {
		b.Fatal(err)
	}
	if err := l.EndPass(ctx, pass, mailproof.PassDone, "", 0, 0); err != nil {
		b.Fatal(err)
	}
	return time.Since(started)
}

// peakRSS is the most memory that the process ever held, in MB.
func peakRSS(b testing.TB) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	var kb float64
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &kb); err == nil {
			return kb / 1000
		}
	}
	return 0
}
