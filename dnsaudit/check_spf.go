package dnsaudit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/dnsaudit/spf"
)

var spfChecks = []check{
	{CheckInfo{"spf.multi", "there is at most one SPF record", "RFC 7208 §3.2, §4.5", always}, spfMany},
	{CheckInfo{"spf.syntax", "every term of the policy and of all it includes parses", "RFC 7208 §4.6", always}, spfSyntax},
	{CheckInfo{"spf.lookups", "the policy costs at most ten DNS lookups, at worst", "RFC 7208 §4.6.4", always}, spfLookups},
	{CheckInfo{"spf.void", "at most two lookups of the policy find nothing", "RFC 7208 §4.6.4", always}, spfVoid},
	{CheckInfo{"spf.mx10", "no mx term leads to more than ten exchanges", "RFC 7208 §4.6.4", always}, spfMX},
	{CheckInfo{"spf.all", "the policy ends in -all, ~all or a redirect", "RFC 7208 §4.7, §5.1", always}, spfAll},
	{CheckInfo{"spf.redirect", "no redirect stands beside all", "RFC 7208 §6.1", always}, spfRedirect},
	{CheckInfo{"spf.include", "every include leads to one policy, without loops or repetition", "RFC 7208 §5.2", always}, spfInclude},
	{CheckInfo{"spf.ptr", "the policy does without ptr", "RFC 7208 §5.5", always}, spfPTR},
	{CheckInfo{"spf.macro", "macros that depend on the message are told, not guessed", "RFC 7208 §7", always}, spfMacro},
	{CheckInfo{"spf.size", "the TXT answer is small enough for UDP everywhere", "RFC 7208 §3.3, §3.4", always}, spfSize},
	{CheckInfo{"spf.type99", "there is no record of the withdrawn type SPF", "RFC 7208 §3.1", always}, spfType99},
	{CheckInfo{"spf.new", "the destination's senders are in the policy before the cut-over", "RFC 7208 §4.6", always}, spfNew},
	{CheckInfo{"spf.old", "the old provider leaves the policy once it is safe", "RFC 7208 §4.6", always}, spfOld},
	{CheckInfo{"spf.resolvers", "the listed resolvers hold the same TXT records as the authoritative servers", "RFC 1034 §4.3.4", always}, spfResolvers},
}

func (d *dossier) txt() *View { return d.view(d.domain, dns.TypeTXT) }

// eachPolicy judges the policy of every TXT variant that has exactly one; the
// others are the business of spf.multi and spf.new.
func (d *dossier) eachPolicy(rule func(*spf.Tree) ruling) mailproof.Finding {
	f := d.txt().judge(func(x variant) ruling {
		tree, ok := d.policyOf(x)
		switch {
		case !ok:
			return ruling{unknown, "more differing policies than are looked into", askAgain}
		case tree.Root.Problem == spf.NoRecord:
			return ruling{info, "no SPF record", ""}
		case tree.Root.Problem == spf.ManyRecords:
			return ruling{info, "several SPF records: none of them counts", ""}
		}
		r := rule(tree)
		if r.observed == "" {
			r.observed = strings.Join(tree.Root.Records, " | ")
		}
		return r
	})
	return f
}

// eachNode judges every node of the tree; what is said of each goes together.
func eachNode(t *spf.Tree, rule func(*spf.Node) ruling) ruling {
	worst := ruling{outcome: pass}
	var seen, remedies []string
	for n := range t.Nodes {
		r := rule(n)
		if r.outcome == pass && (n.Problem == spf.Unanswered || n.Problem == spf.TooLarge) {
			r = ruling{unknown, display(n.Domain) + ": " + whyUnknown(n), askAgain}
		}
		if worse(r.outcome, worst.outcome) {
			worst.outcome = r.outcome
		}
		if r.observed != "" {
			seen = union(seen, []string{r.observed})
		}
		if r.remedy != "" {
			remedies = union(remedies, []string{r.remedy})
		}
	}
	worst.observed, worst.remedy = strings.Join(seen, "; "), strings.Join(remedies, "\n")
	return worst
}

func whyUnknown(n *spf.Node) string {
	if n.Err != nil {
		return n.Err.Error()
	}
	return string(n.Problem)
}

func spfMany(d *dossier) []mailproof.Finding {
	f := d.txt().judge(func(x variant) ruling {
		records := spfRecords(x)
		if len(records) < 2 {
			return ruling{outcome: pass}
		}
		var terms []string
		for _, r := range records {
			terms = union(terms, senderTerms(r))
		}
		var c change
		for _, rr := range x.records {
			if isSPF(rr) {
				c.remove(rr)
			}
		}
		c.create(d.domain, dns.TypeTXT, txtContent(spf.Version+" "+strings.Join(append(terms, "~all"), " ")))
		return ruling{fail, fmt.Sprintf("%d SPF records: %s", len(records), strings.Join(records, " | ")), c.String()}
	})
	return expecting(f, "one SPF record")
}

func isSPF(rr dns.RR) bool {
	txt, ok := rr.(*dns.TXT)
	return ok && spf.IsRecord(unescape(txt.Txt))
}

func spfRecords(x variant) []string {
	var out []string
	for _, t := range x.texts() {
		if spf.IsRecord(t) {
			out = append(out, t)
		}
	}
	return out
}

// senderTerms are the terms of a record but for version, all and redirect.
func senderTerms(record string) []string {
	var out []string
	for _, term := range strings.Fields(record[len(spf.Version):]) {
		bare := strings.ToLower(strings.TrimLeft(term, "+-~?"))
		if bare != "all" && !strings.HasPrefix(bare, "redirect=") {
			out = append(out, term)
		}
	}
	return out
}

// rewriteSPF prints the lines that replace the policy of a variant.
func (d *dossier) rewriteSPF(x variant, edit func(terms []string) []string) string {
	var c change
	for _, rr := range x.records {
		if !isSPF(rr) {
			continue
		}
		c.remove(rr)
		text := unescape(rr.(*dns.TXT).Txt)
		terms := edit(strings.Fields(text[len(spf.Version):]))
		c.create(d.domain, dns.TypeTXT, txtContent(strings.Join(append([]string{spf.Version}, terms...), " ")))
	}
	return c.String()
}

// insertTerm puts a term before "all", or before a redirect, or at the end.
func insertTerm(terms []string, add string) []string {
	at := len(terms)
	for i, t := range terms {
		bare := strings.ToLower(strings.TrimLeft(t, "+-~?"))
		if bare == "all" || strings.HasPrefix(bare, "redirect=") {
			at = i
			break
		}
	}
	out := append([]string(nil), terms[:at]...)
	return append(append(out, add), terms[at:]...)
}

func dropTerms(terms []string, drop func(string) bool) []string {
	var out []string
	for _, t := range terms {
		if !drop(t) {
			out = append(out, t)
		}
	}
	return out
}

func spfSyntax(d *dossier) []mailproof.Finding {
	f := d.eachPolicy(func(t *spf.Tree) ruling {
		return eachNode(t, func(n *spf.Node) ruling {
			switch n.Problem {
			case spf.BadSyntax:
				return ruling{fail, display(n.Domain) + ": " + n.Err.Error(), "correct the term, or drop it: one error anywhere makes the whole policy a permerror"}
			case spf.Unanswered:
				return ruling{unknown, display(n.Domain) + ": " + n.Err.Error(), askAgain}
			}
			return ruling{outcome: pass}
		})
	})
	return expecting(f, "terms of RFC 7208 only")
}

func spfLookups(d *dossier) []mailproof.Finding {
	f := d.eachPolicy(func(t *spf.Tree) ruling {
		n := t.Root.Lookups
		r := ruling{outcome: pass, observed: fmt.Sprintf("%d at worst\n%s", n, strings.TrimSuffix(t.String(), "\n"))}
		switch {
		case n > spf.MaxLookups:
			r.outcome, r.remedy = fail, heaviest(t)
		case !t.Complete && hasUnanswered(t):
			r.outcome, r.remedy = unknown, askAgain
		case n >= spf.MaxLookups-1:
			r.outcome, r.remedy = warn, heaviest(t)
		}
		return r
	})
	return expecting(f, "at most 10 lookups")
}

func hasUnanswered(t *spf.Tree) bool {
	for n := range t.Nodes {
		if n.Problem == spf.Unanswered || n.Problem == spf.TooLarge {
			return true
		}
		for _, term := range n.Terms {
			if term.Problem == spf.Unanswered || term.Problem == spf.TooLarge {
				return true
			}
		}
	}
	return false
}

// hasUnknownPolicy reports whether the policy of an included domain is not
// known; addresses that are not known change no policy.
func hasUnknownPolicy(t *spf.Tree) bool {
	for n := range t.Nodes {
		if n.Problem == spf.Unanswered || n.Problem == spf.TooLarge {
			return true
		}
	}
	return false
}

// heaviest names the terms of the domain's own record by what they cost.
func heaviest(t *spf.Tree) string {
	var parts []string
	for _, term := range t.Root.Terms {
		if term.Cost() > 0 {
			parts = append(parts, fmt.Sprintf("%s costs %d", term.Text, term.Cost()))
		}
	}
	return "drop terms that no longer send for the domain: " + strings.Join(parts, ", ")
}

func spfVoid(d *dossier) []mailproof.Finding {
	f := d.eachPolicy(func(t *spf.Tree) ruling {
		voids := t.Root.Voids
		r := ruling{outcome: pass}
		var culprits []string
		for n := range t.Nodes {
			for _, term := range n.Terms {
				if term.Voids > 0 {
					culprits = append(culprits, fmt.Sprintf("%s in the policy of %s", term.Text, display(n.Domain)))
				}
			}
		}
		switch {
		case voids > spf.MaxVoid:
			r.outcome = fail
		case hasUnanswered(t):
			r.outcome = unknown
		case voids == spf.MaxVoid:
			r.outcome = warn
		}
		if len(culprits) > 0 {
			r.observed = fmt.Sprintf("%d lookups find nothing: %s", voids, strings.Join(culprits, ", "))
			r.remedy = "drop " + strings.Join(culprits, ", ")
		}
		return r
	})
	return expecting(f, "at most 2 lookups that find nothing")
}

func spfMX(d *dossier) []mailproof.Finding {
	f := d.eachPolicy(func(t *spf.Tree) ruling {
		return eachNode(t, func(n *spf.Node) ruling {
			for _, term := range n.Terms {
				if term.MXCount > spf.MaxMX {
					return ruling{fail, fmt.Sprintf("%s in the policy of %s leads to %d exchanges", term.Text, display(n.Domain), term.MXCount), "write the addresses out as ip4 and ip6 in place of " + term.Text}
				}
			}
			for _, term := range n.Terms {
				if term.Kind == spf.MX && term.MXCount == 0 && (term.Problem == spf.Unanswered || term.Problem == spf.TooLarge) {
					return ruling{unknown, fmt.Sprintf("%s in the policy of %s: %s", term.Text, display(n.Domain), term.Problem), askAgain}
				}
			}
			return ruling{outcome: pass}
		})
	})
	return expecting(f, "at most 10 exchanges under one mx")
}

func spfAll(d *dossier) []mailproof.Finding {
	f := d.txt().judge(func(x variant) ruling {
		tree, ok := d.policyOf(x)
		if !ok || tree.Root.Record == nil {
			return ruling{outcome: info}
		}
		r := tree.Root.Record
		at := r.AllAt()
		fix := d.rewriteSPF(x, func(terms []string) []string {
			kept := dropTerms(terms, func(t string) bool { return strings.EqualFold(strings.TrimLeft(t, "+-~?"), "all") })
			return append(kept, "~all")
		})
		switch {
		case at < 0 && r.Redirect != "":
			return ruling{outcome: pass}
		case at < 0:
			return ruling{warn, r.Text + ": it ends without all or redirect, which is neutral", fix}
		case r.Directives[at].Qualifier == spf.Plus:
			return ruling{fail, r.Text + ": everybody may send", fix}
		case r.Directives[at].Qualifier == spf.Query:
			return ruling{warn, r.Text + ": others are neutral", fix}
		}
		return ruling{outcome: pass}
	})
	return expecting(f, "-all or ~all")
}

func spfRedirect(d *dossier) []mailproof.Finding {
	f := d.eachPolicy(func(t *spf.Tree) ruling {
		return eachNode(t, func(n *spf.Node) ruling {
			if n.Record == nil || n.Record.Redirect == "" || n.Record.AllAt() < 0 {
				return ruling{outcome: pass}
			}
			return ruling{warn, fmt.Sprintf("%s: redirect=%s is ignored beside all", display(n.Domain), n.Record.Redirect), "drop redirect=" + n.Record.Redirect + ", or drop all"}
		})
	})
	return expecting(f, "redirect or all, not both")
}

func spfInclude(d *dossier) []mailproof.Finding {
	f := d.eachPolicy(func(t *spf.Tree) ruling {
		r := eachNode(t, func(n *spf.Node) ruling {
			if n.Term == "" {
				return ruling{outcome: pass}
			}
			switch n.Problem {
			case spf.NoRecord, spf.ManyRecords, spf.Loop:
				return ruling{fail, fmt.Sprintf("%s: %s", n.Term, n.Problem), "drop " + n.Term}
			case spf.Unanswered:
				return ruling{unknown, fmt.Sprintf("%s: %s", n.Term, n.Err), askAgain}
			}
			return ruling{outcome: pass}
		})
		if r.outcome == pass && len(t.Duplicates) > 0 {
			return ruling{warn, "included more than once: " + strings.Join(t.Duplicates, ", "), "include each once: every repetition costs its lookups again"}
		}
		return r
	})
	return expecting(f, "includes that lead to one policy each")
}

func spfPTR(d *dossier) []mailproof.Finding {
	f := d.eachPolicy(func(t *spf.Tree) ruling {
		return eachNode(t, func(n *spf.Node) ruling {
			for _, term := range n.Terms {
				if term.Kind == spf.PTR {
					return ruling{warn, fmt.Sprintf("%s in the policy of %s", term.Text, display(n.Domain)), "replace " + term.Text + " by the addresses of the senders"}
				}
			}
			return ruling{outcome: pass}
		})
	})
	return expecting(f, "no ptr")
}

func spfMacro(d *dossier) []mailproof.Finding {
	f := d.eachPolicy(func(t *spf.Tree) ruling {
		return eachNode(t, func(n *spf.Node) ruling {
			for _, term := range n.Terms {
				if term.Problem == spf.DependsOnMsg && term.Kind != spf.PTR {
					return ruling{info, fmt.Sprintf("%s in the policy of %s depends on the message: its branch is not known", term.Text, display(n.Domain)), ""}
				}
			}
			return ruling{outcome: pass}
		})
	})
	return expecting(f, "no macros that depend on the message")
}

func spfSize(d *dossier) []mailproof.Finding {
	f := d.txt().judge(func(x variant) ruling {
		total := 0
		for _, rr := range x.records {
			total += dns.Len(rr)
			if txt, ok := rr.(*dns.TXT); ok && isSPF(rr) {
				for _, s := range txt.Txt {
					if len(unescape([]string{s})) > 255 {
						return ruling{fail, "a string of the record is longer than 255 octets", "split the record into strings of at most 255 octets"}
					}
				}
			}
		}
		text := fmt.Sprintf("%d octets of TXT records", total)
		switch {
		case total > 512:
			return ruling{warn, text + ": more than 512, so that senders without EDNS or TCP get no policy", "move verification records that are no longer needed out of the zone's apex"}
		case total > 450:
			return ruling{warn, text + ": near the 512 that fit into plain UDP", "delete verification records that are no longer needed"}
		}
		return ruling{pass, text, ""}
	})
	return expecting(f, "at most 450 octets")
}

func spfType99(d *dossier) []mailproof.Finding {
	const expected = "no record of type SPF"
	v := d.view(d.domain, dns.TypeSPF)
	if v.unknownType() {
		return one(pass, expected, v.observed(), "")
	}
	f := v.judge(func(x variant) ruling {
		if len(x.records) == 0 {
			return ruling{outcome: pass}
		}
		var c change
		c.removeAll(x.records)
		return ruling{warn, "", c.String()}
	})
	return expecting(f, expected)
}

// names reports whether the policy has an entry of a profile, in its own
// record or in one that it includes.
func names(t *spf.Tree, entry, domain string) bool {
	text := expand(spfTerm(entry), domain)
	record, err := spf.Parse(spf.Version + " " + strings.ReplaceAll(text, "*", "x"))
	if err != nil || len(record.Directives) != 1 {
		return false
	}
	want := record.Directives[0]
	for n := range t.Nodes {
		if n.Record == nil {
			continue
		}
		for _, got := range n.Record.Directives {
			same := leadsToEntry(got.Domain, n.Domain, text, domain) || want.Kind == spf.IP4 || want.Kind == spf.IP6
			if got.Kind == want.Kind && same && got.Prefix == want.Prefix && (got.Qualifier == spf.Plus || n != t.Root) {
				return true
			}
		}
		if want.Kind != spf.Include {
			continue
		}
		if n.Term != "" && leadsToEntry(n.Domain, n.Domain, text, domain) || n.Record.Redirect != "" && leadsToEntry(n.Record.Redirect, n.Domain, text, domain) {
			return true // by redirect
		}
	}
	return false
}

// leadsToEntry reports whether a domain-spec of a policy is that of the term in
// which an entry of a profile is written. A macro that depends on the message
// is compared as it stands.
func leadsToEntry(spec, current, term, domain string) bool {
	target, static := spf.StaticDomain(spec, current)
	if !static {
		target = spec
	}
	_, host, _ := strings.Cut(term, ":")
	host, _, _ = strings.Cut(host, "/")
	return matchHost(host, target, domain)
}

// isEntry reports whether a term of a record is an entry of a profile.
func isEntry(term, entry, domain string) bool {
	kind, host, _ := strings.Cut(strings.ToLower(strings.TrimLeft(term, "+")), ":")
	text := expand(spfTerm(entry), domain)
	wantKind, want, _ := strings.Cut(strings.ToLower(text), ":")
	return kind == wantKind && (host == want || strings.Contains(want, "*") && matchHost(want, host, domain))
}

// ownTerm is the term by which a provider is let into a policy: the first of its
// profile that names a host, and not a pattern of such.
func ownTerm(p Profile, domain string) string {
	entry := p.SPF[0]
	if i := slices.IndexFunc(p.SPF, func(e string) bool { return !strings.Contains(e, "*") }); i > 0 {
		entry = p.SPF[i]
	}
	return expand(spfTerm(entry), domain)
}

// ownTerms are the entries of a profile that show that the provider is let in.
// A macro of it does not: what it lets in is a list of the customer's that
// nobody else can see.
func ownTerms(p Profile) []string {
	return slices.DeleteFunc(slices.Clone(p.SPF), spf.HasMacro)
}

// hidden are the terms whose branch depends on the message, so that nobody can
// tell from the policy who stands in it.
func hidden(t *spf.Tree) []string {
	var out []string
	for n := range t.Nodes {
		for _, term := range n.Terms {
			if term.Problem == spf.DependsOnMsg && term.Kind != spf.PTR {
				out = union(out, []string{term.Text})
			}
		}
	}
	return out
}

func namesAny(t *spf.Tree, entries []string, domain string) bool {
	for _, e := range entries {
		if names(t, e, domain) {
			return true
		}
	}
	return false
}

func spfNew(d *dossier) []mailproof.Finding {
	p := d.cfg.Profile
	out := d.spfHas(p)
	if p.MXOwner == "filter" && p.FilterOutbound && p.filter != nil {
		out = append(out, d.spfHas(*p.filter)...)
	}
	return out
}

// spfHas judges whether the policy lets a provider send.
func (d *dossier) spfHas(p Profile) []mailproof.Finding {
	if len(p.SPF) == 0 {
		return one(info, "", d.txt().observed(), "state what "+p.Title()+" needs in the policy in a profile to have it checked")
	}
	outcome := d.byPhase(info, fail, fail)
	add := ownTerm(p, d.domain)
	f := d.txt().judge(func(x variant) ruling {
		tree, ok := d.policyOf(x)
		records := spfRecords(x)
		switch {
		case !ok:
			return ruling{unknown, "more differing policies than are looked into", askAgain}
		case len(records) == 0:
			var c change
			c.create(d.domain, dns.TypeTXT, txtContent(spf.Version+" "+add+" ~all"))
			return ruling{outcome, "no SPF record", c.String() + otherRegions(p, d.domain)}
		case namesAny(tree, ownTerms(p), d.domain):
			return ruling{pass, strings.Join(records, " | "), ""}
		case hasUnknownPolicy(tree):
			return ruling{unknown, strings.Join(records, " | ") + ": a branch could not be looked up", askAgain}
		}
		fix := d.rewriteSPF(x, func(terms []string) []string { return insertTerm(terms, add) })
		if by := hidden(tree); len(by) > 0 && outcome == fail {
			return ruling{unknown, strings.Join(records, " | ") + ": what " + strings.Join(by, ", ") + " lets in depends on the message",
				"; see in the console of that service whether it lists " + p.Title() + ", or name it in the record:\n" + fix + otherRegions(p, d.domain)}
		}
		return ruling{outcome, strings.Join(records, " | "), fix + otherRegions(p, d.domain)}
	})
	terms := make([]string, 0, len(p.SPF))
	for _, e := range p.SPF {
		terms = append(terms, expand(spfTerm(e), d.domain))
	}
	return expecting(f, strings.Join(terms, " or "))
}

// otherRegions is a note where a provider has several sender policies, one for
// each of its regions: which is the customer's cannot be told from here.
func otherRegions(p Profile, domain string) string {
	if len(p.SPF) < 2 {
		return ""
	}
	terms := make([]string, 0, len(p.SPF)-1)
	for _, e := range p.SPF {
		term := expand(spfTerm(e), domain)
		if strings.Contains(term, "*") {
			term += " (* is your own)"
		}
		if term != ownTerm(p, domain) {
			terms = append(terms, term)
		}
	}
	return "\n; or in its place the one that " + p.Title() + " shows for your region: " + strings.Join(terms, ", ")
}

func spfOld(d *dossier) []mailproof.Finding {
	old := d.cfg.OldProfile
	if old.IsZero() || len(old.SPF) == 0 {
		return one(info, "", d.txt().observed(), "name the old provider to have its leftovers found")
	}
	outcome := info
	if d.cfg.Phase == mailproof.Confirmation && d.isSafe(lookupKey{d.domain, dns.TypeMX}) {
		outcome = warn
	}
	var foreign []string // what the destination does not need as well
	for _, e := range old.SPF {
		if len(missing([]string{e}, d.cfg.Profile.SPF)) > 0 {
			foreign = append(foreign, e)
		}
	}
	f := d.txt().judge(func(x variant) ruling {
		tree, ok := d.policyOf(x)
		switch {
		case !ok:
			return ruling{unknown, "more differing policies than are looked into", askAgain}
		case namesAny(tree, foreign, d.domain):
		case hasUnknownPolicy(tree):
			return ruling{unknown, strings.Join(spfRecords(x), " | ") + ": a branch could not be looked up", askAgain}
		default:
			return ruling{outcome: pass}
		}
		fix := d.rewriteSPF(x, func(terms []string) []string {
			return dropTerms(terms, func(t string) bool {
				return slices.ContainsFunc(foreign, func(e string) bool { return isEntry(t, e, d.domain) })
			})
		})
		return ruling{outcome, strings.Join(spfRecords(x), " | "), fix + "\n; once it is safe: mail already sent by " + old.Title() + " is still under way until then"}
	})
	return expecting(f, "nothing of "+old.Title())
}

func spfResolvers(d *dossier) []mailproof.Finding {
	return d.propagation(d.txt(), d.byPhase(info, info, warn))
}
