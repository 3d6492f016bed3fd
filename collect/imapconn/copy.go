package imapconn

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/mailproof/mailproof"
)

// CopyMessages puts messages of one mailbox, whose UIDVALIDITY must still be the
// given one, into another one on the server, by UID COPY (RFC 9051 §6.4.7): no
// octet of them is sent again, and flags and INTERNALDATE go along. The receipts
// are in the order of the UIDs, as those of [Writer.StartAppend] are.
//
// A server that says no has copied nothing. One that says yes passes in silence
// over UIDs that are not there any more (RFC 9051 §6.4.9), so that only what
// COPYUID names (RFC 4315 §3) was certainly copied; where it says nothing, the
// fate of all is unknown. Nothing is repeated by itself.
func (w *Writer) CopyMessages(ctx context.Context, mailbox string, uidvalidity uint32, uids []mailproof.UID, target string) ([]mailproof.Receipt, error) {
	receipts := make([]mailproof.Receipt, len(uids))
	all := func(fate mailproof.Fate, err error) []mailproof.Receipt {
		for i := range receipts {
			receipts[i] = mailproof.Receipt{Fate: fate, Err: err}
		}
		return receipts
	}
	w.link.mu.Lock()
	defer w.link.mu.Unlock()
	s, err := w.link.session(ctx)
	if err != nil {
		return all(mailproof.FateNotSent, nil), err
	}
	open, err := s.selected(ctx, mailbox)
	switch {
	case err != nil && refused(err):
		return all(mailproof.FateRefused, err), nil
	case err != nil:
		return all(mailproof.FateNotSent, nil), err
	case open != uidvalidity:
		return all(mailproof.FateRefused, s.uidValidityError(mailbox, uidvalidity, open)), nil
	}
	op := fmt.Sprintf("copy from %q to %q", mailbox, target)
	st, err := s.require(ctx, op, nil, atomArg("UID COPY"), atomArg(writtenSet(uids)), s.mailboxArg(target))
	switch {
	case err != nil && refused(err):
		return all(mailproof.FateRefused, err), nil
	case err != nil:
		return all(mailproof.FateUnknown, nil), err
	}
	validity, into := copyUIDs(st, len(uids))
	if into == nil {
		return all(mailproof.FateUnknown, nil), nil
	}
	for i, uid := range uids {
		receipts[i].Fate = mailproof.FateNotSent
		if to := into[uid]; to != 0 {
			receipts[i] = mailproof.Receipt{Fate: mailproof.FateAdded, UIDValidity: validity, UID: to}
		}
	}
	return receipts, nil
}

// writtenSet writes a set without ranges: nothing between them is meant.
func writtenSet(uids []mailproof.UID) string {
	var b strings.Builder
	for i, uid := range uids {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(strconv.FormatUint(uint64(uid), 10))
	}
	return b.String()
}

// copyUIDs reads COPYUID: which message became which. It is nil where there is
// none, or one that cannot be the answer to a copy of so many messages.
func copyUIDs(st status, most int) (validity uint32, into map[mailproof.UID]mailproof.UID) {
	fields := strings.Fields(st.args)
	if st.code != "COPYUID" || len(fields) != 3 {
		return 0, nil
	}
	v, err := strconv.ParseUint(fields[0], 10, 32)
	from, okFrom := uidList(fields[1], most)
	to, okTo := uidList(fields[2], most)
	if err != nil || v == 0 || !okFrom || !okTo || len(from) != len(to) {
		return 0, nil
	}
	into = make(map[mailproof.UID]mailproof.UID, len(from))
	for i := range from {
		into[from[i]] = to[i]
	}
	return uint32(v), into
}

// uidList reads a set of at most so many UIDs, in its order (RFC 4315 §4: a range
// counts up, whichever end stands first).
func uidList(text string, most int) (list []mailproof.UID, ok bool) {
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, ":")
		if !isRange {
			last = first
		}
		a, err1 := strconv.ParseUint(first, 10, 32)
		b, err2 := strconv.ParseUint(last, 10, 32)
		a, b = min(a, b), max(a, b)
		if err1 != nil || err2 != nil || a == 0 || b-a >= uint64(most-len(list)) {
			return nil, false
		}
		for uid := a; uid <= b; uid++ {
			list = append(list, mailproof.UID(uid))
		}
	}
	return list, true
}
