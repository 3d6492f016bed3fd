package oauth

import (
	"context"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/mailproof/mailproof"
)

// Flow is by whose right a token is given.
type Flow uint8

// The flows. The zero Flow is a person's sign-in.
const (
	Delegated      Flow = iota // a person signs in, once; a refresh token goes on from there
	AppOnly                    // an application signs in for any mailbox it was given
	ServiceAccount             // a service account signs in as the user (domain-wide delegation)
)

var flowNames = map[Flow]string{Delegated: "login", AppOnly: "app", ServiceAccount: "service-account"}

func (f Flow) String() string { return flowNames[f] }

// SecretFunc fetches a secret when it is needed; nil where there is none.
type SecretFunc func(ctx context.Context) (mailproof.Secret, error)

// Settings is all there is to know of one authorisation server and our place
// with it.
type Settings struct {
	Name string // of the section: [oauth.NAME]
	Flow Flow

	AuthURL, TokenURL, DeviceURL string
	// Issuer, where known, is what a redirect must name if it names any (RFC 9207).
	Issuer   string
	ClientID string
	Scopes   []string
	// Audiences are those that a token must be for, where it says so itself;
	// empty: any.
	Audiences []string
	// BasicAuth sends the client's secret in a header (RFC 6749 §2.3.1).
	BasicAuth bool
	// Owner is the one login whose token serves all accounts; empty: each
	// account has its own.
	Owner string
	// RedirectHost is how the authorisation server knows this machine:
	// "localhost" or "127.0.0.1".
	RedirectHost string
	RedirectPort int // 0: any that is free

	ClientSecret SecretFunc
	Certificate  SecretFunc // PEM: certificate and private key, for AppOnly
	Account      SecretFunc // the key file of a service account, JSON

	Cache  Cache             // nil: in memory only
	Client http.RoundTripper // nil: the system's
}

// What is special about Microsoft and Google.
const (
	MicrosoftHost = "https://login.microsoftonline.com"
	GoogleToken   = "https://oauth2.googleapis.com/token"
)

// Microsoft returns the settings for a tenant: a directory ID, a domain, or
// "organizations" where any may sign in.
func Microsoft(tenant string, flow Flow) Settings {
	if tenant == "" {
		tenant = "organizations"
	}
	base := MicrosoftHost + "/" + tenant + "/oauth2/v2.0"
	s := Settings{
		Flow: flow, AuthURL: base + "/authorize", TokenURL: base + "/token", DeviceURL: base + "/devicecode", RedirectHost: "localhost",
		Scopes: []string{"https://outlook.office.com/IMAP.AccessAsUser.All", "offline_access"},
		Audiences: []string{
			"https://outlook.office.com", "https://outlook.office.com/", "https://outlook.office365.com", "https://outlook.office365.com/",
			"00000002-0000-0ff1-ce00-000000000000", // Exchange Online by its number
		},
	}
	if flow == AppOnly {
		s.Scopes = []string{"https://outlook.office365.com/.default"}
	}
	return s
}

// Google returns the settings for Gmail and Google Workspace.
func Google(flow Flow) Settings {
	return Settings{
		Flow: flow, AuthURL: "https://accounts.google.com/o/oauth2/v2/auth", TokenURL: GoogleToken,
		DeviceURL: "https://oauth2.googleapis.com/device/code", Issuer: "https://accounts.google.com", RedirectHost: "127.0.0.1",
		Scopes: []string{"https://mail.google.com/"},
	}
}

// config is the library's form of the settings.
func (s Settings) config(secret string) *oauth2.Config {
	style := oauth2.AuthStyleInParams
	if s.BasicAuth {
		style = oauth2.AuthStyleInHeader
	}
	return &oauth2.Config{
		ClientID: s.ClientID, ClientSecret: secret, Scopes: s.Scopes,
		Endpoint: oauth2.Endpoint{AuthURL: s.AuthURL, TokenURL: s.TokenURL, DeviceAuthURL: s.DeviceURL, AuthStyle: style},
	}
}

// reveal fetches a secret that may not be there.
func reveal(ctx context.Context, f SecretFunc) (string, error) {
	if f == nil {
		return "", nil
	}
	secret, err := f(ctx)
	return secret.Reveal(), err
}

// Grant is what an authorisation server gave. It is what a cache keeps.
type Grant struct {
	Access   string    `json:"access_token,omitempty"`
	Refresh  string    `json:"refresh_token,omitempty"`
	Expiry   time.Time `json:"expiry,omitzero"` // by this machine's clock
	Obtained time.Time `json:"obtained,omitzero"`
	Scope    string    `json:"scope,omitempty"`
}

// String masks what a Grant holds, under every verb.
func (g Grant) String() string { return "grant " + mailproof.SecretMask }

// GoString keeps %#v from reaching into the struct.
func (g Grant) GoString() string { return g.String() }

// most is how long before its end a token is renewed: the sign-in takes time,
// and clocks differ.
const most = 5 * time.Minute

// valid reports whether the access token will still be good for a while. One
// that does not say when it ends is good until it is refused.
func (g Grant) valid(now time.Time) bool {
	if g.Access == "" {
		return false
	}
	if g.Expiry.IsZero() {
		return true
	}
	margin := min(most, g.Expiry.Sub(g.Obtained)/5)
	return now.Before(g.Expiry.Add(-margin)) && !now.Before(g.Obtained.Add(-most)) // else the clock was set back
}
