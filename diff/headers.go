package diff

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// coreFields are the header fields whose change alters a message; "unparsed" is
// what of them was beyond the limits or could not be read. Every other field of
// a Detail is a note.
var coreFields = []string{"date", "from", "to", "cc", "subject", "unparsed"}

// displayNames is the field of a Detail that holds the names beside addresses.
const displayNames = "names"

// fieldHash returns the hash of a field, zero where it is absent or empty.
func fieldHash(d *mailproof.Detail, name string) mailproof.Short {
	f, ok := d.Digest(name)
	switch {
	case !ok, f.Value == "" && (f.Hash.IsZero() || f.Hash == mailproof.FieldHash(name, "")):
		return mailproof.Short{}
	case f.Hash.IsZero():
		return mailproof.FieldHash(name, f.Value)
	}
	return f.Hash
}

// fieldValue returns the value and whether it is whole.
func fieldValue(d *mailproof.Detail, name string) (value string, whole bool) {
	f, _ := d.Digest(name)
	return f.Value, f.Hash.IsZero() || f.Hash == mailproof.FieldHash(name, f.Value)
}

// headerDamage says which core fields differ.
func headerDamage(src, dst *mailproof.Detail) []mailproof.Reason {
	var out []mailproof.Reason
	for _, name := range coreFields {
		if fieldHash(src, name) == fieldHash(dst, name) {
			continue
		}
		from, wholeFrom := fieldValue(src, name)
		to, wholeTo := fieldValue(dst, name)
		switch {
		case name == "unparsed":
			out = append(out, mailproof.Reason{Code: ReasonHeader, Evidence: "fields that cannot be read as a header"})
		case charsetLoss(from, to):
			out = append(out, mailproof.Reason{Code: ReasonHeaderCharset, Evidence: name + ": " + change(from, to)})
		case name == "date":
			out = append(out, mailproof.Reason{Code: ReasonDate, Evidence: dateChange(from, to)})
		case name == "subject":
			out = append(out, mailproof.Reason{Code: ReasonSubject, Evidence: change(from, to)})
		case name == "from":
			out = append(out, mailproof.Reason{Code: ReasonSender, Evidence: change(from, to)})
		default:
			out = append(out, recipientChange(name, from, to, wholeFrom && wholeTo))
		}
	}
	return out
}

func dateChange(from, to string) string {
	a, errA := time.Parse(time.RFC3339, from)
	b, errB := time.Parse(time.RFC3339, to)
	if errA != nil || errB != nil {
		return change(from, to)
	}
	return fmt.Sprintf("%s (%s → %s)", shift(b.Sub(a)), from, to)
}

// addresses splits the canonical value of an address field.
func addresses(value string) []string {
	return strings.FieldsFunc(value, func(r rune) bool { return r == ',' || r == ' ' || r == ';' })
}

func recipientChange(name, from, to string, whole bool) mailproof.Reason {
	a, b := addresses(from), addresses(to)
	lost, added := without(a, b), without(b, a)
	evidence := fmt.Sprintf("%s: %s", name, change(from, to))
	switch {
	case to == "":
		return mailproof.Reason{Code: ReasonRecipientsLost, Evidence: evidence}
	case !whole:
		return mailproof.Reason{Code: ReasonRecipientsChanged, Evidence: evidence}
	case len(added) == 0 && len(lost) > 0:
		return mailproof.Reason{Code: ReasonRecipientsLost, Evidence: fmt.Sprintf("%s: without %s", name, quote(strings.Join(lost, ", ")))}
	case len(lost) == 0 && len(added) > 0:
		return mailproof.Reason{Code: ReasonRecipientsAdded, Evidence: fmt.Sprintf("%s: with %s", name, quote(strings.Join(added, ", ")))}
	}
	return mailproof.Reason{Code: ReasonRecipientsChanged, Evidence: evidence}
}

// without returns the elements of a that b lacks, as multisets.
func without(a, b []string) []string {
	rest := slices.Clone(b)
	var out []string
	for _, x := range a {
		if i := slices.Index(rest, x); i >= 0 {
			rest = slices.Delete(rest, i, i+1)
			continue
		}
		out = append(out, x)
	}
	return out
}

// charsetLoss reports whether a value lost its characters outside ASCII and
// nothing else.
func charsetLoss(from, to string) bool {
	if to == "" || !strings.ContainsFunc(from, func(r rune) bool { return r > 0x7f }) {
		return false
	}
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r > 0x7f || r == '?' || r == 'X' || r == '_' {
				return -1
			}
			return r
		}, s)
	}
	return plain(from) == plain(to)
}

// headerNotes says which fields beside the core differ.
func headerNotes(src, dst *mailproof.Detail) []mailproof.Reason {
	var names []string
	for _, d := range []*mailproof.Detail{src, dst} {
		for _, f := range d.Fields {
			if !slices.Contains(coreFields, f.Name) && !slices.Contains(names, f.Name) {
				names = append(names, f.Name)
			}
		}
	}
	slices.Sort(names)
	var out []mailproof.Reason
	for _, name := range names {
		a, b := fieldHash(src, name), fieldHash(dst, name)
		if a == b {
			continue
		}
		code := name
		if name == "in-reply-to" || name == "references" {
			code = "threading"
		}
		switch {
		case name == displayNames:
			code = ReasonDisplayNames
		case b.IsZero():
			code += suffixLost
		case a.IsZero():
			code += suffixAdded
		default:
			code += suffixChanged
		}
		from, _ := fieldValue(src, name)
		to, _ := fieldValue(dst, name)
		out = append(out, mailproof.Reason{Code: code, Evidence: name + ": " + change(from, to)})
	}
	return out
}

// idReason says how the Message-IDs of a pair differ.
func idReason(src, dst *mailproof.Detail) (mailproof.Reason, bool) {
	a, b := src.MessageID, dst.MessageID
	switch {
	case a == b:
		return mailproof.Reason{}, false
	case a == "":
		return mailproof.Reason{Code: ReasonMessageIDAdded, Evidence: quote(b)}, true
	case b == "":
		return mailproof.Reason{Code: ReasonMessageIDLost, Evidence: quote(a)}, true
	}
	return mailproof.Reason{Code: ReasonMessageIDChanged, Evidence: change(a, b)}, true
}

// aliased reports whether two messages differ in nothing but addresses that
// the map explains, and which ones.
func aliased(src, dst *mailproof.Message, aliases map[string]string) (reasons []mailproof.Reason, ok bool) {
	a, b := &src.Fingerprint.Detail, &dst.Fingerprint.Detail
	if len(aliases) == 0 || a.MessageID != b.MessageID || !sameParts(&src.Fingerprint, &dst.Fingerprint) {
		return nil, false
	}
	for _, name := range coreFields {
		if fieldHash(a, name) == fieldHash(b, name) {
			continue
		}
		from, wholeFrom := fieldValue(a, name)
		to, wholeTo := fieldValue(b, name)
		if name != "from" && name != "to" && name != "cc" || !wholeFrom || !wholeTo {
			return nil, false
		}
		var rewritten []string
		for _, address := range addresses(from) {
			if alias, known := aliases[address]; known {
				address = alias
			}
			rewritten = append(rewritten, address)
		}
		if want := addresses(to); len(without(rewritten, want)) > 0 || len(without(want, rewritten)) > 0 {
			return nil, false
		}
		reasons = append(reasons, mailproof.Reason{Code: ReasonRecipientAliased, Evidence: name + ": " + change(from, to)})
	}
	return reasons, len(reasons) > 0
}
