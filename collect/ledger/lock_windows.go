package ledger

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock takes one octet far behind the number that the file holds, so that
// others can still read whom the lock belongs to.
func tryLock(f *os.File) (bool, error) {
	const beyond = 1 << 20
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{Offset: beyond})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return false, nil
	}
	return err == nil, err
}

// removeHeld leaves the file: Windows removes none that is open.
func removeHeld(string) error { return nil }
