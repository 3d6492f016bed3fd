package report

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestSampleSentence(t *testing.T) {
	bound := func(most int64, share float64) *Sample {
		return &Sample{Size: "300", Seeds: []string{"s"}, Population: 10_000, Sampled: 300, Confidence: 0.95, MostBad: &most, Bound: &share}
	}
	for _, tt := range []struct {
		sample *Sample
		want   string
	}{
		{bound(98, 0.0098), "300 of 10,000 messages on the source sampled (seed s), all found intact: with 95 % confidence at most 1 % of all (98) are not"},
		{bound(0, 0), "that is every one of them"},
		{bound(1, 0.00001), "at most 0.001 % of all (1)"},
		{bound(1234, 0.12340001), "at most 12.4 % of all (1,234)"},
		{&Sample{Population: 9, Sampled: 3, Bad: 2}, "2 of them not found intact; no bound is stated"},
		{&Sample{Population: 9, Sampled: 3, NoBound: "the source was not read to its end"}, "no bound is stated: the source was not read to its end"},
	} {
		if got := tt.sample.Sentence(); !strings.Contains(got, tt.want) {
			t.Errorf("%s\nlacks %s", got, tt.want)
		}
	}
}

// Where there was no sample the report does not speak of one; where there was,
// JSON and the limitations do.
func TestSampleInReport(t *testing.T) {
	d := &Document{}
	data, err := json.Marshal(d.JSON())
	if err != nil || !strings.Contains(string(data), `"sample":null`) {
		t.Errorf("%v: %s", err, data)
	}
	most, share := int64(98), 0.0098
	d.Sample = &Sample{Size: "300", Seeds: []string{"s"}, Population: 10_000, Sampled: 300, Confidence: 0.95, MostBad: &most, Bound: &share}
	if data, err = json.Marshal(d.JSON()); err != nil || !strings.Contains(string(data), `"most_bad":98,"bound":0.0098`) {
		t.Errorf("%v: %s", err, data)
	}
	found := false
	for _, b := range d.limitations().Blocks {
		for _, item := range b.Procedure {
			for _, s := range item {
				found = found || strings.Contains(s.Text, "95 % confidence")
			}
		}
	}
	if !found {
		t.Error("the limitations do not state the bound")
	}
}
