package mailproof

import "time"

// Outcome is how a check ended.
type Outcome uint8

// The outcomes. The zero Outcome is OutcomeUnknown: a check that could not
// tell is an answer of its own and never a silent pass.
const (
	OutcomeUnknown  Outcome = iota
	OutcomeFail             // the check failed
	OutcomeAccepted         // it failed, and somebody with the right to do so accepted that by name
	OutcomeWarn             // to be looked at; does not change the verdict
	OutcomeInfo             // for information
	OutcomePass
)

var outcomeNames = map[Outcome]string{
	OutcomeUnknown: "unknown", OutcomeFail: "fail", OutcomeAccepted: "accepted", OutcomeWarn: "warn", OutcomeInfo: "info", OutcomePass: "pass",
}

func (o Outcome) String() string { return outcomeNames[o] }

// MarshalText implements [encoding.TextMarshaler].
func (o Outcome) MarshalText() ([]byte, error) { return marshalName(outcomeNames, "outcome", o) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (o *Outcome) UnmarshalText(text []byte) (err error) {
	*o, err = parseName(outcomeNames, "outcome", string(text))
	return err
}

// verdict is the best verdict that an outcome leaves possible.
func (o Outcome) verdict() Verdict {
	switch o {
	case OutcomeFail:
		return Incomplete
	case OutcomeAccepted:
		return CompleteWithAcceptedExceptions
	case OutcomeWarn, OutcomeInfo, OutcomePass:
		return Complete
	default:
		return Inconclusive
	}
}

// Phase is the moment at which DNS is judged.
type Phase uint8

// The phases of a cut-over. The zero Phase is for findings that are not about
// DNS.
const (
	PhaseNone    Phase = iota
	Planning           // before TTLs are lowered
	Readiness          // just before the cut-over
	Confirmation       // after it
)

var phaseNames = map[Phase]string{PhaseNone: "", Planning: "planning", Readiness: "readiness", Confirmation: "confirmation"}

func (p Phase) String() string { return phaseNames[p] }

// ParsePhase is the inverse of [Phase.String] for the three real phases.
func ParsePhase(name string) (Phase, error) {
	if name == "" {
		name = "(empty)"
	}
	return parseName(phaseNames, "phase: write planning, readiness or confirmation", name)
}

// MarshalText implements [encoding.TextMarshaler].
func (p Phase) MarshalText() ([]byte, error) { return marshalName(phaseNames, "phase", p) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (p *Phase) UnmarshalText(text []byte) (err error) {
	*p, err = parseName(phaseNames, "phase", string(text))
	return err
}

// Finding is the outcome of one check: of the DNS audit, or of the comparison
// of an account. Verdicts are made of findings and of nothing else.
type Finding struct {
	Check     string    `json:"check"`            // "mx.expected", "messages.missing"
	Domain    string    `json:"domain,omitempty"` // of a DNS check
	Account   string    `json:"account,omitempty"`
	Mailbox   string    `json:"folder,omitempty"`
	Phase     Phase     `json:"phase,omitempty"`
	Outcome   Outcome   `json:"outcome"`
	Expected  string    `json:"expected,omitempty"`
	Observed  string    `json:"observed,omitempty"`  // what was seen, per server where servers differ
	Reference string    `json:"reference,omitempty"` // "RFC 2181 §10.3"
	Remedy    string    `json:"remedy,omitempty"`    // what to do; for DNS the exact zone lines
	Time      time.Time `json:"time,omitzero"`
}

// CheckInventory is the check that both sides of an account were read to the
// end. Without at least one finding of it nothing was compared, and no set of
// findings rolls up to COMPLETE.
const CheckInventory = "inventory.complete"

// Roll folds findings into a verdict, and is the only function that makes one.
// The worst wins, in the order INCOMPLETE > INCONCLUSIVE > COMPLETE WITH
// ACCEPTED EXCEPTIONS > COMPLETE. Without a finding of CheckInventory the
// verdict is at best INCONCLUSIVE: a clean DNS audit proves no mail.
func Roll(findings []Finding) Verdict {
	verdict, compared := Complete, false
	for _, f := range findings {
		if v := f.Outcome.verdict(); v.Worse(verdict) {
			verdict = v
		}
		compared = compared || f.Check == CheckInventory
	}
	if !compared && Inconclusive.Worse(verdict) {
		return Inconclusive
	}
	return verdict
}

// WorstOutcome folds the outcomes of checks alone, for a command that reports
// on checks and makes no statement about mail: a failed one wins over an
// unknown one, and that over the rest. No findings at all are unknown.
func WorstOutcome(findings []Finding) Outcome {
	if len(findings) == 0 {
		return OutcomeUnknown
	}
	worst := OutcomePass
	for _, f := range findings {
		if f.Outcome.verdict().Worse(worst.verdict()) || f.Outcome.verdict() == worst.verdict() && f.Outcome < worst {
			worst = f.Outcome
		}
	}
	return worst
}

// Observation is one exchange with a name server, kept as evidence.
type Observation struct {
	Time     time.Time `json:"time"`
	Domain   string    `json:"domain"` // the audited domain it was asked for
	Question string    `json:"question"`
	Type     string    `json:"type"`             // "MX"
	Server   string    `json:"server"`           // "ns1.example.net 192.0.2.53:53"
	Role     string    `json:"role"`             // "authoritative", "resolver", "http"
	Network  string    `json:"network"`          // "udp", "tcp"
	RCode    string    `json:"rcode,omitempty"`  // "NOERROR"; empty where there was no answer
	AA       bool      `json:"aa"`               // authoritative answer
	AD       bool      `json:"ad"`               // authenticated data
	Records  []string  `json:"records"`          // RRset in presentation form, sorted
	MinTTL   uint32    `json:"min_ttl"`          // smallest TTL in the answer
	MaxTTL   uint32    `json:"max_ttl"`          // largest TTL in the answer
	Error    string    `json:"error,omitempty"`  // "timeout"
	Millis   int64     `json:"millis,omitempty"` // time taken
}
