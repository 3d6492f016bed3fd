package dnsaudit

import (
	"crypto/x509"
	"fmt"
	"strings"

	"github.com/mailproof/mailproof"
)

var certificateChecks = []check{
	{CheckInfo{"mx.cert", "the certificate that an exchange shows behind STARTTLS is valid for its name", "RFC 8461 §4.2", always}, mxCertificate},
}

// mxCertificate judges what the STARTTLS probe found. Senders look at the
// certificate only where an MTA-STS policy in mode enforce makes them; without
// one a bad certificate costs no mail.
func mxCertificate(d *dossier) []mailproof.Finding {
	const expected = "a certificate for the name of every exchange, signed by a public authority"
	if !d.cfg.SMTP {
		return one(info, expected, "not probed", "ask the exchanges for their certificates with --starttls")
	}
	hosts := d.mxHosts()
	if len(hosts) == 0 {
		return one(unknown, expected, d.mx().observed(), askAgain)
	}
	bad := warn
	switch p, _, problem := d.stsProblem(); {
	case d.stsRecord() == "" && d.stsUnknown():
		bad = unknown
	case d.stsRecord() == "":
	case problem != "":
		bad = unknown // what it costs depends on a policy that is not known
	case p.mode == "enforce":
		bad = fail
	}
	f := mailproof.Finding{Outcome: pass, Expected: expected}
	var seen, remedies []string
	for _, host := range hosts {
		c, asked := d.tls[host]
		if !asked {
			continue // an IP address, which is the business of mx.ip
		}
		outcome, text := pass, "valid"
		switch err := d.verify(host, c); {
		case c.err != nil:
			outcome, text = unknown, c.err.Error()
			remedies = union(remedies, []string{"make sure that this machine can reach port 25 of " + display(host) + ", then run the check again"})
		case err != nil:
			outcome, text = bad, err.Error()
			remedies = union(remedies, []string{"install a certificate for " + display(host) + " at the exchange"})
		}
		if worse(outcome, f.Outcome) {
			f.Outcome = outcome
		}
		seen = append(seen, fmt.Sprintf("%s: %s", display(host), oneLine(text)))
	}
	if len(d.mx().unasked()) > 0 && worse(unknown, f.Outcome) { // it may have other exchanges
		f.Outcome = unknown
		seen, remedies = append(seen, d.mx().observed()), union(remedies, []string{askAgain})
	}
	f.Observed, f.Remedy = strings.Join(seen, "; "), strings.Join(remedies, "\n")
	return []mailproof.Finding{f}
}

// verify holds a chain against the trust anchors and the name of the exchange
// (RFC 5280 §6, RFC 9525 §6).
func (d *dossier) verify(host string, c certificate) error {
	if c.err != nil || len(c.chain) == 0 {
		return c.err
	}
	between := x509.NewCertPool()
	for _, cert := range c.chain[1:] {
		between.AddCert(cert)
	}
	_, err := c.chain[0].Verify(x509.VerifyOptions{DNSName: display(host), Roots: d.cfg.Roots, Intermediates: between, CurrentTime: d.now})
	return err
}
