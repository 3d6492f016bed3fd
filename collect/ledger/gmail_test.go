package ledger

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// schema is everything that a ledger's file declares.
func schema(t *testing.T, path string) []string {
	t.Helper()
	db := plain(t, path)
	rows, err := db.QueryContext(t.Context(), "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%'")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := errors.Join(rows.Err(), rows.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// fresh makes a ledger of the first versions only.
func fresh(t *testing.T, steps []migration) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fresh.db")
	db := plain(t, path)
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(migrate(t.Context(), conn, steps), conn.Close(), db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// earlier makes a ledger of an earlier version that holds what the given one
// does, as far as that version has room for it.
func earlier(t *testing.T, path string, version int) string {
	t.Helper()
	old := fresh(t, migrations[:version])
	db := plain(t, old)
	db.SetMaxOpenConns(1)
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	script(t, db, fmt.Sprintf("ATTACH '%s' AS now", strings.ReplaceAll(path, "'", "''")))
	rows, err := db.QueryContext(t.Context(), "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		tables = append(tables, "")
		if err := rows.Scan(&tables[len(tables)-1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		t.Fatal(err)
	}
	// What refuses rows of a pass that has ended stands aside for the copy.
	for _, trigger := range []string{"scan_open", "mailbox_scan_open", "result_open"} {
		var text string
		if err := db.QueryRowContext(t.Context(), "SELECT sql FROM main.sqlite_schema WHERE name = ?", trigger).Scan(&text); err != nil {
			t.Fatal(err)
		}
		script(t, db, "DROP TRIGGER main."+trigger)
		defer script(t, db, text)
	}
	for _, table := range tables {
		script(t, db, fmt.Sprintf("INSERT INTO main.%[1]s SELECT * FROM now.%[1]s", table))
	}
	return old
}

// A ledger of version 1 opens, keeps all it holds, and takes X-GM-MSGID from
// then on; until then it cannot be read without being migrated.
func TestVersion1(t *testing.T) {
	const n = 120
	path := earlier(t, filled(t, n), 1)
	if _, err := OpenReadOnly(t.Context(), path); !errors.Is(err, ErrOlder) {
		t.Errorf("read-only before the migration: %v", err)
	}

	l, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if got := count(t, l); got != n {
		t.Errorf("%d messages after the migration, want %d", got, n)
	}
	for _, m := range messagesOf(t, l, "anna") {
		if m.GmailID != 0 {
			t.Errorf("%v has X-GM-MSGID %d from nowhere", m.MessageKey, m.GmailID)
		}
	}
	addGmail(t, l, "zoe", 60)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := schema(t, path), schema(t, fresh(t, migrations)); !slices.Equal(got, want) {
		t.Errorf("the migrated ledger declares\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	ro, err := OpenReadOnly(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messagesOf(t, ro, "zoe") {
		if want := gmailOf(m.MessageKey.UID); m.GmailID != want {
			t.Errorf("%v has X-GM-MSGID %d, want %d", m.MessageKey, m.GmailID, want)
		}
	}
	if err := ro.Close(); err != nil {
		t.Fatal(err)
	}
}

// gmailOf is 0, the greatest number, or something between.
func gmailOf(uid mailproof.UID) uint64 {
	switch uid % 4 {
	case 0:
		return 0
	case 1:
		return ^uint64(0)
	}
	return uint64(uid) << 40
}

func addGmail(t *testing.T, l *Ledger, account string, n int) {
	t.Helper()
	pass := must[mailproof.PassID](t)(l.BeginPass(t.Context(), mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull}))
	key := mailproof.MessageKey{Side: mailproof.Source, Account: account, Mailbox: "INBOX", UIDValidity: 5}
	state := mailproof.MailboxState{UIDValidity: 5, Exists: uint32(n)}
	ok(t, l.BeginScan(t.Context(), mailproof.Scan{Pass: pass, Account: account, Side: mailproof.Source}))
	w, err := l.BeginMailbox(t.Context(), pass, account, mailproof.Source, mailproof.Mailbox{Name: "INBOX", Separator: "/"}, state)
	ok(t, err)
	for i := range n {
		key.UID = mailproof.UID(i + 1)
		m := benchMessage(key, i)
		m.GmailID = gmailOf(key.UID)
		ok(t, w.Add(t.Context(), m))
	}
	ok(t, w.End(t.Context(), state, mailproof.MailboxScan{Complete: true, Present: int64(n)}))
	ok(t, l.EndScan(t.Context(), mailproof.Scan{Pass: pass, Account: account, Side: mailproof.Source, State: mailproof.PassDone}))
}

// messagesOf reads an account's messages, and sees that its rows, in memory as
// well as by way of the sorter, say the same of X-GM-MSGID.
func messagesOf(t *testing.T, l *Ledger, account string) []mailproof.Message {
	t.Helper()
	inv, err := l.Inventory(t.Context(), account, mailproof.Source)
	ok(t, err)
	defer func() { ok(t, inv.Close()) }()
	all := collected(t, inv.Messages(t.Context()))
	want := map[mailproof.UID]uint64{}
	for _, m := range all {
		want[m.MessageKey.UID] = m.GmailID
	}
	for _, by := range []mailproof.Tier{mailproof.TierNone, mailproof.T0} {
		for _, r := range collected(t, inv.Rows(t.Context(), by)) {
			if r.GmailID != want[r.UID] {
				t.Errorf("row by %v, uid %d: X-GM-MSGID %d, want %d", by, r.UID, r.GmailID, want[r.UID])
			}
		}
	}
	return all
}

// What was recorded of X-GM-MSGID is neither changed nor removed, and where
// there is none nothing is recorded.
func TestGmailIsKept(t *testing.T) {
	path := filled(t, 10)
	l, err := Open(t.Context(), path)
	ok(t, err)
	addGmail(t, l, "zoe", 60)
	ok(t, l.Close())
	db := plain(t, path)
	for _, text := range []string{"DELETE FROM gmail", "UPDATE gmail SET msgid = 7"} {
		if _, err := db.ExecContext(t.Context(), text); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", text, err)
		}
	}
	var rows int
	ok(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM gmail").Scan(&rows))
	if rows != 45 {
		t.Errorf("%d numbers recorded, want 45", rows)
	}
	ok(t, db.Close())
}
