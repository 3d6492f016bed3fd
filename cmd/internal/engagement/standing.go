package engagement

import (
	"context"
	"sync"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
)

// A destination may make something else of a message than it was given: Cyrus
// writes an X for each 8-bit octet of a header. Where that takes away all by which
// the message is known, the comparison finds the original missing and the copy
// extra, and it would be sent again at each pass, for ever. So a message is not
// sent again while what an earlier pass put there for it stands: the destination
// still lists the UID that it acknowledged. It remains an exception, for a person
// to decide; the verdict knows nothing of this.

// standing is what was sent before and is there, by the inventories that it was
// found with.
type standing struct {
	mu       sync.Mutex
	accounts map[string]standingOf
}

type standingOf struct {
	source, destination mailproof.PassID
	keys                map[mailproof.MessageKey]bool // of the source
}

// standingAtOnce bounds how many are looked for in one reading of an inventory.
const standingAtOnce = 20_000

// notSentBefore leaves out the appends whose message stands on the destination.
func (e *Engagement) notSentBefore(ctx context.Context, account string, src, dst diff.Inventory, all steps) steps {
	return func(yield func(mailproof.Step, error) bool) {
		keys, err := e.stands(ctx, account, src, dst, all)
		if err != nil {
			yield(mailproof.Step{}, err)
			return
		}
		all(func(s mailproof.Step, err error) bool {
			if err == nil && s.Kind == mailproof.AppendMessage && keys[s.Source] {
				return true
			}
			return yield(s, err)
		})
	}
}

// stands finds what stands, once for the same two inventories.
func (e *Engagement) stands(ctx context.Context, account string, src, dst diff.Inventory, planned steps) (keys map[mailproof.MessageKey]bool, err error) {
	found := standingOf{source: src.Scan().Pass, destination: dst.Scan().Pass}
	e.standing.mu.Lock()
	kept, ok := e.standing.accounts[account]
	e.standing.mu.Unlock()
	if ok && kept.source == found.source && kept.destination == found.destination {
		return kept.keys, nil
	}
	if found.keys, err = e.findStanding(ctx, account, dst, planned); err != nil {
		return nil, err
	}
	e.standing.mu.Lock()
	defer e.standing.mu.Unlock()
	if e.standing.accounts == nil {
		e.standing.accounts = map[string]standingOf{}
	}
	e.standing.accounts[account] = found
	return found.keys, nil
}

func (e *Engagement) findStanding(ctx context.Context, account string, dst diff.Inventory, planned steps) (map[mailproof.MessageKey]bool, error) {
	if some, err := e.sentAny(ctx, account); err != nil || !some {
		return nil, err
	}
	keys := map[mailproof.MessageKey]bool{}
	at := map[spot]mailproof.MessageKey{}
	look := func() error {
		err := listed(ctx, dst, at, keys)
		clear(at)
		return err
	}
	var stepErr error
	planned(func(s mailproof.Step, err error) bool {
		if stepErr = err; err != nil || s.Kind != mailproof.AppendMessage {
			return err == nil
		}
		last, ok, err := e.ledger.LatestStep(ctx, s.Source)
		if stepErr = err; err != nil {
			return false
		}
		if ok && last.State == mailproof.StepDone && last.UID != 0 && last.Step.Target == s.Target {
			at[spot{s.Target, last.UIDValidity, last.UID}] = s.Source
		}
		if len(at) == standingAtOnce {
			stepErr = look()
		}
		return stepErr == nil
	})
	if stepErr == nil && len(at) > 0 {
		stepErr = look()
	}
	return keys, stepErr
}

// sentAny reports whether any append of an account was acknowledged.
func (e *Engagement) sentAny(ctx context.Context, account string) (bool, error) {
	for _, err := range e.ledger.Steps(ctx, ledger.StepFilter{Account: account, Kinds: []mailproof.StepKind{mailproof.AppendMessage}, States: []mailproof.StepState{mailproof.StepDone}}) {
		return err == nil, err
	}
	return false, nil
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
