package provider

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/mailproof/mailproof"
)

// pathOf is a mailbox name as presets write it.
func pathOf(m mailproof.Mailbox) string { return strings.Join(m.Path(), "/") }

func same(a, b string) bool { return strings.EqualFold(norm.NFC.String(a), norm.NFC.String(b)) }

func named(list []string, name string) bool {
	return slices.ContainsFunc(list, func(n string) bool { return same(n, name) })
}

// Use returns the special use that the provider's name for a folder stands for;
// empty where it stands for none.
func (p *Provider) Use(m mailproof.Mailbox) mailproof.SpecialUse {
	if p == nil || m.IsInbox() {
		return ""
	}
	name := pathOf(m)
	for _, s := range p.Special {
		if named(s.Names, name) {
			return s.Use
		}
	}
	return ""
}

// Annotate returns the mailboxes with the special uses that the provider's
// names for them stand for. What a server announces stands: a use that one
// mailbox announces is given to no other, nor is one that two names stand for.
// On the source, special folders of a container such as "[Gmail]" lose it, so
// that they are looked for, and made, at the top level of the destination.
func (p *Provider) Annotate(side mailproof.Side, boxes []mailproof.Mailbox) []mailproof.Mailbox {
	if p == nil {
		return boxes
	}
	out := slices.Clone(boxes)
	announced := map[mailproof.SpecialUse]bool{}
	for _, m := range out {
		announced[m.SpecialUse] = true
	}
	by := map[mailproof.SpecialUse]int{}
	count := map[mailproof.SpecialUse]int{}
	for i, m := range out {
		if m.SpecialUse != "" || m.NoSelect {
			continue
		}
		if use := p.Use(m); use != "" && !announced[use] {
			by[use] = i
			count[use]++
		}
	}
	for use, i := range by {
		if count[use] == 1 {
			out[i].SpecialUse = use
		}
	}
	if side == mailproof.Source {
		for i := range out {
			p.uncontain(&out[i])
		}
	}
	return out
}

// uncontain takes a mailbox out of its container.
func (p *Provider) uncontain(m *mailproof.Mailbox) {
	for _, prefix := range p.SourcePrefix {
		if whole := m.Prefix + prefix; m.SpecialUse != "" && len(m.Name) > len(whole) && strings.HasPrefix(m.Name, whole) {
			m.Prefix = whole
			return
		}
	}
}

// Omitted reports whether a folder of a source stays behind, and why. Of a
// verified one the caller must see first that its messages lie elsewhere.
func (p *Provider) Omitted(m mailproof.Mailbox) (o Omission, ok bool) {
	if p == nil || m.IsInbox() {
		return o, false
	}
	name, use := pathOf(m), m.SpecialUse
	if use == "" {
		use = p.Use(m)
	}
	for _, o := range p.Omit {
		if o.Use != "" && o.Use == use {
			return o, true
		}
		for _, n := range o.Names {
			if same(n, name) || len(name) > len(n) && name[len(n)] == '/' && same(n, name[:len(n)]) {
				return o, true
			}
		}
	}
	return o, false
}

// Rule is how an omission stands in the ledger and the report as the rule that
// left a folder out.
func (p *Provider) Rule(o Omission) string { return fmt.Sprintf("provider %s: %s", p.Name, o.Why) }

// RefusesName says why the provider takes no folder of this whole name, or "".
// exists says that the folder is there already.
func (p *Provider) RefusesName(m mailproof.Mailbox, exists bool) string {
	if p == nil || m.IsInbox() || exists {
		return ""
	}
	levels := m.Path()
	if i := slices.IndexFunc(p.Reserved, func(r string) bool {
		return len(levels) == 1 && same(r, levels[0]) || strings.HasPrefix(r, "[") && same(r, levels[0])
	}); i >= 0 {
		return fmt.Sprintf("%q is reserved there", p.Reserved[i])
	}
	if p.NameOctets > 0 && len(m.Name) > p.NameOctets {
		return fmt.Sprintf("the name has %d octets, %d is the most there", len(m.Name), p.NameOctets)
	}
	for _, l := range levels {
		if i := strings.IndexAny(l, p.RefusedCharacters); i >= 0 {
			return fmt.Sprintf("the name holds %q, which is refused there", l[i:i+1])
		}
		if p.LevelOctets > 0 && len(l) > p.LevelOctets {
			return fmt.Sprintf("a level of the name has %d octets, %d is the most there", len(l), p.LevelOctets)
		}
	}
	return ""
}
