package credential

import (
	"context"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMask(t *testing.T) {
	t.Setenv("CREDENTIAL_TEST_MASK", "s3cret")
	ref, err := Parse("env:CREDENTIAL_TEST_MASK")
	if err != nil {
		t.Fatal(err)
	}
	v := NewResolver(nil)
	if _, err := v.Resolve(context.Background(), ref); err != nil {
		t.Fatal(err)
	}
	text := v.Mask("panic: s3cret " + base64.StdEncoding.EncodeToString([]byte("s3cret")) + " end")
	if strings.Contains(text, "s3cret") || strings.Contains(text, "czNjcmV0") || !strings.HasSuffix(text, " end") {
		t.Errorf("%q", text)
	}
	if (*Resolver)(nil).Mask("x") != "x" {
		t.Error("a nil Resolver changes text")
	}
}

// A program that is asked for one password does not see the others.
func TestChildrenSeeNoPasswords(t *testing.T) {
	t.Setenv("CREDENTIAL_TEST_OTHER", "0ther-s3cret")
	t.Setenv("CREDENTIAL_TEST_HARMLESS", "harmless")
	if _, err := Parse("env:CREDENTIAL_TEST_OTHER"); err != nil {
		t.Fatal(err)
	}
	ref, err := Parse("cmd:env")
	if err != nil {
		t.Fatal(err)
	}
	all, err := NewResolver(nil).Document(context.Background(), ref)
	if err != nil {
		t.Skip(err) // no env(1) here
	}
	if strings.Contains(all.Reveal(), "0ther-s3cret") || !strings.Contains(all.Reveal(), "harmless") {
		t.Error("the environment of the program is another than it should be")
	}
}

func TestDocument(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"key.pem": "-----BEGIN\nabc\n-----END\n", "empty": " \n", "nul": "a\x00b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	v := NewResolver(nil)
	read := func(text string) (string, error) {
		ref, err := Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := v.Document(context.Background(), ref.In(dir))
		return secret.Reveal(), err
	}
	if got, err := read("file:key.pem"); err != nil || got != "-----BEGIN\nabc\n-----END\n" {
		t.Errorf("%q %v", got, err)
	}
	for _, bad := range []string{"file:empty", "file:nul", "file:missing", "cmd:false", "cmd:/no/such/program"} {
		if got, err := read(bad); err == nil {
			t.Errorf("%s: %q", bad, got)
		}
	}
}

func TestSectionReference(t *testing.T) {
	ref, err := Parse("oauth:m365-app_2")
	if err != nil || ref.Section() != "m365-app_2" || ref.String() != "oauth:m365-app_2" || ref.Check() != nil {
		t.Errorf("%v %v", ref, err)
	}
	if _, err := NewResolver(nil).Resolve(context.Background(), ref); err == nil || !strings.Contains(err.Error(), "access tokens") {
		t.Errorf("resolved to a password: %v", err)
	}
	for _, bad := range []string{"oauth:", "oauth:a b", "oauth:ya29.s3cret"} {
		if _, err := Parse(bad); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}
