package mailproof

import (
	"slices"
	"strings"
	"time"
)

// SpecialUse is a special-use attribute of a mailbox (RFC 6154 §2), with its
// backslash: `\Sent`. Empty means none.
type SpecialUse string

// The special uses that a folder map looks at.
const (
	UseAll     SpecialUse = `\All`
	UseArchive SpecialUse = `\Archive`
	UseDrafts  SpecialUse = `\Drafts`
	UseFlagged SpecialUse = `\Flagged`
	UseJunk    SpecialUse = `\Junk`
	UseSent    SpecialUse = `\Sent`
	UseTrash   SpecialUse = `\Trash`
)

// Mailbox is a folder as LIST reports it (RFC 9051 §7.3.1).
type Mailbox struct {
	// Name is the whole name, decoded from modified UTF-7 into UTF-8, with the
	// server's own separator. The inbox is always "INBOX".
	Name string
	// Separator parts the levels of Name; empty where the server has no
	// hierarchy.
	Separator string
	// Prefix is the personal namespace that Name begins with (RFC 2342), such
	// as "INBOX." on Courier; empty where there is none. It is no part of the
	// folder's own path.
	Prefix     string
	SpecialUse SpecialUse
	Subscribed bool
	// NoSelect says that it holds no messages of its own: \Noselect or
	// \NonExistent.
	NoSelect bool
}

// IsInbox reports whether this is the INBOX, whose name has no case.
func (m Mailbox) IsInbox() bool { return strings.EqualFold(m.Name, "INBOX") }

// Path returns the levels of the name below the personal namespace. The inbox
// is the path ["INBOX"]; on Courier "INBOX.Sent.2019" is ["Sent", "2019"].
func (m Mailbox) Path() []string {
	if m.IsInbox() {
		return []string{"INBOX"}
	}
	name := strings.TrimPrefix(m.Name, m.Prefix)
	if m.Separator == "" {
		return []string{name}
	}
	return strings.Split(name, m.Separator)
}

// UID is a message's unique identifier within a mailbox and a UIDVALIDITY
// (RFC 9051 §2.3.1.1). Zero is no UID.
type UID uint32

// MailboxState is what a server says of a mailbox at one moment (RFC 9051
// §2.3.1.1, RFC 7162). Two equal states around a reading show that nothing
// arrived and nothing was expunged in between.
type MailboxState struct {
	UIDValidity   uint32 `json:"uidvalidity"`
	UIDNext       UID    `json:"uidnext"` // 0 where the server does not tell
	Exists        uint32 `json:"exists"`
	HighestModSeq uint64 `json:"highestmodseq,omitempty"` // 0 where CONDSTORE is not offered
}

// SameContents reports whether two states of a mailbox hold the same messages:
// everything but HIGHESTMODSEQ, which also counts changes of flags.
func (s MailboxState) SameContents(t MailboxState) bool {
	return s.UIDValidity == t.UIDValidity && s.UIDNext == t.UIDNext && s.Exists == t.Exists
}

// Flags is a set of system flags and keywords (RFC 9051 §2.3.2): sorted,
// without repetition and without \Recent, which belongs to a session and not
// to a message. Make one with [NewFlags]; flags are compared without case, as
// servers fold it.
type Flags []string

// NewFlags returns the set of the given flags. Of flags that differ in case
// only, the first is kept.
func NewFlags(flags ...string) Flags {
	set := make(Flags, 0, len(flags))
	for _, f := range flags {
		if f == "" || strings.EqualFold(f, `\Recent`) || set.Has(f) {
			continue
		}
		if canonical, ok := systemFlags[strings.ToLower(f)]; ok {
			f = canonical
		}
		set = append(set, f)
	}
	slices.SortFunc(set, func(a, b string) int {
		if c := strings.Compare(strings.ToLower(a), strings.ToLower(b)); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return set
}

var systemFlags = map[string]string{
	`\seen`: `\Seen`, `\answered`: `\Answered`, `\flagged`: `\Flagged`, `\deleted`: `\Deleted`, `\draft`: `\Draft`,
}

// Has reports whether the set holds the flag, without regard to case.
func (f Flags) Has(flag string) bool {
	return slices.ContainsFunc(f, func(g string) bool { return strings.EqualFold(g, flag) })
}

// Equal reports whether two sets hold the same flags, without regard to case.
func (f Flags) Equal(g Flags) bool {
	return slices.EqualFunc(f, g, strings.EqualFold)
}

// Without returns the flags of f that g lacks.
func (f Flags) Without(g Flags) Flags {
	var out Flags
	for _, x := range f {
		if !g.Has(x) {
			out = append(out, x)
		}
	}
	return out
}

// String returns the set as IMAP writes it: (\Seen $Forwarded).
func (f Flags) String() string { return "(" + strings.Join(f, " ") + ")" }

// ParseFlags reads what [Flags.String] wrote.
func ParseFlags(s string) Flags {
	return NewFlags(strings.Fields(strings.TrimSuffix(strings.TrimPrefix(s, "("), ")"))...)
}

// Metadata is what one FETCH without bodies tells of a message.
type Metadata struct {
	UID          UID
	Flags        Flags
	InternalDate time.Time // zero where the server gave none that can be read
	Size         int64     // RFC822.SIZE; an estimate on some servers
	// GmailID is Gmail's own number of the message, X-GM-MSGID: one message has
	// the same one under each of its labels. It has a meaning within one account
	// only, and 0 says that the server offers none.
	GmailID uint64
	// Labels are those of Gmail, X-GM-LABELS, but for the one whose folder the
	// message was listed in: sorted, names in UTF-8, the system's own with a
	// backslash (\Important). Nil where the server told of none; empty where it
	// told that there are none.
	Labels []string
}

// Labelled is the labels that a message has now.
type Labelled struct {
	UID    UID
	Labels []string
}
