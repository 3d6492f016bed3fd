package ledger

import (
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// BenchmarkReread reads every message again: once the same, once another.
func BenchmarkReread(b *testing.B) {
	n := benchRows(b) / 5
	for b.Loop() {
		l := openBench(b)
		load(b, l, "anna", mailproof.Source, n)
		for round, unit := range []string{"same/s", "changed/s"} {
			pass, err := l.BeginPass(b.Context(), mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull})
			if err != nil {
				b.Fatal(err)
			}
			if err := l.BeginScan(b.Context(), mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}); err != nil {
				b.Fatal(err)
			}
			w, err := l.BeginMailbox(b.Context(), pass, "anna", mailproof.Source, mailproof.Mailbox{Name: "INBOX"}, mailproof.MailboxState{UIDValidity: 1})
			if err != nil {
				b.Fatal(err)
			}
			started := time.Now()
			for i := range n {
				m := benchMessage(keyOf(mailproof.Source, 0), i)
				m.Fingerprint.Octets += int64(round)
				if changed, err := w.Reread(b.Context(), m); err != nil || changed != (round == 1) {
					b.Fatal(changed, err)
				}
			}
			if err := w.End(b.Context(), mailproof.MailboxState{}, mailproof.MailboxScan{Complete: true}); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(n)/time.Since(started).Seconds(), unit)
		}
		inv, err := l.Inventory(b.Context(), "anna", mailproof.Source)
		if err != nil {
			b.Fatal(err)
		}
		started := time.Now()
		for _, err := range inv.Rows(b.Context(), mailproof.T0) {
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(n)/time.Since(started).Seconds(), "rows-reread/s")
		if err := inv.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
