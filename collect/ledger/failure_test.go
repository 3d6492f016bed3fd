package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// writeMailbox records one mailbox of n messages in a pass, all of it under a
// name and an account of its own.
func writeMailbox(ctx context.Context, l *Ledger, pass mailproof.PassID, account, name string, n int) error {
	state := mailproof.MailboxState{UIDValidity: 1, UIDNext: mailproof.UID(n + 1), Exists: uint32(n)}
	w, err := l.BeginMailbox(ctx, pass, account, mailproof.Source, mailproof.Mailbox{Name: name}, state)
	if err != nil {
		return err
	}
	key := mailproof.MessageKey{Side: mailproof.Source, Account: account, Mailbox: name, UIDValidity: 1}
	for i := range n {
		if err := w.Add(ctx, benchMessage(key, i)); err != nil {
			return err
		}
	}
	return w.End(ctx, state, mailproof.MailboxScan{Complete: true, Present: int64(n)})
}

const childAccounts = 3

// childWrites is the process that is killed: accounts side by side, each with
// one mailbox after the other, and a journal. What it was told to be on disk it
// says on its standard output.
func childWrites(t *testing.T, path string) {
	l := must[*Ledger](t)(Open(t.Context(), path))
	pass := must[mailproof.PassID](t)(l.BeginPass(t.Context(), mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull}))
	copying := begin(t, l, mailproof.CopyPass)
	var say sync.Mutex
	tell := func(format string, args ...any) {
		say.Lock()
		defer say.Unlock()
		fmt.Printf(format+"\n", args...)
	}
	tell("begun %d %d", pass, copying)
	var group sync.WaitGroup
	for a := range childAccounts {
		account := fmt.Sprint("account", a)
		ok(t, l.BeginScan(t.Context(), mailproof.Scan{Pass: pass, Account: account, Side: mailproof.Source}))
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(os.Getpid()), uint64(a)))
			for i := range 1000 {
				n := rng.IntN(200)
				name := fmt.Sprintf("box%d", i)
				if err := writeMailbox(t.Context(), l, pass, account, name, n); err != nil {
					t.Error(err)
					return
				}
				tell("ended %s %s %d", account, name, n)
				step := appendStep(mailproof.UID(i+1), "INBOX")
				step.Account = account
				if err := l.Intend(t.Context(), copying, []mailproof.Step{step}); err != nil {
					t.Error(err)
					return
				}
				tell("intended %s %d 0", account, i+1)
			}
		})
	}
	group.Wait()
}

// Kill the writer at any instant: what it was told to be on disk is there,
// whole, and the next writer goes on from there.
func TestKill(t *testing.T) {
	if path := os.Getenv("LEDGER_TEST_WRITE"); path != "" {
		childWrites(t, path)
		return
	}
	rounds := 8
	if testing.Short() || raced {
		rounds = 2
	}
	path := filepath.Join(t.TempDir(), "mailproof.db")
	rng := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	told := map[mailproof.PassID][]string{}
	for range rounds {
		pass, lines := killedChild(t, path, 1+rng.IntN(60))
		told[pass] = lines
		checkKilled(t, path, told)
	}
}

// killedChild runs the writer and kills it when it has said a number of lines.
// It goes on while it is killed, so that it is somewhere in the midst.
func killedChild(t *testing.T, path string, after int) (mailproof.PassID, []string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestKill$")
	cmd.Env = append(os.Environ(), "LEDGER_TEST_WRITE="+path)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	var pass, copying mailproof.PassID
	var lines []string
	scanner := bufio.NewScanner(out)
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), "begun ") {
			if _, err := fmt.Sscanf(scanner.Text(), "begun %d %d", &pass, &copying); err != nil {
				t.Fatal(err)
			}
			continue
		}
		lines = append(lines, scanner.Text())
		if len(lines) == after {
			ok(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil || pass == 0 || len(lines) < after {
		t.Fatalf("the writer ended by itself: pass %d, %d lines, %v", pass, len(lines), err)
	}
	if last := len(lines) - 1; strings.Count(lines[last], " ") != 3 {
		lines = lines[:last] // cut off by the kill
	}
	return pass, lines
}

// checkKilled looks into what killed writers left, first as a reader beside the
// remains and then as the next writer.
func checkKilled(t *testing.T, path string, told map[mailproof.PassID][]string) {
	t.Helper()
	ro := must[*Ledger](t)(OpenReadOnly(t.Context(), path))
	checkTold(t, ro, told)
	ok(t, ro.Close())
	l := must[*Ledger](t)(Open(t.Context(), path))
	checkTold(t, l, told)
	ok(t, l.SetEngagement(t.Context(), "written", "again"))
	ok(t, l.Close())
	for _, suffix := range []string{"-wal", "-shm", ".lock"} {
		if _, err := os.Stat(path + suffix); err == nil {
			t.Errorf("%s is left behind", suffix)
		}
	}
}

func checkTold(t *testing.T, l *Ledger, told map[mailproof.PassID][]string) {
	t.Helper()
	var verdict string
	if err := l.readers.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Fatalf("integrity: %s, %v", verdict, err)
	}
	for pass, lines := range told {
		for a := range childAccounts {
			account := fmt.Sprint("account", a)
			inv := must[*Inventory](t)(l.InventoryAt(t.Context(), account, mailproof.Source, pass))
			counts := make([]int64, len(inv.Mailboxes()))
			for r, err := range inv.Rows(t.Context(), mailproof.TierNone) {
				ok(t, err)
				counts[r.Mailbox]++
			}
			for i, mb := range inv.Mailboxes() {
				said := slices.Contains(lines, fmt.Sprintf("ended %s %s %d", account, mb.Name, mb.Present))
				if mb.Complete && counts[i] < mb.Present || !mb.Complete && mb.Error != cutOff {
					t.Errorf("pass %d, %s: %+v with %d messages", pass, account, mb, counts[i])
				}
				if said && !mb.Complete {
					t.Errorf("pass %d, %s %s was said to be on disk", pass, account, mb.Name)
				}
			}
			complete := map[string]bool{}
			for _, mb := range inv.Mailboxes() {
				complete[mb.Name] = mb.Complete
			}
			ok(t, inv.Close())
			checkLines(t, l, pass, account, lines, complete)
		}
	}
}

func checkLines(t *testing.T, l *Ledger, pass mailproof.PassID, account string, lines []string, complete map[string]bool) {
	t.Helper()
	intended := map[mailproof.UID]bool{}
	for e, err := range l.Steps(t.Context(), StepFilter{Pass: pass + 1, Account: account}) {
		ok(t, err)
		intended[e.Step.Source.UID] = true
	}
	for _, line := range lines {
		f := strings.Fields(line)
		if f[1] != account {
			continue
		}
		var uid mailproof.UID
		switch f[0] {
		case "ended":
			if !complete[f[2]] {
				t.Errorf("pass %d: %s, but it is not there", pass, line)
			}
		case "intended":
			if _, err := fmt.Sscan(f[2], &uid); err != nil || !intended[uid] {
				t.Errorf("pass %d: %s, but it is not there (%v)", pass, line, err)
			}
		}
	}
}

// A full disk: an error that says so, no further writes, and a ledger that is
// whole and goes on once there is room.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailproof.db")
	l := must[*Ledger](t)(Open(t.Context(), path))
	load(t, l, "anna", mailproof.Source, 500)
	ok(t, l.write(t.Context(), committed, 0, func(t *tx) error {
		var pages int64
		if _, err := t.get("PRAGMA page_count", nil, &pages); err != nil {
			return err
		}
		_, err := t.get(fmt.Sprintf("PRAGMA max_page_count = %d", pages+30), nil, &pages)
		return err
	}))
	checkFull(t, l, path)
}

// checkFull writes until the disk is full and looks at what comes of it.
func checkFull(t *testing.T, l *Ledger, path string) {
	t.Helper()
	ctx := t.Context()
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull}))
	ok(t, l.BeginScan(ctx, mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}))
	var full error
	ended := 0
	for i := 0; full == nil && i < 200; i++ {
		if full = writeMailbox(ctx, l, pass, "anna", fmt.Sprintf("box%03d", i), 100); full == nil {
			ended++
		}
	}
	if !errors.Is(full, ErrDiskFull) && !strings.Contains(full.Error(), "full") || !strings.Contains(full.Error(), path) || !strings.Contains(full.Error(), "run the same command again") {
		t.Fatalf("after %d mailboxes: %v", ended, full)
	}
	if err := l.SetEngagement(ctx, "k", "v"); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("a write after the disk was full: %v", err)
	}
	if err := l.EndScan(ctx, mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source, State: mailproof.PassDone}); err == nil {
		t.Error("a scan ended after the disk was full")
	}
	if err := l.Close(); err == nil {
		t.Error("Close kept the error to itself")
	}
	for _, open := range []func(context.Context, string) (*Ledger, error){OpenReadOnly, Open} {
		l := must[*Ledger](t)(open(ctx, path))
		scan, boxes, _, err := l.LatestScan(ctx, "anna", mailproof.Source)
		ok(t, err)
		complete := 0
		for _, b := range boxes {
			if b.Complete {
				complete++
			}
		}
		if scan.State != mailproof.PassRunning || complete != ended || count(t, l) < 100*ended {
			t.Errorf("scan %v, %d of %d mailboxes", scan.State, complete, ended)
		}
		ok(t, l.Close())
	}
}

// A message of another mailbox, a message twice, an unknown state: refused, or
// taken as what it is, and nobody else is harmed.
func TestHandleMisuse(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull}))
	ok(t, l.BeginScan(ctx, mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}))
	handle := func(name string, validity uint32) *MailboxWriter {
		return must[*MailboxWriter](t)(l.BeginMailbox(ctx, pass, "anna", mailproof.Source, mailproof.Mailbox{Name: name}, mailproof.MailboxState{UIDValidity: validity}))
	}
	w := handle("INBOX", 1)
	good := benchMessage(keyOf(mailproof.Source, 0), 4)
	for name, spoil := range map[string]func(m *mailproof.Message){
		"side":        func(m *mailproof.Message) { m.Side = mailproof.Destination },
		"account":     func(m *mailproof.Message) { m.Account = "bert" },
		"mailbox":     func(m *mailproof.Message) { m.Mailbox = "Sent" },
		"uidvalidity": func(m *mailproof.Message) { m.UIDValidity = 2 },
		"uid":         func(m *mailproof.Message) { m.MessageKey.UID, m.Metadata.UID = 0, 0 },
		"two uids":    func(m *mailproof.Message) { m.Metadata.UID++ },
		"state":       func(m *mailproof.Message) { m.State = 9 },
	} {
		m := good
		spoil(&m)
		if err := w.Add(ctx, m); err == nil {
			t.Errorf("a message of another %s was taken", name)
		}
		if _, err := w.Reread(ctx, m); err == nil {
			t.Errorf("a reading of another %s was taken", name)
		}
	}
	for range 60 { // twice, within a batch and across
		ok(t, w.Add(ctx, good))
	}
	ok(t, w.End(ctx, mailproof.MailboxState{}, mailproof.MailboxScan{Complete: true, Present: 1}))
	none := handle("NoSelect", 0)
	m := good
	m.Mailbox, m.UIDValidity = "NoSelect", 0
	if err := none.Add(ctx, m); err == nil {
		t.Error("a message without a UIDVALIDITY was taken")
	}
	if got := collected(t, none.Known(ctx)); len(got) != 0 {
		t.Errorf("known without a UIDVALIDITY: %v", got)
	}
	if n := count(t, l); n != 1 {
		t.Errorf("%d messages", n)
	}
}

// A cancelled context ends the waiting, not the ledger.
func TestCancel(t *testing.T) {
	l := openBench(t)
	load(t, l, "anna", mailproof.Source, 200)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	inv := must[*Inventory](t)(l.Inventory(ctx, "anna", mailproof.Source))
	var seen int
	var last error
	for _, err := range inv.Rows(ctx, mailproof.TierNone) {
		if last = err; err != nil {
			break
		}
		if seen++; seen == 10 {
			cancel()
		}
	}
	if last == nil && seen < 200 {
		t.Errorf("%d rows of a cancelled stream and no error", seen)
	}
	ok(t, inv.Close())
	if err := l.SetEngagement(ctx, "k", "v"); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled write: %v", err)
	}
	passAgain(t, l, 200)
}

// Many accounts at once over one writer, as a pass does it; run with -race.
func TestManyHandles(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull}))
	var group sync.WaitGroup
	var failed atomic.Int64
	const accounts, boxes, messages = 8, 4, 70
	for a := range accounts {
		account := fmt.Sprint("account", a)
		group.Go(func() {
			err := l.BeginScan(ctx, mailproof.Scan{Pass: pass, Account: account, Side: mailproof.Source})
			for b := range boxes {
				err = errors.Join(err, writeMailbox(ctx, l, pass, account, fmt.Sprint("box", b), messages))
			}
			err = errors.Join(err, l.EndScan(ctx, mailproof.Scan{Pass: pass, Account: account, Side: mailproof.Source, State: mailproof.PassDone}))
			if err != nil {
				failed.Add(1)
				t.Error(err)
			}
		})
	}
	group.Wait()
	got := must[Totals](t)(l.Totals(ctx, mailproof.Source))
	if want := (Totals{Accounts: accounts, Mailboxes: accounts * boxes, Messages: accounts * boxes * messages, Read: accounts * boxes * messages, Bytes: got.Bytes}); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
}

// Rows that nobody waits for are on their way to the disk all the same: what a
// killed pass has to read again is bounded by time.
func TestRowsAreCommittedInTime(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull}))
	ok(t, l.BeginScan(ctx, mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}))
	w := must[*MailboxWriter](t)(l.BeginMailbox(ctx, pass, "anna", mailproof.Source, mailproof.Mailbox{Name: "INBOX"}, mailproof.MailboxState{UIDValidity: 1}))
	for i := range rowsPerInsert {
		ok(t, w.Add(ctx, benchMessage(keyOf(mailproof.Source, 0), i)))
	}
	for count(t, l) == 0 { // the test's own deadline ends it
		if err := ctx.Err(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}
