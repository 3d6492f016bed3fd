package diff

import (
	"fmt"
	"testing"

	"github.com/mailproof/mailproof"
)

// What somebody accepts is a list of folders: two lists that differ never read
// the same, even where they are too long to be written out.
func TestPinnedTellsListsApart(t *testing.T) {
	seen := map[string]int{}
	for n := range 12 {
		var names []string
		for i := range n {
			names = append(names, fmt.Sprint("folder ", i))
		}
		seen[pinned(names)]++
		if n > 0 {
			names[n-1] = "another"
			seen[pinned(names)]++
		}
	}
	for text, n := range seen {
		if n > 1 {
			t.Errorf("%d lists are %q", n, text)
		}
	}
	if got := pinned([]string{"a", "b"}); got != "a, b" {
		t.Errorf("a short list is %q", got)
	}
}

// That a folder moved while one pass read it says nothing of another pass.
func TestDriftIsOfOnePass(t *testing.T) {
	observed := func(pass mailproof.PassID) string {
		src, dst := standard()
		src.add("INBOX", letter(1))
		dst.add("INBOX", letter(1))
		src.boxes[src.box("INBOX")].Drifted, src.scan.Pass = true, pass
		res, _ := compare(t, src, dst, Options{})
		for _, f := range res.Findings {
			if f.Check == CheckDrift {
				return f.Observed
			}
		}
		return ""
	}
	if a, b := observed(3), observed(5); a == "" || a == b {
		t.Errorf("%q and %q", a, b)
	}
}
