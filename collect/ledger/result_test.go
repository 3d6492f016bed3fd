package ledger

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func begin(t *testing.T, l *Ledger, kind mailproof.PassKind) mailproof.PassID {
	t.Helper()
	return must[mailproof.PassID](t)(l.BeginPass(t.Context(), mailproof.Pass{Kind: kind}))
}

func keyOf(side mailproof.Side, uid mailproof.UID) mailproof.MessageKey {
	return mailproof.MessageKey{Side: side, Account: "anna", Mailbox: "INBOX", UIDValidity: 1, UID: uid}
}

func exceptionOf(uid mailproof.UID, v mailproof.MessageVerdict, d mailproof.Disposition) mailproof.Exception {
	return mailproof.Exception{Account: "anna", Mailbox: "INBOX", Key: keyOf(mailproof.Source, uid), Verdict: v, Disposition: d}
}

// fillEverything puts at least one row into every table.
func fillEverything(t *testing.T, l *Ledger) {
	t.Helper()
	ctx := t.Context()
	load(t, l, "anna", mailproof.Source, 60)
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull}))
	scan := mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}
	ok(t, l.BeginScan(ctx, scan))
	w := must[*MailboxWriter](t)(l.BeginMailbox(ctx, pass, "anna", mailproof.Source, mailproof.Mailbox{Name: "INBOX"}, mailproof.MailboxState{UIDValidity: 1}))
	ok(t, w.Vanish(ctx, []mailproof.UID{1}))
	ok(t, w.ChangeFlags(ctx, []mailproof.FlagChange{{UID: 2, Flags: mailproof.NewFlags(`\Flagged`)}}))
	other := benchMessage(keyOf(mailproof.Source, 0), 7)
	other.MessageKey.UID, other.Metadata.UID = 3, 3
	if !must[bool](t)(w.Reread(ctx, other)) {
		t.Error("another reading is no change")
	}
	gmail := benchMessage(keyOf(mailproof.Source, 61), 61)
	gmail.GmailID = 1
	ok(t, w.Add(ctx, gmail))
	fillHeaders(t, w)
	fillLabels(t, w)
	ok(t, w.End(ctx, mailproof.MailboxState{}, mailproof.MailboxScan{Complete: true}))
	scan.State = mailproof.PassDone
	ok(t, l.EndScan(ctx, scan))
	ok(t, l.EndPass(ctx, pass, mailproof.PassDone, "", 0, 0))
	ok(t, l.SetEngagement(ctx, "name", "Example"))

	copying := begin(t, l, mailproof.CopyPass)
	step := mailproof.Step{Kind: mailproof.AppendMessage, Account: "anna", Target: "INBOX", Source: keyOf(mailproof.Source, 2)}
	ok(t, l.Intend(ctx, copying, []mailproof.Step{step}))
	ok(t, l.RecordStep(ctx, copying, mailproof.StepResult{Step: step, State: mailproof.StepDone}))
	ok(t, l.EndCopy(ctx, copying, "anna"))
	ok(t, l.EndPass(ctx, copying, mailproof.PassDone, "", 0, 0))

	diff := begin(t, l, mailproof.DiffPass)
	must[mailproof.AccountResult](t)(l.RecordDiff(ctx, diff, mailproof.AccountResult{Account: "anna", Folders: make([]mailproof.FolderResult, 1),
		Exceptions: []mailproof.Exception{exceptionOf(1, mailproof.Missing, mailproof.Open)}, Findings: []mailproof.Finding{{Check: "c"}}}))
	ok(t, l.RecordDisposition(ctx, Decision{Exception: "E-001", Disposition: mailproof.Waived, By: "me"}))
	ok(t, l.RecordDNS(ctx, begin(t, l, mailproof.DNSPass), nil, []mailproof.Observation{{Domain: "example.com"}}))
	ok(t, l.Attest(ctx, mailproof.Attestation{Step: "terms", By: "me"}))
	ok(t, l.RecordProbe(ctx, Probe{Account: "anna"}))
	ok(t, l.RecordReadiness(ctx, Readiness{Taken: time.Now(), Ready: true, Findings: []mailproof.Finding{{Check: "server.tls"}}, Accounts: []ReadinessAccount{{Account: "anna", Result: "ready"}}}))
	ok(t, l.DecideFindings(ctx, []FindingDecision{{Check: "mx.leftover", By: "me"}}))
	ok(t, l.RecordSeal(ctx, Seal{Bundle: "mp1-0011223344556677", Sealed: time.Now(), Roots: []Root{{Tree: "data/source.jsonl", Size: 1}}}))
	ok(t, l.NoteTraffic(ctx, Traffic{Day: time.Now(), Account: "anna", Side: mailproof.Source, Read: 1}))
	gone := []Deletion{{Pass: copying, AppendedBy: copying, T0: mailproof.Hash{1}, Source: keyOf(mailproof.Source, 2), Destination: keyOf(mailproof.Destination, 2)}}
	ok(t, l.IntendDeletions(ctx, gone))
	gone[0].State = Deleted
	ok(t, l.RecordDeletions(ctx, gone))
	settle(t, l, "anna")
}

func TestResultRoundTrip(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	load(t, l, "anna", mailproof.Source, 3)
	load(t, l, "anna", mailproof.Destination, 2)
	source, boxes, _, err := l.LatestScan(ctx, "anna", mailproof.Source)
	ok(t, err)
	destination, destinationBoxes, _, err := l.LatestScan(ctx, "anna", mailproof.Destination)
	ok(t, err)
	findings := []mailproof.Finding{{Check: mailproof.CheckInventory, Outcome: mailproof.OutcomePass, Account: "anna"},
		{Check: "messages.missing", Outcome: mailproof.OutcomeFail, Mailbox: "INBOX", Expected: "0", Observed: "1", Reference: "r", Remedy: "m", Time: time.Unix(5, 6).UTC()}}
	want := mailproof.AccountResult{
		Account: "anna", Verdict: mailproof.Incomplete, Counts: mailproof.Counts{Identical: 2, Missing: 1, SourceMessages: 3, DestinationMessages: 2, DestinationPairedHere: 2},
		FlagsDiffer: 1, DatesDiffer: 2, SignaturesChanged: 3, ExceptionsOmitted: 4, SourceBytes: 5, DestinationBytes: 6,
		Folders: []mailproof.FolderResult{
			{Source: "INBOX", Destination: "INBOX", SourceScan: boxes[0], DestinationScan: destinationBoxes[0], Counts: mailproof.Counts{Identical: 2}, FlagsDiffer: 1},
			{Source: "Gone", Counts: mailproof.Counts{Missing: 1}, DatesDiffer: 2, SignaturesChanged: 3},
		},
		Exceptions: []mailproof.Exception{{
			Account: "anna", Mailbox: "Ordner \"x\"", Key: keyOf(mailproof.Source, 3), Counterpart: keyOf(mailproof.Destination, 9), MessageID: "<a@b>", Subject: "s\x00\u202e", Size: 7,
			Verdict: mailproof.Altered, Tier: mailproof.T2c, Reasons: []mailproof.Reason{{Code: "a: b", Evidence: ""}, {Code: "c", Evidence: "d: e"}}, Disposition: mailproof.Accepted,
		}},
		Findings: findings, SourceScan: source, DestinationScan: destination,
	}
	pass := begin(t, l, mailproof.DiffPass)
	got := must[mailproof.AccountResult](t)(l.RecordDiff(ctx, pass, want))
	if want.Exceptions[0].ID != "" || got.Exceptions[0].ID != "E-001" {
		t.Errorf("ids %q (the caller's own: %q)", got.Exceptions[0].ID, want.Exceptions[0].ID)
	}
	want.Exceptions[0].ID = "E-001"
	results, latest, err := l.LatestResults(ctx)
	ok(t, err)
	if latest.ID != pass || latest.Kind != mailproof.DiffPass || len(results) != 1 || !reflect.DeepEqual(results[0], want) || !reflect.DeepEqual(got, want) {
		t.Errorf("pass %+v\n%+v, want\n%+v", latest, results, want)
	}
	if _, err := l.RecordDiff(ctx, pass, want); err == nil {
		t.Error("a second result of an account in one pass was taken")
	}
	ok(t, l.EndPass(ctx, pass, mailproof.PassDone, "", 0, 0))
	want.Account = "bert"
	if _, err := l.RecordDiff(ctx, pass, want); err == nil {
		t.Error("a result after the end of the pass was taken")
	}
}

func TestNoResults(t *testing.T) {
	l := openBench(t)
	if results, pass, err := l.LatestResults(t.Context()); err != nil || len(results) != 0 || pass.ID != 0 {
		t.Errorf("%v, %v, %v", results, pass, err)
	}
	if _, err := l.Inventory(t.Context(), "anna", mailproof.Source); !errors.Is(err, ErrUnknown) {
		t.Errorf("an inventory that never was: %v", err)
	}
	if _, _, found, err := l.LatestScan(t.Context(), "anna", mailproof.Source); err != nil || found {
		t.Errorf("a scan that never was: %v, %v", found, err)
	}
}

// ids records a diff and returns the numbers that it gave.
func ids(t *testing.T, l *Ledger, account string, es ...mailproof.Exception) []string {
	t.Helper()
	r := must[mailproof.AccountResult](t)(l.RecordDiff(t.Context(), begin(t, l, mailproof.DiffPass), mailproof.AccountResult{Account: account, Exceptions: es}))
	// What a reader would have given beforehand must be the same: it is asked
	// again afterwards, when the numbers are known.
	again := []mailproof.AccountResult{{Account: account, Exceptions: append([]mailproof.Exception(nil), es...)}}
	ok(t, l.Number(t.Context(), again))
	if !reflect.DeepEqual(again[0].Exceptions, r.Exceptions) && len(es) > 0 {
		t.Errorf("numbers %+v, want %+v", again[0].Exceptions, r.Exceptions)
	}
	var got []string
	for _, e := range r.Exceptions {
		got = append(got, e.ID)
	}
	return got
}

func TestExceptionNumbersStay(t *testing.T) {
	l := openBench(t)
	missing := func(uid mailproof.UID) mailproof.Exception {
		return exceptionOf(uid, mailproof.Missing, mailproof.Open)
	}
	noted := func(uid mailproof.UID) mailproof.Exception {
		return exceptionOf(uid, mailproof.Relocated, mailproof.Noted)
	}
	elsewhere := missing(1)
	elsewhere.Key.Side = mailproof.Destination
	renumbered := missing(1)
	renumbered.Key.UIDValidity++
	for i, tt := range []struct {
		account string
		es      []mailproof.Exception
		want    []string
	}{
		{"anna", []mailproof.Exception{missing(5), noted(6), missing(7)}, []string{"E-001", "N-001", "E-002"}},
		{"anna", []mailproof.Exception{missing(1), missing(7), noted(5)}, []string{"E-003", "E-002", "N-002"}},
		{"bert", []mailproof.Exception{elsewhere, renumbered}, []string{"E-004", "E-005"}},
		{"anna", nil, nil},
		{"anna", []mailproof.Exception{noted(6), missing(5), missing(5)}, []string{"N-001", "E-001", "E-001"}},
	} {
		want := []mailproof.AccountResult{{Account: tt.account, Exceptions: append([]mailproof.Exception(nil), tt.es...)}}
		ok(t, l.Number(t.Context(), want))
		got := ids(t, l, tt.account, tt.es...)
		if !reflect.DeepEqual(got, tt.want) {
			t.Errorf("diff %d: %v, want %v", i, got, tt.want)
		}
		for j, e := range want[0].Exceptions {
			if e.ID != got[j] {
				t.Errorf("diff %d: numbered %s without writing, %s with", i, e.ID, got[j])
			}
		}
	}
}

// The latest result of every account counts: one that the latest diff left out
// must not drop from the report.
func TestLatestResultsOfEveryAccount(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	first := begin(t, l, mailproof.DiffPass)
	for _, a := range []string{"bert", "anna"} {
		must[mailproof.AccountResult](t)(l.RecordDiff(ctx, first, mailproof.AccountResult{Account: a, FlagsDiffer: 1}))
	}
	second := begin(t, l, mailproof.DiffPass)
	must[mailproof.AccountResult](t)(l.RecordDiff(ctx, second, mailproof.AccountResult{Account: "anna", FlagsDiffer: 2}))
	begin(t, l, mailproof.DiffPass) // killed before it found anything
	results, pass, err := l.LatestResults(ctx)
	ok(t, err)
	if pass.ID != second || len(results) != 2 || results[0].Account != "anna" || results[0].FlagsDiffer != 2 || results[1].Account != "bert" || results[1].FlagsDiffer != 1 {
		t.Errorf("pass %d: %+v", pass.ID, results)
	}
}

func disposition(t *testing.T, l *Ledger) mailproof.Disposition {
	t.Helper()
	results, _, err := l.LatestResults(t.Context())
	ok(t, err)
	return results[0].Exceptions[0].Disposition
}

func TestDispositions(t *testing.T) {
	l := openBench(t)
	ctx := context.WithoutCancel(t.Context())
	decide := func(d mailproof.Disposition) error {
		return l.RecordDisposition(ctx, Decision{Exception: "E-1", Disposition: d, By: "Bea", Why: "agreed"})
	}
	if err := decide(mailproof.Accepted); !errors.Is(err, ErrUnknown) {
		t.Errorf("a decision on nothing: %v", err)
	}
	diff := func(v mailproof.MessageVerdict) { t.Helper(); ids(t, l, "anna", exceptionOf(1, v, mailproof.Open)) }
	expect := func(what string, want mailproof.Disposition) {
		t.Helper()
		if got := disposition(t, l); got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	diff(mailproof.Missing)
	expect("undecided", mailproof.Open)
	ok(t, decide(mailproof.Accepted))
	expect("decided", mailproof.Accepted)
	diff(mailproof.Missing)
	expect("still missing", mailproof.Accepted)
	diff(mailproof.Altered)
	expect("now altered: nobody accepted that", mailproof.Open)
	ok(t, decide(mailproof.Fixed))
	expect("fixed", mailproof.Fixed)
	diff(mailproof.Altered)
	expect("not fixed after all", mailproof.Open)
	ok(t, decide(mailproof.Waived))
	ok(t, decide(mailproof.Open))
	expect("taken back", mailproof.Open)
	decisions := must[[]Decision](t)(l.Decisions(ctx))
	if len(decisions) != 4 || decisions[0].Exception != "E-001" || decisions[0].Verdict != mailproof.Missing || decisions[1].Verdict != mailproof.Altered || decisions[0].By != "Bea" || decisions[0].At.IsZero() {
		t.Errorf("decisions %+v", decisions)
	}
	for _, bad := range []Decision{{Exception: "E-002", By: "x"}, {Exception: "X-001", By: "x"}, {Exception: "E-001x", By: "x"}, {Exception: "", By: "x"}, {Exception: "E-001"}} {
		if err := l.RecordDisposition(ctx, bad); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestDNS(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	finding := func(domain string, phase mailproof.Phase, o mailproof.Outcome) mailproof.Finding {
		return mailproof.Finding{Check: "mx.expected", Domain: domain, Phase: phase, Outcome: o, Expected: "a", Observed: "b", Time: time.Unix(9, 0).UTC()}
	}
	observation := mailproof.Observation{Time: time.Unix(8, 7).UTC(), Domain: "b.example", Question: "b.example.", Type: "MX", Server: "ns1", Role: "authoritative", Network: "udp",
		RCode: "NOERROR", AA: true, AD: true, Records: []string{"10 mx", `"quoted"`}, MinTTL: 1<<32 - 1, MaxTTL: 2, Error: "", Millis: 3}
	first := begin(t, l, mailproof.DNSPass)
	ok(t, l.RecordDNS(ctx, first, []mailproof.Finding{finding("b.example", mailproof.Readiness, mailproof.OutcomeFail), finding("a.example", mailproof.Planning, mailproof.OutcomePass), finding("b.example", mailproof.Planning, mailproof.OutcomePass)}, []mailproof.Observation{observation}))
	second := begin(t, l, mailproof.DNSPass)
	ok(t, l.RecordDNS(ctx, second, []mailproof.Finding{finding("b.example", mailproof.Readiness, mailproof.OutcomePass), finding("b.example", mailproof.Readiness, mailproof.OutcomeWarn)}, nil))
	// A comparison's finding about a domain is none of DNS.
	must[mailproof.AccountResult](t)(l.RecordDiff(ctx, begin(t, l, mailproof.DiffPass), mailproof.AccountResult{Account: "x", Findings: []mailproof.Finding{finding("b.example", mailproof.Readiness, mailproof.OutcomeFail)}}))

	type line struct {
		pass     mailproof.PassID
		domain   string
		phase    mailproof.Phase
		findings int
		seen     int
	}
	lines := func(ds []DNSResult, err error) (got []line) {
		t.Helper()
		ok(t, err)
		for _, d := range ds {
			got = append(got, line{d.Pass.ID, d.Domain, d.Phase, len(d.Findings), len(d.Observations)})
		}
		return got
	}
	if got, want := lines(l.LatestDNS(ctx)), []line{{first, "a.example", mailproof.Planning, 1, 0}, {first, "b.example", mailproof.Planning, 1, 1}, {second, "b.example", mailproof.Readiness, 2, 0}}; !reflect.DeepEqual(got, want) {
		t.Errorf("latest: %v, want %v", got, want)
	}
	if got, want := lines(l.DNSHistory(ctx, "b.example")), []line{{first, "b.example", mailproof.Planning, 1, 1}, {first, "b.example", mailproof.Readiness, 1, 1}, {second, "b.example", mailproof.Readiness, 2, 0}}; !reflect.DeepEqual(got, want) {
		t.Errorf("history: %v, want %v", got, want)
	}
	history := must[[]DNSResult](t)(l.DNSHistory(ctx, "b.example"))
	if got := history[0].Observations[0]; !reflect.DeepEqual(got, observation) {
		t.Errorf("observation %+v, want %+v", got, observation)
	}
	if got, want := history[1].Findings[0], finding("b.example", mailproof.Readiness, mailproof.OutcomeFail); got != want {
		t.Errorf("finding %+v, want %+v", got, want)
	}
}

func TestFigures(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	load(t, l, "anna", mailproof.Source, 100) // sizes 2000 … 2099
	load(t, l, "bert", mailproof.Source, 50)
	load(t, l, "bert", mailproof.Destination, 10)
	if got := must[[]int64](t)(l.SizeHistogram(ctx, mailproof.Source, []int64{1999, 2009, 2050})); !reflect.DeepEqual(got, []int64{0, 20, 81, 49}) {
		t.Errorf("histogram %v", got)
	}
	if _, err := l.SizeHistogram(ctx, mailproof.Source, []int64{2, 1}); err == nil {
		t.Error("classes out of order were taken")
	}
	want := Totals{Accounts: 2, Mailboxes: 2, Messages: 150, Read: 150, Bytes: 150*2000 + 99*100/2 + 49*50/2}
	if got := must[Totals](t)(l.Totals(ctx, mailproof.Source)); got != want {
		t.Errorf("totals %+v, want %+v", got, want)
	}
	if got := must[[]string](t)(l.Accounts(ctx)); !reflect.DeepEqual(got, []string{"anna", "bert"}) {
		t.Errorf("accounts %v", got)
	}
}

func TestEngagement(t *testing.T) {
	l := openBench(t)
	ctx := t.Context()
	for _, kv := range [][2]string{{"name", "one"}, {"customer", "c"}, {"name", "two"}} {
		ok(t, l.SetEngagement(ctx, kv[0], kv[1]))
	}
	if got := must[map[string]string](t)(l.Engagement(ctx)); !reflect.DeepEqual(got, map[string]string{"name": "two", "customer": "c"}) {
		t.Errorf("%v", got)
	}
}

// Hashes made by other rules compare with nothing: they count as unread, the
// next pass reads the message again, and then it counts.
func TestOtherFingerprintAlgorithm(t *testing.T) {
	path := filled(t, 5)
	db := plain(t, path)
	script(t, db, "DROP TRIGGER pass_fixed; UPDATE pass SET algorithm = 'mpfp-0'")
	ok(t, db.Close())
	l := must[*Ledger](t)(Open(t.Context(), path))
	defer func() { ok(t, l.Close()) }()
	ctx := t.Context()
	states := func() (read, unread, byHash int) {
		inv := must[*Inventory](t)(l.Inventory(ctx, "anna", mailproof.Source))
		for r, err := range inv.Rows(ctx, mailproof.TierNone) {
			ok(t, err)
			switch {
			case r.State == mailproof.Read && r.Octets > 0:
				read++
			case r.State == mailproof.Unread && r.Octets == 0 && r.Hash(mailproof.T0).IsZero():
				unread++
			}
		}
		for _, err := range inv.Rows(ctx, mailproof.T0) {
			ok(t, err)
			byHash++
		}
		ok(t, inv.Close())
		return read, unread, byHash
	}
	if r, u, h := states(); r != 0 || u != 5 || h != 0 {
		t.Errorf("%d read, %d unread, %d by hash", r, u, h)
	}
	if got := must[Totals](t)(l.Totals(ctx, mailproof.Source)); got.Unread != 5 || got.Messages != 5 {
		t.Errorf("totals %+v", got)
	}
	pass := must[mailproof.PassID](t)(l.BeginPass(ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull}))
	scan := mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}
	ok(t, l.BeginScan(ctx, scan))
	w := must[*MailboxWriter](t)(l.BeginMailbox(ctx, pass, "anna", mailproof.Source, mailproof.Mailbox{Name: "INBOX"}, mailproof.MailboxState{UIDValidity: 1}))
	for x, err := range w.Known(ctx) {
		ok(t, err)
		if x.State != mailproof.Unread {
			t.Errorf("uid %d counts as %v", x.UID, x.State)
		}
	}
	if !must[bool](t)(w.Reread(ctx, benchMessage(keyOf(mailproof.Source, 0), 0))) {
		t.Error("the same octets by the new rules were not recorded")
	}
	ok(t, w.End(ctx, mailproof.MailboxState{}, mailproof.MailboxScan{Complete: true}))
	ok(t, l.EndScan(ctx, mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source, State: mailproof.PassDone}))
	if r, u, h := states(); r != 1 || u != 4 || h != 1 {
		t.Errorf("after one was read: %d read, %d unread, %d by hash", r, u, h)
	}
	if got := must[Totals](t)(l.Totals(ctx, mailproof.Source)); got.Read != 1 || got.Unread != 4 || got.Messages != 5 {
		t.Errorf("totals after one was read: %+v", got)
	}
}
