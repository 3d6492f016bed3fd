package imapconn

import (
	"context"
	"errors"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailproof/mailproof"
)

// search returns the UIDs of the open mailbox, all or those within a set.
func (s *session) search(ctx context.Context, within imap.UIDSet) (imap.UIDSet, error) {
	const op = "search"
	criteria := new(imap.SearchCriteria)
	if within != nil {
		criteria.UID = []imap.UIDSet{within}
	}
	var options *imap.SearchOptions
	if s.caps.has("ESEARCH") || s.caps.has("IMAP4rev2") {
		options = &imap.SearchOptions{ReturnAll: true}
	}
	found, err := s.searchOnce(ctx, op, criteria, options)
	if err != nil && options != nil && refused(err) {
		found, err = s.searchOnce(ctx, op, criteria, nil)
	}
	return found, err
}

func (s *session) searchOnce(ctx context.Context, op string, criteria *imap.SearchCriteria, options *imap.SearchOptions) (imap.UIDSet, error) {
	if !s.alive() {
		return nil, s.broken(op)
	}
	release := s.guard(ctx)
	answers := s.clean.searched.Load()
	data, err := s.client.UIDSearch(criteria, options).Wait()
	s.conn.disarm()
	if err = release(s.clientError(op, err)); err != nil {
		return nil, err
	}
	if s.clean.searched.Load() == answers {
		// OK without a SEARCH response is no answer, and not "none found".
		return nil, &mailproof.ServerError{Kind: mailproof.ErrRefused, Server: s.info.Address, Op: op, Text: "the server answers OK and gives no result"}
	}
	found, _ := data.All.(imap.UIDSet)
	return found, nil
}

// count returns the size of a set without spelling it out.
func count(set imap.UIDSet) uint64 {
	var n uint64
	for _, r := range set {
		if r.Start == 0 || r.Stop == 0 {
			return 1 << 40 // a set with "*" is no answer
		}
		n += uint64(r.Stop-r.Start) + 1
	}
	return n
}

// each calls f with pieces of at most n UIDs of the set, ascending.
func each(set imap.UIDSet, n int, f func([]mailproof.UID) error) error {
	piece := make([]mailproof.UID, 0, n)
	for _, r := range set {
		for uid := uint64(r.Start); uid <= uint64(r.Stop); uid++ {
			if piece = append(piece, mailproof.UID(uid)); len(piece) == n {
				if err := f(piece); err != nil {
					return err
				}
				piece = piece[:0]
			}
		}
	}
	if len(piece) > 0 {
		return f(piece)
	}
	return nil
}

// uidSet makes a set of UIDs in any order.
func uidSet(uids []mailproof.UID) imap.UIDSet {
	var set imap.UIDSet
	for _, uid := range uids {
		set.AddNum(imap.UID(uid))
	}
	return set
}

// openSet is the set of all UIDs from one on.
func openSet(from mailproof.UID) imap.UIDSet {
	return imap.UIDSet{{Start: imap.UID(max(from, 1)), Stop: 0}}
}

// record is what a FETCH told of one message.
type record struct {
	seq uint32
	mailproof.Metadata
	flags, date, size bool
}

func (r record) whole() bool { return r.flags && r.date && r.size }

// What to ask for.
var (
	allMetadata = &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true}
	flagsOnly   = &imap.FetchOptions{UID: true, Flags: true}
	uidsOnly    = &imap.FetchOptions{UID: true}
)

// fetchRecords fetches metadata and calls f for each message. It returns the
// refusal of a server that stops half way; what it gave until then counts.
func (s *session) fetchRecords(ctx context.Context, set imap.NumSet, options *imap.FetchOptions, f func(record)) error {
	const op = "fetch metadata"
	if !s.alive() {
		return s.broken(op)
	}
	release := s.guard(ctx)
	s.clean.mode.Store(uint32(fetchData))
	cmd := s.client.Fetch(set, options)
	for msg := cmd.Next(); msg != nil; msg = cmd.Next() {
		if r := readRecord(msg); r.UID != 0 {
			f(r)
		}
	}
	err := cmd.Close()
	s.clean.mode.Store(uint32(fetchNone))
	s.conn.disarm()
	return release(s.clientError(op, err))
}

func readRecord(msg *imapclient.FetchMessageData) record {
	r := record{seq: msg.SeqNum}
	for item := msg.Next(); item != nil; item = msg.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			r.UID = mailproof.UID(item.UID)
		case imapclient.FetchItemDataFlags:
			r.flags = true
			flags := make([]string, len(item.Flags))
			for i, f := range item.Flags {
				flags[i] = unescapeFlag(string(f))
			}
			r.Flags = mailproof.NewFlags(flags...)
		case imapclient.FetchItemDataInternalDate:
			r.date = true
			if !item.Time.Equal(unreadableDate) {
				r.InternalDate = item.Time
			}
		case imapclient.FetchItemDataRFC822Size:
			r.size, r.Size = true, item.Size
		}
	}
	return r
}

var errStopped = errors.New("imapconn: stopped by the caller")
