package engagement

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/provider"
)

// Advice fits how the sign-in was tried: nobody is told to look at a password
// where a token was refused. What a provider is known for goes before that.
func TestExplainByMechanism(t *testing.T) {
	refused := func(mechanism, text string) error {
		se := &mailproof.ServerError{Kind: mailproof.ErrAuth, Server: "imap.example:993", Op: "sign in as anna", Code: "AUTHENTICATIONFAILED", Text: text}
		return fmt.Errorf("account anna: %w", &imapconn.SignInError{Mechanism: mechanism, Err: se})
	}
	gmail, _ := provider.Lookup("gmail")
	dovecot, _ := provider.Lookup("dovecot")
	for _, tt := range []struct {
		name        string
		err         error
		p           *provider.Provider
		id, in, out string
	}{
		{"password", refused("PLAIN", "Authentication failed."), nil, "sign-in.refused", "password", "token"},
		{"password at Dovecot", refused("PLAIN", "Authentication failed."), dovecot, "sign-in.refused", "password", "token"},
		{"SCRAM", refused("SCRAM-SHA-256", "Authentication failed."), dovecot, "sign-in.refused", "auth=PLAIN", "token"},
		{"token", refused("OAUTHBEARER", "Authentication failed."), dovecot, "sign-in.token", "scope", "password"},
		{"certificate", refused("EXTERNAL", "Authentication failed."), nil, "sign-in.certificate", "issued", "password"},
		{"token at Gmail", refused("XOAUTH2", "Invalid credentials"), gmail, "sign-in.refused", "https://mail.google.com/", ""},
		{"connected", refused("XOAUTH2", "User is authenticated but not connected."), nil, "sign-in.not-connected", "", ""},
		{"none of the offered", &mailproof.ServerError{Kind: mailproof.ErrAuth, Server: "imap.example:993", Err: errors.New("the server does not offer SCRAM-SHA-1 (auth=)")}, nil, "sign-in.mechanism", "auth=", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, ok := explain(tt.err, tt.p)
			text := inWords(a)
			if !ok || a.ID != tt.id || !strings.Contains(text, tt.in) || tt.out != "" && strings.Contains(text, tt.out) {
				t.Errorf("%s: %s", a.ID, text)
			}
		})
	}
	if a, ok := explain(&mailproof.ServerError{Kind: mailproof.ErrUnknownHost, Server: "nohost.invalid:993"}, nil); !ok || a.ID != "network.name" {
		t.Errorf("a name that does not resolve: %+v", a)
	}
}
