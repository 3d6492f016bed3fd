package config

import (
	"fmt"
	"strings"
)

// didYouMean returns `; did you mean "host"?` if one of the known words is
// near enough to the given one, else "".
func didYouMean(given string, known []string) string {
	best, distance := "", 1+len(given)/3
	for _, k := range known {
		if d := editDistance(strings.ToLower(given), k); d <= distance && (best == "" || d < distance) {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance counts the insertions, deletions, substitutions and swaps of
// neighbours that make one word into the other (optimal string alignment).
func editDistance(a, b string) int {
	const longest = 64 // words of ours are shorter; foreign ones need not be compared to the end
	ra, rb := []rune(a), []rune(b)
	if len(ra) > longest || len(rb) > longest {
		return longest
	}
	before, previous, current := make([]int, len(rb)+1), make([]int, len(rb)+1), make([]int, len(rb)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := 1; i <= len(ra); i++ {
		current[0] = i
		for j := 1; j <= len(rb); j++ {
			cost := 1
			if ra[i-1] == rb[j-1] {
				cost = 0
			}
			current[j] = min(previous[j]+1, current[j-1]+1, previous[j-1]+cost)
			if i > 1 && j > 1 && ra[i-1] == rb[j-2] && ra[i-2] == rb[j-1] {
				current[j] = min(current[j], before[j-2]+1)
			}
		}
		before, previous, current = previous, current, before
	}
	return previous[len(rb)]
}
