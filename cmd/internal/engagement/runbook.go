package engagement

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/templates"
)

// RunbookPhase is a part of the runbook.
type RunbookPhase struct {
	Number int    `toml:"number" json:"number"`
	Title  string `toml:"title" json:"title"`
}

// RunbookGate is a decision that some phases must come before.
type RunbookGate struct {
	Name   string `toml:"name"`
	Title  string `toml:"title"`
	Phases []int  `toml:"phases"`
}

// stepData is a step as templates/runbook.toml has it.
type stepData struct {
	ID       string                 `toml:"id"`
	Phase    int                    `toml:"phase"`
	Title    string                 `toml:"title"`
	Owner    string                 `toml:"owner"`
	Evidence mailproof.StepEvidence `toml:"evidence"`
	Measure  string                 `toml:"measure"`
	Optional bool                   `toml:"optional"`
	Next     string                 `toml:"next"`
}

// runbookData is the whole file.
type runbookData struct {
	Phases []RunbookPhase `toml:"phase"`
	Gates  []RunbookGate  `toml:"gate"`
	Steps  []stepData     `toml:"step"`
}

// RunbookItem is a step of the runbook as it stands, and what to do next about
// it; nothing where it holds.
type RunbookItem struct {
	mailproof.RunbookStep
	Next     string `json:"next,omitempty"`
	Optional bool   `json:"optional,omitempty"` // a person may say that the engagement does not have it
}

// Holds reports whether nothing is left to do about the step.
func (i *RunbookItem) Holds() bool {
	return i.State == mailproof.RunbookDone || i.State == mailproof.RunbookNotApplicable
}

// Runbook is the runbook of an engagement as it stands.
type Runbook struct {
	Phases       []RunbookPhase    `json:"phases"`
	Steps        []RunbookItem     `json:"steps"`
	CutOver      time.Time         `json:"cutover,omitzero"` // when it was, or is to be
	CutOverBasis string            `json:"cutover_basis,omitempty"`
	Verdict      mailproof.Verdict `json:"verdict"`
	gates        []RunbookGate
}

// parseRunbook reads the runbook's data, and refuses what would not work: a
// mistake in it is one of the build.
func parseRunbook(text string) (*runbookData, error) {
	var d runbookData
	meta, err := toml.Decode(text, &d)
	if err != nil {
		return nil, fmt.Errorf("runbook: %w", err)
	}
	if keys := meta.Undecoded(); len(keys) > 0 {
		return nil, fmt.Errorf("runbook: key %s is not known", keys[0])
	}
	seen := map[string]bool{}
	for i, s := range d.Steps {
		measured := s.Evidence != mailproof.Attested
		switch {
		case s.ID == "" || s.Title == "" || s.Owner == "" || s.Next == "" || s.Evidence == 0:
			err = errors.New("lacks a value")
		case seen[s.ID]:
			err = errors.New("is there twice")
		case !slices.ContainsFunc(d.Phases, func(p RunbookPhase) bool { return p.Number == s.Phase }):
			err = fmt.Errorf("phase %d is not there", s.Phase)
		case i > 0 && s.Phase < d.Steps[i-1].Phase:
			err = errors.New("stands behind a later phase")
		case measured != (s.Measure != ""):
			err = errors.New("evidence and measure do not go together")
		case measured && measures[s.Measure] == nil:
			err = fmt.Errorf("measure %q is not known", s.Measure)
		}
		if err != nil {
			return nil, fmt.Errorf("runbook: step %q: %w", s.ID, err)
		}
		seen[s.ID] = true
	}
	for _, g := range d.Gates {
		if g.Name == "" || len(g.Phases) == 0 {
			return nil, fmt.Errorf("runbook: gate %q lacks a value", g.Name)
		}
	}
	return &d, nil
}

// Runbook puts the runbook together: measured steps from what the ledger has
// and what the comparison found, the others from what people said.
func (e *Engagement) Runbook(ctx context.Context, c Comparison) (*Runbook, error) {
	data, err := parseRunbook(templates.Runbook)
	if err != nil {
		return nil, err
	}
	f, err := e.facts(ctx, c)
	if err != nil {
		return nil, err
	}
	attested, err := e.latestAttestations(ctx)
	if err != nil {
		return nil, err
	}
	r := &Runbook{Phases: data.Phases, gates: data.Gates, Verdict: f.verdict, CutOver: f.cutOver, CutOverBasis: f.cutOverBasis}
	for _, s := range data.Steps {
		r.Steps = append(r.Steps, f.judge(s, attested[s.ID]))
	}
	return r, nil
}

// latestAttestations are those that hold, by step; one that was withdrawn is
// none.
func (e *Engagement) latestAttestations(ctx context.Context) (map[string]*mailproof.Attestation, error) {
	list, err := e.ledger.Attestations(ctx)
	if err != nil {
		return nil, err
	}
	latest := map[string]*mailproof.Attestation{}
	for i := range list {
		a := &list[i]
		if latest[a.Step] = a; a.Withdrawn {
			delete(latest, a.Step)
		}
	}
	return latest, nil
}

// judge is where one step stands.
func (f *facts) judge(s stepData, a *mailproof.Attestation) RunbookItem {
	item := RunbookItem{RunbookStep: mailproof.RunbookStep{ID: s.ID, Phase: s.Phase, Title: s.Title, Owner: s.Owner, Evidence: s.Evidence}, Optional: s.Optional, Next: s.Next}
	if a != nil {
		item.By, item.When, item.Note = a.By, a.When, a.Note
	}
	var m measurement
	if s.Measure != "" {
		m = measures[s.Measure](f)
		item.State, item.Basis = m.state, m.basis
		item.Next = cmp.Or(m.next, item.Next)
	}
	said := a != nil && !a.NotApplicable
	switch {
	case s.Evidence == mailproof.MeasuredAndAttested && item.State == mailproof.RunbookDone:
		f.agree(&item, said)
	case a != nil && a.NotApplicable:
		// What was measured weighs more than a word that there is nothing to
		// measure, and some steps every engagement has.
		if item.State == mailproof.RunbookOpen && s.Optional {
			item.State = mailproof.RunbookNotApplicable
		}
	case s.Evidence == mailproof.Attested && said,
		s.Evidence == mailproof.MeasuredOrAttested && item.State == mailproof.RunbookOpen && said:
		item.State = mailproof.RunbookDone
	}
	if item.Holds() {
		item.Next = ""
	}
	return item
}

// agree is the half of a person in a step that is measured and attested: given
// after the last decision, as it is about all of them.
func (f *facts) agree(item *RunbookItem, said bool) {
	switch {
	case !said:
		item.State = mailproof.RunbookOpen
		item.Basis += "; nobody has agreed yet"
		item.Next = fmt.Sprintf("mailproof attest %s --by NAME --note TEXT", item.ID)
	case item.When.Before(f.lastDecision):
		item.State = mailproof.RunbookOpen
		item.Basis += fmt.Sprintf("; %s agreed before the last decision was made", item.By)
		item.Next = fmt.Sprintf("mailproof attest %s --by NAME --note TEXT, again", item.ID)
	}
}

// ForReport is the checklist as the report shows it.
func (r *Runbook) ForReport() []mailproof.RunbookStep {
	out := make([]mailproof.RunbookStep, len(r.Steps))
	for i := range r.Steps {
		out[i] = r.Steps[i].RunbookStep
	}
	return out
}

// Missing are the steps that do not hold yet and come before a gate. The error
// names the gates that there are.
func (r *Runbook) Missing(gate string) (missing []RunbookItem, title string, err error) {
	var names []string
	for _, g := range r.gates {
		names = append(names, g.Name)
		if g.Name != gate {
			continue
		}
		for _, s := range r.Steps {
			if slices.Contains(g.Phases, s.Phase) && !s.Holds() {
				missing = append(missing, s)
			}
		}
		return missing, g.Title, nil
	}
	return nil, "", fmt.Errorf("gate %q is not known: there are %s", gate, strings.Join(names, " and "))
}

// Before counts the steps that come before a gate.
func (r *Runbook) Before(gate string) (n int) {
	for _, g := range r.gates {
		for _, s := range r.Steps {
			if g.Name == gate && slices.Contains(g.Phases, s.Phase) {
				n++
			}
		}
	}
	return n
}

// NotForHands says that a step takes its state from evidence.
type NotForHands struct {
	Step stepData
	Why  string
}

func (n *NotForHands) Error() string {
	return fmt.Sprintf("step %s (%s): %s", n.Step.ID, n.Step.Title, n.Why)
}

// Hints says what to do instead.
func (n *NotForHands) Hints() []string { return []string{n.Step.Next} }

// Attest records a person's word for a step, where the step is one for
// people's words, and returns the step as it then stands. A step that is
// measured and attested takes it only when the measured half holds.
func (e *Engagement) Attest(ctx context.Context, a mailproof.Attestation) (*RunbookItem, error) {
	data, err := parseRunbook(templates.Runbook)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(data.Steps, func(s stepData) bool { return s.ID == a.Step })
	if i < 0 {
		return nil, fmt.Errorf("step %q is not in the runbook: %s", a.Step, stepNames(data.Steps))
	}
	s := data.Steps[i]
	c, err := e.Compare(ctx, nil)
	if err != nil {
		return nil, err
	}
	f, err := e.facts(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := f.mayAttest(s, a); err != nil {
		return nil, err
	}
	if a.When.IsZero() {
		a.When = time.Now().UTC()
	}
	if err := e.ledger.Attest(ctx, a); err != nil {
		return nil, err
	}
	latest := &a
	if a.Withdrawn {
		latest = nil
	}
	item := f.judge(s, latest)
	return &item, nil
}

// mayAttest refuses a word where evidence decides.
func (f *facts) mayAttest(s stepData, a mailproof.Attestation) error {
	if a.Withdrawn {
		return nil
	}
	var m measurement
	if s.Measure != "" {
		m = measures[s.Measure](f)
	}
	refuse := func(why string) error {
		s.Next = cmp.Or(m.next, s.Next)
		return &NotForHands{s, why}
	}
	switch {
	case a.NotApplicable && !s.Optional:
		return refuse("every engagement has this step")
	case a.NotApplicable && m.state == mailproof.RunbookDone:
		return refuse("it was measured: " + m.basis)
	case a.NotApplicable && m.state == mailproof.RunbookFailed:
		return refuse("what was measured says otherwise: " + m.basis)
	case a.NotApplicable:
		return nil
	case s.Evidence == mailproof.Measured:
		return refuse("it is measured, and cannot be ticked by hand")
	case s.Evidence == mailproof.MeasuredOrAttested && m.state == mailproof.RunbookFailed:
		return refuse("what was measured says otherwise: " + m.basis)
	case s.Evidence == mailproof.MeasuredAndAttested && m.state != mailproof.RunbookDone:
		return refuse("what is measured does not hold yet: " + cmp.Or(m.basis, "nothing was measured"))
	}
	return nil
}

func stepNames(steps []stepData) string {
	var names []string
	for _, s := range steps {
		if s.Evidence != mailproof.Measured {
			names = append(names, s.ID)
		}
	}
	return "people attest " + strings.Join(names, ", ")
}
