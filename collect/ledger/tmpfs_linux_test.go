package ledger

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mailproof/mailproof"
)

// The real thing: a file system of two megabytes, where the ledger, its -wal
// and its -shm all run into the end.
func TestDiskFullForReal(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("no file system of our own to fill: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	l, err := Open(t.Context(), filepath.Join(dir, "mailproof.db"))
	if err != nil {
		t.Fatal(err)
	}
	load(t, l, "anna", mailproof.Source, 100)
	fillUp(t, l)
}

// fillUp writes until the disk is full; what was ended before must be there.
func fillUp(t *testing.T, l *Ledger) {
	t.Helper()
	ctx := t.Context()
	pass, err := l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull})
	ok(t, err)
	ok(t, l.BeginScan(ctx, mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}))
	ended := 0
	for ; err == nil && ended < 500; ended++ {
		err = writeMailbox(ctx, l, pass, "anna", string(rune('a'+ended%26))+string(rune('a'+ended/26)), 100)
	}
	ended-- // the last one was refused
	if !errors.Is(err, ErrDiskFull) {
		t.Fatalf("after %d mailboxes: %v", ended, err)
	}
	if err := l.Close(); !errors.Is(err, ErrDiskFull) {
		t.Errorf("Close: %v", err)
	}
	ro, err := OpenReadOnly(ctx, l.Path())
	if err != nil {
		t.Fatalf("the full disk cannot be read: %v", err)
	}
	_, boxes, _, err := ro.LatestScan(ctx, "anna", mailproof.Source)
	ok(t, err)
	complete := 0
	for _, b := range boxes {
		if b.Complete {
			complete++
		}
	}
	if complete != ended || ended == 0 || count(t, ro) < 100*ended {
		t.Errorf("%d of %d mailboxes, %d messages", complete, ended, count(t, ro))
	}
	ok(t, ro.Close())
}
