package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

// resultsFile has, for the messages that come of each change of the
// metamorphic table, SHA-256 over all that their fingerprints say.
const resultsFile = vectorDir + "/results.txt"

// TestResults holds every field of the fingerprints of some thousand messages to
// what it was, however the messages are read: the vectors say of a few messages
// what the results are, this says of many that they have not changed. With
// -update it writes the file again: then every change in it is a change of the
// algorithm, unless the messages are others.
func TestResults(t *testing.T) {
	var got strings.Builder
	subjects := resultSubjects()
	for _, name := range resultNames() {
		fmt.Fprintf(&got, "%x  %s\n", resultsOf(t, name, subjects), name)
	}
	if *update {
		if err := os.WriteFile(resultsFile, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(resultsFile)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() == string(want) {
		return
	}
	for _, line := range strings.Split(got.String(), "\n") {
		if !strings.Contains(string(want), line) {
			t.Errorf("not in %s: %s", resultsFile, line)
		}
	}
}

// resultNames lists the changes of which there are results; the first two are
// none.
func resultNames() []string {
	names := []string{"as they are", "long lines"}
	for _, m := range mutations {
		names = append(names, m.name)
	}
	return names
}

func resultsOf(t *testing.T, name string, subjects []*subject) []byte {
	h := New()
	all := sha256.New()
	r := rand.New(rand.NewPCG(20261121, 5))
	switch name {
	case "as they are":
		for _, s := range subjects {
			addResult(t, all, h, r, s.raw)
		}
	case "long lines":
		for _, m := range longLines() {
			addResult(t, all, h, r, m.raw)
		}
	}
	for _, m := range mutations {
		if m.name != name {
			continue
		}
		for i, s := range subjects {
			other := subjects[(i+1)%len(subjects)].tree
			if other == nil {
				continue
			}
			if raw, ok := s.apply(r, other, []mutation{m}); ok {
				addResult(t, all, h, r, raw)
			}
		}
	}
	return all.Sum(nil)
}

// resultSubjects are the messages that are changed.
func resultSubjects() (out []*subject) {
	add := func(raw []byte) {
		out = append(out, &subject{raw: raw, tree: parseEntity(raw)})
	}
	g := &generator{Rand: rand.New(rand.NewPCG(11, 21))}
	for range 24 {
		add(g.message(0).raw())
	}
	for _, raw := range plainMails()[:8] {
		add(raw)
	}
	for _, raw := range attachmentMails()[:5] {
		add(raw)
	}
	for _, m := range vectorMessages() {
		add(m.raw)
	}
	return out
}

// addResult adds the whole fingerprint of a message, which must be the same when
// it comes in pieces, and what its header alone tells.
func addResult(t *testing.T, all hash.Hash, h *Hasher, r *rand.Rand, raw []byte) {
	t.Helper()
	whole, err := h.Compute(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%+v", whole)
	pieces, err := h.Compute(iotest.DataErrReader(&sizedReader{b: raw, next: func() int { return 1 + r.IntN(2000) }}))
	if again := fmt.Sprintf("%+v", pieces); err != nil || again != text {
		t.Errorf("%v: in pieces it is\n%s, not\n%s", err, again, text)
	}
	head, err := h.Head(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(all, "%s\n%+v\n", text, head)
}
