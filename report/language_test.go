package report

import (
	"bytes"
	"errors"
	"fmt"
	htmlpkg "html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/templates"
)

var verb = regexp.MustCompile(`%(?:\[(\d+)\])?([a-z%])|\{[a-z]+\}`)

// verbsOf are the placeholders of a text, with their place as package fmt counts:
// "1s", "2d".
func verbsOf(s string) []string {
	var list []string
	n := 0
	for _, m := range verb.FindAllStringSubmatch(s, -1) {
		switch {
		case m[2] == "":
			list = append(list, m[0])
		case m[2] == "%":
			list = append(list, "%")
		case m[1] != "":
			list = append(list, m[1]+m[2])
			n, _ = strconv.Atoi(m[1]) // the next one without a number follows
		default:
			n++
			list = append(list, fmt.Sprint(n)+m[2])
		}
	}
	slices.Sort(list)
	return list
}

// blanksOf are the blanks at both ends of a text, and its broken lines.
func blanksOf(s string) (before, after, lines int) {
	return len(s) - len(strings.TrimLeft(s, " ")), len(s) - len(strings.TrimRight(s, " ")), strings.Count(s, "\n")
}

// pluralForms is how many forms of a noun a language has in the catalogue.
var pluralForms = map[string]int{"en": 2, "de": 2, "fr": 2, "es": 2, "ja": 1}

func translationOf(t *testing.T, language string) lexicon {
	t.Helper()
	data, err := templates.FS.ReadFile("texts/" + language + ".toml")
	if err != nil {
		t.Fatal(err)
	}
	lex := lexicon{}
	if _, err := toml.Decode(string(data), &lex); err != nil {
		t.Fatalf("%s: %v", language, err)
	}
	return lex
}

// A translation has every text and no other, with the same placeholders, the
// forms of its plural and the blanks at the ends.
func TestTranslations(t *testing.T) {
	texts := fixedTexts(t)
	if want := []string{"en", "de", "es", "fr", "ja"}; !slices.Equal(Languages(), want) {
		t.Fatalf("languages %v", Languages())
	}
	for _, language := range Languages() {
		lex := translationOf(t, language)
		for _, s := range texts {
			if lex[s] == "" {
				t.Errorf("%s: nothing for %q", language, s)
				continue
			}
			checkTranslation(t, language, s, lex[s])
		}
		for s := range lex {
			if !slices.Contains(texts, s) && !slices.Contains([]string{"@zero", "@date", "@day"}, s) {
				t.Errorf("%s: %q is no text of the report", language, s)
			}
		}
	}
	if _, err := (&Document{Brand: Brand{Language: "tlh"}}).spoken(); err == nil {
		t.Error("a language that is not there was taken")
	}
}

func checkTranslation(t *testing.T, language, english, translated string) {
	t.Helper()
	original, forms := strings.Split(english, "|"), strings.Split(translated, "|")
	if len(original) > 1 && len(forms) != pluralForms[language] || len(original) == 1 && len(forms) != 1 {
		t.Errorf("%s: %q has %d forms", language, translated, len(forms))
		return
	}
	for i, form := range forms {
		// Where a language has one form, it is that of many.
		of := original[min(i+len(original)-len(forms), len(original)-1)]
		if !slices.Equal(verbsOf(form), verbsOf(of)) {
			t.Errorf("%s: %q has other placeholders than %q", language, form, of)
		}
		before, after, lines := blanksOf(form)
		if b, a, _ := blanksOf(of); before != b || after != a {
			t.Errorf("%s: %q has other blanks at its ends than %q", language, form, of)
		}
		if most := strings.Count(of, "\n"); lines > most {
			t.Errorf("%s: %q has more lines than %q", language, form, of)
		}
	}
}

func TestTranslationsAreHeld(t *testing.T) {
	if got := verbsOf("%[2]s of %[1]d, %s, 100 %% {from}"); !slices.Equal(got, []string{"%", "1d", "2s", "2s", "{from}"}) {
		t.Errorf("placeholders %v", got)
	}
	if slices.Equal(verbsOf("%s %d"), verbsOf("%d %s")) {
		t.Error("placeholders that change places are taken for equal")
	}
}

// What may not be said in any language: that something is certified or
// guaranteed, that nothing was lost, that a file cannot be changed, that it is
// admissible or that a law is kept.
var forbiddenIn = map[string]*regexp.Regexp{
	"en": forbidden,
	"de": regexp.MustCompile(`(?i)zertifizier|garantie|gewährleist|fälschungssicher|manipulationssicher|manipulationsgeschützt|revisionssicher|rechtssicher|gerichtsfest|gerichtsverwertbar|zulässig|` +
		`beweist,? dass nichts|nichts\s+(ging\s+|ist\s+)?verloren|verlustfrei|(dsgvo|gdpr)-?\s?konform|konform\b|alle\s+daten|100\s*%\s+vollständig|erfolgreich\s+migriert`),
	"fr": regexp.MustCompile(`(?i)certifi(é|er|e\b|ons|cation)|garanti|infalsifiable|inviolable|recevab|admissib|conforme\s+(au|à\s+la|aux)\b|conformité|prouve\s+qu|rien\s+n.a\s+été\s+perdu|sans\s+perte|` +
		`toutes\s+les\s+données|100\s*%\s+complet|migré(e|s|es)?\s+avec\s+succès`),
	"es": regexp.MustCompile(`(?i)certificad[oa]s?\s+(por|que|de\s+que)|certifica(r|mos|ción)?\b|garanti|inviolable|infalsificable|a\s+prueba\s+de\s+manip|admisib|cumple\s+(con|el|la)|cumplimiento|demuestra\s+que\s+nada|nada\s+se\s+(ha\s+)?perdi|` +
		`sin\s+pérdidas|todos\s+los\s+datos|100\s*%\s+complet|migrad[oa]s?\s+con\s+éxito`),
	"ja": regexp.MustCompile(`保証|認定|認証済|証明(する|した|済|され)|改ざん(不可能|不能|防止|できない)|法的に|証拠能力|準拠|適合し|失われ(ていない|なかった)|損失(なし|はない)|全データ|すべてのデータ|すべてのメールが移行|100\s*%\s*完了|完全に移行`),
}

func TestForbiddenCatchesInEveryLanguage(t *testing.T) {
	for language, said := range map[string][]string{
		"de": {"Dies ist zertifiziert.", "garantiert", "fälschungssicher", "Es beweist, dass nichts verloren ging.", "DSGVO-konform", "alle Daten", "100 % vollständig"},
		"fr": {"certifié", "nous certifions", "garanti", "infalsifiable", "recevable en justice", "conforme au RGPD", "rien n’a été perdu", "toutes les données", "100 % complet"},
		"es": {"certificamos", "garantizado", "inviolable", "admisible", "cumple con el RGPD", "nada se ha perdido", "todos los datos", "100 % completo"},
		"ja": {"保証する", "証明する", "改ざん不可能", "法的に有効", "GDPR に準拠", "失われていない", "全データ", "100 % 完了"},
	} {
		for _, s := range said {
			if !forbiddenIn[language].MatchString(s) {
				t.Errorf("%s: %q is not caught", language, s)
			}
		}
	}
}

// needed is what must stand in every report: what was not examined, that there
// is no seal, and whose word the inventory is.
var needed = map[string][]string{
	"de": {"wurden nicht untersucht", "nicht versiegelt", "wie von den imap-servern gemeldet", "wie von den imap-servern gemeldet"},
	"fr": {"n’ont pas été examinés", "non scellé", "tels que rapportés par les serveurs imap"},
	"es": {"no se examinaron", "sin sellar", "según lo informado por los servidores imap"},
	"ja": {"調べていない", "未封印", "imap サーバーの報告による"},
}

// The rules of wording hold for the catalogue and for whole reports, in which
// words come together from pieces.
func TestWordingInEveryLanguage(t *testing.T) {
	for language, said := range needed {
		for _, s := range translationOf(t, language) {
			if m := forbiddenIn[language].FindString(s); m != "" {
				t.Errorf("%s: %q is in %q", language, m, s)
			}
		}
		for _, v := range allVerdicts {
			s := sample{accounts: 3, exceptions: 7, verdict: v}
			if v == mailproof.Complete {
				s.exceptions = 0
			}
			d := s.document()
			d.Brand.Language = language
			text := htmlText(html(t, d))
			if m := forbiddenIn[language].FindString(text); m != "" {
				t.Errorf("%s, %v: the report says %q", language, v, m)
			}
			for _, must := range said {
				if !strings.Contains(strings.ToLower(text), must) {
					t.Errorf("%s, %v: the report does not say %q", language, v, must)
				}
			}
			if strings.Contains(text, "%!") {
				t.Errorf("%s, %v: a placeholder is left over", language, v)
			}
		}
	}
}

// 100 % stands in no translation but where the English text has it.
func TestTheWholeInEveryLanguage(t *testing.T) {
	for _, language := range Languages() {
		for english, s := range translationOf(t, language) {
			if wholly.MatchString(s) && !wholly.MatchString(english) || strings.Contains(s, "100") && !strings.Contains(english, "100") {
				t.Errorf("%s: %q says more than %q", language, s, english)
			}
		}
	}
}

var anyTag = regexp.MustCompile(`(?s)<style>.*?</style>|<script>.*?</script>|<title>.*?</title>|<template.*?</template>|<[^>]*>`)

// htmlText is what a page says, one line for each piece of it.
func htmlText(page string) string {
	text := htmlpkg.UnescapeString(anyTag.ReplaceAllString(page, "\n"))
	return regexp.MustCompile(`\n\s*\n+`).ReplaceAllString(text, "\n")
}

// The words of page one, as they were read by people; -update writes them anew.
func TestExecutivePageInEveryLanguage(t *testing.T) {
	for _, language := range Languages() {
		var b strings.Builder
		for _, v := range allVerdicts {
			s := sample{accounts: 12, exceptions: 7, verdict: v, whole: true}
			if v == mailproof.Complete {
				s.exceptions = 0
			}
			d := s.document()
			d.Brand.Language = language
			page := html(t, d)
			if !strings.Contains(page, `<html lang="`+language+`"`) {
				t.Errorf("%s: the page does not name its language", language)
			}
			from, to := strings.Index(page, `<section class="exec"`), strings.Index(page, "</section>")
			if from < 0 || to < from {
				t.Fatal("no page one")
			}
			fmt.Fprintf(&b, "== %s%s\n", v, htmlText(page[from:to]))
		}
		name := filepath.Join("testdata", "executive."+language+".txt")
		if *update {
			if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("page one is not that of %s; look at the difference, then run go test ./report -run ExecutivePageInEvery -update", name)
		}
	}
}

// japaneseFonts are TrueType files of Debian's packages fonts-ipafont-gothic
// and fonts-vlgothic.
var japaneseFonts = []string{"/usr/share/fonts/opentype/ipafont-gothic/ipagp.ttf", "/usr/share/fonts/truetype/vlgothic/VL-PGothic-Regular.ttf"}

func japaneseFont(t *testing.T) []byte {
	t.Helper()
	for _, name := range japaneseFonts {
		if ttf, err := os.ReadFile(name); err == nil {
			return ttf
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("there is none of %v", japaneseFonts)
	}
	t.Skipf("there is none of %v", japaneseFonts)
	return nil
}

// The PDF of every language has page one on page one and no box for a letter,
// with one account and with 300.
func TestPDFInEveryLanguage(t *testing.T) {
	totext, qpdf := tool(t, "pdftotext"), tool(t, "qpdf")
	ttf := japaneseFont(t)
	for _, language := range Languages()[1:] {
		lex := translationOf(t, language)
		for _, s := range []sample{{accounts: 1, verdict: mailproof.Complete, whole: true}, {accounts: 300, exceptions: 60, verdict: mailproof.CompleteWithAcceptedExceptions}} {
			d := s.document()
			d.Brand.Language, d.Brand.Fonts = language, [][]byte{ttf}
			name := pdfFile(t, d)
			run(t, qpdf, "--check", name)
			checkLanguage(t, language, lex, d, strings.Split(strings.TrimSuffix(run(t, totext, "-layout", name, "-"), "\f"), "\f"))
		}
	}
}

func checkLanguage(t *testing.T, language string, lex lexicon, d *Document, pages []string) {
	t.Helper()
	squeeze := func(s string) string { return strings.Join(strings.Fields(s), "") }
	first := squeeze(pages[0])
	for _, must := range append(verdictLines(d.Verdict), lex[strings.ToLower(d.Verdict.String())], lex["What was found"], lex["Identity of this report"], lex["The ledger: every message counted once"], or(d.Evidence.Bundle, lex["not sealed"])) {
		if !strings.Contains(first, squeeze(must)) {
			t.Errorf("%s: page 1 does not say %q", language, must)
		}
	}
	if act := lex["Date, signature"]; d.Verdict == mailproof.Complete && strings.Count(first, squeeze(act)) != 3 {
		t.Errorf("%s: page 1 has no three lines for %q", language, act)
	}
	if !strings.Contains(squeeze(pages[1]), squeeze(lex["Contents"])) {
		t.Errorf("%s: page 2 does not begin with the contents", language)
	}
	for i, page := range pages {
		if i > 0 && strings.Contains(squeeze(page), squeeze(lex["Identity of this report"])) {
			t.Errorf("%s: page one runs over to page %d", language, i+1)
		}
		if strings.Contains(page, "⟨U+") {
			t.Errorf("%s: page %d has letters that no font covers", language, i+1)
		}
		if must := squeeze(fmt.Sprintf(lex["%[1]s of %[2]s"], fmt.Sprint(i+1), fmt.Sprint(len(pages)))); !strings.Contains(squeeze(page), must) {
			t.Errorf("%s: page %d does not say %q", language, i+1, must)
		}
	}
}

// The file names its language where readers and screen readers look.
func TestPDFNamesItsLanguage(t *testing.T) {
	qpdf := tool(t, "qpdf")
	d := sample{accounts: 1, verdict: mailproof.Complete}.document()
	d.Brand.Language = "fr"
	name := pdfFile(t, d)
	plain := filepath.Join(t.TempDir(), "plain.pdf")
	run(t, qpdf, "--qdf", "--object-streams=disable", name, plain)
	data, err := os.ReadFile(plain)
	if err != nil {
		t.Fatal(err)
	}
	for _, must := range []string{"<rdf:li>fr</rdf:li>", "/Lang (fr)"} {
		if !bytes.Contains(data, []byte(must)) && !bytes.Contains(data, []byte("/Lang <feff00660072>")) {
			t.Errorf("the PDF does not say %s", must)
		}
	}
}

// Without a font for its letters no Japanese PDF is written, nor the files
// beside it.
func TestLanguageWithoutFont(t *testing.T) {
	d := sample{accounts: 1, verdict: mailproof.Complete}.document()
	d.Brand.Language = "ja"
	dir := t.TempDir()
	err := d.WriteFiles(dir, PDFOptions{})
	var missing *FontError
	if !errors.As(err, &missing) || missing.Language != "ja" || len(missing.Missing) < 100 {
		t.Fatalf("error %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v was left, %v", left, err)
	}
	for _, language := range []string{"", "en", "de", "fr", "es"} {
		if err := (Brand{Language: language}).CheckFonts(nil); err != nil {
			t.Errorf("%s: %v", language, err)
		}
	}
	if err := (Brand{Language: "ja"}).CheckFonts([][]byte{japaneseFont(t)}); err != nil {
		t.Error(err)
	}
}

// Equal documents give equal octets in every language.
func TestLanguageIsDeterministic(t *testing.T) {
	d := sample{accounts: 2, exceptions: 3, verdict: mailproof.Incomplete}.document()
	d.Brand.Language = "de"
	var one, two bytes.Buffer
	for _, b := range []*bytes.Buffer{&one, &two} {
		if err := d.WritePDF(b, PDFOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(one.Bytes(), two.Bytes()) {
		t.Error("two runs differ")
	}
	var english, german bytes.Buffer
	if err := d.WriteJSON(&german); err != nil {
		t.Fatal(err)
	}
	d.Brand.Language = ""
	if err := d.WriteJSON(&english); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(english.Bytes(), german.Bytes()) {
		t.Error("report.json depends on the language")
	}
}
