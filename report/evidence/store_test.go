//go:build unix

package evidence

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A named pipe in the place of a file has no writer: who opens it waits for
// ever, and a verification that never ends is one that is given up.
func TestDirectoryPipe(t *testing.T) {
	s := seal(t, newFake(1, 8), Options{})
	for _, name := range []string{fileVerify, fileDNS, fileEd25519, linesFile(treeSource)} {
		path := filepath.Join(s.Dir, filepath.FromSlash(name))
		if err := errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan *Verification, 1)
	go func() { done <- verified(t, s.Dir, s) }()
	select {
	case v := <-done:
		for _, name := range []string{fileVerify, fileDNS, fileEd25519, linesFile(treeSource)} {
			if !slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.File == name }) {
				t.Errorf("%s: %v", name, v.Problems)
			}
		}
	case <-time.After(time.Minute):
		t.Fatal("the verification waits for the writer of a pipe")
	}
}
