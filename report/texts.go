package report

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/mailproof/mailproof/templates"
)

// The fixed texts of the report are English where they stand in the code, and
// that English is their name: t, count and date look them up in the catalogue of
// the report's language. templates/texts/en.toml lists every one of them; a
// translation is one more file beside it, with the same names on the left.
//
// A text may have verbs of package fmt; a translation has the same ones, in
// another order where it numbers them (%[2]s). Nouns have a form for one and one
// for many, "message|messages"; a language without the difference gives one form.
// A translation whose first form is that of none, too, says "@zero" = "one", and
// one that writes dates in another way gives the "@date" and, without the year, the
// "@day" as package time has them.
// Numbers and times are written the same in every language.

// lexicon has the texts of a language by the English text; nil is English.
type lexicon map[string]string

func (x lexicon) of(text string) string {
	if s, ok := x[text]; ok && s != "" {
		return s
	}
	return text
}

// t is a fixed text in the report's language.
func (d *Document) t(text string, args ...any) string {
	text = d.lex.of(text)
	if len(args) == 0 {
		return text
	}
	return fmt.Sprintf(text, args...)
}

// count writes a number with its noun: "1 message", "2,000 messages". The plural
// is the singular with an s unless it is given.
func (d *Document) count(n int64, noun string, plural ...string) string {
	many := noun + "s"
	if len(plural) > 0 {
		many = plural[0]
	}
	forms := strings.Split(d.lex.of(noun+"|"+many), "|")
	if n == 1 || n == 0 && d.lex["@zero"] == "one" {
		return comma(n) + " " + forms[0]
	}
	return comma(n) + " " + forms[len(forms)-1]
}

// form is a whole sentence in its form for a number, which is its first %s:
// "%s message was read|%s messages were read". Where a language's grammar
// reaches beyond the noun, a noun and a frame are not enough.
func (d *Document) form(n int64, forms string, args ...any) string {
	list := strings.Split(d.lex.of(forms), "|")
	text := list[len(list)-1]
	if n == 1 || n == 0 && d.lex["@zero"] == "one" {
		text = list[0]
	}
	return fmt.Sprintf(text, append([]any{comma(n)}, args...)...)
}

// lines is a text that is broken by hand.
func (d *Document) lines(text string) []string { return strings.Split(d.t(text), "\n") }

// date writes a time with the months' names of the report's language.
func (d *Document) date(when time.Time, layout string) string {
	when = when.UTC()
	if day := d.lex["@date"]; day != "" {
		layout = strings.Replace(layout, "2 Jan 2006", day, 1)
	}
	if day := d.lex["@day"]; day != "" && !strings.Contains(layout, "2006") {
		layout = strings.Replace(layout, "2 Jan", day, 1)
	}
	text := when.Format(layout)
	if month := when.Format("Jan"); strings.Contains(layout, "Jan") {
		text = strings.Replace(text, month, d.lex.of(month), 1)
	}
	return text
}

// spoken is the document with the texts of its language.
func (d *Document) spoken() (*Document, error) {
	lex, err := lexiconOf(d.Brand.Language)
	if err != nil {
		return nil, err
	}
	c := *d
	c.lex = lex
	return &c, nil
}

// Languages are the tags of the languages that a report can be written in.
func Languages() []string {
	list := []string{"en"}
	names, err := fs.Glob(templates.FS, "texts/*.toml")
	if err != nil {
		return list // the pattern is sound
	}
	for _, name := range names {
		if tag := strings.TrimSuffix(strings.TrimPrefix(name, "texts/"), ".toml"); tag != "en" {
			list = append(list, tag)
		}
	}
	return list
}

func lexiconOf(language string) (lexicon, error) {
	if language == "" || language == "en" {
		return nil, nil
	}
	if !slices.Contains(Languages(), language) {
		return nil, fmt.Errorf("language %q is not there, there are %s", language, strings.Join(Languages(), ", "))
	}
	data, err := templates.FS.ReadFile("texts/" + language + ".toml")
	if err != nil {
		return nil, err
	}
	lex := lexicon{}
	if _, err := toml.Decode(string(data), &lex); err != nil {
		return nil, fmt.Errorf("texts of language %s: %w", language, err)
	}
	if len(lex) == 0 {
		return nil, errors.New("texts of language " + language + " are empty")
	}
	return lex, nil
}
