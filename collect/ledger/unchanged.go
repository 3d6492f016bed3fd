package ledger

import (
	"context"

	"github.com/mailproof/mailproof"
)

// Unchanged reports whether the mailbox is as the scan before left it, and that
// one knew all of it: it came to its end, settled, in the very state in which
// the handle found the mailbox, HIGHESTMODSEQ included (RFC 7162 §3.1.2.2), and
// every message was read by the fingerprint of today. present is the number of
// its messages.
func (w *MailboxWriter) Unchanged(ctx context.Context) (present int64, ok bool, err error) {
	if w.epoch == 0 || w.before.HighestModSeq == 0 || w.before.UIDNext == 0 {
		return 0, false, nil
	}
	err = w.l.snapshot(ctx, func(r *reader) error {
		foreign, err := r.foreignPasses(ctx)
		if err != nil || len(foreign) > 0 {
			return err
		}
		if present, ok, err = w.lastScan(ctx, r); err != nil || !ok {
			return err
		}
		var one int64
		first, last := messageID(w.epoch, 0), lastOf(w.epoch)
		some, err := r.one(ctx, "SELECT 1 FROM message WHERE id BETWEEN ? AND ? AND state <> 2 LIMIT 1", []any{first, last}, &one)
		if err == nil && !some {
			some, err = r.one(ctx, "SELECT 1 FROM reading WHERE message BETWEEN ? AND ? AND state <> 2 LIMIT 1", []any{first, last}, &one)
		}
		ok = !some
		return err
	})
	return present, ok && err == nil, err
}

// lastScan compares the state with that in which the pass before left the
// mailbox.
func (w *MailboxWriter) lastScan(ctx context.Context, r *reader) (present int64, ok bool, err error) {
	var after mailproof.MailboxState
	var before [3]int64
	var clean bool
	found, err := r.one(ctx, `SELECT s.after_uidvalidity, s.after_uidnext, s.after_exists, s.after_modseq, s.present,
		s.before_uidnext, s.before_exists, s.before_modseq,
		s.state = 'done' AND s.complete = 1 AND s.drifted = 0 AND s.error = '' AND s.epoch = ?1
		FROM pass p JOIN mailbox_scan s ON s.pass = p.id AND s.mailbox = (SELECT mailbox FROM mailbox_scan WHERE id = ?2)
		WHERE p.id < ?3 AND p.kind = 'inventory' AND p.side = ?4 ORDER BY p.id DESC LIMIT 1`,
		[]any{w.epoch, w.id, int64(w.pass), sideText(w.key.Side)},
		&after.UIDValidity, &after.UIDNext, &after.Exists, &after.HighestModSeq, &present, &before[0], &before[1], &before[2], &clean)
	if err != nil || !found {
		return 0, false, err
	}
	// A flag that changed between the listing and the end is not known.
	still := before == [3]int64{int64(after.UIDNext), int64(after.Exists), int64(after.HighestModSeq)}
	return present, clean && still && after == w.before && present == int64(after.Exists), nil
}
