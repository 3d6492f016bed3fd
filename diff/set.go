package diff

import (
	"slices"

	"github.com/mailproof/mailproof"
)

// maxCloser bounds the sets of equal Message-IDs or bodies whose members are
// told apart by their details; in larger sets those tiers pair n-th with n-th
// or, where they are only a suggestion, not at all.
const maxCloser = 128

// pairSet pairs messages that share the hash of one tier.
func (e *engine) pairSet(r round, src, dst *rowSet) error {
	s := &set{e: e, r: r, src: src, dst: dst}
	switch {
	case r.tier == mailproof.T3b || r.tier == mailproof.T4:
		return s.pairBySuggestion()
	case r.tier == mailproof.T3 && src.len() == 1 && dst.len() == 1:
		s.r.tier = finest(src.at(0), dst.at(0))
		return s.emit(0, 0)
	case r.tier == mailproof.T3:
		return s.pairByIdentity()
	case src.len() == 1 && dst.len() == 1:
		return s.pairOne()
	}
	return s.pairBy(nil, nil)
}

// set is the messages of both sides that share a hash.
type set struct {
	e          *engine
	r          round
	src, dst   *rowSet
	doneSrc    []bool
	doneDst    []bool
	details    map[int64]*mailproof.Detail // by id, of the source
	detailsDst map[int64]*mailproof.Detail
	keysSrc    []key
	keysDst    []key
	held       *[]heldPair // pairs go here and not to the sink, if not nil
}

func (s *set) pairOne() error {
	if s.r.folder && s.e.target[s.src.box(0)] != s.dst.box(0) {
		return nil
	}
	return s.emit(0, 0)
}

func (s *set) emit(i, j int32) error {
	if s.doneSrc != nil {
		s.doneSrc[i], s.doneDst[j] = true, true
	}
	if s.held != nil {
		*s.held = append(*s.held, heldPair{i, j, s.r.tier})
		return nil
	}
	src, dst := s.src.at(int(i)), s.dst.at(int(j))
	return s.e.pairUp(&pair{src: src, dst: dst, tier: s.r.tier, folder: s.e.target[src.Mailbox] == dst.Mailbox})
}

// pairBy pairs what is left of the set, within the classes that the functions
// return; a negative class takes no part. Nil puts all into one class.
func (s *set) pairBy(classSrc, classDst func(*mailproof.Row) int32) error {
	if s.doneSrc == nil {
		s.doneSrc, s.doneDst = make([]bool, s.src.len()), make([]bool, s.dst.len())
	}
	s.keysSrc = s.keys(s.keysSrc, s.src, s.doneSrc, classSrc, func(box int) int { return s.e.target[box] })
	s.keysDst = s.keys(s.keysDst, s.dst, s.doneDst, classDst, func(box int) int { return box })
	return match(s.keysSrc, s.keysDst, s.emit)
}

func (s *set) keys(keys []key, rows *rowSet, done []bool, class func(*mailproof.Row) int32, folder func(int) int) []key {
	keys = slices.Grow(keys[:0], rows.len())
	for i := range rows.len() {
		if done != nil && done[i] {
			continue
		}
		r := rows.at(i)
		k := key{date: unixDate(r.InternalDate), flags: flagsKey(r.Flags), uid: r.UID, box: int32(r.Mailbox), pos: int32(i)}
		if class != nil {
			k.class = class(r)
		}
		if s.r.folder {
			k.folder = int32(folder(r.Mailbox))
		}
		keys = append(keys, k)
	}
	return keys
}

// pairBySuggestion pairs messages of which only the body, or the local part of
// the Message-ID, is equal. That alone makes many a daily report the
// counterpart of yesterday's, which would hide that one of them is missing. So
// it takes more: the same Date or, where they cannot be told apart by their
// ids, the same INTERNALDATE together with sender and subject.
func (s *set) pairBySuggestion() error {
	if s.src.len() > maxCloser || s.dst.len() > maxCloser {
		return nil
	}
	if err := s.loadDetails(); err != nil {
		return err
	}
	dates := classes[mailproof.Short]{}
	byDate := func(d *mailproof.Detail, _ *mailproof.Row) mailproof.Short { return fieldHash(d, "date") }
	src, dst := byDetail(s.details, dates, byDate), byDetail(s.detailsDst, dates, byDate)
	if err := s.pairBy(src, dst); err != nil {
		return err
	}
	// An id on both sides and the ids differ: they are two messages, unless it
	// is the local part that is equal.
	senders := classes[string]{}
	bySender := func(d *mailproof.Detail, r *mailproof.Row) string {
		date := unixDate(r.InternalDate)
		from, subject := fieldHash(d, "from"), fieldHash(d, "subject")
		if date == noDate || from.IsZero() && subject.IsZero() {
			return ""
		}
		return string(from[:]) + string(subject[:]) + r.InternalDate.UTC().Format("20060102150405")
	}
	src, dst = byDetail(s.details, senders, bySender), byDetail(s.detailsDst, senders, bySender)
	if s.r.tier == mailproof.T3b {
		return s.pairBy(src, dst)
	}
	for _, only := range [][2]bool{{true, false}, {false, true}} {
		if err := s.pairBy(withoutID(src, only[0]), withoutID(dst, only[1])); err != nil {
			return err
		}
	}
	return nil
}

// withoutID restricts a class to messages without Message-ID.
func withoutID(class func(*mailproof.Row) int32, only bool) func(*mailproof.Row) int32 {
	return func(r *mailproof.Row) int32 {
		if only && !r.Hash(mailproof.T3).IsZero() {
			return -1
		}
		return class(r)
	}
}

// open reports whether both sides of a small set have members left.
func (s *set) open() bool {
	count := func(done []bool) (n int) {
		for _, d := range done {
			if !d {
				n++
			}
		}
		return n
	}
	a, b := count(s.doneSrc), count(s.doneDst)
	return a > 0 && b > 0 && a+b > 2 && a <= maxCloser && b <= maxCloser
}

func (s *set) loadDetails() error {
	s.details, s.detailsDst = map[int64]*mailproof.Detail{}, map[int64]*mailproof.Detail{}
	for _, x := range []struct {
		side *side
		rows *rowSet
		done []bool
		into map[int64]*mailproof.Detail
	}{{s.e.src, s.src, s.doneSrc, s.details}, {s.e.dst, s.dst, s.doneDst, s.detailsDst}} {
		for i := range x.rows.len() {
			if x.done != nil && x.done[i] {
				continue
			}
			id := x.rows.at(i).ID
			m, err := x.side.message(s.e.ctx, id)
			if err != nil {
				return err
			}
			x.into[id] = &m.Fingerprint.Detail
		}
	}
	return nil
}

// classes numbers values; the zero value has no class.
type classes[T comparable] map[T]int32

func (c classes[T]) of(v T) int32 {
	var zero T
	if v == zero {
		return -1
	}
	n, ok := c[v]
	if !ok {
		n = int32(len(c))
		c[v] = n
	}
	return n
}

// byDetail makes a class of what a function sees in the details.
func byDetail[T comparable](details map[int64]*mailproof.Detail, c classes[T], value func(*mailproof.Detail, *mailproof.Row) T) func(*mailproof.Row) int32 {
	return func(r *mailproof.Row) int32 {
		d := details[r.ID]
		if d == nil {
			return -1
		}
		return c.of(value(d, r))
	}
}

// headOf sums up the core header fields.
func headOf(d *mailproof.Detail, _ *mailproof.Row) string {
	var head []byte
	some := false
	for _, name := range coreFields {
		h := fieldHash(d, name)
		some = some || !h.IsZero()
		head = append(head, h[:]...)
	}
	if !some {
		return ""
	}
	return string(head)
}
