package engagement

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/diff"
	"github.com/mailproof/mailproof/report"
)

// sampleKey is where the ledger keeps the sample of an inventory pass.
func sampleKey(pass mailproof.PassID) string { return fmt.Sprintf("%s%d", sampleKeyPrefix, pass) }

const sampleKeyPrefix = "sample/"

// lastSampleKey is where it keeps the latest one, to be used again.
const lastSampleKey = "sample"

// setSample settles what a pass at the depth of a sample reads: as asked for,
// with the seed of the last sample where none was given, so that a second pass
// goes on with the same messages, or else one by chance.
func (e *Engagement) setSample(ctx context.Context) error {
	if e.Depth != mailproof.DepthSample {
		return nil
	}
	kept, err := e.ledger.Engagement(ctx)
	if err != nil {
		return err
	}
	var last collect.Sample
	if text := kept[lastSampleKey]; text != "" {
		if err := json.Unmarshal([]byte(text), &last); err != nil {
			return fmt.Errorf("sample in the ledger: %w", err)
		}
	}
	if e.Sample.IsZero() {
		e.Sample.Number = collect.DefaultSample
	}
	if e.Sample.Seed == "" {
		e.Sample.Seed = cmp.Or(last.Seed, rand.Text()[:12])
	}
	return nil
}

// recordSample keeps what a pass reads, before it reads it.
func (e *Engagement) recordSample(ctx context.Context, pass mailproof.PassID) error {
	text, err := json.Marshal(e.Sample)
	if err != nil {
		return err
	}
	for _, key := range []string{sampleKey(pass), lastSampleKey} {
		if err := e.ledger.SetEngagement(ctx, key, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// samples fetches the samples of all passes.
func (e *Engagement) samples(ctx context.Context) (map[mailproof.PassID]collect.Sample, error) {
	kept, err := e.ledger.Engagement(ctx)
	if err != nil {
		return nil, err
	}
	out := map[mailproof.PassID]collect.Sample{}
	for key, text := range kept {
		number, found := strings.CutPrefix(key, sampleKeyPrefix)
		if !found {
			continue
		}
		id, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			continue
		}
		var s collect.Sample
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			return nil, fmt.Errorf("sample of pass %d in the ledger: %w", id, err)
		}
		out[mailproof.PassID(id)] = s
	}
	return out, nil
}

// sampling is what the sample of one account came to.
type sampling struct {
	collect.Sample
	population int64
	chosen     []chosen
	lowest     *collect.Lowest
	unread     bool // the source was not read to its end: the population is not known
}

type chosen struct {
	rank   uint64
	unread bool
	bad    bool
}

// newChosen takes a message for good if it was found intact and where it will
// stay: what lies in the trash only is on its way out.
func newChosen(rank uint64, r *diff.Result) chosen {
	good := r.Verdict.Paired() && r.Verdict != mailproof.Altered
	inTrash := slices.ContainsFunc(r.Reasons, func(x mailproof.Reason) bool { return x.Code == diff.ReasonToTrash })
	return chosen{rank: rank, unread: r.Verdict == mailproof.NotChecked, bad: !good || inTrash}
}

func newSampling(s collect.Sample) *sampling {
	return &sampling{Sample: s, lowest: collect.NewLowest(s.Number)}
}

// beside takes the verdicts, and hands them on to next, if there is one.
func (s *sampling) beside(next func(diff.Result) error) func(diff.Result) error {
	return func(r diff.Result) error {
		s.add(&r)
		if next == nil {
			return nil
		}
		return next(r)
	}
}

// add takes the verdict on one message.
func (s *sampling) add(r *diff.Result) {
	if r.SourceRow == nil || r.Verdict == mailproof.Excluded {
		return
	}
	s.population++
	rank := s.Rank(r.Source)
	if s.Share > 0 {
		if s.Below(rank) {
			s.chosen = append(s.chosen, newChosen(rank, r))
		}
		return
	}
	s.lowest.Add(rank)
	if limit := s.lowest.Limit(); rank <= limit {
		s.chosen = append(s.chosen, newChosen(rank, r))
		if len(s.chosen) >= 2*s.Number+1024 {
			s.prune(limit)
		}
	}
}

func (s *sampling) prune(limit uint64) {
	s.chosen = slices.DeleteFunc(s.chosen, func(c chosen) bool { return c.rank > limit })
}

// count is how many messages the sample has, and how many of them were not
// found intact. A sample ends before the first of its messages, by rank, that
// no pass tried to read: where it ends then depends on no content.
func (s *sampling) count() (n, bad int64, cut bool) {
	if s.Share == 0 {
		s.prune(s.lowest.Limit())
	}
	slices.SortFunc(s.chosen, func(a, b chosen) int { return cmp.Compare(a.rank, b.rank) })
	for _, c := range s.chosen {
		if c.unread {
			return n, bad, true
		}
		n++
		if c.bad {
			bad++
		}
	}
	return n, bad, false
}

// sampleResult joins the samples of all accounts into what may be said of all
// their messages; nil where no account was sampled.
func sampleResult(all map[string]*sampling) *report.Sample {
	if len(all) == 0 {
		return nil
	}
	out := &report.Sample{Confidence: confidence}
	var strata []stratum
	var sizes []string
	unread := false
	shares := true
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s := all[name]
		n, bad, cut := s.count()
		out.Population += s.population
		out.Sampled += n
		out.Bad += bad
		strata = append(strata, stratum{all: s.population, sampled: n})
		unread = unread || s.unread
		shares = shares && s.Share > 0 && !cut
		if size := s.String(); !slices.Contains(sizes, size) {
			sizes = append(sizes, size)
		}
		if !slices.Contains(out.Seeds, s.Seed) {
			out.Seeds = append(out.Seeds, s.Seed)
		}
	}
	out.Size = sizes[0]
	if shares && len(sizes) == 1 {
		// One share for all: one urn, whatever account a message is of.
		strata = []stratum{{all: out.Population, sampled: out.Sampled}}
	}
	switch {
	case len(sizes) > 1:
		out.NoBound = "the accounts were sampled in different ways"
	case unread:
		out.NoBound = "the source was not read to its end"
	case out.Bad > 0:
		out.NoBound = "not all that was sampled is intact"
	case out.Sampled == 0:
		out.NoBound = "nothing was sampled"
	default:
		most := mostBad(strata, confidence)
		out.MostBad, out.Bound = &most, new(float64)
		if out.Population > 0 {
			*out.Bound = float64(most) / float64(out.Population)
		}
	}
	return out
}

// confidence is with which the bound of a sample holds.
const confidence = 0.95

// stratum is a population of which a random sample without replacement was
// taken.
type stratum struct{ all, sampled int64 }

// price is what the next bad message of the stratum takes from the probability
// that the sample has none: −log((N−D−n)/(N−D)). It rises with every one.
func (s stratum) price(bad int64) float64 {
	left := s.all - bad
	switch {
	case left <= 0, s.sampled > 0 && left <= s.sampled:
		return math.Inf(1)
	case s.sampled == 0:
		return 0
	}
	return -math.Log1p(-float64(s.sampled) / float64(left))
}

// upTo is the number of bad messages that cost at most a price each.
func (s stratum) upTo(price float64) int64 {
	if s.sampled == 0 {
		return s.all
	}
	d := s.all + 1 - int64(math.Ceil(float64(s.sampled)/-math.Expm1(-price)))
	return max(0, min(d, s.all-s.sampled))
}

// cost is −log of the probability that none of so many bad ones is sampled.
func (s stratum) cost(bad int64) float64 {
	if s.sampled == 0 || bad == 0 {
		return 0
	}
	lg := func(n int64) float64 { v, _ := math.Lgamma(float64(n + 1)); return v }
	return lg(s.all) - lg(s.all-bad) - lg(s.all-s.sampled) + lg(s.all-s.sampled-bad)
}

// mostBad is the bound of a sample in which nothing bad was found: the highest
// number of bad messages with which a sample without any still has a
// probability of at least 1 − confidence. It is exact, by the hypergeometric
// distribution: with D bad ones among N, the probability that none is among n
// is (N−n)(N−n−1)…(N−n−D+1) / N(N−1)…(N−D+1). Over several strata it is that of
// the worst distribution of the bad ones; as each further one of a stratum
// costs more than the one before, taking the cheapest each time finds it.
func mostBad(strata []stratum, confidence float64) (most int64) {
	budget := -math.Log(1 - confidence)
	budget *= 1 + 1e-6 // what rounding may have taken is given to the bad side
	total := func(price float64) (cost float64) {
		for _, s := range strata {
			cost += s.cost(s.upTo(price))
		}
		return cost
	}
	// All up to some price, found by halving; then the rest one by one.
	low, high := 1e-12, budget
	for range 60 {
		if mid := (low + high) / 2; total(mid) <= budget {
			low = mid
		} else {
			high = mid
		}
	}
	bad := make([]int64, len(strata))
	spent := total(low)
	for i, s := range strata {
		bad[i] = s.upTo(low)
		most += bad[i]
	}
	for {
		cheapest, at := math.Inf(1), -1
		for i, s := range strata {
			if p := s.price(bad[i]); p < cheapest {
				cheapest, at = p, i
			}
		}
		if at < 0 || spent+cheapest > budget {
			return most
		}
		spent += cheapest
		bad[at]++
		most++
	}
}
