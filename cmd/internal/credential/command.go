package credential

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// run runs the program and takes the first line it prints: password stores
// such as pass(1) print the password first and notes after it.
func (r Ref) run(ctx context.Context) (mailproof.Secret, error) {
	words, err := splitWords(r.arg)
	if err != nil {
		return mailproof.Secret{}, r.fail(err.Error(), "", nil)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	stdout, stderr := &boundedBuffer{limit: maxSecret}, &boundedBuffer{limit: 4 << 10}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Env = Environ()
	// A grandchild that keeps the pipes open must not keep us.
	cmd.WaitDelay = time.Second
	err = cmd.Run()
	defer clear(stdout.buf)
	said := lastWords(stderr.String(), stdout.String())
	switch {
	case ctx.Err() != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return mailproof.Secret{}, r.fail(fmt.Sprintf("did not answer within %s%s", timeout, said), "", context.DeadlineExceeded)
	case ctx.Err() != nil:
		return mailproof.Secret{}, ctx.Err()
	case err != nil:
		return mailproof.Secret{}, r.fail("failed"+said, "", lookPathCause(err))
	case stdout.cut:
		return mailproof.Secret{}, r.fail(fmt.Sprintf("printed more than %d octets", maxSecret), "", nil)
	}
	line, _, _ := strings.Cut(stdout.String(), "\n")
	line = cutNewline(line)
	if line == "" {
		return mailproof.Secret{}, r.fail("printed no password in its first line"+said, "", nil)
	}
	return r.oneLine(line)
}

// lastWords is the last line of what a program said on stderr, as an error
// text may show it: without control characters and without anything that it
// printed on stdout, which is the password.
func lastWords(stderr, stdout string) string {
	for line := range strings.SplitSeq(stdout, "\n") {
		if line = strings.TrimSpace(line); line != "" {
			stderr = strings.ReplaceAll(stderr, line, mailproof.SecretMask)
		}
	}
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	last := strings.Map(func(c rune) rune {
		if isControl(c) || c == '\u009b' {
			return ' '
		}
		return c
	}, strings.ToValidUTF8(lines[len(lines)-1], "\ufffd"))
	if last = strings.TrimSpace(last); last == "" {
		return ""
	}
	if r := []rune(last); len(r) > 300 {
		last = string(r[:300]) + "…"
	}
	return fmt.Sprintf(" and said %q", last)
}

// boundedBuffer keeps the first octets and swallows the rest, so that a
// program that prints without end is not killed by a closed pipe before it can
// say what is wrong.
type boundedBuffer struct {
	buf   []byte
	limit int
	cut   bool
}

func (b *boundedBuffer) Write(p []byte) (int, error) {
	n := min(len(p), b.limit-len(b.buf))
	b.buf = append(b.buf, p[:n]...)
	b.cut = b.cut || n < len(p)
	return len(p), nil
}

func (b *boundedBuffer) String() string { return string(b.buf) }
