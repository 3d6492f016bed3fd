package imapconn

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/mailproof/mailproof"
)

// appendDepth is how many APPEND commands of a batch are in flight at once
// where literals need no go-ahead.
const appendDepth = 32

// Ladder tells how well a server takes many messages, best first.
type Ladder uint8

// The rungs.
const (
	MultiAppend Ladder = iota // one command for many messages (RFC 3502), literals without go-ahead (RFC 7888)
	Pipelined                 // one command each, many in flight
	OneByOne                  // each literal waits for its go-ahead: only more connections make it faster
)

// Ladder returns the rung that the server of the last sign-in stands on.
func (w *Writer) Ladder() Ladder {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	caps := capabilities(w.link.server().Capabilities)
	switch {
	case caps.has("MULTIAPPEND") && !w.singly.Load():
		return MultiAppend
	case caps.has("LITERAL+"):
		return Pipelined
	}
	return OneByOne
}

// Several reports whether more connections make appending faster: each message
// costs a round trip of its own, or the server's time over a command.
func (w *Writer) Several() bool {
	return w.Ladder() != MultiAppend || !capabilities(w.link.server().Capabilities).has("LITERAL+")
}

// StartAppend sends a batch of messages to one mailbox and returns when its
// last octet is on its way; wait returns what became of each message, in their
// order. Another batch may be started before wait is called, as may several:
// the server answers in order. wait must be called, once.
//
// Where the server offers MULTIAPPEND and singly is false, the batch is one
// command, of which all or nothing is added: its refusal is that of every
// message, with Whole set. Otherwise each message is a command, as many of
// them in flight as the server allows, and each has an answer of its own.
//
// Nothing is ever sent again. The error of wait, or of StartAppend where it
// gives no wait, says why the connection is gone; the receipts then tell what
// cannot have arrived from what may have.
func (w *Writer) StartAppend(ctx context.Context, mailbox string, batch []mailproof.Outgoing, singly bool) (wait func(context.Context) ([]mailproof.Receipt, error), err error) {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	s, err := w.link.session(ctx)
	if err != nil {
		return nil, err
	}
	f := &appendFlight{w: w, s: s, op: "append to " + strconv.Quote(mailbox), receipts: make([]mailproof.Receipt, len(batch))}
	for i := range f.receipts {
		f.receipts[i].Fate = mailproof.FateNotSent
	}
	release := s.guard(ctx)
	f.send(mailbox, batch, !singly && !w.singly.Load() && s.caps.has("MULTIAPPEND"))
	f.err = release(f.err)
	return f.wait, nil
}

// appendFlight is a batch on its way.
type appendFlight struct {
	w        *Writer
	s        *session
	op       string
	receipts []mailproof.Receipt
	commands []appendCommand
	awaited  int   // of the commands
	err      error // why the connection is gone
}

// appendCommand is a command for the messages first to first+n-1.
type appendCommand struct {
	*command
	first, n int
}

func (f *appendFlight) send(mailbox string, batch []mailproof.Outgoing, together bool) {
	size := 1
	if together {
		size = len(batch)
	}
	out := bufio.NewWriterSize(f.s.conn, sendChunk)
	for first := 0; first < len(batch) && f.err == nil; first += size {
		if len(f.commands)-f.awaited >= appendDepth {
			if f.err = out.Flush(); f.err == nil {
				f.await()
			}
			if f.err != nil {
				break
			}
		}
		f.sendOne(out, mailbox, batch[first:first+size], first)
	}
	if f.err == nil && out.Flush() != nil {
		f.err = f.lost()
	}
}

// sendOne writes one command. Its messages are of unknown fate from the moment
// when its end may have left; if it breaks off before, they cannot be there.
func (f *appendFlight) sendOne(out *bufio.Writer, mailbox string, messages []mailproof.Outgoing, first int) {
	cmd := f.s.begin(nil)
	refused, err := f.compose(out, cmd, mailbox, messages)
	st, said := f.answered(cmd)
	var body *bodyError
	switch {
	case (refused || err != nil) && said && st.ok():
		// What it has made of half a command, only the mailbox tells.
		f.s.abort(errEarly)
		f.err = serverFailure(f.s.masker, f.s.info.Address, f.op, errEarly)
		for i := range messages {
			f.receipts[first+i].Fate = mailproof.FateUnknown
		}
		return
	case errors.As(err, &body):
		// Neither to be completed nor taken back.
		f.s.abort(err)
		f.err = fmt.Errorf("%s: given up, nothing was added: %w", f.op, err)
		return
	case err != nil:
		f.err = f.lost()
		if st, said = f.answered(cmd); !said || st.ok() {
			return
		}
		// It said why before it hung up.
	case !refused:
		for i := range messages {
			f.receipts[first+i].Fate = mailproof.FateUnknown
		}
	}
	f.commands = append(f.commands, appendCommand{cmd, first, len(messages)})
}

func (f *appendFlight) answered(cmd *command) (status, bool) {
	select {
	case st := <-cmd.done:
		cmd.done <- st // for await
		return st, true
	default:
		return status{}, false
	}
}

// lost is why a write failed: what the server said before it hung up, if it
// did.
func (f *appendFlight) lost() error {
	_, err := f.s.writeFailed(f.op, &command{done: make(chan status, 1)})
	return err
}

// compose writes one APPEND. refused says that the server answered before it
// was complete.
func (f *appendFlight) compose(out *bufio.Writer, cmd *command, mailbox string, messages []mailproof.Outgoing) (refused bool, err error) {
	_, _ = out.WriteString(cmd.tag) // errors stay in out
	_, _ = out.WriteString(" APPEND ")
	if name := f.s.mailboxArg(mailbox); !name.literal {
		_, _ = out.WriteString(name.s)
	} else {
		if refused, err = f.announce(out, cmd, int64(len(name.s))); refused || err != nil {
			return refused, err
		}
		_, _ = out.WriteString(name.s)
	}
	for i := range messages {
		m := &messages[i]
		_ = out.WriteByte(' ')
		if flags := validFlags(m.Flags); len(flags) > 0 {
			_, _ = out.WriteString(flags.String())
			_ = out.WriteByte(' ')
		}
		if date, ok := appendDate(m.InternalDate); ok {
			_, _ = out.WriteString(quote(date))
			_ = out.WriteByte(' ')
		}
		if refused, err = f.announce(out, cmd, m.Size); refused || err != nil {
			return refused, err
		}
		if err := copyBody(out, m); err != nil {
			return false, err
		}
	}
	// Its end has not left, so that a server that says OK by now does not mean it.
	if st, said := f.answered(cmd); said && st.ok() {
		return false, errEarly
	}
	_, err = out.WriteString("\r\n")
	return false, err
}

// errEarly ends a connection whose server takes for done what it was not sent.
var errEarly = malformed("OK to an APPEND that is not complete")

// announce writes the size of a literal, and waits for the go-ahead where it
// takes one.
func (f *appendFlight) announce(out *bufio.Writer, cmd *command, size int64) (refused bool, err error) {
	if f.s.nonSynchronizing(size) {
		_, err = fmt.Fprintf(out, "{%d+}\r\n", size)
		return false, err
	}
	if _, err = fmt.Fprintf(out, "{%d}\r\n", size); err != nil {
		return false, err
	}
	if err = out.Flush(); err != nil {
		return false, err
	}
	select {
	case <-cmd.goOn:
		return false, nil
	case st := <-cmd.done:
		cmd.done <- st
		return true, nil
	case <-f.s.done:
		return false, io.ErrUnexpectedEOF
	}
}

// copyBody writes exactly the octets announced. An error of the body itself is
// a bodyError.
func copyBody(out *bufio.Writer, m *mailproof.Outgoing) error {
	if _, err := m.Body.Seek(0, io.SeekStart); err != nil {
		return &bodyError{err}
	}
	body := &countedReader{r: m.Body}
	_, err := io.CopyN(out, body, m.Size)
	switch {
	case body.err != nil && !errors.Is(body.err, io.EOF):
		return &bodyError{fmt.Errorf("reading the message: %w", body.err)}
	case body.n < m.Size:
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		return &bodyError{&sizeError{m.Size, body.n}}
	case err != nil:
		return err
	}
	var more [1]byte
	if n, _ := m.Body.Read(more[:]); n > 0 {
		return &bodyError{&sizeError{m.Size, m.Size + 1}}
	}
	return nil
}

// countedReader tells its own errors from those of the writer it feeds.
type countedReader struct {
	r   io.Reader
	n   int64
	err error
}

func (c *countedReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// wait collects the answers.
func (f *appendFlight) wait(ctx context.Context) ([]mailproof.Receipt, error) {
	release := f.s.guard(ctx)
	for f.awaited < len(f.commands) {
		f.await()
	}
	f.s.idle()
	return f.receipts, release(f.err)
}

// await takes the answer to the oldest command.
func (f *appendFlight) await() {
	cmd := f.commands[f.awaited]
	f.awaited++
	var st status
	select {
	case st = <-cmd.done:
	case <-f.s.done:
		var err error
		if st, err = f.s.last(f.op, cmd.command); err != nil {
			if f.err == nil {
				f.err = err
			}
			return
		}
	}
	f.settle(cmd, st)
}

func (f *appendFlight) settle(cmd appendCommand, st status) {
	receipts := f.receipts[cmd.first : cmd.first+cmd.n]
	if !st.ok() {
		if st.typ == "BAD" && cmd.n > 1 {
			f.w.singly.Store(true) // offered, and not understood
		}
		refusal := f.s.masker.refusal(f.s.info.Address, f.op, st)
		for i := range receipts {
			receipts[i] = mailproof.Receipt{Fate: mailproof.FateRefused, Err: refusal, Whole: cmd.n > 1}
		}
		return
	}
	validity, uids := appendUIDs(st, cmd.n)
	for i := range receipts {
		receipts[i] = mailproof.Receipt{Fate: mailproof.FateAdded, UIDValidity: validity}
		if i < len(uids) {
			receipts[i].UID = uids[i]
		}
	}
}

// appendUIDs reads APPENDUID for n messages (RFC 4315 §3, RFC 3502). Where the
// set does not name exactly n it names none of them.
func appendUIDs(st status, n int) (uidvalidity uint32, uids []mailproof.UID) {
	if st.code != "APPENDUID" {
		return 0, nil
	}
	first, set, _ := strings.Cut(st.args, " ")
	v, err := strconv.ParseUint(first, 10, 32)
	if err != nil {
		return 0, nil
	}
	for _, part := range strings.Split(strings.TrimSpace(set), ",") {
		a, b, isRange := strings.Cut(part, ":")
		if !isRange {
			b = a
		}
		low, err1 := strconv.ParseUint(a, 10, 32)
		high, err2 := strconv.ParseUint(b, 10, 32)
		if err1 != nil || err2 != nil || low == 0 || high < low || high-low >= uint64(n-len(uids)) {
			return uint32(v), nil
		}
		for uid := low; uid <= high; uid++ {
			uids = append(uids, mailproof.UID(uid))
		}
	}
	if len(uids) != n {
		return uint32(v), nil
	}
	return uint32(v), uids
}

// ReadSince hands over every message of a mailbox whose UID is at least from,
// in any order, and returns the mailbox's state. It is how the fate of
// messages is learnt whose acknowledgement was lost: nothing but the content of
// the mailbox tells. read is used as by [Reader.Bodies]; a message that cannot
// be read is handed over with a nil body.
func (w *Writer) ReadSince(ctx context.Context, mailbox string, from mailproof.UID, read func(uid mailproof.UID, size int64, body io.Reader) error) (mailproof.MailboxState, error) {
	r := &Reader{link: w.link}
	state, err := r.Examine(ctx, mailbox)
	if err != nil || state.UIDNext != 0 && state.UIDNext <= from {
		return state, err
	}
	want, err := r.since(ctx, from)
	if err != nil {
		return state, err
	}
	unread, err := r.Bodies(ctx, want, read)
	if err != nil {
		return state, err
	}
	for uid, reason := range unread {
		if reason == ReasonExpunged {
			continue
		}
		if err := read(uid, 0, nil); err != nil {
			return state, err
		}
	}
	return state, nil
}

// since lists the messages from a UID on.
func (r *Reader) since(ctx context.Context, from mailproof.UID) ([]mailproof.Metadata, error) {
	r.link.mu.Lock()
	defer r.link.mu.Unlock()
	var want []mailproof.Metadata
	err := r.reading(ctx, func(s *session) error {
		want = want[:0]
		return s.fetchRecords(ctx, openSet(from), allMetadata, func(rec record) {
			if rec.UID >= from { // "*" names the last message, wherever it is
				want = append(want, rec.Metadata)
			}
		})
	})
	return want, err
}
