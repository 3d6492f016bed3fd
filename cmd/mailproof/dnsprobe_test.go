package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// probeHostsCommand starts what dns --http and --starttls talk to: a web server
// with a certificate for northgate.example and all below it, a plain one, a
// mail server with STARTTLS and one whose certificate has expired. The web
// servers serve DIR/web/HOST/PATH. $HTTPS, $HTTP, $MX and $MXEXPIRED say where
// they are, DIR/probe-ca.pem is what signed them:
//
//	probehosts DIR
func probeHostsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: probehosts DIR")
	}
	dir := ts.MkAbs(args[0])
	ca := newProbeAuthority(ts)
	ts.Check(os.WriteFile(filepath.Join(dir, "probe-ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw}), 0o600))
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Authorization") != "" {
			http.Error(w, "no", http.StatusBadRequest)
			return
		}
		body, err := os.ReadFile(filepath.Join(dir, "web", r.Host, filepath.FromSlash(r.URL.Path)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		if strings.HasSuffix(r.URL.Path, ".txt") {
			w.Header().Set("Content-Type", "text/plain")
		}
		_, _ = w.Write(body) // a client that hangs up is the script's business
	})
	secure := httptest.NewUnstartedServer(handler)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{ca.issue(ts, time.Hour, "northgate.example", "*.northgate.example")}}
	secure.StartTLS()
	ts.Defer(secure.Close)
	plain := httptest.NewServer(handler)
	ts.Defer(plain.Close)
	ts.Setenv("HTTPS", secure.Listener.Addr().String())
	ts.Setenv("HTTP", plain.Listener.Addr().String())
	ts.Setenv("MX", startTLSServer(ts, ca.issue(ts, time.Hour, "mx1.meridian.example")))
	ts.Setenv("MXEXPIRED", startTLSServer(ts, ca.issue(ts, -time.Minute, "mx1.meridian.example")))
}

type probeAuthority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newProbeAuthority(ts *testscript.TestScript) *probeAuthority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of the probes"}, NotBefore: time.Now().Add(-2 * time.Hour),
		NotAfter: time.Now().Add(2 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	ts.Check(err)
	cert, err := x509.ParseCertificate(der)
	ts.Check(err)
	return &probeAuthority{key, cert}
}

func (a *probeAuthority) issue(ts *testscript.TestScript, until time.Duration, names ...string) tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: names, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(until)}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	ts.Check(err)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// startTLSServer speaks SMTP up to STARTTLS. A command of a mail transaction
// ends the script in failure.
func startTLSServer(ts *testscript.TestScript, cert tls.Certificate) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var strange []string
	talk := func(conn net.Conn) {
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprint(conn, "220 mx ESMTP\r\n")
		for in := bufio.NewReader(conn); ; {
			line, err := in.ReadString('\n')
			switch {
			case err != nil:
				return
			case strings.HasPrefix(line, "EHLO"):
				_, _ = fmt.Fprint(conn, "250-mx\r\n250 STARTTLS\r\n")
			case strings.HasPrefix(line, "STARTTLS"):
				_, _ = fmt.Fprint(conn, "220 go\r\n")
				_ = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake()
				return
			default:
				mu.Lock()
				strange = append(strange, line)
				mu.Unlock()
				return
			}
		}
	}
	wg.Add(1)
	go func() {
		defer wg.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Add(1)
			go func() { defer wg.Done(); talk(conn) }()
		}
	}()
	ts.Defer(func() {
		ts.Check(l.Close())
		wg.Wait()
		if len(strange) > 0 {
			ts.Fatalf("the mail server was sent %q", strange)
		}
	})
	return l.Addr().String()
}
