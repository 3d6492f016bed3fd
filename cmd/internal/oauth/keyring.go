package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/zalando/go-keyring"
)

// Service is the name under which grants stand in the keyring.
const Service = "mailproof-oauth"

// index is the keyring's list of our own entries: a keyring cannot be asked
// what it holds.
const index = "index"

// keyringTimeout bounds the wait for a keyring, which a person may have to
// unlock.
const keyringTimeout = 2 * time.Minute

// Keyring is the system's keyring as a cache: the Secret Service, the Keychain
// or the Credential Manager. Locks are empty files in LockDir.
type Keyring struct{ LockDir string }

// NewKeyring returns the keyring, with its locks in the user's cache directory.
func NewKeyring() (*Keyring, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return nil, fmt.Errorf("directory for the locks of the keyring: %w", err)
	}
	return &Keyring{LockDir: filepath.Join(dir, "mailproof")}, nil
}

// Place says where the grants are.
func (k *Keyring) Place() string { return "keyring" }

// Lock implements [Cache]: one lock for all of the keyring, as its index is one.
func (k *Keyring) Lock(ctx context.Context, _, _ string) (func() error, error) {
	if err := os.MkdirAll(k.LockDir, 0o700); err != nil {
		return nil, err
	}
	return lockFile(ctx, filepath.Join(k.LockDir, "oauth.lock"))
}

// entry is the user name under which a grant stands.
func entry(section, key string) string { return section + "/" + key }

// call runs a function of the library, which knows no context.
func call[T any](ctx context.Context, f func() (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, keyringTimeout)
	defer cancel()
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	select {
	case res := <-done:
		return res.v, res.err
	case <-ctx.Done():
		var none T
		return none, fmt.Errorf("no answer from the keyring: unlock it and try again: %w", ctx.Err())
	}
}

func (k *Keyring) get(ctx context.Context, user string, v any) (found bool, err error) {
	text, err := call(ctx, func() (string, error) { return keyring.Get(Service, user) })
	switch {
	case errors.Is(err, keyring.ErrNotFound):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("no keyring answers: on machines without a desktop session write cache = \"age:FILE\": %w", err)
	case json.Unmarshal([]byte(text), v) != nil:
		return false, fmt.Errorf("the entry %s of the keyring cannot be read: mailproof credentials forget removes it", user)
	}
	return true, nil
}

func (k *Keyring) set(ctx context.Context, user string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = call(ctx, func() (struct{}, error) { return struct{}{}, keyring.Set(Service, user, string(text)) })
	return err
}

// Load implements [Cache].
func (k *Keyring) Load(ctx context.Context, section, key string) (g Grant, err error) {
	_, err = k.get(ctx, entry(section, key), &g)
	return g, err
}

// Store implements [Cache]. Some keyrings take little: the access token is what
// can be had again.
func (k *Keyring) Store(ctx context.Context, section, key string, g Grant) error {
	err := k.set(ctx, entry(section, key), g)
	if errors.Is(err, keyring.ErrSetDataTooBig) {
		g.Access, g.Expiry = "", time.Time{}
		err = k.set(ctx, entry(section, key), g)
	}
	if err != nil {
		return err
	}
	return k.edit(ctx, func(list []Entry) []Entry {
		return append(without(list, section, key), entryOf(section, key, g))
	})
}

// Delete implements [Cache].
func (k *Keyring) Delete(ctx context.Context, section, key string) (bool, error) {
	_, err := call(ctx, func() (struct{}, error) { return struct{}{}, keyring.Delete(Service, entry(section, key)) })
	if err != nil && !errors.Is(err, keyring.ErrNotFound) {
		return false, err
	}
	found := err == nil
	return found, k.edit(ctx, func(list []Entry) []Entry { return without(list, section, key) })
}

// List implements [Cache].
func (k *Keyring) List(ctx context.Context) (list []Entry, err error) {
	_, err = k.get(ctx, index, &list)
	return sorted(list), err
}

func (k *Keyring) edit(ctx context.Context, f func([]Entry) []Entry) error {
	var list []Entry
	if _, err := k.get(ctx, index, &list); err != nil {
		return err
	}
	return k.set(ctx, index, f(list))
}

func without(list []Entry, section, key string) []Entry {
	return slices.DeleteFunc(list, func(e Entry) bool { return e.Section == section && e.Key == key })
}
