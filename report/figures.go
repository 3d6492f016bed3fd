package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/report/chart"
)

// manyAccounts is where the table of 7.1 lists only what is not COMPLETE and
// the full table moves into an annex of its own.
const manyAccounts = 40

func (d *Document) figures() section {
	s := section{ID: "s7", No: "7", Title: d.t("Figures")}
	if len(d.Accounts) > 1 {
		s.Blocks = append(s.Blocks, d.accountsBlocks()...)
	} else {
		s.Blocks = append(s.Blocks, title("7.1", d.t("Verdict per account")), note(words(d.t("The engagement has one account; its folders follow in 7.4."))))
	}
	s.Blocks = append(s.Blocks, d.timeline()...)
	s.Blocks = append(s.Blocks, d.sizes()...)
	s.Blocks = append(s.Blocks, d.folderTables()...)
	return s
}

// worstFirst orders accounts for 7.1.
func (d *Document) worstFirst() []*mailproof.AccountResult {
	list := make([]*mailproof.AccountResult, len(d.Accounts))
	for i := range d.Accounts {
		list[i] = &d.Accounts[i]
	}
	slices.SortStableFunc(list, func(a, b *mailproof.AccountResult) int {
		switch {
		case a.Verdict.Worse(b.Verdict):
			return -1
		case b.Verdict.Worse(a.Verdict):
			return 1
		}
		return cmp.Or(cmp.Compare(b.Counts.SourceMessages, a.Counts.SourceMessages), strings.Compare(a.Account, b.Account))
	})
	return list
}

func (d *Document) accountsBlocks() []block {
	list := d.worstFirst()
	largest := int64(0)
	for _, a := range list {
		largest = max(largest, a.Counts.SourceMessages)
	}
	shown := list
	var complete mailproof.Counts
	folded := 0
	if len(list) > manyAccounts {
		shown = nil
		for _, a := range list {
			if a.Verdict == mailproof.Complete {
				folded++
				complete.Add(a.Counts)
			} else {
				shown = append(shown, a)
			}
		}
	}
	t := d.accountTable()
	for _, a := range shown {
		t.Rows = append(t.Rows, d.accountRow(a, largest))
	}
	if folded > 0 {
		t.Rows = append(t.Rows, row{Cells: append([]cell{marked(chart.MarkComplete, d.count(int64(folded), "account")), words(d.t("complete"))}, d.countCells(complete)...)})
	}
	t.Rows = append(t.Rows, d.accountTotal())
	blocks := []block{
		title("7.1", d.t("Verdict per account, worst first")),
		{Legend: d.accountLegend()},
		{Table: t},
		note(d.verdictLegend()),
	}
	if folded > 0 {
		blocks = append(blocks, note(words(d.t("Every account, complete ones included, is listed in annex 7.5."))))
	}
	return blocks
}

// accountColumn is the width of the names in 7.1, in percent: a domain of middling
// length stands in one line. The bars beside them have the rest of 28.
func (d *Document) accountColumn() float64 {
	longest := 0
	for i := range d.Accounts {
		_, domain, _ := strings.Cut(d.Accounts[i].Account, "@")
		longest = max(longest, displayWidth(domain))
	}
	return min(max(0.8*float64(longest)+0.9, 13), 17)
}

// accountLegend explains the bars of 7.1; marks of what did not occur are
// left out, but for the two that a reader looks for.
func (d *Document) accountLegend() []cell {
	marks := []chart.Mark{chart.MarkIdentical, chart.MarkEquivalent, chart.MarkRelocated, chart.MarkExcluded, chart.MarkAltered, chart.MarkMissing}
	if d.Totals.Unverifiable > 0 {
		marks = append(marks, chart.MarkUnread)
	}
	if d.Totals.DuplicateCollapsed > 0 {
		marks = append(marks, chart.MarkCollapsed)
	}
	return d.legend(marks...)
}

func (d *Document) accountTable() *table {
	c, names := d.Totals, d.accountColumn()
	t := &table{Class: "pt", Middle: true, Dense: true, Wide: true,
		Groups: []columnGroup{{d.t("Source inventory"), 2, 8}, {d.t("Destination inventory"), 10, 4}},
		Columns: fitNumbers([]column{
			{Head: d.t("Account"), Width: names}, {Head: d.t("Messages, to scale"), Width: 28 - names},
			{Head: d.t("mes-\nsages"), Right: true}, {Head: d.t("iden-\ntical"), Right: true}, {Head: d.t("equi-\nvalent"), Right: true},
			{Head: d.t("relo-\ncated"), Right: true}, {Head: d.t("altered"), Right: true}, {Head: d.t("missing"), Right: true},
			{Head: d.t("ex-\ncluded"), Right: true}, {Head: d.t("un-\nread"), Right: true},
			{Head: d.t("mes-\nsages"), Right: true}, {Head: d.t("paired"), Right: true}, {Head: d.t("extra"), Right: true}, {Head: d.t("dupli-\ncates"), Right: true},
		}, []int64{c.SourceMessages, c.AllIdentical(), c.AllEquivalent(), c.Relocated, c.Altered, c.Missing, c.Excluded, c.Unverifiable + c.NotChecked,
			c.DestinationMessages, c.DestinationPairedHere, c.Extra, c.DuplicateSurplus}, 0)}
	// What the heads of a language lack, the bars give and not the names.
	if lack := names - t.Columns[0].Width; lack > 0 {
		t.Columns[0].Width += lack
		t.Columns[1].Width -= lack
	}
	return t
}

// fitNumbers shares the width of a table among its columns of numbers, which
// are the last ones, by the largest number that stands in each. Columns before
// them keep their widths; what is left over goes to the one that grows, and what
// long heads of a language lack is taken from it. A number is never set narrower
// than it is; a head may be.
func fitNumbers(columns []column, largest []int64, grows int) []column {
	first := len(columns) - len(largest)
	room, need, numbers := 100.0, make([]float64, len(largest)), make([]float64, len(largest))
	for _, c := range columns[:first] {
		room -= c.Width
	}
	sum, least := 0.0, 0.0
	for i, n := range largest {
		const digit, mark, air, narrowest = 0.95, 0.5, 1.0, 4.6
		text := comma(n)
		commas := float64(strings.Count(text, ","))
		need[i] = max(digit*(float64(len(text))-commas)+mark*commas+air, narrowest)
		numbers[i] = need[i]
		for _, part := range strings.Split(columns[first+i].Head, "\n") {
			need[i] = max(need[i], 0.8*float64(displayWidth(part))+air-0.2)
		}
		sum, least = sum+need[i], least+numbers[i]
	}
	if lack := min(max(sum-room, 0), columns[grows].Width*0.12); lack > 0 {
		columns[grows].Width -= lack
		room += lack
	}
	for i := range largest {
		switch {
		case sum <= room:
			columns[first+i].Width = need[i]
		case least < room:
			columns[first+i].Width = numbers[i] + (need[i]-numbers[i])*(room-least)/(sum-least)
		default:
			columns[first+i].Width = numbers[i] * room / least
		}
	}
	columns[grows].Width += max(0, room-sum)
	return columns
}

func (d *Document) accountRow(a *mailproof.AccountResult, largest int64) row {
	name := cell{{Text: cutMiddle(a.Account, 64), Style: name, Foreign: true, Mark: verdictMark(a.Verdict)}}
	picture := chart.AccountBar(d.accountSegments(a.Counts), accountSquares(a), largest)
	return row{Cells: append([]cell{name, {{Picture: &picture}}}, d.countCells(a.Counts)...)}
}

// accountSegments are those of the ledger bar without what stands behind the
// bar as squares.
func (d *Document) accountSegments(c mailproof.Counts) []chart.Segment {
	var out []chart.Segment
	for _, s := range d.segmentsOf(c) {
		if !s.Lens {
			out = append(out, s)
		}
	}
	return out
}

// accountSquares are marks for the messages of an account that did not arrive
// intact, missing ones last as in the ledger bar; a few suffice, as the chart
// writes a number behind four.
func accountSquares(a *mailproof.AccountResult) []chart.Mark {
	var marks []chart.Mark
	add := func(n int64, m chart.Mark) {
		for range min(n, 100_000) {
			marks = append(marks, m)
		}
	}
	add(a.Counts.Missing, chart.MarkMissing)
	add(a.Counts.Altered, chart.MarkAltered)
	add(a.Counts.Unverifiable, chart.MarkUnread)
	add(a.Counts.DuplicateCollapsed, chart.MarkCollapsed)
	return marks
}

// countCells are the twelve numbers of an account's row.
func (d *Document) countCells(c mailproof.Counts) []cell {
	return []cell{
		number(c.SourceMessages, false), number(c.AllIdentical(), false), number(c.AllEquivalent(), false), number(c.Relocated, false),
		number(c.Altered, true), number(c.Missing, true), number(c.Excluded, false), number(c.Unverifiable+c.NotChecked, true),
		number(c.DestinationMessages, false), number(c.DestinationPairedHere, false), number(c.Extra, false), number(c.DuplicateSurplus, false),
	}
}

func (d *Document) accountTotal() row {
	return row{Kind: totalRow, Cells: append([]cell{words(d.count(int64(len(d.Accounts)), "account")), nil}, d.countCells(d.Totals)...)}
}

func (d *Document) verdictLegend() cell {
	n := map[mailproof.Verdict]int64{}
	balanced := true
	for _, a := range d.Accounts {
		n[a.Verdict]++
		balanced = balanced && a.Counts.Balanced()
	}
	var c cell
	for _, v := range []mailproof.Verdict{mailproof.Incomplete, mailproof.Inconclusive, mailproof.CompleteWithAcceptedExceptions, mailproof.Complete} {
		if n[v] == 0 {
			continue
		}
		c = c.and(span{Text: d.t(strings.ToLower(v.String())) + ", " + d.count(n[v], "account") + "   ", Mark: verdictMark(v), Style: nowrap})
	}
	text := d.t("Every row balances on both sides.")
	if !balanced {
		text = d.t("Not every row balances: see the findings of the accounts.")
	}
	if d.Totals.DuplicateCollapsed > 0 {
		text += d.form(d.Totals.DuplicateCollapsed, " %s collapsed duplicate counts on the source and stands in section 9.| %s collapsed duplicates count on the source and stand in section 9.")
	}
	if d.Totals.DestinationUnreadable+d.Totals.DestinationNotChecked > 0 {
		text += d.form(d.Totals.DestinationUnreadable+d.Totals.DestinationNotChecked, " On the destination %s further message was not read or not compared.| On the destination %s further messages were not read or not compared.")
		if d.Totals.DestinationNotChecked > 0 && d.Depth == mailproof.DepthSample {
			text += d.t(" Their originals may be among the source messages that the sample left out.")
		}
	}
	return c.and(span{Text: text + d.t(" Exceptions are drawn one square each, up to four, not to scale.")})
}

func (d *Document) timeline() []block {
	const most = 36
	blocks := []block{title("7.2", d.t("Timeline of passes"))}
	if len(d.Passes) == 0 {
		return append(blocks, note(words(d.t("No pass was recorded."))))
	}
	passes := d.Passes
	caption := d.t("Solid bar: messages were written to the destination. Open bar: messages were only read. Dashed: the pass did not end well. Times in UTC.")
	if len(passes) > most {
		caption += d.t(" The last %d of %s are shown; report.json has all.", most, d.count(int64(len(passes)), "pass", "passes"))
		passes = passes[len(passes)-most:]
	}
	rows := make([]chart.TimelineRow, len(passes))
	copies := 0
	for _, p := range d.Passes[:len(d.Passes)-len(passes)] {
		if p.Kind == mailproof.CopyPass {
			copies++
		}
	}
	for i, p := range passes {
		if p.Kind == mailproof.CopyPass {
			copies++
		}
		rows[i] = d.timelineRow(p, copies)
	}
	blocks = append(blocks, block{Figure: &figure{Drawing: chart.Timeline(d.t, rows), Caption: words(caption)}})
	return append(blocks, d.changes()...)
}

func (d *Document) timelineRow(p mailproof.Pass, copies int) chart.TimelineRow {
	r := chart.TimelineRow{No: comma(int64(p.ID)), Start: p.Started.UTC(), Wrote: p.Kind == mailproof.CopyPass}
	if !p.Finished.IsZero() {
		r.End = p.Finished.UTC()
	}
	switch p.Kind {
	case mailproof.InventoryPass:
		r.Name = d.t("Inventory")
		if p.Side != 0 {
			r.Name += ", " + d.t(p.Side.String())
		}
		if p.Reverify {
			r.Name = d.t("Re-reading, %s", d.t(p.Side.String()))
		}
		r.Messages = d.t("%s read", comma(p.Messages))
		if p.Bytes > 0 {
			r.Messages += ", " + d.octets(p.Bytes)
		}
	case mailproof.CopyPass:
		r.Name = d.t("Copy")
		if copies > 1 {
			r.Name = d.t("Differential copy %d", copies-1)
		}
		r.Messages = d.t("%s appended", comma(p.Messages))
	case mailproof.DiffPass:
		r.Name, r.Messages = d.t("Comparison"), d.t("%s compared", comma(p.Messages))
	case mailproof.DNSPass:
		r.Name, r.Messages = d.t("DNS audit"), d.t("no mail touched")
	default:
		r.Name = d.t("Pass")
	}
	switch p.State {
	case mailproof.PassFailed:
		r.Bad, r.Messages = true, d.t("failed after %s", comma(p.Messages))
	case mailproof.PassCancelled:
		r.Bad, r.Messages = true, d.t("stopped after %s", comma(p.Messages))
	case mailproof.PassRunning:
		r.Bad, r.Messages = true, d.t("did not end")
	}
	r.Messages = cut(r.Messages, 30)
	return r
}

func (d *Document) sizes() []block {
	blocks := []block{title("7.3", d.t("Messages by size, both sides"))}
	h := d.Histogram
	if h.IsEmpty() {
		return append(blocks, note(words(d.t("No sizes were recorded."))))
	}
	labels := make([]string, len(h.Limits))
	for i, l := range h.Limits {
		labels[i] = d.classLabel(l, i == 0)
	}
	var source, destination int64
	for i := range h.Source {
		source += h.Source[i]
		destination += h.Destination[i]
	}
	drawing := chart.Histogram(d.t, h.Source, h.Destination, labels, d.histogramTitle(mailproof.Source, source), d.histogramTitle(mailproof.Destination, destination))
	caption := d.t("Last row: destination minus source, sum %s. Equal shapes above and below mean that messages of the same sizes are present. ", signedNumber(destination-source)) +
		d.t("Single messages move between classes where the destination stores an equivalent form of another length.")
	return append(blocks, block{Figure: &figure{Drawing: drawing, Caption: words(caption)}})
}

func signedNumber(n int64) string {
	if n > 0 {
		return "+" + comma(n)
	}
	return comma(n)
}

// histogramTitle names what a row of the histogram counts, as its sum tells.
func (d *Document) histogramTitle(side mailproof.Side, sum int64) string {
	c := d.Totals
	name, number := d.t("counted here"), comma(sum)
	switch {
	case side == mailproof.Source && sum == c.SourceMessages:
		name = d.t("inventory")
	case side == mailproof.Source && sum == c.SourceMessages-c.Excluded:
		name = d.t("in scope")
	case side == mailproof.Destination && sum == c.DestinationMessages:
		name = d.t("inventory")
	case side == mailproof.Destination && sum == c.DestinationPairedHere:
		name = d.t("paired")
	}
	return sentence(d.t(side.String())) + d.t(", ") + name + d.t(": ") + number
}

func (d *Document) folderTables() []block {
	blocks := []block{}
	for i, a := range d.Accounts {
		no := "7.4"
		head := d.t("Folders of %s", cutMiddle(a.Account, 60))
		if i == 0 {
			blocks = append(blocks, block{Heading: &heading{ID: "s7-4", No: no, Title: head}})
		} else {
			blocks = append(blocks, block{Heading: &heading{Title: head}})
		}
		blocks = append(blocks, d.folderTable(a, len(d.Accounts) == 1))
		if text := d.folderNote(a); text != "" {
			blocks = append(blocks, note(foreign(text)))
		}
		blocks = append(blocks, d.accountFindings(a)...)
	}
	if len(d.Accounts) == 0 {
		blocks = append(blocks, title("7.4", d.t("Folders of each account")), note(words(d.t("No account was compared."))))
	}
	if len(d.Accounts) > manyAccounts {
		blocks = append(blocks, title("7.5", d.t("Annex: every account")))
		t := d.accountTable()
		largest := int64(0)
		for _, a := range d.Accounts {
			largest = max(largest, a.Counts.SourceMessages)
		}
		for _, a := range d.worstFirst() {
			t.Rows = append(t.Rows, d.accountRow(a, largest))
		}
		t.Rows = append(t.Rows, d.accountTotal())
		blocks = append(blocks, block{Table: t})
	}
	return blocks
}

func (d *Document) folderTable(a mailproof.AccountResult, single bool) block {
	most := mailproof.Counts{} // of all accounts: their tables share one layout
	for _, b := range d.Accounts {
		c := b.Counts
		most.SourceMessages, most.DestinationMessages = max(most.SourceMessages, c.SourceMessages), max(most.DestinationMessages, c.DestinationMessages)
		most.Identical, most.Equivalent = max(most.Identical, c.AllIdentical()), max(most.Equivalent, c.AllEquivalent())
		most.Relocated, most.Altered, most.Missing = max(most.Relocated, c.Relocated), max(most.Altered, c.Altered), max(most.Missing, c.Missing)
		most.Unverifiable = max(most.Unverifiable, c.Unverifiable+c.NotChecked)
	}
	t := &table{Class: "fo", Dense: true, Wide: true,
		Columns: fitNumbers([]column{
			{Head: d.t("Source folder"), Width: 17}, {Head: d.t("Destination folder"), Width: 15.5}, {Head: d.t("UIDVALIDITY"), Width: 9.6, Right: true}, {Head: d.t("UIDNEXT"), Width: 7.2, Right: true},
			{Head: d.t("messages"), Right: true}, {Head: d.t("identical"), Right: true}, {Head: d.t("equi-\nvalent"), Right: true},
			{Head: d.t("relo-\ncated"), Right: true}, {Head: d.t("altered"), Right: true}, {Head: d.t("missing"), Right: true}, {Head: d.t("un-\nread"), Right: true},
			{Head: d.t("desti-\nnation"), Right: true},
		}, []int64{most.SourceMessages, most.Identical, most.Equivalent, most.Relocated, most.Altered, most.Missing, most.Unverifiable, most.DestinationMessages}, 0)}
	for _, f := range a.Folders {
		c := f.Counts
		t.Rows = append(t.Rows, row{Cells: []cell{
			d.folderName(f.Source, f.SourceScan), d.folderName(f.Destination, f.DestinationScan),
			stateNumber(f.Source, int64(f.SourceScan.Before.UIDValidity), false), stateNumber(f.Source, int64(f.SourceScan.Before.UIDNext), true),
			number(c.SourceMessages, false), number(c.AllIdentical(), false), number(c.AllEquivalent(), false), number(c.Relocated, false),
			number(c.Altered, true), number(c.Missing, true), number(c.Unverifiable+c.NotChecked, true), number(c.DestinationMessages, false),
		}})
	}
	c := a.Counts
	t.Rows = append(t.Rows, row{Kind: totalRow, Cells: []cell{
		words(d.count(int64(len(a.Folders)), "folder")), nil, nil, nil,
		number(c.SourceMessages, false), number(c.AllIdentical(), false), number(c.AllEquivalent(), false), number(c.Relocated, false),
		number(c.Altered, true), number(c.Missing, true), number(c.Unverifiable+c.NotChecked, true), number(c.DestinationMessages, false),
	}})
	if single {
		t.Caption = cell{{Text: d.t(strings.ToLower(a.Verdict.String())), Mark: verdictMark(a.Verdict)}}
	} else {
		t.Caption = cell{{Text: d.t(strings.ToLower(a.Verdict.String())) + d.t("; flags differ %s, dates differ %s, excluded by rule %s, extra %s, surplus %s", comma(a.FlagsDiffer), comma(a.DatesDiffer),
			comma(c.Excluded), comma(c.Extra), comma(c.DuplicateSurplus)), Mark: verdictMark(a.Verdict)}}
	}
	return block{Table: t}
}

func (d *Document) folderName(name string, s mailproof.MailboxScan) cell {
	if name == "" {
		return cell{{Text: d.t("none"), Style: faint}}
	}
	c := nameOf(name)
	if s.Excluded != "" {
		c = c.and(span{Text: d.t("excluded: ") + cut(s.Excluded, 80), Style: small, Break: true, Foreign: true})
	}
	if s.Drifted {
		c = c.and(span{Text: d.t("changed while read"), Style: small | bold, Break: true})
	}
	if s.Error != "" {
		c = c.and(span{Text: cut(s.Error, 160), Style: small, Break: true, Foreign: true})
	}
	return c
}

// stateNumber prints a folder's state. UIDVALIDITY is a name rather than a
// quantity and has no commas.
func stateNumber(folder string, n int64, quantity bool) cell {
	switch {
	case folder == "" || n == 0:
		return cell{{Text: "–", Style: faint}}
	case quantity:
		return cell{{Text: comma(n), Style: small}}
	}
	return cell{{Text: fmt.Sprint(n), Style: small}}
}

// accountFindings are the checks of an account that did not simply pass.
func (d *Document) accountFindings(a mailproof.AccountResult) []block {
	const most = 12
	var blocks []block
	for _, f := range a.Findings {
		if f.Outcome == mailproof.OutcomePass {
			continue
		}
		if len(blocks) == most {
			return append(blocks, note(words(d.t("Further findings of the account are in report.json."))))
		}
		c := cell{{Text: d.t(f.Outcome.String()) + " ", Style: bold, Mark: outcomeMark(f.Outcome)}, {Text: f.Check, Style: mono}}
		if f.Observed != "" {
			c = c.and(span{Text: "  " + cut(oneLine(f.Observed), 400), Foreign: true})
		}
		if f.Remedy != "" && f.Outcome != mailproof.OutcomeAccepted {
			c = c.and(span{Text: d.t("; ") + cut(oneLine(f.Remedy), 200), Foreign: true})
		}
		blocks = append(blocks, note(c))
	}
	return blocks
}

// folderNote says whether the state of the folders was the same before and
// after reading, and names the sign-in errors of the account.
func (d *Document) folderNote(a mailproof.AccountResult) string {
	drift, seen := 0, 0
	for _, f := range a.Folders {
		for _, s := range []mailproof.MailboxScan{f.SourceScan, f.DestinationScan} {
			if s.Name == "" || s.NoSelect || s.Excluded != "" {
				continue
			}
			seen++
			if s.Drifted {
				drift++
			}
		}
	}
	var parts []string
	switch {
	case seen > 0 && drift == 0:
		parts = append(parts, d.t("Drift: none. UIDVALIDITY, UIDNEXT and EXISTS were the same before and after reading in every folder read."))
	case drift > 0:
		parts = append(parts, d.form(int64(drift), "Drift: %s folder changed while being read.|Drift: %s folders changed while being read."))
	}
	for _, s := range []mailproof.Scan{a.SourceScan, a.DestinationScan} {
		if s.Error != "" {
			parts = append(parts, sentence(d.t(s.Side.String()))+": "+cut(s.Error, 300))
		}
	}
	return strings.Join(parts, " ")
}

func (d *Document) shortTime(t time.Time) string { return d.date(t, "2 Jan 15:04:05") }
