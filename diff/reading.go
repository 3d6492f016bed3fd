package diff

import (
	"fmt"
	"math"

	"github.com/mailproof/mailproof"
)

// reading says what of a side was not read, and so what its silence about a
// message is worth.
type reading struct {
	which  mailproof.Side
	gap    string  // why the account as a whole was not read to its end; empty: it was
	boxes  []int   // mailboxes that were not read to their end
	unread int64   // messages that are known of and were not read
	listed int64   // of those, how many the depth of the pass left out
	latest []int64 // by mailbox: the latest INTERNALDATE of an unread message; noDate: there is none
}

// anyTime stands in reading.latest for a message of unknown date.
const anyTime = math.MaxInt64

func newReading(s *side) reading {
	r := reading{which: s.which, gap: scanGap(s), latest: make([]int64, len(s.boxes))}
	for i, box := range s.boxes {
		r.latest[i] = noDate
		if s.out[i] || !boxGap(&box) {
			continue
		}
		r.boxes = append(r.boxes, i)
		r.unread += max(0, int64(max(box.Before.Exists, box.After.Exists))-box.Present)
		r.latest[i] = anyTime
	}
	return r
}

// scanGap says why an account's scan is no complete reading.
func scanGap(s *side) string {
	switch {
	case s.inv == nil || s.scan.Pass == 0:
		return "was never read"
	case s.scan.State == mailproof.PassDone:
		return ""
	case s.scan.State == mailproof.PassRunning:
		return "was not read to its end: the pass is running or was killed"
	case s.scan.Error != "":
		return fmt.Sprintf("was not read to its end: %s", s.scan.Error)
	}
	return fmt.Sprintf("was not read to its end: the pass is %v", s.scan.State)
}

// boxGap reports whether a mailbox that may hold messages was not read to its
// end.
func boxGap(b *mailproof.MailboxScan) bool {
	if b.NoSelect && b.Error == "" {
		return false
	}
	return !b.Complete || b.Error != ""
}

// add takes up a message that was not read.
func (r *reading) add(row *mailproof.Row) {
	r.unread++
	if row.State == mailproof.Unread {
		r.listed++
	}
	date := unixDate(row.InternalDate)
	if !reliable(row.InternalDate) {
		date = anyTime
	}
	r.latest[row.Mailbox] = max(r.latest[row.Mailbox], date)
}

// complete reports whether every message of the account was read.
func (r *reading) complete() bool { return r.gap == "" && len(r.boxes) == 0 && r.unread == 0 }

// reason says why a message without counterpart on this side may have one all
// the same.
func (r *reading) reason(s *side) mailproof.Reason {
	out := mailproof.Reason{Code: ReasonCounterpartUnread}
	switch {
	case r.gap != "":
		out.Evidence = fmt.Sprintf("the %v %s", r.which, r.gap)
	case r.unread > 0:
		out.Evidence = fmt.Sprintf("its counterpart may be among the %s unread on the %v", plural(r.unread, "message"), r.which)
	case len(r.boxes) > 0:
		out.Evidence = fmt.Sprintf("folder %s of the %v was not read to its end", quote(s.boxes[r.boxes[0]].Name), r.which)
	}
	return out
}

// mayHold reports whether an unread message of the mailbox may be the
// counterpart of a message that was received at the given time: no copy was
// received before its original, but for errors of time zone.
func (r *reading) mayHold(box int, received int64) bool {
	const zones = 24 * 60 * 60
	latest := r.latest[box]
	return latest != noDate && (latest == anyTime || received == noDate || received <= latest+zones)
}
