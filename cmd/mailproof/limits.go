package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/cmd/internal/engagement"
	"github.com/mailproof/mailproof/collect/pace"
)

// paceFlags bound what is read and sent.
type paceFlags struct{ day, rate, messages string }

func (f *paceFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.day, "max-bytes-per-day", "", "read at most `SIZE` from, and send at most SIZE to, each account on each side in a day of UTC, over all runs,\nthen stop at a message boundary and say when to go on: 2.5GB, or none; without it the provider's limits\nwhere they are known (Gmail: 2.5 GB down, 500 MB up)")
	fs.StringVar(&f.rate, "rate", "", "no more octets a second on each side than `RATE`: 5MB/s")
	fs.StringVar(&f.messages, "rate-messages", "", "no more messages a second on each side than `RATE`: 50/s")
}

// options reads flags, and the configuration where a flag was not given.
func (f *paceFlags) options(cfg *config.Config) (p engagement.Pace, err error) {
	day, rate, messages := cmp.Or(f.day, cfg.Limits.MaxBytesPerDay), cmp.Or(f.rate, cfg.Limits.Rate), cmp.Or(f.messages, cfg.Limits.RateMessages)
	if p.BytesPerDay, err = config.ParseDaily(day); err != nil {
		return p, hinted{fmt.Errorf("--max-bytes-per-day: %w", err), "write --max-bytes-per-day 2.5GB or --max-bytes-per-day none"}
	}
	if rate != "" {
		if p.Octets, err = pace.ParseRate(rate, false); err != nil {
			return p, hinted{fmt.Errorf("--rate: %w", err), "write --rate 5MB/s"}
		}
	}
	if messages != "" {
		if p.Messages, err = pace.ParseRate(messages, true); err != nil {
			return p, hinted{fmt.Errorf("--rate-messages: %w", err), "write --rate-messages 50/s"}
		}
	}
	return p, nil
}

// scopeFlags leave out messages and folders by rule.
type scopeFlags struct {
	since, before, maxSize string
	folders                []string
}

func (f *scopeFlags) add(cmd *cobra.Command) {
	fs := cmd.Flags()
	fs.StringVar(&f.since, "since", "", "leave out messages that arrived before `DATE`, by their INTERNALDATE: 2020-01-31 is midnight of UTC, or\n2020-01-31T18:00:00+01:00; what a rule leaves out is counted, named in the report and part of no verdict")
	fs.StringVar(&f.before, "before", "", "leave out messages that arrived on `DATE` or later, as --since")
	fs.StringArrayVar(&f.folders, "folder", nil, "work on source folders that match this `pattern` only, such as INBOX, \"Archive/*\" or '\\Sent' (may be repeated)")
	fs.StringVar(&f.maxSize, "max-size", "", "leave out messages larger than `SIZE` by what the server says of them (RFC822.SIZE): 35MB")
}

// apply adds what the flags say to rules, and what the configuration says where
// they say nothing.
func (f *scopeFlags) apply(cfg *config.Config, r *engagement.Rules) (err error) {
	since, before, size := cmp.Or(f.since, cfg.Rules.Since), cmp.Or(f.before, cfg.Rules.Before), cmp.Or(f.maxSize, cfg.Rules.MaxSize)
	if r.Folders = f.folders; len(r.Folders) == 0 {
		r.Folders = slices.Clone(cfg.Rules.Folders)
	}
	for _, d := range []struct {
		name, text string
		into       *time.Time
	}{{"since", since, &r.Since}, {"before", before, &r.Before}} {
		if d.text == "" {
			continue
		}
		if *d.into, err = config.ParseDate(d.text); err != nil {
			return hinted{fmt.Errorf("--%s: %w", d.name, err), fmt.Sprintf("write --%s 2020-01-31 or --%s 2020-01-31T18:00:00Z", d.name, d.name)}
		}
	}
	if !r.Since.IsZero() && !r.Before.IsZero() && !r.Since.Before(r.Before) {
		return hinted{fmt.Errorf("--since %s and --before %s leave nothing", since, before), "--since is the earlier one: messages from it on, up to --before, are in scope"}
	}
	if size != "" {
		if r.MaxSize, err = pace.ParseSize(size); err != nil || r.MaxSize == 0 {
			return hinted{fmt.Errorf("--max-size: %w", cmp.Or(err, fmt.Errorf("%q is no size of a message", size))), "write --max-size 35MB"}
		}
	}
	return nil
}

// none reports whether no flag was given.
func (f *scopeFlags) none() bool {
	return f.since == "" && f.before == "" && f.maxSize == "" && len(f.folders) == 0
}

// resumeHint says when a limit of the day lets work go on.
func (a *app) resumeHint(failures []engagement.Failure) {
	at := engagement.ResumeAt(failures)
	if at.IsZero() {
		return
	}
	a.hintf("the limit of the day is used up: run the same command again from %s on, it goes on where it was", strings.TrimSpace(at.UTC().Format("2006-01-02 15:04 MST")))
}
