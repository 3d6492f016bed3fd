package imapconn

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailproof/mailproof"
)

// ErrNoUIDPlus says that a server cannot expunge single messages: its EXPUNGE
// would take whatever else is marked as deleted.
var ErrNoUIDPlus = errors.New("the server offers no UIDPLUS (RFC 4315): single messages cannot be expunged")

// Expunge removes exactly the given messages of a mailbox, whose UIDVALIDITY must
// still be the given one, by UID EXPUNGE (RFC 4315 §2.1). It never sends EXPUNGE
// and never closes a mailbox with CLOSE, which would take others along.
//
// It is not repeated by itself. A message that the server would not expunge is
// not left marked as deleted. After an error the mailbox has to be looked at.
func (w *Writer) Expunge(ctx context.Context, mailbox string, uidvalidity uint32, uids []mailproof.UID) error {
	if len(uids) == 0 {
		return nil
	}
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	s, err := w.link.session(ctx)
	if err != nil {
		return err
	}
	if !s.caps.has("UIDPLUS") && !s.caps.has("IMAP4rev2") {
		return ErrNoUIDPlus
	}
	// Opened anew: what was selected may be another mailbox of the same name by now.
	if _, err := s.open(ctx, "SELECT", mailbox); err != nil {
		return err
	}
	if s.uidvalidity != uidvalidity {
		return s.uidValidityError(mailbox, uidvalidity, s.uidvalidity)
	}
	numbers := make([]string, len(uids))
	for i, uid := range uids {
		if uid == 0 {
			return fmt.Errorf("expunge from %q: a message without UID", mailbox)
		}
		numbers[i] = strconv.FormatUint(uint64(uid), 10)
	}
	set := strings.Join(numbers, ",") // no range: nothing between them is meant
	op := "delete from " + strconv.Quote(mailbox)
	if _, err := s.require(ctx, op, nil, atomArg("UID STORE"), atomArg(set), atomArg("+FLAGS.SILENT"), atomArg(`(\Deleted)`)); err != nil {
		return err
	}
	_, err = s.require(ctx, op, nil, atomArg("UID EXPUNGE"), atomArg(set))
	if err == nil || !s.alive() {
		return err
	}
	_, back := s.require(ctx, op, nil, atomArg("UID STORE"), atomArg(set), atomArg("-FLAGS.SILENT"), atomArg(`(\Deleted)`))
	return errors.Join(err, back)
}
