package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

func sumOf(data []byte) [sha256.Size]byte { return sha256.Sum256(data) }

// tool runs a public tool. One that is not installed fails the test: testdata/
// install.sh brings it.
func tool(tb testing.TB, dir string, stdin io.Reader, name string, args ...string) string {
	tb.Helper()
	out, err := tryTool(dir, stdin, name, args...)
	if err != nil {
		tb.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

func tryTool(dir string, stdin io.Reader, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stdin = dir, stdin
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// tsa is a timestamp authority made of openssl.
type tsa struct {
	url, ca string
	roots   *x509.CertPool
	queries [][]byte
}

const tsaConfig = `
[tsa]
default_tsa = it
[it]
dir = .
serial = serial
crypto_device = builtin
signer_cert = tsa.pem
certs = ca.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[req]
distinguished_name = dn
[dn]
[ext]
extendedKeyUsage = critical,timeStamping
keyUsage = critical,digitalSignature
basicConstraints = CA:FALSE
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign
`

func newTSA(tb testing.TB) *tsa {
	tb.Helper()
	dir := tb.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			tb.Fatal(err)
		}
	}
	write("tsa.cnf", tsaConfig)
	write("serial", "01\n")
	ssl := func(args ...string) { tool(tb, dir, nil, "openssl", args...) }
	ssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "3650", "-subj", "/CN=Test CA", "-config", "tsa.cnf", "-extensions", "ca")
	ssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=Test TSA", "-config", "tsa.cnf")
	ssl("x509", "-req", "-in", "tsa.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-out", "tsa.pem", "-days", "3650", "-extfile", "tsa.cnf", "-extensions", "ext")
	a := &tsa{ca: filepath.Join(dir, "ca.pem"), roots: x509.NewCertPool()}
	data, err := os.ReadFile(a.ca)
	if err != nil || !a.roots.AppendCertsFromPEM(data) {
		tb.Fatal("no CA", err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query, err := io.ReadAll(r.Body)
		if err != nil || r.Header.Get("Content-Type") != "application/timestamp-query" {
			http.Error(w, "no query", http.StatusBadRequest)
			return
		}
		a.queries = append(a.queries, query)
		q := filepath.Join(dir, fmt.Sprintf("q%d", len(a.queries)))
		if err := os.WriteFile(q, query, 0o600); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		if out, err := tryTool(dir, nil, "openssl", "ts", "-reply", "-config", "tsa.cnf", "-queryfile", q, "-out", q+".tsr"); err != nil {
			http.Error(w, out, http.StatusInternalServerError)
			return
		}
		http.ServeFile(w, r, q+".tsr")
	}))
	tb.Cleanup(server.Close)
	a.url = server.URL
	return a
}

// publicCommands are the commands of a bundle's VERIFY.md, as they stand there.
func publicCommands(t *testing.T, s Sealed) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, fileVerify))
	if err != nil {
		t.Fatal(err)
	}
	var script strings.Builder
	script.WriteString("set -euo pipefail\n")
	for _, l := range strings.Split(string(text), "\n") {
		if command, ok := strings.CutPrefix(l, "    "); ok && !strings.HasPrefix(command, "mailproof ") {
			script.WriteString(command + "\n")
		}
	}
	return strings.ReplaceAll(script.String(), "/tmp/", t.TempDir()+"/")
}

// Nobody countersigned and no authority was asked: the commands run to their
// end all the same, as nothing is wrong. They show a link that no list names.
func TestPublicToolsOneSigner(t *testing.T) {
	s := seal(t, newFake(2, 30), Options{})
	commands := publicCommands(t, s)
	out := tool(t, s.Dir, strings.NewReader(commands), "bash", "-s")
	if n := strings.Count(out, "Signature Verified Successfully"); n != 4 {
		t.Errorf("%d signatures by openssl, want 4:\n%s", n, out)
	}
	if err := os.Symlink("VERIFY.md", filepath.Join(s.Dir, "more.md")); err != nil {
		t.Fatal(err)
	}
	if out := tool(t, s.Dir, strings.NewReader(commands), "bash", "-s"); !strings.Contains(out, "\nmore.md\n") {
		t.Errorf("the link more.md is not shown:\n%s", out)
	}
}

// The commands of VERIFY.md, as they stand there, run to their end over a bundle
// with a countersignature and a timestamp, and say what they should.
func TestPublicTools(t *testing.T) {
	a := newTSA(t)
	s := seal(t, newFake(2, 30), Options{Timestamp: &TimestampOptions{URL: a.url, Roots: a.roots}})
	if _, err := Countersign(t.Context(), s.Dir, CountersignOptions{Key: testKey(t), Name: "Jane Doe"}); err != nil {
		t.Fatal(err)
	}
	commands := strings.ReplaceAll(publicCommands(t, s), "TSA-CA.pem", a.ca)
	out := tool(t, s.Dir, strings.NewReader(commands), "bash", "-s")
	for _, want := range []string{
		s.Fingerprint, "data/source.jsonl: OK", "report/report.pdf: OK", "VERIFY.md: OK", "Signature Verified Successfully",
		`Good "mailproof-bundle" signature for signer with ED25519 key ` + s.Fingerprint, `Good "mailproof-bundle" signature for countersigner-1`, "name Jane Doe",
		"Verification: OK", "source missing", s.Roots[0].String() + "\n" + s.Roots[0].String(),
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%q is not in what the tools say:\n%s", want, out)
		}
	}
	if n := strings.Count(out, "Signature Verified Successfully"); n != 5 {
		t.Errorf("%d signatures by openssl, want 5", n)
	}
	// They notice a change.
	if err := os.WriteFile(filepath.Join(s.Dir, fileDNS), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := tryTool(s.Dir, nil, "sha256sum", "-c", "--strict", fileManifest); err == nil {
		t.Errorf("sha256sum did not notice: %s", out)
	}
}

// The authority is sent a hash and nothing of the bundle; what it answers is
// held against its certificate.
func TestTimestamp(t *testing.T) {
	a := newTSA(t)
	s := seal(t, newFake(1, 10), Options{Timestamp: &TimestampOptions{URL: a.url, Roots: a.roots}})
	if len(a.queries) != 1 || len(a.queries[0]) > 120 {
		t.Fatalf("%d queries", len(a.queries))
	}
	verify := func(roots *x509.CertPool) mailproof.Outcome {
		v, err := Verify(t.Context(), s.Dir, VerifyOptions{Trust: Trust{Fingerprints: []string{s.Fingerprint}, TSA: roots}})
		if err != nil {
			t.Fatal(err)
		}
		return v.Outcome()
	}
	if got := verify(a.roots); got != mailproof.OutcomePass {
		t.Errorf("with the certificate: %v", got)
	}
	if got := verify(nil); got != mailproof.OutcomeUnknown {
		t.Errorf("without: %v", got)
	}
	if got := verify(newTSA(t).roots); got != mailproof.OutcomeFail {
		t.Errorf("with that of another authority: %v", got)
	}
	dir := t.TempDir()
	for name, o := range map[string]*TimestampOptions{
		"another authority": {URL: a.url, Roots: newTSA(t).roots}, "nobody": {URL: "http://127.0.0.1:1/", Roots: a.roots},
		"a password": {URL: strings.Replace(a.url, "http://", "http://me:pw@", 1), Roots: a.roots}, "no address": {URL: "tsa.example", Roots: a.roots},
	} {
		out := filepath.Join(dir, "bundle")
		_, err := Build(t.Context(), newFake(1, 10), Options{Dir: out, Profile: Full, Key: testKey(t), Timestamp: o})
		if err == nil || strings.Contains(err.Error(), "me:pw") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: there is a bundle", name)
		}
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// Keys of others are read, and ours by them.
func TestKeys(t *testing.T) {
	dir := t.TempDir()
	path := func(name string) string { return filepath.Join(dir, name) }
	tool(t, dir, nil, "openssl", "genpkey", "-algorithm", "ed25519", "-out", "plain.pem")
	tool(t, dir, nil, "openssl", "genpkey", "-algorithm", "ed25519", "-aes256", "-pass", "pass:open sesame", "-out", "locked.pem")
	tool(t, dir, nil, "openssl", "pkcs8", "-topk8", "-in", "plain.pem", "-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1", "-passout", "pass:open sesame", "-out", "old.pem")
	tool(t, dir, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", "ssh")
	tool(t, dir, nil, "ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-C", "me", "-f", "sshlocked")
	tool(t, dir, nil, "openssl", "genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:2048", "-out", "rsa.pem")
	secret := func(s string) func() (mailproof.Secret, error) {
		return func() (mailproof.Secret, error) { return mailproof.NewSecret(s), nil }
	}
	read := func(name string) []byte {
		data, err := os.ReadFile(path(name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	for _, name := range []string{"plain.pem", "locked.pem", "old.pem", "ssh", "sshlocked"} {
		k, err := ParseKey(read(name), secret("open sesame"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if text := fmt.Sprintf("%v %s %x %+v", k, k, k, k); strings.Count(text, k.Public().Fingerprint()) != 4 {
			t.Errorf("%s prints as %s", name, text)
		}
		if name == "plain.pem" || name == "ssh" {
			continue
		}
		for _, wrong := range []func() (mailproof.Secret, error){nil, secret("wrong"), secret("")} {
			if _, err := ParseKey(read(name), wrong); err == nil {
				t.Errorf("%s opens with the wrong passphrase", name)
			}
		}
	}
	if _, err := ParseKey(read("rsa.pem"), nil); err == nil {
		t.Error("an RSA key was taken")
	}
	// The fingerprint is that of ssh-keygen, and all forms of the public key are one.
	public, err := ParsePublicKey(read("ssh.pub"))
	if err != nil {
		t.Fatal(err)
	}
	if out := tool(t, dir, nil, "ssh-keygen", "-lf", "ssh.pub"); !strings.Contains(out, public.Fingerprint()+" ") {
		t.Errorf("%s is not in %s", public.Fingerprint(), out)
	}
	tool(t, dir, nil, "openssl", "pkey", "-in", "plain.pem", "-pubout", "-out", "plain.pub")
	plain, err := ParsePublicKey(read("plain.pub"))
	if k, kerr := ParseKey(read("plain.pem"), nil); err != nil || kerr != nil || !k.Public().Equal(plain) {
		t.Errorf("public half: %v %v", err, kerr)
	}
	// What we write is read by them.
	k := testKey(t)
	for name, passphrase := range map[string]string{"ours.pem": "", "ourslocked": "open sesame"} {
		text, err := k.PEM(mailproof.NewSecret(passphrase))
		if err != nil || os.WriteFile(path(name), text, 0o600) != nil {
			t.Fatal(err)
		}
	}
	tool(t, dir, nil, "openssl", "pkey", "-in", "ours.pem", "-noout")
	if out := tool(t, dir, nil, "ssh-keygen", "-y", "-P", "open sesame", "-f", "ourslocked"); !strings.HasPrefix(out, k.Public().SSH()) {
		t.Errorf("ssh-keygen reads %s", out)
	}
	if b, _ := pem.Decode(read("ours.pem")); b == nil || b.Type != "PRIVATE KEY" {
		t.Error("not PKCS #8")
	}
}

// A bundle holds no private key and no key of pseudonyms.
func TestNoKeyInside(t *testing.T) {
	k, pseudonyms := testKey(t), testPseudonyms(t)
	dir := t.TempDir()
	seal(t, newFake(1, 20), Options{Dir: filepath.Join(dir, "b"), Kept: filepath.Join(dir, "kept"), Profile: Summary, Key: k, PseudonymKey: pseudonyms})
	for name, data := range load(t, dir) {
		for _, secret := range [][]byte{k.private.Seed(), k.private, pseudonyms, []byte(fmt.Sprintf("%x", pseudonyms))} {
			if bytes.Contains(data, secret) {
				t.Errorf("a key stands in %s", name)
			}
		}
	}
}

// The verifier in another language agrees for every leaf of trees of many sizes,
// and sees what was changed.
func TestOtherVerifier(t *testing.T) {
	script, err := os.ReadFile("testdata/verify_proof.py")
	if err != nil || bytes.Count(script, []byte("\n")) > 60 {
		t.Fatalf("%d lines: %v", bytes.Count(script, []byte("\n")), err)
	}
	for _, size := range []int{1, 2, 7, 30} {
		s := seal(t, newFake(1, size), Options{})
		proof := filepath.Join(t.TempDir(), "one.tlog-proof")
		for n := 0; n < size; n += (size + 1) / 2 {
			if fate(n) == mailproof.Extra {
				continue
			}
			w := Wanted{Account: "anna00@northgate.example", Folder: "Sent", UID: mailproof.UID(n + 1), Tree: treeSource}
			p, err := Prove(t.Context(), s.Dir, "", w)
			if err != nil {
				t.Fatal(err)
			}
			write := func(text []byte) {
				if err := os.WriteFile(proof, text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(p.Text())
			args := []string{"testdata/verify_proof.py", proof, filepath.Join(s.Dir, fileSignerPEM)}
			if out := tool(t, "", nil, "python3", args...); out != string(p.Leaf)+"\n" {
				t.Errorf("size %d, leaf %d: it says %s", size, n, out)
			}
			forged := *p
			forged.Leaf = bytes.Replace(p.Leaf, []byte(`"uid":`), []byte(`"uid":9`), 1)
			write(forged.Text())
			if out, err := tryTool("", nil, "python3", args...); err == nil {
				t.Errorf("size %d, leaf %d: it believes another line: %s", size, n, out)
			}
			other := regexp.MustCompile(`(?m)^\d+$`).ReplaceAll(p.Text(), []byte("31"))
			write(other)
			if out, err := tryTool("", nil, "python3", args...); err == nil {
				t.Errorf("size %d, leaf %d: it believes another size: %s", size, n, out)
			}
		}
	}
}

// Interrupted or failed, sealing leaves nothing behind, and no half bundle.
func TestNoHalfBundle(t *testing.T) {
	dir := t.TempDir()
	out := filepath.Join(dir, "bundle")
	ctx, cancel := context.WithCancel(t.Context())
	for name, f := range map[string]*fake{"cancelled": {onReport: cancel}, "a verdict is missing": {noVerdicts: 1}} {
		whole := newFake(2, 30)
		whole.onReport, whole.noVerdicts = f.onReport, f.noVerdicts
		c := ctx
		if f.onReport == nil {
			c = t.Context()
		}
		a := newTSA(t)
		_, err := Build(c, whole, Options{Dir: out, Profile: Full, Key: testKey(t), Timestamp: &TimestampOptions{URL: a.url, Roots: a.roots}})
		if err == nil {
			t.Errorf("%s: sealed", name)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left behind %v", name, left)
		}
	}
	if err := os.Mkdir(out, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Build(t.Context(), newFake(1, 1), Options{Dir: out, Profile: Full, Key: testKey(t)}); err == nil {
		t.Error("an empty directory was taken for nothing")
	}
}
