package diff

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/mailproof/mailproof"
)

// FolderMap says to which destination mailbox each source mailbox belongs. It
// is a pure function of the two lists and the rules, and it does not change
// when the mailboxes that it names are created.
type FolderMap struct {
	targets map[string]string // source name → destination name
	order   []string          // source names in the order of the list
}

// Target returns the whole name of the destination mailbox, in the
// destination's own separator and namespace. It is false for a mailbox that
// is excluded or was not in the list.
func (f FolderMap) Target(source string) (string, bool) {
	if strings.EqualFold(source, "INBOX") {
		source = "INBOX"
	}
	t, ok := f.targets[source]
	return t, ok
}

// Sources lists the mapped source mailboxes in the order of the source's list.
func (f FolderMap) Sources() []string { return slices.Clone(f.order) }

const warnRuleUnused = "rule-unused"

// Warning tells of a mapping that somebody should look at.
type Warning struct {
	Code   string // "merged", "renamed", "rule-unused", "case"
	Source string // the source mailbox; for rule-unused the rule
	Target string
	Text   string // in plain words
}

// String returns the plain words.
func (w Warning) String() string { return w.Text }

// NewFolderMap maps source mailboxes to destination mailboxes. In order of
// precedence:
//
//  1. a --map rule, also for whatever lies below the mailbox it names;
//  2. INBOX to INBOX;
//  3. a destination mailbox of exactly the same path;
//  4. a destination mailbox of the same special use (RFC 6154);
//  5. a destination mailbox of the same well-known name class, such as Sent and
//     "Sent Items", where the special use is not announced;
//  6. below the destination of the parent, else under the same path, with the
//     separator and the namespace of the destination. A character that cannot
//     stand in a name there becomes "_".
//
// Two source mailboxes have one destination only where rules say so; any other
// meeting is resolved by a number after the name, and every renaming and
// merging is reported as a warning.
func NewFolderMap(source, destination []mailproof.Mailbox, rules Rules) (FolderMap, []Warning) {
	b := newMapper(destination, rules)
	for _, m := range source {
		if _, excluded := rules.Excluded(m); !excluded {
			b.sources = append(b.sources, m)
			if key := pathKey(m.Path()); b.byPath[key].Name == "" {
				b.byPath[key] = m
			}
		}
	}
	b.byRule()
	b.byExactName()
	b.byUse()
	b.byWellKnownName()
	b.byOwnName()
	b.byParent()
	b.warnCase()
	return b.result(), b.warnings
}

// mapper builds a FolderMap step by step; each step claims destinations for
// source mailboxes that have none yet.
type mapper struct {
	rules     Rules
	sep       string
	prefix    string
	refused   string
	sources   []mailproof.Mailbox
	byPath    map[string]mailproof.Mailbox // sources by pathKey
	dest      []mailproof.Mailbox
	existing  map[string]string // key → name as the destination spells it
	targets   map[string]string // source name → destination name
	claimed   map[string]string // destination key → source name
	explicit  map[string]bool   // source names mapped by a rule, or below one
	usesTaken map[mailproof.SpecialUse]bool
	warnings  []Warning
}

func newMapper(destination []mailproof.Mailbox, rules Rules) *mapper {
	b := &mapper{
		rules: rules, sep: rules.Separator, prefix: rules.Prefix, dest: destination,
		byPath: map[string]mailproof.Mailbox{}, existing: map[string]string{}, targets: map[string]string{}, claimed: map[string]string{},
		explicit: map[string]bool{}, usesTaken: map[mailproof.SpecialUse]bool{},
	}
	for _, m := range destination {
		b.existing[nameKey(m.Name)] = m.Name
		if b.sep == "" {
			b.sep = m.Separator
		}
		if b.prefix == "" {
			b.prefix = m.Prefix
		}
	}
	if b.sep == "" && len(destination) == 0 {
		b.sep = "/"
	}
	b.refused = rules.Refused + b.sep
	return b
}

// nameKey is what two spellings of one mailbox name share: INBOX has no case,
// and a server may store another Unicode normalisation than it was given.
func nameKey(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return norm.NFC.String(name)
}

// render writes a path as a destination name.
func (b *mapper) render(path []string) string {
	if len(path) == 1 && strings.EqualFold(path[0], "INBOX") {
		return "INBOX"
	}
	// Where the namespace is the inbox's own hierarchy, a child of the inbox
	// is named by the namespace alone.
	if len(path) > 1 && strings.EqualFold(path[0], "INBOX") && strings.EqualFold(b.prefix, "INBOX"+b.sep) {
		path = path[1:]
	}
	sep := b.sep
	if sep == "" {
		sep = "_"
	}
	return b.prefix + strings.Join(path, sep)
}

// clean replaces what cannot stand in one level of a destination name.
func (b *mapper) clean(level string) string {
	if level == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		if isControl(r) || strings.ContainsRune(b.refused, r) {
			return '_'
		}
		return r
	}, level)
}

func (b *mapper) cleanPath(path []string) []string {
	out := make([]string, len(path))
	for i, level := range path {
		out[i] = b.clean(level)
	}
	return out
}

func (b *mapper) claim(m mailproof.Mailbox, target string) {
	b.targets[m.Name] = target
	if _, taken := b.claimed[nameKey(target)]; !taken && !m.NoSelect {
		b.claimed[nameKey(target)] = m.Name
	}
}

func (b *mapper) isClaimed(target string) bool {
	_, ok := b.claimed[nameKey(target)]
	return ok
}

// pending yields the source mailboxes without a destination, parents first.
func (b *mapper) pending() []mailproof.Mailbox {
	var out []mailproof.Mailbox
	for _, m := range b.sources {
		if _, done := b.targets[m.Name]; !done {
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(x, y mailproof.Mailbox) int {
		return cmp.Or(cmp.Compare(len(x.Path()), len(y.Path())), cmp.Compare(x.Name, y.Name))
	})
	return out
}

// parent returns the nearest ancestor of a source mailbox that has a
// destination, and the levels below it.
func (b *mapper) parent(m mailproof.Mailbox) (ancestor mailproof.Mailbox, below []string, ok bool) {
	path := m.Path()
	for n := len(path) - 1; n > 0; n-- {
		if a, listed := b.byPath[pathKey(path[:n])]; listed {
			if _, done := b.targets[a.Name]; done {
				return a, path[n:], true
			}
		}
	}
	return ancestor, path, false
}

func pathKey(path []string) string { return strings.Join(path, "\x00") }

func (b *mapper) byRule() {
	used := make([]bool, len(b.rules.maps))
	for _, m := range b.pending() {
		to, rule, ok := b.rules.mapped(m)
		switch {
		case ok:
			used[rule] = true
			b.claimExplicit(m, b.ruleTarget(to))
		case m.IsInbox():
			b.claim(m, "INBOX")
		default:
			if a, below, ok := b.parent(m); ok && b.explicit[a.Name] {
				b.claimExplicit(m, b.below(a, below))
			}
		}
	}
	for i, r := range b.rules.maps {
		if !used[i] {
			b.warn(warnRuleUnused, r.from+"="+r.to, r.to, fmt.Sprintf("--map %q: the source has no folder %q", r.from+"="+r.to, r.from))
		}
	}
}

func (b *mapper) claimExplicit(m mailproof.Mailbox, target string) {
	if first, taken := b.claimed[nameKey(target)]; taken {
		b.warnMerged(m.Name, first, target)
	}
	b.explicit[m.Name] = true
	b.claim(m, target)
}

func (b *mapper) warnMerged(source, first, target string) {
	b.warn("merged", source, target, fmt.Sprintf("folder %q joins folder %q in %q, as --map says", source, first, target))
}

// ruleTarget reads the right-hand side of a --map rule.
func (b *mapper) ruleTarget(to string) string {
	if name, ok := b.existing[nameKey(to)]; ok {
		return name
	}
	path := strings.Split(to, "/")
	if len(path) == 1 && b.sep != "" {
		to = strings.TrimPrefix(to, b.prefix)
		path = strings.Split(to, b.sep)
	}
	return b.spell(b.render(b.cleanPath(path)))
}

// spell returns the name as an existing mailbox spells it.
func (b *mapper) spell(name string) string {
	if existing, ok := b.existing[nameKey(name)]; ok {
		return existing
	}
	return name
}

// below names a mailbox some levels below the destination of its ancestor.
func (b *mapper) below(ancestor mailproof.Mailbox, levels []string) string {
	parent := b.targets[ancestor.Name]
	clean := b.cleanPath(levels)
	if parent == "INBOX" {
		return b.spell(b.render(append([]string{"INBOX"}, clean...)))
	}
	sep := b.sep
	if sep == "" {
		sep = "_"
	}
	return b.spell(parent + sep + strings.Join(clean, sep))
}

// natural is the name under which a mailbox would keep its own path; false
// where a level of it cannot stand in a destination name.
func (b *mapper) natural(m mailproof.Mailbox) (string, bool) {
	path := m.Path()
	if !slices.Equal(path, b.cleanPath(path)) || len(path) == 1 && strings.EqualFold(path[0], "INBOX") && !m.IsInbox() {
		return "", false
	}
	return b.spell(b.render(path)), true
}

func (b *mapper) byExactName() {
	for _, m := range b.pending() {
		name, ok := b.natural(m)
		if !ok {
			// A server may list what it would refuse to create.
			name = b.spell(b.render(m.Path()))
		}
		if _, exists := b.existing[nameKey(name)]; !exists || nameKey(name) == "INBOX" {
			continue
		}
		switch first, taken := b.claimed[nameKey(name)]; {
		case !taken:
			b.claim(m, name)
		case b.explicit[first]:
			b.warnMerged(m.Name, first, name)
			b.claim(m, name)
		}
	}
}

// byUse pairs what both sides announce.
func (b *mapper) byUse() {
	for _, m := range b.sources {
		if _, done := b.targets[m.Name]; done && m.SpecialUse != "" {
			b.usesTaken[roleOf(m)] = true
		}
	}
	for _, m := range b.pending() {
		role := roleOf(m)
		if m.SpecialUse == "" || m.NoSelect || b.usesTaken[role] {
			continue
		}
		b.claimRole(m, role, func(d mailproof.Mailbox) bool { return d.SpecialUse != "" })
	}
}

// byWellKnownName pairs by name what at least one side does not announce.
func (b *mapper) byWellKnownName() {
	announced := map[mailproof.SpecialUse]bool{}
	for _, d := range b.dest {
		if d.SpecialUse != "" {
			announced[roleOf(d)] = true
		}
	}
	sourceAnnounces := map[mailproof.SpecialUse]bool{}
	for _, m := range b.sources {
		role := roleOf(m)
		if _, done := b.targets[m.Name]; done && role != "" {
			b.usesTaken[role] = true
		}
		if m.SpecialUse != "" && !m.NoSelect {
			sourceAnnounces[role] = true
		}
	}
	for _, m := range b.pending() {
		role := roleOf(m)
		if role == "" || m.NoSelect || b.usesTaken[role] || m.SpecialUse == "" && sourceAnnounces[role] {
			continue
		}
		b.claimRole(m, role, func(d mailproof.Mailbox) bool { return d.SpecialUse != "" || !announced[role] })
	}
}

// claimRole gives m the first free destination of the role, in order of name.
func (b *mapper) claimRole(m mailproof.Mailbox, role mailproof.SpecialUse, admissible func(mailproof.Mailbox) bool) {
	best := ""
	for _, d := range b.dest {
		if !d.NoSelect && !d.IsInbox() && roleOf(d) == role && admissible(d) && !b.isClaimed(d.Name) && (best == "" || d.Name < best) {
			best = d.Name
		}
	}
	if best != "" {
		b.claim(m, best)
		b.usesTaken[role] = true
	}
}

// byOwnName lets mailboxes keep their path, unless an ancestor got another
// one. It goes before byParent, so that a name that is made up never takes
// one that is borne.
func (b *mapper) byOwnName() {
	for _, m := range b.pending() {
		name, ok := b.natural(m)
		if !ok || b.isClaimed(name) && !m.NoSelect {
			continue
		}
		if a, below, has := b.parent(m); has && b.below(a, below) != name {
			continue
		}
		b.claim(m, name)
	}
}

// byParent names the rest after their parent's destination.
func (b *mapper) byParent() {
	for _, m := range b.pending() {
		var name string
		if a, below, ok := b.parent(m); ok {
			name = b.below(a, below)
		} else {
			name = b.spell(b.render(b.cleanPath(m.Path())))
		}
		free := name
		for n := 2; !m.NoSelect && (b.isClaimed(free) || nameKey(free) == "INBOX"); n++ {
			free = b.spell(fmt.Sprintf("%s (%d)", name, n))
		}
		b.claim(m, free)
		if free != name || !slices.Equal(m.Path(), b.cleanPath(m.Path())) {
			b.warn("renamed", m.Name, free, fmt.Sprintf("folder %q becomes %q on the destination", m.Name, free))
		}
	}
}

// warnCase reports destinations that a server without regard to case would
// take for one.
func (b *mapper) warnCase() {
	seen := map[string]string{}
	for _, m := range b.sources {
		target, ok := b.targets[m.Name]
		if !ok || m.NoSelect {
			continue
		}
		folded := strings.ToLower(nameKey(target))
		if first, clash := seen[folded]; clash && first != target {
			b.warn("case", m.Name, target, fmt.Sprintf("folders %q and %q of the destination differ in case only, which some servers disregard", first, target))
			continue
		}
		seen[folded] = target
	}
}

func (b *mapper) warn(code, source, target, text string) {
	b.warnings = append(b.warnings, Warning{Code: code, Source: source, Target: target, Text: text})
}

func (b *mapper) result() FolderMap {
	f := FolderMap{targets: make(map[string]string, len(b.targets))}
	for _, m := range b.sources {
		name := m.Name
		if m.IsInbox() {
			name = "INBOX"
		}
		f.targets[name] = b.targets[m.Name]
		f.order = append(f.order, name)
	}
	return f
}
