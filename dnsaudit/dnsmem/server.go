package dnsmem

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Behaviour is how a server treats the questions that it gets.
type Behaviour uint8

// The behaviours.
const (
	Answer      Behaviour = iota // as a server should
	ServFail                     // SERVFAIL to everything: a secondary that lost its primary
	Refuse                       // REFUSED to everything: a lame delegation
	Silent                       // no answer at all: a black hole
	NotAA                        // answers without the AA bit
	Garbage                      // octets that are no DNS message
	WrongID                      // answers with another transaction's id
	NoTCP                        // answers over UDP, closes every TCP connection
	UDPSilent                    // answers over TCP only
	FormErrEDNS                  // FORMERR to every question with EDNS (RFC 6891 §7)
	NotImp                       // NOTIMP to everything: a server that does not know a type
)

// maxLog bounds the log of questions.
const maxLog = 1 << 16

// Query is one question that a server got.
type Query struct {
	Name    string // canonical
	Type    string
	Network string // "udp" or "tcp"
}

// Server is one name server on loopback. Its methods may be called while it
// serves.
type Server struct {
	addr     string
	udp, tcp *dns.Server
	wg       sync.WaitGroup

	mu       sync.Mutex
	zones    map[string]*zone
	behave   Behaviour
	only     map[string]Behaviour // by canonical name asked for
	types    map[key]Behaviour    // by name and type, which goes before
	log      []Query
	upstream []*Server
	cache    map[key]cached
	now      func() time.Time
	maxUDP   int
	claims   bool
}

// Start serves the given zones, each a master file with its SOA record, on a
// free port of 127.0.0.1, the same for UDP and TCP.
func Start(zones ...string) (*Server, error) { return StartAt("127.0.0.1:0", zones...) }

// StartAt is [Start] at a given loopback address.
func StartAt(addr string, zones ...string) (*Server, error) {
	s := &Server{zones: map[string]*zone{}, only: map[string]Behaviour{}, types: map[key]Behaviour{}, cache: map[key]cached{}, now: time.Now, maxUDP: 1232}
	for _, text := range zones {
		if err := s.SetZone(text); err != nil {
			return nil, err
		}
	}
	if err := s.listen(addr); err != nil {
		return nil, err
	}
	return s, nil
}

// StartResolver starts a recursive resolver that finds its answers on the
// given servers and caches them for their TTL.
func StartResolver(upstream ...*Server) (*Server, error) {
	s, err := Start()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.upstream = upstream
	s.mu.Unlock()
	return s, nil
}

// listen opens the two sockets. A port that is free for TCP may be taken for
// UDP, so a few are tried.
func (s *Server) listen(addr string) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("name server: %w", err)
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return fmt.Errorf("name server: %s is not a loopback address", host)
	}
	var lastErr error
	for range 20 {
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("name server: %w", err)
		}
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		if err != nil {
			lastErr = errors.Join(err, tcp.Close())
			continue
		}
		s.serve(udp, tcp)
		return nil
	}
	return fmt.Errorf("name server: %w", lastErr)
}

func (s *Server) serve(udp net.PacketConn, tcp net.Listener) {
	s.addr = tcp.Addr().String()
	var started sync.WaitGroup
	started.Add(2)
	s.udp = &dns.Server{PacketConn: udp, Handler: s.handler("udp"), NotifyStartedFunc: started.Done}
	s.tcp = &dns.Server{Listener: tcp, Handler: s.handler("tcp"), NotifyStartedFunc: started.Done}
	for _, server := range []*dns.Server{s.udp, s.tcp} {
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			// It returns when the socket is closed by Close, with an error
			// that says so.
			_ = server.ActivateAndServe()
		}()
	}
	started.Wait()
}

// Close stops the server and waits for it.
func (s *Server) Close() error {
	err := errors.Join(s.udp.Shutdown(), s.tcp.Shutdown())
	s.wg.Wait()
	return err
}

// Addr returns the address IP:PORT that the server listens on.
func (s *Server) Addr() string { return s.addr }

// SetZone adds a zone, or replaces the zone with the same apex. A resolver
// keeps what it has cached.
func (s *Server) SetZone(text string) error {
	z, err := parseZone(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.zones[z.apex] = z
	return nil
}

// Behave sets how the server treats every question from now on.
func (s *Server) Behave(b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.behave = b
}

// BehaveFor sets how the server treats questions for one name.
func (s *Server) BehaveFor(name string, b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.only[dns.CanonicalName(name)] = b
}

// BehaveForType sets how the server treats questions for one name and type.
func (s *Server) BehaveForType(name string, qtype uint16, b Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.types[key{dns.CanonicalName(name), qtype}] = b
}

// SetClock replaces the clock by which a resolver's cache grows old.
func (s *Server) SetClock(now func() time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
}

// Queries returns the questions that the server got so far, in order.
func (s *Server) Queries() []Query {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Query(nil), s.log...)
}

func (s *Server) handler(network string) dns.HandlerFunc {
	return func(w dns.ResponseWriter, req *dns.Msg) {
		if len(req.Question) != 1 {
			s.write(w, new(dns.Msg).SetRcode(req, dns.RcodeFormatError))
			return
		}
		switch behave := s.note(req.Question[0], network); {
		case behave == Silent, behave == UDPSilent && network == "udp":
		case behave == NoTCP && network == "tcp":
			_ = w.Close() // the peer sees the end; there is nobody to tell
		case behave == Garbage:
			_, _ = w.Write([]byte{0xde, 0xad, 0xbe, 0xef})
		case behave == ServFail:
			s.write(w, new(dns.Msg).SetRcode(req, dns.RcodeServerFailure))
		case behave == Refuse:
			s.write(w, new(dns.Msg).SetRcode(req, dns.RcodeRefused))
		case behave == NotImp:
			s.write(w, new(dns.Msg).SetRcode(req, dns.RcodeNotImplemented))
		case behave == FormErrEDNS && req.IsEdns0() != nil:
			reply := new(dns.Msg).SetRcode(req, dns.RcodeFormatError)
			s.write(w, reply)
		default:
			s.write(w, s.reply(req, network, behave))
		}
	}
}

// write sends a reply. A client that went away is no error of ours.
func (s *Server) write(w dns.ResponseWriter, reply *dns.Msg) { _ = w.WriteMsg(reply) }

// note logs a question and returns how to treat it.
func (s *Server) note(q dns.Question, network string) Behaviour {
	name := dns.CanonicalName(q.Name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.log) < maxLog {
		s.log = append(s.log, Query{name, dns.TypeToString[q.Qtype], network})
	}
	if b, ok := s.types[key{name, q.Qtype}]; ok {
		return b
	}
	if b, ok := s.only[name]; ok {
		return b
	}
	return s.behave
}

func (s *Server) reply(req *dns.Msg, network string, behave Behaviour) *dns.Msg {
	q := req.Question[0]
	opt := req.IsEdns0()
	reply := new(dns.Msg).SetReply(req)
	if upstream := s.resolvesFrom(); upstream != nil {
		s.recurse(reply, q)
		reply.AuthenticatedData = s.claimsValid()
	} else {
		s.authoritative(reply, q, opt != nil && opt.Do())
	}
	switch behave {
	case NotAA:
		reply.Authoritative = false
	case WrongID:
		reply.Id++
	}
	size := dns.MinMsgSize
	if opt != nil {
		reply.SetEdns0(uint16(s.maxUDP), opt.Do())
		size = min(int(opt.UDPSize()), s.maxUDP)
	}
	reply.Compress = true
	if network == "udp" {
		reply.Truncate(max(size, dns.MinMsgSize))
	}
	return reply
}

func (s *Server) resolvesFrom() []*Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upstream
}

// zoneFor returns the zone that a question belongs to: the deepest one that
// encloses the name, or the one above for the DS record of an apex.
func (s *Server) zoneFor(name string, qtype uint16) *zone {
	s.mu.Lock()
	defer s.mu.Unlock()
	for up := name; ; up = parent(up) {
		if z := s.zones[up]; z != nil && (qtype != dns.TypeDS || up != name || up == ".") {
			return z
		}
		if up == "." {
			return s.zones[name]
		}
	}
}

func (s *Server) authoritative(reply *dns.Msg, q dns.Question, signed bool) {
	z := s.zoneFor(dns.CanonicalName(q.Name), q.Qtype)
	if z == nil {
		reply.Rcode = dns.RcodeRefused
		return
	}
	z.answer(reply, q, signed)
}

// Validate sets whether a resolver claims to have validated its answers, by
// the AD bit (RFC 4035 §3.2.3). It validates nothing.
func (s *Server) Validate(claim bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claims = claim
}

func (s *Server) claimsValid() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claims
}
