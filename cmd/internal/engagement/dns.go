package engagement

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit"
	"github.com/mailproof/mailproof/report"
)

// DNSOptions says what DNS is to be held against. Without a domain and a
// profile DNS takes no part in an engagement.
type DNSOptions struct {
	Domains     []string
	Profile     string // of the destination: a name or a file
	OldProfile  string // of the source; may be empty
	Phase       mailproof.Phase
	Servers     map[string]string // name=IP:PORT
	Resolvers   []string
	Coexistence bool
	CutOver     time.Time
	HTTP        bool
	STARTTLS    bool // ask the exchanges for their certificates
	Timeout     time.Duration
	Public      []netip.Prefix    // special-purpose networks that count as public, for laboratories
	Endpoints   map[string]string // HOST:PORT → IP:PORT, for the HTTP and SMTP probes
	CA          string            // PEM file of further trust anchors for those
}

// Wanted reports whether there is anything to audit.
func (o DNSOptions) Wanted() bool { return len(o.Domains) > 0 && o.Profile != "" }

// DNSResult is what a DNS pass came to.
type DNSResult struct {
	dnsaudit.Report
	Profile string // title of the destination's profile
	Took    time.Duration
}

// DNS audits the engagement's domains, and keeps findings and observations in
// the ledger as a pass.
func (e *Engagement) DNS(ctx context.Context) (DNSResult, error) {
	started := time.Now()
	cfg, err := e.Options.DNS.config()
	if err != nil {
		return DNSResult{}, err
	}
	pass, end, err := e.beginPass(ctx, mailproof.Pass{Kind: mailproof.DNSPass})
	if err != nil {
		return DNSResult{}, err
	}
	if cfg.History, err = e.dnsHistory(ctx, cfg.Domains); err != nil {
		return DNSResult{}, end(err, 0, 0)
	}
	found, err := dnsaudit.Audit(ctx, cfg)
	if err == nil {
		err = e.ledger.RecordDNS(ctx, pass, found.Findings, found.Observations)
	}
	if found.Lost > 0 {
		e.say("%d answers of name servers are beyond what one audit keeps, and no part of the evidence: audit fewer domains at a time", found.Lost)
	}
	if err == nil {
		err = e.keepDNS(ctx, cfg.Profile.Title(), found.Safe)
	}
	return DNSResult{Report: found, Profile: cfg.Profile.Title(), Took: time.Since(started)}, end(err, 0, 0)
}

// What a DNS pass leaves for the report beside findings and observations.
const (
	dnsProfileKey = "dns.profile"
	dnsSafeKey    = "dns.safe"
)

func (e *Engagement) keepDNS(ctx context.Context, profile string, safe []dnsaudit.SafeTime) error {
	text, err := json.Marshal(safe)
	if err != nil {
		return err
	}
	return errors.Join(e.ledger.SetEngagement(ctx, dnsProfileKey, profile), e.ledger.SetEngagement(ctx, dnsSafeKey, string(text)))
}

// safeTimes reads back the safe times of the last DNS pass.
func safeTimes(kept map[string]string) ([]report.SafeTime, error) {
	if kept[dnsSafeKey] == "" {
		return nil, nil
	}
	var safe []dnsaudit.SafeTime
	if err := json.Unmarshal([]byte(kept[dnsSafeKey]), &safe); err != nil {
		return nil, fmt.Errorf("safe times in the ledger: %w", err)
	}
	out := make([]report.SafeTime, len(safe))
	for i, s := range safe {
		out[i] = report.SafeTime(s)
	}
	return out, nil
}

// AuditDNS audits without any ledger, for a person who only asks.
func AuditDNS(ctx context.Context, o DNSOptions) (DNSResult, error) {
	started := time.Now()
	cfg, err := o.config()
	if err != nil {
		return DNSResult{}, err
	}
	found, err := dnsaudit.Audit(ctx, cfg)
	return DNSResult{Report: found, Profile: cfg.Profile.Title(), Took: time.Since(started)}, err
}

// config turns the options into those of the audit.
func (o DNSOptions) config() (dnsaudit.Config, error) {
	c := dnsaudit.Config{
		Domains: o.Domains, Phase: o.Phase, Servers: map[string]string{}, Resolvers: o.Resolvers,
		Coexistence: o.Coexistence, CutOver: o.CutOver, HTTP: o.HTTP, SMTP: o.STARTTLS, Timeout: o.Timeout, Public: o.Public,
	}
	if c.Phase == mailproof.PhaseNone {
		c.Phase = mailproof.Confirmation
	}
	for name, addr := range o.Servers {
		c.Servers[name] = addr
	}
	c.Endpoints = o.Endpoints
	var err error
	if c.Roots, err = o.roots(); err != nil {
		return c, err
	}
	if c.Profile, err = dnsaudit.LoadProfile(o.Profile); err != nil {
		return c, fmt.Errorf("profile of the destination: %w", err)
	}
	if o.OldProfile != "" {
		if c.OldProfile, err = dnsaudit.LoadProfile(o.OldProfile); err != nil {
			return c, fmt.Errorf("profile of the source: %w", err)
		}
	}
	return c, nil
}

// AddServer adds "NAME=IP:PORT" or "resolver=IP:PORT", as given on a command
// line.
func (o *DNSOptions) AddServer(text string) error {
	name, addr, err := dnsaudit.ParseServer(text)
	if err != nil {
		return err
	}
	if name == "resolver" {
		o.Resolvers = append(o.Resolvers, addr)
		return nil
	}
	if o.Servers == nil {
		o.Servers = map[string]string{}
	}
	if have := o.Servers[name]; have != "" && !strings.Contains(have, addr) {
		addr = have + "," + addr
	}
	o.Servers[name] = addr
	return nil
}

// AddEndpoint adds "HOST:PORT=IP:PORT", as given on a command line.
func (o *DNSOptions) AddEndpoint(text string) error {
	from, to, err := dnsaudit.ParseEndpoint(text)
	if err != nil {
		return err
	}
	if o.Endpoints == nil {
		o.Endpoints = map[string]string{}
	}
	o.Endpoints[from] = to
	return nil
}

// roots are the trust anchors of the probes: those of the system, and those of
// the file. Nil stands for the system's alone.
func (o DNSOptions) roots() (*x509.CertPool, error) {
	if o.CA == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(o.CA)
	if err != nil {
		return nil, fmt.Errorf("certificates of the probes: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool() // a system without any
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificates of the probes: %s holds no certificate in PEM", o.CA)
	}
	return pool, nil
}
