package dnsaudit

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"sort"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// Bounds of a list of recipients, and of the time one server may take.
const (
	maxRecipients = 20_000
	maxAddress    = 254 // octets (RFC 5321 §4.5.3.1.3, less the angle brackets)
	maxDialogue   = 64 << 20
	maxProbe      = time.Hour // for the addresses of one domain
)

// The checks of recipients.
const (
	CheckRecipients = "recipients.accepted"
	CheckControl    = "recipients.control"
)

// RecipientChecks describes the checks that [Recipients] makes. They are no
// part of an audit: they talk to the destination's mail server.
func RecipientChecks() []CheckInfo {
	return []CheckInfo{
		{CheckControl, "the destination refuses an address that nobody has: else its answers say nothing", "RFC 5321 §3.3", []mailproof.Phase{mailproof.Readiness}},
		{CheckRecipients, "the destination accepts every mailbox, alias and list at RCPT", "RFC 5321 §3.3", []mailproof.Phase{mailproof.Readiness}},
	}
}

// RecipientConfig says which addresses to ask the destination about.
type RecipientConfig struct {
	Recipients []string
	From       string            // envelope sender; empty: the null reverse-path
	Hosts      map[string]string // exchange → IP:PORT, where it is not found in DNS or not at port 25
	Timeout    time.Duration     // of each command; default 1 min
	Progress   func(done, total int)
}

// ParseRecipients reads a list of addresses, one a line. Blank lines and what
// follows a # at the start of a line are left out. The error names every line
// that is no address.
func ParseRecipients(r io.Reader) ([]string, error) {
	var out []string
	var bad []error
	seen := map[string]bool{}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(make([]byte, 0, 4096), 64<<10)
	for n := 1; scanner.Scan(); n++ {
		text := strings.TrimSpace(strings.TrimPrefix(scanner.Text(), "\ufeff"))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		address, err := parseRecipient(text)
		switch {
		case err != nil && len(bad) < 20:
			bad = append(bad, fmt.Errorf("line %d: %w", n, err))
		case err != nil, seen[address]:
		case len(out) == maxRecipients:
			return nil, fmt.Errorf("more than %d addresses", maxRecipients)
		default:
			seen[address] = true
			out = append(out, address)
		}
	}
	if err := errors.Join(append(bad, scanner.Err())...); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, errors.New("no address in it")
	}
	return out, nil
}

// parseRecipient reads one address and returns it with its domain as DNS has
// it.
func parseRecipient(text string) (string, error) {
	text = strings.TrimSuffix(strings.TrimPrefix(text, "<"), ">")
	at := strings.LastIndexByte(text, '@')
	if at <= 0 || at == len(text)-1 {
		return "", errors.New("no address: write LOCAL@DOMAIN")
	}
	local := text[:at]
	if strings.ContainsFunc(local, func(c rune) bool { return c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '\ufffd' }) {
		return "", errors.New("the part before the @ holds a blank, a bracket or a control character")
	}
	domain, err := asciiName(text[at+1:])
	if err != nil {
		return "", errors.New("the part behind the @ is no domain")
	}
	address := local + "@" + display(domain)
	if len(address) > maxAddress {
		return "", fmt.Errorf("longer than %d octets", maxAddress)
	}
	return address, nil
}

// Recipients asks the destination's exchanges whether they take mail for each
// address, by MAIL and RCPT without ever sending DATA. A made-up address is
// asked about first: where that is accepted too, the answers say nothing and
// are unknown. Of c the profile, the way to the name servers and Dial are used.
func Recipients(ctx context.Context, c Config, r RecipientConfig) ([]mailproof.Finding, []mailproof.Observation, error) {
	byDomain := map[string][]string{}
	for _, text := range r.Recipients {
		address, err := parseRecipient(text)
		if err != nil {
			return nil, nil, fmt.Errorf("recipients: %q: %w", text, err)
		}
		domain := address[strings.LastIndexByte(address, '@')+1:]
		byDomain[domain] = append(byDomain[domain], address)
	}
	c.Domains, c.Phase = nil, mailproof.Readiness
	for domain := range byDomain {
		c.Domains = append(c.Domains, domain)
	}
	sort.Strings(c.Domains)
	domains, err := c.complete()
	if err != nil {
		return nil, nil, err
	}
	if r.From != "" {
		if r.From, err = parseRecipient(r.From); err != nil {
			return nil, nil, fmt.Errorf("recipients: sender: %w", err)
		}
	}
	if r.Timeout <= 0 {
		r.Timeout = time.Minute
	}
	n, err := c.network()
	if err != nil {
		return nil, nil, err
	}
	p := &prober{c: &c, r: r, net: n, total: len(r.Recipients)}
	for name, addr := range r.Hosts {
		if _, err := netip.ParseAddrPort(addr); err != nil {
			return nil, nil, fmt.Errorf("recipients: exchange %s: %q is not IP:PORT", name, addr)
		}
	}
	var out []mailproof.Finding
	for _, domain := range domains {
		out = append(out, p.domain(ctx, domain, byDomain[display(domain)])...)
	}
	if err := ctx.Err(); err != nil {
		return out, n.dns.Observations(), fmt.Errorf("recipients: %w", err)
	}
	return out, n.dns.Observations(), nil
}

type prober struct {
	c     *Config
	r     RecipientConfig
	net   *network
	total int
	done  int
}

// answer is what a server said of one address.
type answer struct {
	address string
	code    int    // 0: nothing
	text    string // of the server, or why there is none
	gone    bool   // and the connection is lost
}

func (a answer) accepted() bool { return a.code == 250 || a.code == 251 }
func (a answer) refused() bool  { return a.code >= 500 }

// aboutUs reports whether a refusal speaks of who asks, or of the whole
// domain, rather than of the address (RFC 3463 §3.8).
func (a answer) aboutUs() bool { return a.refused() && !strings.HasPrefix(a.text, "5.1.") }

func (a answer) String() string {
	if a.code == 0 {
		return a.text
	}
	return fmt.Sprintf("%d %s", a.code, a.text)
}

// domain asks about the addresses of one domain.
func (p *prober) domain(ctx context.Context, domain string, addresses []string) []mailproof.Finding {
	began := p.c.Now()
	ctx, cancel := context.WithTimeout(ctx, maxProbe)
	defer cancel()
	host, control, answers, err := p.ask(ctx, domain, addresses)
	p.done += len(addresses)
	if p.r.Progress != nil {
		p.r.Progress(p.done, p.total)
	}
	findings := judgeRecipients(host, control, answers, addresses, err)
	for i := range findings {
		f := &findings[i]
		f.Domain, f.Phase, f.Time, f.Reference = display(domain), mailproof.Readiness, began, "RFC 5321 §3.3"
	}
	return findings
}

// judgeRecipients turns the answers of one server into findings.
func judgeRecipients(host string, control answer, answers []answer, addresses []string, err error) []mailproof.Finding {
	const expected = "every address is accepted at RCPT"
	ctrl := mailproof.Finding{Check: CheckControl, Expected: "a made-up address is refused", Observed: host + ": " + control.String()}
	unclear := func(why, remedy string) []mailproof.Finding {
		ctrl.Outcome, ctrl.Remedy = unknown, remedy
		return []mailproof.Finding{ctrl, {Check: CheckRecipients, Outcome: unknown, Expected: expected,
			Observed: fmt.Sprintf("%d addresses: %s", len(addresses), why), Remedy: remedy}}
	}
	switch {
	case control.accepted():
		return unclear("the server accepts an address that nobody has, so that its answers say nothing", "ask at a server that knows its mailboxes, with --smtp, or compare the list with the provider's console")
	case control.code == 0:
		if err != nil {
			ctrl.Observed = err.Error()
		}
		return unclear("not asked: "+strings.TrimPrefix(ctrl.Observed, host+": "), "make sure that this machine can reach the destination's port 25, or name the server with --smtp HOST=IP:PORT")
	case !control.refused():
		return unclear("the server puts off an address that nobody has: "+control.String(), "run the check again after some minutes: greylisting lets pass who comes back")
	}
	var accepted, refused, open []answer
	for _, a := range answers {
		switch {
		case a.accepted():
			accepted = append(accepted, a)
		case a.refused():
			refused = append(refused, a)
		default:
			open = append(open, a)
		}
	}
	if len(accepted) == 0 && len(refused) > 0 && control.aboutUs() && allAboutUs(refused) {
		return unclear("every address is refused, the made-up one in the same words: "+control.String(),
			"the server may refuse this machine, or may not have the domain yet: read its words")
	}
	ctrl.Outcome = pass
	sum := mailproof.Finding{Check: CheckRecipients, Outcome: pass, Expected: expected, Observed: fmt.Sprintf("%s accepts %d of %d addresses", host, len(accepted), len(addresses))}
	out := []mailproof.Finding{ctrl, sum}
	for _, a := range refused {
		out = append(out, mailproof.Finding{Check: CheckRecipients, Account: a.address, Outcome: fail, Expected: expected,
			Observed: a.address + ": " + a.String(), Remedy: "create " + a.address + " at the destination, or take it from the list"})
	}
	for _, a := range open {
		out = append(out, mailproof.Finding{Check: CheckRecipients, Account: a.address, Outcome: unknown, Expected: expected,
			Observed: a.address + ": " + a.String(), Remedy: "run the check again after some minutes"})
	}
	if len(refused)+len(open) > 0 {
		out[1].Outcome = info // the findings behind it say what fails
	}
	return out
}

func allAboutUs(list []answer) bool {
	for _, a := range list {
		if !a.aboutUs() {
			return false
		}
	}
	return true
}

// ask finds an exchange that answers and asks it, on one connection.
func (p *prober) ask(ctx context.Context, domain string, addresses []string) (host string, control answer, answers []answer, err error) {
	hosts, err := p.exchanges(ctx, domain)
	if err != nil {
		return "", answer{}, nil, err
	}
	for _, host = range hosts {
		var s *session
		if s, err = p.connect(ctx, domain, host); err != nil {
			err = fmt.Errorf("%s: %w", display(host), err)
			p.observe(domain, host, nil, err)
			continue
		}
		control, answers, err = s.askAll(ctx, p.r.From, madeUp(domain), addresses)
		s.quit()
		p.observe(domain, host, append([]answer{control}, answers...), err)
		return display(host), control, answers, err
	}
	return "", answer{}, nil, err
}

// madeUp is an address that nobody has.
func madeUp(domain string) string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // it never fails
	return "mailproof-probe-" + hex.EncodeToString(b[:]) + "@" + display(domain)
}

// exchanges are those of the destination for the domain: the ones that its
// profile names, those in DNS that fit it, and else the ones given by hand.
func (p *prober) exchanges(ctx context.Context, domain string) ([]string, error) {
	var out []string
	d := &dossier{domain: domain, cfg: p.c, net: p.net, now: p.c.Now(), views: map[lookupKey]*View{}}
	for _, set := range p.c.Profile.MX {
		for _, entry := range set {
			if e, err := parseMXEntry(entry); err == nil && !strings.Contains(e.pattern, "*") {
				out = union(out, []string{dns.CanonicalName(expand(e.pattern, domain))})
			}
		}
	}
	if len(out) == 0 {
		got := p.net.lookup(ctx, question{domain: domain, name: domain, qtype: dns.TypeMX, role: roleAuthoritative}, 0)
		for _, e := range (variant{records: got.Records}).exchanges() {
			if p.c.Profile.isMX(e.host, d.domain) {
				out = union(out, []string{e.host})
			}
		}
		if got.Err != nil && len(p.r.Hosts) == 0 {
			return nil, fmt.Errorf("the MX of %s: %w", display(domain), got.Err)
		}
	}
	var given []string
	for name := range p.r.Hosts {
		given = append(given, dns.CanonicalName(name))
	}
	sort.Strings(given)
	if len(given) > 0 && len(missing(given, out)) == len(given) {
		out = given // none of them is known otherwise: they are meant to be asked
	}
	if len(out) == 0 {
		return nil, errors.New("no exchange of the destination is known: neither its profile nor the domain's MX names one")
	}
	return out, nil
}

// observe keeps what a server said.
func (p *prober) observe(domain, host string, answers []answer, err error) {
	o := mailproof.Observation{Time: p.c.Now(), Domain: display(domain), Question: display(host), Type: "RCPT", Server: display(host), Role: roleSMTP, Network: "tcp", Records: []string{}}
	for _, a := range answers {
		o.Records = append(o.Records, oneLine(a.address+": "+a.String()))
	}
	if err != nil {
		o.Error = oneLine(err.Error())
	}
	p.net.dns.keep(o)
}

// session is one SMTP connection on which no mail is sent.
type session struct {
	conn    net.Conn
	text    *textproto.Conn
	timeout time.Duration
	utf8    bool // SMTPUTF8 (RFC 6531)
	stop    func() bool
}

// connect dials an exchange and says EHLO, behind TLS where it is offered. The
// certificate is not judged here: nothing is sent that would need it, and
// dane.match judges it.
func (p *prober) connect(ctx context.Context, domain, host string) (*session, error) {
	conn, err := p.dial(ctx, domain, host)
	if err != nil {
		return nil, plainError(err)
	}
	s := &session{timeout: p.r.Timeout}
	s.use(conn)
	s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	if err := s.greet(ctx, host, p.c.Now); err != nil {
		s.close()
		return nil, plainError(err)
	}
	return s, nil
}

func (s *session) use(conn net.Conn) {
	s.conn, s.text = conn, textproto.NewConn(&limitedConn{conn, maxDialogue})
}

func (s *session) greet(ctx context.Context, host string, now func() time.Time) error {
	if err := s.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return err
	}
	if _, _, err := s.text.ReadResponse(220); err != nil {
		return err
	}
	offers, err := s.hello()
	if err != nil || !strings.Contains(offers, "\nSTARTTLS") {
		return err
	}
	if code, text := s.command("STARTTLS"); code != 220 {
		return fmt.Errorf("STARTTLS: %d %s", code, text)
	}
	client := tls.Client(s.conn, &tls.Config{ServerName: display(host), InsecureSkipVerify: true, Time: now, MinVersion: tls.VersionTLS12})
	if err := client.HandshakeContext(ctx); err != nil {
		return err
	}
	s.use(client)
	_, err = s.hello()
	return err
}

// hello says EHLO and returns what is offered, a line each, in upper case.
func (s *session) hello() (string, error) {
	if err := s.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return "", err
	}
	if err := s.text.PrintfLine("EHLO mailproof.invalid"); err != nil {
		return "", err
	}
	_, text, err := s.text.ReadResponse(250)
	text = strings.ToUpper(text)
	s.utf8 = strings.Contains(text, "\nSMTPUTF8")
	return text, err
}

// command sends one line and returns the reply; code 0 where there is none.
func (s *session) command(line string) (int, string) {
	if err := s.conn.SetDeadline(time.Now().Add(s.timeout)); err != nil {
		return 0, err.Error()
	}
	if err := s.text.PrintfLine("%s", line); err != nil {
		return 0, plainError(err).Error()
	}
	code, text, err := s.text.ReadResponse(0)
	if err != nil {
		var reply *textproto.Error
		if !errors.As(err, &reply) {
			return 0, plainError(err).Error()
		}
	}
	return code, shorten(oneLine(text))
}

// askAll asks about the made-up address, then about the others, one
// transaction each: servers refuse several recipients of the null sender, and
// bound those of any other.
func (s *session) askAll(ctx context.Context, from, control string, addresses []string) (answer, []answer, error) {
	first := s.ask(from, control)
	if !first.refused() {
		return first, nil, nil
	}
	out := make([]answer, 0, len(addresses))
	lost := ""
	if first.gone {
		lost = "the connection ended behind the made-up address"
	}
	for _, address := range addresses {
		if lost == "" && ctx.Err() != nil {
			lost = ctx.Err().Error()
		}
		if lost != "" {
			out = append(out, answer{address: address, text: "not asked: " + lost})
			continue
		}
		a := s.ask(from, address)
		if a.gone {
			lost = "the connection ended behind " + address
		}
		out = append(out, a)
	}
	return first, out, ctx.Err()
}

// ask makes one mail transaction up to RCPT and takes it back.
func (s *session) ask(from, address string) answer {
	option := ""
	if !isASCII(address) || !isASCII(from) {
		if !s.utf8 {
			return answer{address: address, text: "the server does not offer SMTPUTF8 (RFC 6531)"}
		}
		option = " SMTPUTF8"
	}
	gone := func(code int) bool { return code == 0 || code == 421 }
	if code, text := s.command("MAIL FROM:<" + from + ">" + option); code != 250 {
		return answer{address: address, text: strings.TrimSpace(fmt.Sprintf("MAIL FROM:<%s>: %d %s", from, code, text)), gone: gone(code)}
	}
	code, text := s.command("RCPT TO:<" + address + ">")
	a := answer{address, code, text, gone(code)}
	if !a.gone {
		reset, _ := s.command("RSET")
		a.gone = reset != 250
	}
	return a
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > 0x7e })
}

// quit says goodbye; the answers are there, whatever becomes of it.
func (s *session) quit() {
	_, _ = s.command("QUIT")
	s.close()
}

func (s *session) close() {
	s.stop()
	_ = s.conn.Close()
}

// dial opens a connection to an exchange, at the address given for it or at
// port 25 of one that DNS has.
func (p *prober) dial(ctx context.Context, domain, host string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, p.c.HTTPTimeout)
	defer cancel()
	for name, addr := range p.r.Hosts {
		if dns.CanonicalName(name) == host {
			return p.c.Dial(ctx, "tcp", addr)
		}
	}
	d := &dossier{domain: domain, cfg: p.c, net: p.net, now: p.c.Now(), views: map[lookupKey]*View{}}
	way, err := d.addressesOf(ctx, host)
	if err != nil {
		return nil, err
	}
	var used netip.Addr
	return d.dialAny(ctx, "tcp", way.addrs, "25", &used)
}
