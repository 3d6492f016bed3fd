package ledger

import (
	"context"
	"time"

	"github.com/mailproof/mailproof"
)

// Traffic is what passed between us and one login on one day of UTC.
type Traffic struct {
	Day     time.Time // its beginning
	Account string
	Side    mailproof.Side
	// Read and Sent are octets of IMAP, from the server and to it.
	Read, Sent int64
}

// dayText is a day as the table has it.
func dayText(day time.Time) string { return day.UTC().Format(time.DateOnly) }

// NoteTraffic adds to what passed on a day, and returns when that would survive
// the process. It is the book of the day's budget, and no evidence.
func (l *Ledger) NoteTraffic(ctx context.Context, t Traffic) error {
	return l.write(ctx, committed, 1, func(tx *tx) error {
		_, err := tx.exec("INSERT INTO traffic (day, account, side, read, sent, recorded) VALUES (?, ?, ?, ?, ?, ?)",
			dayText(t.Day), t.Account, sideText(t.Side), t.Read, t.Sent, now())
		return err
	})
}

// TrafficOf returns what passed for one login on a day, over all runs.
func (l *Ledger) TrafficOf(ctx context.Context, account string, side mailproof.Side, day time.Time) (Traffic, error) {
	t := Traffic{Day: day, Account: account, Side: side}
	err := l.snapshot(ctx, func(r *reader) error {
		_, err := r.one(ctx, "SELECT coalesce(sum(read), 0), coalesce(sum(sent), 0) FROM traffic WHERE account = ? AND side = ? AND day = ?",
			[]any{account, sideText(side), dayText(day)}, &t.Read, &t.Sent)
		return err
	})
	return t, err
}
