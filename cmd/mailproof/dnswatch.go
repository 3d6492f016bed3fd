package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/dnsaudit"
)

// watchFlags are those of dns --watch.
type watchFlags struct {
	watch             bool
	interval, timeout time.Duration
}

func (f *watchFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.BoolVar(&f.watch, "watch", false, "audit again and again until every changed record is safe and no check of the confirmation fails")
	fs.DurationVar(&f.interval, "interval", time.Minute, "with --watch: `time` between two audits")
	fs.DurationVar(&f.timeout, "timeout", 0, "with --watch: give up after this `time` (default: never)")
}

// check refuses what does not go together.
func (f *watchFlags) check(cmd *cobra.Command, noRecord bool, phase mailproof.Phase) error {
	switch {
	case !f.watch && (cmd.Flags().Changed("interval") || cmd.Flags().Changed("timeout")):
		return hinted{errors.New("--interval and --timeout go with --watch"), "add --watch"}
	case f.watch && noRecord:
		return hinted{errors.New("--watch needs the ledger, and --no-record keeps none"), "leave one of them out"}
	case f.watch && cmd.Flags().Changed("phase") && phase != mailproof.Confirmation:
		return hinted{fmt.Errorf("--watch confirms a cut-over, --phase %s does not", phase), "leave --phase out"}
	case f.interval < time.Second || f.timeout < 0:
		return hinted{errors.New("--interval is at least 1s, and --timeout is not negative"), "write times as 30s, 5m or 24h"}
	}
	return nil
}

func (a *app) watchDNS(ctx context.Context, cfg *config.Config, o engagement.Options, f watchFlags, asJSON bool) error {
	return a.withEngagement(ctx, cfg, o, func(ctx context.Context, e *engagement.Engagement) error {
		began := time.Now()
		t := watchTeller{a: a, told: map[string]string{}}
		last, err := e.WatchDNS(ctx, engagement.WatchOptions{Interval: f.interval, Timeout: f.timeout, Round: t.tell})
		if err != nil {
			return err
		}
		return a.printWatch(last, time.Since(began), asJSON)
	})
}

// watchTeller tells on stderr how far a watch is: each record when it comes
// further, and every half minute what is waited for.
type watchTeller struct {
	a       *app
	told    map[string]string
	waiting string
	spoke   time.Time
}

// tellEvery is how often a watch speaks although nothing changes.
const tellEvery = 30 * time.Second

func (t *watchTeller) tell(r engagement.WatchRound) {
	switch t.a.mode {
	case terminal.ModeOff:
		return
	case terminal.ModeJSON:
		t.tellJSON(r)
		return
	}
	clock := r.At.Local().Format("15:04:05")
	for _, s := range r.States {
		key, text := s.Name+" "+s.Type, recordState(s)
		if t.told[key] != text {
			t.told[key] = text
			t.a.notef("%s  %s: %s", clock, key, text)
		}
	}
	waiting := strings.Join(r.Waiting, "; ")
	if r.Next.IsZero() || waiting == t.waiting && time.Since(t.spoke) < tellEvery {
		return
	}
	t.waiting, t.spoke = waiting, time.Now()
	t.a.notef("%s  waiting for: %s; next look at %s", clock, waiting, r.Next.Local().Format("15:04:05"))
}

func (t *watchTeller) tellJSON(r engagement.WatchRound) {
	line, err := json.Marshal(struct {
		Time    time.Time              `json:"time"`
		Round   int                    `json:"round"`
		Records []dnsaudit.RecordState `json:"records"`
		Waiting []string               `json:"waiting"`
		Next    time.Time              `json:"next,omitzero"`
	}{r.At.UTC(), r.Number, r.States, orEmpty(r.Waiting), r.Next.UTC()})
	if err != nil {
		return // progress that cannot be told takes nothing from the watch
	}
	t.a.notef("%s", line)
}

// recordState says how far one record is, and on which servers.
func recordState(s dnsaudit.RecordState) string {
	var lowered, changed int
	var behind []string
	for _, v := range s.Servers {
		if v.Lowered {
			lowered++
		}
		switch {
		case v.Error != "":
			behind = append(behind, fmt.Sprintf("%s: %s", v.Server, v.Error))
		case v.Changed:
			changed++
		default:
			content := strings.ReplaceAll(v.Content, "\n", ", ")
			if content == "" {
				content = "no record"
			}
			behind = append(behind, fmt.Sprintf("%s shows %s, TTL %d s", v.Server, content, v.TTL))
		}
	}
	all := len(s.Servers)
	text := fmt.Sprintf("TTL lowered on %d, new content on %d of %s", lowered, changed, countOf(int64(all), "server"))
	switch s.Stage {
	case dnsaudit.StageSafe:
		return text + ": safe since " + s.At.UTC().Format(time.RFC3339)
	case dnsaudit.StageWaiting:
		return text + ": safe at " + s.At.UTC().Format(time.RFC3339)
	case dnsaudit.StageUnchanged:
		text = fmt.Sprintf("no change seen yet on %s", countOf(int64(all), "server"))
		if lowered > 0 {
			text += fmt.Sprintf(", TTL lowered on %d", lowered)
		}
	}
	if s.Stage == dnsaudit.StageChanging && len(behind) > 0 {
		text += "; " + strings.Join(behind, "; ")
	}
	return text
}

func (a *app) printWatch(r engagement.WatchRound, took time.Duration, asJSON bool) error {
	var result error
	switch r.Outcome {
	case mailproof.OutcomePass:
	case mailproof.OutcomeFail:
		result = exit{mailproof.Incomplete.ExitCode()}
	default:
		result = exit{mailproof.Inconclusive.ExitCode()}
	}
	if asJSON {
		return errors.Join(writeJSON(a.out, struct {
			Schema       string                  `json:"schema"`
			ExitCode     int                     `json:"exit_code"`
			Safe         bool                    `json:"safe"`
			Rounds       int                     `json:"rounds"`
			Profile      string                  `json:"profile"`
			Waiting      []string                `json:"waiting"`
			Records      []dnsaudit.RecordState  `json:"records"`
			DNS          []mailproof.Finding     `json:"dns"`
			Observations []mailproof.Observation `json:"observations"`
		}{"mailproof/dns-watch/1", exitOf(result), r.Outcome == mailproof.OutcomePass, r.Number, r.Profile, orEmpty(r.Waiting), r.States, r.Findings, r.Observations}), result)
	}
	for _, s := range r.States {
		a.say(fmt.Sprintf("  %-9s %s %s: %s", s.Stage, s.Name, s.Type, recordState(s)))
	}
	for _, f := range r.Findings {
		if f.Outcome == mailproof.OutcomeFail || f.Outcome == mailproof.OutcomeUnknown {
			a.printFinding(f)
		}
	}
	if result != nil {
		a.stage("dns", "", "not safe: "+strings.Join(r.Waiting, "; "), 0)
		return result
	}
	a.stage("dns", "", "safe: no cache holds old records, no check fails", took)
	return nil
}

// printLines prints text of several lines, a line at a time.
func (a *app) printLines(text string) {
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		a.say(line)
	}
}
