package dnsmem

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
)

const sample = `$ORIGIN example.test.
$TTL 300
@ SOA ns hostmaster 1 2 3 4 60
@ NS ns
ns A 127.0.0.1
www CNAME target
target A 192.0.2.1
away CNAME x.other.test.
*.wild A 192.0.2.2
a.b.c A 192.0.2.3
sub NS ns.sub
ns.sub A 192.0.2.4
big TXT "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
`

func ask(t *testing.T, s *Server, network, name string, qtype uint16) *dns.Msg {
	t.Helper()
	client := &dns.Client{Net: network, Timeout: 5 * time.Second}
	reply, _, err := client.Exchange(new(dns.Msg).SetQuestion(name, qtype), s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func start(t *testing.T, s *Server, err error) *Server {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestAnswers(t *testing.T) {
	server, err := Start(sample)
	s := start(t, server, err)
	for _, tt := range []struct {
		name    string
		qtype   uint16
		rcode   int
		aa      bool
		answers int
		ns      uint16 // type in the authority section, 0 for none
	}{
		{"example.test.", dns.TypeNS, 0, true, 1, 0},
		{"WWW.example.test.", dns.TypeA, 0, true, 2, 0},
		{"www.example.test.", dns.TypeCNAME, 0, true, 1, 0},
		{"away.example.test.", dns.TypeA, 0, true, 1, 0},
		{"x.wild.example.test.", dns.TypeA, 0, true, 1, 0},
		{"wild.example.test.", dns.TypeA, 0, true, 0, dns.TypeSOA},
		{"b.c.example.test.", dns.TypeA, 0, true, 0, dns.TypeSOA}, // empty non-terminal
		{"none.example.test.", dns.TypeA, dns.RcodeNameError, true, 0, dns.TypeSOA},
		{"x.target.example.test.", dns.TypeA, dns.RcodeNameError, true, 0, dns.TypeSOA},
		{"y.sub.example.test.", dns.TypeA, 0, false, 0, dns.TypeNS},
		{"sub.example.test.", dns.TypeDS, 0, true, 0, dns.TypeSOA},
		{"elsewhere.test.", dns.TypeA, dns.RcodeRefused, false, 0, 0},
	} {
		for _, network := range []string{"udp", "tcp"} {
			m := ask(t, s, network, tt.name, tt.qtype)
			ns := uint16(0)
			if len(m.Ns) > 0 {
				ns = m.Ns[0].Header().Rrtype
			}
			if m.Rcode != tt.rcode || m.Authoritative != tt.aa || len(m.Answer) != tt.answers || ns != tt.ns {
				t.Errorf("%s %s over %s:\n%s", tt.name, dns.TypeToString[tt.qtype], network, m)
			}
		}
	}
	if got := ask(t, s, "udp", "y.sub.example.test.", dns.TypeA); len(got.Extra) != 1 {
		t.Errorf("no glue: %s", got)
	}
	if n := len(s.Queries()); n != 25 {
		t.Errorf("%d queries in the log", n)
	}
}

func TestTruncates(t *testing.T) {
	zone := sample
	for range 8 {
		zone += "big TXT \"" + time.Now().String() + sample[len(sample)-170:len(sample)-3] + "\"\n"
	}
	server, err := Start(zone)
	s := start(t, server, err)
	if m := ask(t, s, "udp", "big.example.test.", dns.TypeTXT); !m.Truncated || m.Len() > dns.MinMsgSize {
		t.Errorf("truncated %v, %d octets", m.Truncated, m.Len())
	}
	if m := ask(t, s, "tcp", "big.example.test.", dns.TypeTXT); m.Truncated || len(m.Answer) < 2 {
		t.Errorf("%s", m)
	}
}

// A resolver keeps what it has cached, positive and negative, for as long as
// the TTL says.
func TestResolverCaches(t *testing.T) {
	server, err := Start(sample)
	s := start(t, server, err)
	server, err = StartResolver(s)
	r := start(t, server, err)
	var now atomic.Int64
	now.Store(1000)
	r.SetClock(func() time.Time { return time.Unix(now.Load(), 0) })
	if m := ask(t, r, "udp", "www.example.test.", dns.TypeA); len(m.Answer) != 2 || m.Authoritative {
		t.Fatalf("%s", m)
	}
	if m := ask(t, r, "udp", "new.example.test.", dns.TypeA); m.Rcode != dns.RcodeNameError {
		t.Fatalf("%s", m)
	}
	if err := s.SetZone(sample + "new A 192.0.2.9\n"); err != nil {
		t.Fatal(err)
	}
	now.Add(59)
	if m := ask(t, r, "udp", "new.example.test.", dns.TypeA); m.Rcode != dns.RcodeNameError {
		t.Errorf("the negative answer was forgotten early: %s", m)
	}
	if m := ask(t, r, "udp", "www.example.test.", dns.TypeCNAME); m.Answer[0].Header().Ttl > 300 {
		t.Errorf("%s", m)
	}
	if m := ask(t, r, "udp", "www.example.test.", dns.TypeA); m.Answer[0].Header().Ttl != 241 {
		t.Errorf("%s", m)
	}
	now.Add(1)
	if m := ask(t, r, "udp", "new.example.test.", dns.TypeA); len(m.Answer) != 1 {
		t.Errorf("the negative answer outlived its TTL: %s", m)
	}
	s.Behave(ServFail)
	if m := ask(t, r, "udp", "other.example.test.", dns.TypeA); m.Rcode != dns.RcodeServerFailure {
		t.Errorf("%s", m)
	}
}

func TestBadZones(t *testing.T) {
	for _, zone := range []string{"", "example.test. NS ns.", "@ SOA", "$ORIGIN a.test.\n@ 1 SOA ns h 1 2 3 4 5\nb.test. 1 A 192.0.2.1\n"} {
		if s, err := Start(zone); err == nil {
			t.Errorf("%q was taken", zone)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if _, err := StartAt("0.0.0.0:0"); err == nil {
		t.Error("listens to the world")
	}
}
