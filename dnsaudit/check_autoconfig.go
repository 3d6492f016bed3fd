package dnsaudit

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
)

// The places where Thunderbird and the clients that do as it does look for a
// configuration, in their order (draft-ietf-mailmaint-autoconfig). The first
// that answers wins. After these they ask the public database of Thunderbird,
// and then the same places of the exchange's domain: both lie outside the
// domain, and are not probed.
func autoconfigURLs(domain string) []string {
	const file = "mail/config-v1.1.xml"
	return []string{
		"https://autoconfig." + domain + "/" + file,
		"https://" + domain + "/.well-known/autoconfig/" + file,
		"http://autoconfig." + domain + "/" + file,
	}
}

// gatherAutoconfig probes those places. No address is sent along: clients add
// one, but nobody's is ours to tell.
func (d *dossier) gatherAutoconfig(ctx context.Context) {
	for _, address := range autoconfigURLs(display(d.domain)) {
		d.web.autoconfig = append(d.web.autoconfig, d.fetch(ctx, address))
	}
}

func clientAutoconfig(d *dossier) []mailproof.Finding {
	out := autoconfigRecord(d)
	if len(d.web.autoconfig) == 0 {
		return append(out, notProbed("no configuration at the old provider")...)
	}
	first := true // no place before this one answers
	for i := range d.web.autoconfig {
		f := d.judgeAutoconfig(&d.web.autoconfig[i])
		if f.Outcome == d.byPhase(info, info, warn) && f.Remedy != "" && first {
			f.Observed += ": clients take it first"
		}
		first = first && !d.web.autoconfig[i].isConfiguration()
		out = append(out, f)
	}
	return out
}

// autoconfigRecord judges the name by which clients find the first place.
func autoconfigRecord(d *dossier) []mailproof.Finding {
	v := d.view("autoconfig."+d.domain, dns.TypeA)
	f := v.judge(func(x variant) ruling {
		if len(x.records) == 0 && x.alias == "" {
			return ruling{outcome: pass}
		}
		if d.belongsToOld(x, v.Name) {
			var c change
			c.removeAll(append(append([]dns.RR(nil), x.records...), aliasOf(v, x)...))
			return ruling{d.byPhase(info, info, warn), "", c.String()}
		}
		if err := d.blind(d.cfg.OldProfile, x, v.Name); err != nil && !d.cfg.OldProfile.IsZero() {
			return ruling{unknown, x.text() + ": " + err.Error(), askAgain}
		}
		return ruling{outcome: pass}
	})
	return expecting(f, "autoconfig not at the old provider")
}

// judgeAutoconfig judges the answer of one place.
func (d *dossier) judgeAutoconfig(f *fetched) mailproof.Finding {
	g := mailproof.Finding{Outcome: pass, Expected: "no configuration at the old provider", Observed: f.text()}
	bad := d.byPhase(info, info, warn)
	switch {
	case f.unanswered():
		g.Outcome, g.Remedy = unknown, askAgain
	case f.err != nil: // clients go on to the next place
	case f.isRedirect():
		target := redirectHost(f)
		switch {
		case d.atOld(target):
			g.Outcome, g.Observed, g.Remedy = bad, f.text()+": at the old provider", "drop the redirect, or let it lead to "+d.cfg.Profile.Title()
		case !d.cfg.Profile.owns(target, d.domain):
			g.Outcome, g.Observed = info, f.text()+": what stands there was not read"
		}
	case f.status == http.StatusOK:
		g = d.judgeConfiguration(f, g, bad)
	}
	return g
}

func redirectHost(f *fetched) string {
	from, err := url.Parse(f.url)
	if err != nil {
		return ""
	}
	to, err := from.Parse(f.location)
	if err != nil {
		return ""
	}
	return to.Hostname()
}

// atOld reports whether a host belongs to the old provider and not to the new
// one as well.
func (d *dossier) atOld(host string) bool {
	return host != "" && !d.cfg.OldProfile.IsZero() && d.cfg.OldProfile.owns(host, d.domain) && !d.cfg.Profile.owns(host, d.domain)
}

// judgeConfiguration looks at the servers that a configuration names.
func (d *dossier) judgeConfiguration(f *fetched, g mailproof.Finding, bad mailproof.Outcome) mailproof.Finding {
	hosts, err := configuredHosts(f.body)
	switch {
	case err != nil:
		g.Observed = f.text() + ", which is no configuration"
		return g
	case len(hosts) == 0:
		g.Observed = f.text() + ", a configuration without servers"
		return g
	}
	g.Observed = fmt.Sprintf("%s, a configuration with %s", f.text(), shorten(strings.Join(hosts, ", ")))
	for _, h := range hosts {
		if d.atOld(h) {
			g.Outcome = bad
			g.Remedy = fmt.Sprintf("name the servers of %s in %s in place of %s, or delete the file", d.cfg.Profile.Title(), f.url, h)
		}
	}
	return g
}

// isConfiguration reports whether a client would take the answer.
func (f *fetched) isConfiguration() bool {
	if f.err != nil || f.status != http.StatusOK {
		return false
	}
	_, err := configuredHosts(f.body)
	return err == nil
}

var errNoConfiguration = errors.New("no clientConfig element")

// configuredHosts returns the host names of the servers in a configuration
// file. It reads foreign bytes: whatever is not such a file is an error.
func configuredHosts(body string) ([]string, error) {
	dec := xml.NewDecoder(strings.NewReader(body))
	dec.Strict = false
	var path []string
	var hosts []string
	found := false
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) && found {
			return hosts, nil
		}
		if err != nil {
			if found && len(hosts) > 0 {
				return hosts, nil // cut off; what it names, it names
			}
			return nil, errors.Join(errNoConfiguration, err)
		}
		switch t := token.(type) {
		case xml.StartElement:
			path = append(path, t.Name.Local)
			if len(path) == 1 && t.Name.Local != "clientConfig" {
				return nil, errNoConfiguration
			}
			found = true
		case xml.EndElement:
			if len(path) > 0 {
				path = path[:len(path)-1]
			}
		case xml.CharData:
			if n := len(path); n >= 2 && path[n-1] == "hostname" && (path[n-2] == "incomingServer" || path[n-2] == "outgoingServer") {
				if h := strings.TrimSpace(string(t)); h != "" {
					hosts = union(hosts, []string{oneLine(h)})
				}
			}
		}
	}
}
