package config

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

type recorder struct{ labels []string }

func (r *recorder) Prompt(_ context.Context, label string) (mailproof.Secret, error) {
	r.labels = append(r.labels, label)
	return mailproof.NewSecret("x"), nil
}

// mark stands in every password that a test writes.
const mark = "zQ7mark"

// allText is everything that reading a list may print.
func allText(entries []Entry, preview Preview, err error) string {
	s := fmt.Sprintf("%v %+v %s %q", preview, preview, preview, preview.Warnings)
	for _, e := range entries {
		s += fmt.Sprintf("%v %+v %#v %s", e, e, e, e.SourcePassword)
	}
	if err != nil {
		s += fmt.Sprintf("%v %+v", err, err)
		if e, ok := err.(*Error); ok {
			s += e.Summary() + strings.Join(e.Hints(), " ") + strings.Join(e.Details(), " ")
		}
	}
	return s
}

// Rows are damaged in every way that people damage them, with a marked password
// in the place of each password. Whatever comes of it, the mark is not shown.
func TestNoSecretIsShown(t *testing.T) {
	t.Setenv("PW", "x")
	rng := rand.New(rand.NewPCG(1, 2))
	passwords := []string{mark, mark + ";x", "x," + mark, "\"" + mark, mark + "\"", " " + mark + " ", mark + "\t", "imaps" + mark, "a:" + mark, "x://" + mark, "file" + mark,
		"env:" + mark + "!", "env:9" + mark, "'" + mark, mark + "\x07", mark + "@x", "ä" + mark, "%" + mark, "{" + mark + "}", "cmd:printf " + mark, "cmd:'" + mark, "#" + mark, mark + "=" + mark}
	pw := func() string { return passwords[rng.IntN(len(passwords))] }
	makers := []struct {
		header string
		row    func(i int) []string
		seps   string
	}{
		{strings.TrimSpace(header), func(i int) []string {
			return []string{fmt.Sprintf("a%d", i), fmt.Sprintf("imaps://a%d@old", i), pw(), fmt.Sprintf("imaps://a%d@new", i), pw()}
		}, ",;\t"},
		{"EmailAddress,UserName,Password", func(i int) []string { return []string{fmt.Sprintf("a%d@x", i), fmt.Sprint("u", i), pw()} }, ",;"},
		{"", func(i int) []string {
			return []string{"old", fmt.Sprint("u", i), pw(), "new", fmt.Sprint("v", i), pw(), ""}
		}, ";"},
		{"", func(i int) []string { return []string{fmt.Sprintf("a%d@x", i), fmt.Sprint("u", i), pw()} }, ",;\t"},
	}
	accepted := 0
	for range 6_000 {
		m := makers[rng.IntN(len(makers))]
		sep := string(m.seps[rng.IntN(len(m.seps))])
		text := ""
		if m.header != "" && rng.IntN(8) > 0 {
			text = strings.ReplaceAll(m.header, ",", sep) + "\n"
		}
		intact := true
		for i := range 1 + rng.IntN(4) {
			row := m.row(i)
			switch rng.IntN(8) {
			case 0: // a value is lost
				row = slices.Delete(row, 0, 1)
				intact = false
			case 1: // a password comes in addition, anywhere but where names stand
				row = append(row, pw())
				intact = false
			case 2: // a separator is forgotten behind a password's neighbour
				if n := rng.IntN(len(row) - 1); n > 0 {
					row = append(row[:n:n], append([]string{row[n] + row[n+1]}, row[n+2:]...)...)
					intact = false
				}
			case 3:
				for n := range row {
					row[n] = `"` + strings.ReplaceAll(row[n], `"`, `""`) + `"`
				}
			}
			text += strings.Join(row, sep) + "\n"
		}
		entries, preview, err := read(text, hosts)
		if err == nil {
			accepted++
		}
		if shown := allText(entries, preview, err); strings.Contains(shown, mark) && (err != nil || intact) {
			t.Fatalf("%q\nshows\n%s", text, shown)
		}
	}
	if accepted < 200 {
		t.Errorf("only %d lists were accepted: the test tests little", accepted)
	}
}

func FuzzReadAccounts(f *testing.F) {
	for _, s := range []string{
		header + "a,imaps://a@old,env:PW,imaps://a@new,env:PW\n", "EmailAddress,UserName,Password\na@x,u,p\n", "host1;user1;password1;host2;user2;password2;\nold;a;p;new;a;p;\n",
		"a@x;u;p\nb@x;v;q\n", "a@x\tu\t\"p\"\"q\"\n", "\xff\xfea\x00", "\xef\xbb\xbf#\r\r\n", "a@x,\"u", "name\n,", "a@x;{domain};{local}\n", strings.Repeat("\"", 99), "name,source,source_password\na,imaps://a@h?ca=/dev/null,prompt\n",
	} {
		f.Add([]byte(s))
	}
	f.Setenv("PW", "x")
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, d := range []Defaults{hosts, {}, {Source: Server{URL: "imaps://{local}@{domain}"}, Sides: []mailproof.Side{mailproof.Source}},
			{Source: Server{Host: "{domain}", Password: "file:{user}"}, Destination: Server{Host: "h", Password: "cmd:x {local}"}, Unchecked: true}} {
			entries, preview, err := parseAccounts("l", data, d)
			if (err == nil) == (len(entries) == 0) {
				t.Fatalf("%d entries, error %v", len(entries), err)
			}
			if err != nil && entries != nil {
				t.Fatal("entries beside an error")
			}
			names := map[string]bool{}
			for _, e := range entries {
				if names[e.Name] || e.Name == "" || e.Line == 0 || visible(e.Name) != "" {
					t.Fatalf("entry %+v", e)
				}
				names[e.Name] = true
				for _, side := range []mailproof.Side{mailproof.Source, mailproof.Destination} {
					endpoint := e.Endpoint(side)
					if d.needs(side) && (endpoint.Host == "" || endpoint.User == "" || e.Password(side).IsZero()) {
						t.Fatalf("%s of %+v is not filled in", side, e)
					}
				}
			}
			_ = preview.String()
		}
	})
}

func FuzzSplitFields(f *testing.F) {
	f.Add(`a,"b ""c"", d", e `)
	f.Add(`"a`)
	f.Fuzz(func(t *testing.T, s string) {
		for _, sep := range separators {
			fields, err := splitFields(s, sep)
			if err != nil {
				continue
			}
			// Written with quotes they read back the same.
			quoted := make([]string, len(fields))
			for i, field := range fields {
				quoted[i] = `"` + strings.ReplaceAll(field, `"`, `""`) + `"`
			}
			again, err := splitFields(strings.Join(quoted, string(sep)), sep)
			if err != nil || !slices.Equal(again, fields) {
				t.Fatalf("%q: %q, again %q, %v", s, fields, again, err)
			}
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add("accounts = \"x\"\n[source]\nhost = \"h\"\n")
	f.Add("[copy]\nmap = { a = \"b\" }\n[[report.customers]]\nname = \"x\"\n")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parse("m", "", []byte(s))
		if (c == nil) == (err == nil) {
			t.Fatalf("%v, %v", c, err)
		}
	})
}
