package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// row is a line of the table: one tool on all the corpora.
type row struct {
	name        string
	a, b, again time.Duration
	far         time.Duration // 1,000 messages with a round trip of 40 ms
	rss         int64
	notes       []string
}

// copies measures the limit, mailproof and its peers on the same work. It
// leaves the corpora where they are, for what is measured next.
func (b *bench) copies(ctx context.Context) (limitA time.Duration, err error) {
	a, large, small := corpusA(b.scale), corpusB(b.scale), corpusC(scaled(1000, b.scale))
	for _, c := range []corpus{a, large, small} {
		if err := b.fill(ctx, c); err != nil {
			return 0, err
		}
	}
	limit, err := b.limitRow(ctx, a, large, small)
	if err != nil {
		return 0, fmt.Errorf("limit: %w", err)
	}
	rows := []row{limit}
	tools := []tool{mailproofTool(b.program)}
	if b.peers {
		installed, absent := peers()
		tools = append(tools, installed...)
		if len(absent) > 0 {
			b.printf("not installed: %v\n", absent)
		}
	}
	for _, t := range tools {
		rows = append(rows, b.toolRow(ctx, t, a, large, small))
	}
	b.print(rows)
	return limit.a, ctx.Err()
}

func (b *bench) limitRow(ctx context.Context, a, large, small corpus) (r row, err error) {
	r.name = "limit, raw MULTIAPPEND"
	once := func(c corpus, from side) (usage, error) {
		to := b.fresh()
		u, err := b.limit(ctx, from, to)
		return u, errors.Join(err, b.wipe(ctx, to))
	}
	u, err := b.fastest(func() (usage, error) { return once(a, b.sourceOf(a)) })
	if err != nil {
		return r, err
	}
	r.a, r.rss = u.elapsed, u.rss
	if u, err = b.fastest(func() (usage, error) { return once(large, b.sourceOf(large)) }); err != nil {
		return r, err
	}
	r.b, r.rss = u.elapsed, max(r.rss, u.rss)
	u, err = b.far(ctx, func(from, to side) (usage, error) { return b.limit(ctx, from, to) }, small)
	r.far = u.elapsed
	return r, err
}

// far measures a copy through relays with a round trip of 40 ms on both sides.
func (b *bench) far(ctx context.Context, copies func(from, to side) (usage, error), c corpus) (u usage, err error) {
	const roundTrip = 40 * time.Millisecond
	src, err := newRelay(b.source, roundTrip)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	dst, err := newRelay(b.destination, roundTrip)
	if err != nil {
		return u, err
	}
	defer func() { err = errors.Join(err, dst.close()) }()
	return b.fastest(func() (usage, error) {
		from, to := b.sourceOf(c), b.fresh()
		near := to
		from.addr, to.addr = src.addr(), dst.addr()
		u, err := copies(from, to)
		return u, errors.Join(err, b.wipe(context.WithoutCancel(ctx), near))
	})
}

// toolRow measures one tool. What it cannot do is a note, not the end.
func (b *bench) toolRow(ctx context.Context, t tool, a, large, small corpus) row {
	r := row{name: t.name}
	if t.note != "" {
		r.notes = append(r.notes, t.note)
	}
	failed := func(what string, err error) {
		if err != nil {
			r.notes = append(r.notes, fmt.Sprintf("%s: %v", what, err))
		}
	}
	again := usage{}
	once := func(from, to side, twice bool) (u usage, err error) {
		dir, err := b.work()
		if err != nil {
			return u, err
		}
		argv, err := t.copies(dir, from, to)
		if err != nil {
			return u, err
		}
		if u, err = run(ctx, dir, argv, t.ok...); err != nil || !twice {
			return u, err
		}
		second, err := run(ctx, dir, argv, t.ok...)
		if again.elapsed == 0 || second.elapsed < again.elapsed {
			again = second
		}
		return u, err
	}
	near := func(c corpus, twice bool) (usage, error) {
		return b.fastest(func() (u usage, err error) {
			to := b.fresh()
			defer func() { err = errors.Join(err, b.wipe(context.WithoutCancel(ctx), to)) }()
			if u, err = once(b.sourceOf(c), to, twice); err != nil {
				return u, err
			}
			note, err := held(ctx, to, c.messages)
			if note != "" {
				r.notes = append(r.notes, c.name+" "+note)
			}
			return u, err
		})
	}
	u, err := near(a, true)
	failed("corpus a", err)
	r.a, r.again, r.rss = u.elapsed, again.elapsed, max(u.rss, again.rss)
	u, err = near(large, false)
	failed("corpus b", err)
	r.b, r.rss = u.elapsed, max(r.rss, u.rss)
	u, err = b.far(ctx, func(from, to side) (usage, error) { return once(from, to, false) }, small)
	failed("40 ms", err)
	r.far, r.rss = u.elapsed, max(r.rss, u.rss)
	return r
}

func (b *bench) print(rows []row) {
	limit := rows[0]
	b.printf("\n%-24s %8s %8s %8s %8s %10s %12s %10s %8s\n", "", "A", "of limit", "÷ limit", "B", "of limit", "A again", "peak RSS", "40 ms")
	for _, r := range rows {
		b.printf("%-24s %8s %8s %8s %8s %10s %12s %10s %8s\n", r.name, took(r.a), percent(limit.a, r.a), times(r.a, limit.a),
			took(r.b), percent(limit.b, r.b), took(r.again), megabytes(r.rss), took(r.far))
	}
	for _, r := range rows {
		for _, note := range r.notes {
			b.printf("%s: %s\n", r.name, note)
		}
	}
}

func took(d time.Duration) string {
	if d <= 0 {
		return "–"
	}
	return seconds(d)
}

func percent(part, whole time.Duration) string {
	if part <= 0 || whole <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f %%", 100*float64(part)/float64(whole))
}

func times(d, limit time.Duration) string {
	if d <= 0 || limit <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", float64(d)/float64(limit))
}

func megabytes(octets int64) string {
	if octets <= 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f MB", float64(octets)/1e6)
}

// target prints a measured figure beside what it is held against.
func (b *bench) target(what, measured, want string, met bool) {
	word := "met"
	if !met {
		word = "not met"
	}
	b.printf("%-72s %10s   %-12s %s\n", what, measured, want, word)
}

// reading measures a source inventory with every tier beside a bare drain with
// SHA-256 of the same account.
func (b *bench) reading(ctx context.Context) error {
	b.printf("\n%-72s %10s   %-12s\n", "reading", "measured", "target")
	for _, m := range []struct {
		c    corpus
		want float64
	}{{corpusA(b.scale), 0.50}, {corpusB(b.scale), 0.60}} {
		from := b.sourceOf(m.c)
		limit, err := b.fastest(func() (usage, error) {
			u, _, err := b.drain(ctx, from)
			return u, err
		})
		if err != nil {
			return fmt.Errorf("drain of corpus %s: %w", m.c.name, err)
		}
		u, err := b.fastest(func() (u usage, err error) {
			dir, err := b.work()
			if err != nil {
				return u, err
			}
			return run(ctx, dir, append([]string{b.program, "inventory", "--side", "source"}, flags(dir, from, b.fresh())...))
		})
		if err != nil {
			return err
		}
		share := float64(limit.elapsed) / float64(u.elapsed)
		b.target(fmt.Sprintf("inventory of %s, all tiers, of the drain (%s, %s)", m.c.name, seconds(u.elapsed), seconds(limit.elapsed)),
			fmt.Sprintf("%.0f %%", 100*share), fmt.Sprintf("≥ %.0f %%", 100*m.want), share >= m.want)
	}
	return nil
}

// job is the whole job on one account: what each of its commands took.
type job struct{ run, seal, again usage }

func (j job) elapsed() time.Duration { return j.run.elapsed + j.seal.elapsed }

// whole does the whole job, and the copy once more when there is nothing new.
func (b *bench) whole(ctx context.Context, from side) (j job, err error) {
	to := b.fresh()
	defer func() { err = errors.Join(err, b.wipe(context.WithoutCancel(ctx), to)) }()
	dir, err := b.work()
	if err != nil {
		return j, err
	}
	if j.run, err = run(ctx, dir, append([]string{b.program, "run"}, flags(dir, from, to)...)); err != nil {
		return j, err
	}
	if j.seal, err = run(ctx, dir, []string{b.program, "seal", "--dir", dir}); err != nil {
		return j, err
	}
	j.again, err = run(ctx, dir, append([]string{b.program, "copy"}, flags(dir, from, to)...))
	return j, err
}

// proof measures the whole job on A, what it downloads, and a pass that finds
// nothing new.
func (b *bench) proof(ctx context.Context, limit time.Duration) (err error) {
	c := corpusA(b.scale)
	from := b.sourceOf(c)
	var best, peak job
	for range b.rounds {
		j, err := b.whole(ctx, from)
		if err != nil {
			return err
		}
		again := j.again.elapsed
		if best.again.elapsed != 0 {
			again = min(again, best.again.elapsed)
		}
		if best.elapsed() == 0 || j.elapsed() < best.elapsed() {
			best = j
		}
		best.again.elapsed = again
		peak.run.rss = max(peak.run.rss, j.run.rss, j.seal.rss)
	}
	ratio := float64(best.elapsed()) / float64(limit)
	b.target(fmt.Sprintf("whole proof of a (run %s, seal %s) ÷ limit of the copy (%s)", seconds(best.run.elapsed), seconds(best.seal.elapsed), seconds(limit)),
		fmt.Sprintf("%.1f", ratio), "≤ 4", ratio <= 4)
	download, err := b.downloaded(ctx, from)
	if err != nil {
		return err
	}
	b.target("octets downloaded from the source ÷ octets stored there", fmt.Sprintf("%.4f", download), "≤ 1.02", download <= 1.02)
	per := best.again.elapsed.Seconds() * 10_000 / float64(c.messages)
	b.target("a pass with nothing new, both sides, per 10,000 messages", fmt.Sprintf("%.2f s", per), "≤ 0.1 s", per <= 0.1)
	b.target("peak RSS of run and seal", megabytes(peak.run.rss), "≤ 67 MB", peak.run.rss <= 64<<20)
	return nil
}

// downloaded is what the whole job receives from the source, as a share of what
// is stored there. A relay counts, in a run that is not timed.
func (b *bench) downloaded(ctx context.Context, from side) (share float64, err error) {
	_, stored, err := b.drain(ctx, from)
	if err != nil {
		return 0, err
	}
	count, err := newRelay(b.source, 0)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, count.close()) }()
	to := b.fresh()
	defer func() { err = errors.Join(err, b.wipe(context.WithoutCancel(ctx), to)) }()
	dir, err := b.work()
	if err != nil {
		return 0, err
	}
	from.addr = count.addr()
	if _, err := run(ctx, dir, append([]string{b.program, "run"}, flags(dir, from, to)...)); err != nil {
		return 0, err
	}
	return float64(count.down.Load()) / float64(stored), nil
}

// growth copies one folder of ever more messages: the cost of a message must
// not grow.
func (b *bench) growth(ctx context.Context) (err error) {
	b.printf("\n%-72s %10s   %-12s\n", "growth of one folder", "µs/message", "÷ the first")
	first := 0.0
	for _, n := range []int{scaled(1_000, b.scale), scaled(10_000, b.scale), scaled(100_000, b.scale)} {
		c := corpusC(n)
		c.name = fmt.Sprintf("grow%d", n)
		if err := b.fill(ctx, c); err != nil {
			return err
		}
		from, to := b.sourceOf(c), b.fresh()
		dir, err := b.work()
		if err != nil {
			return err
		}
		u, err := run(ctx, dir, append([]string{b.program, "copy"}, flags(dir, from, to)...))
		if err = errors.Join(err, b.wipe(ctx, to), b.wipe(ctx, from)); err != nil {
			return err
		}
		each := float64(u.elapsed.Microseconds()) / float64(n)
		if first == 0 {
			first = each
		}
		b.printf("%-72s %10.0f   %.2f   peak RSS %s\n", fmt.Sprintf("%d messages in %s", n, seconds(u.elapsed)), each, each/first, megabytes(u.rss))
	}
	for _, c := range []corpus{corpusA(b.scale), corpusB(b.scale), corpusC(scaled(1000, b.scale))} {
		err = errors.Join(err, b.wipe(ctx, b.sourceOf(c)))
	}
	return err
}
