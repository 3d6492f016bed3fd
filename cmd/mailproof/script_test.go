package main

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/oracle"
	"github.com/mailproof/mailproof/cmd/internal/terminal"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
)

func TestMain(m *testing.M) {
	// For the tests that call run in this process.
	if err := os.Setenv("MP_PW", oracle.Password); err != nil {
		panic(err)
	}
	testscript.Main(m, map[string]func(){"mailproof": main})
}

// The passwords of the scripts' servers. Whatever a script does, none of them
// may be found in any file that it leaves behind, or in what it printed.
const (
	sourceSecret      = "s3cret-of-the-source-Zx81"
	destinationSecret = "s3cret-of-the-destination-Qw92"
	wrongSecret       = "wr0ng-secret-nobody-has-Rt73"
)

var secrets = []string{sourceSecret, destinationSecret, wrongSecret}

// stage is what a script works on: two embedded servers with two accounts.
type stage struct {
	source, destination *imapmem.Server
	refuse              atomic.Value // string: text that the destination refuses
}

type stageKey struct{}

func TestScript(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		RequireExplicitExec: true,
		Setup:               setUpStage,
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"mail":      mailCommand,
			"exitcode":  exitCodeCommand,
			"grepcount": grepCountCommand,
			"corrupt":   corruptCommand,
			"expand":    expandCommand,
			"fits":      fitsCommand,
			"dnsworld":  dnsWorldCommand,
			"zone":      zoneCommand,
			"dnsdown":   dnsDownCommand,
			"dnsround":  dnsRoundCommand,
			"dnsasked":  dnsAskedCommand,
			"interrupt": interruptCommand,
			"mailhost":  mailHostCommand,

			"probehosts": probeHostsCommand,
		},
	})
}

func setUpStage(env *testscript.Env) error {
	st := &stage{}
	st.source = imapmem.New(imapmem.Options{Name: "Old"})
	st.destination = imapmem.New(imapmem.Options{Name: "New", OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
		if text, ok := st.refuse.Load().(string); ok && text != "" && bytes.Contains(raw, []byte(text)) {
			return nil, fmt.Errorf("[LIMIT] message content refused")
		}
		return raw, nil
	}})
	for i, user := range []string{"anna", "bob"} {
		a := st.source.AddAccount(user, sourceSecret)
		st.destination.AddAccount(user, destinationSecret)
		for _, f := range mailgen.New(uint64(i + 1)).Account(mailgen.Profile{Messages: 24, Folders: 8}).Folders {
			name := st.source.Name(f.Path...)
			if name != "INBOX" {
				a.Create(name, f.Use)
			}
			for _, m := range f.Messages {
				a.Append(name, m.Raw, m.Flags, m.Date)
			}
		}
	}
	ctx := context.Background()
	if err := st.source.Start(ctx, mailproof.ImplicitTLS); err != nil {
		return err
	}
	if err := st.destination.Start(ctx, mailproof.ImplicitTLS); err != nil {
		return err
	}
	closed, err := closedPort()
	if err != nil {
		return err
	}
	for name, s := range map[string]*imapmem.Server{"source": st.source, "destination": st.destination} {
		pem, err := s.CA()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(env.WorkDir, name+"-ca.pem"), pem, 0o600); err != nil {
			return err
		}
	}
	env.Setenv("SOURCE", st.source.Addr())
	env.Setenv("DESTINATION", st.destination.Addr())
	env.Setenv("CLOSED", closed)
	env.Setenv("SRCPW", sourceSecret)
	env.Setenv("DSTPW", destinationSecret)
	env.Setenv("WRONGPW", wrongSecret)
	env.Values[stageKey{}] = st
	env.Defer(func() {
		st.source.Close()
		st.destination.Close()
	})
	env.Defer(func() {
		if err := findSecrets(env.WorkDir); err != nil {
			env.T().Fatal(err)
		}
	})
	return nil
}

// closedPort is an address on which nobody answers.
func closedPort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// findSecrets looks for the passwords in every file under dir, the ledger and
// its write-ahead log included.
func findSecrets(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, s := range secrets {
			if bytes.Contains(data, []byte(s)) {
				return fmt.Errorf("a password stands in %s", path)
			}
		}
		return nil
	})
}

func stageOf(ts *testscript.TestScript) *stage { return ts.Value(stageKey{}).(*stage) }

// mailCommand changes what is on a server behind mailproof's back:
//
//	mail SIDE USER FOLDER add TEXT [FLAG…]
//	mail SIDE USER FOLDER remove|duplicate N    the n-th message, from 1
//	mail SIDE USER FOLDER alter N OLD NEW       as remove and add of a changed one
//	mail SIDE USER FOLDER move N TO
//	mail SIDE USER FOLDER flag N FLAG…
//	mail SIDE USER FOLDER count N               there are N messages
//	mail destination USER FOLDER refuse TEXT    from now on
func mailCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: mail SIDE USER FOLDER add|remove|duplicate|alter|move|flag|count|refuse …")
	}
	st := stageOf(ts)
	server := st.source
	if args[0] == "destination" {
		server = st.destination
	}
	a, folder, rest := server.Account(args[1]), args[2], args[4:]
	nth := func() imapmem.Message {
		n, err := strconv.Atoi(rest[0])
		list := a.Messages(folder)
		if err != nil || n < 1 || n > len(list) {
			ts.Fatalf("%s has %d messages, not a %s-th", folder, len(list), rest[0])
		}
		return list[n-1]
	}
	switch args[3] {
	case "add":
		raw := fmt.Sprintf("From: a@example.com\r\nTo: b@example.com\r\nSubject: %s\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%s@example.com>\r\n\r\n%s\r\n",
			rest[0], strings.ReplaceAll(rest[0], " ", "."), rest[0])
		a.Append(folder, []byte(raw), mailproof.NewFlags(rest[1:]...), time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC))
	case "remove":
		ts.Check(a.Remove(folder, nth().UID))
	case "duplicate":
		m := nth()
		a.Append(folder, m.Raw, m.Flags, m.Date)
	case "alter":
		m := nth()
		changed := bytes.Replace(m.Raw, []byte(rest[1]), []byte(rest[2]), 1)
		if bytes.Equal(changed, m.Raw) {
			ts.Fatalf("message %s of %s does not hold %q:\n%s", rest[0], folder, rest[1], m.Raw)
		}
		ts.Check(a.Remove(folder, m.UID))
		a.Append(folder, changed, m.Flags, m.Date)
	case "move":
		m := nth()
		ts.Check(a.Remove(folder, m.UID))
		a.Append(rest[1], m.Raw, m.Flags, m.Date)
	case "flag":
		ts.Check(a.SetFlags(folder, nth().UID, mailproof.NewFlags(rest[1:]...)))
	case "drop": // the messages with a subject
		for _, m := range a.Messages(folder) {
			if bytes.Contains(m.Raw, []byte("Subject: "+rest[0]+"\r\n")) {
				ts.Check(a.Remove(folder, m.UID))
			}
		}
	case "count":
		if got := strconv.Itoa(len(a.Messages(folder))); got != rest[0] {
			ts.Fatalf("%s %s %s has %s messages, want %s", args[0], args[1], folder, got, rest[0])
		}
	case "refuse":
		st.refuse.Store(rest[0])
	default:
		ts.Fatalf("mail: %s is not known", args[3])
	}
}

// fitsCommand says that no line that the last program printed is wider than a
// screen of 100 columns; an error that goes to a log, and what to do about it,
// are in one line each, however long. What else has to be is named by a pattern:
//
//	fits
//	fits '^\{'
func fitsCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: fits [EXCEPT]")
	}
	except := regexp.MustCompile(`^$`)
	if len(args) == 1 {
		except = regexp.MustCompile(args[0])
	}
	failed := false
	for _, stream := range []string{"stdout", "stderr"} {
		for line := range strings.Lines(ts.ReadFile(stream)) {
			line = strings.TrimSuffix(line, "\n")
			failed = failed || strings.HasPrefix(line, "error: ")
			inLog := strings.HasPrefix(line, "error: ") || strings.HasPrefix(line, "warning: ") || failed && strings.HasPrefix(line, "hint: ")
			if n := terminal.Width(line); n > terminal.DefaultWidth && !inLog && !except.MatchString(line) {
				ts.Fatalf("a line of %s has %d columns:\n%s", stream, n, line)
			}
		}
	}
}

// exitCodeCommand runs a program and compares its exit code:
//
//	exitcode 3 mailproof diff
func exitCodeCommand(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	if neg || err != nil || len(args) < 2 {
		ts.Fatalf("usage: exitcode CODE PROGRAM ARG…")
	}
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		coded, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v: %v", args[1:], err)
		}
		got = coded.ExitCode()
	}
	if got != want {
		ts.Fatalf("%v: exit code %d, want %d", args[1:], got, want)
	}
}

// grepCountCommand counts the lines of a file that hold a text:
//
//	grepcount 3 TEXT FILE
func grepCountCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: grepcount N TEXT FILE")
	}
	n := 0
	for _, line := range strings.Split(ts.ReadFile(args[2]), "\n") {
		if strings.Contains(line, args[1]) {
			n++
		}
	}
	if strconv.Itoa(n) != args[0] {
		ts.Fatalf("%d lines of %s hold %q, want %s", n, args[2], args[1], args[0])
	}
}

// corruptCommand writes bytes into a file, as hexadecimal digits at an offset.
func corruptCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: corrupt FILE OFFSET HEX")
	}
	offset, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_RDWR, 0)
	ts.Check(err)
	var data []byte
	_, err = fmt.Sscanf(args[2], "%x", &data)
	ts.Check(err)
	_, err = f.WriteAt(data, offset)
	ts.Check(err)
	ts.Check(f.Close())
}

// expandCommand replaces the variables of the script in a file:
//
//	expand FROM TO
func expandCommand(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: expand FROM TO")
	}
	text := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}
