package transfer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// faulty is an embedded server that fails by chance, and a source for it.
type faulty struct {
	t      *testing.T
	server *imapmem.Server
	src    *fakeSource
	steps  []mailproof.Step
	names  []string

	mu      sync.Mutex
	chance  *rand.Rand
	calm    bool
	before  float64 // of a message to be cut off before it is stored
	after   float64 // of a command to be cut off when its messages are stored
	refused map[mailproof.Hash]bool
	alters  bool // stores other octets than it was given
	further int  // connections that may be had beside the first
}

func newFaulty(t *testing.T, seed uint64, messages int, hide ...string) *faulty {
	f := &faulty{t: t, chance: rand.New(rand.NewPCG(seed, 7)), refused: map[mailproof.Hash]bool{},
		src: &fakeSource{uidvalidity: 3, bodies: map[string]map[mailproof.UID][]byte{}}}
	f.server = imapmem.New(imapmem.Options{Hide: hide,
		OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			switch {
			case f.refused[sha256.Sum256(raw)]:
				return nil, errors.New("[LIMIT] message content refused")
			case !f.calm && f.chance.Float64() < f.before:
				return nil, imapmem.ErrCut
			case f.alters:
				return append(bytes.Clone(raw), "X"...), nil
			}
			return raw, nil
		},
		OnStored: func(string, string, int) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			if !f.calm && f.chance.Float64() < f.after {
				return imapmem.ErrCut
			}
			return nil
		},
	})
	f.server.AddAccount("anna", "pw")
	if err := f.server.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.server.Close() })
	r := rand.New(rand.NewPCG(seed, 1))
	f.names = []string{"INBOX", "Sent", "Archive"}
	for _, name := range f.names {
		f.src.bodies[name] = map[mailproof.UID][]byte{}
		f.server.Account("anna").Create(name)
	}
	for i := range messages {
		name := f.names[i*len(f.names)/messages]
		body := fmt.Appendf(nil, "Subject: %d\r\n\r\n%s\r\n", i, bytes.Repeat([]byte{byte('a' + i%26)}, r.IntN(9000)))
		if i%17 == 1 {
			body = []byte("Subject: a true duplicate\r\n\r\nof several others\r\n")
		}
		uid := mailproof.UID(i + 1)
		f.src.bodies[name][uid] = body
		f.steps = append(f.steps, mailproof.Step{Kind: mailproof.AppendMessage, Account: "anna", Target: name, Size: int64(len(body)), T0: sha256.Sum256(body),
			Source: mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: name, UIDValidity: 3, UID: uid}})
	}
	return f
}

func (f *faulty) run(steps []mailproof.Step) (Summary, *journal, error) {
	f.t.Helper()
	w, err := imapconn.DialWriter(f.t.Context(), imapconn.Config{Endpoint: f.server.Endpoint("anna"), Password: mailproof.NewSecret("pw")})
	if err != nil {
		f.t.Fatal(err)
	}
	defer w.Close()
	j := &journal{t: f.t}
	sum, err := Run(f.t.Context(), f.src, w, j, each(steps), with(func(o *Options) {
		if f.further > 0 {
			o.More, o.WorthMore = f.more(), 1
		}
	}))
	return sum, j, err
}

// more dials further connections, within their number.
func (f *faulty) more() func(context.Context) (Destination, func(), bool) {
	room := make(chan struct{}, f.further)
	return func(ctx context.Context) (Destination, func(), bool) {
		select {
		case room <- struct{}{}:
		default:
			return nil, nil, false
		}
		w, err := imapconn.DialWriter(ctx, imapconn.Config{Endpoint: f.server.Endpoint("anna"), Password: mailproof.NewSecret("pw")})
		if err != nil {
			<-room
			return nil, nil, false
		}
		return w, func() {
			_ = w.Close() // it may be lost
			<-room
		}, true
	}
}

func keyOf(mailbox string, t0 mailproof.Hash) string { return mailbox + " " + t0.String() }

// has counts what the destination has, by mailbox and content.
func (f *faulty) has() map[string]int {
	out := map[string]int{}
	for _, name := range f.names {
		for _, m := range f.server.Account("anna").Messages(name) {
			out[keyOf(name, sha256.Sum256(m.Raw))]++
		}
	}
	return out
}

func (f *faulty) wants() map[string]int {
	out := map[string]int{}
	for _, s := range f.steps {
		if !f.refused[s.T0] {
			out[keyOf(s.Target, s.T0)]++
		}
	}
	return out
}

// missing are the steps whose messages are not there: what a new plan would
// consist of.
func (f *faulty) missing() []mailproof.Step {
	have := f.has()
	var out []mailproof.Step
	for _, s := range f.steps {
		key := keyOf(s.Target, s.T0)
		if have[key] > 0 {
			have[key]--
		} else {
			out = append(out, s)
		}
	}
	return out
}

var capabilitySets = map[string][]string{
	"MULTIAPPEND":            nil,
	"pipelined":              {"MULTIAPPEND"},
	"one by one":             {"MULTIAPPEND", "LITERAL+"},
	"MULTIAPPEND that waits": {"LITERAL+"},
	"without UIDPLUS":        {"UIDPLUS"},
	"nothing at all":         {"MULTIAPPEND", "LITERAL+", "UIDPLUS", "ESEARCH", "CONDSTORE"},
}

// However the connection is cut, before a message is stored or behind it, and
// whatever is refused: nothing arrives twice, what the journal calls done is
// there, and what is not there goes there when it is sent again.
func TestNeverTwiceNeverLost(t *testing.T) {
	seeds := 2
	if os.Getenv("MAILPROOF_LONG") != "" {
		seeds = 100
	}
	type form struct {
		hide    []string
		further int
	}
	forms := map[string]form{}
	for name, hide := range capabilitySets {
		forms[name] = form{hide: hide}
		if slices.Contains(hide, "MULTIAPPEND") { // else one connection is as fast
			forms[name+", over several connections"] = form{hide, 3}
		}
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(seeds) {
				f := newFaulty(t, seed, 250, form.hide...)
				f.further = form.further
				f.before, f.after = f.chance.Float64()*0.02, f.chance.Float64()*0.3
				if seed%2 == 1 {
					for i := range f.steps {
						if f.chance.IntN(10) == 0 && i%17 != 1 {
							f.refused[f.steps[i].T0] = true
						}
					}
				}
				_, j, _ := f.run(f.steps) // whatever it says, what follows must hold
				f.check(seed, j)
				f.mu.Lock()
				f.calm = true
				f.mu.Unlock()
				var err error
				if _, j, err = f.run(f.missing()); err != nil {
					t.Fatalf("seed %d: undisturbed: %v", seed, err)
				}
				f.check(seed, j)
				has := f.has()
				for key, n := range f.wants() {
					if has[key] != n {
						t.Fatalf("seed %d: a message is there %d times, want %d", seed, has[key], n)
					}
				}
			}
		})
	}
}

// check holds the destination against what may be there and what the journal
// says is there.
func (f *faulty) check(seed uint64, j *journal) {
	f.t.Helper()
	wants, has := f.wants(), f.has()
	for key, n := range has {
		if n > wants[key] {
			f.t.Fatalf("seed %d: a message is there %d times, want %d at most", seed, n, wants[key])
		}
	}
	done := map[string]int{}
	for _, r := range j.byState(mailproof.StepDone) {
		done[keyOf(r.Step.Target, r.Step.T0)]++
	}
	for key, n := range done {
		if has[key] < n {
			f.t.Fatalf("seed %d: the journal says that a message arrived %d times, and it is there %d times", seed, n, has[key])
		}
	}
	for _, r := range j.byState(mailproof.StepRefused) {
		if !f.refused[r.Step.T0] {
			f.t.Fatalf("seed %d: %v is called refused: %s", seed, r.Step.Source, r.Reason)
		}
	}
}

// One refused message of a batch keeps none of the others back, in few
// commands.
func TestOneRefused(t *testing.T) {
	f := newFaulty(t, 5, 900)
	f.refused[f.steps[450].T0] = true
	sum, j, err := f.run(f.steps)
	if err != nil || sum.Appended != 899 || sum.Refused != 1 || sum.Failed != 0 {
		t.Fatalf("%+v, %v", sum, err)
	}
	if r := j.byState(mailproof.StepRefused)[0]; r.Step.Source != f.steps[450].Source || r.Reason != "[LIMIT] message content refused" {
		t.Errorf("%+v", r)
	}
	if n := f.server.Account("anna").Activity().Commands["APPEND"]; n > 9+100+10 {
		t.Errorf("%d commands for 900 messages", n)
	}
}

// A server that stores other octets than it was given: after a lost answer
// nothing can be concluded from octets, so nothing is sent again on a guess.
func TestAlteredIsNotSentAgain(t *testing.T) {
	f := newFaulty(t, 6, 300)
	f.alters, f.after = true, 0.5
	_, j, _ := f.run(f.steps)
	n := 0
	for _, count := range f.has() {
		n += count
	}
	if done := len(j.byState(mailproof.StepDone)); n > len(f.steps) || done > n {
		t.Errorf("%d messages arrived of %d, %d are called done", n, len(f.steps), done)
	}
	seen := map[string]bool{}
	for _, name := range f.names {
		for _, m := range f.server.Account("anna").Messages(name) {
			if key := name + string(m.Raw); seen[key] && !bytes.Contains(m.Raw, []byte("true duplicate")) {
				t.Fatalf("%.20q arrived twice", m.Raw)
			} else {
				seen[key] = true
			}
		}
	}
}

// A destination mailbox that is deleted or gets a new UIDVALIDITY under us: its
// messages are not sent again on a guess, the others go on.
func TestMailboxChangesUnderUs(t *testing.T) {
	for _, change := range []string{"deleted", "UIDVALIDITY"} {
		t.Run(change, func(t *testing.T) {
			f := newFaulty(t, 8, 600)
			var once sync.Once
			stored := 0
			inner := f.server
			f.after = 0
			server := imapmem.New(imapmem.Options{OnStored: func(_, mailbox string, n int) error {
				if stored += n; mailbox == "Sent" {
					err := error(nil)
					once.Do(func() {
						a := f.server.Account("anna")
						if change == "deleted" {
							err = a.DeleteMailbox("Sent")
						} else {
							err = a.ResetUIDValidity("Sent")
						}
						if err != nil {
							t.Error(err)
						}
						err = imapmem.ErrCut
					})
					return err
				}
				return nil
			}})
			f.server = server
			t.Cleanup(func() { server.Close(); inner.Close() })
			server.AddAccount("anna", "pw")
			for _, name := range f.names {
				server.Account("anna").Create(name)
			}
			if err := server.Start(t.Context(), mailproof.Plaintext); err != nil {
				t.Fatal(err)
			}
			sum, j, err := f.run(f.steps)
			if err != nil {
				t.Fatal(err)
			}
			wants, has := f.wants(), f.has()
			for key, n := range has {
				if n > wants[key] {
					t.Fatalf("a message is there %d times, want %d", n, wants[key])
				}
			}
			for _, name := range []string{"INBOX", "Archive"} {
				if n := len(server.Account("anna").Messages(name)); n != 200 {
					t.Errorf("%d messages in %s", n, name)
				}
			}
			if change == "UIDVALIDITY" && sum.Refused+sum.Failed == 0 || len(j.results) != 600 {
				t.Errorf("%+v, %d results", sum, len(j.results))
			}
		})
	}
}

// What the quota does not leave room for is never sent, and says so with
// numbers; what fits goes on.
func TestQuota(t *testing.T) {
	src, dst, steps := world(50)
	var all int64
	for _, s := range steps {
		all += s.Size
	}
	dst.quota = all / 2
	j := &journal{t: t}
	sum, err := Run(t.Context(), src, dst, j, each(steps), options())
	if err != nil {
		t.Fatal(err)
	}
	used, _, _, _ := dst.Quota(context.Background())
	if used > dst.quota || sum.Appended == 0 || sum.Refused == 0 || int(sum.Appended+sum.Refused) != len(steps) {
		t.Errorf("%+v, %d of %d octets used", sum, used, dst.quota)
	}
	for _, r := range j.byState(mailproof.StepRefused) {
		if !bytes.Contains([]byte(r.Reason), fmt.Appendf(nil, "of %d octets are used", dst.quota)) {
			t.Fatalf("reason %q", r.Reason)
		}
	}
}

// The limiter is asked for every octet before it is sent, and its error ends
// the account's part.
func TestLimiter(t *testing.T) {
	src, dst, steps := world(300)
	l := &countingLimiter{most: 250}
	sum, err := Run(t.Context(), src, dst, &journal{t: t}, each(steps), with(func(o *Options) { o.Limiter = l }))
	if !errors.Is(err, errBudget) || sum.Appended > 250 || sum.Appended == 0 {
		t.Errorf("%+v, %v", sum, err)
	}
}

var errBudget = errors.New("the day's budget is spent")

type countingLimiter struct{ most, asked int }

func (l *countingLimiter) Wait(_ context.Context, messages int, octets int64) error {
	if l.asked += messages; l.asked > l.most {
		return errBudget
	}
	return nil
}
