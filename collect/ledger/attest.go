package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/mailproof/mailproof"
)

// Attest records a person's word for a step of the runbook, and puts it into
// the chain. A zero When means now.
func (l *Ledger) Attest(ctx context.Context, a mailproof.Attestation) error {
	if a.Step == "" || a.By == "" {
		return errors.New("ledger: an attestation names its step and who gives it")
	}
	if a.When.IsZero() {
		a.When = time.Now()
	}
	err := l.write(ctx, durable, 1, func(t *tx) error {
		_, err := t.exec("INSERT INTO attestation (step, attested_by, note, withdrawn, not_applicable, recorded) VALUES (?, ?, ?, ?, ?, ?)",
			a.Step, a.By, a.Note, bit(a.Withdrawn), bit(a.NotApplicable), timeText(a.When))
		return err
	})
	if err != nil {
		return err
	}
	return l.Link(ctx)
}

// Attestations returns every attestation in the order in which they were
// given, those that were overruled included.
func (l *Ledger) Attestations(ctx context.Context) ([]mailproof.Attestation, error) {
	var list []mailproof.Attestation
	err := l.each(ctx, "SELECT step, attested_by, note, withdrawn, not_applicable, recorded FROM attestation ORDER BY seq", nil, func(row scanFunc) error {
		var a mailproof.Attestation
		err := row(&a.Step, &a.By, &a.Note, &a.Withdrawn, &a.NotApplicable, textTime{&a.When})
		list = append(list, a)
		return err
	})
	return list, err
}
