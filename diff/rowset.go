package diff

import (
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

// rowSet holds the rows that share a hash. Sets are small as a rule, and kept
// as they come. Of a large one, a million copies of one message, each row is
// kept as what makes it different from the others, in 32 octets, beside the
// kinds of row that there are and how they differ: copies differ in UID and
// date, and in little else.
type rowSet struct {
	few    []mailproof.Row
	many   []packedRow
	kinds  []mailproof.Row // without ID, UID, Mailbox and the instant of InternalDate
	byKind map[kindKey]uint32
	row    mailproof.Row // that at returns
}

const (
	// fewRows is how many rows are kept as they come.
	fewRows = 1024
	// maxKinds bounds the table by which kinds are found again. Beyond it,
	// every row is a kind of its own.
	maxKinds = 1 << 16
)

type packedRow struct {
	id   int64
	date int64
	uid  mailproof.UID
	box  int32
	kind uint32
	_    uint32
}

// kindKey is all of a row that a packedRow does not have.
type kindKey struct {
	hashes        [mailproof.NumTiers]mailproof.Hash
	flags, base   string
	reason        string
	size, octets  int64
	first         mailproof.PassID
	gmail         uint64
	zone          int
	hasBase, date bool
	state         mailproof.ReadState
}

func rowsOf(rows []mailproof.Row) *rowSet { return &rowSet{few: rows} }

func (s *rowSet) reset() {
	s.few, s.many, s.kinds, s.byKind = s.few[:0], s.many[:0], nil, nil
	if cap(s.many) > 16*fewRows {
		s.many = nil
	}
}

func (s *rowSet) len() int { return len(s.few) + len(s.many) }

func (s *rowSet) add(r *mailproof.Row) {
	if len(s.many) == 0 && len(s.few) < fewRows {
		s.few = append(s.few, *r)
		return
	}
	for i := range s.few {
		s.pack(&s.few[i])
	}
	s.few = s.few[:0]
	s.pack(r)
}

func (s *rowSet) pack(r *mailproof.Row) {
	s.many = append(s.many, packedRow{id: r.ID, date: unixDate(r.InternalDate), uid: r.UID, box: int32(r.Mailbox), kind: s.kindOf(r)})
}

// kindOf finds the kind of a row, or makes it one.
func (s *rowSet) kindOf(r *mailproof.Row) uint32 {
	if n := len(s.kinds); n > 0 && sameKind(&s.kinds[n-1], r) {
		return uint32(n - 1)
	}
	var key kindKey
	if len(s.kinds) < maxKinds {
		key = kindKey{
			hashes: r.Hashes, flags: r.Flags.String(), base: r.BaseFlags.String(), reason: r.Reason, size: r.Size, octets: r.Octets,
			first: r.FirstPass, gmail: r.GmailID, hasBase: r.HasBase, date: !r.InternalDate.IsZero(), state: r.State,
		}
		_, key.zone = r.InternalDate.Zone()
		if n, ok := s.byKind[key]; ok {
			return n
		}
	}
	n := uint32(len(s.kinds))
	if n < maxKinds {
		if s.byKind == nil {
			s.byKind = map[kindKey]uint32{}
		}
		s.byKind[key] = n
	}
	s.kinds = append(s.kinds, *r)
	return n
}

func sameKind(a, b *mailproof.Row) bool {
	_, x := a.InternalDate.Zone()
	_, y := b.InternalDate.Zone()
	return a.Hashes == b.Hashes && a.Size == b.Size && a.Octets == b.Octets && a.FirstPass == b.FirstPass && a.GmailID == b.GmailID && x == y &&
		a.HasBase == b.HasBase && a.InternalDate.IsZero() == b.InternalDate.IsZero() && a.State == b.State && a.Reason == b.Reason &&
		slices.Equal(a.Flags, b.Flags) && slices.Equal(a.BaseFlags, b.BaseFlags)
}

// at returns a row; it is valid until the next call.
func (s *rowSet) at(i int) *mailproof.Row {
	if len(s.many) == 0 {
		return &s.few[i]
	}
	p := &s.many[i]
	s.row = s.kinds[p.kind]
	s.row.ID, s.row.UID, s.row.Mailbox = p.id, p.uid, int(p.box)
	if p.date != noDate {
		s.row.InternalDate = time.Unix(p.date, 0).In(s.row.InternalDate.Location())
	}
	return &s.row
}

// box is the mailbox of a row.
func (s *rowSet) box(i int) int {
	if len(s.many) == 0 {
		return s.few[i].Mailbox
	}
	return int(s.many[i].box)
}
