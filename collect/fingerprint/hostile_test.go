package fingerprint

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

type namedMail struct {
	name string
	raw  []byte
}

// longLines have lines that do not fit the line buffer, with what matters at
// the places where the pieces begin.
func longLines() (out []namedMail) {
	const n = lineBuffer
	add := func(name, s string) { out = append(out, namedMail{name, []byte(s)}) }
	qp := "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	for _, shift := range []int{-3, -2, -1, 0, 1} {
		fill := strings.Repeat("x", n+shift)
		add("field", "Subject: "+fill+" =?utf-8?Q?=C3=BC?= y\r\n\r\nbody")
		add("junk", "Subject: x\r\n"+fill+": y\r\n z\r\n\r\nbody")
		add("text", "Subject: x\r\n\r\n"+fill+"\r\n"+fill)
		add("CRs", "Subject: x\r\n\r\ny"+strings.Repeat("\r", n+shift)+"z\r\n"+strings.Repeat("\r", n+shift)+"\r\nend")
		add("quote", "Subject: x\r\n\r\n>From "+fill+"\r\n>>"+fill)
		add("escape", qp+fill+"=C3=BC=\r\n"+fill+"=4\r\n"+fill+"=\t \r\n"+fill+"  \r\nend")
		add("padding", qp+"x"+strings.Repeat(" ", n+shift)+"y"+strings.Repeat(" ", n+shift)+"\r\nz"+strings.Repeat(" ", 900)+"\r\nend")
		add("base64", "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n"+strings.Repeat("QUJD", n/4)+"QU\r\nJD")
		add("delimiter", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b"+strings.Repeat(" ", n+shift)+"\r\n--b--")
	}
	return out
}

// repeated is head, then body again and again up to a length, then tail,
// without being in memory.
func repeated(head, body string, length int64, tail string) io.Reader {
	return io.MultiReader(strings.NewReader(head), io.LimitReader(&cycle{s: body}, length), strings.NewReader(tail))
}

type cycle struct {
	s  string
	at int
}

func (c *cycle) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		k := copy(p[n:], c.s[c.at:])
		n += k
		c.at = (c.at + k) % len(c.s)
	}
	return n, nil
}

// hostile are messages made to cost time or memory.
func hostile(n int64) map[string]func(n int64) io.Reader {
	mixed := "Content-Type: multipart/mixed; boundary=\"" + strings.Repeat("b", 69) + "%\"\r\n\r\n"
	deep := func() string {
		var b strings.Builder
		for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+_" {
			b.WriteString(strings.ReplaceAll(mixed, "%", string(c)) + "--" + strings.Repeat("b", 69) + string(c) + "\r\n")
		}
		return b.String()
	}
	qpMessage := "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
	return map[string]func(n int64) io.Reader{
		"attachment": func(n int64) io.Reader {
			return repeated("Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n", strings.Repeat("QUJDREVG", 9)+"\r\n", n, "")
		},
		"text":         func(n int64) io.Reader { return repeated("Subject: x\r\n\r\n", "line of text \xe4\r\n", n, "") },
		"header line":  func(n int64) io.Reader { return repeated("Subject: ", "=?utf-8?q?a_ (\"<@", n, "\r\n\r\nbody") },
		"address line": func(n int64) io.Reader { return repeated("To: ", "\"a(b<c@d,[", n, "\r\n\r\nbody") },
		"body line":    func(n int64) io.Reader { return repeated("Subject: x\r\n\r\n", "x ", n, "") },
		"qp line": func(n int64) io.Reader {
			return repeated("Content-Transfer-Encoding: quoted-printable\r\n\r\n", "= \t=x", n, "")
		},
		"spaces": func(n int64) io.Reader {
			return repeated("Content-Transfer-Encoding: quoted-printable\r\n\r\n", " ", n, "")
		},
		"CRs":           func(n int64) io.Reader { return repeated("Subject: x\r\n\r\n", "\r", n, "x") },
		"blank lines":   func(n int64) io.Reader { return repeated("Subject: x\r\n\r\n", "\r\n", n, "x") },
		"headers":       func(n int64) io.Reader { return repeated("", "To: a\r\n", n, "\r\nbody") },
		"content types": func(n int64) io.Reader { return repeated("", "Content-Type: text/plain;a=b\r\n", n, "\r\nbody") },
		"parameters":    func(n int64) io.Reader { return repeated("Content-Type: text/plain", ";a*=b\"", n, "\r\n\r\nbody") },
		"folds":         func(n int64) io.Reader { return repeated("Subject: x", "\r\n ", n, "\r\n\r\nbody") },
		"parts": func(n int64) io.Reader {
			return repeated("Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n\r\nx\r\n", n, "")
		},
		"empty parts": func(n int64) io.Reader {
			return repeated("Content-Type: multipart/mixed; boundary=b\r\n\r\n", "--b\r\n", n, "")
		},
		"nesting": func(n int64) io.Reader {
			return repeated("", "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n", n, "")
		},
		"messages":          func(n int64) io.Reader { return repeated("", "Content-Type: message/rfc822\r\n\r\n", n, "") },
		"near delimiters":   func(n int64) io.Reader { return repeated(deep(), "--"+strings.Repeat("b", 69)+"?--\r\n", n, "") },
		"nearer delimiters": func(n int64) io.Reader { return repeated(deep(), "--"+strings.Repeat("b", 69)+"?\r\n", n, "") },
		"HTML": func(n int64) io.Reader {
			return repeated("Content-Type: text/html\r\n\r\n", "<!--<script<a <p&amp", min(n, maxText), "")
		},
		"HTML closes": func(n int64) io.Reader {
			return repeated("Content-Type: text/html\r\n\r\n", "<head><style></styl", min(n, maxText), "")
		},
		"combining": func(n int64) io.Reader {
			return repeated("Content-Type: text/plain; charset=utf-8\r\n\r\n", "\u0301\u0323", min(n, maxText), "")
		},
		"encoded messages": func(n int64) io.Reader { return repeated(strings.Repeat(qpMessage, 8), "text=20\r\n", n, "") },
		"charset": func(n int64) io.Reader {
			return repeated("Content-Type: text/plain; charset=gb18030\r\n\r\n", "\x84\x31\xa4\x37\x81", min(n, maxText), "")
		},
	}
}

// Nothing takes quadratic time: at this size that would be hours, and the test
// would not end. The times are logged, not judged.
func TestHostileTime(t *testing.T) {
	n := int64(scale()) << 20
	for name, mail := range hostile(n) {
		start := time.Now()
		fp, err := Compute(mail(n))
		took := time.Since(start)
		if err != nil || fp.Detail.Anomalies&mailproof.AnomalyUnaccounted != 0 {
			t.Errorf("%s: %v, %v", name, err, fp.Detail.Anomalies.Names())
		}
		if strings.HasPrefix(name, "near") && fp.Detail.LeafCount != 1 {
			t.Errorf("%s: %d leaves, want one behind 64 multiparts", name, fp.Detail.LeafCount)
		}
		t.Logf("%-18s %8d octets  %10v  %6.1f MB/s  %v", name, fp.Octets, took.Round(time.Millisecond), float64(fp.Octets)/1e6/took.Seconds(), fp.Detail.Anomalies.Names())
		if row, err := fp.Detail.AppendBinary(nil); err != nil || len(row) > 32<<10 {
			t.Errorf("%s: the detail has %d octets, %v", name, len(row), err)
		}
	}
}

// Memory does not grow with the message: one of three times the size allocates
// no more, but for less than a sixth of it.
func TestHostileMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates too")
	}
	size := int64(1 << 20)
	for name, mail := range hostile(size) {
		h := New()
		allocated := func(n int64) int64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := h.Compute(mail(n)); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			return int64(after.TotalAlloc - before.TotalAlloc)
		}
		allocated(4 * size)
		small, large := allocated(2*size), allocated(6*size)
		t.Logf("%-18s %10d and %10d octets allocated", name, small, large)
		if large > small+(1<<20) {
			t.Errorf("%s: %d octets of message allocate %d, %d allocate %d", name, 2*size, small, 6*size, large)
		}
	}
}

// The only error is the reader's, as it is.
func TestReaderError(t *testing.T) {
	broken := io.MultiReader(strings.NewReader("Subject: x\r\n\r\nhalf a"), errReader{})
	h := New()
	fp, err := h.Compute(broken)
	if !errors.Is(err, io.ErrUnexpectedEOF) || !fp.Hash(mailproof.T0).IsZero() {
		t.Errorf("%v, %v", fp, err)
	}
	whole := fingerprintOf(t, []byte("Subject: y\r\n\r\nz"))
	if again, err := h.Compute(strings.NewReader("Subject: y\r\n\r\nz")); err != nil || again.Hashes != whole.Hashes {
		t.Errorf("after an error the next fingerprint is wrong: %v", err)
	}
	if _, _, err := Octets(io.MultiReader(strings.NewReader("x"), errReader{})); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
	sum, n, err := Octets(bytes.NewReader([]byte("Subject: y\r\n\r\nz")))
	if err != nil || n != 15 || sum != whole.Hash(mailproof.T0) {
		t.Errorf("Octets: %v %d %v", sum, n, err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
