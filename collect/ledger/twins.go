package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// maxTwins is the number of messages of an account that are looked up, at 24
// octets each; of an account with more of them, the first.
const maxTwins = 200_000

// Twins finds messages of one side of an account by their octets. It may be
// used by many goroutines.
type Twins struct {
	path  string
	index []twin // by key
	row   *sql.Stmt
}

// twin is a message that was read, by the first half of its T0: that no two are
// made to share it takes some 2^64 attempts, and what is recorded of a twin is held
// against all of it.
type twin struct {
	key twinKey
	id  int64
}

type twinKey [2]uint64

func keyOfTwin(t0 []byte) twinKey {
	return twinKey{binary.BigEndian.Uint64(t0), binary.BigEndian.Uint64(t0[8:])}
}

func (k twinKey) compare(l twinKey) int {
	return cmp.Or(cmp.Compare(k[0], l[0]), cmp.Compare(k[1], l[1]))
}

// Twins looks up what was read of one side of an account by the fingerprint of
// today. What is recorded later is not found. It must be closed. It holds no
// snapshot of the ledger: a row of a message never changes.
func (l *Ledger) Twins(ctx context.Context, account string, side mailproof.Side) (*Twins, error) {
	t := &Twins{path: l.path}
	if err := l.snapshot(ctx, func(r *reader) error { return t.list(ctx, r, account, side) }); err != nil {
		return nil, err
	}
	slices.SortFunc(t.index, func(a, b twin) int { return a.key.compare(b.key) })
	var err error
	t.row, err = l.readers.PrepareContext(ctx, "SELECT m.octets, m.hashes, d.detail FROM message m JOIN detail d ON d.message = m.id WHERE m.id = ?")
	return t, explain(l.path, err)
}

func (t *Twins) list(ctx context.Context, r *reader, account string, side mailproof.Side) error {
	return r.each(ctx, `SELECT m.id, substr(m.hashes, 1, 16) FROM account a
		CROSS JOIN mailbox b ON b.account = a.id AND b.side = ?
		CROSS JOIN epoch e ON e.mailbox = b.id
		CROSS JOIN message m ON m.id BETWEEN (e.id << 32) AND (e.id << 32 | 4294967295)
		WHERE a.name = ? AND m.state = 2 AND +m.first_pass IN (SELECT id FROM pass WHERE algorithm = ?)
		AND EXISTS (SELECT 1 FROM detail d WHERE d.message = m.id) LIMIT ?`,
		[]any{sideText(side), account, mailproof.FingerprintAlgorithm, maxTwins}, func(row scanFunc) error {
			var id int64
			var key sql.RawBytes
			if err := row(&id, &key); err != nil {
				return err
			}
			if len(key) != 16 {
				return fmt.Errorf("%w: %d octets of a hash", ErrDamaged, len(key))
			}
			t.index = append(t.index, twin{keyOfTwin(key), id})
			return nil
		})
}

// Close ends the looking up.
func (t *Twins) Close() error { return t.row.Close() }

// Len returns how many messages can be found.
func (t *Twins) Len() int { return len(t.index) }

// Find returns the number of a message of which the octets have this SHA-256; 0
// where there is none. As a fingerprint is made of the octets and of nothing else,
// that of the one is that of the other.
func (t *Twins) Find(t0 mailproof.Hash) (id int64) {
	key := keyOfTwin(t0[:])
	if i, ok := slices.BinarySearchFunc(t.index, key, func(w twin, key twinKey) int { return w.key.compare(key) }); ok {
		return t.index[i].id
	}
	return 0
}

// Fingerprint returns what is recorded of a message that was found.
func (t *Twins) Fingerprint(ctx context.Context, id int64) (mailproof.Fingerprint, error) {
	fp, err := t.read(ctx, id)
	return fp, explain(t.path, err)
}

// read returns what is recorded of a message.
func (t *Twins) read(ctx context.Context, id int64) (fp mailproof.Fingerprint, err error) {
	var hashes, detail []byte
	if err = t.row.QueryRowContext(ctx, id).Scan(&fp.Octets, &hashes, &detail); err != nil {
		return fp, err
	}
	if err := hashesOf(hashes, &fp.Hashes); err != nil {
		return fp, err
	}
	if err := fp.Detail.UnmarshalBinary(detail); err != nil {
		return fp, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return fp, nil
}

// Rows of messages that are twins take hashes and description from the row of the
// twin. The number of octets and all of T0 must be the same: a row of another
// message adds nothing, and the batch is refused.
const (
	twinColumns = `SELECT v.column1, v.column2, v.column3, v.column4, v.column5, v.column6, v.column7, s.octets, s.hashes, NULL
		FROM (VALUES %s) v CROSS JOIN message s ON s.id = v.column8 AND s.octets = v.column9 AND substr(s.hashes, 1, 32) = v.column10`
	twinDetails = "INSERT INTO detail (message, detail) SELECT v.column1, d.detail FROM (VALUES %s) v CROSS JOIN detail d ON d.message = v.column2"
)

var (
	insertTwins       = strings.TrimSuffix(insertMessage, "VALUES ") + fmt.Sprintf(twinColumns, values(columnsOfMessage, rowsPerInsert))
	insertTwinDetails = fmt.Sprintf(twinDetails, values(2, rowsPerInsert))
)

// insertTwins writes a batch in which every message is a twin.
func (b *batch) insertTwins(t *tx) error {
	args := make([]any, 0, rowsPerInsert*columnsOfMessage)
	details := make([]any, 0, rowsPerInsert*2)
	for i := range b.rows {
		r := &b.rows[i]
		args = append(args, r.columns[:colState+1]...)
		args = append(args, r.twin, r.columns[colOctets], r.columns[colHashes])
		details = append(details, r.id, r.twin)
	}
	for _, s := range []struct {
		query string
		args  []any
	}{{insertTwins, args}, {insertTwinDetails, details}} {
		done, err := t.exec(s.query, s.args...)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n != int64(len(b.rows)) {
			return errors.Join(err, fmt.Errorf("%w: %d of %d messages have the octets of the messages that they were taken for", ErrDamaged, n, len(b.rows)))
		}
	}
	return nil
}

// resolve reads what a row has of its twin, for what is not done to many rows at
// once.
func (r *newRow) resolve(t *tx) error {
	if r.twin == 0 {
		return nil
	}
	var hashes, detail []byte
	ok, err := t.get("SELECT s.hashes, d.detail FROM message s JOIN detail d ON d.message = s.id WHERE s.id = ? AND s.octets = ? AND substr(s.hashes, 1, 32) = ?",
		[]any{r.twin, r.columns[colOctets], r.columns[colHashes]}, &hashes, &detail)
	if err == nil && !ok {
		err = fmt.Errorf("%w: a message does not have the octets of the message that it was taken for", ErrDamaged)
	}
	r.columns[colHashes], r.detail, r.twin = hashes, detail, 0
	return err
}
