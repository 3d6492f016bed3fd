package collect

import (
	"context"

	"github.com/mailproof/mailproof"
)

// surveyor is a [Source] that can list mailboxes together with their states, by
// LIST-STATUS (RFC 5819), so that none needs to be opened for it.
type surveyor interface {
	// Survey is Mailboxes, with the state of those mailboxes of which the server
	// tells it along, by name.
	Survey(ctx context.Context) ([]mailproof.Mailbox, map[string]mailproof.MailboxState, error)
}

// opener is a [Source] that can open a mailbox and list it in one round trip.
type opener interface {
	// Open is Examine, of a mailbox of which Metadata is asked next; told is its
	// state as Survey has it.
	Open(ctx context.Context, mailbox string, told mailproof.MailboxState) (mailproof.MailboxState, error)
}

// open opens a mailbox that is going to be listed.
func (p *pass) open(ctx context.Context, mailbox string) (mailproof.MailboxState, error) {
	told, is := p.states[mailbox]
	if src, can := p.src.(opener); can && is {
		return src.Open(ctx, mailbox, told)
	}
	return p.src.Examine(ctx, mailbox)
}

// survey lists the mailboxes, with their states if they are of use.
func (p *pass) survey(ctx context.Context) (mailboxes []mailproof.Mailbox, err error) {
	src, can := p.src.(surveyor)
	if !can {
		return p.src.Mailboxes(ctx)
	}
	mailboxes, p.states, err = src.Survey(ctx)
	return mailboxes, err
}

// rememberer is a [MailboxRecorder] that can tell that there is nothing to be
// learnt from a mailbox.
type rememberer interface {
	// Unchanged reports whether the pass before read every message of the
	// mailbox and left it in the very state in which it is found now.
	Unchanged(ctx context.Context) (present int64, ok bool, err error)
}

// bulkRememberer is a [Recorder] that can tell so of many mailboxes at once.
type bulkRememberer interface {
	// RecordUnchanged records those of the mailboxes of which [rememberer] would
	// say so in the state that they were found in (Before): as opened, read in
	// full and ended. It returns the number of messages of each, by name. Where
	// there are any, believed is asked first, and none is recorded if it says no.
	RecordUnchanged(ctx context.Context, pass mailproof.PassID, account string, side mailproof.Side, found []mailproof.MailboxScan, believed func([]mailproof.MailboxScan) bool) (present map[string]int64, err error)
}

// mayBeUnchanged reports whether the pass may leave a mailbox unread in which
// nothing has happened. Of one that was written to something has: a server that
// says otherwise tells what it knew before, as states that come from a cache or
// from another of its machines do.
func (p *pass) mayBeUnchanged(mailbox string) bool {
	return p.readsChanges() && (p.Written == nil || !p.Written(mailbox))
}

// readsChanges reports whether the pass leaves anything unread that is known.
func (p *pass) readsChanges() bool { return !p.Reverify && p.Depth == mailproof.DepthFull }

// skipUnchanged records the mailboxes in which nothing has happened by what the
// server said of them with their names, and returns the others. See
// [pass.unchanged] for what is asked of a server.
func (p *pass) skipUnchanged(ctx context.Context, mailboxes []mailproof.Mailbox) (rest []mailproof.Mailbox, err error) {
	rec, can := p.rec.(bulkRememberer)
	if !can || !p.readsChanges() || p.stopped() {
		return mailboxes, nil
	}
	var found []mailproof.MailboxScan
	for _, mb := range mailboxes {
		if state, told := p.states[mb.Name]; told && state.HighestModSeq != 0 && !mb.NoSelect && !p.excludes(mb) && p.mayBeUnchanged(mb.Name) {
			found = append(found, mailproof.MailboxScan{Mailbox: mb, Before: state})
		}
	}
	if len(found) == 0 {
		return mailboxes, nil
	}
	present, err := rec.RecordUnchanged(ctx, p.Pass, p.Account, p.Side, found, func(same []mailproof.MailboxScan) bool { return p.believes(ctx, same) })
	if err != nil {
		return nil, recorded(err)
	}
	for _, mb := range mailboxes {
		n, same := present[mb.Name]
		if !same {
			rest = append(rest, mb)
			continue
		}
		p.sum.Mailboxes++
		p.sum.Messages += n
	}
	return rest, nil
}

// believes reports whether what a server told of mailboxes with their names is so.
// Some take it from a list that they do not always keep up to date, and tell the
// truth when a mailbox is opened. So one of those in which nothing is said to have
// happened is: the inbox, where mail arrives, if it is among them.
func (p *pass) believes(ctx context.Context, same []mailproof.MailboxScan) bool {
	witness := &same[0]
	for i := range same {
		if same[i].IsInbox() {
			witness = &same[i]
		}
	}
	state, err := p.src.Examine(ctx, witness.Name)
	return err == nil && state == witness.Before // else each is opened, and fails by itself
}

func (p *pass) excludes(mb mailproof.Mailbox) bool {
	if p.Exclude == nil {
		return false
	}
	_, out := p.Exclude(mb)
	return out
}

// unchanged spares a pass the listing of a mailbox in which nothing has
// happened. The server must offer CONDSTORE (RFC 7162): the same HIGHESTMODSEQ
// vouches for the flags, the same UIDVALIDITY, UIDNEXT and EXISTS for the
// messages.
func (p *pass) unchanged(ctx context.Context, w MailboxRecorder, mb mailproof.Mailbox, before mailproof.MailboxState) (scan mailproof.MailboxScan, ok bool, err error) {
	r, can := w.(rememberer)
	if !can || !p.mayBeUnchanged(mb.Name) || before.HighestModSeq == 0 {
		return scan, false, nil
	}
	present, ok, err := r.Unchanged(ctx)
	if err != nil || !ok {
		return scan, false, recorded(err)
	}
	return mailproof.MailboxScan{Mailbox: mb, Before: before, After: before, Complete: true, Present: present}, true, nil
}
