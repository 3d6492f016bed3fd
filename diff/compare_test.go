package diff

import (
	"fmt"
	"hash/crc32"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

func crcOf(s string, keep func(rune) bool) uint32 {
	return crc32.Checksum([]byte(strings.Map(func(r rune) rune {
		if keep(r) {
			return r
		}
		return -1
	}, s)), crc32.MakeTable(crc32.Castagnoli))
}

func squeezed(r rune) bool { return r != ' ' && r != '\t' && r != '\r' && r != '\n' }
func letters(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
}

// letter is an ordinary message with a number of its own.
func letter(n int) mail {
	return mail{
		id: fmt.Sprintf("<%d@old.example>", n), date: day.Add(time.Duration(n) * time.Minute), from: "anna@a.example", to: "bert@b.example",
		subject: fmt.Sprintf("Offer %d", n),
		parts: []fakePart{
			{typ: "text/plain", text: fmt.Sprintf("Dear Bert, this is message number %d of a long correspondence between us.", n)},
			{typ: "application/pdf", name: "offer.pdf", text: fmt.Sprintf("PDF %d with enough octets to count", n), size: 182044},
		},
	}
}

func standard() (*fake, *fake) {
	boxes := []mailproof.Mailbox{{Name: "INBOX"}, {Name: "Archive"}, {Name: "Sent", SpecialUse: mailproof.UseSent}, {Name: "Trash", SpecialUse: mailproof.UseTrash}}
	return newFake(mailproof.Source, boxes...), newFake(mailproof.Destination, boxes...)
}

// compare runs Compare and collects every result.
func compare(t testing.TB, src, dst Inventory, o Options) (mailproof.AccountResult, []Result) {
	t.Helper()
	var all []Result
	o.OnResult = func(r Result) error {
		if r.SourceRow != nil {
			row := *r.SourceRow
			r.SourceRow = &row
		}
		if r.DestinationRow != nil {
			row := *r.DestinationRow
			r.DestinationRow = &row
		}
		all = append(all, r)
		return nil
	}
	res, err := Compare(t.Context(), src, dst, o)
	if err != nil {
		t.Fatal(err)
	}
	return res, all
}

func reasonsText(rs []mailproof.Reason) string {
	var out []string
	for _, r := range rs {
		out = append(out, r.String())
	}
	return strings.Join(out, "\n")
}

func finding(res mailproof.AccountResult, check string) (mailproof.Finding, bool) {
	for _, f := range res.Findings {
		if f.Check == check {
			return f, true
		}
	}
	return mailproof.Finding{}, false
}

// One message and what became of it: the verdict, the tier and the reasons, to
// the letter.
func TestVerdicts(t *testing.T) {
	long := strings.Repeat("All work and no play makes Jack a dull boy. ", 40)
	type change func(*mail)
	part := func(i int, f func(*fakePart)) change {
		return func(m *mail) { m.parts = append([]fakePart(nil), m.parts...); f(&m.parts[i]) }
	}
	for _, tt := range []struct {
		name    string
		src     change // on the source, before
		dst     change // what the destination made of it
		want    mailproof.MessageVerdict
		tier    mailproof.Tier
		reasons string
	}{
		{"same", nil, nil, mailproof.Identical, mailproof.T0, ""},
		{"store", nil, func(m *mail) { m.store++ }, mailproof.IdenticalNormalised, mailproof.T1, ""},
		{"rebuilt", nil, func(m *mail) { m.norm++ }, mailproof.Equivalent, mailproof.T2, ""},
		{"order of parts", nil, func(m *mail) { m.parts = []fakePart{m.parts[1], m.parts[0]} }, mailproof.Equivalent, mailproof.T2, "part-order"},
		{"text re-encoded", nil, part(0, func(p *fakePart) { p.raw++ }), mailproof.Equivalent, mailproof.T2, ""},
		{"bcc lost", func(m *mail) { m.bcc = "boss@a.example" }, func(m *mail) { m.bcc = "" }, mailproof.EquivalentWithNotes, mailproof.T2, "bcc-lost: bcc: “boss@a.example” → (none)"},
		{"threading", func(m *mail) { m.refs = "<1@x>" }, func(m *mail) { m.refs = "<2@x>" }, mailproof.EquivalentWithNotes, mailproof.T2, "threading-changed: references: “<1@x>” → “<2@x>”"},
		{"display names", func(m *mail) { m.names = "Anna <anna@a.example>" }, func(m *mail) { m.names = "" }, mailproof.Equivalent, mailproof.T2, "display-names: names: “Anna <anna@a.example>” → (none)"},
		{"blank part lost", func(m *mail) { m.parts = append(m.parts, fakePart{typ: "text/plain", size: 2}) }, func(m *mail) { m.parts, m.subject = m.parts[:2], "x" }, mailproof.Altered, mailproof.T3, "subject-changed: “Offer 1” → “x”"},
		{"file name", nil, part(1, func(p *fakePart) { p.name = "" }), mailproof.EquivalentWithNotes, mailproof.T2, "file-name: part 2 application/pdf: “offer.pdf” → (none)"},
		{"preamble", func(m *mail) { m.extra = "x" }, func(m *mail) { m.extra = "" }, mailproof.EquivalentWithNotes, mailproof.T2, "preamble: lost"},
		{"final boundary", func(m *mail) { m.anomaly = mailproof.AnomalyUnterminated }, func(m *mail) { m.anomaly = 0 }, mailproof.EquivalentWithNotes, mailproof.T2, "final-boundary: added on the destination"},
		{"attachment line ends", nil, part(1, func(p *fakePart) { p.raw++; p.size -= 10 }), mailproof.EquivalentWithNotes, mailproof.T2, "attachment-eol: part 2 application/pdf “offer.pdf”: 182,044 → 182,034 octets"},
		{"signature", func(m *mail) { m.signed = "a" }, func(m *mail) { m.signed = "b" }, mailproof.EquivalentWithNotes, mailproof.T2, "signature-bytes: the signed octets changed; the content did not"},
		{"markup", part(0, func(p *fakePart) { p.typ, p.visible, p.text = "text/html", "hello", "<p>hello" }), part(0, func(p *fakePart) { p.text = "<p>hello<!-- -->" }),
			mailproof.EquivalentText, mailproof.T2v, "markup: part 1 text/html: 8 → 16 octets"},
		{"id invented", func(m *mail) { m.id = "" }, func(m *mail) { m.id = "<new@x>" }, mailproof.EquivalentWithNotes, mailproof.T2c, "message-id-added: “<new@x>”"},
		{"id changed", nil, func(m *mail) { m.id = "<new@x>" }, mailproof.Altered, mailproof.T2c, "message-id-changed: “<1@old.example>” → “<new@x>”"},
		{"id lost", nil, func(m *mail) { m.id = "" }, mailproof.Altered, mailproof.T2c, "message-id-lost: “<1@old.example>”"},
		{"subject", nil, func(m *mail) { m.subject = "[SPAM] " + m.subject }, mailproof.Altered, mailproof.T3, "subject-changed: “Offer 1” → “[SPAM] Offer 1”"},
		{"subject charset", func(m *mail) { m.subject = "Grüße" }, func(m *mail) { m.subject = "Gr??e" }, mailproof.Altered, mailproof.T3, "header-charset: subject: “Grüße” → “Gr??e”"},
		{"subject in disguise", nil, func(m *mail) { m.subject = "a\u202e\x1b[2J" }, mailproof.Altered, mailproof.T3, "subject-changed: “Offer 1” → “a\ufffd\ufffd[2J”"},
		{"date", nil, func(m *mail) { m.date = m.date.Add(time.Hour) }, mailproof.Altered, mailproof.T3, "date-changed: +1 h (2026-03-01T12:01:00Z → 2026-03-01T13:01:00Z)"},
		{"recipients lost", func(m *mail) { m.to = "bert@b.example, carl@c.example" }, func(m *mail) { m.to = "carl@c.example" }, mailproof.Altered, mailproof.T3, "recipients-lost: to: without “bert@b.example”"},
		{"all recipients lost", nil, func(m *mail) { m.to = "" }, mailproof.Altered, mailproof.T3, "recipients-lost: to: “bert@b.example” → (none)"},
		{"sender", nil, func(m *mail) { m.from = "x@x" }, mailproof.Altered, mailproof.T3, "from-changed: “anna@a.example” → “x@x”"},
		{"attachment damaged", nil, part(1, func(p *fakePart) { p.text += "!"; p.size = 90112 }), mailproof.Altered, mailproof.T3, "part-changed: part 2 application/pdf “offer.pdf”: 182,044 → 90,112 octets"},
		{"attachment of equal size", nil, part(1, func(p *fakePart) { p.text += "!" }), mailproof.Altered, mailproof.T3, "part-changed: part 2 application/pdf “offer.pdf”: 182,044 octets, content differs"},
		{"attachment cut", part(1, func(p *fakePart) { p.prefixes = "aaaabbbbcccc" }), part(1, func(p *fakePart) { p.text += "!"; p.size = 70; p.prefixes = "aaaabbbb" }),
			mailproof.Altered, mailproof.T3, "truncated: part 2 application/pdf “offer.pdf”: 182,044 → 70 octets"},
		{"part lost", nil, func(m *mail) { m.parts = m.parts[:1] }, mailproof.Altered, mailproof.T3, "part-lost: part 2 application/pdf “offer.pdf”: 182,044 octets"},
		{"part added", nil, func(m *mail) {
			m.parts = append(m.parts[:2:2], fakePart{typ: "text/plain", text: "disclaimer"})
		}, mailproof.Altered, mailproof.T3, "part-added: part 3 text/plain: 10 octets"},
		{"attachment stubbed", nil, part(1, func(p *fakePart) {
			p.typ, p.name, p.text, p.size = "text/plain", "deleted.txt", "This attachment was removed", 0
		}),
			mailproof.Altered, mailproof.T3, "attachment-stubbed: part 2 application/pdf “offer.pdf”: 182,044 octets → text/plain: 27 octets"},
		{"tnef", nil, func(m *mail) {
			m.parts = []fakePart{m.parts[0], {typ: "application/ms-tnef", name: "winmail.dat", text: "TNEF"}}
		}, mailproof.Altered, mailproof.T3, "tnef: part 2 application/ms-tnef “winmail.dat” holds what was 1 part"},
		{"tnef expanded", func(m *mail) {
			m.parts = []fakePart{m.parts[0], {typ: "application/ms-tnef", name: "winmail.dat", text: "TNEF"}}
		}, func(m *mail) {
			m.parts = []fakePart{m.parts[0], {typ: "image/png", text: "a"}, {typ: "image/gif", text: "b"}}
		}, mailproof.Altered, mailproof.T3, "tnef: part 2 application/ms-tnef “winmail.dat” was replaced by 2 parts"},
		{"body emptied", nil, func(m *mail) { m.parts = []fakePart{{typ: "text/plain"}} }, mailproof.Altered, mailproof.T3, "body-emptied: 2 parts on the source, no content on the destination"},
		{"lines wrapped", part(0, func(p *fakePart) { p.text = long }), part(0, func(p *fakePart) { p.text = long[:900] + "\n" + long[900:] }), mailproof.Altered, mailproof.T3, "line-wrapped: part 1 text/plain: 1,760 → 1,761 octets, line breaks or white space added"},
		{"charset", part(0, func(p *fakePart) { p.text, p.nonASCII = "Grüße aus Köln", 3 }), part(0, func(p *fakePart) { p.text, p.nonASCII = "Gr??e aus K?ln", 0 }),
			mailproof.Altered, mailproof.T3, "charset-damage: part 1 text/plain: 17 → 14 octets, characters outside ASCII 3 → 0"},
		{"cut", nil, func(m *mail) { m.parts = m.parts[:1]; m.anomaly = mailproof.AnomalyUnterminated }, mailproof.Altered, mailproof.T3,
			"part-lost: part 2 application/pdf “offer.pdf”: 182,044 octets\ntruncated: message: 182,469 → 385 octets, without its closing delimiter"},
		{"zeroed", nil, func(m *mail) {
			m.parts = []fakePart{m.parts[0], {typ: "application/pdf", name: "offer.pdf", text: "\x00", size: 182044}}
			m.anomaly = mailproof.AnomalyNUL
		}, mailproof.Altered, mailproof.T3, "part-changed: part 2 application/pdf “offer.pdf”: 182,044 octets, content differs\nnul-octets: NUL octets on the destination that the source does not have"},
		{"dkim", func(m *mail) { m.dkim = mailproof.DKIMBodyGood }, func(m *mail) { m.dkim = mailproof.DKIMBodyBad; m.subject = "x" }, mailproof.Altered, mailproof.T3,
			"subject-changed: “Offer 1” → “x”\ndkim-body: a DKIM body hash agrees on the source and not on the destination"},
		{"id and subject changed", nil, func(m *mail) { m.id = "<new@x>"; m.subject = "x" }, mailproof.Altered, mailproof.T4,
			"message-id-changed: “<1@old.example>” → “<new@x>”\nsubject-changed: “Offer 1” → “x”"},
		{"domain of the id, and body", nil, func(m *mail) { m.id = "<1@domino>"; m.parts = m.parts[:1] }, mailproof.Altered, mailproof.T3b,
			"message-id-changed: “<1@old.example>” → “<1@domino>”\npart-lost: part 2 application/pdf “offer.pdf”: 182,044 octets"},
		{"no id, and another body", func(m *mail) { m.id = "" }, func(m *mail) { m.parts = m.parts[:1] }, mailproof.Altered, mailproof.T4,
			"part-lost: part 2 application/pdf “offer.pdf”: 182,044 octets"},
		{"an id invented, and another body", func(m *mail) { m.id = "" }, func(m *mail) { m.id = "<x@x>"; m.parts = m.parts[:1] }, mailproof.Altered, mailproof.T4,
			"message-id-added: “<x@x>”\npart-lost: part 2 application/pdf “offer.pdf”: 182,044 octets"},
		{"stub", nil, func(m *mail) {
			m.stub = true
			m.parts = []fakePart{{typ: "text/plain", text: "could not be retrieved"}}
		}, mailproof.Unverifiable, mailproof.T3,
			"server-stub: the destination server put a notice in the place of the message"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := standard()
			m := letter(1)
			if tt.src != nil {
				tt.src(&m)
			}
			date := m.date
			src.add("INBOX", m)
			if tt.dst != nil {
				tt.dst(&m)
			}
			dst.add("INBOX", m).InternalDate = date
			res, all := compare(t, src, dst, Options{})
			if len(all) != 1 {
				t.Fatalf("%d results: %+v", len(all), all)
			}
			got := all[0]
			if got.Verdict != tt.want || got.Tier != tt.tier || reasonsText(got.Reasons) != tt.reasons {
				t.Errorf("%v at %v\n%s\nwant %v at %v\n%s", got.Verdict, got.Tier, reasonsText(got.Reasons), tt.want, tt.tier, tt.reasons)
			}
			wantVerdict := mailproof.Complete
			switch tt.want {
			case mailproof.Altered:
				wantVerdict = mailproof.Incomplete
			case mailproof.Unverifiable:
				wantVerdict = mailproof.Inconclusive
			}
			if res.Verdict != wantVerdict || !res.Counts.Balanced() {
				t.Errorf("account is %v, want %v; balanced %v", res.Verdict, wantVerdict, res.Counts.Balanced())
			}
		})
	}
}
