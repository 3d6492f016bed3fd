package report

import (
	"io"
	"testing"

	"github.com/mailproof/mailproof"
)

func BenchmarkPDF(b *testing.B) {
	d := sample{accounts: 300, exceptions: 300, verdict: mailproof.Incomplete}.document()
	for b.Loop() {
		if err := d.WritePDF(io.Discard, PDFOptions{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkHTML(b *testing.B) {
	d := sample{accounts: 300, exceptions: 300, verdict: mailproof.Incomplete}.document()
	for b.Loop() {
		if err := d.WriteHTML(io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
