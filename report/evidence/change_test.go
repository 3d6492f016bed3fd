package evidence

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// memory is a bundle in memory.
type memory map[string][]byte

func (m memory) list() ([]string, []Problem, error) { return sortedNames(m), nil, nil }
func (m memory) Close() error                       { return nil }
func (m memory) open(name string) (io.ReadCloser, error) {
	data, ok := m[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

func load(tb testing.TB, dir string) memory {
	tb.Helper()
	m := memory{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		m[name], err = os.ReadFile(filepath.Join(dir, name))
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// change is one way of changing a bundle; it returns the file that is no longer
// what it was, and the line, from 1, where there is one.
type change struct {
	name string
	do   func(r *rand.Rand, m memory, file string) (ok bool, line int64)
}

func lineAt(data []byte, offset int) int64 {
	return int64(bytes.Count(data[:offset], []byte("\n"))) + 1
}

func linesOf(data []byte) [][]byte { return bytes.SplitAfter(data, []byte("\n")) }

var changes = []change{
	{"one octet", func(r *rand.Rand, m memory, file string) (bool, int64) {
		data := bytes.Clone(m[file])
		if len(data) == 0 {
			return false, 0
		}
		at := r.IntN(len(data))
		data[at] ^= byte(1 + r.IntN(255))
		line := lineAt(m[file], at)
		m[file] = data
		return true, line
	}},
	{"one bit", func(r *rand.Rand, m memory, file string) (bool, int64) {
		data := bytes.Clone(m[file])
		if len(data) == 0 {
			return false, 0
		}
		at := r.IntN(len(data))
		data[at] ^= 1 << r.IntN(8)
		m[file] = data
		return true, 0
	}},
	{"an octet taken out", func(r *rand.Rand, m memory, file string) (bool, int64) {
		if len(m[file]) == 0 {
			return false, 0
		}
		at := r.IntN(len(m[file]))
		m[file] = slices.Delete(bytes.Clone(m[file]), at, at+1)
		return true, 0
	}},
	{"an octet put in", func(r *rand.Rand, m memory, file string) (bool, int64) {
		at := r.IntN(len(m[file]) + 1)
		m[file] = slices.Insert(bytes.Clone(m[file]), at, byte(r.IntN(256)))
		return true, 0
	}},
	{"cut", func(r *rand.Rand, m memory, file string) (bool, int64) {
		if len(m[file]) == 0 {
			return false, 0
		}
		m[file] = m[file][:r.IntN(len(m[file]))]
		return true, 0
	}},
	{"two lines swapped", func(r *rand.Rand, m memory, file string) (bool, int64) {
		lines := linesOf(m[file])
		i, j := r.IntN(len(lines)), r.IntN(len(lines))
		lines[i], lines[j] = lines[j], lines[i]
		m[file] = bytes.Join(lines, nil)
		return true, 0
	}},
	{"a line taken out", func(r *rand.Rand, m memory, file string) (bool, int64) {
		lines := linesOf(m[file])
		i := r.IntN(len(lines))
		m[file] = bytes.Join(slices.Delete(lines, i, i+1), nil)
		return true, 0
	}},
	{"a line twice", func(r *rand.Rand, m memory, file string) (bool, int64) {
		lines := linesOf(m[file])
		i := r.IntN(len(lines))
		m[file] = bytes.Join(slices.Insert(lines, i, lines[i]), nil)
		return true, 0
	}},
	{"lines in another order", func(r *rand.Rand, m memory, file string) (bool, int64) {
		lines := linesOf(m[file])
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		m[file] = bytes.Join(lines, nil)
		return true, 0
	}},
	{"the file taken out", func(_ *rand.Rand, m memory, file string) (bool, int64) {
		delete(m, file)
		return true, 0
	}},
	{"the file under another name", func(_ *rand.Rand, m memory, file string) (bool, int64) {
		m[file+".bak"] = m[file]
		delete(m, file)
		return true, 0
	}},
	{"the contents of another file", func(r *rand.Rand, m memory, file string) (bool, int64) {
		names := sortedNames(m)
		other := names[r.IntN(len(names))]
		m[file], m[other] = m[other], m[file]
		return true, 0
	}},
}

// A bundle with everything that a bundle can have: two signers and a timestamp.
func richBundle(tb testing.TB, profile Profile) (memory, Sealed) {
	tb.Helper()
	tsa := newTSA(tb)
	dir := tb.TempDir()
	s := seal(tb, newFake(1, 20), Options{Dir: filepath.Join(dir, "bundle"), Profile: profile, Kept: filepath.Join(dir, "kept"), Timestamp: &TimestampOptions{URL: tsa.url, Roots: tsa.roots}})
	if _, err := Countersign(context.Background(), s.Dir, CountersignOptions{Key: testKey(tb), Name: "Jane Doe, Northgate", Now: testTime}); err != nil {
		tb.Fatal(err)
	}
	return load(tb, s.Dir), s
}

// Whatever is changed anywhere in a sealed bundle is found, and the file is
// named. The key is not needed for that, but for telling a whole other bundle.
func TestEveryChangeIsFound(t *testing.T) {
	rounds := 1000
	if testing.Short() {
		rounds = 100
	}
	for _, profile := range []Profile{Full, Redacted, Summary} {
		bundle, _ := richBundle(t, profile)
		temp := t.TempDir()
		check := func(m memory) *Verification {
			v, err := verifyStore(t.Context(), m, VerifyOptions{TempDir: temp})
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
		if v := check(bundle); v.Outcome() != mailproof.OutcomeUnknown || len(v.Problems) > 0 {
			t.Fatalf("%v: the bundle itself: %v %v", profile, v.Outcome(), v.Problems)
		}
		n := rounds
		if profile != Full {
			n /= 5
		}
		names := sortedNames(bundle)
		for i := range n {
			r := rand.New(rand.NewPCG(uint64(i), uint64(profile)))
			c := changes[i%len(changes)]
			file := names[r.IntN(len(names))]
			m := maps.Clone(bundle)
			ok, line := c.do(r, m, file)
			if !ok || maps.EqualFunc(m, bundle, bytes.Equal) {
				continue
			}
			v := check(m)
			if v.Outcome() != mailproof.OutcomeFail {
				t.Errorf("%v: %s in %s (seed %d) was not found", profile, c.name, file, i)
				continue
			}
			changed := func(name string) bool {
				was, is := bundle[name], m[name]
				return !bytes.Equal(was, is) || name != "" && (was == nil) != (is == nil)
			}
			named := slices.ContainsFunc(v.Problems, func(p Problem) bool {
				return changed(p.File) || strings.Contains(p.Text, file)
			})
			if !named {
				t.Errorf("%v: %s in %s (seed %d): the file is not named in %v", profile, c.name, file, i, v.Problems)
			}
			if inventory := file == linesFile(treeSource) || file == linesFile(treeDestination); inventory && line > 0 {
				if !slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.File == file && p.Line == line }) {
					t.Errorf("%v: %s in %s:%d (seed %d): the line is not named in %v", profile, c.name, file, line, i, v.Problems)
				}
			}
		}
	}
}

// Who has no key can make all hashes fit, and not the signature; who signs with
// a key of their own is told by the fingerprint.
func TestForgery(t *testing.T) {
	bundle, s := richBundle(t, Full)
	verify := func(m memory, fingerprints ...string) *Verification {
		v, err := verifyStore(t.Context(), m, VerifyOptions{Trust: Trust{Fingerprints: fingerprints}, TempDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	failed := func(v *Verification) (names []string) {
		for _, c := range v.Checks {
			if c.Outcome == mailproof.OutcomeFail {
				names = append(names, c.Check)
			}
		}
		return names
	}
	// One message less, and every hash made anew.
	m := maps.Clone(bundle)
	m[fileDispositions] = nil
	payload, _ := readManifest(m[fileManifest])
	payload[fileDispositions] = sumOf(nil)
	m[fileManifest] = payload.text()
	tags, _ := readManifest(m[fileTagManifest])
	tags[fileManifest] = sumOf(m[fileManifest])
	m[fileTagManifest] = tags.text()
	if got := failed(verify(m)); !slices.Equal(got, []string{CheckSignature, CheckCounter, CheckTimestamp, CheckRecords}) {
		t.Errorf("hashes made anew: failed %v", got)
	}
	// Another bundle, whole, by somebody else.
	other, _ := richBundle(t, Full)
	if v := verify(other); v.Outcome() != mailproof.OutcomeUnknown {
		t.Errorf("a bundle by anybody: %v", v.Outcome())
	}
	if got := failed(verify(other, s.Fingerprint)); !slices.Equal(got, []string{CheckKey}) {
		t.Errorf("a bundle by somebody else: failed %v", got)
	}
	if v := verify(bundle, s.Fingerprint); v.Outcome() != mailproof.OutcomeUnknown { // the timestamp's certificate was not given
		t.Errorf("the bundle: %v", v.Outcome())
	}
	// Both signers can be asked for.
	counter := ""
	for _, sig := range verify(bundle).Signatures {
		if sig.Role == "countersigner-1" {
			counter = sig.Fingerprint
		}
	}
	if got := failed(verify(bundle, s.Fingerprint, counter)); len(got) > 0 {
		t.Errorf("both signers: failed %v", got)
	}
}

// A signer who lies consistently in one place is contradicted by another: the
// signature alone does not make numbers true.
func TestASignedLie(t *testing.T) {
	for _, tt := range []struct {
		name string
		lie  func(f *lyingFake)
		want string
	}{
		{"the report says less is missing", func(f *lyingFake) {
			f.report = func(s string) string { return strings.Replace(s, `"missing": 4`, `"missing": 3`, 1) }
		}, CheckEquation},
		{"the report says complete", func(f *lyingFake) {
			f.report = func(s string) string {
				return strings.Replace(s, `"verdict": "INCOMPLETE"`, `"verdict": "COMPLETE"`, 1)
			}
		}, CheckReport},
		{"a missing message is called identical", func(f *lyingFake) {
			f.verdict = func(v *Verdict) {
				if v.Verdict == mailproof.Missing {
					v.Verdict, v.Tier = mailproof.Identical, mailproof.T0
				}
			}
		}, CheckVerdicts},
		{"an altered message is called identical", func(f *lyingFake) {
			f.verdict = func(v *Verdict) {
				if v.Verdict == mailproof.Altered {
					v.Verdict, v.Tier = mailproof.Identical, mailproof.T0
				}
			}
		}, CheckVerdicts},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := &lyingFake{fake: newFake(1, 30)}
			tt.lie(f)
			dir := filepath.Join(t.TempDir(), "bundle")
			s, err := Build(t.Context(), f, Options{Dir: dir, Profile: Full, Key: testKey(t), Now: testTime})
			if err != nil {
				t.Fatal(err)
			}
			v := verified(t, dir, s)
			if !slices.ContainsFunc(v.Problems, func(p Problem) bool { return p.Check == tt.want }) {
				t.Errorf("no problem of %s: %v", tt.want, v.Problems)
			}
		})
	}
}

// lyingFake changes what the fake says.
type lyingFake struct {
	*fake
	verdict func(*Verdict)
	report  func(string) string
}

func (f *lyingFake) Verdicts(ctx context.Context, emit func(*Verdict) error) error {
	return f.fake.Verdicts(ctx, func(v *Verdict) error {
		if f.verdict != nil {
			f.verdict(v)
		}
		return emit(v)
	})
}

func (f *lyingFake) Report(ctx context.Context, dir string, c Citation) error {
	if err := f.fake.Report(ctx, dir, c); err != nil || f.report == nil {
		return err
	}
	path := filepath.Join(dir, "report.json")
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	lie := f.report(string(data))
	if lie == string(data) {
		return fmt.Errorf("nothing to lie about in %s", data)
	}
	return os.WriteFile(path, []byte(lie), 0o600)
}
