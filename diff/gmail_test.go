package diff

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/mailproof/mailproof"
)

// number gives the messages of an inventory X-GM-MSGIDs from first on, few
// enough that many share one; some get none.
func (w *world) number(f *fake, first, n int) {
	for i := range f.msgs {
		f.msgs[i].GmailID = 0
		if w.IntN(5) > 0 {
			f.msgs[i].GmailID = uint64(first + w.IntN(n))
		}
	}
}

func unsorted(rs []Result) []string {
	out := make([]string, len(rs))
	for i := range rs {
		out[i] = line(rs[i])
	}
	return out
}

// Numbers that only one side has, or that never meet, change nothing at all,
// not even the order of the results.
func TestGmailIDsThatDoNotMeet(t *testing.T) {
	worlds(t, rounds, func(t *testing.T, w *world) {
		src, dst := w.pair(60)
		for _, limit := range []int{0, 3} {
			for _, f := range []*fake{src, dst} {
				w.number(f, 0, 1) // all zero
			}
			o := Options{Limit: limit, Baseline: 1}
			res, all := compare(t, src, dst, o)
			plan := steps(t, src, dst, o)
			for how, give := range map[string]func(){
				"source only":      func() { w.number(src, 1, 1<<40); w.number(dst, 0, 1) },
				"destination only": func() { w.number(src, 0, 1); w.number(dst, 1, 20) },
				"apart":            func() { w.number(src, 1, 1<<40); w.number(dst, 1<<41, 20) },
			} {
				give()
				again, got := compare(t, src, dst, o)
				if want := unsorted(all); !slices.Equal(unsorted(got), want) || !reflect.DeepEqual(again, res) {
					t.Errorf("%s, limit %d:\n%s\nwant\n%s", how, limit, strings.Join(without(unsorted(got), want), "\n"), strings.Join(without(want, unsorted(got)), "\n"))
				}
				if got := steps(t, src, dst, o); !reflect.DeepEqual(got, plan) {
					t.Errorf("%s, limit %d: another plan", how, limit)
				}
			}
		}
	})
}

// agree reports whether two messages have the hash of some tier in common.
func agree(a, b *fakeMessage) bool {
	for t := range a.Hashes {
		if !a.Hashes[t].IsZero() && a.Hashes[t] == b.Hashes[t] {
			return true
		}
	}
	return false
}

// However numbers meet: what is called intact is intact, every message has one
// verdict, a pair by number agrees in some hash, and none that could be is left
// out.
func TestGmailIDs(t *testing.T) {
	met := 0
	worlds(t, rounds, func(t *testing.T, w *world) {
		src, dst := w.pair(50)
		w.number(src, 1, 12)
		w.number(dst, 1, 12)
		keys := byKey(src, dst)
		res, all := compare(t, src, dst, Options{})
		checkSound(t, keys, res, all)
		seen := map[mailproof.MessageKey]int{}
		byNumber := map[mailproof.MessageKey]bool{} // paired within their number
		for _, r := range all {
			if r.SourceRow != nil {
				seen[r.Source]++
			}
			if r.DestinationRow != nil {
				seen[r.Destination]++
			}
			if r.SourceRow == nil || r.DestinationRow == nil {
				continue
			}
			if id := r.SourceRow.GmailID; id != 0 && id == r.DestinationRow.GmailID {
				met++
				byNumber[r.Source], byNumber[r.Destination] = true, true
				if !agree(keys[r.Source], keys[r.Destination]) && r.Tier != mailproof.T4 { // T4 by head has no hash
					t.Errorf("paired by number alone: %s", line(r))
				}
			}
		}
		for k, n := range seen {
			if n != 1 {
				t.Errorf("%v has %d verdicts", k, n)
			}
		}
		if len(seen) != len(keys) {
			t.Errorf("%d of %d messages have a verdict", len(seen), len(keys))
		}
		for ka, a := range keys {
			for kb, b := range keys {
				if ka.Side != mailproof.Source || kb.Side != mailproof.Destination || a.GmailID == 0 || a.GmailID != b.GmailID || byNumber[ka] || byNumber[kb] {
					continue
				}
				if agree(a, b) {
					t.Errorf("number %d is of both, and they were not paired:\n%v\n%v", a.GmailID, ka, kb)
				}
			}
		}

		// Neither the limit of memory nor ids nor the order of equal keys matter.
		want := lines(all)
		for _, limit := range []int{1, 3, 17} {
			again, got := compare(t, src, dst, Options{Limit: limit})
			if !slices.Equal(lines(got), want) || !reflect.DeepEqual(again, res) {
				t.Errorf("limit %d:\n%s\nwant\n%s", limit, strings.Join(without(lines(got), want), "\n"), strings.Join(without(want, lines(got)), "\n"))
			}
		}
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
		if _, got := compare(t, src, dst, Options{Limit: 3}); !slices.Equal(lines(got), want) {
			t.Errorf("another order, other results:\n%s\nwant\n%s", strings.Join(without(lines(got), want), "\n"), strings.Join(without(want, lines(got)), "\n"))
		}
	})
	if met < rounds {
		t.Errorf("only %d pairs by number in all", met)
	}
}

func TestPairedByGmailID(t *testing.T) {
	type place struct {
		box string
		m   mail
		id  uint64
	}
	cut, rewritten, unlike := letter(1), letter(1), letter(2)
	cut.parts = []fakePart{{typ: "text/plain", text: "cut"}}
	rewritten.id, rewritten.date = "<rewritten@x>", day.AddDate(0, 0, 3)
	for _, tt := range []struct {
		name     string
		src, dst []place
		want     []string // verdict, source folder/uid, destination folder/uid
	}{
		{"in the account, where the mapped folder has none",
			[]place{{"INBOX", letter(1), 5}}, []place{{"Archive", letter(1), 5}}, []string{"relocated INBOX/1 Archive/1"}},
		{"twins are told apart by it",
			[]place{{"INBOX", letter(1), 5}, {"INBOX", letter(1), 6}}, []place{{"INBOX", letter(1), 6}, {"INBOX", letter(1), 5}},
			[]string{"identical INBOX/1 INBOX/2", "identical INBOX/2 INBOX/1"}},
		{"each label in its folder",
			[]place{{"INBOX", letter(1), 5}, {"Archive", letter(1), 5}}, []place{{"Archive", letter(1), 5}, {"INBOX", letter(1), 5}},
			[]string{"identical Archive/1 Archive/1", "identical INBOX/1 INBOX/1"}},
		{"the mapped folder before the order of dates and UIDs",
			[]place{{"INBOX", letter(1), 5}, {"Archive", letter(3), 0}, {"Archive", letter(1), 5}},
			[]place{{"Archive", letter(1), 5}, {"INBOX", letter(2), 0}, {"INBOX", letter(1), 5}},
			[]string{"extra - INBOX/1", "identical Archive/2 Archive/1", "identical INBOX/1 INBOX/2", "missing Archive/1 -"}},
		{"copies count",
			[]place{{"INBOX", letter(1), 5}, {"INBOX", letter(1), 5}}, []place{{"INBOX", letter(1), 5}},
			[]string{"duplicate-collapsed INBOX/2 -", "identical INBOX/1 INBOX/1"}},
		{"equal number and Message-ID over other content is altered",
			[]place{{"INBOX", letter(1), 5}}, []place{{"INBOX", cut, 5}}, []string{"altered INBOX/1 INBOX/1"}},
		{"equal number and body alone is altered",
			[]place{{"INBOX", letter(1), 5}}, []place{{"INBOX", rewritten, 5}}, []string{"altered INBOX/1 INBOX/1"}},
		{"without the number they are no pair",
			[]place{{"INBOX", letter(1), 5}}, []place{{"INBOX", rewritten, 6}}, []string{"extra - INBOX/1", "missing INBOX/1 -"}},
		{"an accident of two accounts",
			[]place{{"INBOX", letter(1), 5}}, []place{{"INBOX", unlike, 5}}, []string{"extra - INBOX/1", "missing INBOX/1 -"}},
		{"another message of that content is not taken for it",
			[]place{{"INBOX", letter(1), 5}, {"Archive", letter(1), 0}}, []place{{"INBOX", letter(1), 0}, {"Archive", letter(1), 5}},
			[]string{"relocated Archive/1 INBOX/1", "relocated INBOX/1 Archive/1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src, dst := standard()
			for f, places := range map[*fake][]place{src: tt.src, dst: tt.dst} {
				for _, p := range places {
					f.add(p.box, p.m).GmailID = p.id
				}
			}
			for _, limit := range []int{0, 1} {
				_, all := compare(t, src, dst, Options{Limit: limit})
				var got []string
				for _, r := range all {
					at := func(row *mailproof.Row, k mailproof.MessageKey) string {
						if row == nil {
							return "-"
						}
						return fmt.Sprintf("%s/%d", k.Mailbox, k.UID)
					}
					if r.Verdict == mailproof.Altered && len(r.Reasons) == 0 {
						t.Error("altered without a reason")
					}
					got = append(got, fmt.Sprint(r.Verdict, " ", at(r.SourceRow, r.Source), " ", at(r.DestinationRow, r.Destination)))
				}
				slices.Sort(got)
				if !slices.Equal(got, tt.want) {
					t.Errorf("limit %d: %q, want %q", limit, got, tt.want)
				}
			}
		})
	}
}

// A server that gives all its messages one number has given none.
func TestOneGmailIDForAll(t *testing.T) {
	src, dst := standard()
	for i := range maxCloser + 1 {
		m, n := letter(1), letter(1)
		m.id, n.id = fmt.Sprintf("<%d@a>", i), fmt.Sprintf("<%d@b>", i)
		m.date, n.date = day.AddDate(0, 0, i), day.AddDate(1, 0, i)
		src.add("INBOX", m).GmailID = 9
		dst.add("INBOX", n).GmailID = 9
	}
	lone, moved := letter(2), letter(2)
	moved.id, moved.date = "<moved@b>", day.AddDate(2, 0, 0)
	src.add("INBOX", lone).GmailID = 8 // this one is a number
	dst.add("INBOX", moved).GmailID = 8
	for _, limit := range []int{0, 3} {
		res, _ := compare(t, src, dst, Options{Limit: limit})
		if c := res.Counts; c.Missing != maxCloser+1 || c.Extra != maxCloser+1 || c.Altered != 1 {
			t.Errorf("limit %d: %+v", limit, c)
		}
	}
}

func TestCommonIDs(t *testing.T) {
	many := slices.Repeat([]uint64{7}, maxCloser+1)
	for _, tt := range []struct{ a, b, want []uint64 }{
		{nil, nil, nil},
		{[]uint64{1}, nil, nil},
		{[]uint64{3, 1, 2, ^uint64(0)}, []uint64{^uint64(0), 5, 2, 2}, []uint64{2, ^uint64(0)}},
		{append(many, 8), []uint64{7, 8}, []uint64{8}},
		{[]uint64{7, 8}, append(many, 8), []uint64{8}},
		{many[:maxCloser], many[:maxCloser], []uint64{7}},
	} {
		if got := commonIDs(slices.Clone(tt.a), slices.Clone(tt.b)); !slices.Equal(got, tt.want) {
			t.Errorf("%v and %v: %v, want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
