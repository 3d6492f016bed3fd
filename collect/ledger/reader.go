package ledger

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"sync"

	"github.com/mailproof/mailproof"
)

// reader reads from one snapshot of the ledger: a connection of its own with a
// transaction open.
type reader struct {
	conn *sql.Conn
	path string

	mu       sync.Mutex
	flags    map[int64]mailproof.Flags // by number
	prepared map[string]*sql.Stmt      // by text: what is asked for each mailbox is parsed once
}

// maxPrepared bounds how many statements a reader keeps.
const maxPrepared = 64

// newReader takes a snapshot. It must be closed.
func (l *Ledger) newReader(ctx context.Context) (*reader, error) {
	conn, err := l.readers.Conn(ctx)
	if err != nil {
		return nil, explain(l.path, err)
	}
	r := &reader{conn: conn, path: l.path, flags: map[int64]mailproof.Flags{}, prepared: map[string]*sql.Stmt{}}
	// BEGIN alone takes no snapshot; the first read does.
	var n int64
	_, err = conn.ExecContext(ctx, "BEGIN")
	if err == nil {
		err = conn.QueryRowContext(ctx, "SELECT count(*) FROM pass").Scan(&n)
	}
	if err != nil {
		return nil, errors.Join(explain(l.path, err), r.close())
	}
	return r, nil
}

func (r *reader) close() error {
	var errs []error
	for _, s := range r.prepared {
		errs = append(errs, s.Close())
	}
	_, err := r.conn.ExecContext(context.Background(), "ROLLBACK")
	if err != nil && noTransaction(err) {
		err = nil
	}
	return errors.Join(explain(r.path, errors.Join(append(errs, err)...)), r.conn.Close())
}

// forget gives back the cache of a connection that has read a lot, front to
// back: the next to use it looks for something else.
func (r *reader) forget() {
	_, _ = r.conn.ExecContext(context.Background(), "PRAGMA shrink_memory") // what cannot be given back is kept
}

func (l *Ledger) snapshot(ctx context.Context, f func(*reader) error) (err error) {
	r, err := l.newReader(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(explain(l.path, err), r.close()) }()
	return f(r)
}

// one reads one row; ok is false where there is none.
func (r *reader) one(ctx context.Context, query string, args []any, dest ...any) (ok bool, err error) {
	stmt, err := r.prepare(ctx, query)
	switch {
	case err != nil:
		return false, err
	case stmt != nil:
		err = stmt.QueryRowContext(ctx, args...).Scan(dest...)
	default:
		err = r.conn.QueryRowContext(ctx, query, args...).Scan(dest...)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// prepare returns the statement of a query; nil where too many are kept.
func (r *reader) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	stmt, ok := r.prepared[query]
	if ok || len(r.prepared) == maxPrepared {
		return stmt, nil
	}
	stmt, err := r.conn.PrepareContext(ctx, query)
	if err == nil {
		r.prepared[query] = stmt
	}
	return stmt, err
}

func (r *reader) each(ctx context.Context, query string, args []any, f func(row scanFunc) error) error {
	return eachRow(ctx, r.conn, query, args, f)
}

// few is as each, for a query of few rows that is asked for many messages: it
// is parsed once. f must not ask the same query.
func (r *reader) few(ctx context.Context, query string, args []any, f func(row scanFunc) error) error {
	stmt, err := r.prepare(ctx, query)
	if err != nil {
		return err
	}
	if stmt == nil {
		return r.each(ctx, query, args, f)
	}
	rows, err := stmt.QueryContext(ctx, args...)
	if err != nil {
		return err
	}
	return eachOf(rows, f)
}

// flagset returns the flags of a number. The slice is shared: nobody may
// change it.
func (r *reader) flagset(ctx context.Context, id int64) (mailproof.Flags, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if f, ok := r.flags[id]; ok {
		return f, nil
	}
	var text string
	if err := r.conn.QueryRowContext(ctx, "SELECT flags FROM flagset WHERE id = ?", id).Scan(&text); err != nil {
		return nil, err
	}
	if len(r.flags) >= maxRemembered {
		clear(r.flags)
	}
	f := mailproof.ParseFlags(text)
	r.flags[id] = f
	return f, nil
}

// scan reads the latest scan of an account at or before a pass; 0 means the
// latest of all.
func (r *reader) scan(ctx context.Context, account string, side mailproof.Side, upTo mailproof.PassID) (s mailproof.Scan, ok bool, err error) {
	s = mailproof.Scan{Account: account, Side: side}
	ok, err = r.one(ctx, `SELECT s.pass, s.started, s.finished, s.state, s.error, s.server FROM scan s JOIN account a ON a.id = s.account
		WHERE a.name = ? AND s.side = ? AND (? = 0 OR s.pass <= ?) ORDER BY s.pass DESC LIMIT 1`, []any{account, sideText(side), int64(upTo), int64(upTo)},
		&s.Pass, textTime{&s.Started}, textTime{&s.Finished}, enum{&s.State}, &s.Error, document{&s.Server})
	if !ok {
		return mailproof.Scan{}, false, err
	}
	return s, true, err
}

// mailboxRef is a mailbox of a scan and the number of its epoch, 0 where no
// messages were recorded under it.
type mailboxRef struct {
	scan  mailproof.MailboxScan
	epoch int64
}

func scansOf(refs []mailboxRef) []mailproof.MailboxScan {
	var scans []mailproof.MailboxScan
	for i := range refs {
		scans = append(scans, refs[i].scan)
	}
	return scans
}

// cutOff stands as the error of a mailbox whose scan has no end in the ledger.
const cutOff = "the reading did not come to its end"

func (r *reader) mailboxScans(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side) ([]mailboxRef, error) {
	var refs []mailboxRef
	err := r.each(ctx, `SELECT b.name, s.separator, s.prefix, s.special_use, s.subscribed, s.noselect,
		s.before_uidvalidity, s.before_uidnext, s.before_exists, s.before_modseq, s.after_uidvalidity, s.after_uidnext, s.after_exists, s.after_modseq,
		s.complete, s.drifted, s.present, s.excluded, s.error, s.state, coalesce(s.epoch, 0)
		FROM mailbox_scan s JOIN mailbox b ON b.id = s.mailbox JOIN account a ON a.id = s.account
		WHERE s.pass = ? AND a.name = ? AND s.side = ? ORDER BY b.name`, []any{int64(pass), account, sideText(side)}, func(row scanFunc) error {
		var ref mailboxRef
		var state string
		var before, after int64
		m := &ref.scan
		err := row(&m.Name, &m.Separator, &m.Prefix, &m.SpecialUse, &m.Subscribed, &m.NoSelect,
			&m.Before.UIDValidity, &m.Before.UIDNext, &m.Before.Exists, &before, &m.After.UIDValidity, &m.After.UIDNext, &m.After.Exists, &after,
			&m.Complete, &m.Drifted, &m.Present, &m.Excluded, &m.Error, &state, &ref.epoch)
		m.Before.HighestModSeq, m.After.HighestModSeq = uint64(before), uint64(after)
		if state == "running" {
			m.Error = cutOff
		}
		refs = append(refs, ref)
		return err
	})
	return refs, err
}

// foreignPasses are the passes whose hashes were made by other rules than
// ours: they can be compared with nothing.
func (r *reader) foreignPasses(ctx context.Context) (map[mailproof.PassID]bool, error) {
	foreign := map[mailproof.PassID]bool{}
	err := r.each(ctx, "SELECT id FROM pass WHERE algorithm <> ?", []any{mailproof.FingerprintAlgorithm}, func(row scanFunc) error {
		var id mailproof.PassID
		err := row(&id)
		foreign[id] = true
		return err
	})
	return foreign, err
}

// view is the state of some epochs at a pass. It knows which kinds of event
// there are at all, as most mailboxes have none and looking for them costs.
type view struct {
	epochs   []int64 // by index of the mailbox; 0 for those without messages
	pass     mailproof.PassID
	base     mailproof.PassID // the pass whose flags are asked for as well; 0: none
	vanished bool
	flagged  bool
	reread   bool
	relisted bool // some message was listed with another size or INTERNALDATE since
	gmail    bool // some message has an X-GM-MSGID
	mixed    bool // some pass used other rules for fingerprints than ours
}

func (r *reader) view(ctx context.Context, epochs []int64, pass, base mailproof.PassID) (view, error) {
	v := view{epochs: epochs, pass: pass, base: base}
	for _, e := range epochs {
		var vanished, flagged, reread, relisted, gmail bool
		if e == 0 {
			continue
		}
		_, err := r.one(ctx, `SELECT EXISTS (SELECT 1 FROM presence WHERE message BETWEEN ?1 AND ?2), EXISTS (SELECT 1 FROM flag_event WHERE message BETWEEN ?1 AND ?2),
			EXISTS (SELECT 1 FROM reading WHERE message BETWEEN ?1 AND ?2), EXISTS (SELECT 1 FROM listing WHERE message BETWEEN ?1 AND ?2),
			EXISTS (SELECT 1 FROM gmail WHERE message BETWEEN ?1 AND ?2)`,
			[]any{messageID(e, 0), lastOf(e)}, &vanished, &flagged, &reread, &relisted, &gmail)
		if err != nil {
			return v, err
		}
		v.vanished, v.flagged, v.reread, v.relisted, v.gmail = v.vanished || vanished, v.flagged || flagged, v.reread || reread, v.relisted || relisted, v.gmail || gmail
	}
	return v, nil
}

// expr is the SQL of what a view says of a message m. The numbers in it are
// our own.
type expr struct {
	flags, base, state, octets, hashes, reason, pass string
	size, date, zone                                 string // as it was listed
	join, where                                      string
}

func (v view) expr() expr {
	e := expr{flags: "m.flags", base: "NULL", state: "m.state", octets: "m.octets", hashes: "m.hashes", reason: "m.reason", pass: "m.first_pass",
		size: "m.size", date: "m.internaldate", zone: "m.zone",
		where: "m.first_pass <= " + itoa(v.pass)}
	if v.base != 0 {
		e.base = "CASE WHEN m.first_pass <= " + itoa(v.base) + " THEN m.flags END"
	}
	if v.vanished {
		e.where += " AND coalesce((SELECT e.present FROM presence e WHERE e.message = m.id AND e.pass <= " + itoa(v.pass) + " ORDER BY e.pass DESC, e.seq DESC LIMIT 1), 1)"
	}
	if v.flagged {
		at := func(pass mailproof.PassID) string {
			return "coalesce((SELECT e.flags FROM flag_event e WHERE e.message = m.id AND e.pass <= " + itoa(pass) + " ORDER BY e.pass DESC, e.seq DESC LIMIT 1), m.flags)"
		}
		e.flags = at(v.pass)
		if v.base != 0 {
			e.base = "CASE WHEN m.first_pass <= " + itoa(v.base) + " THEN " + at(v.base) + " END"
		}
	}
	if v.reread {
		e.join = " LEFT JOIN reading r ON r.id = (SELECT max(x.id) FROM reading x WHERE x.message = m.id AND x.pass <= " + itoa(v.pass) + ")"
		latest := func(column string) string {
			return "(CASE WHEN r.id IS NULL THEN m." + column + " ELSE r." + column + " END)"
		}
		e.state, e.octets, e.hashes, e.reason = latest("state"), latest("octets"), latest("hashes"), latest("reason")
		e.pass = "coalesce(r.pass, m.first_pass)"
	}
	if v.relisted {
		e.join += " LEFT JOIN listing l ON l.id = (SELECT max(x.id) FROM listing x WHERE x.message = m.id AND x.pass <= " + itoa(v.pass) + ")"
		latest := func(column string) string {
			return "(CASE WHEN l.id IS NULL THEN m." + column + " ELSE l." + column + " END)"
		}
		e.size, e.date, e.zone = latest("size"), latest("internaldate"), latest("zone")
	}
	return e
}

// ofMailbox is the query of every message of one epoch in the order of UIDs.
// Its arguments are the first and the last number of a message.
func (v view) ofMailbox(columns func(expr) string, join string) string {
	e := v.expr()
	return columns(e) + " FROM message m" + e.join + join + " WHERE m.id BETWEEN ? AND ? AND " + e.where + " ORDER BY m.id"
}

// rowColumns are the columns of [Inventory.Rows]. Handing one over costs more
// than computing it, so small numbers share a column, the hashes share one with
// the reason (a message has one or none of them), and what is seldom needed comes last and
// only where it is.
func (v view) rowColumns(e expr) string {
	s := "SELECT m.id, (m.first_pass << 34) | (" + e.flags + " << 2) | " + e.state + ", " + e.date + " * 262144 + " + e.zone + " + 131072, " + e.size + ", " + e.octets +
		", coalesce(" + e.hashes + ", " + e.reason + ")"
	if v.base != 0 {
		s += ", " + e.base
	}
	if v.mixed {
		s += ", " + e.pass
	}
	if v.gmail {
		s += ", (SELECT g.msgid FROM gmail g WHERE g.message = m.id)"
	}
	return s
}

// packed is the second and the third of [view.rowColumns].
type packed struct{ numbers, date int64 }

func (p packed) firstPass() mailproof.PassID   { return mailproof.PassID(p.numbers >> 34) }
func (p packed) flags() int64                  { return p.numbers >> 2 & 0xffffffff }
func (p packed) state() mailproof.ReadState    { return mailproof.ReadState(p.numbers & 3) }
func (p packed) internalDate() (s, zone int64) { return p.date >> 18, p.date&0x3ffff - 131072 }

func itoa[N ~int | ~int64](n N) string { return strconv.FormatInt(int64(n), 10) }
