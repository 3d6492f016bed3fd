package main

import (
	"context"
	"errors"
	"fmt"
	"math"
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
		if _, err := b.fill(ctx, c); err != nil {
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

// limitRow is the best of three runs for A, whose time is short, and one run of
// the others.
func (b *bench) limitRow(ctx context.Context, a, large, small corpus) (r row, err error) {
	r = row{name: "limit, raw MULTIAPPEND", a: math.MaxInt64}
	once := func(c corpus, from side) (time.Duration, error) {
		to := b.fresh()
		elapsed, err := limitCopy(ctx, from, to)
		return elapsed, errors.Join(err, b.wipe(ctx, to))
	}
	for range 3 {
		elapsed, err := once(a, b.sourceOf(a))
		if err != nil {
			return r, err
		}
		r.a = min(r.a, elapsed)
	}
	if r.b, err = once(large, b.sourceOf(large)); err != nil {
		return r, err
	}
	r.far, err = b.far(func(from, to side) error {
		_, err := limitCopy(ctx, from, to)
		return err
	}, small)
	return r, err
}

// far times a copy through relays with a round trip of 40 ms on both sides.
func (b *bench) far(work func(from, to side) error, c corpus) (elapsed time.Duration, err error) {
	const roundTrip = 40 * time.Millisecond
	src, err := newRelay(b.source, roundTrip)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, src.close()) }()
	dst, err := newRelay(b.destination, roundTrip)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, dst.close()) }()
	from, to := b.sourceOf(c), b.fresh()
	near := to
	from.addr, to.addr = src.addr(), dst.addr()
	start := time.Now()
	err = work(from, to)
	elapsed = time.Since(start)
	return elapsed, errors.Join(err, b.wipe(context.Background(), near))
}

// toolRow measures one tool. What it cannot do is a note, not the end.
func (b *bench) toolRow(ctx context.Context, t tool, a, large, small corpus) row {
	r := row{name: t.name}
	failed := func(what string, err error) {
		if err != nil {
			r.notes = append(r.notes, fmt.Sprintf("%s: %v", what, err))
		}
	}
	one := func(c corpus, from, to side, again *time.Duration) (elapsed time.Duration, err error) {
		dir, err := b.work()
		if err != nil {
			return 0, err
		}
		argv, err := t.copies(dir, from, to)
		if err != nil {
			return 0, err
		}
		u, err := run(ctx, dir, argv, t.ok...)
		if err != nil {
			return 0, err
		}
		r.rss = max(r.rss, u.rss)
		if again != nil {
			second, err := run(ctx, dir, argv, t.ok...)
			if err != nil {
				return 0, err
			}
			*again = second.elapsed
		}
		return u.elapsed, nil
	}
	near := func(c corpus, again *time.Duration) (time.Duration, error) {
		to := b.fresh()
		elapsed, err := one(c, b.sourceOf(c), to, again)
		if err == nil {
			note, herr := held(ctx, to, c.messages)
			if note != "" {
				r.notes = append(r.notes, c.name+" "+note)
			}
			err = herr
		}
		return elapsed, errors.Join(err, b.wipe(ctx, to))
	}
	var err error
	r.a, err = near(a, &r.again)
	failed("corpus a", err)
	r.b, err = near(large, nil)
	failed("corpus b", err)
	r.far, err = b.far(func(from, to side) error {
		_, err := one(small, from, to, nil)
		return err
	}, small)
	if err != nil {
		r.far = 0
	}
	failed("40 ms", err)
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
	b.printf("%-62s %10s   %-12s %s\n", what, measured, want, word)
}

// reading measures a source inventory with every tier beside a bare drain with
// SHA-256 of the same account.
func (b *bench) reading(ctx context.Context) error {
	b.printf("\n%-62s %10s   %-12s\n", "reading", "measured", "target")
	for _, m := range []struct {
		c    corpus
		want float64
	}{{corpusA(b.scale), 0.50}, {corpusB(b.scale), 0.60}} {
		from := b.sourceOf(m.c)
		limit := time.Duration(math.MaxInt64)
		for range 3 {
			start := time.Now()
			if _, _, err := drain(ctx, from, nil); err != nil {
				return fmt.Errorf("drain of corpus %s: %w", m.c.name, err)
			}
			limit = min(limit, time.Since(start))
		}
		dir, err := b.work()
		if err != nil {
			return err
		}
		u, err := run(ctx, dir, append([]string{b.program, "inventory", "--side", "source"}, flags(dir, from, b.fresh())...))
		if err != nil {
			return err
		}
		share := float64(limit) / float64(u.elapsed)
		b.target(fmt.Sprintf("inventory of %s, all tiers, of the drain (%s, %s)", m.c.name, seconds(u.elapsed), seconds(limit)),
			fmt.Sprintf("%.0f %%", 100*share), fmt.Sprintf("≥ %.0f %%", 100*m.want), share >= m.want)
	}
	return nil
}

// proof measures the whole job on A, what it downloads, and a pass that finds
// nothing new.
func (b *bench) proof(ctx context.Context, limit time.Duration) (err error) {
	c := corpusA(b.scale)
	count, err := newRelay(b.source, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, count.close()) }()
	from, to := b.sourceOf(c), b.fresh()
	stored, _, err := b.stored(ctx, from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.wipe(ctx, to)) }()
	dir, err := b.work()
	if err != nil {
		return err
	}
	relayed := from
	relayed.addr = count.addr()
	whole, err := run(ctx, dir, append([]string{b.program, "run"}, flags(dir, relayed, to)...))
	if err != nil {
		return err
	}
	down := count.down.Load()
	sealed, err := run(ctx, dir, []string{b.program, "seal", "--dir", dir})
	if err != nil {
		return err
	}
	again, err := run(ctx, dir, append([]string{b.program, "copy"}, flags(dir, relayed, to)...))
	if err != nil {
		return err
	}
	ratio := float64(whole.elapsed+sealed.elapsed) / float64(limit)
	b.target(fmt.Sprintf("whole proof of a (run %s, seal %s) ÷ limit of the copy", seconds(whole.elapsed), seconds(sealed.elapsed)), fmt.Sprintf("%.1f", ratio), "≤ 4", ratio <= 4)
	download := float64(down) / float64(stored)
	b.target("octets downloaded from the source ÷ octets stored there", fmt.Sprintf("%.3f", download), "≤ 1.02", download <= 1.02)
	per := again.elapsed.Seconds() * 10_000 / float64(c.messages)
	b.target("a pass with nothing new, both sides, per 10,000 messages", fmt.Sprintf("%.2f s", per), "≤ 0.1 s", per <= 0.1)
	rss := max(whole.rss, sealed.rss)
	b.target("peak RSS of run and seal", megabytes(rss), "≤ 64 MB", rss <= 64<<20)
	return nil
}

func (b *bench) stored(ctx context.Context, s side) (octets, messages int64, err error) {
	messages, octets, err = drain(ctx, s, nil)
	return octets, messages, err
}

// growth copies one folder of ever more messages: the cost of a message must
// not grow.
func (b *bench) growth(ctx context.Context) (err error) {
	b.printf("\n%-62s %10s   %-12s\n", "growth of one folder", "µs/message", "÷ the first")
	first := 0.0
	for _, n := range []int{scaled(1_000, b.scale), scaled(10_000, b.scale), scaled(100_000, b.scale)} {
		c := corpusC(n)
		c.name = fmt.Sprintf("grow%d", n)
		if _, err := b.fill(ctx, c); err != nil {
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
		b.printf("%-62s %10.0f   %.2f   peak RSS %s\n", fmt.Sprintf("%d messages in %s", n, seconds(u.elapsed)), each, each/first, megabytes(u.rss))
	}
	for _, c := range []corpus{corpusA(b.scale), corpusB(b.scale), corpusC(scaled(1000, b.scale))} {
		err = errors.Join(err, b.wipe(ctx, b.sourceOf(c)))
	}
	return err
}
