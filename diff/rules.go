package diff

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// Rules say how source mailboxes are mapped and which are left out. The zero
// Rules leave nothing out and map nothing by hand.
type Rules struct {
	maps     []mapRule
	excludes []excludeRule
	only     []excludeRule // none: all mailboxes
	onlyText string
	// Scope leaves out single messages.
	Scope Scope
	// Refused holds the characters that the destination refuses in a level of
	// a mailbox name, beside its separator; see [RefusedBy].
	Refused string
	// Separator and Prefix are the destination's, where its list of mailboxes
	// does not tell them (an account without any mailbox).
	Separator, Prefix string
}

type mapRule struct{ from, to string }

type excludeRule struct {
	text string
	use  mailproof.SpecialUse // of a rule such as \Junk
}

// ParseRules reads the values of --map and --exclude. All that is wrong is
// reported at once.
//
// A map is OLD=NEW. OLD is the name of a source mailbox, either whole or as a
// path with "/" between its levels and without the personal namespace. NEW is a
// destination mailbox, its levels parted by "/" or by the destination's own
// separator. A "=" in OLD is written "\=".
//
// An exclude is a pattern for source mailbox names, whole or as a path as
// above: "*" stands for any characters, "%" for any but a separator, "?" for
// one character, as in LIST (RFC 9051 §6.3.9), and "\" takes the meaning from
// the next character. A pattern of "\" and a word, such as \Junk, is a special
// use (RFC 6154): it matches mailboxes that announce the use, and those with a
// well-known name for it that announce none. A pattern leaves out what it
// matches and not what lies below: write "Old" and "Old/*".
func ParseRules(maps, excludes []string) (Rules, error) {
	var rules Rules
	var errs []error
	for _, m := range maps {
		rule, err := parseMap(m)
		if err == nil && slices.ContainsFunc(rules.maps, func(r mapRule) bool { return r.from == rule.from && r.to != rule.to }) {
			err = fmt.Errorf("--map %q: %q is mapped twice", m, rule.from)
		}
		errs = append(errs, err)
		rules.maps = append(rules.maps, rule)
	}
	for _, x := range excludes {
		rule, err := parseExclude(x)
		errs = append(errs, err)
		rules.excludes = append(rules.excludes, rule)
	}
	if err := errors.Join(errs...); err != nil {
		return Rules{}, err
	}
	return rules, nil
}

func parseMap(s string) (mapRule, error) {
	var old strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '=':
			i++
			old.WriteByte('=')
		case s[i] == '=':
			return checkMap(s, mapRule{from: old.String(), to: s[i+1:]})
		default:
			old.WriteByte(s[i])
		}
	}
	return mapRule{}, fmt.Errorf("--map %q: write OLD=NEW", s)
}

func checkMap(s string, r mapRule) (mapRule, error) {
	switch {
	case r.from == "":
		return r, fmt.Errorf("--map %q: the source folder is missing before \"=\"", s)
	case r.to == "":
		return r, fmt.Errorf("--map %q: the destination folder is missing after \"=\"", s)
	case slices.Contains(strings.Split(r.to, "/"), ""):
		return r, fmt.Errorf("--map %q: the destination folder has an empty level", s)
	case strings.ContainsFunc(r.to, isControl) || strings.ContainsFunc(r.from, isControl):
		return r, fmt.Errorf("--map %q: a folder name holds a control character", s)
	}
	return r, nil
}

func isControl(r rune) bool { return r < 0x20 || r == 0x7f }

func parseExclude(s string) (excludeRule, error) {
	if s == "" {
		return excludeRule{}, errors.New("--exclude \"\": the pattern is empty")
	}
	if word, ok := strings.CutPrefix(s, `\`); ok && word != "" && isLetter(word[0]) {
		use, ok := knownUse(s)
		if !ok {
			return excludeRule{}, fmt.Errorf(`--exclude %q: no such special use; known are \All, \Archive, \Drafts, \Flagged, \Junk, \Sent and \Trash`, s)
		}
		return excludeRule{text: s, use: use}, nil
	}
	if strings.HasSuffix(strings.ReplaceAll(s, `\\`, ""), `\`) {
		return excludeRule{}, fmt.Errorf(`--exclude %q: nothing follows the last "\"`, s)
	}
	return excludeRule{text: s}, nil
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// Excluded reports whether a source mailbox is left out, and by which rule.
func (r Rules) Excluded(m mailproof.Mailbox) (rule string, ok bool) {
	for _, x := range r.excludes {
		if x.matches(m) {
			return x.text, true
		}
	}
	return r.outside(m)
}

// mapped returns the destination that a rule names for the mailbox.
func (r Rules) mapped(m mailproof.Mailbox) (to string, rule int, ok bool) {
	path := strings.Join(m.Path(), "/")
	for i, x := range r.maps {
		if x.from == m.Name || x.from == path || m.IsInbox() && strings.EqualFold(x.from, "INBOX") {
			return x.to, i, true
		}
	}
	return "", 0, false
}

// glob matches in time proportional to the length of the pattern times that of
// the name, whatever the pattern.
func glob(pattern, name, separator string) bool {
	p, s := []rune(pattern), []rune(name)
	sep := rune(-1)
	if r := []rune(separator); len(r) == 1 {
		sep = r[0]
	}
	// reach[j]: the pattern so far matches s[:j].
	reach := make([]bool, len(s)+1)
	reach[0] = true
	for i := 0; i < len(p); i++ {
		next := make([]bool, len(s)+1)
		switch p[i] {
		case '*', '%':
			for j := range next {
				next[j] = reach[j] || j > 0 && next[j-1] && (p[i] == '*' || s[j-1] != sep)
			}
		default:
			literal := p[i] != '?'
			if p[i] == '\\' && i+1 < len(p) {
				i++
				literal = true
			}
			for j := 1; j < len(next); j++ {
				next[j] = reach[j-1] && (!literal || s[j-1] == p[i])
			}
		}
		reach = next
	}
	return reach[len(s)]
}
