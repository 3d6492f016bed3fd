package mailproof

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/mailproof/mailproof"

// mayImport is the plan of the house: which of our packages a package may
// import. The root and templates are the ground floor; every room stands on
// it alone, but for collect and report, which own rooms; cmd is the roof.
func mayImport(from, to string, test bool) bool {
	inside := func(pkg, dir string) bool { return pkg == dir || strings.HasPrefix(pkg, dir+"/") }
	top := func(pkg string) string { first, _, _ := strings.Cut(pkg, "/"); return first }
	switch {
	case from == "cmd" || inside(from, "cmd"):
		return true // the roof joins everything
	case inside(to, "cmd"):
		return false // nothing stands on the roof
	case from == "" || inside(from, "templates"):
		return false
	case to == "":
		return true
	case to == "templates":
		return from == "report"
	case from == "collect" || from == "report" || from == "dnsaudit":
		return inside(to, from)
	default:
		return test && top(from) == top(to) // a test may use its neighbours
	}
}

// The imports are read with go/parser and not with go list, whose answer the
// test cache would not see change.
func TestFloors(t *testing.T) {
	seen := 0
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && file != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(file) != ".go" {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		seen++
		from := path.Dir(filepath.ToSlash(file))
		if from == "." {
			from = ""
		}
		test := strings.HasSuffix(file, "_test.go")
		for _, spec := range parsed.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			ours := name == module || strings.HasPrefix(name, module+"/")
			to := strings.TrimPrefix(strings.TrimPrefix(name, module), "/")
			switch {
			case ours && to == from && test:
				// an external test package imports what it tests
			case ours && !mayImport(from, to, test):
				t.Errorf("%s: package %q may not import %q", file, from, name)
			case !ours && from == "" && strings.Contains(strings.Split(name, "/")[0], "."):
				t.Errorf("%s: the root package imports the standard library only, not %q", file, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if seen < 10 {
		t.Fatalf("read %d files only: is the test run in the root of the house?", seen)
	}
}

// The plan itself: what must be refused is refused.
func TestFloorPlan(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		test     bool
		want     bool
	}{
		{"diff", "", false, true},
		{"diff", "collect/ledger", false, false},
		{"diff", "collect/ledger", true, false},
		{"collect", "collect/ledger", false, true},
		{"collect/transfer", "collect/imapconn", false, false},
		{"collect/transfer", "collect/imapmem", true, true},
		{"report", "templates", false, true},
		{"report", "diff", false, false},
		{"report/chart", "report", false, false},
		{"collect", "cmd/mailproof", true, false},
		{"", "diff", true, false},
		{"templates", "", false, false},
		{"cmd/mailproof", "dnsaudit/spf", false, true},
		{"dnsaudit", "dnsaudit/spf", false, true},
	} {
		if got := mayImport(tt.from, tt.to, tt.test); got != tt.want {
			t.Errorf("%q imports %q (test %v): %v, want %v", tt.from, tt.to, tt.test, got, tt.want)
		}
	}
}
