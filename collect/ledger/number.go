package ledger

import (
	"context"

	"github.com/mailproof/mailproof"
)

// Number fills in the numbers of the exceptions of a comparison as
// [Ledger.RecordDiff] would, and writes nothing: those that the ledger knows
// keep their number, the others get the next free ones in their order. It
// serves commands that open the ledger read-only.
func (l *Ledger) Number(ctx context.Context, results []mailproof.AccountResult) error {
	return l.snapshot(ctx, func(r *reader) error {
		type id struct {
			series string
			key    string
		}
		known, next := map[id]int64{}, map[string]int64{}
		err := r.each(ctx, "SELECT series, number, key FROM exception_id", nil, func(row scanFunc) error {
			var i id
			var number int64
			if err := row(&i.series, &number, &i.key); err != nil {
				return err
			}
			known[i], next[i.series] = number, max(next[i.series], number)
			return nil
		})
		if err != nil {
			return err
		}
		for a := range results {
			for x := range results[a].Exceptions {
				e := &results[a].Exceptions[x]
				i := id{series: "E"}
				if e.Disposition == mailproof.Noted {
					i.series = "N"
				}
				if i.key, err = keyText(e.Key); err != nil {
					return err
				}
				number, ok := known[i]
				if !ok {
					next[i.series]++
					number = next[i.series]
					known[i] = number
				}
				e.ID = exceptionID(i.series, number)
			}
		}
		return nil
	})
}
