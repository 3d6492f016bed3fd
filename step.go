package mailproof

import "time"

// StepKind says what a step does on the destination.
type StepKind uint8

// The kinds of step, in the order in which a copy pass carries them out.
const (
	CreateMailbox StepKind = iota + 1
	SubscribeMailbox
	AppendMessage
	StoreFlags
)

var stepKindNames = map[StepKind]string{CreateMailbox: "create", SubscribeMailbox: "subscribe", AppendMessage: "append", StoreFlags: "flags"}

func (k StepKind) String() string { return stepKindNames[k] }

// ParseStepKind is the inverse of [StepKind.String].
func ParseStepKind(name string) (StepKind, error) { return parseName(stepKindNames, "step kind", name) }

// Step is one thing that a copy pass is to do on the destination. Steps are
// planned by diff from the ledger alone and carried out by transfer.
type Step struct {
	Kind    StepKind
	Account string
	// Target is the destination mailbox, whole name in the destination's own
	// separator and namespace.
	Target string
	// SpecialUse is asked for when the mailbox is created, where the server
	// can (RFC 6154 §3).
	SpecialUse SpecialUse

	// Of AppendMessage: the source message, what it is known to be, and what
	// goes with it.
	Source       MessageKey
	InternalDate time.Time
	Flags        Flags
	Size         int64 // octets of the literal; RFC822.SIZE where it was never read
	T0           Hash  // of the literal; zero where it was never read

	// Of StoreFlags: the destination message and the change.
	Destination MessageKey
	AddFlags    Flags
	RemoveFlags Flags
}

// StepState says how a step ended.
type StepState uint8

// The states of a step. The zero state is StepPending: nothing was claimed.
const (
	StepPending StepState = iota
	StepDone              // the server said OK: a claim, no evidence
	StepRefused           // the server said NO: its words are beside it
	StepFailed            // could not be carried out: the error is beside it
)

var stepStateNames = map[StepState]string{StepPending: "pending", StepDone: "done", StepRefused: "refused", StepFailed: "failed"}

func (s StepState) String() string { return stepStateNames[s] }

// StepResult is how one step ended.
type StepResult struct {
	Step  Step
	State StepState
	// Reason is the server's own words, or our error.
	Reason string
	// UIDValidity and UID are what APPENDUID claimed (RFC 4315); zero if
	// nothing.
	UIDValidity uint32
	UID         UID
	Octets      int64 // octets sent
	Finished    time.Time
}
