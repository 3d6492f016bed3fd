package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mailproof/mailproof"
)

// Deletion is a message of the destination that was to be deleted: an earlier
// pass had put it there, and its source is gone.
type Deletion struct {
	ID          int64 // of the ledger; 0 before it was intended
	Pass        mailproof.PassID
	Destination mailproof.MessageKey
	T0          mailproof.Hash // as it was read right before
	Octets      int64
	Source      mailproof.MessageKey // that it was copied from
	AppendedBy  mailproof.PassID
	Intended    time.Time
	// State is empty where no result was recorded: the process ended in between,
	// and the next inventory of the destination tells.
	State    DeletionState
	Reason   string
	Finished time.Time
}

// DeletionState says how a deletion ended.
type DeletionState string

// The states.
const (
	Deleted        DeletionState = "done"
	DeletionKept   DeletionState = "kept"   // not what was planned: left alone
	DeletionFailed DeletionState = "failed" // the server refused, or the connection was lost
)

// IntendDeletions records messages that are about to be deleted, gives each its
// ID, and returns when that is on disk.
func (l *Ledger) IntendDeletions(ctx context.Context, list []Deletion) error {
	return l.write(ctx, durable, len(list), func(t *tx) error {
		for i := range list {
			d := &list[i]
			if d.Destination.Side != mailproof.Destination || d.Source.Side != mailproof.Source {
				return errors.New("ledger: only messages of the destination are deleted")
			}
			if d.T0.IsZero() || d.AppendedBy == 0 {
				return errors.New("ledger: a deletion without its hash, or without the pass that appended the message")
			}
			id, err := t.insert(`INSERT INTO deletion (pass, account, mailbox, uidvalidity, uid, t0, octets, source_mailbox, source_validity, source_uid, appended_by, intended)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
				int64(d.Pass), d.Destination.Account, d.Destination.Mailbox, int64(d.Destination.UIDValidity), int64(d.Destination.UID), d.T0[:], d.Octets,
				d.Source.Mailbox, int64(d.Source.UIDValidity), int64(d.Source.UID), int64(d.AppendedBy), now())
			if err != nil {
				return err
			}
			d.ID = id
		}
		return nil
	})
}

// RecordDeletions records how deletions ended, once each, and returns when that
// is on disk.
func (l *Ledger) RecordDeletions(ctx context.Context, list []Deletion) error {
	return l.write(ctx, durable, len(list), func(t *tx) error {
		for i := range list {
			d := &list[i]
			switch d.State {
			case Deleted, DeletionKept, DeletionFailed:
			default:
				return fmt.Errorf("ledger: a deletion cannot end as %q", d.State)
			}
			if _, err := t.exec("INSERT INTO deletion_result (deletion, state, reason, finished) VALUES (?, ?, ?, ?)", d.ID, string(d.State), d.Reason, now()); err != nil {
				return err
			}
		}
		return nil
	})
}

// Deletions returns every deletion in the order in which it was intended.
func (l *Ledger) Deletions(ctx context.Context) ([]Deletion, error) {
	var list []Deletion
	err := l.each(ctx, `SELECT d.seq, d.pass, d.account, d.mailbox, d.uidvalidity, d.uid, d.t0, d.octets, d.source_mailbox, d.source_validity, d.source_uid, d.appended_by, d.intended,
		coalesce(r.state, ''), coalesce(r.reason, ''), coalesce(r.finished, '') FROM deletion d LEFT JOIN deletion_result r ON r.deletion = d.seq ORDER BY d.seq`, nil, func(row scanFunc) error {
		d := Deletion{Destination: mailproof.MessageKey{Side: mailproof.Destination}, Source: mailproof.MessageKey{Side: mailproof.Source}}
		var t0 []byte
		var state string
		err := row(&d.ID, &d.Pass, &d.Destination.Account, &d.Destination.Mailbox, &d.Destination.UIDValidity, &d.Destination.UID, &t0, &d.Octets,
			&d.Source.Mailbox, &d.Source.UIDValidity, &d.Source.UID, &d.AppendedBy, textTime{&d.Intended}, &state, &d.Reason, textTime{&d.Finished})
		d.Source.Account, d.State = d.Destination.Account, DeletionState(state)
		copy(d.T0[:], t0)
		list = append(list, d)
		return err
	})
	return list, err
}

// SharedDeletions returns the indices of those messages that another account has,
// too, by what was read of it: the same octets under the same UID of a mailbox of
// the same name and UIDVALIDITY. Two accounts then share one mailbox.
func (l *Ledger) SharedDeletions(ctx context.Context, list []Deletion) (shared []int, err error) {
	type place struct {
		account, mailbox string
		validity         uint32
	}
	epochs := map[place][]int64{} // of the others
	err = l.snapshot(ctx, func(r *reader) error {
		for i := range list {
			d := &list[i].Destination
			at := place{d.Account, d.Mailbox, d.UIDValidity}
			of, known := epochs[at]
			if !known {
				err := r.each(ctx, `SELECT e.id FROM mailbox b JOIN account a ON a.id = b.account JOIN epoch e ON e.mailbox = b.id AND e.uidvalidity = ?
					WHERE b.side = 'destination' AND b.name = ? AND a.name <> ?`, []any{int64(d.UIDValidity), d.Mailbox, d.Account}, func(row scanFunc) error {
					of = append(of, 0)
					return row(&of[len(of)-1])
				})
				if err != nil {
					return err
				}
				epochs[at] = of
			}
			for _, epoch := range of {
				var one int64
				has, err := r.one(ctx, "SELECT 1 FROM message WHERE id = ? AND substr(hashes, 1, 32) = ?", []any{messageID(epoch, d.UID), list[i].T0[:]}, &one)
				if err != nil {
					return err
				}
				if has {
					shared = append(shared, i)
					break
				}
			}
		}
		return nil
	})
	return shared, err
}
