package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/term"

	"github.com/mailproof/mailproof"
)

// ErrNoTerminal says that there is no terminal at which to ask.
var ErrNoTerminal = errors.New("there is no terminal to ask at")

// TerminalPrompter asks at the controlling terminal of the process, wherever
// its standard streams lead, with the echo off.
type TerminalPrompter struct{}

// Prompt implements [Prompter]. An interrupt key at the prompt yields
// [context.Canceled].
func (TerminalPrompter) Prompt(ctx context.Context, label string) (mailproof.Secret, error) {
	tty, err := openTerminal()
	if err != nil {
		return mailproof.Secret{}, &Error{Reason: "cannot ask for the " + label, Err: ErrNoTerminal, Hint: "give the password by another reference: " + Forms}
	}
	secret, err := tty.ask(ctx, label)
	if closeErr := tty.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return mailproof.Secret{}, fmt.Errorf("asking for the %s: %w", label, err)
	}
	return secret, nil
}

// terminalFile is the controlling terminal, opened for the one question.
type terminalFile struct {
	in, out *os.File
}

func openTerminal() (*terminalFile, error) {
	inName, outName := "/dev/tty", ""
	if runtime.GOOS == "windows" {
		inName, outName = "CONIN$", "CONOUT$"
	}
	in, err := os.OpenFile(inName, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	t := &terminalFile{in: in, out: in}
	if outName != "" {
		if t.out, err = os.OpenFile(outName, os.O_RDWR, 0); err != nil {
			return nil, errors.Join(err, in.Close())
		}
	}
	return t, nil
}

// Close closes the terminal.
func (t *terminalFile) Close() error {
	err := t.in.Close()
	if t.out != t.in {
		err = errors.Join(err, t.out.Close())
	}
	return err
}

// fd hands the descriptor to f without making the file blocking, as
// [os.File.Fd] would: a blocking read could not be cancelled.
func (t *terminalFile) fd(f func(fd int) error) error {
	conn, err := t.in.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := conn.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func (t *terminalFile) ask(ctx context.Context, label string) (secret mailproof.Secret, err error) {
	var before *term.State
	// Raw, not merely without echo: the interrupt key then is an octet that
	// comes to us, and cannot leave the terminal without its echo.
	err = t.fd(func(fd int) (err error) { before, err = term.MakeRaw(fd); return err })
	if err != nil {
		return mailproof.Secret{}, err
	}
	defer func() {
		err = errors.Join(err, t.fd(func(fd int) error { return term.Restore(fd, before) }))
	}()
	return readPassword(ctx, struct {
		io.Reader
		io.Writer
	}{t.in, t.out}, label)
}

// readPassword asks on a terminal in raw mode. When the context ends it returns
// at once; the read is left behind, to end with its file.
func readPassword(ctx context.Context, rw io.ReadWriter, label string) (mailproof.Secret, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		line, err := term.NewTerminal(rw, "").ReadPassword(printable(label) + ": ")
		done <- result{line, err}
	}()
	select {
	case res := <-done:
		if errors.Is(res.err, io.EOF) { // the interrupt key, or the end of input
			_, _ = io.WriteString(rw, "\r\n")
			return mailproof.Secret{}, context.Canceled
		}
		return mailproof.NewSecret(res.line), res.err
	case <-ctx.Done():
		_, _ = io.WriteString(rw, "\r\n")
		return mailproof.Secret{}, ctx.Err()
	}
}

// printable keeps names from a list from steering the terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if isControl(c) || c >= 0x80 && c < 0xa0 || c >= 0x202a && c <= 0x202e || c >= 0x2066 && c <= 0x2069 {
			return '\ufffd'
		}
		return c
	}, s)
}
