package imapconn

import (
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

var errNotPrepared = errors.New("SASLprep: the text holds a character that it does not allow")

// saslPrep prepares a password for comparison (RFC 4013, a profile of
// stringprep, RFC 3454): other spaces become the space, what shows nothing goes,
// the rest is brought into the form KC.
func saslPrep(s string) (string, error) {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] >= ' ' && s[i] < 0x7f
	}
	if ascii {
		return s, nil
	}
	s = norm.NFKC.String(strings.Map(func(r rune) rune {
		switch {
		case mappedToNothing(r):
			return -1
		case r != ' ' && (unicode.Is(unicode.Zs, r) || r == 0x200b): // RFC 3454, C.1.2
			return ' '
		}
		return r
	}, s))
	var rightToLeft, leftToRight bool
	for _, r := range s {
		if prohibited(r) {
			return "", errNotPrepared
		}
		switch p, _ := bidi.LookupRune(r); p.Class() {
		case bidi.R, bidi.AL:
			rightToLeft = true
		case bidi.L:
			leftToRight = true
		}
	}
	// RFC 3454 §6: a text of right-to-left characters begins and ends with one.
	if rightToLeft && (leftToRight || !endsRightToLeft(s)) {
		return "", errNotPrepared
	}
	return s, nil
}

func endsRightToLeft(s string) bool {
	runes := []rune(s)
	for _, r := range []rune{runes[0], runes[len(runes)-1]} {
		if p, _ := bidi.LookupRune(r); p.Class() != bidi.R && p.Class() != bidi.AL {
			return false
		}
	}
	return true
}

// mappedToNothing is table B.1 of RFC 3454.
func mappedToNothing(r rune) bool {
	switch r {
	case 0x00ad, 0x034f, 0x1806, 0x180b, 0x180c, 0x180d, 0x200c, 0x200d, 0x2060, 0xfeff:
		return true
	}
	return r >= 0xfe00 && r <= 0xfe0f
}

// prohibited are the tables C.2 to C.9 of RFC 3454: control, private use,
// non-character, surrogate, inappropriate and tagging code points.
func prohibited(r rune) bool {
	switch {
	case r == unicode.ReplacementChar, unicode.IsControl(r), unicode.Is(unicode.Co, r), unicode.Is(unicode.Cs, r), unicode.Is(unicode.Noncharacter_Code_Point, r):
		return true
	case r == 0x06dd, r == 0x070f, r == 0x180e, r == 0x0340, r == 0x0341:
		return true
	case r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2061 && r <= 0x2063, r >= 0x206a && r <= 0x206f:
		return true
	case r >= 0x2ff0 && r <= 0x2ffb, r >= 0xfff9 && r <= 0xfffc, r >= 0x1d173 && r <= 0x1d17a:
		return true
	}
	return r >= 0xe0000 && r <= 0xe007f
}
