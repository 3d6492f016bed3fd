package ledger

import (
	"context"
	"errors"

	"github.com/mailproof/mailproof"
)

// DNSResult is what one DNS pass found for a domain and a phase, and the
// exchanges with name servers that it rests on.
type DNSResult struct {
	Pass         mailproof.Pass
	Domain       string
	Phase        mailproof.Phase
	Findings     []mailproof.Finding
	Observations []mailproof.Observation // of the domain, whatever the phase they were made for
}

// RecordDNS records the outcome of a DNS audit.
func (l *Ledger) RecordDNS(ctx context.Context, pass mailproof.PassID, findings []mailproof.Finding, observations []mailproof.Observation) error {
	return l.write(ctx, durable, len(findings)+len(observations), func(t *tx) error {
		if err := t.findings(pass, 0, findings); err != nil {
			return err
		}
		for i := range observations {
			if err := t.observation(pass, &observations[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// findings adds findings of a comparison, or of a DNS audit where account is 0.
func (t *tx) findings(pass mailproof.PassID, account int64, findings []mailproof.Finding) error {
	var owner any
	if account != 0 {
		owner = account
	}
	for _, f := range findings {
		outcome, err := f.Outcome.MarshalText()
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO finding (pass, account, "check", domain, about, mailbox, phase, outcome, expected, observed, reference, remedy, time)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, int64(pass), owner, f.Check, f.Domain, f.Account, f.Mailbox, f.Phase.String(), string(outcome),
			f.Expected, f.Observed, f.Reference, f.Remedy, timeText(f.Time))
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) observation(pass mailproof.PassID, o *mailproof.Observation) error {
	records, err := jsonText(o.Records)
	if err != nil {
		return err
	}
	_, err = t.exec(`INSERT INTO observation (pass, domain, time, question, type, server, role, network, rcode, aa, ad, records, min_ttl, max_ttl, error, millis)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, int64(pass), o.Domain, timeText(o.Time), o.Question, o.Type, o.Server, o.Role, o.Network,
		o.RCode, bit(o.AA), bit(o.AD), records, int64(o.MinTTL), int64(o.MaxTTL), o.Error, o.Millis)
	return err
}

// findings reads findings by a condition of ours.
func (r *reader) findings(ctx context.Context, where string, args ...any) ([]mailproof.Finding, error) {
	var findings []mailproof.Finding
	err := r.each(ctx, `SELECT "check", domain, about, mailbox, phase, outcome, expected, observed, reference, remedy, time FROM finding WHERE `+where+" ORDER BY id", args, func(row scanFunc) error {
		var f mailproof.Finding
		err := row(&f.Check, &f.Domain, &f.Account, &f.Mailbox, enum{&f.Phase}, enum{&f.Outcome}, &f.Expected, &f.Observed, &f.Reference, &f.Remedy, textTime{&f.Time})
		findings = append(findings, f)
		return err
	})
	return findings, err
}

// LatestDNS returns, for every domain and phase, what the latest DNS pass about
// it found, in the order of domain and phase.
func (l *Ledger) LatestDNS(ctx context.Context) ([]DNSResult, error) {
	return l.dns(ctx, "f.pass = (SELECT max(g.pass) FROM finding g WHERE g.account IS NULL AND g.domain = f.domain AND g.phase = f.phase)", nil)
}

// DNSHistory returns what every DNS pass found for a domain, the oldest first.
func (l *Ledger) DNSHistory(ctx context.Context, domain string) ([]DNSResult, error) {
	return l.dns(ctx, "f.domain = ?", []any{domain})
}

func (l *Ledger) dns(ctx context.Context, where string, args []any) (results []DNSResult, err error) {
	const phaseOrder = "CASE f.phase WHEN 'planning' THEN 1 WHEN 'readiness' THEN 2 WHEN 'confirmation' THEN 3 ELSE 0 END"
	order := "f.domain, " + phaseOrder
	if args != nil {
		order = "f.pass, " + order
	}
	err = l.snapshot(ctx, func(r *reader) error {
		err := r.each(ctx, "SELECT DISTINCT f.domain, f.phase, "+passColumns+" FROM finding f JOIN pass p ON p.id = f.pass WHERE f.account IS NULL AND "+where+" ORDER BY "+order, args, func(row scanFunc) error {
			var d DNSResult
			err := row(append([]any{&d.Domain, enum{&d.Phase}}, passDest(&d.Pass)...)...)
			results = append(results, d)
			return err
		})
		for i := range results {
			err = errors.Join(err, r.fillDNS(ctx, &results[i]))
		}
		return err
	})
	return results, err
}

func (r *reader) fillDNS(ctx context.Context, d *DNSResult) (err error) {
	d.Findings, err = r.findings(ctx, "pass = ? AND account IS NULL AND domain = ? AND phase = ?", int64(d.Pass.ID), d.Domain, d.Phase.String())
	if err != nil {
		return err
	}
	return r.each(ctx, `SELECT time, domain, question, type, server, role, network, rcode, aa, ad, records, min_ttl, max_ttl, error, millis
		FROM observation WHERE pass = ? AND domain = ? ORDER BY id`, []any{int64(d.Pass.ID), d.Domain}, func(row scanFunc) error {
		var o mailproof.Observation
		err := row(textTime{&o.Time}, &o.Domain, &o.Question, &o.Type, &o.Server, &o.Role, &o.Network, &o.RCode, &o.AA, &o.AD, document{&o.Records},
			&o.MinTTL, &o.MaxTTL, &o.Error, &o.Millis)
		d.Observations = append(d.Observations, o)
		return err
	})
}
