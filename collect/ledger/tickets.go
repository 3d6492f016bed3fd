package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

// IntendAll is [Ledger.Intend] with a ticket for each step, by which
// [Ledger.RecordAll] takes its result without looking for it.
func (l *Ledger) IntendAll(ctx context.Context, pass mailproof.PassID, steps []mailproof.Step) (tickets []int64, err error) {
	if len(steps) == 0 {
		return nil, nil
	}
	steps = slices.Clone(steps)
	given := make(chan []int64, 1) // the job may outlive a cancelled call
	err = l.write(ctx, durable, len(steps), func(t *tx) error {
		tickets, err := t.intendAll(pass, steps)
		if err == nil {
			given <- tickets
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return <-given, nil
}

const columnsOfStep = 14

const insertStep = "INSERT INTO step (id, pass, account, kind, target, message, special_use, internaldate, zone, flags, remove, size, t0, intended) VALUES "

var (
	insertStepOne  = insertStep + values(columnsOfStep, 1)
	insertStepMany = insertStep + values(columnsOfStep, rowsPerInsert)
)

func (t *tx) intendAll(pass mailproof.PassID, steps []mailproof.Step) (tickets []int64, err error) {
	tickets = make([]int64, 0, len(steps))
	var last int64
	if _, err := t.get("SELECT coalesce(max(id), 0) FROM step", nil, &last); err != nil {
		return nil, err
	}
	when := now()
	args := make([]any, 0, len(steps)*columnsOfStep)
	accounts := map[string]int64{}
	for i := range steps {
		s := &steps[i]
		account, ok := accounts[s.Account]
		if !ok {
			if account, err = t.copyAccount(pass, s.Account); err != nil {
				return nil, err
			}
			accounts[s.Account] = account
		}
		last++
		tickets = append(tickets, last)
		if args, err = t.appendStep(append(args, last, int64(pass)), s, account); err != nil {
			return nil, err
		}
		args = append(args, when)
	}
	return tickets, t.insertRows(insertStepMany, insertStepOne, columnsOfStep, args)
}

// appendStep appends the columns from account to t0.
func (t *tx) appendStep(args []any, s *mailproof.Step, account int64) ([]any, error) {
	if _, err := mailproof.ParseStepKind(s.Kind.String()); err != nil {
		return nil, err
	}
	message, err := t.message(subject(s))
	if err != nil {
		return nil, err
	}
	add := s.Flags
	if s.Kind == mailproof.StoreFlags {
		add = s.AddFlags
	}
	flags, err := t.flagset(add.String())
	if err != nil {
		return nil, err
	}
	remove, err := t.flagset(s.RemoveFlags.String())
	if err != nil {
		return nil, err
	}
	seconds, zone := dateColumns(s.InternalDate)
	var t0 any
	if !s.T0.IsZero() {
		t0 = s.T0[:]
	}
	return append(args, account, s.Kind.String(), s.Target, message, string(s.SpecialUse), seconds, zone, flags, remove, s.Size, t0), nil
}

// insertRows writes rows, many in a statement as far as they go.
func (t *tx) insertRows(many, one string, columns int, args []any) error {
	for len(args) > 0 {
		query, n := many, rowsPerInsert*columns
		if len(args) < n {
			query, n = one, columns
		}
		if _, err := t.exec(query, args[:n]...); err != nil {
			return err
		}
		args = args[n:]
	}
	return nil
}

const columnsOfStepResult = 7

const insertStepResult = "INSERT INTO step_result (step, state, reason, uidvalidity, uid, octets, finished) VALUES "

var (
	insertStepResultOne  = insertStepResult + values(columnsOfStepResult, 1)
	insertStepResultMany = insertStepResult + values(columnsOfStepResult, rowsPerInsert)
)

// RecordAll records how steps ended, by the tickets of [Ledger.IntendAll]; a
// step whose ticket is 0 was not intended and is added. It returns when the
// results are in the ledger, not when they are on disk: a result that is lost
// with the power leaves an intention, whose fate the destination tells.
func (l *Ledger) RecordAll(ctx context.Context, pass mailproof.PassID, tickets []int64, results []mailproof.StepResult) error {
	if len(results) == 0 {
		return nil
	}
	if len(tickets) != len(results) {
		return fmt.Errorf("ledger: %d tickets for %d results", len(tickets), len(results))
	}
	tickets, results = slices.Clone(tickets), slices.Clone(results)
	return l.write(ctx, ran, len(results), func(t *tx) error { return t.recordAll(pass, tickets, results) })
}

func (t *tx) recordAll(pass mailproof.PassID, tickets []int64, results []mailproof.StepResult) error {
	args := make([]any, 0, len(results)*columnsOfStepResult)
	for i := range results {
		r := &results[i]
		if r.State == mailproof.StepPending {
			return errors.New("ledger: a step's result is done, refused or failed")
		}
		if tickets[i] == 0 {
			// An intention of another time, if there is one, is its own.
			added, err := t.intendAll(pass, []mailproof.Step{r.Step})
			if err != nil {
				return err
			}
			tickets[i] = added[0]
		}
		if r.Finished.IsZero() {
			r.Finished = time.Now()
		}
		args = append(args, tickets[i], stepStateText(r.State), r.Reason, int64(r.UIDValidity), int64(r.UID), r.Octets, timeText(r.Finished))
	}
	return t.insertRows(insertStepResultMany, insertStepResultOne, columnsOfStepResult, args)
}

// LastCopy returns the latest pass that wrote to an account's destination, or
// was about to; 0 where none did.
func (l *Ledger) LastCopy(ctx context.Context, account string) (pass mailproof.PassID, err error) {
	err = l.each(ctx, "SELECT coalesce(max(c.pass), 0) FROM account a JOIN copy_account c ON c.account = a.id WHERE a.name = ?", []any{account},
		func(row scanFunc) error { return row(&pass) })
	return pass, err
}

// Relisted reports whether a message was found since a pass to be another one than
// its UID had named.
func (l *Ledger) Relisted(ctx context.Context, key mailproof.MessageKey, since mailproof.PassID) (relisted bool, err error) {
	err = l.each(ctx, `SELECT EXISTS (SELECT 1 FROM account a JOIN mailbox b ON b.account = a.id AND b.side = ? AND b.name = ? JOIN epoch e ON e.mailbox = b.id AND e.uidvalidity = ?
		JOIN listing x ON x.message = e.id << 32 | ? WHERE a.name = ? AND x.pass > ?)`,
		[]any{sideText(key.Side), key.Mailbox, int64(key.UIDValidity), int64(key.UID), key.Account, int64(since)}, func(row scanFunc) error { return row(&relisted) })
	return relisted, err
}

// WrittenUnread returns those of the accounts whose destination was read once, and
// not since a pass sent something there, or was about to.
func (l *Ledger) WrittenUnread(ctx context.Context, accounts []string) (map[string]bool, error) {
	wanted := map[string]bool{}
	for _, name := range accounts {
		wanted[name] = true
	}
	type reading struct {
		name string
		pass mailproof.PassID
	}
	late, first := map[int64]reading{}, mailproof.PassID(0)
	unread := map[string]bool{}
	err := l.snapshot(ctx, func(r *reader) error {
		// A pass that had nothing to do for an account is among these, too.
		err := r.each(ctx, `SELECT a.id, a.name, s.pass FROM (SELECT account, max(pass) AS pass FROM copy_account GROUP BY account) c JOIN account a ON a.id = c.account
			JOIN (SELECT account, max(pass) AS pass FROM scan WHERE side = 'destination' GROUP BY account) s ON s.account = c.account WHERE c.pass > s.pass`, nil, func(row scanFunc) error {
			var id int64
			var of reading
			if err := row(&id, &of.name, &of.pass); err != nil || !wanted[of.name] {
				return err
			}
			if late[id] = of; first == 0 || of.pass < first {
				first = of.pass
			}
			return nil
		})
		if err != nil || len(late) == 0 {
			return err
		}
		return r.each(ctx, "SELECT account, max(pass) FROM step WHERE pass > ? GROUP BY account", []any{int64(first)}, func(row scanFunc) error {
			var id int64
			var sent mailproof.PassID
			if err := row(&id, &sent); err != nil {
				return err
			}
			if of, ok := late[id]; ok && sent > of.pass {
				unread[of.name] = true
			}
			return nil
		})
	})
	return unread, err
}
