package dnsmem

import (
	"time"

	"github.com/miekg/dns"
)

// cached is one answer in a resolver's cache.
type cached struct {
	answer  []dns.RR
	rcode   int
	stored  time.Time
	expires time.Time
}

// maxCache bounds the cache; beyond it nothing more is stored.
const maxCache = 1 << 14

// recurse answers from the cache or from the upstream servers, following
// aliases across zones. Negative answers live for the SOA minimum (RFC 2308
// §5).
func (s *Server) recurse(reply *dns.Msg, q dns.Question) {
	reply.RecursionAvailable = true
	name := dns.CanonicalName(q.Name)
	for range maxChain {
		got, ok := s.lookup(name, q.Qtype)
		if !ok {
			reply.Rcode = dns.RcodeServerFailure
			return
		}
		reply.Answer = append(reply.Answer, got.answer...)
		reply.Rcode = got.rcode
		if len(got.answer) == 0 {
			return
		}
		last := got.answer[len(got.answer)-1]
		alias, isAlias := last.(*dns.CNAME)
		if !isAlias || q.Qtype == dns.TypeCNAME {
			return
		}
		name = dns.CanonicalName(alias.Target)
	}
	reply.Rcode = dns.RcodeServerFailure
}

// lookup returns the records for one name, with what remains of their TTLs.
func (s *Server) lookup(name string, qtype uint16) (cached, bool) {
	k := key{name, qtype}
	s.mu.Lock()
	now := s.now()
	hit, ok := s.cache[k]
	s.mu.Unlock()
	if ok && now.Before(hit.expires) {
		return aged(hit, now), true
	}
	fresh, ok := s.ask(name, qtype, now)
	if !ok {
		return cached{}, false
	}
	s.mu.Lock()
	if len(s.cache) < maxCache {
		s.cache[k] = fresh
	}
	s.mu.Unlock()
	return aged(fresh, now), true
}

func aged(c cached, now time.Time) cached {
	age := uint32(now.Sub(c.stored) / time.Second)
	out := c
	out.answer = make([]dns.RR, len(c.answer))
	for i, rr := range c.answer {
		out.answer[i] = dns.Copy(rr)
		out.answer[i].Header().Ttl -= min(age, rr.Header().Ttl)
	}
	return out
}

// ask asks the upstream servers that have the deepest zone around the name,
// one after the other, and no others: a zone above it can only refer. The
// servers are asked in the process, not over the network, but they behave as
// they were told to.
func (s *Server) ask(name string, qtype uint16, now time.Time) (cached, bool) {
	depth := -1
	for _, up := range s.resolvesFrom() {
		if z := up.zoneFor(name, qtype); z != nil {
			depth = max(depth, dns.CountLabel(z.apex))
		}
	}
	for _, up := range s.resolvesFrom() {
		z := up.zoneFor(name, qtype)
		if z == nil || dns.CountLabel(z.apex) < depth {
			continue
		}
		if b := up.note(dns.Question{Name: name, Qtype: qtype}, "udp"); b != Answer && b != NoTCP && b != FormErrEDNS {
			continue
		}
		reply := new(dns.Msg)
		z.answer(reply, dns.Question{Name: name, Qtype: qtype}, false)
		if !reply.Authoritative {
			continue // a referral to a zone that no upstream server has
		}
		return cached{answer: reply.Answer, rcode: reply.Rcode, stored: now, expires: now.Add(lifetime(reply))}, true
	}
	return cached{}, false
}

func lifetime(m *dns.Msg) time.Duration {
	ttl, found := uint32(0), false
	for _, rr := range m.Answer {
		if !found || rr.Header().Ttl < ttl {
			ttl, found = rr.Header().Ttl, true
		}
	}
	if !found {
		for _, rr := range m.Ns {
			if soa, ok := rr.(*dns.SOA); ok {
				ttl = min(soa.Hdr.Ttl, soa.Minttl)
			}
		}
	}
	return time.Duration(ttl) * time.Second
}
