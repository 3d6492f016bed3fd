package diff

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// labelledFake is a fake inventory with labels, by the number of a message.
type labelledFake struct {
	*fake
	labels map[int64][]string
}

func (f labelledFake) EachLabels(_ context.Context, each func(int64, []string) error) error {
	for id := int64(1); id <= int64(len(f.msgs))+1; id++ { // one message too many, which is gone
		if l, ok := f.labels[id]; ok {
			if err := each(id, l); err != nil {
				return err
			}
		}
	}
	return nil
}

// wrapped hides what an inventory can do beside Inventory, unless it is asked
// for what is beneath.
type wrapped struct{ Inventory }

func (w wrapped) Unwrap() Inventory { return w.Inventory }

// A label whose folder the source hides is named where the destination lacks
// it, and nowhere else; the verdict stays what it is.
func TestHiddenLabels(t *testing.T) {
	for _, tt := range []struct {
		name   string
		labels []string
		rule   string
		dst    func(dst *fake) // adds to the destination
		have   []string        // labels of the destination's message
		want   string          // in the evidence; empty: nothing is said
	}{
		{name: "no label"},
		{name: "lost", labels: []string{"Hidden"}, want: "“Hidden”"},
		{name: "two lost", labels: []string{"Hidden", "Work/2019"}, want: "“Hidden”, “Work/2019”"},
		{name: "listed", labels: []string{"Sent", `\Sent`, `\Inbox`, "Archive"}},
		{name: "no places", labels: []string{`\Starred`, `\Important`, `\Muted`, `\muted`}},
		{name: "spam folder hidden", labels: []string{`\Spam`}, want: `“\Spam”`},
		{name: "spam folder there", labels: []string{`\Spam`}, dst: func(d *fake) { d.add("Junk", letter(1)) }},
		{name: "in a folder of its own", labels: []string{"Hidden"}, dst: func(d *fake) { d.add("Hidden", letter(1)) }},
		{name: "another message in that folder", labels: []string{"Hidden"}, dst: func(d *fake) { d.add("Hidden", letter(2)) }, want: "“Hidden”"},
		{name: "mapped folder", labels: []string{"Hidden"}, rule: "Hidden=Shown", dst: func(d *fake) { d.add("Shown", letter(1)) }},
		{name: "mapped label", labels: []string{"Hidden"}, rule: "Hidden=Shown", have: []string{"Shown"}},
		{name: "same label", labels: []string{"Hidden"}, have: []string{"Other", "Hidden"}},
		{name: "other case", labels: []string{"Hidden"}, have: []string{"hidden"}, want: "“Hidden”"},
		{name: "system label", labels: []string{`\Spam`}, have: []string{`\SPAM`}},
		{name: "one of two", labels: []string{"A", "B"}, have: []string{"A"}, want: "“B”"},
	} {
		for _, limit := range []int{1, 100} {
			src, dst := standard()
			m := src.add("INBOX", letter(1))
			d := dst.add("INBOX", letter(1))
			src.add("INBOX", letter(7)) // another one, without labels
			dst.add("INBOX", letter(7))
			if tt.dst != nil {
				tt.dst(dst)
			}
			o := Options{Limit: limit}
			if tt.rule != "" {
				var err error
				if o.Rules, err = ParseRules([]string{tt.rule}, nil); err != nil {
					t.Fatal(err)
				}
			}
			var got []Result
			o.OnResult = func(r Result) error {
				if r.SourceRow != nil {
					got = append(got, r)
				}
				return nil
			}
			all := map[int64][]string{m.ID: tt.labels, int64(len(src.msgs)) + 1: {"Gone"}}
			res, err := Compare(t.Context(), wrapped{labelledFake{src, all}}, wrapped{wrapped{labelledFake{dst, map[int64][]string{d.ID: tt.have}}}}, o)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != 2 || res.Counts.Identical != 2 || res.Verdict != mailproof.Complete {
				t.Fatalf("%s: %+v, %v", tt.name, res.Counts, res.Verdict)
			}
			said := ""
			for _, r := range got {
				if r.Labels != nil {
					said += r.Labels.String()
				}
			}
			warned := slices.ContainsFunc(res.Findings, func(f mailproof.Finding) bool { return f.Check == CheckLabels && f.Outcome == mailproof.OutcomeWarn })
			if (said != "") != (tt.want != "") || !strings.Contains(said, tt.want) || warned != (tt.want != "") {
				t.Errorf("%s, limit %d: %q, warned %v, want %q", tt.name, limit, said, warned, tt.want)
			}
			if said != "" && !strings.HasPrefix(said, ReasonLabel+":") {
				t.Errorf("%s: %q", tt.name, said)
			}
		}
	}
}

// A copy that the destination keeps under a label which IMAP does not show there
// is too few still, and the reason says where it is.
func TestLabelHiddenOnTheDestination(t *testing.T) {
	for have, want := range map[string]string{"Work": ReasonLabelHidden, "work": ReasonLabel, "": ReasonLabel} {
		src, dst := standard()
		for _, box := range []string{"INBOX", "Work"} {
			src.add(box, letter(1)).GmailID = 7
		}
		d := dst.add("INBOX", letter(1))
		var reasons []mailproof.Reason
		_, err := Compare(t.Context(), src, labelledFake{dst, map[int64][]string{d.ID: {have}}}, Options{OnResult: func(r Result) error {
			if r.Verdict == mailproof.DuplicateCollapsed {
				reasons = append(reasons, r.Reasons...)
			}
			return nil
		}})
		if err != nil || len(reasons) != 1 || reasons[0].Code != want {
			t.Errorf("label %q: %v, error %v, want %s", have, reasons, err, want)
		}
	}
}

// Whatever an inventory can do beside Inventory is found through every wrapper
// that has Unwrap: a new capability that is looked for by a plain type assertion
// is one that the engagement's wrapper hides.
func TestWrappersHideNothing(t *testing.T) {
	src, _ := standard()
	if _, ok := Beneath[Labelled](wrapped{wrapped{labelledFake{src, nil}}}); !ok {
		t.Error("labels are hidden")
	}
	if _, ok := headersOf(wrapped{wrapped{&headed{fake: src}}}); !ok {
		t.Error("headers are hidden")
	}
	for _, inv := range []Inventory{nil, src, wrapped{src}, wrapped{nil}} {
		if _, ok := Beneath[Labelled](inv); ok {
			t.Errorf("%T has labels", inv)
		}
	}
}
