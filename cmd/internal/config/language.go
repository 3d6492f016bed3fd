package config

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/mailproof/mailproof/report"
)

// mostFont bounds the file of a font, in octets; the largest ones have half of it.
const mostFont = 64 << 20

// languageNames are what people write in the place of a tag.
var languageNames = map[string]string{
	"english": "en", "german": "de", "deutsch": "de", "french": "fr", "français": "fr", "francais": "fr",
	"spanish": "es", "español": "es", "espanol": "es", "japanese": "ja", "日本語": "ja",
}

// CheckLanguage reports that the report is not to be had in a language, and
// which one may be meant. Empty is English.
func CheckLanguage(tag string) error {
	known := report.Languages()
	if tag == "" || slices.Contains(known, tag) {
		return nil
	}
	near := ""
	base, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(tag, "_", "-")), "-")
	if name, ok := languageNames[base]; ok {
		base = name
	}
	if slices.Contains(known, base) {
		near = fmt.Sprintf("; did you mean %q?", base)
	} else {
		near = didYouMean(base, known)
	}
	return fmt.Errorf("%q is no language of the report, there are %s%s", tag, strings.Join(known, ", "), near)
}

// FontAdvice says how a report comes by the letters of a language that the
// PDF's own font lacks.
func FontAdvice(language string) string {
	if language == "ja" {
		return "install a Japanese TrueType font (Debian: fonts-ipafont-gothic) and name it: --pdf-font /usr/share/fonts/opentype/ipafont-gothic/ipagp.ttf, or pdf_fonts in [report] of mailproof.toml"
	}
	return "name a TrueType font that has them: --pdf-font FILE.ttf, or pdf_fonts in [report] of mailproof.toml"
}

// ReadFont reads a TrueType file and holds it to what a PDF can embed.
func ReadFont(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > mostFont {
		return nil, fmt.Errorf("%s: no file of at most 64 MB", path)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := report.CheckFont(data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return data, nil
}

// FontFiles returns the fonts that the report's PDF is to have beside its own.
func (r Report) FontFiles(dir string) ([][]byte, error) {
	var fonts [][]byte
	for _, name := range r.PDFFonts {
		data, err := ReadFont(inDir(dir, name))
		if err != nil {
			return nil, err
		}
		fonts = append(fonts, data)
	}
	return fonts, nil
}

// validateLanguage holds the language to those that there are, and to the fonts
// that it can be printed with.
func (r Report) validateLanguage(dir string, bad func(key, reason string, hints ...string)) {
	if err := CheckLanguage(r.Language); err != nil {
		bad("report.language", err.Error())
		return
	}
	fonts, err := r.FontFiles(dir)
	if err != nil {
		bad("report.pdf_fonts", err.Error(), "give TrueType files (.ttf) of at most 64 MB; collections (.ttc) and CFF outlines (.otf) cannot be embedded")
		return
	}
	err = report.Brand{Language: r.Language}.CheckFonts(fonts)
	var missing *report.FontError
	if errors.As(err, &missing) {
		bad("report.language", err.Error(), FontAdvice(r.Language))
	} else if err != nil {
		bad("report.pdf_fonts", err.Error())
	}
}
