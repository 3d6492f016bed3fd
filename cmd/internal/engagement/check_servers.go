package engagement

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/provider"
)

// ServerCheck is one server as the accounts found it.
type ServerCheck struct {
	Side     mailproof.Side
	Address  string
	Accounts int                  // that live there
	SignedIn int                  // of those
	Info     mailproof.ServerInfo // as the first of them was told; Address only where nobody signed in
	Provider *provider.Provider   // nil: not known
	Err      error                // why nobody gets in
}

// Servers gathers the servers of a check, source first, in the order of the
// accounts.
func (o Options) Servers(checks []AccountCheck) []ServerCheck {
	var out []ServerCheck
	index := map[string]int{}
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		for i, c := range checks {
			s, address := c.Source, o.Accounts[i].Endpoint(side).Address()
			if side == mailproof.Destination {
				s = c.Destination
			}
			key := side.String() + " " + address
			n, known := index[key]
			if !known {
				n = len(out)
				index[key] = n
				out = append(out, ServerCheck{Side: side, Address: address, Info: mailproof.ServerInfo{Address: address}})
			}
			x := &out[n]
			x.Accounts++
			switch {
			case s.Server.Address != "":
				if x.SignedIn == 0 {
					x.Info = s.Server
					x.Provider = o.Rules.providerOf(c.Account, side, s.Server)
				}
				x.SignedIn++
			case x.Err == nil:
				x.Err = s.Err
			}
		}
	}
	return out
}

// ServerFindings says of each server what is to be known before the migration.
func ServerFindings(servers []ServerCheck) []mailproof.Finding {
	var out []mailproof.Finding
	for _, s := range servers {
		add := func(check string, outcome mailproof.Outcome, expected, observed, remedy string) {
			out = append(out, mailproof.Finding{Check: check, Outcome: outcome, Expected: expected, Observed: s.Side.String() + " " + s.Address + ": " + observed, Remedy: remedy})
		}
		signIn, remedy := mailproof.OutcomePass, ""
		if s.SignedIn < s.Accounts {
			signIn, remedy = mailproof.OutcomeFail, "see the accounts"
		}
		add("server.sign-in", signIn, "every account signs in", fmt.Sprintf("%d of %d accounts signed in", s.SignedIn, s.Accounts), remedy)
		if s.SignedIn == 0 {
			continue
		}
		tls := mailproof.OutcomePass
		switch {
		case s.Info.TLS == "":
			add("server.tls", mailproof.OutcomeWarn, "TLS 1.2 or later", "no TLS: passwords and mail can be overheard", "write imaps://")
		default:
			if !s.Info.CertVerified {
				tls = mailproof.OutcomeWarn
			}
			observed := s.Info.TLS
			if !s.Info.CertNotAfter.IsZero() {
				observed += ", certificate until " + s.Info.CertNotAfter.UTC().Format(time.DateOnly)
				if time.Until(s.Info.CertNotAfter) < soon {
					tls = mailproof.OutcomeWarn
				}
			}
			if !s.Info.CertVerified {
				observed += ", not verified"
			}
			add("server.tls", tls, "TLS 1.2 or later, a certificate that verifies", observed, "")
		}
		if s.Provider != nil {
			add("server.provider", mailproof.OutcomeInfo, "", s.Provider.Title, "")
			if limits := Limits(s.Info, s.Provider); limits != "" {
				add("server.limits", mailproof.OutcomeInfo, "", limits, "")
			}
		}
		if offset, ok := ClockOffset(s.Info.Greeting, time.Now()); ok {
			add("server.clock", mailproof.OutcomeInfo, "", "clock "+terminal.Duration(max(offset, -offset))+" off", "")
		}
	}
	return out
}

// Limits words what a server limits, as far as that is known; empty where
// nothing is.
func Limits(info mailproof.ServerInfo, p *provider.Provider) string {
	var parts []string
	if p != nil && p.Limits.Connections > 0 {
		parts = append(parts, fmt.Sprintf("%d connections an account", p.Limits.Connections))
	}
	if p != nil && p.Limits.ConnectionsPerIP > 0 {
		parts = append(parts, fmt.Sprintf("%d connections from here", p.Limits.ConnectionsPerIP))
	}
	if limit := provider.MessageLimit(info, p); limit > 0 {
		parts = append(parts, "messages up to "+terminal.Size(limit))
	}
	if p != nil && p.Limits.DownloadPerDay > 0 {
		parts = append(parts, terminal.Size(p.Limits.DownloadPerDay)+" down a day")
	}
	if p != nil && p.Limits.UploadPerDay > 0 {
		parts = append(parts, terminal.Size(p.Limits.UploadPerDay)+" up a day")
	}
	return strings.Join(parts, ", ")
}

// Forecast is how much there is to move, and how long the first copy may take.
type Forecast struct {
	Messages int64
	Octets   int64
	Rate     float64 // octets per second, measured; 0: not measured
	Unread   int     // accounts whose source was not read: what they hold comes on top
	Parallel int
	Took     time.Duration // 0: nothing can be said
	Days     int           // that quotas of providers spread the work over; 0: none does
	Bound    string        // the quota, in words; empty: none
}

// readsOfSource is how often the source's octets are read: for the inventory
// and for the copy. The destination's are read once more.
const readsOfSource = 2

// Estimate rests on a small sample and is an order of magnitude, not a promise:
// every octet is read for the source's inventory, read again for the copy, and
// read back from the destination, by so many accounts at once. Where providers
// meter what an account may transfer in a day, the account with the most mail
// decides.
func (o Options) Estimate(checks []AccountCheck) Forecast {
	f := Forecast{Parallel: o.Parallel}
	if f.Parallel <= 0 {
		f.Parallel = 4
	}
	var measured int
	var most int64
	for _, c := range checks {
		if c.Source.Err != nil {
			f.Unread++
		}
		f.Messages += c.Source.Messages
		f.Octets += c.Source.Octets
		most = max(most, c.Source.Octets)
		if c.Source.Rate > 0 {
			f.Rate += c.Source.Rate
			measured++
		}
		f.meter(o, c)
	}
	if measured == 0 || f.Octets == 0 {
		f.Rate = 0
		return f
	}
	f.Rate /= float64(measured)
	lanes := float64(max(1, min(f.Parallel, len(checks))))
	// The largest account is one lane's work, however many lanes there are.
	octets := math.Max(float64(f.Octets)/lanes, float64(most))
	f.Took = time.Duration((readsOfSource + 1) * octets / f.Rate * float64(time.Second))
	return f
}

// meter holds one account against the daily quotas of its two providers.
func (f *Forecast) meter(o Options, c AccountCheck) {
	src := o.Rules.providerOf(c.Account, mailproof.Source, c.Source.Server)
	dst := o.Rules.providerOf(c.Account, mailproof.Destination, c.Destination.Server)
	bind := func(octets, perDay int64, what string) {
		if perDay <= 0 || octets <= perDay {
			return
		}
		if days := int((octets + perDay - 1) / perDay); days > f.Days {
			f.Days, f.Bound = days, fmt.Sprintf("%s: %s %s a day for an account", c.Account, what, terminal.Size(perDay))
		}
	}
	if src != nil {
		bind(readsOfSource*c.Source.Octets, src.Limits.DownloadPerDay, src.Title+" lets go")
	}
	if dst != nil {
		bind(c.Source.Octets, dst.Limits.UploadPerDay, dst.Title+" takes")
	}
}

// String is the forecast in one line.
func (f Forecast) String() string {
	line := fmt.Sprintf("%s, %s", terminal.Of(f.Messages, "message", "messages"), terminal.Size(f.Octets))
	if f.Took > 0 {
		line += fmt.Sprintf(": about %s at the measured %s and with %d accounts at once", terminal.Remaining(f.Took), bits(f.Rate), f.Parallel)
	}
	if f.Unread > 0 {
		line += fmt.Sprintf("; without %s that could not be read", terminal.Of(int64(f.Unread), "account", "accounts"))
	}
	if f.Days > 1 {
		line += fmt.Sprintf("; at least %d days by quota (%s)", f.Days, f.Bound)
	}
	return line
}

// bits writes a rate as lines are sold: 10.4 Mbit/s.
func bits(octets float64) string {
	text := terminal.Size(int64(octets * 8))
	number, unit, _ := strings.Cut(text, " ")
	return number + " " + strings.TrimSuffix(unit, "B") + "bit/s"
}

// Causes groups the troubles of all accounts by what there is to do, the most
// frequent first.
func Causes(checks []AccountCheck) []Cause {
	var out []Cause
	for _, c := range checks {
		for _, t := range c.Troubles {
			remedy := t.Remedy()
			if remedy == "" {
				continue
			}
			i := slices.IndexFunc(out, func(x Cause) bool { return x.Remedy == remedy })
			if i < 0 {
				i = len(out)
				out = append(out, Cause{ID: t.ID, Remedy: remedy})
			}
			out[i].Accounts++
		}
	}
	return out
}

// Cause is one remedy and how many accounts need it.
type Cause struct {
	ID       string `json:"id"`
	Remedy   string `json:"remedy"`
	Accounts int    `json:"accounts"`
}
