package engagement

import (
	"context"
	"errors"
	"slices"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
)

// A destination may make something else of a message than it was given: Cyrus
// writes an X for each 8-bit octet of a header. Where that takes away all by which
// the message is known, the comparison finds the original missing and the copy
// extra, and it would be sent again at each pass, for ever. So a message is not
// sent again while what an earlier pass put there for it stands: the destination
// still lists the UID that it acknowledged, for the same message. Where it
// acknowledged none, as without UIDPLUS, what stands for it is a message of the
// same folder and INTERNALDATE that came since the append and is nobody's
// counterpart, one for each. It remains an exception, for a person to decide; the
// verdict knows nothing of this.

// standingAtOnce is how many steps are held back while it is looked up what was
// sent before: with each lot that has any such, the inventory is read once.
const standingAtOnce = 5000

// notSentBefore leaves out the appends whose message stands on the destination.
func (e *Engagement) notSentBefore(ctx context.Context, account string, dst diff.Inventory, all steps) steps {
	return func(yield func(mailproof.Step, error) bool) {
		st := standing{Engagement: e, account: account, dst: dst}
		lot := make([]mailproof.Step, 0, 100)
		goOn := true
		flush := func() bool {
			keys, err := st.sentBefore(ctx, lot)
			for _, s := range lot {
				if goOn && err == nil && (s.Kind != mailproof.AppendMessage || !keys[s.Source]) {
					goOn = yield(s, nil)
				}
			}
			if goOn && err != nil {
				goOn = false
				yield(mailproof.Step{}, err)
			}
			lot = lot[:0]
			return goOn
		}
		all(func(s mailproof.Step, err error) bool {
			if err != nil {
				if flush() {
					goOn = yield(s, err)
				}
				return goOn
			}
			if lot = append(lot, s); len(lot) < standingAtOnce {
				return true
			}
			return flush()
		})
		if goOn {
			flush()
		}
	}
}

// standing finds what of an account's acknowledged messages is on the destination.
type standing struct {
	*Engagement
	account string
	dst     diff.Inventory
	free    map[freeAt][]mailproof.PassID // see nameless; nil: not looked for
}

// freeAt is where messages of the destination lie that are nobody's counterpart.
type freeAt struct {
	mailbox string
	date    int64
}

// sentBefore finds the messages of steps whose last append was acknowledged, and
// stands. Of another message that was found under its UID since, an append says
// nothing.
func (st *standing) sentBefore(ctx context.Context, lot []mailproof.Step) (map[mailproof.MessageKey]bool, error) {
	var sent []ledger.JournalEntry
	for _, s := range lot {
		if s.Kind != mailproof.AppendMessage {
			continue
		}
		last, ok, err := st.ledger.LatestStep(ctx, s.Source)
		if err != nil {
			return nil, err
		}
		same := last.Step.T0 == s.T0 || last.Step.T0.IsZero() || s.T0.IsZero()
		if ok && last.State == mailproof.StepDone && last.Step.Target == s.Target && same {
			sent = append(sent, last)
		}
	}
	return st.stands(ctx, sent)
}

// stands finds those of acknowledged appends whose message the destination lists.
func (st *standing) stands(ctx context.Context, sent []ledger.JournalEntry) (map[mailproof.MessageKey]bool, error) {
	keys := map[mailproof.MessageKey]bool{}
	at := map[spot]ledger.JournalEntry{}
	for _, s := range sent {
		if s.UID != 0 {
			at[spot{s.Step.Target, s.UIDValidity, s.UID}] = s
			continue
		}
		stands, err := st.nameless(ctx, &s)
		if err != nil {
			return nil, err
		}
		keys[s.Step.Source] = stands
	}
	if len(at) == 0 {
		return keys, nil
	}
	boxes := st.dst.Mailboxes()
	for row, err := range st.dst.Rows(ctx, mailproof.TierNone) {
		if err != nil {
			return nil, err
		}
		box := &boxes[row.Mailbox]
		s, ok := at[spot{box.Name, box.After.UIDValidity, row.UID}]
		if !ok {
			continue
		}
		other, err := st.ledger.Relisted(ctx, mailproof.MessageKey{Side: mailproof.Destination, Account: st.account, Mailbox: box.Name, UIDValidity: box.After.UIDValidity, UID: row.UID}, s.Pass)
		if err != nil {
			return nil, err
		}
		keys[s.Step.Source] = !other
	}
	return keys, nil
}

// nameless reports whether something stands for an append that was acknowledged
// without a UID, and takes it.
func (st *standing) nameless(ctx context.Context, s *ledger.JournalEntry) (bool, error) {
	if s.Step.InternalDate.IsZero() {
		return false, nil // by which nothing can be told apart
	}
	if st.free == nil {
		if err := st.findFree(ctx); err != nil {
			return false, err
		}
	}
	at := freeAt{s.Step.Target, s.Step.InternalDate.Unix()}
	for i, first := range st.free[at] {
		if first > s.Pass {
			st.free[at] = slices.Delete(st.free[at], i, i+1)
			return true, nil
		}
	}
	return false, nil
}

// findFree compares the account for the messages of the destination that are
// nobody's counterpart.
func (st *standing) findFree(ctx context.Context) (err error) {
	src, dst, done, err := st.inventoriesOf(ctx, st.account)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, done()) }()
	o, err := st.compareOptions(ctx, st.account, dst)
	if err != nil {
		return err
	}
	st.free = map[freeAt][]mailproof.PassID{}
	o.MaxExceptions = -1
	o.OnResult = func(r diff.Result) error {
		if row := r.DestinationRow; r.SourceRow == nil && row != nil && !row.InternalDate.IsZero() {
			at := freeAt{r.Destination.Mailbox, row.InternalDate.Unix()}
			st.free[at] = append(st.free[at], row.FirstPass)
		}
		return nil
	}
	_, err = diff.Compare(ctx, src, dst, o)
	return err
}
