package imapconn

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/mailproof/mailproof"
)

// Tokens yields OAuth 2 access tokens. It is asked anew for every connection,
// so that a pass outlives its tokens. It must be safe for concurrent use.
type Tokens interface {
	// Token returns an access token that is good now. refused, unless zero, is
	// the one that the server would not take, or would not take any more:
	// another is wanted. An error that has a method Temporary returning true
	// may pass, and is tried again as a lost connection is.
	Token(ctx context.Context, refused mailproof.Secret) (mailproof.Secret, error)
}

// tokenState is what one login knows of its tokens.
type tokenState struct {
	source Tokens

	mu               sync.Mutex
	current, refused mailproof.Secret
}

// take returns the token for a new connection.
func (t *tokenState) take(ctx context.Context) (mailproof.Secret, error) {
	t.mu.Lock()
	refused := t.refused
	t.mu.Unlock()
	token, err := t.source.Token(ctx, refused)
	if err != nil {
		return mailproof.Secret{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.current = token
	return token, nil
}

// expire says that the server does not take the present token any more.
func (t *tokenState) expire() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused = t.current
}

// secret returns the password, or a token that is asked for now.
func (c Config) secret(ctx context.Context) (mailproof.Secret, error) {
	if c.tokens == nil {
		return c.Password, nil
	}
	token, err := c.tokens.take(ctx)
	if err != nil {
		// The authorisation server is asked on behalf of this sign-in.
		kind := mailproof.ErrAuth
		var passing interface{ Temporary() bool }
		if errors.As(err, &passing) && passing.Temporary() {
			kind = mailproof.ErrConnection
		}
		return token, &mailproof.ServerError{Kind: kind, Server: c.Endpoint.Address(),
			Op: "get an access token for " + c.Endpoint.Identity(), Err: err}
	}
	return token, nil
}

// connect dials and signs in. A refused access token is asked for anew, once: it
// may have run out on the way, or been revoked since it was cached.
func connect(ctx context.Context, c Config, octets *traffic) (*wire, mailproof.ServerInfo, error) {
	secret, err := c.secret(ctx)
	if err != nil {
		return nil, mailproof.ServerInfo{Address: c.Endpoint.Address()}, orCause(ctx, err)
	}
	w, info, err := connectWith(ctx, c, secret, octets)
	var unresumed *resumeError
	if errors.As(err, &unresumed) && ctx.Err() == nil {
		c.Log.DebugContext(ctx, "imap handshake with a resumed TLS session failed, trying a full one", "server", info.Address, "error", err)
		w, info, err = connectWith(ctx, c, secret, octets)
	}
	if c.tokens == nil || err == nil || mailproof.KindOf(err) != mailproof.ErrAuth || ctx.Err() != nil {
		return w, info, err
	}
	c.tokens.expire()
	fresh, freshErr := c.secret(ctx)
	if freshErr != nil {
		return nil, info, orCause(ctx, fmt.Errorf("%w; %w", err, freshErr))
	}
	if fresh == secret {
		return nil, info, err
	}
	c.Log.DebugContext(ctx, "imap access token refused, trying another", "server", info.Address, "user", c.Endpoint.User)
	return connectWith(ctx, c, fresh, octets)
}

// tokenRanOut reports whether a server says in mid-session that the access
// token has run out. Exchange Online says "BYE Session invalidated -
// AccessTokenExpired".
func tokenRanOut(st status) bool {
	if st.ok() || st.typ == "PREAUTH" {
		return false
	}
	text := strings.ToLower(st.text)
	return st.code == "AUTHENTICATIONFAILED" || st.code == "EXPIRED" || strings.Contains(text, "accesstokenexpired") ||
		strings.Contains(text, "token expired") || strings.Contains(text, "token has expired") || strings.Contains(text, "session invalidated")
}

// tokenOver ends a session whose access token ran out, with the server's words
// for a farewell, so that whatever was under way is tried again on a new
// connection with a new token. It reports whether that was so. The caller holds
// s.mu.
func (s *session) tokenOver(st status) bool {
	if s.tokens == nil || !tokenRanOut(st) {
		return false
	}
	s.tokens.expire()
	if st.typ == "BYE" {
		return false // the connection ends by itself
	}
	text := st.text
	if st.code != "" {
		text = strings.TrimSpace("[" + st.code + "] " + text)
	}
	s.bye = &status{typ: "BYE", text: text}
	return true
}
