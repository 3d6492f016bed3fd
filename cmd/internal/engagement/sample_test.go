package engagement

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/diff"
)

// none is the probability, computed exactly, that a sample has none of the bad
// ones.
func none(s stratum, bad int64) *big.Rat {
	p := big.NewRat(1, 1)
	for i := range bad {
		if s.all-s.sampled-i <= 0 {
			return new(big.Rat)
		}
		p.Mul(p, big.NewRat(s.all-s.sampled-i, s.all-i))
	}
	return p
}

// Against the definition, by trying every number of bad ones in every stratum.
func TestMostBad(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	limit := big.NewRat(5, 100)
	trials := 400
	if raceEnabled {
		trials = 60
	}
	for n := range trials {
		strata := make([]stratum, 1+r.IntN(3))
		for i := range strata {
			all := r.Int64N(25)
			strata[i] = stratum{all: all, sampled: r.Int64N(all + 1)}
		}
		if n%4 == 0 {
			strata = strata[:1]
			strata[0] = stratum{all: 100 + r.Int64N(300), sampled: 1 + r.Int64N(100)}
		}
		want := int64(0)
		var try func(i int, bad int64, p *big.Rat)
		try = func(i int, bad int64, p *big.Rat) {
			if p.Cmp(limit) < 0 {
				return
			}
			if i == len(strata) {
				want = max(want, bad)
				return
			}
			for d := range strata[i].all + 1 {
				try(i+1, bad+d, new(big.Rat).Mul(p, none(strata[i], d)))
			}
		}
		try(0, 0, big.NewRat(1, 1))
		if got := mostBad(strata, 0.95); got != want {
			t.Errorf("%+v: %d, want %d", strata, got, want)
		}
	}
}

// Against the binomial bound 1 − 0.05^(1/n), which the exact one approaches
// from below as the population grows.
func TestMostBadOfMany(t *testing.T) {
	for _, n := range []int64{10, 300, 5000} {
		const all = 10_000_000
		got := float64(mostBad([]stratum{{all, n}}, 0.95)) / all
		want := 1 - math.Pow(0.05, 1/float64(n))
		if got > want*(1+1e-6) || got < want*0.99 {
			t.Errorf("%d of %d: %v, binomial %v", n, int64(all), got, want)
		}
	}
	// All read: none can be bad. Nothing read: all may be.
	if a, b := mostBad([]stratum{{50, 50}}, 0.95), mostBad([]stratum{{50, 0}, {7, 7}}, 0.95); a != 0 || b != 50 {
		t.Errorf("all read %d, nothing read %d", a, b)
	}
	many := make([]stratum, 5000)
	for i := range many {
		many[i] = stratum{1000, 30}
	}
	if got := mostBad(many, 0.95); got < 95 || got > 105 {
		t.Errorf("5000 equal strata: %d", got)
	}
}

// The bound holds: of populations with a given number of bad messages, at most
// one in twenty yields a sample that states less than that number.
func TestBoundHolds(t *testing.T) {
	for _, size := range []string{"60", "5%"} {
		wrong, stated := 0, 0
		const trials, all, bad = 600, 1200, 55 // both sizes read about 60 of 1200
		for trial := range trials {
			sample, err := collect.ParseSample(size, fmt.Sprint("seed", trial))
			if err != nil {
				t.Fatal(err)
			}
			s := newSampling(sample)
			for uid := range all {
				verdict := mailproof.Identical
				if uid%22 == 0 { // 55 of them
					verdict = mailproof.Altered
				}
				key := mailproof.MessageKey{Account: "a", Mailbox: "INBOX", UIDValidity: 1, UID: mailproof.UID(uid + 1)}
				s.add(&diff.Result{Verdict: verdict, Source: key, SourceRow: &mailproof.Row{}})
			}
			if r := sampleResult(map[string]*sampling{"a": s}); r.MostBad != nil {
				if stated++; *r.MostBad < bad {
					wrong++
				}
			}
		}
		t.Logf("%s: bound stated in %d of %d trials, wrong in %d", size, stated, trials, wrong)
		// 5 % of 600, and three standard deviations.
		if wrong > 46 || stated == 0 {
			t.Errorf("%s: wrong in %d of %d", size, wrong, trials)
		}
	}
}

func TestSampling(t *testing.T) {
	add := func(s *sampling, n int, verdict func(uid int) mailproof.MessageVerdict) *sampling {
		for uid := 1; uid <= n; uid++ {
			key := mailproof.MessageKey{Account: "a", Mailbox: "INBOX", UIDValidity: 1, UID: mailproof.UID(uid)}
			s.add(&diff.Result{Verdict: verdict(uid), Source: key, SourceRow: &mailproof.Row{}})
		}
		// What is found on the destination alone, or left out, is no part of it.
		s.add(&diff.Result{Verdict: mailproof.Extra})
		s.add(&diff.Result{Verdict: mailproof.Excluded, SourceRow: &mailproof.Row{}})
		return s
	}
	good := func(int) mailproof.MessageVerdict { return mailproof.Equivalent }
	ten := func() *sampling { return newSampling(collect.Sample{Seed: "s", Number: 10}) }

	r := sampleResult(map[string]*sampling{"a": add(ten(), 5000, good)})
	if r.Sampled != 10 || r.Population != 5000 || r.MostBad == nil || *r.Bound < 0.25 || *r.Bound > 0.26 {
		t.Errorf("%+v", r)
	}
	if r = sampleResult(map[string]*sampling{"a": add(ten(), 4, good)}); r.Sampled != 4 || *r.MostBad != 0 {
		t.Errorf("fewer messages than the sample: %+v", r)
	}
	for _, v := range []mailproof.MessageVerdict{mailproof.Missing, mailproof.Altered, mailproof.Unverifiable, mailproof.DuplicateCollapsed} {
		if r = sampleResult(map[string]*sampling{"a": add(ten(), 50, func(int) mailproof.MessageVerdict { return v })}); r.MostBad != nil || r.Bad != 10 {
			t.Errorf("all %v: %+v", v, r)
		}
	}
	s := ten()
	s.add(&diff.Result{Verdict: mailproof.Relocated, Reasons: []mailproof.Reason{{Code: diff.ReasonToTrash}}, SourceRow: &mailproof.Row{}})
	s.add(&diff.Result{Verdict: mailproof.Relocated, Reasons: []mailproof.Reason{{Code: diff.ReasonRelocated}}, Source: mailproof.MessageKey{UID: 2}, SourceRow: &mailproof.Row{}})
	if r = sampleResult(map[string]*sampling{"a": s}); r.Bad != 1 || r.MostBad != nil {
		t.Errorf("one in the trash, one elsewhere: %+v", r)
	}
	// A message of the sample that was not read ends the sample before it.
	if r = sampleResult(map[string]*sampling{"a": add(ten(), 50, func(int) mailproof.MessageVerdict { return mailproof.NotChecked })}); r.Sampled != 0 || r.MostBad != nil {
		t.Errorf("nothing read: %+v", r)
	}
	s = add(ten(), 50, good)
	s.unread = true
	if r = sampleResult(map[string]*sampling{"a": s}); r.MostBad != nil {
		t.Errorf("source not read to its end: %+v", r)
	}
	// Two accounts, by number: the worst of both; by share: one urn.
	two := sampleResult(map[string]*sampling{"a": add(ten(), 100, good), "b": add(ten(), 900, good)})
	if two.Sampled != 20 || *two.Bound < 0.2 {
		t.Errorf("two accounts: %+v, %v", two, *two.Bound)
	}
	share := func() *sampling { return newSampling(collect.Sample{Seed: "s", Share: 0.1}) }
	urn := sampleResult(map[string]*sampling{"a": add(share(), 100, good), "b": add(share(), 900, good)})
	if want := float64(mostBad([]stratum{{1000, urn.Sampled}}, 0.95)) / 1000; urn.Sampled < 60 || *urn.Bound != want {
		t.Errorf("one urn: %+v, %v, want %v", urn, *urn.Bound, want)
	}
	if sampleResult(nil) != nil {
		t.Error("no sample, and a result")
	}
}
