package imapconn

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"

	"github.com/mailproof/mailproof"
)

// readOnly is a connection on which a server has said all it has to say.
type readOnly struct{ io.Reader }

func (readOnly) Write(p []byte) (int, error)      { return len(p), nil }
func (readOnly) Close() error                     { return nil }
func (readOnly) LocalAddr() net.Addr              { return nil }
func (readOnly) RemoteAddr() net.Addr             { return nil }
func (readOnly) SetDeadline(time.Time) error      { return nil }
func (readOnly) SetReadDeadline(time.Time) error  { return nil }
func (readOnly) SetWriteDeadline(time.Time) error { return nil }

// clientVerdict feeds what a sanitizer lets through to go-imap's client and
// returns what it says of it. Tagged responses are left to other tests: the
// client has sent no command.
func clientVerdict(t testing.TB, in []byte) (sanitizerErr, clientErr error) {
	t.Helper()
	s := newSanitizer(bufio.NewReaderSize(bytes.NewReader(in), readBuffer), hooks{
		continuation: func() {}, untagged: func(response) {}, unilateral: func(status) {},
		tagged: func(string, status) bool { return true },
	})
	s.mode.Store(uint32(fetchData))
	s.out = []byte("* PREAUTH [CAPABILITY IMAP4rev1] ready\r\n")
	c := imapclient.New(readOnly{s}, nil)
	<-c.Closed()
	return s.err, c.Close()
}

// Whatever a server says, what passes the sanitizer is understood by go-imap's
// client: it never closes the connection on it.
func FuzzClientUnderstands(f *testing.F) {
	for _, seed := range []string{
		"* 1 FETCH (UID 5 FLAGS (\\Seen a]b 5% NIL \"q\" =\xe9) INTERNALDATE \"31-Feb-2020 00:00:00 GMT\" RFC822.SIZE -1)\r\n",
		"* 1 FETCH (X {3}\r\nabc UID 5 MODSEQ (99999999999999999999) BODY[] ~{2}\r\nab BODY[TEXT] NIL)\r\n* 2 FETCH (BODY[] \"x\\\"y\" ENVELOPE (NIL NIL))\r\n",
		"* SEARCH 1 2  3 (MODSEQ 5) \r\n* ESEARCH (TAG \"x\") UID ALL 1:5 COUNT 3\r\n* LIST () nil R&D\r\n\r\n+ \r\n* VANISHED 1\r\n",
		"* OK [UIDNEXT x\r\n* BYE\r\n* 5 EXISTS\r\n* FLAGS (a]b)\r\n* CAPABILITY IMAP4rev2  X\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		ours, theirs := clientVerdict(t, in)
		if theirs == nil || ours != io.EOF {
			return // the sanitizer has refused it, or it was cut, and it says so
		}
		if strings.Contains(theirs.Error(), "SEARCH") || bytes.Contains(bytes.ToUpper(in), []byte("SEARCH")) {
			return // numbers of SEARCH stream by unread: the client checks them itself
		}
		t.Fatalf("the client does not understand what the sanitizer lets through: %v\n%q", theirs, in)
	})
}

// The happy path against a server of go-imap's own.
func TestMemServer(t *testing.T) {
	ctx := context.Background()
	account := imapmemserver.NewUser("anna", "s3cret")
	for _, name := range []string{"INBOX", "Entwürfe"} {
		if err := account.Create(name, nil); err != nil {
			t.Fatal(err)
		}
	}
	mem := imapmemserver.New()
	mem.AddUser(account)
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return mem.NewSession(), nil, nil
		},
		Caps:         imap.CapSet{imap.CapIMAP4rev1: {}, imap.CapIMAP4rev2: {}},
		InsecureAuth: true,
	})
	f := newFake(t, func(*fakeConn) {})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	defer func() {
		_ = server.Close()
		<-done
	}()
	config := f.config()
	config.Endpoint.Port = listener.Addr().(*net.TCPAddr).Port

	w, err := DialWriter(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	body := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcde\r\n", 1000)
	date := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	for range 3 {
		if validity, uid, err := w.Append(ctx, "Entwürfe", mailproof.NewFlags(`\Seen`), date, int64(len(body)), strings.NewReader(body)); err != nil || validity == 0 || uid == 0 {
			t.Fatal(validity, uid, err)
		}
	}
	if _, _, err := w.Append(ctx, "Nowhere", nil, date, int64(len(body)), strings.NewReader(body)); mailproof.KindOf(err) != mailproof.ErrNoMailbox {
		t.Errorf("append to nowhere: %v", err)
	}
	state, err := w.State(ctx, "Entwürfe")
	if err != nil || state.Exists != 3 {
		t.Fatal(state, err)
	}

	r, err := DialReader(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	boxes, err := r.Mailboxes(ctx)
	if err != nil || len(boxes) != 2 || boxes[0].Name != "INBOX" || boxes[1].Name != "Entwürfe" {
		t.Fatal(boxes, err)
	}
	if opened, err := r.Examine(ctx, "Entwürfe"); err != nil || !opened.SameContents(state) {
		t.Fatal(opened, state, err)
	}
	list, err := listed(t, r)
	if err != nil || len(list) != 3 || !list[0].InternalDate.Equal(date) || !list[0].Flags.Equal(mailproof.NewFlags(`\Seen`)) {
		t.Fatal(list, err)
	}
	n := 0
	unread, err := r.Bodies(ctx, list, func(_ mailproof.UID, size int64, b io.Reader) error {
		raw, err := io.ReadAll(b)
		if err == nil && string(raw) != body {
			t.Errorf("%d octets came back, want %d", len(raw), len(body))
		}
		n++
		return err
	})
	if err != nil || len(unread) > 0 || n != 3 {
		t.Error(n, unread, err)
	}
}
