package oauth

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// lockPoll is how often a lock that another process holds is tried again; the
// systems know no waiting that a context ends.
const lockPoll = 50 * time.Millisecond

// lockFile takes a lock between processes. The file stays, empty: removing it
// would let two take it.
func lockFile(ctx context.Context, path string) (unlock func() error, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		held, err := tryLock(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		if held {
			return f.Close, nil // which gives it up
		}
		if err := sleep(ctx, lockPoll); err != nil {
			return nil, errors.Join(fmt.Errorf("another mailproof holds %s: %w", path, err), f.Close())
		}
	}
}
