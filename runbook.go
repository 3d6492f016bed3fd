package mailproof

import "time"

// StepEvidence says what a step of the runbook rests on.
type StepEvidence uint8

// The kinds of evidence.
const (
	Measured StepEvidence = iota + 1 // taken from the ledger; no hand can tick it
	Attested                         // a person's word, with name, time and note
	// MeasuredOrAttested steps are measured where a probe was asked for, and
	// attested where none was.
	MeasuredOrAttested
	// MeasuredAndAttested steps need both: what was measured, and a person who
	// agrees.
	MeasuredAndAttested
)

var stepEvidenceNames = map[StepEvidence]string{
	Measured: "measured", Attested: "attested", MeasuredOrAttested: "measured or attested", MeasuredAndAttested: "measured and attested",
}

func (e StepEvidence) String() string { return stepEvidenceNames[e] }

// MarshalText implements [encoding.TextMarshaler].
func (e StepEvidence) MarshalText() ([]byte, error) {
	return marshalName(stepEvidenceNames, "evidence of a step", e)
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (e *StepEvidence) UnmarshalText(text []byte) (err error) {
	*e, err = parseName(stepEvidenceNames, "evidence of a step", string(text))
	return err
}

// RunbookState is where a step of the runbook stands.
type RunbookState uint8

// The states. The zero state is RunbookOpen: nothing says that the step was
// done.
const (
	RunbookOpen          RunbookState = iota
	RunbookDone                       // measured so, or attested
	RunbookFailed                     // measured, and it does not hold
	RunbookNotApplicable              // the engagement does not have it, and a person or the configuration said so
)

var runbookStateNames = map[RunbookState]string{
	RunbookOpen: "open", RunbookDone: "done", RunbookFailed: "failed", RunbookNotApplicable: "not applicable",
}

func (s RunbookState) String() string { return runbookStateNames[s] }

// MarshalText implements [encoding.TextMarshaler].
func (s RunbookState) MarshalText() ([]byte, error) {
	return marshalName(runbookStateNames, "state of a step", s)
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *RunbookState) UnmarshalText(text []byte) (err error) {
	*s, err = parseName(runbookStateNames, "state of a step", string(text))
	return err
}

// RunbookStep is one step of a migration's runbook as it stands.
type RunbookStep struct {
	ID       string       `json:"id"`    // "source-signin": what attest is given
	Phase    int          `json:"phase"` // 1 account creation, 2 data migration, 3 cut-over, 4 afterwards
	Title    string       `json:"title"`
	Owner    string       `json:"owner"` // "customer", "provider", "everyone"
	Evidence StepEvidence `json:"evidence"`
	State    RunbookState `json:"state"`
	// Basis is what the state rests on, in words for people: "pass 12: 12 of 12
	// accounts signed in". Empty where nothing was recorded.
	Basis string `json:"basis,omitempty"`
	// By, When and Note are of the latest attestation; empty without one.
	By   string    `json:"by,omitempty"`
	When time.Time `json:"when,omitzero"`
	Note string    `json:"note,omitempty"`
}

// Attestation is a person's word for a step of the runbook. Attestations are
// only ever added; the latest of a step is the one that holds.
type Attestation struct {
	Step string    `json:"step"`
	By   string    `json:"by"`
	Note string    `json:"note"`
	When time.Time `json:"when"`
	// Withdrawn takes the word back; NotApplicable says that the engagement
	// does not have the step.
	Withdrawn     bool `json:"withdrawn,omitempty"`
	NotApplicable bool `json:"not_applicable,omitempty"`
}
