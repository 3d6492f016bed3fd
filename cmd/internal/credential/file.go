package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/mailproof/mailproof"
)

// expandHome replaces a leading ~/ by the user's home directory.
func expandHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, rest)
}

// find returns the path at which a file of the reference lies.
func (r Ref) find(path string) (string, error) {
	candidates := r.candidates(path)
	for _, p := range candidates {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", r.fail("names a file that cannot be read", "", pathCause(err))
		}
	}
	return "", r.fail("names a file that does not exist", "looked for "+strings.Join(candidates, " and "), nil)
}

// pathCause leaves the path out of an error that names it anyway.
func pathCause(err error) error {
	var e *fs.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

func (r Ref) checkFile(path string) error {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return r.fail("names a file that cannot be read", "", pathCause(err))
	case info.IsDir():
		return r.fail("names a directory", "", nil)
	case !info.Mode().IsRegular():
		return nil // a pipe must not be opened before its time
	case info.Size() == 0:
		return r.fail("names a file that is empty", "", nil)
	}
	f, err := os.Open(path)
	if err != nil {
		return r.fail("names a file that cannot be read", "", pathCause(err))
	}
	return f.Close()
}

// OthersCanRead reports whether others than its owner may read or change a
// file.
func OthersCanRead(path string) bool {
	info, err := os.Stat(path)
	return err == nil && runtime.GOOS != "windows" && info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0
}

// permissionWarning says that others than the owner may read a password file.
func permissionWarning(path string) string {
	if !OthersCanRead(path) {
		return ""
	}
	return fmt.Sprintf("%s holds a password and can be read by others than its owner: chmod 600 %s", path, path)
}

func (r Ref) readFile(ctx context.Context, path string) (mailproof.Secret, error) {
	data, err := readBounded(ctx, path, maxSecret)
	if err != nil {
		return mailproof.Secret{}, r.fail("names a file that cannot be read", "", pathCause(err))
	}
	value := cutNewline(string(data))
	if value == "" {
		return mailproof.Secret{}, r.fail("names a file that is empty", "", nil)
	}
	return r.oneLine(value)
}

// cutNewline cuts the one line end that editors and echo leave behind, and a
// byte order mark before.
func cutNewline(s string) string {
	s = strings.TrimPrefix(s, "\ufeff")
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// readBounded reads a file of at most limit octets. The file may be a pipe that
// nobody writes to, so the reading is left behind when the time is up.
func readBounded(ctx context.Context, path string, limit int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var res result
		res.data, res.err = readAll(path, limit)
		done <- res
	}()
	select {
	case res := <-done:
		return res.data, res.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func readAll(path string, limit int64) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("larger than %d octets", limit)
	}
	return data, err
}
