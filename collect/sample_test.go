package collect

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mailproof/mailproof"
)

// readStates counts the messages of a fake ledger by state.
func readStates(l *fakeLedger) map[mailproof.ReadState]int {
	n := map[mailproof.ReadState]int{}
	for _, box := range l.known {
		for _, m := range box {
			n[m.State]++
		}
	}
	return n
}

func sampleOptions(size, seed string, t *testing.T) Options {
	o := options()
	o.Depth = mailproof.DepthSample
	var err error
	if o.Sample, err = ParseSample(size, seed); err != nil {
		t.Fatal(err)
	}
	return o
}

func TestSample(t *testing.T) {
	s, l := newServer(t, "INBOX", "Archive", "Sent"), newLedger(t)
	for i := range 900 {
		s.add([]string{"INBOX", "Archive", "Archive"}[i%3], fmt.Sprint("m", i))
	}
	sum, err := Inventory(t.Context(), s, l, sampleOptions("100", "s1", t))
	if n := readStates(l); err != nil || sum.Read != 100 || n[mailproof.Read] != 100 || n[mailproof.Unread] != 800 || sum.Messages != 900 {
		t.Fatalf("%+v, %v, %v", sum, n, err)
	}
	// Every folder has its part, as all messages are of one urn.
	if n := sum.Read - int64(len(s.fetched)); n != 0 {
		t.Errorf("fetched %d bodies, recorded %d", len(s.fetched), sum.Read)
	}
	// The same seed chooses the same again: nothing is left to read.
	if sum, err = Inventory(t.Context(), s, l, sampleOptions("100", "s1", t)); err != nil || sum.Read != 0 || sum.New != 0 {
		t.Errorf("same seed: %+v, %v", sum, err)
	}
	// A larger sample of one seed holds the smaller one.
	if sum, err = Inventory(t.Context(), s, l, sampleOptions("150", "s1", t)); err != nil || sum.Read != 50 {
		t.Errorf("larger sample: %+v, %v", sum, err)
	}
	// Another seed chooses others, but for those that happen to be in both.
	if sum, err = Inventory(t.Context(), s, l, sampleOptions("150", "s2", t)); err != nil || sum.Read < 90 || sum.Read > 150 {
		t.Errorf("other seed: %+v, %v", sum, err)
	}
	// Full reads the rest, and only that.
	before := readStates(l)[mailproof.Read]
	if sum, err = Inventory(t.Context(), s, l, options()); err != nil || int(sum.Read) != 900-before {
		t.Errorf("full: %+v, %v", sum, err)
	}
	for name := range s.messages {
		l.check(s, name)
	}
}

// The choice follows the seed alone: the order of the folders is nothing to it.
func TestSampleDoesNotDependOnOrder(t *testing.T) {
	chosen := func(names ...string) map[string]bool {
		s, l := newServer(t, names...), newLedger(t)
		for i := range 200 {
			for _, name := range []string{"INBOX", "Sent"} {
				s.add(name, fmt.Sprint(name, i))
			}
		}
		if _, err := Inventory(t.Context(), s, l, sampleOptions("10%", "x", t)); err != nil {
			t.Fatal(err)
		}
		out := map[string]bool{}
		for box, known := range l.known {
			for uid, m := range known {
				if m.State == mailproof.Read {
					out[fmt.Sprint(box, " ", uid)] = true
				}
			}
		}
		return out
	}
	a, b := chosen("INBOX", "Sent"), chosen("Sent", "INBOX")
	if len(a) != len(b) || len(a) < 15 || len(a) > 75 {
		t.Fatalf("%d and %d chosen", len(a), len(b))
	}
	for k := range a {
		if !b[k] {
			t.Errorf("%s is chosen in one order only", k)
		}
	}
}

// A folder that is left out has no part in the sample, and one that cannot be
// opened takes nothing from the others.
func TestSampleSkips(t *testing.T) {
	s, l := newServer(t, "INBOX", "Junk", "Broken"), newLedger(t)
	for i := range 50 {
		s.add("INBOX", fmt.Sprint("i", i))
		s.add("Junk", fmt.Sprint("j", i))
	}
	s.examineErr = map[string]error{"Broken": &mailproof.ServerError{Kind: mailproof.ErrRefused, Text: "no"}}
	o := sampleOptions("20", "x", t)
	o.Exclude = func(mb mailproof.Mailbox) (string, bool) { return "Junk", mb.Name == "Junk" }
	sum, err := Inventory(t.Context(), s, l, o)
	if err != nil || sum.Read != 20 || sum.Failed != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestLowest(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 300 {
		most := 1 + r.IntN(20)
		l := NewLowest(most)
		var all []uint64
		for range n {
			rank := r.Uint64N(1000)
			all = append(all, rank)
			l.Add(rank)
		}
		slices.Sort(all)
		want := uint64(math.MaxUint64)
		if len(all) >= most {
			want = all[most-1]
		}
		if got := l.Limit(); got != want {
			t.Fatalf("lowest %d of %d: limit %d, want %d", most, n, got, want)
		}
	}
}

func TestParseSample(t *testing.T) {
	for _, tt := range []struct {
		size string
		want Sample
		bad  bool
	}{
		{"", Sample{Number: DefaultSample}, false},
		{"5", Sample{Number: 5}, false},
		{"5%", Sample{Share: 0.05}, false},
		{"100%", Sample{Share: 1}, false},
		{"0.1 %", Sample{Share: 0.001}, false},
		{"0", Sample{}, true},
		{"-1", Sample{}, true},
		{"0%", Sample{}, true},
		{"NaN%", Sample{}, true},
		{"101%", Sample{}, true},
		{"many", Sample{}, true},
		{"99999999999", Sample{}, true},
	} {
		got, err := ParseSample(tt.size, "")
		if (err != nil) != tt.bad || !tt.bad && got != tt.want {
			t.Errorf("%q: %+v, %v", tt.size, got, err)
		}
		if !tt.bad {
			if again, err := ParseSample(got.String(), ""); err != nil || again != got {
				t.Errorf("%q is written %q, which reads as %+v, %v", tt.size, got, again, err)
			}
		}
	}
	// All is all, the highest rank included.
	if all := (Sample{Share: 1}); !all.Below(math.MaxUint64) || (Sample{Share: .5}).Below(1<<63) {
		t.Error("Below does not keep to the share")
	}
}
