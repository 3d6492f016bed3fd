package dnsaudit

import (
	"fmt"
	"strings"

	"golang.org/x/net/idna"
)

// UnicodeDomain returns a domain as people write it: internationalised labels
// decoded (RFC 5891 §5.3), without the final dot. What does not decode into a
// name that encodes back to the same is returned as it is, so that no label
// can pass for another.
func UnicodeDomain(domain string) string {
	domain = strings.TrimSuffix(domain, ".")
	shown, err := idna.Display.ToUnicode(domain)
	if err != nil {
		return domain
	}
	if back, err := idna.Lookup.ToASCII(shown); err != nil || !strings.EqualFold(back, domain) {
		return domain
	}
	return shown
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
