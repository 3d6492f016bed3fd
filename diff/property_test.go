package diff

import (
	"bytes"
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// world makes random inventories of twins and damaged messages. The numbers
// are small, so that equal ids, equal bodies and equal dates are common.
type world struct {
	*rand.Rand
	harmless bool // nothing but what keeps the meaning
	readable bool // everything was read
}

var folders = []string{"INBOX", "Archive", "Sent", "Trash", "Projects/α", "Empty"}

func (w *world) mail() mail {
	m := letter(w.IntN(12))
	m.date = day.Add(time.Duration(w.IntN(4)) * time.Hour)
	switch w.IntN(8) {
	case 0:
		m.id = ""
	case 1:
		m.parts = m.parts[:1]
	case 2:
		m.subject = "the same subject"
	}
	return m
}

// damage is what a destination does to a message.
func (w *world) damage(m mail) mail {
	n := w.IntN(16)
	if w.harmless {
		n %= 4
	}
	m.parts = slices.Clone(m.parts)
	switch n {
	case 0, 1:
	case 2:
		m.store++
	case 3:
		m.norm++
	case 4:
		m.subject += "!"
	case 5:
		m.parts[0].text = "cut"
	case 6:
		m.id = "<rewritten@x>"
	case 7:
		m.id = strings.ReplaceAll(m.id, "@old.example", "@new.example")
		m.subject += "!"
	case 8:
		m.parts = m.parts[:1]
	case 9:
		m.bcc = "x@x"
	case 10:
		m.id, m.subject = "", "gone"
	}
	return m
}

func (w *world) flags() mailproof.Flags {
	var fs []string
	for _, f := range []string{`\Seen`, `\Flagged`, `\Deleted`, "$Label"} {
		if w.IntN(3) == 0 {
			fs = append(fs, f)
		}
	}
	return mailproof.NewFlags(fs...)
}

func (w *world) pair(n int) (*fake, *fake) {
	src, dst := newFake(mailproof.Source), newFake(mailproof.Destination)
	for _, f := range folders {
		src.addBox(mailproof.Mailbox{Name: f, Subscribed: w.IntN(2) == 0})
		if f == "INBOX" || w.IntN(4) > 0 {
			dst.addBox(mailproof.Mailbox{Name: f, Subscribed: w.IntN(2) == 0})
		}
	}
	for range w.IntN(n + 1) {
		folder, m := folders[w.IntN(len(folders)-1)], w.mail()
		a := src.add(folder, m)
		a.Flags = w.flags()
		if w.IntN(3) == 0 {
			a.BaseFlags, a.HasBase = w.flags(), true
		}
		copies := 1
		switch w.IntN(8) {
		case 0:
			copies = 0
		case 1:
			copies = 2
		}
		for range copies {
			to := folder
			if w.IntN(6) == 0 || dst.box(folder) < 0 {
				to = dst.boxes[w.IntN(len(dst.boxes))].Name
			}
			b := dst.add(to, w.damage(m))
			b.InternalDate, b.Flags = m.date, w.flags()
		}
		if !w.readable {
			w.spoil(src)
			w.spoil(dst)
		}
	}
	for range w.IntN(4) {
		dst.add(dst.boxes[w.IntN(len(dst.boxes))].Name, w.mail())
	}
	w.renumber(src)
	w.renumber(dst)
	return src, dst
}

func (w *world) spoil(f *fake) {
	if len(f.msgs) == 0 {
		return
	}
	switch m := &f.msgs[len(f.msgs)-1]; w.IntN(40) {
	case 0:
		m.fail("NO [SERVERBUG]")
	case 1:
		m.skip()
	}
}

// renumber gives the messages other ids, with gaps.
func (w *world) renumber(f *fake) {
	id := int64(0)
	for _, i := range w.Perm(len(f.msgs)) {
		id += 1 + int64(w.IntN(3))
		f.msgs[i].ID = id
	}
}

// rounds is the number of random worlds for each property.
const rounds = 80

func worlds(t *testing.T, n int, f func(t *testing.T, w *world)) {
	t.Helper()
	for seed := range uint64(n) {
		w := &world{Rand: rand.New(rand.NewPCG(seed, 80))}
		w.readable = seed%2 == 0
		f(t, w)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// line sums a result up without the ids of the inventory.
func line(r Result) string {
	var beside string
	for _, x := range []*mailproof.Reason{r.Flags, r.Date} {
		if x != nil {
			beside += x.String()
		}
	}
	return fmt.Sprint(r.Verdict, r.Tier, r.Source, r.Destination, reasonsText(r.Reasons), beside, r.Signature)
}

func lines(rs []Result) []string {
	out := make([]string, len(rs))
	for i := range rs {
		out[i] = line(rs[i])
	}
	slices.Sort(out)
	return out
}

// Every message of both sides has exactly one verdict, the counts are those of
// the verdicts, and both equations hold in every folder.
func TestConservation(t *testing.T) {
	worlds(t, rounds, func(t *testing.T, w *world) {
		src, dst := w.pair(40)
		res, all := compare(t, src, dst, Options{Baseline: 1})
		var counts mailproof.Counts
		seen := map[mailproof.MessageKey]int{}
		for _, r := range all {
			if r.SourceRow != nil {
				seen[r.Source]++
				counts.Count(r.Verdict)
			}
			if r.DestinationRow != nil {
				seen[r.Destination]++
				switch {
				case r.Verdict.Paired():
					counts.CountPaired()
				case r.Verdict == mailproof.Unverifiable:
					counts.DestinationUnreadable++
				case r.Verdict == mailproof.NotChecked:
					counts.DestinationNotChecked++
				case r.SourceRow == nil:
					counts.Count(r.Verdict)
				}
			}
			if r.Verdict.Paired() != (r.SourceRow != nil && r.DestinationRow != nil) {
				t.Errorf("%v with half a pair", r.Verdict)
			}
			if r.Verdict == mailproof.Altered && len(r.Reasons) == 0 {
				t.Errorf("altered without a reason: %v", r.Source)
			}
		}
		if len(seen) != len(src.msgs)+len(dst.msgs) {
			t.Errorf("%d of %d messages have a verdict", len(seen), len(src.msgs)+len(dst.msgs))
		}
		for key, n := range seen {
			if n != 1 {
				t.Errorf("%v has %d verdicts", key, n)
			}
		}
		counts.SourceMessages, counts.DestinationMessages = int64(len(src.msgs)), int64(len(dst.msgs))
		if counts != res.Counts {
			t.Errorf("counted\n%+v, want\n%+v", res.Counts, counts)
		}
		for _, f := range res.Folders {
			if !f.Counts.FolderBalanced() {
				t.Errorf("folder %q is not balanced: %+v", f.Source, f.Counts)
			}
		}
		if !res.Counts.Balanced() {
			t.Errorf("not balanced: %+v", res.Counts)
		}
		if f, _ := finding(res, CheckBalance); f.Outcome != mailproof.OutcomePass {
			t.Errorf("%+v", f)
		}
	})
}

// A verdict of intact is never given to a message whose meaning changed, and
// COMPLETE never to an account in which one is not accounted for.
func TestSoundness(t *testing.T) {
	worlds(t, rounds, func(t *testing.T, w *world) {
		src, dst := w.pair(40)
		res, all := compare(t, src, dst, Options{})
		checkSound(t, byKey(src, dst), res, all)
	})
}

func byKey(fakes ...*fake) map[mailproof.MessageKey]*fakeMessage {
	keys := map[mailproof.MessageKey]*fakeMessage{}
	for _, f := range fakes {
		s := newSide(f.scan.Side, f, 1)
		for i := range f.msgs {
			keys[s.key(&f.msgs[i].Row)] = &f.msgs[i]
		}
	}
	return keys
}

func checkSound(t *testing.T, byKey map[mailproof.MessageKey]*fakeMessage, res mailproof.AccountResult, all []Result) {
	t.Helper()
	for _, r := range all {
		switch r.Verdict {
		case mailproof.Identical, mailproof.IdenticalNormalised, mailproof.Equivalent, mailproof.EquivalentWithNotes, mailproof.EquivalentText, mailproof.Relocated:
		default:
			continue
		}
		a, b := byKey[r.Source].mail, byKey[r.Destination].mail
		if a.id == "" {
			a.id = b.id
		}
		if a.id != b.id || a.head() != b.head() || a.bodySet(true) != b.bodySet(true) {
			t.Errorf("%v: %+v became %+v", r.Verdict, a, b)
		}
	}
	c := res.Counts
	if res.Verdict == mailproof.Complete && (c.Found() != c.SourceMessages || c.Missing+c.Altered+c.DuplicateCollapsed+c.Unverifiable+c.NotChecked+c.DestinationUnreadable > 0) {
		t.Errorf("COMPLETE with %+v", c)
	}
	if c.Missing+c.Altered+c.DuplicateCollapsed > 0 && res.Verdict != mailproof.Incomplete {
		t.Errorf("%v with %+v", res.Verdict, c)
	}
}

// The limit of memory changes how the answer is found, not the answer.
func TestStreamingGivesTheSameAnswer(t *testing.T) {
	worlds(t, rounds, func(t *testing.T, w *world) {
		src, dst := w.pair(60)
		res, all := compare(t, src, dst, Options{})
		want := lines(all)
		for _, limit := range []int{1, 3, 17} {
			again, all := compare(t, src, dst, Options{Limit: limit})
			if got := lines(all); !slices.Equal(got, want) {
				t.Errorf("limit %d:\n%s\nwant\n%s", limit, strings.Join(without(got, want), "\n"), strings.Join(without(want, got), "\n"))
			}
			if !reflect.DeepEqual(res, again) {
				t.Errorf("limit %d: another result:\n%+v\n%+v", limit, again, res)
			}
		}
	})
}

// The ids of the ledger and the order of rows with equal keys do not matter.
func TestOrderDoesNotMatter(t *testing.T) {
	worlds(t, rounds, func(t *testing.T, w *world) {
		src, dst := w.pair(60)
		_, all := compare(t, src, dst, Options{})
		want := lines(all)
		for range 2 {
			for _, f := range []*fake{src, dst} {
				w.renumber(f)
				f.sort = func(rows []mailproof.Row, by mailproof.Tier) {
					if by == mailproof.TierNone {
						return
					}
					w.Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
					slices.SortStableFunc(rows, func(a, b mailproof.Row) int { return bytes.Compare(a.Hashes[by-1][:], b.Hashes[by-1][:]) })
				}
			}
			if _, all := compare(t, src, dst, Options{Limit: 3}); !slices.Equal(lines(all), want) {
				got := lines(all)
				t.Errorf("%s\nwant\n%s", strings.Join(without(got, want), "\n"), strings.Join(without(want, got), "\n"))
			}
		}
	})
}

// Where the destination keeps the meaning, as many messages of each content
// are found as both sides have, and duplicates are counted on the side that
// has more.
func TestMultisets(t *testing.T) {
	worlds(t, rounds, func(t *testing.T, w *world) {
		w.harmless, w.readable = true, true
		src, dst := w.pair(40)
		type n struct{ src, dst int64 }
		contents := map[mailproof.Hash]n{}
		for _, m := range src.msgs {
			c := contents[m.Hash(mailproof.T2)]
			c.src++
			contents[m.Hash(mailproof.T2)] = c
		}
		for _, m := range dst.msgs {
			c := contents[m.Hash(mailproof.T2)]
			c.dst++
			contents[m.Hash(mailproof.T2)] = c
		}
		// Messages of one id or body and another date may be paired as altered
		// before the account is searched, and an id that was invented pairs what
		// has another T2: then there is no such simple sum.
		res, all := compare(t, src, dst, Options{})
		if res.Counts.Altered > 0 || slices.ContainsFunc(all, func(r Result) bool { return r.Tier == mailproof.T2c }) {
			return
		}
		var found, collapsed, missing, surplus, extra int64
		for _, c := range contents {
			found += min(c.src, c.dst)
			if c.dst > 0 {
				collapsed += max(0, c.src-c.dst)
			} else {
				missing += c.src
			}
			if c.src > 0 {
				surplus += max(0, c.dst-c.src)
			} else {
				extra += c.dst
			}
		}
		got := [5]int64{res.Counts.Found(), res.Counts.DuplicateCollapsed, res.Counts.Missing, res.Counts.DuplicateSurplus, res.Counts.Extra}
		if want := [5]int64{found, collapsed, missing, surplus, extra}; got != want {
			t.Errorf("found, collapsed, missing, surplus, extra: %v, want %v", got, want)
		}
	})
}

// With the sides exchanged the same number of pairs is found, but where damage
// in place was preferred to an equal copy elsewhere: which of the two is left
// over, and so what suggestions it meets, depends on the direction.
func TestSymmetry(t *testing.T) {
	checked := 0
	worlds(t, rounds, func(t *testing.T, w *world) {
		w.readable = true
		src, dst := w.pair(40)
		a, all := compare(t, src, dst, Options{})
		inPlace := func(all []Result) bool {
			altered := map[mailproof.Hash]bool{{}: false}
			for _, r := range all {
				if r.Verdict == mailproof.Altered && r.Tier == mailproof.T3 {
					altered[r.SourceRow.Hash(mailproof.T3)] = true
				}
			}
			return slices.ContainsFunc(all, func(r Result) bool { return r.SourceRow == nil && altered[r.DestinationRow.Hash(mailproof.T3)] })
		}
		src.scan.Side, dst.scan.Side = mailproof.Destination, mailproof.Source
		b, back := compare(t, dst, src, Options{})
		if inPlace(all) || inPlace(back) {
			return
		}
		checked++
		x := [2]int64{a.Counts.Missing + a.Counts.DuplicateCollapsed, a.Counts.Extra + a.Counts.DuplicateSurplus}
		y := [2]int64{b.Counts.Extra + b.Counts.DuplicateSurplus, b.Counts.Missing + b.Counts.DuplicateCollapsed}
		if x != y || a.Counts.Paired() != b.Counts.Paired() || a.Counts.Identical != b.Counts.Identical {
			t.Errorf("%+v\n%+v", a.Counts, b.Counts)
		}
	})
	if checked < rounds/2 {
		t.Errorf("only %d of %d worlds say anything", checked, rounds)
	}
}

// What only changed folders is never called altered or missing, whatever other
// messages share its Message-ID.
func TestMovedIsNotAltered(t *testing.T) {
	worlds(t, rounds, func(t *testing.T, w *world) {
		src, dst := newFake(mailproof.Source), newFake(mailproof.Destination)
		for _, f := range folders {
			src.addBox(mailproof.Mailbox{Name: f})
			dst.addBox(mailproof.Mailbox{Name: f})
		}
		w.harmless = true
		for range 1 + w.IntN(40) {
			m, from := w.mail(), folders[w.IntN(len(folders))]
			m.id = cmp.Or(m.id, "<same@x>")
			src.add(from, m)
			to := from
			if w.IntN(2) == 0 {
				to = folders[w.IntN(len(folders))]
			}
			dst.add(to, w.damage(m))
		}
		w.renumber(src)
		w.renumber(dst)
		res, all := compare(t, src, dst, Options{Limit: 1 + w.IntN(50)})
		if c := res.Counts; c.Found() != c.SourceMessages || c.DestinationPairedHere != c.DestinationMessages {
			t.Errorf("%+v", c)
		}
		checkSound(t, byKey(src, dst), res, all)
	})
}

// Damage in place is not made good by an old copy in some other folder: the
// message is altered, and the copy one too many. Another message of the same
// identity, which lies where it should and is the copy's own original, changes
// that: then nothing is left over.
func TestDamagedInPlace(t *testing.T) {
	whole := letter(1)
	cut := whole
	cut.parts = slices.Clone(whole.parts)
	cut.parts[0].text = "cut"
	other := whole
	other.subject = "other"
	for _, c := range []struct {
		name     string
		src, dst map[string][]mail
		want     mailproof.Counts
	}{
		{"an old copy elsewhere", map[string][]mail{"INBOX": {whole}}, map[string][]mail{"INBOX": {cut}, "Archive": {whole}},
			mailproof.Counts{Altered: 1, DuplicateSurplus: 1}},
		{"changed places", map[string][]mail{"INBOX": {whole}, "Archive": {cut}}, map[string][]mail{"INBOX": {cut}, "Archive": {whole}},
			mailproof.Counts{Relocated: 2}},
		{"moved, and a twin damaged", map[string][]mail{"INBOX": {whole}, "Sent": {other}}, map[string][]mail{"INBOX": {cut}, "Archive": {whole}},
			mailproof.Counts{Altered: 1, Relocated: 1}},
		{"only moved", map[string][]mail{"INBOX": {whole}}, map[string][]mail{"INBOX": {}, "Archive": {whole}},
			mailproof.Counts{Relocated: 1}},
	} {
		src, dst := newFake(mailproof.Source), newFake(mailproof.Destination)
		for _, f := range folders {
			src.addBox(mailproof.Mailbox{Name: f})
			dst.addBox(mailproof.Mailbox{Name: f})
			for _, m := range c.src[f] {
				src.add(f, m)
			}
			for _, m := range c.dst[f] {
				dst.add(f, m)
			}
		}
		got, _ := compare(t, src, dst, Options{})
		c.want.SourceMessages, c.want.DestinationMessages = got.Counts.SourceMessages, got.Counts.DestinationMessages
		c.want.DestinationPairedHere = c.want.Paired()
		if got.Counts != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got.Counts, c.want)
		}
	}
}

// apply carries the steps out on a destination in memory, as a server would.
func apply(t *testing.T, src, dst *fake, steps []mailproof.Step) {
	t.Helper()
	byKey := map[mailproof.MessageKey]*fakeMessage{}
	s := newSide(mailproof.Source, src, 1)
	for i := range src.msgs {
		byKey[s.key(&src.msgs[i].Row)] = &src.msgs[i]
	}
	nextID := int64(1)
	for _, m := range dst.msgs {
		nextID = max(nextID, m.ID+1)
	}
	for _, x := range steps {
		switch x.Kind {
		case mailproof.CreateMailbox:
			if i := dst.box(x.Target); i >= 0 && !dst.boxes[i].NoSelect {
				t.Errorf("%s exists", x.Target)
			}
			dst.addBox(mailproof.Mailbox{Name: x.Target, SpecialUse: x.SpecialUse})
		case mailproof.SubscribeMailbox:
			if b := &dst.boxes[dst.box(x.Target)]; b.Subscribed {
				t.Errorf("%s is subscribed", x.Target)
			} else {
				b.Subscribed = true
			}
		case mailproof.AppendMessage:
			if dst.box(x.Target) < 0 {
				t.Fatalf("append to %q, which does not exist", x.Target)
			}
			from := byKey[x.Source]
			if from == nil || from.State == mailproof.Unreadable || from.State == mailproof.Read && (x.T0 != from.Hash(mailproof.T0) || x.Size != from.Octets) {
				t.Fatalf("append of %+v", x)
			}
			if from.State == mailproof.Unread { // the copy reads it
				fp := from.fp
				from.State, from.Hashes, from.Octets = mailproof.Read, fp.Hashes, fp.Octets
			}
			m := dst.add(x.Target, from.mail)
			m.ID, m.InternalDate, m.Flags = nextID, x.InternalDate, x.Flags
			nextID++
		case mailproof.StoreFlags:
			d := newSide(mailproof.Destination, dst, 1)
			for i := range dst.msgs {
				if m := &dst.msgs[i]; d.key(&m.Row) == x.Destination {
					m.Flags = mailproof.NewFlags(append(m.Flags.Without(x.RemoveFlags), x.AddFlags...)...)
				}
			}
		}
	}
}

func steps(t testing.TB, src, dst Inventory, o Options) []mailproof.Step {
	t.Helper()
	var out []mailproof.Step
	for s, err := range Plan(t.Context(), src, dst, o) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

// Carrying out the plan leaves nothing missing, and nothing more to do.
func TestPlanConverges(t *testing.T) {
	worlds(t, rounds, func(t *testing.T, w *world) {
		src, dst := w.pair(40)
		plan := steps(t, src, dst, Options{})
		if again := steps(t, src, dst, Options{Limit: 2}); !reflect.DeepEqual(plan, again) {
			t.Errorf("with less memory the plan is another one: %d and %d steps", len(plan), len(again))
		}
		if !slices.IsSortedFunc(plan, func(a, b mailproof.Step) int { return cmp.Compare(a.Kind, b.Kind) }) {
			t.Error("the kinds are not in order")
		}
		before, _ := compare(t, src, dst, Options{})
		apply(t, src, dst, plan)
		after, _ := compare(t, src, dst, Options{})
		if w.readable {
			if c := after.Counts; c.Missing+c.DuplicateCollapsed > 0 || c.Altered > before.Counts.Altered {
				t.Errorf("after the copy: %+v, before it %+v", c, before.Counts)
			}
			if before.Counts.Altered == 0 && before.Counts.Relocated == 0 && after.Verdict != mailproof.Complete {
				t.Errorf("%v after the copy", after.Verdict)
			}
		}
		// Nothing more to do, but that twins whose flags differ may change
		// places once their flags were set.
		for pass := range 3 {
			more := steps(t, src, dst, Options{})
			for _, s := range more {
				if s.Kind != mailproof.StoreFlags || !twins(src, s.Source) || pass == 2 {
					t.Errorf("pass %d: one more step: %+v", pass, s)
				}
			}
			apply(t, src, dst, more)
		}
	})
}

// twins reports whether the source has another message that may be paired with
// the same ones.
func twins(src *fake, key mailproof.MessageKey) bool {
	s := newSide(mailproof.Source, src, 1)
	alike := map[mailproof.Hash]int{}
	var of []mailproof.Hash
	for _, m := range src.msgs {
		hashes := []mailproof.Hash{m.Hash(mailproof.T2c), m.Hash(mailproof.T3), m.Hash(mailproof.T3b), m.Hash(mailproof.T4)}
		for _, h := range hashes {
			alike[h]++
		}
		if s.key(&m.Row) == key {
			of = hashes
		}
	}
	return slices.ContainsFunc(of, func(h mailproof.Hash) bool { return !h.IsZero() && alike[h] > 1 })
}
