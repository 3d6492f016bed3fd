package dnsaudit

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

var dkimChecks = []check{
	{CheckInfo{"dkim.new", "the destination's DKIM selectors are there before the cut-over", "RFC 6376 §3.6.2", always}, dkimNew},
	{CheckInfo{"dkim.key", "the keys at the destination's selectors can be used", "RFC 6376 §3.6.1, RFC 8301 §3.2", always}, dkimKey},
	{CheckInfo{"dkim.old", "old selectors stay for seven days after the cut-over, and go then", "RFC 6376 §6.1.2", afterwards}, dkimOld},
	{CheckInfo{"dkim.unknown", "selectors that are not known cannot be found", "RFC 6376 §3.1", always}, dkimUnknown},
}

// keepSelectors is how long mail signed before the cut-over may be under way.
const keepSelectors = 7 * 24 * time.Hour

func (d *dossier) selectorName(selector string) string {
	return strings.ToLower(selector) + "._domainkey." + d.domain
}

// tags reads a tag=value list (RFC 6376 §3.2). Of a repeated tag the first
// counts.
func tags(text string) map[string]string {
	out := map[string]string{}
	for field := range strings.SplitSeq(text, ";") {
		name, value, ok := strings.Cut(field, "=")
		name = strings.TrimSpace(name)
		if _, seen := out[name]; ok && name != "" && !seen {
			out[name] = strings.TrimSpace(value)
		}
	}
	return out
}

func dkimNew(d *dossier) []mailproof.Finding {
	p := d.cfg.Profile
	if len(p.DKIM) == 0 {
		return one(info, "", "the profile names no selector", "state the selectors of "+p.Title()+" in a profile to have them checked")
	}
	out := make([]mailproof.Finding, 0, len(p.DKIM))
	for _, s := range p.DKIM {
		out = append(out, d.dkimSelector(s))
	}
	return out
}

func (d *dossier) dkimSelector(s Selector) mailproof.Finding {
	missing := d.byPhase(info, fail, fail)
	name := d.selectorName(s.Selector)
	v := d.view(name, dns.TypeTXT)
	var c change
	expected := "a key at " + display(name)
	if len(s.CNAME) > 0 {
		expected = display(name) + " alias of " + expand(strings.Join(s.CNAME, " or "), d.domain)
		c.create(name, dns.TypeCNAME, hostContent(s.CNAME[0], d.domain, d.cfg.Profile))
	} else {
		c.create(name, dns.TypeTXT, `"v=DKIM1; k=rsa; p=<key that `+d.cfg.Profile.Title()+` shows>"`)
	}
	f := v.judge(func(x variant) ruling {
		switch {
		case x.alias == "" && len(x.texts()) == 0:
			return ruling{missing, display(name) + ": " + x.text(), c.String()}
		case len(s.CNAME) > 0 && x.alias != "" && !matchAny(s.CNAME, []string{x.alias}, d.domain):
			var fix change
			fix.removeAll(aliasOf(v, x))
			return ruling{missing, display(name) + ": " + x.text(), fix.String() + "\n" + c.String()}
		case x.alias != "":
			return d.dkimTarget(name, x)
		}
		return ruling{pass, display(name) + ": " + x.text(), ""}
	})
	f.Expected = expected
	return f
}

// dkimTarget judges what an alias leads to.
func (d *dossier) dkimTarget(name string, x variant) ruling {
	got := d.keys[name]
	switch {
	case got.Err != nil:
		return ruling{unknown, x.text() + ": " + got.Err.Error(), askAgain}
	case len(got.Records) == 0:
		return ruling{d.byPhase(info, warn, fail), x.text() + ", where there is no key yet", "switch DKIM on at " + d.cfg.Profile.Title()}
	}
	return ruling{pass, x.text(), ""}
}

// dkimFault says what is wrong with one key.
func dkimFault(text string) (mailproof.Outcome, string) {
	t := tags(text)
	raw := strings.Join(strings.Fields(t["p"]), "")
	if raw == "" {
		return fail, "the key is revoked (p= is empty)"
	}
	key, err := base64.StdEncoding.DecodeString(raw)
	if err != nil {
		return fail, "p= is not base64"
	}
	outcome, text := pass, ""
	switch algorithm := strings.ToLower(t["k"]); algorithm {
	case "", "rsa":
		bits, err := rsaBits(key)
		switch {
		case err != nil:
			return fail, "p= is no RSA key"
		case bits < 1024:
			return fail, fmt.Sprintf("RSA key of %d bits: verifiers do not accept it", bits)
		case bits < 2048:
			outcome, text = warn, fmt.Sprintf("RSA key of %d bits", bits)
		}
	case "ed25519":
		if len(key) != 32 {
			return fail, "p= is no Ed25519 key"
		}
		outcome, text = warn, "Ed25519"
	default:
		return fail, "there is no key type " + algorithm
	}
	for flag := range strings.SplitSeq(t["t"], ":") {
		if strings.TrimSpace(flag) == "y" {
			return warn, strings.TrimPrefix(text+", test mode (t=y)", ", ")
		}
	}
	return outcome, text
}

func rsaBits(der []byte) (int, error) {
	if any, err := x509.ParsePKIXPublicKey(der); err == nil {
		key, ok := any.(*rsa.PublicKey)
		if !ok {
			return 0, fmt.Errorf("a key of another type")
		}
		return key.N.BitLen(), nil
	}
	key, err := x509.ParsePKCS1PublicKey(der)
	if err != nil {
		return 0, err
	}
	return key.N.BitLen(), nil
}

func dkimKey(d *dossier) []mailproof.Finding {
	var out []mailproof.Finding
	onlyEd25519, found := true, 0
	for _, s := range d.cfg.Profile.DKIM {
		name := d.selectorName(s.Selector)
		got := d.keys[name]
		if v := d.view(name, dns.TypeTXT); !v.exists() && (len(v.variants()) == 0 || len(v.unasked()) > 0) {
			out = append(out, mailproof.Finding{Outcome: unknown, Expected: "one RSA key of 2048 bits or more at " + display(name), Observed: display(name) + ": " + v.observed(), Remedy: askAgain})
			continue
		}
		if len(got.Records) == 0 && got.Err == nil {
			continue
		}
		f := mailproof.Finding{Outcome: pass, Expected: "one RSA key of 2048 bits or more at " + display(name)}
		texts := variant{records: got.Records}.texts()
		switch {
		case got.Err != nil:
			f.Outcome, f.Observed, f.Remedy = unknown, display(name)+": "+got.Err.Error(), askAgain
		case len(texts) > 1:
			f.Outcome, f.Observed, f.Remedy = fail, fmt.Sprintf("%s: %d TXT records", display(name), len(texts)), "leave one TXT record at "+display(name)
		default:
			found++
			var fault string
			f.Outcome, fault = dkimFault(texts[0])
			if fault == "Ed25519" {
				f.Outcome, fault = pass, ""
			} else {
				onlyEd25519 = false
			}
			f.Observed = display(name) + ": " + fault
			if fault == "" {
				f.Observed = display(name) + ": a key that can be used"
			}
			f.Remedy = "have " + d.cfg.Profile.Title() + " make a new key of 2048 bits, and publish it"
		}
		out = append(out, f)
	}
	switch {
	case found > 0 && onlyEd25519:
		out = append(out, mailproof.Finding{Outcome: warn, Expected: "an RSA key beside the Ed25519 key", Observed: "Ed25519 keys only: many verifiers do not know them",
			Remedy: "publish a selector with an RSA key of 2048 bits as well"})
	case len(out) == 0 && len(d.cfg.Profile.DKIM) > 0:
		return one(info, "", "no key at the probed selectors", "")
	}
	return out
}

func dkimOld(d *dossier) []mailproof.Finding {
	old := d.cfg.OldProfile
	var out []mailproof.Finding
	flipped := time.Time{}
	if s, ok := d.safeTime(lookupKey{d.domain, dns.TypeMX}); ok {
		flipped = s.Flipped
	}
	for _, s := range old.DKIM {
		if hasSelector(d.cfg.Profile, s.Selector) {
			continue // the destination uses the name itself
		}
		v := d.view(d.selectorName(s.Selector), dns.TypeTXT)
		f := v.judge(func(x variant) ruling {
			there := len(x.records) > 0 || x.alias != ""
			var c change
			c.removeAll(append(append([]dns.RR(nil), x.records...), aliasOf(v, x)...))
			name := display(v.Name)
			switch {
			case flipped.IsZero() && there:
				return ruling{info, name + " is there; when the cut-over was is not known", c.String() + "\n; seven days after the cut-over"}
			case flipped.IsZero():
				return ruling{info, name + " is gone or never was", ""}
			case !there && d.now.Before(flipped.Add(keepSelectors)):
				return ruling{warn, name + " is gone: mail signed before the cut-over, and still under way, cannot be verified", ""}
			case there && !d.now.Before(flipped.Add(keepSelectors)):
				return ruling{warn, name + " is still there", c.String()}
			}
			return ruling{pass, name + ": " + x.text(), ""}
		})
		f.Expected = "old selectors until " + keepUntil(flipped)
		out = append(out, f)
	}
	return out
}

func keepUntil(flipped time.Time) string {
	if flipped.IsZero() {
		return "seven days after the cut-over"
	}
	return flipped.Add(keepSelectors).UTC().Format(time.RFC3339)
}

func hasSelector(p Profile, selector string) bool {
	for _, s := range p.DKIM {
		if strings.EqualFold(s.Selector, selector) {
			return true
		}
	}
	return false
}

func dkimUnknown(d *dossier) []mailproof.Finding {
	probed := d.selectors()
	text := "no selector was probed"
	if len(probed) > 0 {
		text = "probed: " + strings.Join(probed, ", ")
	}
	return one(info, "", text+"; DNS does not list selectors, so that others may exist", "")
}
