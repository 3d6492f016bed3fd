package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
)

// asMailproof makes the test binary behave as mailproof itself, so that a test
// can start a process and kill it.
const asMailproof = "MAILPROOF_TEST_AS_MAILPROOF"

func init() {
	if os.Getenv(asMailproof) != "" {
		main()
	}
}

// pair is two embedded servers with one account, and the command line of a run
// between them.
type pair struct {
	source, destination *imapmem.Server
	args                []string
	dir                 string
}

func newPair(t *testing.T, messages int, latency time.Duration) *pair {
	t.Helper()
	slow := imapmem.Options{Latency: latency}
	return pairOf(t, slow, slow, 5, mailgen.Profile{Messages: messages, Folders: 6})
}

// pairOf is an account with generated mail between two servers.
func pairOf(t *testing.T, source, destination imapmem.Options, seed uint64, mail mailgen.Profile) *pair {
	t.Helper()
	p := &pair{dir: t.TempDir(), source: imapmem.New(source), destination: imapmem.New(destination)}
	p.destination.AddAccount("anna", destinationSecret)
	fillAccount(p.source, p.source.AddAccount("anna", sourceSecret), seed, mail)
	for _, s := range []*imapmem.Server{p.source, p.destination} {
		must(t, s.Start(context.Background(), mailproof.Plaintext))
		t.Cleanup(func() { s.Close() })
	}
	p.args = []string{
		"run", "--dir", p.dir, "--progress", "off",
		"--source", "imap://anna@" + p.source.Addr() + "?tls=none", "--destination", "imap://anna@" + p.destination.Addr() + "?tls=none",
		"--source-password", "env:SRCPW", "--destination-password", "env:DSTPW",
	}
	return p
}

// fillAccount puts generated mail into an account.
func fillAccount(s *imapmem.Server, a *imapmem.Account, seed uint64, mail mailgen.Profile) {
	for _, f := range mailgen.New(seed).Account(mail).Folders {
		name := s.Name(f.Path...)
		if name != "INBOX" {
			a.Create(name, f.Use)
		}
		for _, m := range f.Messages {
			a.Append(name, m.Raw, m.Flags, m.Date)
		}
	}
}

// command is a process of mailproof.
func (p *pair) command(t *testing.T) (*exec.Cmd, *bytes.Buffer) {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	cmd := exec.Command(exe, p.args...)
	cmd.Env = append(os.Environ(), asMailproof+"=1", "SRCPW="+sourceSecret, "DSTPW="+destinationSecret)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// finish runs to the end and checks that nothing is lost, nothing twice and
// nothing changed.
func (p *pair) finish(t *testing.T) {
	t.Helper()
	cmd, out := p.command(t)
	if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "COMPLETE: ") {
		t.Fatalf("%v\n%s", err, out)
	}
	src, dst := contents(p.source.Account("anna")), contents(p.destination.Account("anna"))
	for key, n := range src {
		if dst[key] != n {
			t.Errorf("a message is there %d times, want %d", dst[key], n)
		}
	}
	if len(src) != len(dst) {
		t.Errorf("%d different messages on the source, %d on the destination", len(src), len(dst))
	}
	if act := p.source.Account("anna").Activity(); act.Writes != 0 || len(act.Violations) != 0 {
		t.Errorf("the source was written to: %d, %q", act.Writes, act.Violations)
	}
	must(t, findSecrets(p.dir))
}

// contents counts the messages of an account by folder, octets, flags and date.
func contents(a *imapmem.Account) map[string]int {
	out := map[string]int{}
	for _, name := range a.Mailboxes() {
		for _, m := range a.Messages(name) {
			out[fmt.Sprintf("%s %x %s %d", name, sha256.Sum256(m.Raw), m.Flags, m.Date.Unix())]++
		}
	}
	return out
}

// Killed at any instant, again and again: the next run goes on, and in the end
// everything is there once.
func TestKillAnywhere(t *testing.T) {
	t.Parallel()
	p := newPair(t, 500, 3*time.Millisecond)
	r := rand.New(rand.NewPCG(9, 9))
	killed := 0
	for range 12 {
		cmd, _ := p.command(t)
		must(t, cmd.Start())
		timer := time.AfterFunc(time.Duration(30+r.IntN(600))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if ee := (*exec.ExitError)(nil); errors.As(err, &ee) && ee.Sys().(syscall.WaitStatus).Signaled() {
			killed++
		}
	}
	t.Logf("killed %d of 12", killed)
	if killed == 0 {
		t.Error("no run was killed: the test tests nothing")
	}
	p.finish(t)
}

// The first Ctrl-C ends the run at a message boundary with exit code 130, and
// the next run goes on.
func TestInterrupt(t *testing.T) {
	p := newPair(t, 400, 2*time.Millisecond)
	cmd, out := p.command(t)
	must(t, cmd.Start())
	for len(p.destination.Account("anna").Messages("INBOX")) == 0 {
		if cmd.ProcessState != nil {
			t.Fatalf("the run ended before it copied anything:\n%s", out)
		}
		time.Sleep(5 * time.Millisecond) // waits for a state, not for a time
	}
	must(t, cmd.Process.Signal(os.Interrupt))
	err := cmd.Wait()
	ee := (*exec.ExitError)(nil)
	if !errors.As(err, &ee) || ee.ExitCode() != 130 || !strings.Contains(out.String(), "stopping when the messages in flight are done") {
		t.Fatalf("%v\n%s", err, out)
	}
	p.finish(t)
}

// A full disk ends the run with a clear error and exit code 2; what was
// recorded stays, and with room the same command goes on.
func TestDiskFull(t *testing.T) {
	p := newPair(t, 300, 0)
	dir := filepath.Join(t.TempDir(), "small")
	must(t, os.Mkdir(dir, 0o755))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=320k"); err != nil {
		skip := t.Skipf
		if os.Getenv("CI") != "" && os.Getuid() == 0 && !errors.Is(err, syscall.EPERM) {
			skip = t.Fatalf
		}
		skip("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	p.dir, p.args[2] = dir, dir
	cmd, out := p.command(t)
	err := cmd.Run()
	ee := (*exec.ExitError)(nil)
	if !errors.As(err, &ee) || ee.ExitCode() != 2 || !strings.Contains(out.String(), "disk") || !strings.Contains(out.String(), "make room") && !strings.Contains(out.String(), "see to it") {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, name := range []string{"report.html", "report.pdf", "report.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=64m"))
	p.finish(t)
}
