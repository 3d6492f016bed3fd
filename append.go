package mailproof

import (
	"io"
	"time"
)

// Outgoing is a message on its way into a mailbox (RFC 9051 §6.3.12).
type Outgoing struct {
	Flags        Flags
	InternalDate time.Time // zero: the server takes its own clock
	Size         int64     // octets of Body, all of which are there
	Body         io.ReadSeeker
}

// Fate says what is known of a message that was to be appended.
type Fate uint8

// The fates. The zero Fate claims nothing.
const (
	FateUnknown Fate = iota // sent, and not answered: only reading the mailbox tells whether it is there
	FateNotSent             // its command was never complete, so it cannot be there
	FateAdded               // the server said OK: a claim, no evidence
	FateRefused             // the server said NO or BAD to it
)

// Receipt is what became of one message of a batch.
type Receipt struct {
	Fate Fate
	// UIDValidity and UID are what APPENDUID claimed (RFC 4315); zero if nothing.
	UIDValidity uint32
	UID         UID
	// Err is the server's refusal, where Fate is FateRefused.
	Err error
	// Whole says that the server refused a command of several messages: which
	// of them it minds is not known (RFC 3502).
	Whole bool
}
