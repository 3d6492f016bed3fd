package config

import (
	"errors"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/provider"
	"github.com/mailproof/mailproof/diff"
)

// overrides reads the columns by which a row differs from the engagement: maps
// and exclusions, several of them parted by "|", a file of aliases, and whose
// servers they are.
func (r *reader) overrides(e *Entry, get func(string) string) {
	e.Own.Map, e.Own.Exclude = several(get(colMap)), several(get(colExclude))
	if _, err := diff.ParseRules(e.Own.Map, nil); err != nil {
		r.ps.add(e.Line, column(colMap), ruleReason(err), "write OLD=NEW, several of them parted by |")
	}
	if _, err := diff.ParseRules(nil, e.Own.Exclude); err != nil {
		r.ps.add(e.Line, column(colExclude), ruleReason(err))
	}
	if path := get(colAliases); path != "" {
		aliases, err := r.aliasFile(locate(r.dir, path))
		if err != nil {
			r.ps.add(e.Line, column(colAliases), "the file of aliases cannot be used: "+firstLine(err))
		}
		e.Own.Aliases, e.AliasFile = aliases, path
	}
	for _, c := range []struct {
		col   string
		value *string
	}{{colSourceProvider, &e.Own.SourceProvider}, {colDestinationProvider, &e.Own.DestinationProvider}} {
		name := strings.ToLower(get(c.col))
		if err := provider.CheckName(name); err != nil {
			r.ps.add(e.Line, column(c.col), "names no provider that is known", "there are auto, none, "+strings.Join(provider.Names(), ", "))
			continue
		}
		if p, ok := provider.Lookup(name); ok {
			name = p.Name
		}
		*c.value = name
	}
}

func several(cell string) []string {
	var out []string
	for part := range strings.SplitSeq(cell, "|") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

// aliasFile reads each file of aliases once.
func (r *reader) aliasFile(path string) (map[string]string, error) {
	if known, ok := r.aliases[path]; ok {
		return known, nil
	}
	aliases, err := ReadAliases(path)
	if err != nil {
		return nil, err
	}
	if r.aliases == nil {
		r.aliases = map[string]map[string]string{}
	}
	r.aliases[path] = aliases
	return aliases, nil
}

// ruleReason leaves out of an error of a rule the flag that it is not about.
func ruleReason(err error) string {
	text := firstLine(err)
	for _, flag := range []string{"--map ", "--exclude "} {
		text = strings.TrimPrefix(text, flag)
	}
	return text
}

func firstLine(err error) string {
	var list *Error
	if errors.As(err, &list) && len(list.Problems) > 0 {
		return list.Problems[0].Error()
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// at is the side for a row that names a provider with one server for all.
func (s sideDefaults) at(name string) sideDefaults {
	p, ok := provider.Lookup(name)
	if !ok || p.Host == "" {
		return s
	}
	t := mailproof.Endpoint{User: "{user}", Host: p.Host, Port: p.Port}
	if s.given {
		t.User, t.Authz = s.template.User, s.template.Authz
	}
	s.template, s.given = t, true
	return s
}
