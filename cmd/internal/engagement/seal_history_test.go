package engagement

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/report/evidence"
)

// sealedAfter fills a ledger, lets somebody change it, and seals it.
func sealedAfter(t *testing.T, fill func(*Engagement), change string, o SealOptions) (s evidence.Sealed, dir string, err error) {
	t.Helper()
	dir = t.TempDir()
	open := func() *Engagement {
		e, err := Open(t.Context(), dir, nil, Options{Tool: "mailproof test"})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	done := func(e *Engagement) {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	e := open()
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		fillSide(t, e.ledger, side, []string{"anna", "bert"}, 1200)
	}
	if fill != nil {
		fill(e)
	}
	done(e)
	if change != "" {
		db, err := sql.Open("sqlite", filepath.Join(dir, "mailproof.db"))
		if err == nil {
			_, err = db.ExecContext(t.Context(), "DROP TRIGGER message_fixed; DROP TRIGGER detail_fixed; "+change)
		}
		if err := errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	e = open()
	defer done(e)
	if o.Key, err = evidence.NewKey(); err != nil {
		t.Fatal(err)
	}
	o.Out, o.Profile = filepath.Join(dir, "bundle"), evidence.Full
	s, _, err = e.Seal(t.Context(), o)
	return s, dir, err
}

// The history is checked while the bundle is built. Whichever of the two meets
// what somebody changed first: the history is named, and nothing is left.
func TestSealOfChangedHistory(t *testing.T) {
	last := "(SELECT max(id) FROM message)"
	for name, change := range map[string]string{
		"what can be built all the same":   "UPDATE message SET size = size + 1 WHERE id = " + last,
		"what stops the building at once":  "UPDATE detail SET detail = x'ff' WHERE message = (SELECT min(message) FROM detail)",
		"what stops the building at last":  "UPDATE detail SET detail = x'ff' WHERE message = (SELECT max(message) FROM detail)",
		"what the two sides disagree over": "UPDATE message SET state = 1, hashes = NULL, reason = 'x' WHERE id = " + last,
	} {
		t.Run(name, func(t *testing.T) {
			_, dir, err := sealedAfter(t, nil, change, SealOptions{Told: func(text string) { t.Errorf("told: %s", text) }})
			if !errors.Is(err, ErrHistory) {
				t.Errorf("got %v, want %v", err, ErrHistory)
			}
			entries, err := os.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if e.IsDir() {
					t.Errorf("%s is left", e.Name())
				}
			}
		})
	}
}

// An error of the building alone is told as itself, after the history was seen
// to hold.
func TestSealFailsByItself(t *testing.T) {
	failed := errors.New("no pen")
	_, dir, err := sealedAfter(t, nil, "", SealOptions{SignPDF: func(string) error { return failed }})
	if !errors.Is(err, failed) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "bundle")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("there is a bundle: %v", err)
	}
}

// A pass that was cut off gets its link while the trees are written; the bundle
// has it, and the user is told once.
func TestSealLinksWhatWasCutOff(t *testing.T) {
	var pass mailproof.PassID
	cut := func(e *Engagement) {
		var err error
		if pass, err = e.ledger.BeginPass(t.Context(), mailproof.Pass{Kind: mailproof.CopyPass, Depth: mailproof.DepthFull, Started: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	var told []string
	last := int64(0)
	s, dir, err := sealedAfter(t, cut, "", SealOptions{Told: func(text string) { told = append(told, text) }, Progress: func(lines int64) {
		if lines <= last {
			t.Errorf("%d lines after %d", lines, last)
		}
		last = lines
	}})
	if err != nil {
		t.Fatal(err)
	}
	if len(told) != 1 || !strings.Contains(told[0], "1 pass cut off") {
		t.Errorf("told: %q", told)
	}
	if last == 0 {
		t.Error("no progress was told")
	}
	l, err := ledger.OpenReadOnly(t.Context(), filepath.Join(dir, "mailproof.db"))
	if err != nil {
		t.Fatal(err)
	}
	links, err := l.Chain(t.Context())
	if err := errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(s.Dir, "data", "passes.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	linked := 0
	for _, k := range links {
		if k.Pass == 0 {
			continue
		}
		linked++
		if !strings.Contains(string(data), `"root":"`+hex.EncodeToString(k.Root[:])+`"`) {
			t.Errorf("the bundle lacks the root of pass %d", k.Pass)
		}
	}
	if linked != int(pass) {
		t.Errorf("%d links of passes, want %d", linked, pass)
	}
}

// A seal that is called off leaves nothing and is no failure of the history.
func TestSealCalledOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	e, err := Open(ctx, t.TempDir(), nil, Options{Tool: "mailproof test"})
	if err != nil {
		t.Fatal(err)
	}
	fillSide(t, e.ledger, mailproof.Source, []string{"anna"}, 3000)
	fillSide(t, e.ledger, mailproof.Destination, []string{"anna"}, 3000)
	key, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = e.Seal(ctx, SealOptions{Out: filepath.Join(e.Dir, "bundle"), Profile: evidence.Full, Key: key, Progress: func(int64) { cancel() }})
	if !errors.Is(err, context.Canceled) || errors.Is(err, ErrHistory) {
		t.Errorf("got %v", err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	names, err := filepath.Glob(filepath.Join(e.Dir, "*"))
	if err != nil || len(names) != 1 {
		t.Errorf("%v is left, %v", names, err)
	}
}

// Nothing is said of the ledger before its history was seen to hold.
func TestRecordsWaitForTheHistory(t *testing.T) {
	h := &historyCheck{done: make(chan struct{})}
	got := make(chan error)
	go func() {
		_, err := (&sealing{history: h}).Records(t.Context())
		got <- err
	}()
	h.err = ErrHistory
	close(h.done)
	if err := <-got; !errors.Is(err, ErrHistory) {
		t.Errorf("got %v", err)
	}
}
