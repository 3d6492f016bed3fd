package ledger

import (
	"errors"
	"fmt"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

var (
	// ErrNewer says that the file was written by a later mailproof.
	ErrNewer = errors.New("the ledger is newer than this mailproof")
	// ErrOlder says that the file must be migrated before it can be read, and
	// that it was opened read-only.
	ErrOlder = errors.New("the ledger is older than this mailproof")
	// ErrNotLedger says that the file is something else.
	ErrNotLedger = errors.New("not a mailproof ledger")
	// ErrLocked says that another process is writing to the ledger.
	ErrLocked = errors.New("the ledger is in use by another mailproof")
	// ErrReadOnly says that the ledger was opened with [OpenReadOnly].
	ErrReadOnly = errors.New("the ledger is open for reading only")
	// ErrClosed says that the ledger, or a mailbox of it, was closed before.
	ErrClosed = errors.New("the ledger is closed")
	// ErrDiskFull says that a write found no room.
	ErrDiskFull = errors.New("disk full")
	// ErrDamaged says that the file is not as SQLite wrote it.
	ErrDamaged = errors.New("the ledger is damaged")
	// ErrOrder says that a pass was recorded out of order: a later pass has
	// read the account before it.
	ErrOrder = errors.New("a later pass has read this account already")
	// ErrUnknown says that a pass, scan or exception is not in the ledger.
	ErrUnknown = errors.New("not in the ledger")
)

// code returns SQLite's extended result code, or 0.
func code(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

func cannotOpen(err error) bool {
	c := code(err) & 0xff
	return c == sqlite3.SQLITE_CANTOPEN || c == sqlite3.SQLITE_READONLY
}

// refused reports whether the statement was refused for what it said, and the
// database is as sound as before.
func refused(err error) bool {
	c := code(err) & 0xff
	return c == 0 || c == sqlite3.SQLITE_CONSTRAINT || c == sqlite3.SQLITE_MISMATCH
}

func duplicate(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY || c == sqlite3.SQLITE_CONSTRAINT_UNIQUE || c == sqlite3.SQLITE_CONSTRAINT_ROWID
}

// explain adds to an error of SQLite which file it is about and what there is
// to do. Other errors pass.
func explain(path string, err error) error {
	if err == nil {
		return nil
	}
	switch c := code(err); c & 0xff {
	case 0:
		return err
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%s: %w: make room and run the same command again; what was recorded before is safe: %w", path, ErrDiskFull, err)
	case sqlite3.SQLITE_IOERR:
		return fmt.Errorf("%s: the disk failed or is full: see to it and run the same command again; what was recorded before is safe: %w", path, err)
	case sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%s: %w: %w", path, ErrNotLedger, err)
	case sqlite3.SQLITE_CORRUPT:
		return fmt.Errorf("%s: %w: keep a copy, bring back the last backup, or take a new inventory into a new ledger: %w", path, ErrDamaged, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return fmt.Errorf("%s: the ledger, or the folder it lies in, cannot be written: see to its permissions: %w", path, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%s: cannot be opened: is the folder there, and may you write to it? %w", path, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%s: another program holds the file: close it and run the same command again: %w", path, err)
	default:
		return fmt.Errorf("%s: %w", path, err)
	}
}
