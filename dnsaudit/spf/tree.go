package spf

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
)

// Bounds of the static analysis: a record that goes beyond them has failed
// long before.
const (
	maxNodes = 200
	maxDepth = 20
	maxTerms = 200 // terms whose addresses are looked up
)

// Problem is one thing that is wrong at a node of the tree.
type Problem string

// The problems.
const (
	NoProblem    Problem = ""
	NoRecord     Problem = "no SPF record"
	ManyRecords  Problem = "more than one SPF record"
	BadSyntax    Problem = "syntax error"
	Unanswered   Problem = "DNS did not answer"
	Loop         Problem = "loop"
	DependsOnMsg Problem = "depends on the message"
	TooLarge     Problem = "tree too large"
)

// Node is the SPF record of one domain in the tree of everything that a
// policy includes.
type Node struct {
	Domain  string
	Term    string // the term that led here; empty at the root
	Records []string
	Record  *Record // nil where there is none that parses
	Problem Problem
	Err     error
	Terms   []Term
	Lookups int // terms with lookups here and below, at worst
	Voids   int // void lookups here and below for an IPv4 sender, at worst
	Voids6  int // for an IPv6 sender
}

// Term is one term of a record with what it costs.
type Term struct {
	Text    string
	Kind    Kind
	Domain  string // the domain that it names; empty where it depends on the message
	Lookups int    // 0 or 1 for the term itself
	Voids   int    // void lookups of the term itself, for an IPv4 sender
	Voids6  int
	MXCount int     // exchanges under an mx
	Problem Problem // DependsOnMsg, Unanswered or none
	Child   *Node   // of include and redirect
}

// Cost returns the lookups of the term and of everything below it.
func (t Term) Cost() int {
	if t.Child != nil {
		return t.Lookups + t.Child.Lookups
	}
	return t.Lookups
}

// Tree is the static analysis of a policy.
type Tree struct {
	Root *Node
	// Complete is false where a branch is unknown: the counts are then lower
	// bounds.
	Complete   bool
	Duplicates []string // domains that are included more than once
}

// Analyse walks every branch of the policy of a domain, whatever a sender
// would match, as far as an evaluation can get: terms behind "all" are parsed
// but not counted, nor is a redirect beside "all" (RFC 7208 §5.1, §6.1).
func Analyse(ctx context.Context, resolver Resolver, domain string) *Tree {
	a := &analysis{ctx: ctx, dns: resolver, tree: &Tree{Complete: true}, seen: map[string]bool{}}
	a.tree.Root = a.node(strings.TrimSuffix(domain, "."), "", nil)
	return a.tree
}

type analysis struct {
	ctx   context.Context
	dns   Resolver
	tree  *Tree
	seen  map[string]bool
	nodes int
	terms int
}

// fail marks a node; unknown marks make the whole tree incomplete.
func (a *analysis) fail(n *Node, p Problem, err error) *Node {
	n.Problem, n.Err = p, err
	if p == Unanswered || p == DependsOnMsg || p == TooLarge {
		a.tree.Complete = false
	}
	return n
}

func (a *analysis) node(domain, via string, above []string) *Node {
	n := &Node{Domain: domain, Term: via}
	for _, up := range above {
		if strings.EqualFold(up, domain) {
			return a.fail(n, Loop, nil)
		}
	}
	if key := strings.ToLower(domain); a.seen[key] {
		a.tree.addDuplicate(key)
	} else {
		a.seen[key] = true
	}
	if a.nodes++; a.nodes > maxNodes || len(above) >= maxDepth {
		return a.fail(n, TooLarge, nil)
	}
	texts, err := a.dns.TXT(a.ctx, domain)
	if err != nil {
		return a.fail(n, Unanswered, err)
	}
	for _, t := range texts {
		if IsRecord(t) {
			n.Records = append(n.Records, t)
		}
	}
	switch len(n.Records) {
	case 0:
		return a.fail(n, NoRecord, nil)
	case 1:
	default:
		return a.fail(n, ManyRecords, nil)
	}
	if n.Record, err = Parse(n.Records[0]); err != nil {
		return a.fail(n, BadSyntax, err)
	}
	a.walk(n, append(above[:len(above):len(above)], domain))
	return n
}

func (t *Tree) addDuplicate(domain string) {
	for _, d := range t.Duplicates {
		if d == domain {
			return
		}
	}
	t.Duplicates = append(t.Duplicates, domain)
}

func (a *analysis) walk(n *Node, path []string) {
	directives := n.Record.Directives
	all := n.Record.AllAt()
	if all >= 0 {
		directives = directives[:all]
	}
	for _, d := range directives {
		n.add(a.term(d, n.Domain, path))
	}
	if n.Record.Redirect == "" || all >= 0 {
		return
	}
	t := Term{Text: "redirect=" + n.Record.Redirect, Kind: Include, Lookups: 1}
	a.descend(&t, n.Record.Redirect, n.Domain, path)
	n.add(t)
}

func (n *Node) add(t Term) {
	n.Terms = append(n.Terms, t)
	n.Lookups += t.Cost()
	n.Voids += t.Voids
	n.Voids6 += t.Voids6
	if t.Child != nil {
		n.Voids += t.Child.Voids
		n.Voids6 += t.Child.Voids6
	}
}

func (a *analysis) descend(t *Term, spec, current string, path []string) {
	target, ok := StaticDomain(spec, current)
	if !ok {
		t.Problem, a.tree.Complete = DependsOnMsg, false
		return
	}
	t.Domain = target
	t.Child = a.node(target, t.Text, path)
}

func (a *analysis) term(d Directive, current string, path []string) Term {
	t := Term{Text: d.Text, Kind: d.Kind}
	if !d.Kind.Looks() {
		return t
	}
	t.Lookups = 1
	if d.Kind == Include {
		a.descend(&t, d.Domain, current, path)
		return t
	}
	target, ok := StaticDomain(d.Domain, current)
	if !ok || d.Kind == PTR {
		// whether anything is found depends on the sender; the lookup itself
		// is counted all the same
		t.Problem = DependsOnMsg
		t.Domain = target
		return t
	}
	t.Domain = target
	if a.terms++; a.terms > maxTerms {
		t.Problem, a.tree.Complete = TooLarge, false
		return t
	}
	if err := a.count(&t, target); err != nil {
		t.Problem, a.tree.Complete = Unanswered, false
	}
	return t
}

// count finds the void lookups of a, mx and exists.
func (a *analysis) count(t *Term, target string) error {
	switch t.Kind {
	case A:
		return a.addresses(t, target)
	case Exists:
		got, err := a.dns.Addresses(a.ctx, target, false)
		if err == nil && len(got) == 0 {
			t.Voids++
			t.Voids6++
		}
		return err
	default: // MX
		hosts, err := a.dns.MX(a.ctx, target)
		if err != nil {
			return err
		}
		t.MXCount = len(hosts)
		if len(hosts) == 0 {
			t.Voids++
			t.Voids6++
		}
		for _, host := range hosts[:min(len(hosts), MaxMX)] {
			if err := a.addresses(t, host); err != nil {
				return err
			}
		}
		return nil
	}
}

func (a *analysis) addresses(t *Term, name string) error {
	four, err := a.dns.Addresses(a.ctx, name, false)
	if err != nil {
		return err
	}
	six, err := a.dns.Addresses(a.ctx, name, true)
	if err != nil {
		return err
	}
	t.Voids += voidOf(four)
	t.Voids6 += voidOf(six)
	return nil
}

func voidOf(addrs []netip.Addr) int {
	if len(addrs) == 0 {
		return 1
	}
	return 0
}

// Nodes calls yield for every node of the tree, parents first, until it
// returns false.
func (t *Tree) Nodes(yield func(*Node) bool) { t.Root.each(yield) }

func (n *Node) each(yield func(*Node) bool) bool {
	if !yield(n) {
		return false
	}
	for _, term := range n.Terms {
		if term.Child != nil && !term.Child.each(yield) {
			return false
		}
	}
	return true
}

// Names reports whether the policy, anywhere in the tree, has a term of a kind
// that names the domain; a redirect counts as an include.
func (t *Tree) Names(kind Kind, domain string) bool {
	for n := range t.Nodes {
		for _, term := range n.Terms {
			if term.Kind == kind && strings.EqualFold(term.Domain, domain) {
				return true
			}
		}
	}
	return false
}

// String prints the tree, one term per line, with the lookups of each branch.
func (t *Tree) String() string {
	var b strings.Builder
	t.Root.print(&b, "")
	return b.String()
}

func (n *Node) print(b *strings.Builder, indent string) {
	fmt.Fprintf(b, "%s%s: %s", indent, n.Domain, plural(n.Lookups, "lookup"))
	if n.Voids > 0 {
		fmt.Fprintf(b, ", %d void", n.Voids)
	}
	if n.Problem != NoProblem {
		fmt.Fprintf(b, " (%s)", n.describe())
	}
	b.WriteByte('\n')
	for _, t := range n.Terms {
		if t.Lookups == 0 {
			continue
		}
		fmt.Fprintf(b, "%s  %s: %d", indent, t.Text, t.Cost())
		if t.Voids > 0 {
			fmt.Fprintf(b, ", %d void", t.Voids)
		}
		if t.Problem != NoProblem {
			fmt.Fprintf(b, " (%s)", t.Problem)
		}
		b.WriteByte('\n')
		if t.Child != nil {
			t.Child.print(b, indent+"    ")
		}
	}
}

func (n *Node) describe() string {
	if n.Err != nil {
		return string(n.Problem) + ": " + n.Err.Error()
	}
	return string(n.Problem)
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}
