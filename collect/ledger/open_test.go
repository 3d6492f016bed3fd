package ledger

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/mailproof/mailproof"
)

// plain opens the file the way any program would.
func plain(t *testing.T, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", dsn(path, ""))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func script(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	if _, err := db.ExecContext(t.Context(), text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// filled makes a ledger with something in every table that a test needs, and
// returns where it lies.
func filled(t *testing.T, n int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mailproof.db")
	l, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	load(t, l, "anna", mailproof.Source, n)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func count(t *testing.T, l *Ledger) int {
	t.Helper()
	inv, err := l.Inventory(t.Context(), "anna", mailproof.Source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := inv.Close(); err != nil {
			t.Error(err)
		}
	}()
	n := 0
	for _, err := range inv.Rows(t.Context(), mailproof.TierNone) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

func TestRefusesForeignFiles(t *testing.T) {
	sqlite := func(text string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { script(t, plain(t, path), text) }
	}
	write := func(b string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(b), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	newer := fmt.Sprintf("PRAGMA application_id = %d; PRAGMA user_version = %d; CREATE TABLE from_the_future (x)", applicationID, schemaVersion()+4)
	for _, tt := range []struct {
		name string
		make func(t *testing.T, path string)
		want error
		say  []string
	}{
		{"text", write("Dear Sir, " + strings.Repeat("this is a letter. ", 100)), ErrNotLedger, nil},
		{"short text", write("x"), ErrNotLedger, nil},
		{"another program's", sqlite("CREATE TABLE t (x)"), ErrNotLedger, []string{"another program"}},
		{"another program's by its mark", sqlite("PRAGMA application_id = 7"), ErrNotLedger, nil},
		{"newer", sqlite(newer), ErrNewer, []string{fmt.Sprintf("version %d", schemaVersion()+4), fmt.Sprintf("version %d", schemaVersion()), "use a newer mailproof"}},
		{"newer, in WAL mode", sqlite("PRAGMA journal_mode = WAL; " + newer), ErrNewer, nil},
		{"folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, ErrNotLedger, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.db")
			tt.make(t, path)
			before, _ := os.ReadFile(path) // a folder has none
			for name, open := range map[string]func(context.Context, string) (*Ledger, error){"Open": Open, "OpenReadOnly": OpenReadOnly} {
				l, err := open(t.Context(), path)
				if err == nil {
					t.Fatalf("%s took it: %v", name, l.Close())
				}
				if tt.name == "folder" && name == "OpenReadOnly" {
					continue // SQLite's own words
				}
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) {
					t.Errorf("%s: %v, want %v", name, err, tt.want)
				}
				for _, s := range tt.say {
					if !strings.Contains(err.Error(), s) {
						t.Errorf("%s: %v does not say %q", name, err, s)
					}
				}
			}
			if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenReadOnlyMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none.db")
	if _, err := OpenReadOnly(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("it was made: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenReadOnly(t.Context(), path); !errors.Is(err, ErrNotLedger) {
		t.Errorf("an empty file: %v", err)
	}
	if _, err := Open(t.Context(), filepath.Join(t.TempDir(), "no", "such", "folder.db")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing folder: %v", err)
	}
}

func TestReadOnlyRefusesWrites(t *testing.T) {
	l, err := OpenReadOnly(t.Context(), filled(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.BeginPass(t.Context(), mailproof.Pass{Kind: mailproof.DiffPass}); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a write: %v", err)
	}
	if _, err := l.readers.ExecContext(t.Context(), "INSERT INTO engagement (key, value, recorded) VALUES ('', '', '')"); err == nil {
		t.Error("the connection itself takes a write")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestOneWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailproof.db")
	l, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, link} {
		_, err := Open(t.Context(), name)
		if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
			t.Errorf("a second writer: %v", err)
		}
	}
	load(t, l, "anna", mailproof.Source, 120)
	ro, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatalf("beside a writer: %v", err)
	}
	if n := count(t, ro); n != 120 {
		t.Errorf("%d messages beside a writer", n)
	}
	load(t, l, "anna", mailproof.Destination, 5)
	if err := errors.Join(l.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	if n := count(t, ro); n != 120 {
		t.Errorf("%d messages after the writer", n)
	}
	if err := ro.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path + ".lock"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the lock file: %v", err)
	}
	if l, err = Open(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.SetEngagement(t.Context(), "k", "v"); !errors.Is(err, ErrClosed) {
		t.Errorf("a write after Close: %v", err)
	}
}

// A snapshot does not move, whatever is written meanwhile.
func TestInventoryIsASnapshot(t *testing.T) {
	l := openBench(t)
	load(t, l, "anna", mailproof.Source, 60)
	inv, err := l.Inventory(t.Context(), "anna", mailproof.Source)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for r, err := range inv.Rows(t.Context(), mailproof.T0) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 10 {
			passAgain(t, l, 60)
		}
		if _, err := inv.Message(t.Context(), r.ID); err != nil {
			t.Fatal(err)
		}
	}
	if n != 60 || inv.Scan().Pass != 1 {
		t.Errorf("%d rows of pass %d", n, inv.Scan().Pass)
	}
	if err := inv.Close(); err != nil {
		t.Fatal(err)
	}
}

// The tests run as root, whom permissions do not stop, so the reading in a
// folder that cannot be written is done by a child without privileges.
func TestReadOnlyFolder(t *testing.T) {
	if path := os.Getenv("LEDGER_TEST_READ"); path != "" {
		l, err := OpenReadOnly(t.Context(), path)
		if err != nil {
			t.Fatalf("cannot read: %v", err)
		}
		if n := count(t, l); n != 120 {
			t.Fatalf("cannot read: %d messages", n)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, tt := range []struct {
		name  string
		left  []string // files beside the ledger
		fails string
	}{
		{name: "closed"},
		{name: "killed", left: []string{"-wal", "-shm"}},
		{name: "killed, and copied without its -shm", left: []string{"-wal"}, fails: "copy the ledger and its -wal"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := open755(t)
			path := filepath.Join(dir, "ledger.db")
			copyFile(t, leftBehind(t, len(tt.left) > 0), path, append(tt.left, "")...)
			if err := os.Chmod(dir, 0o555); err != nil {
				t.Fatal(err)
			}
			out, err := unprivileged(t, "^TestReadOnlyFolder$", "LEDGER_TEST_READ="+path)
			if tt.fails == "" && err != nil || tt.fails != "" && (err == nil || !strings.Contains(out, tt.fails)) {
				t.Errorf("%v\n%s", err, out)
			}
			left, err := filepath.Glob(path + "*")
			if err != nil || len(left) != 1+len(tt.left) {
				t.Errorf("files now: %v, %v", left, err)
			}
		})
	}
}

// leftBehind makes a ledger of 120 messages, as it is after Close or as it is
// while the writer still runs, which is what a killed one leaves.
func leftBehind(t *testing.T, killed bool) string {
	if !killed {
		return filled(t, 120)
	}
	l := openBench(t)
	load(t, l, "anna", mailproof.Source, 120)
	return l.Path()
}

// open755 makes a folder that others can enter.
func open755(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ledger-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(os.Chmod(dir, 0o755), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func copyFile(t *testing.T, from, to string, suffixes ...string) {
	t.Helper()
	for _, s := range suffixes {
		b, err := os.ReadFile(from + s)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to+s, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// unprivileged runs one test of this binary as nobody. Go keeps the binary in a
// folder that others cannot enter, so a copy is run.
func unprivileged(t *testing.T, test, env string) (string, error) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(open755(t), "test")
	copyFile(t, self, bin, "")
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), bin, "-test.run", test)
	cmd.Env, cmd.Dir = append(os.Environ(), env), "/"
	asNobody(cmd)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// A reader changes no octet of the ledger, and leaves nothing that another one
// needs: the file alone is the ledger. The view is for the sqlite3 shell.
func TestReaderChangesNothing(t *testing.T) {
	path := filled(t, 60)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	count(t, l)
	var n, whole int
	if err := l.readers.QueryRowContext(t.Context(), "SELECT count(*), sum(length(t4) = 64 AND account = 'anna' AND side = 'source' AND mailbox = 'INBOX' AND uid BETWEEN 1 AND 60 AND state = 'read' AND internaldate_utc > '2017') FROM messages").Scan(&n, &whole); err != nil || n != 60 || whole != 60 {
		t.Errorf("the view for people: %d, %d, %v", n, whole, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
	if wal, err := os.Stat(path + "-wal"); err == nil && wal.Size() > 0 {
		t.Errorf("%d octets in the -wal of a reader", wal.Size())
	}
}

// Every table refuses every change, whatever it holds: also those that a later
// version adds.
func TestAppendOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailproof.db")
	l, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	fillEverything(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	db := plain(t, path)
	script(t, db, "PRAGMA recursive_triggers = 1")
	db.SetMaxOpenConns(1)
	rows, err := db.QueryContext(t.Context(), "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	columns := map[string][]string{}
	for rows.Next() {
		var table, column string
		if err := rows.Scan(&table, &column); err != nil {
			t.Fatal(err)
		}
		columns[table] = append(columns[table], column)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || len(columns) < 20 {
		t.Fatalf("%d tables, %v", len(columns), err)
	}
	refusal := regexp.MustCompile("append-only|has ended")
	for table, names := range columns {
		var n int
		if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&n); err != nil || n == 0 {
			t.Errorf("table %s: %d rows, %v: nothing is tested", table, n, err)
		}
		statements := []string{"DELETE FROM " + table, "INSERT OR REPLACE INTO " + table + " SELECT * FROM " + table}
		for _, name := range names {
			statements = append(statements, fmt.Sprintf(`UPDATE %s SET "%s" = "%s"`, table, name, name))
		}
		for _, s := range statements {
			if _, err := db.ExecContext(t.Context(), s); err == nil || !refusal.MatchString(err.Error()) {
				t.Errorf("%s: %v", s, err)
			}
		}
	}
}

// What runs may end once, and only end.
func TestEndsOnce(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	pass, err := l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull})
	if err != nil {
		t.Fatal(err)
	}
	scan := mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}
	if err := l.BeginScan(ctx, scan); err != nil {
		t.Fatal(err)
	}
	box := mailproof.Mailbox{Name: "INBOX"}
	w, err := l.BeginMailbox(ctx, pass, "anna", mailproof.Source, box, mailproof.MailboxState{UIDValidity: 1})
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s was taken", what)
		}
	}
	if _, err := l.BeginMailbox(ctx, pass, "anna", mailproof.Source, box, mailproof.MailboxState{UIDValidity: 1}); err == nil {
		t.Error("a mailbox was begun twice in a pass")
	}
	if err := w.End(ctx, mailproof.MailboxState{}, mailproof.MailboxScan{Complete: true}); err != nil {
		t.Fatal(err)
	}
	refused("a second end of a mailbox", w.End(ctx, mailproof.MailboxState{}, mailproof.MailboxScan{}))
	refused("a message after the end", w.Add(ctx, benchMessage(mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: "INBOX", UIDValidity: 1}, 1)))
	refused("the end of a pass as running", l.EndPass(ctx, pass, mailproof.PassRunning, "", 0, 0))
	refused("the end of a pass in no state", l.EndPass(ctx, pass, 9, "", 0, 0))
	refused("the end of a scan as running", l.EndScan(ctx, scan))
	scan.State = mailproof.PassCancelled
	if err := l.EndScan(ctx, scan); err != nil {
		t.Fatal(err)
	}
	scan.State = mailproof.PassDone
	refused("a second end of a scan", l.EndScan(ctx, scan))
	_, err = l.BeginMailbox(ctx, pass, "anna", mailproof.Source, mailproof.Mailbox{Name: "Late"}, mailproof.MailboxState{})
	refused("a mailbox after the scan", err)
	if err := l.EndPass(ctx, pass, mailproof.PassFailed, "why", 0, 0); err != nil {
		t.Fatal(err)
	}
	refused("a second end of a pass", l.EndPass(ctx, pass, mailproof.PassDone, "", 0, 0))
	scan.Account = "bert"
	refused("a scan after the pass", l.BeginScan(ctx, scan))
	if err := l.EndPass(ctx, 99, mailproof.PassDone, "", 0, 0); !errors.Is(err, ErrUnknown) {
		t.Errorf("the end of a pass that never was: %v", err)
	}
	passes, err := l.Passes(ctx)
	if err != nil || len(passes) != 1 || passes[0].State != mailproof.PassFailed || passes[0].Error != "why" {
		t.Errorf("%+v, %v", passes, err)
	}
}

func TestPassesInOrder(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	var ids [2]mailproof.PassID
	for i := range ids {
		var err error
		if ids[i], err = l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.BeginScan(ctx, mailproof.Scan{Pass: ids[1], Account: "anna", Side: mailproof.Source}); err != nil {
		t.Fatal(err)
	}
	if err := l.BeginScan(ctx, mailproof.Scan{Pass: ids[0], Account: "anna", Side: mailproof.Source}); !errors.Is(err, ErrOrder) {
		t.Errorf("an earlier pass after a later one: %v", err)
	}
	if err := l.BeginScan(ctx, mailproof.Scan{Pass: ids[0], Account: "anna", Side: mailproof.Destination}); err != nil {
		t.Errorf("the other side: %v", err)
	}
}

// A migration happens whole or not at all, and a ledger of an earlier version
// is migrated by Open and refused by OpenReadOnly.
func TestMigrations(t *testing.T) {
	path := filled(t, 3)
	files := fstest.MapFS{}
	for _, m := range migrations {
		files["migrations/"+m.name] = &fstest.MapFile{Data: []byte(m.sql)}
	}
	now := schemaVersion()
	broken := fmt.Sprintf("%04d_broken.sql", now+2)
	files[fmt.Sprintf("migrations/%04d_more.sql", now+1)] = &fstest.MapFile{Data: []byte("CREATE TABLE more (x INTEGER) STRICT")}
	files["migrations/"+broken] = &fstest.MapFile{Data: []byte("CREATE TABLE half (x INTEGER) STRICT; INSERT INTO no_such_table VALUES (1)")}
	steps, err := readMigrations(files)
	if err != nil {
		t.Fatal(err)
	}
	db := plain(t, path)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := migrate(t.Context(), conn, steps); err == nil || !strings.Contains(err.Error(), broken) {
			t.Errorf("a broken migration: %v", err)
		}
		var version int64
		var tables int
		if err := conn.QueryRowContext(t.Context(), "SELECT user_version, (SELECT count(*) FROM sqlite_schema WHERE name IN ('more', 'half')) FROM pragma_user_version").Scan(&version, &tables); err != nil || version != now+1 || tables != 1 {
			t.Errorf("version %d, %d of the new tables, %v", version, tables, err)
		}
	}
	for _, gap := range []fstest.MapFS{{}, {"migrations/0002_x.sql": {}}, {"migrations/x.sql": {}}} {
		if _, err := readMigrations(gap); err == nil {
			t.Errorf("%v was taken", gap)
		}
	}
	if err := errors.Join(conn.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}

	older := filled(t, 3)
	script(t, plain(t, older), "PRAGMA user_version = 0")
	if _, err := OpenReadOnly(t.Context(), older); !errors.Is(err, ErrOlder) {
		t.Errorf("an older ledger, read-only: %v", err)
	}
}
