package mailproof

import (
	"fmt"
	"time"
)

// MessageKey names one message for ever: within a mailbox and a UIDVALIDITY a
// UID is never used for another message (RFC 9051 §2.3.1.1).
type MessageKey struct {
	Side        Side
	Account     string
	Mailbox     string
	UIDValidity uint32
	UID         UID
}

// String returns the key as errors and logs show it.
func (k MessageKey) String() string {
	return fmt.Sprintf("%s %s, folder %q, uid %d", k.Side, k.Account, k.Mailbox, k.UID)
}

// ReadState says whether a message's octets were read.
type ReadState uint8

// The states. The zero state is Unread: nothing is known of the content.
const (
	Unread     ReadState = iota // never tried, as at preview depth
	Unreadable                  // tried, and failed: the reason is beside it
	Read                        // every octet was received and hashed
)

var readStateNames = map[ReadState]string{Unread: "unread", Unreadable: "unreadable", Read: "read"}

func (s ReadState) String() string { return readStateNames[s] }

// Message is one message as an inventory pass recorded it.
type Message struct {
	MessageKey
	Metadata
	State ReadState
	// Reason says in the server's words, or ours, why it is Unreadable.
	Reason string
	// Fingerprint is valid where State is Read.
	Fingerprint Fingerprint
}

// Extant is what a ledger knows of a message from earlier passes: enough to
// decide what a new pass must read.
type Extant struct {
	UID   UID
	Flags Flags
	State ReadState
	// Size and InternalDate are those that it was listed with when it was read
	// last, or tried to be; Octets what was read of the message.
	Size, Octets int64
	InternalDate time.Time
}

// Is reports whether a listing may be of the same message. Neither RFC822.SIZE
// nor INTERNALDATE of a message ever changes (RFC 9051 §2.3.3, §2.3.4): where one
// of them did, the server uses the UID for another message, as happens after a
// restore from backup, or it is another server. A size that was an estimate may
// become that of the octets; what is not stated says nothing.
func (x *Extant) Is(m *Metadata) bool {
	if m.Size != 0 && x.Size != 0 && m.Size != x.Size && m.Size != x.Octets {
		return false
	}
	return m.InternalDate.IsZero() || x.InternalDate.IsZero() || m.InternalDate.Unix() == x.InternalDate.Unix()
}

// FlagChange is a message whose flags are no longer what the ledger has.
type FlagChange struct {
	UID   UID
	Flags Flags
}

// Row is a message as the comparison sees it: no text, only what is compared.
type Row struct {
	ID           int64 // the ledger's own number of the message
	Mailbox      int   // index into the inventory's list of mailboxes
	UID          UID
	FirstPass    PassID // the pass that saw it first
	InternalDate time.Time
	Flags        Flags
	// BaseFlags are the source's flags at the time of the last copy; HasBase
	// says whether there was one. See diff for the three-way comparison.
	BaseFlags Flags
	HasBase   bool
	Size      int64  // RFC822.SIZE
	GmailID   uint64 // X-GM-MSGID, see Metadata; 0: none
	State     ReadState
	Reason    string
	Octets    int64
	Hashes    [NumTiers]Hash
}

// Hash returns the hash of one tier.
func (r *Row) Hash(t Tier) Hash {
	if t == TierNone || t >= tierEnd {
		return Hash{}
	}
	return r.Hashes[t-1]
}
