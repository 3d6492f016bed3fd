package collect

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/ledger"
)

// realLedger is the ledger as an inventory pass knows it.
type realLedger struct{ *ledger.Ledger }

func (l realLedger) BeginMailbox(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side, mb mailproof.Mailbox, before mailproof.MailboxState) (MailboxRecorder, error) {
	return l.Ledger.BeginMailbox(ctx, pass, account, side, mb, before)
}

// X-GM-MSGID goes from a server that offers it through an inventory pass into
// the ledger, at every depth; from one that does not, nothing comes.
func TestGmailIDReachesTheLedger(t *testing.T) {
	for _, tt := range []struct {
		name  string
		gmail bool
		depth mailproof.Depth
	}{{"full", true, mailproof.DepthFull}, {"preview", true, mailproof.DepthPreview}, {"not offered", false, mailproof.DepthFull}} {
		t.Run(tt.name, func(t *testing.T) {
			fatal := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			s := imapmem.New(imapmem.Options{Gmail: tt.gmail})
			t.Cleanup(func() { fatal(s.Close()) })
			fatal(s.Start(t.Context(), mailproof.Plaintext))
			a := s.AddAccount("anna", "pw")
			for _, text := range []string{"Subject: a\r\n\r\n1", "Subject: b\r\n\r\n2", "Subject: c\r\n\r\n3"} {
				a.Append("INBOX", []byte(text), nil, time.Unix(1e9, 0))
			}
			a.Append("Work", []byte("Subject: d\r\n\r\n4"), nil, time.Unix(1e9, 0))

			src, err := imapconn.DialReader(t.Context(), imapconn.Config{Endpoint: s.Endpoint("anna"), Password: mailproof.NewSecret("pw")})
			fatal(err)
			t.Cleanup(func() { _ = src.Close() })
			l, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
			fatal(err)
			t.Cleanup(func() { fatal(l.Close()) })
			pass, err := l.BeginPass(t.Context(), mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: tt.depth})
			fatal(err)
			sum, err := Inventory(t.Context(), src, realLedger{l}, Options{Pass: pass, Account: "anna", Side: mailproof.Source, Depth: tt.depth})
			if err != nil || sum.New != 4 {
				t.Fatal(sum, err)
			}

			inv, err := l.Inventory(t.Context(), "anna", mailproof.Source)
			fatal(err)
			defer func() { fatal(inv.Close()) }()
			n := 0
			for m, err := range inv.Messages(t.Context()) {
				fatal(err)
				n++
				want := uint64(0)
				if tt.gmail {
					want = a.Messages(m.MessageKey.Mailbox)[m.MessageKey.UID-1].GmailID
					if want == 0 {
						t.Fatal("the server has no number")
					}
				}
				if m.GmailID != want {
					t.Errorf("%v: X-GM-MSGID %d in the ledger, want %d", m.MessageKey, m.GmailID, want)
				}
			}
			if n != 4 {
				t.Errorf("%d messages", n)
			}
		})
	}
}
