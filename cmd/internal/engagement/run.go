package engagement

import (
	"context"
	"errors"

	"github.com/mailproof/mailproof"
)

// MaxCopies bounds how many copy passes one run makes: the first, and
// differential ones for what arrives meanwhile or was cut off.
const MaxCopies = 3

// Observer is told of each stage of a run as it ends; a nil function is not
// called.
type Observer struct {
	Inventory func(InventoryResult)
	Copy      func(CopyResult)
	Delete    func(DeletionResult)
	DNS       func(DNSResult)
	Compare   func(Comparison)
}

// Run does the whole job: inventory of both sides and the first copy from the
// same reading of the source, differential passes
// until nothing is left to send, DNS, and the comparison of two fresh readings.
// What the destination refuses once is not sent again in the same run.
func (e *Engagement) Run(ctx context.Context, o Observer) (Comparison, error) {
	_, copied, err := e.ReadAndCopy(ctx, o)
	if err != nil {
		return Comparison{}, err
	}
	if copied.Pass != 0 {
		if err := e.inventories(ctx, o); err != nil {
			return Comparison{}, err
		}
	}
	settled, err := e.copyRest(ctx, o)
	if err := errors.Join(err, e.SettleCopy(ctx, settled)); err != nil {
		return Comparison{}, err
	}
	if err := e.deleteAndRead(ctx, o); err != nil {
		return Comparison{}, err
	}
	return e.judge(ctx, o)
}

// copyRest copies by plan until nothing is left to send, or nothing more is
// achieved. settled says that nothing is left.
func (e *Engagement) copyRest(ctx context.Context, o Observer) (settled bool, err error) {
	for range MaxCopies {
		more, err := e.pending(ctx)
		if err != nil || !more {
			return !more && err == nil, err
		}
		copied, err := e.Copy(ctx)
		if err != nil {
			return false, err
		}
		if o.Copy != nil {
			o.Copy(copied)
		}
		// Both sides again: what follows rests on readings that are younger
		// than the last append, and on what the source holds by now.
		if err := e.inventories(ctx, o); err != nil {
			return false, err
		}
		if !copied.progressed() {
			return false, nil
		}
	}
	more, err := e.pending(ctx)
	return !more && err == nil, err
}

// pending reports whether the latest inventories call for anything that has
// not been refused in this run.
func (e *Engagement) pending(ctx context.Context) (bool, error) {
	for _, a := range e.Accounts {
		some := false
		err := e.plan(ctx, a.Name, func(steps steps) error {
			var stepErr error
			e.notRefused(steps)(func(_ mailproof.Step, err error) bool {
				some, stepErr = err == nil, err
				return false
			})
			return stepErr
		})
		switch {
		case some:
			return true, nil
		case err != nil && !errors.Is(err, ErrNotRead):
			return false, err
		}
	}
	return false, nil
}

// judge audits DNS, compares and records.
func (e *Engagement) judge(ctx context.Context, o Observer) (Comparison, error) {
	if e.Options.DNS.Wanted() {
		res, err := e.DNS(ctx)
		if err != nil {
			return Comparison{}, err
		}
		if o.DNS != nil {
			o.DNS(res)
		}
	}
	c, err := e.Compare(ctx, nil)
	if err != nil {
		return c, err
	}
	if err := e.RecordDiff(ctx, c); err != nil {
		return c, err
	}
	if o.Compare != nil {
		o.Compare(c)
	}
	return c, nil
}

func (e *Engagement) inventories(ctx context.Context, o Observer) error {
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		res, err := e.Inventory(ctx, side)
		if err != nil {
			return err
		}
		if o.Inventory != nil {
			o.Inventory(res)
		}
	}
	return nil
}
