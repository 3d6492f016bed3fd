package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/mailproof/mailproof"
)

// SetLabels records the labels that messages of the mailbox have now, where
// they are not those that the ledger has. The messages may be recorded later in
// the pass.
func (w *MailboxWriter) SetLabels(ctx context.Context, labelled []mailproof.Labelled) error {
	type row struct {
		id   int64
		text string
	}
	rows := make([]row, len(labelled)) // a cancelled call leaves the job behind
	for i, l := range labelled {
		text := "[]"
		if len(l.Labels) > 0 {
			var err error
			if text, err = jsonText(l.Labels); err != nil {
				return w.keep(err)
			}
		}
		rows[i] = row{messageID(w.epoch, l.UID), text}
	}
	changed := false // not the result: the job may outlive a cancelled call
	err := w.do(ctx, ran, len(rows), func(t *tx) error {
		for _, r := range rows {
			last := "[]"
			if _, err := t.get("SELECT labels FROM label WHERE message = ? ORDER BY id DESC LIMIT 1", []any{r.id}, &last); err != nil {
				return err
			}
			if last == r.text {
				continue
			}
			changed = true
			if _, err := t.exec("INSERT INTO label (message, pass, labels) VALUES (?, ?, ?)", r.id, int64(w.pass), r.text); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	w.written = w.written || changed
	return nil
}

// latestLabels is the query of the labels of a range of messages at a pass.
const latestLabels = "SELECT l.message, l.labels FROM label l WHERE l.message BETWEEN ?1 AND ?2 AND l.pass <= ?3 AND l.id = (SELECT max(x.id) FROM label x WHERE x.message = l.message AND x.pass <= ?3) ORDER BY l.message"

// EachLabels hands the labels of messages to f, by the number of the message's
// row, in the order of [Inventory.Rows] by [mailproof.TierNone]. Not every
// message has some, and one that vanished may have.
func (inv *Inventory) EachLabels(ctx context.Context, f func(id int64, labels []string) error) error {
	for _, ref := range inv.refs {
		if ref.epoch == 0 {
			continue
		}
		if err := inv.labels(ctx, messageID(ref.epoch, 0), lastOf(ref.epoch), f); err != nil {
			return explain(inv.r.path, err)
		}
	}
	return nil
}

// Labels returns those of one message, by the number of its row.
func (inv *Inventory) Labels(ctx context.Context, id int64) (labels []string, err error) {
	err = inv.labels(ctx, id, id, func(_ int64, l []string) error { labels = l; return nil })
	return labels, explain(inv.r.path, err)
}

func (inv *Inventory) labels(ctx context.Context, first, last int64, f func(id int64, labels []string) error) error {
	return inv.r.each(ctx, latestLabels, []any{first, last, int64(inv.scan.Pass)}, func(row scanFunc) error {
		var id int64
		var text []byte
		var labels []string
		if err := row(&id, &text); err != nil {
			return err
		}
		if err := json.Unmarshal(text, &labels); err != nil {
			return fmt.Errorf("%w: labels of message %d: %w", ErrDamaged, id, err)
		}
		return f(id, labels)
	})
}
