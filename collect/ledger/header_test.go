package ledger

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// fillHeaders leaves one header in the ledger.
func fillHeaders(t *testing.T, w *MailboxWriter) {
	t.Helper()
	ok(t, w.AddHeaders(t.Context(), []mailproof.UID{3}, []mailproof.Header{headerOf(3)}))
}

func headerOf(n int) mailproof.Header {
	h := mailproof.Header{MessageID: "<" + strings.Repeat("x", n%7) + "@y>"}
	if n%5 == 0 {
		return mailproof.Header{Reason: "NO [SERVERBUG]"}
	}
	if n%3 > 0 {
		h.T3 = mailproof.Hash{1: byte(n), 31: byte(n >> 8)}
	}
	if n%2 > 0 {
		value := strings.Repeat("s", n%200)
		h.Fields = []mailproof.FieldDigest{{Name: "subject", Value: value, Hash: mailproof.FieldHash("subject", value)}}
	}
	return h
}

// Headers come back as they went in, the latest of each message, at the pass
// that is asked about; those that could not be read count as not known.
func TestHeaders(t *testing.T) {
	l := must[*Ledger](t)(Open(t.Context(), t.TempDir()+"/l.db"))
	const n = 2*headersPerJob + 10
	want := map[mailproof.UID]mailproof.Header{}
	scan := func(f func(w *MailboxWriter)) mailproof.PassID {
		pass := must[mailproof.PassID](t)(l.BeginPass(t.Context(), mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthPreview}))
		s := mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}
		ok(t, l.BeginScan(t.Context(), s))
		w := must[*MailboxWriter](t)(l.BeginMailbox(t.Context(), pass, "anna", mailproof.Source, mailproof.Mailbox{Name: "INBOX"}, mailproof.MailboxState{UIDValidity: 1}))
		f(w)
		ok(t, w.End(t.Context(), mailproof.MailboxState{}, mailproof.MailboxScan{Complete: true, Present: n}))
		s.State = mailproof.PassDone
		ok(t, l.EndScan(t.Context(), s))
		return pass
	}
	first := scan(func(w *MailboxWriter) {
		var uids []mailproof.UID
		var headers []mailproof.Header
		for i := 1; i <= n; i++ {
			m := mailproof.Message{MessageKey: keyOf(mailproof.Source, mailproof.UID(i)), State: mailproof.Unread}
			m.Metadata.UID = m.MessageKey.UID
			ok(t, w.Add(t.Context(), m))
			uids, headers = append(uids, m.MessageKey.UID), append(headers, headerOf(i))
			want[m.MessageKey.UID] = headerOf(i)
		}
		ok(t, w.AddHeaders(t.Context(), uids, headers))
	})
	second := scan(func(w *MailboxWriter) {
		var headed []mailproof.UID
		for uid, err := range w.Headed(t.Context()) {
			ok(t, err)
			headed = append(headed, uid)
		}
		if !slices.IsSorted(headed) || len(headed) != n-n/5 {
			t.Errorf("%d headers are known of %d", len(headed), n)
		}
		ok(t, w.AddHeaders(t.Context(), []mailproof.UID{keyOf(mailproof.Source, 5).UID}, []mailproof.Header{headerOf(7)}))
	})
	for pass, five := range map[mailproof.PassID]mailproof.Header{first: headerOf(5), second: headerOf(7)} {
		want[keyOf(mailproof.Source, 5).UID] = five
		inv := must[*Inventory](t)(l.InventoryAt(t.Context(), "anna", mailproof.Source, pass))
		got := map[mailproof.UID]mailproof.Header{}
		ok(t, inv.EachHeader(t.Context(), func(id int64, h *mailproof.Header) error {
			got[uidOf(id)] = *h
			return nil
		}))
		ok(t, inv.Close())
		if !reflect.DeepEqual(got, want) {
			t.Errorf("pass %d: %d headers, want %d: %+v, want %+v", pass, len(got), len(want), got[5], want[5])
		}
	}
	ok(t, l.Close())
}
