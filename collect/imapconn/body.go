package imapconn

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"github.com/mailproof/mailproof"
)

// bodyFetch is a FETCH for bodies in flight.
type bodyFetch struct {
	cmd *imapclient.FetchCommand
	// uids maps sequence numbers to UIDs where the command goes by the former.
	uids map[uint32]mailproof.UID
	// expunged is the sanitizer's count when uids was made: while it stands,
	// the sequence numbers do.
	expunged int64
	part     *imap.FetchOptions // what of the messages is asked for
}

// What may be asked for: the whole message, or its whole header.
var (
	wholeBody   = &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}
	wholeHeader = &imap.FetchOptions{UID: true, BodySection: []*imap.FetchItemBodySection{{Specifier: imap.PartSpecifierHeader, Peek: true}}}
)

func beginByUID(_ context.Context, s *session, batch []mailproof.UID, part *imap.FetchOptions) (*bodyFetch, error) {
	if !s.alive() {
		return nil, s.broken("fetch messages")
	}
	return &bodyFetch{part: part, cmd: s.client.Fetch(uidSet(batch), part)}, nil
}

// beginBySequence asks for the sequence numbers first. It reads the messages
// of servers that send the UID behind the body, or apart from it, which
// go-imap's client drops from the answer to UID FETCH.
func beginBySequence(ctx context.Context, s *session, batch []mailproof.UID, part *imap.FetchOptions) (*bodyFetch, error) {
	f := &bodyFetch{part: part, uids: make(map[uint32]mailproof.UID, len(batch)), expunged: s.clean.expunged.Load()}
	var set imap.SeqSet
	err := s.fetchRecords(ctx, uidSet(batch), uidsOnly, func(rec record) {
		f.uids[rec.seq] = rec.UID
		set.AddNum(rec.seq)
	})
	s.clean.mode.Store(uint32(fetchBodies))
	if err != nil {
		return nil, err
	}
	if len(f.uids) == 0 {
		return nil, nil
	}
	f.cmd = s.client.Fetch(set, part)
	return f, nil
}

// receive reads what a FETCH brings until it is complete.
func (b *bodies) receive(s *session, f *bodyFetch) error {
	const op = "fetch messages"
	for msg := f.cmd.Next(); msg != nil; msg = f.cmd.Next() {
		m := &bodyMessage{s: s, f: f, msg: msg}
		if !b.message(m) {
			// read wants no more: the connection is closed, as what is in
			// flight may be large.
			s.abort(errStopped)
		}
		if m.cut {
			// go-imap's client has gone on without us, and closes the
			// connection. Its Next and Close would read from the literal once
			// more, while the client reads from the same buffer.
			s.abort(io.ErrUnexpectedEOF)
			return s.broken(op)
		}
	}
	return s.clientError(op, f.cmd.Close())
}

// bodyMessage is a message as its FETCH response unfolds.
type bodyMessage struct {
	s   *session
	f   *bodyFetch
	msg *imapclient.FetchMessageData

	uid mailproof.UID // as the response itself says; 0: not yet
	err error         // the response contradicts itself
	cut bool          // a literal ended before its time
}

// next returns the next body, or header, in the response and its UID, or nil.
func (m *bodyMessage) next() (uid mailproof.UID, section *imapclient.FetchItemDataBodySection) {
	for item := m.msg.Next(); item != nil; item = m.msg.Next() {
		switch item := item.(type) {
		case imapclient.FetchItemDataUID:
			if m.uid != 0 && m.uid != mailproof.UID(item.UID) {
				m.err = malformed("two UIDs for one message")
			}
			m.uid = mailproof.UID(item.UID)
		case imapclient.FetchItemDataBodySection:
			if item.MatchCommand(m.f.part.BodySection[0]) {
				return m.claimed(), &item
			}
		}
	}
	return 0, nil
}

// claimed is the UID that the body belongs to as far as is known before it.
func (m *bodyMessage) claimed() mailproof.UID {
	if m.f.uids != nil {
		return m.f.uids[m.msg.SeqNum]
	}
	return m.uid
}

// verify reads the response to its end and checks that the body is that of
// uid.
func (m *bodyMessage) verify(uid mailproof.UID) error {
	for {
		if _, more := m.next(); more == nil {
			break
		}
		m.err = malformed("two bodies in one response")
	}
	switch {
	case m.err != nil:
		return m.err
	case m.uid != 0 && m.uid != uid:
		return malformed("the body of UID %d in place of that of UID %d", m.uid, uid)
	case m.uid == 0 && m.s.clean.expunged.Load() != m.f.expunged:
		return malformed("a body without a UID, and the sequence numbers have changed")
	}
	return nil
}

// message hands one message to read. It returns false if read failed by
// itself.
func (b *bodies) message(m *bodyMessage) bool {
	uid, section := m.next()
	if section == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	p, wanted := b.pending[uid]
	if !wanted || b.stop != nil {
		return true // not asked for, or twice: Next drains it
	}
	if section.Literal == nil {
		p.reason = "the server sends NIL in place of the message"
		return true
	}
	body := &bodyReader{m: m, uid: uid, literal: section.Literal, left: section.Literal.Size()}
	err := b.read(uid, body.left, body)
	if err == nil || body.failed() {
		_, _ = io.Copy(io.Discard, body) // it keeps its error
	}
	switch {
	case body.complete && err == nil:
		delete(b.pending, uid)
		b.got++
	case body.failed():
		p.reason = m.s.masker.mask(body.reason())
	case err != nil:
		b.stop = err
		return false
	}
	return true
}

// bodyReader is the body that read reads. It says io.EOF only when every octet
// arrived and the response was whole up to its end.
type bodyReader struct {
	m        *bodyMessage
	uid      mailproof.UID
	literal  imap.LiteralReader
	left     int64
	err      error // sticky
	complete bool
}

func (r *bodyReader) failed() bool { return r.err != nil && !r.complete }

// reason says why the body was not had.
func (r *bodyReader) reason() string {
	if errors.Is(r.err, io.ErrUnexpectedEOF) {
		size := r.literal.Size()
		return fmt.Sprintf("the connection was lost after %d of %d octets", size-r.left, size)
	}
	return r.err.Error()
}

func (r *bodyReader) Read(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if r.left == 0 {
		r.err = r.finish()
		return 0, r.err
	}
	n, err := r.literal.Read(p)
	r.left -= int64(n)
	if err != nil {
		if r.left == 0 && errors.Is(err, io.EOF) {
			r.err = r.finish()
			return n, r.err
		}
		r.m.cut = true
		if r.err = io.ErrUnexpectedEOF; !isEnd(err) {
			r.err = err
		}
		return n, r.err
	}
	return n, nil
}

// finish turns the last octet into an end.
func (r *bodyReader) finish() error {
	clean := r.m.s.clean
	opened := clean.opened.Load() // ours among them: nothing was read beyond it yet
	var one [1]byte
	if n, err := r.literal.Read(one[:]); n != 0 || !errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err := r.m.verify(r.uid); err != nil {
		return err
	}
	if clean.closed.Load() < opened {
		if err := r.m.s.ended(); err != nil && !isEnd(err) {
			return err
		}
		return io.ErrUnexpectedEOF
	}
	r.complete = true
	return io.EOF
}
