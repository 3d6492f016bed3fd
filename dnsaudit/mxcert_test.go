package dnsaudit

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// The certificate of an exchange counts where a policy enforces it.
func TestMXCertificate(t *testing.T) {
	ca := newAuthority(t)
	good, expired := ca.issue(testNow.Add(time.Hour), "own.example.test"), ca.issue(testNow.Add(-time.Minute), "own.example.test")
	wrong := ca.issue(testNow.Add(time.Hour), "other.example.test")
	web := ca.issue(testNow.Add(time.Hour), "*.example.test")
	zone := edit(t, zoneFile(t, "moved.zone"), mxLines, "@ MX 10 own\nown A 192.0.2.200\n")
	sts := "mta-sts A 192.0.2.201\n_mta-sts TXT \"v=STSv1; id=7;\"\n"
	for _, tt := range []struct {
		name    string
		cert    tls.Certificate
		mode    string // of the MTA-STS policy; empty: there is none
		refused bool
		want    mailproof.Outcome
	}{
		{"good", good, "enforce", false, pass},
		{"good without a policy", good, "", false, pass},
		{"expired and enforced", expired, "enforce", false, fail},
		{"another name and enforced", wrong, "enforce", false, fail},
		{"expired in testing", expired, "testing", false, warn},
		{"expired without a policy", expired, "", false, warn},
		{"expired, and no policy in the file", expired, "none of these", false, unknown},
		{"out of reach", good, "enforce", true, unknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			here := zone
			if tt.mode != "" {
				here += sts
			}
			w := webWorld(t, p3, here, web, ca.pool, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Content-Type", "text/plain")
				fmt.Fprintf(rw, "version: STSv1\nmode: %s\nmx: own.example.test\nmax_age: 86400\n", tt.mode)
			})
			mail, others := smtpServer(t, tt.cert), w.cfg.Dial
			w.cfg.SMTP = true
			w.cfg.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				switch {
				case !strings.HasSuffix(addr, ":25"):
					return others(ctx, network, addr)
				case tt.refused:
					return nil, errors.New("connection refused")
				}
				return (&net.Dialer{}).DialContext(ctx, network, mail)
			}
			f := expect(t, w.audit(), "mx.cert", tt.want)
			if tt.want != pass && f.Remedy == "" || !strings.HasPrefix(f.Observed, "own.example.test: ") {
				t.Errorf("observed %q, remedy %q", f.Observed, f.Remedy)
			}
		})
	}
	w := newWorld(t, p3, zone)
	expect(t, w.audit(), "mx.cert", info) // nobody asked for the probe
}
