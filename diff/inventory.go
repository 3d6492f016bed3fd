package diff

import (
	"context"
	"iter"

	"github.com/mailproof/mailproof"
)

// Inventory is one account on one side as an inventory pass recorded it. The
// ledger satisfies it. Rows may be called several times, and for both
// inventories at once.
type Inventory interface {
	// Scan is the account's part of the pass. A zero Pass means that the
	// account was never scanned.
	Scan() mailproof.Scan
	// Mailboxes lists the mailboxes of the pass; Row.Mailbox is an index
	// into it.
	Mailboxes() []mailproof.MailboxScan
	// Rows yields the messages present in the pass.
	//
	// By TierNone: every message, whatever its state, sorted by (mailbox
	// index, UID). By another tier: those whose State is Read and whose hash
	// of that tier is not zero, sorted by (hash, mailbox index, INTERNALDATE,
	// UID). Iteration ends after an error.
	Rows(ctx context.Context, by mailproof.Tier) iter.Seq2[mailproof.Row, error]
	// Message returns one message with its Detail, by Row.ID.
	Message(ctx context.Context, id int64) (mailproof.Message, error)
}

// Options says how two inventories are compared. The zero Options is valid.
type Options struct {
	// Rules map and exclude mailboxes.
	Rules Rules
	// Baseline is the last pass before the migration began: destination
	// messages first seen in it, or earlier, are called pre-existing and
	// later ones arrived-later. Zero: neither is said.
	Baseline mailproof.PassID
	// Aliases names addresses that were rewritten on purpose, old to new, in
	// lower case: a message that differs in nothing else is equivalent with
	// the note recipient-aliased.
	Aliases map[string]string
	// MaxExceptions bounds AccountResult.Exceptions; zero means
	// DefaultMaxExceptions, a negative value none. The counts have them all.
	MaxExceptions int
	// Limit is the number of messages per side that may be held in memory;
	// zero means DefaultLimit. The answer does not depend on it.
	Limit int
	// Dispositions returns the decision on an exception, of which Key, Verdict
	// and Reasons are set: a decision holds for what it was made for. Nil means
	// that nothing was decided. It is asked for each exception, whether or not
	// it is within MaxExceptions, and must not change it.
	Dispositions func(x *mailproof.Exception) mailproof.Disposition
	// OnResult receives the verdict of every message once, in an order that is
	// the same each time but is not that of folders or UIDs. An error from
	// it ends the comparison.
	OnResult func(Result) error
}

// The defaults of [Options].
const (
	DefaultMaxExceptions = 10_000
	DefaultLimit         = 32_768
)

func (o Options) limit() int {
	if o.Limit > 0 {
		return o.Limit
	}
	return DefaultLimit
}

func (o Options) maxExceptions() int {
	switch {
	case o.MaxExceptions < 0:
		return 0
	case o.MaxExceptions == 0:
		return DefaultMaxExceptions
	}
	return o.MaxExceptions
}

// Result is the verdict on one message: on a source message, with its
// counterpart if it has one, or on a message left over on the destination.
type Result struct {
	Verdict mailproof.MessageVerdict
	Tier    mailproof.Tier
	Reasons []mailproof.Reason
	// Source and Destination are zero where there is no such message.
	Source      mailproof.MessageKey
	Destination mailproof.MessageKey
	// SourceRow and DestinationRow are nil where there is no such message, and
	// are valid only until OnResult returns.
	SourceRow      *mailproof.Row
	DestinationRow *mailproof.Row
	// Flags, Date, Labels and Signature are the differences beside the verdict;
	// nil where there is none. Labels names the labels of Gmail that the
	// destination lacks, of a message that is good.
	Flags     *mailproof.Reason
	Date      *mailproof.Reason
	Labels    *mailproof.Reason
	Signature bool // the octets of a multipart/signed part differ though the content is equivalent
}

// Beside lists the reasons of the differences beside the verdict.
func (r *Result) Beside() []mailproof.Reason {
	var out []mailproof.Reason
	for _, reason := range []*mailproof.Reason{r.Flags, r.Date, r.Labels} {
		if reason != nil {
			out = append(out, *reason)
		}
	}
	return out
}

// Key is the message that the verdict is about: the source message, or the
// destination message where there is none.
func (r *Result) Key() mailproof.MessageKey {
	if r.SourceRow == nil {
		return r.Destination
	}
	return r.Source
}
