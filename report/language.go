package report

import (
	"fmt"
	"strings"

	"github.com/mailproof/mailproof/report/pdf"
)

// FontError reports that the PDF would lack letters of its fixed texts. A page
// that prints boxes in the place of words is none that anybody could sign, so
// that nothing is written.
type FontError struct {
	Language string
	Missing  []rune // each once; never empty
}

// Error counts the letters that no font has.
func (e *FontError) Error() string {
	return fmt.Sprintf("the fonts of the PDF lack %s of the letters that a report in language %s is written with, %c (U+%04X) among them",
		comma(int64(len(e.Missing))), e.Language, e.Missing[0], e.Missing[0])
}

// CheckFonts returns a [FontError] where neither the PDF's own fonts nor the
// given TrueType files have every letter of the brand's language, and another
// error where there is no such language or a font cannot be read.
func (b Brand) CheckFonts(fonts [][]byte) error {
	lex, err := lexiconOf(b.Language)
	if err != nil || lex == nil {
		return err
	}
	var text strings.Builder
	for _, key := range sortedKeys(lex) {
		text.WriteString(lex[key])
	}
	missing, err := pdf.Uncovered(append(fonts[:len(fonts):len(fonts)], b.Fonts...), strings.ReplaceAll(text.String(), "\n", ""))
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		return &FontError{Language: b.Language, Missing: missing}
	}
	return nil
}
