package ledger

import (
	"context"
	"encoding"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/mailproof/mailproof"
)

// RecordDiff records what a comparison found for an account, and returns it
// with the number of every exception filled in. A message keeps its number from
// diff to diff: E-001, E-002, … in the order in which exceptions first appeared
// in the engagement, and N-001, … for what is [mailproof.Noted] only.
func (l *Ledger) RecordDiff(ctx context.Context, pass mailproof.PassID, r mailproof.AccountResult) (mailproof.AccountResult, error) {
	r.Exceptions = slices.Clone(r.Exceptions)
	err := l.write(ctx, durable, 1+len(r.Folders)+len(r.Exceptions)+len(r.Findings), func(t *tx) error {
		account, err := t.account(r.Account)
		if err != nil {
			return err
		}
		if err := t.result(pass, account, &r); err != nil {
			return fmt.Errorf("pass %d, %s: %w", pass, r.Account, err)
		}
		for i := range r.Folders {
			if err := t.resultFolder(pass, account, i, &r.Folders[i]); err != nil {
				return err
			}
		}
		for i := range r.Exceptions {
			if err := t.exception(pass, account, i, &r.Exceptions[i]); err != nil {
				return err
			}
		}
		return t.findings(pass, account, r.Findings)
	})
	if err != nil {
		return mailproof.AccountResult{}, err
	}
	return r, nil
}

func (t *tx) result(pass mailproof.PassID, account int64, r *mailproof.AccountResult) error {
	counts, err := jsonText(r.Counts)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO result (pass, account, verdict, counts, flags_differ, dates_differ, signatures_changed, exceptions_omitted,
		source_pass, destination_pass, source_bytes, destination_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(pass), account, r.Verdict.String(), counts, r.FlagsDiffer, r.DatesDiffer, r.SignaturesChanged, r.ExceptionsOmitted,
		passColumn(r.SourceScan.Pass), passColumn(r.DestinationScan.Pass), r.SourceBytes, r.DestinationBytes)
	return err
}

// passColumn writes a pass that may be none.
func passColumn(id mailproof.PassID) any {
	if id == 0 {
		return nil
	}
	return int64(id)
}

func (t *tx) resultFolder(pass mailproof.PassID, account int64, position int, f *mailproof.FolderResult) error {
	counts, err := jsonText(f.Counts)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO result_folder (pass, account, position, source, destination, counts, flags_differ, dates_differ, signatures_changed)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`, int64(pass), account, position, f.Source, f.Destination, counts, f.FlagsDiffer, f.DatesDiffer, f.SignaturesChanged)
	return err
}

func (t *tx) exception(pass mailproof.PassID, account int64, position int, e *mailproof.Exception) error {
	series := "E"
	if e.Disposition == mailproof.Noted {
		series = "N"
	}
	number, err := t.exceptionNumber(series, e.Key)
	if err != nil {
		return err
	}
	e.ID = exceptionID(series, number)
	counterpart, err := keyText(e.Counterpart)
	if err != nil {
		return err
	}
	pairs := make([][2]string, len(e.Reasons))
	for i, r := range e.Reasons {
		pairs[i] = [2]string{r.Code, r.Evidence}
	}
	reasons, err := jsonText(pairs)
	if err != nil {
		return err
	}
	names, err := namesOf(e.Verdict, e.Tier, e.Disposition)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO exception (pass, account, position, series, number, mailbox, counterpart, message_id, subject, size, verdict, tier, reasons, disposition)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, int64(pass), account, position, series, number, e.Mailbox, counterpart,
		e.MessageID, e.Subject, e.Size, names[0], names[1], reasons, names[2])
	return err
}

// namesOf returns the names that enumerations are stored by; one without a name
// must not end up as its zero value.
func namesOf(values ...encoding.TextMarshaler) ([]string, error) {
	names := make([]string, len(values))
	for i, v := range values {
		text, err := v.MarshalText()
		if err != nil {
			return nil, err
		}
		names[i] = string(text)
	}
	return names, nil
}

// exceptionNumber returns the number of a message in a series, the next free
// one where it has none yet.
func (t *tx) exceptionNumber(series string, k mailproof.MessageKey) (int64, error) {
	key, err := keyText(k)
	if err != nil {
		return 0, err
	}
	var number int64
	if ok, err := t.get("SELECT number FROM exception_id WHERE series = ? AND key = ?", []any{series, key}, &number); err != nil || ok {
		return number, err
	}
	if _, err := t.get("SELECT coalesce(max(number), 0) + 1 FROM exception_id WHERE series = ?", []any{series}, &number); err != nil {
		return 0, err
	}
	_, err = t.exec("INSERT INTO exception_id (series, number, key) VALUES (?, ?, ?)", series, number, key)
	return number, err
}

func exceptionID(series string, number int64) string { return fmt.Sprintf("%s-%03d", series, number) }

// parseExceptionID is the inverse of exceptionID, and takes E-1 as well.
func parseExceptionID(id string) (series string, number int64, err error) {
	var rest string
	n, _ := fmt.Sscanf(id, "%1s-%d%s", &series, &number, &rest)
	if n != 2 || series != "E" && series != "N" || number < 1 {
		return "", 0, fmt.Errorf("exception %q: %w: write it as E-001", id, ErrUnknown)
	}
	return series, number, nil
}

// Decision is what somebody decided on an exception.
type Decision struct {
	Exception   string // "E-001"
	Disposition mailproof.Disposition
	By          string
	Why         string
	At          time.Time                // zero means now
	Pass        mailproof.PassID         // the diff that it is about; filled in by the ledger
	Verdict     mailproof.MessageVerdict // that it was made for; filled in by the ledger
}

// RecordDisposition records a decision on an exception. It holds for the verdict
// that the exception has now: if a later diff finds another one for the message,
// or finds one that was called fixed, the exception is open again.
func (l *Ledger) RecordDisposition(ctx context.Context, d Decision) error {
	series, number, err := parseExceptionID(d.Exception)
	if err != nil {
		return err
	}
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
	err = l.write(ctx, durable, 1, func(t *tx) error {
		var pass int64
		var verdict string
		ok, err := t.get("SELECT pass, verdict FROM exception WHERE series = ? AND number = ? ORDER BY pass DESC LIMIT 1", []any{series, number}, &pass, &verdict)
		if err != nil || !ok {
			return errors.Join(err, wrapIf(!ok, ErrUnknown, "exception %s", d.Exception))
		}
		_, err = t.exec("INSERT INTO disposition (series, number, pass, verdict, disposition, decided_by, why, decided) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
			series, number, pass, verdict, string(name), d.By, d.Why, timeText(d.At))
		return err
	})
	if err != nil {
		return err
	}
	return l.Link(ctx)
}

// Decisions returns every decision in the order in which they were made, those
// that were overruled included.
func (l *Ledger) Decisions(ctx context.Context) ([]Decision, error) {
	var ds []Decision
	err := l.each(ctx, "SELECT series, number, pass, verdict, disposition, decided_by, why, decided FROM disposition ORDER BY seq", nil, func(row scanFunc) error {
		var d Decision
		var series string
		var number int64
		err := row(&series, &number, &d.Pass, enum{&d.Verdict}, enum{&d.Disposition}, &d.By, &d.Why, textTime{&d.At})
		d.Exception = exceptionID(series, number)
		ds = append(ds, d)
		return err
	})
	return ds, err
}

// LatestResults returns the latest comparison of every account that has one,
// ordered by account, with the dispositions of their exceptions, and the latest
// diff pass. An account that this pass did not compare has its result of an
// earlier one: leaving it out would read as if it were complete. The verdicts
// are [mailproof.Roll] over the findings.
func (l *Ledger) LatestResults(ctx context.Context) (results []mailproof.AccountResult, latest mailproof.Pass, err error) {
	err = l.snapshot(ctx, func(r *reader) error {
		if _, err := r.one(ctx, "SELECT "+passColumns+" FROM pass p WHERE p.id = (SELECT max(pass) FROM result)", nil, passDest(&latest)...); err != nil {
			return err
		}
		results, err = r.results(ctx)
		return err
	})
	return results, latest, err
}

func (r *reader) results(ctx context.Context) ([]mailproof.AccountResult, error) {
	type ref struct {
		pass                mailproof.PassID
		account             int64
		source, destination mailproof.PassID
	}
	var results []mailproof.AccountResult
	var refs []ref
	err := r.each(ctx, `SELECT x.pass, x.account, a.name, x.counts, x.flags_differ, x.dates_differ, x.signatures_changed, x.exceptions_omitted,
		coalesce(x.source_pass, 0), coalesce(x.destination_pass, 0), x.source_bytes, x.destination_bytes
		FROM result x JOIN account a ON a.id = x.account
		WHERE x.pass = (SELECT max(y.pass) FROM result y WHERE y.account = x.account) ORDER BY a.name`, nil, func(row scanFunc) error {
		var a mailproof.AccountResult
		var f ref
		err := row(&f.pass, &f.account, &a.Account, document{&a.Counts}, &a.FlagsDiffer, &a.DatesDiffer, &a.SignaturesChanged, &a.ExceptionsOmitted,
			&f.source, &f.destination, &a.SourceBytes, &a.DestinationBytes)
		results, refs = append(results, a), append(refs, f)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range results {
		a, f := &results[i], refs[i]
		if a.SourceScan, err = r.scanOf(ctx, a.Account, mailproof.Source, f.source); err != nil {
			return nil, err
		}
		if a.DestinationScan, err = r.scanOf(ctx, a.Account, mailproof.Destination, f.destination); err != nil {
			return nil, err
		}
		if a.Folders, err = r.resultFolders(ctx, f.pass, f.account, a); err != nil {
			return nil, err
		}
		if a.Exceptions, err = r.exceptions(ctx, f.pass, f.account, a.Account); err != nil {
			return nil, err
		}
		if a.Findings, err = r.findings(ctx, "pass = ? AND account = ?", int64(f.pass), f.account); err != nil {
			return nil, err
		}
		a.Verdict = mailproof.Roll(a.Findings)
	}
	return results, nil
}

// scanOf reads the scan that a result was made from; zero where it had none.
func (r *reader) scanOf(ctx context.Context, account string, side mailproof.Side, pass mailproof.PassID) (mailproof.Scan, error) {
	if pass == 0 {
		return mailproof.Scan{}, nil
	}
	s, _, err := r.scan(ctx, account, side, pass)
	return s, err
}

func (r *reader) resultFolders(ctx context.Context, pass mailproof.PassID, account int64, a *mailproof.AccountResult) ([]mailproof.FolderResult, error) {
	source, err := r.scansByName(ctx, a.SourceScan)
	if err != nil {
		return nil, err
	}
	destination, err := r.scansByName(ctx, a.DestinationScan)
	if err != nil {
		return nil, err
	}
	var folders []mailproof.FolderResult
	err = r.each(ctx, "SELECT source, destination, counts, flags_differ, dates_differ, signatures_changed FROM result_folder WHERE pass = ? AND account = ? ORDER BY position",
		[]any{int64(pass), account}, func(row scanFunc) error {
			var f mailproof.FolderResult
			err := row(&f.Source, &f.Destination, document{&f.Counts}, &f.FlagsDiffer, &f.DatesDiffer, &f.SignaturesChanged)
			f.SourceScan, f.DestinationScan = source[f.Source], destination[f.Destination]
			folders = append(folders, f)
			return err
		})
	return folders, err
}

func (r *reader) scansByName(ctx context.Context, s mailproof.Scan) (map[string]mailproof.MailboxScan, error) {
	byName := map[string]mailproof.MailboxScan{}
	if s.Pass == 0 {
		return byName, nil
	}
	refs, err := r.mailboxScans(ctx, s.Pass, s.Account, s.Side)
	for _, ref := range refs {
		byName[ref.scan.Name] = ref.scan
	}
	return byName, err
}

func (r *reader) exceptions(ctx context.Context, pass mailproof.PassID, account int64, name string) ([]mailproof.Exception, error) {
	var exceptions []mailproof.Exception
	// A decision holds for the verdict that it was made for, and "fixed" only
	// for the diff that it was said of: found again, it was not fixed.
	err := r.each(ctx, `SELECT x.series, x.number, i.key, x.mailbox, x.counterpart, x.message_id, x.subject, x.size, x.verdict, x.tier, x.reasons,
		coalesce((SELECT CASE WHEN d.verdict = x.verdict AND (d.disposition <> 'fixed' OR d.pass >= x.pass) THEN d.disposition END
			FROM disposition d WHERE d.series = x.series AND d.number = x.number ORDER BY d.seq DESC LIMIT 1), x.disposition)
		FROM exception x JOIN exception_id i ON i.series = x.series AND i.number = x.number WHERE x.pass = ? AND x.account = ? ORDER BY x.position`,
		[]any{int64(pass), account}, func(row scanFunc) error {
			e := mailproof.Exception{Account: name}
			var series string
			var number int64
			var reasons [][2]string
			err := row(&series, &number, keyScan{&e.Key}, &e.Mailbox, keyScan{&e.Counterpart}, &e.MessageID, &e.Subject, &e.Size, enum{&e.Verdict}, enum{&e.Tier},
				document{&reasons}, enum{&e.Disposition})
			e.ID = exceptionID(series, number)
			for _, p := range reasons {
				e.Reasons = append(e.Reasons, mailproof.Reason{Code: p[0], Evidence: p[1]})
			}
			exceptions = append(exceptions, e)
			return err
		})
	return exceptions, err
}
