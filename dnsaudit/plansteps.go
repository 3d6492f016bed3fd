package dnsaudit

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// laterTTL is the TTL that records get in the end where there were none
// before.
const laterTTL = 3600

// steps puts the changes of all sets in their order, with times.
func (p *planner) steps() {
	t := p.timing()
	for _, s := range []PlanStep{p.lowerTTLs(t), p.prepare(t), p.cutOver(t), p.removeSPF(t), p.restoreTTLs(t), p.removeDKIM(t)} {
		s.Notes = append(s.Notes, p.note[s.ID]...)
		if len(s.Changes) == 0 && len(s.Notes) == 0 {
			continue
		}
		if s.Changes == nil {
			s.Changes = []RecordChange{}
		}
		if s.Notes == nil {
			s.Notes = []string{}
		}
		p.p.Steps = append(p.p.Steps, s)
	}
}

// timing is what the times of the steps are reckoned from.
type timing struct {
	cutOver time.Time     // zero: not fixed
	old     time.Duration // largest TTL that has to run out before the cut-over
	settle  time.Duration // how long what is prepared takes to be seen everywhere
	low     time.Duration // largest TTL while the cut-over is made
	created []string      // names that do not exist yet
	absent  time.Duration // how long a resolver keeps that they do not exist
}

func (p *planner) timing() timing {
	t := timing{cutOver: p.p.CutOver}
	negative, _ := p.negative()
	for _, s := range p.sets {
		if s.step == "" {
			continue
		}
		t.old = max(t.old, seconds(s.ttl))
		if s.step == StepPrepare {
			t.settle = max(t.settle, seconds(s.ttl))
		} else {
			t.low = max(t.low, seconds(s.low()))
		}
		if s.ttl == 0 && len(s.during) > 0 {
			t.created = append(t.created, strings.TrimSuffix(s.during[0].owner, "."))
			t.absent = seconds(negative)
		}
	}
	t.settle = max(t.settle, t.absent)
	need := max(t.old, t.settle)
	if !t.cutOver.IsZero() && need > 0 && t.cutOver.Before(p.p.Observed.Add(need)) {
		p.warn("the planned cut-over is too early: what is cached now may live until %s; cut over no sooner", stamp(p.p.Observed.Add(need)))
	}
	return t
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span writes a duration without the parts that are zero: "7 days", "24h",
// "1h30m".
func span(d time.Duration) string {
	if day := 24 * time.Hour; d > day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// before says that a step must be done so long before the cut-over.
func (t timing) before(step *PlanStep, d time.Duration, why string) {
	step.When = fmt.Sprintf("at least %s before the cut-over: %s", span(d), why)
	if !t.cutOver.IsZero() {
		step.By = t.cutOver.Add(-d).UTC()
		step.When = fmt.Sprintf("by %s at the latest, %s before the cut-over: %s", stamp(step.By), span(d), why)
	}
}

// after says that a step must wait so long after the cut-over.
func (t timing) after(step *PlanStep, d time.Duration, why string) {
	step.When = fmt.Sprintf("not before %s after the cut-over, %s", span(d), why)
	if !t.cutOver.IsZero() {
		step.NotBefore = t.cutOver.Add(d).UTC()
		step.When = fmt.Sprintf("not before %s, %s after the cut-over, %s", stamp(step.NotBefore), span(d), why)
	}
}

func (p *planner) lowerTTLs(t timing) PlanStep {
	step := PlanStep{ID: StepLowerTTLs, Title: "lower the TTLs of what will change"}
	t.before(&step, t.old, "the largest TTL that caches may hold")
	for _, s := range p.sets {
		if s.step == "" || s.ttl <= newTTL {
			continue
		}
		for _, l := range s.before {
			step.Changes = append(step.Changes, RecordChange{Action: ActionTTL, Record: l.text(newTTL), WasTTL: s.ttl})
		}
	}
	return step
}

func (p *planner) prepare(t timing) PlanStep {
	step := PlanStep{ID: StepPrepare, Title: "let the new provider send beside the old one"}
	t.before(&step, t.settle, "until then resolvers may not see it")
	step.Changes = p.exchange(StepPrepare, false)
	if t.absent > 0 && len(step.Changes) > 0 {
		step.Notes = append(step.Notes, fmt.Sprintf("ask no resolver for a new name before every name server has it: it would keep for %s that there is none (%s)",
			span(t.absent), strings.Join(t.created, ", ")))
	}
	return step
}

func (p *planner) cutOver(t timing) PlanStep {
	step := PlanStep{ID: StepCutOver, Title: "cut over", NotBefore: t.cutOver}
	step.When = fmt.Sprintf("at the cut-over, when the lowered TTLs have been in place for %s", span(t.old))
	if !t.cutOver.IsZero() {
		step.When = fmt.Sprintf("at %s, when the lowered TTLs have been in place for %s", stamp(t.cutOver), span(t.old))
	}
	if t.old == 0 {
		step.When = strings.TrimSuffix(step.When, ", when the lowered TTLs have been in place for "+span(0))
	}
	step.Changes = p.exchange(StepCutOver, false)
	if len(step.Changes) > 0 {
		step.Notes = append(step.Notes, "then wait with mailproof dns --watch; the final pass over the mail belongs after the safe time")
	}
	return step
}

const whenSafe = "and not before mailproof dns --watch says that the records are safe"

func (p *planner) removeSPF(t timing) PlanStep {
	step := PlanStep{ID: StepRemoveSPF, Title: "take the old provider out of the SPF policy"}
	t.after(&step, t.low, whenSafe)
	step.Changes = p.exchange(StepRemoveSPF, true)
	return step
}

func (p *planner) restoreTTLs(t timing) PlanStep {
	step := PlanStep{ID: StepRestoreTTLs, Title: "restore the TTLs"}
	t.after(&step, t.low, whenSafe)
	for _, s := range p.sets {
		ttl := s.ttl
		if ttl == 0 {
			ttl = laterTTL
		}
		if s.step == "" || ttl == s.low() {
			continue
		}
		for _, l := range s.after {
			step.Changes = append(step.Changes, RecordChange{Action: ActionTTL, Record: l.text(ttl), WasTTL: s.low(), FillIn: l.hint != "", Hint: l.hint})
		}
	}
	return step
}

func (p *planner) removeDKIM(t timing) PlanStep {
	step := PlanStep{ID: StepRemoveDKIM, Title: "take the old provider's DKIM selectors out"}
	t.after(&step, keepSelectors, "for mail that is still under way")
	step.Changes = p.exchange(StepRemoveDKIM, true)
	return step
}

// exchange lists the lines that go and come in a step.
func (p *planner) exchange(id string, final bool) []RecordChange {
	var out []RecordChange
	for _, s := range p.sets {
		from, to, step, ttl := s.before, s.during, s.step, s.low()
		if final {
			from, to, step = s.during, s.after, s.finalStep
			if s.step == "" {
				ttl = s.ttl // it was never lowered
			}
		}
		if step != id {
			continue
		}
		for _, l := range from {
			if !slices.Contains(to, l) {
				out = append(out, RecordChange{Action: ActionDelete, Record: l.text(ttl)})
			}
		}
		for _, l := range to {
			if !slices.Contains(from, l) {
				out = append(out, RecordChange{Action: ActionAdd, Record: l.text(ttl), FillIn: l.hint != "", Hint: l.hint})
			}
		}
	}
	return out
}

// String is the change as a line of a plan.
func (c RecordChange) String() string {
	s := fmt.Sprintf("%-6s  %s", c.Action, c.Record)
	switch {
	case c.FillIn:
		s += " ; fill in: " + c.Hint
	case c.Action == ActionTTL:
		s += fmt.Sprintf(" ; was %d", c.WasTTL)
	}
	return s
}

// String is the plan for people: what to do and when as comments, the changes
// as lines.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "; %s: to %s", BothNames(p.Domain), p.To)
	if p.From != "" {
		fmt.Fprintf(&b, " from %s", p.From)
	}
	if !p.Observed.IsZero() {
		fmt.Fprintf(&b, ", as observed %s", stamp(p.Observed))
	}
	b.WriteString("\n")
	for i, s := range p.Steps {
		fmt.Fprintf(&b, ";\n; %d  %s\n;    %s\n", i+1, s.Title, s.When)
		for _, n := range s.Notes {
			fmt.Fprintf(&b, ";    %s\n", n)
		}
		for _, c := range s.Changes {
			fmt.Fprintf(&b, "%s\n", c)
		}
	}
	switch {
	case len(p.Steps) > 0:
	case len(p.Unknown) > 0:
		b.WriteString("; what there is to change is not known\n")
	default:
		b.WriteString("; nothing to change\n")
	}
	for _, w := range p.Warnings {
		fmt.Fprintf(&b, "; warning: %s\n", w)
	}
	for _, u := range p.Unknown {
		fmt.Fprintf(&b, "; unknown: %s\n", u)
	}
	return b.String()
}

// RollbackZone is the records of all plans as they were observed, in the form
// of a zone file, and as comments what a way back has to delete.
func RollbackZone(plans []Plan) string {
	var b strings.Builder
	for _, p := range plans {
		b.WriteString(rollbackHead + BothNames(p.Domain) + rollbackSeen + stamp(p.Observed) + rollbackTail + "\n")
		for _, l := range p.Rollback {
			b.WriteString(l + "\n")
		}
		for _, s := range p.Steps {
			for _, c := range s.Changes {
				if c.Action == ActionAdd && (s.ID == StepPrepare || s.ID == StepCutOver || s.ID == StepRemoveSPF) {
					fmt.Fprintf(&b, "; and delete, where it stands  %s\n", c.Record)
				}
			}
		}
	}
	return b.String()
}
