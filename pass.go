package mailproof

import "time"

// PassID numbers the passes of a ledger from 1 in the order in which they began.
type PassID int64

// PassKind says what a pass did.
type PassKind uint8

// The kinds of pass.
const (
	InventoryPass PassKind = iota + 1
	CopyPass
	DiffPass
	DNSPass
)

var passKindNames = map[PassKind]string{InventoryPass: "inventory", CopyPass: "copy", DiffPass: "diff", DNSPass: "dns"}

func (k PassKind) String() string { return passKindNames[k] }

// MarshalText implements [encoding.TextMarshaler].
func (k PassKind) MarshalText() ([]byte, error) { return marshalName(passKindNames, "pass kind", k) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (k *PassKind) UnmarshalText(text []byte) (err error) {
	*k, err = parseName(passKindNames, "pass kind", string(text))
	return err
}

// PassState says how a pass, or an account's part of one, ended.
type PassState uint8

// The states. A pass that was killed stays PassRunning in the ledger for ever:
// its rows are true, but it never counts as a complete reading.
const (
	PassRunning PassState = iota
	PassDone
	PassFailed    // could not be carried out: the error is beside it
	PassCancelled // stopped by the user
)

var passStateNames = map[PassState]string{PassRunning: "running", PassDone: "done", PassFailed: "failed", PassCancelled: "cancelled"}

func (s PassState) String() string { return passStateNames[s] }

// MarshalText implements [encoding.TextMarshaler].
func (s PassState) MarshalText() ([]byte, error) { return marshalName(passStateNames, "pass state", s) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (s *PassState) UnmarshalText(text []byte) (err error) {
	*s, err = parseName(passStateNames, "pass state", string(text))
	return err
}

// Depth is how much of a message an inventory pass reads.
type Depth uint8

// The depths. Only DepthFull can end in COMPLETE.
const (
	DepthPreview Depth = iota + 1 // no bodies
	DepthSample                   // a seeded sample of the bodies
	DepthFull                     // every octet
)

var depthNames = map[Depth]string{DepthPreview: "preview", DepthSample: "sample", DepthFull: "full"}

func (d Depth) String() string { return depthNames[d] }

// MarshalText implements [encoding.TextMarshaler].
func (d Depth) MarshalText() ([]byte, error) { return marshalName(depthNames, "depth", d) }

// UnmarshalText implements [encoding.TextUnmarshaler].
func (d *Depth) UnmarshalText(text []byte) (err error) {
	*d, err = parseName(depthNames, "depth", string(text))
	return err
}

// Pass is one run of inventory, copy, diff or DNS over an engagement.
type Pass struct {
	ID       PassID
	Kind     PassKind
	Side     Side // of an inventory pass; zero for the other kinds
	Depth    Depth
	Reverify bool      // an inventory pass that read every message again
	Tool     string    // "mailproof 0.1.0"
	Command  string    // the command line, which holds no secret
	Started  time.Time // UTC
	Finished time.Time // UTC; zero while PassRunning
	State    PassState
	Error    string
	Messages int64 // messages read, appended or compared by this pass
	Bytes    int64 // octets read or appended by this pass
}

// Scan is an account's part of an inventory pass.
type Scan struct {
	Pass     PassID
	Account  string
	Side     Side
	Started  time.Time
	Finished time.Time
	State    PassState
	Error    string // why the account could not be read, in the server's words or ours
	Server   ServerInfo
}

// ServerInfo is what a server says of itself at sign-in. It holds no secret.
type ServerInfo struct {
	Address      string    `json:"address"`                 // HOST:PORT as dialled
	Peer         string    `json:"peer,omitempty"`          // the address that answered
	Greeting     string    `json:"greeting,omitempty"`      // text of the greeting
	ID           string    `json:"id,omitempty"`            // name and version from ID (RFC 2971)
	Capabilities []string  `json:"capabilities,omitempty"`  // after sign-in
	Mechanism    string    `json:"mechanism,omitempty"`     // how we signed in
	TLS          string    `json:"tls,omitempty"`           // "TLS 1.3"; empty: none
	CertNotAfter time.Time `json:"cert_not_after,omitzero"` // end of the certificate's validity
	CertVerified bool      `json:"cert_verified"`
	AppendLimit  int64     `json:"append_limit,omitempty"` // APPENDLIMIT (RFC 7889); 0: none stated
}

// MailboxScan is what an inventory pass recorded of one mailbox.
type MailboxScan struct {
	Mailbox
	Before, After MailboxState
	// Complete says that every message listed was read or recorded as
	// unreadable, and that the scan reached its end.
	Complete bool
	// Drifted says that the mailbox changed while it was read, and did not
	// settle when it was read again.
	Drifted bool
	// Excluded names the rule that left the mailbox out; its messages are
	// counted (Before.Exists) and not read.
	Excluded string
	// Error says why the mailbox could not be opened or read.
	Error string
	// Present is the number of messages that the pass found in it.
	Present int64
}

// Tick is one step of visible progress: what came to pass since the last tick
// of the same pass. Fields are increments.
type Tick struct {
	Kind         PassKind
	Side         Side
	Account      string
	Mailbox      string
	Planned      int64 // messages found to be done
	PlannedBytes int64
	Done         int64 // messages done
	DoneBytes    int64
	Refused      int64
	Unreadable   int64
	// PerDay is what the account may transfer in a day, in octets, and LeftToday
	// what of it is left; no increments. PerDay is 0 where nothing is said.
	PerDay, LeftToday int64
}

// Progress receives ticks; it must be safe for concurrent use and must not
// block. Nil is allowed wherever a Progress is taken.
type Progress func(Tick)

// Add reports a tick to a progress that may be nil.
func (p Progress) Add(t Tick) {
	if p != nil {
		p(t)
	}
}
