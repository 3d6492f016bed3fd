package dnsaudit

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// UnicodeDomain returns a domain as people write it: internationalised labels
// decoded (RFC 5891 §5.3), without the final dot. What does not decode into a
// name that encodes back to the same is returned as it is, and so is a label
// that could pass for another one: see [readable].
func UnicodeDomain(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	shown, err := idna.Display.ToUnicode(domain)
	if err != nil {
		return domain
	}
	if back, err := idna.Lookup.ToASCII(shown); err != nil || !strings.EqualFold(back, domain) {
		return domain
	}
	labels, decoded := strings.Split(domain, "."), strings.Split(shown, ".")
	if len(labels) != len(decoded) {
		return domain
	}
	for i := range labels {
		if readable(decoded[i], decoded[len(decoded)-1]) {
			labels[i] = decoded[i]
		}
	}
	return strings.Join(labels, ".")
}

// readable reports whether a label may be shown decoded, by about the rules of
// browsers: its letters are of one script, or of several that are written
// together (UTS #39 §5.2, highly restrictive), and it is not one of Cyrillic or
// Greek letters all of which look Latin, under a top-level domain of another
// script.
func readable(label, top string) bool {
	scripts := map[string]bool{}
	lookalikes := true
	for _, r := range label {
		name := scriptOf(r)
		switch name {
		case "Common", "Inherited":
			continue
		case "":
			return false
		}
		scripts[name] = true
		lookalikes = lookalikes && strings.ContainsRune(looksLatin, r)
	}
	if len(scripts) <= 1 {
		cyrillicOrGreek := scripts["Cyrillic"] || scripts["Greek"]
		return !cyrillicOrGreek || !lookalikes || !isASCII(top)
	}
	for _, together := range [][]string{{"Latin", "Han", "Hiragana", "Katakana"}, {"Latin", "Han", "Bopomofo"}, {"Latin", "Han", "Hangul"}} {
		foreign := 0
		for name := range scripts {
			if !slices.Contains(together, name) {
				foreign++
			}
		}
		if foreign == 0 {
			return true
		}
	}
	return false
}

// looksLatin are letters of Cyrillic and Greek that look like Latin ones.
const looksLatin = "асԁеһіјӏорԛѕԝхуъьҽпгѵѡкмтвнз" + "αορυνικτχγωε"

// scriptOf names the script of a character; empty: not known.
func scriptOf(r rune) string {
	for name, table := range unicode.Scripts {
		if unicode.Is(table, r) {
			return name
		}
	}
	return ""
}

// BothNames is a domain for people: as they write it and, where that differs, as
// DNS holds it.
func BothNames(domain string) string {
	name := strings.TrimSuffix(domain, ".")
	if shown := UnicodeDomain(name); shown != name {
		return shown + " (" + name + ")"
	}
	return name
}

// encode writes the names of a profile as DNS holds them, so that they match
// records and stand in zone lines. Patterns and placeholders stay.
func (p *Profile) encode() error {
	lists := []*[]string{&p.SPF, &p.Domains, &p.Autodiscover.CNAME, &p.Autodiscover.SRV}
	p.MX = append([][]string(nil), p.MX...) // they may be those of the profile that this one extends
	for i := range p.MX {
		lists = append(lists, &p.MX[i])
	}
	p.DKIM = append([]Selector(nil), p.DKIM...)
	for i := range p.DKIM {
		lists = append(lists, &p.DKIM[i].CNAME)
	}
	for _, list := range lists {
		*list = append([]string(nil), *list...)
		for i, name := range *list {
			ascii, err := asciiPattern(name)
			if err != nil {
				return err
			}
			(*list)[i] = ascii
		}
	}
	return nil
}

// asciiPattern encodes the labels beyond ASCII of a host pattern, of an
// exchange with its preference, or of a term of SPF.
func asciiPattern(entry string) (string, error) {
	labels := strings.Split(entry, ".")
	for i, label := range labels {
		if isASCII(label) {
			continue
		}
		// "a:", "include:" before the name and " 10" behind it are no part of it
		head, name := "", label
		if at := strings.LastIndexByte(label, ':'); at >= 0 {
			head, name = label[:at+1], label[at+1:]
		}
		name, tail, found := strings.Cut(name, " ")
		ascii, err := idna.Lookup.ToASCII(name)
		if err != nil {
			return "", fmt.Errorf("host %q: %w", entry, err)
		}
		if labels[i] = head + ascii; found {
			labels[i] += " " + tail
		}
	}
	return strings.Join(labels, "."), nil
}
