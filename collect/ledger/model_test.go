package ledger

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/mailproof/mailproof"
)

// The property: whatever happens on a server and whatever becomes of the
// passes, the ledger tells of every pass, then and for ever after, what a naive
// model in memory tells.
func TestModel(t *testing.T) {
	seeds, passes := 10, 10
	if testing.Short() || raced {
		seeds, passes = 2, 3
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			newModel(t, uint64(seed)).run(passes)
		})
	}
}

// onServer is one message as the server of the test has it.
type onServer struct {
	flags    mailproof.Flags
	date     time.Time
	size     int64
	gmail    uint64
	body     int // which body
	readable bool
}

type onServerBox struct {
	uidvalidity uint32
	next        mailproof.UID
	messages    map[mailproof.UID]onServer
	gone        bool
}

// noted is one message as the model says that the ledger must have it.
type noted struct {
	message mailproof.Message // with the latest flags and reading
	first   mailproof.PassID
	present bool
}

type noteBox map[mailproof.UID]noted

type boxKey struct {
	name        string
	uidvalidity uint32
}

// shot is what an inventory of one pass must say for ever.
type shot struct {
	scan  mailproof.Scan
	boxes []mailproof.MailboxScan
	notes []noteBox // by index of the mailbox
	base  map[boxKey]noteBox
}

type model struct {
	t       *testing.T
	ctx     context.Context
	rng     *rand.Rand
	path    string
	l       *Ledger
	account string
	side    mailproof.Side
	gmail   bool // the server has X-GM-MSGID
	server  map[string]*onServerBox
	notes   map[boxKey]noteBox
	shots   map[mailproof.PassID]shot
	base    map[boxKey]noteBox // as the last finished copy found it
	passes  []mailproof.PassID
}

func newModel(t *testing.T, seed uint64) *model {
	m := &model{t: t, ctx: t.Context(), rng: rand.New(rand.NewPCG(seed, 7)), path: filepath.Join(t.TempDir(), "odd ?#% name.db"),
		account: "anna@example.com", side: mailproof.Source, server: map[string]*onServerBox{}, notes: map[boxKey]noteBox{}, shots: map[mailproof.PassID]shot{}}
	m.gmail = seed%2 == 0
	if seed%3 == 0 {
		m.side = mailproof.Destination
	}
	for _, name := range []string{"INBOX", "Sent", "日本語/ü", "100%_\"'"} {
		m.server[name] = &onServerBox{uidvalidity: uint32(1 + m.rng.IntN(5)), next: 1, messages: map[mailproof.UID]onServer{}}
	}
	m.open()
	t.Cleanup(func() { m.must(m.l.Close()) })
	return m
}

func (m *model) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) open() {
	var err error
	m.l, err = Open(m.ctx, m.path)
	m.must(err)
}

func (m *model) run(passes int) {
	for range passes {
		m.mutate()
		m.pass(m.rng.IntN(4) == 0, m.rng.IntN(4) == 0)
		if m.rng.IntN(3) == 0 {
			m.copyPass()
		}
		if m.rng.IntN(4) == 0 {
			m.must(m.l.Close())
			m.open()
		}
		m.compare(m.l, m.passes[len(m.passes)-1])
		m.compare(m.l, m.passes[m.rng.IntN(len(m.passes))])
	}
	ro, err := OpenReadOnly(m.ctx, m.path)
	m.must(err)
	for _, id := range m.passes {
		m.compare(ro, id)
	}
	m.must(ro.Close())
}

var someFlags = []mailproof.Flags{nil, mailproof.NewFlags(`\Seen`), mailproof.NewFlags(`\Seen`, "$Forwarded"), mailproof.NewFlags(`\Deleted`, "a%b")}

func (m *model) names() []string { return slices.Sorted(maps.Keys(m.server)) }

// mutate lets the server live on.
func (m *model) mutate() {
	for _, name := range m.names() {
		b := m.server[name]
		if m.rng.IntN(12) == 0 {
			b.gone = !b.gone
		}
		if m.rng.IntN(12) == 0 {
			b.uidvalidity += uint32(1 + m.rng.IntN(2))
			b.messages, b.next = map[mailproof.UID]onServer{}, 1
		}
		for range m.rng.IntN(90) {
			zone := time.FixedZone("", (m.rng.IntN(25)-12)*3600)
			s := onServer{flags: someFlags[m.rng.IntN(len(someFlags))], date: time.Unix(int64(m.rng.IntN(3000))-1000, 0).In(zone), size: int64(m.rng.IntN(5000)), body: m.rng.IntN(60), readable: m.rng.IntN(9) != 0}
			if m.rng.IntN(20) == 0 {
				s.date = time.Time{}
			}
			if m.gmail && m.rng.IntN(5) > 0 {
				s.gmail = m.rng.Uint64() // half of them beyond what SQLite has numbers for
			}
			b.messages[b.next] = s
			b.next += mailproof.UID(1 + m.rng.IntN(3))
			if m.rng.IntN(200) == 0 && b.next < 1<<31 {
				b.next += 1 << 31 // beyond what fits a signed number of 32 bits
			}
		}
		for _, uid := range slices.Sorted(maps.Keys(b.messages)) {
			s := b.messages[uid]
			switch m.rng.IntN(40) {
			case 0:
				delete(b.messages, uid)
				continue
			case 1:
				s.flags = someFlags[m.rng.IntN(len(someFlags))]
			case 2:
				s.readable = !s.readable
			case 3:
				s.body++ // no server may do this; a ledger must not hide it
			case 4: // nor this: another message under the UID
				s.body, s.size = m.rng.IntN(60), 1+m.rng.Int64N(5000)
				if s.date = s.date.Add(time.Second); m.rng.IntN(4) == 0 {
					s.date = time.Unix(m.rng.Int64N(3000)+5000, 0)
				}
			}
			b.messages[uid] = s
		}
	}
}

// reading is what comes of fetching a message: bodies below 5 have no
// Message-ID, hence no T3.
func (m *model) reading(name string, b *onServerBox, uid mailproof.UID, s onServer) mailproof.Message {
	msg := mailproof.Message{
		MessageKey: mailproof.MessageKey{Side: m.side, Account: m.account, Mailbox: name, UIDValidity: b.uidvalidity, UID: uid},
		Metadata:   mailproof.Metadata{UID: uid, Flags: s.flags, InternalDate: s.date, Size: s.size, GmailID: s.gmail},
	}
	if !s.readable {
		msg.State, msg.Reason = mailproof.Unreadable, "NO [SERVERBUG] \x00\xff try later"
		return msg
	}
	msg.State = mailproof.Read
	msg.Fingerprint.Octets = int64(s.body * 10)
	for _, tier := range mailproof.Tiers() {
		if s.body < 5 && tier == mailproof.T3 {
			continue
		}
		msg.Fingerprint.SetHash(tier, sha256.Sum256(fmt.Appendf(nil, "%v %d", tier, s.body)))
	}
	msg.Fingerprint.Detail = mailproof.Detail{MessageID: fmt.Sprint(s.body), LeafCount: s.body}
	return msg
}

// pass takes an inventory the way collect does. A killed one breaks off
// somewhere in a mailbox.
func (m *model) pass(killed, reverify bool) {
	id, err := m.l.BeginPass(m.ctx, mailproof.Pass{Kind: mailproof.InventoryPass, Side: m.side, Depth: mailproof.DepthFull, Reverify: reverify})
	m.must(err)
	m.passes = append(m.passes, id)
	scan := mailproof.Scan{Pass: id, Account: m.account, Side: m.side, Started: time.Unix(int64(id), 0).UTC(), Server: mailproof.ServerInfo{Address: "h:993", Capabilities: []string{"IMAP4rev1"}}}
	m.must(m.l.BeginScan(m.ctx, scan))
	s := shot{scan: scan, base: m.base}
	dieAt := -1
	if killed {
		dieAt = m.rng.IntN(len(m.server))
	}
	for i, name := range m.names() {
		b := m.server[name]
		if b.gone {
			continue
		}
		box := mailproof.MailboxScan{Mailbox: mailproof.Mailbox{Name: name, Separator: "/", SpecialUse: mailproof.UseSent, Subscribed: true},
			Before: mailproof.MailboxState{UIDValidity: b.uidvalidity, UIDNext: b.next, Exists: uint32(len(b.messages)), HighestModSeq: 1<<63 + uint64(id)}}
		if m.rng.IntN(10) == 0 {
			box.Excluded = "name matches 100%"
			m.must(m.l.ExcludeMailbox(m.ctx, id, m.account, m.side, box.Mailbox, box.Before, box.Excluded))
			s.boxes, s.notes = append(s.boxes, box), append(s.notes, nil)
			continue
		}
		if m.rng.IntN(15) == 0 {
			box.Before = mailproof.MailboxState{}
			box.Error = "NO such folder"
			w, err := m.l.BeginMailbox(m.ctx, id, m.account, m.side, box.Mailbox, box.Before)
			m.must(err)
			m.must(w.End(m.ctx, mailproof.MailboxState{}, box))
			s.boxes, s.notes = append(s.boxes, box), append(s.notes, nil)
			continue
		}
		w, err := m.l.BeginMailbox(m.ctx, id, m.account, m.side, box.Mailbox, box.Before)
		m.must(err)
		key := boxKey{name, b.uidvalidity}
		m.mailbox(w, id, key, b, reverify, i == dieAt)
		if i == dieAt {
			box.Error = cutOff
			s.boxes, s.notes = append(s.boxes, box), append(s.notes, maps.Clone(m.notes[key]))
			break
		}
		box.After, box.Complete, box.Present = box.Before, true, int64(len(b.messages))
		m.must(w.End(m.ctx, box.After, box))
		s.boxes, s.notes = append(s.boxes, box), append(s.notes, maps.Clone(m.notes[key]))
	}
	if !killed {
		s.scan.State, s.scan.Finished = mailproof.PassDone, time.Unix(int64(id)+1, 5).UTC()
		m.must(m.l.EndScan(m.ctx, s.scan))
		m.must(m.l.EndPass(m.ctx, id, mailproof.PassDone, "", 1, 2))
	}
	m.shots[id] = s
	m.sortShot(id)
	if killed {
		m.must(m.l.Close())
		m.open()
	}
}

// sortShot puts the boxes in the order in which the ledger lists them.
func (m *model) sortShot(id mailproof.PassID) {
	s := m.shots[id]
	type pair struct {
		box   mailproof.MailboxScan
		notes noteBox
	}
	var pairs []pair
	for i := range s.boxes {
		pairs = append(pairs, pair{s.boxes[i], s.notes[i]})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return cmp.Compare(a.box.Name, b.box.Name) })
	for i, p := range pairs {
		s.boxes[i], s.notes[i] = p.box, p.notes
	}
}

// mailbox records the difference between the server and what is known, and
// notes the same in the model.
func (m *model) mailbox(w *MailboxWriter, pass mailproof.PassID, key boxKey, b *onServerBox, reverify, die bool) {
	notes := m.notes[key]
	if notes == nil {
		notes = noteBox{}
		m.notes[key] = notes
	}
	known := m.checkKnown(w, notes)
	var changes []mailproof.FlagChange
	var vanished []mailproof.UID
	for _, uid := range slices.Sorted(maps.Keys(known)) {
		s, there := b.messages[uid]
		n := notes[uid]
		if !there {
			vanished = append(vanished, uid)
			n.present = false
		} else if !s.flags.Equal(n.message.Flags) {
			changes = append(changes, mailproof.FlagChange{UID: uid, Flags: s.flags})
			n.message.Flags = s.flags
		}
		notes[uid] = n
	}
	m.must(w.ChangeFlags(m.ctx, changes))
	m.must(w.Vanish(m.ctx, vanished))
	m.must(w.Vanish(m.ctx, []mailproof.UID{1<<32 - 1})) // never seen: passed over
	left := 1 << 30
	if die {
		left = m.rng.IntN(len(b.messages) + 1)
	}
	for _, uid := range slices.Sorted(maps.Keys(b.messages)) {
		if left--; left < 0 {
			break
		}
		got := m.reading(key.name, b, uid, b.messages[uid])
		if x, ok := known[uid]; ok {
			m.reread(w, got, x, notes, reverify)
			continue
		}
		m.must(w.Add(m.ctx, got))
		first := pass
		if n, ok := notes[uid]; ok {
			first = n.first // there again
		}
		notes[uid] = noted{message: got, first: first, present: true}
		if m.rng.IntN(60) == 0 { // not listed for a moment, within one pass
			m.must(w.Vanish(m.ctx, []mailproof.UID{uid}))
			got.Flags = someFlags[1]
			m.must(w.Add(m.ctx, got))
			notes[uid] = noted{message: got, first: first, present: true}
			s := b.messages[uid]
			s.flags = got.Flags
			b.messages[uid] = s
		}
	}
	if die {
		m.must(w.flush(m.ctx))
	}
	m.forgetSome(w, b, notes, vanished, die)
}

func (m *model) reread(w *MailboxWriter, got mailproof.Message, x mailproof.Extant, notes noteBox, reverify bool) {
	if x.State == mailproof.Read && x.Is(&got.Metadata) && !reverify {
		return
	}
	n := notes[got.MessageKey.UID]
	want := n.message.State != got.State || n.message.Reason != got.Reason || n.message.Fingerprint.Hashes != got.Fingerprint.Hashes
	changed, err := w.Reread(m.ctx, got)
	m.must(err)
	if changed != want {
		m.t.Fatalf("%v read again: changed is %v, want %v", got.MessageKey, changed, want)
	}
	n.message.State, n.message.Reason, n.message.Fingerprint = got.State, got.Reason, got.Fingerprint
	n.message.Size, n.message.InternalDate = got.Size, got.InternalDate
	notes[got.MessageKey.UID] = n
}

// forgetSome plays a server that lists messages again which it had left out:
// what vanished in this pass may come back as it was in a later one.
func (m *model) forgetSome(w *MailboxWriter, b *onServerBox, notes noteBox, vanished []mailproof.UID, die bool) {
	for _, uid := range vanished {
		if m.rng.IntN(3) == 0 {
			n := notes[uid].message
			body := int(n.Fingerprint.Octets / 10)
			b.messages[uid] = onServer{flags: n.Flags, date: n.InternalDate, size: n.Size, gmail: n.GmailID, body: body, readable: n.State == mailproof.Read}
			if m.rng.IntN(2) == 0 && !die { // at once, in this very pass
				m.must(w.Add(m.ctx, n))
				x := notes[uid]
				x.present = true
				notes[uid] = x
			}
		}
	}
}

func (m *model) checkKnown(w *MailboxWriter, notes noteBox) map[mailproof.UID]mailproof.Extant {
	known := map[mailproof.UID]mailproof.Extant{}
	var last mailproof.UID
	for x, err := range w.Known(m.ctx) {
		m.must(err)
		if x.UID <= last {
			m.t.Fatalf("known: uid %d after %d", x.UID, last)
		}
		last = x.UID
		n, ok := notes[x.UID]
		if !ok || !n.present || n.message.State != x.State || !n.message.Flags.Equal(x.Flags) ||
			n.message.Size != x.Size || !n.message.InternalDate.Equal(x.InternalDate) {
			m.t.Fatalf("known: %+v, want %+v", x, n)
		}
		known[x.UID] = x
	}
	for uid, n := range notes {
		if _, ok := known[uid]; n.present && !ok {
			m.t.Fatalf("known: uid %d is left out", uid)
		}
	}
	return known
}

// copyPass records a copy; if it was finished, the flags as they are known now
// are the base from now on.
func (m *model) copyPass() {
	id, err := m.l.BeginPass(m.ctx, mailproof.Pass{Kind: mailproof.CopyPass})
	m.must(err)
	m.must(m.l.BeginCopy(m.ctx, id, m.account))
	switch m.rng.IntN(3) {
	case 0:
		m.must(m.l.EndCopy(m.ctx, id, m.account))
		m.must(m.l.EndPass(m.ctx, id, mailproof.PassFailed, "another account", 0, 0))
	case 1:
		m.must(m.l.EndPass(m.ctx, id, mailproof.PassDone, "", 0, 0))
	default:
		m.must(m.l.EndPass(m.ctx, id, mailproof.PassCancelled, "", 0, 0))
		return
	}
	m.base = map[boxKey]noteBox{}
	for k, v := range m.notes {
		m.base[k] = maps.Clone(v)
	}
}

// compare holds an inventory of a past pass against what the model said then.
func (m *model) compare(l *Ledger, id mailproof.PassID) {
	m.t.Helper()
	inv, err := l.InventoryAt(m.ctx, m.account, m.side, id)
	m.must(err)
	m.compareWith(inv, id, m.shots[id])
	if id != m.passes[len(m.passes)-1] {
		return
	}
	inv, err = l.Inventory(m.ctx, m.account, m.side)
	m.must(err)
	want := m.shots[id]
	want.base = m.base // of a copy since
	m.compareWith(inv, id, want)
}

func (m *model) compareWith(inv *Inventory, id mailproof.PassID, want shot) {
	m.t.Helper()
	defer func() { m.must(inv.Close()) }()
	if !reflect.DeepEqual(inv.Scan(), want.scan) {
		m.t.Fatalf("pass %d: scan %+v, want %+v", id, inv.Scan(), want.scan)
	}
	if got := inv.Mailboxes(); !reflect.DeepEqual(got, want.boxes) {
		m.t.Fatalf("pass %d: mailboxes\n%+v, want\n%+v", id, got, want.boxes)
	}
	var all []mailproof.Row
	for row, err := range inv.Rows(m.ctx, mailproof.TierNone) {
		m.must(err)
		all = append(all, row)
	}
	m.compareRows(id, "all", all, wantedRows(want, mailproof.TierNone))
	for _, tier := range mailproof.Tiers() {
		if tier != mailproof.T0 && m.rng.IntN(4) != 0 {
			continue
		}
		var rows []mailproof.Row
		for row, err := range inv.Rows(m.ctx, tier) {
			m.must(err)
			rows = append(rows, row)
		}
		m.compareRows(id, tier.String(), rows, wantedRows(want, tier))
	}
	m.compareMessages(inv, id, all)
}

func wantedRows(s shot, by mailproof.Tier) []mailproof.Row {
	var rows []mailproof.Row
	for i, notes := range s.notes {
		for uid, n := range notes {
			h := n.message.Fingerprint.Hash(by)
			if !n.present || by != mailproof.TierNone && (n.message.State != mailproof.Read || h.IsZero()) {
				continue
			}
			row := mailproof.Row{Mailbox: i, UID: uid, FirstPass: n.first, InternalDate: n.message.InternalDate, Flags: n.message.Flags, Size: n.message.Size, GmailID: n.message.GmailID,
				State: n.message.State, Reason: n.message.Reason, Octets: n.message.Fingerprint.Octets, Hashes: n.message.Fingerprint.Hashes}
			if b, ok := s.base[boxKey{s.boxes[i].Name, s.boxes[i].Before.UIDValidity}][uid]; ok && s.scan.Side == mailproof.Source {
				row.HasBase, row.BaseFlags = true, b.message.Flags
			}
			rows = append(rows, row)
		}
	}
	slices.SortFunc(rows, func(a, b mailproof.Row) int {
		if by == mailproof.TierNone {
			return cmp.Or(cmp.Compare(a.Mailbox, b.Mailbox), cmp.Compare(a.UID, b.UID))
		}
		x, y := a.Hash(by), b.Hash(by)
		return cmp.Or(bytes.Compare(x[:], y[:]), cmp.Compare(a.Mailbox, b.Mailbox), a.InternalDate.Compare(b.InternalDate), cmp.Compare(a.UID, b.UID))
	})
	return rows
}

func (m *model) compareRows(id mailproof.PassID, what string, got, want []mailproof.Row) {
	m.t.Helper()
	if len(got) != len(want) {
		m.t.Fatalf("pass %d, %s: %d rows, want %d", id, what, len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		ok := g.InternalDate.Equal(w.InternalDate) && g.InternalDate.Format(time.RFC3339) == w.InternalDate.Format(time.RFC3339) &&
			g.Flags.Equal(w.Flags) && g.BaseFlags.Equal(w.BaseFlags)
		g.ID, g.InternalDate, g.Flags, g.BaseFlags = 0, time.Time{}, nil, nil
		w.InternalDate, w.Flags, w.BaseFlags = time.Time{}, nil, nil
		if !ok || !reflect.DeepEqual(g, w) {
			m.t.Fatalf("pass %d, %s, row %d:\n%+v, want\n%+v", id, what, i, got[i], want[i])
		}
	}
}

// compareMessages looks at whole messages, by number and as a stream.
func (m *model) compareMessages(inv *Inventory, id mailproof.PassID, rows []mailproof.Row) {
	m.t.Helper()
	s := m.shots[id]
	i := 0
	for got, err := range inv.Messages(m.ctx) {
		m.must(err)
		want := s.notes[rows[i].Mailbox][rows[i].UID].message
		m.sameMessage(got, want)
		if i%17 == 0 {
			one, err := inv.Message(m.ctx, rows[i].ID)
			m.must(err)
			m.sameMessage(one, want)
		}
		i++
	}
	if i != len(rows) {
		m.t.Fatalf("pass %d: %d messages, want %d", id, i, len(rows))
	}
	for uid := range mailproof.UID(3) {
		if _, err := inv.Message(m.ctx, messageID(1<<20, uid)); !errors.Is(err, ErrUnknown) {
			m.t.Fatalf("an unknown message: %v", err)
		}
	}
}

func (m *model) sameMessage(got, want mailproof.Message) {
	m.t.Helper()
	ok := got.InternalDate.Equal(want.InternalDate) && got.Flags.Equal(want.Flags)
	got.InternalDate, got.Flags, want.InternalDate, want.Flags = time.Time{}, nil, time.Time{}, nil
	if !ok || !reflect.DeepEqual(got, want) {
		m.t.Fatalf("message\n%+v, want\n%+v", got, want)
	}
}
