package oauth

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/mailproof/mailproof"
)

// Broker hands out access tokens by one section's settings. It is safe for
// concurrent use: whoever asks while a token is being fetched waits for that
// one.
type Broker struct {
	Settings
	way *steady
	now func() time.Time

	mu       sync.Mutex
	accounts map[string]*holder
}

// New returns a broker.
func New(s Settings) *Broker { return newBroker(s, time.Now) }

func newBroker(s Settings, now func() time.Time) *Broker {
	if s.Cache == nil {
		s.Cache = newMemory()
	}
	if s.RedirectHost == "" {
		s.RedirectHost = "127.0.0.1"
	}
	return &Broker{Settings: s, way: newSteady(s.Client, now), now: now, accounts: map[string]*holder{}}
}

// Key names the grant that serves an account: one for all, or its own.
func (b *Broker) Key(account string) string {
	switch {
	case b.Flow == AppOnly:
		return ""
	case b.Owner != "":
		return b.Owner
	}
	return account
}

// For returns the tokens of one account. It has the form that the IMAP room
// asks for.
func (b *Broker) For(account string) *Tokens { return &Tokens{b, account} }

// Tokens are those of one account.
type Tokens struct {
	broker  *Broker
	account string
}

// Token returns an access token that is good now, and another than refused.
func (t *Tokens) Token(ctx context.Context, refused mailproof.Secret) (mailproof.Secret, error) {
	return t.broker.token(ctx, t.account, refused)
}

// holder holds the grant of one key.
type holder struct {
	busy chan struct{} // held by whoever looks or fetches

	grant    Grant
	renewed  time.Time // when a refusal last led to a new token
	failure  error     // of the last fetch, where asking again is no use
	failedAt time.Time
}

func (b *Broker) holder(key string) *holder {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.accounts[key]
	if h == nil {
		h = &holder{busy: make(chan struct{}, 1)}
		b.accounts[key] = h
	}
	return h
}

// between is the least time between two refreshes that refusals cause: a
// mailbox that the token does not open must not make everybody's token be
// fetched again and again.
const between = time.Minute

// fetchTimeout bounds a fetch with its retries.
const fetchTimeout = 5 * time.Minute

func (b *Broker) token(ctx context.Context, account string, refused mailproof.Secret) (mailproof.Secret, error) {
	key := b.Key(account)
	h := b.holder(key)
	select {
	case h.busy <- struct{}{}:
	case <-ctx.Done():
		return mailproof.Secret{}, context.Cause(ctx)
	}
	if b.good(h, h.grant, refused) {
		defer func() { <-h.busy }()
		return mailproof.NewSecret(h.grant.Access), nil
	}
	// From here on the work is carried to its end, whoever waits for it: a
	// refresh token that was used and not replaced in the cache is lost.
	type result struct {
		token string
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-h.busy }()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		err := b.renew(ctx, h, account, key, refused)
		done <- result{h.grant.Access, err}
	}()
	select {
	case res := <-done:
		return mailproof.NewSecret(res.token), res.err
	case <-ctx.Done():
		return mailproof.Secret{}, context.Cause(ctx)
	}
}

// good reports whether a grant can be used. One that was refused can, where it
// has only just been got because of a refusal: then it is not the token.
func (b *Broker) good(h *holder, g Grant, refused mailproof.Secret) bool {
	if !g.valid(b.now()) {
		return false
	}
	return refused.IsZero() || g.Access != refused.Reveal() || b.now().Sub(h.renewed) < between
}

// renew puts a good grant into h: from the cache, where another process may
// have left one, or from the authorisation server. It holds the cache's lock
// meanwhile.
func (b *Broker) renew(ctx context.Context, h *holder, account, key string, refused mailproof.Secret) (err error) {
	unlock, err := b.Cache.Lock(ctx, b.Name, key)
	if err != nil {
		return fmt.Errorf("token cache of [oauth.%s]: %w", b.Name, err)
	}
	defer func() {
		if uerr := unlock(); err == nil && uerr != nil {
			err = fmt.Errorf("token cache of [oauth.%s]: %w", b.Name, uerr)
		}
	}()
	kept, err := b.Cache.Load(ctx, b.Name, key)
	if err != nil {
		return fmt.Errorf("token cache of [oauth.%s]: %w", b.Name, err)
	}
	if kept.Access != h.grant.Access && b.good(h, kept, refused) {
		h.grant = kept
		return nil
	}
	if kept.Refresh == "" {
		kept.Refresh = h.grant.Refresh
	}
	if h.failure != nil && b.now().Sub(h.failedAt) < between && h.grant.Refresh == kept.Refresh {
		return h.failure
	}
	fresh, err := b.fetch(ctx, account, kept)
	h.failure, h.failedAt, h.grant.Refresh = nil, b.now(), kept.Refresh
	if err != nil {
		var ours *Error
		if errors.As(err, &ours) && !ours.Passes {
			h.failure = err // a thousand accounts behind one application ask once
		}
		return err
	}
	h.grant = fresh
	if !refused.IsZero() {
		h.renewed = b.now()
	}
	return b.store(ctx, key, fresh)
}

// store keeps a grant that cannot simply be had again.
func (b *Broker) store(ctx context.Context, key string, g Grant) error {
	if err := b.Cache.Store(ctx, b.Name, key, g); err != nil {
		return fmt.Errorf("token cache of [oauth.%s]: the new token could not be kept: %w", b.Name, err)
	}
	return nil
}

// adopt takes over the grant of a sign-in.
func (b *Broker) adopt(ctx context.Context, account string, g Grant) (err error) {
	key := b.Key(account)
	h := b.holder(key)
	select {
	case h.busy <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	defer func() { <-h.busy }()
	unlock, err := b.Cache.Lock(ctx, b.Name, key)
	if err != nil {
		return fmt.Errorf("token cache of [oauth.%s]: %w", b.Name, err)
	}
	defer func() {
		if uerr := unlock(); err == nil {
			err = uerr
		}
	}()
	h.grant, h.failure = g, nil
	return b.store(ctx, key, g)
}
