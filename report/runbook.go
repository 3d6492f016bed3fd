package report

import (
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/report/chart"
)

// phaseNames are the phases of the runbook.
var phaseNames = map[int]string{
	1: "Phase 1: before the copy", 2: "Phase 2: copy", 3: "Phase 3: cut-over", 4: "Afterwards",
}

// checklist is section 6: who confirmed what, when, and on what it rests.
func (d *Document) checklist() section {
	s := section{ID: "s6", No: "6", Title: d.t("Phase checklist")}
	if len(d.Runbook) == 0 {
		s.Blocks = []block{note(words(d.t("The engagement keeps no runbook. The steps that the parties agreed on, and who confirmed them, are kept outside this report.")))}
		return s
	}
	t := &table{Class: "rb", Dense: true, Wide: true, Caption: words(d.runbookTally()), Columns: []column{
		{Head: d.t("Step"), Width: 32.5}, {Head: d.t("Owner"), Width: 9}, {Head: d.t("Kind"), Width: 11.5}, {Head: d.t("Evidence, or who said so"), Width: 25}, {Head: d.t("When (UTC)"), Width: 11}, {Head: d.t("State"), Width: 11}}}
	phase := 0
	for _, step := range d.Runbook {
		if step.Phase != phase {
			phase = step.Phase
			t.Rows = append(t.Rows, row{Kind: groupRow, Cells: []cell{words(or(d.t(phaseNames[phase]), d.t("Phase %d", phase)))}})
		}
		t.Rows = append(t.Rows, d.runbookRow(step))
	}
	s.Blocks = []block{
		{Legend: []cell{
			marked(chart.MarkMeasured, d.t("measured: the state comes from evidence and cannot be ticked by hand")),
			marked(chart.MarkAttested, d.t("attested: a person’s word, with name and time")),
		}},
		{Table: t},
	}
	return s
}

func (d *Document) runbookTally() string {
	n := map[mailproof.RunbookState]int64{}
	for _, s := range d.Runbook {
		n[s.State]++
	}
	text := d.t("%s: %s done", d.count(int64(len(d.Runbook)), "step"), comma(n[mailproof.RunbookDone]))
	for _, state := range []mailproof.RunbookState{mailproof.RunbookFailed, mailproof.RunbookOpen, mailproof.RunbookNotApplicable} {
		if n[state] > 0 {
			text += ", " + d.form(n[state], "%s "+runbookStates[state].word+"|%s "+runbookStates[state].word)
		}
	}
	return text + d.t(".")
}

// runbookStates are the states as they are shown: each has its mark and its
// word, and what needs eyes is bold.
var runbookStates = map[mailproof.RunbookState]struct {
	mark chart.Mark
	word string
	bold bool
}{
	mailproof.RunbookOpen: {chart.MarkOpen, "open", true}, mailproof.RunbookDone: {chart.MarkPass, "done", false},
	mailproof.RunbookFailed: {chart.MarkFail, "failed", true}, mailproof.RunbookNotApplicable: {chart.MarkWaived, "not applicable", false},
}

var evidenceKinds = map[mailproof.StepEvidence]struct {
	mark chart.Mark
	word string
}{
	mailproof.Measured: {chart.MarkMeasured, "measured"}, mailproof.Attested: {chart.MarkAttested, "attested"},
	mailproof.MeasuredOrAttested: {chart.MarkEitherKind, "measured or attested"}, mailproof.MeasuredAndAttested: {chart.MarkEitherKind, "measured and attested"},
}

func (d *Document) runbookRow(s mailproof.RunbookStep) row {
	state := runbookStates[s.State]
	said := cell{{Text: d.t(state.word), Mark: state.mark}}
	if state.bold {
		said[0].Style = bold
	}
	kind := evidenceKinds[s.Evidence]
	when := cell{{Text: "–", Style: faint}}
	if !s.When.IsZero() {
		when = cell{{Text: d.date(s.When, "2 Jan 15:04")}}
	}
	return row{Cells: []cell{foreign(sentence(cut(d.t(s.Title), 200))), foreign(cut(d.t(s.Owner), 40)), marked(kind.mark, d.t(kind.word)), d.basisCell(s), when, said}}
}

// basisCell is what a state rests on: what was measured, then who said what.
func (d *Document) basisCell(s mailproof.RunbookStep) cell {
	var c cell
	if s.Basis != "" {
		c = foreign(cut(s.Basis, 240))
	}
	if s.By != "" {
		c = c.and(span{Text: cut(s.By, 80), Foreign: true, Break: len(c) > 0})
	}
	if s.Note != "" {
		c = c.and(span{Text: "“" + cut(strings.TrimSpace(s.Note), 240) + "”", Style: small, Foreign: true, Break: len(c) > 0})
	}
	if len(c) == 0 {
		return cell{{Text: d.t("nothing recorded"), Style: faint}}
	}
	return c
}

// mostReady bounds the accounts that the page on readiness names one by one.
const mostReady = 400

// readiness is the page of the readiness check: what stood in the way before
// the work began.
func (d *Document) readiness() []block {
	r := d.Readiness
	if r == nil {
		return nil
	}
	ready, shown := 0, make([]ReadinessAccount, 0, len(r.Accounts))
	for _, a := range r.Accounts {
		if a.Ready {
			ready++
		}
	}
	for _, a := range r.Accounts { // what is not ready stands first
		if !a.Ready {
			shown = append(shown, a)
		}
	}
	if len(r.Accounts) <= manyAccounts {
		for _, a := range r.Accounts {
			if a.Ready {
				shown = append(shown, a)
			}
		}
	}
	hidden := len(r.Accounts) - len(shown)
	if len(shown) > mostReady {
		hidden, shown = hidden+len(shown)-mostReady, shown[:mostReady]
	}
	answer := d.t("ready")
	if !r.Ready {
		answer = d.t("not ready")
	}
	caption := d.t("Checked %s: %s. %s of %s ready.", d.date(r.Taken, "2 Jan 2006 15:04 UTC"), answer, comma(int64(ready)), d.count(int64(len(r.Accounts)), "account"))
	if r.Estimate != "" {
		caption += d.t(" Estimate: %s.", cut(r.Estimate, 200))
	}
	t := &table{Class: "rd", Dense: true, Wide: true, Caption: foreign(caption), Columns: []column{
		{Head: d.t("Account"), Width: 29}, {Head: d.t("Folders"), Width: 8, Right: true}, {Head: d.t("Messages"), Width: 11, Right: true}, {Head: d.t("Size"), Width: 10, Right: true}, {Head: d.t("Result"), Width: 42, Pad: true}}}
	for _, a := range shown {
		mark, style := chart.MarkPass, style(0)
		if !a.Ready {
			mark, style = chart.MarkFail, bold
		}
		t.Rows = append(t.Rows, row{Cells: []cell{
			nameOf(a.Account), number(int64(a.Folders), false), number(a.Messages, false), words(d.octets(a.Octets)), {{Text: cut(or(a.Result, d.t("ready")), 240), Mark: mark, Style: style, Foreign: true}},
		}})
	}
	blocks := []block{title("5.2", d.t("Readiness before the work"))}
	if len(t.Rows) > 0 {
		blocks = append(blocks, block{Table: t})
	} else {
		blocks = append(blocks, note(foreign(caption)))
	}
	if hidden > 0 {
		blocks = append(blocks, note(words(d.t("%s are not shown here; readiness.csv of the export lists each.", d.count(int64(hidden), "further account")))))
	}
	for _, f := range r.Findings {
		if f.Outcome == mailproof.OutcomePass || len(blocks) > 30 {
			continue
		}
		c := cell{{Text: d.t(f.Outcome.String()) + " ", Style: bold, Mark: outcomeMark(f.Outcome)}, {Text: f.Check, Style: mono, Foreign: true}}
		if where := or(d.domain(f.Domain), f.Account); where != "" {
			c = c.and(span{Text: "  " + cutMiddle(where, 80), Foreign: true})
		}
		if f.Observed != "" {
			c = c.and(span{Text: "  " + cut(oneLine(f.Observed), 300), Foreign: true})
		}
		if f.Remedy != "" {
			c = c.and(span{Text: d.t("; ") + cut(oneLine(f.Remedy), 200), Foreign: true})
		}
		blocks = append(blocks, note(c))
	}
	return blocks
}
