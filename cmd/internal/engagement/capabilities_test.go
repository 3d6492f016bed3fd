package engagement

import (
	"context"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
)

// What is wrapped around an inventory, a source or a recorder hides nothing that
// these can do beside the interface they are known by.
func TestWrappersHideNothing(t *testing.T) {
	inv := annotated{Inventory: new(ledger.Inventory)}
	for name, found := range map[string]bool{
		"the ledger's inventory": has[*ledger.Inventory](inv),
		"headers":                has[diff.Headed](inv),
		"labels":                 has[diff.Labelled](inv),
		"labels of one message": has[interface {
			Labels(context.Context, int64) ([]string, error)
		}](inv),
		"messages": has[detailed](inv),
	} {
		if !found {
			t.Errorf("%s: hidden by the provider's wrapper", name)
		}
	}

	// A paced reader offers every method of the reader that it wraps.
	methods(t, reflect.TypeFor[*imapconn.Reader](), reflect.TypeFor[*pacedReader]())

	// The recorder hands out the ledger's own handle, methods and all.
	l, err := ledger.Open(t.Context(), filepath.Join(t.TempDir(), "ledger.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var rec collect.Recorder = recorder{l}
	pass, err := l.BeginPass(t.Context(), mailproof.Pass{Kind: mailproof.InventoryPass, Side: mailproof.Source, Depth: mailproof.DepthFull, Started: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.BeginScan(t.Context(), mailproof.Scan{Pass: pass, Account: "anna", Side: mailproof.Source}); err != nil {
		t.Fatal(err)
	}
	w, err := rec.BeginMailbox(t.Context(), pass, "anna", mailproof.Source, mailproof.Mailbox{Name: "INBOX"}, mailproof.MailboxState{UIDValidity: 1})
	if err != nil {
		t.Fatal(err)
	}
	methods(t, reflect.TypeFor[*ledger.MailboxWriter](), reflect.TypeOf(w))
}

func has[T any](inv diff.Inventory) bool {
	_, ok := diff.Beneath[T](inv)
	return ok
}

// methods holds that a type has every exported method of another, alike.
func methods(t *testing.T, of, in reflect.Type) {
	t.Helper()
	for i := range of.NumMethod() {
		m := of.Method(i)
		got, ok := in.MethodByName(m.Name)
		if !ok {
			t.Errorf("%v hides %s of %v", in, m.Name, of)
			continue
		}
		for j := 1; j < m.Type.NumIn() || j < got.Type.NumIn(); j++ {
			if m.Type.NumIn() != got.Type.NumIn() || m.Type.In(j) != got.Type.In(j) {
				t.Errorf("%v has another %s than %v: an optional interface of it is hidden", in, m.Name, of)
				break
			}
		}
	}
}

// An inventory may be wrapped: what it can do is asked of [diff.Beneath] and not
// by a type assertion, which the wrapper answers.
func TestNobodyAssertsInventories(t *testing.T) {
	assertion := regexp.MustCompile(`\b(inv|src|dst|source|destination)\.\([A-Za-z]`)
	for _, dir := range []string{".", "../../../diff"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatal(dir, err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") || filepath.Base(file) == "labelbook.go" { // where Beneath is
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if found := assertion.Find(text); found != nil {
				t.Errorf("%s: %s", file, found)
			}
		}
	}
}
