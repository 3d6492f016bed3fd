package ledger

import (
	"context"

	"github.com/mailproof/mailproof"
)

// DiffChange is how a diff pass differs from the one before it.
type DiffChange struct {
	Pass   mailproof.PassID
	Before mailproof.PassID // 0: it is the first
	// Exceptions that need, or needed, a decision: all of them, those that the
	// diff before did not have, those that it had and this one has not, and
	// those that are still there with another verdict.
	Exceptions, New, Gone, Changed int64
	Omitted                        int64 // that were counted and not listed
	Decided                        int64 // decisions made after this diff and before the next
	Accounts                       int64 // compared
}

// DiffChanges returns how the diff passes differ from each other, the oldest first,
// of the latest so many; 0 means all. What a diff did not compare counts neither
// as gone nor as new.
func (l *Ledger) DiffChanges(ctx context.Context, latest int) ([]DiffChange, error) {
	var changes []DiffChange
	err := l.snapshot(ctx, func(r *reader) error {
		err := r.each(ctx, `SELECT x.pass, count(*), sum(x.exceptions_omitted) FROM result x GROUP BY x.pass ORDER BY x.pass`, nil, func(row scanFunc) error {
			var c DiffChange
			err := row(&c.Pass, &c.Accounts, &c.Omitted)
			if n := len(changes); n > 0 {
				c.Before = changes[n-1].Pass
			}
			changes = append(changes, c)
			return err
		})
		if err != nil {
			return err
		}
		first := 0
		if latest > 0 {
			first = max(0, len(changes)-latest)
		}
		changes = changes[first:]
		for i := range changes {
			if err := r.change(ctx, &changes[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return changes, err
}

func (r *reader) change(ctx context.Context, c *DiffChange) error {
	_, err := r.one(ctx, `SELECT count(*), count(*) FILTER (WHERE y.number IS NULL), count(*) FILTER (WHERE y.verdict <> x.verdict)
		FROM exception x LEFT JOIN exception y ON y.series = x.series AND y.number = x.number AND y.pass = ?2
		WHERE x.pass = ?1 AND x.series = 'E'`, []any{int64(c.Pass), int64(c.Before)}, &c.Exceptions, &c.New, &c.Changed)
	if err != nil {
		return err
	}
	_, err = r.one(ctx, `SELECT count(*) FROM exception y WHERE y.pass = ?2 AND y.series = 'E'
		AND EXISTS (SELECT 1 FROM result z WHERE z.pass = ?1 AND z.account = y.account)
		AND NOT EXISTS (SELECT 1 FROM exception x WHERE x.series = y.series AND x.number = y.number AND x.pass = ?1)`, []any{int64(c.Pass), int64(c.Before)}, &c.Gone)
	if err != nil {
		return err
	}
	_, err = r.one(ctx, "SELECT count(*) FROM disposition WHERE pass = ?", []any{int64(c.Pass)}, &c.Decided)
	return err
}

// Roots returns the root of every pass that has one, by pass.
func (l *Ledger) Roots(ctx context.Context) (map[mailproof.PassID][32]byte, error) {
	roots := map[mailproof.PassID][32]byte{}

	err := l.each(ctx, "SELECT pass, root FROM chain WHERE pass IS NOT NULL", nil, func(row scanFunc) error {
		var pass mailproof.PassID
		var root [32]byte
		err := row(&pass, rootScan{&root})
		roots[pass] = root
		return err
	})
	return roots, err
}
