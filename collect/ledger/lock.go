package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// lockFile is a file beside the ledger that the writer holds locked. The lock
// is the operating system's and goes with the process, even one that was
// killed; the file's content only tells others whom to look for.
type lockFile struct{ f *os.File }

// acquireLock takes the lock or returns ErrLocked. The holder removes the file
// when it is done, so a lock counts only if the file is still there under its
// name: else somebody removed it between our opening and our locking.
func acquireLock(ledger string) (*lockFile, error) {
	name := ledger + ".lock"
	for {
		f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return nil, fmt.Errorf("cannot write beside the ledger: see to the permissions of its folder: %w", err)
		}
		locked, err := tryLock(f)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", name, err), f.Close())
		}
		if !locked {
			err := fmt.Errorf("%s: %w%s: wait for it, or end it", ledger, ErrLocked, holder(f))
			return nil, errors.Join(err, f.Close())
		}
		if sameFile(f, name) {
			return &lockFile{f}, writePID(f)
		}
		if err := f.Close(); err != nil {
			return nil, err
		}
	}
}

func sameFile(f *os.File, name string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(name)
	return err == nil && os.SameFile(held, named)
}

// writePID records who holds the lock. A full disk must not keep a ledger from
// being opened, so a number that cannot be written is no error.
func writePID(f *os.File) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	if err != nil && !errors.Is(err, fs.ErrClosed) {
		return nil
	}
	return err
}

func holder(f *os.File) string {
	var b [32]byte
	n, _ := f.ReadAt(b[:], 0) // shorter than b: io.EOF comes with the number
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:n])))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" (process %d)", pid)
}

func (l *lockFile) release() error {
	return errors.Join(removeHeld(l.f.Name()), l.f.Close())
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("ledger: %w", err)
	case !info.Mode().IsRegular():
		return 0, fmt.Errorf("%s: %w: it is no regular file", path, ErrNotLedger)
	}
	return info.Size(), nil
}
