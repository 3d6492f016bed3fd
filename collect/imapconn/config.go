package imapconn

import (
	"context"
	"crypto/x509"
	"log/slog"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/mailproof/mailproof"
)

// What applies where a [Config] says nothing.
const (
	DefaultConnectTimeout  = 30 * time.Second
	DefaultProgressTimeout = 60 * time.Second
	DefaultKeepAlive       = 2 * time.Minute
)

// Config says whom to sign in as, where, and how patiently.
type Config struct {
	Endpoint mailproof.Endpoint
	Password mailproof.Secret
	// Tokens takes the place of Password where the server wants OAuth 2.
	Tokens Tokens
	// ClientKey is the private key of the endpoint's client certificate, in PEM
	// form, where it is not in a file: its KeyFile then only names it in errors.
	ClientKey mailproof.Secret

	// ConnectTimeout limits the dialling and the TLS handshake.
	ConnectTimeout time.Duration
	// ProgressTimeout is how long the server may be silent while an answer is
	// due, and how long it may refuse to take octets. Every octet that passes
	// starts it anew.
	ProgressTimeout time.Duration

	// Survey says that [Reader.Survey] comes next: ID, NAMESPACE and LIST are
	// sent together, in one round trip, right behind the sign-in.
	Survey bool

	// KeepAlive is how long a connection may lie idle before a NOOP is sent; 0
	// means DefaultKeepAlive, less than 0 never. Servers hang up after 30
	// minutes (RFC 9051 §5.4), and what lies in between often after five.
	KeepAlive time.Duration
	// Waiting is told of every pause before a connection is made anew, with
	// what led to it; may be nil.
	Waiting func(cause error, pause time.Duration)

	// RootCAs are the trust anchors; nil stands for the system's. The
	// endpoint's CAFile adds to them.
	RootCAs *x509.CertPool
	// Dial opens the TCP connection; nil stands for a [net.Dialer].
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	// ClientName and ClientVersion are sent with ID (RFC 2971) where the
	// server offers it; nothing is sent while the name is empty.
	ClientName, ClientVersion string

	// Log receives protocol events at debug level, without secrets; may be nil.
	Log *slog.Logger

	// tokens is the state of Tokens, one for all connections of a login.
	tokens *tokenState

	// backoff paces reconnections; tests make it short.
	backoff func() backoff.BackOff
}

func (c Config) withDefaults() Config {
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = DefaultConnectTimeout
	}
	if c.ProgressTimeout <= 0 {
		c.ProgressTimeout = DefaultProgressTimeout
	}
	if c.KeepAlive == 0 {
		c.KeepAlive = DefaultKeepAlive
	}
	if c.Dial == nil {
		c.Dial = new(net.Dialer).DialContext
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Tokens != nil && c.tokens == nil {
		c.tokens = &tokenState{source: c.Tokens}
	}
	if c.backoff == nil {
		c.backoff = func() backoff.BackOff {
			b := backoff.NewExponentialBackOff()
			b.InitialInterval = 500 * time.Millisecond
			b.MaxInterval = 20 * time.Second
			return b
		}
	}
	return c
}
