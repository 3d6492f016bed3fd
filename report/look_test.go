package report

import (
	"os"
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/mailproof/mailproof"
)

// TestLook writes the reports into the folder that MAILPROOF_LOOK names, to be
// looked at by people. Tests cannot see beauty.
func TestLook(t *testing.T) {
	dir := os.Getenv("MAILPROOF_LOOK")
	if dir == "" {
		t.Skip("MAILPROOF_LOOK names no folder")
	}
	for name, s := range map[string]sample{
		"accepted":     {accounts: 12, exceptions: 7, verdict: mailproof.CompleteWithAcceptedExceptions, whole: true},
		"odd":          {accounts: 12, exceptions: 34, verdict: mailproof.CompleteWithAcceptedExceptions, whole: true, hostile: true},
		"incomplete":   {accounts: 12, exceptions: 8, verdict: mailproof.Incomplete},
		"inconclusive": {accounts: 12, exceptions: 20, verdict: mailproof.Inconclusive},
		"complete":     {accounts: 12, verdict: mailproof.Complete},
		"single":       {accounts: 1, verdict: mailproof.Complete},
		"many":         {accounts: 300, exceptions: 300, verdict: mailproof.Incomplete, whole: true},
		"flood":        {accounts: 12, exceptions: 5000, verdict: mailproof.Incomplete},
		"hostile":      {accounts: 17, exceptions: 34, verdict: mailproof.Incomplete, hostile: true},
		"long":         {accounts: 300, exceptions: 60, verdict: mailproof.Incomplete, whole: true},
		"bare":         {bare: true},
	} {
		if err := os.MkdirAll(dir+"/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
		d := s.document()
		switch name {
		case "odd":
			d = listed(s, 3000)
		case "long":
			d = longNames(s)
		}
		if s.whole {
			d.Brand = Brand{Logo: sampleLogo(), Accent: "#7a1f5c"}
		}
		if err := d.WriteFiles(dir+"/"+name, PDFOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLookList writes pictures of the list of messages, as a browser shows it,
// into the folder that MAILPROOF_LOOK names.
func TestLookList(t *testing.T) {
	dir := os.Getenv("MAILPROOF_LOOK")
	if dir == "" {
		t.Skip("MAILPROOF_LOOK names no folder")
	}
	d := listed(sample{accounts: 12, exceptions: 34, verdict: mailproof.Incomplete, hostile: true, whole: true}, 3000)
	file := t.TempDir() + "/" + HTMLName
	if err := os.WriteFile(file, []byte(html(t, d)), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := browser(t)
	var light, dark []byte
	if err := chromedp.Do(ctx, chromedp.EmulateViewport(1160, 1000), chromedp.Navigate("file://"+file), act(whenReady+`.then(() => true)`),
		act(`(document.getElementById("messages").scrollIntoView(), true)`), scheme("light"), get(&light, chromedp.CaptureScreenshot()), scheme("dark"), get(&dark, chromedp.CaptureScreenshot())); err != nil {
		t.Fatal(err)
	}
	for name, picture := range map[string][]byte{"list-light.png": light, "list-dark.png": dark} {
		if err := os.WriteFile(dir+"/"+name, picture, 0o644); err != nil {
			t.Error(err)
		}
	}
}
