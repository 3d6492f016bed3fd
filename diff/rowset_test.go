package diff

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// What is kept of a large set are the rows that were put in, whatever they
// have in common.
func TestRowSetKeepsRows(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	w := &world{Rand: r}
	zones := []*time.Location{time.UTC, time.FixedZone("", 3600), time.FixedZone("", -5400)}
	for _, n := range []int{1, fewRows, fewRows + 1, 5 * fewRows} {
		var s rowSet
		var want []mailproof.Row
		for i := range n {
			row := mailproof.Row{
				ID: int64(i) * 3, Mailbox: r.IntN(3), UID: mailproof.UID(i + 1), FirstPass: mailproof.PassID(r.IntN(2)), Flags: w.flags(),
				Size: int64(r.IntN(2)), Octets: int64(r.IntN(2)), State: mailproof.Read, HasBase: r.IntN(2) == 0, GmailID: uint64(r.IntN(2)),
			}
			if row.HasBase {
				row.BaseFlags = w.flags()
			}
			if r.IntN(4) > 0 {
				row.InternalDate = time.Unix(int64(r.IntN(1000)), 0).In(zones[r.IntN(3)])
			}
			row.Hashes[r.IntN(mailproof.NumTiers)][0] = byte(r.IntN(2))
			s.add(&row)
			want = append(want, row)
		}
		if s.len() != n {
			t.Fatalf("%d of %d rows", s.len(), n)
		}
		for i := range want {
			got := *s.at(i)
			same := got.InternalDate.Equal(want[i].InternalDate) && got.InternalDate.String() == want[i].InternalDate.String()
			got.InternalDate = want[i].InternalDate
			if got.Flags.Equal(want[i].Flags) {
				got.Flags = want[i].Flags
			}
			if got.BaseFlags.Equal(want[i].BaseFlags) {
				got.BaseFlags = want[i].BaseFlags
			}
			if !same || !reflect.DeepEqual(got, want[i]) || s.box(i) != want[i].Mailbox {
				t.Fatalf("row %d of %d: %+v, want %+v", i, n, got, want[i])
			}
		}
	}
}
