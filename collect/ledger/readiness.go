package ledger

import (
	"context"
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

// Readiness is a readiness check as it is kept. Checks are only ever added; the
// latest is the one that holds.
type Readiness struct {
	Taken    time.Time
	Tool     string
	Command  string // the command line, which holds no secret
	Ready    bool
	Estimate string
	Findings []mailproof.Finding // of servers, DNS and recipients
	Accounts []ReadinessAccount
}

// ReadinessAccount is one account of a readiness check.
type ReadinessAccount struct {
	Account  string
	Folders  int
	Messages int64
	Octets   int64
	Ready    bool
	Result   string // "ready", or what stands in the way and what to do
	Troubles string // JSON: what was found, each with what it means and what to do
}

// RecordReadiness keeps a readiness check.
func (l *Ledger) RecordReadiness(ctx context.Context, r Readiness) error {
	findings, err := jsonText(r.Findings)
	if err != nil {
		return err
	}
	return l.write(ctx, durable, 1+len(r.Accounts), func(t *tx) error {
		res, err := t.exec("INSERT INTO readiness (taken, tool, command, ready, estimate, findings) VALUES (?, ?, ?, ?, ?, ?)",
			timeText(r.Taken), r.Tool, r.Command, bit(r.Ready), r.Estimate, findings)
		if err != nil {
			return err
		}
		id, err := res.LastInsertId()
		if err != nil {
			return err
		}
		for i, a := range r.Accounts {
			if a.Troubles == "" {
				a.Troubles = "[]"
			}
			_, err := t.exec("INSERT INTO readiness_account (readiness, position, account, folders, messages, octets, ready, result, troubles) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
				id, i, a.Account, a.Folders, a.Messages, a.Octets, bit(a.Ready), a.Result, a.Troubles)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// LatestReadiness returns the latest readiness check; ok is false where none
// was kept.
func (l *Ledger) LatestReadiness(ctx context.Context) (r Readiness, ok bool, err error) {
	err = l.snapshot(ctx, func(rd *reader) error {
		var id int64
		err := rd.each(ctx, "SELECT id, taken, tool, command, ready, estimate, findings FROM readiness ORDER BY id DESC LIMIT 1", nil, func(row scanFunc) error {
			ok = true
			return row(&id, textTime{&r.Taken}, &r.Tool, &r.Command, &r.Ready, &r.Estimate, document{&r.Findings})
		})
		if err != nil || !ok {
			return err
		}
		return rd.each(ctx, "SELECT account, folders, messages, octets, ready, result, troubles FROM readiness_account WHERE readiness = ? ORDER BY position", []any{id}, func(row scanFunc) error {
			var a ReadinessAccount
			err := row(&a.Account, &a.Folders, &a.Messages, &a.Octets, &a.Ready, &a.Result, &a.Troubles)
			r.Accounts = append(r.Accounts, a)
			return err
		})
	})
	return r, ok, err
}

// ReadinessFindings returns the findings of the given checks from the latest
// readiness check that made any of them, and when that was; none where none did.
func (l *Ledger) ReadinessFindings(ctx context.Context, checks ...string) (found []mailproof.Finding, taken time.Time, err error) {
	err = l.each(ctx, "SELECT taken, findings FROM readiness ORDER BY id DESC", nil, func(row scanFunc) error {
		var at time.Time
		var all []mailproof.Finding
		if err := row(textTime{&at}, document{&all}); err != nil || len(found) > 0 {
			return err
		}
		for _, f := range all {
			if slices.Contains(checks, f.Check) {
				found, taken = append(found, f), at
			}
		}
		return nil
	})
	return found, taken, err
}
