package report

import (
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/report/chart"
)

const notSealed = "not sealed"

// Foreign texts on page one are cut to these lengths, so that it stays one
// page whatever they hold; sections 2 to 13 have them whole.
const (
	longestName   = 90
	longestOf     = 130
	longestSigner = 60
	longestReply  = 110
)

func (d *Document) issueSuffix() string {
	if d.Issue <= 0 {
		return ""
	}
	return ", " + d.t("issue %d", d.Issue)
}

func (d *Document) customerName() string {
	for _, p := range d.Engagement.Customers {
		if p.Organisation != "" {
			return p.Organisation
		}
	}
	return ""
}

func (d *Document) footer() string {
	parts := []string{}
	if id := or(d.Engagement.ID, d.Engagement.Name, d.customerName()); id != "" {
		parts = append(parts, cut(id, 60))
	}
	if d.Issue > 0 {
		parts = append(parts, d.t("issue %d", d.Issue))
	}
	if d.Evidence.Bundle == "" {
		parts = append(parts, d.t(notSealed))
	} else {
		parts = append(parts, d.t("bundle %s", cut(d.Evidence.Bundle, 40)))
	}
	return strings.Join(parts, " · ")
}

func (d *Document) executive() executive {
	right := d.date(d.Generated, "2 Jan 2006 15:04 UTC")
	if d.Issue > 0 {
		right = d.t("issue %d", d.Issue) + " · " + right
	}
	if id := d.Engagement.ID; id != "" {
		right = d.t("Engagement %s", cut(id, 40)) + " · " + right
	}
	e := executive{
		Left: d.t("E-mail migration sign-off report"), Right: right,
		Name: cut(or(d.customerName(), d.Engagement.Name, d.Engagement.ID, d.t("E-mail migration")), longestName), Of: cut(d.of(), longestOf),
		Mark: verdictMark(d.Verdict), Verdict: strings.Join(d.headline(), " "), Lines: d.headline(), Gloss: d.gloss(), Band: chart.Band(verdictMark(d.Verdict)),
		Lead: d.Lead(), LedgerNote: d.balanceNote(),
		Source: d.Totals.SourceMessages, Destination: d.Totals.DestinationMessages, Paired: d.Totals.DestinationPairedHere,
		Bar:   d.bar(),
		Found: panel{Title: d.t("What was found"), Note: d.t("sections 3 and 4"), Paragraphs: d.found()},
	}
	e.Terms, e.Under = d.terms()
	e.Closes = d.closes()
	if len(d.Accounts) != 1 || d.listedAccounts() > 1 {
		e.Accounts = d.accountLine()
	}
	e.Identity = []definition{
		{Term: d.t("Bundle"), Text: d.sealed(d.Evidence.Bundle)},
		{Term: d.t("Signing key"), Text: d.sealed(d.Evidence.KeyFingerprint)},
	}
	e.Signers = d.signers()
	return e
}

func (d *Document) sealed(s string) cell {
	if s == "" {
		return words(d.t(notSealed))
	}
	return fixed(cut(s, 100))
}

// of says whose mail went from where to where.
func (d *Document) of() string {
	text := d.count(int64(d.listedAccounts()), "account")
	if n := d.Engagement.Domains; len(n) > 0 {
		shown := convert(n[:min(len(n), 3)], d.domain)
		names := d.list(shown)
		if len(n) > len(shown) {
			names = d.t("%s and %s", names, d.count(int64(len(n)-len(shown)), "further domain"))
		}
		text = d.t("%s of %s", text, names)
	}
	if from, to := d.hosts(d.SourceServers), d.hosts(d.DestinationServers); from != "" && to != "" {
		text += d.t(", from %s to %s", from, to)
	}
	return text
}

func (d *Document) hosts(servers []mailproof.ServerInfo) string {
	var names []string
	for _, s := range servers {
		host := s.Address
		if i := strings.LastIndexByte(host, ':'); i > 0 {
			host = host[:i]
		}
		if !slices.Contains(names, host) {
			names = append(names, host)
		}
	}
	if len(names) > 2 {
		return d.count(int64(len(names)), "server")
	}
	return d.list(names)
}

// balanceNote says whether the equation holds. It is never silent on a
// difference.
func (d *Document) balanceNote() cell {
	c := d.Totals
	source, destination := c.SourceMessages-c.SourceSum(), c.DestinationMessages-c.DestinationSum()
	switch {
	case d.Balanced() && c.Unverifiable > 0:
		return words(d.t("both lines balance, difference 0; nothing told of %s", d.count(c.Unverifiable, "message")))
	case d.Balanced():
		return words(d.t("both lines balance, difference 0"))
	case source != 0 || destination != 0:
		return cell{{Text: d.t("does not balance: source differs by %s, destination by %s", comma(source), comma(destination)), Style: bold}}
	case c.Paired() != c.DestinationPairedHere:
		return cell{{Text: d.t("does not balance: %s paired on the source, %s on the destination", comma(c.Paired()), comma(c.DestinationPairedHere)), Style: bold}}
	default:
		return cell{{Text: d.t("does not balance in an account or a folder; see section 7"), Style: bold}}
	}
}

// terms are the numbers of the equation. Terms that are rarely anything but
// zero appear only where they are something; the table of section 4 has all.
func (d *Document) terms() ([]term, map[int]term) {
	c := d.Totals
	terms := []term{
		{Label: []string{d.t("identical")}, Mark: chart.MarkIdentical, N: c.AllIdentical()},
		{Label: []string{d.t("equivalent")}, Mark: chart.MarkEquivalent, N: c.AllEquivalent()},
		{Label: []string{d.t("relocated")}, Mark: chart.MarkRelocated, N: c.Relocated},
		{Label: []string{d.t("altered")}, Mark: chart.MarkAltered, N: c.Altered, Hot: true},
		{Label: []string{d.t("missing")}, Mark: chart.MarkMissing, N: c.Missing, Hot: true},
	}
	if c.DuplicateCollapsed != 0 {
		terms = append(terms, term{Label: d.lines("collapsed\nduplicates"), Mark: chart.MarkCollapsed, N: c.DuplicateCollapsed})
	}
	terms = append(terms, term{Label: d.lines("excluded\nby rule"), Mark: chart.MarkExcluded, N: c.Excluded})
	notChecked := -1
	if c.NotChecked != 0 || c.DestinationNotChecked != 0 {
		notChecked = len(terms)
		terms = append(terms, term{Label: d.lines("not\nchecked"), Mark: chart.MarkUnchecked, N: c.NotChecked, Hot: true})
	}
	terms = append(terms, term{Label: []string{d.t("unreadable")}, Mark: chart.MarkUnread, N: c.Unverifiable, Hot: true})
	under := map[int]term{
		4:              {Label: d.lines("pre-existing\nor extra"), N: c.Extra},
		5:              {Label: d.lines("surplus\nduplicates"), N: c.DuplicateSurplus},
		len(terms) - 1: {Label: []string{d.t("unreadable")}, N: c.DestinationUnreadable, Hot: true},
	}
	if c.DestinationExcluded != 0 {
		under[3] = term{Label: d.lines("excluded\nby rule"), N: c.DestinationExcluded}
	}
	if notChecked >= 0 {
		under[notChecked] = term{Label: d.lines("not\nchecked"), N: c.DestinationNotChecked, Hot: true}
	}
	return terms, under
}

// bar draws the source messages, and pulls out of it what section 8 lists.
func (d *Document) bar() chart.Drawing {
	c := d.Totals
	segments := d.segmentsOf(c)
	listed := d.listed()
	pulled := int64(len(listed)) + d.ExceptionsOmitted
	if d.ExceptionsOmitted == 0 && pulled <= chart.PlainSquares {
		squares := make([]chart.Square, len(listed))
		for i, e := range listed {
			squares[i] = chart.Square{Mark: messageMarks[e.Verdict], Label: cut(e.ID, 8)}
		}
		sortSquares(squares)
		return chart.LedgerBar(d.t, segments, squares, nil, comma(c.SourceMessages))
	}
	return chart.LedgerBar(d.t, segments, nil, d.barGroups(listed), comma(c.SourceMessages))
}

// segmentsOf are the classes of source messages in the order of the bar.
func (d *Document) segmentsOf(c mailproof.Counts) []chart.Segment {
	return []chart.Segment{
		{Name: d.t("identical"), N: c.AllIdentical(), Fill: chart.Identical},
		{Name: d.t("equivalent"), N: c.AllEquivalent(), Fill: chart.Equivalent},
		{Name: d.t("relocated"), N: c.Relocated, Fill: chart.PatternRelocated},
		{Name: d.t("altered"), N: c.Altered, Fill: chart.PatternAltered, Lens: true},
		{Name: d.t("missing"), N: c.Missing, Fill: chart.Missing, Lens: true},
		{Name: d.t("unreadable"), N: c.Unverifiable, Fill: chart.PatternUnread, Lens: true},
		{Name: d.t("collapsed duplicates"), N: c.DuplicateCollapsed, Fill: chart.Line, Lens: true},
		{Name: d.t("not checked"), N: c.NotChecked, Fill: chart.Unread, Lines: true},
		{Name: d.t("excluded by rule"), N: c.Excluded, Fill: chart.Excluded, Lines: true},
	}
}

// sortSquares puts the squares into the order of the bar's segments.
func sortSquares(squares []chart.Square) {
	order := []chart.Mark{chart.MarkAltered, chart.MarkMissing, chart.MarkUnread, chart.MarkCollapsed, chart.MarkUnchecked}
	slices.SortStableFunc(squares, func(a, b chart.Square) int { return slices.Index(order, a.Mark) - slices.Index(order, b.Mark) })
}

// barGroups splits the second bar by verdict and first reason. What the list
// leaves out is taken from the counts, so that nothing is lost.
func (d *Document) barGroups(listed []mailproof.Exception) []chart.Group {
	n, marks := map[string]int64{}, map[string]mailproof.MessageVerdict{}
	byVerdict := map[mailproof.MessageVerdict]int64{}
	for _, e := range listed {
		name := d.t(verdictWords[e.Verdict])
		if len(e.Reasons) > 0 {
			name += ", " + cut(e.Reasons[0].Code, 30)
		}
		n[name]++
		marks[name] = e.Verdict
		byVerdict[e.Verdict]++
	}
	for v, all := range map[mailproof.MessageVerdict]int64{mailproof.Altered: d.Totals.Altered, mailproof.Missing: d.Totals.Missing, mailproof.Unverifiable: d.Totals.Unverifiable} {
		if rest := all - byVerdict[v]; rest > 0 && d.ExceptionsOmitted > 0 {
			name := d.t(verdictWords[v]) + d.t(", not listed")
			n[name], marks[name] = rest, v
		}
	}
	groups := make([]chart.Group, 0, len(n))
	for _, name := range sortedKeys(n) {
		groups = append(groups, chart.Group{Name: name, N: n[name], Fill: fillOf(marks[name])})
	}
	slices.SortStableFunc(groups, func(a, b chart.Group) int { return int(min(max(b.N-a.N, -1), 1)) })
	return groups
}

func fillOf(v mailproof.MessageVerdict) chart.Paint {
	switch v {
	case mailproof.Altered:
		return chart.PatternAltered
	case mailproof.Missing:
		return chart.Missing
	case mailproof.Unverifiable, mailproof.NotChecked:
		return chart.PatternUnread
	}
	return chart.Line
}

func (d *Document) found() []cell {
	paragraphs := []cell{words(d.Scope())}
	share := d.Share()
	if share != "" {
		paragraphs = append(paragraphs, words(share))
	}
	if text := d.unconfirmed(3); text != "" && !d.CutOver.IsZero() {
		paragraphs = append(paragraphs, words(text+" "+d.t("(section 11).")))
	}
	return append(paragraphs, words(d.t("Contacts, calendars, rules, delegates and local PST files were not examined (section 11).")))
}

// unconfirmed says of which domains no audit shows where their mail goes, most of
// them by name; "" where there is none.
func (d *Document) unconfirmed(most int) string {
	if len(d.Unconfirmed) == 0 {
		return ""
	}
	shown := convert(d.Unconfirmed[:min(len(d.Unconfirmed), most)], func(name string) string { return cut(d.domain(name), 60) })
	names := d.list(shown)
	if rest := len(d.Unconfirmed) - len(shown); rest > 0 {
		names = d.t("%s and %s", names, d.count(int64(rest), "further domain"))
	}
	if d.CutOver.IsZero() {
		return d.t("The DNS of %s was not audited after a cut-over: where new mail goes takes no part in the verdict", names)
	}
	return d.t("The DNS of %s was not audited after the cut-over of %s: where new mail goes takes no part in the verdict", names, d.date(d.CutOver, "2 Jan 2006 15:04 UTC"))
}

// closes is the right-hand panel: the exceptions, or what is to be done about
// them.
func (d *Document) closes() panel {
	p := panel{Title: d.t("Exceptions"), Note: d.tallyText() + d.t("; section 8")}
	switch d.Verdict {
	case mailproof.Incomplete:
		p.Title = d.t("What closes it")
	case mailproof.Inconclusive:
		p.Title = d.t("What settles it")
	}
	const most = 5
	items := append(d.exceptionItems(), d.findingItems()...)
	if len(items) > most {
		rest := len(items) - most + 1
		items = append(items[:most-1:most-1], words(d.form(int64(rest), "%s further point in sections 7 to 10.|%s further points in sections 7 to 10.")))
	}
	p.Paragraphs = items
	switch {
	case d.Verdict == mailproof.Incomplete || d.Verdict == mailproof.Inconclusive:
		p.Paragraphs = append(p.Paragraphs, words(d.t("Then read both sides again and issue the report anew.")))
	case len(items) == 0:
		p.Paragraphs = []cell{words(d.t("altered 0, missing 0, unreadable 0. No exception is open, and none was accepted."))}
	}
	return p
}

func (d *Document) tallyText() string {
	n := d.tally()
	text := d.form(n[mailproof.Open], "%s open|%s open") + ", " + d.form(n[mailproof.Accepted], "%s accepted|%s accepted")
	if n[mailproof.Fixed] > 0 {
		text += ", " + d.form(n[mailproof.Fixed], "%s fixed|%s fixed")
	}
	if n[mailproof.Waived] > 0 {
		text += ", " + d.form(n[mailproof.Waived], "%s waived|%s waived")
	}
	if d.ExceptionsOmitted > 0 {
		text += ", " + d.form(d.ExceptionsOmitted, "%s not listed|%s not listed")
	}
	return text
}

// exceptionItems sums the exceptions up by verdict: how many, why, which.
func (d *Document) exceptionItems() []cell {
	type key struct {
		verdict     mailproof.MessageVerdict
		settled     bool
		destination bool
	}
	groups := map[key][]mailproof.Exception{}
	var order []key
	for _, e := range d.listed() {
		k := key{e.Verdict, !e.NeedsDecision(), onDestination(e)}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], e)
	}
	slices.SortStableFunc(order, func(a, b key) int {
		return compareAll(boolInt(a.settled)-boolInt(b.settled), exceptionRank(a.verdict)-exceptionRank(b.verdict), boolInt(a.destination)-boolInt(b.destination))
	})
	var items []cell
	for _, k := range order {
		items = append(items, d.exceptionItem(k.verdict, groups[k], d.Verdict))
	}
	return items
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

func (d *Document) exceptionItem(v mailproof.MessageVerdict, of []mailproof.Exception, overall mailproof.Verdict) cell {
	n := int64(len(of))
	head := d.form(n, verdictForms(v))
	if onDestination(of[0]) {
		head = d.t("%s on the destination", head)
	}
	item := cell{{Text: head + ".", Style: bold, Mark: messageMarks[v]}, {Text: " " + d.reasonsText(of) + " ("}}
	item = item.and(d.idRange(of)...)
	text := "). "
	if open := of[0].NeedsDecision(); !open {
		text += d.t("Decided by name.")
	} else if overall == mailproof.Incomplete || overall == mailproof.Inconclusive {
		text += d.t(advice[v])
	}
	return item.and(span{Text: strings.TrimRight(text, " ")})
}

// advice says what closes an exception of a verdict.
var advice = map[mailproof.MessageVerdict]string{
	mailproof.Missing:            "Copy again, raise the limit that the new server names, or export the message and accept by name.",
	mailproof.Altered:            "Compare the two copies as section 8 names the difference; copy again, or accept by name.",
	mailproof.Unverifiable:       "Read them again; what stays unreadable can only be accepted by name.",
	mailproof.DuplicateCollapsed: "Copy again, or accept fewer copies by name.",
	mailproof.Relocated:          "Move them to their folder on the destination, or accept by name.",
}

// reasonsText counts the first reasons: "append-refused 2, line-wrapped 1".
func (d *Document) reasonsText(of []mailproof.Exception) string {
	n := map[string]int{}
	for _, e := range of {
		code := d.t("no reason recorded")
		if len(e.Reasons) > 0 {
			code = cut(e.Reasons[0].Code, 30)
		}
		n[code]++
	}
	codes := sortedKeys(n)
	slices.SortStableFunc(codes, func(a, b string) int { return n[b] - n[a] })
	var parts []string
	for i, code := range codes {
		if i == 3 && len(codes) > 4 {
			parts = append(parts, d.count(int64(len(codes)-3), "further reason"))
			break
		}
		if len(codes) == 1 {
			parts = append(parts, code)
		} else {
			parts = append(parts, code+" "+comma(int64(n[code])))
		}
	}
	return strings.Join(parts, ", ")
}

// idRange names the exceptions, first to last where there are many.
func (d *Document) idRange(of []mailproof.Exception) []span {
	link := func(e mailproof.Exception) span {
		return span{Text: cut(e.ID, 12), Link: anchor(e.ID), Style: nowrap}
	}
	switch n := len(of); {
	case n == 0:
		return nil
	case n <= 3:
		var spans []span
		for i, e := range of {
			if i > 0 {
				spans = append(spans, span{Text: ", "})
			}
			spans = append(spans, link(e))
		}
		return spans
	default:
		return []span{link(of[0]), {Text: d.form(int64(n-1), " and %s more| and %s more")}}
	}
}

// findingItems are the checks that stand in the way, beside the messages: an
// account that was not read, drift, a failed DNS check.
func (d *Document) findingItems() []cell {
	var items []cell
	for _, f := range d.Findings {
		if f.Outcome != mailproof.OutcomeFail && f.Outcome != mailproof.OutcomeUnknown && f.Outcome != mailproof.OutcomeAccepted {
			continue
		}
		if isMessageCheck(f.Check) {
			continue // said by the exceptions
		}
		where := or(d.domain(f.Domain), f.Account)
		if f.Mailbox != "" {
			where += ", " + f.Mailbox
		}
		item := cell{
			{Text: f.Check, Style: bold, Mark: outcomeMark(f.Outcome)},
			{Text: " " + cutMiddle(where, 60) + ": ", Foreign: true},
			{Text: cut(oneLine(or(f.Observed, d.t("no answer"))), longestReply), Foreign: true},
		}
		if f.Remedy != "" && f.Outcome != mailproof.OutcomeAccepted {
			item = item.and(span{Text: d.t("; ")}, span{Text: cut(oneLine(f.Remedy), longestReply), Foreign: true})
		}
		items = append(items, item)
	}
	return items
}

// isMessageCheck reports whether a finding only sums up messages that are
// listed one by one anyway.
func isMessageCheck(check string) bool {
	switch check {
	case "messages.missing", "messages.altered", "messages.collapsed", "messages.relocated-to-trash", "messages.unverifiable", "messages.destination-unreadable":
		return true
	}
	return false
}

// accountLine counts the accounts by verdict, the worst first.
func (d *Document) accountLine() []cell {
	names := map[mailproof.Verdict][]string{}
	for _, a := range d.Accounts {
		names[a.Verdict] = append(names[a.Verdict], a.Account)
	}
	var line []cell
	var none []string
	for _, v := range []mailproof.Verdict{mailproof.Incomplete, mailproof.Inconclusive, mailproof.CompleteWithAcceptedExceptions, mailproof.Complete} {
		n := names[v]
		if len(n) == 0 {
			none = append(none, d.form(0, verdictOf(v)))
			continue
		}
		text := cell{{Text: d.form(int64(len(n)), verdictOf(v)), Mark: verdictMark(v), Style: nowrap}}
		if v.Worse(mailproof.CompleteWithAcceptedExceptions) && len(n) <= 4 && len(d.Accounts) <= 40 {
			for i := range n {
				n[i] = cut(n[i], 24)
			}
			text = text.and(span{Text: d.t(": ") + strings.Join(n, d.t(", ")), Foreign: true})
		}
		line = append(line, text)
	}
	if missing := d.listedAccounts() - len(d.Accounts); missing > 0 {
		line = append(line, cell{{Text: d.form(int64(missing), "%s account not compared|%s accounts not compared"), Style: bold, Mark: chart.MarkUnknown}})
	}
	if len(none) > 0 {
		line = append(line, cell{{Text: strings.Join(none, ", "), Style: small}})
	}
	return line
}

func (d *Document) signers() []signer {
	act := d.t("Date, signature")
	if d.Verdict == mailproof.Incomplete || d.Verdict == mailproof.Inconclusive {
		act = d.t("Date, findings acknowledged")
	}
	var out []signer
	for _, side := range d.sides() {
		p := Party{}
		if len(side.parties) > 0 {
			p = side.parties[0]
		}
		line := words(d.t(side.word))
		if p.Organisation != "" {
			line = cell{{Text: cut(p.Organisation, longestSigner), Foreign: true}, {Text: ", " + d.t(side.word)}}
		}
		name := cut(p.Name, longestSigner)
		if name == "" {
			name = sentence(side.role)
			line = words(d.t("Name"))
			if p.Organisation != "" {
				line = foreign(cut(p.Organisation, longestSigner))
			}
		}
		out = append(out, signer{Name: name, Line: line, Act: act})
	}
	return out
}

type partySide struct {
	role    string // as a heading
	word    string // within a line
	parties []Party
}

func (d *Document) sides() []partySide {
	e := d.Engagement
	return []partySide{{d.t("Customer"), "customer", e.Customers}, {d.t("Provider"), "provider", e.Providers}, {d.t("Reviewer"), "reviewer", e.Reviewers}}
}
