package engagement

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
	"github.com/mailproof/mailproof/collect/imapconn"
	"github.com/mailproof/mailproof/collect/ledger"
	"github.com/mailproof/mailproof/diff"
	"github.com/mailproof/mailproof/report"
)

// What a differential pass leaves behind: messages that an earlier pass put on
// the destination and that were deleted on the source since. They are deleted on
// the destination only if everything speaks for it, and nothing against it:
//
//   - the copy journal says that a pass of ours appended the message, and which
//     UID the server gave it or under which it was found by its content;
//   - no inventory before that pass had seen that UID;
//   - the latest inventory of the destination read it there, octet for octet what
//     was sent;
//   - a later inventory of the source, which read every message of every folder,
//     lists its folder under the same UIDVALIDITY and not the message;
//   - nothing on the source shares its content or its identity, by any strong
//     tier of the fingerprint: what was moved, or is there twice, stays;
//   - no other account of the engagement has it: of two that share a mailbox of the
//     destination, what one no longer has may be the other's;
//   - right before the deletion it is read again, and is the same.
//
// Where one of these cannot be told, nothing is deleted.

// DeletionPlan is what would be deleted of one account.
type DeletionPlan struct {
	Account  string
	Messages []ledger.Deletion // by folder and UID
	// Because says why nothing can be deleted of the account, if that is so.
	Because string
}

// strongTiers are those by which a message may still be on the source.
var strongTiers = []mailproof.Tier{mailproof.T0, mailproof.T1, mailproof.T2, mailproof.T2v, mailproof.T2c, mailproof.T3}

// ErrDeletionCount says that there are not as many messages to be deleted as
// the user was shown.
var ErrDeletionCount = errors.New("not as many messages are to be deleted as was said")

// DeletionPlans finds the messages that would be deleted, by the latest
// inventories. It writes nothing.
func (e *Engagement) DeletionPlans(ctx context.Context) ([]DeletionPlan, error) {
	var plans []DeletionPlan
	for _, a := range e.Accounts {
		p, err := e.deletionPlan(ctx, a.Name)
		if err != nil {
			return plans, err
		}
		plans = append(plans, p)
	}
	return plans, nil
}

// DeletionCount is the number of messages in plans.
func DeletionCount(plans []DeletionPlan) (messages, octets int64) {
	for _, p := range plans {
		messages += int64(len(p.Messages))
		for _, m := range p.Messages {
			octets += m.Octets
		}
	}
	return messages, octets
}

func (e *Engagement) deletionPlan(ctx context.Context, account string) (p DeletionPlan, err error) {
	p.Account = account
	src, dst, done, err := e.inventoriesOf(ctx, account)
	if err != nil {
		return p, err
	}
	defer func() { err = errors.Join(err, done()) }()
	written, err := e.ledger.LastCopy(ctx, account)
	if err != nil {
		return p, err
	}
	if written > dst.Scan().Pass {
		p.Because = ErrWritten.Error()
		return p, nil
	}
	var appended []ledger.JournalEntry
	for s, err := range e.ledger.Steps(ctx, ledger.StepFilter{Account: account, Kinds: []mailproof.StepKind{mailproof.AppendMessage}, States: []mailproof.StepState{mailproof.StepDone}}) {
		if err != nil {
			return p, err
		}
		appended = append(appended, s)
	}
	p.Messages, p.Because, err = deletable(ctx, src, dst, appended)
	if err != nil || len(p.Messages) == 0 {
		return p, err
	}
	shared, err := e.ledger.SharedDeletions(ctx, p.Messages)
	for _, i := range slices.Backward(shared) {
		p.Messages = slices.Delete(p.Messages, i, i+1)
	}
	return p, err
}

// spot is a message of the destination.
type spot struct {
	mailbox  string
	validity uint32
	uid      mailproof.UID
}

// deletable is the decision, from the inventories and the journal alone. because
// says why nothing can be decided.
func deletable(ctx context.Context, src, dst diff.Inventory, appended []ledger.JournalEntry) (list []ledger.Deletion, because string, err error) {
	if because = whole(src); because != "" {
		return nil, because, nil
	}
	if s := dst.Scan(); s.State != mailproof.PassDone {
		return nil, "the destination was not read to its end", nil
	}
	sources := map[string]mailproof.MailboxScan{}
	for _, b := range src.Mailboxes() {
		sources[b.Name] = b
	}
	ours := oursOf(appended, src.Scan().Pass, sources)
	if len(ours) == 0 {
		return nil, "", nil
	}
	if list, err = present(ctx, dst, ours); err != nil || len(list) == 0 {
		return nil, "", err
	}
	return withoutSource(ctx, src, list, dst)
}

// whole says why an inventory of the source cannot vouch for what is not there.
func whole(src diff.Inventory) string {
	if s := src.Scan(); s.Pass == 0 || s.State != mailproof.PassDone {
		return "the source was not read to its end"
	}
	for _, b := range src.Mailboxes() {
		switch {
		case b.Excluded != "" && b.Before.Exists > 0:
			return fmt.Sprintf("the source folder %q was left out by a rule: what is not seen may be there", b.Name)
		case b.Excluded != "":
		case !b.Complete || b.Drifted || b.Error != "":
			return fmt.Sprintf("the source folder %q was not read to its end", b.Name)
		case !b.NoSelect && (b.Before.UIDValidity == 0 || b.Before.UIDValidity != b.After.UIDValidity):
			return fmt.Sprintf("the source folder %q changed its UIDVALIDITY while it was read", b.Name)
		}
	}
	return ""
}

// oursOf are the places at which the journal says that a pass of ours put a
// message, and whose source folder was read since under the same UIDVALIDITY. A
// place that two entries claim is nobody's.
func oursOf(appended []ledger.JournalEntry, read mailproof.PassID, sources map[string]mailproof.MailboxScan) map[spot]ledger.JournalEntry {
	ours, twice := map[spot]ledger.JournalEntry{}, map[spot]bool{}
	for _, s := range appended {
		at := spot{s.Step.Target, s.UIDValidity, s.UID}
		if _, claimed := ours[at]; claimed {
			twice[at] = true
		}
		folder, listed := sources[s.Step.Source.Mailbox]
		if s.State != mailproof.StepDone || s.UID == 0 || s.UIDValidity == 0 || s.Step.T0.IsZero() || s.Pass >= read ||
			!listed || folder.Excluded != "" || folder.After.UIDValidity != s.Step.Source.UIDValidity {
			twice[at] = twice[at] || s.UID != 0
			continue
		}
		ours[at] = s
	}
	for at := range twice {
		delete(ours, at)
	}
	return ours
}

// present are those of them that the destination still holds as they were sent,
// and that no inventory before had seen.
func present(ctx context.Context, dst diff.Inventory, ours map[spot]ledger.JournalEntry) (list []ledger.Deletion, err error) {
	boxes := dst.Mailboxes()
	for row, err := range dst.Rows(ctx, mailproof.TierNone) {
		if err != nil {
			return nil, err
		}
		box := &boxes[row.Mailbox]
		s, is := ours[spot{box.Name, box.After.UIDValidity, row.UID}]
		if !is || !box.Complete || box.Error != "" || box.Before.UIDValidity != box.After.UIDValidity ||
			row.State != mailproof.Read || row.Hash(mailproof.T0) != s.Step.T0 || row.FirstPass <= s.Pass {
			continue
		}
		list = append(list, ledger.Deletion{
			Destination: mailproof.MessageKey{Side: mailproof.Destination, Account: s.Step.Account, Mailbox: box.Name, UIDValidity: box.After.UIDValidity, UID: row.UID},
			T0:          s.Step.T0, Octets: row.Octets, Source: s.Step.Source, AppendedBy: s.Pass,
		})
	}
	return list, nil
}

// withoutSource strikes what the source still has, or may have.
func withoutSource(ctx context.Context, src diff.Inventory, list []ledger.Deletion, dst diff.Inventory) ([]ledger.Deletion, string, error) {
	wanted := map[spot]int{} // of the destination
	for i, d := range list {
		wanted[spot{d.Destination.Mailbox, d.Destination.UIDValidity, d.Destination.UID}] = i
	}
	shared := map[tierHash][]int{}
	boxes := dst.Mailboxes()
	for row, err := range dst.Rows(ctx, mailproof.TierNone) {
		if err != nil {
			return nil, "", err
		}
		box := &boxes[row.Mailbox]
		i, is := wanted[spot{box.Name, box.After.UIDValidity, row.UID}]
		if !is {
			continue
		}
		for _, t := range strongTiers {
			if h := row.Hash(t); !h.IsZero() {
				shared[tierHash{t, h}] = append(shared[tierHash{t, h}], i)
			}
		}
	}
	there := make([]bool, len(list))
	from := map[origin][]int{}
	for i, d := range list {
		from[origin{d.Source.Mailbox, d.Source.UID}] = append(from[origin{d.Source.Mailbox, d.Source.UID}], i)
	}
	sources := src.Mailboxes()
	seen := 0
	for row, err := range src.Rows(ctx, mailproof.TierNone) {
		if err != nil {
			return nil, "", err
		}
		if sources[row.Mailbox].Excluded != "" {
			continue
		}
		seen++
		if row.State != mailproof.Read {
			return nil, fmt.Sprintf("a message of the source folder %q was not read: it may be any", sources[row.Mailbox].Name), nil
		}
		for _, t := range strongTiers {
			for _, i := range shared[tierHash{t, row.Hash(t)}] {
				there[i] = true
			}
		}
		for _, i := range from[origin{sources[row.Mailbox].Name, row.UID}] {
			there[i] = true
		}
	}
	if seen == 0 {
		return nil, "the source holds no message at all: that looks like another account", nil
	}
	out := list[:0]
	for i, d := range list {
		if !there[i] {
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(a, b ledger.Deletion) int {
		if c := strings.Compare(a.Destination.Mailbox, b.Destination.Mailbox); c != 0 {
			return c
		}
		return int(int64(a.Destination.UID) - int64(b.Destination.UID))
	})
	return out, "", nil
}

// origin is a message of the source, under the UIDVALIDITY of its inventory.
type origin struct {
	mailbox string
	uid     mailproof.UID
}

type tierHash struct {
	tier mailproof.Tier
	hash mailproof.Hash
}

// DeletionResult is what a deletion came to.
type DeletionResult struct {
	Pass                  mailproof.PassID
	Deleted, Kept, Failed int64
	Bytes                 int64 // of those deleted
	Failures              []Failure
	Took                  time.Duration
}

// Delete deletes what [Engagement.DeletionPlans] finds now, if that are
// exactly count messages. It never deletes more.
func (e *Engagement) Delete(ctx context.Context, count int64) (DeletionResult, error) {
	var res DeletionResult
	started := time.Now()
	plans, err := e.DeletionPlans(ctx)
	if err != nil {
		return res, err
	}
	if n, _ := DeletionCount(plans); n != count {
		return res, fmt.Errorf("%w: %d, and now there are %d; nothing was deleted", ErrDeletionCount, count, n)
	}
	if count == 0 {
		return res, nil
	}
	pass, end, err := e.beginPass(ctx, mailproof.Pass{Kind: mailproof.CopyPass, Depth: e.Depth})
	if err != nil {
		return res, err
	}
	res.Pass = pass
	var failed failures
	for _, p := range plans {
		if len(p.Messages) == 0 {
			continue
		}
		i := slices.IndexFunc(e.Accounts, func(a Account) bool { return a.Name == p.Account })
		// The destination is being written to: it is to be read again.
		if err = e.ledger.BeginCopy(ctx, pass, p.Account); err != nil {
			break
		}
		if err := e.deleteOne(ctx, e.Accounts[i], pass, p.Messages, &res); err != nil {
			if isLedger(err) || ctx.Err() != nil || IsStop(err) {
				return res, end(err, 0, 0)
			}
			failed.add(p.Account, mailproof.Destination, err)
		}
	}
	res.Failures, res.Took = failed.sorted(e.Rules), time.Since(started)
	if err != nil {
		return res, end(err, 0, 0)
	}
	// Not ended as done: that would make the flags of now the base that later
	// changes are measured against, and nothing was copied here.
	return res, e.ledger.EndPass(ctx, pass, mailproof.PassFailed, fmt.Sprintf("no copy: %d messages deleted on the destination whose source is gone, %d kept, %d failed", res.Deleted, res.Kept, res.Failed), 0, 0)
}

// deletionBatch is how many messages are deleted by one command.
const deletionBatch = 50

// deleteOne deletes messages of one account, folder by folder.
func (e *Engagement) deleteOne(ctx context.Context, a Account, pass mailproof.PassID, list []ledger.Deletion, res *DeletionResult) error {
	r, closeReader, err := e.reader(ctx, a, mailproof.Destination)
	if err != nil {
		return err
	}
	defer closeReader()
	w, closeWriter, err := e.writer(ctx, a)
	if err != nil {
		return err
	}
	defer closeWriter()
	for len(list) > 0 {
		if e.stopped() {
			return ErrStopped
		}
		n := 1
		for n < len(list) && n < deletionBatch && list[n].Destination.Mailbox == list[0].Destination.Mailbox {
			n++
		}
		batch := slices.Clone(list[:n])
		for i := range batch {
			batch[i].Pass = pass
		}
		if err := e.deleteBatch(ctx, r, w, batch, res); err != nil {
			return err
		}
		list = list[n:]
	}
	return nil
}

// deleteBatch reads messages of one folder again, and deletes those that are
// what they were.
func (e *Engagement) deleteBatch(ctx context.Context, r *pacedReader, w *imapconn.Writer, batch []ledger.Deletion, res *DeletionResult) error {
	mailbox, validity := batch[0].Destination.Mailbox, batch[0].Destination.UIDValidity
	same, err := unchanged(ctx, r, mailbox, validity, batch)
	if err != nil {
		return err
	}
	if err := e.ledger.IntendDeletions(ctx, batch); err != nil {
		return err
	}
	var uids []mailproof.UID
	for i := range batch {
		if same[i] {
			uids = append(uids, batch[i].Destination.UID)
		}
	}
	e.sent.note(batch[0].Destination.Account, mailbox)
	failure := w.Expunge(ctx, mailbox, validity, uids)
	for i := range batch {
		d := &batch[i]
		switch {
		case !same[i]:
			d.State, d.Reason = ledger.DeletionKept, "it is not there any more, or holds other octets than were sent"
			res.Kept++
		case failure != nil:
			d.State, d.Reason = ledger.DeletionFailed, failure.Error()
			res.Failed++
		default:
			d.State = ledger.Deleted
			res.Deleted++
			res.Bytes += d.Octets
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	return errors.Join(failure, e.ledger.RecordDeletions(ctx, batch))
}

// unchanged reads messages and reports which hold what they held.
func unchanged(ctx context.Context, r *pacedReader, mailbox string, validity uint32, batch []ledger.Deletion) ([]bool, error) {
	same := make([]bool, len(batch))
	state, err := r.Examine(ctx, mailbox)
	if err != nil || state.UIDValidity != validity {
		return same, err
	}
	index := map[mailproof.UID]int{}
	want := make([]mailproof.Metadata, len(batch))
	for i, d := range batch {
		index[d.Destination.UID] = i
		want[i] = mailproof.Metadata{UID: d.Destination.UID, Size: d.Octets}
	}
	_, err = r.Bodies(ctx, want, func(uid mailproof.UID, size int64, body io.Reader) error {
		h := sha256.New()
		n, err := io.Copy(h, body)
		if err != nil {
			return err
		}
		if n != size {
			return io.ErrUnexpectedEOF
		}
		if i, asked := index[uid]; asked {
			same[i] = mailproof.Hash(h.Sum(nil)) == batch[i].T0
		}
		return nil
	})
	return same, err
}

// deleteAndRead deletes what the user asked for in a run, and reads the
// destination again: the verdict rests on what is there then.
func (e *Engagement) deleteAndRead(ctx context.Context, o Observer) error {
	if e.DeleteExtra == 0 {
		return nil
	}
	res, err := e.Delete(ctx, e.DeleteExtra)
	if err != nil {
		return err
	}
	if o.Delete != nil {
		o.Delete(res)
	}
	if res.Pass == 0 {
		return nil
	}
	read, err := e.Inventory(ctx, mailproof.Destination)
	if err == nil && o.Inventory != nil {
		o.Inventory(read)
	}
	return err
}

// deletions are what the report says of the deletions of all runs.
func (e *Engagement) deletions(ctx context.Context) ([]report.Deletion, error) {
	list, err := e.ledger.Deletions(ctx)
	if err != nil {
		return nil, err
	}
	var out []report.Deletion
	for _, d := range list {
		out = append(out, report.Deletion{
			Pass: d.Pass, Account: d.Destination.Account, Folder: d.Destination.Mailbox, UIDValidity: d.Destination.UIDValidity, UID: d.Destination.UID,
			SHA256: fmt.Sprintf("%x", d.T0[:]), Bytes: d.Octets, Source: d.Source, SourceFolder: d.Source.Mailbox, SourceUID: d.Source.UID,
			CopiedBy: d.AppendedBy, State: string(d.State), Reason: d.Reason, Finished: d.Finished,
		})
	}
	return out, nil
}
