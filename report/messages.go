package report

import (
	"iter"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// Message is one line of the list of every message: a source message, with its
// counterpart if it has one, or a destination message that has none.
type Message struct {
	Key         mailproof.MessageKey
	Counterpart mailproof.MessageKey // zero: none
	Verdict     mailproof.MessageVerdict
	Tier        mailproof.Tier
	Exception   string    // its number in section 8 or 9; empty: it is not listed there
	Date        time.Time // INTERNALDATE
	Size        int64     // RFC822.SIZE, octets
	Subject     string
	MessageID   string
	// Reasons say what the verdict rests on, and what differs beside it:
	// "code: evidence", parted by "; ".
	Reasons string
}

// Messages yields every message of the comparison, account by account. It may
// be read more than once, and yields the same each time.
type Messages func() iter.Seq2[Message, error]

// Bounds of the list in the files. Beyond them the report says where the whole
// list is: the CSV export and the sealed bundle have no bound.
const (
	MostRowsHTML = 200_000 // lines in the page: 13 MB, and 2 s to load
	MostRowsPDF  = 20_000  // lines in the PDF's attachment messages.csv
)

// messageCount is the number of lines that the list has.
func (d *Document) messageCount() int64 {
	c := d.Totals
	return c.SourceSum() + c.Extra + c.DuplicateSurplus + c.DestinationUnreadable + c.DestinationNotChecked + c.DestinationExcluded
}

func (d *Document) hasRows(most int64) bool {
	return d.Messages != nil && d.messageCount() > 0 && d.messageCount() <= most
}

// messagesSection is the annex with the list of every message.
func (d *Document) messagesSection() section {
	n := d.messageCount()
	s := section{ID: "messages", No: "A", Title: d.t("Annex: every message")}
	lines := d.count(n, "line")
	switch {
	case d.Messages == nil || n == 0:
		s.Blocks = []block{note(words(d.t("The list of single messages is not part of this copy.")))}
	case n > MostRowsHTML:
		s.Blocks = []block{note(words(d.t("The list has %s, more than the %s that a page can hold. mailproof report --csv DIR writes it to messages.csv; ", lines, comma(MostRowsHTML)) +
			d.t("data/verdicts.jsonl of a sealed bundle has every one.")))}
	default:
		where := d.t("messages.csv, written by mailproof report --csv DIR, has them too.")
		if n <= MostRowsPDF {
			where = d.t("messages.csv, attached to the PDF, has them too.")
		}
		s.Blocks = []block{
			note(words(d.t("%s: every message of the source inventory once, and what the destination has beside. %s", sentence(lines), where))),
			{Messages: &messageList{Document: d, Verdicts: d.listVerdicts(), Rows: n}},
		}
	}
	return s
}

// messageList is the list of every message; the page unpacks it, paper does
// without.
type messageList struct {
	*Document
	Verdicts []listVerdict
	Rows     int64
}

// listVerdict is what the script needs to know of a verdict.
type listVerdict struct {
	Number int
	Word   string
	Mark   string
}

func (d *Document) listVerdicts() []listVerdict {
	var out []listVerdict
	for v := mailproof.MessageVerdict(0); int(v) < 64; v++ {
		if word := verdictWords[v]; word != "" {
			out = append(out, listVerdict{int(v), d.t(word), string(messageMarks[v])})
		}
	}
	return out
}

// oneLineReasons joins reasons as a line of the list has them.
func oneLineReasons(reasons []mailproof.Reason) string {
	parts := make([]string, len(reasons))
	for i, r := range reasons {
		parts[i] = r.String()
	}
	return strings.Join(parts, "; ")
}
