package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// Verification is what the re-computing of the history came to.
type Verification struct {
	Links int
	Rows  int64              // hashed anew
	Head  [sha256.Size]byte  // root of the last link; zeros where there is none
	Open  []mailproof.PassID // passes without a link: running, or cut off and not yet taken up
	Loose int64              // rows that belong to no pass and were written since the last link
	// Words of them are what people said: decisions, attestations, probes.
	// What records one puts it into the chain at once, so one that stands
	// outside was cut off between the two, or was written by another hand.
	Words int64
	Bad   []BadLink // in the order of the chain; none: nothing was changed
	roots map[[sha256.Size]byte]bool
}

// BadLink is a link that does not hold.
type BadLink struct {
	Seq  int64
	Pass mailproof.PassID // 0: no pass
	Made string
	What []string // what does not hold, in words: "source anna@example.com: 60 rows, 61 were recorded"
}

// Whole reports whether every link holds.
func (v *Verification) Whole() bool { return len(v.Bad) == 0 }

// Holds reports whether a root, in hexadecimal digits or the first 16 or more of
// them, is that of a link: what was written down once is part of this history.
func (v *Verification) Holds(root string) bool {
	root = strings.ToLower(strings.TrimSpace(root))
	if len(root) < 16 || len(root) > 2*sha256.Size {
		return false
	}
	for r := range v.roots {
		if strings.HasPrefix(hex.EncodeToString(r[:]), root) {
			return true
		}
	}
	return false
}

// VerifyChain re-computes the whole history from the rows of the file, and says
// which links do not hold. An error is one of reading; a changed row is none.
// progress, where it is not nil, is told of each link before it is looked at.
func (l *Ledger) VerifyChain(ctx context.Context, progress func(done, total int)) (*Verification, error) {
	links, err := l.Chain(ctx)
	if err != nil {
		return nil, err
	}
	v := &Verification{Links: len(links), roots: map[[sha256.Size]byte]bool{}}
	err = l.snapshot(ctx, func(r *reader) error {
		defer r.forget()
		c := &verifier{r: r, v: v, names: map[int64]string{}}
		if err := r.each(ctx, "SELECT id, name FROM account", nil, func(row scanFunc) error {
			var id int64
			var name string
			err := row(&id, &name)
			c.names[id] = name
			return err
		}); err != nil {
			return err
		}
		for i := range links {
			if progress != nil {
				progress(i, len(links))
			}
			if err := c.link(ctx, &links[i]); err != nil {
				return err
			}
		}
		return c.rest(ctx)
	})
	return v, err
}

type verifier struct {
	r     *reader
	v     *Verification
	names map[int64]string
	last  Link // the one before
}

// link re-computes one link.
func (c *verifier) link(ctx context.Context, k *Link) error {
	var what []string
	bad := func(format string, args ...any) { what = append(what, fmt.Sprintf(format, args...)) }
	if k.Seq != c.last.Seq+1 {
		bad("link %d follows link %d: what was between them is gone", k.Seq, c.last.Seq)
	}
	if k.Previous != c.last.Root {
		bad("it does not follow the link before it")
	}
	if k.Root != k.root() {
		bad("its root is not that of its parts")
	}
	from, err := parseMarks(c.last.upto)
	if err != nil {
		return err
	}
	to, err := parseMarks(k.upto)
	if err != nil {
		return err
	}
	now, err := looseParts(ctx, c.r.conn, from, to)
	if err != nil {
		return err
	}
	if k.Pass != 0 {
		of, err := passParts(ctx, c.r.conn, k.Pass)
		if err != nil {
			return err
		}
		now = append(of, now...)
		scans, err := c.scans(ctx, k.Pass)
		if err != nil {
			return err
		}
		what = append(what, scans...)
	}
	what = append(what, compareParts(k.Parts, now)...)
	for _, p := range now {
		c.v.Rows += p.Rows
	}
	if len(what) > 0 {
		c.v.Bad = append(c.v.Bad, BadLink{k.Seq, k.Pass, timeText(k.Made), what})
	}
	c.v.roots[k.Root] = true
	c.v.Head = k.Root
	c.last = *k
	return nil
}

// compareParts says how what is there differs from what was recorded.
func compareParts(recorded, now []Part) (what []string) {
	find := func(parts []Part, name string) *Part {
		i := slices.IndexFunc(parts, func(p Part) bool { return p.Name == name })
		if i < 0 {
			return &Part{Name: name}
		}
		return &parts[i]
	}
	var names []string
	for _, p := range slices.Concat(recorded, now) {
		names = append(names, p.Name)
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		was, is := find(recorded, name), find(now, name)
		switch {
		case was.Rows != is.Rows:
			what = append(what, fmt.Sprintf("%s: %d rows, %d were recorded", partWords(name), is.Rows, was.Rows))
		case was.Digest != is.Digest:
			what = append(what, partWords(name)+": not as recorded")
		}
	}
	return what
}

// partWords says what a part holds.
func partWords(name string) string {
	words := map[string]string{
		"copy_account": "accounts of the copy", "exception": "exceptions", "finding": "findings", "observation": "answers of name servers", "pass": "the pass itself",
		"result": "results of accounts", "result_folder": "results of folders", "rows": "numbers of rows", "scans": "digests of accounts", "step": "the copy journal",
		"said/account": "names of accounts", "said/attestation": "attestations", "said/disposition": "decisions on exceptions", "said/engagement": "facts about the engagement",
		"said/epoch": "UIDVALIDITY of folders", "said/exception-E": "numbers of exceptions", "said/exception-N": "numbers of noted messages",
		"said/finding-decision": "decisions on findings", "said/flagset": "flags", "said/mailbox": "names of folders", "said/probe": "probe messages",
	}
	if w := words[name]; w != "" {
		return w
	}
	return name
}

// scans re-computes the digest of every account's part of a pass.
func (c *verifier) scans(ctx context.Context, pass mailproof.PassID) (what []string, err error) {
	type kept struct {
		scanRef
		rows   int64
		digest []byte
	}
	var all []kept
	err = c.r.each(ctx, `SELECT account, side, d.rows, d.digest FROM scan_digest d WHERE pass = ?1
		UNION ALL SELECT account, side, 0, NULL FROM scan s WHERE pass = ?1 AND NOT EXISTS (SELECT 1 FROM scan_digest d WHERE d.pass = s.pass AND d.account = s.account AND d.side = s.side)
		ORDER BY 1, 2`, []any{int64(pass)}, func(row scanFunc) error {
		k := kept{scanRef: scanRef{pass: pass}}
		err := row(&k.account, &k.side, &k.rows, &k.digest)
		all = append(all, k)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		part, err := scanPart(ctx, c.r.conn, k.scanRef)
		if err != nil {
			return nil, err
		}
		c.v.Rows += part.Rows
		switch {
		case k.digest == nil:
			what = append(what, fmt.Sprintf("%s %s: was not among what was recorded", k.side, c.names[k.account]))
		case part.Rows != k.rows:
			what = append(what, fmt.Sprintf("%s %s: %d rows, %d were recorded", k.side, c.names[k.account], part.Rows, k.rows))
		case string(part.Digest[:]) != string(k.digest):
			what = append(what, fmt.Sprintf("%s %s: not as recorded", k.side, c.names[k.account]))
		}
	}
	return what, nil
}

// rest looks at what is in no link.
func (c *verifier) rest(ctx context.Context) error {
	err := c.r.each(ctx, "SELECT p.id FROM pass p LEFT JOIN chain c ON c.pass = p.id WHERE c.seq IS NULL ORDER BY p.id", nil, func(row scanFunc) error {
		c.v.Open = append(c.v.Open, 0)
		return row(&c.v.Open[len(c.v.Open)-1])
	})
	if err != nil {
		return err
	}
	from, err := parseMarks(c.last.upto)
	if err != nil {
		return err
	}
	to, err := lastMarks(ctx, c.r.conn)
	if err != nil {
		return err
	}
	for name, n := range to {
		c.v.Loose += max(0, n-from[name])
		if slices.Contains(wordTables, name) {
			c.v.Words += max(0, n-from[name])
		}
	}
	return c.strays(ctx)
}

// wordTables are those of the loose tables whose rows are linked by what writes
// them; the others may grow while a pass runs.
var wordTables = []string{"attestation", "disposition", "finding-decision", "probe"}

// strays are rows of passes that are not there. The joins walk through two trees
// beside each other, where a subquery would begin at the root for each row.
func (c *verifier) strays(ctx context.Context) error {
	var what []string
	for _, t := range []struct{ name, column string }{
		{"message", "first_pass"}, {"reading", "pass"}, {"presence", "pass"}, {"flag_event", "pass"}, {"header", "pass"}, {"label", "pass"}, {"listing", "pass"}, {"mailbox_scan", "pass"}, {"scan", "pass"}, {"scan_digest", "pass"},
		{"copy_account", "pass"}, {"step", "pass"}, {"result", "pass"}, {"result_folder", "pass"}, {"exception", "pass"}, {"finding", "pass"}, {"observation", "pass"}, {"chain", "pass"},
	} {
		var n int64
		if _, err := c.r.one(ctx, "SELECT count(*) FROM "+t.name+" x WHERE x."+t.column+" NOT IN (SELECT id FROM pass)", nil, &n); err != nil {
			return err
		}
		if n > 0 {
			what = append(what, fmt.Sprintf("%s: %d rows of a pass that is not there", t.name, n))
		}
	}
	for _, t := range []struct{ name, of string }{{"detail", "message"}, {"gmail", "message"}} {
		var n int64
		if _, err := c.r.one(ctx, "SELECT count(*) FROM "+t.name+" x LEFT JOIN message m ON m.id = x.message WHERE m.id IS NULL", nil, &n); err != nil {
			return err
		}
		if n > 0 {
			what = append(what, fmt.Sprintf("%s: %d rows of messages that are not there", t.name, n))
		}
	}
	var n int64
	if _, err := c.r.one(ctx, "SELECT count(*) FROM step_result r LEFT JOIN step s ON s.id = r.step WHERE s.id IS NULL", nil, &n); err != nil {
		return err
	}
	if n > 0 {
		what = append(what, fmt.Sprintf("step_result: %d rows of steps that are not there", n))
	}
	if len(what) > 0 {
		c.v.Bad = append(c.v.Bad, BadLink{What: what})
	}
	return nil
}
