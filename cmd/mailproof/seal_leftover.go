package main

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/mailproof/mailproof/report/evidence"
)

// clearLeftovers removes what a seal that was killed left behind: half a bundle,
// which may name people in plain text. In the engagement's own directory nobody
// else can be sealing, as the ledger is held by one; a zip may be countersigned
// there, and elsewhere anybody may be at work, so there it is only named.
func (a *app) clearLeftovers(out string) error {
	beside := filepath.Dir(filepath.Clean(out))
	found, err := evidence.Leftovers(beside)
	if errors.Is(err, os.ErrNotExist) {
		return nil // seal says what is wrong with --out
	}
	if err != nil {
		return err
	}
	own := sameDir(beside, a.dir)
	for _, path := range found {
		if info, err := os.Lstat(path); err != nil || !own || !info.IsDir() {
			a.notef("%s is half a bundle: remove it, unless another mailproof is writing it now", path)
			continue
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
		a.notef("removed %s, half a bundle that an earlier seal left when it was cut off", path)
	}
	return nil
}

func sameDir(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}
