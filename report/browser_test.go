package report

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"

	"github.com/mailproof/mailproof"
)

// browser starts one Chromium for a test and ends it with it.
func browser(t testing.TB) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		path = tool(t, "chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()), chromedp.NoFirstRun,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// watcher gathers what a page asks for and complains about.
type watcher struct {
	sync.Mutex
	requests, complaints []string
}

func (w *watcher) see(ev any) {
	w.Lock()
	defer w.Unlock()
	switch ev := ev.(type) {
	case *network.EventRequestWillBeSent:
		w.requests = append(w.requests, ev.Request.URL)
	case *log.EventEntryAdded:
		w.complaints = append(w.complaints, ev.Entry.Text)
	case *runtime.EventExceptionThrown:
		w.complaints = append(w.complaints, ev.ExceptionDetails.Text)
	case *runtime.EventConsoleAPICalled:
		w.complaints = append(w.complaints, "a console call")
	}
}

// command is a command of the protocol as a step.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

// get keeps what a step yields.
func get[T any](into *T, a chromedp.Action[T]) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) (err error) {
		*into, err = a(ctx, t)
		return err
	})
}

func scheme(name string) chromedp.Action[chromedp.Void] {
	return command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
}

func TestBrowser(t *testing.T) {
	totext := tool(t, "pdftotext")
	ctx := browser(t)
	for _, s := range []sample{
		{bare: true},
		{accounts: 1, verdict: mailproof.Complete},
		{accounts: 12, exceptions: 7, verdict: mailproof.CompleteWithAcceptedExceptions},
		{accounts: 17, exceptions: 34, verdict: mailproof.Incomplete, hostile: true},
		{accounts: 12, exceptions: 20, verdict: mailproof.Inconclusive},
		{accounts: 60, exceptions: 400, verdict: mailproof.Incomplete},
		{accounts: 5, exceptions: 900, verdict: mailproof.Incomplete, hostile: true},
	} {
		t.Run(s.String(), func(t *testing.T) {
			d := s.document()
			file := filepath.Join(t.TempDir(), HTMLName)
			if err := os.WriteFile(file, []byte(html(t, d)), 0o600); err != nil {
				t.Fatal(err)
			}
			address := "file://" + file
			tab, cancel := chromedp.NewContext(ctx)
			defer cancel()
			if err := chromedp.Do(tab); err != nil {
				t.Fatal(err)
			}
			tab, cancel = context.WithTimeout(tab, time.Minute)
			defer cancel()
			var w watcher
			if err := chromedp.Listen(tab, w.see); err != nil {
				t.Fatal(err)
			}
			var heading, background string
			var elements, overflow int
			var printed, light, dark []byte
			err := chromedp.Do(tab,
				command(network.Enable, network.EnableParams{}), command(log.Enable, cdp.Empty{}), command(runtime.Enable, cdp.Empty{}),
				command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}),
				chromedp.EmulateViewport(1160, 1500),
				chromedp.Navigate(address),
				get(&heading, chromedp.Evaluate[string](`document.querySelector("h1").innerText`)),
				scheme("light"), get(&light, chromedp.CaptureScreenshot()),
				scheme("dark"), get(&dark, chromedp.CaptureScreenshot()),
				get(&background, chromedp.Evaluate[string](`getComputedStyle(document.body).backgroundColor`)),
				get(&elements, chromedp.Evaluate[int](`document.querySelectorAll("script,img,iframe,object,embed,link").length`)),
				chromedp.EmulateViewport(420, 900),
				get(&overflow, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`)),
				chromedp.ResetViewport(), scheme("light"),
				get(&printed, chromedp.PrintToPDF(chromedp.PDFPreferCSSPageSize(), chromedp.PDFPageRanges("1-3"))),
			)
			if err != nil {
				t.Fatal(err)
			}
			w.Lock()
			defer w.Unlock()
			for _, r := range w.requests {
				if r != address {
					t.Errorf("the page asks for %s", r)
				}
			}
			if len(w.requests) == 0 {
				t.Error("no request was seen, not even that of the page: the watcher is blind")
			}
			if len(w.complaints) > 0 {
				t.Errorf("the console says %q", w.complaints)
			}
			if got := strings.Join(strings.Fields(heading), " "); got != d.Verdict.String() {
				t.Errorf("heading %q, want %q", got, d.Verdict)
			}
			if background != "rgb(20, 23, 26)" {
				t.Errorf("in the dark the page is %s", background)
			}
			if bytes.Equal(light, dark) {
				t.Error("light and dark look the same")
			}
			if elements != 0 {
				t.Errorf("%d elements came out of text", elements)
			}
			if overflow > 0 {
				t.Errorf("on a narrow screen the page is %d px too wide", overflow)
			}
			name := filepath.Join(t.TempDir(), "printed.pdf")
			if err := os.WriteFile(name, printed, 0o600); err != nil {
				t.Fatal(err)
			}
			checkPrinted(t, d, strings.Split(run(t, totext, "-layout", "-l", "3", name, "-"), "\f"))
		})
	}
}

// checkPrinted holds that the executive page is alone on page one and ends
// there.
func checkPrinted(t *testing.T, d *Document, pages []string) {
	t.Helper()
	for _, must := range append(verdictLines(d.Verdict), "What was found", "Identity of this report", "Date,") {
		if !strings.Contains(pages[0], must) {
			t.Errorf("printed page 1 does not say %q", must)
		}
	}
	if strings.Contains(pages[0], "Contents") {
		t.Error("the contents are printed on page 1")
	}
	if !strings.Contains(pages[1], "Contents") {
		t.Errorf("page one runs over, or page 2 is another: %.300s", pages[1])
	}
	if !strings.Contains(pages[0], "not sealed") || !strings.Contains(pages[0], "1 of ") {
		t.Error("printed page 1 has no footer")
	}
}
