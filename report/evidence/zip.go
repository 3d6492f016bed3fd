package evidence

import (
	"archive/zip"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// zipHeader is the entry of a file in the zip's directory: the same for the
// same file on every machine and at any time.
func zipHeader(name string) *zip.FileHeader {
	h := &zip.FileHeader{Name: name, Method: zip.Deflate, CreatorVersion: 3<<8 | 20, ReaderVersion: 20, ExternalAttrs: 0o100644 << 16}
	//lint:ignore SA1019 the one field that a raw header is written from
	h.ModifiedDate = 1<<5 | 1 // 1980-01-01 00:00, the first time that a zip can tell
	return h
}

// structure checks that the zip is its entries and nothing else. It is written
// again with the same compressed octets and has to come out the same: no octet
// before, between or behind the files, no comment, and no local header that
// says something else than the directory, of which some programs read the one
// and some the other.
func (z *zipStore) structure(size int64) []Problem {
	if err := z.rewrite(size); err != nil {
		return []Problem{{Check: CheckFiles, Text: "the zip holds more than its files: " + err.Error()}}
	}
	return nil
}

func (z *zipStore) rewrite(size int64) error {
	same := &comparer{in: z.file}
	w := zip.NewWriter(same)
	for _, f := range z.zip.File {
		if f.Method != zip.Deflate {
			return fmt.Errorf("%s is compressed by another method", cutText(f.Name))
		}
		h := zipHeader(f.Name)
		h.CRC32, h.CompressedSize64, h.UncompressedSize64 = f.CRC32, f.CompressedSize64, f.UncompressedSize64
		raw, err := f.OpenRaw()
		if err != nil {
			return fmt.Errorf("%s: %w", cutText(f.Name), err)
		}
		if err := addRaw(w, h, raw); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	if same.at != size {
		return fmt.Errorf("%d octets after its end", size-same.at)
	}
	return nil
}

func addRaw(w *zip.Writer, h *zip.FileHeader, raw io.Reader) error {
	out, err := w.CreateRaw(h)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, raw)
	return err
}

// comparer takes what is written and fails where it is not what lies in a file.
type comparer struct {
	in io.ReaderAt
	at int64
}

func (c *comparer) Write(p []byte) (int, error) {
	have := make([]byte, len(p))
	if n, err := c.in.ReadAt(have, c.at); n < len(p) {
		return 0, fmt.Errorf("it ends early: %w", err)
	}
	for i := range p {
		if p[i] != have[i] {
			return 0, fmt.Errorf("octet %d is not as mailproof writes it", c.at+int64(i)+1)
		}
	}
	c.at += int64(len(p))
	return len(p), nil
}

// Zip writes the bundle in dir as one file, whole or not at all. The same bundle
// gives the same octets.
func Zip(ctx context.Context, dir, to string) (err error) {
	s, err := openStore(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	names, wrong, err := s.list()
	if err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("zip: %s: %s", wrong[0].File, wrong[0].Text)
	}
	data, err := readSmall(s, fileBagInfo, maxSmall)
	if err != nil {
		return fmt.Errorf("zip: %w", err)
	}
	info, err := readBagInfo(data)
	if err != nil {
		return fmt.Errorf("zip: %s: %w", fileBagInfo, err)
	}
	if !bundleName(info[labelID]) {
		return fmt.Errorf("zip: %s names no bundle", fileBagInfo)
	}
	return writeZip(ctx, to, info[labelID], names, s.open)
}

// bundleName reports whether a text is the id of a bundle.
func bundleName(id string) bool {
	digits, ok := strings.CutPrefix(id, "mp1-")
	return ok && len(digits) == 16 && strings.Trim(digits, hexDigits) == ""
}

// writeZip writes files below one directory in the order of their names.
func writeZip(ctx context.Context, to, base string, names []string, open func(string) (io.ReadCloser, error)) (err error) {
	f, err := os.CreateTemp(filepath.Dir(filepath.Clean(to)), ".seal-*.zip")
	if err != nil {
		return fmt.Errorf("zip: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(f.Close()), os.Remove(f.Name()))
		}
	}()
	w := zip.NewWriter(f)
	names = slices.Clone(names)
	slices.Sort(names)
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := addFile(w, base+"/"+name, name, open, filepath.Dir(f.Name())); err != nil {
			return fmt.Errorf("zip: %s: %w", name, err)
		}
	}
	if err := errors.Join(w.Close(), f.Chmod(0o644), f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("zip: %w", err)
	}
	if err := os.Rename(f.Name(), to); err != nil {
		return fmt.Errorf("zip: %w", err)
	}
	return syncDir(filepath.Dir(filepath.Clean(to)))
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

// addFile compresses a file beside the zip first: its header comes before it
// and tells its size.
func addFile(w *zip.Writer, entry, name string, open func(string) (io.ReadCloser, error), dir string) (err error) {
	in, err := open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	packed, err := os.CreateTemp(dir, ".seal-*.part")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, packed.Close(), os.Remove(packed.Name())) }()
	deflate, err := flate.NewWriter(packed, flate.DefaultCompression)
	if err != nil {
		return err
	}
	crc := crc32.NewIEEE()
	n, err := io.Copy(io.MultiWriter(deflate, crc), in)
	if err := errors.Join(err, deflate.Close()); err != nil {
		return err
	}
	size, err := packed.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	if _, err := packed.Seek(0, io.SeekStart); err != nil {
		return err
	}
	h := zipHeader(entry)
	h.CRC32, h.CompressedSize64, h.UncompressedSize64 = crc.Sum32(), uint64(size), uint64(n)
	return addRaw(w, h, packed)
}
