// Package ledger keeps everything that mailproof finds in one SQLite file: the
// passes, what each saw of every mailbox and message, what was copied, what a
// comparison concluded and what DNS said.
//
// # What makes it evidence
//
// The file is append-only. A message is named by side, account, mailbox,
// UIDVALIDITY and UID (RFC 9051 §2.3.1.1) and its row never changes. What a
// later pass has to add to it is an event of that pass: it vanished, it was
// there again, its flags changed, another reading of it came out differently.
// The state of a mailbox at a scan is therefore computed: the messages of its
// UIDVALIDITY that were first seen at or before that pass and have not vanished
// by then, each with its latest flags and its latest reading. A pass that finds
// nothing new writes a few rows for each mailbox and none for the messages.
// Triggers refuse every update and removal; a pass, a scan and a copy move once
// from running to a final state, and one that was killed stays running for ever.
//
// Rows that a killed pass recorded are true, and the next pass builds on them.
//
// # Durability
//
// One process writes at a time ([Open]); any number read ([OpenReadOnly]), each
// from a snapshot that later writes do not move. Rows of messages are gathered
// into transactions of a few thousand, and [MailboxWriter.End], [Ledger.EndScan],
// the copy journal and whatever else a later step builds on return only when
// their rows are on disk. After an error of the disk the ledger takes no further
// writes: what was committed before it is whole, and the next run goes on from there.
//
// # What it may not touch
//
// It speaks no IMAP, judges nothing and computes no verdict. No secret may be
// handed to it: it writes down what it is given.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/mailproof/mailproof"
)

// applicationID marks the file as ours in its header: "mpLG".
const applicationID = 0x6d704c47

// Ledger is an open ledger. Its methods may be called from many goroutines.
type Ledger struct {
	path    string
	readers *sql.DB
	w       *writer // nil where it was opened read-only
	lock    *lockFile

	lastAtOpen  mailproof.PassID // passes up to here are of processes before this one
	earlier     sync.Mutex       // held while their links are made
	earlierDone bool

	closeOnce sync.Once
	closeErr  error
}

// Open opens the ledger for reading and writing, makes it if the file does not
// exist or is empty, and brings one of an earlier version up to date. It holds
// the ledger until Close or the end of the process, however that comes about: a
// second Open yields [ErrLocked]. A file that is something else yields
// [ErrNotLedger], one of a later version [ErrNewer]; neither is touched.
func Open(ctx context.Context, path string) (_ *Ledger, err error) {
	path, err = resolve(path)
	if err != nil {
		return nil, err
	}
	lock, err := acquireLock(path)
	if err != nil {
		return nil, err
	}
	l := &Ledger{path: path, lock: lock}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	if err := l.refuseForeign(ctx); err != nil {
		return nil, err
	}
	if l.w, err = openWriter(ctx, path); err != nil {
		return nil, err
	}
	if l.readers, err = openReaders(path, ""); err != nil {
		return nil, err
	}
	if err := l.readers.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM pass").Scan(&l.lastAtOpen); err != nil {
		return nil, explain(path, err)
	}
	return l, nil
}

// OpenReadOnly opens the ledger for reading. It neither migrates nor changes
// the file, works beside a writer, and works where the folder cannot be
// written. Where it can, SQLite may leave an empty -wal and a -shm file beside
// the ledger, which the next writer removes. A ledger of an earlier version yields [ErrOlder].
func OpenReadOnly(ctx context.Context, path string) (_ *Ledger, err error) {
	path, err = resolve(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("no ledger to read: %w", err)
	}
	l := &Ledger{path: path}
	if l.readers, err = openQuiet(ctx, path); err != nil {
		return nil, explain(path, err)
	}
	version, fresh, err := inspect(ctx, l.readers)
	switch {
	case err != nil:
		err = foreign(path, err)
	case fresh:
		err = fmt.Errorf("%s: %w: it is empty", path, ErrNotLedger)
	case version < schemaVersion():
		err = fmt.Errorf("%s: %w: it has version %d, this mailproof reads version %d: run `mailproof inventory`, or any command that writes, to bring it up to date",
			path, ErrOlder, version, schemaVersion())
	default:
		err = checkVersion(path, version)
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close ends the writing, brings everything to disk and gives the ledger free.
func (l *Ledger) Close() error {
	l.closeOnce.Do(func() {
		var errs []error
		if l.readers != nil {
			errs = append(errs, l.readers.Close())
		}
		if l.w != nil {
			errs = append(errs, l.w.close())
		}
		if l.lock != nil {
			errs = append(errs, l.lock.release())
		}
		l.closeErr = errors.Join(errs...)
	})
	return l.closeErr
}

// Path returns where the ledger lies.
func (l *Ledger) Path() string { return l.path }

// resolve makes a path absolute and follows links, so that two names of one
// ledger have one lock.
func resolve(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("ledger: %w", err)
	}
	real, err := filepath.EvalSymlinks(abs)
	if err == nil {
		return real, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("ledger: %w", err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return "", fmt.Errorf("ledger: %w", err)
	}
	return filepath.Join(dir, filepath.Base(abs)), nil
}

// dsn builds the URI by which SQLite opens the file (sqlite.org/uri.html). The
// path is escaped: it may hold any character.
func dsn(path, mode string, pragmas ...string) string {
	q := url.Values{}
	if mode != "" {
		q.Set("mode", mode)
	}
	for _, p := range append([]string{"busy_timeout(10000)"}, pragmas...) {
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	return u.String()
}

// readerPragmas bound what one reading connection takes: the cache is also the
// size from which a sort goes to a temporary file.
var readerPragmas = []string{"query_only(1)", "cache_size(-512)", "temp_store(FILE)"}

func openReaders(path, option string) (*sql.DB, error) {
	name := dsn(path, "ro", readerPragmas...)
	if option != "" {
		name += "&" + option
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, fmt.Errorf("ledger %s: %w", path, err)
	}
	db.SetMaxIdleConns(4)
	return db, nil
}

// openQuiet opens for reading where there may be no writer. SQLite reads a file
// in WAL mode only with its -shm file beside it, which it makes if need be. In
// a folder that cannot be written it cannot; if there is no -wal either, the
// file is complete by itself and is read as it lies.
func openQuiet(ctx context.Context, path string) (*sql.DB, error) {
	db, err := openReaders(path, "")
	if err != nil {
		return nil, err
	}
	err = probe(ctx, db)
	if err == nil {
		return db, nil
	}
	wal, statErr := os.Stat(path + "-wal")
	switch {
	case !cannotOpen(err):
		return nil, errors.Join(err, db.Close())
	case statErr == nil && wal.Size() > 0:
		return nil, errors.Join(fmt.Errorf("the last pass was cut off, and its %s-wal cannot be taken in where the folder cannot be written: copy the ledger and its -wal to a folder that can: %w", path, err), db.Close())
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return openReaders(path, "immutable=1")
}

func probe(ctx context.Context, db *sql.DB) error {
	var n int64
	return db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_schema").Scan(&n)
}
