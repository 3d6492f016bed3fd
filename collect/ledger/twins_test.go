package ledger

import (
	"bytes"
	"errors"
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
// detail; it is found by the hash of its octets, among the messages of the one
// side of the one account.
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
	const n = 60
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
	twins := must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Source))
	defer twins.Close()
	for i := range n {
		want := must[mailproof.Fingerprint](t)(fingerprint.Compute(bytes.NewReader(raw(i))))
		id := twins.Find(want.Hash(mailproof.T0))
		if id == 0 {
			t.Fatalf("message %d is not found", i)
		}
		if got := must[mailproof.Fingerprint](t)(twins.Fingerprint(ctx, id)); !reflect.DeepEqual(got, want) {
			t.Fatalf("message %d:\n%+v\n%+v", i, got, want)
		}
		t0 := want.Hash(mailproof.T0)
		t0[15] ^= 1
		if twins.Find(t0) != 0 {
			t.Fatalf("message %d by another hash", i)
		}
	}
	if twins.Len() != n {
		t.Fatalf("%d listed", twins.Len())
	}
	other := must[mailproof.Fingerprint](t)(fingerprint.Compute(bytes.NewReader(raw(1000))))
	if twins.Find(other.Hash(mailproof.T0)) != 0 {
		t.Error("found in another account")
	}
	none := must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Destination))
	defer none.Close()
	if none.Len() != 0 {
		t.Errorf("%d on the other side", none.Len())
	}
}

// What is recorded of a twin is what would be recorded of the message itself, in
// batches that are full or not, alone or among others, new or known.
func TestAddTwin(t *testing.T) {
	const n = 3*rowsPerInsert + 7
	raw := func(i int) []byte {
		return fmt.Appendf(nil, "From: a@b.example\r\nSubject: %d\r\n\r\ntext %d\r\n", i, i)
	}
	for name, isTwin := range map[string]func(i int) bool{
		"none":  func(int) bool { return false },
		"all":   func(int) bool { return true },
		"some":  func(i int) bool { return i%3 == 0 },
		"first": func(i int) bool { return i < rowsPerInsert+5 },
	} {
		for _, known := range []bool{false, true} {
			ctx := t.Context()
			l := must[*Ledger](t)(Open(ctx, filepath.Join(t.TempDir(), "l.db")))
			defer l.Close()
			add := func(side mailproof.Side, twins *Twins, twin func(int) bool) {
				pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: side, Started: time.Now()}))
				if err := l.BeginScan(ctx, mailproof.Scan{Pass: pass, Account: "anna", Side: side, Started: time.Now()}); err != nil {
					t.Fatal(err)
				}
				w := must[*MailboxWriter](t)(l.BeginMailbox(ctx, pass, "anna", side, mailproof.Mailbox{Name: "INBOX"}, mailproof.MailboxState{UIDValidity: 1, UIDNext: n + 1, Exists: n}))
				for i := range n {
					key := mailproof.MessageKey{Side: side, Account: "anna", Mailbox: "INBOX", UIDValidity: 1, UID: mailproof.UID(i + 1)}
					m := readMessage(t, key, raw(i))
					if !twin(i) {
						if err := w.Add(ctx, m); err != nil {
							t.Fatal(err)
						}
						continue
					}
					id := twins.Find(m.Fingerprint.Hash(mailproof.T0))
					if id == 0 {
						t.Fatalf("%s: message %d is not found", name, i)
					}
					fp := mailproof.Fingerprint{Octets: m.Fingerprint.Octets}
					fp.Hashes[mailproof.T0-1] = m.Fingerprint.Hash(mailproof.T0)
					m.Fingerprint = fp
					if err := w.AddTwin(ctx, m, id); err != nil {
						t.Fatal(err)
					}
				}
				if err := w.End(ctx, mailproof.MailboxState{}, mailproof.MailboxScan{Complete: true, Present: n}); err != nil {
					t.Fatal(err)
				}
				if err := l.EndScan(ctx, mailproof.Scan{Pass: pass, Account: "anna", Side: side, State: mailproof.PassDone, Finished: time.Now()}); err != nil {
					t.Fatal(err)
				}
			}
			nobody := func(int) bool { return false }
			add(mailproof.Source, nil, nobody)
			twins := must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Source))
			if known {
				// The ledger knows them: a server did not list them for a while.
				add(mailproof.Destination, nil, nobody)
			}
			add(mailproof.Destination, twins, isTwin)
			if err := twins.Close(); err != nil {
				t.Fatal(err)
			}
			inv := must[*Inventory](t)(l.Inventory(ctx, "anna", mailproof.Destination))
			i := 0
			for m, err := range inv.Messages(ctx) {
				if err != nil {
					t.Fatal(err)
				}
				want := must[mailproof.Fingerprint](t)(fingerprint.Compute(bytes.NewReader(raw(i))))
				if m.State != mailproof.Read || !reflect.DeepEqual(m.Fingerprint, want) {
					t.Fatalf("%s, known %v: message %d:\n%+v\n%+v", name, known, i, m.Fingerprint, want)
				}
				i++
			}
			if i != n {
				t.Errorf("%s, known %v: %d messages", name, known, i)
			}
			if err := inv.Close(); err != nil {
				t.Fatal(err)
			}
			if v := must[*Verification](t)(l.VerifyChain(ctx, nil)); len(v.Bad) != 0 {
				t.Errorf("%s, known %v: %v", name, known, v.Bad)
			}
		}
	}
}

// A message that does not have the octets of its twin is refused, and its mailbox
// has no end: in a full batch, and in one that is not.
func TestAddTwinOfAnother(t *testing.T) {
	ctx := t.Context()
	l := must[*Ledger](t)(Open(ctx, filepath.Join(t.TempDir(), "l.db")))
	defer l.Close()
	load(t, l, "anna", mailproof.Source, 2*rowsPerInsert)
	twins := must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Source))
	defer twins.Close()
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Destination, Started: time.Now()}))
	if err := l.BeginScan(ctx, mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Destination, Started: time.Now()}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{rowsPerInsert, 3} {
		for what, spoil := range map[string]func(*mailproof.Fingerprint){
			"hash":   func(fp *mailproof.Fingerprint) { fp.Hashes[mailproof.T0-1][31] ^= 1 },
			"octets": func(fp *mailproof.Fingerprint) { fp.Octets++ },
		} {
			box := fmt.Sprint(what, n)
			w := must[*MailboxWriter](t)(l.BeginMailbox(ctx, pass, "anna", mailproof.Destination, mailproof.Mailbox{Name: box}, mailproof.MailboxState{UIDValidity: 1, UIDNext: 1000, Exists: uint32(n)}))
			for i := range n {
				of := must[mailproof.Fingerprint](t)(twins.Fingerprint(ctx, twins.index[i].id))
				fp := mailproof.Fingerprint{Octets: of.Octets}
				fp.Hashes[mailproof.T0-1] = of.Hash(mailproof.T0)
				if i == n-1 {
					spoil(&fp)
				}
				key := mailproof.MessageKey{Side: mailproof.Destination, Account: "anna", Mailbox: box, UIDValidity: 1, UID: mailproof.UID(i + 1)}
				_ = w.AddTwin(ctx, mailproof.Message{MessageKey: key, Metadata: mailproof.Metadata{UID: key.UID}, State: mailproof.Read, Fingerprint: fp}, twins.index[i].id) // End has the error
			}
			if err := w.End(ctx, mailproof.MailboxState{}, mailproof.MailboxScan{Complete: true}); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s of one of %d: %v", what, n, err)
			}
		}
	}
}

// A row by another algorithm is not taken.
func TestTwinsOfAnotherAlgorithm(t *testing.T) {
	ctx := t.Context()
	l := must[*Ledger](t)(Open(ctx, filepath.Join(t.TempDir(), "l.db")))
	defer l.Close()
	load(t, l, "anna", mailproof.Source, 5)
	twins := must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Source))
	if err := twins.Close(); err != nil || twins.Len() != 5 {
		t.Fatalf("%d, %v", twins.Len(), err)
	}
	db := plain(t, l.Path())
	script(t, db, "DROP TRIGGER pass_fixed; UPDATE pass SET algorithm = 'mpfp-0'")
	twins = must[*Twins](t)(l.Twins(ctx, "anna", mailproof.Source))
	if err := twins.Close(); err != nil || twins.Len() != 0 {
		t.Fatalf("%d of another algorithm, %v", twins.Len(), err)
	}
}
