package diff

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// harms are the ways in which a destination damages a message; harmless what it
// may do to one that stays the same.
var harms = map[string]func(*mail){
	"subject":      func(m *mail) { m.subject += " (copy)" },
	"date":         func(m *mail) { m.date = m.date.Add(time.Hour) },
	"recipients":   func(m *mail) { m.to = "" },
	"sender":       func(m *mail) { m.from = "someone@else.example" },
	"text cut":     func(m *mail) { m.parts[0].text = m.parts[0].text[:20] },
	"one letter":   func(m *mail) { m.parts[0].text = strings.Replace(m.parts[0].text, "e", "a", 1) },
	"one bit":      func(m *mail) { m.parts[1].text += "\x01" },
	"part lost":    func(m *mail) { m.parts = m.parts[:1] },
	"emptied":      func(m *mail) { m.parts = nil },
	"other body":   func(m *mail) { m.parts = letter(999_999).parts },
	"id":           func(m *mail) { m.id = strings.Replace(m.id, "<", "<x", 1) },
	"id and date":  func(m *mail) { m.id = strings.Replace(m.id, "<", "<x", 1); m.date = m.date.Add(time.Hour) },
	"wrapped":      func(m *mail) { m.parts[0].text = m.parts[0].text[:30] + "\n" + m.parts[0].text[30:] },
	"attachment":   func(m *mail) { m.parts[1] = fakePart{typ: "text/plain", text: "removed"} },
	"date and cut": func(m *mail) { m.date = m.date.Add(-time.Hour); m.parts = m.parts[:1] },
}

var harmless = map[string]func(*mail){
	"bytes kept": func(m *mail) {},
	"store":      func(m *mail) { m.store++ },
	"rebuilt":    func(m *mail) { m.norm++; m.parts[0].raw++ },
	"reordered":  func(m *mail) { m.norm++; slices.Reverse(m.parts) },
	"bcc lost":   func(m *mail) { m.norm++; m.bcc = "" },
	"renamed":    func(m *mail) { m.norm++; m.parts[1].name = "ATT00001.pdf" },
}

// A migration of 10,000 messages to a server that rebuilds most of them,
// damages some in every way, loses some, doubles some and receives new ones.
// No damage is called good, nothing harmless is called altered, and every loss
// is found but for those that a twin masks, which are counted.
func TestMigration(t *testing.T) {
	const n = 10_000
	r := rand.New(rand.NewPCG(10, 80))
	pick := func(m map[string]func(*mail)) string {
		names := make([]string, 0, len(m))
		for name := range m {
			names = append(names, name)
		}
		slices.Sort(names)
		return names[r.IntN(len(names))]
	}
	src, dst := standard()
	done := map[mailproof.MessageKey]string{} // what became of each source message
	s := newSide(mailproof.Source, src, 1)
	lost, masked, doubled, arrived := 0, 0, 0, 0
	seen := map[int]int{}
	for i := range n {
		number := i
		if r.IntN(50) == 0 { // a true duplicate of an earlier one
			number = r.IntN(i + 1)
		}
		seen[number]++
		folder := []string{"INBOX", "Archive", "Sent"}[number%3]
		m := letter(number)
		m.bcc = "boss@a.example"
		key := s.key(&src.add(folder, m).Row)
		m.parts = slices.Clone(m.parts)
		switch roll := r.IntN(100); {
		case roll == 0:
			lost++
			if seen[number] > 1 {
				masked++
			}
			done[key] = "lost"
			continue
		case roll < 4:
			how := pick(harms)
			harms[how](&m)
			done[key] = "harm: " + how
		default:
			how := pick(harmless)
			harmless[how](&m)
			done[key] = "harmless: " + how
			if roll == 99 {
				doubled++
				dst.add(folder, m).InternalDate = letter(number).date
			}
		}
		dst.add(folder, m).InternalDate = letter(number).date
		if r.IntN(100) == 0 {
			arrived++
			dst.add(folder, letter(2*n+i))
		}
	}
	// Which of a set of twins is left over, or paired with the damaged one, is a
	// matter of order: those are judged as sets.
	hasTwin := func(k mailproof.MessageKey, of map[mailproof.MessageKey]int) bool { return seen[of[k]] > 1 }
	numbers := map[mailproof.MessageKey]int{}
	for i := range src.msgs {
		var number int
		if _, err := fmt.Sscanf(src.msgs[i].mail.id, "<%d@", &number); err != nil {
			t.Fatal(err)
		}
		numbers[s.key(&src.msgs[i].Row)] = number
	}
	res, all := compare(t, src, dst, Options{Limit: 500})
	table := map[string]map[mailproof.MessageVerdict]int{}
	goodDamage, badHarmless, unfound := 0, 0, 0
	for _, x := range all {
		if x.SourceRow == nil {
			continue
		}
		how := done[x.Source]
		if table[how] == nil {
			table[how] = map[mailproof.MessageVerdict]int{}
		}
		table[how][x.Verdict]++
		good := x.Verdict.Paired() && x.Verdict != mailproof.Altered
		if hasTwin(x.Source, numbers) {
			continue
		}
		switch {
		case strings.HasPrefix(how, "harm:") && good:
			goodDamage++
			t.Logf("%s called %v: %v", how, x.Verdict, x.Source)
		case strings.HasPrefix(how, "harmless:") && !good:
			badHarmless++
			t.Logf("%s called %v: %v", how, x.Verdict, x.Source)
		case how == "lost" && x.Verdict != mailproof.Missing:
			unfound++
			t.Logf("lost, called %v: %v", x.Verdict, x.Source)
		}
	}
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		t.Logf("%-24s %v", name, table[name])
	}
	t.Logf("lost %d (of them %d with an earlier twin), doubled %d, arrived %d; %+v", lost, masked, doubled, arrived, res.Counts)
	if goodDamage > 0 || badHarmless > n/5000 || unfound > 0 {
		t.Errorf("damage called good %d, harmless called altered %d, losses not found %d", goodDamage, badHarmless, unfound)
	}
	c := res.Counts
	if !c.Balanced() || res.Verdict != mailproof.Incomplete {
		t.Errorf("%v, balanced %v", res.Verdict, c.Balanced())
	}
	// As sets: no more is found than was left whole, and nothing lost is hidden.
	whole, harmed := int64(0), int64(0)
	for how, verdicts := range table {
		for _, k := range verdicts {
			switch {
			case strings.HasPrefix(how, "harmless:"):
				whole += int64(k)
			case how != "lost":
				harmed += int64(k)
			}
		}
	}
	if c.Found() > whole+int64(doubled) || c.Missing+c.DuplicateCollapsed+c.Altered < harmed+int64(lost)-int64(doubled) {
		t.Errorf("found %d of %d whole; missing, collapsed and altered %d of %d harmed and %d lost", c.Found(), whole, c.Missing+c.DuplicateCollapsed+c.Altered, harmed, lost)
	}
}
