package fingerprint

import (
	"bytes"
	"encoding/base64"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

func attachment(encoding, body string) []byte {
	return []byte("Message-ID: <a@b>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: " +
		encoding + "\r\n\r\n" + body + "\r\n--x--\r\n")
}

func meaning(t *testing.T, raw []byte) mailproof.Hash {
	t.Helper()
	fp, err := Compute(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return fp.Hash(mailproof.T2)
}

// Binary data that stood in a message as it was, 8bit or binary, and that a
// gateway turned into base64 means what it meant; base64 of anything else, line
// ends included, does not.
func TestIdentityBinaryIntoBase64(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	for range 200 {
		var b strings.Builder
		for range 1 + r.IntN(20) {
			for range r.IntN(60) {
				c := byte(1 + r.IntN(255))
				if c == '\r' || c == '\n' || c == '-' || c == '>' {
					c = 0x07
				}
				b.WriteByte(c)
			}
			b.WriteString("\x01\r\n")
		}
		body := b.String() + "\x02end"
		encoded := func(s string) []byte { return attachment("base64", base64.StdEncoding.EncodeToString([]byte(s))) }
		want := meaning(t, attachment([]string{"8bit", "binary"}[r.IntN(2)], body))
		if meaning(t, encoded(body)) != want {
			t.Fatalf("%q has another meaning in base64", body)
		}
		flipped := []byte(body)
		flipped[r.IntN(len(flipped))] ^= 1 << r.IntN(8)
		for name, damaged := range map[string]string{
			"CRLF to LF": strings.ReplaceAll(body, "\r\n", "\n"), "cut": body[:len(body)*7/10], "a bit": string(flipped), "a line end more": body + "\r\n",
		} {
			if meaning(t, encoded(damaged)) == want {
				t.Fatalf("%s: %q has the meaning of %q", name, damaged, body)
			}
		}
	}
}
