package spf

import "strings"

// target expands a domain-spec and cuts it down to 253 octets by dropping
// labels from the left (RFC 7208 §7.3).
func (e *evaluation) target(spec, domain string) (string, error) {
	if spec == "" {
		return domain, nil
	}
	parts, reason := parseMacros(spec, false)
	if reason != "" {
		return "", &SyntaxError{Term: spec, Reason: reason}
	}
	name := strings.TrimSuffix(e.expand(parts, domain), ".")
	for len(name) > 253 {
		_, rest, found := strings.Cut(name, ".")
		if !found {
			break
		}
		name = rest
	}
	return name, nil
}

func (e *evaluation) expand(parts []part, domain string) string {
	var b strings.Builder
	for _, p := range parts {
		if p.letter == 0 {
			b.WriteString(p.literal)
			continue
		}
		b.WriteString(p.transform(e.value(p.letter, domain)))
	}
	return b.String()
}

// value returns what a macro letter stands for (RFC 7208 §7.2).
func (e *evaluation) value(letter byte, domain string) string {
	switch letter {
	case 's':
		return e.local + "@" + e.domain
	case 'l':
		return e.local
	case 'o':
		return e.domain
	case 'd':
		return domain
	case 'i':
		return dotted(e.ip)
	case 'p':
		return e.validatedName(domain)
	case 'v':
		if e.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	case 'h':
		return e.sender.HELO
	case 'c':
		return e.ip.String()
	case 'r':
		return e.sender.Receiver
	default: // 't'
		return timestamp(e.sender.Now)
	}
}

// validatedName is the value of %{p}: the domain itself if it is among the
// validated names, else a name under it, else any, else "unknown".
func (e *evaluation) validatedName(domain string) string {
	names, err := e.dns.PTR(e.ctx, e.ip)
	if err != nil {
		return "unknown"
	}
	valid := e.validated(names)
	for _, name := range valid {
		if strings.EqualFold(name, domain) {
			return name
		}
	}
	for _, name := range valid {
		if under(name, domain) {
			return name
		}
	}
	if len(valid) > 0 {
		return valid[0]
	}
	return "unknown"
}

// explanation fetches and expands the text of exp=. Whatever is wrong with it,
// the default stands in (RFC 7208 §6.2).
func (e *evaluation) explanation(record *Record, domain string) string {
	if record.Exp == "" {
		return DefaultExplanation
	}
	name, err := e.target(record.Exp, domain)
	if err != nil || !validDomain(name) {
		return DefaultExplanation
	}
	texts, err := e.dns.TXT(e.ctx, name)
	if err != nil || len(texts) != 1 {
		return DefaultExplanation
	}
	parts, reason := parseMacros(texts[0], true)
	if reason != "" {
		return DefaultExplanation
	}
	return e.expand(parts, domain)
}
