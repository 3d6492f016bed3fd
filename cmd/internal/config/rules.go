package config

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/mailproof/mailproof/collect/pace"
	"github.com/mailproof/mailproof/diff"
)

// Rules leave out messages and folders of the source; the report names each
// rule and counts what it left out.
type Rules struct {
	Since   string   `toml:"since"`    // INTERNALDATE, as of [ParseDate]
	Before  string   `toml:"before"`   // the same
	Folders []string `toml:"folders"`  // patterns: only these
	MaxSize string   `toml:"max_size"` // as of [pace.ParseSize]
}

func (r Rules) validate(bad func(key, reason string, hints ...string)) {
	dates := map[string]time.Time{}
	for _, d := range []struct{ key, text string }{{"since", r.Since}, {"before", r.Before}} {
		if d.text == "" {
			continue
		}
		t, err := ParseDate(d.text)
		if err != nil {
			bad("rules."+d.key, "is no date", `write "2020-01-31" or "2020-01-31T18:00:00Z"`)
			continue
		}
		dates[d.key] = t
	}
	if len(dates) == 2 && !dates["since"].Before(dates["before"]) {
		bad("rules.before", "is not later than since: nothing is left")
	}
	if r.MaxSize != "" {
		if n, err := pace.ParseSize(r.MaxSize); err != nil || n == 0 {
			bad("rules.max_size", "is no size of a message", `write "35MB"`)
		}
	}
	if _, err := (diff.Rules{}).Only(r.Folders); err != nil {
		bad("rules.folders", ruleReason(err))
	}
}

// validatePace checks the limits that are written as text.
func (l Limits) validatePace(bad func(key, reason string, hints ...string)) {
	if _, err := ParseDaily(l.MaxBytesPerDay); err != nil {
		bad("limits.max_bytes_per_day", "is no size", `write "2.5GB", or "none"`)
	}
	for _, r := range []struct {
		key, text, example string
		messages           bool
	}{{"rate", l.Rate, "5MB/s", false}, {"rate_messages", l.RateMessages, "50/s", true}} {
		if r.text == "" {
			continue
		}
		if _, err := pace.ParseRate(r.text, r.messages); err != nil {
			bad("limits."+r.key, "is no rate", fmt.Sprintf("write %q", r.example))
		}
	}
}

// ParseDaily reads octets a day: 0 where nothing is said, -1 for none.
func ParseDaily(text string) (int64, error) {
	switch strings.ToLower(strings.TrimSpace(text)) {
	case "":
		return 0, nil
	case "none", "off":
		return -1, nil
	}
	n, err := pace.ParseSize(text)
	if err == nil && n == 0 {
		return 0, errors.New(`0 octets a day: nothing could be done; write "none" for no limit`)
	}
	return n, err
}

// ParseDate reads a day, which begins at midnight of UTC, or a moment with its
// zone.
func ParseDate(text string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339} {
		if t, err := time.Parse(layout, strings.TrimSpace(text)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no date", text)
}
