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
	"github.com/mailproof/mailproof/collect/spool"
)

// knownTwins are fingerprints on record, by number and by T0.
type knownTwins struct {
	mu          sync.Mutex
	record      []mailproof.Fingerprint // the first has the number 1
	by          map[mailproof.Hash]int64
	wrong       bool // another one than was asked for is found
	atLeast     int  // is how many it says it knows
	err         error
	asked, hits int
}

func (k *knownTwins) add(t *testing.T, body []byte) *mailproof.Fingerprint {
	t.Helper()
	fp, err := fingerprint.Compute(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	k.record = append(k.record, fp)
	if k.by == nil {
		k.by = map[mailproof.Hash]int64{}
	}
	k.by[fp.Hash(mailproof.T0)] = int64(len(k.record))
	return &k.record[len(k.record)-1]
}

func (k *knownTwins) Count(context.Context) (int, error) { return max(len(k.record), k.atLeast), k.err }

func (k *knownTwins) Find(t0 mailproof.Hash) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked++
	id := k.by[t0]
	if id != 0 {
		k.hits++
		if k.wrong {
			id = id%int64(len(k.record)) + 1
		}
	}
	return id
}

func (k *knownTwins) Fingerprint(_ context.Context, id int64) (mailproof.Fingerprint, error) {
	return k.record[id-1], nil
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

// twinServer has so many messages, some small and some large.
func twinServer(t *testing.T, seed uint64, messages int) *fakeServer {
	s := newServer(t, "INBOX")
	r := rand.New(rand.NewPCG(seed, 1))
	for i := range messages {
		n := 1000
		if i%8 == 0 {
			n = 8000 + r.IntN(60_000)
		}
		s.add("INBOX", "")
		s.messages["INBOX"][i].body = []byte(randomMail(r, i, n))
	}
	return s
}

func takeWith(t *testing.T, s *fakeServer, twins Twins, change func(*Options)) (*fakeLedger, error) {
	t.Helper()
	l := newLedger(t)
	l.twins = twins
	o := options()
	o.Twins = twins
	if change != nil {
		change(&o)
	}
	_, err := Inventory(t.Context(), s, l, o)
	return l, err
}

// What is recorded is the same whether a fingerprint was made or that of a twin
// was taken, for whatever part of the messages there was one.
func TestTwinsChangeNothing(t *testing.T) {
	for seed := range uint64(2) {
		s := twinServer(t, seed, worthLookingUp+20)
		want, err := takeWith(t, s, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(*Options){
			"a bare inventory": nil,
			"with a tap":       func(o *Options) { o.Tap = &nobody{} },
		} {
			known := new(knownTwins)
			for i, m := range s.messages["INBOX"] {
				if i%3 != 0 {
					known.add(t, m.body)
				}
			}
			got, err := takeWith(t, s, known, change)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.known, want.known) {
				t.Fatalf("%s: seed %d: other rows than without", name, seed)
			}
			taken := len(known.record)
			if change != nil {
				taken = 0 // they are not told by their number
			}
			if known.asked != len(s.messages["INBOX"]) || known.hits != len(known.record) || got.addedTwins != taken {
				t.Fatalf("%s: seed %d: asked %d times, %d of %d found, %d taken", name, seed, known.asked, known.hits, len(known.record), got.addedTwins)
			}
		}
	}
}

// nobody takes nothing of what it is offered.
type nobody struct{}

func (*nobody) Begin(context.Context, mailproof.ServerInfo, []mailproof.Mailbox) {}
func (*nobody) Offer(_ context.Context, _ mailproof.Message, b Body)             { _ = b.Release() }

// What is known is really taken, by an octet of evidence that only the record has;
// and not where everything is to be read anew, where there is little to read, or
// little that it could be.
func TestTwinsAreTaken(t *testing.T) {
	many := twinServer(t, 1, worthLookingUp)
	for _, c := range []struct {
		name  string
		s     *fakeServer
		o     func(*Options)
		knows int
		taken bool
	}{
		{"many", many, nil, worthLookingUp / 2, true},
		{"read anew", many, func(o *Options) { o.Reverify = true }, worthLookingUp, false},
		{"few to read", twinServer(t, 1, worthLookingUp-1), nil, worthLookingUp, false},
		{"few on record", many, nil, worthLookingUp/2 - 1, false},
	} {
		known := &knownTwins{atLeast: c.knows}
		known.add(t, c.s.messages["INBOX"][0].body).Detail.LeafCount = 4711
		l, err := takeWith(t, c.s, known, c.o)
		if err != nil {
			t.Fatal(err)
		}
		if taken := l.known["INBOX11"][1].Fingerprint.Detail.LeafCount == 4711; taken != c.taken {
			t.Errorf("%s: taken %v", c.name, taken)
		}
	}
}

// A message that is known already, and could not be read before, gets the whole
// fingerprint of its twin.
func TestTwinOfKnown(t *testing.T) {
	s := twinServer(t, 3, worthLookingUp)
	known := new(knownTwins)
	for _, m := range s.messages["INBOX"] {
		known.add(t, m.body)
	}
	l := newLedger(t)
	l.twins = known
	l.known["INBOX11"] = map[mailproof.UID]*mailproof.Message{}
	for i, m := range s.messages["INBOX"] {
		uid := mailproof.UID(i + 1)
		l.known["INBOX11"][uid] = &mailproof.Message{MessageKey: mailproof.MessageKey{UID: uid}, Metadata: mailproof.Metadata{UID: uid, Size: int64(len(m.body))}, State: mailproof.Unreadable}
	}
	o := options()
	o.Twins = known
	if _, err := Inventory(t.Context(), s, l, o); err != nil {
		t.Fatal(err)
	}
	for i := range s.messages["INBOX"] {
		if got := l.known["INBOX11"][mailproof.UID(i+1)]; got.State != mailproof.Read || !reflect.DeepEqual(got.Fingerprint, known.record[i]) {
			t.Fatalf("message %d: %v", i, got.State)
		}
	}
	if l.addedTwins != 0 {
		t.Errorf("%d added as new", l.addedTwins)
	}
}

// A record that answers with another message than was asked for does not get its
// fingerprint into the ledger; nor is an error of the ledger left out in silence.
func TestTwinsFail(t *testing.T) {
	s := twinServer(t, 1, worthLookingUp)
	wrong := &knownTwins{wrong: true}
	for _, m := range s.messages["INBOX"] {
		wrong.add(t, m.body)
	}
	for name, c := range map[string]struct {
		twins Twins
		o     func(*Options)
	}{
		"disk":         {&knownTwins{err: fmt.Errorf("disk")}, nil},
		"wrong":        {wrong, nil},
		"wrong, whole": {wrong, func(o *Options) { o.Tap = &nobody{} }},
	} {
		if _, err := takeWith(t, s, c.twins, c.o); !IsLedger(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// T0 of a body that is held is what its octets have, however they are held.
func TestT0OfHeld(t *testing.T) {
	for _, n := range []int{0, 1, 2047, 2048, 2049, 4096, 70_000} {
		octets := bytes.Repeat([]byte{7, 8, 9}, n/3+1)[:n]
		for name, pool := range map[string]*spool.Pool{"memory": spool.New(spool.Options{}), "file": spool.New(spool.Options{PerMessage: 1, Dir: t.TempDir()})} {
			b, err := pool.Take(t.Context(), int64(n), bytes.NewReader(octets))
			if err != nil {
				t.Fatal(err)
			}
			fp, err := fingerprint.Compute(bytes.NewReader(octets))
			if err != nil {
				t.Fatal(err)
			}
			if t0, err := b.T0(); err != nil || t0 != fp.Hash(mailproof.T0) {
				t.Errorf("%d octets in %s: %v", n, name, err)
			}
			if err := b.Release(); err != nil {
				t.Fatal(err)
			}
		}
	}
}
