package imapconn

import (
	"cmp"
	"context"
	"slices"

	"github.com/emersion/go-imap/v2"

	"github.com/mailproof/mailproof"
)

// ahead is what was asked together with the opening of a mailbox.
type ahead struct {
	mailbox string
	session *session
	sent    int // commands of our own until then

	list  []mailproof.Metadata // what Metadata will yield
	whole bool                 // it is all of them
	// again is the state of a mailbox without messages when it was opened a
	// second time: nothing lies in between.
	again *mailproof.MailboxState
}

// Open is Examine, of a mailbox of which [Reader.Metadata] is asked next. told is
// its state as [Reader.Survey] has it. What Metadata needs is asked for in the same
// round trip where that is little. It is used only if it agrees with what the
// server says when it opens the mailbox; else Metadata asks for itself.
func (r *Reader) Open(ctx context.Context, mailbox string, told mailproof.MailboxState) (mailproof.MailboxState, error) {
	if told.UIDValidity == 0 || told.Exists > metadataChunk {
		return r.Examine(ctx, mailbox)
	}
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	var state mailproof.MailboxState
	var with *ahead
	err := r.link.retry(ctx, func(s *session) (err error) {
		switch {
		case s.caps.has(gmailExtension): // whose own data are asked for by themselves
			state, err = s.open(ctx, "EXAMINE", mailbox)
		case told.Exists == 0:
			state, with, err = s.openTwice(ctx, mailbox)
		default:
			state, with, err = s.openAndList(ctx, mailbox)
		}
		return err
	})
	return r.opened(mailbox, state, with, err)
}

// opened takes note of the mailbox that is open now.
func (r *Reader) opened(mailbox string, state mailproof.MailboxState, with *ahead, err error) (mailproof.MailboxState, error) {
	r.mailbox, r.ahead = "", nil
	if err != nil {
		return state, err
	}
	r.mailbox, r.state, r.ahead = mailbox, state, with
	return state, nil
}

// openTwice opens a mailbox in which there are no messages, and again: a single
// EXISTS 0 may be an old saying.
func (s *session) openTwice(ctx context.Context, mailbox string) (mailproof.MailboxState, *ahead, error) {
	first, again := s.opening("EXAMINE", mailbox), s.opening("EXAMINE", mailbox)
	done, err := s.inOrder(ctx, []request{first.request, again.request})
	if err != nil {
		return first.state, nil, err
	}
	before, err := first.end(done[0])
	if err != nil {
		return before, nil, err
	}
	after, err := again.end(done[1])
	if err != nil {
		return before, nil, err
	}
	if before.Exists > 0 || after.Exists > 0 || after.UIDValidity != before.UIDValidity {
		return before, nil, nil // there is something to read between the two
	}
	return before, &ahead{mailbox: mailbox, session: s, sent: s.tags, whole: true, again: &after}, nil
}

// openAndList sends EXAMINE, SEARCH and FETCH together. The server answers the
// latter of the mailbox that the first has opened, or refuses them with it.
func (s *session) openAndList(ctx context.Context, mailbox string) (mailproof.MailboxState, *ahead, error) {
	o := s.opening("EXAMINE", mailbox)
	if o.literal() || !s.caps.has("ESEARCH") && !s.caps.has("IMAP4rev2") {
		state, err := s.open(ctx, "EXAMINE", mailbox)
		return state, nil, err
	}
	if !s.alive() {
		return o.state, nil, s.broken(o.op)
	}
	release := s.guard(ctx)
	state, all, records, err := s.openListing(o)
	s.conn.disarm()
	if err = release(err); err != nil {
		return state, nil, err
	}
	with := &ahead{mailbox: mailbox, session: s, sent: s.tags}
	with.list, with.whole = agreed(all, records, state.Exists)
	return state, with, nil
}

func (s *session) openListing(o *opening) (state mailproof.MailboxState, all imap.UIDSet, records map[mailproof.UID]record, err error) {
	cmd := s.begin(o.untagged)
	line := []byte(cmd.tag)
	for _, a := range o.args {
		line = append(append(line, ' '), a.s...)
	}
	if err := s.send(append(line, "\r\n"...)); err != nil {
		_, err = s.writeFailed(o.op, cmd)
		return o.state, nil, nil, err
	}
	answers := s.clean.searched.Load()
	s.clean.mode.Store(uint32(fetchData))
	search := s.client.UIDSearch(new(imap.SearchCriteria), &imap.SearchOptions{ReturnAll: true})
	fetch := s.client.Fetch(openSet(1), allMetadata)
	records = map[mailproof.UID]record{}
	fetched := make(chan error, 1)
	go func() { // beside the others: the server may answer in any order
		for msg := fetch.Next(); msg != nil; msg = fetch.Next() {
			if r := readRecord(msg); r.UID != 0 && (len(records) < 2*metadataChunk || records[r.UID].UID != 0) {
				records[r.UID] = merge(records[r.UID].named(r.UID), r)
			}
		}
		fetched <- fetch.Close()
	}()
	st, err := s.await(o.op, cmd)
	found, searchErr := search.Wait()
	fetchErr := <-fetched
	s.clean.mode.Store(uint32(fetchNone))
	if err != nil {
		return o.state, nil, nil, err
	}
	if state, err = o.end(st); err != nil {
		return state, nil, nil, err
	}
	for _, err := range []error{s.clientError("search", searchErr), s.clientError("fetch metadata", fetchErr)} {
		if err != nil && !refused(err) {
			return state, nil, nil, err
		}
		if err != nil {
			return state, nil, nil, nil // it is asked for again
		}
	}
	if s.clean.searched.Load() != answers {
		all, _ = found.All.(imap.UIDSet)
	}
	return state, all, records, nil
}

// named gives a record its UID.
func (r record) named(uid mailproof.UID) record {
	r.UID = uid
	return r
}

// agreed returns the records by UID if there is one, whole, for each of the
// messages that are listed, and if those are as many as there are said to be.
func agreed(all imap.UIDSet, records map[mailproof.UID]record, exists uint32) (list []mailproof.Metadata, whole bool) {
	if count(all) != uint64(exists) || exists == 0 || len(records) != int(exists) {
		return nil, false
	}
	for uid, rec := range records {
		if !rec.whole() || !all.Contains(imap.UID(uid)) {
			return nil, false
		}
		list = append(list, rec.Metadata)
	}
	slices.SortFunc(list, func(a, b mailproof.Metadata) int { return cmp.Compare(a.UID, b.UID) })
	return list, true
}

// listedAhead returns what was listed together with the opening, once.
func (r *Reader) listedAhead() (list []mailproof.Metadata, ok bool) {
	with := r.ahead
	if with == nil || with.mailbox != r.mailbox || !with.whole {
		return nil, false
	}
	if with.again == nil {
		r.ahead = nil
	}
	return with.list, true
}

// examinedAhead returns the state in which the mailbox was found when it was
// opened again, if no command was sent since.
func (r *Reader) examinedAhead(mailbox string) (state mailproof.MailboxState, ok bool) {
	with := r.ahead
	if with == nil || with.mailbox != mailbox || with.again == nil || r.link.s != with.session || !with.session.alive() || with.session.tags != with.sent {
		return state, false
	}
	r.ahead = nil
	return *with.again, true
}
