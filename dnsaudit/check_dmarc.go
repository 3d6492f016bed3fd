package dnsaudit

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"github.com/mailproof/mailproof"
)

var dmarcChecks = []check{
	{CheckInfo{"dmarc.record", "there is exactly one DMARC record", "RFC 9989 §4.7, §4.10", always}, dmarcRecord},
	{CheckInfo{"dmarc.risk", "p=reject does not meet a cut-over without SPF and DKIM of the destination", "RFC 9989", atReadiness}, dmarcRisk},
	{CheckInfo{"dmarc.tags", "the record does without tags that were withdrawn", "RFC 9989 §4.7", always}, dmarcTags},
	{CheckInfo{"dmarc.rua", "reports go where they are wanted", "RFC 9990", always}, dmarcReports},
}

const (
	maxTreeWalk = 8  // queries of the DMARC tree walk (RFC 9989 §4.10)
	maxReports  = 10 // report addresses looked into
)

// reportAddress is an external address for DMARC reports, and whether its
// domain agreed to take them.
type reportAddress struct {
	address string
	domain  string
	name    string // where the agreement is to be found
	answer  Lookup
}

func isDMARC(text string) bool {
	head, _, _ := strings.Cut(text, ";")
	name, value, ok := strings.Cut(head, "=")
	return ok && strings.TrimSpace(name) == "v" && strings.TrimSpace(value) == "DMARC1"
}

func dmarcTexts(texts []string) []string {
	var out []string
	for _, t := range texts {
		if isDMARC(t) {
			out = append(out, t)
		}
	}
	return out
}

// gatherReports looks up the keys behind DKIM aliases, walks up to the DMARC
// record that holds, and asks whether foreign domains take its reports.
func (d *dossier) gatherReports(ctx context.Context) {
	ask := func(name string) Lookup {
		return d.net.lookup(ctx, question{domain: d.domain, name: name, qtype: dns.TypeTXT, role: roleAuthoritative}, 0)
	}
	d.keys = map[string]Lookup{}
	for _, s := range d.selectors() {
		if d.view(d.selectorName(s), dns.TypeTXT).exists() {
			d.keys[d.selectorName(s)] = ask(d.selectorName(s))
		}
	}
	d.dmarc = d.walkTree(ask)
	for _, t := range d.dmarc.texts {
		for _, address := range mailAddresses(tags(t)["rua"]) {
			_, host, ok := strings.Cut(address, "@")
			if !ok || sameOrganisation(host, display(d.domain)) || len(d.reports) >= maxReports {
				continue
			}
			r := reportAddress{address: address, domain: host, name: display(d.domain) + "._report._dmarc." + host}
			r.answer = ask(dns.CanonicalName(r.name))
			d.reports = append(d.reports, r)
		}
	}
}

// dmarcPolicy is the record that holds for the domain, found by the tree walk.
type dmarcPolicy struct {
	at    string // the domain that publishes it
	texts []string
	err   error
}

// walkTree asks the domain, then the domains above it, for a DMARC record
// (RFC 9989 §4.10). A name of many labels is cut down to seven.
func (d *dossier) walkTree(ask func(string) Lookup) dmarcPolicy {
	at := d.domain
	for i := range maxTreeWalk {
		if at == "." {
			break
		}
		got := ask("_dmarc." + at)
		if got.Err != nil {
			return dmarcPolicy{at: at, err: got.Err}
		}
		if texts := dmarcTexts(variant{records: got.Records}.texts()); len(texts) == 1 || i == 0 && len(texts) > 0 {
			return dmarcPolicy{at: at, texts: texts}
		}
		at = parentOf(at)
		for i == 0 && dns.CountLabel(at) > maxTreeWalk-1 {
			at = parentOf(at)
		}
	}
	return dmarcPolicy{}
}

// mailAddresses reads a list of mailto URIs.
func mailAddresses(list string) []string {
	var out []string
	for item := range strings.SplitSeq(list, ",") {
		u, err := url.Parse(strings.TrimSpace(item))
		if err == nil && strings.EqualFold(u.Scheme, "mailto") {
			address, _, _ := strings.Cut(u.Opaque, "!")
			out = append(out, strings.ToLower(address))
		}
	}
	return out
}

// sameOrganisation groups names by registered domain.
func sameOrganisation(a, b string) bool {
	left, errA := publicsuffix.EffectiveTLDPlusOne(foldName(a))
	right, errB := publicsuffix.EffectiveTLDPlusOne(foldName(b))
	return errA == nil && errB == nil && left == right || foldName(a) == foldName(b)
}

func (d *dossier) dmarcView() *View { return d.view("_dmarc."+d.domain, dns.TypeTXT) }

func dmarcRecord(d *dossier) []mailproof.Finding {
	f := d.dmarcView().judge(func(x variant) ruling {
		texts := dmarcTexts(x.texts())
		if x.alias != "" && len(texts) == 0 {
			texts = d.dmarc.texts // behind the alias
		}
		switch {
		case len(texts) == 1:
			return ruling{pass, texts[0], ""}
		case len(texts) > 1:
			var c change
			for _, rr := range x.records {
				if txt, ok := rr.(*dns.TXT); ok && isDMARC(unescape(txt.Txt)) {
					c.remove(rr)
				}
			}
			return ruling{fail, fmt.Sprintf("%d DMARC records: all are discarded", len(texts)), "keep one of:\n" + c.String()}
		case d.dmarc.err != nil:
			return ruling{unknown, "_dmarc." + display(d.dmarc.at) + ": " + d.dmarc.err.Error(), askAgain}
		case len(d.dmarc.texts) == 1:
			return ruling{pass, "that of " + display(d.dmarc.at) + ": " + d.dmarc.texts[0], ""}
		}
		var c change
		c.create("_dmarc."+d.domain, dns.TypeTXT, `"v=DMARC1; p=none; rua=mailto:<address for reports>"`)
		return ruling{warn, "no DMARC record", c.String()}
	})
	return expecting(f, "one DMARC record")
}

// policy returns the one record that holds, and its tags.
func (d *dossier) dmarcTagsOf() (string, map[string]string) {
	if len(d.dmarc.texts) != 1 {
		return "", nil
	}
	return d.dmarc.texts[0], tags(d.dmarc.texts[0])
}

func dmarcRisk(d *dossier) []mailproof.Finding {
	const expected = "SPF or DKIM of the destination in place"
	text, t := d.dmarcTagsOf()
	policy := t["p"]
	if sp, ok := t["sp"]; ok && d.dmarc.at != d.domain {
		policy = sp
	}
	switch {
	case d.dmarc.err != nil:
		return one(unknown, expected, "_dmarc."+display(d.dmarc.at)+": "+d.dmarc.err.Error(), askAgain)
	case !strings.EqualFold(policy, "reject"):
		return one(pass, expected, "no p=reject", "")
	}
	bySPF, byDKIM := worstOf(spfNew(d)), worstOf(dkimNew(d))
	switch {
	case bySPF == fail && byDKIM == fail:
		c := change{}
		c.say("; first make spf.new and dkim.new pass, or soften the policy until then:")
		if x, ok := d.dmarcView().first(); ok && d.dmarc.at == d.domain {
			c.removeAll(append(append([]dns.RR(nil), x.records...), aliasOf(d.dmarcView(), x)...))
		}
		c.create("_dmarc."+d.dmarc.at, dns.TypeTXT, txtContent(strings.Replace(text, "reject", "none", 1)))
		return one(fail, expected, text+": mail of the destination would be rejected from the cut-over on", strings.Join(append(append(c.note, c.del...), c.add...), "\n"))
	case bySPF == unknown && byDKIM != pass && byDKIM != info, byDKIM == unknown && bySPF != pass && bySPF != info:
		return one(unknown, expected, text, askAgain)
	}
	return one(pass, expected, text, "")
}

func worstOf(findings []mailproof.Finding) mailproof.Outcome {
	out := pass
	for _, f := range findings {
		if worse(f.Outcome, out) {
			out = f.Outcome
		}
	}
	return out
}

func dmarcTags(d *dossier) []mailproof.Finding {
	text, t := d.dmarcTagsOf()
	if text == "" {
		return nil // dmarc.record says what is wrong
	}
	var notes []string
	for _, name := range []string{"pct", "rf", "ri"} {
		if _, ok := t[name]; ok {
			notes = append(notes, name+"= was withdrawn")
		}
	}
	if strings.EqualFold(t["t"], "y") {
		notes = append(notes, "t=y: test mode, the policy is not applied")
	}
	if len(notes) > 0 {
		return one(info, "tags of RFC 9989", text+": "+strings.Join(notes, ", "), "drop the tags that were withdrawn")
	}
	return one(pass, "tags of RFC 9989", text, "")
}

func dmarcReports(d *dossier) []mailproof.Finding {
	const expected = "reports to addresses that take them, not to the old provider"
	v := d.dmarcView()
	old := d.cfg.OldProfile
	f := v.judge(func(x variant) ruling {
		if x.alias == "" || old.IsZero() || !old.owns(x.alias, d.domain) {
			return ruling{outcome: pass}
		}
		var c change
		c.removeAll(aliasOf(v, x))
		c.create(v.Name, dns.TypeTXT, `"v=DMARC1; p=none; rua=mailto:<address for reports>"`)
		return ruling{fail, display(v.Name) + " is an alias at the old provider: " + display(x.alias), c.String()}
	})
	if err := d.dmarc.err; err != nil && worse(unknown, f.Outcome) {
		f.Outcome, f.Remedy, f.Observed = unknown, askAgain, "_dmarc."+display(d.dmarc.at)+": "+err.Error()
	}
	out := expecting(f, expected)
	for _, r := range d.reports {
		g := mailproof.Finding{Outcome: pass, Expected: expected, Observed: "reports to " + r.address}
		switch {
		case !old.IsZero() && old.owns(r.domain, d.domain):
			g.Outcome, g.Observed, g.Remedy = warn, "reports go to "+r.address+" at the old provider", "change rua= in the record at _dmarc."+display(d.dmarc.at)
		case r.answer.Err != nil:
			g.Outcome, g.Observed, g.Remedy = unknown, r.name+": "+r.answer.Err.Error(), askAgain
		case len(dmarcTexts(variant{records: r.answer.Records}.texts())) == 0:
			var c change
			c.create(r.name, dns.TypeTXT, `"v=DMARC1"`)
			g.Outcome, g.Observed, g.Remedy = warn, r.domain+" has not agreed to take the reports of "+display(d.domain), c.String()+"\n; in the zone of "+r.domain
		}
		out = append(out, g)
	}
	return out
}
