package engagement

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/ledger"
)

// owner is a mail user who changes an account while passes are taken of it.
type owner struct {
	*testing.T
	conn      net.Conn
	br        *bufio.Reader
	tag       int
	prefix    string
	mailboxes []string
	n         int
}

func newOwner(t *testing.T, ep mailproof.Endpoint) *owner {
	t.Helper()
	conn, err := net.Dial("tcp", ep.Address())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(5 * time.Minute))
	o := &owner{T: t, conn: conn, br: bufio.NewReader(conn), mailboxes: []string{"INBOX"}}
	o.line()
	o.do("LOGIN %q pw", ep.User)
	for _, l := range o.do("NAMESPACE") {
		if strings.HasPrefix(l, `* NAMESPACE (("INBOX.`) {
			o.prefix = "INBOX."
		}
	}
	return o
}

func (o *owner) line() string {
	o.Helper()
	l, err := o.br.ReadString('\n')
	if err != nil {
		o.Fatal(err)
	}
	return strings.TrimRight(l, "\r\n")
}

// do carries out a command and returns the untagged answers. A refusal is no
// error: the history goes on without it.
func (o *owner) do(format string, args ...any) (untagged []string) {
	o.Helper()
	o.tag++
	tag := "O" + strconv.Itoa(o.tag)
	fmt.Fprintf(o.conn, tag+" "+format+"\r\n", args...)
	for {
		l := o.line()
		if strings.HasPrefix(l, tag+" ") {
			return untagged
		}
		untagged = append(untagged, l)
	}
}

func (o *owner) append(mailbox string) {
	o.Helper()
	o.n++
	text := fmt.Sprintf("From: a@a.example\r\nTo: b@b.example\r\nSubject: number %d\r\nMessage-ID: <%d@a.example>\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\n\r\nThis is number %d.\r\n", o.n, o.n, o.n)
	o.tag++
	tag := "O" + strconv.Itoa(o.tag)
	fmt.Fprintf(o.conn, "%s APPEND %q (\\Seen) {%d}\r\n", tag, mailbox, len(text))
	for l := o.line(); !strings.HasPrefix(l, "+"); l = o.line() {
		if strings.HasPrefix(l, tag+" ") {
			return
		}
	}
	fmt.Fprintf(o.conn, "%s\r\n", text)
	for l := o.line(); !strings.HasPrefix(l, tag+" "); l = o.line() {
	}
}

// select opens a mailbox and returns how many messages it has.
func (o *owner) selected(mailbox string) (n int) {
	o.Helper()
	for _, l := range o.do("SELECT %q", mailbox) {
		if number, is := strings.CutSuffix(l, " EXISTS"); is {
			n, _ = strconv.Atoi(strings.TrimPrefix(number, "* "))
		}
	}
	return n
}

// act does one thing, at random.
func (o *owner) act(r *rand.Rand) {
	o.Helper()
	mailbox := o.mailboxes[r.IntN(len(o.mailboxes))]
	switch r.IntN(9) {
	case 0, 1, 2:
		o.append(mailbox)
	case 3, 4:
		if n := o.selected(mailbox); n > 0 {
			flag := []string{`\Flagged`, `\Answered`, `\Seen`, "$Forwarded"}[r.IntN(4)]
			o.do("STORE %d %sFLAGS (%s)", 1+r.IntN(n), []string{"+", "-"}[r.IntN(2)], flag)
		}
		o.do("CLOSE")
	case 5:
		if n := o.selected(mailbox); n > 0 {
			o.do(`STORE %d +FLAGS (\Deleted)`, 1+r.IntN(n))
			o.do("EXPUNGE")
		}
		o.do("CLOSE")
	case 6:
		if len(o.mailboxes) < 6 {
			o.n++
			name := fmt.Sprintf("%sFolder%d", o.prefix, o.n)
			o.do("CREATE %q", name)
			o.mailboxes = append(o.mailboxes, name)
		}
	case 7:
		if mailbox == "INBOX" {
			return
		}
		o.n++
		name := fmt.Sprintf("%sRenamed%d", o.prefix, o.n)
		o.do("RENAME %q %q", mailbox, name)
		o.mailboxes[slices.Index(o.mailboxes, mailbox)] = name
	case 8: // another mailbox of the same name: its UIDVALIDITY changes
		if mailbox == "INBOX" {
			return
		}
		o.do("DELETE %q", mailbox)
		if r.IntN(2) == 0 {
			o.mailboxes = slices.DeleteFunc(o.mailboxes, func(name string) bool { return name == mailbox })
			return
		}
		o.do("CREATE %q", mailbox)
		for range r.IntN(3) {
			o.append(mailbox)
		}
	}
}

// thorough hides from a pass every way of leaving something unasked: the states
// that come with the names, and what the ledger remembers of a state.
type thorough struct{ collect.Source }

type forgetful struct{ collect.Recorder }

func (f forgetful) BeginMailbox(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side, mb mailproof.Mailbox, before mailproof.MailboxState) (collect.MailboxRecorder, error) {
	w, err := f.Recorder.BeginMailbox(ctx, pass, account, side, mb, before)
	return struct{ collect.MailboxRecorder }{w}, err
}

// counting counts how often a mailbox is opened, but for the one that is opened
// first to see whether the server tells the truth.
type counting struct {
	*imapconn.Reader
	opened int
	begun  bool
}

func (c *counting) Open(ctx context.Context, mailbox string, told mailproof.MailboxState) (mailproof.MailboxState, error) {
	c.opened++
	c.begun = true
	return c.Reader.Open(ctx, mailbox, told)
}

func (c *counting) Examine(ctx context.Context, mailbox string) (mailproof.MailboxState, error) {
	if c.begun {
		c.opened++
	}
	c.begun = true
	return c.Reader.Examine(ctx, mailbox)
}

// recordedOf is all that a ledger says of an account's latest inventory.
func recordedOf(t *testing.T, l *ledger.Ledger) (lines []string) {
	t.Helper()
	inv, err := l.Inventory(t.Context(), "anna", mailproof.Source)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := inv.Close(); err != nil {
			t.Error(err)
		}
	}()
	boxes := inv.Mailboxes()
	for _, b := range boxes {
		lines = append(lines, fmt.Sprintf("%+v", b))
	}
	for row, err := range inv.Rows(t.Context(), mailproof.TierNone) {
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintf("%s %d %s %s %d %v %x", boxes[row.Mailbox].Name, row.UID, row.Flags, row.InternalDate.UTC(), row.Size, row.State, row.Hashes[0][:4]))
	}
	return lines
}

// A destination that tells of its mailboxes what it knew before the copy, as one
// does whose states come from a cache, is read all the same where something was
// sent: nothing is sent twice, and nothing is missing.
func TestStaleStates(t *testing.T) {
	told := map[string]mailproof.MailboxState{}
	var mu sync.Mutex
	w := newBetween(t, imapmem.Options{}, imapmem.Options{OnState: func(_, mailbox string, state mailproof.MailboxState) mailproof.MailboxState {
		mu.Lock()
		defer mu.Unlock()
		if _, known := told[mailbox]; !known {
			told[mailbox] = state
		}
		return told[mailbox]
	}})
	src, dst := w.source.Account("anna"), w.destination.Account("anna")
	dst.Append("Work", messageOf(100), nil, time.Unix(1_600_000_000, 0))
	src.Append("Archive", messageOf(50), nil, time.Unix(1_700_000_000, 0))
	run := func() Comparison {
		mu.Lock()
		clear(told) // it is true before each run
		mu.Unlock()
		return w.run(nil)
	}
	run()
	for pass := range 3 {
		for i := range 3 {
			src.Append("Work", messageOf(3*pass+i), nil, time.Unix(1_700_000_000, 0))
		}
		if c := run(); c.Totals.Missing != 0 || c.Totals.Extra != 1 || c.Totals.DuplicateSurplus != 0 {
			t.Errorf("run %d: %+v", pass, c.Totals)
		}
		// So are flags that were set there.
		for _, folder := range []string{"Archive", "Work"} {
			if err := src.SetFlags(folder, 1, []mailproof.Flags{{`\Seen`}, {`\Flagged`}, nil}[pass]); err != nil {
				t.Fatal(err)
			}
		}
		if c := run(); c.Accounts[0].FlagsDiffer != 0 {
			t.Errorf("run %d: flags of %d messages differ", pass, c.Accounts[0].FlagsDiffer)
		}
		if n := len(dst.Messages("Work")); n != 4+3*pass {
			t.Errorf("run %d: %d messages on the destination, want %d", pass, n, 4+3*pass)
		}
	}
}

// A reading says that it began no later than what it rests on was told, also where
// that came along with a sign-in of before: whether it lies behind the cut-over is
// judged by it.
func TestReadingBeginsBeforeItsStates(t *testing.T) {
	var mu sync.Mutex
	var listed time.Time
	w := newBetween(t, imapmem.Options{OnCommand: func(_, command string) error {
		mu.Lock()
		defer mu.Unlock()
		if command == "LIST" {
			listed = time.Now()
		}
		return nil
	}}, imapmem.Options{Latency: 20 * time.Millisecond}) // the source is signed in to meanwhile
	for i := range 3 {
		w.source.Account("anna").Append("INBOX", messageOf(i), nil, time.Unix(1_700_000_000, 0))
		w.run(nil)
		w.with(nil, func(e *Engagement) {
			scan, _, _, err := e.ledger.LatestScan(t.Context(), "anna", mailproof.Source)
			if err != nil || scan.Started.After(listed) {
				t.Errorf("the reading began at %v, and its folders were listed at %v (%v)", scan.Started, listed.UTC(), err)
			}
		})
	}
	listed = time.Time{}
	w.run(nil) // nothing new: one reading, with the sign-in
	w.with(nil, func(e *Engagement) {
		scan, _, _, err := e.ledger.LatestScan(t.Context(), "anna", mailproof.Source)
		if err != nil || scan.Started.After(listed) {
			t.Errorf("nothing new: the reading began at %v, and its folders were listed at %v (%v)", scan.Started, listed.UTC(), err)
		}
	})
}

// A source that tells of its mailboxes what it knew when they were read last is not
// believed where the inbox shows that mail has come: in whichever folder it is.
func TestStaleSource(t *testing.T) {
	frozen := map[string]mailproof.MailboxState{}
	freeze := false
	var mu sync.Mutex
	w := newBetween(t, imapmem.Options{OnState: func(_, mailbox string, state mailproof.MailboxState) mailproof.MailboxState {
		mu.Lock()
		defer mu.Unlock()
		if freeze {
			return frozen[mailbox]
		}
		frozen[mailbox] = state
		return state
	}}, imapmem.Options{})
	src := w.source.Account("anna")
	for i, folder := range []string{"Archive", "INBOX", "Work"} {
		src.Append(folder, messageOf(i), nil, time.Unix(1_700_000_000, 0))
	}
	w.run(nil)
	w.run(nil)
	freeze = true
	src.ResetActivity()
	w.run(nil)
	if n := src.Activity().Commands["EXAMINE"]; n != 1 {
		t.Errorf("%d mailboxes were opened of a source in which nothing happened, want 1", n)
	}
	src.Append("INBOX", messageOf(3), nil, time.Unix(1_700_000_000, 0))
	src.Append("Work", messageOf(4), nil, time.Unix(1_700_000_000, 0))
	if c := w.run(nil); c.Totals.Identical != 5 || w.verdictOf(c) != mailproof.Complete {
		t.Errorf("%+v", c.Totals)
	}
}

// So it is where the process that sent something ended before it read it back.
func TestStaleStatesAfterACrash(t *testing.T) {
	var stale *mailproof.MailboxState
	w := newBetween(t, imapmem.Options{}, imapmem.Options{OnState: func(_, mailbox string, state mailproof.MailboxState) mailproof.MailboxState {
		if stale != nil && mailbox == "INBOX" {
			return *stale
		}
		return state
	}})
	w.run(nil)
	w.source.Account("anna").Append("INBOX", messageOf(1), nil, time.Unix(1_700_000_000, 0))
	w.with(nil, func(e *Engagement) {
		if err := e.inventories(t.Context(), Observer{}); err != nil {
			t.Fatal(err)
		}
		_, scans, _, err := e.ledger.LatestScan(t.Context(), "anna", mailproof.Destination)
		if err != nil || scans[0].Name != "INBOX" {
			t.Fatal(scans, err)
		}
		stale = &scans[0].After
		if res, err := e.Copy(t.Context()); err != nil || res.Summary.Appended != 1 {
			t.Fatal(res, err)
		}
	})
	if c := w.run(nil); c.Totals.Identical != 1 || len(w.destination.Account("anna").Messages("INBOX")) != 1 {
		t.Errorf("%+v", c.Totals)
	}
}

// Whatever happens to an account between two passes, a pass that leaves unasked
// what it may leaves the same in the ledger as one that asks for everything.
func TestNothingIsMissedByNotAsking(t *testing.T) {
	servers := map[string]mailproof.Endpoint{}
	for name, hide := range map[string][]string{"embedded": nil, "embedded without CONDSTORE": {"CONDSTORE"}, "embedded without LIST-STATUS": {"LIST-STATUS"}} {
		s := imapmem.New(imapmem.Options{Hide: hide})
		s.AddAccount("anna", "pw")
		if err := s.Start(t.Context(), mailproof.Plaintext); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		servers[name] = s.Endpoint("anna")
	}
	for _, name := range []string{"DOVECOT", "CYRUS", "COURIER"} {
		host, port, err := net.SplitHostPort(os.Getenv("MAILPROOF_" + name))
		if err != nil {
			continue
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			t.Fatal(err)
		}
		servers[strings.ToLower(name)] = mailproof.Endpoint{User: fmt.Sprintf("nearunchanged%d", time.Now().UnixNano()), Host: host, Port: n, Security: mailproof.Plaintext}
	}
	passes := 25
	if os.Getenv("MAILPROOF_LONG") != "" {
		passes = 400
	}
	for _, name := range slices.Sorted(maps.Keys(servers)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			notAsked := comparePasses(t, servers[name], passes)
			t.Logf("%d mailboxes were not opened", notAsked)
			if conditional := name == "embedded" || name == "dovecot" || name == "cyrus"; conditional && notAsked < passes {
				t.Error("nearly everything was asked for: the test says nothing")
			}
		})
	}
}

// comparePasses takes each pass twice and returns how many mailboxes the fast one
// did not open.
func comparePasses(t *testing.T, ep mailproof.Endpoint, passes int) (notAsked int) {
	ep.Security = mailproof.Plaintext
	config := imapconn.Config{Endpoint: ep, Password: mailproof.NewSecret("pw")}
	dial := func(survey bool) *imapconn.Reader {
		c := config
		c.Survey = survey
		r, err := imapconn.DialReader(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	open := func(name string) *ledger.Ledger {
		l, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	fast, slow := open("fast.db"), open("slow.db")
	who := newOwner(t, ep)
	who.append("INBOX") // Courier gives a mailbox that nothing was ever in a new UIDVALIDITY at each look
	kept, plain := dial(false), dial(false)
	defer kept.Leave()
	defer plain.Leave()
	r := rand.New(rand.NewPCG(7, 7))
	take := func(l *ledger.Ledger, src collect.Source, rec collect.Recorder) collect.Summary {
		pass, err := l.BeginPass(t.Context(), mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull})
		if err != nil {
			t.Fatal(err)
		}
		sum, err := collect.Inventory(t.Context(), src, rec, collect.Options{Pass: pass, Account: "anna", Side: mailproof.Source})
		if err != nil {
			t.Fatal(err)
		}
		if err := l.EndPass(t.Context(), pass, mailproof.PassDone, "", sum.Messages, sum.Bytes); err != nil {
			t.Fatal(err)
		}
		return sum
	}
	for i := range passes {
		for range r.IntN(4) {
			who.act(r)
		}
		src := &counting{Reader: kept}
		if i%3 == 1 { // with what came along with the sign-in
			src.Reader = dial(true)
		}
		quick := take(fast, src, recorder{fast})
		notAsked += max(0, quick.Mailboxes-src.opened)
		if src.Reader != kept {
			_ = src.Leave()
		}
		full := take(slow, thorough{plain}, forgetful{recorder{slow}})
		if got, want := recordedOf(t, fast), recordedOf(t, slow); !slices.Equal(got, want) {
			t.Fatalf("pass %d:\n%s\nand with everything asked for:\n%s", i, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if quick != full {
			t.Errorf("pass %d: %+v, and with everything asked for %+v", i, quick, full)
		}
	}
	return notAsked
}
