package dnsaudit

import (
	"slices"

	"github.com/mailproof/mailproof"
)

// CheckInfo describes one check, for people and for the list of checks.
type CheckInfo struct {
	ID        string            `json:"id"`
	Rule      string            `json:"rule"` // one line
	Reference string            `json:"reference,omitempty"`
	Phases    []mailproof.Phase `json:"phases"`
}

// check is one entry of the registry. run reads the dossier and returns its
// findings; none where the check does not apply to the domain.
type check struct {
	CheckInfo
	run func(*dossier) []mailproof.Finding
}

func (c check) at(p mailproof.Phase) bool { return slices.Contains(c.Phases, p) }

var (
	always      = []mailproof.Phase{mailproof.Planning, mailproof.Readiness, mailproof.Confirmation}
	atPlanning  = []mailproof.Phase{mailproof.Planning}
	atReadiness = []mailproof.Phase{mailproof.Readiness}
	afterwards  = []mailproof.Phase{mailproof.Confirmation}
)

// registry is every check, in the order in which findings are listed.
var registry = slices.Concat(zoneChecks, ttlChecks, mxChecks, spfChecks, autodiscoverChecks, clientChecks, dkimChecks, dmarcChecks, transportChecks, certificateChecks, leftoverChecks)

// Checks returns every check that an audit makes.
func Checks() []CheckInfo {
	out := make([]CheckInfo, 0, len(registry))
	for _, c := range registry {
		info := c.CheckInfo
		info.Phases = slices.Clone(info.Phases)
		out = append(out, info)
	}
	return out
}

// one makes a single finding.
func one(outcome mailproof.Outcome, expected, observed, remedy string) []mailproof.Finding {
	return []mailproof.Finding{{Outcome: outcome, Expected: expected, Observed: observed, Remedy: remedy}}
}

// expecting completes a finding that judge made.
func expecting(f mailproof.Finding, expected string) []mailproof.Finding {
	f.Expected = expected
	return []mailproof.Finding{f}
}

// byPhase chooses a severity.
func (d *dossier) byPhase(planning, readiness, confirmation mailproof.Outcome) mailproof.Outcome {
	switch d.cfg.Phase {
	case mailproof.Planning:
		return planning
	case mailproof.Readiness:
		return readiness
	default:
		return confirmation
	}
}

var (
	pass    = mailproof.OutcomePass
	info    = mailproof.OutcomeInfo
	warn    = mailproof.OutcomeWarn
	fail    = mailproof.OutcomeFail
	unknown = mailproof.OutcomeUnknown
)
