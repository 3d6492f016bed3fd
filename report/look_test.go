package report

import (
	"os"
	"testing"

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
		"bare":         {bare: true},
	} {
		if err := os.MkdirAll(dir+"/"+name, 0o755); err != nil {
			t.Fatal(err)
		}
		d := s.document()
		if s.whole {
			d.Brand = Brand{Logo: sampleLogo(), Accent: "#7a1f5c"}
		}
		if err := d.WriteFiles(dir+"/"+name, PDFOptions{}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
