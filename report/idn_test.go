package report

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// A person reads an internationalised domain in both forms; report.json has the
// one that DNS holds.
func TestDomainNames(t *testing.T) {
	const ascii, shown = "xn--bcher-kva.example", "bücher.example"
	d := sample{accounts: 1, exceptions: 0, verdict: mailproof.Complete}.document()
	d.Engagement.Domains = []string{ascii}
	d.DNS = []mailproof.Finding{{Check: "mx.expected", Domain: ascii, Phase: mailproof.Confirmation, Outcome: mailproof.OutcomeFail, Observed: "MX 10 old.example.", Remedy: ascii + ". 300 IN MX 10 new.example."}}
	d.DomainNames = map[string]string{ascii: shown}
	var html bytes.Buffer
	if err := d.WriteHTML(&html); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(html.String(), ascii+" ("+shown+")"); n < 2 {
		t.Errorf("both forms stand together %d times in the HTML", n)
	}
	if !strings.Contains(html.String(), ascii+". 300 IN MX") {
		t.Error("the zone line is not as DNS holds it")
	}
	for _, x := range d.JSON().DNS {
		if x.Domain != ascii {
			t.Errorf("report.json has %q", x.Domain)
		}
	}
}
