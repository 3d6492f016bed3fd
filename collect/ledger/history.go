package ledger

import (
	"context"

	"github.com/mailproof/mailproof"
)

// PassChange is what one inventory pass found changed, over all accounts that
// it read.
type PassChange struct {
	Pass     mailproof.PassID
	Accounts int64
	Folders  int64
	Present  int64 // messages that it found
	New      int64 // of them, never seen before
	Gone     int64 // seen before, and found no more
}

// Changes tells of every inventory pass what it found changed, in the order of
// the passes.
func (l *Ledger) Changes(ctx context.Context) (list []PassChange, err error) {
	index := map[mailproof.PassID]int{}
	err = l.each(ctx, `SELECT pass, count(DISTINCT account), count(*), coalesce(sum(present), 0) FROM mailbox_scan WHERE noselect = 0 GROUP BY pass ORDER BY pass`, nil, func(row scanFunc) error {
		var c PassChange
		if err := row(&c.Pass, &c.Accounts, &c.Folders, &c.Present); err != nil {
			return err
		}
		index[c.Pass] = len(list)
		list = append(list, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	counted := func(query string, set func(*PassChange, int64)) error {
		return l.each(ctx, query, nil, func(row scanFunc) error {
			var pass mailproof.PassID
			var n int64
			if err := row(&pass, &n); err != nil {
				return err
			}
			if i, ok := index[pass]; ok {
				set(&list[i], n)
			}
			return nil
		})
	}
	if err := counted(`SELECT first_pass, count(*) FROM message GROUP BY first_pass`, func(c *PassChange, n int64) { c.New = n }); err != nil {
		return nil, err
	}
	err = counted(`SELECT pass, count(DISTINCT message) FROM presence WHERE present = 0 GROUP BY pass`, func(c *PassChange, n int64) { c.Gone = n })
	return list, err
}
