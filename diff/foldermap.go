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
	uses    map[string]mailproof.SpecialUse
}

// Use returns the special use that the destination mailbox is to be created
// with. Of several source mailboxes that announce one use only the first asks
// for it: to give it to another would draw the first one there.
func (f FolderMap) Use(source string) mailproof.SpecialUse { return f.uses[source] }

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
//  4. a destination mailbox of the same special use (RFC 6154) or, where a side
//     does not announce it, of a well-known name for that use, such as "Sent
//     Items"; it goes to the source mailbox that announces the use, else to
//     the one with a well-known name for it, if there is but one;
//  5. below the destination of the parent, else under the same path, with the
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
	b.byRole()
	b.byOwnName()
	b.byParent()
	b.warnCase()
	return b.result(), b.warnings
}

// mapper builds a FolderMap step by step; each step claims destinations for
// source mailboxes that have none yet.
type mapper struct {
	rules    Rules
	sep      string
	prefix   string
	refused  string
	sources  []mailproof.Mailbox
	byPath   map[string]mailproof.Mailbox // sources by pathKey
	dest     []mailproof.Mailbox
	existing map[string]string // key → name as the destination spells it
	targets  map[string]string // source name → destination name
	claimed  map[string]string // destination key → source name
	owners   map[string]string // key → source name, see owner
	explicit map[string]bool   // source names mapped by a rule, or below one
	warnings []Warning
}

func newMapper(destination []mailproof.Mailbox, rules Rules) *mapper {
	b := &mapper{
		rules: rules, sep: rules.Separator, prefix: rules.Prefix, dest: destination,
		byPath: map[string]mailproof.Mailbox{}, existing: map[string]string{}, targets: map[string]string{}, claimed: map[string]string{},
		explicit: map[string]bool{},
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
	return b.inOrder(out)
}

func (b *mapper) inOrder(list []mailproof.Mailbox) []mailproof.Mailbox {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(x, y mailproof.Mailbox) int {
		return cmp.Or(cmp.Compare(len(x.Path()), len(y.Path())), cmp.Compare(x.Name, y.Name))
	})
	return list
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

// own is the name of a mailbox that keeps its path, without what cannot stand
// in a destination name. A folder named INBOX that is not the inbox stays a
// folder of the namespace.
func (b *mapper) own(m mailproof.Mailbox) string {
	path := b.cleanPath(m.Path())
	if len(path) == 1 && strings.EqualFold(path[0], "INBOX") && !m.IsInbox() {
		return b.spell(b.prefix + path[0])
	}
	return b.spell(b.render(path))
}

// natural is own where nothing had to be replaced.
func (b *mapper) natural(m mailproof.Mailbox) (string, bool) {
	path, name := m.Path(), b.own(m)
	return name, slices.Equal(path, b.cleanPath(path)) && b.owner(name, m) == m.Name
}

// owner returns the source mailbox that a name belongs to where two would have
// it: a child of the inbox, say, and a mailbox of the top level.
func (b *mapper) owner(name string, m mailproof.Mailbox) string {
	if nameKey(name) == "INBOX" && !m.IsInbox() {
		return ""
	}
	if b.owners == nil {
		b.owners = map[string]string{}
		for _, s := range b.inOrder(b.sources) {
			if own := nameKey(b.own(s)); b.owners[own] == "" && !s.NoSelect && slices.Equal(s.Path(), b.cleanPath(s.Path())) {
				b.owners[own] = s.Name
			}
		}
	}
	if first, ok := b.owners[nameKey(name)]; ok && !m.NoSelect {
		return first
	}
	return m.Name
}

func (b *mapper) byExactName() {
	for _, m := range b.pending() {
		name, ok := b.natural(m)
		if !ok {
			// A server may list what it would refuse to create.
			name = b.spell(b.render(m.Path()))
		}
		// What a rule names will exist before long.
		first, taken := b.claimed[nameKey(name)]
		if _, exists := b.existing[nameKey(name)]; !exists && !(taken && b.explicit[first]) || nameKey(name) == "INBOX" {
			continue
		}
		switch {
		case !taken:
			b.claim(m, name)
		case b.explicit[first]:
			b.warnMerged(m.Name, first, name)
			b.claim(m, name)
		}
	}
}

// speakers returns the source mailbox that stands for each role: the one that
// announces it, else the only one with a well-known name for it. It depends on
// the source alone: were it to depend on what the destination has, the map
// would change with the mailboxes that it asks for.
func (b *mapper) speakers() map[mailproof.SpecialUse]string {
	announced, named := map[mailproof.SpecialUse]string{}, map[mailproof.SpecialUse][]string{}
	for _, m := range b.sources {
		role := roleOf(m)
		switch {
		case role == "" || m.NoSelect:
		case m.SpecialUse == "":
			named[role] = append(named[role], m.Name)
		case announced[role] == "" || m.Name < announced[role]:
			announced[role] = m.Name
		}
	}
	for role, names := range named {
		if announced[role] == "" && len(names) == 1 {
			announced[role] = names[0]
		}
	}
	return announced
}

// byRole pairs what both sides announce, then by well-known name what at least
// one side does not announce.
func (b *mapper) byRole() {
	speakers := b.speakers()
	announced := map[mailproof.SpecialUse]bool{}
	for _, d := range b.dest {
		if d.SpecialUse != "" && !d.NoSelect {
			announced[roleOf(d)] = true
		}
	}
	for _, m := range b.pending() {
		if role := roleOf(m); role != "" && speakers[role] == m.Name {
			b.claimRole(m, role, func(d mailproof.Mailbox) bool { return d.SpecialUse != "" || !announced[role] })
		}
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

// byParent names the rest after their parent's destination. A name that is made
// up is never one that another mailbox bears on the source, even if that one
// went elsewhere: once it existed, it would draw the other there.
func (b *mapper) byParent() {
	borne := map[string]bool{"INBOX": true}
	for _, m := range b.sources {
		if name, ok := b.natural(m); ok && !m.NoSelect {
			borne[nameKey(name)] = true
		}
	}
	for _, m := range b.pending() {
		ancestor, below, ok := b.parent(m)
		name := b.own(m)
		if ok {
			name = b.below(ancestor, below)
		}
		free := name
		for n := 2; !m.NoSelect && (b.isClaimed(free) || borne[nameKey(free)]); n++ {
			free = b.spell(fmt.Sprintf("%s (%d)", name, n))
		}
		b.claim(m, free)
		if !m.NoSelect && (free != name || !slices.Equal(below, b.cleanPath(below))) {
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
	f := FolderMap{targets: make(map[string]string, len(b.targets)), uses: map[string]mailproof.SpecialUse{}}
	speakers := b.speakers()
	for _, m := range b.sources {
		name := m.Name
		if m.IsInbox() {
			name = "INBOX"
		}
		f.targets[name] = b.targets[m.Name]
		f.order = append(f.order, name)
		if m.SpecialUse != "" && speakers[roleOf(m)] == m.Name {
			f.uses[name] = m.SpecialUse
		}
	}
	return f
}
