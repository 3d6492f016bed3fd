package report

import (
	"fmt"
	"math"
	"strings"
)

// Sample is what may be said of all messages by a sample of them. It is
// additional to the counts and never part of the verdict: what was not read is
// not checked, and the verdict is at best INCONCLUSIVE.
type Sample struct {
	Size       string   `json:"size"`       // as asked for: "300" messages of each account, or "2.5%" of all
	Seeds      []string `json:"seeds"`      // that the messages were chosen with
	Population int64    `json:"population"` // source messages in scope
	Sampled    int64    `json:"sampled"`    // of them, read by the sample
	Bad        int64    `json:"bad"`        // of the sampled, not found intact on the destination
	Confidence float64  `json:"confidence"` // 0.95
	// MostBad and Bound are the highest number of source messages that may not
	// be intact, and its share of the population, with Confidence; by the exact
	// hypergeometric distribution. They are nil where something sampled is not
	// intact, and where NoBound says why else there is none.
	MostBad *int64   `json:"most_bad"`
	Bound   *float64 `json:"bound"`
	NoBound string   `json:"no_bound,omitempty"`
}

// Sentence says it in words.
func (s *Sample) Sentence() string { return (&Document{}).sampleSentence(s) }

func (d *Document) sampleSentence(s *Sample) string {
	text := d.t("%s of %s on the source sampled (seed %s), ", comma(s.Sampled), d.count(s.Population, "message"), strings.Join(s.Seeds, ", "))
	switch {
	case s.Bound != nil && *s.MostBad == 0:
		return text + d.t("all found intact: that is every one of them")
	case s.Bound != nil:
		return text + d.t("all found intact: with %g %% confidence at most %s of all (%s) are not (exact hypergeometric bound); whether there are as many copies as before is not covered",
			s.Confidence*100, shareUp(*s.Bound), comma(*s.MostBad))
	case s.Bad > 0:
		return text + d.form(s.Bad, "%s of them not found intact; no bound is stated|%s of them not found intact; no bound is stated")
	}
	return text + d.t("and no bound is stated: ") + s.NoBound
}

// shareUp writes a share as a percentage and rounds it up: a bound must not be
// stated better than it is.
func shareUp(share float64) string {
	for digits, scale := 1, 1000.0; ; digits, scale = digits+1, scale*10 {
		if up := math.Ceil(share*scale - 1e-9); up >= 10 || digits == 4 {
			return strings.TrimRight(strings.TrimRight(fmt.Sprintf("%.*f", digits, up/scale*100), "0"), ".") + " %"
		}
	}
}
