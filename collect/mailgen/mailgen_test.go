package mailgen_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"image/png"
	"io"
	"maps"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/emersion/go-message"
	_ "github.com/emersion/go-message/charset"

	mailproof "github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/mailgen"
)

var date = time.Date(2022, 2, 3, 10, 20, 30, 0, time.FixedZone("", 3600))

func digest(a *mailgen.Account) string {
	h := sha256.New()
	for _, f := range a.Folders {
		fmt.Fprintln(h, f.Path, f.Use)
		for _, m := range f.Messages {
			fmt.Fprintln(h, m.Date.Format(time.RFC3339), m.Flags, len(m.Raw))
			h.Write(m.Raw)
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestSameSeedSameOctets(t *testing.T) {
	profile := mailgen.Profile{Messages: 300, Folders: 20, EmptyFolder: true}
	a, b, c := mailgen.New(7).Account(profile), mailgen.New(7).Account(profile), mailgen.New(8).Account(profile)
	if digest(a) != digest(b) {
		t.Error("one seed gave two accounts")
	}
	if digest(a) == digest(c) {
		t.Error("two seeds gave one account")
	}
}

// Every message is well formed: CRLF, no NUL, short lines, a header and a body
// that a library reads to its end.
func TestWellFormed(t *testing.T) {
	g := mailgen.New(1)
	for _, kind := range mailgen.Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			for range 30 {
				raw := g.Message(kind, date)
				if bytes.Contains(bytes.ReplaceAll(raw, []byte("\r\n"), nil), []byte("\n")) || bytes.ContainsAny(raw, "\x00") {
					t.Fatalf("bare LF or NUL in\n%s", raw)
				}
				for _, line := range bytes.Split(raw, []byte("\r\n")) {
					if len(line) > 998 {
						t.Fatalf("line of %d octets", len(line))
					}
				}
				if len(raw) < 1000 || len(raw) > 40_000 {
					t.Errorf("%d octets", len(raw))
				}
				header(t, kind, raw)
				body(t, raw)
			}
		})
	}
}

func header(t *testing.T, kind mailgen.Kind, raw []byte) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	if d, err := m.Header.Date(); err != nil || !d.Equal(date) {
		t.Errorf("date %v, %v", d, err)
	}
	if got := m.Header.Get("Message-ID") != ""; got != (kind != mailgen.NoMessageID) {
		t.Errorf("Message-ID present: %v", got)
	}
	text, _, _ := bytes.Cut(raw, []byte("\r\n\r\n"))
	ascii := !bytes.ContainsFunc(text, func(r rune) bool { return r > '~' })
	if kind != mailgen.RawHeader {
		for _, field := range []string{"From", "To", "Cc"} {
			if _, err := m.Header.AddressList(field); err != nil && !errors.Is(err, mail.ErrHeaderNotPresent) {
				t.Errorf("%s: %v in\n%s", field, err, text)
			}
		}
		if !ascii {
			t.Errorf("raw octets in the header\n%s", text)
		}
	}
}

func body(t *testing.T, raw []byte) {
	t.Helper()
	e, err := message.Read(bytes.NewReader(raw))
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	err = e.Walk(func(_ []int, part *message.Entity, err error) error {
		if err != nil {
			return err
		}
		kind, _, err := part.Header.ContentType()
		if err != nil {
			return err
		}
		if strings.HasPrefix(kind, "multipart/") {
			return nil // its body is for Walk to read
		}
		octets, err := io.ReadAll(part.Body)
		if err != nil {
			return err
		}
		return validFile(kind, octets)
	})
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
}

func validFile(kind string, octets []byte) error {
	switch kind {
	case "image/png":
		_, err := png.Decode(bytes.NewReader(octets))
		return err
	case "application/zip":
		_, err := zip.NewReader(bytes.NewReader(octets), int64(len(octets)))
		return err
	case "application/pdf":
		if !bytes.HasPrefix(octets, []byte("%PDF-")) || !bytes.HasSuffix(octets, []byte("%%EOF\n")) {
			return errors.New("no PDF")
		}
	case "text/plain", "text/html":
		if len(octets) < 30 || !utf8.Valid(octets) {
			return fmt.Errorf("text of %d octets is short or not UTF-8", len(octets))
		}
	}
	return nil
}

var addresses = regexp.MustCompile(`@([A-Za-z0-9.-]+)`)

// No address and no host lies outside of RFC 2606.
func TestReservedDomainsOnly(t *testing.T) {
	reserved := regexp.MustCompile(`(^|\.)(example|example\.(com|net|org))$`)
	a := mailgen.New(3).Account(mailgen.Profile{Messages: 500, Folders: 3})
	seen := 0
	for _, f := range a.Folders {
		for _, m := range f.Messages {
			for _, match := range addresses.FindAllSubmatch(m.Raw, -1) {
				if seen++; !reserved.Match(match[1]) {
					t.Errorf("domain %q", match[1])
				}
			}
		}
	}
	if seen < 1000 {
		t.Errorf("%d addresses seen", seen)
	}
}

func TestAccountHasWhatRealMailHas(t *testing.T) {
	a := mailgen.New(5).Account(mailgen.Profile{Messages: 2001, Folders: 20, EmptyFolder: true})
	if a.Messages() != 2001 || len(a.Folders) != 21 {
		t.Fatalf("%d messages in %d folders", a.Messages(), len(a.Folders))
	}
	var large, replies, keywords, unread, odd int
	bodies, ids := map[string]int{}, map[string]map[string]bool{}
	paths := map[string]bool{}
	for _, f := range a.Folders {
		path := strings.Join(f.Path, "\x00")
		if paths[path] {
			t.Errorf("folder %q twice", f.Path)
		}
		paths[path] = true
		if strings.ContainsFunc(path, func(r rune) bool { return r > '~' || r == '&' }) {
			odd++
		}
		for _, m := range f.Messages {
			if len(m.Raw) > 12<<10 {
				large++
			}
			if bytes.Contains(m.Raw, []byte("\r\nIn-Reply-To: ")) {
				replies++
			}
			if strings.Contains(strings.ReplaceAll(m.Flags.String(), `\`, "\x00"), "$") {
				keywords++
			}
			if !m.Flags.Has(`\Seen`) {
				unread++
			}
			bodies[string(m.Raw)]++
			if parsed, err := mail.ReadMessage(bytes.NewReader(m.Raw)); err == nil {
				id := parsed.Header.Get("Message-ID")
				if ids[id] == nil {
					ids[id] = map[string]bool{}
				}
				ids[id][string(m.Raw)] = true
			}
		}
	}
	duplicates, clashes, without := 2001-len(bodies), 0, len(ids[""])
	delete(ids, "")
	for _, variants := range ids {
		if len(variants) > 1 {
			clashes++
		}
	}
	for name, n := range map[string]int{"replies": replies, "keywords": keywords, "unread": unread, "duplicates": duplicates, "clashing ids": clashes, "without id": without} {
		if n < 10 {
			t.Errorf("%s: %d", name, n)
		}
	}
	if large > 200 || odd < 5 {
		t.Errorf("%d large messages, %d odd folder names", large, odd)
	}
	uses := map[mailproof.SpecialUse]bool{}
	for _, f := range a.Folders {
		uses[f.Use] = true
	}
	if len(uses) != 5 {
		t.Errorf("special uses %v", slices.Sorted(maps.Keys(uses)))
	}
}

func TestProfileLeavesOut(t *testing.T) {
	a := mailgen.New(6).Account(mailgen.Profile{
		Messages: 400, Folders: 30, ASCIIFolders: true, NoOddities: true, PlainFlags: true, Without: []mailgen.Kind{mailgen.RawHeader, mailgen.NoMessageID},
	})
	seen := map[string]bool{}
	for _, f := range a.Folders {
		if strings.Trim(strings.Join(f.Path, ""), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
			t.Errorf("folder %q", f.Path)
		}
		for _, m := range f.Messages {
			head, _, _ := bytes.Cut(m.Raw, []byte("\r\n\r\n"))
			if bytes.ContainsFunc(head, func(r rune) bool { return r > '~' }) || !bytes.Contains(head, []byte("Message-ID: ")) {
				t.Errorf("left in:\n%s", head)
			}
			if strings.ContainsAny(m.Flags.String(), "$-") {
				t.Errorf("flags %s", m.Flags)
			}
			if seen[string(m.Raw)] {
				t.Error("a duplicate")
			}
			seen[string(m.Raw)] = true
		}
	}
}

func TestLarge(t *testing.T) {
	for _, size := range []int64{4096, 5000, 5001, 1 << 20, 1<<20 + 77} {
		one := mailgen.LargeMessage(1, size, date)
		if int64(len(one)) != size {
			t.Errorf("%d octets, want %d", len(one), size)
		}
		two := mailgen.LargeMessage(1, size, date)
		if !bytes.Equal(one, two) || bytes.Equal(one, mailgen.LargeMessage(2, size, date)) {
			t.Error("the seed does not decide")
		}
		body(t, one)
	}
	n, err := io.Copy(io.Discard, mailgen.Large(1, 30<<20, date))
	if err != nil || n != 30<<20 {
		t.Errorf("%d octets, %v", n, err)
	}
}

func BenchmarkAccount(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		a := mailgen.New(1).Account(mailgen.Profile{Messages: 1000, Folders: 20})
		b.SetBytes(a.Octets())
	}
}
