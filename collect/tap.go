package collect

import (
	"context"
	"io"

	"github.com/mailproof/mailproof"
)

// Tap is offered the messages that a pass reads for the first time, octets and
// all, so that a copy need not read the source again: providers meter what is
// downloaded. It takes no part in the inventory. What it does with a message
// changes nothing of what the pass records, and nothing that it cannot do ends
// the pass.
//
// A message is offered only when every octet that the server announced has
// come, as many as its listing stated, and only if no earlier pass knew it. It
// is recorded before it is offered. Offer may be called by several goroutines
// at once, for different mailboxes.
type Tap interface {
	// Begin is told the mailboxes that will be read, before the first of them
	// is opened.
	Begin(ctx context.Context, server mailproof.ServerInfo, mailboxes []mailproof.Mailbox)
	// Offer takes a message over, and releases its body. It may wait: the pass
	// reads no faster than the tap takes.
	Offer(ctx context.Context, m mailproof.Message, body Body)
}

// Body is the octets of one message, held in memory or in a file until they
// are released.
type Body interface {
	Size() int64
	// T0 reads them and returns their SHA-256.
	T0() (mailproof.Hash, error)
	// Reader reads them from the start, again at each call.
	Reader() io.ReadSeeker
	Release() error
}

// begin tells the tap, if there is one, what will be read.
func (p *pass) begin(ctx context.Context, mailboxes []mailproof.Mailbox) {
	if p.Tap == nil {
		return
	}
	read := make([]mailproof.Mailbox, 0, len(mailboxes))
	for _, mb := range mailboxes {
		if p.excludes(mb) {
			continue
		}
		read = append(read, mb)
	}
	p.Tap.Begin(ctx, p.src.Server(), read)
}
