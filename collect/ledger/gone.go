package ledger

import (
	"context"

	"github.com/mailproof/mailproof"
)

// GoneMailbox is a mailbox that held messages when a pass last listed it.
type GoneMailbox struct {
	Name    string
	Pass    mailproof.PassID
	Present int64
}

// GoneMailboxes returns the mailboxes of an account that passes before the given
// one found mail in, and that this one does not list, by name.
func (l *Ledger) GoneMailboxes(ctx context.Context, account string, side mailproof.Side, pass mailproof.PassID) (gone []GoneMailbox, err error) {
	const last = `(SELECT s.id FROM pass p CROSS JOIN mailbox_scan s ON s.pass = p.id AND s.mailbox = b.id
		WHERE p.kind = 'inventory' AND p.side = ?2 AND p.id < ?3 ORDER BY p.id DESC LIMIT 1)`
	err = l.each(ctx, `SELECT b.name, s.pass, s.present FROM account a JOIN mailbox b ON b.account = a.id AND b.side = ?2 JOIN mailbox_scan s ON s.id = `+last+`
		WHERE a.name = ?1 AND s.present > 0 AND NOT EXISTS (SELECT 1 FROM mailbox_scan l WHERE l.pass = ?3 AND l.mailbox = b.id) ORDER BY b.name`,
		[]any{account, sideText(side), int64(pass)}, func(row scanFunc) error {
			var g GoneMailbox
			err := row(&g.Name, &g.Pass, &g.Present)
			gone = append(gone, g)
			return err
		})
	return gone, err
}
