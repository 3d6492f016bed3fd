package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

// Decided is the decision that holds for an exception: the latest one, with
// what it was made for.
type Decided struct {
	Decision
	Key     mailproof.MessageKey
	Reasons []mailproof.Reason // as they were when it was decided
	// SourcePass and DestinationPass are the readings that it rests on.
	SourcePass, DestinationPass mailproof.PassID
	// Replaced says that the message is not the one that was decided on: its UID
	// was found since to name another.
	Replaced bool
}

// Holds reports whether the decision still speaks of what is found now. It does
// where the message is the same, the verdict is and no reason has come to it: evidence that got
// worse needs a new decision. Of what was altered the evidence itself counts,
// as it tells how; elsewhere it is a server's words of the day.
func (d *Decided) Holds(verdict mailproof.MessageVerdict, reasons []mailproof.Reason) bool {
	if verdict != d.Verdict || d.Replaced {
		return false
	}
	for _, r := range reasons {
		known := slices.ContainsFunc(d.Reasons, func(k mailproof.Reason) bool {
			return k.Code == r.Code && (verdict != mailproof.Altered || k.Evidence == r.Evidence)
		})
		if !known {
			return false
		}
	}
	return true
}

// Decided returns the latest decision on every exception that there is one on,
// by message. Those of open again are among them, as [mailproof.Open].
func (l *Ledger) Decided(ctx context.Context) (decided map[mailproof.MessageKey]Decided, err error) {
	err = l.snapshot(ctx, func(r *reader) error {
		if decided, err = r.decided(ctx); err != nil {
			return err
		}
		return r.replaced(ctx, decided)
	})
	return decided, err
}

func (r *reader) decided(ctx context.Context) (map[mailproof.MessageKey]Decided, error) {
	decided := map[mailproof.MessageKey]Decided{}
	err := r.each(ctx, `SELECT d.series, d.number, i.key, d.pass, d.verdict, d.disposition, d.decided_by, d.why, d.decided, x.reasons,
		coalesce(r.source_pass, 0), coalesce(r.destination_pass, 0)
		FROM (SELECT max(seq) AS seq FROM disposition GROUP BY series, number) last
		CROSS JOIN disposition d ON d.seq = last.seq
		CROSS JOIN exception_id i ON i.series = d.series AND i.number = d.number
		CROSS JOIN exception x INDEXED BY exception_number ON x.series = d.series AND x.number = d.number AND x.pass = d.pass
		CROSS JOIN result r ON r.pass = x.pass AND r.account = x.account`, nil, func(row scanFunc) error {
		var d Decided
		var series string
		var number int64
		var reasons [][2]string
		err := row(&series, &number, keyScan{&d.Key}, &d.Pass, enum{&d.Verdict}, enum{&d.Disposition}, &d.By, &d.Why, textTime{&d.At}, document{&reasons},
			&d.SourcePass, &d.DestinationPass)
		d.Exception = exceptionID(series, number)
		for _, p := range reasons {
			d.Reasons = append(d.Reasons, mailproof.Reason{Code: p[0], Evidence: p[1]})
		}
		decided[d.Key] = d
		return err
	})
	return decided, err
}

// replaced marks the decisions on messages that were others than they are now. A
// UID names one message for ever (RFC 9051 §2.3.1.1), unless a server is restored
// or replaced: what was said of the one must not cover the other.
func (r *reader) replaced(ctx context.Context, decided map[mailproof.MessageKey]Decided) error {
	first := mailproof.PassID(1 << 62) // of the readings that the decisions rest on
	for key, d := range decided {
		first = min(first, d.restsOn(key.Side))
	}
	later := map[int64]bool{} // messages that were read or listed anew since; true: listed
	err := r.each(ctx, "SELECT message, 0 FROM reading WHERE pass > ?1 UNION ALL SELECT message, 1 FROM listing WHERE pass > ?1", []any{int64(first)}, func(row scanFunc) error {
		var id int64
		var listed bool
		err := row(&id, &listed)
		later[id] = later[id] || listed
		return err
	})
	if err != nil || len(later) == 0 {
		return err
	}
	epochs := map[mailproof.MessageKey]int64{} // by the key of a message without its UID
	for key, d := range decided {
		box := key
		box.UID = 0
		epoch, known := epochs[box]
		if !known {
			if _, err := r.one(ctx, `SELECT e.id FROM account a JOIN mailbox b ON b.account = a.id AND b.side = ?2 AND b.name = ?3
				JOIN epoch e ON e.mailbox = b.id AND e.uidvalidity = ?4 WHERE a.name = ?1`,
				[]any{key.Account, sideText(key.Side), key.Mailbox, int64(key.UIDValidity)}, &epoch); err != nil {
				return err
			}
			epochs[box] = epoch
		}
		id := messageID(epoch, key.UID)
		if _, is := later[id]; !is {
			continue
		}
		if d.Replaced, err = r.another(ctx, id, d.restsOn(key.Side), later[id]); err != nil {
			return err
		}
		decided[key] = d
	}
	return nil
}

// restsOn is the reading of one side that the decision rests on.
func (d *Decided) restsOn(side mailproof.Side) mailproof.PassID {
	if side == mailproof.Destination {
		return d.DestinationPass
	}
	return d.SourcePass
}

// another reports whether a message is not the one that a pass knew. listed says
// that it was listed anew at some time.
func (r *reader) another(ctx context.Context, id int64, pass mailproof.PassID, listed bool) (bool, error) {
	before, err := r.contentAt(ctx, id, pass)
	if err != nil {
		return false, err
	}
	now, err := r.contentAt(ctx, id, 1<<62)
	switch {
	case err != nil:
		return false, err
	case before != nil && now != nil:
		return !sameContent(before, now), nil
	case !listed:
		return false, nil
	}
	// Of one that was not read both times, the listing alone tells.
	var since bool
	_, err = r.one(ctx, "SELECT EXISTS (SELECT 1 FROM listing WHERE message = ? AND pass > ?)", []any{id, int64(pass)}, &since)
	return since, err
}

// contentAt returns the hashes of a message as a pass knew it, nil where it was
// not read.
func (r *reader) contentAt(ctx context.Context, id int64, pass mailproof.PassID) (*[mailproof.NumTiers]mailproof.Hash, error) {
	var blob []byte
	ok, err := r.one(ctx, "SELECT hashes FROM reading WHERE message = ? AND pass <= ? ORDER BY id DESC LIMIT 1", []any{id, int64(pass)}, &blob)
	if err == nil && !ok {
		_, err = r.one(ctx, "SELECT hashes FROM message WHERE id = ?", []any{id}, &blob)
	}
	if err != nil || blob == nil {
		return nil, err
	}
	hashes := new([mailproof.NumTiers]mailproof.Hash)
	return hashes, hashesOf(blob, hashes)
}

// sameContent reports whether two readings are of one message, be it in other
// octets.
func sameContent(a, b *[mailproof.NumTiers]mailproof.Hash) bool {
	for _, t := range []mailproof.Tier{mailproof.T0, mailproof.T1, mailproof.T2} {
		if h := a[t-1]; !h.IsZero() && h == b[t-1] {
			return true
		}
	}
	return false
}

// RecordDispositions records one decision on many exceptions, all or none of
// them, and puts it into the chain. Every exception must be among those that
// the given diff pass recorded. A zero At means now.
func (l *Ledger) RecordDispositions(ctx context.Context, pass mailproof.PassID, exceptions []string, d Decision) error {
	name, err := d.Disposition.MarshalText()
	if err != nil {
		return err
	}
	if d.By == "" {
		return errors.New("ledger: a decision names who made it")
	}
	if d.At.IsZero() {
		d.At = time.Now()
	}
	exceptions = slices.Clone(exceptions)
	err = l.write(ctx, durable, len(exceptions), func(t *tx) error {
		for _, id := range exceptions {
			series, number, err := parseExceptionID(id)
			if err != nil {
				return err
			}
			var verdict string
			ok, err := t.get("SELECT verdict FROM exception INDEXED BY exception_number WHERE series = ? AND number = ? AND pass = ?", []any{series, number, int64(pass)}, &verdict)
			if err != nil || !ok {
				return errors.Join(err, wrapIf(!ok, ErrUnknown, "exception %s of pass %d", id, pass))
			}
			_, err = t.exec("INSERT INTO disposition (series, number, pass, verdict, disposition, decided_by, why, decided) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
				series, number, int64(pass), verdict, string(name), d.By, d.Why, timeText(d.At))
			if err != nil {
				return fmt.Errorf("exception %s: %w", id, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.Link(ctx)
}

// FindingDecision is a decision on a finding that is not about single messages:
// of DNS, or of folders that could not be read. It holds as long as the same is
// found in the same words.
type FindingDecision struct {
	Check       string                `json:"check"`
	Subject     string                `json:"subject"` // domain or account
	Outcome     mailproof.Outcome     `json:"outcome"`
	Observed    string                `json:"observed"`
	Disposition mailproof.Disposition `json:"disposition"`
	By          string                `json:"by"`
	Why         string                `json:"why"`
	At          time.Time             `json:"at"` // zero means now
}

// Subject is what a finding is about: its domain, or its account.
func Subject(f *mailproof.Finding) string {
	if f.Domain != "" {
		return f.Domain
	}
	return f.Account
}

// Speaks reports whether the decision speaks of a finding as it is now.
func (d *FindingDecision) Speaks(f *mailproof.Finding) bool {
	return d.Check == f.Check && d.Subject == Subject(f) && d.Outcome == f.Outcome && d.Observed == f.Observed
}

// DecideFindings records decisions on findings, and puts them into the chain.
func (l *Ledger) DecideFindings(ctx context.Context, list []FindingDecision) error {
	list = slices.Clone(list)
	err := l.write(ctx, durable, len(list), func(t *tx) error {
		for _, d := range list {
			if d.By == "" {
				return errors.New("ledger: a decision names who made it")
			}
			if d.At.IsZero() {
				d.At = time.Now()
			}
			names, err := namesOf(d.Outcome, d.Disposition)
			if err != nil {
				return err
			}
			_, err = t.exec(`INSERT INTO finding_decision ("check", subject, outcome, observed, disposition, decided_by, why, decided) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
				d.Check, d.Subject, names[0], d.Observed, names[1], d.By, d.Why, timeText(d.At))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return l.Link(ctx)
}

// FindingDecisions returns every decision on a finding in the order in which
// they were made.
func (l *Ledger) FindingDecisions(ctx context.Context) ([]FindingDecision, error) {
	var list []FindingDecision
	err := l.each(ctx, `SELECT "check", subject, outcome, observed, disposition, decided_by, why, decided FROM finding_decision ORDER BY seq`, nil, func(row scanFunc) error {
		var d FindingDecision
		err := row(&d.Check, &d.Subject, enum{&d.Outcome}, &d.Observed, enum{&d.Disposition}, &d.By, &d.Why, textTime{&d.At})
		list = append(list, d)
		return err
	})
	return list, err
}

// RecordedException is an exception as a diff pass recorded it, as far as a
// decision depends on it.
type RecordedException struct {
	Verdict                     mailproof.MessageVerdict
	Disposition                 mailproof.Disposition // as the diff gave it
	Reasons                     []mailproof.Reason
	SourcePass, DestinationPass mailproof.PassID
}

// LatestExceptions returns what the latest diff pass recorded, by number; 0 and
// nothing where there was none.
func (l *Ledger) LatestExceptions(ctx context.Context) (mailproof.PassID, map[string]RecordedException, error) {
	var pass mailproof.PassID
	var found map[string]RecordedException
	err := l.snapshot(ctx, func(r *reader) error {
		if _, err := r.one(ctx, "SELECT coalesce(max(pass), 0) FROM result", nil, &pass); err != nil || pass == 0 {
			return err
		}
		var err error
		found, err = r.recordedExceptions(ctx, pass)
		return err
	})
	return pass, found, err
}

// ExceptionsOf returns what a diff pass recorded, by number.
func (l *Ledger) ExceptionsOf(ctx context.Context, pass mailproof.PassID) (found map[string]RecordedException, err error) {
	err = l.snapshot(ctx, func(r *reader) (err error) {
		found, err = r.recordedExceptions(ctx, pass)
		return err
	})
	return found, err
}

func (r *reader) recordedExceptions(ctx context.Context, pass mailproof.PassID) (map[string]RecordedException, error) {
	found := map[string]RecordedException{}
	err := r.each(ctx, `SELECT x.series, x.number, x.verdict, x.disposition, x.reasons, coalesce(r.source_pass, 0), coalesce(r.destination_pass, 0)
		FROM exception x JOIN result r ON r.pass = x.pass AND r.account = x.account WHERE x.pass = ?`, []any{int64(pass)}, func(row scanFunc) error {
		var x RecordedException
		var series string
		var number int64
		var reasons [][2]string
		err := row(&series, &number, enum{&x.Verdict}, enum{&x.Disposition}, document{&reasons}, &x.SourcePass, &x.DestinationPass)
		for _, p := range reasons {
			x.Reasons = append(x.Reasons, mailproof.Reason{Code: p[0], Evidence: p[1]})
		}
		found[exceptionID(series, number)] = x
		return err
	})
	return found, err
}
