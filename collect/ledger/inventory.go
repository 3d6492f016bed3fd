package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"

	"github.com/mailproof/mailproof"
)

// Inventory is what is known of an account's mail at one scan, read from a
// snapshot: what is written meanwhile does not move it. One goroutine at a
// time may use it. It must be closed.
type Inventory struct {
	r       *reader
	scan    mailproof.Scan
	refs    []mailboxRef
	index   map[int64]int // of a mailbox, by its epoch
	view    view
	foreign map[mailproof.PassID]bool
}

// Inventory opens the latest scan of an account, whatever its state. Where
// there was none it yields [ErrUnknown].
func (l *Ledger) Inventory(ctx context.Context, account string, side mailproof.Side) (*Inventory, error) {
	return l.InventoryAt(ctx, account, side, 0)
}

// InventoryAt opens what was known when the given pass had ended: the account's
// latest scan at or before it, and the base flags of the copies at or before
// it. 0 means now.
func (l *Ledger) InventoryAt(ctx context.Context, account string, side mailproof.Side, pass mailproof.PassID) (*Inventory, error) {
	r, err := l.newReader(ctx)
	if err != nil {
		return nil, err
	}
	inv, err := openInventory(ctx, r, account, side, pass)
	if err != nil {
		return nil, errors.Join(explain(l.path, err), r.close())
	}
	return inv, nil
}

func openInventory(ctx context.Context, r *reader, account string, side mailproof.Side, pass mailproof.PassID) (*Inventory, error) {
	inv := &Inventory{r: r, index: map[int64]int{}}
	var ok bool
	var err error
	if inv.scan, ok, err = r.scan(ctx, account, side, pass); err != nil || !ok {
		return nil, errors.Join(err, wrapIf(!ok, ErrUnknown, "%s %s was never read", side, account))
	}
	if inv.refs, err = r.mailboxScans(ctx, inv.scan.Pass, account, side); err != nil {
		return nil, err
	}
	epochs := make([]int64, len(inv.refs))
	for i, ref := range inv.refs {
		epochs[i] = ref.epoch
		if ref.epoch != 0 {
			inv.index[ref.epoch] = i
		}
	}
	base, err := r.basePass(ctx, account, side, inv.scan.Pass, pass)
	if err != nil {
		return nil, err
	}
	if inv.foreign, err = r.foreignPasses(ctx); err != nil {
		return nil, err
	}
	inv.view, err = r.view(ctx, epochs, inv.scan.Pass, base)
	inv.view.mixed = len(inv.foreign) > 0
	return inv, err
}

// basePass finds the source inventory from which the last finished copy of the
// account at or before a pass was made; 0 where there was none.
func (r *reader) basePass(ctx context.Context, account string, side mailproof.Side, scan, upTo mailproof.PassID) (base mailproof.PassID, err error) {
	if side != mailproof.Source {
		return 0, nil
	}
	_, err = r.one(ctx, `SELECT coalesce(max(s.pass), 0) FROM scan s JOIN account a ON a.id = s.account
		WHERE a.name = ?1 AND s.side = 'source' AND s.pass <= ?2 AND s.pass < (SELECT max(c.pass) FROM copy_account c JOIN pass p ON p.id = c.pass
			WHERE c.account = a.id AND (c.finished <> '' OR p.state = 'done') AND (?3 = 0 OR c.pass <= ?3))`, []any{account, int64(scan), int64(upTo)}, &base)
	return base, err
}

// Scan returns the scan that the inventory is of.
func (inv *Inventory) Scan() mailproof.Scan { return inv.scan }

// Mailboxes returns the scan's mailboxes; [mailproof.Row.Mailbox] counts in
// them.
func (inv *Inventory) Mailboxes() []mailproof.MailboxScan { return scansOf(inv.refs) }

// Rows yields messages as the comparison sees them. By a tier: every message
// that is present and read and has a hash of that tier, in the order of hash,
// mailbox, INTERNALDATE and UID. By [mailproof.TierNone]: every message that is
// present, whatever its state, in the order of mailbox and UID. The flags of a
// row are shared and must not be changed.
//
// A message whose hashes were made by another version of the fingerprint
// counts as unread: they can be compared with nothing.
func (inv *Inventory) Rows(ctx context.Context, by mailproof.Tier) iter.Seq2[mailproof.Row, error] {
	return func(yield func(mailproof.Row, error) bool) {
		goOn := true
		emit := func(r *mailproof.Row) error {
			if goOn = yield(*r, nil); !goOn {
				return errEnough
			}
			return nil
		}
		err := inv.rows(ctx, by, emit)
		if err != nil && !errors.Is(err, errEnough) && goOn {
			yield(mailproof.Row{}, explain(inv.r.path, err))
		}
	}
}

func (inv *Inventory) rows(ctx context.Context, by mailproof.Tier, emit func(*mailproof.Row) error) (err error) {
	d := inv.decoder()
	if by == mailproof.TierNone {
		return inv.eachMailbox(ctx, inv.refs, inv.view.ofMailbox(inv.view.rowColumns, ""), func(row scanFunc) error {
			if err := d.scan(row); err != nil {
				return err
			}
			return d.finish(ctx, emit)
		})
	}
	sorter := newSorter(by)
	sorter.grow(inv.present())
	defer func() { err = errors.Join(err, sorter.close()) }()
	err = inv.eachMailbox(ctx, inv.refs, inv.view.ofMailbox(inv.view.rowColumns, ""), func(row scanFunc) error {
		if err := d.scan(row); err != nil || d.state != mailproof.Read {
			return err
		}
		return sorter.add(&d.record)
	})
	if err != nil {
		return err
	}
	return sorter.each(func(r *record) error {
		d.record, d.state, d.reason = *r, mailproof.Read, ""
		return d.finish(ctx, emit)
	})
}

// present is how many messages the mailboxes are said to hold.
func (inv *Inventory) present() (n int64) {
	for i := range inv.refs {
		n += inv.refs[i].scan.Present
	}
	return n
}

// errEnough ends a query whose reader wants no more.
var errEnough = errors.New("enough")

// eachMailbox runs a query over one mailbox after the other.
func (inv *Inventory) eachMailbox(ctx context.Context, refs []mailboxRef, query string, emit func(scanFunc) error) error {
	for _, ref := range refs {
		if ref.epoch == 0 {
			continue
		}
		if err := inv.r.each(ctx, query, []any{messageID(ref.epoch, 0), lastOf(ref.epoch)}, emit); err != nil {
			return err
		}
	}
	return nil
}

// Messages yields every message of the inventory with all that is known of it,
// in the order of mailbox and UID.
func (inv *Inventory) Messages(ctx context.Context) iter.Seq2[mailproof.Message, error] {
	return inv.messages(ctx, inv.refs, (*mailproof.Detail).UnmarshalBinary)
}

// Captions is as [Inventory.Messages], for lists: of the detail there are the
// Message-ID and the subject only, as [mailproof.Detail.UnmarshalCaption] reads
// them, and they are valid until the next message.
func (inv *Inventory) Captions(ctx context.Context) iter.Seq2[mailproof.Message, error] {
	return inv.messages(ctx, inv.refs, (*mailproof.Detail).UnmarshalCaption)
}

// messages yields those of some mailboxes, with as much of the detail as read
// takes.
func (inv *Inventory) messages(ctx context.Context, refs []mailboxRef, read readDetail) iter.Seq2[mailproof.Message, error] {
	return func(yield func(mailproof.Message, error) bool) {
		goOn := true
		query := inv.view.ofMailbox(inv.detailColumns, " LEFT JOIN detail d ON d.message = m.id")
		d := inv.detailDecoder(read)
		var m mailproof.Message
		err := inv.eachMailbox(ctx, refs, query, func(row scanFunc) error {
			if err := d.message(ctx, row, &m); err != nil {
				return err
			}
			if goOn = yield(m, nil); !goOn {
				return errEnough
			}
			return nil
		})
		if err != nil && !errors.Is(err, errEnough) && goOn {
			yield(mailproof.Message{}, explain(inv.r.path, err))
		}
	}
}

func (inv *Inventory) detailColumns(e expr) string {
	if inv.view.reread {
		return inv.view.rowColumns(e) + ", CASE WHEN r.id IS NULL THEN d.detail ELSE r.detail END"
	}
	return inv.view.rowColumns(e) + ", d.detail"
}

// Message returns one message, by the number of its [mailproof.Row], with its
// detail.
func (inv *Inventory) Message(ctx context.Context, id int64) (m mailproof.Message, err error) {
	found := false
	query := inv.view.ofMailbox(inv.detailColumns, " LEFT JOIN detail d ON d.message = m.id")
	err = inv.r.few(ctx, query, []any{id, id}, func(row scanFunc) error {
		found = true
		return inv.detailDecoder((*mailproof.Detail).UnmarshalBinary).message(ctx, row, &m)
	})
	if _, known := inv.index[id>>32]; err == nil && (!found || !known) {
		err = fmt.Errorf("message %d of %s %s: %w", id, inv.scan.Side, inv.scan.Account, ErrUnknown)
	}
	return m, explain(inv.r.path, err)
}

// readDetail reads a detail, or what is wanted of it.
type readDetail func(into *mailproof.Detail, from []byte) error

// detailDecoder reads the rows of [Inventory.detailColumns] one after the other.
type detailDecoder struct {
	*rowDecoder
	read   readDetail
	column sql.RawBytes
	detail mailproof.Detail
}

func (inv *Inventory) detailDecoder(read readDetail) *detailDecoder {
	d := &detailDecoder{read: read}
	d.rowDecoder = inv.decoder(&d.column)
	return d
}

// message reads one row.
func (d *detailDecoder) message(ctx context.Context, scan scanFunc, m *mailproof.Message) error {
	if err := d.scan(scan); err != nil {
		return err
	}
	if err := d.fill(ctx); err != nil {
		return err
	}
	inv, r := d.inv, &d.row
	ref := &inv.refs[r.Mailbox]
	*m = mailproof.Message{
		MessageKey: mailproof.MessageKey{Side: inv.scan.Side, Account: inv.scan.Account, Mailbox: ref.scan.Name, UIDValidity: ref.scan.Before.UIDValidity, UID: r.UID},
		Metadata:   mailproof.Metadata{UID: r.UID, Flags: r.Flags, InternalDate: r.InternalDate, Size: r.Size, GmailID: r.GmailID},
		State:      r.State, Reason: r.Reason,
	}
	if r.State != mailproof.Read {
		return nil
	}
	if err := d.read(&d.detail, d.column); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	m.Fingerprint = mailproof.Fingerprint{Hashes: r.Hashes, Octets: r.Octets, Detail: d.detail}
	return nil
}

// Close gives the snapshot free.
func (inv *Inventory) Close() error {
	if inv.present() >= manyMessages {
		inv.r.forget()
	}
	return inv.r.close()
}

// manyMessages is how many messages an inventory has that fills the cache of
// its connection.
const manyMessages = 5000
