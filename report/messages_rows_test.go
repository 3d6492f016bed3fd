package report

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// trickyTexts are what ends, escapes or confuses a string somewhere.
var trickyTexts = []string{"", " ", "plain", "</template><script>alert(1)</script>", "<!--", "]]>", `"quoted" \back`, "a&amp;b", "'", `"`, "tab\tand\r\nlines", "\x00\x01\x1f\x7f\x80",
	"=cmd()", "+1", "-1", "@x", "a=b", " lead", "trail ", "semi;colon,comma", "Grüße ✓ 日本語 𝄞", "\u2028\u2029", "\u202e\u200b\ufeff", "bad \xff\xfe utf-8 \xc3", "\xed\xa0\x80", "＝fullwidth",
	"\u00a0", strings.Repeat("ä", 500), strings.Repeat("long ", 200)}

// appendJSON and appendCSV write what the slower forms write.
func FuzzAppendText(f *testing.F) {
	for _, s := range trickyTexts {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendJSON(nil, s); !bytes.Equal(got, want) {
			t.Errorf("JSON of %q is %s, want %s", s, got, want)
		}
		if got := appendJSON([]byte("x"), []byte(s)); string(got) != "x"+string(want) {
			t.Errorf("JSON of the octets %q is %s, want %s", s, got, want)
		}
		if got, want := string(appendCSV([]byte("x"), s)), "x"+csvText(s); got != want {
			t.Errorf("CSV of %q is %s, want %s", s, got, want)
		}
		if slow := strings.ToValidUTF8(s, "\uFFFD"); isPlain(s) && (visible(s) != s || strings.ContainsFunc(slow, controls)) {
			t.Errorf("%q is not plain", s)
		}
	})
}

// trickyMessages has every tricky text in every column.
func trickyMessages() []Message {
	var list []Message
	for i, s := range trickyTexts {
		key := mailproof.MessageKey{Side: mailproof.Source, Account: s, Mailbox: s, UIDValidity: uint32(i), UID: mailproof.UID(4294967295 - i)}
		m := Message{Key: key, Verdict: mailproof.MessageVerdict(i % 14), Tier: mailproof.Tier(i % 9), Size: int64(i) << 40, Subject: s, MessageID: s, Reasons: s}
		if i%2 == 0 {
			m.Counterpart, m.Exception, m.Date = key, "E-001", time.Unix(int64(i)*1e8-1e8, 5).In(time.FixedZone("", 3600))
		}
		list = append(list, m)
	}
	return list
}

func (l *sharedList) text() string { return l.page.String() + "\n" + l.table.b.String() }

// Rows are what encoding/json and the export of any other table make of them.
func TestRowsAsBefore(t *testing.T) {
	var page, wantPage, wantTable bytes.Buffer
	p := &pageRows{w: bufio.NewWriter(&page)}
	enc := json.NewEncoder(&wantPage)
	csv := &csvWriter{w: bufio.NewWriter(&wantTable)}
	csv.line(messageHead)
	var table bytes.Buffer
	rows := newTableRows(&table)
	for i, m := range trickyMessages() {
		if err := errors.Join(p.row(&m), rows.row(&m)); err != nil {
			t.Fatal(err)
		}
		var date, validity, uid any = nil, "", ""
		if !m.Date.IsZero() {
			date = m.Date.Unix()
		}
		tier, to := "", ""
		if m.Tier != mailproof.TierNone {
			tier = m.Tier.String()
		}
		if c := m.Counterpart; c.UID != 0 {
			validity, uid = c.UIDValidity, c.UID
			to = c.Mailbox + ", " + csvCell(c.UID)
		}
		if i > 0 {
			wantPage.WriteByte(',')
		}
		if err := enc.Encode([]any{m.Exception, visible(m.Key.Account), visible(m.Key.Mailbox), m.Key.UID, int(m.Verdict), tier, m.Size, date,
			visible(cut(m.Subject, 180)), visible(cut(m.Reasons, 400)), visible(to)}); err != nil {
			t.Fatal(err)
		}
		csv.line(csvRow{m.Exception, m.Key.Account, m.Key.Side, m.Key.Mailbox, m.Key.UIDValidity, m.Key.UID, m.Verdict, tier, m.Size, m.Date, m.Subject, m.MessageID,
			m.Counterpart.Mailbox, validity, uid, m.Reasons})
	}
	if err := errors.Join(p.w.Flush(), rows.w.Flush(), csv.w.Flush()); err != nil {
		t.Fatal(err)
	}
	if page.String() != wantPage.String() {
		t.Errorf("page:\n%s\nwant\n%s", &page, &wantPage)
	}
	if table.String() != wantTable.String() {
		t.Errorf("table:\n%s\nwant\n%s", &table, &wantTable)
	}
}

// Two files share one reading of the list, and have what they would have read
// each for itself.
func TestSharedList(t *testing.T) {
	s := sample{accounts: 3, exceptions: 20, verdict: mailproof.Incomplete, hostile: true, whole: true}
	d := listed(s, 1700)
	read := 0
	inner := d.Messages
	d.Messages = func() iter.Seq2[Message, error] { read++; return inner() }
	var page, table bytes.Buffer
	if err := errors.Join(d.writeRows(&page), d.WriteMessagesCSV(&table)); err != nil {
		t.Fatal(err)
	}
	want := page.String() + "\n" + table.String()
	shared, reading := d.shareList()
	read = 0
	reading()
	if got := shared.shared.text(); got != want {
		t.Errorf("%d octets that are shared, want %d", len(got), len(want))
	}
	dir := t.TempDir()
	read = 0
	if err := d.WriteFiles(dir, PDFOptions{}); err != nil {
		t.Fatal(err)
	}
	if read != 1 {
		t.Errorf("the list was read %d times", read)
	}
	if d.shared != nil {
		t.Error("the document was changed")
	}
	data, err := os.ReadFile(filepath.Join(dir, HTMLName))
	if err != nil {
		t.Fatal(err)
	}
	if m := listData.FindSubmatch(data); m == nil || string(m[1]) != page.String() {
		t.Error("the page has another list")
	}
	// A list that only the page can hold is not gathered in memory.
	d.Totals.Identical, d.Totals.SourceMessages = MostRowsPDF+1, MostRowsPDF+1
	if _, reading := d.shareList(); reading != nil {
		t.Error("a long list is shared")
	}
}

// An error of the list reaches every file that has it, and nothing waits for
// ever.
func TestSharedListError(t *testing.T) {
	broken := errors.New("the disk is gone")
	d := listed(sample{accounts: 1, verdict: mailproof.Complete}, 500)
	inner := d.Messages
	d.Messages = func() iter.Seq2[Message, error] {
		return func(yield func(Message, error) bool) {
			n := 0
			for m := range inner() {
				if n++; n > 100 {
					yield(Message{}, broken)
					return
				}
				if !yield(m, nil) {
					return
				}
			}
		}
	}
	dir := t.TempDir()
	if err := d.WriteFiles(dir, PDFOptions{}); !errors.Is(err, broken) || !strings.Contains(err.Error(), "report: "+HTMLName+": report:") || !strings.Contains(err.Error(), "report: "+PDFName+": report:") {
		t.Errorf("got %v", err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("%v is left, %v", names, err)
	}
}

// failing takes so many octets.
type failing struct{ left int }

var errFull = errors.New("no room")

func (f *failing) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// What stands aside hands on everything in order, and whoever writes hears of
// an error, wherever it comes.
func TestAside(t *testing.T) {
	var want, got bytes.Buffer
	ended := 0
	a := newAside(&got, func() error { ended++; return nil })
	for i := range 1000 {
		piece := bytes.Repeat([]byte{byte(i)}, i*7%300)
		want.Write(piece)
		if n, err := a.Write(piece); n != len(piece) || err != nil {
			t.Fatal(n, err)
		}
	}
	if err := a.close(); err != nil || ended != 1 || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("%v, %d ends, %d octets of %d", err, ended, got.Len(), want.Len())
	}
	for _, room := range []int{0, 1, 1000, 5000} {
		a := newAside(&failing{room}, func() error { t.Error("ended as if it were whole"); return nil })
		failed := slices.ContainsFunc(make([]int, 10_000), func(int) bool { _, err := a.Write([]byte("0123456789")); return errors.Is(err, errFull) })
		if err := a.close(); !failed || !errors.Is(err, errFull) {
			t.Errorf("room for %d octets: %v, told while writing: %v", room, err, failed)
		}
	}
	if err := newAside(io.Discard, func() error { return errFull }).close(); !errors.Is(err, errFull) {
		t.Errorf("the end: %v", err)
	}
}
