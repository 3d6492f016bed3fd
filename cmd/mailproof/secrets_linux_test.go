package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/oauth/authtest"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
)

// Secrets of every kind that a migration has. None of them may be found outside
// of the process, in whatever form it goes over a line.
// The passphrase is an age identity: a real one is slow on purpose.
const (
	cachePhrase  = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
	clientSecret = "client-Value-Lm37-s3cret"
)

// secretStage is a migration by OAuth on the source and a password on the
// destination, with an authorisation server of its own.
type secretStage struct {
	t      *testing.T
	auth   *authtest.Server
	source *imapmem.Server
	dest   *imapmem.Server
	dir    string // of the engagement
	own    string // the user's own files: not searched
	cut    atomic.Int64
	cuts   atomic.Int64
}

func newSecretStage(t *testing.T, messages int, latency time.Duration) *secretStage {
	t.Helper()
	s := &secretStage{t: t, dir: t.TempDir(), own: t.TempDir(), auth: authtest.New(t)}
	s.auth.User, s.auth.ClientSecret = "anna", clientSecret
	s.cut.Store(-1)
	s.source = imapmem.New(imapmem.Options{
		Latency: latency,
		Tokens: func(user, token string) error {
			if owner, ok := s.auth.Valid(token); !ok || owner != user {
				return errors.New("[AUTHENTICATIONFAILED] AUTHENTICATE failed")
			}
			return nil
		},
		// In the midst of the pass the tokens run out, and Exchange says goodbye.
		OnCommand: func(_, command string) error {
			if strings.HasSuffix(command, "FETCH") && s.cut.Add(-1) == 0 {
				s.auth.Withdraw()
				s.cuts.Add(1)
				return &imapmem.ByeError{Reply: "User is authenticated but not connected.", Bye: "Session invalidated - AccessTokenExpired"}
			}
			return nil
		},
	})
	s.dest = imapmem.New(imapmem.Options{Latency: latency})
	s.dest.AddAccount("anna", destinationSecret)
	fillAccount(s.source, s.source.AddAccount("anna", "nobody-uses-this-one"), 7, mailgen.Profile{Messages: messages, Folders: 6})
	for _, server := range []*imapmem.Server{s.source, s.dest} {
		must(t, server.Start(context.Background(), mailproof.Plaintext))
		t.Cleanup(func() { server.Close() })
	}
	// The program that gives the password also tells what it sees of us.
	program := filepath.Join(s.own, "give")
	must(t, os.WriteFile(program, []byte(fmt.Sprintf("#!/bin/sh\ncat /proc/self/environ >%s/environ\nfor p in /proc/[0-9]*; do cat $p/cmdline 2>/dev/null; echo; done >%s/processes\necho %s\n",
		s.own, s.own, destinationSecret)), 0o700))
	must(t, os.WriteFile(filepath.Join(s.own, "client-secret"), []byte(clientSecret+"\n"), 0o600))
	must(t, os.WriteFile(filepath.Join(s.dir, "mailproof.toml"), []byte(fmt.Sprintf(`
[source]
url = "imap://{user}@%s?tls=none"
password = "oauth:corp"
[destination]
url = "imap://{user}@%s?tls=none"
password = "cmd:%s"
[oauth.corp]
client_id = "mailproof"
client_secret = "file:%s"
auth_url = "%[5]s/authorize"
token_url = "%[5]s/token"
scopes = ["imap"]
cache = "age:tokens.age"
cache_passphrase = "env:MP_CACHE_PHRASE"
`, s.source.Addr(), s.dest.Addr(), program, filepath.Join(s.own, "client-secret"), s.auth.URL)), 0o600))
	must(t, os.WriteFile(filepath.Join(s.dir, "mailboxes.csv"), []byte("name,source,destination\nanna,,\n"), 0o600))
	return s
}

// command is mailproof as a process.
func (s *secretStage) command(args ...string) *exec.Cmd {
	exe, err := os.Executable()
	must(s.t, err)
	cmd := exec.Command(exe, append(args, "--dir", s.dir)...)
	cmd.Env = append(os.Environ(), asMailproof+"=1", "MP_CACHE_PHRASE="+cachePhrase, "GOTRACEBACK=all")
	return cmd
}

// secrets are all of them, in every form in which they may be met.
func (s *secretStage) forms() map[string]string {
	out := map[string]string{}
	for _, secret := range append(s.auth.Issued(), cachePhrase, clientSecret, destinationSecret) {
		out[secret] = "the secret itself"
		for _, text := range []string{secret, "\x00anna\x00" + secret, "user=anna\x01auth=Bearer " + secret + "\x01\x01"} {
			for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawURLEncoding} {
				out[strings.TrimRight(enc.EncodeToString([]byte(text)), "=")] = "base64"
			}
		}
		out[url.QueryEscape(secret)] = "escaped"
		out[fmt.Sprintf("%x", secret)] = "hexadecimal"
	}
	return out
}

func (s *secretStage) search(where string, data []byte) {
	s.t.Helper()
	for form, what := range s.forms() {
		if bytes.Contains(data, []byte(form)) {
			s.t.Errorf("%s tells a secret (%s) of %d octets", where, what, len(form))
		}
	}
}

func (s *secretStage) searchFiles() {
	s.t.Helper()
	seen := 0
	must(s.t, filepath.WalkDir(s.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		seen++
		s.search(filepath.Base(path), data)
		return err
	}))
	if seen < 3 {
		s.t.Errorf("%d files were searched", seen)
	}
}

var webAddress = regexp.MustCompile(`http://\S+`)

// signIn is the person at the browser.
func (s *secretStage) signIn() {
	s.t.Helper()
	cmd := s.command("credentials", "login", "corp", "--account", "anna", "--no-browser")
	out := &watched{seen: make(chan string, 1)}
	cmd.Stdout, cmd.Stderr = out, out
	must(s.t, cmd.Start())
	select {
	case address := <-out.seen:
		res, err := http.Get(address) // follows to mailproof's own port
		must(s.t, err)
		must(s.t, res.Body.Close())
	case <-time.After(30 * time.Second):
		s.t.Errorf("no address to sign in at: %s", out.text())
		must(s.t, cmd.Process.Kill())
	}
	if err := cmd.Wait(); err != nil {
		s.t.Fatalf("%v: %s", err, out.text())
	}
	s.search("credentials login", []byte(out.text()))
}

// watched is an output that waits for an address.
type watched struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	seen chan string
	once sync.Once
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	if line, rest := w.buf.String(), "\n"; strings.Contains(line, rest) {
		if address := webAddress.FindString(line); address != "" {
			w.once.Do(func() { w.seen <- address })
		}
	}
	return len(p), nil
}

func (w *watched) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}

// A whole migration by OAuth, with tokens that run out in the midst of it: every
// message arrives, and no secret leaves the process by any door.
func TestNoSecretLeaves(t *testing.T) {
	s := newSecretStage(t, 60, 0)
	s.signIn()
	for _, args := range [][]string{{"credentials", "test"}, {"credentials", "test", "--json"}, {"credentials", "list"}, {"credentials", "list", "--json"}} {
		out, err := s.command(args...).CombinedOutput()
		if err != nil {
			t.Errorf("%v: %v\n%s", args, err, out)
		}
		s.search(strings.Join(args, " "), out)
	}
	before := s.auth.Refreshes()
	s.cut.Store(3)
	cmd := s.command("run", "--json", "--progress", "json")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(`"COMPLETE"`)) && !bytes.Contains(out, []byte(`"complete"`)) {
		t.Errorf("run: %v\n%s", err, out)
	}
	s.search("run", out)
	if s.cuts.Load() != 1 || s.auth.Refreshes() != before+1 {
		t.Errorf("%d cuts, %d refreshes in mid-pass", s.cuts.Load(), s.auth.Refreshes()-before)
	}
	s.searchFiles()
	for _, name := range []string{"environ", "processes"} {
		data, err := os.ReadFile(filepath.Join(s.own, name))
		must(t, err)
		if len(data) == 0 {
			t.Errorf("nothing was seen of the %s", name)
		}
		s.search("the "+name+" that a child sees", data)
	}

	// Errors: the server refuses, the authorisation server too.
	s.auth.Revoke()
	for _, args := range [][]string{{"credentials", "test"}, {"credentials", "test", "--json"}, {"check"}, {"inventory", "--side", "source", "--reverify"}} {
		out, err := s.command(args...).CombinedOutput()
		if err == nil {
			t.Errorf("%v with revoked tokens: no error\n%s", args, out)
		}
		s.search(strings.Join(args, " ")+" with revoked tokens", out)
	}
	out, err = s.command("credentials", "test").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("mailproof credentials login corp")) {
		t.Errorf("no remedy: %s", out)
	}
	s.searchFiles()
	out, err = s.command("credentials", "forget", "corp").CombinedOutput()
	if err != nil {
		t.Errorf("forget: %v\n%s", err, out)
	}
}

// A crash in the midst of the work prints no secret, and leaves no core dump.
func TestNoSecretInCrash(t *testing.T) {
	s := newSecretStage(t, 200, 20*time.Millisecond)
	s.signIn()
	for _, signal := range []syscall.Signal{syscall.SIGABRT, syscall.SIGQUIT} {
		fetched := make(chan struct{})
		var once sync.Once
		progress := &lineWatch{hit: func() { once.Do(func() { close(fetched) }) }}
		cmd := s.command("run", "--progress", "json")
		cmd.Dir = s.dir
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, progress
		must(t, cmd.Start())
		select {
		case <-fetched:
		case <-time.After(30 * time.Second):
			t.Errorf("it did not begin: %s", progress.text())
		}
		limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
		must(t, err)
		if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
			t.Errorf("core dumps are possible:\n%s", limits)
		}
		cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", cmd.Process.Pid))
		must(t, err)
		s.search("the command line", cmdline)
		must(t, cmd.Process.Signal(signal))
		err = cmd.Wait()
		if err == nil || !strings.Contains(progress.text(), "goroutine ") {
			t.Errorf("%v: %v, no stack printed", signal, err)
		}
		s.search(signal.String(), []byte(progress.text()))
		s.search(signal.String(), out.Bytes())
	}
	s.searchFiles()
	if cores, err := filepath.Glob(filepath.Join(s.dir, "core*")); err != nil || len(cores) > 0 {
		t.Errorf("core dumps: %v %v", cores, err)
	}
}

// lineWatch is an output that says when there is something on it.
type lineWatch struct {
	mu  sync.Mutex
	buf bytes.Buffer
	hit func()
}

func (w *lineWatch) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf.Write(p)
	w.hit()
	return len(p), nil
}

func (w *lineWatch) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.buf.String()
}
