package diff

import (
	"fmt"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// Scope leaves out single messages of the source. Its zero value leaves out
// none. What it leaves out is counted as excluded, under the rule's own name; it
// takes no part in the pairing and is not copied.
//
// Dates are those of INTERNALDATE, as instants; a message without one that can
// be read is never left out by its date. Sizes are those of RFC822.SIZE.
type Scope struct {
	Since   time.Time // earlier messages are left out
	Before  time.Time // messages from then on are left out
	MaxSize int64     // larger messages are left out; 0: none are
}

// IsZero reports whether nothing is left out.
func (s Scope) IsZero() bool { return s == Scope{} }

// Omits names the rule that leaves out a message, if one does.
func (s Scope) Omits(date time.Time, size int64) (rule string, ok bool) {
	switch {
	case !s.Since.IsZero() && !date.IsZero() && date.Before(s.Since):
		return "since " + dateName(s.Since), true
	case !s.Before.IsZero() && !date.IsZero() && !date.Before(s.Before):
		return "before " + dateName(s.Before), true
	case s.MaxSize > 0 && size > s.MaxSize:
		return fmt.Sprintf("max-size %d octets", s.MaxSize), true
	}
	return "", false
}

// dateName writes a date as it was given.
func dateName(t time.Time) string {
	if t.Equal(t.UTC().Truncate(24 * time.Hour)) {
		return t.UTC().Format(time.DateOnly)
	}
	return t.Format(time.RFC3339)
}

// OtherFolders begins the name of the rule that [Rules.Only] makes; the patterns
// follow.
const OtherFolders = "folders other than "

// Only returns the rules with all source mailboxes left out that none of the
// patterns matches, which are of the form of --exclude. Without a pattern it
// leaves out nothing more.
func (r Rules) Only(patterns []string) (Rules, error) {
	r.only, r.onlyText = nil, ""
	for _, p := range patterns {
		rule, err := parseExclude(p)
		if err != nil {
			return r, fmt.Errorf("%s", strings.ReplaceAll(err.Error(), "--exclude", "--folder"))
		}
		r.only = append(r.only, rule)
	}
	if len(patterns) > 0 {
		r.onlyText = OtherFolders + strings.Join(patterns, ", ")
	}
	return r, nil
}

// matches reports whether a pattern is about a mailbox.
func (x excludeRule) matches(m mailproof.Mailbox) bool {
	if x.use != "" {
		return roleOf(m) == x.use
	}
	return glob(x.text, m.Name, m.Separator) || glob(x.text, strings.Join(m.Path(), "/"), "/") ||
		m.IsInbox() && strings.EqualFold(x.text, "INBOX")
}

// outside reports whether a mailbox is none of those that alone are wanted.
func (r Rules) outside(m mailproof.Mailbox) (rule string, ok bool) {
	for _, x := range r.only {
		if x.matches(m) {
			return "", false
		}
	}
	return r.onlyText, len(r.only) > 0
}

// leftOut counts a message that a rule leaves out of a folder that was read.
func (a *account) leftOut(s *side, res *Result) {
	if s != a.e.src || res.Verdict != mailproof.Excluded {
		return
	}
	if a.result.ExcludedBy == nil {
		a.result.ExcludedBy = map[string]int64{}
	}
	a.result.ExcludedBy[res.Reasons[0].Evidence]++
}

// beyond names the rule that a destination message without counterpart falls
// under: its original, if there is one, was left out, and so it is no extra
// message. What a rule says of folders holds where no source folder that is
// compared is mapped to the message's own.
func (a *account) beyond(r *mailproof.Row) (rule string, ok bool) {
	if rule, ok = a.o.Rules.Scope.Omits(r.InternalDate, r.Size); ok {
		return rule, true
	}
	for i, target := range a.e.target {
		if target == r.Mailbox && !a.e.src.out[i] {
			return "", false
		}
	}
	return a.o.Rules.Excluded(a.e.dst.boxes[r.Mailbox].Mailbox)
}
