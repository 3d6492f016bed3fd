package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mailproof/mailproof/cmd/internal/oauth/authtest"
)

// A service account stands in for two users of a real Dovecot, which checks the
// tokens itself, and for nobody else; a token for another audience is refused
// before Dovecot sees it.
func TestServiceAccountAtDovecot(t *testing.T) {
	server, keyFile := os.Getenv("MAILPROOF_DOVECOTAUTH_TLS"), os.Getenv("MAILPROOF_TEST_TOKEN_KEY")
	if server == "" || keyFile == "" {
		t.Skip("MAILPROOF_DOVECOTAUTH_TLS names no server")
	}
	text, err := os.ReadFile(keyFile)
	must(t, err)
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	must(t, err)
	account, err := rsa.GenerateKey(rand.Reader, 2048)
	must(t, err)
	auth := authtest.New(t)
	auth.Issuer, auth.Audience, auth.HMAC = "https://id.example", "imap.example", key
	auth.Key, auth.ServiceEmail, auth.Users = &account.PublicKey, "mover@project.example", []string{"oauth-anna", "oauth-bob"}

	dir := t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(account)
	must(t, err)
	file, err := json.Marshal(map[string]string{"type": "service_account", "client_email": auth.ServiceEmail,
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))})
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "service.json"), file, 0o600))
	must(t, os.WriteFile(filepath.Join(dir, "mailproof.toml"), []byte(fmt.Sprintf(`
[source]
url = "imaps://{user}@%s?ca=%s"
password = "oauth:google"
[oauth.google]
flow = "service-account"
service_account = "file:service.json"
token_url = "%s/token"
scopes = ["imap"]
audience = ["imap.example"]
`, server, os.Getenv("MAILPROOF_TEST_CA"), auth.URL)), 0o600))
	list := func(names ...string) {
		must(t, os.WriteFile(filepath.Join(dir, "mailboxes.csv"), []byte("name,source\n"+strings.Join(names, ",\n")+",\n"), 0o600))
	}
	test := func() (int, string) {
		var out bytes.Buffer
		code := run(context.Background(), []string{"credentials", "test", "--dir", dir, "--side", "source"}, nil, &out, &out)
		return code, out.String()
	}
	list("oauth-anna", "oauth-bob")
	if code, out := test(); code != 0 || strings.Count(out, "OAUTHBEARER") != 2 || !strings.Contains(out, "all signed in: 2 logins") {
		t.Errorf("exit %d\n%s", code, out)
	}
	list("oauth-anna", "oauth-mallory")
	if code, out := test(); code != 1 || !strings.Contains(out, "unauthorized_client") || !strings.Contains(out, "Domain-wide delegation") || !strings.Contains(out, "not signed in: 1 of 2") {
		t.Errorf("exit %d\n%s", code, out)
	}
	auth.Change(func(s *authtest.Server) { s.Audience = "graph.example" })
	if code, out := test(); code != 1 || !strings.Contains(out, "the token is for graph.example and not for imap.example") {
		t.Errorf("exit %d\n%s", code, out)
	}
}
