package imapconn

import (
	"context"
	"strconv"
	"strings"

	"github.com/mailproof/mailproof"
)

// open opens a mailbox with EXAMINE (read-only) or SELECT (RFC 9051 §6.3.2,
// §6.3.3) and returns its state.
func (s *session) open(ctx context.Context, verb, mailbox string) (mailproof.MailboxState, error) {
	o := s.opening(verb, mailbox)
	st, err := s.exec(ctx, o.op, o.untagged, o.args...)
	if err != nil {
		return o.state, err
	}
	return o.end(st)
}

// opening is an EXAMINE or SELECT.
type opening struct {
	request
	s             *session
	verb, mailbox string
	state         mailproof.MailboxState
	seen          bool // EXISTS was
}

// opening begins none, but says what to send. Whatever was open is closed by it,
// also where it is refused (RFC 9051 §6.3.2).
func (s *session) opening(verb, mailbox string) *opening {
	s.mailbox = ""
	o := &opening{s: s, verb: verb, mailbox: mailbox}
	o.request = request{op: "open folder " + strconv.Quote(mailbox), untagged: o.told, args: []argument{atomArg(verb), s.mailboxArg(mailbox)}}
	if s.caps.has("CONDSTORE") {
		o.args = append(o.args, atomArg("(CONDSTORE)"))
	}
	return o
}

// told takes what the server says of the mailbox while it opens it.
func (o *opening) told(r response) {
	if r.name == "EXISTS" {
		o.state.Exists, o.seen = r.number, true
	}
	if r.status == nil {
		return
	}
	n, err := strconv.ParseUint(r.status.args, 10, 64)
	if err != nil {
		return
	}
	switch r.status.code {
	case "UIDVALIDITY":
		o.state.UIDValidity = uint32(n)
	case "UIDNEXT":
		o.state.UIDNext = mailproof.UID(n)
	case "HIGHESTMODSEQ":
		o.state.HighestModSeq = n
	}
}

// end takes the completion.
func (o *opening) end(st status) (mailproof.MailboxState, error) {
	if !st.ok() {
		refusal := o.s.masker.refusal(o.s.info.Address, o.op, st)
		if refusal.Kind == mailproof.ErrRefused && st.typ == "NO" {
			refusal.Kind = mailproof.ErrNoMailbox
		}
		return o.state, refusal
	}
	if !o.seen || o.state.UIDValidity == 0 {
		return o.state, serverFailure(o.s.masker, o.s.info.Address, o.op, malformed("opened, but the server gives no EXISTS or no UIDVALIDITY"))
	}
	o.s.mailbox, o.s.uidvalidity, o.s.writable = o.mailbox, o.state.UIDValidity, o.verb == "SELECT"
	return o.state, nil
}

// status asks for the state of a mailbox that need not be open (RFC 9051
// §6.3.11). STATUS is not meant for the open one: Courier tells what it was
// when it was opened.
func (s *session) status(ctx context.Context, mailbox string) (mailproof.MailboxState, error) {
	if s.mailbox == mailbox {
		return s.open(ctx, "EXAMINE", mailbox)
	}
	var state mailproof.MailboxState
	seen := false
	op := "ask for the state of folder " + strconv.Quote(mailbox)
	_, err := s.require(ctx, op, only("STATUS", func(r response) {
		if name, told, ok := s.stateOf(r); ok && name == canonicalInbox(mailbox) {
			state, seen = told, true
		}
	}), atomArg("STATUS"), s.mailboxArg(mailbox), atomArg("("+s.caps.statusItems()+")"))
	if err != nil {
		return state, err
	}
	if !seen {
		return state, serverFailure(s.masker, s.info.Address, op, malformed("the server answers OK and gives no state"))
	}
	return state, nil
}

// statusItems are what a state consists of.
func (c capabilities) statusItems() string {
	if c.has("CONDSTORE") {
		return "MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ"
	}
	return "MESSAGES UIDNEXT UIDVALIDITY"
}

// stateOf reads a STATUS response (RFC 9051 §7.3.4); ok is false where it does
// not tell a number of messages and a UIDVALIDITY.
func (s *session) stateOf(r response) (name string, state mailproof.MailboxState, ok bool) {
	if len(r.values) < 2 || r.values[0].kind == list {
		return "", state, false
	}
	counted := false
	pairs := r.values[len(r.values)-1].list
	for i := 0; i+1 < len(pairs); i += 2 {
		n, ok := pairs[i+1].number()
		if !ok {
			continue
		}
		switch strings.ToUpper(pairs[i].str) {
		case "MESSAGES":
			state.Exists, counted = uint32(n), true
		case "UIDNEXT":
			state.UIDNext = mailproof.UID(n)
		case "UIDVALIDITY":
			state.UIDValidity = uint32(n)
		case "HIGHESTMODSEQ":
			state.HighestModSeq = n
		}
	}
	return s.names.decode(r.values[0].str), state, counted && state.UIDValidity != 0
}

func canonicalInbox(name string) string {
	if strings.EqualFold(name, "INBOX") {
		return "INBOX"
	}
	return name
}

// quota returns the storage quota of the INBOX in octets (RFC 9208). ok is
// false where there is none.
func (s *session) quota(ctx context.Context) (used, limit int64, ok bool, err error) {
	if !s.caps.has("QUOTA") {
		return 0, 0, false, nil
	}
	_, err = s.require(ctx, "ask for the quota", only("QUOTA", func(r response) {
		if len(r.values) < 2 {
			return
		}
		res := r.values[len(r.values)-1].list
		for i := 0; i+2 < len(res); i += 3 {
			u, uok := res[i+1].number()
			l, lok := res[i+2].number()
			if !uok || !lok || !strings.EqualFold(res[i].str, "STORAGE") || l > 1<<52 || u > 1<<52 {
				continue
			}
			// STORAGE counts units of 1024 octets (RFC 9208 §5.1). Of several
			// roots, the one with the least room decides.
			if !ok || int64(l)*1024-int64(u)*1024 < limit-used {
				used, limit, ok = int64(u)*1024, int64(l)*1024, true
			}
		}
	}), atomArg("GETQUOTAROOT"), stringArg("INBOX"))
	if err != nil && refused(err) {
		return 0, 0, false, nil // offered, but not for this account
	}
	return used, limit, ok, err
}
