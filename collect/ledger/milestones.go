package ledger

import (
	"context"

	"github.com/mailproof/mailproof"
)

// CopiedAccounts returns the first copy pass that carried out everything that
// was planned for an account, by account.
func (l *Ledger) CopiedAccounts(ctx context.Context) (map[string]mailproof.PassID, error) {
	copied := map[string]mailproof.PassID{}
	err := l.each(ctx, `SELECT a.name, min(c.pass) FROM copy_account c JOIN account a ON a.id = c.account JOIN pass p ON p.id = c.pass
		WHERE c.finished <> '' OR p.state = 'done' GROUP BY a.name`, nil, func(row scanFunc) error {
		var name string
		var pass mailproof.PassID
		err := row(&name, &pass)
		copied[name] = pass
		return err
	})
	return copied, err
}

// FirstSeenSince counts the messages of one side that were first seen in a pass
// or a later one.
func (l *Ledger) FirstSeenSince(ctx context.Context, side mailproof.Side, pass mailproof.PassID) (n int64, err error) {
	err = l.snapshot(ctx, func(r *reader) error {
		_, err := r.one(ctx, `SELECT count(*) FROM message m JOIN epoch e ON e.id = m.id >> 32 JOIN mailbox b ON b.id = e.mailbox
			WHERE m.first_pass >= ? AND b.side = ?`, []any{int64(pass), sideText(side)}, &n)
		return err
	})
	return n, err
}
