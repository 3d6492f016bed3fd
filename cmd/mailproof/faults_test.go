package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/faultline"
	"github.com/mailproof/mailproof/cmd/internal/oracle"
	"github.com/mailproof/mailproof/collect/mailgen"
)

// The fault matrix: one account on its way between two real Dovecots, through a
// relay that breaks the connection in every way at every stage that leaves a
// different doubt. Whatever the disturbed run says, it never says COMPLETE
// without cause; and after one undisturbed run nothing is missing, nothing is
// there twice, nothing is altered, and the source is as it was.
func TestFaultMatrix(t *testing.T) {
	t.Parallel()
	stages := map[mailproof.Side][]faultline.Stage{
		mailproof.Source: {faultline.Greeting, faultline.SignIn, faultline.Examine, faultline.MidFetch},
		mailproof.Destination: {faultline.Greeting, faultline.SignIn, faultline.Examine, faultline.MidFetch,
			faultline.MidAppend, faultline.MidBatch, faultline.Unanswered},
	}
	for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
		for _, stage := range stages[side] {
			for _, action := range []faultline.Action{faultline.FIN, faultline.RST, faultline.Silence, faultline.Trickle} {
				// The short form leaves out what ends as another action does
				// at the same stage; the long one (make soak) has them all.
				doubtful := stage == faultline.MidFetch || stage == faultline.Unanswered
				if os.Getenv("MAILPROOF_LONG") == "" && !doubtful && action != faultline.FIN && !(action == faultline.Silence && stage == faultline.MidAppend) {
					continue
				}
				fault := faultline.Fault{Stage: stage, Action: action}
				switch stage {
				case faultline.MidFetch, faultline.MidAppend:
					fault.Skip = 3 // not the first message
				case faultline.Unanswered:
					fault.Skip = 1
				}
				t.Run(fmt.Sprintf("%s %s at %s", side, action, stage), func(t *testing.T) {
					t.Parallel()
					newFaulty(t).play(side, fault)
				})
			}
		}
	}
}

// faulty is an account between two servers, each behind a relay.
type faulty struct {
	*testing.T
	dir                 string
	source, destination oracle.Login // past the relays
	relays              map[mailproof.Side]*faultline.Relay
	args                []string
	before              *oracle.Account
}

func newFaulty(t *testing.T) *faulty {
	t.Helper()
	user := oracle.NewUser()
	f := &faulty{
		T: t, dir: t.TempDir(), relays: map[mailproof.Side]*faultline.Relay{},
		source: oracle.Real(t, "DOVECOT", user), destination: oracle.Real(t, "DOVECOT2", user),
	}
	// A stall is noticed within a second, not within minutes.
	must(t, os.WriteFile(filepath.Join(f.dir, "mailproof.toml"), []byte("[limits]\nstall_timeout = \"1s\"\n"), 0o600))
	must(t, oracle.FillAccount(t.Context(), f.source, mailgen.New(7).Account(mailgen.Profile{Messages: 90, Folders: 4, EmptyFolder: true})))
	// Copies under one Message-ID and without one are what a careless
	// reconciliation doubles or drops.
	c, err := oracle.Dial(t.Context(), f.source)
	must(t, err)
	twin := oracle.Outgoing{Raw: []byte("Message-ID: <twin@example.com>\r\nSubject: twin\r\n\r\nthe same\r\n"), Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	bare := oracle.Outgoing{Raw: []byte("Subject: no id\r\n\r\nthe same\r\n"), Date: twin.Date}
	must(t, c.Append("INBOX", twin, twin, twin, bare, bare))
	c.Close()
	f.before = f.read(f.source)
	f.args = []string{"run", "--dir", f.dir, "--progress", "off", "--source-password", "env:MP_PW", "--destination-password", "env:MP_PW"}
	for side, l := range map[mailproof.Side]oracle.Login{mailproof.Source: f.source, mailproof.Destination: f.destination} {
		relay, err := faultline.New(l.Addr)
		must(t, err)
		t.Cleanup(func() { relay.Close() })
		f.relays[side] = relay
		f.args = append(f.args, "--"+side.String(), fmt.Sprintf("imap://%s@%s?tls=none", user, relay.Addr()))
	}
	return f
}

func (f *faulty) read(l oracle.Login) *oracle.Account {
	f.Helper()
	a, err := oracle.Read(f.Context(), l, oracle.Options{Normalise: true})
	must(f.T, err)
	return a
}

// mailproof runs once and returns what it says.
func (f *faulty) mailproof() (code int, output string) {
	f.Helper()
	var out bytes.Buffer
	code = run(f.Context(), f.args, strings.NewReader(""), &out, &out)
	return code, out.String()
}

func (f *faulty) play(side mailproof.Side, fault faultline.Fault) {
	relay := f.relays[side]
	relay.Arm(fault)
	code, output := f.mailproof()
	if relay.Fired() != 1 {
		f.Fatalf("the fault struck %d times, want once: the test tests nothing\n%s", relay.Fired(), output)
	}
	if f.holds() == nil != (code == 0) && code != 3 && code != 1 && code != 2 {
		f.Errorf("exit code %d\n%s", code, output)
	}
	if code == 0 {
		if err := f.holds(); err != nil {
			f.Errorf("the disturbed run says COMPLETE: %v\n%s", err, output)
		}
	}
	relay.Disarm()
	f.settle()
}

// settle runs undisturbed, and everything is as it must be.
func (f *faulty) settle() {
	f.Helper()
	code, output := f.mailproof()
	if code != 0 || !strings.Contains(output, "COMPLETE: ") {
		f.Errorf("the undisturbed run: exit code %d\n%s", code, output)
	}
	if err := f.holds(); err != nil {
		f.Errorf("%v\n%s", err, output)
	}
	if r := oracle.Compare(f.before, f.read(f.source), nil); !r.Equal() {
		f.Errorf("the source was changed: %s", r)
	}
}

// holds asks the independent checker whether the destination has all there is
// on the source, once and unaltered.
func (f *faulty) holds() error {
	src, dst := f.read(f.source), f.read(f.destination)
	if r := oracle.Compare(src, dst, oracle.MapNames(src, dst, nil)); !r.Equal() {
		return fmt.Errorf("the checker finds: %s", r)
	}
	return nil
}

// arrive puts one more message on the source.
func (f *faulty) arrive(i int) error {
	c, err := oracle.Dial(f.Context(), f.source)
	if err != nil {
		return err
	}
	defer c.Close()
	return c.Append("INBOX", arrival(fmt.Sprintf("arrival %d", i)))
}
