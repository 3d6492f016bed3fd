package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/mailproof/mailproof"
)

// headersPerJob is how many headers are handed to the writer at once.
const headersPerJob = 500

// AddHeaders records the headers of messages of the mailbox that were added
// before and whose bodies were not read.
func (w *MailboxWriter) AddHeaders(ctx context.Context, uids []mailproof.UID, headers []mailproof.Header) error {
	if len(uids) != len(headers) {
		return fmt.Errorf("ledger: %d headers of %d messages", len(headers), len(uids))
	}
	rows := make([][]any, 0, min(len(uids), headersPerJob))
	for i, uid := range uids {
		row, err := headerRow(messageID(w.epoch, uid), w.pass, &headers[i])
		if err != nil {
			return w.keep(err)
		}
		if rows = append(rows, row); len(rows) < headersPerJob && i < len(uids)-1 {
			continue
		}
		job := slices.Clone(rows) // a cancelled call leaves the job behind
		rows = rows[:0]
		w.written = true
		err = w.do(ctx, ran, len(job), func(t *tx) error {
			for _, row := range job {
				if _, err := t.exec("INSERT INTO header (message, pass, t3, detail, reason) VALUES (?, ?, ?, ?, ?)", row...); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func headerRow(id int64, pass mailproof.PassID, h *mailproof.Header) ([]any, error) {
	if h.Reason != "" {
		return []any{id, int64(pass), nil, nil, h.Reason}, nil
	}
	d := mailproof.Detail{MessageID: h.MessageID, Fields: h.Fields}
	detail, err := d.MarshalBinary()
	if err != nil {
		return nil, err
	}
	row := []any{id, int64(pass), nil, detail, nil}
	if !h.T3.IsZero() {
		row[2] = slices.Clone(h.T3[:])
	}
	return row, nil
}

// Headed yields, in ascending order, the UIDs of which the header is known:
// those whose header an earlier pass has read.
func (w *MailboxWriter) Headed(ctx context.Context) iter.Seq2[mailproof.UID, error] {
	return func(yield func(mailproof.UID, error) bool) {
		if w.epoch == 0 {
			return
		}
		goOn := true
		err := w.l.snapshot(ctx, func(r *reader) error {
			foreign, err := r.foreignPasses(ctx)
			if err != nil {
				return err
			}
			return r.each(ctx, latestHeader("h.message, h.pass")+" AND h.reason IS NULL ORDER BY h.message", []any{messageID(w.epoch, 0), lastOf(w.epoch), int64(w.pass)}, func(row scanFunc) error {
				var id int64
				var pass mailproof.PassID
				if err := row(&id, &pass); err != nil || foreign[pass] {
					return err
				}
				if goOn = yield(uidOf(id), nil); !goOn {
					return errEnough
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errEnough) && goOn {
			yield(0, explain(w.l.path, err))
		}
	}
}

// latestHeader is the query of the headers of one epoch at a pass.
func latestHeader(columns string) string {
	return "SELECT " + columns + " FROM header h WHERE h.message BETWEEN ?1 AND ?2 AND h.pass <= ?3 AND h.id = (SELECT max(x.id) FROM header x WHERE x.message = h.message AND x.pass <= ?3)"
}

// EachHeader hands the headers of messages whose bodies were not read to f, by
// the number of the message's row, in the order of [Inventory.Rows] by
// [mailproof.TierNone]. Not every message has one, and a message that was read
// later, or vanished, may have one still. Headers that another version of the
// fingerprint made are left out. What h points to is valid until f returns.
func (inv *Inventory) EachHeader(ctx context.Context, f func(id int64, h *mailproof.Header) error) error {
	var h mailproof.Header
	for _, ref := range inv.refs {
		if ref.epoch == 0 {
			continue
		}
		args := []any{messageID(ref.epoch, 0), lastOf(ref.epoch), int64(inv.scan.Pass)}
		err := inv.r.each(ctx, latestHeader("h.message, h.pass, h.t3, h.detail, h.reason")+" ORDER BY h.message", args, func(row scanFunc) error {
			id, foreign, err := inv.header(row, &h)
			if err != nil || foreign {
				return err
			}
			return f(id, &h)
		})
		if err != nil {
			return explain(inv.r.path, err)
		}
	}
	return nil
}

// Header returns the header of one message, by the number of its row, as
// EachHeader would give it; ok is false where there is none.
func (inv *Inventory) Header(ctx context.Context, id int64) (h mailproof.Header, ok bool, err error) {
	err = inv.r.few(ctx, latestHeader("h.message, h.pass, h.t3, h.detail, h.reason"), []any{id, id, int64(inv.scan.Pass)}, func(row scanFunc) error {
		_, foreign, err := inv.header(row, &h)
		ok = err == nil && !foreign
		return err
	})
	return h, ok, explain(inv.r.path, err)
}

func (inv *Inventory) header(row scanFunc, h *mailproof.Header) (id int64, foreign bool, err error) {
	var pass mailproof.PassID
	var t3, detail sql.RawBytes
	var reason sql.NullString
	*h = mailproof.Header{}
	if err := row(&id, &pass, &t3, &detail, &reason); err != nil || inv.foreign[pass] {
		return id, true, err
	}
	if h.Reason = reason.String; reason.Valid {
		return id, false, nil
	}
	copy(h.T3[:], t3)
	var d mailproof.Detail
	if err := d.UnmarshalBinary(detail); err != nil {
		return id, false, fmt.Errorf("%w: header of message %d: %w", ErrDamaged, id, err)
	}
	h.MessageID, h.Fields = d.MessageID, d.Fields
	return id, false, nil
}
