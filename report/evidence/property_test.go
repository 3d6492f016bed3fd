package evidence

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mailproof/mailproof"
)

// Roots and paths are those of the library, for trees of every small size.
func TestTreeAgrees(t *testing.T) {
	for size := int64(0); size <= 130; size++ {
		var mine tree
		var stored []tlog.Hash
		reader := tlog.HashReaderFunc(func(at []int64) ([]tlog.Hash, error) {
			var out []tlog.Hash
			for _, i := range at {
				out = append(out, stored[i])
			}
			return out, nil
		})
		var leafs []tlog.Hash
		for i := range size {
			data := []byte{byte(i), byte(i >> 3)}
			hashes, err := tlog.StoredHashes(i, data, reader)
			if err != nil {
				t.Fatal(err)
			}
			stored = append(stored, hashes...)
			leafs = append(leafs, tlog.RecordHash(data))
			mine.add(tlog.RecordHash(data))
		}
		want := emptyRoot
		if size > 0 {
			var err error
			if want, err = tlog.TreeHash(size, reader); err != nil {
				t.Fatal(err)
			}
		}
		if mine.root() != want {
			t.Fatalf("size %d: another root", size)
		}
		for n := range size {
			at := 0
			path, root, err := provePath(n, size, func() (tlog.Hash, error) { at++; return leafs[at-1], nil })
			if err != nil || root != want || at != int(size) {
				t.Fatalf("size %d, leaf %d: %v after %d leaves", size, n, err, at)
			}
			theirs, err := tlog.ProveRecord(size, n, reader)
			if err != nil || !slices.Equal(path, theirs) {
				t.Fatalf("size %d, leaf %d: another path: %v", size, n, err)
			}
		}
	}
}

// randomText has everything that a name or a subject can have.
func randomText(r *rand.Rand) string {
	parts := []string{"a", `"`, `\`, "/", "\x00", "\n", "\t", "\x1f", "\x7f", "é", "\u2028", "😀", "\xff", "\u202e", "<", "&", "B", "\\u0041", "🇩🇪", "\ufffd"}
	var b strings.Builder
	for range r.IntN(12) {
		b.WriteString(parts[r.IntN(len(parts))])
	}
	return b.String()
}

// randomLine fills every field of a line.
func randomLine(r *rand.Rand, l line) {
	v := reflect.ValueOf(l).Elem()
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.String:
			v.SetString(randomText(r))
		case reflect.Int64:
			v.SetInt(r.Int64() >> r.IntN(63))
		case reflect.Bool:
			v.SetBool(r.IntN(2) == 0)
		case reflect.Slice:
			n := r.IntN(4)
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				fill(v.Index(i))
			}
		case reflect.Array:
			for i := range v.Len() {
				fill(v.Index(i))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		}
	}
	for i := range v.NumField() {
		if v.Type().Field(i).Name != "hasNoTrailer" {
			fill(v.Field(i))
		}
	}
}

// Every line reads back as what it was, is JSON that says the same to anybody,
// and has no other form.
func TestLines(t *testing.T) {
	for i := range 3000 {
		r := rand.New(rand.NewPCG(uint64(i), 1))
		kinds := []func() line{func() line { return new(messageLine) }, func() line { return new(verdictLine) }, func() line { return new(dispositionLine) },
			func() line { return new(findingLine) }, func() line { return new(observationLine) }, func() line { return new(passLine) }}
		kind := kinds[i%len(kinds)]
		l := kind()
		randomLine(r, l)
		text := encode(nil, l)
		back := kind()
		if err := decode(text, back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if again := encode(nil, back); !bytes.Equal(again, text) {
			t.Fatalf("%s reads back as %s", text, again)
		}
		var anybody map[string]any
		if err := json.Unmarshal(text, &anybody); err != nil {
			t.Fatalf("%s is no JSON: %v", text, err)
		}
		if m, ok := back.(*messageLine); ok && anybody["folder"] != m.Folder {
			t.Fatalf("%q reads as %q elsewhere", m.Folder, anybody["folder"])
		}
		// JSON has many ways to say it; all but one are refused.
		var loose bytes.Buffer
		if err := json.Indent(&loose, text, "", " "); err != nil {
			t.Fatal(err)
		}
		for _, other := range [][]byte{loose.Bytes(), append(bytes.Clone(text), ' '), bytes.Replace(text, []byte(`":`), []byte(`": `), 1), append([]byte(" "), text...),
			bytes.Replace(text, []byte(`a`), []byte(`\u0061`), 1), bytes.Replace(text, []byte(`/`), []byte(`\/`), 1), bytes.Replace(text, []byte("{"), []byte(`{"account":"x",`), 1)} {
			if bytes.Equal(other, text) {
				continue
			}
			again := kind()
			if err := decode(other, again); err == nil && bytes.Equal(encode(nil, again), text) {
				t.Fatalf("%s is taken for %s", other, text)
			}
		}
	}
}

// The order of keys of the sort is that of positions.
func TestPositions(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	random := func() position { return position{randomText(r), randomText(r), int64(r.IntN(3)), int64(r.IntN(300))} }
	for range 20_000 {
		a, b := random(), random()
		if r.IntN(2) == 0 {
			b.account = a.account
		}
		if got := bytes.Compare(a.append(nil), b.append(nil)) < 0; got != a.less(b) {
			t.Fatalf("%+v before %+v: %v by octets, %v by value", a, b, got, a.less(b))
		}
	}
}

// Records come out sorted, those of one key in their order, whatever the memory.
func TestSorter(t *testing.T) {
	for _, limit := range []int{0, 64, 1000, 100_000} {
		r := rand.New(rand.NewPCG(uint64(limit), 3))
		s := newSorter(t.TempDir(), limit)
		type rec struct{ key, value string }
		var want []rec
		for i := range 3000 {
			x := rec{randomText(r), strings.Repeat("v", r.IntN(20)) + string(rune('a'+i%26))}
			want = append(want, x)
			if err := s.add([]byte(x.key), []byte(x.value)); err != nil {
				t.Fatal(err)
			}
		}
		slices.SortStableFunc(want, func(a, b rec) int { return strings.Compare(a.key, b.key) })
		var got []rec
		if err := s.each(func(k, v []byte) error { got = append(got, rec{string(k), string(v)}); return nil }); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("limit %d: not sorted", limit)
		}
		if len(s.runs) > 6*manyRuns {
			t.Errorf("limit %d: %d files side by side", limit, len(s.runs))
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	}
}

// The MIH is that of the specification's vector.
func TestMIH(t *testing.T) {
	if got := MIH("<CALckR-a8UDkRjO4xJyjd_s0GPxQWw@mail.gmail.com>"); got != "1de319c276884bd0c9e2f1621ada26cc" {
		t.Error(got)
	}
}

// In what is not full, nothing that the fake knows of people is found, as it is
// or in hexadecimal digits or base64; hashes of messages are keyed; and the same
// message has the same pseudonyms in two bundles of one engagement.
func TestNobodyIsNamed(t *testing.T) {
	key := testPseudonyms(t)
	for _, profile := range []Profile{Redacted, Summary} {
		dir := t.TempDir()
		f := newFake(2, 60)
		s := seal(t, f, Options{Dir: filepath.Join(dir, "bundle"), Kept: filepath.Join(dir, "kept"), Profile: profile, PseudonymKey: key})
		var words []string
		words = append(words, f.accounts...)
		words = append(words, "Ärger", "Nörd", "Geheime", "secret-", "northgate", "Northgate", "192.0.2", "12 → 9", MIH("<secret-3.INBOX.anna00@northgate.example>"))
		m := message(f.accounts[0], "INBOX", mailproof.Source, 3)
		for _, tier := range mailproof.Tiers() {
			words = append(words, m.Fingerprint.Hash(tier).String())
		}
		for name, data := range load(t, dir) {
			for _, w := range words {
				if bytes.Contains(data, []byte(w)) {
					t.Errorf("%v: %q stands in %s", profile, w, name)
				}
			}
		}
		again := seal(t, newFake(2, 60), Options{Dir: filepath.Join(t.TempDir(), "bundle"), Kept: filepath.Join(t.TempDir(), "kept"), Profile: profile, PseudonymKey: key})
		if again.Roots[0] != s.Roots[0] || again.Roots[2] != s.Roots[2] {
			t.Errorf("%v: two bundles of the same have other roots", profile)
		}
		if other := seal(t, newFake(2, 60), Options{Kept: filepath.Join(t.TempDir(), "kept"), Profile: profile}); other.Roots[0] == s.Roots[0] {
			t.Errorf("%v: another key makes the same pseudonyms", profile)
		}
	}
	p, err := NewPseudonyms(bytes.Repeat([]byte{7}, PseudonymKeySize))
	if err != nil {
		t.Fatal(err)
	}
	if p.Of(FieldFolder, "A\u030arger") != p.Of(FieldFolder, "\u00c5rger") {
		t.Error("two ways of writing one name have two pseudonyms")
	}
	if p.Of(FieldFolder, "x") == p.Of(FieldAccount, "x") {
		t.Error("an account and a folder of one name have one pseudonym")
	}
}

// Proofs of every kind of message verify with the key and with no other, and
// changed ones do not.
func TestProofs(t *testing.T) {
	k := testKey(t)
	s := seal(t, newFake(2, 60), Options{Key: k})
	account := "anna01@northgate.example"
	for _, w := range []Wanted{
		{Exception: "E-002", Tree: treeVerdicts},
		{Account: account, Folder: "Sent", UID: 1, Tree: treeVerdicts},
		{Account: account, Folder: "Sent", UID: 1, Tree: treeSource},
		{Account: account, Folder: "Sent", UID: 1, Tree: treeDestination},
		{Account: account, Folder: "Sent", UID: 1001, Side: mailproof.Destination, Tree: treeDestination},
		{Account: account, Folder: "Ärger/2019", UID: 1018, Side: mailproof.Destination, Tree: treeVerdicts},
	} {
		p, err := Prove(t.Context(), s.Dir, "", w)
		if err != nil {
			t.Fatalf("%+v: %v", w, err)
		}
		text := p.Text()
		back, err := ParseProof(text)
		if err != nil {
			t.Fatal(err)
		}
		if r, err := back.Check(k.Public()); err != nil || !r.Signed || r.Tree != w.Tree {
			t.Errorf("%+v: %+v %v", w, r, err)
		}
		if _, err := back.Check(testKey(t).Public()); err == nil {
			t.Errorf("%+v: another key verifies it", w)
		}
		r := rand.New(rand.NewPCG(9, 9))
		for range 400 {
			changed := bytes.Clone(text)
			changed[r.IntN(len(changed))] ^= byte(1 + r.IntN(255))
			if q, err := ParseProof(changed); err == nil {
				if _, err := q.Check(k.Public()); err == nil {
					t.Errorf("%+v: a change is not found in %s", w, changed)
				}
			}
		}
	}
	for _, w := range []Wanted{{Exception: "E-999", Tree: treeVerdicts}, {Account: "nobody", Folder: "INBOX", UID: 1, Tree: treeSource}, {Exception: "E-001", Tree: treeDestination}} {
		if _, err := Prove(t.Context(), s.Dir, "", w); err == nil {
			t.Errorf("%+v was proved", w)
		}
	}
}
