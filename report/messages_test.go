package report

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	cdpruntime "github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/mailproof/mailproof"
)

// listed makes a document whose totals are those of n messages.
func listed(s sample, n int) *Document {
	d := s.document()
	c := mailproof.Counts{Identical: int64(n)}
	c.DestinationPairedHere = c.Paired()
	c.SourceMessages, c.DestinationMessages = c.SourceSum(), c.DestinationSum()
	d.Totals = c
	d.Messages = s.messages(d, n)
	return d
}

var listData = regexp.MustCompile(`(?s)<template id="list-data">([A-Za-z0-9+/=]*)</template>`)

// unpackList reads the list as a browser would.
func unpackList(t *testing.T, page string) [][]any {
	t.Helper()
	m := listData.FindStringSubmatch(page)
	if m == nil {
		t.Fatal("the page has no list")
	}
	packed, err := base64.StdEncoding.DecodeString(m[1])
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]any
	if err := json.NewDecoder(z).Decode(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// The list in the page is every message, each once, and its text is nowhere
// but in the packed letters.
func TestMessageList(t *testing.T) {
	s := sample{accounts: 12, exceptions: 34, verdict: mailproof.Incomplete, hostile: true, whole: true}
	d := listed(s, 1700)
	page := html(t, d)
	rows := unpackList(t, page)
	i := 0
	for m := range d.Messages() {
		r := rows[i]
		if r[1] != visible(m.Key.Account) || r[3] != float64(m.Key.UID) || r[4] != float64(m.Verdict) || r[8] != visible(cut(m.Subject, 180)) {
			t.Fatalf("line %d is %v, want %+v", i, r, m)
		}
		i++
	}
	if i != len(rows) {
		t.Errorf("%d lines, want %d", len(rows), i)
	}
	if n := strings.Count(page, "<script"); n != 1 {
		t.Errorf("%d scripts", n)
	}
	if strings.Contains(page, "onerror=alert(1)>") || strings.Contains(page, "\u202e") {
		t.Error("a subject reached the markup")
	}
}

// What does not fit is said, and not cut in silence; without a list the page
// has no script.
func TestMessageListBounds(t *testing.T) {
	s := sample{accounts: 1, verdict: mailproof.Complete}
	d := listed(s, 10)
	d.Totals.Identical, d.Totals.SourceMessages = MostRowsHTML+1, MostRowsHTML+1
	page := html(t, d)
	if !strings.Contains(page, "more than the 200,000 that a page can hold") || strings.Contains(page, "<script") || listData.MatchString(page) {
		t.Error("a list beyond the bound is not told of as it must be")
	}
	d.Messages = nil
	if page = html(t, d); strings.Contains(page, "<script") || strings.Contains(page, "Annex: every message") {
		t.Error("a page without a list has something of it")
	}
}

// A list that breaks off is an error, and leaves no page that looks whole.
func TestMessageListError(t *testing.T) {
	broken := errors.New("the disk is gone")
	d := listed(sample{accounts: 1, verdict: mailproof.Complete}, 10)
	d.Messages = func() iter.Seq2[Message, error] {
		return func(yield func(Message, error) bool) {
			if yield(Message{}, nil) {
				yield(Message{}, broken)
			}
		}
	}
	for name, write := range map[string]func(io.Writer) error{"HTML": d.WriteHTML, "CSV": d.WriteMessagesCSV, "PDF": func(w io.Writer) error { return d.WritePDF(w, PDFOptions{}) }} {
		if err := write(io.Discard); !errors.Is(err, broken) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	dir := t.TempDir()
	if _, err := d.WriteCSV(dir); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "messages.csv")); err == nil {
		t.Error("half a list was left")
	}
}

// Every table reads back with an ordinary reader, has a head, and no cell that
// a spreadsheet would carry out.
func TestCSV(t *testing.T) {
	s := sample{accounts: 12, exceptions: 34, verdict: mailproof.CompleteWithAcceptedExceptions, hostile: true, whole: true}
	d := s.document()
	for i, text := range []string{"=1+1", "+49 30 1234", "-2", "@SUM(A1)", "\tx", "\rx", "\nx", "＝x", "'quoted", `a "b", c; d`, " x ", "a\x00b"} {
		d.Exceptions[i].Subject = text
	}
	dir := t.TempDir()
	names, err := d.WriteCSV(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(names) != len(d.csvTables())+1 {
		t.Errorf("files %v", names)
	}
	tables := map[string][][]string{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(data, []byte("\r\n")); n == 0 || !bytes.HasSuffix(data, []byte("\r\n")) {
			t.Errorf("%s: lines do not end with CRLF", name)
		}
		r := csv.NewReader(bytes.NewReader(data)) // it refuses rows of another length than the head
		rows, err := r.ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, row := range rows {
			for _, cell := range row {
				if cell != "" && strings.ContainsRune("=+@\t\r\n＝＋－＠", []rune(cell)[0]) {
					t.Errorf("%s: the cell %q is a formula", name, cell)
				}
			}
		}
		tables[strings.TrimSuffix(name, ".csv")] = rows[1:]
	}
	if len(tables["exceptions"]) != len(d.Exceptions) || len(tables["accounts"]) != len(d.Accounts) || len(tables["messages"]) != 1000 || len(tables["runbook"]) != len(d.Runbook) {
		t.Error("rows are missing")
	}
	for i, want := range []string{"'=1+1", "'+49 30 1234", "'-2", "'@SUM(A1)", "'\tx", "'\rx", "'\nx", "'＝x", "''quoted", `a "b", c; d`, " x ", "a⟨U+0000⟩b"} {
		// encoding/csv reads CRLF within quotes as LF, but not a lone CR.
		if got := tables["exceptions"][i][7]; got != want {
			t.Errorf("subject %d is %q, want %q", i, got, want)
		}
	}
}

// BenchmarkBrowserList prints how long a browser takes for the list: to load
// the page with 100,000 messages, to filter and to sort it. MAILPROOF_BENCH_ROWS
// says how many.
func BenchmarkBrowserList(b *testing.B) {
	n := 100_000
	if v := os.Getenv("MAILPROOF_BENCH_ROWS"); v != "" {
		if _, err := fmt.Sscan(v, &n); err != nil {
			b.Fatal(err)
		}
	}
	d := listed(sample{accounts: 12, exceptions: 7, verdict: mailproof.Incomplete, whole: true}, n)
	file := filepath.Join(b.TempDir(), HTMLName)
	if err := os.WriteFile(file, []byte(html(b, d)), 0o600); err != nil {
		b.Fatal(err)
	}
	info, err := os.Stat(file)
	if err != nil {
		b.Fatal(err)
	}
	ctx := browser(b)
	for b.Loop() {
		var load, filter, sorting float64
		if err := chromedp.Do(ctx, chromedp.Navigate("file://"+file),
			get(&load, chromedp.Evaluate[float64](whenReady+`.then(() => performance.now())`, chromedp.EvalAwaitPromise)),
			get(&filter, chromedp.Evaluate[float64](`(async()=>{const i=document.getElementById("list-search"), t=performance.now(); i.value="harbour 97"; i.dispatchEvent(new Event("input"));
				await new Promise(r=>{const w=new MutationObserver(()=>{w.disconnect();r()}); w.observe(document.getElementById("list-rows"),{childList:true})}); return performance.now()-t})()`, chromedp.EvalAwaitPromise)),
			get(&sorting, chromedp.Evaluate[float64](`(()=>{const i=document.getElementById("list-search"); i.value=""; document.getElementById("list-verdict").dispatchEvent(new Event("change")); const t=performance.now(); document.querySelector('[data-column="8"]').click(); return performance.now()-t})()`)),
		); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(load, "load-ms")
		b.ReportMetric(filter, "filter-ms")
		b.ReportMetric(sorting, "sort-ms")
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	}
}

// act runs a script that yields true.
func act(script string) chromedp.Action[chromedp.Void] {
	var done bool
	return get(&done, chromedp.Evaluate[bool](script, chromedp.EvalAwaitPromise))
}

const whenReady = `new Promise((done, fail) => { const l = document.getElementById("list"); const look = () => l.dataset.ready ? done() : setTimeout(look, 5); setTimeout(() => fail("never ready"), 60000); look(); })`

// The list at work in a browser: under its policy, without a request or a
// complaint; what it shows is text; it finds, sorts and turns pages.
func TestBrowserList(t *testing.T) {
	s := sample{accounts: 12, exceptions: 34, verdict: mailproof.Incomplete, hostile: true, whole: true}
	d := listed(s, 1000)
	file := filepath.Join(t.TempDir(), HTMLName)
	if err := os.WriteFile(file, []byte(html(t, d)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := browser(t)
	var w watcher
	if err := chromedp.Listen(ctx, w.see); err != nil {
		t.Fatal(err)
	}
	const rows = `document.querySelectorAll("#list-rows tr").length`
	type state struct {
		Rows              int
		Status, Sort      string
		Back, Next        bool
		Elements          int
		First, Last       string
		Found, FoundMarks int
		Evil              string
	}
	var first, last, sorted, found state
	read := func(into *state) chromedp.Action[chromedp.Void] {
		return get(into, chromedp.Evaluate[state](`({Rows:`+rows+`, Status:document.getElementById("list-status").textContent, Sort:document.querySelector('[data-column="6"]').closest("th").getAttribute("aria-sort"),
			Back:document.getElementById("list-back").disabled, Next:document.getElementById("list-next").disabled,
			Elements:document.querySelectorAll("img,iframe,object,embed,link").length + document.querySelectorAll("script").length - 1,
			First:document.querySelector("#list-rows tr td.r")?.textContent ?? "", Last:[...document.querySelectorAll("#list-rows tr td.r")].at(-1)?.textContent ?? "", Evil:String(window.evil)})`))
	}
	click := func(selector string) chromedp.Action[chromedp.Void] {
		return act(`(document.querySelector('` + selector + `').click(), true)`)
	}
	err := chromedp.Do(ctx,
		command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), command(cdpruntime.Enable, cdp.Empty{}),
		chromedp.Navigate("file://"+file),
		act(whenReady+`.then(() => true)`),
		read(&first),
		click("#list-last"), read(&last),
		click(`[data-column="6"]`), click(`[data-column="6"]`), read(&sorted),
		act(`(()=>{document.getElementById("list-search").value="onerror=alert"; document.getElementById("list-verdict").dispatchEvent(new Event("change")); return true})()`),
		read(&found),
	)
	if err != nil {
		t.Fatal(err)
	}
	if first.Rows != 200 || first.Status != "1 to 200 of 1,000" || !first.Back || first.Next {
		t.Errorf("first page %+v", first)
	}
	if last.Rows != 200 || last.Status != "801 to 1,000 of 1,000" || last.Back || !last.Next {
		t.Errorf("last page %+v", last)
	}
	number := func(s string) (n int) {
		if _, err := fmt.Sscan(strings.ReplaceAll(s, ",", ""), &n); err != nil {
			t.Error(err)
		}
		return n
	}
	if sorted.Sort != "descending" || number(sorted.First) < number(sorted.Last) {
		t.Errorf("sorted %+v", sorted)
	}
	if found.Rows < 20 || found.Rows >= 200 || found.Elements != 0 || !strings.HasSuffix(found.Status, "found among 1,000") {
		t.Errorf("found %+v", found)
	}
	w.Lock()
	defer w.Unlock()
	for _, r := range w.requests {
		if r != "file://"+file {
			t.Errorf("the page asks for %s", r)
		}
	}
	if len(w.requests) == 0 || len(w.complaints) > 0 {
		t.Errorf("%d requests, complaints %q", len(w.requests), w.complaints)
	}
}

// The policy is in force: what is not the page's own script does not run.
func TestBrowserPolicy(t *testing.T) {
	d := listed(sample{accounts: 1, verdict: mailproof.Complete, whole: true}, 10)
	page := strings.Replace(html(t, d), "</main>", `<script>window.evil = 1</script><img src="x" onerror="window.evil = 2"></main>`, 1)
	file := filepath.Join(t.TempDir(), HTMLName)
	if err := os.WriteFile(file, []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	var evil string
	if err := chromedp.Do(browser(t), chromedp.Navigate("file://"+file), act(whenReady+`.then(() => true)`), get(&evil, chromedp.Evaluate[string](`String(window.evil)`))); err != nil {
		t.Fatal(err)
	}
	if evil != "undefined" {
		t.Errorf("a script that is not the page's own ran: %s", evil)
	}
}

// BenchmarkMillion prints what a report of 1,000,000 messages costs: the three
// files, and messages.csv; and the memory that was in use at its highest.
func BenchmarkMillion(b *testing.B) {
	d := listed(sample{accounts: 12, exceptions: 300, verdict: mailproof.Incomplete, whole: true}, 1_000_000)
	for b.Loop() {
		dir := b.TempDir()
		stop, peak := make(chan struct{}), make(chan uint64)
		go func() {
			var most uint64
			for {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapInuse)
				select {
				case <-stop:
					peak <- most
					return
				case <-time.After(20 * time.Millisecond):
				}
			}
		}()
		started := time.Now()
		if err := d.WriteFiles(dir, PDFOptions{}); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(started).Seconds(), "report-s")
		started = time.Now()
		if _, err := d.WriteCSV(dir); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(started).Seconds(), "csv-s")
		close(stop)
		b.ReportMetric(float64(<-peak)/1e6, "heap-MB")
	}
}
