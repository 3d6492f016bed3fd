package fingerprint

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// isTidy agrees with the plain way to say it, wherever the white space stands.
func TestTidy(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	tidy := 0
	for range 100_000 {
		b := make([]byte, r.IntN(40))
		for i := range b {
			b[i] = " \tax!\x00\x21\x89\xa0\xffbcdefghijklmnopqrstuvwxyz0123456789"[r.IntN([]int{4, 12, 40}[r.IntN(3)])]
		}
		want := bytes.IndexByte(b, '\t') < 0 && !bytes.Contains(b, []byte("  "))
		if got := isTidy(b); got != want {
			t.Fatalf("%q: %v", b, got)
		}
		if want {
			tidy++
		}
	}
	if tidy < 1000 {
		t.Errorf("only %d of them were tidy", tidy)
	}
}
