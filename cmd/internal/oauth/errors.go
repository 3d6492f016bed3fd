package oauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"golang.org/x/oauth2"
)

// Error is what went wrong between us and an authorisation server. It holds no
// token, code or secret.
type Error struct {
	Name   string // of the section
	Op     string // "refresh the token of anna@example.com"
	Code   string // error code (RFC 6749 §5.2, RFC 8628 §3.5): "invalid_grant"
	Text   string // the server's own words, or ours
	Hint   string // what to do about it
	Passes bool   // trying again later may help
	Err    error  // the cause, where the server said nothing
}

// Error returns section, what was done and what the server said.
func (e *Error) Error() string {
	s := "oauth:" + e.Name + ": " + e.Op
	if e.Code != "" {
		s += ": " + e.Code
	}
	switch {
	case e.Text != "":
		s += ": " + e.Text
	case e.Err != nil:
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Hints returns what to do about it.
func (e *Error) Hints() []string {
	if e.Hint == "" {
		return nil
	}
	return []string{e.Hint}
}

// Temporary reports whether trying again later may help.
func (e *Error) Temporary() bool { return e.Passes }

// fail makes an error of one that the library or the network returned. Whatever
// text of others goes into it is cleared of the secrets in play.
func (s Settings) fail(op string, err error, secrets ...string) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	e := &Error{Name: s.Name, Op: op}
	var refused *oauth2.RetrieveError
	var ours *Error
	var web *url.Error
	switch {
	case errors.As(err, &ours):
		return err
	case errors.As(err, &refused):
		e.Code, e.Text = printable(refused.ErrorCode, secrets), printable(refused.ErrorDescription, secrets)
		status := 0
		if refused.Response != nil {
			status = refused.Response.StatusCode
		}
		e.Passes = status == 429 || status >= 500 || e.Code == "temporarily_unavailable" || e.Code == "server_error"
		if e.Code == "" {
			e.Text = fmt.Sprintf("the authorisation server answers with HTTP status %d and no reason", status)
			if status/100 == 2 {
				e.Text = "the authorisation server's answer holds no access token"
			}
		}
	case errors.As(err, &web):
		// The address may carry a code: only its host is told.
		host := "the authorisation server"
		if u, perr := url.Parse(web.URL); perr == nil && u.Host != "" {
			host = u.Host
		}
		e.Text = fmt.Sprintf("%s cannot be reached: %s", host, printable(web.Err.Error(), secrets))
		var resolve *net.DNSError
		e.Passes = !errors.As(err, &resolve) || !resolve.IsNotFound
	case errors.Is(err, context.DeadlineExceeded):
		e.Text, e.Passes = "no answer in time", true
	default:
		e.Text = "the authorisation server's answer cannot be understood: " + printable(err.Error(), secrets)
	}
	e.Hint = s.hint(e)
	return e
}

// remedies are what to do about what authorisation servers say. The first that
// is found in code or text counts.
var remedies = []struct{ found, hint string }{
	{"AADSTS700016", "client_id is not known in this tenant: check client_id and tenant (Entra admin centre, App registrations, Overview)"},
	{"AADSTS90002", "the tenant does not exist: give the directory (tenant) ID or one of its domains as tenant"},
	{"AADSTS7000215", "client_secret is wrong: take the Value of the secret and not its ID (App registrations, Certificates & secrets)"},
	{"AADSTS7000222", "client_secret has run out: make a new one (App registrations, Certificates & secrets)"},
	{"AADSTS700027", "the certificate is not known to the application: upload it (App registrations, Certificates & secrets, Certificates)"},
	{"AADSTS700024", "the clock of this machine is wrong: set it, or let NTP do so"},
	{"AADSTS65001", "nobody has consented to the application: an administrator grants it under App registrations, API permissions, Grant admin consent"},
	{"AADSTS500011", "the scope names a resource that the tenant does not have: for IMAP it is https://outlook.office365.com/.default, or https://outlook.office.com/IMAP.AccessAsUser.All for a person"},
	{"AADSTS70011", "the scope is not one that can be asked for here: leave out scopes for the usual ones"},
	{"AADSTS7000218", "the application is registered as confidential: allow public client flows (App registrations, Authentication), or give client_secret"},
	{"AADSTS50011", "add http://localhost as a redirect URI of the kind Mobile and desktop applications (App registrations, Authentication)"},
	{"AADSTS5007", "the account wants a second factor: sign in once more with mailproof credentials login"},
	{"AADSTS53003", "a Conditional Access policy of the tenant forbids it: an administrator sees which under Sign-in logs"},
	{"redirect_uri_mismatch", "make an OAuth client of the type Desktop app (Google Cloud console, APIs & Services, Credentials)"},
	{"admin_policy_enforced", "the Workspace administrator has to trust the application: Admin console, Security, API controls, App access control"},
	{"Check your iat and exp", "the clock of this machine is wrong: set it, or let NTP do so"},
	{"Invalid JWT", "the service account's key is not valid any more, or the clock of this machine is wrong"},
	{"Invalid email or User ID", "the domain has no such user: the service account can only stand in for users of its own Workspace"},
	{"unauthorized_client", "the client may not do this. For Google: Admin console, Security, API controls, Domain-wide delegation: the service account's client ID with the scope https://mail.google.com/"},
	{"invalid_client", "check client_id and client_secret"},
	{"invalid_scope", "check scopes"},
	{"access_denied", "the sign-in was declined in the browser"},
	{"expired_token", "the code was not used in time: begin again"},
}

func (s Settings) hint(e *Error) string {
	for _, r := range remedies {
		if strings.Contains(e.Code+" "+e.Text, r.found) {
			return r.hint
		}
	}
	if e.Code == "invalid_grant" && s.Flow == Delegated {
		return fmt.Sprintf("the sign-in has run out or was revoked: sign in again with mailproof credentials login %s", s.Name)
	}
	return ""
}

// printable makes foreign text fit for an error.
func printable(s string, secrets []string) string {
	for _, secret := range secrets {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, "••••••")
			s = strings.ReplaceAll(s, url.QueryEscape(secret), "••••••")
		}
	}
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }), " ")
	if r := []rune(s); len(r) > 400 {
		s = string(r[:400]) + "…"
	}
	return s
}

// clockWarning says by how much this machine's clock is off, where that is so.
func clockWarning(offset time.Duration) string {
	if offset.Abs() < time.Minute {
		return ""
	}
	way := "behind"
	if offset < 0 {
		way = "ahead of"
	}
	return fmt.Sprintf("this machine's clock is %s %s the authorisation server's", offset.Abs().Round(time.Second), way)
}
