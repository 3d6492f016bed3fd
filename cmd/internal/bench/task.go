package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

// password is that of every account; the name of the variable by which the
// programs that are measured learn of it.
const (
	password    = "pw"
	passwordEnv = "MAILPROOF_BENCH_PW"
)

// The limit is a process of its own, as the tools beside it are: each starts, signs
// in and ends within what is measured. What is written into the accounts before is
// a process of its own too, because the peak memory that a system reports of a
// program counts that of the program which started it.
var tasks = map[string]struct {
	args int
	do   func(ctx context.Context, args []string, out io.Writer) error
}{
	"fill":  {4, fillTask},
	"drain": {2, drainTask},
	"limit": {4, limitTask},
}

// runTask carries out what the arguments ask for; known is false where they name
// no task.
func runTask(ctx context.Context, args []string, out io.Writer) (known bool, err error) {
	if len(args) == 0 {
		return false, nil
	}
	t, known := tasks[args[0]]
	if !known || len(args) != 1+t.args {
		return false, nil
	}
	return true, t.do(ctx, args[1:], out)
}

// task runs a task in a process of its own and returns what it printed.
func (b *bench) task(ctx context.Context, name string, args ...string) (usage, error) {
	self, err := os.Executable()
	if err != nil {
		return usage{}, err
	}
	return run(ctx, b.dir, append([]string{self, name}, args...))
}

func fillTask(ctx context.Context, args []string, out io.Writer) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	octets, err := corpusNamed(args[0], n).fill(ctx, args[2], args[3], password)
	if err != nil {
		return fmt.Errorf("corpus %s: %w", args[0], err)
	}
	_, err = fmt.Fprintln(out, octets)
	return err
}

func drainTask(ctx context.Context, args []string, out io.Writer) error {
	messages, octets, err := drain(ctx, side{args[0], args[1], password}, nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, messages, octets)
	return err
}

func limitTask(ctx context.Context, args []string, _ io.Writer) error {
	return limitCopy(ctx, side{args[0], args[1], password}, side{args[2], args[3], password})
}

// numbers reads what a task printed.
func (u usage) numbers(n int) ([]int64, error) {
	fields := strings.Fields(u.out)
	if len(fields) != n {
		return nil, errors.New("unexpected output: " + u.out)
	}
	list := make([]int64, n)
	for i, f := range fields {
		var err error
		if list[i], err = strconv.ParseInt(f, 10, 64); err != nil {
			return nil, err
		}
	}
	return list, nil
}
