package terminal

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	for _, tt := range []struct {
		text   string
		width  int
		indent int
		want   []string
	}{
		{"short", 20, 2, []string{"short"}},
		{"", 20, 2, []string{""}},
		{"one two three four", 10, 2, []string{"one two", "  three", "  four"}},
		// Rather behind a colon than within a command.
		{"hint: ask the signer: mailproof verify", 30, 6, []string{"hint: ask the signer:", "      mailproof verify"}},
		{"holds    the key is SHA256:abcdefghijkl", 30, 9, []string{"holds    the key is", "         SHA256:abcdefghijkl"}},
		// A word that no line can hold keeps a line of its own, and an indent of
		// the text's own is kept.
		{"    root 0123456789abcdef0123456789abcdef end", 20, 6, []string{"    root", "      0123456789abcdef0123456789abcdef", "      end"}},
		{"日本語 日本語 日本語", 14, 0, []string{"日本語 日本語", "日本語"}},
	} {
		if got := Fold(tt.text, tt.width, tt.indent); !slices.Equal(got, tt.want) {
			t.Errorf("Fold(%q, %d, %d) = %q, want %q", tt.text, tt.width, tt.indent, got, tt.want)
		}
	}
}

// No line is too wide unless it is one word, and the words are all there.
func TestFoldLosesNothing(t *testing.T) {
	pieces := []string{"a", "bc:", "def,", "ghij;", "klmnopqrst", "日本語", "SHA256:abcdefghijklmnopqrstuvwxyz0123456789", "é", "--as"}
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		words := make([]string, 1+r.IntN(30))
		for i := range words {
			words[i] = pieces[r.IntN(len(pieces))]
		}
		text := strings.Join(words, strings.Repeat(" ", 1+r.IntN(2)))
		width, indent := 20+r.IntN(90), r.IntN(30)
		lines := Fold(text, width, indent)
		for _, l := range lines {
			if Width(l) > width && len(strings.Fields(l)) > 1 {
				t.Fatalf("seed %d: %d columns, %d are there: %q", seed, Width(l), width, l)
			}
		}
		if got := strings.Fields(strings.Join(lines, " ")); !slices.Equal(got, words) {
			t.Fatalf("seed %d: %q became %q", seed, words, got)
		}
	}
}
