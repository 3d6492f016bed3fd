package ledger

import (
	"testing"

	"github.com/mailproof/mailproof"
)

func BenchmarkRows(b *testing.B) {
	n := benchRows(b)
	l := openBench(b)
	load(b, l, "anna", mailproof.Source, n)
	for _, by := range []mailproof.Tier{mailproof.TierNone, mailproof.T0} {
		b.Run(by.String(), func(b *testing.B) {
			for b.Loop() {
				inv, err := l.Inventory(b.Context(), "anna", mailproof.Source)
				if err != nil {
					b.Fatal(err)
				}
				for _, err := range inv.Rows(b.Context(), by) {
					if err != nil {
						b.Fatal(err)
					}
				}
				if err := inv.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
