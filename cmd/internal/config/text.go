package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/unicode"
)

// readFile reads a file of at most limit octets.
func readFile(path string, limit int64) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: larger than %d octets: that is no file of ours", path, limit)
	}
	return data, err
}

// hintedError is an error that says what to do.
type hintedError struct {
	reason string
	hints  []string
}

func (e *hintedError) Error() string   { return e.reason }
func (e *hintedError) Hints() []string { return e.hints }

// decode returns the text of a file with line ends of one kind. UTF-8 and, by
// its byte order mark, UTF-16 are read. Older encodings are refused: which of
// them it is cannot be told, and a password decoded by a guess is a wrong
// password.
func decode(data []byte) (string, error) {
	switch {
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		data = data[3:]
	case bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		utf8Text, err := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder().Bytes(data)
		if err != nil || len(data)%2 != 0 || bytes.Contains(utf8Text, []byte("\ufffd")) {
			return "", &hintedError{"begins as UTF-16 and is damaged", []string{"save it as UTF-8"}}
		}
		data = utf8Text
	case looksLikeUTF16(data):
		return "", &hintedError{"UTF-16 without a byte order mark", []string{"save it as UTF-8"}}
	}
	if !utf8.Valid(data) {
		return "", &hintedError{fmt.Sprintf("not UTF-8 in line %d: it is in an older encoding, such as Windows-1252 or Latin-1", invalidLine(data)),
			[]string{"save it as UTF-8, in Excel as \"CSV UTF-8\", or convert it: iconv -f WINDOWS-1252 -t UTF-8"}}
	}
	text := strings.ReplaceAll(string(data), "\r\n", "\n")
	return strings.ReplaceAll(text, "\r", "\n"), nil
}

// looksLikeUTF16 tells by the NUL octets of Latin letters.
func looksLikeUTF16(data []byte) bool {
	head := data[:min(len(data), 512)]
	return len(head) >= 4 && bytes.Count(head, []byte{0})*3 >= len(head)
}

// invalidLine is the number of the first line that is no UTF-8.
func invalidLine(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[n:]
	}
	return line
}

// isInvisible reports characters that come along when a name is copied from a
// web page or a table and that nobody sees: no login holds them.
func isInvisible(c rune) bool {
	switch {
	case c < 0x20, c == 0x7f, c >= 0x80 && c < 0xa0: // controls
	case c == 0xa0, c == 0xad, c == 0xfeff, c == 0x180e, c == 0x3000: // no-break blank, soft hyphen, …
	case c >= 0x2000 && c <= 0x200f, c >= 0x2028 && c <= 0x202f, c >= 0x205f && c <= 0x206f:
	default:
		return false
	}
	return true
}

// visible reports what is wrong with a name or login, or "".
func visible(s string) string {
	if isPlain(s) {
		return ""
	}
	if i := strings.IndexFunc(s, isInvisible); i >= 0 {
		c, _ := utf8.DecodeRuneInString(s[i:])
		return fmt.Sprintf("holds the invisible character U+%04X", c)
	}
	return ""
}

// isPlain reports whether a text is of ASCII letters, digits and signs alone, as
// most are.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
