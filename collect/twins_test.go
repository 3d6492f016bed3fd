package collect

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
)

// knownTwins are fingerprints by T0, and whether to answer with what was not
// asked for.
type knownTwins struct {
	mu          sync.Mutex
	by          map[mailproof.Hash]mailproof.Fingerprint
	lie         func(fp mailproof.Fingerprint) mailproof.Fingerprint
	err         error
	asked, hits int
	small       int // asked for although it is too small
}

func (k *knownTwins) Fingerprint(_ context.Context, t0 mailproof.Hash, octets int64) (mailproof.Fingerprint, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	if octets < LeastTwin {
		k.small++
	}
	fp, ok := k.by[t0]
	if ok {
		k.hits++
	}
	if k.lie != nil {
		fp, ok = k.lie(fp), true
	}
	return fp, ok, k.err
}

// randomMail is a message of about n octets of parts, some of them broken.
func randomMail(r *rand.Rand, i, n int) string {
	parts := []string{"Content-Type: text/html\r\n\r\n<p>caf&eacute;</p>", "Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nQUJDRA==",
		"\r\nbare\nlines\x00", "Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nbody"}
	var b strings.Builder
	fmt.Fprintf(&b, "From: a@b.example\r\nSubject: %d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n", i)
	for b.Len() < n {
		fmt.Fprintf(&b, "--x\r\n%s %d%s\r\n", parts[r.IntN(len(parts))], r.Uint64(), strings.Repeat(" words", r.IntN(200)))
	}
	return b.String()
}

// twinServer has messages on both sides of [LeastTwin].
func twinServer(t *testing.T, seed uint64) *fakeServer {
	s := newServer(t, "INBOX")
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range 40 {
		n := 1000
		if i%2 == 0 {
			n = LeastTwin + r.IntN(3*LeastTwin)
		}
		s.add("INBOX", "")
		s.messages["INBOX"][i].body = []byte(randomMail(r, i, n))
	}
	return s
}

func takeWith(t *testing.T, s *fakeServer, twins Twins, reverify bool) (*fakeLedger, error) {
	t.Helper()
	l := newLedger(t)
	o := options()
	o.Twins, o.Reverify = twins, reverify
	_, err := Inventory(t.Context(), s, l, o)
	return l, err
}

// What is recorded is the same whether the fingerprint was made or known, for
// whatever part of the messages it was known, and whatever is answered for
// octets that were not asked for.
func TestTwinsChangeNothing(t *testing.T) {
	lies := map[string]func(mailproof.Fingerprint) mailproof.Fingerprint{
		"":             nil,
		"another hash": func(fp mailproof.Fingerprint) mailproof.Fingerprint { fp.Hashes[0][31] ^= 1; return fp },
		"one octet":    func(fp mailproof.Fingerprint) mailproof.Fingerprint { fp.Octets++; return fp },
		"nothing":      func(mailproof.Fingerprint) mailproof.Fingerprint { return mailproof.Fingerprint{} },
	}
	for name, lie := range lies {
		for seed := range uint64(2) {
			s := twinServer(t, seed)
			want, err := takeWith(t, s, nil, false)
			if err != nil {
				t.Fatal(err)
			}
			known := &knownTwins{by: map[mailproof.Hash]mailproof.Fingerprint{}, lie: lie}
			large := 0
			for i, m := range s.messages["INBOX"] {
				if len(m.body) >= LeastTwin {
					large++
				}
				if i%3 != 0 {
					fp, err := fingerprint.Compute(bytes.NewReader(m.body))
					if err != nil {
						t.Fatal(err)
					}
					known.by[fp.Hash(mailproof.T0)] = fp
				}
			}
			got, err := takeWith(t, s, known, false)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.known, want.known) {
				t.Fatalf("%s: seed %d: other rows than without", name, seed)
			}
			if known.small > 0 || known.asked != large || known.hits == 0 || known.hits == large {
				t.Fatalf("%s: seed %d: asked %d times for %d messages, %d found, %d too small", name, seed, known.asked, large, known.hits, known.small)
			}
		}
	}
}

// What is known is really taken: else nothing is gained.
func TestTwinsAreTaken(t *testing.T) {
	s := twinServer(t, 1)
	body := s.messages["INBOX"][0].body
	fp, err := fingerprint.Compute(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	fp.Detail.LeafCount = 4711
	known := &knownTwins{by: map[mailproof.Hash]mailproof.Fingerprint{fp.Hash(mailproof.T0): fp}}
	for _, reverify := range []bool{false, true} {
		l, err := takeWith(t, s, known, reverify)
		if err != nil {
			t.Fatal(err)
		}
		if taken := l.known["INBOX11"][1].Fingerprint.Detail.LeafCount == 4711; taken == reverify {
			t.Errorf("reverify %v: taken %v", reverify, taken)
		}
	}
}

// A ledger that cannot be asked ends the pass: what it says is not left out in
// silence.
func TestTwinsFail(t *testing.T) {
	s := twinServer(t, 1)
	_, err := takeWith(t, s, &knownTwins{err: fmt.Errorf("disk")}, false)
	if !IsLedger(err) {
		t.Errorf("%v", err)
	}
}
