package diff

import (
	"testing"

	"github.com/mailproof/mailproof"
)

func TestFields(t *testing.T) {
	field := func(name, value string) mailproof.FieldDigest {
		return mailproof.FieldDigest{Name: name, Value: value, Hash: mailproof.FieldHash(name, value)}
	}
	a := &mailproof.Detail{Fields: []mailproof.FieldDigest{field("subject", "x"), field("bcc", "b@a.example"), field("date", "d")}}
	b := &mailproof.Detail{Fields: []mailproof.FieldDigest{field("date", "d"), field("subject", "y")}}
	got := Fields(a, b)
	want := []FieldPair{{"date", "d", "d", true, true}, {"subject", "x", "y", true, false}, {"bcc", "b@a.example", "", false, false}}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%+v, want %+v", got[i], want[i])
		}
	}
	// Values that were cut alike may differ all the same.
	long := field("to", "a@a.example")
	long.Hash[0]++
	if got = Fields(&mailproof.Detail{Fields: []mailproof.FieldDigest{field("to", "a@a.example")}}, &mailproof.Detail{Fields: []mailproof.FieldDigest{long}}); got[0].Same {
		t.Error("cut values with other hashes are called the same")
	}
	if len(Fields(nil, nil)) != 0 || len(Fields(nil, b)) != 2 {
		t.Error("a missing side")
	}
}

func TestParts(t *testing.T) {
	leaf := func(typ, name string, content, octets byte) mailproof.LeafDigest {
		return mailproof.LeafDigest{Type: typ, FileName: name, Size: 9, Content: mailproof.Short{content}, Octets: mailproof.Short{octets}}
	}
	a := &mailproof.Detail{Leaves: []mailproof.LeafDigest{leaf("text/plain", "", 1, 1), leaf("image/png", "a.png", 2, 2), leaf("application/x", "x", 3, 3), leaf("text/plain", "", 0, 0), leaf("audio/x", "gone", 5, 5)}}
	b := &mailproof.Detail{Leaves: []mailproof.LeafDigest{leaf("image/png", "b.png", 2, 2), leaf("text/plain", "", 1, 8), leaf("application/x", "x", 3, 9), leaf("video/x", "new", 7, 7)}}
	want := []PartPair{{0, 1, PartSame}, {1, 0, PartRenamed}, {2, 2, PartEOL}, {3, -1, PartBlank}, {4, -1, PartLost}, {-1, 3, PartAdded}}
	got := Parts(a, b)
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("%d: %+v, want %+v", i, got[i], want[i])
		}
	}
	b.Leaves[0].Content = mailproof.Short{99}
	b.Leaves[0].FileName = "a.png"
	if got = Parts(a, b); got[1].State != PartDiffers {
		t.Errorf("%+v", got)
	}
}
