package collect

import (
	"context"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/mailproof/mailproof"
)

// CalibrationSample is the number of messages of an account that a preview
// reads whole, to see whether RFC822.SIZE is the length of what the server
// sends. Only where it is on both sides does a size mean anything: Exchange,
// Domino and hMailServer give estimates. Nothing of these messages is kept but
// how many there were: a preview knows no content.
const CalibrationSample = 50

// calibration chooses them: the same ones each time.
var calibration = Sample{Seed: "calibration", Number: CalibrationSample}

// headersPerFetch bounds how many headers are asked of [Source.Headers] at
// once, and with it the memory that they take on their way to the ledger.
const headersPerFetch = 2000

// headers reads the headers that the ledger does not have, of the messages
// that a preview does not read whole.
func (s *scanner) headers(ctx context.Context) error {
	next, stop := iter.Pull2(s.w.Headed(ctx))
	defer stop()
	known, err, more := next()
	batch := make([]mailproof.Metadata, 0, min(len(s.present), headersPerFetch))
	for i := range s.present {
		e := &s.present[i]
		for ; more && err == nil && known < e.uid; known, err, more = next() {
			continue
		}
		if err != nil {
			return recorded(err)
		}
		if e.state == mailproof.Read || e.state == readNow || e.headed || more && known == e.uid {
			continue
		}
		if batch = append(batch, s.metadata(e)); len(batch) == headersPerFetch {
			if err := s.headerBatch(ctx, batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return s.headerBatch(ctx, batch)
}

func (s *scanner) headerBatch(ctx context.Context, batch []mailproof.Metadata) error {
	s.tick(s.mb.Name, mailproof.Tick{Planned: int64(len(batch))})
	uids, headers := make([]mailproof.UID, 0, len(batch)), make([]mailproof.Header, 0, len(batch))
	add := func(uid mailproof.UID, h mailproof.Header) {
		s.find(uid).headed = true
		uids, headers = append(uids, uid), append(headers, h)
	}
	unread, err := s.src.Headers(ctx, batch, func(uid mailproof.UID, size int64, header io.Reader) error {
		if s.stopped() {
			return ErrStopped
		}
		if !among(batch, uid) || s.find(uid).headed {
			return nil // not asked for, or delivered twice: the first reading stands
		}
		fp, err := s.fp.Head(header)
		if err != nil {
			return err
		}
		if fp.Octets != size {
			return fmt.Errorf("uid %d: %d of %d octets of header: %w", uid, fp.Octets, size, io.ErrUnexpectedEOF)
		}
		add(uid, mailproof.Header{T3: fp.Hash(mailproof.T3), MessageID: fp.Detail.MessageID, Fields: fp.Detail.Fields})
		s.sum.Headers++
		s.sum.HeaderBytes += size
		s.tick(s.mb.Name, mailproof.Tick{Done: 1, DoneBytes: size})
		return nil
	})
	if err != nil {
		return err
	}
	for _, md := range batch {
		reason, failed := unread[md.UID]
		switch e := s.find(md.UID); {
		case e.headed:
			continue
		case failed && reason == ReasonExpunged:
			s.headGone++
			continue
		case !failed:
			reason = "the server sent no header and no error"
		}
		add(md.UID, mailproof.Header{Reason: reason})
		s.sum.Headless++
		s.tick(s.mb.Name, mailproof.Tick{Done: 1, Unreadable: 1})
	}
	return recorded(s.w.AddHeaders(ctx, uids, headers))
}

// calibrate reads those messages of the mailbox whose size is looked at.
func (s *scanner) calibrate(ctx context.Context) error {
	if s.weighed {
		return nil
	}
	var batch []mailproof.Metadata
	for i := range s.present {
		if s.sampled(s.present[i].uid) {
			batch = append(batch, s.metadata(&s.present[i]))
		}
	}
	if len(batch) == 0 {
		return nil
	}
	s.tick(s.mb.Name, mailproof.Tick{Planned: int64(len(batch))})
	_, err := s.src.Bodies(ctx, batch, func(uid mailproof.UID, size int64, body io.Reader) error {
		if s.stopped() {
			return ErrStopped
		}
		n, err := io.Copy(io.Discard, body)
		if err != nil {
			return err
		}
		if n != size {
			return fmt.Errorf("uid %d: %d of %d octets: %w", uid, n, size, io.ErrUnexpectedEOF)
		}
		if !among(batch, uid) {
			return nil
		}
		s.sum.Sizes.Sampled++
		s.sum.Sizes.Octets += n
		if stated := s.find(uid).listed; stated != n {
			s.sum.Sizes.Wrong++
			s.sum.Sizes.Off = max(s.sum.Sizes.Off, max(stated-n, n-stated))
		}
		s.tick(s.mb.Name, mailproof.Tick{Done: 1, DoneBytes: n})
		return nil
	})
	s.weighed = err == nil
	return err
}

// among reports whether a UID is in a batch, which is in ascending order.
func among(batch []mailproof.Metadata, uid mailproof.UID) bool {
	_, found := slices.BinarySearchFunc(batch, uid, func(md mailproof.Metadata, uid mailproof.UID) int { return int(int64(md.UID) - int64(uid)) })
	return found
}
