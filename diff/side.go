package diff

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/mailproof/mailproof"
)

// side is one inventory during a comparison: which of its messages are paired,
// and, once they are few enough, those that are not.
type side struct {
	which mailproof.Side
	inv   Inventory // nil where the account was never scanned
	scan  mailproof.Scan
	boxes []mailproof.MailboxScan
	out   []bool // by mailbox: left out of the comparison
	scope Scope  // of the source: single messages that are left out

	ids    idIndex
	paired bitset
	good   bitset // of the source: paired and found intact
	marked bitset // leftovers whose content is paired elsewhere: collapsed or surplus
	read   int    // messages that take part in pairing
	pairs  int
	gmail  []uint64 // X-GM-MSGID of those that take part and have one, until these are paired

	limit    int
	mem      []mailproof.Row // what may still be paired, where inMem
	inMem    bool
	whole    bool // mem holds every message that was read
	complete bool // mem holds every message that has no counterpart
	coarse   bool // some message that was read has no T2 hash
}

func newSide(which mailproof.Side, inv Inventory, limit int) *side {
	s := &side{which: which, inv: inv, limit: limit}
	if inv != nil {
		s.scan, s.boxes = inv.Scan(), inv.Mailboxes()
	}
	s.out = make([]bool, len(s.boxes))
	return s
}

// unpaired is the number of read messages that have no counterpart yet.
func (s *side) unpaired() int { return s.read - s.pairs }

// key names a message of the side.
func (s *side) key(r *mailproof.Row) mailproof.MessageKey {
	box := &s.boxes[r.Mailbox]
	validity := box.Before.UIDValidity
	if validity == 0 {
		validity = box.After.UIDValidity
	}
	return mailproof.MessageKey{Side: s.which, Account: s.scan.Account, Mailbox: box.Name, UIDValidity: validity, UID: r.UID}
}

func (s *side) message(ctx context.Context, id int64) (mailproof.Message, error) {
	m, err := s.inv.Message(ctx, id)
	if err != nil {
		return m, fmt.Errorf("%s message %d: %w", s.which, id, err)
	}
	return m, nil
}

// rows checks what the inventory yields: a row out of order or of an unknown
// mailbox would silently be compared with nothing. A row is valid until the
// next one.
func (s *side) rows(ctx context.Context, by mailproof.Tier) iter.Seq2[*mailproof.Row, error] {
	return func(yield func(*mailproof.Row, error) bool) {
		if s.inv == nil {
			return
		}
		var last mailproof.Hash
		var box, n int
		var row mailproof.Row // one for all: a row of its own for each would keep the collector busy
		for r, err := range s.inv.Rows(ctx, by) {
			row = r
			if n++; err == nil && n%1024 == 0 {
				err = ctx.Err()
			}
			hash := row.Hash(by)
			switch {
			case err != nil:
			case row.Mailbox < 0 || row.Mailbox >= len(s.boxes):
				err = fmt.Errorf("message %d lies in mailbox %d of %d", row.ID, row.Mailbox, len(s.boxes))
			case by == mailproof.TierNone && row.Mailbox < box || bytes.Compare(hash[:], last[:]) < 0:
				err = fmt.Errorf("messages by %v are not in order", by)
			}
			if err != nil {
				yield(nil, fmt.Errorf("%s inventory of %s: %w", s.which, s.scan.Account, err))
				return
			}
			last, box = hash, row.Mailbox
			if !yield(&row, nil) {
				return
			}
		}
	}
}

// index reads every message once: it numbers them, hands each to visit, and
// keeps those that were read as long as they are few.
func (s *side) index(ctx context.Context, visit func(*mailproof.Row) error) error {
	s.inMem, s.whole, s.complete = true, true, true
	for row, err := range s.rows(ctx, mailproof.TierNone) {
		if err != nil {
			return err
		}
		s.ids.add(row.ID)
		if err := visit(row); err != nil {
			return err
		}
		if row.State != mailproof.Read || s.out[row.Mailbox] || s.omits(row) {
			continue
		}
		s.read++
		s.coarse = s.coarse || row.Hash(mailproof.T2).IsZero()
		s.keep(row)
	}
	if err := s.ids.seal(); err != nil {
		return fmt.Errorf("%s inventory of %s: %w", s.which, s.scan.Account, err)
	}
	s.paired, s.good, s.marked = newBitset(s.ids.n), newBitset(s.ids.n), newBitset(s.ids.n)
	return nil
}

func (s *side) omits(r *mailproof.Row) bool {
	_, ok := s.scope.Omits(r.InternalDate, r.Size)
	return ok
}

// keep holds a row in memory until there are too many.
func (s *side) keep(r *mailproof.Row) {
	switch {
	case !s.inMem:
	case len(s.mem) < s.limit:
		if s.mem == nil {
			s.mem = make([]mailproof.Row, 0, min(s.present(), s.limit))
		}
		s.mem = append(s.mem, *r)
	default:
		s.mem, s.inMem, s.whole, s.complete = nil, false, false, false
	}
}

// present is how many messages the inventory has by the word of its mailboxes: a
// hint, no count.
func (s *side) present() int {
	var n int64
	for i := range s.boxes {
		n += max(s.boxes[i].Present, 0)
	}
	return int(min(n, math.MaxInt32))
}

// dense returns the number of a message that index saw.
func (s *side) dense(r *mailproof.Row) (int, error) {
	i, ok := s.ids.of(r.ID)
	if !ok {
		return 0, fmt.Errorf("%s inventory of %s: message %d is listed by hash only", s.which, s.scan.Account, r.ID)
	}
	return i, nil
}

// readable yields the messages that take part in pairing, by hash or, for
// TierNone, by mailbox; with free only those that have no counterpart yet.
func (s *side) readable(ctx context.Context, by mailproof.Tier, free bool) iter.Seq2[*mailproof.Row, error] {
	if s.inMem && (free || s.whole) {
		return s.remembered(by, free)
	}
	return s.streamed(ctx, by, free)
}

// streamed is readable from the inventory.
func (s *side) streamed(ctx context.Context, by mailproof.Tier, free bool) iter.Seq2[*mailproof.Row, error] {
	return func(yield func(*mailproof.Row, error) bool) {
		for row, err := range s.rows(ctx, by) {
			if err == nil {
				var skip bool
				if skip, err = s.skips(row, by, free); err == nil && skip {
					continue
				}
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

func (s *side) skips(row *mailproof.Row, by mailproof.Tier, free bool) (bool, error) {
	if row.State != mailproof.Read || s.out[row.Mailbox] || s.omits(row) || by != mailproof.TierNone && row.Hash(by).IsZero() {
		return true, nil
	}
	i, err := s.dense(row)
	return err == nil && free && s.paired.has(i), err
}

// remembered is readable from memory.
func (s *side) remembered(by mailproof.Tier, free bool) iter.Seq2[*mailproof.Row, error] {
	return func(yield func(*mailproof.Row, error) bool) {
		rows := make([]*mailproof.Row, 0, len(s.mem))
		for i := range s.mem {
			skip, err := s.skips(&s.mem[i], by, free)
			if err != nil {
				yield(nil, err)
				return
			}
			if !skip {
				rows = append(rows, &s.mem[i])
			}
		}
		if by != mailproof.TierNone { // mem is in the order of mailboxes
			slices.SortStableFunc(rows, func(a, b *mailproof.Row) int { return bytes.Compare(a.Hashes[by-1][:], b.Hashes[by-1][:]) })
		}
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// load takes those messages without counterpart into memory that wanted admits,
// if they are few enough.
func (s *side) load(ctx context.Context, wanted func(*mailproof.Row) bool) error {
	var kept []mailproof.Row
	for row, err := range s.readable(ctx, mailproof.TierNone, true) {
		if err != nil {
			return err
		}
		if !wanted(row) {
			continue
		}
		if len(kept) == s.limit {
			return nil // still too many: later rounds go on streaming
		}
		kept = append(kept, *row)
	}
	s.mem, s.inMem, s.whole, s.complete = kept, true, false, len(kept) == s.unpaired()
	return nil
}
