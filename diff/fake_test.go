package diff

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/mailproof/mailproof"
)

// mail is the content of a message in the terms that the tiers look at. Equal
// fields give equal hashes, as in the real thing.
type mail struct {
	id      string // Message-ID; empty: none
	date    time.Time
	from    string
	to      string
	subject string
	bcc     string
	refs    string
	names   string
	parts   []fakePart
	extra   string // preamble
	signed  string
	norm    int // what T1 looks at and T2 does not
	store   int // what only T0 looks at
	stub    bool
	anomaly mailproof.Anomaly
	dkim    mailproof.DKIMWitness
}

type fakePart struct {
	typ, name string
	text      string // the canonical content
	visible   string // of HTML
	raw       int    // what Octets looks at and Content does not
	size      int64  // zero: len(text)
	prefixes  string
	nonASCII  int64
}

func hash(parts ...any) mailproof.Hash {
	return sha256.Sum256([]byte(fmt.Sprintf("%q", fmt.Sprint(parts...)+"|"+fmt.Sprint(len(parts)))))
}

func short(parts ...any) (s mailproof.Short) {
	h := hash(parts...)
	copy(s[:], h[:])
	return s
}

func (m *mail) bodySet(visible bool) string {
	var out []string
	for _, p := range m.parts {
		switch {
		case p.text == "":
		case visible && p.visible != "":
			out = append(out, "v:"+p.visible)
		default:
			out = append(out, p.text)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\x00")
}

func (m *mail) head() string {
	return fmt.Sprint(m.date.UTC().Format(time.RFC3339), "\x00", m.from, "\x00", m.to, "\x00", m.subject)
}

func (m *mail) octets() int64 {
	n := int64(200 + len(m.head()) + len(m.id))
	for _, p := range m.parts {
		n += p.length() + 40
	}
	return n
}

func (p *fakePart) length() int64 {
	if p.size > 0 {
		return p.size
	}
	return int64(len(p.text))
}

func (m *mail) fingerprint() mailproof.Fingerprint {
	var f mailproof.Fingerprint
	all := fmt.Sprintf("%+v", *m)
	f.SetHash(mailproof.T0, hash("T0", all))
	norm := *m
	norm.store = 0
	f.SetHash(mailproof.T1, hash("T1", fmt.Sprintf("%+v", norm)))
	f.SetHash(mailproof.T2, hash("T2", m.id, m.head(), m.bodySet(false)))
	f.SetHash(mailproof.T2v, hash("T2v", m.id, m.head(), m.bodySet(true)))
	f.SetHash(mailproof.T2c, hash("T2c", m.head(), m.bodySet(false)))
	if m.id != "" {
		f.SetHash(mailproof.T3, hash("T3", m.id))
		local, _, _ := strings.Cut(m.id, "@")
		f.SetHash(mailproof.T3b, hash("T3b", local))
	}
	if len(m.bodySet(false)) >= 64 {
		f.SetHash(mailproof.T4, hash("T4", m.bodySet(false)))
	}
	f.Octets = m.octets()
	f.Detail = m.detail()
	return f
}

func (m *mail) detail() mailproof.Detail {
	d := mailproof.Detail{MessageID: m.id, LeafCount: len(m.parts), Stub: m.stub, Anomalies: m.anomaly, DKIM: m.dkim}
	field := func(name, value string) {
		if value == "" {
			return
		}
		cut := value[:min(len(value), mailproof.MaxFieldValue)]
		d.Fields = append(d.Fields, mailproof.FieldDigest{Name: name, Value: cut, Hash: mailproof.FieldHash(name, value)})
	}
	if !m.date.IsZero() {
		field("date", m.date.UTC().Format(time.RFC3339))
	}
	field("from", m.from)
	field("to", m.to)
	field("subject", m.subject)
	field("bcc", m.bcc)
	field("references", m.refs)
	field("names", m.names)
	var seq strings.Builder
	for _, p := range m.parts {
		l := mailproof.LeafDigest{
			Type: p.typ, FileName: p.name, Size: p.length(), Content: short("c", p.text), Octets: short("o", p.text, p.raw),
			Prefixes: p.prefixes, NonASCII: p.nonASCII,
		}
		if p.text == "" {
			l.Content = mailproof.Short{}
		}
		if p.visible != "" {
			l.Visible = short("v", p.visible)
		}
		if strings.HasPrefix(p.typ, "text/") {
			l.Squeezed, l.Letters = crcOf(p.text, squeezed), crcOf(p.text, letters)
		}
		if len(d.Leaves) < mailproof.MaxLeaves {
			d.Leaves = append(d.Leaves, l)
		}
		seq.WriteString(p.text)
	}
	d.BodySeq = short("seq", seq.String())
	if m.extra != "" {
		d.Extra = short("extra", m.extra)
	}
	if m.signed != "" {
		d.SignedOctets = short("signed", m.signed)
	}
	return d
}

// fake is an inventory in memory.
type fake struct {
	scan  mailproof.Scan
	boxes []mailproof.MailboxScan
	msgs  []fakeMessage
	calls int // of Message
	asked map[mailproof.Tier]int
	sort  func([]mailproof.Row, mailproof.Tier) // disorders equal keys; nil: leaves them
}

type fakeMessage struct {
	mailproof.Row
	mail mail
	fp   mailproof.Fingerprint
}

func newFake(side mailproof.Side, boxes ...mailproof.Mailbox) *fake {
	f := &fake{scan: mailproof.Scan{Pass: mailproof.PassID(side), Account: "anna", Side: side, State: mailproof.PassDone}, asked: map[mailproof.Tier]int{}}
	for _, b := range boxes {
		f.addBox(b)
	}
	return f
}

func (f *fake) addBox(b mailproof.Mailbox) int {
	if b.Separator == "" {
		b.Separator = "/"
	}
	f.boxes = append(f.boxes, mailproof.MailboxScan{Mailbox: b, Complete: true, Before: mailproof.MailboxState{UIDValidity: 7, UIDNext: 1}})
	i := len(f.boxes) - 1
	f.boxes[i].After = f.boxes[i].Before
	return i
}

func (f *fake) box(name string) int {
	return slices.IndexFunc(f.boxes, func(b mailproof.MailboxScan) bool { return b.Name == name })
}

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// add puts a message into a mailbox and returns it for changes.
func (f *fake) add(box string, m mail) *fakeMessage {
	i := f.box(box)
	if i < 0 {
		i = f.addBox(mailproof.Mailbox{Name: box})
	}
	b := &f.boxes[i]
	uid := b.Before.UIDNext
	b.Before.UIDNext++
	b.Before.Exists++
	b.Present++
	b.After = b.Before
	fp := m.fingerprint()
	date := m.date
	if date.IsZero() {
		date = day
	}
	row := mailproof.Row{
		ID: int64(len(f.msgs) + 1), Mailbox: i, UID: uid, FirstPass: f.scan.Pass, InternalDate: date, Size: fp.Octets,
		State: mailproof.Read, Octets: fp.Octets, Hashes: fp.Hashes,
	}
	f.msgs = append(f.msgs, fakeMessage{row, m, fp})
	return &f.msgs[len(f.msgs)-1]
}

// unreadable marks a message as one that could not be read.
func (m *fakeMessage) fail(reason string) {
	m.State, m.Reason, m.Hashes, m.Octets = mailproof.Unreadable, reason, [mailproof.NumTiers]mailproof.Hash{}, 0
}

func (m *fakeMessage) skip() {
	m.State, m.Hashes, m.Octets = mailproof.Unread, [mailproof.NumTiers]mailproof.Hash{}, 0
}

func (f *fake) Scan() mailproof.Scan               { return f.scan }
func (f *fake) Mailboxes() []mailproof.MailboxScan { return f.boxes }

func (f *fake) Rows(ctx context.Context, by mailproof.Tier) iter.Seq2[mailproof.Row, error] {
	f.asked[by]++
	var list []*mailproof.Row
	for i := range f.msgs {
		if r := &f.msgs[i].Row; by == mailproof.TierNone || r.State == mailproof.Read && !r.Hash(by).IsZero() {
			list = append(list, r)
		}
	}
	slices.SortFunc(list, func(a, b *mailproof.Row) int {
		if by == mailproof.TierNone {
			return cmp.Or(cmp.Compare(a.Mailbox, b.Mailbox), cmp.Compare(a.UID, b.UID))
		}
		if c := bytes.Compare(a.Hashes[by-1][:], b.Hashes[by-1][:]); c != 0 {
			return c
		}
		return cmp.Or(cmp.Compare(a.Mailbox, b.Mailbox), a.InternalDate.Compare(b.InternalDate), cmp.Compare(a.UID, b.UID))
	})
	rows := make([]mailproof.Row, len(list))
	for i, r := range list {
		rows[i] = *r
	}
	if f.sort != nil {
		f.sort(rows, by)
	}
	return func(yield func(mailproof.Row, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

func (f *fake) Message(ctx context.Context, id int64) (mailproof.Message, error) {
	f.calls++
	i := int(id) - 1
	if i < 0 || i >= len(f.msgs) || f.msgs[i].ID != id {
		i = slices.IndexFunc(f.msgs, func(m fakeMessage) bool { return m.ID == id })
	}
	if i < 0 {
		return mailproof.Message{}, fmt.Errorf("no message %d", id)
	}
	m := &f.msgs[i]
	if m.State != mailproof.Read {
		return mailproof.Message{State: m.State, Reason: m.Reason}, nil
	}
	return mailproof.Message{State: m.State, Fingerprint: m.fp}, nil
}
