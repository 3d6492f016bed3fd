package imapconn

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// authServer is the way to a server of which every mechanism is tried; the test
// is skipped where the environment names none.
func authServer(t *testing.T, name string, security mailproof.Security) Config {
	t.Helper()
	variable := "MAILPROOF_" + name
	if security == mailproof.ImplicitTLS {
		variable += "_TLS"
	}
	address := os.Getenv(variable)
	if address == "" {
		t.Skip(variable + " names no server")
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	c := Config{
		Endpoint: mailproof.Endpoint{User: "auth-anna", Host: host, Port: n, Security: security},
		Password: mailproof.NewSecret("pw"),
	}
	if security != mailproof.Plaintext {
		c.Endpoint.CAFile = os.Getenv("MAILPROOF_TEST_CA")
	}
	return c
}

// signInWith signs in and out, and returns the mechanism. That it was the right
// account shows in whose folder is there.
func signInWith(c Config) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := DialReader(ctx, c)
	if err != nil {
		return "", err
	}
	mechanism := r.Server().Mechanism
	_, err = r.Mailboxes(ctx)
	return mechanism, errors.Join(err, r.Close())
}

// mark makes a folder by which an account is known.
func mark(t *testing.T, c Config, folder string) {
	t.Helper()
	w, err := DialWriter(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Create(context.Background(), folder, ""); err != nil {
		t.Fatal(err)
	}
}

// marked reports whether the account that is signed in to has the folder.
func marked(t *testing.T, c Config, folder string) bool {
	t.Helper()
	r, err := DialReader(context.Background(), c)
	if err != nil {
		t.Errorf("%s for %q: %v", c.Endpoint.Auth, c.Endpoint.Authz, err)
		return false
	}
	defer r.Close()
	boxes, err := r.Mailboxes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range boxes {
		if m.Name == folder {
			return true
		}
	}
	return false
}

// Each mechanism by itself, and the best by default, at Dovecot and at Cyrus.
func TestMechanismsAtServers(t *testing.T) {
	for _, server := range []string{"DOVECOTAUTH", "CYRUSAUTH"} {
		for _, security := range []mailproof.Security{mailproof.ImplicitTLS, mailproof.STARTTLS, mailproof.Plaintext} {
			t.Run(server+" "+security.String(), func(t *testing.T) {
				base := authServer(t, server, security)
				for _, mechanism := range []string{"", "SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN", mailproof.LoginCommand} {
					c := base
					c.Endpoint.Auth = mechanism
					want := mechanism
					switch mechanism {
					case "":
						want = "SCRAM-SHA-256"
					case mailproof.LoginCommand:
						want = loginCommand
					}
					got, err := signInWith(c)
					if err == nil && mechanism == "" {
						got = strings.TrimSuffix(got, "-PLUS")
					}
					if err != nil || got != want {
						t.Errorf("%q: signed in by %q, error %v", mechanism, got, err)
					}
				}
				c := base
				c.Password = mailproof.NewSecret("wr0ng")
				_, err := signInWith(c)
				var refused *SignInError
				if mailproof.KindOf(err) != mailproof.ErrAuth || !errors.As(err, &refused) || !strings.HasPrefix(refused.Mechanism, "SCRAM-SHA-256") {
					t.Errorf("wrong password: %v", err)
				}
			})
		}
	}
}

// An administrator reads somebody else's mail, and not his own.
func TestAdministratorAtServers(t *testing.T) {
	for _, tt := range []struct {
		server, admin, password string
		ways                    []mailproof.Endpoint
	}{
		{"DOVECOTAUTH", "master", "masterpw", []mailproof.Endpoint{{Auth: "PLAIN"}, {}, {Auth: "LOGIN", AdminSeparator: "*"}, {Auth: mailproof.LoginCommand, AdminSeparator: "*"}, {AdminSeparator: "*"}}},
		{"CYRUSAUTH", "proxy", "proxypw", []mailproof.Endpoint{{Auth: "PLAIN"}, {Auth: "SCRAM-SHA-256"}, {}}},
	} {
		t.Run(tt.server, func(t *testing.T) {
			own := authServer(t, tt.server, mailproof.ImplicitTLS)
			folder := "Marked-" + strconv.FormatInt(time.Now().UnixNano(), 36)
			mark(t, own, folder)
			for _, way := range tt.ways {
				c := own
				c.Endpoint.User, c.Endpoint.Authz = tt.admin, own.Endpoint.User
				c.Endpoint.Auth, c.Endpoint.AdminSeparator = way.Auth, way.AdminSeparator
				c.Password = mailproof.NewSecret(tt.password)
				if !marked(t, c, folder) {
					t.Errorf("%+v reads another account", way)
				}
			}
			c := own
			c.Endpoint.Authz = "auth-bob" // auth-anna is no administrator
			if _, err := signInWith(c); err == nil {
				t.Errorf("anybody may read anybody's mail: %v", err)
			}
		})
	}
}

func TestClientCertificateAtServer(t *testing.T) {
	for _, security := range []mailproof.Security{mailproof.ImplicitTLS, mailproof.STARTTLS} {
		c := authServer(t, "DOVECOTAUTH", security)
		c.Endpoint.User = "auth-cert"
		own := c
		folder := "Marked-" + strconv.FormatInt(time.Now().UnixNano(), 36)
		mark(t, own, folder)
		c.Endpoint.CertFile, c.Endpoint.KeyFile = os.Getenv("MAILPROOF_TEST_CLIENT"), os.Getenv("MAILPROOF_TEST_CLIENT_KEY")
		c.Password = mailproof.Secret{}
		if got, err := signInWith(c); err != nil || got != "EXTERNAL" {
			t.Errorf("%v: by %q, error %v", security, got, err)
		}
		if !marked(t, c, folder) {
			t.Errorf("%v: the certificate opens another account", security)
		}
		c.Endpoint.CertFile, c.Endpoint.KeyFile = "", ""
		c.Endpoint.Auth, c.Password = "EXTERNAL", mailproof.NewSecret("pw")
		if _, err := signInWith(c); mailproof.KindOf(err) != mailproof.ErrAuth {
			t.Errorf("%v: EXTERNAL without a certificate: %v", security, err)
		}
	}
}

// accessToken makes a token that Dovecot takes.
func accessToken(t *testing.T, edit func(claims map[string]any)) mailproof.Secret {
	t.Helper()
	text, err := os.ReadFile(os.Getenv("MAILPROOF_TEST_TOKEN_KEY"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	claims := map[string]any{
		"iss": "https://id.example", "aud": "imap.example", "sub": "auth-anna", "upn": "auth-anna", "scope": "imap",
		"iat": now.Unix() - 10, "nbf": now.Unix() - 10, "exp": now.Add(time.Hour).Unix(),
	}
	if edit != nil {
		edit(claims)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		t.Fatal(err)
	}
	input := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(body)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(input))
	return mailproof.NewSecret(input + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil)))
}

// one is a token, and no other.
type one struct{ token mailproof.Secret }

func (o one) Token(context.Context, mailproof.Secret) (mailproof.Secret, error) { return o.token, nil }

// Dovecot checks our tokens itself: those that are good, and each way of being bad.
func TestTokensAtServer(t *testing.T) {
	base := authServer(t, "DOVECOTAUTH", mailproof.ImplicitTLS)
	for _, mechanism := range []string{"OAUTHBEARER", "XOAUTH2"} {
		for _, tt := range []struct {
			name string
			edit func(claims map[string]any)
			text string // of the error
		}{
			{name: "good"},
			{name: "expired", edit: func(c map[string]any) { c["exp"] = time.Now().Add(-time.Minute).Unix() }, text: "status"},
			{name: "wrong issuer", edit: func(c map[string]any) { c["iss"] = "https://evil.example" }, text: "status"},
			{name: "wrong scope", edit: func(c map[string]any) { c["scope"] = "calendar" }, text: "status"},
			{name: "another user", edit: func(c map[string]any) { c["upn"] = "auth-bob" }, text: ""},
		} {
			t.Run(mechanism+" "+tt.name, func(t *testing.T) {
				c := base
				c.Endpoint.Auth = mechanism
				token := accessToken(t, tt.edit)
				c.Password, c.Tokens = mailproof.Secret{}, one{token}
				got, err := signInWith(c)
				if tt.name == "good" {
					if err != nil || got != mechanism {
						t.Errorf("by %q, error %v", got, err)
					}
					return
				}
				if mailproof.KindOf(err) != mailproof.ErrAuth || !strings.Contains(err.Error(), tt.text) || strings.Contains(err.Error(), token.Reveal()) {
					t.Errorf("error %v, want one with %q", err, tt.text)
				}
				t.Log(err)
			})
		}
	}
	c := base
	c.Password, c.Tokens = mailproof.Secret{}, one{accessToken(t, nil)}
	if got, err := signInWith(c); err != nil || got != "OAUTHBEARER" {
		t.Errorf("by default: %q, %v", got, err)
	}
}
