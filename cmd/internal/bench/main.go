// Bench measures mailproof on real Dovecot servers beside the limit that raw
// sockets set and beside the tools of others that are installed, all in one
// run on one machine, and prints ratios: times of one machine say little about
// another. `make bench` starts the servers and calls it.
//
// The limit is a program of its own in this room (imap.go, limit.go): one
// connection reads every body, one writes it with MULTIAPPEND, SHA-256 on the
// way, nothing is verified. It shares no code with the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"time"
)

func main() {
	var o options
	flag.StringVar(&o.source, "source", os.Getenv("MAILPROOF_DOVECOT"), "HOST:PORT of the source server, without TLS")
	flag.StringVar(&o.destination, "destination", os.Getenv("MAILPROOF_DOVECOT2"), "HOST:PORT of the destination server, without TLS")
	flag.Float64Var(&o.scale, "scale", 1, "size of the corpora, 1 for those of the table")
	flag.IntVar(&o.rounds, "rounds", 3, "how often each thing is measured, of which the best counts")
	flag.BoolVar(&o.peers, "peers", true, "measure other tools too, where they are installed")
	flag.StringVar(&o.program, "mailproof", "", "the program to measure; built from this tree where it is not given")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	known, err := runTask(ctx, flag.Args(), os.Stdout)
	switch {
	case known:
	case flag.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flag.Arg(0))
	default:
		err = measure(ctx, o, os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(2)
	}
}

type options struct {
	source, destination string
	scale               float64
	rounds              int // of each measurement, of which the best counts
	peers               bool
	program             string
}

// bench is one run of all measurements.
type bench struct {
	options
	out  io.Writer
	dir  string
	user string // prefix of the accounts
	n    int    // of destinations so far
}

func measure(ctx context.Context, o options, out io.Writer) (err error) {
	if o.source == "" || o.destination == "" {
		return errors.New("no servers: start them with make servers, or give --source and --destination")
	}
	dir, err := os.MkdirTemp("", "mailproof-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.program == "" {
		o.program = filepath.Join(dir, "mailproof")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", o.program, "github.com/mailproof/mailproof/cmd/mailproof")
		build.Env = append(os.Environ(), "CGO_ENABLED=0") // as it is released
		if text, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("go build: %w\n%s", err, text)
		}
	}
	b := &bench{options: o, out: out, dir: dir, user: fmt.Sprintf("bench%d", os.Getpid())}
	a, err := b.copies(ctx)
	if err != nil {
		return err
	}
	return errors.Join(b.reading(ctx), b.proof(ctx, a), b.growth(ctx))
}

func (b *bench) printf(format string, args ...any) { fmt.Fprintf(b.out, format, args...) }

func (b *bench) sourceOf(c corpus) side { return side{b.source, b.user + c.name, password} }

// fresh is a destination that nothing was copied to.
func (b *bench) fresh() side {
	b.n++
	return side{b.destination, fmt.Sprintf("%sto%d", b.user, b.n), password}
}

// work is a new directory for a tool's state.
func (b *bench) work() (string, error) { return os.MkdirTemp(b.dir, "state-") }

func (b *bench) fill(ctx context.Context, c corpus) error {
	s := b.sourceOf(c)
	u, err := b.task(ctx, "fill", c.name, strconv.Itoa(c.messages), s.addr, s.user)
	if err != nil {
		return err
	}
	octets, err := u.numbers(1)
	if err != nil {
		return err
	}
	b.printf("corpus %-7s %7d %s, %.1f MB\n", c.name, c.messages, c.what, float64(octets[0])/1e6)
	return nil
}

// drain reads an account in a process of its own.
func (b *bench) drain(ctx context.Context, s side) (u usage, octets int64, err error) {
	if u, err = b.task(ctx, "drain", s.addr, s.user); err != nil {
		return u, 0, err
	}
	told, err := u.numbers(2)
	if err != nil {
		return u, 0, err
	}
	return u, told[1], nil
}

// limit copies an account in a process of its own.
func (b *bench) limit(ctx context.Context, from, to side) (usage, error) {
	return b.task(ctx, "limit", from.addr, from.user, to.addr, to.user)
}

// fastest is the best of several runs: what else the machine does makes a run
// longer and never shorter. What takes long anyway is run once.
func (b *bench) fastest(once func() (usage, error)) (best usage, err error) {
	for range b.rounds {
		u, err := once()
		if err != nil {
			return best, err
		}
		if best.elapsed == 0 || u.elapsed < best.elapsed {
			best.elapsed = u.elapsed
		}
		if best.rss = max(best.rss, u.rss); u.elapsed > 10*time.Second {
			break
		}
	}
	return best, nil
}

func (b *bench) wipe(ctx context.Context, s side) error { return wipe(ctx, s.addr, s.user, s.password) }

// held compares what a destination holds with the corpus: a copy that lost mail
// is not fast.
func held(ctx context.Context, s side, want int) (note string, err error) {
	c, err := s.dial(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, c.close()) }()
	all, err := c.mailboxes()
	if err != nil {
		return "", err
	}
	var n int64
	for _, k := range all {
		n += k
	}
	if n != int64(want) {
		note = fmt.Sprintf("holds %d of %d messages", n, want)
	}
	return note, nil
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
