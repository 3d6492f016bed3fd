package config

import (
	"errors"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/credential"
)

func TestOAuthSections(t *testing.T) {
	for _, tt := range []struct {
		name, text, flow string
		bad              []string
	}{
		{name: "Microsoft, a person", text: "provider = \"microsoft\"\nclient_id = \"x\"", flow: FlowLogin},
		{name: "Microsoft, an application", text: "provider = \"microsoft\"\nclient_id = \"x\"\ntenant = \"t\"\nclient_secret = \"env:S\"", flow: FlowApp},
		{name: "Microsoft, a certificate", text: "provider = \"microsoft\"\nclient_id = \"x\"\ntenant = \"t\"\ncertificate = \"file:app.pem\"", flow: FlowApp},
		{name: "Google, a person with a client's secret", text: "provider = \"google\"\nclient_id = \"x\"\nclient_secret = \"env:S\"", flow: FlowLogin},
		{name: "Google, a service account", text: "provider = \"google\"\nservice_account = \"age:key.json.age\"", flow: FlowServiceAccount},
		{name: "another, this machine", text: "client_id = \"x\"\ntoken_url = \"http://127.0.0.1:8/t\"\nauth_url = \"http://localhost:8/a\"\nscopes = [\"s\"]", flow: FlowLogin},
		{name: "secrets in the open", text: "provider = \"google\"\nclient_id = \"x\"\nclient_secret = \"GOCSPX-s3cret\"", flow: FlowLogin, bad: []string{"client_secret\": not a credential reference"}},
		{name: "tokens in the open", text: "provider = \"google\"\nclient_id = \"x\"\ncache = \"file:t.json\"", flow: FlowLogin, bad: []string{"cache\": write keyring or age:FILE"}},
		{name: "age without a passphrase", text: "provider = \"google\"\nclient_id = \"x\"\ncache = \"age:t.age\"", flow: FlowLogin, bad: []string{"cache_passphrase\": missing"}},
		{name: "tokens over the line in the clear", text: "client_id = \"x\"\ntoken_url = \"http://id.example/t\"\nauth_url = \"https://id.example/a\"\nscopes = [\"s\"]", flow: FlowLogin, bad: []string{"token_url\": not an https address"}},
		{name: "a secret that is a token", text: "provider = \"google\"\nclient_id = \"x\"\nclient_secret = \"oauth:a\"", flow: FlowLogin, bad: []string{"stands for access tokens"}},
		{name: "a typing error", text: "provider = \"google\"\nclientid = \"x\"", flow: FlowLogin, bad: []string{"clientid\": not known"}},
		{name: "a tenant that leaves the host", text: "provider = \"microsoft\"\nclient_id = \"x\"\ntenant = \"../evil?\"", flow: FlowLogin, bad: []string{"tenant\": neither"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			c, err := parse(FileName, dir, []byte("[oauth.a]\n"+tt.text+"\n"))
			if len(tt.bad) == 0 {
				if err != nil || c.OAuth["a"].FlowName() != tt.flow {
					t.Fatalf("%v, flow %q", err, c.OAuth["a"].FlowName())
				}
				return
			}
			if err == nil || strings.Contains(err.Error(), "s3cret") {
				t.Fatalf("error %v", err)
			}
			for _, want := range tt.bad {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
		})
	}
}

// A row that names a section that is not there is bad, with the nearest name.
func TestOAuthInList(t *testing.T) {
	list := "name,source,source_password\nanna@example.com,imaps://anna@h,oauth:m356\nbob@example.com,imaps://bob@h,oauth:m365\n"
	_, _, err := parseAccounts(ListName, []byte(list), Defaults{Sides: []mailproof.Side{mailproof.Source}, OAuth: map[string]OAuth{"m365": {}}})
	if err == nil || !strings.Contains(err.Error(), `mailboxes.csv:2: column "source_password": credential reference "oauth:m356" names a section that is not there`) || strings.Contains(err.Error(), ":3:") {
		t.Errorf("error %v", err)
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Errorf("%T", err)
	}
}

// An account with a client certificate needs no password.
func TestCertificateNeedsNoPassword(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "client.pem", "x")
	server := Server{Host: "h", Cert: "client.pem", Admin: "boss"}
	entries, _, err := parseAccounts(ListName, []byte("name,source\nanna,\n"), Defaults{Source: server, Dir: dir, Sides: []mailproof.Side{mailproof.Source}})
	if err != nil || len(entries) != 1 {
		t.Fatalf("%v", err)
	}
	e := entries[0]
	if e.Source.User != "boss" || e.Source.Authz != "anna" || !strings.HasSuffix(e.Source.CertFile, "client.pem") || e.SourcePassword != (credential.Ref{}) {
		t.Errorf("%+v", e)
	}
	if _, _, err := parseAccounts(ListName, []byte("name,source\nanna,imaps://anna@h?cert=missing.pem\n"), Defaults{Sides: []mailproof.Side{mailproof.Source}, Source: Server{Password: "prompt"}}); err == nil || !strings.Contains(err.Error(), "the file of the option cert cannot be read") {
		t.Errorf("a certificate that is not there: %v", err)
	}
}
