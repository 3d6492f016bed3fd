package engagement

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
)

// job is an account on two embedded servers and an engagement about it.
type job struct {
	*testing.T
	source, destination *imapmem.Server
	dir                 string
}

func newJob(t *testing.T, source, destination imapmem.Options) *job {
	j := &job{T: t, source: imapmem.New(source), destination: imapmem.New(destination), dir: t.TempDir()}
	for _, s := range []*imapmem.Server{j.source, j.destination} {
		s.AddAccount("anna", "pw")
		if err := s.Start(t.Context(), mailproof.Plaintext); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
	}
	return j
}

func (j *job) fill(messages int) {
	j.Helper()
	account := mailgen.New(4).Account(mailgen.Profile{Messages: messages, Folders: 8, EmptyFolder: true})
	for _, f := range account.Folders {
		name := j.source.Name(f.Path...)
		j.source.Account("anna").Create(name)
		for _, m := range f.Messages {
			j.source.Account("anna").Append(name, m.Raw, m.Flags, m.Date)
		}
	}
}

func (j *job) run(change func(*Options)) (Comparison, error) {
	j.Helper()
	secret := func(context.Context) (mailproof.Secret, error) { return mailproof.NewSecret("pw"), nil }
	o := Options{Tool: "mailproof test", Accounts: []Account{{
		Account:        mailproof.Account{Name: "anna", Source: j.source.Endpoint("anna"), Destination: j.destination.Endpoint("anna")},
		SourcePassword: secret, DestinationPassword: secret,
	}}}
	if change != nil {
		change(&o)
	}
	e, err := Open(j.Context(), j.dir, nil, o)
	if err != nil {
		j.Fatal(err)
	}
	defer func() {
		if err := e.Close(); err != nil {
			j.Error(err)
		}
	}()
	return e.Run(j.Context(), Observer{})
}

// octets is what the source stores.
func (j *job) octets() (n int64) {
	a := j.source.Account("anna")
	for _, name := range a.Mailboxes() {
		for _, m := range a.Messages(name) {
			n += int64(len(m.Raw))
		}
	}
	return n
}

// intact checks that everything is there once, and that the source was only
// read.
func (j *job) intact() {
	j.Helper()
	count := func(s *imapmem.Server) map[string]int {
		out := map[string]int{}
		a := s.Account("anna")
		for _, name := range a.Mailboxes() {
			for _, m := range a.Messages(name) {
				out[fmt.Sprintf("%s %x %s %d", name, sha256.Sum256(m.Raw), m.Flags, m.Date.Unix())]++
			}
		}
		return out
	}
	want, have := count(j.source), count(j.destination)
	for key, n := range want {
		if have[key] != n {
			j.Fatalf("%s: %d times, want %d", key, have[key], n)
		}
	}
	if len(have) != len(want) {
		j.Fatalf("%d different messages arrived of %d", len(have), len(want))
	}
	if act := j.source.Account("anna").Activity(); act.Writes != 0 || len(act.Violations) > 0 {
		j.Fatalf("the source was written to: %d, %q", act.Writes, act.Violations)
	}
}

// A whole migration downloads the source once, and reads the destination back
// in full. The next one, with nothing new, downloads nothing and lists nothing;
// what arrives later is downloaded once, too.
func TestSourceIsReadOnce(t *testing.T) {
	j := newJob(t, imapmem.Options{}, imapmem.Options{})
	j.fill(600)
	c, err := j.run(nil)
	if err != nil || c.Totals.Identical != 600 {
		t.Fatalf("%+v, %v", c.Totals, err)
	}
	j.intact()
	stored := j.octets()
	src, dst := j.source.Account("anna").Activity(), j.destination.Account("anna").Activity()
	if ratio := float64(src.BodyOctets) / float64(stored); ratio > 1.02 {
		t.Errorf("%.3f octets downloaded for each that is stored", ratio)
	}
	if dst.BodyOctets != stored {
		t.Errorf("%d octets read back of %d", dst.BodyOctets, stored)
	}

	if c, err = j.run(nil); err != nil || c.Totals.Identical != 600 {
		t.Fatalf("%+v, %v", c.Totals, err)
	}
	again := j.source.Account("anna").Activity()
	if again.BodyOctets != src.BodyOctets || again.Commands["UID FETCH"] != src.Commands["UID FETCH"] {
		t.Errorf("nothing is new, and the source was listed or read: %d octets, %d commands", again.BodyOctets-src.BodyOctets, again.Commands["UID FETCH"]-src.Commands["UID FETCH"])
	}

	late := []byte("Subject: late\r\nMessage-ID: <late@example.com>\r\n\r\nIt arrived later.\r\n")
	j.source.Account("anna").Append("INBOX", late, nil, time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC))
	if c, err = j.run(nil); err != nil || c.Totals.Identical != 601 {
		t.Fatalf("%+v, %v", c.Totals, err)
	}
	j.intact()
	if n := j.source.Account("anna").Activity().BodyOctets - again.BodyOctets; n != int64(len(late)) {
		t.Errorf("%d octets downloaded for a message of %d", n, len(late))
	}
}

// A first copy that broke off goes on where it was: what the destination has by
// then is not sent again, and what it lacks is still downloaded once, but for
// what was in hand.
func TestFirstCopyGoesOn(t *testing.T) {
	var bodies, stored atomic.Int64
	stop := make(chan struct{})
	j := newJob(t, imapmem.Options{OnFetch: func(_, _ string, _ mailproof.UID, raw []byte) ([]byte, error) {
		if bodies.Add(1) == 300 {
			close(stop)
		}
		return raw, nil
	}}, imapmem.Options{OnStored: func(string, string, int) error {
		if stored.Add(1) == 2 {
			return imapmem.ErrCut
		}
		return nil
	}})
	j.fill(600)
	if _, err := j.run(func(o *Options) { o.Stop = stop }); !IsStop(err) {
		t.Fatalf("%v", err)
	}
	c, err := j.run(nil)
	if err != nil || c.Totals.Identical != 600 {
		t.Fatalf("%+v, %v", c.Totals, err)
	}
	j.intact()
	if ratio := float64(j.source.Account("anna").Activity().BodyOctets) / float64(j.octets()); ratio > 1.6 {
		t.Errorf("%.3f octets downloaded for each that is stored", ratio)
	}
}

// What the destination may hold already is never handed on while the source is
// read: it is for the comparison to say. That goes for messages that another
// tool has copied and altered, and for those that were moved on the source.
func TestNothingIsHandedOnThatMayBeThere(t *testing.T) {
	j := newJob(t, imapmem.Options{}, imapmem.Options{})
	j.fill(200)
	src, dst := j.source.Account("anna"), j.destination.Account("anna")
	for _, name := range src.Mailboxes() {
		for i, m := range src.Messages(name) {
			raw := m.Raw
			if i%3 == 0 { // a server's own header in front of it
				raw = append([]byte("X-Keywords: none\r\n"), raw...)
			}
			dst.Append(name, raw, m.Flags, m.Date)
		}
	}
	c, err := j.run(nil)
	if err != nil || c.Totals.Missing+c.Totals.Extra+c.Totals.DuplicateSurplus != 0 || c.Totals.DestinationMessages != 200 {
		t.Fatalf("%+v, %v", c.Totals, err)
	}
	// Moved on the source: gone here, new there.
	m := src.Messages("INBOX")[0]
	if err := src.Remove("INBOX", m.UID); err != nil {
		t.Fatal(err)
	}
	src.Append("Moved", m.Raw, m.Flags, m.Date)
	if c, err = j.run(nil); err != nil || c.Totals.DestinationMessages != 200 || c.Totals.Relocated != 1 {
		t.Fatalf("%+v, %v", c.Totals, err)
	}
	// New UIDs for all of a folder: nothing of it is new.
	if err := src.ResetUIDValidity("INBOX"); err != nil {
		t.Fatal(err)
	}
	if c, err = j.run(nil); err != nil || c.Totals.DestinationMessages != 200 {
		t.Fatalf("%+v, %v", c.Totals, err)
	}
}

// Two rooms have one word for a message that was expunged before it could be
// read.
func TestExpungedIsOneWord(t *testing.T) {
	if collect.ReasonExpunged != imapconn.ReasonExpunged {
		t.Errorf("%q and %q", collect.ReasonExpunged, imapconn.ReasonExpunged)
	}
}

// What is planned on a reading older than the last append would be sent twice.
func TestNoPlanOnAnOldReading(t *testing.T) {
	j := newJob(t, imapmem.Options{}, imapmem.Options{})
	j.fill(20)
	if _, err := j.run(nil); err != nil {
		t.Fatal(err)
	}
	e, err := Open(t.Context(), j.dir, nil, Options{Tool: "mailproof test", Accounts: []Account{{Account: mailproof.Account{Name: "anna"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.plan(t.Context(), "anna", func(steps) error { return nil }); err != nil {
		t.Fatalf("after both sides were read: %v", err)
	}
	pass, _, err := e.beginPass(t.Context(), mailproof.Pass{Kind: mailproof.CopyPass})
	if err != nil {
		t.Fatal(err)
	}
	step := mailproof.Step{Kind: mailproof.AppendMessage, Account: "anna", Target: "INBOX", Source: mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: "INBOX", UIDValidity: 1, UID: 1}}
	if _, err := e.ledger.IntendAll(t.Context(), pass, []mailproof.Step{step}); err != nil {
		t.Fatal(err)
	}
	if err := e.plan(t.Context(), "anna", func(steps) error { return nil }); !errors.Is(err, ErrWritten) {
		t.Errorf("after an append: %v", err)
	}
}
