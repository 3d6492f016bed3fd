package imapconn

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// idle answers what a session may ask besides.
func (c *fakeConn) idle() {
	c.serve(func(cmd commandLine) bool {
		c.line("%s OK done", cmd.tag)
		return true
	})
}

func TestSignIn(t *testing.T) {
	plain := base64.StdEncoding.EncodeToString([]byte("\x00anna\x00s3cret"))
	plainAuthz := base64.StdEncoding.EncodeToString([]byte("bob\x00anna\x00s3cret"))
	type step struct{ want, answer string }
	for _, tt := range []struct {
		name      string
		greeting  string
		authz     string
		steps     []step // T stands for the tag
		mechanism string
		kind      mailproof.ErrorKind
		text      string // of the error
	}{
		{name: "LOGIN command", greeting: "* OK [CAPABILITY IMAP4rev1] hi",
			steps: []step{{`LOGIN "anna" "s3cret"`, "T OK [CAPABILITY IMAP4rev1 ID] in"}, {"ID NIL", "* ID (\"name\" \"Fake\" \"version\" NIL)\r\nT OK"}}, mechanism: "LOGIN command"},
		{name: "no capabilities in the greeting", greeting: "* OK hi",
			steps: []step{{"CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\nT OK"}, {"AUTHENTICATE PLAIN " + plain, "T OK in"},
				{"CAPABILITY", "* CAPABILITY IMAP4rev1\r\nT OK"}}, mechanism: "PLAIN"},
		{name: "PLAIN without SASL-IR", greeting: "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi",
			steps: []step{{"AUTHENTICATE PLAIN", "+ "}, {plain, "T OK [CAPABILITY IMAP4rev1] in"}}, mechanism: "PLAIN"},
		{name: "PLAIN for another user", greeting: "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi", authz: "bob",
			steps: []step{{"AUTHENTICATE PLAIN " + plainAuthz, "T OK [CAPABILITY IMAP4rev1] in"}}, mechanism: "PLAIN"},
		{name: "for another user without PLAIN", greeting: "* OK [CAPABILITY IMAP4rev1 AUTH=LOGIN] hi", authz: "bob",
			kind: mailproof.ErrAuth, text: "needs AUTH=PLAIN"},
		{name: "mechanism LOGIN", greeting: "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=LOGIN] hi",
			steps:     []step{{"AUTHENTICATE LOGIN", "+ VXNlcm5hbWU6"}, {"YW5uYQ==", "+ UGFzc3dvcmQ6"}, {"czNjcmV0", "T OK [CAPABILITY IMAP4rev1] in"}},
			mechanism: "LOGIN"},
		{name: "nothing in common", greeting: "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=GSSAPI] hi", kind: mailproof.ErrAuth, text: "GSSAPI"},
		{name: "PLAIN is BAD, LOGIN works", greeting: "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi",
			steps: []step{{"AUTHENTICATE PLAIN " + plain, "T BAD unknown"}, {`LOGIN "anna" "s3cret"`, "T OK [CAPABILITY IMAP4rev1] in"}}, mechanism: "LOGIN command"},
		{name: "wrong password is tried once", greeting: "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] hi",
			steps: []step{{"AUTHENTICATE PLAIN " + plain, "T NO [AUTHENTICATIONFAILED] wrong"}}, kind: mailproof.ErrAuth, text: "[AUTHENTICATIONFAILED] wrong"},
		{name: "echo of the password", greeting: "* OK [CAPABILITY IMAP4rev1] hi",
			steps: []step{{`LOGIN "anna" "s3cret"`, `T NO cannot do LOGIN "anna" "s3cret" or ` + plain}}, kind: mailproof.ErrAuth, text: "cannot do LOGIN"},
		{name: "echo of the password in junk", greeting: "* OK [CAPABILITY IMAP4rev1] hi",
			steps: []step{{`LOGIN "anna" "s3cret"`, `s3cret? never heard`}}, kind: mailproof.ErrProtocol, text: "cannot be understood"},
		{name: "too many connections", greeting: "* OK [CAPABILITY IMAP4rev1] hi",
			steps: []step{{`LOGIN "anna" "s3cret"`, "T NO [ALERT] Too many simultaneous connections. (Failure)"}}, kind: mailproof.ErrThrottled, text: "simultaneous"},
		{name: "BYE at sign-in", greeting: "* OK [CAPABILITY IMAP4rev1] hi",
			steps: []step{{`LOGIN "anna" "s3cret"`, "* BYE maintenance\r\n!"}}, kind: mailproof.ErrConnection, text: "maintenance"},
		{name: "PREAUTH", greeting: "* PREAUTH [CAPABILITY IMAP4rev1] you are known", mechanism: "PREAUTH"},
		{name: "BYE", greeting: "* BYE [UNAVAILABLE] Maximum number of connections", kind: mailproof.ErrThrottled, text: "[UNAVAILABLE]"},
		{name: "no IMAP", greeting: "220 smtp.example.com ESMTP", kind: mailproof.ErrProtocol, text: "220 smtp"},
		{name: "hangs up", greeting: "!", kind: mailproof.ErrConnection, text: "closed the connection"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, func(c *fakeConn) {
				if tt.greeting == "!" {
					return
				}
				c.line("%s", tt.greeting)
				tag := ""
				for _, s := range tt.steps {
					line, _ := c.readLine()
					if first, rest, _ := strings.Cut(line, " "); strings.HasPrefix(first, "S") && len(first) < 4 {
						tag, line = first, rest
					}
					if line != s.want {
						t.Errorf("client says %q, want %q", line, s.want)
					}
					answer, hangUp := strings.CutSuffix(s.answer, "!")
					c.line("%s", strings.NewReplacer("\r\nT ", "\r\n"+tag+" ").Replace(strings.TrimSuffix("\r\n"+answer, "\r\n"))[2:])
					if hangUp {
						return
					}
				}
				c.idle()
			})
			config := f.config()
			config.Endpoint.Authz = tt.authz
			var log bytes.Buffer
			config.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
			r, err := DialReader(context.Background(), config)
			for _, where := range []string{log.String(), errorText(err)} {
				for _, secret := range []string{"s3cret", plain, plainAuthz, "czNjcmV0"} {
					if strings.Contains(where, secret) {
						t.Errorf("the secret is told: %s", where)
					}
				}
			}
			if tt.mechanism == "" {
				if err == nil || mailproof.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
					t.Fatalf("error %v (%v), want %v with %q", err, mailproof.KindOf(err), tt.kind, tt.text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Server(); got.Mechanism != tt.mechanism || got.TLS != "" {
				t.Errorf("server %+v, want mechanism %s", got, tt.mechanism)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			if _, err := r.Mailboxes(context.Background()); !errors.Is(err, errClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestSTARTTLS(t *testing.T) {
	cert, pool := certificate(t, nil)
	conf := &tls.Config{Certificates: []tls.Certificate{cert}}
	upgrade := func(c *fakeConn, injected string) bool {
		cmd, ok := c.command()
		if !ok || cmd.name != "STARTTLS" {
			return false
		}
		c.say("%s OK begin\r\n%s", cmd.tag, injected)
		c.Conn = tls.Server(c.Conn, conf)
		c.br.Reset(c.Conn)
		return true
	}
	secured := func(c *fakeConn) {
		for {
			cmd, ok := c.command()
			if !ok {
				return
			}
			switch cmd.name {
			case "CAPABILITY":
				c.line("* CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR\r\n%s OK", cmd.tag)
			case "AUTHENTICATE":
				c.line("%s OK [CAPABILITY IMAP4rev1 X-REAL] in", cmd.tag)
			default:
				c.line("%s OK", cmd.tag)
			}
		}
	}
	for _, tt := range []struct {
		name   string
		script func(c *fakeConn)
		kind   mailproof.ErrorKind // 0: works
		text   string
	}{
		{"works", func(c *fakeConn) {
			c.line("* OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi")
			if upgrade(c, "") {
				secured(c)
			}
		}, 0, ""},
		{"stripped", func(c *fakeConn) {
			c.line("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi")
			if cmd, ok := c.command(); ok {
				t.Errorf("client goes on without TLS: %v", cmd)
			}
		}, mailproof.ErrTLS, "does not offer STARTTLS"},
		{"refused", func(c *fakeConn) {
			c.line("* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hi")
			cmd, _ := c.command()
			c.line("%s NO not today", cmd.tag)
			if cmd, ok := c.command(); ok {
				t.Errorf("client goes on without TLS: %v", cmd)
			}
		}, mailproof.ErrTLS, "not today"},
		{"PREAUTH", func(c *fakeConn) {
			c.line("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi")
			if cmd, ok := c.command(); ok {
				t.Errorf("client goes on without TLS: %v", cmd)
			}
		}, mailproof.ErrTLS, "PREAUTH"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, tt.script)
			config := f.config()
			config.Endpoint.Security = mailproof.STARTTLS
			config.RootCAs = pool
			r, err := DialReader(context.Background(), config)
			if tt.kind == 0 {
				if err != nil {
					t.Fatal(err)
				}
				info := r.Server()
				if info.TLS != "TLS 1.3" || !info.CertVerified || info.CertNotAfter.IsZero() || strings.Join(info.Capabilities, " ") != "IMAP4rev1 X-REAL" {
					t.Errorf("server %+v", info)
				}
				r.link.drop()
				return
			}
			if mailproof.KindOf(err) != tt.kind || !strings.Contains(errorText(err), tt.text) {
				t.Errorf("error %v (%v), want %v with %q", err, mailproof.KindOf(err), tt.kind, tt.text)
			}
		})
	}
}

// Octets that somebody slipped in before the handshake never reach the client
// that runs within TLS.
func TestSTARTTLSInjection(t *testing.T) {
	cert, pool := certificate(t, nil)
	f := newFake(t, func(c *fakeConn) {
		c.line("* OK [CAPABILITY IMAP4rev1 STARTTLS] hi")
		cmd, _ := c.command()
		c.say("%s OK begin\r\n* CAPABILITY IMAP4rev1 X-EVIL\r\nS1 OK forged\r\n", cmd.tag)
		c.Conn = tls.Server(c.Conn, &tls.Config{Certificates: []tls.Certificate{cert}})
		c.br.Reset(c.Conn)
		for {
			cmd, ok := c.command()
			if !ok {
				return
			}
			switch cmd.name {
			case "CAPABILITY":
				c.line("* CAPABILITY IMAP4rev1\r\n%s OK", cmd.tag)
			default:
				c.line("%s OK", cmd.tag)
			}
		}
	})
	config := f.config()
	config.Endpoint.Security = mailproof.STARTTLS
	config.RootCAs = pool
	r, err := DialReader(context.Background(), config)
	if err != nil {
		// The octets came in two packets: the handshake choked on them, which is as good.
		if mailproof.KindOf(err) != mailproof.ErrTLS {
			t.Error(err)
		}
		return
	}
	defer r.link.drop()
	if strings.Contains(strings.Join(r.Server().Capabilities, " "), "EVIL") {
		t.Errorf("forged capabilities were believed: %v", r.Server().Capabilities)
	}
}

func TestTLS(t *testing.T) {
	good, pool := certificate(t, nil)
	expired, expiredPool := certificate(t, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	early, earlyPool := certificate(t, func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })
	other, otherPool := certificate(t, func(c *x509.Certificate) { c.IPAddresses, c.DNSNames = nil, []string{"mail.example.com"} })
	anchor := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(anchor, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: good.Certificate[0]}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		cert tls.Certificate
		edit func(*Config)
		max  uint16
		kind mailproof.ErrorKind // 0: works
		text string
	}{
		{name: "good", cert: good, edit: func(c *Config) { c.RootCAs = pool }},
		{name: "anchor from a file", cert: good, edit: func(c *Config) { c.Endpoint.CAFile = anchor }},
		{name: "no such file", cert: good, edit: func(c *Config) { c.Endpoint.CAFile = anchor + "x" }, kind: mailproof.ErrTLS, text: "trust anchors"},
		{name: "unknown authority", cert: good, edit: func(c *Config) {}, kind: mailproof.ErrTLS, text: "authority that is not trusted"},
		{name: "not verified on demand", cert: expired, edit: func(c *Config) { c.Endpoint.SkipVerify = true }},
		{name: "expired", cert: expired, edit: func(c *Config) { c.RootCAs = expiredPool }, kind: mailproof.ErrTLS, text: "expired on"},
		{name: "not yet valid", cert: early, edit: func(c *Config) { c.RootCAs = earlyPool }, kind: mailproof.ErrTLS, text: "valid only from"},
		{name: "other name", cert: other, edit: func(c *Config) { c.RootCAs = otherPool }, kind: mailproof.ErrTLS, text: "not for 127.0.0.1 but for mail.example.com"},
		{name: "TLS 1.1", cert: good, edit: func(c *Config) { c.RootCAs = pool }, max: tls.VersionTLS11, kind: mailproof.ErrTLS, text: "protocol version"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t, func(c *fakeConn) {
				if c.preamble("IMAP4rev1") {
					c.idle()
				}
			})
			f.mu.Lock()
			f.tls = &tls.Config{Certificates: []tls.Certificate{tt.cert}, MaxVersion: tt.max, MinVersion: tls.VersionTLS10}
			f.mu.Unlock()
			config := f.config()
			config.Endpoint.Security = mailproof.ImplicitTLS
			tt.edit(&config)
			r, err := DialReader(context.Background(), config)
			if tt.text != "" {
				if mailproof.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("error %v (%v), want %q", err, mailproof.KindOf(err), tt.text)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := r.Server(); got.CertVerified == config.Endpoint.SkipVerify || got.TLS == "" {
				t.Errorf("server %+v", got)
			}
			r.link.drop()
		})
	}
}

func TestDialErrors(t *testing.T) {
	config := newFake(t, func(c *fakeConn) {}).config()
	config.Endpoint.Security = mailproof.ImplicitTLS
	for _, tt := range []struct {
		name string
		dial func(context.Context, string, string) (net.Conn, error)
		kind mailproof.ErrorKind
	}{
		{"unknown host", func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "nowhere.invalid", IsNotFound: true}}
		}, mailproof.ErrUnknownHost},
		{"refused", func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", errors.New("connection refused"))}
		}, mailproof.ErrUnreachable},
		{"no answer", func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}, mailproof.ErrUnreachable},
		{"hangs up in the handshake", nil, mailproof.ErrConnection},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := config
			c.Dial = tt.dial
			if tt.name == "no answer" {
				c.ConnectTimeout = 20 * time.Millisecond
			}
			if _, err := DialReader(context.Background(), c); mailproof.KindOf(err) != tt.kind {
				t.Errorf("error %v (%v), want %v", err, mailproof.KindOf(err), tt.kind)
			}
			ctx, cancel := context.WithCancelCause(context.Background())
			mine := errors.New("mine")
			cancel(mine)
			if _, err := DialReader(ctx, c); err != mine {
				t.Errorf("cancelled: %v", err)
			}
		})
	}
}
