package spf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// Status is a result of check_host (RFC 7208 §2.6).
type Status string

// The results. "Could not tell" is two answers: TempError may go away,
// PermError needs a person.
const (
	None      Status = "none"
	Neutral   Status = "neutral"
	Pass      Status = "pass"
	Fail      Status = "fail"
	SoftFail  Status = "softfail"
	TempError Status = "temperror"
	PermError Status = "permerror"
)

// DefaultExplanation stands where a domain gives none.
const DefaultExplanation = "DEFAULT"

// Sender is who wants to send, and as whom.
type Sender struct {
	IP       netip.Addr
	MailFrom string // empty: the HELO identity is checked
	HELO     string
	Receiver string    // the checking host, for %{r}; empty: "unknown"
	Now      time.Time // for %{t}
}

// Result is what check_host found.
type Result struct {
	Status      Status
	Term        string // the term that matched, if one did
	Domain      string // where that term stands
	Explanation string // of a fail
	Lookups     int    // terms with lookups that were evaluated
	Voids       int    // void lookups among them
	Err         error  // of TempError and PermError
}

// CheckHost evaluates the policy of the sender's domain (RFC 7208 §4). It does
// not stop at the time limit of §4.6.4; the context does.
func CheckHost(ctx context.Context, resolver Resolver, sender Sender) Result {
	e := &evaluation{ctx: ctx, dns: resolver, sender: sender, ip: sender.IP.Unmap()}
	if sender.Receiver == "" {
		e.sender.Receiver = "unknown"
	}
	e.identity()
	if !validDomain(e.domain) {
		return Result{Status: None}
	}
	res := e.check(e.domain, true)
	res.Lookups, res.Voids = e.lookups, e.voids
	return res
}

// evaluation is the state of one check_host, its recursion included.
type evaluation struct {
	ctx     context.Context
	dns     Resolver
	sender  Sender
	ip      netip.Addr
	local   string
	domain  string // of the sender
	lookups int
	voids   int
}

var (
	errLookups = fmt.Errorf("spf: more than %d terms with DNS lookups (RFC 7208 §4.6.4)", MaxLookups)
	errVoids   = fmt.Errorf("spf: more than %d void lookups (RFC 7208 §4.6.4)", MaxVoid)
	errMX      = fmt.Errorf("spf: more than %d exchanges under one mx (RFC 7208 §4.6.4)", MaxMX)
	errNone    = errors.New("spf: the target has no SPF record (RFC 7208 §5.2, §6.1)")
	errMany    = errors.New("spf: more than one SPF record (RFC 7208 §4.5)")
)

// dnsError marks what DNS could not tell.
type dnsError struct{ err error }

func (e dnsError) Error() string { return "spf: " + e.err.Error() }
func (e dnsError) Unwrap() error { return e.err }

// failed is the result that an error stands for.
func failed(err error) Result {
	var temporary dnsError
	if errors.As(err, &temporary) {
		return Result{Status: TempError, Err: err}
	}
	return Result{Status: PermError, Err: err}
}

// identity parts the sender into local part and domain (RFC 7208 §4.3).
func (e *evaluation) identity() {
	from := e.sender.MailFrom
	if from == "" {
		from = "postmaster@" + e.sender.HELO
	}
	at := strings.LastIndexByte(from, '@')
	if at < 0 {
		from, at = "postmaster@"+from, len("postmaster")
	}
	if at == 0 {
		from, at = "postmaster"+from, len("postmaster")
	}
	e.local, e.domain = from[:at], strings.TrimSuffix(from[at+1:], ".")
}

// validDomain applies RFC 7208 §4.3: no label longer than 63 octets, none
// empty, at least two.
func validDomain(domain string) bool {
	domain = strings.TrimSuffix(domain, ".")
	if len(domain) > 253 || !strings.Contains(domain, ".") {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
	}
	return true
}

// fetch returns the one SPF record of a domain, or nil where it has none.
func fetch(ctx context.Context, dns Resolver, domain string) (*Record, error) {
	texts, err := dns.TXT(ctx, domain)
	if err != nil {
		return nil, dnsError{err}
	}
	var found []string
	for _, t := range texts {
		if IsRecord(t) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return Parse(found[0])
	default:
		return nil, errMany
	}
}

// check is check_host for one domain. The explanation of an included record
// is not used (RFC 7208 §6.2).
func (e *evaluation) check(domain string, explain bool) Result {
	record, err := fetch(e.ctx, e.dns, domain)
	if err != nil {
		return failed(err)
	}
	if record == nil {
		return Result{Status: None}
	}
	for _, d := range record.Directives {
		match, err := e.matches(d, domain)
		if err != nil {
			return failed(err)
		}
		if !match {
			continue
		}
		res := Result{Status: d.Qualifier.status(), Term: d.Text, Domain: domain}
		if res.Status == Fail && explain {
			res.Explanation = e.explanation(record, domain)
		}
		return res
	}
	if record.Redirect == "" {
		return Result{Status: Neutral, Domain: domain}
	}
	return e.redirect(record, domain, explain)
}

func (q Qualifier) status() Status {
	switch q {
	case Minus:
		return Fail
	case Tilde:
		return SoftFail
	case Query:
		return Neutral
	default:
		return Pass
	}
}

// redirect hands over to another domain (RFC 7208 §6.1).
func (e *evaluation) redirect(record *Record, domain string, explain bool) Result {
	if err := e.count(); err != nil {
		return failed(err)
	}
	target, err := e.target(record.Redirect, domain)
	if err != nil {
		return failed(err)
	}
	if !validDomain(target) {
		return failed(errNone)
	}
	res := e.check(target, explain)
	if res.Status == None {
		return failed(errNone)
	}
	return res
}

// count spends one of the ten lookups.
func (e *evaluation) count() error {
	e.lookups++
	if e.lookups > MaxLookups {
		return errLookups
	}
	return nil
}

// void spends one of the void lookups where nothing was found.
func (e *evaluation) void(found int) error {
	if found > 0 {
		return nil
	}
	e.voids++
	if e.voids > MaxVoid {
		return errVoids
	}
	return nil
}

func (e *evaluation) matches(d Directive, domain string) (bool, error) {
	switch d.Kind {
	case All:
		return true, nil
	case IP4, IP6:
		return d.Prefix.Contains(e.ip), nil
	}
	if err := e.count(); err != nil {
		return false, err
	}
	target, err := e.target(d.Domain, domain)
	if err != nil {
		return false, err
	}
	if !validDomain(target) {
		if d.Kind == Include {
			return false, errNone
		}
		return false, nil
	}
	switch d.Kind {
	case Include:
		return e.include(target)
	case A:
		return e.matchAddress(d, target)
	case MX:
		return e.matchMX(d, target)
	case PTR:
		return e.matchPTR(target)
	default: // Exists: any A record, whatever the sender's family (§5.7)
		addrs, err := e.addresses(target, false)
		return len(addrs) > 0, err
	}
}

// include maps the results of the included record (RFC 7208 §5.2).
func (e *evaluation) include(target string) (bool, error) {
	switch res := e.check(target, false); res.Status {
	case Pass:
		return true, nil
	case None:
		return false, errNone
	case TempError, PermError:
		return false, res.Err
	default:
		return false, nil
	}
}

func (e *evaluation) addresses(name string, six bool) ([]netip.Addr, error) {
	addrs, err := e.dns.Addresses(e.ctx, name, six)
	if err != nil {
		return nil, dnsError{err}
	}
	return addrs, e.void(len(addrs))
}

func (e *evaluation) matchAddress(d Directive, name string) (bool, error) {
	addrs, err := e.addresses(name, e.ip.Is6())
	if err != nil {
		return false, err
	}
	return e.within(addrs, d), nil
}

// within reports whether the sender is in the network of one of the addresses.
func (e *evaluation) within(addrs []netip.Addr, d Directive) bool {
	bits := d.Bits4
	if e.ip.Is6() {
		bits = d.Bits6
	}
	for _, a := range addrs {
		if p, err := a.Prefix(bits); err == nil && p.Contains(e.ip) {
			return true
		}
	}
	return false
}

func (e *evaluation) matchMX(d Directive, name string) (bool, error) {
	hosts, err := e.dns.MX(e.ctx, name)
	if err != nil {
		return false, dnsError{err}
	}
	if err := e.void(len(hosts)); err != nil {
		return false, err
	}
	if len(hosts) > MaxMX {
		return false, errMX
	}
	for _, host := range hosts {
		if !validDomain(host) {
			continue
		}
		if match, err := e.matchAddress(d, host); match || err != nil {
			return match, err
		}
	}
	return false, nil
}

// matchPTR reports whether a validated name of the sender lies under target
// (RFC 7208 §5.5). A DNS error is no match.
func (e *evaluation) matchPTR(target string) (bool, error) {
	names, err := e.dns.PTR(e.ctx, e.ip)
	if err != nil {
		return false, nil
	}
	if err := e.void(len(names)); err != nil {
		return false, err
	}
	for _, name := range e.validated(names) {
		if under(name, target) {
			return true, nil
		}
	}
	return false, nil
}

// validated returns the names that lead back to the sender, of the first ten.
func (e *evaluation) validated(names []string) []string {
	if len(names) > MaxPTR {
		names = names[:MaxPTR]
	}
	var out []string
	for _, name := range names {
		addrs, err := e.dns.Addresses(e.ctx, name, e.ip.Is6())
		if err != nil {
			continue // a name that cannot be checked is skipped (§5.5)
		}
		for _, a := range addrs {
			if a.Unmap() == e.ip {
				out = append(out, strings.TrimSuffix(name, "."))
				break
			}
		}
	}
	return out
}

func under(name, domain string) bool {
	name, domain = strings.ToLower(name), strings.ToLower(strings.TrimSuffix(domain, "."))
	return name == domain || strings.HasSuffix(name, "."+domain)
}
