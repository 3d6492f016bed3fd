package main

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/faultline"
	"github.com/mailproof/mailproof/cmd/internal/oracle"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
)

// kill -9 between real servers, at 50 random instants (12 in the short form),
// each time a process that goes on where the last one was killed. Accounts stay
// in one state for two kills, then mail arrives.
func TestKillBetweenDovecots(t *testing.T) {
	kills := 12
	if os.Getenv("MAILPROOF_LONG") != "" {
		kills = 50
	}
	f := newFaulty(t)
	exe, err := os.Executable()
	must(t, err)
	r := rand.New(rand.NewPCG(4, 4))
	killed := 0
	for i := range kills {
		must(t, f.arrive(i))
		cmd := exec.Command(exe, f.args...)
		cmd.Env = append(os.Environ(), asMailproof+"=1", "MP_PW=pw")
		must(t, cmd.Start())
		timer := time.AfterFunc(time.Duration(20+r.IntN(500))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if ee := (*exec.ExitError)(nil); errors.As(err, &ee) && ee.Sys().(syscall.WaitStatus).Signaled() {
			killed++
		}
	}
	t.Logf("killed %d of %d", killed, kills)
	if killed < kills/4 {
		t.Errorf("%d runs of %d were killed: the test tests little", killed, kills)
	}
	f.before = f.read(f.source)
	f.settle()
}

// Another program holds the ledger's write lock: the run waits for it, or ends
// with a clear error, and nothing is lost either way.
func TestLedgerBusy(t *testing.T) {
	t.Parallel()
	for _, hold := range []time.Duration{500 * time.Millisecond, time.Minute} {
		t.Run(hold.String(), func(t *testing.T) {
			t.Parallel()
			p := newPair(t, 120, time.Millisecond)
			first, _ := p.command(t)
			must(t, first.Run())
			for i := range 40 {
				p.source.Account("anna").Append("INBOX", fmt.Appendf(nil, "Subject: late %d\r\n\r\n", i), nil, time.Now())
			}
			db, err := sql.Open("sqlite", "file:"+filepath.Join(p.dir, "mailproof.db")+"?_txlock=immediate")
			must(t, err)
			defer db.Close()
			tx, err := db.BeginTx(t.Context(), nil)
			must(t, err)
			timer := time.AfterFunc(hold, func() { _ = tx.Rollback() })
			defer timer.Stop()
			cmd, out := p.command(t)
			err = cmd.Run()
			if hold < time.Second {
				must(t, err)
			} else {
				ee := (*exec.ExitError)(nil)
				if !errors.As(err, &ee) || ee.ExitCode() != 2 || !strings.Contains(out.String(), "mailproof.db") {
					t.Errorf("%v\n%s", err, out)
				}
				timer.Stop()
				must(t, tx.Rollback())
			}
			p.finish(t)
		})
	}
}

// answers are what servers say to an APPEND that they do not take, and whether
// the engagement can be complete afterwards without a person's decision.
var answers = []string{
	"[TRYCREATE] Mailbox doesn't exist",
	"[OVERQUOTA] Quota exceeded (mailbox for user is full)",
	"[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)",
	"[LIMIT] Too many messages in this folder",
	"[TOOBIG] Maximum size of appendable message has been exceeded.",
	"[CANNOT] Message contains bare newlines",
	"[SERVERBUG] Internal error occurred",
	"Message contains NUL characters",
	"Folder name is reserved",
	"APPEND failed",
}

// patient are answers that concern no message: the server wants to be left alone
// for a while, or has too many connections.
var patient = []string{
	"[UNAVAILABLE] Maximum number of connections from user+IP exceeded",
	"[ALERT] Too many simultaneous connections. (Failure)",
	"Request is throttled. Suggested Backoff Time: 50 milliseconds",
}

// A destination that refuses every message once with an answer that asks for
// patience, and takes it later: the same run brings all of it, once.
func TestPatience(t *testing.T) {
	t.Parallel()
	for _, answer := range patient {
		for _, hide := range [][]string{nil, {"MULTIAPPEND"}, {"MULTIAPPEND", "LITERAL+"}} {
			t.Run(fmt.Sprint(answer, hide), func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex // several connections append
				n, refused := 0, map[string]bool{}
				p := badPair(t, imapmem.Options{}, imapmem.Options{Hide: hide, OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
					mu.Lock()
					defer mu.Unlock()
					if n++; !refused[string(raw)] && n%10 == 0 {
						refused[string(raw)] = true
						return nil, errors.New(answer)
					}
					return raw, nil
				}})
				p.finish(t) // COMPLETE, and nothing twice
				mu.Lock()
				defer mu.Unlock()
				if len(refused) == 0 {
					t.Error("nothing was refused: the test tests nothing")
				}
			})
		}
	}
}

// A source that throttles as Exchange does, with BYE in the midst of a FETCH and
// of a LIST: the number that it names is waited for, and the same run goes
// on.
func TestThrottledSource(t *testing.T) {
	t.Parallel()
	const throttled = "Request is throttled. Suggested Backoff Time: 40 milliseconds"
	n, lists := 0, 0
	p := badPair(t, imapmem.Options{
		OnFetch: func(_, _ string, _ mailproof.UID, raw []byte) ([]byte, error) {
			if n++; n%25 == 0 {
				return nil, &imapmem.ByeError{Reply: throttled}
			}
			return raw, nil
		},
		OnCommand: func(_, command string) error {
			if command == "LIST" {
				if lists++; lists <= 2 {
					return &imapmem.ByeError{Reply: throttled}
				}
			}
			return nil
		},
	}, imapmem.Options{})
	p.finish(t)
	if n < 25 || lists == 0 {
		t.Error("nothing was throttled: the test tests nothing")
	}
}

// An account whose provider has shut it for the day ends cleanly: not COMPLETE,
// with the time at which to go on, and nothing is hammered.
func TestDailyLimit(t *testing.T) {
	t.Parallel()
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		t.Run(side.String(), func(t *testing.T) {
			t.Parallel()
			// The server may still be at work for a client that has gone.
			var n, over atomic.Int64
			var shut atomic.Bool
			shut.Store(true)
			refuse := func(raw []byte) ([]byte, error) {
				if n.Add(1) > 20 && shut.Load() {
					over.Add(1)
					return nil, errors.New("[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)")
				}
				return raw, nil
			}
			source, destination := imapmem.Options{}, imapmem.Options{}
			if side == mailproof.Source {
				source.OnFetch = func(_, _ string, _ mailproof.UID, raw []byte) ([]byte, error) { return refuse(raw) }
			} else {
				destination.OnAppend = func(_, _ string, raw []byte) ([]byte, error) { return refuse(raw) }
			}
			p := badPair(t, source, destination)
			cmd, out := p.command(t)
			err := cmd.Run()
			ee := (*exec.ExitError)(nil)
			if !errors.As(err, &ee) || ee.ExitCode() != 3 && ee.ExitCode() != 1 {
				t.Fatalf("%v\n%s", err, out)
			}
			if !strings.Contains(out.String(), "goes on by 20") || !strings.Contains(out.String(), "bandwidth limits") {
				t.Errorf("when to go on is not said\n%s", out)
			}
			if over.Load() > 60 {
				t.Errorf("asked %d times after the account was shut", over.Load())
			}
			shut.Store(false)
			p.finish(t)
		})
	}
}

// A destination that refuses every tenth message, with each of the answers: the
// message is named with the server's words, every other one is there, and
// nothing is there twice.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, answer := range answers {
		t.Run(answer, func(t *testing.T) {
			t.Parallel()
			n, refused := 0, map[string]bool{}
			p := badPair(t, imapmem.Options{}, imapmem.Options{OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
				// The same message gets the same answer again.
				n++
				if refused[string(raw)] || n%10 == 0 {
					refused[string(raw)] = true
					return nil, errors.New(answer)
				}
				return raw, nil
			}})
			cmd, out := p.command(t)
			err := cmd.Run()
			ee := (*exec.ExitError)(nil)
			if !errors.As(err, &ee) || ee.ExitCode() != 1 && ee.ExitCode() != 3 {
				t.Fatalf("%v\n%s", err, out)
			}
			text := strings.TrimSpace(answer[strings.Index(answer, "]")+1:])
			if !strings.Contains(out.String(), text[:min(len(text), 30)]) {
				t.Errorf("the server's words are not there\n%s", out)
			}
			src, dst := contents(p.source.Account("anna")), contents(p.destination.Account("anna"))
			missing := 0
			for key, n := range src {
				if dst[key] > n {
					t.Errorf("a message is there %d times, want %d", dst[key], n)
				}
				missing += n - min(n, dst[key])
			}
			if missing < len(refused) || len(refused) == 0 {
				t.Errorf("%d messages are missing, %d were refused", missing, len(refused))
			}
			if !strings.Contains(answer, "bandwidth") && !strings.Contains(answer, "Quota") && missing > 2*len(refused) {
				t.Errorf("%d messages are missing, only %d were refused\n%s", missing, len(refused), out)
			}
			if strings.Contains(out.String(), "\nCOMPLETE") {
				t.Errorf("COMPLETE\n%s", out)
			}
		})
	}
}

// badPair is an account between two servers with manners of their own.
func badPair(t *testing.T, source, destination imapmem.Options) *pair {
	t.Helper()
	return pairOf(t, source, destination, 6, mailgen.Profile{Messages: 80, Folders: 4})
}

// A destination that hangs up after every ten errors, as a server does on a
// client that it takes for broken.
func TestHangsUpAfterErrors(t *testing.T) {
	t.Parallel()
	errorsSeen := 0
	refused := map[string]bool{}
	n := 0
	p := badPair(t, imapmem.Options{}, imapmem.Options{OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
		n++
		if !refused[string(raw)] && n%3 != 0 {
			return raw, nil
		}
		refused[string(raw)] = true
		if errorsSeen++; errorsSeen%10 == 0 {
			return nil, imapmem.ErrCut
		}
		return nil, errors.New("[CANNOT] not this one")
	}})
	cmd, out := p.command(t)
	err := cmd.Run()
	ee := (*exec.ExitError)(nil)
	if !errors.As(err, &ee) || ee.ExitCode() != 1 && ee.ExitCode() != 3 {
		t.Fatalf("%v\n%s", err, out)
	}
	src, dst := contents(p.source.Account("anna")), contents(p.destination.Account("anna"))
	for key, n := range dst {
		if n > src[key] {
			t.Errorf("a message is there %d times, want %d", n, src[key])
		}
	}
	if bytes.Contains(out.Bytes(), []byte("\nCOMPLETE")) {
		t.Errorf("COMPLETE\n%s", out)
	}
}

// Many accounts, faults all the while: connections and memory stay bounded, and
// in the end every account is proven. The short form has six accounts, the long
// one 200 of 500 messages (make soak).
func TestSoak(t *testing.T) {
	accounts, messages := 6, 60
	if os.Getenv("MAILPROOF_LONG") != "" {
		accounts, messages = 200, 500
	}
	s := newSoak(t, accounts, messages)
	stop := make(chan struct{})
	var troubled sync.WaitGroup
	troubled.Go(func() { s.trouble(stop) })
	var rss int64
	for disturbed := range 3 {
		cmd, out := s.command()
		err := cmd.Run()
		if ee := (*exec.ExitError)(nil); err != nil && !errors.As(err, &ee) {
			t.Fatal(err)
		}
		if code := cmd.ProcessState.ExitCode(); code == 2 {
			t.Errorf("exit code 2\n%s", out)
		}
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		rss = max(rss, usage.Maxrss<<10)
		t.Logf("disturbed run %d: exit code %d, peak RSS %d MB, %d faults", disturbed+1, cmd.ProcessState.ExitCode(), usage.Maxrss>>10, s.struck.Load())
	}
	close(stop)
	troubled.Wait()
	for _, r := range s.relays {
		r.Disarm()
	}
	cmd, out := s.command()
	if err := cmd.Run(); err != nil || !strings.Contains(out.String(), "COMPLETE: ") {
		t.Fatalf("the undisturbed run: %v\n%s", err, out)
	}
	for _, user := range s.users {
		src, err := oracle.Read(t.Context(), oracle.Real(t, "DOVECOT", user), oracle.Options{Normalise: true})
		must(t, err)
		dst, err := oracle.Read(t.Context(), oracle.Real(t, "DOVECOT2", user), oracle.Options{Normalise: true})
		must(t, err)
		if r := oracle.Compare(src, dst, oracle.MapNames(src, dst, nil)); !r.Equal() {
			t.Errorf("%s: %s", user, r)
		}
	}
	for side, r := range s.relays {
		t.Logf("%s: at most %d connections at once", side, r.Peak())
		if r.Peak() > soakConnections {
			t.Errorf("%s: %d connections at once, the limit is %d", side, r.Peak(), soakConnections)
		}
	}
	t.Logf("peak RSS %d MB over all runs", rss>>20)
	if s.struck.Load() == 0 {
		t.Error("no fault struck: the test tests nothing")
	}
}

// soakConnections is the limit that the configuration of the soak sets.
const soakConnections = 8

// soak is many accounts between two Dovecots behind relays.
type soak struct {
	*testing.T
	dir    string
	users  []string
	relays map[mailproof.Side]*faultline.Relay
	struck atomic.Int64
}

func newSoak(t *testing.T, accounts, messages int) *soak {
	s := &soak{T: t, dir: t.TempDir(), relays: map[mailproof.Side]*faultline.Relay{}}
	for side, server := range map[mailproof.Side]string{mailproof.Source: "DOVECOT", mailproof.Destination: "DOVECOT2"} {
		relay, err := faultline.New(oracle.Real(t, server, "").Addr)
		must(t, err)
		t.Cleanup(func() { relay.Close() })
		s.relays[side] = relay
	}
	list := "name,source,source_password,destination,destination_password\n"
	for i := range accounts {
		user := oracle.NewUser()
		s.users = append(s.users, user)
		must(t, oracle.FillAccount(t.Context(), oracle.Real(t, "DOVECOT", user), mailgen.New(uint64(i)).Account(mailgen.Profile{Messages: messages, Folders: 5})))
		list += fmt.Sprintf("%[1]s,imap://%[1]s@%[2]s?tls=none,env:MP_PW,imap://%[1]s@%[3]s?tls=none,env:MP_PW\n",
			user, s.relays[mailproof.Source].Addr(), s.relays[mailproof.Destination].Addr())
	}
	must(t, os.WriteFile(filepath.Join(s.dir, "mailboxes.csv"), []byte(list), 0o600))
	must(t, os.WriteFile(filepath.Join(s.dir, "mailproof.toml"), fmt.Appendf(nil, "[limits]\nstall_timeout = \"2s\"\nconnections = %d\n", soakConnections), 0o600))
	return s
}

func (s *soak) command() (*exec.Cmd, *bytes.Buffer) {
	exe, err := os.Executable()
	must(s.T, err)
	cmd := exec.Command(exe, "run", "--dir", s.dir, "--accounts", filepath.Join(s.dir, "mailboxes.csv"), "--parallel", "6", "--progress", "off")
	cmd.Env = append(os.Environ(), asMailproof+"=1", "MP_PW=pw")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	return cmd, &out
}

// trouble arms one fault after the other until stop is closed.
func (s *soak) trouble(stop <-chan struct{}) {
	r := rand.New(rand.NewPCG(3, 3))
	stages := []faultline.Stage{faultline.Greeting, faultline.SignIn, faultline.Examine, faultline.MidFetch, faultline.MidAppend, faultline.MidBatch, faultline.Unanswered, faultline.AnyServer}
	actions := []faultline.Action{faultline.FIN, faultline.RST, faultline.Silence}
	for {
		for _, relay := range s.relays {
			s.struck.Add(int64(relay.Fired()))
			relay.Arm(faultline.Fault{Stage: stages[r.IntN(len(stages))], Action: actions[r.IntN(len(actions))], Skip: r.IntN(20)})
		}
		select {
		case <-stop:
			return
		case <-time.After(time.Duration(200+r.IntN(400)) * time.Millisecond):
		}
	}
}
