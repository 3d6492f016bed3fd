package ledger

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// A migration brings a ledger from version-1 to version.
type migration struct {
	version int64
	name    string
	sql     string
}

// migrations are in order and without a gap.
var migrations = mustMigrations(migrationFiles)

func schemaVersion() int64 { return migrations[len(migrations)-1].version }

func mustMigrations(files fs.FS) []migration {
	ms, err := readMigrations(files)
	if err != nil {
		panic(err) // our own embedded files: a mistake of the build
	}
	return ms
}

func readMigrations(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	var ms []migration
	for i, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(number, 10, 32)
		if err != nil || version != int64(i+1) {
			return nil, fmt.Errorf("migration %s: want number %d", name, i+1)
		}
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		ms = append(ms, migration{version, path.Base(name), string(text)})
	}
	if ms == nil {
		return nil, errors.New("no migrations")
	}
	return ms, nil
}

// queryer is what *sql.DB and *sql.Conn have in common here.
type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// inspect reads which version of a ledger the file is. A file without any
// content is fresh; one that another program made is [ErrNotLedger].
func inspect(ctx context.Context, q queryer) (version int64, fresh bool, err error) {
	var application, objects int64
	row := q.QueryRowContext(ctx, "SELECT a.application_id, v.user_version, (SELECT count(*) FROM sqlite_schema) FROM pragma_application_id a, pragma_user_version v")
	if err := row.Scan(&application, &version, &objects); err != nil {
		return 0, false, err
	}
	switch {
	case application == applicationID:
		return version, false, nil
	case application == 0 && version == 0 && objects == 0:
		return 0, true, nil
	default:
		return 0, false, fmt.Errorf("%w: it is an SQLite database of another program", ErrNotLedger)
	}
}

func checkVersion(path string, version int64) error {
	if version > schemaVersion() {
		return fmt.Errorf("%s: %w: it has version %d, this mailproof knows up to version %d: use a newer mailproof", path, ErrNewer, version, schemaVersion())
	}
	return nil
}

// smallestPage is the least size of a page, and so of a file, that SQLite writes.
const smallestPage = 512

// refuseForeign looks at the file through a connection that cannot write,
// before anything that could change it.
func (l *Ledger) refuseForeign(ctx context.Context) error {
	size, err := fileSize(l.path)
	switch {
	case err != nil || size == 0:
		return err
	case size < smallestPage:
		// SQLite takes a file of one octet for an empty one and writes over it.
		return fmt.Errorf("%s: %w: it has %d octets", l.path, ErrNotLedger, size)
	}
	db, err := openQuiet(ctx, l.path)
	if err != nil {
		return explain(l.path, err)
	}
	version, _, err := inspect(ctx, db)
	if err == nil {
		err = checkVersion(l.path, version)
	} else {
		err = foreign(l.path, err)
	}
	return errors.Join(err, db.Close())
}

// foreign adds to an error of inspect which file it is about.
func foreign(path string, err error) error {
	if code(err) == 0 && errors.Is(err, ErrNotLedger) {
		return fmt.Errorf("%s: %w", path, err)
	}
	return explain(path, err)
}

// migrate brings the file to the newest of the given versions, one transaction
// each: a step that fails, or is cut off, leaves the version before it.
func migrate(ctx context.Context, conn *sql.Conn, steps []migration) error {
	version, _, err := inspect(ctx, conn)
	if err != nil {
		return err
	}
	for _, m := range steps {
		if m.version <= version {
			continue
		}
		if err := applyMigration(ctx, conn, m); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return nil
}

func applyMigration(ctx context.Context, conn *sql.Conn, m migration) error {
	script := fmt.Sprintf("BEGIN IMMEDIATE;\n%s\n;PRAGMA application_id = %d;\nPRAGMA user_version = %d;\nCOMMIT;", m.sql, applicationID, m.version)
	if _, err := conn.ExecContext(ctx, script); err != nil {
		_, rollback := conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
		if rollback != nil && noTransaction(rollback) {
			rollback = nil
		}
		return errors.Join(err, rollback)
	}
	return nil
}

// noTransaction recognises the answer to a ROLLBACK where SQLite has rolled
// back by itself, as it does when the disk is full.
func noTransaction(err error) bool {
	return strings.Contains(err.Error(), "no transaction is active")
}
