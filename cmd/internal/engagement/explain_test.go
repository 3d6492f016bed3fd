package engagement

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// Every reason code that a comparison can give is explained, and says what to
// do: those of diff as its source has them, and those of the copy journal.
func TestEveryReasonIsExplained(t *testing.T) {
	file, err := parser.ParseFile(token.NewFileSet(), "../../../diff/codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes, suffixes := []string{reasonRefused, reasonFailed, reasonNotFound}, []string{}
	for _, d := range file.Decls {
		decl, ok := d.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			continue
		}
		for _, s := range decl.Specs {
			spec := s.(*ast.ValueSpec)
			for i, name := range spec.Names {
				text, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				if strings.HasPrefix(name.Name, "suffix") {
					suffixes = append(suffixes, text)
				} else {
					codes = append(codes, text)
				}
			}
		}
	}
	for _, s := range suffixes {
		codes = append(codes, "bcc"+s, "reply-to"+s, "threading"+s)
	}
	if len(codes) < 50 || len(suffixes) < 3 {
		t.Fatalf("found %d codes and %d endings only", len(codes), len(suffixes))
	}
	for _, code := range codes {
		if w := wordsOf(code); w.meaning == "" || w.remedy == "" {
			t.Errorf("%s is not explained", code)
		}
	}
	for _, tier := range mailproof.Tiers() {
		if tierWords[tier] == "" {
			t.Errorf("tier %v is not explained", tier)
		}
	}
}

func TestPlainID(t *testing.T) {
	for _, id := range []string{"E-003", "e-3", "E3", "e003"} {
		if plainID(id) != "E3" {
			t.Errorf("%s is %s", id, plainID(id))
		}
	}
	if plainID("E-030") == plainID("E-003") || plainID("N-003") == plainID("E-003") || plainID("") != "" {
		t.Error("different ones are the same")
	}
}

func TestFetchedIsBounded(t *testing.T) {
	a, b := strings.Repeat("a\n", 5000), strings.Repeat("b\n", 5000)
	out := unified("text/plain 1", a, b)
	if n := strings.Count(out, "\n"); n > maxDiffLine+1 || !strings.Contains(out, "more lines") {
		t.Errorf("%d lines", n)
	}
	if unified("x", a, a) != "" {
		t.Error("equal texts differ")
	}
	s := firstOctets{most: 10}
	for range 5 {
		if n, err := s.Write([]byte("1234")); n != 4 || err != nil {
			t.Fatal(n, err)
		}
	}
	if s.String() != "1234123412" || !s.cut {
		t.Errorf("kept %q", s.String())
	}
}

const withinEachOther = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=E9\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninner\r\n--b\r\nContent-Type: text/html\r\n\r\n<b>x</b>\r\n--b\r\nContent-Type: image/png\r\n\r\nx\r\n--b--\r\n"

func TestTextsOf(t *testing.T) {
	got, err := textsOf([]byte(withinEachOther))
	want := map[string]string{"text/plain 1": "café\n", "text/plain 2": "inner\n", "text/html 1": "<b>x</b>\n"}
	if err != nil || len(got.text) != len(want) {
		t.Fatalf("%q, %v", got.text, err)
	}
	for name, text := range want {
		if got.text[name] != text {
			t.Errorf("%s: %q, want %q", name, got.text[name], text)
		}
	}
}

// Whatever a server delivers, it is taken apart or refused, within bounds.
func FuzzTextsOf(f *testing.F) {
	f.Add([]byte(withinEachOther), []byte("Subject: x\n\nx"))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=\"\"\n\n--\n--\n"), []byte{})
	f.Add([]byte("Content-Type: message/rfc822\n\nContent-Type: message/rfc822\n\n"), []byte("\x00"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var fetched Fetched
		fetched.Source, fetched.Destination = &FetchedBody{}, &FetchedBody{}
		fetched.Source.head.Buffer, fetched.Destination.head.Buffer = *bytes.NewBuffer(a), *bytes.NewBuffer(b)
		fetched.compare()
		if bytes.Equal(a, b) && (fetched.Headers != "" || len(fetched.Texts) > 0) {
			t.Errorf("equal messages differ: %+v", fetched)
		}
	})
}

func TestAsRecorded(t *testing.T) {
	good, other, unknown, failed := &FetchedBody{Recorded: true, AsRecorded: true}, &FetchedBody{Recorded: true}, &FetchedBody{}, &FetchedBody{Recorded: true, Error: "gone"}
	for _, tt := range []struct {
		f                  Fetched
		asRecorded, failed bool
	}{
		{Fetched{Source: good, Destination: good}, true, false},
		{Fetched{Source: good}, true, false},
		{Fetched{Source: good, Destination: other}, false, false},
		{Fetched{Source: other}, false, false},
		{Fetched{Source: good, Destination: unknown}, true, false},
		{Fetched{Source: good, Destination: failed}, true, true},
		{Fetched{Source: other, Destination: failed}, false, true},
	} {
		if tt.f.AsRecorded() != tt.asRecorded || tt.f.Failed() != tt.failed {
			t.Errorf("%+v: as recorded %v, failed %v", tt.f, tt.f.AsRecorded(), tt.f.Failed())
		}
	}
}
