package engagement

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/report/evidence"
)

// syntheticMessage is the n-th message of an account: the same on both sides.
func syntheticMessage(key mailproof.MessageKey, n int) mailproof.Message {
	key.UID = mailproof.UID(n + 1)
	m := mailproof.Message{MessageKey: key, State: mailproof.Read}
	m.Metadata = mailproof.Metadata{UID: key.UID, Flags: mailproof.NewFlags(`\Seen`), InternalDate: time.Unix(1_500_000_000+int64(n)*60, 0).UTC(), Size: int64(2000 + n%10000)}
	m.Fingerprint.Octets = m.Size
	seed := uint64(len(key.Account))*1e12 + uint64(key.Account[len(key.Account)-1])*1e9
	for i := range m.Fingerprint.Hashes {
		x := seed + uint64(n)*0x9E3779B97F4A7C15 + uint64(i)
		for j := 0; j < len(mailproof.Hash{}); j += 8 {
			x ^= x >> 29
			x *= 0xBF58476D1CE4E5B9
			x ^= x >> 32
			binary.LittleEndian.PutUint64(m.Fingerprint.Hashes[i][j:], x|1)
		}
	}
	m.Fingerprint.Detail = mailproof.Detail{MessageID: fmt.Sprintf("<20260102030405.%d.ABCDEF@mail.example.com>", n), Fields: []mailproof.FieldDigest{
		{Name: "date", Value: "2026-01-02T03:04:05Z"}, {Name: "from", Value: "anna.beispiel@example.com"}, {Name: "subject", Value: "Re: the quarterly figures and what they mean for us"}}}
	return m
}

// fillSide records an inventory of every account; each thousandth message is
// not on the destination.
func fillSide(t *testing.T, l *ledger.Ledger, side mailproof.Side, accounts []string, each int) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ctx := t.Context()
	pass, err := l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: side, Depth: mailproof.DepthFull, Started: time.Now()})
	must(err)
	for _, account := range accounts {
		scan := mailproof.Scan{Pass: pass, Account: account, Side: side, Started: time.Now(), Server: mailproof.ServerInfo{Address: "localhost:993"}}
		must(l.BeginScan(ctx, scan))
		n := each
		if side == mailproof.Destination {
			n -= (each + 999) / 1000
		}
		state := mailproof.MailboxState{UIDValidity: 1, UIDNext: mailproof.UID(each + 1), Exists: uint32(n)}
		w, err := l.BeginMailbox(ctx, pass, account, side, mailproof.Mailbox{Name: "INBOX"}, state)
		must(err)
		key := mailproof.MessageKey{Side: side, Account: account, Mailbox: "INBOX", UIDValidity: 1}
		for i := range each {
			if side == mailproof.Source || i%1000 != 0 {
				must(w.Add(ctx, syntheticMessage(key, i)))
			}
		}
		must(w.End(ctx, state, mailproof.MailboxScan{Complete: true, Present: int64(n)}))
		scan.State, scan.Finished = mailproof.PassDone, time.Now()
		must(l.EndScan(ctx, scan))
	}
	must(l.EndPass(ctx, pass, mailproof.PassDone, "", int64(each*len(accounts)), 0))
}

// peakMemory is the most that the process has taken so far, in octets, as Linux
// counts it; 0 elsewhere.
func peakMemory() int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, _ := strings.Cut(string(text), "VmHWM:")
	f := strings.Fields(after)
	if len(f) == 0 {
		return 0
	}
	n, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// A whole engagement from its ledger to a verified bundle: 1,000,000 messages
// with MAILPROOF_LONG=1, or MAILPROOF_MESSAGES.
func TestSealFromLedger(t *testing.T) {
	messages := 4_000
	if os.Getenv("MAILPROOF_LONG") != "" {
		messages = 1_000_000
		if n, err := strconv.Atoi(os.Getenv("MAILPROOF_MESSAGES")); err == nil {
			messages = n
		}
	}
	dir := t.TempDir()
	var accounts []string
	for i := range 4 {
		accounts = append(accounts, fmt.Sprintf("account%d", i))
	}
	e, err := Open(t.Context(), dir, nil, Options{Tool: "mailproof test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}()
	step := func(what string, f func()) {
		began := time.Now()
		f()
		t.Logf("%-7s %8d messages  %7.2f s  peak of the process so far %5d MB", what, messages, time.Since(began).Seconds(), peakMemory()>>20)
	}
	step("fill", func() {
		for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
			fillSide(t, e.ledger, side, accounts, messages/len(accounts))
		}
	})
	key, err := evidence.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	bundle := filepath.Join(dir, "bundle")
	step("seal", func() {
		s, d, err := e.Seal(t.Context(), SealOptions{Out: bundle, Profile: evidence.Full, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		if s.Verdict != mailproof.Incomplete || d.Totals.SourceMessages != int64(messages) || s.Roots[0].Size != int64(messages) {
			t.Errorf("%v, %d messages, %d lines", s.Verdict, d.Totals.SourceMessages, s.Roots[0].Size)
		}
	})
	step("verify", func() {
		v, err := evidence.Verify(context.Background(), bundle, evidence.VerifyOptions{Trust: evidence.Trust{Fingerprints: []string{key.Public().Fingerprint()}}})
		if err != nil || v.Outcome() != mailproof.OutcomePass {
			t.Fatalf("%v: %v", err, v.Problems)
		}
	})
	seals, err := e.Seals(t.Context())
	if err != nil || len(seals) != 1 || seals[0].Roots[0].Size != int64(messages) {
		t.Errorf("seals: %+v, %v", seals, err)
	}
}
