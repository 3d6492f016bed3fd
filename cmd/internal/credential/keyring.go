package credential

import (
	"context"
	"errors"
	"fmt"

	"github.com/zalando/go-keyring"

	"github.com/mailproof/mailproof"
)

// readKeyring asks the system's keyring: the Secret Service on Linux and BSD,
// the Keychain on macOS, the Credential Manager on Windows. The library knows
// no context and may wait for the user to unlock it, so it is left behind when
// the time is up.
func (r Ref) readKeyring(ctx context.Context) (mailproof.Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	service, user := r.keyringEntry()
	type result struct {
		value string
		err   error
	}
	done := make(chan result, 1)
	go func() {
		value, err := keyring.Get(service, user)
		done <- result{value, err}
	}()
	var res result
	select {
	case res = <-done:
	case <-ctx.Done():
		return mailproof.Secret{}, r.fail("got no answer from the keyring", "unlock the keyring and try again", ctx.Err())
	}
	switch {
	case errors.Is(res.err, keyring.ErrNotFound):
		return mailproof.Secret{}, r.fail("names an entry that the keyring does not have",
			fmt.Sprintf("secret-tool store --label=mailproof service %s username %s", service, user), nil)
	case res.err != nil:
		return mailproof.Secret{}, r.fail("cannot be looked up: no keyring answers", "use env:NAME, file:PATH or age:FILE on machines without a desktop session", res.err)
	case res.value == "":
		return mailproof.Secret{}, r.fail("names an entry that is empty", "", nil)
	}
	return r.oneLine(res.value)
}
