package imapconn

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/mailproof/mailproof"
)

// metadataChunk is the number of messages of one FETCH for metadata. Cyrus
// needs some 30 ms for each command, so there should be few.
const metadataChunk = 5000

// Metadata yields UID, flags, INTERNALDATE, RFC822.SIZE and, where the server
// announces X-GM-EXT-1, X-GM-MSGID and X-GM-LABELS of every message in the
// examined mailbox, each once, by ascending UID. The number is checked
// against EXISTS and UID SEARCH ALL; a message of which the server tells
// nothing but its UID is yielded with its UID alone. Nil is returned only when
// the list is complete. An error of yield ends it and is returned as it is.
//
// yield must not call the Reader.
func (r *Reader) Metadata(ctx context.Context, yield func(mailproof.Metadata) error) error {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	if list, ok := r.listedAhead(); ok {
		for _, m := range list {
			if err := yield(m); err != nil {
				return err
			}
		}
		return nil
	}
	var all imap.UIDSet
	err := r.reading(ctx, func(s *session) (err error) {
		all, err = r.listUIDs(ctx, s)
		return err
	})
	if err != nil {
		return err
	}
	return each(all, metadataChunk, func(uids []mailproof.UID) error {
		records, err := r.records(ctx, uids)
		if err != nil {
			return err
		}
		for _, m := range records {
			if err := yield(m); err != nil {
				return err
			}
		}
		return nil
	})
}

// listUIDs returns the UIDs of the mailbox, as many as EXISTS says there are.
// Where the two disagree the mailbox is opened again, as it may have changed,
// and at last the list is taken message by message.
func (r *Reader) listUIDs(ctx context.Context, s *session) (imap.UIDSet, error) {
	exists := r.state.Exists
	for attempt := 0; ; attempt++ {
		if attempt > 0 {
			state, err := s.open(ctx, "EXAMINE", r.mailbox)
			if err != nil {
				return nil, err
			}
			if state.UIDValidity != r.state.UIDValidity {
				return nil, s.uidValidityError(r.mailbox, r.state.UIDValidity, state.UIDValidity)
			}
			if exists = state.Exists; exists == 0 {
				return nil, nil
			}
		}
		if exists == 0 {
			continue // EXISTS 0 is an old saying: ask again
		}
		all, err := s.search(ctx, nil)
		if err != nil && !refused(err) {
			return nil, err
		}
		if err == nil && count(all) == uint64(exists) {
			return all, nil
		}
		if attempt < 2 {
			continue
		}
		listed, ferr := s.fetchUIDs(ctx, exists)
		if ferr != nil && !refused(ferr) {
			return nil, ferr
		}
		if ferr == nil && count(listed) == uint64(exists) {
			return listed, nil
		}
		if err == nil {
			err = ferr
		}
		if err == nil {
			err = serverFailure(s.masker, s.info.Address, fmt.Sprintf("list folder %q", r.mailbox),
				fmt.Errorf("the server says that there are %d messages, but lists %d", exists, count(all)))
		}
		return nil, err
	}
}

// fetchUIDs lists the UIDs by sequence number.
func (s *session) fetchUIDs(ctx context.Context, exists uint32) (imap.UIDSet, error) {
	var set imap.UIDSet
	err := s.fetchRecords(ctx, imap.SeqSet{{Start: 1, Stop: exists}}, uidsOnly, func(rec record) { set.AddNum(imap.UID(rec.UID)) })
	return set, err
}

// records returns the metadata of the given UIDs, which are ascending and all
// that the mailbox has between the first and the last of them. A message that
// was expunged meanwhile is left out.
func (r *Reader) records(ctx context.Context, uids []mailproof.UID) ([]mailproof.Metadata, error) {
	want := make(map[mailproof.UID]record, len(uids))
	for _, uid := range uids {
		want[uid] = record{Metadata: mailproof.Metadata{UID: uid}}
	}
	missing := uids
	err := r.reading(ctx, func(s *session) (err error) {
		missing, err = s.fill(ctx, imap.UIDSet{{Start: imap.UID(uids[0]), Stop: imap.UID(uids[len(uids)-1])}}, uids, want, allMetadata)
		if err != nil && refused(err) {
			err = nil // what it gave until it stopped counts; the rest is asked for below
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		if missing, err = r.forgetExpunged(ctx, missing, want); err != nil {
			return nil, err
		}
		if missing, err = r.rescue(ctx, missing, want); err != nil {
			return nil, err
		}
		if _, err = r.forgetExpunged(ctx, missing, want); err != nil {
			return nil, err
		}
	}
	if err := r.gmailData(ctx, uids, want); err != nil {
		return nil, err
	}
	out := make([]mailproof.Metadata, 0, len(want))
	for _, rec := range want {
		out = append(out, rec.Metadata)
	}
	slices.SortFunc(out, func(a, b mailproof.Metadata) int { return cmp.Compare(a.UID, b.UID) })
	return out, nil
}

// fill fetches into want and returns which of uids are not whole yet.
func (s *session) fill(ctx context.Context, set imap.UIDSet, uids []mailproof.UID, want map[mailproof.UID]record, options *imap.FetchOptions) ([]mailproof.UID, error) {
	err := s.fetchRecords(ctx, set, options, func(rec record) {
		if old, ok := want[rec.UID]; ok && !old.whole() {
			want[rec.UID] = merge(old, rec)
		}
	})
	var missing []mailproof.UID
	for _, uid := range uids {
		if !want[uid].whole() {
			missing = append(missing, uid)
		}
	}
	return missing, err
}

// merge adds to a record what another FETCH told.
func merge(old, rec record) record {
	if rec.flags {
		old.Flags, old.flags = rec.Flags, true
	}
	if rec.date {
		old.InternalDate, old.date = rec.InternalDate, true
	}
	if rec.size {
		old.Size, old.size = rec.Size, true
	}
	return old
}

// rescue asks again for what a large FETCH did not give: one message that the
// server cannot read may have ended the answer for all that follow it. Pieces
// are halved until single messages are left. It returns those of which
// something is still unknown.
func (r *Reader) rescue(ctx context.Context, missing []mailproof.UID, want map[mailproof.UID]record) (hopeless []mailproof.UID, err error) {
	queue := [][]mailproof.UID{missing}
	got := 0
	for len(queue) > 0 {
		uids := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		var left []mailproof.UID
		var refusal error
		err := r.reading(ctx, func(s *session) (err error) {
			left, err = s.fill(ctx, uidSet(uids), uids, want, allMetadata)
			if err != nil && refused(err) {
				refusal, err = err, nil
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		got += len(uids) - len(left)
		switch {
		case len(left) == 0:
		case len(uids) == 1:
			if err := r.flagsOf(ctx, uids[0], want); err != nil {
				return nil, err
			}
			hopeless = append(hopeless, uids[0])
			if len(hopeless) >= 20 && got == 0 && refusal != nil {
				return nil, refusal // it is not single messages that are at fault
			}
		case len(left) < len(uids):
			queue = append(queue, left)
		default:
			half := len(left) / 2
			queue = append(queue, left[half:], left[:half])
		}
	}
	return hopeless, nil
}

// flagsOf asks for the flags alone: they do not need the message itself.
func (r *Reader) flagsOf(ctx context.Context, uid mailproof.UID, want map[mailproof.UID]record) error {
	return r.reading(ctx, func(s *session) error {
		_, err := s.fill(ctx, uidSet([]mailproof.UID{uid}), nil, want, flagsOnly)
		if err != nil && refused(err) {
			return nil
		}
		return err
	})
}

// forgetExpunged takes out of want what the mailbox no longer lists, and
// returns the rest.
func (r *Reader) forgetExpunged(ctx context.Context, uids []mailproof.UID, want map[mailproof.UID]record) (extant []mailproof.UID, err error) {
	gone, err := r.expunged(ctx, uids)
	for _, uid := range gone {
		delete(want, uid)
	}
	for _, uid := range uids {
		if _, ok := want[uid]; ok {
			extant = append(extant, uid)
		}
	}
	return extant, err
}

// expunged returns those of the UIDs that the mailbox no longer lists. Where
// the server does not say, they count as listed.
func (r *Reader) expunged(ctx context.Context, uids []mailproof.UID) (gone []mailproof.UID, err error) {
	for piece := range slices.Chunk(uids, 500) {
		var found imap.UIDSet
		asked := false
		err := r.reading(ctx, func(s *session) (err error) {
			found, err = s.search(ctx, uidSet(piece))
			if err != nil && refused(err) {
				return nil
			}
			asked = err == nil
			return err
		})
		if err != nil {
			return gone, err
		}
		for _, uid := range piece {
			if asked && !found.Contains(imap.UID(uid)) {
				gone = append(gone, uid)
			}
		}
	}
	return gone, nil
}
