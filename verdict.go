package mailproof

// MessageVerdict is what the comparison found for one source message, or for
// one message left over on the destination.
type MessageVerdict uint8

// The message verdicts. The zero verdict is Unverifiable: it proves nothing.
const (
	Unverifiable        MessageVerdict = iota // could not be read, or its counterpart may be among the unread
	Identical                                 // T0: octet for octet the same
	IdenticalNormalised                       // T1
	Equivalent                                // T2 with nothing lost beside it
	EquivalentWithNotes                       // T2 with a listed loss
	EquivalentText                            // T2v only
	Relocated                                 // equal, found in another folder than the mapped one
	Altered                                   // a counterpart exists and is not the same
	Missing                                   // no counterpart at any tier in scope
	DuplicateCollapsed                        // content present, fewer copies than on the source
	Extra                                     // on the destination only
	DuplicateSurplus                          // more copies on the destination than on the source
	Excluded                                  // left out by a rule
	NotChecked                                // the depth did not allow a statement
)

var messageVerdictNames = map[MessageVerdict]string{
	Unverifiable: "unverifiable", Identical: "identical", IdenticalNormalised: "identical-normalised",
	Equivalent: "equivalent", EquivalentWithNotes: "equivalent-with-notes", EquivalentText: "equivalent-text",
	Relocated: "relocated", Altered: "altered", Missing: "missing", DuplicateCollapsed: "duplicate-collapsed",
	Extra: "extra", DuplicateSurplus: "duplicate-surplus", Excluded: "excluded", NotChecked: "not-checked",
}

// String returns the verdict's name, as text output, ledger and JSON write it.
func (v MessageVerdict) String() string { return messageVerdictNames[v] }

// MarshalText implements [encoding.TextMarshaler].
func (v MessageVerdict) MarshalText() ([]byte, error) {
	return marshalName(messageVerdictNames, "message verdict", v)
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (v *MessageVerdict) UnmarshalText(text []byte) (err error) {
	*v, err = parseName(messageVerdictNames, "message verdict", string(text))
	return err
}

var messageVerdictMeanings = map[MessageVerdict]string{
	Unverifiable:        "could not be read; proves nothing",
	Identical:           "octet for octet the same",
	IdenticalNormalised: "the same except line ends, folding and the store's own bookkeeping headers",
	Equivalent:          "sender, recipients, date, subject, id and every decoded part equal; transport trace and signatures not covered",
	EquivalentWithNotes: "as equivalent, with a listed loss",
	EquivalentText:      "visible text and attachments equal, markup differs",
	Relocated:           "present in another folder than the mapped one",
	Altered:             "a counterpart exists and is not the same; the reasons name what differs",
	Missing:             "no counterpart at any tier in scope",
	DuplicateCollapsed:  "content present, fewer copies than on the source",
	Extra:               "on the destination only",
	DuplicateSurplus:    "more copies on the destination than on the source",
	Excluded:            "left out by a rule; not compared",
	NotChecked:          "nothing is stated about the content",
}

// Meaning says in plain words what the verdict proves.
func (v MessageVerdict) Meaning() string { return messageVerdictMeanings[v] }

// Sigil is the mark of the line format, as rclone check writes it: = the same,
// * differs, + on the destination only, - missing, ! could not be told.
func (v MessageVerdict) Sigil() byte {
	switch v {
	case Identical, IdenticalNormalised, Equivalent, EquivalentWithNotes, EquivalentText, Relocated:
		return '='
	case Altered:
		return '*'
	case Extra, DuplicateSurplus:
		return '+'
	case Missing, DuplicateCollapsed:
		return '-'
	default:
		return '!'
	}
}

// Paired reports whether the verdict means that a source message has a
// counterpart on the destination, be it the same or not.
func (v MessageVerdict) Paired() bool {
	switch v {
	case Identical, IdenticalNormalised, Equivalent, EquivalentWithNotes, EquivalentText, Relocated, Altered:
		return true
	}
	return false
}

// Reason says why a message got its verdict: a stable code for scripts and the
// evidence for people.
type Reason struct {
	Code     string // "line-wrapped", "append-refused"
	Evidence string // "part 2 application/pdf: 182,044 → 90,112 octets"
}

// String returns "code: evidence", or the code alone.
func (r Reason) String() string {
	if r.Evidence == "" {
		return r.Code
	}
	return r.Code + ": " + r.Evidence
}

// MarshalText makes a reason one string in JSON.
func (r Reason) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Disposition is the decision on an exception.
type Disposition uint8

// The dispositions. The zero one is Open: nobody decided yet.
const (
	Open Disposition = iota
	Accepted
	Waived
	Fixed
	// Noted marks what is listed for the record and needs no decision, such
	// as a relocated message: it does not change the verdict.
	Noted
)

var dispositionNames = map[Disposition]string{Open: "open", Accepted: "accepted", Waived: "waived", Fixed: "fixed", Noted: "noted"}

func (d Disposition) String() string { return dispositionNames[d] }

// MarshalText implements [encoding.TextMarshaler].
func (d Disposition) MarshalText() ([]byte, error) {
	return marshalName(dispositionNames, "disposition", d)
}

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Disposition) UnmarshalText(text []byte) (err error) {
	*d, err = parseName(dispositionNames, "disposition", string(text))
	return err
}

// Verdict is what may be said of an account, a domain or the engagement.
type Verdict uint8

// The verdicts. The zero Verdict is Inconclusive, so that a value nobody set
// never reads as success.
const (
	Inconclusive Verdict = iota
	Incomplete
	CompleteWithAcceptedExceptions
	Complete
)

var verdictNames = map[Verdict]string{
	Inconclusive: "INCONCLUSIVE", Incomplete: "INCOMPLETE",
	CompleteWithAcceptedExceptions: "COMPLETE WITH ACCEPTED EXCEPTIONS", Complete: "COMPLETE",
}

// String returns the verdict in the capitals in which it is printed.
func (v Verdict) String() string { return verdictNames[v] }

// MarshalText implements [encoding.TextMarshaler].
func (v Verdict) MarshalText() ([]byte, error) { return marshalName(verdictNames, "verdict", v) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (v *Verdict) UnmarshalText(text []byte) (err error) {
	*v, err = parseName(verdictNames, "verdict", string(text))
	return err
}

// ExitCode is the exit status that stands for the verdict: 0 complete, 1
// differences, 3 inconclusive.
func (v Verdict) ExitCode() int {
	switch v {
	case Complete, CompleteWithAcceptedExceptions:
		return 0
	case Incomplete:
		return 1
	default:
		return 3
	}
}

// severity orders the verdicts, the worst highest.
func (v Verdict) severity() int {
	switch v {
	case Complete:
		return 0
	case CompleteWithAcceptedExceptions:
		return 1
	case Incomplete:
		return 3
	default:
		return 2
	}
}

// Worse reports whether v is worse than w, in the order INCOMPLETE >
// INCONCLUSIVE > COMPLETE WITH ACCEPTED EXCEPTIONS > COMPLETE.
func (v Verdict) Worse(w Verdict) bool { return v.severity() > w.severity() }
