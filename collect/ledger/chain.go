package ledger

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/mailproof/mailproof"
)

// # The history as a chain
//
// Every pass has a root: a hash over all that it recorded, over all that people
// said since the pass before it, and over the root of the link before. Whoever
// changes a row of the file breaks the link of the pass that wrote it, and who
// mends that link breaks every later one. The last root is what to write down,
// to sign or to print: with it the whole history is fixed.
//
// A row is hashed as its columns in a fixed order, each as a netstring,
// LENGTH:BYTES, with numbers in decimal and null as "-,". Rows follow each other
// in the order of their keys. A part of a link is the SHA-256 of such rows; the
// root is the SHA-256 of the text
//
//	mailproof/chain/1
//	PREVIOUS ROOT in hexadecimal digits
//	pass NUMBER, or pass -
//	MADE, the time of the link as the table chain has it
//	UPTO, as the table chain has it
//	NAME ROWS DIGEST    of every part, in the order of the table chain
//
// with a LF after each line. The parts of an inventory pass rest on one digest
// for each account (scan_digest), made while other accounts are still read: a
// pass ends without reading anything twice, and a broken link tells whose.
//
// Rows of tables that belong to no pass (names, decisions, attestations) are
// parts of the next link: UPTO tells how far it goes in each of them.

// Part is what a link says of one kind of rows.
type Part struct {
	Name   string
	Rows   int64
	Digest [sha256.Size]byte
}

// Link is one entry of the history.
type Link struct {
	Seq      int64
	Pass     mailproof.PassID // 0: no pass, only what people said
	Made     time.Time
	Parts    []Part
	Previous [sha256.Size]byte
	Root     [sha256.Size]byte
	upto     string
}

// chainForm names the form of what is hashed.
const chainForm = "mailproof/chain/1"

// root computes the link's root from its parts.
func (k *Link) root() [sha256.Size]byte {
	h := sha256.New()
	pass := "-"
	if k.Pass != 0 {
		pass = itoa(k.Pass)
	}
	fmt.Fprintf(h, "%s\n%x\npass %s\n%s\n%s\n", chainForm, k.Previous, pass, timeText(k.Made), k.upto)
	for _, p := range k.Parts {
		fmt.Fprintf(h, "%s %d %x\n", p.Name, p.Rows, p.Digest)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// partsText writes parts as the table chain has them.
func partsText(parts []Part) (string, error) {
	rows := make([][3]any, len(parts))
	for i, p := range parts {
		rows[i] = [3]any{p.Name, p.Rows, hex.EncodeToString(p.Digest[:])}
	}
	return jsonText(rows)
}

// partsScan is the scanner that reads what partsText wrote.
type partsScan struct{ parts *[]Part }

func (s partsScan) Scan(v any) error {
	var rows [][3]any
	if err := (document{&rows}).Scan(v); err != nil {
		return err
	}
	*s.parts = nil
	for _, r := range rows {
		name, ok1 := r[0].(string)
		n, ok2 := r[1].(float64)
		text, ok3 := r[2].(string)
		sum, err := hex.DecodeString(text)
		if !ok1 || !ok2 || !ok3 || err != nil || len(sum) != sha256.Size {
			return fmt.Errorf("%w: a part of the chain", ErrDamaged)
		}
		*s.parts = append(*s.parts, Part{name, int64(n), [sha256.Size]byte(sum)})
	}
	return nil
}

// rootScan is the scanner of a hash.
type rootScan struct{ h *[sha256.Size]byte }

func (s rootScan) Scan(v any) error {
	b, ok := v.([]byte)
	if !ok || len(b) != sha256.Size {
		return fmt.Errorf("%w: a root of the chain", ErrDamaged)
	}
	*s.h = [sha256.Size]byte(b)
	return nil
}

const linkColumns = "seq, coalesce(pass, 0), made, upto, parts, previous, root"

func linkDest(k *Link) []any {
	return []any{&k.Seq, &k.Pass, textTime{&k.Made}, &k.upto, partsScan{&k.Parts}, rootScan{&k.Previous}, rootScan{&k.Root}}
}

// Chain returns the links of the history, the oldest first. It re-computes
// nothing: [Ledger.VerifyChain] does.
func (l *Ledger) Chain(ctx context.Context) ([]Link, error) {
	var links []Link
	err := l.each(ctx, "SELECT "+linkColumns+" FROM chain ORDER BY seq", nil, func(row scanFunc) error {
		var k Link
		err := row(linkDest(&k)...)
		links = append(links, k)
		return err
	})
	return links, err
}

// rowHash hashes rows as the form of the chain has them.
type rowHash struct {
	h    hash.Hash
	rows int64
	buf  []byte
}

func newRowHash() *rowHash { return &rowHash{h: sha256.New()} }

func (r *rowHash) part(name string) Part {
	return Part{name, r.rows, [sha256.Size]byte(r.h.Sum(nil))}
}

// add hashes one row.
func (r *rowHash) add(columns []driver.Value) error {
	r.buf = r.buf[:0]
	for _, c := range columns {
		switch c := c.(type) {
		case int64:
			var digits [20]byte
			r.buf = appendNetstring(r.buf, strconv.AppendInt(digits[:0], c, 10))
		case string:
			r.buf = appendNetstring(r.buf, c)
		case []byte:
			if c == nil { // as the driver gives an empty one
				r.buf = append(r.buf, "-,"...)
				continue
			}
			r.buf = appendNetstring(r.buf, c)
		case nil:
			r.buf = append(r.buf, "-,"...)
		case float64: // no column of ours takes one: the hash of whoever changed that differs
			r.buf = appendNetstring(r.buf, strconv.AppendFloat(nil, c, 'g', -1, 64))
		default:
			return fmt.Errorf("%w: %T in a row", ErrDamaged, c)
		}
	}
	r.rows++
	_, err := r.h.Write(r.buf)
	return err
}

func appendNetstring[T string | []byte](b []byte, s T) []byte {
	b = append(strconv.AppendInt(b, int64(len(s)), 10), ':')
	return append(append(b, s...), ',')
}

// rowsBetween is how many rows are read before the context is asked.
const rowsBetween = 256

// query hashes every row of a query. It takes them from the driver itself:
// database/sql would turn each column into text and hold locks for each row,
// which costs as much as the hashing.
func (r *rowHash) query(ctx context.Context, conn *sql.Conn, query string, args ...any) error {
	return conn.Raw(func(c any) (err error) {
		q, ok := c.(driver.QueryerContext)
		if !ok {
			return fmt.Errorf("ledger: the driver's %T asks no queries", c)
		}
		named := make([]driver.NamedValue, len(args))
		for i, a := range args {
			named[i] = driver.NamedValue{Ordinal: i + 1, Value: a}
		}
		rows, err := q.QueryContext(ctx, query, named)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		columns := make([]driver.Value, len(rows.Columns()))
		for n := 1; ; n++ {
			err := rows.Next(columns)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err == nil {
				err = r.add(columns)
			}
			if err == nil && n%rowsBetween == 0 {
				err = ctx.Err()
			}
			if err != nil {
				return err
			}
		}
	})
}

// loose are the tables whose rows belong to no pass, with the number that
// counts them up and the columns that are hashed. New tables go at the end.
var loose = []struct{ name, table, key, columns string }{
	{"account", "account", "id", "id, name"},
	{"attestation", "attestation", "seq", "seq, step, attested_by, note, withdrawn, not_applicable, recorded"},
	{"disposition", "disposition", "seq", "seq, series, number, pass, verdict, disposition, decided_by, why, decided"},
	{"engagement", "engagement", "seq", "seq, key, value, recorded"},
	{"epoch", "epoch", "id", "id, mailbox, uidvalidity"},
	{"exception-E", "exception_id", "number", "series, number, key"},
	{"exception-N", "exception_id", "number", "series, number, key"},
	{"finding-decision", "finding_decision", "seq", `seq, "check", subject, outcome, observed, disposition, decided_by, why, decided`},
	{"flagset", "flagset", "id", "id, flags"},
	{"mailbox", "mailbox", "id", "id, account, side, name"},
	{"probe", "probe", "seq", "seq, account, recipient, domain, message_id, exchange, tls, reply, sent, ended, source_folder, source_seen, source_error, destination_folder, destination_seen, destination_error"},
	{"readiness", "readiness", "id", "id, taken, tool, command, ready, estimate, findings"},
	{"readiness-account", "readiness_account", "seq", "seq, readiness, position, account, folders, messages, octets, ready, result, troubles"},
	{"seal", "seal", "seq", "seq, bundle, sealed, privacy, verdict, fingerprint, tagmanifest, path, roots"},
	{"traffic", "traffic", "seq", "seq, day, account, side, read, sent, recorded"},
	{"deletion", "deletion", "seq", "seq, pass, account, mailbox, uidvalidity, uid, t0, octets, source_mailbox, source_validity, source_uid, appended_by, intended"},
	{"deletion-result", "deletion_result", "seq", "seq, deletion, state, reason, finished"},
	{"settled", "settled", "seq", "seq, account, source_pass, destination_pass, base_pass, rules, recorded"},
}

// series narrows the two series of exceptions, which share a table.
func series(name string) string {
	switch name {
	case "exception-E":
		return " AND series = 'E'"
	case "exception-N":
		return " AND series = 'N'"
	}
	return ""
}

// marks are how far a link goes in each table of loose rows.
type marks map[string]int64

func (m marks) text() (string, error) { return jsonText(map[string]int64(m)) } // keys come out sorted

func parseMarks(text string) (marks, error) {
	m := marks{}
	if text == "" {
		return m, nil
	}
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("%w: the chain: %w", ErrDamaged, err)
	}
	return m, nil
}

// lastMarks are how far the loose tables go by now.
func lastMarks(ctx context.Context, q queryer) (marks, error) {
	m := marks{}
	for _, t := range loose {
		var last int64
		if err := q.QueryRowContext(ctx, "SELECT coalesce(max("+t.key+"), 0) FROM "+t.table+" WHERE 1"+series(t.name)).Scan(&last); err != nil {
			return nil, err
		}
		m[t.name] = last
	}
	return m, nil
}

// looseParts hashes the loose rows after one mark up to another. Tables in
// which nothing is new have no part.
func looseParts(ctx context.Context, q *sql.Conn, from, to marks) ([]Part, error) {
	var parts []Part
	for _, t := range loose {
		if to[t.name] == from[t.name] {
			continue
		}
		h := newRowHash()
		err := h.query(ctx, q, "SELECT "+t.columns+" FROM "+t.table+" WHERE "+t.key+" > ? AND "+t.key+" <= ?"+series(t.name)+" ORDER BY "+t.key, from[t.name], to[t.name])
		if err != nil {
			return nil, err
		}
		parts = append(parts, h.part("said/"+t.name))
	}
	return parts, nil
}

// ofPass are the queries of what a pass recorded beside its scans, by part.
// Their argument is the pass.
var ofPass = []struct{ name, query string }{
	{"copy_account", "SELECT pass, account, finished FROM copy_account WHERE pass = ? ORDER BY account"},
	{"exception", `SELECT pass, account, position, series, number, mailbox, counterpart, message_id, subject, size, verdict, tier, reasons, disposition
		FROM exception WHERE pass = ? ORDER BY account, position`},
	{"finding", `SELECT id, pass, account, "check", domain, about, mailbox, phase, outcome, expected, observed, reference, remedy, time FROM finding WHERE pass = ? ORDER BY id`},
	{"label", "SELECT id, message, pass, labels FROM label WHERE pass = ? ORDER BY message, id"},
	{"listing", "SELECT id, message, pass, size, internaldate, zone FROM listing WHERE pass = ? ORDER BY message, id"},
	{"observation", `SELECT id, pass, domain, time, question, type, server, role, network, rcode, aa, ad, records, min_ttl, max_ttl, error, millis
		FROM observation WHERE pass = ? ORDER BY id`},
	{"pass", "SELECT id, kind, side, depth, reverify, tool, command, algorithm, started, finished, state, error, messages, bytes FROM pass WHERE id = ?"},
	{"result", `SELECT pass, account, verdict, counts, flags_differ, dates_differ, signatures_changed, exceptions_omitted, source_pass, destination_pass, source_bytes, destination_bytes
		FROM result WHERE pass = ? ORDER BY account`},
	{"result_folder", `SELECT pass, account, position, source, destination, counts, flags_differ, dates_differ, signatures_changed
		FROM result_folder WHERE pass = ? ORDER BY account, position`},
	// How many rows there are in all, so that one that belongs to no scan of
	// the pass does not go unseen.
	{"rows", `SELECT (SELECT count(*) FROM mailbox_scan WHERE pass = ?1), (SELECT count(*) FROM message WHERE first_pass = ?1), (SELECT count(*) FROM reading WHERE pass = ?1),
		(SELECT count(*) FROM presence WHERE pass = ?1), (SELECT count(*) FROM flag_event WHERE pass = ?1),
		(SELECT count(*) FROM header WHERE pass = ?1)`},
	{"scans", "SELECT pass, account, side, rows, hex(digest) FROM scan_digest WHERE pass = ? ORDER BY account, side"},
	{"step", `SELECT s.id, s.pass, s.account, s.kind, s.target, s.message, s.special_use, s.internaldate, s.zone, s.flags, s.remove, s.size, s.t0, s.intended,
		r.state, r.reason, r.uidvalidity, r.uid, r.octets, r.finished FROM step s LEFT JOIN step_result r ON r.step = s.id WHERE s.pass = ? ORDER BY s.id`},
}

// passParts hashes what a pass recorded.
func passParts(ctx context.Context, q *sql.Conn, pass mailproof.PassID) ([]Part, error) {
	var parts []Part
	for _, p := range ofPass {
		h := newRowHash()
		if err := h.query(ctx, q, p.query, int64(pass)); err != nil {
			return nil, err
		}
		if h.rows > 0 {
			parts = append(parts, h.part(p.name))
		}
	}
	return parts, nil
}

// scanRef names an account's part of a pass by the ledger's own numbers.
type scanRef struct {
	pass    mailproof.PassID
	account int64
	side    string
}

// inEpoch are the queries of what a pass recorded in one epoch. Their arguments
// are the pass and the first and the last number of a message.
var inEpoch = []struct{ exists, query string }{
	{"message WHERE first_pass = ?1 AND id", `SELECT m.id, m.first_pass, m.internaldate, m.zone, m.flags, m.size, m.state, m.octets, m.hashes, m.reason, d.detail, g.msgid
		FROM message m LEFT JOIN detail d ON d.message = m.id LEFT JOIN gmail g ON g.message = m.id WHERE m.first_pass = ?1 AND m.id BETWEEN ?2 AND ?3 ORDER BY m.id`},
	{"reading WHERE pass = ?1 AND message", `SELECT id, message, pass, state, octets, hashes, reason, detail FROM reading WHERE pass = ?1 AND message BETWEEN ?2 AND ?3 ORDER BY message, id`},
	{"presence WHERE pass = ?1 AND message", `SELECT message, pass, seq, present FROM presence WHERE pass = ?1 AND message BETWEEN ?2 AND ?3 ORDER BY message, seq`},
	{"flag_event WHERE pass = ?1 AND message", `SELECT message, pass, seq, flags FROM flag_event WHERE pass = ?1 AND message BETWEEN ?2 AND ?3 ORDER BY message, seq`},
	{"header WHERE pass = ?1 AND message", `SELECT id, message, pass, t3, detail, reason FROM header WHERE pass = ?1 AND message BETWEEN ?2 AND ?3 ORDER BY message, id`},
}

const mailboxesOfScan = `FROM mailbox b CROSS JOIN mailbox_scan s ON s.pass = ?1 AND s.mailbox = b.id WHERE b.account = ?2 AND b.side = ?3`

// scanPart hashes what a pass recorded of one account: the scan, its mailboxes,
// and every row about a message.
func scanPart(ctx context.Context, q *sql.Conn, s scanRef) (Part, error) {
	h := newRowHash()
	args := []any{int64(s.pass), s.account, s.side}
	err := h.query(ctx, q, "SELECT pass, account, side, started, finished, state, error, server FROM scan WHERE pass = ?1 AND account = ?2 AND side = ?3", args...)
	if err != nil {
		return Part{}, err
	}
	err = h.query(ctx, q, `SELECT s.id, s.pass, s.account, s.side, s.mailbox, s.epoch, s.state, s.separator, s.prefix, s.special_use, s.subscribed, s.noselect,
		s.before_uidvalidity, s.before_uidnext, s.before_exists, s.before_modseq, s.after_uidvalidity, s.after_uidnext, s.after_exists, s.after_modseq,
		s.complete, s.drifted, s.present, s.excluded, s.error `+mailboxesOfScan+" ORDER BY b.id", args...)
	if err != nil {
		return Part{}, err
	}
	query := "SELECT s.epoch"
	for _, t := range inEpoch {
		query += ", EXISTS (SELECT 1 FROM " + t.exists + " BETWEEN s.epoch << 32 AND (s.epoch << 32) + 4294967295)"
	}
	type epoch struct {
		id   int64
		some [5]bool
	}
	var epochs []epoch
	err = eachRow(ctx, q, query+" "+mailboxesOfScan+" AND s.epoch IS NOT NULL ORDER BY s.epoch", args, func(row scanFunc) error {
		var e epoch
		err := row(&e.id, &e.some[0], &e.some[1], &e.some[2], &e.some[3], &e.some[4])
		epochs = append(epochs, e)
		return err
	})
	if err != nil {
		return Part{}, err
	}
	for _, e := range epochs {
		for i, t := range inEpoch {
			if !e.some[i] {
				continue
			}
			if err := h.query(ctx, q, t.query, int64(s.pass), messageID(e.id, 0), lastOf(e.id)); err != nil {
				return Part{}, err
			}
		}
	}
	return h.part(""), nil
}

// digestScan keeps the digest of a scan that has ended, read from a snapshot
// while others go on writing. A context that ends puts it off to the end of the
// pass.
func (l *Ledger) digestScan(ctx context.Context, s scanRef) error {
	var part Part
	err := l.snapshot(ctx, func(r *reader) (err error) {
		part, err = scanPart(ctx, r.conn, s)
		return err
	})
	if err == nil {
		err = l.write(ctx, ran, 1, func(t *tx) error {
			_, err := t.exec("INSERT INTO scan_digest (pass, account, side, rows, digest) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
				int64(s.pass), s.account, s.side, part.Rows, part.Digest[:])
			return err
		})
	}
	if err != nil && ctx.Err() != nil {
		return nil
	}
	return err
}

// linkPass makes the link of a pass that has ended, or that was cut off. A
// context that ends puts it off until the next pass begins.
func (l *Ledger) linkPass(ctx context.Context, pass mailproof.PassID) error {
	err := l.digestRest(ctx, pass)
	if err == nil {
		var parts []Part
		err = l.snapshot(ctx, func(r *reader) (err error) {
			parts, err = passParts(ctx, r.conn, pass)
			return err
		})
		if err == nil {
			err = l.write(ctx, durable, 1, func(t *tx) error { return t.link(pass, parts) })
		}
	}
	if err != nil && ctx.Err() != nil {
		return nil
	}
	return err
}

// digestRest makes the digests that a pass lacks: of scans that were cut off,
// and of passes from before there was a chain. When it returns everything that
// was queued is visible to readers.
func (l *Ledger) digestRest(ctx context.Context, pass mailproof.PassID) error {
	flush := func() error {
		return l.write(ctx, committed, 0, func(*tx) error { return nil })
	}
	if err := flush(); err != nil {
		return err
	}
	var rest []scanRef
	err := l.each(ctx, "SELECT s.account, s.side FROM scan s LEFT JOIN scan_digest d USING (pass, account, side) WHERE s.pass = ? AND d.digest IS NULL ORDER BY s.account, s.side", []any{int64(pass)}, func(row scanFunc) error {
		s := scanRef{pass: pass}
		err := row(&s.account, &s.side)
		rest = append(rest, s)
		return err
	})
	if err != nil {
		return err
	}
	for _, s := range rest {
		if err := l.digestScan(ctx, s); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil || len(rest) == 0 {
		return err
	}
	return flush()
}

// link adds a link behind the last one: of a pass, or of none where pass is 0.
// Nothing new and no pass makes no link.
func (t *tx) link(pass mailproof.PassID, parts []Part) error {
	ctx := context.Background()
	var last Link
	k := Link{Pass: pass, Made: time.Now()}
	if ok, err := t.get("SELECT "+linkColumns+" FROM chain ORDER BY seq DESC LIMIT 1", nil, linkDest(&last)...); err != nil {
		return err
	} else if ok {
		k.Previous = last.Root
	}
	from, err := parseMarks(last.upto)
	if err != nil {
		return err
	}
	to, err := lastMarks(ctx, t.conn)
	if err != nil {
		return err
	}
	said, err := looseParts(ctx, t.conn, from, to)
	if err != nil || pass == 0 && len(said) == 0 {
		return err
	}
	k.Parts = append(slices.Clone(parts), said...)
	if k.upto, err = to.text(); err != nil {
		return err
	}
	text, err := partsText(k.Parts)
	if err != nil {
		return err
	}
	k.Root = k.root()
	_, err = t.exec("INSERT INTO chain (seq, pass, made, upto, parts, previous, root) VALUES (?, ?, ?, ?, ?, ?, ?)",
		last.Seq+1, passColumn(pass), timeText(k.Made), k.upto, text, k.Previous[:], k.Root[:])
	return err
}

// linkEarlier makes the links of passes that a process before this one left
// without: killed ones, and those from before there was a chain.
func (l *Ledger) linkEarlier(ctx context.Context) error {
	l.earlier.Lock()
	defer l.earlier.Unlock()
	if l.earlierDone {
		return nil
	}
	var passes []mailproof.PassID
	err := l.each(ctx, "SELECT p.id FROM pass p LEFT JOIN chain c ON c.pass = p.id WHERE c.seq IS NULL AND p.id <= ? ORDER BY p.id", []any{int64(l.lastAtOpen)}, func(row scanFunc) error {
		passes = append(passes, 0)
		return row(&passes[len(passes)-1])
	})
	if err != nil {
		return err
	}
	for _, p := range passes {
		if err := l.linkPass(ctx, p); err != nil {
			return fmt.Errorf("history of pass %d: %w", p, err)
		}
	}
	l.earlierDone = ctx.Err() == nil
	return nil
}

// Link puts what people said since the last link into the chain. Where nothing
// was said it does nothing.
func (l *Ledger) Link(ctx context.Context) error {
	if err := l.linkEarlier(ctx); err != nil {
		return err
	}
	return l.write(ctx, durable, 1, func(t *tx) error { return t.link(0, nil) })
}
