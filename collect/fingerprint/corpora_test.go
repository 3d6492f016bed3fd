package fingerprint

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"testing/iotest"

	"github.com/mailproof/mailproof"
)

// corpusFiles lists the files of the folder that MAILPROOF_CORPORA names; none
// if it is not set.
func corpusFiles(t testing.TB) []string {
	t.Helper()
	root := os.Getenv("MAILPROOF_CORPORA")
	if root == "" {
		return nil
	}
	var files []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// Every message of the corpora has a fingerprint in which every octet is
// accounted for, however it is read; the size of its ledger row is logged.
func TestCorpora(t *testing.T) {
	var octets, rows, n int
	for _, f := range corpusFiles(t) {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		whole, err := Compute(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		if whole.Detail.Anomalies&mailproof.AnomalyUnaccounted != 0 {
			t.Errorf("%s: not every octet is accounted for", f)
		}
		if len(raw) < 1<<20 {
			single, err := Compute(iotest.OneByteReader(bytes.NewReader(raw)))
			if err != nil || !reflect.DeepEqual(whole, single) {
				t.Errorf("%s: the fingerprint depends on how it is read:\n%+v\n%+v", f, whole, single)
			}
		}
		row, err := whole.Detail.AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		octets, rows, n = octets+len(raw), rows+len(row), n+1
	}
	if n == 0 {
		t.Skip("MAILPROOF_CORPORA names no folder of messages")
	}
	t.Logf("%d messages, %d octets, %d octets of detail each", n, octets, rows/n)
}
