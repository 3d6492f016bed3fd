package mailproof

import (
	"strings"
	"testing"
)

// What an address says about the login is read, kept and written again.
func TestEndpointLogin(t *testing.T) {
	for raw, want := range map[string]Endpoint{
		"imaps://anna@h?admin=boss":                                {User: "boss", Authz: "anna", Host: "h", Port: 993},
		"imaps://boss@h?authzid=anna":                              {User: "boss", Authz: "anna", Host: "h", Port: 993},
		"imaps://anna%40a.example@h?admin=boss&admin_separator=*":  {User: "boss", Authz: "anna@a.example", Host: "h", Port: 993, AdminSeparator: "*"},
		"imaps://anna@h?auth=scram-sha-256":                        {User: "anna", Host: "h", Port: 993, Auth: "SCRAM-SHA-256"},
		"imap://anna@h?tls=none&auth=login-command":                {User: "anna", Host: "h", Port: 143, Security: Plaintext, Auth: LoginCommand},
		"imaps://anna@h?cert=c.pem&key=k.pem&auth=external":        {User: "anna", Host: "h", Port: 993, CertFile: "c.pem", KeyFile: "k.pem", Auth: "EXTERNAL"},
		"imaps://anna@h?cert=c%20%26.pem&admin=b%2Bc&auth=XOAUTH2": {User: "b+c", Authz: "anna", Host: "h", Port: 993, CertFile: "c &.pem", Auth: "XOAUTH2"},
	} {
		got, err := ParseEndpoint(raw)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", raw, got, err)
			continue
		}
		if again, err := ParseEndpoint(got.String()); err != nil || again != got {
			t.Errorf("%s: written as %s, read as %+v, %v", raw, got, again, err)
		}
	}
	for raw, want := range map[string]string{
		"imaps://anna@h?auth=NTLM":                   "is not known: there are SCRAM-SHA-256-PLUS",
		"imaps://anna@h?admin=b&authzid=c":           "in two ways",
		"imaps://anna@h?admin_separator=*":           "goes with admin",
		"imaps://anna@h?key=k.pem":                   "goes with cert",
		"imap://anna@h?tls=none&cert=c.pem":          "needs TLS",
		"imaps://anna@h?auth=EXTERNAL":               "needs a client certificate",
		"imaps://anna@h?admin=b%0d%0aA1%20LOGOUT":    "control character",
		"imaps://anna@h?authzid=b%00c":               "control character",
		"imaps://anna@h?admin=b&admin_separator=%0a": "control character",
		"imaps://anna@h?admin=":                      "not known",
	} {
		if _, err := ParseEndpoint(raw); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", raw, err, want)
		}
	}
}

func TestEndpointLoginName(t *testing.T) {
	for _, tt := range []struct {
		e           Endpoint
		user, authz string
	}{
		{Endpoint{User: "anna"}, "anna", ""},
		{Endpoint{User: "boss", Authz: "anna"}, "boss", "anna"},
		{Endpoint{User: "boss", Authz: "anna", AdminSeparator: "*"}, "anna*boss", ""},
	} {
		if user, authz := tt.e.Login(); user != tt.user || authz != tt.authz {
			t.Errorf("%+v: %q %q", tt.e, user, authz)
		}
		if tt.e.Identity() != "anna" {
			t.Errorf("%+v is %q's mail", tt.e, tt.e.Identity())
		}
	}
}
