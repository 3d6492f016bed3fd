package oauth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// fetch gets a new access token for an account: by its refresh token, or by the
// right of the application or the service account.
func (b *Broker) fetch(ctx context.Context, account string, old Grant) (Grant, error) {
	switch b.Flow {
	case AppOnly:
		return b.asApplication(ctx)
	case ServiceAccount:
		return b.asServiceAccount(ctx, account)
	}
	return b.refresh(ctx, account, old)
}

// refresh uses a refresh token (RFC 6749 §6). Where the server gives a new one
// the old one is void.
func (b *Broker) refresh(ctx context.Context, account string, old Grant) (Grant, error) {
	op := "refresh the token of " + account
	if old.Refresh == "" {
		return Grant{}, &Error{Name: b.Name, Op: op, Text: "nobody has signed in yet",
			Hint: fmt.Sprintf("mailproof credentials login %s --account %s", b.Name, account)}
	}
	secret, err := reveal(ctx, b.ClientSecret)
	if err != nil {
		return Grant{}, fmt.Errorf("client_secret of [oauth.%s]: %w", b.Name, err)
	}
	token, err := b.Settings.config(secret).TokenSource(b.way.context(ctx), &oauth2.Token{RefreshToken: old.Refresh}).Token()
	if err != nil {
		return Grant{}, b.fail(op, err, secret, old.Refresh, old.Access)
	}
	return b.accept(op, token)
}

// asApplication gets a token for the application itself (RFC 6749 §4.4), which
// proves who it is by a secret or by an assertion that its certificate signs
// (RFC 7523 §2.2).
func (b *Broker) asApplication(ctx context.Context) (Grant, error) {
	const op = "get a token for the application"
	secret, err := reveal(ctx, b.ClientSecret)
	if err != nil {
		return Grant{}, fmt.Errorf("client_secret of [oauth.%s]: %w", b.Name, err)
	}
	pem, err := reveal(ctx, b.Certificate)
	if err != nil {
		return Grant{}, fmt.Errorf("certificate of [oauth.%s]: %w", b.Name, err)
	}
	if pem == "" {
		return b.clientCredentials(ctx, op, secret, nil)
	}
	key, cert, err := parseKey(pem)
	if err != nil {
		return Grant{}, &Error{Name: b.Name, Op: op, Text: "certificate: " + err.Error(), Hint: "the file holds the certificate and its private key, both as PEM"}
	}
	return b.signed(op, func(now time.Time) (Grant, error) {
		header := map[string]any{}
		if cert != nil {
			digest := sha256.Sum256(cert.Raw)
			header["x5t#S256"] = base64.RawURLEncoding.EncodeToString(digest[:])
		}
		assertion, err := signJWT(algorithm(key, algPS256), header, map[string]any{
			"aud": b.TokenURL, "iss": b.ClientID, "sub": b.ClientID, "jti": rand.Text(),
			"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		}, key)
		if err != nil {
			return Grant{}, &Error{Name: b.Name, Op: op, Text: "certificate: " + err.Error()}
		}
		return b.clientCredentials(ctx, op, "", url.Values{
			"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"}, "client_assertion": {assertion},
		})
	})
}

// asServiceAccount gets a token for a user of the domain (RFC 7523 §2.1): the
// service account asserts who it stands in for.
func (b *Broker) asServiceAccount(ctx context.Context, account string) (Grant, error) {
	op := "get a token for " + account
	text, err := reveal(ctx, b.Account)
	if err != nil {
		return Grant{}, fmt.Errorf("service_account of [oauth.%s]: %w", b.Name, err)
	}
	key, err := parseServiceKey(text)
	if err != nil {
		return Grant{}, &Error{Name: b.Name, Op: op, Text: err.Error(), Hint: "Google Cloud console, IAM & Admin, Service accounts, Keys, Add key, JSON"}
	}
	return b.signed(op, func(now time.Time) (Grant, error) {
		header := map[string]any{}
		if key.KeyID != "" {
			header["kid"] = key.KeyID
		}
		assertion, err := signJWT(algorithm(key.signer, algRS256), header, map[string]any{
			"iss": key.Email, "sub": account, "scope": strings.Join(b.Scopes, " "), "aud": b.TokenURL,
			"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}, key.signer)
		if err != nil {
			return Grant{}, &Error{Name: b.Name, Op: op, Text: err.Error()}
		}
		return b.clientCredentials(ctx, op, "", url.Values{
			"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion},
		})
	})
}

// signed runs f, which signs an assertion that is good from now on. Where it is
// refused and the server's clock is another than ours, it is signed once more
// by the server's.
func (b *Broker) signed(op string, f func(now time.Time) (Grant, error)) (Grant, error) {
	g, err := f(b.now())
	offset := b.way.clock()
	warning := clockWarning(offset)
	if err == nil || warning == "" {
		return g, err
	}
	if again, err := f(b.now().Add(offset)); err == nil {
		return again, nil
	}
	if e, ok := err.(*Error); ok {
		e.Text += " (" + warning + ")"
	}
	return g, err
}

// clientCredentials asks with the client's own credentials; params may replace
// the kind of grant.
func (b *Broker) clientCredentials(ctx context.Context, op, secret string, params url.Values) (Grant, error) {
	style := oauth2.AuthStyleInParams
	if b.BasicAuth {
		style = oauth2.AuthStyleInHeader
	}
	c := clientcredentials.Config{ClientID: b.ClientID, ClientSecret: secret, TokenURL: b.TokenURL, Scopes: b.Scopes, EndpointParams: params, AuthStyle: style}
	if params.Get("grant_type") != "" {
		c.ClientID, c.Scopes = "", nil // the assertion names both
	}
	token, err := c.Token(b.way.context(ctx))
	if err != nil {
		return Grant{}, b.fail(op, err, secret, params.Get("assertion"), params.Get("client_assertion"))
	}
	return b.accept(op, token)
}

// accept looks at what the server gave: a token for something else than IMAP
// would be refused later, without a reason.
func (b *Broker) accept(op string, token *oauth2.Token) (Grant, error) {
	if token.TokenType != "" && !strings.EqualFold(token.TokenType, "bearer") {
		return Grant{}, &Error{Name: b.Name, Op: op, Text: fmt.Sprintf("the token is of the type %q and not a bearer token", printable(token.TokenType, nil))}
	}
	if strings.ContainsFunc(token.AccessToken, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return Grant{}, &Error{Name: b.Name, Op: op, Text: "the access token holds characters that no token may (RFC 6750 §2.1)"}
	}
	if c, ok := ReadClaims(token.AccessToken); ok && len(b.Audiences) > 0 && len(c.Audience) > 0 &&
		!slices.ContainsFunc(c.Audience, func(a string) bool { return slices.Contains(b.Audiences, a) }) {
		return Grant{}, &Error{Name: b.Name, Op: op,
			Text: fmt.Sprintf("the token is for %s and not for %s", printable(strings.Join(c.Audience, ", "), nil), b.Audiences[0]),
			Hint: "check scopes: of several resources, servers give a token for the first"}
	}
	g := Grant{Access: token.AccessToken, Refresh: token.RefreshToken, Expiry: token.Expiry, Obtained: b.now()}
	if !g.Expiry.IsZero() {
		// Counted from when it was asked for, by our clock.
		g.Expiry = g.Obtained.Add(time.Duration(token.ExpiresIn) * time.Second)
		if token.ExpiresIn == 0 {
			g.Expiry = token.Expiry
		}
	}
	g.Scope, _ = token.Extra("scope").(string)
	return g, nil
}
