package fingerprint

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"sort"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// finest is the finest of the tiers that say anything of content at which two
// messages are equal.
func finest(a, b *mailproof.Fingerprint) mailproof.Tier {
	for _, t := range []mailproof.Tier{mailproof.T0, mailproof.T1, mailproof.T2, mailproof.T2v, mailproof.T2c} {
		if h := a.Hash(t); !h.IsZero() && h == b.Hash(t) {
			return t
		}
	}
	return mailproof.TierNone
}

// tally counts how one kind of change fared.
type tally struct {
	applied, wrong int
	tiers          map[mailproof.Tier]int
}

type tallies map[string]*tally

func (ts tallies) count(name string, tier mailproof.Tier, wrong bool) {
	c := ts[name]
	if c == nil {
		c = &tally{tiers: make(map[mailproof.Tier]int)}
		ts[name] = c
	}
	c.applied++
	c.tiers[tier]++
	if wrong {
		c.wrong++
	}
}

func (ts tallies) log(t *testing.T) {
	var names []string
	for n := range ts {
		names = append(names, n)
	}
	sort.Strings(names)
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-32s %8s %6s   finest equal tier\n", "change (! is damage)", "applied", "wrong")
	for _, n := range names {
		c := ts[n]
		fmt.Fprintf(&b, "%-32s %8d %6d  ", n, c.applied, c.wrong)
		for tier := mailproof.TierNone; tier <= mailproof.T2c; tier++ {
			if c.tiers[tier] > 0 {
				fmt.Fprintf(&b, " %v %d", tier, c.tiers[tier])
			}
		}
		b.WriteByte('\n')
	}
	t.Log(b.String())
}

// judge compares and says whether the outcome is as it must be.
func judge(a, b *mailproof.Fingerprint, want mailproof.Tier, damage bool) (got mailproof.Tier, right bool) {
	got = finest(a, b)
	if damage {
		return got, got == mailproof.TierNone || got == mailproof.T2c
	}
	return got, got != mailproof.TierNone && got <= want
}

func fingerprintOf(t testing.TB, raw []byte) *mailproof.Fingerprint {
	t.Helper()
	fp, err := Compute(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if fp.Detail.Anomalies&mailproof.AnomalyUnaccounted != 0 {
		t.Fatal("not every octet is accounted for")
	}
	return &fp
}

// subject is a message to be changed: as octets, and as a tree where it is
// plain enough to be one.
type subject struct {
	name string
	raw  []byte
	tree *entity
}

// apply makes the changes, those of the tree first; false where one of them
// has nothing to change.
func (s *subject) apply(r *rand.Rand, other *entity, ms []mutation) ([]byte, bool) {
	raw := s.raw
	var tree *entity
	for _, m := range ms {
		if m.tree == nil {
			continue
		}
		if s.tree == nil {
			return nil, false
		}
		if tree == nil {
			tree = s.tree.clone()
		}
		if !m.tree(r, tree, other) {
			return nil, false
		}
	}
	if tree != nil {
		raw = tree.raw()
	}
	for _, m := range ms {
		if m.raw == nil {
			continue
		}
		var ok bool
		if raw, ok = m.raw(r, raw); !ok {
			return nil, false
		}
	}
	return raw, true
}

// try makes a change, alone or with others, and judges it.
func (s *subject) try(t *testing.T, r *rand.Rand, other *entity, counts tallies, ms ...mutation) {
	raw, ok := s.apply(r, other, ms)
	if !ok || bytes.Equal(raw, s.raw) {
		return
	}
	want, damage := mailproof.T0, false
	var names []string
	for _, m := range ms {
		damage = damage || m.tier == mailproof.TierNone
		want = max(want, m.tier)
		names = append(names, m.name)
	}
	got, right := judge(fingerprintOf(t, s.raw), fingerprintOf(t, raw), want, damage)
	name := strings.Join(names, " + ")
	group := name
	if len(ms) > 1 {
		group = "composites, harmless"
		if damage {
			group = "! composites with damage"
		}
	}
	counts.count(group, got, !right)
	if right {
		return
	}
	if damage {
		t.Errorf("%s: %s: damage, yet equal at %v", s.name, name, got)
	} else {
		counts.count("harmless, not equal", got, true)
		t.Logf("%s: %s: equal at %v, want %v", s.name, name, got, want)
	}
	if dir := os.Getenv("MAILPROOF_FAILURES"); dir != "" {
		base := fmt.Sprintf("%s/%d", dir, len(raw))
		os.WriteFile(base+".a", s.raw, 0o600)
		os.WriteFile(base+".b", raw, 0o600)
	}
}

// compatible leaves out pairs of changes of which no tier can forgive both.
func compatible(ms []mutation) bool {
	var invented, visible bool
	for _, m := range ms {
		invented = invented || m.tier == mailproof.T2c
		visible = visible || m.tier == mailproof.T2v
	}
	return !invented || !visible
}

func metamorphose(t *testing.T, subjects []*subject, composites int) tallies {
	r := rand.New(rand.NewPCG(20261121, 1))
	counts := make(tallies)
	var trees []*entity
	for _, s := range subjects {
		if s.tree != nil {
			trees = append(trees, s.tree)
		}
	}
	for _, s := range subjects {
		other := trees[r.IntN(len(trees))]
		for s.tree != nil && contents(other) == contents(s.tree) {
			other = trees[r.IntN(len(trees))]
		}
		for _, m := range mutations {
			s.try(t, r, other, counts, m)
		}
		for range composites {
			var ms []mutation
			for range 2 + r.IntN(3) {
				ms = append(ms, mutations[r.IntN(len(mutations))])
			}
			if compatible(ms) {
				s.try(t, r, other, counts, ms...)
			}
		}
	}
	counts.log(t)
	harmless, wrong := 0, 0
	for name, c := range counts {
		if !strings.HasPrefix(name, "!") && name != "harmless, not equal" {
			harmless += c.applied
			wrong += c.wrong
		}
	}
	t.Logf("harmless changes not equal: %d of %d", wrong, harmless)
	if wrong*5000 > harmless {
		t.Errorf("%d of %d harmless changes are not equal: more than 1 in 5,000", wrong, harmless)
	}
	return counts
}

// scale multiplies the work of the long tests; MAILPROOF_LONG=1 is ten times
// the default.
func scale() int {
	if os.Getenv("MAILPROOF_LONG") != "" {
		return 10
	}
	return 1
}

func TestMetamorphicGenerated(t *testing.T) {
	g := &generator{Rand: rand.New(rand.NewPCG(7, 7))}
	var subjects []*subject
	for i := range 120 * scale() {
		e := g.message(0)
		s := &subject{name: fmt.Sprintf("message %d", i), raw: e.raw(), tree: parseEntity(e.raw())}
		if s.tree == nil && bytes.IndexByte(s.raw, 0) < 0 {
			t.Fatalf("a generated message is not plain:\n%s", s.raw)
		}
		if i%5 == 0 { // as a store with LF has it
			s.raw = bytes.ReplaceAll(s.raw, crlf, []byte("\n"))
		}
		subjects = append(subjects, s)
	}
	counts := metamorphose(t, subjects, 40)
	for _, m := range mutations {
		if counts[m.name] == nil {
			t.Errorf("%s: never applied", m.name)
		}
	}
}

func TestMetamorphicCorpora(t *testing.T) {
	var subjects []*subject
	for _, f := range corpusFiles(t) {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(raw) > 1<<20 && scale() == 1 || len(raw) == 0 {
			continue
		}
		s := &subject{name: f, raw: raw, tree: parseEntity(raw)}
		if s.tree != nil {
			s.raw = s.tree.raw()
		}
		subjects = append(subjects, s)
	}
	if len(subjects) == 0 {
		t.Skip("MAILPROOF_CORPORA names no folder of messages")
	}
	metamorphose(t, subjects, 20*scale())
}
