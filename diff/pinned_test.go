package diff

import (
	"fmt"
	"testing"
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
