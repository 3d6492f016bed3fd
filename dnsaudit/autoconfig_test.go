package dnsaudit

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

func configurationFor(host string) string {
	return `<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="example.test"><domain>example.test</domain>
<incomingServer type="imap"><hostname>` + host + `</hostname><port>993</port></incomingServer>
<outgoingServer type="smtp"><hostname>smtp.newhost.test</hostname></outgoingServer>
<documentation url="https://oldhost.test/help"/></emailProvider></clientConfig>`
}

// What the three places of autoconfig answer, in the order in which clients
// look.
func TestAutoconfig(t *testing.T) {
	ca := newAuthority(t)
	good := ca.issue(testNow.Add(time.Hour), "example.test", "*.example.test")
	const host, wellKnown = "autoconfig.example.test", "example.test"
	zone := zoneFile(t, "moved.zone") + "@ A 192.0.2.200\nautoconfig A 192.0.2.201\n"
	say := func(text string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) { _, _ = rw.Write([]byte(text)) }
	}
	to := func(location string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Location", location)
			rw.WriteHeader(http.StatusFound)
		}
	}
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	slow := func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-stop:
		case <-r.Context().Done():
		}
	}
	endless := func(rw http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := rw.Write([]byte("<clientConfig>" + strings.Repeat("x", 4096))); err != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name     string
		phase    mailproof.Phase
		answers  map[string]http.HandlerFunc // by host
		want     mailproof.Outcome
		observed string
	}{
		{"nothing there", p3, nil, pass, ""},
		{"the new host", p3, map[string]http.HandlerFunc{host: say(configurationFor("imap.newhost.test"))}, pass, ""},
		{"the old host at the first place", p3, map[string]http.HandlerFunc{host: say(configurationFor("imap.oldhost.test"))}, warn, "clients take it first"},
		{"the old host in the well-known place", p3, map[string]http.HandlerFunc{wellKnown: say(configurationFor("imap.oldhost.test"))}, warn, "/.well-known/autoconfig/mail/config-v1.1.xml"},
		{"the old host before the cut-over", p2, map[string]http.HandlerFunc{wellKnown: say(configurationFor("imap.oldhost.test"))}, info, "imap.oldhost.test"},
		{"the old host while it is planned", p1, map[string]http.HandlerFunc{wellKnown: say(configurationFor("imap.oldhost.test"))}, info, "imap.oldhost.test"},
		{"redirect to the old host", p3, map[string]http.HandlerFunc{wellKnown: to("https://autoconfig.oldhost.test/x")}, warn, "at the old provider"},
		{"redirect to the destination", p3, map[string]http.HandlerFunc{wellKnown: to("https://autodiscover.newhost.test/x")}, pass, ""},
		{"redirect elsewhere", p3, map[string]http.HandlerFunc{wellKnown: to("https://elsewhere.test/x")}, info, "was not read"},
		{"a page of the web site", p3, map[string]http.HandlerFunc{wellKnown: say("<!doctype html><p>imap.oldhost.test")}, pass, "which is no configuration"},
		{"endless", p3, map[string]http.HandlerFunc{wellKnown: endless}, pass, ""},
		{"slow", p3, map[string]http.HandlerFunc{wellKnown: slow}, unknown, "timeout"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := webWorld(t, tt.phase, zone, good, ca.pool, func(rw http.ResponseWriter, r *http.Request) {
				if strings.Contains(r.URL.RequestURI(), "@") || r.URL.RawQuery != "" {
					t.Errorf("somebody's address is sent along: %s", r.URL)
				}
				if h := tt.answers[r.Host]; h != nil && strings.Contains(r.URL.Path, "config-v1.1.xml") {
					h(rw, r)
					return
				}
				http.NotFound(rw, r)
			})
			if tt.name == "slow" {
				w.cfg.HTTPTimeout = time.Second
			}
			r := w.audit()
			withinSeverity(t, r, false)
			f := expect(t, r, "cl.autoconfig", tt.want)
			var all []string
			for _, f := range r.Findings {
				if f.Check == "cl.autoconfig" {
					all = append(all, f.Observed)
				}
			}
			if !strings.Contains(strings.Join(all, "\n"), tt.observed) {
				t.Errorf("observed %q", all)
			}
			if tt.want == warn && f.Remedy == "" {
				t.Error("no remedy")
			}
		})
	}
	// by DNS alone, and not asked over HTTP
	w := newWorld(t, p3, zoneFile(t, "moved.zone"))
	expect(t, w.audit(), "cl.autoconfig", info)
	w = newWorld(t, p3, zoneFile(t, "moved.zone")+"autoconfig CNAME autodiscover.oldhost.test.\n")
	expect(t, w.audit(), "cl.autoconfig", warn)
}

// The order of the places is that of the clients.
func TestAutoconfigOrder(t *testing.T) {
	got := strings.Join(autoconfigURLs("example.test"), " ")
	want := "https://autoconfig.example.test/mail/config-v1.1.xml https://example.test/.well-known/autoconfig/mail/config-v1.1.xml http://autoconfig.example.test/mail/config-v1.1.xml"
	if got != want {
		t.Errorf("%s", got)
	}
}

// A configuration comes from a web server that anybody may have written.
func FuzzConfiguredHosts(f *testing.F) {
	f.Add(configurationFor("imap.oldhost.test"))
	f.Add("<clientConfig><incomingServer><hostname>a")
	f.Add("<html>")
	f.Fuzz(func(t *testing.T, body string) {
		hosts, err := configuredHosts(body)
		if err != nil && len(hosts) > 0 {
			t.Errorf("%v and %v", hosts, err)
		}
		for _, h := range hosts {
			if h == "" || strings.ContainsAny(h, "\n\r") {
				t.Errorf("host %q", h)
			}
		}
	})
}
