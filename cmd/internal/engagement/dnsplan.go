package engagement

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	// changed, domain by domain; empty where it has nothing of any domain of the
	// plan. The part of a domain is written once: KeptRollback are the domains
	// whose earlier part was left as it is.
	RollbackPath string
	KeptRollback []string
	NoRollback   []string // domains that the list has nothing of, since something is unknown
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
	err = p.rollback(replaceRollback)
	if err == nil {
		err = writeWhole(p.PlanPath, text.String())
	}
	p.Took = time.Since(started)
	return p, err
}

// rollback adds the plans' domains to the rollback list.
func (p *DNSPlan) rollback(replace bool) error {
	path := p.RollbackPath
	old, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	list, written, kept := dnsaudit.MergeRollback(string(old), p.Plans, replace)
	p.KeptRollback = kept
	for _, plan := range p.Plans {
		if !slices.Contains(written, plan.Domain) && !slices.Contains(kept, plan.Domain) {
			p.NoRollback = append(p.NoRollback, plan.Domain)
		}
	}
	if len(written)+len(kept) == 0 {
		p.RollbackPath = ""
	}
	if len(written) == 0 {
		return nil
	}
	return writeWhole(path, list)
}

// Unknown counts what could not be observed.
func (p DNSPlan) Unknown() int {
	n := 0
	for _, plan := range p.Plans {
		n += len(plan.Unknown)
	}
	return n
}

// writeWhole writes a file whole or not at all, in the place of an earlier one.
func writeWhole(path, text string) (err error) {
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
	return os.Rename(f.Name(), path)
}
