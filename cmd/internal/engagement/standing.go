package engagement

import (
	"context"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/diff"
)

// A destination may make something else of a message than it was given: Cyrus
// writes an X for each 8-bit octet of a header. Where that takes away all by which
// the message is known, the comparison finds the original missing and the copy
// extra, and it would be sent again at each pass, for ever. So a message is not
// sent again while what an earlier pass put there for it stands: the destination
// still lists the UID that it acknowledged. It remains an exception, for a person
// to decide; the verdict knows nothing of this.

// standingAtOnce is how many steps are held back while it is looked up what was
// sent before: with each lot that has any such, the inventory is read once.
const standingAtOnce = 5000

// notSentBefore leaves out the appends whose message stands on the destination.
func (e *Engagement) notSentBefore(ctx context.Context, dst diff.Inventory, all steps) steps {
	return func(yield func(mailproof.Step, error) bool) {
		lot := make([]mailproof.Step, 0, 100)
		goOn := true
		flush := func() bool {
			keys, err := e.stands(ctx, dst, lot)
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

// stands finds the messages of steps whose last append was acknowledged under a
// UID that the destination lists.
func (e *Engagement) stands(ctx context.Context, dst diff.Inventory, lot []mailproof.Step) (map[mailproof.MessageKey]bool, error) {
	at := map[spot]mailproof.MessageKey{}
	for _, s := range lot {
		if s.Kind != mailproof.AppendMessage {
			continue
		}
		last, ok, err := e.ledger.LatestStep(ctx, s.Source)
		if err != nil {
			return nil, err
		}
		if ok && last.State == mailproof.StepDone && last.UID != 0 && last.Step.Target == s.Target {
			at[spot{s.Target, last.UIDValidity, last.UID}] = s.Source
		}
	}
	if len(at) == 0 {
		return nil, nil
	}
	keys := map[mailproof.MessageKey]bool{}
	return keys, listed(ctx, dst, at, keys)
}

// listed adds to keys those that an inventory lists at their spots.
func listed(ctx context.Context, dst diff.Inventory, at map[spot]mailproof.MessageKey, keys map[mailproof.MessageKey]bool) error {
	boxes := dst.Mailboxes()
	for row, err := range dst.Rows(ctx, mailproof.TierNone) {
		if err != nil {
			return err
		}
		box := &boxes[row.Mailbox]
		if key, ok := at[spot{box.Name, box.After.UIDValidity, row.UID}]; ok {
			keys[key] = true
		}
	}
	return nil
}
