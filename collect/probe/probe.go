// Package probe finds out where mail for an address arrives: it sends one
// message through the domain's mail exchanges, as any sender would, and looks
// for it on both sides of an account.
//
// It is the one room that sends mail, one message for each call of [Send], and
// only to the address that it is given. Mailboxes are looked at through
// [Mailboxes], which has no method that writes: EXAMINE and BODY.PEEK, as an
// inventory does. It keeps nothing and judges nothing.
//
// Sections: RFC 5321 §3.3 (mail transaction), §5.1 (mail exchanges), RFC 3207
// (STARTTLS), RFC 7435 (opportunistic security), RFC 7505 (null MX), RFC 5322
// §3.6.4 (Message-ID), RFC 3834 §5 (Auto-Submitted).
package probe

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/smtp"
	"net/textproto"
	"sort"
	"strings"
	"time"

	"golang.org/x/net/idna"
)

// Message is a probe message. Make one with [New].
type Message struct {
	From, To string
	// ID is the Message-ID with its brackets; no other message has it.
	ID   string
	Date time.Time
}

// New makes a message between two addresses.
func New(from, to string) (Message, error) {
	domain, err := domainOf(from)
	if err != nil {
		return Message{}, fmt.Errorf("sender %q: %w", from, err)
	}
	if _, err := domainOf(to); err != nil {
		return Message{}, fmt.Errorf("recipient %q: %w", to, err)
	}
	var random [12]byte
	if _, err := rand.Read(random[:]); err != nil {
		return Message{}, err
	}
	return Message{From: from, To: to, ID: "<probe." + hex.EncodeToString(random[:]) + "@" + domain + ">", Date: time.Now()}, nil
}

// domainOf is the domain of an address as DNS has it. Whatever could end a line
// of SMTP or of a header is refused.
func domainOf(address string) (string, error) {
	at := strings.LastIndexByte(address, '@')
	if at <= 0 || at == len(address)-1 {
		return "", errors.New("no address: write LOCAL@DOMAIN")
	}
	if strings.ContainsFunc(address, func(c rune) bool { return c <= ' ' || c >= 0x7f && c < 0xa0 || c == '<' || c == '>' || c == '\ufffd' }) {
		return "", errors.New("holds a blank, a bracket or a control character")
	}
	domain, err := idna.Lookup.ToASCII(address[at+1:])
	if err != nil {
		return "", errors.New("the part behind the @ is no domain")
	}
	return domain, nil
}

// Domain is the recipient's domain as DNS has it.
func (m Message) Domain() string {
	domain, _ := domainOf(m.To) // New has seen to it
	return domain
}

// Bytes is the message as it is sent (RFC 5322).
func (m Message) Bytes() []byte {
	return []byte("From: <" + m.From + ">\r\nTo: <" + m.To + ">\r\nSubject: mailproof probe, please ignore\r\n" +
		"Date: " + m.Date.Format("Mon, 02 Jan 2006 15:04:05 -0700") + "\r\nMessage-ID: " + m.ID + "\r\nAuto-Submitted: auto-generated\r\n" +
		"X-Auto-Response-Suppress: All\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n" +
		"This message shows where mail for this address arrives while its mailbox is\r\nbeing moved. It can be deleted.\r\n")
}

// Route is how a message is sent.
type Route struct {
	// Resolver is the name server asked for mail exchanges, IP:PORT; empty: the
	// system's.
	Resolver string
	// Hosts tells where single exchanges answer, HOST to IP:PORT, where that
	// is not at port 25 of their address in DNS.
	Hosts map[string]string
	// Timeout bounds the talk with each exchange; default 1 min.
	Timeout time.Duration
}

// Receipt is the word of the exchange that took the message.
type Receipt struct {
	Exchange string // "mx1.example.com 192.0.2.25:25"
	TLS      string // "TLS 1.3"; empty: none was offered
	Reply    string // to the end of the message
	Sent     time.Time
}

// ErrRefused says that an exchange refused the message for good: the others are
// not asked (RFC 5321 §5.1).
var ErrRefused = errors.New("the mail exchange refused the message")

// Send hands the message to the first of the domain's exchanges that takes it,
// by preference. No certificate is verified: a sender that finds no DANE and no
// MTA-STS does not either, and what is to be known is where mail goes.
func Send(ctx context.Context, m Message, r Route) (Receipt, error) {
	hosts, err := r.exchanges(ctx, m.Domain())
	if err != nil {
		return Receipt{}, err
	}
	var errs []error
	for _, host := range hosts {
		receipt, err := r.deliver(ctx, host, m)
		if err == nil {
			return receipt, nil
		}
		errs = append(errs, fmt.Errorf("%s: %w", host, err))
		if errors.Is(err, ErrRefused) || ctx.Err() != nil {
			break
		}
	}
	return Receipt{}, errors.Join(errs...)
}

func (r Route) resolver() *net.Resolver {
	if r.Resolver == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, r.Resolver)
	}}
}

// exchanges are the hosts to try, by preference; a domain without MX is its own
// (RFC 5321 §5.1).
func (r Route) exchanges(ctx context.Context, domain string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	records, err := r.resolver().LookupMX(ctx, domain+".")
	var dnsError *net.DNSError
	switch {
	case errors.As(err, &dnsError) && dnsError.IsNotFound:
		return []string{domain}, nil
	case err != nil && len(records) == 0:
		return nil, fmt.Errorf("mail exchanges of %s: %w", domain, err)
	}
	sort.SliceStable(records, func(i, j int) bool { return records[i].Pref < records[j].Pref })
	var hosts []string
	for _, mx := range records {
		if host := strings.TrimSuffix(mx.Host, "."); host != "" {
			hosts = append(hosts, host)
		}
	}
	if len(hosts) == 0 {
		return nil, fmt.Errorf("%s takes no mail: it has a null MX (RFC 7505)", domain)
	}
	return hosts, nil
}

func (r Route) timeout() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return time.Minute
}

// dial connects to an exchange.
func (r Route) dial(ctx context.Context, host string) (net.Conn, error) {
	var d net.Dialer
	if addr := r.Hosts[strings.ToLower(host)]; addr != "" {
		return d.DialContext(ctx, "tcp", addr)
	}
	addrs, err := r.resolver().LookupIPAddr(ctx, host+".")
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, a := range addrs {
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(a.IP.String(), "25"))
		if err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// deliver is one mail transaction.
func (r Route) deliver(ctx context.Context, host string, m Message) (_ Receipt, err error) {
	ctx, cancel := context.WithTimeout(ctx, r.timeout())
	defer cancel()
	conn, err := r.dial(ctx, host)
	if err != nil {
		return Receipt{}, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends whatever waits on it
	defer stop()
	defer func() { err = plain(ctx, err) }()
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return Receipt{}, errors.Join(err, conn.Close())
	}
	defer func() { _ = c.Close() }() // the outcome is known by then
	receipt := Receipt{Exchange: host + " " + conn.RemoteAddr().String()}
	helo, _ := domainOf(m.From)
	if err := c.Hello(helo); err != nil {
		return receipt, err
	}
	if ok, _ := c.Extension("STARTTLS"); ok {
		if err := c.StartTLS(&tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}); err != nil {
			return receipt, fmt.Errorf("STARTTLS: %w", err)
		}
		if state, ok := c.TLSConnectionState(); ok {
			receipt.TLS = tls.VersionName(state.Version)
		}
	}
	if err := c.Mail(m.From); err != nil {
		return receipt, fmt.Errorf("MAIL FROM: %w", err)
	}
	if err := c.Rcpt(m.To); err != nil {
		return receipt, fmt.Errorf("RCPT TO: %w", err)
	}
	return receipt.send(c, m)
}

// send sends the text and keeps the words of the answer, which net/smtp drops.
func (receipt Receipt) send(c *smtp.Client, m Message) (Receipt, error) {
	id, err := c.Text.Cmd("DATA")
	if err != nil {
		return receipt, err
	}
	c.Text.StartResponse(id)
	_, _, err = c.Text.ReadResponse(354)
	c.Text.EndResponse(id)
	if err != nil {
		return receipt, fmt.Errorf("DATA: %w", err)
	}
	w := c.Text.DotWriter()
	if _, err := w.Write(m.Bytes()); err != nil {
		return receipt, err
	}
	if err := w.Close(); err != nil {
		return receipt, err
	}
	code, text, err := c.Text.ReadResponse(250)
	if err != nil {
		return receipt, fmt.Errorf("end of the message: %w", err)
	}
	receipt.Reply, receipt.Sent = fmt.Sprintf("%d %s", code, strings.ReplaceAll(text, "\n", " ")), time.Now()
	_ = c.Quit() // the message is taken: RFC 5321 §4.1.1.10 asks for no more
	return receipt, nil
}

// plain names a refusal for good, and the time that ran out.
func plain(ctx context.Context, err error) error {
	var answer *textproto.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &answer) && answer.Code >= 500:
		return fmt.Errorf("%w: %w", ErrRefused, err)
	case ctx.Err() != nil:
		return fmt.Errorf("no answer in time: %w", ctx.Err())
	}
	return err
}
