package report

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// The names of the files that WriteFiles writes.
const (
	HTMLName = "report.html"
	PDFName  = "report.pdf"
	JSONName = "report.json"
)

// WriteFiles writes report.html, report.pdf and report.json into dir, at the
// same time. All three are written beside their goal and synced before the first
// takes its place, so that an error leaves the files of before, whole, and no
// rest.
func (d *Document) WriteFiles(dir string, opts PDFOptions) (err error) {
	var wait sync.WaitGroup
	d, list := d.shareList()
	if list != nil {
		wait.Go(list)
	}
	writers := []struct {
		name  string
		write func(io.Writer) error
	}{
		{HTMLName, d.WriteHTML},
		{PDFName, func(w io.Writer) error { return d.WritePDF(w, opts) }},
		{JSONName, d.WriteJSON},
	}
	var written []string
	defer func() {
		for _, name := range written {
			if e := os.Remove(name); e != nil && !errors.Is(e, os.ErrNotExist) {
				err = errors.Join(err, e)
			}
		}
	}()
	names, errs := make([]string, len(writers)), make([]error, len(writers))
	for i, f := range writers {
		wait.Go(func() {
			if names[i], errs[i] = writeBeside(dir, f.name, f.write); errs[i] != nil {
				errs[i] = fmt.Errorf("report: %s: %w", f.name, errs[i])
			}
		})
	}
	wait.Wait()
	written = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == "" })
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for i, f := range writers {
		if err := os.Rename(names[i], filepath.Join(dir, f.name)); err != nil {
			return fmt.Errorf("report: %w", err)
		}
	}
	written = nil
	return syncDir(dir)
}

// writeBeside writes a file under a name of its own in dir, to the disk.
func writeBeside(dir, name string, write func(io.Writer) error) (path string, err error) {
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, closeOnce(f)) }()
	if err := f.Chmod(0o644); err != nil {
		return f.Name(), err
	}
	if err := write(f); err != nil {
		return f.Name(), err
	}
	info, err := f.Stat()
	if err != nil {
		return f.Name(), err
	}
	if info.Size() == 0 {
		return f.Name(), errors.New("nothing was written")
	}
	return f.Name(), f.Sync()
}

func closeOnce(f *os.File) error { return f.Close() }

// syncDir makes the renames last. Systems that cannot sync a directory have
// their own way of keeping it.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_ = f.Sync() // not every file system can; the files themselves are synced
	if err := f.Close(); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}
