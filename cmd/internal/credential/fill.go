package credential

import (
	"context"
	"regexp"
	"strings"
)

var placeholderPattern = regexp.MustCompile(`\{[^{}]*\}`)

// Placeholders returns the names within braces that the reference holds, as in
// age:passwords.age#{address}.
func (r Ref) Placeholders() []string {
	if r.kind == Prompt {
		return nil
	}
	var names []string
	for _, p := range placeholderPattern.FindAllString(r.arg, -1) {
		names = append(names, p[1:len(p)-1])
	}
	return names
}

// Fill puts the values of one account in the place of the placeholders, by
// name. Values are foreign text: one that would name another file, another key
// or an option of a command is refused. The error does not repeat it.
func (r Ref) Fill(values map[string]string) (Ref, error) {
	if len(r.Placeholders()) == 0 {
		return r, nil
	}
	refused := ""
	fill := func(s string, bad func(value string) bool) string {
		return placeholderPattern.ReplaceAllStringFunc(s, func(p string) string {
			value, ok := values[p[1:len(p)-1]]
			if !ok {
				return p
			}
			if value == "" || bad(value) {
				refused = p
			}
			return value
		})
	}
	outsider := func(v string) bool { return strings.ContainsAny(v, "/\\#") || strings.HasPrefix(v, ".") }
	filled := r
	if r.kind == Command {
		words, err := splitWords(r.arg)
		if err != nil {
			return Ref{}, r.fail(err.Error(), "", nil)
		}
		for i, w := range words {
			words[i] = quoteWord(fill(w, func(v string) bool { return i == 0 || strings.HasPrefix(v, "-") }))
		}
		filled.arg = strings.Join(words, " ")
	} else {
		filled.arg = fill(r.arg, outsider)
	}
	if refused != "" {
		return Ref{}, r.fail("cannot be filled in: the account's "+refused+" is empty, or holds what cannot stand there", "give the account's own reference in the list", nil)
	}
	if err := filled.validate(); err != nil {
		return Ref{}, r.fail("makes no reference when it is filled in", "give the account's own reference in the list", nil)
	}
	return filled, nil
}

// quoteWord is the inverse of [splitWords] for one word.
func quoteWord(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// Ask resolves those of the references for which somebody may have to be
// asked, so that no question comes up in the midst of the work, beneath a
// progress display. Failures are kept and come back from [Resolver.Resolve],
// for one account's sake the others are not held up; the error is that of the
// context, or of a question that was answered with the interrupt key.
func (v *Resolver) Ask(ctx context.Context, refs ...Ref) error {
	for _, ref := range refs {
		if ref.kind != Prompt && ref.kind != Age {
			continue
		}
		if _, err := v.Resolve(ctx, ref); err != nil && isCancelled(err) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
