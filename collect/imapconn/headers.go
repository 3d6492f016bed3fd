package imapconn

import (
	"context"
	"io"

	"github.com/mailproof/mailproof"
)

// headerOctets is what a header is taken for when commands are planned, as no
// server tells its size ahead.
const headerOctets = 8 << 10

// Headers reads the whole header of messages of the examined mailbox with
// BODY.PEEK[HEADER] (RFC 9051 §6.4.5.1), up to and with the blank line behind
// it. All else is as with [Reader.Bodies]: read is called once for every header
// that arrives whole, and every wanted message was either read or is in unread.
//
// The header is asked for as a whole and not by HEADER.FIELDS: servers that
// rebuild messages answer that from an index, which may differ from what they
// send as the message. Some, Zimbra among them, build even this one anew: a
// header is evidence of what is listed and not of the message's octets.
func (r *Reader) Headers(ctx context.Context, want []mailproof.Metadata, read func(uid mailproof.UID, size int64, header io.Reader) error) (unread map[mailproof.UID]string, err error) {
	planned := make([]mailproof.Metadata, len(want))
	for i, m := range want {
		planned[i] = mailproof.Metadata{UID: m.UID, Size: min(max(m.Size, 0), headerOctets)}
	}
	return r.parts(ctx, planned, wholeHeader, read)
}
