package fingerprint

import (
	"bytes"
	"crypto/sha256"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

var (
	plainField = regexp.MustCompile(`(?s)^([!-9;-~]{1,998})[ \t]*:(.*)$`)
	plainSpace = regexp.MustCompile(`[ \t]+`)
	plainQuote = regexp.MustCompile(`^>{1,64}From `)
)

// plainT1 makes tier T1 by §3 to §5 of the norm with the whole message in
// memory, sharing nothing with the streaming code.
func plainT1(raw []byte) (h mailproof.Hash) {
	lines := strings.Split(strings.ReplaceAll(string(raw), "\x00", "\x80"), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	for i, l := range lines {
		l = strings.TrimRight(l, "\r")
		if q := plainQuote.FindString(l); q != "" {
			l = l[len(q)-len("From "):]
		}
		lines[i] = l
	}
	out := strings.Builder{}
	fields, current, skip := 0, false, false
	var value string
	end := func() {
		if current && !skip {
			out.WriteString(strings.Trim(plainSpace.ReplaceAllString(value, " "), " ") + "\n")
		}
		current = false
	}
	for len(lines) > 0 {
		l := lines[0]
		if l == "" {
			lines = lines[1:]
			break
		}
		if (l[0] == ' ' || l[0] == '\t') && current {
			value += " " + l
			lines = lines[1:]
			continue
		}
		m := plainField.FindStringSubmatch(l)
		if m == nil && fields == 0 && strings.HasPrefix(l, "From ") {
			lines = lines[1:]
			continue
		}
		if m == nil && fields == 0 {
			break
		}
		end()
		fields++
		current, skip, value = true, false, l
		name := ""
		if m != nil {
			name, value = strings.ToLower(m[1]), m[2]
			skip = bookkeeping[name] || strings.HasPrefix(name, "x-mozilla-") || strings.HasPrefix(name, "x-gm-")
		}
		if !skip {
			out.WriteString(name + ":")
		}
		lines = lines[1:]
	}
	end()
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	out.WriteByte('\n')
	for _, l := range lines {
		out.WriteString(l + "\n")
	}
	return sha256.Sum256(append([]byte("\x00\x00\x00\x00\x00\x00\x00\x06mpfp-1\x00\x00\x00\x00\x00\x00\x00\x02T1"), out.String()...))
}

// The streaming T1 is the plain one, also where lines do not fit the buffer.
func TestPlainT1(t *testing.T) {
	check := func(name string, raw []byte) {
		if got, want := fingerprintOf(t, raw).Hash(mailproof.T1), plainT1(raw); got != want {
			t.Errorf("%s: T1 is not that of the plain implementation", name)
		}
	}
	for _, m := range vectorMessages() {
		check(m.name, m.raw)
	}
	for _, m := range longLines() {
		check(m.name, m.raw)
	}
	for _, f := range corpusFiles(t) {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		check(f, raw)
	}
}

// Tags without a meaning for the reader do not count at the end either.
func TestMetaAtTheEnd(t *testing.T) {
	whole := "Content-Type: text/html\r\n\r\n<p>words</p><hr>\r\n"
	a := fingerprintOf(t, []byte(whole))
	for _, more := range []string{`<meta name="x">`, "<!-- x -->", "<style>p{}</style>", "<script>x()</script >"} {
		b := fingerprintOf(t, []byte(strings.Replace(whole, "<hr>", "<hr>"+more, 1)))
		if got := finest(a, b); got != mailproof.T2v {
			t.Errorf("%s: equal at %v, want T2v", more, got)
		}
	}
	if b := fingerprintOf(t, bytes.Replace([]byte(whole), []byte("<hr>"), nil, 1)); finest(a, b) != mailproof.TierNone {
		t.Error("a tag lost at the end is not seen")
	}
}
