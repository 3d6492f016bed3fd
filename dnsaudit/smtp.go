package dnsaudit

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"net/textproto"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// certificate is what an exchange showed behind STARTTLS (RFC 3207).
type certificate struct {
	chain []*x509.Certificate
	err   error
}

// gatherTLS asks every exchange for its certificate, where that is asked for.
func (d *dossier) gatherTLS(ctx context.Context) {
	d.tls = map[string]certificate{}
	if !d.cfg.SMTP {
		return
	}
	for _, host := range d.mxHosts() {
		if !isIPName(host) {
			d.tls[host] = d.starttls(ctx, host)
		}
	}
}

func (d *dossier) starttls(ctx context.Context, host string) certificate {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, d.cfg.HTTPTimeout)
	defer cancel()
	chain, err := d.handshake(ctx, host)
	o := mailproof.Observation{
		Time: d.now, Domain: display(d.domain), Question: display(host), Type: "STARTTLS", Server: display(host) + ":25", Role: roleSMTP,
		Network: "tcp", Records: []string{}, Millis: time.Since(began).Milliseconds(),
	}
	for _, c := range chain {
		sum := sha256.Sum256(c.Raw)
		o.Records = append(o.Records, fmt.Sprintf("certificate %s, until %s, sha256 %s", c.Subject, c.NotAfter.UTC().Format(time.RFC3339), hex.EncodeToString(sum[:])))
	}
	if err != nil {
		o.Error = err.Error()
	}
	d.net.dns.keep(o)
	return certificate{chain, err}
}

// handshake speaks SMTP up to STARTTLS and returns the chain. No mail
// transaction is begun.
func (d *dossier) handshake(ctx context.Context, host string) ([]*x509.Certificate, error) {
	way, err := d.routeTo(ctx, display(host), "25")
	if err != nil {
		return nil, err
	}
	var used netip.Addr
	conn, err := d.dialRoute(ctx, "tcp", way, "25", &used)
	if err != nil {
		return nil, plainError(err)
	}
	defer func() { _ = conn.Close() }() // all that was wanted is read by then
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return nil, err
		}
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	text := textproto.NewConn(&limitedConn{conn, maxBody})
	if _, _, err := text.ReadResponse(220); err != nil {
		return nil, plainError(err)
	}
	for _, step := range []struct {
		command string
		code    int
	}{{"EHLO mailproof.invalid", 250}, {"STARTTLS", 220}} {
		if err := text.PrintfLine("%s", step.command); err != nil {
			return nil, plainError(err)
		}
		if _, _, err := text.ReadResponse(step.code); err != nil {
			return nil, fmt.Errorf("%s: %w", step.command, plainError(err))
		}
	}
	// DANE authenticates by the TLSA records; the certificate is judged there.
	client := tls.Client(conn, &tls.Config{ServerName: display(host), InsecureSkipVerify: true, Time: d.cfg.Now, MinVersion: tls.VersionTLS12})
	if err := client.HandshakeContext(ctx); err != nil {
		return nil, plainError(err)
	}
	return client.ConnectionState().PeerCertificates, nil
}

var errNoTLSA = errors.New("no usable TLSA record: only usages 2 and 3 count for SMTP (RFC 7672 §3.1)")

// matchTLSA reports whether a chain fits one of the TLSA records (RFC 6698
// §2.1, RFC 7672 §3.1).
func matchTLSA(records []dns.RR, chain []*x509.Certificate) error {
	usable := 0
	for _, rr := range records {
		t, ok := rr.(*dns.TLSA)
		if !ok || t.Usage != 2 && t.Usage != 3 {
			continue
		}
		usable++
		certs := chain
		if t.Usage == 3 {
			certs = chain[:min(len(chain), 1)]
		}
		for _, c := range certs {
			if fitsTLSA(t, c) {
				return nil
			}
		}
	}
	if usable == 0 {
		return errNoTLSA
	}
	return errors.New("the certificate fits no TLSA record")
}

func fitsTLSA(t *dns.TLSA, c *x509.Certificate) bool {
	raw := c.Raw
	switch t.Selector {
	case 0:
	case 1:
		raw = c.RawSubjectPublicKeyInfo
	default:
		return false
	}
	switch t.MatchingType {
	case 0:
	case 1:
		sum := sha256.Sum256(raw)
		raw = sum[:]
	case 2:
		sum := sha512.Sum512(raw)
		raw = sum[:]
	default:
		return false
	}
	want, err := hex.DecodeString(strings.ToLower(t.Certificate))
	return err == nil && subtle.ConstantTimeCompare(want, raw) == 1
}
