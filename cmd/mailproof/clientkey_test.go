package main

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/mailproof/mailproof/cmd/internal/credential"
)

// The key of a client certificate is read from wherever a reference leads, and
// real Dovecot signs in by it; what does not hold it says so before or at the
// sign-in, and nothing that is printed shows a key.
func TestClientKeyByReference(t *testing.T) {
	server, cert, keyFile := os.Getenv("MAILPROOF_DOVECOTAUTH_TLS"), os.Getenv("MAILPROOF_TEST_CLIENT"), os.Getenv("MAILPROOF_TEST_CLIENT_KEY")
	if server == "" || cert == "" {
		t.Skip("MAILPROOF_DOVECOTAUTH_TLS and MAILPROOF_TEST_CLIENT name no server and certificate")
	}
	key, err := os.ReadFile(keyFile)
	must(t, err)
	dir := t.TempDir()
	t.Setenv("MP_CLIENT_KEY", string(key))
	t.Setenv("MP_NO_KEY", "hunter2-is-no-key")
	identity, err := age.GenerateX25519Identity()
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "identity.txt"), []byte(identity.String()+"\n"), 0o600))
	t.Setenv(credential.IdentityVariable, filepath.Join(dir, "identity.txt"))
	var sealed bytes.Buffer
	w, err := age.Encrypt(&sealed, identity.Recipient())
	must(t, err)
	_, err = w.Write(key)
	must(t, err)
	must(t, w.Close())
	must(t, os.WriteFile(filepath.Join(dir, "key.age"), sealed.Bytes(), 0o600))
	for _, tt := range []struct {
		name, ref string
		code      int
		says      string
	}{
		{"path", keyFile, 0, ""},
		{"file", "file:" + keyFile, 0, ""},
		{"env", "env:MP_CLIENT_KEY", 0, ""},
		{"cmd", "cmd:cat " + keyFile, 0, ""},
		{"age, beside the list", "age:key.age", 0, ""},
		{"not a key", "env:MP_NO_KEY", 1, "holds no key in PEM form"},
		{"not set", "env:MP_KEY_THAT_IS_NOT_SET", 2, "names a variable that is not set"},
		{"no such file", "file:" + filepath.Join(dir, "none.pem"), 2, "none.pem"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			address := "imaps://auth-cert@" + server + "?" + url.Values{
				"ca": {os.Getenv("MAILPROOF_TEST_CA")}, "auth": {"EXTERNAL"}, "cert": {cert}, "key": {tt.ref},
			}.Encode()
			list := filepath.Join(dir, "list.csv")
			must(t, os.WriteFile(list, []byte("name,source,source_password,destination,destination_password\nanna,\""+address+"\",,,\n"), 0o600))
			var out, errOut bytes.Buffer
			code := run(t.Context(), []string{"credentials", "test", "--dir", t.TempDir(), "--accounts", list, "--side", "source", "--progress", "off"},
				strings.NewReader(""), &out, &errOut)
			text := out.String() + errOut.String()
			if code != tt.code || !strings.Contains(text, tt.says) || code == 0 && !strings.Contains(text, "EXTERNAL") {
				t.Errorf("exit code %d, want %d and %q\n%s", code, tt.code, tt.says, text)
			}
			if strings.Contains(text, "PRIVATE KEY") || strings.Contains(text, "hunter2") || strings.Contains(text, "cat "+keyFile) {
				t.Errorf("shows what it must not:\n%s", text)
			}
		})
	}
}
