package imapconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
)

// anchors are the trust anchors of CA files, added to the system's: thousands of
// connections need the same ones.
var anchors anchorFiles

type anchorFiles struct {
	mu sync.Mutex
	by map[string]anchorFile
}

type anchorFile struct {
	changed time.Time
	size    int64
	pool    *x509.CertPool
}

// of reads a file again once it was changed. The pool is not to be added to.
func (a *anchorFiles) of(file string) (*x509.CertPool, error) {
	is, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("trust anchors: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if had, ok := a.by[file]; ok && had.changed.Equal(is.ModTime()) && had.size == is.Size() {
		return had.pool, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the system's trust anchors: %w", err)
	}
	if err := addAnchors(pool, file); err != nil {
		return nil, err
	}
	if a.by == nil {
		a.by = map[string]anchorFile{}
	}
	a.by[file] = anchorFile{is.ModTime(), is.Size(), pool}
	return pool, nil
}

func addAnchors(pool *x509.CertPool, file string) error {
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("trust anchors: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("trust anchors: %s holds no certificate in PEM form", file)
	}
	return nil
}

// rootCAs are the trust anchors of the endpoint; nil stands for the system's.
func (c Config) rootCAs() (*x509.CertPool, error) {
	switch {
	case c.Endpoint.CAFile == "":
		return c.RootCAs, nil
	case c.RootCAs == nil:
		return anchors.of(c.Endpoint.CAFile)
	}
	roots := c.RootCAs.Clone()
	return roots, addAnchors(roots, c.Endpoint.CAFile)
}

// tlsConfig verifies the certificate unless the endpoint asks in so many words
// that it be not.
func (c Config) tlsConfig() (*tls.Config, error) {
	roots, err := c.rootCAs()
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.Endpoint.Host,
		RootCAs:            roots,
		InsecureSkipVerify: c.Endpoint.SkipVerify,
	}
	if c.Endpoint.CertFile != "" {
		cert, err := clientCertificate(c.Endpoint, c.ClientKey)
		if err != nil {
			return nil, err
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	return conf, nil
}

// stateOf is the state of a TLS connection, nil of any other.
func stateOf(conn net.Conn) *tls.ConnectionState {
	secured, ok := conn.(*tls.Conn)
	if !ok {
		return nil
	}
	state := secured.ConnectionState()
	return &state
}

// handshake puts TLS on a connection.
func (c Config) handshake(ctx context.Context, conn net.Conn) (*tls.Conn, error) {
	conf, err := c.tlsConfig()
	if err != nil {
		return nil, &mailproof.ServerError{Kind: mailproof.ErrTLS, Server: c.Endpoint.Address(), Op: "TLS handshake", Err: err}
	}
	again := c.resumptionOf(conn)
	if again != nil {
		conf.ClientSessionCache = again
	}
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	secured := tls.Client(conn, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		failure := tlsError(c.Endpoint.Address(), c.Endpoint.Host, err)
		if again.failed() && ctx.Err() == nil {
			return nil, &resumeError{failure}
		}
		return nil, failure
	}
	if again != nil {
		again.settle(secured.ConnectionState())
	}
	return secured, nil
}

// describeTLS records what was agreed upon.
func describeTLS(info *mailproof.ServerInfo, conn *tls.Conn, verified bool) {
	state := conn.ConnectionState()
	info.TLS = tls.VersionName(state.Version)
	info.CertVerified = verified
	if len(state.PeerCertificates) > 0 {
		info.CertNotAfter = state.PeerCertificates[0].NotAfter
	}
}

var errNoTLS = errors.New("the server does not offer STARTTLS, and without TLS the password would go over the line in the clear")
