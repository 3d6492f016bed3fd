package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/mailproof/mailproof"
)

// MailboxWriter records one mailbox of a pass. One goroutine uses it; many of
// them run at once over one ledger. After an error it takes nothing more, and
// the mailbox stays without an end in the ledger: it never counts as read.
type MailboxWriter struct {
	l       *Ledger
	pass    mailproof.PassID
	key     mailproof.MessageKey // of its messages, but for the UID
	before  mailproof.MailboxState
	id      int64 // of the row in mailbox_scan
	epoch   int64
	seq     int64 // numbers the events of the handle
	batch   *batch
	written bool // something other than the end was recorded
	ended   bool
	err     atomic.Pointer[error] // of a batch whose outcome nobody waited for
}

// BeginMailbox records that a pass opened a mailbox and found it in the given
// state. A zero UIDVALIDITY says that it could not be opened, or holds no
// messages of its own: none can be added then.
func (l *Ledger) BeginMailbox(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side, mb mailproof.Mailbox, before mailproof.MailboxState) (*MailboxWriter, error) {
	w := &MailboxWriter{l: l, pass: pass, before: before,
		key: mailproof.MessageKey{Side: side, Account: account, Mailbox: mb.Name, UIDValidity: before.UIDValidity}}
	err := l.write(ctx, committed, 1, func(t *tx) (err error) {
		w.id, w.epoch, err = t.mailboxScan(pass, account, side, mb, before, "running", "")
		return err
	})
	if err != nil {
		return nil, err
	}
	return w, nil
}

// Known yields, in ascending order of UIDs, the messages that are present under
// this UIDVALIDITY by the word of earlier passes, killed ones included. What the
// handle itself adds while they are read is not among them.
func (w *MailboxWriter) Known(ctx context.Context) iter.Seq2[mailproof.Extant, error] {
	return func(yield func(mailproof.Extant, error) bool) {
		goOn := true
		err := w.l.snapshot(ctx, func(r *reader) error {
			return w.known(ctx, r, func(x mailproof.Extant) error {
				if goOn = yield(x, nil); !goOn {
					return errEnough
				}
				return nil
			})
		})
		if err != nil && !errors.Is(err, errEnough) && goOn {
			yield(mailproof.Extant{}, err)
		}
	}
}

func (w *MailboxWriter) known(ctx context.Context, r *reader, emit func(mailproof.Extant) error) error {
	if w.epoch == 0 {
		return nil
	}
	foreign, err := r.foreignPasses(ctx)
	if err != nil {
		return err
	}
	v, err := r.view(ctx, []int64{w.epoch}, w.pass, 0)
	if err != nil {
		return err
	}
	columns := func(e expr) string {
		return "SELECT m.id, " + e.flags + ", " + e.state + ", " + e.pass + ", " + e.size + ", " + e.octets + ", " + e.date
	}
	return r.each(ctx, v.ofMailbox(columns, ""), []any{messageID(w.epoch, 0), lastOf(w.epoch)}, func(row scanFunc) error {
		var id, flags int64
		var read mailproof.PassID
		var date sql.NullInt64
		var x mailproof.Extant
		if err := row(&id, &flags, &x.State, &read, &x.Size, &x.Octets, &date); err != nil {
			return err
		}
		if foreign[read] {
			x.State = mailproof.Unread
		}
		x.UID, x.InternalDate = uidOf(id), dateOf(date, 0)
		var err error
		if x.Flags, err = r.flagset(ctx, flags); err != nil {
			return err
		}
		return emit(x)
	})
}

// check refuses a handle that is past its end or has met an error.
func (w *MailboxWriter) check() error {
	if p := w.err.Load(); p != nil {
		return *p
	}
	if w.ended {
		return fmt.Errorf("folder %q: %w", w.key.Mailbox, ErrClosed)
	}
	return nil
}

// keep makes an error the handle's last word.
func (w *MailboxWriter) keep(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	err = fmt.Errorf("%s %s, folder %q: %w", w.key.Side, w.key.Account, w.key.Mailbox, err)
	w.err.CompareAndSwap(nil, &err)
	return *w.err.Load()
}

// ours refuses a message that is not of this mailbox.
func (w *MailboxWriter) ours(m *mailproof.Message) error {
	key := w.key
	key.UID = m.MessageKey.UID
	switch {
	case m.MessageKey != key || m.Metadata.UID != m.MessageKey.UID:
		return fmt.Errorf("ledger: %v is not of folder %q, uidvalidity %d", m.MessageKey, w.key.Mailbox, w.key.UIDValidity)
	case w.epoch == 0 || m.MessageKey.UID == 0:
		return fmt.Errorf("ledger: %v: no uid or no uidvalidity", m.MessageKey)
	case m.State > mailproof.Read:
		return fmt.Errorf("ledger: %v: read state %d", m.MessageKey, m.State)
	}
	return nil
}

// Add records a message that is new, read or unreadable. It is written with
// others in a while; End waits for it. One that the ledger has already, because
// a server did not list it for a while, is there again.
func (w *MailboxWriter) Add(ctx context.Context, m mailproof.Message) error {
	return w.AddTwin(ctx, m, 0)
}

// AddTwin is Add of a message whose octets, all of them, are those of a message
// that [Ledger.Twins] found: of m's fingerprint T0 and the number of octets are
// looked at, the rest is recorded as the twin's. If twin is 0 it is Add.
func (w *MailboxWriter) AddTwin(ctx context.Context, m mailproof.Message, twin int64) error {
	if err := errors.Join(w.check(), w.ours(&m)); err != nil {
		return err
	}
	if w.batch == nil {
		w.batch = &batch{rows: make([]newRow, 0, rowsPerInsert)}
	}
	if err := w.batch.add(w, &m, twin); err != nil {
		return w.keep(err)
	}
	if len(w.batch.rows) < rowsPerInsert {
		return nil
	}
	return w.flush(ctx)
}

// flush hands the batch to the writer without waiting for it.
func (w *MailboxWriter) flush(ctx context.Context) error {
	if w.batch == nil || len(w.batch.rows) == 0 {
		return nil
	}
	if w.l.w == nil {
		return ErrReadOnly
	}
	b := w.batch
	j := &job{rows: len(b.rows), run: func(t *tx) error {
		err := b.insert(t)
		if err != nil {
			_ = w.keep(explain(w.l.path, err)) // the next call of the handle returns it
		}
		return err
	}}
	if err := w.l.w.queue(ctx, j); err != nil {
		return w.keep(err)
	}
	w.batch, w.written = nil, true
	return nil
}

// do runs a job of the handle behind the rows that it has buffered.
func (w *MailboxWriter) do(ctx context.Context, n need, rows int, run func(t *tx) error) error {
	if err := w.check(); err != nil {
		return err
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	return w.keep(w.l.write(ctx, n, rows, run))
}

// Reread records a further reading of a known message, if it came out
// differently from the last one: another state, other octets or another reason.
// It reports whether it did. The size and the INTERNALDATE that it is listed with
// now are recorded too, where they are others than before.
func (w *MailboxWriter) Reread(ctx context.Context, m mailproof.Message) (changed bool, err error) {
	if err := w.ours(&m); err != nil {
		return false, err
	}
	var b batch
	if err := b.add(w, &m, 0); err != nil {
		return false, w.keep(err)
	}
	differs, wrote := false, false // not the result: the job may outlive a cancelled call
	err = w.do(ctx, ran, 1, func(t *tx) (err error) {
		differs, err = b.rows[0].reread(t)
		wrote = differs || b.rows[0].relisted
		return err
	})
	if err != nil {
		return false, err
	}
	w.written = w.written || wrote
	return differs, nil
}

// ChangeFlags records the flags that messages have now. A UID that the ledger
// does not know is passed over: its flags come with it when it is added.
func (w *MailboxWriter) ChangeFlags(ctx context.Context, changes []mailproof.FlagChange) error {
	if len(changes) == 0 {
		return w.check()
	}
	w.seq++
	seq := w.seq
	w.written = true
	changes = slices.Clone(changes) // the caller's slice may be used again before a cancelled job is done
	return w.do(ctx, ran, len(changes), func(t *tx) error {
		for _, c := range changes {
			flags, err := t.flagset(c.Flags.String())
			if err != nil {
				return err
			}
			if err := t.flagEvent(messageID(w.epoch, c.UID), w.pass, seq, flags); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) flagEvent(message int64, pass mailproof.PassID, seq, flags int64) error {
	_, err := t.exec("INSERT INTO flag_event (message, pass, seq, flags) SELECT id, ?, ?, ? FROM message WHERE id = ?", int64(pass), seq, flags, message)
	return err
}

// Vanish records that messages are no longer there. A UID that the ledger does
// not know is passed over: it was never said to be there.
func (w *MailboxWriter) Vanish(ctx context.Context, uids []mailproof.UID) error {
	if len(uids) == 0 {
		return w.check()
	}
	w.seq++
	seq := w.seq
	w.written = true
	uids = slices.Clone(uids)
	return w.do(ctx, ran, len(uids), func(t *tx) error {
		for _, uid := range uids {
			if err := t.presenceEvent(messageID(w.epoch, uid), w.pass, seq, false); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) presenceEvent(message int64, pass mailproof.PassID, seq int64, present bool) error {
	_, err := t.exec("INSERT INTO presence (message, pass, seq, present) SELECT id, ?, ?, ? FROM message WHERE id = ?", int64(pass), seq, bit(present), message)
	return err
}

// End records how the reading of the mailbox ended: Before, where it was read in
// several rounds, Complete, Drifted, Error and Present of s, and the state after.
// When it returns, everything that the handle recorded is on disk; a mailbox in
// which nothing was new is on disk with the end of its scan.
func (w *MailboxWriter) End(ctx context.Context, after mailproof.MailboxState, s mailproof.MailboxScan) error {
	before := w.before
	if s.Before.UIDValidity == before.UIDValidity && s.Before != (mailproof.MailboxState{}) {
		before = s.Before
	}
	if err := w.check(); err != nil {
		return err
	}
	if err := w.flush(ctx); err != nil {
		return err
	}
	n := committed
	if w.written {
		n = durable
	}
	err := w.do(ctx, n, 1, func(t *tx) error {
		if p := w.err.Load(); p != nil {
			return *p // a batch was refused: the mailbox has no end
		}
		s.Name = w.key.Mailbox
		return t.endMailbox(w.id, before, after, s)
	})
	if err == nil {
		w.ended = true
	}
	return err
}

// endMailbox records how the scan of a mailbox ended.
func (t *tx) endMailbox(id int64, before, after mailproof.MailboxState, s mailproof.MailboxScan) error {
	return t.once(fmt.Sprintf("folder %q", s.Name), `UPDATE mailbox_scan SET state = 'done', before_uidnext = ?, before_exists = ?, before_modseq = ?,
		after_uidvalidity = ?, after_uidnext = ?, after_exists = ?, after_modseq = ?, complete = ?, drifted = ?, present = ?, error = ? WHERE id = ?`,
		int64(before.UIDNext), int64(before.Exists), int64(before.HighestModSeq),
		int64(after.UIDValidity), int64(after.UIDNext), int64(after.Exists), int64(after.HighestModSeq), bit(s.Complete), bit(s.Drifted), s.Present, s.Error, id)
}

// batch is rows of new messages on their way to the writer. Everything of the
// caller's is copied or encoded when it is added.
type batch struct{ rows []newRow }

type newRow struct {
	id      int64
	pass    mailproof.PassID
	seq     int64 // for the events of a message that turns out to be known
	flags   string
	columns [columnsOfMessage]any
	detail  any
	gmail   int64 // the bits of X-GM-MSGID; 0: none
	twin    int64 // hashes and detail are those of this message, hashes is T0; 0: they are here

	relisted bool // relist has written a row
}

const columnsOfMessage = 10

// The order of newRow.columns.
const (
	colID = iota
	colPass
	colDate
	colZone
	colFlags
	colSize
	colState
	colOctets
	colHashes
	colReason
)

const insertMessage = "INSERT INTO message (id, first_pass, internaldate, zone, flags, size, state, octets, hashes, reason) VALUES "

var (
	insertMessages = insertMessage + values(columnsOfMessage, rowsPerInsert)
	insertOne      = insertMessage + values(columnsOfMessage, 1)
	insertDetails  = "INSERT INTO detail (message, detail) VALUES " + values(2, rowsPerInsert)
	insertDetail   = "INSERT INTO detail (message, detail) VALUES (?, ?)"
	insertGmails   = "INSERT INTO gmail (message, msgid) VALUES " + values(2, rowsPerInsert)
	insertGmail    = "INSERT INTO gmail (message, msgid) VALUES (?, ?)"
)

func values(columns, rows int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", columns), ", ") + ")"
	return strings.TrimSuffix(strings.Repeat(row+", ", rows), ", ")
}

func (b *batch) add(w *MailboxWriter, m *mailproof.Message, twin int64) (err error) {
	var hashes, detail any
	if twin != 0 {
		t0 := m.Fingerprint.Hash(mailproof.T0)
		hashes = t0[:]
	} else {
		hashes = hashColumn(m)
		if detail, err = detailColumn(m); err != nil {
			return err
		}
	}
	w.seq++
	r := newRow{id: messageID(w.epoch, m.MessageKey.UID), pass: w.pass, seq: w.seq, flags: m.Flags.String(), detail: detail, gmail: int64(m.GmailID), twin: twin}
	seconds, zone := dateColumns(m.InternalDate)
	octets := m.Fingerprint.Octets
	if m.State != mailproof.Read {
		octets = 0
	}
	r.columns = [columnsOfMessage]any{r.id, int64(w.pass), seconds, zone, nil, m.Size, int64(m.State), octets, hashes, reasonColumn(m)}
	b.rows = append(b.rows, r)
	return nil
}

// insert writes the batch: in one statement each for messages and details
// where it is full, else row by row.
func (b *batch) insert(t *tx) error {
	for i := range b.rows {
		flags, err := t.flagset(b.rows[i].flags)
		if err != nil {
			return err
		}
		b.rows[i].columns[colFlags] = flags
	}
	if len(b.rows) == rowsPerInsert {
		err := b.insertFull(t)
		if !duplicate(err) {
			return err
		}
		// The statement as a whole was refused: one of them is known.
	}
	if err := b.resolve(t); err != nil {
		return err
	}
	for i := range b.rows {
		if _, err := b.rows[i].insert(t); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) insertFull(t *tx) error {
	if !slices.ContainsFunc(b.rows, func(r newRow) bool { return r.twin == 0 || r.gmail != 0 }) {
		return b.insertTwins(t)
	}
	if err := b.resolve(t); err != nil {
		return err
	}
	args := make([]any, 0, rowsPerInsert*columnsOfMessage)
	details := make([]any, 0, rowsPerInsert*2)
	var gmails []any
	for i := range b.rows {
		args = append(args, b.rows[i].columns[:]...)
		if b.rows[i].detail != nil {
			details = append(details, b.rows[i].id, b.rows[i].detail)
		}
		if b.rows[i].gmail != 0 {
			gmails = append(gmails, b.rows[i].id, b.rows[i].gmail)
		}
	}
	if _, err := t.exec(insertMessages, args...); err != nil {
		return err
	}
	if err := t.insertPairs(insertDetails, insertDetail, details); err != nil {
		return err
	}
	return t.insertPairs(insertGmails, insertGmail, gmails)
}

// resolve reads what the rows have of their twins.
func (b *batch) resolve(t *tx) error {
	for i := range b.rows {
		if err := b.rows[i].resolve(t); err != nil {
			return err
		}
	}
	return nil
}

// insertPairs writes rows of two columns: in one statement where there are as
// many of them as messages in a batch, else row by row.
func (t *tx) insertPairs(all, one string, args []any) error {
	if len(args) == 2*rowsPerInsert {
		_, err := t.exec(all, args...)
		return err
	}
	for i := 0; i < len(args); i += 2 {
		if _, err := t.exec(one, args[i:i+2]...); err != nil {
			return err
		}
	}
	return nil
}

// insert writes one message. One that is known already is there again, with
// what has changed of it.
func (r *newRow) insert(t *tx) (changed bool, err error) {
	_, err = t.exec(insertOne, r.columns[:]...)
	if duplicate(err) {
		return r.again(t)
	}
	if err == nil && r.detail != nil {
		_, err = t.exec(insertDetail, r.id, r.detail)
	}
	if err == nil && r.gmail != 0 {
		_, err = t.exec(insertGmail, r.id, r.gmail)
	}
	return true, err
}

func (r *newRow) again(t *tx) (changed bool, err error) {
	present := true
	if _, err := t.get("SELECT present FROM presence WHERE message = ? ORDER BY pass DESC, seq DESC LIMIT 1", []any{r.id}, &present); err != nil {
		return false, err
	}
	if !present {
		if err := t.presenceEvent(r.id, r.pass, r.seq, true); err != nil {
			return false, err
		}
	}
	var flags int64
	if _, err := t.get(`SELECT coalesce((SELECT flags FROM flag_event WHERE message = m.id ORDER BY pass DESC, seq DESC LIMIT 1), m.flags) FROM message m WHERE m.id = ?`, []any{r.id}, &flags); err != nil {
		return false, err
	}
	if flags != r.columns[colFlags].(int64) {
		if err := t.flagEvent(r.id, r.pass, r.seq, r.columns[colFlags].(int64)); err != nil {
			return false, err
		}
	}
	return r.compare(t)
}

// reread records a reading of a message that should be known; one that is not
// is new.
func (r *newRow) reread(t *tx) (changed bool, err error) {
	var one int64
	known, err := t.get("SELECT 1 FROM message WHERE id = ?", []any{r.id}, &one)
	if err != nil {
		return false, err
	}
	if known {
		return r.compare(t)
	}
	if r.columns[colFlags], err = t.flagset(r.flags); err != nil {
		return false, err
	}
	return r.insert(t)
}

// compare records the reading if it differs from the last one, and what the
// message is listed with.
func (r *newRow) compare(t *tx) (changed bool, err error) {
	if err := r.relist(t); err != nil {
		return false, err
	}
	var state, octets int64
	var hashes []byte
	var reason sql.NullString
	var algorithm string
	last := []any{&state, &octets, &hashes, &reason, &algorithm}
	ok, err := t.get("SELECT r.state, r.octets, r.hashes, r.reason, p.algorithm FROM reading r JOIN pass p ON p.id = r.pass WHERE r.message = ? ORDER BY r.id DESC LIMIT 1", []any{r.id}, last...)
	if err == nil && !ok {
		_, err = t.get("SELECT m.state, m.octets, m.hashes, m.reason, p.algorithm FROM message m JOIN pass p ON p.id = m.first_pass WHERE m.id = ?", []any{r.id}, last...)
	}
	if err != nil {
		return false, err
	}
	now, _ := r.columns[colHashes].([]byte)
	why, _ := r.columns[colReason].(string)
	if algorithm == mailproof.FingerprintAlgorithm && state == r.columns[colState] && octets == r.columns[colOctets] && string(hashes) == string(now) && reason.String == why {
		return false, nil
	}
	_, err = t.exec("INSERT INTO reading (message, pass, state, octets, hashes, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
		r.id, int64(r.pass), r.columns[colState], r.columns[colOctets], r.columns[colHashes], r.columns[colReason], r.detail)
	return true, err
}

// relist records the size and the INTERNALDATE of a known message, if they are
// not those that it was listed with last. What is not stated says nothing. The
// zone alone is no change: it is the server's, and moves with the season.
func (r *newRow) relist(t *tx) error {
	var size, zone int64
	var date sql.NullInt64
	ok, err := t.get("SELECT size, internaldate, zone FROM listing WHERE message = ? ORDER BY id DESC LIMIT 1", []any{r.id}, &size, &date, &zone)
	if err == nil && !ok {
		_, err = t.get("SELECT size, internaldate, zone FROM message WHERE id = ?", []any{r.id}, &size, &date, &zone)
	}
	if err != nil {
		return err
	}
	changed := false
	if now := r.columns[colSize].(int64); now != 0 && now != size {
		size, changed = now, true
	}
	if now, stated := r.columns[colDate].(int64); stated && (!date.Valid || now != date.Int64) {
		date, zone, changed = sql.NullInt64{Int64: now, Valid: true}, r.columns[colZone].(int64), true
	}
	if !changed {
		return nil
	}
	_, err = t.exec("INSERT INTO listing (message, pass, size, internaldate, zone) VALUES (?, ?, ?, ?, ?)", r.id, int64(r.pass), size, date, zone)
	r.relisted = err == nil
	return err
}
