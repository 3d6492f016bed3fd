package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/mailproof/mailproof"
)

// SetEngagement records a value about the engagement as a whole. Earlier values
// of the key stay in the ledger; the latest counts.
func (l *Ledger) SetEngagement(ctx context.Context, key, value string) error {
	return l.write(ctx, durable, 1, func(t *tx) error {
		_, err := t.exec("INSERT INTO engagement (key, value, recorded) VALUES (?, ?, ?)", key, value, now())
		return err
	})
}

// Engagement returns the latest value of every key.
func (l *Ledger) Engagement(ctx context.Context) (map[string]string, error) {
	values := map[string]string{}
	err := l.each(ctx, "SELECT key, value FROM engagement ORDER BY seq", nil, func(row scanFunc) error {
		var key, value string
		if err := row(&key, &value); err != nil {
			return err
		}
		values[key] = value
		return nil
	})
	return values, err
}

// BeginPass records that a pass begins and gives it its number. ID, Finished,
// State, Error, Messages and Bytes of p are not looked at; a zero Started means
// now.
func (l *Ledger) BeginPass(ctx context.Context, p mailproof.Pass) (mailproof.PassID, error) {
	kind, err := p.Kind.MarshalText()
	if err != nil {
		return 0, err
	}
	if p.Started.IsZero() {
		p.Started = time.Now()
	}
	if l.w != nil {
		if err := l.linkEarlier(ctx); err != nil {
			return 0, err
		}
	}
	var id int64
	err = l.write(ctx, durable, 1, func(t *tx) (err error) {
		id, err = t.insert("INSERT INTO pass (kind, side, depth, reverify, tool, command, algorithm, started) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			string(kind), sideText(p.Side), p.Depth.String(), bit(p.Reverify), p.Tool, p.Command, mailproof.FingerprintAlgorithm, timeText(p.Started))
		return err
	})
	if err != nil {
		return 0, err
	}
	return mailproof.PassID(id), nil
}

// EndPass records how a pass ended, once, and puts it into the chain: whatever
// the pass has to record was recorded before. The state is a final one.
func (l *Ledger) EndPass(ctx context.Context, id mailproof.PassID, state mailproof.PassState, errText string, messages, bytes int64) error {
	final, err := state.MarshalText()
	if err != nil {
		return err
	}
	err = l.write(ctx, durable, 1, func(t *tx) error {
		return t.once(fmt.Sprintf("pass %d", id), "UPDATE pass SET finished = ?, state = ?, error = ?, messages = ?, bytes = ? WHERE id = ?",
			now(), string(final), errText, messages, bytes, int64(id))
	})
	if err != nil {
		return err
	}
	return l.linkPass(ctx, id)
}

// once runs an update that must hit one row.
func (t *tx) once(what, query string, args ...any) error {
	r, err := t.exec(query, args...)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if n, err := r.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("%s: %w", what, ErrUnknown), err)
	}
	return nil
}

const passColumns = "p.id, p.kind, p.side, p.depth, p.reverify, p.tool, p.command, p.started, p.finished, p.state, p.error, p.messages, p.bytes"

func passDest(p *mailproof.Pass) []any {
	return []any{&p.ID, enum{&p.Kind}, enum{&p.Side}, enum{&p.Depth}, &p.Reverify, &p.Tool, &p.Command, textTime{&p.Started}, textTime{&p.Finished},
		enum{&p.State}, &p.Error, &p.Messages, &p.Bytes}
}

// Passes returns every pass in the order in which they began. One that was
// killed is [mailproof.PassRunning] for ever.
func (l *Ledger) Passes(ctx context.Context) ([]mailproof.Pass, error) {
	var passes []mailproof.Pass
	err := l.each(ctx, "SELECT "+passColumns+" FROM pass p ORDER BY p.id", nil, func(row scanFunc) error {
		var p mailproof.Pass
		if err := row(passDest(&p)...); err != nil {
			return err
		}
		passes = append(passes, p)
		return nil
	})
	return passes, err
}

// BeginScan records that a pass takes up an account. It yields [ErrOrder] where
// a later pass has read the account: what one pass adds is relative to those
// before it.
func (l *Ledger) BeginScan(ctx context.Context, s mailproof.Scan) error {
	server, err := jsonText(s.Server)
	if err != nil {
		return err
	}
	return l.write(ctx, committed, 1, func(t *tx) error {
		account, err := t.account(s.Account)
		if err != nil {
			return err
		}
		var later int64
		if ok, err := t.get("SELECT pass FROM scan WHERE account = ? AND side = ? AND pass > ?", []any{account, sideText(s.Side), int64(s.Pass)}, &later); err != nil || ok {
			return errors.Join(err, wrapIf(ok, ErrOrder, "pass %d, %s %s: pass %d", s.Pass, s.Side, s.Account, later))
		}
		_, err = t.exec("INSERT INTO scan (pass, account, side, started, server) VALUES (?, ?, ?, ?, ?)",
			int64(s.Pass), account, sideText(s.Side), timeText(s.Started), server)
		return err
	})
}

func wrapIf(ok bool, err error, format string, args ...any) error {
	if !ok {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

// EndScan records how an account's part of a pass ended, once. When it returns,
// everything that the scan recorded is on disk.
func (l *Ledger) EndScan(ctx context.Context, s mailproof.Scan) error {
	server, err := jsonText(s.Server)
	if err != nil {
		return err
	}
	state, err := s.State.MarshalText()
	if err != nil {
		return err
	}
	ref := scanRef{pass: s.Pass, side: sideText(s.Side)}
	err = l.write(ctx, durable, 1, func(t *tx) error {
		account, err := t.account(s.Account)
		if err != nil {
			return err
		}
		ref.account = account
		return t.once(fmt.Sprintf("pass %d, %s %s", s.Pass, s.Side, s.Account),
			"UPDATE scan SET finished = ?, state = ?, error = ?, server = ? WHERE pass = ? AND account = ? AND side = ?",
			timeText(s.Finished), string(state), s.Error, server, int64(s.Pass), account, sideText(s.Side))
	})
	if err != nil {
		return err
	}
	return l.digestScan(ctx, ref)
}

// LatestScan returns the latest scan of an account, whatever its state, and its
// mailboxes as [Ledger.MailboxScans] does. ok is false where there was none.
func (l *Ledger) LatestScan(ctx context.Context, account string, side mailproof.Side) (s mailproof.Scan, mailboxes []mailproof.MailboxScan, ok bool, err error) {
	err = l.snapshot(ctx, func(r *reader) error {
		if s, ok, err = r.scan(ctx, account, side, 0); err != nil || !ok {
			return err
		}
		refs, err := r.mailboxScans(ctx, s.Pass, account, side)
		mailboxes = scansOf(refs)
		return err
	})
	return s, mailboxes, ok, err
}

// MailboxScans returns what a pass recorded of an account's mailboxes, ordered
// by name. One whose reading was cut off is not Complete and has an Error.
func (l *Ledger) MailboxScans(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side) (mailboxes []mailproof.MailboxScan, err error) {
	err = l.snapshot(ctx, func(r *reader) error {
		refs, err := r.mailboxScans(ctx, pass, account, side)
		mailboxes = scansOf(refs)
		return err
	})
	return mailboxes, err
}

// Accounts returns the name of every account that was ever scanned, in order.
func (l *Ledger) Accounts(ctx context.Context) ([]string, error) {
	var names []string
	err := l.each(ctx, "SELECT name FROM account a WHERE EXISTS (SELECT 1 FROM scan s WHERE s.account = a.id) ORDER BY name", nil, func(row scanFunc) error {
		names = append(names, "")
		return row(&names[len(names)-1])
	})
	return names, err
}

// ExcludeMailbox records a mailbox that a rule leaves out: what the server said
// of it, and nothing of its messages.
func (l *Ledger) ExcludeMailbox(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side, mb mailproof.Mailbox, state mailproof.MailboxState, rule string) error {
	if rule == "" {
		return errors.New("ledger: a mailbox is excluded by a rule that has a name")
	}
	return l.write(ctx, committed, 1, func(t *tx) error {
		_, _, err := t.mailboxScan(pass, account, side, mb, state, "excluded", rule)
		return err
	})
}

// mailboxScan adds the row of one mailbox in a scan.
func (t *tx) mailboxScan(pass mailproof.PassID, account string, side mailproof.Side, mb mailproof.Mailbox, before mailproof.MailboxState, state, rule string) (id, epoch int64, err error) {
	owner, err := t.account(account)
	if err != nil {
		return 0, 0, err
	}
	mailbox, err := t.mailbox(owner, side, mb.Name)
	if err != nil {
		return 0, 0, err
	}
	var epochColumn any
	if before.UIDValidity != 0 && rule == "" {
		if epoch, err = t.epoch(mailbox, before.UIDValidity); err != nil {
			return 0, 0, err
		}
		epochColumn = epoch
	}
	id, err = t.insert(`INSERT INTO mailbox_scan (pass, account, side, mailbox, epoch, state, separator, prefix, special_use, subscribed, noselect,
		before_uidvalidity, before_uidnext, before_exists, before_modseq, excluded) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(pass), owner, sideText(side), mailbox, epochColumn, state, mb.Separator, mb.Prefix, string(mb.SpecialUse), bit(mb.Subscribed), bit(mb.NoSelect),
		int64(before.UIDValidity), int64(before.UIDNext), int64(before.Exists), int64(before.HighestModSeq), rule)
	if err != nil {
		return 0, 0, fmt.Errorf("pass %d, %s %s, folder %q: %w", pass, side, account, mb.Name, err)
	}
	return id, epoch, nil
}

// write queues work for the writer.
func (l *Ledger) write(ctx context.Context, n need, rows int, run func(t *tx) error) error {
	if l.w == nil {
		return fmt.Errorf("%s: %w", l.path, ErrReadOnly)
	}
	return l.w.do(ctx, n, rows, run)
}

// scanFunc reads the columns of the row at hand.
type scanFunc = func(dest ...any) error

// each runs a query on a connection of its own and hands every row to f.
func (l *Ledger) each(ctx context.Context, query string, args []any, f func(row scanFunc) error) error {
	return explain(l.path, eachRow(ctx, l.readers, query, args, f))
}

type rowsQueryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func eachRow(ctx context.Context, q rowsQueryer, query string, args []any, f func(row scanFunc) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	return eachOf(rows, f)
}

func eachOf(rows *sql.Rows, f func(row scanFunc) error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := f(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
