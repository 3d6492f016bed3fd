package evidence

import (
	"path/filepath"
	"testing"

	"github.com/mailproof/mailproof"
)

// What is sealed verifies, in every profile, in a directory and in a zip, and
// with sorts that have to leave memory.
func TestSealVerifies(t *testing.T) {
	for _, tt := range []struct {
		name    string
		profile Profile
		run     int
	}{{"full", Full, 0}, {"full, sorted on disk", Full, 2000}, {"redacted", Redacted, 0}, {"summary", Summary, 0}} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			s := seal(t, newFake(3, 60), Options{Dir: filepath.Join(dir, "bundle"), Profile: tt.profile, Kept: filepath.Join(dir, "kept"), runSize: tt.run})
			zipped := filepath.Join(dir, "bundle.zip")
			if err := Zip(t.Context(), s.Dir, zipped); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{s.Dir, zipped} {
				v := verified(t, path, s)
				for _, p := range v.Problems {
					t.Errorf("%s: %s: %v", filepath.Base(path), p.Check, p)
				}
				if v.Outcome() != mailproof.OutcomePass {
					t.Errorf("%s: outcome %v: %+v", filepath.Base(path), v.Outcome(), v.Checks)
				}
				if v.Bundle != s.Bundle || len(v.Roots) != 3 {
					t.Errorf("bundle %q with %d roots", v.Bundle, len(v.Roots))
				}
			}
		})
	}
}
