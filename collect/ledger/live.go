package ledger

import (
	"context"
	"fmt"
	"os"

	"github.com/mailproof/mailproof"
)

// Live is what the latest pass has recorded so far; it may still run.
type Live struct {
	Pass     mailproof.Pass // zero where there was none
	Messages int64          // first seen by it
	Begun    int64          // accounts that it took up
	Ended    int64          // of them, those that it is done with
	Steps    int64          // of a copy: that were planned and carried out
	Results  int64
}

// Live reads how far the latest pass is.
func (l *Ledger) Live(ctx context.Context) (v Live, err error) {
	err = l.snapshot(ctx, func(r *reader) error {
		if ok, err := r.one(ctx, "SELECT "+passColumns+" FROM pass p ORDER BY p.id DESC LIMIT 1", nil, passDest(&v.Pass)...); err != nil || !ok {
			return err
		}
		_, err := r.one(ctx, `SELECT (SELECT count(*) FROM message WHERE first_pass = ?1), (SELECT count(*) FROM scan WHERE pass = ?1), (SELECT count(*) FROM scan WHERE pass = ?1 AND state <> 'running'),
			(SELECT count(*) FROM step WHERE pass = ?1), (SELECT count(*) FROM step s JOIN step_result r ON r.step = s.id WHERE s.pass = ?1)`,
			[]any{int64(v.Pass.ID)}, &v.Messages, &v.Begun, &v.Ended, &v.Steps, &v.Results)
		return err
	})
	return v, err
}

// Version is a text that changes whenever a pass begins or ends, or a person
// says something.
func (l *Ledger) Version(ctx context.Context) (string, error) {
	var v [4]int64
	err := l.snapshot(ctx, func(r *reader) error {
		_, err := r.one(ctx, `SELECT coalesce((SELECT max(id) FROM pass), 0), (SELECT count(*) FROM pass WHERE state = 'running'), coalesce((SELECT max(seq) FROM chain), 0), coalesce((SELECT max(seq) FROM engagement), 0)`,
			nil, &v[0], &v[1], &v[2], &v[3])
		return err
	})
	return fmt.Sprint(v), err
}

// InUse reports whether a process has the ledger open for writing. After a
// process was killed it may report so until the next one opens it.
func (l *Ledger) InUse() bool {
	_, err := os.Stat(l.path + ".lock")
	return err == nil
}
