package report

import (
	"slices"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

func observed(server string, minutes int, records ...string) mailproof.Observation {
	return mailproof.Observation{AA: true, Time: sampleTime.Add(time.Duration(minutes) * time.Minute), Question: "a.example.", Type: "MX", Server: server, Role: "authoritative", RCode: "NOERROR", Records: records}
}

func referral(server string, minutes int) mailproof.Observation {
	o := observed(server, minutes, "example. 86400 IN NS ns1.example.")
	o.AA = false
	return o
}

// What a server has replaced since is no disagreement; what two servers say
// now is.
func TestAnswers(t *testing.T) {
	older, newer := "a.example. 300 IN MX 10 old.example.", "a.example. 60 IN MX 10 new.example."
	for name, tt := range map[string]struct {
		of     []mailproof.Observation
		first  []string
		rows   int
		differ bool
	}{
		"one answer, other TTL": {[]mailproof.Observation{observed("ns1", 0, older), observed("ns2", 0, "a.example. 299 IN MX 10 old.example.")}, []string{"10 old.example."}, 1, false},
		"changed on both":       {[]mailproof.Observation{observed("ns1", 0, older), observed("ns2", 0, older), observed("ns1", 5, newer), observed("ns2", 5, newer)}, []string{"10 new.example."}, 2, false},
		"one lags":              {[]mailproof.Observation{observed("ns1", 0, older), observed("ns2", 0, older), observed("ns1", 5, newer), observed("ns2", 4, older)}, []string{"10 new.example."}, 2, true},
		"in any order":          {[]mailproof.Observation{observed("ns1", 5, newer), observed("ns1", 0, older)}, []string{"10 new.example."}, 2, false},
		"no record":             {[]mailproof.Observation{observed("ns1", 0, "a.example. 300 IN SOA ns1. root. 1 2 3 4 5")}, nil, 1, false},
		"a referral":            {[]mailproof.Observation{observed("ns1", 0, older), referral("root", 0)}, []string{"10 old.example."}, 1, false},
		"a chain":               {[]mailproof.Observation{observed("ns1", 0, "a.example. 300 IN CNAME b.example.", "b.example. 300 IN MX 5 c.example.")}, []string{"5 c.example.", "CNAME b.example."}, 1, false},
	} {
		got := (&Document{}).answersTo(tt.of)
		if len(got) != tt.rows || !slices.Equal(got[0].records, tt.first) || disagree(got) != tt.differ {
			t.Errorf("%s: %d answers, first %q, differ %v", name, len(got), got[0].records, disagree(got))
		}
		if tt.first == nil && got[0].failure != "no such record" {
			t.Errorf("%s: failure %q", name, got[0].failure)
		}
	}
}

// What asks for a look is always listed, whatever its phase.
func TestDNSListed(t *testing.T) {
	f := func(check string, phase mailproof.Phase, o mailproof.Outcome) mailproof.Finding {
		return mailproof.Finding{Check: check, Domain: "a.example", Phase: phase, Outcome: o}
	}
	d := &Document{}
	now := []mailproof.Finding{f("x", mailproof.Confirmation, mailproof.OutcomePass)}
	d.FromAccounts(nil, now)
	d.DNS = append([]mailproof.Finding{f("x", mailproof.Readiness, mailproof.OutcomePass), f("y", mailproof.Readiness, mailproof.OutcomeFail), f("z", mailproof.Readiness, mailproof.OutcomeUnknown)}, now...)
	list, folded := d.dnsListed()
	if len(list) != 3 || folded != 1 {
		t.Errorf("%d listed, %d folded", len(list), folded)
	}
	d.Findings = nil
	if list, folded = d.dnsListed(); len(list) != 4 || folded != 0 {
		t.Errorf("nothing judged: %d listed, %d folded", len(list), folded)
	}
	if n := d.outcomes(mailproof.OutcomeFail); n != 0 {
		t.Errorf("the lead would speak of %d failed checks that take no part in the verdict", n)
	}
}
