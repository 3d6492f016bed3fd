package main

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
)

// A source that states another size than the literal has, and hangs up in the
// midst of literals: what arrives are whole literals and nothing else, once. A
// source that gives other octets each time is never copied as if it were one
// message, and never COMPLETE.
func TestSourceThatLies(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fetch    func(n int, uid mailproof.UID, raw []byte) ([]byte, error)
		complete bool
	}{
		"longer than stated": {func(_ int, _ mailproof.UID, raw []byte) ([]byte, error) {
			return append(bytes.Clone(raw), "more\r\n"...), nil
		}, true},
		"shorter than stated": {func(_ int, _ mailproof.UID, raw []byte) ([]byte, error) { return raw[:len(raw)-len(raw)/3], nil }, true},
		"hangs up in the literal": {func(n int, _ mailproof.UID, raw []byte) ([]byte, error) {
			if n%25 == 3 {
				return nil, imapmem.ErrCut
			}
			return raw, nil
		}, true},
		"both": {func(n int, _ mailproof.UID, raw []byte) ([]byte, error) {
			if n%25 == 3 {
				return nil, imapmem.ErrCut
			}
			return append(bytes.Clone(raw), "more\r\n"...), nil
		}, true},
		"other octets each time": {func(n int, uid mailproof.UID, raw []byte) ([]byte, error) {
			if uid == 1 {
				return append(bytes.Clone(raw), fmt.Sprintf("reading %d\r\n", n)...), nil
			}
			return raw, nil
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			n, given := 0, map[string]bool{}
			p := badPair(t, imapmem.Options{OnFetch: func(_, _ string, uid mailproof.UID, raw []byte) ([]byte, error) {
				mu.Lock()
				defer mu.Unlock()
				n++
				out, err := c.fetch(n, uid, raw)
				if err == nil {
					given[string(out)] = true
				}
				return out, err
			}}, imapmem.Options{})
			cmd, out := p.command(t)
			err := cmd.Run()
			if ee := (*exec.ExitError)(nil); err != nil && (!errors.As(err, &ee) || ee.ExitCode() == 2) {
				t.Fatalf("%v\n%s", err, out)
			}
			if complete := strings.Contains(out.String(), "COMPLETE: ") && err == nil; complete != c.complete {
				t.Errorf("complete: %v, want %v\n%s", complete, c.complete, out)
			}
			a := p.destination.Account("anna")
			arrived := 0
			for _, folder := range a.Mailboxes() {
				for _, m := range a.Messages(folder) {
					arrived++
					if !given[string(m.Raw)] {
						t.Errorf("%s uid %d holds %d octets that the source never gave as a whole", folder, m.UID, len(m.Raw))
					}
				}
			}
			if want := 80; arrived > want || c.complete && arrived < want {
				t.Errorf("%d messages arrived of %d", arrived, want)
			}
		})
	}
}
