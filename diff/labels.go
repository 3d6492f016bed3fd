package diff

import "github.com/mailproof/mailproof"

// markLabels finds the leftovers of the source that are not copies too few but
// labels: Gmail lists one message in the mailbox of each of its labels, under
// one X-GM-MSGID. Some octets are kept for each leftover that has a number.
func (e *engine) markLabels() error {
	wanted := map[label]bool{}
	for row, err := range e.src.remaining(e.ctx) {
		if err != nil {
			return err
		}
		i, err := e.src.dense(row)
		if err != nil {
			return err
		}
		if row.GmailID != 0 && e.src.marked.has(i) {
			wanted[labelOf(row)] = false
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	for row, err := range e.src.readable(e.ctx, mailproof.TierNone, false) {
		if err != nil {
			return err
		}
		if _, ok := wanted[labelOf(row)]; !ok {
			continue
		}
		i, err := e.src.dense(row)
		if err != nil {
			return err
		}
		if e.src.good.has(i) {
			wanted[labelOf(row)] = true
		}
	}
	e.labels = wanted
	return nil
}

// label is a message of Gmail: the number alone may be an accident.
type label struct {
	number uint64
	content
}

func labelOf(r *mailproof.Row) label { return label{r.GmailID, contentOf(r)} }
