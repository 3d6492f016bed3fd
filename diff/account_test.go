package diff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// outcomes lists the checks that are not a pass, as "check outcome".
func outcomes(res mailproof.AccountResult) string {
	var out []string
	for _, f := range res.Findings {
		if f.Outcome != mailproof.OutcomePass {
			out = append(out, f.Check+" "+f.Outcome.String())
		}
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

// What the inventories say of themselves, and what that makes of the account.
func TestFindings(t *testing.T) {
	both := func(src, dst *fake) {
		for n := range 3 {
			src.add("INBOX", letter(n))
			dst.add("INBOX", letter(n))
		}
	}
	for _, tt := range []struct {
		name    string
		prepare func(src, dst *fake)
		want    mailproof.Verdict
		checks  string
	}{
		{"all well", both, mailproof.Complete, ""},
		{"empty", func(src, dst *fake) {}, mailproof.Complete, ""},
		{"missing", func(src, dst *fake) { both(src, dst); src.add("INBOX", letter(9)) }, mailproof.Incomplete, "messages.missing fail"},
		{"collapsed", func(src, dst *fake) { both(src, dst); src.add("INBOX", letter(1)) }, mailproof.Incomplete, "messages.collapsed fail"},
		{"collapsed across folders", func(src, dst *fake) { both(src, dst); src.add("Sent", letter(1)) }, mailproof.Incomplete, "messages.collapsed fail"},
		{"surplus", func(src, dst *fake) { both(src, dst); dst.add("INBOX", letter(1)) }, mailproof.Complete, ""},
		{"extra", func(src, dst *fake) { both(src, dst); dst.add("INBOX", letter(9)) }, mailproof.Complete, ""},
		{"relocated", func(src, dst *fake) { src.add("INBOX", letter(1)); dst.add("Archive", letter(1)) }, mailproof.Complete, ""},
		{"to the trash", func(src, dst *fake) { src.add("INBOX", letter(1)); dst.add("Trash", letter(1)) }, mailproof.Incomplete, "messages.relocated-to-trash fail"},
		{"from the trash", func(src, dst *fake) { src.add("Trash", letter(1)); dst.add("INBOX", letter(1)) }, mailproof.Complete, ""},
		{"from the trash to the junk", func(src, dst *fake) {
			dst.addBox(mailproof.Mailbox{Name: "Spam", SpecialUse: mailproof.UseJunk})
			src.add("Trash", letter(1))
			dst.add("Spam", letter(1))
		}, mailproof.Complete, ""},
		{"altered", func(src, dst *fake) {
			m := letter(1)
			src.add("INBOX", m)
			m.subject = "x"
			dst.add("INBOX", m)
		}, mailproof.Incomplete, "messages.altered fail"},
		{"a copy beside an altered one is missing", func(src, dst *fake) {
			m := letter(1)
			src.add("INBOX", m)
			src.add("INBOX", m)
			m.subject = "x"
			dst.add("INBOX", m)
		}, mailproof.Incomplete, "messages.altered fail, messages.missing fail"},
		{"flags and dates", func(src, dst *fake) {
			both(src, dst)
			dst.msgs[0].Flags = mailproof.NewFlags(`\Seen`)
			dst.msgs[1].InternalDate = dst.msgs[1].InternalDate.Add(2 * time.Second)
		}, mailproof.Complete, "messages.dates warn, messages.flags warn"},
		{"flags and dates that do not count", func(src, dst *fake) {
			both(src, dst)
			src.msgs[0].Flags, dst.msgs[0].Flags = mailproof.Flags{"$a", `\Seen`}, mailproof.Flags{`\Recent`, `\seen`, "$A"}
			dst.msgs[1].InternalDate = dst.msgs[1].InternalDate.Add(time.Second).In(time.FixedZone("", 3600))
			src.msgs[2].InternalDate = time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)
		}, mailproof.Complete, ""},
		{"source unreadable", func(src, dst *fake) { both(src, dst); src.add("INBOX", letter(9)).fail("NO") }, mailproof.Inconclusive, "messages.unverifiable unknown"},
		{"destination unreadable", func(src, dst *fake) { both(src, dst); dst.add("INBOX", letter(9)).fail("NO") }, mailproof.Inconclusive, "messages.destination-unreadable unknown"},
		{"missing or unreadable", func(src, dst *fake) {
			both(src, dst)
			src.add("INBOX", letter(9))
			dst.add("Sent", letter(9)).fail("NO")
		}, mailproof.Inconclusive, "messages.destination-unreadable unknown, messages.unverifiable unknown"},
		{"collapsed or unreadable", func(src, dst *fake) {
			both(src, dst)
			src.add("INBOX", letter(1))
			dst.add("Sent", letter(9)).fail("NO")
		}, mailproof.Inconclusive, "messages.destination-unreadable unknown, messages.unverifiable unknown"},
		{"not checked", func(src, dst *fake) { both(src, dst); src.add("INBOX", letter(9)).skip() }, mailproof.Inconclusive, "messages.not-checked unknown"},
		{"destination not checked, nothing missing", func(src, dst *fake) { both(src, dst); dst.add("INBOX", letter(9)).skip() }, mailproof.Complete, ""},
		{"destination not checked, one without counterpart", func(src, dst *fake) {
			both(src, dst)
			src.add("INBOX", letter(9))
			dst.add("INBOX", letter(9)).skip()
		}, mailproof.Inconclusive, "messages.unverifiable unknown"},
		{"source running", func(src, dst *fake) { both(src, dst); src.scan.State = mailproof.PassRunning }, mailproof.Inconclusive, "inventory.complete unknown"},
		{"destination failed", func(src, dst *fake) { both(src, dst); dst.scan.State = mailproof.PassFailed }, mailproof.Inconclusive, "inventory.complete unknown"},
		{"destination cancelled, one missing", func(src, dst *fake) {
			both(src, dst)
			src.add("INBOX", letter(9))
			dst.scan.State = mailproof.PassCancelled
		}, mailproof.Inconclusive, "inventory.complete unknown, messages.unverifiable unknown"},
		{"a folder not finished", func(src, dst *fake) { both(src, dst); dst.boxes[1].Complete = false }, mailproof.Inconclusive, "inventory.complete unknown"},
		{"a folder with an error", func(src, dst *fake) { both(src, dst); src.boxes[1].Error = "NO" }, mailproof.Inconclusive, "inventory.complete unknown"},
		{"a container", func(src, dst *fake) {
			both(src, dst)
			src.boxes[src.addBox(mailproof.Mailbox{Name: "x", NoSelect: true})].Complete = false
		}, mailproof.Complete, ""},
		{"drift", func(src, dst *fake) { both(src, dst); dst.boxes[0].Drifted = true }, mailproof.Inconclusive, "inventory.drift unknown"},
		{"renumbered", func(src, dst *fake) { both(src, dst); src.boxes[0].After.UIDValidity++ }, mailproof.Inconclusive, "inventory.drift unknown"},
		{"the server announced more", func(src, dst *fake) {
			both(src, dst)
			src.boxes[0].Before.Exists++
			src.boxes[0].After.Exists++
		}, mailproof.Inconclusive, "inventory.exists unknown"},
		{"the pass counted more", func(src, dst *fake) {
			both(src, dst)
			src.boxes[0].Present++
			src.boxes[0].Before.UIDValidity = 0
		}, mailproof.Inconclusive, "ledger.balance unknown"},
		{"the destination's pass counted less", func(src, dst *fake) {
			both(src, dst)
			dst.boxes[0].Present--
			dst.boxes[0].Before.UIDValidity = 0
		}, mailproof.Inconclusive, "ledger.balance unknown"},
		{"an empty folder", func(src, dst *fake) { both(src, dst); src.addBox(mailproof.Mailbox{Name: "x"}) }, mailproof.Complete, "folders.absent warn"},
		{"excluded", func(src, dst *fake) {
			both(src, dst)
			b := &src.boxes[1]
			b.Excluded, b.Complete, b.Before.Exists = "Archive", false, 12
		}, mailproof.Complete, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := standard()
			tt.prepare(src, dst)
			for _, limit := range []int{0, 1} {
				res, _ := compare(t, src, dst, Options{Limit: limit})
				if res.Verdict != tt.want || outcomes(res) != tt.checks {
					t.Errorf("%v (%s), want %v (%s)", res.Verdict, outcomes(res), tt.want, tt.checks)
				}
				if got := mailproof.Roll(res.Findings); got != res.Verdict {
					t.Errorf("%v rolls up to %v", res.Verdict, got)
				}
				if !strings.Contains(tt.checks, "balance") && !res.Counts.Balanced() {
					t.Errorf("not balanced: %+v", res.Counts)
				}
			}
		})
	}
}

// Without an inventory there is no verdict, whatever the other side holds.
func TestNeverScanned(t *testing.T) {
	src, dst := standard()
	src.add("INBOX", letter(1))
	dst.add("INBOX", letter(1))
	never := newFake(mailproof.Source)
	never.scan.Pass = 0
	for _, tt := range []struct {
		name     string
		src, dst Inventory
		want     mailproof.Counts
	}{
		{"neither", nil, nil, mailproof.Counts{}},
		{"no source", nil, dst, mailproof.Counts{DestinationMessages: 1, Extra: 1}},
		{"an empty source that was never scanned", never, dst, mailproof.Counts{DestinationMessages: 1, Extra: 1}},
		{"no destination", src, nil, mailproof.Counts{SourceMessages: 1, Unverifiable: 1}},
	} {
		res, _ := compare(t, tt.src, tt.dst, Options{})
		if res.Verdict != mailproof.Inconclusive || res.Counts != tt.want {
			t.Errorf("%s: %v, %+v", tt.name, res.Verdict, res.Counts)
		}
	}
}

// Accepted exceptions turn a failure into an accepted one, when they are all
// of it; "fixed" is no decision as long as the message is still found.
func TestDispositions(t *testing.T) {
	src, dst := standard()
	src.add("INBOX", letter(1))
	src.add("INBOX", letter(2)).fail("NO")
	decide := func(one, two mailproof.Disposition) Options {
		return Options{Dispositions: func(x *mailproof.Exception) mailproof.Disposition {
			return map[mailproof.UID]mailproof.Disposition{1: one, 2: two}[x.Key.UID]
		}}
	}
	for _, tt := range []struct {
		one, two mailproof.Disposition
		want     mailproof.Verdict
		open     int
	}{
		{mailproof.Open, mailproof.Open, mailproof.Incomplete, 2},
		{mailproof.Accepted, mailproof.Open, mailproof.Inconclusive, 1},
		{mailproof.Open, mailproof.Accepted, mailproof.Incomplete, 1},
		{mailproof.Accepted, mailproof.Waived, mailproof.CompleteWithAcceptedExceptions, 0},
		{mailproof.Fixed, mailproof.Accepted, mailproof.Incomplete, 1},
		{mailproof.Noted, mailproof.Accepted, mailproof.Incomplete, 1},
	} {
		for _, limit := range []int{0, 1, -1} {
			o := decide(tt.one, tt.two)
			o.MaxExceptions = limit
			res, _ := compare(t, src, dst, o)
			open := 0
			for _, x := range res.Exceptions {
				if x.NeedsDecision() {
					open++
				}
			}
			if res.Verdict != tt.want || limit == 0 && open != tt.open {
				t.Errorf("%v, %v: %v with %d open, want %v with %d", tt.one, tt.two, res.Verdict, open, tt.want, tt.open)
			}
			if len(res.Exceptions)+int(res.ExceptionsOmitted) != 2 {
				t.Errorf("limit %d: %d exceptions, %d omitted", limit, len(res.Exceptions), res.ExceptionsOmitted)
			}
		}
	}
}

// One accepted exception of two is not enough.
func TestAcceptedInPart(t *testing.T) {
	src, dst := standard()
	src.add("INBOX", letter(1))
	src.add("INBOX", letter(2))
	res, _ := compare(t, src, dst, Options{Dispositions: func(x *mailproof.Exception) mailproof.Disposition {
		return map[mailproof.UID]mailproof.Disposition{1: mailproof.Accepted}[x.Key.UID]
	}})
	if f, _ := finding(res, CheckMissing); f.Outcome != mailproof.OutcomeFail || f.Observed != "2 messages missing in “INBOX” (2); 1 accepted" {
		t.Errorf("%+v", f)
	}
}

// The mapped folder goes before the finer tier.
func TestFolderBeforeTier(t *testing.T) {
	src, dst := standard()
	m := letter(1)
	src.add("INBOX", m)
	dst.add("Archive", m)
	m.store++
	dst.add("INBOX", m)
	_, all := compare(t, src, dst, Options{})
	for _, r := range all {
		if r.SourceRow != nil && (r.Verdict != mailproof.IdenticalNormalised || r.Destination.Mailbox != "INBOX") {
			t.Errorf("%v in %s", r.Verdict, r.Destination.Mailbox)
		}
	}
}

func TestExceptionsAreDescribed(t *testing.T) {
	src, dst := standard()
	src.add("INBOX", letter(1))
	m := letter(2)
	src.add("Sent", m)
	m.parts = m.parts[:1]
	dst.add("Sent", m)
	src.add("INBOX", letter(3))
	dst.add("Archive", letter(3))
	dst.add("Archive", letter(3))
	res, _ := compare(t, src, dst, Options{Baseline: 1})
	var got []string
	for _, x := range res.Exceptions {
		got = append(got, fmt.Sprint(x.Verdict, " ", x.Disposition, " ", x.Key.Side, " ", x.Mailbox, " ", x.Key.UID, " ", x.MessageID, " ", x.Subject, " ", x.Size, " ", x.Counterpart.Mailbox, " ", x.Reasons))
	}
	want := []string{
		"missing open source INBOX 1 <1@old.example> Offer 1 182469  []",
		"altered open source Sent 1 <2@old.example> Offer 2 182469 Sent [part-lost: part 2 application/pdf “offer.pdf”: 182,044 octets]",
		"relocated noted source INBOX 2 <3@old.example> Offer 3 182469 Archive [relocated: “INBOX” → “Archive”]",
		"duplicate-surplus noted destination Archive 2 <3@old.example> Offer 3 182469  [arrived-later]",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The daily report: same sender, subject and text, another day. Yesterday's is
// no counterpart of today's.
func TestSameTextIsNotTheSameMessage(t *testing.T) {
	report := func(id string, date time.Time) mail {
		m := letter(0)
		m.id, m.date, m.subject = id, date, "nightly backup: no errors"
		return m
	}
	for _, ids := range [][2]string{{"<1@x>", "<2@x>"}, {"", ""}, {"<1@x>", ""}, {"", "<2@x>"}} {
		src, dst := standard()
		src.add("INBOX", report(ids[0], day))
		dst.add("INBOX", report(ids[1], day.Add(24*time.Hour)))
		res, _ := compare(t, src, dst, Options{})
		if res.Counts.Missing != 1 || res.Counts.Extra != 1 {
			t.Errorf("%q: %+v", ids, res.Counts)
		}
		if plan := steps(t, src, dst, Options{}); len(plan) != 1 || plan[0].Kind != mailproof.AppendMessage {
			t.Errorf("%q: %+v", ids, plan)
		}
	}
}

// Received at the same second, with the same sender, subject and text, and
// another Date: one message where the ids do not say otherwise.
func TestSameTextAtTheSameTime(t *testing.T) {
	for _, tt := range []struct {
		a, b    string
		altered int64
	}{{"<1@x>", "<2@y>", 0}, {"", "", 1}, {"<1@x>", "", 1}, {"", "<2@y>", 1}} {
		for _, other := range []bool{false, true} {
			src, dst := standard()
			m := letter(1)
			m.id = tt.a
			src.add("INBOX", m).InternalDate = day
			m.id = tt.b
			if other {
				m.parts = m.parts[:1]
			} else {
				m.date = m.date.Add(time.Hour)
			}
			dst.add("INBOX", m).InternalDate = day
			if res, _ := compare(t, src, dst, Options{}); res.Counts.Altered != tt.altered || res.Counts.Missing != 1-tt.altered {
				t.Errorf("%q, %q, other body %v: %+v", tt.a, tt.b, other, res.Counts)
			}
		}
	}
}

func TestAliases(t *testing.T) {
	src, dst := standard()
	m := letter(1)
	m.to = "anna@old.example, carl@c.example"
	src.add("INBOX", m)
	m.to = "carl@c.example, anna@new.example"
	dst.add("INBOX", m)
	aliases := map[string]string{"anna@old.example": "anna@new.example"}
	_, all := compare(t, src, dst, Options{Aliases: aliases})
	if r := all[0]; r.Verdict != mailproof.EquivalentWithNotes || reasonsText(r.Reasons) != "recipient-aliased: to: “anna@old.example, carl@c.example” → “carl@c.example, anna@new.example”" {
		t.Errorf("%v %v", r.Verdict, r.Reasons)
	}
	for name, change := range map[string]func(*mail){
		"another address": func(m *mail) { m.to = "carl@c.example, eve@new.example" },
		"one lost":        func(m *mail) { m.to = "anna@new.example" },
		"subject too":     func(m *mail) { m.subject = "x" },
		"a part too":      func(m *mail) { m.parts = m.parts[:1] },
	} {
		dst.msgs = nil
		dst.boxes[0].Present = 0
		n := m
		change(&n)
		dst.add("INBOX", n)
		if _, all := compare(t, src, dst, Options{Aliases: aliases}); all[0].Verdict != mailproof.Altered {
			t.Errorf("%s: %v", name, all[0].Verdict)
		}
	}
}

// One set of equal messages: which of them are paired.
func TestTwins(t *testing.T) {
	src, dst := standard()
	for n := range 3 {
		src.add("INBOX", letter(1)).InternalDate = day.Add(time.Duration(n) * time.Hour)
	}
	for n := 1; n < 3; n++ {
		dst.add("INBOX", letter(1)).InternalDate = day.Add(time.Duration(n) * time.Hour)
	}
	res, all := compare(t, src, dst, Options{})
	if res.DatesDiffer != 0 || res.Counts.DuplicateCollapsed != 1 {
		t.Errorf("%d dates differ, %+v", res.DatesDiffer, res.Counts)
	}
	for _, r := range all {
		if r.Verdict == mailproof.DuplicateCollapsed && r.Source.UID != 1 {
			t.Errorf("the copy left over is %v", r.Source)
		}
	}
}

// Twins of one date are told apart by their flags.
func TestTwinsByFlags(t *testing.T) {
	src, dst := standard()
	for i, f := range []string{`\Seen`, `\Flagged`} {
		src.add("INBOX", letter(1)).Flags = mailproof.NewFlags(f)
		dst.add("INBOX", letter(1)).Flags = mailproof.NewFlags([]string{`\Flagged`, `\Seen`}[i])
	}
	if res, _ := compare(t, src, dst, Options{}); res.FlagsDiffer != 0 {
		t.Errorf("%d flags differ", res.FlagsDiffer)
	}
}

func TestBaseline(t *testing.T) {
	src, dst := standard()
	for i := range 3 {
		dst.add("INBOX", letter(i)).FirstPass = mailproof.PassID(i + 1)
	}
	for baseline, want := range map[mailproof.PassID]string{
		0: "[] [] []",
		1: "[pre-existing] [arrived-later] [arrived-later]",
		2: "[pre-existing] [pre-existing] [arrived-later]",
	} {
		_, all := compare(t, src, dst, Options{Baseline: baseline})
		var got []string
		for _, r := range all {
			got = append(got, fmt.Sprint(r.Reasons))
		}
		if strings.Join(got, " ") != want {
			t.Errorf("baseline %d: %v, want %s", baseline, got, want)
		}
	}
}

// A name that exists as a container is created all the same.
func TestPlanCreatesOverContainer(t *testing.T) {
	src := newFake(mailproof.Source, boxes("/", "", "INBOX", "Work", "Work/2019")...)
	dst := newFake(mailproof.Destination, boxes("/", "", "INBOX", "Work (noselect)", "Work/2019")...)
	plan := steps(t, src, dst, Options{})
	if len(plan) != 1 || plan[0].Kind != mailproof.CreateMailbox || plan[0].Target != "Work" {
		t.Errorf("%+v", plan)
	}
}

func TestExcludedByRule(t *testing.T) {
	src, dst := standard()
	src.add("Archive", letter(1))
	src.add("INBOX", letter(2))
	dst.add("INBOX", letter(2))
	r, err := ParseRules(nil, []string{"Arch*"})
	if err != nil {
		t.Fatal(err)
	}
	res, _ := compare(t, src, dst, Options{Rules: r})
	want := mailproof.Counts{SourceMessages: 2, Excluded: 1, Identical: 1, DestinationMessages: 1, DestinationPairedHere: 1}
	if res.Counts != want || res.Verdict != mailproof.Complete {
		t.Errorf("%v: %+v", res.Verdict, res.Counts)
	}
	if plan := steps(t, src, dst, Options{Rules: r}); len(plan) != 0 {
		t.Errorf("planned %+v", plan)
	}
}

// What a ledger must not do is noticed, and not taken for missing mail.
func TestBrokenInventories(t *testing.T) {
	fresh := func() (*fake, *fake) {
		src, dst := standard()
		for n := range 20 {
			src.add("INBOX", letter(n))
			dst.add("INBOX", letter(n))
		}
		return src, dst
	}
	for name, spoil := range map[string]func(src, dst *fake){
		"an unknown mailbox": func(src, dst *fake) { src.msgs[3].Mailbox = 99 },
		"an id twice":        func(src, dst *fake) { src.msgs[3].ID = src.msgs[4].ID },
		"out of order": func(src, dst *fake) {
			dst.sort = func(rows []mailproof.Row, by mailproof.Tier) { slices.Reverse(rows) }
			dst.msgs[19].Mailbox = 1
		},
	} {
		for _, limit := range []int{1, 1000} {
			src, dst := fresh()
			spoil(src, dst)
			if _, err := Compare(t.Context(), src, dst, Options{Limit: limit}); err == nil {
				t.Errorf("%s, limit %d: no error", name, limit)
			}
		}
	}
	src, dst := fresh()
	stop := errors.New("enough")
	if _, err := Compare(t.Context(), src, dst, Options{OnResult: func(Result) error { return stop }}); !errors.Is(err, stop) {
		t.Errorf("OnResult's error is lost: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	big := &generated{side: mailproof.Source, n: 5000}
	if _, err := Compare(ctx, big, big, Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestPlanSteps(t *testing.T) {
	src := newFake(mailproof.Source, boxes("/", "", "INBOX", "Work", "Work/2019", "Empty", `Weg \Trash`, `All \All`, "Sub (noselect)", "Sub/x")...)
	dst := newFake(mailproof.Destination, boxes(".", "INBOX.", "INBOX", `INBOX.Trash \Trash`)...)
	src.boxes[1].Subscribed, src.boxes[0].Subscribed = true, true
	dst.boxes[0].Subscribed = true
	src.add("Work", letter(5)).Flags = mailproof.NewFlags(`\Seen`, "$x")
	src.add("Work", letter(4))
	src.add("INBOX", letter(3)).Flags = mailproof.NewFlags(`\Seen`, `\Deleted`)
	dst.add("INBOX", letter(3)).Flags = mailproof.NewFlags(`\Flagged`)
	var got []string
	for _, s := range steps(t, src, dst, Options{}) {
		switch s.Kind {
		case mailproof.AppendMessage:
			got = append(got, fmt.Sprint(s.Kind, " ", s.Target, " ", s.Source, " ", s.Flags, " ", s.Size, " ", s.InternalDate.Format(time.TimeOnly)))
		case mailproof.StoreFlags:
			got = append(got, fmt.Sprint(s.Kind, " ", s.Target, " ", s.Destination, " +", s.AddFlags, " -", s.RemoveFlags, " for ", s.Source, " ", s.Flags))
		default:
			got = append(got, strings.TrimSpace(fmt.Sprint(s.Kind, " ", s.Target, " ", s.SpecialUse)))
		}
	}
	want := []string{
		"create INBOX.All", "create INBOX.Empty", "create INBOX.Sub.x", "create INBOX.Work", "create INBOX.Work.2019",
		"subscribe INBOX.Work",
		`append INBOX.Work source anna, folder "Work", uid 2 () 182469 12:04:00`,
		`append INBOX.Work source anna, folder "Work", uid 1 ($x \Seen) 182469 12:05:00`,
		`flags INBOX destination anna, folder "INBOX", uid 1 +(\Seen) -() for source anna, folder "INBOX", uid 1 (\Deleted \Seen)`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestThreeWayFlags(t *testing.T) {
	for _, tt := range []struct {
		base, src, dst string // base "-": none
		add, remove    string
	}{
		{"-", `(\Seen)`, "()", `(\Seen)`, "()"},
		{"-", "()", `(\Seen)`, "()", "()"},
		{"-", `(\Deleted \Seen)`, "()", `(\Seen)`, "()"},
		{"()", `(\Seen)`, "()", `(\Seen)`, "()"},
		{`(\Seen)`, `(\Seen)`, "()", "()", "()"}, // cleared on the destination: stays so
		{`(\Seen)`, "()", `(\Seen)`, "()", `(\Seen)`},
		{`(\Seen)`, "()", "()", "()", "()"},
		{"()", `(\Deleted)`, "()", `(\Deleted)`, "()"},
		{`(\Deleted)`, "()", `(\Deleted)`, "()", `(\Deleted)`},
		{"()", "()", `(\Deleted)`, "()", "()"},
		{"($A)", "($a $b)", "($B)", "()", "()"},
		{"()", `(\Recent)`, "()", "()", "()"},
	} {
		src, dst := mailproof.Row{Flags: mailproof.ParseFlags(tt.src)}, mailproof.Row{Flags: mailproof.ParseFlags(tt.dst)}
		if tt.base != "-" {
			src.HasBase, src.BaseFlags = true, mailproof.ParseFlags(tt.base)
		}
		add, remove := mergeFlags(&src, &dst)
		if add.String() != tt.add || remove.String() != tt.remove {
			t.Errorf("base %s, source %s, destination %s: add %v, remove %v; want %s, %s", tt.base, tt.src, tt.dst, add, remove, tt.add, tt.remove)
		}
	}
}

// What is not known to be absent is not sent again.
func TestPlanHoldsBack(t *testing.T) {
	appends := func(src, dst Inventory) (n int) {
		for _, s := range steps(t, src, dst, Options{}) {
			if s.Kind == mailproof.AppendMessage {
				n++
			}
		}
		return n
	}
	for _, tt := range []struct {
		name    string
		prepare func(src, dst *fake)
		want    int
	}{
		{"nothing unread", func(src, dst *fake) {}, 1},
		{"unread in the same folder", func(src, dst *fake) { dst.add("INBOX", letter(7)).fail("NO") }, 0},
		{"unread in the same folder, and older", func(src, dst *fake) {
			m := dst.add("INBOX", letter(7))
			m.fail("NO")
			m.InternalDate = day.Add(-48 * time.Hour)
		}, 1},
		{"unread in the same folder, and older by a time zone", func(src, dst *fake) {
			m := dst.add("INBOX", letter(7))
			m.fail("NO")
			m.InternalDate = day.Add(-12 * time.Hour)
		}, 0},
		{"unread in the same folder, without a date", func(src, dst *fake) {
			m := dst.add("INBOX", letter(7))
			m.fail("NO")
			m.InternalDate = time.Time{}
		}, 0},
		{"unread in another folder", func(src, dst *fake) { dst.add("Sent", letter(7)).fail("NO") }, 1},
		{"folder not finished", func(src, dst *fake) { dst.boxes[0].Complete = false }, 0},
		{"other folder not finished", func(src, dst *fake) { dst.boxes[1].Error = "NO" }, 1},
		{"source never read, folder empty", func(src, dst *fake) { src.msgs[0].skip() }, 1},
		{"source never read, folder not empty", func(src, dst *fake) { src.msgs[0].skip(); dst.add("INBOX", letter(8)) }, 0},
		{"source unreadable", func(src, dst *fake) { src.msgs[0].fail("NO") }, 0},
		{"altered", func(src, dst *fake) {
			m := letter(1)
			m.subject = "x"
			dst.add("INBOX", m)
		}, 0},
		{"relocated", func(src, dst *fake) { dst.add("Archive", letter(1)) }, 0},
	} {
		src, dst := standard()
		src.add("INBOX", letter(1))
		tt.prepare(src, dst)
		if got := appends(src, dst); got != tt.want {
			t.Errorf("%s: %d appended, want %d", tt.name, got, tt.want)
		}
	}
	src, dst := standard()
	src.add("INBOX", letter(1))
	src.add("Sent", letter(2)).skip()
	if n := appends(src, nil); n != 2 {
		t.Errorf("to a destination that was never scanned: %d", n)
	}
	for _, f := range []*fake{src, dst} {
		f.scan.State = mailproof.PassFailed
		for _, err := range Plan(t.Context(), src, dst, Options{}) {
			if !errors.Is(err, ErrNotRead) {
				t.Errorf("%v", err)
			}
		}
		f.scan.State = mailproof.PassDone
	}
	// A consumer may stop at any step.
	for range Plan(t.Context(), src, dst, Options{}) {
		break
	}
}

func TestIDIndex(t *testing.T) {
	var x idIndex
	ids := []int64{7, 8, 9, 3, 100, 4, 10, -5}
	for _, id := range ids {
		x.add(id)
	}
	if err := x.seal(); err != nil {
		t.Fatal(err)
	}
	seen := map[int]bool{}
	for _, id := range ids {
		i, ok := x.of(id)
		if !ok || i < 0 || i >= len(ids) || seen[i] {
			t.Errorf("%d: %d, %v", id, i, ok)
		}
		seen[i] = true
	}
	for _, id := range []int64{-6, 0, 5, 6, 11, 99, 101} {
		if _, ok := x.of(id); ok {
			t.Errorf("%d is known", id)
		}
	}
}
