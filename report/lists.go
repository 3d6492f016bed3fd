package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/mailproof/mailproof"
)

// Bounds of what the pages list one by one; report.json has the whole.
const (
	wholeList    = 400  // exceptions are listed plainly up to here
	perGroup     = 50   // of a reason in an account, beyond it
	mostListed   = 2000 // in all
	mostNoted    = 200  // relocated messages, surplus copies
	mostFindings = 400
	mostAnswers  = 300
)

// anchor is the fragment of an exception.
func anchor(id string) string {
	var b strings.Builder
	for _, r := range id {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, "_%x", r)
		}
	}
	return "x-" + cut(b.String(), 80)
}

func (d *Document) exceptionsSection() section {
	s := section{ID: "s8", No: "8", Title: d.t("Exceptions"), NewPage: true}
	listed := d.listed()
	if len(listed) == 0 && d.ExceptionsOmitted == 0 {
		s.Blocks = []block{note(words(d.tallyText() + d.t(". altered 0, missing 0, unreadable 0: no message needs a decision.")))}
		if c := d.Totals; c.Altered+c.Missing+c.Unverifiable > 0 {
			s.Blocks = []block{note(words(d.t("None is listed, though altered %s, missing %s, unreadable %s.", comma(c.Altered), comma(c.Missing), comma(c.Unverifiable))))}
		}
		return s
	}
	caption := d.tallyText() + d.t(". Missing first, then altered, then unreadable.")
	if len(listed) <= wholeList {
		t := d.exceptionTable(caption)
		for _, e := range listed {
			t.Rows = append(t.Rows, d.exceptionRow(e))
		}
		s.Blocks = append(s.Blocks, block{Table: t})
	} else {
		s.Blocks = append(s.Blocks, d.groupedExceptions(listed, caption)...)
	}
	if d.ExceptionsOmitted > 0 {
		s.Blocks = append(s.Blocks, note(cell{{Text: d.form(d.ExceptionsOmitted,
			"%s further exception was left off the list for its length. It is in every count of this report.|%s further exceptions were left off the list for its length. They are in every count of this report."), Style: bold}}))
	}
	return s
}

func (d *Document) exceptionTable(caption string) *table {
	return &table{Class: "ext", Caption: words(caption), Wide: true, Columns: []column{
		{Head: d.t("No."), Width: 6.8}, {Head: d.t("Account, folder, message"), Width: 23.2}, {Head: d.t("Verdict"), Width: 11}, {Head: d.t("Reason and evidence"), Width: 28},
		{Head: d.t("Disposition"), Width: 11}, {Head: d.t("Why, by whom, when (UTC)"), Width: 20},
	}}
}

func (d *Document) exceptionRow(e mailproof.Exception) row {
	verdict := cell{{Text: d.t(verdictWords[e.Verdict]), Mark: messageMarks[e.Verdict]}}
	if onDestination(e) {
		verdict = verdict.and(span{Text: d.t("on the destination"), Style: small, Break: true})
	}
	if e.Tier != mailproof.TierNone {
		verdict = verdict.and(span{Text: d.t("tier %s", e.Tier), Style: small, Break: true})
	}
	disposition := cell{{Text: d.t(e.Disposition.String()), Mark: dispositionMark(e.Disposition)}}
	if e.NeedsDecision() {
		disposition[0].Style = bold
	}
	return row{Anchor: anchor(e.ID), Cells: []cell{
		{{Text: cut(e.ID, 24), Style: nowrap}}, d.messageCell(e), verdict, d.reasonCell(e), disposition, d.decisionCell(e),
	}}
}

// onDestination reports whether the exception is about a message of the
// destination that is not known to belong to one of the source.
func onDestination(e mailproof.Exception) bool { return e.Key.Side == mailproof.Destination }

func (d *Document) messageCell(e mailproof.Exception) cell {
	c := nameOf(e.Account)
	place := d.t("UID ") + strconv.FormatUint(uint64(e.Key.UID), 10)
	if e.Size > 0 {
		place += ", " + d.count(e.Size, "octet")
	}
	c = c.and(span{Text: cutMiddle(e.Mailbox, longestPath), Style: small | name, Foreign: true, Break: true}, span{Text: place, Style: small, Break: true})
	if e.Subject != "" {
		c = c.and(span{Text: "“" + cut(e.Subject, 120) + "”", Style: small, Foreign: true, Break: true})
	}
	return c
}

func (d *Document) reasonCell(e mailproof.Exception) cell {
	var c cell
	for i, r := range e.Reasons {
		if i == 4 {
			return c.and(span{Text: d.form(int64(len(e.Reasons)-i), "%s further reason in report.json|%s further reasons in report.json"), Style: small, Break: true})
		}
		c = c.and(span{Text: cut(r.Code, 60), Style: mono, Foreign: true, Break: i > 0})
		if r.Evidence != "" {
			c = c.and(span{Text: cut(r.Evidence, 360), Style: small, Foreign: true, Break: true})
		}
	}
	if len(c) == 0 {
		return cell{{Text: d.t("none recorded"), Style: faint}}
	}
	return c
}

func (d *Document) decisionCell(e mailproof.Exception) cell {
	if dec, ok := d.Decisions[e.ID]; ok {
		c := cell{{Text: cut(dec.Why, 200), Foreign: true}}
		who := cut(dec.By, 60)
		if !dec.When.IsZero() {
			who += ", " + d.shortTime(dec.When)
		}
		return c.and(span{Text: who, Style: small, Foreign: true, Break: true})
	}
	if e.NeedsDecision() {
		return cell{{Text: d.t("awaits a decision"), Style: small}}
	}
	return cell{{Text: d.t("not recorded"), Style: faint}}
}

// groupedExceptions lists a long list by reason and account, the first of each
// group, and says how many there are.
func (d *Document) groupedExceptions(listed []mailproof.Exception, caption string) []block {
	type key struct{ verdict, reason, account string }
	groups := map[key][]mailproof.Exception{}
	var order []key
	for _, e := range listed {
		k := key{d.t(verdictWords[e.Verdict]), d.t("no reason recorded"), e.Account}
		if len(e.Reasons) > 0 {
			k.reason = e.Reasons[0].Code
		}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], e)
	}
	summary := &table{Class: "exs", Caption: words(d.form(int64(len(listed)), "%s exception by verdict, reason and account|%s exceptions by verdict, reason and account")), Columns: []column{
		{Head: d.t("Verdict"), Width: 20}, {Head: d.t("Reason"), Width: 30}, {Head: d.t("Account"), Width: 30}, {Head: d.t("Messages"), Width: 20, Right: true}}}
	const mostGroups = 300
	for _, k := range order[:min(len(order), mostGroups)] {
		e := groups[k][0]
		summary.Rows = append(summary.Rows, row{Cells: []cell{marked(messageMarks[e.Verdict], k.verdict), fixed(cut(k.reason, 60)), nameOf(k.account), number(int64(len(groups[k])), false)}})
	}
	summary.Rows = append(summary.Rows, row{Kind: totalRow, Cells: []cell{words(d.count(int64(len(order)), "group")), nil, nil, words(comma(int64(len(listed))))}})
	slices.SortStableFunc(order, func(a, b key) int {
		return compareAll(exceptionRank(groups[a][0].Verdict)-exceptionRank(groups[b][0].Verdict), compareStrings(a.reason, b.reason))
	})
	t, shown := d.exceptionTable(caption), 0
	for _, k := range order {
		of := groups[k]
		n := min(len(of), perGroup, mostListed-shown)
		if n <= 0 {
			break
		}
		head := d.t("%s, %s, %s: %s of %s shown", k.verdict, cut(k.reason, 60), cutMiddle(k.account, 60), comma(int64(n)), comma(int64(len(of))))
		t.Rows = append(t.Rows, row{Kind: groupRow, Cells: []cell{foreign(head)}})
		for _, e := range of[:n] {
			t.Rows = append(t.Rows, d.exceptionRow(e))
		}
		shown += n
	}
	text := d.t("%s of %s are shown, the first %d of each reason in an account. report.json has every one.", comma(int64(shown)), d.count(int64(len(listed)), "exception"), perGroup)
	return []block{{Table: summary}, note(words(text)), {Table: t}}
}

func (d *Document) extras() section {
	var flags, dates, signatures int64
	for _, a := range d.Accounts {
		flags += a.FlagsDiffer
		dates += a.DatesDiffer
		signatures += a.SignaturesChanged
	}
	c := d.Totals
	where := func(f func(mailproof.AccountResult) int64) cell { return foreign(d.perAccount(f)) }
	t := &table{Class: "x9", Middle: true, Caption: words(d.t("Beside the verdict; none of these changes a message's content")), Columns: []column{
		{Head: d.t("What"), Width: 32}, {Head: d.t("Messages"), Width: 9, Right: true}, {Head: d.t("Where, and why"), Width: 59, Pad: true}}}
	add := func(name string, n int64, text cell) {
		t.Rows = append(t.Rows, row{Cells: []cell{words(name), number(n, false), text}})
	}
	add(d.t("Extra on the destination"), c.Extra, where(func(a mailproof.AccountResult) int64 { return a.Counts.Extra }))
	add(d.t("Surplus duplicates"), c.DuplicateSurplus, where(func(a mailproof.AccountResult) int64 { return a.Counts.DuplicateSurplus }))
	add(d.t("Duplicates collapsed"), c.DuplicateCollapsed, where(func(a mailproof.AccountResult) int64 { return a.Counts.DuplicateCollapsed }))
	add(d.t("Relocated"), c.Relocated, where(func(a mailproof.AccountResult) int64 { return a.Counts.Relocated }))
	add(d.t("Flags or keywords differ"), flags, where(func(a mailproof.AccountResult) int64 { return a.FlagsDiffer }))
	add(d.t("INTERNALDATE differs by more than 1 s"), dates, where(func(a mailproof.AccountResult) int64 { return a.DatesDiffer }))
	add(d.t("Signed parts re-encoded"), signatures, where(func(a mailproof.AccountResult) int64 { return a.SignaturesChanged }))
	s := section{ID: "s9", No: "9", Title: d.t("Extra and duplicate messages, flags, dates"), Blocks: []block{{Table: t}}}
	if signatures > 0 {
		s.Blocks = append(s.Blocks, note(words(d.t("Signed parts re-encoded: the content is equivalent, the signature may no longer verify."))))
	}
	s.Blocks = append(s.Blocks, d.deletions()...)
	if noted := d.noted(); len(noted) > 0 {
		s.Blocks = append(s.Blocks, d.notedTable(noted)...)
	}
	return s
}

func (d *Document) perAccount(f func(mailproof.AccountResult) int64) string {
	type pair struct {
		name string
		n    int64
	}
	var pairs []pair
	for _, a := range d.Accounts {
		if n := f(a); n > 0 {
			pairs = append(pairs, pair{a.Account, n})
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { return int(min(max(b.n-a.n, -1), 1)) })
	var parts []string
	for i, p := range pairs {
		if i == 6 {
			parts = append(parts, d.count(int64(len(pairs)-i), "further account"))
			break
		}
		parts = append(parts, cut(p.name, 40)+" "+comma(p.n))
	}
	return strings.Join(parts, ", ")
}

func (d *Document) notedTable(noted []mailproof.Exception) []block {
	t := &table{Class: "nt", Dense: true, Caption: words(d.t("Listed for the record; no decision is needed")), Wide: true, Columns: []column{
		{Head: d.t("No."), Width: 8}, {Head: d.t("Account, folder, message"), Width: 36}, {Head: d.t("Verdict"), Width: 18}, {Head: d.t("Reason and evidence"), Width: 38}}}
	for _, e := range noted[:min(len(noted), mostNoted)] {
		t.Rows = append(t.Rows, row{Anchor: anchor(e.ID), Cells: []cell{{{Text: cut(e.ID, 24), Style: nowrap}}, d.notedCell(e), marked(messageMarks[e.Verdict], d.t(verdictWords[e.Verdict])), d.notedReason(e)}})
	}
	blocks := []block{{Table: t}}
	if len(noted) > mostNoted {
		blocks = append(blocks, note(words(d.t("%s of %s are shown; report.json has every one.", comma(mostNoted), d.count(int64(len(noted)), "message")))))
	}
	return blocks
}

// notedCell names a message on one line.
func (d *Document) notedCell(e mailproof.Exception) cell {
	return cell{{Text: cutMiddle(e.Account, longestPath), Style: name, Foreign: true}, {Text: "  " + cutMiddle(e.Mailbox, longestPath), Style: small | name, Foreign: true},
		{Text: d.t(", UID ") + strconv.FormatUint(uint64(e.Key.UID), 10), Style: small}}
}

func (d *Document) notedReason(e mailproof.Exception) cell {
	if len(e.Reasons) == 0 {
		return nil
	}
	return cell{{Text: cut(e.Reasons[0].String(), 240), Style: small, Foreign: true}}
}

func (d *Document) dnsSection() section {
	s := section{ID: "s10", No: "10", Title: d.t("DNS before and after")}
	if len(d.DNS) == 0 && len(d.Observations) == 0 {
		s.Blocks = []block{note(words(d.t("DNS was not audited in the passes of this report, and takes no part in the verdict.")))}
		return s
	}
	s.Blocks = append(s.Blocks, title("10.1", d.t("Safe time")))
	s.Blocks = append(s.Blocks, d.safeTimes()...)
	s.Blocks = append(s.Blocks, title("10.2", d.t("Answers per server")))
	s.Blocks = append(s.Blocks, d.answers()...)
	s.Blocks = append(s.Blocks, title("10.3", d.t("Findings")))
	s.Blocks = append(s.Blocks, d.dnsFindings()...)
	return s
}

// safeTimes lists from when on the old answers are gone.
func (d *Document) safeTimes() []block {
	if len(d.SafeTimes) == 0 {
		return []block{note(words(d.t("The moment after which no cache can hold an old answer is not part of this issue; 10.2 has the TTL of each answer.")))}
	}
	t := &table{Class: "sf", Dense: true, Caption: words(d.t("T_safe = max (lowered on all servers + old TTL, changed on all servers + low TTL). Resolvers with a minimum TTL, or that serve stale answers (RFC 8767), lie outside.")),
		Columns: []column{{Head: d.t("Record"), Width: 36}, {Head: d.t("Changed on all servers (UTC)"), Width: 26}, {Head: d.t("Safe from (UTC)"), Width: 38}}}
	for _, s := range d.SafeTimes[:min(len(d.SafeTimes), mostFindings)] {
		changed, safe := cell{{Text: d.t("not seen"), Style: faint}}, cell{{Text: d.t("not known: ") + cut(or(s.Why, d.t("no reason recorded")), 160), Style: small, Foreign: true}}
		if !s.Flipped.IsZero() {
			changed = words(d.date(s.Flipped, "2 Jan 2006 15:04:05"))
		}
		if !s.At.IsZero() {
			safe = cell{{Text: d.date(s.At, "2 Jan 2006 15:04:05"), Style: bold}}
		}
		t.Rows = append(t.Rows, row{Cells: []cell{{{Text: s.Type}, {Text: " " + cut(d.domain(or(s.Name, s.Domain)), 120), Style: small, Foreign: true}}, changed, safe}})
	}
	return []block{{Table: t}}
}

// answer is one answer to a question, and the servers that gave it.
type answer struct {
	records []string // without owner, TTL and class
	failure string   // in place of records
	first   mailproof.Observation
	servers []mailproof.Observation // each server once, as it said so last
	current bool                    // some server said nothing else since
}

// answers groups equal answers, so that a disagreement between servers stands
// out as a second row. Questions to which nobody had a record are only counted.
func (d *Document) answers() []block {
	if len(d.Observations) == 0 {
		return []block{note(words(d.t("No exchange with a name server was recorded.")))}
	}
	var questions []string
	byQuestion := map[string][]mailproof.Observation{}
	for _, o := range d.Observations {
		q := strings.ToLower(o.Question) + " " + o.Type
		if byQuestion[q] == nil {
			questions = append(questions, q)
		}
		byQuestion[q] = append(byQuestion[q], o)
	}
	t := &table{Class: "dn", Dense: true, Wide: true, Caption: words(d.t("Equal answers share a row. Before: what the servers have replaced since. Times in UTC.")),
		Columns: []column{{Head: d.t("Record"), Width: 27}, {Head: d.t("Answer"), Width: 33}, {Head: d.t("TTL, s"), Width: 7, Right: true}, {Head: d.t("Servers, when last asked"), Width: 33, Pad: true}}}
	empty, cutOff := 0, false
	for _, q := range questions {
		answers := d.answersTo(byQuestion[q])
		if !slices.ContainsFunc(answers, func(a *answer) bool { return len(a.records) > 0 }) {
			empty++
			continue
		}
		if cutOff = len(t.Rows)+len(answers) > mostAnswers; cutOff {
			break
		}
		differ := disagree(answers)
		for i, a := range answers {
			t.Rows = append(t.Rows, row{Cells: []cell{d.questionCell(a, i == 0, differ), d.recordsCell(a), d.ttlCell(a), d.serversCell(a.servers)}})
		}
	}
	var blocks []block
	if len(t.Rows) > 0 {
		blocks = append(blocks, block{Table: t})
	}
	text := ""
	if empty > 0 {
		text = d.form(int64(empty), "%s question had no record in any answer. |%s questions had no record in any answer. ")
	}
	if cutOff {
		text += d.t("The list is cut here for its length. ")
	}
	return append(blocks, note(words(text+d.t("report.json has every exchange."))))
}

// answersTo folds the observations of one question: what stands first is what
// was said last.
func (d *Document) answersTo(of []mailproof.Observation) []*answer {
	of = slices.Clone(of)
	slices.SortStableFunc(of, func(a, b mailproof.Observation) int { return b.Time.Compare(a.Time) })
	var out []*answer
	said := map[string]bool{}
	for _, o := range of {
		a := &answer{records: recordData(o), first: o}
		if len(a.records) == 0 {
			a.failure = d.failureOf(o)
			if isReferral(o) {
				continue // the way to the answer, and no answer
			}
		}
		i := slices.IndexFunc(out, func(b *answer) bool { return a.failure == b.failure && slices.Equal(a.records, b.records) })
		if i < 0 {
			out = append(out, a)
			i = len(out) - 1
		}
		if !slices.ContainsFunc(out[i].servers, func(p mailproof.Observation) bool { return p.Server == o.Server && p.Role == o.Role }) {
			out[i].servers = append(out[i].servers, o)
		}
		if who := o.Server + " " + o.Role; !said[who] {
			said[who], out[i].current = true, true
		}
	}
	slices.SortStableFunc(out, func(a, b *answer) int { return boolInt(b.current) - boolInt(a.current) })
	return out
}

func isReferral(o mailproof.Observation) bool {
	return !o.AA && o.Error == "" && o.RCode == "NOERROR" && len(o.Records) > 0 && o.Role != "resolver"
}

func (d *Document) failureOf(o mailproof.Observation) string {
	switch {
	case o.Error != "":
		return d.t("no answer: ") + o.Error
	case o.RCode != "" && o.RCode != "NOERROR":
		return o.RCode
	}
	return d.t("no such record")
}

// recordData takes the data off records in presentation form ("name. 300 IN MX
// 10 host."): owner and TTL stand in columns of their own. The SOA of an answer
// that has no record (RFC 2308) is no record, nor are the NS of a referral.
func recordData(o mailproof.Observation) []string {
	var out []string
	for _, r := range o.Records {
		data, kind := strings.TrimSpace(r), o.Type
		fields := strings.Fields(r)
		if len(fields) > 4 && fields[2] == "IN" {
			if _, err := strconv.ParseUint(fields[1], 10, 32); err == nil {
				kind = fields[3]
				_, rest, _ := strings.Cut(r, fields[2])
				data = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(rest), kind))
			}
		}
		if kind == "SOA" && o.Type != "SOA" || kind == "NS" && o.Type != "NS" {
			continue
		}
		if kind != o.Type {
			data = kind + " " + data
		}
		out = append(out, data)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// disagree reports whether servers say different things now.
func disagree(answers []*answer) bool {
	n := 0
	for _, a := range answers {
		if a.current {
			n++
		}
	}
	return n > 1
}

func (d *Document) questionCell(a *answer, first, differ bool) cell {
	switch {
	case first:
		return cell{{Text: a.first.Type + " "}, {Text: cut(a.first.Question, 120), Style: small, Foreign: true}}
	case a.current && differ:
		return cell{{Text: d.t("%s, differing answer", a.first.Type), Style: bold}}
	}
	return cell{{Text: d.t("before"), Style: small}}
}

func (d *Document) recordsCell(a *answer) cell {
	if a.failure != "" {
		return cell{{Text: cut(a.failure, 160), Style: bold, Foreign: true}}
	}
	var c cell
	for i, r := range a.records {
		if i == 12 {
			return c.and(span{Text: d.count(int64(len(a.records)-i), "further record"), Style: small, Break: true})
		}
		c = c.and(span{Text: cut(r, 300), Style: mono, Foreign: true, Break: i > 0})
	}
	return c
}

func (d *Document) ttlCell(a *answer) cell {
	if a.failure != "" {
		return cell{{Text: "–", Style: faint}}
	}
	lowest, highest := a.first.MinTTL, a.first.MaxTTL
	for _, o := range a.servers {
		lowest, highest = min(lowest, o.MinTTL), max(highest, o.MaxTTL)
	}
	if lowest == highest {
		return number(int64(lowest), false)
	}
	return cell{{Text: comma(int64(lowest)) + "–", Style: nowrap}, {Text: comma(int64(highest)), Style: nowrap}}
}

func (d *Document) serversCell(of []mailproof.Observation) cell {
	var c cell
	for i, o := range of {
		if i == 8 {
			return c.and(span{Text: d.count(int64(len(of)-i), "further server"), Style: small, Break: true})
		}
		c = c.and(span{Text: cut(o.Server, 80), Style: small, Foreign: true, Break: i > 0})
		if o.Role != "authoritative" {
			c = c.and(span{Text: ", " + o.Role, Style: small, Foreign: true})
		}
		if o.AD {
			c = c.and(span{Text: d.t(", AD"), Style: small})
		}
		if !o.Time.IsZero() {
			c = c.and(span{Text: ", ", Style: small}, span{Text: d.shortTime(o.Time), Style: small | nowrap})
		}
	}
	return c
}

func (d *Document) dnsFindings() []block {
	if len(d.DNS) == 0 {
		return []block{note(words(d.t("No check was made.")))}
	}
	list, folded := d.dnsListed()
	order := []mailproof.Outcome{mailproof.OutcomeFail, mailproof.OutcomeUnknown, mailproof.OutcomeAccepted, mailproof.OutcomeWarn, mailproof.OutcomeInfo, mailproof.OutcomePass}
	slices.SortStableFunc(list, func(a, b mailproof.Finding) int {
		return slices.Index(order, a.Outcome) - slices.Index(order, b.Outcome)
	})
	n := map[mailproof.Outcome]int64{}
	for _, f := range d.DNS {
		n[f.Outcome]++
	}
	caption := d.t("%s pass, %s warn, %s fail, %s unknown, %s for information", comma(n[mailproof.OutcomePass]), comma(n[mailproof.OutcomeWarn]),
		comma(n[mailproof.OutcomeFail]), comma(n[mailproof.OutcomeUnknown]), comma(n[mailproof.OutcomeInfo]))
	if n[mailproof.OutcomeAccepted] > 0 {
		caption += d.t(", %s accepted by name", comma(n[mailproof.OutcomeAccepted]))
	}
	domain := list[0].Domain
	if slices.ContainsFunc(list, func(f mailproof.Finding) bool { return f.Domain != domain }) {
		domain = "" // several: each row names its own
	} else if domain != "" {
		caption = cut(d.domain(domain), 120) + ": " + caption
	}
	outcomes := 8.5 // in percent; the words of some languages are longer
	for o := range n {
		outcomes = max(outcomes, 0.82*float64(displayWidth(d.t(o.String())))+3.2)
	}
	t := &table{Class: "fi", Dense: true, Wide: true, Caption: foreign(caption + d.t(". P: judged in planning. R: before cut-over. C: after it.")), Columns: []column{
		{Head: d.t("Outcome"), Width: outcomes}, {Head: d.t("Check"), Width: 14}, {Head: d.t("Phase"), Width: 5}, {Head: d.t("Observed"), Width: 51 - outcomes}, {Head: d.t("Expected, remedy"), Width: 30}}}
	for _, f := range list[:min(len(list), mostFindings)] {
		t.Rows = append(t.Rows, row{Cells: []cell{d.outcomeCell(f.Outcome), fixed(cut(f.Check, 60)), words(d.phaseLetter(f.Phase)), d.observedCell(f, domain == ""), d.remedyCell(f)}})
	}
	blocks := []block{{Legend: d.outcomeLegend()}, {Table: t}}
	if folded > 0 || slices.ContainsFunc(list, func(f mailproof.Finding) bool { return !slices.Contains(d.Findings, f) }) {
		text := d.t("Findings of another phase than the one judged last stand here for the record and take no part in the verdict")
		if folded > 0 {
			text += d.t("; ") + d.form(int64(folded), "%s of them that passed or only informs is in report.json alone|%s of them that passed or only inform are in report.json alone")
		}
		blocks = append(blocks, note(words(text+".")))
	}
	if len(list) > mostFindings {
		blocks = append(blocks, note(words(d.form(int64(len(list)-mostFindings), "%s further finding in report.json.|%s further findings in report.json."))))
	}
	return blocks
}

// dnsListed are the findings that 10.3 lists: all that take part in the
// verdict, and of the others those that ask for a look.
func (d *Document) dnsListed() (list []mailproof.Finding, folded int) {
	judged := map[mailproof.Finding]bool{}
	for _, f := range d.Findings {
		judged[f] = true
	}
	if !slices.ContainsFunc(d.DNS, func(f mailproof.Finding) bool { return judged[f] }) {
		return slices.Clone(d.DNS), 0 // nothing was judged for the verdict: all is for the record
	}
	for _, f := range d.DNS {
		quiet := f.Outcome == mailproof.OutcomePass || f.Outcome == mailproof.OutcomeInfo
		if !judged[f] && quiet {
			folded++
			continue
		}
		list = append(list, f)
	}
	return list, folded
}

// textLines sets a text of several lines.
func textLines(c cell, text string, s style, most int) cell {
	for _, line := range strings.Split(strings.TrimSpace(text), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			c = c.and(span{Text: cut(line, most), Style: s, Foreign: true, Break: len(c) > 0})
		}
	}
	return c
}

func (d *Document) outcomeCell(o mailproof.Outcome) cell {
	c := marked(outcomeMark(o), d.t(o.String()))
	if o == mailproof.OutcomeFail || o == mailproof.OutcomeWarn || o == mailproof.OutcomeUnknown {
		c[0].Style = bold
	}
	return c
}

func (d *Document) phaseLetter(p mailproof.Phase) string {
	if p == mailproof.PhaseNone {
		return ""
	}
	return strings.ToUpper(p.String()[:1])
}

func (d *Document) observedCell(f mailproof.Finding, domain bool) cell {
	var c cell
	if domain && f.Domain != "" {
		c = cell{{Text: cut(d.domain(f.Domain), 120), Style: small, Foreign: true}}
	}
	return textLines(c, cut(f.Observed, 500), 0, 300)
}

func (d *Document) remedyCell(f mailproof.Finding) cell {
	var c cell
	if f.Expected != "" && f.Outcome != mailproof.OutcomePass {
		c = textLines(nil, d.t("expected: ")+f.Expected, small, 300)
	}
	return textLines(c, f.Remedy, small, 300)
}
