package evidence

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// zipOf seals a small bundle and returns its zip.
func zipOf(tb testing.TB) ([]byte, Sealed) {
	tb.Helper()
	s := seal(tb, newFake(1, 8), Options{})
	path := filepath.Join(tb.TempDir(), "bundle.zip")
	if err := Zip(tb.Context(), s.Dir, path); err != nil {
		tb.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return data, s
}

// rezip writes a zip anew, with entries as fix returns them.
func rezip(tb testing.TB, data []byte, fix func(h *zip.FileHeader, text []byte) []zip.FileHeader) []byte {
	tb.Helper()
	r, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		tb.Fatal(err)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			tb.Fatal(err)
		}
		text, err := io.ReadAll(in)
		if err != nil {
			tb.Fatal(err)
		}
		for _, h := range fix(&zip.FileHeader{Name: f.Name, Method: zip.Deflate}, text) {
			e, err := w.CreateHeader(&h)
			if err != nil {
				tb.Fatal(err)
			}
			if _, err := e.Write(text); err != nil {
				tb.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func verifyZip(tb testing.TB, data []byte) (*Verification, error) {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "b.zip")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		tb.Fatal(err)
	}
	return Verify(tb.Context(), path, VerifyOptions{TempDir: tb.TempDir()})
}

// The same bundle makes the same zip.
func TestZipDeterministic(t *testing.T) {
	s := seal(t, newFake(1, 8), Options{})
	var all [][]byte
	for _, name := range []string{"a.zip", "b.zip"} {
		path := filepath.Join(t.TempDir(), name)
		if err := Zip(t.Context(), s.Dir, path); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data)
	}
	if !bytes.Equal(all[0], all[1]) {
		t.Error("two zips of one bundle differ")
	}
}

// What a zip can be made to do to who unpacks it is found, and nothing of it is
// done.
func TestZipTricks(t *testing.T) {
	data, _ := zipOf(t)
	only := func(h *zip.FileHeader) []zip.FileHeader { return []zip.FileHeader{*h} }
	twice := func(second func(string) string) func(*zip.FileHeader, []byte) []zip.FileHeader {
		return func(h *zip.FileHeader, _ []byte) []zip.FileHeader {
			if !strings.HasSuffix(h.Name, "/bagit.txt") {
				return only(h)
			}
			return []zip.FileHeader{*h, {Name: second(h.Name), Method: zip.Deflate}}
		}
	}
	link := func(h *zip.FileHeader, _ []byte) []zip.FileHeader {
		if strings.HasSuffix(h.Name, "/bagit.txt") {
			h.SetMode(os.ModeSymlink | 0o777)
		}
		return only(h)
	}
	for name, fix := range map[string]func(*zip.FileHeader, []byte) []zip.FileHeader{
		"up":            twice(func(string) string { return "../evil" }),
		"up inside":     twice(func(n string) string { return strings.Replace(n, "/", "/../../", 1) }),
		"absolute":      twice(func(string) string { return "/etc/evil" }),
		"drive":         twice(func(string) string { return `C:\evil` }),
		"backslash":     twice(func(n string) string { return strings.Replace(n, "/", `/..\`, 1) }),
		"twice":         twice(func(n string) string { return n }),
		"other case":    twice(strings.ToUpper),
		"another bag":   twice(func(string) string { return "other/bagit.txt" }),
		"no directory":  twice(func(string) string { return "evil.txt" }),
		"extra file":    twice(func(n string) string { return n + ".exe" }),
		"a link":        link,
		"other headers": func(h *zip.FileHeader, _ []byte) []zip.FileHeader { return only(h) },
	} {
		v, err := verifyZip(t, rezip(t, data, fix))
		if err != nil {
			if !errors.Is(err, ErrNoBundle) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if v.Outcome() != mailproof.OutcomeFail || !slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.Check == CheckFiles }) {
			t.Errorf("%s: %v %v", name, v.Outcome(), v.Problems)
		}
	}
	// A file that would fill the disk is not read.
	bomb := rezip(t, data, func(h *zip.FileHeader, _ []byte) []zip.FileHeader { return only(h) })
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	e, err := w.Create("mp1-0011223344556677/bagit.txt")
	if err != nil {
		t.Fatal(err)
	}
	for range 64 {
		if _, err := e.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	v, err := verifyZip(t, out.Bytes())
	if err != nil || !slices.ContainsFunc(v.Problems, func(p Problem) bool { return strings.Contains(p.Text, "grows from") }) {
		t.Errorf("a bomb: %v %+v (%d octets)", err, v, len(bomb))
	}
}

// One changed octet anywhere in a zip is found, or every file in it is as it was
// and nobody can tell the difference.
func TestZipChanges(t *testing.T) {
	data, _ := zipOf(t)
	if v, err := verifyZip(t, data); err != nil || v.Outcome() != mailproof.OutcomeUnknown {
		t.Fatalf("%v %v", err, v)
	}
	rounds := 300
	for i := range rounds {
		r := rand.New(rand.NewPCG(uint64(i), 5))
		changed := bytes.Clone(data)
		at := r.IntN(len(changed))
		switch i % 3 {
		case 0:
			changed[at] ^= byte(1 + r.IntN(255))
		case 1:
			changed = slices.Delete(changed, at, at+1)
		default:
			changed = slices.Insert(changed, at, byte(r.IntN(256)))
		}
		v, err := verifyZip(t, changed)
		if err == nil && v.Outcome() != mailproof.OutcomeFail {
			t.Errorf("seed %d: a change at octet %d was not found", i, at)
		}
	}
}

// A link in a directory is not followed.
func TestDirectoryLink(t *testing.T) {
	s := seal(t, newFake(1, 8), Options{})
	path := filepath.Join(s.Dir, fileDNS)
	elsewhere := filepath.Join(t.TempDir(), "dns")
	if err := errors.Join(os.Rename(path, elsewhere), os.Symlink(elsewhere, path)); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(s.Dir, "more"), 0o700); err != nil {
		t.Fatal(err)
	}
	v := verified(t, s.Dir, s)
	for _, name := range []string{fileDNS, "more"} {
		if !slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.File == name }) {
			t.Errorf("%s: %v", name, v.Problems)
		}
	}
}
