package imapconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// resumed signs in once and says whether the TLS session was resumed.
func resumed(t *testing.T, c Config) (bool, mailproof.ServerInfo) {
	t.Helper()
	w, info, err := connect(context.Background(), c.withDefaults(), &traffic{})
	if err != nil {
		t.Fatal(err)
	}
	// Whatever is sent here comes behind the tickets.
	if err := w.capability(); err != nil {
		t.Fatal(err)
	}
	_ = w.conn.Close()
	return w.tls.DidResume, info
}

// tlsFake is a server whose certificate is in the file that is returned.
func tlsFake(t *testing.T, edit func(*tls.Config)) (*fakeServer, Config, string) {
	t.Helper()
	f := newFake(t, func(c *fakeConn) {
		if c.preamble("IMAP4rev1") {
			c.idle()
		}
	})
	cert, _ := certificate(t, nil)
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	if edit != nil {
		edit(conf)
	}
	f.mu.Lock()
	f.tls = conf
	f.mu.Unlock()
	file := filepath.Join(t.TempDir(), "ca.pem")
	writeAnchor(t, file, cert)
	config := f.config()
	config.Endpoint.Security, config.Endpoint.CAFile = mailproof.ImplicitTLS, file
	return f, config, file
}

func writeAnchor(t *testing.T, file string, cert tls.Certificate) {
	t.Helper()
	write(t, file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
}

// The second connection resumes the session of the first, and what is told of
// the certificate stays the same; one that would be verified in another way, or
// that signs in with a certificate, or another address, begins anew.
func TestResume(t *testing.T) {
	f, config, file := tlsFake(t, nil)
	again, first := resumed(t, config)
	if again {
		t.Fatal("the first connection resumes something")
	}
	again, second := resumed(t, config)
	if !again {
		t.Error("the second connection does not resume the session")
	}
	if !second.CertVerified || !second.CertNotAfter.Equal(first.CertNotAfter) || second.CertNotAfter.IsZero() || second.TLS != first.TLS {
		t.Errorf("resumed: %+v, at first %+v", second, first)
	}
	f.mu.Lock()
	cert := f.tls.Certificates[0]
	f.mu.Unlock()
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	pool.AddCert(leaf)
	other := filepath.Join(t.TempDir(), "other.pem")
	writeAnchor(t, other, cert)
	dir := t.TempDir()
	makePair(t, filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"))
	for _, tt := range []struct {
		name string
		edit func(*Config)
	}{
		{"not verified", func(c *Config) { c.Endpoint.SkipVerify = true }},
		{"other trust anchors", func(c *Config) { c.Endpoint.CAFile = other }},
		{"trust anchors of the caller", func(c *Config) { c.Endpoint.CAFile, c.RootCAs = "", pool }},
		{"client certificate", func(c *Config) {
			c.Endpoint.CertFile, c.Endpoint.KeyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
		}},
	} {
		c := config
		tt.edit(&c)
		if again, _ := resumed(t, c); again {
			t.Errorf("%s: resumes the session", tt.name)
		}
	}
	_, elsewhere, file2 := tlsFake(t, nil)
	write(t, file, append(contents(t, file), contents(t, file2)...))
	elsewhere.Endpoint.CAFile = file
	if again, _ := resumed(t, elsewhere); again {
		t.Error("another address resumes the session")
	}
	if again, _ := resumed(t, config); !again {
		t.Error("the others used up the session")
	}
}

// With TLS 1.2 every connection begins anew.
func TestResumeNewTLSOnly(t *testing.T) {
	_, config, _ := tlsFake(t, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 })
	for range 3 {
		if again, _ := resumed(t, config); again {
			t.Fatal("resumes a session of TLS 1.2")
		}
	}
}

// What was verified once is not trusted for ever: a session does not outlive the
// trust in the authority.
func TestResumeUntrusted(t *testing.T) {
	_, config, file := tlsFake(t, nil)
	resumed(t, config)
	stranger, _ := certificate(t, nil)
	writeAnchor(t, file, stranger)
	later := time.Now().Add(time.Second)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	_, _, err := connect(context.Background(), config.withDefaults(), &traffic{})
	if mailproof.KindOf(err) != mailproof.ErrTLS || !strings.Contains(err.Error(), "authority that is not trusted") {
		t.Errorf("an authority that is trusted no more: %v", err)
	}
}

// A server that breaks off when it is offered a session is signed in to all the
// same, with one more connection.
func TestResumeNotTaken(t *testing.T) {
	f, config, _ := tlsFake(t, func(c *tls.Config) {
		c.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			const preSharedKey = 41
			if slices.Contains(hello.Extensions, preSharedKey) {
				return nil, errors.New("no sessions here")
			}
			return nil, nil
		}
	})
	for range 2 {
		if again, _ := resumed(t, config); again {
			t.Error("resumes the session")
		}
	}
	if n := f.dialled(); n != 3 {
		t.Errorf("%d connections, want 3", n)
	}
}

// A ticket is handed out once, never after its time, and what is kept is bounded.
func TestResumableBounds(t *testing.T) {
	var r resumable
	now := time.Now()
	key := resumeKey{peer: "192.0.2.1:993", name: "imap.example.com", verify: true}
	r.keep(key, ticket{now, new(tls.ClientSessionState)})
	r.keep(key, ticket{now.Add(-resumeFor), new(tls.ClientSessionState)})
	if got, ok := r.take(key, now); !ok || !got.since.Equal(now) {
		t.Errorf("took %v of %v, want the newer one", ok, got.since)
	}
	if _, ok := r.take(key, now); ok {
		t.Error("one was handed out twice, or too late")
	}
	for i := range 2 * maxTickets {
		r.keep(key, ticket{now, new(tls.ClientSessionState)})
		r.keep(resumeKey{peer: "192.0.2.1", name: strings.Repeat("x", i)}, ticket{now, new(tls.ClientSessionState)})
	}
	for i := range 2 * maxResumable {
		r.keep(resumeKey{name: strings.Repeat("y", i+1)}, ticket{now, new(tls.ClientSessionState)})
	}
	if len(r.by) > maxResumable || len(r.by[key]) > maxTickets {
		t.Errorf("%d servers and %d tickets", len(r.by), len(r.by[key]))
	}
	var wg sync.WaitGroup // -race
	for range 8 {
		wg.Go(func() {
			for range 50 {
				r.keep(key, ticket{now, new(tls.ClientSessionState)})
				r.take(key, now)
			}
			r.forget(key)
		})
	}
	wg.Wait()
}
