package fingerprint

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// TestSecondImplementation holds the norm in the package comment to an
// implementation in another language that was written from it alone:
// testdata/fingerprint/mpfp1.py. It has to give the hashes of vectors.json and
// those of generated messages; with MAILPROOF_CORPORA those of real ones, too.
func TestSecondImplementation(t *testing.T) {
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: see testdata/install.sh")
	}
	files := map[string]string{} // path → what it is
	for _, m := range vectorMessages() {
		files[filepath.Join(vectorDir, m.name+".eml")] = "vector"
	}
	dir := t.TempDir()
	g := &generator{Rand: rand.New(rand.NewPCG(7, 7))}
	for i := range 200 {
		path := filepath.Join(dir, fmt.Sprintf("%d.eml", i))
		if err := os.WriteFile(path, g.message(0).raw(), 0o600); err != nil {
			t.Fatal(err)
		}
		files[path] = "generated"
	}
	for i, m := range corners {
		path := filepath.Join(dir, fmt.Sprintf("corner%d.eml", i))
		if err := os.WriteFile(path, []byte(strings.ReplaceAll(m, "\n", "\r\n")), 0o600); err != nil {
			t.Fatal(err)
		}
		files[path] = "corner"
	}
	for _, path := range corpusFiles(t) {
		files[path] = "corpus"
	}
	names := slices.Sorted(maps.Keys(files))
	cmd := exec.CommandContext(t.Context(), python, "-B", filepath.Join(vectorDir, "mpfp1.py"))
	cmd.Stdin = strings.NewReader(strings.Join(names, "\n") + "\n")
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, errs.String())
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, 64<<20)
	differ := map[string]int{}
	for _, name := range names {
		if !lines.Scan() {
			t.Fatalf("no answer for %s", name)
		}
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fp := fingerprintOf(t, raw)
		if files[name] == "corpus" && !inSecond(fp) {
			continue
		}
		if diff := second(t, lines.Bytes(), vectorOf("", "", fp)); diff != "" {
			if differ[files[name]]++; differ[files[name]] <= 10 {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
	for what, n := range differ {
		t.Errorf("%s: %d messages differ", what, n)
	}
}

// corners are messages where the norm has to say more than the obvious.
var corners = []string{
	// a part whose header begins as an envelope does
	"Content-Type: multipart/mixed; boundary=b\n\n--b\nFrom x\nContent-Type: text/html\n\nbody\n--b--\n",
	// blank lines at the end of an embedded message, and of the message around it
	"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\nContent-Type: application/octet-stream\n\n\x01\n\n\n--b--\n\n\n",
	"Content-Type: message/rfc822\n\nContent-Type: application/octet-stream\n\n\x01\n\n\n",
	// an embedded message that is none, and one of a header alone
	"Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\n\n--b\nContent-Type: message/rfc822\n\nSubject: y\n--b--\n",
	// a boundary with white space, and delimiters with more of it
	"Content-Type: multipart/mixed; boundary=\"a  b \"\n\n--a b \t\none\n--a\t b\n\ntwo\n--a b-- \nepilogue\n--a b\n\nthree\n",
	// addresses
	"From: a@b (c)\nTo: <x,y@z>, \"q r\"@Z., g: h@i;, (only a comment), \"a\"@b\nCc: <@r1,@r2:u@v>, no address, [x@y\nDate: 1 Jan 26 1:02\n\n.\n",
	"Date: Fri, Nov 20 10:00:00 2026 PST\nSubject: =?utf-8?q?a?= =?utf-8?Q?=C3?= =?UTF-8?b?qQ==?= b =?x?y?z?=\n\n>From x\n>>From y\n",
	// text
	"Content-Type: text/html\n\n<p>a&nbsp;b&#x41;&bogus;<!-->c--><script>x</script>d<style>e<br/><div hidden>f</p><!DOCTYPE x>",
	"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n=EF=BB=BFe=CC=81 =\n x=3d=3D=zz  \n\n",
}

// inSecond reports whether the second implementation goes as far as the message
// needs: it has no limits.
func inSecond(fp *mailproof.Fingerprint) bool {
	const limits = mailproof.AnomalyPartLimit | mailproof.AnomalyHeaderLimit
	return fp.Detail.Anomalies&limits == 0
}

// second compares an answer of the second implementation with ours.
func second(t *testing.T, answer []byte, want vector) string {
	t.Helper()
	var got struct {
		vector
		MIH string `json:"mih"`
	}
	if err := json.Unmarshal(answer, &got); err != nil {
		t.Fatal(err)
	}
	var bad []string
	for _, tier := range mailproof.Tiers() {
		if got.Tiers[tier.String()] != want.Tiers[tier.String()] {
			bad = append(bad, tier.String())
		}
	}
	for i := range want.Fields {
		want.Fields[i].Value = "" // cut for people to read; the hash is of the whole
	}
	if !slices.Equal(got.Fields, want.Fields) {
		bad = append(bad, fmt.Sprintf("fields %v, want %v", got.Fields, want.Fields))
	}
	if len(got.Leaves) != len(want.Leaves) {
		return fmt.Sprint(append(bad, fmt.Sprintf("%d leaves, want %d", len(got.Leaves), len(want.Leaves))))
	}
	for i := range want.Leaves {
		if got.Leaves[i] != want.Leaves[i] {
			bad = append(bad, fmt.Sprintf("leaf %d is %+v, want %+v", i+1, got.Leaves[i], want.Leaves[i]))
		}
	}
	if id := want.MessageID; len(id) < 900 && got.MIH != "" {
		if sum := MIH(id); got.MIH != hex.EncodeToString(sum[:]) {
			bad = append(bad, "MIH")
		}
	}
	if len(bad) == 0 {
		return ""
	}
	return strings.Join(bad, "; ")
}
