package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

func verify(t *testing.T, path string) (*Verification, error) {
	t.Helper()
	l, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		return nil, err
	}
	defer func() { ok(t, l.Close()) }()
	return l.VerifyChain(t.Context(), nil)
}

// everything is a ledger with rows in every table, and no pass without a link.
func everything(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "mailproof.db")
	l := must[*Ledger](t)(Open(t.Context(), path))
	fillEverything(t, l)
	ok(t, l.Close())
	// The DNS pass was left running: as if killed. The next process takes it up.
	l = must[*Ledger](t)(Open(t.Context(), path))
	ok(t, l.EndPass(t.Context(), begin(t, l, mailproof.DiffPass), mailproof.PassDone, "", 0, 0))
	ok(t, l.Close())
	return path
}

// Whatever an honest run writes, verifies; and the links follow each other.
func TestChainHolds(t *testing.T) {
	path := everything(t)
	v := must[*Verification](t)(verify(t, path))
	if !v.Whole() || len(v.Open) > 0 || v.Loose != 0 || v.Links < 6 || v.Rows < 60 {
		t.Errorf("%+v", v)
	}
	l := must[*Ledger](t)(OpenReadOnly(t.Context(), path))
	defer func() { ok(t, l.Close()) }()
	links := must[[]Link](t)(l.Chain(t.Context()))
	var before [32]byte
	for _, k := range links {
		if k.Previous != before || k.Root == before || !v.Holds(hex.EncodeToString(k.Root[:])) || !v.Holds(hex.EncodeToString(k.Root[:8])) {
			t.Errorf("link %d does not follow", k.Seq)
		}
		before = k.Root
	}
	if v.Head != before || v.Holds("") || v.Holds(hex.EncodeToString(before[:])[:15]) || v.Holds(strings.Repeat("0", 64)) {
		t.Error("a root that never was is taken, or the head is another")
	}
}

// The property: any change of any column of any row, any row removed and any
// row added is found, and found in the pass that recorded it.
func TestChainFindsEveryChange(t *testing.T) {
	path := everything(t)
	db := plain(t, path)
	tables := map[string][][2]string{} // name and type of columns
	rows, err := db.QueryContext(t.Context(), "SELECT t.name, c.name, c.type FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		var table, column, kind string
		ok(t, rows.Scan(&table, &column, &kind))
		tables[table] = append(tables[table], [2]string{column, kind})
	}
	ok(t, errors.Join(rows.Err(), rows.Close()))
	script(t, db, disarm(t, path))
	ok(t, db.Close())
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	tried := 0
	tamper := func(table, statement string) {
		t.Helper()
		victim := filepath.Join(dir, fmt.Sprintf("%d.db", tried))
		tried++
		ok(t, os.WriteFile(victim, data, 0o600))
		defer func() { ok(t, os.Remove(victim)) }()
		db := plain(t, victim)
		db.SetMaxOpenConns(1)
		script(t, db, "PRAGMA synchronous = 0; PRAGMA foreign_keys = 0; PRAGMA ignore_check_constraints = 1")
		r, err := db.ExecContext(t.Context(), statement)
		if err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		if n, err := r.RowsAffected(); err != nil || n != 1 {
			t.Fatalf("%s: %d rows, %v", statement, n, err)
		}
		ok(t, db.Close())
		v, err := verify(t, victim)
		// The last link alone can be cut off without a break. Its pass is then
		// without one, which is said; and whoever wrote its root down misses it.
		if err == nil && v.Whole() && len(v.Open) == 0 {
			t.Errorf("not found: %s", statement)
		}
	}
	for table, columns := range tables {
		one := "rowid = (SELECT max(rowid) FROM " + table + ")"
		if hasNoRowid(t, path, table) {
			var terms []string
			for _, c := range columns {
				terms = append(terms, fmt.Sprintf(`"%[1]s" IS (SELECT "%[1]s" FROM %[2]s LIMIT 1)`, c[0], table))
			}
			one = strings.Join(terms, " AND ")
		}
		for _, c := range columns {
			value := map[string]string{"INTEGER": `coalesce("%s", 0) + 7`, "TEXT": `coalesce("%s", '') || '1'`, "BLOB": `CAST(zeroblob(length(coalesce("%s", x'00'))) AS BLOB)`}[c[1]]
			tamper(table, fmt.Sprintf(`UPDATE %s SET "%s" = `+value+" WHERE %s", table, c[0], c[0], one))
		}
		tamper(table, "DELETE FROM "+table+" WHERE "+one)
	}
	// Rows that were never recorded.
	for _, statement := range []string{
		"INSERT INTO message SELECT id + 1000, first_pass, internaldate, zone, flags, size, state, octets, hashes, reason FROM message WHERE id = (SELECT max(id) FROM message)",
		"INSERT INTO message SELECT id + 1000, 99, internaldate, zone, flags, size, state, octets, hashes, reason FROM message WHERE id = (SELECT max(id) FROM message)",
		"INSERT INTO message SELECT id + (77 << 32), first_pass, internaldate, zone, flags, size, state, octets, hashes, reason FROM message WHERE id = (SELECT max(id) FROM message)",
		"INSERT INTO presence SELECT message, pass, seq + 1000, present FROM presence LIMIT 1",
		"INSERT INTO reading SELECT id + 1000, message, pass, state, octets, hashes, reason, detail FROM reading LIMIT 1",
		"INSERT INTO step_result SELECT step + 1000, state, reason, uidvalidity, uid, octets, finished FROM step_result LIMIT 1",
		"INSERT INTO scan_digest SELECT 99, account, side, rows, digest FROM scan_digest LIMIT 1",
		"INSERT INTO detail SELECT message + 1000, detail FROM detail LIMIT 1",
	} {
		tamper("", statement)
	}
	if tried < 200 {
		t.Errorf("only %d changes were tried", tried)
	}
}

func hasNoRowid(t *testing.T, path, table string) bool {
	t.Helper()
	db := plain(t, path)
	defer func() { ok(t, db.Close()) }()
	var text string
	ok(t, db.QueryRowContext(t.Context(), "SELECT sql FROM sqlite_schema WHERE name = ?", table).Scan(&text))
	return strings.Contains(text, "WITHOUT ROWID")
}

// disarm is the script that takes away every trigger, as whoever edits the file
// would.
func disarm(t *testing.T, path string) string {
	t.Helper()
	db := plain(t, path)
	defer func() { ok(t, db.Close()) }()
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM sqlite_schema WHERE type = 'trigger'")
	ok(t, err)
	var out strings.Builder
	for rows.Next() {
		var name string
		ok(t, rows.Scan(&name))
		fmt.Fprintf(&out, "DROP TRIGGER %s; ", name)
	}
	ok(t, errors.Join(rows.Err(), rows.Close()))
	return out.String()
}

// The first pass that was tampered with is named, and so is the account.
func TestChainNamesThePass(t *testing.T) {
	path := everything(t)
	db := plain(t, path)
	script(t, db, disarm(t, path)+"UPDATE message SET size = size + 1 WHERE id = (SELECT min(id) FROM message)")
	ok(t, db.Close())
	v := must[*Verification](t)(verify(t, path))
	if len(v.Bad) != 1 || v.Bad[0].Pass != 1 || len(v.Bad[0].What) != 1 || v.Bad[0].What[0] != "source anna: not as recorded" {
		t.Errorf("%+v", v.Bad)
	}
}

// Passes from before there was a chain, and killed ones, are taken up by the
// next process that writes; a ledger that was only read is left alone.
func TestChainTakesUpEarlierPasses(t *testing.T) {
	old := earlier(t, filled(t, 60), 1)
	l := must[*Ledger](t)(Open(t.Context(), old))
	ok(t, l.Close())
	v := must[*Verification](t)(verify(t, old))
	if v.Links != 0 || len(v.Open) != 1 || !v.Whole() {
		t.Errorf("before: %+v", v)
	}
	l = must[*Ledger](t)(Open(t.Context(), old))
	killed := begin(t, l, mailproof.DNSPass)
	ok(t, l.Close())
	l = must[*Ledger](t)(Open(t.Context(), old))
	ok(t, l.Link(t.Context()))
	ok(t, l.Close())
	v = must[*Verification](t)(verify(t, old))
	if v.Links != 2 || len(v.Open) != 0 || !v.Whole() || killed != 2 {
		t.Errorf("after: %+v", v)
	}
}

// A context that ends puts the link off and takes nothing from the pass.
func TestChainIsPutOff(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailproof.db")
	l := must[*Ledger](t)(Open(t.Context(), path))
	pass := begin(t, l, mailproof.DNSPass)
	ok(t, l.EndPass(t.Context(), pass, mailproof.PassDone, "", 0, 0))
	second := begin(t, l, mailproof.DNSPass)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ok(t, l.linkPass(ctx, second))
	ok(t, l.Close())
	v := must[*Verification](t)(verify(t, path))
	if v.Links != 1 || len(v.Open) != 1 || !v.Whole() {
		t.Errorf("%+v", v)
	}
}

// Every table is part of the chain. Who adds one adds it to chain.go.
func TestChainKnowsEveryTable(t *testing.T) {
	known := map[string]bool{"chain": true, "scan": true, "mailbox_scan": true, "message": true, "detail": true, "gmail": true, "reading": true, "presence": true,
		"flag_event": true, "header": true, "scan_digest": true, "step_result": true}
	for _, p := range loose {
		known[p.table] = true
	}
	for _, p := range ofPass {
		known[p.name] = true
	}
	l := openBench(t)
	ok(t, l.each(t.Context(), "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'", nil, func(row scanFunc) error {
		var name string
		err := row(&name)
		if !known[name] {
			t.Errorf("table %s is in no link: a change of it would not be found", name)
		}
		return err
	}))
}

// The form of a row in the chain: every kind of column, in netstrings.
func TestRowHashForm(t *testing.T) {
	l := openBench(t)
	err := l.snapshot(t.Context(), func(r *reader) error {
		h := newRowHash()
		if err := h.query(t.Context(), r.conn, `SELECT 1, -2, '', 'Grüße, "x"', NULL, x'', x'00ff3a', 9223372036854775807, -9223372036854775808
			UNION ALL SELECT 0, ?, NULL, '-', 5, x'2d', '', 7, 8`, int64(3)); err != nil {
			return err
		}
		const want = "1:1,2:-2,0:,12:Grüße, \"x\",-,-,3:\x00\xff:,19:9223372036854775807,20:-9223372036854775808," +
			"1:0,1:3,-,1:-,1:5,1:-,0:,1:7,1:8,"
		if got := h.part("x"); got != (Part{"x", 2, sha256.Sum256([]byte(want))}) {
			t.Errorf("%d rows: %x", got.Rows, got.Digest)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
