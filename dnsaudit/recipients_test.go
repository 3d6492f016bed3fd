package dnsaudit

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// mailHost is a scripted SMTP server: it answers each RCPT as it is told, and
// keeps what it was sent.
type mailHost struct {
	addr string
	mu   sync.Mutex
	log  []string
}

func startMailHost(t testing.TB, offers string, rcpt func(address string) string) *mailHost {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &mailHost{addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() { defer wg.Done(); h.serve(conn, offers, rcpt) }()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); wg.Wait() })
	return h
}

func (h *mailHost) serve(conn net.Conn, offers string, rcpt func(string) string) {
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprint(conn, "220 mx.test ready\r\n")
	in := bufio.NewScanner(conn)
	for in.Scan() {
		line := in.Text()
		h.mu.Lock()
		h.log = append(h.log, line)
		h.mu.Unlock()
		reply := "250 2.0.0 ok"
		switch verb, _, _ := strings.Cut(line, ":"); {
		case strings.HasPrefix(line, "EHLO"):
			reply = "250-mx.test\r\n" + offers + "250 PIPELINING"
		case verb == "RCPT TO":
			reply = rcpt(strings.Trim(line[len("RCPT TO:"):], "<>"))
		case line == "QUIT":
			_, _ = fmt.Fprint(conn, "221 bye\r\n")
			return
		}
		if reply == "" {
			return
		}
		_, _ = fmt.Fprint(conn, reply+"\r\n")
	}
}

func (h *mailHost) lines() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string(nil), h.log...)
}

// some accepts the addresses whose local part is one of the names.
func some(names ...string) func(string) string {
	return func(address string) string {
		for _, n := range names {
			if strings.HasPrefix(address, n+"@") {
				return "250 2.1.5 ok"
			}
		}
		return "550 5.1.1 no such user"
	}
}

func TestRecipients(t *testing.T) {
	const list = "anna@example.test\nsales@example.test\n"
	for _, tt := range []struct {
		name             string
		rcpt             func(string) string
		list             string
		offers           string
		control, outcome mailproof.Outcome // of the worst finding of each check
		observed         string
	}{
		{name: "all there", rcpt: some("anna", "sales"), control: pass, outcome: pass, observed: "accepts 2 of 2"},
		{name: "forwarded", rcpt: func(a string) string { return strings.Replace(some("anna", "sales")(a), "250", "251", 1) }, control: pass, outcome: pass},
		{name: "one missing", rcpt: some("anna"), control: pass, outcome: fail, observed: "sales@example.test: 550 5.1.1 no such user"},
		{name: "none there", rcpt: some(), control: pass, outcome: fail},
		{name: "accepts everything", rcpt: func(string) string { return "250 ok" }, control: unknown, outcome: unknown, observed: "accepts an address that nobody has"},
		{name: "cannot verify", rcpt: func(a string) string { return strings.Replace(some("anna")(a), "250", "252", 1) }, control: pass, outcome: fail},
		{name: "greylisting", rcpt: func(string) string { return "451 4.7.1 come back later" }, control: unknown, outcome: unknown},
		{name: "greylisting of one", rcpt: func(a string) string {
			if strings.HasPrefix(a, "anna") {
				return "450 4.2.1 later"
			}
			return some("sales")(a)
		}, control: pass, outcome: unknown, observed: "anna@example.test: 450"},
		{name: "we are refused", rcpt: func(string) string { return "554 5.7.1 client host blocked" }, control: unknown, outcome: unknown, observed: "client host blocked"},
		{name: "no enhanced codes, some accepted", rcpt: func(a string) string { return strings.Replace(some("anna")(a), "5.1.1 ", "", 1) }, control: pass, outcome: fail},
		{name: "hangs up", rcpt: func(a string) string {
			if strings.HasPrefix(a, "mailproof") {
				return "550 5.1.1 no"
			}
			return ""
		}, control: pass, outcome: unknown, observed: "anna@example.test: EOF"},
		{name: "closes with 421", rcpt: func(a string) string {
			if strings.HasPrefix(a, "mailproof") {
				return "550 5.1.1 no"
			}
			return "421 4.3.2 too many errors"
		}, control: pass, outcome: unknown},
		{name: "hangs up at once", rcpt: func(string) string { return "" }, control: unknown, outcome: unknown},
		{name: "no SMTP", rcpt: func(string) string { return "hello" }, control: unknown, outcome: unknown},
		{name: "SMTPUTF8 not offered", list: "jürgen@example.test\nanna@example.test\n", rcpt: some("anna"), control: pass, outcome: unknown, observed: "SMTPUTF8"},
		{name: "SMTPUTF8", list: "jürgen@example.test\n", offers: "250-SMTPUTF8\r\n", rcpt: some("jürgen"), control: pass, outcome: pass},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := startMailHost(t, tt.offers, tt.rcpt)
			if tt.list == "" {
				tt.list = list
			}
			addresses, err := ParseRecipients(strings.NewReader(tt.list))
			if err != nil {
				t.Fatal(err)
			}
			c := Config{Profile: testProfile(t, "newhost"), Servers: map[string]string{".": "127.0.0.1:1"}}
			findings, observations, err := Recipients(context.Background(), c, RecipientConfig{Recipients: addresses, Timeout: 20 * time.Second,
				Hosts: map[string]string{"mx1.newhost.test": h.addr}})
			if err != nil {
				t.Fatal(err)
			}
			r := Report{Findings: findings}
			expect(t, r, CheckControl, tt.control)
			f := expect(t, r, CheckRecipients, tt.outcome)
			if !strings.Contains(f.Observed, tt.observed) {
				t.Errorf("observed %q, want %q in it", f.Observed, tt.observed)
			}
			politeness(t, h.lines())
			if len(observations) == 0 || observations[len(observations)-1].Role != roleSMTP {
				t.Error("nothing of it was kept")
			}
			for _, f := range findings {
				if (f.Outcome == fail || f.Outcome == unknown) == (f.Remedy == "") {
					t.Errorf("%s %s: remedy %q", f.Check, f.Outcome, f.Remedy)
				}
			}
		})
	}
}

// politeness: one connection, no DATA ever, the null sender, and each
// transaction taken back.
func politeness(t *testing.T, log []string) {
	t.Helper()
	n := map[string]int{}
	for _, line := range log {
		verb, _, _ := strings.Cut(strings.ReplaceAll(line, ":", " "), " ")
		n[verb]++
		switch verb {
		case "EHLO", "RCPT", "RSET", "QUIT":
		case "MAIL":
			if !strings.HasPrefix(line, "MAIL FROM:<>") {
				t.Errorf("sender: %q", line)
			}
		default:
			t.Errorf("the server was sent %q", line)
		}
	}
	if n["EHLO"] > 1 || n["MAIL"] != n["RCPT"] || n["RCPT"]-n["RSET"] > 1 {
		t.Errorf("commands: %v", n)
	}
}

// Without anybody to ask nothing is known.
func TestRecipientsNowhere(t *testing.T) {
	w := newWorld(t, p2, zoneFile(t, "before.zone"))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("tcp", "127.0.0.1:0") // the system takes the connection, nobody speaks
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	noMX := testProfile(t, "newhost")
	noMX.MX = nil
	for name, r := range map[string]struct {
		profile Profile
		hosts   map[string]string
	}{
		"nobody listens":  {w.cfg.Profile, map[string]string{"mx1.newhost.test": closed, "mx2.newhost.test": closed}},
		"nobody speaks":   {w.cfg.Profile, map[string]string{"mx1.newhost.test": silent.Addr().String(), "mx2.newhost.test": silent.Addr().String()}},
		"no exchange":     {noMX, nil},
		"name not in DNS": {w.cfg.Profile, nil},
	} {
		c := w.cfg
		c.Profile = r.profile
		if name == "name not in DNS" {
			c.Servers = map[string]string{".": closed}
			c.Resolvers = nil
		}
		findings, _, err := Recipients(context.Background(), c, RecipientConfig{Recipients: []string{"anna@example.test"}, Hosts: r.hosts, Timeout: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		expect(t, Report{Findings: findings}, CheckControl, unknown)
		expect(t, Report{Findings: findings}, CheckRecipients, unknown)
	}
}

// Where the profile names a pattern only, the exchange is that of the domain's
// MX which fits it, and never the old one.
func TestRecipientExchanges(t *testing.T) {
	w := newWorld(t, p2, edit(t, zoneFile(t, "moved.zone"), "@ MX 20 mx2.newhost.test.", "@ MX 20 mx.oldhost.test."))
	pattern := testProfile(t, "newhost")
	pattern.MX = [][]string{{"*.newhost.test"}}
	for name, tt := range map[string]struct {
		profile Profile
		hosts   map[string]string
		want    string
	}{
		"profile":       {w.cfg.Profile, nil, "mx1.newhost.test. mx2.newhost.test."},
		"pattern":       {pattern, nil, "mx1.newhost.test."},
		"override":      {w.cfg.Profile, map[string]string{"mx2.newhost.test": "127.0.0.1:2525"}, "mx1.newhost.test. mx2.newhost.test."},
		"given by hand": {w.cfg.Profile, map[string]string{"relay.newhost.test": "127.0.0.1:2525"}, "relay.newhost.test."},
	} {
		c := w.cfg
		c.Profile = tt.profile
		if _, err := c.complete(); err != nil {
			t.Fatal(err)
		}
		n, err := c.network()
		if err != nil {
			t.Fatal(err)
		}
		p := &prober{c: &c, r: RecipientConfig{Hosts: tt.hosts}, net: n}
		got, err := p.exchanges(context.Background(), "example.test.")
		if err != nil || strings.Join(got, " ") != tt.want {
			t.Errorf("%s: %v, %v, want %s", name, got, err, tt.want)
		}
	}
}

func TestParseRecipients(t *testing.T) {
	got, err := ParseRecipients(strings.NewReader("\ufeff# staff\r\nAnna.B+x@Example.test\r\n\r\n <bob@müller.test> \nAnna.B+x@example.test\n"))
	if err != nil || strings.Join(got, " ") != "Anna.B+x@example.test bob@xn--mller-kva.test" {
		t.Errorf("%q, %v", got, err)
	}
	for _, bad := range []string{"", "# none\n", "anna\n", "@example.test\n", "a b@example.test\n", "a>@example.test\n", "a@b c\n", "a@" + strings.Repeat("x", 64) + ".test\n"} {
		if got, err := ParseRecipients(strings.NewReader(bad)); err == nil {
			t.Errorf("%q: %q", bad, got)
		}
	}
	_, err = ParseRecipients(strings.NewReader("a@example.test\nb\nc\n"))
	if err == nil || !strings.Contains(err.Error(), "line 2") || !strings.Contains(err.Error(), "line 3") {
		t.Errorf("not every line is named: %v", err)
	}
}

// Whatever a list holds, no line of it can become a command of its own.
func FuzzRecipients(f *testing.F) {
	f.Add("anna@example.test\nDATA\r\n")
	f.Add("a\rb@example.test")
	f.Add("\"a b\"@example.test")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ParseRecipients(strings.NewReader(text))
		if err != nil {
			return
		}
		for _, a := range list {
			if strings.ContainsAny(a, "\r\n <>\x00") || len(a) > maxAddress || !strings.Contains(a, "@") {
				t.Fatalf("%q", a)
			}
		}
	})
}
