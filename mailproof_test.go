package mailproof

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The worst wins, an empty set proves nothing, and DNS alone proves no mail.
func TestRoll(t *testing.T) {
	read := Finding{Check: CheckInventory, Outcome: OutcomePass}
	of := func(outcomes ...Outcome) []Finding {
		fs := []Finding{read}
		for _, o := range outcomes {
			fs = append(fs, Finding{Check: "x", Outcome: o})
		}
		return fs
	}
	tests := []struct {
		name     string
		findings []Finding
		want     Verdict
	}{
		{"nothing", nil, Inconclusive},
		{"read and nothing wrong", of(), Complete},
		{"warnings and information change nothing", of(OutcomeWarn, OutcomeInfo, OutcomePass), Complete},
		{"accepted", of(OutcomePass, OutcomeAccepted), CompleteWithAcceptedExceptions},
		{"unknown over accepted", of(OutcomeAccepted, OutcomeUnknown), Inconclusive},
		{"fail over unknown", of(OutcomeUnknown, OutcomeFail, OutcomeAccepted), Incomplete},
		{"DNS alone", []Finding{{Check: "mx.expected", Outcome: OutcomePass}}, Inconclusive},
		{"failed DNS alone", []Finding{{Check: "mx.expected", Outcome: OutcomeFail}}, Incomplete},
		{"an outcome nobody set", []Finding{{Check: CheckInventory}}, Inconclusive},
		{"an outcome that does not exist", of(Outcome(99)), Inconclusive},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Roll(tt.findings); got != tt.want {
				t.Errorf("Roll = %v, want %v", got, tt.want)
			}
		})
	}
}

// Order does not matter, and adding a finding never makes a verdict better.
func TestRollIsMonotone(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		fs := []Finding{{Check: CheckInventory, Outcome: OutcomePass}}
		for range r.IntN(6) {
			fs = append(fs, Finding{Outcome: Outcome(r.IntN(6))})
		}
		before := Roll(fs)
		more := append(fs[:len(fs):len(fs)], Finding{Outcome: Outcome(r.IntN(6))})
		r.Shuffle(len(more), func(i, j int) { more[i], more[j] = more[j], more[i] })
		if after := Roll(more); before.Worse(after) {
			t.Fatalf("%v became %v by adding a finding: %+v", before, after, more)
		}
	}
}

func TestZeroValuesProveNothing(t *testing.T) {
	var (
		v Verdict
		m MessageVerdict
		o Outcome
		s ReadState
	)
	if v != Inconclusive || v.ExitCode() != 3 || m != Unverifiable || m.Paired() || o != OutcomeUnknown || s != Unread {
		t.Fatal("a zero value reads as success")
	}
}

// Every verdict lands in exactly one term of exactly one equation.
func TestCountsConservation(t *testing.T) {
	for v := range messageVerdictNames {
		var c Counts
		c.Count(v)
		if v.Paired() {
			c.CountPaired()
		}
		onSource := v != Extra && v != DuplicateSurplus
		wantSource, wantDestination := int64(0), int64(0)
		if onSource {
			wantSource = 1
		}
		if !onSource || v.Paired() {
			wantDestination = 1
		}
		if c.SourceSum() != wantSource || c.DestinationSum() != wantDestination {
			t.Errorf("%v: sums %d and %d, want %d and %d", v, c.SourceSum(), c.DestinationSum(), wantSource, wantDestination)
		}
	}
	// Add must carry every field: set each to a distinct value and add to zero.
	var c, sum Counts
	rv := reflect.ValueOf(&c).Elem()
	for i := range rv.NumField() {
		rv.Field(i).SetInt(int64(i + 1))
	}
	sum.Add(c)
	if sum != c {
		t.Errorf("Add loses a term: %+v, want %+v", sum, c)
	}
}

func TestSecretNeverPrints(t *testing.T) {
	s := NewSecret("hunter2-very-secret")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "password", s)
	js, err := json.Marshal(map[string]any{"p": s})
	if err != nil {
		t.Fatal(err)
	}
	all := fmt.Sprintf("%v %+v %#v %s %q %x %d", s, s, s, s, s, s, s) + fmt.Sprintf("%v %#v", struct{ P Secret }{s}, &s) + string(js) + log.String()
	if strings.Contains(all, "hunter2") || strings.Contains(all, fmt.Sprintf("%x", "hunter2")) {
		t.Errorf("the secret shows: %s", all)
	}
	if s.Reveal() != "hunter2-very-secret" {
		t.Error("Reveal lost it")
	}
}

func TestParseEndpoint(t *testing.T) {
	good := map[string]Endpoint{
		"imaps://anna@old.example":                  {User: "anna", Host: "old.example", Port: 993},
		"imaps://anna%40a.example@old.example:1993": {User: "anna@a.example", Host: "old.example", Port: 1993},
		"imaps://anna@a.example@old.example":        {User: "anna@a.example", Host: "old.example", Port: 993},
		"imap://u@h?ca=/etc/ca.pem":                 {User: "u", Host: "h", Port: 143, Security: STARTTLS, CAFile: "/etc/ca.pem"},
		"imap://u@127.0.0.1:14301?tls=none":         {User: "u", Host: "127.0.0.1", Port: 14301, Security: Plaintext},
		"imaps://u@[::1]:993?insecure=skip-verify":  {User: "u", Host: "::1", Port: 993, SkipVerify: true},
		"imaps://admin@h?authzid=anna%40a.example":  {User: "admin", Host: "h", Port: 993, Authz: "anna@a.example"},
		"imaps://dom%5Cuser%2Fx@h/":                 {User: `dom\user/x`, Host: "h", Port: 993},
		"IMAPS://u*master@h":                        {User: "u*master", Host: "h", Port: 993},
		"imaps://%C3%BC@xn--mller-kva.example?tls=": {},
	}
	for raw, want := range good {
		got, err := ParseEndpoint(raw)
		if want == (Endpoint{}) {
			if err == nil {
				t.Errorf("%s: no error", raw)
			}
			continue
		}
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v; want %+v", raw, got, err, want)
			continue
		}
		again, err := ParseEndpoint(got.String())
		if err != nil || again != got {
			t.Errorf("%s: round trip through %s gives %+v, %v", raw, got, again, err)
		}
	}
	for _, raw := range []string{
		"", "anna@old.example", "imaps://old.example", "imaps://@old.example", "http://a@b", "imaps://a@", "imaps://a@h:0",
		"imaps://a@h:99999", "imaps://a@h:x", "imaps://a@::1", "imaps://a@h?tls=none", "imap://a@h?tls=maybe", "imaps://a@h?x=y",
		"imaps://a%zz@h", "imaps://a@h/path/x", "imaps://a%0d%0ab@h",
	} {
		if _, err := ParseEndpoint(raw); err == nil {
			t.Errorf("%q: no error", raw)
		}
	}
	for _, raw := range []string{"imaps://anna:hunter2@old.example", "anna:hunter2@old.example"} {
		if _, err := ParseEndpoint(raw); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: error %v must exist and must not show the password", raw, err)
		}
	}
}

func TestFlags(t *testing.T) {
	f := NewFlags("$Forwarded", `\seen`, `\Recent`, "", `\SEEN`, "Zeta", "alpha")
	if got, want := f.String(), `($Forwarded \Seen alpha Zeta)`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if !ParseFlags(f.String()).Equal(f) {
		t.Error("round trip")
	}
	if !f.Equal(NewFlags("ZETA", "ALPHA", `\Seen`, "$forwarded")) {
		t.Error("case matters")
	}
	if got := f.Without(NewFlags("zeta", `\Seen`)); !got.Equal(NewFlags("$Forwarded", "alpha")) {
		t.Errorf("Without: %v", got)
	}
}

func TestMailboxPath(t *testing.T) {
	for _, tt := range []struct {
		m    Mailbox
		want []string
	}{
		{Mailbox{Name: "inbox", Separator: "/"}, []string{"INBOX"}},
		{Mailbox{Name: "INBOX.Sent.2019", Separator: ".", Prefix: "INBOX."}, []string{"Sent", "2019"}},
		{Mailbox{Name: "INBOX/Sub", Separator: "/"}, []string{"INBOX", "Sub"}},
		{Mailbox{Name: "a.b/c", Separator: "/"}, []string{"a.b", "c"}},
		{Mailbox{Name: "flat.name"}, []string{"flat.name"}},
	} {
		if got := tt.m.Path(); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.m, got, tt.want)
		}
	}
}

func sampleDetail() Detail {
	return Detail{
		MessageID: "<a@b>", LeafCount: 70, BodySeq: Short{1}, Extra: Short{2}, DKIM: DKIMBodyGood,
		Anomalies: AnomalyNUL | AnomalyBadDate, Stub: true,
		Fields: []FieldDigest{{"date", "2026-11-21T00:00:00Z", Short{3}}, {"subject", "Grüße", FieldHash("subject", "Grüße")}, {"x", "", Short{4}}},
		Leaves: []LeafDigest{{Type: "text/html", FileName: "a.html", Size: 1 << 40, Octets: Short{5}, Content: Short{6}, Visible: Short{7}, NonASCII: 300, Squeezed: 1 << 31, Letters: 9, Prefixes: "abcdefgh"}, {Type: "image/png", Octets: Short{8}, Content: Short{8}}},
	}
}

func TestDetailRoundTrip(t *testing.T) {
	for _, want := range []Detail{{}, sampleDetail()} {
		b, err := want.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var got Detail
		if err := got.UnmarshalBinary(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%v\n got %+v\nwant %+v", err, got, want)
		}
		for n := range b {
			if err := new(Detail).UnmarshalBinary(b[:n]); err == nil {
				t.Errorf("%d of %d octets: no error", n, len(b))
			}
		}
		if err := new(Detail).UnmarshalBinary(append(b, 0)); err == nil {
			t.Error("trailing octet: no error")
		}
	}
	if bits := len(anomalyNames); anomalyEnd != 1<<bits {
		t.Errorf("%d names for the anomalies below %b", bits, anomalyEnd)
	}
}

func TestCommonPrefix(t *testing.T) {
	leaf := func(size int64, prefixes string) *LeafDigest { return &LeafDigest{Size: size, Prefixes: prefixes} }
	for _, tt := range []struct {
		a, b     *LeafDigest
		length   int64
		truncate bool
	}{
		{leaf(70, "aaaabbbb"), leaf(300, "aaaabbbbcccc"), 64, true},
		{leaf(70, "aaaabbbb"), leaf(300, "aaaaxxxxcccc"), 16, false},
		{leaf(300, "aaaabbbbcccc"), leaf(70, "aaaabbbb"), 64, false},
		{leaf(0, ""), leaf(70, "aaaabbbb"), 0, true},
		{leaf(70, "aaaabbbb"), leaf(70, "aaaabbbb"), 64, false},
		{leaf(70, "xaaabbbb"), leaf(71, "aaaabbbb"), 0, false},
	} {
		if got := tt.a.CommonPrefix(tt.b); got != tt.length {
			t.Errorf("%v, %v: common prefix %d, want %d", tt.a, tt.b, got, tt.length)
		}
		if got := tt.a.MayTruncate(tt.b); got != tt.truncate {
			t.Errorf("%v, %v: may truncate %v, want %v", tt.a, tt.b, got, tt.truncate)
		}
	}
}

func FuzzDetail(f *testing.F) {
	d := sampleDetail()
	b, err := d.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Detail
		checkCaption(t, b)
		if d.UnmarshalBinary(b) != nil {
			return
		}
		if _, err := d.MarshalBinary(); err != nil {
			t.Fatal(err)
		}
	})
}

// checkCaption holds the caption of a detail against the whole of it: the same
// error, or the same Message-ID and subject and nothing else.
func checkCaption(t *testing.T, b []byte) {
	t.Helper()
	whole, caption := Detail{}, sampleDetail() // used again: nothing of before may stay
	err, captionErr := whole.UnmarshalBinary(b), caption.UnmarshalCaption(b)
	if fmt.Sprint(err) != fmt.Sprint(captionErr) {
		t.Errorf("%x: %v of the whole, %v of the caption", b, err, captionErr)
	}
	if err != nil {
		return
	}
	want := Detail{MessageID: whole.MessageID, Fields: []FieldDigest{}}
	if f, ok := whole.Digest("subject"); ok {
		want.Fields = []FieldDigest{{Name: f.Name, Value: f.Value}}
	}
	if !reflect.DeepEqual(caption, want) {
		t.Errorf("%x:\n got %+v\nwant %+v", b, caption, want)
	}
}

func TestDetailCaption(t *testing.T) {
	named := append([]byte{detailVersion, 0, 2, 0, 7}, "subject\x03One"...) // by its name, where a code would do
	named = append(append(named, 5), "\x03Two"...)
	named = append(append(named, 0, 0), make([]byte, 16+2+1+1+1)...)
	checkCaption(t, named)
	if err := new(Detail).UnmarshalBinary(named); err != nil {
		t.Errorf("two subjects: %v", err)
	}
	for _, d := range []Detail{{}, sampleDetail(), {MessageID: "<only@id>"}} {
		b, err := d.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(b) + 1 {
			checkCaption(t, b[:n])
		}
		checkCaption(t, append(b, 0))
		for i := range b { // every octet damaged in turn
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				damaged := slices.Clone(b)
				damaged[i] ^= flip
				checkCaption(t, damaged)
			}
		}
	}
}

func TestEnumerationsRoundTrip(t *testing.T) {
	for v := range messageVerdictNames {
		b, err := v.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var w MessageVerdict
		if err := w.UnmarshalText(b); err != nil || w != v {
			t.Errorf("%v: %v, %v", v, w, err)
		}
		if v.Meaning() == "" {
			t.Errorf("%v has no plain-words meaning", v)
		}
	}
	for v := range verdictNames {
		b, _ := json.Marshal(v)
		var w Verdict
		if err := json.Unmarshal(b, &w); err != nil || w != v {
			t.Errorf("%s: %v, %v", b, w, err)
		}
	}
	if _, err := ParsePhase(""); err == nil {
		t.Error("the empty phase parses")
	}
	if s, err := ParseSide("destination"); err != nil || s != Destination || s.Other() != Source {
		t.Error("side")
	}
}
