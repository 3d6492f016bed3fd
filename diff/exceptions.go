package diff

import (
	"cmp"
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

const (
	second = time.Second
	stamp  = time.RFC3339
)

// checkOf returns the check that an exception of this verdict belongs to; empty
// where the verdict is no exception. A destination message that cannot be read
// is one of its own.
func checkOf(res *Result) string {
	switch res.Verdict {
	case mailproof.Missing:
		return CheckMissing
	case mailproof.Altered:
		return CheckAltered
	case mailproof.DuplicateCollapsed:
		return CheckCollapsed
	case mailproof.Unverifiable:
		if res.SourceRow == nil {
			return CheckDestinationUnreadable
		}
		return CheckUnverifiable
	case mailproof.Relocated:
		if hasCode(res.Reasons, ReasonToTrash) {
			return CheckToTrash
		}
		return checkNone
	case mailproof.DuplicateSurplus:
		return checkNone
	}
	return ""
}

// checkNone stands for exceptions that are listed for the record and decide
// nothing.
const checkNone = "-"

// except lists a result that somebody must decide on, or that is to be on
// record.
func (a *account) except(res *Result, src, dst *mailproof.Message) error {
	check := checkOf(res)
	if check == "" {
		return nil
	}
	key := res.Key()
	x := mailproof.Exception{
		Account: a.result.Account, Mailbox: key.Mailbox, Key: key, Verdict: res.Verdict, Tier: res.Tier,
		Reasons: res.Reasons, Disposition: mailproof.Noted,
	}
	if res.SourceRow != nil && res.DestinationRow != nil {
		x.Counterpart = res.Destination
	}
	list := &a.noted
	if check != checkNone {
		a.decide(&x)
		a.tally(check, key.Mailbox, x.Disposition)
		list = &a.open
	}
	if len(*list) >= a.o.maxExceptions() {
		a.omitted++
		return nil
	}
	if err := a.describe(&x, res, src, dst); err != nil {
		return err
	}
	*list = append(*list, x)
	return nil
}

// decide asks for the decision on an exception. One that was said to be fixed
// and is still found is open again.
func (a *account) decide(x *mailproof.Exception) {
	x.Disposition = mailproof.Open
	if a.o.Dispositions == nil {
		return
	}
	switch d := a.o.Dispositions(x); d {
	case mailproof.Accepted, mailproof.Waived:
		x.Disposition = d
	case mailproof.Fixed:
		x.Reasons = append(slices.Clone(x.Reasons), mailproof.Reason{Code: ReasonNotFixed, Evidence: "said to be fixed, and still found"})
	}
}

func (a *account) tally(check, mailbox string, d mailproof.Disposition) {
	t := a.tallies[check]
	if t == nil {
		t = &tally{folders: map[string]int64{}}
		a.tallies[check] = t
	}
	t.total++
	t.folders[mailbox]++
	if d == mailproof.Accepted || d == mailproof.Waived {
		t.accepted++
	}
}

// describe adds what people know a message by.
func (a *account) describe(x *mailproof.Exception, res *Result, src, dst *mailproof.Message) error {
	s, row, m := a.e.src, res.SourceRow, src
	if row == nil {
		s, row, m = a.e.dst, res.DestinationRow, dst
	}
	x.Size = row.Octets
	if row.State != mailproof.Read {
		x.Size = row.Size
	}
	if m == nil {
		loaded, err := s.message(a.e.ctx, row.ID)
		if err != nil {
			return err
		}
		m = &loaded
	}
	x.MessageID = m.Fingerprint.Detail.MessageID
	x.Subject, _ = fieldValue(&m.Fingerprint.Detail, "subject")
	return nil
}

// exceptions sorts what was kept: those to be decided first, then by side,
// folder and UID.
func (a *account) exceptions() ([]mailproof.Exception, int64) {
	all := slices.Concat(a.open, a.noted)
	limit := a.o.maxExceptions()
	omitted := a.omitted
	if len(all) > limit {
		omitted += int64(len(all) - limit)
		all = all[:limit]
	}
	slices.SortStableFunc(all, func(x, y mailproof.Exception) int {
		return cmp.Or(cmp.Compare(b2i(x.Disposition == mailproof.Noted), b2i(y.Disposition == mailproof.Noted)),
			cmp.Compare(x.Key.Side, y.Key.Side), cmp.Compare(x.Mailbox, y.Mailbox), cmp.Compare(x.Key.UID, y.Key.UID))
	})
	return all, omitted
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
