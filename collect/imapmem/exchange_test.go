package imapmem_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"

	mailproof "github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/fingerprint"
	"github.com/mailproof/mailproof/collect/imapmem"
	"github.com/mailproof/mailproof/collect/mailgen"
)

func hashOf(t *testing.T, raw []byte, tier mailproof.Tier) mailproof.Hash {
	t.Helper()
	f, err := fingerprint.Compute(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return f.Hash(tier)
}

// Every message is rebuilt, is not what it was, and means the same.
func TestExchangeKeepsTheMeaning(t *testing.T) {
	g := mailgen.New(11)
	for _, kind := range mailgen.Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			for range 40 {
				raw := g.Message(kind, someDate)
				got := imapmem.Exchange(raw)
				if !bytes.Equal(got, imapmem.Exchange(raw)) {
					t.Fatal("the same message was rebuilt in two ways")
				}
				if hashOf(t, raw, mailproof.T1) == hashOf(t, got, mailproof.T1) {
					t.Fatalf("not rebuilt:\n%s", raw)
				}
				if hashOf(t, raw, mailproof.T2) != hashOf(t, got, mailproof.T2) {
					t.Fatalf("the meaning changed:\n%s\nbecame\n%s", raw, got)
				}
				if !bytes.Contains(got, []byte("\r\nX-MS-")) || bytes.Contains(got, []byte("=_part_")) != (kind == mailgen.Forwarded && bytes.Contains(raw, []byte("multipart/signed"))) {
					t.Fatalf("half rebuilt:\n%s", got)
				}
				wellFormed(t, got)
			}
		})
	}
}

func wellFormed(t *testing.T, raw []byte) {
	t.Helper()
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Walk(func(_ []int, _ *message.Entity, err error) error { return err }); err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if len(line) > 998 || bytes.ContainsAny(line, "\r\n") {
			t.Fatalf("odd line %q", line)
		}
	}
}

// Text in any encoding and charset becomes UTF-8 in base64.
func TestExchangeWritesUTF8(t *testing.T) {
	for _, part := range []string{
		"iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\n5Pb8\r\n",
		"iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E4=F6=FC",
		"windows-1252\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xe4\xf6\xfc",
		"utf-8; format=flowed\r\n\r\näöü",
	} {
		got := string(imapmem.Exchange([]byte("Content-Type: text/plain; charset=" + part)))
		if want := "Content-Type: text/plain;\r\n\tcharset=utf-8\r\nContent-Transfer-Encoding: base64\r\nMIME-Version: 1.0\r\n\r\nw6TDtsO8\r\n"; !strings.HasSuffix(got, want) {
			t.Errorf("%q became %q", part, got)
		}
	}
}

// What cannot be read for certain is left alone, and nothing panics.
func TestExchangeLeavesTheUncertain(t *testing.T) {
	for _, raw := range []string{
		"", "x", "\r\n", "no header", "From me\r\nA: b\r\n\r\n", "A: b\n\nbare LF\n", "A: b\r\n", " folded: first\r\n\r\n", "A b: c\r\n\r\n", ": x\r\n\r\n",
	} {
		if got := imapmem.Exchange([]byte(raw)); string(got) != raw {
			t.Errorf("%q became %q", raw, got)
		}
	}
	for name, body := range map[string]string{
		"signed":           "Content-Type: multipart/signed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n",
		"unknown charset":  "Content-Type: text/plain; charset=x-none\r\n\r\nx\r\n",
		"not its charset":  "Content-Type: text/plain; charset=utf-8\r\n\r\n\xff\r\n",
		"ambiguous":        "Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\x93\r\n",
		"identity":         "Content-Type: application/x-some\r\n\r\nline\r\nline\r\n",
		"bad base64":       "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n",
		"unknown encoding": "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uue\r\n\r\nx\r\n",
		"no boundary":      "Content-Type: multipart/mixed\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n",
		"not closed":       "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n",
		"boundaries alike": "Content-Type: multipart/mixed; boundary=a\r\n\r\n--ab\r\n\r\nx\r\n--a--\r\n",
	} {
		got := string(imapmem.Exchange([]byte("Subject: =?iso-8859-1?q?=93x=94?=\r\nTo: \"a b\"@example.com\r\n" + body)))
		if !strings.HasSuffix(got, body) || !strings.Contains(got, "Subject: =?iso-8859-1?q?=93x=94?=\r\n") || !strings.Contains(got, "To: \"a b\"@example.com\r\n") {
			t.Errorf("%s: became %q", name, got)
		}
	}
}

// The same on mail of the wild, where a corpus of it is at hand.
func TestExchangeOnCorpora(t *testing.T) {
	root := os.Getenv("MAILPROOF_CORPORA")
	if root == "" {
		t.Skip("MAILPROOF_CORPORA names no folder of messages")
	}
	seen, rebuilt := 0, 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil || len(raw) > 1<<20 {
			return err
		}
		seen++
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		got := imapmem.Exchange(raw)
		if bytes.Equal(got, raw) {
			return nil
		}
		rebuilt++
		if hashOf(t, raw, mailproof.T2) != hashOf(t, got, mailproof.T2) {
			t.Errorf("%s: the meaning changed", path)
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	t.Logf("%d of %d messages were rebuilt", rebuilt, seen)
}

func FuzzExchange(f *testing.F) {
	g := mailgen.New(12)
	for _, kind := range mailgen.Kinds() {
		f.Add(g.Message(kind, someDate))
	}
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		whole := bytes.Clone(raw)
		got := imapmem.Exchange(raw)
		if !bytes.Equal(raw, whole) {
			t.Fatal("the message was changed in place")
		}
		if !bytes.Equal(got, imapmem.Exchange(raw)) {
			t.Fatal("the same message was rebuilt in two ways")
		}
		if len(got) > 4*len(raw)+4096 {
			t.Errorf("%d octets became %d", len(raw), len(got))
		}
	})
}
