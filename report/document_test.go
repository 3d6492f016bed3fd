package report

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

var allVerdicts = []mailproof.Verdict{mailproof.Complete, mailproof.CompleteWithAcceptedExceptions, mailproof.Incomplete, mailproof.Inconclusive}

func TestSamplesAddUp(t *testing.T) {
	for _, v := range allVerdicts {
		s := sample{accounts: 12, exceptions: 7, verdict: v}
		if v == mailproof.Complete {
			s.exceptions = 0
		}
		d := s.document()
		if d.Verdict != v {
			t.Errorf("%v: verdict %v", s, d.Verdict)
		}
		if !d.Balanced() {
			t.Errorf("%v: does not balance", s)
		}
	}
}

func TestFromAccounts(t *testing.T) {
	d := sample{accounts: 3, exceptions: 9, verdict: mailproof.Incomplete}.document()
	if got, want := len(d.listed()), 9; got != want {
		t.Errorf("%d exceptions listed, want %d", got, want)
	}
	if got, want := len(d.noted()), 6; got != want {
		t.Errorf("%d noted, want %d", got, want)
	}
	if !slices.IsSortedFunc(d.listed(), func(a, b mailproof.Exception) int { return exceptionRank(a.Verdict) - exceptionRank(b.Verdict) }) {
		t.Error("section 8 does not begin with what is missing")
	}
	if len(d.SourceServers) != 1 || len(d.DestinationServers) != 1 {
		t.Errorf("servers %d and %d, want each once", len(d.SourceServers), len(d.DestinationServers))
	}
	if len(d.Exclusions) != 1 || d.Exclusions[0].Accounts != 3 || d.Exclusions[0].Messages != d.Totals.Excluded {
		t.Errorf("exclusions %+v, want all %d of 3 accounts", d.Exclusions, d.Totals.Excluded)
	}
	if want := mailproof.Roll(d.Findings); d.Verdict != want {
		t.Errorf("verdict %v, want what Roll makes of the findings: %v", d.Verdict, want)
	}
	if got := len(d.Findings); got != 3*2+len(d.DNS) {
		t.Errorf("%d findings", got)
	}
}

func TestWindow(t *testing.T) {
	var w Window
	early, late := sampleTime, sampleTime.Add(time.Hour)
	w.Span(time.Time{}, late, early, time.Time{})
	if !w.From.Equal(early) || !w.To.Equal(late) {
		t.Errorf("window %v", w)
	}
}

// Every size falls into exactly one class, the one whose limit is the first
// above it.
func TestHistogramClasses(t *testing.T) {
	for _, octets := range []int64{0, 1, 2047, 2048, 2049, 4096, 32<<20 - 1, 32 << 20, 1 << 40} {
		h := NewHistogram()
		h.Add(mailproof.Destination, octets, 3)
		for i, n := range h.Destination {
			above := i == 0 || octets >= h.Limits[i-1]
			below := i == len(h.Limits) || octets < h.Limits[i]
			if (n == 3) != (above && below) {
				t.Errorf("%d octets: class %d has %d", octets, i, n)
			}
		}
		if h.IsEmpty() {
			t.Errorf("%d octets: histogram is empty", octets)
		}
	}
}

// The contract that scripts rely on: the names, and lists that are never null.
func TestJSONContract(t *testing.T) {
	for _, s := range []sample{{bare: true}, {accounts: 2, exceptions: 3, verdict: mailproof.Incomplete}} {
		var b bytes.Buffer
		d := s.document()
		if err := d.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), "[null") {
			t.Errorf("%v: null in a list", s)
		}
		var got map[string]any
		if err := json.Unmarshal(b.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		for key, kind := range map[string]reflect.Kind{
			"schema": reflect.String, "verdict": reflect.String, "exit_code": reflect.Float64, "engagement": reflect.Map, "ledger": reflect.Map,
			"accounts": reflect.Slice, "exceptions": reflect.Slice, "dns": reflect.Slice, "passes": reflect.Slice, "evidence": reflect.Map,
		} {
			if reflect.ValueOf(got[key]).Kind() != kind {
				t.Errorf("%v: %s is %T", s, key, got[key])
			}
		}
		if got["schema"] != "mailproof/report/1" || got["exit_code"] != float64(d.Verdict.ExitCode()) || got["verdict"] != d.Verdict.String() {
			t.Errorf("%v: %v, %v, %v", s, got["schema"], got["verdict"], got["exit_code"])
		}
		keys(t, got["ledger"], "balanced", "source", "destination", "source_terms", "destination_terms")
		keys(t, got["evidence"], "roots", "key_fingerprint")
		if s.bare {
			continue
		}
		account := keys(t, first(got["accounts"]), "name", "verdict", "counts", "flags_differ", "dates_differ", "folders", "findings")
		keys(t, account["counts"], "identical", "identical_normalised", "equivalent", "equivalent_with_notes", "equivalent_text", "altered", "missing", "extra",
			"duplicate_surplus", "duplicate_collapsed", "relocated", "unverifiable", "excluded")
		keys(t, first(account["folders"]), "source", "destination", "source_messages", "destination_messages", "counts")
		exception := keys(t, first(got["exceptions"]), "id", "account", "folder", "uid", "message_id", "verdict", "tier", "reasons", "disposition")
		if reason := first(exception["reasons"]); !strings.Contains(reason.(string), ": ") {
			t.Errorf("reason %v is not code: evidence", reason)
		}
		keys(t, first(got["dns"]), "domain", "phase", "check", "outcome", "expected", "observed", "remedy")
		keys(t, first(got["passes"]), "id", "kind", "side", "started", "finished", "messages", "bytes")
	}
}

func keys(t *testing.T, v any, names ...string) map[string]any {
	t.Helper()
	m, ok := v.(map[string]any)
	if !ok {
		t.Fatalf("%T is no object", v)
	}
	for _, n := range names {
		if _, ok := m[n]; !ok {
			t.Errorf("no %q in %v", n, m)
		}
	}
	return m
}

func first(v any) any {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil
	}
	return list[0]
}

func TestJSONRoundTrip(t *testing.T) {
	for _, s := range []sample{{bare: true}, {accounts: 12, exceptions: 7, verdict: mailproof.CompleteWithAcceptedExceptions}, {accounts: 1, exceptions: 5, verdict: mailproof.Inconclusive}} {
		d := s.document()
		var b bytes.Buffer
		if err := d.WriteJSON(&b); err != nil {
			t.Fatal(err)
		}
		got, err := ReadJSON(&b)
		if err != nil {
			t.Fatal(err)
		}
		if want := d.JSON(); !reflect.DeepEqual(got, want) {
			t.Errorf("%v: what was read differs from what was written", s)
		}
	}
}

func TestReadJSONRefuses(t *testing.T) {
	for _, text := range []string{``, `{}`, `{"schema":"mailproof/report/2"}`, `[]`, `{"schema":"mailproof/report/1","verdict":"FINE"}`} {
		if _, err := ReadJSON(strings.NewReader(text)); err == nil {
			t.Errorf("%s was read", text)
		}
	}
}

// A share is never rounded up: only the whole reads as 100 %, and what is
// printed is never more than the truth.
func TestPercentNeverRoundsUp(t *testing.T) {
	if got := (&Document{}).percent(149_997, 150_000); got != "99.998 %" {
		t.Errorf("3 of 150,000 missing: %s", got)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		whole := r.Int64N(1<<40) + 1
		part := whole - r.Int64N(min(whole, 5)+1)
		got := (&Document{}).percent(part, whole)
		if (got == "100 %") != (part == whole) {
			t.Fatalf("%d of %d is %s", part, whole, got)
		}
		if part < whole && strings.HasPrefix(got, "100") {
			t.Fatalf("%d of %d is %s", part, whole, got)
		}
	}
}

func TestCut(t *testing.T) {
	for _, s := range append(slices.Clone(hostileTexts), "", "x") {
		for _, n := range []int{1, 2, 10, 100} {
			got := []rune(cut(s, n))
			if len(got) > n {
				t.Errorf("%q cut to %d has %d", s, n, len(got))
			}
		}
	}
}

func TestComma(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1234567: "−1,234,567", 12345678: "12,345,678", 100: "100"} {
		if got := comma(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}
