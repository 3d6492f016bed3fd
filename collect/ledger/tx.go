package ledger

import (
	"context"
	"database/sql"
	"errors"

	"github.com/mailproof/mailproof"
	sqlite3 "modernc.org/sqlite/lib"
)

// tx is the writing connection as jobs see it: statements prepared once, and
// names that are stored once with their numbers in mind. Only the writer's
// goroutine touches it.
type tx struct {
	conn     *sql.Conn
	prepared map[string]*sql.Stmt

	accounts  map[string]int64
	mailboxes map[mailboxKey]int64
	epochs    map[epochKey]int64
	flagsets  map[string]int64
}

type mailboxKey struct {
	account int64
	side    mailproof.Side
	name    string
}

type epochKey struct {
	mailbox     int64
	uidvalidity uint32
}

// maxRemembered bounds each table of names in memory: a server may send as
// many different keywords as it likes.
const maxRemembered = 20_000

func newTx(conn *sql.Conn) *tx {
	t := &tx{conn: conn, prepared: map[string]*sql.Stmt{}}
	t.forget()
	return t
}

// forget drops the numbers in mind: those given since a savepoint are void when
// it is rolled back.
func (t *tx) forget() {
	t.accounts, t.mailboxes = map[string]int64{}, map[mailboxKey]int64{}
	t.epochs, t.flagsets = map[epochKey]int64{}, map[string]int64{}
}

func (t *tx) close() error {
	var errs []error
	for _, s := range t.prepared {
		errs = append(errs, s.Close())
	}
	return errors.Join(append(errs, t.conn.Close())...)
}

func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if s, ok := t.prepared[query]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, err
	}
	t.prepared[query] = s
	return s, nil
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	s, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(context.Background(), args...)
}

// insert runs a statement that adds one row, and returns its number.
func (t *tx) insert(query string, args ...any) (int64, error) {
	r, err := t.exec(query, args...)
	if err != nil {
		return 0, err
	}
	return r.LastInsertId()
}

// get reads one row into dest; ok is false where there is none.
func (t *tx) get(query string, args []any, dest ...any) (ok bool, err error) {
	s, err := t.stmt(query)
	if err != nil {
		return false, err
	}
	err = s.QueryRowContext(context.Background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// intern returns the number of a row that holds the given values, adding it
// where it is not there yet.
func intern[K comparable](t *tx, known map[K]int64, key K, find, add string, args ...any) (int64, error) {
	if id, ok := known[key]; ok {
		return id, nil
	}
	var id int64
	ok, err := t.get(find, args, &id)
	if err == nil && !ok {
		id, err = t.insert(add, args...)
	}
	if err != nil {
		return 0, err
	}
	if len(known) >= maxRemembered {
		clear(known)
	}
	known[key] = id
	return id, nil
}

func (t *tx) account(name string) (int64, error) {
	return intern(t, t.accounts, name, "SELECT id FROM account WHERE name = ?", "INSERT INTO account (name) VALUES (?)", name)
}

func (t *tx) mailbox(account int64, side mailproof.Side, name string) (int64, error) {
	return intern(t, t.mailboxes, mailboxKey{account, side, name}, "SELECT id FROM mailbox WHERE account = ? AND side = ? AND name = ?",
		"INSERT INTO mailbox (account, side, name) VALUES (?, ?, ?)", account, side.String(), name)
}

func (t *tx) epoch(mailbox int64, uidvalidity uint32) (int64, error) {
	return intern(t, t.epochs, epochKey{mailbox, uidvalidity}, "SELECT id FROM epoch WHERE mailbox = ? AND uidvalidity = ?",
		"INSERT INTO epoch (mailbox, uidvalidity) VALUES (?, ?)", mailbox, int64(uidvalidity))
}

func (t *tx) flagset(flags string) (int64, error) {
	return intern(t, t.flagsets, flags, "SELECT id FROM flagset WHERE flags = ?", "INSERT INTO flagset (flags) VALUES (?)", flags)
}

// message returns the number of a message, whether or not it is recorded; the
// zero key is 0.
func (t *tx) message(k mailproof.MessageKey) (int64, error) {
	if k == (mailproof.MessageKey{}) {
		return 0, nil
	}
	account, err := t.account(k.Account)
	if err != nil {
		return 0, err
	}
	mailbox, err := t.mailbox(account, k.Side, k.Mailbox)
	if err != nil {
		return 0, err
	}
	epoch, err := t.epoch(mailbox, k.UIDValidity)
	return messageID(epoch, k.UID), err
}

func messageID(epoch int64, uid mailproof.UID) int64 { return epoch<<32 | int64(uid) }

func uidOf(id int64) mailproof.UID { return mailproof.UID(uint32(id)) }

// lastOf is the highest number that a message of the epoch can have.
func lastOf(epoch int64) int64 { return epoch<<32 | 0xffffffff }

func busy(err error) bool {
	c := code(err) & 0xff
	return c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
}
