package config

import (
	"errors"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestReadAliases(t *testing.T) {
	for _, tt := range []struct {
		name, text string
		want       map[string]string
		bad        []string // what the error says, without the file's name
	}{
		{"comma and heading", "old,new\na@old.example,a@new.example\n", map[string]string{"a@old.example": "a@new.example"}, nil},
		{"canonical", "\ufeffA.B@Old.Example.;\"A.B@Bücher.example\"\r\n# comment\r\n\r\n", map[string]string{"a.b@old.example": "a.b@xn--bcher-kva.example"}, nil},
		{"tab, twice the same", "a@o.example\tb@n.example\na@O.example\tb@n.example\n", map[string]string{"a@o.example": "b@n.example"}, nil},
		{"empty", "# nothing\n", nil, []string{": there is no alias in it"}},
		{"heading only", "old,new\n", nil, []string{": there is no alias in it"}},
		{"all that is wrong at once", "a@o.example,b@n.example\nc@o.example\nnobody,d@n.example\na@o.example,c@n.example\ne@o.example,e@o.example\nf@o.example,\"f@n.example\ng@o.example,g@n\u00a0.example\n", nil, []string{
			":2: does not have the two columns old and new", `:3: column "old": not an e-mail address`, `:4: column "old": has another alias in line 1`,
			`:5: column "new": is the old address itself`, ":6: a quote is opened and not closed", `:7: column "new": holds the invisible character U+00A0`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := write(t, t.TempDir(), "aliases.csv", tt.text)
			got, err := ReadAliases(path)
			if tt.bad == nil {
				if err != nil || !maps.Equal(got, tt.want) {
					t.Errorf("%v, %v", got, err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || got != nil {
				t.Fatalf("%v, %v", got, err)
			}
			var lines []string
			for _, l := range e.Details() {
				lines = append(lines, strings.TrimPrefix(l, path))
			}
			if !slices.Equal(lines, tt.bad) {
				t.Errorf("%q\nwant %q", lines, tt.bad)
			}
		})
	}
	if c, err := load(t, "[copy]\naliases = \"a.csv\"\n"); err != nil || c.Copy.Aliases != filepath.Join(c.Dir, "a.csv") {
		t.Errorf("%+v, %v", c, err)
	}
}

func FuzzReadAliases(f *testing.F) {
	f.Add([]byte("old,new\na@old.example,a@new.example\n"))
	f.Add([]byte("a@o\tb@n\n\"a@b\",\"\"\"\"\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		aliases, err := parseAliases("x", data)
		if (err == nil) == (len(aliases) == 0) {
			t.Fatalf("%v, %v", aliases, err)
		}
		for old, alias := range aliases {
			for _, a := range []string{old, alias} {
				if again, err := canonicalAddress(a); err != nil || again != a {
					t.Fatalf("%q is not canonical: %q, %v", a, again, err)
				}
			}
		}
	})
}
