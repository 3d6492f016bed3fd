package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckLanguage(t *testing.T) {
	for _, tag := range []string{"", "en", "de", "es", "fr", "ja"} {
		if err := CheckLanguage(tag); err != nil {
			t.Errorf("%q: %v", tag, err)
		}
	}
	for given, meant := range map[string]string{"deutsch": "de", "de-AT": "de", "fr_CA": "fr", "jp": "ja", "DE": "de", "Español": "es", "english": "en"} {
		if err := CheckLanguage(given); err == nil || !strings.Contains(err.Error(), `did you mean "`+meant+`"?`) {
			t.Errorf("%q: %v", given, err)
		}
	}
	if err := CheckLanguage("klingon"); err == nil || strings.Contains(err.Error(), "did you mean") || !strings.Contains(err.Error(), "there are en, de, es, fr, ja") {
		t.Errorf("error %v", err)
	}
}

// The language is held to what can be printed before hours of work end in a
// report that cannot be written.
func TestReportLanguage(t *testing.T) {
	for text, want := range map[string]string{
		"[report]\nlanguage = \"de\"\n":                                "",
		"[report]\nlanguage = \"deutsch\"\n":                           `mailproof.toml:2: key "report.language": "deutsch" is no language of the report, there are en, de, es, fr, ja; did you mean "de"?`,
		"[report]\nlangauge = \"de\"\n":                                `mailproof.toml:2: key "report.langauge": not known; did you mean "language"?`,
		"[report]\nlanguage = \"ja\"\n":                                `mailproof.toml:2: key "report.language": the fonts of the PDF lack`,
		"[report]\nlanguage = \"ja\"\npdf_fonts = [\"nowhere.ttf\"]\n": `mailproof.toml:3: key "report.pdf_fonts": `,
		"[report]\npdf_font = [\"x.ttf\"]\n":                           `did you mean "pdf_fonts"?`,
	} {
		c, err := load(t, text)
		switch {
		case want == "" && (err != nil || c.Report.Language != "de"):
			t.Errorf("%s: %v", text, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: error %v", text, err)
		}
	}
}

func TestReadFont(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.ttf")
	if err := os.WriteFile(name, []byte("no font"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{name, filepath.Dir(name), name + ".gone"} {
		if _, err := ReadFont(path); err == nil {
			t.Errorf("%s was taken", path)
		}
	}
}
