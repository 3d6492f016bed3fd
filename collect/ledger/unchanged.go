package ledger

import (
	"context"

	"github.com/mailproof/mailproof"
)

// telling reports whether a state is whole: the same one again vouches for the
// messages, and for their flags.
func telling(s mailproof.MailboxState) bool {
	return s.UIDValidity != 0 && s.UIDNext != 0 && s.HighestModSeq != 0
}

// Unchanged reports whether the mailbox is as the scan before left it, and that
// one knew all of it: it came to its end, settled, in the very state in which
// the handle found the mailbox, HIGHESTMODSEQ included (RFC 7162 §3.1.2.2), at
// the same server, and every message was read by the fingerprint of today.
// present is the number of its messages.
func (w *MailboxWriter) Unchanged(ctx context.Context) (present int64, ok bool, err error) {
	if w.epoch == 0 || !telling(w.before) {
		return 0, false, nil
	}
	err = w.l.snapshot(ctx, func(r *reader) error {
		foreign, err := r.foreignPasses(ctx)
		if err != nil || len(foreign) > 0 {
			return err
		}
		var mailbox int64
		if ok, err = r.one(ctx, "SELECT mailbox FROM mailbox_scan WHERE id = ?", []any{w.id}, &mailbox); err != nil || !ok {
			return err
		}
		present, ok, err = r.unchanged(ctx, w.pass, w.key.Side, mailbox, w.epoch, w.before)
		return err
	})
	return present, ok && err == nil, err
}

// RecordUnchanged records those of the mailboxes that are, in the states in which
// they were found, as the scan before left them, as [MailboxWriter.Unchanged] has
// it: opened and ended at once, read in full. It returns how many messages each
// holds, by name. What is not among them has to be read; nothing of it is
// recorded. Nothing at all is, where there is any such and believed says no.
func (l *Ledger) RecordUnchanged(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side, found []mailproof.MailboxScan, believed func([]mailproof.MailboxScan) bool) (present map[string]int64, err error) {
	present = map[string]int64{}
	var same []mailproof.MailboxScan
	err = l.snapshot(ctx, func(r *reader) error {
		foreign, err := r.foreignPasses(ctx)
		if err != nil || len(foreign) > 0 {
			return err
		}
		for _, s := range found {
			if !telling(s.Before) {
				continue
			}
			var mailbox, epoch int64
			known, err := r.one(ctx, `SELECT b.id, e.id FROM account a JOIN mailbox b ON b.account = a.id AND b.side = ?2 AND b.name = ?3
				JOIN epoch e ON e.mailbox = b.id AND e.uidvalidity = ?4 WHERE a.name = ?1`,
				[]any{account, sideText(side), s.Name, int64(s.Before.UIDValidity)}, &mailbox, &epoch)
			if err != nil {
				return err
			}
			if !known {
				continue
			}
			n, ok, err := r.unchanged(ctx, pass, side, mailbox, epoch, s.Before)
			if err != nil {
				return err
			}
			if ok {
				s.After, s.Complete, s.Present = s.Before, true, n
				same = append(same, s)
				present[s.Name] = n
			}
		}
		return nil
	})
	if err != nil || len(same) == 0 || !believed(same) {
		return nil, err
	}
	err = l.write(ctx, committed, len(same), func(t *tx) error {
		for _, s := range same {
			id, _, err := t.mailboxScan(pass, account, side, s.Mailbox, s.Before, "running", "")
			if err == nil {
				err = t.endMailbox(id, s.Before, s.After, s)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return present, nil
}

// unchanged reports whether the scan before the given pass left a mailbox in the
// given state, and every message of it was read.
func (r *reader) unchanged(ctx context.Context, pass mailproof.PassID, side mailproof.Side, mailbox, epoch int64, now mailproof.MailboxState) (present int64, ok bool, err error) {
	if present, ok, err = r.lastScan(ctx, pass, side, mailbox, epoch, now); err != nil || !ok {
		return 0, false, err
	}
	var one int64
	first, last := messageID(epoch, 0), lastOf(epoch)
	some, err := r.one(ctx, "SELECT 1 FROM message INDEXED BY message_unread WHERE id BETWEEN ? AND ? AND state <> 2 LIMIT 1", []any{first, last}, &one)
	if err == nil && !some {
		some, err = r.one(ctx, "SELECT 1 FROM reading WHERE message BETWEEN ? AND ? AND state <> 2 LIMIT 1", []any{first, last}, &one)
	}
	return present, !some && err == nil, err
}

// lastScan compares a state with that in which the scan before a pass left the
// mailbox.
func (r *reader) lastScan(ctx context.Context, pass mailproof.PassID, side mailproof.Side, mailbox, epoch int64, now mailproof.MailboxState) (present int64, ok bool, err error) {
	var after mailproof.MailboxState
	var before [3]int64
	var clean bool
	found, err := r.one(ctx, `SELECT s.after_uidvalidity, s.after_uidnext, s.after_exists, s.after_modseq, s.present,
		s.before_uidnext, s.before_exists, s.before_modseq,
		s.state = 'done' AND s.complete = 1 AND s.drifted = 0 AND s.error = '' AND s.epoch = ?1 AND
			(SELECT count(DISTINCT json_extract(x.server, '$.address')) FROM scan x WHERE x.account = s.account AND x.side = ?4 AND x.pass IN (?3, s.pass)) < 2
		FROM pass p JOIN mailbox_scan s ON s.pass = p.id AND s.mailbox = ?2
		WHERE p.id < ?3 AND p.kind = 'inventory' AND p.side = ?4 ORDER BY p.id DESC LIMIT 1`,
		[]any{epoch, mailbox, int64(pass), sideText(side)},
		&after.UIDValidity, &after.UIDNext, &after.Exists, &after.HighestModSeq, &present, &before[0], &before[1], &before[2], &clean)
	if err != nil || !found {
		return 0, false, err
	}
	// A flag that changed between the listing and the end is not known.
	still := before == [3]int64{int64(after.UIDNext), int64(after.Exists), int64(after.HighestModSeq)}
	return present, clean && still && after == now && present == int64(after.Exists), nil
}
