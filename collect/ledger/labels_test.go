package ledger

import (
	"slices"
	"testing"

	"github.com/mailproof/mailproof"
)

// fillLabels leaves the labels of one message in the ledger.
func fillLabels(t *testing.T, w *MailboxWriter) {
	t.Helper()
	ok(t, w.SetLabels(t.Context(), []mailproof.Labelled{{UID: 3, Labels: []string{"Work", `\Important`}}}))
}

// Labels come back as they stood at the pass that is asked about, and only what
// changed is written.
func TestLabels(t *testing.T) {
	path := t.TempDir() + "/l.db"
	l := must[*Ledger](t)(Open(t.Context(), path))
	uid := func(n int) mailproof.UID { return mailproof.UID(n) }
	scan := func(add bool, labelled ...mailproof.Labelled) mailproof.PassID {
		pass := must[mailproof.PassID](t)(l.BeginPass(t.Context(), mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthPreview}))
		s := mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}
		ok(t, l.BeginScan(t.Context(), s))
		w := must[*MailboxWriter](t)(l.BeginMailbox(t.Context(), pass, "anna", mailproof.Source, mailproof.Mailbox{Name: "INBOX"}, mailproof.MailboxState{UIDValidity: 1}))
		ok(t, w.SetLabels(t.Context(), labelled)) // before the messages, as a listing comes before them
		for n := 1; add && n <= 3; n++ {
			m := mailproof.Message{MessageKey: mailproof.MessageKey{Side: mailproof.Source, Account: "anna", Mailbox: "INBOX", UIDValidity: 1, UID: uid(n)}, State: mailproof.Unread}
			m.Metadata.UID = uid(n)
			ok(t, w.Add(t.Context(), m))
		}
		ok(t, w.End(t.Context(), mailproof.MailboxState{}, mailproof.MailboxScan{Complete: true, Present: 3}))
		s.State = mailproof.PassDone
		ok(t, l.EndScan(t.Context(), s))
		ok(t, l.EndPass(t.Context(), pass, mailproof.PassDone, "", 3, 0))
		return pass
	}
	odd := []string{"", `"`, "Entwürfe", "a b", "\\Inbox", "\x00,[]"}
	first := scan(true, mailproof.Labelled{UID: 1, Labels: []string{"Work"}}, mailproof.Labelled{UID: 2, Labels: odd}, mailproof.Labelled{UID: 3, Labels: []string{}})
	second := scan(false, mailproof.Labelled{UID: 1, Labels: []string{"Work"}}, mailproof.Labelled{UID: 2, Labels: []string{}}, mailproof.Labelled{UID: 3, Labels: []string{"New"}})
	for pass, want := range map[mailproof.PassID]map[mailproof.UID][]string{
		first:  {1: {"Work"}, 2: odd},
		second: {1: {"Work"}, 2: {}, 3: {"New"}},
	} {
		inv := must[*Inventory](t)(l.InventoryAt(t.Context(), "anna", mailproof.Source, pass))
		got := map[mailproof.UID][]string{}
		ok(t, inv.EachLabels(t.Context(), func(id int64, labels []string) error {
			got[uidOf(id)] = labels
			one, err := inv.Labels(t.Context(), id)
			if !slices.Equal(one, labels) {
				t.Errorf("message %d: %q alone, %q in the list", id, one, labels)
			}
			return err
		}))
		if len(got) != len(want) {
			t.Errorf("pass %d: %v, want %v", pass, got, want)
		}
		for uid, w := range want {
			if !slices.Equal(got[uid], w) {
				t.Errorf("pass %d, uid %d: %q, want %q", pass, uid, got[uid], w)
			}
		}
		ok(t, inv.Close())
	}
	ok(t, l.Close())
	db := plain(t, path)
	var rows int
	ok(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM label").Scan(&rows))
	ok(t, db.Close())
	if rows != 4 {
		t.Errorf("%d rows of labels were written, want 4", rows)
	}
}
