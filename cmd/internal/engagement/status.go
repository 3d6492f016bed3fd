package engagement

import (
	"context"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
)

// Status is how an engagement stands, by its ledger alone.
type Status struct {
	Accounts []AccountStatus  `json:"accounts"`
	Passes   []mailproof.Pass `json:"-"`
	Rules    Rules            `json:"rules"`
	Seals    []ledger.Seal    `json:"seals"` // the bundles that were made, the oldest first
}

// AccountStatus is how one account stands.
type AccountStatus struct {
	Account     string     `json:"name"`
	Source      SideStatus `json:"source"`
	Destination SideStatus `json:"destination"`
}

// SideStatus is the latest reading of one side of an account.
type SideStatus struct {
	Read     bool                `json:"read"` // whether it was ever tried
	Pass     mailproof.PassID    `json:"pass,omitempty"`
	State    mailproof.PassState `json:"state"`
	Error    string              `json:"error,omitempty"`
	Folders  int                 `json:"folders"`
	Messages int64               `json:"messages"`
	Troubles []string            `json:"troubles"` // folders that could not be read, drifted or are excluded
}

// Status reads how things stand from the ledger.
func (e *Engagement) Status(ctx context.Context) (Status, error) {
	st := Status{Rules: e.Rules, Accounts: []AccountStatus{}, Seals: []ledger.Seal{}}
	seals, err := e.ledger.Seals(ctx)
	if err != nil {
		return st, err
	}
	st.Seals = append(st.Seals, seals...)
	if st.Passes, err = e.ledger.Passes(ctx); err != nil {
		return st, err
	}
	names, err := e.names(ctx)
	if err != nil {
		return st, err
	}
	for _, name := range names {
		a := AccountStatus{Account: name}
		for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
			s, err := e.sideStatus(ctx, name, side)
			if err != nil {
				return st, err
			}
			if side == mailproof.Source {
				a.Source = s
			} else {
				a.Destination = s
			}
		}
		st.Accounts = append(st.Accounts, a)
	}
	return st, nil
}

func (e *Engagement) sideStatus(ctx context.Context, account string, side mailproof.Side) (SideStatus, error) {
	scan, mailboxes, ok, err := e.ledger.LatestScan(ctx, account, side)
	s := SideStatus{Read: ok, Pass: scan.Pass, State: scan.State, Error: scan.Error, Troubles: []string{}}
	for _, m := range mailboxes {
		if m.NoSelect {
			continue
		}
		s.Folders++
		s.Messages += m.Present
		switch {
		case m.Excluded != "":
			s.Troubles = append(s.Troubles, m.Name+": excluded by "+m.Excluded)
		case m.Error != "":
			s.Troubles = append(s.Troubles, m.Name+": "+m.Error)
		case !m.Complete:
			s.Troubles = append(s.Troubles, m.Name+": was not read to the end")
		case m.Drifted:
			s.Troubles = append(s.Troubles, m.Name+": changed while it was read")
		}
	}
	return s, err
}
