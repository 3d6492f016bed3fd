package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/mailproof/mailproof/cmd/internal/credential"
)

// OAuth is one section [oauth.NAME]: an authorisation server and our place with
// it. Secrets are references.
type OAuth struct {
	Provider string `toml:"provider"` // microsoft, google; empty: the URLs below
	Flow     string `toml:"flow"`     // login, app, service-account; empty: as the secrets suggest
	Tenant   string `toml:"tenant"`   // Microsoft: directory ID or domain

	ClientID       string   `toml:"client_id"`
	ClientSecret   string   `toml:"client_secret"`   // reference
	Certificate    string   `toml:"certificate"`     // reference: certificate and key, PEM
	ServiceAccount string   `toml:"service_account"` // reference: Google's key file, JSON
	Scopes         []string `toml:"scopes"`
	Audience       []string `toml:"audience"` // that a token must be for, where it says
	Issuer         string   `toml:"issuer"`
	AuthURL        string   `toml:"auth_url"`
	TokenURL       string   `toml:"token_url"`
	DeviceURL      string   `toml:"device_url"`
	ClientAuth     string   `toml:"client_auth"`   // post, basic
	RedirectPort   int      `toml:"redirect_port"` // 0: any that is free
	Account        string   `toml:"account"`       // one login whose token serves all

	Cache           string `toml:"cache"`            // keyring, age:FILE
	CachePassphrase string `toml:"cache_passphrase"` // reference
}

// The flows, as they are written.
const (
	FlowLogin          = "login"
	FlowApp            = "app"
	FlowServiceAccount = "service-account"
)

// FlowName returns the flow, which goes by the secrets where none is written.
func (o OAuth) FlowName() string {
	switch {
	case o.Flow != "":
		return o.Flow
	case o.ServiceAccount != "":
		return FlowServiceAccount
	case o.Certificate != "", o.Provider == "microsoft" && o.ClientSecret != "":
		return FlowApp
	}
	return FlowLogin
}

// Reference parses one of the references of the section, with relative paths
// beside the configuration.
func (c *Config) Reference(text string) (credential.Ref, error) {
	if text == "" {
		return credential.Ref{}, nil
	}
	ref, err := credential.Parse(text)
	if err != nil {
		return ref, err
	}
	if ref.Section() != "" {
		return ref, errors.New("oauth: stands for access tokens, and a secret is wanted here")
	}
	return ref.In(c.Dir), nil
}

// validateOAuth reports whatever is wrong with the sections.
func (c *Config) validateOAuth(bad func(key, reason string, hints ...string)) {
	for name, o := range c.OAuth {
		section := "oauth." + name
		o.validate(func(key, reason string, hints ...string) { bad(section+"."+key, reason, hints...) })
		if _, err := credential.Parse("oauth:" + name); err != nil {
			bad(section, "holds others than letters, digits, dashes and _ in its name")
		}
		for key, text := range map[string]string{
			"client_secret": o.ClientSecret, "certificate": o.Certificate, "service_account": o.ServiceAccount, "cache_passphrase": o.CachePassphrase,
		} {
			if _, err := c.Reference(text); err != nil {
				var ce *credential.Error
				if errors.As(err, &ce) {
					bad(section+"."+key, ce.Error(), ce.Hints()...)
				} else {
					bad(section+"."+key, err.Error())
				}
			}
		}
	}
}

func (o OAuth) validate(bad func(key, reason string, hints ...string)) {
	if !slices.Contains([]string{"", "microsoft", "google"}, o.Provider) {
		bad("provider", "write microsoft or google, or leave it out and give token_url")
	}
	if !slices.Contains([]string{"", FlowLogin, FlowApp, FlowServiceAccount}, o.Flow) {
		bad("flow", "write login, app or service-account")
	}
	if !slices.Contains([]string{"", "post", "basic"}, o.ClientAuth) {
		bad("client_auth", "write post or basic")
	}
	if strings.ContainsAny(o.Tenant, "/?#@ \t") {
		bad("tenant", "neither a directory ID nor a domain")
	}
	if o.RedirectPort < 0 || o.RedirectPort > 65535 {
		bad("redirect_port", "not a number from 1 to 65535")
	}
	for key, address := range map[string]string{"auth_url": o.AuthURL, "token_url": o.TokenURL, "device_url": o.DeviceURL} {
		if address != "" && !isSecureURL(address) {
			bad(key, "not an https address: what goes there is a secret")
		}
	}
	o.validateFlow(bad)
	o.validateCache(bad)
}

// validateFlow reports what a flow needs and lacks.
func (o OAuth) validateFlow(bad func(key, reason string, hints ...string)) {
	need := func(key, value string) {
		if value == "" {
			bad(key, fmt.Sprintf("missing: the flow %s needs it", o.FlowName()))
		}
	}
	if o.Provider == "" {
		need("token_url", o.TokenURL)
		if len(o.Scopes) == 0 {
			bad("scopes", "missing: without provider they are not known")
		}
	}
	switch o.FlowName() {
	case FlowLogin:
		need("client_id", o.ClientID)
		if o.Provider == "" && o.AuthURL == "" && o.DeviceURL == "" {
			bad("auth_url", "missing, and device_url too: there is no way for a person to sign in")
		}
	case FlowApp:
		need("client_id", o.ClientID)
		if o.ClientSecret == "" && o.Certificate == "" {
			bad("client_secret", "missing, and certificate too: the application cannot prove who it is")
		}
		if o.Provider == "microsoft" && o.Tenant == "" {
			bad("tenant", "missing: an application signs in to one tenant")
		}
	case FlowServiceAccount:
		need("service_account", o.ServiceAccount)
	}
}

func (o OAuth) validateCache(bad func(key, reason string, hints ...string)) {
	file, isAge := strings.CutPrefix(o.Cache, "age:")
	switch {
	case o.Cache == "" || o.Cache == "keyring":
		if o.CachePassphrase != "" {
			bad("cache_passphrase", "goes with cache = \"age:FILE\"")
		}
	case !isAge || file == "":
		bad("cache", "write keyring or age:FILE: tokens are kept nowhere else")
	case o.CachePassphrase == "":
		bad("cache_passphrase", "missing: the file is encrypted with it", `write "prompt:token cache", or another reference`)
	}
}

// isSecureURL accepts https, and http on this machine only.
func isSecureURL(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	return u.Scheme == "https" || u.Scheme == "http" && local
}

// checkSection reports that oauth:NAME names no section.
func (d Defaults) checkSection(ref credential.Ref) error {
	name := ref.Section()
	if name == "" {
		return nil
	}
	if _, ok := d.OAuth[name]; ok {
		return nil
	}
	names := make([]string, 0, len(d.OAuth))
	for n := range d.OAuth {
		names = append(names, n)
	}
	return &credential.Error{Ref: ref.String(), Reason: "names a section that is not there" + didYouMean(name, names),
		Hint: fmt.Sprintf("write [oauth.%s] in %s", name, FileName)}
}
