package evidence

import (
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// store is a bundle as it is read: a directory, or a zip of one.
type store interface {
	// list returns the paths of all files, and what is there that is no file of
	// a bundle.
	list() (paths []string, problems []Problem, err error)
	open(name string) (io.ReadCloser, error)
	io.Closer
}

// ErrNoBundle says that there is no bundle at a path.
var ErrNoBundle = errors.New("no bundle")

// openStore opens the bundle at a path, which may be a zip.
func openStore(name string) (store, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBundle, err)
	}
	if !info.IsDir() {
		return openZip(name)
	}
	root, err := os.OpenRoot(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBundle, err)
	}
	return &dirStore{root}, nil
}

// dirStore reads below one directory and nowhere else.
type dirStore struct{ root *os.Root }

func (d *dirStore) list() (paths []string, problems []Problem, err error) {
	err = fs.WalkDir(d.root.FS(), ".", func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case name == ".":
		case len(paths)+len(problems) > maxFiles:
			return fmt.Errorf("%w: there are more than %d files in it", ErrNoBundle, maxFiles)
		case e.IsDir():
			if !knownDir(name) {
				problems = append(problems, Problem{Check: CheckFiles, File: name, Text: "a directory that no bundle has"})
			}
		case !e.Type().IsRegular():
			problems = append(problems, Problem{Check: CheckFiles, File: name, Text: "is a link or a device, and not a file"})
		default:
			paths = append(paths, name)
		}
		return nil
	})
	return paths, problems, err
}

// knownDir reports whether a directory is one of a bundle.
func knownDir(name string) bool {
	return slices.Contains([]string{"data", dirReport, "keys", "sig"}, name)
}

// open looks before it opens: to open a named pipe is to wait for its writer,
// who may never come.
func (d *dirStore) open(name string) (io.ReadCloser, error) {
	info, err := d.root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("is not a file")
	}
	f, err := d.root.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if opened, err := f.Stat(); err != nil || !os.SameFile(info, opened) {
		return nil, errors.Join(errors.New("was replaced while it was opened"), err, f.Close())
	}
	return f, nil
}

func (d *dirStore) Close() error { return d.root.Close() }

// Bounds of a zip. Lines of JSON shrink to a tenth; a file that grows a
// thousandfold is meant to fill a disk or a day.
const (
	maxRatio  = 250
	ratioFrom = 8 << 20 // octets; smaller files may be as dense as they like
)

// zipStore reads the one directory in a zip (RFC 8493 §4).
type zipStore struct {
	file  *os.File
	zip   *zip.Reader
	base  string
	files map[string]*zip.File
	wrong []Problem
}

func openZip(name string) (_ *zipStore, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBundle, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoBundle, err)
	}
	r, err := zip.NewReader(f, info.Size())
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		return nil, fmt.Errorf("%w: %s is neither a directory nor a zip: %w", ErrNoBundle, name, err)
	}
	z := &zipStore{file: f, zip: r, files: map[string]*zip.File{}}
	if len(r.File) > maxFiles {
		return nil, fmt.Errorf("%w: there are more than %d files in %s", ErrNoBundle, maxFiles, name)
	}
	z.index()
	if len(z.wrong) == 0 {
		z.wrong = z.structure(info.Size())
	}
	return z, nil
}

// index finds the bundle's directory and its files.
func (z *zipStore) index() {
	seen := map[string]string{} // by name without case, as some systems see it
	for _, f := range z.zip.File {
		problem := func(text string) {
			z.wrong = append(z.wrong, Problem{Check: CheckFiles, File: cutText(f.Name), Text: text})
		}
		base, name, ok := strings.Cut(f.Name, "/")
		switch {
		case !ok || !cleanPath(f.Name) || base == "." || strings.Contains(base, ".."):
			problem("is no path within the bundle's directory")
			continue
		case z.base != "" && base != z.base:
			problem("lies outside of the bundle's directory " + z.base)
			continue
		case !f.Mode().IsRegular():
			problem("is a link or a device, and not a file")
			continue
		case seen[strings.ToLower(name)] != "":
			problem("stands in the zip twice")
			continue
		case f.UncompressedSize64 > ratioFrom && f.UncompressedSize64/maxRatio > f.CompressedSize64:
			problem(fmt.Sprintf("grows from %d to %d octets when unpacked, and was not read", f.CompressedSize64, f.UncompressedSize64))
			continue
		}
		z.base = base
		seen[strings.ToLower(name)] = name
		z.files[name] = f
	}
}

func (z *zipStore) list() ([]string, []Problem, error) {
	names := make([]string, 0, len(z.files))
	for name := range z.files {
		names = append(names, name)
	}
	slices.Sort(names)
	return names, z.wrong, nil
}

func (z *zipStore) open(name string) (io.ReadCloser, error) {
	f, ok := z.files[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return f.Open()
}

func (z *zipStore) Close() error { return z.file.Close() }

// readSmall reads a file that has no business to be large.
func readSmall(s store, name string, most int64) (data []byte, err error) {
	f, err := s.open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(data)) > most {
		err = fmt.Errorf("is larger than %d octets", most)
	}
	return data, err
}
