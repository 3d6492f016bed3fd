package ledger

import (
	"bytes"
	"fmt"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
)

// readMessage is a message as an inventory records it.
func readMessage(t *testing.T, key mailproof.MessageKey, raw []byte) mailproof.Message {
	t.Helper()
	fp := must[mailproof.Fingerprint](t)(fingerprint.Compute(bytes.NewReader(raw)))
	return mailproof.Message{MessageKey: key, Metadata: mailproof.Metadata{UID: key.UID, Size: fp.Octets}, State: mailproof.Read, Fingerprint: fp}
}

// A fingerprint that is looked up is the one that would be made, to the last
// detail; it is found by all of its octets and their number only, among the
// messages of the one side of the one account.
func TestTwins(t *testing.T) {
	ctx := t.Context()
	l := must[*Ledger](t)(Open(ctx, filepath.Join(t.TempDir(), "l.db")))
	defer l.Close()
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Started: time.Now()}))
	raw := func(i int) []byte {
		return fmt.Appendf(nil, "From: a@b.example\r\nSubject: =?utf-8?Q?caf=C3=A9?= %d\r\nMessage-ID: <%d@b.example>\r\nMIME-Version: 1.0\r\n"+
			"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext %d\r\n--x\r\nContent-Type: application/pdf; name=a.pdf\r\n"+
			"Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--x--\r\n", i, i, i, bytes.Repeat([]byte("QUJD"), 40+i))
	}
	const n, least = 60, 500
	for _, account := range []string{"anna", "bob"} {
		if err := l.BeginScan(ctx, mailproof.Scan{Pass: pass, Account: account, Side: mailproof.Source, Started: time.Now()}); err != nil {
			t.Fatal(err)
		}
		w := must[*MailboxWriter](t)(l.BeginMailbox(ctx, pass, account, mailproof.Source, mailproof.Mailbox{Name: "INBOX"}, mailproof.MailboxState{UIDValidity: 1, UIDNext: n + 3, Exists: n}))
		for i := range n {
			if account == "bob" && i != 0 {
				break
			}
			key := mailproof.MessageKey{Side: mailproof.Source, Account: account, Mailbox: "INBOX", UIDValidity: 1, UID: mailproof.UID(i + 1)}
			m := readMessage(t, key, raw(i))
			if account == "bob" {
				m = readMessage(t, key, raw(1000))
			}
			if err := w.Add(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
		// One that could not be read, and one that nobody tried to read.
		for i, state := range []mailproof.ReadState{mailproof.Unreadable, mailproof.Unread} {
			uid := mailproof.UID(n + 1 + i)
			m := mailproof.Message{MessageKey: mailproof.MessageKey{Side: mailproof.Source, Account: account, Mailbox: "INBOX", UIDValidity: 1, UID: uid},
				Metadata: mailproof.Metadata{UID: uid, Size: 9999}, State: state, Reason: "no"}
			if err := w.Add(ctx, m); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.End(ctx, mailproof.MailboxState{}, mailproof.MailboxScan{}); err != nil {
			t.Fatal(err)
		}
	}
	twins := must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Source, least))
	defer twins.Close()
	found := 0
	for i := range n {
		want := must[mailproof.Fingerprint](t)(fingerprint.Compute(bytes.NewReader(raw(i))))
		got, ok, err := twins.Fingerprint(ctx, want.Hash(mailproof.T0), want.Octets)
		if err != nil || ok != (want.Octets >= least) || ok && !reflect.DeepEqual(got, want) {
			t.Fatalf("message %d of %d octets: %v, %v\n%+v\n%+v", i, want.Octets, ok, err, got, want)
		}
		if !ok {
			continue
		}
		found++
		// One octet more, or another hash that begins alike, is another message.
		if _, ok, err := twins.Fingerprint(ctx, want.Hash(mailproof.T0), want.Octets+1); ok || err != nil {
			t.Fatalf("message %d by another length: %v, %v", i, ok, err)
		}
		t0 := want.Hash(mailproof.T0)
		t0[31] ^= 1
		if _, ok, err := twins.Fingerprint(ctx, t0, want.Octets); ok || err != nil {
			t.Fatalf("message %d by another hash: %v, %v", i, ok, err)
		}
	}
	if found == 0 || found == n || twins.Len() != found {
		t.Fatalf("%d found of %d, %d listed", found, n, twins.Len())
	}
	other := must[mailproof.Fingerprint](t)(fingerprint.Compute(bytes.NewReader(raw(1000))))
	if _, ok, err := twins.Fingerprint(ctx, other.Hash(mailproof.T0), other.Octets); ok || err != nil {
		t.Errorf("found in another account: %v, %v", ok, err)
	}
	none := must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Destination, 0))
	defer none.Close()
	if none.Len() != 0 {
		t.Errorf("%d on the other side", none.Len())
	}
}

// A row by another algorithm is not taken.
func TestTwinsOfAnotherAlgorithm(t *testing.T) {
	ctx := t.Context()
	l := must[*Ledger](t)(Open(ctx, filepath.Join(t.TempDir(), "l.db")))
	defer l.Close()
	load(t, l, "anna", mailproof.Source, 5)
	twins := must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Source, 0))
	if err := twins.Close(); err != nil || twins.Len() != 5 {
		t.Fatalf("%d, %v", twins.Len(), err)
	}
	db := plain(t, l.Path())
	script(t, db, "DROP TRIGGER pass_fixed; UPDATE pass SET algorithm = 'mpfp-0'")
	twins = must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Source, 0))
	if err := twins.Close(); err != nil || twins.Len() != 0 {
		t.Fatalf("%d of another algorithm, %v", twins.Len(), err)
	}
}
