package ledger

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/mailproof/mailproof"
)

// record is a message of a fixed size: what a [mailproof.Row] is made of,
// before numbers are turned into flags and times.
type record struct {
	id      int64
	packed  packed
	size    int64
	octets  int64
	base    int64 // flagset; 0: none
	gmail   int64 // the bits of X-GM-MSGID; 0: none
	mailbox int32
	dated   bool
	hashes  [mailproof.NumTiers]mailproof.Hash
}

// rowDecoder reads the rows of [view.rowColumns] one after the other.
type rowDecoder struct {
	inv *Inventory
	record
	state  mailproof.ReadState
	reason string
	row    mailproof.Row

	// Where the columns go. Destinations of type any are what database/sql
	// fills without looking at them twice.
	id, numbers, date, sizes, octet, baseFlags, read, gmailID any
	hashesOrReason                                            sql.RawBytes
	dest                                                      []any
}

// decoder returns a decoder for the inventory's rows, with further columns
// behind them.
func (inv *Inventory) decoder(more ...any) *rowDecoder {
	d := &rowDecoder{inv: inv}
	d.dest = []any{&d.id, &d.numbers, &d.date, &d.sizes, &d.octet, &d.hashesOrReason}
	if inv.view.base != 0 {
		d.dest = append(d.dest, &d.baseFlags)
	}
	if inv.view.mixed {
		d.dest = append(d.dest, &d.read)
	}
	if inv.view.gmail {
		d.dest = append(d.dest, &d.gmailID)
	}
	d.dest = append(d.dest, more...)
	return d
}

// scan reads the columns of one row into the record.
func (d *rowDecoder) scan(scan scanFunc) error {
	if err := scan(d.dest...); err != nil {
		return err
	}
	var ok [4]bool
	d.record.id, ok[0] = d.id.(int64)
	d.packed.numbers, ok[1] = d.numbers.(int64)
	d.size, ok[2] = d.sizes.(int64)
	d.octets, ok[3] = d.octet.(int64)
	if ok != [4]bool{true, true, true, true} {
		return fmt.Errorf("%w: a message lacks a number", ErrDamaged)
	}
	d.packed.date, d.dated = d.date.(int64)
	d.base, _ = d.baseFlags.(int64)
	d.gmail, _ = d.gmailID.(int64)
	d.mailbox = int32(d.inv.index[d.record.id>>32])
	d.state, d.reason = d.packed.state(), ""
	pass, _ := d.read.(int64)
	return d.content(d.hashesOrReason, d.inv.foreign[mailproof.PassID(pass)])
}

// content reads the column that holds hashes or a reason.
func (d *rowDecoder) content(b []byte, foreign bool) error {
	switch {
	case d.state != mailproof.Read:
		d.reason = string(b)
	case foreign:
		d.state, d.octets = mailproof.Unread, 0
	default:
		return hashesOf(b, &d.hashes)
	}
	d.hashes = [mailproof.NumTiers]mailproof.Hash{}
	return nil
}

// finish makes the row of the record and hands it to emit.
func (d *rowDecoder) finish(ctx context.Context, emit func(*mailproof.Row) error) error {
	if err := d.fill(ctx); err != nil {
		return err
	}
	return emit(&d.row)
}

// fill makes the row of the record.
func (d *rowDecoder) fill(ctx context.Context) (err error) {
	r := &d.row
	r.ID, r.Mailbox, r.UID, r.FirstPass = d.record.id, int(d.mailbox), uidOf(d.record.id), d.packed.firstPass()
	r.Size, r.Octets, r.State, r.Reason, r.Hashes = d.size, d.octets, d.state, d.reason, d.hashes
	r.GmailID, r.InternalDate = uint64(d.gmail), time.Time{}
	if d.dated {
		seconds, zone := d.packed.internalDate()
		r.InternalDate = time.Unix(seconds, 0).In(location(zone))
	}
	if r.Flags, err = d.inv.r.flagset(ctx, d.packed.flags()); err != nil {
		return err
	}
	r.BaseFlags, r.HasBase = nil, d.base != 0
	if r.HasBase {
		r.BaseFlags, err = d.inv.r.flagset(ctx, d.base)
	}
	return err
}
