package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/spool"
)

// fakeSource serves bodies by mailbox and UID, and can fail in each way that
// the interface allows.
type fakeSource struct {
	uidvalidity uint32
	bodies      map[string]map[mailproof.UID][]byte
	selected    string
	examineErr  map[string]error
	unreadable  map[mailproof.UID]string
	cut         map[mailproof.UID]int // octets after which the body ends
	twice       bool                  // deliver every body twice
	dieAfter    int                   // bodies after which the connection is gone; 0: never
	served      int
}

func (f *fakeSource) Examine(_ context.Context, mailbox string) (mailproof.MailboxState, error) {
	if err := f.examineErr[mailbox]; err != nil {
		return mailproof.MailboxState{}, err
	}
	f.selected = mailbox
	return mailproof.MailboxState{UIDValidity: f.uidvalidity}, nil
}

var errGone = &mailproof.ServerError{Kind: mailproof.ErrConnection, Text: "gone"}

func (f *fakeSource) Bodies(ctx context.Context, want []mailproof.Metadata, read func(mailproof.UID, int64, io.Reader) error) (map[mailproof.UID]string, error) {
	unread := map[mailproof.UID]string{}
	for _, md := range want {
		if ctx.Err() != nil {
			return unread, ctx.Err()
		}
		if f.dieAfter > 0 && f.served >= f.dieAfter {
			return unread, errGone
		}
		if reason, ok := f.unreadable[md.UID]; ok {
			unread[md.UID] = reason
			continue
		}
		body := f.bodies[f.selected][md.UID]
		var r io.Reader = bytes.NewReader(body)
		if n, ok := f.cut[md.UID]; ok {
			r = io.MultiReader(bytes.NewReader(body[:n]), errReader{io.ErrUnexpectedEOF})
		}
		err := read(md.UID, int64(len(body)), r)
		if f.twice && err == nil {
			err = read(md.UID, int64(len(body)), bytes.NewReader(body))
		}
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			unread[md.UID] = "cut short"
		case err != nil:
			return unread, err
		}
		f.served++
	}
	return unread, nil
}

type errReader struct{ err error }

func (r errReader) Read([]byte) (int, error) { return 0, r.err }

// fakeDestination keeps what it is given.
type fakeDestination struct {
	mu        sync.Mutex
	mailboxes map[string][][]byte
	flags     map[string]mailproof.Flags
	createErr map[string]error
	appendErr func(mailbox string, body []byte) error
	next      mailproof.UID
	uids      map[string][]mailproof.UID
	noMulti   bool
	quota     int64
}

func (f *fakeDestination) Create(_ context.Context, mailbox string, _ mailproof.SpecialUse) error {
	if err := f.createErr[mailbox]; err != nil {
		return err
	}
	if f.mailboxes[mailbox] == nil {
		f.mailboxes[mailbox] = [][]byte{}
	}
	return nil
}

func (f *fakeDestination) Subscribe(context.Context, string) error { return nil }

// StartAppend adds a batch as a whole, or each message by itself. appendErr
// refuses a message, or, with an error of the connection, loses it before
// anything of the command is carried out.
func (f *fakeDestination) StartAppend(_ context.Context, mailbox string, batch []mailproof.Outgoing, singly bool) (func(context.Context) ([]mailproof.Receipt, error), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	receipts := make([]mailproof.Receipt, len(batch))
	bodies := make([][]byte, len(batch))
	for i, m := range batch {
		b, err := io.ReadAll(m.Body)
		if err != nil || int64(len(b)) != m.Size {
			return nil, fmt.Errorf("announced %d octets, got %d, %v", m.Size, len(b), err)
		}
		bodies[i] = b
	}
	var lost error
	add := func(i int) {
		f.mailboxes[mailbox] = append(f.mailboxes[mailbox], bodies[i])
		f.next++
		f.uids[mailbox] = append(f.uids[mailbox], f.next)
		receipts[i] = mailproof.Receipt{Fate: mailproof.FateAdded, UIDValidity: 7, UID: f.next}
	}
	if singly || f.noMulti {
		for i := range batch {
			err := f.refuse(mailbox, bodies[i])
			switch {
			case lost != nil:
				receipts[i].Fate = mailproof.FateNotSent
			case err == nil:
				add(i)
			case mailproof.KindOf(err) == mailproof.ErrConnection:
				lost = err
			default:
				receipts[i] = mailproof.Receipt{Fate: mailproof.FateRefused, Err: err}
			}
		}
	} else if i, err := f.refuseAny(mailbox, bodies); err == nil {
		for i := range batch {
			add(i)
		}
	} else if mailproof.KindOf(err) == mailproof.ErrConnection {
		lost = err
		_ = i
	} else {
		for i := range receipts {
			receipts[i] = mailproof.Receipt{Fate: mailproof.FateRefused, Err: err, Whole: len(batch) > 1}
		}
	}
	return func(context.Context) ([]mailproof.Receipt, error) { return receipts, lost }, nil
}

func (f *fakeDestination) refuse(mailbox string, body []byte) error {
	if f.appendErr == nil {
		return nil
	}
	return f.appendErr(mailbox, body)
}

func (f *fakeDestination) refuseAny(mailbox string, bodies [][]byte) (int, error) {
	for i, b := range bodies {
		if err := f.refuse(mailbox, b); err != nil {
			return i, err
		}
	}
	return 0, nil
}

func (f *fakeDestination) State(_ context.Context, mailbox string) (mailproof.MailboxState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return mailproof.MailboxState{UIDValidity: 7, UIDNext: f.next + 1, Exists: uint32(len(f.mailboxes[mailbox]))}, nil
}

func (f *fakeDestination) ReadSince(_ context.Context, mailbox string, from mailproof.UID, read func(mailproof.UID, int64, io.Reader) error) (mailproof.MailboxState, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, uid := range f.uids[mailbox] {
		if uid < from {
			continue
		}
		b := f.mailboxes[mailbox][i]
		if err := read(uid, int64(len(b)), bytes.NewReader(b)); err != nil {
			return mailproof.MailboxState{}, err
		}
	}
	return mailproof.MailboxState{UIDValidity: 7, UIDNext: f.next + 1}, nil
}

func (f *fakeDestination) Quota(context.Context) (int64, int64, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var used int64
	for _, list := range f.mailboxes {
		for _, b := range list {
			used += int64(len(b))
		}
	}
	return used, f.quota, f.quota > 0, nil
}

func (f *fakeDestination) StoreFlags(_ context.Context, mailbox string, _ uint32, uid mailproof.UID, add, _ mailproof.Flags) error {
	if f.flags == nil {
		f.flags = map[string]mailproof.Flags{}
	}
	f.flags[fmt.Sprint(mailbox, uid)] = add
	return nil
}

// journal checks that nothing is claimed that was not intended before.
type journal struct {
	t        *testing.T
	mu       sync.Mutex
	intended map[mailproof.MessageKey]bool
	results  []mailproof.StepResult
	err      error
	tickets  int64
}

func (j *journal) Intend(_ context.Context, _ mailproof.PassID, steps []mailproof.Step) ([]int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.intended == nil {
		j.intended = map[mailproof.MessageKey]bool{}
	}
	tickets := make([]int64, len(steps))
	for i, s := range steps {
		j.intended[s.Source] = true
		j.tickets++
		tickets[i] = j.tickets
	}
	return tickets, j.err
}

func (j *journal) Record(_ context.Context, _ mailproof.PassID, _ []int64, rs []mailproof.StepResult) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, r := range rs {
		if r.State == mailproof.StepDone && r.Step.Kind == mailproof.AppendMessage && !j.intended[r.Step.Source] {
			j.t.Errorf("%v was appended without having been journalled first", r.Step.Source)
		}
	}
	j.results = append(j.results, rs...)
	return nil
}

func (j *journal) byState(s mailproof.StepState) []mailproof.StepResult {
	var out []mailproof.StepResult
	for _, r := range j.results {
		if r.State == s {
			out = append(out, r)
		}
	}
	return out
}

// world is a source with messages and the steps that would copy them.
func world(n int, sizes ...int) (*fakeSource, *fakeDestination, []mailproof.Step) {
	src := &fakeSource{uidvalidity: 3, bodies: map[string]map[mailproof.UID][]byte{"INBOX": {}}}
	dst := &fakeDestination{mailboxes: map[string][][]byte{}, uids: map[string][]mailproof.UID{}}
	r := rand.New(rand.NewPCG(1, uint64(n)))
	var steps []mailproof.Step
	for i := range n {
		size := 100 + r.IntN(3000)
		if i < len(sizes) {
			size = sizes[i]
		}
		body := bytes.Repeat([]byte{byte('a' + i%26)}, size)
		uid := mailproof.UID(i + 1)
		src.bodies["INBOX"][uid] = body
		steps = append(steps, mailproof.Step{Kind: mailproof.AppendMessage, Account: "anna", Target: "INBOX", Size: int64(size), T0: sha256.Sum256(body),
			Source: mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: "INBOX", UIDValidity: 3, UID: uid}})
	}
	return src, dst, steps
}

// options have short pauses and no limits.
func options() Options {
	return Options{Pass: 1, Account: "anna", Spool: spoolIn("", 0, 0), Pause: time.Microsecond, Settle: time.Microsecond}
}

func with(set func(*Options)) Options {
	o := options()
	set(&o)
	return o
}

func spoolIn(dir string, perMessage, budget int64) Spool {
	p := spool.New(spool.Options{Dir: dir, PerMessage: perMessage, Budget: budget})
	return func(ctx context.Context, size int64, body io.Reader) (Body, error) { return p.Take(ctx, size, body) }
}

func each(steps []mailproof.Step) func(func(mailproof.Step, error) bool) {
	return func(yield func(mailproof.Step, error) bool) {
		for _, s := range steps {
			if !yield(s, nil) {
				return
			}
		}
	}
}

// Whatever is appended is octet for octet what the source holds, once.
func checkIntact(t *testing.T, src *fakeSource, dst *fakeDestination, want int) {
	t.Helper()
	var have []string
	for _, bodies := range dst.mailboxes {
		for _, b := range bodies {
			have = append(have, string(b))
		}
	}
	if len(have) != want {
		t.Errorf("%d messages arrived, want %d", len(have), want)
	}
	slices.Sort(have)
	for _, b := range have {
		found := false
		for _, s := range src.bodies["INBOX"] {
			found = found || string(s) == b
		}
		if !found {
			t.Errorf("a message of %d octets arrived that the source does not hold", len(b))
		}
	}
}

func TestCopy(t *testing.T) {
	for _, tt := range []struct {
		name                          string
		set                           func(*fakeSource, *fakeDestination, *Options, []mailproof.Step)
		arrived, refused, failed, all int
		err                           bool
		reason                        string
	}{
		{name: "all", arrived: 1200},
		{name: "every body delivered twice", arrived: 1200, set: func(s *fakeSource, _ *fakeDestination, _ *Options, _ []mailproof.Step) { s.twice = true }},
		{name: "refused by the server", arrived: 1199, refused: 1, reason: "[TOOBIG] not today",
			set: func(s *fakeSource, d *fakeDestination, _ *Options, _ []mailproof.Step) {
				d.appendErr = func(_ string, b []byte) error {
					if bytes.Equal(b, s.bodies["INBOX"][700]) {
						return &mailproof.ServerError{Kind: mailproof.ErrRefused, Code: "TOOBIG", Text: "not today"}
					}
					return nil
				}
			}},
		{name: "larger than APPENDLIMIT", arrived: 1199, refused: 1, reason: "exceeds the destination's APPENDLIMIT of 4000",
			set: func(s *fakeSource, _ *fakeDestination, o *Options, steps []mailproof.Step) {
				o.AppendLimit = 4000
				body := bytes.Repeat([]byte("z"), 5000)
				s.bodies["INBOX"][9], steps[8].Size, steps[8].T0 = body, 5000, sha256.Sum256(body)
			}},
		{name: "cut short at the source", arrived: 1199, failed: 1, reason: "source: cut short",
			set: func(s *fakeSource, _ *fakeDestination, _ *Options, _ []mailproof.Step) {
				s.cut = map[mailproof.UID]int{5: 50}
			}},
		{name: "unreadable at the source", arrived: 1198, failed: 2, reason: "source: NO [SERVERBUG]",
			set: func(s *fakeSource, _ *fakeDestination, _ *Options, _ []mailproof.Step) {
				s.unreadable = map[mailproof.UID]string{5: "NO [SERVERBUG]", 6: "NO [SERVERBUG]"}
			}},
		{name: "other octets than at the inventory", arrived: 1199, failed: 1, reason: "other octets",
			set: func(s *fakeSource, _ *fakeDestination, _ *Options, _ []mailproof.Step) {
				s.bodies["INBOX"][5] = bytes.ToUpper(s.bodies["INBOX"][5])
			}},
		{name: "UIDVALIDITY changed", failed: 1200, reason: "take a new inventory",
			set: func(s *fakeSource, _ *fakeDestination, _ *Options, _ []mailproof.Step) { s.uidvalidity = 4 }},
		{name: "source folder cannot be opened", failed: 1200, reason: "no such",
			set: func(s *fakeSource, _ *fakeDestination, _ *Options, _ []mailproof.Step) {
				s.examineErr = map[string]error{"INBOX": &mailproof.ServerError{Kind: mailproof.ErrNoMailbox, Text: "no such"}}
			}},
		{name: "source dies", arrived: 600, err: true,
			set: func(s *fakeSource, _ *fakeDestination, _ *Options, _ []mailproof.Step) { s.dieAfter = 600 }},
		{name: "destination dies", arrived: -1, err: true,
			set: func(_ *fakeSource, d *fakeDestination, _ *Options, _ []mailproof.Step) {
				d.appendErr = func(string, []byte) error {
					if len(d.mailboxes["INBOX"]) >= 100 {
						return errGone
					}
					return nil
				}
			}},
		{name: "small budget, everything through files", arrived: 1200,
			set: func(_ *fakeSource, _ *fakeDestination, o *Options, _ []mailproof.Step) {
				o.Spool = spoolIn("", 200, 9000)
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, dst, steps := world(1200)
			dir := t.TempDir()
			o := options()
			o.Spool = spoolIn(dir, 0, 0)
			if tt.set != nil {
				tt.set(src, dst, &o, steps)
			}
			j := &journal{t: t}
			sum, err := Run(t.Context(), src, dst, j, each(steps), o)
			if (err != nil) != tt.err {
				t.Fatalf("error %v, want one: %v", err, tt.err)
			}
			if tt.arrived >= 0 {
				checkIntact(t, src, dst, tt.arrived)
			}
			if int(sum.Appended) != len(j.byState(mailproof.StepDone)) || int(sum.Appended) != len(dst.mailboxes["INBOX"]) {
				t.Errorf("summary says %d appended, journal %d, destination %d", sum.Appended, len(j.byState(mailproof.StepDone)), len(dst.mailboxes["INBOX"]))
			}
			if !tt.err {
				if int(sum.Refused) != tt.refused || int(sum.Failed) != tt.failed || len(j.results) != len(steps) {
					t.Errorf("refused %d failed %d results %d, want %d %d %d", sum.Refused, sum.Failed, len(j.results), tt.refused, tt.failed, len(steps))
				}
			}
			if tt.reason != "" {
				bad := append(j.byState(mailproof.StepRefused), j.byState(mailproof.StepFailed)...)
				if len(bad) == 0 || !strings.Contains(bad[0].Reason, tt.reason) {
					t.Errorf("reason %+v, want %q", bad, tt.reason)
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
				t.Errorf("left in the spool: %v, %v", left, err)
			}
		})
	}
}

// A folder that cannot be created refuses its messages with the reason; the
// others go on.
func TestCreateRefused(t *testing.T) {
	src, dst, steps := world(10)
	for i := range steps[:4] {
		steps[i].Target = "Odd"
	}
	dst.createErr = map[string]error{"Odd": &mailproof.ServerError{Kind: mailproof.ErrRefused, Text: "Folder name is reserved"}}
	all := append([]mailproof.Step{{Kind: mailproof.CreateMailbox, Target: "Odd"}, {Kind: mailproof.CreateMailbox, Target: "Fine"}, {Kind: mailproof.SubscribeMailbox, Target: "Fine"}}, steps...)
	j := &journal{t: t}
	sum, err := Run(t.Context(), src, dst, j, each(all), options())
	if err != nil {
		t.Fatal(err)
	}
	if sum.Appended != 6 || sum.Refused != 5 || sum.Created != 1 || sum.FailedMailboxes != 1 {
		t.Errorf("%+v", sum)
	}
	for _, r := range j.byState(mailproof.StepRefused) {
		if !strings.Contains(r.Reason, "Folder name is reserved") {
			t.Errorf("the server's words are lost: %q", r.Reason)
		}
	}
	checkIntact(t, src, dst, 6)
}

// Stopping at any message leaves whole messages only, and all that was
// appended is in the journal.
func TestStopAnywhere(t *testing.T) {
	for _, n := range []int{0, 1, 37, 500, 501, 999} {
		src, dst, steps := world(1000)
		stop := make(chan struct{})
		var once sync.Once
		dst.appendErr = func(string, []byte) error {
			if len(dst.mailboxes["INBOX"]) == n {
				once.Do(func() { close(stop) })
			}
			return nil
		}
		j := &journal{t: t}
		if n == 0 {
			once.Do(func() { close(stop) })
		}
		_, err := Run(t.Context(), src, dst, j, each(steps), with(func(o *Options) { o.Stop = stop }))
		arrived := len(dst.mailboxes["INBOX"])
		if arrived < n || arrived != len(j.byState(mailproof.StepDone)) {
			t.Errorf("stopped after %d: %d arrived, %d in the journal", n, arrived, len(j.byState(mailproof.StepDone)))
		}
		if arrived < 1000 && !errors.Is(err, ErrStopped) {
			t.Errorf("stopped after %d with %d arrived: error %v", n, arrived, err)
		}
		checkIntact(t, src, dst, arrived)
	}
}

// Cancelling ends the pass soon, and no spool is left.
func TestCancel(t *testing.T) {
	src, dst, steps := world(1000)
	ctx, cancel := context.WithCancel(t.Context())
	dst.appendErr = func(string, []byte) error {
		if len(dst.mailboxes["INBOX"]) >= 10 {
			cancel()
		}
		return nil
	}
	j := &journal{t: t}
	if _, err := Run(ctx, src, dst, j, each(steps), options()); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v", err)
	}
	checkIntact(t, src, dst, len(j.byState(mailproof.StepDone)))
}

// Nothing is sent when the intention cannot be journalled.
func TestJournalFails(t *testing.T) {
	src, dst, steps := world(5)
	full := errors.New("disk full")
	if _, err := Run(t.Context(), src, dst, &journal{t: t, err: full}, each(steps), options()); !errors.Is(err, full) {
		t.Fatalf("error %v", err)
	}
	checkIntact(t, src, dst, 0)
}

// An error of the plan ends the pass with what came before it done.
func TestPlanFails(t *testing.T) {
	src, dst, steps := world(5)
	bad := errors.New("ledger cannot be read")
	j := &journal{t: t}
	_, err := Run(t.Context(), src, dst, j, func(yield func(mailproof.Step, error) bool) {
		for _, s := range steps {
			if !yield(s, nil) {
				return
			}
		}
		yield(mailproof.Step{}, bad)
	}, options())
	if !errors.Is(err, bad) {
		t.Fatalf("error %v", err)
	}
}
