package dnsaudit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// The roles in which a server is asked; they stand in observations.
const (
	roleAuthoritative = "authoritative"
	roleParent        = "parent" // on the way down from the root
	roleResolver      = "resolver"
	roleHTTP          = "http"
	roleSMTP          = "smtp"
)

const (
	udpSize     = 1232 // EDNS buffer that avoids fragments (RFC 6891 §6.2.5, DNS flag day 2020)
	udpTries    = 2
	deafAfter   = 2       // exchanges without an answer after which a server is not asked again
	maxEvidence = 200_000 // observations kept in one audit
	maxRecords  = 512     // records of one answer kept as evidence
)

// Server is one address of a name server.
type Server struct {
	Name string // of the host, with the final dot; empty for a resolver
	Addr netip.AddrPort
}

// String returns "ns1.example.net 192.0.2.53:53".
func (s Server) String() string {
	if s.Name == "" {
		return s.Addr.String()
	}
	return display(s.Name) + " " + s.Addr.String()
}

// Reply is what one server said to one question, or why it said nothing.
type Reply struct {
	Server  Server
	Role    string
	Time    time.Time
	Network string // "udp", or "tcp" where UDP truncated the answer
	RCode   int
	AA, AD  bool
	Answer  []dns.RR
	Ns      []dns.RR
	Extra   []dns.RR
	// Truncated is set where the answer over UDP was cut and TCP failed.
	Truncated bool
	// Withheld is set where a server that serves the zone answered this
	// question with an error, or without authority.
	Withheld bool
	Err      error // no usable answer: timeout, refused connection, no DNS message
}

// deafError is the error of a question that was not asked, since the server
// had answered none before it; the cause is what happened then.
type deafError struct{ cause error }

func (e deafError) Error() string { return e.cause.Error() + ", not asked again" }
func (e deafError) Unwrap() error { return e.cause }

// errTCP wraps what went wrong with TCP after a truncated answer.
var errTCP = errors.New("answer truncated over UDP and TCP failed")

// Resolver exchanges DNS messages: over UDP with EDNS, over TCP where the
// answer does not fit, with retries, a time limit for each try, and a cap on
// the sockets open at once. Each exchange becomes an observation. It may be
// used by several goroutines.
type Resolver struct {
	timeout time.Duration
	now     func() time.Time
	sockets chan struct{}

	mu   sync.Mutex
	seen []mailproof.Observation
	lost int // observations beyond maxEvidence
	deaf map[netip.AddrPort]deafness
}

// deafness counts the exchanges in which a server gave no answer. It ends for
// good with the first answer.
type deafness struct {
	count int
	last  error
	hears bool
}

// NewResolver returns a resolver that gives each try the timeout and opens at
// most sockets sockets at once.
func NewResolver(timeout time.Duration, sockets int, now func() time.Time) *Resolver {
	return &Resolver{timeout: timeout, now: now, sockets: make(chan struct{}, max(sockets, 1)), deaf: map[netip.AddrPort]deafness{}}
}

// question is what is asked, and for which audited domain.
type question struct {
	domain  string // audited domain, for the evidence
	name    string // canonical
	qtype   uint16
	role    string
	recurse bool
	dnssec  bool // DO: signatures wanted
	nocheck bool // CD: no validation by the resolver
}

// Ask sends one question to one server and keeps the exchange.
func (r *Resolver) Ask(ctx context.Context, q question, server Server) Reply {
	reply := Reply{Server: server, Role: q.role, Time: r.now(), Network: "udp"}
	began := time.Now()
	if cause := r.isDeaf(server.Addr); cause != nil {
		reply.Err = deafError{cause}
		r.observe(q, reply, 0)
		return reply
	}
	msg := new(dns.Msg).SetQuestion(q.name, q.qtype)
	msg.RecursionDesired, msg.CheckingDisabled = q.recurse, q.nocheck
	msg.AuthenticatedData = q.recurse // asks a resolver to say whether it validated (RFC 6840 §5.7)
	msg.SetEdns0(udpSize, q.dnssec)
	answer, err := r.overUDP(ctx, msg, server)
	if err == nil && answer.Truncated {
		reply.Network = "tcp"
		full, tcpErr := r.send(ctx, "tcp", msg, server)
		if tcpErr != nil {
			reply.Truncated = true
			err = fmt.Errorf("%w: %w", errTCP, plainError(tcpErr))
		}
		answer = full
	}
	r.note(server.Addr, ctx, err)
	if err != nil {
		reply.Err = plainError(err)
	} else {
		reply.fill(answer)
	}
	r.observe(q, reply, time.Since(began))
	return reply
}

func (r *Reply) fill(m *dns.Msg) {
	r.RCode, r.AA, r.AD = m.Rcode, m.Authoritative, m.AuthenticatedData
	r.Answer, r.Ns, r.Extra = m.Answer, m.Ns, m.Extra
}

// overUDP tries a few times, and once more without EDNS where the server does
// not know it (RFC 6891 §7).
func (r *Resolver) overUDP(ctx context.Context, msg *dns.Msg, server Server) (*dns.Msg, error) {
	var lastErr error
	for range udpTries {
		answer, err := r.send(ctx, "udp", msg, server)
		if err == nil && answer.Rcode == dns.RcodeFormatError && msg.IsEdns0() != nil && answer.IsEdns0() == nil {
			plain := msg.Copy()
			plain.Extra = nil
			answer, err = r.send(ctx, "udp", plain, server)
		}
		if err == nil {
			return answer, nil
		}
		lastErr = err
		if ctx.Err() != nil || !worthRetry(err) {
			break
		}
	}
	return nil, lastErr
}

// worthRetry reports whether another try may help: not where the system itself
// refused to send.
func worthRetry(err error) bool {
	var timeout net.Error
	return !errors.As(err, &timeout) || timeout.Timeout()
}

func (r *Resolver) send(ctx context.Context, network string, msg *dns.Msg, server Server) (*dns.Msg, error) {
	select {
	case r.sockets <- struct{}{}:
		defer func() { <-r.sockets }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	ask := msg.Copy()
	ask.Id = dns.Id()
	client := &dns.Client{Net: network, Timeout: r.timeout, UDPSize: udpSize}
	conn, err := client.DialContext(ctx, server.Addr.String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }() // what there was to say is said
	// the library waits for its time limit, whatever becomes of the context
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	answer, _, err := client.ExchangeWithConn(ask, conn)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, err
	}
	if !answers(answer, ask) {
		return nil, errors.New("the answer does not fit the question")
	}
	return answer, nil
}

// answers reports whether m is a response to ask. A server that cannot read a
// question may leave it out (RFC 1035 §4.1.1 FORMERR).
func answers(m, ask *dns.Msg) bool {
	if !m.Response || m.Opcode != dns.OpcodeQuery {
		return false
	}
	if len(m.Question) == 0 {
		return m.Rcode != dns.RcodeSuccess
	}
	got, want := m.Question[0], ask.Question[0]
	return len(m.Question) == 1 && got.Qtype == want.Qtype && got.Qclass == want.Qclass &&
		dns.CanonicalName(got.Name) == dns.CanonicalName(want.Name)
}

// plainError makes of a socket's error one that reads the same on every
// system and carries no port of ours.
func plainError(err error) error {
	var network *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errTimeout
	case errors.Is(err, errTCP), errors.Is(err, errTimeout):
		return err
	case errors.As(err, &network):
		if network.Timeout() {
			return errTimeout
		}
		return network.Err
	default:
		return err
	}
}

var errTimeout = errors.New("timeout")

// isDeaf returns the last error of a server that is not worth asking again.
func (r *Resolver) isDeaf(addr netip.AddrPort) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if d := r.deaf[addr]; !d.hears && d.count >= deafAfter {
		return d.last
	}
	return nil
}

// note remembers servers that never answer.
func (r *Resolver) note(addr netip.AddrPort, ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	d := r.deaf[addr]
	if err == nil || errors.Is(err, errTCP) {
		d.hears = true
	} else {
		d.count, d.last = d.count+1, plainError(err)
	}
	r.deaf[addr] = d
}

// observe keeps an exchange as evidence.
func (r *Resolver) observe(q question, reply Reply, took time.Duration) {
	r.keep(observation(q, reply, took))
}

func (r *Resolver) keep(o mailproof.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.seen) >= maxEvidence {
		r.lost++
		return
	}
	r.seen = append(r.seen, o)
}

func observation(q question, reply Reply, took time.Duration) mailproof.Observation {
	o := mailproof.Observation{
		Time: reply.Time, Domain: display(q.domain), Question: display(q.name), Type: typeName(q.qtype),
		Server: reply.Server.String(), Role: q.role, Network: reply.Network, AA: reply.AA, AD: reply.AD,
		Records: []string{}, Millis: took.Milliseconds(),
	}
	if reply.Err != nil {
		o.Error = reply.Err.Error()
		return o
	}
	o.RCode = dns.RcodeToString[reply.RCode]
	records := reply.Answer
	if len(records) == 0 {
		records = reply.Ns
	}
	first := true
	for _, rr := range records[:min(len(records), maxRecords)] {
		o.Records = append(o.Records, record(rr))
		ttl := rr.Header().Ttl
		if first || ttl < o.MinTTL {
			o.MinTTL = ttl
		}
		o.MaxTTL, first = max(o.MaxTTL, ttl), false
	}
	sort.Strings(o.Records)
	return o
}

// Observations returns every exchange so far in the order of time.
func (r *Resolver) Observations() []mailproof.Observation {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := append([]mailproof.Observation(nil), r.seen...)
	sort.SliceStable(out, func(i, j int) bool { return out[i].Time.Before(out[j].Time) })
	return out
}

// record is a resource record in presentation form with single blanks:
// "example.com. 300 IN MX 10 mx.example.net."
// Whatever the record is, it is one line: the text of a pseudo-record such as
// OPT has several.
func record(rr dns.RR) string { return oneLine(rr.String()) }

func oneLine(s string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		if c < ' ' || c == 0x7f {
			return ' '
		}
		return c
	}, s))
}

func typeName(t uint16) string { return dns.Type(t).String() }

// display is a name without the final dot, as people write it.
func display(name string) string {
	if name == "." {
		return "."
	}
	return strings.TrimSuffix(name, ".")
}
