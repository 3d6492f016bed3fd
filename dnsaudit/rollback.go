package dnsaudit

import (
	"slices"
	"strings"
)

// The first line of a domain's part of a rollback list.
const (
	rollbackHead = "; "
	rollbackSeen = " as observed "
	rollbackTail = ": to go back, put these records in place again"
)

// MergeRollback adds the records of the plans to a rollback list, which holds
// a part for each domain. What the list has of a domain stays, since by now the
// zone may have changed, unless replace is set; what it has of other domains,
// and what people wrote into it, always stays. A plan with something unknown is
// left out: half of the records are no way back. It returns the list, and the
// domains whose part was written and whose earlier part was kept.
func MergeRollback(list string, plans []Plan, replace bool) (merged string, written, kept []string) {
	head, parts := splitRollback(list)
	for _, p := range plans {
		at := slices.IndexFunc(parts, func(s rollbackPart) bool { return s.domain == p.Domain })
		switch {
		case at >= 0 && (!replace || len(p.Unknown) > 0):
			kept = append(kept, p.Domain)
			continue
		case len(p.Unknown) > 0:
			continue
		case at < 0:
			parts, at = append(parts, rollbackPart{domain: p.Domain}), len(parts)
		}
		parts[at].text = RollbackZone([]Plan{p})
		written = append(written, p.Domain)
	}
	var b strings.Builder
	b.WriteString(head)
	for _, s := range parts {
		if b.Len() > 0 && !strings.HasSuffix(b.String(), "\n") {
			b.WriteByte('\n')
		}
		b.WriteString(s.text)
	}
	return b.String(), written, kept
}

// rollbackPart is the lines of one domain.
type rollbackPart struct{ domain, text string }

// splitRollback takes a rollback list apart. What stands before the first part
// is the head.
func splitRollback(list string) (head string, parts []rollbackPart) {
	for line := range strings.SplitAfterSeq(list, "\n") {
		if domain, ok := rollbackDomain(line); ok {
			parts = append(parts, rollbackPart{domain, line})
			continue
		}
		if len(parts) == 0 {
			head += line
		} else {
			parts[len(parts)-1].text += line
		}
	}
	return head, parts
}

// rollbackDomain reads the domain of a first line.
func rollbackDomain(line string) (string, bool) {
	line = strings.TrimRight(line, "\r\n")
	rest, ok := strings.CutPrefix(line, rollbackHead)
	if !ok || !strings.HasSuffix(rest, rollbackTail) {
		return "", false
	}
	name, _, ok := strings.Cut(rest, rollbackSeen)
	if _, ascii, found := strings.Cut(name, " ("); found {
		name = strings.TrimSuffix(ascii, ")")
	}
	return name, ok && name != "" && !strings.ContainsAny(name, " ()")
}
