package imapconn

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/mailproof/mailproof"
)

// Writer fills one account. A connection that was lost is dialled anew for the
// next call. What only reads is tried again; what changes the account is not,
// as the fate of a command whose answer was lost is unknown: the caller
// compares with the account before it sends anything again.
//
// It serves one call at a time: calls from several goroutines wait for each
// other. Dial several Writers to write in parallel.
type Writer struct {
	link   *link
	singly atomic.Bool // the server offers MULTIAPPEND and does not understand it
}

// DialWriter connects and signs in. Errors are a [*mailproof.ServerError], or
// the context's.
func DialWriter(ctx context.Context, c Config) (*Writer, error) {
	l, err := newLink(ctx, c)
	if err != nil {
		return nil, err
	}
	return &Writer{link: l}, nil
}

// Server returns what the server said of itself at the last sign-in.
func (w *Writer) Server() mailproof.ServerInfo { return w.link.server() }

// Traffic returns the octets of IMAP that were received and sent, over all
// connections.
func (w *Writer) Traffic() (read, written int64) { return w.link.traffic() }

// Close signs out.
func (w *Writer) Close() error { return w.link.close(true) }

// Leave signs out without waiting for the server's answer.
func (w *Writer) Leave() error { return w.link.close(false) }

// Reader returns a Reader over the same connection: of the two, only one may be
// in use at a time. There is no way back: who has a Reader alone cannot write.
func (w *Writer) Reader() *Reader { return &Reader{link: w.link} }

// Mailboxes returns the mailboxes of the personal namespace, as
// [Reader.Mailboxes] does.
func (w *Writer) Mailboxes(ctx context.Context) ([]mailproof.Mailbox, error) {
	found, err := w.link.mailboxes(ctx, false)
	if err != nil {
		return nil, err
	}
	return found.mailboxes(), nil
}

// Quota returns the storage used and allowed, in octets; ok is false where the
// server tells of no quota.
func (w *Writer) Quota(ctx context.Context) (used, limit int64, ok bool, err error) {
	return w.link.quota(ctx)
}

// Unselect leaves the mailbox that a Reader over the same connection has opened:
// Courier refuses every APPEND to one that is open read-only. It does not wait for
// the answer. False says that it cannot: the server does not offer UNSELECT (RFC
// 3691), and CLOSE, which a server might take for leave to expunge, is never sent.
func (w *Writer) Unselect() bool {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	s := w.link.s
	if s == nil || !s.alive() || s.mailbox == "" {
		return true
	}
	if !s.caps.has("UNSELECT") && !s.caps.has("IMAP4rev2") {
		return false
	}
	s.mailbox = ""
	cmd := s.begin(nil)
	return s.send([]byte(cmd.tag+" UNSELECT\r\n")) == nil
}

// State returns what the server says of a mailbox, without opening it.
func (w *Writer) State(ctx context.Context, mailbox string) (state mailproof.MailboxState, err error) {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	err = w.link.retry(ctx, func(s *session) error {
		state, err = s.status(ctx, mailbox)
		return err
	})
	return state, err
}

// Create creates a mailbox, with a special use where one is given and the
// server takes it (RFC 6154 §3). That it exists already is no error.
func (w *Writer) Create(ctx context.Context, mailbox string, use mailproof.SpecialUse) error {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	op := "create folder " + strconv.Quote(mailbox)
	// Creating twice is as good as once, so that it may be tried again.
	return w.link.retry(ctx, func(s *session) error {
		if use != "" && s.caps.has("CREATE-SPECIAL-USE") && validFlag(string(use)) {
			st, err := s.exec(ctx, op, nil, atomArg("CREATE"), s.mailboxArg(mailbox), atomArg("(USE ("+string(use)+"))"))
			if err != nil || st.ok() || st.code == "ALREADYEXISTS" {
				return err
			}
			// The folder matters more than its use, of which there may be one already.
		}
		st, err := s.exec(ctx, op, nil, atomArg("CREATE"), s.mailboxArg(mailbox))
		if err != nil || st.ok() || st.code == "ALREADYEXISTS" {
			return err
		}
		if exists, lerr := s.exists(ctx, mailbox); lerr != nil && !refused(lerr) {
			return lerr
		} else if exists {
			return nil
		}
		return s.masker.refusal(s.info.Address, op, st)
	})
}

// exists reports whether the server lists a mailbox that can be opened.
func (s *session) exists(ctx context.Context, mailbox string) (bool, error) {
	if strings.ContainsAny(mailbox, "*%") {
		_, err := s.status(ctx, mailbox) // LIST would take it for a pattern
		return err == nil, err
	}
	found := false
	_, err := s.require(ctx, "list folders", only("LIST", func(r response) {
		if len(r.values) < 3 || s.names.decode(r.values[2].str) != canonicalInbox(mailbox) {
			return
		}
		found = true
		for _, a := range r.values[0].list {
			if strings.EqualFold(a.str, `\NonExistent`) || strings.EqualFold(a.str, `\Noselect`) {
				found = false
			}
		}
	}), atomArg("LIST"), stringArg(""), s.mailboxArg(mailbox))
	return found, err
}

// Subscribe subscribes to a mailbox.
func (w *Writer) Subscribe(ctx context.Context, mailbox string) error {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	return w.link.retry(ctx, func(s *session) error {
		_, err := s.require(ctx, "subscribe to "+strconv.Quote(mailbox), nil, atomArg("SUBSCRIBE"), s.mailboxArg(mailbox))
		return err
	})
}

// Append adds a message with its flags and INTERNALDATE, and returns the
// UIDVALIDITY and UID that the server says it gave it (RFC 4315), or zeros
// where it says nothing. That is a claim: only reading the destination is
// evidence.
//
// Exactly size octets are taken from body. If there are fewer or more of them,
// or body fails, the connection is closed before the command is complete, so
// that nothing is added, and the error says so. Flags that IMAP has no way of
// writing are left out, \Recent among them.
//
// Append is never repeated by itself. An error of kind ErrConnection,
// ErrProtocol or of the context leaves open whether the message was added. A
// message that the server refuses leaves the connection as it was.
func (w *Writer) Append(ctx context.Context, mailbox string, flags mailproof.Flags, date time.Time, size int64, body io.Reader) (uidvalidity uint32, uid mailproof.UID, err error) {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	s, err := w.link.session(ctx)
	if err != nil {
		return 0, 0, err
	}
	op := "append to " + strconv.Quote(mailbox)
	if size < 0 {
		return 0, 0, fmt.Errorf("%s: a size of %d octets", op, size)
	}
	args := []argument{atomArg("APPEND"), s.mailboxArg(mailbox)}
	st, err := s.require(ctx, op, nil, append(args, appendArgs(flags, date, size, body)...)...)
	if err != nil {
		var body *bodyError
		if errors.As(err, &body) {
			err = fmt.Errorf("%s: given up, nothing was added: %w", op, err)
		}
		return 0, 0, err
	}
	uidvalidity, uid = appendUID(st)
	return uidvalidity, uid, nil
}

// appendArgs writes one message of an APPEND: flags, date, literal. MULTIAPPEND
// (RFC 3502) is a row of them.
func appendArgs(flags mailproof.Flags, date time.Time, size int64, body io.Reader) []argument {
	var args []argument
	if valid := validFlags(flags); len(valid) > 0 {
		args = append(args, atomArg(valid.String()))
	}
	if d, ok := appendDate(date); ok {
		args = append(args, atomArg(quote(d)))
	}
	return append(args, argument{literal: true, body: body, size: size})
}

// appendDate writes a date-time (RFC 9051 §9). ok is false for the zero time
// and what four digits of a year cannot hold: the server then takes its own.
func appendDate(t time.Time) (string, bool) {
	if t.IsZero() || t.Year() < 1 || t.Year() > 9999 {
		return "", false
	}
	if _, offset := t.Zone(); offset%60 != 0 {
		t = t.UTC()
	}
	return t.Format(dateTimeLayout), true
}

// validFlags leaves out what cannot be sent.
func validFlags(flags mailproof.Flags) mailproof.Flags {
	var out mailproof.Flags
	for _, f := range flags {
		if validFlag(f) && !strings.EqualFold(f, `\Recent`) {
			out = append(out, f)
		}
	}
	return out
}

// validFlag reports whether a flag is an atom, or a backslash and an atom (RFC
// 9051 §9, flag).
func validFlag(f string) bool {
	f = strings.TrimPrefix(f, `\`)
	for i := 0; i < len(f); i++ {
		if c := f[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\]`, c) >= 0 {
			return false
		}
	}
	return f != ""
}

// appendUID reads APPENDUID. A set of several UIDs names no single message.
func appendUID(st status) (uidvalidity uint32, uid mailproof.UID) {
	if st.code != "APPENDUID" {
		return 0, 0
	}
	first, second, _ := strings.Cut(st.args, " ")
	v, err := strconv.ParseUint(first, 10, 32)
	if err != nil {
		return 0, 0
	}
	second = strings.TrimSpace(second)
	if a, b, set := strings.Cut(second, ":"); set && a == b {
		second = a
	}
	u, err := strconv.ParseUint(second, 10, 32)
	if err != nil {
		return uint32(v), 0
	}
	return uint32(v), mailproof.UID(u)
}

// StoreFlags adds and removes flags of one message. The mailbox must still
// have the given UIDVALIDITY. Flags that cannot be written are left out.
func (w *Writer) StoreFlags(ctx context.Context, mailbox string, uidvalidity uint32, uid mailproof.UID, add, remove mailproof.Flags) error {
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	op := fmt.Sprintf("store flags of UID %d in %q", uid, mailbox)
	// Setting a flag twice is as good as once, so that it may be tried again.
	return w.link.retry(ctx, func(s *session) error {
		state, err := s.selected(ctx, mailbox)
		if err != nil {
			return err
		}
		if state != uidvalidity {
			return s.uidValidityError(mailbox, uidvalidity, state)
		}
		for _, change := range []struct {
			item  string
			flags mailproof.Flags
		}{{"+FLAGS.SILENT", validFlags(add)}, {"-FLAGS.SILENT", validFlags(remove)}} {
			if len(change.flags) == 0 {
				continue
			}
			_, err := s.require(ctx, op, nil, atomArg("UID STORE"), atomArg(strconv.FormatUint(uint64(uid), 10)),
				atomArg(change.item), atomArg(change.flags.String()))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// selected opens a mailbox for writing, if it is not open already, and returns
// its UIDVALIDITY.
func (s *session) selected(ctx context.Context, mailbox string) (uint32, error) {
	if s.mailbox != mailbox || !s.writable {
		if _, err := s.open(ctx, "SELECT", mailbox); err != nil {
			return 0, err
		}
	}
	return s.uidvalidity, nil
}
