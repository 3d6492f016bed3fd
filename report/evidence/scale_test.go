package evidence

import (
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// heapWatch samples the heap until it is stopped, and returns the most that it
// saw.
func heapWatch() (stop func() uint64) {
	done, most := make(chan struct{}), make(chan uint64)
	go func() {
		var peak uint64
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				most <- peak
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
		}
	}()
	return func() uint64 { close(done); return <-most }
}

// A bundle of any size is built, packed and verified in the same memory. With
// MAILPROOF_LONG=1 it is one of a million messages, or of MAILPROOF_MESSAGES,
// and the times are printed.
func TestBoundedMemory(t *testing.T) {
	messages, profiles := 16_000, []Profile{Full}
	const most = 400 << 20 // octets, of which a run is 48 MiB at most two at once, and the rest the collector's slack
	if os.Getenv("MAILPROOF_LONG") != "" {
		messages, profiles = 1_000_000, []Profile{Full, Redacted}
		if n, err := strconv.Atoi(os.Getenv("MAILPROOF_MESSAGES")); err == nil {
			messages = n
		}
	}
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	for _, profile := range profiles {
		dir := t.TempDir()
		f := newFake(20, messages/80)
		timed := func(what string, do func()) {
			stop, began := heapWatch(), time.Now()
			do()
			took, heap := time.Since(began), stop()
			t.Logf("%-8v %-7s %8d messages  %8.2f s  heap %4d MB", profile, what, messages, took.Seconds(), heap>>20)
			if heap > most {
				t.Errorf("%v: %s took %d MB of heap", profile, what, heap>>20)
			}
		}
		var s Sealed
		timed("seal", func() { s = seal(t, f, Options{Dir: filepath.Join(dir, "bundle"), Profile: profile}) })
		verify := func(path string) {
			v := verified(t, path, s)
			if v.Outcome() != mailproof.OutcomePass {
				t.Errorf("%v: %v", v.Outcome(), v.Problems)
			}
		}
		timed("verify", func() { verify(s.Dir) })
		timed("prove", func() {
			_, err := Prove(t.Context(), s.Dir, "", Wanted{Exception: "E-001", Tree: treeVerdicts})
			if err != nil {
				t.Error(err)
			}
		})
		if messages < 1_000_000 {
			continue
		}
		zipped := filepath.Join(dir, "bundle.zip")
		timed("zip", func() {
			if err := Zip(t.Context(), s.Dir, zipped); err != nil {
				t.Error(err)
			}
		})
		timed("unzip", func() { verify(zipped) })
		t.Logf("%-8v %d octets of data, %d files", profile, s.Octets, s.Files)
	}
}
