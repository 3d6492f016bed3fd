package engagement

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/diff"
)

// verdictOf is what a report would say of a comparison.
func (w *between) verdictOf(c Comparison) (v mailproof.Verdict) {
	w.Helper()
	w.with(nil, func(e *Engagement) {
		d, err := e.Document(w.Context(), c)
		if err != nil {
			w.Fatal(err)
		}
		v = d.Verdict
		w.Log(d.Lead())
		for _, f := range d.Findings {
			if f.Outcome != mailproof.OutcomePass {
				w.Logf("%v %s: %s", f.Outcome, f.Check, f.Observed)
			}
		}
	})
	return v
}

func (w *between) inventories() (c Comparison) {
	w.Helper()
	w.with(nil, func(e *Engagement) {
		if err := e.inventories(w.Context(), Observer{}); err != nil {
			w.Fatal(err)
		}
		var err error
		if c, err = e.Compare(w.Context(), nil); err != nil {
			w.Fatal(err)
		}
	})
	return c
}

// Another server under the name of the first, with the same UIDVALIDITY and
// the same UIDs, as servers have that begin to count at 1: what was read from
// the first says nothing of the second.
func TestAnotherServerUnderTheSameUIDs(t *testing.T) {
	for _, hide := range [][]string{nil, {"CONDSTORE"}} {
		t.Run(fmt.Sprint(hide), func(t *testing.T) {
			w := newBetween(t, imapmem.Options{}, imapmem.Options{Hide: hide})
			for i := range 5 {
				w.source.Account("anna").Append("INBOX", messageOf(i), nil, time.Unix(1_700_000_000+int64(i), 0))
			}
			if v := w.verdictOf(w.run(nil)); v != mailproof.Complete {
				t.Fatalf("the first: %v", v)
			}
			other := imapmem.New(imapmem.Options{Hide: hide})
			other.AddAccount("anna", "pw")
			for i := range 5 {
				other.Account("anna").Append("INBOX", messageOf(100+i), nil, time.Unix(1_700_000_500+int64(i), 0))
			}
			if err := other.Start(t.Context(), mailproof.Plaintext); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			w.options.Accounts[0].Destination = other.Endpoint("anna")
			c := w.inventories()
			if v := w.verdictOf(c); v != mailproof.Incomplete || c.Totals.Missing != 5 {
				t.Errorf("%v, %d missing, want 5", v, c.Totals.Missing)
			}
		})
	}
}

// A message that took another's place under its UID is read once, and stands in
// the ledger with its own size and date; what was known of the other one before
// stays what the passes of then say.
func TestReplacedIsReadOnce(t *testing.T) {
	w := newBetween(t, imapmem.Options{}, imapmem.Options{Hide: []string{"CONDSTORE"}})
	at := time.Unix(1_700_000_000, 0).UTC()
	w.source.Account("anna").Append("INBOX", messageOf(1), nil, at)
	w.run(nil)
	other := imapmem.New(imapmem.Options{Hide: []string{"CONDSTORE"}})
	other.AddAccount("anna", "pw")
	later := at.Add(time.Hour)
	other.Account("anna").Append("INBOX", messageOf(1000), nil, later)
	if err := other.Start(t.Context(), mailproof.Plaintext); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	w.options.Accounts[0].Destination = other.Endpoint("anna")
	rowAt := func(e *Engagement, pass mailproof.PassID) (row mailproof.Row) {
		inv, err := e.ledger.InventoryAt(t.Context(), "anna", mailproof.Destination, pass)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = inv.Close() }()
		for row, err = range inv.Rows(t.Context(), mailproof.TierNone) {
			if err != nil {
				t.Fatal(err)
			}
		}
		return row
	}
	w.with(nil, func(e *Engagement) {
		for n, want := range []int64{1, 0, 0} {
			res, err := e.Inventory(t.Context(), mailproof.Destination)
			if err != nil {
				t.Fatal(err)
			}
			if res.Summary.Read != want || res.Summary.Changed != want {
				t.Errorf("pass %d: %d read, %d changed, want %d", n, res.Summary.Read, res.Summary.Changed, want)
			}
			row := rowAt(e, res.Pass)
			if size := int64(len(messageOf(1000))); row.Size != size || row.Octets != size || !row.InternalDate.Equal(later) {
				t.Errorf("pass %d: %d octets, stated %d, of %v", n, row.Octets, row.Size, row.InternalDate)
			}
			if row := rowAt(e, res.Pass-mailproof.PassID(n)-2); row.Size != int64(len(messageOf(1))) || !row.InternalDate.Equal(at) {
				t.Errorf("the other one: %d octets of %v", row.Size, row.InternalDate)
			}
		}
		v, err := e.ledger.VerifyChain(t.Context(), nil)
		if err != nil || !v.Whole() {
			t.Errorf("the history: %+v, %v", v, err)
		}
	})
}

// That one message may stay behind says nothing of another that is found under its
// UID, nor does it lapse because the same one is read or listed anew.
func TestAcceptanceIsOfAMessage(t *testing.T) {
	at := time.Unix(1_700_000_000, 0).UTC()
	for name, x := range map[string]struct {
		now  []byte
		date time.Time
		want mailproof.Verdict
	}{
		"another message":      {messageOf(2), at.Add(time.Hour), mailproof.Incomplete},
		"the same, dated anew": {messageOf(1), at.Add(time.Hour), mailproof.CompleteWithAcceptedExceptions},
		"the same":             {messageOf(1), at, mailproof.CompleteWithAcceptedExceptions},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBetween(t, imapmem.Options{Hide: []string{"CONDSTORE"}}, imapmem.Options{OnAppend: func(_, _ string, raw []byte) ([]byte, error) {
				if strings.Contains(string(raw), "number 0") {
					return raw, nil
				}
				return nil, errors.New("NO not here")
			}})
			w.source.Account("anna").Append("INBOX", messageOf(0), nil, at)
			w.source.Account("anna").Append("INBOX", messageOf(1), nil, at)
			c := w.run(nil)
			if v := w.verdictOf(c); v != mailproof.Incomplete || c.Totals.Missing != 1 {
				t.Fatalf("%v, %d missing", v, c.Totals.Missing)
			}
			w.with(nil, func(e *Engagement) {
				d, err := e.Dispose(t.Context(), DisposeOptions{IDs: []string{"E-001"}, As: mailproof.Accepted, By: "A. Lindgren", Why: "agreed"})
				if err != nil {
					t.Fatal(err)
				}
				if v := mailproof.Roll(d.After.Accounts[0].Findings); v != mailproof.CompleteWithAcceptedExceptions {
					t.Fatalf("accepted: %v", v)
				}
			})
			restored := imapmem.New(imapmem.Options{Hide: []string{"CONDSTORE"}})
			restored.AddAccount("anna", "pw")
			restored.Account("anna").Append("INBOX", messageOf(0), nil, at)
			restored.Account("anna").Append("INBOX", x.now, nil, x.date)
			if err := restored.Start(t.Context(), mailproof.Plaintext); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { restored.Close() })
			w.options.Accounts[0].Source = restored.Endpoint("anna")
			c = w.inventories()
			if v := mailproof.Roll(c.Accounts[0].Findings); v != x.want || c.Totals.Missing != 1 {
				t.Errorf("%v, want %v, %d missing", v, x.want, c.Totals.Missing)
			}
		})
	}
}

// A server that answers with nothing in place of a message has not sent it,
// on whichever side: what was copied of it is not it.
func TestNothingInPlaceOfAMessage(t *testing.T) {
	empty := imapmem.Options{OnFetch: func(_, _ string, uid mailproof.UID, raw []byte) ([]byte, error) {
		if uid == 2 {
			return []byte{}, nil
		}
		return raw, nil
	}}
	for _, sides := range [][2]imapmem.Options{{empty, {}}, {{}, empty}, {empty, empty}} {
		w := newBetween(t, sides[0], sides[1])
		for i := range 3 {
			w.source.Account("anna").Append("INBOX", messageOf(i), nil, time.Unix(1_700_000_000+int64(i), 0))
		}
		if v := w.verdictOf(w.run(nil)); v == mailproof.Complete {
			t.Errorf("COMPLETE of a message that was never sent")
		}
	}
}

// Nothing is missing of an empty source, as where the two sides were mixed up.
func TestNothingToCompare(t *testing.T) {
	w := newBetween(t, imapmem.Options{}, imapmem.Options{})
	if v := w.verdictOf(w.run(nil)); v != mailproof.Complete {
		t.Errorf("both empty: %v", v)
	}
	w.destination.Account("anna").Append("INBOX", messageOf(1), nil, time.Unix(1_700_000_000, 0))
	if v := w.verdictOf(w.run(nil)); v != mailproof.Inconclusive {
		t.Errorf("the source alone is empty: %v", v)
	}
}

// What a rule left out is not known of when the rule is taken back, be it one
// of the engagement or of an account, until it is read.
func TestRuleTakenBack(t *testing.T) {
	for name, rules := range map[string]Rules{
		"exclude": {Exclude: []string{"Archive"}, Accounts: map[string]AccountRules{}},
		"folder":  {Folders: []string{"INBOX"}, Accounts: map[string]AccountRules{}},
		"account": {Accounts: map[string]AccountRules{"anna": {Exclude: []string{"Archive"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBetween(t, imapmem.Options{}, imapmem.Options{})
			for i, folder := range []string{"INBOX", "Archive"} {
				w.source.Account("anna").Append(folder, messageOf(i), nil, time.Unix(1_700_000_000, 0))
			}
			w.options.Rules = rules
			if v := w.verdictOf(w.run(nil)); v != mailproof.Complete {
				t.Fatalf("under the rule: %v", v)
			}
			// A rule that leaves out nothing stands for there being others.
			w.options.Rules = Rules{Exclude: []string{"Nowhere"}, Accounts: map[string]AccountRules{}}
			var c Comparison
			w.with(nil, func(e *Engagement) {
				var err error
				if c, err = e.Compare(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
			})
			if v := w.verdictOf(c); v != mailproof.Inconclusive {
				t.Errorf("without it: %v", v)
			}
			if v := w.verdictOf(w.run(nil)); v != mailproof.Complete {
				t.Errorf("read again: %v", v)
			}
		})
	}
}

// A folder of the source that is not listed any more is named, as its mail is
// not compared any more: until it is listed again, or never held any.
func TestFolderIsListedNoMore(t *testing.T) {
	w := newBetween(t, imapmem.Options{}, imapmem.Options{})
	src := w.source.Account("anna")
	for i, folder := range []string{"INBOX", "Archive", "Archive"} {
		src.Append(folder, messageOf(i), nil, time.Unix(1_700_000_000+int64(i), 0))
	}
	src.Create("Empty")
	observed := func() string {
		for _, f := range w.run(nil).Accounts[0].Findings {
			if f.Check == CheckGone {
				return f.Observed
			}
		}
		return ""
	}
	if got := observed(); got != "" {
		t.Errorf("at first: %s", got)
	}
	for _, folder := range []string{"Archive", "Empty"} {
		if err := src.DeleteMailbox(folder); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // not only once
		if got := observed(); !strings.Contains(got, `"Archive", 2 messages in pass`) || strings.Contains(got, "Empty") {
			t.Errorf("deleted: %q", got)
		}
	}
	src.Append("Archive", messageOf(1), nil, time.Unix(1_700_000_001, 0))
	if got := observed(); got != "" {
		t.Errorf("listed again: %s", got)
	}
}

// What a source cuts off is the same on both sides. Where its sizes are right
// otherwise, they tell; where it estimates them, they tell nothing.
func TestShorterThanStated(t *testing.T) {
	for name, x := range map[string]struct {
		cut  func(mailproof.UID) bool
		want string
	}{
		"one of many":    {func(uid mailproof.UID) bool { return uid == 7 }, `1 message was shorter than stated, where 49 messages were as long: “INBOX” uid 7`},
		"none":           {func(mailproof.UID) bool { return false }, ""},
		"all, estimated": {func(mailproof.UID) bool { return true }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newBetween(t, imapmem.Options{OnFetch: func(_, _ string, uid mailproof.UID, raw []byte) ([]byte, error) {
				if x.cut(uid) {
					return raw[:len(raw)-4], nil
				}
				return raw, nil
			}}, imapmem.Options{})
			for i := range 50 {
				w.source.Account("anna").Append("INBOX", messageOf(i), nil, time.Unix(1_700_000_000+int64(i), 0))
			}
			got := ""
			for _, f := range w.run(nil).Accounts[0].Findings {
				if f.Check == diff.CheckSizes {
					got = f.Observed
				}
			}
			if (got == "") != (x.want == "") || !strings.HasPrefix(got, x.want) {
				t.Errorf("%q, want %q", got, x.want)
			}
		})
	}
}
