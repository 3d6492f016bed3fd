package engagement

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit"
)

// The files of a DNS plan.
const (
	PlanFile     = "dns-plan.txt"
	RollbackFile = "dns-rollback.zone"
)

// DNSPlan is the change list of the engagement's domains.
type DNSPlan struct {
	Plans    []dnsaudit.Plan
	PlanPath string
	// RollbackPath is the list of the records as they were before anything was
	// changed; empty where not all of them could be observed, and so no list
	// was written. It is written once: KeptRollback says that an earlier one
	// was left as it is.
	RollbackPath string
	KeptRollback bool
	Took         time.Duration
}

// PlanDNS audits the domains for planning, records that in the ledger, and
// makes the change list and the rollback list.
func (e *Engagement) PlanDNS(ctx context.Context, replaceRollback bool) (DNSPlan, error) {
	started := time.Now()
	e.Options.DNS.Phase = mailproof.Planning
	audit, err := e.DNS(ctx)
	if err != nil {
		return DNSPlan{}, err
	}
	cfg, err := e.Options.DNS.config()
	if err != nil {
		return DNSPlan{}, err
	}
	p := DNSPlan{PlanPath: e.Path(PlanFile), RollbackPath: e.Path(RollbackFile)}
	p.Plans, err = dnsaudit.Plans(audit.Observations, dnsaudit.PlanOptions{
		Domains: cfg.Domains, Profile: cfg.Profile, OldProfile: cfg.OldProfile, CutOver: cfg.CutOver, Coexistence: cfg.Coexistence,
	})
	if err != nil {
		return p, err
	}
	var text strings.Builder
	for i, plan := range p.Plans {
		if i > 0 {
			text.WriteString("\n")
		}
		text.WriteString(plan.String())
	}
	// The rollback list first: without it nobody should begin.
	if p.Unknown() > 0 {
		p.RollbackPath = ""
	} else {
		err = writeWhole(p.RollbackPath, dnsaudit.RollbackZone(p.Plans), replaceRollback)
	}
	if errors.Is(err, fs.ErrExist) {
		p.KeptRollback, err = true, nil
	}
	if err == nil {
		err = writeWhole(p.PlanPath, text.String(), true)
	}
	p.Took = time.Since(started)
	return p, err
}

// Unknown counts what could not be observed.
func (p DNSPlan) Unknown() int {
	n := 0
	for _, plan := range p.Plans {
		n += len(plan.Unknown)
	}
	return n
}

// writeWhole writes a file whole or not at all. Without replace it is never
// put in the place of another, and the error is [fs.ErrExist].
func writeWhole(path, text string, replace bool) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if rerr := os.Remove(f.Name()); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
	}()
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if replace {
		return os.Rename(f.Name(), path)
	}
	err = os.Link(f.Name(), path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if _, serr := os.Lstat(path); serr == nil { // a file system without links
		return fs.ErrExist
	}
	return os.Rename(f.Name(), path)
}
