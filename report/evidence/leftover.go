package evidence

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// leftover is the name of what [Build], [Zip] and [Countersign] write before it
// gets the name that it is asked for.
var leftover = regexp.MustCompile(`^\.seal-[0-9]+(?:\.zip|\.part)?$`)

// Leftovers returns the paths of unfinished bundles in a directory: those of
// programs that were killed, and those that are being written right now. None
// of them is needed. They may name people whom the bundle would not have named.
func Leftovers(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for unfinished bundles: %w", err)
	}
	var found []string
	for _, e := range entries {
		if leftover.MatchString(e.Name()) && (e.IsDir() || e.Type().IsRegular()) {
			found = append(found, filepath.Join(dir, e.Name()))
		}
	}
	return found, nil
}
