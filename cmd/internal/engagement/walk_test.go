package engagement

import (
	"bytes"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// Whatever happened to both sides between readings of which each rests on the
// one before, COMPLETE means that each message of the source has one of its own
// on the destination, octet for octet, and is said where each has one in its
// folder. MAILPROOF_LONG=1 walks further.
func TestWalkOfReadings(t *testing.T) {
	walks := uint64(3)
	if os.Getenv("MAILPROOF_LONG") != "" {
		walks = 150
	}
	verdicts := map[mailproof.Verdict]int{}
	for seed := range walks {
		rng := rand.New(rand.NewPCG(seed, 11))
		hide := [][]string{nil, {"CONDSTORE"}}[rng.IntN(2)]
		w := newBetween(t, imapmem.Options{Hide: hide}, imapmem.Options{Hide: hide})
		walk := &walk{between: w, rng: rng, folders: []string{"INBOX", "Archive", "Projects"}}
		for range 6 {
			for range 1 + rng.IntN(8) {
				walk.step()
			}
			if rng.IntN(3) > 0 {
				walk.repair()
			}
			c := w.inventories()
			var v mailproof.Verdict
			w.with(nil, func(e *Engagement) {
				d, err := e.Document(t.Context(), c)
				if err != nil {
					t.Fatal(err)
				}
				v = d.Verdict
			})
			verdicts[v]++
			somewhere, inPlace := walk.truth()
			if v == mailproof.Complete && !somewhere {
				t.Fatalf("seed %d: COMPLETE, and the destination lacks a message: %+v", seed, c.Totals)
			}
			if v != mailproof.Complete && inPlace && walk.any() {
				t.Fatalf("seed %d: %v, and every message is in its place: %+v %+v", seed, v, c.Totals, c.Accounts[0].Findings)
			}
		}
	}
	t.Logf("%v", verdicts)
	if verdicts[mailproof.Complete] == 0 || verdicts[mailproof.Incomplete] == 0 {
		t.Errorf("%v: one side of it was never met", verdicts)
	}
}

type walk struct {
	*between
	rng     *rand.Rand
	folders []string
	n       int
}

func (w *walk) any() bool {
	for _, f := range w.folders {
		if len(w.source.Account("anna").Messages(f)) > 0 {
			return true
		}
	}
	return false
}

func (w *walk) folder() string { return w.folders[w.rng.IntN(len(w.folders))] }

func (w *walk) pick(a *imapmem.Account) (string, *imapmem.Message) {
	f := w.folder()
	list := a.Messages(f)
	if len(list) == 0 {
		return f, nil
	}
	return f, &list[w.rng.IntN(len(list))]
}

func (w *walk) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// step does something to one side behind the back of the engagement.
func (w *walk) step() {
	src, dst := w.source.Account("anna"), w.destination.Account("anna")
	side := []*imapmem.Account{src, dst}[w.rng.IntN(2)]
	switch f, m := w.pick(side); w.rng.IntN(9) {
	case 0, 1:
		w.n++
		src.Append(w.folder(), messageOf(w.n), nil, time.Unix(1_700_000_000+int64(w.n), 0))
	case 2: // once more
		if m != nil {
			side.Append(w.folder(), m.Raw, m.Flags, m.Date)
		}
	case 3:
		if m != nil {
			w.must(side.Remove(f, m.UID))
		}
	case 4: // another body, or another date, under the same name
		if g, m := w.pick(src); m != nil {
			dst.Append(g, bytes.Replace(m.Raw, []byte("body"), []byte("bodz"), 1), m.Flags, m.Date)
		}
	case 5: // moved
		if m != nil {
			w.must(side.Remove(f, m.UID))
			side.Append(w.folder(), m.Raw, m.Flags, m.Date)
		}
	case 6:
		if slices.Contains(side.Mailboxes(), f) {
			w.must(side.ResetUIDValidity(f))
		}
	case 7:
		if f != "INBOX" && slices.Contains(side.Mailboxes(), f) {
			w.must(side.DeleteMailbox(f))
		}
	case 8:
		if m != nil {
			w.must(side.SetFlags(f, m.UID, mailproof.NewFlags(`\Seen`)))
		}
	}
}

// repair puts on the destination what it lacks, folder by folder.
func (w *walk) repair() {
	src, dst := w.source.Account("anna"), w.destination.Account("anna")
	for _, f := range w.folders {
		have := map[string]int{}
		for _, m := range dst.Messages(f) {
			have[string(m.Raw)]++
		}
		for _, m := range src.Messages(f) {
			if have[string(m.Raw)]--; have[string(m.Raw)] < 0 {
				dst.Append(f, m.Raw, m.Flags, m.Date)
			}
		}
	}
}

// truth looks at what both servers store.
func (w *walk) truth() (somewhere, inPlace bool) {
	src, dst := w.source.Account("anna"), w.destination.Account("anna")
	inPlace, somewhere = true, true
	all := held(dst)
	for _, f := range w.folders {
		have := map[string]int{}
		for _, m := range dst.Messages(f) {
			have[key(m.Raw)]++
		}
		for _, m := range src.Messages(f) {
			if have[key(m.Raw)]--; have[key(m.Raw)] < 0 {
				inPlace = false
			}
			if all[key(m.Raw)]--; all[key(m.Raw)] < 0 {
				somewhere = false
			}
		}
	}
	return somewhere, inPlace
}
