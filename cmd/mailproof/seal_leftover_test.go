package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof/cmd/internal/terminal"
)

// What a killed seal left in the engagement's directory goes; what may belong
// to somebody who works right now, and what has another name, stays.
func TestClearLeftovers(t *testing.T) {
	half := func(t *testing.T) string {
		t.Helper()
		dir := t.TempDir()
		for _, name := range []string{".seal-123/unsealed/data", ".seal-notes", "bundle"} {
			if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{".seal-123/unsealed/data/source.jsonl", ".seal-77.zip", ".seal-8.part"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("anna@example.com"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	there := func(t *testing.T, dir string) (names []string) {
		t.Helper()
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	t.Run("own", func(t *testing.T) {
		dir := half(t)
		var said bytes.Buffer
		a := &app{dir: dir, term: &terminal.Terminal{Out: &said, Err: &said}}
		if err := a.clearLeftovers(filepath.Join(dir, "bundle")); err != nil {
			t.Fatal(err)
		}
		if got, want := there(t, dir), []string{".seal-77.zip", ".seal-8.part", ".seal-notes", "bundle"}; !slices.Equal(got, want) {
			t.Errorf("left %v, want %v", got, want)
		}
		if n := strings.Count(said.String(), "\n"); n != 3 || !strings.Contains(said.String(), "removed "+filepath.Join(dir, ".seal-123")) {
			t.Errorf("said %s", said.String())
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		dir := half(t)
		var said bytes.Buffer
		a := &app{dir: t.TempDir(), term: &terminal.Terminal{Out: &said, Err: &said}}
		if err := a.clearLeftovers(filepath.Join(dir, "bundle")); err != nil {
			t.Fatal(err)
		}
		if got := there(t, dir); len(got) != 5 || strings.Count(said.String(), "half a bundle") != 3 {
			t.Errorf("left %v, said %s", got, said.String())
		}
	})
	if err := (&app{dir: t.TempDir()}).clearLeftovers(filepath.Join(t.TempDir(), "nothing", "bundle")); err != nil {
		t.Error(err)
	}
}
