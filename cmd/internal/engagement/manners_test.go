package engagement

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/pace"
)

// between is one account between two embedded servers.
type between struct {
	*testing.T
	dir                 string
	source, destination *imapmem.Server
	options             Options
}

func newBetween(t *testing.T, source, destination imapmem.Options) *between {
	t.Helper()
	w := &between{T: t, dir: t.TempDir(), source: imapmem.New(source), destination: imapmem.New(destination)}
	secret := func(context.Context) (mailproof.Secret, error) { return mailproof.NewSecret("pw"), nil }
	a := Account{Account: mailproof.Account{Name: "anna"}, SourcePassword: secret, DestinationPassword: secret}
	for _, s := range []struct {
		server *imapmem.Server
		into   *mailproof.Endpoint
	}{{w.source, &a.Source}, {w.destination, &a.Destination}} {
		s.server.AddAccount("anna", "pw")
		if err := s.server.Start(t.Context(), mailproof.Plaintext); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.server.Close() })
		e, err := mailproof.ParseEndpoint("imap://anna@" + s.server.Addr() + "?tls=none")
		if err != nil {
			t.Fatal(err)
		}
		*s.into = e
	}
	w.options = Options{Accounts: []Account{a}, Roster: []string{"anna"}, Tool: "mailproof test"}
	return w
}

// with opens the engagement as a process of its own would.
func (w *between) with(change func(*Options), f func(*Engagement)) {
	w.Helper()
	o := w.options
	if change != nil {
		change(&o)
	}
	e, err := Open(w.Context(), w.dir, nil, o)
	if err != nil {
		w.Fatal(err)
	}
	f(e)
	if err := e.Close(); err != nil {
		w.Fatal(err)
	}
}

func (w *between) run(change func(*Options)) Comparison {
	w.Helper()
	var c Comparison
	w.with(change, func(e *Engagement) {
		var err error
		if c, err = e.Run(w.Context(), Observer{}); err != nil {
			w.Fatal(err)
		}
	})
	return c
}

func messageOf(i int) []byte {
	return fmt.Appendf(nil, "From: a@example.com\r\nMessage-ID: <m%d@example.com>\r\nSubject: number %d\r\nDate: Fri, 20 Nov 2026 10:00:00 +0000\r\n\r\nbody %d\r\n", i, i, i)
}

func key(raw []byte) string { return fmt.Sprintf("%x", sha256.Sum256(raw)) }

func held(a *imapmem.Account) map[string]int {
	out := map[string]int{}
	for _, name := range a.Mailboxes() {
		for _, m := range a.Messages(name) {
			out[key(m.Raw)]++
		}
	}
	return out
}

// Whatever happens to both sides between the passes, a deletion never takes a
// message that was on the destination before us, that somebody else put there,
// or whose content the source still has; it takes no more than the plan, and
// what it takes was copied by us.
func TestDeleteNeverTooMuch(t *testing.T) {
	taken := 0
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 77))
		w := newBetween(t, imapmem.Options{}, imapmem.Options{})
		src, dst := w.source.Account("anna"), w.destination.Account("anna")
		folders := []string{"INBOX", "Archive", "Sent"}
		for _, f := range folders[1:] {
			src.Create(f)
		}
		date := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		for i := range 60 {
			src.Append(folders[r.IntN(3)], messageOf(i%55), nil, date.Add(time.Duration(i)*time.Minute)) // some twice
		}
		// There before us, some of it with the content of the source.
		protected := map[mailproof.UID][]byte{}
		for range 15 {
			raw := messageOf(r.IntN(80))
			protected[dst.Append("INBOX", raw, nil, date.Add(time.Duration(r.IntN(60))*time.Minute))] = raw
		}
		w.run(nil)
		// The source goes on: deleted, moved, renewed, new mail. The destination too.
		for range 20 {
			f := folders[r.IntN(3)]
			list := src.Messages(f)
			if len(list) == 0 {
				continue
			}
			m := list[r.IntN(len(list))]
			switch r.IntN(5) {
			case 0, 1:
				if err := src.Remove(f, m.UID); err != nil {
					t.Fatal(err)
				}
			case 2:
				if err := src.Remove(f, m.UID); err != nil {
					t.Fatal(err)
				}
				src.Append(folders[r.IntN(3)], m.Raw, m.Flags, m.Date)
			case 3:
				protected[dst.Append("INBOX", m.Raw, nil, m.Date)] = m.Raw // somebody's own copy
			case 4:
				src.Append(f, messageOf(100+r.IntN(50)), nil, date)
			}
		}
		if seed%6 == 5 {
			if err := src.ResetUIDValidity("Archive"); err != nil {
				t.Fatal(err)
			}
		}
		w.run(nil)
		before := held(dst)
		w.with(nil, func(e *Engagement) {
			plans, err := e.DeletionPlans(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			n, _ := DeletionCount(plans)
			if _, err := e.Delete(t.Context(), n+1); !errors.Is(err, ErrDeletionCount) {
				t.Fatalf("another number was taken: %v", err)
			}
			if got := held(dst); len(got) != len(before) {
				t.Fatal("deleted with a wrong number")
			}
			res, err := e.Delete(t.Context(), n)
			if err != nil || res.Deleted != n || res.Kept+res.Failed != 0 {
				t.Fatalf("seed %d: %+v of %d, %v", seed, res, n, err)
			}
			taken += int(n)
			after := held(dst)
			gone := 0
			for k, had := range before {
				gone += had - after[k]
			}
			if gone != int(n) {
				t.Errorf("seed %d: %d messages are gone, %d were planned", seed, gone, n)
			}
			there := map[mailproof.UID][]byte{}
			for _, m := range dst.Messages("INBOX") {
				there[m.UID] = m.Raw
			}
			for uid, raw := range protected {
				if string(there[uid]) != string(raw) {
					t.Errorf("seed %d: uid %d, which was not ours, is gone", seed, uid)
				}
			}
			for k := range held(src) {
				if after[k] < before[k] {
					t.Errorf("seed %d: a message was deleted whose content the source has", seed)
				}
			}
			if list, err := e.ledger.Deletions(t.Context()); err != nil || len(list) != int(n) {
				t.Errorf("seed %d: the ledger has %d deletions of %d, %v", seed, len(list), n, err)
			}
			// Once more: nothing is left to delete before the destination was read again.
			if res, err := e.Delete(t.Context(), 0); err != nil || res.Deleted != 0 {
				t.Error(res, err)
			}
		})
		if act := src.Activity(); act.Writes != 0 {
			t.Errorf("the source was written to: %+v", act)
		}
		// Nothing of the source is missing afterwards.
		if c := w.run(nil); c.Totals.Missing != 0 {
			t.Errorf("seed %d: %d missing after the deletion", seed, c.Totals.Missing)
		}
	}
	if taken == 0 {
		t.Error("nothing was ever deleted: the test tests nothing")
	}
}

// Without UIDPLUS nobody knows which message is ours, nor could it be deleted by
// itself.
func TestDeleteNeedsUIDPlus(t *testing.T) {
	w := newBetween(t, imapmem.Options{}, imapmem.Options{Hide: []string{"UIDPLUS"}})
	src := w.source.Account("anna")
	for i := range 5 {
		src.Append("INBOX", messageOf(i), nil, time.Unix(1e9, 0))
	}
	w.run(nil)
	if err := src.Remove("INBOX", src.Messages("INBOX")[0].UID); err != nil {
		t.Fatal(err)
	}
	w.run(nil)
	w.with(nil, func(e *Engagement) {
		plans, err := e.DeletionPlans(t.Context())
		if n, _ := DeletionCount(plans); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// What is not any more what it was is kept.
func TestDeleteKeepsWhatChanged(t *testing.T) {
	w := newBetween(t, imapmem.Options{}, imapmem.Options{})
	src := w.source.Account("anna")
	for i := range 5 {
		src.Append("INBOX", messageOf(i), nil, time.Unix(1e9, 0))
	}
	w.run(nil)
	if err := src.Remove("INBOX", src.Messages("INBOX")[0].UID); err != nil {
		t.Fatal(err)
	}
	w.run(nil)
	// A message whose octets changed under its UID would be kept: here the plan
	// rests on an inventory, and the folder is made anew behind it.
	w.with(nil, func(e *Engagement) {
		plans, err := e.DeletionPlans(t.Context())
		if n, _ := DeletionCount(plans); n != 1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		if err := w.destination.Account("anna").ResetUIDValidity("INBOX"); err != nil {
			t.Fatal(err)
		}
		res, err := e.Delete(t.Context(), 1)
		if len(res.Failures) == 0 && res.Kept != 1 || res.Deleted != 0 || err != nil {
			t.Errorf("%+v, %v", res, err)
		}
	})
	if n := len(w.destination.Account("anna").Messages("INBOX")); n != 5 {
		t.Errorf("%d messages are left", n)
	}
}

// Dry runs write nothing to the destination, whatever there is to do.
func TestDryRunWritesNothing(t *testing.T) {
	w := newBetween(t, imapmem.Options{}, imapmem.Options{})
	src, dst := w.source.Account("anna"), w.destination.Account("anna")
	src.Create("Archive")
	for i := range 40 {
		src.Append([]string{"INBOX", "Archive"}[i%2], messageOf(i), mailproof.NewFlags(`\Seen`), time.Unix(1e9, 0))
	}
	dst.Append("INBOX", messageOf(0), nil, time.Unix(1e9, 0))
	before := dst.Activity().Writes
	w.with(nil, func(e *Engagement) {
		for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
			if _, err := e.Inventory(t.Context(), side); err != nil {
				t.Fatal(err)
			}
		}
		plans, err := e.DryRun(t.Context())
		if err != nil || len(plans) != 1 {
			t.Fatal(plans, err)
		}
		p := plans[0]
		if p.Append != 39 || p.Flags != 1 || p.Create != 1 || len(p.Folders) != 2 || p.Folders[0].Folder != "Archive" || p.Folders[0].Append != 20 || !p.Folders[0].Create || p.Folders[1].Flags != 1 {
			t.Errorf("%+v", p)
		}
		var octets int64
		for _, f := range p.Folders {
			octets += f.AppendBytes
		}
		if octets != p.AppendBytes {
			t.Errorf("%d octets by folder, %d in all", octets, p.AppendBytes)
		}
		if _, err := e.DeletionPlans(t.Context()); err != nil {
			t.Error(err)
		}
	})
	if act := dst.Activity(); act.Writes != before {
		t.Errorf("the destination was written to: %+v", act)
	}
}

// A day's budget is one over all processes: each day takes no more than it, ends
// at a message boundary, and in the end all is there once.
func TestBudgetOverDays(t *testing.T) {
	w := newBetween(t, imapmem.Options{}, imapmem.Options{})
	src := w.source.Account("anna")
	for i := range 60 {
		src.Append("INBOX", append(messageOf(i), make([]byte, 20_000)...), nil, time.Unix(1e9+int64(i), 0))
	}
	const limit = 500_000
	now := time.Date(2026, 3, 1, 22, 0, 0, 0, time.UTC)
	set := func(o *Options) {
		o.Pace.BytesPerDay, o.Now = limit, func() time.Time { return now }
	}
	for day := 1; ; day++ {
		var c Comparison
		var resume time.Time
		w.with(set, func(e *Engagement) {
			see := func(f []Failure) {
				if at := ResumeAt(f); at.After(resume) {
					resume = at
				}
			}
			var err error
			c, err = e.Run(t.Context(), Observer{Inventory: func(r InventoryResult) { see(r.Failures) }, Copy: func(r CopyResult) { see(r.Failures) }})
			if err != nil {
				t.Fatal(err)
			}
			for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
				for _, d := range []pace.Direction{pace.Down, pace.Up} {
					used, err := book{e.ledger, login{"anna", side}}.Used(t.Context(), pace.Day(now), d)
					// What is not bodies passes beside the budget: listings, acknowledgements.
					if err != nil || used > limit+100_000 {
						t.Errorf("day %d, %s %s: %d octets, %v", day, side, d, used, err)
					}
				}
			}
		})
		if c.Accounts[0].Verdict == mailproof.Complete {
			if day < 3 {
				t.Errorf("1.2 MB through a budget of 0.5 MB a day in %d days", day)
			}
			break
		}
		if c.Accounts[0].Verdict != mailproof.Inconclusive && c.Accounts[0].Verdict != mailproof.Incomplete {
			t.Fatalf("day %d: %s", day, c.Accounts[0].Verdict)
		}
		if !resume.After(now) || day > 12 {
			t.Fatalf("day %d: when to go on is not said: %v", day, resume)
		}
		// The same day once more: nothing more passes.
		now = resume
	}
	got := held(w.destination.Account("anna"))
	if len(got) != 60 || slices.ContainsFunc(slices.Collect(mapsValues(got)), func(n int) bool { return n != 1 }) {
		t.Errorf("%d messages", len(got))
	}
}

func mapsValues(m map[string]int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for _, v := range m {
			if !yield(v) {
				return
			}
		}
	}
}

// A server that has too many connections gets fewer, waits end when one comes
// free, and there is always one.
func TestLinesGiveWay(t *testing.T) {
	var l lines
	var leave []func()
	for range 4 {
		out, err := l.enter(t.Context(), "x", 0)
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, out)
	}
	if most, lowered := l.lower("x"); most != 3 || !lowered {
		t.Errorf("%d, %v", most, lowered)
	}
	if _, ok := l.tryEnter("x", 0); ok {
		t.Error("a connection more than the server takes")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.enter(ctx, "x", 0); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	leave[0]()
	leave[0]() // twice is once
	leave[1]()
	if out, ok := l.tryEnter("x", 0); !ok {
		t.Error("a free place was not given")
	} else {
		out()
	}
	leave[2]()
	leave[3]()
	for range 5 {
		l.lower("x")
	}
	if _, ok := l.tryEnter("x", 0); !ok {
		t.Error("no connection at all")
	}
}
