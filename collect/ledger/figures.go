package ledger

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// Totals is what the latest inventories of one side come to.
type Totals struct {
	Accounts   int   // that were scanned
	Mailboxes  int   // that were opened
	Messages   int64 // present
	Read       int64 // of those
	Unreadable int64 // of those
	Unread     int64 // of those
	Bytes      int64 // octets of the messages read, RFC822.SIZE of the others
}

// Add adds the totals of another account.
func (t *Totals) Add(u Totals) {
	t.Accounts += u.Accounts
	t.Mailboxes += u.Mailboxes
	t.Messages += u.Messages
	t.Read += u.Read
	t.Unreadable += u.Unreadable
	t.Unread += u.Unread
	t.Bytes += u.Bytes
}

// Totals sums up the latest scan of every account on one side.
func (l *Ledger) Totals(ctx context.Context, side mailproof.Side) (Totals, error) {
	var sum Totals
	err := l.eachInventory(ctx, side, func(inv *Inventory) error {
		t, err := inv.Totals(ctx)
		sum.Add(t)
		return err
	})
	return sum, err
}

// SizeHistogram counts the messages of the latest scans of one side by size.
// Classes are upper bounds in octets, ascending; the result has one count more
// than there are classes, for what is larger than all of them. The size of a
// message is its octets where it was read, else its RFC822.SIZE.
func (l *Ledger) SizeHistogram(ctx context.Context, side mailproof.Side, classes []int64) ([]int64, error) {
	if !slices.IsSorted(classes) {
		return nil, errors.New("ledger: the classes of a histogram must ascend")
	}
	counts := make([]int64, len(classes)+1)
	err := l.eachInventory(ctx, side, func(inv *Inventory) error {
		return inv.sizes(ctx, func(state mailproof.ReadState, size int64) {
			i, _ := slices.BinarySearch(classes, size)
			counts[i]++
		})
	})
	return counts, err
}

// eachInventory opens the latest scan of every account that has one.
func (l *Ledger) eachInventory(ctx context.Context, side mailproof.Side, f func(*Inventory) error) error {
	accounts, err := l.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, name := range accounts {
		inv, err := l.Inventory(ctx, name, side)
		if errors.Is(err, ErrUnknown) {
			continue
		}
		if err != nil {
			return err
		}
		if err := errors.Join(f(inv), inv.Close()); err != nil {
			return err
		}
	}
	return nil
}

// Totals sums up the inventory.
func (inv *Inventory) Totals(ctx context.Context) (Totals, error) {
	t := Totals{Accounts: 1}
	for _, ref := range inv.refs {
		if ref.epoch != 0 {
			t.Mailboxes++
		}
	}
	err := inv.sizes(ctx, func(state mailproof.ReadState, size int64) {
		t.Messages++
		t.Bytes += size
		switch state {
		case mailproof.Read:
			t.Read++
		case mailproof.Unreadable:
			t.Unreadable++
		default:
			t.Unread++
		}
	})
	return t, err
}

// sizes hands the state and the size of every message to f. Both come in one
// column, as handing one over costs more than computing it.
func (inv *Inventory) sizes(ctx context.Context, f func(mailproof.ReadState, int64)) error {
	columns := func(e expr) string {
		state := e.state
		if foreign := inv.foreignList(); foreign != "" { // read by other rules: as if it were not
			state = "(CASE WHEN " + e.pass + " IN (" + foreign + ") AND " + state + " = 2 THEN 0 ELSE " + state + " END)"
		}
		return "SELECT (CASE WHEN " + state + " = 2 THEN " + e.octets + " ELSE " + e.size + " END) << 2 | " + state
	}
	err := inv.eachMailbox(ctx, inv.refs, inv.view.ofMailbox(columns, ""), func(row scanFunc) error {
		var packed int64
		if err := row(&packed); err != nil {
			return err
		}
		f(mailproof.ReadState(packed&3), packed>>2)
		return nil
	})
	return explain(inv.r.path, err)
}

// foreignList are the passes of other rules, for SQL.
func (inv *Inventory) foreignList() string {
	var list []string
	for pass := range inv.foreign {
		list = append(list, itoa(pass))
	}
	return strings.Join(list, ", ")
}
