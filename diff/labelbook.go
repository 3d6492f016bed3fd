package diff

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mailproof/mailproof"
)

// Labelled is an inventory that knows the labels of Gmail, X-GM-LABELS. The
// ledger satisfies it.
type Labelled interface {
	Inventory
	// EachLabels hands the labels of each message that has some to f, by Row.ID,
	// in the order of Rows by TierNone, without the one whose mailbox the message
	// lies in. A message that is not present may be among them.
	EachLabels(ctx context.Context, f func(id int64, labels []string) error) error
}

// Beneath finds what an inventory can do beside [Inventory], through whatever is
// wrapped around it and says so by a method Unwrap.
func Beneath[T any](inv Inventory) (can T, ok bool) {
	for {
		if can, ok = inv.(T); ok {
			return can, true
		}
		w, wraps := inv.(interface{ Unwrap() Inventory })
		if !wraps {
			return can, false
		}
		inv = w.Unwrap()
	}
}

// labelBook knows the labels whose folders IMAP does not show. Those whose
// folders it shows are compared as mailboxes.
type labelBook struct {
	rules  Rules
	names  []string       // of labels, as the source has them, or of a folder as the destination would
	index  map[string]int // labelKey → index into names
	places map[int][]int  // label → destination mailboxes that stand for it
	wanted []uint32       // by number of a source message: 1 + index into sets; nil: no message has such a label
	sets   [][]int        // of labels
	absent map[int]int    // source mailbox whose counterpart the destination does not list → label
	held   map[labelled]struct{}
}

// labelled is a message, by its content, under a label.
type labelled struct {
	content
	label int
}

// labelUses are the labels of Gmail itself that are folders. \Inbox is always
// listed. \Starred is the flag \Flagged and compared as such; \Important is what
// Gmail guesses, and \Muted and others are no places.
var labelUses = map[string]mailproof.SpecialUse{
	`\sent`: mailproof.UseSent, `\draft`: mailproof.UseDrafts, `\drafts`: mailproof.UseDrafts,
	`\trash`: mailproof.UseTrash, `\spam`: mailproof.UseJunk, `\junk`: mailproof.UseJunk,
}

// labelKey is what two labels that are one have in common: the system's own have
// no case.
func labelKey(name string) string {
	if strings.HasPrefix(name, `\`) {
		return strings.ToLower(name)
	}
	return name
}

// isPlace reports whether a label is one that a message can be filed under.
func isPlace(label string) bool {
	return !strings.HasPrefix(label, `\`) || labelUses[labelKey(label)] != ""
}

// standsFor reports whether a mailbox is the folder of a label.
func standsFor(m mailproof.Mailbox, label string) bool {
	if use := labelUses[labelKey(label)]; use != "" {
		return roleOf(m) == use
	}
	return m.Name == label || strings.Join(m.Path(), "/") == label
}

// readLabels makes the book. Of the source four octets are kept for each message
// once some message has a label that IMAP does not show; of the destination the
// content of those messages that have such a label or lie in its folder.
func (e *engine) readLabels() error {
	b := &labelBook{rules: *e.labelRules, index: map[string]int{}, places: map[int][]int{}, absent: map[int]int{}, held: map[labelled]struct{}{}}
	if err := e.sourceLabels(b); err != nil {
		return err
	}
	dst, known := Beneath[Labelled](e.dst.inv)
	if known {
		e.absentFolders(b)
	}
	if len(b.names) == 0 {
		return nil
	}
	e.book = b
	return e.destinationLabels(b, dst, known)
}

// name numbers a label and finds the destination mailboxes that stand for it.
func (e *engine) name(b *labelBook, label string) int {
	key := labelKey(label)
	if n, ok := b.index[key]; ok {
		return n
	}
	n := len(b.names)
	b.names, b.index[key] = append(b.names, label), n
	mapped, _, byRule := b.rules.mapped(mailproof.Mailbox{Name: label, Separator: "/"})
	for j, box := range e.dst.boxes {
		if !box.NoSelect && (standsFor(box.Mailbox, label) || byRule && standsFor(box.Mailbox, mapped)) {
			b.places[n] = append(b.places[n], j)
		}
	}
	if byRule {
		b.index[labelKey(mapped)] = n // the destination's label of that name
	}
	return n
}

// sourceLabels finds the messages with labels whose folder the source does not
// list. A folder that a rule leaves out is listed.
func (e *engine) sourceLabels(b *labelBook) error {
	src, ok := Beneath[Labelled](e.src.inv)
	if !ok {
		return nil
	}
	shown := map[string]bool{}
	isShown := func(label string) bool {
		is, ok := shown[label]
		if !ok {
			is = slices.ContainsFunc(e.src.boxes, func(m mailproof.MailboxScan) bool { return !m.NoSelect && standsFor(m.Mailbox, label) })
			shown[label] = is
		}
		return is
	}
	numbers := map[string]uint32{}
	return src.EachLabels(e.ctx, func(id int64, labels []string) error {
		i, ok := e.src.ids.of(id)
		if !ok {
			return e.ctx.Err()
		}
		var set []int
		for _, label := range labels {
			if isPlace(label) && !isShown(label) {
				set = append(set, e.name(b, label))
			}
		}
		if len(set) == 0 {
			return e.ctx.Err()
		}
		key := fmt.Sprint(set)
		n, ok := numbers[key]
		if !ok {
			b.sets = append(b.sets, set)
			n = uint32(len(b.sets))
			numbers[key] = n
		}
		if b.wanted == nil {
			b.wanted = make([]uint32, e.src.ids.n)
		}
		b.wanted[i] = n
		return e.ctx.Err()
	})
}

// absentFolders are the source's mailboxes whose counterpart may be a label that
// the destination hides.
func (e *engine) absentFolders(b *labelBook) {
	for i, box := range e.src.boxes {
		if e.src.out[i] || box.NoSelect || e.target[i] >= 0 {
			continue
		}
		if name, ok := e.folders.Target(box.Name); ok {
			b.absent[i] = e.name(b, name)
		}
	}
}

// destinationLabels finds what the destination has under the labels of the book.
func (e *engine) destinationLabels(b *labelBook, dst Labelled, known bool) error {
	carried := map[int][]int{} // number of a message → labels
	if known {
		err := dst.EachLabels(e.ctx, func(id int64, labels []string) error {
			i, ok := e.dst.ids.of(id)
			for _, label := range labels {
				if n, wanted := b.index[labelKey(label)]; ok && wanted {
					carried[i] = append(carried[i], n)
				}
			}
			return e.ctx.Err()
		})
		if err != nil {
			return err
		}
	}
	of := map[int][]int{} // mailbox → labels
	for n, boxes := range b.places {
		for _, j := range boxes {
			of[j] = append(of[j], n)
		}
	}
	if len(carried) == 0 && len(of) == 0 {
		return nil
	}
	for row, err := range e.dst.readable(e.ctx, mailproof.TierNone, false) {
		if err != nil {
			return err
		}
		i, err := e.dst.dense(row)
		if err != nil {
			return err
		}
		for _, labels := range [][]int{carried[i], of[row.Mailbox]} {
			for _, n := range labels {
				b.held[labelled{contentOf(row), n}] = struct{}{}
			}
		}
	}
	return nil
}

// missingLabels names the labels of a source message that its counterpart, and
// whatever else on the destination has its content, lacks. It says nothing
// about a label whose folder both sides list.
func (e *engine) missingLabels(p *pair) (*mailproof.Reason, error) {
	b := e.book
	if b == nil || b.wanted == nil {
		return nil, nil
	}
	i, err := e.src.dense(p.src)
	if err != nil || b.wanted[i] == 0 {
		return nil, err
	}
	var names []string
	for _, n := range b.sets[b.wanted[i]-1] {
		if !slices.Contains(b.places[n], p.dst.Mailbox) && !b.has(p.src, n) && !b.has(p.dst, n) {
			names = append(names, quote(b.names[n]))
		}
	}
	if names == nil {
		return nil, nil
	}
	return &mailproof.Reason{Code: ReasonLabel, Evidence: "the source has it under " + some(names) + ", the destination does not"}, nil
}

// has reports whether the destination has the content of a message under a
// label.
func (b *labelBook) has(r *mailproof.Row, label int) bool {
	c := contentOf(r)
	_, ok := b.held[labelled{c, label}]
	return ok && c.tier != mailproof.TierNone
}

// hiddenLabel reports that a source message without counterpart lies, on the
// destination, under a label whose folder IMAP does not show there.
func (e *engine) hiddenLabel(r *mailproof.Row) (*mailproof.Reason, bool) {
	if e.book == nil {
		return nil, false
	}
	n, absent := e.book.absent[r.Mailbox]
	if !absent || !e.book.has(r, n) {
		return nil, false
	}
	return &mailproof.Reason{Code: ReasonLabelHidden, Evidence: "the destination has the message under the label " + quote(e.book.names[n]) + ", whose folder IMAP does not show"}, true
}
