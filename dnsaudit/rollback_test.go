package dnsaudit

import (
	"slices"
	"strings"
	"testing"
)

func TestMergeRollback(t *testing.T) {
	plan := func(domain, record string, unknown ...string) Plan {
		return Plan{Domain: domain, Observed: testNow, Rollback: []string{record}, Unknown: unknown}
	}
	a, b, idn := plan("a.test", "a.test. 60 IN MX 1 old.a.test."), plan("b.test", "b.test. 60 IN MX 1 old.b.test."), plan("xn--bcher-kva.test", "xn--bcher-kva.test. 60 IN MX 1 old.")
	list, written, kept := MergeRollback("", []Plan{a}, false)
	if !slices.Equal(written, []string{"a.test"}) || kept != nil || !strings.Contains(list, "old.a.test.") {
		t.Fatalf("%q %v %v", list, written, kept)
	}
	// a later domain takes nothing from the first, whatever is asked for
	for _, replace := range []bool{false, true} {
		next, written, kept := MergeRollback(list, []Plan{b, idn}, replace)
		if !strings.HasPrefix(next, list) || !strings.Contains(next, "old.b.test.") || !strings.Contains(next, "; bücher.test (xn--bcher-kva.test) as observed") || len(written) != 2 || kept != nil {
			t.Errorf("%q %v %v", next, written, kept)
		}
		// and is found again by its name
		if again, written, kept := MergeRollback(next, []Plan{idn, b}, false); again != next || written != nil || len(kept) != 2 {
			t.Errorf("%q %v %v", again, written, kept)
		}
	}
	list, _, _ = MergeRollback(list, []Plan{b}, false)
	changed := plan("a.test", "a.test. 60 IN MX 1 new.a.test.")
	if got, _, kept := MergeRollback(list, []Plan{changed}, false); got != list || len(kept) != 1 {
		t.Errorf("%q %v", got, kept)
	}
	got, written, _ := MergeRollback(list, []Plan{changed}, true)
	if strings.Contains(got, "old.a.test.") || !strings.Contains(got, "new.a.test.") || !strings.Contains(got, "old.b.test.") || len(written) != 1 {
		t.Errorf("%q", got)
	}
	// half of the records replace nothing, and begin nothing
	half := plan("a.test", "a.test. 60 IN MX 1 new.a.test.", "a.test TXT")
	if got, written, kept := MergeRollback(list, []Plan{half}, true); got != list || written != nil || len(kept) != 1 {
		t.Errorf("%q %v %v", got, written, kept)
	}
	if got, written, kept := MergeRollback("", []Plan{half}, true); got != "" || written != nil || kept != nil {
		t.Errorf("%q %v %v", got, written, kept)
	}
}

// Whatever people did to the file, nothing of it is lost.
func FuzzMergeRollback(f *testing.F) {
	f.Add("; mine\n; a.test as observed 2026-11-21T12:00:00Z: to go back, put these records in place again\na.test. 60 IN MX 1 b.")
	f.Add("; x as observed ")
	f.Fuzz(func(t *testing.T, list string) {
		head, parts := splitRollback(list)
		whole := head
		for _, p := range parts {
			whole += p.text
		}
		if whole != list {
			t.Errorf("%q became %q", list, whole)
		}
		got, _, _ := MergeRollback(list, []Plan{{Domain: "new.test", Rollback: []string{"new.test. 60 IN A 192.0.2.1"}}}, false)
		if !strings.HasPrefix(got, list) {
			t.Errorf("%q is lost in %q", list, got)
		}
	})
}
