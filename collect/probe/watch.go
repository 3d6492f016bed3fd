package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// Mailboxes is one side of an account, to be looked at. The reader of the
// imapconn room is one.
type Mailboxes interface {
	Mailboxes(ctx context.Context) ([]mailproof.Mailbox, error)
	Examine(ctx context.Context, mailbox string) (mailproof.MailboxState, error)
	Metadata(ctx context.Context, yield func(mailproof.Metadata) error) error
	Bodies(ctx context.Context, want []mailproof.Metadata, read func(uid mailproof.UID, size int64, body io.Reader) error) (unread map[mailproof.UID]string, err error)
}

// Bounds of what one look reads: a probe is small, and came last.
const (
	maxCandidates = 200
	maxSize       = 1 << 20 // octets of a message that may be the probe
	maxHeader     = 128 << 10
)

// Mark is what an account held before a message was sent: what is newer is
// looked at, and nothing else.
type Mark struct {
	states map[string]mailproof.MailboxState
}

// NewMark notes the state of every mailbox. One that cannot be opened is left
// out.
func NewMark(ctx context.Context, m Mailboxes) (*Mark, error) {
	boxes, err := m.Mailboxes(ctx)
	if err != nil {
		return nil, err
	}
	mark := &Mark{states: map[string]mailproof.MailboxState{}}
	for _, b := range boxes {
		if b.NoSelect {
			continue
		}
		state, err := m.Examine(ctx, b.Name)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			mark.states[b.Name] = state
		}
	}
	if len(mark.states) == 0 {
		return nil, errors.New("no folder can be opened")
	}
	return mark, nil
}

// Look returns the mailbox in which the message is, empty where it is in none.
// Unless everywhere is set, only INBOX and the mailboxes with a special use are
// looked at: mail is delivered there, if no filter puts it elsewhere.
func (k *Mark) Look(ctx context.Context, m Mailboxes, message Message, everywhere bool) (mailbox string, err error) {
	boxes, err := m.Mailboxes(ctx)
	if err != nil {
		return "", err
	}
	for _, b := range boxes {
		if b.NoSelect || !everywhere && b.SpecialUse == "" && !strings.EqualFold(b.Name, "INBOX") {
			continue
		}
		found, err := k.lookInto(ctx, m, b.Name, message)
		if found {
			return b.Name, nil
		}
		if err != nil {
			return "", err
		}
	}
	return "", nil
}

func (k *Mark) lookInto(ctx context.Context, m Mailboxes, mailbox string, message Message) (bool, error) {
	state, err := m.Examine(ctx, mailbox)
	if err != nil {
		return false, err
	}
	first := mailproof.UID(1)
	if before, ok := k.states[mailbox]; ok && before.UIDValidity == state.UIDValidity {
		if first = before.UIDNext; state.UIDNext != 0 && state.UIDNext == before.UIDNext {
			return false, nil
		}
	}
	var want []mailproof.Metadata
	err = m.Metadata(ctx, func(md mailproof.Metadata) error {
		if md.UID >= first && md.Size <= maxSize {
			want = append(want, md)
			if len(want) > maxCandidates {
				want = slices.Delete(want, 0, 1)
			}
		}
		return nil
	})
	if err != nil || len(want) == 0 {
		return false, err
	}
	found := false
	_, err = m.Bodies(ctx, want, func(_ mailproof.UID, _ int64, body io.Reader) error {
		if found {
			return nil
		}
		id, err := messageID(body)
		found = err == nil && id == message.ID
		return err
	})
	return found, err
}

// messageID reads the Message-ID of a header; empty where there is none. What
// stands behind it is left unread. The error is one of the reader.
func messageID(body io.Reader) (string, error) {
	r := bufio.NewReader(io.LimitReader(body, maxHeader))
	for folded := false; ; {
		line, err := r.ReadString('\n')
		text := strings.TrimRight(line, "\r\n")
		name, value, ok := strings.Cut(text, ":")
		switch {
		case err != nil && !errors.Is(err, io.EOF):
			return "", err
		case text == "":
			return "", nil
		case folded && (text[0] == ' ' || text[0] == '\t'):
			return strings.TrimSpace(text), nil
		case ok && strings.EqualFold(strings.TrimRight(name, " \t"), "Message-ID"):
			if value = strings.TrimSpace(value); value != "" {
				return value, nil
			}
			folded = true
		default:
			folded = false
		}
		if err != nil {
			return "", nil
		}
	}
}
