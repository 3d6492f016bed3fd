package ledger

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/mailproof/mailproof"
)

// maxTwins is the number of messages of an account that are looked up, at 16
// octets each; of an account with more of them, the first.
const maxTwins = 200_000

// Twins finds messages of one side of an account by their octets. It may be
// used by many goroutines.
type Twins struct {
	path  string
	index []twin // by key
	row   *sql.Stmt
}

// twin is a message that was read, by the first octets of its T0.
type twin struct {
	key uint64
	id  int64
}

func twinKey(t0 []byte) uint64 { return binary.BigEndian.Uint64(t0) }

// Twins looks up what was read of one side of an account by the fingerprint of
// today, of messages of at least so many octets. What is recorded later is not
// found. It must be closed. It holds no snapshot of the ledger: a row of a
// message never changes.
func (l *Ledger) Twins(ctx context.Context, account string, side mailproof.Side, least int64) (*Twins, error) {
	t := &Twins{path: l.path}
	if err := l.snapshot(ctx, func(r *reader) error { return t.list(ctx, r, account, side, least) }); err != nil {
		return nil, err
	}
	slices.SortFunc(t.index, func(a, b twin) int { return cmp.Compare(a.key, b.key) })
	var err error
	t.row, err = l.readers.PrepareContext(ctx, "SELECT m.octets, m.hashes, d.detail FROM message m JOIN detail d ON d.message = m.id WHERE m.id = ?")
	return t, explain(l.path, err)
}

func (t *Twins) list(ctx context.Context, r *reader, account string, side mailproof.Side, least int64) error {
	return r.each(ctx, `SELECT m.id, substr(m.hashes, 1, 8) FROM account a
		CROSS JOIN mailbox b ON b.account = a.id AND b.side = ?
		CROSS JOIN epoch e ON e.mailbox = b.id
		CROSS JOIN message m ON m.id BETWEEN (e.id << 32) AND (e.id << 32 | 4294967295)
		WHERE a.name = ? AND m.state = 2 AND m.octets >= ? AND +m.first_pass IN (SELECT id FROM pass WHERE algorithm = ?) LIMIT ?`,
		[]any{sideText(side), account, least, mailproof.FingerprintAlgorithm, maxTwins}, func(row scanFunc) error {
			var id int64
			var key []byte
			if err := row(&id, &key); err != nil {
				return err
			}
			if len(key) != 8 {
				return fmt.Errorf("%w: %d octets of a hash", ErrDamaged, len(key))
			}
			t.index = append(t.index, twin{twinKey(key), id})
			return nil
		})
}

// Close ends the looking up.
func (t *Twins) Close() error { return t.row.Close() }

// Len returns how many messages can be found.
func (t *Twins) Len() int { return len(t.index) }

// Fingerprint returns the fingerprint of a message that has exactly the octets
// asked for: as many of them, with the same SHA-256. As a fingerprint is made of
// the octets and of nothing else, it is that of every message with them.
func (t *Twins) Fingerprint(ctx context.Context, t0 mailproof.Hash, octets int64) (fp mailproof.Fingerprint, ok bool, err error) {
	key := twinKey(t0[:])
	i, _ := slices.BinarySearchFunc(t.index, key, func(w twin, key uint64) int { return cmp.Compare(w.key, key) })
	for ; i < len(t.index) && t.index[i].key == key; i++ {
		fp, err := t.read(ctx, t.index[i].id)
		if err != nil {
			return mailproof.Fingerprint{}, false, explain(t.path, err)
		}
		if fp.Octets == octets && fp.Hash(mailproof.T0) == t0 {
			return fp, true, nil
		}
	}
	return mailproof.Fingerprint{}, false, nil
}

// read returns what is recorded of a message; nothing where its description is
// missing.
func (t *Twins) read(ctx context.Context, id int64) (fp mailproof.Fingerprint, err error) {
	var hashes, detail []byte
	err = t.row.QueryRowContext(ctx, id).Scan(&fp.Octets, &hashes, &detail)
	if errors.Is(err, sql.ErrNoRows) {
		return mailproof.Fingerprint{}, nil
	}
	if err != nil {
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
