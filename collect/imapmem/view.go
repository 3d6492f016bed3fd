package imapmem

import (
	"fmt"
	"slices"

	mailproof "github.com/mailproof/mailproof"
)

// view is a selected mailbox as one connection has been told of it: its
// sequence numbers (RFC 9051 §2.3.1.2) change only when the client is told.
type view struct {
	box      *mailbox
	readOnly bool
	messages []*message
	// What the client knows, as counters of the mailbox.
	expunges, changes, modseq uint64
}

// newView is called with the account locked.
func newView(b *mailbox, readOnly bool) *view {
	return &view{box: b, readOnly: readOnly, messages: slices.Clone(b.messages), expunges: b.expunges, changes: b.changes, modseq: b.modseq}
}

// noSync names the commands during which no EXPUNGE may be sent, because the
// client's sequence numbers are in use (RFC 9051 §7.5.1), and those that have
// nothing to do with the mailbox they leave or enter.
var noSync = map[string]bool{
	"FETCH": true, "STORE": true, "SEARCH": true, "SELECT": true, "EXAMINE": true, "CLOSE": true, "UNSELECT": true, "LOGOUT": true,
}

// sync tells the client what others did to the selected mailbox.
func (c *conn) sync() {
	if c.account == nil || c.box == nil {
		return
	}
	c.account.mu.Lock()
	updates := c.box.updates(c.condstore)
	c.account.mu.Unlock()
	for _, u := range updates {
		c.untagged("%s", u)
	}
}

// updates brings the view up to date and returns the responses that say so.
// The account is locked.
func (v *view) updates(condstore bool) []string {
	var out []string
	if v.expunges != v.box.expunges {
		v.expunges = v.box.expunges
		kept := v.messages[:0]
		gone := 0
		for i, m := range v.messages {
			if m.expunged {
				out = append(out, fmt.Sprintf("%d EXPUNGE", i+1-gone))
				gone++
				continue
			}
			kept = append(kept, m)
		}
		v.messages = kept
	}
	out = append(out, v.flagUpdates(condstore)...)
	if n := v.arrivals(); n > 0 {
		v.messages = append(v.messages, v.box.messages[len(v.box.messages)-n:]...)
		out = append(out, fmt.Sprintf("%d EXISTS", len(v.messages)))
	}
	v.modseq = v.box.modseq
	return out
}

// flagUpdates returns FETCH responses for flags that others changed.
func (v *view) flagUpdates(condstore bool) []string {
	if v.changes == v.box.changes {
		return nil
	}
	v.changes = v.box.changes
	var out []string
	for i, m := range v.messages {
		if m.modseq <= v.modseq || m.expunged {
			continue
		}
		text := fmt.Sprintf("%d FETCH (UID %d FLAGS %s", i+1, m.uid, m.flags)
		if condstore {
			text += fmt.Sprintf(" MODSEQ (%d)", m.modseq)
		}
		out = append(out, text+")")
	}
	return out
}

// arrivals counts the messages that the client has not been told of.
func (v *view) arrivals() int {
	var last mailproof.UID
	if n := len(v.messages); n > 0 {
		last = v.messages[n-1].uid
	}
	i, found := slices.BinarySearchFunc(v.box.messages, last, byUID)
	if found {
		i++
	}
	return len(v.box.messages) - i
}

// pick returns the indexes into messages that a set names, ascending and each
// once. A UID that is not there is passed over (RFC 9051 §6.4.9); a sequence
// number that is not there is an error.
func (v *view) pick(set []span, uid bool) ([]int, bool) {
	chosen := make([]bool, len(v.messages))
	n := 0
	for _, s := range set {
		low, high, valid := v.bounds(s, uid)
		if !valid {
			return nil, false
		}
		for i := low; i < high; i++ {
			if !chosen[i] {
				chosen[i] = true
				n++
			}
		}
	}
	out := make([]int, 0, n)
	for i, c := range chosen {
		if c {
			out = append(out, i)
		}
	}
	return out, true
}

// bounds turns a span into indexes [low, high).
func (v *view) bounds(s span, uid bool) (low, high int, valid bool) {
	count := uint32(len(v.messages))
	if !uid {
		if s.high == star {
			s.high = count
		}
		if s.low == star {
			s.low = count
		}
		s.low, s.high = min(s.low, s.high), max(s.low, s.high)
		if s.low == 0 || s.high > count {
			return 0, 0, false
		}
		return int(s.low) - 1, int(s.high), true
	}
	if count == 0 {
		return 0, 0, true
	}
	last := uint32(v.messages[count-1].uid)
	if s.high == star {
		s.high = last
	}
	if s.low == star {
		s.low = last
	}
	s.low, s.high = min(s.low, s.high), max(s.low, s.high)
	low, _ = slices.BinarySearchFunc(v.messages, mailproof.UID(s.low), byUID)
	high, found := slices.BinarySearchFunc(v.messages, mailproof.UID(s.high), byUID)
	if found {
		high++
	}
	return low, high, true
}
