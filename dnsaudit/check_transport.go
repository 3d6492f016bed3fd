package dnsaudit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

var transportChecks = []check{
	{CheckInfo{"sts.fetch", "the MTA-STS policy can be fetched, and not from the old provider", "RFC 8461 §3.3", always}, stsFetch},
	{CheckInfo{"sts.mx", "the MTA-STS policy allows the exchanges, today's and tomorrow's", "RFC 8461 §4.1", always}, stsMX},
	{CheckInfo{"sts.id", "the id changes when the MTA-STS policy does", "RFC 8461 §8.1", always}, stsID},
	{CheckInfo{"sts.age", "senders keep the MTA-STS policy for a day at most while it is about to change", "RFC 8461 §3.2", atPlanning}, stsAge},
	{CheckInfo{"tlsrpt", "TLS reports are asked for before a move of MTA-STS or DANE", "RFC 8460 §3", always}, tlsReports},
	{CheckInfo{"dane.match", "the certificates of the exchanges fit their TLSA records", "RFC 7672 §3.1", always}, daneMatch},
	{CheckInfo{"dane.cutover", "the destination has TLSA records where the old provider has them", "RFC 7672 §2.1", always}, daneCutover},
}

func (d *dossier) stsView() *View { return d.view("_mta-sts."+d.domain, dns.TypeTXT) }

// gatherBehind follows the aliases at which the records of MTA-STS and TLS
// reports may stand (RFC 8461 §3.1 has them followed).
func (d *dossier) gatherBehind(ctx context.Context) {
	d.behind = map[string]Lookup{}
	for _, name := range []string{"_mta-sts." + d.domain, "_smtp._tls." + d.domain} {
		for _, x := range d.view(name, dns.TypeTXT).variants() {
			if x.alias != "" {
				d.behind[name] = d.net.lookup(ctx, question{domain: d.domain, name: name, qtype: dns.TypeTXT, role: roleAuthoritative}, 0)
			}
		}
	}
}

// textsOf returns the TXT records of a variant, or those behind its alias, or
// why those are not known.
func (d *dossier) textsOf(v *View, x variant) ([]string, error) {
	if x.alias == "" || len(x.records) > 0 {
		return x.texts(), nil
	}
	got, asked := d.behind[v.Name]
	switch {
	case !asked, got.Err == nil && !slices.Contains(got.Aliases, x.alias):
		return nil, fmt.Errorf("%s: %w", display(x.alias), errNotAsked) // the servers differ
	case got.Err != nil:
		return nil, got.Err
	}
	return variant{records: got.Records}.texts(), nil
}

// stsRecord returns the MTA-STS record that the servers have, or "".
func (d *dossier) stsRecord() string {
	v := d.stsView()
	for _, x := range v.variants() {
		texts, err := d.textsOf(v, x)
		if err != nil {
			continue // withoutSTS says so
		}
		for _, t := range texts {
			if strings.HasPrefix(strings.ReplaceAll(t, " ", ""), "v=STSv1;") {
				return t
			}
		}
	}
	return ""
}

// withoutSTS is the finding where there is no record, or where it is not known
// whether there is one.
func (d *dossier) withoutSTS() []mailproof.Finding {
	v := d.stsView()
	return expecting(v.judge(func(x variant) ruling {
		if _, err := d.textsOf(v, x); err != nil {
			return ruling{unknown, x.text() + ": " + err.Error(), askAgain}
		}
		return ruling{pass, "no MTA-STS", ""}
	}), "")
}

// stsUnknown reports whether it is not known whether there is a record.
func (d *dossier) stsUnknown() bool { return worstOf(d.withoutSTS()) != pass }

// stsPolicy is a policy file (RFC 8461 §3.2).
type stsPolicy struct {
	mode   string
	maxAge int
	mx     []string
}

func parseSTS(body string) (stsPolicy, error) {
	var p stsPolicy
	version := ""
	for line := range strings.SplitSeq(body, "\n") {
		name, value, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(name) {
		case "version":
			version = value
		case "mode":
			p.mode = value
		case "mx":
			p.mx = append(p.mx, strings.ToLower(value))
		case "max_age":
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 {
				return p, fmt.Errorf("max_age %q is no number", shorten(value))
			}
			p.maxAge = n
		}
	}
	switch {
	case version != "STSv1":
		return p, fmt.Errorf("no version: STSv1")
	case p.mode != "enforce" && p.mode != "testing" && p.mode != "none":
		return p, fmt.Errorf("mode %q is not enforce, testing or none", shorten(p.mode))
	case len(p.mx) == 0 && p.mode != "none":
		return p, fmt.Errorf("no mx")
	}
	return p, nil
}

// allows reports whether the policy has a pattern for the host; a leading "*."
// stands for exactly one label (RFC 8461 §4.1).
func (p stsPolicy) allows(host string) bool {
	host = foldName(host)
	for _, pattern := range p.mx {
		pattern = foldName(pattern)
		if pattern == host {
			return true
		}
		if suffix, ok := strings.CutPrefix(pattern, "*."); ok {
			if _, rest, cut := strings.Cut(host, "."); cut && rest == suffix {
				return true
			}
		}
	}
	return false
}

// stsProblem says why there is no policy to judge: "" where there is.
func (d *dossier) stsProblem() (stsPolicy, mailproof.Outcome, string) {
	f := &d.web.sts
	switch {
	case !f.asked:
		return stsPolicy{}, unknown, "the policy was not fetched"
	case f.unanswered():
		return stsPolicy{}, unknown, f.text()
	case f.err != nil, f.status != http.StatusOK:
		return stsPolicy{}, fail, f.text()
	case f.tooLong:
		return stsPolicy{}, fail, f.url + ": " + errTooLong.Error()
	case !strings.HasPrefix(strings.ToLower(f.kind), "text/plain"):
		return stsPolicy{}, fail, fmt.Sprintf("%s: Content-Type %q is not text/plain", f.url, shorten(f.kind))
	}
	p, err := parseSTS(f.body)
	if err != nil {
		return p, fail, f.url + ": " + err.Error()
	}
	return p, pass, ""
}

func stsFetch(d *dossier) []mailproof.Finding {
	const expected = "the policy, over HTTPS with a valid certificate, without a redirect"
	if d.stsRecord() == "" {
		return d.withoutSTS()
	}
	host := "mta-sts." + d.domain
	v := d.view(host, dns.TypeA)
	if x, ok := v.first(); ok && d.belongsToOld(x, host) {
		var c change
		c.removeAll(append(append([]dns.RR(nil), x.records...), aliasOf(v, x)...))
		c.create(host, dns.TypeCNAME, "<host that serves the policy from now on>.")
		return one(d.byPhase(warn, fail, fail), expected, display(host)+" is hosted by the departing provider: "+x.text(), c.String())
	}
	_, outcome, text := d.stsProblem()
	switch {
	case outcome == pass:
		return one(pass, expected, d.web.sts.text(), "")
	case !d.web.sts.asked:
		return one(outcome, expected, text, "run the check with HTTP probes")
	}
	return one(outcome, expected, text, "serve the policy at https://"+display(host)+"/.well-known/mta-sts.txt as text/plain, with a certificate for "+display(host))
}

func stsMX(d *dossier) []mailproof.Finding {
	if d.stsRecord() == "" {
		return d.withoutSTS()
	}
	p, outcome, text := d.stsProblem()
	const expected = "every exchange allowed by the policy"
	if outcome != pass {
		return one(unknown, expected, text, "make sts.fetch pass, then run the check again")
	}
	severity := warn
	if p.mode == "enforce" && d.cfg.Phase != mailproof.Planning {
		severity = fail
	}
	if p.mode == "none" {
		severity = info
	}
	var bad, lines []string
	for _, host := range d.judgedHosts() {
		if !p.allows(host) {
			bad = append(bad, display(host))
			lines = append(lines, "mx: "+display(host))
		}
	}
	observed := fmt.Sprintf("mode %s, mx %s", p.mode, strings.Join(p.mx, ", "))
	if mx := d.mx(); (len(mx.variants()) == 0 || len(mx.unasked()) > 0) && (len(bad) == 0 || worse(unknown, severity)) {
		return one(unknown, expected, observed+"; the exchanges are not known: "+mx.observed(), askAgain)
	}
	if len(bad) == 0 {
		return one(pass, expected, observed, "")
	}
	return one(severity, expected, observed+"; not allowed: "+strings.Join(bad, ", "),
		"add to the policy file, and change the id in the record at _mta-sts."+display(d.domain)+":\n"+strings.Join(lines, "\n"))
}

// judgedHosts are the exchanges that a transport policy must allow: today's,
// and before the cut-over those of the profile. A pattern is judged by an
// example of it.
func (d *dossier) judgedHosts() []string {
	var out []string
	for _, x := range d.mx().variants() {
		for _, e := range x.exchanges() {
			if e.host != "." {
				out = union(out, []string{e.host})
			}
		}
	}
	if p := d.cfg.Profile.keepsMX(); len(p.MX) > 0 && d.cfg.Phase != mailproof.Confirmation {
		for _, entry := range p.MX[d.alternative(p)] {
			if e, err := parseMXEntry(entry); err == nil {
				host := strings.ReplaceAll(expand(e.pattern, d.domain), "*", "x")
				out = union(out, []string{dns.CanonicalName(host)})
			}
		}
	}
	sort.Strings(out)
	return out
}

// stsID compares with the last policy that an earlier audit saw.
func stsID(d *dossier) []mailproof.Finding {
	record := d.stsRecord()
	if record == "" {
		return d.withoutSTS()
	}
	const expected = "a new id for a new policy"
	if _, outcome, text := d.stsProblem(); outcome != pass {
		return one(unknown, expected, text, "make sts.fetch pass, then run the check again")
	}
	oldBody, oldID := d.earlierSTS()
	id := tags(record)["id"]
	switch {
	case oldBody == "":
		return one(info, expected, "id "+id+"; no earlier audit saw the policy", "")
	case oldBody != strings.Join(d.web.sts.evidence(), "\n") && oldID == id:
		var c change
		for _, x := range d.stsView().variants() {
			c.removeAll(x.records)
		}
		c.create("_mta-sts."+d.domain, dns.TypeTXT, quote("v=STSv1; id="+d.now.UTC().Format("20060102150405")+";"))
		return one(fail, expected, "the policy changed, but id is still "+id+": senders keep the old policy", c.String())
	}
	return one(pass, expected, "id "+id, "")
}

// earlierSTS returns the last policy and the id with it, from the history.
func (d *dossier) earlierSTS() (body, id string) {
	want := "https://mta-sts." + display(d.domain) + "/.well-known/mta-sts.txt"
	var bodyAt, idAt int64
	for _, o := range d.cfg.History {
		at := o.Time.UnixNano()
		switch {
		case o.Domain != display(d.domain) || o.Error != "":
		case o.Role == roleHTTP && o.Question == want && len(o.Records) > 0 && o.Records[0] == "status 200" && at >= bodyAt:
			body, bodyAt = strings.Join(o.Records, "\n"), at
		case o.Role == roleAuthoritative && d.isPolicyRecord(o) && at >= idAt:
			for _, line := range o.Records {
				if _, text, ok := strings.Cut(line, " IN TXT "); ok {
					id, idAt = tags(strings.Trim(text, `"`))["id"], at
				}
			}
		}
	}
	return body, id
}

// isPolicyRecord reports whether an observation is of the MTA-STS record, at its
// own name or behind its alias.
func (d *dossier) isPolicyRecord(o mailproof.Observation) bool {
	name := dns.CanonicalName(o.Question)
	own := "_mta-sts." + d.domain
	return o.Type == "TXT" && (name == own || slices.Contains(d.behind[own].Aliases, name))
}

func stsAge(d *dossier) []mailproof.Finding {
	if d.stsRecord() == "" {
		return d.withoutSTS()
	}
	const expected = "max_age of at most 86400"
	p, outcome, text := d.stsProblem()
	switch {
	case outcome != pass:
		return one(unknown, expected, text, "make sts.fetch pass, then run the check again")
	case p.maxAge > 86400:
		return one(warn, expected, fmt.Sprintf("max_age %d", p.maxAge), "change the policy file to:\nmax_age: 86400\n; and the id in the record at _mta-sts."+display(d.domain))
	}
	return one(pass, expected, fmt.Sprintf("max_age %d", p.maxAge), "")
}

func tlsReports(d *dossier) []mailproof.Finding {
	v := d.view("_smtp._tls."+d.domain, dns.TypeTXT)
	old := d.cfg.OldProfile
	needed := d.stsRecord() != "" || d.hasTLSA()
	f := v.judge(func(x variant) ruling {
		texts, err := d.textsOf(v, x)
		if err != nil {
			return ruling{unknown, x.text() + ": " + err.Error(), askAgain}
		}
		for _, t := range texts {
			if !strings.HasPrefix(strings.ReplaceAll(t, " ", ""), "v=TLSRPTv1;") {
				continue
			}
			for _, uri := range strings.Split(tags(t)["rua"], ",") {
				if host := hostOfURI(uri); !old.IsZero() && host != "" && old.owns(host, d.domain) {
					return ruling{warn, "reports go to the old provider: " + t, "change rua= in the record at " + display(v.Name)}
				}
			}
			return ruling{pass, t, ""}
		}
		switch {
		case needed:
		case d.stsUnknown() || d.tlsaErr(d.mxHosts()) != nil || len(d.mx().variants()) == 0:
			return ruling{unknown, "no TLS reports; whether there is MTA-STS or DANE is not known", askAgain}
		default:
			return ruling{info, "no TLS reports, and neither MTA-STS nor DANE", ""}
		}
		var c change
		c.create(v.Name, dns.TypeTXT, `"v=TLSRPTv1; rua=mailto:<address for reports>"`)
		return ruling{warn, "no TLS reports, but MTA-STS or DANE", c.String()}
	})
	return expecting(f, "TLS reports")
}

func hostOfURI(uri string) string {
	u, err := url.Parse(strings.TrimSpace(uri))
	if err != nil {
		return ""
	}
	if strings.EqualFold(u.Scheme, "mailto") {
		_, host, _ := strings.Cut(u.Opaque, "@")
		return host
	}
	return u.Hostname()
}

func (d *dossier) hasTLSA() bool {
	for _, host := range d.mxHosts() {
		if len(d.host(host).tlsa.Records) > 0 {
			return true
		}
	}
	return false
}

// tlsaErr is why the TLSA records of one of the hosts are not known. A server that
// does not know the type has no such record.
func (d *dossier) tlsaErr(hosts []string) error {
	for _, host := range hosts {
		got := d.host(host).tlsa
		if got.Err != nil && got.RCode != dns.RcodeNotImplemented && host != "." && !isIPName(host) {
			return fmt.Errorf("the TLSA records of %s: %w", display(host), got.Err)
		}
	}
	return nil
}

// authenticated reports whether a listed resolver validated the MX records, and
// whether any resolver told them.
func (d *dossier) authenticated() (valid, told bool) {
	for _, r := range d.mx().Samples {
		told = told || usable(r)
		valid = valid || usable(r) && r.AD
	}
	return valid, told
}

func daneMatch(d *dossier) []mailproof.Finding {
	var out []mailproof.Finding
	for _, host := range d.mxHosts() {
		h := d.host(host)
		f := mailproof.Finding{Expected: "a certificate at " + display(host) + " that fits its TLSA records"}
		if err := d.tlsaErr([]string{host}); err != nil {
			f.Outcome, f.Observed, f.Remedy = unknown, err.Error(), askAgain
			out = append(out, f)
			continue
		}
		if len(h.tlsa.Records) == 0 {
			continue
		}
		cert, probed := d.tls[host]
		valid, told := d.authenticated()
		switch {
		case len(d.net.resolvers) == 0:
			f.Outcome, f.Observed = info, display(host)+" has TLSA records; whether they are signed is not known without a validating resolver"
		case !told:
			f.Outcome, f.Observed, f.Remedy = unknown, display(host)+" has TLSA records; no resolver tells whether the MX records are signed", "make sure that the resolvers can be reached, then run the check again"
		case !valid:
			f.Outcome, f.Observed = info, display(host)+" has TLSA records, but the MX records are not validated: senders do not use DANE"
		case !probed:
			f.Outcome, f.Observed, f.Remedy = unknown, display(host)+" has TLSA records; its certificate was not asked for", "run the check with the SMTP probe"
			if d.cfg.Profile.owns(host, d.domain) && !dns.IsSubDomain(d.domain, host) {
				f.Outcome = info // the provider's business
			}
		case cert.err != nil:
			f.Outcome, f.Observed, f.Remedy = unknown, display(host)+": "+cert.err.Error(), askAgain
		default:
			f.Outcome, f.Observed = pass, display(host)+": fits"
			if err := matchTLSA(h.tlsa.Records, cert.chain); err != nil {
				f.Outcome, f.Observed = fail, display(host)+": "+err.Error()
				f.Remedy = d.tlsaLines(host, cert)
			}
		}
		out = append(out, f)
	}
	if len(out) == 0 {
		return expecting(d.mx().judge(func(variant) ruling { return ruling{pass, "no TLSA records", ""} }), "certificates that fit the TLSA records, where there are any")
	}
	return out
}

// tlsaLines prints the TLSA record of the certificate that the exchange has.
func (d *dossier) tlsaLines(host string, cert certificate) string {
	var c change
	c.removeAll(d.host(host).tlsa.Records)
	if len(cert.chain) > 0 {
		var t dns.TLSA
		if err := t.Sign(3, 1, 1, cert.chain[0]); err == nil {
			c.create("_25._tcp."+host, dns.TypeTLSA, "3 1 1 "+t.Certificate)
		}
	}
	return c.String()
}

func daneCutover(d *dossier) []mailproof.Finding {
	const expected = "TLSA records at the destination where the old provider has them"
	var oldHas, newHas bool
	var broken []string
	keeper := d.cfg.Profile.keepsMX()
	hosts := union(d.mxHosts(), d.expectedHosts())
	for _, host := range hosts {
		tlsa := d.host(host).tlsa
		if tlsa.RCode == dns.RcodeServerFailure {
			broken = append(broken, display(host))
		}
		if len(tlsa.Records) > 0 {
			if keeper.isMX(host, d.domain) {
				newHas = true
			} else {
				oldHas = true
			}
		}
	}
	switch {
	case len(broken) > 0:
		return one(fail, expected, "SERVFAIL for the TLSA records of "+strings.Join(broken, ", ")+": senders defer their mail", "make the name servers of these hosts answer for _25._tcp")
	case len(d.mx().variants()) == 0:
		return one(unknown, expected, d.mx().observed(), askAgain)
	case !newHas && d.tlsaErr(hosts) != nil:
		return one(unknown, expected, d.tlsaErr(hosts).Error(), askAgain)
	case !newHas && len(d.mx().unasked()) > 0:
		return one(unknown, expected, d.mx().observed(), askAgain)
	case oldHas && !newHas:
		return one(warn, expected, "the exchanges of today have TLSA records, those of "+keeper.Title()+" have none", "tell the owner of the domain that DANE ends with the cut-over")
	}
	return one(pass, expected, "no protection is lost", "")
}

func adRoot(d *dossier) []mailproof.Finding {
	f := &d.web.root
	const expected = "no Autodiscover at the domain's own web server"
	switch {
	case !f.asked:
		return notProbed(expected)
	case f.unanswered():
		return one(unknown, expected, f.text(), askAgain)
	case f.err != nil || !f.looksLikeAutodiscover():
		return one(pass, expected, f.text(), "")
	case d.isAddressOf(d.cfg.Profile, f.addr):
		return one(pass, expected, f.text()+", which is the destination", "")
	}
	return one(d.byPhase(warn, warn, fail), expected, f.text()+": Outlook asks there first", "disable Autodiscover on the web host of "+display(d.domain))
}

func notProbed(expected string) []mailproof.Finding {
	return one(info, expected, "not probed", "run the check with HTTP probes")
}

// adCertificate judges the host of Autodiscover and those that its SRV records
// name: Outlook asks all of them over HTTPS.
func adCertificate(d *dossier) []mailproof.Finding {
	if !d.web.host.asked {
		return notProbed("a valid certificate for autodiscover." + display(d.domain))
	}
	out := d.hostCertificate()
	for _, target := range d.serviceTargets() {
		out = append(out, d.serviceCertificate(target)...)
	}
	return append(out, d.targetsUnknown("a valid certificate for every host that the SRV record names")...)
}

// targetsUnknown is the finding where a server did not tell which hosts the SRV
// record of Autodiscover names.
func (d *dossier) targetsUnknown(expected string) []mailproof.Finding {
	if v := d.autodiscoverSRV(); len(v.variants()) == 0 || len(v.unasked()) > 0 {
		return one(unknown, expected, display(v.Name)+": "+v.observed(), askAgain)
	}
	return nil
}

// hostCertificate: whoever shows no certificate at all may show a bad one
// tomorrow, so that only an answer passes, or a way that needs none.
func (d *dossier) hostCertificate() []mailproof.Finding {
	f := &d.web.host
	name := "autodiscover." + display(d.domain)
	expected := "a valid certificate for " + name
	const redirected = "an HTTP redirect in place of a certificate"
	switch {
	case f.badCert && d.cfg.Profile.Autodiscover.Redirect:
		return one(pass, redirected, f.text(), "")
	case f.badCert:
		return one(d.byPhase(warn, warn, fail), expected, f.text(), "add "+name+" to the certificate, or publish an SRV record in place of the host")
	case f.status != 0: // said behind the certificate
		return one(pass, expected, f.text(), "")
	case errors.Is(f.err, errNoAddress) && !d.mayHaveAutodiscoverHost():
		return one(pass, expected, name+" does not exist, and needs no certificate", "")
	case d.cfg.Profile.Autodiscover.Redirect && d.web.plain.isRedirect():
		return one(pass, redirected, f.text()+"; "+d.web.plain.text(), "")
	}
	return one(unknown, expected, f.text(), reachHTTPS(name))
}

// serviceCertificate judges a host that an SRV record names. A redirect over
// plain HTTP does not stand in for its certificate: only HTTPS is asked there.
func (d *dossier) serviceCertificate(target string) []mailproof.Finding {
	name := display(target)
	expected := "a valid certificate for " + name + ", which the SRV record names"
	for i := range d.web.services {
		f := &d.web.services[i]
		switch {
		case f.url != serviceURL(target):
			continue
		case f.badCert:
			return one(d.byPhase(warn, warn, fail), expected, f.text(), "install a certificate for "+name+" there, or name a host in the SRV record that has one")
		case f.status != 0:
			return one(pass, expected, f.text(), "")
		}
		return one(unknown, expected, f.text(), reachHTTPS(name))
	}
	return one(unknown, expected, name+" was not asked", "name one host in the SRV record, of the provider of the mailboxes")
}

// mayHaveAutodiscoverHost reports whether a server holds an address or an
// alias for Autodiscover, or did not say.
func (d *dossier) mayHaveAutodiscoverHost() bool {
	for _, v := range []*View{d.autodiscover(), d.view("autodiscover."+d.domain, dns.TypeAAAA)} {
		if v.exists() || len(v.variants()) == 0 || len(v.unasked()) > 0 {
			return true
		}
	}
	return false
}

// reachHTTPS is the remedy where a host gave no answer over HTTPS.
func reachHTTPS(host string) string {
	return "make sure that " + host + " answers at port 443 and that this machine can reach it, then run the check again"
}

func adRedirect(d *dossier) []mailproof.Finding {
	const expected = "no redirect, or one over HTTPS to the destination"
	var out []mailproof.Finding
	probes := []*fetched{&d.web.plain, &d.web.host}
	for i := range d.web.services {
		if f := &d.web.services[i]; f.url != d.web.host.url {
			probes = append(probes, f)
		}
	}
	for _, f := range probes {
		switch {
		case !f.asked:
			return notProbed(expected)
		case f.unanswered():
			out = append(out, one(unknown, expected, f.text(), askAgain)...)
			continue
		case f.err != nil || !f.isRedirect():
			out = append(out, one(pass, expected, f.text(), "")...)
			continue
		}
		u, err := url.Parse(f.location)
		switch {
		case err != nil || u.Scheme != "" && u.Scheme != "https":
			out = append(out, one(d.byPhase(warn, warn, fail), expected, f.text()+": not HTTPS", "redirect to https, or drop the redirect")...)
		case !d.cfg.OldProfile.IsZero() && u.Hostname() != "" && d.cfg.OldProfile.owns(u.Hostname(), d.domain) && !d.cfg.Profile.owns(u.Hostname(), d.domain):
			out = append(out, one(d.byPhase(info, info, fail), expected, f.text()+": at the old provider", d.adRemedy())...)
		default:
			out = append(out, one(pass, expected, f.text(), "")...)
		}
	}
	return append(out, d.targetsUnknown(expected)...)
}
