package ledger

import (
	"context"

	"github.com/mailproof/mailproof"
)

// NoteSettled records that the plan of a copy, made from these two inventories of
// an account, called for nothing. rules stands for whatever else it rested on.
func (l *Ledger) NoteSettled(ctx context.Context, account string, source, destination mailproof.PassID, rules string) error {
	var base mailproof.PassID
	use := false // where the states prove nothing it would never be looked at
	err := l.snapshot(ctx, func(r *reader) (err error) {
		if use, err = r.sameStates(ctx, account, mailproof.Source, source, source); err == nil && use {
			use, err = r.sameStates(ctx, account, mailproof.Destination, destination, destination)
		}
		if err == nil {
			base, err = r.basePass(ctx, account, mailproof.Source, source, 0)
		}
		return err
	})
	if err != nil || !use {
		return err
	}
	return l.write(ctx, committed, 1, func(t *tx) error {
		_, err := t.exec("INSERT INTO settled (account, source_pass, destination_pass, base_pass, rules, recorded) VALUES (?, ?, ?, ?, ?, ?)",
			account, int64(source), int64(destination), int64(base), rules, now())
		return err
	})
}

// Settled reports whether the plan of a copy from these two inventories, which
// came to their ends, is certain to call for nothing: the last one that did
// rested on the same rules, and on two inventories that saw both sides in the very
// states in which these saw them. States prove that only where every mailbox has a
// HIGHESTMODSEQ (RFC 7162), was read whole, and held still.
func (l *Ledger) Settled(ctx context.Context, account string, source, destination mailproof.PassID, rules string) (settled bool, err error) {
	err = l.snapshot(ctx, func(r *reader) error {
		var then struct {
			source, destination, base mailproof.PassID
			rules                     string
		}
		known, err := r.one(ctx, "SELECT source_pass, destination_pass, base_pass, rules FROM settled WHERE account = ? ORDER BY seq DESC LIMIT 1",
			[]any{account}, &then.source, &then.destination, &then.base, &then.rules)
		if err != nil || !known || then.rules != rules {
			return err
		}
		// What changed of flags at the source is measured against the base: it is
		// the same one, or one in which they were what they are.
		base, err := r.basePass(ctx, account, mailproof.Source, source, 0)
		if err != nil || base != then.base && base < then.source {
			return err
		}
		var reread mailproof.PassID
		if _, err := r.one(ctx, "SELECT max(coalesce((SELECT pass FROM reading ORDER BY id DESC LIMIT 1), 0), coalesce((SELECT pass FROM listing ORDER BY id DESC LIMIT 1), 0))", nil, &reread); err != nil || reread > min(then.source, then.destination) {
			return err
		}
		settled, err = r.sameStates(ctx, account, mailproof.Source, then.source, source)
		if err == nil && settled {
			settled, err = r.sameStates(ctx, account, mailproof.Destination, then.destination, destination)
		}
		return err
	})
	return settled && err == nil, err
}

// sameStates reports whether two scans of an account saw the same mailboxes, each
// with the same messages and flags, and read all of them.
func (r *reader) sameStates(ctx context.Context, account string, side mailproof.Side, one, other mailproof.PassID) (same bool, err error) {
	foreign, err := r.foreignPasses(ctx)
	if err != nil || len(foreign) > 0 {
		return false, err
	}
	var first, second, equal int64
	_, err = r.one(ctx, `WITH scans AS MATERIALIZED (SELECT s.*,
			s.noselect = 1 OR s.excluded <> '' OR s.complete = 1 AND s.after_modseq <> 0 AND s.after_uidnext <> 0 AND s.present = s.after_exists
				AND s.before_uidvalidity = s.after_uidvalidity AND s.before_uidnext = s.after_uidnext AND s.before_exists = s.after_exists AND s.before_modseq = s.after_modseq AS whole
		FROM mailbox_scan s JOIN account a ON a.id = s.account
		WHERE s.pass IN (?1, ?2) AND s.side = ?3 AND a.name = ?4)
		SELECT (SELECT count(*) FROM scans WHERE pass = ?1), (SELECT count(*) FROM scans WHERE pass = ?2),
		(SELECT count(*) FROM scans x JOIN scans y ON y.mailbox = x.mailbox WHERE x.pass = ?1 AND y.pass = ?2
			AND x.state <> 'running' AND x.state = y.state AND x.epoch IS y.epoch AND x.separator = y.separator AND x.prefix = y.prefix AND x.special_use = y.special_use
			AND x.subscribed = y.subscribed AND x.noselect = y.noselect AND x.excluded = y.excluded
			AND x.error = '' AND y.error = '' AND x.drifted = 0 AND y.drifted = 0 AND x.whole AND y.whole
			AND (x.excluded <> '' OR x.after_uidvalidity = y.after_uidvalidity AND x.after_uidnext = y.after_uidnext AND x.after_exists = y.after_exists
				AND x.after_modseq = y.after_modseq AND x.present = y.present))`,
		[]any{int64(one), int64(other), sideText(side), account}, &first, &second, &equal)
	return first > 0 && first == second && first == equal, err
}
