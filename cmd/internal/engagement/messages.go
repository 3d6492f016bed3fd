package engagement

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/cmd/internal/config"
	"github.com/mailproof/mailproof/diff"
	"github.com/mailproof/mailproof/report"
)

// details adds to the document what the pages beyond the comparison need: the
// history, the dress, and the way to every single message.
func (e *Engagement) details(ctx context.Context, c Comparison, d *report.Document) error {
	var err error
	if d.History, err = e.history(ctx, d.Passes); err != nil {
		return err
	}
	if e.Config != nil {
		if d.Brand, err = BrandOf(e.Config); err != nil {
			return err
		}
	}
	d.Messages = e.messages(ctx, c)
	return nil
}

// BrandOf is the dress that the configuration asks for.
func BrandOf(c *config.Config) (report.Brand, error) {
	b := report.Brand{Accent: c.Report.Accent}
	logo, err := c.Report.LogoFile(c.Dir)
	if err != nil {
		return b, fmt.Errorf("%s: report.logo: %w", c.Path, err)
	}
	b.Logo, b.Language = logo, c.Report.Language
	if b.Fonts, err = c.Report.FontFiles(c.Dir); err != nil {
		return b, fmt.Errorf("%s: report.pdf_fonts: %w", c.Path, err)
	}
	return b, nil
}

// history tells what each pass changed, with its link in the ledger's chain.
func (e *Engagement) history(ctx context.Context, passes []mailproof.Pass) ([]report.PassChange, error) {
	changes, err := e.ledger.Changes(ctx)
	if err != nil {
		return nil, err
	}
	links, err := e.ledger.Chain(ctx)
	if err != nil {
		return nil, err
	}
	of, roots := map[mailproof.PassID]report.PassChange{}, map[mailproof.PassID]string{}
	for _, c := range changes {
		of[c.Pass] = report.PassChange{Pass: c.Pass, Accounts: c.Accounts, Folders: c.Folders, Present: c.Present, New: c.New, Gone: c.Gone}
	}
	for _, l := range links {
		roots[l.Pass] = hex.EncodeToString(l.Root[:])
	}
	list := make([]report.PassChange, 0, len(passes))
	for _, p := range passes {
		c := of[p.ID]
		c.Pass, c.Root = p.ID, roots[p.ID]
		list = append(list, c)
	}
	return list, nil
}

// messages yields every message of a comparison, account by account, the source
// in the order of folders and UIDs, then what only the destination has.
//
// Verdicts come in another order than folders, and the words of a message lie
// apart from its hashes. So its verdicts are kept in 24 octets each, and the
// inventories are read in their order beside them. Of the first [mostLines]
// messages of a comparison the verdicts were kept when they were found; the
// other accounts are compared once more, one at a time.
func (e *Engagement) messages(ctx context.Context, c Comparison) report.Messages {
	return func() iter.Seq2[report.Message, error] {
		return func(yield func(report.Message, error) bool) {
			for i := range c.Accounts {
				more, err := e.accountMessages(ctx, &c.Accounts[i], c.lines[c.Accounts[i].Account], func(m report.Message) bool { return yield(m, nil) })
				if err != nil {
					yield(report.Message{}, err)
					return
				}
				if !more {
					return
				}
			}
		}
	}
}

// place is a message's place in its inventory.
type place struct {
	mailbox uint32
	uid     mailproof.UID
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.mailbox, q.mailbox), cmp.Compare(p.uid, q.uid))
}

// line is a verdict, kept small.
type line struct {
	at, other place // other: the counterpart's, its UID 0 where there is none
	reasons   uint32
	verdict   mailproof.MessageVerdict
	tier      mailproof.Tier
}

// verdictLines are those of one account's comparison, by the side whose message
// they are about. Once they are sorted nothing changes them.
type verdictLines struct {
	passes              [2]mailproof.PassID // of the inventories that were compared
	source, destination []line
	texts               []string          // of reasons; the first is empty
	index               map[string]uint32 // of texts
}

func newVerdictLines(src, dst diff.Inventory) *verdictLines {
	return &verdictLines{passes: passesOf(src, dst), texts: []string{""}, index: map[string]uint32{"": 0}}
}

func passesOf(src, dst diff.Inventory) [2]mailproof.PassID {
	return [2]mailproof.PassID{src.Scan().Pass, dst.Scan().Pass}
}

// sort brings the lines into the order of folders and UIDs.
func (v *verdictLines) sort() {
	for _, lines := range [][]line{v.source, v.destination} {
		slices.SortFunc(lines, func(a, b line) int { return a.at.compare(b.at) })
	}
}

func (v *verdictLines) len() int { return len(v.source) + len(v.destination) }

// mostLines bounds how many verdicts of one comparison are kept for the list of
// messages.
const mostLines = 200_000

// mostTexts bounds the different texts of evidence that are kept of one
// account; a text beyond them is cut to its codes.
const mostTexts = 200_000

func (v *verdictLines) add(r diff.Result) {
	l := line{verdict: r.Verdict, tier: r.Tier, reasons: v.text(reasonsText(&r, true))}
	if l.reasons == 0 && len(v.texts) >= mostTexts {
		l.reasons = v.text(reasonsText(&r, false))
	}
	switch {
	case r.SourceRow != nil:
		l.at = place{uint32(r.SourceRow.Mailbox), r.SourceRow.UID}
		if r.DestinationRow != nil {
			l.other = place{uint32(r.DestinationRow.Mailbox), r.DestinationRow.UID}
		}
		v.source = append(v.source, l)
	case r.DestinationRow != nil:
		l.at = place{uint32(r.DestinationRow.Mailbox), r.DestinationRow.UID}
		v.destination = append(v.destination, l)
	}
}

// text keeps a text once and returns its number, 0 where there is no room or no
// text.
func (v *verdictLines) text(s string) uint32 {
	if n, ok := v.index[s]; ok {
		return n
	}
	if len(v.texts) >= mostTexts+1000 || len(v.texts) >= mostTexts && strings.Contains(s, ":") {
		return 0
	}
	v.texts = append(v.texts, s)
	v.index[s] = uint32(len(v.texts) - 1)
	return uint32(len(v.texts) - 1)
}

func reasonsText(r *diff.Result, evidence bool) string {
	var parts []string
	for _, reason := range slices.Concat(r.Reasons, r.Beside()) {
		if evidence {
			parts = append(parts, reason.String())
		} else {
			parts = append(parts, reason.Code)
		}
	}
	return strings.Join(parts, "; ")
}

// accountMessages yields the messages of one account, whose lines may have been
// kept. It reports whether more are wanted.
func (e *Engagement) accountMessages(ctx context.Context, a *mailproof.AccountResult, kept *verdictLines, yield func(report.Message) bool) (more bool, err error) {
	src, dst, done, err := e.inventoriesOf(ctx, a.Account)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, done()) }()
	v := kept
	if v == nil || v.passes != passesOf(src, dst) {
		if v, err = e.verdictLines(ctx, a.Account, src, dst); err != nil {
			return false, fmt.Errorf("list of account %s: %w", a.Account, err)
		}
	}
	numbers := make(map[mailproof.MessageKey]string, len(a.Exceptions))
	for i := range a.Exceptions {
		numbers[a.Exceptions[i].Key] = a.Exceptions[i].ID
	}
	numbered := func(m report.Message) bool {
		m.Exception = numbers[m.Key]
		return yield(m)
	}
	if more, err = v.of(ctx, src, dst, v.source, numbered); err != nil || !more {
		return false, err
	}
	return v.of(ctx, dst, src, v.destination, numbered)
}

// verdictLines compares an account for its lines.
func (e *Engagement) verdictLines(ctx context.Context, account string, src, dst diff.Inventory) (*verdictLines, error) {
	o, err := e.compareOptions(ctx, account, dst)
	if err != nil {
		return nil, err
	}
	v := newVerdictLines(src, dst)
	o.MaxExceptions, o.OnResult = -1, func(r diff.Result) error { v.add(r); return nil }
	_, err = diff.Compare(ctx, src, dst, o)
	v.sort()
	return v, err
}

// detailed is an inventory that tells what a list shows of its messages. The
// detail of one is valid until the next.
type detailed interface {
	diff.Inventory
	Captions(ctx context.Context) iter.Seq2[mailproof.Message, error]
}

// of walks through an inventory beside the sorted lines that are about it.
func (v *verdictLines) of(ctx context.Context, inv, other diff.Inventory, lines []line, yield func(report.Message) bool) (more bool, err error) {
	if len(lines) == 0 {
		return true, nil
	}
	mailboxes, others := inv.Mailboxes(), other.Mailboxes()
	next := 0
	bare := func(l line) report.Message {
		m := report.Message{Key: keyAt(inv, mailboxes, l.at), Verdict: l.verdict, Tier: l.tier, Reasons: v.texts[l.reasons]}
		if l.other.uid != 0 {
			m.Counterpart = keyAt(other, others, l.other)
		}
		return m
	}
	if with, ok := diff.Beneath[detailed](inv); ok {
		index := map[string]uint32{}
		for i := range mailboxes {
			index[mailboxes[i].Name] = uint32(i)
		}
		for found, err := range with.Captions(ctx) {
			if err != nil {
				return false, err
			}
			at := place{index[found.Mailbox], found.MessageKey.UID}
			for ; next < len(lines) && lines[next].at.compare(at) < 0; next++ {
				if !yield(bare(lines[next])) { // told of, and not listed
					return false, nil
				}
			}
			if next == len(lines) || lines[next].at != at {
				continue // the other side's half of a pair
			}
			m := bare(lines[next])
			m.Date, m.Size = found.InternalDate, found.Size
			m.Subject, m.MessageID = subjectOf(&found), found.Fingerprint.Detail.MessageID
			if !yield(m) {
				return false, nil
			}
			next++
		}
	}
	for ; next < len(lines); next++ {
		if !yield(bare(lines[next])) {
			return false, nil
		}
	}
	return true, nil
}

func keyAt(inv diff.Inventory, mailboxes []mailproof.MailboxScan, at place) mailproof.MessageKey {
	scan := inv.Scan()
	k := mailproof.MessageKey{Side: scan.Side, Account: scan.Account, UID: at.uid}
	if int(at.mailbox) < len(mailboxes) {
		k.Mailbox, k.UIDValidity = mailboxes[at.mailbox].Name, mailboxes[at.mailbox].Before.UIDValidity
	}
	return k
}

func subjectOf(m *mailproof.Message) string {
	f, _ := m.Fingerprint.Detail.Digest("subject")
	return f.Value
}
