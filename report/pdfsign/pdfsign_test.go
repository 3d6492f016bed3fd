package pdfsign

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jung-kurt/gofpdf"
)

var now = time.Date(2026, 11, 21, 15, 0, 0, 0, time.UTC)

// document is a PDF of some pages as gofpdf writes it.
func document(tb testing.TB, pages int, link bool) []byte {
	tb.Helper()
	f := gofpdf.New("P", "mm", "A4", "")
	f.SetFont("Helvetica", "", 12)
	for range pages {
		f.AddPage()
		f.Cell(40, 10, "page")
		if link {
			f.LinkString(10, 10, 20, 20, "https://example.com/")
		}
	}
	var out bytes.Buffer
	if err := f.Output(&out); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

// signer writes a certificate and its key as a user has them, and reads them.
func signer(tb testing.TB, key crypto.Signer) Signer {
	tb.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Jane Döe (Northgate) \\ 😀"}, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(9, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	path := filepath.Join(tb.TempDir(), "both.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		tb.Fatal(err)
	}
	s, err := ReadSigner(path, "")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func keys(tb testing.TB) map[string]crypto.Signer {
	tb.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		tb.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return map[string]crypto.Signer{"RSA": r, "ECDSA": e}
}

func run(tb testing.TB, name string, args ...string) string {
	tb.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		tb.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// What is signed verifies by poppler, is a sound PDF by qpdf, and begins with
// the octets of before.
func TestSign(t *testing.T) {
	for name, key := range keys(t) {
		s := signer(t, key)
		for _, doc := range [][]byte{document(t, 1, false), document(t, 12, true)} {
			path := filepath.Join(t.TempDir(), "report.pdf")
			if err := os.WriteFile(path, doc, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := SignFile(path, s, now); err != nil {
				t.Fatal(err)
			}
			signed, err := os.ReadFile(path)
			if err != nil || !bytes.HasPrefix(signed, doc) {
				t.Errorf("%s: the octets of before were changed: %v", name, err)
			}
			out := run(t, "pdfsig", "-nocert", path)
			for _, want := range []string{"Signature is Valid", "Total document signed", "adbe.pkcs7.detached", "SHA-256", "Jane Döe"} {
				if !strings.Contains(out, want) {
					t.Errorf("%s: pdfsig does not say %q:\n%s", name, want, out)
				}
			}
			run(t, "qpdf", "--check", path)
			// A change is seen.
			at := bytes.Index(signed, []byte("/MediaBox"))
			if at < 0 {
				at = 100
			}
			signed[at+1] ^= 1
			if err := os.WriteFile(path, signed, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, _ := exec.Command("pdfsig", "-nocert", path).CombinedOutput(); strings.Contains(string(out), "Signature is Valid") {
				t.Errorf("%s: a change is not seen:\n%s", name, out)
			}
			if _, err := Sign(signed, s, now); err == nil {
				t.Errorf("%s: signed twice", name)
			}
		}
	}
}

// What is no certificate, no key or no PDF is refused in words that hold nothing
// of the key.
func TestRefuse(t *testing.T) {
	k := keys(t)
	s := signer(t, k["RSA"])
	other := signer(t, k["ECDSA"])
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert := write("cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate.Raw})))
	private, err := x509.MarshalPKCS8PrivateKey(other.Key)
	if err != nil {
		t.Fatal(err)
	}
	wrong := write("wrong.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	for _, tt := range [][2]string{{cert, ""}, {cert, wrong}, {wrong, wrong}, {write("empty", ""), ""}, {filepath.Join(dir, "nothing"), ""}, {cert, write("broken", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")}} {
		if _, err := ReadSigner(tt[0], tt[1]); err == nil {
			t.Errorf("%v was taken", tt)
		}
	}
	for _, text := range []string{"", "%PDF-1.7\n", "%PDF-1.7\nstartxref\n0\n%%EOF\n", "%PDF-1.7\nxref\n0 9999999\ntrailer<</Size 1/Root 1 0 R>>\nstartxref\n9\n%%EOF\n"} {
		if _, err := Sign([]byte(text), s, now); err == nil {
			t.Errorf("%q was signed", text)
		}
	}
}

// Foreign octets are refused and never break it.
func FuzzSign(f *testing.F) {
	f.Add(document(f, 1, true))
	f.Add([]byte("%PDF-1.7\nxref\n0 1\n0000000009 00000 n\ntrailer<</Size 1/Root 0 0 R/Prev 9>>\nstartxref\n9\n%%EOF\n"))
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	s := signer(f, key)
	f.Fuzz(func(t *testing.T, data []byte) {
		if signed, err := Sign(data, s, now); err == nil && !bytes.HasPrefix(signed, data) {
			t.Error("the octets of before were changed")
		}
	})
}
