package engagement

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/report"
)

// HasLedger reports whether a directory has a ledger.
func HasLedger(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, LedgerFile))
	return err == nil
}

// ReadinessRecord is a check as it is kept.
type ReadinessRecord struct {
	Taken    time.Time
	Ready    bool
	Checks   []AccountCheck
	Servers  []ServerCheck
	Findings []mailproof.Finding // of DNS and of recipients
	Forecast Forecast
}

// RecordReadiness keeps a check in the ledger of a directory, which is made
// where there is none.
func RecordReadiness(ctx context.Context, dir string, o Options, r ReadinessRecord) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	l, err := ledger.Open(ctx, filepath.Join(dir, LedgerFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	row := ledger.Readiness{
		Taken: r.Taken, Tool: o.Tool, Command: o.Command, Ready: r.Ready, Estimate: r.Forecast.String(),
		Findings: append(ServerFindings(r.Servers), r.Findings...),
	}
	for _, c := range r.Checks {
		a := ledger.ReadinessAccount{Account: c.Account, Folders: len(c.Source.Mailboxes), Messages: c.Source.Messages, Octets: c.Source.Octets, Ready: c.Ready(), Result: Result(c)}
		detail, err := json.Marshal(c.Troubles)
		if err != nil {
			return err
		}
		a.Troubles = string(detail)
		row.Accounts = append(row.Accounts, a)
	}
	return l.RecordReadiness(ctx, row)
}

// Result is an account's readiness in one sentence: "ready", or what stands in
// the way and what to do.
func Result(c AccountCheck) string {
	var parts []string
	for _, t := range c.Troubles {
		text := t.Text
		if remedy := t.Remedy(); remedy != "" {
			text += " (" + remedy + ")"
		}
		parts = append(parts, text)
	}
	switch {
	case len(parts) == 0:
		return "ready"
	case c.Ready():
		return "ready; " + strings.Join(parts, "; ")
	}
	return strings.Join(parts, "; ")
}

// readiness is the latest check for the report; nil where none was kept.
func (e *Engagement) readiness(ctx context.Context) (*report.Readiness, error) {
	kept, ok, err := e.ledger.LatestReadiness(ctx)
	if err != nil || !ok {
		return nil, err
	}
	out := &report.Readiness{Taken: kept.Taken, Ready: kept.Ready, Findings: kept.Findings, Estimate: kept.Estimate}
	for _, a := range kept.Accounts {
		out.Accounts = append(out.Accounts, report.ReadinessAccount{
			Account: a.Account, Folders: a.Folders, Messages: a.Messages, Octets: a.Octets, Ready: a.Ready, Result: a.Result,
		})
	}
	return out, nil
}
