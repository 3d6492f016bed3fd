package report

import (
	"cmp"
	"slices"
)

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func compareStrings(a, b string) int { return cmp.Compare(a, b) }

// compareAll returns the first comparison that decides.
func compareAll(results ...int) int { return cmp.Or(results...) }
