package imapconn

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/mailproof/mailproof"
)

// tlsConfig verifies the certificate unless the endpoint asks in so many words
// that it be not.
func (c Config) tlsConfig() (*tls.Config, error) {
	roots := c.RootCAs
	if c.Endpoint.CAFile != "" {
		pem, err := os.ReadFile(c.Endpoint.CAFile)
		if err != nil {
			return nil, fmt.Errorf("trust anchors: %w", err)
		}
		if roots != nil {
			roots = roots.Clone()
		} else if roots, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("the system's trust anchors: %w", err)
		}
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("trust anchors: %s holds no certificate in PEM form", c.Endpoint.CAFile)
		}
	}
	conf := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         c.Endpoint.Host,
		RootCAs:            roots,
		InsecureSkipVerify: c.Endpoint.SkipVerify,
	}
	if c.Endpoint.CertFile != "" {
		cert, err := clientCertificate(c.Endpoint)
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
	ctx, cancel := context.WithTimeout(ctx, c.ConnectTimeout)
	defer cancel()
	secured := tls.Client(conn, conf)
	if err := secured.HandshakeContext(ctx); err != nil {
		return nil, tlsError(c.Endpoint.Address(), c.Endpoint.Host, err)
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
