package engagement

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof/report"
	"github.com/mailproof/mailproof/report/evidence"
)

const marker = "anna@secret.example"

// mark writes the marker into every text of a value, down to its leaves.
func mark(v reflect.Value, depth int) {
	if depth > 12 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(marker)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		mark(v.Elem(), depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		mark(v.Index(0), depth+1)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		mark(key, depth+1)
		mark(value, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				mark(f, depth+1)
			}
		}
	}
}

// marked lists where the marker still stands.
func marked(v reflect.Value, path string, found *[]string) {
	switch v.Kind() {
	case reflect.String:
		if strings.Contains(v.String(), marker) {
			*found = append(*found, path)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			marked(v.Elem(), path, found)
		}
	case reflect.Slice:
		for i := range v.Len() {
			marked(v.Index(i), path, found)
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			marked(k, path+"[]", found)
			marked(v.MapIndex(k), path, found)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				marked(v.Field(i), path+"."+v.Type().Field(i).Name, found)
			}
		}
	}
}

// Whatever a document has, now or later, no text of it passes into a redacted
// edition but those that mailproof itself chose.
func TestRedactLeavesNoText(t *testing.T) {
	ours := []string{
		".Tool", ".Evidence.Bundle", ".Evidence.KeyFingerprint", ".Evidence.Roots.Tree", ".Evidence.Roots.Hash", // our own words and numbers
		".Findings.Check", ".Findings.Reference", ".DNS.Check", ".DNS.Reference", ".Accounts.Findings.Check", ".Accounts.Findings.Reference",
		".Exceptions.ID", ".Accounts.Exceptions.ID", ".Decisions[]", ".Exceptions.Reasons.Code", ".Accounts.Exceptions.Reasons.Code",
		".Passes.Tool", ".History.Root", ".Runbook.ID", ".Runbook.Title", ".Runbook.Owner", ".Brand.Accent", ".Brand.Language", ".Sample.Size",
		".Accounts.Folders.SourceScan.Mailbox.SpecialUse", ".Accounts.Folders.DestinationScan.Mailbox.SpecialUse", // of a fixed list
		".SourceServers.Mechanism", ".SourceServers.TLS", ".DestinationServers.Mechanism", ".DestinationServers.TLS",
		".Accounts.SourceScan.Server.Mechanism", ".Accounts.SourceScan.Server.TLS", ".Accounts.DestinationScan.Server.Mechanism", ".Accounts.DestinationScan.Server.TLS",
	}
	var d report.Document
	mark(reflect.ValueOf(&d).Elem(), 0)
	var all []string
	marked(reflect.ValueOf(d), "", &all)
	if len(all) < 100 {
		t.Fatalf("only %d texts were marked", len(all))
	}
	p, err := evidence.NewPseudonyms(bytes.Repeat([]byte{1}, evidence.PseudonymKeySize))
	if err != nil {
		t.Fatal(err)
	}
	for _, profile := range []evidence.Profile{evidence.Redacted, evidence.Summary} {
		var left []string
		marked(reflect.ValueOf(*redact(&d, p, profile)), "", &left)
		for _, path := range left {
			if !slices.Contains(ours, path) {
				t.Errorf("%v: the text of Document%s passes", profile, path)
			}
		}
	}
}

// A reveal map is kept from seal to seal, is for its owner's eyes only, and
// tells names from pseudonyms; a broken one is refused and left as it is.
func TestRevealMap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "mailproof.reveal")
	for _, name := range []string{"anna", "bruno"} {
		m, err := openReveal(path)
		if err != nil {
			t.Fatal(err)
		}
		m.add(evidence.FieldAccount, name)
		p, err := evidence.NewPseudonyms(m.key)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.save(p, "mp1-"+name); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	r, err := ReadReveal(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"anna", "bruno"} {
		if got := r.Name(evidence.FieldAccount, r.Of(evidence.FieldAccount, name)); got != name {
			t.Errorf("%s is revealed as %s", name, got)
		}
	}
	for _, broken := range []string{"", "{}\n", `{"schema":"mailproof/reveal/1","key":"AAAA"}` + "\n"} {
		if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openReveal(path); err == nil {
			t.Errorf("%q was taken", broken)
		}
	}
}
