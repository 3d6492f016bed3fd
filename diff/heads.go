package diff

import (
	"slices"

	"github.com/mailproof/mailproof"
)

// pairByHead is the second half of tier T4, for messages without Message-ID
// whose body was changed too: what shares INTERNALDATE, Date, From and Subject
// is a suggestion, where not both have an id. Without it a server that changes
// such messages would be sent them again by every copy pass.
//
// No hash stands for this, so the details are read; of leftovers only, and of
// those only that share their INTERNALDATE with one of the other side. Eight
// octets are kept for each leftover.
func (e *engine) pairByHead() error {
	var dates [2]leftoverDates
	sides := [2]*side{e.src, e.dst}
	for i, s := range sides {
		if err := dates[i].collect(e, s); err != nil {
			return err
		}
	}
	if len(dates[0].noID) == 0 && len(dates[1].noID) == 0 {
		return nil
	}
	var rows [2][]mailproof.Row
	for i, s := range sides {
		own, other := &dates[i], &dates[1-i]
		for row, err := range s.remaining(e.ctx) {
			if err != nil {
				return err
			}
			date := unixDate(row.InternalDate)
			like := other.all
			if !row.Hash(mailproof.T3).IsZero() {
				like = other.noID
			}
			if n := count(like, date); n > 0 && count(own.all, date) <= maxCloser && count(other.all, date) <= maxCloser {
				rows[i] = append(rows[i], *row)
			}
		}
		slices.SortStableFunc(rows[i], byInternalDate)
	}
	return e.pairDates(rows[0], rows[1])
}

// leftoverDates are the INTERNALDATEs of the messages without counterpart, in
// order, and of those among them without Message-ID.
type leftoverDates struct{ all, noID []int64 }

func (d *leftoverDates) collect(e *engine, s *side) error {
	for row, err := range s.remaining(e.ctx) {
		if err != nil {
			return err
		}
		date := unixDate(row.InternalDate)
		d.all = append(d.all, date)
		if row.Hash(mailproof.T3).IsZero() {
			d.noID = append(d.noID, date)
		}
	}
	slices.Sort(d.all)
	slices.Sort(d.noID)
	return nil
}

// count is the number of times that a date occurs in a sorted list.
func count(dates []int64, date int64) int {
	from, found := slices.BinarySearch(dates, date)
	if !found {
		return 0
	}
	to := from
	for to < len(dates) && dates[to] == date && to-from <= maxCloser {
		to++
	}
	return to - from
}

func byInternalDate(a, b mailproof.Row) int {
	x, y := unixDate(a.InternalDate), unixDate(b.InternalDate)
	switch {
	case x < y:
		return -1
	case x > y:
		return 1
	}
	return 0
}

// pairDates walks both lists by INTERNALDATE.
func (e *engine) pairDates(src, dst []mailproof.Row) error {
	for len(src) > 0 && len(dst) > 0 {
		switch c := byInternalDate(src[0], dst[0]); {
		case c < 0:
			src = src[1:]
		case c > 0:
			dst = dst[1:]
		default:
			n, m := sameDate(src), sameDate(dst)
			s := &set{e: e, r: round{tier: mailproof.T4}, src: rowsOf(src[:n]), dst: rowsOf(dst[:m])}
			if err := s.pairHeads(); err != nil {
				return err
			}
			src, dst = src[n:], dst[m:]
		}
	}
	return nil
}

func sameDate(rows []mailproof.Row) int {
	n := 1
	for n < len(rows) && byInternalDate(rows[n], rows[0]) == 0 {
		n++
	}
	return n
}

// pairHeads pairs messages of one INTERNALDATE, in the mapped folder first.
func (s *set) pairHeads() error {
	if err := s.loadDetails(); err != nil {
		return err
	}
	for _, folder := range []bool{true, false} {
		s.r.folder = folder
		heads := classes[string]{}
		src, dst := byDetail(s.details, heads, suggestion), byDetail(s.detailsDst, heads, suggestion)
		for _, only := range [][2]bool{{true, false}, {false, true}} {
			if err := s.pairBy(withoutID(src, only[0]), withoutID(dst, only[1])); err != nil {
				return err
			}
		}
	}
	return nil
}

// suggestion is Date, From and Subject; nothing where there is neither sender
// nor subject.
func suggestion(d *mailproof.Detail, _ *mailproof.Row) string {
	date, from, subject := fieldHash(d, "date"), fieldHash(d, "from"), fieldHash(d, "subject")
	if from.IsZero() && subject.IsZero() {
		return ""
	}
	return string(date[:]) + string(from[:]) + string(subject[:])
}
