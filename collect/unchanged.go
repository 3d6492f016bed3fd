package collect

import (
	"context"

	"github.com/mailproof/mailproof"
)

// rememberer is a [MailboxRecorder] that can tell that there is nothing to be
// learnt from a mailbox.
type rememberer interface {
	// Unchanged reports whether the pass before read every message of the
	// mailbox and left it in the very state in which it is found now.
	Unchanged(ctx context.Context) (present int64, ok bool, err error)
}

// unchanged spares a pass the listing of a mailbox in which nothing has
// happened. The server must offer CONDSTORE (RFC 7162): the same HIGHESTMODSEQ
// vouches for the flags, the same UIDVALIDITY, UIDNEXT and EXISTS for the
// messages.
func (p *pass) unchanged(ctx context.Context, w MailboxRecorder, mb mailproof.Mailbox, before mailproof.MailboxState) (scan mailproof.MailboxScan, ok bool, err error) {
	r, can := w.(rememberer)
	if !can || p.Reverify || p.Depth != mailproof.DepthFull || before.HighestModSeq == 0 {
		return scan, false, nil
	}
	present, ok, err := r.Unchanged(ctx)
	if err != nil || !ok {
		return scan, false, recorded(err)
	}
	return mailproof.MailboxScan{Mailbox: mb, Before: before, After: before, Complete: true, Present: present}, true, nil
}
