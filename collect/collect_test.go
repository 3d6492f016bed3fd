package collect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// fakeMessage is one message on the fake server.
type fakeMessage struct {
	uid   mailproof.UID
	flags mailproof.Flags
	body  []byte
}

// fakeServer is an account whose mailboxes can change at each step of a pass.
type fakeServer struct {
	t          *testing.T
	mailboxes  []mailproof.Mailbox
	messages   map[string][]fakeMessage
	next       map[string]mailproof.UID
	validity   map[string]uint32
	examineErr map[string]error
	unreadable map[mailproof.UID]string
	silent     map[mailproof.UID]bool // neither delivered nor refused
	denied     map[mailproof.UID]bool // listed, and said to be expunged when they are asked for
	twice      bool
	short      map[mailproof.UID]bool
	listErr    error
	lists      int
	selected   string
	during     func(step string) // called before each step
	fetched    []mailproof.UID
	headers    []mailproof.UID
	estimates  int64 // by which stated sizes are wrong
}

func newServer(t *testing.T, names ...string) *fakeServer {
	s := &fakeServer{t: t, messages: map[string][]fakeMessage{}, next: map[string]mailproof.UID{}, validity: map[string]uint32{}}
	for _, n := range names {
		s.mailboxes = append(s.mailboxes, mailproof.Mailbox{Name: n, Separator: "/"})
		s.next[n], s.validity[n] = 1, 11
	}
	return s
}

func (s *fakeServer) add(mailbox, text string, flags ...string) mailproof.UID {
	uid := s.next[mailbox]
	s.next[mailbox]++
	body := fmt.Sprintf("Message-ID: <%s@example.com>\r\nSubject: %s\r\n\r\n%s\r\n", text, text, text)
	s.messages[mailbox] = append(s.messages[mailbox], fakeMessage{uid, mailproof.NewFlags(flags...), []byte(body)})
	return uid
}

func (s *fakeServer) remove(mailbox string, uid mailproof.UID) {
	s.messages[mailbox] = slices.DeleteFunc(s.messages[mailbox], func(m fakeMessage) bool { return m.uid == uid })
}

func (s *fakeServer) step(name string) {
	if s.during != nil {
		s.during(name)
	}
}

func (s *fakeServer) Server() mailproof.ServerInfo { return mailproof.ServerInfo{Address: "fake:993"} }

func (s *fakeServer) Mailboxes(context.Context) ([]mailproof.Mailbox, error) {
	s.step("list")
	return s.mailboxes, s.listErr
}

func (s *fakeServer) Examine(_ context.Context, mailbox string) (mailproof.MailboxState, error) {
	s.step("examine")
	if err := s.examineErr[mailbox]; err != nil {
		return mailproof.MailboxState{}, err
	}
	s.selected = mailbox
	return mailproof.MailboxState{UIDValidity: s.validity[mailbox], UIDNext: s.next[mailbox], Exists: uint32(len(s.messages[mailbox]))}, nil
}

func (s *fakeServer) Metadata(_ context.Context, yield func(mailproof.Metadata) error) error {
	s.step("metadata")
	s.lists++
	for _, m := range slices.Clone(s.messages[s.selected]) {
		if err := yield(mailproof.Metadata{UID: m.uid, Flags: m.flags, Size: int64(len(m.body)) + s.estimates, InternalDate: time.Unix(1e9+int64(m.uid), 0)}); err != nil {
			return err
		}
	}
	return nil
}

func (s *fakeServer) Bodies(_ context.Context, want []mailproof.Metadata, read func(mailproof.UID, int64, io.Reader) error) (map[mailproof.UID]string, error) {
	s.step("bodies")
	unread := map[mailproof.UID]string{}
	for _, md := range want {
		i := slices.IndexFunc(s.messages[s.selected], func(m fakeMessage) bool { return m.uid == md.UID })
		switch {
		case i < 0 || s.denied[md.UID]:
			unread[md.UID] = ReasonExpunged
			continue
		case s.unreadable[md.UID] != "":
			unread[md.UID] = s.unreadable[md.UID]
			continue
		case s.silent[md.UID]:
			continue
		}
		body := s.messages[s.selected][i].body
		var r io.Reader = bytes.NewReader(body)
		if s.short[md.UID] {
			r = bytes.NewReader(body[:len(body)/2]) // a plain io.EOF: the trap
		}
		s.fetched = append(s.fetched, md.UID)
		err := read(md.UID, int64(len(body)), r)
		if s.twice && err == nil {
			err = read(md.UID, int64(len(body)), bytes.NewReader(body))
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			unread[md.UID] = "cut short"
		} else if err != nil {
			return unread, err
		}
	}
	return unread, nil
}

// Headers is Bodies up to the blank line.
func (s *fakeServer) Headers(ctx context.Context, want []mailproof.Metadata, read func(mailproof.UID, int64, io.Reader) error) (map[mailproof.UID]string, error) {
	whole := s.messages[s.selected]
	defer func() { s.messages[s.selected] = whole }()
	cut := slices.Clone(whole)
	for i := range cut {
		if at := bytes.Index(cut[i].body, []byte("\r\n\r\n")); at >= 0 {
			cut[i].body = cut[i].body[:at+4]
		}
	}
	s.messages[s.selected] = cut
	fetched := s.fetched
	unread, err := s.Bodies(ctx, want, read)
	s.headers = append(s.headers, s.fetched[len(fetched):]...)
	s.fetched = fetched
	return unread, err
}

// fakeLedger is a model of the ledger: what it knows per mailbox.
type fakeLedger struct {
	t        *testing.T
	known    map[string]map[mailproof.UID]*mailproof.Message // by mailbox and UIDVALIDITY
	scans    map[string]mailproof.MailboxScan
	excluded map[string]uint32
	last     mailproof.Scan
	addErr   error
	headers  map[string]map[mailproof.UID]mailproof.Header

	twins      Twins
	addedTwins int
}

func newLedger(t *testing.T) *fakeLedger {
	return &fakeLedger{t: t, known: map[string]map[mailproof.UID]*mailproof.Message{}, scans: map[string]mailproof.MailboxScan{}, excluded: map[string]uint32{}, headers: map[string]map[mailproof.UID]mailproof.Header{}}
}

func (l *fakeLedger) BeginScan(_ context.Context, s mailproof.Scan) error { l.last = s; return nil }
func (l *fakeLedger) EndScan(_ context.Context, s mailproof.Scan) error   { l.last = s; return nil }

func (l *fakeLedger) ExcludeMailbox(_ context.Context, _ mailproof.PassID, _ string, _ mailproof.Side, mb mailproof.Mailbox, st mailproof.MailboxState, rule string) error {
	l.excluded[mb.Name+" by "+rule] = st.Exists
	return nil
}

func (l *fakeLedger) BeginMailbox(_ context.Context, _ mailproof.PassID, _ string, _ mailproof.Side, mb mailproof.Mailbox, before mailproof.MailboxState) (MailboxRecorder, error) {
	key := fmt.Sprint(mb.Name, before.UIDValidity)
	if l.known[key] == nil {
		l.known[key] = map[mailproof.UID]*mailproof.Message{}
	}
	return &fakeMailbox{l, mb.Name, l.known[key]}, nil
}

type fakeMailbox struct {
	l     *fakeLedger
	name  string
	known map[mailproof.UID]*mailproof.Message
}

func (m *fakeMailbox) Known(context.Context) iter.Seq2[mailproof.Extant, error] {
	uids := slices.Sorted(maps.Keys(m.known)) // a snapshot, as the ledger's is
	return func(yield func(mailproof.Extant, error) bool) {
		for _, uid := range uids {
			if k := m.known[uid]; k != nil && !yield(mailproof.Extant{UID: uid, Flags: k.Flags, State: k.State, Size: k.Size, Octets: k.Fingerprint.Octets, InternalDate: k.InternalDate}, nil) {
				return
			}
		}
	}
}

func (m *fakeMailbox) Add(_ context.Context, msg mailproof.Message) error {
	if m.l.addErr != nil {
		return m.l.addErr
	}
	if m.known[msg.MessageKey.UID] != nil {
		m.l.t.Errorf("%v was added twice", msg.MessageKey)
	}
	m.known[msg.MessageKey.UID] = &msg
	return nil
}

// AddTwin refuses, as the ledger does, what has not the octets of its twin.
func (m *fakeMailbox) AddTwin(ctx context.Context, msg mailproof.Message, twin int64) error {
	fp, err := m.l.twins.Fingerprint(ctx, twin)
	if err == nil && (fp.Octets != msg.Fingerprint.Octets || fp.Hash(mailproof.T0) != msg.Fingerprint.Hash(mailproof.T0)) {
		err = errors.New("not the octets of its twin")
	}
	if err != nil {
		return err
	}
	msg.Fingerprint = fp
	m.l.addedTwins++
	return m.Add(ctx, msg)
}

func (m *fakeMailbox) Reread(_ context.Context, msg mailproof.Message) (bool, error) {
	k := m.known[msg.MessageKey.UID]
	if k == nil {
		m.l.t.Errorf("%v was read again and is not known", msg.MessageKey)
		return false, nil
	}
	changed := k.State != msg.State || k.Fingerprint.Hash(mailproof.T0) != msg.Fingerprint.Hash(mailproof.T0)
	msg.Flags = k.Flags
	m.known[msg.MessageKey.UID] = &msg
	return changed, nil
}

func (m *fakeMailbox) Headed(context.Context) iter.Seq2[mailproof.UID, error] {
	return func(yield func(mailproof.UID, error) bool) {
		for _, uid := range slices.Sorted(maps.Keys(m.l.headers[m.name])) {
			if m.l.headers[m.name][uid].Reason == "" && !yield(uid, nil) {
				return
			}
		}
	}
}

func (m *fakeMailbox) AddHeaders(_ context.Context, uids []mailproof.UID, headers []mailproof.Header) error {
	if m.l.headers[m.name] == nil {
		m.l.headers[m.name] = map[mailproof.UID]mailproof.Header{}
	}
	for i, uid := range uids {
		if k := m.known[uid]; k == nil || k.State == mailproof.Read {
			m.l.t.Errorf("%s: header of uid %d, which is not known or was read", m.name, uid)
		}
		m.l.headers[m.name][uid] = headers[i]
	}
	return nil
}

func (m *fakeMailbox) ChangeFlags(_ context.Context, changes []mailproof.FlagChange) error {
	for _, c := range changes {
		if m.known[c.UID] == nil {
			m.l.t.Errorf("%s: flags of uid %d changed, which is not known", m.name, c.UID)
			continue
		}
		m.known[c.UID].Flags = c.Flags
	}
	return nil
}

func (m *fakeMailbox) Vanish(_ context.Context, uids []mailproof.UID) error {
	for _, uid := range uids {
		if m.known[uid] == nil {
			m.l.t.Errorf("%s: uid %d vanished and was never known", m.name, uid)
		}
		delete(m.known, uid)
	}
	return nil
}

func (m *fakeMailbox) End(_ context.Context, after mailproof.MailboxState, s mailproof.MailboxScan) error {
	m.l.scans[m.name] = s
	return nil
}

// check compares what the ledger holds with what the server holds.
func (l *fakeLedger) check(s *fakeServer, mailbox string) {
	l.t.Helper()
	known := l.known[fmt.Sprint(mailbox, s.validity[mailbox])]
	if len(known) != len(s.messages[mailbox]) {
		l.t.Errorf("%s: ledger has %d messages, server %d", mailbox, len(known), len(s.messages[mailbox]))
	}
	for _, m := range s.messages[mailbox] {
		k := known[m.uid]
		switch {
		case k == nil:
			l.t.Errorf("%s: uid %d is not in the ledger", mailbox, m.uid)
		case k.State == mailproof.Read && k.Fingerprint.Hash(mailproof.T0) != mailproof.Hash(sha256.Sum256(m.body)):
			l.t.Errorf("%s: uid %d has another hash", mailbox, m.uid)
		case !k.Flags.Equal(m.flags):
			l.t.Errorf("%s: uid %d has flags %v, want %v", mailbox, m.uid, k.Flags, m.flags)
		}
	}
}

func options() Options {
	return Options{Pass: 1, Account: "anna", Side: mailproof.Source}
}

// What a server lists and counts round after round, and denies when it is asked
// for it, is unreadable: it neither vanishes nor stays what it was. What really
// goes away at the last moment does.
func TestDeniedIsUnreadable(t *testing.T) {
	s, l := newServer(t, "INBOX"), newLedger(t)
	s.add("INBOX", "fine")
	denied := s.add("INBOX", "denied")
	replaced := s.add("INBOX", "first")
	s.denied = map[mailproof.UID]bool{denied: true}
	for pass := range 2 {
		sum, err := Inventory(t.Context(), s, l, options())
		scan := l.scans["INBOX"]
		if err != nil || !scan.Complete || scan.Drifted || scan.Present != 3 || sum.Unreadable != int64(1+pass) {
			t.Fatalf("pass %d: %+v, %+v, %v", pass, sum, scan, err)
		}
		for uid, want := range map[mailproof.UID]mailproof.ReadState{denied: mailproof.Unreadable, replaced: []mailproof.ReadState{mailproof.Read, mailproof.Unreadable}[pass]} {
			if k := l.known["INBOX11"][uid]; k == nil || k.State != want || want == mailproof.Unreadable && k.Reason != reasonDenied {
				t.Errorf("pass %d, uid %d: %+v, want %v", pass, uid, k, want)
			}
		}
		// Another message under the UID, which cannot be had either.
		s.messages["INBOX"][2].body = append(s.messages["INBOX"][2].body, "and more"...)
		s.denied[replaced] = true
	}
	s.remove("INBOX", denied)
	s.denied = nil
	if sum, err := Inventory(t.Context(), s, l, options()); err != nil || sum.Vanished != 1 || sum.Read != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
	l.check(s, "INBOX")
	// One that goes away again and again between its listing and its reading.
	s.during = func(step string) {
		if step == "bodies" {
			s.remove("INBOX", s.next["INBOX"]-1)
			s.add("INBOX", "come and gone")
		}
	}
	s.add("INBOX", "come and gone")
	if sum, err := Inventory(t.Context(), s, l, options()); err != nil || sum.Unreadable != 0 || !l.scans["INBOX"].Drifted {
		t.Errorf("%+v, %+v, %v", sum, l.scans["INBOX"], err)
	}
}

// A message that took another's place is read in a later round, where it could
// not be in the first; the reading of the other one does not stand for it.
func TestReplacedIsReadInALaterRound(t *testing.T) {
	for _, when := range []string{"before the pass", "between two rounds"} {
		s, l := newServer(t, "INBOX"), newLedger(t)
		uid := s.add("INBOX", "first")
		if _, err := Inventory(t.Context(), s, l, options()); err != nil {
			t.Fatal(err)
		}
		replace := func() { s.messages["INBOX"][0].body = append(s.messages["INBOX"][0].body, "another"...) }
		if when == "before the pass" {
			replace()
			s.denied = map[mailproof.UID]bool{uid: true}
		}
		examined := 0
		s.during = func(step string) {
			if step != "examine" {
				return
			}
			if examined++; examined == 2 { // the end of the first round
				s.denied = nil
				if when != "before the pass" {
					replace()
					s.add("INBOX", "new") // which is why there is another round
				}
			}
		}
		if sum, err := Inventory(t.Context(), s, l, options()); err != nil || sum.Changed != 1 || !l.scans["INBOX"].Complete {
			t.Errorf("%s: %+v, %v", when, sum, err)
		}
		l.check(s, "INBOX")
	}
}

func TestInventoryIsIncremental(t *testing.T) {
	s, l := newServer(t, "INBOX", "Sent"), newLedger(t)
	for i := range 30 {
		s.add("INBOX", fmt.Sprint("in", i))
	}
	s.add("Sent", "out", `\Seen`)
	sum, err := Inventory(t.Context(), s, l, options())
	if err != nil || sum.Read != 31 || sum.New != 31 || sum.Messages != 31 || l.last.State != mailproof.PassDone {
		t.Fatalf("%+v, %v, %v", sum, err, l.last.State)
	}
	// Nothing new: not one body is read.
	s.fetched = nil
	if sum, err = Inventory(t.Context(), s, l, options()); err != nil || sum.Read != 0 || len(s.fetched) != 0 {
		t.Fatalf("second pass read %d bodies, %v", sum.Read, err)
	}
	// One new, one gone, one flagged: just that is done.
	s.remove("INBOX", 4)
	s.messages["INBOX"][0].flags = mailproof.NewFlags(`\Flagged`)
	uid := s.add("INBOX", "late")
	sum, err = Inventory(t.Context(), s, l, options())
	if err != nil || sum.New != 1 || sum.Vanished != 1 || sum.Flagged != 1 || !reflect.DeepEqual(s.fetched, []mailproof.UID{uid}) {
		t.Errorf("third pass: %+v, fetched %v, %v", sum, s.fetched, err)
	}
	// Reverify reads all of it again.
	s.fetched = nil
	o := options()
	o.Reverify = true
	if sum, err = Inventory(t.Context(), s, l, o); err != nil || sum.Read != 31 || sum.New != 0 || sum.Changed != 0 {
		t.Errorf("reverify: %+v, %v", sum, err)
	}
	// A server that changes a message under its UID is found out.
	s.messages["INBOX"][7].body = []byte("Subject: other\r\n\r\n")
	if sum, err = Inventory(t.Context(), s, l, o); err != nil || sum.Changed != 1 {
		t.Errorf("reverify after a change: %+v, %v", sum, err)
	}
	l.check(s, "INBOX")
	l.check(s, "Sent")
}

// Whatever arrives, goes or is flagged while the pass runs, the pass ends with
// the ledger equal to the server, or says that the folder drifted.
func TestInventorySettles(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	settled, drifted := 0, 0
	for n := range 400 {
		s, l := newServer(t, "INBOX"), newLedger(t)
		for i := range r.IntN(20) {
			s.add("INBOX", fmt.Sprint(n, "-", i))
		}
		if n%3 == 0 {
			if _, err := Inventory(t.Context(), s, l, options()); err != nil {
				t.Fatal(err)
			}
		}
		left := r.IntN(8)
		s.during = func(step string) {
			if step == "list" || left == 0 {
				return
			}
			left--
			switch box := s.messages["INBOX"]; {
			case r.IntN(3) == 0 || len(box) == 0:
				s.add("INBOX", fmt.Sprint(n, "+", left))
			case r.IntN(2) == 0:
				s.remove("INBOX", box[r.IntN(len(box))].uid)
			default:
				s.unreadable = map[mailproof.UID]string{box[r.IntN(len(box))].uid: "NO"}
			}
		}
		o := options()
		o.Reverify = n%2 == 0
		if _, err := Inventory(t.Context(), s, l, o); err != nil {
			t.Fatal(err)
		}
		scan := l.scans["INBOX"]
		if !scan.Drifted {
			settled++
			l.check(s, "INBOX")
			if !scan.Complete || !scan.Before.SameContents(scan.After) || scan.Present != int64(len(s.messages["INBOX"])) {
				t.Errorf("%d: %+v", n, scan)
			}
		} else {
			drifted++
		}
	}
	if settled < 100 {
		t.Errorf("only %d of 400 settled (%d drifted): the test tests little", settled, drifted)
	}
}

func TestInventoryGivesUpOnRestlessFolder(t *testing.T) {
	s, l := newServer(t, "INBOX"), newLedger(t)
	s.during = func(step string) {
		if step == "bodies" || step == "metadata" {
			s.add("INBOX", fmt.Sprint("x", s.next["INBOX"]))
		}
	}
	if _, err := Inventory(t.Context(), s, l, options()); err != nil {
		t.Fatal(err)
	}
	if scan := l.scans["INBOX"]; !scan.Drifted || s.lists != MaxRounds {
		t.Errorf("drifted %v after %d listings", scan.Drifted, s.lists)
	}
}

func TestInventoryUnreadable(t *testing.T) {
	s, l := newServer(t, "INBOX"), newLedger(t)
	for i := range 10 {
		s.add("INBOX", fmt.Sprint(i))
	}
	s.unreadable = map[mailproof.UID]string{3: "NO [SERVERBUG] internal error"}
	s.silent = map[mailproof.UID]bool{5: true}
	s.short = map[mailproof.UID]bool{7: true}
	sum, err := Inventory(t.Context(), s, l, options())
	if err != nil || sum.Unreadable != 3 || sum.Read != 7 || sum.Messages != 10 {
		t.Fatalf("%+v, %v", sum, err)
	}
	known := l.known["INBOX11"]
	for uid, want := range map[mailproof.UID]string{3: "SERVERBUG", 5: "no body and no error", 7: "cut short"} {
		if k := known[uid]; k == nil || k.State != mailproof.Unreadable || !strings.Contains(k.Reason, want) {
			t.Errorf("uid %d: %+v, want unreadable for %q", uid, k, want)
		}
	}
	// The next pass tries just these again.
	s.unreadable, s.silent, s.short, s.fetched = nil, nil, nil, nil
	if sum, err = Inventory(t.Context(), s, l, options()); err != nil || sum.Read != 3 || sum.Unreadable != 0 || sum.New != 0 {
		t.Errorf("retry: %+v, %v", sum, err)
	}
	l.check(s, "INBOX")
}

// A notice that a server puts in the place of a message is not the message.
func TestInventoryStub(t *testing.T) {
	s, l := newServer(t, "INBOX"), newLedger(t)
	uid := s.add("INBOX", "a")
	s.messages["INBOX"][0].body = []byte("Subject: Retrieval using the IMAP4 protocol failed for the following message: 5\r\n\r\nThe server couldn't retrieve the following message:\r\n\r\nSubject: \"a\"\r\n")
	sum, err := Inventory(t.Context(), s, l, options())
	if k := l.known["INBOX11"][uid]; err != nil || sum.Unreadable != 1 || sum.Read != 0 || k.State != mailproof.Unreadable || !strings.Contains(k.Reason, "server-stub") {
		t.Errorf("%+v, %v, %+v", sum, err, k)
	}
}

func TestInventoryDeliveredTwice(t *testing.T) {
	s, l := newServer(t, "INBOX"), newLedger(t)
	s.add("INBOX", "a")
	s.twice = true
	if sum, err := Inventory(t.Context(), s, l, options()); err != nil || sum.Read != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

func TestInventoryFolders(t *testing.T) {
	no := &mailproof.ServerError{Kind: mailproof.ErrNoMailbox, Text: "permission denied"}
	gone := &mailproof.ServerError{Kind: mailproof.ErrConnection, Text: "connection reset"}
	s, l := newServer(t, "INBOX", "Closed", "Junk", "Parent", "Zoo"), newLedger(t)
	s.mailboxes[3].NoSelect = true
	for _, mb := range s.mailboxes {
		s.add(mb.Name, "in "+mb.Name)
	}
	s.examineErr = map[string]error{"Closed": no}
	o := options()
	o.Exclude = func(mb mailproof.Mailbox) (string, bool) { return "X-1", mb.Name == "Junk" }
	sum, err := Inventory(t.Context(), s, l, o)
	if err != nil || sum.Failed != 1 || sum.Mailboxes != 2 || l.excluded["Junk by X-1"] != 1 {
		t.Fatalf("%+v, %v, %v", sum, err, l.excluded)
	}
	if sc := l.scans["Closed"]; sc.Complete || !strings.Contains(sc.Error, "permission denied") {
		t.Errorf("a folder that cannot be opened: %+v", sc)
	}
	if sc := l.scans["Parent"]; !sc.Complete || sc.Present != 0 {
		t.Errorf("a folder that holds no messages: %+v", sc)
	}
	l.check(s, "INBOX")
	l.check(s, "Zoo")

	// A lost server ends the account, and the ledger says so.
	s.examineErr["Closed"] = gone
	if _, err := Inventory(t.Context(), s, l, o); !errors.Is(err, gone) || l.last.State != mailproof.PassFailed || !strings.Contains(l.last.Error, "connection reset") {
		t.Errorf("lost server: %v, %+v", err, l.last)
	}
	s.listErr = gone
	if _, err := Inventory(t.Context(), s, l, o); err == nil || l.last.State != mailproof.PassFailed {
		t.Errorf("folders cannot be listed: %v, %v: must not look like an empty account", err, l.last.State)
	}
}

// No folder at all is nothing that an account can have.
func TestInventoryWithoutFolders(t *testing.T) {
	s, l := newServer(t), newLedger(t)
	if _, err := Inventory(t.Context(), s, l, options()); err == nil || l.last.State != mailproof.PassFailed {
		t.Errorf("%v, %v: must not look like an empty account", err, l.last.State)
	}
}

func TestInventoryUIDValidityChanges(t *testing.T) {
	s, l := newServer(t, "INBOX"), newLedger(t)
	s.add("INBOX", "a")
	s.during = func(step string) {
		if step == "bodies" {
			s.validity["INBOX"] = 12
		}
	}
	if _, err := Inventory(t.Context(), s, l, options()); err != nil {
		t.Fatal(err)
	}
	if sc := l.scans["INBOX"]; sc.Complete || !strings.Contains(sc.Error, "UIDVALIDITY") {
		t.Errorf("%+v", sc)
	}
}

func TestInventoryRefusesDisorder(t *testing.T) {
	s, l := newServer(t, "INBOX"), newLedger(t)
	s.add("INBOX", "a")
	s.add("INBOX", "b")
	slices.Reverse(s.messages["INBOX"])
	if _, err := Inventory(t.Context(), s, l, options()); err != nil {
		t.Fatal(err)
	}
	if sc := l.scans["INBOX"]; sc.Complete || !strings.Contains(sc.Error, "uid 1 listed after uid 2") {
		t.Errorf("%+v", sc)
	}
}

func TestInventoryStops(t *testing.T) {
	for _, when := range []string{"list", "examine", "metadata", "bodies"} {
		s, l := newServer(t, "INBOX", "Sent"), newLedger(t)
		for i := range 5 {
			s.add("INBOX", fmt.Sprint(i))
		}
		stop, closed := make(chan struct{}), false
		s.during = func(step string) {
			if step == when && !closed {
				close(stop)
				closed = true
			}
		}
		o := options()
		o.Stop = stop
		_, err := Inventory(t.Context(), s, l, o)
		if !errors.Is(err, ErrStopped) || l.last.State != mailproof.PassCancelled {
			t.Errorf("stopped at %s: %v, %v", when, err, l.last.State)
		}
		if sc, ok := l.scans["INBOX"]; ok && sc.Complete {
			t.Errorf("stopped at %s: the folder counts as complete", when)
		}
	}
}

func TestInventoryLedgerFails(t *testing.T) {
	s, l := newServer(t, "INBOX", "Sent"), newLedger(t)
	s.add("INBOX", "a")
	l.addErr = errors.New("disk full")
	if _, err := Inventory(t.Context(), s, l, options()); !errors.Is(err, l.addErr) || l.last.State == mailproof.PassDone {
		t.Errorf("%v, %v", err, l.last.State)
	}
}
