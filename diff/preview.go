package diff

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/mailproof/mailproof"
)

// Headed is an inventory that knows the headers of messages whose bodies were
// not read. The ledger satisfies it.
type Headed interface {
	Inventory
	// EachHeader hands each to f, by Row.ID, in the order of Rows by TierNone. A
	// message may have none, and one that was read, or is not present, may have
	// one.
	EachHeader(ctx context.Context, f func(id int64, h *mailproof.Header) error) error
	// Header returns that of one message; ok is false where there is none.
	Header(ctx context.Context, id int64) (h mailproof.Header, ok bool, err error)
}

// headersOf finds the headers of an inventory.
func headersOf(inv Inventory) (Headed, bool) { return Beneath[Headed](inv) }

// PreviewOptions says how two listings are compared.
type PreviewOptions struct {
	Options
	// SourceSizes and DestinationSizes say what RFC822.SIZE of the two servers
	// is worth. Sizes count where both can be trusted.
	SourceSizes, DestinationSizes mailproof.Calibration
	// MaxExamples bounds Preview.Examples for each kind; zero means 100.
	MaxExamples int
	// OnMessage receives what was found of each message, a source message by
	// its own row, one that the source does not list by the destination's.
	OnMessage func(side mailproof.Side, id int64, kind mailproof.PreviewKind, reasons []mailproof.Reason) error
}

// BuildPreview compares two inventories by what their listings and headers say. It
// makes no verdict: it never sees content.
//
// An identity is T3, or the core header fields together where a message has no
// Message-ID. Both sides are multisets of identities. Within one, messages are
// paired in the mapped folder first, those of equal header before the others,
// and then account-wide in the same way. About a hundred octets are held for
// each message of both sides.
func BuildPreview(ctx context.Context, source, destination Inventory, o PreviewOptions) (mailproof.Preview, error) {
	b := previewer{e: newEngine(ctx, source, destination, o.Options), o: o}
	b.p.Account = cmp.Or(b.e.src.scan.Account, b.e.dst.scan.Account)
	b.p.SourceSizes, b.p.DestinationSizes = o.SourceSizes, o.DestinationSizes
	b.p.SizesCount = o.SourceSizes.Trusted() && o.DestinationSizes.Trusted()
	b.most = cmp.Or(o.MaxExamples, 100)
	b.examples = map[mailproof.PreviewKind]int{}
	b.p.Folders, b.p.Examples = []mailproof.PreviewFolder{}, []mailproof.PreviewExample{} // JSON: lists are never null
	if err := b.run(ctx); err != nil {
		return mailproof.Preview{}, fmt.Errorf("preview: %w", err)
	}
	return b.p, nil
}

// listed is a message as a preview holds it.
type listed struct {
	identity mailproof.Short // zero: none
	core     uint64          // of the core header fields
	notes    uint64          // of the fields beside them
	id       int64
	size     int64
	date     int64
	uid      mailproof.UID
	box      int32
	byHeader bool // it has no Message-ID
	mate     bool // it has a counterpart
}

type previewer struct {
	e        *engine
	o        PreviewOptions
	p        mailproof.Preview
	src, dst []listed
	folders  map[int]*mailproof.PreviewFolder // by destination mailbox, −1 − i of source mailboxes without one
	order    []int
	most     int
	examples map[mailproof.PreviewKind]int
}

func (b *previewer) run(ctx context.Context) (err error) {
	b.folders = map[int]*mailproof.PreviewFolder{}
	for i := range b.e.src.boxes {
		if !b.e.src.out[i] && !silent(&b.e.src.boxes[i]) {
			b.folder(b.place(i))
		}
	}
	for j := range b.e.dst.boxes {
		if !b.e.dst.out[j] && !silent(&b.e.dst.boxes[j]) {
			b.folder(j)
		}
	}
	if b.src, err = b.list(ctx, b.e.src); err != nil {
		return err
	}
	if b.dst, err = b.list(ctx, b.e.dst); err != nil {
		return err
	}
	b.uids()
	for _, side := range [][]listed{b.src, b.dst} {
		slices.SortFunc(side, func(x, y listed) int {
			return cmp.Or(bytes.Compare(x.identity[:], y.identity[:]), cmp.Compare(x.box, y.box), cmp.Compare(x.uid, y.uid))
		})
	}
	if err := b.merge(ctx); err != nil {
		return err
	}
	for _, at := range b.order {
		b.p.Folders = append(b.p.Folders, *b.folders[at])
	}
	return nil
}

// place is the folder in which a source mailbox is looked at.
func (b *previewer) place(box int) int {
	if t := b.e.target[box]; t >= 0 {
		return t
	}
	return -1 - box
}

func (b *previewer) folder(at int) *mailproof.PreviewFolder {
	f := b.folders[at]
	if f == nil {
		f = &mailproof.PreviewFolder{}
		if at < 0 {
			f.Folder = b.e.src.boxes[-1-at].Name
		} else {
			f.Folder = b.e.dst.boxes[at].Name
		}
		b.folders[at] = f
		b.order = append(b.order, at)
	}
	return f
}

// folderOf is the folder of a message.
func (b *previewer) folderOf(s *side, m *listed) *mailproof.PreviewFolder {
	if s == b.e.src {
		return b.folder(b.place(int(m.box)))
	}
	return b.folder(int(m.box))
}

// list reads one side: the headers of what was not read, and of the rest what
// its detail says.
func (b *previewer) list(ctx context.Context, s *side) ([]listed, error) {
	headers := map[int64]listed{}
	if h, ok := headersOf(s.inv); ok {
		err := h.EachHeader(ctx, func(id int64, h *mailproof.Header) error {
			if h.Reason == "" {
				headers[id] = identify(h.T3, h.Fields)
			}
			return ctx.Err()
		})
		if err != nil {
			return nil, err
		}
	}
	var out []listed
	for row, err := range s.rows(ctx, mailproof.TierNone) {
		if err != nil {
			return nil, err
		}
		if s.out[row.Mailbox] {
			continue
		}
		m, known := headers[row.ID]
		if row.State == mailproof.Read {
			whole, err := s.message(ctx, row.ID)
			if err != nil {
				return nil, err
			}
			m, known = identify(row.Hash(mailproof.T3), whole.Fingerprint.Detail.Fields), true
		}
		m.id, m.size, m.date, m.uid, m.box = row.ID, row.Size, unixDate(row.InternalDate), row.UID, int32(row.Mailbox)
		if !known {
			m.identity = mailproof.Short{}
		}
		out = append(out, m)
		f := b.folderOf(s, &m)
		if s == b.e.src {
			b.p.SourceMessages++
			f.SourceMessages++
		} else {
			b.p.DestinationMessages++
			f.DestinationMessages++
		}
	}
	return out, nil
}

// identify sums a header up.
func identify(t3 mailproof.Hash, fields []mailproof.FieldDigest) (m listed) {
	d := mailproof.Detail{Fields: fields}
	var core, notes []byte
	for _, f := range fields {
		h := fieldHash(&d, f.Name)
		if slices.Contains(coreFields, f.Name) {
			core = append(append(core, f.Name...), h[:]...)
		} else {
			notes = append(append(notes, f.Name...), h[:]...)
		}
	}
	m.core, m.notes = sum64(core), sum64(notes)
	switch {
	case !t3.IsZero():
		copy(m.identity[:], t3[:])
	case len(core) > 0:
		m.identity, m.byHeader = mailproof.FieldHash("identity", string(core)), true
	}
	return m
}

func sum64(b []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(b) // a hash.Hash never returns an error
	return h.Sum64()
}

// merge walks both sides by identity.
func (b *previewer) merge(ctx context.Context) error {
	src, dst := b.src, b.dst
	for n := 0; len(src) > 0 || len(dst) > 0; n++ {
		if n%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		var id mailproof.Short
		switch {
		case len(src) == 0:
			id = dst[0].identity
		case len(dst) == 0 || bytes.Compare(src[0].identity[:], dst[0].identity[:]) <= 0:
			id = src[0].identity
		default:
			id = dst[0].identity
		}
		x, y := leadingOf(src, id), leadingOf(dst, id)
		if err := b.identity(src[:x], dst[:y]); err != nil {
			return err
		}
		src, dst = src[x:], dst[y:]
	}
	return nil
}

func leadingOf(list []listed, id mailproof.Short) int {
	n := 0
	for n < len(list) && list[n].identity == id {
		n++
	}
	return n
}

// identity settles the messages of one identity; of those without, nothing is
// known.
func (b *previewer) identity(src, dst []listed) error {
	known := len(src) > 0 && !src[0].identity.IsZero() || len(dst) > 0 && !dst[0].identity.IsZero()
	if known {
		for _, folder := range []bool{true, false} {
			for _, like := range []bool{true, false} {
				if err := b.pair(src, dst, folder, like); err != nil {
					return err
				}
			}
		}
	}
	for i := range src {
		m := &src[i]
		switch {
		case m.mate:
		case !known:
			b.p.Unknown++
			if err := b.found(b.e.src, m, mailproof.PreviewUnknown, nil); err != nil {
				return err
			}
		default:
			b.p.NotListed++
			b.folderOf(b.e.src, m).NotListed++
			if err := b.found(b.e.src, m, mailproof.PreviewNotListed, nil); err != nil {
				return err
			}
		}
	}
	for i := range dst {
		m := &dst[i]
		switch {
		case m.mate:
		case !known:
			b.p.DestinationUnknown++
		default:
			b.p.NotOnSource++
			b.folderOf(b.e.dst, m).NotOnSource++
			if err := b.found(b.e.dst, m, mailproof.PreviewNotOnSource, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// pair pairs what is left of one identity.
func (b *previewer) pair(src, dst []listed, folder, like bool) error {
	heads := classes[uint64]{}
	keys := func(list []listed, place func(int) int) (out []key) {
		for i := range list {
			if m := &list[i]; !m.mate {
				k := key{date: m.date, uid: m.uid, box: m.box, pos: int32(i)}
				if like {
					k.class = heads.of(m.core + 1)
				}
				if folder {
					k.folder = int32(place(int(m.box)))
				}
				out = append(out, k)
			}
		}
		return out
	}
	x := keys(src, func(i int) int { return b.e.target[i] })
	if len(x) == 0 {
		return nil
	}
	y := keys(dst, func(j int) int { return j })
	if len(y) == 0 {
		return nil
	}
	return match(x, y, func(i, j int32) error {
		src[i].mate, dst[j].mate = true, true
		return b.paired(&src[i], &dst[j])
	})
}

// paired compares what is known of two messages of one identity.
func (b *previewer) paired(s, d *listed) error {
	kind := mailproof.PreviewListed
	var reasons []mailproof.Reason
	if b.e.target[s.box] == int(d.box) {
		b.p.Listed++
	} else {
		kind = mailproof.PreviewElsewhere
		b.p.Elsewhere++
		b.folderOf(b.e.src, s).NotListed++
		reasons = append(reasons, mailproof.Reason{Code: ReasonRelocated, Evidence: quote(b.e.src.boxes[s.box].Name) + " → " + quote(b.e.dst.boxes[d.box].Name)})
	}
	if s.byHeader {
		b.p.ByHeader++
	}
	if s.core != d.core {
		kind = mailproof.PreviewHeaderDiffer
		b.p.HeadersDiffer++
		fields, err := b.headerReasons(s, d)
		if err != nil {
			return err
		}
		reasons = append(reasons, fields...)
	} else if s.notes != d.notes {
		b.p.HeadersNoted++
	}
	if s.size != d.size {
		b.p.SizesDiffer++
		if b.p.SizesCount {
			if kind == mailproof.PreviewListed {
				kind = mailproof.PreviewSizeDiffers
			}
			reasons = append(reasons, mailproof.Reason{Code: ReasonSize, Evidence: "RFC822.SIZE: " + sizes(s.size, d.size)})
		}
	}
	return b.found(b.e.src, s, kind, reasons)
}

// headerReasons names the fields that differ, of as many messages as are
// listed by name.
func (b *previewer) headerReasons(s, d *listed) ([]mailproof.Reason, error) {
	if b.examples[mailproof.PreviewHeaderDiffer] >= b.most && b.o.OnMessage == nil {
		return nil, nil
	}
	x, err := b.detail(b.e.src, s)
	if err != nil {
		return nil, err
	}
	y, err := b.detail(b.e.dst, d)
	if err != nil {
		return nil, err
	}
	return headerDamage(&x, &y), nil
}

// detail fetches what is known of one message.
func (b *previewer) detail(s *side, m *listed) (mailproof.Detail, error) {
	if h, ok := headersOf(s.inv); ok {
		head, found, err := h.Header(b.e.ctx, m.id)
		if err != nil || found && head.Reason == "" {
			return mailproof.Detail{MessageID: head.MessageID, Fields: head.Fields}, err
		}
	}
	whole, err := s.message(b.e.ctx, m.id)
	return whole.Fingerprint.Detail, err
}

// found reports on one message and keeps it as an example of what needs
// looking at.
func (b *previewer) found(s *side, m *listed, kind mailproof.PreviewKind, reasons []mailproof.Reason) error {
	if kind != mailproof.PreviewListed {
		if b.examples[kind]++; b.examples[kind] > b.most {
			b.p.Omitted++
		} else {
			d, err := b.detail(s, m)
			if err != nil {
				return err
			}
			b.p.Examples = append(b.p.Examples, mailproof.PreviewExample{
				Kind: kind, Meaning: kind.Meaning(), Side: s.which, Folder: s.boxes[m.box].Name, UID: m.uid, MessageID: d.MessageID, Reasons: append([]mailproof.Reason{}, reasons...),
			})
		}
	}
	if b.o.OnMessage == nil {
		return nil
	}
	return b.o.OnMessage(s.which, m.id, kind, reasons)
}

// uids compares the UIDs of mapped folders that have one UIDVALIDITY, as some
// tools keep both: only then does a UID name the same message on both sides.
func (b *previewer) uids() {
	of := func(list []listed, place func(int) int) map[int][]listed {
		out := map[int][]listed{}
		for i := range list {
			at := place(int(list[i].box))
			out[at] = append(out[at], list[i])
		}
		return out
	}
	src, dst := of(b.src, b.place), of(b.dst, func(j int) int { return j })
	from := map[int]int{} // destination → its only source; −1: several
	for i, t := range b.e.target {
		if t < 0 {
			continue
		}
		if _, more := from[t]; more {
			from[t] = -1
			continue
		}
		from[t] = i
	}
	for t, i := range from {
		f := b.folders[t]
		if f == nil || i < 0 || b.e.src.boxes[i].Before.UIDValidity == 0 || b.e.src.boxes[i].Before.UIDValidity != b.e.dst.boxes[t].Before.UIDValidity {
			continue
		}
		onSource, onDestination, kept := compareUIDs(src[t], dst[t])
		if kept {
			f.SameUIDs, f.UIDsOnSource, f.UIDsOnDestination = true, onSource, onDestination
		}
	}
}

// compareUIDs counts the UIDs that one side has only. kept is false where a UID
// that both have names different messages, or no more than half of them are
// common: two servers that number from 1 agree on a few by accident.
func compareUIDs(x, y []listed) (onSource, onDestination int64, kept bool) {
	common, fewest := 0, min(len(x), len(y))
	for _, list := range [][]listed{x, y} {
		slices.SortFunc(list, func(a, b listed) int { return cmp.Compare(a.uid, b.uid) })
	}
	for len(x) > 0 || len(y) > 0 {
		switch {
		case len(y) == 0 || len(x) > 0 && x[0].uid < y[0].uid:
			onSource++
			x = x[1:]
		case len(x) == 0 || y[0].uid < x[0].uid:
			onDestination++
			y = y[1:]
		case x[0].identity != y[0].identity:
			return 0, 0, false
		default:
			common++
			x, y = x[1:], y[1:]
		}
	}
	return onSource, onDestination, 2*common > fewest
}
