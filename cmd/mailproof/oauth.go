package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/credential"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/oauth"
)

// brokers makes one broker for each section [oauth.NAME] in use, and one cache
// for each place, so that all accounts share their tokens.
type brokers struct {
	cfg      *config.Config
	resolver *credential.Resolver
	made     map[string]*oauth.Broker
	caches   map[string]oauth.Cache
	used     map[login]string // how each login's secret is given, to be shown
}

// login is one side of one account.
type login struct {
	account string
	side    mailproof.Side
}

func newBrokers(cfg *config.Config, resolver *credential.Resolver) *brokers {
	return &brokers{cfg: cfg, resolver: resolver, made: map[string]*oauth.Broker{}, caches: map[string]oauth.Cache{}, used: map[login]string{}}
}

// get returns the broker of a section.
func (b *brokers) get(name string) (*oauth.Broker, error) {
	if broker := b.made[name]; broker != nil {
		return broker, nil
	}
	section, ok := b.cfg.OAuth[name]
	if !ok {
		return nil, hinted{fmt.Errorf("oauth:%s: there is no section [oauth.%s] in %s", name, name, config.FileName),
			fmt.Sprintf("add it; mailproof init writes a %s that shows every key", config.FileName)}
	}
	settings, err := b.settings(name, section)
	if err != nil {
		return nil, fmt.Errorf("[oauth.%s]: %w", name, err)
	}
	b.made[name] = oauth.New(settings)
	return b.made[name], nil
}

var flows = map[string]oauth.Flow{config.FlowLogin: oauth.Delegated, config.FlowApp: oauth.AppOnly, config.FlowServiceAccount: oauth.ServiceAccount}

// settings joins what a section says with what is known of its provider.
func (b *brokers) settings(name string, section config.OAuth) (oauth.Settings, error) {
	var s oauth.Settings
	flow := flows[section.FlowName()]
	switch section.Provider {
	case "microsoft":
		s = oauth.Microsoft(section.Tenant, flow)
	case "google":
		s = oauth.Google(flow)
	}
	s.Name, s.Flow, s.ClientID, s.Owner = name, flow, section.ClientID, section.Account
	s.RedirectPort, s.BasicAuth = section.RedirectPort, section.ClientAuth == "basic"
	for _, f := range []struct {
		text string
		to   *string
	}{{section.AuthURL, &s.AuthURL}, {section.TokenURL, &s.TokenURL}, {section.DeviceURL, &s.DeviceURL}, {section.Issuer, &s.Issuer}} {
		if f.text != "" {
			*f.to = f.text
		}
	}
	if len(section.Scopes) > 0 {
		s.Scopes = section.Scopes
	}
	if len(section.Audience) > 0 {
		s.Audiences = section.Audience
	}
	var err error
	if s.ClientSecret, err = b.secret(section.ClientSecret, (*credential.Resolver).Resolve); err != nil {
		return s, err
	}
	if s.Certificate, err = b.secret(section.Certificate, (*credential.Resolver).Document); err != nil {
		return s, err
	}
	if s.Account, err = b.secret(section.ServiceAccount, (*credential.Resolver).Document); err != nil {
		return s, err
	}
	if flow == oauth.Delegated {
		s.Cache, err = b.cache(section)
	}
	return s, err
}

// secret makes the way to a secret; there is none for an empty reference.
func (b *brokers) secret(text string, read func(*credential.Resolver, context.Context, credential.Ref) (mailproof.Secret, error)) (oauth.SecretFunc, error) {
	ref, err := b.cfg.Reference(text)
	if err != nil || ref.IsZero() {
		return nil, err
	}
	return func(ctx context.Context) (mailproof.Secret, error) { return read(b.resolver, ctx, ref) }, nil
}

// cache is where the sign-ins of a section are kept.
func (b *brokers) cache(section config.OAuth) (oauth.Cache, error) {
	file, isAge := strings.CutPrefix(section.Cache, "age:")
	if !isAge {
		file = "" // the one keyring
	}
	if c := b.caches[file]; c != nil {
		return c, nil
	}
	var c oauth.Cache
	var err error
	if isAge {
		var phrase oauth.SecretFunc
		phrase, err = b.secret(section.CachePassphrase, (*credential.Resolver).Resolve)
		c = oauth.NewAgeFile(inDir(b.cfg.Dir, file), phrase)
	} else {
		c, err = oauth.NewKeyring()
	}
	if err == nil {
		b.caches[file] = c
	}
	return c, err
}

func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// references are those of the section for which somebody may have to be asked.
func (b *brokers) references(name string) []credential.Ref {
	section := b.cfg.OAuth[name]
	var out []credential.Ref
	for _, text := range []string{section.ClientSecret, section.CachePassphrase} {
		if ref, err := b.cfg.Reference(text); err == nil {
			out = append(out, ref)
		}
	}
	return out
}

// join gives an account its tokens, where its password is a section's name. The
// tokens are those of whose mail it is.
func (b *brokers) join(a *engagement.Account, e config.Entry) error {
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		b.used[login{e.Name, side}] = e.Password(side).String()
		if e.Endpoint(side).CertFile != "" && e.Password(side).IsZero() {
			b.used[login{e.Name, side}] = "certificate"
		}
		name := e.Password(side).Section()
		if name == "" {
			continue
		}
		broker, err := b.get(name)
		if err != nil {
			return err
		}
		tokens := broker.For(e.Endpoint(side).User)
		if side == mailproof.Source {
			a.SourceTokens = tokens
		} else {
			a.DestinationTokens = tokens
		}
	}
	return nil
}
