package imapconn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// Whatever form a certificate comes in, either it is used or the error has the
// command that makes it usable; and that command does.
func TestClientCertificateForms(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl here")
	}
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	tool := func(args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), openssl, args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	makePair(t, in("cert.pem"), in("key.pem"))
	makePair(t, in("other.pem"), in("otherkey.pem"))
	both := append(contents(t, in("cert.pem")), contents(t, in("key.pem"))...)
	write(t, in("both.pem"), both)
	write(t, in("keyfirst.pem"), append(contents(t, in("key.pem")), contents(t, in("cert.pem"))...))
	write(t, in("text.pem"), []byte("this is no certificate\n"))
	tool("pkcs8", "-topk8", "-in", "key.pem", "-passout", "pass:opensesame", "-out", "encrypted.pem")
	tool("ec", "-in", "key.pem", "-aes128", "-passout", "pass:opensesame", "-out", "legacy.pem")
	tool("pkcs12", "-export", "-in", "cert.pem", "-inkey", "key.pem", "-passout", "pass:opensesame", "-out", "client.p12")
	tool("x509", "-in", "cert.pem", "-outform", "der", "-out", "cert.der")
	tool("pkey", "-in", "key.pem", "-outform", "der", "-out", "key.der")

	for _, tt := range []struct{ name, cert, key, text, hint string }{
		{"two files", "cert.pem", "key.pem", "", ""},
		{"one file", "both.pem", "", "", ""},
		{"one file, key first", "keyfirst.pem", "", "", ""},
		{"PKCS#8 encrypted", "cert.pem", "encrypted.pem", "is encrypted", "openssl pkey -in "},
		{"encrypted as OpenSSL did once", "cert.pem", "legacy.pem", "is encrypted", "openssl pkey -in "},
		{"PKCS#12", "client.p12", "", "PKCS#12", "openssl pkcs12 -in "},
		{"DER certificate", "cert.der", "key.pem", "DER", "openssl x509 -inform der"},
		{"DER key", "cert.pem", "key.der", "DER", "openssl pkey -inform der"},
		{"no key", "cert.pem", "", "no private key", "key=FILE"},
		{"another's key", "cert.pem", "otherkey.pem", "does not go with", "openssl x509"},
		{"text", "text.pem", "key.pem", "no certificate in PEM form", ""},
		{"nothing", "nothing.pem", "key.pem", "cannot be read", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := mailproof.Endpoint{CertFile: in(tt.cert)}
			if tt.key != "" {
				e.KeyFile = in(tt.key)
			}
			_, err := clientCertificate(e, mailproof.Secret{})
			if tt.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var bad *CertificateError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("%v, want %q", err, tt.text)
			}
			if tt.hint != "" && (len(bad.Hints()) != 1 || !strings.Contains(bad.Hint, tt.hint)) || tt.hint == "" && bad.Hint != "" {
				t.Errorf("hint %q, want %q", bad.Hint, tt.hint)
			}
		})
	}
	// A key that is in no file, and what may come in its place.
	for name, text := range map[string]string{"key.pem": "", "encrypted.pem": "is encrypted", "otherkey.pem": "does not go with the key of env:KEY", "text.pem": "env:KEY: holds no key in PEM form"} {
		e := mailproof.Endpoint{CertFile: in("cert.pem"), KeyFile: "env:KEY"}
		_, err := clientCertificate(e, mailproof.NewSecret(string(contents(t, in(name)))))
		if text == "" && err != nil || text != "" && (err == nil || !strings.Contains(err.Error(), text)) {
			t.Errorf("%s: %v, want %q", name, err, text)
		}
		if err != nil && (strings.Contains(err.Error(), "this is no certificate") || strings.Contains(err.Error(), "PRIVATE KEY")) {
			t.Errorf("%s: the error shows what it got: %v", name, err)
		}
	}
	// The commands themselves.
	tool("pkey", "-in", "encrypted.pem", "-passin", "pass:opensesame", "-out", "opened.pem")
	tool("pkcs12", "-in", "client.p12", "-passin", "pass:opensesame", "-noenc", "-out", "client.pem")
	for _, e := range []mailproof.Endpoint{{CertFile: in("cert.pem"), KeyFile: in("opened.pem")}, {CertFile: in("client.pem")}} {
		if _, err := clientCertificate(e, mailproof.Secret{}); err != nil {
			t.Error(err)
		}
	}
}

func TestShellWord(t *testing.T) {
	for in, want := range map[string]string{"a/b-1.pem": "a/b-1.pem", "my key.pem": "'my key.pem'", "o'neil": `'o'\''neil'`, "a;b": "'a;b'"} {
		if got := shellWord(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func makePair(t *testing.T, certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "anna"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, keyFile, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
}

func write(t *testing.T, file string, text []byte) {
	t.Helper()
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func contents(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
