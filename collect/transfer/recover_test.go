package transfer

import (
	"bytes"
	"context"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/mailproof/mailproof"
)

// oddDestination stores what it is given and answers as a test wants it to.
type oddDestination struct {
	*fakeDestination
	batches int
	answer  func(batch int, receipts []mailproof.Receipt) error
	held    int           // the batch that is not answered until the one behind it was sent; 0: the first
	behind  chan struct{} // closed when that was
	state   func(s *mailproof.MailboxState)
}

func (d *oddDestination) StartAppend(ctx context.Context, mailbox string, batch []mailproof.Outgoing, singly bool) (func(context.Context) ([]mailproof.Receipt, error), error) {
	wait, err := d.fakeDestination.StartAppend(ctx, mailbox, batch, singly)
	d.batches++
	n, held := d.batches, max(d.held, 1)
	if n == held+1 {
		close(d.behind)
	}
	return func(ctx context.Context) ([]mailproof.Receipt, error) {
		if n == held {
			<-d.behind
		}
		receipts, err := wait(ctx)
		if err == nil {
			err = d.answer(n, receipts)
		}
		return receipts, err
	}, err
}

func (d *oddDestination) State(ctx context.Context, mailbox string) (mailproof.MailboxState, error) {
	state, err := d.fakeDestination.State(ctx, mailbox)
	if d.state != nil {
		d.state(&state)
	}
	return state, err
}

// ReadSince tells of EXISTS, too.
func (d *oddDestination) ReadSince(ctx context.Context, mailbox string, from mailproof.UID, read func(mailproof.UID, int64, io.Reader) error) (mailproof.MailboxState, error) {
	state, err := d.fakeDestination.ReadSince(ctx, mailbox, from, read)
	state.Exists = uint32(len(d.mailboxes[mailbox]))
	return state, err
}

// landing tells when the first results are recorded.
type landing struct {
	*journal
	once   sync.Once
	landed chan struct{}
}

func (l *landing) Record(ctx context.Context, pass mailproof.PassID, tickets []int64, rs []mailproof.StepResult) error {
	l.once.Do(func() { close(l.landed) })
	return l.journal.Record(ctx, pass, tickets, rs)
}

// waitingSource gives a message only when something has happened.
type waitingSource struct {
	*fakeSource
	uid   mailproof.UID
	until chan struct{}
}

func (s *waitingSource) Bodies(ctx context.Context, want []mailproof.Metadata, read func(mailproof.UID, int64, io.Reader) error) (map[mailproof.UID]string, error) {
	return s.fakeSource.Bodies(ctx, want, func(uid mailproof.UID, size int64, body io.Reader) error {
		if uid == s.uid {
			<-s.until
		}
		return read(uid, size, body)
	})
}

// lose makes the fate of messages unknown, as when the connection ends before
// their answer.
func lose(receipts []mailproof.Receipt) error {
	clear(receipts)
	return errGone
}

// A batch whose answer was lost lies below one that was sent behind it and
// acknowledged: it is looked for where it was sent, and not sent again. So is a
// message of a batch whose other answers came, in whatever order.
func TestLostBelowAcknowledged(t *testing.T) {
	for name, answer := range map[string]func(int, []mailproof.Receipt) error{
		"a whole batch": func(batch int, r []mailproof.Receipt) error {
			if batch == 1 {
				return lose(r)
			}
			return nil
		},
		"out of order": func(batch int, r []mailproof.Receipt) error {
			if batch == 1 {
				return lose(r[len(r)/9 : len(r)/2])
			}
			return nil
		},
		"both": func(batch int, r []mailproof.Receipt) error {
			if batch <= 2 {
				return lose(r[len(r)/9*batch : len(r)*8/9])
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			src, dst, steps := world(250)
			odd := &oddDestination{fakeDestination: dst, behind: make(chan struct{}), answer: answer}
			sum, err := Run(t.Context(), src, odd, &journal{t: t}, each(steps), options())
			if err != nil || sum.Appended != 250 || sum.Failed != 0 {
				t.Errorf("%+v, %v", sum, err)
			}
			checkIntact(t, src, dst, 250)
		})
	}
}

// slowDestination carries out its first batch late: after so many looks at the
// mailbox. By then the connection has been given up.
type slowDestination struct {
	*fakeDestination
	batches, looks, late int
	lost                 error
	carryOut             func()
}

func (d *slowDestination) StartAppend(ctx context.Context, mailbox string, batch []mailproof.Outgoing, singly bool) (func(context.Context) ([]mailproof.Receipt, error), error) {
	if d.batches++; d.batches > 1 {
		return d.fakeDestination.StartAppend(ctx, mailbox, batch, singly)
	}
	var held []mailproof.Outgoing
	for _, m := range batch {
		b, err := io.ReadAll(m.Body)
		if err != nil {
			return nil, err
		}
		m.Body = bytes.NewReader(b)
		held = append(held, m)
	}
	d.carryOut = func() { _, _ = d.fakeDestination.StartAppend(ctx, mailbox, held, singly) }
	return func(context.Context) ([]mailproof.Receipt, error) {
		return make([]mailproof.Receipt, len(batch)), d.lost
	}, nil
}

func (d *slowDestination) ReadSince(ctx context.Context, mailbox string, from mailproof.UID, read func(mailproof.UID, int64, io.Reader) error) (mailproof.MailboxState, error) {
	if d.looks++; d.looks == d.late {
		d.carryOut()
	}
	return d.fakeDestination.ReadSince(ctx, mailbox, from, read)
}

// A server that was hung up on because it was slow, and not because the line was
// cut, is given as long again: what it had received may still get there.
func TestSlowIsNotLost(t *testing.T) {
	silent := &mailproof.ServerError{Kind: mailproof.ErrConnection, Err: os.ErrDeadlineExceeded}
	for _, x := range []struct {
		lost error
		late int
	}{{errGone, 2}, {silent, 2}, {silent, 15}, {silent, 31}} {
		src, dst, steps := world(20)
		slow := &slowDestination{fakeDestination: dst, lost: x.lost, late: x.late}
		sum, err := Run(t.Context(), src, slow, &journal{t: t}, each(steps), options())
		if err != nil || sum.Appended != 20 || sum.Failed != 0 {
			t.Errorf("%v, %d looks: %+v, %v", x.lost, x.late, sum, err)
		}
		if slow.looks < slow.late {
			slow.carryOut() // nobody looked for long enough
		}
		checkIntact(t, src, dst, 20)
	}
}

// A server whose numbers are not true, and which hangs up before it answers: no
// message is sent twice on their account. What cannot be told is left to the next
// inventory, and the rest goes on.
func TestUntrueNumbers(t *testing.T) {
	each1 := func(f func(r *mailproof.Receipt)) func(int, []mailproof.Receipt) {
		return func(_ int, receipts []mailproof.Receipt) {
			for i := range receipts {
				f(&receipts[i])
			}
		}
	}
	for name, lie := range map[string]struct {
		uids  func(batch int, receipts []mailproof.Receipt)
		state func(s *mailproof.MailboxState)
	}{
		"true":              {uids: func(int, []mailproof.Receipt) {}},
		"far too high":      {uids: each1(func(r *mailproof.Receipt) { r.UID += 1000 })},
		"a batch too high":  {uids: each1(func(r *mailproof.Receipt) { r.UID += 100 })},
		"one too high":      {uids: each1(func(r *mailproof.Receipt) { r.UID++ })},
		"one too low":       {uids: each1(func(r *mailproof.Receipt) { r.UID-- })},
		"all the same":      {uids: each1(func(r *mailproof.Receipt) { r.UID = 5 })},
		"the largest":       {uids: each1(func(r *mailproof.Receipt) { r.UID = 1<<32 - 1 })},
		"other UIDVALIDITY": {uids: each1(func(r *mailproof.Receipt) { r.UIDValidity = 99 })},
		"zero UIDVALIDITY":  {uids: each1(func(r *mailproof.Receipt) { r.UIDValidity = 0 })},
		"none":              {uids: each1(func(r *mailproof.Receipt) { r.UID, r.UIDValidity = 0, 0 })},
		"every other one": {uids: func(_ int, r []mailproof.Receipt) {
			for i := 0; i < len(r); i += 2 {
				r[i].UID = 0
			}
		}},
		"some, then none": {uids: func(batch int, r []mailproof.Receipt) {
			if batch > 1 {
				each1(func(r *mailproof.Receipt) { r.UID = 0 })(batch, r)
			}
		}},
		"none, then too high": {uids: func(batch int, r []mailproof.Receipt) {
			each1(func(r *mailproof.Receipt) { r.UID = mailproof.UID(batch-1) * 5000 })(batch, r)
		}},
		"UIDNEXT too high":   {uids: func(int, []mailproof.Receipt) {}, state: func(s *mailproof.MailboxState) { s.UIDNext += 10_000 }},
		"UIDNEXT a bit high": {uids: func(int, []mailproof.Receipt) {}, state: func(s *mailproof.MailboxState) { s.UIDNext += 150 }},
		"UIDNEXT zero":       {uids: func(int, []mailproof.Receipt) {}, state: func(s *mailproof.MailboxState) { s.UIDNext = 0 }},
		"other state":        {uids: func(int, []mailproof.Receipt) {}, state: func(s *mailproof.MailboxState) { s.UIDValidity = 99 }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct{ lost, held int }{{1, 1}, {3, 1}, {3, 2}} {
				lost := c.lost
				src, dst, steps := world(400)
				odd := &oddDestination{fakeDestination: dst, held: c.held, behind: make(chan struct{}), state: lie.state, answer: func(batch int, r []mailproof.Receipt) error {
					if batch == lost {
						return lose(r)
					}
					lie.uids(batch, r)
					return nil
				}}
				j := &landing{journal: &journal{t: t}, landed: make(chan struct{})}
				var from Source = src
				if c.held > 1 {
					// The batch behind is sent when the first is settled, and the
					// held one is not.
					from = &waitingSource{src, 100*mailproof.UID(c.held) + 1, j.landed}
				}
				sum, err := Run(t.Context(), from, odd, j, each(steps), options())
				if err != nil {
					t.Errorf("batch %d is lost: %v", lost, err)
				}
				// Everything was stored, so that whatever is there beyond it was sent twice.
				if n := len(dst.mailboxes["INBOX"]); n != 400 {
					t.Errorf("batch %d is lost: %d of 400 messages are there; %+v", lost, n, sum)
				}
				if done := len(j.byState(mailproof.StepDone)); done < 300 || name == "true" && done != 400 {
					t.Errorf("batch %d is lost: %d are called done", lost, done)
				}
			}
		})
	}
}

// A server that gives no UIDs: what is remembered of its mailbox stays bounded, as
// it is asked again where it ends.
func TestUnnumberedIsBounded(t *testing.T) {
	src, dst, steps := world(3*maxUnnumbered, make([]int, 3*maxUnnumbered)...)
	asked := 0
	odd := &oddDestination{fakeDestination: dst, behind: make(chan struct{}), state: func(*mailproof.MailboxState) { asked++ },
		answer: func(_ int, receipts []mailproof.Receipt) error {
			for i := range receipts {
				receipts[i].UID = 0
			}
			return nil
		}}
	sum, err := Run(t.Context(), src, odd, &journal{t: t}, each(steps), options())
	if err != nil || int(sum.Appended) != len(steps) {
		t.Errorf("%+v, %v", sum, err)
	}
	if asked < 3 {
		t.Errorf("asked %d times for %d messages", asked, len(steps))
	}
}
