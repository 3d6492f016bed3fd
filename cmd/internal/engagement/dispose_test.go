package engagement

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
)

// missingFrom makes an engagement whose source has n messages, none of which is
// on the destination.
func missingFrom(t *testing.T, n int) *Engagement {
	t.Helper()
	ctx := t.Context()
	e, err := Open(ctx, t.TempDir(), config.Default(), Options{Tool: "mailproof test", Roster: []string{"anna"}, RosterWhole: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	fail := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	fail(e.keepRoster(ctx))
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		count := n
		if side == mailproof.Destination {
			count = 0
		}
		fail(fill(ctx, e, side, count))
	}
	return e
}

// fill records an inventory of one side.
func fill(ctx context.Context, e *Engagement, side mailproof.Side, n int) error {
	pass, err := e.ledger.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: side, Depth: mailproof.DepthFull})
	if err != nil {
		return err
	}
	scan := mailproof.Scan{Pass: pass, Account: "anna", Side: side, Started: time.Now(), State: mailproof.PassDone, Server: mailproof.ServerInfo{Address: "localhost:993", Mechanism: "PLAIN"}}
	if err := e.ledger.BeginScan(ctx, scan); err != nil {
		return err
	}
	state := mailproof.MailboxState{UIDValidity: 1, UIDNext: mailproof.UID(n + 1), Exists: uint32(n)}
	w, err := e.ledger.BeginMailbox(ctx, pass, "anna", side, mailproof.Mailbox{Name: "INBOX"}, state)
	if err != nil {
		return err
	}
	for i := range n {
		m := mailproof.Message{State: mailproof.Read, MessageKey: mailproof.MessageKey{Side: side, Account: "anna", Mailbox: "INBOX", UIDValidity: 1, UID: mailproof.UID(i + 1)},
			Metadata: mailproof.Metadata{UID: mailproof.UID(i + 1), Size: 100, InternalDate: time.Unix(1_700_000_000+int64(i), 0)}}
		m.Fingerprint.Octets = 100
		for tier := range m.Fingerprint.Hashes {
			copy(m.Fingerprint.Hashes[tier][:], fmt.Sprintf("%d %d", tier, i))
		}
		m.Fingerprint.Detail.MessageID = fmt.Sprintf("<%d@example.com>", i)
		if err := w.Add(ctx, m); err != nil {
			return err
		}
	}
	if err := w.End(ctx, state, mailproof.MailboxScan{Complete: true, Present: int64(n)}); err != nil {
		return err
	}
	scan.Finished = time.Now()
	if err := e.ledger.EndScan(ctx, scan); err != nil {
		return err
	}
	return e.ledger.EndPass(ctx, pass, mailproof.PassDone, "", int64(n), 0)
}

// A decision by filter covers every exception, also more of them than a report
// lists, and the verdict follows. MAILPROOF_EXCEPTIONS says how many there are.
func TestDisposeMany(t *testing.T) {
	n := 2_000
	if v := os.Getenv("MAILPROOF_EXCEPTIONS"); v != "" {
		var err error
		if n, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	e := missingFrom(t, n)
	o := DisposeOptions{Verdicts: []mailproof.MessageVerdict{mailproof.Missing}, As: mailproof.Accepted, By: "A. Lindgren", Why: "agreed"}
	started := time.Now()
	o.DryRun = true
	d, err := e.Dispose(ctx, o)
	if err != nil || len(d.Exceptions) != n || d.Pass != 0 {
		t.Fatalf("dry run: %d, pass %d, %v", len(d.Exceptions), d.Pass, err)
	}
	t.Logf("%d exceptions: dry run %v", n, time.Since(started).Round(time.Millisecond))
	started = time.Now()
	o.DryRun = false
	if d, err = e.Dispose(ctx, o); err != nil || len(d.Exceptions) != n || d.Pass == 0 {
		t.Fatalf("%d, pass %d, %v", len(d.Exceptions), d.Pass, err)
	}
	t.Logf("%d exceptions: decided in %v", n, time.Since(started).Round(time.Millisecond))
	if v := mailproof.Roll(d.After.Accounts[0].Findings); v != mailproof.CompleteWithAcceptedExceptions {
		t.Errorf("afterwards: %v", v)
	}
	first := d.Pass
	started = time.Now()
	d, err = e.Dispose(ctx, DisposeOptions{IDs: []string{fmt.Sprintf("E-%03d", n)}, As: mailproof.Open, By: "A. Lindgren", Why: "not that one"})
	if err != nil || len(d.Exceptions) != 1 || d.Pass != first {
		t.Fatalf("%d, pass %d, want %d, %v", len(d.Exceptions), d.Pass, first, err)
	}
	t.Logf("%d exceptions: one taken back in %v", n, time.Since(started).Round(time.Millisecond))
	if v := mailproof.Roll(d.After.Accounts[0].Findings); v != mailproof.Incomplete {
		t.Errorf("with one taken back: %v", v)
	}
	v, err := e.VerifyHistory(ctx, nil)
	if err != nil || !v.Whole() || v.Loose != 0 {
		t.Errorf("%+v, %v", v, err)
	}
}
