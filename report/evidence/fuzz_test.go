package evidence

import (
	"bytes"
	"crypto/ed25519"
	"os"
	"path/filepath"
	"testing"

	"github.com/mailproof/mailproof"
)

// A line that is read is written again as it was.
func FuzzLine(f *testing.F) {
	m := messageLine{Account: "a", Folder: "Ä\"\\", Flags: []string{`\Seen`}, State: "read", Subject: "\u2028\n"}
	f.Add(encode(nil, &m))
	f.Add(encode(nil, &verdictLine{Account: "a", Side: "source", Verdict: "missing", Reasons: []string{"x: y"}, Source: citation{1, "00"}}))
	f.Add([]byte(`{"account":"\u0041"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, l := range []line{new(messageLine), new(verdictLine), new(dispositionLine), new(findingLine), new(observationLine), new(passLine)} {
			if decode(data, l) == nil && !bytes.Equal(encode(nil, l), data) {
				t.Errorf("%T: %q is written as %q", l, data, encode(nil, l))
			}
		}
	})
}

// A checkpoint or a proof that is read has one form; foreign ones break nothing
// and verify nothing.
func FuzzProof(f *testing.F) {
	s := seal(f, newFake(1, 4), fixed())
	p, err := Prove(f.Context(), s.Dir, "", Wanted{Account: "anna00@northgate.example", Folder: "INBOX", UID: 1, Tree: treeSource})
	if err != nil {
		f.Fatal(err)
	}
	genuine := p.Text()
	f.Add(genuine)
	f.Add(p.Checkpoint)
	f.Add([]byte(proofHeader + "\nextra \nindex 0\n\n"))
	data, err := os.ReadFile(filepath.Join(s.Dir, fileSignerPEM))
	if err != nil {
		f.Fatal(err)
	}
	key, err := ParsePublicKey(data)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := readCheckpoint(data); err == nil && !bytes.HasPrefix(data, []byte(c.text())) {
			t.Errorf("checkpoint %q is read as %q", data, c.text())
		}
		q, err := ParseProof(data)
		if err != nil {
			return
		}
		if !bytes.Equal(q.Text(), data) {
			t.Errorf("%q is written as %q", data, q.Text())
		}
		if _, err := q.Check(key); err == nil && !bytes.Equal(data, genuine) {
			t.Errorf("a forged proof verifies: %q", data)
		}
	})
}

// fixed are options that make the same bundle in every process of the fuzzer.
func fixed() Options {
	return Options{Key: Key{ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))}, Series: "fuzz"}
}

// A foreign zip breaks nothing, and only the genuine one verifies.
func FuzzZip(f *testing.F) {
	s := seal(f, newFake(1, 8), fixed())
	path := filepath.Join(f.TempDir(), "bundle.zip")
	if err := Zip(f.Context(), s.Dir, path); err != nil {
		f.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("PK\x05\x06" + string(make([]byte, 18))))
	f.Fuzz(func(t *testing.T, changed []byte) {
		v, err := verifyZip(t, changed)
		if err == nil && v.Outcome() != mailproof.OutcomeFail && !bytes.Equal(changed, data) {
			// Other octets of the same files would have to be a valid bundle of
			// somebody else's key.
			t.Errorf("a changed zip verifies: %d octets", len(changed))
		}
	})
}

// Manifests, bag-info, keys and timestamps of strangers break nothing.
func FuzzFiles(f *testing.F) {
	a := newTSA(f)
	s := seal(f, newFake(1, 2), Options{Timestamp: &TimestampOptions{URL: a.url, Roots: a.roots}})
	for _, data := range load(f, s.Dir) {
		if len(data) < 64<<10 {
			f.Add(data)
		}
	}
	query := load(f, s.Dir)[fileQuery]
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, errs := readManifest(data); len(errs) == 0 && !bytes.Equal(m.text(), data) {
			t.Errorf("manifest %q", data)
		}
		if b, err := readBagInfo(data); err == nil && !bytes.Equal(b.text(), data) {
			t.Errorf("bag-info %q", data)
		}
		if k, err := ParsePublicKey(data); err == nil && k.IsZero() {
			t.Error("no key")
		}
		if k, err := ParseKey(data, func() (mailproof.Secret, error) { return mailproof.NewSecret("x"), nil }); err == nil && k.IsZero() {
			t.Error("no key")
		}
		_, _ = checkTimestamp(query, data, [32]byte{}, nil)
		_, _ = checkTimestamp(data, data, [32]byte{}, nil)
		_ = testPublic.verifySSH(data, data)
	})
}

var testPublic = func() PublicKey { k, _ := NewKey(); return k.Public() }()
